/* SPDX-License-Identifier: Apache-2.0 */
/* What people and other programs see of option tables: values, help, JSON Schema, fingerprint. */
#include "core/options.h"

#include "core/options_row.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* No value is longer than a document. */
#define SHOWN_MAX ((size_t)64 << 20)

const char *wh_option_type_name(enum wh_option_type type)
{
    static const char *const names[] = {
        [WH_T_STRING] = "text",        [WH_T_SECRET] = "secret", [WH_T_I64] = "number",
        [WH_T_BOOL] = "true or false", [WH_T_DOUBLE] = "number", [WH_T_SIZE] = "size",
        [WH_T_DURATION] = "duration",  [WH_T_ENUM] = "choice",   [WH_T_CHAR] = "character",
        [WH_T_LIST] = "list",          [WH_T_MAP] = "map",       [WH_T_COLUMNS] = "columns",
        [WH_T_CRON] = "cron line",
    };

    return names[type];
}

/* ---- values -------------------------------------------------------------------------------- */

struct unit {
    int64_t factor;
    const char *name;
};

/* The largest unit that divides the value. */
static void with_unit(const struct unit *units, int64_t v, char out[32])
{
    while (units->factor > 1 && (v == 0 || v % units->factor != 0))
        units++;
    snprintf(out, 32, "%lld%s", (long long)(v / units->factor), v ? units->name : "");
}

void wh_option_number(enum wh_option_type type, int64_t v, char out[32])
{
    static const struct unit sizes[] = {
        {INT64_C(1) << 40, "TiB"},
        {1000000000000, "TB"},
        {INT64_C(1) << 30, "GiB"},
        {1000000000, "GB"},
        {INT64_C(1) << 20, "MiB"},
        {1000000, "MB"},
        {INT64_C(1) << 10, "KiB"},
        {1000, "kB"},
        {1, ""},
    };
    static const struct unit durations[] = {
        {86400000, "d"}, {3600000, "h"}, {60000, "m"}, {1000, "s"}, {1, "ms"},
    };

    if (type == WH_T_SIZE)
        with_unit(sizes, v, out);
    else if (type == WH_T_DURATION)
        with_unit(durations, v, out);
    else
        snprintf(out, 32, "%lld", (long long)v);
}

/* A text as it is, unless it would look like something else or break a line. */
static int add_text(struct wh_buf *buf, const char *text, const char *separators)
{
    bool quote = *text == 0;

    for (const char *p = text; *p; p++)
        quote |= (unsigned char)*p < 0x20 || *p == '"' || strchr(separators, *p);
    return quote ? wh_buf_json(buf, text, strlen(text)) : wh_buf_adds(buf, text);
}

static int show_list(struct wh_buf *buf, const struct wh_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        if (i)
            WH_TRY(wh_buf_addc(buf, ','));
        WH_TRY(add_text(buf, list->v[i], ","));
    }
    return WH_OK;
}

static int show_map(struct wh_buf *buf, const struct wh_map *map)
{
    for (size_t i = 0; i < map->n; i++) {
        if (i)
            WH_TRY(wh_buf_addc(buf, ','));
        WH_TRY(add_text(buf, map->v[i].key, ",="));
        WH_TRY(wh_buf_addc(buf, '='));
        WH_TRY(add_text(buf, map->v[i].value, ","));
    }
    return WH_OK;
}

static int show_char(struct wh_buf *buf, int v)
{
    for (const struct wh_char_name *c = wh_char_names; c->name; c++)
        if (c->value == v)
            return wh_buf_adds(buf, c->name);
    if (v > 0x20 && v < 0x7f)
        return wh_buf_addc(buf, (char)v);
    return wh_buf_printf(buf, "\\x%02x", (unsigned)v & 0xff);
}

static int show_enum(const struct wh_option *row, struct wh_buf *buf, int v)
{
    for (const struct wh_enum *e = row->values; e->name; e++)
        if (e->value == v)
            return wh_buf_adds(buf, e->name);
    return wh_buf_printf(buf, "%d", v); /* a zero that no choice has */
}

/* The shortest text that reads back as the same number. */
static int show_double(struct wh_buf *buf, double v)
{
    char text[40];

    for (int digits = 1; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v)
            break;
    }
    return wh_buf_adds(buf, text);
}

static int show_field(const struct wh_option *row, const void *field, struct wh_buf *buf)
{
    char text[32];

    if (wh_option_is_unset(row, field))
        return wh_buf_adds(buf, "");
    switch (row->type) {
    case WH_T_STRING:
    case WH_T_CRON:
        return add_text(buf, *(const char *const *)field, "");
    case WH_T_SECRET:
        return wh_buf_adds(buf, "***");
    case WH_T_BOOL:
        return wh_buf_adds(buf, *(const bool *)field ? "true" : "false");
    case WH_T_DOUBLE:
        return show_double(buf, *(const double *)field);
    case WH_T_ENUM:
        return show_enum(row, buf, *(const int *)field);
    case WH_T_CHAR:
        return show_char(buf, *(const int *)field);
    case WH_T_LIST:
    case WH_T_COLUMNS:
        return show_list(buf, field);
    case WH_T_MAP:
        return show_map(buf, field);
    case WH_T_I64:
    case WH_T_SIZE:
    case WH_T_DURATION:
        wh_option_number(row->type, *(const int64_t *)field, text);
        return wh_buf_adds(buf, text);
    }
    return WH_E_BUG;
}

int wh_options_show(const struct wh_option *row, const void *out, struct wh_buf *buf)
{
    return show_field(row, (const char *)out + row->offset, buf);
}

/* ---- what differs from the defaults -------------------------------------------------------- */

/* Room for any field of an option struct. */
union any_field {
    int i;
    int64_t i64;
    double d;
    bool b;
    const char *text;
    struct wh_secret secret;
    struct wh_list list;
    struct wh_map map;
};

/* Two fields of one row hold the same: they show the same. `a` and `b` are room to work in. */
static int same_value(const struct wh_option *row, const void *x, const void *y, struct wh_buf *a,
                      struct wh_buf *b, bool *ret_same)
{
    wh_buf_clear(a);
    wh_buf_clear(b);
    WH_TRY(show_field(row, x, a));
    WH_TRY(show_field(row, y, b));
    *ret_same = a->n == b->n && memcmp(a->p, b->p, a->n) == 0;
    return WH_OK;
}

bool wh_option_is_default(const struct wh_option *row, const void *field)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(SHOWN_MAX);
    struct wh_buf a WH_CLEANUP(wh_buf_free) = WH_BUF(SHOWN_MAX);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SHOWN_MAX);
    struct wh_option alone[2] = {*row, WH_OPT_END};
    const struct wh_options table = {alone, sizeof(union any_field), "default"};
    union any_field def = {0};
    bool same = false;

    alone[0].offset = 0;
    if (!arena || wh_options_init(&table, &def, arena) != WH_OK)
        return false;
    int st = same_value(row, field, &def, &a, &b, &same);

    wh_options_wipe(&table, &def);
    return st == WH_OK && same;
}

static int by_name(const void *a, const void *b)
{
    const struct wh_option *const *x = a, *const *y = b;

    return strcmp((*x)->name, (*y)->name);
}

/* Adds a line for every row of `rows` (ends with NULL) that differs between `out` and `def`. */
static int add_differences(const struct wh_option **rows, const char *out, const char *def,
                           struct wh_buf *buf)
{
    struct wh_buf a WH_CLEANUP(wh_buf_free) = WH_BUF(SHOWN_MAX);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SHOWN_MAX);
    bool same;

    for (; *rows; rows++) {
        const struct wh_option *row = *rows;

        if (row->type == WH_T_SECRET)
            continue;
        WH_TRY(same_value(row, out + row->offset, def + row->offset, &a, &b, &same));
        if (same)
            continue;
        WH_TRY(wh_buf_printf(buf, "%s=", row->name));
        WH_TRY(wh_buf_add(buf, a.p, a.n));
        WH_TRY(wh_buf_addc(buf, '\n'));
    }
    return WH_OK;
}

int wh_options_fingerprint(const struct wh_options *table, const void *out, struct wh_buf *buf)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(SHOWN_MAX);
    void *def WH_CLEANUP(wh_freep) = wh_calloc(1, table->size);
    size_t n = 0;

    while (table->rows[n].name)
        n++;
    const struct wh_option **rows WH_CLEANUP(wh_freep) = wh_calloc(n + 1, sizeof *rows);

    if (!arena || !def || !rows)
        return WH_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        rows[i] = &table->rows[i];
    qsort(rows, n, sizeof *rows, by_name);
    WH_TRY(wh_options_init(table, def, arena));
    int st = add_differences(rows, out, def, buf);

    wh_options_wipe(table, def);
    return st;
}

/* ---- help ---------------------------------------------------------------------------------- */

static int add_choices(const struct wh_option *row, struct wh_buf *buf)
{
    for (const struct wh_enum *e = row->values; e->name; e++)
        WH_TRY(wh_buf_printf(buf, "%s%s", e == row->values ? "" : "|", e->name));
    return WH_OK;
}

/* What may be written: the choices, or the type with its range. */
static int add_form(const struct wh_option *row, struct wh_buf *buf)
{
    char lo[32], hi[32];

    if (row->type == WH_T_ENUM)
        return add_choices(row, buf);
    WH_TRY(wh_buf_adds(buf, wh_option_type_name(row->type)));
    if (row->type == WH_T_DOUBLE && (row->fmin != 0 || row->fmax != 0))
        return wh_buf_printf(buf, " %g..%g", row->fmin, row->fmax);
    if (row->type != WH_T_I64 && row->type != WH_T_SIZE && row->type != WH_T_DURATION)
        return WH_OK;
    if ((row->min == 0 && row->max == 0) || row->max == INT64_MAX)
        return WH_OK;
    wh_option_number(row->type, row->min, lo);
    wh_option_number(row->type, row->max, hi);
    return wh_buf_printf(buf, " %s..%s", lo, hi);
}

static int help_row(const struct wh_option *row, struct wh_buf *buf)
{
    struct wh_buf form WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    const char *def = row->def && *row->def ? row->def : "-";

    WH_TRY(add_form(row, &form));
    if (row->flags & WH_OPT_REQUIRED && !row->def)
        def = "required";
    WH_TRY(wh_buf_printf(buf, "  %-20s %-22s %-10s %s", row->name, form.p, def,
                         row->help ? row->help : ""));
    if (row->aliases)
        WH_TRY(wh_buf_printf(buf, " (also %s)", row->aliases));
    WH_TRY(wh_buf_addc(buf, '\n'));
    for (const struct wh_enum *e = row->values; e && e->name; e++)
        if (e->unavailable)
            WH_TRY(wh_buf_printf(buf, "  %-20s %s is not available: %s\n", "", e->name,
                                 e->unavailable));
    return WH_OK;
}

static bool same_group(const char *a, const char *b)
{
    return strcmp(a ? a : "", b ? b : "") == 0;
}

static int help_group(const struct wh_options *table, const char *group, bool advanced,
                      struct wh_buf *buf)
{
    for (const struct wh_option *row = table->rows; row->name; row++)
        if (same_group(row->group, group) && !(row->flags & WH_OPT_ADVANCED) == !advanced)
            WH_TRY(help_row(row, buf));
    return WH_OK;
}

int wh_options_help(const struct wh_options *table, struct wh_buf *buf)
{
    /* Groups in the order of their first row; what is advanced comes last in its group. */
    for (const struct wh_option *row = table->rows; row->name; row++) {
        bool first = true;

        for (const struct wh_option *r = table->rows; r < row; r++)
            first &= !same_group(r->group, row->group);
        if (!first)
            continue;
        if (row->group)
            WH_TRY(wh_buf_printf(buf, "%s:\n", row->group));
        WH_TRY(help_group(table, row->group, false, buf));
        WH_TRY(help_group(table, row->group, true, buf));
    }
    return WH_OK;
}

/* ---- JSON Schema --------------------------------------------------------------------------- */

static int add_string(struct wh_buf *buf, const char *key, const char *text)
{
    WH_TRY(wh_buf_printf(buf, ",\"%s\":", key));
    return wh_buf_json(buf, text, strlen(text));
}

static int schema_choices(const struct wh_option *row, struct wh_buf *buf)
{
    const char *comma = "";

    WH_TRY(wh_buf_adds(buf, ",\"enum\":["));
    for (const struct wh_enum *e = row->values; e->name; e++) {
        if (e->unavailable)
            continue;
        WH_TRY(wh_buf_adds(buf, comma));
        WH_TRY(wh_buf_json(buf, e->name, strlen(e->name)));
        comma = ",";
    }
    return wh_buf_addc(buf, ']');
}

static int schema_range(const struct wh_option *row, struct wh_buf *buf)
{
    if (row->type == WH_T_DOUBLE && (row->fmin != 0 || row->fmax != 0))
        return wh_buf_printf(buf, ",\"minimum\":%.17g,\"maximum\":%.17g", row->fmin, row->fmax);
    if (row->type == WH_T_I64 && (row->min != 0 || row->max != 0))
        return wh_buf_printf(buf, ",\"minimum\":%lld,\"maximum\":%lld", (long long)row->min,
                             (long long)row->max);
    return WH_OK;
}

static int schema_row(const struct wh_option *row, struct wh_buf *buf)
{
    /* Sizes, durations and the like are texts with a unit; a bare number is read, too. */
    static const char *const types[] = {
        [WH_T_STRING] = "\"string\"",
        [WH_T_SECRET] = "\"string\",\"writeOnly\":true",
        [WH_T_I64] = "[\"integer\",\"string\"]",
        [WH_T_BOOL] = "[\"boolean\",\"string\"]",
        [WH_T_DOUBLE] = "[\"number\",\"string\"]",
        [WH_T_SIZE] = "[\"string\",\"integer\"],\"format\":\"wherry-size\"",
        [WH_T_DURATION] = "\"string\",\"format\":\"wherry-duration\"",
        [WH_T_ENUM] = "\"string\"",
        [WH_T_CHAR] = "\"string\",\"format\":\"wherry-character\"",
        [WH_T_LIST] = "[\"array\",\"string\"],\"items\":{\"type\":\"string\"}",
        [WH_T_MAP] = ("\"object\",\"additionalProperties\":{\"type\":[\"string\",\"number\","
                      "\"boolean\"]}"),
        [WH_T_COLUMNS] = "[\"array\",\"string\"],\"items\":{\"type\":\"string\"}",
        [WH_T_CRON] = "\"string\",\"format\":\"wherry-cron\"",
    };

    WH_TRY(wh_buf_json(buf, row->name, strlen(row->name)));
    WH_TRY(wh_buf_printf(buf, ":{\"type\":%s", types[row->type]));
    if (row->help)
        WH_TRY(add_string(buf, "description", row->help));
    if (row->def)
        WH_TRY(add_string(buf, "default", row->def));
    if (row->group)
        WH_TRY(add_string(buf, "x-group", row->group));
    if (row->since)
        WH_TRY(add_string(buf, "x-since", row->since));
    if (row->flags & WH_OPT_ADVANCED)
        WH_TRY(wh_buf_adds(buf, ",\"x-advanced\":true"));
    if (row->type == WH_T_ENUM)
        WH_TRY(schema_choices(row, buf));
    WH_TRY(schema_range(row, buf));
    return wh_buf_addc(buf, '}');
}

/* In a job file any scalar may stand where text is wanted, and a macro everywhere. */
static int job_type(const struct wh_option *row, struct wh_buf *buf)
{
    static const char *const types[] = {
        [WH_T_STRING] = "\"type\":[\"string\",\"number\",\"boolean\"]",
        [WH_T_SECRET] = "\"type\":[\"string\",\"number\",\"boolean\"]",
        [WH_T_I64] = "\"type\":[\"integer\",\"string\"]",
        [WH_T_BOOL] = "\"type\":[\"boolean\",\"string\",\"integer\"]",
        [WH_T_DOUBLE] = "\"type\":[\"number\",\"string\"]",
        [WH_T_SIZE] = "\"type\":[\"string\",\"number\"]",
        [WH_T_DURATION] = "\"type\":[\"string\",\"integer\"]",
        [WH_T_CHAR] = "\"type\":[\"string\",\"number\"]",
        [WH_T_LIST] = "\"type\":[\"array\",\"string\",\"number\"]",
        [WH_T_MAP] = "\"type\":[\"object\",\"string\"]",
        [WH_T_COLUMNS] = "\"type\":[\"array\",\"string\",\"number\"]",
        [WH_T_CRON] = "\"type\":\"string\"",
    };

    if (row->type != WH_T_ENUM)
        return wh_buf_adds(buf, types[row->type]);
    WH_TRY(wh_buf_adds(buf, "\"anyOf\":[{\"type\":\"string\""));
    WH_TRY(schema_choices(row, buf));
    for (const struct wh_enum *e = row->values; e->name; e++)
        if (strcmp(e->name, "true") == 0) /* no text to an editor */
            WH_TRY(wh_buf_adds(buf, "},{\"type\":\"boolean\""));
    return wh_buf_adds(buf, "},{\"type\":\"string\",\"pattern\":\"\\\\$\\\\{\"}]");
}

static int job_row(const struct wh_option *row, const char *name, bool *first, struct wh_buf *buf)
{
    if (!*first)
        WH_TRY(wh_buf_addc(buf, ','));
    *first = false;
    WH_TRY(wh_buf_json(buf, name, strlen(name)));
    WH_TRY(wh_buf_adds(buf, ":{"));
    WH_TRY(job_type(row, buf));
    WH_TRY(schema_range(row, buf));
    if (row->help)
        WH_TRY(add_string(buf, "description", row->help));
    if (row->def)
        WH_TRY(add_string(buf, "default", row->def));
    return wh_buf_addc(buf, '}');
}

int wh_options_schema_rows(const struct wh_options *table, bool *first, struct wh_buf *buf)
{
    for (const struct wh_option *row = table->rows; row->name; row++) {
        WH_TRY(job_row(row, row->name, first, buf));
        for (const char *p = row->aliases; p && *p;) {
            char alias[64];
            size_t n = strcspn(p, ",");

            snprintf(alias, sizeof alias, "%.*s", (int)n, p);
            WH_TRY(job_row(row, alias, first, buf));
            p += n + (p[n] == ',');
        }
    }
    return WH_OK;
}

int wh_options_schema(const struct wh_options *table, struct wh_buf *buf)
{
    const char *comma = "";

    WH_TRY(wh_buf_adds(buf, "{\"type\":\"object\""));
    WH_TRY(add_string(buf, "title", table->what));
    WH_TRY(wh_buf_adds(buf, ",\"properties\":{"));
    for (const struct wh_option *row = table->rows; row->name; row++) {
        WH_TRY(wh_buf_adds(buf, comma));
        WH_TRY(schema_row(row, buf));
        comma = ",";
    }
    WH_TRY(wh_buf_adds(buf, "},\"required\":["));
    comma = "";
    for (const struct wh_option *row = table->rows; row->name; row++) {
        if (!(row->flags & WH_OPT_REQUIRED) || row->def)
            continue;
        WH_TRY(wh_buf_adds(buf, comma));
        WH_TRY(wh_buf_json(buf, row->name, strlen(row->name)));
        comma = ",";
    }
    return wh_buf_adds(buf, "],\"patternProperties\":{\"^x-\":{}},"
                            "\"additionalProperties\":false}");
}
