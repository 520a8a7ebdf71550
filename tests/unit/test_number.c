/* SPDX-License-Identifier: Apache-2.0 */
/* Integers, decimals, dates and times; floats are judged by tests/lattice/floats.py. */
#include "test.h"

#include "core/clock.h"
#include "data/number.h"
#include "data/type.h"

#include <stdlib.h>

static uint64_t seed;

static uint64_t next_random(void)
{
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed * UINT64_C(0x2545F4914F6CDD1D);
}

static int start(void **state)
{
    const char *text = getenv("WH_TEST_SEED");

    seed = text ? strtoull(text, NULL, 10) : 0;
    seed = seed ? seed : (uint64_t)wh_now_ns();
    print_message("seed %llu (WH_TEST_SEED)\n", (unsigned long long)seed);
    return 0;
}

/* Red when an integer changes on its way through text, checked against printf. */
static void integers(void **state)
{
    char mine[24], libc[24];

    for (int i = 0; i < 200000; i++) {
        uint64_t u = next_random() >> (next_random() & 63), back;
        int64_t v = (int64_t)(i & 1 ? u : 0 - u), read;

        if (i < 20)
            u = i < 10 ? (uint64_t)i : UINT64_MAX - (uint64_t)(i - 10);
        mine[wh_print_i64(v, mine)] = 0;
        snprintf(libc, sizeof libc, "%lld", (long long)v);
        assert_string_equal(mine, libc);
        assert_true(wh_read_i64(mine, strlen(mine), &read));
        assert_int_equal(read, v);
        mine[wh_print_u64(u, mine)] = 0;
        snprintf(libc, sizeof libc, "%llu", (unsigned long long)u);
        assert_string_equal(mine, libc);
        assert_true(wh_read_u64(mine, strlen(mine), &back));
        assert_true(back == u);
    }
}

/* Red when a text that is no 64-bit integer is read, or one that is, is not. */
static void integer_edges(void **state)
{
    static const struct {
        const char *s;
        bool i64, u64;
    } cases[] = {
        {"9223372036854775807", true, true},
        {"9223372036854775808", false, true},
        {"-9223372036854775808", true, false},
        {"-9223372036854775809", false, false},
        {"18446744073709551615", false, true},
        {"18446744073709551616", false, false},
        {"99999999999999999999", false, false},
        {"100000000000000000000", false, false},
        {"0000000000000000000000000000000000000001", true, true},
        {"00000000000000000000099999999999999999999", false, false},
        {"+7", true, true},
        {"-0", true, true},
        {"-1", true, false},
        {"", false, false},
        {"+", false, false},
        {"-", false, false},
        {"--1", false, false},
        {"+-1", false, false},
        {" 1", false, false},
        {"1 ", false, false},
        {"1.0", false, false},
        {"1e3", false, false},
        {"12345678x", false, false},
        {"x12345678", false, false},
        {"1234567:", false, false},
        {"1234567/", false, false},
        {"\xB1\xB2\xB3\xB4\xB5\xB6\xB7\xB8", false, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t v;
        uint64_t u;

        if (wh_read_i64(cases[i].s, strlen(cases[i].s), &v) != cases[i].i64 ||
            wh_read_u64(cases[i].s, strlen(cases[i].s), &u) != cases[i].u64)
            fail_msg("'%s'", cases[i].s);
    }
}

/* Red when any byte among digits is taken for a digit, at any place of any length. */
static void every_byte(void **state)
{
    char text[24];

    for (size_t n = 1; n <= 19; n++)
        for (size_t at = 0; at < n; at++)
            for (int c = 0; c < 256; c++) {
                int64_t v;
                bool digit = c >= '0' && c <= '9',
                     sign = at == 0 && n > 1 && (c == '-' || c == '+');

                memset(text, '1', n);
                text[at] = (char)c;
                if (wh_read_i64(text, n, &v) != (digit || sign))
                    fail_msg("byte %d at %zu of %zu", c, at, n);
            }
}

/* Red when a decimal loses or gains a digit, sign or zero. */
static void decimals(void **state)
{
    static const struct {
        const char *s;
        int precision, scale;
        const char *printed; /* NULL: must be refused */
    } cases[] = {
        {"0", 5, 2, "0.00"},
        {"-0.00", 5, 2, "0.00"},
        {"1.5", 5, 2, "1.50"},
        {"-.5", 5, 2, "-0.50"},
        {"5.", 5, 2, "5.00"},
        {"999.99", 5, 2, "999.99"},
        {"1000", 5, 2, NULL},
        {"0.001", 5, 2, NULL},
        {"0.0010", 5, 3, "0.001"},
        {"1.500000000000000000000000000000000000000000000000000", 5, 2, "1.50"},
        {"00000000000000000000000000000000000000000000000000001.5", 5, 2, "1.50"},
        {"15e-1", 5, 2, "1.50"},
        {"0.00015E4", 5, 2, "1.50"},
        {"1e2", 5, 2, "100.00"},
        {"1e3", 5, 2, NULL},
        {"1e999999999999999999999", 38, 0, NULL},
        {"0e999999999999999999999", 38, 0, "0"},
        {"1e-999999999999999999999", 38, 0, NULL},
        {"12345678901234567890123456789012345678", 38, 0, "12345678901234567890123456789012345678"},
        {"-99999999999999999999999999999999999999", 38, 0,
         "-99999999999999999999999999999999999999"},
        {"100000000000000000000000000000000000000", 38, 0, NULL},
        {"0.00000000000000000000000000000000000001", 38, 38,
         "0.00000000000000000000000000000000000001"},
        {"12000", 5, -3, "12000"},
        {"12345", 5, -3, NULL},
        {"0", 5, -3, "0"},
        {"0.00012", 2, 5, "0.00012"},
        {"", 5, 2, NULL},
        {".", 5, 2, NULL},
        {"-", 5, 2, NULL},
        {"1e", 5, 2, NULL},
        {"1e+", 5, 2, NULL},
        {"e5", 5, 2, NULL},
        {"1.2.3", 5, 2, NULL},
        {" 1", 5, 2, NULL},
        {"1 ", 5, 2, NULL},
        {"NaN", 5, 2, NULL},
        {"12,5", 5, 2, NULL},
    };
    char out[160];

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = strlen(cases[i].s);
        uint64_t w[4];
        __int128 v;
        bool ok = wh_read_dec128(cases[i].s, n, cases[i].precision, cases[i].scale, &v);

        if (ok != (cases[i].printed != NULL) ||
            ok != wh_read_dec256(cases[i].s, n, cases[i].precision, cases[i].scale, w))
            fail_msg("'%s' as decimal(%d,%d)", cases[i].s, cases[i].precision, cases[i].scale);
        if (!ok)
            continue;
        out[wh_print_dec128(v, cases[i].scale, out)] = 0;
        assert_string_equal(out, cases[i].printed);
        out[wh_print_dec256(w, cases[i].scale, out)] = 0;
        assert_string_equal(out, cases[i].printed);
    }
}

/* Red when a wide decimal of any length does not come back digit by digit. */
static void wide_decimals(void **state)
{
    char text[100], out[160];

    for (int i = 0; i < 50000; i++) {
        int digits = 1 + (int)(next_random() % 76),
            scale = (int)(next_random() % (unsigned)(digits + 1));
        size_t n = 0;
        uint64_t w[4];

        if (i & 1)
            text[n++] = '-';
        for (int k = 0; k < digits; k++) {
            if (k == digits - scale)
                text[n++] = '.';
            text[n++] = (char)('0' + (k == 0 ? 1 + next_random() % 9 : next_random() % 10));
        }
        if (scale == digits) /* ".5" prints with its zero */
            continue;
        text[n] = 0;
        assert_true(wh_read_dec256(text, n, digits, scale, w));
        out[wh_print_dec256(w, scale, out)] = 0;
        assert_string_equal(out, text);
        __int128 v;

        assert_int_equal(wh_read_dec128(text, n, 38, scale, &v), digits <= 38);
    }
}

/* Red when a day of ten thousand years, forwards and backwards, is another day as text. */
static void every_day(void **state)
{
    char text[16], again[16];
    int64_t y;
    unsigned m, d;

    for (int32_t day = -1500000; day < 3700000; day++) {
        int32_t back;
        size_t n = wh_print_date(day, text);

        wh_civil_from_days(day, &y, &m, &d);
        size_t k = (size_t)snprintf(again, sizeof again, "%s%04lld-%02u-%02u", y < 0 ? "-" : "",
                                    (long long)(y < 0 ? -y : y), m % 100, d % 100);

        if (n != k || memcmp(text, again, n) != 0 || !wh_read_date(text, n, &back) || back != day)
            fail_msg("day %d: %.*s, %s", day, (int)n, text, again);
    }
}

/* Red when an instant changes on its way through text in any unit, or a finer text is cut. */
static void instants(void **state)
{
    char text[40];

    for (int i = 0; i < 400000; i++) {
        int unit = i % 4;
        int64_t v = (int64_t)(next_random() >> (next_random() & 63)), back;
        bool zoned = i & 8, was_zoned;

        if (i & 16)
            v = -v;
        if (i < 64)
            v = i & 32 ? INT64_MIN + i : INT64_MAX - i;
        size_t n = wh_print_timestamp(v, unit, zoned, text);

        if (!wh_read_timestamp(text, n, unit, &back, &was_zoned) || back != v || zoned != was_zoned)
            fail_msg("%lld in unit %d: %.*s", (long long)v, unit, (int)n, text);
        if (unit > WH_SECOND && memchr(text, '.', n)) {
            const char *dot = memchr(text, '.', n);
            bool finer = n - (size_t)(dot - text) - 1 - zoned > 3u * (unsigned)(unit - 1);

            assert_int_equal(wh_read_timestamp(text, n, unit - 1, &back, &was_zoned), !finer);
        }
    }
}

/* Red when a clock or zone is read that no clock shows, or one that exists is not. */
static void clocks(void **state)
{
    static const struct {
        const char *s;
        int64_t ns; /* -1: refused */
    } times[] = {
        {"00:00", 0},
        {"24:00:00", 86400000000000},
        {"24:00:00.000000000", 86400000000000},
        {"24:00:01", -1},
        {"23:59:60", -1},
        {"12:60", -1},
        {"1:02", -1},
        {"01:02:03.", -1},
        {"01:02:03.1", 3723100000000},
        {"01:02:03.123456789", 3723123456789},
        {"01:02:03.1234567890", -1},
        {"01:02:03,5", -1},
        {"", -1},
    };
    static const struct {
        const char *s;
        bool ok, zoned;
        int64_t seconds;
    } stamps[] = {
        {"1970-01-01T00:00:00Z", true, true, 0},
        {"1970-01-01 02:00:00+02", true, true, 0},
        {"1970-01-01 00:00:00-0330", true, true, 12600},
        {"1970-01-01 05:30:15+05:30:15", true, true, 0},
        {"1970-01-01 00:00", true, false, 0},
        {"1970-01-01 24:00:00", true, false, 86400},
        {"1970-01-01 00:00:00 Z", false, false, 0},
        {"1970-01-01 00:00:00+2", false, false, 0},
        {"1970-01-01 00:00:00+24", false, false, 0},
        {"1970-01-01 00:00:00+02:", false, false, 0},
        {"1970-01-01", false, false, 0},
        {"1970-01-01 ", false, false, 0},
        {"1970-02-29 00:00:00", false, false, 0},
        {"0000-00-00 00:00:00", false, false, 0},
        {"1970-01-01 00:00:00.5", false, false, 0},
        {"1970-01-01 00:00:00.000", true, false, 0},
    };
    int64_t v;
    bool zoned;

    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (wh_read_time_ns(times[i].s, strlen(times[i].s), &v) != (times[i].ns >= 0) ||
            (times[i].ns >= 0 && v != times[i].ns))
            fail_msg("time '%s'", times[i].s);
    for (size_t i = 0; i < sizeof stamps / sizeof stamps[0]; i++)
        if (wh_read_timestamp(stamps[i].s, strlen(stamps[i].s), WH_SECOND, &v, &zoned) !=
                stamps[i].ok ||
            (stamps[i].ok && (v != stamps[i].seconds || zoned != stamps[i].zoned)))
            fail_msg("timestamp '%s'", stamps[i].s);
}

/* Red when an interval or duration does not come back. */
static void spans(void **state)
{
    char text[64];

    for (int i = 0; i < 100000; i++) {
        int32_t months = (int32_t)(next_random() >> (32 + (next_random() & 31))), days, m, d;
        int64_t ns = (int64_t)(next_random() >> (next_random() & 63)), n2, v;
        int unit = i % 4;

        months = i & 4 ? -months : months;
        days = i & 8 ? -months / 3 : months / 5;
        ns = i & 16 ? -ns : ns;
        if (i == 0)
            months = INT32_MIN, days = INT32_MIN, ns = INT64_MIN;
        size_t n = wh_print_interval(months, days, ns, text);

        if (!wh_read_interval(text, n, &m, &d, &n2) || m != months || d != days || n2 != ns)
            fail_msg("interval %.*s", (int)n, text);
        n = wh_print_duration(ns, unit, text);
        if (!wh_read_duration(text, n, unit, &v) || v != ns)
            fail_msg("duration %.*s", (int)n, text);
    }
    assert_false(wh_read_duration("P1M", 3, WH_SECOND, &(int64_t){0}));
    assert_false(wh_read_duration("PT0.5S", 6, WH_SECOND, &(int64_t){0}));
    assert_false(wh_read_duration("P", 1, WH_SECOND, &(int64_t){0}));
    assert_false(wh_read_duration("PT", 2, WH_SECOND, &(int64_t){0}));
    assert_false(wh_read_duration("PT1S1M", 6, WH_SECOND, &(int64_t){0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers), cmocka_unit_test(integer_edges), cmocka_unit_test(every_byte),
        cmocka_unit_test(decimals), cmocka_unit_test(wide_decimals), cmocka_unit_test(every_day),
        cmocka_unit_test(instants), cmocka_unit_test(clocks),        cmocka_unit_test(spans),
    };

    return cmocka_run_group_tests(tests, start, NULL);
}
