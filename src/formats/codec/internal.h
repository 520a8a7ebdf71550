/* SPDX-License-Identifier: Apache-2.0 */
/* What a codec provides; codec.c holds the table. */
#ifndef WHERRY_FORMATS_CODEC_INTERNAL_H
#define WHERRY_FORMATS_CODEC_INTERNAL_H

#include "formats/codec/codec.h"

/* Words of `ret_why` that get an answer of their own. */
#define CODEC_NOT_MINE "it does not begin as such data does"
#define CODEC_TRAILING "something else follows the compressed data"

struct codec_ops {
    const char *name, *suffix;
    void *(*decoder_new)(void); /* NULL: no memory */
    void (*decoder_free)(void *);
    /* WH_E_UNSUPPORTED: well-formed, but not what is read here. */
    int (*decode)(void *, const void *in, size_t *io_n, bool last, void *out, size_t out_n,
                  size_t *ret_n, const char **ret_why); /* OK, END, WH_E_DATA (damaged),
                                                           WH_E_LIMIT (cut), WH_E_NOMEM */
    void *(*encoder_new)(int level);
    void (*encoder_free)(void *);
    int (*encode)(void *, const void *in, size_t n, struct wh_buf *out);
    int (*encode_end)(void *, struct wh_buf *out);
};

extern const struct codec_ops codec_gzip, codec_zstd, codec_bzip2, codec_lz4, codec_deflate,
    codec_snappy, codec_zip;

#endif
