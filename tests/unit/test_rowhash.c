/* SPDX-License-Identifier: Apache-2.0 */
/* Sums of rows; single hashes are judged by rowhash_ref.py, a second implementation. */
#include "test.h"

#include "data/builder.h"
#include "data/number.h"
#include "data/rowhash.h"

#define ROWS 1000

static void build(struct ArrowSchema *s, struct wh_batch *batch, const int *order, int64_t n)
{
    struct wh_type types[3] = {WH_TYPE(WH_K_I64), WH_TYPE(WH_K_UTF8), WH_TYPE(WH_K_F64)};
    struct wh_builder *b;
    char text[32];

    assert_ok(wh_schema_init(s, 3));
    for (int k = 0; k < 3; k++)
        assert_ok(wh_schema_set(s, k, "c", &types[k], NULL));
    assert_ok(wh_builder_new(s, &b, NULL));
    for (int64_t i = 0; i < n; i++) {
        int v = order[i], len = snprintf(text, sizeof text, "%*d", v % 30, v);

        assert_ok(v % 11 ? wh_put_i64(wh_builder_column(b, 0), v)
                         : wh_put_null(wh_builder_column(b, 0)));
        assert_ok(wh_put_bytes(wh_builder_column(b, 1), text, (size_t)len));
        assert_ok(wh_put_f64(wh_builder_column(b, 2), v / 7.0));
    }
    assert_ok(wh_builder_finish(b, batch));
    wh_builder_free(b);
}

/* Red when the sum depends on order, on how rows are cut into calls, or on a list of rows. */
static void order_and_cuts(void **state)
{
    struct ArrowSchema s = {0}, s2 = {0};
    struct wh_batch batch, shuffled;
    struct wh_rowsum whole = {0}, parts = {0}, mixed = {0}, listed = {0}, evens = {0}, odds = {0};
    struct wh_view v[3], w[3];
    int32_t even[ROWS / 2], odd[ROWS / 2];
    int order[ROWS], other[ROWS];

    for (int i = 0; i < ROWS; i++) {
        order[i] = i;
        other[i] = i * 387 % ROWS; /* coprime with 1000: a permutation */
        (i & 1 ? odd : even)[i / 2] = i;
    }
    build(&s, &batch, order, ROWS);
    build(&s2, &shuffled, other, ROWS);
    assert_ok(wh_views_init(&s, &batch.rows, v, NULL));
    assert_ok(wh_views_init(&s2, &shuffled.rows, w, NULL));
    assert_ok(wh_rowhash_add(&whole, v, 3, NULL, 0, ROWS));
    for (int64_t at = 0, n = 1; at < ROWS; at += n, n = n * 3 % 257 + 1)
        assert_ok(wh_rowhash_add(&parts, v, 3, NULL, at, at + n < ROWS ? n : ROWS - at));
    assert_ok(wh_rowhash_add(&mixed, w, 3, NULL, 0, ROWS));
    assert_ok(wh_rowhash_add(&evens, v, 3, even, 0, ROWS / 2));
    assert_ok(wh_rowhash_add(&odds, v, 3, odd, 0, ROWS / 2));
    wh_rowsum_merge(&listed, &odds);
    wh_rowsum_merge(&listed, &evens);
    assert_true(wh_u128_eq(whole.sum, parts.sum));
    assert_true(wh_u128_eq(whole.sum, mixed.sum));
    assert_true(wh_u128_eq(whole.sum, listed.sum));
    assert_int_equal(parts.rows, ROWS);
    assert_int_equal(listed.rows, ROWS);
    wh_batch_release(&batch);
    wh_batch_release(&shuffled);
    wh_schema_release(&s);
    wh_schema_release(&s2);
}

/* Red when a changed, doubled, lost or swapped cell does not show in the sum, or two rows of a
 * small table hash alike, or bits of the hash are biased. */
static void differences(void **state)
{
    struct ArrowSchema s = {0};
    struct wh_batch batch;
    struct wh_rowsum a = {0}, b = {0};
    struct wh_view v[3], u[3];
    struct wh_u128 each[ROWS], sum = {0};
    int order[ROWS], ones[128] = {0};

    for (int i = 0; i < ROWS; i++)
        order[i] = i;
    build(&s, &batch, order, ROWS);
    assert_ok(wh_views_init(&s, &batch.rows, v, NULL));
    assert_ok(wh_rowhash_add(&a, v, 3, NULL, 0, ROWS));
    assert_ok(wh_rowhash_each(v, 3, NULL, 0, ROWS, each));
    for (int i = 0; i < ROWS; i++) {
        sum = wh_u128_add(sum, each[i]);
        for (int k = 0; k < 64; k++) {
            ones[k] += each[i].lo >> k & 1;
            ones[64 + k] += each[i].hi >> k & 1;
        }
        for (int j = 0; j < i; j++)
            assert_true(each[i].lo != each[j].lo && each[i].hi != each[j].hi);
    }
    assert_true(wh_u128_eq(sum, a.sum));
    for (int k = 0; k < 128; k++) /* 500 expected, 6 sigma = 95 */
        assert_in_range(ones[k], 400, 600);
    u[0] = v[2];
    u[1] = v[1];
    u[2] = v[0];
    assert_ok(wh_rowhash_add(&b, u, 3, NULL, 0, ROWS));
    assert_false(wh_u128_eq(a.sum, b.sum)); /* columns swapped */
    b = (struct wh_rowsum){0};
    assert_ok(wh_rowhash_add(&b, v, 3, NULL, 0, ROWS - 1));
    assert_false(wh_u128_eq(a.sum, b.sum)); /* a row lost */
    ((int64_t *)(uintptr_t)v[0].data)[500] ^= 1;
    b = (struct wh_rowsum){0};
    assert_ok(wh_rowhash_add(&b, v, 3, NULL, 0, ROWS));
    assert_false(wh_u128_eq(a.sum, b.sum)); /* one bit */
    wh_batch_release(&batch);
    wh_schema_release(&s);
}

/* Red when what stands in the memory of a null cell, or an offset, gets into the hash. */
static void nulls_and_offsets(void **state)
{
    int64_t one[] = {9, 8, 5, 7}, two[] = {5, 1234};
    uint8_t bits_one = 0x4, bits_two = 0x1; /* row 2 of the first, row 0 of the second */
    const void *b1[] = {&bits_one, one}, *b2[] = {&bits_two, two};
    struct ArrowArray x = {
        .length = 2, .null_count = 1, .offset = 2, .n_buffers = 2, .buffers = b1};
    struct ArrowArray y = {
        .length = 2, .null_count = 1, .offset = 0, .n_buffers = 2, .buffers = b2};
    struct ArrowSchema f = {0};
    struct wh_rowsum a = {0}, b = {0};
    struct wh_view v;

    assert_ok(wh_field_parse("int64", "c", &f, NULL));
    x.release = y.release = (void (*)(struct ArrowArray *))(uintptr_t)1; /* alive; never called */
    assert_ok(wh_view_init(&f, &x, &v, NULL));
    assert_ok(wh_rowhash_add(&a, &v, 1, NULL, 0, 2));
    assert_ok(wh_view_init(&f, &y, &v, NULL));
    assert_ok(wh_rowhash_add(&b, &v, 1, NULL, 0, 2));
    assert_true(wh_u128_eq(a.sum, b.sum));
    wh_schema_release(&f);
}

/* One value as a decimal of 128 bits with a scale of 4 and as its text: hashed by different code.
 */
static bool same_as_text(__int128 v)
{
    const struct wh_type types[2] = {WH_TYPE(WH_K_DECTEXT),
                                     {.kind = WH_K_DEC128, .precision = 38, .scale = 4}};
    struct wh_u128 hash[2];
    char text[80];

    for (int k = 0; k < 2; k++) {
        struct ArrowSchema s = {0};
        struct wh_batch batch;
        struct wh_builder *b;
        struct wh_view view;

        assert_ok(wh_schema_init(&s, 1));
        assert_ok(wh_schema_set(&s, 0, "c", &types[k], NULL));
        assert_ok(wh_builder_new(&s, &b, NULL));
        assert_ok(k ? wh_col_dec128(wh_builder_column(b, 0), v)
                    : wh_col_bytes(wh_builder_column(b, 0), text, wh_print_dec128(v, 4, text)));
        assert_ok(wh_builder_finish(b, &batch));
        assert_ok(wh_views_init(&s, &batch.rows, &view, NULL));
        assert_ok(wh_rowhash_each(&view, 1, NULL, 0, 1, &hash[k]));
        wh_batch_release(&batch);
        wh_builder_free(b);
        wh_schema_release(&s);
    }
    return wh_u128_eq(hash[0], hash[1]);
}

/* Red when the zeros that a decimal ends in, however many, get into its hash. */
static void zeros_of_decimals(void **state)
{
    static const int64_t heads[] = {0, 1, 2, 5, 9, 25, 64, 101, 99999999, 100000001, 1844674407};
    unsigned __int128 ten = 1;

    for (int zeros = 0; zeros < 28; zeros++, ten *= 10)
        for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
            __int128 v = (__int128)ten * heads[i];

            assert_true(same_as_text(v));
            assert_true(same_as_text(-v));
        }
    for (int bit = 0; bit < 126; bit++)
        for (int d = -1; d < 2; d++) {
            assert_true(same_as_text(((__int128)1 << bit) + d));
            assert_true(same_as_text(-((__int128)1 << bit) + d));
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_and_cuts),
        cmocka_unit_test(differences),
        cmocka_unit_test(nulls_and_offsets),
        cmocka_unit_test(zeros_of_decimals),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
