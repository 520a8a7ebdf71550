/* SPDX-License-Identifier: Apache-2.0 */
/* Decimals as text: never through a double. */
#include "data/number.h"
#include "data/digits.h"

#define EXPONENT_MAX 100000000 /* beyond, every non-zero number is out of any range we know */

static const char *skip_digits(const char *s, const char *end)
{
    uint64_t w;

    while (end - s >= 8) {
        memcpy(&w, s, 8);
        if (!wh_eight_digits(w))
            break;
        s += 8;
    }
    while (s < end && wh_is_digit(*s))
        s++;
    return s;
}

/* Behind the 'e'; the sign's digits may be any number. */
static bool scan_exponent(const char *s, const char *end, int64_t *ret)
{
    bool negative = s < end && *s == '-';
    int64_t v = 0;

    if (s < end && (*s == '-' || *s == '+'))
        s++;
    if (s == end)
        return false;
    for (; s < end; s++) {
        if (!wh_is_digit(*s))
            return false;
        if (v < EXPONENT_MAX)
            v = v * 10 + (*s - '0');
    }
    *ret = negative ? -v : v;
    return true;
}

bool wh_scan_decimal(const char *s, size_t n, struct wh_decimal_text *ret)
{
    struct wh_decimal_text t = {.negative = n && *s == '-'};
    const char *end = s + n;
    int64_t exponent = 0;

    if (n && (*s == '-' || *s == '+'))
        s++;
    t.a = s;
    s = skip_digits(s, end);
    t.a_n = (size_t)(s - t.a);
    t.b = s;
    if (s < end && *s == '.') {
        t.b = ++s;
        s = skip_digits(s, end);
        t.b_n = (size_t)(s - t.b);
    }
    if (t.a_n + t.b_n == 0)
        return false;
    if (s < end && !((*s == 'e' || *s == 'E') && scan_exponent(s + 1, end, &exponent)))
        return false;
    exponent -= (int64_t)t.b_n;
    while (t.b_n && t.b[t.b_n - 1] == '0') {
        t.b_n--;
        exponent++;
    }
    while (t.a_n && *t.a == '0') {
        t.a++;
        t.a_n--;
    }
    if (t.a_n == 0)
        while (t.b_n && *t.b == '0') {
            t.b++;
            t.b_n--;
        }
    if (t.b_n == 0)
        while (t.a_n && t.a[t.a_n - 1] == '0') {
            t.a_n--;
            exponent++;
        }
    t.exponent = t.a_n + t.b_n ? exponent : 0;
    *ret = t;
    return true;
}

int wh_decimal_head(const struct wh_decimal_text *t, int max, uint64_t *ret)
{
    size_t a = t->a_n < (size_t)max ? t->a_n : (size_t)max;
    size_t b = t->b_n < (size_t)max - a ? t->b_n : (size_t)max - a;
    uint64_t high = 0, low = 0;

    (void)wh_digits_u64(t->a, a, &high);
    (void)wh_digits_u64(t->b, b, &low);
    *ret = high * wh_pow10_u64[b] + low;
    return (int)(a + b);
}

/* ---------------------------------------------------------- 256-bit integers */

void wh_256_negate(uint64_t w[4])
{
    unsigned carry = 1;

    for (int i = 0; i < 4; i++) {
        w[i] = ~w[i] + carry;
        carry = carry && w[i] == 0;
    }
}

bool wh_256_mul_add(uint64_t w[4], uint64_t m, uint64_t add)
{
    for (int i = 0; i < 4; i++) {
        unsigned __int128 p = (unsigned __int128)w[i] * m + add;

        w[i] = (uint64_t)p;
        add = (uint64_t)(p >> 64);
    }
    return add == 0;
}

uint64_t wh_256_div(uint64_t w[4], uint64_t d)
{
    unsigned __int128 rest = 0;

    for (int i = 3; i >= 0; i--) {
        rest = rest << 64 | w[i];
        w[i] = (uint64_t)(rest / d);
        rest %= d;
    }
    return (uint64_t)rest;
}

/* ------------------------------------------------------------------- reading */

static enum wh_unscaled check_room(const struct wh_decimal_text *t, int precision, int scale)
{
    int64_t digits = (int64_t)(t->a_n + t->b_n), shift = t->exponent + scale;

    if (digits == 0)
        return WH_UNSCALED_OK;
    if (digits + shift > precision)
        return WH_UNSCALED_RANGE;
    return shift < 0 ? WH_UNSCALED_DIGITS : WH_UNSCALED_OK;
}

/* Feeds D * 10^zeros to an accumulator, up to 19 digits at a time. */
static void accumulate256(uint64_t w[4], const char *s, size_t n)
{
    uint64_t chunk = 0;

    while (n) {
        size_t k = n < 19 ? n : 19;

        (void)wh_digits_u64(s, k, &chunk);
        (void)wh_256_mul_add(w, wh_pow10_u64[k], chunk);
        s += k;
        n -= k;
    }
}

static void accumulate128(unsigned __int128 *v, const char *s, size_t n)
{
    uint64_t chunk = 0;

    while (n) {
        size_t k = n < 19 ? n : 19;

        (void)wh_digits_u64(s, k, &chunk);
        *v = *v * wh_pow10_u64[k] + chunk;
        s += k;
        n -= k;
    }
}

enum wh_unscaled wh_decimal_to128(const struct wh_decimal_text *t, int precision, int scale,
                                  __int128 *ret)
{
    enum wh_unscaled fit = check_room(t, precision, scale);
    unsigned __int128 v = 0;

    if (fit != WH_UNSCALED_OK)
        return fit;
    if (t->a_n + t->b_n) {
        accumulate128(&v, t->a, t->a_n);
        accumulate128(&v, t->b, t->b_n);
        for (int64_t zeros = t->exponent + scale; zeros > 0; zeros -= 19)
            v *= wh_pow10_u64[zeros < 19 ? zeros : 19];
    }
    *ret = t->negative ? -(__int128)v : (__int128)v;
    return WH_UNSCALED_OK;
}

enum wh_unscaled wh_decimal_to256(const struct wh_decimal_text *t, int precision, int scale,
                                  uint64_t ret[4])
{
    enum wh_unscaled fit = check_room(t, precision, scale);
    uint64_t w[4] = {0};

    if (fit != WH_UNSCALED_OK)
        return fit;
    if (t->a_n + t->b_n) {
        accumulate256(w, t->a, t->a_n);
        accumulate256(w, t->b, t->b_n);
        for (int64_t zeros = t->exponent + scale; zeros > 0; zeros -= 19)
            (void)wh_256_mul_add(w, wh_pow10_u64[zeros < 19 ? zeros : 19], 0);
    }
    if (t->negative)
        wh_256_negate(w);
    memcpy(ret, w, sizeof w);
    return WH_UNSCALED_OK;
}

/* Up to 18 digits and a point that the scale has room for. False: look closer. */
static bool read_short(const char *s, size_t n, int precision, int scale, __int128 *ret)
{
    bool negative = n && *s == '-';
    const char *end = s + n, *point = end, *point_at = NULL;
    uint64_t v = 0;

    s += negative;
    if (n > 18 || s == end)
        return false;
    for (; s < end; s++) {
        if (wh_is_digit(*s))
            v = v * 10 + (uint64_t)(*s - '0');
        else if (*s == '.' && !point_at)
            point = (point_at = s) + 1;
        else
            return false;
    }
    int zeros = scale - (int)(end - point), digits = (int)n - negative - (int)(point_at != NULL);

    if (digits == 0 || zeros < 0 || zeros > 18)
        return false;
    unsigned __int128 wide = (unsigned __int128)v * wh_pow10_u64[zeros], limit;

    limit =
        (unsigned __int128)wh_pow10_u64[precision / 2] * wh_pow10_u64[precision - precision / 2];
    if (wide >= limit)
        return false;
    *ret = negative ? -(__int128)wide : (__int128)wide;
    return true;
}

bool wh_read_dec128(const char *s, size_t n, int precision, int scale, __int128 *ret)
{
    struct wh_decimal_text t;

    if (read_short(s, n, precision, scale, ret))
        return true;
    return wh_scan_decimal(s, n, &t) &&
           wh_decimal_to128(&t, precision, scale, ret) == WH_UNSCALED_OK;
}

bool wh_read_dec256(const char *s, size_t n, int precision, int scale, uint64_t ret[4])
{
    struct wh_decimal_text t;

    return wh_scan_decimal(s, n, &t) &&
           wh_decimal_to256(&t, precision, scale, ret) == WH_UNSCALED_OK;
}

/* ------------------------------------------------------------------ printing */

size_t wh_place_point(bool negative, const char *digits, size_t n, int scale, char *out)
{
    char *p = out;
    bool zero = n == 1 && *digits == '0';

    if (negative)
        *p++ = '-';
    if (scale <= 0) {
        memcpy(p, digits, n);
        p += n;
        for (int i = scale; i < 0 && !zero; i++)
            *p++ = '0';
        return (size_t)(p - out);
    }
    size_t behind = (size_t)scale;

    if (n > behind) {
        memcpy(p, digits, n - behind);
        p += n - behind;
        digits += n - behind;
        n = behind;
    } else {
        *p++ = '0';
    }
    *p++ = '.';
    memset(p, '0', behind - n);
    p += behind - n;
    memcpy(p, digits, n);
    return (size_t)(p + n - out);
}

/* Both sides of the point in 64 bits; a scale of 0 to 19. */
static size_t print_small(bool negative, uint64_t m, int scale, char *out)
{
    char *p = out;

    if (negative)
        *p++ = '-';
    if (scale == 2) { /* money: no division but by a constant */
        uint64_t whole = m / 100;

        p += wh_put_u64(p, whole);
        *p = '.';
        wh_put2(p + 1, (unsigned)(m - whole * 100));
        return (size_t)(p + 3 - out);
    }
    uint64_t whole = m / wh_pow10_u64[scale];

    p += wh_put_u64(p, whole);
    if (scale) {
        *p++ = '.';
        wh_put_digits(p, m - whole * wh_pow10_u64[scale], scale);
    }
    return (size_t)(p + scale - out);
}

size_t wh_print_dec128(__int128 v, int scale, char out[80])
{
    bool negative = v < 0;
    unsigned __int128 m = negative ? 0 - (unsigned __int128)v : (unsigned __int128)v;
    uint64_t high, low = (uint64_t)m;
    char digits[40];
    int n;

    if (m >> 64 == 0 && scale >= 0 && scale <= 19)
        return print_small(negative, low, scale, out);
    if (m >> 64 == 0) {
        n = wh_count_digits(low);
        wh_put_digits(digits, low, n);
        return wh_place_point(negative, digits, (size_t)n, scale, out);
    }
    unsigned __int128 rest = m / WH_E19; /* up to 1.7e19: fits 64 bits */

    high = (uint64_t)rest;
    low = (uint64_t)(m - rest * WH_E19);
    n = wh_count_digits(high);
    wh_put_digits(digits, high, n);
    wh_put_digits(digits + n, low, 19);
    return wh_place_point(negative, digits, (size_t)n + 19, scale, out);
}

size_t wh_print_dec256(const uint64_t words_le[4], int scale, char out[160])
{
    bool negative = words_le[3] >> 63;
    uint64_t w[4], chunks[5];
    char digits[96];
    int k = 0, n;

    memcpy(w, words_le, sizeof w);
    if (negative)
        wh_256_negate(w);
    do
        chunks[k++] = wh_256_div(w, WH_E19);
    while ((w[0] | w[1] | w[2] | w[3]) && k < 5);
    n = wh_count_digits(chunks[k - 1]);
    wh_put_digits(digits, chunks[k - 1], n);
    for (int i = k - 2; i >= 0; i--, n += 19)
        wh_put_digits(digits + n, chunks[i], 19);
    return wh_place_point(negative, digits, (size_t)n, scale, out);
}
