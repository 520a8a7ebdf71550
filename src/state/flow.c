/* SPDX-License-Identifier: Apache-2.0 */
/* Flows: what a plan froze of each table, how far it is, how it ended. */
#include <stdio.h>
#include <string.h>

#include "core/buf.h"
#include "core/clock.h"
#include "state/db.h"

static const char *const flow_states[] = {
    [WH_FLOW_PLANNED] = "planned",       [WH_FLOW_PREPARING] = "preparing",
    [WH_FLOW_MOVING] = "moving",         [WH_FLOW_SETTLING] = "settling",
    [WH_FLOW_PUBLISHING] = "publishing", [WH_FLOW_PUBLISHED] = "published",
    [WH_FLOW_FINISHED] = "finished",     [WH_FLOW_FAILED] = "failed",
};

const char *wh_flow_state_name(enum wh_flow_state s)
{
    return s <= WH_FLOW_FAILED ? flow_states[s] : "unknown";
}

static void flow_transition(int flow, const char *from, const char *to)
{
    char id[16];
    snprintf(id, sizeof(id), "%d", flow);
    wh_transition("flow", id, from, to);
}

static int insert_flow(struct wh_state *s, const char *run, const struct wh_flow_record *f,
                       struct wh_error *reterr)
{
    return wh_db_run(s, NULL, reterr,
                     "insert or replace into flow(run, flow, generation, stream, tbl, target,"
                     " state, source_schema, accept_schema, bounds, memo, cursor, drawn,"
                     " next_unit, fingerprint, exit_code, error, started_us, rows_before)"
                     " values (?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
                     "snusssnssbbbnisnsii", run, f->flow, f->generation, f->stream, f->table,
                     f->target, (int)f->state, f->source_schema, f->accept_schema, f->bounds,
                     f->memo, f->cursor, (int)f->drawn, f->next_unit ? f->next_unit : (int64_t)1,
                     f->fingerprint, f->exit_code, f->error,
                     f->started_us ? f->started_us : wh_wall_us(), f->rows_before);
}

int wh_state_flow_put(struct wh_state *s, const char *run, uint32_t epoch,
                      const struct wh_flow_record *f, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = wh_db_end(s, insert_flow(s, run, f, reterr), reterr);
    if (st == WH_OK)
        flow_transition(f->flow, "none", wh_flow_state_name(f->state));
    return st;
}

int wh_state_flows_put(struct wh_state *s, const char *run, uint32_t epoch, wh_flow_next_fn next,
                       void *arg, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    struct wh_buf put WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_flow_record f = {0};
    int st;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    while ((st = next(arg, &f, reterr)) == WH_OK) {
        st = insert_flow(s, run, &f, reterr);
        if (st == WH_OK && wh_buf_add(&put, &f.flow, sizeof(f.flow)) != WH_OK)
            st = wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for flow records");
        if (st != WH_OK)
            break;
    }
    st = wh_db_end(s, st == WH_END ? WH_OK : st, reterr);
    for (size_t at = 0; st == WH_OK && at < put.n; at += sizeof(f.flow)) {
        memcpy(&f.flow, put.p + at, sizeof(f.flow));
        flow_transition(f.flow, "none", wh_flow_state_name(WH_FLOW_PLANNED));
    }
    return st;
}

static int flow_state_of(struct wh_state *s, const char *run, int flow, int *ret,
                         struct wh_error *reterr)
{
    sqlite3_stmt *q;
    WH_TRY(wh_db_query(s, &q, reterr, "select state from flow where run = ? and flow = ?", "sn",
                       run, flow));
    int st = wh_db_step(s, q, reterr);
    if (st == WH_END)
        return wh_fail(reterr, WH_E_BUG, "E9001", "run %s has no flow %d", run, flow);
    if (st == WH_OK) {
        *ret = sqlite3_column_int(q, 0);
        sqlite3_reset(q);
    }
    return st;
}

int wh_state_flow_set(struct wh_state *s, const char *run, uint32_t epoch, int flow,
                      enum wh_flow_state to, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = flow_state_of(s, run, flow, &from, reterr);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr, "update flow set state = ? where run = ? and flow = ?",
                       "nsn", (int)to, run, flow);
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK && from != (int)to)
        flow_transition(flow, wh_flow_state_name((enum wh_flow_state)from), wh_flow_state_name(to));
    return st;
}

static int read_flow(struct wh_arena *a, sqlite3_stmt *q, struct wh_flow_record *f)
{
    f->flow = sqlite3_column_int(q, 0);
    f->generation = (uint32_t)sqlite3_column_int64(q, 1);
    f->state = (enum wh_flow_state)sqlite3_column_int(q, 5);
    f->drawn = sqlite3_column_int(q, 11);
    f->next_unit = sqlite3_column_int64(q, 12);
    f->exit_code = sqlite3_column_int(q, 14);
    int64_t *const counts[] = {
        &f->rows_read,  &f->rows_written,  &f->rows_dirty, &f->rows_filtered, &f->rows_skipped,
        &f->bytes_read, &f->bytes_written, &f->started_us, &f->ended_us,      &f->rows_before};
    for (int i = 0; i < 10; i++)
        *counts[i] = sqlite3_column_int64(q, 16 + i);
    const struct {
        int column;
        const char **to;
    } texts[] = {{2, &f->stream},        {3, &f->table},         {4, &f->target},
                 {6, &f->source_schema}, {7, &f->accept_schema}, {13, &f->fingerprint},
                 {15, &f->error}};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        WH_TRY(wh_db_text(a, q, texts[i].column, texts[i].to));
    WH_TRY(wh_db_blob(a, q, 8, &f->bounds));
    WH_TRY(wh_db_blob(a, q, 9, &f->memo));
    return wh_db_blob(a, q, 10, &f->cursor);
}

static int count_flows(struct wh_state *s, const char *run, size_t *ret, struct wh_error *reterr)
{
    sqlite3_stmt *q;
    WH_TRY(wh_db_query(s, &q, reterr, "select count(*) from flow where run = ?", "s", run));
    WH_TRY(wh_db_step(s, q, reterr));
    *ret = (size_t)sqlite3_column_int64(q, 0);
    sqlite3_reset(q);
    return WH_OK;
}

int wh_state_flows(struct wh_state *s, const char *run, struct wh_arena *a,
                   struct wh_flow_record **ret, size_t *ret_n, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    size_t n = 0, most;
    sqlite3_stmt *q;
    WH_TRY(count_flows(s, run, &most, reterr));
    struct wh_flow_record *v = wh_arena_alloc(a, (most + 1) * sizeof(*v));
    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for %zu flows", most);
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select flow, generation, stream, tbl, target, state, source_schema,"
                       " accept_schema, bounds, memo, cursor, drawn, next_unit, fingerprint,"
                       " exit_code, error, rows_read, rows_written, rows_dirty, rows_filtered,"
                       " rows_skipped, bytes_read, bytes_written, started_us, ended_us, rows_before"
                       " from flow where run = ? order by flow",
                       "s", run));
    int st = WH_END;
    while (n < most && (st = wh_db_step(s, q, reterr)) == WH_OK) {
        st = read_flow(a, q, &v[n++]);
        if (st != WH_OK) {
            sqlite3_reset(q);
            return wh_fail(reterr, st, "E8002", "no memory for flow records");
        }
    }
    sqlite3_reset(q);
    if (st != WH_OK && st != WH_END)
        return st;
    *ret = v;
    *ret_n = n;
    return WH_OK;
}

int wh_state_flow_restart(struct wh_state *s, const char *run, uint32_t epoch, int flow,
                          struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = flow_state_of(s, run, flow, &from, reterr);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr, "delete from unit where run = ? and flow = ?", "sn", run,
                       flow);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr,
                       "update flow set generation = generation + 1, state = ?, cursor = null,"
                       " drawn = 0, next_unit = 1, error = null where run = ? and flow = ?",
                       "nsn", (int)WH_FLOW_PLANNED, run, flow);
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK)
        flow_transition(flow, wh_flow_state_name((enum wh_flow_state)from), "planned");
    return st;
}

int wh_state_flow_end(struct wh_state *s, const char *run, uint32_t epoch,
                      const struct wh_flow_record *f, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = flow_state_of(s, run, f->flow, &from, reterr);
    if (st == WH_OK)
        st = wh_db_run(s, NULL, reterr,
                       "update flow set state = ?3, exit_code = ?4, error = ?5, rows_read = ?6,"
                       " rows_written = ?7, rows_dirty = ?8, rows_filtered = ?9,"
                       " rows_skipped = ?10, bytes_read = ?11, bytes_written = ?12,"
                       " ended_us = ?13 where run = ?1 and flow = ?2",
                       "snnnsiiiiiiii", run, f->flow, (int)f->state, f->exit_code, f->error,
                       f->rows_read, f->rows_written, f->rows_dirty, f->rows_filtered,
                       f->rows_skipped, f->bytes_read, f->bytes_written, wh_wall_us());
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK && from != (int)f->state)
        flow_transition(f->flow, wh_flow_state_name((enum wh_flow_state)from),
                        wh_flow_state_name(f->state));
    return st;
}
