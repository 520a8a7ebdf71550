/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/alloc.h"
#include "data/builder.h"
#include "engine/functions.h"
#include "engine/transform.h"

/* One column of texts through one function; NULL is NULL. */
struct rig {
    struct wh_stream stream;
    struct wh_flow flow;
    struct wh_plan_column columns[3];
    struct wh_made made[3];
    struct wh_fn_call call[4];
    struct wh_fn_chain chain;
    struct wh_transform *tf;
    struct wh_item *item;
    int n_bad;
    char bad[6], why[200];
};

static const struct wh_type t_text = {.kind = WH_K_UTF8, .nullable = true},
                            t_i64 = {.kind = WH_K_I64, .nullable = true};

static wh_status bad(void *arg, const struct ArrowSchema *columns, const struct wh_view *views,
                     const struct wh_cell_reject *r)
{
    struct rig *g = arg;

    memcpy(g->bad, r->code, 6);
    snprintf(g->why, sizeof g->why, "%s", r->text);
    g->n_bad++;
    return WH_OK;
}

static struct wh_fn_call call(const char *name, const void *args)
{
    const struct wh_fn *fn = wh_function_find(name);

    assert_non_null(fn);
    return (struct wh_fn_call){fn, args};
}

/* The source's column 0 through the rig's chain to a column of type `to`. */
static void rig_new(struct rig *g, const struct wh_type *from, const struct wh_type *to)
{
    struct wh_error err;
    struct wh_type t = *from;
    const char *why;

    g->flow.stream = &g->stream;
    g->flow.columns = g->columns;
    g->flow.made = g->made;
    g->flow.n_columns = g->flow.n_made = 1;
    g->made[0] = (struct wh_made){.chain = &g->chain};
    g->columns[0] = (struct wh_plan_column){.name = "out", .source = -1, .made = 1, .to = *to};
    assert_ok(wh_schema_init(&g->flow.source_schema, 1));
    assert_ok(wh_schema_set(&g->flow.source_schema, 0, "in", from, NULL));
    for (g->chain.v = g->call; g->chain.n < 4 && g->call[g->chain.n].fn; g->chain.n++)
        if (!wh_fn_result(&g->call[g->chain.n], &t, &t, &why))
            fail_msg("%s: %s", g->call[g->chain.n].fn->name, why);
    assert_ok(wh_schema_init(&g->flow.made_schema, 1));
    assert_ok(wh_schema_set(&g->flow.made_schema, 0, "out", &t, NULL));
    assert_ok(wh_schema_init(&g->flow.tgt.accept, 1));
    assert_ok(wh_schema_set(&g->flow.tgt.accept, 0, "out", to, NULL));
    g->columns[0].from = t;
    if (wh_transform_new(&g->flow, &g->tf, &err) != WH_OK)
        fail_msg("%s", err.message);
}

static void rig_free(struct rig *g)
{
    wh_item_free(g->item);
    wh_transform_free(g->tf);
    wh_schema_release(&g->flow.source_schema);
    wh_schema_release(&g->flow.made_schema);
    wh_schema_release(&g->flow.tgt.accept);
}

static void run(struct rig *g, struct wh_builder *b)
{
    struct wh_batch batch;
    struct wh_error err;

    assert_ok(wh_builder_finish(b, &batch));
    wh_builder_free(b);
    if (wh_transform_run(g->tf, &batch, bad, g, &g->item, &err) != WH_OK)
        fail_msg("%s", err.message);
}

static const char *cell(const struct rig *g, int column, int64_t row)
{
    static struct wh_buf b = {.max = 1 << 20};
    const struct wh_view *v = &wh_transform_views(g->tf)[column];

    if (wh_view_null(v, row))
        return NULL;
    wh_buf_clear(&b);
    assert_ok(wh_view_text(v, row, &b));
    return b.n ? b.p : "";
}

struct pair {
    const char *in, *out;
};

/* All cells in one batch, so that one cannot borrow from another. */
static void texts(struct wh_fn_call one, const struct pair *pairs, int64_t n)
{
    struct rig g = {.call = {one}};
    struct wh_builder *b;
    struct wh_error err;

    rig_new(&g, &t_text, &t_text);
    assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
    for (int64_t i = 0; i < n; i++) {
        struct wh_column *c = wh_builder_column(b, 0);

        assert_ok(pairs[i].in ? wh_col_bytes(c, pairs[i].in, strlen(pairs[i].in)) : wh_col_null(c));
    }
    run(&g, b);
    assert_int_equal(g.n_bad, 0);
    assert_int_equal(g.item->n, n);
    for (int64_t i = 0; i < n; i++) {
        const char *is = cell(&g, 0, i);

        if (!pairs[i].out != !is || (is && strcmp(is, pairs[i].out) != 0))
            fail_msg("%s of '%s' is '%s', not '%s'", one.fn->name,
                     pairs[i].in ? pairs[i].in : "NULL", is ? is : "NULL",
                     pairs[i].out ? pairs[i].out : "NULL");
    }
    rig_free(&g);
}
#define TEXTS(name, args, ...)                                                                     \
    do {                                                                                           \
        const struct pair p_[] = {__VA_ARGS__};                                                    \
        texts(call(name, args), p_, sizeof p_ / sizeof p_[0]);                                     \
    } while (0)

/* Red when blanks stay or other characters go, an empty text is taken for NULL, or NULL for empty.
 */
static void blanks(void **state)
{
    TEXTS("trim", NULL, {" \t a b\r\n", "a b"}, {"", ""}, {"   ", ""}, {NULL, NULL}, {"ä ", "ä"},
          {"\xE3\x80\x80x", "\xE3\x80\x80x"});
    TEXTS("ltrim", NULL, {"  a ", "a "}, {"", ""}, {NULL, NULL});
    TEXTS("rtrim", NULL, {"  a ", "  a"}, {" ", ""}, {NULL, NULL});
    TEXTS("strip_newlines", NULL, {"a\r\nb\nc\rd", "abcd"}, {"\n", ""}, {NULL, NULL},
          {"日\n本", "日本"});
    TEXTS("empty_to_null", NULL, {"", NULL}, {" ", " "}, {NULL, NULL}, {"x", "x"});
    TEXTS("null_to", &(struct wh_fn_null_to){"-"}, {NULL, "-"}, {"", ""}, {"x", "x"});
    TEXTS("default", &(struct wh_fn_null_to){""}, {NULL, ""}, {"x", "x"});
}

/* Red when a character of several bytes is cut, or counted as several. */
static void characters(void **state)
{
    TEXTS("upper", NULL, {"aZ9é", "AZ9É"}, {"straße", "STRAßE"}, {"жук", "ЖУК"}, {"@[`{", "@[`{"},
          {"", ""}, {NULL, NULL}, {"ⱥ", "Ⱥ"});
    TEXTS("lower", NULL, {"AZ9É", "az9é"}, {"ΣΑ", "σα"}, {"", ""}, {NULL, NULL}, {"Ⱥ", "ⱥ"});
    TEXTS("reverse", NULL, {"abc", "cba"}, {"aé日😀", "😀日éa"}, {"", ""}, {NULL, NULL});
    TEXTS("substr", (&(struct wh_fn_substr){2, 2}), {"a日本x", "日本"}, {"a", ""}, {"", ""},
          {NULL, NULL});
    TEXTS("substr", (&(struct wh_fn_substr){-2, -1}), {"a日本", "日本"}, {"本", "本"}, {"", ""});
    TEXTS("substr", (&(struct wh_fn_substr){-3, 1}), {"a日本x", "日"}, {"ab", "a"});
    TEXTS("substr", (&(struct wh_fn_substr){1, 0}), {"abc", ""});
    TEXTS("mask", (&(struct wh_fn_mask){3, 4, "*"}), {"12345678910", "123****8910"},
          {"1234567", "*******"}, {"12345678", "123*5678"}, {"日本語日本語日本", "日本語*本語日本"},
          {"", ""}, {NULL, NULL});
    TEXTS("mask", (&(struct wh_fn_mask){0, 0, "█"}), {"aé", "██"}, {"", ""});
}

/* Red when a replacement is looked for in what was replaced, or a digest is another one. */
static void others(void **state)
{
    TEXTS("replace", (&(struct wh_fn_replace){"aa", "a"}), {"aaaa", "aa"}, {"aaa", "aa"},
          {"b", "b"}, {"", ""}, {NULL, NULL});
    TEXTS("replace", (&(struct wh_fn_replace){"本", ""}), {"日本本", "日"}, {"本", ""});
    TEXTS("hash", (&(struct wh_fn_hash){WH_FN_SHA256}),
          {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
          {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"}, {NULL, NULL});
    TEXTS("hash", (&(struct wh_fn_hash){WH_FN_MD5}), {"abc", "900150983cd24fb0d6963f7d28e17f72"});
    TEXTS("hash", (&(struct wh_fn_hash){WH_FN_XXH128}), {"", "99aa06d3014798d86001c324468d497f"});
}

/* Red when the functions of a list run in another order, or one sees what another one left. */
static void in_order(void **state)
{
    struct wh_fn_replace dash = {" ", "-"};
    struct rig g = {.call = {call("trim", NULL), call("replace", &dash), call("upper", NULL),
                             call("reverse", NULL)}};
    struct wh_builder *b;
    struct wh_error err;

    rig_new(&g, &t_text, &t_text);
    for (int again = 0; again < 3; again++) {
        assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
        assert_ok(wh_col_bytes(wh_builder_column(b, 0), " a b ", 5));
        assert_ok(wh_col_null(wh_builder_column(b, 0)));
        run(&g, b);
        assert_string_equal(cell(&g, 0, 0), "B-A");
        assert_null(cell(&g, 0, 1));
        wh_item_free(TAKE_PTR(g.item));
    }
    rig_free(&g);
}

/* Red when a date is read or written as another day, or a text that is none passes. */
static void dates(void **state)
{
    struct wh_fn_pattern day = {"dd/MM/yyyy"}, time = {"yyyyMMdd HHmmss.SSS"};
    const struct wh_type date = WH_TYPE(WH_K_DATE32), stamp = WH_TYPE_TS(WH_MICRO, false);
    const char *const in[] = {"29/02/2024", "30/02/2024", "", "2024-02-29", "01/01/0001"};
    struct rig g = {.call = {call("to_date", &day)}}, h = {.call = {call("to_date", &time)}};
    struct wh_builder *b;
    struct wh_error err;

    rig_new(&g, &t_text, &date);
    assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
    for (int i = 0; i < 5; i++)
        assert_ok(wh_col_bytes(wh_builder_column(b, 0), in[i], strlen(in[i])));
    assert_ok(wh_col_null(wh_builder_column(b, 0)));
    run(&g, b);
    assert_int_equal(g.n_bad, 3);
    assert_string_equal(g.bad, "E6006");
    assert_int_equal(g.item->n, 3);
    assert_string_equal(cell(&g, 0, 0), "2024-02-29");
    assert_string_equal(cell(&g, 0, 4), "0001-01-01");
    assert_null(cell(&g, 0, 5));
    rig_free(&g);

    rig_new(&h, &t_text, &stamp);
    assert_ok(wh_builder_new(&h.flow.source_schema, &b, &err));
    assert_ok(wh_col_bytes(wh_builder_column(b, 0), "19691231 235959.250", 19));
    run(&h, b);
    assert_string_equal(cell(&h, 0, 0), "1969-12-31 23:59:59.25");
    rig_free(&h);
}

static void written_dates(void **state)
{
    struct wh_fn_pattern pattern = {"yyyy/MM/dd HH:mm:ss.SSS"};
    static const enum wh_unit_of_time units[] = {WH_SECOND, WH_MILLI, WH_MICRO, WH_NANO};
    static const int64_t per[] = {1, 1000, 1000000, 1000000000};

    for (int i = 0; i < 4; i++) {
        const struct wh_type from = WH_TYPE_TS(units[i], false);
        struct rig g = {.call = {call("format", &pattern)}};
        struct wh_builder *b;
        struct wh_error err;

        rig_new(&g, &from, &t_text);
        assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
        assert_ok(wh_col_i64(wh_builder_column(b, 0), -1 * per[i]));
        assert_ok(wh_col_i64(wh_builder_column(b, 0), 951782400 * per[i] + per[i] / 2));
        assert_ok(wh_col_null(wh_builder_column(b, 0)));
        run(&g, b);
        assert_string_equal(cell(&g, 0, 0), "1969/12/31 23:59:59.000");
        assert_string_equal(cell(&g, 0, 1),
                            i ? "2000/02/29 00:00:00.500" : "2000/02/29 00:00:00.000");
        assert_null(cell(&g, 0, 2));
        rig_free(&g);
    }
}

/* Red when a text that outgrew what a row may have ends the run, or passes. */
static void too_large(void **state)
{
    struct wh_fn_replace grow = {"x", "0123456789"};
    struct rig g = {.call = {call("replace", &grow)}, .stream = {.max_row_bytes = 100}};
    struct wh_builder *b;
    struct wh_error err;

    rig_new(&g, &t_text, &t_text);
    assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
    assert_ok(wh_col_bytes(wh_builder_column(b, 0), "xxxxxxxx", 8));
    assert_ok(wh_col_bytes(wh_builder_column(b, 0), "xxxxxxxxxxxx", 12));
    run(&g, b);
    assert_int_equal(g.n_bad, 1);
    assert_string_equal(g.bad, "E6010");
    assert_int_equal(g.item->n, 1);
    assert_int_equal(g.item->rows[0], 0);
    rig_free(&g);
}

/* Red when a number is taken for a text without being declared as one, or differs as text. */
static void declared_text(void **state)
{
    struct wh_fn_mask mask = {1, 1, "*"};
    struct wh_fn_call one = call("mask", &mask);
    struct rig g = {.stream = {.max_row_bytes = 0}};
    struct wh_type out;
    const char *why = NULL;
    struct wh_builder *b;
    struct wh_error err;

    assert_false(wh_fn_result(&one, &t_i64, &out, &why));
    assert_non_null(strstr(why, "text"));
    g.call[0] = one;
    rig_new(&g, &t_text, &t_text);
    wh_transform_free(g.tf);
    wh_schema_release(&g.flow.source_schema);
    assert_ok(wh_schema_init(&g.flow.source_schema, 1));
    assert_ok(wh_schema_set(&g.flow.source_schema, 0, "in", &t_i64, NULL));
    g.made[0].convert_first = true;
    g.made[0].first = t_text;
    assert_ok(wh_transform_new(&g.flow, &g.tf, &err));
    assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
    assert_ok(wh_col_i64(wh_builder_column(b, 0), -1234));
    assert_ok(wh_col_null(wh_builder_column(b, 0)));
    run(&g, b);
    assert_string_equal(cell(&g, 0, 0), "-***4");
    assert_null(cell(&g, 0, 1));
    rig_free(&g);
}

/* Red when a value of the packed rest is not what the JSON writer gives, or stands under another
 * name, or another column of the batch is touched. */
static void packed(void **state)
{
    static const int64_t members[] = {1, 2, 3, 4, 5};
    const struct wh_type dec = WH_TYPE_DEC(10, 2), bin = WH_TYPE(WH_K_BINARY),
                         json = {.kind = WH_K_UTF8, .nullable = true, .logical = WH_L_JSON},
                         doc = {.kind = WH_K_UTF8, .logical = WH_L_JSON};
    struct rig g = {.flow = {.n_columns = 2, .n_made = 1}};
    struct wh_builder *b;
    struct wh_error err;

    g.flow.stream = &g.stream;
    g.flow.columns = g.columns;
    g.flow.made = g.made;
    g.made[0] = (struct wh_made){.source = -1, .members = members, .n_members = 5};
    g.columns[0] = (struct wh_plan_column){.name = "doc", .source = -1, .made = 1, .to = doc};
    g.columns[1] = (struct wh_plan_column){.name = "id", .source = 0, .from = t_i64, .to = t_i64};
    assert_ok(wh_schema_init(&g.flow.source_schema, 6));
    assert_ok(wh_schema_set(&g.flow.source_schema, 0, "id", &t_i64, NULL));
    assert_ok(wh_schema_set(&g.flow.source_schema, 1, "a \"b\"", &t_text, NULL));
    assert_ok(wh_schema_set(&g.flow.source_schema, 2, "d", &dec, NULL));
    assert_ok(wh_schema_set(&g.flow.source_schema, 3, "b", &bin, NULL));
    assert_ok(wh_schema_set(&g.flow.source_schema, 4, "j", &json, NULL));
    assert_ok(wh_schema_set(&g.flow.source_schema, 5, "n", &t_i64, NULL));
    assert_ok(wh_schema_init(&g.flow.made_schema, 1));
    assert_ok(wh_schema_set(&g.flow.made_schema, 0, "doc", &doc, NULL));
    assert_ok(wh_schema_init(&g.flow.tgt.accept, 2));
    assert_ok(wh_schema_set(&g.flow.tgt.accept, 0, "doc", &doc, NULL));
    assert_ok(wh_schema_set(&g.flow.tgt.accept, 1, "id", &t_i64, NULL));
    assert_ok(wh_transform_new(&g.flow, &g.tf, &err));
    assert_ok(wh_builder_new(&g.flow.source_schema, &b, &err));
    assert_ok(wh_col_i64(wh_builder_column(b, 0), 7));
    assert_ok(wh_col_bytes(wh_builder_column(b, 1), "é\n\"", 4));
    assert_ok(wh_col_dec128(wh_builder_column(b, 2), 123450));
    assert_ok(wh_col_bytes(wh_builder_column(b, 3), "\0\xff", 2));
    assert_ok(wh_col_bytes(wh_builder_column(b, 4), "{\"x\":[1.10]}", 12));
    assert_ok(wh_col_i64(wh_builder_column(b, 5), INT64_MIN));
    assert_ok(wh_col_i64(wh_builder_column(b, 0), 8));
    for (int i = 1; i < 6; i++)
        assert_ok(wh_col_null(wh_builder_column(b, i)));
    run(&g, b);
    assert_int_equal(g.n_bad, 0);
    assert_string_equal(cell(&g, 0, 0),
                        "{\"a \\\"b\\\"\":\"é\\n\\\"\",\"d\":1234.50,\"b\":\"\\\\x00ff\","
                        "\"j\":{\"x\":[1.10]},\"n\":-9223372036854775808}");
    assert_string_equal(cell(&g, 1, 0), "7");
    assert_string_equal(cell(&g, 0, 1),
                        "{\"a \\\"b\\\"\":null,\"d\":null,\"b\":null,\"j\":null,\"n\":null}");
    assert_string_equal(cell(&g, 1, 1), "8");
    rig_free(&g);
}

/* Red when two lists of functions have one text: a resume would take the one for the other. */
static void texts_differ(void **state)
{
    struct wh_fn_replace a = {"a, with=b", "c"}, b = {"a", "b, with=c"};
    struct wh_fn_call calls[] = {call("replace", &a), call("replace", &b)};
    struct wh_buf x = WH_BUF(4096), y = WH_BUF(4096);

    assert_ok(wh_fn_chain_print(&(struct wh_fn_chain){&calls[0], 1}, &x));
    assert_ok(wh_fn_chain_print(&(struct wh_fn_chain){&calls[1], 1}, &y));
    assert_string_not_equal(x.p, y.p);
    assert_string_equal(x.p, "replace(find=\"a, with=b\", with=\"c\")");
    wh_buf_free(&x);
    wh_buf_free(&y);
}

/* Red when a row of the table has no kernel, no help, or defaults that are none. */
static void the_table(void **state)
{
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_buf schema = WH_BUF(1 << 20);
    int n = 0;

    for (const struct wh_fn *f = wh_functions; f->name; f++, n++) {
        assert_non_null(f->run);
        assert_non_null(f->help);
        assert_ptr_equal(wh_function_find(f->name), f);
        if (f->args)
            assert_ok(wh_options_init(f->args, wh_arena_alloc(arena, f->args->size), arena));
        if (f->alone)
            assert_non_null(wh_options_find(f->args, wh_str(f->alone)));
    }
    assert_true(n >= 16);
    assert_null(wh_function_find("tri"));
    assert_ok(wh_fn_schema(&schema));
    wh_buf_free(&schema);
    wh_arena_free(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blanks),    cmocka_unit_test(characters),
        cmocka_unit_test(others),    cmocka_unit_test(in_order),
        cmocka_unit_test(dates),     cmocka_unit_test(written_dates),
        cmocka_unit_test(too_large), cmocka_unit_test(declared_text),
        cmocka_unit_test(packed),    cmocka_unit_test(texts_differ),
        cmocka_unit_test(the_table),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
