/* SPDX-License-Identifier: Apache-2.0 */
/* Hashing: 128-bit sums for rows, 64-bit for identities (xxhash XXH3 behind it). */
#ifndef WHERRY_CORE_HASH_H
#define WHERRY_CORE_HASH_H

#include <wherry/status.h>

struct wh_u128 {
    uint64_t lo, hi;
};

WH_EXPORT uint64_t wh_hash64(const void *p, size_t n, uint64_t seed);
WH_EXPORT struct wh_u128 wh_hash128(const void *p, size_t n, uint64_t seed);
/* The hash of a unit that passes as frames: a sum that depends on the order of the frames, taken
 * where they leave the reader and again where they are sent. *count = frames so far. */
WH_EXPORT void wh_framehash_add(struct wh_u128 *sum, int64_t *count, const void *p, size_t n);
WH_EXPORT struct wh_u128 wh_u128_add(struct wh_u128 a, struct wh_u128 b); /* mod 2^128 */
WH_EXPORT bool wh_u128_eq(struct wh_u128 a, struct wh_u128 b);
WH_EXPORT void wh_u128_hex(struct wh_u128 v, char out[33]);
WH_EXPORT bool wh_u128_parse(const char *hex32, struct wh_u128 *ret);
WH_EXPORT uint64_t wh_random64(void); /* from the kernel; for run ids and jitter */

#endif
