/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of Snappy (format_description.txt of its project): the length as a varint, then literals
 * and copies of what stood before. A block knows no checksum: framings bring one, or none does. */
#ifndef WHERRY_FORMATS_CODEC_SNAPPY_BLOCK_H
#define WHERRY_FORMATS_CODEC_SNAPPY_BLOCK_H

#include "core/buf.h"

enum {
    SNAPPY_BLOCK = 1 << 16,    /* longest text that is packed at once */
    SNAPPY_TABLE = 1 << 14,    /* entries of the table of places */
    SNAPPY_PACKED_MAX = 76490, /* of a block of that length: 32 + n + n / 6 */
};

/* Appends one block of at most SNAPPY_BLOCK bytes. */
wh_status snappy_pack(const uint8_t *p, size_t n, uint16_t table[SNAPPY_TABLE], struct wh_buf *out);
/* The length that a block tells, or false if it tells none. *ret_head: bytes of the varint. */
bool snappy_length(const uint8_t *p, size_t n, size_t *ret_length, size_t *ret_head);
/* Unpacks a block to exactly out_n bytes (what snappy_length told); false: it is damaged. */
bool snappy_unpack(const uint8_t *p, size_t n, uint8_t *out, size_t out_n);

#endif
