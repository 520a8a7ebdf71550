/* SPDX-License-Identifier: Apache-2.0 */
/* Members of an object in the commonest form: the key that stood there in the row before, without
 * blanks, and a value that is a column. Whatever else there is, is left to row.c and cell.c; what
 * is taken here they must take as well, and as the same value. */
#include "formats/digits_simd.h"
#include "formats/json/row.h"

#if defined(__x86_64__)
#include <string.h>

enum {
    TEXT_MOST = 63, /* bytes of a text: its quote is looked for in two vectors */
};

static inline bool ends_member(uint8_t c)
{
    return c == ',' || c == '}';
}

WH_AVX2_FAST bool same_key(const struct json_order *o, const uint8_t *p)
{
    __m256i a = _mm256_loadu_si256((const __m256i *)(const void *)o->text),
            b = _mm256_loadu_si256((const __m256i *)(const void *)p);
    uint32_t other = ~(uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(a, b));
    if (__builtin_expect(o->n <= 32, 1))
        return o->n && !_bzhi_u32(other, o->n);
    return !other && !memcmp(o->text + 32, p + 32, o->n - 32u);
}

/* All answer what is behind the value, which stands before `end`, or NULL and have put nothing. */

WH_AVX2_FAST const uint8_t *integer(struct wh_column *to, const uint8_t *p, const uint8_t *end)
{
    bool minus = *p == '-';
    p += minus;
    __m128i v = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8('0'));
    __m128i over = _mm_subs_epu8(v, _mm_set1_epi8(9));
    uint32_t digits = (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(over, _mm_setzero_si128()));
    size_t n = _tzcnt_u32(~digits);
    uint64_t value;
    if (__builtin_expect(
            n - 1 > 14 || (*p == '0' && (n > 1 || minus)) || !ends_member(p[n]) || p + n >= end, 0))
        return NULL;
    v = _mm_shuffle_epi8(v, _mm_loadu_si128((const __m128i *)(const void *)(WH_TO_END + n)));
    if (!wh_sum_digits(v, &value) ||
        wh_put_i64(to, minus ? -(int64_t)value : (int64_t)value) != WH_OK)
        return NULL;
    return p + n;
}

WH_AVX2_FAST const uint8_t *number(struct wh_column *to, const uint8_t *p, const uint8_t *end)
{
    /* By the characters from the point on; without one there are none. */
    static const double powers[16] = {1e0, 1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,
                                      1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14};
    bool minus = *p == '-';
    p += minus;
    __m128i v = _mm_sub_epi8(_mm_loadu_si128((const __m128i *)(const void *)p), _mm_set1_epi8('0'));
    __m128i over = _mm_subs_epu8(v, _mm_set1_epi8(9));
    uint32_t others =
        ~(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(over, _mm_setzero_si128())) & 0xffff;
    size_t whole = _tzcnt_u32(others | 0x10000), n = whole, point = whole;
    uint64_t value;
    if (p[whole] == '.')
        n = _tzcnt_u32(_blsr_u32(others) | 0x10000);
    if (__builtin_expect(!whole || n > 15 || n == whole + 1 || (*p == '0' && whole > 1) ||
                             !ends_member(p[n]) || p + n >= end,
                         0))
        return NULL;
    __m128i order = _mm_add_epi8(
        _mm_loadu_si128((const __m128i *)(const void *)(WH_TO_END + n)),
        _mm_loadu_si128((const __m128i *)(const void *)(WH_OVER_POINT + ((n - 1 - point) & 31))));
    if (!wh_sum_digits(_mm_shuffle_epi8(v, order), &value))
        return NULL;
    double x = (double)(int64_t)value / powers[n - point];
    return wh_put_f64(to, minus ? -x : x) == WH_OK ? p + n : NULL;
}

WH_AVX2_FAST uint32_t specials(__m256i v)
{
    __m256i hit = _mm256_or_si256(_mm256_cmpeq_epi8(v, _mm256_set1_epi8('"')),
                                  _mm256_cmpeq_epi8(v, _mm256_set1_epi8('\\')));
    __m256i control = _mm256_cmpeq_epi8(_mm256_min_epu8(v, _mm256_set1_epi8(0x1f)), v);
    return (uint32_t)_mm256_movemask_epi8(_mm256_or_si256(hit, control));
}

/* p behind the opening quote. */
WH_AVX2_FAST const uint8_t *text(struct wh_column *to, const uint8_t *p, const uint8_t *end)
{
    __m256i low = _mm256_loadu_si256((const __m256i *)(const void *)p), high = low;
    uint32_t hits = specials(low);
    size_t n = _tzcnt_u32(hits);
    if (__builtin_expect(!hits, 0)) {
        high = _mm256_loadu_si256((const __m256i *)(const void *)(p + 32));
        n = 32 + _tzcnt_u32(specials(high));
    }
    if (__builtin_expect(n > TEXT_MOST || p[n] != '"' || !ends_member(p[n + 1]) ||
                             p + n + 1 >= end || n > to->max_cell ||
                             (size_t)to->n == to->rows_cap ||
                             to->data_cap - to->data_n < TEXT_MOST + 1,
                         0))
        return NULL;
    uint8_t *at = to->data + to->data_n;
    _mm256_storeu_si256((__m256i *)(void *)at, low);
    if (n > 32)
        _mm256_storeu_si256((__m256i *)(void *)(at + 32), high);
    to->data_n += n;
    to->offsets[++to->n] = (int32_t)to->data_n;
    return p + n + 1;
}

/* p behind the opening quote. */
WH_AVX2_FAST const uint8_t *date(struct wh_column *to, const uint8_t *p, const uint8_t *end)
{
    int32_t days;
    if (p[10] != '"' || !ends_member(p[11]) || p + 11 >= end || !wh_simd_date(p, &days))
        return NULL;
    return wh_put_i32(to, days) == WH_OK ? p + 11 : NULL;
}

static const uint8_t *null(struct wh_column *to, const uint8_t *p, const uint8_t *end)
{
    if (memcmp(p, "null", 4) != 0 || !ends_member(p[4]) || p + 4 >= end)
        return NULL;
    return wh_put_null(to) == WH_OK ? p + 4 : NULL;
}

WH_AVX2_FAST const uint8_t *value(const struct json_column *c, const uint8_t *p, const uint8_t *end)
{
    switch (c->how) {
    case JSON_I64:
        return *p != 'n' ? integer(c->to, p, end) : null(c->to, p, end);
    case JSON_F64:
        return *p != 'n' ? number(c->to, p, end) : null(c->to, p, end);
    case JSON_TEXT:
        return *p == '"' ? text(c->to, p + 1, end) : null(c->to, p, end);
    case JSON_DATE:
        return *p == '"' ? date(c->to, p + 1, end) : null(c->to, p, end);
    default:
        return NULL;
    }
}

WH_AVX2 const uint8_t *json_members_avx2(struct json_row *r, const struct json_node *node,
                                         int32_t *io_place, const uint8_t *p, const uint8_t *end,
                                         bool *ret_closed)
{
    int32_t place = *io_place;
    *ret_closed = false;
    for (; place < node->n_order; place++) {
        const struct json_order *o = &node->order[place];
        const struct json_node *child = o->child;
        if (!same_key(o, p) || !child || child->n_children || child->column < 0 ||
            r->seen[child->column] == r->stamp || end - p <= o->n)
            break;
        const uint8_t *behind = value(&r->cells.columns[child->column], p + o->n, end);
        if (!behind)
            break;
        r->seen[child->column] = r->stamp;
        r->n_seen++;
        p = behind + 1;
        if (*behind == '}') {
            *ret_closed = true;
            break;
        }
        p = json_blanks(p, end);
    }
    *io_place = place;
    return p;
}
#endif
