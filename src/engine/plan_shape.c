/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/plan_shape.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/plan_internal.h"

enum {
    KEYS_MAX = 64
};

const char *const wh_shape_kinds[] = {"table", "missing", "extra", "type", "nullable", "key"};

struct shaping {
    struct wh_planner planner; /* of the plan */
    struct wh_flow *f;
    struct ArrowSchema want; /* what the destination would make; not there: release is NULL */
    struct wh_flow has;      /* the destination, read as a source */
    struct wh_stream stream; /* of `has` */
    struct wh_shape out;
    size_t cap;
};

/* ---- what the destination would make ----------------------------------------------------------
 */

/* The same table under a name that nobody has. */
static int another_name(struct shaping *s, struct wh_name *ret)
{
    const struct wh_name *object = s->f->target.n ? &s->f->target : &s->f->source;
    const char *name =
        wh_arena_printf(s->planner.arena, "wherry_diff_%016llx",
                        (unsigned long long)wh_hash64(s->f->table, strlen(s->f->table), 7));

    *ret = *object;
    if (s->f->target.n == 0)
        *ret = (struct wh_name){.n = 1};
    ret->part[ret->n - 1] = wh_str(name);
    return name ? WH_OK : WH_E_NOMEM;
}

/* What fails here only leaves `want` out. */
static void ask_new(struct shaping *s)
{
    const struct wh_sink_ops *ops = s->f->to->connector->sink;
    WH_CLEANUP(wh_freep) void *fl = wh_calloc(1, ops->fl_size ? ops->fl_size : 1);
    struct wh_flow copy = *s->f;
    struct wh_target io;
    struct wh_error err = {0};
    void *se;

    if (!fl || another_name(s, &copy.target) != WH_OK ||
        wh_endpoint_control(s->f->to, &se, &err) != WH_OK)
        return;
    copy.frozen = NULL;
    wh_plan_ask_target(&copy, &io);
    io.mode = WH_MODE_APPEND;
    io.create = WH_CREATE_IF_MISSING;
    io.evolve = WH_EVOLVE_NONE;
    io.atomic_asked = false;
    io.replace_where = NULL;
    io.replace_keys = false;
    io.before = io.after = NULL;
    io.n_before = io.n_after = 0;
    int st = ops->target_open(fl, s->f->to->ep, se, &io, &err);

    if (st == WH_OK && io.accept.release)
        wh_ignore(wh_schema_copy(&io.accept, &s->want));
    wh_schema_release(&io.accept); /* may be lent by the target */
    if (ops->target_close)
        ops->target_close(fl);
    if (st == WH_LOST || (st < 0 && err.scope == WH_SCOPE_SESSION))
        wh_endpoint_control_lost(s->f->to);
}

/* ---- what it has ------------------------------------------------------------------------------
 */

/* Options of the destination that its source side has as well: how a file is written and read. */
static int shared_options(struct shaping *s, struct wh_node **ret)
{
    const struct wh_options *table = s->f->to->connector->from;
    const struct wh_node *to = s->f->stream->to.options;

    *ret = wh_node_map(s->planner.arena);
    for (size_t i = 0; *ret && to && table && i < to->n; i++)
        if (wh_options_find(table, wh_str(to->keys[i]->text)) &&
            strcmp(to->keys[i]->text, "path") != 0)
            WH_TRY(wh_node_put(s->planner.arena, *ret, to->keys[i]->text, to->items[i]));
    return *ret ? WH_OK : WH_E_NOMEM;
}

static bool not_there(int st, const struct wh_error *err)
{
    return st == WH_E_NOT_FOUND || st == WH_END || strcmp(err->code, "E3001") == 0 ||
           strcmp(err->code, "E4001") == 0 || strcmp(err->code, "E1028") == 0;
}

/* *ret_st: OK, or why it cannot be read. */
static int look(struct shaping *s, int *ret_st, struct wh_error *err)
{
    struct wh_flow *f = s->f;

    s->stream = (struct wh_stream){.name = f->stream->name, .where_place = f->stream->where_place};
    s->stream.from = f->stream->to;
    s->stream.from.name.n = 0; /* found as it is, or not at all */
    WH_TRY(shared_options(s, &s->stream.from.options));
    s->has = (struct wh_flow){.stream = &s->stream,
                              .from = f->to,
                              .table = f->table,
                              .source = f->tgt.ret_object.n ? f->tgt.ret_object
                                        : f->target.n       ? f->target
                                                            : f->source};
    s->has.notes.arena = s->planner.arena;
    if (!f->tgt.ret_object.n && !f->target.n)
        s->has.source = (struct wh_name){
            .part = {wh_str(wh_source_name(s->planner.arena, &f->source))}, .n = 1};
    *ret_st = wh_plan_source(&s->planner, &s->has, NULL, err);
    return *ret_st == WH_E_NOMEM ? WH_E_NOMEM : WH_OK;
}

/* ---- differences ------------------------------------------------------------------------------
 */

/* Copies: names stand in schemas that go with the look at this table. */
static int add(struct shaping *s, enum wh_shape_kind kind, const char *column, const char *source,
               const char *destination, const char *note)
{
    struct wh_arena *a = s->planner.arena;
    struct wh_shape_difference d = {kind, wh_arena_strdup(a, column), wh_arena_strdup(a, source),
                                    wh_arena_strdup(a, destination), note};

    if ((column && !d.column) || (source && !d.source) || (destination && !d.destination))
        return WH_E_NOMEM;
    if (s->out.n == s->cap) {
        size_t cap = s->cap ? s->cap * 2 : 16;
        struct wh_shape_difference *v = wh_arena_alloc(s->planner.arena, cap * sizeof *v);

        if (!v)
            return WH_E_NOMEM;
        if (s->out.n)
            memcpy(v, s->out.v, s->out.n * sizeof *v);
        s->out.v = v;
        s->cap = cap;
    }
    s->out.v[s->out.n++] = d;
    return WH_OK;
}

static const char *type_text(struct shaping *s, const struct ArrowSchema *field, bool nulls)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 16);
    struct wh_type type;

    if (wh_type_of(field, &type, NULL) != WH_OK)
        return field->format ? field->format : "?";
    bool nullable = type.nullable;

    type.nullable = true;
    if (wh_type_print(&type, &out) != WH_OK)
        return NULL;
    if (nulls && !nullable)
        wh_ignore(wh_buf_adds(&out, " not null"));
    return wh_arena_strdup(s->planner.arena, out.p);
}

static bool has_meta(const struct ArrowSchema *field, const char *key)
{
    struct wh_str text;

    return wh_meta_get(field, key, &text) && text.n;
}

static const struct ArrowSchema *child(const struct ArrowSchema *schema, const char *name)
{
    int64_t at = schema->release ? wh_schema_find(schema, wh_str(name), false) : -1;

    if (at < 0 && schema->release)
        at = wh_schema_find(schema, wh_str(name), true);
    return at < 0 ? NULL : schema->children[at];
}

static bool nullable(const struct ArrowSchema *field)
{
    return field->flags & ARROW_FLAG_NULLABLE;
}

/* A column that is in both. */
static int both(struct shaping *s, const struct ArrowSchema *mapped, const struct ArrowSchema *has)
{
    const struct ArrowSchema *made = child(&s->want, mapped->name);
    const struct ArrowSchema *taken = s->f->refused ? NULL : child(&s->f->tgt.accept, mapped->name);
    const struct ArrowSchema *want = made ? made : mapped, *is = made && taken ? taken : has;
    const char *a = type_text(s, want, false), *b = type_text(s, is, false);

    if (!a || !b)
        return WH_E_NOMEM;
    if (s->f->to->connector->storage || has_meta(mapped, WH_META_GUESSED))
        return WH_OK;
    if (strcmp(a, b) != 0)
        WH_TRY(add(s, WH_SHAPE_TYPE, mapped->name, a, b, NULL));
    if (nullable(want) != nullable(has) && !has_meta(has, WH_META_GUESSED))
        WH_TRY(add(s, WH_SHAPE_NULLABLE, mapped->name, nullable(want) ? "nullable" : "not null",
                   nullable(has) ? "nullable" : "not null",
                   nullable(want) ? "a NULL would be a dirty row" : NULL));
    return WH_OK;
}

static int columns(struct shaping *s)
{
    const struct ArrowSchema *mapped = &s->f->mapped, *has = &s->has.source_schema;
    bool evolves = s->f->stream->evolve != WH_EVOLVE_NONE;

    for (int64_t i = 0; i < mapped->n_children; i++) {
        const struct ArrowSchema *m = mapped->children[i], *there = child(has, m->name);
        const struct ArrowSchema *made = child(&s->want, m->name);

        if (there)
            WH_TRY(both(s, m, there));
        else
            WH_TRY(add(s, WH_SHAPE_MISSING, m->name, type_text(s, made ? made : m, true), NULL,
                       s->f->to->connector->storage ? NULL
                       : evolves                    ? "will be added (evolve)"
                                                    : "--evolve add would add it"));
    }
    for (int64_t i = 0; i < has->n_children; i++) {
        const struct ArrowSchema *h = has->children[i];
        bool filled = nullable(h) || has_meta(h, WH_META_DEFAULT) ||
                      has_meta(h, WH_META_GENERATED) || s->f->to->connector->storage;

        if (!child(mapped, h->name))
            WH_TRY(add(s, WH_SHAPE_EXTRA, h->name, NULL, type_text(s, h, true),
                       filled ? NULL : "not null and without a default: no row could be added"));
    }
    return WH_OK;
}

/* "id, day"; NULL: no key. */
static const char *key_of(struct shaping *s, const struct ArrowSchema *schema)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 16);
    const char *names[KEYS_MAX] = {NULL};

    for (int64_t i = 0; i < schema->n_children; i++) {
        struct wh_str at;
        long n = wh_meta_get(schema->children[i], WH_META_KEY, &at) && at.n < 8
                     ? strtol(at.s, NULL, 10)
                     : 0;

        if (n > 0 && n <= KEYS_MAX)
            names[n - 1] = schema->children[i]->name;
    }
    for (size_t i = 0; i < KEYS_MAX; i++)
        if (names[i])
            wh_ignore(wh_buf_printf(&out, "%s%s", out.n ? ", " : "", names[i]));
    return out.n ? wh_arena_strdup(s->planner.arena, out.p) : NULL;
}

static const char *wanted_key(struct shaping *s)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 16);
    const struct wh_list *keys = &s->f->stream->write.keys;

    for (size_t i = 0; i < keys->n; i++)
        wh_ignore(wh_buf_printf(&out, "%s%s", i ? ", " : "", keys->v[i]));
    if (out.n)
        return wh_arena_strdup(s->planner.arena, out.p);
    return s->f->stream->drop.keys ? NULL : key_of(s, &s->f->mapped);
}

/* Files know no keys: there is nothing that a table's own could differ from. */
static int keys(struct shaping *s)
{
    const char *want = wanted_key(s), *has = key_of(s, &s->has.source_schema);

    if (s->f->to->connector->storage || (!want && s->f->from->connector->storage))
        return WH_OK;
    if ((!want && !has) || (want && has && strcmp(want, has) == 0))
        return WH_OK;
    return add(s, WH_SHAPE_KEY, NULL, want, has, NULL);
}

/* ---- one table --------------------------------------------------------------------------------
 */

static int compare(struct shaping *s)
{
    struct wh_error err = {0};
    int st;

    if (!s->f->mapped.release) {
        s->out.unseen = "the source could not be planned";
        return WH_OK;
    }
    if (!s->f->to->connector->source) {
        s->out.unseen = "the destination cannot be read";
        return WH_OK;
    }
    WH_TRY(look(s, &st, &err));
    if (st != WH_OK && not_there(st, &err))
        return add(s, WH_SHAPE_TABLE, NULL, "planned", NULL,
                   s->f->stream->create == WH_CREATE_NEVER ? "create: never" : "it would be made");
    if (st != WH_OK) {
        s->out.unseen = wh_arena_printf(s->planner.arena, "%s %s", err.code, err.message);
        return s->out.unseen ? WH_OK : WH_E_NOMEM;
    }
    s->out.exists = true;
    if (!s->f->to->connector->storage)
        ask_new(s);
    WH_TRY(columns(s));
    return keys(s);
}

static int one(struct wh_plan *plan, struct wh_services *services, struct wh_flow *f,
               struct wh_shape *ret, struct wh_error *reterr)
{
    struct shaping s = {.f = f, .out = {.flow = f}};

    s.planner = (struct wh_planner){
        .plan = plan, .arena = plan->arena, .job = plan->job, .services = services};
    int st = f->from && f->to ? compare(&s) : WH_OK;

    if (!f->from || !f->to)
        s.out.unseen = "not reached";
    if (s.has.from)
        wh_plan_flow_free(&s.has);
    wh_schema_release(&s.want);
    wh_planner_done(&s.planner);
    *ret = s.out;
    return st == WH_E_NOMEM ? wh_plan_no_memory(reterr) : st;
}

int wh_plan_shapes(struct wh_plan *plan, struct wh_services *services,
                   wh_status (*each)(void *, const struct wh_shape *), void *arg,
                   struct wh_error *reterr)
{
    for (size_t i = 0; i < plan->n_flows; i++) {
        struct wh_shape shape;

        WH_TRY(one(plan, services, plan->flows[i], &shape, reterr));
        int st = each(arg, &shape);

        if (st != WH_OK)
            return st == WH_END ? WH_OK : st;
    }
    return WH_OK;
}
