/* SPDX-License-Identifier: Apache-2.0 */
/* gzip (RFC 1952): read by ISA-L (streaming, checks CRC and length), written by libdeflate in
 * members of at most MEMBER bytes of text, so that memory is bounded and pieces concatenate. */
#include <isa-l/igzip_lib.h>
#include <libdeflate.h>
#include <string.h>

#include "formats/codec/internal.h"

enum {
    MEMBER = 1 << 20,
    DEFAULT_LEVEL = 6,
    MEMBER_MIN = 18, /* header and trailer */
};

/* ---- reading --------------------------------------------------------------------------------- */

struct gunzip {
    struct inflate_state state;
    bool in_member;
    bool ended; /* a member was read */
};

static void *gunzip_new(void)
{
    return wh_calloc(1, sizeof(struct gunzip));
}

/* Between members: zeros that pad a tape, another member, or the end. */
static int between(struct gunzip *g, const uint8_t *in, size_t n, size_t *taken, bool last)
{
    while (g->ended && *taken < n && !in[*taken])
        ++*taken;
    if (*taken == n)
        return !last ? WH_OK : g->ended ? WH_END : WH_E_LIMIT;
    if (in[*taken] != 0x1f || (*taken + 1 < n && in[*taken + 1] != 0x8b))
        return WH_E_DATA; /* also where there is less of it than a header */
    isal_inflate_init(&g->state);
    g->state.crc_flag = ISAL_GZIP;
    g->in_member = true;
    return WH_OK;
}

static const char *explain(const struct gunzip *g, int code)
{
    switch (code) {
    case ISAL_INCORRECT_CHECKSUM:
        return "its checksum does not fit";
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD:
        return g->ended ? CODEC_TRAILING : CODEC_NOT_MINE;
    default:
        return "its blocks are wrong";
    }
}

static int gunzip_run(void *self, const void *in, size_t *io_n, bool last, void *out, size_t out_n,
                      size_t *ret_n, const char **why)
{
    struct gunzip *g = self;
    size_t n = *io_n, taken = 0, given = 0;
    int st = WH_OK;
    while (st == WH_OK && given < out_n) {
        if (!g->in_member) {
            st = between(g, in, n, &taken, last);
            if (st == WH_E_DATA)
                *why = explain(g, ISAL_INVALID_WRAPPER);
            if (!g->in_member)
                break;
        }
        g->state.next_in = (uint8_t *)(uintptr_t)in + taken;
        g->state.avail_in = (uint32_t)(n - taken);
        g->state.next_out = (uint8_t *)out + given;
        g->state.avail_out = (uint32_t)(out_n - given);
        int code = isal_inflate(&g->state);
        size_t used = n - taken - g->state.avail_in, made = out_n - given - g->state.avail_out;
        taken += used;
        given += made;
        if (code != ISAL_DECOMP_OK && code != ISAL_END_INPUT && code != ISAL_OUT_OVERFLOW) {
            *why = explain(g, code);
            st = WH_E_DATA;
        } else if (g->state.block_state == ISAL_BLOCK_FINISH) {
            g->in_member = false;
            g->ended = true;
        } else if (!used && !made) {
            st = last && taken == n ? WH_E_LIMIT : WH_OK;
            break;
        }
    }
    *io_n = taken;
    *ret_n = given;
    return st;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct gzip {
    struct libdeflate_compressor *c;
    uint8_t *pending;
    size_t n;
    bool any; /* a member was written */
};

static void gzip_free(void *self)
{
    struct gzip *z = self;
    if (!z)
        return;
    libdeflate_free_compressor(z->c);
    wh_free(z->pending);
    wh_free(z);
}

static void *gzip_new(int level)
{
    struct gzip *z = wh_calloc(1, sizeof *z);
    if (!z)
        return NULL;
    z->c = libdeflate_alloc_compressor(level ? level : DEFAULT_LEVEL);
    z->pending = wh_alloc(MEMBER);
    if (z->c && z->pending)
        return z;
    gzip_free(z);
    return NULL;
}

static int member(struct gzip *z, const void *in, size_t n, struct wh_buf *out)
{
    size_t bound = libdeflate_gzip_compress_bound(z->c, n);
    WH_TRY(wh_buf_reserve(out, bound));
    size_t made = libdeflate_gzip_compress(z->c, in, n, out->p + out->n, bound);
    if (made < MEMBER_MIN)
        return WH_E_BUG;
    out->n += made;
    z->any = true;
    return WH_OK;
}

static int gzip_run(void *self, const void *in, size_t n, struct wh_buf *out)
{
    struct gzip *z = self;
    const uint8_t *p = in;
    while (n) {
        size_t room = MEMBER - z->n, k = n < room ? n : room;
        if (!z->n && n >= MEMBER) {
            WH_TRY(member(z, p, MEMBER, out));
            k = MEMBER;
        } else {
            memcpy(z->pending + z->n, p, k);
            z->n += k;
        }
        p += k;
        n -= k;
        if (z->n == MEMBER) {
            WH_TRY(member(z, z->pending, MEMBER, out));
            z->n = 0;
        }
    }
    return WH_OK;
}

/* An empty text becomes one empty member: a file without any is not gzip. */
static int gzip_end(void *self, struct wh_buf *out)
{
    struct gzip *z = self;
    if (z->n || !z->any)
        WH_TRY(member(z, z->pending, z->n, out));
    z->n = 0;
    return WH_OK;
}

const struct codec_ops codec_gzip = {
    .name = "gzip",
    .suffix = ".gz",
    .decoder_new = gunzip_new,
    .decoder_free = wh_free,
    .decode = gunzip_run,
    .encoder_new = gzip_new,
    .encoder_free = gzip_free,
    .encode = gzip_run,
    .encode_end = gzip_end,
};
