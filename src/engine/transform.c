/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/transform.h"

#include "core/alloc.h"
#include "data/builder.h"
#include "engine/made.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    FIRST_REJECTS = 64,
};

/* A constant column, made once and shared by all batches that use it. */
struct constant {
    struct wh_batch batch; /* one column */
    int refs;              /* atomic */
};

struct out_column {
    int64_t source; /* in in_views: the source's columns, then the made ones; -1 = constant */
    struct wh_convert *convert;
    bool identity;
    int64_t built; /* index in the builder, -1 = passed by pointer or constant */
    bool check_null;
    int64_t max_length; /* 0 = not checked */
    bool in_chars;
    struct constant *constant;
    struct wh_str origin; /* what the constant is made of, where it is each batch's own */
};

struct wh_transform {
    const struct wh_flow *flow;
    struct out_column *columns;
    int64_t n_columns;
    struct wh_maker *maker; /* NULL: no column is made */
    bool all_identity;      /* the batch is passed as it is */
    struct ArrowSchema built_schema;
    int64_t n_built;
    struct wh_builder *builder;
    struct wh_view *in_views, *out_views;
    struct wh_cell_reject *rejects;
    size_t n_rejects, cap_rejects;
    int64_t max_row_bytes;
};

/* What keeps the memory behind an output batch alive. */
struct holding {
    struct wh_batch source, made, built;
    struct constant **constants;
    int64_t n_constants;
    struct ArrowArray *cut; /* constants cut to length */
    struct ArrowArray **children;
};

static void constant_unref(struct constant *c)
{
    if (c && __atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL) == 0) {
        wh_batch_release(&c->batch);
        wh_free(c);
    }
}

/* ---- making ------------------------------------------------------------------------------------
 */

/* A utf8 column with the constant's text n times, for the converter. */
static int constant_text(struct wh_str text, int64_t n, struct ArrowSchema *schema,
                         struct wh_batch *ret, struct wh_error *reterr)
{
    const struct wh_type utf8 = {.kind = WH_K_UTF8, .nullable = true};
    struct wh_builder *b = NULL;
    int st = wh_schema_init(schema, 1);

    if (st == WH_OK)
        st = wh_schema_set(schema, 0, "constant", &utf8, NULL);
    if (st == WH_OK)
        st = wh_builder_new(schema, &b, reterr);
    for (int64_t i = 0; st == WH_OK && i < n; i++) {
        struct wh_column *c = wh_builder_column(b, 0);

        st = text.s ? wh_col_bytes(c, text.s, text.n) : wh_col_null(c);
    }
    if (st == WH_OK)
        st = wh_builder_finish(b, ret);
    wh_builder_free(b);
    return st;
}

/* The constant of column i for batches of up to n rows. */
static int constant_make(struct wh_transform *tf, int64_t i, struct wh_str value, int64_t n,
                         struct constant **ret, struct wh_error *reterr)
{
    const struct wh_plan_column *pc = &tf->flow->columns[i];
    const struct ArrowSchema *to = tf->flow->tgt.accept.children[i];
    struct ArrowSchema text_schema = {0}, one = {0};
    struct wh_batch text = {0};
    struct wh_builder *b = NULL;
    struct wh_convert *cv = NULL;
    struct wh_value_policy policy;
    struct wh_cell_reject reject;
    struct wh_view view;
    struct constant *c = wh_calloc(1, sizeof *c);
    size_t n_reject = 0;
    int st = c ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "constant column '%s'", pc->name);

    wh_plan_policy(tf->flow, i, &policy);
    if (st == WH_OK)
        st = constant_text(value, n, &text_schema, &text, reterr);
    if (st == WH_OK)
        st = wh_convert_new(text_schema.children[0], to, &policy, &cv, reterr);
    if (st == WH_OK)
        st = wh_schema_init(&one, 1);
    if (st == WH_OK)
        st = wh_schema_set(&one, 0, pc->name, &pc->to, NULL);
    if (st == WH_OK)
        st = wh_builder_new(&one, &b, reterr);
    if (st == WH_OK)
        st = wh_view_init(text_schema.children[0], text.rows.children[0], &view, reterr);
    if (st == WH_OK)
        st = wh_convert_run(cv, &view, (int32_t)i, wh_builder_column(b, 0), &reject, 1, &n_reject,
                            reterr);
    if (st == WH_OK && n_reject)
        st = wh_fail(reterr, WH_E_TYPE, "E3003", "constant '%s' of column '%s': %s",
                     value.s ? value.s : "null", pc->name, reject.text);
    if (st == WH_OK)
        st = wh_builder_finish(b, &c->batch);
    wh_builder_free(b);
    wh_convert_free(cv);
    wh_batch_release(&text);
    wh_schema_release(&text_schema);
    wh_schema_release(&one);
    if (st != WH_OK) {
        wh_free(c);
        return st;
    }
    c->refs = 1;
    *ret = c;
    return WH_OK;
}

static void column_checks(struct out_column *oc, const struct wh_type *from,
                          const struct wh_type *to)
{
    bool text = to->kind == WH_K_UTF8 || to->kind == WH_K_BINARY;
    bool proven = from->kind == to->kind && from->length && from->length <= to->length;

    oc->check_null = !to->nullable;
    oc->in_chars = to->kind == WH_K_UTF8;
    oc->max_length = text && to->length > 0 && !proven ? to->length : 0;
}

static int column_init(struct wh_transform *tf, int64_t i, struct wh_error *reterr)
{
    const struct wh_flow *flow = tf->flow;
    const struct wh_plan_column *pc = &flow->columns[i];
    const struct ArrowSchema *to = flow->tgt.accept.children[i];
    struct out_column *oc = &tf->columns[i];
    struct wh_value_policy policy;

    *oc = (struct out_column){.source = wh_flow_place(flow, pc), .built = -1};
    if (oc->source < 0)
        return WH_OK;
    if (pc->source >= flow->source_schema.n_children)
        return wh_fail(reterr, WH_E_BUG, "E9001", "column '%s' maps from column %lld of %lld",
                       pc->name, (long long)pc->source, (long long)flow->source_schema.n_children);
    wh_plan_policy(flow, i, &policy);
    WH_TRY(wh_convert_new(wh_flow_field(flow, pc), to, &policy, &oc->convert, reterr));
    oc->identity = wh_convert_is_identity(oc->convert);
    column_checks(oc, &pc->from, &pc->to);
    if (!oc->identity)
        oc->built = tf->n_built++;
    return WH_OK;
}

/* The builder for the columns that are converted. */
static int builder_init(struct wh_transform *tf, struct wh_error *reterr)
{
    int st;

    wh_builder_free(tf->builder);
    tf->builder = NULL;
    if (tf->n_built == 0)
        return WH_OK;
    if (!tf->built_schema.release) {
        st = wh_schema_init(&tf->built_schema, tf->n_built);
        for (int64_t i = 0; st == WH_OK && i < tf->n_columns; i++)
            if (tf->columns[i].built >= 0)
                st = wh_schema_set(&tf->built_schema, tf->columns[i].built,
                                   tf->flow->columns[i].name, &tf->flow->columns[i].to, NULL);
        if (st != WH_OK)
            return wh_fail(reterr, st, "E8002", "conversion");
    }
    return wh_builder_new(&tf->built_schema, &tf->builder, reterr);
}

static bool passes_as_it_is(const struct wh_transform *tf)
{
    if (tf->n_built || tf->n_columns != tf->flow->source_schema.n_children)
        return false;
    for (int64_t i = 0; i < tf->n_columns; i++)
        if (tf->columns[i].source != i)
            return false;
    return true;
}

int wh_transform_new(const struct wh_flow *flow, struct wh_transform **ret, struct wh_error *reterr)
{
    struct wh_transform *tf = wh_calloc(1, sizeof *tf);
    size_t n = (size_t)flow->n_columns;
    int st = WH_OK;

    if (!tf)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "conversion");
    tf->flow = flow;
    tf->n_columns = flow->n_columns;
    tf->max_row_bytes = flow->stream->max_row_bytes;
    tf->columns = wh_calloc(n ? n : 1, sizeof *tf->columns);
    tf->out_views = wh_calloc(n ? n : 1, sizeof *tf->out_views);
    tf->in_views = wh_calloc((size_t)(flow->source_schema.n_children + flow->n_made) + 1,
                             sizeof *tf->in_views);
    tf->rejects = wh_calloc(FIRST_REJECTS, sizeof *tf->rejects);
    tf->cap_rejects = FIRST_REJECTS;
    if (!tf->columns || !tf->out_views || !tf->in_views || !tf->rejects)
        st = wh_fail(reterr, WH_E_NOMEM, "E8002", "conversion");
    for (int64_t i = 0; st == WH_OK && i < flow->n_columns; i++)
        st = column_init(tf, i, reterr);
    if (st == WH_OK)
        st = builder_init(tf, reterr);
    if (st == WH_OK)
        st = wh_maker_new(flow, &tf->maker, reterr);
    if (st != WH_OK) {
        wh_transform_free(tf);
        return st;
    }
    tf->all_identity = passes_as_it_is(tf);
    *ret = tf;
    return WH_OK;
}

void wh_transform_free(struct wh_transform *tf)
{
    if (!tf)
        return;
    for (int64_t i = 0; tf->columns && i < tf->n_columns; i++) {
        wh_convert_free(tf->columns[i].convert);
        constant_unref(tf->columns[i].constant);
    }
    wh_builder_free(tf->builder);
    wh_maker_free(tf->maker);
    wh_schema_release(&tf->built_schema);
    wh_free(tf->columns);
    wh_free(tf->in_views);
    wh_free(tf->out_views);
    wh_free(tf->rejects);
    wh_free(tf);
}

const struct wh_view *wh_transform_views(const struct wh_transform *tf)
{
    return tf->out_views;
}

/* ---- rejects -----------------------------------------------------------------------------------
 */

static int rejects_reserve(struct wh_transform *tf, size_t n, struct wh_error *reterr)
{
    struct wh_cell_reject *more;

    if (n <= tf->cap_rejects)
        return WH_OK;
    more = wh_realloc(tf->rejects, n * 2 * sizeof *more);
    if (!more)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "dirty rows");
    tf->rejects = more;
    tf->cap_rejects = n * 2;
    return WH_OK;
}

static int reject_add(struct wh_transform *tf, int64_t row, int64_t column, const char *code,
                      const char *text, struct wh_error *reterr)
{
    struct wh_cell_reject *r;

    WH_TRY(rejects_reserve(tf, tf->n_rejects + 1, reterr));
    r = &tf->rejects[tf->n_rejects++];
    *r = (struct wh_cell_reject){.row = row, .column = (int32_t)column};
    snprintf(r->code, sizeof r->code, "%s", code);
    snprintf(r->text, sizeof r->text, "%s", text);
    return WH_OK;
}

static int by_row_then_column(const void *a, const void *b)
{
    const struct wh_cell_reject *x = a, *y = b;

    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return (x->column > y->column) - (x->column < y->column);
}

/* ---- converting --------------------------------------------------------------------------------
 */

/* Converts all columns that need it. A column with more rejects than there was room for starts the
 * whole batch again with more room; that happens once per batch at most. */
static int convert_columns(struct wh_transform *tf, int64_t n, struct wh_error *reterr)
{
    for (int64_t i = 0; i < tf->n_columns; i++) {
        struct out_column *oc = &tf->columns[i];
        size_t got = 0, room = tf->cap_rejects - tf->n_rejects;

        if (oc->built < 0)
            continue;
        WH_TRY(wh_convert_run(oc->convert, &tf->in_views[oc->source], (int32_t)i,
                              wh_builder_column(tf->builder, oc->built),
                              tf->rejects + tf->n_rejects, room, &got, reterr));
        if (got > room) {
            WH_TRY(rejects_reserve(tf, tf->n_rejects + (size_t)n * (size_t)(tf->n_columns - i),
                                   reterr));
            return WH_END;
        }
        tf->n_rejects += got;
    }
    return WH_OK;
}

/* The made columns of a batch, and their views behind the source's. */
static int make_columns(struct wh_transform *tf, int64_t n, struct wh_batch *ret,
                        struct wh_error *reterr)
{
    const struct wh_flow *f = tf->flow;
    const struct wh_cell_reject *rejects;
    size_t n_rejects;

    if (!tf->maker)
        return WH_OK;
    WH_TRY(wh_maker_run(tf->maker, tf->in_views, n, ret, &rejects, &n_rejects, reterr));
    WH_TRY(rejects_reserve(tf, n_rejects, reterr));
    if (n_rejects)
        memcpy(tf->rejects, rejects, n_rejects * sizeof *rejects);
    tf->n_rejects = n_rejects;
    return wh_views_init(&f->made_schema, &ret->rows, tf->in_views + f->source_schema.n_children,
                         reterr);
}

static int convert_batch(struct wh_transform *tf, int64_t n, struct wh_batch *ret,
                         struct wh_error *reterr)
{
    size_t before = tf->n_rejects; /* of made columns */
    int st = WH_OK;

    *ret = (struct wh_batch){0};
    if (!tf->builder)
        return WH_OK;
    do {
        tf->n_rejects = before;
        if (st == WH_END)
            WH_TRY(builder_init(tf, reterr));
        st = convert_columns(tf, n, reterr);
    } while (st == WH_END);
    if (st != WH_OK) {
        wh_ignore(builder_init(tf, NULL)); /* half-built columns must not stay */
        return st;
    }
    st = wh_builder_finish(tf->builder, ret);
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "converted batch");
}

static int check_nulls(struct wh_transform *tf, int64_t i, const struct wh_view *v,
                       struct wh_error *reterr)
{
    if (!v->validity && v->type.kind != WH_K_NULL)
        return WH_OK;
    for (int64_t row = 0; row < v->n; row++)
        if (wh_view_null(v, row))
            WH_TRY(reject_add(tf, row, i, "E6002", "no value for a column that must have one",
                              reterr));
    return WH_OK;
}

static int check_length(struct wh_transform *tf, int64_t i, const struct wh_view *v,
                        struct wh_error *reterr)
{
    const struct out_column *oc = &tf->columns[i];
    char text[120];

    for (int64_t row = 0; row < v->n; row++) {
        struct wh_bytes b;
        int64_t n;

        if (wh_view_null(v, row))
            continue;
        b = wh_view_bytes(v, row);
        if ((int64_t)b.n <= oc->max_length)
            continue;
        n = oc->in_chars ? wh_utf8_chars(b.p, b.n) : (int64_t)b.n;
        if (n <= oc->max_length)
            continue;
        snprintf(text, sizeof text, "%lld %s, the column takes %lld", (long long)n,
                 oc->in_chars ? "characters" : "bytes", (long long)oc->max_length);
        WH_TRY(reject_add(tf, row, i, "E6004", text, reterr));
    }
    return WH_OK;
}

static int check_row_bytes(struct wh_transform *tf, int64_t n, int64_t bytes,
                           struct wh_error *reterr)
{
    char text[120];

    if (tf->max_row_bytes <= 0 || bytes <= tf->max_row_bytes)
        return WH_OK;
    for (int64_t row = 0; row < n; row++) {
        int64_t size = 0;

        for (int64_t i = 0; i < tf->n_columns; i++) {
            const struct wh_view *v = &tf->out_views[i];

            size += 16;
            if (v->offsets && v->data && !wh_view_null(v, row))
                size += v->offsets[row + v->offset + 1] - v->offsets[row + v->offset];
        }
        if (size <= tf->max_row_bytes)
            continue;
        snprintf(text, sizeof text, "about %lld bytes, max_row_bytes is %lld", (long long)size,
                 (long long)tf->max_row_bytes);
        WH_TRY(reject_add(tf, row, -1, "E6010", text, reterr));
    }
    return WH_OK;
}

/* What the destination's own columns ask for, so that only what the server alone knows is left to
 * a refusal. */
static int check_batch(struct wh_transform *tf, int64_t n, int64_t bytes, struct wh_error *reterr)
{
    for (int64_t i = 0; i < tf->n_columns; i++) {
        const struct out_column *oc = &tf->columns[i];

        if (oc->check_null)
            WH_TRY(check_nulls(tf, i, &tf->out_views[i], reterr));
        if (oc->max_length)
            WH_TRY(check_length(tf, i, &tf->out_views[i], reterr));
    }
    return check_row_bytes(tf, n, bytes, reterr);
}

/* ---- the output batch --------------------------------------------------------------------------
 */

static void holding_free(struct holding *h)
{
    wh_batch_release(&h->source);
    wh_batch_release(&h->made);
    wh_batch_release(&h->built);
    for (int64_t i = 0; i < h->n_constants; i++)
        constant_unref(h->constants[i]);
    wh_free(h->constants);
    wh_free(h->cut);
    wh_free(h->children);
    wh_free(h);
}

static void release_output(struct ArrowArray *a)
{
    holding_free(a->private_data);
    a->release = NULL;
}

static struct holding *holding_new(int64_t n_columns)
{
    struct holding *h = wh_calloc(1, sizeof *h);
    size_t n = (size_t)(n_columns ? n_columns : 1);

    if (!h)
        return NULL;
    h->constants = wh_calloc(n, sizeof *h->constants);
    h->cut = wh_calloc(n, sizeof *h->cut);
    h->children = wh_calloc(n, sizeof(struct ArrowArray *));
    if (!h->constants || !h->cut || !h->children) {
        holding_free(h);
        return NULL;
    }
    return h;
}

static void release_nothing(struct ArrowArray *a)
{
    a->release = NULL;
}

/* The child array of one output column; constants grow with the largest batch seen. */
static int output_child(struct wh_transform *tf, int64_t i, int64_t n, struct wh_str origin,
                        struct holding *h, struct wh_error *reterr)
{
    const struct wh_plan_column *pc = &tf->flow->columns[i];
    struct out_column *oc = &tf->columns[i];
    struct wh_str value = pc->origin ? origin : wh_str(pc->value);

    int64_t n_source = tf->flow->source_schema.n_children;

    if (oc->built >= 0) {
        h->children[i] = h->built.rows.children[oc->built];
        return WH_OK;
    }
    if (oc->source >= 0) {
        h->children[i] = oc->source >= n_source ? h->made.rows.children[oc->source - n_source]
                                                : h->source.rows.children[oc->source];
        return WH_OK;
    }
    if (pc->origin && !origin.s)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a batch does not say where it comes from");
    if (!oc->constant || oc->constant->batch.n_rows < n ||
        (pc->origin && !wh_str_eq(oc->origin, origin))) {
        struct constant *made = NULL;

        WH_TRY(constant_make(tf, i, value, n > WH_BATCH_ROWS ? n : WH_BATCH_ROWS, &made, reterr));
        constant_unref(oc->constant);
        oc->constant = made;
        oc->origin = origin;
    }
    __atomic_add_fetch(&oc->constant->refs, 1, __ATOMIC_ACQ_REL);
    h->constants[h->n_constants++] = oc->constant;
    h->cut[i] = *oc->constant->batch.rows.children[0];
    h->cut[i].length = n;
    h->cut[i].release = release_nothing; /* the constant is let go of with the batch */
    if (h->cut[i].null_count > 0)
        h->cut[i].null_count = n; /* a null constant is null in every row */
    h->children[i] = &h->cut[i];
    return WH_OK;
}

static bool any_by_pointer(const struct wh_transform *tf)
{
    for (int64_t i = 0; i < tf->n_columns; i++)
        if (tf->columns[i].source >= 0 && tf->columns[i].built < 0 &&
            tf->columns[i].source < tf->flow->source_schema.n_children)
            return true;
    return false;
}

/* A struct array over borrowed children; `release` lets go of what holds them. */
static int output_batch(struct wh_transform *tf, struct wh_batch *source, struct wh_batch *made,
                        struct wh_batch *built, struct wh_batch *out, struct wh_error *reterr)
{
    struct holding *h = holding_new(tf->n_columns);
    struct wh_str origin = source->origin;
    int64_t n = source->n_rows;
    int st = WH_OK;

    if (!h)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "converted batch");
    *out = (struct wh_batch){.n_rows = n,
                             .bytes = built->bytes + made->bytes,
                             .source_bytes = source->source_bytes,
                             .first = source->first};
    h->built = *built;
    *built = (struct wh_batch){0};
    h->made = *made;
    *made = (struct wh_batch){0};
    if (any_by_pointer(tf)) {
        out->bytes += source->bytes;
        h->source = *source;
        *source = (struct wh_batch){0};
    }
    for (int64_t i = 0; st == WH_OK && i < tf->n_columns; i++)
        st = output_child(tf, i, n, origin, h, reterr);
    if (st != WH_OK) {
        /* The source goes back to the caller, who still shows its rows. */
        if (h->source.rows.release) {
            *source = h->source;
            h->source = (struct wh_batch){0};
        }
        holding_free(h);
        return st;
    }
    static const void *no_buffers[1] = {NULL};
    out->rows = (struct ArrowArray){.length = n,
                                    .n_buffers = 1,
                                    .buffers = no_buffers,
                                    .n_children = tf->n_columns,
                                    .children = h->children,
                                    .release = release_output,
                                    .private_data = h};
    return WH_OK;
}

/* ---- one batch ---------------------------------------------------------------------------------
 */

/* Tells each bad row once and lists the good ones. The source's columns may have moved into the
 * output by now; their buffers are alive either way while the item is ours. */
static int sort_out(struct wh_transform *tf, struct wh_item *item, wh_bad_row_fn each, void *arg,
                    struct wh_error *reterr)
{
    int64_t n = item->n_read, last = -1, good = 0;
    uint8_t *bad;
    int st = WH_OK;

    if (tf->n_rejects == 0)
        return WH_OK;
    qsort(tf->rejects, tf->n_rejects, sizeof *tf->rejects, by_row_then_column);
    bad = wh_calloc((size_t)n, 1);
    item->rows = wh_alloc((size_t)n * sizeof *item->rows);
    if (!bad || !item->rows)
        st = wh_fail(reterr, WH_E_NOMEM, "E8002", "dirty rows");
    for (size_t i = 0; st == WH_OK && i < tf->n_rejects; i++) {
        if (tf->rejects[i].row == last)
            continue;
        last = tf->rejects[i].row;
        bad[last] = 1;
        st = each(arg, &tf->flow->source_schema, tf->in_views, &tf->rejects[i]);
    }
    for (int64_t row = 0; st == WH_OK && row < n; row++)
        if (!bad[row])
            item->rows[good++] = (int32_t)row;
    item->n = good;
    item->bytes += n * (int64_t)sizeof *item->rows;
    wh_free(bad);
    return st;
}

static int run_columns(struct wh_transform *tf, struct wh_batch *batch, struct wh_item *item,
                       wh_bad_row_fn each, void *arg, struct wh_error *reterr)
{
    struct wh_batch built = {0}, made = {0};
    int64_t bytes = batch->bytes;
    int st;

    if (batch->rows.n_children != tf->flow->source_schema.n_children)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a batch of %lld columns, the scan promised %lld",
                       (long long)batch->rows.n_children,
                       (long long)tf->flow->source_schema.n_children);
    tf->n_rejects = 0;
    st = wh_views_init(&tf->flow->source_schema, &batch->rows, tf->in_views, reterr);
    if (st == WH_OK)
        st = make_columns(tf, batch->n_rows, &made, reterr);
    if (st == WH_OK)
        st = convert_batch(tf, batch->n_rows, &built, reterr);
    if (st == WH_OK && tf->all_identity) {
        item->batch = *batch;
        *batch = (struct wh_batch){0};
    } else if (st == WH_OK) {
        st = output_batch(tf, batch, &made, &built, &item->batch, reterr);
    }
    wh_batch_release(&built);
    wh_batch_release(&made);
    if (st == WH_OK)
        st = wh_views_init(&tf->flow->tgt.accept, &item->batch.rows, tf->out_views, reterr);
    if (st == WH_OK)
        st = check_batch(tf, item->n_read, bytes, reterr);
    item->bytes = item->batch.bytes > 0 ? item->batch.bytes : bytes;
    return st == WH_OK ? sort_out(tf, item, each, arg, reterr) : st;
}

int wh_transform_run(struct wh_transform *tf, struct wh_batch *take, wh_bad_row_fn each, void *arg,
                     struct wh_item **ret, struct wh_error *reterr)
{
    struct wh_item *item = wh_calloc(1, sizeof *item);
    int st = WH_OK;

    if (!item) {
        wh_batch_release(take);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "batch");
    }
    item->n = item->n_read = take->n_rows;
    if (take->frame.p) {
        item->batch = *take;
        item->bytes = take->bytes;
        *take = (struct wh_batch){0};
    } else {
        st = run_columns(tf, take, item, each, arg, reterr);
    }
    wh_batch_release(take);
    if (st != WH_OK) {
        wh_item_free(item);
        return st;
    }
    *ret = item;
    return WH_OK;
}

int wh_schema_same(const struct ArrowSchema *promised, const struct ArrowSchema *actual,
                   struct wh_error *reterr)
{
    if (promised->n_children != actual->n_children)
        return wh_fail(reterr, WH_E_TYPE, "E3006", "the source has %lld columns now, the plan %lld",
                       (long long)actual->n_children, (long long)promised->n_children);
    for (int64_t i = 0; i < promised->n_children; i++) {
        struct wh_type was, is;

        WH_TRY(wh_type_of(promised->children[i], &was, reterr));
        WH_TRY(wh_type_of(actual->children[i], &is, reterr));
        if (strcmp(promised->children[i]->name, actual->children[i]->name) != 0)
            return wh_fail(reterr, WH_E_TYPE, "E3006", "column %lld is '%s' now, the plan has '%s'",
                           (long long)i + 1, actual->children[i]->name,
                           promised->children[i]->name);
        if (!wh_type_equal(&was, &is))
            return wh_fail(reterr, WH_E_TYPE, "E3006", "column '%s' has another type now",
                           promised->children[i]->name);
    }
    return WH_OK;
}
