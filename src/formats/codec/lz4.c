/* SPDX-License-Identifier: Apache-2.0 */
/* LZ4 frames by liblz4: with a checksum of the content, concatenated frames when reading. */
#include <lz4frame.h>
#include <string.h>

#include "formats/codec/internal.h"

enum {
    PIECE = 1 << 20, /* of text, so that the room a piece may need is bounded */
    LEVEL_MAX = 12,
};

/* ---- reading --------------------------------------------------------------------------------- */

struct unlz4 {
    LZ4F_dctx *d;
    bool open;  /* inside a frame */
    bool ended; /* a frame was read */
    bool more;  /* it may give more without input */
};

static void unlz4_free(void *self)
{
    struct unlz4 *u = self;
    if (u)
        LZ4F_freeDecompressionContext(u->d);
    wh_free(u);
}

static void *unlz4_new(void)
{
    struct unlz4 *u = wh_calloc(1, sizeof *u);
    if (u && !LZ4F_isError(LZ4F_createDecompressionContext(&u->d, LZ4F_VERSION)))
        return u;
    wh_free(u);
    return NULL;
}

static int trouble(const struct unlz4 *u, size_t code, bool begun, const char **why)
{
    const char *name = LZ4F_getErrorName(code);
    if (strstr(name, "allocation"))
        return WH_E_NOMEM;
    *why = begun || !strstr(name, "frameType") ? name : u->ended ? CODEC_TRAILING : CODEC_NOT_MINE;
    return WH_E_DATA;
}

static int unlz4_run(void *self, const void *in, size_t *io_n, bool last, void *out, size_t out_n,
                     size_t *ret_n, const char **why)
{
    struct unlz4 *u = self;
    size_t n = *io_n, taken = 0, given = 0;
    int st = WH_OK;
    while (given < out_n && (taken < n || u->open)) {
        size_t used = n - taken, made = out_n - given;
        size_t code = LZ4F_decompress(u->d, (uint8_t *)out + given, &made,
                                      (const uint8_t *)in + taken, &used, NULL);
        if (LZ4F_isError(code)) {
            st = trouble(u, code, u->open, why);
            break;
        }
        taken += used;
        given += made;
        u->open = code != 0;
        u->ended |= code == 0;
        if (!used && !made)
            break;
    }
    *io_n = taken;
    *ret_n = given;
    if (st != WH_OK || !last || taken < n || given == out_n)
        return st;
    return u->open || !u->ended ? WH_E_LIMIT : WH_END;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct lz4 {
    LZ4F_cctx *c;
    LZ4F_preferences_t how;
    bool open, any;
};

static void lz4_free(void *self)
{
    struct lz4 *z = self;
    if (z)
        LZ4F_freeCompressionContext(z->c);
    wh_free(z);
}

static void *lz4_new(int level)
{
    struct lz4 *z = wh_calloc(1, sizeof *z);
    if (!z)
        return NULL;
    z->how.compressionLevel = level > LEVEL_MAX ? LEVEL_MAX : level;
    z->how.frameInfo.contentChecksumFlag = LZ4F_contentChecksumEnabled;
    z->how.frameInfo.blockSizeID = LZ4F_max256KB;
    if (!LZ4F_isError(LZ4F_createCompressionContext(&z->c, LZ4F_VERSION)))
        return z;
    wh_free(z);
    return NULL;
}

static int begin(struct lz4 *z, struct wh_buf *out)
{
    WH_TRY(wh_buf_reserve(out, LZ4F_HEADER_SIZE_MAX));
    size_t made = LZ4F_compressBegin(z->c, out->p + out->n, LZ4F_HEADER_SIZE_MAX, &z->how);
    if (LZ4F_isError(made))
        return WH_E_NOMEM;
    out->n += made;
    z->open = true;
    return WH_OK;
}

static int lz4_run(void *self, const void *in, size_t n, struct wh_buf *out)
{
    struct lz4 *z = self;
    const uint8_t *p = in;
    if (n && !z->open)
        WH_TRY(begin(z, out));
    for (size_t k; n; p += k, n -= k) {
        k = n < PIECE ? n : PIECE;
        size_t bound = LZ4F_compressBound(k, &z->how);
        WH_TRY(wh_buf_reserve(out, bound));
        size_t made = LZ4F_compressUpdate(z->c, out->p + out->n, bound, p, k, NULL);
        if (LZ4F_isError(made))
            return WH_E_BUG;
        out->n += made;
    }
    return WH_OK;
}

/* An empty text becomes one empty frame. */
static int lz4_end(void *self, struct wh_buf *out)
{
    struct lz4 *z = self;
    if (!z->open && z->any)
        return WH_OK;
    if (!z->open)
        WH_TRY(begin(z, out));
    size_t bound = LZ4F_compressBound(0, &z->how);
    WH_TRY(wh_buf_reserve(out, bound));
    size_t made = LZ4F_compressEnd(z->c, out->p + out->n, bound, NULL);
    if (LZ4F_isError(made))
        return WH_E_BUG;
    out->n += made;
    z->open = false;
    z->any = true;
    return WH_OK;
}

const struct codec_ops codec_lz4 = {
    .name = "lz4",
    .suffix = ".lz4",
    .decoder_new = unlz4_new,
    .decoder_free = unlz4_free,
    .decode = unlz4_run,
    .encoder_new = lz4_new,
    .encoder_free = lz4_free,
    .encode = lz4_run,
    .encode_end = lz4_end,
};
