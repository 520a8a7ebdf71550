/* SPDX-License-Identifier: Apache-2.0 */
/* What the hard-case connectors share: a tiny "server" that outlives every process of ours.
 *
 * The server is a folder (connection option path) with an SQLite file, server.db: source tables,
 * destination tables (without any unique key), our wherry_run, wherry_unit and wherry_target, and
 * the server's own hard_version and hard_session. SQLite here is the *server's* storage engine:
 * each of our sessions is one connection to it, and what a session does between two statements of
 * ours is atomic and durable against the death of any process (WAL, synchronous = NORMAL: a test
 * kills processes, not the machine). README.md tells the options and tables.
 */
#ifndef WHERRY_TESTS_HARD_H
#define WHERRY_TESTS_HARD_H

#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#include <wherry/connector.h>
#include "core/alloc.h"
#include "core/buf.h"
#include "data/builder.h"
#include "data/rowhash.h"
#include "data/view.h"

enum {
    HARD_PATH = 512,
    HARD_NAME = 128,
    HARD_RUN = 64,
    HARD_SPOOL_MAX = 1 << 29, /* bytes that one attempt may spool */
};

/* ---------------------------------------------------------------- options and fault injection */

struct hard_options {
    const char *path;
    int64_t fail_every, lose_every, unknown_every, delay_ms, again_every;
    const char *refuse;
    bool marker, snapshot;
    int64_t batch_rows, split_rows, groups, sleep_commit_ms;
};
extern const struct wh_options hard_connection;

/* ------------------------------------------------------------------------ endpoint and session */

struct hard_endpoint {
    const struct wh_ctx *ctx;
    const struct hard_options *opts;
    char db_path[HARD_PATH];
    atomic_llong calls_fail, calls_lose, commits; /* fault counters of this process */
    atomic_llong version; /* of the source tables that READ sessions see; 0 = as they are now */
    char run[HARD_RUN];   /* taken by claim */
    uint32_t epoch;
    char point[32];        /* token of the snapshot */
    pthread_mutex_t mutex; /* of whatever the connector hangs below */
    bool open;
    void *own; /* the connector's, freed by hard_close with wh_free */
};

struct hard_session {
    struct hard_endpoint *ep;
    sqlite3 *_Atomic db;
    enum wh_use use;
    atomic_bool interrupted;
    bool dead; /* LOST once: stays so */
    int slot;  /* hard-sessions: which of the snapshot's connections, -1 = an own one */
    char ident[96];
};

/* Endpoint verbs that serve all fakes; a connector replaces those that make it hard. */
wh_status hard_open(void *ep, const struct wh_ctx *, enum wh_role, const void *opts,
                    struct wh_error *reterr);
wh_status hard_check(void *ep, void *se, struct wh_error *reterr);
wh_status hard_session_open(void *se, void *ep, enum wh_use, struct wh_str *ret_ident,
                            struct wh_error *reterr);
void hard_interrupt(void *se);
wh_status hard_catalog(void *ep, void *se, const struct wh_pattern *, wh_catalog_fn each, void *arg,
                       struct wh_error *reterr);
wh_status hard_claim(void *ep, void *se, const struct wh_fence *, const struct wh_objects *targets,
                     struct wh_error *reterr);
wh_status hard_evict(void *ep, void *se, const struct wh_fence *, const struct wh_str *ident,
                     struct wh_error *reterr);
wh_status hard_run_close(void *ep, void *se, const struct wh_fence *, struct wh_error *reterr);
void hard_session_close(void *se);
void hard_close(void *ep);
/* POINT snapshots: the server keeps a copy of the pinned tables under a version number for ever. */
wh_status hard_point_snapshot(void *ep, void *se, const struct wh_objects *pin, int sessions,
                              struct wh_snapshot *ret, struct wh_error *reterr);
wh_status hard_point_join(void *ep, const struct wh_snapshot *, struct wh_error *reterr);
void hard_no_release(void *ep, const struct wh_snapshot *);

/* Delays, then fails on purpose as the options say: OK, LOST, WH_E_REMOTE (retriable),
 * WH_E_CANCELLED. `what` names the call in the message. Also LOST when interrupted or evicted. */
wh_status hard_fault(struct hard_session *, const struct wh_ctx *attempt, const char *what,
                     struct wh_error *reterr);
wh_status hard_lost(struct hard_session *, struct wh_error *reterr, const char *why);

/* ----------------------------------------------------------------------------- SQL of the store */

wh_status hard_db_open(const char *path, sqlite3 **ret, struct wh_error *reterr);
/* printf forms are sqlite3_mprintf's: %w inside "..." quotes a name, %Q a text. */
wh_status hard_exec(sqlite3 *, struct wh_error *reterr, const char *fmt, ...);
wh_status hard_prepare(sqlite3 *, sqlite3_stmt **ret, struct wh_error *reterr, const char *fmt,
                       ...);
/* First column of the first row; *ret_found false if there is none. */
wh_status hard_int(sqlite3 *, int64_t *ret, bool *ret_found, struct wh_error *reterr,
                   const char *fmt, ...);
/* Failure of `db` as a status: BLOCKED for a busy file, LOST after an interrupt, else E_REMOTE. */
wh_status hard_sql_failed(sqlite3 *, struct wh_error *reterr, const char *what);
void hard_rollback(sqlite3 *);
void hard_finalize(sqlite3_stmt **);
#define HARD_STMT __attribute__((cleanup(hard_finalize))) sqlite3_stmt

wh_status hard_tables(sqlite3 *, struct wh_error *reterr); /* makes the server's own tables */
/* Copies tables as version *ret (shuffled: rows in another physical order each time). */
wh_status hard_version_make(sqlite3 *, const char *run, const struct wh_objects *pin, bool shuffled,
                            int64_t *ret, struct wh_error *reterr);
wh_status hard_version_drop(sqlite3 *, int64_t version, struct wh_error *reterr);
/* Name of a table as of `version` (0 = now). */
void hard_version_name(char out[HARD_NAME + 24], int64_t version, struct wh_str object);

/* Inside a write transaction: the run must be open and of this epoch, the session not evicted.
 * OK, FENCED, LOST. */
wh_status hard_fenced(struct hard_session *, const char *run, uint32_t epoch,
                      struct wh_error *reterr);

/* --------------------------------------------------------------------------------------- source */

/* Tables of a fake source have the columns id (int64), account (utf8), amount (int64). */
wh_status hard_source_schema(struct ArrowSchema *ret);

struct hard_scan {
    struct hard_endpoint *ep;
    struct wh_str object;
    char name[HARD_NAME];
    struct ArrowSchema schema;
    int64_t low, high, rows; /* ids [low, high) at the plan's time */
    int64_t step;            /* ids of a split */
    char token[64], cursor[64];
};

/* Fills sc and the answers that all sources share; bounds of ids are frozen in ret_bounds. */
wh_status hard_scan_open(struct hard_scan *sc, void *ep, void *se, struct wh_scan *io,
                         struct ArrowSchema *ret, struct wh_error *reterr);
void hard_scan_close(void *sc);

/* Rows of one SELECT with one or two integer parameters; `position` is its first column, the rest
 * are the table's three. */
struct hard_reader {
    struct hard_scan *sc;
    struct hard_session *se;
    const struct wh_ctx *ctx;
    sqlite3_stmt *stmt;
    struct wh_builder *builder;
    int64_t position; /* of the last row that was delivered */
    int64_t low, high, delivered;
    bool end;
    char rest[64], done[64];
};

wh_status hard_reader_begin(struct hard_reader *, struct hard_scan *, void *se,
                            const struct wh_ctx *, const char *sql_fmt, struct wh_error *reterr);
wh_status hard_reader_next(void *rd, struct wh_batch *ret, struct wh_error *reterr);
void hard_reader_close(void *rd);

/* A source of id ranges "low:high", used as it is by hard-plain: any range alone, cut exact. */
wh_status hard_range_split(void *sc, void *se, const struct wh_bytes *cursor, struct wh_split *ret,
                           struct wh_bytes *ret_cursor, struct wh_error *reterr);
wh_status hard_range_open(void *rd, void *sc, void *se, const struct wh_ctx *,
                          const struct wh_split *, struct ArrowSchema *ret_actual,
                          struct wh_error *reterr);
wh_status hard_range_cut(void *rd, struct wh_split *ret_rest, struct wh_split *ret_done,
                         struct wh_error *reterr);
wh_status hard_range_scan(void *sc, void *ep, void *se, struct wh_scan *io, struct ArrowSchema *ret,
                          struct wh_error *reterr);
/* Two integers out of "a:b"; false if the text is not that. */
bool hard_two(struct wh_bytes token, int64_t *ret_a, int64_t *ret_b);

/* ----------------------------------------------------------------------------------------- sink */

/* A class T target: accepts every column as int64 or utf8, makes a plain table without keys. */
struct hard_target {
    struct hard_endpoint *ep;
    char object[HARD_NAME];
    struct ArrowSchema accept;
    bool marker; /* false: no markers are kept (option of the user, or control of a test) */
    int64_t id_column;
    char run[HARD_RUN];
    uint32_t epoch, flow, generation;
    int key_column; /* hard-ordered */
};

wh_status hard_target_open(void *fl, void *ep, void *se, struct wh_target *io,
                           struct wh_error *reterr);
wh_status hard_steps(void *fl, void *se, enum wh_phase, struct wh_receipts *,
                     struct wh_step_sink *out, struct wh_error *reterr);
wh_status hard_apply(void *fl, void *se, const struct wh_step *, const struct wh_fence *,
                     struct wh_receipts *, bool maybe_done, struct wh_bytes *ret_receipt,
                     struct wh_error *reterr);
wh_status hard_lookup(void *fl, void *se, const struct wh_unit *, struct wh_fate *ret,
                      struct wh_error *reterr);
wh_status hard_verify(void *fl, void *se, struct wh_receipts *committed, const struct wh_fence *,
                      struct wh_error *reterr);
void hard_target_close(void *fl);

/* One attempt: rows are spooled here and go into the table in one transaction with the marker. */
struct hard_writer {
    struct hard_target *fl;
    struct hard_session *se;
    const struct wh_ctx *ctx;
    struct wh_unit unit;
    char run[HARD_RUN];
    uint32_t epoch;
    struct wh_view *views;
    struct wh_buf spool;
    struct wh_rowsum sum;
    sqlite3_stmt *refuse; /* the server's own rule: 1 = the row is refused */
    int64_t sent, acked;  /* last send taken, last send judged */
    struct {              /* where the last savepoint was */
        size_t spool;
        struct wh_rowsum sum;
    } saved;
    char receipt[64];
};

wh_status hard_writer_open(void *wr, void *fl, void *se, const struct wh_ctx *attempt,
                           const struct wh_unit *, const struct wh_fence *,
                           struct wh_error *reterr);
/* Spools one row; *ret_refused (may be NULL) tells that the server's rule is against it. */
wh_status hard_spool_row(struct hard_writer *, const struct wh_view *, int64_t row,
                         bool *ret_refused, struct wh_error *reterr);
wh_status hard_views(struct hard_writer *, const struct ArrowArray *rows, struct wh_view *views,
                     struct wh_error *reterr);
/* Grain BATCH: nothing is judged before writer_flush, the savepoint. */
wh_status hard_writer_write(void *wr, const struct wh_batch *, int64_t send, const int32_t *rows,
                            int64_t first, int64_t n, struct wh_acks *ret, struct wh_error *reterr);
wh_status hard_writer_flush(void *wr, int64_t deadline_ns, struct wh_acks *ret,
                            struct wh_error *reterr);
wh_status hard_writer_seal(void *wr, struct wh_tally *ret, struct wh_error *reterr);
wh_status hard_writer_commit(void *wr, const struct wh_marker *, struct wh_bytes *ret_receipt,
                             struct wh_error *reterr);
void hard_writer_close(void *wr);
/* Called by the commit inside its transaction before the rows go in; may refuse. NULL = nothing. */
typedef wh_status (*hard_commit_hook)(struct hard_writer *, sqlite3 *, struct wh_error *reterr);
wh_status hard_commit_with(struct hard_writer *, const struct wh_marker *, hard_commit_hook,
                           struct wh_bytes *ret_receipt, struct wh_error *reterr);
/* The spool's cells, for commits that do not go into a table. */
enum hard_cell {
    HARD_NULL,
    HARD_INT,
    HARD_TEXT
};
struct hard_value {
    enum hard_cell kind;
    int64_t i;
    struct wh_str text;
};
/* Walks the spool: *at counts on; false at its end. `row` has one value per accepted column. */
bool hard_spool_next(const struct hard_writer *, size_t *at, struct hard_value *row);
/* 0 = answer as it is; 1 = answer UNKNOWN after the deed; 2 = answer UNKNOWN instead of it. */
int hard_unknown(struct hard_endpoint *);

/* ------------------------------------------------------------------------------------ connector */

extern const struct wh_endpoint_ops hard_endpoint_ops; /* all of the shared verbs, POINT snapshot */
extern const struct wh_source_ops hard_range_source;   /* hard-sessions's */
extern const struct wh_sink_ops hard_plain_sink;

#define HARD_CAPS(snap, klass)                                                                     \
    {                                                                                              \
        .flags = WH_CAP_MARKER | WH_CAP_WHOLE_DATABASE | WH_CAP_LOCAL,                             \
        .modes = 1u << WH_MODE_APPEND, .commit_class = (klass),                                    \
        .atomics = 1u << WH_ATOMIC_UNIT | 1u << WH_ATOMIC_TABLE, .snapshot = (snap),               \
        .grade = "G5", .limits = "a fake for tests"                                                \
    }

#endif
