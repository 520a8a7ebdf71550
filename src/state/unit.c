/* SPDX-License-Identifier: Apache-2.0 */
/* Units: drawn with the cursor behind them, leased to an attempt, recorded with what they moved. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "state/db.h"

static const char *const unit_states[] = {
    [WH_UNIT_DRAWN] = "drawn",
    [WH_UNIT_LEASED] = "leased",
    [WH_UNIT_RECORDED] = "recorded",
    [WH_UNIT_FAILED] = "failed",
};

const char *wh_unit_state_name(enum wh_unit_state s)
{
    return s <= WH_UNIT_FAILED ? unit_states[s] : "unknown";
}

static void unit_transition(const struct wh_unit_record *u, const char *from, const char *to)
{
    char id[64];
    snprintf(id, sizeof(id), "%d.%u.%" PRId64, u->flow, u->generation, u->unit);
    wh_transition("unit", id, from, to);
}

static int insert_unit(struct wh_state *s, const char *run, const struct wh_unit_record *u,
                       struct wh_error *reterr)
{
    return wh_db_run(s, NULL, reterr,
                     "insert into unit(run, flow, unit, generation, state, attempt, label, splits,"
                     " order_group, order_seq, est_rows, est_bytes, changed_us, instant, origin)"
                     " values (?,?,?,?,?,0,?,?,?,?,?,?,?,?,?)",
                     "sniunsbiiiiinb", run, u->flow, u->unit, u->generation, (int)WH_UNIT_DRAWN,
                     u->label, u->splits, (int64_t)u->order_group, (int64_t)u->order_seq,
                     u->est_rows, u->est_bytes, wh_wall_us(), u->instant ? u->instant : 1,
                     u->origin);
}

int wh_state_units_draw(struct wh_state *s, const char *run, uint32_t epoch, int flow,
                        const struct wh_unit_record *u, size_t n, struct wh_bytes cursor,
                        bool drawn_all, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int64_t next = n ? u[n - 1].unit + 1 : 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = WH_OK;
    for (size_t i = 0; i < n && st == WH_OK; i++)
        st = insert_unit(s, run, &u[i], reterr);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr,
                       "update flow set cursor = ?3, drawn = ?4, next_unit = max(next_unit, ?5)"
                       " where run = ?1 and flow = ?2",
                       "snbni", run, flow, cursor, (int)drawn_all, next);
    st = wh_db_end(s, st, reterr);
    for (size_t i = 0; i < n && st == WH_OK; i++)
        unit_transition(&u[i], "none", "drawn");
    return st;
}

static int state_now(struct wh_state *s, const char *run, const struct wh_unit_record *u, int *ret,
                     struct wh_error *reterr)
{
    sqlite3_stmt *q;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select state from unit where run = ? and flow = ? and unit = ?"
                       " and generation = ?",
                       "sniu", run, u->flow, u->unit, u->generation));
    int st = wh_db_step(s, q, reterr);
    if (st == WH_END)
        return wh_fail(reterr, WH_E_BUG, "E9001",
                       "flow %d has no unit %" PRId64 " of generation %u", u->flow, u->unit,
                       u->generation);
    if (st == WH_OK) {
        *ret = sqlite3_column_int(q, 0);
        sqlite3_reset(q);
    }
    return st;
}

int wh_state_unit_lease(struct wh_state *s, const char *run, uint32_t epoch,
                        const struct wh_unit_record *u, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = state_now(s, run, u, &from, reterr);
    if (st == WH_OK && from == WH_UNIT_RECORDED)
        st = wh_fail(reterr, WH_E_BUG, "E9001",
                     "unit %" PRId64 " of flow %d is recorded and must not be leased again",
                     u->unit, u->flow);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr,
                       "update unit set state = ?4, attempt = ?5, ident = ?6, changed_us = ?7,"
                       " instant = ?8 where run = ?1 and flow = ?2 and unit = ?3",
                       "sninnsin", run, u->flow, u->unit, (int)WH_UNIT_LEASED, (int)u->attempt,
                       u->ident, wh_wall_us(), u->instant ? u->instant : 1);
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK)
        unit_transition(u, wh_unit_state_name((enum wh_unit_state)from), "leased");
    return st;
}

int wh_state_unit_record(struct wh_state *s, const char *run, uint32_t epoch,
                         const struct wh_unit_record *u, const struct wh_unit_record *rest,
                         struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = state_now(s, run, u, &from, reterr);
    if (st == WH_OK && from == WH_UNIT_RECORDED)
        st = wh_fail(reterr, WH_E_BUG, "E9001", "unit %" PRId64 " of flow %d is recorded twice",
                     u->unit, u->flow);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr,
                       "update unit set state = ?4, attempt = ?5, rows_read = ?6,"
                       " rows_written = ?7, rows_dirty = ?8, rows_filtered = ?9,"
                       " rows_skipped = ?10, bytes_read = ?11, bytes_written = ?12, hash = ?13,"
                       " receipt = ?14, end = ?15, skipped = ?16, error = null, changed_us = ?17,"
                       " instant = ?18, splits = ?19 where run = ?1 and flow = ?2 and unit = ?3",
                       "sninniiiiiiihbbsinb", run, u->flow, u->unit, (int)WH_UNIT_RECORDED,
                       (int)u->attempt, u->rows_read, u->rows_written, u->rows_dirty,
                       u->rows_filtered, u->rows_skipped, u->bytes_read, u->bytes_written, u->hash,
                       u->receipt, u->end, u->skipped, wh_wall_us(), u->instant ? u->instant : 1,
                       u->splits);
    if (st == WH_OK && rest) {
        st = insert_unit(s, run, rest, reterr);
        if (st == WH_OK)
            st = wh_db_run(s, NULL, reterr,
                           "update flow set next_unit = max(next_unit, ?3)"
                           " where run = ?1 and flow = ?2",
                           "sni", run, rest->flow, rest->unit + 1);
    }
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK)
        unit_transition(u, wh_unit_state_name((enum wh_unit_state)from), "recorded");
    if (st == WH_OK && rest)
        unit_transition(rest, "none", "drawn");
    return st;
}

int wh_state_unit_fail(struct wh_state *s, const char *run, uint32_t epoch,
                       const struct wh_unit_record *u, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = state_now(s, run, u, &from, reterr);
    if (st == WH_OK)
        st =
            wh_db_run(s, NULL, reterr,
                      "update unit set state = ?4, error = ?5, changed_us = ?6"
                      " where run = ?1 and flow = ?2 and unit = ?3",
                      "sninsi", run, u->flow, u->unit, (int)WH_UNIT_FAILED, u->error, wh_wall_us());
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK)
        unit_transition(u, wh_unit_state_name((enum wh_unit_state)from), "failed");
    return st;
}

int wh_state_unit_splits(struct wh_state *s, const char *run, uint32_t epoch,
                         const struct wh_unit_record *u, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    return wh_db_end(s,
                     wh_db_run(s, NULL, reterr,
                               "update unit set splits = ?4, label = ?5"
                               " where run = ?1 and flow = ?2 and unit = ?3",
                               "snibs", run, u->flow, u->unit, u->splits, u->label),
                     reterr);
}

/* ---- reading ---- */

#define UNIT_COLUMNS                                                                               \
    "flow, generation, unit, state, attempt, label, splits, order_group, order_seq, est_rows,"     \
    " est_bytes, ident, rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped,"         \
    " bytes_read, bytes_written, hash, receipt, end, skipped, error, changed_us, instant, origin"

static int read_unit(struct wh_arena *a, sqlite3_stmt *q, struct wh_unit_record *u)
{
    u->flow = sqlite3_column_int(q, 0);
    u->generation = (uint32_t)sqlite3_column_int64(q, 1);
    u->unit = sqlite3_column_int64(q, 2);
    u->state = (enum wh_unit_state)sqlite3_column_int(q, 3);
    u->attempt = sqlite3_column_int(q, 4);
    u->order_group = (uint64_t)sqlite3_column_int64(q, 7);
    u->order_seq = (uint64_t)sqlite3_column_int64(q, 8);
    u->est_rows = sqlite3_column_int64(q, 9);
    u->est_bytes = sqlite3_column_int64(q, 10);
    int64_t *const counts[] = {&u->rows_read,     &u->rows_written, &u->rows_dirty,
                               &u->rows_filtered, &u->rows_skipped, &u->bytes_read,
                               &u->bytes_written};
    for (int i = 0; i < 7; i++)
        *counts[i] = sqlite3_column_int64(q, 12 + i);
    u->hash = wh_db_u128(q, 19);
    u->changed_us = sqlite3_column_int64(q, 24);
    u->instant = sqlite3_column_int(q, 25);
    WH_TRY(wh_db_text(a, q, 5, &u->label));
    WH_TRY(wh_db_blob(a, q, 6, &u->splits));
    WH_TRY(wh_db_text(a, q, 11, &u->ident));
    WH_TRY(wh_db_blob(a, q, 20, &u->receipt));
    WH_TRY(wh_db_blob(a, q, 21, &u->end));
    WH_TRY(wh_db_text(a, q, 22, &u->skipped));
    WH_TRY(wh_db_blob(a, q, 26, &u->origin));
    return wh_db_text(a, q, 23, &u->error);
}

/* Most flows have a few units: a page for the most that may come costs more than to copy. */
static bool grow_units(struct wh_arena *a, struct wh_unit_record **v, size_t n, size_t *cap)
{
    size_t want = *cap ? *cap * 4 : 8;
    struct wh_unit_record *p = wh_arena_alloc(a, want * sizeof *p);
    if (!p)
        return false;
    if (n)
        memcpy(p, *v, n * sizeof *p);
    *v = p;
    *cap = want;
    return true;
}

int wh_state_units(struct wh_state *s, const char *run, int flow, unsigned states, int64_t after,
                   size_t most, struct wh_arena *a, struct wh_unit_record **ret, size_t *ret_n,
                   struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    sqlite3_stmt *q;
    size_t n = 0, cap = 0;
    struct wh_unit_record *v = NULL;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select " UNIT_COLUMNS " from unit where run = ?1 and flow = ?2"
                       " and unit > ?3 and (?4 = 0 or (?4 >> state) & 1) order by unit limit ?5",
                       "sniii", run, flow, after, (int64_t)states, (int64_t)most));
    int st;
    while ((st = wh_db_step(s, q, reterr)) == WH_OK) {
        st = n < cap || grow_units(a, &v, n, &cap) ? read_unit(a, q, &v[n]) : WH_E_NOMEM;
        if (st != WH_OK) {
            sqlite3_reset(q);
            return wh_fail(reterr, st, "E8002", "no memory for unit records");
        }
        n++;
    }
    if (st != WH_END)
        return st;
    *ret = v;
    *ret_n = n;
    return WH_OK;
}

int wh_state_unit_get(struct wh_state *s, const char *run, int flow, int64_t unit,
                      struct wh_arena *a, struct wh_unit_record *ret, struct wh_error *reterr)
{
    struct wh_unit_record *v;
    size_t n;
    WH_TRY(wh_state_units(s, run, flow, 0, unit - 1, 1, a, &v, &n, reterr));
    if (n == 0 || v->unit != unit)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "run %s, flow %d has no unit %" PRId64, run,
                       flow, unit);
    *ret = *v;
    return WH_OK;
}

int wh_state_chain_end(struct wh_state *s, const char *run, int flow, uint64_t order_group,
                       uint64_t order_seq, struct wh_arena *a, struct wh_bytes *ret,
                       struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    sqlite3_stmt *q;
    /* A cut leaves two units of one (group, seq); the later one has the range's true end. */
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select state, end from unit where run = ? and flow = ? and order_group = ?"
                       " and order_seq = ? and order_group > 0 order by unit desc limit 1",
                       "snii", run, flow, (int64_t)order_group, (int64_t)order_seq));
    int st = wh_db_step(s, q, reterr);
    bool known = st == WH_OK && sqlite3_column_int(q, 0) == WH_UNIT_RECORDED;
    if (known)
        st = wh_db_blob(a, q, 1, ret);
    if (st == WH_OK)
        sqlite3_reset(q);
    if (st == WH_END || (st == WH_OK && !known))
        return WH_E_NOT_FOUND;
    return st;
}

/* 128-bit sums are not SQL's: rows are added here. */
int wh_state_unit_sums(struct wh_state *s, const char *run, int flow, struct wh_unit_sums *ret,
                       struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    struct wh_unit_sums sum = {0};
    sqlite3_stmt *q;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select state, rows_read, rows_written, rows_dirty, rows_filtered,"
                       " rows_skipped, bytes_read, bytes_written, hash, instant"
                       " from unit where run = ? and flow = ?",
                       "sn", run, flow));
    int st;
    while ((st = wh_db_step(s, q, reterr)) == WH_OK) {
        int64_t *const by_state[] = {&sum.drawn, &sum.leased, &sum.recorded, &sum.failed};
        int state = sqlite3_column_int(q, 0);
        ++*by_state[state & 3];
        if (state != WH_UNIT_RECORDED)
            continue;
        int64_t *const counts[] = {&sum.rows_read,     &sum.rows_written, &sum.rows_dirty,
                                   &sum.rows_filtered, &sum.rows_skipped, &sum.bytes_read,
                                   &sum.bytes_written};
        for (int i = 0; i < 7; i++)
            *counts[i] += sqlite3_column_int64(q, 1 + i);
        sum.hash = wh_u128_add(sum.hash, wh_db_u128(q, 8));
        sum.instants |= wh_instant_bit(sqlite3_column_int(q, 9));
    }
    if (st != WH_END)
        return st;
    *ret = sum;
    return WH_OK;
}
