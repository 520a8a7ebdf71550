/* SPDX-License-Identifier: Apache-2.0 */
/* Ending: FINISH of all tables, then `closing` in the state, run_close at every destination, and
 * `closed`. A run that did not get through stays open, with its targets held, for resume.
 */
#include "engine/rebuild.h"

#include "core/clock.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

int wh_run_release_snapshots(struct wh_runtime *run)
{
    struct wh_error err = {0};

    /* Without it a lost state could not tell that nothing is left to be read. */
    if (wh_rebuild_remember(run, &err) != WH_OK)
        wh_log(WH_LOG_INFO, "engine", "the run row was not renewed: %s", err.message);
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        struct wh_endpoint *ep = run->plan->endpoints[i];

        if (!ep->is_source || (!ep->snapshot_taken && !ep->snapshot_joined))
            continue;
        wh_sessions_close(run, ep, WH_READ);
        if (ep->connector->endpoint->release)
            ep->connector->endpoint->release(ep->ep, &ep->snapshot);
        ep->snapshot_taken = ep->snapshot_joined = false;
    }
    wh_kill_point("snapshot-released");
    return WH_OK;
}

static int set_run(struct wh_runtime *run, enum wh_run_state state, struct wh_error *reterr)
{
    if (run->recorded_state == state)
        return WH_OK;
    WH_TRY(wh_state_run_set(run->state, run->id, run->epoch, state, reterr));
    run->recorded_state = state;
    return WH_OK;
}

static int end_flow(struct wh_runtime *run, struct wh_run_flow *fr, enum wh_flow_state state,
                    struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 10);
    struct wh_flow_record r = {.flow = fr->flow->index,
                               .generation = fr->fence.generation,
                               .state = state,
                               .exit_code = fr->exit_code,
                               .rows_read = fr->counts.rows_read,
                               .rows_written = fr->counts.rows_written,
                               .rows_dirty = fr->counts.rows_dirty,
                               .rows_filtered = fr->counts.rows_filtered,
                               .rows_skipped = fr->counts.rows_skipped,
                               .bytes_read = fr->counts.bytes_read,
                               .bytes_written = fr->counts.bytes_written};

    if (fr->error && wh_error_json(fr->error, &b) == WH_OK)
        r.error = b.p;
    WH_TRY(wh_state_flow_end(run->state, run->id, run->epoch, &r, reterr));
    fr->recorded_state = state;
    return WH_OK;
}

/* ---- closing at the destinations ---------------------------------------------------------------
 */

static int close_once(struct wh_runtime *run, struct wh_endpoint *ep, const struct wh_fence *fence,
                      struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    void *se = NULL;
    int st;

    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    WH_TRY(wh_state_sync(run->state, reterr)); /* that it is closing */
    wh_watch_begin(run, &run->control_watch, "is closed at", ep, se);
    st = ops->run_close(ep->ep, se, fence, reterr);
    wh_watch_end(run, &run->control_watch);
    if (st == WH_BLOCKED && ops->evict)
        st = ops->evict(ep->ep, se, fence, NULL, reterr) == WH_BLOCKED ? WH_E_AUTH : WH_BLOCKED;
    if (st == WH_LOST)
        wh_endpoint_control_lost(ep);
    return st;
}

static int close_there(struct wh_runtime *run, struct wh_endpoint *ep, struct wh_error *reterr)
{
    struct wh_fence fence = {.run = {run->id, strlen(run->id)}, .epoch = run->epoch};
    int64_t lock_ms = run->options->timeouts.lock > 0 ? run->options->timeouts.lock : 30000;
    int64_t deadline = wh_now_ns() + lock_ms * 1000000;
    struct wh_retry retry = {0};

    if (!ep->connector->endpoint->run_close)
        return WH_OK;
    wh_kill_point("run-close-before");
    for (;;) {
        int st;

        *reterr = (struct wh_error){0};
        st = close_once(run, ep, &fence, reterr);
        if (st == WH_OK)
            break;
        bool again = (st == WH_BLOCKED && wh_now_ns() < deadline) ||
                     ((st == WH_LOST || st == WH_UNKNOWN ||
                       (st < 0 && st != WH_E_AUTH && reterr->retriable)) &&
                      wh_retry_more(run, &retry, st, reterr));
        if (!again || wh_run_stopping(run)) { /* all rows are in: resume only closes */
            if (!reterr->code[0])
                wh_ignore(wh_fail(reterr, st, "E5010", "the run cannot be closed at '%s': %s",
                                  ep->name, wh_status_name(st)));
            return st;
        }
        wh_ignore(wh_retry_pause(run, &retry, reterr) ? WH_OK : WH_OK);
    }
    wh_kill_point("run-close-after");
    return WH_OK;
}

int wh_run_close_there(struct wh_runtime *run, struct wh_error *reterr)
{
    for (size_t i = 0; i < run->plan->n_endpoints; i++)
        if (run->plan->endpoints[i]->is_target)
            WH_TRY(close_there(run, run->plan->endpoints[i], reterr));
    return WH_OK;
}

/* Rows are final everywhere: sources may do away with what was read. The run stays `closing` until
 * all have, so that a resume repeats it. */
static int retire_sources(struct wh_runtime *run, struct wh_error *reterr)
{
    struct wh_fence fence = {.run = {run->id, strlen(run->id)}, .epoch = run->epoch};
    bool first = true;

    for (size_t i = 0; i < run->plan->n_flows; i++) {
        const struct wh_flow *f = run->plan->flows[i];
        const struct wh_source_ops *ops = f->from->connector->source;

        if (!ops->retire || f->refused)
            continue;
        if (first)
            wh_kill_point("retire-before");
        first = false;
        const struct wh_counts *c = &run->flows[i].counts;

        fence.flow = (uint32_t)f->index;
        WH_TRY(ops->retire(f->from->ep, &fence, f->scan.ret_bounds,
                           c->rows_dirty + c->rows_filtered + c->rows_skipped, reterr));
    }
    if (!first)
        wh_kill_point("retire-after");
    return WH_OK;
}

static int close_all(struct wh_runtime *run, struct wh_error *reterr)
{
    wh_sessions_close(run, NULL, -1); /* no lane of ours holds the run's row */
    if (run->recorded_state < WH_RUN_CLOSING) {
        wh_kill_point("closing-before");
        WH_TRY(set_run(run, WH_RUN_CLOSING, reterr));
    }
    wh_kill_point("closing-recorded");
    WH_TRY(wh_run_close_there(run, reterr));
    WH_TRY(retire_sources(run, reterr));
    WH_TRY(set_run(run, WH_RUN_CLOSED, reterr));
    wh_kill_point("closed-recorded");
    return WH_OK;
}

/* ---- the end of a run that got through ---------------------------------------------------------
 */

static bool all_published(const struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].stage < WH_AT_PUBLISHED || run->flows[i].stage > WH_AT_DONE)
            return false;
    return true;
}

static int finish_flow(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_session *s = NULL;
    int st;

    if (fr->recorded_state >= WH_FLOW_FINISHED && fr->recorded_state != WH_FLOW_FAILED) {
        fr->stage = WH_AT_DONE;
        return WH_OK;
    }
    fr->stage = WH_AT_FINISHING;
    st = wh_flow_steps(run, fr, &s, WH_FINISH, reterr);
    if (st == WH_OK) /* what is staged and was not published: parts of attempts that lost */
        st = wh_flow_steps(run, fr, &s, WH_DROP, reterr);
    if (s && (st == WH_LOST || st == WH_FENCED))
        s->broken = true;
    wh_session_put(run, s);
    if (st == WH_OK) {
        fr->stage = WH_AT_DONE;
        fr->exit_code = run->options->strict && fr->counts.rows_dirty > 0 ? 3 : 0;
        if (!fr->ended_ns)
            fr->ended_ns = wh_now_ns();
        st = end_flow(run, fr, WH_FLOW_FINISHED, reterr);
    }
    if (st == WH_OK && !fr->flow->stream->validate)
        wh_flow_close(fr->flow);
    return st;
}

int wh_run_flow_differs(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    fr->exit_code = 4;
    return end_flow(run, fr, WH_FLOW_FINISHED, reterr);
}

int wh_run_finish(struct wh_runtime *run, struct wh_error *reterr)
{
    if (run->recorded_state < WH_RUN_CLOSING) {
        if (!all_published(run) || wh_run_stopping(run))
            return WH_OK; /* resume goes on from here */
        WH_TRY(wh_run_release_snapshots(run));
        WH_TRY(set_run(run, WH_RUN_PUBLISHING, reterr));
        WH_TRY(set_run(run, WH_RUN_FINISHING, reterr));
        for (size_t i = 0; i < run->n_flows; i++) {
            struct wh_run_flow *fr = &run->flows[i];
            int st = finish_flow(run, fr, reterr);

            if (st == WH_FENCED)
                return st;
            if (st != WH_OK) {
                pthread_mutex_lock(&run->mutex);
                wh_flow_fail(fr, reterr);
                pthread_mutex_unlock(&run->mutex);
                wh_note(run, WH_EV_ERROR, fr, 0, 0, reterr, "%s", reterr->message);
            }
        }
        if (!all_published(run))
            return WH_OK;
        WH_TRY(wh_run_compare(run, reterr));
        if (wh_run_stopping(run))
            return WH_OK;
    }
    return close_all(run, reterr);
}

/* ---- records of the end ------------------------------------------------------------------------
 */

static void record_failed_flows(struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_run_flow *fr = &run->flows[i];
        struct wh_error err = {0};

        if (fr->stage != WH_AT_FAILED || fr->recorded_state == WH_FLOW_PLANNED)
            continue;
        if (end_flow(run, fr, WH_FLOW_FAILED, &err) != WH_OK)
            wh_log(WH_LOG_WARN, "engine", "the end of %s is not recorded: %s", fr->flow->table,
                   err.message);
    }
}

struct ending {
    const struct wh_runtime *run;
    const struct wh_run_result *result;
};

static wh_status write_json(void *arg, struct wh_buf *b, wh_drain_fn drain, void *to)
{
    const struct ending *e = arg;
    struct wh_event event = {.type = WH_EV_RUN_FINISHED,
                             .wall_us = e->result->ended_us,
                             .run = e->run->id,
                             .job = e->run->plan->job->name,
                             .result = e->result};

    return wh_event_drain_json(&event, b, drain, to);
}

static wh_status write_text(void *arg, struct wh_buf *b, wh_drain_fn drain, void *to)
{
    return wh_summary_text(((const struct ending *)arg)->result, b, drain, to);
}

int wh_run_end_record(struct wh_runtime *run, struct wh_run_result *result, struct wh_error *reterr)
{
    struct ending ending = {run, result};
    const struct wh_report report = {.arg = &ending, .json = write_json, .text = write_text};
    int code = result->exit_code;
    bool over = wh_run_into_stdout(run), closed = run->recorded_state >= WH_RUN_CLOSED || over;
    struct wh_run_record r = {.run = run->id,
                              .exit_code = code,
                              .finished = closed || (!run->touched && code == 2),
                              .snapshot = result->snapshot,
                              .ended_us = result->ended_us,
                              .rows_read = result->counts.rows_read,
                              .rows_written = result->counts.rows_written,
                              .rows_dirty = result->counts.rows_dirty,
                              .rows_filtered = result->counts.rows_filtered,
                              .rows_skipped = result->counts.rows_skipped,
                              .report = &report};

    if (run->recorded_state < WH_RUN_CLOSING)
        record_failed_flows(run);
    if (over && run->recorded_state < WH_RUN_CLOSED) { /* nobody resumes it: nothing is held */
        WH_TRY(wh_run_release_snapshots(run));
        WH_TRY(wh_state_run_set(run->state, run->id, run->epoch, WH_RUN_DISCARDED, reterr));
    }
    WH_TRY(wh_state_run_end(run->state, &r, run->epoch, reterr));
    wh_kill_point("run-ended");
    if (closed) {
        WH_TRY(wh_state_targets_release(run->state, run->id, reterr));
        wh_kill_point("targets-released");
    }
    return WH_OK;
}

/* A run that was refused before it touched anything leaves nothing to be resumed. */
void wh_run_take_back(struct wh_runtime *run, int exit_code)
{
    struct wh_error err = {0};
    struct wh_run_record r = {
        .run = run->id, .exit_code = exit_code, .finished = true, .ended_us = wh_wall_us()};

    if (run->start->resume || run->touched || !run->epoch)
        return;
    if (run->waited) { /* it begins again, and under the same name if a plan in a file has it */
        if (wh_state_run_forget(run->state, run->id, &err) != WH_OK)
            wh_log(WH_LOG_WARN, "engine", "run %s cannot be taken back: %s", run->id, err.message);
        return;
    }
    if (wh_state_run_set(run->state, run->id, run->epoch, WH_RUN_DISCARDED, &err) != WH_OK ||
        wh_state_run_end(run->state, &r, run->epoch, &err) != WH_OK ||
        wh_state_targets_release(run->state, run->id, &err) != WH_OK)
        wh_log(WH_LOG_WARN, "engine", "run %s cannot be taken back: %s", run->id, err.message);
}

/* ---- giving a run up ---------------------------------------------------------------------------
 */

/* A step that was refused for good left nothing where it is one transaction. */
static bool may_show(const struct wh_step_record *r)
{
    if (r->flags & WH_STEP_LOOKS)
        return false;
    if (r->state == WH_STEP_FAILED && r->flags & WH_STEP_TRANSACTIONAL)
        return false;
    return r->state != WH_STEP_NONE;
}

/* Whether a step of PUBLISH was begun: from then on rows may show. */
static int publish_begun(struct wh_runtime *run, const struct wh_run_flow *fr, bool *ret,
                         struct wh_error *reterr)
{
    struct wh_step_record *v = NULL;
    bool journalled = false;
    size_t n = 0;

    *ret = false;
    WH_TRY(wh_state_steps(run->state, run->id, fr->flow->index, fr->fence.generation, WH_PUBLISH,
                          run->arena, &v, &n, &journalled, reterr));
    for (size_t i = 0; i < n; i++)
        *ret = *ret || may_show(&v[i]);
    return WH_OK;
}

/* Recorded units, and those that were committed and not recorded: the destination tells. */
static int flow_rows_staying(struct wh_runtime *run, struct wh_run_flow *fr, int64_t *sum,
                             struct wh_error *reterr)
{
    bool staged =
        fr->flow->tgt.commit_class == WH_CLASS_P || fr->flow->tgt.atomic_given != WH_ATOMIC_UNIT;
    bool begun = !staged;

    if (staged)
        WH_TRY(publish_begun(run, fr, &begun, reterr));
    if (!begun)
        return WH_OK;
    *sum += fr->counts.rows_written;
    for (const struct wh_run_unit *u = fr->pending; u && !staged; u = u->next) {
        int64_t n = 0;

        WH_TRY(wh_unit_rows_there(run, fr, u, &n, reterr));
        *sum += n;
    }
    return WH_OK;
}

int wh_run_rows_staying(struct wh_runtime *run, int64_t *ret, struct wh_error *reterr)
{
    *ret = 0;
    for (size_t i = 0; i < run->n_flows; i++)
        WH_TRY(flow_rows_staying(run, &run->flows[i], ret, reterr));
    return WH_OK;
}

int wh_run_drop_all(struct wh_runtime *run, struct wh_error *reterr)
{
    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_run_flow *fr = &run->flows[i];
        struct wh_session *s = NULL;
        int st;

        if (fr->recorded_state >= WH_FLOW_PUBLISHED && fr->recorded_state != WH_FLOW_FAILED)
            continue;
        st = wh_flow_steps(run, fr, &s, WH_DROP, reterr);
        if (s && st == WH_LOST)
            s->broken = true;
        wh_session_put(run, s);
        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}
