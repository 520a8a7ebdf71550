/* SPDX-License-Identifier: Apache-2.0 */
/* What happens outside of units: create, clear, stage, swap, drop. SQLite's DDL is transactional,
 * so each step is one transaction with its own marker: done wholly and once, or not at all. */
#include "sqlite_target.h"

#include <stdlib.h>

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a step");
}

/* ---- what a step does, as statements -----------------------------------------------------------
 */

static wh_status script_add_columns(const struct lite_fl *fl, struct sql_script *s)
{
    struct wh_str table = wh_str(fl->table);

    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (!fl->dest[i].added)
            continue;
        WH_TRY(sql_add(&s->b, "alter table %i add column %i %s", &table, &name, fl->dest[i].decl));
        WH_TRY(sql_script_end(s));
    }
    return WH_OK;
}

/* Named indexes and triggers of a table, as they were made. */
static wh_status
dependants(struct lite_se *se, const struct lite_fl *fl, const char *filter, struct sql_script *s,
           int (*put)(struct sql_script *, const struct lite_fl *, const char *, int),
           struct wh_error *reterr)
{
    sqlite3_stmt *q WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int rc, n = 0, st = WH_OK;

    if (sql_add(&b,
                "select sql from sqlite_schema where tbl_name = ?1 collate nocase and sql is not "
                "null and %s order by type, name",
                filter) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_prepare(se, b.p, &q, reterr));
    lite_bind_str(q, 1, wh_str(fl->table));
    while (st == WH_OK && (rc = sqlite3_step(q)) == SQLITE_ROW)
        st = put(s, fl, (const char *)sqlite3_column_text(q, 0), n++);
    if (st != WH_OK)
        return no_memory(reterr);
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the indexes");
    return WH_OK;
}

static int put_as_is(struct sql_script *s, const struct lite_fl *fl, const char *sql, int n)
{
    return sql_script_text(s, sql);
}

static void stage_index(const struct lite_fl *fl, int n, char out[SQL_STAGE_NAME + 8])
{
    snprintf(out, SQL_STAGE_NAME + 8, "%s_i%d", fl->stage, n);
}

static int put_on_stage(struct sql_script *s, const struct lite_fl *fl, const char *sql, int n)
{
    char name[SQL_STAGE_NAME + 8];

    stage_index(fl, n, name);
    WH_TRY(lite_ddl_index_on(sql, name, fl->stage, &s->b));
    return sql_script_end(s);
}

static int put_drop(struct sql_script *s, const struct lite_fl *fl, const char *sql, int n)
{
    char name[SQL_STAGE_NAME + 8];

    stage_index(fl, n, name);
    return sql_script_one(s, "drop index if exists %i", wh_str(name));
}

static const char unique_only[] = "type = 'index' and sql like 'create unique%'";

/* AUTOINCREMENT never gives a number twice, not even for a table whose rows were exchanged. */
static wh_status keep_sequence(struct lite_se *se, const struct lite_fl *fl, struct sql_script *s,
                               struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(fl->table), stage = wh_str(fl->stage);
    int64_t there;

    WH_TRY(lite_number(se, "select 1 from sqlite_schema where name = 'sqlite_sequence'", 0, &there,
                       reterr));
    if (!there)
        return WH_OK;
    if (sql_add(&b, "select 1 from sqlite_sequence where name = %l", &table) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_number(se, b.p, 0, &there, reterr));
    if (!there)
        return WH_OK;
    if (sql_add(&s->b,
                "insert into sqlite_sequence(name, seq) select %l, seq from sqlite_sequence where "
                "name = %l",
                &stage, &table) != WH_OK ||
        sql_script_end(s) != WH_OK)
        return no_memory(reterr);
    return WH_OK;
}

/* The stage, with the unique indexes of the table it will replace: a duplicate is then the row's
 * fault, at once. Other indexes are made when it is full. */
static wh_status script_stage(struct lite_se *se, const struct lite_fl *fl, struct sql_script *s,
                              struct wh_error *reterr)
{
    if (sql_script_one(s, "drop table if exists %i", wh_str(fl->stage)) != WH_OK ||
        sql_script_text(s, fl->create_stage) != WH_OK)
        return no_memory(reterr);
    if (!fl->swaps || !fl->existed || fl->recreate || !se->db)
        return WH_OK;
    WH_TRY(keep_sequence(se, fl, s, reterr));
    return dependants(se, fl, unique_only, s, put_on_stage, reterr);
}

/* Views and foreign keys find their table by name, so the swap leaves them as they are; triggers
 * and named indexes go with the old table and are made again. */
static wh_status script_swap(struct lite_se *se, const struct lite_fl *fl, struct sql_script *s,
                             struct wh_error *reterr)
{
    struct wh_str stage = wh_str(fl->stage), table = wh_str(fl->table);
    struct sql_script after = SQL_SCRIPT;
    bool keep = fl->existed && !fl->recreate && se->db;
    int st = WH_OK;

    if (keep)
        st = dependants(se, fl, unique_only, s, put_drop, reterr);
    if (st == WH_OK && keep)
        st = dependants(se, fl, "type in ('index', 'trigger')", &after, put_as_is, reterr);
    if (st == WH_OK &&
        ((fl->existed && sql_script_one(s, "drop table if exists %i", table) != WH_OK) ||
         sql_add(&s->b, "alter table %i rename to %i", &stage, &table) != WH_OK ||
         sql_script_end(s) != WH_OK || wh_buf_add(&s->b, after.b.p, after.b.n) != WH_OK))
        st = no_memory(reterr);
    wh_buf_free(&after.b);
    return st;
}

static wh_status script_pour(struct lite_se *full, const struct lite_fl *fl, struct sql_script *s,
                             struct wh_error *reterr)
{
    struct wh_str stage = wh_str(fl->stage), table = wh_str(fl->table);
    int st = WH_OK;

    if (fl->replace_keys) {
        WH_TRY(lite_keys_script(full, fl, s, reterr));
    } else if (fl->mode == WH_MODE_DELETE_INSERT) {
        st = sql_add(&s->b, LITE_DELETE "%i where (%s\n)", &table, fl->replace_where);
        if (st == WH_OK)
            st = sql_script_end(s);
    }
    if (st == WH_OK)
        st = sql_script_text(s, fl->settle);
    if (st == WH_OK)
        st = sql_script_one(s, "drop table %i", stage);
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* doing: inside the step's transaction, where a stage that is poured is full. */
static wh_status script_of(struct lite_se *se, const struct lite_fl *fl, char kind, bool doing,
                           struct sql_script *s, struct wh_error *reterr)
{
    struct wh_str table = wh_str(fl->table), stage = wh_str(fl->stage);
    int st = WH_OK;

    switch (kind) {
    case SQL_STEP_CREATE:
        st = sql_script_text(s, fl->create);
        break;
    case SQL_STEP_RECREATE:
        st = sql_script_one(s, "drop table if exists %i", table);
        if (st == WH_OK)
            st = sql_script_text(s, fl->create);
        break;
    case SQL_STEP_ADD:
        st = script_add_columns(fl, s);
        break;
    case SQL_STEP_CLEAR:
        st = sql_script_one(s, LITE_DELETE "%i", table);
        break;
    case SQL_STEP_STAGE:
        return script_stage(se, fl, s, reterr);
    case SQL_STEP_SWAP:
        return script_swap(se, fl, s, reterr);
    case SQL_STEP_POUR:
        return script_pour(doing ? se : NULL, fl, s, reterr);
    case SQL_STEP_DROP:
        st = sql_script_one(s, "drop table if exists %i", stage);
        break;
    default:
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    }
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- listing -----------------------------------------------------------------------------------
 */

struct listing {
    struct lite_fl *fl;
    struct lite_se *se;
};

static int fill(void *self, struct wh_bytes token, struct sql_script *s, struct wh_error *reterr)
{
    struct listing *l = self;

    return script_of(l->se, l->fl, *(const char *)token.p, false, s, reterr);
}

wh_status lite_steps(void *self, void *session, enum wh_phase phase, struct wh_receipts *receipts,
                     struct wh_step_sink *out, struct wh_error *reterr)
{
    struct lite_fl *fl = self;
    struct listing l = {fl, session};
    struct sql_shape shape = {.existed = fl->existed,
                              .creates = fl->create != NULL,
                              .clears = fl->mode == WH_MODE_TRUNCATE,
                              .staged = fl->staged,
                              .swaps = fl->swaps};
    uint32_t id = 0;

    for (int i = 0; i < fl->n_dest; i++)
        shape.adds |= fl->dest[i].added;
    WH_TRY(sql_steps_of(&shape, phase, &id, fill, &l, out, reterr));
    return sql_statement_steps(&fl->statements, phase, &id, out, reterr);
}

/* ---- doing -------------------------------------------------------------------------------------
 */

static wh_status run_one(struct lite_se *se, const struct lite_fl *fl, char kind, const char *sql,
                         struct wh_error *reterr)
{
    bool rows = kind == SQL_STEP_POUR || kind == SQL_STEP_CLEAR;

    if (rows && strncmp(sql, LITE_DELETE, strlen(LITE_DELETE)) == 0)
        return lite_prove_delete(se, fl, sql, reterr);
    if (rows && fl->settle && strcmp(sql, fl->settle) == 0)
        return lite_prove_settle(se, fl, sql, reterr);
    return lite_exec(se, sql, reterr);
}

static wh_status run_script(struct lite_se *se, const struct lite_fl *fl, char kind,
                            struct sql_script *s, struct wh_error *reterr)
{
    for (size_t at = 0; at < s->b.n; at += strlen(s->b.p + at) + 1) {
        int st = run_one(se, fl, kind, s->b.p + at, reterr);

        if (st == WH_E_REMOTE && reterr && strcmp(reterr->code, "E5005") != 0)
            snprintf(reterr->code, sizeof reterr->code, "E5008");
        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}

/* Dropping needs no marker of its own, only the proof that nobody newer owns the run: its stage may
 * be in use. A run that is closed or unknown here uses none. */
static wh_status may_drop(struct lite_se *se, const struct wh_fence *f, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int64_t known = 0;
    int rc;

    WH_TRY(lite_number(se, "select 1 from sqlite_schema where name = 'wherry_run'", 0, &known,
                       reterr));
    if (!known)
        return WH_OK;
    WH_TRY(lite_prepare(se,
                        "select 1 from wherry_run where run = ?1 and state = 'open' and epoch > ?2",
                        &s, reterr));
    lite_bind_str(s, 1, f->run);
    sqlite3_bind_int64(s, 2, f->epoch);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW)
        return wh_fail(reterr, WH_FENCED, "E7010", "another process owns this run");
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the run row");
    return WH_OK;
}

/* A statement of the job, alone in its transaction; rows that it answers are dropped. */
static wh_status run_statement(struct lite_fl *fl, struct lite_se *se, struct wh_bytes token,
                               struct wh_error *reterr)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc = SQLITE_DONE, st;

    WH_TRY(sql_statement_text(&fl->statements, token, &text, reterr));
    st = lite_prepare(se, text.p, &s, reterr);
    while (st == WH_OK && (rc = sqlite3_step(s)) == SQLITE_ROW)
        ;
    if (st == WH_OK && rc != SQLITE_DONE)
        st = lite_fail(se, rc, reterr, WH_E_REMOTE, "E5016", "%.160s", text.p);
    if (st == WH_OK && sqlite3_get_autocommit(se->db))
        st = wh_fail(reterr, WH_E_USAGE, "E5016", "%.160s: it ended our transaction", text.p);
    if ((st == WH_E_REMOTE || st == WH_E_USAGE) && reterr)
        snprintf(reterr->code, sizeof reterr->code, "E5016");
    return st;
}

static wh_status apply_inside(struct lite_fl *fl, struct lite_se *se, const struct wh_step *step,
                              const struct wh_fence *fence, struct wh_error *reterr)
{
    struct sql_script s = SQL_SCRIPT;
    char kind = *(const char *)step->token.p;
    struct wh_fence marked;
    int64_t unit = sql_step_mark(step, fence, &marked);
    int st;

    if (step->phase == WH_DROP)
        WH_TRY(may_drop(se, fence, reterr));
    else if (!fl->marker_off)
        WH_TRY(lite_marker_open(se, fl->units, &marked, unit, 1, (struct wh_bytes){0}, reterr));
    if (sql_is_statement(step->token))
        return run_statement(fl, se, step->token, reterr);
    st = script_of(se, fl, kind, true, &s, reterr);
    if (st == WH_OK)
        st = run_script(se, fl, kind, &s, reterr);
    wh_buf_free(&s.b);
    return st;
}

/* Without markers a step that was done leaves the file as it wants it: nothing to create, no stage
 * to publish. */
static wh_status done_before(struct lite_fl *fl, struct lite_se *se, char kind, bool *ret,
                             struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str name = wh_str(kind == SQL_STEP_CREATE ? fl->table : fl->stage);
    int64_t there;

    *ret = false;
    if (kind != SQL_STEP_CREATE && kind != SQL_STEP_SWAP && kind != SQL_STEP_POUR)
        return WH_OK;
    if (sql_add(&b, "select 1 from sqlite_schema where type = 'table' and name = %l collate nocase",
                &name) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_number(se, b.p, 0, &there, reterr));
    *ret = kind == SQL_STEP_CREATE ? there : !there;
    return WH_OK;
}

wh_status lite_apply(void *self, void *session, const struct wh_step *step,
                     const struct wh_fence *fence, struct wh_receipts *receipts, bool maybe_done,
                     struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct lite_fl *fl = self;
    struct lite_se *se = session;
    bool done = false;
    int st;

    if (step->token.n != 1 && !sql_is_statement(step->token))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    if (step->phase == WH_DROP && !se->db)
        return WH_OK;
    WH_TRY(lite_se_create(se, reterr));
    atomic_store(&fl->ep->wrote, true);
    /* Renaming must leave views and other tables alone; neither can change inside a transaction. */
    WH_TRY(lite_exec(se, "pragma legacy_alter_table = on", reterr));
    WH_TRY(lite_exec(se, "pragma foreign_keys = off", reterr));
    WH_TRY(lite_exec(se, "begin immediate", reterr));
    /* An older generation of the flow may have made the table; it was none of anybody else's. */
    if ((fl->marker_off && maybe_done) ||
        (fence->generation > 1 && *(const char *)step->token.p == SQL_STEP_CREATE))
        st = done_before(fl, se, *(const char *)step->token.p, &done, reterr);
    else
        st = WH_OK;
    if (st == WH_OK && !done)
        st = apply_inside(fl, se, step, fence, reterr);
    if (st == WH_OK)
        st = lite_commit(se, reterr);
    lite_rollback(se);
    if (st == WH_OK && ret_receipt)
        *ret_receipt = (struct wh_bytes){0};
    return st;
}
