/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/made.h"

#include "core/alloc.h"
#include "data/builder.h"
#include "engine/functions.h"

#include <string.h>

enum {
    JSON_MAX = 1 << 30, /* of one row; what a row may have is checked when it is put */
};

/* One made column. */
struct making {
    const struct wh_made *what;
    int32_t column;            /* of the plan */
    struct wh_convert *first;  /* to what the first function gets; NULL */
    struct wh_builder **steps; /* one column each: behind `first` and behind each function but the
                                  last; n_steps */
    struct ArrowSchema *types; /* of them */
    size_t n_steps;
    char **keys; /* rest: {"name": or ,"name": */
};

struct wh_maker {
    const struct wh_flow *flow;
    struct making *v;
    struct wh_builder *builder;
    struct wh_fn_rejects rejects;
    struct wh_buf scratch;
};

const struct ArrowSchema *wh_flow_field(const struct wh_flow *f, const struct wh_plan_column *c)
{
    if (c->made)
        return f->made_schema.children[c->made - 1];
    return c->source >= 0 ? f->source_schema.children[c->source] : NULL;
}

int64_t wh_flow_place(const struct wh_flow *f, const struct wh_plan_column *c)
{
    return c->made ? f->source_schema.n_children + c->made - 1 : c->source;
}

/* ---- making -----------------------------------------------------------------------------------
 */

static int no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "made columns");
}

/* A builder of one column for what lies between two functions. */
static int add_step(const struct wh_maker *m, struct making *k, const struct wh_type *t,
                    struct wh_error *reterr)
{
    struct ArrowSchema *schema = &k->types[k->n_steps];
    int64_t most = m->flow->stream->max_row_bytes;

    if (wh_schema_init(schema, 1) != WH_OK || wh_schema_set(schema, 0, "step", t, NULL) != WH_OK)
        return no_memory(reterr);
    WH_TRY(wh_builder_new(schema, &k->steps[k->n_steps], reterr));
    if (most > 0)
        wh_builder_max_cell(k->steps[k->n_steps], (size_t)most);
    k->n_steps++;
    return WH_OK;
}

static int prepare_chain(const struct wh_maker *m, struct making *k, struct wh_error *reterr)
{
    const struct ArrowSchema *from = m->flow->source_schema.children[k->what->source];
    const struct wh_fn_chain *chain = k->what->chain;
    struct wh_type t, next;
    const char *why;

    k->steps = wh_calloc(chain->n + 1, sizeof *k->steps);
    k->types = wh_calloc(chain->n + 1, sizeof *k->types);
    if (!k->steps || !k->types)
        return no_memory(reterr);
    WH_TRY(wh_type_of(from, &t, reterr));
    if (k->what->convert_first) {
        struct wh_value_policy policy = m->flow->stream->values;

        t = k->what->first;
        WH_TRY(add_step(m, k, &t, reterr));
        WH_TRY(wh_convert_new(from, k->types[0].children[0], &policy, &k->first, reterr));
    }
    for (size_t i = 0; i < chain->n; i++, t = next) {
        if (!wh_fn_result(&chain->v[i], &t, &next, &why))
            return wh_fail(reterr, WH_E_BUG, "E9003", "%s: %s", chain->v[i].fn->name, why);
        if (i + 1 < chain->n)
            WH_TRY(add_step(m, k, &next, reterr));
    }
    return WH_OK;
}

static int prepare_rest(const struct wh_maker *m, struct making *k, struct wh_error *reterr)
{
    const struct wh_made *what = k->what;

    k->keys = wh_calloc(what->n_members + 1, sizeof *k->keys);
    if (!k->keys)
        return no_memory(reterr);
    for (size_t i = 0; i < what->n_members; i++) {
        const char *name = m->flow->source_schema.children[what->members[i]]->name;
        struct wh_buf b = WH_BUF(1 << 24);
        int st = wh_buf_addc(&b, i ? ',' : '{');

        if (st == WH_OK)
            st = wh_buf_json(&b, name, strlen(name));
        if (st == WH_OK)
            st = wh_buf_addc(&b, ':');
        k->keys[i] = st == WH_OK ? wh_buf_take(&b) : NULL;
        wh_buf_free(&b);
        if (!k->keys[i])
            return no_memory(reterr);
    }
    return WH_OK;
}

static int prepare(struct wh_maker *m, struct wh_error *reterr)
{
    const struct wh_flow *f = m->flow;

    m->v = wh_calloc((size_t)f->n_made, sizeof *m->v);
    if (!m->v)
        return no_memory(reterr);
    for (int64_t i = 0; i < f->n_columns; i++)
        if (f->columns[i].made)
            m->v[f->columns[i].made - 1].column = (int32_t)i;
    for (int64_t i = 0; i < f->n_made; i++) {
        struct making *k = &m->v[i];

        k->what = &f->made[i];
        WH_TRY(k->what->chain ? prepare_chain(m, k, reterr) : prepare_rest(m, k, reterr));
    }
    return WH_OK;
}

static int start_builder(struct wh_maker *m, struct wh_error *reterr)
{
    wh_builder_free(TAKE_PTR(m->builder));
    WH_TRY(wh_builder_new(&m->flow->made_schema, &m->builder, reterr));
    if (m->flow->stream->max_row_bytes > 0)
        wh_builder_max_cell(m->builder, (size_t)m->flow->stream->max_row_bytes);
    return WH_OK;
}

int wh_maker_new(const struct wh_flow *flow, struct wh_maker **ret, struct wh_error *reterr)
{
    *ret = NULL;
    if (flow->n_made == 0)
        return WH_OK;
    struct wh_maker *m = wh_calloc(1, sizeof *m);

    if (!m)
        return no_memory(reterr);
    m->flow = flow;
    m->scratch = WH_BUF(JSON_MAX);
    int st = prepare(m, reterr);

    if (st == WH_OK)
        st = start_builder(m, reterr);
    if (st != WH_OK) {
        wh_maker_free(m);
        return st;
    }
    *ret = m;
    return WH_OK;
}

void wh_maker_free(struct wh_maker *m)
{
    if (!m)
        return;
    for (int64_t i = 0; m->v && i < m->flow->n_made; i++) {
        struct making *k = &m->v[i];

        wh_convert_free(k->first);
        for (size_t j = 0; j < k->n_steps; j++)
            wh_builder_free(k->steps[j]);
        for (size_t j = 0; k->types && k->what && k->what->chain && j <= k->what->chain->n; j++)
            wh_schema_release(&k->types[j]);
        for (size_t j = 0; k->keys && j < k->what->n_members; j++)
            wh_free(k->keys[j]);
        wh_free(k->steps);
        wh_free(k->types);
        wh_free(k->keys);
    }
    wh_free(m->v);
    wh_builder_free(m->builder);
    wh_fn_rejects_free(&m->rejects);
    wh_buf_free(&m->scratch);
    wh_free(m);
}

/* ---- running ----------------------------------------------------------------------------------
 */

/* The column of a step as a view; *ret_batch holds its memory. */
static int end_step(const struct making *k, size_t step, struct wh_batch *ret_batch,
                    struct wh_view *ret, struct wh_error *reterr)
{
    wh_batch_release(ret_batch);
    int st = wh_builder_finish(k->steps[step], ret_batch);

    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "made columns");
    return wh_view_init(k->types[step].children[0], ret_batch->rows.children[0], ret, reterr);
}

/* A value that does not fit is refused as it is elsewhere. */
static int convert_first(struct wh_maker *m, struct making *k, const struct wh_view *in,
                         struct wh_error *reterr)
{
    struct wh_fn_rejects *r = &m->rejects;
    size_t got = 0;
    struct wh_column *out = wh_builder_column(k->steps[0], 0);

    WH_TRY(wh_convert_run(k->first, in, k->column, out, r->v + r->n, r->cap - r->n, &got, reterr));
    if (got > r->cap - r->n) {
        struct wh_cell_reject *more = wh_realloc(r->v, (r->n + got) * sizeof *more);

        if (!more)
            return no_memory(reterr);
        r->v = more;
        r->cap = r->n + got;
        wh_col_truncate(out, 0);
        WH_TRY(wh_convert_run(k->first, in, k->column, out, r->v + r->n, got, &got, reterr));
    }
    r->n += got;
    return WH_OK;
}

static int run_chain(struct wh_maker *m, struct making *k, const struct wh_view *views,
                     struct wh_column *last, struct wh_error *reterr)
{
    const struct wh_fn_chain *chain = k->what->chain;
    struct wh_batch held = {0}, next = {0};
    struct wh_view in = views[k->what->source];
    size_t step = 0;
    int st = WH_OK;

    if (k->first) {
        st = convert_first(m, k, &in, reterr);
        if (st == WH_OK)
            st = end_step(k, step++, &held, &in, reterr);
    }
    for (size_t i = 0; st == WH_OK && i < chain->n; i++) {
        bool ends = i + 1 == chain->n;
        struct wh_fn_job job = {.args = chain->v[i].args,
                                .in = &in,
                                .out = ends ? last : wh_builder_column(k->steps[step], 0),
                                .column = k->column,
                                .rejects = &m->rejects,
                                .scratch = &m->scratch};

        st = chain->v[i].fn->run(&job);
        if (st != WH_OK)
            st = no_memory(reterr);
        else if (!ends)
            st = end_step(k, step++, &next, &in, reterr);
        if (st == WH_OK && !ends) {
            wh_batch_release(&held);
            held = next;
            next = (struct wh_batch){0};
        }
    }
    wh_batch_release(&held);
    wh_batch_release(&next);
    return st;
}

static int run_rest(struct wh_maker *m, struct making *k, const struct wh_view *views, int64_t n,
                    struct wh_column *out, struct wh_error *reterr)
{
    const struct wh_made *what = k->what;
    struct wh_fn_job job = {.out = out, .column = k->column, .rejects = &m->rejects};
    struct wh_buf *b = &m->scratch;

    for (int64_t row = 0; row < n; row++) {
        int st = WH_OK;

        wh_buf_clear(b);
        for (size_t i = 0; st == WH_OK && i < what->n_members; i++) {
            st = wh_buf_adds(b, k->keys[i]);
            if (st == WH_OK)
                st = wh_view_json(&views[what->members[i]], row, b);
        }
        if (st == WH_OK)
            st = wh_buf_adds(b, what->n_members ? "}" : "{}");
        if (st == WH_OK)
            st = wh_fn_put(&job, row, b->p, b->n);
        if (st != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}

int wh_maker_run(struct wh_maker *m, const struct wh_view *views, int64_t n, struct wh_batch *ret,
                 const struct wh_cell_reject **ret_rejects, size_t *ret_n, struct wh_error *reterr)
{
    int st = WH_OK;

    m->rejects.n = 0;
    for (int64_t i = 0; st == WH_OK && i < m->flow->n_made; i++) {
        struct wh_column *out = wh_builder_column(m->builder, i);

        st = m->v[i].what->chain ? run_chain(m, &m->v[i], views, out, reterr)
                                 : run_rest(m, &m->v[i], views, n, out, reterr);
    }
    if (st == WH_OK && wh_builder_finish(m->builder, ret) != WH_OK)
        st = no_memory(reterr);
    if (st != WH_OK) {
        wh_ignore(start_builder(m, NULL)); /* half-built columns must not stay */
        return st;
    }
    *ret_rejects = m->rejects.v;
    *ret_n = m->rejects.n;
    return WH_OK;
}
