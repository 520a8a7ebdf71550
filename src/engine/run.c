/* SPDX-License-Identifier: Apache-2.0 */
/* A run from its claim to its end. */
#include "engine/runtime.h"
#include "engine/zone.h"

#include "core/clock.h"
#include "core/errors.h"
#include "core/log.h"
#include "data/number.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    BEAT_MS = 5000,
    STALE_MS = 30000,
    MEMORY_MS = 30000,
    RUN_ARENA = 256 << 20,
};

static int64_t test_setting(const char *name, int64_t otherwise)
{
    const char *text = getenv(name);
    int64_t v;

    return text && wh_read_i64(text, strlen(text), &v) && v > 0 ? v : otherwise;
}

/* ---- making and freeing ------------------------------------------------------------------------
 */

static int make_flows(struct wh_runtime *run, struct wh_error *reterr)
{
    const struct wh_plan *plan = run->plan;

    run->flows = wh_calloc(plan->n_flows + 1, sizeof *run->flows);
    run->sessions = wh_calloc(plan->n_endpoints + 1, sizeof *run->sessions);
    run->active = wh_calloc(plan->n_flows + 1, sizeof *run->active);
    run->moved = wh_calloc(plan->n_flows + 1, sizeof *run->moved);
    if (!run->flows || !run->sessions || !run->active || !run->moved)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "tables of the run");
    for (size_t i = 0; i < plan->n_flows; i++) {
        struct wh_run_flow *fr = &run->flows[i];
        struct wh_flow *flow = plan->flows[i];
        bool limited = flow->scan.limit > 0 && !flow->scan.limit_done;

        fr->run = run;
        fr->flow = flow;
        fr->stage = WH_AT_WAITING;
        fr->recorded_state = WH_FLOW_PLANNED;
        if (flow->generation == 0)
            flow->generation = 1;
        fr->fence = (struct wh_fence){.run = {run->id, strlen(run->id)},
                                      .flow = (uint32_t)flow->index,
                                      .generation = flow->generation};
        fr->cap = flow->lanes > 0 ? flow->lanes : 1;
        if (fr->cap > run->n_lanes)
            fr->cap = run->n_lanes;
        fr->read_cap = flow->readers < fr->cap ? flow->readers : 0;
        fr->write_cap = flow->writers < fr->cap ? flow->writers : 0;
        if (limited)
            fr->cap = 1; /* rows are counted off one after the other */
        fr->limit_left = limited ? flow->scan.limit : -1;
        fr->next_unit = 1;
        fr->instant = 1;
        fr->rows_before = flow->tgt.exists ? flow->tgt.existing_rows : 0;
    }
    run->n_flows = plan->n_flows;
    return WH_OK;
}

/* Streams with limits of their own. */
static int make_paces(struct wh_runtime *run, struct wh_error *reterr)
{
    run->paces = wh_calloc(run->n_flows + 1, sizeof *run->paces);
    if (!run->paces)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "limits of streams");
    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_run_flow *fr = &run->flows[i];
        const struct wh_stream *s = fr->flow->stream->paced;

        struct wh_run_options o = {.rate_bytes = s->pace.rate_bytes,
                                   .rate_rows = s->pace.rate_rows};
        size_t at = run->n_paces;

        if (o.rate_bytes <= 0 && o.rate_rows <= 0)
            continue;
        while (at > 0 && run->paces[at - 1].stream != s)
            at--;
        if (at == 0) {
            at = ++run->n_paces;
            run->paces[at - 1].stream = s;
            wh_limits_init(&run->paces[at - 1].limits, &o, 1, 0);
        }
        fr->pace = &run->paces[at - 1].limits;
    }
    return WH_OK;
}

static int init(struct wh_runtime *run, struct wh_error *reterr)
{
    const struct wh_run_options *o = &run->plan->job->run;
    int lanes = run->plan->parallel > 0 ? run->plan->parallel : 1;
    pthread_condattr_t monotonic;

    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_mutex_init(&run->mutex, NULL);
    pthread_cond_init(&run->change, &monotonic);
    pthread_cond_init(&run->step_work, NULL);
    pthread_condattr_destroy(&monotonic);
    run->options = o;
    run->id = run->plan->run;
    run->notes_tail = &run->notes;
    run->started_ns = wh_now_ns();
    run->beat_ms = test_setting("WH_TEST_BEAT_MS", BEAT_MS);
    run->outage_ms = test_setting("WH_TEST_OUTAGE_MS", o->retry_outage_ms);
    run->abandon_ms = test_setting("WH_TEST_ABANDON_MS", WH_ABANDON_AFTER_MS);
    run->pack_bytes = test_setting("WH_TEST_PACK_BYTES", 0);
    run->stale_ms = test_setting("WH_TEST_STALE_MS", STALE_MS);
    run->memory_ms = test_setting("WH_TEST_MEMORY_MS", MEMORY_MS);
    wh_limits_init(&run->limits, o, lanes, o->memory);
    run->arena = wh_arena_new(RUN_ARENA);
    if (!run->arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "run");
    run->services->connections = wh_node_get(run->plan->job->tree, "connections");
    mallopt(M_ARENA_MAX, 2);
    if (o->memory > 0) /* what we allocate alone can never be more than the ceiling */
        wh_mem_budget(o->memory);
    WH_TRY(wh_lanes_new(run, lanes, reterr));
    if (o->n_windows)
        WH_TRY(wh_zone_open(run->arena, run->plan->job->timezone, &run->zone, reterr));
    wh_limits_see_clock(run);
    WH_TRY(make_flows(run, reterr));
    return make_paces(run, reterr);
}

static void free_flow(struct wh_run_flow *fr)
{
    while (fr->pending) {
        struct wh_run_unit *u = fr->pending;

        fr->pending = u->next;
        wh_unit_free(u);
    }
    while (fr->ends) {
        struct wh_chain_end *e = fr->ends;

        fr->ends = e->next;
        wh_free(e);
    }
    wh_bytes_free(&fr->cursor);
    if (fr->error != &wh_error_unkept)
        wh_free((void *)(uintptr_t)fr->error);
}

static void free_flows(struct wh_runtime *run)
{
    if (run->sessions)
        wh_sessions_close(run, NULL, -1);
    for (size_t i = 0; i < run->n_flows; i++)
        free_flow(&run->flows[i]);
    wh_free(TAKE_PTR(run->flows));
    wh_free(TAKE_PTR(run->sessions));
    wh_free(TAKE_PTR(run->active));
    wh_free(TAKE_PTR(run->moved));
    run->n_flows = 0;
}

/* All threads end first; then sessions, which nobody can interrupt any more. */
static void stop_threads(struct wh_runtime *run)
{
    pthread_mutex_lock(&run->mutex);
    run->ending = true;
    pthread_cond_broadcast(&run->step_work);
    pthread_mutex_unlock(&run->mutex);
    if (run->has_step_thread)
        pthread_join(run->step_thread, NULL);
    run->has_step_thread = false;
    wh_lanes_stop(run);
}

static void done(struct wh_runtime *run)
{
    wh_mem_budget(0);
    stop_threads(run);
    if (run->sessions)
        wh_sessions_close(run, NULL, -1);
    wh_keeper_stop(run);
    if (run->epoch)
        wh_state_run_unclaim(run->state, run->id, run->epoch);
    while (run->notes) {
        struct wh_note *n = run->notes;

        run->notes = n->next;
        wh_free(n);
    }
    free_flows(run);
    wh_arena_free(run->arena);
    wh_limits_destroy(&run->limits);
    for (size_t i = 0; i < run->n_paces; i++)
        wh_limits_destroy(&run->paces[i].limits);
    wh_free(run->paces);
    pthread_cond_destroy(&run->change);
    pthread_cond_destroy(&run->step_work);
    pthread_mutex_destroy(&run->mutex);
}

/* ---- the way of a run --------------------------------------------------------------------------
 */

static int read_record(struct wh_runtime *run, struct wh_error *reterr)
{
    struct wh_run_record r = {0};

    if (!run->start->resume)
        return WH_OK;
    WH_TRY(wh_state_run_get(run->state, run->id, run->arena, &r, reterr));
    run->recorded_state = r.state;
    run->epoch_read = run->start->epoch ? *run->start->epoch : r.epoch;
    run->replanned = r.state == WH_RUN_PLANNED;
    if (r.state >= WH_RUN_CLOSED)
        run->epoch = r.epoch;
    return WH_OK;
}

static int move(struct wh_runtime *run, struct wh_error *reterr)
{
    if (run->start->resume && !run->replanned)
        WH_TRY(wh_run_load(run, reterr));
    if (run->recorded_state >= WH_RUN_CLOSING)
        return WH_OK;
    WH_TRY(wh_run_restart_dropped(run, reterr));
    WH_TRY(wh_run_snapshots(run, reterr));
    WH_TRY(wh_state_run_set(run->state, run->id, run->epoch, WH_RUN_MOVING, reterr));
    run->recorded_state = WH_RUN_MOVING;
    WH_TRY(wh_step_lane_start(run, reterr));
    return wh_run_move(run, reterr);
}

/* Killed between `closed` and the record of the end: only that record is missing. */
static int only_the_end(struct wh_runtime *run, struct wh_run_result *ret, struct wh_error *reterr)
{
    WH_TRY(wh_run_load(run, reterr));
    for (size_t i = 0; i < run->n_flows; i++)
        run->flows[i].stage = WH_AT_DONE;
    run->touched = true;
    if (wh_summary(run, NULL, ret) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "summary");
    return wh_run_end_record(run, ret, reterr);
}

static bool waited_for_lock(int st, const struct wh_error *err)
{
    return st == WH_HELD_BY || st == WH_BLOCKED ||
           (st != WH_OK && st != WH_FENCED && strcmp(err->code, "E5010") == 0);
}

static int run_all(struct wh_runtime *run, struct wh_error *reterr)
{
    int st = wh_keeper_start(run, reterr); /* first of all: it sees signals */

    if (st == WH_OK)
        st = wh_run_open(run, reterr);
    if (st == WH_OK) {
        wh_run_event(run, WH_EV_RUN_STARTED, NULL, NULL, NULL, NULL);
        st = move(run, reterr);
    }
    if (st == WH_OK)
        st = wh_run_finish(run, reterr);
    if (run->stop_level && waited_for_lock(st, reterr))
        st = wh_fail(reterr, WH_E_CANCELLED, "E7015", "stopped while waiting for a lock");
    return st;
}

/* The rows are where they belong: that the state cannot take the end for a moment changes nothing
 * of the result. What is not recorded at last, `resume` records. */
static void record_end(struct wh_runtime *run, struct wh_run_result *ret)
{
    struct wh_retry retry = {.failures = 1};

    for (;; retry.failures++) {
        struct wh_error err = {0};
        int st = wh_run_end_record(run, ret, &err);

        if (st == WH_OK)
            return;
        if (st < 0 && (err.retriable || st == WH_E_NOMEM) &&
            retry.failures <= (int)run->options->retry_times && wh_retry_pause(run, &retry, &err))
            continue;
        wh_log(WH_LOG_WARN, "engine", "the end of run %s is not recorded: %s", run->id,
               err.message);
        return;
    }
}

static void tell_end(struct wh_runtime *run, struct wh_run_result *ret, struct wh_error *err)
{
    bool closed = err->status == WH_FENCED && strcmp(err->code, "E7017") == 0;

    if (run->fenced || (err->status == WH_FENCED && !closed)) {
        run->fenced = true;
        if (!run->stop_error.code[0])
            run->stop_error = *err;
        if (strcmp(run->stop_error.code, "E7010") != 0)
            wh_ignore(wh_fail(&run->stop_error, WH_FENCED, "E7010",
                              "another process has taken run %s over", run->id));
        *err = run->stop_error;
    } else if (run->stuck || (run->over_memory && !err->status)) {
        *err = run->stop_error;
    }
    if (wh_summary(run, err, ret) != WH_OK)
        return;
    /* The one that took over writes the record. */
    if (!run->fenced)
        record_end(run, ret);
    wh_run_events(run);
    if (err->status)
        wh_run_event(run, WH_EV_ERROR, NULL, err->message, err, NULL);
    wh_run_event(run, WH_EV_RUN_FINISHED, NULL, NULL, err->status ? err : NULL, ret);
}

int wh_run_execute(struct wh_plan *plan, struct wh_services *services, struct wh_state *state,
                   const struct wh_run_start *start, const struct wh_run_listener *listener,
                   struct wh_run_result *ret, struct wh_error *reterr)
{
    struct wh_runtime run = {
        .plan = plan, .services = services, .state = state, .start = start, .listener = listener};
    struct wh_error err = {0};
    int st;

    *ret = (struct wh_run_result){0};
    st = init(&run, &err);
    if (st == WH_OK)
        st = read_record(&run, &err);
    if (st == WH_OK && run.recorded_state >= WH_RUN_CLOSED) {
        st = only_the_end(&run, ret, &err);
        run.epoch = 0; /* nobody's lock is ours */
        if (st == WH_OK)
            wh_run_event(&run, WH_EV_RUN_FINISHED, NULL, NULL, NULL, ret);
    } else if (st == WH_OK) {
        st = run_all(&run, &err);
        if (st != WH_OK && !err.code[0])
            wh_ignore(wh_fail(&err, st,
                              st == WH_FENCED    ? "E7010"
                              : st == WH_E_NOMEM ? "E8002"
                                                 : "E9001",
                              "run %s: %s", plan->run, wh_status_name(st)));
        if (!run.abandoned)
            stop_threads(&run);
        else
            wh_log(WH_LOG_ERROR, "engine", "a connector does not come back: left without it");
        if (run.stuck)
            err = run.stop_error;
        wh_run_events(&run);
        if (run.touched)
            tell_end(&run, ret, &err);
        else
            ret->exit_code = wh_run_untouched_exit(&run, &err);
        if (!run.touched)
            wh_run_take_back(&run, ret->exit_code);
    }
    struct wh_error late = {0};

    /* How it ended is said already, and stands at the destination; what is lost here is found
     * again. */
    if (wh_state_sync(state, &late) != WH_OK)
        wh_log(WH_LOG_WARN, "engine", "the end of run %s may not be on the disk: %s", plan->run,
               late.message);
    if (st != WH_OK && reterr)
        *reterr = err;
    if (run.abandoned) { /* threads are still inside of it: nothing of theirs can be freed */
        fflush(NULL);
        _exit(ret->exit_code);
    }
    done(&run);
    return st;
}

/* ---- giving up ---------------------------------------------------------------------------------
 */

static bool one_target(const struct wh_runtime *run)
{
    int n = 0;

    for (size_t i = 0; i < run->plan->n_endpoints; i++)
        n += run->plan->endpoints[i]->is_target;
    return n == 1;
}

static int drop_and_close(struct wh_runtime *run, struct wh_error *reterr)
{
    WH_TRY(wh_run_load(run, reterr));
    if (run->recorded_state < WH_RUN_CLOSING)
        WH_TRY(wh_run_drop_all(run, reterr));
    wh_sessions_close(run, NULL, -1);
    return wh_run_close_there(run, reterr);
}

/* What becomes of rows that are there, in words; and the way on which none is there twice. */
static int asks_to_leave(const struct wh_runtime *run, int64_t rows, struct wh_error *reterr)
{
    const struct wh_run_flow *most = &run->flows[0];
    int64_t units = 0;
    bool twice = false;

    for (size_t i = 0; i < run->n_flows; i++) {
        const struct wh_run_flow *fr = &run->flows[i];

        units += fr->counts.units_done;
        twice |= fr->flow->stream->write.mode == WH_MODE_APPEND;
        most = fr->counts.rows_written > most->counts.rows_written ? fr : most;
    }
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E1012",
                      "%lld rows (units committed: %lld) that run %s wrote into %s%s stay there%s",
                      (long long)rows, (long long)units, run->id,
                      most->flow->target_text ? most->flow->target_text : most->flow->table,
                      run->n_flows > 1 ? " and other tables" : "",
                      twice ? ": the same rows appended anew would be there twice" : ""));
    wh_error_hint(reterr,
                  twice ? "wherry resume %s finishes it, each row once; if it cannot (the source "
                          "changed): --mode overwrite or upsert, or delete them yourself, then "
                          "begin anew; --yes gives it up and leaves them"
                        : "wherry resume %s finishes it; --yes gives it up and leaves them",
                  run->id);
    return WH_E_USAGE;
}

static int discard(struct wh_runtime *run, bool yes, int64_t *ret_staying, struct wh_error *reterr)
{
    struct wh_run_record end = {.run = run->id, .exit_code = 1, .finished = true};

    WH_TRY(read_record(run, reterr));
    if (run->recorded_state == WH_RUN_CLOSED) { /* all of it is done but the record of its end */
        struct wh_run_result result = {0};
        int st = only_the_end(run, &result, reterr);

        *ret_staying = result.counts.rows_written;
        run->epoch = 0;
        return st;
    }
    if (run->recorded_state > WH_RUN_CLOSED)
        return WH_OK;
    WH_TRY(wh_run_load(run, reterr));
    WH_TRY(wh_run_rows_staying(run, ret_staying, reterr));
    if (*ret_staying > 0 && !yes)
        return asks_to_leave(run, *ret_staying, reterr);
    free_flows(run); /* loaded again under our epoch */
    WH_TRY(make_flows(run, reterr));
    WH_TRY(wh_keeper_start(run, reterr));
    int st = wh_run_open(run, reterr);

    if (st == WH_FENCED && strcmp(reterr->code, "E7017") == 0 && one_target(run))
        *ret_staying = 0; /* how many there are is told by whoever closed it */
    else
        WH_TRY(st == WH_OK ? drop_and_close(run, reterr) : st);
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        struct wh_endpoint *ep = run->plan->endpoints[i];

        if (!ep->is_source || ep->snapshot.kind == WH_SNAP_NONE)
            continue;
        if (ep->connector->endpoint->release && !ep->error.status)
            ep->connector->endpoint->release(ep->ep, &ep->snapshot);
        else if (ep->error.status)
            ep->ctx.holder_release(&ep->ctx);
    }
    WH_TRY(wh_state_run_set(run->state, run->id, run->epoch, WH_RUN_DISCARDED, reterr));
    end.ended_us = wh_wall_us();
    WH_TRY(wh_state_run_end(run->state, &end, run->epoch, reterr));
    return wh_state_targets_release(run->state, run->id, reterr);
}

int wh_run_discard(struct wh_plan *plan, struct wh_services *services, struct wh_state *state,
                   bool yes, int64_t *ret_rows_staying, struct wh_error *reterr)
{
    const struct wh_run_start start = {.resume = true, .yes = yes};
    struct wh_runtime run = {.plan = plan, .services = services, .state = state, .start = &start};
    struct wh_error err = {0};
    int st;

    *ret_rows_staying = 0;
    st = init(&run, &err);
    if (st == WH_OK)
        st = discard(&run, yes, ret_rows_staying, &err);
    if (st != WH_OK && reterr)
        *reterr = err;
    done(&run);
    return st;
}
