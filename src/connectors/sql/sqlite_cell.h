/* SPDX-License-Identifier: Apache-2.0 */
/* One cell of a row: what SQLite stored, as a value of the column's type, or the fact that it is
 * none. Nothing is rounded, cut or guessed: a cell that is not exactly a value of the type does not
 * fit. */
#ifndef WHERRY_CONNECTORS_SQL_SQLITE_CELL_H
#define WHERRY_CONNECTORS_SQL_SQLITE_CELL_H

#include "data/builder.h"
#include "sqlite.h"

struct lite_value {
    int64_t i;            /* integers, dates, times */
    uint64_t u;           /* U64 */
    double f;             /* F64 */
    __int128 d;           /* DEC128 */
    uint64_t words[4];    /* DEC256 */
    int32_t months, days; /* INTERVAL; nanoseconds in i */
    const void *p;        /* text and bytes: borrowed from the statement, or buf */
    size_t n;
    char buf[64];
};

/* Decodes a cell (not NULL) whose storage class is `storage`. False: it does not fit. Cells come
 * from sqlite3_column_value: one call into the statement instead of three per cell; the connection
 * is used by one thread, which makes that safe. */
bool lite_cell_take(sqlite3_value *, int storage, const struct wh_type *, struct lite_value *ret);
/* Appends what was taken. WH_E_LIMIT: longer than a cell may be. */
wh_status lite_cell_put(struct wh_column *, const struct lite_value *);
/* Why it did not fit, for people: "text 'abc' where int64 is promised". */
void lite_cell_why(sqlite3_value *, const struct wh_type *, char *out, size_t size);
/* E6xxx of a cell that did not fit. */
const char *lite_cell_code(sqlite3_value *, const struct wh_type *);
/* Decimal text: [-+]digits[.digits][e[-+]digits]. */
bool lite_is_decimal(const char *p, size_t n);
/* The whole row as one JSON object, for the archive of dirty rows: blobs as {"hex": "..."}, invalid
 * text likewise. Columns from `first` on. */
wh_status lite_row_json(sqlite3_stmt *, int first, bool utf16, struct wh_buf *);
/* Text of a UTF-16 database: is it whole? SQLite would make other characters of halves of pairs.
 * Asked before the cell is taken. */
bool lite_cell_wide(sqlite3_value *);

#endif
