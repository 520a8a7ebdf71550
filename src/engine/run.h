/* SPDX-License-Identifier: Apache-2.0 */
/* Executing a plan: claim, prepare, units through lanes, settle, publish, finish, close.
 *
 * Everything that people or programs see of a run comes through struct wh_run_listener, called on
 * the management thread only; the listener renders (cli/) and never blocks long.
 */
#ifndef WHERRY_ENGINE_RUN_H
#define WHERRY_ENGINE_RUN_H

#include "engine/plan.h"

struct wh_state; /* state/state.h */

/* Rows and bytes of one flow or run; the first five lines must balance (DESIGN 2.1):
 * rows_read = rows_written + rows_dirty + rows_filtered + rows_skipped. */
struct wh_counts {
    int64_t rows_read, rows_written, rows_dirty, rows_filtered, rows_skipped;
    int64_t bytes_read, bytes_written;
    int64_t units_done, units_total; /* total -1 = not known yet */
    int64_t retries;
    int64_t read_wait_ns, write_wait_ns; /* reader waited for the writer, and the reverse */
    int64_t rows_expected; /* by the source's estimate, at least those read; -1 = not known */
    int64_t rows_found;    /* of rows_read: in units that were found committed, not read now */
};

struct wh_table_result {
    const char *stream, *table;
    const char *status; /* "done" "failed" "refused" "stopped" "partial" */
    int exit_code;
    struct wh_counts counts;
    double seconds;
    const char *delivery;         /* words, only if true now */
    const char *hash;             /* "rows" "bytes" "off" */
    const char *snapshot;         /* "one instant" "mixed (2 instants)" "none" */
    const char *ranges;           /* "8 (verified)" for chained scans, or NULL */
    const struct wh_error *error; /* NULL: none */
};

struct wh_run_result {
    const char *run, *job, *status; /* "done" "failed" "interrupted" ... */
    int exit_code;
    bool retryable;
    struct wh_counts counts;
    struct wh_table_result *tables;
    size_t n_tables;
    double seconds, cpu_seconds;
    int64_t peak_rss;
    const char *snapshot;
    const char *resume;   /* the command to type, or NULL */
    int64_t ended_us;     /* wall time; RUN_FINISHED tells it, printed and kept */
    int64_t rows_staying; /* --fresh: rows of the given-up run that could not be taken back */
};

enum wh_event_type {
    WH_EV_RUN_STARTED,
    WH_EV_PLAN,
    WH_EV_SCHEMA_CHANGE,
    WH_EV_UNIT_STARTED,
    WH_EV_PROGRESS,
    WH_EV_UNIT_DONE,
    WH_EV_UNIT_RETRY,
    WH_EV_DIRTY,
    WH_EV_WARNING,
    WH_EV_VALIDATE,
    WH_EV_ERROR,
    WH_EV_RUN_FINISHED
};

const char *wh_event_name(enum wh_event_type); /* as --json has it: "unit_retry" */

struct wh_event {
    enum wh_event_type type;
    int64_t wall_us;
    const char *run, *job, *stream, *table; /* NULL where they do not apply */
    int64_t unit;                           /* 0 = none */
    int32_t attempt;
    const struct wh_error *error;
    const char *text;
    const struct wh_counts *total, *flow;
    const struct wh_run_result *result; /* RUN_FINISHED */
    const struct wh_plan *plan;         /* PLAN */
};

/* run_json.c: a line for programs (INTERFACE 6). Long ones (the plan, the end of thousands of
 * tables) are handed to drain piece by piece. */
wh_status wh_event_json(const struct wh_event *, struct wh_buf *);
wh_status wh_event_drain_json(const struct wh_event *, struct wh_buf *, wh_drain_fn, void *arg);

struct wh_run_listener {
    void *self;
    void (*event)(void *self, const struct wh_event *);
    int64_t progress_ms; /* how often PROGRESS is wanted; 0 = never */
};

/* Why this run starts. */
struct wh_run_start {
    bool fresh, again, yes;
    bool resume;             /* the plan was made from frozen state */
    bool planned;            /* by a plan in a file, which has no other run than this one */
    const uint32_t *epoch;   /* resume: the run's when that was read; NULL: as it is now */
    const char *identity;    /* for the new run's record (start.c makes it) */
    const char *ends;        /* the same (engine/ends.h) */
    const char *only_failed; /* reserved */
    int64_t rows_staying;    /* of the run that --fresh gave up; for the summary */
};

/* Runs the plan to its end, a limit, a signal or a failure; *ret is always filled (arena of the
 * plan). The return value is a status; result->exit_code is what the process should exit with. */
wh_status wh_run_execute(struct wh_plan *, struct wh_services *, struct wh_state *,
                         const struct wh_run_start *, const struct wh_run_listener *,
                         struct wh_run_result *ret, struct wh_error *reterr);

/* Gives an unfinished run up (cancel --discard, --fresh): claims it, drops stages and parts (DROP),
 * closes it at every destination, marks it discarded. The plan was made from frozen state. Counts
 * the rows of committed units that stay visible; with any of them and !yes it refuses (E1012)
 * before it touches anything. */
wh_status wh_run_discard(struct wh_plan *, struct wh_services *, struct wh_state *, bool yes,
                         int64_t *ret_rows_staying, struct wh_error *reterr);

/* From any thread or a signal handler: 1 = graceful (cut, commit, save, exit 130/143 within 10 s),
 * 2 = at once. Async-signal-safe. */
void wh_run_stop(int level, int signal_number);
/* Whether a run is under way that ends in good order when it is stopped; false while planning, when
 * nothing is lost by ending at once. Async-signal-safe. */
bool wh_run_is_kept(void);
/* A stop was asked for a moment ago: locks of others are not waited for any longer. */
bool wh_run_hurried(void);
/* Live settings of a running process (limit RUN): reads them from the state at every tick. */

#endif
