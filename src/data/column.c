/* SPDX-License-Identifier: Apache-2.0 */
/* One growing column: room, appends, taking rows back. */
#include "data/builder.h"
#include "data/column.h"
#include "data/kernel.h"
#include "data/pool.h"

#include <assert.h>
#include <string.h>

#define FIRST_ROWS 256
#define ROWS_MAX   ((size_t)1 << 30)

static const int8_t widths[WH_K_COUNT] = {
    [WH_K_I8] = 1,      [WH_K_U8] = 1,        [WH_K_I16] = 2,      [WH_K_U16] = 2,
    [WH_K_I32] = 4,     [WH_K_U32] = 4,       [WH_K_F32] = 4,      [WH_K_DATE32] = 4,
    [WH_K_DICT] = 4,    [WH_K_I64] = 8,       [WH_K_U64] = 8,      [WH_K_F64] = 8,
    [WH_K_TIME64] = 8,  [WH_K_TIMESTAMP] = 8, [WH_K_DURATION] = 8, [WH_K_DEC128] = 16,
    [WH_K_DEC256] = 32, [WH_K_INTERVAL] = 16,
};

int32_t wh_type_width(const struct wh_type *t)
{
    return t->kind == WH_K_FIXED ? (int32_t)t->length : widths[t->kind];
}

bool wh_kind_has_bytes(enum wh_kind k)
{
    return k == WH_K_UTF8 || k == WH_K_DECTEXT || k == WH_K_BINARY;
}

static bool has_offsets(enum wh_kind k)
{
    return wh_kind_has_bytes(k) || k == WH_K_LIST || k == WH_K_MAP;
}

/* ---------------------------------------------------------------------- room */

static size_t data_size(const struct wh_column *c, size_t rows)
{
    return c->type.kind == WH_K_BOOL ? (rows + 7) / 8 : rows * (size_t)c->width;
}

static void free_buffer(struct wh_column *c, void *p, size_t n)
{
    wh_pool_put(c->pool, p, n);
}

size_t wh_col_validity_size(const struct wh_column *c)
{
    return c->rows_cap / 8 + 1;
}

size_t wh_col_offsets_size(const struct wh_column *c)
{
    return (c->rows_cap + 1) * sizeof(int32_t);
}

size_t wh_col_data_size(const struct wh_column *c)
{
    return wh_kind_has_bytes(c->type.kind) ? c->data_cap : data_size(c, c->rows_cap);
}

static uint8_t *new_validity(struct wh_column *c, size_t rows)
{
    size_t cap;
    uint8_t *p = wh_pool_get(c->pool, rows / 8 + 1, &cap);

    if (p)
        memset(p, 0xFF, rows / 8 + 1);
    return p;
}

/* New buffers first, then the exchange: on failure the column is as it was. */
static wh_status grow_rows(struct wh_column *c, size_t rows)
{
    bool offsets = has_offsets(c->type.kind), values = data_size(c, rows) > 0;
    size_t old_n = (size_t)c->n, cap;
    struct wh_column next = *c;

    next.rows_cap = rows;
    next.validity = c->validity ? new_validity(c, rows) : NULL;
    next.offsets = offsets ? wh_pool_get(c->pool, wh_col_offsets_size(&next), &cap) : NULL;
    if (values)
        next.data = wh_pool_get(c->pool, data_size(c, rows), &cap);
    if ((c->validity && !next.validity) || (offsets && !next.offsets) || (values && !next.data)) {
        free_buffer(c, next.validity, wh_col_validity_size(&next));
        free_buffer(c, next.offsets, wh_col_offsets_size(&next));
        if (values)
            free_buffer(c, next.data, data_size(c, rows));
        return WH_E_NOMEM;
    }
    if (c->validity)
        memcpy(next.validity, c->validity, (old_n + 7) / 8);
    if (offsets && c->offsets)
        memcpy(next.offsets, c->offsets, (old_n + 1) * sizeof(int32_t));
    else if (offsets)
        next.offsets[0] = 0;
    if (values) {
        size_t used = data_size(c, old_n);

        if (used)
            memcpy(next.data, c->data, used);
        if (c->type.kind == WH_K_BOOL)
            memset(next.data + used, 0, data_size(c, rows) - used);
        free_buffer(c, c->data, data_size(c, c->rows_cap));
    }
    free_buffer(c, c->validity, wh_col_validity_size(c));
    free_buffer(c, c->offsets, wh_col_offsets_size(c));
    *c = next;
    return WH_OK;
}

static wh_status grow_bytes(struct wh_column *c, size_t need)
{
    size_t cap;
    uint8_t *p;

    if (need > INT32_MAX)
        return WH_E_LIMIT;
    p = wh_pool_get(c->pool, need, &cap);
    if (!p)
        return WH_E_NOMEM;
    if (c->data_n)
        memcpy(p, c->data, c->data_n);
    wh_pool_put(c->pool, c->data, c->data_cap);
    c->data = p;
    c->data_cap = cap;
    return WH_OK;
}

wh_status wh_col_reserve(struct wh_column *c, int64_t rows, size_t bytes)
{
    size_t need = (size_t)c->n + (size_t)rows;

    if (need > c->rows_cap) {
        size_t cap = c->rows_cap                 ? c->rows_cap * 2
                     : c->hint_rows > FIRST_ROWS ? c->hint_rows
                                                 : FIRST_ROWS;

        if (rows < 0 || need > ROWS_MAX)
            return WH_E_LIMIT;
        while (cap < need)
            cap *= 2;
        WH_TRY(grow_rows(c, cap));
    }
    if (wh_kind_has_bytes(c->type.kind) && bytes > c->data_cap - c->data_n) {
        size_t twice = c->data_cap == 0              ? c->hint_bytes
                       : c->data_cap < INT32_MAX / 2 ? c->data_cap * 2
                                                     : INT32_MAX;

        if (bytes > INT32_MAX)
            return WH_E_LIMIT;
        WH_TRY(grow_bytes(c, c->data_n + bytes > twice ? c->data_n + bytes : twice));
    }
    return WH_OK;
}

static inline wh_status room(struct wh_column *c)
{
    return (size_t)c->n < c->rows_cap ? WH_OK : wh_col_reserve(c, 1, 0);
}

/* ------------------------------------------------------------------- appends */

static int64_t pending_child(const struct wh_column *c)
{
    return c->offsets ? c->offsets[c->n] : c->n;
}

static wh_status null_children(struct wh_column *c)
{
    for (int64_t i = 0; i < c->n_children; i++) {
        struct wh_column *child = &c->children[i];

        if (c->type.kind == WH_K_STRUCT) {
            if (child->n != c->n)
                return WH_E_BUG;
            WH_TRY(wh_col_null(child));
        } else if (c->offsets && child->n != pending_child(c)) {
            return WH_E_BUG;
        }
    }
    return WH_OK;
}

wh_status wh_col_null(struct wh_column *c)
{
    WH_TRY(room(c));
    if (!c->validity && c->type.kind != WH_K_NULL && !(c->validity = new_validity(c, c->rows_cap)))
        return WH_E_NOMEM;
    if (c->n_children)
        WH_TRY(null_children(c));
    if (c->validity)
        c->validity[c->n >> 3] &= (uint8_t) ~(1u << (c->n & 7));
    if (c->offsets)
        c->offsets[c->n + 1] = c->offsets[c->n];
    else if (c->width)
        memset(c->data + c->n * c->width, 0, (size_t)c->width);
    c->n++;
    c->n_null++;
    return WH_OK;
}

wh_status wh_col_i64(struct wh_column *c, int64_t v)
{
    WH_TRY(room(c));
    switch (c->type.kind) {
    case WH_K_BOOL:
        assert(v == 0 || v == 1);
        c->data[c->n >> 3] |= (uint8_t)((unsigned)(v != 0) << (c->n & 7));
        break;
    case WH_K_I8:
        assert(v == (int8_t)v);
        ((int8_t *)c->data)[c->n] = (int8_t)v;
        break;
    case WH_K_I16:
        assert(v == (int16_t)v);
        ((int16_t *)(void *)c->data)[c->n] = (int16_t)v;
        break;
    case WH_K_I32:
    case WH_K_DATE32:
        assert(v == (int32_t)v);
        ((int32_t *)(void *)c->data)[c->n] = (int32_t)v;
        break;
    default:
        assert(c->width == 8);
        ((int64_t *)(void *)c->data)[c->n] = v;
    }
    c->n++;
    return WH_OK;
}

wh_status wh_col_u64(struct wh_column *c, uint64_t v)
{
    WH_TRY(room(c));
    switch (c->type.kind) {
    case WH_K_U8:
        assert(v <= UINT8_MAX);
        c->data[c->n] = (uint8_t)v;
        break;
    case WH_K_U16:
        assert(v <= UINT16_MAX);
        ((uint16_t *)(void *)c->data)[c->n] = (uint16_t)v;
        break;
    case WH_K_U32:
        assert(v <= UINT32_MAX);
        ((uint32_t *)(void *)c->data)[c->n] = (uint32_t)v;
        break;
    default:
        assert(c->type.kind == WH_K_U64);
        ((uint64_t *)(void *)c->data)[c->n] = v;
    }
    c->n++;
    return WH_OK;
}

wh_status wh_col_f64(struct wh_column *c, double v)
{
    WH_TRY(room(c));
    if (c->type.kind == WH_K_F32) {
        assert((double)(float)v == v || v != v);
        ((float *)(void *)c->data)[c->n] = (float)v;
    } else {
        assert(c->type.kind == WH_K_F64);
        ((double *)(void *)c->data)[c->n] = v;
    }
    c->n++;
    return WH_OK;
}

wh_status wh_col_bytes(struct wh_column *c, const void *p, size_t n)
{
    if (c->type.kind == WH_K_FIXED) {
        assert(n == (size_t)c->width);
        WH_TRY(room(c));
        memcpy(c->data + c->n * c->width, p, n);
        c->n++;
        return WH_OK;
    }
    assert(wh_kind_has_bytes(c->type.kind));
    if (n > c->max_cell)
        return WH_E_LIMIT;
    WH_TRY(wh_col_reserve(c, 1, n));
    if (n)
        memcpy(c->data + c->data_n, p, n);
    c->data_n += n;
    c->offsets[++c->n] = (int32_t)c->data_n;
    return WH_OK;
}

wh_status wh_col_dec128(struct wh_column *c, __int128 unscaled)
{
    assert(c->type.kind == WH_K_DEC128);
    WH_TRY(room(c));
    memcpy(c->data + c->n++ * 16, &unscaled, 16);
    return WH_OK;
}

wh_status wh_col_dec256(struct wh_column *c, const uint64_t words_le[4])
{
    assert(c->type.kind == WH_K_DEC256);
    WH_TRY(room(c));
    memcpy(c->data + c->n++ * 32, words_le, 32);
    return WH_OK;
}

wh_status wh_col_interval(struct wh_column *c, int32_t months, int32_t days, int64_t ns)
{
    assert(c->type.kind == WH_K_INTERVAL);
    WH_TRY(room(c));
    uint8_t *p = c->data + c->n++ * 16;

    memcpy(p, &months, 4);
    memcpy(p + 4, &days, 4);
    memcpy(p + 8, &ns, 8);
    return WH_OK;
}

wh_status wh_col_dict(struct wh_column *c, int32_t index)
{
    assert(c->type.kind == WH_K_DICT && index >= 0);
    WH_TRY(room(c));
    ((int32_t *)(void *)c->data)[c->n++] = index;
    return WH_OK;
}

wh_status wh_col_close(struct wh_column *c)
{
    WH_TRY(room(c));
    if (c->type.kind == WH_K_STRUCT) {
        for (int64_t i = 0; i < c->n_children; i++)
            if (c->children[i].n != c->n + 1)
                return WH_E_BUG;
    } else {
        struct wh_column *items = c->children;

        if (c->type.kind == WH_K_MAP) { /* the entries' rows are closed here, pairs count */
            if (items->children[0].n != items->children[1].n)
                return WH_E_BUG;
            WH_TRY(wh_col_reserve(items, items->children[0].n - items->n, 0));
            items->n = items->children[0].n;
        }
        if (items->n < c->offsets[c->n] || items->n > INT32_MAX)
            return WH_E_BUG;
        c->offsets[c->n + 1] = (int32_t)items->n;
    }
    c->n++;
    return WH_OK;
}

wh_status wh_col_add_valid(struct wh_column *c, uint64_t keep, int m)
{
    uint64_t all = m == 64 ? UINT64_MAX : (UINT64_C(1) << m) - 1, gone = all & ~keep;

    if (gone) {
        if (!c->validity && !(c->validity = new_validity(c, c->rows_cap)))
            return WH_E_NOMEM;
        c->n_null += __builtin_popcountll(gone);
        if ((c->n & 7) == 0) {
            uint64_t bits = ~gone; /* bits beyond stay 1 */

            memcpy(c->validity + (c->n >> 3), &bits, (size_t)(m + 7) / 8);
        } else {
            for (; gone; gone &= gone - 1) {
                int64_t at = c->n + __builtin_ctzll(gone);

                c->validity[at >> 3] &= (uint8_t) ~(1u << (at & 7));
            }
        }
    }
    c->n += m;
    return WH_OK;
}

/* --------------------------------------------------------------- taking back */

/* Bits [from, to) of a bitmap become `value`; counts how many were 0. */
static int64_t set_bits(uint8_t *bits, int64_t from, int64_t to, bool value)
{
    int64_t zeros = 0;

    for (int64_t i = from; i < to; i++) {
        uint8_t bit = (uint8_t)(1u << (i & 7));

        zeros += !(bits[i >> 3] & bit);
        bits[i >> 3] = value ? bits[i >> 3] | bit : bits[i >> 3] & (uint8_t)~bit;
    }
    return zeros;
}

void wh_col_truncate(struct wh_column *c, int64_t rows)
{
    if (rows < c->n) {
        if (c->validity)
            c->n_null -= set_bits(c->validity, rows, c->n, true);
        else if (c->type.kind == WH_K_NULL)
            c->n_null = rows;
        if (c->type.kind == WH_K_BOOL)
            set_bits(c->data, rows, c->n, false);
        c->n = rows;
        if (c->offsets && wh_kind_has_bytes(c->type.kind))
            c->data_n = (size_t)c->offsets[rows];
    }
    if (c->type.kind == WH_K_DICT)
        return; /* values are shared by rows; spare ones do no harm */
    for (int64_t i = 0; i < c->n_children; i++) {
        struct wh_column *child = &c->children[i];
        int64_t keep = c->type.kind == WH_K_STRUCT ? c->n : c->offsets ? c->offsets[c->n] : 0;

        wh_col_truncate(child, keep);
    }
}

/* --------------------------------------------------------------- life, sizes */

static wh_status init_children(struct wh_column *c, const struct ArrowSchema *field)
{
    int64_t n = c->type.kind == WH_K_DICT ? 1 : field->n_children;

    if (n == 0)
        return WH_OK;
    if (!(c->children = wh_calloc((size_t)n, sizeof *c->children)))
        return WH_E_NOMEM;
    for (int64_t i = 0; i < n; i++) {
        const struct ArrowSchema *of =
            c->type.kind == WH_K_DICT ? field->dictionary : field->children[i];

        c->n_children = i + 1;
        WH_TRY(wh_col_init(&c->children[i], of, c->pool, NULL));
    }
    return WH_OK;
}

wh_status wh_col_init(struct wh_column *c, const struct ArrowSchema *field, struct wh_pool *pool,
                      struct wh_error *reterr)
{
    *c = (struct wh_column){.pool = pool, .max_cell = WH_CELL_MAX, .max_index = -1};
    WH_TRY(wh_type_of(field, &c->type, reterr));
    c->width = wh_type_width(&c->type);
    if (c->type.kind < WH_K_LIST)
        return WH_OK;
    return init_children(c, field);
}

void wh_col_max_cell(struct wh_column *c, size_t bytes)
{
    c->max_cell = bytes;
    for (int64_t i = 0; i < c->n_children; i++)
        wh_col_max_cell(&c->children[i], bytes);
}

void wh_col_free(struct wh_column *c)
{
    for (int64_t i = 0; i < c->n_children; i++)
        wh_col_free(&c->children[i]);
    wh_free(c->children);
    wh_pool_put(c->pool, c->validity, wh_col_validity_size(c));
    wh_pool_put(c->pool, c->offsets, wh_col_offsets_size(c));
    wh_pool_put(c->pool, c->data, wh_col_data_size(c));
    *c = (struct wh_column){0};
}

int64_t wh_col_size(const struct wh_column *c)
{
    int64_t bytes =
        wh_kind_has_bytes(c->type.kind) ? (int64_t)c->data_n : (int64_t)data_size(c, (size_t)c->n);

    if (c->validity)
        bytes += (c->n + 7) / 8;
    if (c->offsets)
        bytes += (c->n + 1) * 4;
    for (int64_t i = 0; i < c->n_children; i++)
        bytes += wh_col_size(&c->children[i]);
    return bytes;
}
