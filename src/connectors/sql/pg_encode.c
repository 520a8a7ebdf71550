/* SPDX-License-Identifier: Apache-2.0 */
/* Batches to COPY BINARY, row by row, each cell by the way that its column was bound to. */
#include "pg.h"
#include "pg_codec.h"

#include "core/alloc.h"

enum op {
    OP_NULL,
    OP_TEXT,
    OP_JSONB,
    OP_BYTES,
    OP_BOOL,
    OP_INT, /* an integer of another width than its wire's */
    OP_I16,
    OP_I32,
    OP_I64,
    OP_DEC128,
    OP_DEC256,
    OP_DECTEXT,
    OP_INT_NUMERIC,
    OP_DATE,
    OP_TIME,
    OP_TIMESTAMP,
    OP_INTERVAL,
    OP_CHAR,
};

static const struct {
    enum pg_wire wire;
    enum wh_kind kind;
    enum op op;
    uint8_t size; /* bytes on the wire; the most where the op writes its length itself */
} pairs[] = {
    {PG_W_TEXT, WH_K_UTF8, OP_TEXT, 0},
    {PG_W_TEXT, WH_K_DICT, OP_TEXT, 0},
    {PG_W_JSONB, WH_K_UTF8, OP_JSONB, 1},
    {PG_W_JSONB, WH_K_DICT, OP_JSONB, 1},
    {PG_W_BYTEA, WH_K_BINARY, OP_BYTES, 0},
    {PG_W_BYTEA, WH_K_FIXED, OP_BYTES, 0},
    {PG_W_UUID, WH_K_FIXED, OP_BYTES, 0},
    {PG_W_BOOL, WH_K_BOOL, OP_BOOL, 1},
    {PG_W_I16, WH_K_I8, OP_INT, 2},
    {PG_W_I16, WH_K_U8, OP_INT, 2},
    {PG_W_I16, WH_K_I16, OP_I16, 2},
    {PG_W_I32, WH_K_I8, OP_INT, 4},
    {PG_W_I32, WH_K_U8, OP_INT, 4},
    {PG_W_I32, WH_K_I16, OP_INT, 4},
    {PG_W_I32, WH_K_U16, OP_INT, 4},
    {PG_W_I32, WH_K_I32, OP_I32, 4},
    {PG_W_I64, WH_K_I8, OP_INT, 8},
    {PG_W_I64, WH_K_U8, OP_INT, 8},
    {PG_W_I64, WH_K_I16, OP_INT, 8},
    {PG_W_I64, WH_K_U16, OP_INT, 8},
    {PG_W_I64, WH_K_I32, OP_INT, 8},
    {PG_W_I64, WH_K_U32, OP_INT, 8},
    {PG_W_I64, WH_K_I64, OP_I64, 8},
    {PG_W_OID, WH_K_U32, OP_I32, 4},
    {PG_W_F32, WH_K_F32, OP_I32, 4},
    {PG_W_F64, WH_K_F64, OP_I64, 8},
    {PG_W_NUMERIC, WH_K_DEC128, OP_DEC128, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_DEC256, OP_DEC256, PG_NUMERIC_256},
    {PG_W_NUMERIC, WH_K_DECTEXT, OP_DECTEXT, 0},
    {PG_W_NUMERIC, WH_K_I8, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_I16, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_I32, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_I64, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_U8, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_U16, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_U32, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_NUMERIC, WH_K_U64, OP_INT_NUMERIC, PG_NUMERIC_128},
    {PG_W_DATE, WH_K_DATE32, OP_DATE, 4},
    {PG_W_TIME, WH_K_TIME64, OP_TIME, 8},
    {PG_W_TIMESTAMP, WH_K_TIMESTAMP, OP_TIMESTAMP, 8},
    {PG_W_TIMESTAMPTZ, WH_K_TIMESTAMP, OP_TIMESTAMP, 8},
    {PG_W_INTERVAL, WH_K_INTERVAL, OP_INTERVAL, 16},
    {PG_W_CHAR, WH_K_UTF8, OP_CHAR, 1},
    {PG_W_CHAR, WH_K_DICT, OP_CHAR, 1},
};

enum bad {
    BAD_NONE,
    BAD_NOMEM,
    BAD_NUL,
    BAD_NUMBER,
    BAD_DIGITS,
    BAD_DATE,
    BAD_TIME,
    BAD_FINER,
    BAD_SIZE,
    BAD_CHAR,
};

static const struct {
    const char *code, *text;
} words[] = {
    [BAD_NUL] = {"E6005", "the text holds a NUL (U+0000), which PostgreSQL cannot store"},
    [BAD_NUMBER] = {"E6006", "the text is no number"},
    [BAD_DIGITS] = {"E6003", "the number has more digits than a numeric can hold"},
    [BAD_DATE] = {"E6007", "PostgreSQL's dates begin in 4714 BC and end in 294276 (date: 5874897)"},
    [BAD_TIME] = {"E6007", "the time of day is not between 00:00 and 24:00"},
    [BAD_FINER] = {"E6013", "the interval has nanoseconds; PostgreSQL counts microseconds"},
    [BAD_CHAR] = {"E6004", "a \"char\" is one byte of ASCII, or \\200 to \\377"},
    [BAD_SIZE] = {"E6010", "the value is larger than a field of PostgreSQL may be (1 GB)"},
};

enum {
    CELL_MAX = 0x3FFFFFFF, /* MaxAllocSize: the server refuses more */
};

struct cell {
    enum op op;
    bool infinite; /* its least and greatest value are infinities, as they are on the wire */
    uint32_t size;
    const uint8_t *data; /* at row 0 of the batch for values of fixed size */
    struct wh_view view;
    struct pg_decimal decimal;
};

struct pg_encoder {
    int n;
    const struct ArrowSchema *schema;
    size_t fixed; /* bytes of a row without those of texts and bytes */
    enum bad bad;
    int bad_column;
    struct wh_view *views; /* scratch of binding */
    struct cell cells[];
};

/* -------------------------------------------------------------------- set-up */

static bool shape_fits(const struct wh_type *t, enum pg_wire wire)
{
    switch (t->kind) {
    case WH_K_TIME64:
    case WH_K_TIMESTAMP:
        return t->unit == WH_MICRO;
    case WH_K_FIXED:
        return wire != PG_W_UUID || t->length == 16;
    default:
        return true;
    }
}

static bool resolve(struct cell *c, enum pg_wire wire, const struct wh_type *t)
{
    if (t->kind == WH_K_NULL)
        return true; /* OP_NULL on any wire */
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i].wire != wire || pairs[i].kind != t->kind)
            continue;
        c->op = pairs[i].op;
        c->size = pairs[i].size;
        if (c->op == OP_DEC128 || c->op == OP_DEC256)
            pg_decimal_init(&c->decimal, t->precision, t->scale);
        else if (c->op == OP_INT_NUMERIC)
            pg_decimal_init(&c->decimal, 38, 0);
        return shape_fits(t, wire);
    }
    return false;
}

wh_status pg_encoder_new(const struct ArrowSchema *schema, const enum pg_wire *wires, int n,
                         struct pg_encoder **ret, struct wh_error *reterr)
{
    struct pg_encoder *e = wh_calloc(1, sizeof *e + (size_t)n * sizeof *e->cells);
    struct wh_type t;
    int st = WH_OK;

    if (!e || !(e->views = wh_calloc((size_t)n, sizeof *e->views))) {
        wh_free(e);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for an encoder of %d columns", n);
    }
    e->n = n;
    e->schema = schema;
    e->fixed = 2;
    for (int i = 0; i < n && st == WH_OK; i++) {
        struct cell *c = &e->cells[i];

        st = wh_type_of(schema->children[i], &t, reterr);
        if (st == WH_OK && !resolve(c, wires[i], &t))
            st = wh_fail(reterr, WH_E_BUG, "E9001", "column \"%s\": %s cannot be sent on wire %d",
                         schema->children[i]->name, wh_kind_name(t.kind), (int)wires[i]);
        e->fixed += 4 + c->size;
    }
    if (st != WH_OK) {
        pg_encoder_free(e);
        return st;
    }
    *ret = e;
    return WH_OK;
}

void pg_encoder_infinite(struct pg_encoder *e, const bool *infinite)
{
    for (int i = 0; i < e->n; i++)
        e->cells[i].infinite = infinite[i];
}

void pg_encoder_free(struct pg_encoder *e)
{
    if (!e)
        return;
    wh_free(e->views);
    wh_free(e);
}

void pg_encoder_bad(const struct pg_encoder *e, int *ret_column, const char **ret_code,
                    const char **ret_text)
{
    *ret_column = e->bad_column;
    *ret_code = words[e->bad].code;
    *ret_text = words[e->bad].text;
}

wh_status pg_encode_header(struct wh_buf *out)
{
    return wh_buf_add(out, "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0", 19);
}

wh_status pg_encode_trailer(struct wh_buf *out)
{
    return wh_buf_add(out, "\377\377", 2);
}

static int width_of(enum op op)
{
    switch (op) {
    case OP_I16:
        return 2;
    case OP_I32:
    case OP_DATE:
        return 4;
    case OP_DEC128:
    case OP_INTERVAL:
        return 16;
    case OP_DEC256:
        return 32;
    default:
        return 8;
    }
}

wh_status pg_encoder_bind(struct pg_encoder *e, const struct wh_batch *b, struct wh_error *reterr)
{
    WH_TRY(wh_views_init(e->schema, &b->rows, e->views, reterr));
    for (int i = 0; i < e->n; i++) {
        struct cell *c = &e->cells[i];

        c->view = e->views[i];
        c->data = c->view.data;
        if (c->data)
            c->data += c->view.offset * width_of(c->op);
    }
    return WH_OK;
}

/* --------------------------------------------------------------------- cells */

/* Where the bytes go. Up to `end` there is room for the fixed part of a row behind it, and a NUL.
 */
struct cursor {
    uint8_t *p, *end;
    struct wh_buf *out;
    size_t fixed;
};

static int cursor_open(struct cursor *at, size_t more)
{
    WH_TRY(wh_buf_reserve(at->out, at->fixed + more));
    at->p = (uint8_t *)at->out->p + at->out->n;
    at->end = (uint8_t *)at->out->p + at->out->cap - at->fixed - 1;
    return WH_OK;
}

/* Room for `more` bytes beside the fixed part. */
static inline int room(struct cursor *at, size_t more)
{
    if (__builtin_expect(at->p <= at->end && more <= (size_t)(at->end - at->p), 1))
        return WH_OK;
    at->out->n = (size_t)(at->p - (uint8_t *)at->out->p);
    return cursor_open(at, more);
}

static inline void put_length(struct cursor *at, size_t n)
{
    pg_put32(at->p, (uint32_t)n);
    at->p += 4;
}

static inline enum bad put_bytes(struct cursor *at, struct wh_bytes v, unsigned version)
{
    if (v.n >= CELL_MAX - 1)
        return BAD_SIZE;
    if (room(at, v.n) != WH_OK)
        return BAD_NOMEM;
    put_length(at, v.n + version);
    if (version)
        *at->p++ = 1;
    if (v.n)
        memcpy(at->p, v.p, v.n);
    at->p += v.n;
    return BAD_NONE;
}

static inline enum bad put_text(struct cursor *at, struct wh_bytes v, unsigned version)
{
    if (v.n && __builtin_expect(memchr(v.p, 0, v.n) != NULL, 0))
        return BAD_NUL;
    return put_bytes(at, v, version);
}

static inline enum bad put_u64(struct cursor *at, uint64_t v)
{
    pg_put32(at->p, 8);
    pg_put64(at->p + 4, v);
    at->p += 12;
    return BAD_NONE;
}

static inline enum bad put_u32(struct cursor *at, uint32_t v)
{
    pg_put32(at->p, 4);
    pg_put32(at->p + 4, v);
    at->p += 8;
    return BAD_NONE;
}

static inline enum bad put_u16(struct cursor *at, uint16_t v)
{
    pg_put32(at->p, 2);
    pg_put16(at->p + 4, v);
    at->p += 6;
    return BAD_NONE;
}

static enum bad put_int(struct cursor *at, const struct cell *c, int64_t i)
{
    int64_t v = wh_view_i64(&c->view, i);

    return c->size == 2   ? put_u16(at, (uint16_t)v)
           : c->size == 4 ? put_u32(at, (uint32_t)v)
                          : put_u64(at, (uint64_t)v);
}

static inline enum bad put_dec128(struct cursor *at, const struct cell *c, __int128 v)
{
    size_t n = pg_numeric_put128(&c->decimal, v, at->p + 4);

    put_length(at, n);
    at->p += n;
    return BAD_NONE;
}

static enum bad put_dec256(struct cursor *at, const struct cell *c, int64_t i)
{
    uint64_t w[4];
    size_t n;

    memcpy(w, c->data + 32 * i, sizeof w);
    n = pg_numeric_put256(&c->decimal, w, at->p + 4);
    put_length(at, n);
    at->p += n;
    return BAD_NONE;
}

static enum bad put_dectext(struct cursor *at, struct wh_bytes v)
{
    size_t n;
    enum pg_fit fit;

    if (v.n >= CELL_MAX)
        return BAD_DIGITS;
    if (room(at, PG_NUMERIC_ROOM(v.n)) != WH_OK)
        return BAD_NOMEM;
    fit = pg_numeric_put_text(v.p, v.n, at->p + 4, &n);
    if (fit != PG_FIT_OK)
        return fit == PG_FIT_RANGE ? BAD_DIGITS : BAD_NUMBER;
    put_length(at, n);
    at->p += n;
    return BAD_NONE;
}

static enum bad put_int_numeric(struct cursor *at, const struct cell *c, int64_t i)
{
    __int128 v = c->view.type.kind == WH_K_U64 ? (__int128)wh_view_u64(&c->view, i)
                                               : (__int128)wh_view_i64(&c->view, i);

    return put_dec128(at, c, v);
}

static enum bad put_date(struct cursor *at, int32_t days)
{
    int64_t v = (int64_t)days - PG_EPOCH_DAYS;

    if (v < PG_MIN_DATE || v >= PG_END_DATE)
        return BAD_DATE;
    return put_u32(at, (uint32_t)v);
}

static inline enum bad put_timestamp(struct cursor *at, int64_t us)
{
    /* The end lies beyond what us since 1970 can count. */
    if (us < PG_MIN_TS + PG_EPOCH_US)
        return BAD_DATE;
    return put_u64(at, (uint64_t)(us - PG_EPOCH_US));
}

static enum bad put_time(struct cursor *at, int64_t us)
{
    return us < 0 || us > PG_DAY_US ? BAD_TIME : put_u64(at, (uint64_t)us);
}

static enum bad put_interval(struct cursor *at, const struct cell *c, int64_t i)
{
    int32_t months, days;
    int64_t ns;

    wh_view_interval(&c->view, i, &months, &days, &ns);
    if (ns % 1000)
        return BAD_FINER;
    pg_put32(at->p, 16);
    pg_put64(at->p + 4, (uint64_t)(ns / 1000));
    pg_put32(at->p + 12, (uint32_t)days);
    pg_put32(at->p + 16, (uint32_t)months);
    at->p += 20;
    return BAD_NONE;
}

/* What take_char made of it, back. */
static enum bad put_char(struct cursor *at, struct wh_bytes v)
{
    const uint8_t *p = v.p;
    uint8_t b = v.n ? p[0] : 0;

    if (v.n == 4 && b == '\\' && (p[1] == '2' || p[1] == '3') && (p[2] & 0xf8) == '0' &&
        (p[3] & 0xf8) == '0')
        b = (uint8_t)((p[1] & 7) << 6 | (p[2] & 7) << 3 | (p[3] & 7));
    else if (v.n > 1 || b > 0x7f || (v.n && !b))
        return BAD_CHAR;
    pg_put32(at->p, 1);
    at->p[4] = b;
    at->p += 5;
    return BAD_NONE;
}

static inline enum bad put_bool(struct cursor *at, const struct wh_view *v, int64_t i)
{
    const uint8_t *bits = v->data;

    i += v->offset;
    pg_put32(at->p, 1);
    at->p[4] = bits[i >> 3] >> (i & 7) & 1;
    at->p += 5;
    return BAD_NONE;
}

#define VALUE(type) (((const type *)(const void *)c->data)[i])

static inline enum bad put(struct cursor *at, const struct cell *c, int64_t i)
{
    __int128 wide;

    if (wh_view_null(&c->view, i)) {
        put_length(at, UINT32_MAX);
        return BAD_NONE;
    }
    switch (c->op) {
    case OP_TEXT:
        return put_text(at, wh_view_bytes(&c->view, i), 0);
    case OP_JSONB:
        return put_text(at, wh_view_bytes(&c->view, i), 1);
    case OP_BYTES:
        return put_bytes(at, wh_view_bytes(&c->view, i), 0);
    case OP_BOOL:
        return put_bool(at, &c->view, i);
    case OP_INT:
        return put_int(at, c, i);
    case OP_I16:
        return put_u16(at, VALUE(uint16_t));
    case OP_I32:
        return put_u32(at, VALUE(uint32_t));
    case OP_I64:
        return put_u64(at, VALUE(uint64_t));
    case OP_DEC128:
        memcpy(&wide, c->data + 16 * i, sizeof wide);
        return put_dec128(at, c, wide);
    case OP_DEC256:
        return put_dec256(at, c, i);
    case OP_DECTEXT:
        return put_dectext(at, wh_view_bytes(&c->view, i));
    case OP_INT_NUMERIC:
        return put_int_numeric(at, c, i);
    case OP_DATE:
        if (c->infinite && (VALUE(int32_t) == INT32_MIN || VALUE(int32_t) == INT32_MAX))
            return put_u32(at, (uint32_t)VALUE(int32_t));
        return put_date(at, VALUE(int32_t));
    case OP_TIME:
        return put_time(at, VALUE(int64_t));
    case OP_TIMESTAMP:
        if (c->infinite && (VALUE(int64_t) == INT64_MIN || VALUE(int64_t) == INT64_MAX))
            return put_u64(at, (uint64_t)VALUE(int64_t));
        return put_timestamp(at, VALUE(int64_t));
    case OP_INTERVAL:
        return put_interval(at, c, i);
    case OP_CHAR:
        return put_char(at, wh_view_bytes(&c->view, i));
    case OP_NULL:
        break;
    }
    put_length(at, UINT32_MAX);
    return BAD_NONE;
}

/* ---------------------------------------------------------------------- rows */

static enum bad put_row(struct pg_encoder *e, struct cursor *at, int64_t row)
{
    if (room(at, 0) != WH_OK)
        return BAD_NOMEM;
    pg_put16(at->p, (uint16_t)e->n);
    at->p += 2;
    for (int i = 0; i < e->n; i++) {
        enum bad bad = put(at, &e->cells[i], row);

        if (__builtin_expect(bad != BAD_NONE, 0)) {
            e->bad_column = i;
            return bad;
        }
    }
    return BAD_NONE;
}

static int give_up(struct pg_encoder *e, const struct wh_buf *out, struct wh_error *reterr)
{
    if (e->bad == BAD_NOMEM)
        return out->cap >= out->max
                   ? wh_fail(reterr, WH_E_LIMIT, "E8006",
                             "a row is larger than the buffer of %zu bytes", out->max)
                   : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to encode rows");
    wh_ignore(wh_fail(reterr, WH_REFUSED, words[e->bad].code, "%s", words[e->bad].text));
    wh_error_where(reterr, "column %s", e->schema->children[e->bad_column]->name);
    return WH_REFUSED;
}

wh_status pg_encode(struct pg_encoder *e, const int32_t *rows, int64_t first, int64_t n,
                    size_t most, struct wh_buf *out, int64_t *ret_done, struct wh_error *reterr)
{
    struct cursor at = {.out = out, .fixed = e->fixed};
    int64_t done = 0;

    e->bad = BAD_NONE;
    *ret_done = 0;
    if (cursor_open(&at, 0) != WH_OK) {
        e->bad = BAD_NOMEM;
        return give_up(e, out, reterr);
    }
    while (done < n && (done == 0 || (size_t)(at.p - (uint8_t *)out->p) < most)) {
        size_t before = (size_t)(at.p - (uint8_t *)out->p);

        e->bad = put_row(e, &at, rows ? rows[done] : first + done);
        if (__builtin_expect(e->bad != BAD_NONE, 0)) {
            at.p = (uint8_t *)out->p + before;
            break;
        }
        done++;
    }
    out->n = (size_t)(at.p - (uint8_t *)out->p);
    out->p[out->n] = 0;
    *ret_done = done;
    return e->bad ? give_up(e, out, reterr) : WH_OK;
}
