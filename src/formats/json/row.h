/* SPDX-License-Identifier: Apache-2.0 */
/* One object into the columns. */
#ifndef WHERRY_FORMATS_JSON_ROW_H
#define WHERRY_FORMATS_JSON_ROW_H

#include "formats/json/cell.h"
#include "formats/json/tree.h"

struct json_row {
    struct json_tree tree;
    struct json_cells cells;
    int32_t n_columns;
    uint32_t *seen; /* per column: the stamp of the row that had it last */
    uint32_t stamp;
    bool refuse_unknown;
    const uint8_t *stopped; /* where reading ended, of a row that is no JSON */
};

/* Puts [p, end), blanks around it allowed, as one row. True: each column has one cell more. False:
 * the columns must be truncated; cells.fault or cells.status says why. */
bool json_row_put(struct json_row *, const uint8_t *p, const uint8_t *end);

#endif
