/* SPDX-License-Identifier: Apache-2.0 */
/* The CSV reader and writer: what a text means, place by place. Each test fails if its sentence
 * stops being true. */
#include "test.h"

#include <stdlib.h>

#include "../lib/read_rows.h"

/* ---- reading a text whole ---------------------------------------------------------------------
 */

struct outcome {
    const struct ArrowSchema *schema;
    struct wh_buf text; /* cells as [text] or NULL, '|' between, '\n' behind each row */
    int64_t rows, rejects;
    char first_reject[300], first_raw[60];
    struct wh_error err;
    int status;
};

static wh_status on_reject(void *arg, const struct wh_text_reject *r)
{
    struct outcome *o = arg;
    if (o->rejects++)
        return WH_OK;
    snprintf(o->first_reject, sizeof o->first_reject, "%s line %lld byte %lld column %d: %s",
             r->code, (long long)r->line, (long long)r->offset, r->column, r->text);
    snprintf(o->first_raw, sizeof o->first_raw, "%.*s", (int)r->raw.n, (const char *)r->raw.p);
    return WH_OK;
}

static void show_batch(void *arg, struct wh_batch *b)
{
    struct outcome *o = arg;
    const struct ArrowSchema *schema = o->schema;
    struct wh_view views[64];
    assert_ok(wh_views_init(schema, &b->rows, views, &o->err));
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < schema->n_children; c++) {
            if (c)
                assert_ok(wh_buf_addc(&o->text, '|'));
            if (wh_view_null(&views[c], r)) {
                assert_ok(wh_buf_adds(&o->text, "NULL"));
                continue;
            }
            assert_ok(wh_buf_addc(&o->text, '['));
            assert_ok(wh_view_text(&views[c], r, &o->text));
            assert_ok(wh_buf_addc(&o->text, ']'));
        }
        assert_ok(wh_buf_addc(&o->text, '\n'));
    }
    o->rows += b->n_rows;
    wh_batch_release(b);
}

/* Feeds `n` bytes in steps of `step`. */
static struct outcome read_text(const struct wh_csv_config *given, const char *types,
                                const char *text, size_t n, size_t step)
{
    struct outcome o = {.text = WH_BUF(64 << 20)};
    struct ArrowSchema schema = {0};
    struct wh_csv_config cfg = *given;
    struct wh_text_rows r = {NULL, NULL};
    int64_t n_columns = (int64_t)strlen(types);
    assert_ok(wh_schema_init(&schema, n_columns));
    for (int64_t i = 0; i < n_columns; i++) {
        char name[16];
        struct wh_type t = {.kind = WH_K_UTF8, .nullable = true};
        if (types[i] == 'i')
            t.kind = WH_K_I64;
        if (types[i] == 'f')
            t.kind = WH_K_F64;
        if (types[i] == 'd')
            t.kind = WH_K_DATE32;
        if (types[i] == 'n')
            t = (struct wh_type){
                .kind = WH_K_DEC128, .precision = 10, .scale = 2, .nullable = true};
        snprintf(name, sizeof name, "c%d", (int)i);
        assert_ok(wh_schema_set(&schema, i, name, &t, NULL));
    }
    o.schema = cfg.schema = &schema;
    if (!cfg.n_fields)
        cfg.n_fields = n_columns;
    cfg.reject = on_reject;
    cfg.arg = &o;
    cfg.line = 1;
    assert_ok(wh_csv_reader_new(&cfg, &r.csv, &o.err));
    o.status = read_rows(&r, text, n, 0, step, show_batch, &o, &o.err);
    wh_text_rows_free(&r);
    wh_schema_release(&schema);
    return o;
}

static struct wh_csv_config plain(void)
{
    return (struct wh_csv_config){
        .dialect = wh_csv_dialect_default(), .stop_at = -1, .max_rows = -1, .simd = -1};
}

/* Every kernel and every way of cutting must say the same. */
static void expect(const struct wh_csv_config *cfg, const char *types, const char *text,
                   const char *want)
{
    static const size_t steps[] = {1, 3, 7, 1 << 20};
    for (int simd = 0; simd <= 2; simd++) {
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
            struct wh_csv_config c = *cfg;
            c.simd = simd;
            c.buffer = steps[i] < 100 ? 64 : 0;
            struct outcome o = read_text(&c, types, text, strlen(text), steps[i]);
            if (o.status != WH_END)
                fail_msg("%s: %s", text, o.err.message);
            assert_string_equal(o.text.n ? o.text.p : "", want);
            if (o.rejects)
                fail_msg("rejected: %s", o.first_reject);
            wh_buf_free(&o.text);
        }
    }
}

static void expect_reject(const struct wh_csv_config *cfg, const char *types, const char *text,
                          const char *want_rows, const char *want_reject)
{
    for (int simd = 0; simd <= 2; simd++) {
        struct wh_csv_config c = *cfg;
        c.simd = simd;
        struct outcome o = read_text(&c, types, text, strlen(text), 5);
        assert_int_equal(o.status, WH_END);
        assert_string_equal(o.text.n ? o.text.p : "", want_rows);
        assert_int_equal(o.rejects, 1);
        assert_string_equal(o.first_reject, want_reject);
        wh_buf_free(&o.text);
    }
}

/* ---- meaning ----------------------------------------------------------------------------------
 */

/* Fails if a line end, a quote, or the difference between NULL and empty is lost. */
static void test_text(void **state)
{
    struct wh_csv_config c = plain();
    expect(&c, "tt", "a,b\nc,d\n", "[a]|[b]\n[c]|[d]\n");
    expect(&c, "tt", "a,b\r\nc,d\r\n", "[a]|[b]\n[c]|[d]\n");
    expect(&c, "tt", "a,b\rc,d\r", "[a]|[b]\n[c]|[d]\n");
    expect(&c, "tt", "a,b\rc,d\ne,f\r\ng,h", "[a]|[b]\n[c]|[d]\n[e]|[f]\n[g]|[h]\n");
    expect(&c, "tt", "\"a,\"\"b\",\"\nx\r\n\"\n", "[a,\"b]|[\nx\r\n]\n");
    expect(&c, "tt", ",\"\"\n\"\",\n", "NULL|[]\n[]|NULL\n");
    expect(&c, "tt", "\"\"\"\",\"\"\"\"\"\"\n", "[\"]|[\"\"]\n");
    expect(&c, "tt", "\n\na,b\n\n\r\nc,d\n\n", "[a]|[b]\n[c]|[d]\n");
    expect(&c, "t", "a\n\nb\n\"\"\n", "[a]\nNULL\n[b]\n[]\n");
    expect(&c, "tt", "a,b\x1a", "[a]|[b]\n");
    expect(&c, "tt", "", "");
    expect(&c, "tt", "\xc3\xa9,\xf0\x9f\x98\x80\n", "[\xc3\xa9]|[\xf0\x9f\x98\x80]\n");
}

/* Fails if a quote that is data is taken for syntax. */
static void test_stray_quotes(void **state)
{
    struct wh_csv_config c = plain();
    expect(&c, "tt", "12\" monitor,b\n5\" x 7\",\"c\nd\"\n",
           "[12\" monitor]|[b]\n[5\" x 7\"]|[c\nd]\n");
    expect(&c, "tt", "a \"b, c\"\nx\"\"y,z\n", "[a \"b]|[ c\"]\n[x\"\"y]|[z]\n");
    expect_reject(&c, "tt", "a,b\n\"x\"y,z\nc,d\n", "[a]|[b]\n[c]|[d]\n",
                  "E6014 line 2 byte 4 column -1: text after a closing quote");
}

/* Fails if a dialect option is ignored in one of the kernels. */
static void test_dialects(void **state)
{
    struct wh_csv_config c = plain();
    c.dialect.delimiter[0] = ';';
    c.dialect.decimal = ',';
    expect(&c, "ff", "1,5;-2\n\"3,25\";\n", "[1.5]|[-2.0]\n[3.25]|NULL\n");
    c = plain();
    memcpy(c.dialect.delimiter, "||", 2);
    c.dialect.delimiter_n = 2;
    expect(&c, "tt", "a|b||c\n\"x||y\"||\n", "[a|b]|[c]\n[x||y]|NULL\n");
    c = plain();
    c.dialect.quote = -1;
    expect(&c, "tt", "\"a,b\"\n", "[\"a]|[b\"]\n");
    c = plain();
    c.dialect.escape = '\\';
    expect(&c, "tt", "\"a\\\"b\",c\\,d\n\"\\\\\",\\\n\n", "[a\"b]|[c,d]\n[\\]|[\n]\n");
    /* An escaped line end that ends the file is text, an escape that ends it is itself. */
    expect(&c, "tt", "1,2\n3,4\\\n", "[1]|[2]\n[3]|[4\n]\n");
    expect(&c, "tt", "1,2\n3,4\\", "[1]|[2]\n[3]|[4\\]\n");
    expect(&c, "tt", "1,2\n\"3\",\\\r\n", "[1]|[2]\n[3]|[\r]\n");
    c = plain();
    c.dialect.comment = '#';
    c.dialect.max_row = 20;
    expect(&c, "tt", "a,b\n# a comment longer, \"than a row may be, and than a window of 64\nc,d\n",
           "[a]|[b]\n[c]|[d]\n");
    c.dialect.max_row = WH_CSV_MAX_ROW;
    expect(&c, "tt", "# x, \"y\na,#b\n#\"\nc,d\n", "[a]|[#b]\n[c]|[d]\n");
}

/* Fails if a null text is missed, or taken inside quotes in a text column. */
static void test_nulls(void **state)
{
    struct wh_csv_config c = plain();
    assert_true(wh_csv_add_null(&c.dialect, WH_STR("NA")));
    expect(&c, "tif", "NA,NA,NA\n\"NA\",\"NA\",1\n", "NULL|NULL|NULL\n[NA]|NULL|[1.0]\n");
    c.dialect.empty_null = false;
    expect(&c, "tif", ",,\n", "[]|NULL|NULL\n");
    c = plain();
    assert_true(wh_csv_add_null(&c.dialect, WH_STR("-999")));
    expect(&c, "if", "-999,-999\n-99,-999.0\n", "NULL|NULL\n[-99]|[-999.0]\n");
}

/* Fails if a number or date changes on its way. */
static void test_values(void **state)
{
    struct wh_csv_config c = plain();
    expect(&c, "i",
           "0\n-0\n12345678\n123456789\n-1234567890123456\n9223372036854775807\n"
           "-9223372036854775808\n\"42\"\n",
           "[0]\n[0]\n[12345678]\n[123456789]\n[-1234567890123456]\n[9223372036854775807]\n"
           "[-9223372036854775808]\n[42]\n");
    expect(&c, "f",
           "0.1\n-0.0\n1e3\n48.053808600000004\n123456789012345.6\n.5\n5.\n999999999999999\n",
           "[0.1]\n[-0.0]\n[1000.0]\n[48.0538086]\n[123456789012345.6]\n[0.5]\n[5.0]\n"
           "[999999999999999.0]\n");
    expect(&c, "dn", "2024-02-29,-12.30\n", "[2024-02-29]|[-12.30]\n");
}

/* Fails if a cell that does not fit becomes a NULL, or its neighbours are lost. */
static void test_dirty(void **state)
{
    struct wh_csv_config c = plain();
    expect_reject(&c, "it", "1,a\n2x,b\n3,c\n", "[1]|[a]\n[3]|[c]\n",
                  "E6006 line 2 byte 4 column 0: column 'c0': '2x' is not a value of type int64");
    expect_reject(&c, "it", "1,a\n2\n3,c\n", "[1]|[a]\n[3]|[c]\n",
                  "E6011 line 2 byte 4 column -1: 1 fields where 2 are expected");
    expect_reject(&c, "it", "1,a\n2,b,c\n3,c\n", "[1]|[a]\n[3]|[c]\n",
                  "E6011 line 2 byte 4 column -1: 3 fields where 2 are expected");
    expect_reject(&c, "it", "1,\"a\n\n\"\n2,\xff\n3,c\n", "[1]|[a\n\n]\n[3]|[c]\n",
                  "E6005 line 4 byte 8 column 1: column 'c1': '\xff' is not valid UTF-8");
    c.dialect.max_row = 10;
    c.buffer = 32;
    expect_reject(&c, "it",
                  "1,a\n2,\"bbbbbbbbbbbbbbbbbbbbb\n,bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\"\n3,c\n",
                  "[1]|[a]\n[3]|[c]\n",
                  "E6010 line 2 byte 4 column -1: the row is larger than max_row_bytes");
}

/* Fails if a guessed type changes a text that the guess would not have taken for a number. */
static void test_guessed_strict(void **state)
{
    static const char *const texts[] = {"1,1.5,true\n",
                                        "007,1.5,true\n",
                                        "+7,1.5,true\n",
                                        "-0,1.5,true\n",
                                        "1,01.5,true\n",
                                        "1,+1.5,true\n",
                                        "1,1.5,1\n",
                                        "1,0.1000000000000000055,true\n",
                                        "0,-0.0,FALSE\n",
                                        "1,48.053808600000004,false\n",
                                        "-7,0.5,false\n",
                                        "1,12345678901234567,true\n",
                                        "1,9007199254740993,true\n",
                                        "1,9007199254740992,true\n"};
    static const bool good[] = {true,  false, false, false, false, false, false,
                                false, true,  true,  true,  false, false, true};
    static const char *const meta[] = {WH_META_GUESSED, "1", NULL};
    static const enum wh_kind kinds[] = {WH_K_I64, WH_K_F64, WH_K_BOOL};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        for (int guessed = 0; guessed <= 1; guessed++) {
            struct wh_csv_config c = plain();
            struct ArrowSchema schema;
            struct wh_csv_reader *r;
            struct outcome o = {.text = WH_BUF(1 << 20)};
            struct wh_batch b = {0};
            bool hungry;
            void *p;
            size_t room;
            assert_ok(wh_schema_init(&schema, 3));
            for (int k = 0; k < 3; k++) {
                struct wh_type t = {.kind = kinds[k], .nullable = true};
                assert_ok(wh_schema_set(&schema, k, "c", &t, guessed ? meta : NULL));
            }
            c.schema = &schema;
            c.n_fields = 3;
            c.reject = on_reject;
            c.arg = &o;
            assert_ok(wh_csv_reader_new(&c, &r, &o.err));
            assert_ok(wh_csv_space(r, &p, &room, &o.err));
            memcpy(p, texts[i], strlen(texts[i]));
            wh_csv_filled(r, strlen(texts[i]), true);
            int st = wh_csv_next(r, &b, &hungry, &o.err);
            if ((st == WH_OK) != (good[i] || !guessed))
                fail_msg("%s guessed %d: %s", texts[i], guessed, o.first_reject);
            wh_batch_release(&b);
            wh_csv_reader_free(r);
            wh_schema_release(&schema);
        }
    }
}

/* Fails if an open quote is closed by the end of the file, or if what stands behind it is read,
 * lost or told twice: all of it is one reject. */
static void test_unterminated(void **state)
{
    static const struct {
        const char *text, *raw, *reject;
    } cases[] = {
        {"a,b\nc,\"d\ne,f\n", "c,\"d\ne,f\n",
         "E6022 line 2 byte 4 column -1: the quote opened at line 2, byte 6 never ends: the rest "
         "of "
         "the file, 9 bytes on 2 lines, is in this row"},
        {"a,b\n\"", "\"",
         "E6022 line 2 byte 4 column -1: the quote opened at line 2, byte 4 never ends: the rest "
         "of "
         "the file, 1 bytes on 1 line, is in this row"},
        {"a,b\r\nc,\"d\"\",\r\n\"\"\x1a", "c,\"d\"\",\r\n\"\"",
         "E6022 line 2 byte 5 column -1: the quote opened at line 2, byte 7 never ends: the rest "
         "of "
         "the file, 11 bytes on 2 lines, is in this row"},
    };
    static const size_t steps[] = {1, 3, 4, 1 << 20}, buffers[] = {8, 0};
    struct wh_csv_config c = plain();
    for (unsigned how = 0; how < 3 * 3 * 4 * 2; how++) {
        size_t i = how % 3;
        c.simd = (int)(how / 3 % 3);
        c.buffer = buffers[how / 36];
        struct outcome o =
            read_text(&c, "tt", cases[i].text, strlen(cases[i].text), steps[how / 9 % 4]);
        assert_int_equal(o.status, WH_END);
        assert_string_equal(o.text.p, "[a]|[b]\n");
        assert_int_equal(o.rejects, 1);
        assert_string_equal(o.first_reject, cases[i].reject);
        assert_string_equal(o.first_raw, cases[i].raw);
        wh_buf_free(&o.text);
    }
}

/* Fails if rows behind the quote of a row whose bytes are not kept are thought to be none. */
static void test_unterminated_large(void **state)
{
    static const char text[] = "a,b\nc,\"d\ne,f\ng,h\ni,k\n";
    static const size_t steps[] = {1, 3, 7, 1 << 20};
    struct wh_csv_config c = plain();
    for (size_t max_row = 5; max_row <= 18; max_row++) {
        for (int k = 0; k < 4; k++) {
            c.dialect.max_row = max_row;
            struct outcome o = read_text(&c, "tt", text, sizeof text - 1, steps[k]);
            bool fits = max_row >= 17;
            assert_int_equal(o.status, fits ? WH_END : WH_E_DATA);
            assert_int_equal(o.rejects, 1);
            assert_memory_equal(o.first_reject,
                                fits ? "E6022 line 2 byte 4" : "E6010 line 2 byte 4", 19);
            if (!fits) {
                assert_string_equal(o.err.code, "E4003");
                assert_string_equal(o.err.message,
                                    "line 2, byte 4: the row that begins here is larger than "
                                    "max_row_bytes and never ends; which rows stand behind it "
                                    "cannot be told");
            }
            wh_buf_free(&o.text);
        }
    }
}

/* Fails if the range's end cuts or keeps a record too many. */
static void test_stop_and_limit(void **state)
{
    struct wh_csv_config c = plain();
    c.stop_at = 4;
    expect(&c, "tt", "a,b\nc,d\ne,f\n", "[a]|[b]\n");
    c.stop_at = 5;
    expect(&c, "tt", "a,b\nc,d\ne,f\n", "[a]|[b]\n[c]|[d]\n");
    c.stop_at = -1;
    c.max_rows = 2;
    expect(&c, "tt", "a,b\nc,d\ne,f\n", "[a]|[b]\n[c]|[d]\n");
}

/* Fails if a start in the middle of a file is not a record start. */
static void test_sync(void **state)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    assert_int_equal(wh_csv_sync(&d, "b\nc,d\n", 6, WH_CSV_OUTSIDE), 2);
    assert_int_equal(wh_csv_sync(&d, "b\r\nc,d\n", 7, WH_CSV_OUTSIDE), 3);
    assert_int_equal(wh_csv_sync(&d, "b\r", 2, WH_CSV_OUTSIDE), -1);
    assert_int_equal(wh_csv_sync(&d, "x\",\"\n\",z\nq", 10, WH_CSV_INSIDE), 9);
    assert_int_equal(wh_csv_sync(&d, "x\n\"\"y\",\"\n\",z\nq", 14, WH_CSV_INSIDE), 13);
    const char *t = "x,y\nzz\nq\",1\n\"a,\nb\",2\n\"c\nd\",3\n\"e\",4\n";
    assert_int_equal(wh_csv_guess_place(&d, t, strlen(t), 2), WH_CSV_INSIDE);
    assert_int_equal(wh_csv_guess_place(&d, t + 10, strlen(t) - 10, 2), WH_CSV_OUTSIDE);
    assert_int_equal(wh_csv_guess_place(&d, t + 12, strlen(t) - 12, 2), WH_CSV_FIELD);
}

/* ---- looking ----------------------------------------------------------------------------------
 */

static void expect_look(const char *text, const char *want)
{
    struct wh_csv_ask ask = {
        .dialect = wh_csv_dialect_default(), .delimiter_auto = true, .header = WH_CSV_HEADER_AUTO};
    struct wh_csv_shape shape;
    struct wh_csv_guess *g;
    struct ArrowSchema schema;
    struct wh_error err = {0};
    char got[1000] = "", note[200];
    struct wh_buf out = WH_BUF(4096);
    assert_ok(wh_csv_look(&ask, text, strlen(text), true, &shape, &err));
    assert_ok(wh_csv_guess_new(shape.n_columns, &g));
    assert_ok(wh_csv_guess_add(g, &shape, text + shape.data_at, strlen(text) - shape.data_at, true,
                               10000));
    snprintf(note, sizeof note, "%s", shape.note);
    assert_ok(
        wh_csv_guess_schema(g, shape.names, false, &shape.dialect, &schema, note, sizeof note));
    for (int64_t i = 0; i < schema.n_children; i++) {
        struct wh_type t;
        wh_buf_clear(&out);
        assert_ok(wh_type_of(schema.children[i], &t, &err));
        assert_ok(wh_type_print(&t, &out));
        size_t n = strlen(got);
        snprintf(got + n, sizeof got - n, "%s%s %s", i ? ", " : "", schema.children[i]->name,
                 out.p);
    }
    size_t n = strlen(got);
    snprintf(got + n, sizeof got - n, " | %c %s", shape.dialect.delimiter[0], note);
    assert_string_equal(got, want);
    wh_buf_free(&out);
    wh_schema_release(&schema);
    wh_csv_guess_free(g);
    wh_csv_shape_free(&shape);
}

/* Fails if a column's type, name or a null word is guessed otherwise. */
static void test_guess(void **state)
{
    expect_look("id,name,at\n1,x,2013-01-01T10:00:00Z\n",
                "id int64, name utf8, at timestamp(us, utc) | , ");
    expect_look("a;b;c\n1;1.5;2020-01-01\n2;NA;2021-12-31\n",
                "a int64, b float64, c date | ; NA = NULL");
    expect_look("a\tb\n007\t1e3\n010\t48.053808600000004\n", "a utf8, b float64 | \t ");
    expect_look("a,b,c,d\n+5,1234567890123456,0.1000000000000000055,true\n"
                "6,12,0.2,false\n",
                "a utf8, b utf8, c utf8, d bool | , ");
    expect_look("1,x\n2,y\n", "c1 int64, c2 utf8 | , no header line: columns are c1, c2...");
    expect_look("sep=;\na;b\n1;2\n", "a int64, b int64 | ; sep= line dropped");
    expect_look("\xef\xbb\xbf"
                "a,a\n1,NA\n",
                "a int64, a_2 utf8 | , byte order mark dropped; "
                "second column 'a' is named 'a_2'");
    expect_look("1|x|\n2|y|\n", "c1 int64, c2 utf8 | | delimiter at line ends dropped; "
                                "no header line: columns are c1, c2...");
    expect_look("\"a\",\"b\"\n\"1\",\"NA\"\n\"2\",\"3\"\n", "a int64, b utf8 | , ");
    expect_look("n\n1\n\n2\n", "n int64 | , ");
    expect_look("t\n2020-01-01 10:00:00\n2020-01-01 10:00:00.123456789\n", "t timestamp(ns) | , ");
    expect_look("t\n2020-01-01\n2020-01-01 10:00:00\n", "t utf8 | , ");
    expect_look("x\n.5\n-.25\n", "x float64 | , ");
    expect_look("x\n.\n1\n", "x utf8 | , ");
    expect_look("x\n-0\n1\n", "x float64 | , ");
    expect_look("x\nnan\ninf\n", "x utf8 | , ");
    expect_look("x\nnan\n1\n", "x float64 | , ");
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Fails if what we write reads back as something else. */
static void test_round_trip(void **state)
{
    const char *in = "1,\"a,b\",\"\",0.5\n,,\"NA\",\n-5,\"q\"\"q\",\"line\nend\",1e+300\n";
    struct wh_csv_config c = plain();
    struct ArrowSchema schema;
    static const enum wh_kind kinds[] = {WH_K_I64, WH_K_UTF8, WH_K_UTF8, WH_K_F64};
    static const char *const names[] = {"id", "x, y", "", "v"};
    assert_ok(wh_schema_init(&schema, 4));
    for (int i = 0; i < 4; i++) {
        struct wh_type t = {.kind = kinds[i], .nullable = true};
        assert_ok(wh_schema_set(&schema, i, names[i], &t, NULL));
    }
    struct wh_csv_reader *r;
    struct wh_error err = {0};
    struct wh_batch b = {0};
    bool hungry;
    void *p;
    size_t room;
    c.schema = &schema;
    c.n_fields = 4;
    assert_ok(wh_csv_reader_new(&c, &r, &err));
    assert_ok(wh_csv_space(r, &p, &room, &err));
    memcpy(p, in, strlen(in));
    wh_csv_filled(r, strlen(in), true);
    assert_ok(wh_csv_next(r, &b, &hungry, &err));
    assert_int_equal(b.n_rows, 3);
    assert_int_equal(b.source_bytes, strlen(in));
    struct wh_view views[4];
    assert_ok(wh_views_init(&schema, &b.rows, views, &err));
    struct wh_csv_format f = {.dialect = c.dialect};
    struct wh_csv_writer *w;
    struct wh_buf out = WH_BUF(1 << 20);
    assert_ok(wh_csv_writer_new(&f, &schema, &w, &err));
    assert_ok(wh_csv_write_header(w, &out));
    assert_ok(wh_csv_write(w, views, NULL, 0, 3, &out, &err));
    out.p[out.n] = 0;
    assert_string_equal(out.p, "id,\"x, y\",\"\",v\n1,\"a,b\",\"\",0.5\n,,\"NA\",\n"
                               "-5,\"q\"\"q\",\"line\nend\",1e+300\n");
    wh_csv_writer_free(w);
    wh_buf_free(&out);
    wh_batch_release(&b);
    wh_csv_reader_free(r);
    wh_schema_release(&schema);
}

/* Texts of `length` bytes, each a row: all letters, then with `byte` at every place. */
static void expect_places(size_t length, char byte, bool quotes)
{
    const struct wh_type t = {.kind = WH_K_UTF8, .nullable = true};
    struct ArrowSchema schema;
    struct wh_builder *b;
    struct wh_batch batch;
    struct wh_view view;
    struct wh_csv_writer *w;
    struct wh_csv_format f = {.dialect = wh_csv_dialect_default()};
    struct wh_buf out = WH_BUF(1 << 20), want = WH_BUF(1 << 20);
    assert_ok(wh_schema_init(&schema, 1));
    assert_ok(wh_schema_set(&schema, 0, "t", &t, NULL));
    assert_ok(wh_builder_new(&schema, &b, NULL));
    for (size_t at = 0; at <= length; at++) {
        char text[64];
        memset(text, 'x', sizeof text);
        if (at < length)
            text[at] = byte;
        assert_ok(wh_col_bytes(wh_builder_column(b, 0), text, length));
        bool marked = !length || (at < length && quotes);
        assert_ok(wh_buf_adds(&want, marked ? "\"" : ""));
        for (size_t i = 0; i < length; i++) {
            if (text[i] == '"')
                assert_ok(wh_buf_addc(&want, '"'));
            assert_ok(wh_buf_addc(&want, text[i]));
        }
        assert_ok(wh_buf_adds(&want, marked ? "\"\n" : "\n"));
    }
    assert_ok(wh_builder_finish(b, &batch));
    assert_ok(wh_views_init(&schema, &batch.rows, &view, NULL));
    assert_ok(wh_csv_writer_new(&f, &schema, &w, NULL));
    assert_ok(wh_csv_write(w, &view, NULL, 0, batch.n_rows, &out, NULL));
    assert_int_equal(out.n, want.n);
    assert_memory_equal(out.p, want.p, out.n);
    wh_csv_writer_free(w);
    wh_buf_free(&out);
    wh_buf_free(&want);
    wh_batch_release(&batch);
    wh_builder_free(b);
    wh_schema_release(&schema);
}

/* Fails if a byte that needs quotes is missed at some place of a text, or one that needs none is
 * quoted, or a byte behind the text counts. */
static void test_quotes_by_place(void **state)
{
    static const char marks[] = "\n\r,\"", others[] = "\v\f\t-+!# y";
    for (size_t length = 0; length < 40; length++) {
        for (size_t i = 0; marks[i]; i++)
            expect_places(length, marks[i], true);
        for (size_t i = 0; others[i]; i++)
            expect_places(length, others[i], false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),           cmocka_unit_test(test_stray_quotes),
        cmocka_unit_test(test_dialects),       cmocka_unit_test(test_nulls),
        cmocka_unit_test(test_values),         cmocka_unit_test(test_dirty),
        cmocka_unit_test(test_unterminated),   cmocka_unit_test(test_unterminated_large),
        cmocka_unit_test(test_guessed_strict), cmocka_unit_test(test_stop_and_limit),
        cmocka_unit_test(test_sync),           cmocka_unit_test(test_guess),
        cmocka_unit_test(test_round_trip),     cmocka_unit_test(test_quotes_by_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
