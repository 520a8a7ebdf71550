/* SPDX-License-Identifier: Apache-2.0 */
/* One file out of the parts of many units, begun while units are still being written.
 *
 * Lanes hand in the parts of units that were committed; whoever hands in the next one in order
 * appends it, and what waited for it. That is work that PUBLISH would have to do alone, at the end.
 * Nothing depends on it: PUBLISH goes on from what was joined only if that is the beginning of what
 * the receipts say, part by part; else it starts again from the first part. The file's name holds
 * the epoch, so that a process that was stopped and goes on later writes to no file but its own. */
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include "sink.h"

enum {
    WAITING_MOST = 64, /* units that wait for one before them; then PUBLISH joins alone */
};
#define AT_ONCE                                                                                    \
    INT64_C(268435456) /* bytes that one lane appends before it goes on with its own               \
                        */

struct waiting {
    int64_t unit;
    struct sink_receipt parts;
};

struct sink_join {
    pthread_mutex_t lock;
    pthread_cond_t idle; /* busy became false */
    bool busy;           /* somebody appends; the fields below `next` are theirs */
    bool off;            /* nothing is taken any more */
    struct waiting v[WAITING_MOST];
    size_t n;
    int64_t next; /* unit */

    void *out; /* storage's; NULL: nothing is joined */
    char name[SINK_NAME];
    struct sink_receipt done; /* in the order of the file */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to join files");
}

int sink_join_new(struct sink_target *fl)
{
    fl->join = wh_calloc(1, sizeof *fl->join);
    if (!fl->join)
        return WH_E_NOMEM;
    pthread_mutex_init(&fl->join->lock, NULL);
    pthread_cond_init(&fl->join->idle, NULL);
    fl->join->next = 1;
    return WH_OK;
}

/* What was joined so far is thrown away. */
static void drop(const struct sink_target *fl)
{
    struct sink_join *j = fl->join;
    if (j->out)
        fl->storage.ops->put_close(j->out);
    wh_free(j->out);
    j->out = NULL;
    sink_receipt_free(&j->done);
}

static void forget_waiting(struct sink_join *j)
{
    for (size_t i = 0; i < j->n; i++)
        sink_receipt_free(&j->v[i].parts);
    j->n = 0;
}

void sink_join_free(struct sink_target *fl)
{
    struct sink_join *j = fl->join;
    if (!j)
        return;
    drop(fl);
    forget_waiting(j);
    pthread_cond_destroy(&j->idle);
    pthread_mutex_destroy(&j->lock);
    wh_free(j);
    fl->join = NULL;
}

/* ---- appending --------------------------------------------------------------------------------
 */

static wh_status begin(const struct sink_target *fl, const struct wh_fence *fence,
                       struct wh_error *reterr)
{
    struct sink_join *j = fl->join;
    char stage[SINK_NAME];
    sink_stage_folder(fl, fence, stage);
    snprintf(j->name, sizeof j->name, "%.400s/f%u.g%u.e%u.publish", stage, fence->flow,
             fence->generation, fence->epoch);
    j->out = wh_calloc(1, fl->storage.ops->out_size);
    if (!j->out)
        return no_memory(reterr);
    return fl->storage.ops->put_open(j->out, fl->storage.st, j->name, reterr);
}

/* Reads a part and writes it behind the others, without its header unless it is the first, and
 * without its footer; the bytes are those that the receipt knows. */
static wh_status copy_part(const struct sink_target *fl, void *in, const struct sink_part *p,
                           const char *name, const struct wh_ctx *ctx, struct wh_error *reterr)
{
    const struct sink_join *j = fl->join;
    const struct wh_storage_ops *ops = fl->storage.ops;
    WH_CLEANUP(wh_freep) uint8_t *block = wh_alloc(SINK_BLOCK);
    int64_t at = j->done.n ? p->header_n : 0, end = p->header_n + sink_body(fl, p);
    uint64_t hash = 0;
    if (!block)
        return no_memory(reterr);
    if (j->done.n && fl->comma.n)
        WH_TRY(ops->put(j->out, fl->comma.p, fl->comma.n, reterr));
    while (at < end) {
        if (ctx && ctx->cancelled(ctx))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
        int64_t upto = at < p->header_n ? p->header_n : end;
        size_t want = upto - at < SINK_BLOCK ? (size_t)(upto - at) : SINK_BLOCK, got = 0, k = 1;
        for (; got < want && k; got += k)
            WH_TRY(ops->pread(in, block + got, want - got, at + (int64_t)got, &k, reterr));
        if (got < want)
            return sink_part_lost(name, reterr);
        WH_TRY(ops->put(j->out, block, got, reterr));
        if (at >= p->header_n)
            hash = sink_hash(hash, block, got);
        at += (int64_t)got;
    }
    return hash == p->hash ? WH_OK : sink_part_lost(name, reterr);
}

/* ctx: whose wish to stop is heeded, or NULL. */
static wh_status append(const struct sink_target *fl, const struct wh_fence *fence,
                        const struct sink_part *p, const struct wh_ctx *ctx,
                        struct wh_error *reterr)
{
    struct sink_join *j = fl->join;
    const struct wh_storage_ops *ops = fl->storage.ops;
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, ops->in_size);
    char name[SINK_NAME], stage[SINK_NAME];
    if (!in)
        return no_memory(reterr);
    if (!j->out)
        WH_TRY(begin(fl, fence, reterr));
    sink_stage_folder(fl, fence, stage);
    snprintf(name, sizeof name, "%.400s/%.100s", stage, p->name);
    int st = ops->read_open(in, fl->storage.st, name, reterr);
    if (st == WH_OK)
        st = copy_part(fl, in, p, name, ctx, reterr);
    if (st == WH_OK && ops->forget)
        ops->forget(in);
    ops->read_close(in);
    if (st == WH_OK && sink_receipt_add(&j->done, p) != WH_OK)
        st = no_memory(reterr);
    return st;
}

/* ---- while units are written ------------------------------------------------------------------
 */

/* The next unit in order, if it waits here. The first one waits for the second: a part that stays
 * alone is the file, and gets its name without a copy. */
static bool take_next(struct sink_join *j, struct waiting *ret)
{
    size_t first = j->n;
    bool second = j->next > 1;
    for (size_t i = 0; i < j->n; i++) {
        first = j->v[i].unit == j->next ? i : first;
        second = second || j->v[i].unit == j->next + 1;
    }
    if (j->off || first == j->n || !second)
        return false;
    *ret = j->v[first];
    j->v[first] = j->v[--j->n];
    j->next++;
    return true;
}

static void keep(struct sink_join *j, int64_t unit, struct sink_receipt *take)
{
    if (j->off || j->n == WAITING_MOST || unit < j->next)
        return;
    j->v[j->n++] = (struct waiting){unit, *take};
    *take = (struct sink_receipt){0};
}

void sink_join_offer(struct sink_target *fl, const struct wh_fence *fence, int64_t unit,
                     struct sink_receipt *take, const struct wh_ctx *ctx)
{
    struct sink_join *j = fl->join;
    struct waiting w;
    int64_t left = AT_ONCE;
    pthread_mutex_lock(&j->lock);
    keep(j, unit, take);
    bool mine = !j->busy;
    j->busy = true;
    while (mine && left > 0 && take_next(j, &w)) {
        int st = WH_OK;
        pthread_mutex_unlock(&j->lock);
        for (size_t i = 0; st == WH_OK && i < w.parts.n; i++) {
            st = append(fl, fence, &w.parts.v[i], ctx, NULL);
            left -= w.parts.v[i].size;
        }
        sink_receipt_free(&w.parts);
        if (st != WH_OK)
            drop(fl); /* PUBLISH meets the trouble again, and tells it */
        pthread_mutex_lock(&j->lock);
        j->off = j->off || st != WH_OK;
    }
    if (mine) {
        j->busy = false;
        pthread_cond_broadcast(&j->idle);
    }
    pthread_mutex_unlock(&j->lock);
}

/* ---- when all units are in --------------------------------------------------------------------
 */

static bool same_part(const struct sink_part *a, const struct sink_part *b)
{
    return strcmp(a->name, b->name) == 0 && a->header_n == b->header_n && a->size == b->size &&
           a->hash == b->hash;
}

struct rest {
    const struct sink_target *fl;
    const struct wh_fence *fence;
    int64_t joined; /* parts that stood in the file before */
};

static wh_status rest_part(void *arg, const struct sink_part *p, int64_t number,
                           struct wh_error *reterr)
{
    const struct rest *r = arg;
    if (number > r->joined)
        return append(r->fl, r->fence, p, NULL, reterr);
    return same_part(p, &r->fl->join->done.v[number - 1]) ? WH_OK : WH_REFUSED;
}

/* All parts, or the header of a table without rows, into the open file. */
static wh_status join(const struct sink_target *fl, const struct wh_fence *fence,
                      struct wh_receipts *receipts, struct wh_error *reterr)
{
    struct sink_join *j = fl->join;
    struct wh_buf header = WH_BUF(64 << 20);
    struct rest r = {fl, fence, (int64_t)j->done.n};
    int64_t parts = 0;
    int st = sink_each_part(receipts, rest_part, &r, &parts, reterr);
    if (r.joined && (st == WH_REFUSED || (st == WH_OK && parts < r.joined))) {
        drop(fl); /* something else was joined than what counts */
        r.joined = 0;
        st = sink_each_part(receipts, rest_part, &r, &parts, reterr);
    }
    if (st == WH_OK && !j->out)
        st = begin(fl, fence, reterr);
    if (st == WH_OK && !parts)
        st = sink_no_rows(fl, &header, reterr);
    else if (st == WH_OK && fl->footer.n)
        st = fl->storage.ops->put(j->out, fl->footer.p, fl->footer.n, reterr);
    if (st == WH_OK && header.n)
        st = fl->storage.ops->put(j->out, header.p, header.n, reterr);
    wh_buf_free(&header);
    return st == WH_OK ? fl->storage.ops->put_finish(j->out, reterr) : st;
}

wh_status sink_join_all(const struct sink_target *fl, const struct wh_fence *fence,
                        struct wh_receipts *receipts, char ret_name[SINK_NAME],
                        struct wh_error *reterr)
{
    struct sink_join *j = fl->join;
    pthread_mutex_lock(&j->lock);
    j->off = true;
    while (j->busy)
        pthread_cond_wait(&j->idle, &j->lock);
    forget_waiting(j);
    pthread_mutex_unlock(&j->lock);
    int st = join(fl, fence, receipts, reterr);
    snprintf(ret_name, SINK_NAME, "%s", j->name);
    drop(fl);
    return st;
}
