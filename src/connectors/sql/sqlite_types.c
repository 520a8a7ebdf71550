/* SPDX-License-Identifier: Apache-2.0 */
/* Declared types of SQLite and column types.
 *
 * SQLite keeps any declared text and derives only an affinity from it
 * (sqlite.org/datatype3.html 3.1: INT, then CHAR CLOB TEXT, then BLOB or nothing, then REAL FLOA
 * DOUB, else NUMERIC). NUMERIC and INTEGER affinity turn text that looks like a number into a
 * number, which would change '1.10' or '007'. So each column type gets a declared type whose
 * affinity keeps its values, and from which the same column type is read again. Names that are not
 * SQL's own: U64_TEXT, DECIMAL_TEXT, JSON_TEXT (exact text), FIXED_BLOB(n), DURATION(digits),
 * INTERVAL (ISO 8601 text). */
#include "sqlite.h"

#include <ctype.h>
#include <string.h>

/* ---- affinity ----------------------------------------------------------------------------------
 */

static bool has(const char *upper, const char *word)
{
    return strstr(upper, word) != NULL;
}

static void upper_text(const char *decl, char *out, size_t size)
{
    size_t n = 0;
    bool blank = true; /* drops leading blanks, makes runs of them one */

    for (; *decl && n + 1 < size; decl++) {
        bool is_blank = isspace((unsigned char)*decl);

        if (is_blank && blank)
            continue;
        blank = is_blank;
        out[n++] = is_blank ? ' ' : (char)toupper((unsigned char)*decl);
    }
    while (n > 0 && out[n - 1] == ' ')
        n--;
    out[n] = 0;
}

static enum lite_affinity affinity_of_upper(const char *u)
{
    if (has(u, "INT"))
        return LITE_A_INTEGER;
    if (has(u, "CHAR") || has(u, "CLOB") || has(u, "TEXT"))
        return LITE_A_TEXT;
    if (!*u || has(u, "BLOB"))
        return LITE_A_BLOB;
    if (has(u, "REAL") || has(u, "FLOA") || has(u, "DOUB"))
        return LITE_A_REAL;
    return LITE_A_NUMERIC;
}

enum lite_affinity lite_affinity_of(const char *decl)
{
    char u[256];

    upper_text(decl, u, sizeof u);
    return affinity_of_upper(u);
}

/* ---- declared type -> column type --------------------------------------------------------------
 */

/* "NAME (a, b) TAIL" taken apart; the tail joins the name ("TIMESTAMP(3) WITH TIME ZONE"). */
struct declared {
    char name[128];
    int n;
    int64_t arg[2];
};

static void take_apart(const char *u, struct declared *d)
{
    size_t at = 0;
    const char *open = strchr(u, '('), *p;

    memset(d, 0, sizeof *d);
    for (p = u; *p && p != open && at + 1 < sizeof d->name; p++)
        d->name[at++] = *p;
    while (at > 0 && d->name[at - 1] == ' ')
        at--;
    d->name[at] = 0;
    if (!open)
        return;
    for (p = open + 1; *p && *p != ')' && d->n < 2;) {
        int64_t v = 0;
        bool digits = false;

        while (*p == ' ' || *p == ',')
            p++;
        for (; isdigit((unsigned char)*p) && v < 100000000; p++, digits = true)
            v = v * 10 + (*p - '0');
        if (!digits)
            break;
        d->arg[d->n++] = v;
        while (*p == ' ')
            p++;
    }
    p = strchr(open, ')');
    while (p && *++p && at + 1 < sizeof d->name)
        d->name[at++] = *p;
    d->name[at] = 0;
}

enum shape {
    PLAIN,
    DECIMALS, /* (p,s) or decimal text */
    LENGTH,   /* (n) */
    DIGITS,   /* (digits of a second) */
};

static const struct word {
    const char *name;
    enum wh_kind kind;
    enum shape shape;
    enum lite_promise promise;
    bool zoned;
    enum wh_logical logical;
    int64_t length;
} words[] = {
    {"BOOLEAN", WH_K_BOOL, PLAIN, LITE_P_CHECK},
    {"BOOL", WH_K_BOOL, PLAIN, LITE_P_CHECK},
    {"U64_TEXT", WH_K_U64, PLAIN, LITE_P_SURE},
    {"DECIMAL_TEXT", WH_K_DECTEXT, DECIMALS, LITE_P_SURE},
    {"DECIMAL", WH_K_DECTEXT, DECIMALS, LITE_P_CHECK},
    {"NUMERIC", WH_K_DECTEXT, DECIMALS, LITE_P_CHECK},
    {"DEC", WH_K_DECTEXT, DECIMALS, LITE_P_CHECK},
    {"NUMBER", WH_K_DECTEXT, DECIMALS, LITE_P_CHECK},
    {"DATE", WH_K_DATE32, PLAIN, LITE_P_CHECK},
    {"TIME", WH_K_TIME64, DIGITS, LITE_P_CHECK},
    {"TIME WITHOUT TIME ZONE", WH_K_TIME64, DIGITS, LITE_P_CHECK},
    {"DATETIME", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK},
    {"DATETIME2", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK},
    {"SMALLDATETIME", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK},
    {"TIMESTAMP", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK},
    {"TIMESTAMP WITHOUT TIME ZONE", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK},
    {"TIMESTAMPTZ", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK, true},
    {"TIMESTAMP WITH TIME ZONE", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK, true},
    {"DATETIMEOFFSET", WH_K_TIMESTAMP, DIGITS, LITE_P_CHECK, true},
    {"DURATION", WH_K_DURATION, DIGITS, LITE_P_CHECK},
    {"UUID", WH_K_FIXED, PLAIN, LITE_P_CHECK, false, WH_L_UUID, 16},
    {"GUID", WH_K_FIXED, PLAIN, LITE_P_CHECK, false, WH_L_UUID, 16},
    {"UNIQUEIDENTIFIER", WH_K_FIXED, PLAIN, LITE_P_CHECK, false, WH_L_UUID, 16},
    {"JSON", WH_K_UTF8, PLAIN, LITE_P_CHECK, false, WH_L_JSON},
    {"JSON_TEXT", WH_K_UTF8, PLAIN, LITE_P_SURE, false, WH_L_JSON},
    {"FIXED_BLOB", WH_K_FIXED, LENGTH, LITE_P_SURE},
    {"INTERVAL", WH_K_INTERVAL, PLAIN, LITE_P_CHECK},
};

static enum wh_unit_of_time unit_of(const struct declared *d)
{
    if (d->n == 0)
        return WH_MICRO;
    return d->arg[0] == 0   ? WH_SECOND
           : d->arg[0] <= 3 ? WH_MILLI
           : d->arg[0] <= 6 ? WH_MICRO
                            : WH_NANO;
}

static bool decimal_of(const struct declared *d, struct wh_type *t)
{
    int64_t p = d->arg[0], s = d->n > 1 ? d->arg[1] : 0;

    if (d->n == 0)
        return true; /* any digits: decimal text */
    if (p < 1 || p > 76 || s > p)
        return false;
    t->kind = p > 38 ? WH_K_DEC256 : WH_K_DEC128;
    t->precision = (int)p;
    t->scale = (int)s;
    return true;
}

static bool by_word(const struct declared *d, struct wh_type *t, enum lite_promise *promise)
{
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        const struct word *w = &words[i];

        if (strcmp(w->name, d->name) != 0)
            continue;
        *t = (struct wh_type){.kind = w->kind,
                              .nullable = true,
                              .zoned = w->zoned,
                              .logical = w->logical,
                              .length = w->length};
        *promise = w->promise;
        if (w->shape == DECIMALS)
            return decimal_of(d, t);
        if (w->shape == DIGITS)
            t->unit = unit_of(d);
        if (w->kind == WH_K_TIME64 && t->unit < WH_MICRO)
            t->unit = WH_MICRO;
        if (w->shape == LENGTH)
            t->length = d->arg[0];
        return w->shape != LENGTH || d->n == 1;
    }
    return false;
}

enum lite_promise lite_type_of(const char *decl, struct wh_type *ret)
{
    char u[256];
    struct declared d;
    enum lite_promise promise = LITE_P_SURE;
    struct wh_type t = {.nullable = true};

    upper_text(decl, u, sizeof u);
    take_apart(u, &d);
    if (by_word(&d, ret, &promise))
        return promise;
    switch (affinity_of_upper(u)) {
    case LITE_A_INTEGER:
        t.kind = WH_K_I64;
        break;
    case LITE_A_REAL:
        t.kind = WH_K_F64;
        break;
    case LITE_A_TEXT:
        t.kind = WH_K_UTF8;
        if (has(u, "CHAR") && d.n == 1) {
            t.length = d.arg[0];
            promise = LITE_P_CHECK;
        }
        break;
    case LITE_A_BLOB:
        t.kind = WH_K_BINARY;
        t.length = d.n == 1 ? d.arg[0] : 0;
        promise = !*u ? LITE_P_NONE : t.length ? LITE_P_CHECK : LITE_P_SURE;
        break;
    default:
        t.kind = WH_K_DECTEXT;
        promise = LITE_P_NONE; /* "STRING", "MONEY", "ANY", a typing error */
    }
    if (strcmp(u, "ANY") == 0) /* of STRICT tables: stored as given */
        promise = LITE_P_NONE;
    *ret = t;
    return promise;
}

/* ---- column type -> declared type --------------------------------------------------------------
 */

enum {
    EXACT_DIGITS = 15 /* decimal digits that survive in a double */
};

bool lite_keeps(enum lite_affinity a, const struct wh_type *t)
{
    switch (t->kind) {
    case WH_K_BOOL:
    case WH_K_I8:
    case WH_K_I16:
    case WH_K_I32:
    case WH_K_I64:
    case WH_K_U8:
    case WH_K_U16:
    case WH_K_U32:
    case WH_K_DURATION:
        return a == LITE_A_INTEGER || a == LITE_A_NUMERIC || a == LITE_A_BLOB;
    case WH_K_F32:
    case WH_K_F64:
        return a == LITE_A_REAL || a == LITE_A_BLOB;
    case WH_K_DEC128:
        return t->precision <= EXACT_DIGITS && t->scale >= 0 ? a == LITE_A_NUMERIC
                                                             : a == LITE_A_TEXT || a == LITE_A_BLOB;
    case WH_K_BINARY:
    case WH_K_FIXED:
        /* A blob has no affinity; a uuid is text that never looks like a number. */
        return t->logical == WH_L_UUID || a == LITE_A_BLOB;
    case WH_K_DATE32:
    case WH_K_TIME64:
    case WH_K_TIMESTAMP:
    case WH_K_INTERVAL:
        return a != LITE_A_REAL; /* ISO text never looks like a number either */
    default:
        return a == LITE_A_TEXT || a == LITE_A_BLOB;
    }
}

const char *lite_strict_word(const struct wh_type *t)
{
    switch (t->kind) {
    case WH_K_BOOL:
    case WH_K_I8:
    case WH_K_I16:
    case WH_K_I32:
    case WH_K_I64:
    case WH_K_U8:
    case WH_K_U16:
    case WH_K_U32:
    case WH_K_DURATION:
        return "INTEGER";
    case WH_K_F32:
    case WH_K_F64:
        return "REAL";
    case WH_K_BINARY:
        return "BLOB";
    case WH_K_FIXED:
        return t->logical == WH_L_UUID ? "TEXT" : "BLOB";
    default:
        return "TEXT";
    }
}

/* The source's own words may stay if they are plain, mean the same type here and keep its values.
 * Nothing stands behind a parameter here: "time(3) without time zone" is no type of SQLite's. */
static bool native_fits(struct wh_str native, const struct wh_type *t, char decl[LITE_DECL])
{
    struct wh_type own;
    bool words_only = native.n > 0 && native.n < LITE_DECL;

    for (size_t i = 0; i < native.n && words_only; i++) {
        unsigned char c = (unsigned char)native.s[i];

        words_only = isalnum(c) || c == '_' || c == ' ' || (i > 0 && (c == '(' || c == ')')) ||
                     (i > 0 && c == ',');
    }
    if (!words_only || isdigit((unsigned char)native.s[0]))
        return false;
    if (memchr(native.s, ')', native.n - 1))
        return false;
    snprintf(decl, LITE_DECL, "%.*s", WH_STR_FMT(native));
    return lite_type_of(decl, &own) != LITE_P_NONE && wh_type_equal(&own, t) &&
           own.logical == t->logical && lite_keeps(lite_affinity_of(decl), t);
}

static const char *digits_of(enum wh_unit_of_time u)
{
    static const char *const text[] = {"(0)", "(3)", "", "(9)"};

    return text[u & 3];
}

static void decimal_decl(struct wh_type *t, char decl[LITE_DECL])
{
    bool exact;

    if (t->scale < 0) { /* 12e3: whole numbers with more digits */
        t->precision -= t->scale;
        t->scale = 0;
    }
    if (t->scale > t->precision)
        t->precision = t->scale;
    if (t->precision > 38)
        t->kind = WH_K_DEC256;
    exact = t->kind == WH_K_DEC128 && t->precision <= EXACT_DIGITS;
    snprintf(decl, LITE_DECL, "%s(%d,%d)", exact ? "DECIMAL" : "DECIMAL_TEXT", t->precision,
             t->scale);
}

static void text_decl(struct wh_type *t, char decl[LITE_DECL])
{
    if (t->logical == WH_L_JSON)
        snprintf(decl, LITE_DECL, "JSON_TEXT");
    else if (t->length > 0)
        snprintf(decl, LITE_DECL, "VARCHAR(%lld)", (long long)t->length);
    else
        snprintf(decl, LITE_DECL, "TEXT");
}

static void bytes_decl(struct wh_type *t, char decl[LITE_DECL])
{
    if (t->logical == WH_L_UUID && t->kind == WH_K_FIXED)
        snprintf(decl, LITE_DECL, "UUID");
    else if (t->kind == WH_K_FIXED)
        snprintf(decl, LITE_DECL, "FIXED_BLOB(%lld)", (long long)t->length);
    else if (t->length > 0)
        snprintf(decl, LITE_DECL, "BLOB(%lld)", (long long)t->length);
    else
        snprintf(decl, LITE_DECL, "BLOB");
}

void lite_decl_for(struct wh_type *t, struct wh_str native, const struct lite_to *to,
                   char decl[LITE_DECL])
{
    bool nullable = t->nullable;

    if (t->kind == WH_K_DICT || t->kind == WH_K_NULL)
        *t = (struct wh_type){.kind = WH_K_UTF8, .nullable = nullable};
    else if (t->kind == WH_K_LIST || t->kind == WH_K_STRUCT || t->kind == WH_K_MAP)
        *t = (struct wh_type){.kind = WH_K_UTF8, .nullable = nullable, .logical = WH_L_JSON};
    else if (t->kind == WH_K_U64 && to->uint64 == LITE_U64_INTEGER)
        *t = (struct wh_type){.kind = WH_K_I64, .nullable = nullable};
    if (native_fits(native, t, decl))
        return;
    switch (t->kind) {
    case WH_K_BOOL:
        snprintf(decl, LITE_DECL, "BOOLEAN");
        break;
    case WH_K_U64:
        snprintf(decl, LITE_DECL, "U64_TEXT");
        break;
    case WH_K_F32:
    case WH_K_F64:
        snprintf(decl, LITE_DECL, "REAL");
        break;
    case WH_K_DEC128:
    case WH_K_DEC256:
        decimal_decl(t, decl);
        break;
    case WH_K_DECTEXT:
        snprintf(decl, LITE_DECL, "DECIMAL_TEXT");
        break;
    case WH_K_UTF8:
        text_decl(t, decl);
        break;
    case WH_K_BINARY:
    case WH_K_FIXED:
        bytes_decl(t, decl);
        break;
    case WH_K_DATE32:
        snprintf(decl, LITE_DECL, "DATE");
        break;
    case WH_K_TIME64:
        snprintf(decl, LITE_DECL, "TIME%s", digits_of(t->unit));
        break;
    case WH_K_TIMESTAMP:
        snprintf(decl, LITE_DECL, "%s%s", t->zoned ? "TIMESTAMPTZ" : "TIMESTAMP",
                 digits_of(t->unit));
        break;
    case WH_K_DURATION:
        snprintf(decl, LITE_DECL, "DURATION%s", digits_of(t->unit));
        break;
    case WH_K_INTERVAL:
        snprintf(decl, LITE_DECL, "INTERVAL");
        break;
    default:
        snprintf(decl, LITE_DECL, "INTEGER");
    }
}
