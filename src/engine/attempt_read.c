/* SPDX-License-Identifier: Apache-2.0 */
/* The reader's side of an attempt: splits one after the other, batches converted and hashed here,
 * rows that do not fit archived, cuts between batches. It counts what was read; what was written
 * is counted by the other side.
 */
#include "engine/runtime.h"

#include "core/clock.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    DIRTY_EVENTS = 20,           /* told one by one; the archive has all */
    MEMORY_PAUSE_MS = 200,       /* between two looks at the memory */
    MEMORY_PAUSE_MOST_MS = 5000, /* then one batch goes on in any case */
    RATIO_FROM_ROWS = 1000,      /* a ratio means nothing for the first few rows */
};

/* ---- dirty rows --------------------------------------------------------------------------------
 */

bool wh_attempt_too_dirty(const struct wh_attempt *at)
{
    const struct wh_stream *s = at->fr->flow->stream;
    int64_t dirty = at->fr->counts.rows_dirty + at->fr->dirty_reserved + at->dirty;
    int64_t read = at->fr->counts.rows_read + at->rows_read;

    if (dirty == 0)
        return false;
    if (s->dirty_ratio > 0) {
        if (s->dirty_rows > 0 && dirty > s->dirty_rows)
            return true;
        return read >= RATIO_FROM_ROWS && (double)dirty > s->dirty_ratio * (double)read;
    }
    return dirty > s->dirty_rows;
}

const char *wh_dirty_allowed(const struct wh_stream *s, char out[64])
{
    if (s->dirty_ratio > 0 && s->dirty_rows > 0)
        snprintf(out, 64, "%" PRId64 ", %g %%", s->dirty_rows, s->dirty_ratio * 100);
    else if (s->dirty_ratio > 0)
        snprintf(out, 64, "%g %%", s->dirty_ratio * 100);
    else
        snprintf(out, 64, "%" PRId64, s->dirty_rows);
    return out;
}

/* Twice the ratio, or what was seen by now and a little more. */
static double more_percent(const struct wh_run_flow *fr)
{
    double percent = fr->flow->stream->dirty_ratio * 200, seen = 0;

    if (fr->counts.rows_read > 0)
        seen = ceil(110.0 * (double)fr->counts.rows_dirty / (double)fr->counts.rows_read);
    percent = percent < seen ? seen : percent;
    return percent < 100 ? percent : 100;
}

/* Ten times as many. What was said of both is said of both: a part is laid over the whole. */
void wh_dirty_hint(const struct wh_runtime *run, const struct wh_run_flow *fr, struct wh_error *err)
{
    const struct wh_stream *s = fr->flow->stream;
    char more[80] = "", go_on[120] = "start it again with";
    int n = 0;

    if (s->dirty_rows > 0 || s->dirty_ratio <= 0)
        n = snprintf(more, sizeof more, "rows=%" PRId64 "%s",
                     s->dirty_rows > 0 && s->dirty_rows < INT64_MAX / 10 ? s->dirty_rows * 10 : 10,
                     s->dirty_ratio > 0 ? "," : "");
    if (s->dirty_ratio > 0)
        snprintf(more + n, sizeof more - (size_t)n, "ratio=%g%%", more_percent(fr));
    if (!wh_run_into_stdout(run))
        snprintf(go_on, sizeof go_on, "wherry resume %.60s", run->id);
    wh_error_hint(err, "wherry dirty list %s shows them; to go on without such rows: %s --dirty %s",
                  run->id, go_on, more);
}

int wh_attempt_dirty(struct wh_attempt *at, const struct wh_dirty_row *row, struct wh_error *reterr)
{
    struct wh_run_flow *fr = at->fr;
    bool tell, too_dirty;
    char allowed[64];

    WH_TRY(wh_dirty_add(at->archive, row, reterr));
    at->dirty++;
    at->lane->live.rows_dirty++;
    pthread_mutex_lock(&at->run->mutex);
    tell = !row->told && fr->dirty_events++ < DIRTY_EVENTS;
    too_dirty = wh_attempt_too_dirty(at);
    pthread_mutex_unlock(&at->run->mutex);
    if (tell) {
        struct wh_error err;

        wh_ignore(wh_fail(&err, WH_E_DATA, row->code, "%s", row->text));
        wh_error_where(&err, "%s, %s%s%s", fr->flow->table, row->position,
                       row->column ? ", column " : "", row->column ? row->column : "");
        wh_note(at->run, WH_EV_DIRTY, fr, at->unit->id, at->number, &err, "%s", row->text);
    }
    if (!too_dirty)
        return WH_OK;
    at->keep_archive = true;
    wh_ignore(wh_fail(reterr, WH_E_LIMIT, "E6001",
                      "more dirty rows than allowed (%s); this one: %s, %s%s%s: %s %s",
                      wh_dirty_allowed(fr->flow->stream, allowed), row->position,
                      row->column ? "column " : "", row->column ? row->column : "",
                      row->column ? "" : "row", row->code, row->text));
    wh_error_where(reterr, "%s", fr->flow->table);
    wh_dirty_hint(at->run, fr, reterr);
    return WH_E_LIMIT;
}

/* A row that did not convert: told by the transform. */
struct reject_arg {
    struct wh_attempt *at;
    int64_t first;
    struct wh_error *reterr;
};

static int bad_row(void *arg, const struct ArrowSchema *columns, const struct wh_view *views,
                   const struct wh_cell_reject *r)
{
    struct reject_arg *ra = arg;
    struct wh_attempt *at = ra->at;
    char position[WH_SPLIT_LABEL + 40];
    const struct wh_plan_column *pc = r->column >= 0 && r->column < at->fr->flow->n_columns
                                          ? &at->fr->flow->columns[r->column]
                                          : NULL;

    snprintf(position, sizeof position, "%s%srow %" PRId64, at->splits.v[at->split].label,
             at->splits.v[at->split].label[0] ? ", " : "", ra->first + r->row + 1);
    at->dirty_read++;
    return wh_attempt_dirty(at,
                            &(struct wh_dirty_row){.position = position,
                                                   .column = pc ? pc->name : NULL,
                                                   .code = r->code,
                                                   .text = r->text,
                                                   .columns = columns,
                                                   .views = views,
                                                   .flow = at->fr->flow,
                                                   .row = r->row},
                            ra->reterr);
}

/* ---- splits ------------------------------------------------------------------------------------
 */

static int open_split(struct wh_attempt *at, struct wh_error *reterr)
{
    struct ArrowSchema actual = {0};
    const struct wh_flow *flow = at->fr->flow;
    size_t size = at->source->rd_size;
    int st;

    at->rd = wh_calloc(1, size ? size : 1);
    if (!at->rd)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "reader");
    at->rd_open = true;
    at->reading = "opens the reader";
    st = at->source->reader_open(at->rd, flow->sc, at->rs->mem, &at->read_ctx,
                                 &at->splits.v[at->split], &actual, reterr);
    if (st == WH_OK && actual.release)
        st = wh_schema_same(&flow->source_schema, &actual, reterr);
    wh_schema_release(&actual);
    if (st == WH_OK)
        wh_kill_point("reader-opened");
    return st;
}

static void close_split(struct wh_attempt *at)
{
    if (at->rd_open && at->source->reader_close)
        at->source->reader_close(at->rd);
    at->rd_open = false;
    wh_free(at->rd);
    at->rd = NULL;
}

/* Where a chained split really ended: kept for its successor and for the marker. */
static int note_end(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_bytes end = {0};

    if (!at->fr->flow->scan.chained || !at->source->reader_end)
        return WH_OK;
    WH_TRY(at->source->reader_end(at->rd, &end, reterr));
    if (end.n > 64)
        return wh_fail(reterr, WH_E_BUG, "E9003", "reader_end gave %zu bytes", end.n);
    wh_bytes_free(&at->end);
    return wh_bytes_copy(end, &at->end) == WH_OK
               ? WH_OK
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "end of a range");
}

/* ---- cutting -----------------------------------------------------------------------------------
 */

static bool interval_over(const struct wh_attempt *at)
{
    const struct wh_flow_scan *scan = &at->fr->flow->scan;
    int64_t bytes = scan->unit_bytes > 0 ? scan->unit_bytes : WH_UNIT_BYTES;

    if (!scan->resumable || (scan->splittable && !at->run->limits.rate_on))
        return false;
    return at->bytes_read >= bytes ||
           wh_now_ns() - at->started_ns > (int64_t)WH_COMMIT_INTERVAL_MS * 1000000;
}

static int cut_at(struct wh_attempt *at, size_t index, const struct wh_split *rest,
                  struct wh_error *reterr)
{
    if (index >= at->splits.n)
        return WH_END; /* nothing is left: the unit is whole */
    wh_buf_clear(&at->rest);
    int st = wh_rest_encode(index, rest, &at->rest);
    if (st == WH_E_LIMIT) {
        at->no_cut = true; /* does not fit into a marker: read on */
        return WH_OK;
    }
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "rest of a unit");
    at->cut = true;
    wh_kill_point("cut");
    return WH_END;
}

/* OK: go on reading. END: the unit ends here. */
static int try_cut(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_split rest = {0}, done = {0};
    int st;

    if (at->no_cut || at->fr->flow->scan.chained) {
        at->answered = true;
        return WH_OK;
    }
    if (!at->read_any) {
        at->answered = true;
        return at->cut_asked ? wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop") : WH_OK;
    }
    if (!at->rd_open) {
        at->answered = true;
        return cut_at(at, at->split, NULL, reterr);
    }
    st = at->source->reader_cut ? at->source->reader_cut(at->rd, &rest, &done, reterr) : WH_REFUSED;
    at->answered = true;
    if (st == WH_OK || st == WH_END) {
        wh_bytes_free(&at->done_token);
        if (done.token.n && wh_bytes_copy(done.token, &at->done_token) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "bookmark");
    }
    if (st == WH_OK)
        return cut_at(at, at->split, &rest, reterr);
    if (st == WH_END)
        return cut_at(at, at->split + 1, NULL, reterr);
    if (st == WH_REFUSED || st == WH_E_UNSUPPORTED) {
        at->no_cut = true;
        return WH_OK;
    }
    return st;
}

/* ---- batches -----------------------------------------------------------------------------------
 */

/* Pauses happen here, on the reader's side, never between a writer's statements. */
static int pause_if_asked(struct wh_attempt *at, struct wh_error *reterr)
{
    int64_t owed = at->owed_ns, waited_ms = 0;

    at->owed_ns = 0;
    if (owed > 0) {
        at->reading = "pauses for the rate limit";
        wh_ignore(wh_run_pause(at->run, owed, at) ? WH_OK : WH_OK);
    }
    while (wh_limits_pressure(&at->run->limits) == WH_MEMORY_OVER && at->read_any &&
           waited_ms < MEMORY_PAUSE_MOST_MS && !at->hooks.cancelled && !at->cut_asked) {
        at->reading = "pauses for memory";
        wh_ignore(wh_run_pause(at->run, (int64_t)MEMORY_PAUSE_MS * 1000000, at) ? WH_OK : WH_OK);
        waited_ms += MEMORY_PAUSE_MS;
    }
    return at->hooks.cancelled ? wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop") : WH_OK;
}

/* The source gives more than the limit: what is beyond it counts as not read. */
static void shorten(struct wh_attempt *at, struct wh_batch *b)
{
    int64_t n = at->limit_left;

    if (n < 0 || b->n_rows <= n) {
        if (n > 0)
            at->limit_left -= b->n_rows;
        return;
    }
    at->limit_left = 0;
    b->n_rows = n;
    b->rows.length = n;
    for (int64_t i = 0; i < b->rows.n_children; i++) {
        b->rows.children[i]->length = n;
        if (b->rows.children[i]->null_count > 0)
            b->rows.children[i]->null_count = -1;
    }
}

static int take_batch(struct wh_attempt *at, struct wh_batch *b, struct wh_item **ret,
                      struct wh_error *reterr)
{
    struct wh_limits *limits = &at->run->limits;
    struct reject_arg ra = {at, b->first, reterr};
    int64_t bytes = b->source_bytes > 0 ? b->source_bytes : b->bytes;
    struct wh_item *item = NULL;
    int st;

    shorten(at, b);
    at->rows_read += b->n_rows;
    at->bytes_read += bytes;
    at->lane->live.rows_read += b->n_rows;
    at->lane->live.bytes_read += bytes;
    at->read_any = true;
    at->moved_ns = wh_now_ns();
    at->owed_ns = wh_limits_take(limits, bytes, b->n_rows, at->moved_ns);
    if (at->fr->pace) {
        int64_t owed = wh_limits_take(at->fr->pace, bytes, b->n_rows, at->moved_ns);

        if (owed > at->owed_ns)
            at->owed_ns = owed;
    }
    if (b->frame.p) {
        at->frames = true;
        if (at->hash_frames) /* as they left the reader; the writer hashes what it sends */
            wh_framehash_add(&at->frames_sum, &at->n_frames, b->frame.p, b->frame.n);
    }
    at->reading = "converts";
    st = wh_transform_run(at->transform, b, bad_row, &ra, &item, reterr);
    if (st == WH_OK && at->hash_rows && !item->batch.frame.p)
        st = wh_rowhash_add(&at->passed, wh_transform_views(at->transform), at->fr->flow->n_columns,
                            item->rows, 0, item->n);
    if (st != WH_OK) {
        wh_item_free(item);
        return st;
    }
    item->split = (int)at->split;
    at->rows_passed += item->n;
    *ret = item;
    return WH_OK;
}

/* One batch of the open split: OK with an item (maybe without rows), END at the split's end. */
static int next_batch(struct wh_attempt *at, struct wh_item **ret, struct wh_error *reterr)
{
    struct wh_batch b = {0};
    bool first = !at->read_any;
    int st;

    at->reading = "reads";
    st = at->source->reader_next(at->rd, &b, reterr);
    if (st != WH_OK) {
        wh_batch_release(&b);
        if (at->limit_error.status && st == at->limit_error.status)
            *reterr = at->limit_error; /* which row, where, why; or why it cannot be archived */
        return st;
    }
    if (b.frame.p && at->unit->decoded) {
        wh_batch_release(&b);
        return wh_fail(reterr, WH_E_BUG, "E9003", "a frame where columns were asked for");
    }
    if (b.n_rows <= 0 || (!b.frame.p && b.rows.length != b.n_rows)) {
        wh_ignore(wh_fail(reterr, WH_E_BUG, "E9003", "a batch of %" PRId64 " rows holds %" PRId64,
                          b.n_rows, b.rows.length));
        wh_batch_release(&b);
        return WH_E_BUG;
    }
    st = take_batch(at, &b, ret, reterr);
    wh_batch_release(&b);
    if (first && st == WH_OK)
        wh_kill_point("first-batch");
    return st;
}

/* The end of a split: OK when another follows. The last reader stays open for the chain. */
static int end_of_split(struct wh_attempt *at, struct wh_error *reterr)
{
    WH_TRY(note_end(at, reterr));
    if (at->split + 1 >= at->splits.n)
        return WH_END;
    close_split(at);
    at->split++;
    return WH_OK;
}

int wh_attempt_pull(struct wh_attempt *at, struct wh_item **ret, struct wh_error *reterr)
{
    int st = WH_OK;

    *ret = NULL;
    while (!at->ended) {
        WH_TRY(pause_if_asked(at, reterr));
        if (at->limit_left == 0) {
            at->ended = true;
            break;
        }
        if (at->cut_asked || (at->read_any && interval_over(at))) {
            st = try_cut(at, reterr);
            if (st == WH_END)
                at->ended = true;
            if (st != WH_OK)
                return st;
        }
        if (!at->rd_open)
            WH_TRY(open_split(at, reterr));
        st = next_batch(at, ret, reterr);
        if (st == WH_OK && (*ret)->n == 0 && !(*ret)->batch.frame.p) {
            wh_item_free(*ret); /* all of its rows were dirty */
            *ret = NULL;
            continue;
        }
        if (st == WH_END) {
            st = end_of_split(at, reterr);
            at->ended = st == WH_END;
        }
        if (st != WH_OK || *ret)
            return st;
    }
    return WH_END;
}

void wh_attempt_read_all(struct wh_attempt *at)
{
    struct wh_item *item = NULL;
    int st;

    do {
        st = wh_attempt_pull(at, &item, &at->read_error);
        if (st == WH_OK) {
            at->reading = "waits for room in the queue";
            st = wh_queue_push(&at->lane->queue, item);
            if (st != WH_OK)
                wh_ignore(wh_fail(&at->read_error, st, "E7015", "the writer gave up"));
        }
    } while (st == WH_OK);
    at->read_status = st;
    at->reading = st == WH_END ? "has given all its rows" : "has failed";
    wh_queue_finish(&at->lane->queue, st);
}
