/* SPDX-License-Identifier: Apache-2.0 */
/* Drawing: splits from the source's lazy cursor, packed into units, stored together with the cursor
 * behind them before anybody works on them. What is drawn is never drawn twice.
 */
#include "engine/rebuild.h"

#include "core/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    PACK_MOST = 4096, /* splits in one unit */
    DRAW_MOST = 64,   /* units in one transaction */
};

struct drawing {
    struct wh_run_flow *fr;
    struct wh_run_unit *units[DRAW_MOST];
    size_t n, want;
    struct wh_split *pack; /* the unit being filled; tokens are in the arena */
    size_t n_pack;
    int64_t pack_bytes, pack_rows, target;
    struct wh_arena *arena;
    struct wh_bytes before; /* the cursor in front of the unit being filled; in the arena */
    int64_t first;          /* number of the first unit */
    bool all;
};

void wh_flow_add_unit(struct wh_run_flow *fr, struct wh_run_unit *take)
{
    struct wh_run_unit **at = &fr->pending;

    while (*at && (*at)->id < take->id)
        at = &(*at)->next;
    take->next = *at;
    *at = take;
    fr->n_pending++;
}

/* How large a packed unit should be: large enough to be worth a commit, small enough that every
 * lane gets some. */
static int64_t pack_target(const struct wh_run_flow *fr)
{
    const struct wh_flow_scan *scan = &fr->flow->scan;
    int64_t unit = scan->unit_bytes > 0 ? scan->unit_bytes : WH_UNIT_BYTES;
    int64_t share = scan->est_bytes > 0 ? scan->est_bytes / (2 * (fr->cap > 0 ? fr->cap : 1)) : 0;

    if (fr->run->pack_bytes > 0)
        return fr->run->pack_bytes;
    if (fr->flow->stream->split_parts || fr->flow->stream->split_rows)
        return unit;
    if (share < WH_PACK_LEAST_BYTES)
        share = WH_PACK_LEAST_BYTES;
    return share < unit ? share : unit;
}

static int close_unit(struct drawing *d, struct wh_bytes behind, struct wh_error *reterr)
{
    struct wh_buf b = WH_BUF(256 << 20);
    struct wh_bytes own = {0};
    struct wh_run_unit *u = NULL;
    int st;

    if (d->n_pack == 0)
        return WH_OK;
    st = wh_splits_encode(d->pack, d->n_pack, &b);
    if (st == WH_OK)
        st = wh_bytes_copy((struct wh_bytes){b.p, b.n}, &own);
    wh_buf_free(&b);
    if (st == WH_OK)
        u = wh_unit_new(d->first + (int64_t)d->n, own);
    if (u && wh_origin_drawn(d->before, behind, &u->origin) != WH_OK) {
        wh_unit_free(u);
        u = NULL;
    }
    if (!u)
        return wh_fail(reterr, st == WH_E_LIMIT ? WH_E_BUG : WH_E_NOMEM,
                       st == WH_E_LIMIT ? "E9003" : "E8002", "a unit of %zu splits", d->n_pack);
    u->group = d->pack[0].order_group;
    u->seq = d->pack[0].order_seq;
    u->est_bytes = d->pack_bytes;
    u->est_rows = d->pack_rows;
    u->instant = d->fr->instant;
    if (d->n_pack > 1)
        snprintf(u->label, sizeof u->label, "%.60s and %zu more", d->pack[0].label, d->n_pack - 1);
    else
        snprintf(u->label, sizeof u->label, "%s", d->pack[0].label);
    d->units[d->n++] = u;
    d->n_pack = 0;
    d->pack_bytes = d->pack_rows = 0;
    return WH_OK;
}

static bool fits(const struct drawing *d, const struct wh_split *s)
{
    if (d->n_pack == 0)
        return true;
    return d->n_pack < PACK_MOST && !d->fr->flow->scan.chained && s->est_bytes >= 0 &&
           d->pack_bytes >= 0 && s->order_group == d->pack[0].order_group &&
           d->pack_bytes + s->est_bytes <= d->target;
}

static int add_split(struct drawing *d, const struct wh_split *s, struct wh_bytes at,
                     struct wh_error *reterr)
{
    struct wh_split *to = &d->pack[d->n_pack];
    void *token = wh_arena_alloc(d->arena, s->token.n + 1);

    if (token && d->n_pack == 0) {
        void *before = wh_arena_alloc(d->arena, at.n + 1);

        if (before && at.n)
            memcpy(before, at.p, at.n);
        d->before = (struct wh_bytes){before, before ? at.n : 0};
        token = before ? token : NULL;
    }
    if (!token)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "splits of %s", d->fr->flow->table);
    *to = *s;
    if (s->token.n)
        memcpy(token, s->token.p, s->token.n);
    to->token = (struct wh_bytes){token, s->token.n};
    d->n_pack++;
    d->pack_bytes = s->est_bytes < 0 ? -1 : d->pack_bytes + s->est_bytes;
    d->pack_rows = s->est_rows < 0 || d->pack_rows < 0 ? -1 : d->pack_rows + s->est_rows;
    return WH_OK;
}

/* Draws until enough units are full. The cursor that is kept is the one behind the last split that
 * became part of a unit; a split that did not fit is asked for again. */
static int draw_splits(struct drawing *d, void *se, struct wh_bytes *cursor,
                       struct wh_error *reterr)
{
    const struct wh_source_ops *ops = d->fr->flow->from->connector->source;

    while (d->n < d->want) {
        struct wh_split s = {.est_rows = -1, .est_bytes = -1};
        struct wh_bytes next = {0}, own = {0};
        int st = ops->split_next(d->fr->flow->sc, se, cursor->n ? cursor : NULL, &s, &next, reterr);

        if (st == WH_END) {
            d->all = true;
            return close_unit(d, *cursor, reterr);
        }
        if (st != WH_OK)
            return st;
        if (!fits(d, &s)) {
            WH_TRY(close_unit(d, *cursor, reterr));
            if (d->n == d->want)
                return WH_OK;
        }
        if (next.n == 0)
            return wh_fail(reterr, WH_E_BUG, "E9003", "a split without a cursor behind it");
        if (wh_bytes_copy(next, &own) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "cursor");
        st = add_split(d, &s, *cursor, reterr);
        wh_bytes_free(cursor);
        *cursor = own;
        WH_TRY(st);
    }
    return WH_OK;
}

static int draw_watched(struct wh_runtime *run, struct drawing *d, void *se,
                        struct wh_bytes *cursor, struct wh_error *reterr)
{
    int st;

    wh_watch_begin(run, &run->control_watch, "divides tables of", d->fr->flow->from, se);
    st = draw_splits(d, se, cursor, reterr);
    wh_watch_end(run, &run->control_watch);
    return st;
}

static int store(struct wh_runtime *run, struct drawing *d, struct wh_bytes cursor,
                 struct wh_error *reterr)
{
    struct wh_unit_record r[DRAW_MOST];

    for (size_t i = 0; i < d->n; i++) {
        const struct wh_run_unit *u = d->units[i];

        r[i] = (struct wh_unit_record){.flow = d->fr->flow->index,
                                       .generation = d->fr->fence.generation,
                                       .unit = u->id,
                                       .label = u->label,
                                       .splits = u->splits,
                                       .order_group = u->group,
                                       .order_seq = u->seq,
                                       .est_rows = u->est_rows,
                                       .est_bytes = u->est_bytes,
                                       .instant = u->instant,
                                       .origin = u->origin};
    }
    wh_kill_point("draw-before");
    WH_TRY(wh_state_units_draw(run->state, run->id, run->epoch, d->fr->flow->index, r, d->n, cursor,
                               d->all, reterr));
    wh_kill_point("draw-after");
    return WH_OK;
}

/* Lanes give units back, and number the rests of others, meanwhile. */
static bool reserve(struct wh_runtime *run, struct drawing *d, int most)
{
    struct wh_run_flow *fr = d->fr;
    int want;

    pthread_mutex_lock(&run->mutex);
    want = most - fr->n_pending;
    want = want > DRAW_MOST ? DRAW_MOST : want < 0 ? 0 : want;
    d->want = (size_t)want;
    d->first = fr->next_unit;
    fr->next_unit += want;
    pthread_mutex_unlock(&run->mutex);
    return want > 0;
}

/* Numbers that were not needed are given back while nobody took one behind them. */
static void settle_numbers(struct wh_runtime *run, const struct drawing *d, size_t used)
{
    pthread_mutex_lock(&run->mutex);
    if (d->fr->next_unit == d->first + (int64_t)d->want)
        d->fr->next_unit = d->first + (int64_t)used;
    pthread_mutex_unlock(&run->mutex);
}

static int draw_once(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct drawing d = {.fr = fr, .target = pack_target(fr)};
    struct wh_bytes cursor = {0};
    void *se = NULL;
    int lanes = fr->cap > 0 ? fr->cap : 1, st;

    if (!reserve(run, &d, 2 * lanes))
        return WH_OK;
    d.arena = wh_arena_new(512 << 20);
    d.pack = d.arena ? wh_arena_alloc(d.arena, PACK_MOST * sizeof *d.pack) : NULL;
    if (!d.pack || wh_bytes_copy(fr->cursor, &cursor) != WH_OK)
        st = wh_fail(reterr, WH_E_NOMEM, "E8002", "splits of %s", fr->flow->table);
    else
        st = wh_endpoint_control(fr->flow->from, &se, reterr);
    if (st == WH_OK)
        st = draw_watched(run, &d, se, &cursor, reterr);
    if (st == WH_OK)
        st = store(run, &d, cursor, reterr);
    if (st == WH_OK) {
        pthread_mutex_lock(&run->mutex);
        for (size_t i = 0; i < d.n; i++)
            wh_flow_add_unit(fr, d.units[i]);
        fr->drawn = d.all;
        pthread_mutex_unlock(&run->mutex);
        wh_bytes_free(&fr->cursor);
        fr->cursor = cursor;
    } else {
        for (size_t i = 0; i < d.n; i++)
            wh_unit_free(d.units[i]);
        wh_bytes_free(&cursor);
    }
    settle_numbers(run, &d, st == WH_OK ? d.n : 0);
    wh_arena_free(d.arena);
    return st;
}

int wh_flow_draw(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_error *reterr)
{
    struct wh_retry retry = {.of = fr->flow->stream};

    for (;;) {
        struct wh_error err = {0};
        int st = draw_once(run, fr, &err);

        if (st == WH_LOST)
            wh_endpoint_control_lost(fr->flow->from);
        if (st != WH_OK)
            *reterr = err;
        if (st == WH_OK || !wh_is_away(st, &err) || !wh_retry_more(run, &retry, st, &err) ||
            !wh_retry_pause(run, &retry, &err))
            return st;
    }
}

/* ---- is there anything? ------------------------------------------------------------------------
 */

/* Whether a split has a row: its reader is opened and asked once. */
static int probe_split(struct wh_run_flow *fr, struct wh_session *rs, const struct wh_split *s,
                       bool *ret_any, struct wh_error *reterr)
{
    const struct wh_source_ops *ops = fr->flow->from->connector->source;
    struct ArrowSchema actual = {0};
    struct wh_batch b = {0};
    void *rd = wh_calloc(1, ops->rd_size ? ops->rd_size : 1);
    int st;

    if (!rd)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "reader");
    st = ops->reader_open(rd, fr->flow->sc, rs->mem, &fr->flow->from->ctx, s, &actual, reterr);
    wh_schema_release(&actual);
    if (st == WH_OK)
        st = ops->reader_next(rd, &b, reterr);
    if (st == WH_OK)
        *ret_any = true;
    wh_batch_release(&b);
    if (ops->reader_close)
        ops->reader_close(rd);
    wh_free(rd);
    return st == WH_END ? WH_OK : st;
}

int wh_flow_probe(struct wh_runtime *run, struct wh_run_flow *fr, bool *ret_any,
                  struct wh_error *reterr)
{
    struct wh_bytes cursor = {0};
    struct wh_session *rs = NULL;
    struct wh_session *cs = NULL; /* not the management thread's */
    const struct wh_source_ops *ops = fr->flow->from->connector->source;
    int st = wh_session_get(run, fr->flow->from, WH_READ, &rs, reterr);

    *ret_any = false;
    if (st == WH_OK)
        st = wh_session_get(run, fr->flow->from, WH_CONTROL, &cs, reterr);
    while (st == WH_OK && !*ret_any) {
        struct wh_split s = {.est_rows = -1, .est_bytes = -1};
        struct wh_bytes next = {0}, own = {0};

        st = ops->split_next(fr->flow->sc, cs->mem, cursor.n ? &cursor : NULL, &s, &next, reterr);
        if (st == WH_OK && wh_bytes_copy(next, &own) != WH_OK)
            st = wh_fail(reterr, WH_E_NOMEM, "E8002", "cursor");
        if (st == WH_OK)
            st = probe_split(fr, rs, &s, ret_any, reterr);
        wh_bytes_free(&cursor);
        cursor = own;
    }
    wh_bytes_free(&cursor);
    if (rs && (st == WH_LOST || st == WH_GONE))
        rs->broken = true;
    if (cs && st == WH_LOST)
        cs->broken = true;
    wh_session_put(run, cs);
    wh_session_put(run, rs);
    return st == WH_END ? WH_OK : st;
}
