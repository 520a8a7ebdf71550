/* SPDX-License-Identifier: Apache-2.0 */
/* The type lattice: for each (source type -> destination type) one decision, from one table, and
 * one conversion kernel that keeps its word. Tested by values over every pair (pyarrow judges).
 *
 *   EXACT       same values, same type            WIDENING    every value fits, nothing is lost
 *   CHECKED     a value may not fit: dirty row    LOSSY       digits or zone lost: accept_lossy
 *   IMPOSSIBLE  no meaning
 */
#ifndef WHERRY_DATA_LATTICE_H
#define WHERRY_DATA_LATTICE_H

#include "data/view.h"
#include "data/builder.h"

enum wh_fit {
    WH_FIT_EXACT,
    WH_FIT_WIDENING,
    WH_FIT_CHECKED,
    WH_FIT_LOSSY,
    WH_FIT_IMPOSSIBLE
};

WH_EXPORT enum wh_fit wh_lattice(const struct wh_type *from, const struct wh_type *to,
                                 const char **ret_why); /* static text, NULL for EXACT */
WH_EXPORT const char *wh_fit_name(enum wh_fit);
/* Least type that holds both exactly (for merges and inference), false if only text does. */
WH_EXPORT bool wh_type_join(const struct wh_type *, const struct wh_type *, struct wh_type *ret);

/* Strictness of values; first words are the strict ones (INTERFACE 3, `values:`). */
struct wh_value_policy {
    bool zero_date_null, infinity_null, infinity_keep, nan_null, nan_keep, invalid_text_replace;
    bool empty_text_null, char_padding_trim, accept_lossy;
};

/* A cell that did not convert. */
struct wh_cell_reject {
    int64_t row;
    int32_t column;
    char code[6];   /* E6xxx */
    char text[200]; /* why, with the value cut at 80 characters */
};

/* One column's plan: picked once, no function pointer per cell. */
struct wh_convert;
WH_EXPORT wh_status wh_convert_new(const struct ArrowSchema *from, const struct ArrowSchema *to,
                                   const struct wh_value_policy *, struct wh_convert **ret,
                                   struct wh_error *reterr);
WH_EXPORT void wh_convert_free(struct wh_convert *);
WH_EXPORT bool wh_convert_is_identity(const struct wh_convert *); /* pass by pointer */
/* Converts a whole column into `out` (a builder column of type `to`); a row that cannot convert
 * gets a null and a reject. Rejects beyond cap are counted only. */
WH_EXPORT wh_status wh_convert_run(struct wh_convert *, const struct wh_view *in, int32_t column,
                                   struct wh_column *out, struct wh_cell_reject *rejects,
                                   size_t cap, size_t *ret_n, struct wh_error *reterr);

#endif
