/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/clock.h"

#include <time.h>

static bool leap(int64_t y)
{
    return (y % 4 == 0 && y % 100 != 0) || y % 400 == 0;
}

/* Red when a day from year -1 to 4001 is numbered wrongly: a calendar that only counts is walked
 * beside it, and both directions must agree. */
static void every_day(void **state)
{
    static const unsigned lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    int64_t day = wh_days_from_civil(-1, 1, 1), y2;
    unsigned m2, d2;

    for (int64_t y = -1; y < 4001; y++) {
        for (unsigned m = 1; m <= 12; m++) {
            unsigned n = lengths[m - 1] + (m == 2 && leap(y));

            for (unsigned d = 1; d <= n; d++, day++) {
                wh_civil_from_days(day, &y2, &m2, &d2);
                if (wh_days_from_civil(y, m, d) != day || y2 != y || m2 != m || d2 != d)
                    fail_msg("%lld-%u-%u", (long long)y, m, d);
            }
        }
    }
    assert_int_equal(wh_days_from_civil(1970, 1, 1), 0);
    assert_int_equal(wh_days_from_civil(2000, 3, 1), 11017);
}

static void assert_utc(int64_t us, const char *expected)
{
    char text[32];

    assert_int_equal(wh_format_utc(us, text), strlen(expected));
    assert_string_equal(text, expected);
}

/* Red when a time stamp is off, also before 1970 and at the ends of its range. */
static void formats_utc(void **state)
{
    char expected[64];

    assert_utc(0, "1970-01-01T00:00:00.000Z");
    assert_utc(-1, "1969-12-31T23:59:59.999Z");
    assert_utc(951782399999999, "2000-02-28T23:59:59.999Z");
    assert_utc(1763773323456000, "2025-11-22T01:02:03.456Z");
    assert_utc(INT64_MAX, "9999-01-10T04:00:54.775Z");
    for (int64_t t = -2000000000; t < 4000000000; t += 86399 * 37) {
        time_t seconds = (time_t)t;
        struct tm tm;

        gmtime_r(&seconds, &tm);
        strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S.000Z", &tm);
        assert_utc(t * 1000000, expected);
    }
}

/* Red when a clock stands still, runs backwards or has another unit. */
static void clocks_run(void **state)
{
    int64_t start = wh_now_ns(), wall = wh_wall_us();

    wh_sleep_ms(20);
    wh_sleep_ms(-5);
    int64_t ns = wh_now_ns() - start, us = wh_wall_us() - wall;

    assert_true(ns >= 20000000 && ns < 20000000000);
    assert_true(us >= 15000 && us < 20000000);
    assert_true(wh_cpu_ns() > 0 && wh_cpu_ns() < 600000000000);
    assert_true(wall > 1600000000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_day),
        cmocka_unit_test(formats_utc),
        cmocka_unit_test(clocks_run),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
