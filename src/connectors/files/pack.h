/* SPDX-License-Identifier: Apache-2.0 */
/* Small binary records for tokens, bounds, memos and receipts: numbers as 8 bytes little endian,
 * bytes with their length in front. Reading never trusts a length. */
#ifndef WHERRY_FILES_PACK_H
#define WHERRY_FILES_PACK_H

#include <string.h>

#include "core/buf.h"

struct pack {
    struct wh_buf *out;
    int st; /* first failure */
};

static inline void pack_raw(struct pack *k, const void *p, size_t n)
{
    if (k->st == WH_OK)
        k->st = wh_buf_add(k->out, p, n);
}

static inline void pack_u64(struct pack *k, uint64_t v)
{
    uint8_t b[8];
    for (int i = 0; i < 8; i++)
        b[i] = (uint8_t)(v >> (8 * i));
    pack_raw(k, b, 8);
}

static inline void pack_bytes(struct pack *k, const void *p, size_t n)
{
    pack_u64(k, n);
    if (n)
        pack_raw(k, p, n);
}

static inline void pack_text(struct pack *k, const char *s)
{
    pack_bytes(k, s ? s : "", s ? strlen(s) : 0);
}

struct unpack {
    const uint8_t *p;
    size_t n;
    bool bad;
};

static inline uint64_t unpack_u64(struct unpack *u)
{
    uint64_t v = 0;
    if (u->bad || u->n < 8) {
        u->bad = true;
        return 0;
    }
    for (int i = 0; i < 8; i++)
        v |= (uint64_t)u->p[i] << (8 * i);
    u->p += 8;
    u->n -= 8;
    return v;
}

static inline struct wh_str unpack_bytes(struct unpack *u)
{
    uint64_t n = unpack_u64(u);
    if (u->bad || n > u->n) {
        u->bad = true;
        return (struct wh_str){"", 0};
    }
    struct wh_str s = {(const char *)u->p, (size_t)n};
    u->p += n;
    u->n -= (size_t)n;
    return s;
}

static inline struct unpack unpack_of(struct wh_bytes b)
{
    return (struct unpack){.p = b.p, .n = b.n};
}

#endif
