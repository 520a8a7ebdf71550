/* SPDX-License-Identifier: Apache-2.0 */
/* The machinery of conversions: nulls over block borders, rejects and their words, caps, refusals,
 * copies, memory. What values become is judged by tests/lattice/lattice.py. */
#include "test.h"

#include "data/lattice.h"

#define ROWS 333 /* five blocks and a rest */

struct side {
    struct ArrowSchema schema;
    struct wh_builder *b;
    struct wh_batch batch;
    struct wh_view view;
};

static void open_side(struct side *s, const char *type)
{
    struct ArrowSchema f = {0};
    struct wh_type t;

    *s = (struct side){0};
    assert_ok(wh_schema_init(&s->schema, 1));
    assert_ok(wh_field_parse(type, "price", &f, NULL));
    assert_ok(wh_type_of(&f, &t, NULL));
    assert_ok(wh_schema_set(&s->schema, 0, "price", &t, NULL));
    wh_schema_release(&f);
    assert_ok(wh_builder_new(&s->schema, &s->b, NULL));
}

static void close_side(struct side *s)
{
    wh_builder_free(s->b);
    wh_batch_release(&s->batch);
    wh_schema_release(&s->schema);
}

static void done(struct side *s)
{
    assert_ok(wh_builder_finish(s->b, &s->batch));
    assert_ok(wh_view_init(s->schema.children[0], s->batch.rows.children[0], &s->view, NULL));
}

static int convert(struct side *in, struct side *out, struct wh_cell_reject *rejects, size_t cap,
                   size_t *n, struct wh_error *err)
{
    const struct wh_value_policy strict = {0};
    struct wh_convert *cv = NULL;
    int st = wh_convert_new(in->schema.children[0], out->schema.children[0], &strict, &cv, err);

    if (st == WH_OK)
        st = wh_convert_run(cv, &in->view, 3, wh_builder_column(out->b, 0), rejects, cap, n, err);
    wh_convert_free(cv);
    return st;
}

/* Red when a null or a reject lands in another row, in a fresh column or behind other rows. */
static void nulls_and_rejects(void **state)
{
    struct wh_cell_reject rejects[ROWS];
    size_t n;

    for (int before = 0; before < 70; before += 23) {
        struct side in, out;

        open_side(&in, "int64");
        open_side(&out, "int8");
        struct wh_column *c = wh_builder_column(in.b, 0);

        for (int i = 0; i < ROWS; i++)
            assert_ok(i % 5 == 0 ? wh_put_null(c) : wh_put_i64(c, i % 7 == 0 ? 1000 + i : i % 100));
        done(&in);
        for (int i = 0; i < before; i++)
            assert_ok(wh_col_i64(wh_builder_column(out.b, 0), 1));
        assert_ok(convert(&in, &out, rejects, ROWS, &n, NULL));
        done(&out);
        size_t seen = 0;

        for (int i = 0; i < ROWS; i++) {
            bool null = i % 5 == 0, bad = !null && i % 7 == 0;

            assert_int_equal(wh_view_null(&out.view, before + i), null || bad);
            if (!null && !bad)
                assert_int_equal(wh_view_i64(&out.view, before + i), i % 100);
            if (bad) {
                char want[100];

                snprintf(want, sizeof want, "'%d' does not fit int8", 1000 + i);
                assert_int_equal(rejects[seen].row, i);
                assert_int_equal(rejects[seen].column, 3);
                assert_string_equal(rejects[seen].code, "E6003");
                assert_string_equal(rejects[seen++].text, want);
            }
        }
        assert_int_equal(n, seen);
        close_side(&in);
        close_side(&out);
    }
}

/* Red when rejects beyond the cap are written, or not counted. */
static void reject_cap(void **state)
{
    struct wh_cell_reject rejects[3] = {{.row = -7}, {.row = -7}, {.row = -7}};
    struct side in, out;
    size_t n = 0;

    open_side(&in, "utf8");
    open_side(&out, "date");
    for (int i = 0; i < 100; i++)
        assert_ok(wh_put_bytes(wh_builder_column(in.b, 0), "2023-02-30", 10));
    done(&in);
    assert_ok(convert(&in, &out, rejects, 2, &n, NULL));
    assert_int_equal(n, 100);
    assert_int_equal(rejects[1].row, 1);
    assert_int_equal(rejects[2].row, -7);
    assert_string_equal(rejects[0].code, "E6007");
    close_side(&in);
    close_side(&out);
}

/* Red when a reject's code or words change, its value is not cut, or cut inside a character. */
static void reject_words(void **state)
{
    static const struct {
        const char *from, *to, *value, *code, *text;
    } cases[] = {
        {"utf8", "int32", "12x", "E6006", "'12x' cannot be read as int32"},
        {"utf8", "int32", "3000000000", "E6003", "'3000000000' does not fit int32"},
        {"utf8", "decimal(5,2)", "1.234", "E6013",
         "'1.234' has digits that decimal(5,2) would lose"},
        {"utf8", "utf8(3)", "abcd", "E6004", "'abcd' is too long for utf8(3)"},
        {"utf8", "timestamp(us, utc)", "2024-01-01 00:00:00", "E6021",
         "'2024-01-01 00:00:00' has no time zone, timestamp(us, utc) needs one"},
        {"utf8", "timestamp(us)", "2024-01-01 00:00:00Z", "E6021",
         "'2024-01-01 00:00:00Z' has a time zone that timestamp(us) would lose"},
        {"utf8", "date", "0000-00-00", "E6007",
         "'0000-00-00' is no date or time that exists (date)"},
        {"decimal", "int32", "NaN", "E6012", "'NaN' cannot be held by int32"},
        {"utf8", "bool", "a\nb\x01", "E6006", "'a?b?' cannot be read as bool"},
    };
    struct wh_cell_reject r;
    struct side in, out;
    char wide[3 * 200 + 1];
    size_t n;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_side(&in, cases[i].from);
        open_side(&out, cases[i].to);
        assert_ok(wh_put_bytes(wh_builder_column(in.b, 0), cases[i].value, strlen(cases[i].value)));
        done(&in);
        assert_ok(convert(&in, &out, &r, 1, &n, NULL));
        assert_int_equal(n, 1);
        assert_string_equal(r.code, cases[i].code);
        assert_string_equal(r.text, cases[i].text);
        close_side(&in);
        close_side(&out);
    }
    for (int len = 1; len <= 3; len++) { /* 200 characters of 1 to 3 bytes */
        static const char *const marks[] = {"a", "\xC3\xA9", "\xE6\x97\xA5"};

        for (int k = 0; k < 200; k++)
            memcpy(wide + k * len, marks[len - 1], (size_t)len);
        open_side(&in, "utf8");
        open_side(&out, "int64");
        assert_ok(wh_put_bytes(wh_builder_column(in.b, 0), wide, (size_t)(200 * len)));
        done(&in);
        assert_ok(convert(&in, &out, &r, 1, &n, NULL));
        assert_true(wh_utf8_valid(r.text, strlen(r.text)));
        assert_non_null(strstr(r.text, "...' cannot be read as int64"));
        assert_in_range(wh_utf8_chars(r.text, strlen(r.text)), 50, 80 + 35);
        close_side(&in);
        close_side(&out);
    }
}

/* Red when an impossible or lossy conversion is made, or refused without name, types and way out.
 */
static void refusals(void **state)
{
    static const struct {
        const char *from, *to, *code, *say;
    } cases[] = {
        {"int64", "date", "E3003", "column 'price': int64 to date"},
        {"timestamp(us)", "timestamp(us, utc)", "E3011", "time zone"},
        {"timestamp(us, utc)", "timestamp(us)", "E3004", "zone is lost"},
        {"list<int32>", "list<int64>", "E3003", "list<int32> to list<int64>"},
        {"utf8", "list<utf8>", "E3003", "nothing in common"},
    };
    struct wh_error err;
    struct side in, out;
    size_t n;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        open_side(&in, cases[i].from);
        open_side(&out, cases[i].to);
        assert_int_equal(convert(&in, &out, NULL, 0, &n, &err), WH_E_TYPE);
        assert_string_equal(err.code, cases[i].code);
        if (!strstr(err.message, cases[i].say))
            fail_msg("%s lacks '%s'", err.message, cases[i].say);
        assert_int_equal(strcmp(err.code, "E3004") == 0, strstr(err.hint, "accept_lossy") != NULL);
        close_side(&in);
        close_side(&out);
    }
}

/* Red when what could be passed by pointer is copied, or the other way round. */
static void identity(void **state)
{
    static const struct {
        const char *from, *to;
        struct wh_value_policy policy;
        bool identity;
    } cases[] = {
        {"int64", "int64", {0}, true},
        {"utf8(5)", "utf8(9)", {0}, true},
        {"utf8(9)", "utf8(5)", {0}, false},
        {"json", "utf8", {0}, true},
        {"utf8", "json", {0}, false},
        {"decimal(5,2)", "decimal(18,2)", {0}, true},
        {"decimal(5,2)", "decimal(18,3)", {0}, false},
        {"decimal(5,2)", "decimal(60,2)", {0}, false},
        {"int16 year", "int16", {0}, true},
        {"timestamp(s)", "timestamp(ms)", {0}, false},
        {"list<int32>", "list<int32>", {0}, true},
        {"utf8", "utf8", {.empty_text_null = true}, false},
        {"int64", "int64", {.empty_text_null = true, .nan_null = true}, true},
        {"float64", "float64", {.nan_null = true}, false},
        {"float64", "float64", {.nan_keep = true}, true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ArrowSchema a = {0}, b = {0};
        struct wh_convert *cv;

        assert_ok(wh_field_parse(cases[i].from, "c", &a, NULL));
        assert_ok(wh_field_parse(cases[i].to, "c", &b, NULL));
        assert_ok(wh_convert_new(&a, &b, &cases[i].policy, &cv, NULL));
        if (wh_convert_is_identity(cv) != cases[i].identity)
            fail_msg("%s to %s", cases[i].from, cases[i].to);
        wh_convert_free(cv);
        wh_schema_release(&a);
        wh_schema_release(&b);
    }
}

/* Red when an identity that is run (instead of passed) loses a nested value. */
static void nested_copy(void **state)
{
    struct side in, out, text, text2;
    size_t n;

    open_side(&in, "list<struct<a: int32, b: list<utf8>, d: dictionary<utf8>>>");
    open_side(&out, "list<struct<a: int32, b: list<utf8>, d: dictionary<utf8>>>");
    struct wh_column *c = wh_builder_column(in.b, 0), *s = &c->children[0];

    assert_ok(wh_col_bytes(&s->children[2].children[0], "one", 3));
    assert_ok(wh_col_bytes(&s->children[2].children[0], "two", 3));
    for (int i = 0; i < 100; i++) {
        if (i % 9 == 4) {
            assert_ok(wh_col_null(c));
            continue;
        }
        for (int k = 0; k < i % 3; k++) {
            if ((i + k) % 5 == 0) {
                assert_ok(wh_col_null(s));
                continue;
            }
            assert_ok(wh_col_i64(&s->children[0], i * 10 + k));
            assert_ok(wh_col_bytes(&s->children[1].children[0], "xy", (size_t)(i % 3)));
            assert_ok(wh_col_close(&s->children[1]));
            assert_ok(wh_col_dict(&s->children[2], k & 1));
            assert_ok(wh_col_close(s));
        }
        assert_ok(wh_col_close(c));
    }
    done(&in);
    assert_ok(convert(&in, &out, NULL, 0, &n, NULL));
    assert_ok(convert(&in, &out, NULL, 0, &n, NULL)); /* appended behind itself */
    done(&out);
    open_side(&text, "utf8");
    open_side(&text2, "utf8");
    assert_ok(convert(&in, &text, NULL, 0, &n, NULL));
    assert_ok(convert(&out, &text2, NULL, 0, &n, NULL));
    done(&text);
    done(&text2);
    assert_int_equal(text2.view.n, 200);
    for (int i = 0; i < 200; i++) {
        assert_int_equal(wh_view_null(&text.view, i % 100), wh_view_null(&text2.view, i));
        if (wh_view_null(&text2.view, i))
            continue;
        struct wh_bytes x = wh_view_bytes(&text.view, i % 100), y = wh_view_bytes(&text2.view, i);

        assert_int_equal(x.n, y.n);
        assert_memory_equal(x.p, y.p, x.n);
    }
    struct wh_bytes cell = wh_view_bytes(&text2.view, 102); /* row 2 again */

    assert_int_equal(
        cell.n,
        strlen(
            "[{\"a\":20,\"b\":[\"xy\"],\"d\":\"one\"},{\"a\":21,\"b\":[\"xy\"],\"d\":\"two\"}]"));
    close_side(&in);
    close_side(&out);
    close_side(&text);
    close_side(&text2);
}

/* Red when memory that runs out in the middle of a conversion is not reported, or leaks. */
static void out_of_memory(void **state)
{
    static const char *const pairs[][2] = {
        {"int64", "utf8"}, {"int64", "int8"}, {"int64", "decimal(30,2)"}, {"int64", "int64"}};
    int64_t before = wh_mem_stats().bytes;

    for (size_t p = 0; p < 4; p++) {
        int failures = 0;

        for (int64_t nth = 1; nth < 100; nth++) {
            struct wh_cell_reject rejects[ROWS];
            struct wh_error err = {0};
            struct side in, out;
            size_t n;

            open_side(&in, pairs[p][0]);
            open_side(&out, pairs[p][1]);
            for (int i = 0; i < ROWS; i++)
                assert_ok(i % 5 ? wh_put_i64(wh_builder_column(in.b, 0), i * 1000)
                                : wh_put_null(wh_builder_column(in.b, 0)));
            done(&in);
            wh_mem_fail_at(nth, false);
            int st = convert(&in, &out, rejects, ROWS, &n, &err);

            wh_mem_fail_at(0, false);
            close_side(&in);
            close_side(&out);
            if (st == WH_OK && nth > 12)
                break;
            if (st != WH_OK) {
                assert_int_equal(st, WH_E_NOMEM);
                assert_string_equal(err.code, "E8002");
                failures++;
            }
        }
        assert_true(failures >= 3);
    }
    assert_int_equal(wh_mem_stats().bytes, before);
}

/* Red when repairing changes valid text, or leaves invalid bytes. */
static void repair(void **state)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {"", ""},
        {"abc", "abc"},
        {"\xE6\x97\xA5", "\xE6\x97\xA5"},
        {"a\xFFz", "a\xEF\xBF\xBDz"},
        {"\xE6\x97", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\xED\xA0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
    };
    struct wh_buf b = WH_BUF(100);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        wh_buf_clear(&b);
        assert_ok(wh_utf8_repair(cases[i].in, strlen(cases[i].in), &b));
        assert_string_equal(b.p ? b.p : "", cases[i].out);
    }
    wh_buf_free(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nulls_and_rejects), cmocka_unit_test(reject_cap),
        cmocka_unit_test(reject_words),      cmocka_unit_test(refusals),
        cmocka_unit_test(identity),          cmocka_unit_test(nested_copy),
        cmocka_unit_test(out_of_memory),     cmocka_unit_test(repair),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
