/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that the source computes (wh_scan.computed): what their SQL calls, and their names.
 *
 * This reads SQL only to say whether a value can be had again. Whether it is one expression of each
 * row is for the server to say: see SQL_COMPUTED_PROBE. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "sql.h"

/* ---- words -------------------------------------------------------------------------------------
 */

/* The clock, the session, other rows, and where a row lies. */
static const char *const varying[] = {"select",
                                      "current_date",
                                      "current_time",
                                      "current_timestamp",
                                      "localtime",
                                      "current_user",
                                      "localtimestamp",
                                      "current_role",
                                      "session_user",
                                      "system_user",
                                      "user",
                                      "current_catalog",
                                      "current_schema",
                                      "ctid",
                                      "xmin",
                                      "xmax",
                                      "cmin",
                                      "cmax",
                                      NULL};

/* In a literal: 'now'::timestamptz, date('now'). */
static const char *const times[] = {"now", "today", "tomorrow", "yesterday", NULL};

static bool one_of(const char *const *words, struct wh_str s)
{
    for (size_t i = 0; words[i]; i++)
        if (wh_str_ieqs(s, words[i]))
            return true;
    return false;
}

static bool begins_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static size_t word(const char *p)
{
    size_t n = 0;

    while (begins_word(p[n]) || (n && ((p[n] >= '0' && p[n] <= '9') || p[n] == '$')))
        n++;
    return n;
}

static bool tells_time(struct wh_str literal)
{
    for (size_t i = 0; i < literal.n;) {
        size_t n = 0;

        while (i + n < literal.n && begins_word(literal.s[i + n]))
            n++;
        if (n && one_of(times, (struct wh_str){literal.s + i, n}))
            return true;
        i += n ? n : 1;
    }
    return false;
}

/* Behind a quoted thing: 'it''s', "a""b"; `escapes`: \' as well. */
static const char *quoted(const char *p, bool escapes)
{
    char q = *p++;

    for (; *p; p++) {
        if (escapes && *p == '\\' && p[1])
            p++;
        else if (*p == q && p[1] != q)
            return p + 1;
        else if (*p == q)
            p++;
    }
    return p;
}

/* Behind $tag$ ... $tag$; p if it is none. */
static const char *dollars(const char *p)
{
    size_t words = word(p + 1), most = strcspn(p + 1, "$"), n = 1 + (words < most ? words : most);
    char tag[64];
    const char *end;

    if (p[n] != '$' || n + 2 > sizeof tag)
        return p;
    snprintf(tag, sizeof tag, "%.*s", (int)n + 1, p);
    end = strstr(p + n + 1, tag);
    return end ? end + n + 1 : p + strlen(p);
}

static const char *blanks(const char *p)
{
    for (;;) {
        p += strspn(p, " \t\r\n\f\v");
        if (strncmp(p, "--", 2) == 0)
            p += strcspn(p, "\n");
        else if (strncmp(p, "/*", 2) == 0)
            p = strstr(p + 2, "*/") ? strstr(p + 2, "*/") + 2 : p + strlen(p);
        else
            return p;
    }
}

static wh_status add_call(struct wh_buf *calls, struct wh_str name)
{
    WH_TRY(calls->n ? wh_buf_addc(calls, ',') : WH_OK);
    for (size_t i = 0; i < name.n; i++)
        WH_TRY(wh_buf_addc(calls, name.s[i] >= 'A' && name.s[i] <= 'Z' ? (char)(name.s[i] | 0x20)
                                                                       : name.s[i]));
    return WH_OK;
}

/* One token at *p, which is moved behind it. */
static wh_status token(const char **p, char before, struct wh_buf *calls, bool *varies)
{
    const char *from = *p, *end = from + 1;
    size_t n = word(from);

    if (*from == '\'')
        end = quoted(from, before == 'e' || before == 'E');
    else if (*from == '"' || *from == '`')
        end = quoted(from, false);
    else if (*from == '$' && before != '$')
        end = dollars(from) > from ? dollars(from) : from + 1;
    else if (n)
        end = from + n;
    *p = end;
    if (*from == '\'' || *from == '$')
        *varies |= tells_time((struct wh_str){from, (size_t)(end - from)});
    if (*from == '"' || *from == '`') /* a function by its quoted name: nobody looks it up */
        *varies |= *blanks(end) == '(';
    if (!n)
        return WH_OK;
    *varies |= before != '.' && one_of(varying, (struct wh_str){from, n});
    return *blanks(end) == '(' ? add_call(calls, (struct wh_str){from, n}) : WH_OK;
}

wh_status sql_computed_calls(const char *sql, struct wh_buf *calls, bool *ret_varies)
{
    char before = ' ';

    *ret_varies = false;
    for (const char *p = blanks(sql); *p;) {
        const char *behind;

        WH_TRY(token(&p, before, calls, ret_varies));
        before = p[-1];
        behind = blanks(p);
        if (behind != p)
            before = before == '.' ? '.' : ' ';
        p = behind;
    }
    return WH_OK;
}

/* ---- names -------------------------------------------------------------------------------------
 */

const char *sql_computed_name(struct wh_arena *arena, struct sql_names in, const char *wanted)
{
    const char *name = wh_arena_strdup(arena, wanted);

    for (int i = 2; name && sql_find_column(in, name) >= 0; i++)
        name = wh_arena_printf(arena, "%s (%d)", wanted, i);
    return name;
}
