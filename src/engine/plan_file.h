/* SPDX-License-Identifier: Apache-2.0 */
/* The file of `plan -o`: what `run --plan` carries out and `plan --diff FILE` compares with.
 *
 * It is the plan as `plan --json` prints it, and behind it "file": format and version, the job with
 * its macros replaced (references to secrets stay references, secrets that were written out are
 * "***"), which job file it came from, and of each table both schemas and what fixes its source and
 * its destination. The last member, "hash", is of all bytes before it.
 *
 * A plan is compared by making it again: what is told is each difference of what decides the
 * result; not estimates, lanes, or how a live table is cut into units. Management thread.
 */
#ifndef WHERRY_ENGINE_PLAN_FILE_H
#define WHERRY_ENGINE_PLAN_FILE_H

#include "engine/plan.h"

/* Where a job came from. */
struct wh_plan_origin {
    const char *job_file; /* absolute path; NULL: arguments of `copy`, standard input */
    const char *text;     /* its bytes */
    size_t n;
    const struct wh_node *settings; /* MAP: given beside it; or NULL */
};
/* Of a plan that was made by wh_plan_make, refused or not. */
wh_status wh_plan_file_print(const struct wh_plan *, const struct wh_plan_origin *,
                             struct wh_buf *);

struct wh_plan_file {
    struct wh_arena *arena;
    const char *name;
    const struct wh_node *doc;
    const char *run;      /* the run that it plans */
    const char *job_file; /* NULL: none */
    const char *job_hash; /* of its bytes */
    const struct wh_node *settings;
    bool masked; /* a secret stood in the job file, and is not here */
};
/* E1072: no plan file, one of a newer version, damaged or changed by hand. */
wh_status wh_plan_file_read(const char *name, const char *text, size_t n, struct wh_plan_file *ret,
                            struct wh_error *reterr);
void wh_plan_file_free(struct wh_plan_file *);
/* Does it begin like one, or like what `plan --json` prints? */
bool wh_plan_file_is(const char *text, size_t n);

/* Is that the job file as it was? */
bool wh_plan_file_same_job(const struct wh_plan_file *, const char *text, size_t n);
/* The job that it holds: run id, planned time and macros as they were. */
wh_status wh_plan_file_job(const struct wh_plan_file *, struct wh_job **ret,
                           struct wh_error *reterr);

/* table: NULL where the whole plan is meant. was or is NULL: not there. */
struct wh_plan_difference {
    const char *table, *what, *was, *is;
};
typedef wh_status (*wh_plan_difference_fn)(void *, const struct wh_plan_difference *);
/* Every difference of the plan in the file and one that was made now. */
wh_status wh_plan_file_compare(const struct wh_plan_file *, const struct wh_plan *now,
                               wh_plan_difference_fn each, void *arg, struct wh_error *reterr);
/* E1066 with the first differences, if there is any. */
wh_status wh_plan_file_fits(const struct wh_plan_file *, const struct wh_plan *now,
                            struct wh_error *reterr);
/* One line: "orders: column id was int32, is int64". */
wh_status wh_plan_difference_text(const struct wh_plan_difference *, struct wh_buf *);

#endif
