/* SPDX-License-Identifier: Apache-2.0 */
/* Stage 2 of reading CSV: a column of a block of records into a builder column. */
#ifndef WHERRY_FORMATS_CSV_CELL_H
#define WHERRY_FORMATS_CSV_CELL_H

#include "formats/csv/index.h"

/* A record of the window: its first entry in at[], where its first field starts. */
struct csv_row {
    uint32_t entry, start;
};

/* Records under conversion; `bad` has a byte per row. */
struct csv_block {
    const struct wh_csv_dialect *d;
    const uint8_t *p; /* window; CSV_PADDING readable bytes behind it */
    const uint32_t *at;
    const struct csv_row *rows;
    int32_t n;
    bool valid_utf8; /* the whole block is known to be valid */
    uint8_t *bad;
    int32_t n_bad;
    uint8_t *scratch;      /* room for the longest field of the window */
    uint32_t null_lengths; /* bit min(n, 31) for each null text */
    bool nulls_look_like_numbers;
    bool fast;          /* records stand one behind the other, no cell has a flag, AVX2 is there */
    int64_t n_fields;   /* of each */
    const bool *strict; /* per column: its type was guessed, so a text that the guess would have
                           refused (a code, too many digits) is no value of it */
};

/* Why the first bad cell of a row is bad: code of errors.def. */
struct csv_fault {
    int32_t column;
    const char *code, *text;
};

/* Converts field `field` of every row into column `out`; bad cells become nulls, are marked in
 * b->bad and described in faults[row] (only the first per row). */
wh_status csv_cells(struct csv_block *b, int64_t field, struct wh_column *out, int32_t column,
                    struct csv_fault *faults);

/* The same for rows [from, to), in all forms that a cell can have. */
wh_status csv_cells_slowly(struct csv_block *b, int64_t field, struct wh_column *out,
                           int32_t column, struct csv_fault *faults, int32_t from, int32_t to);
/* The same for fast blocks; *ret_done: whether the column's type is one that is known there. */
wh_status csv_cells_avx2(struct csv_block *, int64_t field, struct wh_column *out, int32_t column,
                         struct csv_fault *faults, bool *ret_done);

static inline bool csv_is_null_text(const struct wh_csv_dialect *d, uint32_t lengths,
                                    const uint8_t *s, size_t n)
{
    if (!(lengths >> (n < 31 ? n : 31) & 1))
        return false;
    for (int i = 0; i < d->n_nulls; i++)
        if (d->nulls[i].n == n && !memcmp(d->nulls[i].text, s, n))
            return true;
    return false;
}

/* A number printed with as many digits as the text has is the same number (guess.c). */
bool csv_same_as_double(const char *s, size_t n, char point);

uint32_t csv_null_lengths(const struct wh_csv_dialect *);

/* One text without quotes into a column that is neither text nor null; scratch has room for n bytes
 * and padding. False: it is no value of the type (its code: csv_put_code), or *ret_status is set.
 */
bool csv_put_cell(struct wh_column *, const struct wh_csv_dialect *, const uint8_t *s, size_t n,
                  uint8_t *scratch, int *ret_status);
const char *csv_put_code(enum wh_kind);

#endif
