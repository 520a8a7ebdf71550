/* SPDX-License-Identifier: Apache-2.0 */
/* Negotiation of a scan: which columns, as what, how divided, and whether as raw bytes. */
#include "pg_scan.h"

#include <stdio.h>

enum {
    SPLITS_PER_LANE = 4,
    LEAST_SPLIT = 1 << 20, /* bytes; unless units are wanted smaller */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
}

/* ---- what is read ------------------------------------------------------------------------------
 */

/* People end a query with a semicolon; inside of brackets it is an error. */
static size_t query_length(const char *query)
{
    size_t n = strlen(query);

    while (n && strchr("; \t\r\n", query[n - 1]))
        n--;
    return n;
}

static wh_status open_query(struct pg_sc *sc, struct pg_se *se, const char *query,
                            struct wh_error *reterr)
{
    struct wh_arena *scratch WH_CLEANUP(wh_arena_freep) = wh_arena_new(8 << 20);
    const char *text = scratch ? wh_arena_strndup(scratch, query, query_length(query)) : NULL;

    if (!text)
        return no_memory(reterr);
    WH_TRY(pg_describe_query(se, text, &sc->t, reterr));
    sc->query = wh_arena_strdup(sc->t.arena, text);
    sc->from = wh_arena_printf(sc->t.arena, "(%s\n) wherry_query", text);
    if (!sc->t.name)
        sc->t.name = "the query";
    sc->t.est_rows = sc->t.est_bytes = -1;
    return sc->query && sc->from ? WH_OK : no_memory(reterr);
}

static wh_status open_table(struct pg_sc *sc, struct pg_se *se, const struct wh_name *object,
                            struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    if (!object || object->n == 0)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "which table? (postgresql://...#schema.table)");
    WH_TRY(pg_describe(se, object, sc->o->schema, &sc->t, reterr));
    if (!sc->t.can_read) {
        wh_ignore(wh_fail(reterr, WH_E_AUTH, "E2006", "no right to read %s.%s", sc->t.schema,
                          sc->t.name));
        wh_error_hint(reterr,
                      "'wherry grants' with this object prints what an administrator has to "
                      "grant");
        return WH_E_AUTH;
    }
    if (pg_qualified(&b, sc->t.schema, sc->t.name) != WH_OK ||
        !(sc->from = wh_arena_strdup(sc->t.arena, b.p)))
        return no_memory(reterr);
    return WH_OK;
}

static int find_column(const struct pg_table *t, const char *name)
{
    return sql_find_column(SQL_NAMES(t->cols, t->n_cols), name);
}

static wh_status no_column(const struct pg_sc *sc, const char *name, struct wh_error *reterr)
{
    return sql_no_column(sc->t.arena, SQL_NAMES(sc->t.cols, sc->t.n_cols), sc->t.name, name,
                         reterr);
}

static wh_status project(struct pg_sc *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    size_t n = io->columns ? io->n_columns : (size_t)sc->t.n_cols;

    if (n == 0)
        return wh_fail(reterr, WH_E_TYPE, "E3002", "%s has no column to read", sc->t.name);
    if (!io->columns) {
        sc->cols = sc->t.cols;
        sc->n_cols = sc->t.n_cols;
        return WH_OK;
    }
    sc->cols = wh_arena_alloc(sc->t.arena, (n + 1) * sizeof *sc->cols);
    if (!sc->cols)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++) {
        int at = find_column(&sc->t, io->columns[i]);

        if (at < 0)
            return no_column(sc, io->columns[i], reterr);
        sc->cols[i] = sc->t.cols[at];
    }
    sc->n_cols = (int)n;
    return WH_OK;
}

/* A column as the server's text. The cast of inet adds a netmask that its output does not show;
 * money's text depends on lc_monetary, its number does not. */
static const char *as_text(const struct pg_col *c)
{
    enum {
        INET = 869,
        MONEY = 790
    };

    return c->base_oid == INET    ? "pg_catalog.abbrev(%s)"
           : c->base_oid == MONEY ? "%s::pg_catalog.numeric"
                                  : "%s::pg_catalog.text";
}

static wh_status add_selected(const struct pg_col *c, bool casts, struct wh_buf *b)
{
    struct wh_buf plain WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str name = wh_str(c->name);

    WH_TRY(c->expr ? wh_buf_adds(&plain, c->expr) : sql_ident(&plain, name));
    return sql_add(b, casts && c->cast ? as_text(c) : "%s", plain.p);
}

static wh_status select_list(struct pg_sc *sc, bool casts, const char **ret,
                             struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    for (int i = 0; i < sc->n_cols; i++) {
        if ((i && wh_buf_adds(&b, ", ") != WH_OK) || add_selected(&sc->cols[i], casts, &b) != WH_OK)
            return no_memory(reterr);
    }
    *ret = wh_arena_strdup(sc->t.arena, b.p);
    return *ret ? WH_OK : no_memory(reterr);
}

/* ---- types -------------------------------------------------------------------------------------
 */

wh_status pg_scan_schema(const struct pg_sc *sc, struct ArrowSchema *ret)
{
    struct pg_table chosen = sc->t;

    chosen.n_cols = sc->n_cols;
    chosen.cols = sc->cols;
    return pg_table_schema(&chosen, ret);
}

/* Where the plan fixed this column; -1: nowhere. Those that are computed go by their order. */
static int64_t frozen_at(const struct ArrowSchema *frozen, const struct pg_col *c, int i)
{
    struct wh_str how;

    if (!c->expr)
        return wh_schema_find(frozen, wh_str(c->name), false);
    return i < frozen->n_children && wh_meta_get(frozen->children[i], WH_META_COMPUTED, &how) ? i
                                                                                              : -1;
}

/* At resume: every column is still what the plan fixed. */
static wh_status as_frozen(const struct pg_sc *sc, const struct ArrowSchema *frozen,
                           struct wh_error *reterr)
{
    for (int i = 0; i < sc->n_cols; i++) {
        const struct pg_col *c = &sc->cols[i];
        int64_t at = frozen_at(frozen, c, i);
        struct wh_str was = {0};

        if (at < 0)
            return wh_fail(reterr, WH_E_TYPE, "E3006", "column \"%s\" of %s is new since the plan",
                           c->name, sc->t.name);
        wh_ignore(wh_meta_get(frozen->children[at], WH_META_TYPE, &was) != NULL);
        if (was.s && !wh_str_eqs(was, c->type_text))
            return wh_fail(reterr, WH_E_TYPE, "E3006",
                           "column \"%s\" of %s was of type %.*s and is of type %s now", c->name,
                           sc->t.name, WH_STR_FMT(was), c->type_text);
    }
    return WH_OK;
}

/* ---- frames ------------------------------------------------------------------------------------
 */

static bool offered(const struct wh_scan *io)
{
    for (const char *const *f = io->frames; f && *f; f++)
        if (strcmp(*f, PG_FRAME) == 0)
            return true;
    return false;
}

static bool is_on(const struct pg_conn *c, const char *parameter)
{
    const char *v = pg_parameter(c, parameter);

    return v && strcmp(v, "on") == 0;
}

static void why(struct wh_scan *io, const char *column, const char *text)
{
    if (column)
        snprintf(io->frame_why, sizeof io->frame_why, "column \"%.48s\": %.90s", column, text);
    else
        snprintf(io->frame_why, sizeof io->frame_why, "%s", text);
}

/* Can rows pass as they are, as far as this side is concerned? */
static wh_status decide_frame(struct pg_sc *sc, const struct pg_conn *c, struct wh_scan *io,
                              struct wh_error *reterr)
{
    const char *encoding = pg_parameter(c, "server_encoding"), *text = NULL;

    if (!offered(io))
        return WH_OK;
    if (!sc->o->frames) {
        why(io, NULL, "frames: off");
        return WH_OK;
    }
    if (!encoding || strcmp(encoding, "UTF8") != 0 || !is_on(c, "integer_datetimes")) {
        why(io, NULL, "the source's encoding is not UTF8");
        return WH_OK;
    }
    for (int i = 0; i < sc->n_cols; i++) {
        const struct pg_col *col = &sc->cols[i];
        struct pg_passes p = {wh_str(col->type_text), wh_str(col->shape ? col->shape : "")};

        if (col->expr) {
            why(io, col->name, "computed by the source");
            return WH_OK;
        }
        if (!pg_frame_fits(&p, &p, &text)) {
            why(io, col->name, text);
            return WH_OK;
        }
    }
    io->frame = PG_FRAME;
    return select_list(sc, false, &sc->select_raw, reterr);
}

/* ---- how it is divided -------------------------------------------------------------------------
 */

static bool holds_rows(char kind)
{
    return kind == 'r' || kind == 'p' || kind == 'm';
}

/* Splits are smaller than units where that gives every lane some; the engine packs them. */
static int64_t split_bytes(const struct pg_sc *sc, int64_t total)
{
    int64_t lanes = sc->parallel > 0 ? sc->parallel : 1, share = total / (lanes * SPLITS_PER_LANE);

    if (sc->sized)
        return sc->unit;
    if (share < LEAST_SPLIT)
        share = LEAST_SPLIT;
    return share < sc->unit ? share : sc->unit;
}

static void divide_blocks(struct pg_sc *sc)
{
    int64_t blocks = 0, step;

    for (size_t i = 0; i < sc->leaves.n; i++)
        blocks += sc->leaves.v[i].blocks;
    sc->step = UINT32_MAX;
    if (blocks == 0 || (sc->leaves.bytes < PG_SMALL_BYTES && sc->unit >= PG_SMALL_BYTES))
        return;
    /* TOAST counts: a split of few blocks may stand for many bytes. */
    step = (int64_t)((double)split_bytes(sc, sc->leaves.bytes) * (double)blocks /
                     (double)sc->leaves.bytes);
    sc->step = step < 1 ? 1 : step;
}

static const char *not_by_blocks(const struct pg_sc *sc, const struct pg_conn *c)
{
    if (sc->tree && !sc->leaves.may)
        return "partitions may not be read by themselves";
    if (pg_server_version(c) < 140000)
        return "this server finds no rows by block range";
    return NULL;
}

/* By key where it was asked for, or where places may move while they are read; else by place. */
static wh_status choose(struct pg_sc *sc, struct pg_se *se, const struct wh_scan *io,
                        struct wh_buf *note, struct wh_error *reterr)
{
    bool big = sc->leaves.bytes >= PG_SMALL_BYTES || sc->unit < PG_SMALL_BYTES, index = false;
    const char *no_blocks = not_by_blocks(sc, se->c);

    sc->method = PG_BY_STREAM;
    if (sc->query || sc->limit > 0)
        return WH_OK;
    if ((io->split_by || ((sc->no_snapshot || no_blocks) && big)) && sc->t.kind != 'f')
        WH_TRY(pg_split_key(sc, se->c, io->split_by, &index, reterr));
    if (sc->key && (io->split_by || index)) {
        sc->method = PG_BY_KEY;
        sc->n_wanted = (sc->leaves.bytes > 0 ? sc->leaves.bytes : sc->t.est_bytes) /
                       (sc->unit > 0 ? sc->unit : 1);
        if (sc->n_wanted < sc->parallel && !sc->sized)
            sc->n_wanted = sc->parallel;
        if (io->parts > 0)
            sc->n_wanted = io->parts;
        else if (io->unit_rows > 0 && sc->t.est_rows > 0)
            sc->n_wanted = (sc->t.est_rows + io->unit_rows - 1) / io->unit_rows;
        if (sc->n_wanted > PG_CUTS_MAX)
            sc->n_wanted = PG_CUTS_MAX;
        if (!big && !io->split_by)
            sc->n_wanted = 1;
        if (!index)
            WH_TRY(wh_buf_printf(note, "%sno index begins with \"%s\": every range reads the table",
                                 note->n ? "; " : "", sc->key->name));
        return WH_OK;
    }
    if (!holds_rows(sc->t.kind))
        return WH_OK;
    if (no_blocks)
        return big ? wh_buf_printf(note, "%s%s", note->n ? "; " : "", no_blocks) : WH_OK;
    sc->method = PG_BY_CTID;
    divide_blocks(sc);
    return WH_OK;
}

/* What the units that were asked for come to in bytes. */
static wh_status size_units(struct pg_sc *sc, struct wh_scan *io, struct wh_buf *note,
                            struct wh_error *reterr)
{
    int64_t bytes = sc->leaves.listed ? sc->leaves.bytes : sc->t.est_bytes;
    int64_t rows = sc->leaves.listed ? sc->leaves.rows : sc->t.est_rows;

    sc->sized = io->parts > 0 || io->unit_rows > 0;
    if (!sc->sized || bytes <= 0)
        return WH_OK;
    if (io->parts <= 0 && rows <= 0) {
        sc->sized = false;
        return wh_buf_printf(note, "%sits rows are not known before ANALYZE: units by bytes",
                             note->n ? "; " : "") == WH_OK
                   ? WH_OK
                   : no_memory(reterr);
    }
    double unit = io->parts > 0 ? (double)bytes / (double)io->parts
                                : (double)bytes / (double)rows * (double)io->unit_rows;

    sc->unit = unit < 1 ? 1 : unit > 9e17 ? INT64_MAX / 8 : (int64_t)unit + 1;
    io->unit_bytes = sc->unit;
    return WH_OK;
}

/* Which rows, by a column: whatever way the units are cut. */
static wh_status take_range(struct pg_sc *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    if (!io->range_from)
        return WH_OK;
    sc->range_col = pg_column_named(&sc->t, wh_str(io->split_by));
    sc->range_from = wh_arena_strdup(sc->t.arena, io->range_from);
    sc->range_to = wh_arena_strdup(sc->t.arena, io->range_to);
    if (!sc->range_col)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3002", "split.by: %s has no column \"%s\"",
                       sc->t.name, io->split_by);
    return sc->range_from && sc->range_to ? WH_OK : no_memory(reterr);
}

/* At resume units are cut as the plan said, whatever the sizes and statistics are now. */
static wh_status as_bound(struct pg_sc *sc, struct pg_se *se, const struct wh_scan *io,
                          struct wh_error *reterr)
{
    struct pg_range r;
    bool index;

    if (!pg_range_get(io->bounds, &r))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored bounds of %s are none of ours",
                       sc->t.name);
    sc->method = (enum pg_method)r.method;
    sc->step = r.lo > 0 ? r.lo : UINT32_MAX;
    sc->n_wanted = r.skip;
    if (sc->method != PG_BY_KEY)
        return WH_OK;
    WH_TRY(pg_split_key(sc, se->c, io->split_by, &index, reterr));
    if (!sc->key || !wh_str_eqs(r.name, sc->key->name))
        return wh_fail(reterr, WH_E_STATE, "E7016",
                       "%s was divided by \"%.*s\", which has no index now", sc->t.name,
                       WH_STR_FMT(r.name));
    return WH_OK;
}

static wh_status keep_bounds(struct pg_sc *sc, struct wh_scan *io, struct wh_error *reterr)
{
    struct pg_range r = {.method = (char)sc->method, .lo = sc->step, .skip = sc->n_wanted};

    r.name = wh_str(sc->method == PG_BY_KEY ? sc->key->name : "");
    if (pg_range_put(&r, &sc->bounds) != WH_OK)
        return no_memory(reterr);
    io->ret_bounds = (struct wh_bytes){sc->bounds.p, sc->bounds.n};
    return WH_OK;
}

/* ---- opening -----------------------------------------------------------------------------------
 */

static void method_words(const struct pg_sc *sc, char *out, size_t size)
{
    if (sc->method == PG_BY_KEY && sc->n_wanted > 1)
        snprintf(out, size, "up to %lld ranges of \"%.40s\"", (long long)sc->n_wanted,
                 sc->key->name);
    else if (sc->method == PG_BY_CTID && sc->step < UINT32_MAX)
        snprintf(out, size, "ctid ranges of %lld blocks%s", (long long)sc->step,
                 sc->tree ? " of each partition" : "");
    else if (sc->method == PG_BY_CTID && sc->tree)
        snprintf(out, size, "each partition by itself");
    else
        snprintf(out, size, "one stream");
}

/* More than one split? */
static bool divided(const struct pg_sc *sc)
{
    if (sc->method == PG_BY_KEY)
        return sc->n_wanted > 1;
    return sc->method == PG_BY_CTID && (sc->step < UINT32_MAX || sc->leaves.n > 1);
}

static void answers(struct pg_sc *sc, struct wh_scan *io, const struct wh_buf *note)
{
    bool sizes = sc->leaves.listed;

    io->est_rows = sizes ? sc->leaves.rows : sc->t.est_rows;
    io->est_bytes = sizes ? sc->leaves.bytes : sc->t.est_bytes;
    if (io->limit > 0) {
        io->est_bytes = -1;
        if (io->est_rows < 0 || io->est_rows > io->limit)
            io->est_rows = io->limit;
    }
    sc->t.est_rows = io->est_rows;
    sc->t.est_bytes = io->est_bytes;
    io->limit_done = io->limit > 0;
    io->physical = sc->method == PG_BY_CTID;
    io->splittable = divided(sc);
    io->resumable = sc->method == PG_BY_CTID && !sc->no_snapshot;
    io->max_readers = sc->method == PG_BY_STREAM ? 1 : 0;
    io->pins =
        sc->no_snapshot ? 0 : (int)(sizes ? sc->leaves.n : 0) + (sc->t.kind == 'p' || !sizes);
    for (size_t i = 0; i < io->n_preds; i++)
        io->preds[i].pushed = WH_PUSH_NO;
    method_words(sc, io->method, sizeof io->method);
    snprintf(io->note, sizeof io->note, "%s", note->n ? note->p : "");
    io->comment = wh_str(sc->query ? NULL : sc->t.comment);
}

static wh_status pin(struct pg_sc *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_name none = {0};
    /* What LOCK TABLE takes; it wants SELECT on the table, not on columns. */
    bool lockable =
        strchr("rpv", sc->t.kind) && !sc->query && (!sc->leaves.listed || sc->leaves.granted);

    if (lockable)
        WH_TRY(pg_pin(sc->ep, io->object, sc->from, false, reterr));
    if (lockable && !sc->computed.n_cols) /* which may read other tables */
        return WH_OK;
    if (wh_buf_printf(&b, "select %s from %s", sc->select, sc->from) != WH_OK)
        return no_memory(reterr);
    return pg_pin(sc->ep, io->object ? io->object : &none, b.p, true, reterr);
}

static wh_status sizes(struct pg_sc *sc, struct pg_se *se, struct wh_buf *note,
                       struct wh_error *reterr)
{
    if (sc->query || !holds_rows(sc->t.kind))
        return WH_OK;
    if (sc->t.kind != 'p' && !sc->t.has_subclass)
        return pg_leaves_alone(&sc->t, &sc->leaves, reterr);
    WH_TRY(pg_leaves_list(se->c, sc->t.oid, &sc->leaves, reterr));
    sc->tree = sc->t.kind == 'p' || sc->leaves.n > 1;
    if (sc->t.kind != 'p' && sc->leaves.n > 1)
        return wh_buf_printf(note, "with the rows of %zu tables that inherit from it",
                             sc->leaves.n - 1);
    return WH_OK;
}

static void take(struct pg_sc *sc, struct pg_ep *ep, const struct wh_scan *io)
{
    sc->ep = ep;
    sc->ctx = io->ctx;
    sc->o = io->opts;
    sc->limit = io->limit;
    sc->parallel = io->parallel;
    sc->max_row = io->max_row_bytes;
    sc->no_snapshot = io->no_snapshot;
    sc->unit = sc->o->split_bytes > 0 ? sc->o->split_bytes
               : io->unit_bytes > 0   ? io->unit_bytes
                                      : 64 << 20;
    sc->token = sc->bounds = WH_BUF(PG_TOKEN_MAX);
    sc->step = UINT32_MAX;
}

static wh_status scan_open(void *self, void *ep, void *session, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct wh_buf note WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    struct pg_sc *sc = self;
    struct pg_se *se = session;

    take(sc, ep, io);
    pg_use(se->c, io->ctx);
    if (io->query)
        WH_TRY(open_query(sc, se, io->query, reterr));
    else
        WH_TRY(open_table(sc, se, io->object, reterr));
    if (io->where && !(sc->where = wh_arena_strdup(sc->t.arena, io->where)))
        return no_memory(reterr);
    WH_TRY(project(sc, io, reterr));
    WH_TRY(pg_computed(sc, se, io, reterr));
    WH_TRY(select_list(sc, true, &sc->select, reterr));
    if (io->frozen)
        WH_TRY(as_frozen(sc, io->frozen, reterr));
    WH_TRY(sizes(sc, se, &note, reterr));
    WH_TRY(size_units(sc, io, &note, reterr));
    WH_TRY(take_range(sc, io, reterr));
    if (io->bounds.n)
        WH_TRY(as_bound(sc, se, io, reterr));
    else
        WH_TRY(choose(sc, se, io, &note, reterr));
    WH_TRY(decide_frame(sc, se->c, io, reterr));
    WH_TRY(pg_reader_probe(sc, se, reterr));
    WH_TRY(pin(sc, io, reterr));
    WH_TRY(keep_bounds(sc, io, reterr));
    pg_identity(ep, sc->query ? "" : sc->t.schema, sc->query ? "" : sc->t.name, io->identity,
                sizeof io->identity);
    answers(sc, io, &note);
    return pg_scan_schema(sc, ret) == WH_OK ? WH_OK : no_memory(reterr);
}

static void use_frames(void *self, bool on)
{
    struct pg_sc *sc = self;

    sc->frames = on && sc->select_raw != NULL;
}

static void infinite(void *self, const enum wh_infinite *how, int64_t n)
{
    struct pg_sc *sc = self;

    if (!sc->infinite)
        sc->infinite = wh_arena_alloc(sc->t.arena, (size_t)sc->n_cols * sizeof *sc->infinite);
    if (sc->infinite && n == sc->n_cols) /* else they are refused, which is safe */
        memcpy(sc->infinite, how, (size_t)n * sizeof *how);
}

static void scan_close(void *self)
{
    struct pg_sc *sc = self;

    pg_table_free(&sc->computed);
    pg_table_free(&sc->t);
    pg_leaves_free(&sc->leaves);
    wh_free(TAKE_PTR(sc->cuts));
    wh_buf_free(&sc->token);
    wh_buf_free(&sc->bounds);
}

const struct wh_source_ops pg_source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct pg_sc),
    .rd_size = PG_READER_SIZE,
    .scan_open = scan_open,
    .split_next = pg_split_next,
    .reader_open = pg_reader_open,
    .reader_next = pg_reader_next,
    .reader_cut = pg_reader_cut,
    .reader_close = pg_reader_close,
    .scan_close = scan_close,
    .use_frames = use_frames,
    .infinite = infinite,
};
