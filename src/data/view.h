/* SPDX-License-Identifier: Apache-2.0 */
/* Views: cheap typed access to an Arrow array that somebody else owns. */
#ifndef WHERRY_DATA_VIEW_H
#define WHERRY_DATA_VIEW_H

#include "data/type.h"

struct wh_column;

struct wh_view {
    struct wh_type type;
    int64_t n, offset;
    int64_t n_null;          /* of a struct's member: at most those of the whole array */
    const uint8_t *validity; /* NULL = no nulls */
    const void *data;
    const int32_t *offsets;
    const struct ArrowArray *array;
    const struct ArrowSchema *field;
    const uint8_t *dict_data; /* DICT: bytes of the values; `offsets` are the values' offsets */
};

/* Checks buffer counts, lengths, offsets order, dictionary indexes against the schema (E3016):
 * arrays from outside are not trusted, with all their children. Only the sizes of buffers cannot
 * be checked: Arrow's C interface does not tell them. Children are viewed by wh_view_child: LIST
 * has its items (index them with wh_view_span), STRUCT its members (same row index), MAP its
 * entries (a STRUCT of key and value), DICT its values. */
WH_EXPORT wh_status wh_view_init(const struct ArrowSchema *field, const struct ArrowArray *,
                                 struct wh_view *ret, struct wh_error *reterr);
WH_EXPORT wh_status wh_view_child(const struct wh_view *, int64_t i, struct wh_view *ret,
                                  struct wh_error *reterr);

static inline bool wh_view_null(const struct wh_view *v, int64_t i)
{
    i += v->offset;
    return v->type.kind == WH_K_NULL || (v->validity && !(v->validity[i >> 3] >> (i & 7) & 1));
}

/* UTF8, DECTEXT, BINARY, FIXED, DICT; not for a null cell. */
static inline struct wh_bytes wh_view_bytes(const struct wh_view *v, int64_t i)
{
    i += v->offset;
    if (v->type.kind == WH_K_FIXED)
        return (struct wh_bytes){(const uint8_t *)v->data + i * v->type.length,
                                 (size_t)v->type.length};
    if (v->type.kind == WH_K_DICT) {
        i = ((const int32_t *)v->data)[i];
        return (struct wh_bytes){v->dict_data + v->offsets[i],
                                 (size_t)(v->offsets[i + 1] - v->offsets[i])};
    }
    return (struct wh_bytes){(const uint8_t *)v->data + v->offsets[i],
                             (size_t)(v->offsets[i + 1] - v->offsets[i])};
}

/* Items [*from, *to) of LIST or MAP row i, counted in rows of the view of child 0. */
static inline void wh_view_span(const struct wh_view *v, int64_t i, int64_t *from, int64_t *to)
{
    *from = v->offsets[i + v->offset];
    *to = v->offsets[i + v->offset + 1];
}

/* Any integer-like value widened (BOOL, I*, U8..U32, DATE32, TIME64, TIMESTAMP, DURATION). */
WH_EXPORT int64_t wh_view_i64(const struct wh_view *, int64_t i);
WH_EXPORT uint64_t wh_view_u64(const struct wh_view *, int64_t i);
WH_EXPORT double wh_view_f64(const struct wh_view *, int64_t i); /* F32, F64 */
WH_EXPORT __int128 wh_view_dec128(const struct wh_view *, int64_t i);
WH_EXPORT void wh_view_dec256(const struct wh_view *, int64_t i, uint64_t ret_words_le[4]);
WH_EXPORT void wh_view_interval(const struct wh_view *, int64_t i, int32_t *ret_months,
                                int32_t *ret_days, int64_t *ret_ns);

/* Whole batch against its schema, once per batch; views[] has n_children entries. */
WH_EXPORT wh_status wh_views_init(const struct ArrowSchema *, const struct ArrowArray *,
                                  struct wh_view *views, struct wh_error *reterr);
/* Canonical text of one cell, for previews, CSV, dirty records, messages, and the conversion to
 * utf8. A null adds nothing. Forms: true false; 42; 0.1 1.0 1e+16 nan inf -inf (shortest that reads
 * back); 12.30 (all digits of the scale); text as it is; binary \x6869; 2024-02-29; 01:02:03.5;
 * 2024-02-29 01:02:03.5, zoned with Z; durations and intervals in ISO 8601 (P1Y2M3DT4H5M6.7S); uuid
 * with its hyphens; lists [..], structs and maps with text keys {..} in JSON (else [[key, value]]).
 */
WH_EXPORT wh_status wh_view_text(const struct wh_view *, int64_t i, struct wh_buf *);
/* The same as a JSON value: text, dates and bytes quoted, null, not-a-number as text. */
WH_EXPORT wh_status wh_view_json(const struct wh_view *, int64_t i, struct wh_buf *);

/* A DICT column as plain text: appends v's rows to `out`, a column of type UTF8. */
WH_EXPORT wh_status wh_flatten(const struct wh_view *v, struct wh_column *out);

#endif
