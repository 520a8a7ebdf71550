/* SPDX-License-Identifier: Apache-2.0 */
/* Insides of the sqlite connector: endpoint, session, table description, and who does what.
 *
 *   sqlite.c          options, capabilities, the connector itself
 *   sqlite_db.c       opening files, running statements, SQLite's answers as ours
 *   sqlite_lock.c     who holds a lock on the file
 *   sqlite_print.c    fingerprint of a file's content (is it unchanged?)
 *   sqlite_endpoint.c sessions, snapshot
 *   sqlite_types.c    declared types <-> column types
 *   sqlite_catalog.c  tables, columns, keys, estimates
 *   sqlite_sample.c   what cells really hold
 *   sqlite_scan.c     negotiation and splits             sqlite_cut.c   rowid ranges by probing
 *   sqlite_range.c    a split as bytes, its SELECT
 *   sqlite_read.c     rows to batches                    sqlite_cell.c  one cell, in and out
 *   sqlite_claim.c    run row, epoch, targets            sqlite_ddl.c   create table
 *   sqlite_target.c   shape and mode of a destination    sqlite_steps.c create, stage, swap, drop
 *   sqlite_write.c    units                              sqlite_feed.c  batches as a virtual table
 *
 * One session is used by one thread at a time, so connections are opened without SQLite's own
 * mutexes; only sqlite3_interrupt comes from other threads.
 */
#ifndef WHERRY_CONNECTORS_SQL_SQLITE_H
#define WHERRY_CONNECTORS_SQL_SQLITE_H

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include "core/alloc.h"
#include "data/type.h"
#include "sql.h"

/* ---- options -----------------------------------------------------------------------------------
 */

enum lite_journal {
    LITE_J_KEEP,
    LITE_J_DELETE,
    LITE_J_WAL,
};

enum lite_sync {
    LITE_SYNC_KEEP,
    LITE_SYNC_OFF,
    LITE_SYNC_NORMAL,
    LITE_SYNC_FULL,
    LITE_SYNC_EXTRA,
};

struct lite_connection {
    const char *path;
    int64_t lock_timeout; /* ms */
    int64_t cache;        /* bytes of page cache per session */
    int journal_mode;     /* enum lite_journal */
    int synchronous;      /* enum lite_sync */
};

enum lite_mismatch {
    LITE_MISMATCH_REJECT,
    LITE_MISMATCH_NULL,
};

struct lite_from {
    int mismatch;          /* enum lite_mismatch */
    struct wh_map read_as; /* column -> type text */
};

enum lite_u64 {
    LITE_U64_TEXT,
    LITE_U64_INTEGER,
};

struct lite_to {
    int uint64; /* enum lite_u64 */
    bool foreign_keys;
    bool strict; /* new tables are STRICT */
};

extern const struct wh_options lite_connection_table, lite_from_table, lite_to_table;

/* ---- endpoint and session ----------------------------------------------------------------------
 */

/* What makes a file's content recognisable again; compared byte by byte (sqlite_print.c). */
struct lite_print {
    uint64_t device, inode;
    int64_t size, mtime_ns;
    uint8_t header[100]; /* with change counter, page count, schema cookie */
    uint8_t index[48];   /* head of the wal-index: salts, last frame, checksum; zero without WAL */
    uint32_t version, wal, zero; /* no padding: compared as bytes */
};
_Static_assert(sizeof(struct lite_print) == 192, "compared byte by byte");

struct lite_ep {
    const struct wh_ctx *ctx;
    const struct lite_connection *o;
    enum wh_role role;
    char *path; /* as SQLite opens it */
    pthread_mutex_t lock;
    sqlite3 *pool[64];  /* connections inside the snapshot that nobody uses now */
    int n_pool, n_live; /* n_live: snapshot sessions in use */
    bool snapped;       /* READ sessions must be inside `print` */
    unsigned instant;   /* which snapshot: sessions of an older one never come back */
    atomic_bool wrote;  /* a write session existed: the last one may checkpoint */
    struct lite_print print;
    struct sql_named *units; /* marker tables of other names that its targets have */
};

struct lite_feed;

struct lite_se {
    struct lite_ep *ep;
    const struct wh_ctx *ctx; /* services of whoever uses the session now */
    sqlite3 *db;              /* NULL: the file does not exist yet */
    pthread_mutex_t lock;     /* db against interrupt */
    atomic_bool stopped;
    enum wh_use use;
    bool in_snapshot;
    unsigned instant;
    int64_t wait_until; /* monotonic ns: no lock is waited for after it */
    char ident[64];
    struct lite_feed *feed; /* what our virtual table reads; made on first use */
    struct {
        uint64_t hash; /* of the text that was told last */
        int64_t n, ns; /* how often it ran since, for how long */
    } said;            /* --debug sql */
};

/* sqlite_db.c ------------------------------------------------------------------------------------
 */

/* Opens ep's file into *ret. create: make it if it is missing. WH_E_NOT_FOUND if it is not there.
 */
wh_status lite_open(struct lite_ep *, bool create, sqlite3 **ret, struct wh_error *reterr);
/* The file is not there: can it be made where it should be? E2012, E2013. */
wh_status lite_may_be_made(const struct lite_ep *, struct wh_error *reterr);
void lite_close(sqlite3 *, bool checkpoint); /* NULL is fine */
/* The session's connection must exist from here on; makes the file if it is missing. */
wh_status lite_se_create(struct lite_se *, struct wh_error *reterr);
/* Sets the journal that the connection asks for; outside of any transaction. */
wh_status lite_set_journal(struct lite_se *, struct wh_error *reterr);
/* Gives the connection to the session: busy handler, cache, pragmas. */
void lite_se_take(struct lite_se *, sqlite3 *);

/* SQLite's result code as a status; `what` says what was tried. Locks become WH_BLOCKED and name
 * the holder, an interrupt becomes WH_LOST, `code` is for what has no better one. */
wh_status lite_fail(struct lite_se *, int rc, struct wh_error *reterr, int status, const char *code,
                    const char *fmt, ...) WH_PRINTF(6, 7);
/* Starts the clock of lock waits: lock_timeout, but never after the context's deadline. */
void lite_patience(struct lite_se *);
wh_status lite_prepare(struct lite_se *, const char *sql, sqlite3_stmt **ret,
                       struct wh_error *reterr); /* exactly one statement */
/* One statement without result rows; patience starts anew. */
/* sqlite_fault.c, for tests: SQLITE_OK, or what the statement shall fail with. */
int lite_made_to_fail(const char *sql);
wh_status lite_exec(struct lite_se *, const char *sql, struct wh_error *reterr);
/* The same with a time limit; no answer in time is `otherwise`. */
wh_status lite_number_within(struct lite_se *, const char *sql, int64_t ms, int64_t otherwise,
                             int64_t *ret, struct wh_error *reterr);
/* First column of the first row; `otherwise` if there is no row or it is NULL. */
/* Of a table: wh_target.identity. */
void lite_identity(const struct lite_ep *, const char *table, char *out, size_t size);
wh_status lite_number(struct lite_se *, const char *sql, int64_t otherwise, int64_t *ret,
                      struct wh_error *reterr);
void lite_rollback(struct lite_se *); /* never fails: nothing of ours stays open */
void lite_finalizep(sqlite3_stmt **); /* cleanup attribute */
struct wh_str lite_text_at(sqlite3_stmt *, int column);    /* s NULL: NULL, or out of memory */
void lite_bind_str(sqlite3_stmt *, int at, struct wh_str); /* borrowed until reset */

/* sqlite_lock.c: "pid 4711 (wherry)" of those who hold locks on the file, most important first;
 * empty if nobody outside of this process does. Never opens the file: closing a descriptor of it
 * would drop SQLite's own locks. */
void lite_lock_holders(const struct lite_ep *, char *out, size_t size);

bool lite_is_wal(sqlite3 *db); /* sqlite_print.c */
/* Is text in this file UTF-16? (What it cannot say in UTF-8, SQLite changes without a word.) */
bool lite_is_utf16(sqlite3 *db);
/* Call inside a read transaction of db. */
wh_status lite_print_take(sqlite3 *db, const char *path, struct lite_print *ret);
bool lite_print_equal(const struct lite_print *, const struct lite_print *);

/* ---- tables ------------------------------------------------------------------------------------
 */

enum lite_affinity {
    LITE_A_BLOB,
    LITE_A_TEXT,
    LITE_A_NUMERIC,
    LITE_A_INTEGER,
    LITE_A_REAL,
};

/* How far a declared type is believed. */
enum lite_promise {
    LITE_P_SURE,  /* the affinity makes cells fit; strays are dirty rows */
    LITE_P_CHECK, /* a sample may overrule it (dates, booleans, decimals, lengths) */
    LITE_P_NONE,  /* says nothing: a sample decides */
};

struct lite_col {
    const char *name, *decl; /* arena text; decl "" if none */
    const char *dflt;        /* default expression or NULL */
    enum lite_affinity affinity;
    enum lite_promise promise;
    struct wh_type type;
    int pk; /* 1-based, 0 = none */
    bool not_null, generated, guessed, overruled;
    const char *expr; /* no column: what SQLite computes, in brackets; NULL */
    bool varies;      /* it may be another value the next time */
    bool any; /* stores what comes, as it comes: no declared type, or ANY in a STRICT table */
};

struct lite_table {
    struct wh_arena *arena;
    const char *name, *sql; /* true name; its CREATE text (NULL for queries) */
    enum wh_object_kind kind;
    bool is_virtual, without_rowid, strict, autoincrement;
    const char *rowid; /* a name that reaches the rowid, NULL = none */
    int alias;         /* column that is the rowid (INTEGER PRIMARY KEY), -1 */
    struct lite_col *cols;
    int n_cols;
    /* After lite_estimate. */
    bool empty;
    int64_t lo, hi;              /* first and last rowid, unless empty */
    int64_t est_rows, est_bytes; /* -1 unknown */
};

/* sqlite_types.c */
enum lite_affinity lite_affinity_of(const char *decl);
/* Column type that a declared type promises. */
enum lite_promise lite_type_of(const char *decl, struct wh_type *ret);
/* Declared type for a new column, and the type in which the writer wants its cells (`*io` comes
 * with the source's type). `native`: the source's own words, kept where they mean the same. */
enum {
    LITE_DECL = 96
};
void lite_decl_for(struct wh_type *io, struct wh_str native, const struct lite_to *,
                   char decl[LITE_DECL]);
/* The word that a STRICT table has for cells of this type. */
const char *lite_strict_word(const struct wh_type *);
/* Can cells of this type be stored under that affinity and come back unchanged? */
bool lite_keeps(enum lite_affinity, const struct wh_type *);

/* sqlite_catalog.c */
wh_status lite_describe(struct lite_se *, struct wh_str table, struct lite_table *ret,
                        struct wh_error *reterr); /* WH_E_NOT_FOUND E3001 */
wh_status lite_resolve(struct lite_se *, const struct wh_name *, struct wh_arena *,
                       const char **ret, struct wh_error *reterr); /* NULL: no such table */
/* The same, with types settled by a sample as a scan would. */
wh_status lite_describe_settled(struct lite_se *, const char *table, struct lite_table *ret,
                                struct wh_error *reterr);
wh_status lite_estimate(struct lite_se *, struct lite_table *, struct wh_error *reterr);
void lite_table_free(struct lite_table *);
wh_status lite_table_schema(const struct lite_table *, struct ArrowSchema *ret);
wh_status lite_catalog(void *ep, void *se, const struct wh_pattern *, wh_catalog_fn, void *arg,
                       struct wh_error *reterr);

extern const struct wh_endpoint_ops lite_endpoint;
extern const struct wh_source_ops lite_source;
extern const struct wh_sink_ops lite_sink;

/* sqlite_claim.c */
wh_status lite_claim(void *ep, void *se, const struct wh_fence *, const struct wh_objects *,
                     struct wh_error *reterr);
wh_status lite_evict(void *ep, void *se, const struct wh_fence *, const struct wh_str *ident,
                     struct wh_error *reterr);
wh_status lite_remember(void *ep, void *se, const struct wh_fence *, struct wh_bytes memo,
                        struct wh_error *reterr);
wh_status lite_recall(void *ep, void *se, const struct wh_str *run, wh_recall_fn, void *arg,
                      struct wh_error *reterr);
wh_status lite_disown(void *ep, void *se, const struct wh_fence *, const struct wh_objects *,
                      bool act, struct wh_disowned *ret, struct wh_error *reterr);
wh_status lite_run_close(void *ep, void *se, const struct wh_fence *, struct wh_error *reterr);

/* sqlite_units.c: tables of markers: wherry_unit, and those that write.marker names, which are
 * known by their columns and their key. */
#define LITE_MARKER_TABLE                                                                          \
    "(run text not null, flow integer not null, generation integer not null, unit integer not "    \
    "null, attempt integer not null, epoch integer not null, rows integer, bytes integer, dirty "  \
    "integer, filtered integer, skipped integer, hash blob, rest blob, ends blob, seed blob, "     \
    "primary key(run, flow, generation, unit)) without rowid"
typedef wh_status (*lite_units_fn)(void *arg, struct lite_se *, const char *units,
                                   struct wh_error *reterr);
wh_status lite_units_each(struct lite_se *, lite_units_fn, void *arg, struct wh_error *reterr);
/* Those of other names that this process's targets have. */
wh_status lite_units_make(struct lite_se *, struct wh_error *reterr);

#endif
