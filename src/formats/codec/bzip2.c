/* SPDX-License-Identifier: Apache-2.0 */
/* bzip2 by libbz2: streams after one another, as `cat a.bz2 b.bz2` and parallel packers make them.
 */
#include <bzlib.h>
#include <string.h>

#include "formats/codec/internal.h"

enum {
    DEFAULT_LEVEL = 9, /* the tool's own; blocks of 900 kB */
    ROOM = 64 << 10,
};

/* ---- reading --------------------------------------------------------------------------------- */

struct bunzip {
    bz_stream s;
    bool open;  /* inside a stream */
    bool begun; /* some of it was taken */
    bool ended; /* a stream was read */
};

static void *bunzip_new(void)
{
    return wh_calloc(1, sizeof(struct bunzip));
}

static void bunzip_free(void *self)
{
    struct bunzip *b = self;
    if (b && b->open)
        BZ2_bzDecompressEnd(&b->s);
    wh_free(b);
}

static int bunzip_open(struct bunzip *b)
{
    b->s = (bz_stream){0};
    if (BZ2_bzDecompressInit(&b->s, 0, 0) != BZ_OK)
        return WH_E_NOMEM;
    b->open = true;
    b->begun = false;
    return WH_OK;
}

static int trouble(const struct bunzip *b, int code, const char **why)
{
    if (code == BZ_MEM_ERROR)
        return WH_E_NOMEM;
    *why = code == BZ_DATA_ERROR ? "a block is wrong or its checksum does not fit"
           : b->ended            ? CODEC_TRAILING
                                 : CODEC_NOT_MINE;
    return WH_E_DATA;
}

/* libbz2 counts 32 bits at a time; no caller has more. */
static int bunzip_run(void *self, const void *in, size_t *io_n, bool last, void *out, size_t out_n,
                      size_t *ret_n, const char **why)
{
    struct bunzip *b = self;
    size_t n = *io_n, taken = 0, given = 0;
    int st = WH_OK;
    while (st == WH_OK && given < out_n) {
        if (!b->open && taken == n) {
            st = !last ? WH_OK : b->ended ? WH_END : WH_E_LIMIT;
            break;
        }
        if (!b->open && (st = bunzip_open(b)) != WH_OK)
            break;
        b->s.next_in = (char *)(uintptr_t)in + taken;
        b->s.avail_in = (unsigned)(n - taken);
        b->s.next_out = (char *)out + given;
        b->s.avail_out = (unsigned)(out_n - given);
        int code = BZ2_bzDecompress(&b->s);
        size_t used = n - taken - b->s.avail_in, made = out_n - given - b->s.avail_out;
        taken += used;
        given += made;
        b->begun |= used > 0;
        if (code == BZ_STREAM_END) {
            BZ2_bzDecompressEnd(&b->s);
            b->open = false;
            b->ended = true;
        } else if (code != BZ_OK) {
            st = trouble(b, code, why);
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

struct bzip {
    bz_stream s;
    int level;
    bool open, any;
};

static void *bzip_new(int level)
{
    struct bzip *z = wh_calloc(1, sizeof *z);
    if (z)
        z->level = level < 1 ? DEFAULT_LEVEL : level > 9 ? 9 : level;
    return z;
}

static void bzip_free(void *self)
{
    struct bzip *z = self;
    if (z && z->open)
        BZ2_bzCompressEnd(&z->s);
    wh_free(z);
}

static int pump(struct bzip *z, const void *in, size_t n, int how, struct wh_buf *out)
{
    int code = BZ_OK;
    if (!z->open) {
        z->s = (bz_stream){0};
        if (BZ2_bzCompressInit(&z->s, z->level, 0, 0) != BZ_OK)
            return WH_E_NOMEM;
        z->open = true;
    }
    z->s.next_in = (char *)(uintptr_t)in;
    z->s.avail_in = (unsigned)n;
    while (how == BZ_FINISH ? code != BZ_STREAM_END : z->s.avail_in > 0) {
        WH_TRY(wh_buf_reserve(out, ROOM));
        z->s.next_out = out->p + out->n;
        z->s.avail_out = ROOM;
        code = BZ2_bzCompress(&z->s, how);
        if (code < 0)
            return WH_E_BUG;
        out->n += ROOM - z->s.avail_out;
    }
    return WH_OK;
}

static int bzip_run(void *self, const void *in, size_t n, struct wh_buf *out)
{
    const uint8_t *p = in;
    for (size_t k; n; p += k, n -= k) {
        k = n < (1u << 30) ? n : 1u << 30;
        WH_TRY(pump(self, p, k, BZ_RUN, out));
    }
    return WH_OK;
}

/* An empty text becomes one empty stream. */
static int bzip_end(void *self, struct wh_buf *out)
{
    struct bzip *z = self;
    if (!z->open && z->any)
        return WH_OK;
    WH_TRY(pump(z, "", 0, BZ_FINISH, out));
    BZ2_bzCompressEnd(&z->s);
    z->open = false;
    z->any = true;
    return WH_OK;
}

const struct codec_ops codec_bzip2 = {
    .name = "bzip2",
    .suffix = ".bz2",
    .decoder_new = bunzip_new,
    .decoder_free = bunzip_free,
    .decode = bunzip_run,
    .encoder_new = bzip_new,
    .encoder_free = bzip_free,
    .encode = bzip_run,
    .encode_end = bzip_end,
};
