/* SPDX-License-Identifier: Apache-2.0 */
/* Seal, check, commit, record, acknowledge: in this order, each with a kill point on both sides.
 *
 * Between seal and commit both ends compare what they counted and hashed, and the archive of dirty
 * rows becomes durable. The marker that the commit carries holds all that a later process needs to
 * record the unit as this one would have: counts, hash, what a cut left, where a range ended.
 */
#include "engine/rebuild.h"

#include "core/clock.h"
#include "core/log.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    IN_DOUBT_PAUSE_MS = 250,
};

/* a - b mod 2^128 */
static struct wh_u128 minus(struct wh_u128 a, struct wh_u128 b)
{
    struct wh_u128 neg = {~b.lo + 1, ~b.hi + (b.lo == 0)};

    return wh_u128_add(a, neg);
}

/* ---- checks ------------------------------------------------------------------------------------
 */

static int check_rows(struct wh_attempt *at, struct wh_error *reterr)
{
    const struct wh_tally *t = &at->tally;
    int64_t sent = at->rows_sent - at->rows_refused;
    int mode = at->fr->flow->stream->write.mode;
    int64_t known = t->rows >= 0 ? t->rows : sent;

    if (known != sent)
        return wh_fail(reterr, WH_E_REMOTE, "E5005",
                       "unit %" PRId64 ": %" PRId64 " rows were sent and not refused, the "
                       "destination counted %" PRId64,
                       at->unit->id, sent, known);
    at->rows_filtered = 0;
    if ((mode == WH_MODE_UPDATE || mode == WH_MODE_INSERT_IGNORE) && t->unchanged > 0)
        at->rows_filtered = t->unchanged;
    at->rows_written = known - at->rows_filtered;
    if (at->rows_read !=
        at->rows_written + at->rows_filtered + at->dirty_read + at->rows_refused + at->rows_skipped)
        return wh_fail(reterr, WH_E_BUG, "E9002",
                       "unit %" PRId64 ": %" PRId64 " read, but %" PRId64 " written + %" PRId64
                       " dirty + %" PRId64 " filtered + %" PRId64 " skipped",
                       at->unit->id, at->rows_read, at->rows_written,
                       at->dirty_read + at->rows_refused, at->rows_filtered, at->rows_skipped);
    return WH_OK;
}

static int hashes_differ(const struct wh_attempt *at, struct wh_u128 ours, struct wh_u128 theirs,
                         const char *what, struct wh_error *reterr)
{
    char a[33], b[33];

    wh_u128_hex(ours, a);
    wh_u128_hex(theirs, b);
    return wh_fail(reterr, WH_E_BUG, "E5006", "unit %" PRId64 ": %s hash to %s, %s to %s",
                   at->unit->id, what, a, at->frames ? "bytes sent" : "rows encoded", b);
}

/* Frames: over their bytes, in their order, where they left the reader and where they were sent. */
static int check_frames(struct wh_attempt *at, struct wh_u128 *ret, struct wh_error *reterr)
{
    struct wh_u128 theirs = {at->tally.hash[0], at->tally.hash[1]};

    if (!at->hash_frames || !at->wr_open)
        return WH_OK;
    *ret = at->frames_sum;
    if (!at->tally.has_hash) {
        at->fr->hash_off = true; /* said in the summary: never claimed */
        return WH_OK;
    }
    return wh_u128_eq(at->frames_sum, theirs)
               ? WH_OK
               : hashes_differ(at, at->frames_sum, theirs, "bytes read", reterr);
}

/* The reader's side hashed what it handed over; refused rows are taken out of it again. */
static int check_hash(struct wh_attempt *at, struct wh_u128 *ret, struct wh_error *reterr)
{
    struct wh_u128 ours = minus(at->passed.sum, at->refused.sum);
    struct wh_u128 theirs = {at->tally.hash[0], at->tally.hash[1]};

    *ret = (struct wh_u128){0};
    if (at->frames)
        return check_frames(at, ret, reterr);
    *ret = at->hash_rows ? ours : (struct wh_u128){0};
    if (!at->hash_rows || !at->wr_open)
        return WH_OK;
    if (at->passed.rows != at->rows_passed)
        return wh_fail(reterr, WH_E_BUG, "E9002", "%" PRId64 " rows hashed, %" PRId64 " passed on",
                       at->passed.rows, at->rows_passed);
    if (!at->tally.has_hash) {
        at->fr->hash_off = true; /* said in the summary: never claimed */
        return WH_OK;
    }
    return wh_u128_eq(ours, theirs) ? WH_OK
                                    : hashes_differ(at, ours, theirs, "rows decoded", reterr);
}

/* ---- the record in the state -------------------------------------------------------------------
 */

/* What a commit made true, from this attempt or from a marker that was found. */
struct outcome {
    int32_t attempt;
    struct wh_marker m;
    int64_t rows_read, bytes_read;
    int64_t *reserved;             /* of the attempt: becomes part of the counts */
    struct wh_bytes receipt, done; /* done: of reader_cut, see acknowledge */
    const char *skipped;
};

static int rest_unit(struct wh_run_flow *fr, const struct wh_run_unit *u, struct wh_bytes rest,
                     struct wh_run_unit **ret, struct wh_error *reterr)
{
    struct wh_buf splits = WH_BUF(256 << 20);
    struct wh_run_unit *made = NULL;
    int st;

    *ret = NULL;
    if (rest.n == 0)
        return WH_OK;
    st = wh_rest_apply(rest, u->splits, &splits, reterr);
    if (st == WH_OK && splits.n) {
        struct wh_bytes own = {0};

        if (wh_bytes_copy((struct wh_bytes){splits.p, splits.n}, &own) == WH_OK)
            made = wh_unit_new(0, own);
        if (made && wh_origin_rest(u->id, &made->origin) != WH_OK) {
            wh_unit_free(made);
            made = NULL;
        }
        if (!made)
            st = wh_fail(reterr, WH_E_NOMEM, "E8002", "rest of a unit");
    }
    wh_buf_free(&splits);
    if (made) {
        pthread_mutex_lock(&fr->run->mutex);
        made->id = fr->next_unit++;
        pthread_mutex_unlock(&fr->run->mutex);
        made->group = u->group;
        made->seq = u->seq;
        made->est_rows = made->est_bytes = -1;
        made->instant = fr->instant;
        snprintf(made->label, sizeof made->label, "%.80s (rest)", u->label);
        *ret = made;
    }
    return st;
}

static struct wh_unit_record record_of(const struct wh_run_flow *fr, const struct wh_run_unit *u)
{
    return (struct wh_unit_record){.flow = fr->flow->index,
                                   .generation = fr->fence.generation,
                                   .unit = u->id,
                                   .attempt = u->attempt,
                                   .label = u->label,
                                   .splits = u->splits,
                                   .order_group = u->group,
                                   .order_seq = u->seq,
                                   .est_rows = u->est_rows,
                                   .est_bytes = u->est_bytes,
                                   .instant = u->instant,
                                   .origin = u->origin};
}

static void count_unit(struct wh_run_flow *fr, const struct wh_run_unit *u, const struct outcome *o,
                       struct wh_run_unit *rest)
{
    struct wh_counts *c = &fr->counts;

    pthread_mutex_lock(&fr->run->mutex);
    c->rows_read += o->rows_read;
    c->rows_written += o->m.rows;
    c->rows_dirty += o->m.dirty;
    c->rows_filtered += o->m.filtered;
    c->rows_skipped += o->m.skipped;
    c->bytes_read += o->bytes_read;
    c->bytes_written += o->m.bytes > 0 ? o->m.bytes : 0;
    c->units_done++;
    if (!o->reserved) /* its attempt is over: the destination told */
        c->rows_found += o->rows_read;
    fr->instants |= wh_instant_bit(u->instant);
    if (o->reserved) {
        fr->dirty_reserved -= *o->reserved;
        *o->reserved = 0;
    }
    if (fr->limit_left > 0)
        fr->limit_left -= o->rows_read < fr->limit_left ? o->rows_read : fr->limit_left;
    if (rest && fr->limit_left == 0)
        wh_unit_free(rest); /* the limit is reached: what is left is not wanted */
    else if (rest)
        wh_flow_add_unit(fr, rest);
    pthread_mutex_unlock(&fr->run->mutex);
}

/* What of a cut unit is done, for acknowledgements that a resume repeats: whole splits, and the
 * part of the one that was cut if the source told a token for it. */
static int done_splits(const struct wh_run_unit *u, const struct outcome *o, struct wh_buf *ret,
                       struct wh_error *reterr)
{
    struct wh_splits all = {0};
    size_t n = 0;
    int st;

    WH_TRY(wh_rest_index(o->m.rest, &n, reterr));
    WH_TRY(wh_splits_decode(u->splits, &all, reterr));
    if (n < all.n && o->done.n) {
        all.v[n].token = o->done;
        n++;
    }
    st = n <= all.n ? wh_splits_encode(all.v, n, ret) : WH_E_STATE;
    wh_splits_free(&all);
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "splits of unit %" PRId64, u->id);
}

static int record(struct wh_run_flow *fr, struct wh_run_unit *u, const struct outcome *o,
                  struct wh_error *reterr)
{
    struct wh_buf done WH_CLEANUP(wh_buf_free) = WH_BUF(256 << 20);
    struct wh_runtime *run = fr->run;
    struct wh_unit_record r = record_of(fr, u), rest_record;
    struct wh_run_unit *rest = NULL;
    int st;

    if (o->m.rest.n && fr->flow->from->connector->source->acknowledge) {
        WH_TRY(done_splits(u, o, &done, reterr));
        r.splits = (struct wh_bytes){done.p, done.n};
    }
    WH_TRY(rest_unit(fr, u, o->m.rest, &rest, reterr));
    r.attempt = o->attempt;
    r.rows_read = o->rows_read;
    r.rows_written = o->m.rows;
    r.rows_dirty = o->m.dirty;
    r.rows_filtered = o->m.filtered;
    r.rows_skipped = o->m.skipped;
    r.bytes_read = o->bytes_read;
    r.bytes_written = o->m.bytes > 0 ? o->m.bytes : 0;
    r.hash = (struct wh_u128){o->m.hash[0], o->m.hash[1]};
    r.receipt = o->receipt;
    r.end = o->m.end;
    r.skipped = o->skipped;
    if (rest)
        rest_record = record_of(fr, rest);
    st = wh_state_unit_record(run->state, run->id, run->epoch, &r, rest ? &rest_record : NULL,
                              reterr);
    if (st != WH_OK) {
        wh_unit_free(rest);
        return st;
    }
    if (!fr->flow->to->connector->sink->lookup || fr->flow->tgt.commit_class == WH_CLASS_A)
        WH_TRY(wh_state_sync(run->state, reterr)); /* nobody else could tell */
    wh_kill_point("record-after");
    wh_dirty_sweep(
        run->services->state_dir, &fr->flow->stream->dirty_archive,
        &(struct wh_dirty_of){run->id, fr->flow->index, fr->fence.generation, u->id, u->attempt},
        o->m.dirty > 0 ? o->attempt : 0);
    count_unit(fr, u, o, rest);
    return WH_OK;
}

/* ---- acknowledge -------------------------------------------------------------------------------
 */

int wh_attempt_acknowledge(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_session *rs,
                           const struct wh_splits *splits, size_t n, struct wh_bytes done,
                           struct wh_error *reterr)
{
    const struct wh_source_ops *ops = fr->flow->from->connector->source;

    if (!ops->acknowledge)
        return WH_OK;
    WH_TRY(wh_state_sync(run->state, reterr)); /* the record, before the source may forget */
    wh_kill_point("acknowledge-before");
    for (size_t i = 0; i < n; i++)
        WH_TRY(ops->acknowledge(fr->flow->sc, rs->mem, &splits->v[i].token, reterr));
    if (done.n)
        WH_TRY(ops->acknowledge(fr->flow->sc, rs->mem, &done, reterr));
    wh_kill_point("acknowledge-after");
    return WH_OK;
}

/* A failing acknowledgement does not undo a commit: it is repeated at the next resume. */
static void acknowledge(struct wh_attempt *at)
{
    struct wh_error err = {0};
    size_t whole = at->cut ? at->split : at->splits.n;
    int st = wh_attempt_acknowledge(at->run, at->fr, at->rs, &at->splits, whole,
                                    at->cut ? at->done_token : (struct wh_bytes){0}, &err);

    if (st != WH_OK)
        wh_note(at->run, WH_EV_WARNING, at->fr, at->unit->id, at->number, &err,
                "the source was not told that unit %" PRId64 " is done: %s", at->unit->id,
                err.message);
    if (st == WH_LOST)
        at->rs->broken = true;
}

/* ---- commit ------------------------------------------------------------------------------------
 */

static int skipped_json(const struct wh_attempt *at, struct wh_buf *b)
{
    WH_TRY(wh_buf_addc(b, '{'));
    for (int i = 0; i < WH_SKIP_REASONS && at->skipped[i].rows; i++) {
        WH_TRY(i ? wh_buf_addc(b, ',') : WH_OK);
        WH_TRY(wh_buf_json(b, at->skipped[i].reason, strlen(at->skipped[i].reason)));
        WH_TRY(wh_buf_printf(b, ":%" PRId64, at->skipped[i].rows));
    }
    return wh_buf_addc(b, '}');
}

static enum wh_result record_own(struct wh_attempt *at, const struct wh_marker *m,
                                 struct wh_bytes receipt, struct wh_error *reterr)
{
    struct wh_buf skipped WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    struct outcome o = {.attempt = at->number,
                        .m = *m,
                        .rows_read = at->rows_read,
                        .bytes_read = at->bytes_read,
                        .reserved = &at->dirty_reserved,
                        .done = at->done_token,
                        .receipt = receipt};
    int st;

    if (at->rows_skipped && skipped_json(at, &skipped) == WH_OK)
        o.skipped = skipped.p;
    if (m->dirty > 0)
        at->keep_archive = true;
    st = record(at->fr, at->unit, &o, reterr);
    if (st == WH_FENCED)
        return WH_RESULT_FENCED;
    if (st != WH_OK)
        return WH_RESULT_FAILED; /* committed there: never attempted again, looked up at resume */
    acknowledge(at);
    return WH_RESULT_DONE;
}

/* The outcome of the commit is not known: the marker is asked, nothing is guessed. */
static enum wh_result ask(struct wh_attempt *at, struct wh_error *reterr)
{
    enum wh_result r;
    struct wh_error why = *reterr; /* of the commit */

    if (at->wr_open && at->sink->writer_close)
        at->sink->writer_close(at->wr);
    at->wr_open = false;
    at->ws->broken = true;
    wh_attempt_give_session(at, &at->ws);
    *reterr = (struct wh_error){0};
    r = wh_unit_lookup(at->run, at->fr, at->unit, reterr);
    if (r == WH_RESULT_RETRY && !reterr->code[0] && strcmp(why.code, "E5004") == 0) {
        *reterr = why; /* it did not get there, and this is why */
        reterr->status = WH_LOST;
        reterr->outcome_unknown = false;
    } else if (r == WH_RESULT_RETRY && !reterr->code[0]) /* why it is tried again is told */
        wh_ignore(wh_fail(reterr, WH_LOST, "E2008",
                          "the connection to '%s' was lost before the commit",
                          at->fr->flow->to->name));
    if (r == WH_RESULT_DONE) {
        at->keep_archive = at->dirty > 0;
        acknowledge(at);
    }
    return r;
}

static enum wh_result commit_marker(struct wh_attempt *at, const struct wh_marker *m,
                                    struct wh_error *reterr)
{
    struct wh_bytes receipt = {0}, own = {0};
    enum wh_result r;
    int st;

    wh_kill_point("commit-before");
    if (!wh_run_still_ours(at->run))
        return WH_RESULT_FENCED;
    at->doing = "commits";
    /* Whatever comes of it: the rows may be there, and another process may be the one to record
     * them. The record sweeps the archives of attempts that did not win. */
    if (m->dirty > 0)
        at->keep_archive = true;
    st = at->sink->writer_commit(at->wr, m, &receipt, reterr);
    wh_kill_point("commit-after");
    if (st == WH_UNKNOWN || (st < 0 && reterr->outcome_unknown))
        return ask(at, reterr);
    if (st == WH_LOST && !at->sink->lookup)
        return wh_attempt_judge(at, st, at->ws, reterr);
    if (st == WH_LOST)
        return ask(at, reterr);
    if (st == WH_REFUSED && !at->careful) {
        wh_attempt_careful(at, reterr);
        return WH_RESULT_AGAIN;
    }
    if (st != WH_OK)
        return wh_attempt_judge(at, st, at->ws, reterr);
    at->doing = "records";
    if (wh_bytes_copy(receipt, &own) != WH_OK) {
        wh_ignore(wh_fail(reterr, WH_E_NOMEM, "E8002", "receipt"));
        return WH_RESULT_FAILED;
    }
    r = record_own(at, m, own, reterr);
    wh_bytes_free(&own);
    return r;
}

/* The part before this one is proved; OK, or AGAIN with the right split in the unit. */
static enum wh_result prove_chain(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_run_unit *u = at->unit;
    struct wh_split right = {0};
    struct wh_bytes prev = {0}, own = {0};
    struct wh_buf b = WH_BUF(1 << 20);
    struct wh_unit_record r;
    uint8_t buf[64];
    int st;

    st = wh_chain_wait(at, &prev, buf, reterr);
    if (st != WH_OK)
        return wh_attempt_judge(at, st, NULL, reterr);
    st = at->source->reader_chain(at->rd, &prev, &right, reterr);
    if (st == WH_OK)
        return WH_RESULT_DONE;
    if (st != WH_REFUSED)
        return wh_attempt_judge(at, st, at->rs, reterr);
    if (right.order_group != u->group || right.order_seq != u->seq) { /* rows would be left out */
        wh_ignore(wh_fail(reterr, WH_E_BUG, "E9003",
                          "the source '%s' corrects %s to another range of its file",
                          at->fr->flow->from->name, u->label));
        return WH_RESULT_FAILED;
    }
    st = wh_splits_encode(&right, 1, &b);
    if (st == WH_OK)
        st = wh_bytes_copy((struct wh_bytes){b.p, b.n}, &own);
    wh_buf_free(&b);
    if (st != WH_OK) {
        wh_ignore(wh_fail(reterr, st, "E8002", "corrected range"));
        return WH_RESULT_FAILED;
    }
    wh_bytes_free(&u->splits);
    u->splits = own;
    wh_find_forget(u);
    r = record_of(at->fr, u);
    st = wh_state_unit_splits(at->run->state, at->run->id, at->run->epoch, &r, reterr);
    if (st != WH_OK)
        return wh_attempt_judge(at, st, NULL, reterr);
    wh_note(at->run, WH_EV_UNIT_RETRY, at->fr, u->id, at->number, NULL,
            "%s began in the middle of a row; it is read again from its true start", u->label);
    return WH_RESULT_AGAIN;
}

enum wh_result wh_attempt_prove(struct wh_attempt *at, struct wh_error *reterr)
{
    enum wh_result r = WH_RESULT_DONE;

    if (!at->fr->flow->scan.chained || !at->source->reader_chain || at->unit->group == 0)
        return WH_RESULT_DONE;
    if (at->unit->seq > 0)
        r = prove_chain(at, reterr);
    return r;
}

static void publish_end(struct wh_attempt *at)
{
    if (!at->fr->flow->scan.chained || at->unit->group == 0)
        return;
    wh_chain_put(at->fr, at->unit->group, at->unit->seq, at->end);
    pthread_mutex_lock(&at->run->mutex);
    at->fr->ranges++;
    pthread_mutex_unlock(&at->run->mutex);
}

/* A failed comparison is tried once more: memory may have been at fault, not the program. */
static enum wh_result mismatch(struct wh_attempt *at, struct wh_error *err)
{
    err->retriable = false;
    return at->unit->mismatches++ ? WH_RESULT_FAILED : WH_RESULT_AGAIN;
}

static int seal(struct wh_attempt *at, struct wh_error *reterr)
{
    int st;

    at->tally =
        (struct wh_tally){.rows = -1, .bytes = -1, .inserted = -1, .updated = -1, .unchanged = -1};
    wh_kill_point("seal-before");
    at->doing = "seals";
    st = at->sink->writer_seal(at->wr, &at->tally, reterr);
    if (st == WH_OK)
        wh_kill_point("seal-after");
    return st;
}

/* Nothing that was sent was refused, but all of it together is. */
static enum wh_result seal_refused(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_error why = *reterr;

    if (at->careful && !at->frames &&
        wh_find_sealed(at->unit, at->rows_sent, &why, reterr) != WH_OK)
        return WH_RESULT_FAILED;
    wh_attempt_careful(at, &why);
    return WH_RESULT_AGAIN;
}

/* Dirty rows of lanes that commit at the same time count together: each takes its share before. */
static bool reserve_dirty(struct wh_attempt *at, struct wh_error *reterr)
{
    bool fits;
    char allowed[64];

    pthread_mutex_lock(&at->run->mutex);
    fits = !wh_attempt_too_dirty(at);
    if (fits) {
        at->dirty_reserved = at->dirty;
        at->fr->dirty_reserved += at->dirty_reserved;
    }
    pthread_mutex_unlock(&at->run->mutex);
    if (fits)
        return true;
    at->keep_archive = true;
    wh_ignore(wh_fail(reterr, WH_E_LIMIT, "E6001", "more dirty rows than allowed (%s)",
                      wh_dirty_allowed(at->fr->flow->stream, allowed)));
    wh_dirty_hint(at->run, at->fr, reterr);
    return false;
}

static void release_dirty(struct wh_attempt *at)
{
    pthread_mutex_lock(&at->run->mutex);
    at->fr->dirty_reserved -= at->dirty_reserved;
    at->dirty_reserved = 0;
    pthread_mutex_unlock(&at->run->mutex);
}

enum wh_result wh_attempt_commit(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_marker m = {.bytes = -1};
    struct wh_u128 hash = {0};
    enum wh_result r = wh_attempt_prove(at, reterr);
    int st = WH_OK;

    if (r != WH_RESULT_DONE)
        return r;
    publish_end(at);
    at->tally = (struct wh_tally){0};
    if (at->wr_open)
        st = seal(at, reterr);
    if (st == WH_REFUSED)
        return seal_refused(at, reterr);
    if (st != WH_OK)
        return wh_attempt_judge(at, st, at->ws, reterr);
    st = check_rows(at, reterr);
    if (st == WH_OK)
        st = check_hash(at, &hash, reterr);
    if (st != WH_OK)
        return mismatch(at, reterr);
    st = wh_dirty_durable(at->archive, reterr);
    if (st != WH_OK)
        return wh_attempt_judge(at, st, NULL, reterr);
    wh_kill_point("archive-durable");
    m.rows = at->rows_written;
    m.bytes = at->wr_open ? at->tally.bytes : 0;
    m.dirty = at->dirty_read + at->rows_refused;
    m.filtered = at->rows_filtered;
    m.skipped = at->rows_skipped;
    m.hash[0] = hash.lo;
    m.hash[1] = hash.hi;
    if (at->cut)
        m.rest = (struct wh_bytes){at->rest.p, at->rest.n};
    m.end = at->end;
    if (!reserve_dirty(at, reterr))
        return WH_RESULT_FAILED;
    r = at->wr_open ? commit_marker(at, &m, reterr)
                    : record_own(at, &m, (struct wh_bytes){0}, reterr);
    release_dirty(at);
    return r;
}

/* ---- lookup ------------------------------------------------------------------------------------
 */

static int ask_fate(struct wh_runtime *run, struct wh_run_flow *fr, const struct wh_run_unit *u,
                    struct wh_session *s, struct wh_fate *fate, struct wh_error *reterr)
{
    struct wh_unit unit = {.id = u->id,
                           .flow = (uint32_t)fr->flow->index,
                           .generation = fr->fence.generation,
                           .attempt = u->attempt,
                           .est_rows = u->est_rows,
                           .est_bytes = u->est_bytes};
    int64_t lock_ms = run->options->timeouts.lock > 0 ? run->options->timeouts.lock : 30000;
    int64_t deadline = wh_now_ns() + lock_ms * 1000000;

    snprintf(unit.label, sizeof unit.label, "%s", u->label);
    for (;;) {
        *fate = (struct wh_fate){0};
        WH_TRY(fr->flow->to->connector->sink->lookup(fr->flow->fl, s->mem, &unit, fate, reterr));
        if (fate->kind != WH_FATE_IN_DOUBT)
            return WH_OK;
        if (wh_now_ns() > deadline ||
            !wh_run_pause(run, (int64_t)IN_DOUBT_PAUSE_MS * 1000000, NULL))
            return wh_fail(reterr, WH_E_REMOTE, "E5003",
                           "whether unit %" PRId64 " of %s was committed is not known yet", u->id,
                           fr->flow->table);
    }
}

int wh_unit_rows_there(struct wh_runtime *run, struct wh_run_flow *fr, const struct wh_run_unit *u,
                       int64_t *ret, struct wh_error *reterr)
{
    struct wh_session *s = NULL;
    struct wh_fate fate = {0};
    int st;

    *ret = 0;
    if (!fr->flow->to->connector->sink->lookup || fr->flow->tgt.commit_class == WH_CLASS_A)
        return WH_OK; /* nobody knows: at least once, as announced */
    WH_TRY(wh_session_get(run, fr->flow->to, WH_CONTROL, &s, reterr));
    st = ask_fate(run, fr, u, s, &fate, reterr);
    if (st == WH_OK && fate.kind == WH_FATE_COMMITTED)
        *ret = fate.marker.rows;
    s->broken = s->broken || st == WH_LOST;
    wh_session_put(run, s);
    return st;
}

static int ask_and_record(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_run_unit *u,
                          enum wh_fate_kind *ret, struct wh_error *reterr)
{
    struct wh_session *s = NULL;
    struct wh_fate fate = {0};
    struct outcome o;
    int st = wh_session_get(run, fr->flow->to, WH_CONTROL, &s, reterr);

    if (st == WH_OK)
        st = ask_fate(run, fr, u, s, &fate, reterr);
    if (s && st == WH_LOST)
        s->broken = true;
    if (st == WH_OK && (fate.kind == WH_FATE_COMMITTED || fate.kind == WH_FATE_STAGED)) {
        o = (struct outcome){.attempt = fate.attempt ? fate.attempt : u->attempt,
                             .m = fate.marker,
                             .receipt = fate.receipt,
                             .bytes_read = fate.marker.bytes > 0 ? fate.marker.bytes : 0};
        o.rows_read = o.m.rows + o.m.dirty + o.m.filtered + o.m.skipped;
        st = record(fr, u, &o, reterr);
        if (st == WH_OK && fr->flow->scan.chained && u->group && o.m.end.n)
            wh_chain_put(fr, u->group, u->seq, o.m.end);
    }
    wh_session_put(run, s);
    *ret = fate.kind;
    return st;
}

enum wh_result wh_unit_lookup(struct wh_runtime *run, struct wh_run_flow *fr, struct wh_run_unit *u,
                              struct wh_error *reterr)
{
    enum wh_fate_kind kind = WH_FATE_ABSENT;
    struct wh_retry retry = {.of = fr->flow->stream};
    int st;

    if (!fr->flow->to->connector->sink->lookup || fr->flow->tgt.commit_class == WH_CLASS_A)
        return WH_RESULT_RETRY; /* at least once, as announced */
    for (;;) {
        *reterr = (struct wh_error){0};
        st = ask_and_record(run, fr, u, &kind, reterr);
        if (st == WH_OK || !wh_is_away(st, reterr) || !wh_retry_more(run, &retry, st, reterr))
            break;
        if (!wh_retry_pause(run, &retry, reterr)) {
            u->looked_up = true; /* nobody tries it before it was asked for */
            return run->fenced ? WH_RESULT_FENCED : WH_RESULT_BACK;
        }
    }
    /* A process that was taken over may not ask any more, and need not know. */
    if (st == WH_FENCED || (st != WH_OK && run->fenced))
        return WH_RESULT_FENCED;
    if (st != WH_OK)
        return WH_RESULT_FAILED;
    return kind == WH_FATE_ABSENT ? WH_RESULT_RETRY : WH_RESULT_DONE;
}
