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

/* ret_why: static text, NULL for EXACT; may itself be NULL. Nullability is not judged. */
WH_EXPORT enum wh_fit wh_lattice(const struct wh_type *from, const struct wh_type *to,
                                 const char **ret_why);
WH_EXPORT const char *wh_fit_name(enum wh_fit);
/* Least type that holds both exactly (for merges and inference), false if only text does. Instants,
 * dates and durations take the finer unit, though it does not reach as far (the conversion is
 * CHECKED then). Bool joins only bool. The result may borrow from either argument. */
WH_EXPORT bool wh_type_join(const struct wh_type *, const struct wh_type *, struct wh_type *ret);

/* Strictness of values; first words are the strict ones (INTERFACE 3, `values:`).
 *
 * What the destination's type can hold unchanged is never refused: NaN stays NaN from float to
 * float. `x_null` makes NULL of x wherever it is met; without it x is refused where the type cannot
 * hold it (NaN in an integer, 0000-00-00 or infinity in a date), or where `x_refuse` says that the
 * destination cannot although its type could. `keep` is for those who print plans.
 * invalid_text_replace is for those who decode text (wh_utf8_repair): a utf8 column is valid.
 * accept_lossy: this column was named in accept_lossy: fractions and digits may be rounded (half to
 * even for numbers, down for times), zones and times of day may be dropped; values out of range are
 * refused all the same. */
struct wh_value_policy {
    bool zero_date_null, infinity_null, infinity_keep, nan_null, nan_keep, invalid_text_replace;
    bool empty_text_null, char_padding_trim, accept_lossy;
    bool nan_refuse, infinity_refuse;
};

/* A cell that did not convert. */
struct wh_cell_reject {
    int64_t row;
    int32_t column;
    char code[6];   /* E6xxx */
    char text[200]; /* why, with the value cut at 80 characters */
};

/* One column's plan: picked once, no function pointer per cell. WH_E_TYPE for IMPOSSIBLE (E3003,
 * E3011) and, without accept_lossy, for LOSSY (E3004). Not thread-safe; one per lane. */
struct wh_convert;
WH_EXPORT wh_status wh_convert_new(const struct ArrowSchema *from, const struct ArrowSchema *to,
                                   const struct wh_value_policy *, struct wh_convert **ret,
                                   struct wh_error *reterr);
WH_EXPORT void wh_convert_free(struct wh_convert *);
WH_EXPORT bool wh_convert_is_identity(const struct wh_convert *); /* pass by pointer */
/* Converts a whole column into `out` (a builder column of type `to`); a row that cannot convert
 * gets a null and a reject, in row order. Rejects beyond cap are counted only: *ret_n may be above
 * cap. An identity copies. */
WH_EXPORT wh_status wh_convert_run(struct wh_convert *, const struct wh_view *in, int32_t column,
                                   struct wh_column *out, struct wh_cell_reject *rejects,
                                   size_t cap, size_t *ret_n, struct wh_error *reterr);

/* Appends n rows of a view from row `first` on to a column of the same type (nested too). */
WH_EXPORT wh_status wh_col_append(struct wh_column *, const struct wh_view *, int64_t first,
                                  int64_t n, struct wh_error *reterr);
/* Text that may be invalid UTF-8, for connectors: with every bad byte as U+FFFD, into `out`. */
WH_EXPORT wh_status wh_utf8_repair(const char *s, size_t n, struct wh_buf *out);

#endif
