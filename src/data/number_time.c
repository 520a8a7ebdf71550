/* SPDX-License-Identifier: Apache-2.0 */
/* Dates, times, instants, intervals as text. The calendar is the proleptic Gregorian one, with a
 * year 0, as in ISO 8601. */
#include "data/number.h"
#include "data/digits.h"
#include "data/type.h"
#include "data/civil.h"

#define DAY_S    86400
#define YEAR_MAX INT64_C(400000000000) /* beyond what 64-bit seconds reach */

static const int64_t per_second[] = {1, 1000, 1000000, 1000000000};

/* ------------------------------------------------------------------- reading */

struct text {
    const char *p, *end;
};

static bool take(struct text *t, char c)
{
    if (t->p == t->end || *t->p != c)
        return false;
    t->p++;
    return true;
}

static bool two(struct text *t, unsigned *ret)
{
    if (t->end - t->p < 2 || !wh_is_digit(t->p[0]) || !wh_is_digit(t->p[1]))
        return false;
    *ret = (unsigned)(t->p[0] - '0') * 10 + (unsigned)(t->p[1] - '0');
    t->p += 2;
    return true;
}

/* [-+]?dddd+ */
static bool year(struct text *t, int64_t *ret)
{
    bool negative = take(t, '-');
    const char *from;
    int64_t y = 0;

    if (!negative)
        (void)take(t, '+');
    for (from = t->p; t->p < t->end && wh_is_digit(*t->p) && y < YEAR_MAX; t->p++)
        y = y * 10 + (*t->p - '0');
    if (t->p - from < 4)
        return false;
    *ret = negative ? -y : y;
    return true;
}

static const uint8_t month_days[] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

static bool date(struct text *t, int64_t *ret_days)
{
    int64_t y;
    unsigned m, d;

    if (!year(t, &y) || !take(t, '-') || !two(t, &m) || !take(t, '-') || !two(t, &d))
        return false;
    if (m < 1 || m > 12 || d < 1 || d > month_days[m])
        return false;
    if (m == 2 && d == 29 && !(y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)))
        return false;
    *ret_days = wh_civil_to_days(y, m, d);
    return true;
}

/* .f{1,9} in nanoseconds; nothing there is 0 */
static bool fraction(struct text *t, int64_t *ret_ns)
{
    const char *from;
    int64_t ns = 0;

    *ret_ns = 0;
    if (!take(t, '.'))
        return true;
    for (from = t->p; t->p < t->end && wh_is_digit(*t->p); t->p++) {
        if (t->p - from == 9)
            return false;
        ns = ns * 10 + (*t->p - '0');
    }
    *ret_ns = ns * (int64_t)wh_pow10_u64[9 - (t->p - from)];
    return t->p > from;
}

static bool time_of_day(struct text *t, int64_t *ret_s, int64_t *ret_ns)
{
    unsigned h, m, s = 0;

    *ret_ns = 0;
    if (!two(t, &h) || !take(t, ':') || !two(t, &m))
        return false;
    if (take(t, ':') && (!two(t, &s) || !fraction(t, ret_ns)))
        return false;
    *ret_s = (int64_t)h * 3600 + m * 60 + s;
    return m < 60 && s < 60 && (h < 24 || (*ret_s == DAY_S && *ret_ns == 0));
}

/* Z, +hh, +hhmm, +hh:mm, +hh:mm:ss; seconds east of UTC */
static bool zone(struct text *t, int64_t *ret_s)
{
    unsigned h, m = 0, s = 0;
    bool west = take(t, '-');

    *ret_s = 0;
    if (take(t, 'Z') || take(t, 'z'))
        return !west;
    if (!west && !take(t, '+'))
        return false;
    if (!two(t, &h))
        return false;
    if (t->p < t->end) {
        (void)take(t, ':');
        if (!two(t, &m))
            return false;
    }
    if (t->p < t->end) {
        (void)take(t, ':');
        if (!two(t, &s))
            return false;
    }
    *ret_s = (int64_t)h * 3600 + m * 60 + s;
    if (west)
        *ret_s = -*ret_s;
    return h < 24 && m < 60 && s < 60;
}

/* Seconds and nanoseconds (0 <= ns < 10^9) as a count of `unit`. */
static bool to_unit(__int128 s, int64_t ns, int unit, int64_t *ret)
{
    int64_t tick = 1000000000 / per_second[unit];
    __int128 v = s * per_second[unit] + ns / tick;

    *ret = (int64_t)v;
    return ns % tick == 0 && v == *ret;
}

/* dddd-dd-dd, the usual date, all bytes checked at once. False: look closer. */
static inline bool plain_date(const char *s, int64_t *ret_days)
{
    static const uint8_t places[8] = {0, 1, 2, 3, 5, 6, 8, 9};
    unsigned d[8], high = 0;

    for (int i = 0; i < 8; i++) {
        d[i] = (unsigned)((uint8_t)s[places[i]] - '0');
        high |= d[i] > 9;
    }
    unsigned m = d[4] * 10 + d[5], day = d[6] * 10 + d[7];

    if (high | (s[4] != '-') | (s[7] != '-') | (m - 1 > 11) | (day - 1 > 27)) /* 29 to 31: later */
        return false;
    *ret_days = wh_civil_to_days(d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3], m, day);
    return true;
}

bool wh_read_date(const char *s, size_t n, int32_t *ret_days)
{
    struct text t = {s, s + n};
    int64_t days;

    if (n == 10 && plain_date(s, &days)) {
        *ret_days = (int32_t)days;
        return true;
    }
    if (!date(&t, &days) || t.p != t.end || days != (int32_t)days)
        return false;
    *ret_days = (int32_t)days;
    return true;
}

bool wh_read_time_ns(const char *s, size_t n, int64_t *ret)
{
    struct text t = {s, s + n};
    int64_t seconds, ns;

    if (!time_of_day(&t, &seconds, &ns) || t.p != t.end)
        return false;
    *ret = seconds * 1000000000 + ns;
    return true;
}

bool wh_read_timestamp(const char *s, size_t n, int unit, int64_t *ret, bool *ret_zoned)
{
    struct text t = {s, s + n};
    int64_t days, seconds, ns, east = 0;

    if (n > 10 && plain_date(s, &days))
        t.p += 10;
    else if (!date(&t, &days))
        return false;
    if (t.p == t.end || (*t.p != ' ' && *t.p != 'T' && *t.p != 't'))
        return false;
    t.p++;
    if (!time_of_day(&t, &seconds, &ns))
        return false;
    bool zoned = t.p != t.end;

    if (zoned && (!zone(&t, &east) || t.p != t.end))
        return false;
    if (!to_unit((__int128)days * DAY_S + seconds - east, ns, unit, ret))
        return false;
    *ret_zoned = zoned;
    return true;
}

/* One component of an ISO 8601 duration: [-+]digits[.f]letter. */
struct part {
    char letter;
    int64_t whole, ns; /* same sign; ns only behind seconds */
};

static bool take_part(struct text *t, bool negative, struct part *ret)
{
    bool minus = take(t, '-');
    int64_t v = 0, ns;
    const char *from;

    if (!minus)
        (void)take(t, '+');
    if (minus)
        negative = !negative;
    for (from = t->p; t->p < t->end && wh_is_digit(*t->p); t->p++) {
        int digit = *t->p - '0'; /* towards its sign, so that the least number can be read */

        if (__builtin_mul_overflow(v, 10, &v) ||
            __builtin_add_overflow(v, negative ? -digit : digit, &v))
            return false;
    }
    if (t->p == from || !fraction(t, &ns) || t->p == t->end)
        return false;
    *ret = (struct part){*t->p++, v, negative ? -ns : ns};
    return ret->ns == 0 || ret->letter == 'S';
}

/* What the letters stand for, in the order in which they must come. */
static const struct {
    char letter;
    bool of_day;
    int months, days;
    int64_t seconds;
} parts[] = {
    {'Y', false, 12, 0, 0},  {'M', false, 1, 0, 0}, {'W', false, 0, 7, 0}, {'D', false, 0, 1, 0},
    {'H', true, 0, 0, 3600}, {'M', true, 0, 0, 60}, {'S', true, 0, 0, 1},
};

struct span {
    int64_t months, days, seconds, ns; /* ns: below a second, any sign */
};

static bool add(int64_t *sum, int64_t v, int64_t factor)
{
    return !__builtin_mul_overflow(v, factor, &v) && !__builtin_add_overflow(*sum, v, sum);
}

static bool read_span(const char *s, size_t n, struct span *ret)
{
    struct text t = {s, s + n};
    bool negative = take(&t, '-'), of_day = false, any = false;
    struct span sum = {0};
    size_t at = 0;
    struct part p;

    if (!take(&t, 'P'))
        return false;
    while (t.p < t.end) {
        if (!of_day && take(&t, 'T'))
            of_day = true;
        if (!take_part(&t, negative, &p))
            return false;
        while (at < 7 && (parts[at].letter != p.letter || parts[at].of_day != of_day))
            at++;
        if (at == 7 || !add(&sum.months, p.whole, parts[at].months) ||
            !add(&sum.days, p.whole, parts[at].days) ||
            !add(&sum.seconds, p.whole, parts[at].seconds))
            return false;
        sum.ns += p.ns;
        at++;
        any = true;
    }
    *ret = sum;
    return any;
}

bool wh_read_interval(const char *s, size_t n, int32_t *ret_months, int32_t *ret_days,
                      int64_t *ret_ns)
{
    struct span v;

    if (!read_span(s, n, &v) || v.months != (int32_t)v.months || v.days != (int32_t)v.days)
        return false;
    __int128 ns = (__int128)v.seconds * 1000000000 + v.ns;

    if (ns != (int64_t)ns)
        return false;
    *ret_ns = (int64_t)ns;
    *ret_months = (int32_t)v.months;
    *ret_days = (int32_t)v.days;
    return true;
}

bool wh_read_duration(const char *s, size_t n, int unit, int64_t *ret)
{
    struct span v;

    if (!read_span(s, n, &v) || v.months)
        return false;
    __int128 ns = ((__int128)v.days * DAY_S + v.seconds) * 1000000000 + v.ns;
    __int128 tick = 1000000000 / per_second[unit], ticks = ns / tick;

    if (ns % tick || ticks != (int64_t)ticks)
        return false;
    *ret = (int64_t)ticks;
    return true;
}

/* ------------------------------------------------------------------ printing */

#define SHORT_FROM (-WH_ERA_BASE)          /* 0000-03-01 */
#define SHORT_DAYS (25 * WH_ERA_DAYS - 60) /* from there to 9999-12-31 */

/* A day `n` after 0000-03-01, n < SHORT_DAYS, as ten bytes. Neri and Schneider's way (2022): a day
 * is divided by 365.2425 and 30.6 with multiplications alone, centuries first; years run from
 * March. */
static void put_short_date(uint32_t n, char *p)
{
    uint32_t quarters = 4 * n + 3, century = quarters / WH_ERA_DAYS;
    uint32_t left = (quarters - century * WH_ERA_DAYS) | 3; /* quarter days in the century */
    uint64_t years = UINT64_C(2939745) * left;              /* 2^32 / 1461 */
    uint32_t year = (uint32_t)(years >> 32), of_year = (uint32_t)years / 2939745 / 4;
    uint32_t months = 2141 * of_year + 197913; /* 2^16 / 30.6 */
    uint32_t month = months >> 16, day = (months & 0xffff) / 2141 + 1;
    bool wraps = of_year >= 306; /* January and February are of the next year */

    month -= wraps ? 12 : 0;
    year += wraps;
    century += year == 100;
    wh_put2(p, century);
    wh_put2(p + 2, year == 100 ? 0 : year);
    p[4] = '-';
    wh_put2(p + 5, month);
    p[7] = '-';
    wh_put2(p + 8, day);
}

static char *print_date(int64_t days, char *p)
{
    if (days >= SHORT_FROM && days < SHORT_FROM + SHORT_DAYS) {
        put_short_date((uint32_t)(days - SHORT_FROM), p);
        return p + 10;
    }

    struct wh_civil c = wh_days_to_civil(days);
    uint64_t y = c.year < 0 ? 0 - (uint64_t)c.year : (uint64_t)c.year;
    int digits = y < 10000 ? 4 : wh_count_digits(y);

    if (c.year < 0)
        *p++ = '-';
    wh_put_digits(p, y, digits);
    p += digits;
    *p = '-';
    wh_put2(p + 1, c.month);
    p[3] = '-';
    wh_put2(p + 4, c.day);
    return p + 6;
}

/* ".5": as many digits as are needed; fine < per_second[unit] */
static char *print_fraction(int64_t fine, int unit, char *p)
{
    int digits = 3 * unit;

    if (fine == 0)
        return p;
    *p++ = '.';
    while (fine % 10 == 0) {
        fine /= 10;
        digits--;
    }
    wh_put_digits(p, (uint64_t)fine, digits);
    return p + digits;
}

/* HH:mm:ss; hours above 99 only for values that no column should hold */
static char *print_clock(int64_t s, char *p)
{
    uint64_t h = (uint64_t)s / 3600;
    unsigned rest = (unsigned)((uint64_t)s % 3600);
    int digits = h < 100 ? 2 : wh_count_digits(h);

    wh_put_digits(p, h, digits);
    p += digits;
    *p = ':';
    wh_put2(p + 1, rest / 60);
    p[3] = ':';
    wh_put2(p + 4, rest % 60);
    return p + 6;
}

size_t wh_print_date(int32_t days, char out[16])
{
    return (size_t)(print_date(days, out) - out);
}

size_t wh_print_time(int64_t v, int unit, char out[32])
{
    char *p = out;
    uint64_t m = v < 0 ? 0 - (uint64_t)v : (uint64_t)v, tick = (uint64_t)per_second[unit];

    if (v < 0)
        *p++ = '-';
    p = print_clock((int64_t)(m / tick), p);
    return (size_t)(print_fraction((int64_t)(m % tick), unit, p) - out);
}

size_t wh_print_timestamp(int64_t v, int unit, bool zoned, char out[40])
{
    int64_t tick = per_second[unit];
    int64_t s = v / tick, fine = v % tick;
    char *p;

    if (fine < 0) {
        fine += tick;
        s--;
    }
    int64_t days = s / DAY_S, rest = s % DAY_S;

    if (rest < 0) {
        rest += DAY_S;
        days--;
    }
    p = print_date(days, out);
    *p++ = ' ';
    p = print_fraction(fine, unit, print_clock(rest, p));
    if (zoned)
        *p++ = 'Z';
    return (size_t)(p - out);
}

/* [-]n letter, nothing for 0 */
static char *print_part(int64_t v, char letter, char *p)
{
    if (v == 0)
        return p;
    p += wh_print_i64(v, p);
    *p++ = letter;
    return p;
}

/* The part behind T of `v` ticks; "" for 0. Every component carries the sign. */
static char *print_hms(int64_t v, int unit, char *p)
{
    int64_t tick = per_second[unit], s = v / tick, fine = v % tick;

    if (v == 0)
        return p;
    *p++ = 'T';
    p = print_part(s / 3600, 'H', p);
    p = print_part(s % 3600 / 60, 'M', p);
    s %= 60;
    if (s == 0 && fine == 0)
        return p;
    if (v < 0)
        *p++ = '-';
    p += wh_print_u64((uint64_t)(s < 0 ? -s : s), p);
    p = print_fraction(fine < 0 ? -fine : fine, unit, p);
    *p++ = 'S';
    return p;
}

size_t wh_print_interval(int32_t months, int32_t days, int64_t ns, char out[64])
{
    char *p = out;

    *p++ = 'P';
    p = print_part(months / 12, 'Y', p);
    p = print_part(months % 12, 'M', p);
    p = print_part(days, 'D', p);
    p = print_hms(ns, WH_NANO, p);
    if (p == out + 1) {
        memcpy(p, "T0S", 3);
        p += 3;
    }
    return (size_t)(p - out);
}

size_t wh_print_duration(int64_t v, int unit, char out[64])
{
    char *p = out;

    *p++ = 'P';
    p = print_hms(v, unit, p);
    if (v == 0) {
        memcpy(p, "T0S", 3);
        p += 3;
    }
    return (size_t)(p - out);
}
