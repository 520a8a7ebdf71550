/* SPDX-License-Identifier: Apache-2.0 */
/* Decimal arithmetic for kernels: 256-bit signed integers with a scale. */
#ifndef WHERRY_DATA_DECIMAL_H
#define WHERRY_DATA_DECIMAL_H

#include "data/digits.h"
#include "data/kernel.h"

struct wh_i256 {
    uint64_t w[4]; /* magnitude */
    bool negative;
};

static inline __int128 wh_pow10_i128(int e) /* 0 <= e <= 38 */
{
    return e <= 19 ? (__int128)wh_pow10_u64[e]
                   : (__int128)wh_pow10_u64[19] * (__int128)wh_pow10_u64[e - 19];
}

struct wh_i256 wh_i256_from(__int128 v);
struct wh_i256 wh_i256_load(const struct wh_view *, int64_t i); /* DEC128, DEC256 */
void wh_i256_store(const struct wh_i256 *, enum wh_kind, void *out, int k);
/* From one scale to another; lossy rounds half to even. Checks |x| < 10^precision. */
enum wh_cause wh_i256_rescale(struct wh_i256 *, int from_scale, int to_scale, int precision,
                              bool lossy);

/* What the policies say about a float that is NaN or infinite (FINE for all others). */
enum wh_cause wh_float_policy(const struct wh_value_policy *, double, bool type_holds_it);

/* A scanned number into a decimal or integer cell; lossy rounds half to even. */
enum wh_cause wh_text_to_dec(const struct wh_decimal_text *, const struct wh_type *to, bool lossy,
                             void *out, int k);
enum wh_cause wh_text_to_int(const struct wh_decimal_text *, enum wh_kind, bool lossy,
                             int64_t *ret);
enum wh_cause wh_i256_to_int(const struct wh_i256 *, enum wh_kind, int64_t *ret); /* at scale 0 */

/* The shortest digits of a float, taken apart; they live in text. False for NaN and infinity. */
bool wh_float_digits(double, bool single, char text[32], struct wh_decimal_text *ret);
/* A decimal (s, and scanned) as a float whose shortest digits are the decimal. */
enum wh_cause wh_decimal_to_float(const char *s, size_t n, const struct wh_decimal_text *,
                                  bool single, bool lossy, double *ret);
/* A float's text as a float: up to 17 (9) digits whatever they are, since writers of floats print
 * so many; more only if they are the float itself. */
enum wh_cause wh_text_to_float(const char *s, size_t n, bool single, bool lossy, double *ret);
/* Decimal text, or one of the words NaN and infinity (then *ret is zero). */
enum wh_cause wh_scan_dectext(const struct wh_value_policy *, const char *s, size_t n,
                              bool type_holds_it, struct wh_decimal_text *ret);
bool wh_int_in_range(enum wh_kind, int64_t v);

#endif
