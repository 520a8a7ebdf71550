/* SPDX-License-Identifier: Apache-2.0 */
/* The first rows of a source, as they are or as a destination would get them. */
#include "engine/look.h"

#include "engine/plan_internal.h"
#include "engine/transform.h"

#include <string.h>

enum {
    CELL_MAX = 16 << 20
};

/* One preview under way. */
struct rows {
    const struct wh_flow *flow;
    const struct wh_preview *to;
    struct wh_transform *transform; /* NULL: rows as the source has them */
    const struct ArrowSchema *columns;
    struct wh_view *views;
    struct wh_str *cells;
    struct wh_buf text; /* of one row */
    size_t *ends;
    int64_t left;
};

/* Cells are written one after the other and pointed at when the row is whole. */
static int give_row(struct rows *r, const struct wh_view *views, int64_t row)
{
    int64_t n = r->columns->n_children;

    wh_buf_clear(&r->text);
    for (int64_t i = 0; i < n; i++) {
        if (!wh_view_null(&views[i], row))
            WH_TRY(wh_view_text(&views[i], row, &r->text));
        r->ends[i] = r->text.n;
    }
    for (int64_t i = 0; i < n; i++) {
        size_t start = i ? r->ends[i - 1] : 0;

        r->cells[i] = wh_view_null(&views[i], row)
                          ? (struct wh_str){NULL, 0}
                          : (struct wh_str){r->text.p ? r->text.p + start : "", r->ends[i] - start};
    }
    r->left--;
    return r->to->row(r->to->arg, r->cells, n);
}

static wh_status leave_out(void *arg, const struct ArrowSchema *columns,
                           const struct wh_view *views, const struct wh_cell_reject *reject)
{
    return WH_OK;
}

/* Mapped: the transform's item holds the rows that fit. */
static int give_mapped(struct rows *r, struct wh_batch *take, struct wh_error *reterr)
{
    struct wh_item *item = NULL;

    WH_TRY(wh_transform_run(r->transform, take, leave_out, NULL, &item, reterr));
    const struct wh_view *views = wh_transform_views(r->transform);
    int st = WH_OK;

    for (int64_t i = 0; st == WH_OK && i < item->n && r->left > 0; i++)
        st = give_row(r, views, item->rows ? item->rows[i] : i);
    wh_item_free(item);
    return st;
}

static int give_batch(struct rows *r, struct wh_batch *batch, struct wh_error *reterr)
{
    if (batch->frame.p) {
        wh_batch_release(batch);
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "rows of this source come as bytes");
    }
    if (r->transform)
        return give_mapped(r, batch, reterr);
    int st = wh_views_init(r->columns, &batch->rows, r->views, reterr);

    for (int64_t i = 0; st == WH_OK && i < batch->n_rows && r->left > 0; i++)
        st = give_row(r, r->views, i);
    wh_batch_release(batch);
    return st;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

static int read_split(struct rows *r, void *se, const struct wh_split *split,
                      struct wh_error *reterr)
{
    const struct wh_source_ops *ops = r->flow->from->connector->source;
    struct ArrowSchema actual = {0};
    void *rd = wh_calloc(1, ops->rd_size ? ops->rd_size : 1);

    if (!rd)
        return wh_plan_no_memory(reterr);
    int st = ops->reader_open(rd, r->flow->sc, se, &r->flow->from->ctx, split, &actual, reterr);

    while (st == WH_OK && r->left > 0) {
        struct wh_batch batch = {0};

        st = ops->reader_next(rd, &batch, reterr);
        if (st == WH_OK)
            st = give_batch(r, &batch, reterr);
    }
    ops->reader_close(rd);
    wh_free(rd);
    wh_schema_release(&actual);
    return st;
}

/* Splits are drawn one at a time: a preview of a huge table reads only its beginning. */
static int read_splits(struct rows *r, void *control, void *se, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = r->flow->from->connector->source;
    WH_CLEANUP(wh_buf_free) struct wh_buf token = WH_BUF(1 << 20), cursor = WH_BUF(1 << 20);

    while (r->left > 0) {
        struct wh_bytes at = {cursor.p, cursor.n}, next = {NULL, 0};
        struct wh_split split = {.est_rows = -1};
        int st = ops->split_next(r->flow->sc, control, &at, &split, &next, reterr);

        if (st != WH_OK)
            return st;
        wh_buf_clear(&token);
        if (wh_buf_add(&token, split.token.p, split.token.n) != WH_OK)
            return wh_plan_no_memory(reterr);
        split.token.p = token.p;
        wh_buf_clear(&cursor);
        if (wh_buf_add(&cursor, next.p, next.n) != WH_OK)
            return wh_plan_no_memory(reterr);
        st = read_split(r, se, &split, reterr);
        if (st != WH_OK && st != WH_END)
            return st;
    }
    return WH_OK;
}

static int with_session(struct rows *r, struct wh_error *reterr)
{
    struct wh_endpoint *ep = r->flow->from;
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_str ident = {NULL, 0};
    void *control, *se;

    WH_TRY(wh_endpoint_control(ep, &control, reterr));
    se = wh_calloc(1, ep->connector->se_size ? ep->connector->se_size : 1);
    if (!se)
        return wh_plan_no_memory(reterr);
    int st = ops->session_open ? ops->session_open(se, ep->ep, WH_READ, &ident, reterr) : WH_OK;

    if (st == WH_OK)
        st = read_splits(r, control, se, reterr);
    if (ops->session_close)
        ops->session_close(se);
    wh_free(se);
    if (st > WH_END)
        return wh_fail(reterr, WH_E_IO, "E2008", "%s: the connection was lost", ep->name);
    return st;
}

static int preview(const struct wh_flow *flow, struct wh_transform *transform,
                   const struct ArrowSchema *columns, const struct wh_preview *to,
                   struct wh_error *reterr)
{
    size_t n = (size_t)columns->n_children + 1;
    struct rows r = {.flow = flow,
                     .to = to,
                     .transform = transform,
                     .columns = columns,
                     .left = to->rows,
                     .text = WH_BUF(CELL_MAX)};

    r.views = wh_calloc(n, sizeof *r.views);
    r.cells = wh_calloc(n, sizeof *r.cells);
    r.ends = wh_calloc(n, sizeof *r.ends);
    int st = r.views && r.cells && r.ends ? WH_OK : wh_plan_no_memory(reterr);

    if (st == WH_OK)
        st = to->head(to->arg, columns);
    if (st == WH_OK && r.left > 0)
        st = with_session(&r, reterr);
    wh_buf_free(&r.text);
    wh_free(r.views);
    wh_free(r.cells);
    wh_free(r.ends);
    return st == WH_END ? WH_OK : st;
}

int wh_look_preview(struct wh_look *look, const struct wh_preview *to, struct wh_error *reterr)
{
    const struct wh_flow *flow;

    WH_TRY(wh_look_flow(look, &flow, reterr));
    return preview(flow, NULL, &flow->source_schema, to, reterr);
}

static int preview_flow(const struct wh_flow *f, const struct wh_preview *to,
                        struct wh_error *reterr)
{
    struct wh_transform *transform = NULL;

    WH_TRY(wh_transform_new(f, &transform, reterr));
    int st = preview(f, transform, &f->tgt.accept, to, reterr);

    wh_transform_free(transform);
    return st;
}

int wh_preview_stream(const struct wh_job *job, const char *stream, struct wh_services *services,
                      const struct wh_preview *to, struct wh_error *reterr)
{
    struct wh_plan *plan = NULL;
    const struct wh_flow *found = NULL;
    int st = wh_plan_make(job, services, NULL, &plan, reterr);

    for (size_t i = 0; st == WH_OK && i < plan->n_flows && !found; i++)
        if (!stream || strcmp(plan->flows[i]->stream->name, stream) == 0 ||
            strcmp(plan->flows[i]->table, stream) == 0)
            found = plan->flows[i];
    if (st == WH_OK && !found)
        st = wh_fail(reterr, WH_E_USAGE, "E1013", "the job has no stream or table '%s'", stream);
    if (st == WH_OK)
        st = preview_flow(found, to, reterr);
    wh_plan_free(plan);
    return st;
}
