/* SPDX-License-Identifier: Apache-2.0 */
/* COPY BINARY into column builders, as it comes. */
#include "pg.h"
#include "pg_codec.h"

#include "core/alloc.h"

#include <limits.h>

/* How one cell becomes a value of its column. */
enum op {
    OP_TEXT,
    OP_TEXT_CHECKED,
    OP_JSONB,
    OP_JSONB_CHECKED,
    OP_BYTES,
    OP_BOOL,
    OP_I16,
    OP_I16_I32,
    OP_I16_I64,
    OP_I32,
    OP_I32_I64,
    OP_I64, /* also F64 and any other eight bytes that are taken as they are */
    OP_U32_I64,
    OP_DEC128,
    OP_DEC256,
    OP_DECTEXT,
    OP_DATE,
    OP_TIME,
    OP_TIMESTAMP,
    OP_INTERVAL,
    OP_UUID,
    OP_CHAR,
};

static const struct {
    enum pg_wire wire;
    enum wh_kind kind;
    enum op op;
    uint8_t size; /* of the cell on the wire; 0 = any */
} pairs[] = {
    {PG_W_TEXT, WH_K_UTF8, OP_TEXT, 0},
    {PG_W_JSONB, WH_K_UTF8, OP_JSONB, 0},
    {PG_W_BYTEA, WH_K_BINARY, OP_BYTES, 0},
    {PG_W_BOOL, WH_K_BOOL, OP_BOOL, 1},
    {PG_W_I16, WH_K_I16, OP_I16, 2},
    {PG_W_I16, WH_K_I32, OP_I16_I32, 2},
    {PG_W_I16, WH_K_I64, OP_I16_I64, 2},
    {PG_W_I32, WH_K_I32, OP_I32, 4},
    {PG_W_I32, WH_K_I64, OP_I32_I64, 4},
    {PG_W_I64, WH_K_I64, OP_I64, 8},
    {PG_W_OID, WH_K_U32, OP_I32, 4},
    {PG_W_OID, WH_K_I64, OP_U32_I64, 4},
    {PG_W_F32, WH_K_F32, OP_I32, 4},
    {PG_W_F64, WH_K_F64, OP_I64, 8},
    {PG_W_NUMERIC, WH_K_DEC128, OP_DEC128, 0},
    {PG_W_NUMERIC, WH_K_DEC256, OP_DEC256, 0},
    {PG_W_NUMERIC, WH_K_DECTEXT, OP_DECTEXT, 0},
    {PG_W_DATE, WH_K_DATE32, OP_DATE, 4},
    {PG_W_TIME, WH_K_TIME64, OP_TIME, 8},
    {PG_W_TIMESTAMP, WH_K_TIMESTAMP, OP_TIMESTAMP, 8},
    {PG_W_TIMESTAMPTZ, WH_K_TIMESTAMP, OP_TIMESTAMP, 8},
    {PG_W_INTERVAL, WH_K_INTERVAL, OP_INTERVAL, 16},
    {PG_W_UUID, WH_K_FIXED, OP_UUID, 16},
    {PG_W_CHAR, WH_K_UTF8, OP_CHAR, 1},
};

/* Why a cell is no value of its column. MALFORMED is no matter of one row. */
enum bad {
    BAD_NONE,
    BAD_NOMEM,
    BAD_MALFORMED,
    BAD_NAN,
    BAD_NUMERIC_INF,
    BAD_TIME_INF,
    BAD_RANGE,
    BAD_SCALE,
    BAD_DATE,
    BAD_SPAN,
    BAD_TEXT,
    BAD_SIZE,
};

static const struct {
    const char *code, *text;
} words[] = {
    [BAD_NAN] = {"E6012", "NaN is no value of the column's decimal type"},
    [BAD_NUMERIC_INF] = {"E6012", "infinity is no value of the column's decimal type"},
    [BAD_TIME_INF] = {"E6012", "infinity is no date or time"},
    [BAD_RANGE] = {"E6003", "the number has more digits than the column's type"},
    [BAD_SCALE] = {"E6013", "the number has more digits behind the point than the column's type"},
    [BAD_DATE] = {"E6007", "the date or time lies outside of the range of 64-bit microseconds"},
    [BAD_SPAN] = {"E6003", "the interval's time is longer than 64-bit nanoseconds can count"},
    [BAD_TEXT] = {"E6005", "the text is not valid UTF-8; the server does not check it (SQL_ASCII)"},
    [BAD_SIZE] = {"E6010", "the value is larger than the largest cell allowed (max_row_bytes)"},
};

struct cell {
    enum op op;
    enum wh_infinite infinite;
    uint32_t size;
    struct wh_column *column;
    struct pg_decimal decimal;
};

struct pg_decoder {
    struct wh_builder *builder;
    const struct pg_col *cols;
    int n;
    bool began, ended;
    enum bad bad;
    int bad_column;
    struct wh_bytes bad_row, rest;
    struct cell cells[];
};

/* -------------------------------------------------------------------- set-up */

static bool shape_fits(const struct wh_type *t)
{
    switch (t->kind) {
    case WH_K_TIME64:
    case WH_K_TIMESTAMP:
        return t->unit == WH_MICRO;
    case WH_K_FIXED:
        return t->length == 16;
    default:
        return true;
    }
}

static bool resolve(struct cell *c, enum pg_wire wire, struct wh_column *column, bool check_text)
{
    c->column = column;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i].wire != wire || pairs[i].kind != column->type.kind)
            continue;
        c->op = pairs[i].op;
        c->size = pairs[i].size;
        if (check_text && (c->op == OP_TEXT || c->op == OP_JSONB))
            c->op++;
        if (c->op == OP_DEC128 || c->op == OP_DEC256)
            pg_decimal_init(&c->decimal, column->type.precision, column->type.scale);
        return shape_fits(&column->type);
    }
    return false;
}

wh_status pg_decoder_new(const struct pg_col *cols, int n, struct wh_builder *builder,
                         bool check_text, struct pg_decoder **ret, struct wh_error *reterr)
{
    struct pg_decoder *d = wh_calloc(1, sizeof *d + (size_t)n * sizeof *d->cells);

    if (!d)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a decoder of %d columns", n);
    d->builder = builder;
    d->cols = cols;
    d->n = n;
    for (int i = 0; i < n; i++) {
        struct wh_column *column = wh_builder_column(builder, i);

        if (!resolve(&d->cells[i], cols[i].wire, column, check_text)) {
            wh_free(d);
            return wh_fail(reterr, WH_E_BUG, "E9001",
                           "column \"%s\" (%s) cannot be decoded as %s (wire %d)", cols[i].name,
                           cols[i].type_text ? cols[i].type_text : "?",
                           wh_kind_name(column->type.kind), (int)cols[i].wire);
        }
    }
    *ret = d;
    return WH_OK;
}

void pg_decoder_free(struct pg_decoder *d)
{
    wh_free(d);
}

void pg_decoder_bad(const struct pg_decoder *d, int *ret_column, const char **ret_code,
                    const char **ret_text)
{
    *ret_column = d->bad_column;
    *ret_code = words[d->bad].code;
    *ret_text = words[d->bad].text;
}

struct wh_bytes pg_decoder_bad_row(const struct pg_decoder *d)
{
    return d->bad_row;
}

struct wh_bytes pg_decoder_rest(const struct pg_decoder *d)
{
    return d->rest;
}

bool pg_decoder_ended(const struct pg_decoder *d)
{
    return d->ended;
}

/* --------------------------------------------------------------------- cells
 * Each appends one value or says why not. */

#define ROOM(c)                                                                                    \
    do {                                                                                           \
        if (__builtin_expect((size_t)(c)->n == (c)->rows_cap, 0) &&                                \
            wh_col_reserve((c), 1, 0) != WH_OK)                                                    \
            return BAD_NOMEM;                                                                      \
    } while (0)

#define APPEND(c, type, v)                                                                         \
    do {                                                                                           \
        ROOM(c);                                                                                   \
        ((type *)(void *)(c)->data)[(c)->n++] = (v);                                               \
    } while (0)

static inline enum bad of_status(int st)
{
    return st == WH_OK ? BAD_NONE : st == WH_E_LIMIT ? BAD_SIZE : BAD_NOMEM;
}

static enum bad of_fit(enum pg_fit fit)
{
    static const enum bad bad[] = {
        [PG_FIT_OK] = BAD_NONE,
        [PG_FIT_NAN] = BAD_NAN,
        [PG_FIT_RANGE] = BAD_RANGE,
        [PG_FIT_INFINITY] = BAD_NUMERIC_INF,
        [PG_FIT_SCALE] = BAD_SCALE,
        [PG_FIT_SYNTAX] = BAD_MALFORMED,
        [PG_FIT_MALFORMED] = BAD_MALFORMED,
    };

    return bad[fit];
}

static enum bad take_bool(struct wh_column *c, const uint8_t *p)
{
    if (*p > 1)
        return BAD_MALFORMED;
    ROOM(c);
    c->data[c->n >> 3] |= (uint8_t)(*p << (c->n & 7));
    c->n++;
    return BAD_NONE;
}

static inline enum bad take_dec128(const struct cell *k, const uint8_t *p, uint32_t n)
{
    struct wh_column *c = k->column;
    __int128 v;
    enum pg_fit fit = pg_numeric_get128(&k->decimal, p, n, &v);

    if (__builtin_expect(fit != PG_FIT_OK, 0))
        return of_fit(fit);
    ROOM(c);
    memcpy(c->data + c->n++ * 16, &v, 16);
    return BAD_NONE;
}

/* Short texts in one move, without a call; `left` bytes are readable. */
static inline enum bad take_bytes(struct wh_column *c, const uint8_t *p, uint32_t n, size_t left)
{
    if (n > 32 || left < 32 || (size_t)c->n == c->rows_cap || c->data_cap - c->data_n < 32 ||
        n > c->max_cell)
        return of_status(wh_put_bytes(c, p, n));
    memcpy(c->data + c->data_n, p, 32);
    c->data_n += n;
    c->offsets[++c->n] = (int32_t)c->data_n;
    return BAD_NONE;
}

static enum bad take_dec256(const struct cell *k, const uint8_t *p, uint32_t n)
{
    uint64_t w[4];
    enum pg_fit fit = pg_numeric_get256(&k->decimal, p, n, w);

    return fit == PG_FIT_OK ? of_status(wh_col_dec256(k->column, w)) : of_fit(fit);
}

static enum bad take_dectext(struct wh_column *c, const uint8_t *p, uint32_t n)
{
    size_t most = pg_numeric_size(p, n), len;
    int st;

    if (!most)
        return BAD_MALFORMED;
    if ((st = wh_col_reserve(c, 1, most)) != WH_OK)
        return of_status(st);
    len = pg_numeric_text(p, n, (char *)c->data + c->data_n);
    if (!len)
        return BAD_MALFORMED;
    if (len > c->max_cell)
        return BAD_SIZE;
    c->data_n += len;
    c->offsets[++c->n] = (int32_t)c->data_n;
    return BAD_NONE;
}

/* The server's infinities are the least and the greatest integer as well. */
static enum bad take_infinite(const struct cell *k, int64_t v)
{
    switch (k->infinite) {
    case WH_INFINITE_NULL:
        return of_status(wh_put_null(k->column));
    case WH_INFINITE_KEEP:
        if (k->op == OP_DATE)
            APPEND(k->column, int32_t, (int32_t)v);
        else
            APPEND(k->column, int64_t, v);
        return BAD_NONE;
    default:
        return BAD_TIME_INF;
    }
}

static enum bad take_date(const struct cell *k, const uint8_t *p)
{
    struct wh_column *c = k->column;
    int32_t v = (int32_t)pg_be32(p);

    if (v == INT32_MIN || v == INT32_MAX)
        return take_infinite(k, v);
    if (v > INT32_MAX - PG_EPOCH_DAYS)
        return BAD_DATE;
    APPEND(c, int32_t, v + PG_EPOCH_DAYS);
    return BAD_NONE;
}

static enum bad take_time(struct wh_column *c, const uint8_t *p)
{
    int64_t v = (int64_t)pg_be64(p);

    if (v < 0 || v > PG_DAY_US)
        return BAD_MALFORMED;
    APPEND(c, int64_t, v);
    return BAD_NONE;
}

static inline enum bad take_timestamp(const struct cell *k, const uint8_t *p)
{
    struct wh_column *c = k->column;
    int64_t v = (int64_t)pg_be64(p);

    if (__builtin_expect(v == INT64_MIN || v >= INT64_MAX - PG_EPOCH_US, 0)) {
        if (v == INT64_MIN || v == INT64_MAX)
            return take_infinite(k, v);
        /* One finite instant is the greatest value, which may stand for an infinity. */
        if (v > INT64_MAX - PG_EPOCH_US || k->infinite >= WH_INFINITE_NEITHER)
            return BAD_DATE;
    }
    APPEND(c, int64_t, v + PG_EPOCH_US);
    return BAD_NONE;
}

static enum bad take_interval(struct wh_column *c, const uint8_t *p)
{
    int64_t us = (int64_t)pg_be64(p), ns;
    int32_t days = (int32_t)pg_be32(p + 8), months = (int32_t)pg_be32(p + 12);

    if (__builtin_mul_overflow(us, 1000, &ns))
        return BAD_SPAN;
    return of_status(wh_col_interval(c, months, days, ns));
}

static enum bad take_text(struct wh_column *c, const uint8_t *p, uint32_t n, bool check)
{
    if (check && !wh_utf8_valid((const char *)p, n))
        return BAD_TEXT;
    return of_status(wh_put_bytes(c, p, n));
}

/* As version 16 prints it: what is no ASCII in octal, so that the text is valid in any encoding. */
static enum bad take_char(struct wh_column *c, uint8_t b)
{
    const char octal[4] = {'\\', (char)('0' + (b >> 6)), (char)('0' + (b >> 3 & 7)),
                           (char)('0' + (b & 7))};

    return of_status(b < 0x80 ? wh_put_bytes(c, &b, b != 0) : wh_put_bytes(c, octal, 4));
}

/* A cell of n bytes; `left` from its first byte to the end of the message. */
static inline enum bad take(const struct cell *k, const uint8_t *p, uint32_t n, size_t left)
{
    struct wh_column *c = k->column;

    switch (k->op) {
    case OP_TEXT:
    case OP_BYTES:
        return take_bytes(c, p, n, left);
    case OP_TEXT_CHECKED:
        return take_text(c, p, n, true);
    case OP_JSONB:
    case OP_JSONB_CHECKED:
        return n < 1 || *p != 1 ? BAD_MALFORMED
                                : take_text(c, p + 1, n - 1, k->op == OP_JSONB_CHECKED);
    case OP_BOOL:
        return take_bool(c, p);
    case OP_I16:
        APPEND(c, int16_t, (int16_t)pg_be16(p));
        return BAD_NONE;
    case OP_I16_I32:
        APPEND(c, int32_t, (int16_t)pg_be16(p));
        return BAD_NONE;
    case OP_I16_I64:
        APPEND(c, int64_t, (int16_t)pg_be16(p));
        return BAD_NONE;
    case OP_I32:
        APPEND(c, uint32_t, pg_be32(p));
        return BAD_NONE;
    case OP_I32_I64:
        APPEND(c, int64_t, (int32_t)pg_be32(p));
        return BAD_NONE;
    case OP_U32_I64:
        APPEND(c, int64_t, pg_be32(p));
        return BAD_NONE;
    case OP_I64:
        APPEND(c, uint64_t, pg_be64(p));
        return BAD_NONE;
    case OP_DEC128:
        return take_dec128(k, p, n);
    case OP_DEC256:
        return take_dec256(k, p, n);
    case OP_DECTEXT:
        return take_dectext(c, p, n);
    case OP_DATE:
        return take_date(k, p);
    case OP_TIME:
        return take_time(c, p);
    case OP_TIMESTAMP:
        return take_timestamp(k, p);
    case OP_INTERVAL:
        return take_interval(c, p);
    case OP_UUID:
        return of_status(wh_col_bytes(c, p, n));
    case OP_CHAR:
        return take_char(c, *p);
    }
    return BAD_MALFORMED;
}

void pg_decoder_infinite(struct pg_decoder *d, const enum wh_infinite *how)
{
    for (int i = 0; i < d->n; i++)
        d->cells[i].infinite = how[i];
}

/* ---------------------------------------------------------------------- rows */

static int malformed(const struct pg_decoder *d, int column, struct wh_error *reterr,
                     const char *what, int64_t have)
{
    int st = wh_fail(reterr, WH_E_DATA, "E4020",
                     "COPY BINARY from the server is malformed: %s (%lld)", what, (long long)have);

    if (column >= 0)
        wh_error_where(reterr, "column %s", d->cols[column].name);
    return st;
}

/* One row's cells from p; *io is behind them at the end, also for a row that is bad. */
static int take_row(struct pg_decoder *d, const uint8_t **io, const uint8_t *end,
                    struct wh_error *reterr)
{
    const uint8_t *p = *io;
    enum bad bad;

    for (int i = 0; i < d->n; i++) {
        const struct cell *k = &d->cells[i];
        uint32_t n;

        if (end - p < 4)
            return malformed(d, i, reterr, "cut off before a field, bytes left", end - p);
        n = pg_be32(p);
        p += 4;
        if (n == UINT32_MAX) {
            bad = d->bad ? BAD_NONE : of_status(wh_put_null(k->column));
        } else {
            if ((int64_t)n > end - p)
                return malformed(d, i, reterr, "a field is longer than its message", n);
            if (k->size && n != k->size)
                return malformed(d, i, reterr, "a field has not the size of its type", n);
            bad = d->bad ? BAD_NONE : take(k, p, n, (size_t)(end - p));
            p += n;
        }
        if (__builtin_expect(bad != BAD_NONE, 0)) {
            if (bad == BAD_NOMEM)
                return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a batch of rows");
            if (bad == BAD_MALFORMED)
                return malformed(d, i, reterr, "a field is no value of its type, bytes", n);
            d->bad = bad;
            d->bad_column = i;
        }
    }
    *io = p;
    return WH_OK;
}

static int take_header(struct pg_decoder *d, const uint8_t **io, const uint8_t *end,
                       struct wh_error *reterr)
{
    static const uint8_t signature[11] = "PGCOPY\n\377\r\n";
    const uint8_t *p = *io;
    uint32_t extension;

    if (end - p < 19 || memcmp(p, signature, sizeof signature) != 0)
        return malformed(d, -1, reterr, "no header; bytes", end - p);
    if (pg_be32(p + 11) & 0xFFFF0000)
        return malformed(d, -1, reterr, "flags of a newer format", pg_be32(p + 11));
    extension = pg_be32(p + 15);
    p += 19;
    if (extension > (uint64_t)(end - p))
        return malformed(d, -1, reterr, "the header's extension is cut off; bytes", extension);
    d->began = true;
    *io = p + extension;
    return WH_OK;
}

/* What follows up to the end of the message, or to the end of a bad row. */
static int take_rows(struct pg_decoder *d, const uint8_t **io, const uint8_t *end, int64_t *rows,
                     struct wh_error *reterr)
{
    while (*io < end && !d->bad) {
        const uint8_t *row = *io;
        int fields;

        if (d->ended || end - row < 2)
            return malformed(d, -1, reterr, "bytes behind the last row", end - row);
        fields = (int16_t)pg_be16(row);
        *io = row + 2;
        if (fields == -1) {
            d->ended = true;
            continue;
        }
        if (fields != d->n)
            return malformed(d, -1, reterr, "a row has another number of fields", fields);
        WH_TRY(take_row(d, io, end, reterr));
        if (d->bad)
            d->bad_row = (struct wh_bytes){row, (size_t)(*io - row)};
        else
            ++*rows;
    }
    return WH_OK;
}

wh_status pg_decode(struct pg_decoder *d, struct wh_bytes message, int64_t *ret_rows, int *ret_bad,
                    struct wh_error *reterr)
{
    const uint8_t *p = message.p, *end = p + message.n;
    int64_t before = wh_builder_rows(d->builder), rows = 0;
    int st = WH_OK;

    d->bad = BAD_NONE;
    d->rest = d->bad_row = (struct wh_bytes){0};
    if (!d->began)
        st = take_header(d, &p, end, reterr);
    if (st == WH_OK)
        st = take_rows(d, &p, end, &rows, reterr);
    if (st != WH_OK || d->bad)
        wh_builder_truncate(d->builder, before + rows);
    WH_TRY(st);
    d->rest = (struct wh_bytes){p, (size_t)(end - p)};
    *ret_rows = rows;
    *ret_bad = d->bad != BAD_NONE;
    return WH_OK;
}
