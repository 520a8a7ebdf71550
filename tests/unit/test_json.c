/* SPDX-License-Identifier: Apache-2.0 */
/* JSON rows without I/O. Each test fails if its sentence stops being true. */
#include "test.h"

#include "core/buf.h"
#include "data/view.h"
#include "../lib/read_rows.h"

enum {
    COLUMNS_MAX = 12
};

/* ---- reading a text ---------------------------------------------------------------------------
 */

struct reading {
    struct wh_json_config cfg;
    struct ArrowSchema schema;
    bool places[COLUMNS_MAX];
    struct wh_buf rows, rejects;
    struct wh_error err;
    size_t step; /* bytes given at once; 0 = all */
    int status;
    int64_t end;
};

/* "a int64, b.c text?": names and types; a ? behind the type: guessed; names with . or / are
 * places.
 */
static void columns(struct reading *r, const char *text)
{
    static const char *const guessed[] = {WH_META_GUESSED, "1", NULL};
    char names[COLUMNS_MAX][64], types[COLUMNS_MAX][64];
    int n = 0;
    for (const char *p = text; *p; n++) {
        size_t k = strcspn(p, " ");
        snprintf(names[n], 64, "%.*s", (int)k, p);
        p += k + 1;
        k = strcspn(p, ";");
        snprintf(types[n], 64, "%.*s", (int)k, p);
        p += k + (p[k] == ';');
        p += *p == ' ';
    }
    assert_ok(wh_schema_init(&r->schema, n));
    for (int i = 0; i < n; i++) {
        struct wh_type t;
        size_t k = strlen(types[i]);
        bool guess = types[i][k - 1] == '?';
        types[i][k - guess] = 0;
        assert_true(wh_type_parse(types[i], &t));
        r->places[i] = strpbrk(names[i], "./") != NULL;
        assert_ok(wh_schema_set(&r->schema, i, names[i], &t, guess ? guessed : NULL));
    }
}

static wh_status on_reject(void *arg, const struct wh_text_reject *j)
{
    struct reading *r = arg;
    return wh_buf_printf(&r->rejects, "%s %lld@%lld c%d %s <%.*s>\n", j->code, (long long)j->line,
                         (long long)j->offset, j->column, j->text,
                         (int)(j->raw.n < 60 ? j->raw.n : 60), (const char *)j->raw.p);
}

static void show(void *arg, struct wh_batch *b)
{
    struct reading *r = arg;
    struct wh_view v[COLUMNS_MAX];
    assert_ok(wh_views_init(&r->schema, &b->rows, v, &r->err));
    for (int64_t i = 0; i < b->n_rows; i++)
        for (int64_t c = 0; c < r->schema.n_children; c++) {
            if (wh_view_null(&v[c], i))
                assert_ok(wh_buf_adds(&r->rows, "NULL"));
            else
                assert_ok(wh_view_text(&v[c], i, &r->rows));
            assert_ok(wh_buf_addc(&r->rows, c + 1 < r->schema.n_children ? '|' : '\n'));
        }
    wh_batch_release(b);
}

static void begin(struct reading *r, enum wh_json_layout layout, const char *cols)
{
    *r = (struct reading){.rows = WH_BUF(1 << 28), .rejects = WH_BUF(1 << 24)};
    r->cfg = (struct wh_json_config){
        .layout = layout, .line = 1, .stop_at = -1, .max_rows = -1, .reject = on_reject};
    columns(r, cols);
}

static void run(struct reading *r, const char *text, size_t n)
{
    struct wh_text_rows rows = {NULL, NULL};
    r->cfg.schema = &r->schema;
    r->cfg.places = r->places;
    r->cfg.arg = r;
    r->status = wh_json_reader_new(&r->cfg, &rows.json, &r->err);
    if (r->status != WH_OK)
        return;
    r->status = read_rows(&rows, text, n, (size_t)r->cfg.offset, r->step ? r->step : SIZE_MAX, show,
                          r, &r->err);
    r->end = wh_json_offset(rows.json);
    wh_text_rows_free(&rows);
}

static const char *got(struct wh_buf *b)
{
    return b->p ? b->p : "";
}

static void done(struct reading *r)
{
    wh_schema_release(&r->schema);
    wh_buf_free(&r->rows);
    wh_buf_free(&r->rejects);
}

static void expect(enum wh_json_layout layout, const char *cols, const char *text, const char *rows,
                   const char *rejects)
{
    for (size_t step = 0; step < 9; step += 1 + step) {
        struct reading r;
        begin(&r, layout, cols);
        r.step = step;
        r.cfg.buffer = step ? 64 : 0;
        run(&r, text, strlen(text));
        if (r.status != WH_END)
            fail_msg("%s: %s %s", text, r.err.code, r.err.message);
        assert_string_equal(got(&r.rows), rows);
        assert_string_equal(got(&r.rejects), rejects);
        assert_int_equal(r.end, strlen(text));
        done(&r);
    }
}

/* ---- rows -------------------------------------------------------------------------------------
 */

/* Fails if keys in another order, missing keys, blanks, line ends or empty lines change a row. */
static void test_lines(void **state)
{
    expect(WH_JSON_LINES, "a int64; b text",
           "{\"a\":1,\"b\":\"x\"}\n"
           "{\"a\":  7,\"b\": \t\"x\"}\n" /* not blank for blank as before */
           " { \"b\" : \"y\" , \"a\" : 2 } \r\n"
           "\n  \n"
           "{\"b\":null}\n"
           "{}\n"
           "{\"c\":{\"a\":[1,{}]},\"a\":3,\"d\":[]}",
           "1|x\n7|x\n2|y\nNULL|NULL\nNULL|NULL\n3|NULL\n", "");
}

/* Fails if a place is read from elsewhere, or a lost place is not NULL. */
static void test_places(void **state)
{
    expect(WH_JSON_LINES, "d.x int64; /d/y/1 text; d.y json; /a~1b/~0 int64; /e/0/f bool",
           "{\"d\":{\"x\":1,\"y\":[0,\"one\",2]},\"a/b\":{\"~\":7},\"e\":[{\"f\":true}]}\n"
           "{\"d\":{\"y\":{\"1\":\"key\"}},\"e\":[]}\n"
           "{\"d\":[1],\"a/b\":5,\"e\":{\"0\":{\"f\":false}}}\n"
           "{\"d\":null}\n",
           "1|one|[0,\"one\",2]|7|true\n"
           "NULL|key|{\"1\":\"key\"}|NULL|NULL\n"
           "NULL|NULL|NULL|NULL|false\n"
           "NULL|NULL|NULL|NULL|NULL\n",
           "");
}

/* Fails if digits are lost on the way, or JSON text is not the text that stood there. */
static void test_numbers(void **state)
{
    expect(WH_JSON_LINES, "i int64; u uint64; f double; d decimal(38,3); t decimal; j json",
           "{\"i\":-9223372036854775808,\"u\":18446744073709551615,\"f\":1e-7,\"d\":0.125,"
           "\"t\":123456789012345678901234567890.000,\"j\":1.50}\n"
           "{\"i\":9007199254740993,\"u\":0,\"f\":-0.0,\"d\":-12345678901234567890123456789012345,"
           "\"t\":1e400,\"j\":{\"b\" : [ 1 , 2.0 ]}}\n"
           "{\"i\":1.0,\"u\":1e3,\"f\":123456789012345.6,\"d\":1e3,\"t\":0,\"j\":\"\\ud800\"}\n"
           "{\"i\":\"7\",\"u\":\"8\",\"f\":\"nan\",\"d\":\"1.5\",\"t\":\"NaN\",\"j\":false}\n"
           "{\"f\":0.1}\n{\"f\":3}\n{\"f\":999999999999999}\n{\"f\":1.7976931348623157e308}\n",
           "-9223372036854775808|18446744073709551615|1e-07|0.125|123456789012345678901234567890."
           "000|1.50\n"
           "9007199254740993|0|-0.0|-12345678901234567890123456789012345.000|1e400|{\"b\" : [ 1 , "
           "2.0 ]}\n"
           "1|1000|123456789012345.6|1000.000|0|\"\\ud800\"\n"
           "7|8|nan|1.500|NaN|false\n"
           "NULL|NULL|0.1|NULL|NULL|NULL\nNULL|NULL|3.0|NULL|NULL|NULL\n"
           "NULL|NULL|999999999999999.0|NULL|NULL|NULL\n"
           "NULL|NULL|1.7976931348623157e+308|NULL|NULL|NULL\n",
           "");
}

/* Fails if an escape, a pair of surrogates or other text arrives changed. */
static void test_texts(void **state)
{
    expect(WH_JSON_LINES, "a text; d date; z timestamp(us, utc); b boolean; x bytea; t time",
           "{\"a\":\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83D\\uDE00\xf0\x9f\x98\x80\"}\n"
           "{\"a\":\"\",\"d\":\"2024-02-29\",\"z\":\"2024-02-29T01:02:03+01:00\",\"b\":true,"
           "\"x\":\"\\\\x6869\",\"t\":\"01:02:03\"}\n"
           "{\"a\":12.50}\n{\"a\":[1, 2]}\n{\"a\":true}\n"
           "{\"\\u0061\":\"escaped key\"}\n",
           "\"\\/\b\f\n\r\té😀😀|NULL|NULL|NULL|NULL|NULL\n"
           "|2024-02-29|2024-02-29 00:02:03Z|true|\\x6869|01:02:03\n"
           "12.50|NULL|NULL|NULL|NULL|NULL\n[1, 2]|NULL|NULL|NULL|NULL|NULL\n"
           "true|NULL|NULL|NULL|NULL|NULL\nescaped key|NULL|NULL|NULL|NULL|NULL\n",
           "");
}

/* Fails if a bad row is taken, has another reason or place, or takes its neighbours with it. */
static void test_rejects(void **state)
{
    expect(WH_JSON_LINES, "a int64; b text?; c double?",
           "{\"a\":1}\n"
           "{\"a\":1,\"a\":2}\n"
           "{\"a\":1.5}\n"
           "{\"a\":\"x\"}\n"
           "{\"b\":5}\n"
           "{\"b\":\"\\ud83d\"}\n"
           "{\"c\":9007199254740993}\n"
           "[1]\n"
           "{\"a\":01}\n"
           "{\"a\":1,}\n"
           "{\"a\":1} {\"a\":2}\n"
           "{\"b\":\"\xff\"}\n"
           "{\"a\":{}}\n"
           "{\"b\":\"x\n"
           "{\"d\":nul}\n"
           "{\"a\":2}\n",
           "1|NULL|NULL\n2|NULL|NULL\n",
           "E6014 2@8 c-1 a key stands twice: 2} <{\"a\":1,\"a\":2}>\n"
           "E6006 3@22 c0 column 'a': '1.5' is not a value of type int64 <{\"a\":1.5}>\n"
           "E6006 4@32 c0 column 'a': '\"x\"' is not a value of type int64 <{\"a\":\"x\"}>\n"
           "E6006 5@42 c1 column 'b': '5' is of another kind than the values of the sample, type "
           "utf8 <{\"b\":5}>\n"
           "E6005 6@50 c1 column 'b': '\"\\ud83d\"' holds half of a surrogate pair "
           "<{\"b\":\"\\ud83d\"}>\n"
           "E6006 7@65 c2 column 'c': '9007199254740993' would be changed by type float64 "
           "<{\"c\":9007199254740993}>\n"
           "E6014 8@88 c-1 the row is no object: [1] <[1]>\n"
           "E6014 9@92 c-1 not valid JSON from its byte 6 on <{\"a\":01}>\n"
           "E6014 10@101 c-1 not valid JSON from its byte 7 on <{\"a\":1,}>\n"
           "E6014 11@110 c-1 text behind the object: {\"a\":2} <{\"a\":1} {\"a\":2}>\n"
           "E6005 12@126 c-1 the row is not valid UTF-8 <{\"b\":\"\xff\"}>\n"
           "E6006 13@136 c0 column 'a': '{}' is not a value of type int64 <{\"a\":{}}>\n"
           "E6014 14@145 c-1 not valid JSON from its byte 5 on <{\"b\":\"x>\n"
           "E6014 15@153 c-1 not valid JSON from its byte 5 on <{\"d\":nul}>\n");
}

/* Fails if rows of an array or behind one another are cut elsewhere, or a bad one ends the file. */
static void test_layouts(void **state)
{
    expect(WH_JSON_ARRAY, "a int64; b text", " {\"a\":1,\n \"b\":\"]},{\"} ,\n{\"a\":2}\n]\n ",
           "1|]},{\n2|NULL\n", "");
    expect(WH_JSON_ARRAY, "a int64", "]", "", "");
    expect(WH_JSON_VALUES, "a int64; b json",
           "{\"a\":1}{\"a\":2}\n{\n\"a\"\n:3,\"b\":{\"x\":\n[]}}\r{\"a\":4}\x1a",
           "1|NULL\n2|NULL\n3|{\"x\":\n[]}\n4|NULL\n", "");
    expect(WH_JSON_VALUES, "a int64", "{\"a\":1} 5 {\"a\" 2} {\"a\":3} \"{\" {\"a\":4} x",
           "1\n3\n4\n",
           "E6014 1@8 c-1 the row is no object: 5 <5>\n"
           "E6014 1@10 c-1 not valid JSON from its byte 5 on <{\"a\" 2}>\n"
           "E6014 1@26 c-1 the row is no object: \"{\" <\"{\">\n"
           "E6014 1@38 c-1 not valid JSON from its byte 0 on <x>\n");
}

/* Fails if text that cannot be cut into rows is taken for the end of the file. */
static void test_malformed(void **state)
{
    static const struct {
        enum wh_json_layout layout;
        const char *text, *words;
    } cases[] = {
        {WH_JSON_ARRAY, "{\"a\":1}", "ends before its array is closed"},
        {WH_JSON_ARRAY, "{\"a\":1},", "byte 8: a comma or ]"},
        {WH_JSON_ARRAY, "{\"a\":1},]", "byte 8: a comma or ]"},
        {WH_JSON_ARRAY, "{\"a\":1}{\"a\":2}]", "byte 7: a comma or ]"},
        {WH_JSON_ARRAY, ",{\"a\":1}]", "byte 0: a comma or ]"},
        {WH_JSON_ARRAY, "{\"a\":1}] {}", "text behind the closed array"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t step = 0; step < 2; step++) {
            struct reading r;
            begin(&r, cases[i].layout, "a int64");
            r.step = step;
            run(&r, cases[i].text, strlen(cases[i].text));
            assert_int_equal(r.status, WH_E_DATA);
            assert_string_equal(r.err.code, "E4012");
            if (!strstr(r.err.message, cases[i].words))
                fail_msg("%s: %s", cases[i].text, r.err.message);
            done(&r);
        }
    }
}

/* Fails if a row that never ends is read, lost or told twice, if what stands behind its opening
 * bracket or quote is, or if a reading that goes on from the row before ends otherwise. */
static void test_never_ends(void **state)
{
    static const struct {
        enum wh_json_layout layout;
        const char *text, *rejects;
    } cases[] = {
        {WH_JSON_ARRAY, "{\"a\":1},{\"a\":",
         "E6022 1@8 c-1 the row that begins here never ends: the rest of the file, 5 bytes on 1 "
         "line, "
         "is in this row <{\"a\":>\n"},
        {WH_JSON_ARRAY, "{\"a\":1},\n{\"a\":\"},\n{\"a\":2}]",
         "E6022 2@9 c-1 the row that begins here never ends: the rest of the file, 17 bytes on 2 "
         "lines, is in this row <{\"a\":\"},\n{\"a\":2}]>\n"},
        {WH_JSON_VALUES, "{\"a\":1}\n{\"a\":[\n{\"a\":2}\n",
         "E6022 2@8 c-1 the row that begins here never ends: the rest of the file, 15 bytes on 2 "
         "lines, is in this row <{\"a\":[\n{\"a\":2}\n>\n"},
        {WH_JSON_VALUES, "{\"a\":1}\"",
         "E6022 1@7 c-1 the row that begins here never ends: the rest of the file, 1 bytes on 1 "
         "line, is in this row <\">\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int64_t n = (int64_t)strlen(cases[i].text);
        for (size_t step = 0; step < 5; step++) {
            struct reading r;
            begin(&r, cases[i].layout, "a int64");
            r.step = step;
            run(&r, cases[i].text, (size_t)n);
            assert_int_equal(r.status, WH_END);
            assert_int_equal(r.end, n);
            assert_string_equal(got(&r.rows), "1\n");
            assert_string_equal(got(&r.rejects), cases[i].rejects);
            done(&r);
        }
        struct reading first, rest;
        begin(&first, cases[i].layout, "a int64");
        first.cfg.max_rows = 1;
        run(&first, cases[i].text, (size_t)n);
        begin(&rest, cases[i].layout, "a int64");
        rest.cfg.offset = first.end;
        rest.cfg.inside = true;
        run(&rest, cases[i].text, (size_t)n);
        assert_int_equal(first.rejects.n, 0);
        assert_int_equal(rest.status, WH_END);
        assert_int_equal(rest.rows.n, 0);
        assert_memory_equal(got(&rest.rejects), "E6022 ", 6);
        done(&first);
        done(&rest);
    }
}

/* Fails if rows behind a row that never ends, and whose bytes are not kept, are thought none. */
static void test_never_ends_large(void **state)
{
    for (int layout = WH_JSON_ARRAY; layout <= WH_JSON_VALUES; layout++) {
        for (size_t step = 0; step < 9; step++) {
            static const char text[] = "{\"a\":1} \n {\"b\":[1,2,3,4,5,6,7,8,9 {\"a\":2}]";
            struct wh_buf copy = WH_BUF(1 << 16);
            struct reading r;
            assert_ok(wh_buf_add(&copy, text, sizeof text - 1));
            if (layout == WH_JSON_ARRAY)
                copy.p[7] = ',';
            begin(&r, (enum wh_json_layout)layout, "a int64");
            r.step = step;
            r.cfg.max_row = 20;
            r.cfg.buffer = 16;
            run(&r, copy.p, copy.n);
            assert_int_equal(r.status, WH_E_DATA);
            assert_string_equal(r.err.code, "E4012");
            assert_string_equal(r.err.message,
                                "line 2, byte 10: the row that begins here is larger than "
                                "max_row_bytes and never ends; which rows stand behind it cannot "
                                "be told");
            assert_memory_equal(got(&r.rejects), "E6010 2@10 ", 11);
            done(&r);
            wh_buf_free(&copy);
        }
    }
}

/* Fails if a row above the limit is read, or the next one is not. */
static void test_large(void **state)
{
    for (int layout = 0; layout < 3; layout++) {
        struct wh_buf text = WH_BUF(1 << 24);
        struct reading r;
        const char *comma = layout == WH_JSON_ARRAY ? "," : "";
        assert_ok(wh_buf_printf(&text, "{\"a\":1}%s\n{\"a\":2,\"b\":[\"", comma));
        for (int i = 0; i < 3000; i++)
            assert_ok(wh_buf_adds(&text, "]}\\\"{"));
        assert_ok(
            wh_buf_printf(&text, "\"]}%s\n{\"a\":3}%s", comma, layout == WH_JSON_ARRAY ? "]" : ""));
        begin(&r, (enum wh_json_layout)layout, "a int64; b json");
        r.cfg.max_row = 1000;
        r.cfg.buffer = 128;
        r.step = 77;
        run(&r, text.p, text.n);
        assert_int_equal(r.status, WH_END);
        assert_string_equal(got(&r.rows), "1|NULL\n3|NULL\n");
        assert_memory_equal(got(&r.rejects), "E6010 2@", 8);
        assert_int_equal(r.end, (int64_t)text.n);
        done(&r);
        wh_buf_free(&text);
    }
}

/* Fails if brackets without end overflow something, or a legal depth is refused. */
static void test_depth(void **state)
{
    for (int depth = WH_JSON_DEPTH_MAX - 1; depth <= WH_JSON_DEPTH_MAX + 1; depth++) {
        struct wh_buf text = WH_BUF(1 << 16);
        struct reading r;
        assert_ok(wh_buf_adds(&text, "{\"a\":"));
        for (int i = 0; i < depth; i++)
            assert_ok(wh_buf_addc(&text, '['));
        assert_ok(wh_buf_addc(&text, '1'));
        for (int i = 0; i < depth; i++)
            assert_ok(wh_buf_addc(&text, ']'));
        assert_ok(wh_buf_addc(&text, '}'));
        begin(&r, WH_JSON_LINES, "a json");
        run(&r, text.p, text.n);
        assert_int_equal(r.status, WH_END);
        assert_int_equal(r.rejects.n == 0, depth <= WH_JSON_DEPTH_MAX);
        done(&r);
        wh_buf_free(&text);
    }
}

/* Fails if ranges, or a reading that goes on inside an array, lose or double a row. */
static void test_ranges(void **state)
{
    static const char lines[] = "{\"a\":1}\n\n{\"a\":2}\n{\"a\":3}";
    for (int64_t cut = 0; cut <= (int64_t)sizeof lines - 1; cut++) {
        struct reading r;
        begin(&r, WH_JSON_LINES, "a int64");
        r.cfg.stop_at = cut;
        run(&r, lines, sizeof lines - 1);
        assert_int_equal(r.status, WH_END);
        assert_true(r.end >= cut || r.end == (int64_t)sizeof lines - 1);
        r.cfg.offset = r.end;
        r.cfg.stop_at = -1;
        run(&r, lines, sizeof lines - 1);
        assert_string_equal(got(&r.rows), "1\n2\n3\n");
        done(&r);
    }
    struct reading r;
    begin(&r, WH_JSON_ARRAY, "a int64");
    r.cfg.max_rows = 1;
    run(&r, "{\"a\":1} , {\"a\":2}]", 18);
    assert_int_equal(r.end, 7);
    r.cfg.offset = r.end;
    r.cfg.inside = true;
    r.cfg.max_rows = -1;
    run(&r, "{\"a\":1} , {\"a\":2}]", 18);
    assert_int_equal(r.status, WH_END);
    assert_string_equal(got(&r.rows), "1\n2\n");
    done(&r);
}

/* Fails if a key of no column passes unseen, or one that is known and not wanted is refused. */
static void test_unknown(void **state)
{
    static const char *const known[] = {"b"};
    static const char text[] = "{\"a\":1,\"b\":2}\n{\"a\":3,\"c\":4}\n{\"x\":{\"c\":1},\"a\":5}\n"
                               "{\"b\":{\"c\":1},\"a\":6}";
    struct reading r;
    begin(&r, WH_JSON_LINES, "a int64");
    r.cfg.known = known;
    r.cfg.n_known = 1;
    r.cfg.refuse_unknown = true;
    run(&r, text, sizeof text - 1);
    assert_string_equal(got(&r.rows), "1\n6\n");
    assert_string_equal(got(&r.rejects), "E6014 2@14 c-1 a key that no column was made for: \"c\" "
                                         "<{\"a\":3,\"c\":4}>\n"
                                         "E6014 3@28 c-1 a key that no column was made for: \"x\" "
                                         "<{\"x\":{\"c\":1},\"a\":5}>\n");
    done(&r);
}

/* Fails if many keys, found by a table instead of one by one, are mixed up. */
static void test_many_keys(void **state)
{
    struct reading r;
    struct wh_buf text = WH_BUF(1 << 20);
    for (int row = 0; row < 3; row++) {
        for (int i = 0; i < 2000; i++) {
            int k = row == 1 ? 1999 - i : (i * 7 + row) % 2000;
            assert_ok(wh_buf_printf(&text, "%c\"key number %d\":%d", i ? ',' : '{', k, k));
        }
        assert_ok(wh_buf_adds(&text, "}\n"));
    }
    begin(&r, WH_JSON_LINES, "x int64");
    wh_schema_release(&r.schema);
    assert_ok(wh_schema_init(&r.schema, COLUMNS_MAX));
    for (int i = 0; i < COLUMNS_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "key number %d", i * 160);
        assert_ok(wh_schema_set(&r.schema, i, name, &WH_TYPE(WH_K_I64), NULL));
    }
    run(&r, text.p, text.n);
    assert_int_equal(r.status, WH_END);
    for (int row = 0; row < 3; row++)
        assert_memory_equal(got(&r.rows) + row * 51,
                            "0|160|320|480|640|800|960|1120|1280|1440|1600|1760\n", 51);
    done(&r);
    wh_buf_free(&text);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static void expect_guess(const char *text, const char *place, const char *want)
{
    struct wh_json_ask ask = {false};
    struct wh_json_shape shape;
    struct wh_json_guess *g;
    struct ArrowSchema schema;
    struct wh_error err;
    struct wh_buf out = WH_BUF(1 << 16);
    int64_t keys;
    assert_ok(wh_json_look(&ask, text, strlen(text), true, &shape, &err));
    assert_ok(wh_json_guess_new(&g));
    if (place)
        assert_ok(wh_json_guess_place(g, place, &err));
    assert_ok(wh_json_guess_add(g, shape.layout, text + shape.data_at, strlen(text) - shape.data_at,
                                true, INT64_MAX));
    assert_ok(wh_json_guess_schema(g, &schema, &keys, &err));
    assert_ok(wh_buf_printf(&out, "%s%lld: ", &"lines\0array\0values\0"[shape.layout * 6],
                            (long long)wh_json_guess_rows(g)));
    for (int64_t i = 0; i < schema.n_children; i++) {
        struct wh_type t;
        assert_ok(wh_type_of(schema.children[i], &t, &err));
        assert_ok(wh_buf_printf(&out, "%s%s ", i ? ", " : "", schema.children[i]->name));
        assert_ok(wh_type_print(&t, &out));
    }
    assert_string_equal(out.p, want);
    wh_buf_free(&out);
    wh_schema_release(&schema);
    wh_json_guess_free(g);
}

/* Fails if a type is guessed that would change a value, or a layout is taken for another. */
static void test_guess(void **state)
{
    expect_guess(
        "{\"a\":1,\"b\":1.5,\"c\":\"x\",\"d\":true,\"e\":null,\"f\":{},\"g\":\"2024-01-01\"}\n"
        "{\"a\":2,\"b\":1,\"c\":\"\",\"d\":false,\"f\":[],\"g\":null}\n",
        NULL, "lines2: a int64, b float64, c utf8, d bool, e json, f json, g date");
    expect_guess("[{\"a\":1,\"b\":9007199254740993.5,\"c\":1},{\"a\":\"1\",\"b\":1,\"c\":"
                 "9223372036854775808}]",
                 NULL, "array2: a json, b decimal, c decimal");
    expect_guess("{\"a\":\"2024-01-01T00:00:00Z\",\"b\":\"2024-01-01 00:00:00.123456789\","
                 "\"c\":\"2024-01-01T00:00:00\"}{\"c\":\"2024-01-01T00:00:00Z\"}",
                 NULL, "values2: a timestamp(us, utc), b timestamp(ns), c utf8");
    expect_guess("{\n\"a\": -0, \"b\": \"\\u0032\"}", NULL, "values1: a float64, b utf8");
    expect_guess("{\"a\":{\"b\":[1,{\"c\":2.5}]}}\n{\"a\":{\"b\":[]}}", "a.b.1.c",
                 "lines2: a json, a.b.1.c float64");
    expect_guess("{\"a.b\":1,\"a\":{\"b\":\"x\"}}", "a.b", "lines1: a.b int64, a json");
    expect_guess("{\"a\":1}", "a.b", "lines1: a int64");
    expect_guess("{\"a\":1}\r{\"a\":2}\r", NULL, "values2: a int64");
    expect_guess("\xef\xbb\xbf{\"a\":1}", NULL, "lines1: a int64");
    expect_guess("{\"a\":1}\n{\"a\":tru}\nx\n{\"b\":1}", NULL, "lines2: a int64, b int64");
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Fails if a value is written as something that reads back otherwise. */
static void test_write(void **state)
{
    struct reading r;
    struct wh_builder *b;
    struct wh_json_writer *w;
    struct wh_view v[COLUMNS_MAX];
    struct wh_batch batch;
    struct wh_error err;
    struct wh_buf out = WH_BUF(1 << 20);
    static const char hard[] = "\x01\"\\\x1f long enough for the fast way \n\t\x7f é";
    begin(
        &r, WH_JSON_LINES,
        "i int64; u uint64; f double; d decimal(10,2); s text; j json; b boolean; t date; x bytea");
    assert_ok(wh_builder_new(&r.schema, &b, &err));
    for (int row = 0; row < 2; row++) {
        struct wh_column *c[9];
        for (int i = 0; i < 9; i++)
            c[i] = wh_builder_column(b, i);
        if (row) {
            for (int i = 0; i < 9; i++)
                assert_ok(wh_col_null(c[i]));
            continue;
        }
        assert_ok(wh_col_i64(c[0], INT64_MIN));
        assert_ok(wh_col_u64(c[1], UINT64_MAX));
        assert_ok(wh_col_f64(c[2], 0.1));
        assert_ok(wh_col_dec128(c[3], -1230));
        assert_ok(wh_col_bytes(c[4], hard, sizeof hard - 1));
        assert_ok(wh_col_bytes(c[5], "{\"a\":\n[1]}", 10));
        assert_ok(wh_col_i64(c[6], 1));
        assert_ok(wh_col_i64(c[7], 19782));
        assert_ok(wh_col_bytes(c[8], "hi", 2));
    }
    assert_ok(wh_builder_finish(b, &batch));
    assert_ok(wh_views_init(&r.schema, &batch.rows, v, &err));
    for (int array = 0; array < 2; array++) {
        assert_ok(wh_json_writer_new(&r.schema, array, &w, &err));
        assert_ok(wh_json_write(w, v, NULL, 0, 2, &out, &err));
        wh_json_writer_start(w);
        assert_ok(wh_json_write(w, v, NULL, 1, 1, &out, &err));
        wh_json_writer_free(w);
    }
#define ROW                                                                                        \
    "{\"i\":-9223372036854775808,\"u\":18446744073709551615,\"f\":0.1,\"d\":-12.30,\"s\":"         \
    "\"\\u0001\\\"\\\\\\u001f long enough for the fast way \\n\\t\x7f é\",\"j\":{\"a\": "         \
    "[1]},\"b\":true,\"t\":\"2024-02-29\",\"x\":\"\\\\x6869\"}"
#define NULLS                                                                                      \
    "{\"i\":null,\"u\":null,\"f\":null,\"d\":null,\"s\":null,\"j\":null,\"b\":null,\"t\":null,"    \
    "\"x\":null}"
    assert_ok(wh_buf_addc(&out, 0));
    assert_string_equal(out.p, ROW "\n" NULLS "\n" NULLS "\n" ROW ",\n" NULLS NULLS);
    wh_batch_release(&batch);
    wh_builder_free(b);
    wh_buf_free(&out);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_places),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_rejects),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_never_ends),
        cmocka_unit_test(test_never_ends_large),
        cmocka_unit_test(test_large),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_many_keys),
        cmocka_unit_test(test_guess),
        cmocka_unit_test(test_write),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
