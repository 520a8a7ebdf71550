/* SPDX-License-Identifier: Apache-2.0 */
#include "state/db.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/buf.h"
#include "core/clock.h"
#include "core/log.h"

/* SQLite locks byte 120 of the -shm file for the one writer (file format, "WAL-index locks"). The
 * kernel's table of locks tells who has it; F_GETLK is no way, since closing that descriptor would
 * drop this process's own locks. */
static bool locks_byte(const char *line, long long inode, long long byte, int64_t *ret_pid)
{
    /* "3: POSIX  ADVISORY  WRITE 4242 fe:00:131077 120 120" */
    const char *p = strstr(line, "WRITE ");
    char *end;
    if (!p || !strstr(line, "POSIX"))
        return false;
    long long pid = strtoll(p + 6, &end, 10);
    p = strrchr(end, ':');
    if (!p || strtoll(p + 1, &end, 10) != inode)
        return false;
    long long from = strtoll(end, &end, 10),
              to = strncmp(end, " EOF", 4) == 0 ? byte : strtoll(end, &end, 10);
    *ret_pid = pid;
    return from <= byte && to >= byte;
}

static int64_t writer_pid(const char *path)
{
    char shm[4096];
    struct stat st;
    if (snprintf(shm, sizeof(shm), "%s-shm", path) >= (int)sizeof(shm) || stat(shm, &st) != 0)
        return 0;
    FILE *f = fopen("/proc/locks", "re");
    char line[256];
    int64_t pid = 0;
    while (f && fgets(line, sizeof(line), f))
        if (locks_byte(line, (long long)st.st_ino, 120, &pid))
            break;
    if (f)
        fclose(f);
    return pid;
}

/* A place that cannot be used is a mistake (E7001); that it cannot be used now may pass. */
static const char *open_code(int err)
{
    switch (err) {
    case EMFILE:
    case ENFILE:
        return "E8003";
    case ENOMEM:
        return "E8002";
    case ENOSPC:
    case EDQUOT:
    case EIO:
        return "E7014";
    default:
        return "E7001";
    }
}

static int open_fail(struct wh_error *reterr, int err, const char *what, const char *path)
{
    const char *code = open_code(err);
    int st = wh_fail_errno(reterr, err, code, "cannot %s %s", what, path);

    if (strcmp(code, "E7001") == 0)
        wh_error_hint(reterr, "name another place with --state PATH or $WHERRY_STATE");
    return st;
}

static int db_fail(struct wh_state *s, int rc, struct wh_error *reterr, const char *doing)
{
    const char *why = s->db ? sqlite3_errmsg(s->db) : sqlite3_errstr(rc);
    int st;
    if ((rc & 0xff) == SQLITE_BUSY || (rc & 0xff) == SQLITE_LOCKED) {
        int64_t pid = writer_pid(s->path);
        st = wh_fail(reterr, WH_E_STATE, "E7002", "state %s is locked%s while %s", s->path,
                     pid ? " by another process" : "", doing);
        if (pid)
            wh_error_hint(reterr, "process %" PRId64 " holds its write lock: wait, or end it", pid);
    } else if ((rc & 0xff) == SQLITE_CORRUPT || (rc & 0xff) == SQLITE_NOTADB) {
        st = wh_fail(reterr, WH_E_STATE, "E7003", "state %s is damaged (%s)", s->path, why);
        wh_error_hint(reterr,
                      "rename that file and its -wal and -shm (mv state.db state.db.bad); then "
                      "'wherry resume --rebuild-state DESTINATION' goes on with what is "
                      "unfinished there, and anything else begins with a new state");
    } else if ((rc & 0xff) == SQLITE_NOMEM) {
        st = wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the state store while %s", doing);
    } else if ((rc & 0xff) == SQLITE_CANTOPEN || (rc & 0xff) == SQLITE_PERM) {
        const char *code = open_code(s->db ? sqlite3_system_errno(s->db) : 0);

        st = wh_fail(reterr, WH_E_STATE, code, "cannot open state %s: %s", s->path, why);
        if (strcmp(code, "E7001") == 0)
            wh_error_hint(reterr, "name another place with --state PATH or $WHERRY_STATE");
    } else {
        st = wh_fail(reterr, WH_E_STATE, "E7014", "state %s: %s while %s", s->path, why, doing);
    }
    if (reterr)
        reterr->native = rc;
    return st;
}

static int cached(struct wh_state *s, const char *sql, sqlite3_stmt **ret, struct wh_error *reterr)
{
    for (int i = 0; i < WH_DB_STATEMENTS; i++) {
        if (s->cache[i].sql == sql) {
            *ret = s->cache[i].statement;
            sqlite3_reset(*ret);
            return WH_OK;
        }
        if (s->cache[i].sql)
            continue;
        int rc = sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, ret, NULL);
        if (rc != SQLITE_OK)
            return db_fail(s, rc, reterr, "preparing a statement");
        s->cache[i].sql = sql;
        s->cache[i].statement = *ret;
        return WH_OK;
    }
    return wh_fail(reterr, WH_E_BUG, "E9001", "more state statements than places in the cache");
}

/* how: SQLITE_STATIC where the values outlive the statement's run. */
static int bind(sqlite3_stmt *st, sqlite3_destructor_type how, const char *format, va_list ap)
{
    int rc = SQLITE_OK;
    for (int i = 1; *format && rc == SQLITE_OK; format++, i++) {
        if (*format == 's') {
            rc = sqlite3_bind_text(st, i, va_arg(ap, const char *), -1, how);
        } else if (*format == 'i') {
            rc = sqlite3_bind_int64(st, i, va_arg(ap, int64_t));
        } else if (*format == 'n') {
            rc = sqlite3_bind_int(st, i, va_arg(ap, int));
        } else if (*format == 'u') {
            rc = sqlite3_bind_int64(st, i, va_arg(ap, uint32_t));
        } else if (*format == 'b') {
            struct wh_bytes b = va_arg(ap, struct wh_bytes);
            rc = b.p ? sqlite3_bind_blob64(st, i, b.p, b.n, how) : sqlite3_bind_null(st, i);
        } else {
            struct wh_u128 h = va_arg(ap, struct wh_u128);
            rc = sqlite3_bind_blob(st, i, &h, sizeof(h), SQLITE_TRANSIENT);
        }
    }
    return rc;
}

static int queryv(struct wh_state *s, sqlite3_stmt **ret, sqlite3_destructor_type how,
                  struct wh_error *reterr, const char *sql, const char *format, va_list ap)
{
    int st = cached(s, sql, ret, reterr);
    if (st != WH_OK)
        return st;
    int rc = bind(*ret, how, format, ap);
    return rc == SQLITE_OK ? WH_OK : db_fail(s, rc, reterr, "binding values");
}

int wh_db_query(struct wh_state *s, sqlite3_stmt **ret, struct wh_error *reterr, const char *sql,
                const char *format, ...)
{
    va_list ap;
    va_start(ap, format);
    int st = queryv(s, ret, SQLITE_TRANSIENT, reterr, sql, format, ap);
    va_end(ap);
    return st;
}

int wh_db_step(struct wh_state *s, sqlite3_stmt *st, struct wh_error *reterr)
{
    int rc = sqlite3_step(st);
    if (rc == SQLITE_ROW)
        return WH_OK;
    int status = rc == SQLITE_DONE ? WH_END : db_fail(s, rc, reterr, "reading or writing it");
    sqlite3_reset(st);
    return status;
}

int wh_db_run(struct wh_state *s, int64_t *ret_changes, struct wh_error *reterr, const char *sql,
              const char *format, ...)
{
    sqlite3_stmt *q;
    va_list ap;
    va_start(ap, format);
    int st = queryv(s, &q, SQLITE_STATIC, reterr, sql, format, ap);
    va_end(ap);
    while (st == WH_OK)
        st = wh_db_step(s, q, reterr);
    if (st == WH_END && ret_changes)
        *ret_changes = sqlite3_changes64(s->db);
    if (st == WH_END && *format)
        sqlite3_clear_bindings(q); /* they were lent */
    return st == WH_END ? WH_OK : st;
}

static int exec(struct wh_state *s, const char *sql, struct wh_error *reterr)
{
    int rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? WH_OK : db_fail(s, rc, reterr, sql);
}

int wh_db_begin(struct wh_state *s, const char *run, uint32_t epoch, struct wh_error *reterr)
{
    WH_TRY(wh_db_run(s, NULL, reterr, "begin immediate", ""));
    s->in_transaction = true;
    if (!run)
        return WH_OK;
    sqlite3_stmt *q;
    int st = wh_db_query(s, &q, reterr, "select epoch, state from run where run = ?", "s", run);
    if (st == WH_OK)
        st = wh_db_step(s, q, reterr);
    if (st == WH_OK) {
        uint32_t now = (uint32_t)sqlite3_column_int64(q, 0);
        s->run_state = sqlite3_column_int(q, 1);
        sqlite3_reset(q);
        if (now != epoch)
            st = wh_fail(reterr, WH_FENCED, "E7010",
                         "run %s was taken over by another process (epoch %u, ours is %u)", run,
                         now, epoch);
    } else if (st == WH_END) {
        st = wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "the state has no run %s", run);
    }
    return st == WH_OK ? WH_OK : wh_db_end(s, st, reterr);
}

int wh_db_end(struct wh_state *s, int status, struct wh_error *reterr)
{
    if (status == WH_E_NOMEM && reterr && !reterr->code[0])
        status = wh_fail(reterr, status, "E8002", "no memory for what the state holds");
    if (!s->in_transaction)
        return status;
    s->in_transaction = false;
    if (status == WH_OK) {
        status = wh_db_run(s, NULL, reterr, "commit", "");
        s->unsynced = true;
        if (status == WH_OK)
            return WH_OK;
    }
    sqlite3_exec(s->db, "rollback", NULL, NULL, NULL);
    return status;
}

/* Commits stand in the write-ahead log (SQLite syncs it before a checkpoint by itself). Its locks
 * are on the -shm file, so a descriptor of our own does no harm here. */
static int sync_log(struct wh_state *s, struct wh_error *reterr)
{
    if (s->wal_fd < 0) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(8192);
        if (wh_buf_printf(&b, "%s-wal", s->path) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the state store");
        int folder = open(s->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (folder >= 0) {
            wh_ignore(fsync(folder)); /* the names; the contents follow */
            close(folder);
        }
        s->wal_fd = open(b.p, O_RDWR | O_CLOEXEC);
    }
    if (s->wal_fd < 0 && (errno == EMFILE || errno == ENFILE))
        return wh_fail_errno(reterr, errno, "E8003", "cannot sync the log of state %s", s->path);
    if (s->wal_fd < 0 || fdatasync(s->wal_fd) != 0)
        return wh_fail_errno(reterr, errno, "E7014", "cannot sync the log of state %s", s->path);
    s->unsynced = false;
    return WH_OK;
}

int wh_state_sync(struct wh_state *s, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    return s->unsynced ? sync_log(s, reterr) : WH_OK;
}

int wh_db_text(struct wh_arena *a, sqlite3_stmt *q, int column, const char **ret)
{
    *ret = NULL;
    const char *t = (const char *)sqlite3_column_text(q, column);
    if (!t) /* null, or SQLite had no memory for it */
        return sqlite3_errcode(sqlite3_db_handle(q)) == SQLITE_NOMEM ? WH_E_NOMEM : WH_OK;
    *ret = wh_arena_strndup(a, t, (size_t)sqlite3_column_bytes(q, column));
    return *ret ? WH_OK : WH_E_NOMEM;
}

int wh_db_blob(struct wh_arena *a, sqlite3_stmt *q, int column, struct wh_bytes *ret)
{
    *ret = (struct wh_bytes){0};
    if (sqlite3_column_type(q, column) == SQLITE_NULL)
        return WH_OK;
    size_t n = (size_t)sqlite3_column_bytes(q, column);
    char *p = wh_arena_alloc(a, n + 1);
    if (!p)
        return WH_E_NOMEM;
    if (n)
        memcpy(p, sqlite3_column_blob(q, column), n);
    *ret = (struct wh_bytes){p, n};
    return WH_OK;
}

struct wh_u128 wh_db_u128(sqlite3_stmt *q, int column)
{
    struct wh_u128 h = {0};
    if (sqlite3_column_bytes(q, column) == (int)sizeof(h))
        memcpy(&h, sqlite3_column_blob(q, column), sizeof(h));
    return h;
}

/* ---- opening ---- */

/* Nobody asks SQLite how much memory it has: to count it takes a lock per allocation. Refused, and
 * rightly, once anybody in this process uses SQLite. */
static void configure(void)
{
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
}

static int make_folders(char *path)
{
    for (char *p = path + 1;; p++) {
        if (*p != '/' && *p)
            continue;
        char c = *p;
        *p = 0;
        if (mkdir(path, 0700) != 0 && errno != EEXIST)
            return errno;
        *p = c;
        if (!c)
            return 0;
    }
}

static char *default_path(void)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    const char *x = getenv("XDG_STATE_HOME"), *h = getenv("HOME");
    int st = x && *x == '/' ? wh_buf_printf(&b, "%s/wherry/state.db", x)
             : h && *h      ? wh_buf_printf(&b, "%s/.local/state/wherry/state.db", h)
                            : wh_buf_printf(&b, "/tmp/wherry-%d/state.db", (int)getuid());
    return st == WH_OK ? wh_buf_take(&b) : NULL;
}

const char *wh_state_default_path(struct wh_arena *arena)
{
    char *path WH_CLEANUP(wh_freep) = default_path();
    return path ? wh_arena_strdup(arena, path) : NULL;
}

/* Whoever opens the state first reads the whole log, so one process may not leave more of it than a
 * few short copies write; while it runs itself, a longer log saves checkpoints. */
enum {
    LOG_PAGES_FIRST = 200,
    LOG_PAGES = 1000
};

static int after_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
    struct wh_state *s = arg;
    if (pages < s->log_pages)
        return SQLITE_OK;
    s->log_pages = LOG_PAGES;
    /* As SQLite's own hook: nobody waits, and what could not be done now is done later. */
    sqlite3_wal_checkpoint_v2(db, name, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
    return SQLITE_OK;
}

/* A database with tables, none of which is ours, is somebody else's: nothing is made in it. */
static int refuse_strangers(struct wh_state *s, struct wh_error *reterr)
{
    sqlite3_stmt *q = NULL;
    int rc = sqlite3_prepare_v2(s->db,
                                "select count(*), count(*) filter (where name = 'run') "
                                "from sqlite_schema",
                                -1, &q, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_step(q);
    bool ours = rc == SQLITE_ROW && (!sqlite3_column_int(q, 0) || sqlite3_column_int(q, 1) == 1);
    sqlite3_finalize(q);
    if (rc != SQLITE_ROW)
        return db_fail(s, rc, reterr, "opening it");
    if (ours)
        return WH_OK;
    int st =
        wh_fail(reterr, WH_E_STATE, "E7001", "%s is a database, but no state of ours", s->path);
    wh_error_hint(reterr, "name another place with --state PATH or $WHERRY_STATE");
    return st;
}

/* Two that make a state at the same moment both read it and want it for themselves: SQLite refuses
 * one at once, busy_timeout or not (https://sqlite.org/c3ref/busy_handler.html, on deadlock). */
static int write_ahead(struct wh_state *s, struct wh_error *reterr)
{
    static const char sql[] = "pragma journal_mode=wal";
    const int64_t until = wh_now_ns() + s->busy_ms * 1000000;
    int rc;

    while (((rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL)) & 0xff) == SQLITE_BUSY &&
           wh_now_ns() < until)
        wh_sleep_ms(2);
    return rc == SQLITE_OK ? WH_OK : db_fail(s, rc, reterr, sql);
}

static int open_file(struct wh_state *s, struct wh_error *reterr)
{
    char *slash = strrchr(s->path, '/');
    s->dir = slash ? wh_strndup(s->path, (size_t)(slash - s->path)) : wh_strdup(".");
    if (!s->dir)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the state store");
    int e = slash && slash != s->path ? make_folders(s->dir) : 0;
    if (e)
        return open_fail(reterr, e, "make the state folder", s->dir);
    /* 0600 from the first byte on, whatever the umask says. */
    int fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (fd < 0)
        return open_fail(reterr, errno, "open state", s->path);
    close(fd);
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, configure);
    int rc = sqlite3_open_v2(s->path, &s->db,
                             SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE,
                             NULL);
    if (rc != SQLITE_OK)
        return db_fail(s, rc, reterr, "opening it");
    sqlite3_busy_timeout(s->db, (int)s->busy_ms);
    sqlite3_extended_result_codes(s->db, 1);
    /* A short copy must not pay for a checkpoint when it closes; the next ones take it over. */
    sqlite3_db_config(s->db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    s->log_pages = LOG_PAGES_FIRST;
    WH_TRY(refuse_strangers(s, reterr));
    WH_TRY(write_ahead(s, reterr));
    WH_TRY(exec(s,
                "pragma synchronous=normal; pragma foreign_keys=off;"
                "pragma temp_store=memory; pragma cache_size=-512; pragma mmap_size=0",
                reterr));
    sqlite3_wal_hook(s->db, after_commit, s);
    return wh_db_migrate(s, reterr);
}

/* A run may go on in another folder than the one in which the state was named. */
static void make_absolute(struct wh_state *s)
{
    const char *slash = strrchr(s->path, '/'), *name = slash ? slash + 1 : s->path;
    char folder[PATH_MAX];

    if (s->path[0] == '/' || !realpath(s->dir, folder))
        return;
    size_t n = strlen(folder) + strlen(name) + 2;
    char *path = wh_alloc(n), *dir = wh_strdup(folder);
    if (!path || !dir) {
        wh_free(path);
        wh_free(dir);
        return;
    }
    snprintf(path, n, "%s/%s", folder, name);
    wh_free(s->path);
    wh_free(s->dir);
    s->path = path;
    s->dir = dir;
}

int wh_state_open(const char *url, int64_t busy_ms, struct wh_state **ret, struct wh_error *reterr)
{
    if (url && strncmp(url, "postgres", 8) == 0) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                         "a state store in PostgreSQL is not offered by this build");
        wh_error_hint(reterr, "leave --state out, or name a file");
        return st;
    }
    struct wh_state *s = wh_calloc(1, sizeof(*s));
    if (!s)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the state store");
    pthread_mutex_init(&s->mutex, NULL);
    s->wal_fd = -1;
    s->busy_ms = busy_ms > 0 ? busy_ms : 10000;
    if (url && strncmp(url, "sqlite:", 7) == 0)
        url += 7;
    s->path = url && *url ? wh_strdup(url) : default_path();
    int st = s->path ? open_file(s, reterr)
                     : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the state store");
    if (st != WH_OK) {
        wh_state_close(s);
        return st;
    }
    make_absolute(s);
    *ret = s;
    return WH_OK;
}

void wh_state_close(struct wh_state *s)
{
    if (!s)
        return;
    for (int i = 0; i < WH_DB_STATEMENTS; i++)
        sqlite3_finalize(s->cache[i].statement);
    sqlite3_close(s->db);
    if (s->wal_fd >= 0)
        close(s->wal_fd);
    for (struct wh_lock_file *l = s->locks, *next; l; l = next) {
        next = l->next;
        close(l->fd);
        wh_free(l);
    }
    pthread_mutex_destroy(&s->mutex);
    wh_free(s->path);
    wh_free(s->dir);
    wh_free(s);
}

const char *wh_state_dir(const struct wh_state *s)
{
    return s->dir;
}

void wh_transition(const char *what, const char *id, const char *from, const char *to)
{
    static const char *file = "";
    wh_log(WH_LOG_DEBUG, "state", "%s %s: %s -> %s", what, id, from, to);
    if (file && !*file)
        file = getenv("WH_TEST_TRANSITIONS"); /* once: the answer never changes */
    if (!file)
        return;
    char line[256];
    int n = snprintf(line, sizeof(line), "%s %s %s %s\n", what, id, from, to);
    int fd = open(file, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    if (fd >= 0 && n > 0 && write(fd, line, (size_t)n) != n)
        wh_log(WH_LOG_WARN, "state", "transition log %s cannot be written", file);
    if (fd >= 0)
        close(fd);
}
