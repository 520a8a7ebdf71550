/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions among dates, times, instants, durations and intervals. */
#include "data/kernel.h"
#include "data/number.h"

#include <string.h>

static const int64_t per_second[] = {1, 1000, 1000000, 1000000000};

#define DAY_S INT64_C(86400)

static inline int64_t floor_div(int64_t v, int64_t by, int64_t *rest)
{
    int64_t q = v / by, r = v % by;

    if (r < 0) {
        r += by;
        q--;
    }
    *rest = r;
    return q;
}

/* v ticks of one unit as ticks of another; coarser rounds down where that is allowed. */
static enum wh_cause change_unit(const struct wh_job *j, int from, int to, int64_t v, int64_t *ret)
{
    int64_t rest;

    if (to >= from)
        return __builtin_mul_overflow(v, per_second[to] / per_second[from], ret) ? WH_BAD_RANGE
                                                                                 : WH_FINE;
    *ret = floor_div(v, per_second[from] / per_second[to], &rest);
    return rest && !j->policy.accept_lossy ? WH_BAD_DIGITS : WH_FINE;
}

static inline enum wh_cause units(struct wh_job *j, int64_t i, int64_t *ret)
{
    int64_t v = ((const int64_t *)j->in->data)[i + j->in->offset];

    return change_unit(j, (int)j->from.unit, (int)j->to.unit, v, ret);
}

static inline enum wh_cause date_stamp(struct wh_job *j, int64_t i, int64_t *ret)
{
    int64_t day = wh_view_i64(j->in, i);

    return __builtin_mul_overflow(day, DAY_S * per_second[j->to.unit], ret) ? WH_BAD_DATE : WH_FINE;
}

static inline enum wh_cause stamp_date(struct wh_job *j, int64_t i, int32_t *ret)
{
    int64_t rest, v = wh_view_i64(j->in, i);
    int64_t day = floor_div(v, DAY_S * per_second[j->from.unit], &rest);

    if (rest && !j->policy.accept_lossy)
        return WH_BAD_DIGITS;
    if (day != (int32_t)day)
        return WH_BAD_DATE;
    *ret = (int32_t)day;
    return WH_FINE;
}

/* Only with accept_lossy: the date goes, the digits of the clock must fit all the same. */
static inline enum wh_cause stamp_time(struct wh_job *j, int64_t i, int64_t *ret)
{
    int64_t of_day;

    floor_div(wh_view_i64(j->in, i), DAY_S * per_second[j->from.unit], &of_day);
    return change_unit(j, (int)j->from.unit, (int)j->to.unit, of_day, ret);
}

static inline enum wh_cause duration_time(struct wh_job *j, int64_t i, int64_t *ret)
{
    int64_t v = wh_view_i64(j->in, i);

    if (v < 0 || v > DAY_S * per_second[j->from.unit])
        return WH_BAD_RANGE;
    return change_unit(j, (int)j->from.unit, (int)j->to.unit, v, ret);
}

struct interval {
    int32_t months, days;
    int64_t ns;
};

static inline enum wh_cause duration_interval(struct wh_job *j, int64_t i, struct interval *ret)
{
    return change_unit(j, (int)j->from.unit, WH_NANO, wh_view_i64(j->in, i), &ret->ns);
}

static inline enum wh_cause interval_duration(struct wh_job *j, int64_t i, int64_t *ret)
{
    struct interval v;

    wh_view_interval(j->in, i, &v.months, &v.days, &v.ns);
    if (v.months || v.days) /* their length depends on the calendar */
        return WH_BAD_RANGE;
    return change_unit(j, WH_NANO, (int)j->to.unit, v.ns, ret);
}

/* ------------------------------------------------------------------ from text */

static bool starts(struct wh_bytes cell, const char *prefix)
{
    size_t n = strlen(prefix);

    return cell.n >= n && memcmp(cell.p, prefix, n) == 0;
}

/* A text that is no date: one of the words that systems put in its place? */
static enum wh_cause no_date(const struct wh_job *j, struct wh_bytes cell)
{
    const char *s = cell.p;

    if (starts(cell, "0000-00-00"))
        return j->policy.zero_date_null ? WH_MAKE_NULL : WH_BAD_DATE;
    if ((cell.n == 8 && memcmp(s, "infinity", 8) == 0) ||
        (cell.n == 9 && memcmp(s, "-infinity", 9) == 0))
        return j->policy.infinity_null ? WH_MAKE_NULL : WH_BAD_NAN;
    /* Digits where a date has them: a day that does not exist, or a range that is too small. */
    if (cell.n >= 10 && s[4] == '-' && s[7] == '-' && s[0] >= '0' && s[0] <= '9')
        return WH_BAD_DATE;
    return WH_BAD_SYNTAX;
}

static inline enum wh_cause text_date(struct wh_job *j, int64_t i, int32_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);

    if (wh_read_date(cell.p, cell.n, ret))
        return WH_FINE;
    *ret = 0;
    enum wh_cause cause = no_date(j, cell);

    return cause == WH_BAD_DATE && cell.n > 10 ? WH_BAD_SYNTAX : cause;
}

static inline enum wh_cause text_time(struct wh_job *j, int64_t i, int64_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    int64_t ns;

    if (!wh_read_time_ns(cell.p, cell.n, &ns))
        return WH_BAD_SYNTAX;
    return change_unit(j, WH_NANO, (int)j->to.unit, ns, ret);
}

static inline enum wh_cause text_stamp(struct wh_job *j, int64_t i, int64_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    int unit = (int)j->to.unit;
    bool zoned;

    if (!wh_read_timestamp(cell.p, cell.n, unit, ret, &zoned)) {
        *ret = 0;
        for (int finer = unit + 1; finer <= WH_NANO; finer++) /* readable with more digits? */
            if (wh_read_timestamp(cell.p, cell.n, finer, ret, &zoned)) {
                enum wh_cause cause = change_unit(j, finer, unit, *ret, ret);

                if (cause != WH_FINE)
                    return cause;
                goto zone;
            }
        return no_date(j, cell);
    }
zone:
    if (zoned == j->to.zoned)
        return WH_FINE;
    if (!zoned)
        return WH_BAD_NO_ZONE;
    return j->policy.accept_lossy ? WH_FINE : WH_BAD_ZONE;
}

static inline enum wh_cause text_duration(struct wh_job *j, int64_t i, int64_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    int64_t ns;

    if (wh_read_duration(cell.p, cell.n, (int)j->to.unit, ret))
        return WH_FINE;
    *ret = 0;
    if (wh_read_duration(cell.p, cell.n, WH_NANO, &ns))
        return change_unit(j, WH_NANO, (int)j->to.unit, ns, ret);
    return WH_BAD_SYNTAX;
}

static inline enum wh_cause text_interval(struct wh_job *j, int64_t i, struct interval *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);

    return wh_read_interval(cell.p, cell.n, &ret->months, &ret->days, &ret->ns) ? WH_FINE
                                                                                : WH_BAD_SYNTAX;
}

WH_CELL_BLOCK(wh_k_units, int64_t, units)
WH_CELL_BLOCK(wh_k_date_stamp, int64_t, date_stamp)
WH_CELL_BLOCK(wh_k_stamp_date, int32_t, stamp_date)
WH_CELL_BLOCK(wh_k_stamp_time, int64_t, stamp_time)
WH_CELL_BLOCK(wh_k_duration_time, int64_t, duration_time)
WH_CELL_BLOCK(wh_k_duration_interval, struct interval, duration_interval)
WH_CELL_BLOCK(wh_k_interval_duration, int64_t, interval_duration)
WH_CELL_BLOCK(wh_k_text_date, int32_t, text_date)
WH_CELL_BLOCK(wh_k_text_time, int64_t, text_time)
WH_CELL_BLOCK(wh_k_text_stamp, int64_t, text_stamp)
WH_CELL_BLOCK(wh_k_text_duration, int64_t, text_duration)
WH_CELL_BLOCK(wh_k_text_interval, struct interval, text_interval)
