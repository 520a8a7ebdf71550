/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers and dates of up to 16 characters, all their digits at once (AVX2 machines).
 *
 * They say yes only to the commonest forms, and only where the value is what number.h reads; a no
 * means "ask number.h", nothing about the text. 16 bytes from s on are read, whatever n is. */
#ifndef WHERRY_FORMATS_DIGITS_SIMD_H
#define WHERRY_FORMATS_DIGITS_SIMD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <immintrin.h>

#define WH_AVX2      __attribute__((target("avx2,bmi,bmi2,popcnt,lzcnt,pclmul")))
#define WH_AVX2_FAST static inline __attribute__((always_inline)) WH_AVX2

static inline bool wh_has_avx2(void)
{
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") &&
           __builtin_cpu_supports("pclmul");
}

/* Read from n on: a shuffle that moves the first n bytes to the end, zeros before them (0xf0: also
 * with one less). */
static const uint8_t WH_TO_END[32] = {
    0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0, 0xf0,
    0,    1,    2,    3,    4,    5,    6,    7,    8,    9,    10,   11,   12,   13,   14,   15};

/* Read from n - 1 - point on (31 if there is none): what is added to such a shuffle so that the
 * point goes and the bytes before it come one nearer. */
static const uint8_t WH_OVER_POINT[48] = {255, 255, 255, 255, 255, 255, 255, 255,
                                          255, 255, 255, 255, 255, 255, 255, 255};

/* Two digits a lane, then four, then eight: the first eight in the low half. False: not all lanes
 * are digits (their values, 0 to 9). */
WH_AVX2_FAST bool wh_sum_digits(__m128i digits, uint64_t *ret)
{
    const __m128i nine = _mm_set1_epi8(9);
    const __m128i tens = _mm_set1_epi16(1 << 8 | 10), hundreds = _mm_set1_epi32(1 << 16 | 100),
                  myriads = _mm_set1_epi32(1 << 16 | 10000);
    __m128i over = _mm_subs_epu8(digits, nine);
    if (__builtin_expect(!_mm_testz_si128(over, over), 0))
        return false;
    __m128i two = _mm_maddubs_epi16(digits, tens), four = _mm_madd_epi16(two, hundreds);
    __m128i eight = _mm_madd_epi16(_mm_packus_epi32(four, four), myriads);
    uint64_t halves = (uint64_t)_mm_cvtsi128_si64(eight);
    *ret = (halves & UINT32_MAX) * 100000000 + (halves >> 32);
    return true;
}

/* n: 1 to 16 digits and nothing else. */
WH_AVX2_FAST bool wh_simd_digits(const uint8_t *s, size_t n, uint64_t *ret)
{
    __m128i v = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)s), _mm_set1_epi8('0'));
    __m128i to = _mm_loadu_si128((const __m128i *)(const void *)(WH_TO_END + n));
    return wh_sum_digits(_mm_shuffle_epi8(v, to), ret);
}

/* n: 1 to 16 characters, digits and at most one point. *ret_point: its place, n if there is none.
 */
WH_AVX2_FAST bool wh_simd_decimal(const uint8_t *s, size_t n, uint64_t *ret, size_t *ret_point)
{
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    uint32_t points = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_set1_epi8('.')));
    size_t point = _tzcnt_u32(points | 1u << n);
    __m128i to = _mm_loadu_si128((const __m128i *)(const void *)(WH_TO_END + n));
    __m128i over =
        _mm_loadu_si128((const __m128i *)(const void *)(WH_OVER_POINT + ((n - 1 - point) & 31)));
    *ret_point = point;
    v = _mm_shuffle_epi8(_mm_sub_epi8(v, _mm_set1_epi8('0')), _mm_add_epi8(to, over));
    return wh_sum_digits(v, ret);
}

/* yyyy-MM-dd, 10 characters, of a year from 1 on. The last of February is left to others. */
WH_AVX2_FAST bool wh_simd_date(const uint8_t *s, int32_t *ret)
{
    static const uint8_t month_days[16] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    /* Days from March on before the month, less those from March of year 0 to 1970. */
    static const int32_t before[16] = {
        0,           306 - 719469, 337 - 719469, 0 - 719469,   31 - 719469,  61 - 719469,
        92 - 719469, 122 - 719469, 153 - 719469, 184 - 719469, 214 - 719469, 245 - 719469,
        275 - 719469};
    const __m128i pick = _mm_setr_epi8(0, 1, 2, 3, 5, 6, 8, 9, 4, 7, -1, -1, -1, -1, -1, -1),
                  zero = _mm_setr_epi8('0', '0', '0', '0', '0', '0', '0', '0', '-', '-', 0, 0, 0, 0,
                                       0, 0),
                  most = _mm_setr_epi8(9, 9, 9, 9, 9, 9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0);
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    __m128i digits = _mm_sub_epi8(_mm_shuffle_epi8(v, pick), zero),
            over = _mm_subs_epu8(digits, most);
    if (__builtin_expect(!_mm_testz_si128(over, over), 0))
        return false;
    uint64_t pairs = (uint64_t)_mm_cvtsi128_si64(_mm_maddubs_epi16(digits, _mm_set1_epi16(266)));
    uint32_t y = (uint32_t)(pairs & 0xff) * 100 + (uint32_t)(pairs >> 16 & 0xff),
             m = (uint32_t)(pairs >> 32 & 0xff), d = (uint32_t)(pairs >> 48);
    if (__builtin_expect(m - 1 > 11 || d - 1 >= month_days[m & 15] || !y, 0))
        return false;
    uint32_t march = y - (m <= 2), century = march / 100;
    *ret = (int32_t)(march * 365 + march / 4 - century + century / 4 + d) + before[m];
    return true;
}

#else

static inline bool wh_has_avx2(void)
{
    return false;
}
#endif
#endif
