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
    int32_t n_seen; /* columns that this row has */
    bool fast;      /* AVX2 is there and wanted */
    bool refuse_unknown;
    const uint8_t *stopped; /* where reading ended, of a row that is no JSON */
};

/* Takes members of an object, from *io_place on, as long as they are in the commonest form; p at a
 * key. Answers where the next key is; with *ret_closed, what is behind the object. */
const uint8_t *json_members_avx2(struct json_row *, const struct json_node *, int32_t *io_place,
                                 const uint8_t *p, const uint8_t *end, bool *ret_closed);

/* Puts [p, end), blanks around it allowed, as one row. True: each column has one cell more. False:
 * the columns must be truncated; cells.fault or cells.status says why. */
bool json_row_put(struct json_row *, const uint8_t *p, const uint8_t *end);

#endif
