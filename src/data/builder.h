/* SPDX-License-Identifier: Apache-2.0 */
/* Builders: rows in, one Arrow struct array out.
 *
 * A builder serves one lane. Buffers are 64-byte aligned and padded, grow in steps, and move into
 * the finished batch; spare buffers of released batches come back through a small pool. Appends
 * are inline fast paths in builder.h's second half (hot loops use them directly), no allocation
 * per row. Every append returns WH_OK, WH_E_NOMEM or WH_E_LIMIT (cell > max_cell).
 */
#ifndef WHERRY_DATA_BUILDER_H
#define WHERRY_DATA_BUILDER_H

#include <string.h>

#include "data/type.h"

/* Longest text or byte cell unless set otherwise (DESIGN 2.4: max_row_bytes). */
#define WH_CELL_MAX ((size_t)4 << 20)

struct wh_pool;

struct wh_column {
    struct wh_type type;
    int64_t n, n_null;
    uint8_t *validity; /* NULL until the first null; bits beyond n are 1 */
    uint8_t *data;     /* values; bits for BOOL (0 beyond n); bytes for UTF8/BINARY */
    int32_t *offsets;  /* UTF8, BINARY, LIST, MAP: n + 1 entries */
    size_t data_n, data_cap, rows_cap;
    struct wh_column *children; /* LIST (1), STRUCT, MAP (entries), DICT (values) */
    int64_t n_children;
    size_t max_cell;              /* bytes of one UTF8/BINARY cell */
    int32_t width;                /* bytes of a fixed-size value; 0 = bits or variable */
    int32_t max_index;            /* DICT: greatest index so far, -1 = none */
    size_t hint_rows, hint_bytes; /* what the last batch used */
    struct wh_pool *pool;         /* where buffers come from; the builder's */
};

struct wh_builder;

WH_EXPORT wh_status wh_builder_new(const struct ArrowSchema *, struct wh_builder **ret,
                                   struct wh_error *reterr);
WH_EXPORT void wh_builder_free(struct wh_builder *);
WH_EXPORT struct wh_column *wh_builder_column(struct wh_builder *, int64_t i);
WH_EXPORT int64_t wh_builder_rows(const struct wh_builder *);  /* complete rows (column 0) */
WH_EXPORT int64_t wh_builder_bytes(const struct wh_builder *); /* of the values so far */
WH_EXPORT bool wh_builder_full(const struct wh_builder *);     /* WH_BATCH_BYTES or WH_BATCH_ROWS */
WH_EXPORT void wh_builder_truncate(struct wh_builder *, int64_t rows); /* drops a half-built row */
WH_EXPORT void wh_builder_max_cell(struct wh_builder *, size_t bytes); /* default WH_CELL_MAX */
/* Moves what was built into *ret and starts anew. Checks that all columns have the same length
 * (WH_E_BUG). Fills rows, n_rows and bytes (memory held, spare room included); source_bytes and
 * first are the caller's. */
WH_EXPORT wh_status wh_builder_finish(struct wh_builder *, struct wh_batch *ret);
/* The same, with columns passed through: column i of the result is child from[i] of `take` where
 * from[i] >= 0 (the builder's own column i must then be empty; one child may serve several
 * columns), and the builder's column where from[i] < 0. `take` is held until the last column is
 * released. */
WH_EXPORT wh_status wh_builder_finish_over(struct wh_builder *, struct wh_batch *take,
                                           const int32_t *from, struct wh_batch *ret);

/* Appends, one per storage class. Integers and dates take the value in the column's own width. */
WH_EXPORT wh_status wh_col_null(struct wh_column *);
WH_EXPORT wh_status wh_col_i64(struct wh_column *, int64_t v);  /* BOOL, I8..I64, DATE32, TIME64,
                                  TIMESTAMP, DURATION; asserts that v fits */
WH_EXPORT wh_status wh_col_u64(struct wh_column *, uint64_t v); /* U8..U64 */
WH_EXPORT wh_status wh_col_f64(struct wh_column *, double v);   /* F32 (exact cast), F64 */
WH_EXPORT wh_status wh_col_bytes(struct wh_column *, const void *p, size_t n); /* UTF8 (valid!),
                                   DECTEXT, BINARY, FIXED (n == width), JSON text... */
WH_EXPORT wh_status wh_col_dec128(struct wh_column *, __int128 unscaled);
WH_EXPORT wh_status wh_col_dec256(struct wh_column *, const uint64_t words_le[4]);
WH_EXPORT wh_status wh_col_interval(struct wh_column *, int32_t months, int32_t days, int64_t ns);
WH_EXPORT wh_status wh_col_dict(struct wh_column *, int32_t index); /* values: children[0] */
WH_EXPORT wh_status wh_col_close(struct wh_column *); /* ends one LIST/MAP/STRUCT value whose
                                   children were appended before */

/* Room for so many more rows and (UTF8, BINARY) bytes: kernels then write behind column->n without
 * checks and add to n, data_n themselves. */
WH_EXPORT wh_status wh_col_reserve(struct wh_column *, int64_t rows, size_t bytes);
/* Takes back the last row of one column (a cell that turned out bad). */
WH_EXPORT void wh_col_truncate(struct wh_column *, int64_t rows);

/* ---------------------------------------------------------- inline fast paths
 * For hot loops that know the column's kind. A non-null cell touches no validity bit. */

/* I64, TIME64, TIMESTAMP, DURATION */
static inline wh_status wh_put_i64(struct wh_column *c, int64_t v)
{
    if (__builtin_expect((size_t)c->n == c->rows_cap, 0))
        WH_TRY(wh_col_reserve(c, 1, 0));
    ((int64_t *)(void *)c->data)[c->n++] = v;
    return WH_OK;
}

/* I32, DATE32, DICT (index checked when the batch is finished) */
static inline wh_status wh_put_i32(struct wh_column *c, int32_t v)
{
    if (__builtin_expect((size_t)c->n == c->rows_cap, 0))
        WH_TRY(wh_col_reserve(c, 1, 0));
    ((int32_t *)(void *)c->data)[c->n++] = v;
    return WH_OK;
}

/* F64 */
static inline wh_status wh_put_f64(struct wh_column *c, double v)
{
    if (__builtin_expect((size_t)c->n == c->rows_cap, 0))
        WH_TRY(wh_col_reserve(c, 1, 0));
    ((double *)(void *)c->data)[c->n++] = v;
    return WH_OK;
}

/* UTF8 (valid!), DECTEXT, BINARY */
static inline wh_status wh_put_bytes(struct wh_column *c, const void *p, size_t n)
{
    if (__builtin_expect(
            (size_t)c->n == c->rows_cap || n > c->data_cap - c->data_n || n > c->max_cell, 0))
        return wh_col_bytes(c, p, n);
    if (n)
        memcpy(c->data + c->data_n, p, n);
    c->data_n += n;
    c->offsets[++c->n] = (int32_t)c->data_n;
    return WH_OK;
}

/* The same for text with at least WH_PUT_PADDING readable bytes from `p` on, whatever its length: a
 * short one goes as one block. */
enum {
    WH_PUT_PADDING = 32
};

static inline wh_status wh_put_padded(struct wh_column *c, const uint8_t *p, size_t n)
{
    if (__builtin_expect(n > WH_PUT_PADDING || c->data_cap - c->data_n < WH_PUT_PADDING ||
                             (size_t)c->n == c->rows_cap || n > c->max_cell,
                         0))
        return wh_put_bytes(c, p, n);
    memcpy(c->data + c->data_n, p, WH_PUT_PADDING);
    c->data_n += n;
    c->offsets[++c->n] = (int32_t)c->data_n;
    return WH_OK;
}

/* Any kind; the first null of a batch and nested columns take the slower call. */
static inline wh_status wh_put_null(struct wh_column *c)
{
    if (__builtin_expect((size_t)c->n == c->rows_cap || !c->validity || c->n_children, 0))
        return wh_col_null(c);
    c->validity[c->n >> 3] &= (uint8_t) ~(1u << (c->n & 7));
    c->n_null++;
    if (c->offsets)
        c->offsets[c->n + 1] = (int32_t)c->data_n;
    else if (c->width)
        memset(c->data + c->n * c->width, 0, (size_t)c->width);
    c->n++;
    return WH_OK;
}

#endif
