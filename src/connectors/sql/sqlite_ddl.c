/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that make tables and fill them. */
#include <ctype.h>

#include "sqlite_feed.h"
#include "sqlite_target.h"

/* ---- create table ------------------------------------------------------------------------------
 */

static wh_status add_key(const struct lite_fl *fl, struct wh_buf *b)
{
    bool any = false;

    if (fl->n_keys && !fl->replace_keys) {
        for (size_t i = 0; i < fl->n_keys; i++) {
            struct wh_str name = wh_str(fl->keys[i]);

            WH_TRY(sql_add(b, i ? ", %i" : ",\n  primary key(%i", &name));
        }
        return wh_buf_addc(b, ')');
    }
    for (int want = 1; want <= fl->n_dest; want++) {
        bool found = false;

        for (int i = 0; i < fl->n_dest && !found; i++) {
            struct wh_str name = wh_str(fl->dest[i].name);

            found = sql_key_position(fl->accept.children[i]) == want;
            if (found)
                WH_TRY(sql_add(b, any ? ", %i" : ",\n  primary key(%i", &name));
        }
        if (!found) /* part of the key was not mapped: what is left need not be unique */
            break;
        any = true;
    }
    return any ? wh_buf_addc(b, ')') : WH_OK;
}

/* All columns of the source's key are delivered, so that it is a key here as well. */
static bool whole_key(const struct lite_fl *fl)
{
    int most = 0, n = 0;

    for (int i = 0; i < fl->n_dest; i++) {
        int at = sql_key_position(fl->accept.children[i]);

        n += at > 0;
        most = at > most ? at : most;
    }
    return n > 0 && n == most;
}

wh_status lite_ddl_create(const struct lite_fl *fl, const char *table, bool keys, struct wh_buf *b)
{
    struct wh_str name = wh_str(table);
    bool any = false;

    WH_TRY(sql_add(b, "create table %i(", &name));
    for (int i = 0; i < fl->n_dest; i++) {
        const struct lite_dest *d = &fl->dest[i];
        struct wh_str column = wh_str(d->name);
        bool nullable = fl->accept.children[i]->flags & ARROW_FLAG_NULLABLE;

        if (d->computed) /* of a stage that is poured out: the table computes it */
            continue;
        WH_TRY(sql_add(b, "%s\n  %i %s%s", any ? "," : "", &column, d->decl,
                       nullable ? "" : " not null"));
        any = true;
    }
    if (keys && ((fl->n_keys && !fl->replace_keys) || whole_key(fl)))
        WH_TRY(add_key(fl, b));
    return wh_buf_adds(b, fl->strict ? "\n) strict" : "\n)");
}

/* ---- the same under another name ---------------------------------------------------------------
 */

/* End of the name token at p: "quoted", [so], `or so`, 'even so', or plain. */
static const char *skip_name(const char *p)
{
    char close = *p == '[' ? ']' : *p;

    if (*p != '"' && *p != '[' && *p != '`' && *p != '\'') {
        while (isalnum((unsigned char)*p) || *p == '_' || *p == '$' || (unsigned char)*p >= 0x80)
            p++;
        return p;
    }
    for (p++; *p; p++) {
        if (*p != close)
            continue;
        if (close == ']' || p[1] != close)
            return p + 1;
        p++;
    }
    return p;
}

static const char *skip_words(const char *p, const char *const *words)
{
    for (; *words; words++) {
        size_t n = strlen(*words);

        while (isspace((unsigned char)*p))
            p++;
        if (!wh_str_ieqs((struct wh_str){p, strnlen(p, n)}, *words))
            return NULL;
        p += n;
    }
    while (isspace((unsigned char)*p))
        p++;
    return p;
}

/* SQLite keeps "CREATE TABLE " and then the text as it was typed from the table's name on. */
wh_status lite_ddl_renamed(const char *sql, const char *name, struct wh_buf *b)
{
    static const char *const words[] = {"create", "table", NULL};
    const char *p = skip_words(sql, words);
    struct wh_str ident = wh_str(name);

    if (!p)
        return WH_E_UNSUPPORTED;
    return sql_add(b, "create table %i%s", &ident, skip_name(p));
}

wh_status lite_ddl_index_on(const char *sql, const char *index, const char *table, struct wh_buf *b)
{
    static const char *const words[] = {"create", "unique", "index", NULL}, *const on[] = {"on",
                                                                                           NULL};
    const char *p = skip_words(sql, words);
    struct wh_str index_name = wh_str(index), table_name = wh_str(table);

    if (p)
        p = skip_words(skip_name(p), on);
    if (!p)
        return WH_E_UNSUPPORTED;
    return sql_add(b, "create unique index %i on %i%s", &index_name, &table_name, skip_name(p));
}

/* ---- insert ------------------------------------------------------------------------------------
 */

static bool is_key(const struct lite_fl *fl, const char *name)
{
    for (size_t i = 0; i < fl->n_keys; i++)
        if (wh_str_ieqs(wh_str(fl->keys[i]), name))
            return true;
    return false;
}

/* "on conflict(keys) do update set ..." of upsert and replace. Replace gives columns that
 * are not delivered their defaults: the whole row is new, but unlike INSERT OR REPLACE no other row
 * is removed by another unique constraint and no NULL becomes a default. */
static wh_status conflict(const struct lite_fl *fl, enum wh_mode mode, struct wh_buf *b)
{
    bool any = false;

    WH_TRY(wh_buf_adds(b, " on conflict("));
    for (size_t i = 0; i < fl->n_keys; i++) {
        struct wh_str key = wh_str(fl->keys[i]);

        WH_TRY(sql_add(b, i ? ", %i" : "%i", &key));
    }
    WH_TRY(wh_buf_adds(b, ") do "));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (is_key(fl, fl->dest[i].name) || fl->dest[i].computed)
            continue;
        WH_TRY(
            sql_add(b, any ? ", %i = excluded.%i" : "update set %i = excluded.%i", &name, &name));
        any = true;
    }
    for (int i = 0; mode == WH_MODE_REPLACE && i < fl->now.n_cols; i++) {
        const struct lite_col *c = &fl->now.cols[i];
        struct wh_str name = wh_str(c->name);
        bool delivered = false;

        for (int j = 0; j < fl->n_dest && !delivered; j++)
            delivered = wh_str_ieqs(wh_str(fl->dest[j].name), c->name);
        if (delivered || c->generated || is_key(fl, c->name))
            continue;
        WH_TRY(sql_add(b, any ? ", %i = (%s)" : "update set %i = (%s)", &name,
                       c->dflt ? c->dflt : "null"));
        any = true;
    }
    return any ? WH_OK : wh_buf_adds(b, "nothing");
}

wh_status lite_ddl_same_key(const struct lite_fl *fl, const char *table, bool numbered,
                            struct wh_buf *b)
{
    struct wh_str t = wh_str(table);
    bool any = false;

    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (!is_key(fl, fl->dest[i].name) || fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, any ? " and %i.%i = " : "%i.%i = ", &t, &name));
        WH_TRY(numbered ? wh_buf_printf(b, "fed.c%d", i) : sql_add(b, "fed.%i", &name));
        any = true;
    }
    return WH_OK;
}

/* update "t" set "b" = fed.c1 from wherry_rows as fed where "t"."k" = fed.c0: unlike an insert that
 * turns into an update it does not ask for columns that are not delivered. */
static wh_status update(const struct lite_fl *fl, const char *into, const char *from, bool numbered,
                        struct wh_buf *b)
{
    struct wh_str t = wh_str(into), f = wh_str(from);
    bool any = false;

    WH_TRY(sql_add(b, "update or fail %i set ", &t));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (is_key(fl, fl->dest[i].name) || fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, any ? ", %i = " : "%i = ", &name));
        WH_TRY(numbered ? wh_buf_printf(b, "fed.c%d", i) : sql_add(b, "fed.%i", &name));
        any = true;
    }
    if (!any) { /* keys alone: nothing changes, but the statement must be one */
        struct wh_str key = wh_str(fl->keys[0]);

        WH_TRY(sql_add(b, "%i = %i", &key, &(struct wh_str){fl->keys[0], key.n}));
    }
    WH_TRY(sql_add(b, " from %i as fed where ", &f));
    return lite_ddl_same_key(fl, into, numbered, b);
}

wh_status lite_ddl_insert(const struct lite_fl *fl, const char *into, const char *from,
                          bool numbered, enum wh_mode mode, struct wh_buf *b)
{
    struct wh_str t = wh_str(into), f = wh_str(from);
    bool any = false;

    if (mode == WH_MODE_UPDATE)
        return update(fl, into, from, numbered, b);
    /* "or fail": rows before a refused one stay, and the refused one is known. */
    WH_TRY(sql_add(b, "insert or fail into %i(", &t));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, any ? ", %i" : "%i", &name));
        any = true;
    }
    WH_TRY(wh_buf_adds(b, ") select "));
    any = false;
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (fl->dest[i].computed)
            continue;
        WH_TRY(wh_buf_adds(b, any ? ", " : ""));
        WH_TRY(numbered ? wh_buf_printf(b, "fed.c%d", i) : sql_add(b, "fed.%i", &name));
        any = true;
    }
    WH_TRY(sql_add(b, " from %i as fed", &f));
    switch (mode) {
    case WH_MODE_UPSERT:
    case WH_MODE_REPLACE:
        WH_TRY(wh_buf_adds(b, " where true")); /* else "on" reads as a join */
        return conflict(fl, mode, b);
    case WH_MODE_INSERT_IGNORE:
        return wh_buf_adds(b, " where true on conflict do nothing");
    default:
        return WH_OK;
    }
}
