/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "data/lattice.h"
#include "data/number.h"
#include "data/rowhash.h"

#include <string.h>

static const char *const types[] = {
    "null",
    "bool",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint8",
    "uint16",
    "uint32",
    "uint64",
    "float32",
    "float64",
    "decimal(5,2)",
    "decimal(15,3)",
    "decimal(38,10)",
    "decimal(10,-3)",
    "decimal(60,20)",
    "decimal",
    "utf8",
    "utf8(5)",
    "json",
    "binary",
    "binary(3)",
    "fixed(4)",
    "uuid",
    "date",
    "time(us)",
    "time(ns)",
    "timestamp(s)",
    "timestamp(ms, utc)",
    "timestamp(us)",
    "timestamp(ns, utc)",
    "duration(s)",
    "duration(ns)",
    "interval",
    "list<int32>",
    "struct<a: int8, b: utf8>",
    "map<utf8, int16>",
    "dictionary<utf8>",
};

#define N_TYPES  (sizeof types / sizeof types[0])
#define ROWS_MAX 200

struct input {
    const uint8_t *p, *end;
};

static uint64_t take(struct input *in, size_t bytes)
{
    uint64_t v = 0;

    for (; bytes && in->p < in->end; bytes--)
        v = v << 8 | *in->p++;
    return v;
}

/* A text of up to 15 bytes that is UTF-8: bytes above 7f become a two-byte character. */
static size_t take_text(struct input *in, char out[32])
{
    size_t n = 0;

    for (uint64_t k = take(in, 1) & 15; k && in->p < in->end; k--) {
        uint8_t c = *in->p++;

        if (c < 0x80) {
            out[n++] = (char)c;
        } else {
            out[n++] = '\xC3';
            out[n++] = (char)(0x80 | (c & 0x3F));
        }
    }
    return n;
}

static int append_number(struct wh_column *c, struct input *in)
{
    uint64_t v = take(in, 8), words[4] = {0};
    const struct wh_type *t = &c->type;
    __int128 limit = 1, wide = (__int128)(int64_t)v * (INT64_C(1) << 40) + (int64_t)take(in, 5);
    char text[80];
    double d;

    switch (t->kind) {
    case WH_K_BOOL:
        return wh_col_i64(c, v & 1);
    case WH_K_I8:
        return wh_col_i64(c, (int8_t)v);
    case WH_K_I16:
        return wh_col_i64(c, (int16_t)v);
    case WH_K_I32:
    case WH_K_DATE32:
        return wh_col_i64(c, (int32_t)v);
    case WH_K_U8:
        return wh_col_u64(c, (uint8_t)v);
    case WH_K_U16:
        return wh_col_u64(c, (uint16_t)v);
    case WH_K_U32:
        return wh_col_u64(c, (uint32_t)v);
    case WH_K_U64:
        return wh_col_u64(c, v);
    case WH_K_F32:
        memcpy(&d, &v, 8);
        return wh_col_f64(c, d - d == 0 ? (double)(float)d : d);
    case WH_K_F64:
        memcpy(&d, &v, 8);
        return wh_col_f64(c, d);
    case WH_K_DEC128:
        for (int i = 0; i < t->precision; i++)
            limit *= 10;
        return wh_col_dec128(c, wide % limit);
    case WH_K_DEC256:
        words[0] = v;
        words[1] = v / 3;
        return wh_col_dec256(c, words);
    case WH_K_DECTEXT:
        return wh_col_bytes(c, text, wh_print_dec128(wide, (int)(v % 30), text));
    case WH_K_TIME64:
        return wh_col_i64(c, (int64_t)(v % (t->unit == WH_MICRO ? 86400000001 : 86400000000001)));
    case WH_K_INTERVAL:
        return wh_col_interval(c, (int32_t)v, (int32_t)(v >> 16), (int64_t)v);
    default:
        return wh_col_i64(c, (int64_t)v);
    }
}

static int append(struct wh_column *c, struct input *in)
{
    uint8_t what = (uint8_t)take(in, 1), raw[16];
    char text[32];
    size_t n;

    if (c->type.kind == WH_K_NULL || (what & 7) == 7)
        return wh_col_null(c);
    switch (c->type.kind) {
    case WH_K_UTF8:
        n = take_text(in, text);
        while (c->type.length && wh_utf8_chars(text, n) > c->type.length)
            n -= text[n - 1] & '\x80' ? 2 : 1;
        return wh_col_bytes(c, text, n);
    case WH_K_BINARY:
    case WH_K_FIXED:
        for (int i = 0; i < 16; i++)
            raw[i] = (uint8_t)take(in, 1);
        return wh_col_bytes(c, raw, c->type.length ? (size_t)c->type.length : what & 15);
    case WH_K_LIST:
    case WH_K_MAP:
        for (int i = what & 3; i; i--) {
            struct wh_column *items = c->children;

            if (c->type.kind == WH_K_LIST) {
                WH_TRY(append(items, in));
                continue;
            }
            n = take_text(in, text);
            WH_TRY(wh_col_bytes(&items->children[0], text, n));
            WH_TRY(append(&items->children[1], in));
        }
        return wh_col_close(c);
    case WH_K_STRUCT:
        for (int64_t i = 0; i < c->n_children; i++)
            WH_TRY(append(&c->children[i], in));
        return wh_col_close(c);
    case WH_K_DICT:
        n = take_text(in, text);
        WH_TRY(wh_col_bytes(c->children, text, n));
        return wh_col_dict(c, (int32_t)(what % c->children->n));
    default:
        return append_number(c, in);
    }
}

struct side {
    struct ArrowSchema schema;
    struct wh_builder *b;
    struct wh_batch batch;
    struct wh_view view;
};

static void open_side(struct side *s, const char *type)
{
    struct wh_error err;

    *s = (struct side){0};
    FUZZ_CHECK(wh_schema_init(&s->schema, 1) == WH_OK);
    FUZZ_CHECK(wh_field_parse(type, "c", s->schema.children[0], &err) == WH_OK);
    FUZZ_CHECK(wh_builder_new(&s->schema, &s->b, &err) == WH_OK);
}

static void close_side(struct side *s)
{
    wh_builder_free(s->b);
    wh_batch_release(&s->batch);
    wh_schema_release(&s->schema);
}

static void done(struct side *s)
{
    struct wh_error err;

    FUZZ_CHECK(wh_builder_finish(s->b, &s->batch) == WH_OK);
    FUZZ_CHECK(wh_view_init(s->schema.children[0], s->batch.rows.children[0], &s->view, &err) ==
               WH_OK);
}

/* False when the pair has no conversion. *ret_rejects: how many cells did not convert. */
static bool convert(struct side *from, struct side *to, uint8_t bits, enum wh_fit *ret_fit,
                    size_t *ret_rejects)
{
    struct wh_value_policy policy = {
        .accept_lossy = bits & 1, .nan_null = bits & 2, .empty_text_null = bits & 4};
    const struct ArrowSchema *a = from->schema.children[0], *b = to->schema.children[0];
    struct wh_cell_reject rejects[4];
    struct wh_convert *cv;
    struct wh_type x, y;

    FUZZ_CHECK(wh_type_of(a, &x, NULL) == WH_OK && wh_type_of(b, &y, NULL) == WH_OK);
    *ret_fit = wh_lattice(&x, &y, NULL);
    int st = wh_convert_new(a, b, &policy, &cv, NULL);

    FUZZ_CHECK((st == WH_OK) ==
               (*ret_fit < WH_FIT_LOSSY || (*ret_fit == WH_FIT_LOSSY && policy.accept_lossy)));
    if (st != WH_OK)
        return false;
    st = wh_convert_run(cv, &from->view, 0, wh_builder_column(to->b, 0), rejects, 4, ret_rejects,
                        NULL);
    FUZZ_CHECK(st == WH_OK);
    for (size_t i = 0; i < *ret_rejects && i < 4; i++)
        FUZZ_CHECK(wh_utf8_valid(rejects[i].text, strlen(rejects[i].text)));
    wh_convert_free(cv);
    done(to);
    FUZZ_CHECK(to->view.n == from->view.n);
    return true;
}

/* What went out without loss comes back as it was, row by row. */
static void come_back(struct side *origin, struct side *there, const char *type)
{
    struct wh_u128 before[ROWS_MAX], after[ROWS_MAX];
    struct side back;
    enum wh_fit fit;
    size_t rejects;

    open_side(&back, type);
    if (convert(there, &back, 0, &fit, &rejects)) {
        FUZZ_CHECK(rejects == 0);
        FUZZ_CHECK(wh_rowhash_each(&origin->view, 1, NULL, 0, origin->view.n, before) == WH_OK);
        FUZZ_CHECK(wh_rowhash_each(&back.view, 1, NULL, 0, back.view.n, after) == WH_OK);
        FUZZ_CHECK(memcmp(before, after, (size_t)origin->view.n * sizeof *before) == 0);
    }
    close_side(&back);
}

/* Red when a conversion leaves its arrays, loses a row, breaks its verdict, or when a widening does
 * not come back the same. Bytes: source type, destination type, policy, then the values. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct input in = {data + 3, data + n};
    struct side from, to;
    enum wh_fit fit;
    size_t rejects;

    if (n < 4)
        return 0;
    const char *a = types[data[0] % N_TYPES], *b = types[data[1] % N_TYPES];
    /* JSON holds any text here, which need not come back; and its strings come with quotes. */
    bool json = strcmp(a, "json") == 0 || strcmp(b, "json") == 0;

    open_side(&from, a);
    open_side(&to, b);
    for (int rows = 0; in.p < in.end && rows < ROWS_MAX; rows++)
        FUZZ_CHECK(append(wh_builder_column(from.b, 0), &in) == WH_OK);
    done(&from);
    if (convert(&from, &to, data[2], &fit, &rejects)) {
        FUZZ_CHECK(fit > WH_FIT_WIDENING || rejects == 0);
        if (fit <= WH_FIT_WIDENING && (data[2] & 7) == 0 && !json)
            come_back(&from, &to, a);
    }
    close_side(&from);
    close_side(&to);
    return 0;
}
