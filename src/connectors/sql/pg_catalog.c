/* SPDX-License-Identifier: Apache-2.0 */
/* What a database holds: tables with columns, keys, comments and estimates.
 *
 * Two statements describe any number of tables (columns in pages of PAGE tables); nothing is
 * counted and no table is locked. Estimates are the server's own (reltuples at the last analyze),
 * scaled to the present size where one table is described. */
#include "pg_catalog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    TABLE_ARENA = 64 << 20,
    LIST_ARENA = 512 << 20,
    PAGE = 1000,
};

/* ---- small things ------------------------------------------------------------------------------
 */

wh_status pg_qualified(struct wh_buf *b, const char *schema, const char *name)
{
    struct wh_str s = wh_str(schema), n = wh_str(name);

    return schema && *schema ? sql_add(b, "%i.%i", &s, &n) : sql_add(b, "%i", &n);
}

void pg_table_free(struct pg_table *t)
{
    wh_arena_free(TAKE_PTR(t->arena));
}

static int no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a table's description");
}

/* NULL stays NULL. */
static const char *keep(struct wh_arena *a, const struct pg_rows *rows, int row, int column)
{
    struct wh_str v = pg_cell(rows, row, column);

    return v.s ? wh_arena_strndup(a, v.s, v.n) : NULL;
}

static char letter(const struct pg_rows *rows, int row, int column)
{
    struct wh_str v = pg_cell(rows, row, column);

    return (char)(v.n ? v.s[0] : 0);
}

/* ---- columns -----------------------------------------------------------------------------------
 */

static const char columns_sql[] = PG_DOMAINS
    "select a.attrelid, a.attname, a.atttypid, coalesce(b.base, a.atttypid), "
    "case when b.oid is null then a.atttypmod else b.typmod end, "
    "coalesce(bt.typtype, t.typtype), t.typcategory, "
    "pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity, "
    "%s, pg_catalog.pg_get_expr(ad.adbin, ad.adrelid), de.description, "
    "case when a.attcollation <> t.typcollation then pg_catalog.quote_ident(cn.nspname) || '.' || "
    "pg_catalog.quote_ident(co.collname) end, "
    "pg_catalog.array_position(k.conkey, a.attnum), " PG_TYPE_FACTS(
        "coalesce(b.typmod, a.atttypmod)") ", a.attnum from pg_catalog.pg_attribute a join "
                                           "pg_catalog.pg_type "
                                           "t on t.oid = a.atttypid "
                                           "left join base b on b.oid = a.atttypid "
                                           "left join pg_catalog.pg_type bt on bt.oid = "
                                           "b.base " PG_TYPE_JOINS
                                           "left join pg_catalog.pg_attrdef ad on ad.adrelid = "
                                           "a.attrelid and ad.adnum = a.attnum "
                                           "left join pg_catalog.pg_description de on de.objoid = "
                                           "a.attrelid "
                                           "and de.classoid = 'pg_catalog.pg_class'::regclass and "
                                           "de.objsubid = a.attnum "
                                           "left join pg_catalog.pg_collation co on co.oid = "
                                           "a.attcollation "
                                           "left join pg_catalog.pg_namespace cn on cn.oid = "
                                           "co.collnamespace "
                                           "left join pg_catalog.pg_constraint k on k.conrelid = "
                                           "a.attrelid and k.contype = 'p' "
                                           "where a.attrelid = any($1::oid[]) and a.attnum > 0 and "
                                           "not a.attisdropped "
                                           "order by a.attrelid, a.attnum";

static int read_column(struct wh_arena *a, const struct pg_rows *r, int i, struct pg_col *c)
{
    char identity = letter(r, i, C_IDENTITY);

    c->name = keep(a, r, i, C_NAME);
    c->type_text = keep(a, r, i, C_TEXT);
    c->oid = (uint32_t)pg_cell_i64(r, i, C_OID, 0);
    c->base_oid = (uint32_t)pg_cell_i64(r, i, C_BASE, 0);
    c->typmod = (int32_t)pg_cell_i64(r, i, C_TYPMOD, -1);
    c->typtype = letter(r, i, C_TYPTYPE);
    c->typcategory = letter(r, i, C_CATEGORY);
    c->not_null = pg_cell_bool(r, i, C_NOT_NULL);
    c->identity = identity == 'a' || identity == 'd';
    c->identity_always = identity == 'a';
    c->generated = letter(r, i, C_GENERATED) != 0;
    c->dflt = keep(a, r, i, C_DEFAULT);
    c->has_default = c->dflt && !c->generated;
    c->comment = keep(a, r, i, C_COMMENT);
    c->collation = keep(a, r, i, C_COLLATION);
    c->pk = (int)pg_cell_i64(r, i, C_KEY, 0);
    c->elem_oid = (uint32_t)pg_cell_i64(r, i, C_ELEM, 0);
    c->plain = keep(a, r, i, C_PLAIN);
    c->shape = keep(a, r, i, C_SHAPE);
    c->make = keep(a, r, i, C_MAKE);
    c->rounds = pg_cell_bool(r, i, C_ROUNDS);
    c->number = (int)pg_cell_i64(r, i, C_NUMBER, 0);
    pg_type_of(c);
    return c->name && c->type_text && c->plain ? WH_OK : WH_E_NOMEM;
}

wh_status pg_columns_query(struct pg_se *se, const char *oids, struct pg_rows **ret,
                           struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    const char *generated = pg_server_version(se->c) >= 120000 ? "a.attgenerated" : "''";
    const char *params[] = {oids};

    /* attidentity is there since 10. */
    if (wh_buf_printf(&sql, columns_sql, generated) != WH_OK)
        return no_memory(reterr);
    return pg_query(se->c, sql.p, 1, params, ret, reterr);
}

wh_status pg_columns_take(const struct pg_rows *rows, int from, int to, struct pg_table *t,
                          struct wh_error *reterr)
{
    t->n_cols = to - from;
    t->cols = wh_arena_alloc(t->arena, (size_t)t->n_cols * sizeof *t->cols);
    if (!t->cols)
        return no_memory(reterr);
    for (int i = from; i < to; i++) {
        struct pg_col *c = &t->cols[i - from];

        if (read_column(t->arena, rows, i, c) != WH_OK)
            return no_memory(reterr);
        t->has_pk |= c->pk > 0;
    }
    return WH_OK;
}

/* ---- tables ------------------------------------------------------------------------------------
 */

/* %s: pages, the sums over partitions (2), exactness, T_BYTES to T_WANTED, from, the rest. */
static const char tables_sql[] =
    "select c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, %s, c.relpages, "
    "c.reltuples::bigint, coalesce(to_.relpages, 0), c.relrowsecurity, c.relhassubclass, "
    "de.description, %s, pg_catalog.current_setting('block_size'), %s, "
    "pg_catalog.has_schema_privilege(n.oid, 'usage') and "
    "pg_catalog.has_table_privilege(c.oid, 'select'), c.relnatts, %s from %s "
    "left join pg_catalog.pg_class to_ on to_.oid = c.reltoastrelid "
    "left join pg_catalog.pg_description de on de.objoid = c.oid "
    "and de.classoid = 'pg_catalog.pg_class'::regclass and de.objsubid = 0 "
    "where c.relkind in ('r', 'p', 'v', 'm', 'f')%s";

/* All leaves of a partitioned table, without locks. */
#define LEAVES(what)                                                                               \
    "case when c.relkind = 'p' then (with recursive l(oid) as (select c.oid union all select "     \
    "i.inhrelid from l join pg_catalog.pg_inherits i on i.inhparent = l.oid) select " what         \
    " from l join pg_catalog.pg_class lc on lc.oid = l.oid where lc.relkind <> 'p') end"

static const char leaf_sums[] =
    LEAVES("sum(lc.relpages)") ", " LEAVES("case when min(lc.reltuples) >= 0 then "
                                           "sum(lc.reltuples)::bigint else -1 end");

static wh_status tables_listed(struct wh_buf *sql, const char *rest)
{
    return wh_buf_printf(sql, tables_sql, "c.relpages", leaf_sums, "0", "null, null, null, 0",
                         "pg_catalog.pg_class c join pg_catalog.pg_namespace n "
                         "on n.oid = c.relnamespace",
                         rest);
}

#define IF_STORED(what) "case when c.relkind in ('r', 'm') then " what " end"

wh_status pg_tables_named(struct wh_buf *sql, const char *exact, const char *from, const char *rest)
{
    return wh_buf_printf(
        sql, tables_sql,
        IF_STORED("pg_catalog.pg_relation_size(c.oid) / "
                  "pg_catalog.current_setting('block_size')::bigint"),
        leaf_sums, exact,
        IF_STORED(
            "pg_catalog.pg_table_size(c.oid)") ", "
                                               "pg_catalog.has_table_privilege(c.oid, 'select'), "
                                               "pg_catalog.row_security_active(c.oid), w.i",
        from, rest);
}

/* A number of pages that a server can have; what is none counts as 0, so that sums and products of
 * them stay numbers whatever it says. */
static int64_t pages_of(const struct pg_rows *r, int i, int cell)
{
    int64_t v = pg_cell_i64(r, i, cell, 0);

    return v < 0 || v >= (int64_t)1 << 45 ? 0 : v;
}

static int64_t rows_of(double v)
{
    return v < 9e18 ? (int64_t)v : INT64_MAX;
}

/* 10 has no partitions' sizes worth asking for, and 14 began to say -1 for "never analyzed". */
static void estimate(struct pg_table *t, const struct pg_rows *r, int i)
{
    int64_t pages = pages_of(r, i, T_PAGES), old = pages_of(r, i, T_OLD_PAGES);
    int64_t tuples = pg_cell_i64(r, i, T_TUPLES, -1), block = pg_cell_i64(r, i, T_BLOCK, 8192);

    if (block < 512 || block > 65536)
        block = 8192;
    t->est_rows = t->est_bytes = -1;
    t->pages = -1;
    if (t->kind == 'p') {
        pages = pages_of(r, i, T_LEAF_PAGES);
        t->est_rows = pg_cell_i64(r, i, T_LEAF_ROWS, -1);
        t->est_bytes = pages * block;
        return;
    }
    if (t->kind != 'r' && t->kind != 'm')
        return;
    t->pages = pages;
    t->est_bytes = (pages + pages_of(r, i, T_TOAST)) * block;
    if (pages == 0)
        t->est_rows = 0;
    else if (tuples > 0 && old > 0)
        t->est_rows = rows_of((double)tuples / (double)old * (double)pages);
    else if (tuples == 0 && old == pages)
        t->est_rows = 0;
}

wh_status pg_table_take(const struct pg_rows *r, int i, struct pg_table *t, struct wh_error *reterr)
{
    t->oid = (uint32_t)pg_cell_i64(r, i, T_OID, 0);
    t->schema = keep(t->arena, r, i, T_SCHEMA);
    t->name = keep(t->arena, r, i, T_NAME);
    t->comment = keep(t->arena, r, i, T_COMMENT);
    t->kind = letter(r, i, T_KIND);
    t->persistence = letter(r, i, T_PERSISTENCE);
    t->has_rls = pg_cell_bool(r, i, T_RLS);
    t->has_subclass = pg_cell_bool(r, i, T_SUBCLASS);
    t->can_read = pg_cell_bool(r, i, T_CAN_READ);
    t->granted = pg_cell_bool(r, i, T_GRANTED);
    t->hides = pg_cell_bool(r, i, T_HIDES);
    t->tuples = pg_cell_i64(r, i, T_TUPLES, -1);
    t->bytes = pages_of(r, i, T_BYTES);
    if (!t->schema || !t->name)
        return no_memory(reterr);
    estimate(t, r, i);
    return WH_OK;
}

/* ---- a query's columns -------------------------------------------------------------------------
 */

static const char types_sql[] = PG_DOMAINS
    "select 0, '', u.oid, coalesce(b.base, u.oid), "
    "case when b.oid is null then u.typmod else b.typmod end, "
    "coalesce(bt.typtype, t.typtype), t.typcategory, "
    "pg_catalog.format_type(u.oid, u.typmod), false, '', '', null, null, null, "
    "0, " PG_TYPE_FACTS(
        "coalesce(b.typmod, u.typmod)") ", 0 from rows from (pg_catalog.unnest($1::oid[]), "
                                        "pg_catalog.unnest($2::int[])) "
                                        "with ordinality u(oid, typmod, i) "
                                        "join pg_catalog.pg_type t on t.oid = u.oid "
                                        "left join base b on b.oid = u.oid "
                                        "left join pg_catalog.pg_type bt on bt.oid = "
                                        "b.base " PG_TYPE_JOINS "order by u.i";

static int list_types(const struct pg_rows *r, struct wh_buf *oids, struct wh_buf *typmods)
{
    for (int i = 0; i < pg_n_columns(r); i++) {
        int32_t typmod = -1;
        uint32_t oid = pg_column_type(r, i, &typmod);

        WH_TRY(wh_buf_printf(oids, "%c%u", i ? ',' : '{', oid));
        WH_TRY(wh_buf_printf(typmods, "%c%d", i ? ',' : '{', typmod));
    }
    WH_TRY(wh_buf_adds(oids, pg_n_columns(r) ? "}" : "{}"));
    return wh_buf_adds(typmods, pg_n_columns(r) ? "}" : "{}");
}

static wh_status name_columns(struct pg_table *t, const struct pg_rows *named,
                              struct wh_error *reterr)
{
    for (int i = 0; i < t->n_cols && i < pg_n_columns(named); i++) {
        t->cols[i].name = wh_arena_strdup(t->arena, pg_column_name(named, i));
        if (!t->cols[i].name)
            return no_memory(reterr);
    }
    return WH_OK;
}

/* Runs the query for no rows, as one statement and with the user's search path. */
static wh_status run_for_nothing(struct pg_se *se, const char *query, struct pg_rows **ret,
                                 struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    size_t n = strlen(query);
    int st;

    while (n && strchr(" \t\r\n;", query[n - 1]))
        n--;
    if (wh_buf_printf(&sql, "select * from (%.*s\n) wherry_query limit 0", (int)n, query) != WH_OK)
        return no_memory(reterr);
    st = pg_query_after(se->c, "set search_path to default", sql.p, 0, NULL, ret, reterr);
    if (st == WH_OK)
        st = pg_exec(se->c, "set search_path to ''", reterr);
    else if (reterr && strcmp(reterr->code, "E2015") == 0)
        snprintf(reterr->code, sizeof reterr->code, "E4009");
    return st;
}

wh_status pg_describe_query(struct pg_se *se, const char *query, struct pg_table *ret,
                            struct wh_error *reterr)
{
    struct wh_buf oids WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_buf typmods WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *named WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_rows *types WH_CLEANUP(pg_rows_freep) = NULL;

    memset(ret, 0, sizeof *ret);
    WH_TRY(run_for_nothing(se, query, &named, reterr));
    if (list_types(named, &oids, &typmods) != WH_OK)
        return no_memory(reterr);
    const char *params[] = {oids.p, typmods.p};

    WH_TRY(pg_query(se->c, types_sql, 2, params, &types, reterr));
    ret->arena = wh_arena_new(TABLE_ARENA);
    if (!ret->arena)
        return no_memory(reterr);
    ret->kind = 'q';
    ret->schema = ret->name = "";
    ret->pages = ret->est_rows = ret->est_bytes = -1;
    WH_TRY(pg_columns_take(types, 0, pg_n_rows(types), ret, reterr));
    return name_columns(ret, named, reterr);
}

/* ---- schemas -----------------------------------------------------------------------------------
 */

struct pairs {
    const char *v[24]; /* ended by NULL */
    int n;
};

static void add_pair(struct pairs *p, const char *key, const char *value)
{
    if (value && *value) {
        p->v[p->n++] = key;
        p->v[p->n++] = value;
    }
}

/* Types of PostGIS whose only form is text with 15 digits. */
static bool rounds_its_text(const struct pg_col *c)
{
    const char *dot = strrchr(c->plain, '.');
    const char *name = dot ? dot + 1 : c->plain;

    return c->shape && strcmp(c->shape, "base of extension postgis") == 0 &&
           (strncmp(name, "box2d", 5) == 0 || strncmp(name, "box3d", 5) == 0);
}

static wh_status column_schema(const struct pg_col *c, int64_t i, struct ArrowSchema *ret)
{
    struct pairs meta = {.n = 0};
    char key[16] = "", number[16] = "";

    if (c->number > 0)
        snprintf(number, sizeof number, "%d", c->number);
    if (c->pk > 0)
        snprintf(key, sizeof key, "%d", c->pk);
    add_pair(&meta, WH_META_TYPE, c->type_text);
    add_pair(&meta, WH_META_SYSTEM, "postgresql");
    add_pair(&meta, WH_META_SHAPE, c->shape);
    add_pair(&meta, WH_META_MAKE, c->make);
    if (c->cast && c->type.kind == WH_K_UTF8)
        add_pair(&meta, WH_META_WORDS, rounds_its_text(c) ? "rounded" : "exact");
    if (c->expr)
        add_pair(&meta, WH_META_COMPUTED, c->varies ? "varies" : "same");
    add_pair(&meta, WH_META_KEY, key);
    add_pair(&meta, WH_META_NUMBER, number);
    add_pair(&meta, WH_META_COMMENT, c->comment);
    add_pair(&meta, WH_META_COLLATION, c->collation);
    if (c->generated || c->identity)
        add_pair(&meta, WH_META_GENERATED, c->generated ? "always" : "identity");
    else
        add_pair(&meta, WH_META_DEFAULT, c->dflt);
    return wh_schema_set(ret, i, c->name, &c->type, meta.v);
}

wh_status pg_table_schema(const struct pg_table *t, struct ArrowSchema *ret)
{
    int st = wh_schema_init(ret, t->n_cols);

    for (int i = 0; i < t->n_cols && st == WH_OK; i++)
        st = column_schema(&t->cols[i], i, ret);
    if (st != WH_OK)
        wh_schema_release(ret);
    return st;
}

/* ---- all of them -------------------------------------------------------------------------------
 */

struct listing {
    struct wh_arena *arena;
    struct pg_table *v;
    int n;
};

static bool is_wanted(const struct wh_pattern *p, const struct pg_table *t)
{
    struct wh_name name = {.part = {wh_str(t->schema), wh_str(t->name)}, .n = 2};

    return !p || !p->match || p->match(p, &name);
}

/* Partitions are read through their table; schemas of the system are nobody's data. */
static wh_status list_tables(struct pg_se *se, const struct wh_pattern *p, struct listing *l,
                             struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_buf filter WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str prefix = p ? p->prefix : (struct wh_str){NULL, 0};

    if (sql_add(&filter, " and n.nspname !~ '^pg_' and n.nspname <> 'information_schema' and not "
                         "c.relispartition") != WH_OK ||
        (prefix.n && sql_add(&filter, " and pg_catalog.left(c.relname, %d) = %l",
                             wh_utf8_chars(prefix.s, prefix.n), &prefix) != WH_OK) ||
        wh_buf_adds(&filter, " order by n.nspname, c.relname") != WH_OK ||
        tables_listed(&sql, filter.p) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, sql.p, 0, NULL, &r, reterr));
    l->v = wh_arena_alloc(l->arena, (size_t)(pg_n_rows(r) + 1) * sizeof *l->v);
    for (int i = 0; l->v && i < pg_n_rows(r); i++) {
        struct pg_table *t = &l->v[l->n];

        memset(t, 0, sizeof *t);
        t->arena = l->arena;
        WH_TRY(pg_table_take(r, i, t, reterr));
        /* relpages of a table that was never looked at is no size. */
        if (t->pages == 0)
            t->pages = t->est_rows = t->est_bytes = -1;
        l->n += is_wanted(p, t);
    }
    return l->v ? WH_OK : no_memory(reterr);
}

static wh_status tell(const struct pg_table *t, wh_catalog_fn each, void *arg,
                      struct wh_error *reterr)
{
    bool table = t->kind == 'r' || t->kind == 'p' || t->kind == 'f';
    struct ArrowSchema schema = {0};
    struct wh_object o = {.name = {.part = {wh_str(t->schema), wh_str(t->name)}, .n = 2},
                          .kind = table ? WH_OBJ_TABLE : WH_OBJ_VIEW,
                          .columns = &schema,
                          .est_rows = t->est_rows,
                          .est_bytes = t->est_bytes,
                          .comment = t->comment};
    int st = pg_table_schema(t, &schema);

    if (st != WH_OK)
        return no_memory(reterr);
    st = sql_is_ours(o.name.part[1], &schema) ? WH_OK : each(arg, &o);
    wh_schema_release(&schema);
    return st;
}

struct page {
    struct pg_table **by_oid;
    int n;
};

/* Columns come sorted by the table's number, tables by their name: found by halving. */
static struct pg_table *find_oid(const struct page *pg, uint32_t oid)
{
    int lo = 0, hi = pg->n;

    while (lo < hi) {
        int mid = (lo + hi) / 2;

        if (pg->by_oid[mid]->oid < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < pg->n && pg->by_oid[lo]->oid == oid ? pg->by_oid[lo] : NULL;
}

static int by_number(const void *a, const void *b)
{
    uint32_t x = (*(struct pg_table *const *)a)->oid, y = (*(struct pg_table *const *)b)->oid;

    return x < y ? -1 : x > y;
}

static wh_status fill_page(struct pg_se *se, struct page *pg, const char *oids,
                           struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(pg_columns_query(se, oids, &r, reterr));
    for (int from = 0, to; from < pg_n_rows(r); from = to) {
        int64_t oid = pg_cell_i64(r, from, C_TABLE, 0);
        struct pg_table *t = find_oid(pg, (uint32_t)oid);

        for (to = from; to < pg_n_rows(r) && pg_cell_i64(r, to, C_TABLE, 0) == oid; to++)
            continue;
        if (t)
            WH_TRY(pg_columns_take(r, from, to, t, reterr));
    }
    return WH_OK;
}

/* Columns of tables [from, from + n) of the list, which are then told in the list's order. */
static wh_status do_page(struct pg_se *se, struct listing *l, int from, int n, wh_catalog_fn each,
                         void *arg, struct wh_error *reterr)
{
    struct wh_buf oids WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(LIST_ARENA);
    struct page pg = {.n = n};

    pg.by_oid = arena ? wh_arena_alloc(arena, (size_t)n * sizeof(struct pg_table *)) : NULL;
    if (!pg.by_oid)
        return no_memory(reterr);
    for (int i = 0; i < n; i++) {
        pg.by_oid[i] = &l->v[from + i];
        pg.by_oid[i]->arena = arena; /* columns live as long as the page */
        if (wh_buf_printf(&oids, "%c%u", i ? ',' : '{', l->v[from + i].oid) != WH_OK)
            return no_memory(reterr);
    }
    if (wh_buf_addc(&oids, '}') != WH_OK)
        return no_memory(reterr);
    qsort(pg.by_oid, (size_t)n, sizeof(struct pg_table *), by_number);
    WH_TRY(fill_page(se, &pg, oids.p, reterr));
    for (int i = 0; i < n; i++)
        WH_TRY(tell(&l->v[from + i], each, arg, reterr));
    return WH_OK;
}

static wh_status catalog_one(struct pg_se *se, const struct wh_name *name, wh_catalog_fn each,
                             void *arg, struct wh_error *reterr)
{
    struct pg_table t WH_CLEANUP(pg_table_free) = {0};
    struct wh_error why = {0};
    int st = pg_describe(se, name, NULL, &t, &why);

    if (st == WH_E_NOT_FOUND)
        return WH_OK; /* a catalogue without it */
    if (st != WH_OK) {
        if (reterr)
            *reterr = why;
        return st;
    }
    return tell(&t, each, arg, reterr);
}

wh_status pg_catalog(void *ep, void *session, const struct wh_pattern *p, wh_catalog_fn each,
                     void *arg, struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = NULL;
    struct pg_se *se = session;
    struct listing l = {0};

    if (p && p->exact)
        return catalog_one(se, p->exact, each, arg, reterr);
    l.arena = arena = wh_arena_new(LIST_ARENA);
    if (!arena)
        return no_memory(reterr);
    WH_TRY(list_tables(se, p, &l, reterr));
    for (int i = 0; i < l.n; i += PAGE) {
        int n = l.n - i < PAGE ? l.n - i : PAGE;

        WH_TRY(do_page(se, &l, i, n, each, arg, reterr));
    }
    return WH_OK;
}
