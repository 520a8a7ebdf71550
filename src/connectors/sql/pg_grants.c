/* SPDX-License-Identifier: Apache-2.0 */
/* The least rights, as the statements that give them; the server writes them and says which are
 * held. Each row of the table is a purpose with a query of (statement, held); $1 is the schema, $2
 * the table, empty for "all of them". */
#include "pg.h"

#include <stdio.h>
#include <string.h>

/* Schemas that are meant, and the tables in them. */
#define WANTED                                                                                     \
    "with s as (select n.oid, n.nspname from pg_catalog.pg_namespace n where case when $1::text "  \
    "<> '' "                                                                                       \
    "then n.nspname = $1 else n.nspname !~ '^pg_' and n.nspname <> 'information_schema' end), "    \
    "t as (select c.oid, s.nspname, c.relname, c.relowner, c.relkind from s join "                 \
    "pg_catalog.pg_class c on c.relnamespace = s.oid where c.relkind in ('r', 'p', 'v', 'm', "     \
    "'f') and not c.relispartition and c.relname !~ '^wherry_' and ($2::text = '' or c.relname = " \
    "$2)) "

#define CONNECT                                                                                    \
    "select pg_catalog.format('grant connect on database %I to %I;', "                             \
    "pg_catalog.current_database(), current_user), "                                               \
    "pg_catalog.has_database_privilege(pg_catalog.current_database(), 'connect')"

#define USAGE                                                                                      \
    "select pg_catalog.format('grant usage on schema %I to %I;', nspname, current_user), "         \
    "pg_catalog.has_schema_privilege(oid, 'usage') from s"

/* "grant %s on all tables" for a whole schema, "on table" for one. */
#define TABLES(words, test)                                                                        \
    "select case when $2::text <> '' then pg_catalog.format('grant " words " on table %I.%I to "   \
    "%I;', s.nspname, $2::text, current_user) else pg_catalog.format('grant " words                \
    " on all tables in schema %I to %I;', s.nspname, current_user) end, "                          \
    "coalesce(pg_catalog.bool_and(" test "), false) from s join t on t.nspname = s.nspname "       \
    "group by s.nspname"

#define HAS(right) "pg_catalog.has_table_privilege(t.oid, '" right "')"

/* Roles whose members can do all on the server, among those that the owner is. */
#define ALL_OF_IT                                                                                  \
    "select from pg_catalog.pg_roles r where (r.rolsuper or r.rolname in "                         \
    "('pg_execute_server_program', 'pg_write_server_files', 'pg_read_server_files')) and "         \
    "pg_catalog.pg_has_role(t.relowner, r.oid, 'member')"

/* A comment, whatever the names hold: one line. */
#define TOO_MUCH                                                                                   \
    "pg_catalog.translate(pg_catalog.format('-- %I.%I belongs to %I, and who is a member of that " \
    "role may do everything on this server: not proposed. Choose: alter table %I.%I owner to %I; " \
    "or run the copy as the owner; or a mode that needs no ownership (truncate, upsert)', "        \
    "t.nspname, t.relname, pg_catalog.pg_get_userbyid(t.relowner), t.nspname, t.relname, "         \
    "current_user), E'\\n\\r', '  ')"

struct purpose {
    const char *name, *sql;
};

static const struct purpose purposes[] = {
    {"to read", CONNECT},
    {"to read", WANTED USAGE},
    {"to read", WANTED TABLES("select", HAS("select"))},
    {"to write at all: our own tables (run, units, target) beside the table", CONNECT},
    {"to write at all: our own tables (run, units, target) beside the table",
     WANTED "select pg_catalog.format('grant usage, create on schema %I to %I;', nspname, "
            "current_user), pg_catalog.has_schema_privilege(oid, 'usage') and "
            "pg_catalog.has_schema_privilege(oid, 'create') from s"},
    {"to write at all: our own tables (run, units, target) beside the table",
     WANTED "select pg_catalog.format('grant select, insert, update, delete on table %I.%I to "
            "%I;', s.nspname, c.relname, current_user), "
            "pg_catalog.has_table_privilege(c.oid, 'select') and "
            "pg_catalog.has_table_privilege(c.oid, 'insert') and "
            "pg_catalog.has_table_privilege(c.oid, 'update') and "
            "pg_catalog.has_table_privilege(c.oid, 'delete') from s join pg_catalog.pg_class c on "
            "c.relnamespace = s.oid where c.relname in ('wherry_run', 'wherry_unit', "
            "'wherry_target') order by c.relname"},
    {"to append to tables that are there",
     WANTED TABLES("select, insert", HAS("select") " and " HAS("insert"))},
    {"to upsert, replace, update, delete-insert",
     WANTED TABLES(
         "select, insert, update, delete",
         HAS("select") " and " HAS("insert") " and " HAS("update") " and " HAS("delete"))},
    {"to truncate", WANTED TABLES("select, insert, truncate",
                                  HAS("select") " and " HAS("insert") " and " HAS("truncate"))},
    {"to overwrite (the new table takes over owner and rights of the old one)",
     WANTED "select distinct case when pg_catalog.pg_has_role(t.relowner, 'member') or not exists "
            "(" ALL_OF_IT ") then pg_catalog.format('grant %I to %I;', "
            "pg_catalog.pg_get_userbyid(t.relowner), current_user) else " TOO_MUCH
            " end, pg_catalog.pg_has_role(t.relowner, 'member') from t where t.relkind in ('r', "
            "'p')"},
};

static wh_status ask(struct pg_se *se, const struct purpose *p, const char *const params[2],
                     wh_grant_fn each, void *arg, struct wh_error *reterr)
{
    struct pg_rows *rows WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(pg_query(se->c, p->sql, strstr(p->sql, "$1") ? 2 : 0, params, &rows, reterr));
    for (int i = 0; i < pg_n_rows(rows); i++) {
        struct wh_grant g = {
            .purpose = p->name, .sql = pg_cell(rows, i, 0), .held = pg_cell_bool(rows, i, 1)};

        WH_TRY(each(arg, &g));
    }
    return WH_OK;
}

static wh_status first_schema(struct pg_se *se, char out[256], struct wh_error *reterr)
{
    struct pg_rows *rows WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str v;

    WH_TRY(pg_query_after(se->c, "set search_path to default", "select pg_catalog.current_schema()",
                          0, NULL, &rows, reterr));
    v = pg_cell(rows, 0, 0);
    snprintf(out, 256, "%.*s", v.s ? (int)v.n : 6, v.s ? v.s : "public");
    return pg_exec(se->c, "set search_path to ''", reterr);
}

wh_status pg_grants(void *ep, void *session, const struct wh_name *object, wh_grant_fn each,
                    void *arg, struct wh_error *reterr)
{
    char schema[256] = "", table[256] = "";
    const char *params[2] = {schema, table};
    struct pg_se *se = session;

    if (object) {
        struct wh_str last = object->part[object->n - 1];

        snprintf(table, sizeof table, "%.*s", WH_STR_FMT(last));
        if (object->n > 1 && object->part[object->n - 2].n)
            snprintf(schema, sizeof schema, "%.*s", WH_STR_FMT(object->part[object->n - 2]));
        else
            WH_TRY(first_schema(se, schema, reterr));
    }
    for (size_t i = 0; i < sizeof purposes / sizeof *purposes; i++)
        WH_TRY(ask(se, &purposes[i], params, each, arg, reterr));
    return WH_OK;
}
