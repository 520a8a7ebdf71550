/* SPDX-License-Identifier: Apache-2.0 */
/* Packing of our own records, which repeat themselves (names of types, keys of JSON): byte runs
 * that stood at most 64 KiB before are named instead of written. Blocks stand for themselves, so
 * that what is packed need never be in memory as a whole.
 *
 * A block: its length, its packed length (4 bytes each, little endian), then sequences of
 *   one byte   high half: literals, low half: bytes of the match beyond 4; 15 = more follows
 *   more literals (bytes of 255, and one that is less), the literals,
 *   two bytes  how far back the match begins, little endian; then its length beyond 15 + 4
 * The last sequence ends behind its literals.
 */
#ifndef WHERRY_CORE_LZ_H
#define WHERRY_CORE_LZ_H

#include "core/buf.h"

enum {
    WH_LZ_BLOCK = 4 << 20 /* longest block, unpacked */
};

/* Appends one block. WH_E_LIMIT: longer than a block may be, or the buffer's cap. */
WH_EXPORT wh_status wh_lz_pack(const void *p, size_t n, struct wh_buf *out);
/* Appends what all blocks hold. WH_E_DATA: they are damaged; WH_E_LIMIT: the buffer's cap. */
WH_EXPORT wh_status wh_lz_unpack(struct wh_bytes packed, struct wh_buf *out);

#endif
