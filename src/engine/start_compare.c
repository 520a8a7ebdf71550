/* SPDX-License-Identifier: Apache-2.0 */
/* Is it still the same? Jobs, the settings beside them, a plan in a file. */
#include <stdio.h>
#include <string.h>

#include "core/errors.h"
#include "core/log.h"
#include "engine/start_internal.h"

/* ---- jobs ---- */

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

bool wh_start_jobs_differ(const struct wh_job *was, const struct wh_job *is, struct wh_buf *path)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_buf one WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_buf two WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_problems p = {.arena = a};
    struct wh_node *x, *y;

    if (!a || wh_job_to_json(was, &one) != WH_OK || wh_job_to_json(is, &two) != WH_OK ||
        wh_json_parse(a, "plan", one.p, one.n, &x, &p) != WH_OK ||
        wh_json_parse(a, "job", two.p, two.n, &y, &p) != WH_OK) {
        wh_ignore(wh_buf_adds(path, "they cannot be compared"));
        return true;
    }
    return differs(x, y, path);
}

/* A run is known by its job's name, the planned time and the parameters; another job that goes by
 * the same has not run. */
int wh_start_another_job(const struct wh_job *job, const struct wh_run_record *old,
                         struct wh_error *reterr)
{
    int st = wh_start_job_changed(job, old, reterr);
    char differs_at[sizeof reterr->message];
    const char *colon = strstr(reterr->message, "since: ");

    snprintf(differs_at, sizeof differs_at, "%s", colon ? colon + 7 : "its settings");
    wh_ignore(
        wh_fail(reterr, st, "E7008",
                "run %s went by this name, planned time and parameters, and it was of another "
                "job: %s",
                old->run, differs_at));
    wh_error_hint(reterr, "give this job a name of its own; if it is the same, changed since: "
                          "--again runs it as it is now");
    return st;
}

int wh_start_job_changed(const struct wh_job *job, const struct wh_run_record *old,
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
    wh_error_hint(reterr,
                  "wherry resume %s goes on with the job as it was; or wherry cancel %s --discard "
                  "gives that run up, and the job begins anew as it is now (--fresh does both)",
                  old->run, old->run);
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

/* The job of the record and the one at hand, as trees in the arena. */
static int parse_both(struct wh_arena *a, const struct wh_run_record *old, const struct wh_buf *now,
                      struct wh_node **ret_was, struct wh_node **ret_is, struct wh_problems *p,
                      struct wh_error *reterr)
{
    int st = wh_json_parse(a, "stored job", old->job_json, strlen(old->job_json), ret_was, p);

    if (st == WH_OK)
        st = wh_json_parse(a, "job", now->p, now->n, ret_is, p);
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory to compare two jobs");
    return st == WH_OK ? WH_OK
                       : wh_fail(reterr, WH_E_STATE, "E7003", "the stored job of %s cannot be read",
                                 old->run);
}

/* What was given beside the job and may not change under way is as it was when the run began. */
int wh_start_same_settings(const struct wh_job *job, const struct wh_run_record *old,
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
    WH_TRY(parse_both(a, old, &now, &was, &is, &p, reterr));
    if (!settings_differ(settings, was, is, &path))
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E7008",
                      "run %s of this job is unfinished, and began with other settings: %s",
                      old->run, path.p));
    wh_error_hint(reterr,
                  "leave that away, or wherry resume %s, and it goes on as it began; or wherry "
                  "cancel %s --discard gives that run up, and a new one begins (--fresh does both)",
                  old->run, old->run);
    return WH_E_USAGE;
}

/* ---- a job file that was edited ---- */

/* Which edits of a job file that is run again can be taken: `run` but for what resume may change,
 * and what refused rows cost. The shape of the job is the same. */
struct edits {
    struct wh_arena *arena;
    const struct wh_node *was, *is;
    struct wh_node *may; /* settings of resume; those given beside the job are in it already */
    const struct wh_run_record *old;
    struct wh_error *reterr;
};

static int edited(const struct edits *e, const struct wh_buf *path)
{
    wh_ignore(wh_fail(e->reterr, WH_E_USAGE, "E7008",
                      "run %s of this job is unfinished, and the job has changed since: %s",
                      e->old->run, path->p ? path->p : "?"));
    wh_error_hint(e->reterr,
                  "wherry resume %s goes on with the job as it was; or wherry cancel %s --discard "
                  "gives that run up, and the job begins anew as it is now (--fresh does both)",
                  e->old->run, e->old->run);
    return WH_E_USAGE;
}

static int no_room(const struct edits *e)
{
    return wh_fail(e->reterr, WH_E_NOMEM, "E8002", "no memory to compare two jobs");
}

/* What is not said any more stays as it was: that is told. */
static void told_to_stay(const struct wh_node *was, const struct wh_node *is, const char *prefix)
{
    for (size_t i = 0; was && was->kind == WH_NODE_MAP && i < was->n; i++) {
        const char *key = was->keys[i]->text;

        if (!is || !wh_node_get(is, key))
            wh_log(WH_LOG_WARN, "engine",
                   "%s.%s is not set any more; the run goes on with it as it began%s%s", prefix,
                   key, was->items[i]->kind == WH_NODE_SCALAR ? ": " : "",
                   was->items[i]->kind == WH_NODE_SCALAR ? was->items[i]->text : "");
    }
}

static int edits_of_run(const struct edits *e)
{
    const struct wh_node *was = wh_node_get(e->was, "run"), *is = wh_node_get(e->is, "run");
    struct wh_node *all = wh_node_map(e->arena), *now = wh_node_map(e->arena), *may, *others;
    struct wh_buf path WH_CLEANUP(wh_buf_free) = WH_BUF(4096);

    if (!all || !now)
        return no_room(e);
    for (size_t i = 0; is && is->kind == WH_NODE_MAP && i < is->n; i++) {
        const char *key = is->keys[i]->text;

        wh_buf_clear(&path);
        if (differs(wh_node_get(was, key), is->items[i], &path) &&
            wh_node_put(e->arena, now, key, is->items[i]) != WH_OK)
            return no_room(e);
    }
    told_to_stay(was, is, "run");
    told_to_stay(wh_node_get(was, "limits"), wh_node_get(is, "limits"), "run.limits");
    told_to_stay(wh_node_get(was, "timeouts"), wh_node_get(is, "timeouts"), "run.timeouts");
    if (!now->n)
        return WH_OK;
    if (wh_node_put(e->arena, all, "run", now) != WH_OK ||
        wh_job_resumable(e->arena, all, &may, &others) != WH_OK)
        return no_room(e);
    if (others->n) {
        const char *key = others->items[0]->keys[0]->text;

        wh_buf_clear(&path);
        wh_ignore(wh_buf_adds(&path, "run"));
        wh_ignore(differs_in(wh_node_get(was, key), wh_node_get(is, key), key, &path));
        return edited(e, &path);
    }
    return wh_node_put(e->arena, e->may, "run", may->items[0]) == WH_OK ? WH_OK : no_room(e);
}

/* One setting for all streams can be taken, a different one for each cannot. */
static int edits_of_streams(const struct edits *e)
{
    static const char *const keys[] = {"dirty", "guard", "limits", "parallel", "validate", "retry"};
    const struct wh_node *a = wh_node_get(e->was, "streams"), *b = wh_node_get(e->is, "streams");
    struct wh_buf path WH_CLEANUP(wh_buf_free) = WH_BUF(4096);

    for (size_t i = 0; a && b && i < a->n && i < b->n; i++)
        for (size_t k = 0; k < sizeof(keys) / sizeof(*keys); k++) {
            const struct wh_node *is = wh_node_get(b->items[i], keys[k]);

            wh_buf_clear(&path);
            wh_ignore(wh_buf_printf(&path, "streams.%zu", i + 1));
            if (!is || !differs_in(wh_node_get(a->items[i], keys[k]), is, keys[k], &path))
                continue;
            if (k > 1 || b->n > 1 || wh_node_get(b->items[i], "override"))
                return edited(e, &path);
            if (wh_node_put(e->arena, e->may, keys[k], (struct wh_node *)(uintptr_t)is) != WH_OK)
                return no_room(e);
        }
    return WH_OK;
}

int wh_start_take_edits(const struct wh_job *job, const struct wh_run_record *old,
                        struct wh_arena *a, struct wh_node *may, struct wh_error *reterr)
{
    struct wh_buf now WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_problems p = {.arena = a};
    struct edits e = {.arena = a, .may = may, .old = old, .reterr = reterr};
    struct wh_node *was, *is;

    if (wh_job_to_json(job, &now) != WH_OK)
        return no_room(&e);
    WH_TRY(parse_both(a, old, &now, &was, &is, &p, reterr));
    e.was = was;
    e.is = is;
    WH_TRY(edits_of_run(&e));
    return edits_of_streams(&e);
}

/* ---- secrets ---- */

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

void wh_start_lend_secrets(struct wh_job *kept, const struct wh_job *given)
{
    for (size_t i = 0; given && i < kept->n_streams && i < given->n_streams; i++) {
        lend_masked(kept->streams[i].from.connection, given->streams[i].from.connection);
        lend_masked(kept->streams[i].to.connection, given->streams[i].to.connection);
        lend_masked(kept->streams[i].dirty_archive.connection,
                    given->streams[i].dirty_archive.connection);
        for (size_t j = 0; j < kept->streams[i].n_overrides && j < given->streams[i].n_overrides;
             j++) {
            const struct wh_stream *a = kept->streams[i].overrides[j].stream,
                                   *b = given->streams[i].overrides[j].stream;

            if (a && b)
                lend_masked(a->to.connection, b->to.connection);
        }
    }
}

/* ---- plans ---- */

/* A plan that is refused now and was not is told as what differs, unless a server is not there. */
int wh_start_as_planned(const struct wh_plan_file *file, const struct wh_plan *plan, int st,
                        struct wh_error *reterr)
{
    struct wh_error differs = {0};

    if (st != WH_OK && (!plan || plan->n_flows == 0 || wh_error_exit(reterr->code, false) != 2))
        return st;
    int fits = wh_plan_file_fits(file, plan, &differs);

    if (fits != WH_OK)
        *reterr = differs;
    return fits != WH_OK ? fits : st;
}
