/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "engine/runtime.h"

#include <jansson.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/wherry-test-dirty-XXXXXX";

static json_t *line_of(const char *path, int n)
{
    char line[8192];
    FILE *f = fopen(path, "re");
    json_t *j = NULL;

    assert_non_null(f);
    for (int i = 0; i <= n; i++)
        assert_non_null(fgets(line, sizeof line, f));
    fclose(f);
    j = json_loads(line, 0, NULL);
    assert_non_null(j);
    return j;
}

static const char *text(json_t *j, const char *key)
{
    return json_string_value(json_object_get(j, key));
}

/* Red when a row cannot be told from its record: a value, a null, or a byte is missing. */
static void rows_and_raw(void **state)
{
    const struct wh_type id = {.kind = WH_K_I64}, name = {.kind = WH_K_UTF8, .nullable = true};
    struct ArrowSchema schema;
    struct wh_builder *b;
    struct wh_batch batch;
    struct wh_view views[2];
    struct wh_dirty *d;
    struct wh_error err;
    struct stat st;
    char path[128];
    json_t *j;

    assert_ok(wh_schema_init(&schema, 2));
    assert_ok(wh_schema_set(&schema, 0, "id", &id, NULL));
    assert_ok(wh_schema_set(&schema, 1, "na\"me", &name, NULL));
    assert_ok(wh_builder_new(&schema, &b, &err));
    assert_ok(wh_col_i64(wh_builder_column(b, 0), -9007199254740993));
    assert_ok(wh_col_bytes(wh_builder_column(b, 1), "a\n\"\xF0\x9F\x98\x80", 7));
    assert_ok(wh_col_i64(wh_builder_column(b, 0), 2));
    assert_ok(wh_col_null(wh_builder_column(b, 1)));
    assert_ok(wh_builder_finish(b, &batch));
    assert_ok(wh_views_init(&schema, &batch.rows, views, &err));

    assert_ok(wh_dirty_new(dir, &(struct wh_dirty_of){"r-1", 3, 1, 7, 2}, "s", "t", &d, &err));
    snprintf(path, sizeof path, "%s/dirty/r-1/f3.g1.u7.a2.jsonl", dir);
    assert_int_equal(access(path, F_OK), -1); /* made with the first row */
    for (int i = 0; i < 2; i++)
        assert_ok(wh_dirty_add(d,
                               &(struct wh_dirty_row){.position = "part 1, row 5",
                                                      .column = "id",
                                                      .code = "E6003",
                                                      .text = "does not fit",
                                                      .columns = &schema,
                                                      .views = views,
                                                      .row = i},
                               &err));
    assert_ok(wh_dirty_add(d,
                           &(struct wh_dirty_row){.position = "line 9",
                                                  .code = "E6014",
                                                  .text = "x",
                                                  .raw = {"\0\xFF"
                                                          "ab",
                                                          4}},
                           &err));
    assert_ok(wh_dirty_durable(d, &err));
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    j = line_of(path, 0);
    assert_string_equal(text(j, "run"), "r-1");
    assert_string_equal(text(j, "table"), "t");
    assert_int_equal(json_integer_value(json_object_get(j, "unit")), 7);
    assert_int_equal(json_integer_value(json_object_get(j, "attempt")), 2);
    assert_string_equal(text(j, "code"), "E6003");
    assert_string_equal(text(json_object_get(j, "row"), "id"), "-9007199254740993");
    assert_string_equal(text(json_object_get(j, "row"), "na\"me"), "a\n\"\xF0\x9F\x98\x80");
    json_decref(j);
    j = line_of(path, 1);
    assert_true(json_is_null(json_object_get(json_object_get(j, "row"), "na\"me")));
    json_decref(j);
    j = line_of(path, 2);
    assert_string_equal(text(j, "raw"), "AP9hYg==");
    assert_true(json_is_null(json_object_get(j, "column")));
    json_decref(j);
    wh_dirty_close(d, true);
    assert_int_equal(access(path, F_OK), 0);
    /* The archives of the unit's other attempts go when one has won; not those of a table that
     * began anew. */
    wh_dirty_sweep(dir, NULL, &(struct wh_dirty_of){"r-1", 3, 2, 7, 3}, 0);
    assert_int_equal(access(path, F_OK), 0);
    wh_dirty_sweep(dir, NULL, &(struct wh_dirty_of){"r-1", 3, 1, 7, 3}, 2);
    assert_int_equal(access(path, F_OK), 0);
    wh_dirty_sweep(dir, NULL, &(struct wh_dirty_of){"r-1", 3, 1, 7, 3}, 3);
    assert_int_equal(access(path, F_OK), -1);
    wh_batch_release(&batch);
    wh_builder_free(b);
    wh_schema_release(&schema);
}

/* Red when a row that is far too large cannot be put aside, or is cut without saying so. */
static void huge_raw(void **state)
{
    size_t n = (size_t)200 << 20;
    char *raw = calloc(n, 1), *line = NULL; /* pages that are not touched cost nothing */
    struct wh_error err;
    struct wh_dirty *d;
    char path[128];
    size_t cap = 0;
    FILE *f;

    assert_non_null(raw);
    assert_ok(wh_dirty_new(dir, &(struct wh_dirty_of){"r-2", 1, 1, 1, 1}, "s", "t", &d, &err));
    assert_ok(wh_dirty_add(
        d, &(struct wh_dirty_row){.position = "", .code = "E6010", .text = "", .raw = {raw, n}},
        &err));
    assert_ok(wh_dirty_durable(d, &err));
    snprintf(path, sizeof path, "%s/dirty/r-2/f1.g1.u1.a1.jsonl", dir);
    f = fopen(path, "re");
    assert_non_null(f);
    assert_true(getline(&line, &cap, f) > 16 << 20);
    assert_non_null(strstr(line, ",\"raw_cut_from\":209715200}"));
    fclose(f);
    free(line);
    free(raw);
    wh_dirty_close(d, false);
}

/* Red when the rows of an attempt that lost stay behind. */
static void lost_attempt(void **state)
{
    struct wh_dirty *d;
    struct wh_error err;
    char path[128];

    assert_ok(wh_dirty_new(dir, &(struct wh_dirty_of){"r-1", 0, 1, 1, 1}, "s", "t", &d, &err));
    snprintf(path, sizeof path, "%s/dirty/r-1/f0.g1.u1.a1.jsonl", dir);
    assert_ok(wh_dirty_add(
        d, &(struct wh_dirty_row){.position = "", .code = "E6014", .text = "", .raw = {"x", 1}},
        &err));
    assert_int_equal(access(path, F_OK), 0);
    wh_dirty_close(d, false);
    assert_int_equal(access(path, F_OK), -1);
}

/* Red when an archive that cannot be written is taken for durable. */
static void no_place(void **state)
{
    struct wh_dirty *d;
    struct wh_error err;

    assert_ok(wh_dirty_new("/proc/nowhere", &(struct wh_dirty_of){"r-1", 0, 1, 1, 1}, "s", "t", &d,
                           &err));
    assert_int_equal(
        wh_dirty_add(
            d, &(struct wh_dirty_row){.position = "", .code = "E6014", .text = "", .raw = {"x", 1}},
            &err),
        WH_E_IO);
    assert_string_equal(err.code, "E6015");
    wh_dirty_close(d, false);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_and_raw),
        cmocka_unit_test(huge_raw),
        cmocka_unit_test(lost_attempt),
        cmocka_unit_test(no_place),
    };
    int failed;

    assert_non_null(mkdtemp(dir));
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    return failed;
}
