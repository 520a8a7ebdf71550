/* SPDX-License-Identifier: Apache-2.0 */
/* What the listener hears. Lanes leave notes; the management thread passes them on, so that the
 * listener is called on one thread only and never under a lock of the run.
 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/log.h"

#include <stdio.h>

enum {
    NOTES_MOST = 10000, /* beyond it only errors are kept; counts are never lost by that */
};

/* --debug engine: at once and by the thread it concerns, not when the listener is told. */
static void say_note(enum wh_event_type type, const struct wh_run_flow *fr, int64_t unit,
                     int32_t attempt, const struct wh_error *err, const char *text)
{
    wh_log(WH_LOG_DEBUG, "engine", "%s: unit %lld attempt %d: %s%s%s%s%s",
           fr ? fr->flow->table : "run", (long long)unit, attempt, wh_event_name(type),
           text[0] ? " " : "", text, err ? ": " : "", err ? err->message : "");
}

void wh_note(struct wh_runtime *run, enum wh_event_type type, struct wh_run_flow *fr, int64_t unit,
             int32_t attempt, const struct wh_error *err, const char *fmt, ...)
{
    struct wh_note *n;
    va_list ap;

    if (wh_log_on(WH_LOG_DEBUG, "engine")) {
        char text[400];

        va_start(ap, fmt);
        vsnprintf(text, sizeof text, fmt, ap);
        va_end(ap);
        say_note(type, fr, unit, attempt, err, text);
    }
    if (!run->listener || (run->n_notes > NOTES_MOST && type != WH_EV_ERROR))
        return;
    n = wh_calloc(1, sizeof *n);
    if (!n)
        return;
    n->type = type;
    n->fr = fr;
    n->unit = unit;
    n->attempt = attempt;
    n->has_error = err != NULL;
    if (err)
        n->error = *err;
    va_start(ap, fmt);
    vsnprintf(n->text, sizeof n->text, fmt, ap);
    va_end(ap);
    pthread_mutex_lock(&run->mutex);
    *run->notes_tail = n;
    run->notes_tail = &n->next;
    run->n_notes++;
    if (type != WH_EV_UNIT_STARTED && type != WH_EV_UNIT_DONE) {
        run->changes++;
        pthread_cond_broadcast(&run->change);
    }
    pthread_mutex_unlock(&run->mutex);
}

/* Recorded units and what the lanes have under way. */
static void add_live(struct wh_runtime *run, const struct wh_run_flow *fr, struct wh_counts *c)
{
    for (int i = 0; i < run->n_lanes; i++) {
        struct wh_lane *lane = &run->lanes[i];

        if (lane->flow != fr || !lane->attempt)
            continue;
        c->rows_read += lane->live.rows_read;
        c->rows_written += lane->live.rows_written;
        c->rows_dirty += lane->live.rows_dirty;
        c->bytes_read += lane->live.bytes_read;
        c->bytes_written += lane->live.bytes_written;
        pthread_mutex_lock(&lane->queue.mutex);
        c->read_wait_ns += lane->queue.push_wait_ns;
        c->write_wait_ns += lane->queue.pop_wait_ns;
        pthread_mutex_unlock(&lane->queue.mutex);
    }
}

/* What the source has, as far as anybody knows: a predicate that it sees to makes that a guess. */
static int64_t expected(const struct wh_run_flow *fr, int64_t read)
{
    int64_t rows = fr->flow->scan.est_rows;

    if (fr->ended_ns)
        return read;
    if (rows < 0 || fr->flow->stream->split_range.n ||
        (fr->flow->stream->where && *fr->flow->stream->where))
        return -1;
    return rows > read ? rows : read;
}

void wh_run_counts(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_counts *ret)
{
    pthread_mutex_lock(&run->mutex);
    *ret = fr->counts;
    ret->units_total = fr->drawn ? fr->counts.units_done + fr->n_pending + fr->n_running : -1;
    add_live(run, fr, ret);
    ret->rows_expected = expected(fr, ret->rows_read);
    pthread_mutex_unlock(&run->mutex);
}

static void total_counts(struct wh_runtime *run, struct wh_counts *sum)
{
    *sum = (struct wh_counts){0};
    for (size_t i = 0; i < run->n_flows; i++) {
        struct wh_counts c;

        wh_run_counts(run, &run->flows[i], &c);
        sum->rows_read += c.rows_read;
        sum->rows_written += c.rows_written;
        sum->rows_dirty += c.rows_dirty;
        sum->rows_filtered += c.rows_filtered;
        sum->rows_skipped += c.rows_skipped;
        sum->rows_found += c.rows_found;
        sum->bytes_read += c.bytes_read;
        sum->bytes_written += c.bytes_written;
        sum->units_done += c.units_done;
        sum->units_total =
            sum->units_total < 0 || c.units_total < 0 ? -1 : sum->units_total + c.units_total;
        sum->retries += c.retries;
        sum->rows_expected = sum->rows_expected < 0 || c.rows_expected < 0
                                 ? -1
                                 : sum->rows_expected + c.rows_expected;
        sum->read_wait_ns += c.read_wait_ns;
        sum->write_wait_ns += c.write_wait_ns;
    }
}

static void tell(struct wh_runtime *run, struct wh_event *e, const struct wh_run_flow *fr)
{
    if (!run->listener || !run->listener->event)
        return;
    e->wall_us = e->result ? e->result->ended_us : wh_wall_us();
    e->run = run->id;
    e->job = run->plan->job->name;
    if (fr) {
        e->stream = fr->flow->stream->name;
        e->table = fr->flow->table;
    }
    run->listener->event(run->listener->self, e);
}

void wh_run_event(struct wh_runtime *run, enum wh_event_type type, struct wh_run_flow *fr,
                  const char *text, const struct wh_error *err, const struct wh_run_result *result)
{
    struct wh_event e = {.type = type, .error = err, .text = text, .result = result};
    struct wh_counts total;

    if (type == WH_EV_RUN_STARTED || type == WH_EV_RUN_FINISHED)
        e.plan = run->plan;
    if (result) {
        total = result->counts;
        e.total = &total;
    } else if (type == WH_EV_RUN_STARTED) { /* what earlier attempts of it did */
        total_counts(run, &total);
        e.total = total.units_done ? &total : NULL;
    }
    tell(run, &e, fr);
}

static struct wh_note *take_notes(struct wh_runtime *run)
{
    struct wh_note *n;

    pthread_mutex_lock(&run->mutex);
    n = run->notes;
    run->notes = NULL;
    run->notes_tail = &run->notes;
    run->n_notes = 0;
    pthread_mutex_unlock(&run->mutex);
    return n;
}

static void tell_note(struct wh_runtime *run, const struct wh_note *n)
{
    struct wh_counts flow;
    struct wh_event e = {.type = n->type,
                         .unit = n->unit,
                         .attempt = n->attempt,
                         .error = n->has_error ? &n->error : NULL,
                         .text = n->text};

    if (n->fr) {
        wh_run_counts(run, n->fr, &flow);
        e.flow = &flow;
    }
    tell(run, &e, n->fr);
}

static void progress(struct wh_runtime *run)
{
    struct wh_counts total;
    struct wh_event e = {.type = WH_EV_PROGRESS, .total = &total};
    int64_t now = wh_now_ns();

    if (!run->listener || run->listener->progress_ms <= 0 || now < run->next_progress_ns)
        return;
    run->next_progress_ns = now + run->listener->progress_ms * 1000000;
    total_counts(run, &total);
    tell(run, &e, NULL);
}

void wh_run_events(struct wh_runtime *run)
{
    struct wh_note *n = take_notes(run);

    while (n) {
        struct wh_note *next = n->next;

        tell_note(run, n);
        wh_free(n);
        n = next;
    }
    progress(run);
}
