/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that are made of others of their row, before types are converted: `convert:` and
 * `rest: json`. Their types stand in flow->made_schema; what a destination gets is converted from
 * them as from a column of the source. */
#ifndef WHERRY_ENGINE_MADE_H
#define WHERRY_ENGINE_MADE_H

#include "engine/plan.h"

/* Of one flow. One lane, one thread. */
struct wh_maker;

/* NULL in *ret where the flow makes no columns. */
wh_status wh_maker_new(const struct wh_flow *, struct wh_maker **ret, struct wh_error *reterr);
void wh_maker_free(struct wh_maker *); /* NULL is fine */
/* views: columns of the scan, n rows. *ret: one child per made column; rejects name columns of the
 * plan, are in order of columns, and are the maker's until its next run. */
wh_status wh_maker_run(struct wh_maker *, const struct wh_view *views, int64_t n,
                       struct wh_batch *ret, const struct wh_cell_reject **ret_rejects,
                       size_t *ret_n, struct wh_error *reterr);

/* The field that a column of the plan is converted from: made, or the source's; NULL: a constant.
 */
const struct ArrowSchema *wh_flow_field(const struct wh_flow *, const struct wh_plan_column *);
/* Its place among the source's columns and, behind them, the made ones; -1: a constant. */
int64_t wh_flow_place(const struct wh_flow *, const struct wh_plan_column *);

#endif
