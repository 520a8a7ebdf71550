/* SPDX-License-Identifier: Apache-2.0 */
/* Run row, epoch, targets (CONTRACT 4) in SQLite's terms.
 *
 * SQLite has one writer at a time: whoever is inside BEGIN IMMEDIATE proves that no other
 * transaction that writes lives. So claim needs no row locks: when its transaction commits, every
 * later unit or step of an older epoch finds a run row that is not its own any more. A stopped
 * process that holds the write lock cannot be ended from here: BLOCKED names it. */
#include "sqlite.h"

#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

enum {
    KEEP_DAYS = 30
};

static const char *const make_tables[] = {
    "create table if not exists wherry_run(run text not null primary key, epoch integer not null,"
    " state text not null, pid integer, host text, since text, closed_at integer, memo blob)"
    " without rowid",
    "create table if not exists wherry_unit" LITE_MARKER_TABLE,
    "create table if not exists wherry_target(object text not null primary key collate nocase,"
    " run text not null) without rowid",
};

static wh_status made(struct lite_se *se, struct wh_error *reterr)
{
    for (size_t i = 0; i < sizeof make_tables / sizeof *make_tables; i++) {
        int st = lite_exec(se, make_tables[i], reterr);

        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}

/* Does this step must not fail silently: a write statement of ours with its binds done. */
static wh_status run_once(struct lite_se *se, sqlite3_stmt *s, const char *what,
                          struct wh_error *reterr)
{
    int rc = sqlite3_step(s);

    if (rc != SQLITE_DONE && rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "%s", what);
    return WH_OK;
}

/* Our state calls it open: it is older than what happened, or we were stopped for long. */
static wh_status closed_there(struct wh_error *reterr)
{
    wh_ignore(wh_fail(reterr, WH_FENCED, "E7017", "this run was finished or given up elsewhere"));
    wh_error_hint(reterr, "wherry history shows whether by this state; 'wherry cancel RUN "
                          "--discard' ends it here and touches no row");
    return WH_FENCED;
}

static wh_status take_run(struct lite_se *se, const struct wh_fence *f, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL, *put WH_CLEANUP(lite_finalizep) = NULL;
    char host[64] = "", since[32];
    int rc;

    WH_TRY(lite_prepare(se, "select epoch, state from wherry_run where run = ?1", &s, reterr));
    lite_bind_str(s, 1, f->run);
    rc = sqlite3_step(s);
    if (rc == SQLITE_ROW) {
        if (!wh_str_eqs(lite_text_at(s, 1), "open"))
            return closed_there(reterr);
        if (sqlite3_column_int64(s, 0) > f->epoch)
            return wh_fail(reterr, WH_FENCED, "E7010", "epoch %lld owns this run, we are %u",
                           (long long)sqlite3_column_int64(s, 0), f->epoch);
    } else if (rc != SQLITE_DONE) {
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot read the run row");
    }
    wh_ignore(gethostname(host, sizeof host - 1));
    wh_format_utc(wh_wall_us(), since);
    WH_TRY(lite_prepare(se,
                        "insert into wherry_run(run, epoch, state, pid, host, since, memo) "
                        "values(?1, ?2, 'open', ?3, ?4, ?5, ?6) on conflict(run) do update set "
                        "epoch = excluded.epoch, pid = excluded.pid, host = excluded.host, "
                        "since = excluded.since, memo = coalesce(excluded.memo, memo)",
                        &put, reterr));
    lite_bind_str(put, 1, f->run);
    sqlite3_bind_int64(put, 2, f->epoch);
    sqlite3_bind_int64(put, 3, getpid());
    lite_bind_str(put, 4, wh_str(host));
    lite_bind_str(put, 5, wh_str(since));
    if (f->memo.n)
        sqlite3_bind_blob64(put, 6, f->memo.p, f->memo.n, SQLITE_STATIC);
    return run_once(se, put, "cannot write the run row", reterr);
}

/* ---- targets that another run holds ------------------------------------------------------------
 */

struct held {
    char run[64], host[64], since[32];
    int64_t pid;
    enum sql_owner owner;
};

/* Who holds the table: OK, END (nobody but us). */
static wh_status holder_of(struct lite_se *se, const struct wh_fence *f, struct wh_str object,
                           struct held *ret, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(lite_prepare(se,
                        "select r.run, r.pid, r.host, r.since, strftime('%s', r.since) from "
                        "wherry_target t join wherry_run r on r.run = t.run where t.object = ?1 "
                        "and r.run <> ?2 and r.state = 'open'",
                        &s, reterr));
    lite_bind_str(s, 1, object);
    lite_bind_str(s, 2, f->run);
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return WH_END;
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot read the target rows");
    snprintf(ret->run, sizeof ret->run, "%.*s", WH_STR_FMT(lite_text_at(s, 0)));
    ret->pid = sqlite3_column_int64(s, 1);
    snprintf(ret->host, sizeof ret->host, "%.*s", WH_STR_FMT(lite_text_at(s, 2)));
    snprintf(ret->since, sizeof ret->since, "%.*s", WH_STR_FMT(lite_text_at(s, 3)));
    ret->owner = sql_owner_of(ret->host, ret->pid, sqlite3_column_int64(s, 4));
    return WH_OK;
}

static wh_status held_by(const struct lite_se *se, struct wh_str object, const struct held *h,
                         struct wh_error *reterr)
{
    if (h->owner == SQL_OWNER_LIVES) {
        wh_ignore(wh_fail(reterr, WH_HELD_BY, "E7006",
                          "table \"%.*s\" is being written by run %s (process %lld on %s since %s)",
                          WH_STR_FMT(object), h->run, (long long)h->pid, h->host, h->since));
        if (reterr)
            wh_error_hint(reterr,
                          "wait for it with --lock-wait 10m; its state is in another folder "
                          "than ours");
        return WH_HELD_BY;
    }
    wh_ignore(
        wh_fail(reterr, WH_HELD_BY, "E7005",
                "table \"%.*s\" belongs to the unfinished run %s (process %lld on %s since %s, "
                "%s)",
                WH_STR_FMT(object), h->run, (long long)h->pid, h->host, h->since,
                h->owner == SQL_OWNER_DEAD ? "gone" : "not to be seen from here"));
    if (reterr && h->owner == SQL_OWNER_DEAD)
        wh_error_hint(reterr,
                      "wherry resume %s, where its state is; if that is lost: wherry resume "
                      "--rebuild-state %s "
                      "goes on, --fresh --yes gives it up: rows that it committed stay",
                      h->run, se->ep->path);
    else if (reterr)
        wh_error_hint(reterr,
                      "wherry resume %s on %s; if that machine is lost for good: sqlite3 '%s' "
                      "\"update wherry_run set state = 'closed' where run = '%s'\"",
                      h->run, h->host, se->ep->path, h->run);
    return WH_HELD_BY;
}

/* One run per target, also for runs of other machines whose state we cannot see. */
static wh_status take_target(struct lite_se *se, const struct wh_fence *f, struct wh_str object,
                             struct wh_error *reterr)
{
    sqlite3_stmt *put WH_CLEANUP(lite_finalizep) = NULL;
    struct held h;
    int st = holder_of(se, f, object, &h, reterr);

    if (st == WH_OK)
        return held_by(se, object, &h, reterr);
    if (st != WH_END)
        return st;
    WH_TRY(lite_prepare(se, "insert or replace into wherry_target(object, run) values(?1, ?2)",
                        &put, reterr));
    lite_bind_str(put, 1, object);
    lite_bind_str(put, 2, f->run);
    return run_once(se, put, "cannot hold the target", reterr);
}

static wh_status claim_inside(struct lite_se *se, const struct wh_fence *f,
                              const struct wh_objects *targets, struct wh_error *reterr)
{
    sqlite3_stmt *old WH_CLEANUP(lite_finalizep) = NULL;

    WH_TRY(made(se, reterr));
    WH_TRY(take_run(se, f, reterr));
    for (size_t i = 0; targets && i < targets->n; i++) {
        const struct wh_name *n = &targets->v[i];

        if (n->n > 0)
            WH_TRY(take_target(se, f, n->part[n->n - 1], reterr));
    }
    WH_TRY(lite_units_make(se, reterr));
    /* A closed run's row stays a while, so that a zombie of it finds itself fenced. */
    WH_TRY(lite_prepare(se, "delete from wherry_run where state = 'closed' and closed_at < ?1",
                        &old, reterr));
    sqlite3_bind_int64(old, 1, wh_wall_us() / 1000000 - KEEP_DAYS * 86400);
    return run_once(se, old, "cannot clear old runs", reterr);
}

/* BEGIN IMMEDIATE .. COMMIT around what touches our own tables. */
static wh_status commit_or_not(struct lite_se *se, int st, struct wh_error *reterr)
{
    if (st == WH_OK)
        st = lite_exec(se, "commit", reterr);
    if (st != WH_OK)
        lite_rollback(se);
    return st;
}

/* Who holds a target may be writing without a pause: its owner is named at once, the write lock
 * would only come when it is done. What cannot be read now is looked at under that lock. */
static wh_status held_already(struct lite_se *se, const struct wh_fence *f,
                              const struct wh_objects *targets, struct wh_error *reterr)
{
    bool ours = sqlite3_table_column_metadata(se->db, NULL, "wherry_target", NULL, NULL, NULL, NULL,
                                              NULL, NULL) == SQLITE_OK;
    struct wh_error ignored;
    struct held h;

    for (size_t i = 0; ours && targets && i < targets->n; i++) {
        const struct wh_name *n = &targets->v[i];

        if (n->n > 0 && holder_of(se, f, n->part[n->n - 1], &h, &ignored) == WH_OK)
            return held_by(se, n->part[n->n - 1], &h, reterr);
    }
    return WH_OK;
}

wh_status lite_claim(void *endpoint, void *session, const struct wh_fence *f,
                     const struct wh_objects *targets, struct wh_error *reterr)
{
    struct lite_ep *ep = endpoint;
    struct lite_se *se = session;

    WH_TRY(lite_se_create(se, reterr));
    WH_TRY(held_already(se, f, targets, reterr));
    atomic_store(&ep->wrote, true);
    WH_TRY(lite_set_journal(se, reterr));
    WH_TRY(lite_exec(se, "begin immediate", reterr));
    return commit_or_not(se, claim_inside(se, f, targets, reterr), reterr);
}

/* Nobody can end another process's transaction in SQLite; if the write lock comes, none lives. It
 * is not waited for: who asks has waited just now. */
wh_status lite_evict(void *endpoint, void *session, const struct wh_fence *f,
                     const struct wh_str *ident, struct wh_error *reterr)
{
    struct lite_se *se = session;
    int rc;

    if (!se->db)
        return WH_OK;
    se->wait_until = 0;
    rc = sqlite3_exec(se->db, "begin immediate", NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5001", "begin immediate");
    lite_rollback(se);
    return WH_OK;
}

static wh_status forget_units(void *arg, struct lite_se *se, const char *units,
                              struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    const struct wh_fence *f = arg;
    struct wh_str table = wh_str(units);

    if (sql_add(&b, "delete from %i where run = ?1", &table) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    WH_TRY(lite_prepare(se, b.p, &s, reterr));
    lite_bind_str(s, 1, f->run);
    return run_once(se, s, "cannot delete the markers", reterr);
}

static wh_status close_inside(struct lite_se *se, const struct wh_fence *f, struct wh_error *reterr)
{
    static const char *const each[] = {
        "update wherry_run set state = 'closed', closed_at = ?2 where run = ?1",
        "delete from wherry_target where run = ?1",
    };
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(lite_prepare(se, "select epoch from wherry_run where run = ?1", &s, reterr));
    lite_bind_str(s, 1, f->run);
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE) /* closed long ago, or never claimed */
        return WH_OK;
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot read the run row");
    if (sqlite3_column_int64(s, 0) > f->epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %lld owns this run, we are %u",
                       (long long)sqlite3_column_int64(s, 0), f->epoch);
    for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
        sqlite3_stmt *w WH_CLEANUP(lite_finalizep) = NULL;

        WH_TRY(lite_prepare(se, each[i], &w, reterr));
        lite_bind_str(w, 1, f->run);
        if (i == 0)
            sqlite3_bind_int64(w, 2, wh_wall_us() / 1000000);
        WH_TRY(run_once(se, w, "cannot close the run", reterr));
    }
    return lite_units_each(se, forget_units, (void *)(uintptr_t)f, reterr);
}

/* ---- giving up runs of the dead ----------------------------------------------------------------
 */

/* Stages of the run: nobody will ever ask for them. */
static wh_status drop_stages(struct lite_se *se, const struct wh_fence *f, struct wh_error *reterr)
{
    char stage[SQL_STAGE_NAME], sql[SQL_STAGE_NAME + 32];
    size_t prefix = sql_stage_prefix(f, stage);

    for (;;) {
        sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
        int rc;

        WH_TRY(lite_prepare(se,
                            "select name from sqlite_schema where type = 'table' and "
                            "substr(name, 1, ?2) = ?1",
                            &s, reterr));
        lite_bind_str(s, 1, (struct wh_str){stage, prefix});
        sqlite3_bind_int64(s, 2, (int64_t)prefix);
        rc = sqlite3_step(s);
        if (rc == SQLITE_DONE)
            return WH_OK;
        if (rc != SQLITE_ROW)
            return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot list stages");
        snprintf(sql, sizeof sql, "drop table \"%.*s\"", WH_STR_FMT(lite_text_at(s, 0)));
        lite_finalizep(&s);
        WH_TRY(lite_exec(se, sql, reterr));
    }
}

struct showing {
    const struct wh_fence *f;
    int64_t rows;
};

/* Rows that show: those of flows without a stage, and of stages that were published. */
static wh_status rows_of(void *arg, struct lite_se *se, const char *units, struct wh_error *reterr)
{
    static const char sql[] =
        "select sum(u.rows) from %i u where u.run = ?1 and u.unit > 0 and (not exists("
        "select 1 from sqlite_schema where type = 'table' and name = ?2 || u.flow || '_g' || "
        "u.generation) or exists(select 1 from %i p where p.run = u.run and p.flow = "
        "u.flow "
        "and p.generation = u.generation and p.unit between ?3 and ?4))";
    struct wh_step first = {.phase = WH_PUBLISH, .id = 0},
                   last = {.phase = WH_PUBLISH, .id = 999999};
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_str table = wh_str(units);
    struct showing *of = arg;
    char stage[SQL_STAGE_NAME];
    size_t prefix = sql_stage_prefix(of->f, stage);
    int rc;

    if (sql_add(&b, sql, &table, &table) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    WH_TRY(lite_prepare(se, b.p, &s, reterr));
    lite_bind_str(s, 1, of->f->run);
    lite_bind_str(s, 2, (struct wh_str){stage, prefix});
    sqlite3_bind_int64(s, 3, sql_step_unit(&last));
    sqlite3_bind_int64(s, 4, sql_step_unit(&first));
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5013", "cannot count what stays");
    of->rows += sqlite3_column_int64(s, 0);
    return WH_OK;
}

/* Closes the run at this database as its own owner would: whoever may still believe in it is
 * fenced. */
static wh_status disown_one(struct lite_se *se, const struct held *h, bool act,
                            struct wh_disowned *ret, struct wh_error *reterr)
{
    struct wh_fence f = {.run = wh_str(h->run), .epoch = UINT32_MAX};
    struct showing shown = {.f = &f};
    size_t at = strlen(ret->text);

    WH_TRY(lite_units_each(se, rows_of, &shown, reterr));
    ret->rows += shown.rows;
    ret->runs++;
    snprintf(ret->text + at, sizeof ret->text - at, "%srun %s (process %lld on %s since %s)",
             at ? ", " : "", h->run, (long long)h->pid, h->host, h->since);
    if (!act)
        return WH_OK;
    WH_TRY(drop_stages(se, &f, reterr));
    return close_inside(se, &f, reterr);
}

static wh_status disown_inside(struct lite_se *se, const struct wh_fence *f,
                               const struct wh_objects *targets, bool act, struct wh_disowned *ret,
                               struct wh_error *reterr)
{
    char seen[64] = "";

    for (size_t i = 0; targets && i < targets->n; i++) {
        const struct wh_name *n = &targets->v[i];
        struct wh_str object = n->n > 0 ? n->part[n->n - 1] : (struct wh_str){0};
        struct held h;
        int st = n->n > 0 ? holder_of(se, f, object, &h, reterr) : WH_END;

        if (st == WH_END || (st == WH_OK && strcmp(seen, h.run) == 0))
            continue;
        WH_TRY(st);
        if (h.owner != SQL_OWNER_DEAD)
            return held_by(se, object, &h, reterr);
        snprintf(seen, sizeof seen, "%s", h.run);
        WH_TRY(disown_one(se, &h, act, ret, reterr));
    }
    return WH_OK;
}

wh_status lite_disown(void *endpoint, void *session, const struct wh_fence *f,
                      const struct wh_objects *targets, bool act, struct wh_disowned *ret,
                      struct wh_error *reterr)
{
    struct lite_se *se = session;
    struct wh_disowned found = {0};

    if (!se->db)
        return WH_OK;
    WH_TRY(lite_exec(se, "begin immediate", reterr));
    WH_TRY(commit_or_not(se, disown_inside(se, f, targets, act, &found, reterr), reterr));
    *ret = found;
    return WH_OK;
}

wh_status lite_run_close(void *endpoint, void *session, const struct wh_fence *f,
                         struct wh_error *reterr)
{
    struct lite_se *se = session;
    int64_t ours;

    if (!se->db)
        return WH_OK;
    WH_TRY(
        lite_number(se, "select 1 from sqlite_schema where name = 'wherry_run'", 0, &ours, reterr));
    if (!ours)
        return WH_OK;
    WH_TRY(lite_exec(se, "begin immediate", reterr));
    return commit_or_not(se, close_inside(se, f, reterr), reterr);
}

/* ---- what rebuilds a lost state ----------------------------------------------------------------
 */

wh_status lite_remember(void *endpoint, void *session, const struct wh_fence *f,
                        struct wh_bytes memo, struct wh_error *reterr)
{
    struct lite_se *se = session;
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;

    WH_TRY(lite_prepare(se,
                        "update wherry_run set memo = ?3 where run = ?1 and epoch = ?2 and "
                        "state = 'open'",
                        &s, reterr));
    lite_bind_str(s, 1, f->run);
    sqlite3_bind_int64(s, 2, f->epoch);
    sqlite3_bind_blob64(s, 3, memo.p, memo.n, SQLITE_STATIC);
    lite_patience(se);
    WH_TRY(run_once(se, s, "cannot keep the run's memo", reterr));
    if (sqlite3_changes(se->db) != 1)
        return wh_fail(reterr, WH_FENCED, "E7010", "this run is closed, or another process's");
    return WH_OK;
}

static struct wh_bytes blob_of(sqlite3_stmt *s, int column)
{
    const void *p = sqlite3_column_blob(s, column);

    return (struct wh_bytes){p, p ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

static void open_run(sqlite3_stmt *s, struct wh_recalled *r, char *owner, size_t size)
{
    char host[64] = "";
    int64_t pid = sqlite3_column_int64(s, 2);

    wh_ignore(gethostname(host, sizeof host - 1));
    snprintf(owner, size, "pid %lld on %.*s since %.*s", (long long)pid,
             WH_STR_FMT(lite_text_at(s, 3)), WH_STR_FMT(lite_text_at(s, 4)));
    r->owner = wh_str(owner);
    r->alive = wh_str_eqs(lite_text_at(s, 3), host) && pid > 0 && pid != getpid() &&
               kill((pid_t)pid, 0) == 0;
    r->epoch = (uint32_t)sqlite3_column_int64(s, 1);
    r->memo = blob_of(s, 5);
}

static void marker_of(sqlite3_stmt *s, struct wh_recalled *r)
{
    r->flow = (uint32_t)sqlite3_column_int64(s, 1);
    r->generation = (uint32_t)sqlite3_column_int64(s, 2);
    r->unit = sqlite3_column_int64(s, 3);
    r->attempt = sqlite3_column_int(s, 4);
    r->rest = blob_of(s, 5);
    r->seed = blob_of(s, 6);
}

struct recalling {
    const struct wh_str *run;
    wh_recall_fn each;
    void *arg;
};

static wh_status recalled(struct lite_se *se, const struct recalling *c, const char *sql,
                          struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(lite_prepare(se, sql, &s, reterr));
    if (c->run)
        lite_bind_str(s, 1, *c->run);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct wh_recalled r = {.run = lite_text_at(s, 0)};
        char owner[160];

        if (c->run)
            marker_of(s, &r);
        else
            open_run(s, &r, owner, sizeof owner);
        WH_TRY(c->each(c->arg, &r));
    }
    return rc == SQLITE_DONE
               ? WH_OK
               : lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read our own tables");
}

static wh_status recalled_units(void *arg, struct lite_se *se, const char *units,
                                struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(units);

    if (sql_add(&b,
                "select run, flow, generation, unit, attempt, rest, seed from %i where run = ?1 "
                "and unit > 0 order by flow, generation, unit",
                &table) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    return recalled(se, arg, b.p, reterr);
}

wh_status lite_recall(void *endpoint, void *session, const struct wh_str *run, wh_recall_fn each,
                      void *arg, struct wh_error *reterr)
{
    struct recalling c = {run, each, arg};
    struct lite_se *se = session;
    int64_t ours = 0;

    if (!se->db)
        return WH_OK;
    WH_TRY(lite_number(
        se, "select count(*) from sqlite_schema where name in ('wherry_run', 'wherry_unit')", 0,
        &ours, reterr));
    if (ours != 2)
        return WH_OK;
    if (run)
        return lite_units_each(se, recalled_units, &c, reterr);
    return recalled(se, &c,
                    "select run, epoch, pid, host, since, memo from wherry_run where "
                    "state = 'open'",
                    reterr);
}
