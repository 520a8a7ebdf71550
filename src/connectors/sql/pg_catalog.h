/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that read the catalogue: what its answers hold, cell by cell. */
#ifndef WHERRY_CONNECTORS_SQL_PG_CATALOG_H
#define WHERRY_CONNECTORS_SQL_PG_CATALOG_H

#include "pg.h"

/* Facts of a type beyond its name, as SQL (`t`: the type, `bt`: what a domain is made of in the
 * end, else NULL; `mod`: the modifier that counts): tables to join, and the columns C_ELEM to
 * C_ROUNDS. Only types of somebody's making (oid from 16384 on) have a shape. */
#define PG_TYPE_JOINS                                                                              \
    "left join pg_catalog.pg_type e on e.oid = coalesce(bt.typelem, t.typelem) and "               \
    "coalesce(bt.typcategory, t.typcategory) = 'A' and coalesce(bt.typlen, t.typlen) = -1 "        \
    "left join pg_catalog.pg_type un on t.oid >= 16384 and un.oid = case when t.typcategory = "    \
    "'A' and t.typlen = -1 and t.typelem <> 0 then t.typelem else t.oid end "                      \
    "left join lateral (select case un.typtype "                                                   \
    "when 'e' then 'enum (' || coalesce((select pg_catalog.string_agg("                            \
    "pg_catalog.quote_literal(l.enumlabel), ', ' order by l.enumsortorder) "                       \
    "from pg_catalog.pg_enum l where l.enumtypid = un.oid), '') || ')' "                           \
    "when 'c' then '(' || coalesce((select pg_catalog.string_agg("                                 \
    "pg_catalog.quote_ident(l.attname) || ' ' || "                                                 \
    "pg_catalog.format_type(l.atttypid, l.atttypmod), ', ' order by l.attnum) "                    \
    "from pg_catalog.pg_attribute l where l.attrelid = un.typrelid and l.attnum > 0 "              \
    "and not l.attisdropped), '') || ')' "                                                         \
    "when 'd' then pg_catalog.format_type(un.typbasetype, un.typtypmod) "                          \
    "when 'r' then (select 'range (subtype = ' || pg_catalog.format_type(l.rngsubtype, -1) || "    \
    "')' from pg_catalog.pg_range l where l.rngtypid = un.oid) "                                   \
    "when 'm' then 'multirange' else 'base' end as shape, "                                        \
    "(select x.extname from pg_catalog.pg_depend l join pg_catalog.pg_extension x "                \
    "on x.oid = l.refobjid where l.classid = 'pg_catalog.pg_type'::regclass and "                  \
    "l.objid = un.oid and l.refclassid = 'pg_catalog.pg_extension'::regclass and "                 \
    "l.deptype = 'e') as ext) f on un.oid >= 16384 " PG_TYPE_DEEP

#define PG_ROUNDING "(1083, 1114, 1184, 1186, 1266, 1700)" /* times, interval, numeric */

/* What is inside of a type, however deep (domains, elements, attributes, bounds of ranges): does
 * the server round it to a modifier? Is there money? Not for scalars, which are looked at by
 * themselves. The multirange of a range is known since 14. */
#define PG_TYPE_DEEP                                                                               \
    "left join lateral (with recursive x(oid, mod) as ("                                           \
    "select coalesce(e.oid, bt.oid, t.oid), -1 union select y.oid, y.mod from x "                  \
    "join pg_catalog.pg_type xt on xt.oid = x.oid cross join lateral ("                            \
    "select xt.typbasetype as oid, case when xt.typtypmod >= 0 then xt.typtypmod else x.mod end "  \
    "as mod where xt.typtype = 'd' "                                                               \
    "union all select xt.typelem, x.mod where xt.typcategory = 'A' and xt.typlen = -1 and "        \
    "xt.typelem <> 0 "                                                                             \
    "union all select l.atttypid, l.atttypmod from pg_catalog.pg_attribute l where "               \
    "xt.typtype = 'c' and l.attrelid = xt.typrelid and l.attnum > 0 and not l.attisdropped "       \
    "union all select l.rngsubtype, -1 from pg_catalog.pg_range l where "                          \
    "xt.typtype in ('r', 'm') and (l.rngtypid = xt.oid or "                                        \
    "(pg_catalog.to_jsonb(l) ->> 'rngmultitypid')::oid = xt.oid)) y) "                             \
    "select pg_catalog.bool_or(x.mod >= 0 and x.oid in " PG_ROUNDING ") as rounds, "               \
    "pg_catalog.bool_or(x.oid = 790) as money from x) deep on "                                    \
    "(t.oid >= 16384 or t.oid = 791) and coalesce(bt.oid, t.oid) <> 790 "

/* Amounts as this server writes and reads them, which is lc_monetary's matter; of two servers that
 * write these alike, each reads what the other wrote. */
#define PG_MONEY_WORDS                                                                             \
    "(-1234567.89)::pg_catalog.numeric::pg_catalog.money || ' ' || "                               \
    "1.5::pg_catalog.numeric::pg_catalog.money"

#define PG_TYPE_FACTS(mod)                                                                         \
    "e.oid, pg_catalog.format_type(coalesce(bt.oid, t.oid), -1), "                                 \
    "nullif(coalesce(f.shape || case when f.shape in ('base', 'multirange') then "                 \
    "coalesce(' of extension ' || f.ext, '') else '' end, '') || "                                 \
    "case when deep.money then ' amounts as ' || " PG_MONEY_WORDS " else '' end, ''), "            \
    "case when f.ext is not null then 'create extension ' || pg_catalog.quote_ident(f.ext) "       \
    "when un.typtype in ('e', 'c', 'r') then 'create type ' || "                                   \
    "pg_catalog.format_type(un.oid, -1) || ' as ' || f.shape "                                     \
    "when un.typtype = 'd' then 'create domain ' || pg_catalog.format_type(un.oid, -1) || "        \
    "' as ' || f.shape || case when un.typnotnull then ' not null' else '' end || "                \
    "coalesce((select pg_catalog.string_agg(' ' || pg_catalog.pg_get_constraintdef(l.oid), '' "    \
    "order by l.conname) from pg_catalog.pg_constraint l where l.contypid = un.oid), '') end, "    \
    "(" mod " >= 0 and (coalesce(bt.oid, t.oid) = 1266 or e.oid in " PG_ROUNDING ")) or "          \
    "coalesce(deep.rounds or deep.money, false) "

/* Domains over domains: the innermost base type, and the modifier that goes with it. */
#define PG_DOMAINS                                                                                 \
    "with recursive d(oid, base, typmod) as ("                                                     \
    "select t.oid, t.typbasetype, t.typtypmod from pg_catalog.pg_type t where t.typtype = 'd' "    \
    "union all select d.oid, t.typbasetype, t.typtypmod from d join pg_catalog.pg_type t "         \
    "on t.oid = d.base where t.typtype = 'd'), "                                                   \
    "base as (select d.oid, d.base, d.typmod from d join pg_catalog.pg_type t on t.oid = d.base "  \
    "where t.typtype <> 'd') "

enum column_cell {
    C_TABLE,
    C_NAME,
    C_OID,
    C_BASE,
    C_TYPMOD,
    C_TYPTYPE,
    C_CATEGORY,
    C_TEXT,
    C_NOT_NULL,
    C_IDENTITY,
    C_GENERATED,
    C_DEFAULT,
    C_COMMENT,
    C_COLLATION,
    C_KEY,
    C_ELEM,
    C_PLAIN,
    C_SHAPE,
    C_MAKE,
    C_ROUNDS,
    C_NUMBER,
};

enum table_cell {
    T_OID,
    T_SCHEMA,
    T_NAME,
    T_KIND,
    T_PERSISTENCE,
    T_PAGES, /* present size, or that of the last analyze */
    T_OLD_PAGES,
    T_TUPLES,
    T_TOAST,
    T_RLS,
    T_SUBCLASS,
    T_COMMENT,
    T_LEAF_PAGES, /* partitioned: sums of the leaves */
    T_LEAF_ROWS,
    T_BLOCK,
    T_EXACT,
    T_CAN_READ,
    T_COLUMNS, /* dropped ones too */
    T_BYTES,   /* from here on only where tables are asked for by name */
    T_GRANTED,
    T_HIDES,
    T_WANTED, /* which name it answers, from 1 */
};

/* pg_catalog.c */
/* Columns of the tables {1,2,..}, by table and place. */
wh_status pg_columns_query(struct pg_se *, const char *oids, struct pg_rows **ret,
                           struct wh_error *reterr);
/* Rows [from, to) are the columns of a table. */
wh_status pg_columns_take(const struct pg_rows *, int from, int to, struct pg_table *,
                          struct wh_error *reterr);
wh_status pg_table_take(const struct pg_rows *, int i, struct pg_table *, struct wh_error *reterr);
/* The query of tables asked for by name: `from` has the relations c, n, and the names w. */
wh_status pg_tables_named(struct wh_buf *, const char *exact, const char *from, const char *rest);

#endif
