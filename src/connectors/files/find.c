/* SPDX-License-Identifier: Apache-2.0 */
/* Which files a scan reads: paths, globs, folders and lists of them; by size, time and name; each
 * once. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"
#include "core/tree.h"
#include "find.h"

enum {
    LIST_MAX = 256 << 20,
    READY_EVERY_MS = 1000,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a list of files");
}

static bool is_pattern(const char *s)
{
    return strpbrk(s, "*?[") != NULL;
}

/* ---- one file ---------------------------------------------------------------------------------
 */

static bool any_match(const struct wh_list *globs, const char *name)
{
    struct wh_str base = files_base_name(wh_str(name));
    for (size_t i = 0; i < globs->n; i++)
        if (files_match(globs->v[i], name, true) || wh_glob_match(globs->v[i], base, false))
            return true;
    return false;
}

static wh_status add(struct finding *g, const struct wh_file_info *f)
{
    struct files_list *l = g->list;
    bool big = !g->opts || f->size < 0 || f->size >= g->opts->min_size;
    bool timely = !f->mtime_us || (f->mtime_us >= g->since_us && f->mtime_us < g->until_us);
    g->seen++;
    if (!big || !timely) {
        l->filtered++;
        return WH_OK;
    }
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct files_entry *v = wh_realloc(l->v, cap * sizeof *v);
        if (!v)
            return WH_E_NOMEM;
        l->v = v;
        l->cap = cap;
    }
    struct wh_buf name = WH_BUF(1 << 16), shown = WH_BUF(1 << 16);
    int st = wh_buf_printf(&name, "%s%.*s", g->prefix, WH_STR_FMT(f->name));
    if (st == WH_OK)
        st = wh_buf_printf(&shown, "%.*s%.*s", WH_STR_FMT(g->said), WH_STR_FMT(f->name));
    if (st != WH_OK) {
        wh_buf_free(&name);
        wh_buf_free(&shown);
        return st;
    }
    struct files_entry *e = &l->v[l->n++];
    *e = (struct files_entry){.name = wh_buf_take(&name),
                              .shown = wh_buf_take(&shown),
                              .size = f->size,
                              .said_n = g->said.n};
    memcpy(e->etag, f->etag, sizeof e->etag);
    return WH_OK;
}

/* What we make ourselves is never data, whatever is asked. */
static bool is_ours(const char *name)
{
    struct wh_str base = files_base_name(wh_str(name));
    return strstr(name, ".wherry-") || wh_str_starts(base, "_wherry_manifest.") ||
           wh_str_eqs(base, "_SUCCESS");
}

static bool wanted(const struct finding *g, const char *name, bool hidden)
{
    int64_t levels = g->opts ? g->opts->levels : 0;
    if (g->pattern ? !files_match(g->pattern, name, hidden) : !hidden && files_any_hides(name))
        return false;
    if (is_ours(name) && hidden)
        return false;
    int64_t depth = 0;
    for (const char *p = name; *p; p++)
        depth += *p == '/';
    if (levels && depth > levels)
        return false;
    if (g->opts && g->opts->include.n && !any_match(&g->opts->include, name))
        return false;
    if (g->opts && any_match(&g->opts->exclude, name))
        return false;
    /* Beside checked files lie their sums. */
    bool any_name = g->pattern || (g->opts && g->opts->format == FILES_FORMAT_BINARY);
    return !(any_name && g->opts && g->opts->md5 != FILES_MD5_OFF && files_is_sum(name));
}

static wh_status consider(void *arg, const struct wh_file_info *f)
{
    struct finding *g = arg;
    if (f->is_folder)
        return WH_OK;
    char *name = wh_strndup(f->name.s, f->name.n);
    if (!name)
        return WH_E_NOMEM;
    bool take = wanted(g, name, g->opts && g->opts->hidden);
    /* A folder may hold a README: only names of a known format are data, unless format= is set. */
    bool sealed = g->opts && g->opts->encrypt.text;
    bool known =
        g->pattern || g->explicit_format || files_known_name(files_unsealed(f->name, sealed));
    g->list->hidden += !take && known && !f->is_special && wanted(g, name, true);
    g->list->special += take && known && f->is_special;
    g->list->others += take && !known && !f->is_special;
    take = take && known && !f->is_special;
    int st = take ? add(g, f) : WH_OK;
    wh_free(name);
    return st;
}

/* ---- one path ---------------------------------------------------------------------------------
 */

static wh_status nothing(const char *path, const struct files_list *l, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_NOT_FOUND, "E1028", "no file matches '%s'", path);
    if (l->filtered)
        wh_error_hint(reterr,
                      "%lld files there are too small, or not of the time that was asked for; "
                      "on_missing=skip is content with none",
                      (long long)l->filtered);
    else if (l->hidden)
        wh_error_hint(reterr, "%lld files there have hidden names; hidden=true takes them",
                      (long long)l->hidden);
    else if (l->others)
        wh_error_hint(reterr,
                      "%lld files there have names of no known format; format=csv takes them",
                      (long long)l->others);
    else
        wh_error_hint(reterr, "look with 'ls %s'", path);
    return st;
}

static wh_status find_all(const struct files_storage *s, const char *pattern, struct finding *g,
                          struct wh_error *reterr)
{
    bool deep =
        pattern ? strchr(pattern, '/') || strstr(pattern, "**") : g->opts && g->opts->levels > 0;
    g->pattern = pattern;
    int st = s->ops->list(s->st, "", deep, consider, g, reterr);
    return st == WH_E_NOMEM ? no_memory(reterr) : st;
}

/* One path below an opened root: a file, a glob, or (rest empty) the folder itself. */
static wh_status find_below(const struct files_storage *s, const char *path, const char *rest,
                            struct finding *g, struct wh_error *reterr)
{
    struct wh_file_info info;
    size_t before = g->list->n;
    if (*rest) {
        struct wh_error err = {0};
        int st = s->ops->stat(s->st, rest, &info, &err);
        if (st == WH_OK && !info.is_folder) {
            st = add(g, &info);
            if (st != WH_OK)
                return no_memory(reterr);
            return g->list->n > before ? WH_OK : nothing(path, g->list, reterr);
        }
        if (st != WH_OK && !is_pattern(rest)) {
            if (reterr)
                *reterr = err;
            return st;
        }
        if (!is_pattern(rest))
            return wh_fail(reterr, WH_E_NOT_FOUND, "E2014", "'%s' is a folder", path);
    }
    WH_TRY(find_all(s, *rest ? rest : NULL, g, reterr));
    return g->list->n > before ? WH_OK : nothing(path, g->list, reterr);
}

static wh_status is_folder(const struct files_endpoint *ep, const char *path, bool *ret,
                           struct wh_error *reterr)
{
    struct files_storage s = {0};
    struct wh_buf where = WH_BUF(1 << 16);
    const char *root = path[0] != '/' && ep->where.root ? ep->where.root : NULL;
    int st = wh_buf_printf(&where, "%s%s%s", root ? root : "", root ? "/" : "", path);
    if (st == WH_OK)
        st = files_storage_open(&s, ep->storage, where.p, NULL);
    *ret = st == WH_OK;
    files_storage_close(&s);
    wh_buf_free(&where);
    return st == WH_E_NOMEM ? no_memory(reterr) : WH_OK;
}

/* Names of another root become relative to the list's: both are absolute, so a common "/" is
 * always there; the simple way is to make the list's root "/" then. */
static wh_status widen_root(struct files_list *l, struct wh_error *reterr)
{
    if (!strcmp(l->root, "/"))
        return WH_OK;
    for (size_t i = 0; i < l->n; i++) {
        struct wh_buf name = WH_BUF(1 << 16);
        if (wh_buf_printf(&name, "%s/%s", l->root + 1, l->v[i].name) != WH_OK)
            return no_memory(reterr);
        wh_free(l->v[i].name);
        l->v[i].name = wh_buf_take(&name);
    }
    wh_free(l->root);
    l->root = wh_strdup("/");
    return l->root ? WH_OK : no_memory(reterr);
}

static wh_status find_path(struct finding *g, const char *path, struct wh_error *reterr)
{
    char *root = NULL, *rest = NULL;
    struct wh_buf full = WH_BUF(1 << 16), prefix = WH_BUF(1 << 16);
    struct files_storage s = {0};
    struct files_list *l = g->list;
    bool folder = false;
    int st = is_folder(g->ep, path, &folder, reterr);
    g->prefix = "";
    if (st == WH_OK)
        st = wh_buf_printf(&full, "%s%s", path, folder ? "/" : "");
    if (st == WH_OK)
        st = files_split_path(g->ep, full.p, &root, &rest, reterr);
    if (st == WH_OK && !l->root) {
        l->root = TAKE_PTR(root);
        root = wh_strdup(l->root);
        st = root ? WH_OK : no_memory(reterr);
    } else if (st == WH_OK && strcmp(root, l->root) != 0) {
        st = widen_root(l, reterr);
        if (st == WH_OK && root[1])
            st = wh_buf_printf(&prefix, "%s/", root + 1);
        g->prefix = prefix.n ? prefix.p : "";
    }
    if (st == WH_OK)
        st = files_storage_open(&s, g->ep->storage, root, reterr);
    if (st == WH_OK) {
        g->said = (struct wh_str){full.p, full.n - strlen(rest)};
        st = find_below(&s, path, rest, g, reterr);
    }
    g->prefix = "";
    g->said = (struct wh_str){"", 0};
    files_storage_close(&s);
    wh_buf_free(&full);
    wh_buf_free(&prefix);
    wh_free(root);
    wh_free(rest);
    return st;
}

/* A path that finds nothing is no trouble where the options say so. */
static wh_status find_one(struct finding *g, const char *path, struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st = find_path(g, path, &err);
    if (st == WH_E_NOT_FOUND && g->opts && g->opts->on_missing == FILES_MISSING_SKIP &&
        strcmp(err.code, "E2014") != 0) {
        g->list->missing++;
        return WH_OK;
    }
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

/* ---- a list of paths --------------------------------------------------------------------------
 */

wh_status files_read_small(const struct files_endpoint *ep, const char *path, size_t most,
                           struct wh_buf *out, char **ret_root, struct wh_error *reterr)
{
    char *root = NULL, *rest = NULL;
    struct files_storage s = {0};
    void *in = NULL;
    int st = files_split_plain(ep, path, &root, &rest, reterr);
    if (st == WH_OK)
        st = files_storage_open(&s, ep->storage, root, reterr);
    if (st == WH_OK && !(in = wh_calloc(1, s.ops->in_size)))
        st = no_memory(reterr);
    if (st == WH_OK) {
        st = s.ops->read_open(in, s.st, rest, reterr);
        for (size_t got = 1; st == WH_OK && got;) {
            if (out->n >= most || wh_buf_reserve(out, 64 << 10) != WH_OK) {
                st = wh_fail(reterr, WH_E_LIMIT, "E8006", "'%s' is too large", path);
                break;
            }
            st = s.ops->pread(in, out->p + out->n, 64 << 10, (int64_t)out->n, &got, reterr);
            out->n += st == WH_OK ? got : 0;
        }
        s.ops->read_close(in);
    }
    wh_free(in);
    files_storage_close(&s);
    wh_free(rest);
    if (ret_root && st == WH_OK)
        *ret_root = TAKE_PTR(root);
    wh_free(root);
    return st;
}

/* Paths, one a line, from the folder of the list on; empty lines are none. */
static wh_status find_listed(struct finding *g, const char *list, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(LIST_MAX);
    const char *slash = strrchr(list, '/');
    int folder = slash ? (int)(slash - list) + 1 : 0;
    size_t named = 0;
    int st = files_read_small(g->ep, list, LIST_MAX - (1 << 20), &text, NULL, reterr);
    size_t at = st == WH_OK && text.n >= 3 && !memcmp(text.p, "\xef\xbb\xbf", 3) ? 3 : 0;
    while (st == WH_OK && at < text.n) {
        const char *line = text.p + at, *end = memchr(line, '\n', text.n - at);
        size_t n = end ? (size_t)(end - line) : text.n - at;
        at += n + 1;
        while (n && (line[n - 1] == '\r' || line[n - 1] == ' ' || line[n - 1] == '\t'))
            n--;
        if (!n)
            continue;
        WH_CLEANUP(wh_buf_free) struct wh_buf path = WH_BUF(PATH_MAX * 2);
        named++;
        if (memchr(line, 0, n) || wh_buf_printf(&path, "%.*s%.*s", line[0] == '/' ? 0 : folder,
                                                list, (int)n, line) != WH_OK)
            return wh_fail(reterr, WH_E_USAGE, "E1002", "line %zu of '%s' is no path", named, list);
        st = find_one(g, path.p, reterr);
        if (st < 0 && reterr && !reterr->where[0])
            wh_error_where(reterr, "%s", list);
    }
    if (st == WH_OK && !named && g->opts->on_missing != FILES_MISSING_SKIP)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E1028", "the list '%s' names no file", list);
    return st;
}

/* ---- twice ------------------------------------------------------------------------------------
 */

/* What files are compared by: their place, or size and content. */
struct twin {
    size_t at;
    const struct files_entry *e;
    char sum[WH_DIGEST_HEX];
};

static int by_place(const void *a, const void *b)
{
    const struct twin *x = a, *y = b;
    int c = strcmp(x->e->name, y->e->name);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

static int by_content(const void *a, const void *b)
{
    const struct twin *x = a, *y = b;
    int c = (x->e->size > y->e->size) - (x->e->size < y->e->size);
    if (!c)
        c = strcmp(x->sum, y->sum);
    return c ? c : (x->at > y->at) - (x->at < y->at);
}

/* Sums of files that have the size of another one. */
static wh_status sum_twins(const struct finding *g, struct twin *v, size_t n,
                           struct wh_error *reterr)
{
    struct files_storage s = {0};
    qsort(v, n, sizeof *v, by_content);
    int st = files_storage_open(&s, g->ep->storage, g->list->root, reterr);
    for (size_t i = 0; st == WH_OK && i < n; i++) {
        bool before = i && v[i - 1].e->size == v[i].e->size;
        bool behind = i + 1 < n && v[i + 1].e->size == v[i].e->size;
        if (before || behind)
            st = files_digest(&s, v[i].e->name, WH_SHA256, g->ep->ctx, v[i].sum, reterr);
    }
    files_storage_close(&s);
    qsort(v, n, sizeof *v, by_content);
    return st;
}

static wh_status met_twice(const struct finding *g, const struct twin *first,
                           const struct twin *second, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1028", "'%s/%s' is named twice", g->list->root,
                     second->e->name);
    wh_error_hint(reterr, "duplicates=once reads it once, duplicates=keep as often as it is named");
    return st;
}

static wh_status drop_twins(struct finding *g, int how, struct wh_error *reterr)
{
    struct files_list *l = g->list;
    size_t n = l->n, kept = 0;
    bool content = how == FILES_TWICE_CONTENT;
    WH_CLEANUP(wh_freep) struct twin *v = wh_calloc(n + 1, sizeof *v);
    WH_CLEANUP(wh_freep) bool *drop = wh_calloc(n + 1, sizeof *drop);
    if (!v || !drop)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++)
        v[i] = (struct twin){.at = i, .e = &l->v[i]};
    if (content)
        WH_TRY(sum_twins(g, v, n, reterr));
    else
        qsort(v, n, sizeof *v, by_place);
    for (size_t i = 1; i < n; i++) {
        bool same = content ? v[i].e->size == v[i - 1].e->size && !strcmp(v[i].sum, v[i - 1].sum)
                            : !strcmp(v[i].e->name, v[i - 1].e->name);
        if (same && how == FILES_TWICE_FAIL)
            return met_twice(g, &v[i - 1], &v[i], reterr);
        drop[v[i].at] = same;
    }
    for (size_t i = 0; i < n; i++) {
        if (!drop[i]) {
            l->v[kept++] = l->v[i];
            continue;
        }
        wh_free(l->v[i].name);
        wh_free(l->v[i].shown);
    }
    l->twice = (int64_t)(n - kept);
    l->n = kept;
    return WH_OK;
}

/* ---- readiness --------------------------------------------------------------------------------
 */

static wh_status not_ready(const struct files_from *o, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_IO, "E4018", "'%s' is not there%s", o->ready_file,
                     o->ready_wait ? ", and was waited for" : "");
    if (reterr)
        reterr->retriable = true;
    wh_error_hint(reterr, "its maker is not done yet; --from ready_wait=10m waits longer");
    return st;
}

/* Until the file that says that all others are complete is there. */
static wh_status wait_ready(const struct files_endpoint *ep, const struct files_from *o,
                            struct wh_error *reterr)
{
    int64_t until = wh_now_ns() + o->ready_wait * 1000000;
    for (;;) {
        char *root = NULL, *rest = NULL;
        struct files_storage s = {0};
        struct wh_file_info info;
        struct wh_error err = {0};
        int st = files_split_plain(ep, o->ready_file, &root, &rest, &err);
        if (st == WH_OK)
            st = files_storage_open(&s, ep->storage, root, &err);
        if (st == WH_OK)
            st = s.ops->stat(s.st, rest, &info, &err);
        files_storage_close(&s);
        wh_free(root);
        wh_free(rest);
        if (st == WH_OK)
            return WH_OK;
        if (st != WH_E_NOT_FOUND) {
            if (reterr)
                *reterr = err;
            return st;
        }
        int64_t now = wh_now_ns(), next = now + (int64_t)READY_EVERY_MS * 1000000;
        if (now >= until)
            return not_ready(o, reterr);
        st = ep->ctx->wait(ep->ctx, -1, 0, next < until ? next : until, &err);
        if (st == WH_E_CANCELLED) {
            if (reterr)
                *reterr = err;
            return st;
        }
    }
}

/* ---- what was written in parts ----------------------------------------------------------------
 */

/* FOLDER/TABLE-*.csv and a manifest: a target's own name, which is read back to be compared. Its
 * manifest says which files it is, whatever else lies beside them. */
static bool is_in_parts(const char *path)
{
    struct wh_str tail = WH_STR(FILES_PARTS_TAIL);
    size_t n = strlen(path);
    return n > tail.n && strcmp(path + n - tail.n, tail.s) == 0;
}

static wh_status find_parts(struct finding *g, const char *path, struct wh_error *reterr)
{
    const char *slash = strrchr(path, '/'), *stem = slash ? slash + 1 : path, *star = stem;
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(LIST_MAX), name = WH_BUF(PATH_MAX * 2);
    WH_CLEANUP(wh_arena_freep) struct wh_arena *arena = wh_arena_new((size_t)1 << 30);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *doc = NULL;
    for (const char *p = strstr(stem, "-*"); p; p = strstr(p + 1, "-*"))
        star = p;
    if (!arena || wh_buf_printf(&name, "%.*s_wherry_manifest.%.*s.json", (int)(stem - path), path,
                                (int)(star - stem), stem) != WH_OK)
        return no_memory(reterr);
    int st = files_read_small(g->ep, name.p, LIST_MAX - (1 << 20), &text, NULL, reterr);
    if (st == WH_E_NOT_FOUND)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                       "'%s' is not there: parts that were appended are not read back", name.p);
    WH_TRY(st);
    if (wh_json_parse(arena, name.p, text.p, text.n, &doc, &problems) != WH_OK)
        return wh_fail(reterr, WH_E_USAGE, "E1002", "'%s' is no manifest", name.p);
    const struct wh_node *files = wh_node_get(doc, "files");
    g->list->as_is = !strcmp(wh_node_text(wh_node_get(doc, "format"), ""), "binary");
    for (size_t i = 0; st == WH_OK && files && i < files->n; i++) {
        size_t before = g->list->n;
        const char *part = wh_node_text(wh_node_get(files->items[i], "name"), "");
        wh_buf_clear(&name);
        if (wh_buf_printf(&name, "%.*s%s", (int)(stem - path), path, part) != WH_OK)
            return no_memory(reterr);
        st = find_one(g, name.p, reterr);
        if (g->list->n > before)
            g->list->v[before].said_n = (size_t)(stem - path);
    }
    return st;
}

/* ---- all --------------------------------------------------------------------------------------
 */

static wh_status times(struct finding *g, struct wh_error *reterr)
{
    const struct files_from *o = g->opts;
    const struct wh_ctx *ctx = g->ep->ctx;
    g->since_us = INT64_MIN;
    g->until_us = INT64_MAX;
    if (o && o->modified_since)
        WH_TRY(ctx->instant(ctx, o->modified_since, &g->since_us, reterr));
    if (o && o->modified_until)
        WH_TRY(ctx->instant(ctx, o->modified_until, &g->until_us, reterr));
    if (g->since_us >= g->until_us)
        return wh_fail(reterr, WH_E_USAGE, "E1007",
                       "modified_since is not before modified_until: no file can be of that time");
    return WH_OK;
}

static wh_status find(struct finding *g, const struct wh_name *object, struct wh_error *reterr)
{
    const struct files_from *o = g->opts;
    bool named = object && object->n && object->part[0].n;
    int st = times(g, reterr);
    if (st == WH_OK && o && o->ready_file)
        st = wait_ready(g->ep, o, reterr);
    if (st == WH_OK && named) {
        WH_CLEANUP(wh_freep) char *path = wh_strndup(object->part[0].s, object->part[0].n);
        st = !path               ? no_memory(reterr)
             : is_in_parts(path) ? find_parts(g, path, reterr)
                                 : find_one(g, path, reterr);
    }
    for (size_t i = 0; st == WH_OK && o && i < o->path.n; i++)
        if (!named || !wh_str_eqs(object->part[0], o->path.v[i]))
            st = find_one(g, o->path.v[i], reterr);
    if (st == WH_OK && o && o->list)
        st = find_listed(g, o->list, reterr);
    if (st == WH_OK && g->list->n > 1 && (!o || o->duplicates != FILES_TWICE_KEEP))
        st = drop_twins(g, o ? o->duplicates : FILES_TWICE_ONCE, reterr);
    return st;
}

wh_status files_find(const struct files_endpoint *ep, const struct wh_name *object,
                     const struct files_from *opts, struct files_list *ret, struct wh_error *reterr)
{
    bool more = opts && (opts->path.n || opts->list);
    bool named = object && object->n && object->part[0].n;
    struct finding g = {.ep = ep,
                        .list = ret,
                        .opts = opts,
                        .prefix = "",
                        .explicit_format = opts && opts->format != FILES_FORMAT_AUTO};
    *ret = (struct files_list){0};
    if (!named && !more)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "no path is given");
    if (named && wh_str_eqs(object->part[0], "-")) {
        ret->is_stdin = true;
        return more ? wh_fail(reterr, WH_E_USAGE, "E1007",
                              "standard input cannot be read together with files")
                    : WH_OK;
    }
    int st = find(&g, object, reterr);
    if (st == WH_OK && !ret->n)
        st = WH_END;
    if (st != WH_OK)
        files_list_free(ret);
    return st;
}
