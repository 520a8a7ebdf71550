/* SPDX-License-Identifier: Apache-2.0 */
/* The plan: a job resolved against its servers. It touches nothing and fixes everything that
 * decides the result: flows, columns, types, steps, mode, class, split method, upper bounds.
 *
 * wh_plan_make opens endpoints and control sessions (they stay open and are used by the run), lists
 * catalogues, opens scans and targets in planning mode. At resume it is given what the state keeps
 * (frozen) and refuses on any difference, naming it.
 */
#ifndef WHERRY_ENGINE_PLAN_H
#define WHERRY_ENGINE_PLAN_H

#include "engine/job.h"

/* One connection of the run, in one process. Two streams with equal connection options share it. */
struct wh_endpoint {
    int index;
    const struct wh_connector *connector;
    struct wh_node *options; /* MAP, secrets by reference */
    void *opts, *ep;         /* filled table; connector's endpoint memory */
    void *control;           /* control session memory, NULL until opened */
    bool control_open;
    const char *name; /* for people: connection name or masked URL */
    bool is_source, is_target;
    struct wh_ctx ctx;           /* engine's services for it (engine/ctx.c) */
    struct wh_snapshot snapshot; /* token owned by the plan's arena; kind NONE if none */
    bool snapshot_taken, snapshot_joined;
    int instants; /* number of the present snapshot: 2 after the first one was lost */
    int max_readers;
    const char *key;       /* what makes two endpoints one: connector and connection options */
    bool open_called;      /* `close` is owed */
    struct wh_error error; /* it could not be opened; status 0 = fine */
};

/* How one destination column comes to be. */
struct wh_plan_column {
    const char *name;
    int64_t source;          /* index in the scan's schema, -1 = constant */
    const char *value;       /* constant text */
    struct wh_type from, to; /* to = accept's */
    enum wh_fit fit;
    const char *why;      /* from the lattice, or "guessed from 10,000 rows" */
    const char *declared; /* type text of the job, or NULL */
    const char *where;    /* place in the job, or NULL */
    bool origin;          /* constant, but of each batch (batch.origin); value is like one */
    int64_t made;  /* number of the flow's made columns, from 1, then source is -1; 0 = none */
    bool infinite; /* infinite dates and times pass (WH_INFINITE_KEEP) */
    const char *computed; /* SQL of the source, whose value this is; NULL */
    bool varies;          /* computed, and the same row may have another value another time */
};

/* A column that is made of others of its row, before its type is converted. */
struct wh_made {
    const struct wh_fn_chain *chain; /* functions over `source`; NULL: members as one JSON object */
    int64_t source;                  /* index in the scan's schema */
    bool convert_first;              /* to `first`, which the job declares */
    struct wh_type first;
    const int64_t *members;
    size_t n_members;
};

/* A step as the plan prints it (form) or the run journals it. */
struct wh_plan_step {
    struct wh_step step; /* text and token owned by the plan's arena */
};

/* What is kept of struct wh_scan and struct wh_target, as answered. Those have room for the longest
 * words; here are only those that were said, in the plan's arena and never NULL, since there may be
 * thousands of flows. */
struct wh_flow_scan {
    int64_t limit, unit_bytes; /* as asked, or what it came to */
    struct wh_bytes ret_bounds;
    const char *origin; /* wh_scan.origin */
    const char *method, *note, *frame_why;
    const char *identity; /* wh_scan.identity; "" */
    const char *frame;    /* the connector's; NULL */
    bool limit_done, physical, splittable, chained, resumable;
    int max_readers, pins;
    int64_t est_rows, est_bytes, sampled_rows;
    struct wh_str comment; /* of the object; may be empty */
    struct wh_str say_warn;
};
struct wh_flow_target {
    enum wh_mode mode; /* as asked */
    struct ArrowSchema accept;
    enum wh_grain grain;
    enum wh_class commit_class;
    enum wh_atomic atomic_given;
    bool exists, needs_key_order;
    int max_writers;
    int64_t existing_rows;
    const char *frame;          /* the connector's; NULL */
    const bool *keeps_infinite; /* the target's; NULL */
    struct wh_bytes ret_memo;
    struct wh_name ret_object;
    struct wh_str say_create, say_warn;
    const char *identity, *instant, *on_kill, *note, *frame_why, *alone, *loses;
};

/* Of the plan that the state keeps; not there: release is NULL. */
struct wh_frozen_schemas {
    struct ArrowSchema source, accept;
};

struct wh_flow {
    int index; /* number in the run, from 0 */
    uint32_t generation;
    const struct wh_stream *stream;
    const char *table; /* what people see: the source object's name, unique in the run */
    struct wh_endpoint *from, *to;
    struct wh_name source, target;
    void *from_opts, *to_opts;
    const char **projection;
    size_t n_projection;

    /* Source side. */
    void *sc; /* scan memory, open */
    struct wh_flow_scan scan;
    struct ArrowSchema source_schema;
    /* Mapping and destination side. */
    struct wh_plan_column *columns;
    int64_t n_columns;
    struct wh_made *made;
    int64_t n_made;
    struct ArrowSchema made_schema; /* of them, in the plan's names */
    enum wh_infinite *infinite;     /* per column of the scan's schema; NULL: the source has none */
    struct ArrowSchema mapped; /* destination names, source types; may be lent by source_schema */
    void *fl;                  /* target memory, open */
    struct wh_flow_target tgt;
    struct wh_plan_step *steps; /* forms of all phases */
    size_t n_steps;

    const char *frame;     /* pass-through encoding or NULL */
    const char *frame_why; /* the destination takes frames, but this table is decoded: why */
    const char *guard;     /* what a guard asks for before rows are replaced; NULL */
    bool fused;            /* one thread: frame, or less than one batch expected */
    int lanes;             /* at most, after all caps */
    int readers, writers;  /* of them at once, where the stream says so; 0 = as many as lanes */
    const char *delivery; /* "exactly once per unit" | "per run" | "idempotent" | "at least once" */
    const char *on_kill;  /* one sentence */
    struct wh_u128 fingerprint; /* of both schemas, mapping, mode, method, bounds, memo */
    bool refused;               /* its own error below; the run is refused before anything moves */
    const struct wh_error *error;     /* of the plan's arena; NULL: none */
    struct wh_fence fence;            /* what the target was given; the run fills in its epoch */
    bool sc_called, fl_called;        /* scan_close, target_close are owed */
    struct wh_frozen_schemas *frozen; /* at resume, only while the flow is planned */
    const char **keys;                /* write keys in effect, by destination name */
    size_t n_keys;
    const char *keys_from;        /* "write.keys", "destination's primary key", "source's ..." */
    int64_t est_units;            /* -1 unknown */
    const struct wh_flow *leader; /* merge: the flow that makes the target they share, or NULL */
    const char *target_text;      /* the destination for people: "out.db#planes" */
    struct wh_problems notes;     /* warnings about this flow */
    const char *source_name;      /* last part of the source's name, without extensions */
};

struct wh_plan {
    struct wh_arena *arena;
    const struct wh_job *job;
    const char *run; /* "r-20261122-7f3a9c01d2e4" */
    struct wh_endpoint **endpoints;
    size_t n_endpoints;
    struct wh_flow **flows;
    size_t n_flows;
    int parallel;                /* lanes over the run */
    int64_t memory;              /* sum of what lanes may hold, as printed */
    struct wh_problems problems; /* warnings for the plan's text */
    bool resumed;                /* of a run that has begun */
    bool no_source;              /* made without the source, to give a run up */
    const char *said[64];        /* words that connectors said last, by their hash */
};

/* What the state keeps of a flow so that it can be opened the same again. */
struct wh_frozen_flow {
    uint32_t generation;
    const char *stream;                                /* its name */
    const char *table, *source_schema, *accept_schema; /* JSON of schemas */
    struct wh_bytes bounds, memo;
    struct wh_u128 fingerprint;
};

struct wh_frozen {
    const char *run;
    uint32_t epoch; /* of the run when it was read */
    const struct wh_frozen_flow *flows;
    size_t n_flows;
    /* Snapshot tokens per endpoint index; p == NULL where none was taken. */
    const struct wh_snapshot *snapshots;
    const int *instants; /* which one of that endpoint it was, from 1 */
    size_t n_snapshots;
    /* The run is given up: its source is not asked for anything and may be gone. */
    bool no_source;
};

struct wh_services; /* engine/ctx.h: what contexts are made of */

/* frozen NULL: a new run (run id is made here). Refused flows are all reported: the return value is
 * WH_E_USAGE (or the worst of them) and plan->flows[i]->error tells each. *ret is set even then, so
 * that it can be printed; free it. */
wh_status wh_plan_make(const struct wh_job *, struct wh_services *, const struct wh_frozen *,
                       struct wh_plan **ret, struct wh_error *reterr);
void wh_plan_free(struct wh_plan *); /* closes targets, scans, sessions, endpoints */

/* The text for people (INTERFACE 2 and 6: resolved where/paths/names first, per flow: columns with
 * decisions, units, steps with their SQL, mode, delivery words, what a kill would mean) and JSON.
 */
wh_status wh_plan_print(const struct wh_plan *, bool full, struct wh_buf *);
wh_status wh_plan_to_json(const struct wh_plan *, struct wh_buf *);
/* The same of thousands of tables, a piece at a time. */
wh_status wh_plan_drain_json(const struct wh_plan *, struct wh_buf *, wh_drain_fn, void *arg);

/* Scan and target are wanted no more, nor what the target accepts; the source's schema and all
 * words stay. Management thread. */
void wh_flow_close(struct wh_flow *);

/* What a target is asked; keeping what it answered (io->accept is taken). Management thread. */
void wh_plan_ask_target(const struct wh_flow *, struct wh_target *ret);
wh_status wh_plan_keep_target(struct wh_plan *, struct wh_flow *, struct wh_target *io,
                              struct wh_error *reterr);

/* The value policy of one column of a flow: the stream's, with accept_lossy where the plan allows
 * it for this column. What wh_convert_new is given. */
void wh_plan_policy(const struct wh_flow *, int64_t column, struct wh_value_policy *ret);

/* What stands for an error that there was no memory to keep. */
extern const struct wh_error wh_error_unkept;

/* Control session of an endpoint, opened on first use; management thread only. */
wh_status wh_endpoint_control(struct wh_endpoint *, void **ret_se, struct wh_error *reterr);
void wh_endpoint_control_lost(struct wh_endpoint *); /* close it; the next use opens another */

#endif
