/* SPDX-License-Identifier: Apache-2.0 */
/* wide: a key and as many columns as asked for (option columns), of ten kinds in turn. Formulas in
 * gen_cells.h; no column prefers small indexes. */
#include <stdio.h>

#include "gen_cells.h"

static const struct gen_column kinds[] = {
    {.type = "int64", .fill = wh_gen_fill_int, .low = -1000000000000, .count = 2000000000001},
    {.type = "float64", .fill = wh_gen_fill_float, .low = -4000000, .count = 8000001},
    {.type = "utf8", .fill = wh_gen_fill_text, .count = 1000000},
    {.type = "decimal(18,4)", .fill = wh_gen_fill_decimal, .low = -1000000000, .count = 2000000001},
    {.type = "date", .fill = wh_gen_fill_int, .low = 0, .count = 25000},
    {.type = "bool", .fill = wh_gen_fill_int, .count = 2},
    {.type = "timestamp(us)", .fill = wh_gen_fill_int, .count = 2000000000000000},
    {.type = "int32", .fill = wh_gen_fill_int, .low = -2147483648, .count = 4294967296},
    {.type = "utf8", .fill = wh_gen_fill_text, .count = 64},
    {.type = "float32", .fill = wh_gen_fill_float, .low = -400000, .count = 800001},
};

enum {
    KINDS = sizeof kinds / sizeof *kinds
};

/* id = row + 1, then c0001, c0002, ... with kinds[(place - 1) mod 10]; all but id may be null. */
static wh_status make(struct gen_scan *sc, struct gen_column **ret, int64_t *ret_n)
{
    int64_t n = sc->opts.columns;
    struct gen_column *columns = wh_arena_alloc(sc->arena, (size_t)n * sizeof *columns);

    if (!columns)
        return WH_E_NOMEM;
    columns[0] = (struct gen_column){"id", "int64", wh_gen_fill_row, .key = 1, .low = 1};
    for (int64_t i = 1; i < n; i++) {
        columns[i] = kinds[(i - 1) % KINDS];
        columns[i].nullable = true;
        columns[i].name = wh_arena_printf(sc->arena, "c%04d", (int)i);
        if (!columns[i].name)
            return WH_E_NOMEM;
    }
    *ret = columns;
    *ret_n = n;
    return WH_OK;
}

static int64_t row_bytes(const struct gen_scan *sc)
{
    return 8 + (sc->opts.columns - 1) * 38 / 5;
}

const struct gen_shape wh_gen_wide = {
    .name = "wide",
    .comment = "a key and many columns (option columns) of ten kinds; key id",
    .make = make,
    .block_rows = 256,
    .row_bytes = row_bytes,
};
