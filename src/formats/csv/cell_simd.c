/* SPDX-License-Identifier: Apache-2.0 */
/* Columns of blocks whose records stand one behind the other: cells in the commonest form, which
 * are nearly all, and the others one by one through csv_cells_slowly, which knows all forms. What a
 * fast path takes it must take as that would. */
#include <string.h>

#include "formats/csv/cell.h"
#include "formats/digits_simd.h"

#if defined(__x86_64__)

/* Steps from record to record. */
struct walk {
    const uint32_t *from, *to; /* where the cell starts (`over` bytes before it), where it ends */
    size_t from_step, to_step;
    uint32_t over;
    const uint8_t *p;
};

static inline struct walk walk_of(const struct csv_block *b, int64_t field)
{
    const uint32_t *at = b->at + b->rows[0].entry + field;
    size_t step = (size_t)b->n_fields;
    if (!field)
        return (struct walk){&b->rows[0].start, at, sizeof *b->rows / sizeof *at, step, 0, b->p};
    return (struct walk){at - 1, at, step, step, b->d->delimiter_n, b->p};
}

/* The next cell; answers its length. */
WH_AVX2_FAST size_t next_cell(struct walk *w, const uint8_t **ret)
{
    uint32_t start = *w->from + w->over, n = *w->to - start;
    *ret = w->p + start;
    w->from += w->from_step;
    w->to += w->to_step;
    return n;
}

struct column {
    struct csv_block *b;
    int64_t field;
    struct wh_column *out;
    int32_t column;
    struct csv_fault *faults;
    bool empty_null;
};

/* A cell of n bytes in no form that is known here. */
static __attribute__((noinline)) wh_status slow(const struct column *c, int32_t row, size_t n)
{
    if (!n && c->empty_null)
        return wh_put_null(c->out);
    return csv_cells_slowly(c->b, c->field, c->out, c->column, c->faults, row, row + 1);
}

/* Minus, then digits without a leading zero: what is both a number and no code. */
static WH_AVX2 wh_status integers(const struct column *c)
{
    struct walk w = walk_of(c->b, c->field);
    struct wh_column *out = c->out;
    const int32_t rows = c->b->n;
    int64_t *to = (int64_t *)(void *)out->data + out->n;
    for (int32_t r = 0; r < rows; r++) {
        const uint8_t *s;
        size_t n = next_cell(&w, &s), minus = n && s[0] == '-';
        uint64_t v;
        if (__builtin_expect(n - minus - 1 < 16 && (s[minus] != '0' || n == 1) &&
                                 wh_simd_digits(s + minus, n - minus, &v),
                             1)) {
            *to++ = minus ? -(int64_t)v : (int64_t)v;
            continue;
        }
        out->n = to - (int64_t *)(void *)out->data;
        WH_TRY(slow(c, r, n));
        to = (int64_t *)(void *)out->data + out->n;
    }
    out->n = to - (int64_t *)(void *)out->data;
    return WH_OK;
}

/* Digits before and behind a point, or none; 15 characters, so that mantissa and power of ten are
 * exact in a double and one division rounds once and correctly. */
static WH_AVX2 wh_status doubles(const struct column *c)
{
    /* By the characters from the point on; without one there are none. */
    static const double powers[16] = {1e0, 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,
                                      1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    struct walk w = walk_of(c->b, c->field);
    struct wh_column *out = c->out;
    const int32_t rows = c->b->n;
    double *to = (double *)(void *)out->data + out->n;
    for (int32_t r = 0; r < rows; r++) {
        const uint8_t *s;
        size_t n = next_cell(&w, &s), minus = n && s[0] == '-', point;
        uint64_t v;
        s += minus;
        if (__builtin_expect(n - minus - 1 < 15 && n < 16 &&
                                 wh_simd_decimal(s, n - minus, &v, &point) && point &&
                                 point + 1 != n - minus && (s[0] != '0' || point == 1),
                             1)) {
            double x = (double)(int64_t)v / powers[n - minus - point];
            *to++ = minus ? -x : x;
            continue;
        }
        out->n = to - (double *)(void *)out->data;
        WH_TRY(slow(c, r, n));
        to = (double *)(void *)out->data + out->n;
    }
    out->n = to - (double *)(void *)out->data;
    return WH_OK;
}

static WH_AVX2 wh_status dates(const struct column *c)
{
    struct walk w = walk_of(c->b, c->field);
    struct wh_column *out = c->out;
    const int32_t rows = c->b->n;
    int32_t *to = (int32_t *)(void *)out->data + out->n;
    for (int32_t r = 0; r < rows; r++) {
        const uint8_t *s;
        size_t n = next_cell(&w, &s);
        if (__builtin_expect(n == 10 && wh_simd_date(s, to), 1)) {
            to++;
            continue;
        }
        out->n = to - (int32_t *)(void *)out->data;
        WH_TRY(slow(c, r, n));
        to = (int32_t *)(void *)out->data + out->n;
    }
    out->n = to - (int32_t *)(void *)out->data;
    return WH_OK;
}

/* Texts without quotes around them that are no word for null. */
static WH_AVX2 wh_status texts(const struct column *c)
{
    enum {
        MOST = CSV_PADDING
    };
    const struct csv_block *b = c->b;
    struct walk w = walk_of(b, c->field);
    struct wh_column *out = c->out;
    const int32_t rows = b->n;
    const int quote = b->d->quote;
    const size_t most = out->max_cell < MOST ? out->max_cell : MOST;
    const uint32_t nulls = b->null_lengths | 1; /* what is as long as a word for null, or empty */
    int64_t k = out->n;
    size_t at = out->data_n;
    for (int32_t r = 0; r < rows; r++) {
        const uint8_t *s;
        size_t n = next_cell(&w, &s);
        if (__builtin_expect(n <= most && out->data_cap - at >= MOST && s[0] != quote &&
                                 !(nulls >> (n < 31 ? n : 31) & 1),
                             1)) {
            uint8_t *to = out->data + at;
            __m256i v = _mm256_loadu_si256((const __m256i *)(const void *)s);
            _mm256_storeu_si256((__m256i *)(void *)to, v);
            if (n > 32) {
                v = _mm256_loadu_si256((const __m256i *)(const void *)(s + 32));
                _mm256_storeu_si256((__m256i *)(void *)(to + 32), v);
            }
            at += n;
            out->offsets[++k] = (int32_t)at;
            continue;
        }
        out->n = k;
        out->data_n = at;
        WH_TRY(slow(c, r, n));
        k = out->n;
        at = out->data_n;
    }
    out->n = k;
    out->data_n = at;
    return WH_OK;
}

wh_status csv_cells_avx2(struct csv_block *b, int64_t field, struct wh_column *out, int32_t column,
                         struct csv_fault *faults, bool *ret_done)
{
    const enum wh_kind kind = out->type.kind;
    bool text = kind == WH_K_UTF8 && b->valid_utf8 && b->d->escape < 0;
    const struct column c = {b, field, out, column, faults, !text || b->d->empty_null};
    bool value =
        !b->nulls_look_like_numbers &&
        (kind == WH_K_I64 || (kind == WH_K_F64 && b->d->decimal == '.') || kind == WH_K_DATE32);
    *ret_done = text || value;
    if (!*ret_done)
        return WH_OK;
    WH_TRY(wh_col_reserve(out, b->n, 0));
    return kind == WH_K_I64   ? integers(&c)
           : kind == WH_K_F64 ? doubles(&c)
           : text             ? texts(&c)
                              : dates(&c);
}
#endif
