/* SPDX-License-Identifier: Apache-2.0 */
/* What decoder and encoder of COPY BINARY share: big-endian words, numerics, the ranges of time.
 *
 * The format: PostgreSQL 15 manual, COPY, "Binary Format"; a row is an int16 count of fields, then
 * for each an int32 length (-1 = NULL) and the bytes that the type's send function makes.
 */
#ifndef WHERRY_CONNECTORS_SQL_PG_CODEC_H
#define WHERRY_CONNECTORS_SQL_PG_CODEC_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define PG_EPOCH_DAYS 10957                        /* 1970-01-01 to 2000-01-01 */
#define PG_EPOCH_US   INT64_C(946684800000000)     /* the same in microseconds */
#define PG_DAY_US     INT64_C(86400000000)         /* 24:00:00 is a time */
#define PG_MIN_TS     INT64_C(-211813488000000000) /* 4714-11-24 BC, us since 2000 */
#define PG_END_TS     INT64_C(9223371331200000000) /* 294277-01-01 */
#define PG_MIN_DATE   (-2451545) /* 4714-11-24 BC, days since 2000: Julian day 0 */
#define PG_END_DATE   2145031949 /* 5874898-01-01 */

static inline uint16_t pg_be16(const uint8_t *p)
{
    uint16_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap16(v);
}

static inline uint32_t pg_be32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap32(v);
}

static inline uint64_t pg_be64(const uint8_t *p)
{
    uint64_t v;

    memcpy(&v, p, sizeof v);
    return __builtin_bswap64(v);
}

static inline void pg_put16(uint8_t *p, uint16_t v)
{
    v = __builtin_bswap16(v);
    memcpy(p, &v, sizeof v);
}

static inline void pg_put32(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof v);
}

static inline void pg_put64(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof v);
}

/* ---- numeric -----------------------------------------------------------------------------------
 * int16 number of digits, int16 weight, uint16 sign, uint16 display scale, then digits of base
 * 10000: value = sum of digit[i] * 10000^(weight - i). */

enum pg_fit {
    PG_FIT_OK,
    PG_FIT_NAN,
    PG_FIT_INFINITY,
    PG_FIT_RANGE,     /* more digits than the precision, or than a numeric can have */
    PG_FIT_SCALE,     /* digits behind the scale would be lost */
    PG_FIT_SYNTAX,    /* encoder: no number */
    PG_FIT_MALFORMED, /* decoder: not what the format promises */
};

enum {
    PG_NUMERIC_HEAD = 8,
    PG_NUMERIC_128 = PG_NUMERIC_HEAD + 2 * 20, /* most bytes of a 128-bit value, any scale */
    PG_NUMERIC_256 = PG_NUMERIC_HEAD + 2 * 40,
    PG_NUMERIC_BEFORE = 131072, /* digits before the point */
    PG_NUMERIC_BEHIND = 16383,  /* and behind it: what the server takes */
};

/* A decimal column's shape, prepared once. */
struct pg_decimal {
    int precision, scale;
    unsigned __int128 limit; /* 10^precision where precision <= 38 */
    uint64_t limit256[4];    /* 10^precision */
    int groups, cut;         /* digits of base 10000 behind the point, decimals too many in them */
    bool fast;               /* may fit four such digits: scale is 0..16 */
};

void pg_decimal_init(struct pg_decimal *, int precision, int scale);
enum pg_fit pg_numeric_get128(const struct pg_decimal *, const uint8_t *p, size_t n, __int128 *ret);
enum pg_fit pg_numeric_get256(const struct pg_decimal *, const uint8_t *p, size_t n,
                              uint64_t ret_words_le[4]);
/* As the server prints it: 1.50, -0.001, NaN, Infinity. _size: most bytes that _text writes (0 is
 * never an answer for what is well-formed); _text returns the length, 0 = malformed. */
size_t pg_numeric_size(const uint8_t *p, size_t n);
size_t pg_numeric_text(const uint8_t *p, size_t n, char *out);

/* Each returns the bytes written: at most PG_NUMERIC_128 or _256. */
size_t pg_numeric_put128(const struct pg_decimal *, __int128, uint8_t *out);
size_t pg_numeric_put256(const struct pg_decimal *, const uint64_t words_le[4], uint8_t *out);
/* Text to numeric: as many decimals behind the point as are written there, less the exponent.
 * out has room for PG_NUMERIC_ROOM(n) bytes. */
#define PG_NUMERIC_ROOM(n) (PG_NUMERIC_HEAD + 2 * ((size_t)(n) / 4 + 2))
enum pg_fit pg_numeric_put_text(const char *s, size_t n, uint8_t *out, size_t *ret_n);

#endif
