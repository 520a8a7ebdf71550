/* SPDX-License-Identifier: Apache-2.0 */
/* COPY (select ...) to stdout (format binary), as columns or as raw frames.
 *
 * The session is inside the run's snapshot and stays there from unit to unit. Without a snapshot
 * every reader has a transaction of its own, which holds the table while it is read.
 *
 * A unit can be cut behind any batch: rows of a block range come in the order of their places
 * (workers and synchronised scans are off), the snapshot shows the same rows again, so "the same
 * range without its first n rows" is exactly the rest. */
#include "pg_scan.h"
#include "pg_codec.h"

#include <stdio.h>

enum {
    HEADER = 19, /* signature, flags, length of an extension that no version has */
    FRAME_FIRST = 64 << 10,
    DRAIN_BYTES = 1 << 20, /* read on rather than cancel */
};

struct pg_rd {
    struct pg_sc *sc;
    struct pg_se *se;
    const struct wh_ctx *ctx;
    struct ArrowSchema schema; /* of the builder; none for frames */
    struct wh_builder *builder;
    struct pg_decoder *decoder;
    struct pg_range range;
    struct wh_bytes message; /* not taken yet; borrowed from the connection */
    int64_t ordinal;         /* rows delivered or rejected */
    int64_t seen;            /* rows that came, by our count */
    bool copying, ended, broken, own_transaction, header, trailer;
    bool frames;         /* rows are passed on as they come */
    struct wh_buf split; /* the token that `range` points into */
    struct wh_buf token[2];
};
_Static_assert(sizeof(struct pg_rd) <= PG_READER_SIZE, "what the engine allocates");

/* ---- opening -----------------------------------------------------------------------------------
 */

/* "s"."t" of the relation that a range reads. */
static wh_status relation(const struct pg_sc *sc, const struct pg_range *r, struct wh_buf *out)
{
    char schema[256], name[256];

    if (!r->name.s || !r->name.n)
        return wh_buf_adds(out, sc->from);
    snprintf(schema, sizeof schema, "%.*s", WH_STR_FMT(r->schema));
    snprintf(name, sizeof name, "%.*s", WH_STR_FMT(r->name));
    return pg_qualified(out, schema, name);
}

static wh_status changed(const struct pg_sc *sc, const char *column, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_TYPE, "E3006", "column \"%s\" of %s changed since the plan", column,
                   sc->t.name);
}

static wh_status compare_columns(const struct pg_sc *sc, const struct pg_rows *r, int at,
                                 struct wh_error *reterr)
{
    int n = pg_n_rows(r);

    for (int i = 0; i < sc->n_cols; i++) {
        const struct pg_col *c = &sc->cols[i];
        bool same = c->expr != NULL; /* is looked at by itself */

        for (int k = 0; k < n && !same; k++)
            same = wh_str_eqs(pg_cell(r, k, at), c->name) &&
                   pg_cell_i64(r, k, at + 1, -1) == (int64_t)c->oid &&
                   wh_str_eqs(pg_cell(r, k, at + 2), c->type_text);
        if (!same)
            return changed(sc, c->name, reterr);
    }
    return WH_OK;
}

/* COPY BINARY does not tell types: a column that became another one of the same width would be read
 * as nonsense. And the name must still be that table's. */
static wh_status same_table(struct pg_rd *rd, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_buf leaf WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    const struct pg_sc *sc = rd->sc;
    const char *params[2] = {sc->from, NULL};

    if (relation(sc, &rd->range, &leaf) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a reader");
    params[1] = leaf.p;
    WH_TRY(pg_query(rd->se->c,
                    "select attname, atttypid, format_type(atttypid, atttypmod), "
                    "$2::regclass::oid::bigint from "
                    "pg_attribute where attrelid = $1::regclass and attnum > 0 and not "
                    "attisdropped",
                    2, params, &r, reterr));
    if (rd->range.oid && pg_n_rows(r) > 0 && pg_cell_i64(r, 0, 3, 0) != (int64_t)rd->range.oid)
        return wh_fail(reterr, WH_E_DATA, "E4007", "%s is another table than when it was divided",
                       leaf.p);
    return compare_columns(sc, r, 0, reterr);
}

static wh_status same_query(struct pg_rd *rd, struct wh_error *reterr)
{
    struct pg_table now WH_CLEANUP(pg_table_free) = {0};
    const struct pg_sc *sc = rd->sc;

    WH_TRY(pg_describe_query(rd->se, sc->query, &now, reterr));
    for (int i = 0; i < sc->n_cols; i++) {
        const struct pg_col *c = &sc->cols[i];
        bool same = c->expr != NULL;

        for (int k = 0; k < now.n_cols && !same; k++)
            same = strcmp(now.cols[k].name, c->name) == 0 && now.cols[k].oid == c->oid &&
                   now.cols[k].typmod == c->typmod;
        if (!same)
            return changed(sc, c->name, reterr);
    }
    return WH_OK;
}

/* Inside of a snapshot that locks the tables one look is enough for all readers. */
static wh_status same_shape(struct pg_rd *rd, struct wh_error *reterr)
{
    uint64_t instant = rd->se->in_snapshot ? pg_instant(rd->sc->ep) : 0;

    if (instant && atomic_load(&rd->sc->checked) == instant)
        return WH_OK;
    WH_TRY(rd->sc->query ? same_query(rd, reterr) : same_table(rd, reterr));
    WH_TRY(pg_computed_same(rd->sc, rd->se, reterr));
    atomic_store(&rd->sc->checked, instant);
    return WH_OK;
}

/* A transaction of the reader's own, which keeps the table as it is. */
static wh_status begin_alone(struct pg_rd *rd, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(8192);
    int st = wh_buf_adds(&sql, "begin isolation level read committed read only; set local "
                               "max_parallel_workers_per_gather = 0");

    if (st == WH_OK && strchr("rpv", rd->sc->t.kind) && !rd->sc->query)
        st = wh_buf_printf(&sql, "; lock table %s in access share mode", rd->sc->from);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a statement");
    rd->own_transaction = true;
    return pg_exec(rd->se->c, sql.p, reterr);
}

/* Inside of the snapshot, whatever the reader before left behind. */
static wh_status begin(struct pg_rd *rd, struct wh_error *reterr)
{
    struct pg_se *se = rd->se;

    if (pg_dead(se->c))
        return wh_fail(reterr, WH_LOST, "E2008", "the session is lost");
    if (se->in_snapshot && pg_transaction(se->c) == 'T')
        return WH_OK;
    if (pg_transaction(se->c) != 'I')
        pg_rollback(se->c);
    if (pg_dead(se->c))
        return wh_fail(reterr, WH_LOST, "E2008", "the session is lost");
    if (se->in_snapshot)
        return pg_enter(se, reterr);
    return begin_alone(rd, reterr);
}

static wh_status make_decoder(struct pg_rd *rd, struct wh_error *reterr)
{
    const struct pg_sc *sc = rd->sc;
    const char *encoding = pg_parameter(rd->se->c, "server_encoding");

    if (rd->frames)
        return WH_OK;
    if (pg_scan_schema(sc, &rd->schema) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a reader");
    WH_TRY(wh_builder_new(&rd->schema, &rd->builder, reterr));
    if (sc->max_row > 0)
        wh_builder_max_cell(rd->builder, (size_t)sc->max_row);
    WH_TRY(pg_decoder_new(sc->cols, sc->n_cols, rd->builder,
                          encoding && strcmp(encoding, "SQL_ASCII") == 0, &rd->decoder, reterr));
    if (sc->infinite)
        pg_decoder_infinite(rd->decoder, sc->infinite);
    return WH_OK;
}

/* Whether COPY of a table gives these columns: none is cast, none generated (it refuses those). */
static bool as_they_lie(const struct pg_rd *rd)
{
    const struct pg_sc *sc = rd->sc;

    for (int i = 0; i < sc->n_cols; i++)
        if (sc->cols[i].generated || sc->cols[i].expr || (sc->cols[i].cast && !rd->frames))
            return false;
    return true;
}

/* All rows of a table as they lie need no SELECT: planning and executing one costs the server more
 * than a small table does. */
static bool whole_table(const struct pg_rd *rd)
{
    const struct pg_range *r = &rd->range;

    return r->method == PG_BY_CTID && !r->lo && !r->has_hi && !r->skip && !rd->sc->where &&
           rd->sc->t.kind != 'm' && as_they_lie(rd);
}

static wh_status statement(struct pg_rd *rd, struct wh_buf *sql)
{
    struct pg_sc *sc = rd->sc;

    if (whole_table(rd)) {
        WH_TRY(sql_add(sql, "copy %i.%i (%s)", &rd->range.schema, &rd->range.name,
                       rd->frames ? sc->select_raw : sc->select));
        return wh_buf_adds(sql, " to stdout (format binary)");
    }
    /* What the user wrote finds its tables and functions where the user's sessions do. */
    if (sc->where || sc->query || sc->computed.n_cols)
        WH_TRY(wh_buf_adds(sql, "set local search_path to default; "));
    WH_TRY(wh_buf_adds(sql, "copy ("));
    WH_TRY(pg_range_sql(sc, &rd->range, rd->frames, sql));
    return wh_buf_adds(sql, ") to stdout (format binary)");
}

wh_status pg_reader_open(void *self, void *scan, void *session, const struct wh_ctx *ctx,
                         const struct wh_split *split, struct ArrowSchema *ret_actual,
                         struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rd *rd = self;
    int st;

    rd->sc = scan;
    rd->se = session;
    rd->ctx = ctx;
    rd->frames = rd->sc->frames && !ctx->decoded;
    rd->split = rd->token[0] = rd->token[1] = WH_BUF(PG_TOKEN_MAX);
    pg_use(rd->se->c, ctx);
    if (wh_buf_add(&rd->split, split->token.p, split->token.n) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a split");
    if (!pg_range_get((struct wh_bytes){rd->split.p, rd->split.n}, &rd->range) ||
        (rd->range.method == PG_BY_KEY && !rd->sc->key))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored split is none of ours");
    WH_TRY(begin(rd, reterr));
    WH_TRY(same_shape(rd, reterr));
    WH_TRY(make_decoder(rd, reterr));
    st = statement(rd, &sql);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a statement");
    WH_TRY(pg_copy_out(rd->se->c, sql.p, reterr));
    rd->copying = true;
    return WH_OK;
}

wh_status pg_reader_probe(struct pg_sc *sc, struct pg_se *se, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_range all = {.method = PG_BY_STREAM};
    struct wh_error err = {0};
    int st = wh_buf_adds(&sql, "set search_path to default; explain ");

    if (!sc->where && !sc->range_col)
        return WH_OK;
    if (st == WH_OK)
        st = pg_range_sql(sc, &all, false, &sql);
    if (st == WH_OK)
        st = wh_buf_adds(&sql, "; set search_path to ''");
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a statement");
    st = pg_exec(se->c, sql.p, &err);
    if (st == WH_E_REMOTE || st == WH_E_NOT_FOUND)
        return wh_fail(reterr, WH_E_USAGE, "E4009", "%s: %s",
                       !sc->where      ? "split.range"
                       : sc->range_col ? "where or split.range"
                                       : "where",
                       err.message);
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

/* ---- messages ----------------------------------------------------------------------------------
 */

/* The server counted as well: what its command tag says must be what came. */
static wh_status at_end(struct pg_rd *rd, struct wh_error *reterr)
{
    int64_t theirs = pg_copy_rows(rd->se->c);

    rd->copying = false;
    rd->ended = true;
    if (theirs >= 0 && theirs != rd->seen)
        return wh_fail(reterr, WH_E_DATA, "E4015",
                       "%s: the server sent %lld rows by its count, %lld came", rd->sc->t.name,
                       (long long)theirs, (long long)rd->seen);
    return WH_OK;
}

/* OK with rd->message, or rd->ended. */
static wh_status next_message(struct pg_rd *rd, struct wh_error *reterr)
{
    int st;

    if (rd->message.n)
        return WH_OK;
    st = pg_copy_get(rd->se->c, &rd->message, reterr);
    if (st == WH_END) {
        rd->message = (struct wh_bytes){0};
        return at_end(rd, reterr);
    }
    rd->broken = st != WH_OK;
    return st;
}

/* ---- columns -----------------------------------------------------------------------------------
 */

static wh_status reject(struct pg_rd *rd, struct wh_error *reterr)
{
    struct wh_buf raw WH_CLEANUP(wh_buf_free) = WH_BUF(PG_ROWTEXT_MAX);
    struct wh_bytes row = pg_decoder_bad_row(rd->decoder);
    int64_t whole = 0;
    const char *code, *why;
    char position[WH_SPLIT_LABEL + 64], text[320];
    int column, st;

    pg_decoder_bad(rd->decoder, &column, &code, &why);
    pg_range_label(rd->sc, &rd->range, position, WH_SPLIT_LABEL);
    snprintf(position + strlen(position), 64, ", row %lld",
             (long long)(rd->range.skip + rd->ordinal));
    snprintf(text, sizeof text, "column \"%s\" %s: %s", rd->sc->cols[column].name,
             rd->sc->cols[column].type_text, why);
    if (pg_row_json(rd->sc->cols, rd->sc->n_cols, row, &raw, &whole) == WH_OK)
        row = (struct wh_bytes){raw.p, raw.n};
    else
        whole = 0;
    st = rd->ctx->reject_raw(rd->ctx, row, whole, position, column, code, text);
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E6001", "%s: %s", position, text);
}

/* Rows of the message, up to a bad one. */
static wh_status decode(struct pg_rd *rd, int64_t *rows, struct wh_error *reterr)
{
    int64_t n = 0;
    int bad = 0;

    WH_TRY(pg_decode(rd->decoder, rd->message, &n, &bad, reterr));
    *rows += n;
    rd->seen += n + bad;
    rd->ordinal += n + bad;
    rd->message = bad ? pg_decoder_rest(rd->decoder) : (struct wh_bytes){0};
    return bad ? reject(rd, reterr) : WH_OK;
}

static wh_status next_columns(struct pg_rd *rd, struct wh_batch *ret, struct wh_error *reterr)
{
    int64_t rows = 0, bytes = 0, first = rd->ordinal + rd->range.skip;
    int st;

    /* A batch is never empty: rejected rows alone do not end it. */
    while (!rd->ended && (rows == 0 || (rows < WH_BATCH_ROWS && bytes < WH_BATCH_BYTES))) {
        WH_TRY(next_message(rd, reterr));
        if (rd->ended)
            break;
        bytes += (int64_t)rd->message.n;
        WH_TRY(decode(rd, &rows, reterr));
    }
    if (rows == 0)
        return WH_END;
    st = wh_builder_finish(rd->builder, ret);
    if (st != WH_OK)
        return wh_fail(reterr, st, st == WH_E_NOMEM ? "E8002" : "E9001", "a batch cannot be made");
    ret->source_bytes = bytes;
    ret->first = first;
    return WH_OK;
}

/* ---- frames ------------------------------------------------------------------------------------
 */

static void frame_release(struct ArrowArray *a)
{
    wh_free(a->private_data);
    a->release = NULL;
}

static wh_status skip_header(struct pg_rd *rd, struct wh_error *reterr)
{
    static const char signature[] = "PGCOPY\n\377\r\n";
    const uint8_t *p = rd->message.p;

    if (rd->message.n < HEADER || memcmp(p, signature, 11) != 0 || pg_be32(p + 11) != 0 ||
        pg_be32(p + 15) != 0)
        return wh_fail(reterr, WH_E_DATA, "E4020",
                       "COPY BINARY from the server is malformed: no header");
    rd->message = (struct wh_bytes){p + HEADER, rd->message.n - HEADER};
    rd->header = true;
    return WH_OK;
}

/* Rows at the front of the message, before the trailer if it is there. */
static wh_status count(struct pg_rd *rd, size_t *ret_n, int64_t *ret_rows, struct wh_error *reterr)
{
    const uint8_t *p = rd->message.p;
    size_t n = rd->message.n;

    rd->trailer = n == 2 && p[0] == 0xff && p[1] == 0xff;
    if (rd->trailer)
        n -= 2;
    *ret_n = n;
    return pg_frame_rows((struct wh_bytes){p, n}, rd->sc->n_cols, ret_rows, reterr);
}

struct frame {
    char *p;
    size_t n, cap;
    int64_t rows;
};

static wh_status add_rows(struct pg_rd *rd, struct frame *f, size_t n, int64_t rows,
                          struct wh_error *reterr)
{
    if (rd->sc->max_row > 0 && rows == 1 && n > (size_t)rd->sc->max_row)
        return wh_fail(reterr, WH_E_LIMIT, "E8006",
                       "row %lld of its split has %zu bytes; max_row_bytes is %lld",
                       (long long)rd->seen + 1, n, (long long)rd->sc->max_row);
    if (f->n + n > f->cap) {
        size_t cap = f->cap ? f->cap * 4 : FRAME_FIRST;
        char *more;

        if (cap > WH_BATCH_BYTES)
            cap = WH_BATCH_BYTES;
        if (cap < f->n + n)
            cap = f->n + n;
        more = wh_realloc(f->p, cap);
        if (!more)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a frame");
        f->p = more;
        f->cap = cap;
    }
    if (n) /* a row of no columns may have no bytes */
        memcpy(f->p + f->n, rd->message.p, n);
    f->n += n;
    f->rows += rows;
    rd->seen += rows;
    rd->message = (struct wh_bytes){0};
    return WH_OK;
}

/* OK while the frame wants more; END when it is full or all was read. */
static wh_status fill_frame(struct pg_rd *rd, struct frame *f, struct wh_error *reterr)
{
    int64_t rows = 0;
    size_t n = 0;

    WH_TRY(next_message(rd, reterr));
    if (rd->ended)
        return WH_END;
    if (!rd->header)
        WH_TRY(skip_header(rd, reterr));
    if (f->n && f->n + rd->message.n > WH_BATCH_BYTES)
        return WH_END; /* the message is the next frame's */
    WH_TRY(count(rd, &n, &rows, reterr));
    return add_rows(rd, f, n, rows, reterr);
}

static wh_status next_frame(struct pg_rd *rd, struct wh_batch *ret, struct wh_error *reterr)
{
    struct frame f = {0};
    int st = WH_OK;

    while (st == WH_OK && !rd->ended)
        st = fill_frame(rd, &f, reterr);
    if ((st != WH_OK && st != WH_END) || f.rows == 0) {
        wh_free(f.p);
        return st == WH_OK ? WH_END : st;
    }
    *ret =
        (struct wh_batch){.rows = {.length = f.rows, .release = frame_release, .private_data = f.p},
                          .n_rows = f.rows,
                          .bytes = (int64_t)f.cap,
                          .source_bytes = (int64_t)f.n,
                          .first = rd->range.skip + rd->ordinal,
                          .encoding = PG_FRAME,
                          .frame = {f.p, f.n}};
    rd->ordinal += f.rows;
    return WH_OK;
}

wh_status pg_reader_next(void *self, struct wh_batch *ret, struct wh_error *reterr)
{
    struct pg_rd *rd = self;
    int st;

    if (rd->broken)
        return wh_fail(reterr, WH_LOST, "E2008", "this reader has failed before");
    if (rd->ended)
        return WH_END;
    st = rd->frames ? next_frame(rd, ret, reterr) : next_columns(rd, ret, reterr);
    rd->broken = rd->broken || (st != WH_OK && st != WH_END);
    return st;
}

/* ---- cutting and closing -----------------------------------------------------------------------
 */

wh_status pg_reader_cut(void *self, struct wh_split *rest, struct wh_split *done,
                        struct wh_error *reterr)
{
    struct pg_rd *rd = self;
    struct pg_range r = rd->range;

    if (rd->ended && rd->ordinal == rd->seen)
        return WH_END;
    if (rd->range.method != PG_BY_CTID || !rd->se->in_snapshot || rd->broken)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                       "%s has no order to go on from: its unit is read whole", rd->sc->t.name);
    r.skip += rd->ordinal;
    if (pg_range_put(&r, &rd->token[0]) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a split");
    *rest = (struct wh_split){
        .token = {rd->token[0].p, rd->token[0].n}, .est_rows = -1, .est_bytes = -1};
    pg_range_label(rd->sc, &r, rest->label, sizeof rest->label);
    return WH_OK;
}

/* What is left of a COPY is read if it is little, else cancelled; the latter fails the transaction,
 * and the next reader enters the snapshot again. */
static void end_copy(struct pg_rd *rd)
{
    struct wh_bytes m = {0};
    size_t n = 0;
    int st = WH_OK;

    while (st == WH_OK && n < DRAIN_BYTES && !rd->ctx->cancelled(rd->ctx)) {
        st = pg_copy_get(rd->se->c, &m, NULL);
        n += m.n;
    }
    if (st == WH_OK)
        pg_rollback(rd->se->c);
}

void pg_reader_close(void *self)
{
    struct pg_rd *rd = self;

    if (rd->copying && !pg_dead(rd->se->c))
        end_copy(rd);
    if (rd->own_transaction && !pg_dead(rd->se->c))
        pg_rollback(rd->se->c);
    pg_decoder_free(TAKE_PTR(rd->decoder));
    wh_builder_free(TAKE_PTR(rd->builder));
    wh_schema_release(&rd->schema);
    wh_buf_free(&rd->split);
    wh_buf_free(&rd->token[0]);
    wh_buf_free(&rd->token[1]);
    if (rd->se)
        pg_use(rd->se->c, rd->se->ep->ctx);
}
