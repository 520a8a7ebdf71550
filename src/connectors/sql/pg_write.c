/* SPDX-License-Identifier: Apache-2.0 */
/* A unit: one transaction that holds marker and rows.
 *
 * Rows go in by COPY BINARY. Without dirty rows to expect, all sends of a unit are one COPY and are
 * acknowledged as they are taken: a refusal ends the attempt, and the engine does the unit again in
 * careful mode. There a COPY ends with each flush, behind a savepoint: what the server refuses
 * takes back what came since, and where its words name a line the row is known.
 *
 * Where rows are poured, a COPY fills a temporary table and a statement takes them from there; long
 * units do so in pieces, whose order is that of the rows. */
#include "core/clock.h"
#include "core/hash.h"
#include "data/rowhash.h"
#include "pg_target.h"

enum {
    PUT_BYTES = 256 << 10, /* handed to the client at once */
    ROW_MOST = 512 << 20,  /* one row and what stands before it */
    POUR_BYTES = 32 << 20, /* of a temporary table */
};

/* What counts until it is taken back. */
struct done {
    struct wh_rowsum sum;
    struct wh_u128 frames; /* hash over the bytes of frames */
    int64_t n_frames, rows, bytes;
    int64_t inserted, updated, missed; /* -1 unknown */
};

/* Where a send begins among the rows of a COPY. */
struct begun {
    int64_t send, row;
    bool sifted; /* its rows are not counted as the engine counts them */
};

struct pg_wr {
    struct pg_fl *fl;
    struct pg_se *se;
    struct pg_mark mark;
    char *run; /* mark.fence.run, ours */
    struct pg_encoder *encoder;
    struct wh_buf out;
    struct wh_view *views;
    struct done now, saved; /* saved: at the savepoint */
    struct begun *begun;
    size_t n_begun, cap_begun;
    int64_t send, part_rows, part_bytes;
    struct sql_verdicts bad;
    int32_t *good; /* rows of a send that passed our own checks */
    size_t good_cap;
    bool careful, framed;
    bool open;     /* inside our transaction */
    bool dead;     /* nothing more can come of it */
    bool copying;  /* a COPY is under way */
    bool has_rows; /* the temporary table is made */
    bool has_save; /* the savepoint is made */
};
_Static_assert(sizeof(struct pg_wr) <= PG_WRITER_SIZE, "what the engine allocates");

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a writer");
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static int64_t lock_ms(const struct pg_fl *fl)
{
    return fl->ep->o->lock_timeout;
}

static wh_status begin(struct pg_wr *wr, struct wh_error *reterr)
{
    if (pg_transaction(wr->se->c) != 'I')
        pg_rollback(wr->se->c); /* nothing of an attempt before us */
    if (wr->fl->marker_off)
        WH_TRY(pg_mark_none(wr->se, &wr->mark, reterr));
    else
        WH_TRY(pg_mark_open(wr->se, &wr->mark, reterr));
    wr->open = true;
    return pg_mute_triggers(wr->se, wr->fl->o, reterr);
}

wh_status pg_writer_open(void *self, void *target, void *session, const struct wh_ctx *ctx,
                         const struct wh_unit *u, const struct wh_fence *fence,
                         struct wh_error *reterr)
{
    struct pg_wr *wr = self;
    int st;

    wr->fl = target;
    wr->se = session;
    wr->se->ctx = ctx;
    pg_use(wr->se->c, ctx);
    wr->careful = u->careful;
    wr->out = WH_BUF(ROW_MOST);
    wr->run = wh_strndup(fence->run.s ? fence->run.s : "", fence->run.n);
    wr->views = wh_calloc((size_t)wr->fl->n_dest + 1, sizeof *wr->views);
    if (!wr->run || !wr->views)
        return no_memory(reterr);
    wr->mark = (struct pg_mark){.schema = wr->fl->markers,
                                .units = wr->fl->units,
                                .units_schema = wr->fl->units_schema,
                                .units_table = wr->fl->units_table,
                                .fence = *fence,
                                .unit = u->id,
                                .attempt = u->attempt,
                                .seed = u->seed,
                                .lock_ms = lock_ms(wr->fl),
                                .path = wr->se->path};
    wr->mark.fence.run.s = wr->run;
    wr->mark.fence.flow = u->flow;
    wr->mark.fence.generation = u->generation;
    WH_TRY(pg_encoder_new(&wr->fl->accept, wr->fl->wires, wr->fl->n_dest, &wr->encoder, reterr));
    pg_encoder_infinite(wr->encoder, wr->fl->infinite);
    st = begin(wr, reterr);
    wr->mark.seed = (struct wh_bytes){0}; /* lent for this call */
    return st;
}

/* ---- refusals ----------------------------------------------------------------------------------
 */

static const struct refusal {
    const char *state; /* SQLSTATE or its class */
    const char *code;
} refusals[] = {
    {"23505", "E6008"}, {"23502", "E6002"}, {"23", "E6009"},    {"22001", "E6004"},
    {"22003", "E6003"}, {"22007", "E6006"}, {"22008", "E6007"}, {"22021", "E6005"},
    {"22P02", "E6006"}, {"22P03", "E6006"}, {"22", "E6006"},    {"44", "E6009"},
    {"P0", "E6009"},    {"54000", "E6010"}, {"428C9", "E6009"},
};

/* The server's answer is about a row, not about the session, the table or its space. */
static const char *refusal_of(const struct wh_error *err)
{
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strncmp(err->sqlstate, refusals[i].state, strlen(refusals[i].state)) == 0)
            return refusals[i].code;
    if (strcmp(err->sqlstate, "42501") == 0 && strstr(err->message, "row-level security"))
        return "E6009";
    return NULL;
}

/* Row of the COPY, counted from 1, as the context names it: "COPY t, line 17, column a"; the word
 * may be in the server's language. 0: it does not say. */
static int64_t line_of(const struct pg_wr *wr)
{
    struct wh_str said = pg_said(wr->se->c, 'W');
    const char *table = wr->fl->pours    ? "wherry_rows"
                        : wr->fl->staged ? wr->fl->stage
                                         : wr->fl->table;
    const char *end = said.s + said.n, *p = said.s;
    size_t n = strlen(table);
    int64_t line = 0;

    while (p && p < end) {
        if ((size_t)(end - p) > n + 7 && memcmp(p, "COPY ", 5) == 0 &&
            memcmp(p + 5, table, n) == 0 && memcmp(p + 5 + n, ", ", 2) == 0)
            break;
        p = memchr(p, '\n', (size_t)(end - p));
        p = p ? p + 1 : NULL;
    }
    if (!p || p >= end)
        return 0;
    p += n + 7;
    while (p < end && (*p < '0' || *p > '9') && *p != ',' && *p != '\n')
        p++;
    while (p < end && *p >= '0' && *p <= '9' && line < INT32_MAX)
        line = line * 10 + (*p++ - '0');
    return line;
}

/* The send and row behind a line; none if the words do not fit. */
static void name_row(struct pg_wr *wr, const char *code, const struct wh_error *err,
                     struct wh_acks *ret)
{
    int64_t line = line_of(wr);

    if (line < 1 || line > wr->part_rows)
        return;
    for (size_t i = wr->n_begun; i > 0; i--) {
        const struct begun *b = &wr->begun[i - 1];

        if (b->row >= line)
            continue;
        if (b->sifted)
            return;
        wr->bad.n = 0;
        if (sql_judge(&wr->bad, b->send, line - 1 - b->row, -1, code, "%s", err->message) == WH_OK)
            sql_verdicts_lend(&wr->bad, ret);
        return;
    }
}

static wh_status take_back(struct pg_wr *wr, struct wh_error *reterr)
{
    int st = pg_exec(wr->se->c, "rollback to savepoint wherry", reterr);

    wr->now = wr->saved;
    wr->n_begun = 0;
    wr->part_rows = wr->part_bytes = 0;
    wr->dead = st != WH_OK;
    return st;
}

/* COPY takes the bytes of one type for those of another without a word. Our rows have locked the
 * table: what it is now it is when they are committed. */
static wh_status still_alike(struct pg_wr *wr, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    if (pg_ddl_alike(wr->fl, &b) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the columns of %s",
                       wr->fl->into);
    WH_TRY(pg_query(wr->se->c, b.p, 0, NULL, &r, reterr));
    if (pg_n_rows(r) == 0)
        return WH_OK;
    wr->dead = true;
    return wh_fail(
        reterr, WH_E_STATE, "E7009",
        "column \"%.*s\" of %s is another one than when the run began: it was %.*s, it is %.*s",
        WH_STR_FMT(pg_cell(r, 0, 0)), wr->fl->into, WH_STR_FMT(pg_cell(r, 0, 1)),
        WH_STR_FMT(pg_cell(r, 0, 2)));
}

/* Bytes that the server calls no value of their column are blamed on a row, or on the line, only
 * where the column is what it was. Leaves the failed transaction, or the part behind the savepoint.
 */
static bool is_unlike(struct pg_wr *wr, struct wh_error *err)
{
    bool bytes = strcmp(err->sqlstate, "22P03") == 0 || strcmp(err->sqlstate, "08P01") == 0;
    struct wh_error why = {0};

    if (!bytes || pg_dead(wr->se->c))
        return false;
    if (!wr->careful || !wr->has_save)
        pg_rollback(wr->se->c);
    else if (pg_exec(wr->se->c, "rollback to savepoint wherry", &why) != WH_OK)
        return false;
    if (still_alike(wr, &why) != WH_E_STATE)
        return false;
    *err = why;
    return true;
}

/* What a failed statement of ours means: REFUSED (taken back to the savepoint, if there is one), or
 * as it is. A value that the encoder refuses is REFUSED before the server sees it. */
static wh_status judged(struct pg_wr *wr, int st, struct wh_error *err, struct wh_acks *ret)
{
    struct wh_error why = *err, cancel = {0};
    const char *code = st == WH_REFUSED ? why.code : st < 0 ? refusal_of(err) : NULL;

    if (st == WH_REFUSED && wr->careful && wr->copying) /* the COPY must end before the savepoint */
        wh_ignore(pg_copy_end(wr->se->c, "a value is refused", NULL, &cancel));
    wr->copying = false;
    if (st != WH_REFUSED && is_unlike(wr, err))
        return WH_E_STATE;
    if (!code) {
        wr->dead = true;
        if (st == WH_BLOCKED)
            pg_blocked_by_table(wr->se, wr->fl->into, err);
        return st;
    }
    wh_ignore(wh_fail(err, WH_REFUSED, code, "%s", why.message));
    memcpy(err->sqlstate, why.sqlstate, sizeof err->sqlstate);
    if (!wr->careful) {
        wr->dead = true;
        return WH_REFUSED;
    }
    if (ret)
        name_row(wr, code, &why, ret);
    WH_TRY(take_back(wr, err));
    return WH_REFUSED;
}

/* ---- a COPY ------------------------------------------------------------------------------------
 */

static wh_status start(struct pg_wr *wr, struct wh_error *reterr)
{
    if (wr->fl->pours && !wr->has_rows) {
        WH_TRY(pg_exec(wr->se->c, wr->fl->make_rows, reterr));
        wr->has_rows = true;
    }
    if (wr->careful && wr->n_begun == 0) {
        WH_TRY(pg_exec(wr->se->c,
                       wr->has_save ? "release savepoint wherry; savepoint wherry"
                                    : "savepoint wherry",
                       reterr));
        wr->has_save = true;
        wr->saved = wr->now;
    }
    WH_TRY(pg_copy_in(wr->se->c, wr->fl->copy, reterr));
    wr->copying = true;
    wr->part_rows = wr->part_bytes = 0;
    wh_buf_clear(&wr->out);
    return pg_encode_header(&wr->out) == WH_OK ? WH_OK : no_memory(reterr);
}

static wh_status put_out(struct pg_wr *wr, struct wh_error *reterr)
{
    size_t n = wr->out.n;

    if (n == 0)
        return WH_OK;
    WH_TRY(pg_copy_put(wr->se->c, wr->out.p, n, reterr));
    wr->part_bytes += (int64_t)n;
    wr->now.bytes += (int64_t)n;
    wh_buf_clear(&wr->out);
    return WH_OK;
}

/* A key that came twice is put once; a row that a trigger or a rule swallowed is lost. Only who
 * touched fewer rows than came has to ask which of both it was. */
static wh_status all_put(struct pg_wr *wr, int64_t touched, int64_t rows, struct wh_error *reterr)
{
    struct pg_rows *due WH_CLEANUP(pg_rows_freep) = NULL;
    int64_t n;

    if (!wr->fl->due || touched >= rows)
        return WH_OK;
    WH_TRY(pg_query(wr->se->c, wr->fl->due, 0, NULL, &due, reterr));
    n = pg_cell_i64(due, 0, 0, 0);
    if (touched >= n)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5005",
                   "%s took %lld of %lld rows (does a trigger or a rule drop rows?)", wr->fl->into,
                   (long long)touched, (long long)n);
}

/* Rows of the temporary table to where they belong. */
static wh_status pour(struct pg_wr *wr, int64_t rows, struct wh_error *reterr)
{
    struct pg_rows *missed WH_CLEANUP(pg_rows_freep) = NULL, *put WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_fl *fl = wr->fl;
    int64_t n, gone = 0;

    if (fl->missed) {
        WH_TRY(pg_query(wr->se->c, fl->missed, 0, NULL, &missed, reterr));
        gone = pg_cell_i64(missed, 0, 0, 0);
        wr->now.missed += gone;
    }
    if (fl->mode == WH_MODE_INSERT_IGNORE && !fl->staged) {
        WH_TRY(pg_prove_ignored(wr->se, fl, PG_ROWS, true, rows, &n, reterr));
        wr->now.inserted += n;
        wr->now.missed += rows - n;
        return pg_exec(wr->se->c, "truncate " PG_ROWS, reterr);
    }
    WH_TRY(pg_query(wr->se->c, fl->put, 0, NULL, &put, reterr));
    if (fl->put_counts) {
        n = pg_cell_i64(put, 0, 0, 0);
        wr->now.inserted += n;
        wr->now.updated += pg_cell_i64(put, 0, 1, 0) - n;
        WH_TRY(all_put(wr, pg_cell_i64(put, 0, 1, 0), rows, reterr));
    } else if (fl->mode == WH_MODE_UPDATE && !fl->staged) {
        wr->now.updated += pg_touched(put);
        WH_TRY(all_put(wr, pg_touched(put), rows - gone, reterr));
    } else {
        n = pg_touched(put);
        wr->now.inserted += n;
        if ((!sql_by_key(fl->mode) || fl->staged) && n != rows)
            return wh_fail(reterr, WH_E_REMOTE, "E5005", "%s took %lld of %lld rows", fl->into,
                           (long long)n, (long long)rows);
        else
            WH_TRY(all_put(wr, n, rows, reterr));
    }
    return pg_exec(wr->se->c, "truncate " PG_ROWS, reterr);
}

/* Ends the COPY; the server must have counted what we sent. */
static wh_status finish(struct pg_wr *wr, struct wh_error *reterr)
{
    int64_t rows = 0;

    if (pg_encode_trailer(&wr->out) != WH_OK)
        return no_memory(reterr);
    WH_TRY(put_out(wr, reterr));
    WH_TRY(pg_copy_end(wr->se->c, NULL, &rows, reterr));
    wr->copying = false;
    if (rows != wr->part_rows) {
        wr->dead = true;
        return wh_fail(reterr, WH_E_REMOTE, "E5005",
                       "%lld rows were sent to %s, the server counted %lld (does a trigger drop "
                       "rows?)",
                       (long long)wr->part_rows, wr->fl->into, (long long)rows);
    }
    if (wr->fl->pours)
        WH_TRY(pour(wr, rows, reterr));
    wr->now.rows += rows;
    wr->part_rows = 0;
    return WH_OK;
}

static wh_status end_part(struct pg_wr *wr, struct wh_acks *ret, struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st = finish(wr, &err);

    if (st != WH_OK)
        st = judged(wr, st, &err, ret);
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

/* ---- our own checks ----------------------------------------------------------------------------
 */

/* Digits behind the point that mean something: "1.50" has one, "1e-3" three. */
static int fraction_digits(struct wh_bytes b)
{
    const char *p = b.p, *end = p + b.n, *point = memchr(p, '.', b.n);
    const char *e = memchr(p, 'e', b.n), *last = e ? e : end;
    int digits = 0, power = 0;

    if (point) {
        while (last > point + 1 && last[-1] == '0')
            last--;
        digits = (int)(last - point - 1);
    }
    if (e) {
        bool minus = e + 1 < end && e[1] == '-';

        for (const char *q = e + 1 + (e + 1 < end && (e[1] == '-' || e[1] == '+')); q < end; q++)
            power = power < 100000 ? power * 10 + (*q - '0') : power;
        digits += minus ? power : -power;
    }
    return digits;
}

static bool fits(const struct pg_dest *d, bool infinite, const struct wh_view *v, int64_t i)
{
    static const int64_t per_us[] = {
        [WH_SECOND] = 0, [WH_MILLI] = 0, [WH_MICRO] = 1, [WH_NANO] = 1000};

    if (wh_view_null(v, i))
        return true;
    if (infinite && (wh_view_i64(v, i) == INT64_MIN || wh_view_i64(v, i) == INT64_MAX))
        return true;
    if (d->grain) /* coarser units than a microsecond: the engine has rounded nothing */
        return per_us[v->type.unit] == 0 ||
               wh_view_i64(v, i) % (d->grain * per_us[v->type.unit]) == 0;
    return fraction_digits(wh_view_bytes(v, i)) <= d->scale;
}

static wh_status check_row(struct pg_wr *wr, int64_t send, int64_t k, int64_t i, bool *ret_good)
{
    *ret_good = true;
    for (int c = 0; c < wr->fl->n_dest && *ret_good; c++) {
        const struct pg_dest *d = &wr->fl->dest[c];

        if ((d->grain == 0 && d->scale < 0) || fits(d, wr->fl->infinite[c], &wr->views[c], i))
            continue;
        *ret_good = false;
        WH_TRY(sql_judge(&wr->bad, send, k, c, "E6013",
                         "column \"%s\" is %s: the server would round the value", d->name,
                         d->decl));
    }
    return WH_OK;
}

/* Leaves out rows that our checks refuse. */
static wh_status sift(struct pg_wr *wr, int64_t send, const int32_t *rows, int64_t first, int64_t n,
                      int64_t *ret_n)
{
    *ret_n = 0;
    if ((size_t)n > wr->good_cap) {
        int32_t *more = wh_realloc(wr->good, (size_t)n * sizeof *more);

        if (!more)
            return WH_E_NOMEM;
        wr->good = more;
        wr->good_cap = (size_t)n;
    }
    for (int64_t k = 0; k < n; k++) {
        int64_t i = rows ? rows[k] : first + k;
        bool good;

        WH_TRY(check_row(wr, send, k, i, &good));
        if (good)
            wr->good[(*ret_n)++] = (int32_t)i;
    }
    return WH_OK;
}

/* ---- rows --------------------------------------------------------------------------------------
 */

static wh_status encode_rows(struct pg_wr *wr, const struct wh_batch *batch, int64_t send,
                             const int32_t *rows, int64_t first, int64_t n, struct wh_error *reterr)
{
    WH_TRY(wh_views_init(&wr->fl->accept, &batch->rows, wr->views, reterr));
    if (wr->fl->checks) {
        if (sift(wr, send, rows, first, n, &n) != WH_OK)
            return no_memory(reterr);
        rows = wr->good;
        if (wr->n_begun)
            wr->begun[wr->n_begun - 1].sifted = wr->bad.n > 0;
    }
    if (wh_rowhash_add(&wr->now.sum, wr->views, wr->fl->n_dest, rows, first, n) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_encoder_bind(wr->encoder, batch, reterr));
    for (int64_t at = 0; at < n;) {
        int64_t done = 0;

        WH_TRY(pg_encode(wr->encoder, rows ? rows + at : NULL, rows ? 0 : first + at, n - at,
                         PUT_BYTES, &wr->out, &done, reterr));
        if (done <= 0)
            return wh_fail(reterr, WH_E_BUG, "E9003", "the encoder took no row");
        at += done;
        wr->part_rows += done;
        if (wr->out.n >= PUT_BYTES)
            WH_TRY(put_out(wr, reterr));
    }
    return WH_OK;
}

/* Rows as another server sent them: they go on as they are. */
static wh_status pass(struct pg_wr *wr, const struct wh_batch *batch, const int32_t *rows,
                      int64_t first, int64_t n, struct wh_error *reterr)
{
    if (rows || first != 0 || n != batch->n_rows)
        return wh_fail(reterr, WH_E_BUG, "E9003", "a part of a frame is to be written");
    if (!batch->encoding || strcmp(batch->encoding, PG_FRAME) != 0)
        return wh_fail(reterr, WH_E_BUG, "E9003", "frames of '%s' are not taken",
                       batch->encoding ? batch->encoding : "?");
    WH_TRY(put_out(wr, reterr));
    wh_framehash_add(&wr->now.frames, &wr->now.n_frames, batch->frame.p, batch->frame.n);
    WH_TRY(pg_copy_put(wr->se->c, batch->frame.p, batch->frame.n, reterr));
    wr->framed = true;
    wr->now.bytes += (int64_t)batch->frame.n;
    wr->part_bytes += (int64_t)batch->frame.n;
    wr->part_rows += n;
    return WH_OK;
}

static wh_status note_send(struct pg_wr *wr, int64_t send, struct wh_error *reterr)
{
    if (wr->n_begun == wr->cap_begun) {
        size_t cap = wr->cap_begun ? wr->cap_begun * 2 : 16;
        struct begun *more = wh_realloc(wr->begun, cap * sizeof *more);

        if (!more)
            return no_memory(reterr);
        wr->begun = more;
        wr->cap_begun = cap;
    }
    wr->begun[wr->n_begun++] = (struct begun){send, wr->part_rows, false};
    return WH_OK;
}

static wh_status take(struct pg_wr *wr, const struct wh_batch *batch, int64_t send,
                      const int32_t *rows, int64_t first, int64_t n, struct wh_error *reterr)
{
    if (!wr->copying)
        WH_TRY(start(wr, reterr));
    if (wr->careful)
        WH_TRY(note_send(wr, send, reterr));
    WH_TRY(batch->frame.p ? pass(wr, batch, rows, first, n, reterr)
                          : encode_rows(wr, batch, send, rows, first, n, reterr));
    if (wr->fl->pours && !wr->careful && wr->part_bytes + (int64_t)wr->out.n > POUR_BYTES)
        WH_TRY(finish(wr, reterr));
    return WH_OK;
}

static wh_status gone(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_LOST, "E2008", "the transaction of this unit is gone");
}

wh_status pg_writer_write(void *self, const struct wh_batch *batch, int64_t send,
                          const int32_t *rows, int64_t first, int64_t n, struct wh_acks *ret,
                          struct wh_error *reterr)
{
    struct pg_wr *wr = self;
    struct wh_error err = {0};
    int st;

    *ret = (struct wh_acks){.upto_send = wr->send};
    if (!wr->open || wr->dead)
        return gone(reterr);
    wr->bad.n = 0;
    st = take(wr, batch, send, rows, first, n, &err);
    if (st != WH_OK) {
        st = judged(wr, st, &err, ret);
        if (reterr)
            *reterr = err;
        return st;
    }
    if (!wr->careful)
        ret->upto_send = wr->send = send;
    sql_verdicts_lend(&wr->bad, ret);
    return WH_OK;
}

wh_status pg_writer_flush(void *self, int64_t deadline_ns, struct wh_acks *ret,
                          struct wh_error *reterr)
{
    struct pg_wr *wr = self;
    int64_t last = wr->n_begun ? wr->begun[wr->n_begun - 1].send : wr->send;

    *ret = (struct wh_acks){.upto_send = wr->send};
    if (!wr->open || wr->dead)
        return gone(reterr);
    if (wr->copying)
        WH_TRY(end_part(wr, ret, reterr));
    wr->n_begun = 0;
    ret->upto_send = wr->send = last;
    return WH_OK;
}

/* What is deferred to the commit is checked while the engine can still look for the row. */
static wh_status check_deferred(struct pg_wr *wr, struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st = pg_exec(wr->se->c, "set constraints all immediate", &err);

    if (st == WH_OK)
        return st;
    wr->careful = false; /* there is nothing to go back to: the attempt ends */
    st = judged(wr, st, &err, NULL);
    if (reterr)
        *reterr = err;
    return st;
}

wh_status pg_writer_seal(void *self, struct wh_tally *ret, struct wh_error *reterr)
{
    struct pg_wr *wr = self;
    const struct done *d = &wr->now;
    bool plain = !sql_by_key(wr->fl->mode) || wr->fl->staged;

    if (!wr->open || wr->dead)
        return gone(reterr);
    if (wr->copying)
        WH_TRY(end_part(wr, NULL, reterr));
    WH_TRY(still_alike(wr, reterr));
    if (wr->careful)
        WH_TRY(check_deferred(wr, reterr));
    *ret = (struct wh_tally){.rows = d->rows, .bytes = d->bytes, .has_hash = true};
    ret->hash[0] = wr->framed ? d->frames.lo : d->sum.sum.lo;
    ret->hash[1] = wr->framed ? d->frames.hi : d->sum.sum.hi;
    ret->inserted = plain ? d->rows : d->inserted;
    ret->updated = d->updated;
    ret->unchanged = d->missed;
    if (!plain && wr->fl->no_fresh)
        ret->inserted = ret->updated = -1;
    return WH_OK;
}

wh_status pg_writer_commit(void *self, const struct wh_marker *m, struct wh_bytes *ret_receipt,
                           struct wh_error *reterr)
{
    struct pg_wr *wr = self;
    struct wh_error err = {0};
    int st;

    if (!wr->open || wr->dead)
        return gone(reterr);
    st = wr->fl->marker_off ? pg_commit(wr->se, &err) : pg_mark_commit(wr->se, &wr->mark, m, &err);
    if (st != WH_OK) {
        const char *code = st < 0 ? refusal_of(&err) : NULL; /* a deferred constraint */

        wr->dead = true;
        if (code && !wr->careful)
            st = WH_REFUSED;
        if (reterr)
            *reterr = err;
        return st;
    }
    wr->open = false;
    *ret_receipt = (struct wh_bytes){0};
    return WH_OK;
}

void pg_writer_close(void *self)
{
    struct pg_wr *wr = self;

    if (wr->se && wr->se->c) {
        if (wr->open)
            pg_rollback(wr->se->c); /* also out of the middle of a COPY */
        wr->se->ctx = wr->se->ep->ctx;
        pg_use(wr->se->c, wr->se->ep->ctx);
    }
    wr->open = wr->copying = false;
    pg_encoder_free(wr->encoder);
    wr->encoder = NULL;
    wh_buf_free(&wr->out);
    wh_free(TAKE_PTR(wr->views));
    wh_free(TAKE_PTR(wr->good));
    sql_verdicts_free(&wr->bad);
    wh_free(TAKE_PTR(wr->begun));
    wh_free(TAKE_PTR(wr->run));
}
