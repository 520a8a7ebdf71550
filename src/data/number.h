/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, dates and times as text: exact, locale-free, fast; never libc in a row loop.
 * Parsers want the whole text (no blanks) and say false for anything else, overflow included.
 * Printers write at most the stated bytes, without NUL, and return the length. */
#ifndef WHERRY_DATA_NUMBER_H
#define WHERRY_DATA_NUMBER_H

#include <wherry/status.h>

WH_EXPORT bool wh_read_i64(const char *s, size_t n, int64_t *ret); /* [-+]?digits */
WH_EXPORT bool wh_read_u64(const char *s, size_t n, uint64_t *ret);
/* Digits with a point and an exponent, correctly rounded (ties to even); also inf, -inf, infinity,
 * nan in any case. False also for what overflows, and for a number above zero that would become 0.
 */
WH_EXPORT bool wh_read_f64(const char *s, size_t n, double *ret);
WH_EXPORT bool wh_read_f32(const char *s, size_t n, float *ret); /* rounded once */
/* Decimal text (an exponent is allowed) to unscaled value at `scale`; false if digits would be lost
 * or precision exceeded. */
WH_EXPORT bool wh_read_dec128(const char *s, size_t n, int precision, int scale, __int128 *ret);
WH_EXPORT bool wh_read_dec256(const char *s, size_t n, int precision, int scale, uint64_t ret[4]);
/* yyyy-MM-dd, proleptic Gregorian; years below 0 and above 9999 with a sign or more digits. */
WH_EXPORT bool wh_read_date(const char *s, size_t n, int32_t *ret_days);
/* HH:mm[:ss[.f{1,9}]], 24:00:00 is allowed, second 60 is not. */
WH_EXPORT bool wh_read_time_ns(const char *s, size_t n, int64_t *ret);
/* yyyy-MM-dd[T ]HH:mm[:ss[.f]][Z|+hh[[:]mm[[:]ss]]]; *ret_zoned tells whether a zone was there (UTC
 * result). Result in `unit` (enum wh_unit_of_time); false if digits finer than the unit are not
 * zero, or the unit cannot count so far. */
WH_EXPORT bool wh_read_timestamp(const char *s, size_t n, int unit, int64_t *ret, bool *ret_zoned);
/* ISO 8601: [-]P[nY][nM][nW][nD][T[nH][nM][n[.f]S]], each n may carry its own sign. The duration
 * form has no years or months, a day is 24 hours. */
WH_EXPORT bool wh_read_interval(const char *s, size_t n, int32_t *ret_months, int32_t *ret_days,
                                int64_t *ret_ns);
WH_EXPORT bool wh_read_duration(const char *s, size_t n, int unit, int64_t *ret);

WH_EXPORT size_t wh_print_i64(int64_t, char out[20]);
WH_EXPORT size_t wh_print_u64(uint64_t, char out[20]);
/* Shortest that reads back; of those the nearest. 0.1 1.0 1e+16 1.5e-07 nan inf -inf -0.0: a point
 * or an exponent is always there, exponents below -4 and from 16 on, as Python writes them. */
WH_EXPORT size_t wh_print_f64(double, char out[32]);
WH_EXPORT size_t wh_print_f32(float, char out[32]);
WH_EXPORT size_t wh_print_dec128(__int128, int scale, char out[80]); /* all digits of the scale */
WH_EXPORT size_t wh_print_dec256(const uint64_t words_le[4], int scale, char out[160]);
WH_EXPORT size_t wh_print_date(int32_t days, char out[16]);
WH_EXPORT size_t wh_print_time(int64_t v, int unit, char out[32]); /* digits only as needed */
WH_EXPORT size_t wh_print_timestamp(int64_t v, int unit, bool zoned, char out[40]); /* ' ' between;
                                      zoned ends in Z */
WH_EXPORT size_t wh_print_interval(int32_t months, int32_t days, int64_t ns, char out[64]);
WH_EXPORT size_t wh_print_duration(int64_t v, int unit, char out[64]); /* PT26H3M4.5S */

#endif
