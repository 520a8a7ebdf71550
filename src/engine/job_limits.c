/* SPDX-License-Identifier: Apache-2.0 */
/* Limits of a stream, its retries, and a rate that the time of day decides. */
#include "engine/job_internal.h"

#include <string.h>

#define ROW(NAME, f, kind, ctype, ...)                                                             \
    {                                                                                              \
        .name = NAME, .type = (kind), .offset = WH_OPT_OFF_(struct wh_stream, f, ctype),           \
        __VA_ARGS__                                                                                \
    }

static const struct wh_option limits_rows[] = {
    ROW("rate", pace.rate_bytes, WH_T_SIZE, int64_t, .min = 0, .max = INT64_MAX),
    ROW("rows_per_second", pace.rate_rows, WH_T_I64, int64_t, .min = 0, .max = INT64_MAX),
    WH_OPT_END};
const struct wh_options wh_stream_limits = {limits_rows, sizeof(struct wh_stream), "limits"};

static const struct wh_option retry_rows[] = {
    ROW("times", retry.times, WH_T_I64, int64_t, .min = 0, .max = 1000),
    ROW("wait", retry.wait_ms, WH_T_DURATION, int64_t, .min = 0, .max = 86400000),
    ROW("outage", retry.outage_ms, WH_T_DURATION, int64_t, .min = 0, .max = 86400000), WH_OPT_END};
const struct wh_options wh_stream_retry = {retry_rows, sizeof(struct wh_stream), "retry"};

/* ---- a rate by time of day ----------------------------------------------------------------------
 */

/* "08:00" to minutes; 24:00 ends a day. Bytes read, 0: no time. */
static size_t read_time(const char *text, int *ret)
{
    int hour = 0, minute = 0;
    size_t i = 0;

    while (i < 2 && text[i] >= '0' && text[i] <= '9')
        hour = hour * 10 + (text[i++] - '0');
    if (i == 0 || text[i++] != ':')
        return 0;
    for (size_t k = 0; k < 2; k++, i++) {
        if (text[i] < '0' || text[i] > '9')
            return 0;
        minute = minute * 10 + (text[i] - '0');
    }
    *ret = hour * 60 + minute;
    return minute < 60 && *ret <= WH_DAY_MINUTES ? i : 0;
}

static bool read_span(const char *text, struct wh_rate_window *w)
{
    size_t n = read_time(text, &w->from), m;

    if (n == 0 || text[n] != '-')
        return false;
    m = read_time(text + n + 1, &w->to);
    return m && !text[n + 1 + m] && w->from != w->to && w->from < WH_DAY_MINUTES;
}

bool wh_rate_window_holds(const struct wh_rate_window *w, int minute)
{
    return w->from < w->to ? minute >= w->from && minute < w->to
                           : minute >= w->from || minute < w->to;
}

static bool overlap(const struct wh_rate_window *a, const struct wh_rate_window *b)
{
    return wh_rate_window_holds(a, b->from) || wh_rate_window_holds(b, a->from);
}

bool wh_rate_without_unit(const char *text)
{
    int64_t v;

    return wh_parse_i64(text, &v) && v > 0 && v < 1000;
}

bool wh_job_rate_meant(struct wh_job_reading *r, const struct wh_node *value)
{
    const char *text = wh_node_text(value, "");

    if (!wh_rate_without_unit(text))
        return true;
    wh_problem_add(r->problems, "E1002", wh_job_where(r, value),
                   wh_arena_printf(r->arena, "write %sMB/s, or %sB/s if that is meant", text, text),
                   "rate '%s' would be %s bytes a second", text, text);
    return false;
}

static bool read_window(struct wh_job_reading *r, const struct wh_node *key,
                        const struct wh_node *value, struct wh_rate_window *w)
{
    const char *text = wh_node_text(value, "");

    if (!read_span(key->text, w)) {
        wh_problem_add(r->problems, "E1002", wh_job_where(r, key),
                       "write { '08:00-20:00': 20MB/s, '20:00-08:00': none }",
                       "'%s' is no part of a day", key->text);
        return false;
    }
    if (!wh_job_rate_meant(r, value))
        return false;
    w->pause = strcmp(text, "pause") == 0;
    if (w->pause || strcmp(text, "none") == 0 || (wh_parse_size(text, &w->bytes) && w->bytes > 0))
        return true;
    wh_problem_add(r->problems, "E1002", wh_job_where(r, value), "write 20MB/s, none or pause",
                   "'%s' is no rate", text);
    return false;
}

bool wh_job_rate(struct wh_job_reading *r, const struct wh_node *node, struct wh_run_options *run)
{
    struct wh_rate_window *v = wh_arena_alloc(r->arena, (node->n + 1) * sizeof *v);
    bool ok = true;

    run->windows = v;
    run->n_windows = 0;
    if (!v)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < node->n; i++) {
        struct wh_rate_window *w = &v[run->n_windows];

        *w = (struct wh_rate_window){0};
        if (!read_window(r, node->keys[i], node->items[i], w)) {
            ok = false;
            continue;
        }
        for (size_t j = 0; j < run->n_windows; j++)
            if (overlap(w, &v[j])) {
                wh_problem_add(r->problems, "E1007", wh_job_where(r, node->keys[i]), NULL,
                               "'%s' and another part of the day overlap", node->keys[i]->text);
                ok = false;
                break;
            }
        run->n_windows++;
    }
    return ok;
}

bool wh_job_stream_limits(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    const struct wh_node *rate = node->kind == WH_NODE_MAP ? wh_node_get(node, "rate") : NULL;

    return (!rate || wh_job_rate_meant(r, rate)) &&
           wh_job_group(r, node, "limits", &wh_stream_limits, s);
}

bool wh_job_stream_retry(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    return wh_job_group(r, node, "retry", &wh_stream_retry, s);
}
