/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, dates and times as text: exact, locale-free, fast; never libc in a row loop.
 * Parsers want the whole text (no blanks) and say false for anything else, overflow included.
 * Printers write at most the stated bytes, without NUL, and return the length. */
#ifndef WHERRY_DATA_NUMBER_H
#define WHERRY_DATA_NUMBER_H

#include <wherry/status.h>

WH_EXPORT bool wh_read_i64(const char *s, size_t n, int64_t *ret); /* [-+]?digits */
WH_EXPORT bool wh_read_u64(const char *s, size_t n, uint64_t *ret);
WH_EXPORT bool wh_read_f64(const char *s, size_t n, double *ret); /* correctly rounded; also
                                    inf, -inf, infinity, nan in any case */
WH_EXPORT bool wh_read_f32(const char *s, size_t n, float *ret);  /* rounded once */
/* Decimal text to unscaled value at `scale`; false if digits would be lost or precision exceeded.
 */
WH_EXPORT bool wh_read_dec128(const char *s, size_t n, int precision, int scale, __int128 *ret);
WH_EXPORT bool wh_read_dec256(const char *s, size_t n, int precision, int scale, uint64_t ret[4]);
WH_EXPORT bool wh_read_date(const char *s, size_t n, int32_t *ret_days); /* yyyy-MM-dd */
WH_EXPORT bool wh_read_time_ns(const char *s, size_t n, int64_t *ret);   /* HH:mm:ss[.f{1,9}] */
/* yyyy-MM-dd[T ]HH:mm:ss[.f][Z|+hh[:mm]]; *ret_zoned tells whether a zone was there (UTC result).
 * Result in `unit` (enum wh_unit_of_time); false if digits finer than the unit are not zero. */
WH_EXPORT bool wh_read_timestamp(const char *s, size_t n, int unit, int64_t *ret, bool *ret_zoned);

WH_EXPORT size_t wh_print_i64(int64_t, char out[20]);
WH_EXPORT size_t wh_print_u64(uint64_t, char out[20]);
WH_EXPORT size_t wh_print_f64(double, char out[32]); /* shortest that reads back; nan inf -inf */
WH_EXPORT size_t wh_print_f32(float, char out[32]);
WH_EXPORT size_t wh_print_dec128(__int128, int scale, char out[48]);
WH_EXPORT size_t wh_print_dec256(const uint64_t words_le[4], int scale, char out[96]);
WH_EXPORT size_t wh_print_date(int32_t days, char out[16]);
WH_EXPORT size_t wh_print_time(int64_t v, int unit, char out[20]); /* digits only as needed */
WH_EXPORT size_t wh_print_timestamp(int64_t v, int unit, bool zoned, char out[40]); /* ' ' between;
                                      zoned ends in Z */
WH_EXPORT size_t wh_print_interval(int32_t months, int32_t days, int64_t ns,
                                   char out[64]); /* ISO 8601 */

#endif
