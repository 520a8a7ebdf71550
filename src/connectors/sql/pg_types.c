/* SPDX-License-Identifier: Apache-2.0 */
/* The server's types and ours: tables in both directions. */
#include "pg.h"

#include <stdio.h>
#include <string.h>
#include <stdlib.h>

enum {
    VARCHAR_MAX = 10485760,
    NUMERIC_MAX = 76 /* digits that a 256-bit decimal holds */
};

/* ---- the server's to ours ----------------------------------------------------------------------
 */

enum param {
    P_NONE,
    P_LENGTH, /* typmod is length + 4 */
    P_DECIMAL
};

struct known {
    uint32_t oid;
    const char *name; /* as format_type() writes it; parameters stand behind or in it */
    enum pg_wire wire;
    enum wh_kind kind;
    enum param param;
    enum wh_logical logical;
    bool zoned, cast;
};

/* What is not here comes as the server's text; so does xml, whose binary form has an encoding
 * declaration in front. Money is a number that the database's lc_monetary writes in its own way, so
 * it travels as numeric. */
static const struct known known[] = {
    {16, "boolean", PG_W_BOOL, WH_K_BOOL, P_NONE, WH_L_NONE, false, false},
    {17, "bytea", PG_W_BYTEA, WH_K_BINARY, P_NONE, WH_L_NONE, false, false},
    {18, "\"char\"", PG_W_CHAR, WH_K_UTF8, P_NONE, WH_L_NONE, false, false},
    {19, "name", PG_W_TEXT, WH_K_UTF8, P_NONE, WH_L_NONE, false, false},
    {20, "bigint", PG_W_I64, WH_K_I64, P_NONE, WH_L_NONE, false, false},
    {21, "smallint", PG_W_I16, WH_K_I16, P_NONE, WH_L_NONE, false, false},
    {23, "integer", PG_W_I32, WH_K_I32, P_NONE, WH_L_NONE, false, false},
    {25, "text", PG_W_TEXT, WH_K_UTF8, P_NONE, WH_L_NONE, false, false},
    {26, "oid", PG_W_OID, WH_K_U32, P_NONE, WH_L_NONE, false, false},
    {114, "json", PG_W_TEXT, WH_K_UTF8, P_NONE, WH_L_JSON, false, false},
    {700, "real", PG_W_F32, WH_K_F32, P_NONE, WH_L_NONE, false, false},
    {701, "double precision", PG_W_F64, WH_K_F64, P_NONE, WH_L_NONE, false, false},
    {790, "money", PG_W_NUMERIC, WH_K_DECTEXT, P_NONE, WH_L_NONE, false, true},
    {1042, "character", PG_W_TEXT, WH_K_UTF8, P_LENGTH, WH_L_NONE, false, false},
    {1042, "bpchar", PG_W_TEXT, WH_K_UTF8, P_NONE, WH_L_NONE, false, false},
    {1043, "character varying", PG_W_TEXT, WH_K_UTF8, P_LENGTH, WH_L_NONE, false, false},
    {1082, "date", PG_W_DATE, WH_K_DATE32, P_NONE, WH_L_NONE, false, false},
    {1083, "time without time zone", PG_W_TIME, WH_K_TIME64, P_NONE, WH_L_NONE, false, false},
    {1114, "timestamp without time zone", PG_W_TIMESTAMP, WH_K_TIMESTAMP, P_NONE, WH_L_NONE, false,
     false},
    {1184, "timestamp with time zone", PG_W_TIMESTAMPTZ, WH_K_TIMESTAMP, P_NONE, WH_L_NONE, true,
     false},
    {1186, "interval", PG_W_INTERVAL, WH_K_INTERVAL, P_NONE, WH_L_NONE, false, false},
    {1700, "numeric", PG_W_NUMERIC, WH_K_DECTEXT, P_DECIMAL, WH_L_NONE, false, false},
    {2950, "uuid", PG_W_UUID, WH_K_FIXED, P_NONE, WH_L_UUID, false, false},
    {3802, "jsonb", PG_W_JSONB, WH_K_UTF8, P_NONE, WH_L_JSON, false, false},
};

static const struct known *known_oid(uint32_t oid)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].oid == oid)
            return &known[i];
    return NULL;
}

void pg_numeric_shape(int32_t typmod, int *ret_precision, int *ret_scale)
{
    uint32_t m = (uint32_t)(typmod - 4);

    *ret_precision = (int)(m >> 16 & 0xffff);
    *ret_scale = (int)((m & 0x7ff) ^ 1024) - 1024; /* 11 bits with a sign, since 15 */
}

/* numeric(p,s) that a decimal of ours has the same values as. */
static void decimal_of(int32_t typmod, struct wh_type *t)
{
    int p, s;

    if (typmod < 4)
        return;
    pg_numeric_shape(typmod, &p, &s);
    if (p > NUMERIC_MAX || s < 0 || s > p)
        return;
    t->kind = p > 38 ? WH_K_DEC256 : WH_K_DEC128;
    t->precision = p;
    t->scale = s;
}

void pg_type_of(struct pg_col *c)
{
    const struct known *k = c->typtype == 'b' || c->typtype == 'd' ? known_oid(c->base_oid) : NULL;

    c->wire = k ? k->wire : PG_W_TEXT;
    /* An enum's binary form is its label. */
    c->cast = k ? k->cast : c->typtype != 'e';
    c->type = (struct wh_type){.kind = k ? k->kind : WH_K_UTF8, .nullable = !c->not_null};
    if (!k)
        return;
    c->type.unit = WH_MICRO;
    c->type.zoned = k->zoned;
    c->type.logical = k->logical;
    if (k->param == P_LENGTH && c->typmod > 4)
        c->type.length = c->typmod - 4;
    if (k->param == P_DECIMAL)
        decimal_of(c->typmod, &c->type);
    if (k->logical == WH_L_UUID)
        c->type.length = 16;
}

/* ---- ours to the server's ----------------------------------------------------------------------
 */

struct decl {
    const char *words;
    enum pg_wire wire;
    enum wh_kind kind; /* in which the cells are wanted */
};

/* Where nothing but the kind counts. */
static const struct decl plain[WH_K_COUNT] = {
    [WH_K_NULL] = {"text", PG_W_TEXT, WH_K_UTF8},
    [WH_K_BOOL] = {"boolean", PG_W_BOOL, WH_K_BOOL},
    [WH_K_I8] = {"smallint", PG_W_I16, WH_K_I16},
    [WH_K_I16] = {"smallint", PG_W_I16, WH_K_I16},
    [WH_K_I32] = {"integer", PG_W_I32, WH_K_I32},
    [WH_K_I64] = {"bigint", PG_W_I64, WH_K_I64},
    [WH_K_U8] = {"smallint", PG_W_I16, WH_K_I16},
    [WH_K_U16] = {"integer", PG_W_I32, WH_K_I32},
    [WH_K_U32] = {"bigint", PG_W_I64, WH_K_I64},
    [WH_K_U64] = {"numeric(20,0)", PG_W_NUMERIC, WH_K_U64},
    [WH_K_F32] = {"real", PG_W_F32, WH_K_F32},
    [WH_K_F64] = {"double precision", PG_W_F64, WH_K_F64},
    [WH_K_DEC128] = {"numeric", PG_W_NUMERIC, WH_K_DEC128},
    [WH_K_DEC256] = {"numeric", PG_W_NUMERIC, WH_K_DEC256},
    [WH_K_DECTEXT] = {"numeric", PG_W_NUMERIC, WH_K_DECTEXT},
    [WH_K_UTF8] = {"text", PG_W_TEXT, WH_K_UTF8},
    [WH_K_BINARY] = {"bytea", PG_W_BYTEA, WH_K_BINARY},
    [WH_K_FIXED] = {"bytea", PG_W_BYTEA, WH_K_FIXED},
    [WH_K_DATE32] = {"date", PG_W_DATE, WH_K_DATE32},
    [WH_K_TIME64] = {"time without time zone", PG_W_TIME, WH_K_TIME64},
    [WH_K_TIMESTAMP] = {"timestamp without time zone", PG_W_TIMESTAMP, WH_K_TIMESTAMP},
    [WH_K_DURATION] = {"interval", PG_W_INTERVAL, WH_K_INTERVAL},
    [WH_K_INTERVAL] = {"interval", PG_W_INTERVAL, WH_K_INTERVAL},
    /* Text of JSON: json keeps it as it is, jsonb would sort keys and drop doubles. */
    [WH_K_LIST] = {"json", PG_W_TEXT, WH_K_UTF8},
    [WH_K_STRUCT] = {"json", PG_W_TEXT, WH_K_UTF8},
    [WH_K_MAP] = {"json", PG_W_TEXT, WH_K_UTF8},
    [WH_K_DICT] = {"text", PG_W_TEXT, WH_K_UTF8},
};

/* A decimal with a negative scale is kept as an integer with the zeros, one whose scale is above
 * its precision gets the digits: older servers know neither shape. */
static void decimal_decl(struct wh_type *io, char decl[PG_DECL])
{
    int p = io->precision, s = io->scale;

    if (s < 0) {
        p -= s;
        s = 0;
    } else if (s > p) {
        p = s;
    }
    if (p > NUMERIC_MAX) {
        io->kind = WH_K_DECTEXT;
        io->precision = io->scale = 0;
        return;
    }
    io->kind = p > 38 ? WH_K_DEC256 : WH_K_DEC128;
    io->precision = p;
    io->scale = s;
    snprintf(decl, PG_DECL, "numeric(%d,%d)", p, s);
}

static void text_decl(struct wh_type *io, char decl[PG_DECL])
{
    if (io->logical == WH_L_JSON)
        snprintf(decl, PG_DECL, "json");
    else if (io->length > 0 && io->length <= VARCHAR_MAX)
        snprintf(decl, PG_DECL, "character varying(%lld)", (long long)io->length);
}

/* "numeric(10,2)" -> its row and modifier: the words of format_type(), nothing else. */
static const struct known *parse_native(struct wh_str native, int32_t *ret_typmod)
{
    char base[PG_DECL], *open, *close;
    int a = -1, b = 0, used = 0;

    *ret_typmod = -1;
    if (!native.n || native.n >= sizeof base)
        return NULL;
    memcpy(base, native.s, native.n);
    base[native.n] = 0;
    open = strchr(base, '(');
    if (open) {
        char *end;

        close = strchr(open, ')');
        if (!close)
            return NULL;
        a = (int)strtol(open + 1, &end, 10);
        if (*end == ',')
            b = (int)strtol(end + 1, &end, 10);
        if (end != close || end == open + 1)
            return NULL;
        memmove(open, close + 1, strlen(close + 1) + 1);
        used = 1;
    }
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (strcmp(base, known[i].name) != 0)
            continue;
        if (used)
            *ret_typmod = known[i].param == P_LENGTH    ? a + 4
                          : known[i].param == P_DECIMAL ? (a << 16 | (b & 0x7ff)) + 4
                                                        : a;
        return &known[i];
    }
    return NULL;
}

/* Types of the same words and values, where the source is PostgreSQL: the column says what the
 * source's said, though other words would hold its values as well (jsonb, character(3), oid). */
static bool keep_native(struct wh_type *io, struct wh_str native, char decl[PG_DECL],
                        enum pg_wire *ret_wire)
{
    struct pg_col c = {.typtype = 'b', .not_null = !io->nullable};
    const struct known *k = parse_native(native, &c.typmod);

    if (!k || k->cast)
        return false;
    c.base_oid = c.oid = k->oid;
    pg_type_of(&c);
    if (!wh_type_equal(&c.type, io))
        return false;
    snprintf(decl, PG_DECL, "%.*s", WH_STR_FMT(native));
    *ret_wire = c.wire;
    return true;
}

void pg_decl_for(struct wh_type *io, struct wh_str native, char decl[PG_DECL],
                 enum pg_wire *ret_wire)
{
    const struct decl *d = &plain[io->kind];
    enum wh_kind was = io->kind;

    if (keep_native(io, native, decl, ret_wire))
        return;
    snprintf(decl, PG_DECL, "%s", d->words);
    *ret_wire = d->wire;
    io->kind = d->kind;
    io->unit = WH_MICRO;
    io->field = NULL;
    if (was == WH_K_DEC128 || was == WH_K_DEC256) {
        decimal_decl(io, decl);
    } else if (was == WH_K_UTF8) {
        text_decl(io, decl);
    } else if (was == WH_K_LIST || was == WH_K_STRUCT || was == WH_K_MAP) {
        io->logical = WH_L_JSON;
        io->length = 0;
    } else if (was == WH_K_FIXED && io->logical == WH_L_UUID) {
        snprintf(decl, PG_DECL, "uuid");
        *ret_wire = PG_W_UUID;
    } else if (was == WH_K_TIMESTAMP && io->zoned) {
        snprintf(decl, PG_DECL, "timestamp with time zone");
        *ret_wire = PG_W_TIMESTAMPTZ;
    } else if (was == WH_K_DICT || was == WH_K_NULL) {
        io->length = 0;
    }
}

void pg_accept_type(const struct pg_col *c, struct wh_type *ret)
{
    *ret = c->type;
    ret->nullable = !c->not_null;
}

/* The server rounds to these without a word: is it coarser than what we send? */
bool pg_rounds(const struct pg_col *c)
{
    int p, s;

    if (c->rounds)
        return true;
    if (c->typmod < 0)
        return false;
    switch (c->base_oid) {
    case 1083: /* time(p) */
    case 1114:
    case 1184:
        return c->typmod < 6;
    case 1186: /* precision in the low half, fields in the high one */
        return (c->typmod & 0xffff) < 6 || (c->typmod >> 16 & 0x7fff) != 0x7fff;
    case 1700:
        pg_numeric_shape(c->typmod, &p, &s);
        return c->type.kind == WH_K_DECTEXT;
    default:
        return false;
    }
}
