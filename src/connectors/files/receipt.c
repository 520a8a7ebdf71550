/* SPDX-License-Identifier: Apache-2.0 */
/* Receipts, side files, names, small files. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "pack.h"
#include "sink.h"

enum {
    PARTS_MAX = 1000 * 1000
};
#define AS_IS      (UINT64_C(1) << 63) /* in the number of parts: they say of which files they are */
#define SIDE_MAGIC 0x3172656373687277u

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a receipt");
}

/* ---- receipts ---------------------------------------------------------------------------------
 */

void sink_receipt_free(struct sink_receipt *r)
{
    for (size_t i = 0; i < r->n; i++)
        wh_free(r->v[i].path);
    wh_free(r->v);
    *r = (struct sink_receipt){0};
}

wh_status sink_receipt_add(struct sink_receipt *r, const struct sink_part *p)
{
    if (r->n == r->cap) {
        size_t cap = r->cap ? r->cap * 2 : 4;
        struct sink_part *v = cap <= PARTS_MAX ? wh_realloc(r->v, cap * sizeof *v) : NULL;
        if (!v)
            return WH_E_NOMEM;
        r->v = v;
        r->cap = cap;
    }
    r->v[r->n++] = *p;
    return WH_OK;
}

wh_status sink_receipt_write(const struct sink_receipt *r, struct wh_buf *out)
{
    struct pack k = {out, WH_OK};
    bool as_is = r->n && r->v[0].path;
    pack_u64(&k, r->n | (as_is ? AS_IS : 0));
    for (size_t i = 0; i < r->n; i++) {
        pack_text(&k, r->v[i].name);
        pack_u64(&k, (uint64_t)r->v[i].header_n);
        pack_u64(&k, (uint64_t)r->v[i].size);
        pack_u64(&k, (uint64_t)r->v[i].rows);
        pack_u64(&k, r->v[i].hash);
        if (!as_is)
            continue;
        pack_text(&k, r->v[i].path);
        pack_u64(&k, (uint64_t)r->v[i].offset);
        pack_u64(&k, (uint64_t)r->v[i].total);
        pack_u64(&k, (uint64_t)r->v[i].mtime_us);
        pack_u64(&k, r->v[i].mode);
    }
    return k.st;
}

static bool read_as_is(struct unpack *u, struct sink_part *p, struct wh_str *ret_path)
{
    *ret_path = unpack_bytes(u);
    p->offset = (int64_t)unpack_u64(u);
    p->total = (int64_t)unpack_u64(u);
    p->mtime_us = (int64_t)unpack_u64(u);
    p->mode = (uint32_t)unpack_u64(u);
    return !u->bad && ret_path->n && p->offset >= 0 && p->total >= 0 &&
           !memchr(ret_path->s, 0, ret_path->n);
}

wh_status sink_receipt_read(struct wh_bytes b, struct sink_receipt *ret, struct wh_error *reterr)
{
    struct unpack u = unpack_of(b);
    *ret = (struct sink_receipt){0};
    uint64_t n = unpack_u64(&u);
    bool as_is = n & AS_IS;
    for (n &= ~AS_IS; n && !u.bad; n--) {
        struct wh_str path = {NULL, 0};
        struct sink_part p = {.header_n = 0};
        struct wh_str name = unpack_bytes(&u);
        snprintf(p.name, sizeof p.name, "%.*s", WH_STR_FMT(name));
        p.header_n = (int64_t)unpack_u64(&u);
        p.size = (int64_t)unpack_u64(&u);
        p.rows = (int64_t)unpack_u64(&u);
        p.hash = unpack_u64(&u);
        u.bad |= p.header_n < 0 || p.size < p.header_n || !name.n || name.n >= sizeof p.name;
        u.bad |= as_is && !read_as_is(&u, &p, &path);
        if (!u.bad && as_is)
            p.path = wh_strndup(path.s, path.n);
        if (!u.bad && ((as_is && !p.path) || sink_receipt_add(ret, &p) != WH_OK)) {
            wh_free(p.path);
            sink_receipt_free(ret);
            return no_memory(reterr);
        }
    }
    if (!u.bad && !u.n)
        return WH_OK;
    sink_receipt_free(ret);
    return wh_fail(reterr, WH_E_STATE, "E7016", "the receipt of a unit cannot be read");
}

/* ---- side files -------------------------------------------------------------------------------
 */

wh_status sink_side_write(const struct wh_marker *m, struct wh_bytes receipt, struct wh_buf *out)
{
    struct pack k = {out, WH_OK};
    const int64_t counts[] = {m->rows, m->bytes, m->dirty, m->filtered, m->skipped};
    pack_u64(&k, SIDE_MAGIC);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        pack_u64(&k, (uint64_t)counts[i]);
    pack_u64(&k, m->hash[0]);
    pack_u64(&k, m->hash[1]);
    pack_bytes(&k, m->rest.p, m->rest.n);
    pack_bytes(&k, m->end.p, m->end.n);
    pack_bytes(&k, receipt.p, receipt.n);
    if (k.st == WH_OK)
        pack_u64(&k, wh_hash64(out->p, out->n, 0));
    return k.st;
}

bool sink_side_read(struct wh_bytes b, struct wh_marker *ret, struct wh_bytes *ret_receipt)
{
    struct unpack u = unpack_of(b);
    int64_t *const counts[] = {&ret->rows, &ret->bytes, &ret->dirty, &ret->filtered, &ret->skipped};
    *ret = (struct wh_marker){0};
    if (unpack_u64(&u) != SIDE_MAGIC)
        return false;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++)
        *counts[i] = (int64_t)unpack_u64(&u);
    ret->hash[0] = unpack_u64(&u);
    ret->hash[1] = unpack_u64(&u);
    struct wh_str rest = unpack_bytes(&u), end = unpack_bytes(&u), receipt = unpack_bytes(&u);
    ret->rest = (struct wh_bytes){rest.s, rest.n};
    ret->end = (struct wh_bytes){end.s, end.n};
    *ret_receipt = (struct wh_bytes){receipt.s, receipt.n};
    if (u.bad || u.n != 8)
        return false;
    uint64_t sum = wh_hash64(b.p, b.n - 8, 0);
    return unpack_u64(&u) == sum;
}

/* ---- names ------------------------------------------------------------------------------------
 */

void sink_run_tag(const struct wh_fence *fence, char out[13])
{
    struct wh_str run = fence ? fence->run : WH_STR("");
    size_t from = run.n, n = 0;
    while (from > 0 && run.n - from < 12 && isalnum((unsigned char)run.s[from - 1]))
        from--;
    for (; from < run.n; from++)
        out[n++] = run.s[from];
    if (n < 4) /* an id of our own making by a user: any text */
        n = (size_t)snprintf(out, 13, "%012llx",
                             (unsigned long long)(wh_hash64(run.s, run.n, 0) >> 16));
    out[n] = 0;
}

void sink_stage_folder(const struct sink_target *fl, const struct wh_fence *fence, char *out)
{
    char tag[13];
    sink_run_tag(fence, tag);
    snprintf(out, SINK_NAME, "%s.wherry-%s", fl->folder, tag);
}

static const char *piece(const char *t, const char *word, size_t *n)
{
    *n = strlen(word);
    return !strncmp(t, word, *n) ? t : NULL;
}

void sink_final_name(const struct sink_target *fl, const struct wh_fence *fence, int64_t number,
                     char *out)
{
    char tag[13];
    size_t at = (size_t)snprintf(out, SINK_NAME, "%s", fl->folder), n;
    if (!fl->parts) {
        snprintf(out, SINK_NAME, "%s%s", fl->folder, fl->file);
        return;
    }
    sink_run_tag(fence, tag);
    for (const char *t = fl->template; *t && at < SINK_NAME - 1; t += n) {
        if (piece(t, "{name}", &n))
            at += (size_t)snprintf(out + at, SINK_NAME - at, "%s", fl->stem);
        else if (piece(t, "{run}", &n))
            at += (size_t)snprintf(out + at, SINK_NAME - at, "%s", tag);
        else if (piece(t, "{n}", &n))
            at += (size_t)snprintf(out + at, SINK_NAME - at, "%05lld", (long long)number);
        else
            at += (size_t)snprintf(out + at, SINK_NAME - at, "%.*s", (int)(n = 1), t);
    }
    if (at < SINK_NAME)
        snprintf(out + at, SINK_NAME - at, "%s", fl->suffix);
}

void sink_attempt_name(const struct wh_unit *u, int32_t attempt, char *out, size_t cap)
{
    snprintf(out, cap, "f%u.u%lld.g%u.a%d", u->flow, (long long)u->id, u->generation, attempt);
}

/* ---- bytes ------------------------------------------------------------------------------------
 */

uint64_t sink_hash(uint64_t so_far, const void *p, size_t n)
{
    return wh_hash64(p, n, so_far);
}

wh_status sink_hash_file(const struct sink_target *fl, const char *name, int64_t from, int64_t n,
                         uint64_t *ret, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = fl->storage.ops;
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, ops->in_size);
    WH_CLEANUP(wh_freep) uint8_t *block = wh_alloc(SINK_BLOCK);
    uint64_t hash = 0;
    if (!in || !block)
        return no_memory(reterr);
    int st = ops->read_open(in, fl->storage.st, name, reterr);
    while (st == WH_OK && n > 0) {
        size_t want = n < SINK_BLOCK ? (size_t)n : SINK_BLOCK, got = 0, k = 1;
        while (st == WH_OK && got < want && k) {
            st = ops->pread(in, block + got, want - got, from + (int64_t)got, &k, reterr);
            got += st == WH_OK ? k : 0;
        }
        if (st == WH_OK && got < want)
            st = wh_fail(reterr, WH_E_DATA, "E5012", "'%s' is shorter than it was", name);
        hash = sink_hash(hash, block, got);
        from += (int64_t)got;
        n -= (int64_t)got;
    }
    ops->read_close(in);
    *ret = hash;
    return st;
}

wh_status sink_put_small(const struct sink_target *fl, const char *name, const void *p, size_t n,
                         bool durable, struct wh_error *reterr)
{
    const struct files_storage s = files_storage_bare(&fl->storage);
    const struct wh_storage_ops *ops = s.ops;
    WH_CLEANUP(wh_freep) void *out = wh_calloc(1, ops->out_size);
    if (!out)
        return no_memory(reterr);
    int st = ops->put_open(out, s.st, name, reterr);
    if (st == WH_OK)
        st = ops->put(out, p, n, reterr);
    if (st == WH_OK)
        st = (durable || !ops->put_keep ? ops->put_finish : ops->put_keep)(out, reterr);
    ops->put_close(out);
    return st;
}

wh_status sink_get_small(const struct sink_target *fl, const char *name, size_t max,
                         struct wh_buf *out, struct wh_error *reterr)
{
    const struct files_storage s = files_storage_bare(&fl->storage);
    const struct wh_storage_ops *ops = s.ops;
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, ops->in_size);
    size_t got = 1;
    if (!in)
        return no_memory(reterr);
    int st = ops->read_open(in, s.st, name, reterr);
    while (st == WH_OK && got) {
        if (wh_buf_reserve(out, 65536) != WH_OK) {
            st = no_memory(reterr);
            break;
        }
        if (out->n > max) {
            st = wh_fail(reterr, WH_E_LIMIT, "E7016", "'%s' is larger than it can be", name);
            break;
        }
        st = ops->pread(in, out->p + out->n, 65536, (int64_t)out->n, &got, reterr);
        out->n += st == WH_OK ? got : 0;
    }
    ops->read_close(in);
    if (st == WH_OK)
        out->p[out->n] = 0;
    return st;
}

/* Packed as a member of its own. */
static wh_status pack_alone(const struct sink_target *fl, const void *p, size_t n,
                            struct wh_buf *out, struct wh_error *reterr)
{
    struct wh_encoder *e = NULL;
    if (fl->codec == WH_CODEC_NONE)
        return n && wh_buf_add(out, p, n) != WH_OK ? no_memory(reterr) : WH_OK;
    int st = wh_encoder_new(fl->codec, fl->level, &e, reterr);
    if (st == WH_OK)
        st = wh_encode(e, p, n, out, reterr);
    if (st == WH_OK)
        st = wh_encode_end(e, out, reterr);
    wh_encoder_free(e);
    return st;
}

/* A mark as it is, then text in the target's charset, packed. */
static wh_status mark_and_text(const struct sink_target *fl, const char *mark, const char *p,
                               size_t n, struct wh_buf *out, struct wh_error *reterr)
{
    struct wh_buf bytes = WH_BUF(64 << 20);
    void *cd = NULL;
    int st = wh_buf_adds(&bytes, mark) == WH_OK ? WH_OK : no_memory(reterr);
    if (st == WH_OK)
        st = sink_charset_open(fl, &cd, reterr);
    if (st == WH_OK && cd)
        st = sink_charset_put(fl, cd, p, n, &bytes, reterr);
    else if (st == WH_OK && n && wh_buf_add(&bytes, p, n) != WH_OK)
        st = no_memory(reterr);
    if (st == WH_OK && bytes.n)
        st = pack_alone(fl, bytes.p, bytes.n, out, reterr);
    sink_charset_close(cd);
    wh_buf_free(&bytes);
    return st;
}

static wh_status header_text(const struct sink_target *fl, struct wh_buf *out,
                             struct wh_error *reterr)
{
    struct wh_csv_writer *csv = NULL;
    if (fl->shape == FILES_FORMAT_JSON)
        return wh_buf_adds(out, "[\n");
    int st = wh_csv_writer_new(&fl->format, &fl->schema, &csv, reterr);
    if (st == WH_OK)
        st = wh_csv_write_header(csv, out);
    wh_csv_writer_free(csv);
    return st;
}

wh_status sink_header(const struct sink_target *fl, struct wh_buf *out, struct wh_error *reterr)
{
    struct wh_buf text = WH_BUF(64 << 20);
    int st = fl->header ? header_text(fl, &text, reterr) : WH_OK;
    if (st == WH_OK)
        st = mark_and_text(fl, fl->mark, text.p, text.n, out, reterr);
    wh_buf_free(&text);
    return st == WH_E_NOMEM || st == WH_E_LIMIT ? no_memory(reterr) : st;
}

wh_status sink_no_rows(const struct sink_target *fl, struct wh_buf *out, struct wh_error *reterr)
{
    WH_TRY(sink_header(fl, out, reterr));
    if (!out->n) /* a packed file is not quite empty */
        return pack_alone(fl, "", 0, out, reterr);
    return fl->footer.n && wh_buf_add(out, fl->footer.p, fl->footer.n) != WH_OK ? no_memory(reterr)
                                                                                : WH_OK;
}

wh_status sink_array_marks(struct sink_target *fl, struct wh_error *reterr)
{
    if (fl->shape != FILES_FORMAT_JSON)
        return WH_OK;
    WH_TRY(mark_and_text(fl, "", ",\n", 2, &fl->comma, reterr));
    return mark_and_text(fl, "", "\n]\n", 3, &fl->footer, reterr);
}
