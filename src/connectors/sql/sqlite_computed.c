/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that SQLite computes: `((expression)) as "name"` behind those of the table or query. A
 * sample decides their types, as where no type is declared. */
#include <stdio.h>

#include "sqlite_scan.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
}

/* ---- one value of each row ---------------------------------------------------------------------
 */

/* "nosuch" is no text here, as it is to SQLite where it knows no such column. */
static int prepare_strictly(struct lite_se *se, const char *sql, sqlite3_stmt **ret,
                            struct wh_error *reterr)
{
    int was = 1, st;

    sqlite3_db_config(se->db, SQLITE_DBCONFIG_DQS_DML, -1, &was);
    sqlite3_db_config(se->db, SQLITE_DBCONFIG_DQS_DML, 0, NULL);
    st = lite_prepare(se, sql, ret, reterr);
    sqlite3_db_config(se->db, SQLITE_DBCONFIG_DQS_DML, was, NULL);
    return st;
}

static wh_status compiles(struct lite_se *se, const struct wh_buf *sql, const struct wh_computed *c,
                          struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    const char *said;

    if (prepare_strictly(se, sql->p, &s, reterr) == WH_OK) {
        if (sqlite3_bind_parameter_count(s) == 0)
            return WH_OK;
        wh_ignore(wh_fail(reterr, WH_E_USAGE, "E4009",
                          "source_expr of '%s': there are no parameters", c->name));
        return WH_E_USAGE;
    }
    if (sqlite3_errcode(se->db) != SQLITE_ERROR && sqlite3_errcode(se->db) != SQLITE_OK)
        return reterr ? reterr->status : WH_E_REMOTE; /* busy, no memory: not the text's fault */
    said = sqlite3_errcode(se->db) == SQLITE_ERROR ? sqlite3_errmsg(se->db)
                                                   : "it is not one expression";
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E4009", "source_expr of '%s': %s", c->name, said));
    wh_error_hint(reterr, "it is one value of each row, in SQLite's SQL; a whole SELECT goes into "
                          "'query:'");
    return WH_E_USAGE;
}

static wh_status probe(const struct lite_sc *sc, struct lite_se *se, const struct wh_computed *c,
                       struct wh_error *reterr)
{
    struct wh_buf closed WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_buf whole WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (wh_buf_printf(&closed, SQL_COMPUTED_CLOSED, sc->from, c->sql) != WH_OK ||
        wh_buf_printf(&whole, SQL_COMPUTED_PROBE, sc->from, c->sql, c->sql) != WH_OK)
        return no_memory(reterr);
    WH_TRY(compiles(se, &closed, c, reterr));
    return compiles(se, &whole, c, reterr);
}

/* ---- can the value be had again? ---------------------------------------------------------------
 */

/* They read the clock where an argument says 'now', or none is given; SQLite calls them
 * deterministic. */
static const char *const clocks[] = {"date",     "time",      "datetime", "julianday",
                                     "strftime", "unixepoch", "timediff", NULL};

static wh_status call_varies(struct lite_se *se, struct wh_str name, bool *ret,
                             struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    for (size_t i = 0; clocks[i]; i++)
        *ret |= wh_str_eqs(name, clocks[i]);
    if (*ret)
        return WH_OK;
    WH_TRY(lite_prepare(se,
                        "select count(*) from pragma_function_list where name = ?1 and "
                        "flags & 2048 = 0", /* SQLITE_DETERMINISTIC */
                        &s, reterr));
    lite_bind_str(s, 1, name);
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot list the functions");
    *ret = sqlite3_column_int(s, 0) != 0;
    return WH_OK;
}

static wh_status varies(struct lite_se *se, const char *sql, bool *ret, struct wh_error *reterr)
{
    struct wh_buf calls WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (sql_computed_calls(sql, &calls, ret) != WH_OK)
        return no_memory(reterr);
    for (const char *p = calls.p; p && *p && !*ret;) {
        size_t n = strcspn(p, ",");

        WH_TRY(call_varies(se, (struct wh_str){p, n}, ret, reterr));
        p += n + (p[n] == ',');
    }
    return WH_OK;
}

/* ---- behind the others -------------------------------------------------------------------------
 */

/* Of a plain column the declared type is known. */
static wh_status declared(const struct lite_sc *sc, struct lite_se *se, struct lite_col *c,
                          struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    const char *decl;

    if (wh_buf_printf(&sql, "select %s from %s", c->expr, sc->from) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_prepare(se, sql.p, &s, reterr));
    if (sqlite3_column_count(s) != 1)
        return wh_fail(reterr, WH_E_USAGE, "E4009", "source_expr of '%s' is %d columns", c->name,
                       sqlite3_column_count(s));
    decl = sqlite3_column_decltype(s, 0);
    c->decl = wh_arena_strdup(sc->t.arena, decl ? decl : "");
    if (!c->decl)
        return no_memory(reterr);
    c->affinity = lite_affinity_of(c->decl);
    c->promise = lite_type_of(c->decl, &c->type);
    c->type.nullable = true;
    return WH_OK;
}

static wh_status add(struct lite_sc *sc, struct lite_se *se, const struct wh_computed *asked,
                     struct wh_error *reterr)
{
    int at = sc->t.n_cols + sc->n_computed;
    struct lite_col *c = &sc->t.cols[at];

    WH_TRY(probe(sc, se, asked, reterr));
    c->expr = wh_arena_printf(sc->t.arena, SQL_COMPUTED, asked->sql);
    c->name = sql_computed_name(sc->t.arena, SQL_NAMES(sc->t.cols, sc->t.n_cols), asked->name);
    if (!c->expr || !c->name)
        return no_memory(reterr);
    WH_TRY(declared(sc, se, c, reterr));
    WH_TRY(varies(se, asked->sql, &c->varies, reterr));
    sc->sel[sc->n_sel++] = at;
    sc->n_computed++;
    return WH_OK;
}

wh_status lite_computed(struct lite_sc *sc, struct lite_se *se, struct wh_scan *io,
                        struct wh_error *reterr)
{
    size_t n = io->n_computed, cols = (size_t)sc->t.n_cols, sel = (size_t)sc->n_sel;
    struct lite_col *more;
    int *chosen;

    if (n == 0)
        return WH_OK;
    more = wh_arena_alloc(sc->t.arena, (cols + n) * sizeof *more);
    chosen = wh_arena_alloc(sc->t.arena, (sel + n + 1) * sizeof *chosen);
    if (!more || !chosen)
        return no_memory(reterr);
    memcpy(more, sc->t.cols, cols * sizeof *more);
    memcpy(chosen, sc->sel, sel * sizeof *chosen);
    sc->t.cols = more;
    sc->sel = chosen;
    for (size_t i = 0; i < n; i++) {
        io->computed_bad = i + 1;
        WH_TRY(add(sc, se, &io->computed[i], reterr));
    }
    io->computed_bad = 0;
    return WH_OK;
}

wh_status lite_selected(const struct lite_col *c, struct wh_buf *sql)
{
    struct wh_str name = wh_str(c->name);

    return c->expr ? sql_add(sql, "%s as %i", c->expr, &name) : sql_ident(sql, name);
}
