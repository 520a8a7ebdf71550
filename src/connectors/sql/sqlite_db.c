/* SPDX-License-Identifier: Apache-2.0 */
/* Opening files, running statements, and SQLite's answers as ours. */
#include "core/hash.h"
#include "core/log.h"
#include "sqlite.h"

#include <errno.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "core/clock.h"

/* ---- opening -----------------------------------------------------------------------------------
 */

wh_status lite_open(struct lite_ep *ep, bool create, sqlite3 **ret, struct wh_error *reterr)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    struct stat st;
    sqlite3 *db = NULL;
    int rc;

    if (stat(ep->path, &st) != 0) {
        if (errno != ENOENT)
            return wh_fail_errno(reterr, errno, "E2013", "cannot reach %s", ep->path);
        if (!create)
            return wh_fail(reterr, WH_E_NOT_FOUND, "E2012", "there is no database %s", ep->path);
    } else if (!S_ISREG(st.st_mode)) {
        return wh_fail(reterr, WH_E_USAGE, "E2014", "%s is not a file", ep->path);
    }
    rc = sqlite3_open_v2(ep->path, &db, create ? flags | SQLITE_OPEN_CREATE : flags, NULL);
    if (rc != SQLITE_OK) {
        int st_fail =
            wh_fail(reterr, rc == SQLITE_NOMEM ? WH_E_NOMEM : WH_E_AUTH, "E2013",
                    "cannot open %s: %s", ep->path, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));

        sqlite3_close(db);
        return st_fail;
    }
    *ret = db;
    return WH_OK;
}

void lite_close(sqlite3 *db, bool checkpoint)
{
    if (!db)
        return;
    /* A reader that happens to be the last one must not rewrite the file. */
    if (!checkpoint)
        sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_close_v2(db);
}

/* ---- waiting for locks -------------------------------------------------------------------------
 */

void lite_patience(struct lite_se *se)
{
    int64_t now = wh_now_ns(), end = now + se->ep->o->lock_timeout * 1000000;
    int64_t deadline = se->ctx && se->ctx->deadline ? se->ctx->deadline(se->ctx) : 0;

    se->wait_until = deadline > 0 && deadline < end ? deadline : end;
}

/* SQLite's busy handler: non-zero = look again. Short pauses first, so that a lane that waits for
 * another lane's commit loses little. */
static int on_busy(void *arg, int times)
{
    static const int pause_ms[] = {1, 1, 2, 2, 5, 5, 10, 10, 20};
    struct lite_se *se = arg;
    int64_t now = wh_now_ns(), until;
    struct wh_error ignored;

    if (atomic_load(&se->stopped) || now >= se->wait_until)
        return 0;
    if (se->ctx->cancelled && se->ctx->cancelled(se->ctx))
        return 0;
    if (se->ctx->hurried && se->ctx->hurried(se->ctx))
        return 0;
    until = now + (times < 9 ? pause_ms[times] : 25) * INT64_C(1000000);
    if (until > se->wait_until)
        until = se->wait_until;
    return se->ctx->wait(se->ctx, -1, 0, until, &ignored) != WH_E_CANCELLED;
}

/* A statement that runs once per row is told once, and then how often. */
static int on_statement(unsigned what, void *arg, void *statement, void *ns)
{
    struct lite_se *se = arg;
    const char *sql = sqlite3_sql(statement);
    uint64_t hash = sql ? wh_hash64(sql, strlen(sql), 0) : 0;
    char times[80];

    if (se->said.hash == hash) {
        se->said.n++;
        se->said.ns += *(int64_t *)ns;
        return 0;
    }
    if (se->said.n) {
        snprintf(times, sizeof times, "(the same, %lld times more)", (long long)se->said.n);
        wh_log_statement(se->ctx->connection, times, se->said.ns, NULL);
    }
    se->said.hash = hash;
    se->said.n = se->said.ns = 0;
    wh_log_statement(se->ctx->connection, sql ? sql : "", *(int64_t *)ns, NULL);
    return 0;
}

void lite_se_take(struct lite_se *se, sqlite3 *db)
{
    static const char *const sync_words[] = {NULL, "off", "normal", "full", "extra"};
    const struct lite_connection *o = se->ep->o;
    int64_t cache = se->ctx->grant ? se->ctx->grant(se->ctx, o->cache) : o->cache;
    char sql[96];

    sqlite3_busy_handler(db, on_busy, se);
    if (wh_log_on(WH_LOG_DEBUG, "sql"))
        sqlite3_trace_v2(db, SQLITE_TRACE_PROFILE, on_statement, se);
    if (cache > o->cache)
        cache = o->cache;
    snprintf(sql, sizeof sql, "pragma cache_size = -%lld", (long long)(cache / 1024));
    sqlite3_exec(db, sql, NULL, NULL, NULL);
    if (o->synchronous != LITE_SYNC_KEEP) {
        snprintf(sql, sizeof sql, "pragma synchronous = %s", sync_words[o->synchronous]);
        sqlite3_exec(db, sql, NULL, NULL, NULL);
    }
    if (se->use == WH_READ)
        sqlite3_exec(db, "pragma query_only = 1", NULL, NULL, NULL);
    /* Views and triggers of a file that somebody sent us may only use harmless functions. */
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    pthread_mutex_lock(&se->lock);
    se->db = db;
    pthread_mutex_unlock(&se->lock);
}

wh_status lite_se_create(struct lite_se *se, struct wh_error *reterr)
{
    sqlite3 *db;

    if (se->db)
        return WH_OK;
    WH_TRY(lite_open(se->ep, true, &db, reterr));
    lite_se_take(se, db);
    return lite_set_journal(se, reterr);
}

wh_status lite_set_journal(struct lite_se *se, struct wh_error *reterr)
{
    int mode = se->ep->o->journal_mode;

    if (mode == LITE_J_KEEP)
        return WH_OK;
    return lite_exec(
        se, mode == LITE_J_WAL ? "pragma journal_mode = wal" : "pragma journal_mode = delete",
        reterr);
}

/* ---- SQLite's answers --------------------------------------------------------------------------
 */

static int fail_locked(struct lite_se *se, const char *what, const char *native,
                       struct wh_error *reterr)
{
    char who[256];

    lite_lock_holders(se->ep, who, sizeof who);
    wh_ignore(wh_fail(reterr, WH_BLOCKED, "E5010", "%s: %s; %s%s", what, native,
                      who[0] ? "lock held by " : "no other process holds a lock on the file now",
                      who));
    if (!reterr)
        return WH_BLOCKED;
    reterr->retriable = true;
    wh_error_where(reterr, "%s", se->ep->path);
    if (who[0])
        wh_error_hint(reterr, "end or continue that process, or wait longer: lock_timeout=5m");
    else
        wh_error_hint(reterr, "if source and destination are the same file, its readers hold up "
                              "the commit: use journal_mode=wal");
    return WH_BLOCKED;
}

/* What a primary result code means for the engine; the rest is the caller's `status` and `code`. */
static const struct meaning {
    int rc, status;
    const char *code;
    enum wh_scope scope;
    bool retriable;
} meanings[] = {
    {SQLITE_NOMEM, WH_E_NOMEM, "E8002", WH_SCOPE_ATTEMPT, true},
    {SQLITE_FULL, WH_E_IO, "E5004", WH_SCOPE_RUN, true},
    {SQLITE_NOTADB, WH_E_DATA, "E2014", WH_SCOPE_ENDPOINT, false},
    {SQLITE_CORRUPT, WH_E_DATA, "E4011", WH_SCOPE_ENDPOINT, false},
    {SQLITE_CANTOPEN, WH_E_AUTH, "E2013", WH_SCOPE_ENDPOINT, false},
    {SQLITE_READONLY, WH_E_AUTH, "E5014", WH_SCOPE_ENDPOINT, false},
    {SQLITE_PERM, WH_E_AUTH, "E2013", WH_SCOPE_ENDPOINT, false},
    {SQLITE_SCHEMA, WH_E_TYPE, "E3006", WH_SCOPE_ATTEMPT, true},
    {SQLITE_IOERR, WH_E_IO, NULL, WH_SCOPE_SESSION, true},
};

static int fail_interrupted(struct lite_se *se, struct wh_error *reterr, const char *what)
{
    if (!atomic_load(&se->stopped) && se->ctx->cancelled && se->ctx->cancelled(se->ctx))
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "%s: stopped as asked", what);
    return wh_fail(reterr, WH_LOST, "E2008", "%s: the session was interrupted", what);
}

/* A limit on the size of files or on what a user may have: SQLite tells a full disk alone. What it
 * remembers of errno may be of a later call, so the limit itself is asked too. */
static bool no_room(struct lite_se *se, int rc)
{
    struct rlimit limit;
    int err = se->db ? sqlite3_system_errno(se->db) : 0;

    if (rc != SQLITE_IOERR_WRITE && rc != SQLITE_IOERR_TRUNCATE)
        return false;
    return err == EFBIG || err == EDQUOT ||
           (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY);
}

static bool too_many(int err)
{
    return err == EMFILE || err == ENFILE;
}

wh_status lite_fail(struct lite_se *se, int rc, struct wh_error *reterr, int status,
                    const char *code, const char *fmt, ...)
{
    const char *native = se->db ? sqlite3_errmsg(se->db) : sqlite3_errstr(rc);
    char what[320];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(what, sizeof what, fmt, ap);
    va_end(ap);
    if ((rc & 0xff) == SQLITE_INTERRUPT || atomic_load(&se->stopped))
        return fail_interrupted(se, reterr, what);
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED) {
        if (se->ctx->cancelled && se->ctx->cancelled(se->ctx))
            return fail_interrupted(se, reterr, what);
        return fail_locked(se, what, native, reterr);
    }
    if ((rc & 0xff) == SQLITE_NOTADB) /* whatever was tried first */
        snprintf(what, sizeof what, "this is no SQLite database");
    if (no_room(se, rc))
        code = "E5004";
    else if ((rc & 0xff) == SQLITE_IOERR && strcmp(code, "E5013") == 0)
        code = "E5001"; /* no matter of rights: the disk fails, and may not the next time */
    if ((rc & 0xff) == SQLITE_CANTOPEN && se->db && too_many(sqlite3_system_errno(se->db)))
        return wh_fail(reterr, WH_E_IO, "E8003", "%s: %s", what, native);
    for (size_t i = 0; i < sizeof meanings / sizeof *meanings; i++) {
        const struct meaning *m = &meanings[i];

        if (m->rc != (rc & 0xff))
            continue;
        status = wh_fail(reterr, m->status, m->code ? m->code : code, "%s: %s", what, native);
        if (reterr) {
            reterr->scope = m->scope;
            reterr->retriable = m->retriable;
            reterr->native = rc;
            wh_error_where(reterr, "%s", se->ep->path);
            if (rc == SQLITE_READONLY_DIRECTORY || rc == SQLITE_READONLY_CANTINIT)
                wh_error_hint(reterr, "a file in WAL mode is read with the help of its -shm file, "
                                      "which cannot be made here: copy the file, or have its owner "
                                      "set journal_mode=delete");
        }
        return status;
    }
    status = wh_fail(reterr, status, code, "%s: %s", what, native);
    if (reterr) {
        reterr->native = rc;
        wh_error_where(reterr, "%s", se->ep->path);
    }
    return status;
}

/* ---- statements --------------------------------------------------------------------------------
 */

void lite_finalizep(sqlite3_stmt **s)
{
    sqlite3_finalize(*s);
    *s = NULL;
}

wh_status lite_prepare(struct lite_se *se, const char *sql, sqlite3_stmt **ret,
                       struct wh_error *reterr)
{
    const char *tail = NULL;
    sqlite3_stmt *s = NULL;
    int rc;

    lite_patience(se);
    rc = lite_made_to_fail(sql);
    if (rc == SQLITE_OK)
        rc = sqlite3_prepare_v2(se->db, sql, -1, &s, &tail);
    if (rc == SQLITE_OK && s)
        while (*tail == ' ' || *tail == '\n' || *tail == '\t' || *tail == '\r' || *tail == ';')
            tail++;
    if (rc == SQLITE_OK && s && !*tail) {
        *ret = s;
        return WH_OK;
    }
    sqlite3_finalize(s);
    if (rc != SQLITE_OK)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4009", "statement refused: %.120s", sql);
    return wh_fail(reterr, WH_E_USAGE, "E4009", "not exactly one SQL statement: %.200s", sql);
}

wh_status lite_exec(struct lite_se *se, const char *sql, struct wh_error *reterr)
{
    int rc;

    lite_patience(se);
    rc = lite_made_to_fail(sql);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(se->db, sql, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E5001", "%.160s", sql);
    return WH_OK;
}

wh_status lite_number(struct lite_se *se, const char *sql, int64_t otherwise, int64_t *ret,
                      struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(lite_prepare(se, sql, &s, reterr));
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW && rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "%.160s", sql);
    *ret = rc == SQLITE_ROW && sqlite3_column_type(s, 0) != SQLITE_NULL ? sqlite3_column_int64(s, 0)
                                                                        : otherwise;
    return WH_OK;
}

struct time_limit {
    int64_t until;
    bool over;
};

static int on_time_limit(void *arg)
{
    struct time_limit *l = arg;

    l->over |= wh_now_ns() > l->until;
    return l->over;
}

wh_status lite_number_within(struct lite_se *se, const char *sql, int64_t ms, int64_t otherwise,
                             int64_t *ret, struct wh_error *reterr)
{
    struct time_limit l = {.until = wh_now_ns() + ms * 1000000};
    int st;

    sqlite3_progress_handler(se->db, 10000, on_time_limit, &l);
    st = lite_number(se, sql, otherwise, ret, reterr);
    sqlite3_progress_handler(se->db, 0, NULL, NULL);
    if (st != WH_OK && l.over && !atomic_load(&se->stopped)) {
        *ret = otherwise;
        return WH_OK;
    }
    return st;
}

void lite_rollback(struct lite_se *se)
{
    if (se->db && !sqlite3_get_autocommit(se->db))
        sqlite3_exec(se->db, "rollback", NULL, NULL, NULL);
}

struct wh_str lite_text_at(sqlite3_stmt *s, int column)
{
    const char *p = (const char *)sqlite3_column_text(s, column);

    return (struct wh_str){p, p ? (size_t)sqlite3_column_bytes(s, column) : 0};
}

void lite_bind_str(sqlite3_stmt *s, int at, struct wh_str v)
{
    sqlite3_bind_text64(s, at, v.s ? v.s : "", v.n, SQLITE_STATIC, SQLITE_UTF8);
}
