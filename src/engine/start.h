/* SPDX-License-Identifier: Apache-2.0 */
/* Starting: what `run`, `copy`, `resume`, `cancel --discard` have in common (INTERFACE 5).
 *
 * Decides from a job's identity whether a run is new, resumed, refused or already done; makes the
 * plan, keeps it in the state, executes it. The one entry for the command line and the server.
 */
#ifndef WHERRY_ENGINE_START_H
#define WHERRY_ENGINE_START_H

#include "engine/run.h"

struct wh_start {
    const char *run_id; /* --run-id, or NULL */
    bool fresh, again, yes;
    bool accept_mixed;
    int64_t lock_wait_ms;
    /* Given beside the job (wh_job_override); NULL. Laid over a run that is resumed: what may not
     * change is refused by wh_start_resume, and by wh_start_job if it differs. */
    const struct wh_node *override;
    const struct wh_run_listener *listener;
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
/* INTERFACE 6: the exit code that a failure means. */
int wh_exit_code(const struct wh_error *);

#endif
