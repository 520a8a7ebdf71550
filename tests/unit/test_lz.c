/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>

#include "core/alloc.h"
#include "core/hash.h"
#include "core/lz.h"

static uint64_t seed;

static uint32_t next(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

static void there_and_back(const char *p, size_t n, size_t block, size_t most)
{
    struct wh_buf packed = WH_BUF(64 << 20), back = WH_BUF(64 << 20);

    for (size_t at = 0; at < n || at == 0; at += block) {
        size_t piece = n - at < block ? n - at : block;

        assert_ok(wh_lz_pack(p + at, piece, &packed));
    }
    assert_ok(wh_lz_unpack((struct wh_bytes){packed.p, packed.n}, &back));
    if (back.n != n || (n && memcmp(back.p, p, n) != 0))
        fail_msg("%zu bytes in blocks of %zu come back as %zu", n, block, back.n);
    if (packed.n > most)
        fail_msg("%zu bytes become %zu", n, packed.n);
    wh_buf_free(&packed);
    wh_buf_free(&back);
}

/* Red when a text does not come back as it was, or records that repeat themselves stay long. */
static void round_trips(void **state)
{
    char *text = wh_alloc(1 << 20);
    struct wh_buf records = WH_BUF(1 << 20);

    there_and_back("", 0, 1, 16);
    there_and_back("abc", 3, 3, 16);
    for (size_t n = 1; n < 700;
         n++) { /* runs of every length: matches that reach into themselves */
        memset(text, 'x', n);
        there_and_back(text, n, n, 32);
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(i * 37 % 251);
        there_and_back(text, n, n, n + 32);
    }
    for (int i = 0; i < 2000; i++)
        assert_ok(
            wh_buf_printf(&records,
                          "{\"flow\":\"%d\",\"source_schema\":\"{\\\"columns\\\":[{\\\"name\\\":"
                          "\\\"c%u\\\",\\\"type\\\":\\\"int64\\\"}]}\",\"x\":\"%08x\"}",
                          i, next() % 50, next()));
    there_and_back(records.p, records.n, 64 << 10, records.n / 4);
    wh_buf_free(&records);
    for (int round = 0; round < 200; round++) {
        size_t n = next() % 200000;
        uint32_t kinds = 1 + next() % 256, stay = 1 + next() % 40;

        for (size_t i = 0; i < n; i++)
            text[i] = (char)(i && next() % stay ? text[i - 1 - next() % (i < 90000 ? i : 90000)]
                                                : (int)(next() % kinds));
        there_and_back(text, n, 1 + n / (1 + next() % 5), n + n / 200 + 256);
    }
    wh_free(text);
}

/* Red when damaged bytes are taken for more than they may be, or read beyond their end (sanitizer).
 */
static void damaged(void **state)
{
    struct wh_buf packed = WH_BUF(1 << 20), back = WH_BUF(1 << 20), tiny = WH_BUF(100);
    char text[3000];

    for (size_t i = 0; i < sizeof text; i++)
        text[i] = (char)("abcdefgh"[next() % 8]);
    assert_ok(wh_lz_pack(text, sizeof text, &packed));
    assert_int_equal(wh_lz_unpack((struct wh_bytes){packed.p, packed.n}, &tiny), WH_E_LIMIT);
    for (size_t n = 1; n < packed.n; n++) {
        char *cut = wh_alloc(n); /* exactly so long: a byte beyond is seen */

        memcpy(cut, packed.p, n);
        wh_buf_clear(&back);
        assert_int_equal(wh_lz_unpack((struct wh_bytes){cut, n}, &back), WH_E_DATA);
        wh_free(cut);
    }
    for (int i = 0; i < 20000; i++) {
        char *bad = wh_alloc(packed.n);

        memcpy(bad, packed.p, packed.n);
        for (uint32_t k = 0; k <= next() % 4; k++)
            bad[next() % packed.n] = (char)next();
        wh_buf_clear(&back);
        wh_ignore(wh_lz_unpack((struct wh_bytes){bad, packed.n}, &back));
        wh_free(bad);
    }
    wh_buf_free(&packed);
    wh_buf_free(&back);
    wh_buf_free(&tiny);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(round_trips), cmocka_unit_test(damaged)};
    const char *text = getenv("WH_TEST_SEED");

    seed = text ? strtoull(text, NULL, 10) : wh_random64();
    printf("lz: seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
