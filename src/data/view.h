/* SPDX-License-Identifier: Apache-2.0 */
/* Views: cheap typed access to an Arrow array that somebody else owns. */
#ifndef WHERRY_DATA_VIEW_H
#define WHERRY_DATA_VIEW_H

#include "data/type.h"

struct wh_view {
    struct wh_type type;
    int64_t n, offset, n_null;
    const uint8_t *validity; /* NULL = no nulls */
    const void *data;
    const int32_t *offsets;
    const struct ArrowArray *array;
    const struct ArrowSchema *field;
};

/* Checks buffer counts, lengths, offsets order against the schema: arrays from outside are not
 * trusted. Children are viewed by wh_view_child. */
WH_EXPORT wh_status wh_view_init(const struct ArrowSchema *field, const struct ArrowArray *,
                                 struct wh_view *ret, struct wh_error *reterr);
WH_EXPORT wh_status wh_view_child(const struct wh_view *, int64_t i, struct wh_view *ret,
                                  struct wh_error *reterr);

static inline bool wh_view_null(const struct wh_view *v, int64_t i)
{
    i += v->offset;
    return v->type.kind == WH_K_NULL || (v->validity && !(v->validity[i >> 3] >> (i & 7) & 1));
}

static inline struct wh_bytes wh_view_bytes(const struct wh_view *v, int64_t i)
{
    i += v->offset;
    if (v->type.kind == WH_K_FIXED)
        return (struct wh_bytes){(const uint8_t *)v->data + i * v->type.length,
                                 (size_t)v->type.length};
    return (struct wh_bytes){(const uint8_t *)v->data + v->offsets[i],
                             (size_t)(v->offsets[i + 1] - v->offsets[i])};
}

/* Any integer-like value widened (BOOL, I*, U8..U32, DATE32, TIME64, TIMESTAMP, DURATION). */
WH_EXPORT int64_t wh_view_i64(const struct wh_view *, int64_t i);
WH_EXPORT uint64_t wh_view_u64(const struct wh_view *, int64_t i);
WH_EXPORT double wh_view_f64(const struct wh_view *, int64_t i); /* F32, F64 */
WH_EXPORT __int128 wh_view_dec128(const struct wh_view *, int64_t i);

/* Whole batch against its schema, once per batch; views[] has n_children entries. */
WH_EXPORT wh_status wh_views_init(const struct ArrowSchema *, const struct ArrowArray *,
                                  struct wh_view *views, struct wh_error *reterr);
/* Canonical text of one cell, for previews, CSV, dirty records, error messages (the text forms of
 * convert.h: ISO dates, shortest round-trip floats, \x hex for binary when `quote_binary`). */
WH_EXPORT wh_status wh_view_text(const struct wh_view *, int64_t i, struct wh_buf *);

#endif
