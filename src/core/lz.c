/* SPDX-License-Identifier: Apache-2.0 */
#include "core/lz.h"

#include <string.h>

#include "core/alloc.h"

enum {
    HEAD = 8,
    LEAST = 4, /* bytes of a match */
    FAR = 65535,
    HASH_BITS = 13,
    HALF = 15,
};

static uint32_t get32(const uint8_t *p)
{
    return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put32(uint8_t *p, size_t v)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(v >> 8 * i);
}

/* ---- packing -----------------------------------------------------------------------------------
 */

static int put_more(struct wh_buf *out, size_t n)
{
    for (; n >= 255; n -= 255)
        WH_TRY(wh_buf_addc(out, (char)255));
    return wh_buf_addc(out, (char)n);
}

/* match 0: the last sequence. */
static int put_sequence(struct wh_buf *out, const uint8_t *literals, size_t n, size_t back,
                        size_t match)
{
    size_t high = n < HALF ? n : HALF, extra = match ? match - LEAST : 0;
    size_t low = extra < HALF ? extra : HALF;

    WH_TRY(wh_buf_addc(out, (char)(high << 4 | low)));
    if (high == HALF)
        WH_TRY(put_more(out, n - HALF));
    WH_TRY(wh_buf_add(out, literals, n));
    if (!match)
        return WH_OK;
    WH_TRY(wh_buf_addc(out, (char)(back & 255)));
    WH_TRY(wh_buf_addc(out, (char)(back >> 8)));
    return low == HALF ? put_more(out, extra - HALF) : WH_OK;
}

static size_t match_length(const uint8_t *p, size_t at, size_t from, size_t n)
{
    size_t len = 0;

    while (at + len < n && p[at + len] == p[from + len])
        len++;
    return len;
}

/* Where four bytes stood last, by their hash; place + 1, 0 = nowhere. */
static int pack_block(const uint8_t *p, size_t n, uint32_t *table, struct wh_buf *out)
{
    size_t at = 0, written = 0;

    while (at + LEAST <= n) {
        uint32_t four = get32(p + at), *slot = &table[four * 2654435761u >> (32 - HASH_BITS)];
        size_t from = *slot;

        *slot = (uint32_t)at + 1;
        if (!from || at + 1 - from > FAR || get32(p + from - 1) != four) {
            at += 1 + ((at - written) >> 6); /* what does not repeat is passed over quickly */
            continue;
        }
        size_t len = match_length(p, at, from - 1, n);

        WH_TRY(put_sequence(out, p + written, at - written, at + 1 - from, len));
        at += len;
        written = at;
    }
    return put_sequence(out, p + written, n - written, 0, 0);
}

wh_status wh_lz_pack(const void *p, size_t n, struct wh_buf *out)
{
    uint32_t *table WH_CLEANUP(wh_freep) = wh_calloc((size_t)1 << HASH_BITS, sizeof *table);
    uint8_t head[HEAD] = {0};
    size_t start = out->n;

    if (!table)
        return WH_E_NOMEM;
    if (n > WH_LZ_BLOCK)
        return WH_E_LIMIT;
    put32(head, n);
    WH_TRY(wh_buf_add(out, head, HEAD));
    WH_TRY(pack_block(p, n, table, out));
    put32((uint8_t *)out->p + start + 4, out->n - start - HEAD);
    return WH_OK;
}

/* ---- unpacking ---------------------------------------------------------------------------------
 */

struct reading {
    const uint8_t *p, *end;
};

static bool get_more(struct reading *r, size_t *n)
{
    uint8_t b;

    do {
        if (r->p == r->end || *n > WH_LZ_BLOCK)
            return false;
        b = *r->p++;
        *n += b;
    } while (b == 255);
    return true;
}

/* The output has room for `left` bytes behind `to`. */
static bool get_literals(struct reading *r, size_t n, uint8_t *to, size_t left)
{
    if (n > left || n > (size_t)(r->end - r->p))
        return false;
    if (n)
        memcpy(to, r->p, n);
    r->p += n;
    return true;
}

/* A match may reach into itself, so it is copied byte by byte. */
static bool unpack_block(struct reading *r, uint8_t *out, size_t n)
{
    size_t at = 0;

    for (;;) {
        if (r->p == r->end)
            return false;
        size_t literals = *r->p >> 4, match = *r->p & HALF, back;

        r->p++;
        if (literals == HALF && !get_more(r, &literals))
            return false;
        if (!get_literals(r, literals, out + at, n - at))
            return false;
        at += literals;
        if (r->p == r->end)
            return at == n && match == 0;
        if (r->end - r->p < 2)
            return false;
        back = r->p[0] | (size_t)r->p[1] << 8;
        r->p += 2;
        if (match == HALF && !get_more(r, &match))
            return false;
        match += LEAST;
        if (back == 0 || back > at || match > n - at)
            return false;
        for (; match; match--, at++)
            out[at] = out[at - back];
    }
}

wh_status wh_lz_unpack(struct wh_bytes packed, struct wh_buf *out)
{
    const uint8_t *p = packed.p;
    size_t left = packed.n;

    while (left) {
        if (left < HEAD)
            return WH_E_DATA;
        size_t n = get32(p), m = get32(p + 4);
        struct reading r = {p + HEAD, p + HEAD + m};

        if (n > WH_LZ_BLOCK || m > left - HEAD)
            return WH_E_DATA;
        WH_TRY(wh_buf_reserve(out, n));
        if (!unpack_block(&r, (uint8_t *)out->p + out->n, n))
            return WH_E_DATA;
        out->n += n;
        out->p[out->n] = 0;
        p += HEAD + m;
        left -= HEAD + m;
    }
    return WH_OK;
}
