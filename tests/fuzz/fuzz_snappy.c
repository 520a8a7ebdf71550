/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_unpack.h"

#include <string.h>

#include "formats/codec/snappy_block.h"

enum {
    MOST = 8 << 20,
};

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
    FUZZ_CHECK(unpack(WH_CODEC_SNAPPY, MOST, (uint8_t *)packed.p, packed.n, 1 << 20, 1 << 20,
                      &out) == WH_END);
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
    int sa = unpack(WH_CODEC_SNAPPY, MOST, p, n, 1 << 16, 1 << 16, &a),
        sb = unpack(WH_CODEC_SNAPPY, MOST, p, n, 7, 777, &b);

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
