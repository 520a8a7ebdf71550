/* SPDX-License-Identifier: Apache-2.0 */
/* Was it done before? Only what read and wrote the same ends counts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine/ends.h"
#include "engine/start_internal.h"

bool wh_start_folder_lost(const struct wh_run_record *r)
{
    return r->folder && access(r->folder, F_OK) != 0 && errno == ENOENT && r->ends &&
           strstr(r->ends, r->folder);
}

int wh_start_folder_gone(const struct wh_run_record *r, int err, struct wh_error *reterr)
{
    wh_ignore(
        wh_fail_errno(reterr, err, "E7020", "run %s was begun in folder %s", r->run, r->folder));
    wh_error_hint(
        reterr,
        "was it moved? Move it back, and wherry resume %s goes on: files and destination "
        "are known by that folder; or give it up where it is now: wherry -C FOLDER cancel "
        "%s --discard, then start the job anew",
        r->run, r->run);
    reterr->status = WH_E_USAGE;
    return WH_E_USAGE;
}

int wh_start_same_ends(const struct wh_run_record *r, const char *ends, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(8192);

    if (!wh_ends_differ(r->ends, ends, &text))
        return WH_OK;
    if (!r->finished && wh_start_folder_lost(r))
        return wh_start_folder_gone(r, ENOENT, reterr);
    int st = wh_fail(reterr, WH_E_USAGE, "E7008", "run %s %s, on other ends: %s", r->run,
                     r->finished ? "went by this name, planned time and parameters"
                                 : "of this job is unfinished",
                     text.p ? text.p : "?");

    if (r->finished)
        wh_error_hint(reterr, "it says nothing of these: --again carries the job out here as well; "
                              "a job of its own wants a name of its own");
    else
        wh_error_hint(reterr,
                      "wherry resume %s goes on with it where it was; wherry cancel %s --discard "
                      "gives it up; a job of its own wants a name of its own",
                      r->run, r->run);
    return st;
}

/* What it told at its end is in the state. */
static int done_before(const char *run, struct wh_outcome *ret)
{
    ret->how = WH_STARTED_DONE_BEFORE;
    ret->exit_code = 0;
    snprintf(ret->run, sizeof(ret->run), "%s", run);
    return WH_END;
}

/* Runs of one identity, newest first. */
struct looking {
    const struct wh_job *job;
    const char *ends;
    char shape[33];
    struct wh_outcome *ret;
    struct wh_error why; /* the newest finished run that does not count */
};

/* END: it was this job, here. */
static wh_status one_of_them(void *arg, const struct wh_run_record *r)
{
    struct looking *l = arg;
    struct wh_error why = {0};
    int st = WH_OK;

    if (!r->finished || r->state == WH_RUN_DISCARDED)
        return WH_OK;
    if (r->shape && strcmp(r->shape, l->shape) != 0)
        st = wh_start_another_job(l->job, r, &why);
    else
        st = wh_start_same_ends(r, l->ends, &why);
    if (st == WH_OK)
        return done_before(r->run, l->ret);
    if (!l->why.code[0])
        l->why = why;
    return WH_OK;
}

/* The job that was run, at the planned time or by the given id; not another of the same name, and
 * not this one on other ends. */
int wh_start_done_before(const struct wh_job *job, const char *identity, const char *ends,
                         struct wh_state *state, struct wh_outcome *ret, struct wh_error *reterr)
{
    struct looking l = {.job = job, .ends = ends, .ret = ret};

    wh_u128_hex(job->shape, l.shape);
    WH_TRY(wh_state_runs(state, NULL, identity, false, one_of_them, &l, reterr));
    if (ret->how == WH_STARTED_DONE_BEFORE)
        return WH_END;
    if (l.why.code[0])
        *reterr = l.why;
    return l.why.code[0] ? l.why.status : WH_OK;
}

/* A plan is carried out once, by the run whose id it holds. OK = that run is yet to begin. */
int wh_start_planned_before(const char *unfinished, const char *ends, struct wh_arena *a,
                            struct wh_state *state, const struct wh_start *start,
                            struct wh_outcome *ret, struct wh_error *reterr)
{
    const char *run = start->plan->run;
    struct wh_run_record r = {0};
    bool ours = unfinished && strcmp(unfinished, run) == 0;
    int st;

    if (unfinished && (!ours ? !start->fresh : start->fresh)) {
        st = wh_fail(reterr, WH_E_USAGE, "E1066",
                     ours ? "run %s of this plan is unfinished, and a plan is carried out once"
                          : "run %s of the same job is unfinished, and it is not the plan's",
                     unfinished);
        wh_error_hint(reterr,
                      ours ? "wherry resume %s goes on with it; after cancel %s --discard make a "
                             "new plan"
                           : "wherry resume %s goes on with it; --fresh gives it up first",
                      unfinished, unfinished);
        return st;
    }
    if (unfinished)
        return WH_OK;
    st = wh_state_run_get(state, run, a, &r, reterr);
    if (st == WH_E_NOT_FOUND)
        return WH_OK;
    WH_TRY(st);
    if (r.finished && r.state != WH_RUN_DISCARDED && !start->again) {
        WH_TRY(wh_start_same_ends(&r, ends, reterr));
        return done_before(run, ret);
    }
    st = wh_fail(reterr, WH_E_USAGE, "E1066",
                 "this plan was carried out, by run %s, and a plan "
                 "is carried out once",
                 run);
    wh_error_hint(reterr,
                  r.finished ? "make a new plan; wherry status %s shows what became of it"
                             : "wherry resume %s goes on with it",
                  run);
    return st;
}

/* Two processes began the run of one plan at the same moment; the state took the first. */
int wh_start_begun_beside(int st, struct wh_arena *a, struct wh_state *state,
                          const struct wh_start *start, struct wh_outcome *ret,
                          struct wh_error *reterr)
{
    struct wh_run_record r = {0};
    struct wh_error ignored;

    if (st == WH_OK || !start->plan || strcmp(reterr->code, "E7014") != 0 ||
        wh_state_run_get(state, start->plan->run, a, &r, &ignored) != WH_OK || r.pid == getpid())
        return st;
    st = wh_fail(reterr, WH_HELD_BY, "E7006", "run %s of this plan was begun by process %lld on %s",
                 r.run, (long long)r.pid, r.host ? r.host : "?");
    wh_error_hint(reterr, "wherry watch %s follows it", r.run);
    ret->exit_code = 10;
    return st;
}
