/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/alloc.h"
#include "core/buf.h"

/* Red when text is lost while growing, or the end is not terminated. */
static void grows(void **state)
{
    struct wh_buf buf = WH_BUF(1 << 20);

    for (int i = 0; i < 10000; i++) {
        assert_ok(wh_buf_printf(&buf, "%d,", i));
        assert_int_equal(buf.p[buf.n], 0);
    }
    assert_int_equal(buf.n, 48890);
    assert_memory_equal(buf.p, "0,1,2,3,4,5,6,7,8,9,10,", 23);
    assert_string_equal(buf.p + buf.n - 10, "9998,9999,");
    wh_buf_clear(&buf);
    assert_string_equal(buf.p, "");
    assert_ok(wh_buf_printf(&buf, "%0300d", 1));
    assert_int_equal(buf.n, 300);
    wh_buf_free(&buf);
    assert_null(buf.p);
    assert_int_equal(buf.max, 1 << 20);
}

/* Red when a buffer passes its cap, or a refused addition leaves something behind. */
static void keeps_its_cap(void **state)
{
    struct wh_buf buf = WH_BUF(10);

    assert_ok(wh_buf_adds(&buf, "12345678"));
    assert_int_equal(wh_buf_adds(&buf, "abc"), WH_E_LIMIT);
    assert_int_equal(wh_buf_printf(&buf, "%s", "abc"), WH_E_LIMIT);
    assert_int_equal(wh_buf_json(&buf, "a", 1), WH_E_LIMIT);
    assert_int_equal(wh_buf_reserve(&buf, SIZE_MAX), WH_E_LIMIT);
    assert_string_equal(buf.p, "12345678");
    assert_ok(wh_buf_adds(&buf, "90"));
    assert_int_equal(wh_buf_addc(&buf, '!'), WH_E_LIMIT);
    assert_string_equal(buf.p, "1234567890");
    assert_true(buf.cap <= 11);
    wh_buf_free(&buf);
}

/* Red when running out of memory loses what was there. */
static void survives_no_memory(void **state)
{
    struct wh_buf buf = WH_BUF(1 << 20);
    char big[500];

    memset(big, 'x', sizeof big);
    assert_ok(wh_buf_adds(&buf, "kept"));
    wh_mem_fail_at(1, true);
    assert_int_equal(wh_buf_add(&buf, big, sizeof big), WH_E_NOMEM);
    assert_int_equal(wh_buf_printf(&buf, "%.500s", big), WH_E_NOMEM);
    wh_mem_fail_at(0, false);
    assert_string_equal(buf.p, "kept");
    char *text = wh_buf_take(&buf);

    assert_string_equal(text, "kept");
    assert_null(buf.p);
    wh_free(text);
    text = wh_buf_take(&buf);
    assert_string_equal(text, "");
    wh_free(text);
}

static void assert_json(const char *in, size_t n, const char *expected)
{
    struct wh_buf buf = WH_BUF(1000);

    assert_ok(wh_buf_json(&buf, in, n));
    assert_string_equal(buf.p, expected);
    wh_buf_free(&buf);
}

/* Red when a JSON string is not what RFC 8259 wants, or invalid bytes get through. */
static void quotes_json(void **state)
{
    assert_json("", 0, "\"\"");
    assert_json("a\"b\\c/", 6, "\"a\\\"b\\\\c/\"");
    assert_json("\n\r\t\b\f\x01\x7f", 7, "\"\\n\\r\\t\\b\\f\\u0001\\u007f\"");
    assert_json("a\0b", 3, "\"a\\u0000b\"");
    assert_json("\xC3\xA9\xF0\x9F\x98\x80", 6, "\"\xC3\xA9\xF0\x9F\x98\x80\"");
    assert_json("\xC3(\xFF", 3, "\"\xEF\xBF\xBD(\xEF\xBF\xBD\"");
    assert_json("\xED\xA0\x80", 3, "\"\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD\"");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grows),
        cmocka_unit_test(keeps_its_cap),
        cmocka_unit_test(survives_no_memory),
        cmocka_unit_test(quotes_json),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
