/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of markers. Ours is wherry_unit beside the run's row; write.marker may name another one,
 * of the same columns and key, in any schema. Which there are is looked up in the catalogue, not
 * remembered: closing a run, giving one up and rebuilding a state begin with the server alone.
 * wherry_run and wherry_target never move with it: by them runs find each other. */
#include "pg_claim.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a table of markers");
}

/* ---- the target's ------------------------------------------------------------------------------
 */

/* Of a relation c: its columns and its primary key are those of our markers. */
#define IS_MARKER_TABLE                                                                            \
    "c.relkind = 'r' and c.relnatts = 15 and exists (select from pg_index i where i.indrelid = "   \
    "c.oid and i.indisprimary and i.indkey::text = '1 2 3 4') and (select "                        \
    "string_agg(a.attname, ',' order by a.attnum) from pg_attribute a where a.attrelid = c.oid "   \
    "and a.attnum > 0) = '" SQL_MARKER_LIST "'"

static wh_status not_possible(const char *name, const char *why, struct wh_error *reterr)
{
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E3013", "%s cannot hold the markers: %s", name, why));
    if (reterr)
        wh_error_hint(reterr, "another name for --marker (write.marker), or none: ours beside the "
                              "target");
    return WH_E_USAGE;
}

static wh_status fits(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {fl->units_schema, fl->units_table};
    bool there = false;

    WH_TRY(pg_schema_there(se, fl->units_schema, &there, reterr));
    if (!there)
        return not_possible(fl->units, "there is no such schema", reterr);
    WH_TRY(pg_query(se->c,
                    "select " IS_MARKER_TABLE
                    " from pg_class c join pg_namespace n on n.oid = c.relnamespace where "
                    "n.nspname = $1 and c.relname = $2",
                    2, params, &r, reterr));
    if (pg_n_rows(r) && !pg_cell_bool(r, 0, 0))
        return not_possible(fl->units, "it is something else than a table of markers", reterr);
    return WH_OK;
}

static wh_status names(struct pg_fl *fl, const struct wh_name *asked, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = asked ? asked->part[asked->n - 1] : WH_STR("wherry_unit"),
                  schema = asked && asked->n > 1 ? asked->part[asked->n - 2] : wh_str(fl->markers);

    fl->units_schema = wh_arena_strndup(fl->arena, schema.s, schema.n);
    fl->units_table = wh_arena_strndup(fl->arena, table.s, table.n);
    if (!fl->units_schema || !fl->units_table ||
        pg_qualified(&b, fl->units_schema, fl->units_table) != WH_OK ||
        !(fl->units = wh_arena_strndup(fl->arena, b.p, b.n)))
        return no_memory(reterr);
    return WH_OK;
}

wh_status pg_units_look(struct pg_fl *fl, struct pg_se *se, const struct wh_target *io,
                        struct wh_error *reterr)
{
    const struct wh_name *asked =
        io->marker && io->marker->n && !fl->marker_off ? io->marker : NULL;
    struct wh_str table;

    if (fl->existed && sql_is_marker_table(SQL_NAMES(fl->now.cols, fl->now.n_cols)))
        return wh_fail(reterr, WH_E_USAGE, "E3013", "%s is a table of our markers", fl->name);
    WH_TRY(names(fl, asked, reterr));
    if (!asked)
        return WH_OK;
    table = wh_str(fl->units_table);
    if (asked->n > 2)
        return not_possible(fl->units, "a name has a schema and a table", reterr);
    if (table.n > 63 || strlen(fl->units_schema) > 63 || !wh_utf8_valid(table.s, table.n))
        return not_possible(fl->units, "it is no valid name", reterr);
    if (strcmp(fl->units, fl->name) == 0)
        return not_possible(fl->units, "it is the target", reterr);
    if (sql_is_own(table) && !wh_str_eqs(table, "wherry_unit"))
        return not_possible(fl->units, "that is another table of ours", reterr);
    WH_TRY(fits(fl, se, reterr));
    return sql_name_add(fl->ep->ctx, &fl->ep->lock, &fl->ep->units, fl->units) == WH_OK
               ? WH_OK
               : no_memory(reterr);
}

/* ---- all of them -------------------------------------------------------------------------------
 */

static wh_status cannot_make(const char *name, int st, struct wh_error *err)
{
    char why[300];

    if (st == WH_LOST || st == WH_BLOCKED || st == WH_E_CANCELLED || err->retriable)
        return st;
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, err->message);
    st = wh_fail(err, st, st == WH_E_AUTH ? "E2006" : "E5013",
                 "the marker table %s cannot be made: %s", name, why);
    wh_error_hint(err, "grant create on its schema, or make it as wherry_unit is made ('create "
                       "table .. (like .. including all)') with all rights on it");
    return st;
}

wh_status pg_units_make(struct pg_ep *ep, struct pg_se *se, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    for (const struct sql_named *u = ep->units; u; u = u->next) {
        struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
        const char *params[] = {u->name};
        struct wh_error err = {0};
        int st;

        WH_TRY(pg_query(se->c, "select to_regclass($1) is not null", 1, params, &r, reterr));
        if (pg_cell_bool(r, 0, 0)) /* "if not exists" asks for the right to make it all the same */
            continue;
        wh_buf_clear(&b);
        if (sql_add(&b, "create table if not exists %s" PG_MARKER_TABLE, u->name) != WH_OK)
            return no_memory(reterr);
        st = pg_exec(se->c, b.p, &err);
        if (st < 0 && pg_made_meanwhile(&err))
            st = pg_exec(se->c, b.p, &err);
        if (st == WH_OK)
            continue;
        st = cannot_make(u->name, st, &err);
        if (reterr)
            *reterr = err;
        return st;
    }
    return WH_OK;
}

wh_status pg_units_list(struct pg_se *se, struct pg_rows **ret, struct wh_error *reterr)
{
    return pg_query(se->c,
                    "select format('%I.%I', n.nspname, c.relname) from pg_class c join "
                    "pg_namespace n on n.oid = c.relnamespace where (c.relname = 'wherry_unit' and "
                    "c.relkind = 'r' or " IS_MARKER_TABLE
                    ") and has_schema_privilege(n.oid, 'USAGE') and "
                    "has_table_privilege(c.oid, 'SELECT') order by 1",
                    0, NULL, ret, reterr);
}

/* Only where there are some: of a table of others only its rows are seen. */
static wh_status forget(struct pg_se *se, struct wh_str table, const char *run,
                        struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {run};

    if (wh_buf_printf(&b, "select exists (select from %.*s where run = $1::text)",
                      WH_STR_FMT(table)) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 1, params, &r, reterr));
    if (!pg_cell_bool(r, 0, 0))
        return WH_OK;
    wh_buf_clear(&b);
    pg_rows_freep(&r);
    if (wh_buf_printf(&b, "delete from %.*s where run = $1::text", WH_STR_FMT(table)) != WH_OK)
        return no_memory(reterr);
    return pg_query(se->c, b.p, 1, params, &r, reterr);
}

wh_status pg_units_forget(struct pg_se *se, const char *run, struct wh_error *reterr)
{
    struct pg_rows *tables WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(pg_units_list(se, &tables, reterr));
    for (int i = 0; i < pg_n_rows(tables); i++) {
        struct wh_error err = {0};
        int st = forget(se, pg_cell(tables, i, 0), run, &err);

        WH_TRY(pg_of_many(se, st, &err, reterr));
    }
    return WH_OK;
}
