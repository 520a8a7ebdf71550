/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoints of a plan: options filled, opened once, with one control session. */
#include "engine/plan_internal.h"

#include "core/clock.h"
#include "core/log.h"

#include "engine/macro.h"

#include <string.h>

/* ---- options ----------------------------------------------------------------------------------
 */

static int first_problem(const struct wh_problems *problems, struct wh_error *reterr)
{
    const struct wh_problem *p = NULL;

    for (size_t i = 0; i < problems->n && !p; i++)
        if (!problems->v[i].warning)
            p = &problems->v[i];
    if (!p)
        return wh_plan_no_memory(reterr);
    int st = wh_fail(reterr, strcmp(p->code, "E8002") == 0 ? WH_E_NOMEM : WH_E_USAGE, p->code, "%s",
                     p->message);

    wh_error_where(reterr, "%s", p->where);
    if (p->hint)
        wh_error_hint(reterr, "%s", p->hint);
    return st;
}

/* A copy of the node with its references resolved. */
static struct wh_node *resolved(struct wh_arena *arena, const struct wh_node *node, bool secret,
                                const char *where, struct wh_problems *problems)
{
    struct wh_node *copy = wh_arena_alloc(arena, sizeof *copy);

    if (!copy)
        return NULL;
    *copy = *node;
    if (node->kind == WH_NODE_SCALAR) {
        copy->text = wh_reference_resolve(arena, node->text, secret, where, problems);
        return copy->text ? copy : NULL;
    }
    if (node->n == 0)
        return copy;
    copy->items = wh_arena_alloc(arena, node->n * sizeof(struct wh_node *));
    for (size_t i = 0; copy->items && i < node->n; i++) {
        copy->items[i] = resolved(arena, node->items[i], secret, where, problems);
        if (!copy->items[i])
            return NULL;
    }
    return copy->items ? copy : NULL;
}

static void set_option(struct wh_arena *arena, const struct wh_options *table, void *out,
                       const char *key, const struct wh_node *node, const char *where,
                       struct wh_problems *problems)
{
    const struct wh_option *row = wh_options_find(table, wh_str(key));
    bool secret = row && row->type == WH_T_SECRET;
    struct wh_node *value;

    if (secret && strcmp(node->text, "***") == 0 && (row->flags & WH_OPT_ELSEWHERE))
        return;
    if (secret && strcmp(node->text, "***") == 0) {
        wh_problem_add(problems, "E1055", where,
                       "run the job file again: it resumes by itself; or keep the secret outside "
                       "of it with ${env:NAME} or ${file:/path}",
                       "'%s' stood in the job file and is not kept in the state", key);
        return;
    }
    if (secret && (row->flags & WH_OPT_REFERENCE) && !wh_reference_in(node->text)) {
        wh_problem_add(
            problems, "E1056", where,
            "'%s' takes a secret from elsewhere: ${file:/path}, ${cred:NAME}, ${secret:NAME} "
            "or ${env:NAME}, in single quotes on a command line",
            "'%s' was written out, where others can read it", key);
        return;
    }
    size_t before = problems->errors;

    value = resolved(arena, node, secret, where, problems);
    if (value && wh_options_set(table, out, arena, key, value, where, problems))
        return;
    /* Without a word it was want of memory; an option that is passed over names another place. */
    if (problems->errors == before)
        wh_problem_add(problems, "E8002", where, NULL, "no memory for '%s'", key);
}

int wh_plan_options(struct wh_arena *arena, const struct wh_options *table,
                    const struct wh_node *map, const char *where, void **ret,
                    struct wh_error *reterr)
{
    struct wh_problems problems = {.arena = arena};

    *ret = NULL;
    if (!table)
        return WH_OK;
    void *out = wh_arena_alloc(arena, table->size);

    if (!out)
        return wh_plan_no_memory(reterr);
    int st = wh_options_init(table, out, arena);

    for (size_t i = 0; st == WH_OK && map && i < map->n; i++)
        set_option(arena, table, out, map->keys[i]->text, map->items[i], where, &problems);
    if (st == WH_OK)
        wh_options_finish(table, out, where, &problems);
    if (st == WH_OK && !problems.errors) {
        *ret = out;
        return WH_OK;
    }
    wh_options_wipe(table, out);
    if (st != WH_OK)
        return wh_fail(reterr, st, st == WH_E_NOMEM ? "E8002" : "E9003", "defaults of the %s",
                       table->what);
    return first_problem(&problems, reterr);
}

/* ---- identity of an endpoint ------------------------------------------------------------------
 */

static int add_secrets(const struct wh_options *table, const struct wh_node *map,
                       struct wh_buf *out)
{
    for (size_t i = 0; map && i < map->n; i++) {
        const struct wh_option *row = wh_options_find(table, wh_str(map->keys[i]->text));
        uint64_t h = wh_hash64(map->items[i]->text, strlen(map->items[i]->text), 7);

        if (row && row->type == WH_T_SECRET)
            WH_TRY(wh_buf_printf(out, "%s#%016llx\n", row->name, (unsigned long long)h));
    }
    return WH_OK;
}

static int endpoint_key(const struct wh_objref *ref, const void *opts, struct wh_arena *arena,
                        const char **ret)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 20);

    WH_TRY(wh_buf_printf(&out, "%s\n", ref->connector->name));
    if (ref->connector->connection) {
        WH_TRY(wh_options_fingerprint(ref->connector->connection, opts, &out));
        WH_TRY(add_secrets(ref->connector->connection, ref->connection, &out));
    }
    *ret = wh_arena_strdup(arena, out.p);
    return *ret ? WH_OK : WH_E_NOMEM;
}

static const char *server_name(struct wh_arena *arena, const struct wh_objref *ref)
{
    const char *host = wh_node_text(wh_node_get(ref->connection, "host"), "");
    const char *port = wh_node_text(wh_node_get(ref->connection, "port"), "");
    const char *database = wh_node_text(wh_node_get(ref->connection, "database"), "");

    return wh_arena_printf(arena, "%s://%s%s%s%s%s", ref->connector->name, host, *port ? ":" : "",
                           port, *database ? "/" : "", database);
}

/* What to type after 'wherry discover'. */
const char *wh_plan_connection_text(struct wh_arena *arena, const struct wh_endpoint *ep,
                                    const struct wh_objref *ref)
{
    size_t n = strcspn(ref->text, "#");

    if (ref->conn || !strstr(ref->text, "://"))
        return ep->name;
    const char *text = wh_arena_printf(arena, "'%.*s'", (int)n, ref->text);

    return text ? text : ep->name;
}

/* "shop", "sqlite:out.db", "postgresql://h:5432/db", "file". */
static const char *endpoint_name(struct wh_arena *arena, const struct wh_objref *ref)
{
    static const char *const shown[] = {"path", "root", "host", "database", "url", "bucket"};

    if (ref->conn)
        return ref->conn;
    if (ref->connector->url == WH_URL_SERVER)
        return server_name(arena, ref);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        const char *text = wh_node_text(wh_node_get(ref->connection, shown[i]), NULL);

        if (text && *text)
            return wh_arena_printf(arena, "%s:%s", ref->connector->name, text);
    }
    return ref->connector->name;
}

/* ---- opening ----------------------------------------------------------------------------------
 */

static int open_endpoint(struct wh_planner *p, struct wh_endpoint *ep, struct wh_error *reterr)
{
    const struct wh_connector *c = ep->connector;

    ep->ep = wh_calloc(1, c->ep_size ? c->ep_size : 1);
    if (!ep->ep)
        return wh_plan_no_memory(reterr);
    WH_TRY(
        wh_ctx_endpoint(p->services, ep, p->plan->run, p->job ? p->job->timezone : NULL, reterr));
    if (p->job && p->job->planned_us)
        wh_ctx_planned(ep, p->job->planned_us);
    ep->open_called = true;
    int64_t begun = wh_now_ns();
    int st = c->endpoint->open
                 ? c->endpoint->open(ep->ep, &ep->ctx, WH_COORDINATOR, ep->opts, reterr)
                 : WH_OK;

    wh_log(WH_LOG_DEBUG, "plan", "%s (%s) opened: %s, %.1f ms", ep->name, c->name,
           wh_status_name(st), (double)(wh_now_ns() - begun) / 1e6);
    return st;
}

static int new_endpoint(struct wh_planner *p, const struct wh_objref *ref, void *opts,
                        const char *key, struct wh_endpoint **ret, struct wh_error *reterr)
{
    struct wh_plan *plan = p->plan;
    struct wh_endpoint *ep = wh_arena_alloc(p->arena, sizeof *ep);
    struct wh_endpoint **grown =
        wh_arena_alloc(p->arena, (plan->n_endpoints + 1) * sizeof(struct wh_endpoint *));

    if (!ep || !grown)
        return wh_plan_no_memory(reterr);
    if (plan->n_endpoints)
        memcpy(grown, plan->endpoints, plan->n_endpoints * sizeof(struct wh_endpoint *));
    grown[plan->n_endpoints] = ep;
    plan->endpoints = grown;
    *ep = (struct wh_endpoint){.index = (int)plan->n_endpoints++,
                               .connector = ref->connector,
                               .options = ref->connection,
                               .opts = opts,
                               .key = key,
                               .name = endpoint_name(p->arena, ref),
                               .instants = 1};
    *ret = ep;
    if (!ep->name)
        return wh_plan_no_memory(reterr);
    return open_endpoint(p, ep, reterr);
}

int wh_plan_endpoint(struct wh_planner *p, const struct wh_objref *ref, struct wh_endpoint **ret,
                     struct wh_error *reterr)
{
    const struct wh_options *table = ref->connector->connection;
    struct wh_endpoint *ep = NULL;
    const char *key;
    void *opts;

    WH_TRY(wh_plan_options(p->arena, table, ref->connection, ref->where, &opts, reterr));
    if (endpoint_key(ref, opts, p->arena, &key) != WH_OK) {
        if (table)
            wh_options_wipe(table, opts);
        return wh_plan_no_memory(reterr);
    }
    for (size_t i = 0; i < p->plan->n_endpoints && !ep; i++)
        if (strcmp(p->plan->endpoints[i]->key, key) == 0)
            ep = p->plan->endpoints[i];
    if (ep) {
        if (table)
            wh_options_wipe(table, opts);
        *ret = ep;
        if (ep->error.status && reterr)
            *reterr = ep->error;
        return ep->error.status;
    }
    struct wh_error err = {0};
    int st = new_endpoint(p, ref, opts, key, &ep, &err);

    *ret = ep;
    if (st != WH_OK) {
        if (!err.where[0])
            wh_error_where(&err, "%s", ep && ep->name ? ep->name : ref->where);
        err.status = st;
        if (ep)
            ep->error = err;
        else if (table)
            wh_options_wipe(table, opts);
        if (reterr)
            *reterr = err;
    }
    return st;
}

/* ---- control session --------------------------------------------------------------------------
 */

int wh_endpoint_control(struct wh_endpoint *ep, void **ret_se, struct wh_error *reterr)
{
    const struct wh_connector *c = ep->connector;
    struct wh_str ident = {NULL, 0};

    if (ep->control_open) {
        *ret_se = ep->control;
        return WH_OK;
    }
    ep->control = wh_calloc(1, c->se_size ? c->se_size : 1);
    if (!ep->control)
        return wh_plan_no_memory(reterr);
    int st = c->endpoint->session_open
                 ? c->endpoint->session_open(ep->control, ep->ep, WH_CONTROL, &ident, reterr)
                 : WH_OK;

    if (st != WH_OK) {
        if (c->endpoint->session_close)
            c->endpoint->session_close(ep->control);
        wh_free(TAKE_PTR(ep->control));
        return st;
    }
    ep->control_open = true;
    *ret_se = ep->control;
    return WH_OK;
}

void wh_endpoint_control_lost(struct wh_endpoint *ep)
{
    if (ep->control_open && ep->connector->endpoint->session_close)
        ep->connector->endpoint->session_close(ep->control);
    wh_free(TAKE_PTR(ep->control));
    ep->control_open = false;
}

void wh_plan_endpoint_free(struct wh_endpoint *ep)
{
    wh_endpoint_control_lost(ep);
    if (ep->open_called && ep->connector->endpoint->close)
        ep->connector->endpoint->close(ep->ep);
    wh_ctx_endpoint_free(ep);
    wh_free(TAKE_PTR(ep->ep));
    if (ep->connector->connection && ep->opts)
        wh_options_wipe(ep->connector->connection, ep->opts);
}
