/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the job model share (engine/job*.c only). */
#ifndef WHERRY_ENGINE_JOB_INTERNAL_H
#define WHERRY_ENGINE_JOB_INTERNAL_H

#include "engine/job.h"
#include "engine/macro.h"
#include "engine/object.h"

/* A job being read. */
struct wh_job_reading {
    struct wh_job *job;
    struct wh_arena *arena; /* the job's */
    const char *file;
    struct wh_problems *problems;
    struct wh_macros macros;
    const struct wh_job *like;     /* whose run id, time and parameters are taken; or NULL */
    const struct wh_node *outside; /* MAP of connections that are not the file's; or NULL */
};

/* Key of a stream, of a group inside it, or of the top. Refused keys are known to INTERFACE but
 * not carried out by this build; they are named, never ignored. */
struct wh_job_key {
    const char *name;
    bool refused;
    const char *hint; /* nearest thing that works; NULL */
    const char *why;  /* it is refused; NULL: it is not made yet */
};
#define WH_NO_EXPRESSIONS "SQL expressions are not part of this version"

const char *wh_job_where(const struct wh_job_reading *, const struct wh_node *);
bool wh_job_no_memory(const struct wh_job_reading *);
/* Is `key` one of keys (ends with a NULL name)? Adds E1014 or E1001 with "did you mean" if not. */
bool wh_job_key_allowed(const struct wh_job_reading *, const struct wh_job_key *keys,
                        const struct wh_node *key, const char *of);

/* job_doc.c: document to resolved tree; `doc` is not changed. False: there is no tree to go on
 * with; smaller problems are only added, so that the rest is checked as well. */
bool wh_job_resolve(struct wh_job_reading *, const struct wh_node *doc, const struct wh_map *set,
                    const char *scheduled);
/* Copy of `over` laid on `under`: maps key by key, everything else as a whole. */
struct wh_node *wh_job_merge(struct wh_job_reading *, const struct wh_node *under,
                             const struct wh_node *over);
/* Types job->tree: streams, run; then computes the shape. Repeatable after a change of the tree. */
bool wh_job_type(struct wh_job_reading *);

/* job_options.c: groups of settings. */
bool wh_job_stream_settings(struct wh_job_reading *, const struct wh_node *stream,
                            struct wh_stream *ret);
bool wh_job_run_settings(struct wh_job_reading *, const struct wh_node *run,
                         struct wh_run_options *ret);

/* job_type.c: one stream, without its overrides. */
bool wh_job_type_one(struct wh_job_reading *, const struct wh_node *stream, struct wh_stream *ret);

/* job_limits.c */
extern const struct wh_options wh_stream_limits, wh_stream_retry;
/* A number alone that nobody means: 5 (bytes a second). Says so. */
bool wh_job_rate_meant(struct wh_job_reading *, const struct wh_node *value);
bool wh_job_rate(struct wh_job_reading *, const struct wh_node *, struct wh_run_options *);
bool wh_job_stream_limits(struct wh_job_reading *, const struct wh_node *, struct wh_stream *);
bool wh_job_stream_retry(struct wh_job_reading *, const struct wh_node *, struct wh_stream *);
/* job_options.c: all rows of one table. */
bool wh_job_group(struct wh_job_reading *, const struct wh_node *, const char *name,
                  const struct wh_options *, void *out);

/* "rows=5,ratio=1%" (a flag) as the map that it means; else the node itself. NULL: it is none. */
const struct wh_node *wh_job_as_map(struct wh_job_reading *, const struct wh_node *);
/* One row of a table. */
bool wh_job_one(struct wh_job_reading *, const struct wh_options *, void *out,
                const struct wh_node *key, const struct wh_node *value);

/* job_select.c */
/* Leaves only these streams and tables ("STREAM", "STREAM/TABLE") in the tree. */
bool wh_job_keep_selected(struct wh_job_reading *, const char *const *items, size_t n);
bool wh_job_take_selection(struct wh_job_reading *); /* of the tree, into the typed streams */

/* job_split.c */
extern const struct wh_options wh_stream_parallel, wh_stream_sides, wh_stream_split;
bool wh_job_parallel(struct wh_job_reading *, const struct wh_node *, struct wh_stream *s);
bool wh_job_split(struct wh_job_reading *, const struct wh_node *, struct wh_stream *s);

/* job_override.c: s->name is known. */
bool wh_job_overrides(struct wh_job_reading *, const struct wh_node *stream, struct wh_stream *s);

/* job_archive.c: dirty.archive; the text becomes one that means the same from every folder. */
bool wh_job_archive(struct wh_job_reading *, struct wh_node *, struct wh_stream *s);

/* job_columns.c */
bool wh_job_columns(struct wh_job_reading *, const struct wh_node *columns, struct wh_stream *ret);
bool wh_job_types(struct wh_job_reading *, const struct wh_node *types, struct wh_stream *ret);

/* job_convert.c: `convert:` of a column. */
bool wh_job_convert(struct wh_job_reading *, const struct wh_node *, struct wh_fn_chain *ret);

/* job_side.c: `from:` or `to:`, text or map. */
bool wh_job_side(struct wh_job_reading *, const struct wh_node *, enum wh_side,
                 struct wh_objref *ret);

/* One group of keys of a job file: "" is a stream, "run.limits" stands in run. */
struct wh_job_group {
    const char *name;
    const struct wh_job_key *keys; /* NULL: the rows alone */
    const struct wh_options *tables[3];
    const char *text; /* the form that may be written instead of a map, or NULL */
    bool formed;      /* rows of the first table have their forms in job_schema.c */
};
extern const struct wh_job_group wh_job_groups[];    /* ends with a NULL name */
extern const struct wh_job_key wh_job_top_keys[];    /* of a job */
extern const struct wh_job_key wh_job_column_keys[]; /* of a line of columns: */

/* job_shape.c */
bool wh_job_shape(struct wh_job_reading *);

#endif
