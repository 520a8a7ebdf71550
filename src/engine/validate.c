/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/validate.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "engine/made.h"
#include "engine/validate_end.h"

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
    int64_t *column;                   /* compared column -> column of the flow */
    const struct wh_validate_run *run; /* NULL: nothing was carried out before */
    const struct wh_validate_moved *moved;
    struct wh_attempt_hooks own[2], *hooks; /* of the source's and the destination's end */
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
    if (p->flow->to->connector->from && p->scan.opts)
        wh_options_wipe(p->flow->to->connector->from, (void *)(uintptr_t)p->scan.opts);
    p->scan.opts = NULL;
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
    p->column = wh_arena_alloc(p->planner->arena, (size_t)(f->n_columns + 1) * sizeof(*a));
    if (!a || !b || !p->column)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < f->n_columns; i++) {
        if (is_ignored(ignore, f->columns[i].name) || f->columns[i].varies)
            continue;
        int64_t at = wh_schema_find(&p->target, wh_str(f->columns[i].name), false);
        if (at < 0)
            at = wh_schema_find(&p->target, wh_str(f->columns[i].name), true);
        if (at < 0)
            return wh_fail(reterr, WH_E_TYPE, "E3001", "the destination has no column '%s'",
                           f->columns[i].name);
        a[n] = wh_flow_place(f, &f->columns[i]);
        if (a[n] < 0)
            continue; /* constants are the job's, not the source's */
        p->column[n] = i;
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

static int begin_both(struct pair *p, struct wh_end *a, struct wh_end *b, struct wh_error *reterr)
{
    WH_TRY(snapshots(p, reterr));
    WH_TRY(wh_end_session(a, reterr));
    WH_TRY(wh_end_session(b, reterr));
    wh_end_context(a);
    wh_end_context(b);
    WH_TRY(wh_end_columns(a, reterr));
    return wh_end_columns(b, reterr);
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

/* What tells rows apart, where that is asked. */
static int begin_keys(struct pair *p, struct wh_end *a, struct wh_end *b,
                      const struct wh_list *said, struct wh_error *reterr)
{
    size_t n = 0, most = (size_t)(p->compare.n_children + p->target.n_children) + said->n + 1;
    int64_t *keys = wh_arena_alloc(p->planner->arena, most * sizeof(*keys));
    if (!keys)
        return wh_plan_no_memory(reterr);
    WH_TRY(keys_of(p, said, keys, &n, reterr));
    a->keys = b->keys = keys;
    a->n_keys = b->n_keys = (int64_t)n;
    return WH_OK;
}

static int begin_rows(struct pair *p, struct wh_end *a, struct wh_end *b,
                      const struct wh_validate_options *o, struct wh_validated *v,
                      struct wh_error *reterr)
{
    struct wh_differences *d = wh_arena_alloc(p->planner->arena, sizeof(*d));
    if (!d)
        return wh_plan_no_memory(reterr);
    d->keys = joined(p, a->keys, (size_t)a->n_keys);
    v->differences = d;
    p->found = d;
    p->rows = o->rows ? o->rows : 20;
    WH_TRY(wh_differ_new(a->n, a->keys, a->n_keys, &a->differ, reterr));
    return wh_differ_new(b->n, b->keys, b->n_keys, &b->differ, reterr);
}

static int same_as_before(const struct wh_end *s, int64_t rows, struct wh_error *reterr)
{
    if (s->rows == rows)
        return WH_OK;
    return wh_fail(reterr, WH_E_DATA, "E4007",
                   "%s had %" PRId64 " rows when it was read first, and %" PRId64
                   " the second time: the rows that differ cannot be named",
                   s->ep->name, rows, s->rows);
}

static int find_rows(struct pair *p, struct wh_end *a, struct wh_end *b, struct wh_validated *v,
                     struct wh_error *reterr)
{
    if (!a->differ || !wh_differ_choose(a->differ, b->differ))
        return WH_OK;
    WH_TRY(wh_ends_read(a, b, WH_PASS_HASH, reterr));
    WH_TRY(same_as_before(a, v->rows_source, reterr));
    WH_TRY(same_as_before(b, v->rows_target, reterr));
    WH_TRY(wh_differ_pair(a->differ, b->differ, p->rows, p->planner->arena, p->found, reterr));
    WH_TRY(wh_ends_read(a, b, WH_PASS_FETCH, reterr));
    return wh_differ_texts(a->differ, b->differ, v->columns, p->planner->arena, p->found, reterr);
}

static int keep_stats(struct pair *p, const struct wh_end *s, const struct wh_column_stats **ret,
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

/* ---- a sample ---- */

/* The share of the hashes that makes up about so many rows. */
static int begin_sample(struct pair *p, struct wh_end *a, struct wh_end *b,
                        const struct wh_validate_options *o, struct wh_validated *v,
                        struct wh_error *reterr)
{
    double share = o->sample.fraction;
    a->sampling.most = b->sampling.most = UINT64_MAX;
    if (o->sample.rows == 0 && share <= 0)
        return WH_OK;
    v->sampled = true;
    v->sampled_by = joined(p, a->keys, (size_t)a->n_keys);
    if (o->sample.rows) { /* counted, so that the same rows are chosen each time */
        bool hash = a->hash;
        a->hash = false;
        int st = wh_end_read(a, reterr);
        a->hash = hash;
        WH_TRY(st);
        share = a->rows ? (double)o->sample.rows / (double)a->rows : 1;
    }
    v->sample = o->sample;
    v->sample.most = share >= 1 ? UINT64_MAX : (uint64_t)(share * 18446744073709549568.0);
    a->sampling = b->sampling = v->sample;
    return WH_OK;
}

/* ---- both ends ---- */

/* Rows that the run refused are at one end only. What the archive cannot tell is no difference. */
static int judge_after_run(struct pair *p, struct wh_end *a, struct wh_end *b,
                           struct wh_validated *v, struct wh_error *reterr)
{
    struct wh_refusals r = {0};
    v->refused = p->moved->rows_dirty;
    v->sign = '*';
    if (a->rows - v->refused != b->rows)
        return WH_OK;
    if (!a->hash) {
        v->sign = '=';
        return WH_OK;
    }
    WH_TRY(wh_validate_refusals(p->run, p->flow, a, p->column, &r, reterr));
    if (r.rows < v->refused || r.unknown) {
        v->sign = '?';
        v->note = r.unknown ? "a value of them cannot be made again from the archive"
                            : "the archive does not hold all of them";
        return WH_OK;
    }
    if (a->unfit == r.unfit && a->raw == r.raw && !b->unfit && !b->raw &&
        wh_u128_eq(a->sum.sum, wh_u128_add(b->sum.sum, r.sum)))
        v->sign = '=';
    return WH_OK;
}

static int judge(struct pair *p, struct wh_end *a, struct wh_end *b, struct wh_validated *v,
                 struct wh_error *reterr)
{
    bool fit = !a->unfit && !b->unfit && !a->raw && !b->raw;
    v->rows_source = a->rows;
    v->rows_target = b->rows;
    v->unfit_source = a->unfit + a->raw;
    v->unfit_target = b->unfit + b->raw;
    v->compared_source = a->compared;
    v->compared_target = b->compared;
    v->sum_source = a->sum.sum;
    v->sum_target = b->sum.sum;
    if (p->moved && p->moved->rows_dirty)
        return judge_after_run(p, a, b, v, reterr);
    v->sign = a->rows == b->rows && fit && wh_u128_eq(a->sum.sum, b->sum.sum) ? '=' : '*';
    return WH_OK;
}

static int read_both(struct pair *p, struct wh_end *a, struct wh_end *b,
                     const struct wh_validate_options *o, const struct wh_list *keys,
                     struct wh_validated *v, struct wh_error *reterr)
{
    bool sampled = o->sample.rows || o->sample.fraction > 0;
    v->n_columns = a->n;
    v->columns = compared_names(p);
    if (!v->columns)
        return wh_plan_no_memory(reterr);
    if (o->level == WH_VALIDATE_STATS) {
        WH_TRY(wh_stats_new(a->n, &a->stats, reterr));
        WH_TRY(wh_stats_new(b->n, &b->stats, reterr));
    }
    if (o->level == WH_VALIDATE_ROWS || sampled)
        WH_TRY(begin_keys(p, a, b, keys, reterr));
    if (o->level == WH_VALIDATE_ROWS)
        WH_TRY(begin_rows(p, a, b, o, v, reterr));
    WH_TRY(begin_both(p, a, b, reterr));
    WH_TRY(begin_sample(p, a, b, o, v, reterr));
    WH_TRY(wh_ends_read(a, b, WH_PASS_SUM, reterr));
    WH_TRY(judge(p, a, b, v, reterr));
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

        if (ia[i] >= a->n_children)
            continue; /* made of others */
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

/* In words, so that "equal" says of what. */
static int left_out(struct pair *p, const struct wh_list *ignore, struct wh_validated *v,
                    struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    const struct wh_flow *f = p->flow;
    for (int64_t i = 0; i < f->n_columns; i++)
        if (f->columns[i].varies && !is_ignored(ignore, f->columns[i].name))
            wh_ignore(wh_buf_printf(&b, "%s%s", b.n ? ", " : "", f->columns[i].name));
    v->left_out = b.n ? wh_arena_strdup(p->planner->arena, b.p) : NULL;
    return b.n && !v->left_out ? wh_plan_no_memory(reterr) : WH_OK;
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
    WH_TRY(left_out(p, &o->ignore, v, reterr));
    WH_TRY(infinite_both(p, ia, ib, n, reterr));
    struct wh_end a = {.ep = p->flow->from,
                       .sc = p->flow->sc,
                       .schema = &p->flow->source_schema,
                       .compare = &p->compare,
                       .index = ia,
                       .n = n,
                       .flow = p->flow,
                       .chained = p->flow->scan.chained,
                       .flow_column = p->column,
                       .hooks = &p->hooks[0],
                       .hash = o->level != WH_VALIDATE_COUNT};
    struct wh_end b = {.ep = p->flow->to,
                       .sc = p->sc,
                       .chained = p->scan.chained,
                       .schema = &p->target,
                       .compare = &p->compare,
                       .index = ib,
                       .n = n,
                       .hooks = &p->hooks[1],
                       .hash = a.hash};
    st = read_both(p, &a, &b, o, keys, v, reterr);
    wh_end_done(&a);
    wh_end_done(&b);
    release(p);
    return st;
}

/* ---- a job ---- */

/* What is wanted of all pairs. */
struct wanted {
    struct wh_planner *p;
    const struct wh_validate_options *given; /* NULL: as each stream asks for it */
    const struct wh_list *keys;              /* per stream of the job; NULL: none were said */
    const struct wh_validate_run *run;       /* NULL: no run went before */
    wh_validated_fn each;
    void *arg;
    int64_t different;
    struct wh_error first;
};

/* The stream of a flow is one of the job's, or an override's of it. */
static const struct wh_list *keys_said(const struct wanted *w, const struct wh_flow *f)
{
    const struct wh_job *job = w->p->job;
    for (size_t i = 0; i < job->n_streams; i++) {
        if (f->stream == &job->streams[i])
            return &w->keys[i];
        for (size_t j = 0; j < job->streams[i].n_overrides; j++)
            if (f->stream == job->streams[i].overrides[j].stream)
                return &w->keys[i];
    }
    return &w->keys[0];
}

static void validate_flow(const struct wanted *w, struct wh_flow *f,
                          const struct wh_validate_options *o, struct wh_validated *v)
{
    const struct wh_list none = {0};
    struct pair pair = {.planner = w->p, .flow = f, .run = w->run};
    int64_t from = wh_now_ns();
    *v = (struct wh_validated){.sign = '?', .flow = f};
    v->source = wh_plan_name_text(w->p->arena, &f->source);
    v->target = wh_plan_name_text(w->p->arena, &f->tgt.ret_object);
    if (f->refused) {
        v->error = *f->error;
        v->target = f->table;
        return;
    }
    struct wh_error error = {0};
    pair.own[0].wake_fd = pair.own[1].wake_fd = -1;
    pair.hooks = w->run && w->run->hooks ? w->run->hooks : pair.own;
    pair.moved = w->run ? &w->run->flows[f->index] : NULL;
    int st = look(&pair, o, w->keys ? keys_said(w, f) : &none, v, &error);
    if (st != WH_OK && !error.code[0])
        wh_ignore(wh_fail(&error, st, "E4021", "%s and %s cannot be compared: %s", f->from->name,
                          f->to->name, wh_status_name(st)));
    if (st != WH_OK)
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

/* Rows that were at the destination before are in no comparison with what was added to them. */
static bool added_to_others(const struct wanted *w, const struct wh_flow *f)
{
    return w->run && f->stream->write.mode == WH_MODE_APPEND && w->run->flows[f->index].rows_before;
}

static void one_flow(struct wanted *w, struct wh_flow *f)
{
    struct wh_validate_options o = {.level = level_of(f)};
    struct wh_validated v;
    if (w->given)
        o = *w->given;
    else if (asked(f) == 0)
        return;
    if (f->frame) /* values are compared, not bytes */
        f->from->connector->source->use_frames(f->sc, false);
    if (added_to_others(w, f)) {
        v = (struct wh_validated){.sign = '?', .flow = f, .source = f->table, .target = f->table};
        wh_ignore(wh_fail(&v.error, WH_E_UNSUPPORTED, "E1060",
                          "the destination held rows before this append: not compared"));
        v.excused = true;
    } else {
        validate_flow(w, f, &o, &v);
        if (v.error.status && !w->first.status)
            w->first = v.error;
        w->different += v.sign != '=' && !v.note;
    }
    w->each(w->arg, &v);
}

/* ---- only at the destination ---- */

static int extras(struct wanted *w, const struct wh_stream *s, struct wh_error *reterr)
{
    struct wh_name *names WH_CLEANUP(wh_freep) = NULL;
    const char *why = NULL;
    size_t n = 0;
    WH_TRY(wh_validate_extra(w->p, s, &names, &n, &why, reterr));
    for (size_t i = 0; i < n; i++) {
        struct wh_validated v = {.sign = '+'};
        v.target = wh_plan_name_text(w->p->arena, &names[i]);
        w->different++;
        w->each(w->arg, &v);
    }
    if (why) {
        struct wh_validated v = {.sign = '?', .source = s->name, .target = s->to.text, .note = why};
        w->each(w->arg, &v);
    }
    return WH_OK;
}

static int validate_flows(struct wanted *w, int64_t *ret_different, struct wh_error *reterr)
{
    const struct wh_job *job = w->p->job;
    for (size_t i = 0; i < w->p->plan->n_flows && w->first.status != WH_E_CANCELLED; i++)
        one_flow(w, w->p->plan->flows[i]);
    for (size_t i = 0; w->given && i < job->n_streams; i++) {
        struct wh_error e = {0};
        if (extras(w, &job->streams[i], &e) != WH_OK && !w->first.status)
            w->first = e;
    }
    *ret_different = w->different;
    if (w->first.status)
        *reterr = w->first;
    return w->first.status;
}

int wh_validate_plan(struct wh_plan *plan, struct wh_services *services,
                     const struct wh_validate_run *run, wh_validated_fn each, void *arg,
                     int64_t *ret_different, struct wh_error *reterr)
{
    WH_CLEANUP(wh_planner_done)
    struct wh_planner p = {
        .plan = plan, .arena = plan->arena, .job = plan->job, .services = services};
    struct wanted w = {.p = &p, .run = run, .each = each, .arg = arg};
    return validate_flows(&w, ret_different, reterr);
}

/* Only a source that keeps its past, or has none, can be read as it was. */
static int can_look_back(const struct wh_job *job, const struct wh_validate_options *o,
                         struct wh_error *reterr)
{
    for (size_t i = 0; i < job->n_streams && o->as_of; i++) {
        const struct wh_connector *c = job->streams[i].from.connector;
        if (c->caps->flags & WH_CAP_AS_OF)
            continue;
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1074",
                         "%s cannot be read as it was at %s: it keeps no rows of the past", c->name,
                         o->as_of);
        wh_error_where(reterr, "%s", job->streams[i].from.where);
        wh_error_hint(reterr, "name a backup or dump of that time as the source, or compare while "
                              "the run still has both ends: --validate checksum");
        return st;
    }
    return WH_OK;
}

/* The plan resolves names, mapping and types; overwriting is the mode that accepts a target of the
 * same name. Nothing of it is carried out. */
static void accept_any(struct wh_stream *s)
{
    s->write.mode = WH_MODE_OVERWRITE;
    s->write.keys = (struct wh_list){0};
}

int wh_validate_job(struct wh_job *job, struct wh_services *services,
                    const struct wh_validate_options *options, wh_validated_fn each, void *arg,
                    int64_t *ret_different, struct wh_error *reterr)
{
    struct wh_list *keys = wh_arena_alloc(job->arena, (job->n_streams + 1) * sizeof(*keys));
    struct wh_plan *plan = NULL;
    if (!keys)
        return wh_plan_no_memory(reterr);
    WH_TRY(can_look_back(job, options, reterr));
    job->as_of = options->as_of;
    for (size_t i = 0; i < job->n_streams; i++) {
        keys[i] = job->streams[i].write.keys;
        accept_any(&job->streams[i]);
        for (size_t j = 0; j < job->streams[i].n_overrides; j++)
            if (job->streams[i].overrides[j].stream)
                accept_any(job->streams[i].overrides[j].stream);
    }
    *ret_different = 0;
    int st = wh_plan_make(job, services, NULL, &plan, reterr);
    if (!plan || plan->n_flows == 0) {
        wh_plan_free(plan);
        return st != WH_OK ? st : wh_fail(reterr, WH_E_USAGE, "E1028", "nothing to validate");
    }
    struct wh_planner p = {.plan = plan, .arena = plan->arena, .job = job, .services = services};
    struct wanted w = {.p = &p, .given = options, .keys = keys, .each = each, .arg = arg};
    st = validate_flows(&w, ret_different, reterr);
    wh_planner_done(&p);
    wh_plan_free(plan);
    return st;
}
