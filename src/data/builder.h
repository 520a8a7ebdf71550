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

#include "data/type.h"

struct wh_column {
    struct wh_type type;
    int64_t n, n_null;
    uint8_t *validity; /* NULL until the first null */
    uint8_t *data;     /* values; bits for BOOL; bytes for UTF8/BINARY */
    int32_t *offsets;  /* UTF8, BINARY, LIST, MAP: n + 1 entries */
    size_t data_n, data_cap, rows_cap;
    struct wh_column *children; /* LIST (1), STRUCT, MAP (entries), DICT (values) */
    int64_t n_children;
};

struct wh_builder;

WH_EXPORT wh_status wh_builder_new(const struct ArrowSchema *, struct wh_builder **ret,
                                   struct wh_error *reterr);
WH_EXPORT void wh_builder_free(struct wh_builder *);
WH_EXPORT struct wh_column *wh_builder_column(struct wh_builder *, int64_t i);
WH_EXPORT int64_t wh_builder_rows(const struct wh_builder *); /* complete rows (column 0) */
WH_EXPORT int64_t wh_builder_bytes(const struct wh_builder *);
WH_EXPORT bool wh_builder_full(const struct wh_builder *); /* WH_BATCH_BYTES or WH_BATCH_ROWS */
WH_EXPORT void wh_builder_truncate(struct wh_builder *, int64_t rows); /* drops a half-built row */
/* Moves what was built into *ret and starts anew. Checks that all columns have the same length. */
WH_EXPORT wh_status wh_builder_finish(struct wh_builder *, struct wh_batch *ret);

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

#endif
