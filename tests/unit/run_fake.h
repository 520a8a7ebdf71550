/* SPDX-License-Identifier: Apache-2.0 */
/* A source and a destination in memory with every fault that the runtime has to survive, and a plan
 * made by hand around them. The source's rows are (id int64, name utf8), ids 0 .. rows - 1. The
 * destination keeps committed ids and markers, one transaction per writer. */
#ifndef WHERRY_TESTS_UNIT_RUN_FAKE_H
#define WHERRY_TESTS_UNIT_RUN_FAKE_H

#include "test.h"

#include "core/alloc.h"
#include "core/clock.h"
#include "data/builder.h"
#include "data/rowhash.h"
#include "engine/ctx.h"
#include "engine/run.h"
#include "state/state.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

enum fault {
    FAULT_NONE,
    LIE_COUNT,      /* seal reports one row more */
    LOSE_ROW,       /* a row is dropped, and the count lies about it */
    CORRUPT,        /* a value changes on its way into the encoder */
    UNKNOWN_DONE,   /* commit happens, its answer is lost */
    UNKNOWN_UNDONE, /* commit does not happen, its answer is lost */
    LOST_ONCE,      /* the session dies in the middle of a unit */
    TWIN_DONE,      /* writer_open finds the marker: committed */
    READ_RETRY,     /* reader_next fails with a retriable error, once */
    READ_FATAL,
    FENCE_COMMIT,
    WRITE_HANGS,   /* the destination does not take rows until it is interrupted */
    CLAIM_LOST,    /* claimed, and the answer gets lost, each time */
    CLAIM_HANGS,   /* nor answer the claim */
    NEVER_RETURNS, /* the source is not moved by an interrupt either */
    CLAIM_NEVER,   /* nor is the claim */
    READ_HANGS,    /* the source does not answer until it is interrupted */
    OPEN_HANGS,    /* a connection to the destination is not answered until it is interrupted */
    CHAIN_LIES,    /* the source corrects a range to another one */
    READER_LIES,   /* the source counts a row as skipped that it also delivers */
};

struct fake_marker {
    int64_t unit;
    int32_t attempt;
    struct wh_marker m;
    uint8_t rest[4096], end[64];
};

struct fake {
    /* What to play. */
    int64_t rows, batch_rows, fail_unit;
    int splits;
    bool cuts, chained, late, again;
    int64_t shift;     /* chained: true borders are this much later than guessed */
    int64_t bad_every; /* every n-th id is refused by the destination */
    bool named;        /* refusals come with a verdict */
    bool seal_refuses; /* bad rows are refused by the seal alone */
    bool shuffles;     /* rows come in another order each time */
    enum wh_grain grain;
    enum fault fault;
    int64_t sleep_row_ns, sleep_commit_ns;
    /* What happened. */
    pthread_mutex_t mutex;
    uint8_t *have;  /* per id: how often committed */
    uint8_t *asked; /* per id: whether it was put off */
    struct fake_marker *markers;
    size_t n_markers;
    _Atomic int faults, sends, flushes, writers, readers, sessions, evicts, claims, closes, acks;
    _Atomic int open_writers, most_writers, open_readers, most_readers;
    _Atomic int64_t early; /* rows acknowledged before they were committed */
    uint32_t epoch;
    _Atomic int interrupts;
};

static struct fake fake;

static void fake_reset(int64_t rows, int splits)
{
    free(fake.have);
    free(fake.asked);
    free(fake.markers);
    fake =
        (struct fake){.rows = rows, .splits = splits, .batch_rows = 100, .grain = WH_GRAIN_BATCH};
    fake.have = calloc((size_t)rows + 1, 1);
    fake.asked = calloc((size_t)rows + 1, 1);
    fake.markers = calloc(4096, sizeof *fake.markers);
    pthread_mutex_init(&fake.mutex, NULL);
}

static bool fault_once(enum fault f, int64_t unit)
{
    if (fake.fault != f || (fake.fail_unit && fake.fail_unit != unit))
        return false;
    return atomic_fetch_add(&fake.faults, 1) == 0;
}

static bool fk_is_bad(int64_t id)
{
    return fake.bad_every && id % fake.bad_every == fake.bad_every / 2;
}

/* ---- endpoint ----------------------------------------------------------------------------------
 */

static wh_status fk_open(void *ep, const struct wh_ctx *ctx, enum wh_role role, const void *opts,
                         struct wh_error *reterr)
{
    return WH_OK;
}

static wh_status fk_session_open(void *se, void *ep, enum wh_use use, struct wh_str *ident,
                                 struct wh_error *reterr)
{
    int n = ++fake.sessions;
    char *text = se;

    snprintf(text, 32, "s%d", n);
    if (use == WH_WRITE && fault_once(OPEN_HANGS, 0)) {
        int64_t until = wh_now_ns() + 15000000000;

        while (!fake.interrupts && wh_now_ns() < until)
            usleep(10000);
        return wh_fail(reterr, WH_LOST, "E2008", "interrupted while connecting");
    }
    *ident = (struct wh_str){text, strlen(text)};
    return WH_OK;
}

static void fk_interrupt(void *se)
{
    fake.interrupts++;
}

static void fk_session_close(void *se)
{
    assert_int_equal(((char *)se)[0], 's'); /* closed once per open */
    ((char *)se)[0] = 'x';
}

/* No answer until somebody interrupts. */
static int fk_hang(struct wh_error *reterr)
{
    int64_t until = wh_now_ns() + 15000000000;
    int before = fake.interrupts;

    while (fake.interrupts == before && wh_now_ns() < until)
        usleep(5000);
    return wh_fail(reterr, WH_LOST, "E2008", "interrupted");
}

static wh_status fk_claim(void *ep, void *se, const struct wh_fence *f, const struct wh_objects *o,
                          struct wh_error *reterr)
{
    fake.claims++;
    if (fault_once(CLAIM_HANGS, 0))
        return fk_hang(reterr);
    while (fake.fault == CLAIM_NEVER)
        usleep(10000);
    fake.epoch = f->epoch;
    if (fake.fault == CLAIM_LOST)
        return wh_fail(reterr, WH_LOST, "E2008", "connection reset");
    return WH_OK;
}

static wh_status fk_evict(void *ep, void *se, const struct wh_fence *f, const struct wh_str *ident,
                          struct wh_error *reterr)
{
    fake.evicts++;
    return WH_OK;
}

static wh_status fk_run_close(void *ep, void *se, const struct wh_fence *f, struct wh_error *reterr)
{
    fake.closes++;
    return WH_OK;
}

static void fk_close(void *ep)
{
}

static const struct wh_endpoint_ops fk_endpoint = {.size = sizeof(struct wh_endpoint_ops),
                                                   .open = fk_open,
                                                   .session_open = fk_session_open,
                                                   .interrupt = fk_interrupt,
                                                   .session_close = fk_session_close,
                                                   .claim = fk_claim,
                                                   .evict = fk_evict,
                                                   .run_close = fk_run_close,
                                                   .close = fk_close};

/* ---- source ------------------------------------------------------------------------------------
 */

struct fk_token {
    int64_t from, to; /* rows; `to` is where the guess ends */
    int64_t index;
};

struct fk_reader {
    struct fk_token t;
    int64_t at, end;
    struct wh_builder *b;
    const struct wh_ctx *ctx;
    uint8_t end_bytes[8];
    struct fk_token rest, done, right;
    bool failed;
};

static struct ArrowSchema fk_schema;

static void fk_make_schema(struct ArrowSchema *s)
{
    const struct wh_type id = {.kind = WH_K_I64}, name = {.kind = WH_K_UTF8, .nullable = true};

    assert_ok(wh_schema_init(s, 2));
    assert_ok(wh_schema_set(s, 0, "id", &id, NULL));
    assert_ok(wh_schema_set(s, 1, "name", &name, NULL));
}

static struct fk_token fk_nth(int64_t i)
{
    return (struct fk_token){fake.rows * i / fake.splits, fake.rows * (i + 1) / fake.splits, i};
}

static wh_status fk_split_next(void *sc, void *se, const struct wh_bytes *cursor,
                               struct wh_split *ret, struct wh_bytes *ret_cursor,
                               struct wh_error *reterr)
{
    static _Thread_local struct fk_token t;
    static _Thread_local int64_t next;
    int64_t i = 0;

    if (cursor)
        memcpy(&i, cursor->p, sizeof i);
    if (i >= fake.splits)
        return WH_END;
    t = fk_nth(i);
    next = i + 1;
    *ret = (struct wh_split){.token = {&t, sizeof t}, .est_rows = -1, .est_bytes = -1};
    snprintf(ret->label, sizeof ret->label, "part %d", (int)i);
    if (fake.chained) {
        ret->order_group = 1;
        ret->order_seq = (uint64_t)i;
    }
    *ret_cursor = (struct wh_bytes){&next, sizeof next};
    return WH_OK;
}

static wh_status fk_reader_open(void *rd, void *sc, void *se, const struct wh_ctx *attempt,
                                const struct wh_split *split, struct ArrowSchema *actual,
                                struct wh_error *reterr)
{
    struct fk_reader *r = rd;

    int open = ++fake.open_readers;

    if (open > fake.most_readers)
        fake.most_readers = open;
    fake.readers++;
    memcpy(&r->t, split->token.p, sizeof r->t);
    r->at = r->t.from;
    r->end = r->t.to;
    if (fake.chained && r->end < fake.rows)
        r->end += fake.shift; /* the row that crosses the border belongs to us */
    r->ctx = attempt;
    return wh_builder_new(&fk_schema, &r->b, reterr);
}

static wh_status fk_reader_next(void *rd, struct wh_batch *ret, struct wh_error *reterr)
{
    struct fk_reader *r = rd;
    int64_t first = r->at - r->t.from;
    char name[32];

    if (fault_once(READ_RETRY, r->t.index + 1)) {
        wh_ignore(wh_fail(reterr, WH_E_IO, "E4002", "the disk coughs"));
        return WH_E_IO;
    }
    if (fake.fault == READ_FATAL && r->t.index + 1 == fake.fail_unit)
        return wh_fail(reterr, WH_E_DATA, "E4003", "a quote never closes");
    while (fake.fault == NEVER_RETURNS && r->t.index + 1 == fake.fail_unit)
        usleep(10000);
    if (fault_once(READ_HANGS, r->t.index + 1)) {
        struct wh_error e;

        wh_ignore(r->ctx->wait(r->ctx, -1, 0, INT64_MAX, &e));
        return wh_fail(reterr, WH_LOST, "E2008", "interrupted");
    }
    if (r->at >= r->end)
        return WH_END;
    if (fake.fault == READER_LIES && r->at == r->t.from)
        wh_ignore(r->ctx->skipped(r->ctx, "duplicate", 1));
    for (int64_t i = 0; i < fake.batch_rows && r->at < r->end; i++, r->at++) {
        int64_t id = r->at;

        if (fake.shuffles)
            id = r->t.from + (r->at - r->t.from + fake.readers * 37) % (r->end - r->t.from);
        snprintf(name, sizeof name, "name %lld", (long long)id);
        assert_ok(wh_col_i64(wh_builder_column(r->b, 0), id));
        assert_ok(wh_col_bytes(wh_builder_column(r->b, 1), name, strlen(name)));
    }
    if (fake.fault == READER_LIES && first == 0)
        r->ctx = r->ctx; /* told once per split */
    assert_ok(wh_builder_finish(r->b, ret));
    ret->first = first;
    if (fake.sleep_row_ns) {
        struct wh_error e;

        return r->ctx->wait(r->ctx, -1, 0, wh_now_ns() + fake.sleep_row_ns * ret->n_rows, &e) ==
                       WH_OK
                   ? WH_OK
                   : (wh_batch_release(ret), wh_fail(reterr, WH_E_CANCELLED, "E7015", "stopped"));
    }
    return WH_OK;
}

static wh_status fk_reader_cut(void *rd, struct wh_split *rest, struct wh_split *done,
                               struct wh_error *reterr)
{
    struct fk_reader *r = rd;

    if (!fake.cuts)
        return WH_REFUSED;
    if (r->at >= r->end)
        return WH_END;
    r->rest = (struct fk_token){r->at, r->t.to, r->t.index};
    r->done = (struct fk_token){r->t.from, r->at, r->t.index};
    *done = (struct wh_split){.token = {&r->done, sizeof r->done}};
    *rest = (struct wh_split){.token = {&r->rest, sizeof r->rest}, .est_rows = -1, .est_bytes = -1};
    return WH_OK;
}

static wh_status fk_reader_end(void *rd, struct wh_bytes *ret, struct wh_error *reterr)
{
    struct fk_reader *r = rd;

    memcpy(r->end_bytes, &r->at, sizeof r->at);
    *ret = (struct wh_bytes){r->end_bytes, sizeof r->end_bytes};
    return WH_OK;
}

static wh_status fk_reader_chain(void *rd, const struct wh_bytes *prev, struct wh_split *right,
                                 struct wh_error *reterr)
{
    struct fk_reader *r = rd;
    int64_t end;

    memcpy(&end, prev->p, sizeof end);
    if (end == r->t.from)
        return WH_OK;
    r->right = (struct fk_token){end, r->t.to, r->t.index};
    if (fake.fault == CHAIN_LIES)
        r->right = (struct fk_token){end, 0, 0};
    *right = (struct wh_split){.token = {&r->right, sizeof r->right},
                               .est_rows = -1,
                               .est_bytes = -1,
                               .order_group = 1,
                               .order_seq = (uint64_t)r->right.index};
    return WH_REFUSED;
}

static wh_status fk_acknowledge(void *sc, void *se, const struct wh_bytes *bookmark,
                                struct wh_error *reterr)
{
    struct fk_token t;

    fake.acks++;
    memcpy(&t, bookmark->p, sizeof t);
    pthread_mutex_lock(&fake.mutex);
    for (int64_t id = t.from; id < t.to && id < fake.rows; id++)
        fake.early += !fake.have[id] && !fk_is_bad(id);
    pthread_mutex_unlock(&fake.mutex);
    return WH_OK;
}

static void fk_reader_close(void *rd)
{
    fake.open_readers--;
    wh_builder_free(((struct fk_reader *)rd)->b);
}

static void fk_scan_close(void *sc)
{
}

static const struct wh_source_ops fk_source = {.size = sizeof(struct wh_source_ops),
                                               .sc_size = 8,
                                               .rd_size = sizeof(struct fk_reader),
                                               .split_next = fk_split_next,
                                               .reader_open = fk_reader_open,
                                               .reader_next = fk_reader_next,
                                               .reader_cut = fk_reader_cut,
                                               .reader_end = fk_reader_end,
                                               .reader_chain = fk_reader_chain,
                                               .acknowledge = fk_acknowledge,
                                               .reader_close = fk_reader_close,
                                               .scan_close = fk_scan_close};

/* ---- destination --------------------------------------------------------------------------------
 */

struct fk_sent {
    int64_t send;
    int64_t ids[512];
    struct wh_u128 hashes[512];
    int64_t n;
    bool off[512]; /* refused by name, or to come again */
};

struct fk_writer {
    struct wh_unit unit;
    struct fk_sent *open; /* since the last ack */
    size_t n_open, cap_open;
    int64_t *ids; /* held */
    int64_t n, cap;
    struct wh_u128 hash;
    struct wh_verdict bad[1024];
    bool committed;
};

static struct fake_marker *fk_find(int64_t unit)
{
    for (size_t i = 0; i < fake.n_markers; i++)
        if (fake.markers[i].unit == unit)
            return &fake.markers[i];
    return NULL;
}

static wh_status fk_steps(void *fl, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                          struct wh_step_sink *out, struct wh_error *reterr)
{
    const struct wh_step s = {.id = 1, .phase = phase, .say = WH_STR("make the store")};

    return phase == WH_PREPARE ? out->add(out, &s) : WH_OK;
}

static wh_status fk_apply(void *fl, void *se, const struct wh_step *step,
                          const struct wh_fence *fence, struct wh_receipts *receipts,
                          bool maybe_done, struct wh_bytes *receipt, struct wh_error *reterr)
{
    return WH_OK;
}

static void fk_put_marker(struct fk_writer *w, const struct wh_marker *m)
{
    struct fake_marker *k = &fake.markers[fake.n_markers++];

    assert_true(m->rest.n <= sizeof k->rest && m->end.n <= sizeof k->end);
    *k = (struct fake_marker){.unit = w->unit.id, .attempt = w->unit.attempt, .m = *m};
    if (m->rest.n)
        memcpy(k->rest, m->rest.p, m->rest.n);
    if (m->end.n)
        memcpy(k->end, m->end.p, m->end.n);
    k->m.rest.p = k->rest;
    k->m.end.p = k->end;
}

static wh_status fk_writer_open(void *wr, void *fl, void *se, const struct wh_ctx *attempt,
                                const struct wh_unit *unit, const struct wh_fence *fence,
                                struct wh_error *reterr)
{
    struct fk_writer *w = wr;
    int open = ++fake.open_writers;

    if (open > fake.most_writers)
        fake.most_writers = open;
    fake.writers++;
    w->unit = *unit;
    if (fence->epoch != fake.epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %u", fence->epoch);
    pthread_mutex_lock(&fake.mutex);
    bool twin = fk_find(unit->id) != NULL;
    if (!twin && fault_once(TWIN_DONE, unit->id)) { /* somebody was faster with the same rows */
        struct wh_marker m = {.rows = 0};
        const struct fk_token t = fk_nth(unit->id - 1);

        for (int64_t id = t.from; id < t.to; id++) {
            fake.have[id]++;
            m.rows++;
        }
        fk_put_marker(w, &m);
        twin = true;
    }
    pthread_mutex_unlock(&fake.mutex);
    return twin ? WH_TWIN : WH_OK;
}

static struct wh_u128 fk_row_hash(const struct wh_batch *b, int32_t row)
{
    struct wh_view v[2];
    struct wh_rowsum sum = {0};

    assert_ok(wh_views_init(&fk_schema, &b->rows, v, NULL));
    assert_ok(wh_rowhash_add(&sum, v, 2, NULL, row, 1));
    return sum.sum;
}

/* Everything since the last ack holds now. */
static void fk_hold(struct fk_writer *w)
{
    for (size_t s = 0; s < w->n_open; s++)
        for (int64_t k = 0; k < w->open[s].n; k++) {
            if (w->open[s].off[k])
                continue;
            if (w->n == w->cap) {
                w->cap = w->cap ? w->cap * 2 : 1024;
                w->ids = realloc(w->ids, (size_t)w->cap * sizeof *w->ids);
            }
            w->ids[w->n++] = w->open[s].ids[k];
            w->hash = wh_u128_add(w->hash, w->open[s].hashes[k]);
        }
    w->n_open = 0;
}

/* Judges what is open: named rows go alone, else all of it is refused when one is bad. */
static wh_status fk_judge(struct fk_writer *w, struct wh_acks *ret, struct wh_error *reterr)
{
    bool refuse = false;

    for (size_t s = 0; s < w->n_open; s++)
        for (int64_t k = 0; k < w->open[s].n; k++) {
            struct fk_sent *o = &w->open[s];
            bool again = fake.again && o->ids[k] % 7 == 3 && !fake.asked[o->ids[k]]++;

            if ((!fk_is_bad(o->ids[k]) || fake.seal_refuses) && !again)
                continue;
            if (again || fake.grain == WH_GRAIN_ROW || fake.named) {
                o->off[k] = true;
                w->bad[ret->n_bad] = (struct wh_verdict){.send = o->send,
                                                         .row = k,
                                                         .column = 0,
                                                         .code = "E6009",
                                                         .again = again,
                                                         .text = WH_STR("the check says no")};
                ret->n_bad++;
            }
            refuse = refuse || (!again && fake.grain != WH_GRAIN_ROW);
        }
    ret->bad = w->bad;
    if (refuse) {
        w->n_open = 0;
        return wh_fail(reterr, WH_REFUSED, "E6009", "the check says no");
    }
    if (w->n_open)
        ret->upto_send = w->open[w->n_open - 1].send;
    fk_hold(w);
    return WH_OK;
}

static wh_status fk_writer_write(void *wr, const struct wh_batch *b, int64_t send,
                                 const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                                 struct wh_error *reterr)
{
    struct fk_writer *w = wr;
    struct fk_sent *o;
    struct wh_view id;

    fake.sends++;
    if (fault_once(WRITE_HANGS, w->unit.id))
        return fk_hang(reterr);
    if (fault_once(LOST_ONCE, w->unit.id))
        return wh_fail(reterr, WH_LOST, "E2008", "connection reset");
    if (w->n_open == w->cap_open) {
        w->cap_open = w->cap_open ? w->cap_open * 2 : 8;
        w->open = realloc(w->open, w->cap_open * sizeof *w->open);
    }
    o = &w->open[w->n_open++];
    memset(o, 0, sizeof *o);
    o->send = send;
    assert_ok(wh_view_init(fk_schema.children[0], b->rows.children[0], &id, reterr));
    assert_true(n <= 512);
    for (int64_t k = 0; k < n; k++) {
        int32_t row = rows ? rows[k] : (int32_t)(first + k);

        o->ids[o->n] = wh_view_i64(&id, row);
        o->hashes[o->n] = fk_row_hash(b, row);
        if (fault_once(CORRUPT, w->unit.id))
            o->hashes[o->n].lo ^= 1;
        o->n++;
    }
    if (fake.late && w->unit.careful == false && w->n_open < 4)
        return WH_OK;
    if (w->unit.careful && fake.grain == WH_GRAIN_BATCH)
        return WH_OK; /* flush is the savepoint */
    return fk_judge(w, ret, reterr);
}

static wh_status fk_writer_flush(void *wr, int64_t deadline, struct wh_acks *ret,
                                 struct wh_error *reterr)
{
    fake.flushes++;
    return fk_judge(wr, ret, reterr);
}

static wh_status fk_writer_seal(void *wr, struct wh_tally *ret, struct wh_error *reterr)
{
    struct fk_writer *w = wr;

    assert_int_equal(w->n_open, 0); /* only with no send open */
    for (int64_t i = 0; i < w->n; i++)
        if (fk_is_bad(w->ids[i]))
            return wh_fail(reterr, WH_REFUSED, "E6009", "the check at the end says no");
    ret->rows = w->n;
    if (fault_once(LIE_COUNT, w->unit.id) || (fake.fault == LIE_COUNT && fake.faults > 100))
        ret->rows++;
    if (fault_once(LOSE_ROW, w->unit.id))
        w->n--;
    ret->bytes = w->n * 16;
    ret->has_hash = true;
    ret->hash[0] = w->hash.lo;
    ret->hash[1] = w->hash.hi;
    return WH_OK;
}

static wh_status fk_writer_commit(void *wr, const struct wh_marker *m, struct wh_bytes *receipt,
                                  struct wh_error *reterr)
{
    struct fk_writer *w = wr;

    if (fake.sleep_commit_ns)
        usleep((useconds_t)(fake.sleep_commit_ns / 1000));
    if (fault_once(UNKNOWN_UNDONE, w->unit.id))
        return wh_fail(reterr, WH_UNKNOWN, "E5003", "the answer got lost");
    if (fake.fault == FENCE_COMMIT)
        return wh_fail(reterr, WH_FENCED, "E7010", "a newer epoch");
    pthread_mutex_lock(&fake.mutex);
    for (int64_t i = 0; i < w->n; i++)
        fake.have[w->ids[i]]++;
    fk_put_marker(w, m);
    pthread_mutex_unlock(&fake.mutex);
    w->committed = true;
    if (fault_once(UNKNOWN_DONE, w->unit.id))
        return wh_fail(reterr, WH_UNKNOWN, "E5003", "the answer got lost");
    return WH_OK;
}

static wh_status fk_lookup(void *fl, void *se, const struct wh_unit *u, struct wh_fate *ret,
                           struct wh_error *reterr)
{
    struct fake_marker *k;

    pthread_mutex_lock(&fake.mutex);
    k = fk_find(u->id);
    if (k)
        *ret = (struct wh_fate){.kind = WH_FATE_COMMITTED, .marker = k->m, .attempt = k->attempt};
    pthread_mutex_unlock(&fake.mutex);
    return WH_OK;
}

static void fk_writer_close(void *wr)
{
    struct fk_writer *w = wr;

    fake.open_writers--;
    free(w->ids);
    free(w->open);
}

static void fk_target_close(void *fl)
{
}

static const struct wh_sink_ops fk_sink = {.size = sizeof(struct wh_sink_ops),
                                           .fl_size = 8,
                                           .wr_size = sizeof(struct fk_writer),
                                           .steps = fk_steps,
                                           .apply = fk_apply,
                                           .writer_open = fk_writer_open,
                                           .writer_write = fk_writer_write,
                                           .writer_flush = fk_writer_flush,
                                           .writer_seal = fk_writer_seal,
                                           .writer_commit = fk_writer_commit,
                                           .lookup = fk_lookup,
                                           .writer_close = fk_writer_close,
                                           .target_close = fk_target_close};

static const struct wh_capabilities fk_caps = {.commit_class = WH_CLASS_T};
static const struct wh_connector fk_connector = {.abi = WH_ABI,
                                                 .size = sizeof(struct wh_connector),
                                                 .name = "fake",
                                                 .title = "in memory",
                                                 .caps = &fk_caps,
                                                 .ep_size = 8,
                                                 .se_size = 32,
                                                 .endpoint = &fk_endpoint,
                                                 .source = &fk_source,
                                                 .sink = &fk_sink};

/* ---- a plan by hand -----------------------------------------------------------------------------
 */

struct rig {
    struct wh_services *services;
    struct wh_state *state;
    struct wh_job job;
    struct wh_stream stream;
    struct wh_plan plan;
    struct wh_endpoint from, to, *endpoints[2];
    struct wh_flow flow, *flows[1];
    struct wh_plan_column columns[2];
    struct wh_run_result result;
    struct wh_run_listener listener;
    struct wh_error error, last_error;
    uint64_t sc, fl;
    char dir[64], run[64], identity[80];
    int retries, dirty, warnings, errors;
    int stop_at_unit; /* wh_run_stop(1) when so many are done */
    int units;
};

static void rig_event(void *self, const struct wh_event *e)
{
    struct rig *r = self;

    r->retries += e->type == WH_EV_UNIT_RETRY;
    r->dirty += e->type == WH_EV_DIRTY;
    r->warnings += e->type == WH_EV_WARNING;
    r->errors += e->type == WH_EV_ERROR;
    if (e->type == WH_EV_ERROR && e->error)
        r->last_error = *e->error;
    if (e->type == WH_EV_UNIT_DONE && ++r->units == r->stop_at_unit)
        wh_run_stop(1, 2);
}

static void rig_endpoint(struct rig *r, struct wh_endpoint *ep, int index, const char *name)
{
    struct wh_error err;

    *ep = (struct wh_endpoint){.index = index,
                               .connector = &fk_connector,
                               .name = name,
                               .is_source = index == 0,
                               .is_target = index == 1,
                               .instants = 1};
    ep->ep = calloc(1, 8);
    assert_ok(wh_ctx_endpoint(r->services, ep, r->run, "UTC", &err));
    r->endpoints[index] = ep;
}

/* A fresh folder and state; the plan for a run that is new, or (resume) of the same name. */
static void rig_plan(struct rig *r)
{
    struct wh_type id = {.kind = WH_K_I64}, name = {.kind = WH_K_UTF8, .nullable = true};

    rig_endpoint(r, &r->from, 0, "source");
    rig_endpoint(r, &r->to, 1, "destination");
    r->stream.name = "s";
    r->stream.paced = &r->stream;
    r->stream.retry.times = r->stream.retry.wait_ms = r->stream.retry.outage_ms = -1;
    r->flow = (struct wh_flow){.index = 0,
                               .generation = 1,
                               .stream = &r->stream,
                               .table = "t",
                               .from = &r->from,
                               .to = &r->to,
                               .sc = &r->sc,
                               .fl = &r->fl,
                               .columns = r->columns,
                               .n_columns = 2,
                               .lanes = 4,
                               .delivery = "exactly once per unit"};
    r->columns[0] = (struct wh_plan_column){.name = "id", .source = 0, .from = id, .to = id};
    r->columns[1] = (struct wh_plan_column){.name = "name", .source = 1, .from = name, .to = name};
    r->flow.scan.chained = fake.chained;
    r->flow.scan.splittable = fake.splits > 1;
    r->flow.scan.resumable = fake.cuts;
    r->flow.tgt.grain = fake.grain;
    r->flow.tgt.commit_class = WH_CLASS_T;
    fk_make_schema(&r->flow.source_schema);
    fk_make_schema(&r->flow.tgt.accept);
    snprintf(r->identity, sizeof r->identity, "fake|%s", r->dir);
    r->flow.tgt.identity = r->identity;
    r->flows[0] = &r->flow;
    r->plan.job = &r->job;
    r->plan.run = r->run;
    r->plan.endpoints = r->endpoints;
    r->plan.n_endpoints = 2;
    r->plan.flows = r->flows;
    r->plan.n_flows = 1;
    r->plan.parallel = 4;
    r->plan.arena = wh_arena_new(64 << 20);
}

static void rig_unplan(struct rig *r)
{
    for (int i = 0; i < 2; i++) {
        wh_endpoint_control_lost(r->endpoints[i]);
        wh_ctx_endpoint_free(r->endpoints[i]);
        free(r->endpoints[i]->ep);
    }
    wh_schema_release(&r->flow.source_schema);
    wh_schema_release(&r->flow.tgt.accept);
    wh_arena_free(r->plan.arena);
}

static void rig_new(struct rig *r)
{
    char path[96];
    struct wh_error err;

    memset(r, 0, sizeof *r);
    snprintf(r->dir, sizeof r->dir, "/tmp/wherry-test-run-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    snprintf(path, sizeof path, "%s/state.db", r->dir);
    assert_ok(wh_state_open(path, 10000, &r->state, &err));
    assert_ok(wh_services_new(r->dir, NULL, &r->services, &err));
    snprintf(r->run, sizeof r->run, "r-20260101-%012x", (unsigned)getpid());
    r->job.name = "job";
    r->job.arena = wh_arena_new(16 << 20);
    r->job.tree = wh_node_map(r->job.arena);
    r->job.run = (struct wh_run_options){.retry_times = 3, .retry_wait_ms = 20};
    r->listener = (struct wh_run_listener){.self = r, .event = rig_event, .progress_ms = 100};
    if (!fk_schema.release)
        fk_make_schema(&fk_schema);
}

static void rig_free(struct rig *r)
{
    char command[128];

    wh_services_free(r->services);
    wh_state_close(r->state);
    wh_arena_free(r->job.arena);
    snprintf(command, sizeof command, "%s", r->dir);
    wh_ignore(rmdir(command) ? WH_OK : WH_OK);
}

static int rig_run(struct rig *r, bool resume)
{
    const struct wh_run_start start = {.resume = resume, .identity = r->run};
    int st;

    rig_plan(r);
    r->error = (struct wh_error){0};
    st = wh_run_execute(&r->plan, r->services, r->state, &start, &r->listener, &r->result,
                        &r->error);
    return st;
}

/* Red when an id arrived less or more than once; bad ones must not have arrived at all. */
static void assert_all_once(void)
{
    for (int64_t id = 0; id < fake.rows; id++)
        if (fake.have[id] != (fk_is_bad(id) ? 0 : 1))
            fail_msg("id %lld arrived %d times", (long long)id, fake.have[id]);
}

#endif
