/* SPDX-License-Identifier: Apache-2.0 */
/* Negotiation of a scan, and its splits. */
#include "sqlite_scan.h"

#include "data/number.h"

#include <stdlib.h>

enum {
    MOST_COLUMNS = 2000 /* of a result in SQLite */
};

/* ---- what is read ------------------------------------------------------------------------------
 */

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
}

/* A query's columns: names and, where they are plain columns of tables, declared types. */
static wh_status query_columns(struct lite_sc *sc, struct lite_se *se, const char *query,
                               struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct lite_table *t = &sc->t;
    char *sql;

    t->arena = wh_arena_new(64 << 20);
    sc->from = t->arena ? wh_arena_printf(t->arena, "(%s\n)", query) : NULL;
    sql = sc->from ? wh_arena_printf(t->arena, "select * from %s", sc->from) : NULL;
    if (!sql)
        return no_memory(reterr);
    t->name = "the query";
    t->kind = WH_OBJ_OTHER;
    t->alias = -1;
    t->est_rows = -1;
    WH_TRY(lite_prepare(se, sql, &s, reterr));
    t->n_cols = sqlite3_column_count(s);
    t->cols = wh_arena_alloc(t->arena, (size_t)(t->n_cols + 1) * sizeof *t->cols);
    if (!t->cols)
        return no_memory(reterr);
    for (int i = 0; i < t->n_cols; i++) {
        const char *decl = sqlite3_column_decltype(s, i);
        struct lite_col *c = &t->cols[i];

        c->name = wh_arena_strdup(t->arena, sqlite3_column_name(s, i));
        c->decl = wh_arena_strdup(t->arena, decl ? decl : "");
        if (!c->name || !c->decl)
            return no_memory(reterr);
        c->affinity = lite_affinity_of(c->decl);
        c->promise = lite_type_of(c->decl, &c->type);
    }
    return WH_OK;
}

static wh_status table_columns(struct lite_sc *sc, struct lite_se *se, const struct wh_name *object,
                               struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    const char *name = NULL;
    struct wh_str s;

    if (!a)
        return no_memory(reterr);
    if (!se->db)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E2012", "there is no database %s", se->ep->path);
    if (!object || object->n == 0)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "which table of %s? (sqlite:FILE#TABLE)",
                       se->ep->path);
    WH_TRY(lite_resolve(se, object, a, &name, reterr));
    if (!name)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "there is no table or view \"%.*s\" in %s",
                       WH_STR_FMT(object->part[object->n - 1]), se->ep->path);
    WH_TRY(lite_describe(se, wh_str(name), &sc->t, reterr));
    WH_TRY(lite_estimate(se, &sc->t, reterr));
    s = wh_str(sc->t.name);
    if (sql_ident(&b, s) != WH_OK || !(sc->from = wh_arena_strdup(sc->t.arena, b.p)))
        return no_memory(reterr);
    return WH_OK;
}

static int find_column(const struct lite_table *t, const char *name)
{
    return sql_find_column(SQL_NAMES(t->cols, t->n_cols), name);
}

static wh_status no_column(const struct lite_sc *sc, const char *name, struct wh_error *reterr)
{
    return sql_no_column(sc->t.arena, SQL_NAMES(sc->t.cols, sc->t.n_cols), sc->t.name, name,
                         reterr);
}

static wh_status project(struct lite_sc *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    size_t n = io->columns ? io->n_columns : (size_t)sc->t.n_cols;

    sc->sel = wh_arena_alloc(sc->t.arena, (n + 1) * sizeof *sc->sel);
    if (!sc->sel)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++) {
        sc->sel[i] = io->columns ? find_column(&sc->t, io->columns[i]) : (int)i;
        if (sc->sel[i] < 0)
            return no_column(sc, io->columns[i], reterr);
    }
    sc->n_sel = (int)n;
    if (n == 0)
        return wh_fail(reterr, WH_E_TYPE, "E3002", "%s has no column to read", sc->t.name);
    return WH_OK;
}

/* ---- types -------------------------------------------------------------------------------------
 */

static wh_status read_as(struct lite_sc *sc, struct wh_error *reterr)
{
    for (size_t i = 0; i < sc->o->read_as.n; i++) {
        const struct wh_pair *p = &sc->o->read_as.v[i];
        int at = find_column(&sc->t, p->key);
        struct wh_type t;

        if (at < 0)
            return no_column(sc, p->key, reterr);
        if (!wh_type_parse(p->value, &t))
            return wh_fail(reterr, WH_E_USAGE, "E1002", "read_as.%s: \"%s\" is no type", p->key,
                           p->value);
        t.nullable = sc->t.cols[at].type.nullable;
        sc->t.cols[at].type = t;
        sc->t.cols[at].promise = LITE_P_SURE;
    }
    return WH_OK;
}

/* Where the plan fixed this column; -1: nowhere. Those that are computed go by their order. */
static int64_t frozen_at(const struct ArrowSchema *frozen, const struct lite_col *c, int i)
{
    struct wh_str how;

    if (!c->expr)
        return wh_schema_find(frozen, wh_str(c->name), false);
    return i < frozen->n_children && wh_meta_get(frozen->children[i], WH_META_COMPUTED, &how) ? i
                                                                                              : -1;
}

/* At resume the types are what the plan fixed, whatever a new sample would say. */
static wh_status as_frozen(struct lite_sc *sc, const struct ArrowSchema *frozen,
                           struct wh_error *reterr)
{
    for (int i = 0; i < sc->n_sel; i++) {
        struct lite_col *c = &sc->t.cols[sc->sel[i]];
        int64_t at = frozen_at(frozen, c, i);
        struct wh_str was = {0};

        if (at < 0)
            return wh_fail(reterr, WH_E_TYPE, "E3006", "column \"%s\" of %s is new since the plan",
                           c->name, sc->t.name);
        wh_ignore(wh_meta_get(frozen->children[at], WH_META_TYPE, &was) != NULL);
        if (!wh_str_eqs(was, c->decl))
            return wh_fail(reterr, WH_E_TYPE, "E3006",
                           "column \"%s\" of %s was declared %.*s and is declared %s now", c->name,
                           sc->t.name, WH_STR_FMT(was), c->decl);
        WH_TRY(wh_type_of(frozen->children[at], &c->type, reterr));
        c->guessed = wh_meta_get(frozen->children[at], WH_META_GUESSED, &was) != NULL;
    }
    return WH_OK;
}

static wh_status make_schema(struct lite_sc *sc, struct wh_error *reterr)
{
    struct lite_table chosen = sc->t;

    chosen.n_cols = sc->n_sel;
    chosen.cols = wh_arena_alloc(sc->t.arena, (size_t)(sc->n_sel + 1) * sizeof *chosen.cols);
    if (!chosen.cols)
        return no_memory(reterr);
    for (int i = 0; i < sc->n_sel; i++)
        chosen.cols[i] = sc->t.cols[sc->sel[i]];
    if (lite_table_schema(&chosen, &sc->schema) != WH_OK)
        return no_memory(reterr);
    return WH_OK;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static bool any_guessed(const struct lite_sc *sc)
{
    for (int i = 0; i < sc->n_sel; i++)
        if (sc->t.cols[sc->sel[i]].guessed)
            return true;
    return false;
}

static void answers(struct lite_sc *sc, struct wh_scan *io)
{
    int64_t bytes = sc->t.est_rows >= 0 && sc->row_bytes > 0 ? sc->t.est_rows * sc->row_bytes : -1;

    io->est_rows = sc->t.est_rows;
    if (io->limit > 0 && (io->est_rows < 0 || io->est_rows > io->limit))
        io->est_rows = io->limit;
    io->est_bytes = bytes;
    if ((sc->parts || sc->unit_rows) && sc->cuts.n)
        io->unit_bytes = sc->cuts.rows_each * sc->row_bytes + 1;
    io->limit_done = io->limit > 0;
    io->physical = sc->ranges && sc->t.alias < 0;
    io->splittable = sc->ranges && sc->cuts.n > 0;
    io->resumable = sc->n_first > 0;
    io->max_readers = sc->ranges ? 0 : 1;
    io->sampled_rows = any_guessed(sc) ? sc->sampled : 0;
    for (size_t i = 0; i < io->n_preds; i++)
        io->preds[i].pushed = WH_PUSH_NO;
    if (sc->ranges && sc->cuts.n > 0)
        snprintf(io->method, sizeof io->method, "%.30s ranges of about %lld rows", sc->t.rowid,
                 (long long)sc->cuts.rows_each);
    else
        snprintf(io->method, sizeof io->method, sc->n_first ? "one stream by %.40s" : "one stream",
                 sc->n_first ? sc->first[0] : "");
    snprintf(io->note, sizeof io->note, "%s%s%s", sc->note.n ? sc->note.p : "",
             sc->note.n && sc->holds_up ? "; " : "",
             sc->holds_up ? "commits of other programs wait while this is read (rollback journal)"
                          : "");
}

/* Equal units by bytes, and at least one for each lane of a table that is worth it. */
static wh_status divide(struct lite_sc *sc, struct lite_se *se, const struct wh_scan *io,
                        struct wh_error *reterr)
{
    int64_t unit = io->unit_bytes > 0 ? io->unit_bytes : 64 << 20;
    double most;

    sc->ranges = sc->rowid_first && io->limit <= 0;
    if (sc->ranges && sc->has_range && !sc->t.empty) {
        sc->t.lo = sc->t.lo > sc->range_lo ? sc->t.lo : sc->range_lo;
        sc->t.hi = sc->t.hi < sc->range_hi ? sc->t.hi : sc->range_hi;
        sc->t.empty = sc->t.lo > sc->t.hi;
    }
    if (!sc->ranges || sc->t.empty)
        return WH_OK;
    /* No more rows than rowids between the ends: less is surely small (ANALYZE's count may be old).
     */
    most = (double)((uint64_t)sc->t.hi - (uint64_t)sc->t.lo) + 1;
    if (!sc->parts && !sc->unit_rows && most * (double)sc->row_bytes < LITE_SMALL_TABLE)
        return WH_OK;
    return lite_cut(sc, se, unit, io->parallel, reterr);
}

static wh_status settle_types(struct lite_sc *sc, struct lite_se *se, const struct wh_scan *io,
                              struct wh_error *reterr)
{
    WH_TRY(read_as(sc, reterr));
    if (io->frozen) {
        WH_TRY(as_frozen(sc, io->frozen, reterr));
        sc->row_bytes = 64;
        return WH_OK;
    }
    return lite_sample(sc, se, reterr);
}

static wh_status range_end(const char *text, int64_t *ret, struct wh_error *reterr)
{
    if (wh_read_i64(text, strlen(text), ret))
        return WH_OK;
    return wh_fail(reterr, WH_E_USAGE, "E1002", "split.range: '%s' is no whole number", text);
}

/* Tables are cut by the rowid and by nothing else. */
static wh_status split_by(struct lite_sc *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    sc->parts = io->parts;
    sc->unit_rows = io->unit_rows;
    if (!io->split_by)
        return WH_OK;
    if (!sc->rowid_first || strcasecmp(io->split_by, sc->t.rowid) != 0) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                         "SQLite divides a table by its rowid (%s), not by \"%s\"",
                         sc->rowid_first ? sc->t.rowid : "this one has none", io->split_by);

        wh_error_hint(reterr, "leave split.by out; 'where' names rows by any column");
        return st;
    }
    sc->has_range = io->range_from != NULL;
    if (!sc->has_range)
        return WH_OK;
    WH_TRY(range_end(io->range_from, &sc->range_lo, reterr));
    return range_end(io->range_to, &sc->range_hi, reterr);
}

static wh_status scan_open(void *self, void *ep, void *session, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct lite_sc *sc = self;
    struct lite_se *se = session;
    sqlite3_stmt *probe WH_CLEANUP(lite_finalizep) = NULL;

    sc->ep = ep;
    sc->ctx = io->ctx;
    sc->o = io->opts;
    sc->note = WH_BUF(1024);
    sc->token = WH_BUF(LITE_TOKEN_MAX);
    sc->limit = io->limit;
    if (!se->db)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E2012", "there is no database %s", se->ep->path);
    if (io->query)
        WH_TRY(query_columns(sc, se, io->query, reterr));
    else
        WH_TRY(table_columns(sc, se, io->object, reterr));
    if (io->where && !(sc->where = wh_arena_strdup(sc->t.arena, io->where)))
        return no_memory(reterr);
    WH_TRY(project(sc, io, reterr));
    WH_TRY(lite_computed(sc, se, io, reterr));
    sc->rowid_first = sc->t.rowid && !io->query && sc->n_sel < MOST_COLUMNS;
    WH_TRY(split_by(sc, io, reterr));
    WH_TRY(lite_order(sc, se, reterr));
    WH_TRY(settle_types(sc, se, io, reterr));
    WH_TRY(make_schema(sc, reterr));
    WH_TRY(lite_select(sc, se, &(struct lite_range){0}, &probe, reterr)); /* `where` compiles */
    WH_TRY(lite_number(se, "pragma schema_version", 0, &sc->schema_version, reterr));
    WH_TRY(divide(sc, se, io, reterr));
    /* Worth a word only where reading takes a while. */
    sc->holds_up = sc->cuts.n > 0 && !lite_is_wal(se->db);
    lite_identity(sc->ep, io->query ? "" : sc->t.name, io->identity, sizeof io->identity);
    answers(sc, io);
    if (wh_schema_copy(&sc->schema, ret) != WH_OK)
        return no_memory(reterr);
    return WH_OK;
}

/* ---- splits ------------------------------------------------------------------------------------
 */

/* The cursor is the upper end of the last split drawn, so that it fits any list of cuts: ranges
 * meet without gap or overlap whoever draws them. */
static wh_status split_next(void *self, void *session, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct lite_sc *sc = self;
    struct lite_range r = {.limit = sc->limit}, last;
    size_t i = 0;

    if (cursor && cursor->n) {
        if (!lite_range_get(*cursor, &last))
            return wh_fail(reterr, WH_E_STATE, "E7016", "the stored cursor is not a rowid range");
        if (!last.has_hi)
            return WH_END;
        r.has_lo = true;
        r.lo = last.hi;
        while (i < sc->cuts.n && sc->cuts.v[i] <= r.lo)
            i++;
    }
    if (sc->ranges && i < sc->cuts.n) {
        r.has_hi = true;
        r.hi = sc->cuts.v[i];
    }
    if (lite_range_put(&r, &sc->token) != WH_OK)
        return no_memory(reterr);
    *ret = (struct wh_split){.token = {sc->token.p, sc->token.n}, .est_rows = -1, .est_bytes = -1};
    if (sc->cuts.n)
        ret->est_rows = sc->cuts.rows_each;
    else if (sc->t.est_rows >= 0)
        ret->est_rows = sc->t.est_rows;
    if (sc->limit > 0 && (ret->est_rows < 0 || ret->est_rows > sc->limit))
        ret->est_rows = sc->limit;
    if (ret->est_rows >= 0 && sc->row_bytes > 0)
        ret->est_bytes = ret->est_rows * sc->row_bytes;
    lite_range_label(sc, &r, ret->label, sizeof ret->label);
    *ret_cursor = ret->token;
    return WH_OK;
}

static void scan_close(void *self)
{
    struct lite_sc *sc = self;

    wh_schema_release(&sc->schema);
    lite_table_free(&sc->t);
    wh_free(TAKE_PTR(sc->cuts.v));
    wh_buf_free(&sc->note);
    wh_buf_free(&sc->token);
}

const struct wh_source_ops lite_source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct lite_sc),
    .rd_size = LITE_READER_SIZE,
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = lite_reader_open,
    .reader_next = lite_reader_next,
    .reader_cut = lite_reader_cut,
    .reader_close = lite_reader_close,
    .scan_close = scan_close,
};
