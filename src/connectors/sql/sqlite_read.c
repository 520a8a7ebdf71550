/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a split to batches. The common kinds are appended straight from SQLite's cells; the rest
 * goes through sqlite_cell.c. A row with a cell that does not fit is rejected whole, with its rowid
 * and all its cells. */
#include <limits.h>

#include "sqlite_cell.h"
#include "sqlite_scan.h"

enum {
    RAW_MAX = 16 << 20 /* JSON of a rejected row */
};

struct lite_rd {
    struct lite_sc *sc;
    struct lite_se *se;
    const struct wh_ctx *ctx;
    struct wh_builder *builder;
    struct wh_column **columns;
    sqlite3_stmt *stmt;
    struct lite_range range;
    int64_t ordinal; /* rows stepped over so far */
    int64_t last;    /* rowid of the last of them */
    bool ended, broken, utf16;
    struct wh_buf split; /* the token that `range` points into */
    struct wh_buf token[2];
};
_Static_assert(sizeof(struct lite_rd) <= LITE_READER_SIZE, "what the engine allocates");

/* ---- opening -----------------------------------------------------------------------------------
 */

/* The database's schema moved since the plan: is this table still the same? */
static wh_status same_shape(struct lite_rd *rd, struct wh_error *reterr)
{
    const struct lite_sc *sc = rd->sc;
    struct lite_table now WH_CLEANUP(lite_table_free) = {0};
    int64_t version;

    WH_TRY(lite_number(rd->se, "pragma schema_version", 0, &version, reterr));
    if (version == sc->schema_version || sc->t.kind == WH_OBJ_OTHER)
        return WH_OK;
    WH_TRY(lite_describe(rd->se, wh_str(sc->t.name), &now, reterr));
    for (int i = 0; i < sc->n_sel; i++) {
        const struct lite_col *was = &sc->t.cols[sc->sel[i]];
        bool same = was->expr != NULL;

        for (int j = 0; j < now.n_cols && !same; j++)
            same = strcmp(now.cols[j].name, was->name) == 0 &&
                   strcmp(now.cols[j].decl, was->decl) == 0;
        if (!same)
            return wh_fail(reterr, WH_E_TYPE, "E3006", "column \"%s\" of %s changed since the plan",
                           was->name, sc->t.name);
    }
    return WH_OK;
}

static wh_status make_builder(struct lite_rd *rd, struct wh_error *reterr)
{
    int n = rd->sc->n_sel;

    WH_TRY(wh_builder_new(&rd->sc->schema, &rd->builder, reterr));
    rd->columns = wh_alloc((size_t)n * sizeof(struct wh_column *));
    if (!rd->columns)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a reader");
    for (int i = 0; i < n; i++)
        rd->columns[i] = wh_builder_column(rd->builder, i);
    return WH_OK;
}

wh_status lite_reader_open(void *self, void *scan, void *session, const struct wh_ctx *ctx,
                           const struct wh_split *split, struct ArrowSchema *ret_actual,
                           struct wh_error *reterr)
{
    struct lite_rd *rd = self;

    rd->sc = scan;
    rd->se = session;
    rd->ctx = ctx;
    rd->se->ctx = ctx;
    rd->split = rd->token[0] = rd->token[1] = WH_BUF(LITE_TOKEN_MAX);
    if (wh_buf_add(&rd->split, split->token.p, split->token.n) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a split");
    if (!lite_range_get((struct wh_bytes){rd->split.p, rd->split.n}, &rd->range))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored split is not a rowid range");
    if (!rd->se->db || atomic_load(&rd->se->stopped) ||
        (rd->se->in_snapshot && sqlite3_get_autocommit(rd->se->db)))
        return wh_fail(reterr, WH_LOST, "E2008", "the session is no longer in its snapshot");
    WH_TRY(same_shape(rd, reterr));
    WH_TRY(make_builder(rd, reterr));
    rd->utf16 = lite_is_utf16(rd->se->db);
    return lite_select(rd->sc, rd->se, &rd->range, &rd->stmt, reterr);
}

/* ---- one row -----------------------------------------------------------------------------------
 */

/* OK; WH_E_DATA: the cell does not fit; WH_E_LIMIT, WH_E_NOMEM. */
static inline int put_cell(sqlite3_stmt *s, int at, struct wh_column *c, int64_t *bytes)
{
    sqlite3_value *cell = sqlite3_column_value(s, at);
    int storage = sqlite3_value_type(cell);
    struct lite_value v;
    const char *p;
    size_t n;

    if (storage == SQLITE_NULL)
        return c->type.nullable ? wh_put_null(c) : WH_E_DATA;
    switch (c->type.kind) {
    case WH_K_I64:
        if (storage != SQLITE_INTEGER)
            return WH_E_DATA;
        return wh_put_i64(c, sqlite3_value_int64(cell));
    case WH_K_F64:
        if (storage != SQLITE_FLOAT)
            break;
        return wh_put_f64(c, sqlite3_value_double(cell));
    case WH_K_UTF8:
        if (storage != SQLITE_TEXT || c->type.length > 0)
            break;
        p = (const char *)sqlite3_value_text(cell);
        n = (size_t)sqlite3_value_bytes(cell);
        *bytes += (int64_t)n;
        if (!p || !wh_utf8_valid(p, n))
            return WH_E_DATA;
        return wh_put_bytes(c, p, n);
    default:
        break;
    }
    if (!lite_cell_take(cell, storage, &c->type, &v))
        return WH_E_DATA;
    *bytes += 8;
    if (c->offsets)
        *bytes += (int64_t)v.n;
    return lite_cell_put(c, &v);
}

/* "orders, key ('Q7', 12)": tables without a rowid have nothing else that finds the row again. */
static void key_words(const struct lite_rd *rd, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "%.30s, key (", rd->sc->t.name);

    for (int i = 0; i < rd->sc->n_first && n < size - 2; i++) {
        bool text = sqlite3_column_type(rd->stmt, i) == SQLITE_TEXT;
        const char *p = sqlite3_column_type(rd->stmt, i) == SQLITE_BLOB
                            ? "a blob"
                            : (const char *)sqlite3_column_text(rd->stmt, i);
        size_t len = p ? strlen(p) : 0, keep = 0;

        while (keep < len && wh_utf8_len(p + keep, len - keep) &&
               keep + wh_utf8_len(p + keep, len - keep) <= 24)
            keep += wh_utf8_len(p + keep, len - keep);
        n += (size_t)snprintf(out + n, size - n, "%s%s%.*s%s%s", i ? ", " : "", text ? "'" : "",
                              (int)keep, p ? p : "", keep < len ? "..." : "", text ? "'" : "");
    }
    if (n < size - 1)
        snprintf(out + n, size - n, ")");
}

static wh_status reject(struct lite_rd *rd, int column, int why, struct wh_error *reterr)
{
    struct wh_buf raw WH_CLEANUP(wh_buf_free) = WH_BUF(RAW_MAX);
    const struct wh_type *t = &rd->columns[column]->type;
    const struct lite_col *col = &rd->sc->t.cols[rd->sc->sel[column]];
    int at = column + rd->sc->n_first, st;
    const char *code = "E6010";
    char position[96], text[320], why_not[256];
    bool cut;

    if (rd->sc->rowid_first)
        snprintf(position, sizeof position, "%s, rowid %lld", rd->sc->t.name, (long long)rd->last);
    else if (rd->sc->n_first)
        key_words(rd, position, sizeof position);
    else
        snprintf(position, sizeof position, "%s, row %lld of its split", rd->sc->t.name,
                 (long long)rd->ordinal);
    if (why == WH_E_LIMIT) {
        snprintf(text, sizeof text, "column \"%s\": %d bytes are more than a cell may have",
                 col->name, sqlite3_column_bytes(rd->stmt, at));
    } else if (why == WH_E_TYPE) {
        code = "E6005";
        snprintf(text, sizeof text, "column \"%s\": text that is not valid UTF-16", col->name);
    } else if (sqlite3_column_type(rd->stmt, at) == SQLITE_NULL) {
        code = "E6002";
        snprintf(text, sizeof text, "column \"%s\": NULL though declared NOT NULL", col->name);
    } else {
        code = lite_cell_code(sqlite3_column_value(rd->stmt, at), t);
        lite_cell_why(sqlite3_column_value(rd->stmt, at), t, why_not, sizeof why_not);
        snprintf(text, sizeof text, "column \"%s\" %s: %s", col->name, col->decl, why_not);
    }
    st = lite_row_json(rd->stmt, rd->sc->n_first, rd->utf16, &raw);
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory for a rejected row");
    cut = st != WH_OK;
    st = rd->ctx->reject_raw(rd->ctx, (struct wh_bytes){raw.p, raw.n}, cut ? (int64_t)raw.n + 1 : 0,
                             position, column, code, text);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E6001", "%s: %s", position, text);
    return WH_OK;
}

static bool half_pair(sqlite3_stmt *s, int at)
{
    sqlite3_value *cell = sqlite3_column_value(s, at);

    return sqlite3_value_type(cell) == SQLITE_TEXT && !lite_cell_wide(cell);
}

/* Appends the current row, or rejects it. `rows` complete rows are in the builder. */
static wh_status put_row(struct lite_rd *rd, int64_t *rows, int64_t *bytes, struct wh_error *reterr)
{
    int n = rd->sc->n_sel, first = rd->sc->n_first;
    bool forgive = rd->sc->o && rd->sc->o->mismatch == LITE_MISMATCH_NULL;

    for (int i = 0; i < n; i++) {
        int st = rd->utf16 && half_pair(rd->stmt, i + first)
                     ? WH_E_TYPE
                     : put_cell(rd->stmt, i + first, rd->columns[i], bytes);

        if (st == WH_OK)
            continue;
        if (st == WH_E_NOMEM || sqlite3_errcode(rd->se->db) == SQLITE_NOMEM)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a row");
        if ((st == WH_E_DATA || st == WH_E_TYPE) && forgive && rd->columns[i]->type.nullable) {
            if (wh_put_null(rd->columns[i]) != WH_OK)
                return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a row");
            continue;
        }
        wh_builder_truncate(rd->builder, *rows);
        return reject(rd, i, st, reterr);
    }
    (*rows)++;
    return WH_OK;
}

/* ---- batches -----------------------------------------------------------------------------------
 */

static wh_status stopped(struct lite_rd *rd, int rc, struct wh_error *reterr)
{
    if (rc != SQLITE_DONE)
        return lite_fail(rd->se, rc, reterr, WH_E_REMOTE, "E4002",
                         "reading %s stopped after row %lld", rd->sc->t.name,
                         (long long)rd->ordinal);
    return WH_OK;
}

wh_status lite_reader_next(void *self, struct wh_batch *ret, struct wh_error *reterr)
{
    struct lite_rd *rd = self;
    int64_t rows = 0, bytes = 0, first = rd->ordinal;
    int rc = SQLITE_ROW, st;

    if (rd->broken)
        return wh_fail(reterr, WH_LOST, "E2008", "this reader has failed before");
    lite_patience(rd->se);
    /* A batch is never empty: rejected rows alone do not end it. */
    while (!rd->ended && (rows == 0 || (rows < WH_BATCH_ROWS && bytes < WH_BATCH_BYTES))) {
        rc = sqlite3_step(rd->stmt);
        if (rc != SQLITE_ROW) {
            rd->ended = rc == SQLITE_DONE;
            rd->broken = !rd->ended; /* stepping again would begin at the first row */
            WH_TRY(stopped(rd, rc, reterr));
            break;
        }
        if (rd->sc->rowid_first)
            rd->last = sqlite3_column_int64(rd->stmt, 0);
        rd->ordinal++;
        bytes += rd->sc->n_sel * 4;
        WH_TRY(put_row(rd, &rows, &bytes, reterr));
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

/* The rest begins behind the last row that was stepped over, be it delivered or rejected. The
 * statement still stands on it. */
static wh_status rest_of(struct lite_rd *rd, struct lite_range *r, struct wh_buf *key)
{
    if (rd->ordinal == 0)
        return WH_OK;
    if (r->limit)
        r->limit -= rd->ordinal;
    if (rd->sc->rowid_first) {
        r->has_lo = true;
        r->lo = rd->last;
        return WH_OK;
    }
    WH_TRY(lite_range_key(rd->sc, rd->stmt, key));
    r->behind = (struct wh_bytes){key->p, key->n};
    return WH_OK;
}

static wh_status lend(struct lite_rd *rd, int i, const struct lite_range *r, struct wh_split *ret)
{
    wh_buf_clear(&rd->token[i]);
    WH_TRY(lite_range_put(r, &rd->token[i]));
    *ret = (struct wh_split){
        .token = {rd->token[i].p, rd->token[i].n}, .est_rows = -1, .est_bytes = -1};
    lite_range_label(rd->sc, r, ret->label, sizeof ret->label);
    return WH_OK;
}

wh_status lite_reader_cut(void *self, struct wh_split *rest, struct wh_split *done,
                          struct wh_error *reterr)
{
    struct lite_rd *rd = self;
    struct wh_buf key WH_CLEANUP(wh_buf_free) = WH_BUF(LITE_TOKEN_MAX);
    struct lite_range r = rd->range, d = rd->range;
    int st;

    if (rd->ended || (r.limit && rd->ordinal >= r.limit))
        return WH_END;
    if (!rd->sc->n_first || rd->broken)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                       "%s has no order to go on from: its unit is read whole", rd->sc->t.name);
    st = rest_of(rd, &r, &key);
    if (st == WH_OK)
        st = lend(rd, 0, &r, rest);
    if (st == WH_OK && done && rd->sc->rowid_first) {
        d.has_hi = rd->ordinal > 0;
        d.hi = rd->last;
        st = lend(rd, 1, &d, done);
        done->est_rows = rd->ordinal;
    }
    if (st == WH_E_LIMIT)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                       "the key of this row is too long to go on "
                       "from");
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "no memory for a split");
}

void lite_reader_close(void *self)
{
    struct lite_rd *rd = self;

    lite_finalizep(&rd->stmt);
    wh_buf_free(&rd->split);
    wh_buf_free(&rd->token[0]);
    wh_buf_free(&rd->token[1]);
    wh_builder_free(TAKE_PTR(rd->builder));
    wh_free(TAKE_PTR(rd->columns));
    if (rd->se)
        rd->se->ctx = rd->se->ep->ctx;
}
