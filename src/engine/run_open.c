/* SPDX-License-Identifier: Apache-2.0 */
/* Beginning: the run's record, its owner, its targets here and at the destinations, one snapshot
 * per source server. Nothing is written to a destination before all of this holds.
 */
#include "engine/rebuild.h"

#include "core/clock.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    LOCK_POLL_MS = 500,
    MS = 1000000,
};

/* ---- records -----------------------------------------------------------------------------------
 */

static int new_record(struct wh_runtime *run, struct wh_error *reterr)
{
    const struct wh_job *job = run->plan->job;
    struct wh_buf json WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    char shape[33];
    struct wh_run_record r = {.run = run->id,
                              .job = job->name,
                              .file = job->file,
                              .identity = run->start->identity ? run->start->identity : run->id,
                              .ends = run->start->ends,
                              .is_copy = job->is_copy,
                              .scheduled = job->scheduled,
                              .version = WHERRY_VERSION,
                              .state = WH_RUN_PLANNED,
                              .exit_code = -1,
                              .created_us = wh_wall_us()};

    if (wh_job_to_json(job, &json) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "the job's record");
    wh_u128_hex(job->shape, shape);
    r.job_json = json.p;
    r.shape = shape;
    WH_TRY(wh_state_run_new(run->state, &r, reterr));
    wh_kill_point("run-new");
    return WH_OK;
}

void wh_flow_text_free(struct wh_flow_text *t)
{
    wh_buf_free(&t->source);
    wh_buf_free(&t->accept);
}

int wh_flow_record(const struct wh_run_flow *fr, struct wh_flow_text *text,
                   struct wh_flow_record *ret, struct wh_error *reterr)
{
    const struct wh_flow *flow = fr->flow;

    wh_buf_clear(&text->source);
    wh_buf_clear(&text->accept);
    if (wh_schema_to_json(&flow->source_schema, &text->source) != WH_OK ||
        wh_schema_to_json(&flow->tgt.accept, &text->accept) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "record of %s", flow->table);
    wh_u128_hex(flow->fingerprint, text->fingerprint);
    *ret = (struct wh_flow_record){.flow = flow->index,
                                   .generation = fr->fence.generation,
                                   .stream = flow->stream->name,
                                   .table = flow->table,
                                   .target = flow->tgt.identity,
                                   .state = WH_FLOW_PLANNED,
                                   .source_schema = text->source.p,
                                   .accept_schema = text->accept.p,
                                   .fingerprint = text->fingerprint,
                                   .bounds = flow->scan.ret_bounds,
                                   .memo = flow->tgt.ret_memo,
                                   .next_unit = 1,
                                   .exit_code = -1,
                                   .rows_before = fr->rows_before};
    return WH_OK;
}

struct putting {
    struct wh_runtime *run;
    size_t at;
    struct wh_flow_text text;
};

static int next_flow(void *arg, struct wh_flow_record *ret, struct wh_error *reterr)
{
    struct putting *p = arg;

    if (p->at == p->run->n_flows)
        return WH_END;
    return wh_flow_record(&p->run->flows[p->at++], &p->text, ret, reterr);
}

int wh_run_put_flows(struct wh_runtime *run, struct wh_error *reterr)
{
    struct putting p = {.run = run, .text = WH_FLOW_TEXT};
    int st = wh_state_flows_put(run->state, run->id, run->epoch, next_flow, &p, reterr);

    wh_flow_text_free(&p.text);
    return st;
}

/* ---- owner and targets in the state ------------------------------------------------------------
 */

/* A living owner is waited for as long as --lock-wait says, or until a signal. */
static bool wait_for_lock(struct wh_runtime *run, int st, const struct wh_error *err,
                          int64_t deadline)
{
    if (st != WH_HELD_BY || strcmp(err->code, "E7006") != 0 || wh_now_ns() >= deadline)
        return false;
    return wh_run_pause(run, (int64_t)LOCK_POLL_MS * MS, NULL);
}

/* The same for a target: whoever held it may have changed all that the plan of a run which has yet
 * to begin saw there. A plan in a file has one run, which cannot begin there twice. */
static bool wait_for_target(struct wh_runtime *run, bool there, int st, const struct wh_error *err,
                            int64_t deadline)
{
    if (there && run->start->planned)
        return false;
    if (!wait_for_lock(run, st, err, deadline))
        return false;
    run->waited = run->recorded_state == WH_RUN_PLANNED;
    return true;
}

/* After a wait nothing is moved by the old plan: whoever started the run plans anew. */
static int planned_too_early(struct wh_runtime *run, struct wh_error *reterr)
{
    if (!run->waited)
        return WH_OK;
    bool there = run->touched && !run->start->resume;
    if (there) {
        WH_TRY(wh_run_close_there(run, reterr));
        run->touched = false;
    }
    wh_ignore(wh_fail(reterr, WH_HELD_BY, "E7019",
                      "run %s waited for another one, which may have changed what its plan saw",
                      run->id));
    reterr->native = there; /* its name is used up */
    return WH_HELD_BY;
}

/* Its owner may have brought it further since. That its record cannot be read says nothing of it.
 */
static int as_read(struct wh_runtime *run, bool *ret, struct wh_error *reterr)
{
    struct wh_run_record r = {0};
    int st = wh_state_run_get(run->state, run->id, run->arena, &r, reterr);

    if (st == WH_OK || st == WH_E_NOT_FOUND)
        *ret = st == WH_OK && r.state == run->recorded_state;
    return st == WH_E_NOT_FOUND ? WH_OK : st;
}

/* The run was claimed: is it still the one that was planned? Else it is let go of. */
static int same_as_read(struct wh_runtime *run, uint32_t epoch, bool waited,
                        struct wh_error *reterr)
{
    bool same = false;
    int st = waited || epoch != run->epoch_read + 1 ? WH_OK : as_read(run, &same, reterr);

    if (st == WH_OK && !same)
        st = wh_fail(reterr, WH_HELD_BY, "E7018",
                     "another process had run %s since this one read its record", run->id);
    if (st != WH_OK)
        wh_state_run_unclaim(run->state, run->id, epoch);
    return st;
}

/* Whoever was stopped, or waited, between reading the run's record and its claim knows nothing of
 * what another process did meanwhile: to go on would record all tables anew over what was moved. */
static int claim_here(struct wh_runtime *run, int64_t deadline, struct wh_error *reterr)
{
    uint32_t epoch = 0;
    bool waited = false;
    int st;

    for (;;) {
        st = wh_state_run_claim(run->state, run->id, run->stale_ms, &epoch, reterr);
        if (!wait_for_lock(run, st, reterr, deadline))
            break;
        waited = true; /* for an owner that went on with it */
    }
    if (st == WH_OK)
        st = same_as_read(run, epoch, waited, reterr);
    if (st == WH_OK) {
        run->beaten_ns = wh_now_ns();
        run->epoch = epoch;
    }
    return st;
}

static int take_targets(struct wh_runtime *run, int64_t deadline, struct wh_error *reterr)
{
    const char **v WH_CLEANUP(wh_freep) = wh_alloc((run->n_flows + 1) * sizeof *v);
    size_t n = 0;
    int st;

    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "targets of the run");
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow->tgt.identity[0])
            v[n++] = run->flows[i].flow->tgt.identity;
    do {
        st = wh_state_targets_take(run->state, run->id, run->epoch, v, n, run->stale_ms, reterr);
    } while (wait_for_target(run, false, st, reterr, deadline));
    return st == WH_OK ? planned_too_early(run, reterr) : st;
}

/* ---- claim at the destinations -----------------------------------------------------------------
 */

static int objects_at(struct wh_runtime *run, const struct wh_endpoint *ep, struct wh_objects *ret,
                      struct wh_error *reterr)
{
    struct wh_name *v = wh_arena_alloc(run->arena, (run->n_flows + 1) * sizeof *v);

    *ret = (struct wh_objects){.v = v};
    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "targets of '%s'", ep->name);
    for (size_t i = 0; i < run->n_flows; i++) {
        const struct wh_flow *flow = run->flows[i].flow;

        if (flow->to == ep)
            v[ret->n++] = flow->tgt.ret_object.n ? flow->tgt.ret_object : flow->target;
    }
    return WH_OK;
}

static int claim_once(struct wh_runtime *run, struct wh_endpoint *ep, const struct wh_fence *fence,
                      const struct wh_objects *targets, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    void *se = NULL;
    int st;

    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    WH_TRY(wh_state_sync(run->state,
                         reterr)); /* the run and its epoch, before anybody else knows it */
    wh_watch_begin(run, &run->control_watch, "claims", ep, se);
    st = ops->claim(ep->ep, se, fence, targets, reterr);
    wh_watch_end(run, &run->control_watch);
    /* A zombie of an older epoch holds the run's row: ended where we may. */
    if (st == WH_BLOCKED && ops->evict) {
        int ended = ops->evict(ep->ep, se, fence, NULL, reterr);

        if (ended == WH_BLOCKED)
            return WH_E_AUTH;
        if (ended != WH_OK)
            st = ended;
    }
    if (st == WH_LOST)
        wh_endpoint_control_lost(ep);
    return st;
}

/* --fresh onto a target whose run is in nobody's state: given up with consent, if its owner is
 * provably dead. OK: claim again. */
static int disown(struct wh_runtime *run, struct wh_endpoint *ep, const struct wh_fence *fence,
                  const struct wh_objects *targets, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_disowned d = {0};
    void *se = NULL;

    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    WH_TRY(ops->disown(ep->ep, se, fence, targets, run->start->yes, &d, reterr));
    if (!run->start->yes) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1012",
                         "%s is unfinished and not known here; %" PRId64
                         " rows that it committed would stay (the same rows appended anew would be "
                         "there twice)",
                         d.text, d.rows);

        wh_error_hint(reterr, "wherry resume --rebuild-state with this destination finishes it, "
                              "each row once; --fresh --yes gives it up and leaves them");
        return st;
    }
    run->rows_disowned += d.rows;
    wh_note(run, WH_EV_WARNING, NULL, 0, 0, NULL,
            "given up: %s; %" PRId64 " rows that it committed stay, what it staged is dropped",
            d.text, d.rows);
    return WH_OK;
}

static bool may_disown(const struct wh_runtime *run, const struct wh_endpoint *ep, int st,
                       const struct wh_error *err, bool done)
{
    return st == WH_HELD_BY && !done && run->start->fresh && strcmp(err->code, "E7005") == 0 &&
           ep->connector->endpoint->disown;
}

static int claim_there(struct wh_runtime *run, struct wh_endpoint *ep, int64_t deadline,
                       struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_buf memo WH_CLEANUP(wh_buf_free) = WH_BUF(256 << 20);
    struct wh_fence fence = {.run = {run->id, strlen(run->id)}, .epoch = run->epoch};
    int64_t lock_ms = run->options->timeouts.lock > 0 ? run->options->timeouts.lock : 30000;
    int64_t blocked_until = wh_now_ns() + lock_ms * MS;
    struct wh_objects targets;
    struct wh_retry retry = {0};
    bool disowned = false, maybe = false; /* claimed, and the answer got lost */

    if (!ops->claim)
        return WH_OK;
    WH_TRY(objects_at(run, ep, &targets, reterr));
    if (ops->recall && run->recorded_state == WH_RUN_PLANNED)
        WH_TRY(wh_rebuild_memo(run, &memo, reterr));
    fence.memo = (struct wh_bytes){memo.p, memo.n};
    wh_kill_point("claim-before");
    for (;;) {
        int st;

        *reterr = (struct wh_error){0};
        st = claim_once(run, ep, &fence, &targets, reterr);
        if (st == WH_OK)
            break;
        maybe = st != WH_HELD_BY && (maybe || st == WH_LOST || reterr->outcome_unknown);
        if (wait_for_target(run, true, st, reterr, deadline))
            continue;
        if (may_disown(run, ep, st, reterr, disowned)) {
            WH_TRY(disown(run, ep, &fence, &targets, reterr));
            disowned = true;
            continue;
        }
        /* E_AUTH: who blocks cannot be ended by us; that was waited for as long as it may take. */
        bool again = (st == WH_BLOCKED && wh_now_ns() < blocked_until) ||
                     ((st == WH_LOST || (st < 0 && st != WH_E_AUTH && reterr->retriable)) &&
                      wh_retry_more(run, &retry, st, reterr));
        if (!again || !wh_retry_pause(run, &retry, reterr)) {
            if (!reterr->code[0])
                wh_ignore(wh_fail(reterr, st, "E5010", "'%s' could not be claimed: %s", ep->name,
                                  wh_status_name(st)));
            run->touched = run->touched || maybe; /* it may hold the targets: to be resumed */
            return st;
        }
    }
    run->touched = true;
    wh_kill_point("claim-after");
    return WH_OK;
}

int wh_run_open(struct wh_runtime *run, struct wh_error *reterr)
{
    int64_t deadline = wh_now_ns() + run->options->lock_wait_ms * MS;

    if (!run->start->resume)
        WH_TRY(new_record(run, reterr));
    WH_TRY(claim_here(run, deadline, reterr));
    wh_kill_point("run-owned");
    for (size_t i = 0; i < run->plan->n_endpoints; i++)
        wh_ctx_tag(run->plan->endpoints[i], run->epoch, "c");
    for (size_t i = 0; i < run->n_flows; i++)
        run->flows[i].fence.epoch = run->epoch;
    if (run->recorded_state == WH_RUN_PLANNED)
        WH_TRY(wh_run_put_flows(run, reterr));
    if (run->recorded_state >= WH_RUN_CLOSING) {
        run->touched = true;
        return WH_OK; /* only run_close is repeated */
    }
    WH_TRY(take_targets(run, deadline, reterr));
    wh_kill_point("targets-taken");
    for (size_t i = 0; i < run->plan->n_endpoints; i++)
        if (run->plan->endpoints[i]->is_target)
            WH_TRY(claim_there(run, run->plan->endpoints[i], deadline, reterr));
    WH_TRY(planned_too_early(run, reterr));
    run->touched = true;
    WH_TRY(wh_state_run_set(run->state, run->id, run->epoch, WH_RUN_CLAIMED, reterr));
    run->recorded_state = WH_RUN_CLAIMED;
    wh_kill_point("claim-recorded");
    return WH_OK;
}

/* ---- snapshots ---------------------------------------------------------------------------------
 */

static int keep_token(struct wh_runtime *run, struct wh_snapshot *s, struct wh_error *reterr)
{
    void *own = wh_arena_alloc(run->plan->arena, s->token.n + 1);

    if (!own)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "snapshot");
    if (s->token.n)
        memcpy(own, s->token.p, s->token.n);
    s->token.p = own;
    return WH_OK;
}

/* Taken over while the snapshot was taken: whoever has the run now has one of its own, and nobody
 * will ever ask for ours. The other's is left alone. */
static void let_go_of_own(struct wh_runtime *run, struct wh_endpoint *ep, int64_t holder)
{
    if (holder > 0 && wh_holder_find(run->services->state_dir, run->id, ep->index) == holder)
        ep->ctx.holder_release(&ep->ctx);
}

static int take_snapshot(struct wh_runtime *run, struct wh_endpoint *ep, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_name *v = wh_arena_alloc(run->arena, (run->n_flows + 1) * sizeof *v);
    struct wh_objects pin = {.v = v};
    struct wh_snapshot s = {0};
    struct wh_snapshot_record r;
    void *se = NULL;
    int st;

    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "snapshot");
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow->from == ep && run->flows[i].stage < WH_AT_MOVED)
            v[pin.n++] = run->flows[i].flow->source;
    if (pin.n == 0)
        return WH_OK; /* nothing is left to be read */
    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    wh_kill_point("snapshot-before");
    if (!wh_run_still_ours(run))
        return wh_fail(reterr, WH_FENCED, "E7010", "another process owns run %s", run->id);
    wh_watch_begin(run, &run->control_watch, "takes the snapshot of", ep, se);
    st = ops->snapshot(ep->ep, se, &pin, run->n_lanes + 1, &s, reterr);
    wh_watch_end(run, &run->control_watch);
    if (st == WH_LOST)
        wh_endpoint_control_lost(ep);
    if (st != WH_OK)
        return st;
    WH_TRY(keep_token(run, &s, reterr));
    int64_t holder = wh_holder_find(run->services->state_dir, run->id, ep->index);
    wh_kill_point("snapshot-taken");
    ep->snapshot = s;
    if (s.kind == WH_SNAP_NONE)
        return WH_OK;
    ep->snapshot_taken = true;
    ep->instants = ep->instants > 0 ? ep->instants : 1;
    r = (struct wh_snapshot_record){.endpoint = ep->index,
                                    .kind = (int)s.kind,
                                    .instants = ep->instants,
                                    .token = s.token,
                                    .what = ep->snapshot.what,
                                    .unchanged_provable = s.unchanged_provable,
                                    .taken_us = wh_wall_us()};
    st = wh_state_snapshot_put(run->state, run->id, run->epoch, &r, reterr);
    if (st == WH_FENCED)
        let_go_of_own(run, ep, holder);
    WH_TRY(st);
    wh_kill_point("snapshot-recorded");
    return WH_OK;
}

static bool anything_to_read(const struct wh_runtime *run, const struct wh_endpoint *ep)
{
    for (size_t i = 0; i < run->n_flows; i++)
        if (run->flows[i].flow->from == ep && run->flows[i].stage < WH_AT_MOVED)
            return true;
    return false;
}

static int snapshot_of(struct wh_runtime *run, struct wh_endpoint *ep, struct wh_error *reterr)
{
    bool required = run->options->consistent == 1;
    int st = WH_OK;

    if (run->start->resume && ep->snapshot.kind != WH_SNAP_NONE) {
        st = wh_run_rejoin(run, ep, reterr);
        if (st != WH_GONE)
            return st;
        if (!anything_to_read(run, ep))
            return WH_OK; /* it was let go of because all was read: still one instant */
        ep->instants = ep->instants > 0 ? ep->instants + 1 : 2;
        st = WH_OK;
    }
    st = take_snapshot(run, ep, reterr);
    if (st == WH_OK && required && ep->snapshot.kind == WH_SNAP_NONE)
        st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                     "'%s' cannot be read at one instant, and consistent: require asks for it",
                     ep->name);
    if (st == WH_E_UNSUPPORTED && !required) {
        wh_note(run, WH_EV_WARNING, NULL, 0, 0, NULL, "%s is not read at one instant: %s", ep->name,
                reterr->message);
        st = WH_OK;
    }
    return st;
}

int wh_run_snapshots(struct wh_runtime *run, struct wh_error *reterr)
{
    if (run->options->consistent == 2)
        return WH_OK;
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        struct wh_endpoint *ep = run->plan->endpoints[i];

        if (ep->is_source && ep->connector->endpoint->snapshot)
            WH_TRY(snapshot_of(run, ep, reterr));
    }
    return wh_rebuild_remember(run, reterr);
}
