/* SPDX-License-Identifier: Apache-2.0 */
/* `.deflate`: zlib streams (RFC 1950), as Hadoop's default codec writes them. Read only: our files
 * are pieces that concatenate, and most programs would read the first stream and nothing more. */
#include <string.h>
#include <zlib.h>

#include "formats/codec/internal.h"

struct inflater {
    z_stream s;
    bool made, open, ended; /* of the library; inside a stream; a stream was read */
};

static void *inflater_new(void)
{
    return wh_calloc(1, sizeof(struct inflater));
}

static void inflater_free(void *self)
{
    struct inflater *z = self;
    if (z && z->made)
        inflateEnd(&z->s);
    wh_free(z);
}

static int open_stream(struct inflater *z)
{
    int code = z->made ? inflateReset(&z->s) : inflateInit(&z->s);
    if (code != Z_OK)
        return WH_E_NOMEM;
    z->made = z->open = true;
    return WH_OK;
}

static int trouble(const struct inflater *z, int code, const char **why)
{
    if (code == Z_MEM_ERROR)
        return WH_E_NOMEM;
    bool at_start = z->s.total_in <= 2 && !z->s.total_out;
    *why = !at_start  ? "its blocks are wrong or its checksum does not fit"
           : z->ended ? CODEC_TRAILING
                      : CODEC_NOT_MINE;
    return WH_E_DATA;
}

static int inflater_run(void *self, const void *in, size_t *io_n, bool last, void *out,
                        size_t out_n, size_t *ret_n, const char **why)
{
    struct inflater *z = self;
    size_t n = *io_n, taken = 0, given = 0;
    int st = WH_OK;
    while (st == WH_OK && given < out_n) {
        if (!z->open && taken == n) {
            st = !last ? WH_OK : z->ended ? WH_END : WH_E_LIMIT;
            break;
        }
        if (!z->open && (st = open_stream(z)) != WH_OK)
            break;
        z->s.next_in = (uint8_t *)(uintptr_t)in + taken;
        z->s.avail_in = (unsigned)(n - taken);
        z->s.next_out = (uint8_t *)out + given;
        z->s.avail_out = (unsigned)(out_n - given);
        int code = inflate(&z->s, Z_NO_FLUSH);
        size_t used = n - taken - z->s.avail_in, made = out_n - given - z->s.avail_out;
        taken += used;
        given += made;
        if (code == Z_STREAM_END) {
            z->open = false;
            z->ended = true;
        } else if (code != Z_OK && code != Z_BUF_ERROR) {
            st = trouble(z, code, why);
        } else if (!used && !made) {
            st = last && taken == n ? WH_E_LIMIT : WH_OK;
            break;
        }
    }
    *io_n = taken;
    *ret_n = given;
    return st;
}

const struct codec_ops codec_deflate = {
    .name = "deflate",
    .suffix = ".deflate",
    .decoder_new = inflater_new,
    .decoder_free = inflater_free,
    .decode = inflater_run,
};
