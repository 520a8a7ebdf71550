/* SPDX-License-Identifier: Apache-2.0 */
/* A column's inside, for builder.c only. */
#ifndef WHERRY_DATA_COLUMN_H
#define WHERRY_DATA_COLUMN_H

#include "data/builder.h"

int32_t wh_type_width(const struct wh_type *); /* bytes of a fixed-size value, else 0 */
bool wh_kind_has_bytes(enum wh_kind);          /* UTF8, DECTEXT, BINARY */

wh_status wh_col_init(struct wh_column *, const struct ArrowSchema *field, struct wh_pool *,
                      struct wh_error *reterr); /* on failure: wh_col_free it */
void wh_col_free(struct wh_column *);
void wh_col_max_cell(struct wh_column *, size_t bytes);
int64_t wh_col_size(const struct wh_column *); /* bytes of what it holds, children too */

/* Sizes the buffers were asked for: what wh_pool_put needs. */
size_t wh_col_validity_size(const struct wh_column *);
size_t wh_col_offsets_size(const struct wh_column *);
size_t wh_col_data_size(const struct wh_column *);

#endif
