/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/codec/codec.h"

static int unpack(const uint8_t *p, size_t n, size_t in_step, size_t out_step, struct wh_buf *out)
{
    struct wh_decoder *d;
    struct wh_error err;
    size_t at = 0;
    int st = WH_OK;

    FUZZ_CHECK(wh_decoder_new(WH_CODEC_ZIP, &d, &err) == WH_OK);
    while (st == WH_OK && out->n < (1 << 20)) {
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

/* The answer must not hang on the sizes of the steps. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct wh_buf a = WH_BUF(64 << 20), b = WH_BUF(64 << 20);

    if (n > 1 << 16)
        return 0;
    int sa = unpack(p, n, 1 << 16, 1 << 14, &a), sb = unpack(p, n, 7, 777, &b);

    FUZZ_CHECK(sa == sb || a.n >= 1 << 20 || b.n >= 1 << 20);
    if (sa == WH_END && sb == WH_END)
        FUZZ_CHECK(a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0));
    wh_buf_free(&a);
    wh_buf_free(&b);
    return 0;
}
