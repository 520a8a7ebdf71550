/* SPDX-License-Identifier: Apache-2.0 */
/* Lanes: threads and their sessions that go from unit to unit. Retries stay on their lane, so that
 * whoever waits for a unit can see it being worked on.
 */
#include "engine/runtime.h"

#include "core/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
    STACK_BYTES = 2 << 20,
#else
    STACK_BYTES = 256 << 10,
#endif
};

static int thread_start(pthread_t *t, void *(*fn)(void *), void *arg, struct wh_error *reterr)
{
    pthread_attr_t attr;
    int err;

    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, STACK_BYTES);
    err = pthread_create(t, &attr, fn, arg);
    pthread_attr_destroy(&attr);
    return err ? wh_fail_errno(reterr, err, "E8005", "a lane cannot be started") : WH_OK;
}

void wh_lane_wake(struct wh_lane *lane)
{
    uint64_t one = 1;
    ssize_t n = write(lane->wake_fd, &one, sizeof one);

    (void)n; /* a full counter is readable as well */
}

void wh_lane_drain(struct wh_lane *lane)
{
    uint64_t count;
    ssize_t n = read(lane->wake_fd, &count, sizeof count);

    (void)n; /* nothing to drain is fine */
}

/* ---- retries -----------------------------------------------------------------------------------
 */

static void note_retry(struct wh_lane *lane, struct wh_run_flow *fr, struct wh_run_unit *u,
                       const struct wh_error *err)
{
    pthread_mutex_lock(&lane->run->mutex);
    fr->counts.retries++;
    pthread_mutex_unlock(&lane->run->mutex);
    wh_note(lane->run, WH_EV_UNIT_RETRY, fr, u->id, u->attempt, err, "%s", err->message);
}

/* One unit to its end: done, given back, or failed for good. */
static enum wh_result run_unit(struct wh_lane *lane, struct wh_run_flow *fr, struct wh_run_unit *u,
                               struct wh_error *err)
{
    struct wh_runtime *run = lane->run;
    struct wh_retry retry = {.of = fr->flow->stream};

    for (;;) {
        enum wh_result r;

        *err = (struct wh_error){0};
        if (wh_run_stopping(run))
            return run->fenced ? WH_RESULT_FENCED : WH_RESULT_BACK;
        if (u->looked_up) {
            r = wh_unit_lookup(run, fr, u, err);
            if (r != WH_RESULT_RETRY)
                return r;
            u->looked_up = false;
        }
        r = wh_attempt_run(lane, fr, u, err);
        if (r == WH_RESULT_AGAIN)
            continue;
        if (r != WH_RESULT_RETRY)
            return r;
        if (!wh_retry_more(run, &retry, err->status, err))
            return WH_RESULT_FAILED;
        note_retry(lane, fr, u, err);
        if (!wh_retry_pause(run, &retry, err))
            return run->fenced ? WH_RESULT_FENCED : WH_RESULT_BACK;
    }
}

/* ---- threads -----------------------------------------------------------------------------------
 */

static void *lane_main(void *arg)
{
    struct wh_lane *lane = arg;
    struct wh_runtime *run = lane->run;

    pthread_mutex_lock(&run->mutex);
    for (;;) {
        struct wh_error err;
        enum wh_result r;

        while (!lane->unit && !run->ending)
            pthread_cond_wait(&lane->work, &run->mutex);
        if (!lane->unit)
            break;
        pthread_mutex_unlock(&run->mutex);
        wh_note(run, WH_EV_UNIT_STARTED, lane->flow, lane->unit->id, lane->unit->attempt + 1, NULL,
                "%s", lane->unit->label);
        r = run_unit(lane, lane->flow, lane->unit, &err);
        if (r == WH_RESULT_FAILED && err.status == WH_GONE)
            wh_flow_gone(run, lane->flow, &err);
        wh_run_unit_over(lane, r, &err);
        pthread_mutex_lock(&run->mutex);
    }
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

static void *reader_main(void *arg)
{
    struct wh_lane *lane = arg;
    struct wh_runtime *run = lane->run;

    pthread_mutex_lock(&run->mutex);
    for (;;) {
        struct wh_attempt *at;

        while (!lane->read_job && !run->ending)
            pthread_cond_wait(&lane->work, &run->mutex);
        at = lane->read_job;
        lane->read_job = NULL;
        if (!at)
            break;
        pthread_mutex_unlock(&run->mutex);
        wh_attempt_read_all(at);
        pthread_mutex_lock(&run->mutex);
    }
    pthread_mutex_unlock(&run->mutex);
    return NULL;
}

int wh_lane_start(struct wh_lane *lane, struct wh_error *reterr)
{
    if (lane->has_writer)
        return WH_OK;
    WH_TRY(thread_start(&lane->writer, lane_main, lane, reterr));
    lane->has_writer = true;
    return WH_OK;
}

int wh_lane_reader_start(struct wh_lane *lane, struct wh_error *reterr)
{
    if (lane->has_reader)
        return WH_OK;
    WH_TRY(thread_start(&lane->reader, reader_main, lane, reterr));
    lane->has_reader = true;
    return WH_OK;
}

int wh_lanes_new(struct wh_runtime *run, int n, struct wh_error *reterr)
{
    run->lanes = wh_calloc((size_t)n, sizeof *run->lanes);
    if (!run->lanes)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "lanes");
    for (int i = 0; i < n; i++) {
        struct wh_lane *lane = &run->lanes[i];

        lane->run = run;
        lane->index = i;
        pthread_cond_init(&lane->work, NULL);
        wh_queue_init(&lane->queue, WH_QUEUE_BYTES);
        lane->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        run->n_lanes = i + 1;
        if (lane->wake_fd < 0)
            return wh_fail_errno(reterr, errno, "E8003", "lanes");
    }
    return WH_OK;
}

/* All lanes are idle or about to be; their threads end and are joined. */
void wh_lanes_stop(struct wh_runtime *run)
{
    struct wh_lane *lanes = run->lanes; /* this thread alone changes the list */
    int n = run->n_lanes;

    pthread_mutex_lock(&run->mutex);
    run->ending = true;
    for (int i = 0; i < run->n_lanes; i++)
        pthread_cond_broadcast(&run->lanes[i].work);
    pthread_mutex_unlock(&run->mutex);
    for (int i = 0; i < n; i++) {
        if (lanes[i].has_writer)
            pthread_join(lanes[i].writer, NULL);
        if (lanes[i].has_reader)
            pthread_join(lanes[i].reader, NULL);
    }
    pthread_mutex_lock(&run->mutex); /* the keeper still looks at them */
    run->lanes = NULL;
    run->n_lanes = 0;
    pthread_mutex_unlock(&run->mutex);
    for (int i = 0; i < n; i++) {
        wh_transform_free(lanes[i].transform);
        wh_queue_destroy(&lanes[i].queue);
        pthread_cond_destroy(&lanes[i].work);
        if (lanes[i].wake_fd >= 0)
            close(lanes[i].wake_fd);
    }
    wh_free(lanes);
}
