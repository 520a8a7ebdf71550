/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog: who waits for whom when nothing moves, and the end of a run whose connectors do not
 * come back. The keeper calls it; nothing here speaks to a server.
 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/errors.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum {
    MS = 1000000,
    SECOND = 1000000000,
    LEAVE_LATER_MS = 3000,
};

void wh_watch_begin(struct wh_runtime *run, struct wh_watch *w, const char *doing,
                    const struct wh_endpoint *ep, void *se)
{
    pthread_mutex_lock(&run->mutex);
    *w = (struct wh_watch){.doing = doing, .ep = ep, .se = se, .since_ns = wh_now_ns()};
    pthread_mutex_unlock(&run->mutex);
}

void wh_watch_end(struct wh_runtime *run, struct wh_watch *w)
{
    pthread_mutex_lock(&run->mutex);
    w->doing = NULL;
    pthread_mutex_unlock(&run->mutex);
}

/* mutex held */
static void stuck(struct wh_runtime *run, int64_t now)
{
    run->stuck = run->halted = true;
    run->stopped_ns = now;
}

/* What lies between the two sides: it tells which one waits. */
static void queue_text(struct wh_lane *lane, char *out, size_t n)
{
    int64_t bytes;

    pthread_mutex_lock(&lane->queue.mutex);
    bytes = lane->queue.bytes;
    pthread_mutex_unlock(&lane->queue.mutex);
    if (bytes > 0)
        snprintf(out, n, "%" PRId64 " kB are queued", (bytes + 1023) / 1024);
    else
        snprintf(out, n, "the queue is empty");
}

/* ---- a server that works ----------------------------------------------------------------------
 */

/* A session that may be at work for an attempt; copies, since the attempt may end meanwhile. */
struct asked {
    struct wh_endpoint *ep;
    char ident[96];
};

/* Who is to be asked about: both sessions of an attempt that has not moved for half of the time. */
static int who_rests(struct wh_runtime *run, struct wh_lane *lane, int64_t now, struct asked v[2],
                     struct wh_run_flow **ret_flow, int64_t *ret_unit, int32_t *ret_attempt)
{
    int64_t ms = run->options->timeouts.no_progress;
    struct wh_attempt *at;
    int n = 0;

    pthread_mutex_lock(&run->mutex);
    at = lane->attempt;
    if (at && ms > 0 && !at->in_line && at->moved_ns && now - at->moved_ns >= ms * MS / 2 &&
        now - at->worked_ns >= ms * MS / 2 && !run->stuck && !wh_run_stopping(run)) {
        const struct wh_session *s[] = {at->ws, at->rs};

        for (int i = 0; i < 2; i++)
            if (s[i] && s[i]->open && !s[i]->broken && s[i]->ident[0] &&
                s[i]->ep->connector->endpoint->working) {
                v[n].ep = s[i]->ep;
                memcpy(v[n++].ident, s[i]->ident, sizeof v->ident);
            }
        *ret_flow = at->fr;
        *ret_unit = at->unit->id;
        *ret_attempt = at->number;
    }
    pthread_mutex_unlock(&run->mutex);
    return n;
}

static bool works(struct wh_runtime *run, struct asked *a, char *words, size_t n)
{
    struct wh_str ident = {a->ident, strlen(a->ident)};
    struct wh_error err = {0};
    void *se = NULL;
    int st = wh_endpoint_control(a->ep, &se, &err);

    if (st == WH_OK) {
        wh_watch_begin(run, &run->control_watch, "asks what works at", a->ep, se);
        st = a->ep->connector->endpoint->working(a->ep->ep, se, &ident, words, n, &err);
        wh_watch_end(run, &run->control_watch);
    }
    if (st == WH_LOST)
        wh_endpoint_control_lost(a->ep);
    if (st < 0 || st == WH_LOST)
        wh_log(WH_LOG_WARN, "engine", "%s: %s", a->ep->name, err.message);
    return st == WH_OK;
}

/* It is waited for; said once per `no_progress`. */
static void excuse(struct wh_runtime *run, struct wh_lane *lane, struct wh_run_flow *fr,
                   int64_t unit, int32_t attempt, const char *name, const char *words)
{
    int64_t now = wh_now_ns(), since = 0;
    struct wh_attempt *at;

    pthread_mutex_lock(&run->mutex);
    at = lane->attempt;
    if (at && at->fr == fr && at->unit->id == unit && at->number == attempt) {
        at->worked_ns = now;
        if (now - at->told_ns >= run->options->timeouts.no_progress * MS) {
            at->told_ns = now;
            since = now - at->moved_ns;
        }
    }
    pthread_mutex_unlock(&run->mutex);
    if (since)
        wh_note(run, WH_EV_WARNING, fr, unit, attempt, NULL,
                "unit %" PRId64 " has not moved for %" PRId64 " s; '%s' works at it and is waited "
                "for: %s",
                unit, since / SECOND, name, words);
}

void wh_watch_ask(struct wh_runtime *run, int64_t now)
{
    for (int i = 0; i < run->n_lanes; i++) {
        struct wh_run_flow *fr = NULL;
        struct asked v[2];
        int64_t unit = 0;
        int32_t attempt = 0;
        char words[160];
        int n = who_rests(run, &run->lanes[i], now, v, &fr, &unit, &attempt);

        for (int k = 0; k < n; k++)
            if (works(run, &v[k], words, sizeof words)) {
                excuse(run, &run->lanes[i], fr, unit, attempt, v[k].ep->name, words);
                break;
            }
    }
}

/* ---- who does not move -------------------------------------------------------------------------
 */

void wh_watch_lane(struct wh_runtime *run, struct wh_lane *lane, int64_t now)
{
    struct wh_attempt *at = lane->attempt;
    int64_t ms = run->options->timeouts.no_progress;
    int64_t moved = at ? at->moved_ns : 0;
    const char *reading, *writing;
    char queue[48];

    if (!at || ms <= 0 || at->in_line || !moved || now - moved < ms * MS ||
        now - at->worked_ns < ms * MS || run->stuck)
        return;
    reading = at->reading;
    writing = at->doing;
    queue_text(lane, queue, sizeof queue);
    wh_ignore(wh_fail(&run->stop_error, WH_E_REMOTE, "E4010",
                      "unit %" PRId64 " of %s has not moved for %" PRId64
                      " s: source '%s' %s; %s; destination '%s' %s",
                      at->unit->id, at->fr->flow->table, (now - moved) / SECOND,
                      at->fr->flow->from->name, reading ? reading : "is not asked for rows", queue,
                      at->fr->flow->to->name, writing ? writing : "has not been opened"));
    wh_error_hint(&run->stop_error,
                  "wherry resume %s goes on; run.timeouts.no_progress says how long is too long",
                  run->id);
    stuck(run, now);
}

static void interrupt_control(struct wh_runtime *run)
{
    const struct wh_watch *w = &run->control_watch;

    /* Whoever closes that session ends the watch first, and needs the mutex for it. */
    if (w->doing && w->se && w->ep->connector->endpoint->interrupt)
        w->ep->connector->endpoint->interrupt(w->se);
}

void wh_watch_control(struct wh_runtime *run, int64_t now)
{
    struct wh_watch *w = &run->control_watch;
    int64_t ms = run->options->timeouts.no_progress;

    if (w->doing && ms > 0 && now - w->since_ns >= ms * MS && !run->stuck) {
        wh_ignore(wh_fail(&run->stop_error, WH_E_REMOTE, "E4010",
                          "no answer for %" PRId64 " s: run %s %s '%s'",
                          (now - w->since_ns) / SECOND, run->id, w->doing, w->ep->name));
        stuck(run, now);
    }
    if (wh_run_stopping(run) && w->doing && !w->told &&
        (run->stuck || run->stop_level >= 2 || run->fenced ||
         now - run->stopped_ns > (int64_t)WH_STOP_AFTER_MS * MS)) {
        w->told = 1;
        interrupt_control(run);
    }
}

/* Longer than timeouts.statement allows, where that was said: behind a network that swallows
 * everything nothing else would ever end it. */
static bool step_too_long(struct wh_runtime *run, const struct wh_watch *w, int64_t now)
{
    int64_t ms = run->options->timeouts.statement;

    if (!w->doing || ms <= 0 || now - w->since_ns < ms * MS || run->stuck)
        return false;
    wh_ignore(wh_fail(&run->stop_error, WH_E_REMOTE, "E4010",
                      "'%s' has been at work for %" PRId64 " s: %s; longer than timeouts.statement",
                      w->ep->name, (now - w->since_ns) / SECOND, w->doing));
    wh_error_hint(&run->stop_error, "wherry resume %s looks whether it was done, and goes on",
                  run->id);
    stuck(run, now);
    return true;
}

/* A step may take as long as the server needs (an index, a merge), but not in silence. */
void wh_watch_step(struct wh_runtime *run, int64_t now, char *ret_said, size_t n)
{
    struct wh_watch *w = &run->step_watch;
    int64_t ms = run->options->timeouts.no_progress;

    ret_said[0] = 0;
    if (step_too_long(run, w, now))
        return;
    if (!w->doing || ms <= 0 || now - w->since_ns < ms * MS * (w->told + 1))
        return;
    w->told++;
    snprintf(ret_said, n, "'%s' has been at work for %" PRId64 " s: %s; it is waited for",
             w->ep->name, (now - w->since_ns) / SECOND, w->doing);
}

bool wh_run_abandons(const struct wh_runtime *run)
{
    return run->stopped_ns && wh_now_ns() - run->stopped_ns > run->abandon_ms * MS;
}

/* The management thread itself does not come back from a verb: what is known is in the state
 * already, but how it ended is not. */
void wh_run_leave(struct wh_runtime *run, int64_t now)
{
    struct wh_run_record end = {.run = run->id, .exit_code = 5, .ended_us = wh_wall_us()};
    struct wh_error err = {0};
    char said[sizeof run->stop_error.message + 80];
    bool leave;

    pthread_mutex_lock(&run->mutex);
    leave = run->stopped_ns && now - run->stopped_ns > (run->abandon_ms + LEAVE_LATER_MS) * MS &&
            (run->control_watch.doing || run->step_watch.doing);
    if (leave) {
        const struct wh_watch *w =
            run->control_watch.doing ? &run->control_watch : &run->step_watch;

        snprintf(said, sizeof said, "%s%s'%s' does not come back (%s): left without it",
                 run->stop_error.message, run->stop_error.message[0] ? "; " : "", w->ep->name,
                 w->doing);
        if (run->fenced)
            end.exit_code = 10;
        else if (!run->stuck && run->stop_signal)
            end.exit_code = 128 + run->stop_signal;
    }
    pthread_mutex_unlock(&run->mutex);
    if (!leave)
        return;
    if (run->epoch && !run->fenced) {
        wh_ignore(wh_state_run_end(run->state, &end, run->epoch, &err));
        wh_ignore(wh_state_sync(run->state, &err));
    }
    wh_log(WH_LOG_ERROR, "engine", "run %s: %s; wherry resume %s goes on", run->id, said, run->id);
    _exit(end.exit_code);
}
