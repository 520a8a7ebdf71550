/* SPDX-License-Identifier: Apache-2.0 */
/* One value of a row into its column. */
#ifndef WHERRY_FORMATS_JSON_CELL_H
#define WHERRY_FORMATS_JSON_CELL_H

#include "formats/json/scan.h"

/* How a column takes values. */
enum json_how {
    JSON_TEXT,
    JSON_RAW, /* the value's own text */
    JSON_I64,
    JSON_F64,
    JSON_DATE,
    JSON_OTHER, /* by the words of CSV, dates too */
};

struct json_column {
    enum json_how how;
    bool guessed;         /* then a value of another kind is none of its values */
    struct wh_column *to; /* the builder's */
};

/* Why a row is bad. `code` NULL: it is not. */
struct json_fault {
    const char *code, *text; /* a cell's text is completed with the name of its type */
    int32_t column;          /* -1 = the row */
    const uint8_t *at;       /* what is shown of the row; NULL = nothing */
    size_t n;
};

struct json_cells {
    struct json_column *columns;
    struct wh_csv_dialect dialect; /* of the words of CSV */
    uint8_t *scratch;              /* as large as the window, and its padding */
    struct json_fault fault;
    int status; /* what was not the row's fault: WH_E_NOMEM ... */
};

enum json_how json_how(const struct wh_type *);
/* Puts the value at p, and answers what is behind it. NULL: it is not JSON, or the row is bad
 * (fault), or there is no memory (status). */
const uint8_t *json_cell(struct json_cells *, int32_t column, const uint8_t *p, const uint8_t *end);

#endif
