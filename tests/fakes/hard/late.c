/* SPDX-License-Identifier: Apache-2.0 */
/* hard-late: a sink that judges rows up to three sends late, as message queues do.
 *
 * Until a send is judged the writer keeps pointers into its batch and reads them only then. An
 * engine that releases a batch when writer_write returns gives us freed memory (ASan shows it, and
 * the row hash differs); one that seals with sends open is told so; one that cannot wait without
 * sending (writer_flush) hangs; one that takes the order of verdicts for the order of sends throws
 * away the wrong row. Grain ROW: refused rows come back in a late verdict. */
#include "hard.h"

#include <stdio.h>
#include <string.h>

enum {
    LATE = 3
};

/* A send that was taken and not judged yet. The batch's arrays are the engine's. */
struct pending {
    int64_t send, first, n;
    int32_t *rows; /* our copy of the selection, or NULL */
    struct wh_view *views;
};

struct writer {
    struct hard_writer base;
    struct pending queue[LATE];
    int n;
    struct wh_verdict *bad;
    size_t n_bad, cap_bad;
};

static void drop(struct pending *p)
{
    wh_free(p->rows);
    wh_free(p->views);
    *p = (struct pending){0};
}

static wh_status add_verdict(struct writer *wr, int64_t send, int64_t row)
{
    if (wr->n_bad == wr->cap_bad) {
        size_t cap = wr->cap_bad ? wr->cap_bad * 2 : 16;
        struct wh_verdict *more = wh_realloc(wr->bad, cap * sizeof *more);

        if (!more)
            return WH_E_NOMEM;
        wr->bad = more;
        wr->cap_bad = cap;
    }
    wr->bad[wr->n_bad++] =
        (struct wh_verdict){.send = send,
                            .row = row,
                            .column = -1,
                            .code = "E6009",
                            .text = WH_STR("the fake server's rule refuses this row")};
    return WH_OK;
}

/* Looks at the oldest send at last. */
static wh_status judge_one(struct writer *wr, struct wh_error *reterr)
{
    struct pending *p = &wr->queue[0];

    for (int64_t i = 0; i < p->n; i++) {
        bool refused = false;

        WH_TRY(hard_spool_row(&wr->base, p->views, p->rows ? p->rows[i] : p->first + i, &refused,
                              reterr));
        if (refused)
            WH_TRY(add_verdict(wr, p->send, i));
    }
    wr->base.acked = p->send;
    drop(p);
    wr->n--;
    memmove(wr->queue, wr->queue + 1, (size_t)wr->n * sizeof *wr->queue);
    wr->queue[wr->n] = (struct pending){0};
    return WH_OK;
}

static wh_status take(struct writer *wr, const struct wh_batch *b, int64_t send,
                      const int32_t *rows, int64_t first, int64_t n, struct wh_error *reterr)
{
    struct pending *p = &wr->queue[wr->n];
    size_t columns = (size_t)wr->base.fl->accept.n_children;

    *p = (struct pending){.send = send, .first = first, .n = n};
    p->views = wh_calloc(columns + 1, sizeof *p->views);
    p->rows = rows ? wh_alloc((size_t)n * sizeof *rows) : NULL;
    if (!p->views || (rows && !p->rows)) {
        drop(p);
        return WH_E_NOMEM;
    }
    if (rows)
        memcpy(p->rows, rows, (size_t)n * sizeof *rows);
    int st = hard_views(&wr->base, &b->rows, p->views, reterr);

    if (st != WH_OK) {
        drop(p);
        return st;
    }
    wr->n++;
    wr->base.sent = send;
    return WH_OK;
}

static void answer(struct writer *wr, struct wh_acks *ret)
{
    *ret = (struct wh_acks){.upto_send = wr->base.acked, .bad = wr->bad, .n_bad = wr->n_bad};
}

static wh_status writer_write(void *self, const struct wh_batch *b, int64_t send,
                              const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *wr = self;

    wr->n_bad = 0;
    answer(wr, ret);
    WH_TRY(hard_fault(wr->base.se, wr->base.ctx, "a write", reterr));
    if (wr->n == LATE)
        WH_TRY(judge_one(wr, reterr));
    WH_TRY(take(wr, b, send, rows, first, n, reterr));
    answer(wr, ret);
    return WH_OK;
}

static wh_status writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *wr = self;

    wr->n_bad = 0;
    answer(wr, ret);
    WH_TRY(hard_fault(wr->base.se, wr->base.ctx, "a flush", reterr));
    if (wr->n > 0)
        WH_TRY(judge_one(wr, reterr));
    answer(wr, ret);
    return WH_OK;
}

static void writer_close(void *self)
{
    struct writer *wr = self;

    for (int i = 0; i < wr->n; i++)
        drop(&wr->queue[i]);
    wr->n = 0;
    wh_free(wr->bad);
    wr->bad = NULL;
    hard_writer_close(&wr->base);
}

static wh_status target_open(void *fl, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    WH_TRY(hard_target_open(fl, ep, se, io, reterr));
    io->grain = WH_GRAIN_ROW;
    return WH_OK;
}

static const struct wh_sink_ops sink = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct hard_target),
    .wr_size = sizeof(struct writer),
    .target_open = target_open,
    .steps = hard_steps,
    .apply = hard_apply,
    .writer_open = hard_writer_open,
    .writer_write = writer_write,
    .writer_flush = writer_flush,
    .writer_seal = hard_writer_seal,
    .writer_commit = hard_writer_commit,
    .lookup = hard_lookup,
    .verify = hard_verify,
    .writer_close = writer_close,
    .target_close = hard_target_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_POINT, WH_CLASS_T);
static const char *const schemes[] = {"hard-late", NULL};

WH_CONNECTOR(hard_late);
const struct wh_connector wh_connector_hard_late = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-late",
    .title = "Fake: a sink that acknowledges three sends late",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &hard_endpoint_ops,
    .sink = &sink,
};
