/* SPDX-License-Identifier: Apache-2.0 */
/* evil: what its files share. Every column has a list of special values.
 *
 *   h = gen_at(stream of the column, row), n = values in the list
 *   row < n:   special value number `row`, so that every one of them is in the first rows
 *   row = n:   null
 *   else h mod 8 = 0: null; 1, 2, 3: special value gen_below(gen_again(h), n); 4 .. 7: random
 */
#ifndef WHERRY_BUILTIN_GEN_EVIL_H
#define WHERRY_BUILTIN_GEN_EVIL_H

#include <stdio.h>

#include "gen_cells.h"

enum {
    GEN_EVIL_NULL = -1,
    GEN_EVIL_RANDOM = -2,
    GEN_EVIL_TEXTS = 53,
    GEN_EVIL_TEXT_COLUMNS = 6,
    GEN_EVIL_VALUE_COLUMNS = 40,
    GEN_EVIL_NESTED_COLUMNS = 6,
    GEN_EVIL_POOL_MORE = 2048,
};

extern const char *const wh_gen_evil_texts[GEN_EVIL_TEXTS];
extern const struct gen_column wh_gen_evil_text_columns[GEN_EVIL_TEXT_COLUMNS];
extern const struct gen_column wh_gen_evil_value_columns[GEN_EVIL_VALUE_COLUMNS];
extern const struct gen_column wh_gen_evil_nested_columns[GEN_EVIL_NESTED_COLUMNS];

wh_status wh_gen_evil_setup(struct gen_scan *);

GEN_FILL(wh_gen_evil_text);
GEN_FILL(wh_gen_evil_listed);
GEN_FILL(wh_gen_evil_json);
GEN_FILL(wh_gen_evil_number);
GEN_FILL(wh_gen_evil_big);

static inline uint64_t gen_evil_hash(const struct gen_column *col, const struct gen_block *b, int i)
{
    return gen_at(col->stream, (uint64_t)b->first + (uint64_t)i);
}

/* Index into the list, GEN_EVIL_NULL or GEN_EVIL_RANDOM. */
static inline int64_t gen_evil_pick(const struct gen_column *col, const struct gen_block *b, int i,
                                    uint64_t h)
{
    int64_t row = b->first + i;

    if (row < col->count)
        return row;
    if (row == col->count || h % 8 == 0)
        return GEN_EVIL_NULL;
    return h % 8 <= 3 ? (int64_t)gen_below(gen_again(h), (uint64_t)col->count) : GEN_EVIL_RANDOM;
}

#endif
