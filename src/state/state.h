/* SPDX-License-Identifier: Apache-2.0 */
/* The state store: the one truth about runs, flows, units, steps, targets. SQLite behind it
 * ($XDG_STATE_HOME/wherry/state.db); PostgreSQL later, with the same operations and tests.
 *
 * Threads: every function may be called from any thread; calls are serialised inside. Texts and
 * blobs that are returned live in the arena that is passed in. Every change of a run's records
 * names the epoch it acts for and is refused with WH_FENCED when the run has a newer one.
 *
 * A change survives the death of the process as soon as the call returns. The machine's power is
 * another matter: what must be on stable storage before an act outside (a claim, a step, a source
 * told, a closing) is put there by wh_state_sync just before that act, all changes so far at once.
 * What power takes after that is a suffix of the changes; the destination's markers and receipts
 * make it good. So a small table costs a handful of syncs, not one per change.
 */
#ifndef WHERRY_STATE_STATE_H
#define WHERRY_STATE_STATE_H

#include "core/alloc.h"
#include "core/buf.h"
#include "core/hash.h"

struct wh_state;

/* url: a path, "sqlite:PATH", or NULL for the default place. Makes the folder (0700) and the file
 * (0600), migrates forward; a newer schema is refused (E7xxx). */
wh_status wh_state_open(const char *url, int64_t busy_ms, struct wh_state **ret,
                        struct wh_error *reterr);
/* Where the state lies when nobody says so; NULL: no memory. */
const char *wh_state_default_path(struct wh_arena *);
void wh_state_close(struct wh_state *);
const char *wh_state_dir(const struct wh_state *); /* our folder for archives, holders, locks */
/* All changes so far are on stable storage when this returns OK; costs nothing if they are. */
wh_status wh_state_sync(struct wh_state *, struct wh_error *reterr);

/* ---- runs --------------------------------------------------------------------------------------
 */

/* Names in the table and in WH_TEST_TRANSITIONS. Finished = DONE or REFUSED (INTERFACE 5). */
enum wh_run_state {
    WH_RUN_PLANNED,
    WH_RUN_CLAIMED,
    WH_RUN_MOVING,
    WH_RUN_PUBLISHING,
    WH_RUN_FINISHING,
    WH_RUN_CLOSING,   /* recorded before the first run_close; resume repeats run_close only */
    WH_RUN_CLOSED,    /* nothing left at any destination; exit code says how it ended */
    WH_RUN_DISCARDED, /* given up by --fresh or cancel --discard */
};
const char *wh_run_state_name(enum wh_run_state);

/* How a run ended, in words that may be long: made while they are written. Must not use the state.
 */
struct wh_report {
    void *arg;
    wh_status (*json)(void *arg, struct wh_buf *, wh_drain_fn, void *to);
    wh_status (*text)(void *arg, struct wh_buf *, wh_drain_fn, void *to);
};

struct wh_run_record {
    const char *run;        /* "r-20261122-7f3a9c01d2e4" */
    const char *job, *file; /* job name; file or NULL */
    const char *identity;   /* hash of (job name, scheduled, params) or the --run-id */
    bool is_copy;
    const char *scheduled; /* or NULL */
    const char *job_json;  /* resolved job without secrets */
    const char *shape;     /* hex of wh_job.shape */
    const char *version;   /* of the program that made it */
    enum wh_run_state state;
    uint32_t epoch;
    int exit_code;        /* -1 while unfinished and never ended */
    bool finished;        /* ended with 0, 3, 4, 8, or 2 before anything was touched */
    const char *snapshot; /* "one instant", "mixed (2 instants)", NULL */
    int64_t created_us, started_us, ended_us;
    /* The process that acts for it. */
    const char *host;
    int64_t pid, beat_us;
    const char *limits; /* JSON of `limit RUN`, NULL = as planned */
    int64_t rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped;
    const struct wh_report *report; /* at its end; NULL: as told before */
    const char *folder; /* in which it was begun (run_new sees to it); NULL: not known */
    const char *ends;   /* where it reads and writes (engine/ends.h); NULL: not known */
};

wh_status wh_state_run_new(struct wh_state *, const struct wh_run_record *,
                           struct wh_error *reterr); /* epoch: the highest one known */
/* By full id or a unique prefix (with or without "r-"). WH_E_NOT_FOUND lists candidates. */
wh_status wh_state_run_get(struct wh_state *, const char *run, struct wh_arena *,
                           struct wh_run_record *ret, struct wh_error *reterr);
/* Newest first. job, identity NULL = any; unfinished_only. The callback's END stops the listing. */
typedef wh_status (*wh_run_fn)(void *arg, const struct wh_run_record *);
wh_status wh_state_runs(struct wh_state *, const char *job, const char *identity,
                        bool unfinished_only, wh_run_fn each, void *arg, struct wh_error *reterr);
/* The newest runs of an identity that were not given up; NULL where there is none. By an index, so
 * that a start does not grow with the history. */
wh_status wh_state_run_find(struct wh_state *, const char *identity, struct wh_arena *,
                            const char **ret_unfinished, const char **ret_finished,
                            struct wh_error *reterr);
/* Becomes the run's owner: takes its lock file, raises the epoch. WH_HELD_BY with E7xxx when a
 * living process owns it (host, pid, since in the message); a dead or stale owner is taken over. */
wh_status wh_state_run_claim(struct wh_state *, const char *run, int64_t stale_ms,
                             uint32_t *ret_epoch, struct wh_error *reterr);
/* Everything about a run: one whose rebuilding failed half-way. */
wh_status wh_state_run_forget(struct wh_state *, const char *run, struct wh_error *reterr);
void wh_state_run_unclaim(struct wh_state *, const char *run, uint32_t epoch);
/* Whether a living process owns it: 1 yes, 0 no, -1 another host and not stale. */
int wh_state_run_alive(struct wh_state *, const struct wh_run_record *, int64_t stale_ms);
/* Whether its process is there and was not stopped, whatever any clock says; only of this host. */
bool wh_state_run_there(struct wh_state *, const struct wh_run_record *);
wh_status wh_state_run_set(struct wh_state *, const char *run, uint32_t epoch, enum wh_run_state,
                           struct wh_error *reterr);
/* FENCED tells a stopped owner that it was taken over. Also reads `limits` back (arena may be
 * NULL). cancel: 0, 1 = cancel was asked, 2 = cancel --discard. */
wh_status wh_state_run_beat(struct wh_state *, const char *run, uint32_t epoch, struct wh_arena *,
                            const char **ret_limits, int *ret_cancel, struct wh_error *reterr);
wh_status wh_state_run_end(struct wh_state *, const struct wh_run_record *, uint32_t epoch,
                           struct wh_error *reterr); /* exit, finished, report, counts */
/* What was told when the run ended, piece by piece; nothing where it has not ended. `each` must not
 * use the state. */
enum wh_report_kind {
    WH_REPORT_JSON, /* the event of its end, a line */
    WH_REPORT_TEXT, /* for people */
};
wh_status wh_state_report(struct wh_state *, const char *run, enum wh_report_kind,
                          wh_status (*each)(void *arg, struct wh_str piece), void *arg,
                          struct wh_error *reterr);
wh_status wh_state_run_limit(struct wh_state *, const char *run, const char *limits_json,
                             struct wh_error *reterr);
wh_status wh_state_run_cancel(struct wh_state *, const char *run, bool discard,
                              struct wh_error *reterr);
wh_status wh_state_run_snapshot(struct wh_state *, const char *run, uint32_t epoch,
                                const char *snapshot, struct wh_error *reterr);

/* Snapshots per endpoint of the plan. */
struct wh_snapshot_record {
    int endpoint, kind, instants;
    struct wh_bytes token;
    const char *what;
    bool unchanged_provable;
    int64_t taken_us;
};
wh_status wh_state_snapshot_put(struct wh_state *, const char *run, uint32_t epoch,
                                const struct wh_snapshot_record *, struct wh_error *reterr);
wh_status wh_state_snapshots(struct wh_state *, const char *run, struct wh_arena *,
                             struct wh_snapshot_record **ret, size_t *ret_n,
                             struct wh_error *reterr);

/* ---- targets ------------------------------------------------------------------------------------
 */

/* One run per target, all of them or none. OK: held by `run` (again). WH_HELD_BY: by another run;
 * code E7xxx tells a living owner (exit 10) from a dead unfinished one (exit 2, names `resume` and
 * `--fresh`). */
wh_status wh_state_targets_take(struct wh_state *, const char *run, uint32_t epoch,
                                const char *const *identities, size_t n, int64_t stale_ms,
                                struct wh_error *reterr);
wh_status wh_state_targets_release(struct wh_state *, const char *run, struct wh_error *reterr);
/* Who holds a target: fills *ret; WH_E_NOT_FOUND if nobody. */
wh_status wh_state_target_owner(struct wh_state *, const char *identity, struct wh_arena *,
                                struct wh_run_record *ret, struct wh_error *reterr);

struct wh_target_record {
    const char *identity, *run;
    int64_t since_us;
};
/* Every target that a run holds which is not over, by identity. */
wh_status wh_state_targets(struct wh_state *, struct wh_arena *, struct wh_target_record **ret,
                           size_t *ret_n, struct wh_error *reterr);

/* ---- flows --------------------------------------------------------------------------------------
 */

enum wh_flow_state {
    WH_FLOW_PLANNED,
    WH_FLOW_PREPARING,
    WH_FLOW_MOVING,
    WH_FLOW_SETTLING,
    WH_FLOW_PUBLISHING,
    WH_FLOW_PUBLISHED,
    WH_FLOW_FINISHED,
    WH_FLOW_FAILED, /* resumable: what is not done is tried again */
};
const char *wh_flow_state_name(enum wh_flow_state);

struct wh_flow_record {
    int flow;
    uint32_t generation;
    const char *stream, *table, *target; /* target = identity */
    enum wh_flow_state state;
    const char *source_schema, *accept_schema;
    struct wh_bytes bounds, memo, cursor;
    bool drawn;              /* split_next said END: all units exist */
    int64_t next_unit;       /* id of the next unit to draw, from 1 */
    const char *fingerprint; /* hex */
    int exit_code;
    const char *error; /* JSON of struct wh_error, or NULL */
    int64_t rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped, bytes_read,
        bytes_written;
    int64_t started_us, ended_us;
    int64_t rows_before; /* at the destination when the flow was planned; -1 unknown */
};

wh_status wh_state_flow_put(struct wh_state *, const char *run, uint32_t epoch,
                            const struct wh_flow_record *,
                            struct wh_error *reterr); /* insert or replace */
/* All that `next` gives until it answers END, in one transaction: all or none. `next` must not use
 * the state; what it gives need only last until its next call. */
typedef wh_status (*wh_flow_next_fn)(void *arg, struct wh_flow_record *ret,
                                     struct wh_error *reterr);
wh_status wh_state_flows_put(struct wh_state *, const char *run, uint32_t epoch, wh_flow_next_fn,
                             void *arg, struct wh_error *reterr);
wh_status wh_state_flow_set(struct wh_state *, const char *run, uint32_t epoch, int flow,
                            enum wh_flow_state, struct wh_error *reterr);
wh_status wh_state_flows(struct wh_state *, const char *run, struct wh_arena *,
                         struct wh_flow_record **ret, size_t *ret_n, struct wh_error *reterr);
/* A flow starts again from nothing: generation + 1, its units and steps are forgotten. */
wh_status wh_state_flow_restart(struct wh_state *, const char *run, uint32_t epoch, int flow,
                                struct wh_error *reterr);
/* Counts of the recorded units of a flow, summed by the store. */
wh_status wh_state_flow_end(struct wh_state *, const char *run, uint32_t epoch,
                            const struct wh_flow_record *, struct wh_error *reterr);

/* ---- units --------------------------------------------------------------------------------------
 */

enum wh_unit_state {
    WH_UNIT_DRAWN,    /* exists, nobody works on it */
    WH_UNIT_LEASED,   /* an attempt works on it */
    WH_UNIT_RECORDED, /* its commit (or staged receipt) is known here */
    WH_UNIT_FAILED,   /* gave up for this run; resume tries it again */
};
const char *wh_unit_state_name(enum wh_unit_state);

struct wh_unit_record {
    int flow;
    uint32_t generation;
    int64_t unit; /* from 1, in source order */
    enum wh_unit_state state;
    int32_t attempt;
    const char *label;
    struct wh_bytes splits; /* engine's encoding of 1..n splits */
    uint64_t order_group, order_seq;
    int64_t est_rows, est_bytes;
    const char *ident; /* of the session that works or worked on it; evicted after LOST */
    /* After RECORDED. */
    int64_t rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped, bytes_read,
        bytes_written;
    struct wh_u128 hash;
    struct wh_bytes receipt, end;
    const char *skipped; /* JSON {reason: rows}, or NULL */
    const char *error;   /* JSON, of the last failed attempt */
    int64_t changed_us;
    int32_t instant;        /* 1 = first snapshot; 2 after a mixed resume */
    struct wh_bytes origin; /* engine's bytes: where it was drawn (engine/rebuild.h) */
};

/* New units with the cursor behind them, one transaction: what is drawn is never drawn twice.
 * drawn_all: split_next said END. */
wh_status wh_state_units_draw(struct wh_state *, const char *run, uint32_t epoch, int flow,
                              const struct wh_unit_record *, size_t n, struct wh_bytes cursor,
                              bool drawn_all, struct wh_error *reterr);
/* With the instant at which this attempt reads: if it is committed and not recorded, who looks it
 * up must know. */
wh_status wh_state_unit_lease(struct wh_state *, const char *run, uint32_t epoch,
                              const struct wh_unit_record *, struct wh_error *reterr);
/* RECORDED: counts, hash, receipt; `rest` (may be NULL) is a new DRAWN unit made in the same
 * transaction from what a cut left. */
wh_status wh_state_unit_record(struct wh_state *, const char *run, uint32_t epoch,
                               const struct wh_unit_record *, const struct wh_unit_record *rest,
                               struct wh_error *reterr);
wh_status wh_state_unit_fail(struct wh_state *, const char *run, uint32_t epoch,
                             const struct wh_unit_record *, struct wh_error *reterr);
/* A corrected split of a chained scan replaces the unit's splits. */
wh_status wh_state_unit_splits(struct wh_state *, const char *run, uint32_t epoch,
                               const struct wh_unit_record *, struct wh_error *reterr);
/* Units of a flow with id > after, up to `most`, in order; states = bit mask (1 << state), 0 = all.
 */
wh_status wh_state_units(struct wh_state *, const char *run, int flow, unsigned states,
                         int64_t after, size_t most, struct wh_arena *, struct wh_unit_record **ret,
                         size_t *ret_n, struct wh_error *reterr);
wh_status wh_state_unit_get(struct wh_state *, const char *run, int flow, int64_t unit,
                            struct wh_arena *, struct wh_unit_record *ret, struct wh_error *reterr);
/* reader_end of (order_group, order_seq) if that unit is recorded; WH_E_NOT_FOUND. */
wh_status wh_state_chain_end(struct wh_state *, const char *run, int flow, uint64_t order_group,
                             uint64_t order_seq, struct wh_arena *, struct wh_bytes *ret,
                             struct wh_error *reterr);
static inline uint64_t wh_instant_bit(int32_t instant)
{
    return UINT64_C(1) << (instant < 1 ? 0 : instant > 64 ? 63 : instant - 1);
}
struct wh_unit_sums {
    int64_t drawn, leased, recorded, failed;
    int64_t rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped, bytes_read,
        bytes_written;
    struct wh_u128 hash;
    uint64_t
        instants; /* bit n - 1: a recorded unit was read at instant n (the last bit: 64 and on) */
};
wh_status wh_state_unit_sums(struct wh_state *, const char *run, int flow, struct wh_unit_sums *ret,
                             struct wh_error *reterr);

/* ---- steps --------------------------------------------------------------------------------------
 */

enum wh_step_state {
    WH_STEP_NONE,
    WH_STEP_INTENDED,
    WH_STEP_DONE,
    WH_STEP_FAILED
};

struct wh_step_record {
    int flow;
    uint32_t generation;
    int phase; /* enum wh_phase */
    uint32_t id, after, flags;
    const char *say;
    struct wh_bytes token, receipt;
    enum wh_step_state state;
    const char *error;
};

/* The real steps of a phase, journalled when made: all of them, once. A phase without steps is
 * journalled by one record with id 0. */
wh_status wh_state_steps_put(struct wh_state *, const char *run, uint32_t epoch,
                             const struct wh_step_record *, size_t n, struct wh_error *reterr);
wh_status wh_state_steps(struct wh_state *, const char *run, int flow, uint32_t generation,
                         int phase, struct wh_arena *, struct wh_step_record **ret, size_t *ret_n,
                         bool *ret_journalled, struct wh_error *reterr);
wh_status wh_state_step_set(struct wh_state *, const char *run, uint32_t epoch,
                            const struct wh_step_record *, struct wh_error *reterr);

/* ---- housekeeping -------------------------------------------------------------------------------
 */

/* Deletes finished runs older than the age, with their dirty archives. Returns how many. */
wh_status wh_state_gc(struct wh_state *, int64_t older_than_us, bool dry_run, int64_t *ret_runs,
                      struct wh_error *reterr);

/* Appends "<what> <id> <from> <to>\n" to the file named by WH_TEST_TRANSITIONS; nothing otherwise.
 * The store calls it for every change; tests compare with the model's edges. */
void wh_transition(const char *what, const char *id, const char *from, const char *to);

#endif
