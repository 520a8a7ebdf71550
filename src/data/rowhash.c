/* SPDX-License-Identifier: Apache-2.0 */
/* Column by column over blocks of rows: the two words of 256 rows stay in the first-level cache,
 * and neighbouring rows' multiplications overlap. */
#include "data/rowhash.h"
#include "data/decimal.h"
#include "data/number.h"

#include <string.h>

#define ROWS    256
#define ALL     (~UINT64_C(0))
#define KEEP(n) (ALL >> (64 - 8 * (n))) /* the first n bytes of a word */
#define E18     UINT64_C(1000000000000000000)

struct state {
    uint64_t h0, h1;
};

static inline uint64_t mum(uint64_t a, uint64_t b)
{
    unsigned __int128 p = (unsigned __int128)a * b;

    return (uint64_t)(p >> 64) ^ (uint64_t)p;
}

static inline void absorb(struct state *s, uint64_t tag, uint64_t w)
{
    s->h0 = mum(s->h0 ^ w, WH_ROWHASH_P0 ^ tag);
    s->h1 = mum(s->h1 ^ w, WH_ROWHASH_P1 ^ tag);
}

static inline uint64_t mix(uint64_t x)
{
    x ^= x >> 33;
    x *= UINT64_C(0xff51afd7ed558ccd);
    x ^= x >> 33;
    x *= UINT64_C(0xc4ceb9fe1a85ec53);
    return x ^ x >> 33;
}

static inline uint64_t load_le(const uint8_t *p)
{
    uint64_t w;

    memcpy(&w, p, 8);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    w = __builtin_bswap64(w);
#endif
    return w;
}

static inline void pair(struct state *s, uint64_t tag, uint64_t x, uint64_t y)
{
    s->h0 = mum(s->h0 ^ x, WH_ROWHASH_P0 ^ tag ^ y);
    s->h1 = mum(s->h1 ^ y, WH_ROWHASH_P1 ^ tag ^ x);
}

/* Up to 8 bytes, zeros behind them, without a call to copy them. */
static inline uint64_t load_short(const uint8_t *p, size_t n)
{
    uint32_t low, high;

    if (n == 8)
        return load_le(p);
    if (n >= 4) { /* two halves that overlap */
        memcpy(&low, p, 4);
        memcpy(&high, p + n - 4, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        low = __builtin_bswap32(low);
        high = __builtin_bswap32(high);
#endif
        return low | (uint64_t)high << (8 * (n - 4));
    }
    if (n == 0)
        return 0;
    return p[0] | (uint64_t)p[n >> 1] << (8 * (n >> 1)) | (uint64_t)p[n - 1] << (8 * (n - 1));
}

/* The state by value: stores to it between the loads of a cell's bytes would each have to be made.
 */
static inline __attribute__((always_inline)) struct state with_bytes(struct state t,
                                                                     const uint8_t *p, size_t n)
{
    t.h0 += n * WH_ROWHASH_P0;
    t.h1 += n * WH_ROWHASH_P1;
    if (n <= 8) {
        pair(&t, WH_ROWHASH_BYTES, load_short(p, n), 0);
        return t;
    }
    const uint8_t *last = p + n - 8; /* what is short of a word is shifted out of the last one */

    for (; n > 16; p += 16, n -= 16)
        pair(&t, WH_ROWHASH_BYTES, load_le(p), load_le(p + 8));
    if (n > 8)
        pair(&t, WH_ROWHASH_BYTES, load_le(p), load_le(last) >> (8 * (16 - n)));
    else
        pair(&t, WH_ROWHASH_BYTES, load_le(last) >> (8 * (8 - n)), 0);
    return t;
}

/* The same where 16 bytes behind the cell may be read: nothing to be guessed about its length. */
static inline __attribute__((always_inline)) struct state with_room(struct state t,
                                                                    const uint8_t *p, size_t n)
{
    static const uint64_t low[17] = {0,       KEEP(1), KEEP(2), KEEP(3), KEEP(4), KEEP(5),
                                     KEEP(6), KEEP(7), ALL,     ALL,     ALL,     ALL,
                                     ALL,     ALL,     ALL,     ALL,     ALL},
                          high[17] = {0,       0,       0,       0,       0,       0,
                                      0,       0,       0,       KEEP(1), KEEP(2), KEEP(3),
                                      KEEP(4), KEEP(5), KEEP(6), KEEP(7), ALL};

    t.h0 += n * WH_ROWHASH_P0;
    t.h1 += n * WH_ROWHASH_P1;
    for (; n > 16; p += 16, n -= 16)
        pair(&t, WH_ROWHASH_BYTES, load_le(p), load_le(p + 8));
    pair(&t, WH_ROWHASH_BYTES, load_le(p) & low[n], load_le(p + 8) & high[n]);
    return t;
}

static void absorb_bytes(struct state *s, struct wh_bytes cell)
{
    *s = with_bytes(*s, cell.p, cell.n);
}

/* ------------------------------------------------------------------- decimals */

static inline void absorb_head(struct state *s, uint64_t first, int64_t exponent, bool negative,
                               uint64_t chunks)
{
    pair(s, WH_ROWHASH_DEC, first, (uint32_t)exponent | (uint64_t)negative << 32 | chunks << 33);
}

/* Takes 10^k out of m if it is a factor. m / 10^k, where that is whole, is m times the inverse of
 * 5^k modulo 2^64, rotated by k; where it is not, the same gives more than any such quotient. */
#define TAKE_ZEROS(k, inverse, most)                                                               \
    do {                                                                                           \
        uint64_t x = m * UINT64_C(inverse), q = x >> (k) | x << (64 - (k));                        \
        bool whole = q <= UINT64_C(most);                                                          \
                                                                                                   \
        m = whole ? q : m;                                                                         \
        exponent += whole ? (k) : 0;                                                               \
    } while (0)

/* Without branches: how many zeros a price ends in cannot be foreseen. */
static inline __attribute__((always_inline)) void absorb_small(struct state *s, uint64_t m,
                                                               bool negative, int64_t exponent)
{
    bool zero = m == 0;

    if (m >= 100000000) {
        TAKE_ZEROS(16, 0xe4a4d1417cd9a041, 0x734);
        TAKE_ZEROS(8, 0xc767074b22e90e21, 0x2af31dc461);
    }
    TAKE_ZEROS(4, 0xd288ce703afb7e91, 0x68db8bac710cb);
    TAKE_ZEROS(2, 0x8f5c28f5c28f5c29, 0x28f5c28f5c28f5c);
    TAKE_ZEROS(1, 0xcccccccccccccccd, 0x1999999999999999);
    exponent = zero ? 0 : exponent;
    negative = negative && !zero;
    if (m < E18) {
        absorb_head(s, m, exponent, negative, 1);
        return;
    }
    absorb_head(s, m % E18, exponent, negative, 2);
    absorb(s, WH_ROWHASH_DEC, m / E18);
}

static void absorb_256(struct state *s, struct wh_i256 x, int64_t exponent)
{
    uint64_t chunks[5];
    int k = 0;

    if ((x.w[1] | x.w[2] | x.w[3]) == 0) {
        absorb_small(s, x.w[0], x.negative, exponent);
        return;
    }
    for (;;) { /* one zero at a time is enough: wide values with many zeros are rare */
        uint64_t w[4];

        memcpy(w, x.w, sizeof w);
        if (wh_256_div(w, 10) != 0)
            break;
        memcpy(x.w, w, sizeof w);
        exponent++;
    }
    do
        chunks[k++] = wh_256_div(x.w, E18);
    while (x.w[0] | x.w[1] | x.w[2] | x.w[3]);
    absorb_head(s, chunks[0], exponent, x.negative, (uint64_t)k);
    for (int i = 1; i < k; i++)
        absorb(s, WH_ROWHASH_DEC, chunks[i]);
}

static char digit_at(const struct wh_decimal_text *t, size_t i)
{
    return i < t->a_n ? t->a[i] : t->b[i - t->a_n];
}

static void absorb_dectext(struct state *s, struct wh_bytes cell)
{
    struct wh_decimal_text t;
    double word;

    if (!wh_scan_decimal(cell.p, cell.n, &t)) {
        if (!wh_read_f64(cell.p, cell.n, &word)) /* no decimal at all: by its bytes */
            absorb_bytes(s, cell);
        else
            pair(s, WH_ROWHASH_DEC, 0, word != word ? 1 : word > 0 ? 2 : 3);
        return;
    }
    size_t total = t.a_n + t.b_n, end = total;

    do {
        size_t from = end > 18 ? end - 18 : 0;
        uint64_t chunk = 0;

        for (size_t i = from; i < end; i++)
            chunk = chunk * 10 + (uint64_t)(digit_at(&t, i) - '0');
        if (end == total)
            absorb_head(s, chunk, t.exponent, t.negative && total, total ? (total + 17) / 18 : 1);
        else
            absorb(s, WH_ROWHASH_DEC, chunk);
        end = from;
    } while (end);
}

/* ------------------------------------------------------------------ one block */

static const int64_t to_ns[] = {1000000000, 1000000, 1000, 1};

static inline uint64_t float_bits(double d)
{
    uint64_t bits;

    if (d != d)
        return UINT64_C(0x7ff8) << 48;
    d += 0.0; /* -0 + 0 = 0 */
    memcpy(&bits, &d, 8);
    return bits;
}

/* For each row k of the block: s = its state, i = its place in the buffers (offset added), null or
 * not. The view is copied: a store to a state might otherwise change it, as far as the compiler
 * knows, and every field would be read again for every row. */
#define EACH_ROW(body)                                                                             \
    do {                                                                                           \
        const struct wh_view copy = *v;                                                            \
                                                                                                   \
        for (int k = 0; !copy.validity && k < m; k++) {                                            \
            struct state *s = &states[k];                                                          \
            int64_t i = index[k] + copy.offset;                                                    \
                                                                                                   \
            body;                                                                                  \
        }                                                                                          \
        for (int k = 0; copy.validity && k < m; k++) {                                             \
            struct state *s = &states[k];                                                          \
            int64_t i = index[k] + copy.offset;                                                    \
                                                                                                   \
            if (!(copy.validity[i >> 3] >> (i & 7) & 1))                                           \
                absorb(s, WH_ROWHASH_NULL, 0);                                                     \
            else                                                                                   \
                body;                                                                              \
        }                                                                                          \
    } while (0)
#define VALUE(ctype) (((const ctype *)copy.data)[i])
/* One word per cell, chosen without a branch: nulls are not predictable. */
#define EACH_WORD(tag, ctype)                                                                      \
    do {                                                                                           \
        const struct wh_view copy = *v;                                                            \
                                                                                                   \
        for (int k = 0; !copy.validity && k < m; k++) {                                            \
            int64_t i = index[k] + copy.offset;                                                    \
                                                                                                   \
            absorb(&states[k], (tag), (uint64_t)VALUE(ctype));                                     \
        }                                                                                          \
        for (int k = 0; copy.validity && k < m; k++) {                                             \
            int64_t i = index[k] + copy.offset;                                                    \
            bool null = !(copy.validity[i >> 3] >> (i & 7) & 1);                                   \
                                                                                                   \
            absorb(&states[k], null ? WH_ROWHASH_NULL : (tag), null ? 0 : (uint64_t)VALUE(ctype)); \
        }                                                                                          \
    } while (0)

struct tree {
    struct wh_view view;
    struct tree *children; /* of nested columns */
    int64_t n;
};

static void absorb_cell(struct state *, const struct tree *, int64_t i);

static inline void absorb_ticks(struct state *s, int64_t v, int64_t factor, uint64_t tag)
{
    __int128 ns = (__int128)v * factor;

    pair(s, tag, (uint64_t)ns, (uint64_t)(ns >> 64));
}

static inline void absorb_interval(struct state *s, const uint8_t *p)
{
    int32_t months, days;
    int64_t ns;

    memcpy(&months, p, 4);
    memcpy(&days, p + 4, 4);
    memcpy(&ns, p + 8, 8);
    pair(s, WH_ROWHASH_INTERVAL, (uint64_t)(int64_t)months, (uint64_t)(int64_t)days);
    absorb(s, WH_ROWHASH_INTERVAL, (uint64_t)ns);
}

static inline void absorb_decimal128(struct state *s, const uint8_t *p, int64_t exponent)
{
    __int128 x;

    memcpy(&x, p, 16);
    uint64_t low = (uint64_t)x, high = (uint64_t)(x >> 64), sign = 0 - (high >> 63);

    if (high == sign && !(sign && !low)) /* the magnitude has 64 bits */
        absorb_small(s, (low ^ sign) - sign, sign, exponent);
    else
        absorb_256(s, wh_i256_from(x), exponent);
}

static void hash_ints(struct state *states, const struct wh_view *v, const int32_t *index, int m)
{
    switch (v->type.kind) {
    case WH_K_I8:
        EACH_WORD(WH_ROWHASH_INT, int8_t);
        break;
    case WH_K_I16:
        EACH_WORD(WH_ROWHASH_INT, int16_t);
        break;
    case WH_K_I32:
        EACH_WORD(WH_ROWHASH_INT, int32_t);
        break;
    case WH_K_I64:
        EACH_WORD(WH_ROWHASH_INT, int64_t);
        break;
    case WH_K_U8:
        EACH_WORD(WH_ROWHASH_INT, uint8_t);
        break;
    case WH_K_U16:
        EACH_WORD(WH_ROWHASH_INT, uint16_t);
        break;
    case WH_K_U32:
        EACH_WORD(WH_ROWHASH_INT, uint32_t);
        break;
    default:
        EACH_WORD(VALUE(uint64_t) >> 63 ? WH_ROWHASH_BIG : WH_ROWHASH_INT, uint64_t);
    }
}

static void hash_numbers(struct state *states, const struct wh_view *v, const int32_t *index, int m)
{
    int64_t exponent = -v->type.scale;

    switch (v->type.kind) {
    case WH_K_BOOL:
        EACH_ROW(absorb(s, WH_ROWHASH_BOOL, ((const uint8_t *)copy.data)[i >> 3] >> (i & 7) & 1));
        break;
    case WH_K_F32:
        EACH_ROW(absorb(s, WH_ROWHASH_FLOAT, float_bits((double)VALUE(float))));
        break;
    case WH_K_F64:
        EACH_ROW(absorb(s, WH_ROWHASH_FLOAT, float_bits(VALUE(double))));
        break;
    case WH_K_DEC128:
        EACH_ROW(absorb_decimal128(s, (const uint8_t *)copy.data + i * 16, exponent));
        break;
    case WH_K_DEC256:
        EACH_ROW(absorb_256(s, wh_i256_load(&copy, i - copy.offset), exponent));
        break;
    default:
        hash_ints(states, v, index, m);
    }
}

static void hash_times(struct state *states, const struct wh_view *v, const int32_t *index, int m)
{
    int64_t factor = to_ns[v->type.unit];
    uint64_t tag = v->type.zoned ? WH_ROWHASH_ZONED : WH_ROWHASH_NAIVE;

    switch (v->type.kind) {
    case WH_K_DATE32:
        EACH_WORD(WH_ROWHASH_DATE, int32_t);
        break;
    case WH_K_TIME64:
        EACH_ROW(absorb(s, WH_ROWHASH_TIME, VALUE(uint64_t) * (uint64_t)factor));
        break;
    case WH_K_TIMESTAMP:
        EACH_ROW(absorb_ticks(s, VALUE(int64_t), factor, tag));
        break;
    case WH_K_DURATION:
        EACH_ROW(absorb_ticks(s, VALUE(int64_t), factor, WH_ROWHASH_DURATION));
        break;
    default:
        EACH_ROW(absorb_interval(s, (const uint8_t *)copy.data + i * 16));
    }
}

static void hash_plain_texts(struct state *states, const struct wh_view *v, const int32_t *index,
                             int m)
{
    const int32_t safe = v->offsets[v->offset + v->n] - 16; /* cells that end here have room */

    EACH_ROW({
        int32_t from = copy.offsets[i];
        int32_t to = copy.offsets[i + 1];
        const uint8_t *p = (const uint8_t *)copy.data + from;
        size_t n = (size_t)(to - from);

        *s = to <= safe ? with_room(*s, p, n) : with_bytes(*s, p, n);
    });
}

static void hash_texts(struct state *states, const struct wh_view *v, const int32_t *index, int m)
{
    if (v->type.kind == WH_K_DECTEXT)
        EACH_ROW(absorb_dectext(s, wh_view_bytes(&copy, i - copy.offset)));
    else if ((v->type.kind == WH_K_UTF8 || v->type.kind == WH_K_BINARY) && m > 0)
        hash_plain_texts(states, v, index, m);
    else
        EACH_ROW(absorb_bytes(s, wh_view_bytes(&copy, i - copy.offset)));
}

/* One column of up to ROWS rows. */
static void hash_column(struct state *states, const struct tree *t, const int32_t *index, int m)
{
    const struct wh_view *v = &t->view;

    switch (v->type.kind) {
    case WH_K_NULL:
        for (int k = 0; k < m; k++)
            absorb(&states[k], WH_ROWHASH_NULL, 0);
        break;
    case WH_K_DECTEXT:
    case WH_K_UTF8:
    case WH_K_BINARY:
    case WH_K_FIXED:
    case WH_K_DICT:
        hash_texts(states, v, index, m);
        break;
    case WH_K_BOOL ... WH_K_DEC256:
        hash_numbers(states, v, index, m);
        break;
    case WH_K_DATE32 ... WH_K_INTERVAL:
        hash_times(states, v, index, m);
        break;
    default:
        EACH_ROW(absorb_cell(s, t, i - copy.offset));
    }
}

/* A nested cell that is not null. */
static void absorb_cell(struct state *s, const struct tree *t, int64_t i)
{
    int64_t from, to;
    int32_t at;

    if (t->view.type.kind == WH_K_STRUCT) {
        absorb(s, WH_ROWHASH_STRUCT, (uint64_t)t->n);
        for (int64_t c = 0; c < t->n; c++) {
            at = (int32_t)i;
            hash_column(s, &t->children[c], &at, 1);
        }
        return;
    }
    wh_view_span(&t->view, i, &from, &to);
    absorb(s, WH_ROWHASH_LIST, (uint64_t)(to - from));
    for (; from < to; from++) { /* a map's two children are its keys and values */
        at = (int32_t)from;
        for (int64_t c = 0; c < t->n; c++)
            hash_column(s, &t->children[c], &at, 1);
    }
}

/* ----------------------------------------------------------------- whole rows */

static void free_tree(struct tree *t)
{
    for (int64_t i = 0; i < t->n; i++)
        free_tree(&t->children[i]);
    wh_free(t->children);
}

static wh_status plant(struct tree *t, const struct wh_view *v)
{
    struct wh_view entries = *v, child;

    t->view = *v;
    if (v->type.kind < WH_K_LIST || v->type.kind == WH_K_DICT)
        return WH_OK;
    if (v->type.kind == WH_K_MAP)
        WH_TRY(wh_view_child(v, 0, &entries, NULL));
    int64_t n = entries.field->n_children;

    if (!(t->children = wh_calloc((size_t)n, sizeof *t->children)))
        return WH_E_NOMEM;
    t->n = n;
    for (int64_t i = 0; i < n; i++) {
        WH_TRY(wh_view_child(&entries, i, &child, NULL));
        WH_TRY(plant(&t->children[i], &child));
    }
    return WH_OK;
}

static void finish(struct state *s)
{
    s->h0 = mix(s->h0);
    s->h1 = mix(s->h1 ^ s->h0);
}

/* Hashes of up to ROWS rows. */
static void hash_block(const struct tree *columns, int64_t n_columns, const int32_t *index, int m,
                       struct state *states)
{
    for (int k = 0; k < m; k++)
        states[k] = (struct state){WH_ROWHASH_H0, WH_ROWHASH_H1};
    for (int64_t c = 0; c < n_columns; c++)
        hash_column(states, &columns[c], index, m);
    for (int k = 0; k < m; k++)
        finish(&states[k]);
}

static wh_status hash_rows(const struct wh_view *views, int64_t n_columns, const int32_t *rows,
                           int64_t first, int64_t n, struct wh_u128 *sum, struct wh_u128 *out)
{
    struct tree all = {.n = n_columns};
    struct state states[ROWS];
    int32_t index[ROWS];
    int st = WH_OK;

    if (!(all.children = wh_calloc((size_t)n_columns, sizeof *all.children)))
        return WH_E_NOMEM;
    for (int64_t c = 0; st == WH_OK && c < n_columns; c++)
        st = plant(&all.children[c], &views[c]);
    for (int64_t done = 0; st == WH_OK && done < n; done += ROWS) {
        int m = n - done < ROWS ? (int)(n - done) : ROWS;

        for (int k = 0; k < m; k++)
            index[k] = rows ? rows[done + k] : (int32_t)(first + done + k);
        hash_block(all.children, n_columns, index, m, states);
        for (int k = 0; k < m; k++) {
            struct wh_u128 h = {.lo = states[k].h0, .hi = states[k].h1};

            if (out)
                out[done + k] = h;
            if (sum)
                *sum = wh_u128_add(*sum, h);
        }
    }
    free_tree(&all);
    return st;
}

wh_status wh_rowhash_add(struct wh_rowsum *s, const struct wh_view *views, int64_t n_columns,
                         const int32_t *rows, int64_t first, int64_t n)
{
    struct wh_u128 sum = s->sum;

    WH_TRY(hash_rows(views, n_columns, rows, first, n, &sum, NULL));
    s->sum = sum;
    s->rows += n;
    return WH_OK;
}

wh_status wh_rowhash_each(const struct wh_view *views, int64_t n_columns, const int32_t *rows,
                          int64_t first, int64_t n, struct wh_u128 *out)
{
    return hash_rows(views, n_columns, rows, first, n, NULL, out);
}

void wh_rowsum_merge(struct wh_rowsum *into, const struct wh_rowsum *from)
{
    into->sum = wh_u128_add(into->sum, from->sum);
    into->rows += from->rows;
}
