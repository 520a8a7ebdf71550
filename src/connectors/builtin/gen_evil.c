/* SPDX-License-Identifier: Apache-2.0 */
/* evil: every type at its limits. Numbers, times and bytes here; texts in gen_evil_text.c, lists,
 * structs and maps in gen_evil_nested.c; which value a cell has is said in gen_evil.h. */
#include <math.h>

#include "gen_evil.h"
#include "data/number.h"

/* Random: r = gen_again(h). With a span: low + gen_below(r, span). Without: the lowest bits of
 * r >> ((h >> 8) mod 64), an arithmetic shift for signed types. */
static int64_t random_int(const struct gen_column *col, uint64_t h, bool is_signed)
{
    uint64_t r = gen_again(h);

    if (col->span)
        return col->low + (int64_t)gen_below(r, (uint64_t)col->span);
    return is_signed ? (int64_t)r >> (h >> 8 & 63) : (int64_t)(r >> (h >> 8 & 63));
}

static wh_status put_int(struct wh_column *out, int64_t v)
{
    switch (out->type.kind) {
    case WH_K_BOOL:
        return wh_col_i64(out, v & 1);
    case WH_K_I8:
        return wh_col_i64(out, (int8_t)v);
    case WH_K_I16:
        return wh_col_i64(out, (int16_t)v);
    case WH_K_I32:
    case WH_K_DATE32:
        return wh_col_i64(out, (int32_t)v);
    case WH_K_U8:
        return wh_col_u64(out, (uint8_t)v);
    case WH_K_U16:
        return wh_col_u64(out, (uint16_t)v);
    case WH_K_U32:
        return wh_col_u64(out, (uint32_t)v);
    case WH_K_U64:
        return wh_col_u64(out, (uint64_t)v);
    default:
        return wh_col_i64(out, v);
    }
}

static GEN_FILL(fill_int)
{
    bool is_signed = out->type.kind < WH_K_U8 || out->type.kind > WH_K_U64;

    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);

        if (at == GEN_EVIL_NULL)
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(put_int(out, at >= 0 ? ((const int64_t *)col->list)[at]
                                        : random_int(col, h, is_signed)));
    }
    return WH_OK;
}

/* Random: the bits of r (float32: its upper 32) as a float, with the exponent's highest bit cleared
 * where it would be infinite or no number. */
static double random_float(uint64_t r, bool is_double)
{
    uint32_t low = (uint32_t)(r >> 32);
    double d;
    float f;

    if (is_double) {
        if ((r >> 52 & 0x7FF) == 0x7FF)
            r &= ~(UINT64_C(1) << 62);
        memcpy(&d, &r, 8);
        return d;
    }
    if ((low >> 23 & 0xFF) == 0xFF)
        low &= ~(UINT32_C(1) << 30);
    memcpy(&f, &low, 4);
    return f;
}

static GEN_FILL(fill_float)
{
    bool is_double = out->type.kind == WH_K_F64;

    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);
        double v =
            at >= 0 ? ((const double *)col->list)[at] : random_float(gen_again(h), is_double);

        if (at == GEN_EVIL_NULL || (isnan(v) && !sc->opts.nan))
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_col_f64(out, v));
    }
    return WH_OK;
}

static unsigned __int128 ten_to(int n)
{
    unsigned __int128 v = 1;

    while (n-- > 0)
        v *= 10;
    return v;
}

static unsigned __int128 pair(uint64_t high, uint64_t low)
{
    return (unsigned __int128)high << 64 | low;
}

/* Random: the signed 128 bits (r1, r2) shifted right by (h >> 8) mod 128, remainder by
 * 10^precision, sign kept; r1 = gen_again(h), r2 = gen_again(r1). Specials: unscaled values. */
static wh_status put_dec128(const struct gen_column *col, struct wh_column *out, int64_t at,
                            uint64_t h)
{
    uint64_t r1 = gen_again(h), r2 = gen_again(r1);
    __int128 v = 0;

    if (at < 0)
        v = ((__int128)pair(r1, r2) >> (h >> 8 & 127)) % (__int128)ten_to(out->type.precision);
    else if (!wh_read_dec128(col->words[at], strlen(col->words[at]), 38, 0, &v))
        return WH_E_BUG;
    return wh_col_dec128(out, v);
}

/* a * b + c in 256 bits, little endian words. */
static void multiply_add(unsigned __int128 a, unsigned __int128 b, unsigned __int128 c,
                         uint64_t ret[4])
{
    uint64_t x[2] = {(uint64_t)a, (uint64_t)(a >> 64)}, y[2] = {(uint64_t)b, (uint64_t)(b >> 64)};

    ret[0] = (uint64_t)c;
    ret[1] = (uint64_t)(c >> 64);
    ret[2] = ret[3] = 0;
    for (int i = 0; i < 2; i++) {
        unsigned __int128 carry = 0;

        for (int j = 0; j < 2; j++) {
            carry += (unsigned __int128)x[i] * y[j] + ret[i + j];
            ret[i + j] = (uint64_t)carry;
            carry >>= 64;
        }
        for (int k = i + 2; k < 4; k++) {
            carry += ret[k];
            ret[k] = (uint64_t)carry;
            carry >>= 64;
        }
    }
}

static void negate(uint64_t w[4])
{
    unsigned __int128 carry = 1;

    for (int i = 0; i < 4; i++) {
        carry += (uint64_t)~w[i];
        w[i] = (uint64_t)carry;
        carry >>= 64;
    }
}

/* Random: a * 10^38 + b, negative where bit 16 of h is set; a = (r1, r2) >> ((h >> 8) mod 128) mod
 * 10^38, b = (r3, r4) mod 10^38, r(k+1) = gen_again(r(k)). */
static wh_status put_dec256(const struct gen_column *col, struct wh_column *out, int64_t at,
                            uint64_t h)
{
    uint64_t r1 = gen_again(h), r2 = gen_again(r1), r3 = gen_again(r2), r4 = gen_again(r3), w[4];

    if (at >= 0) {
        if (!wh_read_dec256(col->words[at], strlen(col->words[at]), 76, 0, w))
            return WH_E_BUG;
        return wh_col_dec256(out, w);
    }
    multiply_add((pair(r1, r2) >> (h >> 8 & 127)) % ten_to(38), ten_to(38),
                 pair(r3, r4) % ten_to(38), w);
    if (h >> 16 & 1)
        negate(w);
    return wh_col_dec256(out, w);
}

static GEN_FILL(fill_decimal)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);

        if (at == GEN_EVIL_NULL)
            WH_TRY(wh_col_null(out));
        else if (out->type.kind == WH_K_DEC256)
            WH_TRY(put_dec256(col, out, at, h));
        else
            WH_TRY(put_dec128(col, out, at, h));
    }
    return WH_OK;
}

struct bytes {
    const char *p;
    size_t n;
};

/* Random: gen_below(gen_again(h), 64) bytes (fixed: the width), byte k = the lowest 8 bits of
 * gen_at(h, k + 1). Special values of a fixed width are cut to it. */
static GEN_FILL(fill_bytes)
{
    size_t width = out->type.kind == WH_K_FIXED ? (size_t)out->width : 0;

    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);
        size_t n = width ? width : (size_t)gen_below(gen_again(h), 64);
        uint8_t random[64];

        if (at == GEN_EVIL_NULL) {
            WH_TRY(wh_col_null(out));
        } else if (at >= 0) {
            const struct bytes *v = (const struct bytes *)col->list + at;

            WH_TRY(wh_col_bytes(out, v->p, width ? width : v->n));
        } else {
            for (size_t k = 0; k < n; k++)
                random[k] = (uint8_t)gen_at(h, k + 1);
            WH_TRY(wh_col_bytes(out, random, n));
        }
    }
    return WH_OK;
}

struct interval {
    int32_t months, days;
    int64_t ns;
};

/* Random: months = (int32)r mod 1200 with its sign, days = (int32)(r >> 32) mod 1000 with its sign,
 * ns = signed gen_again(r) >> 20. */
static GEN_FILL(fill_interval)
{
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i), r = gen_again(h);
        int64_t at = gen_evil_pick(col, b, i, h);
        struct interval v = {(int32_t)r % 1200, (int32_t)(r >> 32) % 1000,
                             (int64_t)gen_again(r) >> 20};

        if (at == GEN_EVIL_NULL) {
            WH_TRY(wh_col_null(out));
            continue;
        }
        if (at >= 0)
            v = ((const struct interval *)col->list)[at];
        WH_TRY(wh_col_interval(out, v.months, v.days, v.ns));
    }
    return WH_OK;
}

/* Dictionary of all evil texts; random: as special. */
static GEN_FILL(fill_dict)
{
    struct wh_column *values = &out->children[0];

    while (values->n < col->count) {
        const char *s = col->words[values->n];

        WH_TRY(wh_put_bytes(values, s, strlen(s)));
    }
    for (int i = 0; i < b->n; i++) {
        uint64_t h = gen_evil_hash(col, b, i);
        int64_t at = gen_evil_pick(col, b, i, h);

        if (at == GEN_EVIL_NULL)
            WH_TRY(wh_col_null(out));
        else
            WH_TRY(wh_col_dict(out, at >= 0
                                        ? (int32_t)at
                                        : (int32_t)gen_below(gen_again(h), (uint64_t)col->count)));
    }
    return WH_OK;
}

/* ------------------------------------------------------------------------------- special values */

static const int64_t bools[] = {0, 1};
static const int64_t i8s[] = {0, 1, -1, INT8_MIN, INT8_MAX, INT8_MIN + 1, 10, -10, 99, 100};
static const int64_t i16s[] = {0, 1, -1, INT16_MIN, INT16_MAX, INT8_MIN, INT8_MAX, 128, 255, 256};
static const int64_t i32s[] = {0,         1,         -1,    INT32_MIN, INT32_MAX, INT32_MIN + 1,
                               INT16_MIN, INT16_MAX, 65535, 65536,     16777217,  -16777217};
static const int64_t i64s[] = {0,
                               1,
                               -1,
                               INT64_MIN,
                               INT64_MAX,
                               INT64_MIN + 1,
                               INT32_MIN,
                               INT32_MAX,
                               4294967295,
                               4294967296,
                               9007199254740993, /* not a double */
                               -9007199254740993,
                               999999999999999,
                               1000000000000000000};
static const int64_t u8s[] = {0, 1, 127, 128, 255};
static const int64_t u16s[] = {0, 1, 32767, 32768, 65535};
static const int64_t u32s[] = {0, 1, INT32_MAX, 2147483648, 4294967295};
static const int64_t u64s[] = {
    0, 1, INT64_MAX, INT64_MIN /* 2^63 */, -1 /* 2^64 - 1 */, 4294967296, 9007199254740993};
static const double f32s[] = {0.0,           -0.0,           1.0,
                              -1.0,          INFINITY,       -INFINITY,
                              NAN,           0x1.fffffep127, -0x1.fffffep127,
                              0x1p-126,      0x1p-149,       -0x1p-149,
                              0x1.99999ap-4, 16777216.0,     0x1.5555560p-2};
static const double f64s[] = {0.0,
                              -0.0,
                              1.0,
                              -1.0,
                              INFINITY,
                              -INFINITY,
                              NAN,
                              0x1.fffffffffffffp1023,
                              -0x1.fffffffffffffp1023,
                              0x1p-1022,
                              0x1p-1074,
                              -0x1p-1074,
                              0.1,
                              0.30000000000000004,
                              1e23,
                              9007199254740993.0,
                              1e15,
                              123456789.123456789,
                              48.053808600000004,
                              5e-324};
#define NINES9  "999999999"
#define NINES18 NINES9 NINES9
#define NINES38 NINES18 NINES18 "99"
static const char *const dec9s[] = {"0", "1", "-1", "100", "-100", NINES9, ("-" NINES9), "10", "5"};
static const char *const dec18s[] = {"0", "1", "-1", "10000", NINES18, "-" NINES18, NINES9, "5000"};
static const char *const dec38s[] = {"0",
                                     "1",
                                     "-1",
                                     NINES38,
                                     "-" NINES38,
                                     NINES18,
                                     "18446744073709551616",
                                     "-18446744073709551616",
                                     "9223372036854775808",
                                     "10000000000000000000000000000000000000",
                                     "100",
                                     "-5"};
static const char *const dec76s[] = {"0",
                                     "1",
                                     "-1",
                                     NINES38 NINES38,
                                     "-" NINES38 NINES38,
                                     NINES38,
                                     "340282366920938463463374607431768211456",
                                     "-170141183460469231731687303715884105728",
                                     "100000000000000000000000000000000000000"};
/* 0001-01-01, 9999-12-31, the epoch, leap days and days that are none, the calendar's change. */
static const int64_t dates[] = {-719162, 2932896, 0,     -1,      1,       11016, -25508,
                                -25509,  19782,   19783, -141428, -141427, 24855, 24856};
enum {
    DATES = 3652059 /* days of the years 1 to 9999 */
};
static const int64_t times_us[] = {0, 1, 43200000000, 86399999999, 86400000000, 1000000, 999999};
static const int64_t times_ns[] = {0, 1, 43200000000000, 86399999999999, 86400000000000, 999};
/* Years 1 and 9999, the epoch, one before, a leap day, an hour that summer time skips, 2038. */
#define INSTANTS(unit, last)                                                                       \
    {                                                                                              \
        -62135596800 * (unit), 253402300799 * (unit) + (last), 0, -1, 1, 951782400 * (unit),       \
            1710037800 * (unit), 2147483647 * (unit), -2147483649 * (unit),                        \
            1700000000 * (unit) + (last)                                                           \
    }
static const int64_t instants_s[] = INSTANTS(INT64_C(1), 0);
static const int64_t instants_ms[] = INSTANTS(INT64_C(1000), 999);
static const int64_t instants_us[] = INSTANTS(INT64_C(1000000), 999999);
static const int64_t instants_ns[] = {
    INT64_MAX,          INT64_MIN,           INT64_MIN + 1,      0, -1, 1,
    951782400000000000, 1710037800000000000, 1700000000123456789};
static const int64_t durations_s[] = {0, 1, -1, 9223372036, -9223372036, 86400, 3020399, -3020399};
static const int64_t durations_ms[] = {0, 1, -1, 9223372036854, -9223372036854, 86400000};
static const int64_t durations_us[] = {0, 1, -1, 9223372036854775, -9223372036854775, 86400000000};
static const int64_t durations_ns[] = {0, 1, -1, INT64_MAX, INT64_MIN, 86400000000000};
static const struct interval intervals[] = {{0, 0, 0},
                                            {1, 0, 0},
                                            {-1, 0, 0},
                                            {0, 1, 0},
                                            {0, -1, 0},
                                            {0, 0, 1},
                                            {0, 0, -1},
                                            {12, 0, 0},
                                            {1, -1, 1},
                                            {-14, 3, 86400000000000},
                                            {13, 30, 3600000000000},
                                            {INT32_MAX, INT32_MAX, INT64_MAX},
                                            {INT32_MIN, INT32_MIN, INT64_MIN}};
static const struct bytes binaries[] = {{"", 0},         {"\0", 1},    {"\0\0\0\0", 4},
                                        {"\xFF\xFE", 2}, {"\r\n", 2},  {"\\x41", 4},
                                        {"abc", 3},      {"\"',;", 4}, {"\xC3\x28", 2}};
static const struct bytes fixeds[] = {{"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16},
                                      {"\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF"
                                       "\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
                                       16},
                                      {"0123456789abcdef", 16},
                                      {"        \r\n\r\n\"\"''", 16}};
static const int64_t years[] = {0, 1901, 2155, 1970, 2024};

#define LIST(l)  .list = (l), .count = sizeof(l) / sizeof *(l), .nullable = true
#define TEXTS(l) .words = (l), .count = sizeof(l) / sizeof *(l), .nullable = true

const struct gen_column wh_gen_evil_value_columns[GEN_EVIL_VALUE_COLUMNS] = {
    {"id", "int64", wh_gen_fill_row, .key = 1, .low = 1},
    {"select", "bool", fill_int, LIST(bools)},
    {"i8", "int8", fill_int, LIST(i8s)},
    {"i16", "int16", fill_int, LIST(i16s)},
    {"na\xC3\xAFve \xE5\x88\x97", "int32", fill_int, LIST(i32s)},
    {"i64", "int64", fill_int, LIST(i64s)},
    {"u8", "uint8", fill_int, LIST(u8s)},
    {"u16", "uint16", fill_int, LIST(u16s)},
    {"u32", "uint32", fill_int, LIST(u32s)},
    {"u64", "uint64", fill_int, LIST(u64s)},
    {"f32", "float32", fill_float, LIST(f32s)},
    {"f64", "float64", fill_float, LIST(f64s)},
    {"dec9_2", "decimal(9,2)", fill_decimal, TEXTS(dec9s)},
    {"dec18_4", "decimal(18,4)", fill_decimal, TEXTS(dec18s)},
    {"dec38_0", "decimal(38,0)", fill_decimal, TEXTS(dec38s)},
    {"dec38_10", "decimal(38,10)", fill_decimal, TEXTS(dec38s)},
    {"dec38_38", "decimal(38,38)", fill_decimal, TEXTS(dec38s)},
    {"dec76_38", "decimal(76,38)", fill_decimal, TEXTS(dec76s)},
    {"bin", "binary", fill_bytes, LIST(binaries)},
    {"fix8", "fixed(8)", fill_bytes, LIST(fixeds)},
    {"uid", "uuid", fill_bytes, LIST(fixeds)},
    {"yr", "int16 year", fill_int, LIST(years), .low = 1901, .span = 255},
    {"d", "date", fill_int, LIST(dates), .low = -719162, .span = DATES},
    {"t_us", "time(us)", fill_int, LIST(times_us), .span = 86400000001},
    {"t_ns", "time(ns)", fill_int, LIST(times_ns), .span = 86400000000001},
    {"ts_s", "timestamp(s)", fill_int, LIST(instants_s), .low = -62135596800, .span = 315537897600},
    {"ts_ms", "timestamp(ms)", fill_int, LIST(instants_ms), .low = -62135596800000,
     .span = 315537897600000},
    {"ts_us", "timestamp(us)", fill_int, LIST(instants_us), .low = -62135596800000000,
     .span = 315537897600000000},
    {"ts_ns", "timestamp(ns)", fill_int, LIST(instants_ns)},
    {"tz_s", "timestamp(s, utc)", fill_int, LIST(instants_s), .low = -62135596800,
     .span = 315537897600},
    {"tz_ms", "timestamp(ms, utc)", fill_int, LIST(instants_ms), .low = -62135596800000,
     .span = 315537897600000},
    {"tz_us", "timestamp(us, utc)", fill_int, LIST(instants_us), .low = -62135596800000000,
     .span = 315537897600000000},
    {"tz_ns", "timestamp(ns, utc)", fill_int, LIST(instants_ns)},
    {"dur_s", "duration(s)", fill_int, LIST(durations_s), .low = -9223372036, .span = 18446744073},
    {"dur_ms", "duration(ms)", fill_int, LIST(durations_ms), .low = -9223372036854,
     .span = 18446744073709},
    {"dur_us", "duration(us)", fill_int, LIST(durations_us), .low = -9223372036854775,
     .span = 18446744073709551},
    {"dur_ns", "duration(ns)", fill_int, LIST(durations_ns)},
    {"iv", "interval", fill_interval, LIST(intervals)},
    {"dict", "dictionary<utf8>", fill_dict, .words = wh_gen_evil_texts, .count = GEN_EVIL_TEXTS,
     .nullable = true},
    {"i32", "int32", fill_int, LIST(i32s)},
};

static wh_status make(struct gen_scan *sc, struct gen_column **ret, int64_t *ret_n)
{
    int64_t n = GEN_EVIL_VALUE_COLUMNS + GEN_EVIL_TEXT_COLUMNS;
    struct gen_column *columns =
        wh_arena_alloc(sc->arena, (size_t)(n + GEN_EVIL_NESTED_COLUMNS) * sizeof *columns);

    if (!columns)
        return WH_E_NOMEM;
    memcpy(columns, wh_gen_evil_value_columns, sizeof wh_gen_evil_value_columns);
    memcpy(columns + GEN_EVIL_VALUE_COLUMNS, wh_gen_evil_text_columns,
           sizeof wh_gen_evil_text_columns);
    if (sc->opts.nested) {
        memcpy(columns + n, wh_gen_evil_nested_columns, sizeof wh_gen_evil_nested_columns);
        n += GEN_EVIL_NESTED_COLUMNS;
    }
    *ret = columns;
    *ret_n = n;
    return WH_OK;
}

static int64_t row_bytes(const struct gen_scan *sc)
{
    return 505 + sc->opts.big / 8192 + (sc->opts.nested ? 200 : 0);
}

const struct gen_shape wh_gen_evil = {
    .name = "evil",
    .comment = "every type at its limits, nulls, awkward texts, big cells; key id",
    .make = make,
    .setup = wh_gen_evil_setup,
    .block_rows = 16,
    .row_bytes = row_bytes,
};
