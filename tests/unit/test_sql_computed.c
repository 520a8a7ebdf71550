/* SPDX-License-Identifier: Apache-2.0 */
/* What an expression calls, and whether it says itself that its value is another one next time. */
#include "sqlite_side.h"

#include "sql.h"

/* Fails if a function is overlooked, a word in a text, comment or quoted name is taken for one, or
 * what asks the clock, the session or other rows is not noticed. */
static void calls(void **state)
{
    static const struct {
        const char *sql, *calls;
        bool varies;
    } table[] = {
        {"a * 2", "", false},
        {"Upper(b) || lower ( c )", "upper,lower", false},
        {"f/**/(a)", "f", false},
        {"f -- x(\n (a)", "f", false},
        {"'random()' || \"now\"", "", false},
        {"'it''s f(' || g(1)", "g", false},
        {"e'\\'f(' || g(1)", "g", false},
        {"\"f\"(1)", "", true},
        {"$$ f( $$ || $q$ g( $q$ || h(1)", "h", false},
        {"cast(a as decimal(10,2))", "cast,decimal", false},
        {"a in (1, 2)", "in", false},
        {"(select max(x) from t)", "max", true},
        {"(SELECT 1)", "", true},
        {"t.user", "", false},
        {"t . user", "", false},
        {"current_user", "", true},
        {"Current_Timestamp", "", true},
        {"CTID", "", true},
        {"'now'::timestamptz", "", true},
        {"date('  Today 12:00')", "date", true},
        {"'snow' || 'known'", "", false},
        {"$$now$$::date", "", true},
        {"current_date_of", "", false},
        {"schema.f(1)", "f", false},
        {"/* now() */ 1 -- random()", "", false},
        {"'open", "", false},
        {"$open", "", false},
        {"", "", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
        bool varies;

        assert_int_equal(sql_computed_calls(table[i].sql, &b, &varies), WH_OK);
        if (strcmp(b.p ? b.p : "", table[i].calls) != 0 || varies != table[i].varies)
            fail_msg("%s: '%s', %d", table[i].sql, b.p ? b.p : "", varies);
    }
}

/* Fails if a computed column gets a name that the object has, in whatever case. */
static void names(void **state)
{
    static const char *const has[] = {"a", "B", "a (2)"};
    static const char *const table[][2] = {
        {"c", "c"}, {"a", "a (3)"}, {"A", "A (3)"}, {"b", "b (2)"}};
    struct wh_arena *arena = wh_arena_new(1 << 16);

    (void)state;
    assert_non_null(arena);
    for (size_t i = 0; i < sizeof table / sizeof *table; i++)
        assert_string_equal(sql_computed_name(arena, SQL_NAMES(has, 3), table[i][0]), table[i][1]);
    wh_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(calls), cmocka_unit_test(names)};

    return cmocka_run_group_tests(tests, NULL, NULL);
}
