/* SPDX-License-Identifier: Apache-2.0 */
/* From a stream to its source objects: one name, a pattern, a whole database. */
#include "engine/plan_internal.h"

#include <stdlib.h>
#include <string.h>

enum {
    OBJECTS_MAX = 1000000,
    LISTING_ARENA = 512 << 20
};

/* ---- the catalogue, once per endpoint ---------------------------------------------------------
 */

static bool everything(const struct wh_pattern *pattern, const struct wh_name *name)
{
    return true;
}

static wh_status add_object(void *arg, const struct wh_object *object)
{
    struct wh_listing *l = arg;

    if (l->n == OBJECTS_MAX)
        return WH_E_LIMIT;
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 32;
        struct wh_listed *grown = wh_realloc(l->v, cap * sizeof *grown);

        if (!grown)
            return WH_E_NOMEM;
        l->v = grown;
        l->cap = cap;
    }
    l->v[l->n].kind = object->kind;
    WH_TRY(wh_plan_copy_name(l->arena, &object->name, &l->v[l->n].name));
    l->n++;
    return WH_OK;
}

static int compare_names(const struct wh_name *a, const struct wh_name *b)
{
    for (int i = 0; i < a->n && i < b->n; i++) {
        size_t n = a->part[i].n < b->part[i].n ? a->part[i].n : b->part[i].n;
        int order = n ? memcmp(a->part[i].s, b->part[i].s, n) : 0;

        if (order || a->part[i].n != b->part[i].n)
            return order ? order : a->part[i].n < b->part[i].n ? -1 : 1;
    }
    return a->n - b->n;
}

static int by_name(const void *a, const void *b)
{
    return compare_names(&((const struct wh_listed *)a)->name,
                         &((const struct wh_listed *)b)->name);
}

static int room_for(struct wh_planner *p, int index)
{
    size_t n = p->plan->n_endpoints;

    if ((size_t)index < p->n_listings)
        return WH_OK;
    struct wh_listing *grown = wh_arena_alloc(p->arena, n * sizeof *grown);

    if (!grown)
        return WH_E_NOMEM;
    if (p->n_listings)
        memcpy(grown, p->listings, p->n_listings * sizeof *grown);
    p->listings = grown;
    p->n_listings = n;
    return WH_OK;
}

int wh_plan_listing(struct wh_planner *p, struct wh_endpoint *ep, struct wh_listing **ret,
                    struct wh_error *reterr)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_pattern all = {.match = everything};
    void *se;

    if (!ops->catalog)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060", "%s cannot list its objects", ep->name);
    if (room_for(p, ep->index) != WH_OK)
        return wh_plan_no_memory(reterr);
    struct wh_listing *l = &p->listings[ep->index];

    *ret = l;
    if (l->done)
        return WH_OK;
    l->n = 0;
    if (!l->arena && !(l->arena = wh_arena_new(LISTING_ARENA)))
        return wh_plan_no_memory(reterr);
    WH_TRY(wh_endpoint_control(ep, &se, reterr));
    int st = ops->catalog(ep->ep, se, &all, add_object, l, reterr);

    if (st == WH_E_NOMEM)
        return wh_plan_no_memory(reterr);
    if (st == WH_E_LIMIT)
        return wh_fail(reterr, st, "E8001", "%s lists more than %d objects", ep->name, OBJECTS_MAX);
    if (st != WH_OK)
        return st;
    if (l->n)
        qsort(l->v, l->n, sizeof *l->v, by_name);
    l->done = true;
    return WH_OK;
}

void wh_planner_done(struct wh_planner *p)
{
    for (size_t i = 0; i < p->n_listings; i++) {
        wh_free(p->listings[i].v);
        wh_arena_free(p->listings[i].arena);
    }
    p->n_listings = 0;
}

/* ---- matching ---------------------------------------------------------------------------------
 */

static int match_part(const struct wh_part *part, struct wh_str name, bool ignore_case, bool *ret,
                      struct wh_error *reterr)
{
    struct wh_matcher *m;

    WH_TRY(wh_matcher_new(part, &m, reterr));
    *ret = wh_matcher_match(m, name, ignore_case);
    wh_matcher_free(m);
    return WH_OK;
}

int wh_plan_match(const struct wh_objref *ref, const struct wh_name *name, bool ignore_case,
                  bool *ret, struct wh_error *reterr)
{
    *ret = ref->whole || ref->name.n <= name->n;
    if (ref->whole)
        return WH_OK;
    for (int i = 1; *ret && i <= ref->name.n; i++)
        WH_TRY(match_part(&ref->parts[ref->name.n - i], name->part[name->n - i], ignore_case, ret,
                          reterr));
    return WH_OK;
}

/* exclude: patterns over the last part, or over "schema.table" where they have a dot. */
static int excluded(struct wh_planner *p, const struct wh_objref *ref, const struct wh_name *name,
                    bool *ret, struct wh_error *reterr)
{
    struct wh_problems problems = {.arena = p->arena};

    *ret = false;
    for (size_t i = 0; i < ref->exclude.n && !*ret; i++) {
        struct wh_str text = wh_str(ref->exclude.v[i]), last = name->part[name->n - 1];
        struct wh_part part;

        if (!wh_part_parse(p->arena, text, ref->where, &part, &problems))
            return wh_fail(reterr, WH_E_USAGE, "E1025", "exclude: '%s'", ref->exclude.v[i]);
        if (memchr(text.s, '.', text.n) && part.kind != WH_PART_REGEX && name->n > 1)
            last = wh_str(wh_plan_name_text(p->arena, name));
        WH_TRY(match_part(&part, last, false, ret, reterr));
    }
    return WH_OK;
}

/* Matchers of a pattern's parts, compiled once for a whole catalogue. */
struct matching {
    struct wh_matcher *parts[4];
};

static void matching_free(struct matching *m)
{
    for (size_t i = 0; i < 4; i++)
        wh_matcher_free(m->parts[i]);
}

static int matching_new(const struct wh_objref *ref, struct matching *ret, struct wh_error *reterr)
{
    for (int i = 0; i < ref->name.n && !ref->whole; i++)
        WH_TRY(wh_matcher_new(&ref->parts[i], &ret->parts[i], reterr));
    return WH_OK;
}

static bool matches(const struct wh_objref *ref, const struct matching *m,
                    const struct wh_name *name)
{
    int n = ref->whole ? 0 : ref->name.n;

    if (n > name->n)
        return false;
    for (int i = 1; i <= n; i++)
        if (!wh_matcher_match(m->parts[n - i], name->part[name->n - i], false))
            return false;
    return true;
}

static int pick(struct wh_planner *p, const struct wh_stream *s, struct wh_listing *l,
                struct wh_name *out, size_t *ret_n, size_t *ret_views, struct wh_error *reterr)
{
    WH_CLEANUP(matching_free) struct matching m = {{NULL}};

    WH_TRY(matching_new(&s->from, &m, reterr));
    for (size_t i = 0; i < l->n; i++) {
        bool left_out;

        if (!matches(&s->from, &m, &l->v[i].name))
            continue;
        WH_TRY(excluded(p, &s->from, &l->v[i].name, &left_out, reterr));
        if (left_out)
            continue;
        if (l->v[i].kind == WH_OBJ_TABLE || l->v[i].kind == WH_OBJ_FILE)
            out[(*ret_n)++] = l->v[i].name;
        else
            ++*ret_views;
    }
    return WH_OK;
}

/* Without the connection, which was named already. */
static const char *object_text(const struct wh_objref *ref)
{
    const char *hash = strstr(ref->text, "://") ? strchr(ref->text, '#') : NULL;

    return hash ? hash + 1 : ref->text;
}

static int nothing(struct wh_arena *arena, const struct wh_stream *s, struct wh_endpoint *ep,
                   size_t objects, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1028", "nothing of %s matches '%s' (%zu objects there)",
                     ep->name, s->from.whole ? "*" : object_text(&s->from), objects);

    wh_error_where(reterr, "%s", s->from.where);
    wh_error_hint(reterr, "patterns match the whole name; look with: wherry discover %s",
                  wh_plan_connection_text(arena, ep, &s->from));
    return st;
}

int wh_plan_expand(struct wh_planner *p, const struct wh_stream *s, struct wh_endpoint *ep,
                   struct wh_name **ret, size_t *ret_n, struct wh_error *reterr)
{
    struct wh_listing *l;
    size_t views = 0;

    *ret_n = 0;
    if (!s->from.pattern || s->query) {
        *ret = wh_alloc(sizeof **ret);
        if (!*ret)
            return wh_plan_no_memory(reterr);
        **ret = s->from.name;
        *ret_n = 1;
        return WH_OK;
    }
    if (!(ep->connector->caps->flags & WH_CAP_WHOLE_DATABASE))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                       "%s has no list of tables, so patterns cannot be used with it",
                       ep->connector->name);
    WH_TRY(wh_plan_listing(p, ep, &l, reterr));
    *ret = wh_alloc((l->n + 1) * sizeof **ret);
    if (!*ret)
        return wh_plan_no_memory(reterr);
    WH_TRY(pick(p, s, l, *ret, ret_n, &views, reterr));
    if (*ret_n == 0)
        return nothing(p->arena, s, ep, l->n, reterr);
    if (views)
        wh_problem_warn(&p->plan->problems, "E1028", s->from.where,
                        "name a view to copy its rows as a table",
                        "%zu view%s of %s %s left out: patterns take tables only", views,
                        views == 1 ? "" : "s", ep->name, views == 1 ? "is" : "are");
    return WH_OK;
}
