/* SPDX-License-Identifier: Apache-2.0 */
/* The source: rows (id, name) with ids 0 .. rows - 1 of each table, in splits that may be cut, may
 * begin elsewhere than guessed (chained), and may be read at an instant that can be lost. */
#include "sim.h"

#include "data/builder.h"

#include <stdio.h>
#include <string.h>

struct token {
    int64_t flow, from, to, index; /* rows; chained: `to` is where the guess ends */
};

struct scan {
    uint64_t flow; /* the world fills it in */
    struct token t;
    int64_t next;
};

struct source_session {
    bool open, interrupted;
    int64_t instant;
};

struct reader {
    struct source_session *se;
    const struct wh_ctx *ctx;
    struct token t, rest, done, right;
    int64_t at, end;
    struct wh_builder *b;
    uint8_t end_bytes[8];
};

struct ArrowSchema sim_schema;
static int64_t early;
static int64_t instant; /* the snapshot that can be entered; 0 = none was taken */

void source_init(void)
{
    const struct wh_type id = {.kind = WH_K_I64}, name = {.kind = WH_K_UTF8, .nullable = true};

    if (wh_schema_init(&sim_schema, 2) != WH_OK ||
        wh_schema_set(&sim_schema, 0, "id", &id, NULL) != WH_OK ||
        wh_schema_set(&sim_schema, 1, "name", &name, NULL) != WH_OK)
        sim_fail("no schema");
}

int64_t source_early(void)
{
    return early;
}

/* ---- what becomes of a row ---------------------------------------------------------------------
 */

static bool every(int64_t n, int64_t id)
{
    return n && id % n == n / 2;
}

enum id_class id_class_of(int flow, int64_t id)
{
    const struct flow_def *f = &world.flow[flow];

    if (every(f->raw_every, id))
        return ID_RAW;
    if (every(f->bad_every, id))
        return ID_BAD;
    return every(f->dup_every, id) ? ID_DUP : ID_GOOD;
}

static struct token nth(int flow, int64_t i)
{
    const struct flow_def *f = &world.flow[flow];

    return (struct token){flow, f->rows * i / f->splits, f->rows * (i + 1) / f->splits, i};
}

static bool skips(int flow, int64_t i)
{
    const struct flow_def *f = &world.flow[flow];
    struct token t = nth(flow, i);

    return !f->chained && f->skip_every && i % f->skip_every == 0 && t.to > t.from;
}

int64_t skipped_of(int flow)
{
    int64_t n = 0;

    for (int64_t i = 0; i < world.flow[flow].splits; i++)
        n += skips(flow, i);
    return n;
}

/* ---- endpoint ----------------------------------------------------------------------------------
 */

static wh_status open_source(void *ep, const struct wh_ctx *ctx, enum wh_role role,
                             const void *opts, struct wh_error *reterr)
{
    return WH_OK;
}

static bool was_interrupted(void *arg)
{
    return ((struct source_session *)arg)->interrupted;
}

/* A fault of the connection: nothing, an error that may pass, its end, or no answer at all. */
static int trouble(struct source_session *se, bool may_hang, struct wh_error *reterr)
{
    sim_latency();
    if (se->interrupted)
        return wh_fail(reterr, WH_LOST, "E2008", "interrupted");
    if (!sim_fault())
        return WH_OK;
    if (may_hang && sim_chance((int)world.hang_rate)) {
        sim_trace("source hangs");
        world.hang_seen = true;
        wh_ignore(sim_wait(was_interrupted, se, INT64_MAX));
        return wh_fail(reterr, WH_LOST, "E2008", "interrupted");
    }
    sim_trace("source fails");
    if (sim_chance(500))
        return wh_fail(reterr, WH_LOST, "E2008", "connection reset");
    wh_ignore(wh_fail(reterr, WH_E_IO, "E4002", "the disk coughs"));
    return WH_E_IO;
}

static wh_status session_open(void *mem, void *ep, enum wh_use use, struct wh_str *ident,
                              struct wh_error *reterr)
{
    struct source_session *se = mem;

    se->open = true;
    WH_TRY(trouble(se, false, reterr));
    if (use == WH_READ && world.snapshots && !instant)
        return wh_fail(reterr, WH_GONE, "E4008", "the snapshot is gone");
    se->instant = instant;
    *ident = WH_STR("source");
    return WH_OK;
}

static void interrupt(void *mem)
{
    ((struct source_session *)mem)->interrupted = true;
}

static void session_close(void *mem)
{
    struct source_session *se = mem;

    if (!se->open)
        sim_fail("a session of the source is closed twice");
    se->open = false;
}

static wh_status snapshot(void *ep, void *mem, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    static int64_t last;

    *ret = (struct wh_snapshot){.kind = WH_SNAP_NONE};
    if (!world.snapshots)
        return WH_OK;
    WH_TRY(trouble(mem, false, reterr));
    instant = ++last;
    *ret = (struct wh_snapshot){.kind = WH_SNAP_POINT, .token = {&last, sizeof last}};
    snprintf(ret->what, sizeof ret->what, "instant %lld", (long long)last);
    return WH_OK;
}

/* What was taken by a process that is gone may be gone as well. */
static wh_status join(void *ep, const struct wh_snapshot *s, struct wh_error *reterr)
{
    int64_t of = 0;

    memcpy(&of, s->token.p, sizeof of);
    if (of == instant && world.faults > 0 && sim_chance(200)) {
        world.faults--;
        instant = 0;
        sim_trace("the snapshot is gone");
    }
    if (of != instant) {
        world.gone_seen = true;
        return wh_fail(reterr, WH_GONE, "E4008", "the snapshot is gone");
    }
    return WH_OK;
}

static void release(void *ep, const struct wh_snapshot *s)
{
}

static void close_source(void *ep)
{
}

static const struct wh_endpoint_ops endpoint = {.size = sizeof(struct wh_endpoint_ops),
                                                .open = open_source,
                                                .session_open = session_open,
                                                .interrupt = interrupt,
                                                .session_close = session_close,
                                                .snapshot = snapshot,
                                                .join = join,
                                                .release = release,
                                                .close = close_source};

/* ---- scan --------------------------------------------------------------------------------------
 */

static wh_status split_next(void *sc, void *se, const struct wh_bytes *cursor, struct wh_split *ret,
                            struct wh_bytes *ret_cursor, struct wh_error *reterr)
{
    struct scan *scan = sc;
    int flow = (int)scan->flow;
    int64_t i = 0;

    WH_TRY(trouble(se, false, reterr));
    if (cursor && cursor->n)
        memcpy(&i, cursor->p, sizeof i);
    if (i >= world.flow[flow].splits)
        return WH_END;
    scan->t = nth(flow, i);
    scan->next = i + 1;
    *ret = (struct wh_split){.token = {&scan->t, sizeof scan->t},
                             .est_rows = scan->t.to - scan->t.from,
                             .est_bytes = (scan->t.to - scan->t.from) * 20};
    snprintf(ret->label, sizeof ret->label, "part %d", (int)i);
    if (world.flow[flow].chained) {
        ret->order_group = 1;
        ret->order_seq = (uint64_t)i;
    }
    *ret_cursor = (struct wh_bytes){&scan->next, sizeof scan->next};
    return WH_OK;
}

static wh_status reader_open(void *rd, void *sc, void *se, const struct wh_ctx *attempt,
                             const struct wh_split *split, struct ArrowSchema *actual,
                             struct wh_error *reterr)
{
    struct reader *r = rd;
    const struct flow_def *f;

    r->se = se;
    memcpy(&r->t, split->token.p, sizeof r->t);
    WH_TRY(trouble(se, true, reterr));
    if (r->t.flow != (int64_t)((struct scan *)sc)->flow)
        sim_fail("a split of table %d is read as one of table %d", (int)r->t.flow,
                 (int)((struct scan *)sc)->flow);
    f = &world.flow[r->t.flow];
    r->at = r->t.from;
    r->end = r->t.to;
    if (f->chained && r->end < f->rows)
        r->end += f->shift; /* the row that crosses the border belongs to us */
    if (r->end > f->rows)
        r->end = f->rows;
    r->ctx = attempt;
    sim_trace("  reader: opened for %d..%d of table %d", (int)r->at, (int)r->end, (int)r->t.flow);
    return wh_builder_new(&sim_schema, &r->b, reterr);
}

static int one_row(struct reader *r)
{
    int64_t id = r->at++;
    char text[48];

    if (id_class_of((int)r->t.flow, id) == ID_RAW) {
        snprintf(text, sizeof text, "raw %d", (int)id);
        return r->ctx->reject_raw(r->ctx, (struct wh_bytes){text, strlen(text)}, 0, text, -1,
                                  "E4003", "no row");
    }
    snprintf(text, sizeof text, "name %lld", (long long)id);
    WH_TRY(wh_col_i64(wh_builder_column(r->b, 0), id));
    return wh_col_bytes(wh_builder_column(r->b, 1), text, strlen(text));
}

static wh_status reader_next(void *rd, struct wh_batch *ret, struct wh_error *reterr)
{
    struct reader *r = rd;
    int64_t first = r->at - r->t.from, n = 0;
    bool begins = r->at == nth((int)r->t.flow, r->t.index).from && r->at == r->t.from;

    WH_TRY(trouble(r->se, true, reterr));
    if (world.faults > 0 && sim_chance(2)) {
        world.faults--;
        world.fatal_seen = true;
        return wh_fail(reterr, WH_E_DATA, "E4003", "a quote never closes");
    }
    if (r->at >= r->end) {
        sim_trace("  reader: end at %d of %d..%d", (int)r->at, (int)r->t.from, (int)r->end);
        return WH_END;
    }
    if (begins && skips((int)r->t.flow, r->t.index))
        WH_TRY(r->ctx->skipped(r->ctx, "duplicate", 1));
    while (n < world.flow[r->t.flow].batch && r->at < r->end) {
        bool raw = id_class_of((int)r->t.flow, r->at) == ID_RAW;
        int st = one_row(r);
        if (st)
            sim_trace("  one_row %d", st);

        if (st != WH_OK)
            return st == WH_E_LIMIT ? wh_fail(reterr, st, "E6001", "too many dirty rows") : st;
        n += !raw;
    }
    if (n == 0)
        return WH_END;
    sim_trace("  reader: %d rows of table %d up to %d", (int)n, (int)r->t.flow, (int)r->at);
    WH_TRY(wh_builder_finish(r->b, ret));
    ret->first = first;
    return WH_OK;
}

static wh_status reader_cut(void *rd, struct wh_split *rest, struct wh_split *done,
                            struct wh_error *reterr)
{
    struct reader *r = rd;

    sim_point();
    if (!world.cuts)
        return WH_REFUSED;
    if (r->at >= r->end)
        return WH_END;
    world.cuts_done++;
    r->rest = (struct token){r->t.flow, r->at, r->t.to, r->t.index};
    r->done = (struct token){r->t.flow, r->t.from, r->at, r->t.index};
    *done = (struct wh_split){.token = {&r->done, sizeof r->done}};
    *rest = (struct wh_split){.token = {&r->rest, sizeof r->rest}, .est_rows = -1, .est_bytes = -1};
    return WH_OK;
}

static wh_status reader_end(void *rd, struct wh_bytes *ret, struct wh_error *reterr)
{
    struct reader *r = rd;

    memcpy(r->end_bytes, &r->at, sizeof r->at);
    *ret = (struct wh_bytes){r->end_bytes, sizeof r->end_bytes};
    return WH_OK;
}

static wh_status reader_chain(void *rd, const struct wh_bytes *prev, struct wh_split *right,
                              struct wh_error *reterr)
{
    struct reader *r = rd;
    int64_t end;

    memcpy(&end, prev->p, sizeof end);
    sim_trace("  reader: chain %d, began at %d", (int)end, (int)r->t.from);
    if (end == r->t.from)
        return WH_OK;
    r->right = (struct token){r->t.flow, end, r->t.to, r->t.index};
    *right = (struct wh_split){.token = {&r->right, sizeof r->right},
                               .est_rows = -1,
                               .est_bytes = -1,
                               .order_group = 1,
                               .order_seq = (uint64_t)r->t.index};
    return WH_REFUSED;
}

static wh_status acknowledge(void *sc, void *se, const struct wh_bytes *bookmark,
                             struct wh_error *reterr)
{
    struct token t;

    WH_TRY(trouble(se, false, reterr));
    memcpy(&t, bookmark->p, sizeof t);
    sim_trace("  source: told of %d..%d of table %d", (int)t.from, (int)t.to, (int)t.flow);
    /* A stage that is read again at another instant is dropped: what it held does not count. */
    for (int64_t id = t.from; world.kind <= KIND_PARTS && !world.gone_seen && id < t.to; id++)
        early += id_class_of((int)t.flow, id) == ID_GOOD && !server_has((int)t.flow, id);
    return WH_OK;
}

static void reader_close(void *rd)
{
    wh_builder_free(((struct reader *)rd)->b);
}

static void scan_close(void *sc)
{
}

static const struct wh_source_ops source = {.size = sizeof(struct wh_source_ops),
                                            .sc_size = sizeof(struct scan),
                                            .rd_size = sizeof(struct reader),
                                            .split_next = split_next,
                                            .reader_open = reader_open,
                                            .reader_next = reader_next,
                                            .reader_cut = reader_cut,
                                            .reader_end = reader_end,
                                            .reader_chain = reader_chain,
                                            .acknowledge = acknowledge,
                                            .reader_close = reader_close,
                                            .scan_close = scan_close};

static const struct wh_capabilities caps = {.commit_class = WH_CLASS_T};
const struct wh_connector sim_source = {.abi = WH_ABI,
                                        .size = sizeof(struct wh_connector),
                                        .name = "simsource",
                                        .title = "scripted source",
                                        .caps = &caps,
                                        .ep_size = 8,
                                        .se_size = sizeof(struct source_session),
                                        .endpoint = &endpoint,
                                        .source = &source};
