/* SPDX-License-Identifier: Apache-2.0 */
/* One flow: options, scan, mapping, target, steps. */
#include "engine/plan_internal.h"

#include "core/clock.h"
#include "core/log.h"
#include "data/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNIT_BYTES = 64 << 20,
    STEPS_MAX = 100000
};

/* ---- options ----------------------------------------------------------------------------------
 */

/* Further files of one source go into its option `path`, if it has one. */
static int add_more(struct wh_planner *p, struct wh_flow *f, struct wh_node **map,
                    struct wh_error *reterr)
{
    const struct wh_objref *from = &f->stream->from;
    const struct wh_options *table = f->from->connector->from;
    const struct wh_option *row = table ? wh_options_find(table, WH_STR("path")) : NULL;
    struct wh_node *list, *copy;

    *map = from->options;
    if (from->more.n == 0)
        return WH_OK;
    list = wh_node_list(p->arena);
    copy = wh_node_map(p->arena);
    if (!row || row->type != WH_T_LIST)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1011", "%s reads one object at a time",
                       f->from->connector->name);
    for (size_t i = 0; list && i < from->more.n; i++)
        if (wh_node_push(p->arena, list, wh_node_scalar(p->arena, from->more.v[i])) != WH_OK)
            return wh_plan_no_memory(reterr);
    for (size_t i = 0; copy && from->options && i < from->options->n; i++)
        if (wh_node_put(p->arena, copy, from->options->keys[i]->text, from->options->items[i]) !=
            WH_OK)
            return wh_plan_no_memory(reterr);
    if (!list || !copy || wh_node_put(p->arena, copy, "path", list) != WH_OK)
        return wh_plan_no_memory(reterr);
    *map = copy;
    return WH_OK;
}

static int fill_from(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_connector *from = f->from->connector;
    struct wh_node *map;

    WH_TRY(add_more(p, f, &map, reterr));
    WH_TRY(
        wh_plan_options(p->arena, from->from, map, f->stream->from.where, &f->from_opts, reterr));
    int st = from->validate ? from->validate(f->from->opts, f->from_opts, NULL, reterr) : WH_OK;

    if (st != WH_OK)
        wh_error_where(reterr, "%s", f->stream->from.where);
    return st;
}

static int fill_to(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_connector *to = f->to->connector;

    WH_TRY(wh_plan_options(p->arena, to->to, f->stream->to.options, f->stream->to.where,
                           &f->to_opts, reterr));
    int st = to->validate ? to->validate(f->to->opts, NULL, f->to_opts, reterr) : WH_OK;

    if (st != WH_OK)
        wh_error_where(reterr, "%s", f->stream->to.where);
    return st;
}

/* ---- source -----------------------------------------------------------------------------------
 */

/* WH_TEST_UNIT_BYTES: tests want many units of little data, below what `split` may ask for. */
static int64_t wanted_unit(const struct wh_stream *s)
{
    const char *test = getenv("WH_TEST_UNIT_BYTES");
    int64_t n;

    if (s->split_none)
        return INT64_MAX / 4;
    if (s->split_bytes)
        return s->split_bytes;
    return test && wh_read_i64(test, strlen(test), &n) && n > 0 ? n : UNIT_BYTES;
}

static void ask_scan(const struct wh_planner *p, struct wh_flow *f, struct wh_scan *ret)
{
    const struct wh_stream *s = f->stream;

    *ret = (struct wh_scan){
        .places = wh_plan_places(p, s),
        .object = &f->source,
        .opts = f->from_opts,
        .ctx = &f->from->ctx,
        .columns = (const char *const *)f->projection,
        .n_columns = f->n_projection,
        .where = s->where,
        .query = s->query,
        .limit = s->limit,
        .parallel = p->plan->parallel,
        .unit_bytes = wanted_unit(s),
        .types = wh_plan_read_types(p, f),
        .frames = f->to ? f->to->connector->caps->frames : NULL,
        .max_row_bytes = s->max_row_bytes,
        .split_by = s->split_by,
        .parts = s->split_parts,
        .unit_rows = s->split_rows,
        .range_from = s->split_range.n ? s->split_range.v[0] : NULL,
        .range_to = s->split_range.n ? s->split_range.v[1] : NULL,
        .as_of = p->job ? p->job->as_of : NULL,
        .no_snapshot = p->job && p->job->run.consistent == 2,
        .frozen = f->frozen && f->frozen->source.release ? &f->frozen->source : NULL,
        .est_rows = -1,
        .est_bytes = -1,
    };
}

/* Most connectors say nothing most of the time, or the same of every table: what was said a moment
 * ago is not kept twice. */
static int keep_words(struct wh_plan *plan, const char *words, const char **ret)
{
    const size_t slots = sizeof plan->said / sizeof *plan->said;
    const char **said = &plan->said[wh_hash64(words, strlen(words), 0) % slots];

    *ret = "";
    if (!words[0])
        return WH_OK;
    if (!*said || strcmp(*said, words) != 0)
        *said = wh_arena_strdup(plan->arena, words);
    *ret = *said;
    return *ret ? WH_OK : WH_E_NOMEM;
}

static int keep_scan(struct wh_planner *p, struct wh_flow *f, const struct wh_scan *io,
                     struct wh_error *reterr)
{
    f->scan = (struct wh_flow_scan){.limit = io->limit,
                                    .unit_bytes = io->unit_bytes,
                                    .frame = io->frame,
                                    .limit_done = io->limit_done,
                                    .physical = io->physical,
                                    .splittable = io->splittable,
                                    .chained = io->chained,
                                    .resumable = io->resumable,
                                    .max_readers = io->max_readers,
                                    .pins = io->pins,
                                    .est_rows = io->est_rows,
                                    .est_bytes = io->est_bytes,
                                    .sampled_rows = io->sampled_rows};
    if (wh_schema_pack(&f->source_schema) != WH_OK ||
        keep_words(p->plan, io->method, &f->scan.method) != WH_OK ||
        keep_words(p->plan, io->identity, &f->scan.identity) != WH_OK ||
        keep_words(p->plan, io->note, &f->scan.note) != WH_OK ||
        keep_words(p->plan, io->frame_why, &f->scan.frame_why) != WH_OK ||
        wh_plan_copy_bytes(p->arena, io->ret_bounds, &f->scan.ret_bounds) != WH_OK ||
        (io->origin && !(f->scan.origin = wh_arena_strdup(p->arena, io->origin))) ||
        (io->say_warn.n && wh_plan_copy_str(p->arena, io->say_warn, &f->scan.say_warn) != WH_OK) ||
        (io->comment.n && wh_plan_copy_str(p->arena, io->comment, &f->scan.comment) != WH_OK))
        return wh_plan_no_memory(reterr);
    return WH_OK;
}

static int alloc_zeroed(void **ret, size_t n, struct wh_error *reterr)
{
    *ret = wh_calloc(1, n ? n : 1);
    return *ret ? WH_OK : wh_plan_no_memory(reterr);
}

static void close_scan(struct wh_flow *f)
{
    if (f->sc_called && f->from->connector->source->scan_close)
        f->from->connector->source->scan_close(f->sc);
    wh_free(TAKE_PTR(f->sc));
    f->sc_called = false;
    wh_schema_release(&f->source_schema);
    f->source_schema.release = NULL;
}

/* A failure of the control session is the endpoint's: the next verb gets another one. */
static int after(struct wh_endpoint *ep, int st, struct wh_error *reterr, const char *where)
{
    if (st == WH_LOST || (st < 0 && reterr->scope == WH_SCOPE_SESSION)) {
        wh_endpoint_control_lost(ep);
        if (st == WH_LOST)
            st = wh_fail(reterr, WH_E_IO, "E2008", "%s: the connection was lost", ep->name);
    }
    if (st == WH_BLOCKED && reterr->code[0]) /* who holds the lock is said already */
        st = reterr->status = WH_E_REMOTE;
    if (st > 0)
        st = wh_fail(reterr, WH_E_BUG, "E9003", "%s answered %s while planning", ep->name,
                     wh_status_name(st));
    if (st == WH_E_NOMEM && !reterr->code[0])
        wh_plan_no_memory(reterr);
    if (st < 0 && !reterr->code[0])
        st = wh_fail(reterr, st, "E9003", "%s failed (%s) and does not say why", ep->name,
                     wh_status_name(st));
    if (st < 0 && !reterr->where[0])
        wh_error_where(reterr, "%s", where);
    return st;
}

/* What is destroyed after it was read must be somewhere else by then. */
static int keeps_rows(const struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_objref *to = &f->stream->to;
    bool into_pipe = to->name.n == 1 && wh_str_eqs(to->name.part[0], "-");

    if (!into_pipe && !(to->connector->caps->flags & WH_CAP_KEEPS_NOTHING))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_USAGE, "E1007",
                     "%s: what is read would be deleted, and '%s' keeps no row of it",
                     f->table ? f->table : f->stream->name, to->text);
    wh_error_where(reterr, "%s", f->stream->from.where);
    wh_error_hint(reterr, "leave after_read out, or name a destination that keeps the rows");
    return st;
}

static int open_scan(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                     struct wh_error *reterr)
{
    const struct wh_source_ops *ops = f->from->connector->source;
    struct wh_scan io;
    void *se;

    ask_scan(p, f, &io);
    if (frozen)
        io.bounds = frozen->bounds;
    if (wh_plan_computed(p, f->stream, &io) != WH_OK)
        return wh_plan_no_memory(reterr);
    WH_TRY(wh_endpoint_control(f->from, &se, reterr));
    WH_TRY(alloc_zeroed(&f->sc, ops->sc_size, reterr));
    f->sc_called = true;
    reterr->code[0] = reterr->where[0] = 0;
    int st = ops->scan_open(f->sc, f->from->ep, se, &io, &f->source_schema, reterr);

    if (st < 0 && io.computed_bad && !reterr->where[0])
        wh_error_where(reterr, "%s", wh_plan_computed_where(f->stream, io.computed_bad));

    if (st == WH_END && !frozen) {
        close_scan(f);
        return st;
    }
    st = after(f->from, st, reterr, f->stream->from.where);
    if (st != WH_OK) {
        f->source_schema.release = NULL;
        return st;
    }
    if (io.retires && f->stream->validate) {
        st = wh_fail(reterr, WH_E_USAGE, "E1007",
                     "%s: validate reads the source again after the run, and after_read takes it "
                     "away",
                     f->table ? f->table : f->stream->name);
        wh_error_hint(reterr, "leave one of them out");
        return st;
    }
    if (io.destroys)
        WH_TRY(keeps_rows(f, reterr));
    return keep_scan(p, f, &io, reterr);
}

/* A table is asked for without its schema: it is compared so. */
static const char *last_parts(struct wh_arena *arena, const struct wh_name *name, int n)
{
    struct wh_name last = {.n = n < name->n ? n : name->n};

    for (int i = 0; i < last.n; i++)
        last.part[i] = name->part[name->n - last.n + i];
    return wh_plan_name_text(arena, &last);
}

/* Name of the object that fits when case is ignored; E3001 with a suggestion, E3009 if several. One
 * in a place that was not named (a schema) is suggested, never taken: a table of that name may be
 * made where it is looked for tomorrow. */
static int other_case(struct wh_planner *p, struct wh_flow *f, struct wh_name *ret,
                      struct wh_error *reterr)
{
    struct wh_listing *l;
    const struct wh_name *found = NULL, *elsewhere = NULL;
    const char *names[257], *full[257];
    size_t n = 0;

    WH_TRY(wh_plan_listing(p, f->from, &l, reterr));
    for (size_t i = 0; i < l->n; i++) {
        bool fits;

        WH_TRY(wh_plan_match(&f->stream->from, &l->v[i].name, true, &fits, reterr));
        if (fits && l->v[i].name.n > f->source.n) {
            elsewhere = elsewhere ? elsewhere : &l->v[i].name;
            fits = false;
        }
        if (fits && found)
            return wh_fail(reterr, WH_E_USAGE, "E3009",
                           "%s fits several objects of %s when case is ignored", f->table,
                           f->from->name);
        found = fits ? &l->v[i].name : found;
        if (n == 256)
            continue;
        full[n] = wh_plan_name_text(p->arena, &l->v[i].name);
        names[n] = last_parts(p->arena, &l->v[i].name, f->source.n);
        if (!full[n] || !names[n])
            return wh_plan_no_memory(reterr);
        n++;
    }
    names[n] = full[n] = NULL;
    if (found) {
        return wh_plan_copy_name(p->arena, found, ret) == WH_OK ? WH_OK : wh_plan_no_memory(reterr);
    }
    const char *asked = wh_plan_name_text(p->arena, &f->source);
    const char *other = elsewhere ? wh_plan_name_text(p->arena, elsewhere) : NULL;
    const char *near = asked && !other ? wh_did_you_mean(wh_str(asked), names) : NULL;

    wh_ignore(wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "%s has no table '%s'", f->from->name,
                      asked ? asked : ""));
    for (size_t i = 0; near && i < n; i++)
        if (names[i] == near)
            wh_error_hint(reterr, "did you mean '%s'?", full[i]);
    if (other)
        wh_error_hint(reterr, "did you mean '%s'?", other);
    else if (!near && f->source.n == 1 && asked && strchr(asked, '.'))
        wh_error_hint(reterr, "table: is one name; the schema is said by schema:");
    else if (!near)
        wh_error_hint(reterr, "list them with: wherry discover %s",
                      wh_plan_connection_text(p->arena, f->from, &f->stream->from));
    wh_error_where(reterr, "%s", f->stream->from.where);
    return WH_E_NOT_FOUND;
}

static bool unquoted_name(const struct wh_objref *ref)
{
    return ref->name.n && !ref->pattern && !ref->connector->storage &&
           ref->parts[ref->name.n - 1].kind == WH_PART_NAME;
}

static int open_source(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                       struct wh_error *reterr)
{
    struct wh_name true_name;

    WH_TRY(wh_plan_projection(p, f, frozen, reterr));
    int st = open_scan(p, f, frozen, reterr);

    if (st != WH_E_NOT_FOUND || strcmp(reterr->code, "E3001") != 0 ||
        !unquoted_name(&f->stream->from) || !f->from->connector->endpoint->catalog)
        return st;
    close_scan(f);
    WH_TRY(other_case(p, f, &true_name, reterr));
    f->source = true_name;
    return open_scan(p, f, frozen, reterr);
}

/* '*' with columns left out: now that all names are known, ask only for those that are needed. */
static int narrow(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                  struct wh_error *reterr)
{
    int64_t n = f->source_schema.n_children, used = 0;

    if (f->projection || frozen || f->stream->n_columns == 0 ||
        !(f->from->connector->caps->flags & WH_CAP_PROJECTION))
        return WH_OK;
    bool *need = wh_arena_alloc(p->arena, (size_t)n + 1);

    f->projection = wh_arena_alloc(p->arena, ((size_t)n + 1) * sizeof(char *));
    if (!need || !f->projection)
        return wh_plan_no_memory(reterr);
    wh_plan_needed(f, need);
    for (int64_t i = 0; i < n; i++) {
        if (wh_plan_is_extra(f->source_schema.children[i]))
            need[i] = true; /* is asked for by other words */
        used += need[i];
    }
    f->n_projection = 0;
    for (int64_t i = 0; i < n && used < n && used > 0; i++)
        if (need[i] && !wh_plan_is_extra(f->source_schema.children[i])) {
            f->projection[f->n_projection] =
                wh_arena_strdup(p->arena, f->source_schema.children[i]->name);
            if (!f->projection[f->n_projection++])
                return wh_plan_no_memory(reterr);
        }
    if (f->n_projection == 0) {
        f->projection = NULL;
        return WH_OK;
    }
    close_scan(f);
    wh_schema_release(&f->mapped);
    f->mapped.release = NULL;
    WH_TRY(open_scan(p, f, frozen, reterr));
    return wh_plan_mapping(p, f, reterr);
}

/* ---- destination ------------------------------------------------------------------------------
 */

/* The object's name with its templates filled in. */
static int target_name(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_name *to = &f->stream->to.name;

    f->target = *to;
    for (int i = 0; i < to->n; i++) {
        int st = wh_template_expand(p->arena, to->part[i], &f->source, &f->target.part[i], reterr);

        if (st != WH_OK) {
            wh_error_where(reterr, "%s", f->stream->to.where);
            return st;
        }
    }
    return WH_OK;
}

void wh_plan_ask_target(const struct wh_flow *f, struct wh_target *ret)
{
    const struct wh_stream *s = f->stream;

    *ret = (struct wh_target){
        .object = &f->target,
        .source_name = wh_str(f->source_name),
        .opts = f->to_opts,
        .ctx = &f->to->ctx,
        .source = &f->mapped,
        .mode = (enum wh_mode)s->write.mode,
        .keys = (const char *const *)s->write.keys.v,
        .n_keys = s->write.keys.n,
        .replace_where = s->write.replace_where,
        .replace_keys = s->write.replace_keys,
        .marker = s->write.marker ? &s->write.marker_name : NULL,
        .before = (const char *const *)s->write.before.v,
        .n_before = s->write.before.n,
        .after = (const char *const *)s->write.after.v,
        .n_after = s->write.after.n,
        .repeat_before = s->write.on_resume == 1,
        .create = (enum wh_create)s->create,
        .evolve = (enum wh_evolve)s->evolve,
        .atomic = s->write.atomic >= 0 ? (enum wh_atomic)s->write.atomic : WH_ATOMIC_UNIT,
        .atomic_asked = s->write.atomic >= 0,
        .planning = true,
        .marker_off = s->write.marker_off,
        .fence = &f->fence,
        .frozen = f->frozen && f->frozen->accept.release ? &f->frozen->accept : NULL,
        .guard_min_rows = s->guard_min_rows,
        .existing_rows = -1,
        .comment = s->drop.comments ? (struct wh_str){0} : f->scan.comment,
        .no_sequences = s->drop.sequences,
        .infinite = f->from->connector->source->infinite && !s->values.infinity_null,
    };
}

static int keep_target_words(struct wh_plan *plan, const struct wh_target *io,
                             struct wh_flow_target *t)
{
    WH_TRY(keep_words(plan, io->loses, &t->loses));
    WH_TRY(keep_words(plan, io->identity, &t->identity));
    WH_TRY(keep_words(plan, io->instant, &t->instant));
    WH_TRY(keep_words(plan, io->on_kill, &t->on_kill));
    WH_TRY(keep_words(plan, io->note, &t->note));
    WH_TRY(keep_words(plan, io->frame_why, &t->frame_why));
    return keep_words(plan, io->alone, &t->alone);
}

int wh_plan_keep_target(struct wh_plan *plan, struct wh_flow *f, struct wh_target *io,
                        struct wh_error *reterr)
{
    struct wh_flow_target t = {.mode = io->mode,
                               .grain = io->grain,
                               .commit_class = io->commit_class,
                               .atomic_given = io->atomic_given,
                               .exists = io->exists,
                               .needs_key_order = io->needs_key_order,
                               .max_writers = io->max_writers,
                               .existing_rows = io->existing_rows,
                               .frame = io->frame,
                               .keeps_infinite = io->keeps_infinite};

    wh_schema_release(&f->tgt.accept);
    t.accept = io->accept;
    io->accept = (struct ArrowSchema){0};
    f->tgt = t;
    if (keep_target_words(plan, io, &f->tgt) != WH_OK ||
        wh_plan_copy_bytes(plan->arena, io->ret_memo, &f->tgt.ret_memo) != WH_OK ||
        wh_plan_copy_name(plan->arena, &io->ret_object, &f->tgt.ret_object) != WH_OK ||
        (io->say_warn.n &&
         wh_plan_copy_str(plan->arena, io->say_warn, &f->tgt.say_warn) != WH_OK) ||
        (io->say_create.n &&
         wh_plan_copy_str(plan->arena, io->say_create, &f->tgt.say_create) != WH_OK))
        return wh_plan_no_memory(reterr);
    return WH_OK;
}

/* "out.db#planes", "shop:ods.orders", "out/planes.csv". */
static int target_text(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const char *name =
        wh_plan_name_text(p->arena, f->tgt.ret_object.n ? &f->tgt.ret_object : &f->target);
    const struct wh_connector *c = f->to->connector;
    const char *path = wh_node_text(wh_node_get(f->to->options, "path"), NULL);

    if (!name)
        return wh_plan_no_memory(reterr);
    if (c->storage || c->caps->flags & WH_CAP_PATHS)
        f->target_text = name;
    else if (c->url == WH_URL_OBJECT)
        f->target_text = wh_arena_printf(p->arena, "%s:", c->name);
    else
        f->target_text =
            wh_arena_printf(p->arena, "%s%s%s", !f->stream->to.conn && path ? path : f->to->name,
                            f->stream->to.conn ? ":" : "#", name);
    return f->target_text ? WH_OK : wh_plan_no_memory(reterr);
}

static int open_target(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                       struct wh_error *reterr)
{
    const struct wh_sink_ops *ops = f->to->connector->sink;
    struct wh_target io;
    void *se;

    f->source_name = wh_source_name(p->arena, &f->source);
    if (!f->source_name)
        return wh_plan_no_memory(reterr);
    WH_TRY(target_name(p, f, reterr));
    f->fence = (struct wh_fence){
        .run = wh_str(p->plan->run), .flow = (uint32_t)f->index, .generation = f->generation};
    wh_plan_ask_target(f, &io);
    if (frozen)
        io.memo = frozen->memo;
    WH_TRY(wh_endpoint_control(f->to, &se, reterr));
    WH_TRY(alloc_zeroed(&f->fl, ops->fl_size, reterr));
    f->fl_called = true;
    reterr->code[0] = reterr->where[0] = 0;
    int st = ops->target_open(f->fl, f->to->ep, se, &io, reterr);

    if (st < 0 && io.accept.release) /* it came so far */
        io.accept.release(&io.accept);
    st = after(f->to, st, reterr, f->stream->to.where);
    WH_TRY(st);
    WH_TRY(wh_plan_keep_target(p->plan, f, &io, reterr));
    return target_text(p, f, reterr);
}

/* ---- steps ------------------------------------------------------------------------------------
 */

struct collector {
    struct wh_step_sink sink;
    struct wh_planner *planner;
    struct wh_flow *flow;
    struct wh_plan_step *v; /* grows by doubling; the flow gets as many as there are */
    size_t n, cap;
};

static int keep_step(struct collector *c, const struct wh_step *step, struct wh_step *copy)
{
    const struct wh_flow_target *t = &c->flow->tgt;

    *copy = *step;
    if (step->say.n && wh_str_eq(step->say, t->say_create))
        copy->say = t->say_create;
    else
        WH_TRY(wh_plan_copy_str(c->planner->arena, step->say, &copy->say));
    return wh_plan_copy_bytes(c->planner->arena, step->token, &copy->token);
}

static wh_status add_step(struct wh_step_sink *sink, const struct wh_step *step)
{
    struct collector *c = sink->self;

    if (c->n == STEPS_MAX)
        return WH_E_LIMIT;
    if (c->n == c->cap) {
        size_t cap = c->cap ? c->cap * 2 : 4;
        struct wh_plan_step *grown = wh_realloc(c->v, cap * sizeof *grown);

        if (!grown)
            return WH_E_NOMEM;
        c->v = grown;
        c->cap = cap;
    }
    WH_TRY(keep_step(c, step, &c->v[c->n].step));
    c->n++;
    return WH_OK;
}

static int take_steps(struct collector *c, struct wh_error *reterr)
{
    struct wh_flow *f = c->flow;

    f->steps = wh_arena_alloc(c->planner->arena, c->n * sizeof *f->steps);
    if (!f->steps)
        return wh_plan_no_memory(reterr);
    if (c->n)
        memcpy(f->steps, c->v, c->n * sizeof *f->steps);
    f->n_steps = c->n;
    return WH_OK;
}

static void collector_free(struct collector *c)
{
    wh_free(c->v);
}

static int list_steps(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_sink_ops *ops = f->to->connector->sink;
    WH_CLEANUP(collector_free) struct collector c = {.planner = p, .flow = f};
    void *se;

    c.sink = (struct wh_step_sink){.self = &c, .add = add_step};
    if (!ops->steps)
        return WH_OK;
    WH_TRY(wh_endpoint_control(f->to, &se, reterr));
    for (int phase = WH_PREPARE; phase <= WH_DROP; phase++) {
        reterr->code[0] = reterr->where[0] = 0;
        int st = ops->steps(f->fl, se, (enum wh_phase)phase, NULL, &c.sink, reterr);

        WH_TRY(after(f->to, st, reterr, f->stream->to.where));
    }
    return take_steps(&c, reterr);
}

/* ---- the whole --------------------------------------------------------------------------------
 */

int wh_plan_source(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                   struct wh_error *reterr)
{
    WH_TRY(fill_from(p, f, reterr));
    return open_source(p, f, frozen, reterr);
}

/* The source as the state remembers it: enough for the destination's side. */
static int thawed_source(struct wh_planner *p, struct wh_flow *f,
                         const struct wh_frozen_flow *frozen, struct wh_error *reterr)
{
    struct wh_scan io;

    WH_TRY(fill_from(p, f, reterr));
    WH_TRY(wh_plan_projection(p, f, frozen, reterr));
    ask_scan(p, f, &io);
    if (!f->frozen->source.release)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the schema of the source is not kept");
    WH_TRY(alloc_zeroed(&f->sc, f->from->connector->source->sc_size, reterr));
    if (wh_schema_copy(&f->frozen->source, &f->source_schema) != WH_OK)
        return wh_plan_no_memory(reterr);
    io.ret_bounds = frozen->bounds;
    return keep_scan(p, f, &io, reterr);
}

static int plan_flow(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                     struct wh_error *reterr)
{
    bool no_source = p->frozen && p->frozen->no_source;

    f->notes.arena = p->arena;
    if (frozen)
        WH_TRY(wh_plan_thaw(f, frozen, reterr));
    WH_TRY(no_source ? thawed_source(p, f, frozen, reterr) : wh_plan_source(p, f, frozen, reterr));
    WH_TRY(fill_to(p, f, reterr));
    WH_TRY(wh_plan_mapping(p, f, reterr));
    WH_TRY(narrow(p, f, frozen, reterr));
    WH_TRY(open_target(p, f, frozen, reterr));
    WH_TRY(wh_plan_types(p, f, reterr));
    WH_TRY(wh_plan_check_flow(p, f, reterr));
    WH_TRY(list_steps(p, f, reterr));
    if (wh_plan_decide(p, f) != WH_OK)
        return wh_plan_no_memory(reterr);
    WH_TRY(wh_plan_fingerprint(p, f, reterr));
    return frozen && !no_source ? wh_plan_unchanged(p, f, frozen, reterr) : WH_OK;
}

/* --debug plan */
static void say_flow(const struct wh_flow *f, int st, int64_t begun, const struct wh_error *err)
{
    double ms = (double)(wh_now_ns() - begun) / 1e6;

    if (!wh_log_on(WH_LOG_DEBUG, "plan"))
        return;
    if (st < 0) {
        wh_log(WH_LOG_DEBUG, "plan", "%s: %s %s, %.1f ms", f->table, err->code, err->message, ms);
        return;
    }
    wh_log(
        WH_LOG_DEBUG, "plan",
        "%s -> %s: read by %s, %lld rows, %lld bytes; %lld columns; class %s, %zu steps; %.1f ms",
        f->table, wh_plan_target_text(f), f->scan.method ? f->scan.method : "?",
        (long long)f->scan.est_rows, (long long)f->scan.est_bytes, (long long)f->n_columns,
        wh_class_letter(f->tgt.commit_class), f->n_steps, ms);
}

/* What the state kept is compared with, and then wanted no more. */
int wh_plan_flow(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                 struct wh_error *reterr)
{
    struct wh_frozen_schemas kept = {{0}};
    int st;

    int64_t begun = wh_now_ns();

    f->frozen = frozen ? &kept : NULL;
    st = plan_flow(p, f, frozen, reterr);
    say_flow(f, st, begun, reterr);
    f->frozen = NULL;
    wh_schema_release(&kept.source);
    wh_schema_release(&kept.accept);
    return st;
}

static void wipe(const struct wh_options *table, void *opts)
{
    if (table && opts)
        wh_options_wipe(table, opts);
}

void wh_flow_close(struct wh_flow *f)
{
    if (f->fl_called) {
        wh_schema_release(&f->tgt.accept); /* it may be lent by what is closed now */
        if (f->to->connector->sink->target_close)
            f->to->connector->sink->target_close(f->fl);
        wh_free(TAKE_PTR(f->fl));
    }
    if (f->sc_called) {
        if (f->from->connector->source->scan_close)
            f->from->connector->source->scan_close(f->sc);
        wh_free(TAKE_PTR(f->sc));
    }
    f->fl_called = f->sc_called = false;
}

void wh_plan_flow_free(struct wh_flow *f)
{
    wh_flow_close(f);
    wh_free(TAKE_PTR(f->sc)); /* of a source that was never looked at */
    wh_schema_release(&f->tgt.accept);
    wh_schema_release(&f->source_schema);
    wh_schema_release(&f->made_schema);
    wh_schema_release(&f->mapped);
    if (f->from)
        wipe(f->from->connector->from, f->from_opts);
    if (f->to)
        wipe(f->to->connector->to, f->to_opts);
}
