/* SPDX-License-Identifier: Apache-2.0 */
/* Making and freeing plans: streams to flows, all refusals together. */
#include "engine/plan_internal.h"

#include "core/errors.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum {
    PLAN_ARENA = 512 << 20,
    EXPECT_ARENA = 16 << 20,
    EXPECT = 500, /* objects at a time */
    FLOWS_MAX = 1000000
};

int wh_plan_no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "out of memory while planning");
}

int wh_plan_copy_str(struct wh_arena *arena, struct wh_str from, struct wh_str *ret)
{
    char *p = wh_arena_strndup(arena, from.n ? from.s : "", from.n);

    if (!p)
        return WH_E_NOMEM;
    *ret = (struct wh_str){p, from.n};
    return WH_OK;
}

int wh_plan_copy_bytes(struct wh_arena *arena, struct wh_bytes from, struct wh_bytes *ret)
{
    void *p = wh_arena_alloc(arena, from.n + 1);

    if (!p)
        return WH_E_NOMEM;
    if (from.n)
        memcpy(p, from.p, from.n);
    *ret = (struct wh_bytes){p, from.n};
    return WH_OK;
}

int wh_plan_copy_name(struct wh_arena *arena, const struct wh_name *from, struct wh_name *ret)
{
    struct wh_name out = {.n = from->n};

    for (int i = 0; i < from->n; i++)
        WH_TRY(wh_plan_copy_str(arena, from->part[i], &out.part[i]));
    *ret = out;
    return WH_OK;
}

const char *wh_plan_name_text(struct wh_arena *arena, const struct wh_name *name)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(64 << 10);

    if (wh_name_print(name, &out) != WH_OK)
        return NULL;
    return wh_arena_strdup(arena, out.p ? out.p : "");
}

const char *wh_plan_target_text(const struct wh_flow *f)
{
    return f->target_text ? f->target_text : f->stream->to.text;
}

/* ---- flows ------------------------------------------------------------------------------------
 */

static struct wh_flow *add_flow(struct wh_planner *p, const struct wh_stream *s,
                                const struct wh_name *source)
{
    struct wh_plan *plan = p->plan;
    struct wh_flow *f = wh_arena_alloc(p->arena, sizeof *f);
    size_t n = plan->n_flows;

    if (!f || n == FLOWS_MAX)
        return NULL;
    if ((n & (n + 1)) == 0) { /* room for 1, 3, 7, 15... */
        struct wh_flow **grown = wh_arena_alloc(p->arena, (n * 2 + 2) * sizeof(struct wh_flow *));

        if (!grown)
            return NULL;
        if (n)
            memcpy(grown, plan->flows, n * sizeof(struct wh_flow *));
        plan->flows = grown;
    }
    plan->flows[plan->n_flows] = f;
    f->index = (int)plan->n_flows++;
    f->generation = 1;
    f->stream = s;
    f->source = *source;
    f->notes.arena = p->arena;
    f->est_units = -1;
    f->scan.method = f->scan.note = f->scan.frame_why = "";
    f->tgt.loses = f->tgt.identity = f->tgt.instant = f->tgt.on_kill = f->tgt.note = "";
    f->tgt.frame_why = f->tgt.alone = "";
    return f;
}

/* Names of tables seen by people, to find doubles among thousands. */
static size_t name_slot(const struct wh_planner *p, const char *name)
{
    size_t i = (size_t)wh_hash64(name, strlen(name), 1) & (p->n_names - 1);

    while (p->names[i] && strcmp(p->names[i], name) != 0)
        i = (i + 1) & (p->n_names - 1);
    return i;
}

static int grow_names(struct wh_planner *p)
{
    const char **old = p->names;
    size_t n = p->n_names;

    if (n && p->plan->n_flows * 2 < n)
        return WH_OK;
    p->n_names = n ? n * 4 : 64;
    p->names = wh_arena_alloc(p->arena, p->n_names * sizeof(char *));
    if (!p->names)
        return WH_E_NOMEM;
    for (size_t i = 0; i < n; i++)
        if (old[i])
            p->names[name_slot(p, old[i])] = old[i];
    return WH_OK;
}

static bool take_name(struct wh_planner *p, const char *name)
{
    size_t i = name_slot(p, name);

    if (p->names[i])
        return false;
    p->names[i] = name;
    return true;
}

/* What people see: the shortest name that no other flow has. */
static int name_flow(struct wh_planner *p, struct wh_flow *f, const char *fallback)
{
    const char *shortest = f->source.n ? wh_source_name(p->arena, &f->source) : fallback;

    if (!shortest || grow_names(p) != WH_OK)
        return WH_E_NOMEM;
    for (int i = 0; i < 4; i++) {
        const char *name = i == 0   ? shortest
                           : i == 1 ? wh_plan_name_text(p->arena, &f->source)
                           : i == 2 ? wh_arena_printf(p->arena, "%s/%s", f->stream->name, shortest)
                                    : wh_arena_printf(p->arena, "%s/%s/%d", f->stream->name,
                                                      shortest, f->index + 1);

        if (!name)
            return WH_E_NOMEM;
        if (*name && (take_name(p, name) || i == 3)) {
            f->table = name;
            return WH_OK;
        }
    }
    return WH_OK;
}

static size_t frozen_slot(const struct wh_planner *p, const char *table)
{
    size_t i = (size_t)wh_hash64(table, strlen(table), 1) & (p->n_frozen_at - 1);

    while (p->frozen_at[i] && strcmp(p->frozen->flows[p->frozen_at[i] - 1].table, table) != 0)
        i = (i + 1) & (p->n_frozen_at - 1);
    return i;
}

static int index_frozen(struct wh_planner *p)
{
    size_t n = p->frozen ? p->frozen->n_flows : 0;

    if (!n)
        return WH_OK;
    for (p->n_frozen_at = 64; p->n_frozen_at < n * 2;)
        p->n_frozen_at *= 2;
    p->frozen_at = wh_arena_alloc(p->arena, p->n_frozen_at * sizeof *p->frozen_at);
    if (!p->frozen_at)
        return WH_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        size_t at = frozen_slot(p, p->frozen->flows[i].table);

        if (!p->frozen_at[at])
            p->frozen_at[at] = (uint32_t)i + 1;
    }
    return WH_OK;
}

static const struct wh_frozen_flow *find_frozen(const struct wh_planner *p, const struct wh_flow *f)
{
    uint32_t at = p->frozen_at ? p->frozen_at[frozen_slot(p, f->table)] : 0;

    return at ? &p->frozen->flows[at - 1] : NULL;
}

const struct wh_error wh_error_unkept = {
    .status = WH_E_NOMEM, .code = "E8002", .message = "out of memory"};

/* Few flows of many fail: an error is larger than all else that is kept of a small table. */
/* What pages say of these is for a run that is under way. */
static void nothing_began(struct wh_error *err)
{
    if (!err->hint[0] && strcmp(err->code, "E2008") == 0)
        wh_error_hint(err, "nothing had begun: start it again");
}

void wh_plan_refuse(struct wh_plan *plan, struct wh_flow *f, const struct wh_error *why)
{
    struct wh_error *own = wh_arena_alloc(plan->arena, sizeof *own);

    if (own)
        *own = *why;
    if (own && !plan->resumed)
        nothing_began(own);
    f->error = own ? own : &wh_error_unkept;
    f->refused = true;
}

static void refused(struct wh_planner *p, struct wh_flow *f, int st, struct wh_error *err)
{
    err->status = st;
    if (!err->code[0])
        wh_ignore(wh_plan_no_memory(err));
    if (!err->where[0])
        wh_error_where(err, "%s", f->stream->where_place);
    wh_plan_refuse(p->plan, f, err);
}

/* A stream that could not be expanded is one refused flow, so that the report is complete. */
static int refuse_stream(struct wh_planner *p, const struct wh_stream *s, struct wh_endpoint *from,
                         struct wh_endpoint *to, int st, struct wh_error *err)
{
    struct wh_flow *f = add_flow(p, s, &s->from.name);

    if (!f)
        return WH_E_NOMEM;
    if (!err->where[0])
        wh_error_where(err, "%s", s->where_place);
    f->from = from;
    f->to = to;
    f->table = s->name;
    refused(p, f, st, err);
    return WH_OK;
}

static bool many_into_one(const struct wh_stream *s, size_t n)
{
    bool named = s->to.name.n > 0;

    for (int i = 0; i < s->to.name.n; i++)
        if (wh_template_in(s->to.name.part[i]))
            return false;
    return n > 1 && named && s->merge == 0 && s->to.connector->url != WH_URL_OBJECT;
}

static int refuse_many(const struct wh_stream *s, size_t n, struct wh_error *err)
{
    int st = wh_fail(err, WH_E_USAGE, "E1027", "%zu tables match '%s', but '%s' is one destination",
                     n, s->from.text, s->to.text);

    wh_error_where(err, "%s", s->where_place);
    wh_error_hint(err, "write {source.table} into the destination's name, or 'merge: same' "
                       "(--merge same) if the rows of all belong into one table");
    return st;
}

/* The frozen run knows its tables; ones that came later do not belong to it. One that knows none
 * was killed before it recorded them. */
static bool belongs(struct wh_planner *p, const struct wh_flow *f)
{
    if (!p->frozen || !p->frozen->n_flows || find_frozen(p, f))
        return true;
    wh_problem_warn(&p->plan->problems, "E7008", f->stream->where_place, NULL,
                    "%s came after the run began and is left out", f->table);
    return false;
}

/* ---- what is asked for next -------------------------------------------------------------------
 */

/* A hint: what fails here fails again, and is told, where the object itself is opened. */
static void expect(struct wh_endpoint *ep, const struct wh_objects *objects, const void *opts,
                   bool targets)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;
    struct wh_error err = {0};
    void *se = NULL;
    int st = wh_endpoint_control(ep, &se, &err);

    if (st == WH_OK)
        st = ops->expect(ep->ep, se, objects, opts, targets, &err);
    if (st == WH_LOST || (st < 0 && err.scope == WH_SCOPE_SESSION))
        wh_endpoint_control_lost(ep);
}

static bool wants_to_know(const struct wh_endpoint *ep)
{
    const struct wh_endpoint_ops *ops = ep->connector->endpoint;

    return ops->size > offsetof(struct wh_endpoint_ops, expect) && ops->expect;
}

static void expect_sources(struct wh_planner *p, const struct wh_stream *s,
                           struct wh_endpoint *from, const struct wh_name *names, size_t n)
{
    struct wh_objects objects = {.v = names, .n = n};
    struct wh_error err;
    void *opts = NULL;

    if (!wants_to_know(from) || wh_plan_options(p->arena, from->connector->from, s->from.options,
                                                s->from.where, &opts, &err) != WH_OK)
        return;
    expect(from, &objects, opts, false);
    if (opts)
        wh_options_wipe(from->connector->from, opts);
}

/* Destinations have the stream's name with {source...} filled in, or the source's. */
static int target_names(struct wh_arena *arena, const struct wh_stream *s,
                        const struct wh_name *names, size_t n, struct wh_name *out)
{
    const struct wh_name *to = &s->to.name;
    struct wh_error err;

    for (size_t i = 0; i < n; i++) {
        out[i] = (struct wh_name){.part = {wh_str(wh_source_name(arena, &names[i]))}, .n = 1};
        if (to->n > 0)
            out[i].n = to->n;
        for (int k = 0; k < to->n; k++)
            WH_TRY(wh_template_expand(arena, to->part[k], &names[i], &out[i].part[k], &err));
    }
    return WH_OK;
}

static void expect_targets(struct wh_planner *p, const struct wh_stream *s, struct wh_endpoint *to,
                           const struct wh_name *names, size_t n)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(EXPECT_ARENA);
    struct wh_name *v = arena ? wh_arena_alloc(arena, n * sizeof *v) : NULL;
    struct wh_objects objects = {.v = v, .n = n};
    struct wh_error err;
    void *opts = NULL;

    if (!wants_to_know(to) || !v || target_names(arena, s, names, n, v) != WH_OK ||
        wh_plan_options(p->arena, to->connector->to, s->to.options, s->to.where, &opts, &err) !=
            WH_OK)
        return;
    expect(to, &objects, opts, true);
    if (opts)
        wh_options_wipe(to->connector->to, opts);
}

static void expect_nothing(struct wh_endpoint *from, struct wh_endpoint *to)
{
    struct wh_objects none = {.n = 0};

    if (wants_to_know(from))
        expect(from, &none, NULL, false);
    if (wants_to_know(to))
        expect(to, &none, NULL, true);
}

/* The source has nothing to read, and was told that this is well. */
static void nothing_there(struct wh_planner *p, struct wh_flow *f)
{
    wh_problem_warn(&p->plan->problems, "E1028", f->stream->from.where, NULL,
                    "%s: there is nothing to read; it is left out", f->table);
    wh_plan_flow_free(f);
    p->plan->n_flows--;
}

/* ---- tables with settings of their own ----------------------------------------------------------
 */

/* Of which stream each object is: the stream itself, one of its overrides; skipped ones are left
 * out of both lists. */
static int choose(struct wh_planner *p, const struct wh_stream *s, struct wh_name *names, size_t *n,
                  const struct wh_stream ***ret, struct wh_error *reterr)
{
    bool *used = wh_arena_alloc(p->arena, s->n_overrides + 1);
    bool *found = wh_arena_alloc(p->arena, s->n_only + 1);
    size_t kept = 0, at = 0, one = 0;

    *ret = wh_arena_alloc(p->arena, (*n + 1) * sizeof **ret);
    if (!used || !found || !*ret)
        return wh_plan_no_memory(reterr);
    for (size_t i = 0; i < *n; i++) {
        const char *full =
            s->n_overrides || s->n_only ? wh_plan_name_text(p->arena, &names[i]) : "";

        if (!full)
            return wh_plan_no_memory(reterr);
        WH_TRY(wh_override_find(s, &names[i], full, &at, reterr));
        used[at] = true;
        WH_TRY(wh_selected_find(s, &names[i], full, &one, reterr));
        found[one] = true;
        if ((at < s->n_overrides && s->overrides[at].skip) || (s->n_only && one == s->n_only))
            continue;
        (*ret)[kept] = at < s->n_overrides ? s->overrides[at].stream : s;
        names[kept++] = names[i];
    }
    for (size_t i = 0; i < s->n_overrides; i++)
        if (!used[i] && !(p->frozen && p->frozen->no_source)) /* which looks at one at a time */
            wh_problem_warn(&p->plan->problems, "E1028", s->overrides[i].where,
                            "names and patterns fit the whole name of a table",
                            "override '%s' of %s fits no table", s->overrides[i].pattern, s->name);
    for (size_t i = 0; i < s->n_only && !p->frozen; i++)
        if (!found[i])
            return wh_fail(reterr, WH_E_USAGE, "E1028", "--select %s/%s: that fits no table of %s",
                           s->name, s->only[i].text, s->name);
    if (*n && !kept && !(s->n_only && p->frozen)) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1028", "every table of %s is skipped by override",
                         s->name);

        wh_error_where(reterr, "%s", s->where_place);
        return st;
    }
    *n = kept;
    return WH_OK;
}

static size_t count_of(const struct wh_stream *s, const struct wh_stream *const *of, size_t n)
{
    size_t count = 0;

    for (size_t i = 0; i < n; i++)
        count += of[i] == s;
    return count;
}

/* An override may send its table elsewhere. */
static int its_target(struct wh_planner *p, struct wh_flow *f, const struct wh_stream *base,
                      struct wh_error *reterr)
{
    if (f->stream == base)
        return WH_OK;
    WH_TRY(wh_plan_check_stream(f->stream, reterr));
    int st = wh_plan_endpoint(p, &f->stream->to, &f->to, reterr);

    if (f->to)
        f->to->is_target = true;
    return st;
}

static int plan_objects(struct wh_planner *p, const struct wh_stream *s, struct wh_endpoint *from,
                        struct wh_endpoint *to, const struct wh_name *names,
                        const struct wh_stream *const *of, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        size_t left = n - i < EXPECT ? n - i : EXPECT;

        if (n > 1 && i % EXPECT == 0) {
            expect_sources(p, s, from, &names[i], left);
            expect_targets(p, s, to, &names[i], left);
        }
        struct wh_name own = names[i];

        if (s->from.pattern && wh_plan_copy_name(p->arena, &names[i], &own) != WH_OK)
            return WH_E_NOMEM; /* the listing goes, and with it its texts */
        struct wh_flow *f = add_flow(p, of[i], &own);
        struct wh_error err = {0};

        if (!f || name_flow(p, f, s->name) != WH_OK)
            return WH_E_NOMEM;
        if (!belongs(p, f)) {
            p->plan->n_flows--;
            continue;
        }
        f->from = from;
        f->to = to;
        int st = its_target(p, f, s, &err);

        if (st == WH_OK)
            st = wh_plan_flow(p, f, find_frozen(p, f), &err);
        if (st == WH_E_NOMEM && !err.code[0])
            wh_ignore(wh_plan_no_memory(&err));
        if (st == WH_END)
            nothing_there(p, f);
        else if (st != WH_OK)
            refused(p, f, st, &err);
    }
    if (n > 1)
        expect_nothing(from, to);
    return WH_OK;
}

/* "schema.table", "stream/table" as name_flow made it: the object's name, its leading parts from
 * the stream where they are plain. */
static int frozen_name(struct wh_planner *p, const struct wh_stream *s, const char *table,
                       struct wh_name *ret)
{
    struct wh_problems problems = {.arena = p->arena};
    struct wh_objref ref = {0};
    size_t n = strlen(s->name);
    int lead;

    if (strncmp(table, s->name, n) == 0 && table[n] == '/')
        table += n + 1;
    *ret = (struct wh_name){.part = {wh_str(table)}, .n = 1};
    if (wh_name_parse(p->arena, table, s->where_place, &ref, &problems) && !ref.pattern &&
        ref.name.n)
        *ret = ref.name;
    lead = s->from.name.n - ret->n;
    if (lead <= 0)
        return WH_OK;
    memmove(ret->part + lead, ret->part, (size_t)ret->n * sizeof *ret->part);
    memcpy(ret->part, s->from.name.part, (size_t)lead * sizeof *ret->part);
    ret->n += lead;
    return WH_OK;
}

/* The flows that the state knows, without a look at the source. */
static int plan_frozen(struct wh_planner *p, const struct wh_stream *s, struct wh_endpoint *from,
                       struct wh_endpoint *to)
{
    for (size_t i = 0; i < p->frozen->n_flows; i++) {
        const struct wh_frozen_flow *was = &p->frozen->flows[i];
        struct wh_name name = s->from.name;
        const struct wh_stream **of = NULL;
        struct wh_error err = {0};
        struct wh_flow *f;
        size_t one = 1;
        int st;

        if (strcmp(was->stream, s->name) != 0)
            continue;
        if (s->from.pattern && !s->query)
            WH_TRY(frozen_name(p, s, was->table, &name));
        st = choose(p, s, &name, &one, &of, &err);
        f = add_flow(p, st == WH_OK && one ? of[0] : s, &name);
        if (!f)
            return WH_E_NOMEM;
        f->table = was->table;
        f->from = from;
        f->to = to;
        if (st == WH_OK)
            st = its_target(p, f, s, &err);
        if (st == WH_OK)
            st = wh_plan_flow(p, f, was, &err);
        if (st != WH_OK)
            refused(p, f, st, &err);
    }
    return WH_OK;
}

static int plan_stream(struct wh_planner *p, const struct wh_stream *s)
{
    bool no_source = p->frozen && p->frozen->no_source;
    struct wh_endpoint *from = NULL, *to = NULL;
    struct wh_error err = {0}, second = {0};
    const struct wh_stream **of = NULL;
    WH_CLEANUP(wh_freep) struct wh_name *names = NULL;
    size_t n = 0;
    int st = wh_plan_check_stream(s, &err);

    if (st == WH_OK)
        st = wh_plan_endpoint(p, &s->from, &from, &err);
    if (from)
        from->is_source = true;
    if (from && no_source)
        st = WH_OK;
    /* The other side is tried as well: all that is wrong is told at once. */
    int st_to = wh_plan_endpoint(p, &s->to, &to, &second);

    if (to)
        to->is_target = true;
    if (st == WH_OK && st_to != WH_OK) {
        st = st_to;
        err = second;
    }
    if (st == WH_OK && no_source)
        return plan_frozen(p, s, from, to);
    if (st == WH_OK)
        st = wh_plan_expand(p, s, from, &names, &n, &err);
    if (st == WH_OK)
        st = choose(p, s, names, &n, &of, &err);
    if (st == WH_OK && many_into_one(s, count_of(s, of, n)))
        st = refuse_many(s, count_of(s, of, n), &err);
    for (size_t i = 0; st == WH_OK && i < s->n_overrides; i++) {
        const struct wh_stream *o = s->overrides[i].stream;

        if (o && many_into_one(o, count_of(o, of, n)))
            st = refuse_many(o, count_of(o, of, n), &err);
    }
    if (st != WH_OK)
        return refuse_stream(p, s, from, to, st, &err);
    return plan_objects(p, s, from, to, names, of, n);
}

/* ---- resume -----------------------------------------------------------------------------------
 */

/* Flows of the frozen run that no longer exist. */
static int check_gone(struct wh_planner *p, struct wh_error *reterr)
{
    size_t n = p->frozen ? p->frozen->n_flows : 0;
    WH_CLEANUP(wh_freep) bool *found = wh_calloc(n + 1, sizeof *found);

    if (!found)
        return wh_plan_no_memory(reterr);
    for (size_t j = 0; n && j < p->plan->n_flows; j++) {
        const struct wh_frozen_flow *f = find_frozen(p, p->plan->flows[j]);

        if (f)
            found[f - p->frozen->flows] = true;
    }
    for (size_t i = 0; i < n; i++) {
        if (found[i])
            continue;
        int st = wh_fail(reterr, WH_E_USAGE, "E7008", "table %s of the run is not there any more",
                         p->frozen->flows[i].table);

        wh_error_hint(reterr, "give the run up with --fresh");
        return st;
    }
    return WH_OK;
}

static int frozen_order(const struct wh_planner *p, const struct wh_flow *f)
{
    const struct wh_frozen_flow *was = find_frozen(p, f);

    return was ? (int)(was - p->frozen->flows) : f->index;
}

/* Numbers of flows are in the state and in markers: they must be those of the frozen run. */
static void check_numbers(struct wh_planner *p)
{
    for (size_t i = 0; p->frozen && i < p->plan->n_flows; i++) {
        struct wh_flow *f = p->plan->flows[i];
        struct wh_error err;

        if (f->refused || frozen_order(p, f) == f->index)
            continue;
        err.status = wh_fail(&err, WH_E_USAGE, "E7008",
                             "%s: the tables of the run are in another order now", f->table);
        wh_error_hint(&err, "give the run up with --fresh");
        wh_plan_refuse(p->plan, f, &err);
    }
}

static int take_snapshots(struct wh_planner *p)
{
    for (size_t i = 0; p->frozen && i < p->frozen->n_snapshots && i < p->plan->n_endpoints; i++) {
        const struct wh_snapshot *was = &p->frozen->snapshots[i];
        struct wh_snapshot *is = &p->plan->endpoints[i]->snapshot;

        if (!was->token.p)
            continue;
        *is = *was;
        if (p->frozen->instants)
            p->plan->endpoints[i]->instants = p->frozen->instants[i];
        WH_TRY(wh_plan_copy_bytes(p->arena, was->token, &is->token));
    }
    return WH_OK;
}

/* ---- the plan ---------------------------------------------------------------------------------
 */

/* The worst of all refusals by the order of exit codes (INTERFACE 6), told first. */
static int worst(const struct wh_plan *plan, struct wh_error *reterr)
{
    static const int order[] = {2, 10, 5, 7, 9, 1};
    const struct wh_flow *found = NULL;
    size_t n = 0, best = sizeof order / sizeof order[0];

    for (size_t i = 0; i < plan->n_flows; i++) {
        const struct wh_flow *f = plan->flows[i];
        int code = f->refused ? wh_error_exit(f->error->code, false) : 0;
        size_t rank = 0;

        if (!f->refused)
            continue;
        n++;
        while (rank < sizeof order / sizeof order[0] && order[rank] != code)
            rank++;
        if (!found || rank < best) {
            found = f;
            best = rank;
        }
    }
    if (!found)
        return WH_OK;
    if (reterr) {
        *reterr = *found->error;
        if (n > 1)
            wh_ignore(wh_fail(reterr, found->error->status, found->error->code,
                              "%s (and %zu more table%s refused: see 'wherry plan')",
                              found->error->message, n - 1, n == 2 ? " is" : "s are"));
        if (n > 1) {
            wh_error_where(reterr, "%s", found->error->where);
            wh_error_hint(reterr, "%s", found->error->hint);
        }
    }
    return found->error->status;
}

static int new_plan(const struct wh_job *job, const struct wh_frozen *frozen, struct wh_plan **ret)
{
    struct wh_arena *arena = wh_arena_new(PLAN_ARENA);
    struct wh_plan *plan = arena ? wh_arena_alloc(arena, sizeof *plan) : NULL;
    char id[32];

    if (!plan) {
        wh_arena_free(arena);
        return WH_E_NOMEM;
    }
    plan->arena = arena;
    plan->job = job;
    plan->problems.arena = arena;
    plan->parallel = wh_plan_parallel(job);
    wh_run_id(id);
    plan->run = wh_arena_strdup(arena, frozen ? frozen->run : job->run_id ? job->run_id : id);
    if (!plan->run) {
        wh_arena_free(arena);
        return WH_E_NOMEM;
    }
    *ret = plan;
    return WH_OK;
}

static void tell_notes(struct wh_plan *plan)
{
    for (size_t i = 0; i < plan->job->notes.n; i++) {
        const struct wh_problem *n = &plan->job->notes.v[i];

        wh_problem_warn(&plan->problems, n->code, n->where, n->hint, "%s", n->message);
    }
}

int wh_plan_make(const struct wh_job *job, struct wh_services *services,
                 const struct wh_frozen *frozen, struct wh_plan **ret, struct wh_error *reterr)
{
    WH_CLEANUP(wh_planner_done)
    struct wh_planner p = {.job = job, .services = services, .frozen = frozen};
    struct wh_error unused;
    int st;

    *ret = NULL;
    reterr = reterr ? reterr : &unused;
    if (new_plan(job, frozen, &p.plan) != WH_OK)
        return wh_plan_no_memory(reterr);
    *ret = p.plan;
    p.arena = p.plan->arena;
    if (index_frozen(&p) != WH_OK)
        return wh_plan_no_memory(reterr);
    p.plan->no_source = frozen && frozen->no_source;
    p.plan->resumed = frozen != NULL;
    tell_notes(p.plan);
    for (size_t i = 0; i < job->n_streams; i++)
        if (plan_stream(&p, &job->streams[i]) != WH_OK)
            return wh_plan_no_memory(reterr);
    if (take_snapshots(&p) != WH_OK || wh_plan_targets(&p) != WH_OK)
        return wh_plan_no_memory(reterr);
    check_numbers(&p);
    st = worst(p.plan, reterr);
    if (st == WH_OK)
        st = check_gone(&p, reterr);
    if (st == WH_OK)
        st = wh_plan_memory(&p, reterr);
    return st;
}

void wh_plan_free(struct wh_plan *plan)
{
    if (!plan)
        return;
    for (size_t i = plan->n_flows; i > 0; i--)
        wh_plan_flow_free(plan->flows[i - 1]);
    for (size_t i = plan->n_endpoints; i > 0; i--)
        wh_plan_endpoint_free(plan->endpoints[i - 1]);
    wh_arena_free(plan->arena);
}
