/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/codec/snappy_block.h"

#include <string.h>

enum {
    LEAST = 4,        /* bytes of a match */
    LITERAL_MAX = 60, /* lengths up to it stand in the tag */
    COPY_MAX = 64,    /* bytes of one copy with two bytes of distance */
    SHORT_MAX = 11,   /* of one with eleven bits */
    SHORT_FAR = 2048,
    HASH_BITS = 14,
    VARINT_MAX = 5,
};

static uint32_t get32(const uint8_t *p)
{
    uint32_t v;

    memcpy(&v, p, sizeof v);
    return v;
}

/* ---- packing -----------------------------------------------------------------------------------
 */

static uint8_t *put_literals(uint8_t *o, const uint8_t *p, size_t n)
{
    if (!n)
        return o;
    if (n <= LITERAL_MAX) {
        *o++ = (uint8_t)((n - 1) << 2);
    } else if (n <= 256) {
        *o++ = 60 << 2;
        *o++ = (uint8_t)(n - 1);
    } else {
        *o++ = 61 << 2;
        *o++ = (uint8_t)(n - 1);
        *o++ = (uint8_t)((n - 1) >> 8);
    }
    memcpy(o, p, n);
    return o + n;
}

static uint8_t *put_copy(uint8_t *o, size_t back, size_t n)
{
    while (n) {
        size_t k = n > COPY_MAX ? COPY_MAX : n;

        if (n > COPY_MAX && n < COPY_MAX + LEAST)
            k = COPY_MAX - LEAST; /* so that what is left is a match itself */
        if (k >= LEAST && k <= SHORT_MAX && back < SHORT_FAR) {
            *o++ = (uint8_t)(1 | (k - LEAST) << 2 | (back >> 8) << 5);
            *o++ = (uint8_t)back;
        } else {
            *o++ = (uint8_t)(2 | (k - 1) << 2);
            *o++ = (uint8_t)back;
            *o++ = (uint8_t)(back >> 8);
        }
        n -= k;
    }
    return o;
}

static size_t match_length(const uint8_t *p, size_t at, size_t from, size_t n)
{
    size_t len = LEAST;

    while (at + len < n && p[at + len] == p[from + len])
        len++;
    return len;
}

/* The table has where four bytes stood last, by their hash; an entry of 0 may be a lie, which the
 * comparison finds out. */
wh_status snappy_pack(const uint8_t *p, size_t n, uint16_t table[SNAPPY_TABLE], struct wh_buf *out)
{
    size_t at = 1, written = 0;

    WH_TRY(wh_buf_reserve(out, SNAPPY_PACKED_MAX + VARINT_MAX));
    uint8_t *o = (uint8_t *)out->p + out->n;
    size_t length = n;

    for (; length >= 128; length >>= 7)
        *o++ = (uint8_t)(length | 128);
    *o++ = (uint8_t)length;
    memset(table, 0, SNAPPY_TABLE * sizeof *table);
    while (at + LEAST <= n) {
        uint32_t four = get32(p + at);
        uint16_t *slot = &table[four * 2654435761u >> (32 - HASH_BITS)];
        size_t from = *slot;

        *slot = (uint16_t)at;
        if (get32(p + from) != four) {
            at += 1 + ((at - written) >> 5); /* what does not repeat is passed over quickly */
            continue;
        }
        size_t len = match_length(p, at, from, n);

        o = put_copy(put_literals(o, p + written, at - written), at - from, len);
        at += len;
        written = at;
    }
    o = put_literals(o, p + written, n - written);
    out->n = (size_t)(o - (uint8_t *)out->p);
    return WH_OK;
}

/* ---- unpacking ---------------------------------------------------------------------------------
 */

bool snappy_length(const uint8_t *p, size_t n, size_t *ret_length, size_t *ret_head)
{
    uint64_t v = 0;

    for (size_t i = 0; i < n && i < VARINT_MAX; i++) {
        v |= (uint64_t)(p[i] & 127) << (7 * i);
        if (p[i] & 128)
            continue;
        *ret_length = (size_t)v;
        *ret_head = i + 1;
        return v <= UINT32_MAX;
    }
    return false;
}

struct reading {
    const uint8_t *p, *end;
    uint8_t *out;
    size_t at, n;
};

static bool literals(struct reading *r, size_t tag)
{
    size_t n = tag >> 2, bytes = n >= LITERAL_MAX ? n - LITERAL_MAX + 1 : 0;

    if (bytes > (size_t)(r->end - r->p))
        return false;
    if (bytes)
        n = 0;
    for (size_t i = 0; i < bytes; i++)
        n |= (size_t)*r->p++ << (8 * i);
    n++;
    if (n > (size_t)(r->end - r->p) || n > r->n - r->at)
        return false;
    memcpy(r->out + r->at, r->p, n);
    r->p += n;
    r->at += n;
    return true;
}

static bool copy(struct reading *r, size_t tag)
{
    size_t bytes = (tag & 3) == 3 ? 4 : tag & 3, back = 0, n = (tag >> 2) + 1;

    if (bytes > (size_t)(r->end - r->p))
        return false;
    for (size_t i = 0; i < bytes; i++)
        back |= (size_t)*r->p++ << (8 * i);
    if (bytes == 1) {
        back |= (tag >> 5) << 8;
        n = LEAST + ((tag >> 2) & 7);
    }
    if (!back || back > r->at || n > r->n - r->at)
        return false;
    uint8_t *to = r->out + r->at;
    const uint8_t *from = to - back;

    r->at += n;
    if (back >= n)
        memcpy(to, from, n);
    else /* it reaches into itself */
        for (size_t i = 0; i < n; i++)
            to[i] = from[i];
    return true;
}

bool snappy_unpack(const uint8_t *p, size_t n, uint8_t *out, size_t out_n)
{
    size_t length, head;

    if (!snappy_length(p, n, &length, &head) || length != out_n)
        return false;
    struct reading r = {p + head, p + n, out, 0, out_n};

    while (r.p < r.end) {
        size_t tag = *r.p++;

        if (!(tag & 3 ? copy(&r, tag) : literals(&r, tag)))
            return false;
    }
    return r.at == out_n;
}
