/* SPDX-License-Identifier: Apache-2.0 */
/* Turns: where a stream bounds its readers and its writers apart, an attempt asks before it opens a
 * session of that side. Reading comes first: whoever has a turn to write has read, or is reading,
 * so that nobody who waits for a turn is waited for by the one who has it. Chained scans, whose
 * ranges wait for each other, take no turns (plan_lanes.c).
 */
#include "engine/runtime.h"

#include "core/clock.h"

static int *taken(struct wh_attempt *at, enum wh_turn what)
{
    return what == WH_TURN_READ ? &at->fr->n_reading : &at->fr->n_writing;
}

static int bound(const struct wh_attempt *at, enum wh_turn what)
{
    return what == WH_TURN_READ ? at->fr->read_cap : at->fr->write_cap;
}

static bool *mine(struct wh_attempt *at, enum wh_turn what)
{
    return what == WH_TURN_READ ? &at->read_turn : &at->write_turn;
}

int wh_turn_take(struct wh_attempt *at, enum wh_turn what, struct wh_error *reterr)
{
    struct wh_runtime *run = at->run;
    bool stop = false;

    if (!bound(at, what) || *mine(at, what))
        return WH_OK;
    pthread_mutex_lock(&run->mutex);
    at->in_line = true; /* the ones that have a turn are watched */
    while (*taken(at, what) >= bound(at, what) && !stop) {
        pthread_cond_wait(&run->change, &run->mutex);
        stop = wh_run_stopping(run) || run->fenced || at->given_up;
    }
    at->in_line = false;
    at->moved_ns = wh_now_ns();
    if (!stop) {
        ++*taken(at, what);
        *mine(at, what) = true;
    }
    pthread_mutex_unlock(&run->mutex);
    return stop ? wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop") : WH_OK;
}

void wh_turn_give(struct wh_attempt *at, enum wh_turn what)
{
    if (!*mine(at, what))
        return;
    pthread_mutex_lock(&at->run->mutex);
    --*taken(at, what);
    *mine(at, what) = false;
    pthread_cond_broadcast(&at->run->change);
    pthread_mutex_unlock(&at->run->mutex);
}
