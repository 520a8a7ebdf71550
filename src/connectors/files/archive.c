/* SPDX-License-Identifier: Apache-2.0 */
/* Archives are looked into in the plan: each member that is wanted takes the place of its archive
 * in the list of files. A packed tar is unpacked once for that, to its end, and the checksums of
 * its members are kept for the reader. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "find.h"
#include "formats/archive/archive.h"

enum {
    BLOCK = 256 * 1024,
    MEMBERS_MAX = 1 << 20, /* of a scan: the list is held in memory */
    NAMES_MAX = 256 << 20, /* bytes of their names: packed, they would cost a bomb nothing */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the members of an archive");
}

/* ---- names of archives ------------------------------------------------------------------------
 */

static bool ends(struct wh_str name, const char *suffix, struct wh_str *ret_stem)
{
    size_t n = strlen(suffix);
    if (name.n <= n || !wh_str_ieqs((struct wh_str){name.s + name.n - n, n}, suffix))
        return false;
    *ret_stem = (struct wh_str){name.s, name.n - n};
    return true;
}

static bool is_tar(struct wh_str name, struct wh_str *ret_stem)
{
    static const char *const packed[] = {".tgz", ".tbz2", ".tbz", ".tzst"};
    bool known;
    struct wh_str suffix;
    for (size_t i = 0; i < sizeof packed / sizeof *packed; i++)
        if (ends(name, packed[i], ret_stem))
            return true;
    wh_codec_of_name(name, &known, &suffix);
    name.n -= known ? suffix.n : 0;
    return ends(name, ".tar", ret_stem);
}

bool files_is_archive(struct wh_str name, int compression)
{
    struct wh_str stem, base = files_base_name(name);
    if (compression == FILES_COMPRESSION_TAR || compression == WH_CODEC_ZIP)
        return true;
    return is_tar(base, &stem) ||
           (compression == FILES_COMPRESSION_AUTO && ends(base, ".zip", &stem));
}

struct wh_str files_archive_stem(struct wh_str name)
{
    struct wh_str stem = name;
    return is_tar(name, &stem) || ends(name, ".zip", &stem) ? stem : name;
}

/* ---- names of members -------------------------------------------------------------------------
 */

/* Unpacked, a name that begins with "./" or "/" would lie in the same place as without. */
static struct wh_str normal(struct wh_str name)
{
    for (;;) {
        size_t skip = name.n && name.s[0] == '/'                           ? 1
                      : name.n > 1 && name.s[0] == '.' && name.s[1] == '/' ? 2
                                                                           : 0;
        if (!skip)
            return name;
        name.s += skip;
        name.n -= skip;
    }
}

/* Bytes that no terminal and no text column should get are written \xNN; a name that needs none of
 * it stays as it is. */
static wh_status tame(struct wh_str name, struct wh_buf *out)
{
    bool valid = wh_utf8_valid(name.s, name.n), plain = valid;
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = (uint8_t)name.s[i], next = i + 1 < name.n ? (uint8_t)name.s[i + 1] : 0;
        bool control = c < 32 || c == 127 || (c == 0xc2 && next >= 0x80 && next < 0xa0);
        plain &= !control && !(c == '\\' && next == 'x');
    }
    if (plain)
        return wh_buf_add(out, name.s, name.n);
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = (uint8_t)name.s[i];
        size_t k = wh_utf8_len(name.s + i, name.n - i);
        bool control = c < 32 || c == 127 || c == '\\' ||
                       (c == 0xc2 && k == 2 && (uint8_t)name.s[i + 1] < 0xa0);
        if (!k || control) {
            k = k ? k : 1;
            for (size_t j = 0; j < k; j++)
                WH_TRY(wh_buf_printf(out, "\\x%02x", (uint8_t)name.s[i + j]));
        } else {
            WH_TRY(wh_buf_add(out, name.s + i, k));
        }
        i += k - 1;
    }
    return WH_OK;
}

/* As files of a folder hide themselves; "." and ".." do not. */
static bool hides(const char *name)
{
    bool any = false;
    for (const char *p = name; p && !any; p = strchr(p, '/')) {
        p += *p == '/';
        size_t n = strcspn(p, "/");
        bool dots = (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.');
        any = !dots && files_hides(p);
    }
    return any;
}

static bool chosen(const struct files_from *o, const char *name)
{
    bool open = (o && o->hidden) || !hides(name);
    if (!o || !o->members.n)
        return open;
    struct wh_str base = files_base_name(wh_str(name));
    for (size_t i = 0; i < o->members.n; i++) {
        const char *glob = o->members.v[i];
        if (files_match(glob, name, open) ||
            (open && !strchr(glob, '/') && wh_glob_match(glob, base, false)))
            return true;
    }
    return false;
}

/* ---- the members of one archive ---------------------------------------------------------------
 */

struct look {
    const struct files_endpoint *ep;
    const struct files_from *opts;
    const struct files_entry *archive;
    const struct files_storage *storage;
    void *in;
    struct files_list *out;
    bool zip, packed;
    enum wh_codec codec;
    size_t before;           /* members of the list before this archive's */
    int64_t files;           /* members that are files */
    struct files_entry only; /* the only file, if its name says nothing */
    const char *only_refused;
};

static bool asked_to_stop(const struct look *k)
{
    const struct wh_ctx *ctx = k->ep->ctx;
    return ctx && ctx->cancelled && ctx->cancelled(ctx);
}

static void entry_free(struct files_entry *e)
{
    wh_free(e->name);
    wh_free(e->shown);
    if (e->member)
        wh_free(e->member->archive);
    wh_free(e->member);
    *e = (struct files_entry){0};
}

static enum files_how how(const struct look *k, const struct wh_archived *m)
{
    return k->packed     ? FILES_HOW_STREAM
           : !k->zip     ? FILES_HOW_RANGE
           : m->deflated ? FILES_HOW_DEFLATED
                         : FILES_HOW_STORED;
}

static wh_status make_entry(const struct look *k, const struct wh_archived *m, const char *name,
                            struct files_entry *e)
{
    const struct files_entry *a = k->archive;
    WH_CLEANUP(wh_buf_free) struct wh_buf path = WH_BUF(1 << 20), shown = WH_BUF(1 << 20);
    *e = (struct files_entry){.size = m->size, .said_n = a->said_n};
    memcpy(e->etag, a->etag, sizeof e->etag);
    WH_TRY(wh_buf_printf(&path, "%s/%s", a->name, name));
    WH_TRY(wh_buf_printf(&shown, "%s/%s", a->shown, name));
    e->member = wh_calloc(1, sizeof *e->member);
    e->name = wh_buf_take(&path);
    e->shown = wh_buf_take(&shown);
    if (!e->member || !(e->member->archive = wh_strdup(a->name)))
        return WH_E_NOMEM;
    e->member->how = how(k, m);
    e->member->codec = k->codec;
    e->member->offset = m->offset;
    e->member->packed = m->packed;
    e->member->archive_size = a->size;
    e->member->has_crc = m->has_crc;
    e->member->crc = m->crc;
    return WH_OK;
}

static wh_status put(struct files_list *l, struct files_entry *take, struct wh_error *reterr)
{
    if (l->n >= MEMBERS_MAX)
        return wh_fail(reterr, WH_E_LIMIT, "E8006", "more than %d members and files", MEMBERS_MAX);
    l->names_n += (int64_t)(strlen(take->name) + strlen(take->shown) +
                            (take->member ? strlen(take->member->archive) : 0));
    if (l->names_n > NAMES_MAX)
        return wh_fail(reterr, WH_E_LIMIT, "E8006",
                       "the names of the members need more than %d MiB", NAMES_MAX >> 20);
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct files_entry *v = wh_realloc(l->v, cap * sizeof *v);
        if (!v)
            return no_memory(reterr);
        l->v = v;
        l->cap = cap;
    }
    l->v[l->n++] = *take;
    *take = (struct files_entry){0};
    return WH_OK;
}

static wh_status cannot(const struct look *k, const char *name, const char *why,
                        struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                     "the member '%s' of the archive '%s' cannot be read: %s", name,
                     k->archive->name, why);
    wh_error_hint(reterr, "leave it out (members=...), or unpack the archive and read the folder");
    return st;
}

/* What becomes of one member. */
static wh_status consider(struct look *k, const struct wh_archived *m, const char *name,
                          struct wh_error *reterr)
{
    const struct files_from *o = k->opts;
    struct files_entry e = {0};
    bool take = chosen(o, name), said = (o && o->members.n) || (o && o->format);
    bool known = said || files_known_name(wh_str(name));
    if (m->is_other) {
        k->out->links += take && known;
        k->out->unread++;
        return WH_OK;
    }
    k->files++;
    bool first = k->files == 1 && take && !known;
    if (k->files == 2)
        entry_free(&k->only);
    if (take && !known)
        k->out->others++;
    if (!take || !known)
        k->out->unread++;
    if (!first && (!take || !known))
        return WH_OK;
    if (m->refused && !first)
        return cannot(k, name, m->refused, reterr);
    int st = make_entry(k, m, name, &e);
    if (st != WH_OK) {
        st = no_memory(reterr);
    } else if (first) {
        k->only = e;
        k->only_refused = m->refused;
    } else {
        st = put(k->out, &e, reterr);
    }
    if (st != WH_OK)
        entry_free(&e);
    return st;
}

static wh_status each_member(void *arg, const struct wh_archived *m, struct wh_error *reterr)
{
    struct look *k = arg;
    if (m->is_folder)
        return m->size && k->zip && !m->refused
                   ? wh_fail(reterr, WH_E_DATA, "E4005",
                             "the zip archive is damaged near byte %lld: a folder has content",
                             (long long)m->offset)
                   : WH_OK;
    if (asked_to_stop(k))
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    WH_CLEANUP(wh_buf_free) struct wh_buf name = WH_BUF(1 << 20);
    struct wh_str told = normal(m->name);
    if (!told.n || tame(told, &name) != WH_OK)
        return told.n ? no_memory(reterr)
                      : wh_fail(reterr, WH_E_DATA, "E4005", "a member of the archive has no name");
    return consider(k, m, name.p, reterr);
}

/* ---- listing ----------------------------------------------------------------------------------
 */

static wh_status read_at(void *arg, int64_t offset, void *p, size_t n, struct wh_error *reterr)
{
    const struct look *k = arg;
    size_t got = 1, all = 0;
    while (all < n && got) {
        WH_TRY(k->storage->ops->pread(k->in, (uint8_t *)p + all, n - all, offset + (int64_t)all,
                                      &got, reterr));
        all += got;
    }
    return all == n ? WH_OK : wh_fail(reterr, WH_E_DATA, "E4007", "the archive has become shorter");
}

/* Content is passed over; headers are read where they stand. */
static wh_status walk_plain(struct look *k, struct wh_tar *t, uint8_t *p, struct wh_error *reterr)
{
    int64_t at = 0, size = k->archive->size;
    while (at < size) {
        int64_t ahead = wh_tar_ahead(t);
        if (ahead > size - at)
            ahead = size - at;
        if (ahead) {
            WH_TRY(wh_tar_pass(t, ahead, reterr));
            at += ahead;
            continue;
        }
        size_t want = wh_tar_ended(t) ? BLOCK : 512;
        size_t n = size - at < (int64_t)want ? (size_t)(size - at) : want;
        if (asked_to_stop(k))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
        WH_TRY(read_at(k, at, p, n, reterr));
        WH_TRY(wh_tar_add(t, p, n, reterr));
        at += (int64_t)n;
    }
    return WH_OK;
}

static wh_status walk_packed(struct look *k, struct wh_tar *t, uint8_t *p, struct wh_error *reterr)
{
    struct files_stream *s = NULL;
    size_t got = 1;
    int st = files_stream_open(k->storage, k->out->root, k->archive->name, k->codec, &s, reterr);
    while (st == WH_OK && got) {
        st = files_stream_read(s, p, BLOCK, &got, reterr);
        if (st == WH_OK && got)
            st = wh_tar_add(t, p, got, reterr);
        if (st == WH_OK && asked_to_stop(k))
            st = wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    }
    files_stream_close(s);
    return st;
}

/* Not all say it in their first bytes; the name tells those. */
static enum wh_codec packed_by(const char *name, const uint8_t head[4])
{
    struct wh_str suffix;
    bool known;
    enum wh_codec told = wh_codec_of_name(wh_str(name), &known, &suffix);
    enum wh_codec is = wh_codec_of_bytes(head, 4);
    if (is != WH_CODEC_NONE && is != WH_CODEC_ZIP)
        return is;
    return told == WH_CODEC_DEFLATE || told == WH_CODEC_SNAPPY ? told : WH_CODEC_NONE;
}

static wh_status walk_tar(struct look *k, struct wh_error *reterr)
{
    uint8_t head[4] = {0};
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(BLOCK);
    struct wh_tar *t = wh_tar_new(each_member, k);
    int64_t size = k->archive->size;
    int st = p && t ? WH_OK : no_memory(reterr);
    if (st == WH_OK)
        st = read_at(k, 0, head, size < 4 ? (size_t)size : 4, reterr);
    k->codec = packed_by(k->archive->name, head);
    k->packed = k->codec != WH_CODEC_NONE;
    if (st == WH_OK)
        st = (k->packed ? walk_packed : walk_plain)(k, t, p, reterr);
    if (st == WH_OK)
        st = wh_tar_end(t, reterr);
    wh_tar_free(t);
    return st;
}

static wh_status no_member(const struct look *k, struct wh_error *reterr)
{
    const struct files_from *o = k->opts;
    if (o && o->on_missing == FILES_MISSING_SKIP) {
        k->out->missing++;
        return WH_OK;
    }
    int st =
        wh_fail(reterr, WH_E_NOT_FOUND, "E1028", "no file in the archive '%s' %s", k->archive->name,
                o && o->members.n ? "matches 'members'" : "has a name of a known format");
    wh_error_hint(reterr,
                  k->files ? "it holds %lld files; format=csv takes all, members=NAME one"
                           : "it holds %lld files",
                  (long long)k->files);
    return st;
}

static wh_status take_only(struct look *k, struct wh_error *reterr)
{
    if (k->only_refused)
        return cannot(k, k->only.name + strlen(k->archive->name) + 1, k->only_refused, reterr);
    k->only.member->lone = true;
    k->out->others--;
    k->out->unread--;
    return put(k->out, &k->only, reterr);
}

static wh_status look_into(struct look *k, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = k->storage->ops;
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, ops->in_size);
    k->in = in;
    if (!in)
        return no_memory(reterr);
    int st = ops->read_open(in, k->storage->st, k->archive->name, reterr);
    if (st == WH_OK)
        st = k->zip ? wh_zip_list(read_at, k->archive->size, each_member, k, reterr)
                    : walk_tar(k, reterr);
    ops->read_close(in);
    /* A single file may be called anything if the archive's own name tells what it is. */
    if (st == WH_OK && k->only.name &&
        files_known_name(
            files_archive_stem(files_unsealed(wh_str(k->archive->name), k->storage->key))))
        st = take_only(k, reterr);
    entry_free(&k->only);
    if (st == WH_OK && k->out->n == k->before)
        st = no_member(k, reterr);
    if (st < 0 && reterr && !reterr->where[0])
        wh_error_where(reterr, "%s", k->archive->name);
    return st;
}

/* ---- twice ------------------------------------------------------------------------------------
 */

struct twin {
    size_t at;
    const char *name;
};

static int by_name(const void *a, const void *b)
{
    const struct twin *x = a, *y = b;
    int c = strcmp(x->name, y->name);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* The last member of a name counts, as when the archive is unpacked. */
static wh_status drop_twins(const struct look *k, struct wh_error *reterr)
{
    struct files_list *l = k->out;
    int what = k->opts ? k->opts->duplicates : FILES_TWICE_ONCE;
    size_t n = l->n - k->before, kept = k->before;
    WH_CLEANUP(wh_freep) struct twin *v = wh_calloc(n + 1, sizeof *v);
    WH_CLEANUP(wh_freep) bool *drop = wh_calloc(n + 1, sizeof *drop);
    if (!v || !drop)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct twin){i, l->v[k->before + i].name};
    if (n > 1 && what != FILES_TWICE_KEEP)
        qsort(v, n, sizeof *v, by_name);
    for (size_t i = 1; i < n && what != FILES_TWICE_KEEP; i++) {
        if (strcmp(v[i - 1].name, v[i].name) != 0)
            continue;
        if (what == FILES_TWICE_FAIL)
            return wh_fail(reterr, WH_E_USAGE, "E1028", "'%s' is there twice", v[i].name);
        drop[v[i - 1].at] = true;
        l->twice++;
    }
    for (size_t i = 0; i < n; i++) {
        if (drop[i])
            entry_free(&l->v[k->before + i]);
        else
            l->v[kept++] = l->v[k->before + i];
    }
    l->n = kept;
    return WH_OK;
}

/* ---- all --------------------------------------------------------------------------------------
 */

/* Moves the list into one with members; what is not taken is freed by the caller. */
static wh_status expand(const struct files_endpoint *ep, const struct files_from *o,
                        int compression, struct files_list *old, struct files_list *out,
                        struct files_storage *s, struct wh_error *reterr)
{
    bool any = false;
    for (size_t i = 0; i < old->n; i++) {
        struct wh_str name = files_unsealed(wh_str(old->v[i].name), s->key), stem;
        if (!files_is_archive(name, compression)) {
            WH_TRY(put(out, &old->v[i], reterr));
            continue;
        }
        any = true;
        struct look k = {.ep = ep,
                         .opts = o,
                         .archive = &old->v[i],
                         .storage = s,
                         .out = out,
                         .before = out->n,
                         .zip = compression == WH_CODEC_ZIP ||
                                (compression == FILES_COMPRESSION_AUTO &&
                                 !is_tar(files_base_name(name), &stem))};
        WH_TRY(look_into(&k, reterr));
        WH_TRY(drop_twins(&k, reterr));
    }
    if (o && o->members.n && !any)
        return wh_fail(reterr, WH_E_USAGE, "E1007",
                       "members is for archives; none of the files is one");
    return out->n ? WH_OK : WH_END;
}

wh_status files_look_into(const struct files_endpoint *ep, const struct files_from *o,
                          int compression, const struct wh_seal_key *key, struct files_list *list,
                          struct wh_error *reterr)
{
    struct files_list out = *list;
    struct files_storage s = {0};
    bool any = o && o->members.n;
    for (size_t i = 0; i < list->n; i++)
        any |= files_is_archive(files_unsealed(wh_str(list->v[i].name), key), compression);
    if (!any)
        return WH_OK;
    out.v = NULL;
    out.n = out.cap = 0;
    int st = files_storage_open_sealed(&s, ep->storage, list->root, key, reterr);
    if (st == WH_OK)
        st = expand(ep, o, compression, list, &out, &s, reterr);
    files_storage_close(&s);
    out.root = TAKE_PTR(list->root);
    files_list_free(list);
    *list = out;
    return st;
}
