/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the planner share (engine/plan*.c, look.c). */
#ifndef WHERRY_ENGINE_PLAN_INTERNAL_H
#define WHERRY_ENGINE_PLAN_INTERNAL_H

#include "engine/ctx.h"
#include "engine/object.h"
#include "engine/plan.h"

/* What a catalogue pass found at one endpoint. */
struct wh_listed {
    struct wh_name name;
    enum wh_object_kind kind;
};
struct wh_listing {
    struct wh_listed *v;    /* owned, grows by doubling */
    struct wh_arena *arena; /* owned: the names' texts */
    size_t n, cap;
    bool done;
};

struct wh_planner {
    struct wh_plan *plan;
    struct wh_arena *arena; /* the plan's */
    const struct wh_job *job;
    struct wh_services *services;
    const struct wh_frozen *frozen; /* NULL: a new run */
    struct wh_listing *listings;    /* one per endpoint index */
    size_t n_listings;
    const char **names; /* hash set of the flows' table names; n_names slots, a power of two */
    size_t n_names;
    uint32_t *frozen_at; /* hash index of the frozen flows by table: number + 1; 0 = free */
    size_t n_frozen_at;  /* a power of two */
};

/* What was listed; names of flows are the plan's own. */
void wh_planner_done(struct wh_planner *);

int wh_plan_no_memory(struct wh_error *reterr);
void wh_plan_refuse(struct wh_plan *, struct wh_flow *, const struct wh_error *why);
wh_status wh_plan_copy_str(struct wh_arena *, struct wh_str, struct wh_str *ret);
wh_status wh_plan_copy_bytes(struct wh_arena *, struct wh_bytes, struct wh_bytes *ret);
wh_status wh_plan_copy_name(struct wh_arena *, const struct wh_name *, struct wh_name *ret);
const char *wh_plan_name_text(struct wh_arena *, const struct wh_name *); /* NULL: no memory */

/* plan_endpoint.c ---------------------------------------------------------------------------- */
/* The endpoint of one side of a stream, opened on first use; shared when connector and connection
 * options are equal. Its failure is kept and told to every stream that uses it. */
wh_status wh_plan_endpoint(struct wh_planner *, const struct wh_objref *, struct wh_endpoint **ret,
                           struct wh_error *reterr);
/* Options of a side's own table; NULL where the connector has none. */
wh_status wh_plan_options(struct wh_arena *, const struct wh_options *, const struct wh_node *map,
                          const char *where, void **ret, struct wh_error *reterr);
void wh_plan_endpoint_free(struct wh_endpoint *);

/* plan_expand.c ------------------------------------------------------------------------------ */
/* All source objects that a stream means, as full names, sorted; *ret is to be freed, the texts
 * live as long as the planner. */
wh_status wh_plan_expand(struct wh_planner *, const struct wh_stream *, struct wh_endpoint *,
                         struct wh_name **ret, size_t *ret_n, struct wh_error *reterr);
/* Tables of an endpoint, listed once. */
wh_status wh_plan_listing(struct wh_planner *, struct wh_endpoint *, struct wh_listing **ret,
                          struct wh_error *reterr);
/* True if the name is what parts mean (patterns match whole parts, the last parts are compared). */
wh_status wh_plan_match(const struct wh_objref *, const struct wh_name *, bool ignore_case,
                        bool *ret, struct wh_error *reterr);

/* plan_template.c ---------------------------------------------------------------------------- */
bool wh_template_in(struct wh_str text); /* has it {source...}? */
/* {source.table|lower} and the like; E1020 for what is not understood. */
wh_status wh_template_expand(struct wh_arena *, struct wh_str text, const struct wh_name *source,
                             struct wh_str *ret, struct wh_error *reterr);

/* plan_flow.c -------------------------------------------------------------------------------- */
/* Scan, mapping, target, types, steps of one flow whose stream, endpoints, source are set. */
wh_status wh_plan_flow(struct wh_planner *, struct wh_flow *, const struct wh_frozen_flow *,
                       struct wh_error *reterr);
/* The source's side alone: options, scan. */
wh_status wh_plan_source(struct wh_planner *, struct wh_flow *, const struct wh_frozen_flow *,
                         struct wh_error *reterr);
void wh_plan_flow_free(struct wh_flow *);

/* plan_map.c --------------------------------------------------------------------------------- */
/* Names to ask of the source; *ret_all = everything. */
wh_status wh_plan_projection(struct wh_planner *, struct wh_flow *, const struct wh_frozen_flow *,
                             struct wh_error *reterr);
/* What rows are to tell of where they stand: wh_scan.places. */
const char *const *wh_plan_places(const struct wh_planner *, const struct wh_stream *);
/* What the source is to compute, into scan.computed. WH_E_NOMEM. */
wh_status wh_plan_computed(const struct wh_planner *, const struct wh_stream *, struct wh_scan *);
/* The place in the job of computed column `number` (from 1). */
const char *wh_plan_computed_where(const struct wh_stream *, size_t number);
/* No column of the object: asked for by other words than the projection. */
bool wh_plan_is_extra(const struct ArrowSchema *field);
/* flow->columns and flow->mapped from the scan's schema and the stream's columns. */
wh_status wh_plan_mapping(struct wh_planner *, struct wh_flow *, struct wh_error *reterr);

/* plan_made.c -------------------------------------------------------------------------------- */
/* flow->made_schema, when columns and declared types are known. */
wh_status wh_plan_made(struct wh_flow *, struct wh_error *reterr);
/* Marks the columns of the scan that some column of the plan is made of. */
void wh_plan_needed(const struct wh_flow *, bool *need);
/* How a made column is made: "trim, hash(...)", "json of a, b". */
wh_status wh_plan_made_text(const struct wh_flow *, const struct wh_plan_column *, struct wh_buf *);

/* The types in which a source that guesses shall read columns: `types`, and those that lines of
 * `columns` declare. NULL: none (or no memory: a type that is not read so is refused later on). */
const struct wh_map *wh_plan_read_types(const struct wh_planner *, const struct wh_flow *);

/* plan_types.c ------------------------------------------------------------------------------- */
/* Decisions per column after target_open; keys; constants. */
wh_status wh_plan_types(struct wh_planner *, struct wh_flow *, struct wh_error *reterr);

/* plan_able.c, plan_check.c ------------------------------------------------------------------ */
wh_status wh_plan_check_stream(const struct wh_stream *, struct wh_error *reterr);
wh_status wh_plan_check_flow(struct wh_planner *, struct wh_flow *, struct wh_error *reterr);
/* Fused, lanes, delivery words, what a kill means; after the target is open. */
wh_status wh_plan_decide(struct wh_planner *, struct wh_flow *); /* OK, no memory */
wh_status wh_plan_targets(struct wh_planner *);                  /* two flows onto one target */

/* plan_lanes.c ------------------------------------------------------------------------------- */
/* Lanes of one flow: after the target is open. */
void wh_plan_lanes(struct wh_planner *, struct wh_flow *);
wh_status wh_plan_memory(struct wh_planner *, struct wh_error *reterr);
int wh_plan_parallel(const struct wh_job *); /* -j, or what this machine suggests */

/* plan_frozen.c ------------------------------------------------------------------------------ */
/* Fills flow->frozen. */
wh_status wh_plan_thaw(struct wh_flow *, const struct wh_frozen_flow *, struct wh_error *reterr);
wh_status wh_plan_fingerprint(struct wh_planner *, struct wh_flow *, struct wh_error *reterr);
wh_status wh_plan_unchanged(struct wh_planner *, struct wh_flow *, const struct wh_frozen_flow *,
                            struct wh_error *reterr);

/* Words of plans. */
const char *wh_plan_snapshot_words(const struct wh_plan *, const struct wh_flow *);
const char *wh_plan_target_text(const struct wh_flow *); /* arena text, or what was asked */
const char *wh_mode_name(int mode);
const char *wh_class_letter(enum wh_class);
const char *wh_atomic_name(int atomic);

/* The connection as it was written, for a command to type; secrets are masked. */
const char *wh_plan_connection_text(struct wh_arena *, const struct wh_endpoint *,
                                    const struct wh_objref *);

#endif
