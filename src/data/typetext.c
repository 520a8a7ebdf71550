/* SPDX-License-Identifier: Apache-2.0 */
/* The words of types: "decimal(18,2)", "list<int32>", and the SQL synonyms people write. */
#include "data/type.h"
#include "data/internal.h"

#include <stdio.h>
#include <string.h>

#define NEST_MAX 32 /* list<list<...>>: deeper types are a mistake or an attack */

static const char *const kind_names[WH_K_COUNT] = {
    [WH_K_NULL] = "null",         [WH_K_BOOL] = "bool",         [WH_K_I8] = "int8",
    [WH_K_I16] = "int16",         [WH_K_I32] = "int32",         [WH_K_I64] = "int64",
    [WH_K_U8] = "uint8",          [WH_K_U16] = "uint16",        [WH_K_U32] = "uint32",
    [WH_K_U64] = "uint64",        [WH_K_F32] = "float32",       [WH_K_F64] = "float64",
    [WH_K_DEC128] = "decimal128", [WH_K_DEC256] = "decimal256", [WH_K_DECTEXT] = "decimal",
    [WH_K_UTF8] = "utf8",         [WH_K_BINARY] = "binary",     [WH_K_FIXED] = "fixed",
    [WH_K_DATE32] = "date",       [WH_K_TIME64] = "time",       [WH_K_TIMESTAMP] = "timestamp",
    [WH_K_DURATION] = "duration", [WH_K_INTERVAL] = "interval", [WH_K_LIST] = "list",
    [WH_K_STRUCT] = "struct",     [WH_K_MAP] = "map",           [WH_K_DICT] = "dictionary",
};

static const char *const unit_names[] = {"s", "ms", "us", "ns"};

const char *wh_kind_name(enum wh_kind k)
{
    return k < WH_K_COUNT ? kind_names[k] : "?";
}

/* ------------------------------------------------------------------ printing */

static bool plain_name(const char *s)
{
    if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || *s == '_'))
        return false;
    for (; *s; s++)
        if (!((*s >= 'a' && *s <= 'z') || (*s >= 'A' && *s <= 'Z') || (*s >= '0' && *s <= '9') ||
              *s == '_'))
            return false;
    return true;
}

static wh_status print_name(const char *name, struct wh_buf *b)
{
    if (plain_name(name))
        return wh_buf_adds(b, name);
    WH_TRY(wh_buf_addc(b, '"'));
    for (; *name; name++) {
        if (*name == '"')
            WH_TRY(wh_buf_addc(b, '"'));
        WH_TRY(wh_buf_addc(b, *name));
    }
    return wh_buf_addc(b, '"');
}

static wh_status print_field(const struct ArrowSchema *field, struct wh_buf *b)
{
    struct wh_type t;

    if (wh_type_of(field, &t, NULL) != WH_OK)
        return wh_buf_adds(b, "?");
    return wh_type_print(&t, b);
}

static wh_status print_nested(const struct wh_type *t, struct wh_buf *b)
{
    const struct ArrowSchema *f = t->kind == WH_K_MAP ? t->field->children[0] : t->field;

    WH_TRY(wh_buf_adds(b, kind_names[t->kind]));
    WH_TRY(wh_buf_addc(b, '<'));
    for (int64_t i = 0; i < f->n_children; i++) {
        if (i)
            WH_TRY(wh_buf_adds(b, ", "));
        if (t->kind == WH_K_STRUCT) {
            WH_TRY(print_name(f->children[i]->name ? f->children[i]->name : "", b));
            WH_TRY(wh_buf_adds(b, ": "));
        }
        WH_TRY(print_field(f->children[i], b));
    }
    return wh_buf_addc(b, '>');
}

static wh_status print_scalar(const struct wh_type *t, struct wh_buf *b)
{
    const char *name = kind_names[t->kind];

    switch (t->kind) {
    case WH_K_DEC128:
        return wh_buf_printf(b, "decimal(%d,%d)", t->precision, t->scale);
    case WH_K_DEC256:
        return wh_buf_printf(b, t->precision > 38 ? "decimal(%d,%d)" : "decimal256(%d,%d)",
                             t->precision, t->scale);
    case WH_K_UTF8:
    case WH_K_BINARY:
        if (t->length == 0)
            return wh_buf_adds(b, name);
        return wh_buf_printf(b, "%s(%lld)", name, (long long)t->length);
    case WH_K_FIXED:
        return wh_buf_printf(b, "%s(%lld)", name, (long long)t->length);
    case WH_K_TIMESTAMP:
        return wh_buf_printf(b, t->zoned ? "%s(%s, utc)" : "%s(%s)", name, unit_names[t->unit & 3]);
    case WH_K_TIME64:
    case WH_K_DURATION:
        return wh_buf_printf(b, "%s(%s)", name, unit_names[t->unit & 3]);
    default:
        return wh_buf_adds(b, name);
    }
}

/* Types whose logical name says everything: "json" for text, "uuid" for 16 bytes. */
static bool logical_alone(const struct wh_type *t)
{
    return (t->logical == WH_L_JSON && t->kind == WH_K_UTF8 && t->length == 0) ||
           (t->logical == WH_L_UUID && t->kind == WH_K_FIXED && t->length == 16);
}

wh_status wh_type_print(const struct wh_type *t, struct wh_buf *b)
{
    if (logical_alone(t))
        return wh_buf_adds(b, wh_logical_name(t->logical));
    if (t->kind == WH_K_DICT)
        WH_TRY(wh_buf_adds(b, "dictionary<utf8>"));
    else if (t->kind >= WH_K_LIST && t->field)
        WH_TRY(print_nested(t, b));
    else
        WH_TRY(print_scalar(t, b));
    if (t->logical == WH_L_NONE)
        return WH_OK;
    return wh_buf_printf(b, " %s", wh_logical_name(t->logical));
}

/* ------------------------------------------------------------------- reading */

enum parameters {
    NO_PARAM,
    LENGTH,  /* optional (n) */
    DIGITS,  /* optional (p[,s]) */
    UNIT,    /* optional (unit or digits 0..9) */
    INSTANT, /* optional (unit or digits [, utc]) and "with[out] time zone" */
};

/* Words in any case, longest match by words; SQL's names beside our own. */
static const struct word {
    const char *text;
    enum wh_kind kind;
    enum parameters takes;
    enum wh_unit_of_time unit; /* when none is written */
    bool zoned;
    int64_t length;
    enum wh_logical logical;
} words[] = {
    {"null", WH_K_NULL, NO_PARAM},
    {"bool", WH_K_BOOL, NO_PARAM},
    {"boolean", WH_K_BOOL, NO_PARAM},
    {"int8", WH_K_I8, NO_PARAM},
    {"tinyint", WH_K_I8, NO_PARAM},
    {"int16", WH_K_I16, NO_PARAM},
    {"smallint", WH_K_I16, NO_PARAM},
    {"int32", WH_K_I32, NO_PARAM},
    {"int", WH_K_I32, NO_PARAM},
    {"integer", WH_K_I32, NO_PARAM},
    {"int64", WH_K_I64, NO_PARAM},
    {"bigint", WH_K_I64, NO_PARAM},
    {"uint8", WH_K_U8, NO_PARAM},
    {"uint16", WH_K_U16, NO_PARAM},
    {"uint32", WH_K_U32, NO_PARAM},
    {"uint64", WH_K_U64, NO_PARAM},
    {"float32", WH_K_F32, NO_PARAM},
    {"float", WH_K_F32, NO_PARAM},
    {"real", WH_K_F32, NO_PARAM},
    {"float64", WH_K_F64, NO_PARAM},
    {"double", WH_K_F64, NO_PARAM},
    {"double precision", WH_K_F64, NO_PARAM},
    {"decimal128", WH_K_DEC128, DIGITS},
    {"decimal256", WH_K_DEC256, DIGITS},
    {"decimal", WH_K_DECTEXT, DIGITS},
    {"numeric", WH_K_DECTEXT, DIGITS},
    {"number", WH_K_DECTEXT, DIGITS},
    {"utf8", WH_K_UTF8, LENGTH},
    {"string", WH_K_UTF8, LENGTH},
    {"text", WH_K_UTF8, LENGTH},
    {"varchar", WH_K_UTF8, LENGTH},
    {"char", WH_K_UTF8, LENGTH},
    {"character varying", WH_K_UTF8, LENGTH},
    {"character", WH_K_UTF8, LENGTH},
    {"json", WH_K_UTF8, NO_PARAM, .logical = WH_L_JSON},
    {"binary", WH_K_BINARY, LENGTH},
    {"varbinary", WH_K_BINARY, LENGTH},
    {"bytes", WH_K_BINARY, LENGTH},
    {"bytea", WH_K_BINARY, LENGTH},
    {"blob", WH_K_BINARY, LENGTH},
    {"fixed", WH_K_FIXED, LENGTH},
    {"uuid", WH_K_FIXED, NO_PARAM, .length = 16, .logical = WH_L_UUID},
    {"date", WH_K_DATE32, NO_PARAM},
    {"date32", WH_K_DATE32, NO_PARAM},
    {"time", WH_K_TIME64, UNIT, WH_MICRO},
    {"timestamp", WH_K_TIMESTAMP, INSTANT, WH_MICRO},
    {"datetime", WH_K_TIMESTAMP, INSTANT, WH_MICRO},
    {"timestamptz", WH_K_TIMESTAMP, INSTANT, WH_MICRO, true},
    {"duration", WH_K_DURATION, UNIT, WH_MICRO},
    {"interval", WH_K_INTERVAL, NO_PARAM},
};

struct reader {
    const char *p;
    int depth;
};

static void blanks(struct reader *r)
{
    while (*r->p == ' ' || *r->p == '\t' || *r->p == '\n')
        r->p++;
}

static char low(char c)
{
    return (char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

static bool word_byte(char c)
{
    c = low(c);
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_';
}

/* Takes `text` (a space stands for any blanks) if it is there as whole words. */
static bool take_words(struct reader *r, const char *text)
{
    struct reader at = *r;

    blanks(&at);
    for (; *text; text++) {
        if (*text == ' ') {
            if (word_byte(*at.p))
                return false;
            blanks(&at);
        } else if (low(*at.p) == *text) {
            at.p++;
        } else {
            return false;
        }
    }
    if (word_byte(*at.p))
        return false;
    *r = at;
    return true;
}

static bool take(struct reader *r, char c)
{
    blanks(r);
    if (*r->p != c)
        return false;
    r->p++;
    return true;
}

static bool take_number(struct reader *r, int64_t *ret)
{
    int64_t v = 0;
    int digits = 0;

    blanks(r);
    bool negative = *r->p == '-';

    r->p += negative;
    for (; *r->p >= '0' && *r->p <= '9' && digits < 18; r->p++, digits++)
        v = v * 10 + (*r->p - '0');
    *ret = negative ? -v : v;
    return digits > 0;
}

static bool take_unit(struct reader *r, enum wh_unit_of_time *ret)
{
    int64_t digits;

    for (int i = 0; i < 4; i++)
        if (take_words(r, unit_names[i])) {
            *ret = (enum wh_unit_of_time)i;
            return true;
        }
    if (!take_number(r, &digits) || digits < 0 || digits > 9)
        return false;
    *ret = (enum wh_unit_of_time)((digits + 2) / 3);
    return true;
}

static bool take_length(struct reader *r, struct wh_type *t)
{
    if (!take(r, '('))
        return t->kind != WH_K_FIXED;
    return take_number(r, &t->length) && t->length > 0 && take(r, ')') &&
           (t->kind != WH_K_FIXED || t->length < 1000000000);
}

static bool take_digits(struct reader *r, struct wh_type *t)
{
    int64_t precision, scale = 0;

    if (!take(r, '('))
        return t->kind == WH_K_DECTEXT;
    if (!take_number(r, &precision) || (take(r, ',') && !take_number(r, &scale)) || !take(r, ')') ||
        precision > 76 || precision < 1 || scale > 76 || scale < -76)
        return false;
    t->precision = (int)precision;
    t->scale = (int)scale;
    if (t->kind == WH_K_DECTEXT)
        t->kind = wh_decimal_fits(t->precision, t->scale, 38) ? WH_K_DEC128 : WH_K_DEC256;
    return wh_decimal_fits(t->precision, t->scale, t->kind == WH_K_DEC128 ? 38 : 76);
}

static bool take_time(struct reader *r, struct wh_type *t, bool instant)
{
    if (take(r, '(')) {
        if (!take_unit(r, &t->unit))
            return false;
        if (take(r, ',')) {
            if (!instant || !take_words(r, "utc"))
                return false;
            t->zoned = true;
        }
        if (!take(r, ')'))
            return false;
    }
    if (instant && take_words(r, "with time zone"))
        t->zoned = true;
    else if (take_words(r, "without time zone"))
        t->zoned = false;
    /* TIME64 is carried in microseconds or nanoseconds. */
    if (t->kind == WH_K_TIME64 && t->unit < WH_MICRO)
        t->unit = WH_MICRO;
    return true;
}

static bool take_scalar(struct reader *r, struct wh_type *t)
{
    const struct word *w = NULL;
    struct reader after = *r;

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        struct reader at = *r;

        if (take_words(&at, words[i].text) && at.p > after.p) {
            w = &words[i];
            after = at;
        }
    }
    if (!w)
        return false;
    *r = after;
    *t = (struct wh_type){.kind = w->kind,
                          .nullable = true,
                          .unit = w->unit,
                          .zoned = w->zoned,
                          .length = w->length,
                          .logical = w->logical};
    switch (w->takes) {
    case NO_PARAM:
        return true;
    case LENGTH:
        return take_length(r, t);
    case DIGITS:
        return take_digits(r, t);
    default:
        return take_time(r, t, w->takes == INSTANT);
    }
}

static void take_logical(struct reader *r, struct wh_type *t)
{
    for (int i = WH_L_UUID; i <= WH_L_GEOMETRY; i++)
        if (t->logical == WH_L_NONE && take_words(r, wh_logical_name((enum wh_logical)i)))
            t->logical = (enum wh_logical)i;
}

bool wh_type_parse(const char *text, struct wh_type *ret)
{
    struct reader r = {.p = text};
    struct wh_type t;

    if (!take_scalar(&r, &t))
        return false;
    take_logical(&r, &t);
    blanks(&r);
    if (*r.p)
        return false;
    *ret = t;
    return true;
}

static wh_status read_field(struct reader *, const char *name, struct ArrowSchema *ret);

/* A name, plain or in "..." with doubled quotes. */
static wh_status read_name(struct reader *r, struct wh_buf *b)
{
    blanks(r);
    if (*r->p != '"') {
        const char *from = r->p;

        while (word_byte(*r->p))
            r->p++;
        return r->p == from ? WH_E_TYPE : wh_buf_add(b, from, (size_t)(r->p - from));
    }
    WH_TRY(wh_buf_adds(b, ""));
    for (r->p++; *r->p; r->p++) {
        if (*r->p == '"' && *++r->p != '"')
            return WH_OK;
        WH_TRY(wh_buf_addc(b, *r->p));
    }
    return WH_E_TYPE;
}

/* Appends one zeroed child to a field made by wh_schema_own. */
static wh_status add_child(struct ArrowSchema *s, struct ArrowSchema **ret)
{
    size_t n = (size_t)s->n_children;
    struct ArrowSchema **grown = wh_realloc(s->children, (n + 1) * sizeof *grown);

    if (!grown)
        return WH_E_NOMEM;
    s->children = grown;
    if (!(*ret = grown[n] = wh_calloc(1, sizeof **grown)))
        return WH_E_NOMEM;
    s->n_children++;
    return WH_OK;
}

static wh_status read_children(struct reader *r, bool named, int64_t want, struct ArrowSchema *s)
{
    struct ArrowSchema *child;

    if (named && take(r, '>'))
        return WH_OK;
    do {
        struct wh_buf name WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);

        if (s->n_children >= 4096)
            return WH_E_TYPE;
        if (named) {
            WH_TRY(read_name(r, &name));
            if (!take(r, ':'))
                return WH_E_TYPE;
        }
        WH_TRY(add_child(s, &child));
        WH_TRY(read_field(r,
                          named                ? name.p
                          : want == 1          ? "item"
                          : s->n_children == 1 ? "key"
                                               : "value",
                          child));
    } while (take(r, ','));
    return take(r, '>') && (want == 0 || s->n_children == want) ? WH_OK : WH_E_TYPE;
}

static wh_status read_nested(struct reader *r, enum wh_kind kind, const char *name,
                             struct ArrowSchema *ret)
{
    struct ArrowSchema *entries;

    if (kind == WH_K_LIST || kind == WH_K_STRUCT) {
        WH_TRY(wh_schema_own(ret, kind == WH_K_LIST ? "+l" : "+s", name, ARROW_FLAG_NULLABLE, 0));
        return read_children(r, kind == WH_K_STRUCT, kind == WH_K_LIST, ret);
    }
    if (kind == WH_K_DICT) {
        WH_TRY(wh_schema_own(ret, "i", name, ARROW_FLAG_NULLABLE, 0));
        WH_TRY(wh_schema_own_dictionary(ret));
        return take_words(r, "utf8") && take(r, '>') ? WH_OK : WH_E_TYPE;
    }
    WH_TRY(wh_schema_own(ret, "+m", name, ARROW_FLAG_NULLABLE, 1));
    entries = ret->children[0];
    WH_TRY(wh_schema_own(entries, "+s", "entries", 0, 0));
    WH_TRY(read_children(r, false, 2, entries));
    entries->children[0]->flags = 0; /* keys are never null */
    return WH_OK;
}

static wh_status read_any(struct reader *r, const char *name, struct ArrowSchema *ret)
{
    struct wh_type t;

    for (enum wh_kind k = WH_K_LIST; k < WH_K_COUNT; k++) {
        struct reader at = *r;

        if (take_words(&at, kind_names[k]) && take(&at, '<')) {
            r->p = at.p;
            WH_TRY(read_nested(r, k, name, ret));
            t = (struct wh_type){.kind = k};
            take_logical(r, &t);
            return t.logical ? wh_meta_set(ret, WH_META_LOGICAL, wh_logical_name(t.logical))
                             : WH_OK;
        }
    }
    if (!take_scalar(r, &t))
        return WH_E_TYPE;
    take_logical(r, &t);
    return wh_field_init(ret, name, &t, NULL);
}

static wh_status read_field(struct reader *r, const char *name, struct ArrowSchema *ret)
{
    if (r->depth >= NEST_MAX)
        return WH_E_TYPE;
    r->depth++;
    WH_TRY(read_any(r, name, ret));
    r->depth--;
    return WH_OK;
}

wh_status wh_field_parse(const char *text, const char *name, struct ArrowSchema *ret,
                         struct wh_error *reterr)
{
    struct reader r = {.p = text};
    struct ArrowSchema s = {0};
    int st = read_field(&r, name, &s);

    blanks(&r);
    if (st == WH_OK && *r.p)
        st = WH_E_TYPE;
    if (st == WH_OK) {
        *ret = s;
        return WH_OK;
    }
    wh_schema_release(&s);
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory for a type");
    return wh_fail(reterr, st, "E3017", "'%s' is no type (at '%.40s')", text, r.p);
}
