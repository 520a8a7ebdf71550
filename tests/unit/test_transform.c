/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/alloc.h"
#include "data/builder.h"
#include "engine/transform.h"

/* With the words of the failure. */
#define ASSERT_RUN(expr)                                                                           \
    do {                                                                                           \
        int st_ = (expr);                                                                          \
        if (st_ != WH_OK)                                                                          \
            fail_msg("%s: %s", wh_status_name(st_), err.message);                                  \
    } while (0)

enum {
    COLUMNS = 6,
};

struct rig {
    struct wh_stream stream;
    struct wh_flow flow;
    struct wh_plan_column columns[COLUMNS];
    struct wh_transform *tf;
    int64_t bad_row[64];
    char bad_code[64][6];
    int n_bad;
};

static const struct wh_type t_i64 = {.kind = WH_K_I64, .nullable = true},
                            t_i32 = {.kind = WH_K_I32, .nullable = true},
                            t_text = {.kind = WH_K_UTF8, .nullable = true},
                            t_text5 = {.kind = WH_K_UTF8, .nullable = true, .length = 5},
                            t_must = {.kind = WH_K_UTF8};

static wh_status bad(void *arg, const struct ArrowSchema *columns, const struct wh_view *views,
                     const struct wh_cell_reject *r)
{
    struct rig *g = arg;

    assert_true(g->n_bad < 64);
    g->bad_row[g->n_bad] = r->row;
    memcpy(g->bad_code[g->n_bad++], r->code, 6);
    assert_string_equal(columns->children[0]->name, "n"); /* the source's own columns */
    return WH_OK;
}

static void column(struct rig *g, int i, const char *name, int64_t source, const char *value,
                   const struct wh_type *to)
{
    static const struct wh_type *const from[] = {&t_i64, &t_text, &t_text};

    g->columns[i] = (struct wh_plan_column){.name = name,
                                            .source = source,
                                            .value = value,
                                            .from = source < 0 ? t_text : *from[source],
                                            .to = *to};
    if (source >= 0)
        g->columns[i].fit = wh_lattice(from[source], to, &g->columns[i].why);
    assert_ok(wh_schema_set(&g->flow.tgt.accept, i, name, to, NULL));
}

/* Source: n int64, s text, m text. n is converted, s passes by pointer twice and once is checked
 * for its length, m must be there, and a constant stands in every row. */
static void rig_new(struct rig *g)
{
    struct wh_error err;

    memset(g, 0, sizeof *g);
    g->flow.stream = &g->stream;
    g->flow.columns = g->columns;
    g->flow.n_columns = COLUMNS;
    assert_ok(wh_schema_init(&g->flow.source_schema, 3));
    assert_ok(wh_schema_set(&g->flow.source_schema, 0, "n", &t_i64, NULL));
    assert_ok(wh_schema_set(&g->flow.source_schema, 1, "s", &t_text, NULL));
    assert_ok(wh_schema_set(&g->flow.source_schema, 2, "m", &t_text, NULL));
    assert_ok(wh_schema_init(&g->flow.tgt.accept, COLUMNS));
    column(g, 0, "n32", 0, NULL, &t_i32);
    column(g, 1, "s1", 1, NULL, &t_text);
    column(g, 2, "s5", 1, NULL, &t_text5);
    column(g, 3, "must", 2, NULL, &t_must);
    column(g, 4, "k", -1, "42", &t_i64);
    column(g, 5, "s2", 1, NULL, &t_text);
    assert_ok(wh_transform_new(&g->flow, &g->tf, &err));
}

static void rig_free(struct rig *g)
{
    wh_transform_free(g->tf);
    wh_schema_release(&g->flow.source_schema);
    wh_schema_release(&g->flow.tgt.accept);
}

struct row {
    int64_t n;
    const char *s, *m;
};

static struct wh_batch batch(const struct rig *g, const struct row *rows, int64_t n)
{
    struct wh_builder *b;
    struct wh_batch out;
    struct wh_error err;

    assert_ok(wh_builder_new(&g->flow.source_schema, &b, &err));
    for (int64_t i = 0; i < n; i++) {
        assert_ok(wh_col_i64(wh_builder_column(b, 0), rows[i].n));
        for (int k = 1; k < 3; k++) {
            const char *text = k == 1 ? rows[i].s : rows[i].m;
            struct wh_column *c = wh_builder_column(b, k);

            assert_ok(text ? wh_col_bytes(c, text, strlen(text)) : wh_col_null(c));
        }
    }
    assert_ok(wh_builder_finish(b, &out));
    wh_builder_free(b);
    return out;
}

static const char *cell(const struct rig *g, int column, int64_t row)
{
    static struct wh_buf b = {.max = 4096};
    const struct wh_view *v = &wh_transform_views(g->tf)[column];

    if (wh_view_null(v, row))
        return "NULL";
    wh_buf_clear(&b);
    assert_ok(wh_view_text(v, row, &b));
    return b.n ? b.p : "";
}

/* Red when a value lands in another column or row, or a constant is not in every row. */
static void maps(void **state)
{
    const struct row rows[] = {{1, "a", "x"}, {-2147483648LL, "", "y"}, {3, NULL, "z"}};
    struct wh_item *item;
    struct wh_error err;
    struct rig g;

    rig_new(&g);
    for (int again = 0; again < 3; again++) { /* state of one batch must not show in the next */
        struct wh_batch b = batch(&g, rows, 3);

        ASSERT_RUN(wh_transform_run(g.tf, &b, bad, &g, &item, &err));
        assert_null(b.rows.release); /* taken */
        assert_int_equal(item->n, 3);
        assert_null(item->rows);
        assert_string_equal(cell(&g, 0, 1), "-2147483648");
        assert_string_equal(cell(&g, 1, 0), "a");
        assert_string_equal(cell(&g, 1, 1), "");
        assert_string_equal(cell(&g, 1, 2), "NULL");
        assert_string_equal(cell(&g, 5, 0), "a");
        assert_string_equal(cell(&g, 3, 2), "z");
        for (int64_t r = 0; r < 3; r++)
            assert_string_equal(cell(&g, 4, r), "42");
        wh_item_free(item);
    }
    assert_int_equal(g.n_bad, 0);
    rig_free(&g);
}

/* Red when a row that does not fit passes, is told twice, or takes another one with it. */
static void rejects(void **state)
{
    const struct row rows[] = {
        {1, "a", "x"},
        {2147483648LL, "b", "x"},
        {3, "123456", "x"},
        {4, "\xC3\xA4\xC3\xB6\xC3\xBC\xC3\x9F\xC3\xA9", "x"}, /* five characters, ten bytes */
        {5, "c", NULL},
        {2147483648LL, "1234567", NULL},
        {7, "d", "x"}};
    struct wh_batch b;
    struct wh_item *item;
    struct wh_error err;
    struct rig g;

    rig_new(&g);
    b = batch(&g, rows, 7);
    ASSERT_RUN(wh_transform_run(g.tf, &b, bad, &g, &item, &err));
    assert_int_equal(item->n_read, 7);
    assert_int_equal(item->n, 3);
    assert_int_equal(item->rows[0], 0);
    assert_int_equal(item->rows[1], 3);
    assert_int_equal(item->rows[2], 6);
    assert_int_equal(g.n_bad, 4); /* each row once, whatever is wrong with it */
    assert_int_equal(g.bad_row[0], 1);
    assert_string_equal(g.bad_code[0], "E6003");
    assert_int_equal(g.bad_row[1], 2);
    assert_string_equal(g.bad_code[1], "E6004");
    assert_int_equal(g.bad_row[2], 4);
    assert_string_equal(g.bad_code[2], "E6002");
    assert_int_equal(g.bad_row[3], 5);
    wh_item_free(item);
    rig_free(&g);
}

static wh_status count_bad(void *arg, const struct ArrowSchema *columns,
                           const struct wh_view *views, const struct wh_cell_reject *r)
{
    int64_t *n = arg;

    assert_string_equal(r->code, "E6003");
    assert_true(wh_view_i64(&views[0], r->row) == 1LL << 40);
    ++*n;
    return WH_OK;
}

static wh_status stop_at_once(void *arg, const struct ArrowSchema *columns,
                              const struct wh_view *views, const struct wh_cell_reject *r)
{
    return WH_E_LIMIT;
}

/* Red when more rows are bad than there was room for at first, and some of them pass. */
static void more_than_room(void **state)
{
    static struct row rows[5000];
    struct wh_batch b;
    struct wh_item *item;
    struct wh_error err;
    struct rig g;
    int64_t n = 0;

    rig_new(&g);
    for (int64_t i = 0; i < 5000; i++)
        rows[i] = (struct row){i % 100 ? 1LL << 40 : i, "s", "m"};
    b = batch(&g, rows, 5000);
    ASSERT_RUN(wh_transform_run(g.tf, &b, count_bad, &n, &item, &err));
    assert_int_equal(n, 4950);
    assert_int_equal(item->n, 50);
    for (int64_t i = 0; i < 50; i++)
        assert_int_equal(item->rows[i], i * 100);
    wh_item_free(item);
    /* A limit ends the batch, and nothing leaks (the sanitizers tell). */
    b = batch(&g, rows, 5000);
    assert_int_equal(wh_transform_run(g.tf, &b, stop_at_once, NULL, &item, &err), WH_E_LIMIT);
    rig_free(&g);
}

/* Red when a row above max_row_bytes passes, or an ordinary one is refused. */
static void large_rows(void **state)
{
    char *large = wh_calloc(1, 3001);
    struct row rows[] = {{1, "a", "x"}, {2, "b", large}, {3, "c", "z"}};
    struct wh_batch b;
    struct wh_item *item;
    struct wh_error err;
    struct rig g;

    memset(large, 'L', 3000);
    rig_new(&g);
    g.stream.max_row_bytes = 2000;
    wh_transform_free(g.tf);
    assert_ok(wh_transform_new(&g.flow, &g.tf, &err));
    b = batch(&g, rows, 3);
    ASSERT_RUN(wh_transform_run(g.tf, &b, bad, &g, &item, &err));
    assert_int_equal(item->n, 2);
    assert_int_equal(g.n_bad, 1);
    assert_int_equal(g.bad_row[0], 1);
    assert_string_equal(g.bad_code[0], "E6010");
    wh_item_free(item);
    rig_free(&g);
    wh_free(large);
}

/* Red when a constant that does not convert passes as something else. */
static void bad_constant(void **state)
{
    const struct row rows[] = {{1, "a", "x"}};
    struct wh_batch b;
    struct wh_item *item;
    struct wh_error err;
    struct rig g;

    rig_new(&g);
    g.columns[4].value = "forty-two";
    b = batch(&g, rows, 1);
    assert_int_equal(wh_transform_run(g.tf, &b, bad, &g, &item, &err), WH_E_TYPE);
    assert_non_null(strstr(err.message, "forty-two"));
    rig_free(&g);
}

/* Red when a source that changed its shape is read as if it had not. */
static void schema_drift(void **state)
{
    struct ArrowSchema a, b;
    struct wh_error err;

    assert_ok(wh_schema_init(&a, 2));
    assert_ok(wh_schema_set(&a, 0, "x", &t_i64, NULL));
    assert_ok(wh_schema_set(&a, 1, "y", &t_text, NULL));
    assert_ok(wh_schema_copy(&a, &b));
    assert_ok(wh_schema_same(&a, &b, &err));
    wh_schema_release(&b);
    assert_ok(wh_schema_init(&b, 2));
    assert_ok(wh_schema_set(&b, 0, "x", &t_i64, NULL));
    assert_ok(wh_schema_set(&b, 1, "z", &t_text, NULL));
    assert_int_equal(wh_schema_same(&a, &b, &err), WH_E_TYPE);
    assert_string_equal(err.code, "E3006");
    wh_schema_release(&b);
    assert_ok(wh_schema_init(&b, 2));
    assert_ok(wh_schema_set(&b, 0, "x", &t_i32, NULL));
    assert_ok(wh_schema_set(&b, 1, "y", &t_text, NULL));
    assert_int_equal(wh_schema_same(&a, &b, &err), WH_E_TYPE);
    wh_schema_release(&a);
    wh_schema_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps),           cmocka_unit_test(rejects),
        cmocka_unit_test(more_than_room), cmocka_unit_test(large_rows),
        cmocka_unit_test(bad_constant),   cmocka_unit_test(schema_drift),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
