/* SPDX-License-Identifier: Apache-2.0 */
/* hard-again: a sink with a verdict per row, some of them "again", as _bulk answers 429 inside 200.
 *
 * Of each send every again_every-th row (option; counted over the attempt) was not looked at and is
 * to be sent again; rows that break the rule (option refuse) are refused for good; the others hold.
 * An engine that takes "again" for a refusal throws good rows away; one that sends the whole batch
 * again doubles its rows; one that counts a row at each send counts too many; one that answers at
 * once hammers a server that asked for a pause (retry_after_ms). */
#include "hard.h"

#include <stdio.h>
#include <string.h>

enum {
    RETRY_AFTER_MS = 5
};

struct writer {
    struct hard_writer base;
    struct wh_verdict *bad;
    size_t n_bad, cap_bad;
    int64_t seen; /* rows looked at in this attempt */
};

static wh_status add_verdict(struct writer *wr, int64_t send, int64_t row, bool again)
{
    if (wr->n_bad == wr->cap_bad) {
        size_t cap = wr->cap_bad ? wr->cap_bad * 2 : 64;
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
                            .again = again,
                            .text = again ? WH_STR("busy, send it again")
                                          : WH_STR("the fake server's rule refuses this row")};
    return WH_OK;
}

static wh_status judge(struct writer *wr, int64_t send, int64_t at, int64_t row,
                       struct wh_error *reterr)
{
    int64_t n = wr->base.fl->ep->opts->again_every;
    bool refused = false;

    if (n > 1 && ++wr->seen % n == 0)
        return add_verdict(wr, send, at, true);
    WH_TRY(hard_spool_row(&wr->base, wr->base.views, row, &refused, reterr));
    return refused ? add_verdict(wr, send, at, false) : WH_OK;
}

static wh_status writer_write(void *self, const struct wh_batch *b, int64_t send,
                              const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *wr = self;

    wr->n_bad = 0;
    *ret = (struct wh_acks){.upto_send = wr->base.acked};
    WH_TRY(hard_fault(wr->base.se, wr->base.ctx, "a write", reterr));
    WH_TRY(hard_views(&wr->base, &b->rows, wr->base.views, reterr));
    for (int64_t i = 0; i < n; i++)
        WH_TRY(judge(wr, send, i, rows ? rows[i] : first + i, reterr));
    wr->base.sent = wr->base.acked = send;
    *ret = (struct wh_acks){.upto_send = send,
                            .bad = wr->bad,
                            .n_bad = wr->n_bad,
                            .retry_after_ms = wr->n_bad ? RETRY_AFTER_MS : 0};
    return WH_OK;
}

static void writer_close(void *self)
{
    struct writer *wr = self;

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
    .writer_flush = hard_writer_flush,
    .writer_seal = hard_writer_seal,
    .writer_commit = hard_writer_commit,
    .lookup = hard_lookup,
    .verify = hard_verify,
    .writer_close = writer_close,
    .target_close = hard_target_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_POINT, WH_CLASS_T);
static const char *const schemes[] = {"hard-again", NULL};

WH_CONNECTOR(hard_again);
const struct wh_connector wh_connector_hard_again = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-again",
    .title = "Fake: a sink that judges row by row and wants some again",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &hard_endpoint_ops,
    .sink = &sink,
};
