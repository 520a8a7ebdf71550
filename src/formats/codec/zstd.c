/* SPDX-License-Identifier: Apache-2.0 */
/* Zstandard (RFC 8878) by libzstd: frames with checksums, concatenated frames when reading. */
#include <string.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "formats/codec/internal.h"

enum {
    DEFAULT_LEVEL = 3,
    WINDOW_LOG_MAX = 27, /* 128 MiB: what the format's own tool accepts without being asked */
};

struct unzstd {
    ZSTD_DStream *s;
    bool open;  /* inside a frame */
    bool ended; /* a frame was read */
};

static void unzstd_free(void *self)
{
    struct unzstd *u = self;
    if (u)
        ZSTD_freeDStream(u->s);
    wh_free(u);
}

static void *unzstd_new(void)
{
    struct unzstd *u = wh_calloc(1, sizeof *u);
    if (!u)
        return NULL;
    u->s = ZSTD_createDStream();
    if (u->s && !ZSTD_isError(ZSTD_DCtx_setParameter(u->s, ZSTD_d_windowLogMax, WINDOW_LOG_MAX)))
        return u;
    unzstd_free(u);
    return NULL;
}

static int unzstd_run(void *self, const void *in, size_t *io_n, bool last, void *out, size_t out_n,
                      size_t *ret_n, const char **why)
{
    struct unzstd *u = self;
    ZSTD_inBuffer src = {in, *io_n, 0};
    ZSTD_outBuffer dst = {out, out_n, 0};
    int st = WH_OK;
    while (dst.pos < dst.size && (src.pos < src.size || u->open)) {
        size_t before_in = src.pos, before_out = dst.pos;
        size_t code = ZSTD_decompressStream(u->s, &dst, &src);
        if (ZSTD_isError(code)) {
            *why = ZSTD_getErrorCode(code) != ZSTD_error_prefix_unknown ? ZSTD_getErrorName(code)
                   : u->ended                                           ? CODEC_TRAILING
                                                                        : CODEC_NOT_MINE;
            st = ZSTD_getErrorCode(code) == ZSTD_error_memory_allocation ? WH_E_NOMEM : WH_E_DATA;
            break;
        }
        u->open = code != 0;
        u->ended |= code == 0;
        if (src.pos == before_in && dst.pos == before_out)
            break;
    }
    *io_n = src.pos;
    *ret_n = dst.pos;
    if (st != WH_OK || !last || src.pos < src.size || dst.pos == dst.size)
        return st;
    return u->open || !u->ended ? WH_E_LIMIT : WH_END;
}

struct zstd {
    ZSTD_CStream *s;
    bool open, any;
};

static void zstd_free(void *self)
{
    struct zstd *z = self;
    if (z)
        ZSTD_freeCStream(z->s);
    wh_free(z);
}

static void *zstd_new(int level)
{
    struct zstd *z = wh_calloc(1, sizeof *z);
    if (!z)
        return NULL;
    z->s = ZSTD_createCStream();
    if (z->s &&
        !ZSTD_isError(
            ZSTD_CCtx_setParameter(z->s, ZSTD_c_compressionLevel, level ? level : DEFAULT_LEVEL)) &&
        !ZSTD_isError(ZSTD_CCtx_setParameter(z->s, ZSTD_c_checksumFlag, 1)))
        return z;
    zstd_free(z);
    return NULL;
}

static int pump(struct zstd *z, const void *in, size_t n, ZSTD_EndDirective how, struct wh_buf *out)
{
    ZSTD_inBuffer src = {in, n, 0};
    size_t left;
    do {
        WH_TRY(wh_buf_reserve(out, ZSTD_CStreamOutSize()));
        ZSTD_outBuffer dst = {out->p + out->n, ZSTD_CStreamOutSize(), 0};
        left = ZSTD_compressStream2(z->s, &dst, &src, how);
        if (ZSTD_isError(left))
            return WH_E_BUG;
        out->n += dst.pos;
    } while (how == ZSTD_e_end ? left > 0 : src.pos < src.size);
    return WH_OK;
}

static int zstd_run(void *self, const void *in, size_t n, struct wh_buf *out)
{
    struct zstd *z = self;
    z->open |= n > 0;
    return n ? pump(z, in, n, ZSTD_e_continue, out) : WH_OK;
}

static int zstd_end(void *self, struct wh_buf *out)
{
    struct zstd *z = self;
    if (!z->open && z->any)
        return WH_OK;
    WH_TRY(pump(z, "", 0, ZSTD_e_end, out));
    z->open = false;
    z->any = true;
    return WH_OK;
}

const struct codec_ops codec_zstd = {
    .name = "zstd",
    .suffix = ".zst",
    .decoder_new = unzstd_new,
    .decoder_free = unzstd_free,
    .decode = unzstd_run,
    .encoder_new = zstd_new,
    .encoder_free = zstd_free,
    .encode = zstd_run,
    .encode_end = zstd_end,
};
