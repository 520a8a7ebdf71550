/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of starting share (engine/start*.c only). */
#ifndef WHERRY_ENGINE_START_INTERNAL_H
#define WHERRY_ENGINE_START_INTERNAL_H

#include "engine/start.h"
#include "state/state.h"

/* E7008: how the job differs from that of an unfinished run. */
wh_status wh_start_job_changed(const struct wh_job *, const struct wh_run_record *old,
                               struct wh_error *reterr);
/* E7008: a finished run of the same name, planned time and parameters was of another job. */
wh_status wh_start_another_job(const struct wh_job *, const struct wh_run_record *old,
                               struct wh_error *reterr);
/* What was given beside the job and may not change under way is as it was when the run began. */
wh_status wh_start_same_settings(const struct wh_job *, const struct wh_run_record *old,
                                 const struct wh_node *settings, struct wh_error *reterr);
/* A job file that was edited while its run is unfinished, with the same shape: what may change
 * under way goes into `may`, anything else is refused with the difference (E7008). */
wh_status wh_start_take_edits(const struct wh_job *, const struct wh_run_record *old,
                              struct wh_arena *, struct wh_node *may, struct wh_error *reterr);
/* The folder in which the run was begun is not there any more, and paths of it mean that folder:
 * its files and destination are known by it, so it cannot go on elsewhere. */
bool wh_start_folder_lost(const struct wh_run_record *);
/* E7020; err: why the folder cannot be entered. */
wh_status wh_start_folder_gone(const struct wh_run_record *, int err, struct wh_error *reterr);
/* E7008: that run, of this job by its name, reads or writes elsewhere than the job does now. */
wh_status wh_start_same_ends(const struct wh_run_record *, const char *ends,
                             struct wh_error *reterr);
/* Has this job been done by a run of that identity, and where it would be done now? END: yes, *ret
 * says so. OK: there is none. E7008: one that was another job's, or elsewhere. */
wh_status wh_start_done_before(const struct wh_job *, const char *identity, const char *ends,
                               struct wh_state *, struct wh_outcome *ret, struct wh_error *reterr);
/* A plan is carried out once, by the run whose id it holds. OK = that run is yet to begin. */
wh_status wh_start_planned_before(const char *unfinished, const char *ends, struct wh_arena *,
                                  struct wh_state *, const struct wh_start *,
                                  struct wh_outcome *ret, struct wh_error *reterr);
/* Two processes began the run of one plan at the same moment; the state took the first. */
wh_status wh_start_begun_beside(int st, struct wh_arena *, struct wh_state *,
                                const struct wh_start *, struct wh_outcome *ret,
                                struct wh_error *reterr);
/* st: what planning answered. A plan that is refused now and was not is told as what differs
 * (E1066), unless a server is not there. */
wh_status wh_start_as_planned(const struct wh_plan_file *, const struct wh_plan *, int st,
                              struct wh_error *reterr);

#endif
