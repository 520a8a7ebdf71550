/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/look.h"

#include "engine/plan_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    LOOK_ARENA = 256 << 20
};

struct wh_look {
    struct wh_plan plan; /* holds the endpoint; no job, no run */
    struct wh_planner planner;
    struct wh_stream stream;
    struct wh_endpoint *ep;
    struct wh_flow *flow; /* open scan, or NULL */
};

/* ---- opening ----------------------------------------------------------------------------------
 */

static int told(const struct wh_problems *problems, struct wh_error *reterr)
{
    for (size_t i = 0; i < problems->n; i++) {
        const struct wh_problem *p = &problems->v[i];

        if (p->warning)
            continue;
        bool memory = strcmp(p->code, "E8002") == 0;
        int st = wh_fail(reterr, memory ? WH_E_NOMEM : WH_E_USAGE, p->code, "%s", p->message);

        wh_error_where(reterr, "%s", p->where);
        if (p->hint)
            wh_error_hint(reterr, "%s", p->hint);
        return st;
    }
    return wh_plan_no_memory(reterr);
}

static int read_object(struct wh_look *look, const char *object, const struct wh_node *connections,
                       const struct wh_node *options, struct wh_error *reterr)
{
    struct wh_arena *arena = look->plan.arena;
    struct wh_problems problems = {.arena = arena};
    struct wh_objref *ref = &look->stream.from;
    bool ok = wh_object_read(arena, object, object, WH_SIDE_FROM, connections, ref, &problems);

    for (size_t i = 0; ok && options && i < options->n; i++)
        ok = wh_objref_option(arena, ref, WH_SIDE_FROM, options->keys[i]->text, options->items[i],
                              "--from", &problems);
    return ok ? WH_OK : told(&problems, reterr);
}

int wh_look_open(const char *object, const struct wh_node *connections,
                 const struct wh_node *options, struct wh_services *services, struct wh_look **ret,
                 struct wh_error *reterr)
{
    struct wh_arena *arena = wh_arena_new(LOOK_ARENA);
    struct wh_look *look = arena ? wh_arena_alloc(arena, sizeof *look) : NULL;

    if (!look) {
        wh_arena_free(arena);
        return wh_plan_no_memory(reterr);
    }
    look->plan = (struct wh_plan){.arena = arena, .run = "", .parallel = 1};
    look->plan.problems.arena = arena;
    look->planner = (struct wh_planner){.plan = &look->plan, .arena = arena, .services = services};
    look->stream.name = look->stream.where_place = object;
    int st = read_object(look, object, connections, options, reterr);

    if (st == WH_OK)
        st = wh_plan_endpoint(&look->planner, &look->stream.from, &look->ep, reterr);
    if (st != WH_OK) {
        wh_look_close(look);
        return st;
    }
    *ret = look;
    return WH_OK;
}

void wh_look_close(struct wh_look *look)
{
    if (!look)
        return;
    if (look->flow)
        wh_plan_flow_free(look->flow);
    for (size_t i = 0; i < look->plan.n_endpoints; i++)
        wh_plan_endpoint_free(look->plan.endpoints[i]);
    wh_planner_done(&look->planner);
    wh_arena_free(look->plan.arena);
}

const char *wh_look_name(const struct wh_look *look)
{
    return look->ep->name;
}

struct wh_endpoint *wh_look_endpoint(struct wh_look *look)
{
    return look->ep;
}

/* ---- check ------------------------------------------------------------------------------------
 */

static int check_endpoint(struct wh_endpoint *ep, struct wh_error *reterr)
{
    void *se;

    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    return ep->connector->endpoint->check ? ep->connector->endpoint->check(ep->ep, se, reterr)
                                          : WH_OK;
}

int wh_look_check(struct wh_look *look, struct wh_error *reterr)
{
    return check_endpoint(look->ep, reterr);
}

int wh_look_grants(struct wh_look *look, wh_grant_fn each, void *arg, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = look->ep->connector->endpoint;
    const struct wh_objref *ref = &look->stream.from;
    bool one = ref->name.n > 0 && !ref->pattern && !ref->whole;
    void *se;

    if (!ops->grants)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                       "%s has no rights to grant: those of its files count", look->ep->name);
    WH_TRY(wh_endpoint_control(look->ep, &se, reterr));
    int st = ops->grants(look->ep->ep, se, one ? &ref->name : NULL, each, arg, reterr);

    return st == WH_END ? WH_OK : st;
}

int wh_check_job(const struct wh_job *job, struct wh_services *services,
                 wh_status (*each)(void *, const char *, const struct wh_error *), void *arg,
                 struct wh_error *reterr)
{
    struct wh_plan plan = {.arena = wh_arena_new(LOOK_ARENA), .job = job, .run = ""};
    struct wh_planner planner = {
        .plan = &plan, .arena = plan.arena, .job = job, .services = services};
    int st = plan.arena ? WH_OK : wh_plan_no_memory(reterr);

    for (size_t i = 0; st == WH_OK && i < 2 * job->n_streams; i++) {
        const struct wh_stream *s = &job->streams[i / 2];
        const struct wh_objref *ref = i % 2 ? &s->to : &s->from;
        size_t before = plan.n_endpoints;
        struct wh_endpoint *ep = NULL;
        struct wh_error err = {0};

        err.status = wh_plan_endpoint(&planner, ref, &ep, &err);
        if (ep && plan.n_endpoints == before)
            continue; /* checked before */
        if (err.status == WH_OK)
            err.status = check_endpoint(ep, &err);
        st = each(arg, ep ? ep->name : ref->text, &err);
    }
    for (size_t i = 0; i < plan.n_endpoints; i++)
        wh_plan_endpoint_free(plan.endpoints[i]);
    wh_arena_free(plan.arena);
    return st == WH_END ? WH_OK : st;
}

/* ---- discover ---------------------------------------------------------------------------------
 */

struct walk {
    struct wh_look *look;
    struct wh_seen_object *v;
    size_t n, cap;
    struct wh_matcher *parts[4];
    bool exact; /* the connector lists what the name means */
    struct wh_error *reterr;
};

static bool everything(const struct wh_pattern *pattern, const struct wh_name *name)
{
    return true;
}

static bool wanted(const struct walk *w, const struct wh_name *name)
{
    const struct wh_objref *ref = &w->look->stream.from;
    int n = ref->whole || w->exact ? 0 : ref->name.n;

    if (n > name->n)
        return false;
    for (int i = 1; i <= n; i++)
        if (!wh_matcher_match(w->parts[n - i], name->part[name->n - i], !ref->pattern))
            return false;
    return true;
}

static wh_status see_object(void *arg, const struct wh_object *object)
{
    static const char *const kinds[] = {"table", "view", "file", "other"};
    struct walk *w = arg;
    struct wh_arena *arena = w->look->plan.arena;

    if (!wanted(w, &object->name))
        return WH_OK;
    if (w->n == w->cap) {
        size_t cap = w->cap ? w->cap * 2 : 32;
        struct wh_seen_object *grown = wh_arena_alloc(arena, cap * sizeof *grown);

        if (!grown)
            return WH_E_NOMEM;
        if (w->n)
            memcpy(grown, w->v, w->n * sizeof *grown);
        w->v = grown;
        w->cap = cap;
    }
    struct wh_seen_object *o = &w->v[w->n];
    struct wh_str last = object->name.part[object->name.n - 1];

    *o = (struct wh_seen_object){.name = wh_plan_name_text(arena, &object->name),
                                 .kind = kinds[object->kind],
                                 .table = wh_arena_strndup(arena, last.s, last.n),
                                 .est_rows = object->est_rows,
                                 .est_bytes = object->est_bytes,
                                 .n_columns = object->columns ? object->columns->n_children : -1,
                                 .comment = wh_arena_strdup(arena, object->comment)};
    if (!o->name || !o->table)
        return WH_E_NOMEM;
    w->n++;
    return WH_OK;
}

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct wh_seen_object *)a)->name,
                  ((const struct wh_seen_object *)b)->name);
}

static int list_objects(struct wh_look *look, struct walk *w, struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = look->ep->connector->endpoint;
    const struct wh_objref *ref = &look->stream.from;
    struct wh_pattern all = {.match = everything};
    void *se;

    if (!ops->catalog)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s cannot list its objects",
                       look->ep->name);
    /* A path is no word to match: folder, glob and file are the storage's own language. */
    w->exact = look->ep->connector->storage && ref->name.n && !ref->whole;
    if (w->exact)
        all.exact = &ref->name;
    for (int i = 0; i < ref->name.n && !ref->whole; i++)
        WH_TRY(wh_matcher_new(&ref->parts[i], &w->parts[i], reterr));
    WH_TRY(wh_endpoint_control(look->ep, &se, reterr));
    int st = ops->catalog(look->ep->ep, se, &all, see_object, w, reterr);

    return st == WH_E_NOMEM ? wh_plan_no_memory(reterr) : st;
}

int wh_look_discover(struct wh_look *look, wh_status (*each)(void *, const struct wh_seen_object *),
                     void *arg, struct wh_error *reterr)
{
    struct walk w = {.look = look, .reterr = reterr};
    int st = list_objects(look, &w, reterr);

    for (size_t i = 0; i < 4; i++)
        wh_matcher_free(w.parts[i]);
    if (st != WH_OK)
        return st;
    if (w.n)
        qsort(w.v, w.n, sizeof *w.v, by_name);
    for (size_t i = 0; st == WH_OK && i < w.n; i++)
        st = each(arg, &w.v[i]);
    return st == WH_END ? WH_OK : st;
}

/* ---- scan -------------------------------------------------------------------------------------
 */

static int open_scan(struct wh_look *look, struct wh_error *reterr)
{
    struct wh_flow *f;

    if (look->flow)
        return WH_OK;
    if (!look->ep->connector->source)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s can only be written, not read",
                       look->ep->connector->name);
    if (look->stream.from.pattern) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1013", "'%s' means several objects",
                         look->stream.from.text);

        wh_error_hint(reterr, "name one of those that 'wherry discover' lists");
        return st;
    }
    f = wh_arena_alloc(look->plan.arena, sizeof *f);
    if (!f)
        return wh_plan_no_memory(reterr);
    f->stream = &look->stream;
    f->from = look->ep;
    f->source = look->stream.from.name;
    f->table = look->stream.from.text;
    f->notes.arena = look->plan.arena;
    look->flow = f;
    int st = wh_plan_source(&look->planner, f, NULL, reterr);

    if (st != WH_OK) {
        wh_plan_flow_free(f);
        look->flow = NULL;
    }
    return st;
}

int wh_look_flow(struct wh_look *look, const struct wh_flow **ret, struct wh_error *reterr)
{
    WH_TRY(open_scan(look, reterr));
    *ret = look->flow;
    return WH_OK;
}

static const char *meta(struct wh_arena *arena, const struct ArrowSchema *field, const char *key)
{
    struct wh_str text;

    return wh_meta_get(field, key, &text) ? wh_arena_strndup(arena, text.s, text.n) : NULL;
}

static int see_column(struct wh_arena *arena, const struct ArrowSchema *field,
                      struct wh_seen_column *ret, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(1 << 16);
    struct wh_type type;
    const char *key = meta(arena, field, WH_META_KEY);

    WH_TRY(wh_type_of(field, &type, reterr));
    if (wh_type_print(&type, &text) != WH_OK)
        return wh_plan_no_memory(reterr);
    *ret = (struct wh_seen_column){.name = field->name,
                                   .type = wh_arena_strdup(arena, text.p),
                                   .native = meta(arena, field, WH_META_TYPE),
                                   .comment = meta(arena, field, WH_META_COMMENT),
                                   .def = meta(arena, field, WH_META_DEFAULT),
                                   .nullable = type.nullable,
                                   .guessed = meta(arena, field, WH_META_GUESSED) != NULL,
                                   .key = key ? (int)strtol(key, NULL, 10) : 0};
    return ret->type ? WH_OK : wh_plan_no_memory(reterr);
}

int wh_look_describe(struct wh_look *look, struct wh_seen_table *ret, struct wh_error *reterr)
{
    struct wh_arena *arena = look->plan.arena;
    struct wh_seen_column *columns;

    WH_TRY(open_scan(look, reterr));
    const struct wh_flow *f = look->flow;

    columns = wh_arena_alloc(arena, ((size_t)f->source_schema.n_children + 1) * sizeof *columns);
    if (!columns)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < f->source_schema.n_children; i++)
        WH_TRY(see_column(arena, f->source_schema.children[i], &columns[i], reterr));
    *ret = (struct wh_seen_table){.name = wh_plan_name_text(arena, &f->source),
                                  .method = f->scan.method,
                                  .note = f->scan.note,
                                  .est_rows = f->scan.est_rows,
                                  .est_bytes = f->scan.est_bytes,
                                  .sampled_rows = f->scan.sampled_rows,
                                  .n_columns = f->source_schema.n_children,
                                  .columns = columns};
    return ret->name ? WH_OK : wh_plan_no_memory(reterr);
}
