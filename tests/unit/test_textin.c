/* SPDX-License-Identifier: Apache-2.0 */
/* What the readers of text formats share: lines are counted and bytes above 127 seen wherever they
 * stand. Each test fails if its sentence stops being true. */
#include "test.h"

#include <stdlib.h>

#include "formats/textin.h"

enum {
    TEXT = 20000, /* more than one sum of bytes holds */
    ROUNDS = 400,
};

static int64_t lines_one_by_one(const uint8_t *p, size_t n, bool cr_ends)
{
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n' || (cr_ends && p[i] == '\r' && p[i + 1] != '\n');
    return lines;
}

/* Fails if a line end is missed or counted twice: at any alignment and length, behind the text, in
 * text of nothing but line ends, in CRLF cut by the end. */
static void test_count_lines(void **state)
{
    static const char *const alphabets[] = {
        "\n", "\r", "\r\n", "\r\nab", "abcdefghijklm\n", "abcdefghijklm\r"};
    uint8_t *text = wh_alloc(TEXT + 1);
    unsigned seed = 20261123;
    assert_non_null(text);
    print_message("seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < ROUNDS; round++) {
        const char *alphabet = alphabets[round % 6];
        size_t letters = strlen(alphabet);
        for (size_t i = 0; i <= TEXT; i++)
            text[i] = (uint8_t)alphabet[(size_t)random() % letters];
        size_t from = (size_t)random() % 70,
               n = (size_t)random() % (round % 3 ? 200 : TEXT - from + 1);
        for (int how = 0; how < 4; how++) {
            int64_t want = lines_one_by_one(text + from, n, how & 1),
                    got = textin_count_lines(text + from, n, how & 1, how & 2);
            if (got != want)
                fail_msg("round %d, from %zu, %zu bytes, %d: %lld for %lld", round, from, n, how,
                         (long long)got, (long long)want);
        }
    }
    wh_free(text);
}

/* Fails if a sample that is cut anywhere in characters of two, three or four bytes is refused, if
 * one that is whole may end so, or if what is wrong before the cut passes. */
static void test_check_utf8(void **state)
{
    static const char text[] = "a\u0436\u0436\u0436\u4e2d\u4e2d\u4e2d\U0001f389\U0001f389"
                               "\u0436\u4e2d\U0001f389b";
    static const char *const wrong[] = {"\x80", "\xc3(", "\xff", "\xf5\x80", "\xd0\xb6\x80"};
    struct wh_error err = {0};
    for (size_t n = 0; n < sizeof text; n++) {
        bool inside = n < sizeof text - 1 && ((uint8_t)text[n] & 0xc0) == 0x80;
        assert_ok(textin_check_utf8(text, n, false, &err));
        assert_int_equal(n - wh_utf8_whole(text, n) > 0, inside);
        assert_true(wh_utf8_valid(text, wh_utf8_whole(text, n)));
        assert_int_equal(textin_check_utf8(text, n, true, &err), inside ? WH_E_DATA : WH_OK);
    }
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(textin_check_utf8(wrong[i], strlen(wrong[i]), false, &err), WH_E_DATA);
}

/* Fails if a byte above 127 is not seen, or one outside of the text is. */
static void test_is_ascii(void **state)
{
    uint8_t text[256];
    for (size_t from = 0; from < 40; from++) {
        for (size_t n = 0; n < 150; n++) {
            memset(text, 0x7f, sizeof text);
            text[from + n] = 0x80;
            if (from)
                text[from - 1] = 0xff;
            assert_true(textin_is_ascii(text + from, n, n & 1));
            for (size_t at = 0; at < n; at += 7) {
                text[from + at] = 0x80;
                assert_false(textin_is_ascii(text + from, n, false));
                assert_false(textin_is_ascii(text + from, n, true));
                text[from + at] = 'a';
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_count_lines),
        cmocka_unit_test(test_check_utf8),
        cmocka_unit_test(test_is_ascii),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
