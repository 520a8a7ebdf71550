/* SPDX-License-Identifier: Apache-2.0 */
/* Statements: one or several in one packet, with and without parameters, and their rows. */
#include "net/pg_internal.h"

#include "core/clock.h"
#include "core/log.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/clock.h"

struct pg_rows {
    PGresult *r;
};

enum {
    PIECES = 8,
    COMMIT_TEXT = 16 << 10
};

/* ---- results of libpq --------------------------------------------------------------------------
 */

bool pg_usable(struct pg_conn *c, int *ret_status, struct wh_error *reterr)
{
    if (c->dead || !c->pg || atomic_load(&c->interrupted))
        *ret_status = pg_lost(c, reterr);
    else if (c->copying != PG_COPY_NONE)
        *ret_status = pg_misused(c, "a statement in the middle of a COPY", reterr);
    else
        return true;
    return false;
}

bool pg_is_error(const PGresult *r)
{
    switch (PQresultStatus(r)) {
    case PGRES_FATAL_ERROR:
    case PGRES_BAD_RESPONSE:
    case PGRES_NONFATAL_ERROR:
        return true;
    default:
        return false;
    }
}

int64_t pg_tag_rows(const PGresult *r)
{
    /* libpq asks for a result that it may change and changes nothing. */
    const char *tag = PQcmdTuples((PGresult *)(uintptr_t)r);

    return *tag ? strtoll(tag, NULL, 10) : 0;
}

int pg_flush_all(struct pg_conn *c, struct wh_error *reterr)
{
    int left;

    while ((left = PQflush(c->pg)) != 0) {
        if (left < 0)
            return pg_lost(c, reterr);
        WH_TRY(pg_wait(c, POLLIN | POLLOUT, reterr));
        if (!PQconsumeInput(c->pg))
            return pg_lost(c, reterr);
    }
    return WH_OK;
}

int pg_next(struct pg_conn *c, PGresult **ret, struct wh_error *reterr)
{
    bool alive = true;

    while (alive && PQisBusy(c->pg)) {
        int left = PQflush(c->pg);

        if (left < 0)
            break; /* what the server said before it went is still to be read */
        WH_TRY(pg_read_more(c, (short)(left ? POLLIN | POLLOUT : POLLIN), &alive, reterr));
    }
    /* Not alive: PQgetResult tells what there is, an error of the server or the loss. */
    *ret = PQgetResult(c->pg);
    return WH_OK;
}

static bool begins_copy(const PGresult *r)
{
    ExecStatusType s = PQresultStatus(r);

    return s == PGRES_COPY_IN || s == PGRES_COPY_OUT || s == PGRES_COPY_BOTH;
}

/* Reads all results; the last one that is no error is *ret (the caller clears it), the first error
 * is the answer. */
static int read_results(struct pg_conn *c, PGresult **ret, struct wh_error *reterr)
{
    int st = WH_OK;

    *ret = NULL;
    for (;;) {
        PGresult *r = NULL;
        int got = pg_next(c, &r, st == WH_OK ? reterr : NULL);

        if (got != WH_OK)
            return st == WH_OK ? got : st;
        if (!r)
            break;
        if (begins_copy(r)) {
            PQclear(r);
            return pg_misused(c, "COPY outside of pg_copy", reterr);
        }
        if (pg_is_error(r)) {
            if (st == WH_OK)
                st = pg_refused(c, r, reterr);
            else
                PQclear(r);
        } else {
            PQclear(*ret);
            *ret = r;
        }
    }
    c->running = false;
    if (st == WH_OK && PQstatus(c->pg) == CONNECTION_BAD)
        st = pg_lost(c, reterr);
    return st;
}

int pg_drain(struct pg_conn *c, int st, struct wh_error *reterr)
{
    PGresult *r = NULL;
    int got = read_results(c, &r, st == WH_OK ? reterr : NULL);

    PQclear(r);
    return st == WH_OK ? got : st;
}

/* ---- simple statements -------------------------------------------------------------------------
 */

static int run_simple(struct pg_conn *c, const char *sql, PGresult **ret, struct wh_error *reterr)
{
    int st;

    if (!pg_usable(c, &st, reterr))
        return st;
    c->running = true;
    if (!PQsendQuery(c->pg, sql))
        return pg_lost(c, reterr);
    return read_results(c, ret, reterr);
}

static int wrap(PGresult *r, int st, struct pg_rows **ret, struct wh_error *reterr)
{
    if (st != WH_OK) {
        PQclear(r);
        return st;
    }
    *ret = wh_calloc(1, sizeof **ret);
    if (!*ret) {
        PQclear(r);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "rows of a statement");
    }
    (*ret)->r = r;
    return WH_OK;
}

int pg_logged(const struct pg_conn *c, int64_t begun, const char *sql, int st,
              const struct wh_error *err)
{
    char who[160];

    if (!begun)
        return st;
    snprintf(who, sizeof who, "%.100s [%d]",
             c->ctx && c->ctx->connection ? c->ctx->connection : "?",
             c->pg ? PQbackendPID(c->pg) : 0);
    wh_log_statement(who, sql, wh_now_ns() - begun,
                     st == WH_OK              ? NULL
                     : err && err->message[0] ? err->message
                                              : wh_status_name(st));
    return st;
}

wh_status pg_exec(struct pg_conn *c, const char *sql, struct wh_error *reterr)
{
    int64_t begun = wh_log_statement_begins();
    PGresult *r = NULL;
    int st = run_simple(c, sql, &r, reterr);

    PQclear(r);
    return pg_logged(c, begun, sql, st, reterr);
}

/* One statement with parameters; `name`: it is prepared. */
static bool send_with(struct pg_conn *c, const char *name, const char *sql, int n,
                      const char *const *params)
{
    if (name)
        return PQsendQueryPrepared(c->pg, name, n, params, NULL, NULL, 0);
    return PQsendQueryParams(c->pg, sql, n, NULL, params, NULL, NULL, 0);
}

static int run_with(struct pg_conn *c, const char *sql, int n, const char *const *params,
                    PGresult **ret, struct wh_error *reterr)
{
    struct wh_error err = {0};
    const char *name = NULL;
    int st;

    if (!pg_usable(c, &st, reterr))
        return st;
    st = pg_prepared(c, sql, n, &name, &err);
    while (st == WH_OK) {
        c->running = true;
        if (!send_with(c, name, sql, n, params))
            return pg_lost(c, reterr);
        st = read_results(c, ret, &err);
        /* Outside of a transaction nothing is lost: once more, as text. */
        if (!name || !pg_prepared_gone(c, st, &err) || pg_transaction(c) != 'I')
            break;
        name = NULL;
        st = WH_OK;
    }
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

wh_status pg_query(struct pg_conn *c, const char *sql, int n, const char *const *params,
                   struct pg_rows **ret, struct wh_error *reterr)
{
    int64_t begun = wh_log_statement_begins();
    PGresult *r = NULL;
    int st = params ? run_with(c, sql, n, params, &r, reterr) : run_simple(c, sql, &r, reterr);

    pg_logged(c, begun, sql, st, reterr);
    return wrap(r, st, ret, reterr);
}

/* ---- several in one packet ---------------------------------------------------------------------
 */

struct piece {
    char *sql;        /* owned */
    const char *name; /* prepared under it, or NULL */
    int n;
    const char *const *params;
};

struct pipeline {
    struct piece v[PIECES];
    int n;
};

static void pipeline_free(struct pipeline *p)
{
    for (int i = 0; i < p->n; i++)
        wh_free(p->v[i].sql);
}

static int add_piece(struct pipeline *p, const char *sql, size_t len, int n,
                     const char *const *params, struct wh_error *reterr)
{
    if (p->n == PIECES)
        return wh_fail(reterr, WH_E_BUG, "E9003", "too many statements in one packet");
    p->v[p->n] = (struct piece){.sql = wh_strndup(sql, len), .n = n, .params = params};
    if (!p->v[p->n].sql)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "a statement");
    p->n++;
    return WH_OK;
}

/* Statements with parameters go one by one, so a text of several is cut at its semicolons. */
static int add_pieces(struct pipeline *p, const char *sql, struct wh_error *reterr)
{
    const char *from = sql;
    char quote = 0;

    for (const char *s = sql;; s++) {
        if (quote ? *s == quote : *s == '\'' || *s == '"') {
            quote = quote ? 0 : *s;
        } else if (!*s || (*s == ';' && !quote)) {
            if (strspn(from, " \n\t;") < (size_t)(s - from))
                WH_TRY(add_piece(p, from, (size_t)(s - from), 0, NULL, reterr));
            from = s + 1;
        }
        if (!*s)
            return WH_OK;
    }
}

static int send_pipeline(struct pg_conn *c, const struct pipeline *p, struct wh_error *reterr)
{
    if (!PQenterPipelineMode(c->pg))
        return pg_misused(c, "no pipeline here", reterr);
    c->running = true;
    for (int i = 0; i < p->n; i++)
        if (!send_with(c, p->v[i].name, p->v[i].sql, p->v[i].n, p->v[i].params))
            return pg_lost(c, reterr);
    if (!PQpipelineSync(c->pg))
        return pg_lost(c, reterr);
    return WH_OK;
}

/* results[i]: of statement i, NULL where it did not run; the first error is the answer. */
static int read_pipeline(struct pg_conn *c, int n, PGresult **results, struct wh_error *reterr)
{
    int st = WH_OK, at = 0;

    for (;;) {
        PGresult *r = NULL;
        int got = pg_next(c, &r, st == WH_OK ? reterr : NULL);

        if (got != WH_OK)
            return st == WH_OK ? got : st;
        if (r && PQresultStatus(r) == PGRES_PIPELINE_SYNC) {
            PQclear(r);
            break;
        }
        if (!r) { /* end of one statement; also what a lost connection answers for ever */
            if (PQstatus(c->pg) == CONNECTION_BAD)
                return st == WH_OK ? pg_lost(c, reterr) : st;
            at++;
        } else if (pg_is_error(r)) {
            if (st == WH_OK)
                st = pg_refused(c, r, reterr);
            else
                PQclear(r);
            if (c->dead)
                return st;
        } else if (at < n && PQresultStatus(r) != PGRES_PIPELINE_ABORTED) {
            PQclear(results[at]);
            results[at] = r;
        } else {
            PQclear(r);
        }
    }
    c->running = false;
    if (!PQexitPipelineMode(c->pg))
        return st == WH_OK ? pg_misused(c, "the pipeline does not end", reterr) : st;
    return st;
}

static int run_pipeline(struct pg_conn *c, struct pipeline *p, PGresult *results[PIECES],
                        struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st;

    if (!pg_usable(c, &st, reterr))
        return st;
    for (int i = 0; i < p->n; i++)
        WH_TRY(pg_prepared(c, p->v[i].sql, p->v[i].n, &p->v[i].name, reterr));
    WH_TRY(send_pipeline(c, p, reterr));
    st = read_pipeline(c, p->n, results, &err);
    pg_prepared_gone(c, st, &err); /* then the next try is text */
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

wh_status pg_query_after(struct pg_conn *c, const char *first, const char *sql, int n,
                         const char *const *params, struct pg_rows **ret, struct wh_error *reterr)
{
    struct pipeline p WH_CLEANUP(pipeline_free) = {.n = 0};
    PGresult *results[PIECES] = {NULL};
    int st;

    WH_TRY(add_pieces(&p, first, reterr));
    WH_TRY(add_piece(&p, sql, strlen(sql), n, params, reterr));
    int64_t begun = wh_log_statement_begins();

    st = run_pipeline(c, &p, results, reterr);
    if (begun && *first)
        pg_logged(c, begun, first, WH_OK, NULL);
    pg_logged(c, begun, sql, st, reterr);
    for (int i = 0; i < p.n - 1; i++)
        PQclear(results[i]);
    return wrap(results[p.n - 1], st, ret, reterr);
}

/* ---- commit ------------------------------------------------------------------------------------
 */

/* The count is judged at the server, before COMMIT, which is in the same packet: a division by zero
 * makes it skip the rest of the packet. */
static int with_guard(const char *sql, int64_t require, struct wh_buf *out, struct wh_error *reterr)
{
    if (wh_buf_printf(out,
                      "with wherry_touched as (%s returning 1) select 1 / "
                      "(count(*) = %lld)::int from wherry_touched",
                      sql, (long long)require) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "a statement");
    return WH_OK;
}

static int commit_outcome(struct pg_conn *c, int st, struct wh_error *reterr)
{
    if (st != WH_LOST && st != WH_E_IO && st != WH_E_CANCELLED)
        return st;
    c->dead = true;
    if (reterr) {
        reterr->status = WH_UNKNOWN;
        reterr->outcome_unknown = true;
        snprintf(reterr->code, sizeof reterr->code, "E5003");
    }
    return WH_UNKNOWN;
}

static int check_commit(struct pg_conn *c, const PGresult *commit, struct wh_error *reterr)
{
    const char *tag = commit ? PQcmdStatus((PGresult *)(uintptr_t)commit) : "";

    if (strcmp(tag, "COMMIT") == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5002",
                   "the server answered %s to COMMIT: the transaction had failed before",
                   *tag ? tag : "nothing");
}

wh_status pg_query_commit(struct pg_conn *c, const char *sql, int n, const char *const *params,
                          int64_t require, int64_t *ret_rows, struct wh_error *reterr)
{
    struct wh_buf guarded WH_CLEANUP(wh_buf_free) = WH_BUF(COMMIT_TEXT);
    struct pipeline p WH_CLEANUP(pipeline_free) = {.n = 0};
    PGresult *results[PIECES] = {NULL};
    struct wh_error err = {0};
    int st;

    if (!pg_usable(c, &st, reterr))
        return st;
    if (require >= 0) {
        WH_TRY(with_guard(sql, require, &guarded, reterr));
        sql = guarded.p;
    }
    WH_TRY(add_piece(&p, sql, strlen(sql), n, params, reterr));
    WH_TRY(add_piece(&p, "commit", 6, 0, NULL, reterr));
    int64_t begun = wh_log_statement_begins();

    c->committing = true;
    st = run_pipeline(c, &p, results, &err);
    c->committing = false;
    pg_logged(c, begun, sql, st, &err);
    pg_logged(c, begun, "commit", st, &err);
    /* Lost behind the answer is no loss. */
    if (st == WH_OK || (st == WH_LOST && results[1]))
        st = check_commit(c, results[1], &err);
    if (st == WH_OK && ret_rows)
        *ret_rows = require >= 0 ? require : pg_tag_rows(results[0]);
    if (require >= 0 && strcmp(err.sqlstate, "22012") == 0)
        st = wh_fail(&err, WH_FENCED, "E7010",
                     "the statement before COMMIT did not touch %lld row%s", (long long)require,
                     require == 1 ? "" : "s");
    c->until = 0;
    st = commit_outcome(c, st, &err);
    PQclear(results[0]);
    PQclear(results[1]);
    if (st != WH_OK && st != WH_UNKNOWN)
        pg_rollback(c);
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

/* Waits until the statement under way is over, throwing rows of a COPY away. */
static bool run_out(struct pg_conn *c)
{
    if (c->copying == PG_COPY_IN)
        wh_ignore(pg_copy_end(c, "given up", NULL, NULL));
    while (c->copying == PG_COPY_OUT) {
        struct wh_bytes row;

        if (pg_copy_get(c, &row, NULL) != WH_OK)
            break;
    }
    if (c->running && !c->dead)
        wh_ignore(pg_drain(c, WH_OK, NULL));
    return !c->dead && !c->running;
}

void pg_rollback(struct pg_conn *c)
{
    if (pg_dead(c))
        return;
    c->until = wh_now_ns() + (int64_t)PG_CLEANUP_MS * 1000000;
    if (c->running && c->copying != PG_COPY_IN)
        pg_cancel_running(c);
    if (run_out(c) && pg_transaction(c) != 'I' && pg_exec(c, "rollback", NULL) != WH_OK)
        c->dead = true;
    c->until = 0;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

int pg_n_rows(const struct pg_rows *rows)
{
    return rows->r ? PQntuples(rows->r) : 0;
}

int pg_n_columns(const struct pg_rows *rows)
{
    return rows->r ? PQnfields(rows->r) : 0;
}

struct wh_str pg_cell(const struct pg_rows *rows, int row, int column)
{
    if (PQgetisnull(rows->r, row, column))
        return (struct wh_str){NULL, 0};
    return (struct wh_str){PQgetvalue(rows->r, row, column),
                           (size_t)PQgetlength(rows->r, row, column)};
}

int64_t pg_cell_i64(const struct pg_rows *rows, int row, int column, int64_t otherwise)
{
    struct wh_str s = pg_cell(rows, row, column);
    char *end;
    long long v;

    if (!s.n)
        return otherwise;
    v = strtoll(s.s, &end, 10);
    return end == s.s + s.n ? v : otherwise;
}

bool pg_cell_bool(const struct pg_rows *rows, int row, int column)
{
    struct wh_str s = pg_cell(rows, row, column);

    return s.n > 0 && s.s[0] == 't';
}

int64_t pg_touched(const struct pg_rows *rows)
{
    return rows->r ? pg_tag_rows(rows->r) : 0;
}

uint32_t pg_column_type(const struct pg_rows *rows, int column, int32_t *ret_typmod)
{
    if (ret_typmod)
        *ret_typmod = PQfmod(rows->r, column);
    return PQftype(rows->r, column);
}

const char *pg_column_name(const struct pg_rows *rows, int column)
{
    return PQfname(rows->r, column);
}

void pg_rows_free(struct pg_rows *rows)
{
    if (!rows)
        return;
    PQclear(rows->r);
    wh_free(rows);
}

void pg_rows_freep(struct pg_rows **rows)
{
    pg_rows_free(TAKE_PTR(*rows));
}
