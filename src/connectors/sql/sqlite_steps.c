/* SPDX-License-Identifier: Apache-2.0 */
/* What happens outside of units: create, clear, stage, swap, drop. SQLite's DDL is transactional,
 * so each step is one transaction with its own marker: done wholly and once, or not at all. */
#include "sqlite_target.h"

#include <stdlib.h>

enum step_kind {
    STEP_CREATE = 'c',
    STEP_RECREATE = 'r',
    STEP_ADD = 'a',
    STEP_CLEAR = 't',
    STEP_STAGE = 's',
    STEP_SWAP = 'w',
    STEP_POUR = 'p',
    STEP_DROP = 'd',
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a step");
}

/* ---- what a step does, as statements -----------------------------------------------------------
 */

/* Statements of a step, each ended by a NUL, so that they can be run one by one. */
struct script {
    struct wh_buf b;
};

static wh_status script_end(struct script *s)
{
    return wh_buf_addc(&s->b, '\0');
}

static wh_status one(struct script *s, const char *fmt, struct wh_str a)
{
    WH_TRY(sql_add(&s->b, fmt, &a));
    return script_end(s);
}

static wh_status text(struct script *s, const char *sql)
{
    WH_TRY(wh_buf_adds(&s->b, sql));
    return script_end(s);
}

static wh_status script_add_columns(const struct lite_fl *fl, struct script *s)
{
    struct wh_str table = wh_str(fl->table);

    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (!fl->dest[i].added)
            continue;
        WH_TRY(sql_add(&s->b, "alter table %i add column %i %s", &table, &name, fl->dest[i].decl));
        WH_TRY(script_end(s));
    }
    return WH_OK;
}

/* Named indexes and triggers of a table, as they were made. */
static wh_status dependants(struct lite_se *se, const struct lite_fl *fl, const char *filter,
                            struct script *s,
                            int (*put)(struct script *, const struct lite_fl *, const char *, int),
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

static int put_as_is(struct script *s, const struct lite_fl *fl, const char *sql, int n)
{
    return text(s, sql);
}

static void stage_index(const struct lite_fl *fl, int n, char out[SQL_STAGE_NAME + 8])
{
    snprintf(out, SQL_STAGE_NAME + 8, "%s_i%d", fl->stage, n);
}

static int put_on_stage(struct script *s, const struct lite_fl *fl, const char *sql, int n)
{
    char name[SQL_STAGE_NAME + 8];

    stage_index(fl, n, name);
    WH_TRY(lite_ddl_index_on(sql, name, fl->stage, &s->b));
    return script_end(s);
}

static int put_drop(struct script *s, const struct lite_fl *fl, const char *sql, int n)
{
    char name[SQL_STAGE_NAME + 8];

    stage_index(fl, n, name);
    return one(s, "drop index if exists %i", wh_str(name));
}

static const char unique_only[] = "type = 'index' and sql like 'create unique%'";

/* The stage, with the unique indexes of the table it will replace: a duplicate is then the row's
 * fault, at once. Other indexes are made when it is full. */
static wh_status script_stage(struct lite_se *se, const struct lite_fl *fl, struct script *s,
                              struct wh_error *reterr)
{
    if (one(s, "drop table if exists %i", wh_str(fl->stage)) != WH_OK ||
        text(s, fl->create_stage) != WH_OK)
        return no_memory(reterr);
    if (!fl->swaps || !fl->existed || fl->recreate || !se->db)
        return WH_OK;
    return dependants(se, fl, unique_only, s, put_on_stage, reterr);
}

/* Views and foreign keys find their table by name, so the swap leaves them as they are; triggers
 * and named indexes go with the old table and are made again. */
static wh_status script_swap(struct lite_se *se, const struct lite_fl *fl, struct script *s,
                             struct wh_error *reterr)
{
    struct wh_str stage = wh_str(fl->stage), table = wh_str(fl->table);
    struct script after = {.b = WH_BUF(16 << 20)};
    bool keep = fl->existed && !fl->recreate && se->db;
    int st = WH_OK;

    if (keep)
        st = dependants(se, fl, unique_only, s, put_drop, reterr);
    if (st == WH_OK && keep)
        st = dependants(se, fl, "type in ('index', 'trigger')", &after, put_as_is, reterr);
    if (st == WH_OK && ((fl->existed && one(s, "drop table if exists %i", table) != WH_OK) ||
                        sql_add(&s->b, "alter table %i rename to %i", &stage, &table) != WH_OK ||
                        script_end(s) != WH_OK || wh_buf_add(&s->b, after.b.p, after.b.n) != WH_OK))
        st = no_memory(reterr);
    wh_buf_free(&after.b);
    return st;
}

static wh_status script_pour(const struct lite_fl *fl, struct script *s)
{
    struct wh_str stage = wh_str(fl->stage), table = wh_str(fl->table);

    if (fl->mode == WH_MODE_DELETE_INSERT) {
        WH_TRY(sql_add(&s->b, "delete from %i where (%s\n)", &table, fl->replace_where));
        WH_TRY(script_end(s));
    }
    WH_TRY(text(s, fl->settle));
    return one(s, "drop table %i", stage);
}

static wh_status script_of(struct lite_se *se, const struct lite_fl *fl, char kind,
                           struct script *s, struct wh_error *reterr)
{
    struct wh_str table = wh_str(fl->table), stage = wh_str(fl->stage);
    int st = WH_OK;

    switch (kind) {
    case STEP_CREATE:
        st = text(s, fl->create);
        break;
    case STEP_RECREATE:
        st = one(s, "drop table if exists %i", table);
        if (st == WH_OK)
            st = text(s, fl->create);
        break;
    case STEP_ADD:
        st = script_add_columns(fl, s);
        break;
    case STEP_CLEAR:
        st = one(s, "delete from %i", table);
        break;
    case STEP_STAGE:
        return script_stage(se, fl, s, reterr);
    case STEP_SWAP:
        return script_swap(se, fl, s, reterr);
    case STEP_POUR:
        st = script_pour(fl, s);
        break;
    case STEP_DROP:
        st = one(s, "drop table if exists %i", stage);
        break;
    default:
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    }
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- listing -----------------------------------------------------------------------------------
 */

static wh_status add(struct lite_fl *fl, struct lite_se *se, enum wh_phase phase, uint32_t *id,
                     char kind, uint32_t flags, struct wh_step_sink *out, struct wh_error *reterr)
{
    struct script s = {.b = WH_BUF(16 << 20)};
    struct wh_step step = {
        .id = *id + 1, .after = *id, .phase = phase, .flags = flags | WH_STEP_TRANSACTIONAL};
    int st = script_of(se, fl, kind, &s, reterr);

    if (st == WH_OK) {
        for (size_t i = 0; i + 1 < s.b.n; i++)
            if (!s.b.p[i])
                s.b.p[i] = ';';
        step.say = (struct wh_str){s.b.p, s.b.n ? s.b.n - 1 : 0};
        step.token = (struct wh_bytes){&kind, 1};
        st = out->add(out, &step);
        (*id)++;
    }
    wh_buf_free(&s.b);
    return st;
}

static wh_status prepare_steps(struct lite_fl *fl, struct lite_se *se, struct wh_step_sink *out,
                               struct wh_error *reterr)
{
    uint32_t id = 0;
    bool adds = false;

    for (int i = 0; i < fl->n_dest; i++)
        adds |= fl->dest[i].added;
    if (fl->create && fl->existed)
        WH_TRY(add(fl, se, WH_PREPARE, &id, STEP_RECREATE, WH_STEP_DESTRUCTIVE, out, reterr));
    else if (fl->create)
        WH_TRY(add(fl, se, WH_PREPARE, &id, STEP_CREATE, 0, out, reterr));
    else if (fl->mode == WH_MODE_TRUNCATE)
        WH_TRY(add(fl, se, WH_PREPARE, &id, STEP_CLEAR, WH_STEP_DESTRUCTIVE, out, reterr));
    if (adds)
        WH_TRY(add(fl, se, WH_PREPARE, &id, STEP_ADD, 0, out, reterr));
    if (fl->staged)
        WH_TRY(add(fl, se, WH_PREPARE, &id, STEP_STAGE, 0, out, reterr));
    return WH_OK;
}

wh_status lite_steps(void *self, void *session, enum wh_phase phase, struct wh_receipts *receipts,
                     struct wh_step_sink *out, struct wh_error *reterr)
{
    struct lite_fl *fl = self;
    struct lite_se *se = session;
    uint32_t id = 0;

    switch (phase) {
    case WH_PREPARE:
        return prepare_steps(fl, se, out, reterr);
    case WH_PUBLISH:
        if (!fl->staged)
            return WH_OK;
        return add(fl, se, phase, &id, fl->swaps ? STEP_SWAP : STEP_POUR, WH_STEP_DESTRUCTIVE, out,
                   reterr);
    case WH_DROP:
        if (!fl->staged)
            return WH_OK;
        return add(fl, se, phase, &id, STEP_DROP, WH_STEP_DESTRUCTIVE, out, reterr);
    default:
        return WH_OK;
    }
}

/* ---- doing -------------------------------------------------------------------------------------
 */

static wh_status run_script(struct lite_se *se, struct script *s, struct wh_error *reterr)
{
    for (size_t at = 0; at < s->b.n; at += strlen(s->b.p + at) + 1) {
        int st = lite_exec(se, s->b.p + at, reterr);

        if (st == WH_E_REMOTE && reterr)
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

static wh_status apply_inside(struct lite_fl *fl, struct lite_se *se, const struct wh_step *step,
                              const struct wh_fence *fence, struct wh_error *reterr)
{
    struct script s = {.b = WH_BUF(16 << 20)};
    char kind = *(const char *)step->token.p;
    int st;

    if (step->phase == WH_DROP)
        WH_TRY(may_drop(se, fence, reterr));
    else if (!fl->marker_off)
        WH_TRY(lite_marker_open(se, fence, sql_step_unit(step), 1, reterr));
    st = script_of(se, fl, kind, &s, reterr);
    if (st == WH_OK)
        st = run_script(se, &s, reterr);
    wh_buf_free(&s.b);
    return st;
}

/* Without markers a step that was done leaves the file as it wants it: nothing to create, no stage
 * to publish. */
static wh_status done_before(struct lite_fl *fl, struct lite_se *se, char kind, bool *ret,
                             struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str name = wh_str(kind == STEP_CREATE ? fl->table : fl->stage);
    int64_t there;

    *ret = false;
    if (kind != STEP_CREATE && kind != STEP_SWAP && kind != STEP_POUR)
        return WH_OK;
    if (sql_add(&b, "select 1 from sqlite_schema where type = 'table' and name = %l collate nocase",
                &name) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_number(se, b.p, 0, &there, reterr));
    *ret = kind == STEP_CREATE ? there : !there;
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

    if (step->token.n != 1)
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    if (step->phase == WH_DROP && !se->db)
        return WH_OK;
    WH_TRY(lite_se_create(se, reterr));
    atomic_store(&fl->ep->wrote, true);
    /* Renaming must leave views and other tables alone; neither can change inside a transaction. */
    WH_TRY(lite_exec(se, "pragma legacy_alter_table = on", reterr));
    WH_TRY(lite_exec(se, "pragma foreign_keys = off", reterr));
    WH_TRY(lite_exec(se, "begin immediate", reterr));
    if (fl->marker_off && maybe_done)
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
