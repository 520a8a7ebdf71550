/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: what a destination does outside a writer. Journalled when made; intent durable before the
 * act, outcome after it. A thread of its own carries them out, one flow and phase at a time, so
 * that a long merge stops neither units nor beats.
 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    STEPS_ARENA = 256 << 20,
    STEPS_MOST = 1 << 20,
    STEP_PAUSE_MS = 200,
    STEP_PAUSE_MOST_MS = 5000,
};

static const char *const phase_names[] = {"prepare", "settle", "publish", "finish", "drop"};

/* ---- journal -----------------------------------------------------------------------------------
 */

struct collecting {
    struct wh_step_sink sink; /* first: `self` of the callback is this */
    struct wh_arena *arena;
    struct wh_run_flow *fr;
    int phase;
    struct wh_step_record *v;
    size_t n, cap;
};

static int collect(struct wh_step_sink *sink, const struct wh_step *s)
{
    struct collecting *c = sink->self;
    struct wh_step_record *r;
    char *token, *say;

    if (c->n == STEPS_MOST)
        return WH_E_LIMIT;
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 16;
        struct wh_step_record *more = wh_realloc(c->v, cap * sizeof *more);

        if (!more)
            return WH_E_NOMEM;
        c->v = more;
        c->cap = cap;
    }
    token = wh_arena_alloc(c->arena, s->token.n + 1);
    say = wh_arena_strndup(c->arena, s->say.s ? s->say.s : "", s->say.n);
    if (!token || !say)
        return WH_E_NOMEM;
    if (s->token.n)
        memcpy(token, s->token.p, s->token.n);
    r = &c->v[c->n++];
    *r = (struct wh_step_record){.flow = c->fr->flow->index,
                                 .generation = c->fr->fence.generation,
                                 .phase = c->phase,
                                 .id = s->id,
                                 .after = s->after,
                                 .flags = s->flags,
                                 .say = say,
                                 .token = {token, s->token.n}};
    return WH_OK;
}

static int check_order(const struct collecting *c, struct wh_error *reterr)
{
    for (size_t i = 0; i < c->n; i++) {
        const struct wh_step_record *s = &c->v[i];

        if (s->id == 0 || (i && s->id <= c->v[i - 1].id) || s->after >= s->id)
            return wh_fail(reterr, WH_E_BUG, "E9003",
                           "step %u (after %u) of phase %s is out of order", s->id, s->after,
                           phase_names[c->phase]);
    }
    return WH_OK;
}

/* The steps of a phase: from the journal, or made by the connector and journalled now. */
static int steps_of(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session *s,
                    enum wh_phase phase, struct wh_receipts *receipts, struct wh_arena *arena,
                    struct wh_step_record **ret, size_t *ret_n, struct wh_error *reterr)
{
    const struct wh_sink_ops *ops = fr->flow->to->connector->sink;
    struct collecting c = {.arena = arena, .fr = fr, .phase = (int)phase};
    bool journalled = false;
    int st;

    WH_TRY(wh_state_steps(run->state, run->id, fr->flow->index, fr->fence.generation, (int)phase,
                          arena, ret, ret_n, &journalled, reterr));
    if (journalled || !ops->steps)
        return WH_OK;
    c.sink = (struct wh_step_sink){.self = &c, .add = collect};
    st = ops->steps(fr->flow->fl, s->mem, phase, receipts, &c.sink, reterr);
    if (st == WH_E_NOMEM || st == WH_E_LIMIT)
        wh_ignore(wh_fail(reterr, st, "E8002", "steps of %s", fr->flow->table));
    if (st == WH_OK)
        st = check_order(&c, reterr);
    if (st == WH_OK && c.n) /* no steps: asking again at resume is as good as a record */
        st = wh_state_steps_put(run->state, run->id, run->epoch, c.v, c.n, reterr);
    if (st == WH_OK && c.n) {
        *ret = wh_arena_alloc(arena, c.n * sizeof **ret);
        if (*ret)
            memcpy(*ret, c.v, c.n * sizeof **ret);
        else
            st = wh_fail(reterr, WH_E_NOMEM, "E8002", "steps of %s", fr->flow->table);
    }
    *ret_n = c.n;
    wh_free(c.v);
    return st;
}

/* ---- one step ----------------------------------------------------------------------------------
 */

struct applying {
    struct wh_runtime *run;
    struct wh_run_flow *fr;
    struct wh_session **s; /* replaced when lost */
    struct wh_receipts *receipts;
    struct wh_retry *retry; /* of the phase: begins anew behind every step that is done */
    struct wh_step step;
    bool maybe_done;
};

static int evict_older(struct applying *a, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = a->fr->flow->to->connector->endpoint;
    struct wh_session *control = NULL;
    int st;

    if (!ops->evict)
        return WH_OK;
    st = wh_session_get(a->run, a->fr->flow->to, WH_CONTROL, &control, reterr);
    if (st == WH_OK)
        st = ops->evict(a->fr->flow->to->ep, control->mem, &a->fr->fence, NULL, reterr);
    if (control && st == WH_LOST)
        control->broken = true;
    wh_session_put(a->run, control);
    return st;
}

static void set_step_session(struct wh_runtime *run, struct wh_session *s)
{
    pthread_mutex_lock(&run->mutex);
    run->step_session = s;
    pthread_mutex_unlock(&run->mutex);
}

/* A living session, also after the one before was lost. */
static int have_session(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                        struct wh_error *reterr)
{
    if (*s && (*s)->broken) {
        set_step_session(run, NULL);
        wh_session_put(run, TAKE_PTR(*s));
    }
    if (!*s)
        WH_TRY(wh_session_get(run, fr->flow->to, WH_STEP, s, reterr));
    set_step_session(run, *s);
    return WH_OK;
}

static int apply_once(struct applying *a, struct wh_bytes *receipt, struct wh_error *reterr)
{
    const struct wh_sink_ops *ops = a->fr->flow->to->connector->sink;
    char say[300];
    int st;

    WH_TRY(have_session(a->run, a->fr, a->s, reterr));
    if (a->receipts)
        a->receipts->rewind(a->receipts);
    WH_TRY(wh_state_sync(a->run->state, reterr)); /* the intent, before the act */
    snprintf(say, sizeof say, "%.200s of %.80s", a->step.say.n ? a->step.say.s : "a step",
             a->fr->flow->table);
    int64_t begun = wh_now_ns();

    atomic_fetch_add(&a->run->services->steps, 1);
    wh_watch_begin(a->run, &a->run->step_watch, say, a->fr->flow->to, NULL);
    st = ops->apply(a->fr->flow->fl, (*a->s)->mem, &a->step, &a->fr->fence, a->receipts,
                    a->maybe_done, receipt, reterr);
    wh_watch_end(a->run, &a->run->step_watch);
    atomic_fetch_sub(&a->run->services->steps, 1);
    wh_log(WH_LOG_DEBUG, "engine", "%s: step %u '%.*s' by %s: %s, %.1f ms", a->fr->flow->table,
           a->step.id, WH_STR_FMT(wh_str_clip(a->step.say, 200)), (*a->s)->ident,
           wh_status_name(st), (double)(wh_now_ns() - begun) / 1e6);
    a->maybe_done = true;
    if (st == WH_LOST || (st != WH_OK && st != WH_TWIN && reterr->scope == WH_SCOPE_SESSION))
        (*a->s)->broken = true;
    return st;
}

/* Whether the step is worth another try. */
static bool once_more(struct applying *a, int st, int64_t deadline, const struct wh_error *err)
{
    if (a->run->stop_level >= 2 || a->run->fenced || a->run->stuck)
        return false;
    if (st == WH_BLOCKED)
        return wh_now_ns() < deadline;
    return (st == WH_LOST || st == WH_UNKNOWN || err->retriable) &&
           wh_retry_more(a->run, a->retry, st, err);
}

/* Applies until it is done, refused for good, or out of tries. Locks are waited for within the lock
 * timeout, in pauses: a step that queues for a lock would stall every reader behind it. */
static int apply_until(struct applying *a, struct wh_bytes *receipt, struct wh_error *reterr)
{
    int64_t lock_ms = a->run->options->timeouts.lock;
    int64_t deadline = wh_now_ns() + (lock_ms > 0 ? lock_ms : 30000) * 1000000;
    int64_t pause = STEP_PAUSE_MS;

    for (;;) {
        int st;

        *reterr = (struct wh_error){0};
        st = apply_once(a, receipt, reterr);
        if (st == WH_OK || st == WH_TWIN || st == WH_FENCED)
            return st == WH_TWIN ? WH_OK : st;
        if (st == WH_BLOCKED && wh_run_stopping(a->run))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "stopped while waiting for a lock");
        if (!reterr->code[0])
            wh_ignore(
                wh_fail(reterr, st, st == WH_LOST ? "E2008" : "E5008", "%s", wh_status_name(st)));
        if (!once_more(a, st, deadline, reterr))
            return st;
        if (st == WH_BLOCKED)
            WH_TRY(evict_older(a, reterr));
        wh_log(WH_LOG_INFO, "engine", "step '%.*s' of %s is tried again: %s",
               WH_STR_FMT(a->step.say), a->fr->flow->table, reterr->message);
        if (st != WH_BLOCKED) {
            if (!wh_retry_pause(a->run, a->retry, reterr))
                return st;
            continue;
        }
        wh_ignore(wh_run_pause(a->run, pause * 1000000, NULL) ? WH_OK : WH_OK);
        pause = pause * 2 < STEP_PAUSE_MOST_MS ? pause * 2 : STEP_PAUSE_MOST_MS;
    }
}

static int set_state(struct wh_runtime *run, struct wh_step_record *r, enum wh_step_state state,
                     struct wh_bytes receipt, const char *error, struct wh_error *reterr)
{
    r->state = state;
    r->receipt = receipt;
    r->error = error;
    return wh_state_step_set(run->state, run->id, run->epoch, r, reterr);
}

static int step_failed(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_step_record *r,
                       int st, struct wh_error *err)
{
    struct wh_error ignored = {0};
    char words[sizeof err->message];

    if (st == WH_FENCED)
        return st;
    snprintf(words, sizeof words, "%s", err->message);
    if (st != WH_UNKNOWN && st != WH_LOST) /* else it is intended, and may be done */
        wh_ignore(set_state(run, r, WH_STEP_FAILED, (struct wh_bytes){0}, words, &ignored));
    if (r->flags & WH_STEP_OPTIONAL) {
        wh_note(run, WH_EV_WARNING, fr, 0, 0, err, "step '%.100s' failed: %.80s", r->say, words);
        return WH_OK;
    }
    if (!err->where[0])
        wh_error_where(err, "%s, %s step %u: %.120s", fr->flow->table, phase_names[r->phase], r->id,
                       r->say);
    return st;
}

static struct wh_step step_of(const struct wh_step_record *r)
{
    return (struct wh_step){.id = r->id,
                            .after = r->after,
                            .phase = (enum wh_phase)r->phase,
                            .flags = r->flags,
                            .say = {r->say, strlen(r->say)},
                            .token = r->token};
}

/* A step that was done, once more in this epoch (its marker tells). The journal stays as it is. */
static int repeat_step(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                       const struct wh_step_record *r, struct wh_retry *retry,
                       struct wh_error *reterr)
{
    struct applying a = {.run = run, .fr = fr, .s = s, .retry = retry, .step = step_of(r)};
    struct wh_bytes receipt = {0};
    int st;

    if (!wh_run_still_ours(run))
        return wh_fail(reterr, WH_FENCED, "E7010", "another process owns run %s", run->id);
    st = apply_until(&a, &receipt, reterr);
    wh_kill_step(r->phase, 2);
    if (st != WH_OK && st != WH_FENCED && !reterr->where[0])
        wh_error_where(reterr, "%s, write.before again: %.120s", fr->flow->table, r->say);
    return st;
}

static int run_step(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                    struct wh_step_record *r, struct wh_receipts *receipts, struct wh_retry *retry,
                    struct wh_error *reterr)
{
    struct applying a = {.run = run, .fr = fr, .s = s, .receipts = receipts, .retry = retry};
    struct wh_bytes receipt = {0};
    int st;

    a.step = step_of(r);
    /* FAILED counts as an intent as well: what failed may still have been done in part. */
    a.maybe_done = r->state == WH_STEP_INTENDED || r->state == WH_STEP_FAILED;
    wh_kill_step(r->phase, 0);
    WH_TRY(set_state(run, r, WH_STEP_INTENDED, (struct wh_bytes){0}, NULL, reterr));
    wh_kill_step(r->phase, 1);
    if (!wh_run_still_ours(run))
        return wh_fail(reterr, WH_FENCED, "E7010", "another process owns run %s", run->id);
    st = apply_until(&a, &receipt, reterr);
    wh_kill_step(r->phase, 2);
    if (st != WH_OK)
        return step_failed(run, fr, r, st, reterr);
    *retry = (struct wh_retry){.of = fr->flow->stream};
    WH_TRY(set_state(run, r, WH_STEP_DONE, receipt, NULL, reterr));
    wh_kill_step(r->phase, 3);
    return WH_OK;
}

/* ---- guards ------------------------------------------------------------------------------------
 */

static bool replaces_rows(const struct wh_run_flow *fr)
{
    int mode = fr->flow->tgt.mode;

    if (fr->flow->stream->write.replace_keys) /* only rows that others take the place of */
        return false;
    return mode == WH_MODE_OVERWRITE || mode == WH_MODE_TRUNCATE || mode == WH_MODE_DELETE_INSERT;
}

static int guard_refuses(const struct wh_run_flow *fr, struct wh_error *reterr, const char *why,
                         const char *allow)
{
    wh_ignore(
        wh_fail(reterr, WH_E_LIMIT, "E5009", "%s: %s; nothing was replaced", fr->flow->table, why));
    wh_error_hint(reterr, "look at the source; if it is right: wherry resume %s --guard %s",
                  fr->run->id, allow);
    return WH_E_LIMIT;
}

/* Before a step of PREPARE clears what is there: is there anything to put in its place? */
static int guard_before_clearing(struct wh_runtime *run, struct wh_run_flow *fr,
                                 const struct wh_step_record *steps, size_t n,
                                 struct wh_error *reterr)
{
    bool clears = false, any = false;

    /* Whatever the mode: a table that is made anew loses its rows as well. */
    if (fr->flow->stream->guard_empty_allow || fr->flow->tgt.existing_rows == 0)
        return WH_OK;
    for (size_t i = 0; i < n; i++)
        clears =
            clears || ((steps[i].flags & WH_STEP_DESTRUCTIVE) && steps[i].state != WH_STEP_DONE);
    if (!clears)
        return WH_OK;
    WH_TRY(wh_flow_probe(run, fr, &any, reterr));
    return any ? WH_OK : guard_refuses(fr, reterr, "the source has no rows", "empty=allow");
}

static int guard_before_publish(struct wh_run_flow *fr, struct wh_error *reterr)
{
    const struct wh_stream *s = fr->flow->stream;
    int64_t rows = fr->counts.rows_written, before = fr->flow->tgt.existing_rows;
    char why[160];

    if (s->guard_min_rows > 0 && rows < s->guard_min_rows) {
        snprintf(why, sizeof why, "%" PRId64 " rows, guard.min_rows is %" PRId64, rows,
                 s->guard_min_rows);
        return guard_refuses(fr, reterr, why, "min_rows=N");
    }
    if (!replaces_rows(fr) || before == 0 || (before < 0 && !fr->flow->tgt.exists))
        return WH_OK;
    if (rows == 0 && !s->guard_empty_allow)
        return guard_refuses(fr, reterr, "no rows would replace the rows that are there",
                             "empty=allow");
    if (before > 0 && s->guard_max_shrink > 0 &&
        (double)rows < (double)before * (1 - s->guard_max_shrink)) {
        snprintf(why, sizeof why,
                 "%" PRId64 " rows would replace %" PRId64 ", more than guard.max_shrink allows",
                 rows, before);
        return guard_refuses(fr, reterr, why, "max_shrink=P%");
    }
    return WH_OK;
}

/* ---- phases ------------------------------------------------------------------------------------
 */

static int run_steps(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                     enum wh_phase phase, struct wh_retry *retry, struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(STEPS_ARENA);
    struct wh_receipt_cursor *cursor = NULL;
    struct wh_receipts receipts = {0};
    struct wh_step_record *v = NULL;
    size_t n = 0;
    int st;

    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "steps of %s", fr->flow->table);
    WH_TRY(wh_receipts_open(run, fr->flow->index, &cursor, &receipts, reterr));
    st = steps_of(run, fr, *s, phase, &receipts, arena, &v, &n, reterr);
    if (st == WH_OK && phase == WH_PREPARE)
        st = guard_before_clearing(run, fr, v, n, reterr);
    if (st == WH_OK && phase == WH_PUBLISH)
        st = guard_before_publish(fr, reterr);
    for (size_t i = 0; st == WH_OK && i < n; i++) {
        bool done = v[i].state == WH_STEP_DONE, moved = fr->drawn && fr->n_pending == 0;
        bool again = fr->resumed && v[i].flags & WH_STEP_REPEAT && !moved;

        /* What several tables share, the first of them did. */
        if ((done && !again) || (v[i].flags & WH_STEP_STATEMENT && fr->flow->leader))
            continue;
        if (run->stop_level >= 2 || run->fenced) {
            st = wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
            break;
        }
        st = done ? repeat_step(run, fr, s, &v[i], retry, reterr)
                  : run_step(run, fr, s, &v[i], &receipts, retry, reterr);
    }
    wh_receipts_close(cursor);
    return st;
}

int wh_flow_steps(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                  enum wh_phase phase, struct wh_error *reterr)
{
    struct wh_retry retry = {.of = fr->flow->stream};

    for (;;) {
        int st;

        *reterr = (struct wh_error){0};
        st = have_session(run, fr, s, reterr);
        if (st == WH_OK)
            st = run_steps(run, fr, s, phase, &retry, reterr);
        set_step_session(run, NULL);
        if (st == WH_LOST && *s)
            (*s)->broken = true;
        if (st == WH_OK || run->stop_level >= 2 || !wh_is_away(st, reterr) ||
            !wh_retry_more(run, &retry, st, reterr) || !wh_retry_pause(run, &retry, reterr))
            return st;
    }
}

int wh_flow_set(struct wh_run_flow *fr, enum wh_flow_state state, struct wh_error *reterr)
{
    if (fr->recorded_state == state)
        return WH_OK;
    WH_TRY(wh_state_flow_set(fr->run->state, fr->run->id, fr->run->epoch, fr->flow->index, state,
                             reterr));
    fr->recorded_state = state;
    return WH_OK;
}

static int prepare(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                   struct wh_error *reterr)
{
    if (fr->resumed && fr->recorded_state >= WH_FLOW_MOVING &&
        fr->recorded_state < WH_FLOW_FAILED) { /* prepared by an earlier process */
        bool again = fr->flow->stream->write.on_resume == 1 && !fr->flow->leader &&
                     fr->recorded_state == WH_FLOW_MOVING;

        return again ? wh_flow_steps(run, fr, s, WH_PREPARE, reterr) : WH_OK;
    }
    WH_TRY(wh_flow_set(fr, WH_FLOW_PREPARING, reterr));
    if (!fr->flow->leader) /* else the leader, which stands before it, made what they share */
        WH_TRY(wh_flow_steps(run, fr, s, WH_PREPARE, reterr));
    return wh_flow_set(fr, WH_FLOW_MOVING, reterr);
}

static int publish(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                   struct wh_error *reterr)
{
    if (fr->recorded_state < WH_FLOW_PUBLISHING) {
        WH_TRY(wh_flow_set(fr, WH_FLOW_SETTLING, reterr));
        WH_TRY(wh_flow_steps(run, fr, s, WH_SETTLE, reterr));
        WH_TRY(wh_flow_set(fr, WH_FLOW_PUBLISHING, reterr));
    }
    if (fr->recorded_state < WH_FLOW_PUBLISHED) {
        WH_TRY(wh_flow_steps(run, fr, s, WH_PUBLISH, reterr));
        WH_TRY(wh_flow_set(fr, WH_FLOW_PUBLISHED, reterr));
        wh_kill_point("published");
    }
    return WH_OK;
}

static int finish(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session **s,
                  struct wh_error *reterr)
{
    if (fr->recorded_state >= WH_FLOW_FINISHED)
        return WH_OK;
    return wh_flow_steps(run, fr, s, WH_FINISH, reterr);
}

/* ---- the step lane -----------------------------------------------------------------------------
 */

static int run_job(struct wh_runtime *run, struct wh_run_flow *fr, enum wh_stage stage,
                   struct wh_error *reterr)
{
    struct wh_session *s = NULL;
    int st = stage == WH_AT_PREPARING    ? prepare(run, fr, &s, reterr)
             : stage == WH_AT_PUBLISHING ? publish(run, fr, &s, reterr)
                                         : finish(run, fr, &s, reterr);

    if (s && (st == WH_LOST || st == WH_FENCED))
        s->broken = true;
    wh_session_put(run, s);
    return st;
}

static void *step_main(void *arg)
{
    struct wh_runtime *run = arg;

    pthread_mutex_lock(&run->mutex);
    for (;;) {
        struct wh_error err = {0};
        int st;

        while ((!run->step.fr || run->step.done) && !run->ending)
            pthread_cond_wait(&run->step_work, &run->mutex);
        if (!run->step.fr || run->step.done)
            break;
        pthread_mutex_unlock(&run->mutex);
        st = run_job(run, run->step.fr, run->step.stage, &err);
        pthread_mutex_lock(&run->mutex);
        run->step.status = st;
        run->step.error = err;
        run->step.done = true;
        run->changes++;
        pthread_cond_broadcast(&run->change);
    }
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

int wh_step_lane_start(struct wh_runtime *run, struct wh_error *reterr)
{
    int err = pthread_create(&run->step_thread, NULL, step_main, run);

    if (err)
        return wh_fail_errno(reterr, err, "E8005", "the step lane cannot be started");
    run->has_step_thread = true;
    return WH_OK;
}
