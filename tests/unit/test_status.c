/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/buf.h"
#include "core/errors.h"

#include <errno.h>

/* Red when a code is doubled or out of order (the binary search would miss it), or a row lacks its
 * page or carries an exit code that INTERFACE 6 does not know. */
static void table_is_complete(void **state)
{
    size_t n;
    const struct wh_error_page *pages = wh_error_pages(&n);

    assert_true(n > 0);
    for (size_t i = 0; i < n; i++) {
        const struct wh_error_page *page = &pages[i];

        if (i && strcmp(pages[i - 1].code, page->code) >= 0)
            fail_msg("%s is not after %s", page->code, pages[i - 1].code);
        assert_int_equal(strlen(page->code), 5);
        assert_true(page->code[0] == 'E' && page->code[1] >= '1' && page->code[1] <= '9');
        assert_ptr_equal(wh_error_page(page->code), page);
        if (strlen(page->title) < 5 || strlen(page->page) < 60 || !strstr(page->page, "Do: "))
            fail_msg("%s needs a title and a page that says what to do", page->code);
        /* 130: interrupted; 141: nobody reads our output any more. */
        if ((page->exit_code < 1 || page->exit_code > 10) && page->exit_code != 130 &&
            page->exit_code != 141)
            fail_msg("%s has no exit code of a failure", page->code);
    }
    assert_null(wh_error_page("E0000"));
    assert_null(wh_error_page("E9999"));
    assert_null(wh_error_page(NULL));
    assert_int_equal(wh_error_exit("E3006", true), 1);
    assert_int_equal(wh_error_exit("E3006", false), 2);
    assert_int_equal(wh_error_exit("E3001", false), 2);
    assert_int_equal(wh_error_exit("E3001", true), 1);
    assert_int_equal(wh_error_exit("E7008", true), 2);
    assert_int_equal(wh_error_exit("E2001", false), 5);
    assert_int_equal(wh_error_exit("E9001", false), 1);
    assert_int_equal(wh_error_exit("E0000", false), 1);
}

/* Red when wh_fail forgets a field, keeps one of an older error, or dies without a place to write.
 */
static void fail_fills_all(void **state)
{
    struct wh_error err;

    memset(&err, 'x', sizeof err);
    assert_int_equal(wh_fail(&err, WH_E_USAGE, "E1001", "unknown key '%s'", "mod"), WH_E_USAGE);
    assert_int_equal(err.status, WH_E_USAGE);
    assert_string_equal(err.code, "E1001");
    assert_string_equal(err.message, "unknown key 'mod'");
    assert_string_equal(err.where, "");
    assert_string_equal(err.hint, "");
    assert_int_equal(err.scope, WH_SCOPE_RUN);
    assert_false(err.retriable);
    assert_false(err.outcome_unknown);
    assert_int_equal(err.native, 0);
    wh_error_where(&err, "job.yaml:%d", 3);
    wh_error_hint(&err, "write '%s'", "mode");
    assert_string_equal(err.where, "job.yaml:3");
    assert_string_equal(err.hint, "write 'mode'");
    /* Wrapping an error into itself is usual: its old words are an argument of the new ones. */
    wh_fail(&err, WH_E_BUG, "E9001", "orders: %s", err.message);
    assert_string_equal(err.message, "orders: unknown key 'mod'");
    assert_int_equal(wh_fail(NULL, WH_E_BUG, "E9001", "x"), WH_E_BUG);
    wh_error_where(NULL, "x");
    wh_error_hint(NULL, "x");
}

/* Red when a long message is cut inside a character (invalid UTF-8 in JSON output). */
static void cut_at_character(void **state)
{
    struct wh_error err;
    char text[3001];

    for (int shift = 0; shift < 4; shift++) {
        memset(text, 'a', (size_t)shift);
        for (int i = shift; i + 3 <= 3000; i += 3)
            memcpy(text + i, "\xE8\xB4\xA7", 4);
        wh_fail(&err, WH_E_REMOTE, "E9001", "%s", text);
        assert_true(wh_utf8_valid(err.message, strlen(err.message)));
        assert_true(strlen(err.message) > sizeof err.message - 8);
        assert_true(wh_str_ends(wh_str(err.message), "..."));
        assert_int_equal(wh_fail_errno(&err, EIO, "E9001", "%s", text), WH_E_IO);
        assert_true(wh_utf8_valid(err.message, strlen(err.message)));
    }
}

/* Red when the system's own words or the decision to retry get lost. */
static void errno_says_why(void **state)
{
    struct wh_error err;

    assert_int_equal(wh_fail_errno(&err, ENOSPC, "E9001", "cannot write %s", "a.csv"), WH_E_IO);
    assert_string_equal(err.message, "cannot write a.csv: No space left on device");
    assert_int_equal(err.native, ENOSPC);
    assert_true(err.retriable);
    wh_ignore(wh_fail_errno(&err, EACCES, "E9001", "cannot open %s", "a.csv"));
    assert_false(err.retriable);
    assert_int_equal(wh_fail_errno(NULL, EACCES, "E9001", "x"), WH_E_IO);
}

static void names(void **state)
{
    assert_string_equal(wh_status_name(WH_OK), "OK");
    assert_string_equal(wh_status_name(WH_HELD_BY), "HELD_BY");
    assert_string_equal(wh_status_name(WH_E_USAGE), "E_USAGE");
    assert_string_equal(wh_status_name(WH_E_BUG), "E_BUG");
    assert_string_equal(wh_status_name(10), "?");
    assert_string_equal(wh_status_name(-14), "?");
    assert_string_equal(wh_status_name(INT32_MIN), "?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table_is_complete),
        cmocka_unit_test(fail_fills_all),
        cmocka_unit_test(cut_at_character),
        cmocka_unit_test(errno_says_why),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
