/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that make tables and fill them. */
#include "pg_target.h"

/* ---- create table ------------------------------------------------------------------------------
 */

static struct wh_str dest_name(const struct pg_fl *fl, int i)
{
    return wh_str(fl->dest[i].name);
}

/* All columns of the source's key are delivered, so that it is a key here as well. */
static bool whole_key(const struct pg_fl *fl)
{
    int most = 0, n = 0;

    for (int i = 0; i < fl->n_dest; i++) {
        int at = sql_key_position(fl->accept.children[i]);

        n += at > 0;
        most = at > most ? at : most;
    }
    return n > 0 && n == most;
}

static wh_status primary_key(const struct pg_fl *fl, struct wh_buf *b)
{
    size_t asked = fl->replace_keys ? 0 : fl->n_keys;

    WH_TRY(wh_buf_adds(b, ",\n  primary key ("));
    for (size_t i = 0; i < asked; i++) {
        struct wh_str name = wh_str(fl->keys[i]);

        WH_TRY(sql_add(b, i ? ", %i" : "%i", &name));
    }
    for (int want = 1; asked == 0 && want <= fl->n_dest; want++)
        for (int i = 0; i < fl->n_dest; i++) {
            struct wh_str name = dest_name(fl, i);

            if (sql_key_position(fl->accept.children[i]) == want)
                WH_TRY(sql_add(b, want > 1 ? ", %i" : "%i", &name));
        }
    return wh_buf_addc(b, ')');
}

static wh_status comments(const struct pg_fl *fl, const char *table, struct sql_script *s)
{
    struct wh_str own = wh_str(fl->comment);

    if (own.n) {
        WH_TRY(sql_add(&s->b, "comment on table %s is %l", table, &own));
        WH_TRY(sql_script_end(s));
    }
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = dest_name(fl, i), text = {0};

        if (fl->dest[i].computed || !wh_meta_get(fl->accept.children[i], WH_META_COMMENT, &text) ||
            text.n == 0)
            continue;
        WH_TRY(sql_add(&s->b, "comment on column %s.%i is %l", table, &name, &text));
        WH_TRY(sql_script_end(s));
    }
    return WH_OK;
}

bool pg_ddl_keyed(const struct pg_fl *fl)
{
    return (fl->n_keys && !fl->replace_keys) || whole_key(fl);
}

wh_status pg_ddl_create(const struct pg_fl *fl, const char *table, bool keys, bool order,
                        struct sql_script *s)
{
    struct wh_str tablespace = wh_str(fl->o->tablespace);
    struct wh_buf *b = &s->b;
    bool any = false;

    WH_TRY(sql_add(b, "create %stable %s (", fl->o->unlogged ? "unlogged " : "", table));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str column = dest_name(fl, i);
        bool nullable = fl->accept.children[i]->flags & ARROW_FLAG_NULLABLE;

        if (fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, "%s\n  %i %s%s", any ? "," : "", &column, fl->dest[i].decl,
                       nullable ? "" : " not null"));
        any = true;
    }
    if (order)
        WH_TRY(wh_buf_adds(b, ",\n  wherry_n bigint generated always as identity (cache 10000)"));
    if (keys && pg_ddl_keyed(fl))
        WH_TRY(primary_key(fl, b));
    WH_TRY(wh_buf_adds(b, "\n)"));
    if (tablespace.n)
        WH_TRY(sql_add(b, " tablespace %i", &tablespace));
    WH_TRY(sql_script_end(s));
    return comments(fl, table, s);
}

/* ---- lists of columns --------------------------------------------------------------------------
 */

/* "a", "b" */
static wh_status names(const struct pg_fl *fl, struct wh_buf *b)
{
    bool any = false;

    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = dest_name(fl, i);

        if (fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, any ? ", %i" : "%i", &name));
        any = true;
    }
    return WH_OK;
}

wh_status pg_ddl_cell(const struct pg_fl *fl, const char *r, int i, bool numbered, struct wh_buf *b)
{
    struct wh_str name = dest_name(fl, i);

    if (!numbered)
        return sql_add(b, "%s.%i", r, &name);
    WH_TRY(wh_buf_printf(b, "%s.c%d", r, i));
    return fl->dest[i].cast ? sql_add(b, "::%s", fl->dest[i].plain) : WH_OK;
}

static wh_status cells(const struct pg_fl *fl, const char *r, bool numbered, struct wh_buf *b)
{
    bool any = false;

    for (int i = 0; i < fl->n_dest; i++) {
        if (fl->dest[i].computed)
            continue;
        WH_TRY(wh_buf_adds(b, any ? ", " : ""));
        WH_TRY(pg_ddl_cell(fl, r, i, numbered, b));
        any = true;
    }
    return WH_OK;
}

wh_status pg_ddl_same_key(const struct pg_fl *fl, const char *t, bool numbered_t, const char *r,
                          bool numbered, struct wh_buf *b)
{
    bool any = false;

    for (int i = 0; i < fl->n_dest; i++) {
        if (!fl->dest[i].key)
            continue;
        WH_TRY(wh_buf_adds(b, any ? " and " : ""));
        WH_TRY(pg_ddl_cell(fl, t, i, numbered_t, b));
        WH_TRY(sql_add(b, " %s ", fl->dest[i].equal ? fl->dest[i].equal : "="));
        WH_TRY(pg_ddl_cell(fl, r, i, numbered, b));
        if (fl->dest[i].collate)
            WH_TRY(sql_add(b, " collate %s", fl->dest[i].collate));
        any = true;
    }
    return WH_OK;
}

/* The last row of each key; rows with a NULL in it meet nobody. */
static wh_status last_of_key(const struct pg_fl *fl, const char *from, bool numbered,
                             struct wh_buf *b)
{
    const char *order = numbered ? "n" : "wherry_n";

    WH_TRY(sql_add(b, "not exists (select 1 from %s x where ", from));
    WH_TRY(pg_ddl_same_key(fl, "x", numbered, "r", numbered, b));
    return sql_add(b, " and x.%s > r.%s)", order, order);
}

/* ---- rows on their way -------------------------------------------------------------------------
 */

wh_status pg_ddl_copy(const struct pg_fl *fl, struct wh_buf *b)
{
    if (!fl->pours) {
        WH_TRY(sql_add(b, "copy %s (", fl->into));
        WH_TRY(names(fl, b));
    } else {
        WH_TRY(wh_buf_adds(b, "copy " PG_ROWS " ("));
        for (int i = 0; i < fl->n_dest; i++)
            WH_TRY(wh_buf_printf(b, i ? ", c%d" : "c%d", i));
    }
    return wh_buf_adds(b, ") from stdin (format binary)");
}

wh_status pg_ddl_rows(const struct pg_fl *fl, struct wh_buf *b)
{
    WH_TRY(wh_buf_adds(b, "create temp table wherry_rows ("
                          "n bigint generated always as identity (cache 10000)"));
    for (int i = 0; i < fl->n_dest; i++) {
        WH_TRY(wh_buf_printf(b, ", c%d ", i));
        WH_TRY(wh_buf_adds(b, fl->dest[i].cast ? pg_travels_as(&fl->dest[i]) : fl->dest[i].decl));
    }
    return wh_buf_adds(b, ") on commit drop");
}

wh_status pg_ddl_missed(const struct pg_fl *fl, struct wh_buf *b)
{
    WH_TRY(sql_add(b,
                   "select count(*) from " PG_ROWS " r where not exists (select 1 from %s t where ",
                   fl->into));
    WH_TRY(pg_ddl_same_key(fl, "t", false, "r", true, b));
    return wh_buf_addc(b, ')');
}

wh_status pg_ddl_due(const struct pg_fl *fl, const char *from, bool numbered, enum wh_mode mode,
                     struct wh_buf *b)
{
    bool twice = !fl->once && (numbered || fl->publish == PG_PUB_POUR), keys_alone = true;

    for (int i = 0; i < fl->n_dest; i++)
        keys_alone &= fl->dest[i].key || fl->dest[i].always || fl->dest[i].computed;
    if (mode == WH_MODE_INSERT_IGNORE || (sql_by_key(mode) && keys_alone))
        return WH_OK;
    WH_TRY(sql_add(b, "select count(*) from %s r", from));
    if (!sql_by_key(mode))
        return WH_OK;
    WH_TRY(wh_buf_adds(b, " where true"));
    if (mode == WH_MODE_UPDATE) {
        WH_TRY(sql_add(b, " and exists (select 1 from %s t where ", fl->name));
        WH_TRY(pg_ddl_same_key(fl, "t", false, "r", numbered, b));
        WH_TRY(wh_buf_addc(b, ')'));
    }
    if (!twice)
        return WH_OK;
    WH_TRY(wh_buf_adds(b, " and "));
    return last_of_key(fl, from, numbered, b);
}

int pg_ddl_number(const struct pg_fl *fl, int i)
{
    int n = 0;

    if (fl->existed && !fl->recreate)
        return fl->staged ? 0 : fl->dest[i].number;
    for (int k = 0; k <= i; k++)
        n += !fl->dest[k].computed;
    return n;
}

wh_status pg_ddl_alike(const struct pg_fl *fl, struct wh_buf *b)
{
    struct wh_str table = wh_str(fl->into);
    bool any = false;

    WH_TRY(wh_buf_adds(b, "select w.n, case when moved then 'column ' || w.number || ' of "
                          "the table' else w.t end, case when moved then 'column ' || a.attnum "
                          "else coalesce(format_type(a.atttypid, a.atttypmod), 'gone') end "
                          "from (values "));
    for (int i = 0; i < fl->n_dest; i++) {
        const struct pg_dest *d = &fl->dest[i];
        struct wh_str name = wh_str(d->name), decl = wh_str(d->decl);

        if (d->computed)
            continue;
        WH_TRY(sql_add(b, any ? ", (%l, %l, %d, %d, %d)" : "(%l, %l, %d, %d, %d)", &name, &decl,
                       (int64_t)d->oid, (int64_t)d->typmod, (int64_t)pg_ddl_number(fl, i)));
        any = true;
    }
    return sql_add(b,
                   ") w(n, t, oid, typmod, number) left join pg_attribute a on a.attrelid = "
                   "%l::regclass and a.attname = w.n and not a.attisdropped cross join lateral "
                   "(select case when w.oid > 0 then a.atttypid <> w.oid::bigint::oid or "
                   "a.atttypmod <> w.typmod else a.atttypid <> to_regtype(w.t) end) o(other) "
                   "cross join lateral (select not other and w.number > 0 and a.attnum <> "
                   "w.number) m(moved) where a.attname is null or other or moved limit 1",
                   &table);
}

static wh_status update(const struct pg_fl *fl, const char *into, const char *from, bool numbered,
                        struct wh_buf *b)
{
    bool any = false;

    WH_TRY(sql_add(b, "update %s t set ", into));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = dest_name(fl, i);

        if (fl->dest[i].key || fl->dest[i].always || fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, any ? ", %i = " : "%i = ", &name));
        WH_TRY(pg_ddl_cell(fl, "r", i, numbered, b));
        any = true;
    }
    if (!any) { /* keys alone: nothing changes */
        wh_buf_clear(b);
        return wh_buf_adds(b, "select 1 where false");
    }
    WH_TRY(sql_add(b, " from %s r where ", from));
    WH_TRY(pg_ddl_same_key(fl, "t", false, "r", numbered, b));
    if (fl->once)
        return WH_OK;
    WH_TRY(wh_buf_adds(b, " and "));
    return last_of_key(fl, from, numbered, b);
}

/* "on conflict (keys) do update set ..": replace gives columns that are not delivered their
 * defaults, so that the whole row is new. */
static wh_status conflict(const struct pg_fl *fl, enum wh_mode mode, struct wh_buf *b)
{
    bool any = false;

    WH_TRY(wh_buf_adds(b, " on conflict ("));
    for (size_t i = 0; i < fl->n_keys; i++) {
        struct wh_str key = wh_str(fl->keys[i]);

        WH_TRY(sql_add(b, i ? ", %i" : "%i", &key));
    }
    WH_TRY(wh_buf_adds(b, ") do "));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = dest_name(fl, i);

        if (fl->dest[i].key || fl->dest[i].always || fl->dest[i].computed)
            continue;
        WH_TRY(
            sql_add(b, any ? ", %i = excluded.%i" : "update set %i = excluded.%i", &name, &name));
        any = true;
    }
    for (int i = 0; mode == WH_MODE_REPLACE && i < fl->now.n_cols; i++) {
        const struct pg_col *c = &fl->now.cols[i];
        struct wh_str name = wh_str(c->name);
        bool delivered = c->generated || c->identity;

        for (int j = 0; j < fl->n_dest && !delivered; j++)
            delivered = strcmp(fl->dest[j].name, c->name) == 0;
        for (size_t j = 0; j < fl->n_keys && !delivered; j++)
            delivered = strcmp(fl->keys[j], c->name) == 0;
        if (delivered)
            continue;
        WH_TRY(sql_add(b, any ? ", %i = default" : "update set %i = default", &name));
        any = true;
    }
    return any ? WH_OK : wh_buf_adds(b, "nothing");
}

static wh_status insert(const struct pg_fl *fl, const char *into, const char *from, bool numbered,
                        enum wh_mode mode, const char *where, struct wh_buf *b)
{
    bool ordered = mode == WH_MODE_INSERT_IGNORE;
    /* A stage with the table's own key has no key twice. */
    bool twice = !fl->once && (numbered || fl->publish == PG_PUB_POUR);

    WH_TRY(sql_add(b, "insert into %s (", into));
    WH_TRY(names(fl, b));
    WH_TRY(wh_buf_adds(b, ") overriding system value select "));
    WH_TRY(cells(fl, "r", numbered, b));
    WH_TRY(sql_add(b, " from %s r", from));
    if (twice && (mode == WH_MODE_UPSERT || mode == WH_MODE_REPLACE)) {
        WH_TRY(wh_buf_adds(b, " where "));
        WH_TRY(last_of_key(fl, from, numbered, b));
    }
    if (where)
        WH_TRY(sql_add(b, " where %s", where));
    if (ordered)
        WH_TRY(sql_add(b, " order by r.%s", numbered ? "n" : "wherry_n"));
    if (mode == WH_MODE_UPSERT || mode == WH_MODE_REPLACE)
        return conflict(fl, mode, b);
    return mode == WH_MODE_INSERT_IGNORE ? wh_buf_adds(b, " on conflict do nothing") : WH_OK;
}

wh_status pg_ddl_put(const struct pg_fl *fl, const char *into, const char *from, bool numbered,
                     enum wh_mode mode, bool counts, struct wh_buf *b)
{
    if (mode == WH_MODE_UPDATE)
        return update(fl, into, from, numbered, b);
    if (counts)
        WH_TRY(wh_buf_adds(b, "with put as ("));
    WH_TRY(insert(fl, into, from, numbered, mode, NULL, b));
    if (counts) /* xmax: a row that was there is locked before it is updated */
        WH_TRY(wh_buf_adds(b, " returning (xmax = 0) as fresh) select "
                              "count(*) filter (where fresh), count(*) from put"));
    return WH_OK;
}

wh_status pg_ddl_put_some(const struct pg_fl *fl, const char *into, const char *from, bool numbered,
                          const char *where, struct wh_buf *b)
{
    return insert(fl, into, from, numbered, WH_MODE_INSERT_IGNORE, where, b);
}

wh_status pg_ddl_probe(const struct pg_fl *fl, struct wh_buf *b)
{
    bool any = false;

    WH_TRY(sql_add(b, "explain (costs off) insert into %s (", fl->name));
    WH_TRY(names(fl, b));
    WH_TRY(wh_buf_adds(b, ") overriding system value select "));
    for (int i = 0; i < fl->n_dest; i++) {
        if (fl->dest[i].computed)
            continue;
        WH_TRY(sql_add(b, any ? ", null::%s" : "null::%s", fl->dest[i].decl));
        any = true;
    }
    if (fl->mode == WH_MODE_UPSERT || fl->mode == WH_MODE_REPLACE)
        return conflict(fl, fl->mode, b);
    return WH_OK;
}
