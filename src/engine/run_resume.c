/* SPDX-License-Identifier: Apache-2.0 */
/* Going on: what the state remembers of an earlier process, what the destination knows better, and
 * what can still be said about the instant at which the source is read (INTERFACE 5).
 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PAGE = 256,
    PAGE_BYTES = 128 << 20,
    LOOK_PAUSE_MS = 200,
};

/* ---- what the state keeps ----------------------------------------------------------------------
 */

static struct wh_run_unit *unit_of(const struct wh_unit_record *r)
{
    struct wh_bytes own = {0};
    struct wh_run_unit *u;

    if (wh_bytes_copy(r->splits, &own) != WH_OK || !(u = wh_unit_new(r->unit, own)))
        return NULL;
    if (wh_bytes_copy(r->origin, &u->origin) != WH_OK) {
        wh_unit_free(u);
        return NULL;
    }
    u->attempt = r->attempt;
    u->group = r->order_group;
    u->seq = r->order_seq;
    u->est_rows = r->est_rows;
    u->est_bytes = r->est_bytes;
    u->instant = r->instant;
    snprintf(u->label, sizeof u->label, "%s", r->label ? r->label : "");
    snprintf(u->ident, sizeof u->ident, "%s", r->ident ? r->ident : "");
    /* A lease may not have survived a power cut: a drawn unit is asked for as well. */
    u->looked_up = true;
    return u;
}

/* Everything that is not recorded goes back on the list, to be looked up before it is tried. */
static int load_units(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(PAGE_BYTES);
    const unsigned open = 1u << WH_UNIT_DRAWN | 1u << WH_UNIT_LEASED | 1u << WH_UNIT_FAILED;
    int64_t after = 0;
    size_t n = 0;

    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "units of %s", fr->flow->table);
    do {
        struct wh_unit_record *v = NULL;

        wh_arena_reset(arena);
        WH_TRY(wh_state_units(run->state, run->id, fr->flow->index, open, after, PAGE, arena, &v,
                              &n, reterr));
        for (size_t i = 0; i < n; i++) {
            struct wh_run_unit *u = unit_of(&v[i]);

            if (!u)
                return wh_fail(reterr, WH_E_NOMEM, "E8002", "units of %s", fr->flow->table);
            wh_flow_add_unit(fr, u);
            after = v[i].unit;
        }
    } while (n == PAGE);
    return WH_OK;
}

static int load_counts(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_unit_sums sums = {0};

    WH_TRY(wh_state_unit_sums(run->state, run->id, fr->flow->index, &sums, reterr));
    fr->counts = (struct wh_counts){.rows_read = sums.rows_read,
                                    .rows_written = sums.rows_written,
                                    .rows_dirty = sums.rows_dirty,
                                    .rows_filtered = sums.rows_filtered,
                                    .rows_skipped = sums.rows_skipped,
                                    .bytes_read = sums.bytes_read,
                                    .bytes_written = sums.bytes_written,
                                    .units_done = sums.recorded};
    fr->instants = sums.instants;
    fr->instant = fr->flow->from->instants > 0 ? fr->flow->from->instants : 1;
    if (fr->limit_left > 0)
        fr->limit_left = fr->limit_left > sums.rows_read ? fr->limit_left - sums.rows_read : 0;
    return WH_OK;
}

static enum wh_stage stage_of(enum wh_flow_state s)
{
    switch (s) {
    case WH_FLOW_MOVING:
        return WH_AT_MOVING;
    case WH_FLOW_SETTLING:
    case WH_FLOW_PUBLISHING:
        return WH_AT_MOVED;
    case WH_FLOW_PUBLISHED:
        return WH_AT_PUBLISHED;
    case WH_FLOW_FINISHED:
        return WH_AT_DONE;
    default: /* PLANNED, PREPARING, FAILED: the journal knows which steps are done */
        return WH_AT_WAITING;
    }
}

/* The refused rows of a generation that counts no more: only when a later one is recorded, or a
 * process whose run was taken over would drop those of its follower. */
static void drop_archive(struct wh_runtime *run, struct wh_run_flow *fr, uint32_t generation)
{
    wh_dirty_drop_generation(
        run->services->state_dir, &fr->flow->stream->dirty_archive,
        &(struct wh_dirty_of){.run = run->id, .flow = fr->flow->index, .generation = generation});
}

static int load_flow(struct wh_runtime *run, struct wh_run_flow *fr, const struct wh_flow_record *r,
                     struct wh_error *reterr)
{
    if (run->epoch && r->generation > 1) /* the process before may have died ahead of it */
        drop_archive(run, fr, r->generation - 1);
    fr->resumed = true;
    fr->recorded_state = r->state;
    fr->stage = stage_of(r->state);
    if (fr->stage == WH_AT_MOVING && fr->flow->stream->write.on_resume == 1)
        fr->stage = WH_AT_WAITING; /* its `before` runs once more */
    fr->fence.generation = r->generation;
    fr->flow->generation = r->generation;
    fr->next_unit = r->next_unit > 0 ? r->next_unit : 1;
    fr->drawn = r->drawn;
    fr->rows_before = r->rows_before;
    fr->different = r->state == WH_FLOW_FINISHED && r->exit_code == 4;
    wh_bytes_free(&fr->cursor);
    if (wh_bytes_copy(r->cursor, &fr->cursor) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "cursor of %s", fr->flow->table);
    WH_TRY(load_counts(run, fr, reterr));
    return load_units(run, fr, reterr);
}

/* Asks for every open unit now: whether anything was committed decides what may be done. */
static int look_all_up(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_run_unit *u = fr->pending, *next;

    fr->pending = NULL;
    fr->n_pending = 0;
    for (; u; u = next) {
        enum wh_result r = WH_RESULT_RETRY;

        next = u->next;
        u->next = NULL;
        if (u->looked_up)
            r = wh_unit_lookup(run, fr, u, reterr);
        if (r == WH_RESULT_DONE) {
            wh_unit_free(u);
            continue;
        }
        if (r == WH_RESULT_RETRY)
            u->looked_up = false;
        wh_flow_add_unit(fr, u);
        if (r == WH_RESULT_FENCED || r == WH_RESULT_FAILED) {
            for (; next; next = u) {
                u = next->next;
                next->next = NULL;
                wh_flow_add_unit(fr, next);
            }
            return r == WH_RESULT_FENCED ? WH_FENCED : WH_E_STATE;
        }
    }
    return WH_OK;
}

/* What was committed and not recorded counts as committed: before the target is verified, which may
 * have lost it, and not when a lane comes to it. A lost session or a busy server is tried again. */
static int look_up_open(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    int st = WH_OK;

    if (!run->epoch || run->recorded_state >= WH_RUN_CLOSING || fr->stage >= WH_AT_PUBLISHED)
        return WH_OK;
    for (int tries = 0; tries <= (int)run->options->retry_times; tries++) {
        *reterr = (struct wh_error){0};
        st = look_all_up(run, fr, reterr);
        if (st == WH_OK || st == WH_FENCED || !reterr->retriable)
            break;
        if (!wh_run_pause(run, (int64_t)LOOK_PAUSE_MS * 1000000, NULL))
            break;
    }
    return st;
}

static bool staged(const struct wh_run_flow *fr)
{
    return fr->flow->tgt.commit_class == WH_CLASS_P || fr->flow->tgt.atomic_given != WH_ATOMIC_UNIT;
}

/* An earlier process began to drop what is staged, to start the flow again: some of it may be gone,
 * and none of it counts. */
static int look_for_drop(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(PAGE_BYTES);
    struct wh_step_record *v = NULL;
    bool journalled = false;
    size_t n = 0;

    if (!staged(fr) || run->recorded_state >= WH_RUN_CLOSING || fr->stage >= WH_AT_PUBLISHED)
        return WH_OK;
    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "steps of %s", fr->flow->table);
    WH_TRY(wh_state_steps(run->state, run->id, fr->flow->index, fr->fence.generation, WH_DROP,
                          arena, &v, &n, &journalled, reterr));
    for (size_t i = 0; i < n; i++)
        fr->dropped |= v[i].state != WH_STEP_NONE;
    return WH_OK;
}

/* The target is still the same object and holds what was committed to it. */
static int verify(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    const struct wh_sink_ops *ops = fr->flow->to->connector->sink;
    struct wh_receipt_cursor *cursor = NULL;
    struct wh_receipts receipts = {0};
    void *se = NULL;
    int st;

    if (!ops->verify || fr->counts.units_done == 0 || fr->stage >= WH_AT_PUBLISHED)
        return WH_OK;
    WH_TRY(wh_endpoint_control(fr->flow->to, &se, reterr));
    WH_TRY(wh_receipts_open(run, fr->flow->index, &cursor, &receipts, reterr));
    st = ops->verify(fr->flow->fl, se, &receipts, &fr->fence, reterr);
    wh_receipts_close(cursor);
    if (st == WH_LOST)
        wh_endpoint_control_lost(fr->flow->to);
    return st;
}

/* Acknowledgements may have been lost between the record and the source: repeatable, so repeated.
 */
static int acknowledge_again(struct wh_runtime *run, struct wh_run_flow *fr,
                             struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(PAGE_BYTES);
    struct wh_session *s = NULL;
    int64_t after = 0;
    size_t n = 0;
    int st = WH_OK;

    if (!fr->flow->from->connector->source->acknowledge || fr->counts.units_done == 0 ||
        run->plan->no_source)
        return WH_OK;
    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "units of %s", fr->flow->table);
    WH_TRY(wh_session_get(run, fr->flow->from, WH_CONTROL, &s, reterr));
    do {
        struct wh_unit_record *v = NULL;

        wh_arena_reset(arena);
        st = wh_state_units(run->state, run->id, fr->flow->index, 1u << WH_UNIT_RECORDED, after,
                            PAGE, arena, &v, &n, reterr);
        for (size_t i = 0; st == WH_OK && i < n; i++) {
            struct wh_splits splits = {0};

            st = wh_splits_decode(v[i].splits, &splits, reterr);
            if (st == WH_OK)
                st = wh_attempt_acknowledge(run, fr, s, &splits, splits.n, (struct wh_bytes){0},
                                            reterr);
            wh_splits_free(&splits);
            after = v[i].unit;
        }
    } while (st == WH_OK && n == PAGE);
    s->broken = s->broken || st == WH_LOST;
    wh_session_put(run, s);
    return st;
}

static void warn(struct wh_runtime *run, struct wh_run_flow *fr, const struct wh_error *err,
                 const char *what)
{
    wh_note(run, WH_EV_WARNING, fr, 0, 0, err, "%s: %s", what, err->message);
}

int wh_run_load(struct wh_runtime *run, struct wh_error *reterr)
{
    struct wh_flow_record *v = NULL;
    size_t n = 0;

    WH_TRY(wh_state_flows(run->state, run->id, run->arena, &v, &n, reterr));
    if (n == 0) /* the process before died between the run's record and the flows' */
        return wh_run_put_flows(run, reterr);
    if (n != run->n_flows)
        return wh_fail(reterr, WH_E_STATE, "E7008", "the run has %zu tables, the plan %zu", n,
                       run->n_flows);
    for (size_t i = 0; i < n; i++) {
        struct wh_run_flow *fr = &run->flows[v[i].flow < (int)n ? (size_t)v[i].flow : 0];
        struct wh_error err = {0};
        int st;

        WH_TRY(load_flow(run, fr, &v[i], reterr));
        WH_TRY(look_for_drop(run, fr, reterr));
        if (fr->dropped)
            continue;
        st = look_up_open(run, fr, &err);
        if (st == WH_FENCED) {
            *reterr = err;
            return st;
        }
        if (st == WH_OK)
            st = verify(run, fr, &err);
        if (st != WH_OK) {
            if (!err.code[0])
                wh_ignore(wh_fail(&err, st, st == WH_E_NOMEM ? "E8002" : "E9003",
                                  "what the table holds cannot be looked up"));
            if (!err.hint[0] && !err.retriable)
                wh_error_hint(&err, "put the destination back as it was, or start anew: the same "
                                    "command with --fresh");
            pthread_mutex_lock(&run->mutex);
            wh_flow_fail(fr, &err);
            pthread_mutex_unlock(&run->mutex);
            wh_note(run, WH_EV_ERROR, fr, 0, 0, &err, "%s", err.message);
            continue;
        }
        if (acknowledge_again(run, fr, &err) != WH_OK)
            warn(run, fr, &err, "the source was not told of the units that are done");
    }
    return WH_OK;
}

/* ---- starting a flow again ---------------------------------------------------------------------
 */

/* It may be lent by the target that is to be closed. */
static int own_accept(struct wh_flow *flow, struct wh_error *reterr)
{
    struct ArrowSchema own = {0};

    if (wh_schema_copy(&flow->tgt.accept, &own) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "the schema of a destination");
    wh_schema_release(&flow->tgt.accept);
    flow->tgt.accept = own;
    return WH_OK;
}

static int reopen_target(struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_flow *flow = fr->flow;
    const struct wh_sink_ops *ops = flow->to->connector->sink;
    struct wh_target io;
    void *se = NULL;
    int st;

    WH_TRY(wh_endpoint_control(flow->to, &se, reterr));
    WH_TRY(own_accept(flow, reterr));
    if (ops->target_close)
        ops->target_close(flow->fl);
    memset(flow->fl, 0, ops->fl_size);
    wh_plan_ask_target(flow, &io);
    io.frozen = &flow->tgt.accept;
    io.memo = flow->tgt.ret_memo;
    io.fence = &fr->fence;
    io.planning = false;
    st = ops->target_open(flow->fl, flow->to->ep, se, &io, reterr);
    if (st != WH_OK) {
        wh_schema_release(&io.accept);
        return st;
    }
    return wh_plan_keep_target(fr->run->plan, flow, &io, reterr);
}

static void forget(struct wh_run_flow *fr)
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
    fr->n_pending = 0;
    fr->drawn = false;
    fr->next_unit = 1;
    fr->counts = (struct wh_counts){0};
    fr->ranges = 0;
    fr->limit_left =
        fr->flow->scan.limit > 0 && !fr->flow->scan.limit_done ? fr->flow->scan.limit : -1;
    fr->instants = 0;
}

int wh_flow_restart(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_session *s = NULL;
    int st = wh_flow_steps(run, fr, &s, WH_DROP, reterr); /* what the old generation left */

    if (s && st == WH_LOST)
        s->broken = true;
    wh_session_put(run, s);
    if (st != WH_OK)
        return st;
    WH_TRY(wh_state_flow_restart(run->state, run->id, run->epoch, fr->flow->index, reterr));
    drop_archive(run, fr, fr->fence.generation);
    forget(fr);
    fr->fence.generation++;
    fr->flow->generation = fr->fence.generation;
    fr->recorded_state = WH_FLOW_PLANNED;
    fr->resumed = fr->dropped = false;
    fr->stage = WH_AT_WAITING;
    return reopen_target(fr, reterr);
}

int wh_run_restart_dropped(struct wh_runtime *run, struct wh_error *reterr)
{
    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_run_flow *fr = &run->flows[i];

        if (!fr->dropped)
            continue;
        wh_note(run, WH_EV_WARNING, fr, 0, 0, NULL,
                "%s starts again, as the process before was about to", fr->flow->table);
        WH_TRY(wh_flow_restart(run, fr, reterr));
    }
    return WH_OK;
}

/* ---- the snapshot ------------------------------------------------------------------------------
 */

static void say_mixed(const struct wh_runtime *run, const struct wh_run_flow *fr, int64_t units,
                      struct wh_error *err)
{
    wh_ignore(wh_fail(err, WH_E_STATE, "E7011",
                      "%s: the snapshot is gone, %" PRId64 " units are committed, and the rest "
                      "would be read at another instant",
                      fr->flow->table, units));
    wh_error_hint(err, "wherry resume %s --accept-mixed goes on all the same; --fresh starts anew",
                  run->id);
}

/* Places (ctid, byte ranges) mean nothing at another instant. */
static bool strict(const struct wh_runtime *run, const struct wh_run_flow *fr)
{
    return fr->flow->scan.physical || run->options->consistent == 1;
}

void wh_flow_gone(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *err)
{
    int64_t units;

    pthread_mutex_lock(&run->mutex);
    units = fr->counts.units_done;
    pthread_mutex_unlock(&run->mutex);
    if (units > 0 && strict(run, fr) && !staged(fr) && !run->options->accept_mixed)
        say_mixed(run, fr, units, err);
    else if (!err->hint[0])
        wh_error_hint(err, "wherry resume %s goes on at another instant", run->id);
}

static int cannot_go_on(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *err)
{
    say_mixed(run, fr, fr->counts.units_done, err);
    pthread_mutex_lock(&run->mutex);
    wh_flow_fail(fr, err);
    pthread_mutex_unlock(&run->mutex);
    wh_note(run, WH_EV_ERROR, fr, 0, 0, err, "%s", err->message);
    return WH_OK;
}

/* One flow of a source whose snapshot is gone. */
static int flow_without_snapshot(struct wh_runtime *run, struct wh_run_flow *fr, int instant,
                                 struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st;

    if (fr->stage >= WH_AT_MOVED || fr->stage == WH_AT_FAILED)
        return WH_OK;
    st = look_all_up(run, fr, reterr);
    if (st != WH_OK)
        return st;
    if (fr->drawn && !fr->pending)
        return WH_OK; /* all of it was read at the old instant */
    fr->instant = instant;
    if (fr->counts.units_done == 0) /* nothing is there yet: a plain beginning */
        return fr->next_unit > 1 || fr->stage != WH_AT_WAITING ? wh_flow_restart(run, fr, reterr)
                                                               : WH_OK;
    if (strict(run, fr) && staged(fr)) {
        wh_note(run, WH_EV_WARNING, fr, 0, 0, NULL,
                "%s starts again: its snapshot is gone, and nothing of it shows yet",
                fr->flow->table);
        return wh_flow_restart(run, fr, reterr);
    }
    if (strict(run, fr) && !run->options->accept_mixed)
        return cannot_go_on(run, fr, &err);
    for (struct wh_run_unit *u = fr->pending; u; u = u->next)
        u->instant = instant;
    wh_note(run, WH_EV_WARNING, fr, 0, 0, NULL, "%s goes on at a new instant: its snapshot is gone",
            fr->flow->table);
    return WH_OK;
}

int wh_run_rejoin(struct wh_runtime *run, struct wh_endpoint *ep, struct wh_error *reterr)
{
    struct wh_error err = {0};
    int instant = (ep->instants > 0 ? ep->instants : 1) + 1;
    int st = WH_OK;

    if (!ep->snapshot_joined)
        st = ep->connector->endpoint->join
                 ? ep->connector->endpoint->join(ep->ep, &ep->snapshot, &err)
                 : WH_GONE;
    if (st == WH_OK) {
        ep->snapshot_joined = ep->snapshot_taken = true;
        if (ep->snapshot.kind == WH_SNAP_HELD)
            wh_ctx_holder_touch(&ep->ctx);
        return WH_OK;
    }
    if (st != WH_GONE) {
        *reterr = err;
        return st;
    }
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow->from == ep)
            WH_TRY(flow_without_snapshot(run, &run->flows[i], instant, reterr));
    return WH_GONE;
}
