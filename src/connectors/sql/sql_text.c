/* SPDX-License-Identifier: Apache-2.0 */
/* Statement text: quoting and names. */
#include "sql.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "data/type.h"

static wh_status quoted(struct wh_buf *b, struct wh_str text, char quote)
{
    const char *p = text.s, *end = text.s + text.n;

    if (text.n && memchr(text.s, 0, text.n))
        return WH_E_UNSUPPORTED;
    WH_TRY(wh_buf_addc(b, quote));
    while (p < end) {
        const char *q = memchr(p, quote, (size_t)(end - p));
        size_t n = q ? (size_t)(q - p) + 1 : (size_t)(end - p);

        WH_TRY(wh_buf_add(b, p, n));
        if (q)
            WH_TRY(wh_buf_addc(b, quote));
        p += n;
    }
    return wh_buf_addc(b, quote);
}

wh_status sql_ident(struct wh_buf *b, struct wh_str name)
{
    return quoted(b, name, '"');
}

wh_status sql_literal(struct wh_buf *b, struct wh_str text)
{
    return quoted(b, text, '\'');
}

static wh_status add_one(struct wh_buf *b, char what, va_list *ap)
{
    switch (what) {
    case 'i':
        return sql_ident(b, *va_arg(*ap, const struct wh_str *));
    case 'l':
        return sql_literal(b, *va_arg(*ap, const struct wh_str *));
    case 's':
        return wh_buf_adds(b, va_arg(*ap, const char *));
    case 'd':
        return wh_buf_printf(b, "%lld", (long long)va_arg(*ap, int64_t));
    default:
        return wh_buf_addc(b, what);
    }
}

wh_status sql_add(struct wh_buf *b, const char *fmt, ...)
{
    va_list ap;
    int st = WH_OK;

    va_start(ap, fmt);
    while (st == WH_OK && *fmt) {
        const char *p = strchr(fmt, '%');
        size_t n = p ? (size_t)(p - fmt) : strlen(fmt);

        st = wh_buf_add(b, fmt, n);
        fmt += n;
        if (st == WH_OK && p) {
            st = add_one(b, fmt[1], &ap);
            fmt += 2;
        }
    }
    va_end(ap);
    return st;
}

wh_status sql_columns(struct wh_buf *b, const struct ArrowSchema *s, const char *prefix)
{
    for (int64_t i = 0; i < s->n_children; i++) {
        struct wh_str name = wh_str(s->children[i]->name);

        WH_TRY(sql_add(b, i ? ", %s%i" : "%s%i", prefix, &name));
    }
    return WH_OK;
}

bool sql_is_own(struct wh_str t)
{
    return wh_str_ieqs(t, "wherry_run") || wh_str_ieqs(t, "wherry_unit") ||
           wh_str_ieqs(t, "wherry_target") || wh_str_ieqs(t, "wherry_rows") ||
           wh_str_starts(t, "wherry_stage_");
}

/* wherry_stage_<12>_f<n>_g<n> */
static bool is_stage(struct wh_str t)
{
    size_t at = sizeof "wherry_stage_" - 1, from;

    if (!wh_str_starts(t, "wherry_stage_"))
        return false;
    for (from = at; at < t.n && isalnum((unsigned char)t.s[at]); at++)
        continue;
    if (at - from > 12)
        return false;
    for (const char *c = "fg"; *c; c++) {
        if (t.n < at + 3 || t.s[at] != '_' || t.s[at + 1] != *c)
            return false;
        for (at += 2; at < t.n && isdigit((unsigned char)t.s[at]); at++)
            continue;
    }
    return true;
}

static bool has_columns(const struct ArrowSchema *s, const char *const *names)
{
    for (; *names; names++)
        if (wh_schema_find(s, wh_str(*names), true) < 0)
            return false;
    return true;
}

static const char *const marker_columns[] = {SQL_MARKER_COLUMNS};

bool sql_is_marker_table(struct sql_names cols)
{
    const char *p = cols.cols;

    if (cols.n != (int)(sizeof marker_columns / sizeof *marker_columns))
        return false;
    for (int i = 0; i < cols.n; i++, p += cols.size)
        if (strcmp(*(const char *const *)p, marker_columns[i]) != 0)
            return false;
    return true;
}

/* A marker table of another name: its columns and its key, nothing else. */
static bool is_marker_table(const struct ArrowSchema *s)
{
    const int n = sizeof marker_columns / sizeof *marker_columns;

    if (s->n_children != n)
        return false;
    for (int i = 0; i < n; i++)
        if (strcmp(s->children[i]->name, marker_columns[i]) != 0 ||
            sql_key_position(s->children[i]) != (i < SQL_MARKER_KEY ? i + 1 : 0))
            return false;
    return true;
}

bool sql_is_ours(struct wh_str t, const struct ArrowSchema *columns)
{
    static const struct {
        const char *table, *columns[7];
    } ours[] = {{"wherry_run", {"run", "epoch", "state", NULL}},
                {"wherry_unit", {"run", "flow", "generation", "unit", "attempt", "epoch", NULL}},
                {"wherry_target", {"object", "run", NULL}}};

    for (size_t i = 0; columns && i < sizeof ours / sizeof *ours; i++)
        if (wh_str_ieqs(t, ours[i].table))
            return has_columns(columns, ours[i].columns);
    return is_stage(t) || (columns && is_marker_table(columns));
}

size_t sql_stage_prefix(const struct wh_fence *f, char out[SQL_STAGE_NAME])
{
    char run[13] = "";
    size_t n = 0;

    /* The last twelve letters and digits: the random part of a run's id. */
    for (size_t i = f->run.n; i > 0 && n < 12; i--)
        if (isalnum((unsigned char)f->run.s[i - 1]))
            run[11 - n++] = f->run.s[i - 1];
    return (size_t)snprintf(out, SQL_STAGE_NAME, "wherry_stage_%.12s_f", run + 12 - n);
}

void sql_stage_name(const struct wh_fence *f, char out[SQL_STAGE_NAME])
{
    size_t n = sql_stage_prefix(f, out);

    snprintf(out + n, SQL_STAGE_NAME - n, "%u_g%u", f->flow, f->generation);
}

int64_t sql_step_unit(const struct wh_step *s)
{
    return -((int64_t)(s->phase + 1) * 1000000 + s->id);
}

int64_t sql_step_mark(const struct wh_step *s, const struct wh_fence *f, struct wh_fence *ret)
{
    int64_t unit = sql_step_unit(s);

    *ret = *f;
    if (s->flags & WH_STEP_STATEMENT)
        ret->generation = 1;
    return s->flags & WH_STEP_REPEAT ? unit - (int64_t)f->epoch * 100000000 : unit;
}

int sql_key_position(const struct ArrowSchema *field)
{
    struct wh_str text = {0};
    int64_t v = 0;

    if (!wh_meta_get(field, WH_META_KEY, &text))
        return 0;
    for (size_t i = 0; i < text.n && v < 100000 && isdigit((unsigned char)text.s[i]); i++)
        v = v * 10 + (text.s[i] - '0');
    return (int)v;
}
