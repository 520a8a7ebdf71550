/* SPDX-License-Identifier: Apache-2.0 */
/* null: a destination that keeps nothing and counts what it was given: rows, bytes, row hash.
 *
 * Class K: a unit that is written twice leaves as much behind as one written once, which is
 * nothing. There is no server: no run row, no marker, no lock; `lookup` says absent. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include <wherry/connector.h>
#include "core/alloc.h"
#include "data/rowhash.h"

struct null_options {
    bool hash;
};

static const struct wh_option to_rows[] = {
    WH_OPT_BOOL(struct null_options, hash, .def = "true",
                .help = "Also sum the hashes of the rows, as real destinations do"),
    WH_OPT_END};
static const struct wh_options to_table = {to_rows, sizeof(struct null_options), "null target"};

struct session {
    atomic_bool interrupted;
};

struct endpoint {
    const struct wh_ctx *ctx;
};

static wh_status endpoint_open(void *ep, const struct wh_ctx *ctx, enum wh_role role,
                               const void *opts, struct wh_error *reterr)
{
    ((struct endpoint *)ep)->ctx = ctx;
    return WH_OK;
}

static wh_status session_open(void *se, void *ep, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    *ret_ident = WH_STR("null");
    return WH_OK;
}

static void interrupt(void *se)
{
    atomic_store(&((struct session *)se)->interrupted, true);
}

static void session_close(void *se)
{
}

static void endpoint_close(void *ep)
{
}

/* --------------------------------------------------------------------------------------- target */

struct target {
    struct ArrowSchema schema;
    bool hash;
};

static void describe(const struct target *fl, struct wh_target *io, const struct wh_ctx *ctx)
{
    io->grain = WH_GRAIN_ROW;
    io->commit_class = WH_CLASS_K;
    io->atomic_given = WH_ATOMIC_UNIT;
    io->exists = false;
    io->existing_rows = 0;
    io->max_writers = 0;
    io->ret_object = (struct wh_name){.part = {WH_STR("null")}, .n = 1};
    /* Any number of runs may throw rows away at once: the key of the lock is the run itself. */
    snprintf(io->identity, sizeof io->identity, "null:%s:%u", ctx && ctx->run ? ctx->run : "",
             io->fence ? io->fence->flow : 0);
    snprintf(io->instant, sizeof io->instant, "never: nothing is kept");
    snprintf(io->on_kill, sizeof io->on_kill, "nothing is left behind; the rest is counted anew");
    snprintf(io->note, sizeof io->note, "rows are counted%s and thrown away",
             fl->hash ? ", hashed" : "");
}

static wh_status target_open(void *self, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    struct target *fl = self;
    const struct null_options *opts = io->opts;

    fl->hash = !opts || opts->hash;
    WH_TRY(wh_schema_copy(io->source, &fl->schema));
    WH_TRY(wh_schema_copy(io->source, &io->accept));
    describe(fl, io, io->ctx);
    return WH_OK;
}

static wh_status steps(void *fl, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                       struct wh_step_sink *out, struct wh_error *reterr)
{
    return WH_OK;
}

static wh_status apply(void *fl, void *se, const struct wh_step *step, const struct wh_fence *fence,
                       struct wh_receipts *receipts, bool maybe_done, struct wh_bytes *ret_receipt,
                       struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_BUG, "E9001", "null has no steps, but %u was asked for", step->id);
}

/* Nothing is kept, so no earlier attempt can have left anything. */
static wh_status lookup(void *fl, void *se, const struct wh_unit *unit, struct wh_fate *ret,
                        struct wh_error *reterr)
{
    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    return WH_OK;
}

static void target_close(void *self)
{
    wh_schema_release(&((struct target *)self)->schema);
}

/* --------------------------------------------------------------------------------------- writer */

struct writer {
    const struct target *fl;
    const struct session *se;
    struct wh_view *views;
    struct wh_rowsum sum;
    int64_t bytes, sent; /* last send */
    bool frames;         /* rows came as bytes: there is no row hash */
    char receipt[96];
};

static wh_status writer_open(void *self, void *target, void *se, const struct wh_ctx *attempt,
                             const struct wh_unit *unit, const struct wh_fence *fence,
                             struct wh_error *reterr)
{
    struct writer *wr = self;

    *wr = (struct writer){.fl = target, .se = se};
    wr->views = wh_calloc((size_t)wr->fl->schema.n_children + 1, sizeof *wr->views);
    return wr->views ? WH_OK : WH_E_NOMEM;
}

static wh_status hash_rows(struct writer *wr, const struct wh_batch *b, const int32_t *rows,
                           int64_t first, int64_t n, struct wh_error *reterr)
{
    const struct ArrowSchema *schema = &wr->fl->schema;

    WH_TRY(wh_views_init(schema, &b->rows, wr->views, reterr));
    return wh_rowhash_add(&wr->sum, wr->views, schema->n_children, rows, first, n);
}

static wh_status writer_write(void *self, const struct wh_batch *b, int64_t send,
                              const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    struct writer *wr = self;

    *ret = (struct wh_acks){.upto_send = send - 1};
    if (atomic_load(&wr->se->interrupted))
        return WH_LOST;
    if (b->frame.p || !wr->fl->hash) {
        wr->frames = wr->frames || b->frame.p;
        wr->sum.rows += n;
    } else {
        WH_TRY(hash_rows(wr, b, rows, first, n, reterr));
    }
    wr->bytes += b->n_rows > 0 ? (int64_t)((double)b->bytes * (double)n / (double)b->n_rows) : 0;
    ret->upto_send = wr->sent = send;
    return WH_OK;
}

/* Every send was judged at once: there is never anything to wait for. */
static wh_status writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                              struct wh_error *reterr)
{
    *ret = (struct wh_acks){.upto_send = ((struct writer *)self)->sent};
    return WH_OK;
}

static wh_status writer_seal(void *self, struct wh_tally *ret, struct wh_error *reterr)
{
    const struct writer *wr = self;

    *ret = (struct wh_tally){.rows = wr->sum.rows,
                             .bytes = wr->bytes,
                             .has_hash = wr->fl->hash && !wr->frames,
                             .hash = {wr->sum.sum.lo, wr->sum.sum.hi},
                             .inserted = -1,
                             .updated = -1,
                             .unchanged = -1};
    return WH_OK;
}

/* The receipt says what went by, for people who look into the state. */
static wh_status writer_commit(void *self, const struct wh_marker *marker,
                               struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct writer *wr = self;
    char hex[33];

    wh_u128_hex(wr->sum.sum, hex);
    int n = snprintf(wr->receipt, sizeof wr->receipt, "rows=%lld bytes=%lld hash=%s",
                     (long long)wr->sum.rows, (long long)wr->bytes, hex);

    *ret_receipt = (struct wh_bytes){wr->receipt, (size_t)n};
    return WH_OK;
}

static void writer_close(void *self)
{
    struct writer *wr = self;

    wh_free(wr->views);
    wr->views = NULL;
}

/* ------------------------------------------------------------------------------------ connector */

static const struct wh_endpoint_ops endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = endpoint_open,
    .session_open = session_open,
    .interrupt = interrupt,
    .session_close = session_close,
    .close = endpoint_close,
};

static const struct wh_sink_ops sink_ops = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct target),
    .wr_size = sizeof(struct writer),
    .target_open = target_open,
    .steps = steps,
    .apply = apply,
    .writer_open = writer_open,
    .writer_write = writer_write,
    .writer_flush = writer_flush,
    .writer_seal = writer_seal,
    .writer_commit = writer_commit,
    .lookup = lookup,
    .writer_close = writer_close,
    .target_close = target_close,
};

static const struct wh_capabilities caps = {
    .flags = WH_CAP_LOCAL | WH_CAP_KEEPS_NOTHING,
    .modes = 1u << WH_MODE_APPEND | 1u << WH_MODE_OVERWRITE | 1u << WH_MODE_TRUNCATE,
    .commit_class = WH_CLASS_K,
    .atomics = 1u << WH_ATOMIC_UNIT | 1u << WH_ATOMIC_TABLE,
    .snapshot = WH_SNAP_NONE,
    .grade = "G1",
    .limits = "keeps nothing; cannot be read",
};

static const char *const schemes[] = {"null", NULL};

WH_CONNECTOR(null);
const struct wh_connector wh_connector_null = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "null",
    .title = "Counts and hashes rows, keeps nothing",
    .schemes = schemes,
    .url = WH_URL_OBJECT,
    .to = &to_table,
    .caps = &caps,
    .ep_size = sizeof(struct endpoint),
    .se_size = sizeof(struct session),
    .endpoint = &endpoint_ops,
    .sink = &sink_ops,
};
