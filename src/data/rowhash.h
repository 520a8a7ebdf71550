/* SPDX-License-Identifier: Apache-2.0 */
/* Row hash: a 128-bit hash of a row's canonical encoding; a table's checksum is the sum mod 2^128,
 * so it does not depend on order, batches or systems (DESIGN 6.8).
 *
 * Canonical encoding of a row = for each column in order: one byte 0 for null, else 1 and the value
 * in the *destination's* column type: integers as 8 bytes little endian two's complement (U64 own
 * tag), floats as 8 bytes of the double (-0 as 0, one NaN), decimals as shortest text without
 * trailing zeros, text and bytes with a 4-byte length, dates as days, times in ns, timestamps in ns
 * as a 128-bit integer, lists and structs recursively. So int32 and int64 of equal value hash
 * alike.
 */
#ifndef WHERRY_DATA_ROWHASH_H
#define WHERRY_DATA_ROWHASH_H

#include "core/hash.h"
#include "data/view.h"

struct wh_rowsum {
    struct wh_u128 sum;
    int64_t rows;
};

/* Adds rows [first, first + n), or the rows listed (rows != NULL), column-wise over the views. */
WH_EXPORT wh_status wh_rowhash_add(struct wh_rowsum *, const struct wh_view *views,
                                   int64_t n_columns, const int32_t *rows, int64_t first,
                                   int64_t n);
WH_EXPORT void wh_rowsum_merge(struct wh_rowsum *into, const struct wh_rowsum *);

#endif
