/* SPDX-License-Identifier: Apache-2.0 */
/* Starting: what `run`, `copy`, `resume`, `cancel --discard` have in common (INTERFACE 5).
 *
 * Decides from a job's identity whether a run is new, resumed, refused or already done; makes the
 * plan, keeps it in the state, executes it. The one entry for the command line and the server.
 */
#ifndef WHERRY_ENGINE_START_H
#define WHERRY_ENGINE_START_H

#include "engine/plan_file.h"
#include "engine/run.h"

struct wh_start {
    const char *run_id; /* --run-id, or NULL */
    bool fresh, again, yes;
    bool accept_mixed;
    bool here; /* -C: a run goes on in this folder, not in the one where it was begun */
    int64_t lock_wait_ms;
    /* Given beside the job (wh_job_override); NULL. Laid over a run that is resumed: what may not
     * change is refused by wh_start_resume, and by wh_start_job if it differs. */
    const struct wh_node *override;
    /* The plan that is to be carried out, or nothing: its job is given to wh_start_job. A plan has
     * one run, whose id it holds: carried out again it was done before. NULL. */
    const struct wh_plan_file *plan;
    const struct wh_run_listener *listener;
    /* resume: the same job, read again; it lends what the state does not keep (secrets). NULL. */
    const struct wh_job *given;
};

enum wh_started {
    WH_STARTED_NEW,
    WH_STARTED_RESUMED,
    WH_STARTED_DONE_BEFORE, /* nothing moved: wh_state_report has its words */
};

struct wh_outcome {
    enum wh_started how;
    int exit_code;
    char run[64];
    int64_t rows_staying; /* of the run that --fresh gave up */
};

/* What a run is known by (INTERFACE 5). run_id: --run-id, or NULL. ends: of wh_ends_of, which a
 * copy is known by as well; NULL for a job. */
wh_status wh_start_identity(const struct wh_job *, const char *run_id, const char *ends,
                            char ret[80]);
/* Takes the job. On refusal (exit 2 and the like) reterr says why and outcome->exit_code is set. */
wh_status wh_start_job(struct wh_job *take, struct wh_services *, struct wh_state *,
                       const struct wh_start *, struct wh_outcome *ret, struct wh_error *reterr);
/* run NULL: the only unfinished one; several are listed in the message. */
wh_status wh_start_resume(const char *run, struct wh_services *, struct wh_state *,
                          const struct wh_start *, struct wh_outcome *ret, struct wh_error *reterr);
/* The state is lost: it is made again from what the destination of `where` (an object, "out.db",
 * "dw:", or, with `job`, the job's destinations) keeps of an unfinished run, then that run is
 * resumed. run NULL: the only one there. Takes the job. */
wh_status wh_start_rebuild(const char *where, struct wh_job *take, const char *run,
                           struct wh_services *, struct wh_state *, const struct wh_start *,
                           struct wh_outcome *ret, struct wh_error *reterr);
/* Gives an unfinished run up without touching any destination, for where that cannot be reached
 * any more: committed rows and stages stay as they are. E7006 for a living owner. */
wh_status wh_start_write_off(struct wh_state *, const char *run, struct wh_error *reterr);
wh_status wh_start_discard(const char *run, struct wh_services *, struct wh_state *,
                           const struct wh_start *, int64_t *ret_rows_staying,
                           struct wh_error *reterr);
/* Secrets that stood in a job file ("***" in `kept`) are taken from the same job read again; texts
 * are borrowed, so `given` lives as long. */
void wh_start_lend_secrets(struct wh_job *kept, const struct wh_job *given);
/* Of two jobs of one shape, the first setting that differs, into `path`: "run.parallel (was 2, is
 * 4)". False: none. */
bool wh_start_jobs_differ(const struct wh_job *was, const struct wh_job *is, struct wh_buf *path);
/* INTERFACE 6: the exit code that a failure means. */
int wh_exit_code(const struct wh_error *);

#endif
