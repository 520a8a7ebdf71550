/* SPDX-License-Identifier: Apache-2.0 */
/* Splits: block ranges of every table that holds rows, or ranges of a key.
 *
 * Blocks cover by themselves: ranges of one table meet, and the last has no end, so that rows that
 * came after the sizes were read are in it. Keys cover because cuts are taken from the server and
 * put in order by the server, in the column's own collation; the first range has no lower end, the
 * last no upper one and holds the NULLs. Where the cuts come from (statistics, or a sample of
 * pages) decides only how even the ranges are. Nothing is counted. */
#include "pg_scan.h"

#include <stdio.h>

#include "core/clock.h"
#include "data/number.h"

/* ---- ranges as bytes ---------------------------------------------------------------------------
 */

enum {
    HEAD = 1 + 1 + 1 + 4 + 3 * 8,
    VERSION = 1,
    NULL_TEXT = -1
};

static void put_number(uint8_t *p, uint64_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_number(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static wh_status put_text(struct wh_buf *out, struct wh_str s)
{
    uint8_t n[4];

    put_number(n, s.s ? s.n : (uint32_t)NULL_TEXT, 4);
    WH_TRY(wh_buf_add(out, n, 4));
    return s.s && s.n ? wh_buf_add(out, s.s, s.n) : WH_OK;
}

wh_status pg_range_put(const struct pg_range *r, struct wh_buf *out)
{
    uint8_t head[HEAD] = {VERSION, (uint8_t)r->method, r->has_hi};

    put_number(head + 3, r->oid, 4);
    put_number(head + 7, (uint64_t)r->lo, 8);
    put_number(head + 15, (uint64_t)r->hi, 8);
    put_number(head + 23, (uint64_t)r->skip, 8);
    wh_buf_clear(out);
    WH_TRY(wh_buf_add(out, head, sizeof head));
    WH_TRY(put_text(out, r->schema));
    WH_TRY(put_text(out, r->name));
    WH_TRY(put_text(out, r->lo_text));
    return put_text(out, r->hi_text);
}

static bool get_text(const uint8_t **p, const uint8_t *end, struct wh_str *ret)
{
    uint32_t n;

    if (end - *p < 4)
        return false;
    n = (uint32_t)get_number(*p, 4);
    *p += 4;
    *ret = (struct wh_str){0};
    if (n == (uint32_t)NULL_TEXT)
        return true;
    if (n > (size_t)(end - *p))
        return false;
    *ret = (struct wh_str){(const char *)*p, n};
    *p += n;
    return true;
}

bool pg_range_get(struct wh_bytes b, struct pg_range *ret)
{
    const uint8_t *p = b.p, *end = p + b.n;

    if (b.n < HEAD || p[0] != VERSION || !p[1] || !strchr("sck", p[1]) || p[2] > 1)
        return false;
    *ret = (struct pg_range){.method = (char)p[1],
                             .has_hi = p[2],
                             .oid = (uint32_t)get_number(p + 3, 4),
                             .lo = (int64_t)get_number(p + 7, 8),
                             .hi = (int64_t)get_number(p + 15, 8),
                             .skip = (int64_t)get_number(p + 23, 8)};
    p += HEAD;
    if (ret->lo < 0 || ret->lo > UINT32_MAX || ret->hi < 0 || ret->hi > UINT32_MAX || ret->skip < 0)
        return false;
    return get_text(&p, end, &ret->schema) && get_text(&p, end, &ret->name) &&
           get_text(&p, end, &ret->lo_text) && get_text(&p, end, &ret->hi_text) && p == end &&
           (ret->method != PG_BY_CTID || ret->name.s);
}

void pg_range_label(const struct pg_sc *sc, const struct pg_range *r, char *out, size_t size)
{
    char place[64] = "", rest[32] = "";

    if (r->name.s && sc->tree)
        snprintf(place, sizeof place, "%.*s, ", WH_STR_FMT(wh_str_clip(r->name, 48)));
    if (r->skip)
        snprintf(rest, sizeof rest, " behind row %lld", (long long)r->skip);
    if (r->method == PG_BY_KEY && sc->key) {
        struct wh_str lo = wh_str_clip(r->lo_text, 20), hi = wh_str_clip(r->hi_text, 20);

        snprintf(out, size, "%.24s%s%.*s%s%.*s%s", sc->key->name, lo.s ? " >= " : "", (int)lo.n,
                 lo.s ? lo.s : "",
                 lo.s && hi.s ? " and < "
                 : hi.s       ? " < "
                              : "",
                 (int)hi.n, hi.s ? hi.s : "", lo.s || hi.s ? "" : ": all rows");
    } else if (r->method != PG_BY_CTID || (!r->lo && !r->has_hi)) {
        snprintf(out, size, "%sall rows%s", place, rest);
    } else if (r->has_hi) {
        snprintf(out, size, "%sblocks %lld..%lld%s", place, (long long)r->lo, (long long)r->hi - 1,
                 rest);
    } else {
        snprintf(out, size, "%sblocks from %lld%s", place, (long long)r->lo, rest);
    }
}

/* ---- the SELECT --------------------------------------------------------------------------------
 */

static wh_status from_clause(const struct pg_sc *sc, const struct pg_range *r, struct wh_buf *sql)
{
    struct wh_str alias = wh_str(sc->t.name);

    if (!r->name.s)
        return wh_buf_printf(sql, " from %s", sc->from);
    /* The name of the table that was asked for is what `where` may use. */
    return sql_add(sql, " from only %i.%i as %i", &r->schema, &r->name, &alias);
}

static wh_status key_bound(const struct pg_sc *sc, const char *op, const struct wh_str *bound,
                           struct wh_buf *sql)
{
    struct wh_str name = wh_str(sc->key->name);

    return sql_add(sql, "%i %s %l::%s", &name, op, bound, sc->key->type_text);
}

static wh_status key_conditions(const struct pg_sc *sc, const struct pg_range *r, const char *glue,
                                struct wh_buf *sql)
{
    struct wh_str name = wh_str(sc->key->name);

    if (!r->lo_text.s && !r->hi_text.s)
        return WH_OK;
    WH_TRY(wh_buf_printf(sql, "%s(", glue));
    if (r->lo_text.s)
        WH_TRY(key_bound(sc, ">=", &r->lo_text, sql));
    if (r->lo_text.s && r->hi_text.s)
        WH_TRY(wh_buf_adds(sql, " and "));
    if (r->hi_text.s)
        WH_TRY(key_bound(sc, "<", &r->hi_text, sql));
    else if (!sc->key->not_null)
        WH_TRY(sql_add(sql, " or %i is null", &name));
    return wh_buf_addc(sql, ')');
}

/* Not the NULLs: they are in no range. The ends have the column's type without its length or scale:
 * a cast would round them, and 1.005 would reach as far as 1.01. */
static wh_status range_condition(const struct pg_sc *sc, const char *glue, struct wh_buf *sql)
{
    struct wh_str name = wh_str(sc->range_col->name), from = wh_str(sc->range_from),
                  to = wh_str(sc->range_to);

    return sql_add(sql, "%s(%i >= %l and %i <= %l)", glue, &name, &from, &name, &to);
}

wh_status pg_range_sql(const struct pg_sc *sc, const struct pg_range *r, bool raw,
                       struct wh_buf *sql)
{
    const char *glue = " where ";

    WH_TRY(wh_buf_printf(sql, "select %s", raw ? sc->select_raw : sc->select));
    WH_TRY(from_clause(sc, r, sql));
    if (sc->where) { /* a newline ends a comment that the user's text may end with */
        WH_TRY(wh_buf_printf(sql, "%s(%s\n)", glue, sc->where));
        glue = " and ";
    }
    if (sc->range_col) {
        WH_TRY(range_condition(sc, glue, sql));
        glue = " and ";
    }
    if (r->method == PG_BY_KEY)
        WH_TRY(key_conditions(sc, r, glue, sql));
    if (r->method == PG_BY_CTID && (r->lo || r->has_hi)) {
        WH_TRY(wh_buf_printf(sql, "%sctid >= '(%lld,0)'", glue, (long long)r->lo));
        if (r->has_hi)
            WH_TRY(wh_buf_printf(sql, " and ctid < '(%lld,0)'", (long long)r->hi));
    }
    if (sc->limit > 0)
        WH_TRY(wh_buf_printf(sql, " limit %lld", (long long)sc->limit));
    return r->skip ? wh_buf_printf(sql, " offset %lld", (long long)r->skip) : WH_OK;
}

/* ---- leaves ------------------------------------------------------------------------------------
 */

/* %s: a partition that is being detached is no longer read through its parent. */
#define LEAVES                                                                                     \
    "with recursive tree(oid) as (select $1::oid union select i.inhrelid from pg_inherits i join " \
    "tree on i.inhparent = tree.oid%s) select c.oid, n.nspname, c.relname, c.relkind, case when "  \
    "c.relkind in ('r', 'm') then pg_relation_size(c.oid) / "                                      \
    "current_setting('block_size')::int else 0 end, case when c.relkind in ('r', 'm') then "       \
    "pg_table_size(c.oid) else 0 end, case when c.reltuples < 0 then -1 else c.reltuples::bigint " \
    "end, has_table_privilege(c.oid, 'select'), row_security_active($1::oid) or "                  \
    "row_security_active(c.oid) from tree "                                                        \
    "join pg_class c on c.oid = tree.oid join pg_namespace n on n.oid = c.relnamespace where "     \
    "c.relkind <> 'p' order by c.oid limit %d"

static wh_status read_leaf(const struct pg_rows *r, int i, struct pg_leaves *l)
{
    struct pg_leaf *leaf = &l->v[i];
    struct wh_str schema = pg_cell(r, i, 1), name = pg_cell(r, i, 2), kind = pg_cell(r, i, 3);

    leaf->oid = (uint32_t)pg_cell_i64(r, i, 0, 0);
    leaf->schema = wh_arena_strndup(l->arena, schema.s, schema.n);
    leaf->name = wh_arena_strndup(l->arena, name.s, name.n);
    leaf->kind = kind.n ? *kind.s : 'r';
    leaf->blocks = pg_cell_i64(r, i, 4, 0);
    leaf->bytes = pg_cell_i64(r, i, 5, 0);
    leaf->rows = pg_cell_i64(r, i, 6, -1);
    l->granted = l->granted && pg_cell_bool(r, i, 7);
    l->may = l->may && l->granted && !pg_cell_bool(r, i, 8);
    l->bytes += leaf->bytes;
    if (leaf->rows < 0 && leaf->blocks > 0)
        l->rows = -1;
    else if (l->rows >= 0 && leaf->rows > 0)
        l->rows += leaf->rows;
    return leaf->schema && leaf->name ? WH_OK : WH_E_NOMEM;
}

void pg_leaves_free(struct pg_leaves *l)
{
    wh_arena_free(TAKE_PTR(l->arena));
    *l = (struct pg_leaves){0};
}

wh_status pg_leaves_list(struct pg_conn *c, uint32_t oid, struct pg_leaves *ret,
                         struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_leaves l WH_CLEANUP(pg_leaves_free) = {.listed = true, .may = true, .granted = true};
    char sql[1200], number[16];
    const char *params[1] = {number};
    int n, st = WH_OK;

    snprintf(number, sizeof number, "%u", oid);
    snprintf(sql, sizeof sql, LEAVES,
             pg_server_version(c) >= 140000 ? " and not i.inhdetachpending" : "",
             PG_LEAVES_MAX + 1);
    WH_TRY(pg_query(c, sql, 1, params, &r, reterr));
    n = pg_n_rows(r);
    if (n > PG_LEAVES_MAX)
        return wh_fail(reterr, WH_E_LIMIT, "E4015", "a table of more than %d partitions",
                       PG_LEAVES_MAX);
    l.arena = wh_arena_new(64 << 20);
    l.v = l.arena ? wh_arena_alloc(l.arena, (size_t)(n + 1) * sizeof *l.v) : NULL;
    if (!l.v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for partitions");
    for (int i = 0; i < n && st == WH_OK; i++)
        st = read_leaf(r, i, &l);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for partitions");
    l.n = (size_t)n;
    *ret = l;
    l = (struct pg_leaves){0};
    return WH_OK;
}

wh_status pg_leaves_alone(const struct pg_table *t, struct pg_leaves *ret, struct wh_error *reterr)
{
    struct pg_leaf *leaf = wh_arena_alloc(t->arena, sizeof *leaf);

    if (!leaf)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for partitions");
    *leaf = (struct pg_leaf){.oid = t->oid,
                             .schema = t->schema,
                             .name = t->name,
                             .kind = t->kind,
                             .blocks = t->pages > 0 ? t->pages : 0,
                             .bytes = t->bytes,
                             .rows = t->tuples < 0 ? -1 : t->tuples};
    *ret = (struct pg_leaves){.listed = true,
                              .alone = true,
                              .v = leaf,
                              .n = 1,
                              .bytes = leaf->bytes,
                              .rows = leaf->rows < 0 && leaf->blocks > 0 ? -1
                                      : leaf->rows > 0                   ? leaf->rows
                                                                         : 0,
                              .granted = t->granted,
                              .may = t->granted && !t->hides};
    return WH_OK;
}

/* The list as the snapshot has it: what was attached since would be read in vain, what was detached
 * would be missing. The session's own transaction enters the snapshot for that one query. */
static wh_status leaves_now(struct pg_sc *sc, struct pg_se *se, struct wh_error *reterr)
{
    uint64_t instant = pg_instant(sc->ep);
    bool visit = instant && !se->in_snapshot, heirs = true;
    int st;

    if (sc->leaves.listed && instant == sc->leaves_at)
        return WH_OK;
    if (sc->leaves.alone && instant)
        WH_TRY(pg_has_heirs(se, instant, sc->t.oid, &heirs, reterr));
    if (!heirs) {
        sc->leaves_at = instant;
        return WH_OK;
    }
    pg_leaves_free(&sc->leaves);
    if (visit)
        WH_TRY(pg_enter(se, reterr));
    st = pg_leaves_list(se->c, sc->t.oid, &sc->leaves, reterr);
    if (visit) {
        pg_rollback(se->c);
        se->in_snapshot = false;
    }
    if (st == WH_OK)
        sc->leaves_at = instant;
    return st;
}

static const struct pg_leaf *leaf_from(const struct pg_sc *sc, uint32_t oid)
{
    for (size_t i = 0; i < sc->leaves.n; i++)
        if (sc->leaves.v[i].oid >= oid)
            return &sc->leaves.v[i];
    return NULL;
}

/* The range behind the one that was drawn last. */
static bool next_blocks(const struct pg_sc *sc, const struct pg_range *last, struct pg_range *ret,
                        const struct pg_leaf **ret_leaf)
{
    const struct pg_leaf *leaf = leaf_from(sc, !last          ? 0
                                               : last->has_hi ? last->oid
                                                              : last->oid + 1);

    if (!leaf || (last && last->oid == UINT32_MAX && !last->has_hi))
        return false;
    *ret = (struct pg_range){.method = leaf->kind == 'f' ? PG_BY_STREAM : PG_BY_CTID,
                             .oid = leaf->oid,
                             .schema = wh_str(leaf->schema),
                             .name = wh_str(leaf->name)};
    if (last && last->has_hi && last->oid == leaf->oid)
        ret->lo = last->hi;
    ret->hi = ret->lo + sc->step;
    ret->has_hi = leaf->kind != 'f' && ret->hi < leaf->blocks;
    if (!ret->has_hi)
        ret->hi = 0;
    *ret_leaf = leaf;
    return true;
}

static void weigh(const struct pg_range *r, const struct pg_leaf *leaf, struct wh_split *ret)
{
    int64_t blocks = r->has_hi ? r->hi - r->lo : leaf->blocks - r->lo;
    double share = leaf->blocks > 0 ? (double)(blocks > 0 ? blocks : 1) / (double)leaf->blocks : 0;

    if (share > 1)
        share = 1;
    ret->est_bytes = (int64_t)(share * (double)leaf->bytes);
    ret->est_rows = leaf->rows >= 0 ? (int64_t)(share * (double)leaf->rows) : -1;
}

/* ---- keys --------------------------------------------------------------------------------------
 */

/* The first column of a valid whole index, the primary key's before others; or the one asked for,
 * with an index or without. */
#define KEYS                                                                                       \
    "select a.attname, case when a.attcollation <> 0 then (select format(' collate %I.%I', "       \
    "n.nspname, o.collname) from pg_collation o join pg_namespace n on n.oid = o.collnamespace "   \
    "where o.oid = a.attcollation) else '' end, x.indrelid is not null from pg_attribute a left "  \
    "join lateral (select i.indrelid, i.indisprimary, i.indisunique, i.indnkeyatts from pg_index " \
    "i join pg_class k on k.oid = i.indexrelid join pg_am m on m.oid = k.relam where i.indrelid "  \
    "= "                                                                                           \
    "a.attrelid and i.indkey[0] = a.attnum and i.indisvalid and i.indpred is null and m.amname = " \
    "'btree' order by i.indisprimary desc, i.indisunique desc, i.indnkeyatts limit 1) x on true "  \
    "where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped and (a.attname = $2 or "   \
    "($2 is null and x.indisunique)) order by x.indisprimary desc, x.indisunique desc, "           \
    "x.indnkeyatts, a.attnum limit 1"

const struct pg_col *pg_column_named(const struct pg_table *t, struct wh_str name)
{
    for (int i = 0; i < t->n_cols; i++)
        if (wh_str_eqs(name, t->cols[i].name))
            return &t->cols[i];
    return NULL;
}

wh_status pg_split_key(struct pg_sc *sc, struct pg_conn *c, const char *by, bool *ret_index,
                       struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char number[16];
    const char *params[2] = {number, by};

    sc->key = NULL;
    *ret_index = false;
    snprintf(number, sizeof number, "%u", sc->t.oid);
    if (by && !pg_column_named(&sc->t, wh_str(by)))
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3002", "split.by: %s has no column \"%s\"",
                       sc->t.name, by);
    WH_TRY(pg_query(c, KEYS, 2, params, &r, reterr));
    if (pg_n_rows(r) == 0)
        return WH_OK;
    sc->key = pg_column_named(&sc->t, pg_cell(r, 0, 0));
    sc->key_collate = wh_arena_strndup(sc->t.arena, pg_cell(r, 0, 1).s, pg_cell(r, 0, 1).n);
    *ret_index = pg_cell_bool(r, 0, 2);
    return sc->key_collate ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
}

/* Of the values in $1 (text[]), sorted as the server sorts that column, those that begin the 2nd to
 * last of n equal shares. */
static wh_status quantiles(const struct pg_sc *sc, struct pg_conn *c, const char *values, int64_t n,
                           struct pg_rows **ret, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    const char *params[3] = {values, sc->range_col ? sc->range_from : NULL, sc->range_to};
    const char *type = sc->key->type_text, *collate = sc->key_collate;

    if (sql_add(&sql,
                "select array_agg(v::text order by rn), count(*) from (select v, row_number() over "
                "(order by v%s) as rn, count(*) over () as c from (select distinct u::%s%s as v "
                "from unnest($1::text[]) u where u is not null and ($2::text is null or (u::%s%s "
                ">= $2::text::%s%s and u::%s%s <= $3::text::%s%s))) d) s where rn > 1 and (rn - 1) "
                "* %d "
                "/ c <> (rn - 2) * %d / c",
                collate, type, collate, type, collate, type, collate, type, collate, type, collate,
                n, n) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    return pg_query(c, sql.p, 3, params, ret, reterr);
}

/* Values of the key that stand for all: the bounds of the statistics' buckets. */
static wh_status from_statistics(const struct pg_sc *sc, struct pg_conn *c, struct pg_rows **ret,
                                 struct wh_error *reterr)
{
    const char *params[3] = {sc->t.schema, sc->t.name, sc->key->name};

    return pg_query(c,
                    "select histogram_bounds::text::text[] from pg_stats where schemaname = $1 and "
                    "tablename = $2 and attname = $3 and histogram_bounds is not null order by "
                    "inherited desc limit 1",
                    3, params, ret, reterr);
}

/* Or, where there are none, a few hundred pages anywhere in the table. */
static wh_status from_sample(const struct pg_sc *sc, struct pg_conn *c, struct pg_rows **ret,
                             struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str name = wh_str(sc->key->name);
    int64_t blocks = sc->t.pages > 0 ? sc->t.pages : 1;
    double percent = 100.0 * 300 / (double)blocks;
    char share[32];

    snprintf(share, sizeof share, "%.6f", percent > 100 ? 100.0 : percent);
    if (sql_add(&sql,
                "select array_agg(k) from (select %i::text as k from %s tablesample system (%s) "
                "limit 20000) s",
                &name, sc->from, share) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    return pg_query(c, sql.p, 0, NULL, ret, reterr);
}

static bool can_be_sampled(const struct pg_sc *sc)
{
    return strchr("rpm", sc->t.kind) && !sc->query;
}

static wh_status make_cuts(struct pg_sc *sc, struct pg_conn *c, struct wh_error *reterr)
{
    struct pg_rows *values WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_rows *cuts WH_CLEANUP(pg_rows_freep) = NULL;
    char *text WH_CLEANUP(wh_freep) = NULL;
    struct wh_str all = {0};

    if (sc->cuts_made)
        return WH_OK;
    if (sc->n_wanted > 1)
        WH_TRY(from_statistics(sc, c, &values, reterr));
    if (values && pg_n_rows(values) == 0 && can_be_sampled(sc)) {
        pg_rows_free(TAKE_PTR(values));
        WH_TRY(from_sample(sc, c, &values, reterr));
    }
    if (values && pg_n_rows(values) > 0)
        all = pg_cell(values, 0, 0);
    if (all.s) {
        text = wh_strndup(all.s, all.n);
        if (!text)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for splits");
        WH_TRY(quantiles(sc, c, text, sc->n_wanted, &cuts, reterr));
        sc->n_cuts = pg_cell_i64(cuts, 0, 1, 0);
        all = pg_cell(cuts, 0, 0);
        sc->cuts = all.s ? wh_strndup(all.s, all.n) : NULL;
        if (all.s && !sc->cuts)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for splits");
    }
    sc->cuts_made = true;
    return WH_OK;
}

/* The first cut above `lo`, by the server's order; s == NULL: none. */
static wh_status next_cut(struct pg_sc *sc, struct pg_conn *c, struct wh_str lo,
                          struct pg_rows **ret, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    char *text WH_CLEANUP(wh_freep) = lo.s ? wh_strndup(lo.s, lo.n) : NULL;
    const char *params[2] = {sc->cuts, text}, *type = sc->key->type_text;
    const char *collate = sc->key_collate;

    if (sql_add(
            &sql,
            "select u from unnest($1::text[]) u where $2::text is null or u::%s%s > $2::text::%s%s "
            "order by u::%s%s limit 1",
            type, collate, type, collate, type, collate) != WH_OK ||
        (lo.s && !text))
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    return pg_query(c, sql.p, 2, params, ret, reterr);
}

/* ---- drawing -----------------------------------------------------------------------------------
 */

static wh_status lend(struct pg_sc *sc, const struct pg_range *r, struct wh_split *ret,
                      struct wh_bytes *ret_cursor, struct wh_error *reterr)
{
    int st = pg_range_put(r, &sc->token);

    if (st == WH_E_LIMIT)
        return wh_fail(reterr, WH_E_LIMIT, "E4015", "a key of %s is too long to be cut by",
                       sc->t.name);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a split");
    ret->token = (struct wh_bytes){sc->token.p, sc->token.n};
    pg_range_label(sc, r, ret->label, sizeof ret->label);
    *ret_cursor = ret->token;
    return WH_OK;
}

static wh_status draw_key(struct pg_sc *sc, struct pg_se *se, const struct pg_range *last,
                          struct wh_split *ret, struct wh_bytes *ret_cursor,
                          struct wh_error *reterr)
{
    struct pg_rows *cut WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_range r = {.method = PG_BY_KEY};

    WH_TRY(make_cuts(sc, se->c, reterr));
    if (last)
        r.lo_text = last->hi_text;
    if (sc->n_cuts > 0) {
        WH_TRY(next_cut(sc, se->c, r.lo_text, &cut, reterr));
        if (pg_n_rows(cut) > 0)
            r.hi_text = pg_cell(cut, 0, 0);
    }
    r.has_hi = r.hi_text.s != NULL;
    if (sc->t.est_rows >= 0)
        ret->est_rows = sc->t.est_rows / (sc->n_cuts + 1);
    if (sc->t.est_bytes >= 0)
        ret->est_bytes = sc->t.est_bytes / (sc->n_cuts + 1);
    return lend(sc, &r, ret, ret_cursor, reterr);
}

static wh_status draw_stream(struct pg_sc *sc, struct wh_split *ret, struct wh_bytes *ret_cursor,
                             struct wh_error *reterr)
{
    struct pg_range r = {.method = PG_BY_STREAM};

    ret->est_rows = sc->t.est_rows;
    if (sc->limit > 0 && (ret->est_rows < 0 || ret->est_rows > sc->limit))
        ret->est_rows = sc->limit;
    ret->est_bytes = sc->limit > 0 ? -1 : sc->t.est_bytes;
    return lend(sc, &r, ret, ret_cursor, reterr);
}

wh_status pg_split_next(void *self, void *session, const struct wh_bytes *cursor,
                        struct wh_split *ret, struct wh_bytes *ret_cursor, struct wh_error *reterr)
{
    struct pg_sc *sc = self;
    struct pg_se *se = session;
    const struct pg_leaf *leaf = NULL;
    struct pg_range last, r;
    bool begun = cursor && cursor->n;

    *ret = (struct wh_split){.est_rows = -1, .est_bytes = -1};
    if (begun && !pg_range_get(*cursor, &last))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored cursor is none of ours");
    pg_use(se->c, sc->ctx);
    if (sc->method == PG_BY_KEY)
        return begun && !last.has_hi
                   ? WH_END
                   : draw_key(sc, se, begun ? &last : NULL, ret, ret_cursor, reterr);
    if (sc->method == PG_BY_STREAM)
        return begun ? WH_END : draw_stream(sc, ret, ret_cursor, reterr);
    WH_TRY(leaves_now(sc, se, reterr));
    if (!next_blocks(sc, begun ? &last : NULL, &r, &leaf))
        return WH_END;
    weigh(&r, leaf, ret);
    return lend(sc, &r, ret, ret_cursor, reterr);
}
