/* SPDX-License-Identifier: Apache-2.0 */
#include <bzlib.h>
#include <isa-l.h>
#include <libdeflate.h>
#include <lz4.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>
#include <zstd.h>

#include "formats/codec/internal.h"

static const struct codec_ops codec_none = {.name = "none", .suffix = ""};

static const struct codec_ops *const OPS[WH_CODEC_COUNT] = {
    [WH_CODEC_NONE] = &codec_none,     [WH_CODEC_GZIP] = &codec_gzip,
    [WH_CODEC_ZSTD] = &codec_zstd,     [WH_CODEC_BZIP2] = &codec_bzip2,
    [WH_CODEC_LZ4] = &codec_lz4,       [WH_CODEC_DEFLATE] = &codec_deflate,
    [WH_CODEC_SNAPPY] = &codec_snappy, [WH_CODEC_ZIP] = &codec_zip,
};

/* Ends of names, known or not. */
static const struct {
    const char *suffix;
    enum wh_codec codec;
    bool known;
} SUFFIXES[] = {
    {".gz", WH_CODEC_GZIP, true},   {".gzip", WH_CODEC_GZIP, true},
    {".zst", WH_CODEC_ZSTD, true},  {".zstd", WH_CODEC_ZSTD, true},
    {".bz2", WH_CODEC_BZIP2, true}, {".bzip2", WH_CODEC_BZIP2, true},
    {".lz4", WH_CODEC_LZ4, true},   {".deflate", WH_CODEC_DEFLATE, true},
    {".sz", WH_CODEC_SNAPPY, true}, {".snappy", WH_CODEC_SNAPPY, true},
    {".xz", WH_CODEC_NONE, false},  {".zip", WH_CODEC_ZIP, true},
    {".7z", WH_CODEC_NONE, false},
};

const char *wh_codec_name(enum wh_codec c)
{
    return OPS[c]->name;
}

const char *wh_codec_suffix(enum wh_codec c)
{
    return OPS[c]->suffix;
}

bool wh_codec_writes(enum wh_codec c)
{
    return c == WH_CODEC_NONE || OPS[c]->encoder_new;
}

enum wh_codec wh_codec_of_name(struct wh_str name, bool *ret_known, struct wh_str *ret_suffix)
{
    *ret_known = true;
    *ret_suffix = (struct wh_str){NULL, 0};
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        size_t n = strlen(SUFFIXES[i].suffix);
        if (name.n > n &&
            wh_str_ieqs((struct wh_str){name.s + name.n - n, n}, SUFFIXES[i].suffix)) {
            *ret_known = SUFFIXES[i].known;
            *ret_suffix = (struct wh_str){name.s + name.n - n, n};
            return SUFFIXES[i].codec;
        }
    }
    return WH_CODEC_NONE;
}

enum wh_codec wh_codec_of_bytes(const void *p, size_t n)
{
    if (n >= 2 && !memcmp(p, "\x1f\x8b", 2))
        return WH_CODEC_GZIP;
    if (n >= 4 && !memcmp(p, "\x28\xb5\x2f\xfd", 4))
        return WH_CODEC_ZSTD;
    if (n >= 4 && !memcmp(p, "BZh", 3) && ((const char *)p)[3] >= '1' &&
        ((const char *)p)[3] <= '9')
        return WH_CODEC_BZIP2;
    if (n >= 4 && !memcmp(p, "\x04\x22\x4d\x18", 4))
        return WH_CODEC_LZ4;
    if (n >= 4 && !memcmp(p, "\xff\x06\0\0", 4))
        return WH_CODEC_SNAPPY;
    if (n >= 4 && !memcmp(p, "PK\3\4", 4))
        return WH_CODEC_ZIP;
    return WH_CODEC_NONE;
}

struct wh_decoder {
    const struct codec_ops *ops;
    void *self;
    int64_t taken;
};

wh_status wh_decoder_new(enum wh_codec c, struct wh_decoder **ret, struct wh_error *reterr)
{
    struct wh_decoder *d = wh_calloc(1, sizeof *d);
    if (d) {
        d->ops = OPS[c];
        d->self = d->ops->decoder_new();
    }
    if (!d || !d->self) {
        wh_free(d);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read %s", OPS[c]->name);
    }
    *ret = d;
    return WH_OK;
}

void wh_decoder_free(struct wh_decoder *d)
{
    if (d)
        d->ops->decoder_free(d->self);
    wh_free(d);
}

wh_status wh_decode(struct wh_decoder *d, const void *in, size_t *io_n, bool last, void *out,
                    size_t out_n, size_t *ret_n, struct wh_error *reterr)
{
    const char *why = "";
    int st = d->ops->decode(d->self, in, io_n, last, out, out_n, ret_n, &why);
    d->taken += (int64_t)*io_n;
    if (st >= 0)
        return st;
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory to read %s", d->ops->name);
    if (st == WH_E_UNSUPPORTED) {
        st = wh_fail(reterr, st, "E1014", "the %s archive cannot be read: %s", d->ops->name, why);
        if (reterr)
            wh_error_hint(reterr, "unpack it, or pipe a file of it in: unzip -p x.zip a.csv | "
                                  "wherry copy - ...");
        return st;
    }
    if (st == WH_E_LIMIT && d->taken == 0)
        return wh_fail(reterr, WH_E_DATA, "E4004", "the file is empty: no %s data at all",
                       d->ops->name);
    if (st == WH_E_LIMIT)
        return wh_fail(reterr, WH_E_DATA, "E4004", "the %s data ends too early, at byte %lld",
                       d->ops->name, (long long)d->taken);
    if (strcmp(why, CODEC_NOT_MINE) == 0) {
        st = wh_fail(reterr, WH_E_DATA, "E4011",
                     "this is no %s data, whatever the file's name says", d->ops->name);
        if (reterr)
            wh_error_hint(reterr, "if it is not compressed: --from compression=none");
        return st;
    }
    st = wh_fail(reterr, WH_E_DATA, "E4005", "the %s data is damaged near byte %lld: %s",
                 d->ops->name, (long long)d->taken, why);
    if (reterr && strcmp(why, CODEC_TRAILING) == 0)
        wh_error_hint(reterr,
                      "what comes before is whole; cut the rest off, or fetch the file again");
    return st;
}

struct wh_encoder {
    const struct codec_ops *ops;
    void *self;
};

wh_status wh_encoder_new(enum wh_codec c, int level, struct wh_encoder **ret,
                         struct wh_error *reterr)
{
    struct wh_encoder *e = wh_calloc(1, sizeof *e);
    if (e) {
        e->ops = OPS[c];
        e->self = e->ops->encoder_new(level);
    }
    if (!e || !e->self) {
        wh_free(e);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to write %s", OPS[c]->name);
    }
    *ret = e;
    return WH_OK;
}

void wh_encoder_free(struct wh_encoder *e)
{
    if (e)
        e->ops->encoder_free(e->self);
    wh_free(e);
}

static wh_status encoded(const struct wh_encoder *e, int st, struct wh_error *reterr)
{
    if (st == WH_OK)
        return WH_OK;
    if (st == WH_E_BUG)
        return wh_fail(reterr, st, "E9001", "%s cannot compress", e->ops->name);
    return wh_fail(reterr, st, "E8002", "no memory to write %s", e->ops->name);
}

wh_status wh_encode(struct wh_encoder *e, const void *in, size_t n, struct wh_buf *out,
                    struct wh_error *reterr)
{
    return encoded(e, e->ops->encode(e->self, in, n, out), reterr);
}

wh_status wh_encode_end(struct wh_encoder *e, struct wh_buf *out, struct wh_error *reterr)
{
    return encoded(e, e->ops->encode_end(e->self, out), reterr);
}

/* libdeflate and ISA-L cannot be asked: they are the versions that were compiled against. */
void wh_codec_libraries(void (*each)(void *arg, const char *name, const char *version), void *arg)
{
    char isal[32];

    snprintf(isal, sizeof isal, "%d.%d.%d", ISAL_MAJOR_VERSION, ISAL_MINOR_VERSION,
             ISAL_PATCH_VERSION);
    each(arg, "zlib", zlibVersion());
    each(arg, "libdeflate", LIBDEFLATE_VERSION_STRING);
    each(arg, "isa-l", isal);
    each(arg, "zstd", ZSTD_versionString());
    each(arg, "bzip2", BZ2_bzlibVersion());
    each(arg, "lz4", LZ4_versionString());
}
