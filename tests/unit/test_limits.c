/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "engine/runtime.h"

/* Red when more passes than the rate and its short burst allow, or a limit costs more than it says:
 * time is given, nothing sleeps here. */
static void rates(void **state)
{
    const struct wh_run_options o = {.rate_bytes = 1000000, .rate_rows = 0};
    struct wh_limits l;
    int64_t now, paused = 0;

    wh_limits_init(&l, &o, 2, 0);
    now = l.bytes.at_ns;
    for (int i = 0; i < 100; i++) { /* 10 MB in 100 batches */
        int64_t p = wh_limits_take(&l, 100000, 1000, now + paused);

        paused += p;
    }
    /* 10 s at 1 MB/s, less the burst of 0.1 s. */
    assert_true(paused > 9800000000 && paused < 10100000000);
    wh_limits_destroy(&l);
}

/* Red when no limit pauses anybody, or both limits do not count. */
static void none_and_both(void **state)
{
    struct wh_run_options o = {0};
    struct wh_limits l;
    int64_t now;

    wh_limits_init(&l, &o, 2, 0);
    assert_int_equal(wh_limits_take(&l, 1 << 30, 1 << 20, 12345), 0);
    wh_limits_destroy(&l);
    o.rate_bytes = 1000;
    o.rate_rows = 10;
    wh_limits_init(&l, &o, 2, 0);
    now = l.rows.at_ns;
    /* 100 rows of one byte: the rows are the slower ones. 101 tokens of burst are 1. */
    int64_t p = wh_limits_take(&l, 100, 100, now);
    assert_true(p > 9800000000 && p < 10000000000);
    wh_limits_destroy(&l);
}

/* Red when the time of day asks for another rate than it is given, a pause does not close the door,
 * or what `limit RUN` says gives way to the clock. */
static void by_the_clock(void **state)
{
    static const struct wh_rate_window day[] = {
        {8 * 60, 20 * 60, 1000, false}, {22 * 60, 6 * 60, 0, true}, {6 * 60, 8 * 60, 0, false}};
    const struct wh_run_options o = {.windows = day, .n_windows = 3};
    static const struct {
        int minute;
        bool changed, closed;
        int64_t bytes;
    } t[] = {{8 * 60, true, false, 1000}, {19 * 60 + 59, false, false, 1000},
             {20 * 60, true, false, 0},   {21 * 60 + 59, false, false, 0},
             {22 * 60, true, true, 0},    {23 * 60 + 59, false, true, 0},
             {0, false, true, 0},         {5 * 60 + 59, false, true, 0},
             {6 * 60, true, false, 0},    {8 * 60, true, false, 1000}};
    struct wh_limits l;

    wh_limits_init(&l, &o, 2, 0);
    for (size_t i = 0; i < sizeof t / sizeof t[0]; i++) {
        assert_int_equal(wh_limits_clock(&l, t[i].minute), t[i].changed);
        assert_int_equal(l.closed, t[i].closed);
        assert_int_equal(l.bytes.per_second, t[i].bytes);
        assert_int_equal(l.rate_on, t[i].bytes > 0);
    }
    assert_true(wh_limits_clock(&l, 23 * 60) && l.closed);
    assert_true(wh_limits_change(&l, "{\"rate\":\"5MB\"}"));
    assert_false(l.closed);
    assert_false(wh_limits_clock(&l, 9 * 60));
    assert_int_equal(l.bytes.per_second, 5000000);
    wh_limits_destroy(&l);
}

/* Red when `limit RUN` is not understood, or a word that it does not know changes something. */
static void changed_live(void **state)
{
    const struct wh_run_options o = {.rate_bytes = 1000};
    struct wh_limits l;

    wh_limits_init(&l, &o, 2, 100);
    assert_true(wh_limits_change(&l,
                                 "{\"rate\":\"none\",\"rows_per_second\":\"500\",\"parallel\":7,"
                                 "\"colour\":\"red\"}"));
    assert_int_equal(l.bytes.per_second, 0);
    assert_int_equal(l.rows.per_second, 500);
    assert_int_equal(l.parallel, 7);
    assert_int_equal(l.memory, 100);
    assert_true(l.rate_on);
    assert_true(wh_limits_change(&l, "{\"rate\":\"20MB\"}"));
    assert_int_equal(l.bytes.per_second, 20000000);
    assert_int_equal(l.rows.per_second, 500);
    assert_false(wh_limits_change(&l, "{\"rate\":\"fast\"}"));
    assert_false(wh_limits_change(&l, "[1]"));
    assert_false(wh_limits_change(&l, "{"));
    assert_int_equal(l.bytes.per_second, 20000000);
    wh_limits_destroy(&l);
}

/* Red when lanes are started near the ceiling, or readers go on above it. */
static void memory(void **state)
{
    const struct wh_run_options o = {0};
    struct wh_limits l;

    wh_limits_init(&l, &o, 2, 800);
    assert_int_equal(wh_limits_pressure(&l), WH_MEMORY_FINE); /* not sampled yet */
    l.resident = 700;
    assert_int_equal(wh_limits_pressure(&l), WH_MEMORY_FINE);
    l.resident = 701;
    assert_int_equal(wh_limits_pressure(&l), WH_MEMORY_NEAR);
    l.resident = 801;
    assert_int_equal(wh_limits_pressure(&l), WH_MEMORY_OVER);
    wh_limits_destroy(&l);
}

/* Red when a unit's splits, or what a cut left of them, do not come back as they were. */
static void splits_and_rests(void **state)
{
    struct wh_split v[3] = {
        {.token = {"one", 3}, .label = "first", .est_rows = 7, .est_bytes = -1, .order_group = 5},
        {.token = {"\0two", 4},
         .label = "",
         .est_rows = -1,
         .est_bytes = 1LL << 40,
         .order_seq = 9},
        {.token = {"", 0}, .label = "third"}};
    const struct wh_split rest = {.token = {"2b", 2}, .label = "second half"};
    struct wh_buf all = WH_BUF(1 << 20), b = WH_BUF(1 << 20), left = WH_BUF(1 << 20);
    struct wh_splits got;
    struct wh_error err;
    size_t index;

    assert_ok(wh_splits_encode(v, 3, &all));
    assert_ok(wh_splits_decode((struct wh_bytes){all.p, all.n}, &got, &err));
    assert_int_equal(got.n, 3);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(got.v[i].token.n, v[i].token.n);
        assert_memory_equal(got.v[i].token.p, v[i].token.p, v[i].token.n);
        assert_string_equal(got.v[i].label, v[i].label);
        assert_int_equal(got.v[i].est_rows, v[i].est_rows);
        assert_int_equal(got.v[i].est_bytes, v[i].est_bytes);
        assert_int_equal(got.v[i].order_group, v[i].order_group);
        assert_int_equal(got.v[i].order_seq, v[i].order_seq);
    }
    wh_splits_free(&got);
    assert_ok(wh_rest_encode(1, &rest, &b));
    assert_ok(wh_rest_index((struct wh_bytes){b.p, b.n}, &index, &err));
    assert_int_equal(index, 1);
    assert_ok(
        wh_rest_apply((struct wh_bytes){b.p, b.n}, (struct wh_bytes){all.p, all.n}, &left, &err));
    assert_ok(wh_splits_decode((struct wh_bytes){left.p, left.n}, &got, &err));
    assert_int_equal(got.n, 2);
    assert_memory_equal(got.v[0].token.p, "2b", 2);
    assert_string_equal(got.v[1].label, "third");
    wh_splits_free(&got);
    /* Damage is found, at every length. */
    for (size_t n = 0; n < all.n; n++)
        assert_int_equal(wh_splits_decode((struct wh_bytes){all.p, n}, &got, &err), WH_E_STATE);
    for (size_t n = 0; n < b.n; n++)
        assert_int_equal(
            wh_rest_apply((struct wh_bytes){b.p, n}, (struct wh_bytes){all.p, all.n}, &left, &err),
            WH_E_STATE);
    wh_buf_clear(&b);
    assert_ok(wh_rest_encode(4, NULL, &b)); /* behind the list */
    assert_int_equal(
        wh_rest_apply((struct wh_bytes){b.p, b.n}, (struct wh_bytes){all.p, all.n}, &left, &err),
        WH_E_STATE);
    wh_buf_free(&all);
    wh_buf_free(&b);
    wh_buf_free(&left);
}

/* Red when the exit code of a run is not that of INTERFACE 6. */
static void exit_codes(void **state)
{
    assert_int_equal(wh_exit_worse(0, 6), 6);
    assert_int_equal(wh_exit_worse(6, 5), 5);
    assert_int_equal(wh_exit_worse(1, 9), 9);
    assert_int_equal(wh_exit_worse(130, 2), 130);
    assert_int_equal(wh_exit_worse(10, 2), 2);
    assert_int_equal(wh_exit_worse(7, 10), 10);
    assert_int_equal(wh_exit_worse(3, 4), 4);
    assert_int_equal(wh_exit_worse(0, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rates),
        cmocka_unit_test(none_and_both),
        cmocka_unit_test(changed_live),
        cmocka_unit_test(by_the_clock),
        cmocka_unit_test(by_the_clock),
        cmocka_unit_test(memory),
        cmocka_unit_test(splits_and_rests),
        cmocka_unit_test(exit_codes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
