/* SPDX-License-Identifier: Apache-2.0 */
/* Compression: streaming, bounded memory, no I/O. One object serves one thread.
 *
 * Reading takes any number of members or frames after one another (as `cat a.gz b.gz` makes them)
 * and checks what the format lets it check. A cut or damaged input is WH_E_DATA: E4004 (cut) or
 * E4005 (damaged) with the offset.
 *
 * Writing gives pieces that may be concatenated: every call of wh_encode_end closes a member.
 */
#ifndef WHERRY_FORMATS_CODEC_H
#define WHERRY_FORMATS_CODEC_H

#include "core/alloc.h"
#include "core/buf.h"

enum wh_codec {
    WH_CODEC_NONE,
    WH_CODEC_GZIP,
    WH_CODEC_ZSTD,
    WH_CODEC_BZIP2,
    WH_CODEC_LZ4,
    WH_CODEC_DEFLATE, /* read only */
    WH_CODEC_SNAPPY,
    WH_CODEC_ZIP, /* an archive of one file; read only */
    WH_CODEC_COUNT
};

const char *wh_codec_name(enum wh_codec);
const char *wh_codec_suffix(enum wh_codec); /* ".gz"; "" for none */
bool wh_codec_writes(enum wh_codec);
/* By the end of a file name; NONE if there is none. *ret_known: false for a codec that this build
 * does not have (".xz"); its suffix goes to *ret_suffix either way. */
enum wh_codec wh_codec_of_name(struct wh_str name, bool *ret_known, struct wh_str *ret_suffix);
/* By the first bytes. */
enum wh_codec wh_codec_of_bytes(const void *p, size_t n);

struct wh_decoder;
wh_status wh_decoder_new(enum wh_codec, struct wh_decoder **ret, struct wh_error *reterr);
void wh_decoder_free(struct wh_decoder *);
/* Takes up to *io_n bytes of input, gives up to out_n bytes; *io_n = taken, *ret_n = given. `last`:
 * nothing comes behind these bytes. Answers WH_END when the input ended as it should and everything
 * was given, WH_OK to be called again. */
wh_status wh_decode(struct wh_decoder *, const void *in, size_t *io_n, bool last, void *out,
                    size_t out_n, size_t *ret_n, struct wh_error *reterr);

/* The libraries behind the codecs, with their versions. */
void wh_codec_libraries(void (*each)(void *arg, const char *name, const char *version), void *arg);

struct wh_encoder;
/* level 0 = the codec's own default. */
wh_status wh_encoder_new(enum wh_codec, int level, struct wh_encoder **ret,
                         struct wh_error *reterr);
void wh_encoder_free(struct wh_encoder *);
/* Appends compressed bytes of in to out; some may stay inside until the end. */
wh_status wh_encode(struct wh_encoder *, const void *in, size_t n, struct wh_buf *out,
                    struct wh_error *reterr);
wh_status wh_encode_end(struct wh_encoder *, struct wh_buf *out, struct wh_error *reterr);

#endif
