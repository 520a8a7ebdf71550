/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that the server computes: `((expression))` behind those of the table or query. Names in
 * them are found where the user's own sessions find them, as in `where`. */
#include "pg_scan.h"

#include <stdio.h>

enum {
    RECORD = 2249 /* the type of (a, b) */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
}

/* ---- one value of each row ---------------------------------------------------------------------
 */

/* A server's refusal of the text is the job's mistake; a lost connection is not. */
static wh_status refused(const struct wh_error *why, int st, const struct wh_computed *c,
                         struct wh_error *reterr)
{
    if (st != WH_E_REMOTE && st != WH_E_NOT_FOUND && st != WH_E_USAGE && st != WH_E_DATA) {
        if (reterr)
            *reterr = *why;
        return st;
    }
    wh_ignore(
        wh_fail(reterr, WH_E_USAGE, "E4009", "source_expr of '%s': %s", c->name, why->message));
    wh_error_hint(reterr, "it is one value of each row, in the server's SQL; a whole SELECT goes "
                          "into 'query:'");
    return WH_E_USAGE;
}

static wh_status compiles(struct pg_se *se, const struct wh_buf *sql, const struct wh_computed *c,
                          struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_error why = {0};
    /* By the extended protocol, which takes one statement and no more. */
    int st = pg_query_after(se->c, "set search_path to default", sql->p, 0, NULL, &r, &why);

    if (st == WH_OK)
        st = pg_exec(se->c, "set search_path to ''", &why);
    return st == WH_OK ? WH_OK : refused(&why, st, c, reterr);
}

static wh_status probe(const struct pg_sc *sc, struct pg_se *se, const struct wh_computed *c,
                       struct wh_error *reterr)
{
    struct wh_buf closed WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_buf whole WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (wh_buf_printf(&closed, "explain " SQL_COMPUTED_CLOSED, sc->from, c->sql) != WH_OK ||
        wh_buf_printf(&whole, "explain " SQL_COMPUTED_PROBE, sc->from, c->sql, c->sql) != WH_OK)
        return no_memory(reterr);
    WH_TRY(compiles(se, &closed, c, reterr));
    return compiles(se, &whole, c, reterr);
}

static wh_status describe(const struct pg_sc *sc, struct pg_se *se, const char *const *exprs, int n,
                          struct pg_table *ret, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int st = wh_buf_adds(&sql, "select ");

    for (int i = 0; i < n && st == WH_OK; i++)
        st = wh_buf_printf(&sql, "%s%s as c%d", i ? ", " : "", exprs[i], i);
    if (st == WH_OK)
        st = wh_buf_printf(&sql, " from %s", sc->from);
    if (st != WH_OK)
        return no_memory(reterr);
    return pg_describe_query(se, sql.p, ret, reterr);
}

/* Several columns of one expression: t.* */
static wh_status too_many(const struct pg_sc *sc, struct pg_se *se, const char *const *exprs,
                          struct wh_scan *io, struct wh_error *reterr)
{
    for (size_t i = 0; i < io->n_computed; i++) {
        struct pg_table one WH_CLEANUP(pg_table_free) = {0};

        io->computed_bad = i + 1;
        WH_TRY(describe(sc, se, &exprs[i], 1, &one, reterr));
        if (one.n_cols != 1)
            return wh_fail(reterr, WH_E_USAGE, "E4009",
                           "source_expr of '%s' is %d columns, not one", io->computed[i].name,
                           one.n_cols);
    }
    io->computed_bad = 0;
    return wh_fail(reterr, WH_E_USAGE, "E4009", "source_expr: not one column for each expression");
}

/* ---- can the value be had again? ---------------------------------------------------------------
 */

/* Stable functions of the system that go by their arguments and by settings that every session of
 * ours has alike (TimeZone, DateStyle); the other ones may read the clock or other rows. */
#define BY_SETTINGS                                                                                \
    "'{to_char,to_date,to_timestamp,to_number,concat,concat_ws,format,date_trunc,date_part,"       \
    "extract,timezone,make_timestamptz,date,numeric,money,time,timetz,timestamp,timestamptz,to_"   \
    "json,to_jsonb,"                                                                               \
    "row_to_json,array_to_json,json_build_object,json_build_array,jsonb_build_object,"             \
    "jsonb_build_array,array_to_string,quote_literal,quote_nullable}'"

static wh_status varies(struct pg_se *se, const char *sql, bool *ret, struct wh_error *reterr)
{
    struct wh_buf calls WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[1];

    if (sql_computed_calls(sql, &calls, ret) != WH_OK)
        return no_memory(reterr);
    if (*ret || calls.n == 0)
        return WH_OK;
    params[0] = calls.p;
    WH_TRY(pg_query(se->c,
                    "select count(*) from pg_catalog.pg_proc p where p.proname = any "
                    "(pg_catalog.string_to_array($1, ',')) and p.provolatile <> 'i' and not "
                    "(p.provolatile = 's' and p.pronamespace = 'pg_catalog'::regnamespace and "
                    "p.proname = any (" BY_SETTINGS "::pg_catalog.text[]))",
                    1, params, &r, reterr));
    *ret = pg_cell_i64(r, 0, 0, 1) != 0;
    return WH_OK;
}

/* ---- behind the others -------------------------------------------------------------------------
 */

static wh_status add(struct pg_sc *sc, struct pg_se *se, const struct wh_computed *c,
                     const struct pg_col *is, const char *expr, struct wh_error *reterr)
{
    struct pg_col *col = &sc->cols[sc->n_cols];

    if (is->oid == RECORD)
        return wh_fail(reterr, WH_E_USAGE, "E4009",
                       "source_expr of '%s' is several values, not one", c->name);
    *col = *is;
    col->expr = expr;
    col->name = sql_computed_name(sc->t.arena, SQL_NAMES(sc->t.cols, sc->t.n_cols), c->name);
    if (!col->name)
        return no_memory(reterr);
    WH_TRY(varies(se, c->sql, &col->varies, reterr));
    sc->n_cols++;
    return WH_OK;
}

static wh_status room(struct pg_sc *sc, size_t n, const char ***ret_exprs, struct wh_error *reterr)
{
    struct pg_col *cols = wh_arena_alloc(sc->t.arena, ((size_t)sc->n_cols + n) * sizeof *cols);

    *ret_exprs = wh_arena_alloc(sc->t.arena, n * sizeof **ret_exprs);
    if (!cols || !*ret_exprs)
        return no_memory(reterr);
    memcpy(cols, sc->cols, (size_t)sc->n_cols * sizeof *cols);
    sc->cols = cols;
    return WH_OK;
}

wh_status pg_computed(struct pg_sc *sc, struct pg_se *se, struct wh_scan *io,
                      struct wh_error *reterr)
{
    const char **exprs;
    int n = (int)io->n_computed;

    if (n == 0)
        return WH_OK;
    WH_TRY(room(sc, io->n_computed, &exprs, reterr));
    for (int i = 0; i < n; i++) {
        io->computed_bad = (size_t)i + 1;
        WH_TRY(probe(sc, se, &io->computed[i], reterr));
        exprs[i] = wh_arena_printf(sc->t.arena, SQL_COMPUTED, io->computed[i].sql);
        if (!exprs[i])
            return no_memory(reterr);
    }
    io->computed_bad = 0;
    WH_TRY(describe(sc, se, exprs, n, &sc->computed, reterr));
    if (sc->computed.n_cols != n)
        return too_many(sc, se, exprs, io, reterr);
    for (int i = 0; i < n; i++) {
        io->computed_bad = (size_t)i + 1;
        WH_TRY(add(sc, se, &io->computed[i], &sc->computed.cols[i], exprs[i], reterr));
    }
    io->computed_bad = 0;
    return WH_OK;
}

wh_status pg_computed_same(const struct pg_sc *sc, struct pg_se *se, struct wh_error *reterr)
{
    struct pg_table now WH_CLEANUP(pg_table_free) = {0};
    const char **exprs WH_CLEANUP(wh_freep) = NULL;
    int n = sc->computed.n_cols, first = sc->n_cols - n;

    if (n == 0)
        return WH_OK;
    exprs = wh_calloc((size_t)n, sizeof *exprs);
    if (!exprs)
        return no_memory(reterr);
    for (int i = 0; i < n; i++)
        exprs[i] = sc->cols[first + i].expr;
    WH_TRY(describe(sc, se, exprs, n, &now, reterr));
    if (now.n_cols != n)
        return wh_fail(reterr, WH_E_TYPE, "E3006",
                       "what the server computes has other columns now");
    for (int i = 0; i < n; i++)
        if (now.cols[i].oid != sc->cols[first + i].oid ||
            now.cols[i].typmod != sc->cols[first + i].typmod)
            return wh_fail(
                reterr, WH_E_TYPE, "E3006",
                "what the server computes for \"%s\" was of type %s and is of type %s now",
                sc->cols[first + i].name, sc->cols[first + i].type_text, now.cols[i].type_text);
    return WH_OK;
}
