/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/validate.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "data/builder.h"
#include "data/rowhash.h"
#include "engine/differ.h"
#include "engine/plan_internal.h"
#include "engine/service.h"

/* One side while it is read: a scan, how its columns become the compared ones, and the sum. */
struct side {
    struct wh_endpoint *ep;
    void *sc;                          /* open scan */
    const struct ArrowSchema *schema;  /* its columns */
    const struct ArrowSchema *compare; /* the compared columns: names and types */
    const int64_t *index;              /* compared column -> column of the scan */
    int64_t n;                         /* compared columns */
    const struct wh_flow *flow;        /* for value policies; NULL on the destination's side */
    bool hash;
    void *se;
    bool se_called;

    struct wh_convert **convert;
    struct wh_builder *builder; /* of the columns that are no identity */
    struct ArrowSchema built;
    struct wh_view *in, *out;
    struct wh_rowsum sum;
    int64_t rows, unfit;
    struct wh_stats *stats;   /* NULL: not asked for */
    struct wh_differ *differ; /* likewise */
    enum wh_pass pass;
    struct wh_attempt_hooks hooks;
    struct wh_ctx_self self;
    struct wh_ctx ctx;
    struct wh_error error;
    int status;
};

/* ---- converting and hashing ---- */

static int side_columns(struct side *s, struct wh_error *reterr)
{
    struct wh_value_policy policy = {0};
    int64_t converted = 0, k = 0;
    s->convert = wh_calloc((size_t)s->n + 1, sizeof(*s->convert));
    s->in = wh_calloc((size_t)s->schema->n_children + 1, sizeof(*s->in));
    s->out = wh_calloc((size_t)s->n + 1, sizeof(*s->out));
    if (!s->convert || !s->in || !s->out)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < s->n; i++) {
        if (s->flow)
            wh_plan_policy(s->flow, i, &policy);
        WH_TRY(wh_convert_new(s->schema->children[s->index[i]], s->compare->children[i], &policy,
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

/* Rows with a cell that does not convert count as unfit; they differ whatever the sum says. */
static int convert_batch(struct side *s, const struct wh_batch *b, struct wh_batch *ret_built,
                         struct wh_error *reterr)
{
    struct wh_cell_reject rejects[8];
    int64_t k = 0;
    for (int64_t i = 0; i < s->n; i++) {
        size_t n = 0;
        if (wh_convert_is_identity(s->convert[i])) {
            s->out[i] = s->in[s->index[i]];
            continue;
        }
        WH_TRY(wh_convert_run(s->convert[i], &s->in[s->index[i]], (int32_t)i,
                              wh_builder_column(s->builder, k++), rejects, 8, &n, reterr));
        s->unfit += (int64_t)n;
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
    (void)b;
    return WH_OK;
}

static int take_batch(struct side *s, struct wh_batch *b, struct wh_error *reterr)
{
    struct wh_batch built = {0};
    int st = WH_OK;
    s->rows += b->n_rows;
    if (s->hash) {
        st = wh_views_init(s->schema, &b->rows, s->in, reterr);
        if (st == WH_OK)
            st = convert_batch(s, b, &built, reterr);
        if (st == WH_OK && s->pass == WH_PASS_SUM &&
            wh_rowhash_add(&s->sum, s->out, s->n, NULL, 0, b->n_rows) != WH_OK)
            st = wh_plan_no_memory(reterr);
        if (st == WH_OK && s->stats)
            st = wh_stats_add(s->stats, s->out, b->n_rows, reterr);
        if (st == WH_OK && s->differ)
            st = wh_differ_add(s->differ, s->pass, s->out, b->n_rows, reterr);
    }
    wh_batch_release(&built);
    wh_batch_release(b);
    return st;
}

/* ---- reading ---- */

static wh_status on_reject(void *arg, struct wh_bytes raw, const char *position, int32_t column,
                           const char *code, const char *text)
{
    struct side *s = arg;
    s->rows++;
    s->unfit++;
    return WH_OK;
}

static wh_status on_skip(void *arg, const char *reason, int64_t rows)
{
    return WH_OK;
}

static int read_split(struct side *s, const struct wh_split *split, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct ArrowSchema actual = {0};
    struct wh_batch b = {0};
    void *rd = wh_calloc(1, ops->rd_size ? ops->rd_size : 1);
    if (!rd)
        return wh_plan_no_memory(reterr);
    int st = ops->reader_open(rd, s->sc, s->se, &s->ctx, split, &actual, reterr);
    wh_schema_release(&actual);
    while (st == WH_OK) {
        st = ops->reader_next(rd, &b, reterr);
        if (st == WH_OK)
            st = take_batch(s, &b, reterr);
    }
    if (ops->reader_close)
        ops->reader_close(rd);
    wh_free(rd);
    return st == WH_END ? WH_OK : st;
}

static int read_side(struct side *s, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = s->ep->connector->source;
    struct wh_buf cursor WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    s->rows = s->unfit = 0;
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
    struct side *s = arg;
    s->status = read_side(s, &s->error);
    return NULL;
}

static int side_session(struct side *s, struct wh_error *reterr)
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

static void side_done(struct side *s)
{
    for (int64_t i = 0; s->convert && i < s->n; i++)
        wh_convert_free(s->convert[i]);
    wh_builder_free(s->builder);
    wh_schema_release(&s->built);
    wh_stats_free(s->stats);
    wh_differ_free(s->differ);
    wh_free(s->convert);
    wh_free(s->in);
    wh_free(s->out);
    if (s->se_called && s->ep->connector->endpoint->session_close)
        s->ep->connector->endpoint->session_close(s->se);
    wh_free(s->se);
}

/* ---- one pair ---- */

struct pair {
    struct wh_planner *planner;
    struct wh_flow *flow;
    void *sc; /* the destination as a source */
    bool sc_called;
    struct wh_scan scan;
    struct ArrowSchema target, compare, frozen;
    struct wh_snapshot snaps[2];
    struct wh_endpoint *snapped[2];
    struct wh_differences *found; /* ROWS */
    size_t rows;
};

/* `to` options that the connector also knows as `from` options: how a file was written is how it is
 * read. */
static int options_back(struct wh_planner *p, const struct wh_flow *f, const void **ret,
                        struct wh_error *reterr)
{
    const struct wh_options *table = f->to->connector->from, *written = f->to->connector->to;
    const struct wh_node *given = f->stream->to.options;
    struct wh_node *map = wh_node_map(p->arena);
    void *out;
    if (!map)
        return wh_plan_no_memory(reterr);
    for (size_t i = 0; table && given && i < given->n; i++) {
        const char *key = given->keys[i]->text;
        const struct wh_option *row = written ? wh_options_find(written, wh_str(key)) : NULL;
        if (wh_options_find(table, wh_str(key)) && !(row && row->flags & WH_OPT_WRITING) &&
            wh_node_put(p->arena, map, key, given->items[i]) != WH_OK)
            return wh_plan_no_memory(reterr);
    }
    WH_TRY(wh_plan_options(p->arena, table, map, f->stream->to.where, &out, reterr));
    *ret = out;
    return WH_OK;
}

static int open_back(struct pair *p, const struct ArrowSchema *frozen, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = p->flow->to->connector->source;
    void *se;
    p->scan = (struct wh_scan){.object = &p->flow->tgt.ret_object,
                               .ctx = &p->flow->to->ctx,
                               .parallel = 1,
                               .unit_bytes = INT64_MAX / 4,
                               .frozen = frozen};
    WH_TRY(options_back(p->planner, p->flow, &p->scan.opts, reterr));
    WH_TRY(wh_endpoint_control(p->flow->to, &se, reterr));
    p->sc = wh_calloc(1, ops->sc_size ? ops->sc_size : 1);
    if (!p->sc)
        return wh_plan_no_memory(reterr);
    p->sc_called = true;
    return ops->scan_open(p->sc, p->flow->to->ep, se, &p->scan, &p->target, reterr);
}

static void close_back(struct pair *p)
{
    const struct wh_source_ops *ops = p->flow->to->connector->source;
    if (p->sc_called && ops->scan_close)
        ops->scan_close(p->sc);
    wh_free(p->sc);
    wh_schema_release(&p->target);
    p->sc = NULL;
    p->sc_called = false;
    p->target = (struct ArrowSchema){0};
}

/* The types to read a destination in that only guesses some of them: there, the source's. */
static int instead_of_guesses(struct pair *p, struct ArrowSchema *ret, bool *ret_any,
                              struct wh_error *reterr)
{
    struct wh_str native;
    *ret_any = false;
    if (wh_schema_init(ret, p->target.n_children) != WH_OK)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < p->target.n_children; i++) {
        const struct ArrowSchema *field = p->target.children[i];
        int64_t at = wh_schema_find(&p->flow->mapped, wh_str(field->name), false);
        char declared[256] = "";
        struct wh_type t;
        if (wh_meta_get(field, WH_META_TYPE, &native))
            snprintf(declared, sizeof(declared), "%.*s", WH_STR_FMT(native));
        const char *const meta[] = {*declared ? WH_META_TYPE : NULL, declared, NULL};
        if (wh_meta_get(field, WH_META_GUESSED, &native) && at >= 0) {
            field = p->flow->mapped.children[at];
            *ret_any = true;
        }
        WH_TRY(wh_type_of(field, &t, reterr));
        if (wh_schema_set(ret, i, p->target.children[i]->name, &t, meta) != WH_OK)
            return wh_plan_no_memory(reterr);
    }
    return WH_OK;
}

static int open_target(struct pair *p, struct wh_error *reterr)
{
    bool any = false;
    if (!p->flow->to->connector->source)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s cannot be read, so not validated",
                       p->flow->to->connector->name);
    WH_TRY(open_back(p, NULL, reterr));
    WH_TRY(instead_of_guesses(p, &p->frozen, &any, reterr));
    if (!any)
        return WH_OK;
    close_back(p);
    return open_back(p, &p->frozen, reterr);
}

/* The compared columns: those of the flow, by name at the destination, in its types. */
static bool is_ignored(const struct wh_list *ignore, const char *name)
{
    for (size_t i = 0; i < ignore->n; i++)
        if (strcasecmp(ignore->v[i], name) == 0)
            return true;
    return false;
}

static int compared(struct pair *p, const struct wh_list *ignore, int64_t **ret_source,
                    int64_t **ret_target, int64_t *ret_n, struct wh_error *reterr)
{
    struct wh_flow *f = p->flow;
    int64_t n = 0;
    int64_t *a = wh_arena_alloc(p->planner->arena, (size_t)(f->n_columns + 1) * sizeof(*a));
    int64_t *b = wh_arena_alloc(p->planner->arena, (size_t)(f->n_columns + 1) * sizeof(*b));
    if (!a || !b)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < f->n_columns; i++) {
        if (is_ignored(ignore, f->columns[i].name))
            continue;
        int64_t at = wh_schema_find(&p->target, wh_str(f->columns[i].name), false);
        if (at < 0)
            at = wh_schema_find(&p->target, wh_str(f->columns[i].name), true);
        if (at < 0)
            return wh_fail(reterr, WH_E_TYPE, "E3001", "the destination has no column '%s'",
                           f->columns[i].name);
        if (f->columns[i].source < 0)
            continue; /* constants are the job's, not the source's */
        a[n] = f->columns[i].source;
        b[n++] = at;
    }
    if (wh_schema_init(&p->compare, n) != WH_OK)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < n; i++) {
        struct wh_type t;
        WH_TRY(wh_type_of(p->target.children[b[i]], &t, reterr));
        if (wh_schema_set(&p->compare, i, p->target.children[b[i]]->name, &t, NULL) != WH_OK)
            return wh_plan_no_memory(reterr);
    }
    *ret_source = a;
    *ret_target = b;
    *ret_n = n;
    return WH_OK;
}

/* One instant per side where the system can give one. */
static int snapshot(struct pair *p, int which, struct wh_endpoint *ep, int sessions,
                    const struct wh_name *object, struct wh_error *reterr)
{
    struct wh_objects pin = {object, 1};
    void *se;
    if (!ep->connector->endpoint->snapshot || p->flow->stream->split_none)
        return WH_OK;
    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    WH_TRY(ep->connector->endpoint->snapshot(ep->ep, se, &pin, sessions, &p->snaps[which], reterr));
    p->snapped[which] = ep;
    return WH_OK;
}

static int snapshots(struct pair *p, struct wh_error *reterr)
{
    bool same = p->flow->from == p->flow->to;
    WH_TRY(snapshot(p, 0, p->flow->from, same ? 2 : 1, &p->flow->source, reterr));
    return same ? WH_OK : snapshot(p, 1, p->flow->to, 1, &p->flow->tgt.ret_object, reterr);
}

static void release(struct pair *p)
{
    for (int i = 0; i < 2; i++)
        if (p->snapped[i] && p->snapped[i]->connector->endpoint->release)
            p->snapped[i]->connector->endpoint->release(p->snapped[i]->ep, &p->snaps[i]);
}

static void side_context(struct side *s)
{
    s->hooks = (struct wh_attempt_hooks){
        .attempt = s, .wake_fd = -1, .reject_raw = on_reject, .skipped = on_skip};
    wh_ctx_attempt(s->ep, &s->hooks, &s->self, &s->ctx);
}

/* Both ends from their first row to their last, side by side. */
static int read_pass(struct side *a, struct side *b, enum wh_pass pass, struct wh_error *reterr)
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

static int begin_both(struct pair *p, struct side *a, struct side *b, struct wh_error *reterr)
{
    WH_TRY(snapshots(p, reterr));
    WH_TRY(side_session(a, reterr));
    WH_TRY(side_session(b, reterr));
    side_context(a);
    side_context(b);
    WH_TRY(side_columns(a, reterr));
    return side_columns(b, reterr);
}

/* ---- which rows, and how -----------------------------------------------------------------------
 */

/* Places of the named columns among the compared ones; false: one of them is not there. */
static bool places(const struct pair *p, const char *const *names, size_t n, int64_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        ret[i] = wh_schema_find(&p->compare, wh_str(names[i]), false);
        if (ret[i] < 0)
            ret[i] = wh_schema_find(&p->compare, wh_str(names[i]), true);
        if (ret[i] < 0)
            return false;
    }
    return true;
}

/* The primary key that a schema tells of, by the names of its columns; 0: none. */
static size_t primary_key(const struct ArrowSchema *s, const char **names)
{
    size_t n = 0;
    for (int64_t i = 0; i < s->n_children; i++) {
        struct wh_str place;
        if (!wh_meta_get(s->children[i], WH_META_KEY, &place))
            continue;
        n++;
    }
    for (int64_t i = 0; i < s->n_children; i++) {
        struct wh_str place;
        int64_t at;
        char text[24];
        if (!wh_meta_get(s->children[i], WH_META_KEY, &place))
            continue;
        snprintf(text, sizeof(text), "%.*s", WH_STR_FMT(place));
        if (!wh_parse_i64(text, &at) || at < 1 || (size_t)at > n)
            return 0;
        names[at - 1] = s->children[i]->name;
    }
    return n;
}

/* --key, else the destination's primary key, else the source's; none: rows are compared whole. */
static int keys_of(struct pair *p, const struct wh_list *said, int64_t *ret, size_t *ret_n,
                   struct wh_error *reterr)
{
    size_t most = (size_t)(p->target.n_children + p->flow->mapped.n_children) + 1;
    const char **names = wh_arena_alloc(p->planner->arena, most * sizeof(*names));
    if (!names)
        return wh_plan_no_memory(reterr);
    *ret_n = said->n;
    if (said->n) {
        if (said->n <= (size_t)p->compare.n_children && places(p, said->v, said->n, ret))
            return WH_OK;
        return wh_fail(reterr, WH_E_USAGE, "E3002", "--key names a column that is not compared");
    }
    *ret_n = primary_key(&p->target, names);
    if (*ret_n && places(p, names, *ret_n, ret))
        return WH_OK;
    *ret_n = primary_key(&p->flow->mapped, names);
    if (!*ret_n || !places(p, names, *ret_n, ret))
        *ret_n = 0;
    return WH_OK;
}

static const char *joined(struct pair *p, const int64_t *keys, size_t n)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    for (size_t i = 0; i < n; i++)
        wh_ignore(wh_buf_printf(&b, "%s%s", i ? ", " : "", p->compare.children[keys[i]]->name));
    return b.n ? wh_arena_strdup(p->planner->arena, b.p) : NULL;
}

static const char *const *compared_names(struct pair *p)
{
    size_t n = (size_t)p->compare.n_children;
    const char **v = wh_arena_alloc(p->planner->arena, (n + 1) * sizeof(*v));
    for (size_t i = 0; v && i < n; i++)
        v[i] = wh_arena_strdup(p->planner->arena, p->compare.children[i]->name);
    return v;
}

static int begin_rows(struct pair *p, struct side *a, struct side *b,
                      const struct wh_validate_options *o, const struct wh_list *said,
                      struct wh_validated *v, struct wh_error *reterr)
{
    size_t n = 0, most = (size_t)p->compare.n_children + said->n;
    int64_t *keys = wh_arena_alloc(p->planner->arena,
                                   (most + (size_t)p->target.n_children + 1) * sizeof(*keys));
    struct wh_differences *d = wh_arena_alloc(p->planner->arena, sizeof(*d));
    if (!keys || !d)
        return wh_plan_no_memory(reterr);
    WH_TRY(keys_of(p, said, keys, &n, reterr));
    d->keys = joined(p, keys, n);
    v->differences = d;
    p->found = d;
    p->rows = o->rows ? o->rows : 20;
    WH_TRY(wh_differ_new(a->n, keys, (int64_t)n, &a->differ, reterr));
    return wh_differ_new(b->n, keys, (int64_t)n, &b->differ, reterr);
}

static int same_as_before(const struct side *s, int64_t rows, struct wh_error *reterr)
{
    if (s->rows == rows)
        return WH_OK;
    return wh_fail(reterr, WH_E_DATA, "E4007",
                   "%s had %" PRId64 " rows when it was read first, and %" PRId64
                   " the second time: the rows that differ cannot be named",
                   s->ep->name, rows, s->rows);
}

static int find_rows(struct pair *p, struct side *a, struct side *b, struct wh_validated *v,
                     struct wh_error *reterr)
{
    if (!a->differ || !wh_differ_choose(a->differ, b->differ))
        return WH_OK;
    WH_TRY(read_pass(a, b, WH_PASS_HASH, reterr));
    WH_TRY(same_as_before(a, v->rows_source, reterr));
    WH_TRY(same_as_before(b, v->rows_target, reterr));
    WH_TRY(wh_differ_pair(a->differ, b->differ, p->rows, p->planner->arena, p->found, reterr));
    WH_TRY(read_pass(a, b, WH_PASS_FETCH, reterr));
    return wh_differ_texts(a->differ, b->differ, v->columns, p->planner->arena, p->found, reterr);
}

static int keep_stats(struct pair *p, const struct side *s, const struct wh_column_stats **ret,
                      struct wh_error *reterr)
{
    struct wh_column_stats *v = wh_arena_alloc(p->planner->arena, (size_t)(s->n + 1) * sizeof(*v));
    for (int64_t i = 0; v && s->stats && i < s->n; i++) {
        wh_stats_of(s->stats, i, &v[i]);
        v[i].least = wh_arena_strdup(p->planner->arena, v[i].least);
        v[i].most = wh_arena_strdup(p->planner->arena, v[i].most);
    }
    *ret = s->stats ? v : NULL;
    return v ? WH_OK : wh_plan_no_memory(reterr);
}

/* ---- both ends ---- */

static int read_both(struct pair *p, struct side *a, struct side *b,
                     const struct wh_validate_options *o, const struct wh_list *keys,
                     struct wh_validated *v, struct wh_error *reterr)
{
    v->n_columns = a->n;
    v->columns = compared_names(p);
    if (!v->columns)
        return wh_plan_no_memory(reterr);
    if (o->level == WH_VALIDATE_STATS) {
        WH_TRY(wh_stats_new(a->n, &a->stats, reterr));
        WH_TRY(wh_stats_new(b->n, &b->stats, reterr));
    }
    if (o->level == WH_VALIDATE_ROWS)
        WH_TRY(begin_rows(p, a, b, o, keys, v, reterr));
    WH_TRY(begin_both(p, a, b, reterr));
    WH_TRY(read_pass(a, b, WH_PASS_SUM, reterr));
    v->rows_source = a->rows;
    v->rows_target = b->rows;
    v->unfit_source = a->unfit;
    v->unfit_target = b->unfit;
    v->sum_source = a->sum.sum;
    v->sum_target = b->sum.sum;
    v->sign =
        a->rows == b->rows && a->unfit == 0 && b->unfit == 0 && wh_u128_eq(a->sum.sum, b->sum.sum)
            ? '='
            : '*';
    WH_TRY(keep_stats(p, a, &v->stats_source, reterr));
    WH_TRY(keep_stats(p, b, &v->stats_target, reterr));
    return find_rows(p, a, b, v, reterr);
}

/* Infinite dates and times are compared where both ends have them, in columns of one type. */
static int infinite_both(struct pair *p, const int64_t *ia, const int64_t *ib, int64_t n,
                         struct wh_error *reterr)
{
    const struct wh_source_ops *from = p->flow->from->connector->source;
    const struct wh_source_ops *to = p->flow->to->connector->source;
    const struct ArrowSchema *a = &p->flow->source_schema, *b = &p->target;
    enum wh_infinite *of_a =
        wh_arena_alloc(p->planner->arena, (size_t)(a->n_children + 1) * sizeof *of_a);
    enum wh_infinite *of_b =
        wh_arena_alloc(p->planner->arena, (size_t)(b->n_children + 1) * sizeof *of_b);

    if (!of_a || !of_b)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < n && from->infinite && to->infinite; i++) {
        struct wh_type ta, tb;

        WH_TRY(wh_type_of(a->children[ia[i]], &ta, reterr));
        WH_TRY(wh_type_of(b->children[ib[i]], &tb, reterr));
        if (ta.kind == tb.kind && ta.unit == tb.unit && ta.zoned == tb.zoned)
            of_a[ia[i]] = of_b[ib[i]] = WH_INFINITE_KEEP;
    }
    if (from->infinite)
        from->infinite(p->flow->sc, of_a, a->n_children);
    if (to->infinite)
        to->infinite(p->sc, of_b, b->n_children);
    return WH_OK;
}

static int look(struct pair *p, const struct wh_validate_options *o, const struct wh_list *keys,
                struct wh_validated *v, struct wh_error *reterr)
{
    int64_t *ia = NULL, *ib = NULL, n = 0;
    int st = open_target(p, reterr);
    if (st == WH_E_NOT_FOUND) {
        v->sign = '-';
        return WH_OK;
    }
    WH_TRY(st);
    WH_TRY(compared(p, &o->ignore, &ia, &ib, &n, reterr));
    WH_TRY(infinite_both(p, ia, ib, n, reterr));
    struct side a = {.ep = p->flow->from,
                     .sc = p->flow->sc,
                     .schema = &p->flow->source_schema,
                     .compare = &p->compare,
                     .index = ia,
                     .n = n,
                     .flow = p->flow,
                     .hash = o->level != WH_VALIDATE_COUNT};
    struct side b = {.ep = p->flow->to,
                     .sc = p->sc,
                     .schema = &p->target,
                     .compare = &p->compare,
                     .index = ib,
                     .n = n,
                     .hash = a.hash};
    st = read_both(p, &a, &b, o, keys, v, reterr);
    side_done(&a);
    side_done(&b);
    release(p);
    return st;
}

/* ---- a job ---- */

static void validate_flow(struct wh_planner *p, struct wh_flow *f,
                          const struct wh_validate_options *o, const struct wh_list *keys,
                          struct wh_validated *v)
{
    struct pair pair = {.planner = p, .flow = f};
    int64_t from = wh_now_ns();
    *v = (struct wh_validated){.sign = '?'};
    v->source = wh_plan_name_text(p->arena, &f->source);
    v->target = wh_plan_name_text(p->arena, &f->tgt.ret_object);
    if (f->refused) {
        v->error = *f->error;
        v->target = f->table;
        return;
    }
    struct wh_error error = {0};
    if (look(&pair, o, keys, v, &error) != WH_OK)
        v->error = error;
    close_back(&pair);
    wh_schema_release(&pair.compare);
    wh_schema_release(&pair.frozen);
    v->seconds = (double)(wh_now_ns() - from) / 1e9;
}

/* flow->stream->validate as the job says it: 0 off, 1 count, 2 stats, 3 checksum. */
static int asked(const struct wh_flow *f)
{
    return f->stream->validate;
}

static enum wh_validate_level level_of(const struct wh_flow *f)
{
    static const enum wh_validate_level levels[] = {WH_VALIDATE_COUNT, WH_VALIDATE_COUNT,
                                                    WH_VALIDATE_STATS, WH_VALIDATE_CHECKSUM};
    return levels[asked(f) & 3];
}

/* given NULL: as each stream asks for it. keys: per stream of the job; NULL: none were said. */
static int validate_flows(struct wh_planner *p, const struct wh_validate_options *given,
                          const struct wh_list *keys, wh_validated_fn each, void *arg,
                          int64_t *ret_different, struct wh_error *reterr)
{
    struct wh_error first = {0};
    const struct wh_list none = {0};
    for (size_t i = 0; i < p->plan->n_flows; i++) {
        struct wh_flow *f = p->plan->flows[i];
        struct wh_validated v;
        struct wh_validate_options o = {.level = level_of(f)};
        if (given)
            o = *given;
        if (!given && asked(f) == 0)
            continue;
        if (f->frame) /* values are compared, not bytes */
            f->from->connector->source->use_frames(f->sc, false);
        if (!given && f->stream->write.mode == WH_MODE_APPEND && f->tgt.existing_rows != 0 &&
            f->tgt.exists) {
            v = (struct wh_validated){.sign = '?', .source = f->table, .target = f->table};
            wh_ignore(wh_fail(&v.error, WH_E_UNSUPPORTED, "E1060",
                              "the destination held rows before this append: not compared"));
            v.excused = true;
        } else {
            validate_flow(p, f, &o, keys ? &keys[f->stream - p->job->streams] : &none, &v);
            if (v.error.status && !first.status)
                first = v.error;
            *ret_different += v.sign != '=';
        }
        each(arg, &v);
    }
    if (first.status)
        *reterr = first;
    return first.status;
}

int wh_validate_plan(struct wh_plan *plan, struct wh_services *services, wh_validated_fn each,
                     void *arg, int64_t *ret_different, struct wh_error *reterr)
{
    WH_CLEANUP(wh_planner_done)
    struct wh_planner p = {
        .plan = plan, .arena = plan->arena, .job = plan->job, .services = services};
    *ret_different = 0;
    return validate_flows(&p, NULL, NULL, each, arg, ret_different, reterr);
}

int wh_validate_job(struct wh_job *job, struct wh_services *services,
                    const struct wh_validate_options *options, wh_validated_fn each, void *arg,
                    int64_t *ret_different, struct wh_error *reterr)
{
    struct wh_list *keys = wh_arena_alloc(job->arena, (job->n_streams + 1) * sizeof(*keys));
    struct wh_plan *plan = NULL;
    if (!keys)
        return wh_plan_no_memory(reterr);
    /* The plan resolves names, mapping and types; overwriting is the mode that accepts a target of
     * the same name. Nothing of it is carried out. */
    for (size_t i = 0; i < job->n_streams; i++) {
        keys[i] = job->streams[i].write.keys;
        job->streams[i].write.mode = WH_MODE_OVERWRITE;
        job->streams[i].write.keys = (struct wh_list){0};
        for (size_t j = 0; j < job->streams[i].n_overrides; j++) {
            struct wh_stream *s = job->streams[i].overrides[j].stream;

            if (s) {
                s->write.mode = WH_MODE_OVERWRITE;
                s->write.keys = (struct wh_list){0};
            }
        }
    }
    *ret_different = 0;
    int st = wh_plan_make(job, services, NULL, &plan, reterr);
    if (!plan || plan->n_flows == 0) {
        wh_plan_free(plan);
        return st != WH_OK ? st : wh_fail(reterr, WH_E_USAGE, "E1028", "nothing to validate");
    }
    struct wh_planner p = {.plan = plan, .arena = plan->arena, .job = job, .services = services};
    st = validate_flows(&p, options, keys, each, arg, ret_different, reterr);
    wh_planner_done(&p);
    wh_plan_free(plan);
    return st;
}
