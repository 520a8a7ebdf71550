/* SPDX-License-Identifier: Apache-2.0 */
/* gen: a source of made-up tables. Object = shape (lineitem hits posts wide evil); any row is made
 * in constant time, so a split is two row numbers, 10^12 rows plan as fast as ten, and the snapshot
 * is entered again by anybody who has the same formulas. */
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "gen.h"

static const struct gen_shape *const shapes[] = {&wh_gen_lineitem, &wh_gen_hits, &wh_gen_posts,
                                                 &wh_gen_wide, &wh_gen_evil};

enum {
    SHAPES = sizeof shapes / sizeof *shapes,
    BLOCK_BYTES = 128 << 10,  /* how much is made between two looks at the batch's size */
    DEFAULT_UNIT = 128 << 20, /* bytes of a unit when nobody asks */
    ARENA_MORE = 4 << 20,     /* columns, pools, besides one largest cell */
};

/* -------------------------------------------------------------------------------------- options */

static const struct wh_option from_rows[] = {
    WH_OPT_I64(struct gen_options, rows, 0, 1000000000000000, .def = "1000000",
               .help = "Rows of the table"),
    WH_OPT_I64(struct gen_options, seed, INT64_MIN, INT64_MAX, .def = "1",
               .help = "Another seed gives other values; the same seed always the same"),
    WH_OPT_I64(struct gen_options, columns, 1, GEN_MAX_COLUMNS, .def = "200",
               .help = "Shape wide: number of columns, the key included"),
    WH_OPT_DOUBLE(struct gen_options, null_ratio, 0, 1, .def = "0",
                  .help = "Shapes hits and wide: share of nulls in the columns that may be null"),
    WH_OPT_BOOL(struct gen_options, nested, .def = "false",
                .help = "Shape evil: also lists, structs and maps"),
    WH_OPT_BOOL(struct gen_options, nul, .def = "false",
                .help = "Shape evil: some texts hold a NUL character (U+0000)"),
    WH_OPT_BOOL(struct gen_options, nan, .def = "true",
                .help = "Shape evil: floats may be NaN; false: null instead, for systems without"),
    WH_OPT_SIZE(struct gen_options, big, 1, GEN_MAX_CELL, .def = "1MiB",
                .help = "Shape evil: size of the largest text"),
    WH_OPT_I64(struct gen_options, unit_rows, 0, 1000000000000, .def = "0",
               .flags = WH_OPT_ADVANCED,
               .help = "Rows of one split; 0 = as many as the run's unit size holds"),
    WH_OPT_END};
static const struct wh_options from_table = {from_rows, sizeof(struct gen_options), "gen source"};

/* ------------------------------------------------------------------------------------- endpoint */

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
    *ret_ident = WH_STR("gen");
    return WH_OK;
}

static void interrupt(void *se)
{
    atomic_store(&((struct session *)se)->interrupted, true);
}

/* The instant is the version of the formulas: it can be entered again for ever, by this version. */
static wh_status snapshot(void *ep, void *se, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    *ret = (struct wh_snapshot){.kind = WH_SNAP_POINT,
                                .token = {"gen " GEN_VERSION, sizeof "gen " GEN_VERSION - 1},
                                .what = "formulas of version " GEN_VERSION,
                                .unchanged_provable = true};
    return WH_OK;
}

static wh_status join(void *ep, const struct wh_snapshot *snap, struct wh_error *reterr)
{
    if (snap->token.n == sizeof "gen " GEN_VERSION - 1 &&
        memcmp(snap->token.p, "gen " GEN_VERSION, snap->token.n) == 0)
        return WH_OK;
    return wh_fail(reterr, WH_GONE, "E4008",
                   "the rows were made by formulas '%.*s', this program has 'gen " GEN_VERSION "'",
                   (int)snap->token.n, (const char *)snap->token.p);
}

static void release(void *ep, const struct wh_snapshot *snap)
{
}

static void session_close(void *se)
{
}

static void endpoint_close(void *ep)
{
}

/* ----------------------------------------------------------------------------------------- scan */

static const struct gen_shape *shape_named(struct wh_str name, uint64_t *ret_number)
{
    for (uint64_t i = 0; i < SHAPES; i++)
        if (wh_str_eqs(name, shapes[i]->name)) {
            *ret_number = i;
            return shapes[i];
        }
    return NULL;
}

static wh_status no_such_shape(struct wh_str name, struct wh_error *reterr)
{
    const char *words[SHAPES + 1] = {NULL};

    for (int i = 0; i < SHAPES; i++)
        words[i] = shapes[i]->name;
    const char *near = wh_did_you_mean(name, words);
    int st = wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "gen has no table '%.*s'", WH_STR_FMT(name));

    if (near)
        wh_error_hint(reterr, "Did you mean 'gen:%s'?", near);
    else
        wh_error_hint(reterr, "There are lineitem, hits, posts, wide and evil.");
    return st;
}

/* One column of the schema with what Arrow types lack. */
static wh_status set_field(const struct gen_column *col, struct ArrowSchema *ret,
                           struct wh_error *reterr)
{
    char key[12];

    WH_TRY(wh_field_parse(col->type, col->name, ret, reterr));
    if (!col->nullable)
        ret->flags &= ~(int64_t)ARROW_FLAG_NULLABLE;
    if (col->native)
        WH_TRY(wh_meta_set(ret, WH_META_TYPE, col->native));
    if (!col->key)
        return WH_OK;
    snprintf(key, sizeof key, "%d", col->key);
    return wh_meta_set(ret, WH_META_KEY, key);
}

static wh_status make_schema(const struct gen_scan *sc, struct ArrowSchema *ret,
                             struct wh_error *reterr)
{
    int st = wh_schema_init(ret, sc->n_columns);

    for (int64_t i = 0; st == WH_OK && i < sc->n_columns; i++)
        st = set_field(&sc->columns[i], ret->children[i], reterr);
    if (st != WH_OK)
        wh_schema_release(ret);
    return st;
}

/* All columns of the shape, each with its stream. */
static wh_status all_columns(struct gen_scan *sc)
{
    if (sc->shape->make) {
        WH_TRY(sc->shape->make(sc, &sc->columns, &sc->n_columns));
    } else {
        size_t bytes = (size_t)sc->shape->n_columns * sizeof *sc->columns;

        sc->n_columns = sc->shape->n_columns;
        sc->columns = wh_arena_alloc(sc->arena, bytes);
        if (!sc->columns)
            return WH_E_NOMEM;
        memcpy(sc->columns, sc->shape->columns, bytes);
    }
    for (int64_t i = 0; i < sc->n_columns; i++)
        sc->columns[i].stream = gen_sub(sc->key, (uint64_t)i);
    return WH_OK;
}

/* Keeps the named columns, in the order in which they are named. */
static wh_status project(struct gen_scan *sc, const char *const *names, size_t n,
                         struct wh_error *reterr)
{
    struct gen_column *chosen = wh_arena_alloc(sc->arena, (n ? n : 1) * sizeof *chosen);

    if (!chosen)
        return WH_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        int64_t at = 0;

        while (at < sc->n_columns && strcmp(sc->columns[at].name, names[i]) != 0)
            at++;
        if (at == sc->n_columns)
            return wh_fail(reterr, WH_E_NOT_FOUND, "E3002", "gen:%s has no column '%s'",
                           sc->shape->name, names[i]);
        chosen[i] = sc->columns[at];
    }
    sc->columns = chosen;
    sc->n_columns = (int64_t)n;
    return WH_OK;
}

static wh_status setup(struct gen_scan *sc, struct wh_str shape, const struct gen_options *opts,
                       struct wh_error *reterr)
{
    uint64_t number = 0;

    sc->opts = *opts;
    sc->shape = shape_named(shape, &number);
    if (!sc->shape)
        return no_such_shape(shape, reterr);
    sc->key = gen_sub((uint64_t)opts->seed, number);
    sc->null_below = (uint32_t)((opts->null_ratio < 1 ? opts->null_ratio : 1) * 4294967295.0);
    sc->arena = wh_arena_new((size_t)ARENA_MORE + (size_t)opts->big);
    if (!sc->arena)
        return WH_E_NOMEM;
    return all_columns(sc);
}

/* What a plan fixes: resumed with anything else, the rows would be others. */
static wh_status set_bounds(struct gen_scan *sc, struct wh_scan *io, struct wh_error *reterr)
{
    const struct gen_options *o = &sc->opts;
    int n = snprintf(
        sc->bounds, sizeof sc->bounds,
        "gen %s %s rows=%lld seed=%lld columns=%lld null=%u nested=%d nul=%d nan=%d big=%lld",
        GEN_VERSION, sc->shape->name, (long long)sc->rows, (long long)o->seed,
        (long long)o->columns, sc->null_below, o->nested, o->nul, o->nan, (long long)o->big);

    io->ret_bounds = (struct wh_bytes){sc->bounds, (size_t)n};
    if (!io->frozen || !io->bounds.n)
        return WH_OK;
    if (io->bounds.n == (size_t)n && memcmp(io->bounds.p, sc->bounds, (size_t)n) == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_STATE, "E7008", "the plan fixed '%.*s', now it is '%s'",
                   (int)io->bounds.n, (const char *)io->bounds.p, sc->bounds);
}

static int64_t bytes_of(const struct gen_scan *sc, int64_t rows)
{
    int64_t bytes;

    return __builtin_mul_overflow(rows, sc->row_bytes, &bytes) ? INT64_MAX : bytes;
}

static void answer(struct gen_scan *sc, struct wh_scan *io)
{
    int64_t unit = io->unit_bytes > 0 ? io->unit_bytes : DEFAULT_UNIT;

    sc->row_bytes = sc->shape->row_bytes(sc);
    sc->unit_rows = sc->opts.unit_rows ? sc->opts.unit_rows : unit / sc->row_bytes;
    if (io->parts > 0)
        sc->unit_rows = sc->rows / io->parts + (sc->rows % io->parts != 0);
    else if (io->unit_rows > 0)
        sc->unit_rows = io->unit_rows;
    if (sc->unit_rows < 1)
        sc->unit_rows = 1;
    if (io->parts > 0 || io->unit_rows > 0)
        io->unit_bytes = bytes_of(sc, sc->unit_rows);
    snprintf(io->method, sizeof io->method, "ranges of %lld rows", (long long)sc->unit_rows);
    io->limit_done = io->limit > 0;
    io->splittable = true;
    io->resumable = true;
    io->est_rows = sc->rows;
    io->est_bytes = bytes_of(sc, sc->rows);
    for (size_t i = 0; i < io->n_preds; i++)
        io->preds[i].pushed = WH_PUSH_NO;
}

static wh_status scan_open(void *self, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct gen_scan *sc = self;

    WH_TRY(setup(sc, io->object->n > 0 ? io->object->part[0] : WH_STR(""), io->opts, reterr));
    if (io->columns)
        WH_TRY(project(sc, io->columns, io->n_columns, reterr));
    if (sc->shape->setup)
        WH_TRY(sc->shape->setup(sc));
    WH_TRY(make_schema(sc, &sc->schema, reterr));
    sc->rows = io->limit > 0 && io->limit < sc->opts.rows ? io->limit : sc->opts.rows;
    WH_TRY(set_bounds(sc, io, reterr));
    answer(sc, io);
    return wh_schema_copy(&sc->schema, ret);
}

static void put64(uint8_t *p, int64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)((uint64_t)v >> 8 * i);
}

static int64_t get64(const void *bytes)
{
    const uint8_t *p = bytes;
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << 8 * i;
    return (int64_t)v;
}

/* Token: first row and row after the last, 8 bytes each, little endian. */
static void fill_split(const struct gen_scan *sc, int64_t first, int64_t end, uint8_t token[16],
                       struct wh_split *ret)
{
    *ret = (struct wh_split){.token = {token, 16},
                             .est_rows = end - first,
                             .est_bytes = bytes_of(sc, end - first),
                             .order_seq = (uint64_t)(first / sc->unit_rows)};
    put64(token, first);
    put64(token + 8, end);
    snprintf(ret->label, sizeof ret->label, "rows %lld..%lld", (long long)first,
             (long long)end - 1);
}

static wh_status split_next(void *self, void *se, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct gen_scan *sc = self;
    int64_t first = cursor && cursor->n == 8 ? get64(cursor->p) : 0;

    if (cursor && cursor->n && cursor->n != 8)
        return wh_fail(reterr, WH_E_STATE, "E7003", "a cursor of %zu bytes is none of ours",
                       cursor->n);
    if (first < 0 || first >= sc->rows)
        return WH_END;
    int64_t end = sc->rows - first > sc->unit_rows ? first + sc->unit_rows : sc->rows;

    fill_split(sc, first, end, sc->token, ret);
    put64(sc->cursor, end);
    *ret_cursor = (struct wh_bytes){sc->cursor, 8};
    return WH_OK;
}

static void scan_close(void *self)
{
    struct gen_scan *sc = self;

    wh_schema_release(&sc->schema);
    wh_arena_free(sc->arena);
}

/* --------------------------------------------------------------------------------------- reader */

struct reader {
    const struct gen_scan *sc;
    const struct session *se;
    const struct wh_ctx *ctx;
    struct wh_builder *builder;
    void *facts;
    int64_t first, next, end; /* of the split; row to be made next */
    int block_rows;
    uint8_t rest[16], done[16];
};

static wh_status reader_open(void *self, void *scan, void *se, const struct wh_ctx *attempt,
                             const struct wh_split *split, struct ArrowSchema *ret_actual,
                             struct wh_error *reterr)
{
    struct reader *rd = self;
    const struct gen_scan *sc = scan;
    int64_t block = BLOCK_BYTES / sc->row_bytes;

    *rd = (struct reader){.sc = sc, .se = se, .ctx = attempt};
    if (split->token.n != 16)
        return wh_fail(reterr, WH_E_STATE, "E7003", "a split of %zu bytes is none of ours",
                       split->token.n);
    rd->first = rd->next = get64(split->token.p);
    rd->end = get64((const uint8_t *)split->token.p + 8);
    if (rd->first < 0 || rd->first > rd->end || rd->end > sc->rows)
        return wh_fail(reterr, WH_E_STATE, "E7003", "rows %lld..%lld are not in a table of %lld",
                       (long long)rd->first, (long long)rd->end, (long long)sc->rows);
    rd->block_rows = block < 1                       ? 1
                     : block < sc->shape->block_rows ? (int)block
                                                     : sc->shape->block_rows;
    if (sc->shape->facts_size && !(rd->facts = wh_alloc(sc->shape->facts_size)))
        return WH_E_NOMEM;
    WH_TRY(wh_builder_new(&sc->schema, &rd->builder, reterr));
    wh_builder_max_cell(rd->builder, GEN_MAX_CELL + 64);
    ret_actual->release = NULL;
    return WH_OK;
}

static wh_status fill_block(struct reader *rd, int n)
{
    const struct gen_scan *sc = rd->sc;
    struct gen_block block = {.first = rd->next, .n = n, .facts = rd->facts};

    if (sc->shape->prepare)
        sc->shape->prepare(sc, &block);
    for (int64_t i = 0; i < sc->n_columns; i++)
        WH_TRY(sc->columns[i].fill(sc, &sc->columns[i], wh_builder_column(rd->builder, i), &block));
    rd->next += n;
    return WH_OK;
}

static wh_status reader_next(void *self, struct wh_batch *ret, struct wh_error *reterr)
{
    struct reader *rd = self;
    int64_t first = rd->next;

    if (rd->next == rd->end)
        return WH_END;
    if (rd->se && atomic_load(&rd->se->interrupted))
        return WH_LOST;
    if (rd->ctx && rd->ctx->cancelled && rd->ctx->cancelled(rd->ctx))
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "reading was cancelled");
    do {
        int64_t left = rd->end - rd->next, room = WH_BATCH_ROWS - (rd->next - first);
        int64_t n = left < rd->block_rows ? left : rd->block_rows;

        WH_TRY(fill_block(rd, (int)(n < room ? n : room)));
    } while (rd->next < rd->end && !wh_builder_full(rd->builder));
    WH_TRY(wh_builder_finish(rd->builder, ret));
    ret->first = first - rd->first;
    ret->source_bytes = ret->bytes;
    return WH_OK;
}

static wh_status reader_cut(void *self, struct wh_split *ret_rest, struct wh_split *ret_done,
                            struct wh_error *reterr)
{
    struct reader *rd = self;

    if (ret_done)
        fill_split(rd->sc, rd->first, rd->next, rd->done, ret_done);
    if (rd->next == rd->end)
        return WH_END;
    fill_split(rd->sc, rd->next, rd->end, rd->rest, ret_rest);
    return WH_OK;
}

static void reader_close(void *self)
{
    struct reader *rd = self;

    wh_builder_free(rd->builder);
    wh_free(rd->facts);
    rd->builder = NULL;
    rd->facts = NULL;
}

/* -------------------------------------------------------------------------------------- catalog */

static wh_status list_shape(const struct gen_shape *shape, const struct gen_options *opts,
                            const struct wh_pattern *pattern, wh_catalog_fn each, void *arg,
                            struct wh_error *reterr)
{
    struct gen_scan sc = {0};
    struct ArrowSchema columns = {0};
    struct wh_object object = {.name = {.part = {wh_str(shape->name)}, .n = 1},
                               .kind = WH_OBJ_TABLE,
                               .comment = shape->comment};

    if (pattern && pattern->match && !pattern->match(pattern, &object.name))
        return WH_OK;
    int st = setup(&sc, object.name.part[0], opts, reterr);

    if (st == WH_OK)
        st = make_schema(&sc, &columns, reterr);
    if (st == WH_OK) {
        object.columns = &columns;
        object.est_rows = opts->rows;
        object.est_bytes = opts->rows * shape->row_bytes(&sc);
        st = each(arg, &object);
    }
    wh_schema_release(&columns);
    scan_close(&sc);
    return st;
}

/* The tables as they are without options: those belong to the stream. */
static wh_status catalog(void *ep, void *se, const struct wh_pattern *pattern, wh_catalog_fn each,
                         void *arg, struct wh_error *reterr)
{
    static const struct gen_options plain = {
        .rows = 1000000, .seed = 1, .columns = 200, .nan = true, .big = 1 << 20};

    for (int i = 0; i < SHAPES; i++)
        WH_TRY(list_shape(shapes[i], &plain, pattern, each, arg, reterr));
    return WH_OK;
}

/* ------------------------------------------------------------------------------------ connector */

static const struct wh_endpoint_ops endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = endpoint_open,
    .session_open = session_open,
    .interrupt = interrupt,
    .snapshot = snapshot,
    .join = join,
    .release = release,
    .catalog = catalog,
    .session_close = session_close,
    .close = endpoint_close,
};

static const struct wh_source_ops source_ops = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct gen_scan),
    .rd_size = sizeof(struct reader),
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = reader_open,
    .reader_next = reader_next,
    .reader_cut = reader_cut,
    .reader_close = reader_close,
    .scan_close = scan_close,
};

static const struct wh_capabilities caps = {
    .flags = WH_CAP_WHOLE_DATABASE | WH_CAP_PROJECTION | WH_CAP_LIMIT | WH_CAP_LOCAL |
             WH_CAP_PARTS | WH_CAP_AS_OF, /* they are formulas */
    .snapshot = WH_SNAP_POINT,
    .grade = "G1",
    .limits = "made-up rows only; nothing can be written",
};

static const char *const schemes[] = {"gen", NULL};

WH_CONNECTOR(gen);
const struct wh_connector wh_connector_gen = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "gen",
    .title = "Made-up tables, the same for the same seed",
    .schemes = schemes,
    .url = WH_URL_OBJECT,
    .from = &from_table,
    .caps = &caps,
    .ep_size = sizeof(struct endpoint),
    .se_size = sizeof(struct session),
    .endpoint = &endpoint_ops,
    .source = &source_ops,
};
