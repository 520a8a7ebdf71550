/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files that read the catalogue: what its answers hold, cell by cell. */
#ifndef WHERRY_CONNECTORS_SQL_PG_CATALOG_H
#define WHERRY_CONNECTORS_SQL_PG_CATALOG_H

#include "pg.h"

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
