/* SPDX-License-Identifier: Apache-2.0 */
/* The server's storage: SQL helpers, the server's own tables, versions of source tables. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

enum {
    BUSY_MS = 10000
};

wh_status hard_sql_failed(sqlite3 *db, struct wh_error *reterr, const char *what)
{
    int code = db ? sqlite3_errcode(db) : SQLITE_NOMEM;
    int st = code == SQLITE_BUSY || code == SQLITE_LOCKED ? WH_BLOCKED
             : code == SQLITE_INTERRUPT                   ? WH_LOST
             : code == SQLITE_NOMEM                       ? WH_E_NOMEM
                                                          : WH_E_REMOTE;

    st = wh_fail(reterr, st,
                 st == WH_BLOCKED ? "E5010"
                 : st == WH_LOST  ? "E2008"
                                  : "E5001",
                 "%s: %s", what, db ? sqlite3_errmsg(db) : "out of memory");
    if (reterr) {
        reterr->native = code;
        reterr->retriable = st == WH_BLOCKED || st == WH_LOST;
    }
    return st;
}

void hard_finalize(sqlite3_stmt **stmt)
{
    sqlite3_finalize(*stmt);
    *stmt = NULL;
}

void hard_rollback(sqlite3 *db)
{
    if (db && !sqlite3_get_autocommit(db))
        sqlite3_exec(db, "rollback", NULL, NULL, NULL);
}

wh_status hard_db_open(const char *path, sqlite3 **ret, struct wh_error *reterr)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;

    if (sqlite3_open_v2(path, &db, flags, NULL) != SQLITE_OK) {
        int st = wh_fail(reterr, WH_E_NOT_FOUND, "E2012", "%s: %s", path,
                         db ? sqlite3_errmsg(db) : "out of memory");

        sqlite3_close(db);
        return st;
    }
    sqlite3_busy_timeout(db, BUSY_MS);
    int st = hard_exec(db, reterr, "pragma journal_mode = wal");

    if (st == WH_OK)
        st = hard_exec(db, reterr, "pragma synchronous = normal");
    if (st != WH_OK) {
        sqlite3_close(db);
        return st;
    }
    *ret = db;
    return WH_OK;
}

static int run_text(sqlite3 *db, char *sql, struct wh_error *reterr)
{
    int code = sql ? sqlite3_exec(db, sql, NULL, NULL, NULL) : SQLITE_NOMEM;
    int st = code == SQLITE_OK ? WH_OK : hard_sql_failed(db, reterr, sql ? sql : "statement");

    sqlite3_free(sql);
    return st;
}

wh_status hard_exec(sqlite3 *db, struct wh_error *reterr, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *sql = sqlite3_vmprintf(fmt, ap);

    va_end(ap);
    return run_text(db, sql, reterr);
}

static int prepare_text(sqlite3 *db, sqlite3_stmt **ret, char *sql, struct wh_error *reterr)
{
    int st = sql && sqlite3_prepare_v2(db, sql, -1, ret, NULL) == SQLITE_OK
                 ? WH_OK
                 : hard_sql_failed(db, reterr, sql ? sql : "statement");

    sqlite3_free(sql);
    return st;
}

wh_status hard_prepare(sqlite3 *db, sqlite3_stmt **ret, struct wh_error *reterr, const char *fmt,
                       ...)
{
    va_list ap;

    va_start(ap, fmt);
    char *sql = sqlite3_vmprintf(fmt, ap);

    va_end(ap);
    return prepare_text(db, ret, sql, reterr);
}

wh_status hard_int(sqlite3 *db, int64_t *ret, bool *ret_found, struct wh_error *reterr,
                   const char *fmt, ...)
{
    HARD_STMT *stmt = NULL;
    va_list ap;

    va_start(ap, fmt);
    char *sql = sqlite3_vmprintf(fmt, ap);

    va_end(ap);
    WH_TRY(prepare_text(db, &stmt, sql, reterr));
    int code = sqlite3_step(stmt);

    if (code != SQLITE_ROW && code != SQLITE_DONE)
        return hard_sql_failed(db, reterr, "query");
    if (ret_found)
        *ret_found = code == SQLITE_ROW;
    if (code == SQLITE_ROW)
        *ret = sqlite3_column_int64(stmt, 0);
    return WH_OK;
}

/* The first of two that come at once makes them; `if not exists` waits for it. */
wh_status hard_tables(sqlite3 *db, struct wh_error *reterr)
{
    return hard_exec(
        db, reterr,
        "begin immediate;"
        "create table if not exists wherry_run(run text primary key, epoch integer not null,"
        " state text not null);"
        "create table if not exists wherry_target(object text primary key, run text not null);"
        "create table if not exists wherry_unit(run text, flow integer, generation integer,"
        " unit integer, attempt integer, rows integer, bytes integer, dirty integer,"
        " filtered integer, skipped integer, h0 integer, h1 integer, rest blob, \"end\" blob,"
        " primary key(run, flow, generation, unit)) without rowid;"
        "create table if not exists hard_version(version integer primary key, run text,"
        " kind text);"
        "create table if not exists hard_session(ident text primary key, run text,"
        " epoch integer, pid integer, use text) without rowid;"
        "create table if not exists hard_order(object text, key text, last integer,"
        " primary key(object, key)) without rowid;"
        "commit");
}

void hard_version_name(char out[HARD_NAME + 24], int64_t version, struct wh_str object)
{
    if (version)
        snprintf(out, HARD_NAME + 24, "@%lld@%.*s", (long long)version, WH_STR_FMT(object));
    else
        snprintf(out, HARD_NAME + 24, "%.*s", WH_STR_FMT(object));
}

static wh_status copy_table(sqlite3 *db, int64_t version, const char *object, bool shuffled,
                            struct wh_error *reterr)
{
    char name[HARD_NAME + 24];
    int64_t turn = version % 97 + 1;

    hard_version_name(name, version, wh_str(object));
    /* Another physical order in each version: positions of one mean nothing in another. */
    if (shuffled)
        return hard_exec(db, reterr,
                         "create table \"%w\" as select id, account, amount from \"%w\""
                         " order by (id * %lld) %% 1009, id",
                         name, object, (long long)turn);
    WH_TRY(hard_exec(db, reterr,
                     "create table \"%w\"(id integer primary key, account text, amount integer)",
                     name));
    return hard_exec(db, reterr,
                     "insert into \"%w\" select id, account, amount from \"%w\" order by id", name,
                     object);
}

static wh_status make_version(sqlite3 *db, const char *run, const struct wh_objects *pin,
                              bool shuffled, int64_t *ret, struct wh_error *reterr)
{
    int64_t version = 1;

    WH_TRY(hard_int(db, &version, NULL, reterr,
                    "select coalesce(max(version), 0) + 1 from hard_version"));
    WH_TRY(hard_exec(db, reterr, "insert into hard_version values(%lld, %Q, %Q)",
                     (long long)version, run, shuffled ? "held" : "point"));
    for (size_t i = 0; i < pin->n; i++) {
        const struct wh_name *name = &pin->v[i];
        char object[HARD_NAME];

        if (name->n < 1 || name->part[name->n - 1].n >= HARD_NAME)
            return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "no such table");
        snprintf(object, sizeof object, "%.*s", WH_STR_FMT(name->part[name->n - 1]));
        WH_TRY(copy_table(db, version, object, shuffled, reterr));
    }
    *ret = version;
    return WH_OK;
}

wh_status hard_version_make(sqlite3 *db, const char *run, const struct wh_objects *pin,
                            bool shuffled, int64_t *ret, struct wh_error *reterr)
{
    WH_TRY(hard_exec(db, reterr, "begin immediate"));
    int st = make_version(db, run, pin, shuffled, ret, reterr);

    if (st == WH_OK)
        st = hard_exec(db, reterr, "commit");
    if (st != WH_OK)
        hard_rollback(db);
    return st;
}

static wh_status drop_tables(sqlite3 *db, int64_t version, struct wh_error *reterr)
{
    for (;;) {
        char name[HARD_NAME + 24];
        HARD_STMT *stmt = NULL;

        WH_TRY(hard_prepare(db, &stmt, reterr,
                            "select name from sqlite_schema where type = 'table'"
                            " and name like '@%lld@%%' limit 1",
                            (long long)version));
        if (sqlite3_step(stmt) != SQLITE_ROW)
            return hard_exec(db, reterr, "delete from hard_version where version = %lld",
                             (long long)version);
        snprintf(name, sizeof name, "%s", (const char *)sqlite3_column_text(stmt, 0));
        hard_finalize(&stmt);
        WH_TRY(hard_exec(db, reterr, "drop table \"%w\"", name));
    }
}

wh_status hard_version_drop(sqlite3 *db, int64_t version, struct wh_error *reterr)
{
    WH_TRY(hard_exec(db, reterr, "begin immediate"));
    int st = drop_tables(db, version, reterr);

    if (st == WH_OK)
        st = hard_exec(db, reterr, "commit");
    if (st != WH_OK)
        hard_rollback(db);
    return st;
}

wh_status hard_fenced(struct hard_session *se, const char *run, uint32_t epoch,
                      struct wh_error *reterr)
{
    int64_t found = 0;

    WH_TRY(hard_int(se->db, &found, NULL, reterr,
                    "select count(*) from hard_session where ident = %Q", se->ident));
    if (!found)
        return hard_lost(se, reterr, "the server ended this session (evicted)");
    WH_TRY(hard_int(se->db, &found, NULL, reterr,
                    "select count(*) from wherry_run where run = %Q and epoch = %lld"
                    " and state = 'open'",
                    run, (long long)epoch));
    if (found)
        return WH_OK;
    return wh_fail(reterr, WH_FENCED, "E7010", "run %s is not open for epoch %u", run, epoch);
}
