/* SPDX-License-Identifier: Apache-2.0 */
/* COPY BINARY in and out. Bytes marked "server" were made by PostgreSQL 15's own send functions. */
#include "sweep.h"
#include "test.h"

#include "data/number.h"
#include "pg.h"
#include "pg_codec.h"

#include <inttypes.h>
#include <stdlib.h>

/* ------------------------------------------------------------------- helpers */

static size_t unhex(const char *hex, uint8_t *out)
{
    size_t n = strlen(hex) / 2;

    for (size_t i = 0; i < n; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};

        out[i] = (uint8_t)strtoul(two, NULL, 16);
    }
    return n;
}

static uint64_t state;
static uint64_t draw(void)
{
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state;
}

static void seed(uint64_t s)
{
    state = s;
    print_message("seed %" PRIu64 "\n", s);
}

/* A decoder and an encoder for the same columns. */
struct rig {
    int n;
    struct ArrowSchema schema;
    struct wh_builder *builder;
    struct pg_col cols[32];
    enum pg_wire wires[32];
    struct pg_decoder *decoder;
    struct pg_encoder *encoder;
    bool check;
};

struct column {
    const char *type;
    enum pg_wire wire;
};

static void set_up(struct rig *r, const struct column *columns, int n)
{
    struct ArrowSchema f = {0};
    struct wh_type t;

    r->n = n;
    assert_ok(wh_schema_init(&r->schema, n));
    for (int i = 0; i < n; i++) {
        assert_ok(wh_field_parse(columns[i].type, columns[i].type, &f, NULL));
        assert_ok(wh_type_of(&f, &t, NULL));
        assert_ok(wh_schema_set(&r->schema, i, columns[i].type, &t, NULL));
        wh_schema_release(&f);
        r->cols[i] = (struct pg_col){.name = columns[i].type, .wire = columns[i].wire};
        r->wires[i] = columns[i].wire;
    }
    assert_ok(wh_builder_new(&r->schema, &r->builder, NULL));
    assert_ok(pg_decoder_new(r->cols, n, r->builder, r->check, &r->decoder, NULL));
    assert_ok(pg_encoder_new(&r->schema, r->wires, n, &r->encoder, NULL));
}

static void tear_down(struct rig *r)
{
    pg_decoder_free(r->decoder);
    pg_encoder_free(r->encoder);
    wh_builder_free(r->builder);
    wh_schema_release(&r->schema);
}

static void check_text(const struct ArrowSchema *s, const struct wh_batch *b, int column,
                       int64_t row, const char *want)
{
    struct wh_buf text = WH_BUF(1 << 20);
    struct wh_view v;

    assert_ok(wh_view_init(s->children[column], b->rows.children[column], &v, NULL));
    assert_int_equal(want == NULL, wh_view_null(&v, row));
    if (want) {
        assert_ok(wh_buf_add(&text, "", 0));
        assert_ok(wh_view_text(&v, row, &text));
        assert_string_equal(text.p, want);
    }
    wh_buf_free(&text);
}

static const uint8_t header[19] = "PGCOPY\n\377\r\n";

/* Header, then one row whose cells are given in hex (NULL = null). */
static size_t message(uint8_t *out, bool with_header, int n, const char *const *hex)
{
    size_t at = 0;

    if (with_header) {
        memcpy(out, header, 19);
        at = 19;
    }
    pg_put16(out + at, (uint16_t)n);
    at += 2;
    for (int i = 0; i < n; i++) {
        size_t k = hex[i] ? unhex(hex[i], out + at + 4) : 0;

        pg_put32(out + at, hex[i] ? (uint32_t)k : UINT32_MAX);
        at += 4 + k;
    }
    return at;
}

/* ------------------------------------------------------------------- numeric */

static const struct {
    const char *text, *hex; /* server */
} numerics[] = {
    {"0", "0000000000000000"},
    {"0.00", "0000000000000002"},
    {"1", "00010000000000000001"},
    {"-1", "00010000400000000001"},
    {"1.50", "000200000000000200011388"},
    {"1.5", "000200000000000100011388"},
    {"10000", "00010001000000000001"},
    {"9999", "0001000000000000270f"},
    {"0.0001", "0001ffff000000040001"},
    {"0.00010", "0001ffff000000050001"},
    {"100000000", "00010002000000000001"},
    {"-12345678.91", "000300014000000204d2162e238c"},
    {"123.4567", "0002000000000004007b11d7"},
    {"99999999.99", "0003000100000002270f270f26ac"},
    {"0.001", "0001ffff00000003000a"},
    {"-0.05", "0001ffff4000000201f4"},
    {"1234567890123.45", "0005000300000002000109291a85007b1194"},
    {"9999999999999.99", "00050003000000020009270f270f270f26ac"},
    {"12345678901234567890.123456789", "000800040000000904d2162e23340d801ed204d2162e2328"},
    {"99999999999999999999999999999999999999",
     "000a0009000000000063270f270f270f270f270f270f270f270f270f"},
    {"-99999999999999999999999999999999999999",
     "000a0009400000000063270f270f270f270f270f270f270f270f270f"},
    {"0.00000000000000000000000000000000000001", "0001fff6000000260064"},
    {"10000000000", "00010002000000000064"},
    {"0.0000000001", "0001fffd0000000a0064"},
    {"NaN", "00000000c0000000"},
    {"Infinity", "00000000d0000020"},
    {"-Infinity", "00000000f0000020"},
    {"9999999999999999999999999999999999999999999999999999999999999999999999999999",
     "0013001200000000270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270f270"
     "f"},
    {"123000", "0002000100000000000c0bb8"},
    {"1200.34", "000200000000000204b00d48"},
};

/* Red when a numeric of the server is not printed as the server prints it, or when its text does
 * not become the server's bytes. */
static void numeric_as_the_server(void **unused)
{
    uint8_t wire[512], back[512];
    char text[512];

    for (size_t i = 0; i < sizeof numerics / sizeof *numerics; i++) {
        size_t n = unhex(numerics[i].hex, wire), k, m, len = strlen(numerics[i].text);

        k = pg_numeric_text(wire, n, text);
        assert_in_range(k, 1, pg_numeric_size(wire, n));
        text[k] = 0;
        assert_string_equal(text, numerics[i].text);
        assert_int_equal(PG_FIT_OK, pg_numeric_put_text(numerics[i].text, len, back, &m));
        assert_in_range(m, 8, PG_NUMERIC_ROOM(len));
        assert_int_equal(m, n);
        assert_memory_equal(back, wire, n);
    }
}

/* Red when an exponent or another spelling becomes another number or another display scale. */
static void numeric_spellings(void **unused)
{
    static const struct {
        const char *in, *out;
    } cases[] = {{"1e10", "10000000000"},
                 {"1e-10", "0.0000000001"},
                 {"+1.50e1", "15.0"},
                 {"-1.50E3", "-1500"},
                 {"000012.500", "12.500"},
                 {".5", "0.5"},
                 {"5.", "5"},
                 {"0e5", "0"},
                 {"-0.000", "0.000"},
                 {"inf", "Infinity"},
                 {"-INF", "-Infinity"},
                 {"nan", "NaN"}};
    uint8_t wire[256];
    char text[256];
    size_t n;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(PG_FIT_OK,
                         pg_numeric_put_text(cases[i].in, strlen(cases[i].in), wire, &n));
        text[pg_numeric_text(wire, n, text)] = 0;
        assert_string_equal(text, cases[i].out);
    }
    assert_int_equal(PG_FIT_SYNTAX, pg_numeric_put_text("12x", 3, wire, &n));
    assert_int_equal(PG_FIT_SYNTAX, pg_numeric_put_text("", 0, wire, &n));
    assert_int_equal(PG_FIT_RANGE, pg_numeric_put_text("1e131072", 8, wire, &n));
    assert_int_equal(PG_FIT_OK, pg_numeric_put_text("1e131071", 8, wire, &n));
    assert_int_equal(PG_FIT_RANGE, pg_numeric_put_text("1e-16384", 8, wire, &n));
    assert_int_equal(PG_FIT_OK, pg_numeric_put_text("1e-16383", 8, wire, &n));
    assert_int_equal(PG_FIT_RANGE, pg_numeric_put_text("0e99999999999999999999", 22, wire, &n));
}

/* Red when integers and text disagree about a number: each way is the other's oracle. */
static void numeric_integers(void **unused)
{
    uint8_t a[256], b[256];
    char text[256];
    size_t n, m, k;

    seed(20261122);
    for (int round = 0; round < 200000; round++) {
        int precision = 1 + (int)(draw() % 38), scale = (int)(draw() % (unsigned)(precision + 1));
        int digits = (int)(draw() % (unsigned)precision) + 1;
        struct pg_decimal d;
        __int128 v = 0, back;
        uint64_t w[4];

        for (int i = 0; i < digits; i++)
            v = v * 10 + (draw() % 3 ? (int)(draw() % 10) : 0);
        v = draw() & 1 ? -v : v;
        pg_decimal_init(&d, precision, scale);
        n = pg_numeric_put128(&d, v, a);
        assert_in_range(n, 8, PG_NUMERIC_128);
        k = wh_print_dec128(v, scale, text);
        assert_int_equal(PG_FIT_OK, pg_numeric_put_text(text, k, b, &m));
        if (v == 0)
            b[4] = b[5] = 0;
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        assert_int_equal(PG_FIT_OK, pg_numeric_get128(&d, a, n, &back));
        assert_true(back == v);
        assert_int_equal(PG_FIT_OK, pg_numeric_get256(&d, a, n, w));
        assert_true((__int128)((unsigned __int128)w[1] << 64 | w[0]) == v &&
                    w[3] == (v < 0 ? UINT64_MAX : 0));
        m = pg_numeric_put256(&d, w, b);
        assert_int_equal(n, m);
        assert_memory_equal(a, b, n);
        m = pg_numeric_text(a, n, (char *)b);
        assert_int_equal(m, k);
        assert_memory_equal(b, text, k);
    }
}

static enum pg_fit fit_of(const char *text, int precision, int scale)
{
    struct pg_decimal d;
    uint8_t wire[600];
    uint64_t w[4];
    __int128 v;
    size_t n;
    enum pg_fit a, b;

    assert_int_equal(PG_FIT_OK, pg_numeric_put_text(text, strlen(text), wire, &n));
    pg_decimal_init(&d, precision, scale);
    a = pg_numeric_get128(&d, wire, n, &v);
    b = pg_numeric_get256(&d, wire, n, w);
    assert_int_equal(a, b);
    return a;
}

/* Red when a number is cut to its column's precision or scale instead of being told. */
static void numeric_limits(void **unused)
{
    assert_int_equal(PG_FIT_OK, fit_of("99999.99", 7, 2));
    assert_int_equal(PG_FIT_RANGE, fit_of("100000.00", 7, 2));
    assert_int_equal(PG_FIT_RANGE, fit_of("-100000", 7, 2));
    assert_int_equal(PG_FIT_SCALE, fit_of("1.001", 7, 2));
    assert_int_equal(PG_FIT_SCALE, fit_of("1.00001", 7, 2));
    assert_int_equal(PG_FIT_SCALE, fit_of("0.0000000000000000000000000001", 7, 2));
    assert_int_equal(PG_FIT_OK, fit_of("1.00000", 7, 2));
    assert_int_equal(PG_FIT_RANGE, fit_of("1e38", 38, 0));
    assert_int_equal(PG_FIT_RANGE, fit_of("1e1000", 38, 0));
    assert_int_equal(PG_FIT_OK, fit_of("99999999999999999999999999999999999999", 38, 0));
    assert_int_equal(PG_FIT_NAN, fit_of("NaN", 7, 2));
    assert_int_equal(PG_FIT_INFINITY, fit_of("-Infinity", 7, 2));
    assert_int_equal(PG_FIT_OK, fit_of("1200", 3, -2)); /* numeric(3, -2) */
    assert_int_equal(PG_FIT_SCALE, fit_of("1250", 3, -3));
    assert_int_equal(PG_FIT_RANGE, fit_of("100000", 3, -2));
}

/* Red when a negative scale shifts the value. */
static void numeric_negative_scale(void **unused)
{
    struct pg_decimal d;
    uint8_t wire[64];
    char text[64];
    __int128 v;
    size_t n;

    for (int scale = -1; scale >= -9; scale--) {
        pg_decimal_init(&d, 5, scale);
        n = pg_numeric_put128(&d, -12345, wire);
        text[pg_numeric_text(wire, n, text)] = 0;
        assert_memory_equal(text, "-12345", 6);
        assert_int_equal(strspn(text + 6, "0"), (size_t)-scale);
        assert_int_equal(strlen(text), 6 + (size_t)-scale);
        assert_int_equal(PG_FIT_OK, pg_numeric_get128(&d, wire, n, &v));
        assert_true(v == -12345);
    }
}

/* Red when bytes that no server sends are taken for a number. */
static void numeric_malformed(void **unused)
{
    static const char *const cases[] = {"",
                                        "00010000000000",
                                        "0001000000000000",     /* a digit is missing */
                                        "000000000000000000",   /* a byte too many */
                                        "00010000000000002710", /* digit 10000 */
                                        "0001000000000000ffff", /* digit 65535 */
                                        "00010000123400000001", /* sign */
                                        "00010000000040000001", /* display scale */
                                        "ffff0000000000000001"};
    struct pg_decimal d;
    uint8_t wire[64];
    uint64_t w[4];
    __int128 v;
    char text[64];

    pg_decimal_init(&d, 38, 0);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = unhex(cases[i], wire);

        assert_int_equal(PG_FIT_MALFORMED, pg_numeric_get128(&d, wire, n, &v));
        assert_int_equal(PG_FIT_MALFORMED, pg_numeric_get256(&d, wire, n, w));
        if (pg_numeric_size(wire, n))
            assert_int_equal(0, pg_numeric_text(wire, n, text));
    }
    /* Digits behind the display scale: printing would lose them. */
    assert_int_equal(0, pg_numeric_text(wire, unhex("0002000000000000000103e8", wire), text));
    assert_int_equal(0, pg_numeric_text(wire, unhex("0002000000000002000103e9", wire), text));
}

/* ---------------------------------------------------------------------- rows */

static const struct column all[] = {
    {"bool", PG_W_BOOL},
    {"int16", PG_W_I16},
    {"int32", PG_W_I32},
    {"int64", PG_W_I64},
    {"uint32", PG_W_OID},
    {"float32", PG_W_F32},
    {"float64", PG_W_F64},
    {"decimal(15,2)", PG_W_NUMERIC},
    {"decimal(60,10)", PG_W_NUMERIC},
    {"decimal", PG_W_NUMERIC},
    {"utf8", PG_W_TEXT},
    {"binary", PG_W_BYTEA},
    {"date32", PG_W_DATE},
    {"time(us)", PG_W_TIME},
    {"timestamp(us)", PG_W_TIMESTAMP},
    {"timestamp(us, utc)", PG_W_TIMESTAMPTZ},
    {"interval", PG_W_INTERVAL},
    {"uuid", PG_W_UUID},
    {"json", PG_W_JSONB},
};

enum {
    N_ALL = sizeof all / sizeof *all
};

/* server */
static const char *const one_row[N_ALL] = {"01",
                                           "8000",
                                           "7fffffff",
                                           "8000000000000000",
                                           "ffffffff",
                                           "80000000",
                                           "3fb999999999999a",
                                           "000300014000000204d2162e238c",
                                           "000800040000000904d2162e23340d801ed204d2162e2328",
                                           "000200000000000200011388",
                                           "c3a9",
                                           "00ff5c",
                                           "ffffd533",
                                           "000000141dd76000",
                                           "0000000000000001",
                                           "fffca2fec4c81fff",
                                           "000000036c8bc087fffffffd0000000e",
                                           "6ba7b8109dad11d180b400c04fd430c8",
                                           "017b2261223a20317d"};
static const char *const one_row_text[N_ALL] = {"true",
                                                "-32768",
                                                "2147483647",
                                                "-9223372036854775808",
                                                "4294967295",
                                                "-0.0",
                                                "0.1",
                                                "-12345678.91",
                                                "12345678901234567890.1234567890",
                                                "1.50",
                                                "\xc3\xa9",
                                                "\\x00ff5c",
                                                "1970-01-01",
                                                "24:00:00",
                                                "2000-01-01 00:00:00.000001",
                                                "1969-12-31 23:59:59.999999Z",
                                                "P1Y2M-3DT4H5M6.000007S",
                                                "6ba7b810-9dad-11d1-80b4-00c04fd430c8",
                                                "{\"a\": 1}"};

/* Red when a value changes on its way from the server's bytes to columns, or back. */
static void rows_as_the_server(void **unused)
{
    struct rig r = {0};
    struct wh_batch b = {0};
    struct wh_buf out = WH_BUF(1 << 20);
    const char *nulls[N_ALL] = {NULL};
    uint8_t wire[4096];
    size_t n, first;
    int64_t rows, done;
    int bad;

    set_up(&r, all, N_ALL);
    assert_ok(pg_encode_header(&out));
    n = message(wire, true, N_ALL, one_row);
    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire, n}, &rows, &bad, NULL));
    assert_int_equal(rows, 1);
    assert_int_equal(bad, 0);
    first = n;
    n += message(wire + n, false, N_ALL, nulls);
    n += message(wire + n, false, N_ALL, one_row);
    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire + first, n - first}, &rows, &bad, NULL));
    assert_int_equal(rows, 2);
    assert_false(pg_decoder_ended(r.decoder));
    memset(wire + n, 0xff, 2);
    n += 2;
    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire + n - 2, 2}, &rows, &bad, NULL));
    assert_true(pg_decoder_ended(r.decoder));
    assert_ok(wh_builder_finish(r.builder, &b));
    assert_int_equal(b.n_rows, 3);
    for (int i = 0; i < N_ALL; i++) {
        check_text(&r.schema, &b, i, 0, one_row_text[i]);
        check_text(&r.schema, &b, i, 1, NULL);
        check_text(&r.schema, &b, i, 2, one_row_text[i]);
    }
    assert_ok(pg_encoder_bind(r.encoder, &b, NULL));
    assert_ok(pg_encode(r.encoder, NULL, 0, 3, 1 << 20, &out, &done, NULL));
    assert_int_equal(done, 3);
    assert_ok(pg_encode_trailer(&out));
    /* decimal(60,10) shows one more digit than the server's value did */
    for (size_t i = 0; i + 8 <= n; i++)
        if (memcmp(wire + i, "\0\10\0\4\0\0\0\11", 8) == 0)
            wire[i + 7] = 10;
    assert_int_equal(out.n, n);
    assert_memory_equal(out.p, wire, n);
    wh_batch_release(&b);
    wh_buf_free(&out);
    tear_down(&r);
}

/* Red when a stream that is cut anywhere is read beyond its end or taken for whole. */
static void rows_cut_off(void **unused)
{
    struct rig r = {0};
    uint8_t wire[4096];
    size_t n = message(wire, true, N_ALL, one_row);
    struct wh_error err;
    int64_t rows;
    int bad;

    for (size_t cut = 1; cut < n; cut++) {
        uint8_t *copy = malloc(cut); /* so that a sanitizer sees each byte too far */

        assert_non_null(copy);
        memcpy(copy, wire, cut);
        r = (struct rig){0};
        set_up(&r, all, N_ALL);
        if (cut == 19) {
            assert_ok(pg_decode(r.decoder, (struct wh_bytes){copy, cut}, &rows, &bad, &err));
        } else {
            assert_int_equal(WH_E_DATA,
                             pg_decode(r.decoder, (struct wh_bytes){copy, cut}, &rows, &bad, &err));
            assert_string_equal(err.code, "E4020");
        }
        for (int i = 0; i < N_ALL; i++)
            assert_int_equal(0, wh_builder_column(r.builder, i)->n);
        tear_down(&r);
        free(copy);
    }
}

/* Red when a field count, a length or a byte that is no value passes. */
static void rows_malformed(void **unused)
{
    static const struct {
        int column;
        const char *hex;
    } cases[] = {{0, "02"},
                 {0, "0000"},
                 {1, "00"},
                 {2, "0000000000000001"},
                 {3, "01"},
                 {7, "0001"},
                 {9, "00010000000000002710"},
                 {13, "ffffffffffffffff"},
                 {13, "000000141dd76001"},
                 {17, "00"},
                 {18, "027b7d"},
                 {18, ""}};
    struct rig r = {0};
    uint8_t wire[4096];
    struct wh_error err;
    int64_t rows;
    int bad;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *cells[N_ALL];

        memcpy(cells, one_row, sizeof cells);
        cells[cases[i].column] = cases[i].hex;
        r = (struct rig){0};
        set_up(&r, all, N_ALL);
        size_t n = message(wire, true, N_ALL, cells);

        assert_int_equal(WH_E_DATA,
                         pg_decode(r.decoder, (struct wh_bytes){wire, n}, &rows, &bad, &err));
        assert_non_null(strstr(err.where, all[cases[i].column].type));
        tear_down(&r);
    }
    r = (struct rig){0};
    set_up(&r, all, N_ALL);
    assert_int_equal(WH_E_DATA,
                     pg_decode(r.decoder, (struct wh_bytes){wire, message(wire, true, 3, one_row)},
                               &rows, &bad, &err));
    assert_int_equal(WH_E_DATA, pg_decode(r.decoder, (struct wh_bytes){"\377\377x", 3}, &rows, &bad,
                                          &err)); /* something behind the trailer */
    tear_down(&r);
}

static void check_bad(const char *type, enum pg_wire wire, const char *hex, const char *code)
{
    struct column c = {type, wire};
    const char *good = NULL;
    struct rig r = {.check = true};
    uint8_t wire_bytes[1024];
    size_t n, bad_at, bad_n;
    int64_t rows;
    int bad, column;
    const char *got, *text;

    set_up(&r, &c, 1);
    n = message(wire_bytes, true, 1, &good);
    bad_at = n;
    bad_n = message(wire_bytes + n, false, 1, &hex);
    n += bad_n;
    n += message(wire_bytes + n, false, 1, &good);
    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire_bytes, n}, &rows, &bad, NULL));
    assert_int_equal(rows, 1);
    assert_int_equal(bad, 1);
    pg_decoder_bad(r.decoder, &column, &got, &text);
    assert_int_equal(column, 0);
    assert_string_equal(got, code);
    assert_true(strlen(text) > 10);
    assert_ptr_equal(pg_decoder_bad_row(r.decoder).p, wire_bytes + bad_at);
    assert_int_equal(pg_decoder_bad_row(r.decoder).n, bad_n);
    assert_ok(pg_decode(r.decoder, pg_decoder_rest(r.decoder), &rows, &bad, NULL));
    assert_int_equal(rows, 1);
    assert_int_equal(bad, 0);
    assert_int_equal(wh_builder_rows(r.builder), 2);
    tear_down(&r);
}

/* Red when one value that a column cannot hold ends more than its row, or loses it silently. */
static void bad_rows(void **unused)
{
    check_bad("date32", PG_W_DATE, "7fffffff", "E6012");
    check_bad("date32", PG_W_DATE, "80000000", "E6012");
    check_bad("date32", PG_W_DATE, "7fffd600", "E6007");
    check_bad("timestamp(us)", PG_W_TIMESTAMP, "7fffffffffffffff", "E6012");
    check_bad("timestamp(us)", PG_W_TIMESTAMP, "8000000000000000", "E6012");
    check_bad("timestamp(us, utc)", PG_W_TIMESTAMPTZ, "7fffffffffffffff", "E6012");
    check_bad("timestamp(us)", PG_W_TIMESTAMP, "7fffff5bb3b29fff", "E6007"); /* year 294276 */
    check_bad("decimal(15,2)", PG_W_NUMERIC, "00000000c0000000", "E6012");
    check_bad("decimal(60,2)", PG_W_NUMERIC, "00000000d0000020", "E6012");
    check_bad("decimal(15,2)", PG_W_NUMERIC, "0001ffff00000003000a", "E6013");
    check_bad("decimal(4,2)", PG_W_NUMERIC, "00010001000000000001", "E6003");
    check_bad("interval", PG_W_INTERVAL, "7fffffffffffffff0000000000000000", "E6003");
    check_bad("utf8", PG_W_TEXT, "ff", "E6005");
    check_bad("json", PG_W_JSONB, "01c3", "E6005");
}

/* Red when a cell above the cap ends the run, or when a cut row leaves values behind. */
static void bad_row_is_cut_back(void **unused)
{
    struct rig r = {0};
    const char *cells[N_ALL];
    uint8_t wire[4096];
    int64_t rows;
    int bad, column;
    const char *code, *text;

    memcpy(cells, one_row, sizeof cells);
    cells[10] = "616263646566";
    set_up(&r, all, N_ALL);
    wh_builder_max_cell(r.builder, 20);
    size_t n = message(wire, true, N_ALL, one_row);

    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire, n}, &rows, &bad, NULL));
    assert_int_equal(rows, 1);
    wh_builder_max_cell(r.builder, 5);
    n = message(wire, false, N_ALL, cells);
    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire, n}, &rows, &bad, NULL));
    assert_int_equal(bad, 1);
    pg_decoder_bad(r.decoder, &column, &code, &text);
    assert_int_equal(column, 10);
    assert_string_equal(code, "E6010");
    for (int i = 0; i < N_ALL; i++)
        assert_int_equal(1, wh_builder_column(r.builder, i)->n);
    tear_down(&r);
}

/* Red when a pair that cannot be carried is taken. */
static void pairs_refused(void **unused)
{
    struct column c = {"int32", PG_W_I64};
    struct rig r = {0};
    struct wh_error err;
    struct ArrowSchema f = {0};

    assert_ok(wh_schema_init(&r.schema, 1));
    assert_ok(wh_field_parse("int64", "c", &f, NULL));
    struct wh_type t;

    assert_ok(wh_type_of(&f, &t, NULL));
    assert_ok(wh_schema_set(&r.schema, 0, "c", &t, NULL));
    wh_schema_release(&f);
    assert_ok(wh_builder_new(&r.schema, &r.builder, NULL));
    r.cols[0] = (struct pg_col){.name = c.type, .wire = PG_W_TEXT};
    r.wires[0] = PG_W_I32;
    assert_int_equal(WH_E_BUG, pg_decoder_new(r.cols, 1, r.builder, false, &r.decoder, &err));
    assert_int_equal(WH_E_BUG, pg_encoder_new(&r.schema, r.wires, 1, &r.encoder, &err));
    wh_builder_free(r.builder);
    wh_schema_release(&r.schema);
}

/* A table without columns has rows all the same: each is two bytes. */
static void no_columns(void **unused)
{
    struct rig r = {0};
    uint8_t wire[64];
    int64_t rows;
    int bad;

    set_up(&r, all, 0);
    memcpy(wire, header, 19);
    memcpy(wire + 19, "\0\0\0\0\377\377", 6);
    assert_ok(pg_decode(r.decoder, (struct wh_bytes){wire, 25}, &rows, &bad, NULL));
    assert_int_equal(rows, 2);
    assert_true(pg_decoder_ended(r.decoder));
    tear_down(&r);
}

/* ------------------------------------------------------------------ encoding */

static void refuse(const char *type, enum pg_wire wire, int (*add)(struct wh_column *),
                   const char *code)
{
    struct column c = {type, wire};
    struct rig r = {0};
    struct wh_batch b = {0};
    struct wh_buf out = WH_BUF(1 << 16);
    struct wh_error err;
    int64_t done;
    int column;
    const char *got, *text;
    int32_t order[] = {2, 0};

    set_up(&r, &c, 1);
    assert_ok(wh_col_null(wh_builder_column(r.builder, 0)));
    assert_ok(add(wh_builder_column(r.builder, 0)));
    assert_ok(wh_col_null(wh_builder_column(r.builder, 0)));
    assert_ok(wh_builder_finish(r.builder, &b));
    assert_ok(pg_encoder_bind(r.encoder, &b, NULL));
    assert_int_equal(WH_REFUSED, pg_encode(r.encoder, NULL, 0, 3, 1 << 15, &out, &done, &err));
    assert_int_equal(done, 1);
    assert_int_equal(out.n, 6);
    assert_string_equal(err.code, code);
    pg_encoder_bad(r.encoder, &column, &got, &text);
    assert_int_equal(column, 0);
    assert_string_equal(got, code);
    assert_ok(pg_encode(r.encoder, NULL, 2, 1, 1 << 15, &out, &done, &err)); /* goes on */
    assert_int_equal(done, 1);
    assert_ok(pg_encode(r.encoder, order, 0, 2, 1 << 15, &out, &done, &err));
    assert_int_equal(out.n, 24);
    assert_memory_equal(out.p + 18, "\0\1\377\377\377\377", 6);
    wh_batch_release(&b);
    wh_buf_free(&out);
    tear_down(&r);
}

static int add_nul(struct wh_column *c)
{
    return wh_col_bytes(c, "a\0b", 3);
}
static int add_early_date(struct wh_column *c)
{
    return wh_col_i64(c, -2451545 + 10957 - 1);
}
static int add_late_date(struct wh_column *c)
{
    return wh_col_i64(c, INT32_MAX);
}
static int add_early_time(struct wh_column *c)
{
    return wh_col_i64(c, INT64_MIN);
}
static int add_25_hours(struct wh_column *c)
{
    return wh_col_i64(c, INT64_C(90000000000));
}
static int add_nano(struct wh_column *c)
{
    return wh_col_interval(c, 0, 0, 1001);
}
static int add_word(struct wh_column *c)
{
    return wh_col_bytes(c, "12,5", 4);
}
static int add_huge(struct wh_column *c)
{
    return wh_col_bytes(c, "1e131072", 8);
}

/* Red when something that the server would refuse, ending the whole COPY, is sent. */
static void encoder_refuses(void **unused)
{
    refuse("utf8", PG_W_TEXT, add_nul, "E6005");
    refuse("json", PG_W_JSONB, add_nul, "E6005");
    refuse("date32", PG_W_DATE, add_early_date, "E6007");
    refuse("date32", PG_W_DATE, add_late_date, "E6007");
    refuse("timestamp(us)", PG_W_TIMESTAMP, add_early_time, "E6007");
    refuse("time(us)", PG_W_TIME, add_25_hours, "E6007");
    refuse("interval", PG_W_INTERVAL, add_nano, "E6013");
    refuse("decimal", PG_W_NUMERIC, add_word, "E6006");
    refuse("decimal", PG_W_NUMERIC, add_huge, "E6003");
}

/* Red when the cap on bytes is not kept, when rows are lost at it, or when a row larger than the
 * buffer is cut. */
static void encoder_stops_at_most(void **unused)
{
    struct column c = {"utf8", PG_W_TEXT};
    struct rig r = {0};
    struct wh_batch b = {0};
    struct wh_buf out = WH_BUF(4096);
    struct wh_error err;
    int64_t done, sum = 0, at = 0;
    char text[3000];

    memset(text, 'x', sizeof text);
    set_up(&r, &c, 1);
    for (int i = 0; i < 1000; i++)
        assert_ok(wh_col_bytes(wh_builder_column(r.builder, 0), text, (size_t)(i % 300)));
    assert_ok(wh_builder_finish(r.builder, &b));
    assert_ok(pg_encoder_bind(r.encoder, &b, NULL));
    while (at < 1000) {
        wh_buf_clear(&out);
        assert_ok(pg_encode(r.encoder, NULL, at, 1000 - at, 1000, &out, &done, &err));
        assert_in_range(done, 1, 1000);
        assert_in_range(out.n, at + done == 1000 ? 1 : 1000, 1000 + 305);
        at += done;
        sum += (int64_t)out.n;
    }
    assert_int_equal(at, 1000);
    assert_int_equal(sum, 1000 * 6 + 3 * (300 * 299 / 2) + 100 * 99 / 2);
    wh_batch_release(&b);
    for (int i = 0; i < 2; i++)
        assert_ok(wh_col_bytes(wh_builder_column(r.builder, 0), text, sizeof text));
    assert_ok(wh_builder_finish(r.builder, &b));
    assert_ok(pg_encoder_bind(r.encoder, &b, NULL));
    wh_buf_clear(&out);
    assert_int_equal(WH_E_LIMIT, pg_encode(r.encoder, NULL, 0, 2, 4000, &out, &done, &err));
    assert_int_equal(done, 1);
    assert_int_equal(out.n, 3006);
    wh_batch_release(&b);
    wh_buf_free(&out);
    tear_down(&r);
}

/* Red when an integer changes on a wider wire, or as a numeric. */
static void encoder_widens(void **unused)
{
    static const struct column columns[] = {
        {"int8", PG_W_I16},       {"uint8", PG_W_I64},
        {"uint16", PG_W_I32},     {"uint32", PG_W_I64},
        {"uint64", PG_W_NUMERIC}, {"int64", PG_W_NUMERIC},
        {"fixed(3)", PG_W_BYTEA}, {"dictionary<utf8>", PG_W_TEXT},
        {"null", PG_W_UUID}};
    enum {
        N = sizeof columns / sizeof *columns
    };
    struct ArrowSchema schema, f = {0};
    struct wh_builder *builder;
    enum pg_wire wires[N];
    struct pg_encoder *e;
    struct wh_batch b = {0};
    struct wh_type t;
    struct wh_buf out = WH_BUF(4096);
    int64_t done;

    assert_ok(wh_schema_init(&schema, N));
    struct ArrowSchema fields[N];

    for (int i = 0; i < N; i++) {
        assert_ok(wh_field_parse(columns[i].type, "c", &fields[i], NULL));
        f = fields[i];
        assert_ok(wh_type_of(&f, &t, NULL));
        assert_ok(wh_schema_set(&schema, i, "c", &t, NULL));
        wires[i] = columns[i].wire;
    }
    assert_ok(wh_builder_new(&schema, &builder, NULL));
    assert_ok(wh_col_i64(wh_builder_column(builder, 0), -128));
    assert_ok(wh_col_u64(wh_builder_column(builder, 1), 255));
    assert_ok(wh_col_u64(wh_builder_column(builder, 2), 65535));
    assert_ok(wh_col_u64(wh_builder_column(builder, 3), UINT32_MAX));
    assert_ok(wh_col_u64(wh_builder_column(builder, 4), UINT64_MAX));
    assert_ok(wh_col_i64(wh_builder_column(builder, 5), INT64_MIN));
    assert_ok(wh_col_bytes(wh_builder_column(builder, 6), "a\0c", 3));
    struct wh_column *dict = wh_builder_column(builder, 7);

    assert_ok(wh_col_bytes(&dict->children[0], "red", 3));
    assert_ok(wh_col_dict(dict, 0));
    assert_ok(wh_col_null(wh_builder_column(builder, 8)));
    assert_ok(wh_builder_finish(builder, &b));
    assert_ok(pg_encoder_new(&schema, wires, N, &e, NULL));
    assert_ok(pg_encoder_bind(e, &b, NULL));
    assert_ok(pg_encode(e, NULL, 0, 1, 4000, &out, &done, NULL));
    static const char *const want[N] = {"ff80",
                                        "00000000000000ff",
                                        "0000ffff",
                                        "00000000ffffffff",
                                        "0005000400000000073411a801d703bb064f"
                                        "",
                                        "0005000440000000039a08d400ec01de0328",
                                        "610063",
                                        "726564",
                                        NULL};
    uint8_t wire[512];
    size_t n = message(wire, false, N, want);
    char text[64];

    /* the two numerics are compared by their text */
    text[pg_numeric_text((uint8_t *)out.p + 2 + 6 + 12 + 8 + 12 + 4, 18, text)] = 0;
    assert_string_equal(text, "18446744073709551615");
    text[pg_numeric_text((uint8_t *)out.p + 2 + 6 + 12 + 8 + 12 + 22 + 4, 18, text)] = 0;
    assert_string_equal(text, "-9223372036854775808");
    assert_int_equal(out.n, n);
    assert_memory_equal(out.p, wire, 2 + 6 + 12 + 8 + 12);
    assert_memory_equal(out.p + n - 18, wire + n - 18, 18);
    wh_batch_release(&b);
    wh_buf_free(&out);
    pg_encoder_free(e);
    wh_builder_free(builder);
    for (int i = 0; i < N; i++)
        wh_schema_release(&fields[i]);
    wh_schema_release(&schema);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numeric_as_the_server),
        cmocka_unit_test(numeric_spellings),
        cmocka_unit_test(numeric_integers),
        cmocka_unit_test(numeric_limits),
        cmocka_unit_test(numeric_negative_scale),
        cmocka_unit_test(numeric_malformed),
        cmocka_unit_test(rows_as_the_server),
        cmocka_unit_test(rows_cut_off),
        cmocka_unit_test(rows_malformed),
        cmocka_unit_test(bad_rows),
        cmocka_unit_test(bad_row_is_cut_back),
        cmocka_unit_test(pairs_refused),
        cmocka_unit_test(no_columns),
        cmocka_unit_test(encoder_refuses),
        cmocka_unit_test(encoder_stops_at_most),
        cmocka_unit_test(encoder_widens),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
