/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/buf.h"

static void compares(void **state)
{
    struct wh_str a = WH_STR("Abc");

    assert_true(wh_str_eqs(a, "Abc"));
    assert_false(wh_str_eqs(a, "Abcd"));
    assert_false(wh_str_eqs(a, "abc"));
    assert_true(wh_str_ieqs(a, "aBC"));
    assert_false(wh_str_ieqs(a, "aB"));
    assert_true(wh_str_starts(a, "Ab"));
    assert_true(wh_str_starts(a, ""));
    assert_false(wh_str_starts(a, "Abcd"));
    assert_true(wh_str_ends(a, "bc"));
    assert_false(wh_str_ends(a, "xAbc"));
    assert_true(wh_str_eq(wh_str(NULL), wh_str("")));
    assert_int_equal(wh_str(NULL).n, 0);
}

/* Encodes any number the way UTF-8 would, also those that are not allowed. */
static size_t encode(uint32_t c, char out[4])
{
    if (c < 0x80) {
        out[0] = (char)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (char)(0xC0 | c >> 6);
        out[1] = (char)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (char)(0xE0 | c >> 12);
        out[1] = (char)(0x80 | (c >> 6 & 63));
        out[2] = (char)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (char)(0xF0 | c >> 18);
    out[1] = (char)(0x80 | (c >> 12 & 63));
    out[2] = (char)(0x80 | (c >> 6 & 63));
    out[3] = (char)(0x80 | (c & 63));
    return 4;
}

/* Red when a code point is judged wrongly: all of them are tried, also surrogates and those beyond
 * the last one, and all cut off at every byte. */
static void judges_all_code_points(void **state)
{
    char s[4];

    for (uint32_t c = 0; c < 0x120000; c++) {
        size_t n = encode(c, s);
        bool valid = c < 0xD800 || (c > 0xDFFF && c < 0x110000);

        if (wh_utf8_valid(s, n) != valid || wh_utf8_len(s, n) != (valid ? n : 0))
            fail_msg("U+%04X", c);
        if (n > 1 && wh_utf8_valid(s, n - 1))
            fail_msg("U+%04X without its last byte", c);
    }
}

/* Red when an overlong form, a lone tail or a cut character passes, wherever it stands in a word of
 * eight bytes. */
static void refuses_invalid_anywhere(void **state)
{
    static const char *const bad[] = {
        "\x80",         "\xC0\x80",         "\xC1\xBF",         "\xE0\x80\x80",
        "\xE0\x9F\xBF", "\xF0\x8F\xBF\xBF", "\xF5\x80\x80\x80", "\xFF",
        "\xC3",         "\xE2\x82",         "\xF0\x9F\x98"};
    char text[64];

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        for (size_t at = 0; at < 40; at++) {
            memset(text, 'a', sizeof text);
            memcpy(text + at, bad[i], strlen(bad[i]));
            assert_false(wh_utf8_valid(text, sizeof text));
            assert_false(wh_utf8_valid(text, at + strlen(bad[i])));
            assert_true(wh_utf8_valid(text, at));
        }
    }
    assert_true(wh_utf8_valid("", 0));
    assert_int_equal(wh_utf8_chars("a\xC3\xA9\xE8\xB4\xA7\xF0\x9F\x98\x80", 10), 4);
}

/* Red when a message's excerpt ends inside a character. */
static void clips_whole_characters(void **state)
{
    struct wh_str text = WH_STR("a\xE8\xB4\xA7z");

    assert_int_equal(wh_str_clip(text, 9).n, 5);
    assert_int_equal(wh_str_clip(text, 5).n, 5);
    assert_int_equal(wh_str_clip(text, 4).n, 4);
    assert_int_equal(wh_str_clip(text, 3).n, 1);
    assert_int_equal(wh_str_clip(text, 2).n, 1);
    assert_int_equal(wh_str_clip(text, 1).n, 1);
    assert_int_equal(wh_str_clip(text, 0).n, 0);
}

static const char *near(const char *word)
{
    static const char *const words[] = {"skip_lines", "delimiter", "quote", "path", "mode",
                                        "format",     "host",      "port",  "on",   NULL};

    return wh_did_you_mean(wh_str(word), words);
}

/* Red when a usual typing error gets no suggestion, or a word that is far away gets one. */
static void suggests_the_nearest(void **state)
{
    assert_string_equal(near("skip_line"), "skip_lines");
    assert_string_equal(near("skip-lines"), "skip_lines");
    assert_string_equal(near("skpi_lines"), "skip_lines");
    assert_string_equal(near("skip"), "skip_lines");
    assert_string_equal(near("DELIMITER"), "delimiter");
    assert_string_equal(near("delimeter"), "delimiter");
    assert_string_equal(near("mod"), "mode");
    assert_string_equal(near("pats"), "path");
    assert_string_equal(near("hots"), "host");
    assert_null(near("timezone"));
    assert_null(near("x"));
    assert_null(near("no"));
    assert_null(near(""));
    char longer[200];

    memset(longer, 'a', sizeof longer);
    longer[199] = 0;
    assert_null(near(longer));
}

static bool glob(const char *pattern, const char *text)
{
    return wh_glob_match(pattern, wh_str(text), false);
}

/* Red when a pattern matches a part of a name, or an exponential pattern does not end. */
static void globs_match_whole_names(void **state)
{
    assert_true(glob("*", ""));
    assert_true(glob("*", "abc"));
    assert_true(glob("a*c", "abbc"));
    assert_true(glob("a*c", "ac"));
    assert_false(glob("a*c", "acb"));
    assert_false(glob("orders", "orders_bak"));
    assert_false(glob("orders", "my_orders"));
    assert_true(glob("*_bak", "x_bak_bak"));
    assert_true(glob("?", "\xE8\xB4\xA7"));
    assert_false(glob("?", ""));
    assert_true(glob("a?c", "axc"));
    assert_true(glob("t[0-9][!a]", "t5b"));
    assert_false(glob("t[0-9][!a]", "t5a"));
    assert_false(glob("t[0-9]", "tx"));
    assert_true(glob("[]a]", "]"));
    assert_true(glob("[abc", "[abc"));
    assert_true(glob("a\\*", "a*"));
    assert_false(glob("a\\*", "ab"));
    assert_true(wh_glob_match("ORD*", wh_str("orders"), true));
    assert_true(wh_glob_match("[A-C]x", wh_str("bX"), true));
    assert_false(wh_glob_match("ORD*", wh_str("orders"), false));
    assert_true(wh_glob_match("", wh_str(NULL), false));
    char text[2001];

    memset(text, 'a', 2000);
    text[2000] = 0;
    assert_false(glob("*a*a*a*a*a*a*a*a*a*a*b", text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(compares),
        cmocka_unit_test(judges_all_code_points),
        cmocka_unit_test(refuses_invalid_anywhere),
        cmocka_unit_test(clips_whole_characters),
        cmocka_unit_test(suggests_the_nearest),
        cmocka_unit_test(globs_match_whole_names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
