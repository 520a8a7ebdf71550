/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_unpack.h"

#include <string.h>

enum {
    MOST = 1 << 20,
};

/* The answer must not hang on the sizes of the steps. */
int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
    struct wh_buf a = WH_BUF(64 << 20), b = WH_BUF(64 << 20);

    if (n > 1 << 16)
        return 0;
    int sa = unpack(WH_CODEC_ZIP, MOST, p, n, 1 << 16, 1 << 14, &a),
        sb = unpack(WH_CODEC_ZIP, MOST, p, n, 7, 777, &b);

    FUZZ_CHECK(sa == sb || a.n >= MOST || b.n >= MOST);
    if (sa == WH_END && sb == WH_END)
        FUZZ_CHECK(a.n == b.n && (!a.n || memcmp(a.p, b.p, a.n) == 0));
    wh_buf_free(&a);
    wh_buf_free(&b);
    return 0;
}
