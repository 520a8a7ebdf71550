/* SPDX-License-Identifier: Apache-2.0 */
/* One seed: what the world is like, processes that are started, killed, stopped, continued, started
 * beside each other until the run is done, and then whether every row is where it belongs. */
#include "world.h"

#include "engine/killpoint.h"
#include "engine/refused.h"

#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct world world;

enum {
    LAST_FAULTY = 9, /* later processes live in a world without faults */
    SWITCHES_MOST = 4000000,
};

/* ---- what goes wrong ---------------------------------------------------------------------------
 */

bool sim_fault(void)
{
    if (world.faults <= 0 || !sim_chance(world.fault_rate))
        return false;
    world.faults--;
    return true;
}

void sim_latency(void)
{
    sim_point();
    if (sim_chance(world.slow_rate))
        sim_sleep(sim_below(8 * S));
    else if (sim_chance(300))
        sim_sleep(sim_below(3 * MS));
}

/* ---- one process -------------------------------------------------------------------------------
 */

struct scan_head {
    uint64_t flow; /* as source.c has it, and room for the rest */
    char rest[120];
};

struct engine {
    struct proc *proc;
    struct wh_services *services;
    struct wh_state *state;
    struct wh_job job;
    struct wh_stream stream;
    struct wh_plan plan;
    struct wh_endpoint from, to, *endpoints[2];
    struct wh_flow flow[FLOWS_MOST], *flows[FLOWS_MOST];
    struct wh_plan_column columns[2];
    struct wh_run_result result;
    struct wh_run_listener listener;
    struct wh_error error, last_error;
    struct scan_head sc[FLOWS_MOST];
    uint64_t fl[FLOWS_MOST], source_ep;
    const struct wh_ctx *target_ep;
    char run[64], identity[FLOWS_MOST][32], table[FLOWS_MOST][16];
    bool resume, nothing_to_do, ended;
    int status;
    int64_t started_at;
};

static struct engine *engines[PROCS_MOST];
static int n_engines;
static bool hopeless_limit; /* the dirty limit is too low: exit 6 until it is raised */
static bool accept_mixed;

static void event(void *self, const struct wh_event *e)
{
    struct engine *g = self;

    if (e->type == WH_EV_ERROR && e->error) {
        g->last_error = *e->error;
        sim_trace("error %s %s", e->error->code, e->error->message);
    }
    if (e->type == WH_EV_UNIT_RETRY && e->error)
        sim_trace("unit %d again: %s %s", (int)e->unit, e->error->code, e->error->message);
    if (e->type == WH_EV_WARNING)
        sim_trace("warning: %s", e->text ? e->text : "");
}

static void must(int st, const struct wh_error *err, const char *what)
{
    if (st != WH_OK)
        sim_fail("%s: %s %s %s", what, wh_status_name(st), err->code, err->message);
}

static void make_endpoint(struct engine *g, struct wh_endpoint *ep, int index)
{
    struct wh_error err = {0};

    *ep = (struct wh_endpoint){.index = index,
                               .connector = index == 0                 ? &sim_source
                                            : world.kind == KIND_LEAST ? &sim_target_least
                                                                       : &sim_target,
                               .name = index ? "destination" : "source",
                               .is_source = index == 0,
                               .is_target = index == 1,
                               .instants = 1};
    ep->ep = index ? (void *)&g->target_ep : (void *)&g->source_ep;
    must(wh_ctx_endpoint(g->services, ep, g->run, "UTC", &err), &err, "endpoint");
    if (index)
        g->target_ep = &ep->ctx;
    g->endpoints[index] = ep;
}

static void make_flow(struct engine *g, int i)
{
    static const char *const delivery[] = {"exactly once per unit", "exactly once per run",
                                           "exactly once per unit", "exactly once per run",
                                           "at least once"};
    struct wh_flow *f = &g->flow[i];
    bool staged = world.kind == KIND_STAGE || world.kind == KIND_PARTS;

    snprintf(g->identity[i], sizeof g->identity[i], "sim|t%d", i);
    snprintf(g->table[i], sizeof g->table[i], "t%d", i);
    *f = (struct wh_flow){.index = i,
                          .generation = 1,
                          .stream = &g->stream,
                          .table = g->table[i],
                          .source_name = g->table[i],
                          .from = &g->from,
                          .to = &g->to,
                          .sc = &g->sc[i],
                          .fl = &g->fl[i],
                          .columns = g->columns,
                          .n_columns = 2,
                          .lanes = world.lanes,
                          .fused = world.lanes == 1 && (world.seed & 64),
                          .delivery = delivery[world.kind]};
    g->sc[i].flow = g->fl[i] = (uint64_t)i;
    f->scan.chained = world.flow[i].chained;
    f->scan.splittable = world.flow[i].splits > 1;
    f->scan.resumable = world.cuts;
    f->scan.physical = world.physical;
    f->scan.unit_bytes = world.unit_bytes;
    f->tgt.mode = world.flow[i].dup_every    ? WH_MODE_INSERT_IGNORE
                  : world.kind == KIND_STAGE ? WH_MODE_OVERWRITE
                  : world.kind == KIND_CLEAR ? WH_MODE_TRUNCATE
                                             : WH_MODE_APPEND;
    f->tgt.grain = world.grain;
    f->tgt.commit_class = world.kind == KIND_PARTS   ? WH_CLASS_P
                          : world.kind == KIND_LEAST ? WH_CLASS_A
                                                     : WH_CLASS_T;
    f->tgt.atomic_given = staged ? WH_ATOMIC_TABLE : WH_ATOMIC_UNIT;
    f->tgt.identity = g->identity[i];
    must(wh_schema_copy(&sim_schema, &f->source_schema), &g->error, "schema");
    must(wh_schema_copy(&sim_schema, &f->mapped), &g->error, "schema");
    must(wh_schema_copy(&sim_schema, &f->tgt.accept), &g->error, "schema");
    g->flows[i] = f;
}

/* What a plan that is made from frozen state knows of the run's snapshot. */
static void frozen_snapshot(struct engine *g)
{
    struct wh_snapshot_record *v = NULL;
    struct wh_error err = {0};
    size_t n = 0;

    must(wh_state_snapshots(g->state, g->run, g->plan.arena, &v, &n, &err), &err, "snapshots");
    for (size_t i = 0; i < n; i++)
        if (v[i].endpoint == 0) {
            g->from.snapshot =
                (struct wh_snapshot){.kind = (enum wh_snapshot_kind)v[i].kind, .token = v[i].token};
            g->from.instants = v[i].instants;
        }
}

static void make_plan(struct engine *g)
{
    const struct wh_type id = {.kind = WH_K_I64}, name = {.kind = WH_K_UTF8, .nullable = true};

    g->plan.arena = wh_arena_new(64 << 20);
    g->job.name = "job";
    g->job.arena = wh_arena_new(16 << 20);
    g->job.tree = wh_node_map(g->job.arena);
    g->job.run = (struct wh_run_options){
        .retry_times = 3, .retry_wait_ms = 20, .tables = 2, .accept_mixed = accept_mixed};
    g->job.run.retry_outage_ms = 20000;
    g->job.run.timeouts.lock = 30000;
    g->job.run.timeouts.no_progress = 60000;
    g->job.run.lock_wait_ms = world.seed & 128 ? 5000 : 0;
    g->stream.name = "s";
    g->stream.paced = &g->stream;
    g->stream.guard_empty_allow = true;
    g->stream.dirty_rows = hopeless_limit ? world.dirty_limit : 100000;
    g->stream.retry.times = g->stream.retry.wait_ms = g->stream.retry.outage_ms = -1;
    g->columns[0] = (struct wh_plan_column){.name = "id", .source = 0, .from = id, .to = id};
    g->columns[1] = (struct wh_plan_column){.name = "name", .source = 1, .from = name, .to = name};
    make_endpoint(g, &g->from, 0);
    make_endpoint(g, &g->to, 1);
    for (int i = 0; i < world.n_flows; i++)
        make_flow(g, i);
    g->plan.job = &g->job;
    g->plan.run = g->run;
    g->plan.endpoints = g->endpoints;
    g->plan.n_endpoints = 2;
    g->plan.flows = g->flows;
    g->plan.n_flows = (size_t)world.n_flows;
    g->plan.parallel = world.lanes;
    if (g->resume)
        frozen_snapshot(g);
    g->listener = (struct wh_run_listener){.self = g, .event = event, .progress_ms = 1000};
}

/* As `wherry run` does: an unfinished run is resumed, a finished one is not repeated. */
static void choose_run(struct engine *g)
{
    struct wh_arena *a = wh_arena_new(1 << 20);
    const char *unfinished = NULL, *finished = NULL;
    struct wh_run_record r;
    struct wh_error err = {0};

    must(wh_state_run_find(g->state, "sim", a, &unfinished, &finished, &err), &err, "find");
    if (finished && !unfinished) {
        must(wh_state_run_get(g->state, finished, a, &r, &err), &err, "get");
        g->nothing_to_do = r.exit_code == 0 && r.state == WH_RUN_CLOSED;
    }
    g->resume = unfinished != NULL;
    if (g->resume)
        snprintf(g->run, sizeof g->run, "%s", unfinished);
    else
        snprintf(g->run, sizeof g->run, "r-20260101-%012x", (unsigned)g->proc->id);
    wh_arena_free(a);
}

static void body(void *arg)
{
    struct engine *g = arg;
    struct wh_run_start start = {0};

    must(wh_state_open(world.state, 10000, &g->state, &g->error), &g->error, "state");
    must(wh_services_new(world.dir, NULL, &g->services, &g->error), &g->error, "services");
    choose_run(g);
    sim_trace("process starts: %s%s", g->run, g->resume ? " (resume)" : "");
    if (!g->nothing_to_do) {
        make_plan(g);
        start = (struct wh_run_start){.resume = g->resume, .identity = "sim"};
        g->status = wh_run_execute(&g->plan, g->services, g->state, &start, &g->listener,
                                   &g->result, &g->error);
        for (int i = 0; i < 2; i++)
            wh_endpoint_control_lost(g->endpoints[i]);
    }
    g->ended = true;
    g->proc->state = PROC_EXITED;
    g->proc->ended_at = sim_now;
    sim_trace("process ends: exit %d %s %s", g->result.exit_code, g->error.code, g->error.message);
    server_orphans(g->proc);
    wh_state_close(g->state);
    g->state = NULL;
}

/* ---- when it dies ------------------------------------------------------------------------------
 */

static void doom(struct engine *g)
{
    size_t n;
    const struct wh_kill_name *names = wh_kill_names(&n);
    struct proc *p = g->proc;

    if (n_engines > LAST_FAULTY || sim_chance(250))
        return;
    p->end_stops = sim_chance(450);
    if (sim_chance(700)) {
        p->end_name = names[sim_below((int64_t)n)].name;
        p->end_nth = 1 + (sim_chance(400) ? sim_below(5) : 0);
    } else {
        p->end_nth = 1 + sim_below(sim_chance(500) ? 4000 : 400);
    }
}

static struct engine *start(void)
{
    struct engine *g = calloc(1, sizeof *g);

    if (n_engines == LAST_FAULTY)
        world.faults = 0;
    engines[n_engines++] = g;
    g->proc = proc_start(body, g);
    g->started_at = sim_now;
    world.processes++;
    doom(g);
    return g;
}

/* ---- the course of a seed ----------------------------------------------------------------------
 */

static bool in_table(int code)
{
    static const int codes[] = {0, 1, 2, 3, 5, 6, 7, 9, 10, 130, 143};

    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
        if (codes[i] == code)
            return true;
    return false;
}

/* What a process says at its end must be true of what it counts. */
static void check_end(struct engine *g)
{
    const struct wh_counts *c = &g->result.counts;
    int code = g->result.exit_code;

    if (g->nothing_to_do)
        return;
    if (!in_table(code))
        sim_fail("exit code %d is none of ours", code);
    if (g->result.run &&
        c->rows_read != c->rows_written + c->rows_dirty + c->rows_filtered + c->rows_skipped)
        sim_fail("%lld read are not %lld written + %lld dirty + %lld filtered + %lld skipped",
                 (long long)c->rows_read, (long long)c->rows_written, (long long)c->rows_dirty,
                 (long long)c->rows_filtered, (long long)c->rows_skipped);
    if (code == 1 && !world.fatal_seen && !world.gone_seen)
        sim_fail("exit 1 although nothing failed for good: %s %s / %s %s", g->error.code,
                 g->error.message, g->last_error.code, g->last_error.message);
    if (code == 6 && g->stream.dirty_rows > world.dirty_limit)
        sim_fail("exit 6 although the limit is not reached");
    if ((code == 2 || code == 9 || code == 7 || code == 130) && n_engines > 0 &&
        !(code == 2 && strncmp(g->error.code, "E70", 3) == 0))
        sim_fail("exit %d: %s %s", code, g->error.code, g->error.message);
    if (strcmp(g->error.code, "E9001") == 0 || strcmp(g->error.code, "E9002") == 0 ||
        strcmp(g->last_error.code, "E9002") == 0 || strcmp(g->last_error.code, "E5006") == 0)
        sim_fail("our own bug: %s %s / %s", g->error.code, g->error.message, g->last_error.message);
    if (code == 6)
        hopeless_limit = false; /* resume --dirty */
    if (code == 1)
        accept_mixed = true;
}

static bool finished;

/* Something that ended since the last turn. */
static void see_ends(int64_t *next_start)
{
    static bool seen[PROCS_MOST];

    for (int i = 0; i < n_engines; i++) {
        struct engine *g = engines[i];

        if (seen[i] || (g->proc->state != PROC_DEAD && g->proc->state != PROC_EXITED &&
                        g->proc->state != PROC_STOPPED))
            continue;
        if (g->proc->state == PROC_STOPPED) {
            if (!g->proc->wake_at) { /* after others went on, or before */
                g->proc->wake_at = sim_now + 1 + sim_below(100 * S);
                *next_start = sim_now + 1 + sim_below(80 * S);
            }
            continue;
        }
        seen[i] = true;
        if (g->proc->state == PROC_DEAD) {
            server_orphans(g->proc);
            wh_state_close(g->state);
            g->state = NULL;
        } else {
            check_end(g);
            finished = finished || g->nothing_to_do || (g->ended && g->result.exit_code == 0);
        }
        *next_start = sim_now + 1 + sim_below(sim_chance(300) ? 50 * S : 10 * MS);
    }
}

static bool any(enum proc_state s)
{
    for (int i = 0; i < n_engines; i++)
        if (engines[i]->proc->state == s)
            return true;
    return false;
}

static void wake_stopped(bool all)
{
    for (int i = 0; i < n_engines; i++) {
        struct proc *p = engines[i]->proc;

        if (p->state == PROC_STOPPED && p->wake_at && (all || p->wake_at <= sim_now)) {
            p->state = PROC_RUNS;
            p->wake_at = 0;
        }
    }
}

static int64_t next_wake(void)
{
    int64_t first = INT64_MAX;

    for (int i = 0; i < n_engines; i++)
        if (engines[i]->proc->state == PROC_STOPPED && engines[i]->proc->wake_at &&
            engines[i]->proc->wake_at < first)
            first = engines[i]->proc->wake_at;
    return first;
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void too_long(void)
{
    for (int i = 0; i < n_engines; i++)
        if (engines[i]->proc->state == PROC_RUNS && sim_now - engines[i]->started_at > 2 * 3600 * S)
            sim_fail("process %d does not come to an end", i + 1);
    if (sim_switches > SWITCHES_MOST)
        sim_fail("no end after %d turns", SWITCHES_MOST);
}

static void live(void)
{
    int64_t next_start = INT64_MAX, jump_at = INT64_MAX, second_at = INT64_MAX;

    if (sim_chance(300))
        jump_at = sim_now + sim_below(20 * S);
    if (world.two_engines)
        second_at = sim_now + sim_below(sim_chance(500) ? 200 * MS : 30 * S);
    start();
    for (;;) {
        int64_t next = least(least(next_start, server_next()), least(next_wake(), second_at));

        if (finished && !any(PROC_RUNS) && !any(PROC_STOPPED))
            break;
        if (finished && !any(PROC_RUNS))
            wake_stopped(true);
        if (!sim_turn(least(next, jump_at)))
            sim_fail("everybody waits for somebody else");
        server_tick();
        see_ends(&next_start);
        wake_stopped(false);
        if (jump_at <= sim_now) {
            int64_t by =
                (sim_chance(500) ? 1 : -1) * sim_below(sim_chance(500) ? 100 * S : 90000 * S);

            sim_wall_off += by;
            world.jumps++;
            sim_trace("the wall clock jumps by %lld s", (long long)(by / S));
            jump_at = sim_chance(500) ? sim_now + sim_below(60 * S) : INT64_MAX;
        }
        if (finished) {
            next_start = second_at = INT64_MAX;
            continue;
        }
        if (second_at <= sim_now) {
            second_at = INT64_MAX;
            start();
        }
        if (next_start <= sim_now) {
            next_start = INT64_MAX;
            if (!any(PROC_RUNS))
                start();
        }
        too_long();
    }
}

/* ---- the oracle --------------------------------------------------------------------------------
 */

struct archive {
    int *seen[FLOWS_MOST];
};

static wh_status archived(void *arg, const struct wh_refused *r)
{
    struct archive *a = arg;
    long long id = -1;

    if (!r->committed)
        return WH_OK;
    if (r->row) {
        const struct wh_node *n = wh_node_get(r->row, "id");
        const char *text = n ? wh_node_text(n, NULL) : NULL;

        id = text ? strtoll(text, NULL, 10) : -1;
    } else if (r->raw.n > 4) {
        char text[32] = "";

        memcpy(text, r->raw.p, r->raw.n < 31 ? r->raw.n : 31);
        id = strtoll(text + 4, NULL, 10);
    }
    if (id < 0 || id >= world.flow[r->flow].rows)
        sim_fail("the archive of table %d holds a row that is none of the source", r->flow);
    a->seen[r->flow][id]++;
    return WH_OK;
}

static void check_row(int f, int64_t id, int shown, int kept)
{
    static const char *const names[] = {"good", "bad", "raw", "filtered"};
    enum id_class is = id_class_of(f, id);
    bool dirty = is == ID_BAD || is == ID_RAW;
    int want = is == ID_GOOD;
    bool right = world.kind == KIND_LEAST ? (want ? shown >= 1 : shown == 0) : shown == want;

    if (!right)
        sim_fail("row %lld of table %d (%s) arrived %d times", (long long)id, f, names[is], shown);
    if (kept != dirty)
        sim_fail("row %lld of table %d (%s) is archived %d times", (long long)id, f, names[is],
                 kept);
}

static void check_rows(struct wh_state *state, const char *run)
{
    struct archive a;
    struct wh_error err = {0};
    int64_t missing = 0;

    for (int f = 0; f < world.n_flows; f++)
        a.seen[f] = calloc((size_t)world.flow[f].rows + 1, sizeof(int));
    must(wh_refused_each(state, run, NULL, archived, &a, &missing, &err), &err, "archive");
    if (missing)
        sim_fail("%lld dirty rows are counted and not archived", (long long)missing);
    for (int f = 0; f < world.n_flows; f++)
        for (int64_t id = 0; id < world.flow[f].rows; id++)
            check_row(f, id, server_visible(f)[id], a.seen[f][id]);
}

static void check_counts(struct wh_state *state, const struct wh_run_record *r, struct wh_arena *a)
{
    struct wh_flow_record *v = NULL;
    struct wh_error err = {0};
    size_t n = 0;

    must(wh_state_flows(state, r->run, a, &v, &n, &err), &err, "flows");
    if (n != (size_t)world.n_flows)
        sim_fail("the state has %zu tables", n);
    for (size_t i = 0; i < n; i++) {
        struct wh_unit_sums s = {0};
        int64_t rows = world.flow[i].rows + skipped_of((int)i);

        must(wh_state_unit_sums(state, r->run, (int)i, &s, &err), &err, "sums");
        if (v[i].state != WH_FLOW_FINISHED || s.drawn || s.leased || s.failed)
            sim_fail("table %zu is %s with %lld units open", i, wh_flow_state_name(v[i].state),
                     (long long)(s.drawn + s.leased + s.failed));
        if (s.rows_read != rows || s.rows_skipped != skipped_of((int)i))
            sim_fail("table %zu: %lld of %lld rows read, %lld skipped", i, (long long)s.rows_read,
                     (long long)rows, (long long)s.rows_skipped);
        if (s.rows_read != s.rows_written + s.rows_dirty + s.rows_filtered + s.rows_skipped)
            sim_fail("table %zu: the units do not add up", i);
    }
}

static void check_world(void)
{
    struct wh_arena *a = wh_arena_new(16 << 20);
    const char *unfinished = NULL, *done = NULL;
    struct wh_target_record *held = NULL;
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error err = {0};
    size_t n = 0;

    must(wh_state_open(world.state, 10000, &state, &err), &err, "state");
    must(wh_state_run_find(state, "sim", a, &unfinished, &done, &err), &err, "find");
    if (unfinished || !done)
        sim_fail("the state does not know that the run is finished");
    must(wh_state_run_get(state, done, a, &r, &err), &err, "get");
    if (r.state != WH_RUN_CLOSED || r.exit_code != 0)
        sim_fail("the run is %s with exit %d in the state", wh_run_state_name(r.state),
                 r.exit_code);
    must(wh_state_targets(state, a, &held, &n, &err), &err, "targets");
    if (n || world.mutant == MUTANT_KEEPS_TARGET)
        sim_fail("%zu targets are still held", n);
    if (*server_leftovers())
        sim_fail("%s", server_leftovers());
    check_counts(state, &r, a);
    check_rows(state, r.run);
    if (source_early())
        sim_fail("the source was told of %lld rows before they were safe",
                 (long long)source_early());
    wh_state_close(state);
}

/* ---- the seed ----------------------------------------------------------------------------------
 */

static void make_table(struct flow_def *f)
{
    f->rows = sim_chance(30) ? 0 : sim_chance(100) ? 1 + sim_below(4) : 1 + sim_below(240);
    f->batch = 1 + sim_below(sim_chance(500) ? 8 : 64);
    f->splits = 1 + (int)sim_below(sim_chance(300) ? 1 : 9);
    f->chained = sim_chance(250);
    f->shift = f->chained ? sim_below(4) : 0;
    if (sim_chance(350))
        f->bad_every = 2 + sim_below(100);
    if (sim_chance(200))
        f->raw_every = 2 + sim_below(60);
    if (sim_chance(150) && (world.kind == KIND_UNITS || world.kind == KIND_PARTS))
        f->dup_every = 2 + sim_below(20);
    if (sim_chance(200))
        f->skip_every = 1 + sim_below(3);
}

static void make_world(uint64_t seed, enum mutant mutant)
{
    static const enum wh_grain grains[] = {WH_GRAIN_BATCH, WH_GRAIN_BATCH, WH_GRAIN_ROW,
                                           WH_GRAIN_ATTEMPT};

    world.seed = seed;
    world.mutant = mutant;
    world.kind = (enum kind)sim_below(KIND_COUNT);
    world.grain = grains[sim_below(4)];
    world.n_flows = 1 + (int)sim_below(sim_chance(600) ? 1 : FLOWS_MOST);
    world.lanes = 1 + (int)sim_below(4);
    world.cuts = sim_chance(600);
    world.named = sim_chance(500);
    world.late = sim_chance(400);
    world.seal_refuses = sim_chance(150) && world.kind != KIND_LEAST;
    world.snapshots = sim_chance(400);
    world.physical = world.snapshots && sim_chance(500);
    world.two_engines = sim_chance(200);
    world.unit_bytes = sim_chance(500) ? 100 + sim_below(3000) : 0;
    world.faults = sim_chance(150) ? 0 : 1 + (int)sim_below(18);
    world.fault_rate = 2 + (int)sim_below(sim_chance(400) ? 200 : 40);
    world.slow_rate = sim_chance(500) ? 0 : (int)sim_below(15);
    world.hang_rate = sim_chance(300) ? 200 : 0;
    for (int i = 0; i < world.n_flows; i++)
        make_table(&world.flow[i]);
    hopeless_limit = sim_chance(100);
    world.dirty_limit = sim_below(3);
}

void world_run(uint64_t seed, enum mutant mutant)
{
    sim_seed(seed);
    make_world(seed, mutant);
    setenv("WH_TEST_PACK_BYTES", sim_chance(600) ? "1" : "900", 1);
    sim_trace("seed %llu: kind %d grain %d tables %d lanes %d faults %d", (unsigned long long)seed,
              world.kind, world.grain, world.n_flows, world.lanes, world.faults);
    source_init();
    server_init();
    live();
    check_world();
}
