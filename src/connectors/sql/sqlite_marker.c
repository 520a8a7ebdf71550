/* SPDX-License-Identifier: Apache-2.0 */
/* Markers: what makes a unit's commit findable (CONTRACT 4).
 *
 * BEGIN IMMEDIATE has taken the only write lock, so the run row that the marker's insert looks at
 * cannot change before COMMIT: no row locks are needed. */
#include "sqlite_target.h"

static void bind_key(sqlite3_stmt *s, const struct wh_fence *f, int64_t unit)
{
    lite_bind_str(s, 1, f->run);
    sqlite3_bind_int64(s, 2, f->flow);
    sqlite3_bind_int64(s, 3, f->generation);
    sqlite3_bind_int64(s, 4, unit);
}

static void bind_blob(sqlite3_stmt *s, int at, struct wh_bytes b)
{
    if (b.n)
        sqlite3_bind_blob64(s, at, b.p, b.n, SQLITE_STATIC);
}

static bool have_tables(struct lite_se *se, const char *units)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(units);
    struct wh_error ignored;
    int64_t n = 0;

    if (sql_add(&b,
                "select count(*) from sqlite_schema where type = 'table' and (name in "
                "('wherry_run', 'wherry_target') or name = %l collate nocase)",
                &table) != WH_OK ||
        lite_number(se, b.p, 0, &n, &ignored) != WH_OK)
        return true; /* the statement that follows says why */
    return n == 3;
}

/* A statement about the markers: %i is their table. */
static wh_status prepare(struct lite_se *se, const char *fmt, const char *units, sqlite3_stmt **ret,
                         struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(units);

    if (sql_add(&b, fmt, &table) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a marker");
    return lite_prepare(se, b.p, ret, reterr);
}

wh_status lite_marker_open(struct lite_se *se, const char *units, const struct wh_fence *f,
                           int64_t unit, int32_t attempt, struct wh_bytes seed,
                           struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    if (!have_tables(se, units))
        return wh_fail(reterr, WH_E_STATE, "E7009",
                       "%s has lost this run's tables (wherry_run ...)", se->ep->path);
    WH_TRY(prepare(se,
                   "insert into %i(run, flow, generation, unit, attempt, epoch, seed) "
                   "select run, ?2, ?3, ?4, ?5, epoch, ?7 from wherry_run "
                   "where run = ?1 and state = 'open' and epoch = ?6",
                   units, &s, reterr));
    bind_key(s, f, unit);
    sqlite3_bind_int(s, 5, attempt);
    sqlite3_bind_int64(s, 6, f->epoch);
    bind_blob(s, 7, seed);
    rc = sqlite3_step(s);
    if ((rc & 0xff) == SQLITE_CONSTRAINT)
        return wh_fail(reterr, WH_TWIN, "E7016", "unit %lld was committed before", (long long)unit);
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot write a marker");
    if (sqlite3_changes(se->db) != 1)
        return wh_fail(reterr, WH_FENCED, "E7010",
                       "run %.*s is closed here or owned by another process (we are epoch %u)",
                       WH_STR_FMT(f->run), f->epoch);
    return WH_OK;
}

wh_status lite_marker_fill(struct lite_se *se, const char *units, const struct wh_fence *f,
                           int64_t unit, const struct wh_marker *m, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(prepare(se,
                   "update %i set rows = ?5, bytes = ?6, dirty = ?7, filtered = ?8, "
                   "skipped = ?9, hash = ?10, rest = ?11, ends = ?12 "
                   "where run = ?1 and flow = ?2 and generation = ?3 and unit = ?4",
                   units, &s, reterr));
    bind_key(s, f, unit);
    sqlite3_bind_int64(s, 5, m->rows);
    sqlite3_bind_int64(s, 6, m->bytes);
    sqlite3_bind_int64(s, 7, m->dirty);
    sqlite3_bind_int64(s, 8, m->filtered);
    sqlite3_bind_int64(s, 9, m->skipped);
    bind_blob(s, 10, (struct wh_bytes){m->hash, sizeof m->hash});
    bind_blob(s, 11, m->rest);
    bind_blob(s, 12, m->end);
    rc = sqlite3_step(s);
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot fill the marker");
    if (sqlite3_changes(se->db) != 1)
        return wh_fail(reterr, WH_E_BUG, "E9003", "the marker of unit %lld is not there",
                       (long long)unit);
    return WH_OK;
}

/* What can be known after a COMMIT that said no: while the transaction is still open it has not
 * been committed; if SQLite ended it by itself, a full disk or an interrupt mean it was rolled
 * back, and only an I/O error leaves it open (the journal's deletion is the commit). */
wh_status lite_commit(struct lite_se *se, struct wh_error *reterr)
{
    int rc, st;

    lite_patience(se);
    rc = lite_made_to_fail("commit");
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(se->db, "commit", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        return WH_OK;
    if (sqlite3_get_autocommit(se->db) && (rc & 0xff) == SQLITE_IOERR) {
        wh_ignore(lite_fail(se, rc, reterr, WH_E_IO, "E5003", "the commit's outcome is not known"));
        if (reterr) {
            reterr->status = WH_UNKNOWN;
            reterr->outcome_unknown = true;
        }
        return WH_UNKNOWN;
    }
    st = lite_fail(se, rc, reterr, WH_E_REMOTE, "E5002", "commit refused");
    lite_rollback(se);
    return st;
}

/* The engine's own bytes, kept until the next lookup. Room was reserved: they do not move. */
static struct wh_bytes blob_at(sqlite3_stmt *s, int at, struct wh_buf *keep)
{
    size_t n = (size_t)sqlite3_column_bytes(s, at), before = keep->n;

    if (n == 0)
        return (struct wh_bytes){0};
    wh_ignore(wh_buf_add(keep, sqlite3_column_blob(s, at), n));
    return (struct wh_bytes){keep->p + before, n};
}

wh_status lite_lookup(void *self, void *session, const struct wh_unit *u, struct wh_fate *ret,
                      struct wh_error *reterr)
{
    struct lite_fl *fl = self;
    struct lite_se *se = session;
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_fence f = {.run = fl->fence.run, .flow = u->flow, .generation = u->generation};
    struct wh_marker *m = &ret->marker;
    int rc;

    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    if (!fl->fence.run.n && !fl->marker_off)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a marker is looked up without a run");
    if (!se->db || !have_tables(se, fl->units))
        return WH_OK;
    WH_TRY(prepare(se,
                   "select attempt, rows, bytes, dirty, filtered, skipped, hash, rest, ends "
                   "from %i where run = ?1 and flow = ?2 and generation = ?3 and "
                   "unit = ?4",
                   fl->units, &s, reterr));
    bind_key(s, &f, u->id);
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return WH_OK;
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read a marker");
    ret->kind = WH_FATE_COMMITTED;
    ret->attempt = sqlite3_column_int(s, 0);
    m->rows = sqlite3_column_int64(s, 1);
    m->bytes = sqlite3_column_int64(s, 2);
    m->dirty = sqlite3_column_int64(s, 3);
    m->filtered = sqlite3_column_int64(s, 4);
    m->skipped = sqlite3_column_int64(s, 5);
    if (sqlite3_column_bytes(s, 6) == sizeof m->hash)
        memcpy(m->hash, sqlite3_column_blob(s, 6), sizeof m->hash);
    wh_buf_clear(&fl->receipt);
    if (wh_buf_reserve(&fl->receipt, (size_t)sqlite3_column_bytes(s, 7) +
                                         (size_t)sqlite3_column_bytes(s, 8)) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a marker");
    m->rest = blob_at(s, 7, &fl->receipt);
    m->end = blob_at(s, 8, &fl->receipt);
    return WH_OK;
}

static wh_status has_marker(struct lite_se *se, sqlite3_stmt *s, const struct wh_fence *f,
                            int64_t unit, bool *ret, struct wh_error *reterr)
{
    int rc;

    sqlite3_reset(s);
    bind_key(s, f, unit);
    rc = sqlite3_step(s);
    *ret = rc == SQLITE_ROW;
    sqlite3_reset(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read a marker");
    return WH_OK;
}

/* What the units wrote into still holds rows; a published stage is gone, its step's marker is not.
 */
static wh_status still_there(struct lite_fl *fl, struct lite_se *se, sqlite3_stmt *marker,
                             const struct wh_fence *fence, int64_t rows, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_step publish = {.phase = WH_PUBLISH, .id = 1};
    struct wh_str where = wh_str(fl->staged ? fl->stage : fl->table);
    int64_t some = 0, wanted = rows;
    bool published = false;
    int st;

    if (fl->staged)
        WH_TRY(has_marker(se, marker, fence, sql_step_unit(&publish), &published, reterr));
    if (published || rows == 0)
        return WH_OK;
    /* Appended rows can only be joined by others: fewer than ours means that ours are gone. Where
     * keys meet, rows of ours may be one, so any row will do. */
    if (fl->mode != WH_MODE_APPEND && !fl->staged)
        wanted = 1;
    if (sql_add(&sql, "select count(*) from (select 1 from %i limit ", &where) != WH_OK ||
        wh_buf_printf(&sql, "%lld)", (long long)wanted) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    st = lite_number(se, sql.p, 0, &some, reterr);
    if (st == WH_E_REMOTE || (st == WH_OK && some < wanted))
        return wh_fail(reterr, WH_E_STATE, "E7009",
                       "table \"%.*s\" no longer holds the %lld rows that this run has committed",
                       WH_STR_FMT(where), (long long)rows);
    return st;
}

/* Every recorded unit has its marker, and its rows' table is there. */
wh_status lite_verify(void *self, void *session, struct wh_receipts *committed,
                      const struct wh_fence *fence, struct wh_error *reterr)
{
    struct lite_fl *fl = self;
    struct lite_se *se = session;
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_receipt r;
    int64_t rows = 0;
    bool there;
    int st;

    if (committed->n == 0 || fl->marker_off)
        return WH_OK;
    if (!se->db || !have_tables(se, fl->units))
        return wh_fail(reterr, WH_E_STATE, "E7009", "%s has lost this run's markers", se->ep->path);
    WH_TRY(prepare(se,
                   "select 1 from %i where run = ?1 and flow = ?2 and generation = ?3 "
                   "and unit = ?4",
                   fl->units, &s, reterr));
    committed->rewind(committed);
    while ((st = committed->next(committed, &r)) == WH_OK) {
        WH_TRY(has_marker(se, s, fence, r.unit, &there, reterr));
        if (!there)
            return wh_fail(reterr, WH_E_STATE, "E7009", "the marker of unit %lld is gone from %s",
                           (long long)r.unit, se->ep->path);
        rows += r.rows;
    }
    if (st != WH_END)
        return st;
    return still_there(fl, se, s, fence, rows, reterr);
}
