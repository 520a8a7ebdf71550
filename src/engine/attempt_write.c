/* SPDX-License-Identifier: Apache-2.0 */
/* The writer's side of an attempt: numbered sends, kept until they are judged, and the search for
 * the rows that a destination refuses.
 *
 * A *piece* is one send: some rows of one batch. REFUSED undoes every piece that has no answer yet.
 * In careful mode the culprit among them is found: by the writer's verdict if it names one, else
 * by halving, so that one bad row in n costs about 2 log2(n) sends.
 */
#include "engine/runtime.h"

#include "core/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    AGAIN_ROWS_MOST = 4096,
    AGAIN_ROUNDS_MOST = 60,
    AGAIN_FIRST_MS = 50,
    AGAIN_MOST_MS = 5000,
    FLUSH_MS = 600000,
    WINDOW_LEAST = 64, /* rows sent at once after a refused one */
    WINDOW_GROWS = 4,
};

struct wh_piece {
    struct wh_piece *next;
    struct wh_item *item;
    int32_t *own;   /* rows of the batch, or NULL: [off, off + n) of the item's list */
    int64_t off, n; /* */
    int64_t at;     /* place of the first among the unit's rows; -1: they are not in a row */
    int64_t send, bytes;
    uint8_t *gone; /* rows already judged, by index; NULL = none */
};

/* ---- pieces ------------------------------------------------------------------------------------
 */

static void item_unref(struct wh_item *item)
{
    if (--item->refs == 0)
        wh_item_free(item);
}

static struct wh_piece *piece_new(struct wh_item *item, int64_t off, int64_t n)
{
    struct wh_piece *p = wh_calloc(1, sizeof *p);

    if (!p)
        return NULL;
    p->item = item;
    item->refs++;
    p->off = off;
    p->n = n;
    p->at = -1;
    p->bytes = item->n ? item->bytes * n / item->n : 0;
    return p;
}

static void piece_free(struct wh_piece *p)
{
    item_unref(p->item);
    wh_free(p->own);
    wh_free(p->gone);
    wh_free(p);
}

static void pieces_free(struct wh_piece *p)
{
    while (p) {
        struct wh_piece *next = p->next;

        piece_free(p);
        p = next;
    }
}

/* The batch's row behind index k of a piece. */
static int32_t piece_row(const struct wh_piece *p, int64_t k)
{
    if (p->own)
        return p->own[k];
    return p->item->rows ? p->item->rows[p->off + k] : (int32_t)(p->off + k);
}

static int64_t pieces_rows(const struct wh_piece *p)
{
    int64_t n = 0;

    for (; p; p = p->next)
        n += p->n;
    return n;
}

/* Leaves out the rows that were judged; false without memory. */
static bool piece_compact(struct wh_piece *p)
{
    int64_t n = 0;
    int32_t *rows;

    if (!p->gone)
        return true;
    rows = wh_alloc((size_t)(p->n ? p->n : 1) * sizeof *rows);
    if (!rows)
        return false;
    for (int64_t k = 0; k < p->n; k++)
        if (!p->gone[k])
            rows[n++] = piece_row(p, k);
    wh_free(p->own);
    wh_free(p->gone);
    p->own = rows;
    p->gone = NULL;
    p->n = n;
    return true;
}

/* Cuts `n` rows off the front of a list: *list keeps them, the rest is returned. */
static int split_list(struct wh_piece *list, int64_t n, struct wh_piece **ret_rest,
                      struct wh_error *reterr)
{
    while (list->n < n) {
        n -= list->n;
        list = list->next;
    }
    if (list->n > n) {
        struct wh_piece *tail = piece_new(list->item, list->off + n, list->n - n);

        if (tail && list->own) {
            size_t size = (size_t)tail->n * sizeof *tail->own;

            tail->off = 0;
            tail->own = wh_alloc(size ? size : 1);
            if (tail->own)
                memcpy(tail->own, list->own + n, size);
        }
        if (!tail || (list->own && !tail->own)) {
            if (tail)
                piece_free(tail);
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "narrowing");
        }
        tail->next = list->next;
        list->next = tail;
        list->n = n;
        list->bytes -= tail->bytes;
    }
    *ret_rest = list->next;
    list->next = NULL;
    return WH_OK;
}

static void open_append(struct wh_attempt *at, struct wh_piece *p)
{
    p->next = NULL;
    *at->open_tail = p;
    at->open_tail = &p->next;
    at->unacked_bytes += p->bytes;
}

void wh_attempt_drop_pieces(struct wh_attempt *at)
{
    pieces_free(at->open_head);
    pieces_free(at->again_head);
    at->open_head = at->again_head = at->again_last = NULL;
    at->open_tail = &at->open_head;
    at->again_tail = &at->again_head;
    at->unacked_bytes = at->again_rows = 0;
}

/* ---- verdicts ----------------------------------------------------------------------------------
 */

static int row_views(struct wh_attempt *at, const struct wh_piece *p, struct wh_error *reterr)
{
    const struct wh_flow *flow = at->fr->flow;

    if (!at->write_views)
        at->write_views = wh_calloc((size_t)flow->n_columns + 1, sizeof *at->write_views);
    if (!at->write_views)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "dirty row");
    return wh_views_init(&flow->tgt.accept, &p->item->batch.rows, at->write_views, reterr);
}

/* A row that the destination does not take: archived, counted, and taken out of the hash that the
 * reader's side made over everything it passed on. */
struct refusal {
    int32_t column; /* -1: none in particular */
    const char *code, *text;
    bool told; /* by an earlier attempt */
};

static int refuse_row(struct wh_attempt *at, const struct wh_piece *p, int64_t k,
                      struct refusal why, struct wh_error *reterr)
{
    const struct wh_flow *flow = at->fr->flow;
    const struct ArrowSchema *accept = &flow->tgt.accept;
    const struct wh_split *split = &at->splits.v[p->item->split];
    char position[WH_SPLIT_LABEL + 40];
    int32_t row = piece_row(p, k);

    WH_TRY(row_views(at, p, reterr));
    WH_TRY(wh_rowhash_add(&at->refused, at->write_views, flow->n_columns, NULL, row, 1));
    at->rows_refused++;
    snprintf(position, sizeof position, "%s%srow %" PRId64, split->label,
             split->label[0] ? ", " : "", p->item->batch.first + row + 1);
    return wh_attempt_dirty(
        at,
        &(struct wh_dirty_row){.position = position,
                               .column = why.column >= 0 && why.column < flow->n_columns
                                             ? flow->columns[why.column].name
                                             : NULL,
                               .code = why.code,
                               .text = why.text,
                               .told = why.told,
                               .columns = accept,
                               .views = at->write_views,
                               .flow = flow,
                               .row = row},
        reterr);
}

/* Rows of one batch come again together. */
static int again_row(struct wh_attempt *at, const struct wh_piece *p, int64_t k,
                     struct wh_error *reterr)
{
    struct wh_piece *a = at->again_last;
    int32_t *more;

    if (!a || a->item != p->item) {
        a = piece_new(p->item, 0, 0);
        if (!a)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "rows to send again");
        *at->again_tail = at->again_last = a;
        at->again_tail = &a->next;
    }
    if ((a->n & (a->n - 1)) == 0) { /* grows in powers of two */
        more = wh_realloc(a->own, (size_t)(a->n ? a->n * 2 : 1) * sizeof *more);
        if (!more)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "rows to send again");
        a->own = more;
    }
    a->own[a->n++] = piece_row(p, k);
    a->bytes = a->item->n ? a->item->bytes * a->n / a->item->n : 0;
    at->again_rows++;
    return WH_OK;
}

/* Whether a refusal ends the attempt, so that the next one has to know what this one learned. */
static bool whole(const struct wh_attempt *at)
{
    return at->careful && at->fr->flow->tgt.grain == WH_GRAIN_ATTEMPT;
}

static int hash_row(struct wh_attempt *at, const struct wh_piece *p, int64_t k, struct wh_u128 *ret,
                    struct wh_error *reterr)
{
    const struct wh_flow *flow = at->fr->flow;
    struct wh_rowsum one = {0};

    WH_TRY(row_views(at, p, reterr));
    WH_TRY(wh_rowhash_add(&one, at->write_views, flow->n_columns, NULL, piece_row(p, k), 1));
    *ret = one.sum;
    return WH_OK;
}

/* The next attempt leaves this row out. */
static int blame(struct wh_attempt *at, const struct wh_piece *p, int64_t k, const char *code,
                 const char *text, bool told, struct wh_error *reterr)
{
    struct wh_error why = {0};
    struct wh_u128 hash;

    if (p->at < 0) /* rows that came again: found by their refusal, not by this verdict */
        return WH_OK;
    snprintf(why.code, sizeof why.code, "%s", code);
    snprintf(why.message, sizeof why.message, "%s", text);
    WH_TRY(hash_row(at, p, k, &hash, reterr));
    WH_TRY(wh_find_blame(at->unit, p->at + k, hash, &why, reterr));
    wh_find_next(at->unit, p->at + k, p->at + k + 1)->told = told;
    return WH_OK;
}

static int take_verdict(struct wh_attempt *at, const struct wh_verdict *v, struct wh_error *reterr)
{
    struct wh_piece *p = at->open_head;
    char text[400], code[6];

    while (p && p->send != v->send)
        p = p->next;
    if (!p || v->row < 0 || v->row >= p->n || (p->gone && p->gone[v->row]))
        return wh_fail(reterr, WH_E_BUG, "E9003",
                       "a verdict on row %" PRId64 " of send %" PRId64 ", which is not open",
                       v->row, v->send);
    if (!p->gone && !(p->gone = wh_calloc((size_t)p->n, 1)))
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "verdicts");
    p->gone[v->row] = 1;
    if (v->again)
        return again_row(at, p, v->row, reterr);
    snprintf(text, sizeof text, "%.*s", WH_STR_FMT(v->text));
    memcpy(code, v->code, sizeof code);
    code[5] = 0;
    WH_TRY(refuse_row(at, p, v->row,
                      (struct refusal){v->column, code[0] ? code : "E6009", text, false}, reterr));
    return whole(at) ? blame(at, p, v->row, code, text, true, reterr) : WH_OK;
}

/* Rows without an answer that were sent before this one. */
static int64_t rows_before(const struct wh_attempt *at, const struct wh_verdict *v)
{
    int64_t n = v->row;

    for (const struct wh_piece *p = at->open_head; p && p->send != v->send; p = p->next)
        n += p->n;
    return n;
}

/* Verdicts first, then lets go of everything that is judged. */
static int take_acks(struct wh_attempt *at, const struct wh_acks *acks, size_t *ret_bad,
                     struct wh_error *reterr)
{
    /* Rows of a frame are not told apart here: its unit is done again with columns. */
    for (size_t i = 0; i < acks->n_bad && !at->frames; i++) {
        if (*ret_bad == 0)
            at->bad_at = rows_before(at, &acks->bad[i]);
        WH_TRY(take_verdict(at, &acks->bad[i], reterr));
        *ret_bad += !acks->bad[i].again;
    }
    if (acks->retry_after_ms > at->retry_after_ms)
        at->retry_after_ms = acks->retry_after_ms;
    while (at->open_head && at->open_head->send <= acks->upto_send) {
        struct wh_piece *p = at->open_head;

        at->open_head = p->next;
        if (!at->open_head)
            at->open_tail = &at->open_head;
        at->unacked_bytes -= p->bytes;
        at->lane->live.rows_written += p->n;
        piece_free(p);
        at->moved_ns = wh_now_ns();
    }
    return WH_OK;
}

/* ---- sending -----------------------------------------------------------------------------------
 */

/* OK or REFUSED (the open pieces are undone then); *ret_bad counts rows that were named. */
static int send_piece(struct wh_attempt *at, struct wh_piece *p, size_t *ret_bad,
                      struct wh_error *reterr)
{
    const int32_t *rows = p->own ? p->own : p->item->rows ? p->item->rows + p->off : NULL;
    struct wh_acks acks = {0};
    int st, judged;

    p->send = ++at->next_send;
    open_append(at, p);
    at->doing = "writes";
    st = at->sink->writer_write(at->wr, &p->item->batch, p->send, rows, rows ? 0 : p->off, p->n,
                                &acks, reterr);
    wh_kill_point("batch-written");
    if (st != WH_OK && st != WH_REFUSED)
        return st;
    judged = take_acks(at, &acks, ret_bad, reterr);
    return judged == WH_OK ? st : judged;
}

static int flush_once(struct wh_attempt *at, size_t *ret_bad, struct wh_error *reterr)
{
    struct wh_acks acks = {0};
    const struct wh_piece *first = at->open_head;
    int64_t ms = at->run->options->timeouts.statement;
    int st, judged;

    at->doing = "is waited for to acknowledge rows";
    st = at->sink->writer_flush(at->wr, wh_now_ns() + (ms > 0 ? ms : FLUSH_MS) * 1000000, &acks,
                                reterr);
    if (st != WH_OK && st != WH_REFUSED)
        return st;
    judged = take_acks(at, &acks, ret_bad, reterr);
    if (judged != WH_OK)
        return judged;
    if (st == WH_OK && first && at->open_head == first)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a flush that judged nothing");
    return st;
}

static int flush_to(struct wh_attempt *at, int64_t most, size_t *ret_bad, struct wh_error *reterr)
{
    while (at->open_head && at->unacked_bytes > most)
        WH_TRY(flush_once(at, ret_bad, reterr));
    while (most == 0 && at->open_head) /* pieces without bytes */
        WH_TRY(flush_once(at, ret_bad, reterr));
    return WH_OK;
}

/* ---- narrowing ---------------------------------------------------------------------------------
 */

/* Takes back what REFUSED undid, without the rows that were judged meanwhile. */
static int take_back(struct wh_attempt *at, struct wh_piece **ret, struct wh_error *reterr)
{
    struct wh_piece *p = at->open_head, **tail = ret;

    at->open_head = NULL;
    at->open_tail = &at->open_head;
    at->unacked_bytes = 0;
    *ret = NULL;
    while (p) {
        struct wh_piece *next = p->next;
        bool ok = piece_compact(p);

        p->next = NULL;
        if (ok && p->n) {
            *tail = p;
            tail = &p->next;
        } else {
            piece_free(p);
        }
        if (!ok) {
            pieces_free(next);
            pieces_free(*ret);
            *ret = NULL;
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "narrowing");
        }
        p = next;
    }
    return WH_OK;
}

/* Sends a list and waits for its verdict; takes it. REFUSED: *ret_back is what remains of it. */
static int send_list(struct wh_attempt *at, struct wh_piece *p, size_t *ret_bad,
                     struct wh_piece **ret_back, struct wh_error *reterr)
{
    struct wh_piece **tail = ret_back;
    int st = WH_OK, taken;

    *ret_back = NULL;
    while (p && st == WH_OK) {
        struct wh_piece *next = p->next;

        st = send_piece(at, p, ret_bad, reterr);
        p = next;
    }
    if (st == WH_OK)
        st = flush_to(at, 0, ret_bad, reterr);
    taken = st == WH_REFUSED ? take_back(at, ret_back, reterr) : st;
    if (taken != WH_OK) {
        pieces_free(p);
        return taken;
    }
    while (*tail)
        tail = &(*tail)->next;
    *tail = p; /* what had not been sent yet */
    return st;
}

/* The same for a list of which the writer may name rows: they are taken out, and what stood before
 * the named one, which was found good, is sent by itself, so that each row is sent about twice
 * however many are refused. What follows is sent in windows that grow while all goes well. */
static int try_list(struct wh_attempt *at, struct wh_piece **list, struct wh_error *reterr)
{
    int64_t window = pieces_rows(*list);

    for (;;) {
        struct wh_piece *part = *list, *rest = NULL, *back = NULL, **tail = &back;
        size_t bad = 0;
        int st = WH_OK;

        *list = NULL;
        if (window < pieces_rows(part))
            st = split_list(part, window, &rest, reterr);
        if (st == WH_OK)
            st = send_list(at, part, &bad, &back, reterr);
        else
            pieces_free(part);
        if (st != WH_OK && st != WH_REFUSED) {
            pieces_free(rest);
            return st;
        }
        while (*tail)
            tail = &(*tail)->next;
        *tail = rest;
        *list = back;
        if (!back)
            return WH_OK;
        if (st == WH_OK)
            window = window > INT64_MAX / WINDOW_GROWS ? window : window * WINDOW_GROWS;
        else if (!bad)
            return WH_REFUSED;
        else
            window = at->bad_at > WINDOW_LEAST ? at->bad_at : WINDOW_LEAST;
    }
}

/* Finds the refused rows of a list and writes all others. Takes the list in any case. `known`: the
 * list as a whole was refused just now with *why. */
static int narrow(struct wh_attempt *at, struct wh_piece *list, bool known,
                  const struct wh_error *why, struct wh_error *reterr)
{
    struct wh_piece *rest = NULL;
    struct wh_error fresh = {0};
    int st;

    if (!known || pieces_rows(list) == 1) {
        st = try_list(at, &list, &fresh);
        if (st == WH_OK || !list) {
            if (st != WH_OK && reterr)
                *reterr = fresh;
            return st;
        }
        if (st != WH_REFUSED) {
            pieces_free(list);
            if (reterr)
                *reterr = fresh;
            return st;
        }
        why = &fresh;
    }
    if (pieces_rows(list) == 1) {
        const char *code = why->code[0] == 'E' && why->code[1] == '6' ? why->code : "E6009";

        st = refuse_row(at, list, 0, (struct refusal){-1, code, why->message, false}, reterr);
        pieces_free(list);
        return st;
    }
    st = split_list(list, pieces_rows(list) / 2, &rest, reterr);
    if (st != WH_OK) {
        pieces_free(list);
        return st;
    }
    st = try_list(at, &list, &fresh);
    if (st == WH_OK) /* the first half is fine, so the other one is not */
        return narrow(at, rest, true, why, reterr);
    if (st == WH_REFUSED)
        st = narrow(at, list, true, &fresh, reterr);
    else if (reterr)
        *reterr = fresh;
    if (st == WH_OK)
        return narrow(at, rest, false, why, reterr);
    pieces_free(rest);
    return st;
}

/* All or nothing: this attempt is lost, and the next one knows more. */
static int find_next_time(struct wh_attempt *at, size_t bad, struct wh_error *reterr)
{
    const struct wh_piece *p = at->open_head, *last = p;
    struct wh_error why = *reterr;

    while (last && last->next)
        last = last->next;
    if (!p)
        return wh_fail(reterr, WH_E_REMOTE, "E5011", "the destination refused rows: %s",
                       why.message);
    at->finding = true;
    if (bad) /* named, and kept */
        return WH_REFUSED;
    if (p == last && p->n == 1 && p->at >= 0) {
        WH_TRY(blame(at, p, 0, why.code, why.message, false, reterr));
        return WH_REFUSED;
    }
    if (p->at < 0 || last->at < 0)
        WH_TRY(wh_find_between(at->unit, 0, at->rows_sent, &why, reterr));
    else
        WH_TRY(wh_find_between(at->unit, p->at, last->at + last->n, &why, reterr));
    return WH_REFUSED;
}

void wh_attempt_careful(struct wh_attempt *at, const struct wh_error *why)
{
    struct wh_run_unit *u = at->unit;

    u->careful = true;
    u->decoded = at->frames || u->decoded;
    if (at->frames && !u->refused)
        u->refused = wh_strdup(why->message);
}

/* A refusal: outside of careful mode, and for frames, the attempt is done again with care. */
static int refused(struct wh_attempt *at, size_t bad, struct wh_error *reterr)
{
    struct wh_piece *list = NULL;
    struct wh_error why = *reterr;

    at->finding = at->finding || at->frames;
    if (!at->careful || at->frames)
        return WH_REFUSED;
    if (whole(at))
        return find_next_time(at, bad, reterr);
    WH_TRY(take_back(at, &list, reterr));
    if (!list)
        return WH_OK;
    return narrow(at, list, bad == 0, &why, reterr);
}

/* ---- rows that come again ----------------------------------------------------------------------
 */

static int send_again(struct wh_attempt *at, struct wh_error *reterr)
{
    struct wh_piece *p = at->again_head;
    int64_t before = at->again_rows;
    int64_t ms = at->retry_after_ms;
    size_t bad = 0;
    int st = WH_OK;

    at->again_head = at->again_last = NULL;
    at->again_tail = &at->again_head;
    at->again_rows = at->retry_after_ms = 0;
    if (!ms)
        ms = (int64_t)AGAIN_FIRST_MS << (at->again_rounds < 7 ? at->again_rounds : 7);
    at->doing = "pauses as the destination asked";
    if (!wh_run_pause(at->run, (ms < AGAIN_MOST_MS ? ms : AGAIN_MOST_MS) * 1000000, at)) {
        pieces_free(p);
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    }
    while (p && st == WH_OK) {
        struct wh_piece *next = p->next;

        st = send_piece(at, p, &bad, reterr);
        p = next;
    }
    pieces_free(p);
    if (st == WH_OK)
        st = flush_to(at, 0, &bad, reterr);
    at->again_rounds = at->again_rows < before ? 0 : at->again_rounds + 1;
    if (st == WH_OK && at->again_rounds > AGAIN_ROUNDS_MOST)
        return wh_fail(reterr, WH_E_REMOTE, "E8007",
                       "the destination put %" PRId64 " rows off %d times", at->again_rows,
                       at->again_rounds);
    return st == WH_REFUSED ? refused(at, bad, reterr) : st;
}

/* ---- finding, over several attempts ------------------------------------------------------------
 */

/* A row that an earlier attempt found is archived and left out. */
static int leave_out(struct wh_attempt *at, const struct wh_piece *p, int64_t k,
                     struct wh_find_row *r, struct wh_error *reterr)
{
    struct wh_u128 hash;

    WH_TRY(hash_row(at, p, k, &hash, reterr));
    if (r->hashed && !wh_u128_eq(r->hash, hash))
        return wh_fail(reterr, WH_E_REMOTE, "E5011",
                       "a row is refused that cannot be found: the source delivers in another "
                       "order, or computes other values, each time (%s)",
                       r->text);
    r->hash = hash;
    r->hashed = true;
    WH_TRY(refuse_row(at, p, k, (struct refusal){-1, r->code, r->text, r->told}, reterr));
    r->told = true;
    return WH_OK;
}

/* Only the seal refuses: it is asked about the rows so far, and the attempt ends. */
static int ask_seal(struct wh_attempt *at, int64_t rows, struct wh_error *reterr)
{
    struct wh_tally tally = {0};
    size_t bad = 0;
    int st = flush_to(at, 0, &bad, reterr);

    if (st == WH_REFUSED)
        return refused(at, bad, reterr);
    if (st == WH_OK)
        st = at->sink->writer_seal(at->wr, &tally, reterr);
    if (st != WH_OK && st != WH_REFUSED)
        return st;
    if (st == WH_OK) {
        WH_TRY(wh_find_sealed(at->unit, rows, NULL, reterr));
    } else {
        struct wh_error why = *reterr;

        WH_TRY(wh_find_sealed(at->unit, rows, &why, reterr));
    }
    at->finding = true;
    return WH_REFUSED;
}

static int send_step(struct wh_attempt *at, const struct wh_piece *all, int64_t k, int64_t n,
                     bool flush, struct wh_error *reterr)
{
    struct wh_piece *p = piece_new(all->item, all->off + k, n);
    size_t bad = 0;
    int st;

    if (!p)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "batch");
    p->at = all->at + k;
    st = send_piece(at, p, &bad, reterr);
    if (st == WH_OK)
        st = flush_to(at, flush ? 0 : WH_UNACKED_BYTES, &bad, reterr);
    return st == WH_REFUSED ? refused(at, bad, reterr) : st;
}

/* Without the rows that were found, and in steps where one is looked for. Takes the piece. */
static int write_finding(struct wh_attempt *at, struct wh_piece *take, struct wh_error *reterr)
{
    int64_t stop = wh_find_stop(at->unit) - take->at;
    int64_t k = 0;
    int st = WH_OK;

    while (st == WH_OK && k < take->n && k != stop) {
        struct wh_find_row *r = wh_find_next(at->unit, take->at + k, take->at + take->n);
        int64_t end = r ? r->at - take->at : take->n;
        bool flush;

        if (end == k) {
            st = leave_out(at, take, k++, r, reterr);
            continue;
        }
        end = stop >= k && stop < end ? stop : end;
        end = k + wh_find_step(at->unit, take->at + k, end - k, &flush);
        st = send_step(at, take, k, end - k, flush, reterr);
        k = end;
    }
    if (st == WH_OK && k == stop)
        st = ask_seal(at, take->at + k, reterr);
    piece_free(take);
    return st;
}

/* ---- the two verbs of an attempt ---------------------------------------------------------------
 */

int wh_attempt_write(struct wh_attempt *at, struct wh_item *take, struct wh_error *reterr)
{
    int64_t first = at->rows_sent;
    struct wh_piece *p;
    size_t bad = 0;
    int st;

    at->rows_sent += take->n;
    at->lane->live.bytes_written += take->bytes;
    p = piece_new(take, 0, take->n);
    if (!p) {
        wh_item_free(take);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "batch");
    }
    p->at = first;
    if (at->unit->find && !take->batch.frame.p)
        return write_finding(at, p, reterr);
    st = send_piece(at, p, &bad, reterr);
    if (st == WH_OK)
        st = flush_to(at, WH_UNACKED_BYTES, &bad, reterr);
    if (st == WH_REFUSED)
        st = refused(at, bad, reterr);
    if (st == WH_OK && at->again_rows > AGAIN_ROWS_MOST)
        st = send_again(at, reterr);
    return st;
}

int wh_attempt_settle(struct wh_attempt *at, struct wh_error *reterr)
{
    size_t bad = 0;
    int st = flush_to(at, 0, &bad, reterr);

    if (st == WH_REFUSED)
        st = refused(at, bad, reterr);
    while (st == WH_OK && at->again_head) {
        st = send_again(at, reterr);
        bad = 0;
        if (st == WH_OK)
            st = flush_to(at, 0, &bad, reterr);
        if (st == WH_REFUSED)
            st = refused(at, bad, reterr);
    }
    return st;
}
