/* SPDX-License-Identifier: Apache-2.0 */
/* Digits in and out, eight at a time; shared by the files behind number.h, and by connectors whose
 * wire has decimals of its own. */
#ifndef WHERRY_DATA_DIGITS_H
#define WHERRY_DATA_DIGITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <wherry/status.h>

#define WH_E19 UINT64_C(10000000000000000000) /* 10^19: greatest power of ten in 64 bits */

extern WH_EXPORT const uint64_t wh_pow10_u64[20];
extern WH_EXPORT const char wh_two_digits[200]; /* "00" "01" ... "99" */

static inline bool wh_is_digit(char c)
{
    return (unsigned char)(c - '0') < 10;
}

/* Eight bytes are '0'..'9'? The high half of each must be 3, also after adding 6. */
static inline bool wh_eight_digits(uint64_t w)
{
    return ((w & (w + UINT64_C(0x0606060606060606))) & UINT64_C(0xF0F0F0F0F0F0F0F0)) ==
           UINT64_C(0x3030303030303030);
}

/* Value of eight digits, first digit in the lowest byte: pairs, then fours, then all. */
static inline uint64_t wh_eight_value(uint64_t w)
{
    w -= UINT64_C(0x3030303030303030);
    w = w * 10 + (w >> 8);
    return ((w & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x000F424000000064) +
            ((w >> 16) & UINT64_C(0x000000FF000000FF)) * UINT64_C(0x0000271000000001)) >>
           32;
}

/* n <= 19 digits; false if anything else is among them. n = 0 gives 0. */
static inline bool wh_digits_u64(const char *s, size_t n, uint64_t *ret)
{
    uint64_t v = 0, w;

    for (; n >= 8; s += 8, n -= 8) {
        memcpy(&w, s, 8);
        if (!wh_eight_digits(w))
            return false;
        v = v * 100000000 + wh_eight_value(w);
    }
    for (; n; s++, n--) {
        if (!wh_is_digit(*s))
            return false;
        v = v * 10 + (uint64_t)(*s - '0');
    }
    *ret = v;
    return true;
}

static inline void wh_put2(char *out, unsigned v)
{
    memcpy(out, wh_two_digits + 2 * v, 2);
}

/* Decimal digits of v: 1..20. */
static inline int wh_count_digits(uint64_t v)
{
    int guess = ((64 - __builtin_clzll(v | 1)) * 1233) >> 12; /* log10(2) = 1233 / 4096 */

    return guess + (guess < 20 && v >= wh_pow10_u64[guess]) + (v == 0);
}

/* Eight digits of v < 10^8, the first in the lowest byte: halves, quarters, digits side by side in
 * one word; without the '0' that makes them text. */
static inline uint64_t wh_eight_of(uint64_t v)
{
    uint64_t halves = v / 10000 | (v % 10000) << 32;
    uint64_t hundreds = (halves * 10486 >> 20) & UINT64_C(0x0000007F0000007F);
    uint64_t pairs = hundreds + ((halves - 100 * hundreds) << 16);
    uint64_t tens = (pairs * 103 >> 10) & UINT64_C(0x000F000F000F000F);

    return tens + ((pairs - 10 * tens) << 8);
}

/* Exactly eight digits, v < 10^8. */
static inline void wh_put8(char *out, uint64_t v)
{
    uint64_t text = wh_eight_of(v) | UINT64_C(0x3030303030303030);

    memcpy(out, &text, 8);
}

/* The 1 to 8 digits of v < 10^8, by their number; eight bytes of `out` are written. */
static inline size_t wh_put_upto8(char *out, uint64_t v)
{
    uint64_t digits = wh_eight_of(v);
    unsigned zeros = (unsigned)__builtin_ctzll(digits | UINT64_C(1) << 56) >> 3;
    uint64_t text = (digits | UINT64_C(0x3030303030303030)) >> (8 * zeros);

    memcpy(out, &text, 8);
    return 8 - zeros;
}

/* All digits of v: 1 to 20. No byte behind the twentieth is written. */
static inline size_t wh_put_u64(char *out, uint64_t v)
{
    const uint64_t e8 = 100000000;
    uint64_t high = v / e8;
    size_t n;

    if (v < e8)
        return wh_put_upto8(out, v);
    if (high < e8) {
        n = wh_put_upto8(out, high);
        wh_put8(out + n, v - high * e8);
        return n + 8;
    }
    n = wh_put_upto8(out, high / e8); /* up to four of them */
    wh_put8(out + n, high % e8);
    wh_put8(out + n + 8, v - high * e8);
    return n + 16;
}

/* Writes exactly n digits (leading zeros), v < 10^n. */
static inline void wh_put_digits(char *out, uint64_t v, int n)
{
    for (; n >= 8; n -= 8) {
        uint64_t rest = v / 100000000;

        wh_put8(out + n - 8, v - rest * 100000000);
        v = rest;
    }
    for (; n >= 2; n -= 2) {
        wh_put2(out + n - 2, (unsigned)(v % 100));
        v /= 100;
    }
    if (n)
        *out = (char)('0' + v % 10);
}

/* A decimal number in text, taken apart: value = +-D * 10^exponent where D's digits are those of
 * a[0..a_n) and b[0..b_n) (before and behind the point), without leading or trailing zeros.
 * D is empty for zero. */
struct wh_decimal_text {
    bool negative;
    const char *a, *b;
    size_t a_n, b_n;
    int64_t exponent;
};

/* [-+]? digits, a point anywhere but at least one digit, [eE][-+]?digits; the whole text. */
WH_EXPORT bool wh_scan_decimal(const char *s, size_t n, struct wh_decimal_text *ret);

/* number_float.c: is the number exactly this finite float? */
bool wh_decimal_is_float(const struct wh_decimal_text *, double);

/* The first `max` digits of D as a number (max <= 19); returns how many there were (<= max). */
int wh_decimal_head(const struct wh_decimal_text *, int max, uint64_t *ret);

enum wh_unscaled {
    WH_UNSCALED_OK,
    WH_UNSCALED_DIGITS, /* digits behind the scale would be lost */
    WH_UNSCALED_RANGE,  /* more digits than the precision */
};
enum wh_unscaled wh_decimal_to128(const struct wh_decimal_text *, int precision, int scale,
                                  __int128 *ret);
enum wh_unscaled wh_decimal_to256(const struct wh_decimal_text *, int precision, int scale,
                                  uint64_t ret[4]);

/* Writes sign, digits[0..n) (no leading zeros, n >= 1) with the point `scale` digits from the
 * right; zeros are added where the scale asks for them. */
size_t wh_place_point(bool negative, const char *digits, size_t n, int scale, char *out);

/* 256-bit two's complement, little-endian words. */
WH_EXPORT void wh_256_negate(uint64_t w[4]);
WH_EXPORT bool wh_256_mul_add(uint64_t w[4], uint64_t m,
                              uint64_t add);              /* unsigned; false on overflow */
WH_EXPORT uint64_t wh_256_div(uint64_t w[4], uint64_t d); /* unsigned, in place; remainder */

#endif
