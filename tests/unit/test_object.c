/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "fake_connectors.h"

#include "engine/object.h"

#include <fcntl.h>
#include <unistd.h>

static struct wh_arena *arena;

static int set_up(void **state)
{
    arena = wh_arena_new(64 << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    wh_arena_free(arena);
    return 0;
}

/* connections: { shop: {type: postgresql, host: db1, password: pw}, bucket: {type: file, root: /b}
 * }
 */
static const struct wh_node *connections(void)
{
    static const char text[] = "{\"shop\":{\"type\":\"pg\",\"host\":\"db1\",\"password\":\"pw\"},"
                               "\"bucket\":{\"type\":\"file\",\"root\":\"/b\"},"
                               "\"none\":{\"host\":\"x\"}}";
    struct wh_problems p = {.arena = arena};
    struct wh_node *ret = NULL;

    assert_ok(wh_json_parse(arena, "t", text, strlen(text), &ret, &p));
    return ret;
}

static void add_map(const struct wh_node *map, struct wh_buf *out)
{
    for (size_t i = 0; map && i < map->n; i++)
        assert_ok(wh_buf_printf(out, " %s=%s", map->keys[i]->text, map->items[i]->text));
}

/* "connector[ conn=NAME] [options] | part kind ..." or "E1022 message | hint" */
static const char *reading(const char *text, enum wh_side side)
{
    static const char kinds[] = "nqgrl";
    struct wh_buf out = WH_BUF(1 << 16);
    struct wh_problems p = {.arena = arena};
    struct wh_objref ref;

    if (!wh_object_read(arena, text, "arg", side, connections(), &ref, &p)) {
        assert_true(p.errors > 0);
        assert_ok(wh_buf_printf(&out, "%s %s | %s", p.v[0].code, p.v[0].message,
                                p.v[0].hint ? p.v[0].hint : ""));
        goto done;
    }
    assert_int_equal(p.errors, 0);
    assert_ok(wh_buf_adds(&out, ref.connector->name));
    if (ref.conn)
        assert_ok(wh_buf_printf(&out, " conn=%s", ref.conn));
    add_map(ref.connection, &out);
    assert_ok(wh_buf_adds(&out, " ;"));
    add_map(ref.options, &out);
    assert_ok(wh_buf_adds(&out, " |"));
    for (int i = 0; i < ref.name.n; i++)
        assert_ok(wh_buf_printf(&out, " %c<%.*s>%s", kinds[ref.parts[i].kind],
                                WH_STR_FMT(ref.name.part[i]), ref.parts[i].ignore_case ? "i" : ""));
    if (ref.pattern)
        assert_ok(wh_buf_adds(&out, ref.whole ? " whole" : " pattern"));
    if (ref.query_file)
        assert_ok(wh_buf_printf(&out, " @%s", ref.query_file));
done:;
    const char *copy = wh_arena_strdup(arena, out.p);

    wh_buf_free(&out);
    return copy;
}

struct example {
    const char *text, *want;
};

static void check(const struct example *v, size_t n, enum wh_side side)
{
    for (size_t i = 0; i < n; i++) {
        const char *got = reading(v[i].text, side);

        if (strcmp(got, v[i].want) != 0)
            fail_msg("'%s'\n   gives '%s'\nwanted '%s'", v[i].text, got, v[i].want);
    }
}
#define CHECK(table, side) check(table, sizeof table / sizeof table[0], side)

/* Red when a form of INTERFACE 1 is read as something else. */
static void forms(void **state)
{
    static const struct example table[] = {
        {"shop:sales.orders", "postgresql conn=shop host=db1 password=pw ; | n<sales> n<orders>"},
        {"shop:", "postgresql conn=shop host=db1 password=pw ; | whole"},
        {"shop:sales.*", "postgresql conn=shop host=db1 password=pw ; | n<sales> g<*> pattern"},
        {"shop:@report.sql", "postgresql conn=shop host=db1 password=pw ; | @report.sql"},
        {"bucket:in/a.csv", "file conn=bucket root=/b ; | n<in/a.csv>"},
        {"pg://etl:s%40cret@h:6432/db#public.orders",
         "postgresql user=etl password=s@cret host=h port=6432 database=db ; | n<public> "
         "n<orders>"},
        {"postgres://h/db?tls=disable,rows=3&seed=2#t",
         "postgresql host=h database=db sslmode=disable ; rows=3 seed=2 | n<t>"},
        {"postgresql://[::1]:5433/#t", "postgresql host=::1 port=5433 ; | n<t>"},
        {"jdbc:postgresql://h:1/db#t", "postgresql host=h port=1 database=db ; | n<t>"},
        {"postgresql://u:${env:P@W:x}@h/db#t",
         "postgresql user=u password=${env:P@W:x} host=h database=db ; | n<t>"},
        {"sqlite:out.db#planes", "sqlite path=out.db ; | n<planes>"},
        {"sqlite:///abs/out.db", "sqlite path=/abs/out.db ; | whole"},
        {"out.db", "sqlite path=out.db ; | whole"},
        {"a#b/out.SQLITE3#planes", "sqlite path=a#b/out.SQLITE3 ; | n<planes>"},
        {"in/a#1.csv", "file ; | n<in/a#1.csv>"},
        {"in/orders_*.csv.gz", "file ; | n<in/orders_*.csv.gz>"},
        {"in/", "file ; | n<in/>"},
        {"-", "file ; | n<->"},
        {"./a:b", "file ; | n<./a:b>"},
        {"/x/y:z", "file ; | n</x/y:z>"},
        {"C:\\data\\a.csv", "file ; | n<C:\\data\\a.csv>"},
        {"a b:c", "file ; | n<a b:c>"},
        {"gen:lineitem?rows=2e6,seed=1", "gen ; rows=2e6 seed=1 | n<lineitem>"},
        {"gen:lineitem?rows=2e6&seed=1", "gen ; rows=2e6 seed=1 | n<lineitem>"},
        {"file:in/a%20b.csv?format=csv&delimiter=%2C",
         "file ; format=csv delimiter=, | n<in/a b.csv>"},
    };

    CHECK(table, WH_SIDE_FROM);
}

/* Red when dots, quotes, globs or regular expressions of identifiers are cut in the wrong place. */
static void identifiers(void **state)
{
    static const struct example table[] = {
        {"out.db#\"a.b\".c", "sqlite path=out.db ; | q<a.b> n<c>"},
        {"out.db#\"say \"\"hi\"\"\"", "sqlite path=out.db ; | q<say \"hi\">"},
        {"out.db#\"a*\"", "sqlite path=out.db ; | q<a*>"},
        {"out.db#db.s.t", "sqlite path=out.db ; | n<db> n<s> n<t>"},
        {"out.db#/^order_\\d+$/i", "sqlite path=out.db ; | r<^order_\\d+$>i pattern"},
        {"out.db#s./a.b\\/c/", "sqlite path=out.db ; | n<s> r<a.b\\/c> pattern"},
        {"out.db#or[dt]er?", "sqlite path=out.db ; | g<or[dt]er?> pattern"},
        {"out.db#{source.schema}.{source.table|lower}",
         "sqlite path=out.db ; | n<{source.schema}> n<{source.table|lower}>"},
    };

    CHECK(table, WH_SIDE_FROM);
}

/* Red when something that is not understood is taken for a file, or its message loses the hint. */
static void refusals(void **state)
{
    static const struct example table[] = {
        {"", "E1008 the object is empty | "},
        {"postgress://h/db#t", "E1021 unknown scheme 'postgress' | did you mean 'postgres'?"},
        {"shpo:sales.orders",
         "E1022 'shpo' is no connection, no scheme, and no file has this name | did you mean "
         "'shop:'?"},
        {"nowhere:x", "E1022 'nowhere' is no connection, no scheme, and no file has this name | "
                      "write ./nowhere:... for a file of this name"},
        {"none:t", "E1005 connection 'none' has no type | "},
        {"pg://u:p@ss@h/db",
         "E1023 the URL has two '@': which one ends the password is not certain | write %40 for "
         "the @ of a user or password"},
        {"pg://h:99999/db", "E1023 '99999' is no port (1 to 65535) | "},
        {"pg://h:x/db", "E1023 'x' is no port (1 to 65535) | "},
        {"pg://[::1/db", "E1023 the bracket of the address is not closed | write [::1]:5432"},
        {"pg:h/db", "E1023 write postgresql://host/database#object | "},
        {"pg://h/d%2", "E1023 the path has '%' without two hexadecimal digits | write %25 for a "
                       "percent sign"},
        {"pg://h/d%00", "E1023 the path has '%' without two hexadecimal digits of a character | "
                        "write %25 for a percent sign"},
        {"gen:a?rows", "E1023 'rows' after '?' is no KEY=VALUE | write %2C for a comma and %26 for "
                       "& inside a value"},
        {"gen:a?rwos=1", "E1001 unknown setting 'rwos' of gen | did you mean 'rows'?"},
        {"gen:a?rows=1,rows=2", "E1006 'rows' is given twice | remove one of the two"},
        {"pg://h/db?host=g#t", "E1006 'host' is given twice | remove one of the two"},
        {"in/a.xlsx", "E1024 'in/a.xlsx' is a spreadsheet, which cannot be read; save as CSV | "
                      "open it and choose 'save as CSV'"},
        {"out.db#a..b", "E1020 empty name in 'a..b' | put names that hold special characters into "
                        "double quotes"},
        {"out.db#a.b.c.d.e", "E1020 'a.b.c.d.e' has more than 4 parts | put names that hold dots "
                             "into double quotes"},
        {"out.db#\"a", "E1025 the quote in '\"a' is not closed | "},
        {"out.db#/a(/", "E1025 regular expression /a(/: Unmatched ( or \\( | write regular "
                        "expressions between slashes and in single quotes"},
        {"out.db#/a+++++++++++++++++++/",
         "E1025 regular expression /a+++++++++++++++++++/ is too complex, or refers back (\\1) | "
         "write regular expressions between slashes and in single quotes"},
        {"out.db#/((((a{90}){90}){90}){90})/",
         "E1025 regular expression /((((a{90}){90}){90}){90})/ is too complex, or refers back "
         "(\\1) | write regular expressions between slashes and in single quotes"},
        {"out.db#/(a*b?)*/",
         "E1025 regular expression /(a*b?)*/ is too complex, or refers back (\\1) | write regular "
         "expressions between slashes and in single quotes"},
        {"out.db#/(a{0,255}b?){0,30}/",
         "E1025 regular expression /(a{0,255}b?){0,30}/ is too complex, or refers back (\\1) | "
         "write regular expressions between slashes and in single quotes"},
        {"out.db#/(a)\\1/",
         "E1025 regular expression /(a)\\1/ is too complex, or refers back (\\1) | write regular "
         "expressions between slashes and in single quotes"},
        {"out.db#\"a\"b", "E1020 a dot is missing after a quoted part in '\"a\"b' | put names that "
                          "hold special characters into double quotes"},
        {"mysql://h/db#t", "E1004 connector 'mysql' is not part of this build | available: file, "
                           "gen, lake, null, postgresql, sqlite"},
        {"file:x?null_text=NA",
         "E1001 'null_text' is a setting of file destinations, not of sources | "},
    };
    char folder[] = "/tmp/wh_object_XXXXXX";

    setenv("WHERRY_MODULES", "", 1);
    assert_non_null(mkdtemp(folder));
    assert_int_equal(chdir(folder), 0);
    CHECK(table, WH_SIDE_FROM);
    /* The same word as an existing file is that file. */
    int fd = open("nowhere:x", O_CREAT | O_WRONLY, 0600);

    assert_true(fd >= 0);
    close(fd);
    assert_string_equal(reading("nowhere:x", WH_SIDE_FROM), "file ; | n<nowhere:x>");
    assert_string_equal(reading("file:x?null_text=NA", WH_SIDE_TO), "file ; null_text=NA | n<x>");
    unlink("nowhere:x");
    assert_int_equal(chdir("/"), 0);
    rmdir(folder);
}

/* Red when a password can be read in a message or plan. */
static void secrets_are_masked(void **state)
{
    struct wh_problems p = {.arena = arena};
    struct wh_objref ref;

    assert_true(
        wh_objref_parse(arena, "pg://u:hunter2@h/db?password=hunter2#t", "arg", NULL, &ref, &p));
    assert_string_equal(ref.text, "pg://u:***@h/db?password=***#t");
    assert_true(wh_objref_parse(arena, "pg://u:${env:PW}@h/db#t", "arg", NULL, &ref, &p));
    assert_string_equal(ref.text, "pg://u:${env:PW}@h/db#t");
    assert_false(wh_objref_parse(arena, "pg://u:hun@ter2@h/db#t", "arg", NULL, &ref, &p));
    assert_null(strstr(p.v[0].message, "hun"));
    assert_null(strstr(ref.text, "ter2"));
}

/* Red when a pattern matches a part of a name, or case is mixed up. */
static void matching(void **state)
{
    static const struct {
        const char *part, *name;
        bool fits, fits_any_case;
    } table[] = {
        {"orders", "orders", true, true},
        {"orders", "Orders", false, true},
        {"\"orders\"", "Orders", false, false},
        {"order*", "orders_old", true, true},
        {"order", "orders", false, false},
        {"/^order/", "orders", false, false},
        {"/order.*/", "orders", true, true},
        {"/^ORDER_\\d+$/i", "order_17", true, true},
        {"/^ORDER_\\d+$/", "order_17", false, false},
        {"/[\\d_]+/", "1_2", true, true},
        {"/a|ab/", "ab", true, true},
        {"/\\D+/", "ab", true, true},
        {"/\\D+/", "a1", false, false},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wh_problems p = {.arena = arena};
        struct wh_part part;
        struct wh_matcher *m;
        struct wh_error err;

        assert_true(wh_part_parse(arena, wh_str(table[i].part), "t", &part, &p));
        assert_ok(wh_matcher_new(&part, &m, &err));
        if (wh_matcher_match(m, wh_str(table[i].name), false) != table[i].fits ||
            wh_matcher_match(m, wh_str(table[i].name), true) != table[i].fits_any_case)
            fail_msg("%s against %s", table[i].part, table[i].name);
        wh_matcher_free(m);
    }
}

/* Red when the name that a destination takes from a file changes. */
static void source_names(void **state)
{
    static const struct example table[] = {
        {"in/planes.csv.gz", "planes"},
        {"in/orders_*.csv.gz", "orders"},
        {"in/", "in"},
        {"in/**", "in"},
        {"-", "stdin"},
        {"/a/b.c.parquet", "b.c"},
        {".csv", ".csv"},
        {"*.csv", "data"},
        {"in/*.csv", "in"},
        {"./", "data"},
        {"FLIGHTS.CSV", "FLIGHTS"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wh_name name = {.part = {wh_str(table[i].text)}, .n = 1};

        assert_string_equal(wh_source_name(arena, &name), table[i].want);
    }
    struct wh_name dotted = {.part = {WH_STR("s"), WH_STR("a.csv")}, .n = 2};

    assert_string_equal(wh_source_name(arena, &dotted), "a.csv");
}

/* Red when a host list expands to other hosts, or a mistyped one expands to anything. */
static void braces(void **state)
{
    struct wh_list list;

    assert_true(wh_brace_expand(arena, "db{08..11}.x:{1,22}", 100, &list));
    assert_int_equal(list.n, 8);
    assert_string_equal(list.v[0], "db08.x:1");
    assert_string_equal(list.v[3], "db09.x:22");
    assert_string_equal(list.v[7], "db11.x:22");
    assert_true(wh_brace_expand(arena, "plain", 1, &list));
    assert_string_equal(list.v[0], "plain");
    assert_false(wh_brace_expand(arena, "a{1..64}", 63, &list));
    assert_false(wh_brace_expand(arena, "a{1..b}", 63, &list));
    assert_false(wh_brace_expand(arena, "a{9..1}", 63, &list));
    assert_false(wh_brace_expand(arena, "a{1..2", 63, &list));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),    cmocka_unit_test(identifiers),
        cmocka_unit_test(refusals), cmocka_unit_test(secrets_are_masked),
        cmocka_unit_test(matching), cmocka_unit_test(source_names),
        cmocka_unit_test(braces),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
