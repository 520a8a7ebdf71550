/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of functions on dates and times, by Java date patterns. Wall times: no zone is known. */
#include "engine/functions.h"

#include "core/clock.h"
#include "engine/macro.h"

#include <stdio.h>
#include <string.h>

enum {
    TEXT_MAX = 160, /* of a date */
};

/* Letters of a pattern outside its quotes. */
static bool has_letter(const char *pattern, const char *letters)
{
    bool quoted = false;

    for (; *pattern; pattern++) {
        quoted ^= *pattern == '\'';
        if (!quoted && *pattern != '\'' && strchr(letters, *pattern))
            return true;
    }
    return false;
}

bool wh_fn_pattern_has_time(const char *pattern)
{
    return has_letter(pattern, "HhmsS");
}

bool wh_fn_format_check(const void *args, const char **ret_why)
{
    const struct wh_fn_pattern *a = args;
    const struct wh_civil some = {.year = 2001, .month = 2, .day = 3, .hour = 4};
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(TEXT_MAX);

    *ret_why =
        "the pattern has letters that mean nothing here (yyyy MM dd HH mm ss SSS E a), or is "
        "too long";
    return a->pattern[0] && wh_date_format(a->pattern, strlen(a->pattern), &some, &text);
}

bool wh_fn_to_date_check(const void *args, const char **ret_why)
{
    const struct wh_fn_pattern *a = args;

    if (!wh_fn_format_check(args, ret_why))
        return false;
    *ret_why = "a day of the year (D) cannot be read back";
    if (has_letter(a->pattern, "D"))
        return false;
    *ret_why = "a date wants its year (yyyy), month (MM) and day (dd)";
    return has_letter(a->pattern, "yu") && has_letter(a->pattern, "ML") &&
           has_letter(a->pattern, "d");
}

static wh_status bad_date(struct wh_fn_job *job, int64_t row, struct wh_bytes b)
{
    const struct wh_fn_pattern *a = job->args;
    struct wh_str shown = wh_str_clip((struct wh_str){b.p, b.n}, 60);
    char text[200];

    snprintf(text, sizeof text, "'%.*s' is no date of the pattern '%.60s'", WH_STR_FMT(shown),
             a->pattern);
    return wh_fn_reject(job, row, "E6006", text);
}

static bool parse(const char *pattern, size_t pattern_n, struct wh_bytes b, struct wh_civil *ret)
{
    char text[TEXT_MAX + 1];

    if (b.n > TEXT_MAX || memchr(b.p, 0, b.n))
        return false;
    memcpy(text, b.p, b.n);
    text[b.n] = 0;
    return wh_date_parse(pattern, pattern_n, text, ret);
}

wh_status wh_fn_run_to_date(struct wh_fn_job *job)
{
    const struct wh_fn_pattern *a = job->args;
    const struct wh_view *v = job->in;
    size_t pattern_n = strlen(a->pattern);
    bool days = job->out->type.kind == WH_K_DATE32;

    for (int64_t row = 0; row < v->n; row++) {
        struct wh_civil c;

        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);

        if (!parse(a->pattern, pattern_n, b, &c)) {
            WH_TRY(bad_date(job, row, b));
            continue;
        }
        int64_t day = wh_days_from_civil(c.year, c.month, c.day);
        int64_t second = c.hour * 3600 + c.minute * 60 + c.second;

        WH_TRY(wh_col_i64(job->out, days ? day : (day * 86400 + second) * 1000000 + c.micro));
    }
    return WH_OK;
}

/* Wall time of a date or a time stamp; false outside of the years 1 to 9999. */
static bool civil_of(const struct wh_view *v, int64_t row, struct wh_civil *ret)
{
    static const int64_t per_second[] = {1, 1000, 1000000, 1000000000};
    int64_t n = wh_view_i64(v, row), of_day = 0, micro = 0;

    if (v->type.kind == WH_K_TIMESTAMP) {
        int64_t unit = per_second[v->type.unit], second = n / unit - (n % unit < 0);
        int64_t rest = n - second * unit;

        micro = v->type.unit == WH_NANO ? rest / 1000 : rest * (1000000 / unit);
        n = second / 86400 - (second % 86400 < 0);
        of_day = second - n * 86400;
    }
    *ret = (struct wh_civil){.hour = (int)(of_day / 3600),
                             .minute = (int)(of_day / 60 % 60),
                             .second = (int)(of_day % 60),
                             .micro = micro};
    if (n < -719162 || n > 2932896)
        return false;
    wh_civil_from_days(n, &ret->year, &ret->month, &ret->day);
    return true;
}

wh_status wh_fn_run_format(struct wh_fn_job *job)
{
    const struct wh_fn_pattern *a = job->args;
    const struct wh_view *v = job->in;
    size_t pattern_n = strlen(a->pattern);

    for (int64_t row = 0; row < v->n; row++) {
        struct wh_civil c;

        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        wh_buf_clear(job->scratch);
        if (!civil_of(v, row, &c)) {
            WH_TRY(wh_fn_reject(job, row, "E6007", "format: the year is not one of 1 to 9999"));
            continue;
        }
        if (!wh_date_format(a->pattern, pattern_n, &c, job->scratch))
            return WH_E_NOMEM;
        WH_TRY(wh_fn_put(job, row, job->scratch->p, job->scratch->n));
    }
    return WH_OK;
}
