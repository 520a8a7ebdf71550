/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint verbs that all fakes share: options, sessions, claim, closing, faults, POINT snapshots.
 */
#include "hard.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/clock.h"
#include "data/number.h"

/* -------------------------------------------------------------------------------------- options */

static const struct wh_option rows[] = {
    WH_OPT_STR(struct hard_options, path, .flags = WH_OPT_REQUIRED | WH_OPT_PATH,
               .help = "Folder of the server's files"),
    WH_OPT_I64(struct hard_options, fail_every, 0, INT64_MAX, .def = "0",
               .help = "Every n-th read, write, commit or step fails and may be tried again"),
    WH_OPT_I64(struct hard_options, lose_every, 0, INT64_MAX, .def = "0",
               .help = "Every n-th read, write, commit or step loses its session"),
    WH_OPT_I64(struct hard_options, unknown_every, 0, INT64_MAX, .def = "0",
               .help = "Every n-th commit does not say what became of it: done and not, in turn"),
    WH_OPT_DURATION(struct hard_options, delay_ms, 0, 60000, .def = "0ms", .aliases = "delay",
                    .help = "Each read and write takes that long"),
    WH_OPT_DURATION(struct hard_options, sleep_commit_ms, 0, 60000, .def = "0ms",
                    .help = "Each commit waits that long before it begins"),
    WH_OPT_STR(struct hard_options, refuse,
               .help = "Rows that the server refuses: SQL over the column id, 'id % 100 = 7'"),
    WH_OPT_I64(struct hard_options, again_every, 0, INT64_MAX, .def = "100",
               .help = "hard-again: every n-th row is to be sent again; 0 = none"),
    WH_OPT_BOOL(struct hard_options, marker, .def = "on",
                .help =
                    "off: markers are lost, lookups say absent, class P publishes what it finds "
                    "(a control that must go red)"),
    WH_OPT_BOOL(struct hard_options, snapshot, .def = "on",
                .help = "off: join says OK and enters nothing (a control that must go red)"),
    WH_OPT_I64(struct hard_options, batch_rows, 1, 16384, .def = "500",
               .help = "Rows of a batch that a source gives"),
    WH_OPT_I64(struct hard_options, split_rows, 0, INT64_MAX, .def = "0",
               .help = "Ids of a split; 0 = by the run's unit size, 40 bytes a row"),
    WH_OPT_I64(struct hard_options, groups, 1, 1024, .def = "4",
               .help = "hard-settle: file groups; hard-ordered: partitions of the source"),
    WH_OPT_END};
const struct wh_options hard_connection = {rows, sizeof(struct hard_options), "hard connection"};

/* ------------------------------------------------------------------------------------- endpoint */

wh_status hard_open(void *self, const struct wh_ctx *ctx, enum wh_role role, const void *opts,
                    struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    char folder[PATH_MAX];

    ep->ctx = ctx;
    ep->opts = opts;
    pthread_mutex_init(&ep->mutex, NULL);
    ep->open = true;
    if (!realpath(ep->opts->path, folder))
        return wh_fail_errno(reterr, 2, "E2012", "no folder %s", ep->opts->path);
    if ((size_t)snprintf(ep->db_path, HARD_PATH, "%s/server.db", folder) >= HARD_PATH)
        return wh_fail(reterr, WH_E_LIMIT, "E2012", "%s is too long a path", folder);
    return WH_OK;
}

wh_status hard_check(void *ep, void *self, struct wh_error *reterr)
{
    struct hard_session *se = self;
    int64_t one;

    return hard_int(se->db, &one, NULL, reterr, "select 1");
}

void hard_close(void *self)
{
    struct hard_endpoint *ep = self;

    if (!ep->open)
        return;
    ep->open = false;
    wh_free(ep->own);
    pthread_mutex_destroy(&ep->mutex);
}

/* ------------------------------------------------------------------------------------- sessions */

static const char *use_name(enum wh_use use)
{
    static const char *const names[] = {"control", "read", "write", "step"};

    return names[use & 3];
}

static wh_status announce(struct hard_session *se, struct wh_error *reterr)
{
    snprintf(se->ident, sizeof se->ident, "%d-%016llx", (int)getpid(),
             (unsigned long long)wh_random64());
    return hard_exec(se->db, reterr, "insert into hard_session values(%Q, %Q, %lld, %d, %Q)",
                     se->ident, se->ep->run, (long long)se->ep->epoch, (int)getpid(),
                     use_name(se->use));
}

wh_status hard_session_open(void *self, void *ep, enum wh_use use, struct wh_str *ret_ident,
                            struct wh_error *reterr)
{
    struct hard_session *se = self;
    sqlite3 *db = NULL;

    se->ep = ep;
    se->use = use;
    se->slot = -1;
    WH_TRY(hard_db_open(se->ep->db_path, &db, reterr));
    se->db = db;
    int64_t found = 0;

    WH_TRY(hard_int(db, &found, NULL, reterr,
                    "select count(*) from sqlite_schema where name = 'hard_order'"));
    if (!found)
        WH_TRY(hard_tables(db, reterr));
    WH_TRY(announce(se, reterr));
    *ret_ident = wh_str(se->ident);
    return WH_OK;
}

/* Any thread: whatever statement runs now ends, whatever verb comes next answers LOST. */
void hard_interrupt(void *self)
{
    struct hard_session *se = self;
    sqlite3 *db = se->db;

    atomic_store(&se->interrupted, true);
    if (db)
        sqlite3_interrupt(db);
}

void hard_session_close(void *self)
{
    struct hard_session *se = self;
    sqlite3 *db = se->db;

    if (!db)
        return;
    hard_rollback(db);
    if (se->ident[0])
        wh_ignore(hard_exec(db, NULL, "delete from hard_session where ident = %Q", se->ident));
    se->db = NULL;
    if (se->slot < 0)
        sqlite3_close(db);
}

wh_status hard_lost(struct hard_session *se, struct wh_error *reterr, const char *why)
{
    se->dead = true;
    hard_rollback(se->db);
    int st = wh_fail(reterr, WH_LOST, "E2008", "%s", why);

    if (reterr)
        reterr->scope = WH_SCOPE_SESSION;
    return st;
}

/* --------------------------------------------------------------------------------------- faults */

static bool every(atomic_llong *calls, int64_t n)
{
    return n > 0 && (atomic_fetch_add(calls, 1) + 1) % n == 0;
}

static wh_status pause_for(const struct wh_ctx *ctx, int64_t ms, struct wh_error *reterr)
{
    int64_t deadline = wh_now_ns() + ms * 1000000;

    if (ms <= 0 || !ctx || !ctx->wait)
        return WH_OK;
    int st = ctx->wait(ctx, -1, 0, deadline, reterr);

    return st == WH_E_IO && wh_now_ns() >= deadline ? WH_OK : st;
}

wh_status hard_fault(struct hard_session *se, const struct wh_ctx *attempt, const char *what,
                     struct wh_error *reterr)
{
    struct hard_endpoint *ep = se->ep;
    char why[80];

    WH_TRY(pause_for(attempt, ep->opts->delay_ms, reterr));
    if (atomic_load(&se->interrupted) || se->dead)
        return hard_lost(se, reterr, "the session was ended");
    if (every(&ep->calls_lose, ep->opts->lose_every)) {
        snprintf(why, sizeof why, "the fake server cut the session at %s", what);
        return hard_lost(se, reterr, why);
    }
    if (!every(&ep->calls_fail, ep->opts->fail_every))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_REMOTE, "E5001", "the fake server failed at %s", what);

    if (reterr) {
        reterr->retriable = true;
        reterr->scope = WH_SCOPE_ATTEMPT;
    }
    return st;
}

int hard_unknown(struct hard_endpoint *ep)
{
    int64_t n = ep->opts->unknown_every, call = atomic_fetch_add(&ep->commits, 1) + 1;

    if (n <= 0 || call % n)
        return 0;
    return call / n % 2 ? 1 : 2;
}

/* ------------------------------------------------------------------------------ claim and close */

static wh_status take_run(sqlite3 *db, const char *run, const struct wh_fence *fence,
                          struct wh_error *reterr)
{
    int64_t epoch = 0, open = 1;
    bool found = false;

    WH_TRY(
        hard_int(db, &epoch, &found, reterr, "select epoch from wherry_run where run = %Q", run));
    if (!found)
        return hard_exec(db, reterr, "insert into wherry_run values(%Q, %lld, 'open')", run,
                         (long long)fence->epoch);
    WH_TRY(hard_int(db, &open, NULL, reterr, "select state = 'open' from wherry_run where run = %Q",
                    run));
    if (!open || epoch > (int64_t)fence->epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "run %s: epoch %lld, %s; mine is %u", run,
                       (long long)epoch, open ? "open" : "closed", fence->epoch);
    return hard_exec(db, reterr, "update wherry_run set epoch = %lld where run = %Q",
                     (long long)fence->epoch, run);
}

static wh_status take_target(sqlite3 *db, const char *run, const struct wh_name *name,
                             struct wh_error *reterr)
{
    char object[HARD_NAME];
    HARD_STMT *stmt = NULL;

    snprintf(object, sizeof object, "%.*s", WH_STR_FMT(name->part[name->n > 0 ? name->n - 1 : 0]));
    WH_TRY(
        hard_prepare(db, &stmt, reterr, "select run from wherry_target where object = %Q", object));
    if (sqlite3_step(stmt) != SQLITE_ROW) {
        hard_finalize(&stmt);
        return hard_exec(db, reterr, "insert into wherry_target values(%Q, %Q)", object, run);
    }
    if (strcmp((const char *)sqlite3_column_text(stmt, 0), run) == 0)
        return WH_OK;
    return wh_fail(reterr, WH_HELD_BY, "E7005", "table %s belongs to run %s", object,
                   (const char *)sqlite3_column_text(stmt, 0));
}

wh_status hard_claim(void *self, void *session, const struct wh_fence *fence,
                     const struct wh_objects *targets, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct hard_session *se = session;
    char run[HARD_RUN];

    snprintf(run, sizeof run, "%.*s", WH_STR_FMT(fence->run));
    WH_TRY(hard_exec(se->db, reterr, "begin immediate"));
    int st = take_run(se->db, run, fence, reterr);

    for (size_t i = 0; st == WH_OK && i < targets->n; i++)
        st = take_target(se->db, run, &targets->v[i], reterr);
    if (st == WH_OK)
        st = hard_exec(se->db, reterr, "commit");
    if (st != WH_OK) {
        hard_rollback(se->db);
        return st;
    }
    snprintf(ep->run, sizeof ep->run, "%s", run);
    ep->epoch = fence->epoch;
    return WH_OK;
}

/* A session that is no longer in hard_session finds that out in its next transaction. */
wh_status hard_evict(void *ep, void *session, const struct wh_fence *fence,
                     const struct wh_str *ident, struct wh_error *reterr)
{
    struct hard_session *se = session;

    if (ident)
        return hard_exec(se->db, reterr, "delete from hard_session where ident = '%.*q'",
                         (int)ident->n, ident->s);
    return hard_exec(se->db, reterr, "delete from hard_session where run = '%.*q' and epoch < %lld",
                     (int)fence->run.n, fence->run.s, (long long)fence->epoch);
}

wh_status hard_run_close(void *ep, void *session, const struct wh_fence *fence,
                         struct wh_error *reterr)
{
    struct hard_session *se = session;
    char run[HARD_RUN];

    snprintf(run, sizeof run, "%.*s", WH_STR_FMT(fence->run));
    WH_TRY(hard_exec(se->db, reterr, "update wherry_run set state = 'closed' where run = %Q", run));
    int st = hard_exec(se->db, reterr,
                       "begin immediate;"
                       "delete from wherry_unit where run = %Q;"
                       "delete from wherry_target where run = %Q;"
                       "commit",
                       run, run);

    if (st != WH_OK)
        hard_rollback(se->db);
    return st;
}

/* ------------------------------------------------------------------------------------ catalogue */

static bool ours(const char *name)
{
    return name[0] == '@' || strncmp(name, "wherry_", 7) == 0 || strncmp(name, "hard_", 5) == 0 ||
           strncmp(name, "sqlite_", 7) == 0;
}

wh_status hard_catalog(void *ep, void *session, const struct wh_pattern *pattern,
                       wh_catalog_fn each, void *arg, struct wh_error *reterr)
{
    struct hard_session *se = session;
    struct ArrowSchema columns = {0};
    HARD_STMT *stmt = NULL;
    int st = WH_OK;

    WH_TRY(hard_prepare(se->db, &stmt, reterr,
                        "select t.name from sqlite_schema t where type = 'table' and 3 ="
                        " (select count(*) from pragma_table_info(t.name) where name in"
                        " ('id', 'account', 'amount')) order by 1"));
    WH_TRY(hard_source_schema(&columns));
    while (st == WH_OK && sqlite3_step(stmt) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(stmt, 0);
        struct wh_object object = {.name = {.part = {wh_str(name)}, .n = 1},
                                   .kind = WH_OBJ_TABLE,
                                   .columns = &columns,
                                   .est_rows = -1,
                                   .est_bytes = -1};

        if (!ours(name) && (!pattern || !pattern->match || pattern->match(pattern, &object.name)))
            st = each(arg, &object);
    }
    wh_schema_release(&columns);
    return st;
}

/* ------------------------------------------------------------------------------- POINT snapshot */

wh_status hard_point_snapshot(void *self, void *session, const struct wh_objects *pin, int sessions,
                              struct wh_snapshot *ret, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct hard_session *se = session;
    int64_t version = 0;

    WH_TRY(hard_version_make(se->db, ep->ctx && ep->ctx->run ? ep->ctx->run : "", pin, false,
                             &version, reterr));
    snprintf(ep->point, sizeof ep->point, "%lld", (long long)version);
    *ret = (struct wh_snapshot){.kind = WH_SNAP_POINT, .token = {ep->point, strlen(ep->point)}};
    snprintf(ret->what, sizeof ret->what, "version %s", ep->point);
    atomic_store(&ep->version, version);
    return WH_OK;
}

wh_status hard_point_join(void *self, const struct wh_snapshot *snap, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    int64_t version = 0;
    bool found = false;
    sqlite3 *db = NULL;

    if (!ep->opts->snapshot) /* the control: nothing is entered, rows are read as they are now */
        return WH_OK;
    if (!wh_read_i64(snap->token.p, snap->token.n, &version))
        return wh_fail(reterr, WH_GONE, "E4008", "the token is none of ours");
    WH_TRY(hard_db_open(ep->db_path, &db, reterr));
    int st = hard_int(db, &version, &found, reterr,
                      "select version from hard_version where version = %lld", (long long)version);

    sqlite3_close(db);
    if (st == WH_OK && !found)
        return wh_fail(reterr, WH_GONE, "E4008", "version %lld is not kept any more",
                       (long long)version);
    if (st == WH_OK)
        atomic_store(&ep->version, version);
    return st;
}

void hard_no_release(void *ep, const struct wh_snapshot *snap)
{
}

const struct wh_endpoint_ops hard_endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = hard_open,
    .check = hard_check,
    .session_open = hard_session_open,
    .interrupt = hard_interrupt,
    .snapshot = hard_point_snapshot,
    .join = hard_point_join,
    .release = hard_no_release,
    .catalog = hard_catalog,
    .claim = hard_claim,
    .evict = hard_evict,
    .run_close = hard_run_close,
    .session_close = hard_session_close,
    .close = hard_close,
};
