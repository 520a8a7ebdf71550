/* SPDX-License-Identifier: Apache-2.0 */
/* One attempt at a unit: rows are spooled in memory, and one short transaction takes marker and
 * rows into the table, so that many attempts are open side by side on a store with one writer. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

#include "core/clock.h"

static wh_status prepare_refuse(struct hard_writer *wr, struct wh_error *reterr)
{
    const char *rule = wr->fl->ep->opts->refuse;

    if (!rule || !*rule || wr->fl->id_column < 0)
        return WH_OK;
    return hard_prepare(wr->se->db, &wr->refuse, reterr, "select (%s) from (select ?1 as id)",
                        rule);
}

static wh_status check_marker(struct hard_writer *wr, struct wh_error *reterr)
{
    int64_t found = 0;

    WH_TRY(hard_fenced(wr->se, wr->run, wr->epoch, reterr));
    if (!wr->fl->marker)
        return WH_OK;
    WH_TRY(hard_int(wr->se->db, &found, NULL, reterr,
                    "select count(*) from wherry_unit where run = %Q and flow = %lld"
                    " and generation = %lld and unit = %lld",
                    wr->run, (long long)wr->unit.flow, (long long)wr->unit.generation,
                    (long long)wr->unit.id));
    if (!found)
        return WH_OK;
    return wh_fail(reterr, WH_TWIN, "E5002", "unit %lld is committed already",
                   (long long)wr->unit.id);
}

wh_status hard_writer_open(void *self, void *target, void *session, const struct wh_ctx *attempt,
                           const struct wh_unit *unit, const struct wh_fence *fence,
                           struct wh_error *reterr)
{
    struct hard_writer *wr = self;

    wr->fl = target;
    wr->se = session;
    wr->ctx = attempt;
    wr->unit = *unit;
    wr->epoch = fence->epoch;
    wr->spool = WH_BUF(HARD_SPOOL_MAX);
    snprintf(wr->run, sizeof wr->run, "%.*s", WH_STR_FMT(fence->run));
    wr->views = wh_calloc((size_t)wr->fl->accept.n_children + 1, sizeof *wr->views);
    if (!wr->views)
        return WH_E_NOMEM;
    WH_TRY(hard_fault(wr->se, attempt, "opening a writer", reterr));
    WH_TRY(check_marker(wr, reterr));
    return prepare_refuse(wr, reterr);
}

/* ---------------------------------------------------------------------------------------- spool
 * Per cell one byte enum hard_cell, then 8 bytes of integer, or 4 bytes of length and the text. */

wh_status hard_views(struct hard_writer *wr, const struct ArrowArray *rows, struct wh_view *views,
                     struct wh_error *reterr)
{
    return wh_views_init(&wr->fl->accept, rows, views, reterr);
}

static wh_status spool_cell(struct wh_buf *b, const struct wh_view *v, int64_t row)
{
    if (wh_view_null(v, row))
        return wh_buf_addc(b, HARD_NULL);
    if (v->type.kind == WH_K_I64) {
        int64_t i = wh_view_i64(v, row);

        WH_TRY(wh_buf_addc(b, HARD_INT));
        return wh_buf_add(b, &i, 8);
    }
    struct wh_bytes text = wh_view_bytes(v, row);
    uint32_t n = (uint32_t)text.n;

    WH_TRY(wh_buf_addc(b, HARD_TEXT));
    WH_TRY(wh_buf_add(b, &n, 4));
    return wh_buf_add(b, text.p, text.n);
}

static wh_status is_refused(struct hard_writer *wr, const struct wh_view *views, int64_t row,
                            bool *ret, struct wh_error *reterr)
{
    const struct wh_view *id = &views[wr->fl->id_column < 0 ? 0 : wr->fl->id_column];

    *ret = false;
    if (!wr->refuse || wh_view_null(id, row) || id->type.kind != WH_K_I64)
        return WH_OK;
    sqlite3_bind_int64(wr->refuse, 1, wh_view_i64(id, row));
    int code = sqlite3_step(wr->refuse);

    *ret = code == SQLITE_ROW && sqlite3_column_int(wr->refuse, 0) != 0;
    sqlite3_reset(wr->refuse);
    return code == SQLITE_ROW ? WH_OK : hard_sql_failed(wr->se->db, reterr, "refuse");
}

wh_status hard_spool_row(struct hard_writer *wr, const struct wh_view *views, int64_t row,
                         bool *ret_refused, struct wh_error *reterr)
{
    bool refused = false;

    WH_TRY(is_refused(wr, views, row, &refused, reterr));
    if (ret_refused)
        *ret_refused = refused;
    if (refused)
        return WH_OK;
    for (int64_t i = 0; i < wr->fl->accept.n_children; i++)
        WH_TRY(spool_cell(&wr->spool, &views[i], row));
    return wh_rowhash_add(&wr->sum, views, wr->fl->accept.n_children, NULL, row, 1);
}

bool hard_spool_next(const struct hard_writer *wr, size_t *at, struct hard_value *row)
{
    const char *p = wr->spool.p + *at;

    if (*at >= wr->spool.n)
        return false;
    for (int64_t i = 0; i < wr->fl->accept.n_children; i++) {
        uint32_t n = 0;

        row[i] = (struct hard_value){.kind = (enum hard_cell) * p++};
        if (row[i].kind == HARD_INT) {
            memcpy(&row[i].i, p, 8);
            p += 8;
        } else if (row[i].kind == HARD_TEXT) {
            memcpy(&n, p, 4);
            row[i].text = (struct wh_str){p + 4, n};
            p += 4 + n;
        }
    }
    *at = (size_t)(p - wr->spool.p);
    return true;
}

/* ---------------------------------------------------------------------------------------- write */

wh_status hard_writer_write(void *self, const struct wh_batch *b, int64_t send, const int32_t *rows,
                            int64_t first, int64_t n, struct wh_acks *ret, struct wh_error *reterr)
{
    struct hard_writer *wr = self;

    *ret = (struct wh_acks){.upto_send = wr->acked};
    WH_TRY(hard_fault(wr->se, wr->ctx, "a write", reterr));
    WH_TRY(hard_views(wr, &b->rows, wr->views, reterr));
    for (int64_t i = 0; i < n; i++) {
        bool refused = false;

        WH_TRY(hard_spool_row(wr, wr->views, rows ? rows[i] : first + i, &refused, reterr));
        if (!refused)
            continue;
        wr->spool.n = wr->saved.spool;
        wr->sum = wr->saved.sum;
        wr->sent = wr->acked;
        return wh_fail(reterr, WH_REFUSED, "E5011", "a row breaks the rule (%s)",
                       wr->fl->ep->opts->refuse);
    }
    wr->sent = send;
    return WH_OK;
}

wh_status hard_writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                            struct wh_error *reterr)
{
    struct hard_writer *wr = self;

    wr->saved.spool = wr->spool.n;
    wr->saved.sum = wr->sum;
    wr->acked = wr->sent;
    *ret = (struct wh_acks){.upto_send = wr->acked};
    return WH_OK;
}

wh_status hard_writer_seal(void *self, struct wh_tally *ret, struct wh_error *reterr)
{
    struct hard_writer *wr = self;

    if (wr->acked != wr->sent)
        return wh_fail(reterr, WH_E_BUG, "E9003", "sealed with sends %lld..%lld not judged",
                       (long long)wr->acked + 1, (long long)wr->sent);
    *ret = (struct wh_tally){.rows = wr->sum.rows,
                             .bytes = (int64_t)wr->spool.n,
                             .has_hash = true,
                             .hash = {wr->sum.sum.lo, wr->sum.sum.hi},
                             .inserted = -1,
                             .updated = -1,
                             .unchanged = -1};
    return WH_OK;
}

void hard_writer_close(void *self)
{
    struct hard_writer *wr = self;

    hard_finalize(&wr->refuse);
    wh_free(wr->views);
    wh_buf_free(&wr->spool);
    wr->views = NULL;
}

/* --------------------------------------------------------------------------------------- commit */

static wh_status put_marker(struct hard_writer *wr, const struct wh_marker *m,
                            struct wh_error *reterr)
{
    HARD_STMT *stmt = NULL;
    int64_t numbers[] = {wr->unit.flow,
                         wr->unit.generation,
                         wr->unit.id,
                         wr->unit.attempt,
                         m->rows,
                         m->bytes,
                         m->dirty,
                         m->filtered,
                         m->skipped,
                         (int64_t)m->hash[0],
                         (int64_t)m->hash[1]};
    int n = sizeof numbers / sizeof *numbers;

    if (!wr->fl->marker)
        return WH_OK;
    WH_TRY(hard_prepare(wr->se->db, &stmt, reterr,
                        "insert into wherry_unit values(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
                        " on conflict do nothing"));
    sqlite3_bind_text(stmt, 1, wr->run, -1, SQLITE_STATIC);
    for (int i = 0; i < n; i++)
        sqlite3_bind_int64(stmt, i + 2, numbers[i]);
    sqlite3_bind_blob(stmt, n + 2, m->rest.p, (int)m->rest.n, SQLITE_STATIC);
    sqlite3_bind_blob(stmt, n + 3, m->end.p, (int)m->end.n, SQLITE_STATIC);
    if (sqlite3_step(stmt) != SQLITE_DONE)
        return hard_sql_failed(wr->se->db, reterr, "marker");
    /* A twin came first: what stands there is for lookup to tell. */
    return sqlite3_changes(wr->se->db) == 1
               ? WH_OK
               : wh_fail(reterr, WH_UNKNOWN, "E5003", "another attempt's marker is there");
}

static wh_status insert_statement(struct hard_writer *wr, sqlite3_stmt **ret,
                                  struct wh_error *reterr)
{
    sqlite3_str *s = sqlite3_str_new(NULL);
    int64_t n = wr->fl->accept.n_children;

    sqlite3_str_appendf(s, "insert into \"%w\"(", wr->fl->object);
    for (int64_t i = 0; i < n; i++)
        sqlite3_str_appendf(s, "%s\"%w\"", i ? ", " : "", wr->fl->accept.children[i]->name);
    sqlite3_str_appendf(s, ") values(");
    for (int64_t i = 0; i < n; i++)
        sqlite3_str_appendf(s, i ? ", ?" : "?");
    sqlite3_str_appendf(s, ")");
    char *sql = sqlite3_str_finish(s);
    int st = hard_prepare(wr->se->db, ret, reterr, "%s", sql ? sql : "");

    sqlite3_free(sql);
    return st;
}

static void bind_value(sqlite3_stmt *stmt, int i, const struct hard_value *v)
{
    if (v->kind == HARD_INT)
        sqlite3_bind_int64(stmt, i, v->i);
    else if (v->kind == HARD_TEXT)
        sqlite3_bind_text64(stmt, i, v->text.s, v->text.n, SQLITE_STATIC, SQLITE_UTF8);
    else
        sqlite3_bind_null(stmt, i);
}

static wh_status put_rows(struct hard_writer *wr, struct wh_error *reterr)
{
    int n = (int)wr->fl->accept.n_children;
    struct hard_value *row WH_CLEANUP(wh_freep) = wh_calloc((size_t)n + 1, sizeof *row);
    HARD_STMT *stmt = NULL;
    size_t at = 0;

    if (!row)
        return WH_E_NOMEM;
    WH_TRY(insert_statement(wr, &stmt, reterr));
    while (hard_spool_next(wr, &at, row)) {
        for (int i = 0; i < n; i++)
            bind_value(stmt, i + 1, &row[i]);
        if (sqlite3_step(stmt) != SQLITE_DONE)
            return hard_sql_failed(wr->se->db, reterr, "insert");
        sqlite3_reset(stmt);
    }
    return WH_OK;
}

/* Fence first, then the marker, then the rows: nothing is locked before the run row. */
static wh_status commit_in(struct hard_writer *wr, const struct wh_marker *m, hard_commit_hook hook,
                           struct wh_error *reterr)
{
    WH_TRY(hard_fenced(wr->se, wr->run, wr->epoch, reterr));
    WH_TRY(put_marker(wr, m, reterr));
    if (hook)
        WH_TRY(hook(wr, wr->se->db, reterr));
    WH_TRY(put_rows(wr, reterr));
    return hard_exec(wr->se->db, reterr, "commit");
}

wh_status hard_commit_with(struct hard_writer *wr, const struct wh_marker *marker,
                           hard_commit_hook hook, struct wh_bytes *ret_receipt,
                           struct wh_error *reterr)
{
    struct hard_endpoint *ep = wr->fl->ep;
    int unknown = hard_unknown(ep);

    if (ep->opts->sleep_commit_ms > 0 && wr->ctx && wr->ctx->wait)
        wh_ignore(
            wr->ctx->wait(wr->ctx, -1, 0, wh_now_ns() + ep->opts->sleep_commit_ms * 1000000, NULL));
    WH_TRY(hard_fault(wr->se, wr->ctx, "a commit", reterr));
    if (unknown != 2) {
        WH_TRY(hard_exec(wr->se->db, reterr, "begin immediate"));
        int st = commit_in(wr, marker, hook, reterr);

        if (st != WH_OK) {
            hard_rollback(wr->se->db);
            return st;
        }
    }
    if (unknown) {
        int st = wh_fail(reterr, WH_UNKNOWN, "E5003", "the fake server did not answer the commit");

        if (reterr)
            reterr->outcome_unknown = true;
        return st;
    }
    int n = snprintf(wr->receipt, sizeof wr->receipt, "rows=%lld", (long long)wr->sum.rows);

    *ret_receipt = (struct wh_bytes){wr->receipt, (size_t)n};
    return WH_OK;
}

wh_status hard_writer_commit(void *self, const struct wh_marker *marker,
                             struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    return hard_commit_with(self, marker, NULL, ret_receipt, reterr);
}

const struct wh_sink_ops hard_plain_sink = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct hard_target),
    .wr_size = sizeof(struct hard_writer),
    .target_open = hard_target_open,
    .steps = hard_steps,
    .apply = hard_apply,
    .writer_open = hard_writer_open,
    .writer_write = hard_writer_write,
    .writer_flush = hard_writer_flush,
    .writer_seal = hard_writer_seal,
    .writer_commit = hard_writer_commit,
    .lookup = hard_lookup,
    .verify = hard_verify,
    .writer_close = hard_writer_close,
    .target_close = hard_target_close,
};
