/* SPDX-License-Identifier: Apache-2.0 */
/* The management thread: brings every flow as far as it comes. It draws, hands units to idle lanes,
 * gives the step lane its next phase, ticks, and lets the listener know. A flow that fails ends
 * alone; the others go on.
 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/errors.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    TICK_MS = 5000,
    MS = 1000000,
};

/* ---- ends --------------------------------------------------------------------------------------
 */

void wh_flow_fail(struct wh_run_flow *fr, const struct wh_error *err)
{
    struct wh_error *own;

    if (fr->stage == WH_AT_FAILED)
        return;
    fr->stage = WH_AT_FAILED;
    own = wh_alloc(sizeof *own);
    if (own)
        *own = *err;
    if (fr->error != &wh_error_unkept)
        wh_free((void *)(uintptr_t)fr->error);
    fr->error = own ? own : &wh_error_unkept;
    fr->ended_ns = wh_now_ns();
    if (fr->run->plan->job->run.stop_on_failure && !fr->run->halted) {
        fr->run->halt_exit = wh_error_exit(err->code, true);
        fr->run->halted = true;
    }
    pthread_cond_broadcast(&fr->run->change);
}

static void record_unit_failed(struct wh_run_flow *fr, const struct wh_run_unit *u,
                               const struct wh_error *err)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 10);
    struct wh_error ignored = {0};
    struct wh_unit_record r = {.flow = fr->flow->index,
                               .generation = fr->fence.generation,
                               .unit = u->id,
                               .attempt = u->attempt};

    if (wh_error_json(err, &b) == WH_OK)
        r.error = b.p;
    /* If this cannot be written, the unit is still leased and resume looks it up all the same. */
    wh_ignore(wh_state_unit_fail(fr->run->state, fr->run->id, fr->run->epoch, &r, &ignored));
}

void wh_run_unit_over(struct wh_lane *lane, enum wh_result r, const struct wh_error *err)
{
    struct wh_runtime *run = lane->run;
    struct wh_run_flow *fr = lane->flow;
    struct wh_run_unit *u = lane->unit;

    if (r == WH_RESULT_FENCED)
        wh_run_fenced(run, err);
    if (r == WH_RESULT_FAILED) {
        record_unit_failed(fr, u, err);
        wh_note(run, WH_EV_ERROR, fr, u->id, u->attempt, err, "%s", err->message);
    }
    if (r == WH_RESULT_DONE)
        wh_note(run, WH_EV_UNIT_DONE, fr, u->id, u->attempt, NULL, "%s", u->label);
    pthread_mutex_lock(&run->mutex);
    run->changes++;
    if (r == WH_RESULT_FAILED)
        wh_flow_fail(fr, err);
    fr->n_running--;
    lane->unit = NULL;
    lane->flow = NULL;
    if (r == WH_RESULT_BACK)
        wh_flow_add_unit(fr, u);
    else
        wh_unit_free(u);
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->mutex);
}

/* ---- who is under way --------------------------------------------------------------------------
 */

static bool under_way(const struct wh_run_flow *fr)
{
    return fr->stage == WH_AT_PREPARING || fr->stage == WH_AT_MOVING || fr->n_running > 0;
}

static void activate(struct wh_runtime *run, struct wh_run_flow *fr)
{
    if (!fr->active)
        run->active[run->n_active++] = fr;
    fr->active = true;
}

/* Those that are through leave; the moved ones queue for their publishing. */
static void sweep(struct wh_runtime *run)
{
    size_t n = 0;

    for (size_t i = 0; i < run->n_active; i++) {
        struct wh_run_flow *fr = run->active[i];

        fr->active = under_way(fr);
        if (fr->active)
            run->active[n++] = fr;
        else if (fr->stage == WH_AT_MOVED)
            run->moved[run->n_moved++] = fr;
    }
    run->n_active = n;
}

static struct wh_run_flow *first_waiting(struct wh_runtime *run)
{
    while (run->next_waiting < run->n_flows && run->flows[run->next_waiting].stage != WH_AT_WAITING)
        run->next_waiting++;
    return run->next_waiting < run->n_flows ? &run->flows[run->next_waiting] : NULL;
}

static void begin_schedule(struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_run_flow *fr = &run->flows[i];

        if (under_way(fr))
            activate(run, fr);
        else if (fr->stage == WH_AT_MOVED)
            run->moved[run->n_moved++] = fr;
    }
}

/* ---- handing out -------------------------------------------------------------------------------
 */

static struct wh_lane *idle_lane(struct wh_runtime *run, int parallel)
{
    int busy = 0;
    struct wh_lane *idle = NULL;

    for (int i = 0; i < run->n_lanes; i++) {
        if (run->lanes[i].unit)
            busy++;
        else if (!idle)
            idle = &run->lanes[i];
    }
    if (busy >= parallel)
        return NULL;
    /* Near the ceiling nothing more is started, but one lane always may. */
    if (busy > 0 && wh_limits_pressure(&run->limits) != WH_MEMORY_FINE)
        return NULL;
    return idle;
}

/* A flow that bounds this side apart has no more sessions of it than that. */
static int sessions_at_once(int running, int bound)
{
    return bound > 0 && running > bound ? bound : running;
}

/* Flows of a transactional destination wait for each other's locks there: the cap of its sessions
 * is one for all of them. */
static bool endpoints_have_room(struct wh_runtime *run, const struct wh_run_flow *fr)
{
    const struct wh_flow *flow = fr->flow;
    int writers = 0, readers = 0;
    bool shared = flow->tgt.commit_class == WH_CLASS_T && flow->tgt.max_writers > 0;

    for (size_t i = 0; i < run->n_active; i++) {
        const struct wh_run_flow *other = run->active[i];

        int running = other->n_running + (other == fr); /* with the one that asks */

        if (other->flow->to == flow->to)
            writers += sessions_at_once(running, other->write_cap);
        if (other->flow->from == flow->from)
            readers += sessions_at_once(running, other->read_cap);
    }
    if (shared && writers > flow->tgt.max_writers)
        return false;
    return flow->from->max_readers <= 0 || readers <= flow->from->max_readers;
}

/* Where one key must not be written by two lanes, a group's units run one after the other. */
static bool group_is_free(struct wh_runtime *run, const struct wh_run_flow *fr,
                          const struct wh_run_unit *u)
{
    if (!fr->flow->tgt.needs_key_order || u->group == 0)
        return true;
    for (int i = 0; i < run->n_lanes; i++)
        if (run->lanes[i].flow == fr && run->lanes[i].unit && run->lanes[i].unit->group == u->group)
            return false;
    for (const struct wh_run_unit *p = fr->pending; p; p = p->next)
        if (p->group == u->group && (p->seq < u->seq || (p->seq == u->seq && p->id < u->id)))
            return false;
    return true;
}

static struct wh_run_unit **startable(struct wh_runtime *run, struct wh_run_flow *fr)
{
    if (fr->stage != WH_AT_MOVING || fr->n_running >= fr->cap || !fr->pending ||
        !endpoints_have_room(run, fr))
        return NULL;
    for (struct wh_run_unit **at = &fr->pending; *at; at = &(*at)->next)
        if (group_is_free(run, fr, *at))
            return at;
    return NULL;
}

/* The flow with the fewest lanes gets the next one. */
static bool hand_out_one(struct wh_runtime *run, struct wh_error *reterr)
{
    struct wh_lane *lane = idle_lane(run, run->limits.parallel);
    struct wh_run_flow *best = NULL;
    struct wh_run_unit **at = NULL, *u;

    if (!lane || run->limits.closed)
        return false;
    for (size_t i = 0; i < run->n_active; i++) {
        struct wh_run_unit **candidate = startable(run, run->active[i]);

        if (candidate && (!best || run->active[i]->n_running < best->n_running)) {
            best = run->active[i];
            at = candidate;
        }
    }
    if (!best)
        return false;
    if (wh_lane_start(lane, reterr) != WH_OK) {
        wh_flow_fail(best, reterr);
        return false;
    }
    u = *at;
    *at = u->next;
    u->next = NULL;
    best->n_pending--;
    best->n_running++;
    if (!best->started_ns)
        best->started_ns = wh_now_ns();
    lane->flow = best;
    lane->unit = u;
    pthread_cond_broadcast(&lane->work);
    return true;
}

/* ---- the step lane -----------------------------------------------------------------------------
 */

static void take_step_result(struct wh_runtime *run)
{
    struct wh_run_flow *fr = run->step.fr;
    enum wh_stage stage = run->step.stage;

    run->step.fr = NULL;
    run->step.done = false;
    fr->stepping = false;
    if (run->step.status == WH_FENCED) {
        struct wh_error err = run->step.error;

        pthread_mutex_unlock(&run->mutex);
        wh_run_fenced(run, &err);
        pthread_mutex_lock(&run->mutex);
        return;
    }
    if (run->step.status == WH_OK) {
        fr->stage = stage == WH_AT_PREPARING    ? WH_AT_MOVING
                    : stage == WH_AT_PUBLISHING ? WH_AT_PUBLISHED
                                                : WH_AT_DONE;
        return;
    }
    if (run->step.status == WH_E_CANCELLED || (wh_run_stopping(run) && run->stop_level >= 2)) {
        fr->stage = WH_AT_STOPPED;
        return;
    }
    {
        struct wh_error err = run->step.error;

        wh_flow_fail(fr, &err);
        pthread_mutex_unlock(&run->mutex);
        wh_note(run, WH_EV_ERROR, fr, 0, 0, &err, "%s", err.message);
        pthread_mutex_lock(&run->mutex);
    }
}

/* A snapshot that pins tables would block the publishing step of its own database: all units of all
 * flows of such sources come first (CONTRACT 2, `release`). */
static bool may_publish(struct wh_runtime *run)
{
    bool held = false;

    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        const struct wh_endpoint *ep = run->plan->endpoints[i];
        bool holds = ep->is_source && ep->snapshot_taken &&
                     (ep->snapshot.kind == WH_SNAP_HELD || ep->snapshot.kind == WH_SNAP_SESSIONS);

        held = held || holds;
    }
    return !held || (!run->n_active && !first_waiting(run));
}

static struct wh_run_flow *next_for_steps(struct wh_runtime *run, enum wh_stage *ret)
{
    int64_t most = run->options->tables > 0 ? run->options->tables : 4;
    struct wh_run_flow *fr;

    if (wh_run_stopping(run))
        return NULL;
    if (run->moved_at < run->n_moved && may_publish(run)) {
        *ret = WH_AT_PUBLISHING;
        return run->moved[run->moved_at++];
    }
    if ((int64_t)run->n_active >= most || !(fr = first_waiting(run)))
        return NULL;
    *ret = WH_AT_PREPARING;
    return fr;
}

static bool snapshots_held(const struct wh_runtime *run)
{
    for (size_t i = 0; i < run->plan->n_endpoints; i++)
        if (run->plan->endpoints[i]->is_source && run->plan->endpoints[i]->snapshot_taken)
            return true;
    return false;
}

static bool all_moved(const struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].stage < WH_AT_MOVED || run->flows[i].stage == WH_AT_FAILED ||
            run->flows[i].stage == WH_AT_STOPPED || run->flows[i].n_running)
            return false;
    return true;
}

static void give_step_job(struct wh_runtime *run)
{
    enum wh_stage stage;
    struct wh_run_flow *fr;

    if (run->step.done)
        take_step_result(run);
    if (run->step.fr)
        return;
    fr = next_for_steps(run, &stage);
    if (!fr)
        return;
    if (stage == WH_AT_PUBLISHING && snapshots_held(run) && all_moved(run)) {
        pthread_mutex_unlock(&run->mutex);
        wh_ignore(wh_run_release_snapshots(run));
        pthread_mutex_lock(&run->mutex);
    }
    fr->stage = stage;
    if (stage == WH_AT_PREPARING)
        activate(run, fr);
    fr->stepping = true;
    if (!fr->started_ns)
        fr->started_ns = wh_now_ns();
    run->step = (struct wh_step_job){.fr = fr, .stage = stage};
    pthread_cond_broadcast(&run->step_work);
}

/* ---- flows -------------------------------------------------------------------------------------
 */

/* The ratio of dirty rows is judged once more when all rows are known. */
static bool ratio_exceeded(const struct wh_runtime *run, const struct wh_run_flow *fr,
                           struct wh_error *err)
{
    double ratio = fr->flow->stream->dirty_ratio;

    if (ratio <= 0 || (double)fr->counts.rows_dirty <= ratio * (double)fr->counts.rows_read)
        return false;
    wh_ignore(wh_fail(err, WH_E_LIMIT, "E6001",
                      "%s: %" PRId64 " of %" PRId64 " rows are dirty, more than the ratio allows",
                      fr->flow->table, fr->counts.rows_dirty, fr->counts.rows_read));
    wh_dirty_hint(run, fr, err);
    return true;
}

static void flow_moved(struct wh_runtime *run, struct wh_run_flow *fr)
{
    struct wh_error err;

    if (fr->flow->scan.limit > 0 && fr->limit_left == 0) {
        while (fr->pending) {
            struct wh_run_unit *u = fr->pending;

            fr->pending = u->next;
            fr->n_pending--;
            wh_unit_free(u);
        }
        fr->drawn = true;
    }
    if (!fr->drawn || fr->pending || fr->n_running)
        return;
    if (ratio_exceeded(run, fr, &err))
        wh_flow_fail(fr, &err);
    else
        fr->stage = WH_AT_MOVED;
}

static void draw_where_needed(struct wh_runtime *run)
{
    for (size_t i = 0; i < run->n_active; i++) {
        struct wh_run_flow *fr = run->active[i];
        struct wh_error err = {0};
        int st;

        if (fr->stage != WH_AT_MOVING || fr->drawn || fr->n_pending > fr->cap ||
            fr->limit_left == 0 || wh_run_stopping(run))
            continue;
        pthread_mutex_unlock(&run->mutex);
        st = wh_flow_draw(run, fr, &err);
        if (st == WH_FENCED)
            wh_run_fenced(run, &err);
        else if (st != WH_OK && !wh_run_stopping(run))
            wh_note(run, WH_EV_ERROR, fr, 0, 0, &err, "%s", err.message);
        pthread_mutex_lock(&run->mutex);
        if (st != WH_OK && st != WH_FENCED && !wh_run_stopping(run))
            wh_flow_fail(fr, &err);
    }
}

/* Whether nothing is under way and nothing can begin any more. */
static bool all_over(struct wh_runtime *run)
{
    if (run->step.fr)
        return false;
    for (size_t i = 0; i < run->n_active; i++)
        if (run->active[i]->n_running)
            return false;
    if (wh_run_stopping(run))
        return true;
    return !run->n_active && run->moved_at == run->n_moved && !first_waiting(run);
}

/* Often enough that whoever does not move is asked about before it is given up. */
static int64_t tick_ns(const struct wh_runtime *run)
{
    int64_t quiet = run->options->timeouts.no_progress;

    return (quiet > 0 && quiet / 4 < TICK_MS ? quiet / 4 + 1 : TICK_MS) * (int64_t)MS;
}

static void tick(struct wh_runtime *run, int64_t now)
{
    if (now < run->next_tick_ns)
        return;
    run->next_tick_ns = now + tick_ns(run);
    pthread_mutex_unlock(&run->mutex);
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        struct wh_endpoint *ep = run->plan->endpoints[i];
        struct wh_error err = {0};
        void *se = NULL;
        int st;

        if (!ep->connector->endpoint->tick || (!ep->snapshot_taken && !ep->snapshot_joined))
            continue;
        st = wh_endpoint_control(ep, &se, &err);
        if (st == WH_OK) {
            wh_watch_begin(run, &run->control_watch, "keeps the snapshot of", ep, se);
            st = ep->connector->endpoint->tick(ep->ep, se, &err);
            wh_watch_end(run, &run->control_watch);
        }
        if (st == WH_LOST)
            wh_endpoint_control_lost(ep);
        if (st != WH_OK)
            wh_log(WH_LOG_WARN, "engine", "%s: %s", ep->name, err.message);
    }
    wh_watch_ask(run, now);
    pthread_mutex_lock(&run->mutex);
}

static void wait_for_change(struct wh_runtime *run)
{
    int64_t until = run->next_tick_ns;
    struct timespec ts;

    if (run->listener && run->listener->progress_ms > 0 && run->next_progress_ns < until)
        until = run->next_progress_ns;
    ts = (struct timespec){.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    pthread_cond_timedwait(&run->change, &run->mutex, &ts);
}

/* Nothing changed in this round: wait for lanes, the step lane, or the clock. */
static bool round_of_work(struct wh_runtime *run, struct wh_error *reterr)
{
    bool worked = false;

    draw_where_needed(run);
    if (!wh_run_stopping(run))
        while (hand_out_one(run, reterr))
            worked = true;
    for (size_t i = 0; i < run->n_active; i++)
        if (run->active[i]->stage == WH_AT_MOVING) {
            flow_moved(run, run->active[i]);
            worked = worked || run->active[i]->stage != WH_AT_MOVING;
        }
    sweep(run);
    struct wh_run_flow *before = run->step.fr;
    bool ended = run->step.done; /* its flow can go on in the next round */
    give_step_job(run);
    return worked || ended || run->step.fr != before;
}

int wh_run_move(struct wh_runtime *run, struct wh_error *reterr)
{
    pthread_mutex_lock(&run->mutex);
    begin_schedule(run);
    run->next_tick_ns = wh_now_ns() + tick_ns(run);
    while (!all_over(run) && !(run->abandoned = wh_run_abandons(run))) {
        uint64_t seen = run->changes;
        bool worked = round_of_work(run, reterr);

        pthread_mutex_unlock(&run->mutex);
        wh_run_events(run);
        pthread_mutex_lock(&run->mutex);
        tick(run, wh_now_ns());
        if (!worked && seen == run->changes && !all_over(run))
            wait_for_change(run);
    }
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].stage < WH_AT_PUBLISHED)
            run->flows[i].stage = WH_AT_STOPPED;
    pthread_mutex_unlock(&run->mutex);
    wh_run_events(run);
    return run->fenced ? WH_FENCED : WH_OK;
}
