/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a run: who works on what, and what each may touch.
 *
 * Threads
 *   management   the caller of wh_run_execute: draws splits, hands units to lanes, ticks, events
 *   keeper       beats in the state, watches stop requests, progress, memory; interrupts sessions
 *   step lane    runs the steps of one flow and phase at a time
 *   lane n       the writer's side of one attempt, and all of it when the flow is fused
 *   reader n     the reader's side of lane n
 *
 * Locks: run->mutex guards flows, units, lanes, notes and sessions' lists; it is never held over a
 * verb of a connector or an operation of the state. `interrupt` alone is called under it: it is
 * short, and the session must not be closed meanwhile.
 */
#ifndef WHERRY_ENGINE_RUNTIME_H
#define WHERRY_ENGINE_RUNTIME_H

#include "engine/killpoint.h"
#include "engine/queue.h"
#include "engine/run.h"
#include "engine/service.h"
#include "engine/transform.h"

#include "data/rowhash.h"
#include "state/state.h"

enum {
    WH_QUEUE_BYTES = 3 << 20,
    WH_UNACKED_BYTES = 4 << 20,
    WH_UNIT_BYTES = 64 << 20,
    WH_PACK_LEAST_BYTES = 1 << 20,
    WH_COMMIT_INTERVAL_MS = 10000,
    WH_HURRY_AFTER_MS = 1000, /* then locks of others are not waited for any longer */
    WH_INTERRUPT_AFTER_MS = 2000,
    WH_STOP_AFTER_MS = 8000,
    WH_ABANDON_AFTER_MS = 9500,
    WH_SKIP_REASONS = 8,
    WH_USES = 4,
};

struct wh_runtime;
struct wh_run_flow;

/* ---- sessions (session.c) ----------------------------------------------------------------------
 */

struct wh_session {
    struct wh_session *next; /* all of one endpoint and use */
    struct wh_endpoint *ep;
    enum wh_use use;
    void *mem;
    char ident[96];
    bool open, busy, closing;
    int64_t opening_ns;  /* since when it is being opened; 0 = it is not */
    _Atomic bool broken; /* LOST or interrupted: closed when given back */
};

struct wh_session_set {
    struct wh_session *list[WH_USES];
    bool gone; /* no new READ session can enter the snapshot */
};

/* An idle session or a new one. GONE when none lives and none can be made; with `ep` of a snapshot
 * that is gone it waits for a living one. */
wh_status wh_session_get(struct wh_runtime *, struct wh_endpoint *, enum wh_use,
                         struct wh_session **ret, struct wh_error *reterr);
/* Back to the pool, or closed when it is broken; the ident of a broken one is evicted. */
void wh_session_put(struct wh_runtime *, struct wh_session *); /* NULL is fine */
/* Closes idle sessions of a use (-1: all) of an endpoint (NULL: all). */
void wh_sessions_close(struct wh_runtime *, struct wh_endpoint *, int use);
struct wh_session_set *wh_session_set(struct wh_runtime *, const struct wh_endpoint *);

/* ---- units (unit.c) ----------------------------------------------------------------------------
 */

/* A row that the destination refuses, found over several attempts (attempt_find.c). */
struct wh_find_row {
    int64_t at; /* place among the rows that the reader hands over */
    bool hashed, told;
    struct wh_u128 hash;
    char code[6], text[200];
};

struct wh_find {
    struct wh_find_row *rows; /* sorted by place */
    size_t n, cap;
    int64_t lo, hi; /* the next culprit is in [lo, hi); lo == hi: none is looked for */
    int64_t clean;  /* for the seal, rows before it are fine, or found */
    bool late;      /* only the seal refuses */
    char code[6], text[200];
};

struct wh_run_unit {
    struct wh_run_unit *next;
    int64_t id;
    int32_t attempt; /* the last one used */
    uint64_t group, seq;
    int64_t est_rows, est_bytes;
    char label[WH_LABEL];
    struct wh_bytes splits; /* owned */
    struct wh_bytes origin; /* owned; rebuild.h */
    int32_t instant;
    int mismatches;       /* comparisons of the two ends that failed */
    bool careful;         /* a refusal was seen: find the row */
    bool decoded;         /* a row of its frames was refused: read columns */
    char *refused;        /* owned; in these words; NULL: none are known */
    struct wh_find *find; /* owned; NULL: none is looked for */
    bool looked_up;       /* may have been committed by an earlier process: ask first */
    char ident[96];       /* session that worked on it in an earlier process */
};

struct wh_splits {
    struct wh_split *v;
    size_t n;
    struct wh_arena *arena;
};

wh_status wh_splits_encode(const struct wh_split *, size_t n, struct wh_buf *);
wh_status wh_splits_decode(struct wh_bytes, struct wh_splits *ret, struct wh_error *reterr);
void wh_splits_free(struct wh_splits *);
/* What a cut left: splits from `index` on, the first of them replaced by `rest` unless NULL. */
/* How many splits of the list are whole, and whether one is read in part. */
wh_status wh_rest_index(struct wh_bytes rest, size_t *ret_index, struct wh_error *reterr);
wh_status wh_rest_encode(size_t index, const struct wh_split *rest, struct wh_buf *);
/* The splits of the unit that the rest becomes; empty = nothing left. */
wh_status wh_rest_apply(struct wh_bytes rest, struct wh_bytes splits, struct wh_buf *ret,
                        struct wh_error *reterr);
wh_status wh_bytes_copy(struct wh_bytes, struct wh_bytes *ret); /* owned: wh_bytes_free */
void wh_bytes_free(struct wh_bytes *);
/* origin: owned bytes of rebuild.h, set by the caller. */
struct wh_run_unit *wh_unit_new(int64_t id, struct wh_bytes take_splits);
void wh_unit_free(struct wh_run_unit *);

/* ---- dirty rows (dirty.c) ----------------------------------------------------------------------
 */

struct wh_dirty;

struct wh_dirty_row {
    const char *position, *column, *code, *text;
    bool told;                         /* by an earlier attempt: no event */
    const struct ArrowSchema *columns; /* with views and row; or raw */
    const struct wh_view *views;
    const struct wh_flow *flow; /* whose columns they are: knows which are infinite */
    int64_t row;
    struct wh_bytes raw;
    int64_t raw_of; /* more than raw.n: raw is only the beginning of so many bytes */
};

/* Whose rows a file of the archive holds. A table that began anew counts its units and attempts
 * from 1 again: the generation keeps a process that slept through it off the new files. */
struct wh_dirty_of {
    const char *run;
    int flow;
    uint32_t generation;
    int64_t unit;
    int32_t attempt;
};

/* The file below dirty/RUN/; out holds WH_DIRTY_NAME_MAX. */
enum {
    WH_DIRTY_NAME_MAX = 80
};
void wh_dirty_name(const struct wh_dirty_of *, char *out);

/* One archive per attempt; the file is made with the first row. Thread-safe. Keeps what `of`,
 * stream and table point to. */
wh_status wh_dirty_new(const char *state_dir, const struct wh_dirty_of *of, const char *stream,
                       const char *table, struct wh_dirty **ret, struct wh_error *reterr);
wh_status wh_dirty_add(struct wh_dirty *, const struct wh_dirty_row *, struct wh_error *reterr);
wh_status wh_dirty_durable(struct wh_dirty *, struct wh_error *reterr);
/* keep: the attempt won, or its rows are why the table ended. */
void wh_dirty_close(struct wh_dirty *, bool keep);
/* Files of the attempts 1 to last->attempt at a unit, without the winner's; winner 0 = all. ref: as
 * below. */
void wh_dirty_sweep(const char *state_dir, const struct wh_objref *ref,
                    const struct wh_dirty_of *last, int32_t winner);
/* All files of a table's generation (of->flow, generation) whose rows are read anew. */
void wh_dirty_drop_generation(const char *state_dir, const struct wh_objref *ref,
                              const struct wh_dirty_of *of);
/* Before the first row: in that folder (`dirty.archive`), durable and there under its name when
 * wh_dirty_durable returns. NULL or without a connector: in the state's folder. */
void wh_dirty_outside(struct wh_dirty *, const struct wh_objref *ref);

/* ---- limits (limits.c) -------------------------------------------------------------------------
 */

struct wh_bucket {
    int64_t per_second; /* 0 = no limit */
    double tokens;
    int64_t at_ns;
};

struct wh_limits {
    const struct wh_rate_window *windows; /* of the day; NULL: none, or `limit RUN` said a rate */
    size_t n_windows;
    const struct wh_rate_window *window; /* that holds now */
    _Atomic bool closed;                 /* it says pause: no unit is begun */
    pthread_mutex_t mutex;
    struct wh_bucket bytes, rows;
    _Atomic bool rate_on;
    _Atomic int64_t memory;   /* ceiling, 0 = none */
    _Atomic int64_t resident; /* sampled by the keeper */
    _Atomic bool paused;
    _Atomic int parallel;
};

void wh_limits_init(struct wh_limits *, const struct wh_run_options *, int parallel,
                    int64_t memory);
void wh_limits_destroy(struct wh_limits *);
/* Takes tokens for what was read; returns how long the reader has to pause, in ns. */
int64_t wh_limits_take(struct wh_limits *, int64_t bytes, int64_t rows, int64_t now_ns);
/* What the minute of the day says. Whether that is something else than before. */
bool wh_limits_clock(struct wh_limits *, int minute);
/* Settings of `limit RUN` (JSON); unknown keys are left alone. False if it cannot be read. */
bool wh_limits_change(struct wh_limits *, const char *json);
/* Limits that a stream has for itself, shared by all its tables. */
struct wh_stream_pace {
    const struct wh_stream *stream;
    struct wh_limits limits;
};
enum wh_pressure {
    WH_MEMORY_FINE,
    WH_MEMORY_NEAR, /* start nothing more */
    WH_MEMORY_OVER  /* readers pause */
};
enum wh_pressure wh_limits_pressure(struct wh_limits *);

/* ---- flows -------------------------------------------------------------------------------------
 */

/* Where a flow stands in this process; the state knows the durable half. */
enum wh_stage {
    WH_AT_WAITING,    /* for its turn (run.tables) */
    WH_AT_PREPARING,  /* step lane */
    WH_AT_MOVING,     /* units through lanes */
    WH_AT_MOVED,      /* all units recorded; waits for snapshots to be let go */
    WH_AT_PUBLISHING, /* step lane: settle, publish */
    WH_AT_PUBLISHED,
    WH_AT_FINISHING,
    WH_AT_DONE,
    WH_AT_FAILED,  /* its error says why */
    WH_AT_STOPPED, /* stop, fence, or limit of the run */
};

struct wh_chain_end {
    struct wh_chain_end *next;
    uint64_t group, seq;
    size_t n;
    uint8_t end[64];
};

struct wh_live {
    _Atomic int64_t rows_read, rows_written, rows_dirty, bytes_read, bytes_written;
};

struct wh_run_flow {
    struct wh_runtime *run;
    struct wh_flow *flow;
    enum wh_stage stage;
    enum wh_flow_state recorded_state; /* in the state */
    struct wh_fence fence;
    struct wh_run_unit *pending; /* by id */
    int n_pending, n_running, cap;
    int read_cap, write_cap;  /* bounds below cap: turns are taken; 0 = none */
    int n_reading, n_writing; /* turns that are taken, under run->mutex */
    bool drawn, resumed, stepping, active;
    bool dropped; /* an earlier process began to drop what is staged: to be started again */
    struct wh_bytes cursor; /* owned */
    int64_t next_unit;
    struct wh_counts counts; /* of recorded units */
    int64_t dirty_events;
    int64_t dirty_reserved; /* of attempts between their check and their record */
    struct wh_chain_end *ends;
    int64_t ranges;     /* chained units verified */
    int64_t limit_left; /* scan.limit that the source leaves to us; -1 = none */
    int32_t instant;    /* at which what is left will be read */
    uint64_t instants;  /* at which recorded units were read: wh_instant_bit */
    bool hash_off;
    struct wh_limits *pace;       /* its stream's own limits; NULL: none */
    const struct wh_error *error; /* owned, or wh_error_unkept; NULL: none */
    int exit_code;
    int64_t started_ns, ended_ns;
    int64_t rows_before; /* at the destination before the run; -1 unknown */
    bool different;      /* `validate:` found both ends different */
};

/* ---- lanes and attempts ------------------------------------------------------------------------
 */

struct wh_attempt;

struct wh_lane {
    struct wh_runtime *run;
    int index;
    pthread_t writer, reader;
    bool has_writer, has_reader;
    pthread_cond_t work;      /* with run->mutex: a unit, a read job, or the end */
    struct wh_run_flow *flow; /* what it works on; NULL = idle */
    struct wh_run_unit *unit;
    struct wh_attempt *attempt;  /* under run->mutex: the keeper looks at it */
    struct wh_attempt *read_job; /* what the reader thread shall do */
    struct wh_queue queue;
    int wake_fd;
    struct wh_transform *transform; /* of transform_flow */
    struct wh_run_flow *transform_flow;
    struct wh_live live; /* of the attempt under way */
};

/* A verb outside of attempts that is under way; guarded by run->mutex. */
struct wh_watch {
    const char *doing; /* NULL: none; lives until the watch ends */
    const struct wh_endpoint *ep;
    void *se; /* the session to interrupt; NULL */
    int64_t since_ns;
    int told; /* steps: how often it was said; control: it was interrupted */
};

/* What became of a unit's attempt. */
enum wh_result {
    WH_RESULT_DONE,   /* recorded */
    WH_RESULT_RETRY,  /* at->error says why */
    WH_RESULT_AGAIN,  /* at once: careful, corrected split */
    WH_RESULT_BACK,   /* given back: stopped, predecessor failed, snapshot on other lanes */
    WH_RESULT_FAILED, /* the flow ends with at->error */
    WH_RESULT_FENCED,
};

struct wh_piece; /* a send: attempt_write.c */

struct wh_attempt {
    struct wh_runtime *run;
    struct wh_run_flow *fr;
    struct wh_run_unit *unit;
    struct wh_lane *lane;
    const struct wh_source_ops *source;
    const struct wh_sink_ops *sink;
    int32_t number;
    bool careful, fused;
    bool read_turn, write_turn; /* its own */
    bool in_line;               /* it waits for a turn; under run->mutex */
    bool finding;               /* REFUSED means: again, the unit's find says what is known now */
    struct wh_splits splits;
    struct wh_session *rs, *ws;
    struct wh_attempt_hooks hooks;
    struct wh_ctx_self read_self, write_self;
    struct wh_ctx read_ctx, write_ctx;
    struct wh_error error; /* why it ended */
    struct wh_dirty *archive;
    bool keep_archive;
    _Atomic bool cut_asked;      /* a graceful stop or the longest duration */
    _Atomic bool answered;       /* the reader saw it */
    _Atomic bool given_up;       /* by the keeper: it ends without a commit */
    int64_t interrupted_ns;      /* keeper's own */
    _Atomic int64_t dirty;       /* rows of both sides */
    _Atomic int64_t moved_ns;    /* when it last made progress */
    _Atomic int64_t worked_ns;   /* when a server last said that it works for it; 0 = it did not */
    int64_t told_ns;             /* management's own: when that was last told */
    const char *_Atomic doing;   /* the writer's side, static text: who waits for whom */
    const char *_Atomic reading; /* the reader's side */

    /* Reader's side; the writer's side looks at it after the queue's end. */
    struct wh_transform *transform;
    void *rd;
    bool rd_open, read_any, no_cut, ended;
    size_t split;
    int64_t owed_ns, limit_left;
    int64_t started_ns, rows_read, dirty_read, bytes_read, rows_passed;
    struct wh_rowsum passed; /* hash of what was handed to the writer */
    bool hash_rows, hash_frames, frames;
    struct wh_u128 frames_sum; /* of the frames' bytes, in their order */
    int64_t n_frames;
    struct {
        char reason[48];
        int64_t rows;
    } skipped[WH_SKIP_REASONS];
    int64_t rows_skipped;
    bool cut;
    struct wh_buf rest;                      /* encoded; only with cut */
    struct wh_bytes done_token;              /* of reader_cut, owned */
    struct wh_bytes end;                     /* of reader_end, owned */
    struct wh_error read_error, limit_error; /* limit_error: of the row that was too much */
    int read_status;

    /* Writer's side. */
    void *wr;
    bool wr_open;
    int64_t next_send, unacked_bytes, rows_sent, rows_refused, retry_after_ms;
    int64_t bad_at; /* rows that were sent before the row that was named first */
    struct wh_piece *open_head, **open_tail; /* sends without an answer */
    struct wh_piece *again_head, **again_tail, *again_last;
    int64_t again_rows;
    int again_rounds;
    struct wh_view *write_views;
    struct wh_rowsum refused;
    struct wh_tally tally;
    int64_t rows_written, rows_filtered; /* what the two ends agreed on */
    int64_t dirty_reserved;              /* this attempt's share of the flow's */
};

/* attempt.c: what a failure means for the unit. */
enum wh_result wh_attempt_judge(struct wh_attempt *, int st, struct wh_session *,
                                const struct wh_error *);

enum wh_result wh_attempt_run(struct wh_lane *, struct wh_run_flow *, struct wh_run_unit *,
                              struct wh_error *reterr);

void wh_attempt_give_session(struct wh_attempt *, struct wh_session **);

/* attempt_read.c */
wh_status wh_attempt_pull(struct wh_attempt *, struct wh_item **ret, struct wh_error *reterr);
void wh_attempt_read_all(struct wh_attempt *); /* body of the reader thread */
wh_status wh_attempt_dirty(struct wh_attempt *, const struct wh_dirty_row *,
                           struct wh_error *reterr);
/* More dirty rows than the flow allows, those of this attempt included. */
bool wh_attempt_too_dirty(const struct wh_attempt *);
/* The limit in words: "100", "1 %", "100, 1 %". */
const char *wh_dirty_allowed(const struct wh_stream *, char out[64]);
/* The command that goes on with more of them. */
void wh_dirty_hint(const struct wh_runtime *, const struct wh_run_flow *, struct wh_error *);

/* attempt_write.c */
wh_status wh_attempt_write(struct wh_attempt *, struct wh_item *take, struct wh_error *reterr);
wh_status wh_attempt_settle(struct wh_attempt *, struct wh_error *reterr); /* all sends judged */
/* A refusal was seen: the next attempt at the unit looks for the row, among columns. */
void wh_attempt_careful(struct wh_attempt *, const struct wh_error *why);
void wh_attempt_drop_pieces(struct wh_attempt *);

/* attempt_find.c: refused rows, found over several attempts. All but the first two and the last
 * want u->find. */
void wh_find_forget(struct wh_run_unit *); /* the unit's rows are others now */
/* One row was refused alone. */
wh_status wh_find_blame(struct wh_run_unit *, int64_t at, struct wh_u128 hash,
                        const struct wh_error *why, struct wh_error *reterr);
/* [lo, hi) was refused by a write or a flush. */
wh_status wh_find_between(struct wh_run_unit *, int64_t lo, int64_t hi, const struct wh_error *why,
                          struct wh_error *reterr);
/* The first found row in [from, to), or NULL. */
struct wh_find_row *wh_find_next(const struct wh_run_unit *, int64_t from, int64_t to);
/* How many of `most` rows go over as one send, and whether a flush follows it. */
int64_t wh_find_step(const struct wh_run_unit *, int64_t at, int64_t most, bool *ret_flush);
/* Where an attempt that only asks the seal stops; INT64_MAX: it does not. u->find may be NULL. */
int64_t wh_find_stop(const struct wh_run_unit *);
/* The first `rows` were sealed (why NULL) or refused by the seal. */
wh_status wh_find_sealed(struct wh_run_unit *, int64_t rows, const struct wh_error *why,
                         struct wh_error *reterr);

/* attempt_commit.c */
enum wh_result wh_attempt_commit(struct wh_attempt *, struct wh_error *reterr);
/* Chained scans: whether this part began where the one before it ended. DONE, AGAIN (the unit has
 * its right split now), or what a failure means. */
enum wh_result wh_attempt_prove(struct wh_attempt *, struct wh_error *reterr);
/* Asks the destination what became of a unit and records it if it is there. DONE, RETRY (absent),
 * FAILED, FENCED. */
enum wh_result wh_unit_lookup(struct wh_runtime *, struct wh_run_flow *, struct wh_run_unit *,
                              struct wh_error *reterr);
/* Rows that the destination has of a unit that is not recorded; records nothing. */
wh_status wh_unit_rows_there(struct wh_runtime *, struct wh_run_flow *, const struct wh_run_unit *,
                             int64_t *ret, struct wh_error *reterr);
wh_status wh_attempt_acknowledge(struct wh_runtime *, struct wh_run_flow *, struct wh_session *rs,
                                 const struct wh_splits *, size_t n, struct wh_bytes done,
                                 struct wh_error *reterr);

/* retry.c: failures in a row of one thing; zeroes = none yet. */
struct wh_retry {
    const struct wh_stream *of; /* whose retries they are; NULL: the run's */
    int failures;
    int64_t since_ns;
};
/* The server is gone or does not answer, perhaps for a while. */
bool wh_is_away(int st, const struct wh_error *);
/* Counts a failure that may pass; whether it is worth another try. */
bool wh_retry_more(const struct wh_runtime *, struct wh_retry *, int st, const struct wh_error *);
/* Sleeps the back-off; false when the run is to stop. */
bool wh_retry_pause(struct wh_runtime *, const struct wh_retry *, const struct wh_error *);

/* turn.c: the right to have a session of one side, where the stream bounds them apart. take: WH_OK,
 * or WH_E_CANCELLED. Who has one may ask again; give without one is fine. Not under run->mutex. */
enum wh_turn {
    WH_TURN_READ,
    WH_TURN_WRITE
};
wh_status wh_turn_take(struct wh_attempt *, enum wh_turn, struct wh_error *reterr);
void wh_turn_give(struct wh_attempt *, enum wh_turn);

/* chain.c */
void wh_chain_put(struct wh_run_flow *, uint64_t group, uint64_t seq, struct wh_bytes end);
/* The end of (group, seq - 1): OK, or WH_E_CANCELLED when it will not come now. */
wh_status wh_chain_wait(struct wh_attempt *, struct wh_bytes *ret, uint8_t buf[64],
                        struct wh_error *reterr);

/* lane.c */
wh_status wh_lanes_new(struct wh_runtime *, int n, struct wh_error *reterr);
wh_status wh_lane_start(struct wh_lane *, struct wh_error *reterr);
wh_status wh_lane_reader_start(struct wh_lane *, struct wh_error *reterr);
void wh_lanes_stop(struct wh_runtime *);
void wh_lane_wake(struct wh_lane *); /* every wait of the attempt's contexts ends */
void wh_lane_drain(struct wh_lane *);

/* ---- notes: what lanes tell the management thread ----------------------------------------------
 */

struct wh_note {
    struct wh_note *next;
    enum wh_event_type type;
    struct wh_run_flow *fr;
    int64_t unit;
    int32_t attempt;
    bool has_error;
    struct wh_error error;
    char text[200];
};

/* Any thread; run->mutex not held. */
void wh_note(struct wh_runtime *, enum wh_event_type, struct wh_run_flow *, int64_t unit,
             int32_t attempt, const struct wh_error *, const char *fmt, ...) WH_PRINTF(7, 8);

/* ---- the run -----------------------------------------------------------------------------------
 */

struct wh_step_job {
    struct wh_run_flow *fr; /* NULL = none */
    enum wh_stage stage;    /* PREPARING, PUBLISHING, FINISHING */
    bool done;
    int status;
    struct wh_error error;
};

struct wh_runtime {
    int64_t rows_disowned; /* committed by runs that were given up at a destination */
    struct wh_plan *plan;
    struct wh_services *services;
    struct wh_state *state;
    const struct wh_run_start *start;
    const struct wh_run_listener *listener;
    const struct wh_run_options *options;
    const char *id;
    struct wh_arena *arena; /* management thread */
    _Atomic uint32_t epoch; /* 0 until claimed; the keeper beats from then on */
    uint32_t epoch_read;    /* of the record that this process knows */
    int64_t stale_ms, beat_ms;
    int64_t memory_ms;  /* so long may resident memory stay over its ceiling */
    int64_t outage_ms;  /* run.retry.outage */
    int64_t abandon_ms; /* after a stop: then whoever does not come back is left behind */
    int64_t pack_bytes; /* tests: how much goes into one unit; 0 = as is best */
    enum wh_run_state recorded_state;
    bool replanned; /* resumed before anything was claimed: its tables are recorded anew */
    bool touched;   /* something outside of the state may have changed */
    bool waited;    /* for a target, before anything was moved: planned too early (E7019) */

    pthread_mutex_t mutex;
    pthread_cond_t change; /* management waits here; also chains and sessions */
    struct wh_run_flow *flows;
    size_t n_flows;
    /* With thousands of tables only a few are under way: the management thread looks at those. */
    struct wh_run_flow **active, **moved; /* both of n_flows places; moved is a queue */
    size_t n_active, n_moved, moved_at, next_waiting;
    struct wh_lane *lanes;
    int n_lanes;
    struct wh_session_set *sessions; /* per endpoint */
    struct wh_note *notes, **notes_tail;
    _Atomic int n_notes;
    uint64_t changes; /* counts what the management thread should look at */
    struct wh_step_job step;
    pthread_cond_t step_work;
    pthread_t step_thread, keeper_thread;
    bool has_step_thread, has_keeper;
    bool ending; /* lanes and step lane shall return */

    struct wh_limits limits;
    struct wh_stream_pace *paces; /* of streams with limits of their own */
    size_t n_paces;
    struct wh_zone *zone;    /* of the job, where the time of day decides */
    _Atomic int stop_level;  /* 1 graceful, 2 at once */
    _Atomic int stop_signal; /* 0 = a limit of ours or `cancel` */
    _Atomic bool fenced, halted, discard_asked, over_time, over_memory, stuck;
    int halt_exit;              /* stop_on_failure: the exit code of the table that failed */
    struct wh_error stop_error; /* FENCED, no progress, memory; under mutex */
    struct wh_session *step_session;
    struct wh_watch control_watch, step_watch;
    bool abandoned;          /* management's own: lanes or the step lane did not come back */
    unsigned limits_changes; /* how often `limit` was heeded; mutex */
    char *last_limits;       /* keeper's own: what `limit RUN` said before */
    int64_t over_since_ns;   /* keeper's own: resident memory over its ceiling; 0 = it is not */
    bool keeper_ending;
    int64_t started_ns, stopped_ns;
    int64_t next_tick_ns, next_progress_ns;
    _Atomic int64_t beaten_ns;          /* the last sign of life that the state took */
    struct wh_attempt_hooks *comparing; /* under mutex: both ends of a comparison; NULL */
};

/* run_keeper.c: the rate that the time of day asks for. */
void wh_limits_see_clock(struct wh_runtime *);

/* run_compare.c: `validate:`, before the run closes. OK also when the run stops meanwhile. */
wh_status wh_run_compare(struct wh_runtime *, struct wh_error *reterr);
void wh_run_compare_stop(struct wh_runtime *); /* mutex held */
/* run_close.c */
wh_status wh_run_flow_differs(struct wh_runtime *, struct wh_run_flow *, struct wh_error *reterr);

/* run_open.c */
wh_status wh_run_open(struct wh_runtime *, struct wh_error *reterr);
wh_status wh_run_put_flows(struct wh_runtime *, struct wh_error *reterr);
/* What the state and the memo keep of a planned flow; texts live in *text, until the next call. */
struct wh_flow_text {
    struct wh_buf source, accept;
    char fingerprint[33];
};
#define WH_FLOW_TEXT ((struct wh_flow_text){WH_BUF(64 << 20), WH_BUF(64 << 20), ""})
wh_status wh_flow_record(const struct wh_run_flow *, struct wh_flow_text *text,
                         struct wh_flow_record *ret, struct wh_error *reterr);
void wh_flow_text_free(struct wh_flow_text *);
wh_status wh_run_snapshots(struct wh_runtime *, struct wh_error *reterr);
/* run_resume.c */
wh_status wh_run_load(struct wh_runtime *, struct wh_error *reterr);
/* Enters a recorded snapshot again. GONE: a new one is to be taken, and every flow that read from
 * the old one has been dealt with (INTERFACE 5): restarted, failed, or mixed. */
wh_status wh_run_rejoin(struct wh_runtime *, struct wh_endpoint *, struct wh_error *reterr);
/* A flow lost its snapshot under way: what the next resume can do decides how it ends. */
void wh_flow_gone(struct wh_runtime *, struct wh_run_flow *, struct wh_error *err);
wh_status wh_flow_restart(struct wh_runtime *, struct wh_run_flow *, struct wh_error *reterr);
/* Flows that an earlier process was about to start again. */
wh_status wh_run_restart_dropped(struct wh_runtime *, struct wh_error *reterr);
/* run_draw.c */
wh_status wh_flow_draw(struct wh_runtime *, struct wh_run_flow *, struct wh_error *reterr);
/* Whether the source has any row for this flow: reads first batches, moves nothing. */
wh_status wh_flow_probe(struct wh_runtime *, struct wh_run_flow *, bool *ret_any,
                        struct wh_error *reterr);
void wh_flow_add_unit(struct wh_run_flow *, struct wh_run_unit *take); /* mutex held */
/* run_schedule.c: moves all flows as far as they come. */
wh_status wh_run_move(struct wh_runtime *, struct wh_error *reterr);
void wh_run_unit_over(struct wh_lane *, enum wh_result, const struct wh_error *);
void wh_flow_fail(struct wh_run_flow *, const struct wh_error *); /* mutex held */
/* run_step.c */
wh_status wh_step_lane_start(struct wh_runtime *, struct wh_error *reterr);
/* Runs a phase's steps that are not done. *s may be NULL, and may be another one afterwards. */
wh_status wh_flow_steps(struct wh_runtime *, struct wh_run_flow *, struct wh_session **s,
                        enum wh_phase, struct wh_error *reterr);
wh_status wh_flow_set(struct wh_run_flow *, enum wh_flow_state, struct wh_error *reterr);
/* receipts.c */
struct wh_receipt_cursor;
wh_status wh_receipts_open(struct wh_runtime *, int flow, struct wh_receipt_cursor **ret,
                           struct wh_receipts *ret_view, struct wh_error *reterr);
void wh_receipts_close(struct wh_receipt_cursor *);
/* run_keeper.c */
wh_status wh_keeper_start(struct wh_runtime *, struct wh_error *reterr);
void wh_keeper_stop(struct wh_runtime *);
void wh_run_wake(struct wh_runtime *);
/* run_watch.c: verbs that the keeper shall watch; doing = "claims", "takes the snapshot of". */
void wh_watch_begin(struct wh_runtime *, struct wh_watch *, const char *doing,
                    const struct wh_endpoint *, void *se);
void wh_watch_end(struct wh_runtime *, struct wh_watch *);
void wh_watch_lane(struct wh_runtime *, struct wh_lane *, int64_t now); /* mutex held */
void wh_watch_control(struct wh_runtime *, int64_t now);                /* mutex held */
/* mutex held; said: for the log, or empty */
void wh_watch_step(struct wh_runtime *, int64_t now, char *ret_said, size_t n);
/* Management, mutex not held: asks the servers about attempts that have not moved for long. */
void wh_watch_ask(struct wh_runtime *, int64_t now);
/* A stop was asked for, and whoever has not come back by now is left behind. */
bool wh_run_abandons(const struct wh_runtime *);
/* Keeper: ends the process if even the management thread does not come back. */
void wh_run_leave(struct wh_runtime *, int64_t now);
void wh_run_fenced(struct wh_runtime *, const struct wh_error *);
/* Before an effect: false when another process has taken the run over meanwhile. */
bool wh_run_still_ours(struct wh_runtime *);
static inline bool wh_run_stopping(const struct wh_runtime *run)
{
    return run->stop_level || run->fenced || run->over_time || run->over_memory || run->halted;
}
/* Sleeps until the time or the run stops at once; false when it was woken to stop. */
bool wh_run_pause(struct wh_runtime *, int64_t ns, struct wh_attempt *);
/* run_events.c */
void wh_run_events(struct wh_runtime *); /* management: notes out, progress when due */
void wh_run_event(struct wh_runtime *, enum wh_event_type, struct wh_run_flow *, const char *text,
                  const struct wh_error *, const struct wh_run_result *);
void wh_run_counts(struct wh_runtime *, struct wh_run_flow *, struct wh_counts *ret);
/* run_close.c */
wh_status wh_run_finish(struct wh_runtime *, struct wh_error *reterr);
wh_status wh_run_end_record(struct wh_runtime *, struct wh_run_result *, struct wh_error *reterr);
wh_status wh_run_release_snapshots(struct wh_runtime *);
wh_status wh_run_close_there(struct wh_runtime *, struct wh_error *reterr);
void wh_run_take_back(struct wh_runtime *, int exit_code);
/* Rows of a run that is given up which show at their destinations and cannot be taken back. */
wh_status wh_run_rows_staying(struct wh_runtime *, int64_t *ret, struct wh_error *reterr);
wh_status wh_run_drop_all(struct wh_runtime *, struct wh_error *reterr);
/* summary.c */
wh_status wh_summary(struct wh_runtime *, const struct wh_error *, struct wh_run_result *ret);
/* For people; drain may be NULL. */
wh_status wh_summary_text(const struct wh_run_result *, struct wh_buf *, wh_drain_fn drain,
                          void *arg);
/* All rows go to standard output: what went out cannot be taken back or gone on with. */
bool wh_run_into_stdout(const struct wh_runtime *);
/* Exit code of a run that ended before it touched anything. */
int wh_run_untouched_exit(const struct wh_runtime *, const struct wh_error *);
int wh_exit_worse(int a, int b); /* the one that INTERFACE 6 lets win */
wh_status wh_error_json(const struct wh_error *, struct wh_buf *);

#endif
