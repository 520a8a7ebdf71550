/* SPDX-License-Identifier: Apache-2.0 */
/* New, resumed, refused, or done before: the rules of INTERFACE 5 about runs and their identity. */
#include "engine/start.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "core/clock.h"
#include "core/errors.h"
#include "engine/own.h"
#include "engine/rebuild.h"
#include "engine/validate.h"
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

static int identity_of(const struct wh_job *job, const struct wh_start *start, char out[80])
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (start->run_id) {
        snprintf(out, 80, "id:%016" PRIx64, wh_hash64(start->run_id, strlen(start->run_id), 0));
        return WH_OK;
    }
    /* `copy` has no name to go by: its arguments are what it is. */
    char shape[33];
    wh_u128_hex(job->shape, shape);
    WH_TRY(wh_buf_printf(&b, "%s\n%s\n%s\n", job->is_copy ? "copy" : job->name,
                         job->scheduled ? job->scheduled : "", job->is_copy ? shape : ""));
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
    /* Killed before the claim was recorded: perhaps not all flows are, and nothing moved. The
     * plan is made anew for the same run, which records all flows again. */
    if (k->run.state == WH_RUN_PLANNED)
        return WH_OK;
    /* Killed before it was claimed anywhere: perhaps not all of its tables are recorded, and none
     * was touched, so they are planned anew. */
    if (k->run.state == WH_RUN_PLANNED)
        return WH_OK;
    WH_TRY(keep_flows(state, k, reterr));
    return keep_snapshots(state, k, reterr);
}

/* ---- comparing jobs ---- */

static bool differs(const struct wh_node *a, const struct wh_node *b, struct wh_buf *path);

static bool differs_in(const struct wh_node *a, const struct wh_node *b, const char *key,
                       struct wh_buf *path)
{
    size_t was = path->n;
    wh_ignore(wh_buf_printf(path, "%s%s", was ? "." : "", key));
    if (differs(a, b, path))
        return true;
    path->n = was;
    if (path->p)
        path->p[was] = 0;
    return false;
}

static bool maps_differ(const struct wh_node *a, const struct wh_node *b, struct wh_buf *path)
{
    for (size_t i = 0; i < a->n; i++)
        if (differs_in(a->items[i], wh_node_get(b, a->keys[i]->text), a->keys[i]->text, path))
            return true;
    for (size_t i = 0; i < b->n; i++)
        if (!wh_node_get(a, b->keys[i]->text) &&
            differs_in(NULL, b->items[i], b->keys[i]->text, path))
            return true;
    return false;
}

/* The first place where two documents differ; the path ends in " (was X, is Y)". */
static bool differs(const struct wh_node *a, const struct wh_node *b, struct wh_buf *path)
{
    const char *was = a ? a->kind == WH_NODE_SCALAR ? a->text : "something else" : "not there";
    const char *is = b ? b->kind == WH_NODE_SCALAR ? b->text : "something else" : "not there";
    if (a && b && a->kind == b->kind) {
        if (a->kind == WH_NODE_MAP)
            return maps_differ(a, b, path);
        if (a->kind == WH_NODE_LIST && a->n == b->n) {
            for (size_t i = 0; i < a->n; i++) {
                char key[24];
                snprintf(key, sizeof(key), "%zu", i + 1);
                if (differs_in(a->items[i], b->items[i], key, path))
                    return true;
            }
            return false;
        }
        if (a->kind == WH_NODE_NULL || (a->kind == WH_NODE_SCALAR && strcmp(was, is) == 0))
            return false;
    }
    wh_ignore(wh_buf_printf(path, " (was %.60s, is %.60s)", was, is));
    return true;
}

static int job_changed(const struct wh_job *job, const struct wh_run_record *old,
                       struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_buf path WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    struct wh_buf now WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_problems p = {.arena = a};
    struct wh_node *x, *y;
    if (!a || wh_job_to_json(job, &now) != WH_OK ||
        wh_json_parse(a, "stored job", old->job_json, strlen(old->job_json), &x, &p) != WH_OK ||
        wh_json_parse(a, "job", now.p, now.n, &y, &p) != WH_OK || !differs(x, y, &path))
        wh_ignore(wh_buf_adds(&path, "its settings"));
    int st = wh_fail(reterr, WH_E_USAGE, "E7008",
                     "run %s of this job is unfinished, and the job has changed since: %s",
                     old->run, path.p ? path.p : "?");
    wh_error_hint(reterr, "wherry resume %s goes on with the old job; --fresh gives it up",
                  old->run);
    return st;
}

/* The first place in the trees of both jobs where a setting that was given beside them differs. */
static bool settings_differ(const struct wh_node *settings, const struct wh_node *was,
                            const struct wh_node *is, struct wh_buf *path)
{
    const struct wh_node *a = wh_node_get(was, "streams"), *b = wh_node_get(is, "streams");

    for (size_t i = 0; i < settings->n; i++) {
        const char *key = settings->keys[i]->text;
        bool run = strcmp(key, "run") == 0;

        for (size_t k = 0; run && k < settings->items[i]->n; k++) {
            const char *one = settings->items[i]->keys[k]->text;

            wh_buf_clear(path);
            wh_ignore(wh_buf_adds(path, "run"));
            if (differs_in(wh_node_get(wh_node_get(was, key), one),
                           wh_node_get(wh_node_get(is, key), one), one, path))
                return true;
        }
        for (size_t k = 0; !run && a && b && k < a->n && k < b->n; k++) {
            wh_buf_clear(path);
            wh_ignore(wh_buf_printf(path, "streams.%zu", k + 1));
            if (differs_in(wh_node_get(a->items[k], key), wh_node_get(b->items[k], key), key, path))
                return true;
        }
    }
    return false;
}

/* What was given beside the job and may not change under way is as it was when the run began. */
static int same_settings(const struct wh_job *job, const struct wh_run_record *old,
                         const struct wh_node *settings, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_buf path WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    struct wh_buf now WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_problems p = {.arena = a};
    struct wh_node *was, *is;

    if (settings->n == 0)
        return WH_OK;
    if (!a || wh_job_to_json(job, &now) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to compare two jobs");
    if (wh_json_parse(a, "stored job", old->job_json, strlen(old->job_json), &was, &p) != WH_OK ||
        wh_json_parse(a, "job", now.p, now.n, &is, &p) != WH_OK)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored job of %s cannot be read",
                       old->run);
    if (!settings_differ(settings, was, is, &path))
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E7008",
                      "run %s of this job is unfinished, and began with other settings: %s",
                      old->run, path.p));
    wh_error_hint(reterr, "leave that away and it goes on as it began; --fresh gives it up");
    return WH_E_USAGE;
}

/* ---- executing ---- */

/* Holds RUN_FINISHED back until `validate:` has had its word: it is the last event. */
struct relay {
    const struct wh_run_listener *listener; /* NULL: nobody listens */
    struct wh_run_listener own;
    const struct wh_plan *plan;
    struct wh_event last;
    bool finished;
};

static void relay_event(void *self, const struct wh_event *e)
{
    struct relay *r = self;
    if (e->type == WH_EV_RUN_FINISHED) {
        r->last = *e;
        r->finished = true;
    } else if (r->listener) {
        r->listener->event(r->listener->self, e);
    }
}

static void validated(void *arg, const struct wh_validated *v)
{
    struct relay *r = arg;
    char text[512];
    struct wh_event e = {.type = !v->error.status ? WH_EV_VALIDATE
                                 : v->excused     ? WH_EV_WARNING
                                                  : WH_EV_ERROR,
                         .run = r->plan->run,
                         .job = r->plan->job->name,
                         .table = v->source,
                         .error = v->error.status ? &v->error : NULL,
                         .text = text};
    int n = snprintf(text, sizeof(text), "%c %s  %s  %" PRId64 " and %" PRId64 " rows", v->sign,
                     v->source, v->target ? v->target : "?", v->rows_source, v->rows_target);
    if (v->unfit_source && n > 0 && (size_t)n < sizeof(text))
        snprintf(text + n, sizeof(text) - (size_t)n,
                 "; %" PRId64 " values of the source do not fit (refused rows stay different)",
                 v->unfit_source);
    if (r->listener)
        r->listener->event(r->listener->self, &e);
}

static bool wants_validation(const struct wh_plan *plan)
{
    for (size_t i = 0; i < plan->n_flows; i++)
        if (plan->flows[i]->stream->validate)
            return true;
    return false;
}

static wh_status report_json(void *arg, struct wh_buf *b, wh_drain_fn drain, void *to)
{
    return wh_event_drain_json(arg, b, drain, to);
}

static wh_status report_text(void *arg, struct wh_buf *b, wh_drain_fn drain, void *to)
{
    return wh_summary_text(((const struct wh_event *)arg)->result, b, drain, to);
}

/* Exit 4 where both ends differ; the state's record says the same, also to whoever asks again. */
static void after_run(struct relay *r, struct wh_plan *plan, struct wh_services *services,
                      struct wh_state *state, struct wh_run_result *result)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_error e = {0};
    struct wh_run_record record;
    int64_t different = 0;
    if (!a || result->exit_code != 0 || !wants_validation(plan))
        return;
    int st = wh_validate_plan(plan, services, validated, r, &different, &e);
    if (st == WH_OK && different == 0)
        return;
    result->exit_code = st == WH_OK ? 4 : wh_exit_code(&e);
    result->status = "different";
    if (wh_state_run_get(state, plan->run, a, &record, &e) == WH_OK) {
        struct wh_event end = {
            .type = WH_EV_RUN_FINISHED, .run = plan->run, .job = plan->job->name, .result = result};
        const struct wh_report report = {.arg = &end, .json = report_json, .text = report_text};
        record.exit_code = result->exit_code;
        record.report = &report;
        wh_ignore(wh_state_run_end(state, &record, record.epoch, &e));
    }
}

static int execute(struct wh_job *job, struct wh_services *services, struct wh_state *state,
                   const struct wh_start *start, const struct wh_frozen *frozen,
                   const char *identity, struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_plan *plan = NULL;
    struct wh_run_result result = {0};
    struct relay relay = {.listener = start->listener, .own = {.event = relay_event}};
    struct wh_run_start how = {.fresh = start->fresh,
                               .again = start->again,
                               .yes = start->yes,
                               .resume = frozen != NULL,
                               .identity = identity,
                               .rows_staying = ret->rows_staying};
    relay.own.self = &relay;
    relay.own.progress_ms = start->listener ? start->listener->progress_ms : 0;
    int st = wh_plan_make(job, services, frozen, &plan, reterr);
    if (st == WH_OK) {
        snprintf(ret->run, sizeof(ret->run), "%s", plan->run);
        struct wh_event e = {.type = WH_EV_PLAN, .run = plan->run, .job = job->name, .plan = plan};
        relay.plan = plan;
        relay_event(&relay, &e);
        st = wh_run_execute(plan, services, state, &how, &relay.own, &result, reterr);
        if (result.run)
            after_run(&relay, plan, services, state, &result);
        if (relay.finished && start->listener) {
            relay.last.result = &result;
            start->listener->event(start->listener->self, &relay.last);
        }
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
        st = wh_fail(reterr, WH_E_USAGE, p.v[0].code, "%s", p.v[0].message);
        wh_error_where(reterr, "%s", p.v[0].where ? p.v[0].where : r->run);
        if (p.v[0].hint)
            wh_error_hint(reterr, "%s", p.v[0].hint);
    }
    return st;
}

/* Secrets that stood in the job file are not kept in the state; the file that is run again has
 * them. Both maps have the same shape; texts are borrowed. */
static void lend_masked(struct wh_node *kept, const struct wh_node *given)
{
    for (size_t i = 0; kept && given && i < kept->n; i++) {
        struct wh_node *now = wh_node_get(given, kept->keys[i]->text);

        if (now && kept->items[i]->kind == WH_NODE_SCALAR && now->kind == WH_NODE_SCALAR &&
            strcmp(kept->items[i]->text, "***") == 0)
            kept->items[i]->text = now->text;
    }
}

static void lend_secrets(struct wh_job *kept, const struct wh_job *given)
{
    for (size_t i = 0; given && i < kept->n_streams && i < given->n_streams; i++) {
        lend_masked(kept->streams[i].from.connection, given->streams[i].from.connection);
        lend_masked(kept->streams[i].to.connection, given->streams[i].to.connection);
        for (size_t j = 0; j < kept->streams[i].n_overrides && j < given->streams[i].n_overrides;
             j++) {
            const struct wh_stream *a = kept->streams[i].overrides[j].stream,
                                   *b = given->streams[i].overrides[j].stream;

            if (a && b)
                lend_masked(a->to.connection, b->to.connection);
        }
    }
}

/* given: the same job, read again; NULL where there is none. */
static int resume_kept(struct kept *k, struct wh_services *services, struct wh_state *state,
                       const struct wh_start *start, const struct wh_job *given,
                       struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_job *job = NULL;
    ret->how = WH_STARTED_RESUMED;
    snprintf(ret->run, sizeof(ret->run), "%s", k->run.run);
    int st = stored_job(&k->run, start, &job, reterr);
    if (st == WH_OK) {
        lend_secrets(job, given);
        st = execute(job, services, state, start, &k->frozen, k->run.identity, ret, reterr);
    }
    wh_job_free(job);
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
    int st = stored_job(&k->run, &plain, &job, reterr);
    if (st == WH_OK)
        lend_secrets(job, given);
    if (st == WH_OK)
        st = wh_plan_make(job, services, &k->frozen, &plan, reterr);
    if (st == WH_OK)
        st = wh_run_discard(plan, services, state, start->yes, ret_staying, reterr);
    wh_plan_free(plan);
    wh_job_free(job);
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
    WH_TRY(same_settings(job, &k->run, others, reterr));
    given.override = may->n ? may : NULL;
    WH_TRY(newer_limits(state, &k->run, given.override, reterr));
    return resume_kept(k, services, state, &given, job, ret, reterr);
}

/* Same identity and unfinished: run resumes it, copy stops, --fresh gives it up. OK = go on anew,
 * END = *ret is the outcome. */
static int unfinished_before(struct wh_job *job, const char *run, struct wh_services *services,
                             struct wh_state *state, const struct wh_start *start,
                             struct wh_outcome *ret, struct wh_error *reterr)
{
    struct kept k WH_CLEANUP(kept_done) = {0};
    char shape[33];
    WH_TRY(keep(state, run, &k, reterr));
    if (start->fresh) {
        /* Nothing is given up for a run that would be refused. */
        struct wh_plan *plan = NULL;
        WH_TRY(wh_plan_make(job, services, NULL, &plan, reterr));
        wh_plan_free(plan);
        return discard_kept(&k, services, state, start, job, &ret->rows_staying, reterr);
    }
    if (into_stdout(job)) { /* nothing of it can be gone on with; a living one is another's */
        struct wh_error ignored = {0};

        wh_ignore(wh_start_write_off(state, run, &ignored));
        return WH_OK;
    }
    if (job->is_copy) {
        int st = wh_fail(reterr, WH_E_USAGE, "E7012", "an identical copy, %s, is unfinished", run);
        wh_error_hint(reterr, "wherry resume %s goes on with it; --fresh gives it up", run);
        return st;
    }
    wh_u128_hex(job->shape, shape);
    if (k.run.shape && strcmp(k.run.shape, shape) != 0)
        return job_changed(job, &k.run, reterr);
    int st = resume_given(&k, job, services, state, start, ret, reterr);
    return st == WH_OK ? WH_END : st;
}

/* What it told at its end is in the state. */
static int done_before(const char *run, struct wh_outcome *ret)
{
    ret->how = WH_STARTED_DONE_BEFORE;
    ret->exit_code = 0;
    snprintf(ret->run, sizeof(ret->run), "%s", run);
    return WH_END;
}

static int start_job(struct wh_job *job, struct wh_services *services, struct wh_state *state,
                     const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    const char *unfinished = NULL, *finished = NULL;
    char identity[80];
    if (!a || identity_of(job, start, identity) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the identity of a run");
    WH_TRY(wh_state_run_find(state, identity, a, &unfinished, &finished, reterr));
    if (unfinished)
        WH_TRY(unfinished_before(job, unfinished, services, state, start, ret, reterr));
    else if (finished && (job->scheduled || start->run_id) && !start->again && !job->is_copy)
        WH_TRY(done_before(finished, ret));
    ret->how = WH_STARTED_NEW;
    return execute(job, services, state, start, NULL, identity, ret, reterr);
}

int wh_start_job(struct wh_job *job, struct wh_services *services, struct wh_state *state,
                 const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    *ret = (struct wh_outcome){0};
    int st = start_job(job, services, state, start, ret, reterr);
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

int wh_start_resume(const char *run, struct wh_services *services, struct wh_state *state,
                    const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
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
        st = resume_kept(&k, services, state, start, NULL, ret, reterr);
    if (st != WH_OK && ret->exit_code == 0)
        ret->exit_code = wh_exit_code(reterr);
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
