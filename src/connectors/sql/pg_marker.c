/* SPDX-License-Identifier: Apache-2.0 */
/* Markers: what makes a unit's commit findable (CONTRACT 4).
 *
 * The first statement of every transaction locks the run's row for share and inserts the marker, in
 * one packet with BEGIN; the last one fills the marker in, in one packet with COMMIT. Nothing is
 * locked before the run's row. READ COMMITTED is set: a waiter then sees what the one it waited for
 * has done, instead of a serialization failure.
 *
 * The lock timeout is short while the marker is waited for (the session's own, PG_LOCK_MS) and
 * becomes the connection's by the statement itself, once the marker is in. */
#include "pg_target.h"

enum {
    NUMBER = 24,
    VERIFY_PAGE = 1000,
    VERIFY_ROWS = 100000, /* as many rows are looked for at most */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a marker");
}

/* ---- bytes as parameters -----------------------------------------------------------------------
 */

wh_status pg_hex_add(struct wh_buf *b, struct wh_bytes v)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *p = v.p;

    WH_TRY(wh_buf_reserve(b, v.n * 2 + 2));
    WH_TRY(wh_buf_adds(b, "\\x"));
    for (size_t i = 0; i < v.n; i++) {
        b->p[b->n++] = digits[p[i] >> 4];
        b->p[b->n++] = digits[p[i] & 15];
    }
    b->p[b->n] = 0;
    return WH_OK;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 0;
}

wh_status pg_hex_read(struct wh_str hex, struct wh_buf *b)
{
    WH_TRY(wh_buf_reserve(b, hex.n / 2));
    for (size_t i = 0; i + 1 < hex.n; i += 2)
        b->p[b->n++] = (char)(digit(hex.s[i]) << 4 | digit(hex.s[i + 1]));
    if (b->p)
        b->p[b->n] = 0;
    return WH_OK;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

/* (run, flow, generation, unit) as $1..$4 */
struct key_text {
    char flow[NUMBER], generation[NUMBER], unit[NUMBER];
    char *run; /* terminated */
};

static wh_status key_of(const struct wh_fence *f, int64_t unit, struct key_text *k)
{
    k->run = wh_strndup(f->run.s ? f->run.s : "", f->run.n);
    snprintf(k->flow, sizeof k->flow, "%u", f->flow);
    snprintf(k->generation, sizeof k->generation, "%u", f->generation);
    snprintf(k->unit, sizeof k->unit, "%lld", (long long)unit);
    return k->run ? WH_OK : WH_E_NOMEM;
}

wh_status pg_brisk(struct pg_se *se, struct wh_error *reterr)
{
    int64_t ms = se->ep->o->lock_timeout;
    char sql[64];

    if (se->brisk)
        return WH_OK;
    snprintf(sql, sizeof sql, "set lock_timeout = %d",
             ms > 0 && ms < PG_LOCK_MS ? (int)ms : PG_LOCK_MS);
    WH_TRY(pg_exec(se->c, sql, reterr));
    se->brisk = true;
    return WH_OK;
}

/* Whose 23505 it is, is told by the constraint alone. */
static bool is_twin(const struct pg_se *se, const struct wh_error *err, const struct pg_mark *m)
{
    return strcmp(err->sqlstate, "23505") == 0 && wh_str_eqs(pg_said(se->c, 't'), m->units_table) &&
           wh_str_eqs(pg_said(se->c, 's'), m->units_schema);
}

static wh_status mark_failed(struct pg_se *se, const struct pg_mark *m, int st,
                             struct wh_error *err)
{
    if (is_twin(se, err, m))
        return wh_fail(err, WH_TWIN, "E7016", "unit %lld was committed before", (long long)m->unit);
    if (strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "3F000") == 0)
        return wh_fail(err, WH_E_STATE, "E7009",
                       "schema \"%s\" has lost this run's tables (wherry_run ...)", m->schema);
    if (st == WH_BLOCKED) {
        wh_ignore(wh_fail(err, WH_BLOCKED, "E5010",
                          "the row of run %.*s or a marker of it is locked by another session",
                          WH_STR_FMT(m->fence.run)));
        wh_error_hint(err, "that session ends by itself, or by pg_terminate_backend(pid)");
    }
    return st;
}

static wh_status mark(struct pg_se *se, const struct pg_mark *m, const char *sql,
                      struct wh_error *err)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_buf seed WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    char *run WH_CLEANUP(wh_freep) = NULL;
    char attempt[NUMBER], epoch[NUMBER], lock[NUMBER];
    const char *path = m->path ? m->path : "";
    struct key_text k = {0};
    int st = key_of(&m->fence, m->unit, &k);

    run = k.run;
    if (st == WH_OK && m->seed.n)
        st = pg_hex_add(&seed, m->seed);
    if (st != WH_OK)
        return no_memory(err);
    snprintf(attempt, sizeof attempt, "%d", m->attempt);
    snprintf(epoch, sizeof epoch, "%u", m->fence.epoch);
    snprintf(lock, sizeof lock, "%lld", (long long)m->lock_ms);
    const char *params[] = {k.run, k.flow, k.generation, k.unit, attempt,
                            epoch, seed.p, lock,         path};

    st = pg_query_after(se->c, "begin isolation level read committed read write", sql, 9, params,
                        &r, err);
    if (st != WH_OK)
        return mark_failed(se, m, st, err);
    if (pg_n_rows(r) != 1)
        return wh_fail(err, WH_FENCED, "E7010",
                       "run %.*s is closed here or owned by another process (we are epoch %u)",
                       WH_STR_FMT(m->fence.run), m->fence.epoch);
    return WH_OK;
}

wh_status pg_mark_open(struct pg_se *se, const struct pg_mark *m, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_watch *watch = NULL;
    struct wh_error err = {0};
    int st;

    WH_TRY(pg_brisk(se, reterr));
    struct wh_str schema = wh_str(m->schema);

    if (sql_add(&sql,
                "insert into %s(run, flow, generation, unit, attempt, epoch, seed) "
                "select $1::text, $2::bigint, $3::bigint, $4::bigint, $5::int, $6::bigint, "
                "$7::bytea from (select 1 from %i.wherry_run where run = $1::text and "
                "state = 'open' and epoch = $6::bigint for share) r "
                "returning set_config('lock_timeout', $8::text, true), "
                "set_config('search_path', $9::text, true)",
                m->units, &schema) != WH_OK)
        return no_memory(reterr);
    if (se->blocked) /* the time before it had to wait as well: now who it is for is asked */
        watch = pg_watch_begin(se);
    st = mark(se, m, sql.p, &err);
    se->blocked = st == WH_BLOCKED;
    pg_watch_end(watch, st == WH_BLOCKED ? &err : NULL);
    if (st != WH_OK) {
        if (reterr)
            *reterr = err;
        pg_rollback(se->c);
    }
    return st;
}

wh_status pg_mark_none(struct pg_se *se, const struct pg_mark *m, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char lock[NUMBER];
    const char *params[] = {lock, m->path ? m->path : ""};

    snprintf(lock, sizeof lock, "%lld", (long long)m->lock_ms);
    return pg_query_after(se->c, "begin isolation level read committed read write",
                          "select set_config('lock_timeout', $1::text, true), "
                          "set_config('search_path', $2::text, true)",
                          2, params, &r, reterr);
}

wh_status pg_mute_triggers(struct pg_se *se, const struct pg_to *o, struct wh_error *reterr)
{
    int st;

    if (o->triggers)
        return WH_OK;
    st = pg_exec(se->c, "set local session_replication_role = replica", reterr);
    if (st == WH_E_AUTH && reterr)
        wh_error_hint(reterr, "triggers=false needs a superuser, or: grant set on parameter "
                              "session_replication_role to this role");
    return st;
}

/* ---- committing --------------------------------------------------------------------------------
 */

static wh_status fill(struct pg_se *se, const struct pg_mark *k, const struct wh_marker *m,
                      const char *sql, struct wh_error *reterr)
{
    struct wh_buf hash WH_CLEANUP(wh_buf_free) = WH_BUF(256),
                       rest WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20),
                       end WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    char *run WH_CLEANUP(wh_freep) = NULL;
    const int64_t numbers[] = {m->rows, m->bytes, m->dirty, m->filtered, m->skipped};
    const char *params[12];
    char text[5][NUMBER];
    struct key_text key = {0};
    int64_t touched = 0;
    int st = key_of(&k->fence, k->unit, &key);

    run = key.run;
    if (st == WH_OK)
        st = pg_hex_add(&hash, (struct wh_bytes){m->hash, sizeof m->hash});
    if (st == WH_OK && m->rest.n)
        st = pg_hex_add(&rest, m->rest);
    if (st == WH_OK && m->end.n)
        st = pg_hex_add(&end, m->end);
    if (st != WH_OK)
        return no_memory(reterr);
    params[0] = key.run;
    params[1] = key.flow;
    params[2] = key.generation;
    params[3] = key.unit;
    for (int i = 0; i < 5; i++) {
        snprintf(text[i], NUMBER, "%lld", (long long)numbers[i]);
        params[4 + i] = text[i];
    }
    params[9] = hash.p;
    params[10] = rest.p;
    params[11] = end.p;
    return pg_query_commit(se->c, sql, 12, params, 1, &touched, reterr);
}

wh_status pg_mark_commit(struct pg_se *se, const struct pg_mark *k, const struct wh_marker *m,
                         struct wh_error *reterr)
{
    static const struct wh_marker of_a_step = {0};
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (sql_add(&sql,
                "update %s set rows = $5::bigint, bytes = $6::bigint, "
                "dirty = $7::bigint, filtered = $8::bigint, skipped = $9::bigint, "
                "hash = $10::bytea, rest = $11::bytea, ends = $12::bytea where run = $1::text and "
                "flow = $2::bigint and generation = $3::bigint and unit = $4::bigint",
                k->units) != WH_OK)
        return no_memory(reterr);
    return fill(se, k, m ? m : &of_a_step, sql.p, reterr);
}

wh_status pg_commit(struct pg_se *se, struct wh_error *reterr)
{
    int64_t touched;

    return pg_query_commit(se->c, "select 1", 0, NULL, -1, &touched, reterr);
}

/* ---- looking up --------------------------------------------------------------------------------
 */

static bool no_such_table(const struct wh_error *err)
{
    return strcmp(err->sqlstate, "42P01") == 0 || strcmp(err->sqlstate, "3F000") == 0;
}

/* One marker; r NULL: there is none, or no table of ours. */
static wh_status marker_row(struct pg_se *se, const char *units, const struct wh_fence *f,
                            int64_t unit, struct pg_rows **ret, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    char *run WH_CLEANUP(wh_freep) = NULL;
    struct wh_error err = {0};
    struct key_text k = {0};
    int st = key_of(f, unit, &k);

    run = k.run;
    if (st != WH_OK ||
        sql_add(&sql,
                "select attempt, rows, bytes, dirty, filtered, skipped, encode(hash, 'hex'), "
                "encode(rest, 'hex'), encode(ends, 'hex') from %s where "
                "run = $1::text and flow = $2::bigint and generation = $3::bigint and "
                "unit = $4::bigint",
                units) != WH_OK)
        return no_memory(reterr);
    const char *params[] = {k.run, k.flow, k.generation, k.unit};

    st = pg_query(se->c, sql.p, 4, params, ret, &err);
    if (st < 0 && no_such_table(&err))
        return WH_OK;
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

static wh_status blob(const struct pg_rows *r, int at, struct wh_buf *keep, struct wh_bytes *ret)
{
    size_t before = keep->n;
    struct wh_str hex = pg_cell(r, 0, at);

    if (hex.n == 0)
        return WH_OK;
    WH_TRY(pg_hex_read(hex, keep));
    *ret = (struct wh_bytes){keep->p + before, keep->n - before};
    return WH_OK;
}

static wh_status read_marker(struct pg_fl *fl, const struct pg_rows *r, struct wh_marker *m)
{
    struct wh_bytes hash = {0};

    m->rows = pg_cell_i64(r, 0, 1, 0);
    m->bytes = pg_cell_i64(r, 0, 2, 0);
    m->dirty = pg_cell_i64(r, 0, 3, 0);
    m->filtered = pg_cell_i64(r, 0, 4, 0);
    m->skipped = pg_cell_i64(r, 0, 5, 0);
    wh_buf_clear(&fl->receipt);
    /* Room for all, so that nothing moves. */
    WH_TRY(
        wh_buf_reserve(&fl->receipt, pg_cell(r, 0, 6).n + pg_cell(r, 0, 7).n + pg_cell(r, 0, 8).n));
    WH_TRY(blob(r, 6, &fl->receipt, &hash));
    if (hash.n == sizeof m->hash)
        memcpy(m->hash, hash.p, sizeof m->hash);
    WH_TRY(blob(r, 7, &fl->receipt, &m->rest));
    return blob(r, 8, &fl->receipt, &m->end);
}

wh_status pg_lookup(void *self, void *session, const struct wh_unit *u, struct wh_fate *ret,
                    struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_fl *fl = self;
    struct wh_fence f = {.run = fl->fence.run, .flow = u->flow, .generation = u->generation};

    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    if (fl->marker_off)
        return WH_OK;
    if (!fl->fence.run.n)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a marker is looked up without a run");
    WH_TRY(marker_row(session, fl->units, &f, u->id, &r, reterr));
    if (!r || pg_n_rows(r) == 0)
        return WH_OK;
    ret->kind = WH_FATE_COMMITTED;
    ret->attempt = (int32_t)pg_cell_i64(r, 0, 0, 0);
    return read_marker(fl, r, &ret->marker) == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- verifying ---------------------------------------------------------------------------------
 */

/* Markers of units in their order, a page at a time. */
struct pages {
    struct pg_se *se;
    const char *sql, *run;
    char flow[NUMBER], generation[NUMBER];
    struct pg_rows *rows;
    int at;
    int64_t last;
};

static wh_status next_unit(struct pages *p, int64_t *ret, struct wh_error *reterr)
{
    char after[NUMBER];

    while (!p->rows || p->at >= pg_n_rows(p->rows)) {
        if (p->rows && pg_n_rows(p->rows) < VERIFY_PAGE)
            return WH_END;
        snprintf(after, sizeof after, "%lld", (long long)p->last);
        const char *params[] = {p->run, p->flow, p->generation, after};

        pg_rows_freep(&p->rows);
        p->at = 0;
        WH_TRY(pg_query(p->se->c, p->sql, 4, params, &p->rows, reterr));
        if (pg_n_rows(p->rows) == 0)
            return WH_END;
    }
    *ret = p->last = pg_cell_i64(p->rows, p->at++, 0, 0);
    return WH_OK;
}

static wh_status lost_marker(const struct pg_fl *fl, int64_t unit, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_STATE, "E7009", "the marker of unit %lld is gone from %s",
                   (long long)unit, fl->units);
}

static wh_status all_marked(struct pg_fl *fl, struct pages *p, struct wh_receipts *committed,
                            int64_t *ret_rows, struct wh_error *reterr)
{
    struct wh_receipt r;
    int64_t unit = 0;
    int st;

    committed->rewind(committed);
    while ((st = committed->next(committed, &r)) == WH_OK) {
        while (unit < r.unit && (st = next_unit(p, &unit, reterr)) == WH_OK)
            ;
        if (st == WH_END || (st == WH_OK && unit != r.unit))
            return lost_marker(fl, r.unit, reterr);
        if (st != WH_OK)
            return reterr && strcmp(reterr->sqlstate, "42P01") == 0
                       ? lost_marker(fl, r.unit, reterr)
                       : st;
        *ret_rows += r.rows;
    }
    return st == WH_END ? WH_OK : st;
}

/* What the units wrote into still holds rows; a published stage is gone, its step's marker is not.
 */
static wh_status still_there(struct pg_fl *fl, struct pg_se *se, const struct wh_fence *fence,
                             int64_t rows, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *marker WH_CLEANUP(pg_rows_freep) = NULL, *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_step publish = {.phase = WH_PUBLISH, .id = 1};
    const char *where = fl->staged ? fl->stage_name : fl->name;
    int64_t wanted = rows < VERIFY_ROWS ? rows : VERIFY_ROWS, some = 0;
    struct wh_error err = {0};
    int st;

    if (fl->staged)
        WH_TRY(marker_row(se, fl->units, fence, sql_step_unit(&publish), &marker, reterr));
    if (rows == 0 || (marker && pg_n_rows(marker)))
        return WH_OK;
    /* Appended rows can only be joined by others: fewer than ours means that ours are gone. Where
     * keys meet, rows of ours may be one, so any row will do. */
    if (fl->mode != WH_MODE_APPEND && !fl->staged)
        wanted = 1;
    if (sql_add(&sql, "select count(*) from (select 1 from %s limit %d) r", where, wanted) != WH_OK)
        return no_memory(reterr);
    st = pg_query(se->c, sql.p, 0, NULL, &r, &err);
    if (st == WH_OK)
        some = pg_cell_i64(r, 0, 0, 0);
    if ((st < 0 && no_such_table(&err)) || (st == WH_OK && some < wanted))
        return wh_fail(reterr, WH_E_STATE, "E7009",
                       "table %s no longer holds the %lld rows that this run has committed", where,
                       (long long)rows);
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

/* Every recorded unit has its marker, and its rows' table is there and the same. */
wh_status pg_verify(void *self, void *session, struct wh_receipts *committed,
                    const struct wh_fence *fence, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    char *run WH_CLEANUP(wh_freep) = NULL;
    struct pg_fl *fl = self;
    struct pages p = {.se = session};
    int64_t rows = 0;
    int st;

    if (committed->n == 0 || fl->marker_off)
        return WH_OK;
    run = wh_strndup(fence->run.s ? fence->run.s : "", fence->run.n);
    if (!run || sql_add(&sql,
                        "select unit from %s where run = $1::text and flow = $2::bigint and "
                        "generation = $3::bigint and unit > $4::bigint order by unit limit %d",
                        fl->units, (int64_t)VERIFY_PAGE) != WH_OK)
        return no_memory(reterr);
    p.sql = sql.p;
    p.run = run;
    snprintf(p.flow, sizeof p.flow, "%u", fence->flow);
    snprintf(p.generation, sizeof p.generation, "%u", fence->generation);
    st = all_marked(fl, &p, committed, &rows, reterr);
    pg_rows_freep(&p.rows);
    if (st != WH_OK)
        return st;
    return still_there(fl, session, fence, rows, reterr);
}
