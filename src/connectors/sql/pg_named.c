/* SPDX-License-Identifier: Apache-2.0 */
/* Tables by name: as it is written, else the only one that differs in case alone; one, or all those
 * that a plan will ask for next, so that thousands cost a few statements and not a few each.
 *
 * The exact name is found by an index; only what is not found so is compared without case, which
 * reads the whole list of relations. */
#include "pg_catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "core/hash.h"

enum {
    TABLE_ARENA = 64 << 20,
    PAGE_ARENA = 64 << 20,
    NAMES_TEXT = 16 << 20,
    COLUMNS_MOST = 4000, /* whose rows are kept at a time */
    LOCK_MS = 1000,      /* so long many tables wait for one that is locked */
    NAME_BYTES = 63,
};

struct wanted {
    struct wh_str schema, table; /* schema may be empty; table.n = 0: no name of this database */
};

/* What the server has under a name. */
struct found {
    const struct pg_rows *rows; /* [row, row + n): exact ones first, then by the search path */
    int row, n;
    int column, n_columns; /* in page.columns */
};

struct pg_page {
    struct wh_arena *arena;
    struct wanted *wanted;
    struct found *found;
    size_t n;
    uint32_t *slots; /* place + 1, by hash of the name; n_slots is a power of two */
    size_t n_slots;
    struct pg_rows *exact, *loose, *columns;
    size_t lo, hi; /* tables whose columns are in `columns` */
    struct known {
        struct known *next;
        const char *schema;
    } * known; /* schemas that are there */
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a table's description");
}

static void page_clear(struct pg_page *p)
{
    pg_rows_freep(&p->exact);
    pg_rows_freep(&p->loose);
    pg_rows_freep(&p->columns);
    wh_arena_free(TAKE_PTR(p->arena));
}

/* ---- names -------------------------------------------------------------------------------------
 */

static wh_status split_name(struct pg_se *se, const struct wh_name *n, const char *schema,
                            struct wanted *ret, struct wh_error *reterr)
{
    struct wh_str db = n->n == 3 ? n->part[0] : (struct wh_str){NULL, 0};

    if (n->n < 1 || n->n > 3)
        return wh_fail(reterr, WH_E_USAGE, "E1020",
                       "a table of PostgreSQL is TABLE, SCHEMA.TABLE or DATABASE.SCHEMA.TABLE");
    *ret = (struct wanted){.table = n->part[n->n - 1], .schema = wh_str(schema)};
    if (n->n > 1 && n->part[n->n - 2].n)
        ret->schema = n->part[n->n - 2];
    if (db.n && !wh_str_eqs(db, pg_database(se->c)))
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001",
                       "the connection is to database \"%s\", not to \"%.*s\"", pg_database(se->c),
                       WH_STR_FMT(db));
    return WH_OK;
}

static size_t slot_of(const struct pg_page *p, const struct wanted *w)
{
    uint64_t h = wh_hash64(w->table.s, w->table.n, w->schema.n);
    size_t i = (size_t)wh_hash64(w->schema.s ? w->schema.s : "", w->schema.n, h) & (p->n_slots - 1);

    while (p->slots[i]) {
        const struct wanted *v = &p->wanted[p->slots[i] - 1];

        if (wh_str_eq(v->table, w->table) && wh_str_eq(v->schema, w->schema))
            break;
        i = (i + 1) & (p->n_slots - 1);
    }
    return i;
}

/* An item of an array's text. */
static wh_status add_item(struct wh_buf *b, struct wh_str s)
{
    WH_TRY(wh_buf_addc(b, b->n ? ',' : '{'));
    if (!s.n)
        return wh_buf_adds(b, "null");
    WH_TRY(wh_buf_addc(b, '"'));
    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] == '"' || s.s[i] == '\\')
            WH_TRY(wh_buf_addc(b, '\\'));
        WH_TRY(wh_buf_addc(b, s.s[i]));
    }
    return wh_buf_addc(b, '"');
}

static wh_status add_number(struct wh_buf *b, uint64_t v)
{
    return wh_buf_printf(b, "%c%llu", b->n ? ',' : '{', (unsigned long long)v);
}

/* ---- asking for them ---------------------------------------------------------------------------
 */

/* The user's own search path: ours is empty. What a log-in gets is the setting's reset value. */
#define PLACED                                                                                     \
    "(select n.oid, n.nspname, "                                                                   \
    "(select p.place from (select case when s = '$user' then current_user::text else s end as s, " \
    "place from (select pg_catalog.btrim(pg_catalog.btrim(u.s), '\"') as s, u.place from "         \
    "pg_catalog.pg_settings g, pg_catalog.unnest(pg_catalog.string_to_array(g.reset_val, ',')) "   \
    "with ordinality u(s, place) where g.name = 'search_path') x) p "                              \
    "where p.s = n.nspname limit 1) as place from pg_catalog.pg_namespace n offset 0)"

#define NAMES                                                                                      \
    "rows from (pg_catalog.unnest($1::text[]), pg_catalog.unnest($2::text[]), "                    \
    "pg_catalog.unnest($3::int[])) w(s, t, i) join "
#define SCHEMA_EXACT "n.nspname = w.s::pg_catalog.name"
#define SCHEMA_LOOSE "pg_catalog.lower(n.nspname) = pg_catalog.lower(w.s)"
#define BY_PATH(what)                                                                              \
    PLACED " n on case when w.s is null then n.place is not null else " what " end "
#define TABLE_EXACT                                                                                \
    "join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.t::pg_catalog.name"
#define TABLE_LOOSE                                                                                \
    "join pg_catalog.pg_class c on c.relnamespace = n.oid and "                                    \
    "pg_catalog.lower(c.relname) = pg_catalog.lower(w.t)"
/* 0 = written exactly so. */
#define EXACTNESS                                                                                  \
    "case when c.relname = w.t then 0 else 2 end + "                                               \
    "case when w.s is null or n.nspname = w.s then 0 else 1 end"

/* [loose][some name has no schema] */
static const struct query {
    const char *exact, *from, *order;
} queries[2][2] = {
    {{"0", NAMES "pg_catalog.pg_namespace n on " SCHEMA_EXACT " " TABLE_EXACT, " order by w.i"},
     {"0", NAMES BY_PATH(SCHEMA_EXACT) TABLE_EXACT, " order by w.i, n.place"}},
    {{EXACTNESS, NAMES "pg_catalog.pg_namespace n on " SCHEMA_LOOSE " " TABLE_LOOSE,
      " order by w.i, " EXACTNESS},
     {EXACTNESS, NAMES BY_PATH(SCHEMA_LOOSE) TABLE_LOOSE, " order by w.i, " EXACTNESS ", n.place"}},
};

struct asked {
    struct wh_buf schemas, tables, numbers;
    bool by_path;
};

static void asked_free(struct asked *a)
{
    wh_buf_free(&a->schemas);
    wh_buf_free(&a->tables);
    wh_buf_free(&a->numbers);
}

/* A longer name would be cut by its cast, and a NUL ends a text. */
static bool may_ask(const struct wanted *w, bool loose)
{
    if (!w->table.n || memchr(w->table.s, 0, w->table.n) ||
        (w->schema.n && memchr(w->schema.s, 0, w->schema.n)))
        return false;
    return loose || (w->table.n <= NAME_BYTES && w->schema.n <= NAME_BYTES);
}

static wh_status list_names(const struct pg_page *p, bool loose, struct asked *a)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct wanted *w = &p->wanted[i];

        if (p->found[i].n || !may_ask(w, loose))
            continue;
        a->by_path |= !w->schema.n;
        WH_TRY(add_item(&a->schemas, w->schema));
        WH_TRY(add_item(&a->tables, w->table));
        WH_TRY(add_number(&a->numbers, i + 1));
    }
    if (!a->numbers.n)
        return WH_OK;
    WH_TRY(wh_buf_addc(&a->schemas, '}'));
    WH_TRY(wh_buf_addc(&a->tables, '}'));
    return wh_buf_addc(&a->numbers, '}');
}

/* Rows come by name; what does not fit the question is nobody's. */
static void take_answers(struct pg_page *p, const struct pg_rows *rows)
{
    for (int r = 0; r < pg_n_rows(rows); r++) {
        int64_t i = pg_cell_i64(rows, r, T_WANTED, 0);
        struct found *f = i > 0 && (uint64_t)i <= p->n ? &p->found[i - 1] : NULL;

        if (f && f->n == 0)
            *f = (struct found){.rows = rows, .row = r, .n = 1};
        else if (f && f->rows == rows && f->row + f->n == r)
            f->n++;
    }
}

static wh_status ask(struct pg_se *se, struct pg_page *p, bool loose, struct pg_rows **ret,
                     struct wh_error *reterr)
{
    struct asked a WH_CLEANUP(asked_free) = {WH_BUF(NAMES_TEXT), WH_BUF(NAMES_TEXT),
                                             WH_BUF(NAMES_TEXT), false};
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    const struct query *q;

    if (list_names(p, loose, &a) != WH_OK)
        return no_memory(reterr);
    if (!a.numbers.n)
        return WH_OK;
    q = &queries[loose][a.by_path];
    if (pg_tables_named(&sql, q->exact, q->from, q->order) != WH_OK)
        return no_memory(reterr);
    const char *params[] = {a.schemas.p, a.tables.p, a.numbers.p};

    WH_TRY(pg_query(se->c, sql.p, 3, params, ret, reterr));
    take_answers(p, *ret);
    return WH_OK;
}

static wh_status load(struct pg_se *se, struct pg_page *p, struct wh_error *reterr)
{
    WH_TRY(ask(se, p, false, &p->exact, reterr));
    return ask(se, p, true, &p->loose, reterr);
}

/* ---- columns -----------------------------------------------------------------------------------
 */

struct numbered {
    uint32_t oid;
    size_t at;
};

static int by_oid(const void *a, const void *b)
{
    uint32_t x = ((const struct numbered *)a)->oid, y = ((const struct numbered *)b)->oid;

    return x < y ? -1 : x > y;
}

static void hand_out(struct pg_page *p, struct numbered *v, size_t n)
{
    size_t k = 0;

    qsort(v, n, sizeof *v, by_oid);
    for (int row = 0, to; row < pg_n_rows(p->columns); row = to) {
        int64_t oid = pg_cell_i64(p->columns, row, C_TABLE, 0);

        for (to = row; to < pg_n_rows(p->columns) && pg_cell_i64(p->columns, to, C_TABLE, 0) == oid;
             to++)
            continue;
        while (k < n && v[k].oid < oid)
            k++;
        for (; k < n && v[k].oid == oid; k++) { /* two names may mean one table */
            p->found[v[k].at].column = row;
            p->found[v[k].at].n_columns = to - row;
        }
    }
}

/* Columns of table `at`, and of those behind it while they are not too many. */
static wh_status load_columns(struct pg_se *se, struct pg_page *p, size_t at,
                              struct wh_error *reterr)
{
    struct wh_buf oids WH_CLEANUP(wh_buf_free) = WH_BUF(NAMES_TEXT);
    struct numbered *v WH_CLEANUP(wh_freep) = wh_alloc((p->n - at) * sizeof *v);
    int64_t columns = 0;
    size_t n = 0, i = at;

    if (!v)
        return no_memory(reterr);
    for (; i < p->n && (i == at || columns < COLUMNS_MOST); i++) {
        struct found *f = &p->found[i];
        int64_t have = f->n ? pg_cell_i64(f->rows, f->row, T_COLUMNS, 0) : 0;

        f->n_columns = 0;
        if (!f->n)
            continue;
        v[n++] = (struct numbered){(uint32_t)pg_cell_i64(f->rows, f->row, T_OID, 0), i};
        columns += have > 0 && have < COLUMNS_MOST ? have : COLUMNS_MOST;
        if (add_number(&oids, v[n - 1].oid) != WH_OK)
            return no_memory(reterr);
    }
    p->lo = p->hi = 0;
    pg_rows_freep(&p->columns);
    if (wh_buf_addc(&oids, '}') != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_columns_query(se, oids.p, &p->columns, reterr));
    hand_out(p, v, n);
    p->lo = at;
    p->hi = i;
    return WH_OK;
}

/* ---- one of them -------------------------------------------------------------------------------
 */

static wh_status not_there(const struct pg_se *se, const struct wanted *w, struct wh_error *reterr)
{
    bool schema = w->schema.n > 0;

    wh_ignore(wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "there is no table or view %.*s%s%.*s in %s",
                      WH_STR_FMT(w->schema), schema ? "." : "", WH_STR_FMT(w->table),
                      pg_database(se->c)));
    if (!schema)
        wh_error_hint(reterr,
                      "only the schemas of the search path were looked at; name the schema: "
                      "SCHEMA.\"%.*s\"",
                      WH_STR_FMT(w->table));
    return WH_E_NOT_FOUND;
}

/* Rows are sorted: exact ones first, then by the search path. Without an exact one, the only one.
 */
static wh_status choose(const struct pg_se *se, const struct found *f, const struct wanted *w,
                        struct wh_error *reterr)
{
    if (f->n == 0)
        return not_there(se, w, reterr);
    if (pg_cell_i64(f->rows, f->row, T_EXACT, 1) == 0 || f->n == 1)
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E3009",
                      "%d tables are named %.*s but for upper and lower "
                      "case",
                      f->n, WH_STR_FMT(w->table)));
    wh_error_hint(reterr, "write the name as it is, in double quotes: '\"%.*s\"'",
                  WH_STR_FMT(pg_cell(f->rows, f->row, T_NAME)));
    return WH_E_USAGE;
}

static wh_status describe_at(struct pg_se *se, struct pg_page *p, size_t at, struct pg_table *ret,
                             struct wh_error *reterr)
{
    struct found *f = &p->found[at];

    WH_TRY(choose(se, f, &p->wanted[at], reterr));
    if (at < p->lo || at >= p->hi)
        WH_TRY(load_columns(se, p, at, reterr));
    ret->arena = wh_arena_new(TABLE_ARENA);
    if (!ret->arena)
        return no_memory(reterr);
    WH_TRY(pg_table_take(f->rows, f->row, ret, reterr));
    return pg_columns_take(p->columns, f->column, f->column + f->n_columns, ret, reterr);
}

static wh_status describe_alone(struct pg_se *se, struct wanted *w, struct pg_table *ret,
                                struct wh_error *reterr)
{
    struct found found = {0};
    struct pg_page one WH_CLEANUP(page_clear) = {.wanted = w, .found = &found, .n = 1};

    WH_TRY(load(se, &one, reterr));
    return describe_at(se, &one, 0, ret, reterr);
}

wh_status pg_describe(struct pg_se *se, const struct wh_name *name, const char *schema,
                      struct pg_table *ret, struct wh_error *reterr)
{
    struct wanted w;

    memset(ret, 0, sizeof *ret);
    WH_TRY(split_name(se, name, schema, &w, reterr));
    for (int side = 0; side < 2; side++) {
        struct pg_page *p = se->ep ? se->ep->expected[side] : NULL;
        uint32_t at = p ? p->slots[slot_of(p, &w)] : 0;

        if (at)
            return describe_at(se, p, at - 1, ret, reterr);
    }
    return describe_alone(se, &w, ret, reterr);
}

/* ---- many of them ------------------------------------------------------------------------------
 */

static void forget(struct pg_page **place)
{
    if (*place)
        page_clear(*place);
    wh_free(TAKE_PTR(*place));
}

void pg_expect_nothing(struct pg_ep *ep)
{
    forget(&ep->expected[0]);
    forget(&ep->expected[1]);
}

static wh_status keep_text(struct wh_arena *a, struct wh_str *s)
{
    if (!s->n)
        return WH_OK;
    s->s = wh_arena_strndup(a, s->s, s->n);
    return s->s ? WH_OK : WH_E_NOMEM;
}

static wh_status name_page(struct pg_se *se, struct pg_page *p, const struct wh_objects *objects,
                           const char *schema)
{
    p->n = objects->n;
    for (p->n_slots = 4; p->n_slots < 2 * p->n; p->n_slots *= 2)
        continue;
    p->wanted = wh_arena_alloc(p->arena, p->n * sizeof *p->wanted);
    p->found = wh_arena_alloc(p->arena, p->n * sizeof *p->found);
    p->slots = wh_arena_alloc(p->arena, p->n_slots * sizeof *p->slots);
    if (!p->wanted || !p->found || !p->slots)
        return WH_E_NOMEM;
    for (size_t i = 0; i < p->n; i++) {
        struct wanted *w = &p->wanted[i];
        struct wh_error why;

        if (split_name(se, &objects->v[i], schema, w, &why) != WH_OK || !w->table.n) {
            *w = (struct wanted){0};
            continue;
        }
        WH_TRY(keep_text(p->arena, &w->schema));
        WH_TRY(keep_text(p->arena, &w->table));
        size_t slot = slot_of(p, w);

        if (!p->slots[slot])
            p->slots[slot] = (uint32_t)i + 1;
        else
            *w = (struct wanted){0};
    }
    return WH_OK;
}

/* One table that is locked must not hold up all others for long: then each is asked for alone. */
static wh_status load_soon(struct pg_se *se, struct pg_page *p, struct wh_error *reterr)
{
    char sql[80];
    int st;

    snprintf(sql, sizeof sql, "begin read only; set local lock_timeout = %d", LOCK_MS);
    st = pg_exec(se->c, sql, reterr);
    if (st == WH_OK)
        st = load(se, p, reterr);
    pg_rollback(se->c);
    return st;
}

wh_status pg_expect(void *endpoint, void *session, const struct wh_objects *objects,
                    const void *opts, bool targets, struct wh_error *reterr)
{
    struct pg_ep *ep = endpoint;
    struct pg_se *se = session;
    const char *schema = !opts     ? NULL
                         : targets ? ((const struct pg_to *)opts)->schema
                                   : ((const struct pg_from *)opts)->schema;
    struct pg_page *p;
    int st;

    forget(&ep->expected[targets]);
    if (objects->n == 0 || objects->n > INT32_MAX / 2)
        return WH_OK;
    p = wh_calloc(1, sizeof *p);
    if (!p)
        return no_memory(reterr);
    p->arena = wh_arena_new(PAGE_ARENA);
    st = p->arena ? name_page(se, p, objects, schema) : WH_E_NOMEM;
    st = st == WH_OK ? load_soon(se, p, reterr) : no_memory(reterr);
    if (st == WH_OK)
        ep->expected[targets] = p;
    else
        forget(&p);
    return st;
}

wh_status pg_schema_there(struct pg_se *se, const char *schema, bool *ret, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_page *p = se->ep ? se->ep->expected[1] : NULL;
    const char *params[] = {schema};
    struct known *k = p ? p->known : NULL;

    while (k && strcmp(k->schema, schema) != 0)
        k = k->next;
    *ret = k != NULL;
    if (k)
        return WH_OK;
    WH_TRY(pg_query(se->c, "select 1 from pg_catalog.pg_namespace where nspname = $1", 1, params,
                    &r, reterr));
    *ret = pg_n_rows(r) > 0;
    if (!p || !*ret)
        return WH_OK;
    k = wh_arena_alloc(p->arena, sizeof *k);
    if (!k || !(k->schema = wh_arena_strdup(p->arena, schema)))
        return no_memory(reterr);
    k->next = p->known;
    p->known = k;
    return WH_OK;
}
