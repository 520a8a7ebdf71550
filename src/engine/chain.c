/* SPDX-License-Identifier: Apache-2.0 */
/* Chained scans: parts of one file that were found by guess, and proved during the run. A part is
 * right when it began where the part before it ended. An end counts as soon as its own part is
 * proved; its commit need not be waited for, since reading it again ends at the same place.
 */
#include "engine/runtime.h"

#include "core/clock.h"

#include <string.h>

static struct wh_chain_end *find(struct wh_run_flow *fr, uint64_t group, uint64_t seq)
{
    struct wh_chain_end *e = fr->ends;

    while (e && (e->group != group || e->seq != seq))
        e = e->next;
    return e;
}

void wh_chain_put(struct wh_run_flow *fr, uint64_t group, uint64_t seq, struct wh_bytes end)
{
    struct wh_runtime *run = fr->run;
    struct wh_chain_end *e;

    pthread_mutex_lock(&run->mutex);
    e = find(fr, group, seq);
    if (!e && (e = wh_calloc(1, sizeof *e))) {
        e->group = group;
        e->seq = seq;
        e->next = fr->ends;
        fr->ends = e;
    }
    if (e) { /* without memory the successor asks the state once the unit is recorded */
        e->n = end.n < sizeof e->end ? end.n : sizeof e->end;
        memcpy(e->end, end.p, e->n);
    }
    /* The end before this one was used by this part and is not needed again. */
    for (struct wh_chain_end **at = &fr->ends; *at; at = &(*at)->next)
        if ((*at)->group == group && (*at)->seq + 2 <= seq) {
            struct wh_chain_end *old = *at;

            *at = old->next;
            wh_free(old);
            break;
        }
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->mutex);
}

/* Whether somebody works on (group, seq) now: under the mutex. */
static bool under_way(struct wh_runtime *run, struct wh_run_flow *fr, uint64_t group, uint64_t seq)
{
    for (int i = 0; i < run->n_lanes; i++)
        if (run->lanes[i].flow == fr && run->lanes[i].unit && run->lanes[i].unit->group == group &&
            run->lanes[i].unit->seq == seq)
            return true;
    return false;
}

static int from_state(struct wh_attempt *at, uint64_t group, uint64_t seq, struct wh_bytes *ret,
                      uint8_t buf[64], struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    struct wh_bytes end = {0};
    int st;

    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "end of a range");
    st = wh_state_chain_end(at->run->state, at->run->id, at->fr->flow->index, group, seq, arena,
                            &end, reterr);
    if (st == WH_OK && end.n > 64)
        st = wh_fail(reterr, WH_E_STATE, "E7003", "a stored end of %zu bytes", end.n);
    if (st == WH_OK) {
        memcpy(buf, end.p, end.n);
        *ret = (struct wh_bytes){buf, end.n};
    }
    return st;
}

int wh_chain_wait(struct wh_attempt *at, struct wh_bytes *ret, uint8_t buf[64],
                  struct wh_error *reterr)
{
    struct wh_runtime *run = at->run;
    uint64_t group = at->unit->group, seq = at->unit->seq - 1;
    struct wh_chain_end *e;
    bool stop;

    pthread_mutex_lock(&run->mutex);
    at->doing = "waits for the range before it";
    while (!(e = find(at->fr, group, seq)) && under_way(run, at->fr, group, seq) &&
           run->stop_level < 2 && !run->fenced && !at->given_up) {
        at->moved_ns = 0; /* the one it waits for is watched */
        pthread_cond_wait(&run->change, &run->mutex);
    }
    at->moved_ns = wh_now_ns(); /* from here on it is watched itself */
    stop = run->stop_level >= 2 || run->fenced || at->given_up;
    if (e) {
        memcpy(buf, e->end, e->n);
        *ret = (struct wh_bytes){buf, e->n};
    }
    pthread_mutex_unlock(&run->mutex);
    if (e)
        return WH_OK;
    if (stop)
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    /* Recorded by an earlier process, or given back: then this one is given back as well. */
    int st = from_state(at, group, seq, ret, buf, reterr);
    return st == WH_E_NOT_FOUND
               ? wh_fail(reterr, WH_E_CANCELLED, "E4013", "the range before it was given back")
               : st;
}
