/* SPDX-License-Identifier: Apache-2.0 */
/* Rows that a run refused, made again from their texts in the archive, so that the comparison
 * behind the run can take their hashes off the source's sum. A row that was refused before it was
 * mapped goes the source's way once more; one that the destination refused has its types already.
 */
#include "engine/refused.h"
#include "engine/validate_end.h"

#include <string.h>

#include "core/tree.h"
#include "data/builder.h"
#include "data/type.h"

enum {
    PIECE_ROWS = 1024,
    PIECE_BYTES = 1 << 20,
};

/* Rows of one shape, gathered as texts until there are enough of them. */
struct gathering {
    const char *const *names; /* of their columns in the archive */
    int64_t n;
    struct ArrowSchema texts;
    struct wh_builder *builder;
    int64_t rows, bytes;
    struct wh_end side;
    /* From their texts to the columns that the side takes; NULL: it takes texts. */
    struct wh_convert **convert;
    struct wh_builder *typed;
};

struct reading {
    struct wh_refusals *ret;
    struct gathering from, to;
    struct wh_error *reterr;
    int flow, status;
};

static int text_schema(const char *const *names, int64_t n, struct ArrowSchema *ret,
                       struct wh_error *reterr)
{
    const struct wh_type utf8 = {.kind = WH_K_UTF8, .nullable = true};

    if (wh_schema_init(ret, n) != WH_OK)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < n; i++)
        if (wh_schema_set(ret, i, names[i], &utf8, NULL) != WH_OK)
            return wh_plan_no_memory(reterr);
    return WH_OK;
}

static int gathering_begin(struct gathering *g, struct wh_error *reterr)
{
    WH_TRY(text_schema(g->names, g->n, &g->texts, reterr));
    WH_TRY(wh_builder_new(&g->texts, &g->builder, reterr));
    g->side.pass = WH_PASS_SUM;
    g->side.hash = true;
    g->side.sampling.most = UINT64_MAX;
    if (!g->side.schema)
        g->side.schema = &g->texts;
    return wh_end_columns(&g->side, reterr);
}

/* The source's columns, each from its text. */
static int typed_begin(struct gathering *g, struct wh_error *reterr)
{
    const struct wh_value_policy strict = {0};

    g->convert = wh_calloc((size_t)g->n + 1, sizeof(*g->convert));
    if (!g->convert)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < g->n; i++)
        WH_TRY(wh_convert_new(g->texts.children[i], g->side.schema->children[i], &strict,
                              &g->convert[i], reterr));
    return wh_builder_new(g->side.schema, &g->typed, reterr);
}

static void gathering_done(struct gathering *g)
{
    for (int64_t i = 0; g->convert && i < g->n; i++)
        wh_convert_free(g->convert[i]);
    wh_free(g->convert);
    wh_builder_free(g->typed);
    wh_builder_free(g->builder);
    wh_end_done(&g->side);
    wh_schema_release(&g->texts);
}

static int typed_batch(struct gathering *g, const struct wh_batch *texts, struct wh_batch *ret,
                       int64_t *unknown, struct wh_error *reterr)
{
    struct wh_view *views WH_CLEANUP(wh_freep) = wh_calloc((size_t)g->n + 1, sizeof(*views));
    struct wh_cell_reject reject;

    if (!views)
        return wh_plan_no_memory(reterr);
    WH_TRY(wh_views_init(&g->texts, &texts->rows, views, reterr));
    for (int64_t i = 0; i < g->n; i++) {
        size_t n = 0;

        WH_TRY(wh_convert_run(g->convert[i], &views[i], (int32_t)i, wh_builder_column(g->typed, i),
                              &reject, 1, &n, reterr));
        *unknown += (int64_t)n;
    }
    return wh_builder_finish(g->typed, ret) == WH_OK ? WH_OK : wh_plan_no_memory(reterr);
}

static int gathering_flush(struct gathering *g, struct wh_refusals *r, struct wh_error *reterr)
{
    struct wh_batch texts = {0}, typed = {0};
    int st;

    if (g->rows == 0)
        return WH_OK;
    g->rows = g->bytes = 0;
    if (wh_builder_finish(g->builder, &texts) != WH_OK)
        return wh_plan_no_memory(reterr);
    if (!g->convert)
        return wh_end_take(&g->side, &texts, reterr);
    st = typed_batch(g, &texts, &typed, &r->unknown, reterr);
    if (st == WH_OK)
        st = wh_end_take(&g->side, &typed, reterr);
    wh_batch_release(&texts);
    wh_batch_release(&typed);
    return st;
}

static int gather(struct gathering *g, const struct wh_node *row, struct wh_refusals *r,
                  struct wh_error *reterr)
{
    for (int64_t i = 0; i < g->n; i++) {
        const struct wh_node *v = wh_node_get(row, g->names[i]);
        struct wh_column *c = wh_builder_column(g->builder, i);
        size_t n = v && v->kind == WH_NODE_SCALAR ? strlen(v->text) : 0;
        int st = v && v->kind == WH_NODE_SCALAR ? wh_col_bytes(c, v->text, n) : wh_col_null(c);

        r->unknown += !v; /* another shape than the plan's */
        g->bytes += (int64_t)n;
        if (st != WH_OK)
            return wh_plan_no_memory(reterr);
    }
    return ++g->rows < PIECE_ROWS && g->bytes < PIECE_BYTES ? WH_OK : gathering_flush(g, r, reterr);
}

static wh_status one(void *arg, const struct wh_refused *row)
{
    struct reading *r = arg;

    if (!row->committed || row->flow != r->flow)
        return WH_OK;
    r->ret->rows++;
    if (row->raw.n || row->raw_cut_from) {
        r->ret->raw++;
    } else if (!row->row) {
        r->ret->unknown++;
    } else {
        r->status = gather(row->mapped ? &r->to : &r->from, row->row, r->ret, r->reterr);
    }
    return r->status;
}

static const char **names_of(struct wh_arena *a, const struct ArrowSchema *s)
{
    const char **v = wh_arena_alloc(a, (size_t)(s->n_children + 1) * sizeof *v);

    for (int64_t i = 0; v && i < s->n_children; i++)
        v[i] = s->children[i]->name;
    return v;
}

static int begin(struct reading *r, const struct wh_flow *f, const struct wh_end *like,
                 const int64_t *column, int64_t *index, const char **mapped,
                 struct wh_error *reterr)
{
    for (int64_t i = 0; i < like->n; i++) {
        index[i] = i;
        mapped[i] = f->columns[column[i]].name;
    }
    r->from.n = like->schema->n_children;
    r->from.side = (struct wh_end){.ep = like->ep,
                                   .schema = like->schema,
                                   .compare = like->compare,
                                   .index = like->index,
                                   .n = like->n,
                                   .flow = f,
                                   .flow_column = column};
    r->to.names = mapped;
    r->to.n = like->n;
    r->to.side =
        (struct wh_end){.ep = like->ep, .compare = like->compare, .index = index, .n = like->n};
    WH_TRY(gathering_begin(&r->from, reterr));
    WH_TRY(typed_begin(&r->from, reterr));
    return gathering_begin(&r->to, reterr);
}

static int read_all(struct reading *r, const struct wh_validate_run *run, const struct wh_flow *f,
                    struct wh_error *reterr)
{
    int64_t missing = 0;
    int st = wh_refused_each(run->state, run->run, f->table, one, r, &missing, reterr);

    if (r->status != WH_OK) /* r->reterr is the caller's */
        return r->status;
    WH_TRY(st);
    WH_TRY(gathering_flush(&r->from, r->ret, reterr));
    WH_TRY(gathering_flush(&r->to, r->ret, reterr));
    r->ret->unfit += r->from.side.unfit;
    r->ret->unknown += r->to.side.unfit;
    r->ret->sum = wh_u128_add(r->from.side.sum.sum, r->to.side.sum.sum);
    return WH_OK;
}

int wh_validate_refusals(const struct wh_validate_run *run, const struct wh_flow *f,
                         const struct wh_end *like, const int64_t *column, struct wh_refusals *ret,
                         struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct reading r = {.ret = ret, .reterr = reterr, .flow = f->index};
    int64_t *index = a ? wh_arena_alloc(a, (size_t)(like->n + 1) * sizeof *index) : NULL;
    const char **mapped = a ? wh_arena_alloc(a, (size_t)(like->n + 1) * sizeof *mapped) : NULL;

    r.from.names = a ? names_of(a, like->schema) : NULL;
    if (!index || !mapped || !r.from.names)
        return wh_plan_no_memory(reterr);
    int st = begin(&r, f, like, column, index, mapped, reterr);
    if (st == WH_OK)
        st = read_all(&r, run, f, reterr);
    gathering_done(&r.from);
    gathering_done(&r.to);
    return st;
}
