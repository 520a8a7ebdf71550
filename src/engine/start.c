/* SPDX-License-Identifier: Apache-2.0 */
/* New, resumed, refused, or done before: the rules of INTERFACE 5 about runs and their identity. */
#include "engine/start.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/errors.h"
#include "core/log.h"
#include "engine/ends.h"
#include "engine/own.h"
#include "engine/rebuild.h"
#include "engine/start_internal.h"
#include "state/state.h"

int wh_exit_code(const struct wh_error *e)
{
    const struct wh_error_page *page = e->code[0] ? wh_error_page(e->code) : NULL;
    switch (e->status) {
    case WH_OK:
        return 0;
    case WH_E_USAGE:
    case WH_E_UNSUPPORTED:
        return 2;
    case WH_E_AUTH:
        return 9;
    case WH_FENCED:
        return 10;
    default:
        return page ? page->exit_code : e->retriable ? 5 : 1;
    }
}

/* ---- identity ---- */

int wh_start_identity(const struct wh_job *job, const char *run_id, const char *ends, char out[80])
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (run_id) {
        snprintf(out, 80, "id:%016" PRIx64, wh_hash64(run_id, strlen(run_id), 0));
        return WH_OK;
    }
    /* `copy` has no name to go by: its arguments, and where they lead, are what it is. */
    char shape[33];
    wh_u128_hex(job->shape, shape);
    WH_TRY(wh_buf_printf(&b, "%s\n%s\n%s\n", job->is_copy ? "copy" : job->name,
                         job->scheduled ? job->scheduled : "", job->is_copy ? shape : ""));
    if (job->is_copy && ends)
        WH_TRY(wh_buf_adds(&b, ends));
    if (job->select) /* a part of the job is never taken for the whole */
        WH_TRY(wh_buf_printf(&b, "select %s\n", job->select));
    for (size_t i = 0; i < job->params.n; i++)
        WH_TRY(wh_buf_printf(&b, "%s=%s\n", job->params.v[i].key, job->params.v[i].value));
    struct wh_u128 h = wh_hash128(b.p, b.n, 1);
    wh_u128_hex(h, out);
    return WH_OK;
}

/* ---- what the state keeps, as the planner wants it ---- */

struct kept {
    struct wh_arena *arena;
    struct wh_run_record run;
    struct wh_frozen frozen;
};

static void kept_done(struct kept *k)
{
    wh_arena_free(k->arena);
}

static int keep_flows(struct wh_state *state, struct kept *k, struct wh_error *reterr)
{
    struct wh_flow_record *flows;
    size_t n;
    WH_TRY(wh_state_flows(state, k->run.run, k->arena, &flows, &n, reterr));
    struct wh_frozen_flow *v = wh_arena_alloc(k->arena, (n + 1) * sizeof(*v));
    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for %zu kept flows", n);
    for (size_t i = 0; i < n; i++) {
        v[i] = (struct wh_frozen_flow){.generation = flows[i].generation,
                                       .stream = flows[i].stream,
                                       .table = flows[i].table,
                                       .source_schema = flows[i].source_schema,
                                       .accept_schema = flows[i].accept_schema,
                                       .bounds = flows[i].bounds,
                                       .memo = flows[i].memo};
        if (flows[i].fingerprint && !wh_u128_parse(flows[i].fingerprint, &v[i].fingerprint))
            return wh_fail(reterr, WH_E_STATE, "E7003", "fingerprint of flow %zu is damaged", i);
    }
    k->frozen.flows = v;
    k->frozen.n_flows = n;
    return WH_OK;
}

static int keep_snapshots(struct wh_state *state, struct kept *k, struct wh_error *reterr)
{
    struct wh_snapshot_record *r;
    size_t n, most = 0;
    WH_TRY(wh_state_snapshots(state, k->run.run, k->arena, &r, &n, reterr));
    for (size_t i = 0; i < n; i++)
        if ((size_t)r[i].endpoint + 1 > most)
            most = (size_t)r[i].endpoint + 1;
    struct wh_snapshot *v = wh_arena_alloc(k->arena, (most + 1) * sizeof(*v));
    int *instants = wh_arena_alloc(k->arena, (most + 1) * sizeof(*instants));
    if (!v || !instants)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for %zu kept snapshots", n);
    for (size_t i = 0; i < n; i++) {
        struct wh_snapshot *s = &v[r[i].endpoint];
        s->kind = (enum wh_snapshot_kind)r[i].kind;
        s->token = r[i].token;
        s->unchanged_provable = r[i].unchanged_provable;
        instants[r[i].endpoint] = r[i].instants;
        snprintf(s->what, sizeof(s->what), "%s", r[i].what ? r[i].what : "");
    }
    k->frozen.snapshots = v;
    k->frozen.instants = instants;
    k->frozen.n_snapshots = most;
    return WH_OK;
}

/* run NULL: k->run is filled already. */
static int keep(struct wh_state *state, const char *run, struct kept *k, struct wh_error *reterr)
{
    k->arena = wh_arena_new(256 << 20);
    if (!k->arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a kept run");
    WH_TRY(wh_state_run_get(state, run, k->arena, &k->run, reterr));
    k->frozen.run = k->run.run;
    k->frozen.epoch = k->run.epoch;
    /* Killed before the claim was recorded: perhaps not all flows are, and nothing moved. The
     * plan is made anew for the same run, which records all flows again. */
    if (k->run.state == WH_RUN_PLANNED)
        return WH_OK;
    WH_TRY(keep_flows(state, k, reterr));
    return keep_snapshots(state, k, reterr);
}

/* ---- executing ---- */

/* What is thrown away and does not come from the source again needs --yes; once, when the run
 * begins. */
static int consent(const struct wh_plan *plan, struct wh_error *reterr)
{
    for (size_t i = 0; i < plan->n_flows; i++) {
        const struct wh_flow *f = plan->flows[i];

        if (f->refused || !f->tgt.loses[0])
            continue;
        int st = wh_fail(reterr, WH_E_USAGE, "E1012",
                         "the table that is there is dropped to be made anew; with it go %s",
                         f->tgt.loses);
        wh_error_where(reterr, "%s", f->table);
        wh_error_hint(reterr, "--yes if that is meant; without --create recreate the table stays");
        return st;
    }
    return WH_OK;
}

static int execute(struct wh_job *job, struct wh_services *services, struct wh_state *state,
                   const struct wh_start *start, const struct wh_frozen *frozen,
                   const char *identity, const char *ends, struct wh_outcome *ret,
                   struct wh_error *reterr)
{
    struct wh_plan *plan = NULL;
    struct wh_run_result result = {0};
    struct wh_run_start how = {.fresh = start->fresh,
                               .again = start->again,
                               .yes = start->yes,
                               .resume = frozen != NULL,
                               .planned = start->plan != NULL,
                               .epoch = frozen ? &frozen->epoch : NULL,
                               .identity = identity,
                               .ends = ends,
                               .rows_staying = ret->rows_staying};
    int64_t quiet = job->run.timeouts.no_progress;
    services->quiet_ms = quiet < INT64_C(1000000000) ? quiet : 0;
    int st = wh_plan_make(job, services, frozen, &plan, reterr);
    if (start->plan && !frozen)
        st = wh_start_as_planned(start->plan, plan, st, reterr);
    if (st == WH_OK) {
        snprintf(ret->run, sizeof(ret->run), "%s", plan->run);
        struct wh_event e = {.type = WH_EV_PLAN, .run = plan->run, .job = job->name, .plan = plan};
        if (start->listener)
            start->listener->event(start->listener->self, &e);
        if (!frozen && !start->yes)
            st = consent(plan, reterr);
        if (st == WH_OK)
            st = wh_run_execute(plan, services, state, &how, start->listener, &result, reterr);
        services->quiet_ms = 0;
        ret->exit_code = result.exit_code;
        if (st != WH_OK && ret->exit_code == 0)
            ret->exit_code = wh_exit_code(reterr);
        /* The listener has told people everything; the caller only needs the code. */
        if (result.run)
            st = WH_OK;
    } else {
        ret->exit_code = wh_exit_code(reterr);
        if (ret->exit_code == 1 && !frozen) /* a new run that touched nothing was refused */
            ret->exit_code = wh_error_exit(reterr->code, false);
    }
    wh_plan_free(plan);
    return st;
}

static int stored_job(const struct wh_run_record *r, const struct wh_start *start,
                      struct wh_job **ret, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_problems p = {.arena = a};
    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a stored job");
    int st = wh_job_read(r->run, r->job_json, strlen(r->job_json), NULL, r->scheduled, ret, &p);
    if (st == WH_OK && start->override)
        st = wh_job_override(*ret, start->override, true, &p);
    if (st != WH_OK && p.n) {
        if (st == WH_E_NOMEM || strcmp(p.v[0].code, "E8002") == 0)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the job of run %s", r->run);
        st = wh_fail(reterr, WH_E_USAGE, p.v[0].code, "%s", p.v[0].message);
        wh_error_where(reterr, "%s", p.v[0].where ? p.v[0].where : r->run);
        if (p.v[0].hint)
            wh_error_hint(reterr, "%s", p.v[0].hint);
    }
    return st;
}

/* Relative paths of a run's job mean what they meant where it was begun, so it goes on there.
 * *ret_back: for `leave`. */
static int enter(const struct wh_run_record *r, const struct wh_start *start, int *ret_back,
                 struct wh_error *reterr)
{
    char now[PATH_MAX];

    *ret_back = -1;
    if (!r->folder || start->here || (getcwd(now, sizeof(now)) && strcmp(now, r->folder) == 0))
        return WH_OK;
    int back = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (chdir(r->folder) == 0) {
        wh_log(WH_LOG_INFO, "engine", "run %s goes on where it was begun, in %s", r->run,
               r->folder);
        *ret_back = back;
        return WH_OK;
    }
    int e = errno;
    if (back >= 0)
        close(back);
    if (e == ENOENT && r->ends && !strstr(r->ends, r->folder)) {
        wh_log(WH_LOG_INFO, "engine",
               "run %s was begun in %s, which is gone; no path of it means "
               "that folder, so it goes on here",
               r->run, r->folder);
        return WH_OK;
    }
    return wh_start_folder_gone(r, e, reterr);
}

static void leave(int back)
{
    if (back < 0)
        return;
    if (fchdir(back) != 0)
        wh_log(WH_LOG_WARN, "engine", "cannot go back into the folder of before");
    close(back);
}

/* given: the same job, read again; NULL where there is none. */
static int resume_kept(struct kept *k, struct wh_services *services, struct wh_state *state,
                       const struct wh_start *start, const struct wh_job *given,
                       struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_job *job = NULL;
    int back;
    ret->how = WH_STARTED_RESUMED;
    snprintf(ret->run, sizeof(ret->run), "%s", k->run.run);
    if (start->here && wh_start_folder_lost(&k->run))
        return wh_start_folder_gone(&k->run, ENOENT, reterr);
    WH_TRY(enter(&k->run, start, &back, reterr));
    int st = stored_job(&k->run, start, &job, reterr);
    if (st == WH_OK) {
        wh_start_lend_secrets(job, given);
        st = execute(job, services, state, start, &k->frozen, k->run.identity, k->run.ends, ret,
                     reterr);
    }
    wh_job_free(job);
    leave(back);
    return st;
}

/* Ends the record of a run that left nothing anywhere. A living owner keeps it. */
int wh_start_write_off(struct wh_state *state, const char *run, struct wh_error *reterr)
{
    struct wh_run_record end = {
        .run = run, .exit_code = 1, .finished = true, .ended_us = wh_wall_us()};
    uint32_t epoch = 0;

    WH_TRY(wh_state_run_claim(state, run, 30000, &epoch, reterr));
    int st = wh_state_run_set(state, run, epoch, WH_RUN_DISCARDED, reterr);
    if (st == WH_OK)
        st = wh_state_run_end(state, &end, epoch, reterr);
    if (st == WH_OK)
        st = wh_state_targets_release(state, run, reterr);
    wh_state_run_unclaim(state, run, epoch);
    return st;
}

/* What a run left cannot be taken back where its destination is gone, or is another one. */
static void gone_for_good(const char *run, struct wh_error *err)
{
    char hint[sizeof err->hint];

    snprintf(hint, sizeof hint, "%s", err->hint);
    wh_error_hint(err, "%.240s%sif that is gone for good: wherry unlock %s --yes forgets the run",
                  hint, hint[0] ? "; " : "", run);
}

static int discard_kept(struct kept *k, struct wh_services *services, struct wh_state *state,
                        const struct wh_start *start, const struct wh_job *given,
                        int64_t *ret_staying, struct wh_error *reterr)
{
    struct wh_job *job = NULL;
    struct wh_plan *plan = NULL;
    const struct wh_start plain = {.yes = start->yes};
    /* Nothing is claimed before all tables are recorded: without records nothing was touched. */
    if (k->run.state == WH_RUN_PLANNED)
        WH_TRY(keep_flows(state, k, reterr));
    if (k->frozen.n_flows == 0)
        return wh_start_write_off(state, k->run.run, reterr);
    k->frozen.no_source = true;
    int back;
    WH_TRY(enter(&k->run, start, &back, reterr));
    int st = stored_job(&k->run, &plain, &job, reterr);
    if (st == WH_OK)
        wh_start_lend_secrets(job, given);
    if (st == WH_OK)
        st = wh_plan_make(job, services, &k->frozen, &plan, reterr);
    if (st == WH_OK)
        st = wh_run_discard(plan, services, state, start->yes, ret_staying, reterr);
    if (st < 0 && strcmp(reterr->code, "E1012") != 0)
        gone_for_good(k->run.run, reterr);
    wh_plan_free(plan);
    wh_job_free(job);
    leave(back);
    return st;
}

/* ---- finding ---- */

struct found {
    char unfinished[64];
    char list[512];
    int n;
};

static wh_status list_unfinished(void *arg, const struct wh_run_record *r)
{
    struct found *f = arg;
    size_t n = strlen(f->list);
    if (f->n++ == 0)
        snprintf(f->unfinished, sizeof(f->unfinished), "%s", r->run);
    snprintf(f->list + n, sizeof(f->list) - n, "%s%s (%s)", n ? ", " : "", r->run, r->job);
    return f->n < 8 ? WH_OK : WH_END;
}

static bool into_stdout(const struct wh_job *job)
{
    for (size_t i = 0; i < job->n_streams; i++) {
        const struct wh_name *n = &job->streams[i].to.name;

        if (n->n != 1 || !wh_str_eqs(n->part[0], "-"))
            return false;
    }
    return job->n_streams > 0;
}

/* What `limit` said before gives way to what is said now. */
static int newer_limits(struct wh_state *state, const struct wh_run_record *r,
                        const struct wh_node *override, struct wh_error *reterr)
{
    const struct wh_node *run = override ? wh_node_get(override, "run") : NULL;
    if (!r->limits || !run || (!wh_node_get(run, "limits") && !wh_node_get(run, "parallel")) ||
        wh_state_run_alive(state, r, 30000) != 0)
        return WH_OK;
    return wh_state_run_limit(state, r->run, NULL, reterr);
}

/* The run goes on with what may be changed under way. */
static int resume_given(struct kept *k, struct wh_job *job, struct wh_services *services,
                        struct wh_state *state, const struct wh_start *start,
                        struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_node *may, *others;
    struct wh_start given = *start;

    if (wh_job_resumable(k->arena, start->override, &may, &others) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to resume");
    WH_TRY(wh_start_same_settings(job, &k->run, others, reterr));
    WH_TRY(wh_start_take_edits(job, &k->run, k->arena, may, reterr));
    given.override = may->n ? may : NULL;
    WH_TRY(newer_limits(state, &k->run, given.override, reterr));
    return resume_kept(k, services, state, &given, job, ret, reterr);
}

/* An identical copy is being carried out: it is waited for as long as --lock-wait says. */
static int copy_under_way(const struct wh_job *job, const struct wh_run_record *r,
                          struct wh_state *state, struct wh_error *reterr)
{
    int64_t deadline = wh_now_ns() + job->run.lock_wait_ms * 1000000;

    while (wh_now_ns() < deadline) {
        struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
        struct wh_run_record now = {0};

        wh_sleep_ms(job->run.lock_wait_ms < 500 ? job->run.lock_wait_ms : 500);
        if (!a)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to wait for a copy");
        WH_TRY(wh_state_run_get(state, r->run, a, &now, reterr));
        if (wh_state_run_alive(state, &now, 30000) == 0)
            return wh_fail(reterr, WH_HELD_BY, "E7019", "an identical copy, %s, was under way",
                           r->run);
    }
    int st = wh_fail(reterr, WH_HELD_BY, "E7006",
                     "an identical copy, %s, is being carried out by process %lld on %s", r->run,
                     (long long)r->pid, r->host ? r->host : "?");
    wh_error_hint(reterr,
                  "wherry watch %s follows it; --lock-wait 10m waits for its end, then copies "
                  "again",
                  r->run);
    return st;
}

/* Same identity and unfinished: run resumes it, copy stops, --fresh gives it up. OK = go on anew,
 * END = *ret is the outcome. */
static int unfinished_before(struct wh_job *job, const char *run, const char *ends,
                             struct wh_services *services, struct wh_state *state,
                             const struct wh_start *start, struct wh_outcome *ret,
                             struct wh_error *reterr)
{
    struct kept k WH_CLEANUP(kept_done) = {0};
    char shape[33];
    WH_TRY(keep(state, run, &k, reterr));
    WH_TRY(wh_start_same_ends(&k.run, ends, reterr));
    if (start->fresh) {
        /* Nothing is given up for a run that would be refused. */
        struct wh_plan *plan = NULL;
        int st = wh_plan_make(job, services, NULL, &plan, reterr);
        if (start->plan)
            st = wh_start_as_planned(start->plan, plan, st, reterr);
        wh_plan_free(plan);
        WH_TRY(st);
        return discard_kept(&k, services, state, start, job, &ret->rows_staying, reterr);
    }
    if (into_stdout(job)) { /* nothing of it can be gone on with; a living one is another's */
        struct wh_error ignored = {0};

        wh_ignore(wh_start_write_off(state, run, &ignored));
        return WH_OK;
    }
    if (job->is_copy && wh_state_run_alive(state, &k.run, 30000) != 0)
        return copy_under_way(job, &k.run, state, reterr);
    if (job->is_copy) {
        int st = wh_fail(reterr, WH_E_USAGE, "E7012", "an identical copy, %s, is unfinished", run);
        wh_error_hint(reterr, "wherry resume %s goes on with it; --fresh gives it up", run);
        return st;
    }
    wh_u128_hex(job->shape, shape);
    if (k.run.shape && strcmp(k.run.shape, shape) != 0)
        return wh_start_job_changed(job, &k.run, reterr);
    int st = resume_given(&k, job, services, state, start, ret, reterr);
    return st == WH_OK ? WH_END : st;
}

static int start_job(struct wh_job *job, struct wh_services *services, struct wh_state *state,
                     const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    const char *unfinished = NULL, *finished = NULL;
    WH_CLEANUP(wh_buf_free) struct wh_buf ends = WH_BUF(32 << 20);
    char identity[80];
    WH_TRY(wh_ends_of(job, &ends, reterr));
    if (!a || wh_start_identity(job, start->run_id, ends.p, identity) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the identity of a run");
    WH_TRY(wh_state_run_find(state, identity, a, &unfinished, &finished, reterr));
    if (start->plan)
        WH_TRY(wh_start_planned_before(unfinished, ends.p, a, state, start, ret, reterr));
    if (unfinished)
        WH_TRY(unfinished_before(job, unfinished, ends.p, services, state, start, ret, reterr));
    else if (finished && (job->scheduled || start->run_id) && !start->again && !job->is_copy)
        WH_TRY(wh_start_done_before(job, identity, ends.p, state, ret, reterr));
    ret->how = WH_STARTED_NEW;
    int st = execute(job, services, state, start, NULL, identity, ends.p, ret, reterr);

    return wh_start_begun_beside(st, a, state, start, ret, reterr);
}

/* What was read of the run is out of date: it is read again, and planned again, a few times. */
static bool read_again(int st, const struct wh_error *err, int *tries)
{
    return st == WH_HELD_BY && strcmp(err->code, "E7018") == 0 && ++*tries < 3;
}

/* A run that was closed at a destination does not begin there again; the job gets another, unless
 * its texts have this one's name in them (${run.id}). */
static bool rename_run(struct wh_job *job)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    int n = 0;

    if (!job->run_id)
        return true;
    if (wh_job_to_json(job, &text) != WH_OK)
        return false;
    for (const char *p = text.p; (p = strstr(p, job->run_id)) != NULL; p++)
        n++;
    if (n <= 1) /* where the job keeps it */
        job->run_id = NULL;
    return n <= 1;
}

/* It waited for its target: what was planned before is planned anew, and waits no longer in all
 * than was said. */
static bool plan_again(int st, const struct wh_error *err, struct wh_job *job, int64_t deadline)
{
    int64_t left = (deadline - wh_now_ns()) / 1000000;

    if (st != WH_HELD_BY || strcmp(err->code, "E7019") != 0 || (err->native && !rename_run(job)))
        return false;
    job->run.lock_wait_ms = left > 0 ? left : 0;
    wh_log(WH_LOG_WARN, "engine", "another run had the target until now: planned anew");
    return true;
}

int wh_start_job(struct wh_job *job, struct wh_services *services, struct wh_state *state,
                 const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    int64_t staying = 0, deadline = wh_now_ns() + job->run.lock_wait_ms * 1000000;
    int st, tries = 0;
    do {
        *ret = (struct wh_outcome){.rows_staying = staying};
        st = start_job(job, services, state, start, ret, reterr);
        staying = ret->rows_staying; /* what --fresh gave up before */
    } while (read_again(st, reterr, &tries) || (plan_again(st, reterr, job, deadline) && ++tries));
    wh_job_free(job);
    if (st == WH_END)
        return WH_OK;
    if (st != WH_OK && ret->exit_code == 0)
        ret->exit_code = wh_exit_code(reterr);
    return st;
}

/* ---- resume and discard ---- */

static int which(const char *run, struct wh_state *state, struct wh_arena *a, const char **ret,
                 struct wh_error *reterr)
{
    struct found f = {{0}};
    if (run) {
        *ret = run;
        return WH_OK;
    }
    WH_TRY(wh_state_runs(state, NULL, NULL, true, list_unfinished, &f, reterr));
    if (f.n == 0)
        return wh_fail(reterr, WH_E_USAGE, "E7007", "no run is unfinished");
    if (f.n > 1) {
        int st =
            wh_fail(reterr, WH_E_USAGE, "E7007", "more than one run is unfinished: %s", f.list);
        wh_error_hint(reterr, "name one: wherry resume %s", f.unfinished);
        return st;
    }
    *ret = wh_arena_strdup(a, f.unfinished);
    return *ret ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a name");
}

static int over_already(const struct wh_run_record *r, struct wh_error *reterr)
{
    /* Closed, but killed before its end was recorded: that record is still to be made. */
    if (r->state < WH_RUN_CLOSED || (r->state == WH_RUN_CLOSED && !r->finished))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_USAGE, "E7013", "run %s is %s: nothing is left to do", r->run,
                     wh_run_state_name(r->state));
    wh_error_hint(reterr, "wherry history lists what is unfinished");
    return st;
}

static int resume_once(const char *run, struct wh_services *services, struct wh_state *state,
                       const struct wh_start *start, struct wh_outcome *ret,
                       struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    struct kept k WH_CLEANUP(kept_done) = {0};
    *ret = (struct wh_outcome){0};
    int st = a ? which(run, state, a, &run, reterr)
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to resume");
    if (st == WH_OK)
        st = keep(state, run, &k, reterr);
    if (st == WH_OK)
        st = over_already(&k.run, reterr);
    if (st == WH_OK)
        st = newer_limits(state, &k.run, start->override, reterr);
    if (st == WH_OK)
        st = resume_kept(&k, services, state, start, start->given, ret, reterr);
    if (st != WH_OK && ret->exit_code == 0)
        ret->exit_code = wh_exit_code(reterr);
    return st;
}

int wh_start_resume(const char *run, struct wh_services *services, struct wh_state *state,
                    const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    int st, tries = 0;
    do
        st = resume_once(run, services, state, start, ret, reterr);
    while (read_again(st, reterr, &tries) ||
           (st == WH_HELD_BY && strcmp(reterr->code, "E7019") == 0 && ++tries < 3));
    return st;
}

int wh_start_discard(const char *run, struct wh_services *services, struct wh_state *state,
                     const struct wh_start *start, int64_t *ret_rows_staying,
                     struct wh_error *reterr)
{
    struct kept k WH_CLEANUP(kept_done) = {0};
    WH_TRY(keep(state, run, &k, reterr));
    WH_TRY(over_already(&k.run, reterr));
    return discard_kept(&k, services, state, start, NULL, ret_rows_staying, reterr);
}

/* ---- a lost state ---- */

/* With its records in the state again: the plan they mean, and from it the units. */
static int rebuild_units(const char *run, uint32_t epoch, struct wh_services *services,
                         struct wh_state *state, const struct wh_start *start,
                         struct wh_error *reterr)
{
    struct kept k WH_CLEANUP(kept_done) = {0};
    const struct wh_start plain = {.override = start->override};
    struct wh_job *job = NULL;
    struct wh_plan *plan = NULL;
    int st = keep(state, run, &k, reterr);
    if (st == WH_OK)
        st = stored_job(&k.run, &plain, &job, reterr);
    if (st == WH_OK)
        st = wh_plan_make(job, services, &k.frozen, &plan, reterr);
    if (st == WH_OK)
        st = wh_rebuild_units(plan, state, epoch, reterr);
    wh_plan_free(plan);
    wh_job_free(job);
    return st;
}

/* Named connections of the user are known here as well; `arena` lives as long as the look. */
static int look_outside(const char *where, struct wh_services *services, struct wh_arena *arena,
                        struct wh_look **ret, struct wh_error *reterr)
{
    struct wh_problems problems = {.arena = arena};
    struct wh_node *connections = NULL;
    if (!arena || wh_connections_load(arena, &connections, &problems) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for named connections");
    return wh_look_open(where, connections, NULL, services, ret, reterr);
}

static int rebuild(const char *where, const struct wh_job *job, const char *wanted,
                   struct wh_services *services, struct wh_state *state,
                   const struct wh_start *start, char run[64], struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(16 << 20);
    struct wh_look *look = NULL;
    struct wh_error ignored;
    uint32_t epoch = 0;
    int st = WH_OK;
    run[0] = '\0';
    if (!job)
        st = look_outside(where, services, arena, &look, reterr);
    if (st == WH_OK)
        st = wh_rebuild_records(look, job, wanted, services, state, run, &epoch, reterr);
    wh_look_close(look);
    if (st == WH_OK)
        st = rebuild_units(run, epoch, services, state, start, reterr);
    if (epoch)
        wh_state_run_unclaim(state, run, epoch);
    if (st != WH_OK && run[0])
        wh_ignore(wh_state_run_forget(state, run, &ignored));
    return st;
}

int wh_start_rebuild(const char *where, struct wh_job *take, const char *run,
                     struct wh_services *services, struct wh_state *state,
                     const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    char found[64];
    *ret = (struct wh_outcome){0};
    int st = rebuild(where, take, run, services, state, start, found, reterr);
    wh_job_free(take);
    if (st == WH_OK)
        return wh_start_resume(found, services, state, start, ret, reterr);
    ret->exit_code = wh_exit_code(reterr);
    return st;
}
