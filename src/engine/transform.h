/* SPDX-License-Identifier: Apache-2.0 */
/* From what a reader delivers to what a writer accepts: mapping, conversion, constants, and the
 * checks that the destination's own columns ask for (null, length). One object per lane and flow,
 * used by the reader's side. Columns that need nothing are passed by pointer.
 */
#ifndef WHERRY_ENGINE_TRANSFORM_H
#define WHERRY_ENGINE_TRANSFORM_H

#include "engine/plan.h"
#include "engine/queue.h"

struct wh_transform;

/* A row that does not fit, called once per row, in the order of rows. views: the source's columns
 * (valid during the call). Anything but OK ends the run of the batch and is returned. */
typedef wh_status (*wh_bad_row_fn)(void *arg, const struct ArrowSchema *columns,
                                   const struct wh_view *views,
                                   const struct wh_cell_reject *reject);

wh_status wh_transform_new(const struct wh_flow *, struct wh_transform **ret,
                           struct wh_error *reterr);
void wh_transform_free(struct wh_transform *); /* NULL is fine */

/* Converts one batch. Takes it in any case. *ret: the item for the queue, with n = 0 when no row is
 * left. A frame passes unchanged. */
wh_status wh_transform_run(struct wh_transform *, struct wh_batch *take, wh_bad_row_fn each,
                           void *arg, struct wh_item **ret, struct wh_error *reterr);
/* Views of the last item's columns in `accept`'s types; valid until that item is handed over. */
const struct wh_view *wh_transform_views(const struct wh_transform *);

/* Whether a reader's schema is the one that the scan promised: same names, types, order.
 * E3006 names the first column that differs. */
wh_status wh_schema_same(const struct ArrowSchema *promised, const struct ArrowSchema *actual,
                         struct wh_error *reterr);

#endif
