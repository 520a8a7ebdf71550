/* SPDX-License-Identifier: Apache-2.0 */
/* One try at one unit (CONTRACT 3): reader_open and the first batch come before writer_open, so
 * that no marker or lock is held while a source waits; a unit without rows opens no writer. Writer,
 * reader, sessions are closed in this order, whatever happened.
 */
#include "engine/rebuild.h"

#include "core/clock.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    BLOCKED_PAUSE_MS = 200,
};

/* ---- hooks of the contexts ---------------------------------------------------------------------
 */

static int hook_reject_raw(void *attempt, struct wh_bytes raw, int64_t raw_of, const char *position,
                           int32_t column, const char *code, const char *text)
{
    struct wh_attempt *at = attempt;
    const struct ArrowSchema *schema = &at->fr->flow->source_schema;

    /* As bytes this row passes, so it is not the one that was refused; the search ends at it. */
    if (at->unit->decoded)
        return wh_fail(&at->limit_error, WH_E_LIMIT, "E6001",
                       "the destination refused a row of this unit: %s (which one cannot be told: "
                       "%s has no value that can be looked at: %s)",
                       at->unit->refused ? at->unit->refused : "", position ? position : "a row",
                       text ? text : "");
    at->rows_read++;
    at->dirty_read++;
    at->lane->live.rows_read++;
    /* Kept apart: the reader fills the error that is under way with words of its own. */
    return wh_attempt_dirty(
        at,
        &(struct wh_dirty_row){.position = position ? position : "",
                               .column = column >= 0 && column < schema->n_children
                                             ? schema->children[column]->name
                                             : NULL,
                               .code = code,
                               .text = text ? text : "",
                               .raw = raw,
                               .raw_of = raw_of},
        &at->limit_error);
}

static int hook_skipped(void *attempt, const char *reason, int64_t rows)
{
    struct wh_attempt *at = attempt;
    int i = 0;

    if (rows <= 0)
        return WH_OK;
    while (i < WH_SKIP_REASONS - 1 && at->skipped[i].rows &&
           strcmp(at->skipped[i].reason, reason) != 0)
        i++;
    snprintf(at->skipped[i].reason, sizeof at->skipped[i].reason, "%s", reason);
    at->skipped[i].rows += rows;
    at->rows_skipped += rows;
    at->rows_read += rows;
    at->lane->live.rows_read += rows;
    return WH_OK;
}

/* ---- judging -----------------------------------------------------------------------------------
 */

enum wh_result wh_attempt_judge(struct wh_attempt *at, int st, struct wh_session *s,
                                const struct wh_error *err)
{
    if (st == WH_LOST || st == WH_GONE || (st < 0 && err->scope == WH_SCOPE_SESSION)) {
        if (s)
            s->broken = true;
        if (st == WH_GONE && s) {
            pthread_mutex_lock(&at->run->mutex);
            wh_session_set(at->run, s->ep)->gone = true;
            pthread_mutex_unlock(&at->run->mutex);
        }
    }
    if (st == WH_FENCED)
        return WH_RESULT_FENCED;
    if (at->given_up || at->run->stop_level >= 2)
        return WH_RESULT_BACK;
    if (st == WH_E_CANCELLED || (st == WH_BLOCKED && wh_run_stopping(at->run)))
        return WH_RESULT_BACK;
    if (st == WH_LOST || st == WH_GONE || st == WH_BLOCKED || st == WH_UNKNOWN)
        return WH_RESULT_RETRY;
    return st == WH_E_NOMEM || err->retriable ? WH_RESULT_RETRY : WH_RESULT_FAILED;
}

/* A verb that answers without words of its own. */
static void say_something(struct wh_error *err, int st, const char *side, const char *name)
{
    if (err->code[0])
        return;
    switch (st) {
    case WH_LOST:
        wh_ignore(
            wh_fail(err, WH_LOST, "E2008", "the connection to the %s '%s' is lost", side, name));
        break;
    case WH_GONE:
        wh_ignore(wh_fail(err, WH_GONE, "E4008", "the snapshot of '%s' is gone", name));
        break;
    case WH_FENCED:
        wh_ignore(wh_fail(err, WH_FENCED, "E7010", "a newer process owns this run"));
        break;
    case WH_BLOCKED:
        wh_ignore(wh_fail(err, WH_BLOCKED, "E5010", "'%s' is locked by somebody else", name));
        break;
    case WH_REFUSED:
        wh_ignore(wh_fail(err, WH_REFUSED, "E5011", "the %s '%s' refused rows", side, name));
        break;
    case WH_E_NOMEM:
        wh_ignore(wh_fail(err, st, "E8002", "the %s '%s'", side, name));
        break;
    default:
        wh_ignore(wh_fail(err, st, "E9003", "the %s '%s' answered %s without a reason", side, name,
                          wh_status_name(st)));
    }
}

/* ---- begin and end -----------------------------------------------------------------------------
 */

static bool wants_hash(const struct wh_attempt *at)
{
    return at->run->options->checksum == 0;
}

static int lease(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_run_unit *u = at->unit;
    struct wh_unit_record r = {.flow = at->fr->flow->index,
                               .generation = at->fr->fence.generation,
                               .unit = u->id,
                               .attempt = at->number,
                               .label = u->label,
                               .splits = u->splits,
                               .instant = u->instant};

    wh_kill_point("lease-before");
    WH_TRY(wh_state_unit_lease(at->run->state, at->run->id, at->run->epoch, &r, reterr));
    u->attempt = at->number;
    wh_kill_point("lease-after");
    return WH_OK;
}

/* The lane keeps its transform from unit to unit of one flow. */
static int lane_transform(struct wh_lane *lane, struct wh_run_flow *fr, struct wh_error *reterr)
{
    if (lane->transform_flow == fr)
        return WH_OK;
    wh_transform_free(lane->transform);
    lane->transform = NULL;
    lane->transform_flow = NULL;
    WH_TRY(wh_transform_new(fr->flow, &lane->transform, reterr));
    lane->transform_flow = fr;
    return WH_OK;
}

static void live_clear(struct wh_live *live)
{
    live->rows_read = live->rows_written = live->rows_dirty = 0;
    live->bytes_read = live->bytes_written = 0;
}

static int begin(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_run_flow *fr = at->fr;
    const struct wh_flow *flow = fr->flow;
    const struct wh_stream *s = flow->stream;

    at->source = flow->from->connector->source;
    at->sink = flow->to->connector->sink;
    at->number = at->unit->attempt + 1;
    at->fused = flow->fused;
    at->careful = at->unit->careful || s->dirty_rows > 0 || s->dirty_ratio > 0;
    at->hash_rows = wants_hash(at);
    at->hash_frames = at->run->options->checksum != 2;
    at->limit_left = fr->limit_left;
    at->rest = WH_BUF(64 << 10);
    at->open_tail = &at->open_head;
    at->again_tail = &at->again_head;
    at->hooks = (struct wh_attempt_hooks){.attempt = at,
                                          .wake_fd = at->lane->wake_fd,
                                          .reject_raw = hook_reject_raw,
                                          .skipped = hook_skipped};
    wh_ctx_attempt(flow->from, &at->hooks, &at->read_self, &at->read_ctx);
    at->read_ctx.decoded = at->unit->decoded;
    wh_ctx_attempt(flow->to, &at->hooks, &at->write_self, &at->write_ctx);
    WH_TRY(wh_splits_decode(at->unit->splits, &at->splits, reterr));
    WH_TRY(lane_transform(at->lane, fr, reterr));
    at->transform = at->lane->transform;
    struct wh_dirty_of of = {.run = at->run->id,
                             .flow = flow->index,
                             .generation = fr->fence.generation,
                             .unit = at->unit->id,
                             .attempt = at->number};
    WH_TRY(wh_dirty_new(at->run->services->state_dir, &of, s->name, flow->table, &at->archive,
                        reterr));
    wh_dirty_outside(at->archive, &s->dirty_archive);
    return lease(at, reterr);
}

static void close_writer(struct wh_attempt *at)
{
    if (at->wr_open && at->sink->writer_close)
        at->sink->writer_close(at->wr);
    at->wr_open = false;
    wh_free(at->wr);
    at->wr = NULL;
}

static void close_reader(struct wh_attempt *at)
{
    if (at->rd_open && at->source->reader_close)
        at->source->reader_close(at->rd);
    at->rd_open = false;
    wh_free(TAKE_PTR(at->rd));
}

/* All rows are here: somebody else may read while they are written and committed. */
static void reading_over(struct wh_attempt *at)
{
    if (!at->read_turn)
        return;
    close_reader(at);
    at->reading = "has given all its rows";
    if (at->source->acknowledge) /* it is told in this session */
        return;
    wh_attempt_give_session(at, &at->rs);
    wh_turn_give(at, WH_TURN_READ);
}

static void end(struct wh_attempt *at)
{
    close_writer(at);
    wh_attempt_drop_pieces(at);
    close_reader(at);
    at->doing = at->reading = NULL;
    wh_attempt_give_session(at, &at->ws);
    wh_attempt_give_session(at, &at->rs);
    wh_turn_give(at, WH_TURN_WRITE);
    wh_turn_give(at, WH_TURN_READ);
    wh_dirty_close(at->archive, at->keep_archive);
    wh_splits_free(&at->splits);
    wh_buf_free(&at->rest);
    wh_bytes_free(&at->end);
    wh_bytes_free(&at->done_token);
    wh_free(at->write_views);
}

/* ---- the first batch ---------------------------------------------------------------------------
 */

/* The keeper interrupts an attempt's sessions under the mutex: there they come and go. */
static int take_session(struct wh_attempt *at, struct wh_endpoint *ep, enum wh_use use,
                        struct wh_session **place, struct wh_error *reterr)
{
    struct wh_session *s = NULL;

    WH_TRY(wh_session_get(at->run, ep, use, &s, reterr));
    pthread_mutex_lock(&at->run->mutex);
    *place = s;
    pthread_mutex_unlock(&at->run->mutex);
    return WH_OK;
}

void wh_attempt_give_session(struct wh_attempt *at, struct wh_session **place)
{
    struct wh_session *s;

    pthread_mutex_lock(&at->run->mutex);
    s = TAKE_PTR(*place);
    pthread_mutex_unlock(&at->run->mutex);
    wh_session_put(at->run, s);
}

/* The reader is under way from here on: in its thread, or drawn by this one when fused. */
static int start_reader(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_lane *lane = at->lane;

    at->reading = "waits for its turn to read";
    WH_TRY(wh_turn_take(at, WH_TURN_READ, reterr));
    at->reading = "waits for a session";
    WH_TRY(take_session(at, at->fr->flow->from, WH_READ, &at->rs, reterr));
    at->started_ns = wh_now_ns();
    at->moved_ns = at->started_ns;
    if (at->fused)
        return WH_OK;
    WH_TRY(wh_lane_reader_start(lane, reterr));
    wh_queue_reset(&lane->queue, WH_QUEUE_BYTES);
    pthread_mutex_lock(&at->run->mutex);
    lane->read_job = at;
    pthread_cond_broadcast(&lane->work);
    pthread_mutex_unlock(&at->run->mutex);
    return WH_OK;
}

static int next_item(struct wh_attempt *at, struct wh_item **ret)
{
    int st;

    if (at->wr_open)
        at->doing = "waits for rows";
    if (!at->fused)
        return wh_queue_pop(&at->lane->queue, ret);
    st = wh_attempt_pull(at, ret, &at->read_error);
    at->read_status = st;
    return st;
}

/* The reader's thread has let go of the attempt. */
static void stop_reader(struct wh_attempt *at, bool cancel)
{
    if (at->fused || !at->rs)
        return;
    if (cancel) {
        at->hooks.cancelled = true;
        wh_lane_wake(at->lane);
        wh_queue_cancel(&at->lane->queue);
    }
    wh_queue_join(&at->lane->queue);
    if (cancel && !at->given_up) {
        wh_lane_drain(at->lane);
        at->hooks.cancelled = false;
    }
}

/* ---- the writer --------------------------------------------------------------------------------
 */

/* Somebody holds what the marker needs. Mostly it is ourselves: a zombie of an older epoch, or the
 * twin of a lost session. Ended where we may, then tried again within the lock timeout. */
static int unblock(struct wh_attempt *at, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = at->fr->flow->to->connector->endpoint;
    struct wh_str ident = {at->unit->ident, strlen(at->unit->ident)};
    struct wh_session *s = NULL;
    int st;

    if (!ops->evict)
        return WH_OK;
    st = wh_session_get(at->run, at->fr->flow->to, WH_CONTROL, &s, reterr);
    if (st == WH_OK && ident.n)
        st = ops->evict(at->fr->flow->to->ep, s->mem, &at->fr->fence, &ident, reterr);
    if (st == WH_OK)
        st = ops->evict(at->fr->flow->to->ep, s->mem, &at->fr->fence, NULL, reterr);
    if (s && st == WH_LOST)
        s->broken = true;
    wh_session_put(at->run, s);
    return st;
}

static int open_once(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_run_unit *u = at->unit;
    struct wh_unit unit = {.id = u->id,
                           .flow = (uint32_t)at->fr->flow->index,
                           .generation = at->fr->fence.generation,
                           .attempt = at->number,
                           .careful = at->careful,
                           .est_rows = u->est_rows,
                           .est_bytes = u->est_bytes};
    size_t size = at->sink->wr_size;
    struct wh_buf seed WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);

    snprintf(unit.label, sizeof unit.label, "%s", u->label);
    if (!at->ws) {
        at->doing = "waits for its turn to write";
        WH_TRY(wh_turn_take(at, WH_TURN_WRITE, reterr));
        at->doing = "waits for a session";
        WH_TRY(take_session(at, at->fr->flow->to, WH_WRITE, &at->ws, reterr));
    }
    at->wr = wh_calloc(1, size ? size : 1);
    if (!at->wr)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "writer");
    if (at->fr->flow->to->connector->endpoint->recall && wh_seed_encode(u, &seed) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "seed of a unit");
    unit.seed = (struct wh_bytes){seed.p, seed.n};
    at->wr_open = true;
    at->doing = "opens the writer";
    return at->sink->writer_open(at->wr, at->fr->flow->fl, at->ws->mem, &at->write_ctx, &unit,
                                 &at->fr->fence, reterr);
}

static int open_writer(struct wh_attempt *at, struct wh_error *reterr)
{
    int64_t lock_ms = at->run->options->timeouts.lock;
    int64_t deadline = wh_now_ns() + (lock_ms > 0 ? lock_ms : 30000) * 1000000;

    for (;;) {
        struct wh_error why = {0};
        int st = open_once(at, &why);

        if (st != WH_OK)
            close_writer(at);
        if (st == WH_BLOCKED && wh_now_ns() < deadline && !at->given_up &&
            !wh_run_stopping(at->run)) {
            int ended = unblock(at, reterr);

            if (ended == WH_BLOCKED) { /* no right to end it */
                reterr->retriable = false;
                snprintf(reterr->code, sizeof reterr->code, "E7006");
                return WH_E_AUTH;
            }
            if (wh_run_pause(at->run, (int64_t)BLOCKED_PAUSE_MS * 1000000, at))
                continue;
        }
        if (st != WH_OK && reterr)
            *reterr = why;
        return st;
    }
}

/* ---- the whole of it ---------------------------------------------------------------------------
 */

static enum wh_result read_failed(struct wh_attempt *at, int st)
{
    enum wh_result r;

    at->error = at->read_error;
    say_something(&at->error, st, "source", at->fr->flow->from->name);
    /* A part that began in the middle of a row reads nonsense: that is not the source's fault. */
    if (at->rd_open && st < 0 && st != WH_E_CANCELLED && !at->given_up) {
        struct wh_error err = {0};

        r = wh_attempt_prove(at, &err);
        if (r == WH_RESULT_AGAIN) {
            at->keep_archive = false;
            return r;
        }
        if (r == WH_RESULT_BACK || r == WH_RESULT_FENCED) {
            at->error = err;
            return r;
        }
    }
    return wh_attempt_judge(at, st, at->rs, &at->error);
}

static enum wh_result write_failed(struct wh_attempt *at, int st)
{
    say_something(&at->error, st, "destination", at->fr->flow->to->name);
    if (st == WH_REFUSED && (!at->careful || at->finding)) {
        wh_attempt_careful(at, &at->error);
        return WH_RESULT_AGAIN;
    }
    return wh_attempt_judge(at, st, at->ws, &at->error);
}

/* A dirty row on the writer's side of a chained part: first it has to be a row at all. */
static enum wh_result too_dirty(struct wh_attempt *at, int st)
{
    enum wh_result r = WH_RESULT_DONE;
    struct wh_error err = {0};

    if (st == WH_E_LIMIT && at->rd_open)
        r = wh_attempt_prove(at, &err);
    if (r == WH_RESULT_AGAIN) {
        at->keep_archive = false;
        return r;
    }
    return write_failed(at, st);
}

static enum wh_result move_rows(struct wh_attempt *at)
{
    struct wh_item *item = NULL;
    int st, opened;

    while ((st = next_item(at, &item)) == WH_OK) {
        if (!at->wr_open) {
            opened = open_writer(at, &at->error);
            if (opened != WH_OK) {
                wh_item_free(item);
                stop_reader(at, true);
                if (opened == WH_TWIN) { /* our own marker: what became of it? */
                    enum wh_result r = wh_unit_lookup(at->run, at->fr, at->unit, &at->error);

                    if (r == WH_RESULT_RETRY)
                        wh_ignore(wh_fail(&at->error, WH_TWIN, "E5010",
                                          "another attempt at this unit is under way"));
                    return r;
                }
                return write_failed(at, opened);
            }
            wh_kill_point("writer-opened");
        }
        st = wh_attempt_write(at, item, &at->error);
        at->moved_ns = wh_now_ns();
        if (st != WH_OK) {
            stop_reader(at, true);
            return too_dirty(at, st);
        }
    }
    stop_reader(at, false);
    if (st != WH_END) {
        if (at->read_status == WH_END || at->read_status == WH_OK)
            wh_ignore(wh_fail(&at->read_error, st, "E7015", "asked to stop"));
        return read_failed(at, st);
    }
    reading_over(at);
    st = at->wr_open ? wh_attempt_settle(at, &at->error) : WH_OK;
    return st == WH_OK ? wh_attempt_commit(at, &at->error) : too_dirty(at, st);
}

static void set_current(struct wh_lane *lane, struct wh_attempt *at)
{
    pthread_mutex_lock(&lane->run->mutex);
    lane->attempt = at;
    if (at && wh_run_stopping(lane->run))
        at->cut_asked = true;
    pthread_mutex_unlock(&lane->run->mutex);
    if (!at) {
        wh_lane_drain(lane);
        live_clear(&lane->live);
    }
}

enum wh_result wh_attempt_run(struct wh_lane *lane, struct wh_run_flow *fr,
                              struct wh_run_unit *unit, struct wh_error *reterr)
{
    struct wh_attempt *at = wh_calloc(1, sizeof *at);
    enum wh_result r;
    int st;

    if (!at) {
        wh_ignore(wh_fail(reterr, WH_E_NOMEM, "E8002", "attempt"));
        return WH_RESULT_RETRY;
    }
    at->run = lane->run;
    at->fr = fr;
    at->unit = unit;
    at->lane = lane;
    at->moved_ns = wh_now_ns();
    st = begin(at, &at->error);
    if (st == WH_OK) {
        set_current(lane, at);
        st = start_reader(at, &at->error);
        if (st != WH_OK)
            say_something(&at->error, st, "source", fr->flow->from->name);
    }
    r = st == WH_OK ? move_rows(at) : wh_attempt_judge(at, st, NULL, &at->error);
    set_current(lane, NULL);
    *reterr = at->error;
    end(at);
    wh_free(at);
    return r;
}
