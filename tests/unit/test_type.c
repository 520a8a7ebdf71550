/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "data/type.h"

static const char *words_of(const struct ArrowSchema *field, struct wh_buf *b)
{
    struct wh_type t;

    wh_buf_clear(b);
    if (wh_type_of(field, &t, NULL) != WH_OK || wh_type_print(&t, b) != WH_OK)
        return "?";
    return b->p;
}

/* What people write, the Arrow format it becomes, and how it is printed. */
static const struct {
    const char *text, *format, *printed;
} known[] = {
    {"null", "n", "null"},
    {"Boolean", "b", "bool"},
    {"tinyint", "c", "int8"},
    {"uint16", "S", "uint16"},
    {"INTEGER", "i", "int32"},
    {"bigint", "l", "int64"},
    {"uint64", "L", "uint64"},
    {"real", "f", "float32"},
    {"double  precision", "g", "float64"},
    {"decimal(18, 2)", "d:18,2", "decimal(18,2)"},
    {"numeric(38)", "d:38,0", "decimal(38,0)"},
    {"numeric(39,1)", "d:39,1,256", "decimal(39,1)"},
    {"decimal(10,-3)", "d:10,-3", "decimal(10,-3)"},
    {"decimal256(10,2)", "d:10,2,256", "decimal256(10,2)"},
    {"numeric", "u", "decimal"},
    {"varchar(20)", "u", "utf8(20)"},
    {"character varying", "u", "utf8"},
    {"text", "u", "utf8"},
    {"json", "u", "json"},
    {"bytea", "z", "binary"},
    {"binary(16)", "z", "binary(16)"},
    {"fixed(4)", "w:4", "fixed(4)"},
    {"uuid", "w:16", "uuid"},
    {"date", "tdD", "date"},
    {"time", "ttu", "time(us)"},
    {"time(9)", "ttn", "time(ns)"},
    {"time(3)", "ttu", "time(us)"},
    {"timestamp", "tsu:", "timestamp(us)"},
    {"timestamp(3)", "tsm:", "timestamp(ms)"},
    {"timestamp(0) with time zone", "tss:UTC", "timestamp(s, utc)"},
    {"timestamp without time zone", "tsu:", "timestamp(us)"},
    {"timestamptz", "tsu:UTC", "timestamp(us, utc)"},
    {"timestamp(ns,UTC)", "tsn:UTC", "timestamp(ns, utc)"},
    {"duration(ms)", "tDm", "duration(ms)"},
    {"interval", "tin", "interval"},
    {"int16 year", "s", "int16 year"},
    {"binary bit", "z", "binary bit"},
    {"list<list<int32>>", "+l", "list<list<int32>>"},
    {"struct<>", "+s", "struct<>"},
    {"struct<a:int, \"b \"\" c\": varchar(3)>", "+s", "struct<a: int32, \"b \"\" c\": utf8(3)>"},
    {"map<utf8,decimal(5,2)>", "+m", "map<utf8, decimal(5,2)>"},
    {"dictionary<utf8>", "i", "dictionary<utf8>"},
    {"list<json> enum", "+l", "list<json> enum"},
};

/* Red when a word is read as another type, or what is printed is not read as the same type. */
static void words(void **state)
{
    struct wh_buf b = WH_BUF(4096);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct ArrowSchema f = {0}, again = {0};
        struct wh_type x, y;

        assert_ok(wh_field_parse(known[i].text, "c", &f, NULL));
        assert_string_equal(f.format, known[i].format);
        assert_string_equal(words_of(&f, &b), known[i].printed);
        assert_ok(wh_field_parse(known[i].printed, "d", &again, NULL));
        assert_ok(wh_type_of(&f, &x, NULL));
        assert_ok(wh_type_of(&again, &y, NULL));
        assert_true(wh_type_equal(&x, &y));
        assert_true(x.nullable);
        if (x.kind < WH_K_LIST) {
            assert_true(wh_type_parse(known[i].text, &y));
            assert_true(wh_type_equal(&x, &y));
        }
        wh_schema_release(&f);
        assert_null(f.release);
        wh_schema_release(&again);
    }
    wh_buf_free(&b);
}

/* Red when nonsense is taken for a type. */
static void no_types(void **state)
{
    static const char *const bad[] = {"",
                                      "int33",
                                      "intt",
                                      "int 32",
                                      "decimal(0,0)",
                                      "decimal(77,0)",
                                      "decimal(2,77)",
                                      "decimal(38,-39)",
                                      "decimal(",
                                      "decimal(5",
                                      "decimal(5,)",
                                      "utf8(0)",
                                      "utf8(-1)",
                                      "utf8(x)",
                                      "fixed",
                                      "fixed(0)",
                                      "time(utc)",
                                      "time(10)",
                                      "timestamp(us, pst)",
                                      "date(3)",
                                      "list<>",
                                      "list<int32",
                                      "list<int32, int32>",
                                      "map<utf8>",
                                      "map<utf8, int32, int32>",
                                      "struct<int32>",
                                      "struct<a: >",
                                      "struct<\"a: int32>",
                                      "dictionary<int32>",
                                      "json json",
                                      "int32 extra",
                                      "uuid year"};
    struct ArrowSchema f = {0};
    struct wh_error err;
    struct wh_type t;
    char deep[400] = "";

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (wh_field_parse(bad[i], "c", &f, &err) == WH_OK)
            fail_msg("'%s' was read as a type", bad[i]);
        assert_string_equal(err.code, "E3017");
        assert_null(f.release);
        assert_false(wh_type_parse(bad[i], &t));
    }
    for (int i = 0; i < 60; i++)
        memcpy(deep + 5 * i, "list<", 6);
    assert_int_equal(wh_field_parse(deep, "c", &f, &err), WH_E_TYPE);
}

/* Red when an Arrow type that is not carried is taken for one that is. */
static void foreign_formats(void **state)
{
    static const char *const bad[] = {
        "U",   "Z",    "e",     "tdm", "tts", "ttm",   "tiM",      "tiD",
        "+L",  "+w:2", "+ud:0", "vu",  "d:5", "d:0,0", "d:5,2,32", "d:39,0",
        "w:0", "w:",   "tsx:",  "ts",  "",    "xx",    "d:5,2x",   "+vl"};
    struct ArrowSchema f = {0};
    struct wh_error err;
    struct wh_type t;
    const char *format;

    assert_ok(wh_field_parse("int32", "price", &f, NULL));
    format = f.format;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        f.format = bad[i];
        if (wh_type_of(&f, &t, &err) == WH_OK)
            fail_msg("format '%s' was read", bad[i]);
        assert_string_equal(err.code, "E3015");
        assert_non_null(strstr(err.message, "price"));
    }
    f.format = "tsu:Asia/Shanghai";
    assert_ok(wh_type_of(&f, &t, NULL));
    assert_true(t.zoned && t.unit == WH_MICRO);
    f.format = format;
    wh_schema_release(&f);
}

/* Red when metadata is lost, doubled, or read beyond its end. */
static void metadata(void **state)
{
    const char *const meta[] = {WH_META_KEY, "1", WH_META_COMMENT, "", "absent", NULL, NULL};
    struct wh_type t = {.kind = WH_K_UTF8, .length = 20, .logical = WH_L_ENUM};
    struct ArrowSchema s = {0};
    struct wh_str v;

    assert_ok(wh_field_init(&s, "c", &t, meta));
    assert_int_equal(s.flags, 0);
    assert_non_null(wh_meta_get(&s, WH_META_KEY, &v));
    assert_true(wh_str_eqs(v, "1"));
    assert_non_null(wh_meta_get(&s, WH_META_COMMENT, &v));
    assert_int_equal(v.n, 0);
    assert_non_null(wh_meta_get(&s, WH_META_LENGTH, &v));
    assert_true(wh_str_eqs(v, "20"));
    assert_null(wh_meta_get(&s, "absent", &v));
    assert_ok(wh_meta_set(&s, WH_META_KEY, "22"));
    assert_non_null(wh_meta_get(&s, WH_META_KEY, &v));
    assert_true(wh_str_eqs(v, "22"));
    assert_ok(wh_meta_set(&s, WH_META_KEY, NULL));
    assert_null(wh_meta_get(&s, WH_META_KEY, NULL));
    assert_ok(wh_type_of(&s, &t, NULL));
    assert_int_equal(t.length, 20);
    assert_int_equal(t.logical, WH_L_ENUM);
    wh_schema_release(&s);
}

static void make(struct ArrowSchema *s)
{
    const char *const meta[] = {WH_META_KEY, "1", WH_META_DEFAULT, "nextval('\"a\"\n')", NULL};
    struct ArrowSchema nested = {0};
    struct wh_type t = {.kind = WH_K_I64};

    assert_ok(wh_schema_init(s, 4));
    assert_ok(wh_schema_set(s, 0, "id", &t, meta));
    t = WH_TYPE_TS(WH_MILLI, true);
    assert_ok(wh_schema_set(s, 1, "at \"x\"", &t, NULL));
    assert_ok(
        wh_field_parse("map<utf8, list<struct<a: json, b: decimal(40,2)>>>", "m", &nested, NULL));
    assert_ok(wh_type_of(&nested, &t, NULL));
    assert_ok(wh_schema_set(s, 2, "m", &t, NULL));
    t = WH_TYPE(WH_K_DICT);
    assert_ok(wh_schema_set(s, 3, "d", &t, NULL));
    assert_int_equal(wh_schema_set(s, 3, "d", &t, NULL), WH_E_BUG);
    wh_schema_release(&nested);
}

/* Red when a stored schema is not the schema that was stored. */
static void json_round_trip(void **state)
{
    struct ArrowSchema s = {0}, copy = {0}, back = {0};
    struct wh_buf b = WH_BUF(1 << 16), again = WH_BUF(1 << 16);
    struct wh_error err = {0};

    make(&s);
    assert_ok(wh_schema_copy(&s, &copy));
    assert_true(wh_schema_equal(&s, &copy));
    assert_ok(wh_schema_to_json(&s, &b));
    if (wh_schema_from_json(b.p, b.n, &back, &err) != WH_OK)
        fail_msg("%s", err.message);
    assert_true(wh_schema_equal(&s, &back));
    assert_ok(wh_schema_to_json(&back, &again));
    assert_string_equal(b.p, again.p);
    assert_int_equal(wh_schema_find(&back, WH_STR("ID"), true), 0);
    assert_int_equal(wh_schema_find(&back, WH_STR("ID"), false), -1);
    assert_ok(wh_field_rename(back.children[0], "key"));
    assert_false(wh_schema_equal(&s, &back));
    assert_int_equal(wh_schema_find(&back, WH_STR("key"), false), 0);
    wh_schema_release(&s);
    wh_schema_release(&copy);
    wh_schema_release(&back);
    wh_buf_free(&b);
    wh_buf_free(&again);
}

/* Red when damaged schema text is taken, or leaves something behind (sanitizer). */
static void bad_json(void **state)
{
    static const char *const bad[] = {
        "",
        "[]",
        "{\"columns\":{}}",
        "{\"columns\":[1]}",
        "{\"columns\":[{\"name\":\"a\"}]}",
        "{\"columns\":[{\"name\":\"a\",\"type\":\"int31\"}]}",
        "{\"columns\":[{\"name\":\"a\",\"type\":\"list\"}]}",
        "{\"columns\":[{\"name\":\"a\",\"type\":\"list\",\"children\":[]}]}",
        "{\"columns\":[{\"name\":\"a\",\"type\":\"map\",\"children\":[{\"type\":\"int8\"}]}]}",
        "{\"columns\":[{\"name\":\"a\",\"type\":\"int32\",\"meta\":{\"k\":[]}}]}",
    };
    struct ArrowSchema s = {0};
    struct wh_error err;

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (wh_schema_from_json(bad[i], strlen(bad[i]), &s, &err) == WH_OK)
            fail_msg("read: %s", bad[i]);
        assert_null(s.release);
    }
}

/* Red when a packed or lent schema is another one, can be changed behind its owner's back, takes as
 * much memory as before, or is freed twice or never (sanitizer). */
static void packed_and_lent(void **state)
{
    struct ArrowSchema s = {0}, copy = {0}, lent = {0};

    make(&s);
    assert_ok(wh_schema_copy(&s, &copy));
    int64_t before = wh_mem_stats().bytes;

    wh_mem_fail_at(1, false);
    assert_int_equal(wh_schema_pack(&copy), WH_E_NOMEM);
    wh_mem_fail_at(0, false);
    assert_ok(wh_schema_pack(&copy));
    int64_t saved = before - wh_mem_stats().bytes;

    /* What is saved is what malloc adds to each block; a sanitizer's adds nothing that is seen. */
    int64_t held = wh_mem_stats().bytes;
    char *one = wh_alloc(1);
    bool exact = wh_mem_stats().bytes - held == 1;

    wh_free(one);
    assert_true(exact || saved > 500);
    assert_ok(wh_schema_pack(&copy));
    assert_true(before - wh_mem_stats().bytes == saved);
    wh_schema_lend(&copy, &lent);
    assert_true(wh_schema_equal(&s, &copy) && wh_schema_equal(&s, &lent));
    assert_int_equal(wh_field_rename(copy.children[0], "other"), WH_E_BUG);
    assert_int_equal(wh_meta_set(&lent, "k", "v"), WH_E_BUG);
    wh_schema_release(&lent);
    assert_null(lent.release);
    assert_true(wh_schema_equal(&s, &copy));
    wh_schema_release(&s);
    wh_schema_release(&copy);
    assert_null(copy.release);
}

/* Red when a failed allocation is not reported, or leaks (sanitizer). */
static void out_of_memory(void **state)
{
    struct ArrowSchema s = {0};
    struct wh_buf b = WH_BUF(1 << 16);
    int failures = 0, passed = 0;

    make(&s);
    assert_ok(wh_schema_to_json(&s, &b));
    for (int64_t nth = 1; nth < 1000; nth++) {
        struct ArrowSchema copy = {0}, back = {0};

        wh_mem_fail_at(nth, false);
        int x = wh_schema_copy(&s, &copy), y = wh_schema_from_json(b.p, b.n, &back, NULL);

        wh_mem_fail_at(0, false);
        assert_true(x == WH_OK || x == WH_E_NOMEM);
        if (x == WH_OK)
            assert_true(wh_schema_equal(&s, &copy));
        if (y == WH_OK)
            assert_true(wh_schema_equal(&s, &back));
        wh_schema_release(&copy);
        wh_schema_release(&back);
        /* What only makes memory smaller may fail unseen. */
        passed = x == WH_OK && y == WH_OK ? passed + 1 : 0;
        if (passed == 20)
            break;
        failures += passed == 0;
    }
    assert_true(failures > 50);
    wh_schema_release(&s);
    wh_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words),           cmocka_unit_test(no_types),
        cmocka_unit_test(foreign_formats), cmocka_unit_test(metadata),
        cmocka_unit_test(json_round_trip), cmocka_unit_test(bad_json),
        cmocka_unit_test(out_of_memory),   cmocka_unit_test(packed_and_lent),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
