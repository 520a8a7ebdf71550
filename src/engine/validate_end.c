/* SPDX-License-Identifier: Apache-2.0 */
/* One end of a pair while it is read: converted into the compared types, hashed, summed. */
#include "engine/validate_end.h"

#include <pthread.h>
#include <string.h>

#include "data/builder.h"
#include "engine/made.h"

/* ---- converting and hashing ---- */

static int64_t n_made(const struct wh_end *s)
{
    return s->flow ? s->flow->n_made : 0;
}

static const struct ArrowSchema *field_at(const struct wh_end *s, int64_t at)
{
    int64_t n = s->schema->n_children;

    return at < n ? s->schema->children[at] : s->flow->made_schema.children[at - n];
}

int wh_end_columns(struct wh_end *s, struct wh_error *reterr)
{
    struct wh_value_policy policy = {0};
    int64_t converted = 0, k = 0;
    s->convert = wh_calloc((size_t)s->n + 1, sizeof(*s->convert));
    s->in = wh_calloc((size_t)(s->schema->n_children + n_made(s)) + 1, sizeof(*s->in));
    s->out = wh_calloc((size_t)s->n + 1, sizeof(*s->out));
    if (!s->convert || !s->in || !s->out)
        return wh_plan_no_memory(reterr);
    if (s->flow)
        WH_TRY(wh_maker_new(s->flow, &s->maker, reterr));
    for (int64_t i = 0; i < s->n; i++) {
        if (s->flow)
            wh_plan_policy(s->flow, s->flow_column[i], &policy);
        WH_TRY(wh_convert_new(field_at(s, s->index[i]), s->compare->children[i], &policy,
                              &s->convert[i], reterr));
        converted += !wh_convert_is_identity(s->convert[i]);
    }
    if (converted == 0)
        return WH_OK;
    if (wh_schema_init(&s->built, converted) != WH_OK)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < s->n; i++) {
        struct wh_type t;
        if (wh_convert_is_identity(s->convert[i]))
            continue;
        WH_TRY(wh_type_of(s->compare->children[i], &t, reterr));
        if (wh_schema_set(&s->built, k++, s->compare->children[i]->name, &t, NULL) != WH_OK)
            return wh_plan_no_memory(reterr);
    }
    return wh_builder_new(&s->built, &s->builder, reterr);
}

static int room_for(struct wh_end *s, int64_t rows, struct wh_error *reterr)
{
    size_t n = (size_t)rows;
    if (rows <= s->cap_rows)
        return WH_OK;
    wh_free(s->bad);
    wh_free(s->rows_in);
    wh_free(s->key_hash);
    wh_free(s->rejects);
    s->cap_rows = 0;
    s->bad = wh_alloc(n);
    s->rows_in = wh_alloc(n * sizeof(*s->rows_in));
    s->key_hash = wh_alloc(n * sizeof(*s->key_hash));
    s->rejects = wh_alloc(n * sizeof(*s->rejects));
    if (!s->bad || !s->rows_in || !s->key_hash || !s->rejects)
        return wh_plan_no_memory(reterr);
    s->cap_rows = rows;
    return WH_OK;
}

static void does_not_fit(struct wh_end *s, const struct wh_cell_reject *rejects, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        s->unfit += !s->bad[rejects[i].row];
        s->bad[rejects[i].row] = 1;
    }
}

/* What the flow makes of the source's columns is compared as it was made for the destination. */
static int make_columns(struct wh_end *s, int64_t n, struct wh_batch *ret, struct wh_error *reterr)
{
    const struct wh_cell_reject *rejects;
    size_t n_rejects;

    if (!s->maker)
        return WH_OK;
    WH_TRY(wh_maker_run(s->maker, s->in, n, ret, &rejects, &n_rejects, reterr));
    does_not_fit(s, rejects, n_rejects);
    return wh_views_init(&s->flow->made_schema, &ret->rows, s->in + s->schema->n_children, reterr);
}

/* A row with a cell that does not convert counts as unfit, and is in no sum. */
static int convert_batch(struct wh_end *s, const struct wh_batch *b, struct wh_batch *ret_built,
                         struct wh_error *reterr)
{
    int64_t k = 0;
    for (int64_t i = 0; i < s->n; i++) {
        size_t n = 0;
        if (wh_convert_is_identity(s->convert[i])) {
            s->out[i] = s->in[s->index[i]];
            continue;
        }
        WH_TRY(wh_convert_run(s->convert[i], &s->in[s->index[i]], (int32_t)i,
                              wh_builder_column(s->builder, k++), s->rejects, (size_t)b->n_rows, &n,
                              reterr));
        does_not_fit(s, s->rejects, n);
    }
    if (!s->builder)
        return WH_OK;
    if (wh_builder_finish(s->builder, ret_built) != WH_OK)
        return wh_plan_no_memory(reterr);
    k = 0;
    for (int64_t i = 0; i < s->n; i++)
        if (!wh_convert_is_identity(s->convert[i])) {
            WH_TRY(wh_view_init(s->built.children[k], ret_built->rows.children[k], &s->out[i],
                                reterr));
            k++;
        }
    return WH_OK;
}

/* ---- the sample ---- */

/* Spreads what is chosen over all hashes again for each seed. */
static uint64_t spread(struct wh_u128 h, uint64_t seed)
{
    uint64_t x = h.lo ^ h.hi ^ (seed * WH_ROWHASH_P0);
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static int hash_keys(struct wh_end *s, int64_t rows)
{
    if (s->n_keys == 0)
        return wh_rowhash_each(s->out, s->n, NULL, 0, rows, s->key_hash);
    if (!s->key_views && !(s->key_views = wh_calloc((size_t)s->n_keys, sizeof(*s->key_views))))
        return WH_E_NOMEM;
    for (int64_t i = 0; i < s->n_keys; i++)
        s->key_views[i] = s->out[s->keys[i]];
    return wh_rowhash_each(s->key_views, s->n_keys, NULL, 0, rows, s->key_hash);
}

/* The rows of the batch that are compared: *ret NULL, all of them. */
static int chosen(struct wh_end *s, int64_t rows, const int32_t **ret, int64_t *ret_n)
{
    *ret = NULL;
    *ret_n = rows;
    if (s->sampling.most == UINT64_MAX)
        return WH_OK;
    WH_TRY(hash_keys(s, rows));
    *ret = s->rows_in;
    *ret_n = 0;
    for (int64_t i = 0; i < rows; i++)
        if (spread(s->key_hash[i], s->sampling.seed) <= s->sampling.most)
            s->rows_in[(*ret_n)++] = (int32_t)i;
    return WH_OK;
}

/* Those of them that fit; the list is narrowed in its place. */
static void only_fit(struct wh_end *s, const int32_t **rows, int64_t *n)
{
    int64_t kept = 0;
    for (int64_t k = 0; k < *n; k++) {
        int32_t row = *rows ? (*rows)[k] : (int32_t)k;
        if (!s->bad[row])
            s->rows_in[kept++] = row;
    }
    *rows = s->rows_in;
    *n = kept;
}

static int add_rows(struct wh_end *s, int64_t n_rows, bool unfit, struct wh_error *reterr)
{
    const int32_t *rows;
    int64_t n;
    if (chosen(s, n_rows, &rows, &n) != WH_OK)
        return wh_plan_no_memory(reterr);
    s->compared += n;
    if (s->stats)
        WH_TRY(wh_stats_add(s->stats, s->out, rows, n, reterr));
    if (s->differ)
        WH_TRY(wh_differ_add(s->differ, s->pass, s->out, rows, n, reterr));
    if (s->pass != WH_PASS_SUM)
        return WH_OK;
    if (unfit)
        only_fit(s, &rows, &n);
    return wh_rowhash_add(&s->sum, s->out, s->n, rows, 0, n) == WH_OK ? WH_OK
                                                                      : wh_plan_no_memory(reterr);
}

int wh_end_take(struct wh_end *s, struct wh_batch *b, struct wh_error *reterr)
{
    struct wh_batch built = {0}, made = {0};
    int st = WH_OK;
    s->rows += b->n_rows;
    if (s->hash) {
        int64_t unfit = s->unfit;
        st = room_for(s, b->n_rows, reterr);
        if (st == WH_OK && b->n_rows)
            memset(s->bad, 0, (size_t)b->n_rows);
        if (st == WH_OK)
            st = wh_views_init(s->schema, &b->rows, s->in, reterr);
        if (st == WH_OK)
            st = make_columns(s, b->n_rows, &made, reterr);
        if (st == WH_OK)
            st = convert_batch(s, b, &built, reterr);
        if (st == WH_OK)
            st = add_rows(s, b->n_rows, s->unfit > unfit, reterr);
    }
    wh_batch_release(&built);
    wh_batch_release(&made);
    wh_batch_release(b);
    return st;
}

/* ---- reading ---- */

static wh_status on_reject(void *arg, struct wh_bytes raw, int64_t raw_of, const char *position,
                           int32_t column, const char *code, const char *text)
{
    struct wh_end *s = arg;
    s->rows++;
    s->raw++;
    return WH_OK;
}

static wh_status on_skip(void *arg, const char *reason, int64_t rows)
{
    return WH_OK;
}

static int asked_to_stop(const struct wh_end *s, struct wh_error *reterr)
{
    if (!atomic_load_explicit(&s->hooks->cancelled, memory_order_relaxed))
        return WH_OK;
    return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
}

static int open_reader(struct wh_end *s, void *rd, const struct wh_split *split,
                       struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct ArrowSchema actual = {0};
    int st = ops->reader_open(rd, s->sc, s->se, &s->ctx, split, &actual, reterr);
    wh_schema_release(&actual);
    return st;
}

/* A range that began elsewhere than the one before it ended is begun there, before a row of it
 * counts. */
static int check_chain(struct wh_end *s, void *rd, const struct wh_split *split,
                       struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct wh_bytes end = {s->end, s->end_n};
    struct wh_split right = {0};
    struct wh_buf token WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (!s->chained || !ops->reader_chain || !split->order_group || !split->order_seq ||
        s->end_group != split->order_group || s->end_seq + 1 != split->order_seq)
        return WH_OK;
    int st = ops->reader_chain(rd, &end, &right, reterr);
    if (st != WH_REFUSED)
        return st;
    if (wh_buf_add(&token, right.token.p, right.token.n) != WH_OK)
        return wh_plan_no_memory(reterr);
    right.token = (struct wh_bytes){token.p, token.n};
    ops->reader_close(rd);
    memset(rd, 0, ops->rd_size);
    return open_reader(s, rd, &right, reterr);
}

static int keep_end(struct wh_end *s, void *rd, const struct wh_split *split,
                    struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct wh_bytes end = {NULL, 0};
    if (!s->chained || !ops->reader_end)
        return WH_OK;
    WH_TRY(ops->reader_end(rd, &end, reterr));
    s->end_group = end.n <= sizeof(s->end) ? split->order_group : 0;
    s->end_seq = split->order_seq;
    s->end_n = end.n;
    if (s->end_group)
        memcpy(s->end, end.p, end.n);
    return WH_OK;
}

static int read_split(struct wh_end *s, const struct wh_split *split, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct wh_batch b = {0};
    void *rd = wh_calloc(1, ops->rd_size ? ops->rd_size : 1);
    if (!rd)
        return wh_plan_no_memory(reterr);
    int st = open_reader(s, rd, split, reterr);
    if (st == WH_OK)
        st = check_chain(s, rd, split, reterr);
    while (st == WH_OK && (st = asked_to_stop(s, reterr)) == WH_OK) {
        st = ops->reader_next(rd, &b, reterr);
        if (st == WH_OK)
            st = wh_end_take(s, &b, reterr);
    }
    if (st == WH_END)
        st = keep_end(s, rd, split, reterr);
    if (ops->reader_close)
        ops->reader_close(rd);
    wh_free(rd);
    return st == WH_END ? WH_OK : st;
}

int wh_end_read(struct wh_end *s, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct wh_buf cursor WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    s->rows = s->unfit = s->raw = s->compared = 0;
    s->sum = (struct wh_rowsum){0};
    s->end_group = 0;
    for (;;) {
        struct wh_split split = {0};
        struct wh_bytes at = {cursor.p, cursor.n}, next = {0};
        int st = ops->split_next(s->sc, s->se, cursor.n ? &at : NULL, &split, &next, reterr);
        if (st == WH_END)
            return WH_OK;
        WH_TRY(st);
        /* Both are borrowed until the next call on the scan: copy before reading. */
        struct wh_buf token WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
        struct wh_buf moved WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
        if (wh_buf_add(&token, split.token.p, split.token.n) != WH_OK ||
            wh_buf_add(&moved, next.p, next.n) != WH_OK)
            return wh_plan_no_memory(reterr);
        wh_buf_clear(&cursor);
        if (wh_buf_add(&cursor, moved.p, moved.n) != WH_OK)
            return wh_plan_no_memory(reterr);
        split.token = (struct wh_bytes){token.p, token.n};
        WH_TRY(read_split(s, &split, reterr));
        if (cursor.n == 0)
            return WH_OK; /* a source without a cursor has one split */
    }
}

static void *side_thread(void *arg)
{
    struct wh_end *s = arg;
    s->status = wh_end_read(s, &s->error);
    return NULL;
}

int wh_end_session(struct wh_end *s, struct wh_error *reterr)
{
    const struct wh_connector *c = s->ep->connector;
    struct wh_str ident = {NULL, 0};
    s->se = wh_calloc(1, c->se_size ? c->se_size : 1);
    if (!s->se)
        return wh_plan_no_memory(reterr);
    if (!c->endpoint->session_open)
        return WH_OK;
    s->se_called = true;
    return c->endpoint->session_open(s->se, s->ep->ep, WH_READ, &ident, reterr);
}

void wh_end_done(struct wh_end *s)
{
    for (int64_t i = 0; s->convert && i < s->n; i++)
        wh_convert_free(s->convert[i]);
    wh_builder_free(s->builder);
    wh_maker_free(s->maker);
    wh_schema_release(&s->built);
    wh_stats_free(s->stats);
    wh_differ_free(s->differ);
    wh_free(s->convert);
    wh_free(s->in);
    wh_free(s->out);
    wh_free(s->bad);
    wh_free(s->rows_in);
    wh_free(s->key_hash);
    wh_free(s->key_views);
    wh_free(s->rejects);
    if (s->se_called && s->ep->connector->endpoint->session_close)
        s->ep->connector->endpoint->session_close(s->se);
    wh_free(s->se);
}

void wh_end_context(struct wh_end *s)
{
    s->hooks->attempt = s;
    s->hooks->reject_raw = on_reject;
    s->hooks->skipped = on_skip;
    wh_ctx_attempt(s->ep, s->hooks, &s->self, &s->ctx);
}

/* Both ends from their first row to their last, side by side. */
int wh_ends_read(struct wh_end *a, struct wh_end *b, enum wh_pass pass, struct wh_error *reterr)
{
    pthread_t other;
    a->pass = b->pass = pass;
    bool two = pthread_create(&other, NULL, side_thread, b) == 0;
    side_thread(a);
    if (two)
        pthread_join(other, NULL);
    else
        side_thread(b);
    int st = a->status != WH_OK ? a->status : b->status;
    if (st != WH_OK)
        *reterr = a->status != WH_OK ? a->error : b->error;
    return st;
}
