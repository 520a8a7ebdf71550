/* SPDX-License-Identifier: Apache-2.0 */
/* The fast paths of CSV's and JSON's rows mean what the slow ones mean: number by number, day by
 * day, and in whole files of values that are nearly numbers. Each test fails if its sentence stops
 * being true. */
#include "test.h"

#include <stdlib.h>

#include "../lib/read_rows.h"
#include "data/number.h"
#include "formats/digits_simd.h"

enum {
    ROUNDS = 300,
    ROWS = 700, /* more than one block */
};

#if defined(__x86_64__)

/* Text in the middle of other bytes, so that what stands around it is seen if it counts. */
struct field {
    char all[64];
    char *s;
    size_t n;
};

static void put_field(struct field *f, const char *s, size_t n, size_t shift)
{
    memset(f->all, shift % 2 ? '7' : '.', sizeof f->all);
    f->s = f->all + 1 + shift % 16;
    f->n = n;
    memcpy(f->s, s, n);
}

/* Fails if a text of digits is another number, or one with another byte in it is one. */
static WH_AVX2 void test_digits(void **state)
{
    if (!wh_has_avx2())
        skip();
    for (size_t n = 1; n <= 16; n++) {
        for (size_t at = 0; at < n; at++) {
            for (int byte = 0; byte < 256; byte++) {
                struct field f;
                char text[17];
                uint64_t v, want = 0;
                for (size_t i = 0; i < n; i++)
                    text[i] = (char)('0' + (i * 7 + at + n) % 10);
                text[at] = (char)byte;
                put_field(&f, text, n, (size_t)byte);
                bool good = byte >= '0' && byte <= '9';
                for (size_t i = 0; i < n; i++)
                    want = want * 10 + (uint64_t)(text[i] - '0');
                assert_int_equal(wh_simd_digits((const uint8_t *)f.s, n, &v), good);
                if (good)
                    assert_int_equal(v, want);
            }
        }
    }
}

/* Fails if a point at any place makes another number, or two of them one. */
static WH_AVX2 void test_decimals(void **state)
{
    if (!wh_has_avx2())
        skip();
    for (size_t n = 1; n <= 16; n++) {
        for (size_t point = 0; point <= n; point++) {
            for (size_t second = point; second <= n; second++) {
                struct field f;
                char text[18];
                uint64_t v, want = 0;
                size_t at;
                for (size_t i = 0; i < n; i++) {
                    text[i] = (char)('0' + (i * 3 + point) % 10);
                    if (i == point || i == second)
                        text[i] = '.';
                    else
                        want = want * 10 + (uint64_t)(text[i] - '0');
                }
                bool good = second == point || second == n;
                put_field(&f, text, n, n + second);
                assert_int_equal(wh_simd_decimal((const uint8_t *)f.s, n, &v, &at), good);
                if (good) {
                    assert_int_equal(at, point < n ? point : second);
                    assert_int_equal(v, want);
                }
            }
        }
    }
}

/* Fails if a day is another one, if one is taken that number.h does not know, or if one that is no
 * last of February is left to it (and year 0). */
static WH_AVX2 void test_dates(void **state)
{
    if (!wh_has_avx2())
        skip();
    for (int y = 0; y < 10000; y += y < 1600 || y > 2400 ? 37 : 1) {
        for (int m = 0; m < 14; m++) {
            for (int d = 0; d < 33; d++) {
                struct field f;
                char text[40];
                int32_t days = -1, want = -2;
                snprintf(text, sizeof text, "%04d-%02d-%02d", y, m, d);
                put_field(&f, text, 10, (size_t)d);
                bool fast = wh_simd_date((const uint8_t *)f.s, &days),
                     good = wh_read_date(text, 10, &want);
                if (fast != (good && y && !(m == 2 && d == 29)) || (fast && days != want))
                    fail_msg("%s: %d %d, days %d %d", text, fast, good, days, want);
            }
        }
    }
    for (size_t at = 0; at < 10; at++) {
        for (int byte = 0; byte < 256; byte++) {
            struct field f;
            char text[] = "2021-12-11";
            int32_t days = -1, want = -2;
            text[at] = (char)byte;
            put_field(&f, text, 10, (size_t)byte);
            bool fast = wh_simd_date((const uint8_t *)f.s, &days),
                 good = wh_read_date(text, 10, &want);
            if ((fast && !good) || (fast && days != want))
                fail_msg("%s: %d %d, days %d %d", text, fast, good, days, want);
        }
    }
}
#endif

/* ---- whole files ------------------------------------------------------------------------------
 */

struct story {
    const struct ArrowSchema *schema;
    struct wh_buf text;
    struct wh_error err;
};

static wh_status on_reject(void *arg, const struct wh_text_reject *r)
{
    struct story *s = arg;
    return wh_buf_printf(&s->text, "!%s %lld %lld %d %s\n", r->code, (long long)r->line,
                         (long long)r->offset, r->column, r->text);
}

static void tell(void *arg, struct wh_batch *b)
{
    struct story *s = arg;
    struct wh_view v[16];
    assert_ok(wh_views_init(s->schema, &b->rows, v, &s->err));
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < s->schema->n_children; c++) {
            if (wh_view_null(&v[c], r))
                assert_ok(wh_buf_adds(&s->text, "NULL"));
            else
                assert_ok(wh_view_text(&v[c], r, &s->text));
            assert_ok(wh_buf_addc(&s->text, '|'));
        }
        assert_ok(wh_buf_addc(&s->text, '\n'));
    }
    wh_batch_release(b);
}

static size_t chance(size_t below)
{
    return (size_t)random() % below;
}

static void add_digits(struct wh_buf *b, size_t n)
{
    while (n--)
        assert_ok(wh_buf_addc(b, (char)('0' + chance(10))));
}

/* A text as the column has them, or nearly one, or another. */
static void add_field(struct wh_buf *b, enum wh_kind kind, unsigned odd)
{
    unsigned form = kind == WH_K_I64 ? 1 : kind == WH_K_F64 ? 3 : kind == WH_K_UTF8 ? 5 : 6;
    static const char *const words[] = {"",
                                        "0",
                                        "-0",
                                        "00",
                                        "-",
                                        ".",
                                        "-.5",
                                        "5.",
                                        "+1",
                                        "1e3",
                                        "NA",
                                        "nan",
                                        "inf",
                                        "0.0",
                                        "-0.0",
                                        "01.5",
                                        "\"1\"",
                                        "\"\"",
                                        "\"a,b\"",
                                        "\"q\"\"q\"",
                                        "1 ",
                                        " 1",
                                        "2024-02-29",
                                        "2023-02-29",
                                        "a",
                                        "\xc3\xa9",
                                        "\\N",
                                        "1.2.3",
                                        "--1",
                                        "9223372036854775807",
                                        "0000-01-01",
                                        "1999-1-01",
                                        "9007199254740993",
                                        "0.1000000000000001",
                                        "1:00",
                                        "1/2",
                                        "x\"y"};
    size_t begin = b->n;
    switch (chance(odd) ? form : chance(7)) {
    case 0:
        assert_ok(wh_buf_adds(b, words[chance(sizeof words / sizeof *words)]));
        return;
    case 1:
    case 2:
        assert_ok(wh_buf_adds(b, chance(4) ? "" : "-"));
        assert_ok(wh_buf_addc(b, (char)('1' + chance(9))));
        add_digits(b, chance(18));
        break;
    case 3:
    case 4:
        assert_ok(wh_buf_adds(b, chance(4) ? "" : "-"));
        add_digits(b, 1 + chance(9));
        assert_ok(wh_buf_addc(b, '.'));
        add_digits(b, 1 + chance(9));
        break;
    case 5:
        for (size_t n = chance(80); n; n--)
            assert_ok(wh_buf_addc(b, (char)('a' + chance(26))));
        break;
    default:
        assert_ok(wh_buf_printf(b, "%04zu-%02zu-%02zu", 1 + chance(3000), 1 + chance(12),
                                1 + chance(31)));
    }
    if (!chance(odd) && b->n > begin)
        b->p[begin + chance(b->n - begin)] = "0123456789.-+e :\x80"[chance(17)];
}

static void read_with(struct wh_csv_config *cfg, const struct wh_buf *file, int simd, size_t step,
                      struct story *s)
{
    struct wh_text_rows rows = {NULL, NULL};
    *s = (struct story){.schema = cfg->schema, .text = WH_BUF(1 << 26)};
    cfg->simd = simd;
    cfg->arg = s;
    assert_ok(wh_csv_reader_new(cfg, &rows.csv, &s->err));
    assert_int_equal(read_rows(&rows, file->p, file->n, 0, step, tell, s, &s->err), WH_END);
    wh_text_rows_free(&rows);
}

/* Rejects come block by block, so they are compared as a file of lines, not where they stand. */
static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char **lines_of(struct wh_buf *b, size_t *ret_n)
{
    char **v = wh_calloc(b->n + 1, sizeof *v);
    assert_non_null(v);
    *ret_n = 0;
    assert_ok(wh_buf_addc(b, '\0'));
    for (char *p = b->p, *end; (end = strchr(p, '\n')); p = end + 1) {
        *end = 0;
        v[(*ret_n)++] = p;
    }
    qsort(v, *ret_n, sizeof *v, by_text);
    return v;
}

static void same_lines(struct story *a, struct story *b, int round)
{
    size_t n, m;
    char **x = lines_of(&a->text, &n), **y = lines_of(&b->text, &m);
    for (size_t i = 0; i < n && i < m; i++)
        if (strcmp(x[i], y[i]) != 0)
            fail_msg("round %d: slow '%s', fast '%s'", round, x[i], y[i]);
    assert_int_equal(n, m);
    wh_free(x);
    wh_free(y);
}

static const char *const NAMES[] = {
    "c0",
    "c1",
    "",
    "a key of some sixteen",
    "a key of more than thirty-two bytes",
    "a key of so many bytes that it is not kept to be compared, nor is this",
    "k\xc3\xa9y",
    "c7"};

static void make_schema(struct ArrowSchema *s, const enum wh_kind *kinds, int64_t columns,
                        bool guessed)
{
    static const char *const meta[] = {WH_META_GUESSED, "1", NULL};
    assert_ok(wh_schema_init(s, columns));
    for (int64_t i = 0; i < columns; i++) {
        struct wh_type t = {.kind = kinds[i], .nullable = true};
        assert_ok(wh_schema_set(s, i, NAMES[i], &t, guessed ? meta : NULL));
    }
}

/* Fails if a file is other rows or other rejects for the machine's best than for the plain reader:
 * all types that have a fast path, guessed or declared, words for null, quotes, empty lines and
 * comments between, any window. */
static void test_files(void **state)
{
    static const enum wh_kind all[] = {WH_K_I64, WH_K_F64, WH_K_DATE32, WH_K_UTF8};
    unsigned seed = 4711;
    print_message("seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < ROUNDS; round++) {
        struct wh_buf file = WH_BUF(1 << 24);
        struct ArrowSchema schema;
        struct story slow, fast;
        enum wh_kind kinds[8];
        int64_t columns = 1 + (int64_t)chance(8);
        unsigned odd = chance(3) ? 100 : 8;
        for (int64_t i = 0; i < columns; i++)
            kinds[i] = all[chance(4)];
        make_schema(&schema, kinds, columns, chance(2));
        struct wh_csv_config cfg = {.dialect = wh_csv_dialect_default(),
                                    .schema = &schema,
                                    .n_fields = columns,
                                    .line = 1,
                                    .stop_at = -1,
                                    .max_rows = -1,
                                    .buffer = chance(3) ? 0 : 4096,
                                    .reject = on_reject};
        if (!chance(3))
            assert_true(wh_csv_add_null(&cfg.dialect, WH_STR("NA")));
        if (!chance(8))
            assert_true(wh_csv_add_null(&cfg.dialect, WH_STR("-0.0")));
        cfg.dialect.empty_null = chance(4);
        cfg.dialect.decimal = chance(8) ? '.' : ';';
        for (size_t r = chance(ROWS); r; r--) {
            for (int64_t c = 0; c < columns; c++) {
                if (c)
                    assert_ok(wh_buf_addc(&file, ','));
                add_field(&file, kinds[c], odd);
            }
            assert_ok(wh_buf_adds(&file, chance(100) ? "\n" : "\r\n\n"));
        }
        read_with(&cfg, &file, 0, SIZE_MAX, &slow);
        read_with(&cfg, &file, 2, chance(2) ? SIZE_MAX : 1000 + chance(5000), &fast);
        same_lines(&slow, &fast, round);
        wh_buf_free(&slow.text);
        wh_buf_free(&fast.text);
        wh_buf_free(&file);
        wh_schema_release(&schema);
    }
}

/* ---- JSON --------------------------------------------------------------------------------------
 */

static void add_blank(struct wh_buf *b, unsigned odd)
{
    if (!chance(odd))
        assert_ok(wh_buf_adds(b, chance(3) ? " " : "\t  "));
}

/* A value as the column has them, or nearly one, or another. */
static void add_value(struct wh_buf *b, enum wh_kind kind, unsigned odd)
{
    static const char *const words[] = {"null",
                                        "true",
                                        "0",
                                        "-0",
                                        "-0.0",
                                        "01",
                                        "1.",
                                        ".5",
                                        "-",
                                        "1e3",
                                        "1E+2",
                                        "\"\"",
                                        "\"",
                                        "\"a\\n\"",
                                        "\"\\\"\"",
                                        "\"\\u00e9\"",
                                        "[1,2]",
                                        "{}",
                                        "{\"a\":1}",
                                        "\"1\"",
                                        "nul",
                                        "nullx",
                                        "\"2024-02-29\"",
                                        "\"2023-02-29\"",
                                        "\"2024-01-01 \"",
                                        "\"a\tb\"",
                                        "123456789012345678",
                                        "9007199254740993",
                                        "1234567890123456",
                                        "123456789012345",
                                        "0.1000000000000001",
                                        "12345678901234.5",
                                        "\"\xc3\xa9\"",
                                        "\"\xff\"",
                                        "+1",
                                        "1 2"};
    bool quoted = kind == WH_K_UTF8 || kind == WH_K_DATE32;
    if (!chance(odd)) {
        assert_ok(wh_buf_adds(b, words[chance(sizeof words / sizeof *words)]));
        return;
    }
    if (quoted)
        assert_ok(wh_buf_addc(b, '"'));
    add_field(b, kind, 1u << 30);
    if (quoted)
        assert_ok(wh_buf_addc(b, '"'));
}

static void add_member(struct wh_buf *b, const char *key, enum wh_kind kind, unsigned odd)
{
    add_blank(b, odd);
    assert_ok(wh_buf_printf(b, "\"%s\"", key));
    add_blank(b, odd);
    assert_ok(wh_buf_addc(b, ':'));
    add_blank(b, odd);
    size_t begin = b->n;
    add_value(b, kind, odd);
    if (!chance(odd) && b->n > begin)
        b->p[begin + chance(b->n - begin)] = "0123456789.-+e :\"\\{}[],\x80"[chance(25)];
    add_blank(b, odd);
}

static void add_object(struct wh_buf *b, const enum wh_kind *kinds, int64_t columns, unsigned odd)
{
    size_t begin = b->n;
    bool first = true;
    assert_ok(wh_buf_addc(b, '{'));
    for (int64_t c = 0; c < columns; c++) {
        int64_t at = chance(odd) ? c : (int64_t)chance((size_t)columns);
        if (!chance(odd))
            continue;
        if (!first)
            assert_ok(wh_buf_addc(b, ','));
        first = false;
        add_member(b, chance(odd) ? NAMES[at] : "other", kinds[at], odd);
    }
    assert_ok(wh_buf_addc(b, '}'));
    if (!chance(odd) && !chance(4)) /* cut off, or a byte gone */
        b->n = begin + chance(b->n - begin);
}

static void read_json_with(struct wh_json_config *cfg, const struct wh_buf *file, bool plain_rows,
                           size_t step, struct story *s)
{
    struct wh_text_rows rows = {NULL, NULL};
    *s = (struct story){.schema = cfg->schema, .text = WH_BUF(1 << 26)};
    cfg->plain = plain_rows;
    cfg->arg = s;
    assert_ok(wh_json_reader_new(cfg, &rows.json, &s->err));
    int st = read_rows(&rows, file->p ? file->p : "", file->n, 0, step, tell, s, &s->err);
    assert_ok(wh_buf_printf(&s->text, "%d %s %s\n", st, st < 0 ? s->err.code : "",
                            st < 0 ? s->err.message : ""));
    wh_text_rows_free(&rows);
}

/* Fails if a text is other rows or other rejects for the machine's best than for the plain reader:
 * in all layouts, with keys of all lengths, missing, in another order, twice, unknown. */
static void test_json(void **state)
{
    static const enum wh_kind all[] = {WH_K_I64, WH_K_F64, WH_K_DATE32, WH_K_UTF8};
    static const unsigned odds[] = {6, 30, 300, 3000};
    unsigned seed = 815;
    print_message("seed %u\n", seed);
    srandom(seed);
    for (int round = 0; round < 2 * ROUNDS; round++) {
        struct wh_buf file = WH_BUF(1 << 24);
        struct ArrowSchema schema;
        struct story slow, fast;
        enum wh_kind kinds[8];
        int64_t columns = 1 + (int64_t)chance(8);
        unsigned odd = odds[chance(4)];
        enum wh_json_layout layout = (enum wh_json_layout)(round % 3);
        for (int64_t i = 0; i < columns; i++)
            kinds[i] = all[chance(4)];
        make_schema(&schema, kinds, columns, chance(2));
        struct wh_json_config cfg = {.schema = &schema,
                                     .refuse_unknown = chance(2),
                                     .layout = layout,
                                     .line = 1,
                                     .stop_at = -1,
                                     .max_rows = -1,
                                     .buffer = chance(3) ? 0 : 4096,
                                     .reject = on_reject};
        for (size_t r = chance(ROWS); r; r--) {
            add_object(&file, kinds, columns, odd);
            if (layout != WH_JSON_VALUES || chance(2))
                assert_ok(wh_buf_adds(&file, layout == WH_JSON_ARRAY ? (r > 1 ? "," : "]")
                                             : chance(9)             ? "\n"
                                                                     : "\r\n"));
        }
        read_json_with(&cfg, &file, true, SIZE_MAX, &slow);
        read_json_with(&cfg, &file, false, chance(2) ? SIZE_MAX : 1000 + chance(5000), &fast);
        same_lines(&slow, &fast, round);
        wh_buf_free(&slow.text);
        wh_buf_free(&fast.text);
        wh_buf_free(&file);
        wh_schema_release(&schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#if defined(__x86_64__)
        cmocka_unit_test(test_digits),
        cmocka_unit_test(test_decimals),
        cmocka_unit_test(test_dates),
#endif
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_json),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
