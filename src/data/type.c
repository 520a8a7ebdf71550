/* SPDX-License-Identifier: Apache-2.0 */
/* Arrow format strings to types and back; equality. The words people read are in typetext.c. */
#include "data/type.h"
#include "data/internal.h"

#include <stdio.h>
#include <string.h>

/* Formats without parameters. What is missing here and below is refused by name. */
static const struct {
    const char *format;
    enum wh_kind kind;
    enum wh_unit_of_time unit;
} plain[] = {
    {"n", WH_K_NULL, 0},
    {"b", WH_K_BOOL, 0},
    {"c", WH_K_I8, 0},
    {"C", WH_K_U8, 0},
    {"s", WH_K_I16, 0},
    {"S", WH_K_U16, 0},
    {"i", WH_K_I32, 0},
    {"I", WH_K_U32, 0},
    {"l", WH_K_I64, 0},
    {"L", WH_K_U64, 0},
    {"f", WH_K_F32, 0},
    {"g", WH_K_F64, 0},
    {"u", WH_K_UTF8, 0},
    {"z", WH_K_BINARY, 0},
    {"tdD", WH_K_DATE32, 0},
    {"ttu", WH_K_TIME64, WH_MICRO},
    {"ttn", WH_K_TIME64, WH_NANO},
    {"tDs", WH_K_DURATION, WH_SECOND},
    {"tDm", WH_K_DURATION, WH_MILLI},
    {"tDu", WH_K_DURATION, WH_MICRO},
    {"tDn", WH_K_DURATION, WH_NANO},
    {"tin", WH_K_INTERVAL, 0},
    {"+l", WH_K_LIST, 0},
    {"+s", WH_K_STRUCT, 0},
    {"+m", WH_K_MAP, 0},
};

#define N_PLAIN (sizeof plain / sizeof plain[0])

static const char unit_letters[] = "smun";

/* A decimal number at *p, at most 9 digits; moves *p past it. */
static bool read_int(const char **p, int *ret)
{
    bool negative = **p == '-';
    const char *s = *p + negative;
    int v = 0, digits = 0;

    for (; *s >= '0' && *s <= '9' && digits < 10; s++, digits++)
        v = v * 10 + (*s - '0');
    if (digits == 0 || digits > 9)
        return false;
    *ret = negative ? -v : v;
    *p = s;
    return true;
}

bool wh_decimal_fits(int precision, int scale, int max)
{
    return precision >= 1 && precision <= max && scale <= max && precision - scale <= max;
}

/* "d:18,2" or "d:60,2,256" */
static bool decimal_format(const char *p, struct wh_type *t)
{
    int bits = 128;

    if (!read_int(&p, &t->precision) || *p++ != ',' || !read_int(&p, &t->scale))
        return false;
    if (*p == ',') {
        p++;
        if (!read_int(&p, &bits))
            return false;
    }
    t->kind = bits == 256 ? WH_K_DEC256 : WH_K_DEC128;
    return *p == 0 && (bits == 128 || bits == 256) &&
           wh_decimal_fits(t->precision, t->scale, bits == 256 ? 76 : 38);
}

static bool format_to_type(const char *f, struct wh_type *t)
{
    int width;

    for (size_t i = 0; i < N_PLAIN; i++)
        if (strcmp(plain[i].format, f) == 0) {
            t->kind = plain[i].kind;
            t->unit = plain[i].unit;
            return true;
        }
    if (f[0] == 'd' && f[1] == ':')
        return decimal_format(f + 2, t);
    if (f[0] == 'w' && f[1] == ':') {
        const char *p = f + 2;

        t->kind = WH_K_FIXED;
        if (!read_int(&p, &width) || *p || width < 1)
            return false;
        t->length = width;
        return true;
    }
    if (f[0] == 't' && f[1] == 's' && f[2] && f[3] == ':') {
        const char *unit = strchr(unit_letters, f[2]);

        t->kind = WH_K_TIMESTAMP;
        t->unit = unit ? (enum wh_unit_of_time)(unit - unit_letters) : WH_SECOND;
        t->zoned = f[4] != 0;
        return unit != NULL;
    }
    return false;
}

bool wh_type_format(const struct wh_type *t, char out[32])
{
    enum wh_kind kind = t->kind == WH_K_DECTEXT ? WH_K_UTF8
                        : t->kind == WH_K_DICT  ? WH_K_I32
                                                : t->kind;
    bool by_unit = kind == WH_K_TIME64 || kind == WH_K_DURATION;

    for (size_t i = 0; i < N_PLAIN; i++)
        if (plain[i].kind == kind && (!by_unit || plain[i].unit == t->unit)) {
            snprintf(out, 32, "%s", plain[i].format);
            return true;
        }
    switch (kind) {
    case WH_K_DEC128:
    case WH_K_DEC256:
        snprintf(out, 32, kind == WH_K_DEC128 ? "d:%d,%d" : "d:%d,%d,256", t->precision, t->scale);
        return wh_decimal_fits(t->precision, t->scale, kind == WH_K_DEC128 ? 38 : 76);
    case WH_K_FIXED:
        snprintf(out, 32, "w:%lld", (long long)t->length);
        return t->length > 0 && t->length < 1000000000;
    case WH_K_TIMESTAMP:
        snprintf(out, 32, "ts%c:%s", unit_letters[t->unit & 3], t->zoned ? "UTC" : "");
        return true;
    default:
        return false; /* TIME64 in seconds or milliseconds */
    }
}

static const char *const logical_names[] = {
    [WH_L_NONE] = "",     [WH_L_UUID] = "uuid", [WH_L_JSON] = "json",         [WH_L_BIT] = "bit",
    [WH_L_YEAR] = "year", [WH_L_ENUM] = "enum", [WH_L_GEOMETRY] = "geometry",
};

const char *wh_logical_name(enum wh_logical l)
{
    return logical_names[l];
}

bool wh_logical_parse(struct wh_str text, enum wh_logical *ret)
{
    for (int i = WH_L_UUID; i <= WH_L_GEOMETRY; i++)
        if (wh_str_eqs(text, logical_names[i])) {
            *ret = (enum wh_logical)i;
            return true;
        }
    return false;
}

/* wherry.length and wherry.logical. Unknown words of other versions change nothing. */
static void read_metadata(const struct ArrowSchema *field, struct wh_type *t)
{
    struct wh_str text;
    int64_t length = 0;

    if (!field->metadata)
        return;
    if (wh_meta_get(field, WH_META_LOGICAL, &text)) {
        if (t->kind == WH_K_UTF8 && wh_str_eqs(text, "decimal_text"))
            t->kind = WH_K_DECTEXT;
        else
            wh_logical_parse(text, &t->logical);
    }
    if ((t->kind == WH_K_UTF8 || t->kind == WH_K_BINARY) &&
        wh_meta_get(field, WH_META_LENGTH, &text)) {
        for (size_t i = 0; i < text.n && length < INT64_MAX / 100; i++) {
            if (text.s[i] < '0' || text.s[i] > '9')
                return;
            length = length * 10 + (text.s[i] - '0');
        }
        t->length = length;
    }
}

static wh_status check_children(const struct ArrowSchema *field, const struct wh_type *t,
                                struct wh_error *reterr)
{
    int64_t want = t->kind == WH_K_LIST || t->kind == WH_K_MAP ? 1 : 0;
    const struct ArrowSchema *entries;

    if (t->kind == WH_K_STRUCT ? field->n_children < 0 : field->n_children != want)
        return wh_fail(reterr, WH_E_TYPE, "E3015", "column '%s': %s with %lld child fields",
                       field->name ? field->name : "", wh_kind_name(t->kind),
                       (long long)field->n_children);
    if (t->kind != WH_K_MAP)
        return WH_OK;
    entries = field->children[0];
    if (strcmp(entries->format, "+s") != 0 || entries->n_children != 2)
        return wh_fail(reterr, WH_E_TYPE, "E3015", "column '%s': map whose entries are no pairs",
                       field->name ? field->name : "");
    return WH_OK;
}

wh_status wh_type_of(const struct ArrowSchema *field, struct wh_type *ret, struct wh_error *reterr)
{
    struct wh_type t = {0};
    const char *name = field->name ? field->name : "";

    if (!field->release || !field->format)
        return wh_fail(reterr, WH_E_TYPE, "E3015", "column '%s': the schema was released", name);
    t.nullable = (field->flags & ARROW_FLAG_NULLABLE) != 0;
    if (field->dictionary) {
        const char *values = field->dictionary->format;

        if (strcmp(field->format, "i") != 0 || !values || strcmp(values, "u") != 0)
            return wh_fail(reterr, WH_E_TYPE, "E3015",
                           "column '%s': dictionary of '%s' by '%s'; only text by int32 is carried",
                           name, values ? values : "", field->format);
        t.kind = WH_K_DICT;
    } else if (!format_to_type(field->format, &t)) {
        return wh_fail(reterr, WH_E_TYPE, "E3015", "column '%s': Arrow type '%s' is not carried",
                       name, field->format);
    }
    WH_TRY(check_children(field, &t, reterr));
    read_metadata(field, &t);
    if (t.kind >= WH_K_LIST)
        t.field = field;
    *ret = t;
    return WH_OK;
}

static bool fields_equal(const struct ArrowSchema *a, const struct ArrowSchema *b, bool names)
{
    struct wh_type x, y;

    if (names && strcmp(a->name ? a->name : "", b->name ? b->name : "") != 0)
        return false;
    return wh_type_of(a, &x, NULL) == WH_OK && wh_type_of(b, &y, NULL) == WH_OK &&
           wh_type_equal(&x, &y);
}

/* Names count in a struct only: "item" and "element" of a list mean the same. */
static bool nested_equal(const struct wh_type *a, const struct wh_type *b)
{
    const struct ArrowSchema *x = a->field, *y = b->field;

    if (x == y || !x || !y)
        return x == y;
    if (a->kind == WH_K_DICT)
        return true;
    if (a->kind == WH_K_MAP) {
        x = x->children[0];
        y = y->children[0];
    }
    if (x->n_children != y->n_children)
        return false;
    for (int64_t i = 0; i < x->n_children; i++)
        if (!fields_equal(x->children[i], y->children[i], a->kind == WH_K_STRUCT))
            return false;
    return true;
}

bool wh_type_equal(const struct wh_type *a, const struct wh_type *b)
{
    bool timed = a->kind == WH_K_TIME64 || a->kind == WH_K_TIMESTAMP || a->kind == WH_K_DURATION;
    bool decimal = a->kind == WH_K_DEC128 || a->kind == WH_K_DEC256;

    if (a->kind != b->kind || a->logical != b->logical || a->length != b->length)
        return false;
    if (timed && a->unit != b->unit)
        return false;
    if (a->kind == WH_K_TIMESTAMP && a->zoned != b->zoned)
        return false;
    if (decimal && (a->precision != b->precision || a->scale != b->scale))
        return false;
    if (a->kind == WH_K_DICT)
        return true;
    return a->kind < WH_K_LIST || nested_equal(a, b);
}
