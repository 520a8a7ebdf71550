/* SPDX-License-Identifier: Apache-2.0 */
/* Columns whose cells stand alone: hits, wide, and the plain columns of posts.
 *
 *   h = gen_at(stream of the column, row)
 *   null where the column is nullable and (h mod 2^32) < floor(null_ratio * 2^32)
 *   v = low + index, where index = gen_below(h, count), or for skewed columns
 *       u = h >> 32, index = ((u * u >> 32) * count) >> 32      (small numbers are the common ones)
 */
#ifndef WHERRY_BUILTIN_GEN_CELLS_H
#define WHERRY_BUILTIN_GEN_CELLS_H

#include "gen_fill.h"

#define GEN_FILL(name)                                                                             \
    wh_status name(const struct gen_scan *sc, const struct gen_column *col, struct wh_column *out, \
                   const struct gen_block *b)

GEN_FILL(wh_gen_fill_row);     /* int64: the row number + low */
GEN_FILL(wh_gen_fill_int);     /* v; any integer, bool, date, time, timestamp, duration */
GEN_FILL(wh_gen_fill_float);   /* v / 4, exact in both widths for counts below 2^24 */
GEN_FILL(wh_gen_fill_decimal); /* unscaled v */
/* Text of index i: words[i mod n], then "-" and i / n in decimal if that is not 0. */
GEN_FILL(wh_gen_fill_text);
GEN_FILL(wh_gen_fill_dict); /* dictionary of the `count` texts, index i; no nulls in the values */
/* "https://www.W.example/W2/i": W = words[i mod n], W2 = words[i / n mod n] */
GEN_FILL(wh_gen_fill_url);

/* The words that texts are made of; 64 of them. */
enum {
    GEN_WORDS = 64
};
extern const char *const wh_gen_words[GEN_WORDS];

static inline uint64_t gen_index(const struct gen_column *col, uint64_t h)
{
    uint64_t u = h >> 32;

    return col->skew ? (u * u >> 32) * (uint64_t)col->count >> 32
                     : gen_below(h, (uint64_t)col->count);
}

static inline bool gen_is_null(const struct gen_scan *sc, const struct gen_column *col, uint64_t h)
{
    return col->nullable && (uint32_t)h < sc->null_below;
}

#endif
