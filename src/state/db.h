/* SPDX-License-Identifier: Apache-2.0 */
/* The SQLite side of the state store: one connection, one mutex, cached statements. Private. */
#ifndef WHERRY_STATE_DB_H
#define WHERRY_STATE_DB_H

#include <pthread.h>
#include <sqlite3.h>

#include "state/state.h"

enum {
    WH_DB_STATEMENTS = 96
};

struct wh_lock_file {
    struct wh_lock_file *next;
    char run[64];
    uint32_t epoch;
    int fd;
};

struct wh_state {
    sqlite3 *db;
    pthread_mutex_t mutex;
    char *path, *dir;
    int64_t busy_ms;
    bool unsynced; /* a commit came after the last wh_state_sync */
    int log_pages; /* a log of so many is checkpointed after a commit */
    int wal_fd;    /* of the write-ahead log, opened for the first sync; -1 */
    bool in_transaction;
    int run_state; /* of the run that wh_db_begin was asked for, before the transaction */
    struct {
        const char *sql; /* literal: compared by address */
        sqlite3_stmt *statement;
    } cache[WH_DB_STATEMENTS];
    struct wh_lock_file *locks; /* runs that this process owns */
};

/* Every public function runs between these two. */
static inline void wh_db_lock(struct wh_state *s)
{
    pthread_mutex_lock(&s->mutex);
}

static inline void wh_db_unlock(struct wh_state **s)
{
    pthread_mutex_unlock(&(*s)->mutex);
}

#define WH_DB_GUARD(s)                                                                             \
    wh_db_lock(s);                                                                                 \
    struct wh_state *guard_ WH_CLEANUP(wh_db_unlock) = (s);                                        \
    (void)guard_

/* Binds by a format: s text (NULL = null), i int64_t, n int, u uint32_t, b struct wh_bytes,
 * h struct wh_u128 (16 bytes). `sql` must be a literal. The statement is ready to step. */
wh_status wh_db_query(struct wh_state *, sqlite3_stmt **ret, struct wh_error *reterr,
                      const char *sql, const char *format, ...);
/* SQLITE_ROW -> WH_OK, SQLITE_DONE -> WH_END, else an E7 error. Resets the statement unless OK. */
wh_status wh_db_step(struct wh_state *, sqlite3_stmt *, struct wh_error *reterr);
/* Query and run to the end; *ret_changes may be NULL. */
wh_status wh_db_run(struct wh_state *, int64_t *ret_changes, struct wh_error *reterr,
                    const char *sql, const char *format, ...);

/* Transactions. begin checks the epoch (run NULL: no check): WH_FENCED. end commits when status is
 * WH_OK, rolls back otherwise, and returns the status that counts. */
wh_status wh_db_begin(struct wh_state *, const char *run, uint32_t epoch, struct wh_error *reterr);
int wh_db_end(struct wh_state *, int status, struct wh_error *reterr);

wh_status wh_db_migrate(struct wh_state *, struct wh_error *reterr);

/* Column readers into an arena. NULL text stays NULL. */
wh_status wh_db_text(struct wh_arena *, sqlite3_stmt *, int column, const char **ret);
wh_status wh_db_blob(struct wh_arena *, sqlite3_stmt *, int column, struct wh_bytes *ret);
struct wh_u128 wh_db_u128(sqlite3_stmt *, int column);

#endif
