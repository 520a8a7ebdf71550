/* SPDX-License-Identifier: Apache-2.0 */
/* Events for programs: one JSON object a line (INTERFACE 6). Fields and types may be added, never
 * changed. */
#include "engine/run.h"

#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "core/errors.h"

enum {
    PIECE = 32 << 10
};

static const char *const type_names[] = {
    [WH_EV_RUN_STARTED] = "run_started",
    [WH_EV_PLAN] = "plan",
    [WH_EV_SCHEMA_CHANGE] = "schema_change",
    [WH_EV_UNIT_STARTED] = "unit_started",
    [WH_EV_PROGRESS] = "progress",
    [WH_EV_UNIT_DONE] = "unit_done",
    [WH_EV_UNIT_RETRY] = "unit_retry",
    [WH_EV_DIRTY] = "dirty",
    [WH_EV_WARNING] = "warning",
    [WH_EV_VALIDATE] = "validate",
    [WH_EV_ERROR] = "error",
    [WH_EV_RUN_FINISHED] = "run_finished",
};

const char *wh_event_name(enum wh_event_type type)
{
    return type_names[type];
}

static void text(struct wh_buf *b, const char *key, const char *value)
{
    if (!value)
        return;
    wh_ignore(wh_buf_printf(b, ",\"%s\":", key));
    wh_ignore(wh_buf_json(b, value, strlen(value)));
}

static void number(struct wh_buf *b, const char *key, int64_t v)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":%" PRId64, key, v));
}

static void boolean(struct wh_buf *b, const char *key, bool v)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":%s", key, v ? "true" : "false"));
}

static void counts(struct wh_buf *b, const struct wh_counts *c)
{
    number(b, "rows_read", c->rows_read);
    number(b, "rows_written", c->rows_written);
    number(b, "rows_dirty", c->rows_dirty);
    number(b, "rows_filtered", c->rows_filtered);
    number(b, "rows_skipped", c->rows_skipped);
    number(b, "bytes_read", c->bytes_read);
    number(b, "bytes_written", c->bytes_written);
}

/* page: without a hint, the way out is that of the code's page. */
static void error(struct wh_buf *b, const struct wh_error *e, bool page)
{
    text(b, "code", e->code);
    boolean(b, "retryable", e->retriable);
    text(b, "message", e->message);
    if (e->where[0])
        text(b, "where", e->where);
    char words[400];
    const char *next = e->hint[0] || !page ? e->hint : wh_error_next(e->code, words, sizeof(words));
    if (*next)
        text(b, "hint", next);
}

static void table(struct wh_buf *b, const struct wh_table_result *t)
{
    wh_ignore(wh_buf_adds(b, "{\"stream\":"));
    wh_ignore(wh_buf_json(b, t->stream, strlen(t->stream)));
    text(b, "table", t->table);
    text(b, "status", t->status);
    number(b, "exit", t->exit_code);
    counts(b, &t->counts);
    number(b, "units", t->counts.units_done);
    number(b, "retries", t->counts.retries);
    wh_ignore(wh_buf_printf(b, ",\"seconds\":%.3f", t->seconds));
    text(b, "delivery", t->delivery);
    text(b, "hash", t->hash);
    text(b, "snapshot", t->snapshot);
    text(b, "ranges", t->ranges);
    if (t->error) {
        wh_ignore(wh_buf_adds(b, ",\"error\":{\"v\":1"));
        error(b, t->error, true);
        wh_ignore(wh_buf_addc(b, '}'));
    }
    wh_ignore(wh_buf_addc(b, '}'));
}

static wh_status result(const struct wh_run_result *r, struct wh_buf *b, wh_drain_fn drain,
                        void *arg)
{
    text(b, "status", r->status);
    number(b, "exit", r->exit_code);
    boolean(b, "retryable", r->retryable);
    counts(b, &r->counts);
    wh_ignore(
        wh_buf_printf(b, ",\"seconds\":%.3f,\"cpu_seconds\":%.3f", r->seconds, r->cpu_seconds));
    number(b, "peak_rss", r->peak_rss);
    text(b, "snapshot", r->snapshot);
    if (r->rows_staying)
        number(b, "rows_staying", r->rows_staying);
    wh_ignore(wh_buf_adds(b, ",\"tables\":["));
    for (size_t i = 0; i < r->n_tables; i++) {
        if (i)
            wh_ignore(wh_buf_addc(b, ','));
        table(b, &r->tables[i]);
        if (drain && b->n > PIECE)
            drain(arg, b);
    }
    wh_ignore(wh_buf_adds(b, "]"));
    wh_ignore(wh_buf_adds(b, ",\"resume\":"));
    return r->resume ? wh_buf_json(b, r->resume, strlen(r->resume)) : wh_buf_adds(b, "null");
}

wh_status wh_event_json(const struct wh_event *e, struct wh_buf *b)
{
    return wh_event_drain_json(e, b, NULL, NULL);
}

wh_status wh_event_drain_json(const struct wh_event *e, struct wh_buf *b, wh_drain_fn drain,
                              void *arg)
{
    char ts[32];
    wh_format_utc(e->wall_us ? e->wall_us : wh_wall_us(), ts);
    wh_ignore(wh_buf_printf(b, "{\"v\":1,\"ts\":\"%s\",\"type\":\"%s\"", ts, type_names[e->type]));
    text(b, "run", e->run);
    text(b, "job", e->job);
    text(b, "stream", e->stream);
    text(b, "table", e->table);
    if (e->unit)
        number(b, "unit", e->unit);
    if (e->attempt)
        number(b, "attempt", e->attempt);
    if (e->error && e->type != WH_EV_RUN_FINISHED)
        error(b, e->error, e->type == WH_EV_ERROR);
    text(b, "text", e->text);
    const struct wh_counts *c = e->flow ? e->flow : e->total;
    if (c && e->type != WH_EV_RUN_FINISHED) {
        counts(b, c);
        number(b, "units_done", c->units_done);
        if (c->units_total >= 0)
            number(b, "units_total", c->units_total);
    }
    if (e->plan && e->type == WH_EV_PLAN) {
        wh_ignore(wh_buf_adds(b, ",\"plan\":"));
        wh_ignore(wh_plan_drain_json(e->plan, b, drain, arg));
    }
    if (e->result)
        wh_ignore(result(e->result, b, drain, arg));
    return wh_buf_adds(b, "}\n");
}
