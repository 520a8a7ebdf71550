/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "data/builder.h"
#include "data/view.h"

#include <pthread.h>

/* A schema of one column per word list entry, named c0, c1... */
static void schema_of(struct ArrowSchema *s, const char *const *types, int n)
{
    struct ArrowSchema f = {0};
    struct wh_type t;
    char name[16];

    assert_ok(wh_schema_init(s, n));
    for (int i = 0; i < n; i++) {
        snprintf(name, sizeof name, "c%d", i);
        assert_ok(wh_field_parse(types[i], name, &f, NULL));
        assert_ok(wh_type_of(&f, &t, NULL));
        assert_ok(wh_schema_set(s, i, name, &t, NULL));
        wh_schema_release(&f);
    }
}

static const char *const all[] = {"bool",
                                  "int8",
                                  "int16",
                                  "int32",
                                  "int64",
                                  "uint64",
                                  "float32",
                                  "float64",
                                  "decimal(18,2)",
                                  "decimal(60,2)",
                                  "utf8",
                                  "binary",
                                  "fixed(3)",
                                  "interval",
                                  "list<utf8>",
                                  "struct<a: int32, b: utf8>",
                                  "map<utf8, int64>",
                                  "dictionary<utf8>",
                                  "null"};

enum {
    N_ALL = sizeof all / sizeof all[0]
};

/* Row i of every column; nulls in a pattern that differs by column. */
static int append_row(struct wh_builder *b, int64_t i)
{
    char text[32];
    int n = snprintf(text, sizeof text, "t%lld", (long long)i);

    for (int k = 0; k < N_ALL; k++) {
        struct wh_column *c = wh_builder_column(b, k);
        uint64_t words[4] = {(uint64_t)i, 0, 0, 0};

        if (i % (k + 3) == 1 || c->type.kind == WH_K_NULL) {
            WH_TRY(wh_col_null(c));
            continue;
        }
        switch (c->type.kind) {
        case WH_K_BOOL:
            WH_TRY(wh_col_i64(c, i & 1));
            break;
        case WH_K_I8:
            WH_TRY(wh_col_i64(c, (int8_t)i));
            break;
        case WH_K_I16 ... WH_K_I64:
            WH_TRY(wh_col_i64(c, i));
            break;
        case WH_K_U64:
            WH_TRY(wh_col_u64(c, UINT64_MAX - (uint64_t)i));
            break;
        case WH_K_F32:
        case WH_K_F64:
            WH_TRY(wh_col_f64(c, (double)i / 2));
            break;
        case WH_K_DEC128:
            WH_TRY(wh_col_dec128(c, -(__int128)i));
            break;
        case WH_K_DEC256:
            WH_TRY(wh_col_dec256(c, words));
            break;
        case WH_K_FIXED:
            WH_TRY(wh_col_bytes(c, "abc", 3));
            break;
        case WH_K_INTERVAL:
            WH_TRY(wh_col_interval(c, (int32_t)i, -1, i * 1000));
            break;
        case WH_K_LIST:
            for (int64_t item = 0; item < i % 4; item++)
                WH_TRY(wh_col_bytes(&c->children[0], text, (size_t)n));
            WH_TRY(wh_col_close(c));
            break;
        case WH_K_STRUCT:
            WH_TRY(wh_col_i64(&c->children[0], i));
            WH_TRY(wh_col_bytes(&c->children[1], text, (size_t)n));
            WH_TRY(wh_col_close(c));
            break;
        case WH_K_MAP:
            WH_TRY(wh_col_bytes(&c->children[0].children[0], text, (size_t)n));
            WH_TRY(wh_col_i64(&c->children[0].children[1], i));
            WH_TRY(wh_col_close(c));
            break;
        case WH_K_DICT:
            if (c->children[0].n == 0)
                WH_TRY(wh_col_bytes(&c->children[0], "even", 4));
            if (c->children[0].n == 1)
                WH_TRY(wh_col_bytes(&c->children[0], "odd", 3));
            WH_TRY(wh_col_dict(c, (int32_t)(i & 1)));
            break;
        default:
            WH_TRY(wh_col_bytes(c, text, (size_t)n));
        }
    }
    return WH_OK;
}

/* Text of row i, column k, as append_row meant it. */
static void expect_text(int k, int64_t i, char out[200])
{
    const char *const kinds[N_ALL] = {[0] = i & 1 ? "true" : "false",
                                      [11] = "x",
                                      [12] = "\\x616263",
                                      [17] = i & 1 ? "odd" : "even"};
    long long v = i;

    *out = 0;
    if (i % (k + 3) == 1 || k == 18)
        return;
    if (kinds[k] && k != 11)
        snprintf(out, 200, "%s", kinds[k]);
    else if (k >= 1 && k <= 4)
        snprintf(out, 200, "%lld", k == 1 ? (long long)(int8_t)i : v);
    else if (k == 5)
        snprintf(out, 200, "%llu", UINT64_MAX - (unsigned long long)v);
    else if (k == 6 || k == 7)
        snprintf(out, 200, "%lld.%d", v / 2, v & 1 ? 5 : 0);
    else if (k == 8 || k == 9)
        snprintf(out, 200, "%s%lld.%02lld", k == 8 && v ? "-" : "", v / 100, v % 100);
    else if (k == 10)
        snprintf(out, 200, "t%lld", v);
    else if (k == 11) {
        char text[32];

        snprintf(text, sizeof text, "t%lld", v);
        snprintf(out, 3, "\\x");
        for (char *p = text; *p; p++)
            snprintf(out + strlen(out), 3, "%02x", (unsigned char)*p);
    } else if (k == 14) {
        snprintf(out, 200, "[");
        for (int64_t item = 0; item < i % 4; item++)
            snprintf(out + strlen(out), 40, "%s\"t%lld\"", item ? "," : "", v);
        snprintf(out + strlen(out), 2, "]");
    } else if (k == 15) {
        snprintf(out, 200, "{\"a\":%lld,\"b\":\"t%lld\"}", v, v);
    } else if (k == 16) {
        snprintf(out, 200, "{\"t%lld\":%lld}", v, v);
    }
}

static void check_batch(const struct ArrowSchema *s, const struct wh_batch *batch, int64_t first)
{
    struct wh_view views[N_ALL];
    struct wh_error err = {0};
    struct wh_buf b = WH_BUF(1 << 16);
    char want[200];

    if (wh_views_init(s, &batch->rows, views, &err) != WH_OK)
        fail_msg("%s", err.message);
    for (int k = 0; k < N_ALL; k++)
        for (int64_t i = 0; k != 13 && i < batch->n_rows; i++) {
            expect_text(k, first + i, want);
            wh_buf_clear(&b);
            assert_ok(wh_view_text(&views[k], i, &b));
            assert_string_equal(b.p ? b.p : "", want);
            assert_int_equal(wh_view_null(&views[k], i), *want == 0);
        }
    wh_buf_free(&b);
}

/* Red when a value of any kind comes out changed, in the first batch or in one made of recycled
 * memory, or when a batch of 0 rows is no valid array. */
static void every_kind(void **state)
{
    struct ArrowSchema s = {0};
    struct wh_builder *b;
    const int64_t sizes[] = {1, 0, 300, 5000, 17, 0, 600};
    int64_t first = 0;

    schema_of(&s, all, N_ALL);
    assert_ok(wh_builder_new(&s, &b, NULL));
    for (size_t k = 0; k < sizeof sizes / sizeof sizes[0]; k++) {
        struct wh_batch batch;

        for (int64_t i = 0; i < sizes[k]; i++)
            assert_ok(append_row(b, first + i));
        assert_int_equal(wh_builder_rows(b), sizes[k]);
        assert_ok(wh_builder_finish(b, &batch));
        assert_int_equal(batch.n_rows, sizes[k]);
        assert_int_equal(wh_builder_rows(b), 0);
        check_batch(&s, &batch, first);
        for (int c = 0; c < N_ALL; c++)
            if (all[c][0] != 's' && all[c][0] != 'n') /* structs and nulls have no value buffer */
                assert_true(((uintptr_t)batch.rows.children[c]->buffers[1] & 63) == 0);
        wh_batch_release(&batch);
        first += sizes[k];
    }
    wh_builder_free(b);
    wh_schema_release(&s);
}

/* Red when rows that were taken back leave values, null bits or children behind. */
static void truncate_rows(void **state)
{
    struct ArrowSchema s = {0};
    struct wh_builder *b;
    struct wh_batch batch;

    schema_of(&s, all, N_ALL);
    assert_ok(wh_builder_new(&s, &b, NULL));
    for (int64_t keep = 0; keep < 70; keep += 7) {
        for (int64_t i = 0; i < 100; i++)
            assert_ok(append_row(b, 1000 + i));
        wh_builder_truncate(b, 0);
        for (int64_t i = 0; i < keep + 40; i++)
            assert_ok(append_row(b, i));
        wh_builder_truncate(b, keep);
        /* half a row: only some columns, and children of an unfinished list */
        assert_ok(wh_col_i64(wh_builder_column(b, 0), 1));
        assert_ok(wh_col_null(wh_builder_column(b, 1)));
        assert_ok(wh_col_bytes(&wh_builder_column(b, 14)->children[0], "x", 1));
        assert_int_equal(wh_builder_finish(b, &batch), WH_E_BUG);
        wh_builder_truncate(b, keep);
        for (int64_t i = keep; i < keep + 30; i++)
            assert_ok(append_row(b, i));
        assert_ok(wh_builder_finish(b, &batch));
        check_batch(&s, &batch, 0);
        wh_batch_release(&batch);
    }
    wh_builder_free(b);
    wh_schema_release(&s);
}

/* Red when a batch grows past its target, or a cell past its cap. */
static void limits(void **state)
{
    const char *const types[] = {"int64", "utf8"};
    struct ArrowSchema s = {0};
    struct wh_builder *b;
    struct wh_batch batch;
    char *big = wh_calloc(1, WH_CELL_MAX + 1);
    int64_t rows = 0;

    schema_of(&s, types, 2);
    assert_ok(wh_builder_new(&s, &b, NULL));
    assert_int_equal(wh_col_bytes(wh_builder_column(b, 1), big, WH_CELL_MAX + 1), WH_E_LIMIT);
    assert_int_equal(wh_put_bytes(wh_builder_column(b, 1), big, WH_CELL_MAX + 1), WH_E_LIMIT);
    wh_builder_max_cell(b, 10);
    assert_int_equal(wh_put_bytes(wh_builder_column(b, 1), big, 11), WH_E_LIMIT);
    wh_builder_max_cell(b, WH_CELL_MAX);
    for (; !wh_builder_full(b); rows++) {
        assert_ok(wh_put_i64(wh_builder_column(b, 0), rows));
        assert_ok(wh_put_bytes(wh_builder_column(b, 1), big, 200));
    }
    assert_in_range(wh_builder_bytes(b), WH_BATCH_BYTES, WH_BATCH_BYTES + 300);
    assert_int_equal(rows, (WH_BATCH_BYTES + 211) / 212);
    assert_ok(wh_builder_finish(b, &batch));
    /* the first batch doubled its buffers on the way; the next one starts with what this one used
     */
    assert_in_range(batch.bytes, WH_BATCH_BYTES, 5 * WH_BATCH_BYTES / 2);
    wh_batch_release(&batch);
    for (rows = 0; !wh_builder_full(b); rows++) {
        assert_ok(wh_put_i64(wh_builder_column(b, 0), rows));
        assert_ok(wh_put_bytes(wh_builder_column(b, 1), big, 200));
    }
    assert_ok(wh_builder_finish(b, &batch));
    assert_in_range(batch.bytes, WH_BATCH_BYTES, 3 * WH_BATCH_BYTES / 2);
    wh_batch_release(&batch);
    for (rows = 0; !wh_builder_full(b); rows++) {
        assert_ok(wh_put_i64(wh_builder_column(b, 0), rows));
        assert_ok(wh_put_null(wh_builder_column(b, 1)));
    }
    assert_int_equal(rows, WH_BATCH_ROWS);
    wh_builder_free(b);
    wh_schema_release(&s);
    wh_free(big);
}

/* Red when a child moved out of a batch dies with it, or a column passed through is freed early,
 * freed twice or lost (sanitizer). */
static void moved_and_passed(void **state)
{
    const char *const in_types[] = {"int64", "utf8"}, *const out_types[] = {"utf8", "int32",
                                                                            "utf8"};
    const int32_t from[] = {1, -1, 1};
    struct ArrowSchema in = {0}, out = {0};
    struct wh_builder *bi, *bo;
    struct wh_batch batch, result = {0};
    struct ArrowArray moved;
    struct wh_view v;

    schema_of(&in, in_types, 2);
    schema_of(&out, out_types, 3);
    assert_ok(wh_builder_new(&in, &bi, NULL));
    assert_ok(wh_builder_new(&out, &bo, NULL));
    for (int i = 0; i < 3; i++) {
        assert_ok(wh_put_i64(wh_builder_column(bi, 0), i));
        assert_ok(wh_put_bytes(wh_builder_column(bi, 1), "abc", (size_t)i + 1));
    }
    assert_ok(wh_builder_finish(bi, &batch));
    batch.source_bytes = 77;
    batch.first = 1000;
    assert_ok(wh_put_i32(wh_builder_column(bo, 1), 7));
    assert_int_equal(wh_builder_finish_over(bo, &batch, from, &result),
                     WH_E_BUG); /* 1 row, not 3 */
    assert_ok(wh_put_i32(wh_builder_column(bo, 1), 8));
    assert_ok(wh_put_i32(wh_builder_column(bo, 1), 9));
    assert_ok(wh_builder_finish_over(bo, &batch, from, &result));
    assert_null(batch.rows.release);
    assert_int_equal(result.source_bytes, 77);
    assert_int_equal(result.first, 1000);
    wh_builder_free(bi);
    wh_builder_free(bo);
    moved = *result.rows.children[2];
    result.rows.children[2]->release = NULL;
    assert_ok(wh_view_init(out.children[0], result.rows.children[0], &v, NULL));
    assert_int_equal(wh_view_bytes(&v, 2).n, 3);
    wh_batch_release(&result);
    assert_ok(wh_view_init(out.children[2], &moved, &v, NULL));
    assert_memory_equal(wh_view_bytes(&v, 2).p, "abc", 3);
    moved.release(&moved);
    assert_null(moved.release);
    wh_schema_release(&in);
    wh_schema_release(&out);
}

static void *release_batch(void *arg)
{
    wh_batch_release(arg);
    return NULL;
}

/* Red (under the thread sanitizer) when release on another thread races with the builder. */
static void release_elsewhere(void **state)
{
    struct ArrowSchema s = {0};
    struct wh_batch batches[20];
    pthread_t threads[20];
    struct wh_builder *b;

    schema_of(&s, all, N_ALL);
    assert_ok(wh_builder_new(&s, &b, NULL));
    for (int k = 0; k < 20; k++) {
        for (int64_t i = 0; i < 500; i++)
            assert_ok(append_row(b, i));
        assert_ok(wh_builder_finish(b, &batches[k]));
        check_batch(&s, &batches[k], 0);
        assert_int_equal(pthread_create(&threads[k], NULL, release_batch, &batches[k]), 0);
    }
    wh_builder_free(b);
    for (int k = 0; k < 20; k++)
        pthread_join(threads[k], NULL);
    wh_schema_release(&s);
}

/* Red when a failed allocation damages what was built before, or leaks. */
static void out_of_memory(void **state)
{
    struct ArrowSchema s = {0};
    int64_t before = wh_mem_stats().bytes, nth;

    for (nth = 1; nth < 400; nth++) {
        struct wh_builder *b = NULL;
        struct wh_batch batch = {0};
        int64_t i = 0;

        if (!s.release)
            schema_of(&s, all, N_ALL);
        wh_mem_fail_at(nth, false);
        int st = wh_builder_new(&s, &b, NULL);

        for (; st == WH_OK && i < 600; i++)
            st = append_row(b, i);
        if (st == WH_OK)
            st = wh_builder_finish(b, &batch);
        wh_mem_fail_at(0, false);
        if (st == WH_E_NOMEM && b) { /* drop the half row and go on */
            int64_t whole = i ? i - 1 : 0;

            if (i == 600 && wh_builder_rows(b) == 600)
                whole = 600;
            wh_builder_truncate(b, whole);
            for (i = whole; i < 600; i++)
                assert_ok(append_row(b, i));
            assert_ok(wh_builder_finish(b, &batch));
            check_batch(&s, &batch, 0);
        } else {
            assert_true(st == WH_OK || st == WH_E_NOMEM);
        }
        wh_batch_release(&batch);
        wh_builder_free(b);
        if (st == WH_OK)
            break;
    }
    assert_in_range(nth, 60, 399);
    wh_schema_release(&s);
    assert_int_equal(wh_mem_stats().bytes, before);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_kind),
        cmocka_unit_test(truncate_rows),
        cmocka_unit_test(limits),
        cmocka_unit_test(moved_and_passed),
        cmocka_unit_test(release_elsewhere),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
