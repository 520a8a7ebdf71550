/* SPDX-License-Identifier: Apache-2.0 */
/* Writing one attempt: rows into parts, a receipt beside them. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "sink.h"

enum {
    ROWS_AT_ONCE = 1024,
    TEXT_MAX = 512 << 20, /* a batch is about 1 MiB, one row at most max_row_bytes */
    SIDE_MAX = 64 << 20,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to write a file");
}

/* ---- standard output --------------------------------------------------------------------------
 */

wh_status sink_put_stdout(const void *p, size_t n, struct wh_error *reterr)
{
    const char *s = p;
    sigset_t pipe_only, before;
    int err = 0;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    pthread_sigmask(SIG_BLOCK, &pipe_only, &before);
    while (n && !err) {
        ssize_t k = write(STDOUT_FILENO, s, n);
        if (k < 0 && errno != EINTR)
            err = errno;
        s += k > 0 ? k : 0;
        n -= k > 0 ? (size_t)k : 0;
    }
    if (err == EPIPE && !sigismember(&before, SIGPIPE)) {
        const struct timespec now = {0, 0};
        sigtimedwait(&pipe_only, NULL, &now); /* ours: it must not strike later */
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (!err)
        return WH_OK;
    int st = wh_fail_errno(reterr, err,
                           err == ENOSPC  ? "E5004"
                           : err == EPIPE ? "E5015"
                                          : "E5001",
                           "cannot write to standard output");
    wh_error_hint(reterr, "make space where the output goes, then run it again");
    if (reterr)
        reterr->retriable = false; /* what went out cannot be taken back */
    return st;
}

/* ---- parts ------------------------------------------------------------------------------------
 */

static wh_status put(struct sink_writer *w, const void *p, size_t n, struct wh_error *reterr)
{
    if (w->fl->is_stdout)
        return sink_put_stdout(p, n, reterr);
    return w->fl->storage.ops->put(w->out, p, n, reterr);
}

wh_status sink_part_begin(struct sink_writer *w, struct wh_error *reterr)
{
    struct sink_target *fl = w->fl;
    char base[64], name[SINK_NAME];
    struct wh_buf header = WH_BUF(64 << 20);
    w->part = (struct sink_part){.rows = 0};
    w->part_text = 0;
    int st = WH_OK;
    if (!fl->is_stdout) {
        sink_attempt_name(&w->unit, w->unit.attempt, base, sizeof base);
        if (w->receipt.n)
            snprintf(w->part.name, sizeof w->part.name, "%s.p%zu.part", base, w->receipt.n);
        else
            snprintf(w->part.name, sizeof w->part.name, "%s.part", base);
        snprintf(name, sizeof name, "%.400s/%s", w->stage, w->part.name);
        w->out = wh_calloc(1, fl->storage.ops->out_size);
        st = w->out ? fl->storage.ops->put_open(w->out, fl->storage.st, name, reterr)
                    : no_memory(reterr);
    }
    bool wanted = !fl->is_stdout || !atomic_flag_test_and_set(&fl->header_written);
    if (st == WH_OK && wanted)
        st = sink_header(fl, &header, reterr);
    if (st == WH_OK && header.n)
        st = put(w, header.p, header.n, reterr);
    w->part.header_n = w->part.size = (int64_t)header.n;
    wh_buf_free(&header);
    if (w->json)
        wh_json_writer_start(w->json);
    if (st == WH_OK && fl->is_stdout && fl->comma.n && atomic_exchange(&fl->row_written, true))
        st = put(w, fl->comma.p, fl->comma.n, reterr);
    if (st == WH_OK && fl->codec != WH_CODEC_NONE)
        st = wh_encoder_new(fl->codec, fl->level, &w->encoder, reterr);
    return st;
}

/* Writes what is packed, in pieces of SINK_BLOCK as the hash wants them; the rest too at the end.
 */
static wh_status drain(struct sink_writer *w, bool end, struct wh_error *reterr)
{
    struct wh_buf *b = w->fl->codec == WH_CODEC_NONE ? &w->text : &w->packed;
    size_t at = 0;
    while (b->n - at >= SINK_BLOCK || (end && at < b->n)) {
        size_t n = b->n - at < SINK_BLOCK ? b->n - at : SINK_BLOCK;
        WH_TRY(put(w, b->p + at, n, reterr));
        w->part.hash = sink_hash(w->part.hash, b->p + at, n);
        w->part.size += (int64_t)n;
        at += n;
    }
    if (at) {
        memmove(b->p, b->p + at, b->n - at);
        b->n -= at;
    }
    return WH_OK;
}

static wh_status pack_text(struct sink_writer *w, bool end, struct wh_error *reterr)
{
    if (w->fl->codec == WH_CODEC_NONE)
        return drain(w, end, reterr);
    if (w->text.n >= SINK_BLOCK || end) {
        WH_TRY(wh_encode(w->encoder, w->text.p, w->text.n, &w->packed, reterr));
        wh_buf_clear(&w->text);
    }
    if (end)
        WH_TRY(wh_encode_end(w->encoder, &w->packed, reterr));
    return drain(w, end, reterr);
}

wh_status sink_part_drain(struct sink_writer *w, struct wh_error *reterr)
{
    return pack_text(w, false, reterr);
}

static bool part_open(const struct sink_writer *w)
{
    return w->out || (w->fl->is_stdout && (w->part.rows || w->encoder));
}

wh_status sink_part_end(struct sink_writer *w, struct wh_error *reterr)
{
    if (!part_open(w))
        return WH_OK;
    WH_TRY(pack_text(w, true, reterr));
    wh_encoder_free(w->encoder);
    w->encoder = NULL;
    if (w->out && w->fl->footer.n) {
        WH_TRY(put(w, w->fl->footer.p, w->fl->footer.n, reterr));
        w->part.size += (int64_t)w->fl->footer.n;
    }
    if (w->out) {
        WH_TRY(w->fl->storage.ops->put_finish(w->out, reterr));
        w->fl->storage.ops->put_close(w->out);
        wh_free(w->out);
        w->out = NULL;
        if (sink_receipt_add(&w->receipt, &w->part) != WH_OK)
            return no_memory(reterr);
        w->part.path = NULL; /* the receipt's now */
    }
    w->part.rows = 0;
    return WH_OK;
}

/* ---- verbs ------------------------------------------------------------------------------------
 */

wh_status sink_writer_open(void *self, void *target, void *se, const struct wh_ctx *attempt,
                           const struct wh_unit *unit, const struct wh_fence *fence,
                           struct wh_error *reterr)
{
    struct sink_writer *w = self;
    struct sink_target *fl = target;
    *w = (struct sink_writer){
        .fl = fl, .se = se, .ctx = attempt, .unit = *unit, .epoch = fence->epoch};
    w->text = WH_BUF(TEXT_MAX);
    w->packed = WH_BUF(TEXT_MAX);
    w->plain = WH_BUF(TEXT_MAX);
    w->receipt_bytes = WH_BUF(SIDE_MAX);
    sink_stage_folder(fl, fence, w->stage);
    w->views = wh_calloc((size_t)fl->schema.n_children + 1, sizeof *w->views);
    if (!w->views)
        return no_memory(reterr);
    WH_TRY(sink_charset_open(fl, &w->charset, reterr));
    if (fl->shape == FILES_FORMAT_BINARY)
        return WH_OK;
    if (files_is_json(fl->shape))
        return wh_json_writer_new(&fl->schema, fl->shape == FILES_FORMAT_JSON, &w->json, reterr);
    return wh_csv_writer_new(&fl->format, &fl->schema, &w->csv, reterr);
}

static bool part_is_full(const struct sink_writer *w)
{
    const struct sink_target *fl = w->fl;
    return (fl->part_rows && w->part.rows >= fl->part_rows) ||
           (fl->part_size && w->part_text >= fl->part_size);
}

static int64_t room_in_part(const struct sink_writer *w, int64_t n)
{
    int64_t most = w->fl->part_size ? 64 : ROWS_AT_ONCE;
    if (w->fl->part_rows && w->fl->part_rows - w->part.rows < most)
        most = w->fl->part_rows - w->part.rows;
    return n < most ? n : most;
}

static wh_status write_some(struct sink_writer *w, const int32_t *rows, int64_t first, int64_t n,
                            struct wh_error *reterr)
{
    if (part_open(w) && part_is_full(w))
        WH_TRY(sink_part_end(w, reterr));
    if (!part_open(w))
        WH_TRY(sink_part_begin(w, reterr));
    size_t before = w->text.n;
    struct wh_buf *to = w->charset ? &w->plain : &w->text;
    WH_TRY(w->json ? wh_json_write(w->json, w->views, rows, first, n, to, reterr)
                   : wh_csv_write(w->csv, w->views, rows, first, n, to, reterr));
    if (w->charset)
        WH_TRY(sink_charset_put(w->fl, w->charset, to->p, to->n, &w->text, reterr));
    wh_buf_clear(&w->plain);
    w->part.rows += n;
    w->part_text += (int64_t)(w->text.n - before);
    w->bytes += (int64_t)(w->text.n - before);
    return pack_text(w, false, reterr);
}

static wh_status write_batch(struct sink_writer *w, const struct wh_batch *b, const int32_t *rows,
                             int64_t first, int64_t n, struct wh_error *reterr)
{
    const struct ArrowSchema *schema = &w->fl->schema;
    if (b->frame.p)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a frame for a target that takes none");
    WH_TRY(wh_views_init(schema, &b->rows, w->views, reterr));
    WH_TRY(wh_rowhash_add(&w->sum, w->views, schema->n_children, rows, first, n));
    if (w->fl->shape == FILES_FORMAT_BINARY) {
        WH_TRY(sink_as_is_write(w, rows, first, n, reterr));
        w->rows += n;
        return WH_OK;
    }
    for (int64_t at = 0, k; at < n; at += k) {
        k = room_in_part(w, n - at);
        if (k <= 0) /* full: write_some begins the next one */
            k = n - at < 1 ? n - at : 1;
        WH_TRY(write_some(w, rows ? rows + at : NULL, rows ? 0 : first + at, k, reterr));
    }
    w->rows += n;
    return WH_OK;
}

wh_status sink_writer_write(void *self, const struct wh_batch *b, int64_t send, const int32_t *rows,
                            int64_t first, int64_t n, struct wh_acks *ret, struct wh_error *reterr)
{
    struct sink_writer *w = self;
    *ret = (struct wh_acks){.upto_send = w->sent};
    if (atomic_load(&w->se->interrupted))
        return WH_LOST;
    WH_TRY(files_worded(write_batch(w, b, rows, first, n, reterr), reterr));
    ret->upto_send = w->sent = send;
    return WH_OK;
}

wh_status sink_writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                            struct wh_error *reterr)
{
    *ret = (struct wh_acks){.upto_send = ((struct sink_writer *)self)->sent};
    return WH_OK;
}

/* The parts are durable from now on, and still nobody's. */
wh_status sink_writer_seal(void *self, struct wh_tally *ret, struct wh_error *reterr)
{
    struct sink_writer *w = self;
    WH_TRY(sink_part_end(w, reterr));
    *ret = (struct wh_tally){.rows = w->rows,
                             .bytes = w->bytes,
                             .has_hash = true,
                             .hash = {w->sum.sum.lo, w->sum.sum.hi},
                             .inserted = -1,
                             .updated = -1,
                             .unchanged = -1};
    return WH_OK;
}

/* The receipt may be torn by a power cut: the engine's record of it is what counts then, and
 * without that record the unit is done again. It need not be waited for. */
wh_status sink_writer_commit(void *self, const struct wh_marker *marker,
                             struct wh_bytes *ret_receipt, struct wh_error *reterr)
{
    struct sink_writer *w = self;
    char base[64], name[SINK_NAME];
    struct wh_buf side = WH_BUF(SIDE_MAX);
    wh_buf_clear(&w->receipt_bytes);
    if (sink_receipt_write(&w->receipt, &w->receipt_bytes) != WH_OK)
        return no_memory(reterr);
    *ret_receipt = (struct wh_bytes){w->receipt_bytes.p, w->receipt_bytes.n};
    int st = WH_OK;
    if (!w->fl->is_stdout) {
        sink_attempt_name(&w->unit, w->unit.attempt, base, sizeof base);
        snprintf(name, sizeof name, "%.400s/%s.receipt", w->stage, base);
        st = sink_side_write(marker, *ret_receipt, &side) == WH_OK
                 ? sink_put_small(w->fl, name, side.p, side.n, false, reterr)
                 : no_memory(reterr);
    }
    wh_buf_free(&side);
    w->committed = st == WH_OK;
    return st;
}

void sink_writer_close(void *self)
{
    struct sink_writer *w = self;
    if (!w->fl)
        return;
    if (w->out)
        w->fl->storage.ops->put_close(w->out);
    for (size_t i = 0; !w->committed && i < w->receipt.n; i++) {
        char name[SINK_NAME];
        snprintf(name, sizeof name, "%.400s/%s", w->stage, w->receipt.v[i].name);
        wh_ignore(w->fl->storage.ops->remove(w->fl->storage.st, name, NULL));
    }
    if (w->committed && w->fl->join) {
        struct wh_fence fence = {.run = wh_str(w->ctx->run),
                                 .epoch = w->epoch,
                                 .flow = w->unit.flow,
                                 .generation = w->unit.generation};
        sink_join_offer(w->fl, &fence, w->unit.id, &w->receipt, w->ctx);
    }
    wh_free(w->out);
    wh_encoder_free(w->encoder);
    wh_csv_writer_free(w->csv);
    wh_json_writer_free(w->json);
    sink_charset_close(w->charset);
    wh_buf_free(&w->plain);
    sink_receipt_free(&w->receipt);
    wh_free(w->part.path);
    wh_free(w->views);
    wh_buf_free(&w->text);
    wh_buf_free(&w->packed);
    wh_buf_free(&w->receipt_bytes);
    *w = (struct sink_writer){0};
}
