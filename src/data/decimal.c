/* SPDX-License-Identifier: Apache-2.0 */
#include "data/decimal.h"
#include "data/number.h"

#include <stdio.h>
#include <string.h>

struct wh_i256 wh_i256_from(__int128 v)
{
    unsigned __int128 m = v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v;

    return (struct wh_i256){.w = {(uint64_t)m, (uint64_t)(m >> 64)}, .negative = v < 0};
}

struct wh_i256 wh_i256_load(const struct wh_view *v, int64_t i)
{
    struct wh_i256 x = {0};

    if (v->type.kind == WH_K_DEC128)
        return wh_i256_from(wh_view_dec128(v, i));
    wh_view_dec256(v, i, x.w);
    x.negative = x.w[3] >> 63;
    if (x.negative)
        wh_256_negate(x.w);
    return x;
}

void wh_i256_store(const struct wh_i256 *x, enum wh_kind kind, void *out, int k)
{
    size_t width = kind == WH_K_DEC128 ? 16 : 32;
    uint64_t w[4];

    memcpy(w, x->w, sizeof w);
    if (x->negative)
        wh_256_negate(w);
    memcpy((char *)out + width * (size_t)k, w, width);
}

static bool is_zero(const struct wh_i256 *x)
{
    return (x->w[0] | x->w[1] | x->w[2] | x->w[3]) == 0;
}

/* |x| < 10^precision */
static bool in_precision(const struct wh_i256 *x, int precision)
{
    uint64_t limit[4] = {1};

    for (int e = precision; e > 0; e -= 19)
        (void)wh_256_mul_add(limit, wh_pow10_u64[e < 19 ? e : 19], 0);
    for (int i = 3; i >= 0; i--)
        if (x->w[i] != limit[i])
            return x->w[i] < limit[i];
    return false;
}

static bool scale_up(struct wh_i256 *x, int digits)
{
    for (; digits > 0; digits -= 19)
        if (!wh_256_mul_add(x->w, wh_pow10_u64[digits < 19 ? digits : 19], 0))
            return false;
    return true;
}

/* Divides by 10^digits, rounding half to even; false if anything was cut off. */
static bool scale_down(struct wh_i256 *x, int digits)
{
    bool sticky = false;

    for (digits--; digits > 0; digits -= 19)
        sticky |= wh_256_div(x->w, wh_pow10_u64[digits < 19 ? digits : 19]) != 0;
    uint64_t last = wh_256_div(x->w, 10);

    if (last > 5 || (last == 5 && (sticky || (x->w[0] & 1))))
        (void)wh_256_mul_add(x->w, 1, 1);
    return !sticky && last == 0;
}

enum wh_cause wh_i256_rescale(struct wh_i256 *x, int from_scale, int to_scale, int precision,
                              bool lossy)
{
    int shift = to_scale - from_scale;

    if (is_zero(x))
        return WH_FINE;
    if (shift > 0 && !scale_up(x, shift))
        return WH_BAD_RANGE;
    if (shift < 0 && !scale_down(x, -shift) && !lossy)
        return WH_BAD_DIGITS;
    return in_precision(x, precision) ? WH_FINE : WH_BAD_RANGE;
}

/* --------------------------------------------------------------- from a text */

/* All digits, or the first 75 and a 1 for the others: enough for any rounding. */
static struct wh_i256 from_digits(const struct wh_decimal_text *t, int64_t *ret_exponent)
{
    struct wh_i256 x = {.negative = t->negative};
    size_t total = t->a_n + t->b_n, used = total <= 76 ? total : 75;

    for (size_t i = 0; i < used; i++)
        (void)wh_256_mul_add(x.w, 10, (uint64_t)((i < t->a_n ? t->a[i] : t->b[i - t->a_n]) - '0'));
    if (used < total) {
        (void)wh_256_mul_add(x.w, 10, 1);
        used++;
    }
    *ret_exponent = t->exponent + (int64_t)(total - used);
    return x;
}

/* A number into an integer of `precision` digits at `scale`. */
static enum wh_cause round_digits(const struct wh_decimal_text *t, int precision, int scale,
                                  struct wh_i256 *ret)
{
    int64_t exponent, size = (int64_t)(t->a_n + t->b_n) + t->exponent; /* digits before the point */

    *ret = (struct wh_i256){0};
    if (t->a_n + t->b_n == 0 || size < -1000)
        return WH_FINE;
    if (size > 1000)
        return WH_BAD_RANGE;
    *ret = from_digits(t, &exponent);
    return wh_i256_rescale(ret, (int)-exponent, scale, precision, true);
}

static enum wh_cause cause_of(enum wh_unscaled u)
{
    return u == WH_UNSCALED_OK ? WH_FINE : u == WH_UNSCALED_RANGE ? WH_BAD_RANGE : WH_BAD_DIGITS;
}

enum wh_cause wh_text_to_dec(const struct wh_decimal_text *t, const struct wh_type *to, bool lossy,
                             void *out, int k)
{
    enum wh_cause cause;
    struct wh_i256 x;
    __int128 v = 0;

    if (lossy) {
        cause = round_digits(t, to->precision, to->scale, &x);
        wh_i256_store(&x, to->kind, out, k);
        return cause;
    }
    if (to->kind == WH_K_DEC128) {
        cause = cause_of(wh_decimal_to128(t, to->precision, to->scale, &v));
        memcpy((char *)out + 16 * k, &v, 16);
        return cause;
    }
    uint64_t w[4] = {0};

    cause = cause_of(wh_decimal_to256(t, to->precision, to->scale, w));
    memcpy((char *)out + 32 * k, w, 32);
    return cause;
}

static enum wh_cause i128_to_int(__int128 v, enum wh_kind kind, int64_t *ret)
{
    if (kind == WH_K_U64 ? v < 0 || v > (__int128)UINT64_MAX : v < INT64_MIN || v > INT64_MAX)
        return WH_BAD_RANGE;
    *ret = (int64_t)v;
    return kind == WH_K_U64 || wh_int_in_range(kind, *ret) ? WH_FINE : WH_BAD_RANGE;
}

enum wh_cause wh_text_to_int(const struct wh_decimal_text *t, enum wh_kind kind, bool lossy,
                             int64_t *ret)
{
    enum wh_cause cause;
    struct wh_i256 x;
    __int128 v = 0;

    if (lossy) {
        cause = round_digits(t, 38, 0, &x);
        return cause == WH_FINE ? wh_i256_to_int(&x, kind, ret) : cause;
    }
    cause = cause_of(wh_decimal_to128(t, 38, 0, &v));
    return cause == WH_FINE ? i128_to_int(v, kind, ret) : cause;
}

enum wh_cause wh_i256_to_int(const struct wh_i256 *x, enum wh_kind kind, int64_t *ret)
{
    __int128 v = x->w[0];

    if (x->w[1] | x->w[2] | x->w[3])
        return WH_BAD_RANGE;
    return i128_to_int(x->negative ? -v : v, kind, ret);
}

/* ----------------------------------------------------------------- and floats */

bool wh_float_digits(double d, bool single, char text[32], struct wh_decimal_text *ret)
{
    size_t n = single ? wh_print_f32((float)d, text) : wh_print_f64(d, text);

    return wh_scan_decimal(text, n, ret);
}

static bool same_number(const struct wh_decimal_text *x, const struct wh_decimal_text *y)
{
    size_t n = x->a_n + x->b_n;

    if (n != y->a_n + y->b_n || x->exponent != y->exponent)
        return false;
    for (size_t i = 0; i < n; i++) {
        char c = i < x->a_n ? x->a[i] : x->b[i - x->a_n];
        char d = i < y->a_n ? y->a[i] : y->b[i - y->a_n];

        if (c != d)
            return false;
    }
    return n == 0 || x->negative == y->negative;
}

/* Reads the float nearest to the number; FINE also when it is not equal to it. */
static enum wh_cause nearest(const char *s, size_t n, const struct wh_decimal_text *t, bool single,
                             bool lossy, double *ret)
{
    bool below = t->exponent + (int64_t)(t->a_n + t->b_n) < 0;
    float f = 0;

    if (single ? wh_read_f32(s, n, &f) : wh_read_f64(s, n, ret)) {
        if (single)
            *ret = (double)f;
        return WH_FINE;
    }
    *ret = 0;
    if (below)
        return lossy ? WH_FINE : WH_BAD_DIGITS;
    return WH_BAD_RANGE;
}

enum wh_cause wh_decimal_to_float(const char *s, size_t n, const struct wh_decimal_text *t,
                                  bool single, bool lossy, double *ret)
{
    enum wh_cause cause = nearest(s, n, t, single, lossy, ret);
    size_t safe = single ? 6 : 15; /* so many digits always read back */
    struct wh_decimal_text back;
    char text[32];

    if (cause != WH_FINE || lossy || t->a_n + t->b_n <= safe)
        return cause;
    if (!wh_float_digits(*ret, single, text, &back) || !same_number(t, &back))
        return WH_BAD_DIGITS;
    return WH_FINE;
}

/* The float, printed with as many digits as the text has, is the text again. What a program printed
 * from a float always is, with %.17g or the shortest digits alike. */
static bool prints_again(const struct wh_decimal_text *t, double v, bool single)
{
    struct wh_decimal_text back;
    char text[32];

    if (wh_float_digits(v, single, text, &back) && same_number(t, &back))
        return true;
    int n = snprintf(text, sizeof text, "%.*e", (int)(t->a_n + t->b_n) - 1, v);

    return wh_scan_decimal(text, (size_t)n, &back) && same_number(t, &back);
}

enum wh_cause wh_text_to_float(const char *s, size_t n, bool single, bool lossy, double *ret)
{
    size_t safe = single ? 6 : 15;   /* so many digits always survive */
    size_t enough = single ? 9 : 17; /* and these tell any two floats apart */
    struct wh_decimal_text t;
    enum wh_cause cause;
    size_t digits;
    float f;

    if (n <= safe && !single && wh_read_f64(s, n, ret))
        return WH_FINE;
    if (n <= safe && single && wh_read_f32(s, n, &f)) {
        *ret = (double)f;
        return WH_FINE;
    }
    if (!wh_scan_decimal(s, n, &t)) { /* a word, or nothing */
        if (single ? !wh_read_f32(s, n, &f) : !wh_read_f64(s, n, ret))
            return WH_BAD_SYNTAX;
        if (single)
            *ret = (double)f;
        return WH_FINE;
    }
    cause = nearest(s, n, &t, single, lossy, ret);
    digits = t.a_n + t.b_n;
    if (cause != WH_FINE || lossy || digits <= safe)
        return cause;
    if (digits <= enough ? prints_again(&t, *ret, single) : wh_decimal_is_float(&t, *ret))
        return WH_FINE;
    return WH_BAD_DIGITS;
}
