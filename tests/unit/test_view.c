/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "data/builder.h"
#include "data/view.h"

static struct ArrowSchema field;

static void keep(struct ArrowArray *a)
{
    a->release = NULL;
}

/* An array over static buffers. */
static struct ArrowArray array_of(int64_t n, int64_t nulls, int64_t offset, int64_t n_buffers,
                                  const void **buffers)
{
    return (struct ArrowArray){.length = n,
                               .null_count = nulls,
                               .offset = offset,
                               .n_buffers = n_buffers,
                               .buffers = buffers,
                               .release = keep};
}

static int view(const char *type, const struct ArrowArray *a, struct wh_view *v,
                struct wh_error *err)
{
    wh_schema_release(&field);
    assert_ok(wh_field_parse(type, "col", &field, NULL));
    return wh_view_init(&field, a, v, err);
}

#define REFUSED(type, array)                                                                       \
    do {                                                                                           \
        struct wh_view v_;                                                                         \
        struct wh_error err_ = {0};                                                                \
                                                                                                   \
        assert_int_equal(view(type, array, &v_, &err_), WH_E_DATA);                                \
        assert_string_equal(err_.code, "E3016");                                                   \
        assert_non_null(strstr(err_.message, "col"));                                              \
    } while (0)

/* Red when an offset shifts values or nulls differently, at any bit position. */
static void offsets_and_nulls(void **state)
{
    int32_t values[200], text_offsets[201];
    uint8_t bits[32], bytes[200];
    struct wh_view v;

    for (int i = 0; i < 200; i++) {
        values[i] = i * 3 - 50;
        text_offsets[i] = i;
        bytes[i] = (uint8_t)i;
    }
    text_offsets[200] = 200;
    memset(bits, 0, sizeof bits);
    for (int i = 0; i < 200; i++)
        bits[i >> 3] |= (uint8_t)((i % 3 != 0) << (i & 7));
    for (int offset = 0; offset < 70; offset++) {
        const void *fixed[] = {bits, values}, *var[] = {bits, text_offsets, bytes},
                   *flags[] = {NULL, bits};
        struct ArrowArray a = array_of(130, -1, offset, 2, fixed);
        int64_t nulls = 0;

        assert_ok(view("int32", &a, &v, NULL));
        for (int i = 0; i < 130; i++) {
            nulls += (i + offset) % 3 == 0;
            assert_int_equal(wh_view_null(&v, i), (i + offset) % 3 == 0);
            assert_int_equal(wh_view_i64(&v, i), values[i + offset]);
        }
        assert_int_equal(v.n_null, nulls);
        a = array_of(130, nulls, offset, 3, var);
        assert_ok(view("binary", &a, &v, NULL));
        assert_int_equal(wh_view_bytes(&v, 9).n, 1);
        assert_int_equal(*(const uint8_t *)wh_view_bytes(&v, 9).p, 9 + offset);
        a = array_of(130, 0, offset, 2, flags);
        assert_ok(view("bool", &a, &v, NULL));
        for (int i = 0; i < 130; i++)
            assert_int_equal(wh_view_i64(&v, i), (i + offset) % 3 != 0);
        a = array_of(130, nulls + 1, offset, 2, fixed);
        REFUSED("int32", &a);
    }
}

/* Red when an array that does not fit its schema is read all the same (the sanitizer sees it). */
static void damaged(void **state)
{
    int32_t falling[] = {0, 3, 2, 4}, negative[] = {-1, 0, 1, 2}, fine[] = {0, 1, 2, 3},
            index[] = {0, 2, 0};
    const void *buffers[] = {NULL, fine, "abcd"};
    const void *none[] = {NULL, NULL, NULL};
    struct ArrowArray a = array_of(3, 0, 0, 3, buffers), values = a, child;
    struct ArrowArray *children[] = {&child, &child};
    struct wh_view v;

    assert_ok(view("utf8", &a, &v, NULL));
    buffers[1] = falling;
    REFUSED("utf8", &a);
    buffers[1] = negative;
    REFUSED("utf8", &a);
    buffers[1] = fine;
    a.n_buffers = 2;
    REFUSED("utf8", &a);
    a = array_of(-1, 0, 0, 3, buffers);
    REFUSED("utf8", &a);
    a = array_of(3, 0, -1, 3, buffers);
    REFUSED("utf8", &a);
    a = array_of(3, 0, 0, 3, none);
    REFUSED("utf8", &a);
    a = array_of(3, 0, 0, 2, none);
    REFUSED("int64", &a);
    a = array_of(0, 0, 0, 3, none);
    assert_ok(view("utf8", &a, &v, NULL));
    a.release = NULL;
    REFUSED("utf8", &a);
    /* dictionary: an index without a value, then values that are missing */
    const void *indexes[] = {NULL, index};

    a = array_of(3, 0, 0, 2, indexes);
    values.length = 2;
    a.dictionary = &values;
    REFUSED("dictionary<utf8>", &a);
    values.length = 3;
    assert_ok(view("dictionary<utf8>", &a, &v, NULL));
    assert_memory_equal(wh_view_bytes(&v, 1).p, "c", 1);
    a.dictionary = NULL;
    REFUSED("dictionary<utf8>", &a);
    /* children shorter than the parent says */
    const void *fixed[] = {NULL, index}, *lists[] = {NULL, fine}, *top[] = {NULL};

    child = array_of(2, 0, 0, 2, fixed);
    a = array_of(3, 0, 0, 1, top);
    a.children = children;
    a.n_children = 2;
    REFUSED("struct<a: int32, b: int32>", &a);
    a.n_children = 1;
    REFUSED("struct<a: int32, b: int32>", &a);
    child.length = 3;
    a.n_children = 2;
    assert_ok(view("struct<a: int32, b: int32>", &a, &v, NULL));
    a = array_of(3, 0, 0, 2, lists);
    a.children = children;
    a.n_children = 1;
    child.length = 2;
    REFUSED("list<int32>", &a);
    child.length = 3;
    assert_ok(view("list<int32>", &a, &v, NULL));
    fixed[1] = NULL; /* damage inside a child */
    REFUSED("list<int32>", &a);
}

/* Red when a canonical text or its JSON changes: files, plans and hashes of other systems depend on
 * them. */
static void texts(void **state)
{
    static const struct {
        const char *type;
        int64_t v;
        const char *text, *json;
    } cases[] = {
        {"bool", 1, "true", "true"},
        {"int64", INT64_MIN, "-9223372036854775808", "-9223372036854775808"},
        {"uint64", -1, "18446744073709551615", "18446744073709551615"},
        {"date", -719529, "-0001-12-31", "\"-0001-12-31\""},
        {"date", 2932897, "10000-01-01", "\"10000-01-01\""},
        {"time(us)", 86400000000, "24:00:00", "\"24:00:00\""},
        {"time(ns)", 3723000000001, "01:02:03.000000001", "\"01:02:03.000000001\""},
        {"timestamp(s)", 0, "1970-01-01 00:00:00", "\"1970-01-01 00:00:00\""},
        {"timestamp(ms, utc)", -1, "1969-12-31 23:59:59.999Z", "\"1969-12-31 23:59:59.999Z\""},
        {"duration(us)", -1500000, "PT-1.5S", "\"PT-1.5S\""},
        {"duration(s)", 0, "PT0S", "\"PT0S\""},
    };
    struct wh_buf b = WH_BUF(4096);
    struct wh_view v;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const void *buffers[] = {NULL, &cases[i].v};
        struct ArrowArray a = array_of(1, 0, 0, 2, buffers);

        assert_ok(view(cases[i].type, &a, &v, NULL));
        wh_buf_clear(&b);
        assert_ok(wh_view_text(&v, 0, &b));
        assert_string_equal(b.p, cases[i].text);
        wh_buf_clear(&b);
        assert_ok(wh_view_json(&v, 0, &b));
        assert_string_equal(b.p, cases[i].json);
    }
    wh_buf_free(&b);
}

/* Red when JSON is printed that is none: NaN bare, text unescaped, json columns quoted twice or
 * pasted in without being JSON. */
static void json_of_odd_values(void **state)
{
    static const struct {
        const char *type, *value, *json;
    } cases[] = {
        {"utf8", "a\"b\\\n\x01", "\"a\\\"b\\\\\\n\\u0001\""},
        {"decimal", "1.50", "1.50"},
        {"decimal", "NaN", "\"NaN\""},
        {"decimal", "+1", "\"+1\""},
        {"json", "{\"a\": [1]}", "{\"a\": [1]}"},
        {"json", "{a", "\"{a\""},
        {"binary", "\x01\xff", "\"\\\\x01ff\""},
    };
    struct wh_buf b = WH_BUF(4096);
    struct wh_view v;

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int32_t offsets[] = {0, (int32_t)strlen(cases[i].value)};
        const void *buffers[] = {NULL, offsets, cases[i].value};
        struct ArrowArray a = array_of(1, 0, 0, 3, buffers);

        assert_ok(view(cases[i].type, &a, &v, NULL));
        wh_buf_clear(&b);
        assert_ok(wh_view_json(&v, 0, &b));
        assert_string_equal(b.p, cases[i].json);
    }
    wh_buf_free(&b);
    wh_schema_release(&field);
}

/* Red when flattening a dictionary loses a row, a null or a value. */
static void flatten(void **state)
{
    struct wh_type dict = WH_TYPE(WH_K_DICT), utf8 = WH_TYPE(WH_K_UTF8);
    struct ArrowSchema s = {0};
    struct wh_builder *b;
    struct wh_batch batch, flat;
    struct wh_view v[2];

    assert_ok(wh_schema_init(&s, 2));
    assert_ok(wh_schema_set(&s, 0, "d", &dict, NULL));
    assert_ok(wh_schema_set(&s, 1, "t", &utf8, NULL));
    assert_ok(wh_builder_new(&s, &b, NULL));
    struct wh_column *d = wh_builder_column(b, 0), *t = wh_builder_column(b, 1);

    assert_ok(wh_col_bytes(&d->children[0], "", 0));
    assert_ok(wh_col_bytes(&d->children[0], "xyz", 3));
    for (int i = 0; i < 100; i++) {
        assert_ok(i % 7 == 0 ? wh_col_null(d) : wh_col_dict(d, i & 1));
        assert_ok(wh_put_null(t));
    }
    assert_ok(wh_builder_finish(b, &batch));
    assert_ok(wh_views_init(&s, &batch.rows, v, NULL));
    for (int i = 0; i < 100; i++)
        assert_ok(wh_put_null(d));
    assert_ok(wh_flatten(&v[0], t));
    assert_ok(wh_builder_finish(b, &flat));
    assert_ok(wh_views_init(&s, &flat.rows, v, NULL));
    for (int i = 0; i < 100; i++) {
        assert_int_equal(wh_view_null(&v[1], i), i % 7 == 0);
        if (i % 7)
            assert_int_equal(wh_view_bytes(&v[1], i).n, i & 1 ? 3 : 0);
    }
    wh_batch_release(&batch);
    wh_batch_release(&flat);
    assert_ok(wh_col_dict(wh_builder_column(b, 0), 5)); /* no value 5 */
    assert_ok(wh_put_null(t));
    assert_int_equal(wh_builder_finish(b, &flat), WH_E_BUG);
    wh_builder_free(b);
    wh_schema_release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_and_nulls),  cmocka_unit_test(damaged), cmocka_unit_test(texts),
        cmocka_unit_test(json_of_odd_values), cmocka_unit_test(flatten),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
