/* SPDX-License-Identifier: Apache-2.0 */
/* How many units are under way at once, at most, and what they may hold in memory. */
#include "engine/plan_internal.h"

#include <unistd.h>

enum {
    LONG_ROW = 64 << 10,      /* mean size in bytes, from which on rows are long */
    LONG_MOST = 4 << 20,      /* longer ones are counted as such */
    LANE_BYTES = 9 << 20,     /* batch 1, queue 3, unacknowledged 4, encoder 1 MiB (DESIGN 6.7) */
    CLIENT_BYTES = 3 << 20,   /* a client library that says nothing */
    PROGRAM_BYTES = 16 << 20, /* the program itself, its modules, the plan */
};

/* ---- lanes ------------------------------------------------------------------------------------
 */

static int64_t default_parallel(void)
{
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    return cores < 1 ? 1 : cores > 4 ? 4 : cores;
}

static int least(int64_t a, int64_t b)
{
    if (a <= 0)
        return (int)b;
    return (int)(b <= 0 || a < b ? a : b);
}

static int64_t unit_bytes(const struct wh_flow *f)
{
    return f->scan.unit_bytes > 0 ? f->scan.unit_bytes : 64 << 20;
}

static int64_t estimate_units(const struct wh_flow *f)
{
    if (!f->scan.splittable || f->stream->split_none)
        return 1;
    if (f->scan.est_bytes < 0)
        return -1;
    int64_t n = f->scan.est_bytes / unit_bytes(f) + (f->scan.est_bytes % unit_bytes(f) != 0);

    return n > 0 ? n : 1;
}

/* Ranges of a chained scan wait for each other while both of their sides are open: there both
 * bounds are one of the lanes, the smaller one. */
static bool bounds_apart(const struct wh_flow *f)
{
    return (f->stream->parallel_read || f->stream->parallel_write) && !f->scan.chained;
}

void wh_plan_lanes(struct wh_planner *p, struct wh_flow *f)
{
    const struct wh_stream *s = f->stream;
    int lanes = least(p->plan->parallel, s->parallel);
    int readers = least(s->parallel_read, f->scan.max_readers);
    int writers = least(s->parallel_write, f->tgt.max_writers);

    if (bounds_apart(f))
        lanes = least(lanes, readers && writers ? (readers > writers ? readers : writers) : 0);
    else
        lanes = least(lanes, least(readers, writers));
    f->est_units = estimate_units(f);
    if (f->est_units > 0)
        lanes = least(lanes, f->est_units);
    if ((s->split_parts > 1 || s->split_rows) && !f->scan.splittable)
        wh_problem_warn(&f->notes, "E1060", s->where_place, NULL, "split.%s: %s is read as %s",
                        s->split_parts ? "parts" : "target_rows", f->table, f->scan.method);
    if (f->tgt.needs_key_order && lanes > 1) {
        lanes = 1;
        wh_problem_warn(&f->notes, "E1060", f->stream->where_place, NULL,
                        "one lane: the destination needs the rows of one key in order");
    }
    f->lanes = lanes < 1 ? 1 : lanes;
    f->readers = bounds_apart(f) && readers < f->lanes ? readers : 0;
    f->writers = bounds_apart(f) && writers < f->lanes ? writers : 0;
}

/* ---- memory -----------------------------------------------------------------------------------
 */

static int64_t footprint(const struct wh_endpoint *ep)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;

    if (ops->footprint)
        return ops->footprint(ep->opts);
    return ep->connector->caps->flags & WH_CAP_LOCAL ? 0 : CLIENT_BYTES;
}

/* One lane of the costliest flow: what it holds at most at once. A row of 4 MiB fits the parts as
 * they are; above it batch, queue and encoder each hold one more. */
static int64_t lane_bytes(const struct wh_planner *p)
{
    int64_t most = LANE_BYTES + CLIENT_BYTES;

    for (size_t i = 0; i < p->plan->n_flows; i++) {
        const struct wh_flow *f = p->plan->flows[i];
        int64_t over = f->stream->max_row_bytes - (4 << 20);

        if (f->refused)
            continue;
        int64_t bytes =
            LANE_BYTES + footprint(f->from) + footprint(f->to) + (over > 0 ? 4 * over : 0);

        most = bytes > most ? bytes : most;
    }
    return most;
}

/* What a lane holds more where rows are long (the sample says so): text, batch, queue and encoder
 * have one each, and what grows to hold it doubles. Measured with rows of 3 and 4 MiB: 42 MB. */
static int64_t long_rows(const struct wh_planner *p)
{
    int64_t most = 0;

    for (size_t i = 0; i < p->plan->n_flows; i++) {
        const struct wh_flow *f = p->plan->flows[i];
        int64_t row = f->stream->max_row_bytes < LONG_MOST ? f->stream->max_row_bytes : LONG_MOST;

        if (!f->refused && f->scan.est_rows > 0 && f->scan.est_bytes / f->scan.est_rows > LONG_ROW)
            most = 8 * row > most ? 8 * row : most;
    }
    return most;
}

int wh_plan_memory(struct wh_planner *p, struct wh_error *reterr)
{
    struct wh_plan *plan = p->plan;
    int64_t limit = p->job->run.memory, least_lane = lane_bytes(p),
            lane = least_lane + long_rows(p);
    int wanted = plan->parallel, lanes = 1;

    for (size_t i = 0; i < plan->n_flows; i++)
        if (!plan->flows[i]->refused && plan->flows[i]->lanes > lanes)
            lanes = plan->flows[i]->lanes;
    /* Several tables at once fill the lanes that one table leaves. */
    if (plan->n_flows > 1)
        lanes = plan->parallel;
    while (limit > 0 && lanes > 1 && PROGRAM_BYTES + lanes * lane > limit)
        lanes--;
    bool fewer = limit > 0 && PROGRAM_BYTES + wanted * lane > limit;

    if (limit > 0 && PROGRAM_BYTES + lane > limit)
        lane = least_lane; /* one lane alone may do with less */
    plan->memory = PROGRAM_BYTES + lanes * lane;
    if (limit > 0 && plan->memory > limit) {
        int st = wh_fail(
            reterr, WH_E_USAGE, "E8001",
            "one lane needs %lld MB and the program %d MB, but --memory allows %lld MB",
            (long long)(lane / 1000000), PROGRAM_BYTES / 1000000, (long long)(limit / 1000000));

        wh_error_hint(reterr, "raise --memory, or lower values.max_row_bytes");
        return st;
    }
    if (fewer) {
        plan->parallel = lanes;
        for (size_t i = 0; i < plan->n_flows; i++)
            plan->flows[i]->lanes = least(plan->flows[i]->lanes, lanes);
        wh_problem_warn(&plan->problems, "E8001", "", "raise --memory for more",
                        "--memory %lld MB holds %d lane%s of %lld MB", (long long)(limit / 1000000),
                        lanes, lanes == 1 ? "" : "s", (long long)(lane / 1000000));
    }
    return WH_OK;
}

int wh_plan_parallel(const struct wh_job *job)
{
    return (int)(job->run.parallel > 0 ? job->run.parallel : default_parallel());
}
