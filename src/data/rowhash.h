/* SPDX-License-Identifier: Apache-2.0 */
/* Row hash: a 128-bit hash of a row; a table's checksum is the sum of its rows' mod 2^128, so it
 * does not depend on order, batches or systems (DESIGN 6.8). Values count in the *destination's*
 * column type, after conversion; the encodings of a value do not count: int32 and int64 of equal
 * value, float and double, decimal128, decimal256 and decimal text, dictionary and plain text,
 * milliseconds and nanoseconds hash alike.
 *
 * The definition, complete (tests/unit/rowhash_ref.py is a second implementation):
 *
 *   All arithmetic is on unsigned 64-bit words. mum(a, b) = high ^ low word of the 128-bit a * b.
 *   A row has two words h0 = H0, h1 = H1. Its columns are taken in order; each cell absorbs words
 *   under a tag t (T[t] below):
 *       absorb(t, w):   h0 = mum(h0 ^ w, P0 ^ T[t]);      h1 = mum(h1 ^ w, P1 ^ T[t])
 *       pair(t, x, y):  h0 = mum(h0 ^ x, P0 ^ T[t] ^ y);  h1 = mum(h1 ^ y, P1 ^ T[t] ^ x)
 *   The row's hash: h0 = mix(h0), h1 = mix(h1 ^ h0); low word h0, high word h1, where
 *       mix(x): x ^= x >> 33; x *= 0xff51afd7ed558ccd; x ^= x >> 33; x *= 0xc4ceb9fe1a85ec53;
 *               x ^= x >> 33.
 *
 *   null                absorb(NULL, 0)
 *   bool                absorb(BOOL, 0 or 1)
 *   integers            absorb(INT, 64-bit two's complement); from 2^63 up: absorb(BIG, w)
 *   floats              absorb(FLOAT, bits of the double); -0 as 0, every NaN as 0x7ff8 << 48
 *   decimals            value = (-1)^s * m * 10^e, m without trailing zeros (0: s = e = m = 0);
 *                       c[0..k) = m in base 10^18, least first, k >= 1;
 *                       pair(DEC, c[0], (e mod 2^32) | s << 32 | k << 33), then absorb(DEC, c[i])
 *                       each; NaN: pair(DEC, 0, 1), infinity: pair(DEC, 0, 2), -infinity:
 *                       pair(DEC, 0, 3); decimal text that is no decimal: as text
 *   text, bytes, fixed  h0 += n * P0, h1 += n * P1 (n: bytes); then 16 bytes at a time, zeros
 * behind the end, at least once, as words x, y (little endian): pair(BYTES, x, y) date absorb(DATE,
 * days) time                absorb(TIME, nanoseconds) instant, wall time  nanoseconds as 128-bit
 * two's complement: pair(ZONED or NAIVE, low, high) duration            nanoseconds, likewise,
 * DURATION interval            pair(INTERVAL, months, days), absorb(INTERVAL, ns), each
 * sign-extended list, map           absorb(LIST, items), then each item (map: key, then value)
 *   struct              absorb(STRUCT, members), then each member
 */
#ifndef WHERRY_DATA_ROWHASH_H
#define WHERRY_DATA_ROWHASH_H

#include "core/hash.h"
#include "data/view.h"

#define WH_ROWHASH_H0 UINT64_C(0x243f6a8885a308d3) /* digits of pi, as the T below and P1 */
#define WH_ROWHASH_H1 UINT64_C(0x13198a2e03707344)
#define WH_ROWHASH_P0 UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio, odd */
#define WH_ROWHASH_P1 UINT64_C(0xa4093822299f31d1) /* made odd */

/* T[]: tags, xored into the multipliers. */
#define WH_ROWHASH_NULL     UINT64_C(0x082efa98ec4e6c88)
#define WH_ROWHASH_BOOL     UINT64_C(0x452821e638d01376)
#define WH_ROWHASH_INT      UINT64_C(0xbe5466cf34e90c6c)
#define WH_ROWHASH_BIG      UINT64_C(0xc0ac29b7c97c50dc)
#define WH_ROWHASH_FLOAT    UINT64_C(0x3f84d5b5b5470916)
#define WH_ROWHASH_DEC      UINT64_C(0x9216d5d98979fb1a)
#define WH_ROWHASH_BYTES    UINT64_C(0xd1310ba698dfb5ac)
#define WH_ROWHASH_DATE     UINT64_C(0x2ffd72dbd01adfb6)
#define WH_ROWHASH_TIME     UINT64_C(0xb8e1afed6a267e96)
#define WH_ROWHASH_ZONED    UINT64_C(0xba7c9045f12c7f98)
#define WH_ROWHASH_NAIVE    UINT64_C(0x24a19947b3916cf6)
#define WH_ROWHASH_DURATION UINT64_C(0x0801f2e2858efc16)
#define WH_ROWHASH_INTERVAL UINT64_C(0x636920d871574e68)
#define WH_ROWHASH_LIST     UINT64_C(0xa458fea3f4933d7e)
#define WH_ROWHASH_STRUCT   UINT64_C(0x0d95748f728eb658)

struct wh_rowsum {
    struct wh_u128 sum;
    int64_t rows;
};

/* Adds rows [first, first + n), or (rows != NULL) the n rows listed, column-wise over the views.
 * WH_E_NOMEM, or WH_E_DATA for nested arrays that are damaged. */
WH_EXPORT wh_status wh_rowhash_add(struct wh_rowsum *, const struct wh_view *views,
                                   int64_t n_columns, const int32_t *rows, int64_t first,
                                   int64_t n);
/* The hash of single rows: out[k] for row first + k, or rows[k]. For finding differences. */
WH_EXPORT wh_status wh_rowhash_each(const struct wh_view *views, int64_t n_columns,
                                    const int32_t *rows, int64_t first, int64_t n,
                                    struct wh_u128 *out);
WH_EXPORT void wh_rowsum_merge(struct wh_rowsum *into, const struct wh_rowsum *);

#endif
