/* SPDX-License-Identifier: Apache-2.0 */
/* Drives the file connector as the engine does: scan, splits, readers with chaining; target, units,
 * commit, steps. Shared by the tests of the files family. */
#ifndef WHERRY_TESTS_UNIT_FILES_RIG_H
#define WHERRY_TESTS_UNIT_FILES_RIG_H

#include "test.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/options.h"
#include "data/rowhash.h"
#include "data/view.h"
#include "files_ctx.h"

WH_CONNECTOR(file);
#define FILE_CONNECTOR (&wh_connector_file)

enum {
    RIG_UNITS = 64,
    RIG_STEPS = 16,
};

#define must(expr, err)                                                                            \
    do {                                                                                           \
        int must_ = (expr);                                                                        \
        if (must_ != WH_OK)                                                                        \
            fail_msg("%s: %s %s %s: %s (%s)", #expr, wh_status_name(must_), (err).code,            \
                     (err).where, (err).message, (err).hint);                                      \
    } while (0)

/* ---- a folder of its own ----------------------------------------------------------------------
 */

struct rig {
    char folder[64];
    struct files_ctx fake;
    struct wh_arena *arena;
    void *ep, *se;
};

static inline void rig_open(struct rig *r)
{
    struct wh_error err = {0};
    struct wh_str ident;
    memset(r, 0, sizeof *r);
    snprintf(r->folder, sizeof r->folder, "/tmp/wherry-test-XXXXXX");
    assert_non_null(mkdtemp(r->folder));
    files_ctx_init(&r->fake, "r-20261122-0123456789ab");
    r->arena = wh_arena_new(1 << 20);
    r->ep = wh_calloc(1, FILE_CONNECTOR->ep_size);
    r->se = wh_calloc(1, FILE_CONNECTOR->se_size);
    must(FILE_CONNECTOR->endpoint->open(r->ep, &r->fake.ctx, WH_COORDINATOR, NULL, &err), err);
    must(FILE_CONNECTOR->endpoint->session_open(r->se, r->ep, WH_CONTROL, &ident, &err), err);
}

static inline void rig_remove(const char *folder)
{
    DIR *d = opendir(folder);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct wh_buf path = WH_BUF(1 << 16);
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, ".."))
            continue;
        assert_ok(wh_buf_printf(&path, "%s/%s", folder, e->d_name));
        if (e->d_type == DT_DIR)
            rig_remove(path.p);
        else
            unlink(path.p);
        wh_buf_free(&path);
    }
    if (d)
        closedir(d);
    rmdir(folder);
}

static inline void rig_close(struct rig *r)
{
    FILE_CONNECTOR->endpoint->session_close(r->se);
    FILE_CONNECTOR->endpoint->close(r->ep);
    wh_free(r->ep);
    wh_free(r->se);
    wh_arena_free(r->arena);
    files_ctx_free(&r->fake);
    rig_remove(r->folder);
}

static inline const char *rig_path(struct rig *r, const char *name)
{
    return wh_arena_printf(r->arena, "%s/%s", r->folder, name);
}

static inline void rig_put(struct rig *r, const char *name, const void *p, size_t n)
{
    FILE *f = fopen(rig_path(r, name), "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(p, 1, n, f), n);
    fclose(f);
}

static inline void rig_puts(struct rig *r, const char *name, const char *text)
{
    rig_put(r, name, text, strlen(text));
}

/* The whole file, terminated; NULL if there is none. */
static inline char *rig_get(struct rig *r, const char *name, size_t *ret_n)
{
    FILE *f = fopen(rig_path(r, name), "rb");
    if (!f)
        return NULL;
    struct wh_buf b = WH_BUF(1 << 30);
    size_t k = 1;
    while (k) {
        assert_ok(wh_buf_reserve(&b, 65536));
        k = fread(b.p + b.n, 1, 65536, f);
        b.n += k;
    }
    fclose(f);
    b.p[b.n] = 0;
    if (ret_n)
        *ret_n = b.n;
    return wh_buf_take(&b);
}

static inline bool rig_exists(struct rig *r, const char *name)
{
    struct stat s;
    return stat(rig_path(r, name), &s) == 0;
}

/* "key=value" texts, NULL-terminated, into a filled option struct. */
static inline void *rig_options(struct rig *r, const struct wh_options *t, const char *const *kv)
{
    void *o = wh_arena_alloc(r->arena, t->size);
    struct wh_problems problems = {.arena = r->arena};
    assert_ok(wh_options_init(t, o, r->arena));
    for (; kv && *kv; kv++) {
        const char *eq = strchr(*kv, '=');
        char *key = wh_arena_strndup(r->arena, *kv, (size_t)(eq - *kv));
        if (!wh_options_set_text(t, o, r->arena, key, eq + 1, "test", &problems))
            fail_msg("%s: %s", *kv, problems.v[problems.n - 1].message);
    }
    return o;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct rig_scan {
    struct rig *r;
    struct wh_scan io;
    struct wh_name object;
    struct ArrowSchema schema;
    void *sc;
    struct wh_error err;
    int status;
    /* what was read */
    struct wh_buf text;
    int64_t rows, corrected, retried, splits;
    struct wh_rowsum sum;
};

static inline void rig_scan_prepare(struct rig_scan *s, struct rig *r, const char *path,
                                    const char *const *kv, int64_t unit_bytes)
{
    memset(s, 0, sizeof *s);
    s->r = r;
    s->text = WH_BUF(1 << 30);
    s->object = (struct wh_name){.part = {wh_str(path)}, .n = 1};
    s->io = (struct wh_scan){.object = &s->object,
                             .opts = rig_options(r, FILE_CONNECTOR->from, kv),
                             .ctx = &r->fake.ctx,
                             .parallel = 2,
                             .unit_bytes = unit_bytes};
}

static inline void rig_scan_run(struct rig_scan *s)
{
    struct rig *r = s->r;
    s->status = FILE_CONNECTOR->validate(NULL, s->io.opts, NULL, &s->err);
    s->sc = wh_calloc(1, FILE_CONNECTOR->source->sc_size);
    if (s->status == WH_OK)
        s->status =
            FILE_CONNECTOR->source->scan_open(s->sc, r->ep, r->se, &s->io, &s->schema, &s->err);
}

static inline void rig_scan_open(struct rig_scan *s, struct rig *r, const char *path,
                                 const char *const *kv, int64_t unit_bytes)
{
    rig_scan_prepare(s, r, path, kv, unit_bytes);
    rig_scan_run(s);
}

static inline void rig_scan_close(struct rig_scan *s)
{
    wh_schema_release(&s->schema);
    FILE_CONNECTOR->source->scan_close(s->sc);
    wh_options_wipe(FILE_CONNECTOR->from, (void *)(uintptr_t)s->io.opts);
    wh_free(s->sc);
    wh_buf_free(&s->text);
}

/* The same scan in another process: from bounds and frozen schema. */
static inline void rig_scan_reopen(struct rig_scan *s)
{
    const struct wh_source_ops *ops = FILE_CONNECTOR->source;
    struct wh_buf bounds = WH_BUF(1 << 24);
    struct ArrowSchema frozen = s->schema;
    assert_ok(wh_buf_add(&bounds, s->io.ret_bounds.p, s->io.ret_bounds.n));
    ops->scan_close(s->sc);
    memset(s->sc, 0, ops->sc_size);
    s->io.bounds = (struct wh_bytes){bounds.p, bounds.n};
    s->io.frozen = &frozen;
    s->schema = (struct ArrowSchema){0};
    s->status = ops->scan_open(s->sc, s->r->ep, s->r->se, &s->io, &s->schema, &s->err);
    s->io.frozen = NULL;
    s->io.bounds = (struct wh_bytes){0};
    wh_schema_release(&frozen);
    wh_buf_free(&bounds);
}

static inline void rig_show(struct rig_scan *s, struct wh_batch *b, struct wh_buf *text)
{
    int64_t n = s->schema.n_children;
    struct wh_view *views = wh_calloc((size_t)n + 1, sizeof *views);
    must(wh_views_init(&s->schema, &b->rows, views, &s->err), s->err);
    assert_ok(wh_rowhash_add(&s->sum, views, n, NULL, 0, b->n_rows));
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < n; c++) {
            if (c)
                assert_ok(wh_buf_addc(text, '|'));
            if (wh_view_null(&views[c], r))
                assert_ok(wh_buf_adds(text, "NULL"));
            else
                assert_ok(wh_view_text(&views[c], r, text));
        }
        assert_ok(wh_buf_addc(text, '\n'));
    }
    s->rows += b->n_rows;
    wh_free(views);
    wh_batch_release(b);
}

/* One split to its end; after `cut_after` batches (> 0) it is cut and the rest read as another
 * split. *end: end of the range before, in and out. */
static inline int rig_read_split(struct rig_scan *s, const struct wh_split *split,
                                 struct wh_buf *end, int cut_after)
{
    const struct wh_source_ops *ops = FILE_CONNECTOR->source;
    void *rd = wh_calloc(1, ops->rd_size);
    struct ArrowSchema actual = {0};
    struct wh_buf text = WH_BUF(1 << 30), rest = WH_BUF(1 << 16);
    struct wh_rowsum sum_before = s->sum;
    int64_t rows_before = s->rows;
    int batches = 0;
    uint64_t seq = split->order_seq;
    int st = ops->reader_open(rd, s->sc, s->r->se, &s->r->fake.ctx, split, &actual, &s->err);
    while (st == WH_OK) {
        struct wh_batch b = {0};
        if (cut_after && batches == cut_after) {
            struct wh_split left;
            st = ops->reader_cut(rd, &left, NULL, &s->err);
            if (st == WH_OK)
                assert_ok(wh_buf_add(&rest, left.token.p, left.token.n));
            if (st >= 0)
                break;
        }
        st = ops->reader_next(rd, &b, &s->err);
        if (st == WH_OK) {
            rig_show(s, &b, &text);
            batches++;
        }
    }
    if (st == WH_END || st == WH_OK) {
        struct wh_split right;
        struct wh_bytes e = {end->p, end->n};
        st = seq && s->io.chained && end->n ? ops->reader_chain(rd, &e, &right, &s->err) : WH_OK;
        if (st == WH_REFUSED) { /* discard and do it again where it should begin */
            struct wh_buf token = WH_BUF(1 << 16);
            assert_ok(wh_buf_add(&token, right.token.p, right.token.n));
            right.token = (struct wh_bytes){token.p, token.n};
            ops->reader_close(rd);
            wh_free(rd);
            wh_buf_free(&text);
            s->sum = sum_before;
            s->rows = rows_before;
            s->corrected++;
            st = rig_read_split(s, &right, end, cut_after);
            wh_buf_free(&token);
            wh_buf_free(&rest);
            return st;
        }
        if (st == WH_OK && s->io.chained) {
            struct wh_bytes now;
            must(ops->reader_end(rd, &now, &s->err), s->err);
            wh_buf_clear(end);
            assert_ok(wh_buf_add(end, now.p, now.n));
        }
        if (st == WH_OK)
            assert_ok(wh_buf_add(&s->text, text.p ? text.p : "", text.n));
    } else {
        s->sum = sum_before;
        s->rows = rows_before;
    }
    ops->reader_close(rd);
    wh_free(rd);
    wh_buf_free(&text);
    if (st == WH_OK && rest.n) {
        struct wh_split left = *split;
        left.token = (struct wh_bytes){rest.p, rest.n};
        st = rig_read_split(s, &left, end, cut_after);
    }
    wh_buf_free(&rest);
    return st;
}

/* All splits in order; a retriable failure is tried once more. */
static inline int rig_read(struct rig_scan *s, int cut_after)
{
    const struct wh_source_ops *ops = FILE_CONNECTOR->source;
    struct wh_buf cursor = WH_BUF(1 << 16), end = WH_BUF(1 << 16), token = WH_BUF(1 << 16);
    int st = s->status;
    while (st == WH_OK) {
        struct wh_split split;
        struct wh_bytes at = {cursor.p, cursor.n}, after;
        st = ops->split_next(s->sc, s->r->se, cursor.n ? &at : NULL, &split, &after, &s->err);
        if (st != WH_OK)
            break;
        wh_buf_clear(&token);
        assert_ok(wh_buf_add(&token, split.token.p, split.token.n));
        split.token = (struct wh_bytes){token.p, token.n};
        struct wh_buf next = WH_BUF(1 << 16);
        assert_ok(wh_buf_add(&next, after.p, after.n));
        wh_buf_free(&cursor);
        cursor = next;
        s->splits++;
        if (!split.order_seq)
            wh_buf_clear(&end);
        st = rig_read_split(s, &split, &end, cut_after);
        if (st < 0 && s->err.retriable) {
            s->retried++;
            s->err = (struct wh_error){0};
            st = rig_read_split(s, &split, &end, cut_after);
        }
    }
    wh_buf_free(&cursor);
    wh_buf_free(&end);
    wh_buf_free(&token);
    s->status = st == WH_END ? WH_OK : st;
    return s->status;
}

/* ---- writing ----------------------------------------------------------------------------------
 */

struct rig_target {
    struct rig *r;
    struct wh_target io;
    struct wh_name object;
    void *fl;
    struct wh_fence fence;
    struct wh_error err;
    int status;
    struct wh_receipts receipts;
    struct wh_receipt got[RIG_UNITS];
    int64_t at;
};

static inline wh_status rig_receipt_next(struct wh_receipts *r, struct wh_receipt *ret)
{
    struct rig_target *t = r->self;
    if (t->at >= r->n)
        return WH_END;
    *ret = t->got[t->at++];
    return WH_OK;
}

static inline void rig_receipt_rewind(struct wh_receipts *r)
{
    ((struct rig_target *)r->self)->at = 0;
}

static inline void rig_target_open(struct rig_target *t, struct rig *r, const char *path,
                                   const char *const *kv, const struct ArrowSchema *source,
                                   enum wh_mode mode)
{
    memset(t, 0, sizeof *t);
    t->r = r;
    t->object = (struct wh_name){.part = {wh_str(path)}, .n = 1};
    t->fence =
        (struct wh_fence){.run = wh_str(r->fake.ctx.run), .epoch = 1, .flow = 1, .generation = 1};
    t->io = (struct wh_target){.object = &t->object,
                               .source_name = WH_STR("planes"),
                               .opts = rig_options(r, FILE_CONNECTOR->to, kv),
                               .ctx = &r->fake.ctx,
                               .source = source,
                               .mode = mode,
                               .fence = &t->fence};
    t->receipts =
        (struct wh_receipts){.self = t, .next = rig_receipt_next, .rewind = rig_receipt_rewind};
    t->fl = wh_calloc(1, FILE_CONNECTOR->sink->fl_size);
    t->status = FILE_CONNECTOR->validate(NULL, NULL, t->io.opts, &t->err);
    if (t->status == WH_OK)
        t->status = FILE_CONNECTOR->sink->target_open(t->fl, r->ep, r->se, &t->io, &t->err);
}

static inline void rig_target_close(struct rig_target *t)
{
    wh_schema_release(&t->io.accept);
    FILE_CONNECTOR->sink->target_close(t->fl);
    wh_free(t->fl);
    for (int64_t i = 0; i < t->receipts.n; i++) {
        void *p = (void *)(uintptr_t)t->got[i].receipt.p;
        wh_free(p);
    }
}

/* One split as one unit. */
static inline int rig_write_unit(struct rig_target *t, struct rig_scan *s,
                                 const struct wh_split *split, int64_t id, int32_t attempt,
                                 bool commit)
{
    const struct wh_source_ops *from = FILE_CONNECTOR->source;
    const struct wh_sink_ops *to = FILE_CONNECTOR->sink;
    void *rd = wh_calloc(1, from->rd_size), *wr = wh_calloc(1, to->wr_size);
    struct wh_unit unit = {.id = id, .flow = 1, .generation = 1, .attempt = attempt};
    struct ArrowSchema actual = {0};
    struct wh_tally tally;
    struct wh_bytes receipt;
    int64_t send = 0, rows = 0;
    struct wh_rowsum before = s->sum;
    int st = from->reader_open(rd, s->sc, t->r->se, &t->r->fake.ctx, split, &actual, &t->err);
    if (st == WH_OK)
        st = to->writer_open(wr, t->fl, t->r->se, &t->r->fake.ctx, &unit, &t->fence, &t->err);
    while (st == WH_OK) {
        struct wh_batch b = {0};
        struct wh_acks acks;
        st = from->reader_next(rd, &b, &t->err);
        if (st != WH_OK)
            break;
        st = to->writer_write(wr, &b, ++send, NULL, 0, b.n_rows, &acks, &t->err);
        if (st == WH_OK)
            assert_int_equal(acks.upto_send, send);
        rows += b.n_rows;
        rig_show(s, &b, &s->text);
    }
    if (st == WH_END && commit && rows) {
        must(to->writer_seal(wr, &tally, &t->err), t->err);
        assert_int_equal(tally.rows, rows);
        assert_true(tally.has_hash);
        assert_int_equal(tally.hash[0], s->sum.sum.lo - before.sum.lo);
        struct wh_marker marker = {.rows = rows, .hash = {tally.hash[0], tally.hash[1]}};
        must(to->writer_commit(wr, &marker, &receipt, &t->err), t->err);
        struct wh_receipt *got = &t->got[t->receipts.n++];
        char *copy = wh_strndup(receipt.p, receipt.n);
        *got = (struct wh_receipt){
            .unit = id, .rows = rows, .attempt = attempt, .receipt = {copy, receipt.n}};
    }
    to->writer_close(wr);
    from->reader_close(rd);
    wh_free(wr);
    wh_free(rd);
    return st == WH_END ? WH_OK : st;
}

static inline void rig_write_all(struct rig_target *t, struct rig_scan *s)
{
    struct wh_buf cursor = WH_BUF(1 << 16);
    int64_t id = 0;
    for (;;) {
        struct wh_split split;
        struct wh_bytes at = {cursor.p, cursor.n}, after;
        int st = FILE_CONNECTOR->source->split_next(s->sc, t->r->se, cursor.n ? &at : NULL, &split,
                                                    &after, &t->err);
        if (st == WH_END)
            break;
        must(st, t->err);
        struct wh_buf token = WH_BUF(1 << 16), next = WH_BUF(1 << 16);
        assert_ok(wh_buf_add(&token, split.token.p, split.token.n));
        assert_ok(wh_buf_add(&next, after.p, after.n));
        wh_buf_free(&cursor);
        cursor = next;
        split.token = (struct wh_bytes){token.p, token.n};
        must(rig_write_unit(t, s, &split, ++id, 1, true), t->err);
        wh_buf_free(&token);
    }
    wh_buf_free(&cursor);
}

struct rig_steps {
    struct wh_step_sink out;
    struct wh_step v[RIG_STEPS];
    uint8_t token[RIG_STEPS];
    char say[RIG_STEPS][400];
    int n;
};

static inline wh_status rig_step_add(struct wh_step_sink *out, const struct wh_step *step)
{
    struct rig_steps *s = out->self;
    assert_true(s->n < RIG_STEPS && step->token.n == 1);
    s->token[s->n] = *(const uint8_t *)step->token.p;
    snprintf(s->say[s->n], sizeof s->say[0], "%.*s", WH_STR_FMT(step->say));
    s->v[s->n] = *step;
    s->v[s->n].token = (struct wh_bytes){&s->token[s->n], 1};
    s->n++;
    return WH_OK;
}

/* Applies all steps of a phase; answers the first failure. */
static inline int rig_phase(struct rig_target *t, enum wh_phase phase, bool maybe_done)
{
    struct rig_steps s = {.n = 0};
    t->err = (struct wh_error){0};
    s.out = (struct wh_step_sink){&s, rig_step_add};
    must(FILE_CONNECTOR->sink->steps(t->fl, t->r->se, phase, &t->receipts, &s.out, &t->err),
         t->err);
    for (int i = 0; i < s.n; i++) {
        struct wh_bytes receipt;
        int st = FILE_CONNECTOR->sink->apply(t->fl, t->r->se, &s.v[i], &t->fence, &t->receipts,
                                             maybe_done, &receipt, &t->err);
        if (st != WH_OK)
            return st;
        assert_string_equal(t->err.code, ""); /* an error is written on failure only */
    }
    return WH_OK;
}

#endif
