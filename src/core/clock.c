/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"

#include <errno.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec ts = {0};

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

int64_t wh_now_ns(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t wh_wall_us(void)
{
    return read_clock(CLOCK_REALTIME) / 1000;
}

int64_t wh_cpu_ns(void)
{
    return read_clock(CLOCK_PROCESS_CPUTIME_ID);
}

void wh_sleep_ms(int64_t ms)
{
    if (ms <= 0)
        return;
    struct timespec left = {.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000};

    while (nanosleep(&left, &left) != 0 && errno == EINTR)
        ;
}

/* Years are counted from March, so that the leap day is the last day of its year, and in eras of
 * 400 years (146097 days), after which the calendar repeats. */
int64_t wh_days_from_civil(int64_t y, unsigned m, unsigned d)
{
    y -= m <= 2;
    int64_t era = (y >= 0 ? y : y - 399) / 400;
    int64_t year_of_era = y - era * 400;
    int64_t day_of_year = (153 * ((int64_t)m + (m > 2 ? -3 : 9)) + 2) / 5 + (int64_t)d - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;

    return era * 146097 + day_of_era - 719468; /* 0000-03-01 is day -719468 */
}

void wh_civil_from_days(int64_t days, int64_t *ret_y, unsigned *ret_m, unsigned *ret_d)
{
    days += 719468;
    int64_t era = (days >= 0 ? days : days - 146096) / 146097;
    int64_t day_of_era = days - era * 146097;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month = (5 * day_of_year + 2) / 153; /* 0 = March */

    *ret_d = (unsigned)(day_of_year - (153 * month + 2) / 5 + 1);
    *ret_m = (unsigned)(month < 10 ? month + 3 : month - 9);
    *ret_y = year_of_era + era * 400 + (*ret_m <= 2);
}

static char *digits(char *out, int64_t v, int width)
{
    for (int i = width - 1; i >= 0; i--, v /= 10)
        out[i] = (char)('0' + v % 10);
    return out + width;
}

size_t wh_format_utc(int64_t wall_us, char out[32])
{
    int64_t day = wall_us / 86400000000, us = wall_us % 86400000000, year;
    unsigned month, dom;

    if (us < 0) {
        us += 86400000000;
        day--;
    }
    wh_civil_from_days(day, &year, &month, &dom);
    if (year < 0 || year > 9999) /* no clock says so; keep the width that readers rely on */
        year = year < 0 ? 0 : 9999;
    char *p = digits(out, year, 4);

    *p++ = '-';
    p = digits(p, month, 2);
    *p++ = '-';
    p = digits(p, dom, 2);
    *p++ = 'T';
    p = digits(p, us / 3600000000, 2);
    *p++ = ':';
    p = digits(p, us / 60000000 % 60, 2);
    *p++ = ':';
    p = digits(p, us / 1000000 % 60, 2);
    *p++ = '.';
    p = digits(p, us / 1000 % 1000, 3);
    *p++ = 'Z';
    *p = 0;
    return (size_t)(p - out);
}
