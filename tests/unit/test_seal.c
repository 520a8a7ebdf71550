/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/codec/seal.h"

#include <stdlib.h>
#include <string.h>

#include "test.h"

#define KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Made by Tink 1 (Python), AES256_GCM_HKDF_1MB, of KEY. */
static const char FOREIGN[] = "288c41555d8642cfb3e0626491e07712e1d2e92e30c094994e1e7d5f2a44dd5aabf7"
                              "70f810aa80ff51838e76656ecd83980b92e28f88b091e53efea4c2ce30fa";
static const char TEXT[] = "a,b\n1,2\n";

static size_t bytes_of(const char *hex, uint8_t *out)
{
    size_t n = 0;
    unsigned v;
    for (; hex[2 * n]; n++) {
        char two[3] = {hex[2 * n], hex[2 * n + 1], 0};
        v = (unsigned)strtoul(two, NULL, 16);
        out[n] = (uint8_t)v;
    }
    return n;
}

static struct wh_seal_key key_of(const char *text)
{
    struct wh_seal_key k;
    struct wh_error err = {0};
    assert_int_equal(wh_seal_key_parse(text, &k, &err), WH_OK);
    return k;
}

/* Fails if a text that is no key is taken, or told in a message. */
static void test_keys(void **state)
{
    static const char *const bad[] = {
        "",
        "secret",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeef",
        "00112233445566778899aabbccddeeff00112233445566778899aabbccddeefg",
        "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v9=", /* bits behind the last byte */
        "ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v==",
        "ABEiM0RVZneImaq7zN3u_wARIjNEVWZ3iJmqu8zd7v8=",
    };
    struct wh_seal_key a = key_of(KEY), b = key_of("ABEiM0RVZneImaq7zN3u/wARIjNEVWZ3iJmqu8zd7v8=");
    char x[WH_SEAL_CHECK + 1], y[WH_SEAL_CHECK + 1];
    assert_memory_equal(&a, &b, sizeof a);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct wh_error err = {0};
        assert_int_equal(wh_seal_key_parse(bad[i], &b, &err), WH_E_USAGE);
        assert_string_equal(err.code, "E1002");
        if (*bad[i] && strstr(err.message, bad[i]))
            fail_msg("told: %s", err.message);
    }
    b = a;
    b.bytes[31] ^= 1;
    assert_int_equal(wh_seal_key_check(&a, x, NULL), WH_OK);
    assert_int_equal(wh_seal_key_check(&b, y, NULL), WH_OK);
    assert_int_equal(strlen(x), WH_SEAL_CHECK);
    assert_string_not_equal(x, y);
}

/* Fails if sizes of text and file do not fit each other at the borders of segments. */
static void test_sizes(void **state)
{
    const int64_t first = WH_SEAL_SEGMENT - WH_SEAL_HEADER - WH_SEAL_TAG;
    const int64_t other = WH_SEAL_SEGMENT - WH_SEAL_TAG;
    for (int64_t segments = 1; segments < 5; segments++)
        for (int64_t d = -2; d < 3; d++) {
            int64_t text = first + (segments - 1) * other + d, stored = wh_seal_stored(text);
            assert_int_equal(wh_seal_text(stored), text);
            assert_int_equal(wh_seal_segments(stored), segments + (d > 0));
            int64_t at = wh_seal_segment_of(text);
            assert_true(wh_seal_begin(at) <= text);
            assert_true(text < wh_seal_begin(at) + (int64_t)wh_seal_room(at));
        }
    assert_int_equal(wh_seal_stored(0), WH_SEAL_HEADER + WH_SEAL_TAG);
    for (int64_t n = -1; n < WH_SEAL_HEADER + WH_SEAL_TAG; n++)
        assert_int_equal(wh_seal_segments(n), 0);
    assert_int_equal(wh_seal_segments(WH_SEAL_SEGMENT + WH_SEAL_TAG - 1), 0);
}

static int open_first(const uint8_t *file, size_t n, bool last, int64_t segment, uint8_t *out)
{
    struct wh_seal_key key = key_of(KEY);
    struct wh_seal *s = NULL;
    struct wh_error err = {0};
    int st = wh_seal_new(&key, file, &s, &err);
    if (st != WH_OK)
        return st;
    memcpy(out, file + WH_SEAL_HEADER, n - WH_SEAL_HEADER);
    st = wh_seal_open(s, segment, last, out, n - WH_SEAL_HEADER, &err);
    wh_seal_free(s);
    return st;
}

/* Fails if a file of another program is not read, or any bit of it can be changed. */
static void test_foreign(void **state)
{
    uint8_t file[256], out[256];
    size_t n = bytes_of(FOREIGN, file), text = sizeof TEXT - 1;
    assert_int_equal(n, (size_t)wh_seal_stored((int64_t)text));
    assert_int_equal(open_first(file, n, true, 0, out), WH_OK);
    assert_memory_equal(out, TEXT, text);
    assert_int_equal(open_first(file, n, false, 0, out), WH_E_DATA);
    assert_int_equal(open_first(file, n, true, 1, out), WH_E_DATA);
    for (size_t bit = 0; bit < n * 8; bit++) {
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(open_first(file, n, true, 0, out), WH_E_DATA);
        assert_true(memmem(out, text, TEXT, text) == NULL);
        file[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t cut = WH_SEAL_HEADER; cut < n; cut++)
        assert_int_equal(open_first(file, cut, true, 0, out), WH_E_DATA);
}

/* Fails if what was closed cannot be opened, or two files of one text are the same. */
static void test_both_ways(void **state)
{
    struct wh_seal_key key = key_of(KEY);
    uint8_t file[2][128];
    for (int i = 0; i < 2; i++) {
        struct wh_seal *s = NULL;
        uint8_t out[128];
        assert_int_equal(wh_seal_new(&key, NULL, &s, NULL), WH_OK);
        memcpy(file[i], wh_seal_header(s), WH_SEAL_HEADER);
        memcpy(file[i] + WH_SEAL_HEADER, TEXT, sizeof TEXT);
        assert_int_equal(wh_seal_close(s, 0, true, file[i] + WH_SEAL_HEADER, sizeof TEXT, NULL),
                         WH_OK);
        wh_seal_free(s);
        size_t n = WH_SEAL_HEADER + sizeof TEXT + WH_SEAL_TAG;
        assert_int_equal(open_first(file[i], n, true, 0, out), WH_OK);
        assert_memory_equal(out, TEXT, sizeof TEXT);
    }
    assert_memory_not_equal(file[0] + 1, file[1] + 1, 39);
    assert_memory_not_equal(file[0] + WH_SEAL_HEADER, file[1] + WH_SEAL_HEADER,
                            sizeof TEXT + WH_SEAL_TAG);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
