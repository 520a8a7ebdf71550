/* SPDX-License-Identifier: Apache-2.0 */
/* The keeper: a thread that never touches a server, so that it always answers. It beats in the
 * state, sees stop requests, limits changed by `limit RUN`, the longest duration, memory, and
 * attempts that no longer move; it cuts, and where that is not answered, interrupts.
 */
#include "engine/runtime.h"
#include "engine/zone.h"

#include "core/clock.h"
#include "core/log.h"

#include <errno.h>
#include <inttypes.h>
#include <malloc.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    LOOK_MS = 250,
    MS = 1000000,
};

/* ---- stop requests -----------------------------------------------------------------------------
 */

/* One run at a time per process; the handler only stores and writes. */
static _Atomic int stop_level, stop_signal;
static _Atomic int stop_fd = -1;
static _Atomic int64_t stop_ns; /* when a stop was asked for; 0 = it was not */

static void poke(int fd)
{
    uint64_t one = 1;
    ssize_t n = fd >= 0 ? write(fd, &one, sizeof one) : 0;

    (void)n; /* a full counter is readable as well */
}

void wh_run_stop(int level, int signal_number)
{
    int saved = errno;

    if (signal_number) /* before the level: who sees that one asks which it was */
        atomic_store(&stop_signal, signal_number);
    if (level > atomic_load(&stop_level))
        atomic_store(&stop_level, level);
    if (!atomic_load(&stop_ns))
        atomic_store(&stop_ns, wh_now_ns());
    poke(atomic_load(&stop_fd));
    errno = saved;
}

bool wh_run_is_kept(void)
{
    return atomic_load(&stop_fd) >= 0;
}

bool wh_run_hurried(void)
{
    int64_t since = atomic_load_explicit(&stop_ns, memory_order_relaxed);

    return since && wh_now_ns() - since > (int64_t)WH_HURRY_AFTER_MS * MS;
}

void wh_run_wake(struct wh_runtime *run)
{
    pthread_mutex_lock(&run->mutex);
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->mutex);
}

void wh_run_fenced(struct wh_runtime *run, const struct wh_error *err)
{
    pthread_mutex_lock(&run->mutex);
    if (!run->fenced) {
        run->stop_error = *err;
        if (!run->stop_error.code[0])
            wh_ignore(wh_fail(&run->stop_error, WH_FENCED, "E7010", "a newer process owns run %s",
                              run->id));
        run->fenced = true;
    }
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->mutex);
    poke(atomic_load(&stop_fd));
}

bool wh_run_pause(struct wh_runtime *run, int64_t ns, struct wh_attempt *at)
{
    int64_t until = wh_now_ns() + ns;
    struct timespec ts = {.tv_sec = until / 1000000000, .tv_nsec = until % 1000000000};
    unsigned changes;
    bool stop;

    pthread_mutex_lock(&run->mutex);
    changes = run->limits_changes;
    for (;;) {
        stop =
            run->stop_level >= 2 || run->fenced || (at ? (bool)at->given_up : wh_run_stopping(run));
        if (stop || (at && (at->cut_asked || changes != run->limits_changes)) ||
            wh_now_ns() >= until) /* another pace: what was owed to the old one is forgotten */
            break;
        pthread_cond_timedwait(&run->change, &run->mutex, &ts);
    }
    if (at)
        at->moved_ns = wh_now_ns(); /* a pause is no lack of progress */
    pthread_mutex_unlock(&run->mutex);
    return !stop;
}

/* ---- attempts ----------------------------------------------------------------------------------
 */

/* mutex held: the attempt cannot end meanwhile. */
static void give_up(struct wh_lane *lane, struct wh_attempt *at)
{
    if (at->given_up)
        return;
    at->given_up = true;
    at->hooks.cancelled = true;
    wh_lane_wake(lane);
    wh_queue_cancel(&lane->queue);
}

static void interrupt_locked(struct wh_session *s)
{
    if (s && s->open && !s->closing && s->ep->connector->endpoint->interrupt) {
        s->broken = true;
        s->ep->connector->endpoint->interrupt(s->mem);
    }
}

/* A stop is under way: first the reader is asked to cut, then whoever does not answer loses its
 * session, then the attempt is given up. */
static void press(struct wh_runtime *run, struct wh_lane *lane, int64_t now)
{
    struct wh_attempt *at = lane->attempt;
    int64_t since = now - run->stopped_ns;
    bool hard = run->stop_level >= 2 || run->fenced || run->stuck;

    if (!at)
        return;
    at->cut_asked = true;
    if (hard || since > (int64_t)WH_STOP_AFTER_MS * MS) {
        give_up(lane, at);
        interrupt_locked(at->rs);
        interrupt_locked(at->ws);
    } else if (since > (int64_t)WH_INTERRUPT_AFTER_MS * MS && !at->answered &&
               !at->interrupted_ns) {
        at->interrupted_ns = now;
        give_up(lane, at);
        interrupt_locked(at->rs);
    }
}

/* Whoever connects for long while a stop is under way has nothing that could be saved. */
static void interrupt_opening(struct wh_runtime *run, int64_t now)
{
    int64_t before = now - (int64_t)WH_INTERRUPT_AFTER_MS * MS;

    if (run->stop_level >= 2 || run->fenced)
        before = now;
    for (size_t i = 0; i < run->plan->n_endpoints; i++) {
        const struct wh_session_set *set = &run->sessions[i];

        for (int use = 0; use < WH_USES; use++)
            for (struct wh_session *s = set->list[use]; s; s = s->next)
                if (s->opening_ns && s->opening_ns <= before && !s->broken)
                    interrupt_locked(s);
    }
}

static void look_at_lanes(struct wh_runtime *run, int64_t now)
{
    bool stopping = wh_run_stopping(run);

    for (int i = 0; i < run->n_lanes; i++) {
        wh_watch_lane(run, &run->lanes[i], now);
        if (stopping || run->stuck)
            press(run, &run->lanes[i], now);
    }
    if (stopping) {
        interrupt_opening(run, now);
        wh_run_compare_stop(run);
    }
    if (stopping && (run->stop_level >= 2 || run->fenced || run->stuck ||
                     now - run->stopped_ns > (int64_t)WH_STOP_AFTER_MS * MS))
        interrupt_locked(run->step_session);
    if (stopping && (run->stop_level >= 2 || run->fenced))
        wh_services_stop(run->services);
}

/* A process that was stopped for long may have been taken over; where the destination fences by
 * itself this costs nothing, and elsewhere it closes the window. */
bool wh_run_still_ours(struct wh_runtime *run)
{
    struct wh_error err = {0};

    if (run->fenced)
        return false;
    if (wh_now_ns() - run->beaten_ns < 2 * run->beat_ms * MS)
        return true;
    if (wh_state_run_beat(run->state, run->id, run->epoch, NULL, NULL, NULL, &err) != WH_FENCED) {
        run->beaten_ns = wh_now_ns();
        return true;
    }
    wh_run_fenced(run, &err);
    return false;
}

/* ---- the round ---------------------------------------------------------------------------------
 */

static void see_stop(struct wh_runtime *run, int64_t now)
{
    int level = atomic_load(&stop_level);
    int64_t most = run->options->max_duration_ms;

    if (atomic_load(&stop_signal))
        run->stop_signal = atomic_load(&stop_signal);
    if (level > run->stop_level)
        run->stop_level = level;
    if (most > 0 && now - run->started_ns > most * MS)
        run->over_time = true;
    if (wh_run_stopping(run) && !run->stopped_ns)
        run->stopped_ns = now;
    if (run->stopped_ns && !atomic_load(&stop_ns))
        atomic_store(&stop_ns, run->stopped_ns);
}

static void see_limits(struct wh_runtime *run, const char *json)
{
    if (!json || (run->last_limits && strcmp(json, run->last_limits) == 0))
        return;
    wh_free(run->last_limits);
    run->last_limits = wh_strdup(json);
    if (!wh_limits_change(&run->limits, json))
        wh_log(WH_LOG_WARN, "engine", "the limits given to run %s cannot be read: %s", run->id,
               json);
    pthread_mutex_lock(&run->mutex);
    run->limits_changes++;
    pthread_cond_broadcast(&run->change);
    pthread_mutex_unlock(&run->mutex);
}

/* Own connection to the state, own arena; a busy state is tried again at the next beat. */
static void beat(struct wh_runtime *run)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    struct wh_error err = {0};
    const char *limits = NULL;
    int cancel = 0, st;

    if (!arena)
        return;
    st = wh_state_run_beat(run->state, run->id, run->epoch, arena, &limits, &cancel, &err);
    if (st == WH_FENCED) {
        wh_run_fenced(run, &err);
        return;
    }
    if (st != WH_OK) {
        wh_log(WH_LOG_WARN, "engine", "no sign of life in the state: %s", err.message);
        return;
    }
    run->beaten_ns = wh_now_ns();
    see_limits(run, limits);
    if (cancel) {
        run->discard_asked = cancel == 2;
        if (run->stop_level < 1)
            run->stop_level = 1;
    }
}

/* mutex held */
static bool attempts_under_way(const struct wh_runtime *run)
{
    for (int i = 0; i < run->n_lanes; i++)
        if (run->lanes[i].attempt)
            return true;
    return false;
}

/* The readers pause while memory is over its ceiling. Where that does not help, to go on would mean
 * a batch now and then: what was read is committed, and the run says why it ends. */
static void memory_stays_over(struct wh_runtime *run, int64_t now)
{
    long long mb = 1000000;

    pthread_mutex_lock(&run->mutex);
    if (!wh_run_stopping(run) && attempts_under_way(run)) {
        wh_ignore(wh_fail(&run->stop_error, WH_E_LIMIT, "E8001",
                          "resident memory is %lld MB and has been over --memory %lld MB for "
                          "%.1f s, although the readers paused",
                          run->limits.resident / mb, run->limits.memory / mb,
                          (double)(now - run->over_since_ns) * 1e-9));
        wh_error_hint(&run->stop_error, "wherry resume %s with a larger --memory or a lower -j",
                      run->id);
        run->over_memory = true;
    }
    pthread_mutex_unlock(&run->mutex);
}

static void see_memory(struct wh_runtime *run, int64_t now)
{
    run->limits.resident = wh_mem_rss();
    if (wh_limits_pressure(&run->limits) != WH_MEMORY_OVER) {
        run->over_since_ns = 0;
    } else if (!run->over_since_ns) {
        run->over_since_ns = now;
        malloc_trim(0);
    } else if (now - run->over_since_ns > run->memory_ms * MS) {
        memory_stays_over(run, now);
    }
}

void wh_limits_see_clock(struct wh_runtime *run)
{
    struct wh_civil c;

    if (!run->zone)
        return;
    c = wh_zone_civil(run->zone, wh_wall_us());
    if (!wh_limits_clock(&run->limits, c.hour * 60 + c.minute))
        return;
    if (run->limits.closed)
        wh_note(
            run, WH_EV_WARNING, NULL, 0, 0, NULL,
            "run.limits.rate says pause: units under way are ended, none is begun until %02d:%02d",
            run->limits.window->to / 60 % 24, run->limits.window->to % 60);
    pthread_mutex_lock(&run->mutex);
    run->limits_changes++;
    pthread_mutex_unlock(&run->mutex);
}

static void *keeper_main(void *arg)
{
    struct wh_runtime *run = arg;
    /* What `limit` said to a run that was not running holds from its first moment on. */
    int64_t next_beat = wh_now_ns() + (run->start->resume ? 0 : run->beat_ms * MS);
    bool ending = false;

    while (!ending) {
        struct pollfd p = {.fd = stop_fd, .events = POLLIN};
        uint64_t count;
        int64_t now;
        char said[400];

        if (poll(&p, 1, run->beat_ms < LOOK_MS ? (int)run->beat_ms : LOOK_MS) > 0) {
            ssize_t n = read(p.fd, &count, sizeof count);
            (void)n;
        }
        now = wh_now_ns();
        if (now >= next_beat && !run->fenced && run->epoch) {
            beat(run);
            next_beat = now + run->beat_ms * MS;
        }
        see_memory(run, now);
        wh_limits_see_clock(run);
        pthread_mutex_lock(&run->mutex);
        see_stop(run, now);
        wh_watch_control(run, now);
        wh_watch_step(run, now, said, sizeof said);
        look_at_lanes(run, now);
        pthread_cond_broadcast(&run->change);
        ending = run->keeper_ending;
        pthread_mutex_unlock(&run->mutex);
        if (said[0])
            wh_log(WH_LOG_WARN, "engine", "run %s: %s", run->id, said);
        wh_run_leave(run, now);
    }
    return NULL;
}

int wh_keeper_start(struct wh_runtime *run, struct wh_error *reterr)
{
    int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK), none = -1, err;

    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E8003", "stop requests");
    if (!atomic_compare_exchange_strong(&stop_fd, &none, fd)) {
        close(fd);
        return wh_fail(reterr, WH_E_BUG, "E9001", "two runs in one process");
    }
    err = pthread_create(&run->keeper_thread, NULL, keeper_main, run);
    if (err) {
        stop_fd = -1;
        close(fd);
        return wh_fail_errno(reterr, err, "E8005", "the keeper cannot be started");
    }
    run->has_keeper = true;
    run->beaten_ns = wh_now_ns();
    return WH_OK;
}

void wh_keeper_stop(struct wh_runtime *run)
{
    int fd;

    if (!run->has_keeper)
        return;
    pthread_mutex_lock(&run->mutex);
    run->keeper_ending = true;
    pthread_mutex_unlock(&run->mutex);
    poke(stop_fd);
    pthread_join(run->keeper_thread, NULL);
    run->has_keeper = false;
    fd = atomic_exchange(&stop_fd, -1);
    close(fd);
    stop_level = stop_signal = 0;
    stop_ns = 0;
    wh_free(run->last_limits);
    run->last_limits = NULL;
}
