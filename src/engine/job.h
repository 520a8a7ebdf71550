/* SPDX-License-Identifier: Apache-2.0 */
/* The job model: what a YAML or JSON job file, or the arguments of `copy`, say.
 *
 * A job is typed and checked here, all problems at once with their places; it knows no server. All
 * memory is the job's arena. Settings are rows of option tables (job_options.c): stream keys,
 * write, table, values, dirty, split, guard, run, limits, timeouts. Keys that INTERFACE.md names
 * but this build does not carry out are refused by name (E1xxx "not offered by this build yet"),
 * never ignored.
 */
#ifndef WHERRY_ENGINE_JOB_H
#define WHERRY_ENGINE_JOB_H

#include <wherry/connector.h>
#include "core/options.h"
#include "core/hash.h"
#include "data/lattice.h"
#include "engine/functions.h"

struct wh_part;

/* One side of a stream: which connection, which object, which options. */
struct wh_objref {
    const char *text;  /* as the user wrote it, secrets masked: for people */
    const char *where; /* place: "job.yaml:12:9", "argument 1" */
    const char *conn;  /* connection name; NULL for a URL or a path */
    const struct wh_connector *connector;
    struct wh_node *connection; /* MAP of connection options (from `connections:` or the URL) */
    struct wh_node *options;    /* MAP of from/to options */
    struct wh_name name;        /* parts as text; part may be a glob, /regex/ (see `pattern`) */
    bool pattern;               /* may match many objects: expands to flows */
    struct wh_list exclude;
    struct wh_list more;    /* further files of one format (copy SRC... DST) */
    struct wh_part *parts;  /* how each name.part[] is meant; name.n of them (engine/object.h) */
    const char *query_file; /* NAME:@report.sql */
    bool whole;             /* no object named: everything that is there (sources) */
};

/* One line of `columns:`. */
struct wh_mapping {
    enum {
        WH_MAP_COLUMN,
        WH_MAP_REST,
        WH_MAP_VALUE,
        WH_MAP_PROVENANCE,
        WH_MAP_PACKED,
        WH_MAP_COMPUTED
    } kind;
    const char *from, *to; /* COLUMN; REST: `*` (except in `except`) */
    struct wh_list except;
    const char *value; /* VALUE: constant text; PROVENANCE: table file line ...; COMPUTED: SQL */
    const char *type;  /* declared destination-side type text, or NULL */
    const char *where;
    struct wh_fn_chain convert; /* COLUMN; PACKED has none: what no other line uses, as JSON */
};

struct wh_write_options {
    int mode; /* enum wh_mode */
    struct wh_list keys;
    int atomic; /* enum wh_atomic or -1 = not asked */
    const char *replace_where;
    bool replace_keys, marker_off;
    const char *marker; /* table of the markers as it was written, and its name; NULL: ours */
    struct wh_name marker_name;
    struct wh_list before, after; /* statements at the destination */
    int on_resume;                /* 1: `before` runs again with every resume */
};

/* Most that may be read in a second; 0 = no limit. */
struct wh_pace {
    int64_t rate_bytes, rate_rows;
};

/* From minute to minute of the job's day, over midnight where from > to. */
enum {
    WH_DAY_MINUTES = 24 * 60
};
struct wh_rate_window {
    int from, to;
    int64_t bytes; /* 0 = no limit */
    bool pause;
};
bool wh_rate_window_holds(const struct wh_rate_window *, int minute);

/* What becomes of the declared length of texts in a table that is made. */
enum wh_text_length {
    WH_LENGTH_KEEP,
    WH_LENGTH_X3,
    WH_LENGTH_X4,
    WH_LENGTH_DROP
};

struct wh_stream {
    const char *name, *where_place; /* unique name; place in the file */
    struct wh_objref from, to;
    const char *where, *query;
    int64_t limit;
    struct wh_mapping *columns;
    size_t n_columns;    /* 0 = all by name */
    struct wh_map types; /* --types / types: column -> type text, at the source side */
    struct wh_write_options write;
    int create, evolve; /* enum wh_create, wh_evolve */
    struct {            /* of the source's table: 1 = not kept */
        int keys, not_null, comments, sequences;
        int text_length; /* enum wh_text_length */
    } drop;
    int merge; /* 0 not said, 1 same, 2 union, 3 common */
    bool split_none;
    int64_t split_bytes;             /* wanted unit size; 0 = default */
    const char *split_by;            /* column whose ranges are units; NULL */
    int64_t split_parts, split_rows; /* about so many units, or rows in a unit; 0 = not said */
    struct wh_list split_range;      /* two ends, both included, or empty */
    int64_t parallel;                /* cap; 0 = none */
    int64_t parallel_read, parallel_write; /* units that are read, written at once; 0 = no cap */
    struct wh_value_policy values;
    int64_t max_row_bytes;
    int64_t dirty_rows; /* limit; default 0 */
    double dirty_ratio; /* 0 = not said */
    const char *dirty_archive_said;
    struct wh_objref dirty_archive; /* connector NULL: the state's folder */
    int validate;                   /* 0 off, 1 count, 2 stats, 3 checksum */
    bool guard_empty_allow;
    int64_t guard_min_rows;
    double guard_max_shrink; /* 0 = none */
    struct wh_list accept_lossy;
    struct wh_pace pace;           /* beside the run's: the stricter one holds */
    const struct wh_stream *paced; /* the stream that it shares its pace with, or itself */
    struct {
        int64_t times, wait_ms, outage_ms; /* -1: as the run's */
    } retry;
    struct wh_only *only;          /* --select STREAM/TABLE: no other tables */
    size_t n_only;                 /* 0: all */
    struct wh_override *overrides; /* in the order of the file */
    size_t n_overrides;
};

/* A table of a stream that was selected: a name or a pattern. */
struct wh_only {
    const char *text;
    struct wh_part *part;
};

/* Other settings for some tables of a stream. */
struct wh_override {
    const char *pattern, *where; /* as written; place in the file */
    const struct wh_node *body;  /* what was said */
    struct wh_part *part;
    bool skip;
    struct wh_stream *stream; /* the stream with the body laid over it; NULL: skip */
};

/* "5": bytes a second, which nobody means. */
bool wh_rate_without_unit(const char *text);

struct wh_run_options {
    int64_t parallel;                     /* -j; 0 = min(4, cores) */
    int64_t tables;                       /* tables at once, 4 */
    int consistent;                       /* 0 try, 1 require, 2 off */
    bool stop_on_failure;                 /* on_stream_failure: stop */
    int64_t rate_bytes, rate_rows;        /* per second; 0 = none */
    const struct wh_rate_window *windows; /* rate by time of day, instead of rate_bytes */
    size_t n_windows;
    int64_t memory; /* resident ceiling, 256 MB */
    int64_t max_duration_ms;
    /* Of a unit, step or statement of ours: tries, the longest pause between them, and how long a
     * server that went away is waited for. */
    int64_t retry_times, retry_wait_ms, retry_outage_ms;
    int64_t lock_wait_ms;
    bool strict, error_on_empty, accept_mixed;
    int checksum; /* 0 rows, 1 bytes, 2 off */
    struct {
        int64_t connect, user, statement, lock, no_progress, state; /* ms */
    } timeouts;
};

struct wh_job {
    struct wh_arena *arena;
    const char *file, *name, *description, *timezone;
    bool is_copy;         /* made from the arguments of `copy` */
    struct wh_node *tree; /* resolved document: macros replaced, secrets by reference */
    struct wh_stream *streams;
    size_t n_streams;
    struct wh_run_options run;
    struct wh_map params;
    const char *scheduled;  /* --scheduled, or NULL */
    const char *select;     /* --select, sorted: "orders, shop/items"; NULL: the whole job */
    int64_t planned_us;     /* "now" of all macros */
    const char *as_of;      /* validate: sources are read as they were then; NULL */
    struct wh_u128 shape;   /* hash of everything that shapes the result; resume compares */
    const char *shape_text; /* what is hashed: sorted lines "streams.orders.where=..." */
    const char *run_id;     /* what ${run.id} means; the plan of a new run takes it */
    const struct wh_node *connections; /* MAP of named connections, secrets by reference; or NULL */
    struct wh_problems notes;          /* warnings for the plan's text */
    bool timezone_said;                /* by the file, not the system */
};

/* Reads a job file (YAML, or JSON by name or first byte). Problems: all of them. */
wh_status wh_job_read(const char *file, const char *text, size_t n, const struct wh_map *set,
                      const char *scheduled, struct wh_job **ret, struct wh_problems *);
/* The same with connections from outside: those that the streams name and the file does not define
 * are taken into the job. */
wh_status wh_job_read_with(const char *file, const char *text, size_t n, const struct wh_map *set,
                           const char *scheduled, const struct wh_node *connections,
                           struct wh_job **ret, struct wh_problems *);
/* A job file read again as it was when a plan was made: run id, planned time and the values of the
 * parameters that it still has are those of `like`. */
wh_status wh_job_read_like(const char *file, const char *text, size_t n, const struct wh_job *like,
                           const struct wh_node *connections, struct wh_job **ret,
                           struct wh_problems *);
/* The job of `copy SRC... DST`: settings are a MAP tree with the same keys as a stream and `run`.
 */
wh_status wh_job_copy(struct wh_list sources, const char *destination, struct wh_node *settings,
                      struct wh_job **ret, struct wh_problems *);
/* The same with `--set` and `--scheduled`. */
wh_status wh_job_copy_with(struct wh_list sources, const char *destination,
                           struct wh_node *settings, const struct wh_map *set,
                           const char *scheduled, struct wh_job **ret, struct wh_problems *);
/* Object text (INTERFACE 1) to a reference; `connections` = MAP of named ones, or NULL. */
bool wh_objref_parse(struct wh_arena *, const char *text, const char *where,
                     const struct wh_node *connections, struct wh_objref *ret,
                     struct wh_problems *);
/* Settings given beside the job (flags of run and resume): a MAP tree with the same keys as `run:`
 * and as `defaults:` (so `{run: {parallel: 2}, dirty: {rows: 5}}`), typed by the same tables and
 * laid over every stream. Only those keys that do not shape the result are allowed when `resuming`.
 */
wh_status wh_job_override(struct wh_job *, const struct wh_node *settings, bool resuming,
                          struct wh_problems *);
/* The settings among these that a resumed run may be given (INTERFACE 5), and the others; nodes are
 * shared, empty maps where there are none. */
wh_status wh_job_resumable(struct wh_arena *, const struct wh_node *settings, struct wh_node **ret,
                           struct wh_node **ret_others);
/* Only these streams ("STREAM") and tables ("STREAM/TABLE", a name or a pattern) of the job are
 * left; the run of such a part is another one than that of the whole. */
wh_status wh_job_select(struct wh_job *, struct wh_list items, struct wh_problems *);
/* Stored again at resume: the resolved tree as JSON, without secrets. Reading it with wh_job_read
 * gives the same job: same run id, planned time, parameters, shape. */
wh_status wh_job_to_json(const struct wh_job *, struct wh_buf *);
/* What differs in the shape of two jobs, for E7008: "streams.orders.where: 'a' before, 'b' now",
 * one line each, at most `most`. Nothing is added when they are equal. */
wh_status wh_job_difference(const struct wh_job *before, const struct wh_job *now, size_t most,
                            struct wh_buf *);
/* JSON Schema (draft 7) of a job file, out of the option tables and of the connectors that can be
 * loaded here. Keys that this build refuses are not in it. */
wh_status wh_job_schema(struct wh_buf *, struct wh_error *reterr);
/* Is this object among the selected tables of the stream? *ret: which, n_only where none. */
wh_status wh_selected_find(const struct wh_stream *, const struct wh_name *, const char *full,
                           size_t *ret, struct wh_error *reterr);
/* Which override of the stream holds for this object (full: its whole name as text): the one of its
 * very name, else the first pattern that fits the last part (the whole name where the pattern has a
 * dot). n_overrides: none. */
wh_status wh_override_find(const struct wh_stream *, const struct wh_name *, const char *full,
                           size_t *ret, struct wh_error *reterr);
/* The row behind a dotted key of a stream or of the run ("write.mode", "run.limits.rate"); NULL. */
const struct wh_option *wh_job_option(const char *path);

/* A setting as it is in force. */
struct wh_setting {
    const char *stream;         /* NULL: of the run */
    const char *key;            /* "write.mode", "from.delimiter" */
    const char *value;          /* as a user would type it; "" when unset; secrets as "***" */
    const struct wh_node *node; /* what said so; NULL: nobody, it is the default */
    bool side;                  /* of from or to: its connector's */
};
/* Every setting of a job, in the order of the tables. The callback's END stops. */
wh_status wh_job_settings(const struct wh_job *,
                          wh_status (*each)(void *, const struct wh_setting *), void *arg);
/* A new run id: "r-20261122-7f3a9c01d2e4". */
void wh_run_id(char out[32]);
void wh_job_free(struct wh_job *);

#endif
