/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "data/number.h"
#include "data/type.h"

#include <string.h>

static void integers(const char *s, size_t n)
{
    char text[20];
    int64_t v, back;
    uint64_t u, again;

    if (wh_read_i64(s, n, &v)) {
        size_t k = wh_print_i64(v, text);

        FUZZ_CHECK(k <= n + 1 && wh_read_i64(text, k, &back) && back == v);
    }
    if (wh_read_u64(s, n, &u)) {
        size_t k = wh_print_u64(u, text);

        FUZZ_CHECK(wh_read_u64(text, k, &again) && again == u);
    }
}

/* Whatever is read is what the C library reads; what is printed reads back. */
static void floats(const char *s, size_t n)
{
    double v, back, libc;
    float f, fback;
    char text[32], *end;
    char *copy = malloc(n + 1);

    FUZZ_CHECK(copy);
    memcpy(copy, s, n);
    copy[n] = 0;
    if (wh_read_f64(s, n, &v)) {
        libc = strtod(copy, &end);
        FUZZ_CHECK(end == copy + n);
        FUZZ_CHECK(v != v ? libc != libc : memcmp(&v, &libc, sizeof v) == 0);
        size_t k = wh_print_f64(v, text);

        FUZZ_CHECK(wh_read_f64(text, k, &back));
        FUZZ_CHECK(v != v ? back != back : memcmp(&v, &back, sizeof v) == 0);
    }
    if (wh_read_f32(s, n, &f)) {
        float other = strtof(copy, &end);

        FUZZ_CHECK(f != f ? other != other : memcmp(&f, &other, sizeof f) == 0);
        size_t k = wh_print_f32(f, text);

        FUZZ_CHECK(wh_read_f32(text, k, &fback));
        FUZZ_CHECK(f != f ? fback != fback : memcmp(&f, &fback, sizeof f) == 0);
    }
    if (n >= sizeof v) { /* the bytes as a double, too */
        memcpy(&v, s, sizeof v);
        size_t k = wh_print_f64(v, text);

        FUZZ_CHECK(k <= sizeof text && wh_read_f64(text, k, &back));
        FUZZ_CHECK(v != v ? back != back : memcmp(&v, &back, sizeof v) == 0);
    }
    free(copy);
}

static void decimals(const char *s, size_t n, uint8_t shape)
{
    int precision = 1 + shape % 76, scale = shape % 7 * precision / 6;
    uint64_t w[4], wback[4];
    __int128 v, back;
    char text[160];

    if (wh_read_dec256(s, n, precision, scale, w)) {
        size_t k = wh_print_dec256(w, scale, text);

        FUZZ_CHECK(k <= sizeof text && wh_read_dec256(text, k, precision, scale, wback));
        FUZZ_CHECK(memcmp(w, wback, sizeof w) == 0);
        FUZZ_CHECK(precision > 38 || wh_read_dec128(s, n, precision, scale, &v));
    }
    if (precision <= 38 && wh_read_dec128(s, n, precision, scale, &v)) {
        size_t k = wh_print_dec128(v, scale, text);

        FUZZ_CHECK(k <= 80 && wh_read_dec128(text, k, precision, scale, &back) && back == v);
        FUZZ_CHECK(wh_read_dec256(s, n, precision, scale, w));
    }
}

static void times(const char *s, size_t n, uint8_t shape)
{
    int unit = shape & 3;
    int64_t v, back;
    int32_t day, day_back;
    bool zoned, was_zoned;
    char text[40];

    if (wh_read_date(s, n, &day)) {
        size_t k = wh_print_date(day, text);

        FUZZ_CHECK(k <= 16 && wh_read_date(text, k, &day_back) && day == day_back);
    }
    if (wh_read_time_ns(s, n, &v)) {
        size_t k = wh_print_time(v, WH_NANO, text);

        FUZZ_CHECK(k <= 32 && wh_read_time_ns(text, k, &back) && back == v);
    }
    if (wh_read_timestamp(s, n, unit, &v, &zoned)) {
        size_t k = wh_print_timestamp(v, unit, zoned, text);

        FUZZ_CHECK(k <= sizeof text && wh_read_timestamp(text, k, unit, &back, &was_zoned));
        FUZZ_CHECK(back == v && zoned == was_zoned);
    }
    if (n >= sizeof v) {
        memcpy(&v, s, sizeof v);
        size_t k = wh_print_timestamp(v, unit, false, text);

        FUZZ_CHECK(k <= sizeof text && wh_read_timestamp(text, k, unit, &back, &was_zoned));
        FUZZ_CHECK(back == v && !was_zoned);
    }
}

static void spans(const char *s, size_t n, uint8_t shape)
{
    int unit = shape & 3;
    int64_t v, back;
    int32_t months, days, m, d;
    char text[64];

    if (wh_read_duration(s, n, unit, &v)) {
        size_t k = wh_print_duration(v, unit, text);

        FUZZ_CHECK(k <= sizeof text && wh_read_duration(text, k, unit, &back) && back == v);
    }
    if (wh_read_interval(s, n, &months, &days, &v)) {
        size_t k = wh_print_interval(months, days, v, text);

        FUZZ_CHECK(k <= sizeof text && wh_read_interval(text, k, &m, &d, &back));
        FUZZ_CHECK(m == months && d == days && back == v);
    }
}

/* Red when a reader leaves its input, disagrees with the C library about a float, or reads what its
 * printer does not give back. First byte: precision, scale, unit. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 1)
        return 0;
    const char *s = (const char *)data + 1;

    n--;
    integers(s, n);
    floats(s, n);
    decimals(s, n, *data);
    times(s, n, *data);
    spans(s, n, *data);
    return 0;
}
