/* SPDX-License-Identifier: Apache-2.0 */
/* gen and null keep the rules of the contract. Values are compared by gen_ref.py; here: any split
 * of the rows gives the same rows, cuts are exact, END stays END, close works on zeroes, lost
 * sessions and foreign tokens are refused, and null counts and hashes what gen says it made. */
#include "../unit/test.h"

#include <stdlib.h>

#include <wherry/connector.h>
#include "core/clock.h"
#include "core/options.h"
#include "data/rowhash.h"

extern const struct wh_connector wh_connector_gen, wh_connector_null;

static const struct wh_source_ops *src;

struct table {
    struct wh_arena *arena;
    void *opts, *sc, *se;
    struct wh_scan io;
    struct wh_name object;
    struct ArrowSchema schema;
};

static int open_table(struct table *t, const char *shape, const char *const *options,
                      struct wh_error *err)
{
    src = wh_connector_gen.source;
    t->arena = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = t->arena};

    t->opts = wh_calloc(1, wh_connector_gen.from->size);
    t->sc = wh_calloc(1, src->sc_size);
    t->se = wh_calloc(1, wh_connector_gen.se_size);
    assert_ok(wh_options_init(wh_connector_gen.from, t->opts, t->arena));
    for (; options && options[0]; options += 2)
        assert_true(wh_options_set_text(wh_connector_gen.from, t->opts, t->arena, options[0],
                                        options[1], "test", &problems));
    t->object = (struct wh_name){.part = {wh_str(shape)}, .n = 1};
    t->io.object = &t->object;
    t->io.opts = t->opts;
    return src->scan_open(t->sc, NULL, t->se, &t->io, &t->schema, err);
}

static void close_table(struct table *t)
{
    src->scan_close(t->sc);
    wh_schema_release(&t->schema);
    wh_free(t->opts);
    wh_free(t->sc);
    wh_free(t->se);
    wh_arena_free(t->arena);
    memset(t, 0, sizeof *t);
}

static void add_batch(const struct table *t, const struct wh_batch *b, struct wh_rowsum *sum)
{
    struct wh_view *views = wh_calloc((size_t)t->schema.n_children, sizeof *views);
    struct wh_error err = {0};

    assert_non_null(views);
    assert_ok(wh_views_init(&t->schema, &b->rows, views, &err));
    assert_ok(wh_rowhash_add(sum, views, t->schema.n_children, NULL, 0, b->n_rows));
    wh_free(views);
}

/* Reads a split to its end, or `batches` of it and then the rest by way of reader_cut. */
static void read_split(const struct table *t, const struct wh_split *split, int batches,
                       struct wh_rowsum *sum)
{
    void *rd = wh_calloc(1, src->rd_size);
    struct ArrowSchema actual = {0};
    struct wh_error err = {0};
    struct wh_batch b;
    int st;

    assert_ok(src->reader_open(rd, t->sc, t->se, NULL, split, &actual, &err));
    assert_null(actual.release);
    while ((st = src->reader_next(rd, &b, &err)) == WH_OK) {
        struct wh_split rest, done;

        assert_true(b.n_rows > 0 && b.n_rows <= WH_BATCH_ROWS);
        add_batch(t, &b, sum);
        wh_batch_release(&b);
        if (--batches != 0)
            continue;
        st = src->reader_cut(rd, &rest, &done, &err);
        if (st == WH_OK) {
            assert_int_equal(rest.est_rows + done.est_rows, split->est_rows);
            read_split(t, &rest, 1, sum);
            st = WH_END;
        }
        break;
    }
    assert_int_equal(st, WH_END);
    if (batches > 0) {
        assert_int_equal(src->reader_next(rd, &b, &err), WH_END);
        assert_int_equal(src->reader_next(rd, &b, &err), WH_END);
        assert_int_equal(src->reader_cut(rd, &(struct wh_split){0}, NULL, &err), WH_END);
    }
    src->reader_close(rd);
    wh_free(rd);
}

/* Sum over all splits; the splits must touch without gap or overlap. */
static struct wh_rowsum read_all(struct table *t, int batches, int64_t *ret_splits)
{
    struct wh_rowsum sum = {0};
    struct wh_error err = {0};
    struct wh_split split;
    struct wh_bytes cursor = {0}, next;
    char kept[64];
    int64_t rows = 0, n = 0;

    while (src->split_next(t->sc, t->se, &cursor, &split, &next, &err) == WH_OK) {
        char token[64];

        assert_true(split.token.n <= sizeof token && next.n <= sizeof kept);
        memcpy(token, split.token.p, split.token.n);
        split.token.p = token;
        memcpy(kept, next.p, next.n);
        cursor = (struct wh_bytes){kept, next.n};
        rows += split.est_rows;
        read_split(t, &split, batches, &sum);
        n++;
    }
    assert_int_equal(src->split_next(t->sc, t->se, &cursor, &split, &next, &err), WH_END);
    assert_int_equal(rows, sum.rows);
    *ret_splits = n;
    return sum;
}

/* Fails if rows depend on where splits begin, or a cut loses or repeats a row. */
static void test_any_split(void **state)
{
    static const char *const shapes[] = {"lineitem", "hits", "posts", "wide", "evil"};
    static const char *const sizes[] = {"0", "10000", "777", "1000"};

    for (size_t i = 0; i < 5; i++) {
        struct wh_rowsum first = {0};

        for (size_t k = 0; k < 4; k++) {
            const char *options[] = {"rows",   "2500", "unit_rows", sizes[k], "columns", "30",
                                     "nested", "yes",  "big",       "20kB",   NULL};
            struct table t = {0};
            struct wh_error err = {0};
            int64_t splits = 0;

            assert_ok(open_table(&t, shapes[i], options, &err));
            struct wh_rowsum sum = read_all(&t, k == 3 ? 1 : 0, &splits);

            assert_int_equal(t.io.est_rows, 2500);
            assert_int_equal(sum.rows, 2500);
            assert_int_equal(splits, k == 2 ? 4 : k == 3 ? 3 : 1);
            if (k == 0)
                first = sum;
            if (!wh_u128_eq(sum.sum, first.sum))
                fail_msg("%s: splits of %s rows give other rows", shapes[i], sizes[k]);
            close_table(&t);
        }
    }
}

/* Fails if a seed does not change the rows, or the same seed does. */
static void test_seed(void **state)
{
    struct wh_rowsum sums[3];

    for (int i = 0; i < 3; i++) {
        const char *options[] = {"rows", "100", "seed", i == 1 ? "2" : "1", NULL};
        struct table t = {0};
        struct wh_error err = {0};
        int64_t splits;

        assert_ok(open_table(&t, "lineitem", options, &err));
        sums[i] = read_all(&t, 0, &splits);
        close_table(&t);
    }
    assert_true(wh_u128_eq(sums[0].sum, sums[2].sum));
    assert_false(wh_u128_eq(sums[0].sum, sums[1].sum));
}

/* Fails if planning 10^9 rows walks over rows or holds a list of splits. */
static void test_billion_rows(void **state)
{
    const char *options[] = {"rows", "1e9", NULL};
    struct table t = {0};
    struct wh_error err = {0};
    struct wh_split split;
    struct wh_bytes cursor = {0}, next;
    char kept[8];
    int64_t before = wh_now_ns(), bytes = wh_mem_stats().bytes, rows = 0, n = 0;

    assert_ok(open_table(&t, "lineitem", options, &err));
    while (src->split_next(t.sc, t.se, &cursor, &split, &next, &err) == WH_OK) {
        memcpy(kept, next.p, 8);
        cursor = (struct wh_bytes){kept, 8};
        rows += split.est_rows;
        n++;
    }
    assert_int_equal(rows, 1000000000);
    assert_true(n > 100);
    assert_true(wh_mem_stats().bytes - bytes < 5 << 20);
    assert_true(wh_now_ns() - before < 50 * 1000000 * 20LL); /* 20 times the goal: a busy machine */
    close_table(&t);
}

/* Fails if a projection changes values or order, or an unknown column passes. */
static void test_projection(void **state)
{
    static const char *const names[] = {"l_comment", "l_orderkey"};
    static const char *const wrong[] = {"l_nothing"};
    struct table t = {.io = {.columns = names, .n_columns = 2}}, bad = {0};
    struct wh_error err = {0};
    struct wh_str key = {0};
    int64_t splits;

    assert_ok(open_table(&t, "lineitem", (const char *[]){"rows", "10", NULL}, &err));
    assert_int_equal(t.schema.n_children, 2);
    assert_string_equal(t.schema.children[0]->name, "l_comment");
    wh_meta_get(t.schema.children[1], WH_META_KEY, &key);
    assert_true(wh_str_eqs(key, "1"));
    assert_int_equal(read_all(&t, 0, &splits).rows, 10);
    close_table(&t);
    bad.io.columns = wrong;
    bad.io.n_columns = 1;
    assert_int_equal(open_table(&bad, "lineitem", NULL, &err), WH_E_NOT_FOUND);
    assert_string_equal(err.code, "E3002");
    close_table(&bad);
    assert_int_equal(open_table(&bad, "linitem", NULL, &err), WH_E_NOT_FOUND);
    assert_non_null(strstr(err.hint, "gen:lineitem"));
    close_table(&bad);
}

/* Fails if a limit gives more rows, or a plan's bounds do not bind. */
static void test_limit_and_bounds(void **state)
{
    struct table t = {.io = {.limit = 7}}, again = {0};
    struct wh_error err = {0};
    struct ArrowSchema frozen = {0};
    char bounds[256];
    int64_t splits;

    assert_ok(open_table(&t, "hits", NULL, &err));
    assert_true(t.io.limit_done);
    assert_int_equal(read_all(&t, 0, &splits).rows, 7);
    size_t n = t.io.ret_bounds.n;

    memcpy(bounds, t.io.ret_bounds.p, n);
    close_table(&t);
    again.io = (struct wh_scan){.limit = 7, .frozen = &frozen, .bounds = {bounds, n}};
    assert_ok(open_table(&again, "hits", NULL, &err));
    close_table(&again);
    again.io = (struct wh_scan){.limit = 7, .frozen = &frozen, .bounds = {bounds, n}};
    assert_int_equal(open_table(&again, "hits", (const char *[]){"seed", "9", NULL}, &err),
                     WH_E_STATE);
    close_table(&again);
}

/* Fails if foreign tokens are read, an interrupted session goes on, or zeroes cannot be closed. */
static void test_refusals(void **state)
{
    struct table t = {0};
    struct wh_error err = {0};
    struct ArrowSchema actual = {0};
    uint8_t token[16] = {0};
    struct wh_split split = {.token = {token, 16}};
    struct wh_bytes cursor = {"xyz", 3}, next;
    struct wh_batch b;
    void *rd = wh_calloc(1, src->rd_size);

    src->reader_close(rd);
    assert_ok(open_table(&t, "lineitem", (const char *[]){"rows", "10", NULL}, &err));
    token[8] = 11;
    assert_int_equal(src->reader_open(rd, t.sc, t.se, NULL, &split, &actual, &err), WH_E_STATE);
    src->reader_close(rd);
    split.token.n = 5;
    assert_int_equal(src->reader_open(rd, t.sc, t.se, NULL, &split, &actual, &err), WH_E_STATE);
    src->reader_close(rd);
    assert_int_equal(src->split_next(t.sc, t.se, &cursor, &split, &next, &err), WH_E_STATE);
    split.token = (struct wh_bytes){token, 16};
    token[8] = 10;
    assert_ok(src->reader_open(rd, t.sc, t.se, NULL, &split, &actual, &err));
    wh_connector_gen.endpoint->interrupt(t.se);
    assert_int_equal(src->reader_next(rd, &b, &err), WH_LOST);
    src->reader_close(rd);
    wh_free(rd);
    close_table(&t);
    void *sc = wh_calloc(1, src->sc_size);

    src->scan_close(sc);
    wh_free(sc);
}

static wh_status count_object(void *arg, const struct wh_object *o)
{
    (*(int *)arg)++;
    assert_true(o->columns && o->columns->n_children > 10);
    return WH_OK;
}

/* Fails if the snapshot of another version of the formulas can be entered. */
static void test_snapshot_and_catalog(void **state)
{
    const struct wh_endpoint_ops *ops = wh_connector_gen.endpoint;
    struct wh_snapshot snap;
    struct wh_error err = {0};
    char ep[64] = {0}, se[64] = {0};
    int n = 0;

    assert_ok(ops->snapshot(ep, se, NULL, 1, &snap, &err));
    assert_int_equal(snap.kind, WH_SNAP_POINT);
    assert_ok(ops->join(ep, &snap, &err));
    snap.token = (struct wh_bytes){"gen 0", 5};
    assert_int_equal(ops->join(ep, &snap, &err), WH_GONE);
    assert_ok(ops->catalog(ep, se, NULL, count_object, &n, &err));
    assert_int_equal(n, 5);
}

/* Fails if null counts or hashes other rows than it was given, also by selection. */
static void test_null_counts(void **state)
{
    const struct wh_sink_ops *sink = wh_connector_null.sink;
    struct table t = {0};
    struct wh_error err = {0};
    struct wh_fence fence = {.run = WH_STR("r-1"), .epoch = 1};
    void *fl = wh_calloc(1, sink->fl_size), *wr = wh_calloc(1, sink->wr_size);
    struct wh_rowsum want = {0};
    uint8_t token[16] = {0, 0, 0, 0, 0, 0, 0, 0, 100};
    struct wh_split split = {.token = {token, 16}};
    struct ArrowSchema actual = {0};
    struct wh_batch b;
    struct wh_acks acks;
    struct wh_tally tally;
    struct wh_bytes receipt;
    int32_t odd[50];

    sink->writer_close(wr);
    sink->target_close(fl);
    assert_ok(open_table(&t, "hits", (const char *[]){"rows", "100", NULL}, &err));
    struct wh_target io = {.source = &t.schema, .fence = &fence};

    assert_ok(sink->target_open(fl, NULL, t.se, &io, &err));
    assert_int_equal(io.commit_class, WH_CLASS_K);
    assert_true(wh_schema_equal(&io.accept, &t.schema));
    void *rd = wh_calloc(1, src->rd_size);

    assert_ok(src->reader_open(rd, t.sc, t.se, NULL, &split, &actual, &err));
    assert_ok(src->reader_next(rd, &b, &err));
    add_batch(&t, &b, &want);
    struct wh_unit unit = {.id = 1, .attempt = 1};

    assert_ok(sink->writer_open(wr, fl, t.se, NULL, &unit, &fence, &err));
    for (int i = 0; i < 50; i++)
        odd[i] = 2 * i + 1;
    assert_ok(sink->writer_write(wr, &b, 1, odd, 0, 50, &acks, &err));
    assert_int_equal(acks.upto_send, 1);
    for (int i = 0; i < 50; i++)
        assert_ok(sink->writer_write(wr, &b, 2 + i, NULL, 2 * i, 1, &acks, &err));
    assert_ok(sink->writer_flush(wr, 0, &acks, &err));
    assert_int_equal(acks.upto_send, 51);
    assert_ok(sink->writer_seal(wr, &tally, &err));
    assert_int_equal(tally.rows, 100);
    assert_true(tally.has_hash && tally.hash[0] == want.sum.lo && tally.hash[1] == want.sum.hi);
    assert_ok(sink->writer_commit(wr, &(struct wh_marker){0}, &receipt, &err));
    assert_non_null(memmem(receipt.p, receipt.n, "rows=100 ", 9));
    wh_batch_release(&b);
    sink->writer_close(wr);
    sink->target_close(fl);
    wh_schema_release(&io.accept);
    src->reader_close(rd);
    wh_free(rd);
    wh_free(fl);
    wh_free(wr);
    close_table(&t);
}

/* Fails if an allocation that fails is not reported, or leaks (seen by the sanitizers). */
static void test_no_memory(void **state)
{
    for (int nth = 1; nth < 200; nth++) {
        struct table t = {0};
        struct wh_error err = {0};
        struct wh_split split = {.token = {(const uint8_t[16]){[8] = 10}, 16}};
        struct ArrowSchema actual = {0};
        struct wh_batch b = {0};
        void *rd = wh_calloc(1, src->rd_size);
        int st;

        assert_ok(open_table(&t, "evil", (const char *[]){"rows", "10", "big", "9", NULL}, &err));
        wh_mem_fail_at(nth, false);
        st = src->reader_open(rd, t.sc, t.se, NULL, &split, &actual, &err);
        if (st == WH_OK)
            st = src->reader_next(rd, &b, &err);
        bool reached = st != WH_OK;

        wh_mem_fail_at(0, false);
        assert_true(st == WH_OK || st == WH_E_NOMEM);
        wh_batch_release(&b);
        src->reader_close(rd);
        wh_free(rd);
        close_table(&t);
        if (!reached)
            return;
    }
    fail_msg("200 allocations for ten rows");
}

int main(void)
{
    src = wh_connector_gen.source;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any_split),
        cmocka_unit_test(test_seed),
        cmocka_unit_test(test_billion_rows),
        cmocka_unit_test(test_projection),
        cmocka_unit_test(test_limit_and_bounds),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_snapshot_and_catalog),
        cmocka_unit_test(test_null_counts),
        cmocka_unit_test(test_no_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
