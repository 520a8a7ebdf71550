/* SPDX-License-Identifier: Apache-2.0 */
/* The contract between the engine and a connector. ABI 0: exact version only, until 1.0.
 *
 * Four lifetimes. An *endpoint* is one connection in one process and role: snapshot, catalogue,
 * sessions, run row. A *flow* is one source object to one destination object: its source side is a
 * scan, its destination side a target with steps; a flow that restarts gets the next generation. A
 * *session* is one server connection, kept by a lane and handed to attempt after attempt. An
 * *attempt* is one try at one unit: a reader and a writer.
 *
 * A *split* is the smallest piece of a scan that can be read alone; a *unit* is 1..n splits, one
 * after the other into one writer: the piece of work, retry, commit, lease.
 *
 * Rules
 *   - The engine gives zeroed memory of the sizes below; `close` is called exactly once per `open`
 *     that was called, failed or not, and must work on zeroes. NULL = not offered.
 *   - Ownership: cursors, tokens, receipts, step text, idents, verdicts, notes are borrowed until
 *     the next call on the same object; the engine copies. A batch is released by the engine, on
 *     any lane's thread, also after reader_close.
 *   - Threads: endpoint, target and step verbs run on the management thread or a step lane; scan
 *     verbs on the planner; reader and writer verbs on their lane; one verb at a time per session.
 *     `interrupt` may come from any thread at any time. Different readers and writers of one scan
 * or target run at the same time: after scan_open / target_open those objects are read-only, or
 *     lock for themselves.
 *   - A connector never retries, sleeps, starts threads, writes to stdout, logs its own failure or
 *     counts rows for reports. Long waits go through ctx->wait or carry a timeout.
 *   - Capabilities are data that the engine checks first; refusals are worded once, by the engine.
 *   - Values pass only through the column types of the schemas; no silent change of a value.
 */
#ifndef WHERRY_CONNECTOR_H
#define WHERRY_CONNECTOR_H

#include <wherry/batch.h>
#include <wherry/option.h>
#include <wherry/status.h>
#include <wherry/storage.h>

#define WH_ABI 0

/* ---- names and small things ------------------------------------------------------------------ */

/* Object name, outermost part first (database, schema, table). Files: part[0] = path or glob.
 * Unused parts are empty. The text form exists only in the command line and the job file. */
struct wh_name {
    struct wh_str part[4];
    int n;
};

struct wh_objects {
    const struct wh_name *v;
    size_t n;
};

/* What the engine looks for in a catalogue. A connector may use `prefix` to narrow its queries; the
 * engine decides with `match` (whole name; globs, /regex/, lists are its business). */
struct wh_pattern {
    const struct wh_name *exact; /* one object asked by name, or NULL */
    struct wh_str prefix;        /* every wanted object's last part starts so; may be empty */
    bool (*match)(const struct wh_pattern *, const struct wh_name *);
    const void *self;
};

enum wh_object_kind {
    WH_OBJ_TABLE,
    WH_OBJ_VIEW,
    WH_OBJ_FILE,
    WH_OBJ_OTHER
};

/* One object of a catalogue; all borrowed during the callback. */
struct wh_object {
    struct wh_name name;
    enum wh_object_kind kind;
    const struct ArrowSchema *columns; /* NULL where only a scan can tell (files) */
    int64_t est_rows, est_bytes;       /* -1 unknown */
    const char *comment;
};
typedef wh_status (*wh_catalog_fn)(void *arg, const struct wh_object *);

enum wh_role {
    WH_COORDINATOR,
    WH_WORKER
};

/* A READ session enters the snapshot, a WRITE session must not. */
enum wh_use {
    WH_CONTROL,
    WH_READ,
    WH_WRITE,
    WH_STEP
};

enum wh_snapshot_kind {
    WH_SNAP_NONE,
    WH_SNAP_POINT, /* can be entered again: SCN, AS OF, cluster time, offsets, file list + etag */
    WH_SNAP_HELD,  /* while its holder lives: PostgreSQL exported snapshot, ES point in time */
    WH_SNAP_SESSIONS, /* only in n sessions opened together: MySQL; SQLite */
};

struct wh_snapshot {
    enum wh_snapshot_kind kind;
    struct wh_bytes token;   /* stored in the state; what `join` needs */
    char what[120];          /* "snapshot 00000003-1, xmin 771": printed by plan and status */
    bool unchanged_provable; /* join may say OK after the snapshot is gone because the server proves
                                that nothing changed since */
};

/* Who acts for a run. The run's row at the destination knows the highest epoch; older ones are
 * zombies. */
struct wh_fence {
    struct wh_str run;         /* "r-20261122-7f3a9c01d2e4" */
    uint32_t epoch;            /* raised by every claim */
    uint32_t flow, generation; /* 0, 0 where a verb concerns the run */
    struct wh_bytes memo;      /* claim of a new run: kept in its row (not empty), see `recall` */
};

/* ---- services of the engine --------------------------------------------------------------------
 */

struct wh_task; /* a helper job, see task/join */

/* Everything a connector may ask. One per endpoint; reader_open and writer_open get one per attempt
 * (cancelled, deadline and reject_raw are then the attempt's). `self` is the engine's. */
struct wh_ctx {
    uint32_t size;
    void *self;
    const char *run;        /* run id, "" when there is none (describe, check) */
    const char *connection; /* name for messages */
    const char *tag; /* session tag: "wherry/<12 hex of run>/e<epoch>/<kind><n>", <= 63 bytes */
    const char *timezone;  /* the job's zone */
    const char *state_dir; /* our own folder for small files (holders), 0700 */

    void *(*alloc)(const struct wh_ctx *, size_t n); /* endpoint's lifetime, zeroed; NULL */
    void (*log)(const struct wh_ctx *, int level, const char *fmt, ...) WH_PRINTF(3, 4);
    bool (*cancelled)(const struct wh_ctx *);
    int64_t (*deadline)(const struct wh_ctx *); /* monotonic ns at which this verb should be over */
    /* Waits for poll() events on fd (-1 = just time) until deadline_ns: OK, WH_E_CANCELLED, or
     * WH_E_IO with retriable set when the time is over. */
    wh_status (*wait)(const struct wh_ctx *, int fd, short events, int64_t deadline_ns,
                      struct wh_error *reterr);
    /* How many of the wanted bytes this session may hold in buffers; at least 64 kB. */
    int64_t (*grant)(const struct wh_ctx *, int64_t want);
    /* A row that never became part of a batch (unparsable line): counted as read and dirty,
     * archived with its raw bytes. raw_of: how many there were, as far as they were counted, where
     * raw is only their beginning; else 0. `position` = "line 17, byte 1234". WH_E_LIMIT ends the
     * attempt. */
    wh_status (*reject_raw)(const struct wh_ctx *, struct wh_bytes raw, int64_t raw_of,
                            const char *position, int32_t column, const char *code,
                            const char *text);
    /* Rows the source gives twice by its nature (SCAN): counted as read and skipped{reason}. */
    wh_status (*skipped)(const struct wh_ctx *, const char *reason, int64_t rows);
    /* The protocol moved us (region moved, MOVED, 307): counted and logged, inside one deadline. */
    void (*relocated)(const struct wh_ctx *, const char *why);
    /* Another connection's storage, opened for this endpoint and closed with it. */
    wh_status (*storage)(const struct wh_ctx *, const char *connection,
                         const struct wh_storage_ops **ret_ops, void **ret_st,
                         struct wh_error *reterr);
    /* Runs fn on a bounded helper pool (decompression, parsing of what cannot be split); join waits
     * for its end. When no helper is free, task answers WH_REFUSED: do it yourself. */
    wh_status (*task)(const struct wh_ctx *, void (*fn)(void *), void *arg, struct wh_task **ret);
    void (*join)(const struct wh_ctx *, struct wh_task *);
    /* Starts this connector's `hold` in a process of its own (fork and exec: own session, no
     * inherited descriptors; config by pipe), tagged with the run. Returns what it printed when
     * ready. It ends when released, when its TTL passes without `holder_touch`, or by itself. */
    wh_status (*holder)(const struct wh_ctx *, struct wh_bytes config, int64_t ttl_ms,
                        struct wh_bytes *ret_ready, struct wh_error *reterr);
    void (*holder_touch)(const struct wh_ctx *);   /* from tick */
    void (*holder_release)(const struct wh_ctx *); /* ends the run's holder of this endpoint */
    /* The run was asked to stop a moment ago: what is under way may be ended in good order, but a
     * lock that somebody else holds is not waited for any longer (BLOCKED). */
    bool (*hurried)(const struct wh_ctx *);
    /* An attempt's: reader_open gives columns even though the engine took frames. A row of a frame
     * was refused, and only columns can be told apart, archived and narrowed. */
    bool decoded;
    /* The instant that a setting means, in microseconds since 1970 UTC: RFC 3339; a date or a date
     * and time in the job's zone; a duration before the planned time of the run ("2d"). E1002. */
    wh_status (*instant)(const struct wh_ctx *, const char *text, int64_t *ret_us,
                         struct wh_error *reterr);
};

/* ---- endpoint ----------------------------------------------------------------------------------
 */

/* One statement of a list of rights, borrowed during the callback. */
struct wh_grant {
    const char *purpose; /* "read", "append", "overwrite"...: lists of one purpose come together */
    struct wh_str sql;   /* as an administrator would run it */
    bool held;           /* the session's user has it already */
};
typedef wh_status (*wh_grant_fn)(void *arg, const struct wh_grant *);

/* One thing that an unfinished run left at a destination: its row (unit = 0), or the marker of a
 * committed unit. Borrowed during the callback. */
struct wh_recalled {
    struct wh_str run;
    uint32_t epoch;
    struct wh_str owner; /* for people: "pid 4711 on db1 since 2026-11-22T03:00:00Z" */
    bool alive;          /* its process or its sessions are still there, as far as can be seen */
    struct wh_bytes memo;
    uint32_t flow, generation;
    int64_t unit; /* > 0 */
    int32_t attempt;
    struct wh_bytes rest, seed; /* of the marker; of the unit that the writer was opened for */
};
typedef wh_status (*wh_recall_fn)(void *arg, const struct wh_recalled *);

/* Runs that were given up because nobody is left to finish them. */
struct wh_disowned {
    int runs;
    int64_t rows;   /* committed by them; they stay where they are */
    char text[300]; /* "run r-... (process 12 on host since ...)" */
};

struct wh_endpoint_ops {
    uint32_t size;
    /* Reads options (connection table); may connect or not. */
    wh_status (*open)(void *ep, const struct wh_ctx *, enum wh_role, const void *opts,
                      struct wh_error *reterr);
    /* Reach, login, rights. */
    wh_status (*check)(void *ep, void *se, struct wh_error *reterr);
    /* ret_ident names the session at the server (pid + start) so that another session can evict it.
     * May answer GONE (READ, snapshot lost). */
    wh_status (*session_open)(void *se, void *ep, enum wh_use, struct wh_str *ret_ident,
                              struct wh_error *reterr);
    /* Any thread, also during session_open: the session's END. Whatever runs returns LOST; the
     * engine closes and replaces the session. */
    void (*interrupt)(void *se);
    /* Takes the run's snapshot. First ends any holder tagged with this run; locks the objects in
     * `pin` before the export; implies join for its caller. sessions = READ sessions wanted. */
    wh_status (*snapshot)(void *ep, void *se, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr);
    /* Enters a snapshot taken before (by a dead process, or by the coordinator). GONE: it cannot be
     * entered; READ sessions that live stay valid. */
    wh_status (*join)(void *ep, const struct wh_snapshot *, struct wh_error *reterr);
    /* After the last unit, before PUBLISH, and at close. Idempotent. */
    void (*release)(void *ep, const struct wh_snapshot *);
    /* Keeps point-in-time, holder, leases alive; every 5 s from the management thread. */
    wh_status (*tick)(void *ep, void *se, struct wh_error *reterr);
    /* Objects WITH columns, keys, estimates, in a handful of queries. Our own tables (wherry_run,
     * wherry_unit, wherry_target) and stages are never listed. */
    wh_status (*catalog)(void *ep, void *se, const struct wh_pattern *, wh_catalog_fn each,
                         void *arg, struct wh_error *reterr);
    /* Once per start, coordinator: make our tables, take the run row, epoch := mine, hold the
     * targets. When it returns OK, no transaction of an older epoch lives. OK, FENCED, BLOCKED,
     * HELD_BY. */
    wh_status (*claim)(void *ep, void *se, const struct wh_fence *,
                       const struct wh_objects *targets, struct wh_error *reterr);
    /* Ends our own tagged sessions: one ident, or (NULL) all of older epochs. */
    wh_status (*evict)(void *ep, void *se, const struct wh_fence *, const struct wh_str *ident,
                       struct wh_error *reterr);
    /* Run row closed, then markers deleted, targets let go; repeatable. */
    wh_status (*run_close)(void *ep, void *se, const struct wh_fence *, struct wh_error *reterr);
    /* Bytes per session that core/alloc cannot see (client library buffers). */
    int64_t (*footprint)(const void *opts);
    void (*session_close)(void *se);
    void (*close)(void *ep);
    /* Class T, both or none: what rebuilds a lost state. `remember` replaces the memo in the run's
     * row (after the claim, before any unit); OK, FENCED. `recall` gives the rows of open runs
     * (run NULL), or one run's markers of units, by flow and unit; nothing of ours here is OK. */
    wh_status (*remember)(void *ep, void *se, const struct wh_fence *, struct wh_bytes memo,
                          struct wh_error *reterr);
    wh_status (*recall)(void *ep, void *se, const struct wh_str *run, wh_recall_fn each, void *arg,
                        struct wh_error *reterr);
    /* After claim answered HELD_BY with E7005: closes the runs that hold these targets, if their
     * owners are provably dead (else HELD_BY again), and drops what they staged. act = false: only
     * counts. Optional. */
    wh_status (*disown)(void *ep, void *se, const struct wh_fence *,
                        const struct wh_objects *targets, bool act, struct wh_disowned *ret,
                        struct wh_error *reterr);
    /* Optional. The least rights that the session's user needs for this object (it need not exist
     * yet; NULL: for every table of the database), purpose by purpose, each list whole. */
    wh_status (*grants)(void *ep, void *se, const struct wh_name *object, wh_grant_fn each,
                        void *arg, struct wh_error *reterr);
    /* Optional, a hint while planning: scans (or targets) of these objects are opened next, with
     * these options (`from`, or `to`). What they need of the catalogue may be fetched for all at
     * once and kept until the next call for the same side; n = 0: let go of it. An object that is
     * not there or not clear is no failure here: scan_open and target_open say so, and after any
     * failure of this verb they ask for themselves, as without it. */
    wh_status (*expect)(void *ep, void *se, const struct wh_objects *, const void *opts,
                        bool targets, struct wh_error *reterr);
    /* Optional. Does the server work for the session of this ident now (a slow trigger, a sort, a
     * lock that somebody else holds)? Asked on `se`, from the management thread, of a session that
     * has not moved for long. OK: it does, ret_words say at what and who is in the way; END: it
     * waits for its client, or is gone. */
    wh_status (*working)(void *ep, void *se, const struct wh_str *ident, char *ret_words, size_t n,
                         struct wh_error *reterr);
    /* Optional. Where these options (connection table) lead with what the environment and files of
     * the system's own add to them, in words that are the same for the same place ("host=db1
     * dbname=prod"); no secrets. No endpoint is open, nobody is asked. */
    void (*place)(const void *opts, char *ret_words, size_t n);
};

/* ---- source ------------------------------------------------------------------------------------
 */

enum {
    WH_SPLIT_LABEL = 96
};

struct wh_split {
    struct wh_bytes token; /* storable: enough to read it in another process; <= 64 kB */
    char label[WH_SPLIT_LABEL];
    int64_t est_rows, est_bytes; /* -1 unknown */
    /* Splits of one group != 0 run in sequence where the sink needs key order; in a chained scan
     * the group is the file and seq counts its ranges from 0. */
    uint64_t order_group, order_seq;
};

enum wh_pushdown {
    WH_PUSH_NO,
    WH_PUSH_SUPERSET,
    WH_PUSH_EXACT
};

struct wh_predicate {
    const char *column;
    int op;                  /* '=', '<', '>', 'l' (<=), 'g' (>=), 'n' (is null) */
    const char *value;       /* canonical text */
    enum wh_pushdown pushed; /* answer */
};

/* A column that the source computes of each row: an expression in its own language. */
struct wh_computed {
    const char *name, *sql;
};

/* Negotiation: the engine asks, the source answers in the second half. */
struct wh_scan {
    const struct wh_name *object;
    const void *opts;           /* filled `from` table */
    const struct wh_ctx *ctx;   /* the flow's services; lives as long as the scan */
    const char *const *columns; /* projection by source name; NULL = all */
    size_t n_columns;
    const char *where, *query; /* source's own language; NULL */
    struct wh_predicate *preds;
    size_t n_preds;
    int64_t limit;             /* rows; 0 = none */
    int parallel;              /* lanes the run would like */
    int64_t unit_bytes;        /* wanted size of a unit */
    const char *const *frames; /* encodings the destination takes, NULL-terminated; or NULL */
    /* Declared types by source name ("c" -> "decimal(18,2)"): a source that guesses types takes
     * them instead of its guess; the engine converts what the source gives in another type. */
    const struct wh_map *types;       /* NULL */
    const struct ArrowSchema *frozen; /* not the first time: the schema that the plan fixed */
    struct wh_bytes bounds;           /* not the first time: what `ret_bounds` was */

    /* Answers. */
    char method[96];            /* "rowid ranges", "byte ranges of 64 MiB", "one stream" */
    struct wh_bytes ret_bounds; /* what the plan freezes: file list + etags, offsets, watermark */
    const char *frame;          /* chosen encoding or NULL */
    bool limit_done;            /* the source stops at `limit` by itself */
    bool physical;              /* splits name physical places (ctid, ROWID, byte offset) */
    bool splittable;
    bool chained;    /* ends must be checked against starts: reader_chain */
    bool resumable;  /* false: "not resumable inside a unit" in the plan */
    int max_readers; /* 0 = no cap */
    int64_t est_rows, est_bytes;
    int64_t sampled_rows; /* types were guessed from that many rows; 0 = not guessed */
    char note[256];       /* for the plan: "BOM dropped; sep= line dropped" */

    /* Asked as well. */
    int64_t max_row_bytes; /* values.max_row_bytes; a frame with a longer row ends its unit
                              (WH_E_LIMIT); 0 = the default */
    const char *split_by;  /* column whose ranges are wanted as splits; NULL */
    bool no_snapshot;      /* the run reads without an instant: physical places may move */
    /* Answered as well. */
    char frame_why[160]; /* a frame that the destination takes is not offered: why, for the plan */
    int pins;            /* tables that the run's snapshot locks for this scan; 0 = none */
    struct wh_str comment; /* of the object, for a table that is made; lives as long as the scan */
    /* Not NULL: every batch tells its origin (`source: file`). A text like those, the longest where
     * that is known; lives as long as the scan. */
    const char *origin;
    /* Asked: what rows are to tell of where they stand, NULL-terminated: "line" (from 1, of the
     * row's first byte, in its file), "offset" (of that byte, in its file, from 0). Answered: a
     * column int64 not null for each behind all others, with WH_META_PLACE; one that cannot be told
     * of these rows (never: sometimes) is left out, and the engine refuses. NULL = none. */
    const char *const *places;
    bool retires; /* `retire` will take something away: what was read cannot be read again */
    /* Asked (WH_CAP_AS_OF): rows as they were at that time, which ctx->instant understands; NULL:
     * as they are. */
    const char *as_of;
    struct wh_str say_warn; /* answered: warnings for the plan, one a line, of what is left out;
                               lives as long as the scan */
    /* Asked: columns that the source computes. Answered: a column for each of them, in their order,
     * behind those of the object, with WH_META_COMPUTED; named as asked unless the object has such
     * a column. An expression is one value of each row: what would make rows, drop them or look at
     * others (of a division that is ours) is refused. A source that computes nothing ignores them,
     * and the engine refuses. */
    const struct wh_computed *computed;
    size_t n_computed;
    size_t computed_bad; /* answered with a failure: which of them it is about, from 1; 0 = none */
    /* Answered: server, database and object, in the form of wh_target.identity, so that a resume
     * reads from where the run began, and nothing is read and written at once. Empty where the
     * bounds tell it (files) or there is none. */
    char identity[320];
    /* Asked (WH_CAP_PARTS), instead of unit_bytes: about so many units, or rows in a unit; 0 = not
     * said. A source that can be divided answers with the unit_bytes that this comes to. */
    int64_t parts, unit_rows;
    /* Asked (WH_CAP_SPLIT_BY): only rows whose `split_by` is from here to there, both included, in
     * the source's own order and text; NULL: all. */
    const char *range_from, *range_to;
    bool destroys; /* answered: what `retire` takes away is nowhere afterwards; the engine wants the
                      rows to be kept by the destination */
};

/* An infinite date or timestamp. */
enum wh_infinite {
    WH_INFINITE_REJECT, /* reject_raw with E6012 */
    WH_INFINITE_NULL,
    WH_INFINITE_NEITHER, /* rejected, and with them finite values that would look like KEEP's */
    WH_INFINITE_KEEP /* -infinity is the least value of the column's integer, infinity the greatest;
                        no finite value is delivered as one of these */
};

struct wh_source_ops {
    uint32_t size;
    size_t sc_size, rd_size;
    /* END: there is nothing to read, and the options say that this is well: the plan goes without.
     */
    wh_status (*scan_open)(void *sc, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr);
    /* Lazy: cursor NULL (or empty) = first. ret_cursor is stored with the drawn unit. OK, END. */
    wh_status (*split_next)(void *sc, void *se, const struct wh_bytes *cursor, struct wh_split *ret,
                            struct wh_bytes *ret_cursor, struct wh_error *reterr);
    /* ret_actual: the schema found now; release NULL = as the scan said. May answer GONE. */
    wh_status (*reader_open)(void *rd, void *sc, void *se, const struct wh_ctx *attempt,
                             const struct wh_split *, struct ArrowSchema *ret_actual,
                             struct wh_error *reterr);
    /* Columns or a frame. OK, END (again and again), LOST, GONE, <0. Never an empty batch. */
    wh_status (*reader_next)(void *rd, struct wh_batch *ret, struct wh_error *reterr);
    /* "What is left after the last batch?" Between batches; the reader may then be closed or go on.
     * OK with a split that reads exactly the rest (END: nothing is left). Optional. ret_done (may
     * be NULL) is the part already read. */
    wh_status (*reader_cut)(void *rd, struct wh_split *ret_rest, struct wh_split *ret_done,
                            struct wh_error *reterr);
    /* Chained scans only, called before the unit is sealed. After END (or a cut): where this split
     * really ended, <= 64 bytes. */
    wh_status (*reader_end)(void *rd, struct wh_bytes *ret_end, struct wh_error *reterr);
    /* prev_end = reader_end of (order_group, order_seq - 1). OK: this reader began exactly there.
     * REFUSED: it did not (a newline inside quotes fooled it); the attempt is discarded and done
     * again with ret_right, which begins there (same order_group and order_seq). Asked as well
     * after reader_open or reader_next failed, since who begins in the middle of a row may read
     * nonsense: reader_open keeps what this needs before anything can fail. */
    wh_status (*reader_chain)(void *rd, const struct wh_bytes *prev_end, struct wh_split *ret_right,
                              struct wh_error *reterr);
    /* After the commit is recorded; repeatable: offsets committed, read files moved. */
    wh_status (*acknowledge)(void *sc, void *se, const struct wh_bytes *bookmark,
                             struct wh_error *reterr);
    void (*reader_close)(void *rd);
    void (*scan_close)(void *sc);
    /* on: the engine took scan.frame, readers that are opened from now on give frames; off: columns
     * (as without a call), and so does an attempt whose context says `decoded`. While no reader is
     * open. */
    void (*use_frames)(void *sc, bool on);
    /* Optional: dates and timestamps of this source may be infinite. What becomes of those of each
     * column of the scan's schema (without a call: WH_INFINITE_REJECT). While no reader is open. */
    void (*infinite)(void *sc, const enum wh_infinite *how, int64_t n);
    /* Optional: the last word to a source, without its scan. All rows of the run are final at every
     * destination, and the run is recorded as closing: files that were read are removed, say.
     * bounds = ret_bounds of the plan. rows_away: so many rows of it were read and not written
     * (refused, filtered, skipped), and what is taken away must stay somewhere. Repeatable: a
     * resume repeats it until the run is closed. */
    wh_status (*retire)(void *ep, const struct wh_fence *, struct wh_bytes bounds,
                        int64_t rows_away, struct wh_error *reterr);
};

/* ---- destination --------------------------------------------------------------------------------
 */

enum wh_mode {
    WH_MODE_APPEND,
    WH_MODE_OVERWRITE,
    WH_MODE_TRUNCATE,
    WH_MODE_UPSERT,
    WH_MODE_REPLACE,
    WH_MODE_UPDATE,
    WH_MODE_INSERT_IGNORE,
    WH_MODE_DELETE_INSERT,
    WH_MODE_COUNT
};

/* How a destination makes "exactly once" true (DESIGN 6.4). */
enum wh_class {
    WH_CLASS_T, /* rows and marker in one destination transaction */
    WH_CLASS_P, /* stage, then publish once */
    WH_CLASS_D, /* destination deduplicates by token, inside its window */
    WH_CLASS_K, /* key-idempotent writes */
    WH_CLASS_X, /* transactional log */
    WH_CLASS_A, /* at least once, announced */
};

enum wh_atomic {
    WH_ATOMIC_UNIT,
    WH_ATOMIC_TABLE,
    WH_ATOMIC_RUN
};
enum wh_create {
    WH_CREATE_IF_MISSING,
    WH_CREATE_NEVER,
    WH_CREATE_RECREATE
};
enum wh_evolve {
    WH_EVOLVE_NONE,
    WH_EVOLVE_ADD,
    WH_EVOLVE_WIDEN
};

enum wh_grain {
    WH_GRAIN_ROW,     /* verdict per item: _bulk, Mongo, Redis, HBase multi */
    WH_GRAIN_BATCH,   /* writer_flush is the savepoint: COPY, LOAD DATA */
    WH_GRAIN_ATTEMPT, /* all or nothing */
};

struct wh_target {
    const struct wh_name *object;     /* n = 0: take source_name */
    struct wh_str source_name;        /* last part of the source's name, without extensions */
    const void *opts;                 /* filled `to` table */
    const struct wh_ctx *ctx;         /* the flow's services; lives as long as the target */
    const struct ArrowSchema *source; /* columns the engine will deliver: mapped, source's types,
                                         source's metadata (keys, comments, native types) */
    enum wh_mode mode;
    const char *const *keys; /* write.keys as asked; NULL */
    size_t n_keys;
    const char *replace_where; /* delete-insert */
    enum wh_create create;
    enum wh_evolve evolve;
    enum wh_atomic atomic;
    bool atomic_asked; /* else the connector chooses its default */
    bool planning;     /* look only: nothing may be made or changed */
    bool marker_off;
    const struct wh_fence *fence;     /* names of stages carry run and generation */
    const struct ArrowSchema *frozen; /* not the first time: `accept` as the plan fixed it */
    struct wh_bytes memo;             /* not the first time: what `ret_memo` was */
    int64_t guard_min_rows;           /* checked by the engine; here for staging decisions */

    /* Answers. */
    struct ArrowSchema accept; /* the engine releases: same columns in the same order, in
                                  the types the writer wants, with its limits (length,
                                  nullable) so that the engine can check before sending; it
                                  may be lent until target_close (release frees nothing) */
    enum wh_grain grain;
    enum wh_class commit_class;
    enum wh_atomic atomic_given;
    bool exists;
    int64_t existing_rows; /* -1 unknown; all but 0 ask the guard */
    bool needs_key_order;
    int max_writers;           /* WRITE sessions at once; 0 = no cap */
    const char *frame;         /* encoding it takes from scan.frame, or NULL */
    struct wh_bytes ret_memo;  /* what the plan freezes for this target */
    struct wh_name ret_object; /* the true name, resolved */
    char identity[320];        /* server identity, database, object: key of the lock */
    struct wh_str say_create;  /* DDL or "new file ..."; empty if nothing is made */
    char instant[160];         /* when rows show: "each unit when it commits" */
    char on_kill[200];         /* what kill -9 leaves: "committed units stay; ..." */
    char note[256];
    char frame_why[160]; /* it takes no frame here though caps.frames names some: why */
    /* Not empty: nothing can be committed here while something is read here (one writer or readers
     * per file). What to do about it, for people; the engine refuses such a pair. */
    char alone[160];
    /* Asked: the source has infinite dates and timestamps. Answered: per column of `source`,
     * whether they can be held where they come as WH_INFINITE_KEEP says; NULL = nowhere. Lives as
     * long as the target. */
    bool infinite;
    const bool *keeps_infinite;
    struct wh_str comment;  /* asked: for a table that is made; may be empty */
    struct wh_str say_warn; /* warnings for the plan, one a line; lives as say_create does */
    /* Asked (WH_CAP_STATEMENTS): statements of the job, the last steps of PREPARE and of FINISH,
     * each a transaction with its marker, flagged WH_STEP_STATEMENT; {target} in them is the
     * object's quoted name. They live as long as the target. */
    const char *const *before, *const *after;
    size_t n_before, n_after;
    bool repeat_before; /* `before` is flagged WH_STEP_REPEAT */
    bool no_sequences;  /* sequences of delivered columns are left where they are */
    /* Answered where create is RECREATE: what goes with the table that is there and does not come
     * back ("other columns: a, b"); empty: nothing. The engine asks for consent. */
    char loses[200];
    /* delete-insert: rows whose key (`keys`, else the primary key) a delivered row has are
     * replaced; replace_where is NULL then. NULL is a value like others in such a key. */
    bool replace_keys;
    /* Markers of units and steps go into this table instead of ours beside the target; NULL: ours.
     * The run's row and the targets it holds stay where they are: by them runs find each other. */
    const struct wh_name *marker;
};

enum {
    WH_LABEL = 96
};

struct wh_unit {
    int64_t id; /* in its flow, from 1; in source order */
    uint32_t flow, generation;
    int32_t attempt; /* from 1 */
    bool careful;    /* after a refusal: BATCH or ROW grain, find the row */
    char label[WH_LABEL];
    int64_t est_rows, est_bytes;
    struct wh_bytes seed; /* engine's bytes for the marker (class T), borrowed while the writer is
                             being opened; may be empty */
};

struct wh_verdict {
    int64_t send, row; /* row counts from that send's `first` (or index into its `rows`) */
    int32_t column;    /* -1 unknown */
    char code[6];      /* E6xxx */
    bool again;        /* not judged: it comes back as a new send (429 inside a 200) */
    struct wh_str text;
};

/* Borrowed until the writer's next call. */
struct wh_acks {
    int64_t upto_send; /* all sends up to here are judged */
    const struct wh_verdict *bad;
    size_t n_bad;
    int64_t retry_after_ms;
};

/* What the writer's side counted; each number only where the server or encoder knows it (-1). */
struct wh_tally {
    int64_t rows; /* acknowledged as input */
    int64_t bytes;
    bool has_hash;
    uint64_t hash[2]; /* sum of row hashes (lo, hi) computed from what was encoded; of frames:
                         wh_framehash_add over what was sent, from 0 */
    int64_t inserted, updated, unchanged;
};

/* What the two ends agreed on; goes into the destination with the rows (class T) or the receipt. */
struct wh_marker {
    int64_t rows, bytes, dirty, filtered, skipped;
    uint64_t hash[2];
    struct wh_bytes rest; /* engine's bytes: where the unit was cut, <= 64 kB; empty = whole */
    struct wh_bytes end;  /* engine's bytes: reader_end of chained scans; may be empty */
};

enum wh_fate_kind {
    WH_FATE_ABSENT,
    WH_FATE_IN_DOUBT,
    WH_FATE_COMMITTED,
    WH_FATE_STAGED
};

struct wh_fate {
    enum wh_fate_kind kind;
    struct wh_marker marker; /* COMMITTED, STAGED; bytes borrowed until the next call */
    struct wh_bytes receipt;
    int32_t attempt;
};

enum wh_phase {
    WH_PREPARE,
    WH_SETTLE,
    WH_PUBLISH,
    WH_FINISH, /* after all tables of the run are published */
    WH_DROP    /* removes what is staged and not published, never what is published: after FINISH,
                  before a generation starts again, when a run is given up */
};

enum {
    WH_STEP_PARALLEL = 1,
    WH_STEP_TRANSACTIONAL = 2, /* its marker is in the same transaction */
    WH_STEP_DESTRUCTIVE = 4,   /* coordinator only */
    WH_STEP_OPTIONAL = 8,      /* failure is a warning */
    WH_STEP_STATEMENT = 16,    /* write.before, write.after of the job */
    WH_STEP_REPEAT = 32,       /* once in every epoch, until its flow is moved */
    WH_STEP_LOOKS = 64,        /* changes nothing: no row shows by it, done or refused */
};

/* Everything a destination does outside a writer: small, named, idempotent. */
struct wh_step {
    uint32_t id, after; /* id from 1 in its phase and flow; `after` = 0 or an id before it */
    enum wh_phase phase;
    uint32_t flags;
    struct wh_str say;     /* the SQL or call, printed by the plan */
    struct wh_bytes token; /* what `apply` needs, also in another process */
};

struct wh_step_sink {
    void *self;
    wh_status (*add)(struct wh_step_sink *, const struct wh_step *);
};

struct wh_receipt {
    int64_t unit, rows, bytes;
    int32_t attempt;
    struct wh_bytes receipt;
};

/* Recorded receipts of one flow in the order of units; a cursor, never an array of millions. */
struct wh_receipts {
    void *self;
    wh_status (*next)(struct wh_receipts *, struct wh_receipt *ret); /* OK, END */
    void (*rewind)(struct wh_receipts *);
    int64_t n; /* how many there are */
};

struct wh_sink_ops {
    uint32_t size;
    size_t fl_size, wr_size;
    /* Shape, mode, keys. Touches nothing while io->planning, and nothing otherwise either: making
     * is PREPARE's. */
    wh_status (*target_open)(void *fl, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr);
    /* Steps of a phase. receipts NULL: forms for the plan. */
    wh_status (*steps)(void *fl, void *se, enum wh_phase, struct wh_receipts *,
                       struct wh_step_sink *out, struct wh_error *reterr);
    /* Doing it twice is harmless. maybe_done: intent was journalled, outcome was not: look first.
     * OK, TWIN (its marker exists: done), FENCED, BLOCKED, UNKNOWN, LOST, <0. */
    wh_status (*apply)(void *fl, void *se, const struct wh_step *, const struct wh_fence *,
                       struct wh_receipts *, bool maybe_done, struct wh_bytes *ret_receipt,
                       struct wh_error *reterr);
    /* Optional: steps of several flows of one endpoint in one transaction (atomic: run). */
    wh_status (*apply_many)(void *const *fl, void *se, const struct wh_step *const *, size_t n,
                            const struct wh_fence *, bool maybe_done, struct wh_error *reterr);
    /* Class T: locks the run row and inserts the marker. OK, TWIN, FENCED, BLOCKED, LOST. */
    wh_status (*writer_open)(void *wr, void *fl, void *se, const struct wh_ctx *attempt,
                             const struct wh_unit *, const struct wh_fence *,
                             struct wh_error *reterr);
    /* Rows [first, first + n) of the batch, or (rows != NULL) the n rows listed, numbered by the
     * engine from send 1. May keep pointers into the batch until it acks the send. OK, REFUSED,
     * LOST, <0. ret is always filled (upto_send may lag). */
    wh_status (*writer_write)(void *wr, const struct wh_batch *, int64_t send, const int32_t *rows,
                              int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr);
    /* Waits for at least one ack (or none open); the savepoint where the grain is BATCH. */
    wh_status (*writer_flush)(void *wr, int64_t deadline_ns, struct wh_acks *ret,
                              struct wh_error *reterr);
    /* Only with no send open: what this side counted. Nothing is visible yet. */
    wh_status (*writer_seal)(void *wr, struct wh_tally *ret, struct wh_error *reterr);
    /* OK only if the server says so; UNKNOWN; FENCED; <0. Class P: nothing becomes visible, the
     * receipt tells PUBLISH what to do. */
    wh_status (*writer_commit)(void *wr, const struct wh_marker *, struct wh_bytes *ret_receipt,
                               struct wh_error *reterr);
    wh_status (*lookup)(void *fl, void *se, const struct wh_unit *, struct wh_fate *ret,
                        struct wh_error *reterr);
    /* At resume: is the target still the same object and does it still hold these units? OK or
     * WH_E_STATE with E7xxx. Optional. */
    wh_status (*verify)(void *fl, void *se, struct wh_receipts *committed, const struct wh_fence *,
                        struct wh_error *reterr);
    void (*writer_close)(void *wr); /* without commit: the attempt is thrown away */
    void (*target_close)(void *fl);
};

/* ---- the connector ------------------------------------------------------------------------------
 */

enum {
    WH_CAP_MARKER = 1,         /* can hold markers (class T) */
    WH_CAP_WHOLE_DATABASE = 2, /* catalog lists tables that can be copied one by one */
    WH_CAP_WHERE = 4,          /* understands scan.where */
    WH_CAP_QUERY = 8,
    WH_CAP_PROJECTION = 16,
    WH_CAP_LIMIT = 32,
    WH_CAP_STDIO = 64,     /* "-" is an object */
    WH_CAP_LOCAL = 128,    /* no network: a lock of ours on this host is enough */
    WH_CAP_SPLIT_BY = 256, /* understands scan.split_by */
    WH_CAP_PATHS = 512,    /* an object is a path, taken whole; so it is where there is `storage` */
    WH_CAP_STATEMENTS = 1024,    /* runs wh_target.before and .after */
    WH_CAP_AS_OF = 2048,         /* understands scan.as_of: has a past, or rows that never change */
    WH_CAP_AS_IS = 4096,         /* its targets take files as they are (WH_META_AS_IS) */
    WH_CAP_REPLACE_KEYS = 8192,  /* understands wh_target.replace_keys */
    WH_CAP_PARTS = 16384,        /* understands scan.parts and scan.unit_rows */
    WH_CAP_MARKER_TABLE = 32768, /* understands wh_target.marker */
    WH_CAP_KEEPS_NOTHING = 65536, /* what is written into its targets is nowhere afterwards */
};

struct wh_capabilities {
    uint32_t flags;
    uint32_t modes;             /* bit (1 << enum wh_mode) */
    enum wh_class commit_class; /* best it can give */
    uint32_t atomics;           /* bit (1 << enum wh_atomic) */
    enum wh_snapshot_kind snapshot;
    const char *grade;         /* "G1".."G5": what its tests ran against (DESIGN 10) */
    const char *limits;        /* one line for people, or NULL */
    const char *const *frames; /* encodings that its targets may take, NULL-terminated; or NULL */
};

/* How "scheme:REST" is read. */
enum wh_url_form {
    WH_URL_SERVER, /* scheme://user:password@host:port/database?options#object */
    WH_URL_PATH,   /* scheme:path?options#object: path fills connection option "path" */
    WH_URL_OBJECT, /* scheme:object?options: no connection to speak of */
};

/* What a module uses of others, told one by one; texts are borrowed during the call. */
typedef void (*wh_library_fn)(void *arg, const char *name, const char *version);

struct wh_connector {
    uint32_t abi, size;
    const char *name, *title;
    const char *const *schemes; /* NULL-terminated; the first is the name */
    enum wh_url_form url;
    const struct wh_options *connection, *from, *to; /* NULL where there is none */
    const struct wh_capabilities *caps;
    size_t ep_size, se_size;
    const struct wh_endpoint_ops *endpoint;
    const struct wh_source_ops *source;   /* NULL: cannot be read */
    const struct wh_sink_ops *sink;       /* NULL: cannot be written */
    const struct wh_storage_ops *storage; /* NULL: no files here */
    /* Cross-field rules of filled tables (any may be NULL); adds to reterr the first problem. */
    wh_status (*validate)(const void *connection, const void *from, const void *to,
                          struct wh_error *reterr);
    /* Body of `wherry hold` (own process): make what is held, write the ready bytes to ready_fd,
     * close it, then return when alive(alive_arg) says false (asked at least once a second). */
    wh_status (*hold)(struct wh_bytes config, int ready_fd, bool (*alive)(void *), void *alive_arg,
                      struct wh_error *reterr);
    /* Optional: the libraries behind it, as they are loaded now, for `wherry version --json`. */
    void (*libraries)(wh_library_fn each, void *arg);
};

/* A module wherry-<name>.so exports `const struct wh_connector wh_connector_<name>` ('-' as '_').
 */
#define WH_CONNECTOR(name) WH_EXPORT extern const struct wh_connector wh_connector_##name

#endif
