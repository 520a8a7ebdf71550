/* SPDX-License-Identifier: Apache-2.0 */
/* A lost state, made again from what the destination keeps (INTERFACE 5, docs/internals/commit.md).
 *
 * The run's row holds a *memo*: the run's and its flows' records as they were when it began. The
 * marker of each committed unit holds its *seed*: its splits, and where it was drawn. So the units
 * that are missing can be drawn again: from where one unit ends to where the next one begins.
 */
#ifndef WHERRY_ENGINE_REBUILD_H
#define WHERRY_ENGINE_REBUILD_H

#include "engine/look.h"
#include "engine/runtime.h"

/* Where a unit came from: the cursors before and behind its splits, or the unit whose rest it is.
 * *ret is owned. */
wh_status wh_origin_drawn(struct wh_bytes before, struct wh_bytes after, struct wh_bytes *ret);
wh_status wh_origin_rest(int64_t parent, struct wh_bytes *ret);
/* What the marker keeps of a unit; empty when it would be larger than a marker should be. */
wh_status wh_seed_encode(const struct wh_run_unit *, struct wh_buf *);

/* What the run's row keeps: JSON of its records, without secrets as the state has them. */
wh_status wh_rebuild_memo(struct wh_runtime *, struct wh_buf *, struct wh_error *reterr);
/* Puts it there again where a snapshot that can be entered again has become part of it, and before
 * that snapshot is let go of: then it says that all is read. */
wh_status wh_rebuild_remember(struct wh_runtime *, struct wh_error *reterr);

/* Finds the unfinished run at the destination that the look (or the job's destinations) names;
 * `run` NULL: the only one. Writes its records into the state, claimed by this process under
 * *ret_epoch. A run that the state knows is refused. */
wh_status wh_rebuild_records(struct wh_look *, const struct wh_job *, const char *run,
                             struct wh_services *, struct wh_state *, char ret_run[64],
                             uint32_t *ret_epoch, struct wh_error *reterr);
/* Then, with the plan made from those records: the units. */
wh_status wh_rebuild_units(struct wh_plan *, struct wh_state *, uint32_t epoch,
                           struct wh_error *reterr);

#endif
