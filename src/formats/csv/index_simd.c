/* SPDX-License-Identifier: Apache-2.0 */
/* Vector kernels of the CSV index, 64 bytes at a time.
 *
 * Per block: bit masks of quotes, delimiters, CR and LF; a prefix XOR of the quote mask (bits from
 * an opening quote up to its closing one are set) plus a carry says what lies inside quotes. A
 * doubled quote closes and opens again, which changes nothing. Every opening quote must follow a
 * delimiter, a record end or another quote, every closing quote must be followed by one; else the
 * block is irregular and the scalar walk decides.
 */
#include "formats/csv/index.h"
#include "formats/digits_simd.h"

#if defined(__x86_64__)
#include <string.h>

struct masks {
    uint64_t quote, delimiter, cr, lf, high;
};

/* What one block hands to the next. */
struct carry {
    uint64_t inside;  /* all ones inside quotes */
    uint64_t border;  /* bit 0: the byte before may stand before an opening quote */
    uint64_t cr;      /* bit 0: the byte before was a CR */
    uint64_t closing; /* bit 0: the byte before was a closing quote */
    uint64_t high, bad;
};

struct block {
    uint64_t fields, ends;
};

static inline __attribute__((always_inline)) struct block settle(const struct masks *m,
                                                                 uint64_t inside, struct carry *c)
{
    uint64_t border = m->delimiter | m->cr | m->lf | m->quote;
    if (m->quote | c->closing) {
        uint64_t opening = m->quote & inside, closing = m->quote & ~inside;
        c->bad |= opening & ~(border << 1 | c->border);
        c->bad |= (closing << 1 | c->closing) & ~border;
        c->closing = closing >> 63;
    }
    c->border = border >> 63;
    c->inside = (uint64_t)((int64_t)inside >> 63);
    c->high |= m->high;
    uint64_t ends = (m->cr | (m->lf & ~(m->cr << 1 | c->cr))) & ~inside;
    c->cr = m->cr >> 63;
    return (struct block){(m->delimiter & ~inside) | ends, ends};
}

/* ---- SSE2: every x86-64 has it --------------------------------------------------------------- */

static inline uint64_t prefix_xor_shift(uint64_t x)
{
    x ^= x << 1;
    x ^= x << 2;
    x ^= x << 4;
    x ^= x << 8;
    x ^= x << 16;
    return x ^ x << 32;
}

static inline uint64_t eq_sse2(const __m128i v[4], char byte)
{
    __m128i b = _mm_set1_epi8(byte);
    uint64_t m = 0;
    for (int i = 0; i < 4; i++)
        m |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(v[i], b)) << (16 * i);
    return m;
}

static inline void emit_plain(struct csv_index *ix, struct block b, uint32_t base)
{
    uint64_t fields = b.fields, ends = b.ends;
    while (ends) {
        uint64_t below = (ends & -ends) - 1;
        ix->rec[ix->n_rec++] = (uint32_t)(ix->n + (size_t)__builtin_popcountll(fields & below));
        ends &= ends - 1;
    }
    while (fields) {
        ix->at[ix->n++] = base + (uint32_t)__builtin_ctzll(fields);
        fields &= fields - 1;
    }
}

static inline void masks_sse2(const uint8_t *p, char delimiter, int quote, struct masks *m)
{
    __m128i v[4];
    for (int k = 0; k < 4; k++)
        v[k] = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * k));
    m->high = 0;
    for (int k = 0; k < 4; k++)
        m->high |= (uint64_t)(uint32_t)_mm_movemask_epi8(v[k]) << (16 * k);
    m->quote = quote < 0 ? 0 : eq_sse2(v, (char)quote);
    m->delimiter = eq_sse2(v, delimiter);
    m->cr = eq_sse2(v, '\r');
    m->lf = eq_sse2(v, '\n');
}

static inline void keep(struct masks *m, size_t bytes)
{
    uint64_t use = ~(uint64_t)0 >> (64 - bytes);
    m->quote &= use;
    m->delimiter &= use;
    m->cr &= use;
    m->lf &= use;
    m->high &= use;
}

static void finish(struct csv_index *ix, const struct carry *c)
{
    ix->ascii = !c->high;
    ix->irregular = c->bad != 0;
    ix->open = c->inside != 0;
}

wh_status csv_index_sse2(struct csv_index *ix, const struct wh_csv_dialect *d, const uint8_t *p,
                         size_t n)
{
    struct carry c = {.border = 1};
    for (size_t i = 0; i < n && !c.bad; i += 64) {
        struct masks m;
        masks_sse2(p + i, d->delimiter[0], d->quote, &m);
        if (n - i < 64)
            keep(&m, n - i);
        uint64_t inside = prefix_xor_shift(m.quote) ^ c.inside;
        struct block b = settle(&m, inside, &c);
        if (ix->n + 64 > ix->cap || ix->n_rec + 64 > ix->rec_cap)
            WH_TRY(csv_index_grow(ix, 64, 64));
        emit_plain(ix, b, (uint32_t)i);
    }
    finish(ix, &c);
    return WH_OK;
}

/* ---- AVX2 with BMI and carry-less multiply --------------------------------------------------- */

WH_AVX2_FAST uint64_t eq_avx2(__m256i a, __m256i b, __m256i byte)
{
    uint32_t lo = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, byte));
    uint32_t hi = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, byte));
    return lo | (uint64_t)hi << 32;
}

WH_AVX2_FAST uint64_t prefix_xor_clmul(uint64_t x)
{
    __m128i v = _mm_set_epi64x(0, (int64_t)x);
    return (uint64_t)_mm_cvtsi128_si64(_mm_clmulepi64_si128(v, _mm_set1_epi8(-1), 0));
}

/* Writes in groups of 8 without asking how many are left: at[] has room for 64 more. */
WH_AVX2_FAST void emit_avx2(struct csv_index *ix, struct block b, uint32_t base)
{
    uint64_t fields = b.fields, ends = b.ends;
    while (ends) {
        uint64_t below = _blsmsk_u64(ends) >> 1;
        ix->rec[ix->n_rec++] = (uint32_t)(ix->n + (size_t)__builtin_popcountll(fields & below));
        ends = _blsr_u64(ends);
    }
    size_t count = (size_t)__builtin_popcountll(fields);
    uint32_t *out = ix->at + ix->n;
    for (size_t k = 0; k < count; k += 8) {
#pragma GCC unroll 8
        for (int j = 0; j < 8; j++) {
            out[k + (size_t)j] = base + (uint32_t)_tzcnt_u64(fields);
            fields = _blsr_u64(fields);
        }
    }
    ix->n += count;
}

WH_AVX2 wh_status csv_index_avx2(struct csv_index *ix, const struct wh_csv_dialect *d,
                                 const uint8_t *p, size_t n)
{
    struct carry c = {.border = 1};
    const __m256i delimiter = _mm256_set1_epi8(d->delimiter[0]),
                  quote = _mm256_set1_epi8((char)d->quote), cr = _mm256_set1_epi8('\r'),
                  lf = _mm256_set1_epi8('\n');
    const uint64_t quotes = d->quote < 0 ? 0 : ~(uint64_t)0;
    for (size_t i = 0; i < n && !c.bad; i += 64) {
        __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)(p + i));
        __m256i b = _mm256_loadu_si256((const __m256i *)(const void *)(p + i + 32));
        struct masks m = {.quote = eq_avx2(a, b, quote) & quotes,
                          .delimiter = eq_avx2(a, b, delimiter),
                          .cr = eq_avx2(a, b, cr),
                          .lf = eq_avx2(a, b, lf),
                          .high = (uint32_t)_mm256_movemask_epi8(a) |
                                  (uint64_t)(uint32_t)_mm256_movemask_epi8(b) << 32};
        if (n - i < 64)
            keep(&m, n - i);
        uint64_t inside = (m.quote ? prefix_xor_clmul(m.quote) : 0) ^ c.inside;
        struct block out = settle(&m, inside, &c);
        if (ix->n + 72 > ix->cap || ix->n_rec + 64 > ix->rec_cap)
            WH_TRY(csv_index_grow(ix, 72, 64));
        emit_avx2(ix, out, (uint32_t)i);
    }
    finish(ix, &c);
    return WH_OK;
}
#endif
