/* SPDX-License-Identifier: Apache-2.0 */
/* Entries of the job model: a file, the arguments of `copy`, flags laid over a job. */
#include "engine/job_internal.h"

#include "core/clock.h"

#include <stdio.h>
#include <string.h>

enum {
    JOB_ARENA = 64 << 20
};

void wh_run_id(char out[32])
{
    char now[32];
    uint64_t random = wh_random64() & 0xFFFFFFFFFFFF;

    wh_format_utc(wh_wall_us(), now);
    snprintf(out, 32, "r-%.4s%.2s%.2s-%012llx", now, now + 5, now + 8, (unsigned long long)random);
}

const char *wh_job_where(const struct wh_job_reading *r, const struct wh_node *node)
{
    return wh_node_where(r->arena, r->file, node);
}

bool wh_job_no_memory(const struct wh_job_reading *r)
{
    wh_problem_add(r->problems, "E8002", r->file, NULL, "out of memory while reading the job");
    return false;
}

bool wh_job_key_allowed(const struct wh_job_reading *r, const struct wh_job_key *keys,
                        const struct wh_node *key, const char *of)
{
    const char *names[64], *hint = NULL;
    size_t n = 0;

    for (const struct wh_job_key *k = keys; k->name; k++) {
        if (!k->refused && n < 63)
            names[n++] = k->name;
        if (!wh_key_eq(wh_str(key->text), k->name))
            continue;
        if (k->refused)
            wh_problem_add(r->problems, "E1014", wh_job_where(r, key),
                           k->hint ? k->hint
                                   : "leave it out: nothing stands for it in this version",
                           "'%s' of %s is not offered by this build yet%s%s", k->name, of,
                           k->why ? ": " : "", k->why ? k->why : "");
        return !k->refused;
    }
    names[n] = NULL;
    const char *near = wh_did_you_mean(wh_str(key->text), names);

    if (near)
        hint = wh_arena_printf(r->problems->arena, "did you mean '%s'?", near);
    wh_problem_add(r->problems, "E1001", wh_job_where(r, key), hint, "unknown key '%s' of %s",
                   key->text, of);
    return false;
}

static struct wh_job *new_job(const char *file)
{
    struct wh_arena *arena = wh_arena_new(JOB_ARENA);
    struct wh_job *job = arena ? wh_arena_alloc(arena, sizeof *job) : NULL;

    if (!job) {
        wh_arena_free(arena);
        return NULL;
    }
    job->arena = arena;
    job->file = wh_arena_strdup(arena, file);
    job->notes.arena = arena;
    job->planned_us = wh_wall_us();
    return job;
}

static int no_job(struct wh_problems *problems)
{
    wh_problem_add(problems, "E8002", "", NULL, "out of memory while reading the job");
    return WH_E_NOMEM;
}

static void begin(struct wh_job_reading *r, struct wh_job *job, struct wh_problems *problems)
{
    *r = (struct wh_job_reading){.job = job,
                                 .arena = job->arena,
                                 .file = job->file ? job->file : "job",
                                 .problems = problems};
    r->macros = (struct wh_macros){
        .arena = job->arena, .planned_us = job->planned_us, .problems = problems};
}

/* A half-read job is of no use to anybody. */
static int finish(struct wh_job *job, bool ok, size_t errors_before, struct wh_problems *problems,
                  struct wh_job **ret)
{
    if (ok && problems->errors == errors_before) {
        *ret = job;
        return WH_OK;
    }
    wh_job_free(job);
    if (problems->errors == errors_before)
        return no_job(problems);
    return WH_E_USAGE;
}

static bool is_json(const char *file, const char *text, size_t n)
{
    size_t i = 0;

    while (i < n && strchr(" \t\r\n", text[i]))
        i++;
    return wh_str_ends(wh_str(file), ".json") || (i < n && text[i] == '{');
}

int wh_job_read(const char *file, const char *text, size_t n, const struct wh_map *set,
                const char *scheduled, struct wh_job **ret, struct wh_problems *problems)
{
    return wh_job_read_with(file, text, n, set, scheduled, NULL, ret, problems);
}

static int read_job(const char *file, const char *text, size_t n, const struct wh_map *set,
                    const char *scheduled, const struct wh_node *connections,
                    const struct wh_job *like, struct wh_job **ret, struct wh_problems *problems)
{
    struct wh_job *job = new_job(file);
    struct wh_job_reading r;
    struct wh_node *doc = NULL;
    size_t errors = problems->errors;

    if (!job)
        return no_job(problems);
    begin(&r, job, problems);
    r.outside = connections;
    r.like = like;
    int st = (is_json(file, text, n) ? wh_json_parse : wh_yaml_parse)(job->arena, r.file, text, n,
                                                                      &doc, problems);
    bool ok = st == WH_OK && wh_job_resolve(&r, doc, set, scheduled) && wh_job_type(&r);

    return finish(job, ok, errors, problems, ret);
}

int wh_job_read_with(const char *file, const char *text, size_t n, const struct wh_map *set,
                     const char *scheduled, const struct wh_node *connections, struct wh_job **ret,
                     struct wh_problems *problems)
{
    return read_job(file, text, n, set, scheduled, connections, NULL, ret, problems);
}

int wh_job_read_like(const char *file, const char *text, size_t n, const struct wh_job *like,
                     const struct wh_node *connections, struct wh_job **ret,
                     struct wh_problems *problems)
{
    return read_job(file, text, n, &like->params, NULL, connections, like, ret, problems);
}

/* ---- copy -------------------------------------------------------------------------------------
 */

/* Keys of the settings that belong beside the stream, not into it. */
static bool top_key(const char *key)
{
    static const char *const keys[] = {"run",  "connections", "params", "timezone",
                                       "name", "description", "labels"};

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        if (strcmp(key, keys[i]) == 0)
            return true;
    return false;
}

/* from: or to: with its object and, beside it, the options that flags gave. */
static struct wh_node *side_node(struct wh_arena *arena, const struct wh_node *options,
                                 struct wh_list objects)
{
    struct wh_node *side = wh_node_map(arena), *list = wh_node_list(arena);

    if (!side || !list || (options && options->kind != WH_NODE_MAP))
        return NULL;
    for (size_t i = 0; i < objects.n; i++) {
        struct wh_node *text = wh_node_scalar(arena, objects.v[i]);

        if (text)
            text->quoted = true;
        if (wh_node_push(arena, list, text) != WH_OK)
            return NULL;
    }
    if (wh_node_put(arena, side, "object", objects.n == 1 ? list->items[0] : list) != WH_OK)
        return NULL;
    for (size_t i = 0; options && i < options->n; i++)
        if (wh_node_put(arena, side, options->keys[i]->text, options->items[i]) != WH_OK)
            return NULL;
    return side;
}

static int put_all(struct wh_arena *arena, const struct wh_node *settings, struct wh_node *doc,
                   struct wh_node *stream)
{
    for (size_t i = 0; settings && i < settings->n; i++) {
        const char *key = settings->keys[i]->text;

        if (strcmp(key, "from") == 0 || strcmp(key, "to") == 0)
            continue;
        WH_TRY(wh_node_put(arena, top_key(key) ? doc : stream, key, settings->items[i]));
    }
    return WH_OK;
}

static struct wh_node *copy_document(struct wh_arena *arena, struct wh_list sources,
                                     const char *destination, const struct wh_node *settings)
{
    struct wh_node *doc = wh_node_map(arena), *streams = wh_node_list(arena),
                   *stream = wh_node_map(arena);
    struct wh_list target = {(const char *[]){destination}, 1};
    struct wh_node *from = side_node(arena, wh_node_get(settings, "from"), sources);
    struct wh_node *to = side_node(arena, wh_node_get(settings, "to"), target);

    if (!doc || !streams || !stream ||
        wh_node_put(arena, doc, "version", wh_node_scalar(arena, "1")) != WH_OK ||
        wh_node_put(arena, doc, "name", wh_node_scalar(arena, "copy")) != WH_OK ||
        wh_node_put(arena, stream, "from", from) != WH_OK ||
        wh_node_put(arena, stream, "to", to) != WH_OK ||
        put_all(arena, settings, doc, stream) != WH_OK ||
        wh_node_push(arena, streams, stream) != WH_OK ||
        wh_node_put(arena, doc, "streams", streams) != WH_OK)
        return NULL;
    return doc;
}

int wh_job_copy(struct wh_list sources, const char *destination, struct wh_node *settings,
                struct wh_job **ret, struct wh_problems *problems)
{
    return wh_job_copy_with(sources, destination, settings, NULL, NULL, ret, problems);
}

int wh_job_copy_with(struct wh_list sources, const char *destination, struct wh_node *settings,
                     const struct wh_map *set, const char *scheduled, struct wh_job **ret,
                     struct wh_problems *problems)
{
    struct wh_job *job = new_job("command line");
    struct wh_job_reading r;
    size_t errors = problems->errors;

    if (!job)
        return no_job(problems);
    begin(&r, job, problems);
    job->is_copy = true;
    struct wh_node *doc = copy_document(job->arena, sources, destination, settings);
    bool ok =
        doc ? wh_job_resolve(&r, doc, set, scheduled) && wh_job_type(&r) : wh_job_no_memory(&r);

    return finish(job, ok, errors, problems, ret);
}

/* ---- override ---------------------------------------------------------------------------------
 */

/* What `resume` may change (INTERFACE 5); the second part may also be changed by `run`. */
static const char *const resumable[] = {
    "dirty",        "guard",         "run.parallel",     "run.limits",
    "run.timeouts", "run.lock_wait", "run.accept_mixed", NULL};

static bool is_resumable(const char *path)
{
    for (size_t i = 0; resumable[i]; i++)
        if (wh_key_eq(wh_str(path), resumable[i]))
            return true;
    return false;
}

static bool may_change(const struct wh_job_reading *r, const char *path, const struct wh_node *key)
{
    if (is_resumable(path))
        return true;
    wh_problem_add(
        r->problems, "E1007", wh_job_where(r, key),
        "resume may change --dirty --guard --rate -j --memory --max-duration --lock-wait "
        "--accept-mixed; '--fresh' starts again with other settings",
        "'%s' cannot be changed when a run is resumed", path);
    return false;
}

static bool check_resumable(const struct wh_job_reading *r, const struct wh_node *settings)
{
    bool ok = true;

    for (size_t i = 0; i < settings->n; i++) {
        const struct wh_node *key = settings->keys[i], *value = settings->items[i];

        /* What is archived already stands in one place. */
        if (strcmp(key->text, "dirty") == 0 && wh_node_get(value, "archive")) {
            ok = may_change(r, "dirty.archive", key) && ok;
            continue;
        }
        if (strcmp(key->text, "run") != 0 || value->kind != WH_NODE_MAP) {
            ok = may_change(r, key->text, key) && ok;
            continue;
        }
        for (size_t j = 0; j < value->n; j++) {
            const char *path = wh_arena_printf(r->arena, "run.%s", value->keys[j]->text);

            ok = path && may_change(r, path, value->keys[j]) && ok;
        }
    }
    return ok;
}

/* One setting into the map of its kind; `run` is two levels deep. */
static wh_status sort_out(struct wh_arena *a, const struct wh_node *settings, const char *prefix,
                          struct wh_node *may, struct wh_node *others)
{
    for (size_t i = 0; i < settings->n; i++) {
        const char *key = settings->keys[i]->text;
        const char *path = wh_arena_printf(a, "%s%s", prefix, key);
        struct wh_node *value = settings->items[i], *in[2];

        if (!path)
            return WH_E_NOMEM;
        if (*prefix || strcmp(key, "run") != 0 || value->kind != WH_NODE_MAP) {
            WH_TRY(wh_node_put(a, is_resumable(path) ? may : others, key, value));
            continue;
        }
        if (!(in[0] = wh_node_map(a)) || !(in[1] = wh_node_map(a)))
            return WH_E_NOMEM;
        WH_TRY(sort_out(a, value, "run.", in[0], in[1]));
        if (in[0]->n)
            WH_TRY(wh_node_put(a, may, key, in[0]));
        if (in[1]->n)
            WH_TRY(wh_node_put(a, others, key, in[1]));
    }
    return WH_OK;
}

int wh_job_resumable(struct wh_arena *a, const struct wh_node *settings, struct wh_node **ret,
                     struct wh_node **ret_others)
{
    *ret = wh_node_map(a);
    *ret_others = wh_node_map(a);
    if (!*ret || !*ret_others)
        return WH_E_NOMEM;
    return settings ? sort_out(a, settings, "", *ret, *ret_others) : WH_OK;
}

/* The settings for every stream: all but `run` and what only streams of their own can have. */
static struct wh_node *for_streams(struct wh_job_reading *r, const struct wh_node *settings)
{
    static const char *const own[] = {"name", "from", "to", "columns"};
    struct wh_node *out = wh_node_map(r->arena);

    for (size_t i = 0; out && i < settings->n; i++) {
        const struct wh_node *key = settings->keys[i];

        if (strcmp(key->text, "run") == 0)
            continue;
        for (size_t j = 0; j < 4; j++)
            if (strcmp(key->text, own[j]) == 0) {
                wh_problem_add(r->problems, "E1007", wh_job_where(r, key), NULL,
                               "'%s' cannot be laid over the streams of a job", key->text);
                return NULL;
            }
        if (wh_node_put(r->arena, out, key->text, settings->items[i]) != WH_OK)
            return NULL;
    }
    return out;
}

/* What is given beside the job wins over the overrides of its tables, too. */
static bool lay_over_tables(struct wh_job_reading *r, struct wh_node *stream,
                            const struct wh_node *over)
{
    struct wh_node *override = wh_node_get(stream, "override");

    for (size_t i = 0; override && override->kind == WH_NODE_MAP && i < override->n; i++)
        if (override->items[i]->kind == WH_NODE_MAP &&
            !(override->items[i] = wh_job_merge(r, override->items[i], over)))
            return false;
    return true;
}

static bool lay_over(struct wh_job_reading *r, const struct wh_node *settings)
{
    struct wh_node *tree = r->job->tree, *streams = wh_node_get(tree, "streams");
    struct wh_node *over = for_streams(r, settings), *run = wh_node_get(settings, "run");

    if (!over)
        return false;
    for (size_t i = 0; streams && i < streams->n; i++) {
        streams->items[i] = wh_job_merge(r, streams->items[i], over);
        if (!streams->items[i])
            return wh_job_no_memory(r);
        if (!lay_over_tables(r, streams->items[i], over))
            return wh_job_no_memory(r);
    }
    if (!run)
        return true;
    struct wh_node *merged = wh_job_merge(r, wh_node_get(tree, "run"), run);

    return (merged && wh_node_put(r->arena, tree, "run", merged) == WH_OK) || wh_job_no_memory(r);
}

int wh_job_override(struct wh_job *job, const struct wh_node *settings, bool resuming,
                    struct wh_problems *problems)
{
    struct wh_job_reading r;
    size_t errors = problems->errors;

    if (!settings || settings->n == 0)
        return WH_OK;
    begin(&r, job, problems);
    r.file = "command line";
    if ((resuming && !check_resumable(&r, settings)) || !lay_over(&r, settings))
        return problems->errors > errors ? WH_E_USAGE : no_job(problems);
    r.file = job->file;
    if (!wh_job_type(&r) || problems->errors > errors)
        return problems->errors > errors ? WH_E_USAGE : no_job(problems);
    return WH_OK;
}

int wh_job_select(struct wh_job *job, struct wh_list items, struct wh_problems *problems)
{
    struct wh_job_reading r;
    size_t errors = problems->errors;

    if (!items.n)
        return WH_OK;
    begin(&r, job, problems);
    if (!wh_job_keep_selected(&r, items.v, items.n) || !wh_job_type(&r) ||
        problems->errors > errors)
        return problems->errors > errors ? WH_E_USAGE : no_job(problems);
    return WH_OK;
}

void wh_job_free(struct wh_job *job)
{
    if (job)
        wh_arena_free(job->arena);
}
