/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/macro.h"

#include "core/buf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    DEPTH_MAX = 8,
    TEXT_MAX = 1 << 20
};

/* One text being expanded. */
struct expansion {
    const struct wh_macros *m;
    unsigned flags;
    const char *where;
    int depth;
    struct wh_buf *out;
};

/* What one ${...} became. */
struct value {
    const char *text;
    bool safe;     /* may stand in SQL as it is */
    bool declared; /* empty on purpose: ${x:-} */
    bool escaped;  /* was expanded with the same flags */
    const struct wh_civil *civil;
    struct wh_civil time;
};

static bool expand_text(struct expansion *e, struct wh_str text);

static bool refuse(struct expansion *e, const char *code, const char *hint, const char *fmt, ...)
    WH_PRINTF(4, 5);
static bool refuse(struct expansion *e, const char *code, const char *hint, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    wh_problem_add(e->m->problems, code, e->where, hint, "%s", text);
    return false;
}

/* Adds text. Where a '$' and a '{' meet that did not stand together, they must not become a macro
 * when the result is read again. */
static bool emit(struct expansion *e, const char *p, size_t n)
{
    struct wh_buf *out = e->out;

    if ((e->flags & WH_MACRO_ESCAPE) && n && *p == '{' && out->n && out->p[out->n - 1] == '$' &&
        wh_buf_addc(out, '$') != WH_OK)
        return false;
    return wh_buf_add(out, p, n) == WH_OK;
}

/* ---- parameters -------------------------------------------------------------------------------
 */

static const struct wh_param *find_param(const struct wh_macros *m, struct wh_str name)
{
    for (size_t i = 0; i < m->n_params; i++)
        if (wh_str_eqs(name, m->params[i].name))
            return &m->params[i];
    return NULL;
}

static bool parse_date(const char *text, struct wh_civil *ret)
{
    static const char *const patterns[] = {"yyyy-MM-dd", "yyyyMMdd"};

    for (size_t i = 0; i < 2; i++)
        if (wh_date_parse(patterns[i], strlen(patterns[i]), text, ret) &&
            strlen(text) == strlen(patterns[i]))
            return true;
    return false;
}

static bool parse_timestamp(const char *text, struct wh_civil *ret)
{
    static const char *const patterns[] = {"yyyy-MM-dd HH:mm:ss.SSS",
                                           "yyyy-MM-dd HH:mm:ss",
                                           "yyyy-MM-dd'T'HH:mm:ss.SSS",
                                           "yyyy-MM-dd'T'HH:mm:ss",
                                           "yyyy-MM-dd HH:mm",
                                           "yyyy-MM-dd'T'HH:mm",
                                           "yyyy-MM-dd",
                                           "yyyyMMdd"};

    for (size_t i = 0; i < sizeof patterns / sizeof patterns[0]; i++)
        if (wh_date_parse(patterns[i], strlen(patterns[i]), text, ret))
            return true;
    return false;
}

static bool is_decimal(const char *text)
{
    size_t digits = 0;

    text += *text == '-' || *text == '+';
    for (; isdigit((unsigned char)*text); text++)
        digits++;
    if (*text == '.')
        for (text++; isdigit((unsigned char)*text); text++)
            digits++;
    return digits > 0 && digits <= 76 && !*text;
}

static bool is_integer(const char *text)
{
    return is_decimal(text) && !strchr(text, '.');
}

static const char *const type_names[] = {"text", "integer", "decimal", "bool", "date", "timestamp"};

static const char *format_civil(const struct wh_macros *m, const char *pattern,
                                const struct wh_civil *c)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(4096);

    if (!wh_date_format(pattern, strlen(pattern), c, &out))
        return NULL;
    return wh_arena_strdup(m->arena, out.p ? out.p : "");
}

const char *wh_param_value(const struct wh_macros *m, const struct wh_param *param,
                           const char *text, const char *where)
{
    struct wh_civil c;
    bool ok = true;

    switch (param->type) {
    case WH_PARAM_TEXT:
        return text;
    case WH_PARAM_INTEGER:
        ok = is_integer(text);
        break;
    case WH_PARAM_DECIMAL:
        ok = is_decimal(text);
        break;
    case WH_PARAM_BOOL:
        ok = strcmp(text, "true") == 0 || strcmp(text, "false") == 0;
        break;
    case WH_PARAM_DATE:
        if (parse_date(text, &c))
            return format_civil(m, "yyyy-MM-dd", &c);
        ok = false;
        break;
    case WH_PARAM_TIMESTAMP:
        if (parse_timestamp(text, &c))
            return format_civil(m, c.micro ? "yyyy-MM-dd HH:mm:ss.SSS" : "yyyy-MM-dd HH:mm:ss", &c);
        ok = false;
        break;
    }
    if (!ok)
        wh_problem_add(m->problems, "E1053", where,
                       "dates are yyyy-MM-dd, times yyyy-MM-dd HH:mm:ss, decimals have a point",
                       "parameter %s: '%s' is no %s", param->name, text, type_names[param->type]);
    return ok ? text : NULL;
}

/* ---- times ------------------------------------------------------------------------------------
 */

static struct wh_str trim(struct wh_str s)
{
    while (s.n && isspace((unsigned char)s.s[0]))
        s = (struct wh_str){s.s + 1, s.n - 1};
    while (s.n && isspace((unsigned char)s.s[s.n - 1]))
        s.n--;
    return s;
}

/* Cuts ",n,UNIT" (or "n,UNIT") from the end of the arguments of a time macro; false if what is
 * there is malformed. */
static bool cut_shift(struct expansion *e, struct wh_str *args, struct wh_civil *c)
{
    const char *last = memrchr(args->s, ',', args->n);

    if (!last)
        return true;
    struct wh_str unit = trim((struct wh_str){last + 1, args->n - (size_t)(last + 1 - args->s)});
    struct wh_str before = {args->s, (size_t)(last - args->s)};
    const char *first = memrchr(before.s, ',', before.n);
    struct wh_str number = first ? (struct wh_str){first + 1, (size_t)(last - first - 1)} : before;
    char unit_text[16], number_text[24];

    number = trim(number);
    if (unit.n == 0 || unit.n >= sizeof unit_text || number.n == 0 ||
        number.n >= sizeof number_text)
        return true; /* a comma of the pattern */
    memcpy(unit_text, unit.s, unit.n);
    unit_text[unit.n] = 0;
    memcpy(number_text, number.s, number.n);
    number_text[number.n] = 0;
    if (!is_integer(number_text))
        return true;
    if (!wh_date_shift(e->m->zone, c, strtoll(number_text, NULL, 10), unit_text))
        return refuse(e, "E1051", "units are SECOND MINUTE HOUR DAY WEEK MONTH YEAR",
                      "'%s,%s' is no step in time", number_text, unit_text);
    *args = first ? (struct wh_str){args->s, (size_t)(first - args->s)} : WH_STR("");
    return true;
}

/* Arguments of name(...), or false. */
static bool call_of(struct wh_str inner, const char *name, struct wh_str *ret_args)
{
    size_t n = strlen(name);

    if (!wh_str_starts(inner, name) || inner.n < n + 2 || inner.s[n] != '(' ||
        inner.s[inner.n - 1] != ')')
        return false;
    *ret_args = (struct wh_str){inner.s + n + 1, inner.n - n - 2};
    return true;
}

static struct wh_str unquoted(struct wh_str s)
{
    s = trim(s);
    if (s.n >= 2 && (s.s[0] == '\'' || s.s[0] == '"') && s.s[s.n - 1] == s.s[0])
        return (struct wh_str){s.s + 1, s.n - 2};
    return s;
}

static bool date_format_call(struct expansion *e, struct wh_str args, struct wh_str *ret_pattern,
                             const char **ret)
{
    struct wh_civil c = wh_zone_civil(e->m->zone, e->m->planned_us);
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(4096);

    if (!cut_shift(e, &args, &c))
        return false;
    args = unquoted(args);
    if (args.n == 0 || !wh_date_format(args.s, args.n, &c, &out))
        return refuse(e, "E1051", "patterns are made of yyyy MM dd HH mm ss SSS; text in '...'",
                      "'%.*s' is no date pattern", WH_STR_FMT(args));
    *ret_pattern = args;
    *ret = wh_arena_strdup(e->m->arena, out.p ? out.p : "");
    return *ret;
}

static bool timestamp_call(struct expansion *e, struct wh_str args, const char **ret)
{
    struct wh_civil c = wh_zone_civil(e->m->zone, e->m->planned_us);
    struct wh_str inner, pattern;
    const char *text;
    int64_t us = e->m->planned_us;

    args = trim(args);
    if (call_of(args, "dateformat", &inner)) {
        if (!date_format_call(e, inner, &pattern, &text))
            return false;
        if (!wh_date_parse(pattern.s, pattern.n, text, &c))
            return refuse(e, "E1051", NULL, "'%s' cannot be read back as a time", text);
        us = wh_zone_instant(e->m->zone, &c);
    } else if (args.n) {
        if (!cut_shift(e, &args, &c))
            return false;
        if (args.n)
            return refuse(e, "E1051",
                          "write timestamp(), timestamp(-1,DAY) or "
                          "timestamp(dateformat(yyyyMMdd))",
                          "'%.*s' is no argument of timestamp()", WH_STR_FMT(args));
        us = wh_zone_instant(e->m->zone, &c);
    }
    *ret = wh_arena_printf(e->m->arena, "%lld", (long long)(us / 1000));
    return *ret;
}

/* ---- one macro --------------------------------------------------------------------------------
 */

static const char *quoted(const struct wh_macros *m, const char *text, char quote)
{
    char *out = wh_arena_alloc(m->arena, 2 * strlen(text) + 3);
    size_t n = 0;

    if (!out)
        return NULL;
    out[n++] = quote;
    for (; *text; text++) {
        if (*text == quote)
            out[n++] = quote;
        out[n++] = *text;
    }
    out[n] = quote;
    return out;
}

/* ":sql", ":ident", ":<date pattern>" behind a value. */
static bool apply_format(struct expansion *e, struct wh_str format, struct value *v)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(4096);

    if (wh_str_eqs(format, "sql") || wh_str_eqs(format, "ident")) {
        v->text = quoted(e->m, v->text, format.s[0] == 's' ? '\'' : '"');
        v->safe = true;
        return v->text;
    }
    if (!v->civil)
        return refuse(e, "E1051", "formats are for dates; text takes :sql and :ident",
                      "'%s' is no date or time and cannot take the format '%.*s'", v->text,
                      WH_STR_FMT(format));
    if (!wh_date_format(format.s, format.n, v->civil, &out))
        return refuse(e, "E1051", "patterns are made of yyyy MM dd HH mm ss SSS; text in '...'",
                      "'%.*s' is no date pattern", WH_STR_FMT(format));
    v->text = wh_arena_strdup(e->m->arena, out.p ? out.p : "");
    v->safe = true;
    return v->text;
}

static bool unknown(struct expansion *e, struct wh_str name)
{
    static const char *const builtins[] = {
        "run.id",     "run.scheduled", "job.name", "stream.name", "window.start", "window.end",
        "dateformat", "timestamp",     "env",      "file",        "cred"};
    const char *words[80];
    char hint[200];
    size_t n = 0;

    for (size_t i = 0; i < e->m->n_params && n < 64; i++)
        words[n++] = e->m->params[i].name;
    for (size_t i = 0; i < sizeof builtins / sizeof builtins[0]; i++)
        words[n++] = builtins[i];
    words[n] = NULL;
    const char *near = wh_did_you_mean(name, words);

    if (near)
        snprintf(hint, sizeof hint, "did you mean ${%s}?", near);
    else
        snprintf(hint, sizeof hint, "declare it under params:, or write $${%.*s} for the text",
                 (int)(name.n < 80 ? name.n : 80), name.s);
    return refuse(e, "E1050", hint, "unknown macro ${%.*s}", WH_STR_FMT(name));
}

/* Values that the engine knows. 1: found, 0: no such name, -1: told. */
static int engine_value(struct expansion *e, struct wh_str name, struct value *v)
{
    const struct wh_macros *m = e->m;

    if (wh_str_eqs(name, "job.name") || wh_str_eqs(name, "stream.name")) {
        v->text = name.s[0] == 'j' ? m->job : m->stream;
        if (!v->text) {
            refuse(e, "E1050", NULL, "${%.*s} has no value at this place", WH_STR_FMT(name));
            return -1;
        }
        return 1;
    }
    if (wh_str_eqs(name, "run.id")) {
        v->text = m->run;
        v->safe = true;
        if (v->text)
            return 1;
        refuse(e, "E1050", NULL, "${run.id} has no value at this place");
        return -1;
    }
    if (wh_str_eqs(name, "run.scheduled")) {
        v->time = wh_zone_civil(m->zone, m->planned_us);
        v->civil = &v->time;
        v->text = format_civil(m, "yyyy-MM-dd HH:mm:ss", v->civil);
        v->safe = true;
        return v->text ? 1 : -1;
    }
    if (wh_str_starts(name, "window.")) {
        refuse(e, "E1014", "use dateformat() or a parameter for the bounds",
               "${%.*s} belongs to incremental streams, which this build does not offer yet",
               WH_STR_FMT(name));
        return -1;
    }
    return 0;
}

static bool param_value(const struct wh_param *p, struct value *v)
{
    v->text = p->value;
    v->safe = p->raw || p->type != WH_PARAM_TEXT;
    if (p->value && p->type == WH_PARAM_DATE && parse_date(p->value, &v->time))
        v->civil = &v->time;
    if (p->value && p->type == WH_PARAM_TIMESTAMP && parse_timestamp(p->value, &v->time))
        v->civil = &v->time;
    return p->value;
}

static bool default_value(struct expansion *e, struct wh_str text, struct value *v)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(TEXT_MAX);
    struct expansion inner = *e;

    inner.out = &out;
    inner.depth++;
    if (!expand_text(&inner, text))
        return false;
    v->text = wh_arena_strdup(e->m->arena, out.p ? out.p : "");
    v->declared = v->safe = v->escaped = true; /* written in the file, not given from outside */
    return v->text;
}

/* name, name:format, name:-default */
static bool named_value(struct expansion *e, struct wh_str inner, struct value *v)
{
    const char *colon = memchr(inner.s, ':', inner.n);
    struct wh_str name = {inner.s, colon ? (size_t)(colon - inner.s) : inner.n};
    struct wh_str rest = colon ? (struct wh_str){colon + 1, inner.n - name.n - 1} : WH_STR("");
    const struct wh_param *param = find_param(e->m, name);
    bool has_default = colon && rest.n && rest.s[0] == '-';

    if (param) {
        if (!param_value(param, v) && !has_default)
            return refuse(e, "E1005", "give it with '--set NAME=VALUE' or a default",
                          "parameter %s has no value", param->name);
        if (has_default && (!v->text || !*v->text))
            return default_value(e, (struct wh_str){rest.s + 1, rest.n - 1}, v);
    } else {
        int found = engine_value(e, name, v);

        if (found <= 0)
            return found == 0 ? unknown(e, name) : false;
    }
    return !colon || has_default || apply_format(e, rest, v);
}

/* ${env:X}, ${env:X:sql}, ${env:X:-default} where the value may be written into the job. */
static bool reference_value(struct expansion *e, struct wh_str inner, struct value *v)
{
    struct wh_str format = WH_STR("");
    const char *dash = memmem(inner.s, inner.n, ":-", 2);
    struct wh_str name = inner;

    if (wh_str_starts(inner, "cred:") || wh_str_starts(inner, "secret:"))
        return refuse(e, "E1055", "put it into an option of a connection",
                      "${%.*s}: secrets may only stand in connections and URLs", WH_STR_FMT(inner));
    if (dash)
        name.n = (size_t)(dash - inner.s);
    else if (wh_str_ends(inner, ":sql"))
        format = WH_STR("sql");
    else if (wh_str_ends(inner, ":ident"))
        format = WH_STR("ident");
    if (format.n)
        name.n -= format.n + 1;
    char *text = wh_arena_printf(e->m->arena, "${%.*s}", WH_STR_FMT(name));

    if (!text)
        return false;
    if (dash && wh_str_starts(name, "env:")) {
        const char *variable = wh_arena_strndup(e->m->arena, name.s + 4, name.n - 4);
        const char *set = variable ? getenv(variable) : NULL;

        if (!set || !*set)
            return default_value(e, (struct wh_str){dash + 2, inner.n - name.n - 2}, v);
    }
    v->text = wh_reference_resolve(e->m->arena, text, false, e->where, e->m->problems);
    return v->text && (!format.n || apply_format(e, format, v));
}

static bool is_reference(struct wh_str inner)
{
    return wh_str_starts(inner, "env:") || wh_str_starts(inner, "file:") ||
           wh_str_starts(inner, "cred:") || wh_str_starts(inner, "cmd:") ||
           wh_str_starts(inner, "secret:");
}

static bool add_value(struct expansion *e, const struct value *v)
{
    const char *p = v->text;

    if (!v->escaped && (e->flags & WH_MACRO_ESCAPE))
        for (const char *open = strstr(p, "${"); open; open = strstr(p, "${")) {
            if (!emit(e, p, (size_t)(open - p)) || wh_buf_adds(e->out, "$${") != WH_OK)
                return false;
            p = open + 2;
        }
    return emit(e, p, strlen(p));
}

static bool add_macro(struct expansion *e, struct wh_str inner)
{
    struct value v = {.text = NULL};
    struct wh_str args, pattern;
    bool ok;

    if (is_reference(inner) && (e->flags & WH_MACRO_KEEP))
        return wh_buf_printf(e->out, "${%.*s}", WH_STR_FMT(inner)) == WH_OK;
    if (is_reference(inner)) {
        ok = reference_value(e, inner, &v);
    } else if (call_of(inner, "dateformat", &args)) {
        ok = date_format_call(e, args, &pattern, &v.text);
        v.safe = true;
    } else if (call_of(inner, "timestamp", &args)) {
        ok = timestamp_call(e, args, &v.text);
        v.safe = true;
    } else {
        ok = named_value(e, inner, &v);
    }
    if (!ok)
        return false;
    if ((e->flags & WH_MACRO_SQL) && !v.safe)
        return refuse(e, "E1054",
                      "write ${x:sql} for a quoted literal, ${x:ident} for a quoted name",
                      "${%.*s} is text and stands in SQL", WH_STR_FMT(inner));
    if ((e->flags & WH_MACRO_NONEMPTY) && !*v.text && !v.declared)
        return refuse(e, "E1052", "set it; where empty is meant, write ${name:-}",
                      "${%.*s} is empty here", WH_STR_FMT(inner));
    return add_value(e, &v);
}

/* The '}' that closes a macro whose inside begins at p. */
static const char *macro_end(const char *p, const char *end)
{
    int depth = 1;

    for (; p < end; p++) {
        depth += *p == '{';
        if (*p == '}' && --depth == 0)
            return p;
    }
    return NULL;
}

static bool expand_text(struct expansion *e, struct wh_str text)
{
    const char *p = text.s, *end = text.s + text.n;

    if (e->depth > DEPTH_MAX)
        return refuse(e, "E1051", NULL, "macros are nested more than %d deep", DEPTH_MAX);
    while (p < end) {
        const char *open = memmem(p, (size_t)(end - p), "${", 2);

        if (!open)
            return emit(e, p, (size_t)(end - p));
        bool escaped = open > p && open[-1] == '$';

        if (!emit(e, p, (size_t)(open - p) - escaped))
            return false;
        if (escaped) {
            if (wh_buf_adds(e->out, e->flags & WH_MACRO_ESCAPE ? "$${" : "${") != WH_OK)
                return false;
            p = open + 2;
            continue;
        }
        const char *close = macro_end(open + 2, end);

        if (!close)
            return refuse(e, "E1051", "write $${ for a literal ${", "${ is not closed by }");
        if (!add_macro(e, trim((struct wh_str){open + 2, (size_t)(close - open - 2)})))
            return false;
        p = close + 1;
    }
    return true;
}

const char *wh_macro_expand(const struct wh_macros *m, const char *text, unsigned flags,
                            const char *where)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(TEXT_MAX);
    struct expansion e = {.m = m, .flags = flags, .where = where, .out = &out};
    size_t errors = m->problems->errors;

    if (!strstr(text, "${"))
        return text;
    if (!expand_text(&e, wh_str(text))) {
        if (m->problems->errors == errors)
            wh_problem_add(m->problems, "E8002", where, NULL, "out of memory or more than 1 MiB");
        return NULL;
    }
    return wh_arena_strdup(m->arena, out.p ? out.p : "");
}
