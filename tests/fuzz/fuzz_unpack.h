/* SPDX-License-Identifier: Apache-2.0 */
/* Unpacking in steps, for the targets of codecs. */
#ifndef WHERRY_TESTS_FUZZ_FUZZ_UNPACK_H
#define WHERRY_TESTS_FUZZ_FUZZ_UNPACK_H

#include "fuzz.h"

#include "core/buf.h"
#include "formats/codec/codec.h"

/* Unpacks in steps of the given sizes, until `most` bytes are out; the answer must not hang on
 * them. */
static inline int unpack(enum wh_codec codec, size_t most, const uint8_t *p, size_t n,
                         size_t in_step, size_t out_step, struct wh_buf *out)
{
    struct wh_decoder *d;
    struct wh_error err;
    size_t at = 0;
    int st = WH_OK;

    FUZZ_CHECK(wh_decoder_new(codec, &d, &err) == WH_OK);
    while (st == WH_OK && out->n < most) {
        size_t k = n - at < in_step ? n - at : in_step, took = k, gave;

        FUZZ_CHECK(wh_buf_reserve(out, out_step) == WH_OK);
        st = wh_decode(d, p + at, &took, at + k == n, out->p + out->n, out_step, &gave, &err);
        FUZZ_CHECK(took <= k && gave <= out_step && (st != WH_OK || took || gave || !k));
        at += took;
        out->n += gave;
    }
    wh_decoder_free(d);
    return st;
}

#endif
