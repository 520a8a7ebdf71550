/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/codec/codec.h"
#include "formats/codec/snappy_block.h"

/* Unpacks in steps of the given sizes; the answer must not hang on them. */
static int unpack(const uint8_t *p, size_t n, size_t in_step, size_t out_step, struct wh_buf *out)
{
    struct wh_decoder *d;
    struct wh_error err;
    size_t at = 0;
    int st = WH_OK;

    FUZZ_CHECK(wh_decoder_new(WH_CODEC_SNAPPY, &d, &err) == WH_OK);
    while (st == WH_OK && out->n < (8 << 20)) {
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

/* What is packed unpacks to the same. */
static void both_ways(const uint8_t *p, size_t n)
{
    struct wh_buf packed = WH_BUF(64 << 20), out = WH_BUF(64 << 20);
    struct wh_encoder *e;
    struct wh_error err;

    FUZZ_CHECK(wh_encoder_new(WH_CODEC_SNAPPY, 0, &e, &err) == WH_OK);
    FUZZ_CHECK(wh_encode(e, p, n, &packed, &err) == WH_OK);
    FUZZ_CHECK(wh_encode_end(e, &packed, &err) == WH_OK);
    wh_encoder_free(e);
    FUZZ_CHECK(unpack((uint8_t *)packed.p, packed.n, 1 << 20, 1 << 20, &out) == WH_END);
    FUZZ_CHECK(out.n == n && (!n || memcmp(out.p, p, n) == 0));
    wh_buf_free(&packed);
    wh_buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct wh_buf a = WH_BUF(64 << 20), b = WH_BUF(64 << 20);
    size_t length, head;

    if (n > 1 << 20)
        return 0;
    int sa = unpack(p, n, 1 << 16, 1 << 16, &a), sb = unpack(p, n, 7, 777, &b);

    FUZZ_CHECK(sa == sb);
    if (sa == WH_END)
        FUZZ_CHECK(a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0));
    /* A block alone, which no checksum stands before. */
    if (snappy_length(p, n, &length, &head) && length <= 1 << 20) {
        uint8_t *out = malloc(length + 1);

        FUZZ_CHECK(out);
        snappy_unpack(p, n, out, length);
        free(out);
    }
    both_ways(p, n);
    wh_buf_free(&a);
    wh_buf_free(&b);
    return 0;
}
