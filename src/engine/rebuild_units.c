/* SPDX-License-Identifier: Apache-2.0 */
/* The units of a lost state, from the seeds in their markers.
 *
 * Units that were drawn form a chain: each begins at the cursor where the one before it ended. The
 * chain is walked from the start; where a link is missing (its unit was not committed, or had no
 * rows), splits are drawn again until the next link's beginning is reached. If it is never reached
 * the source is divided in another way now, and the run cannot be rebuilt. A unit made of another
 * one's rest is known by its parent. All of them are written as drawn: the resume that follows asks
 * the destination for each, as it does after any death, and records what is committed there.
 */
#include "engine/rebuild.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    UNITS_MOST = 64 << 20,
    ARENA = 1 << 30,
};

struct link {
    struct wh_unit_record r;
    struct wh_bytes before, after;
    int64_t parent; /* > 0: made of that unit's rest */
    bool has_rest, used, continued;
};

struct rebuilding {
    struct wh_arena *arena;
    struct wh_plan *plan;
    struct wh_state *state;
    uint32_t epoch;
    struct wh_flow *flow; /* being rebuilt */
    struct link *v;       /* by unit */
    size_t n, cap, hint;
    int64_t next_unit;
    bool *moved; /* per flow: all its units were recorded */
    struct wh_error *reterr;
};

/* ---- reading seeds -----------------------------------------------------------------------------
 */

struct bytes_left {
    const uint8_t *p;
    size_t n;
};

static bool take_number(struct bytes_left *b, int bytes, uint64_t *ret)
{
    if (b->n < (size_t)bytes)
        return false;
    *ret = 0;
    for (int i = bytes - 1; i >= 0; i--)
        *ret = *ret << 8 | b->p[i];
    b->p += bytes;
    b->n -= (size_t)bytes;
    return true;
}

static bool take_bytes(struct bytes_left *b, struct wh_bytes *ret)
{
    uint64_t n;

    if (!take_number(b, 4, &n) || n > b->n)
        return false;
    *ret = (struct wh_bytes){b->p, n};
    b->p += n;
    b->n -= n;
    return true;
}

static bool read_origin(struct link *l)
{
    struct bytes_left b = {l->r.origin.p, l->r.origin.n};
    uint64_t kind, parent;

    if (!take_number(&b, 1, &kind))
        return false;
    if (kind == 'd')
        return take_bytes(&b, &l->before) && take_bytes(&b, &l->after);
    if (kind != 'r' || !take_number(&b, 8, &parent))
        return false;
    l->parent = (int64_t)parent;
    return true;
}

/* The bytes are in the arena already. */
static bool read_seed(struct rebuilding *re, struct wh_bytes seed, struct link *l)
{
    struct bytes_left b = {seed.p, seed.n};
    struct wh_bytes label;
    uint64_t rows, bytes, instant;

    if (b.n < 2 || memcmp(b.p, "s1", 2) != 0)
        return false;
    b.p += 2;
    b.n -= 2;
    if (!take_bytes(&b, &l->r.origin) || !take_number(&b, 8, &l->r.order_group) ||
        !take_number(&b, 8, &l->r.order_seq) || !take_number(&b, 8, &rows) ||
        !take_number(&b, 8, &bytes) || !take_number(&b, 4, &instant) || !take_bytes(&b, &label) ||
        !take_bytes(&b, &l->r.splits))
        return false;
    l->r.est_rows = (int64_t)rows;
    l->r.est_bytes = (int64_t)bytes;
    l->r.instant = (int32_t)instant;
    l->r.label = wh_arena_strndup(re->arena, label.p, label.n);
    return l->r.label && read_origin(l);
}

static int no_memory(struct rebuilding *re)
{
    return wh_fail(re->reterr, WH_E_NOMEM, "E8002", "units of a lost state");
}

static struct link *add_link(struct rebuilding *re)
{
    if (re->n == re->cap) {
        size_t cap = re->cap ? 2 * re->cap : 64;
        struct link *more = cap > UNITS_MOST ? NULL : wh_realloc(re->v, cap * sizeof *more);

        if (!more)
            return NULL;
        re->v = more;
        re->cap = cap;
    }
    re->v[re->n] = (struct link){0};
    return &re->v[re->n++];
}

static wh_status one_marker(void *arg, const struct wh_recalled *r)
{
    struct rebuilding *re = arg;
    struct wh_bytes seed;
    struct link *l;
    void *own;

    if (r->flow != (uint32_t)re->flow->index || r->unit <= 0)
        return WH_OK;
    if (re->n && r->generation > re->v[0].r.generation)
        re->n = 0; /* the flow began again: older markers mean nothing */
    else if (re->n && r->generation < re->v[0].r.generation)
        return WH_OK;
    own = wh_arena_alloc(re->arena, r->seed.n + 1);
    l = own ? add_link(re) : NULL;
    if (!l)
        return no_memory(re);
    if (r->seed.n)
        memcpy(own, r->seed.p, r->seed.n);
    seed = (struct wh_bytes){own, r->seed.n};
    if (!read_seed(re, seed, l))
        return wh_fail(re->reterr, WH_E_STATE, "E7003",
                       "the marker of unit %lld of %s does not say where the unit was drawn",
                       (long long)r->unit, re->flow->table);
    l->r.flow = (int)r->flow;
    l->r.generation = r->generation;
    l->r.unit = r->unit;
    l->r.attempt = r->attempt;
    l->has_rest = r->rest.n > 0;
    if (r->unit >= re->next_unit)
        re->next_unit = r->unit + 1;
    return WH_OK;
}

/* ---- walking the chain -------------------------------------------------------------------------
 */

static bool same(struct wh_bytes a, struct wh_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* Units are drawn in the order of their numbers, so the one that is sought is near the last. */
static struct link *link_at(struct rebuilding *re, struct wh_bytes cursor)
{
    for (size_t i = 0; i < re->n; i++) {
        struct link *l = &re->v[(re->hint + i) % re->n];

        if (l->parent || l->used || !same(l->before, cursor))
            continue;
        re->hint = (size_t)(l - re->v);
        return l;
    }
    return NULL;
}

static int split_as_unit(struct rebuilding *re, const struct wh_split *s, struct wh_bytes before,
                         struct wh_bytes after)
{
    struct wh_unit_record r = {.flow = re->flow->index,
                               .generation = re->flow->generation,
                               .unit = re->next_unit,
                               .label = s->label,
                               .order_group = s->order_group,
                               .order_seq = s->order_seq,
                               .est_rows = s->est_rows,
                               .est_bytes = s->est_bytes,
                               .instant = 1};
    struct wh_buf splits WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_bytes origin = {0};
    int st;

    if (wh_splits_encode(s, 1, &splits) != WH_OK ||
        wh_origin_drawn(before, after, &origin) != WH_OK)
        return no_memory(re);
    r.splits = (struct wh_bytes){splits.p, splits.n};
    r.origin = origin;
    st = wh_state_units_draw(re->state, re->plan->run, re->epoch, r.flow, &r, 1, after, false,
                             re->reterr);
    wh_bytes_free(&origin);
    re->next_unit++;
    return st;
}

static int other_division(struct rebuilding *re, size_t missed)
{
    wh_ignore(wh_fail(re->reterr, WH_E_STATE, "E7008",
                      "%s is divided in another way than when the run began: %zu of its committed "
                      "units cannot be placed",
                      re->flow->table, missed));
    wh_error_hint(re->reterr, "start anew: the same command with --fresh");
    return WH_E_STATE;
}

static int is_last(struct rebuilding *re, struct wh_bytes at, bool *ret)
{
    struct wh_split s = {.est_rows = -1, .est_bytes = -1};
    struct wh_bytes next = {0};
    void *se = NULL;
    int st;

    WH_TRY(wh_endpoint_control(re->flow->from, &se, re->reterr));
    st = re->flow->from->connector->source->split_next(re->flow->sc, se, at.n ? &at : NULL, &s,
                                                       &next, re->reterr);
    *ret = st == WH_END;
    return st == WH_END ? WH_OK : st;
}

/* Draws what is missing until every link has its place; what comes after that is drawn later.
 * *ret_drawn: nothing comes after that. */
static int walk(struct rebuilding *re, size_t n_drawn, struct wh_bytes *ret_cursor, bool *ret_drawn)
{
    const struct wh_source_ops *ops = re->flow->from->connector->source;
    struct wh_bytes at = {0};
    size_t placed = 0;
    void *se = NULL;

    while (placed < n_drawn) {
        struct link *l = link_at(re, at);
        struct wh_split s = {.est_rows = -1, .est_bytes = -1};
        struct wh_bytes next = {0}, own = {0};
        int st;

        if (l) {
            l->used = true;
            placed++;
            at = l->after;
            continue;
        }
        if (!se)
            WH_TRY(wh_endpoint_control(re->flow->from, &se, re->reterr));
        st = ops->split_next(re->flow->sc, se, at.n ? &at : NULL, &s, &next, re->reterr);
        if (st == WH_END)
            return other_division(re, n_drawn - placed);
        if (st != WH_OK)
            return st;
        own.p = wh_arena_alloc(re->arena, next.n + 1);
        if (!own.p)
            return no_memory(re);
        memcpy((void *)(uintptr_t)own.p, next.p, next.n);
        own.n = next.n;
        WH_TRY(split_as_unit(re, &s, at, own));
        at = own;
    }
    *ret_cursor = at;
    return is_last(re, at, ret_drawn);
}

/* ---- a flow ------------------------------------------------------------------------------------
 */

static int by_unit(const void *key, const void *element)
{
    int64_t a = *(const int64_t *)key, b = ((const struct link *)element)->r.unit;

    return a < b ? -1 : a > b;
}

static struct link *link_of(struct rebuilding *re, int64_t unit)
{
    return bsearch(&unit, re->v, re->n, sizeof *re->v, by_unit);
}

/* A rest that became a committed unit must not be made again from its parent's marker: the parent
 * is recorded here and now, without it. The counts come with the same marker. */
static int record_parent(struct rebuilding *re, struct link *l)
{
    struct wh_unit unit = {
        .id = l->r.unit, .flow = (uint32_t)re->flow->index, .generation = l->r.generation};
    struct wh_unit_record r = l->r;
    struct wh_fate fate = {0};
    void *se = NULL;

    WH_TRY(wh_endpoint_control(re->flow->to, &se, re->reterr));
    WH_TRY(re->flow->to->connector->sink->lookup(re->flow->fl, se, &unit, &fate, re->reterr));
    if (fate.kind != WH_FATE_COMMITTED)
        return wh_fail(re->reterr, WH_E_STATE, "E7009", "the marker of unit %lld of %s is gone",
                       (long long)l->r.unit, re->flow->table);
    r.attempt = fate.attempt;
    r.rows_written = fate.marker.rows;
    r.rows_dirty = fate.marker.dirty;
    r.rows_filtered = fate.marker.filtered;
    r.rows_skipped = fate.marker.skipped;
    r.rows_read = r.rows_written + r.rows_dirty + r.rows_filtered + r.rows_skipped;
    r.bytes_written = fate.marker.bytes > 0 ? fate.marker.bytes : 0;
    r.bytes_read = r.bytes_written;
    r.hash = (struct wh_u128){fate.marker.hash[0], fate.marker.hash[1]};
    r.end = fate.marker.end;
    return wh_state_unit_record(re->state, re->plan->run, re->epoch, &r, NULL, re->reterr);
}

static int put_links(struct rebuilding *re, struct wh_bytes cursor, bool drawn)
{
    for (size_t i = 0; i < re->n; i++) {
        struct link *l = &re->v[i], *parent = l->parent ? link_of(re, l->parent) : NULL;

        if (l->parent && !parent)
            return wh_fail(re->reterr, WH_E_STATE, "E7003",
                           "unit %lld of %s is the rest of unit %lld, whose marker is gone",
                           (long long)l->r.unit, re->flow->table, (long long)l->parent);
        if (parent)
            parent->continued = true;
        WH_TRY(wh_state_units_draw(re->state, re->plan->run, re->epoch, l->r.flow, &l->r, 1, cursor,
                                   drawn, re->reterr));
        /* Its marker says that somebody had leased it. */
        WH_TRY(wh_state_unit_lease(re->state, re->plan->run, re->epoch, &l->r, re->reterr));
    }
    for (size_t i = 0; i < re->n; i++)
        if (re->v[i].continued)
            WH_TRY(record_parent(re, &re->v[i]));
    return WH_OK;
}

static int rebuild_flow(struct rebuilding *re)
{
    const struct wh_endpoint_ops *ops = re->flow->to->connector->endpoint;
    struct wh_str run = {re->plan->run, strlen(re->plan->run)};
    struct wh_bytes cursor = {0};
    size_t n_drawn = 0;
    bool drawn = false;
    void *se = NULL;

    re->n = re->hint = 0;
    re->next_unit = 1;
    if (!ops->recall)
        return WH_OK;
    WH_TRY(wh_endpoint_control(re->flow->to, &se, re->reterr));
    WH_TRY(ops->recall(re->flow->to->ep, se, &run, one_marker, re, re->reterr));
    if (re->n == 0)
        return WH_OK;
    while (re->flow->generation < re->v[0].r.generation) {
        WH_TRY(wh_state_flow_restart(re->state, run.s, re->epoch, re->flow->index, re->reterr));
        re->flow->generation++;
    }
    if (re->moved[re->flow->index])
        return put_links(re, cursor, true);
    for (size_t i = 0; i < re->n; i++)
        n_drawn += re->v[i].parent == 0;
    WH_TRY(walk(re, n_drawn, &cursor, &drawn));
    return put_links(re, cursor, drawn);
}

static int moved_flows(struct rebuilding *re)
{
    struct wh_flow_record *v = NULL;
    size_t n = 0;

    WH_TRY(wh_state_flows(re->state, re->plan->run, re->arena, &v, &n, re->reterr));
    for (size_t i = 0; i < n; i++)
        if (v[i].flow >= 0 && (size_t)v[i].flow < re->plan->n_flows)
            re->moved[v[i].flow] = v[i].drawn;
    return WH_OK;
}

int wh_rebuild_units(struct wh_plan *plan, struct wh_state *state, uint32_t epoch,
                     struct wh_error *reterr)
{
    struct rebuilding re = {.plan = plan, .state = state, .epoch = epoch, .reterr = reterr};
    int st = WH_OK;

    re.arena = wh_arena_new(ARENA);
    re.moved = wh_calloc(plan->n_flows + 1, sizeof *re.moved);
    st = re.arena && re.moved ? moved_flows(&re) : no_memory(&re);
    if (re.arena)
        wh_arena_reset(re.arena);
    for (size_t i = 0; st == WH_OK && i < plan->n_flows; i++) {
        re.flow = plan->flows[i];
        st = rebuild_flow(&re);
        wh_arena_reset(re.arena);
    }
    wh_arena_free(re.arena);
    wh_free(re.moved);
    wh_free(re.v);
    return st;
}
