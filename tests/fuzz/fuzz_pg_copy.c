/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "data/digits.h"
#include "pg.h"
#include "pg_codec.h"

static const struct {
    const char *type;
    enum pg_wire wire;
    bool one_way; /* read into a wider integer */
} kinds[] = {
    {"bool", PG_W_BOOL},
    {"int16", PG_W_I16},
    {"int32", PG_W_I16, true},
    {"int32", PG_W_I32},
    {"int64", PG_W_I32, true},
    {"int64", PG_W_I64},
    {"uint32", PG_W_OID},
    {"int64", PG_W_OID, true},
    {"float32", PG_W_F32},
    {"float64", PG_W_F64},
    {"decimal(15,2)", PG_W_NUMERIC},
    {"decimal(38,10)", PG_W_NUMERIC},
    {"decimal(76,38)", PG_W_NUMERIC},
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
    N_KINDS = sizeof kinds / sizeof *kinds,
    COLUMNS = 4,
};

/* One column of each kind, made once; an input takes four of them. */
static struct ArrowSchema fields[N_KINDS];
static struct wh_type types[N_KINDS];

static void prepare(void)
{
    if (fields[0].release)
        return;
    for (int i = 0; i < N_KINDS; i++) {
        FUZZ_CHECK(wh_field_parse(kinds[i].type, "c", &fields[i], NULL) == WH_OK);
        FUZZ_CHECK(wh_type_of(&fields[i], &types[i], NULL) == WH_OK);
    }
}

struct rig {
    int n, pick[COLUMNS];
    bool one_way;
    struct ArrowSchema schema;
    struct wh_builder *builder;
    struct pg_col cols[COLUMNS];
    enum pg_wire wires[COLUMNS];
    struct pg_decoder *decoder;
    struct pg_encoder *encoder;
};

static void make_rig(struct rig *r, const uint8_t *pick, int n)
{
    *r = (struct rig){.n = n};
    FUZZ_CHECK(wh_schema_init(&r->schema, n) == WH_OK);
    for (int i = 0; i < n; i++) {
        int k = r->pick[i] = pick[i] % N_KINDS;

        FUZZ_CHECK(wh_schema_set(&r->schema, i, kinds[k].type, &types[k], NULL) == WH_OK);
        r->wires[i] = kinds[k].wire;
        r->cols[i] = (struct pg_col){.name = kinds[k].type, .wire = kinds[k].wire};
        r->one_way |= kinds[k].one_way;
    }
    FUZZ_CHECK(wh_builder_new(&r->schema, &r->builder, NULL) == WH_OK);
    wh_builder_max_cell(r->builder, 1 << 18); /* above the longest numeric */
    if (!r->one_way)
        FUZZ_CHECK(pg_encoder_new(&r->schema, r->wires, n, &r->encoder, NULL) == WH_OK);
}

static void close_rig(struct rig *r)
{
    pg_encoder_free(r->encoder);
    pg_decoder_free(r->decoder);
    wh_builder_free(r->builder);
    wh_schema_release(&r->schema);
}

/* Rigs are kept for the next input with these columns; only the decoder has a state. */
static struct rig *open_rig(const uint8_t *pick, int n, bool check_text)
{
    static struct rig kept[N_KINDS * N_KINDS][COLUMNS];
    struct rig *r = &kept[pick[0] % N_KINDS * N_KINDS + pick[1] % N_KINDS][n - 1];
    bool same = r->n > 0;

    for (int i = 0; i < n; i++)
        same = same && r->pick[i] == pick[i] % N_KINDS;
    if (!same) {
        close_rig(r);
        make_rig(r, pick, n);
    }
    pg_decoder_free(r->decoder);
    r->decoder = NULL;
    FUZZ_CHECK(pg_decoder_new(r->cols, n, r->builder, check_text, &r->decoder, NULL) == WH_OK);
    return r;
}

/* Whatever is decoded without a complaint adds up to whole rows; all other bytes leave none. */
static int64_t decode_all(struct rig *r, const uint8_t *p, size_t n)
{
    struct wh_bytes rest = {p, n};
    struct wh_error err;
    int64_t rows, sum = 0;
    int bad, st;

    do {
        size_t before = rest.n;

        st = pg_decode(r->decoder, rest, &rows, &bad, &err);
        if (st == WH_OK) {
            sum += rows;
            rest = pg_decoder_rest(r->decoder);
            FUZZ_CHECK(rest.n < before || before == 0);
            FUZZ_CHECK(bad == (pg_decoder_bad_row(r->decoder).n > 0));
            FUZZ_CHECK(bad || rest.n == 0);
        } else {
            FUZZ_CHECK(st == WH_E_DATA && err.code[0] == 'E');
        }
        for (int i = 1; i < r->n; i++)
            FUZZ_CHECK(wh_builder_column(r->builder, i)->n == wh_builder_column(r->builder, 0)->n);
        FUZZ_CHECK(!r->n || st != WH_OK || wh_builder_rows(r->builder) == sum);
    } while (st == WH_OK && rest.n);
    return r->n ? wh_builder_rows(r->builder) : 0;
}

/* Encodes a batch without the rows that cannot be sent; returns how many were. */
static int64_t encode_all(struct rig *r, const struct wh_batch *b, struct wh_buf *out,
                          int32_t *sent)
{
    int64_t done, kept = 0;
    int st;

    FUZZ_CHECK(pg_encode_header(out) == WH_OK);
    FUZZ_CHECK(pg_encoder_bind(r->encoder, b, NULL) == WH_OK);
    for (int64_t at = 0; at < b->n_rows;) {
        st = pg_encode(r->encoder, NULL, at, b->n_rows - at, 64, out, &done, NULL);
        FUZZ_CHECK(st == WH_OK ? done > 0 : st == WH_REFUSED);
        for (int64_t i = 0; i < done; i++)
            sent[kept++] = (int32_t)(at + i);
        at += done + (st == WH_REFUSED);
    }
    FUZZ_CHECK(pg_encode_trailer(out) == WH_OK);
    return kept;
}

/* Kept over inputs: they are most of what an input would allocate. */
static struct wh_buf buffer[4] = {WH_BUF(1 << 23), WH_BUF(1 << 23), WH_BUF(1 << 23),
                                  WH_BUF(1 << 23)};

static void same_cell(const struct wh_view *a, int64_t i, const struct wh_view *b, int64_t j)
{
    struct wh_buf *x = &buffer[2], *y = &buffer[3];

    wh_buf_clear(x);
    wh_buf_clear(y);
    FUZZ_CHECK(wh_view_null(a, i) == wh_view_null(b, j));
    if (!wh_view_null(a, i) && a->type.kind != WH_K_DECTEXT) {
        FUZZ_CHECK(wh_view_text(a, i, x) == WH_OK && wh_view_text(b, j, y) == WH_OK);
        FUZZ_CHECK(x->n == y->n && (x->n == 0 || memcmp(x->p, y->p, x->n) == 0));
    }
}

/* decode(encode(batch)) == batch, and its encoding is the same again. Takes the batch. */
static void there_and_back(struct rig *r)
{
    struct wh_buf *first = &buffer[0], *second = &buffer[1];
    struct wh_batch b = {0}, back = {0};
    struct wh_view x, y;
    static int32_t sent[1 << 20], all[1 << 20];
    int64_t kept;

    FUZZ_CHECK(wh_builder_finish(r->builder, &b) == WH_OK && b.n_rows < 1 << 20);
    if (!r->one_way) {
        wh_buf_clear(first);
        wh_buf_clear(second);
        pg_decoder_free(r->decoder);
        r->decoder = NULL;
        FUZZ_CHECK(pg_decoder_new(r->cols, r->n, r->builder, false, &r->decoder, NULL) == WH_OK);
        kept = encode_all(r, &b, first, sent);
        FUZZ_CHECK(decode_all(r, (uint8_t *)first->p, first->n) == kept);
        FUZZ_CHECK(pg_decoder_ended(r->decoder));
        FUZZ_CHECK(wh_builder_finish(r->builder, &back) == WH_OK);
        for (int i = 0; i < r->n; i++) {
            FUZZ_CHECK(wh_view_init(r->schema.children[i], b.rows.children[i], &x, NULL) == 0);
            FUZZ_CHECK(wh_view_init(r->schema.children[i], back.rows.children[i], &y, NULL) == 0);
            for (int64_t k = 0; k < kept && k < 16; k++) /* all rows are compared as bytes */
                same_cell(&x, sent[k], &y, k);
        }
        FUZZ_CHECK(encode_all(r, &back, second, all) == kept);
        FUZZ_CHECK(first->n == second->n && memcmp(first->p, second->p, first->n) == 0);
    }
    wh_batch_release(&back);
    wh_batch_release(&b);
}

static void bytes_as_rows(const uint8_t *pick, int n, bool with_header, bool check_text,
                          const uint8_t *p, size_t len)
{
    struct rig *r;
    int64_t rows, walked;
    size_t head = with_header ? 19 : 0;
    uint8_t *exact = malloc(head + len); /* so that a sanitizer sees each byte too far */

    FUZZ_CHECK(exact);
    r = open_rig(pick, n, check_text);
    memcpy(exact, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0", head);
    memcpy(exact + head, p, len);
    rows = decode_all(r, exact, head + len);
    /* Rows that pass undecoded are walked by their lengths alone: it finds those that were decoded.
     */
    if (pg_frame_rows((struct wh_bytes){exact + head, len}, n, &walked, NULL) == WH_OK)
        FUZZ_CHECK(!with_header || walked >= rows);
    free(exact);
    there_and_back(r);
}

/* ------------------------------------------------- batches from arbitrary values */

struct feed {
    const uint8_t *p, *end;
};

static void take(struct feed *f, void *out, size_t n)
{
    size_t have = (size_t)(f->end - f->p) < n ? (size_t)(f->end - f->p) : n;

    memset(out, 0, n);
    memcpy(out, f->p, have);
    f->p += have;
}

static int add_decimal(struct wh_column *c, struct feed *f)
{
    struct pg_decimal d;
    uint64_t w[4] = {0};
    uint8_t n;

    take(f, &n, 1);
    take(f, w, 1 + n % (c->type.kind == WH_K_DEC128 ? 16 : 32));
    pg_decimal_init(&d, c->type.precision, c->type.scale);
    w[3] &= INT64_MAX;
    while (c->type.kind == WH_K_DEC128 ? ((unsigned __int128)w[1] << 64 | w[0]) >= d.limit
                                       : w[3] >= d.limit256[3])
        (void)wh_256_div(w, 10);
    if (n & 128)
        wh_256_negate(w);
    return c->type.kind == WH_K_DEC128
               ? wh_col_dec128(c, (__int128)((unsigned __int128)w[1] << 64 | w[0]))
               : wh_col_dec256(c, w);
}

static int add_text(struct wh_column *c, struct feed *f)
{
    static const char number[] = "0123456789.eE+-00";
    char text[256];
    uint8_t n;

    take(f, &n, 1);
    take(f, text, n);
    if (c->type.kind == WH_K_BINARY)
        return wh_col_bytes(c, text, n);
    for (int i = 0; i < n; i++)
        text[i] = c->type.kind == WH_K_DECTEXT ? number[(uint8_t)text[i] % (sizeof number - 1)]
                                               : (char)(text[i] & 127);
    return wh_col_bytes(c, text, n);
}

static int add_value(struct wh_column *c, struct feed *f)
{
    uint8_t bytes[16];
    int64_t v[2];

    switch (c->type.kind) {
    case WH_K_DEC128:
    case WH_K_DEC256:
        return add_decimal(c, f);
    case WH_K_UTF8:
    case WH_K_DECTEXT:
    case WH_K_BINARY:
        return add_text(c, f);
    case WH_K_FIXED:
        take(f, bytes, 16);
        return wh_col_bytes(c, bytes, 16);
    case WH_K_INTERVAL:
        take(f, v, 16);
        return wh_col_interval(c, (int32_t)v[1], (int32_t)(v[1] >> 32), v[0] / 1000 * 1000);
    default:
        WH_TRY(wh_col_reserve(c, 1, 0));
        take(f, v, 8);
        if (c->type.kind == WH_K_BOOL)
            return wh_col_i64(c, v[0] & 1);
        if (c->type.kind == WH_K_TIME64)
            return wh_col_i64(c, (int64_t)((uint64_t)v[0] % (PG_DAY_US + 2)));
        memcpy(c->data + c->n++ * c->width, v, (size_t)c->width);
        return WH_OK;
    }
}

static void values_as_rows(const uint8_t *pick, int n, const uint8_t *p, size_t len)
{
    struct feed f = {p, p + len};
    struct rig *r;
    uint8_t nulls;

    r = open_rig(pick, n, false);
    for (int row = 0; row < 16 && f.p < f.end; row++) {
        take(&f, &nulls, 1);
        for (int i = 0; i < n; i++) {
            struct wh_column *c = wh_builder_column(r->builder, i);

            FUZZ_CHECK((nulls >> i & 1 ? wh_col_null(c) : add_value(c, &f)) == WH_OK);
        }
    }
    there_and_back(r);
}

/* The short way and the long one give the same number, and it prints as the text does. */
static void numbers(const uint8_t *shape, const uint8_t *p, size_t n)
{
    struct pg_decimal d;
    int precision = 1 + shape[0] % 38, scale = (int)(shape[1] % 48) - 9;
    enum pg_fit a, b;
    __int128 v = 0;
    uint64_t w[4];
    uint8_t out[PG_NUMERIC_256];

    if (scale > 38)
        scale = 38;
    pg_decimal_init(&d, precision, scale);
    a = pg_numeric_get128(&d, p, n, &v);
    b = pg_numeric_get256(&d, p, n, w);
    FUZZ_CHECK(a == b);
    if (a == PG_FIT_OK) {
        FUZZ_CHECK(v == (__int128)((unsigned __int128)w[1] << 64 | w[0]));
        size_t len = pg_numeric_put128(&d, v, out);

        FUZZ_CHECK(len <= PG_NUMERIC_128);
        FUZZ_CHECK(pg_numeric_get128(&d, out, len, &v) == PG_FIT_OK);
        FUZZ_CHECK(v == (__int128)((unsigned __int128)w[1] << 64 | w[0]));
    }
}

/* Red when a decoder leaves its bytes, half a row stays, or a value does not come back as it was.
 * First byte: what to do, how many columns; then a byte for each column's kind. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    int columns;

    if (n < 1 + COLUMNS)
        return 0;
    prepare();
    columns = 1 + (data[0] >> 4) % COLUMNS;
    if (data[0] & 1)
        values_as_rows(data + 1, columns, data + 1 + COLUMNS, n - 1 - COLUMNS);
    else
        bytes_as_rows(data + 1, columns, !(data[0] & 2), data[0] & 4, data + 1 + COLUMNS,
                      n - 1 - COLUMNS);
    numbers(data + 1, data + 1 + COLUMNS, n - 1 - COLUMNS);
    return 0;
}
