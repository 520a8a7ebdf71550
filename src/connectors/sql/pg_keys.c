/* SPDX-License-Identifier: Apache-2.0 */
/* By what rows meet. Which keys are the same is the server's word: types have equalities of their
 * own (citext), which are not found by name under our empty search path, and collations call texts
 * equal that differ. */
#include "pg_catalog.h"
#include "pg_target.h"

enum {
    PG_TEXT_OID = 25,
    PG_VARCHAR_OID = 1043,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the keys of a table");
}

static wh_status keep_cell(struct pg_fl *fl, const struct pg_rows *r, int row, int column,
                           const char **ret)
{
    struct wh_str text = pg_cell(r, row, column);

    *ret = NULL;
    if (!text.s)
        return WH_OK;
    *ret = wh_arena_strndup(fl->arena, text.s, text.n);
    return *ret ? WH_OK : WH_E_NOMEM;
}

/* An operator by name and schema, as SQL: ours to write where it is built in. */
#define EQUAL(op, schema)                                                                          \
    "case when " schema ".nspname = 'pg_catalog' then '=' else 'operator(' || "                    \
    "quote_ident(" schema ".nspname) || '.' || " op ".oprname || ')' end"

/* ---- the key of the mode -----------------------------------------------------------------------
 */

enum {
    K_EQUAL,
    K_COLLATE,
    K_EXACT,
    K_BASE
};

/* $1 type, $2 table (NULL: it is made), $3 column. */
static const char key_sql[] = PG_DOMAINS "select " EQUAL(
    "op",
    "np") ", case when co.oid <> t.typcollation then "
          "quote_ident(cn.nspname) || '.' || quote_ident(co.collname) end, "
          "coalesce((to_jsonb(co) ->> 'collisdeterministic')::bool, true), bt.oid "
          "from pg_type t left join base b on b.oid = t.oid "
          "join pg_type bt on bt.oid = coalesce(b.base, t.oid) "
          "left join pg_attribute a on a.attrelid = to_regclass($2) and a.attname = $3 and not "
          "a.attisdropped "
          "left join pg_collation co on co.oid = coalesce(a.attcollation, t.typcollation) "
          "left join pg_namespace cn on cn.oid = co.collnamespace "
          "left join pg_opclass oc on oc.opcintype = bt.oid and oc.opcdefault and oc.opcmethod = "
          "403 "
          "left join pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amoplefttype = oc.opcintype "
          "and "
          "ao.amoprighttype = oc.opcintype and ao.amopstrategy = 3 "
          "left join pg_operator op on op.oid = ao.amopopr "
          "left join pg_namespace np on np.oid = op.oprnamespace "
          "where t.oid = to_regtype($1)";

static wh_status ask_key(struct pg_fl *fl, struct pg_se *se, struct pg_dest *d,
                         struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {d->decl, fl->existed && !fl->recreate ? fl->name : NULL, d->name};

    WH_TRY(pg_query(se->c, key_sql, 3, params, &r, reterr));
    if (pg_n_rows(r) == 0)
        return WH_OK;
    if (keep_cell(fl, r, 0, K_EQUAL, &d->equal) != WH_OK ||
        keep_cell(fl, r, 0, K_COLLATE, &d->collate) != WH_OK)
        return no_memory(reterr);
    d->folds = !pg_cell_bool(r, 0, K_EXACT) || (d->equal && strcmp(d->equal, "=") != 0);
    if (!d->base_oid)
        d->base_oid = (uint32_t)pg_cell_i64(r, 0, K_BASE, 0);
    return WH_OK;
}

wh_status pg_keys_look(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    for (int i = 0; i < fl->n_dest; i++)
        if (fl->dest[i].key && (fl->dest[i].wire == PG_W_TEXT || fl->dest[i].cast))
            WH_TRY(ask_key(fl, se, &fl->dest[i], reterr));
    return WH_OK;
}

static bool is_int(enum wh_kind k)
{
    return k == WH_K_I8 || k == WH_K_I16 || k == WH_K_I32 || k == WH_K_I64 || k == WH_K_U8 ||
           k == WH_K_U16 || k == WH_K_U32;
}

/* Values that differ at the source differ here. */
static bool keeps_apart(const struct pg_dest *d, const struct ArrowSchema *source,
                        const struct ArrowSchema *accept)
{
    struct wh_type from, to;
    struct wh_str word = {"", 0};

    if (d->folds || wh_meta_get(source, WH_META_LOSSY, &word) ||
        wh_type_of(source, &from, NULL) != WH_OK || wh_type_of(accept, &to, NULL) != WH_OK)
        return false;
    if (is_int(from.kind) && is_int(to.kind))
        return true;
    if (from.kind != to.kind || from.unit != to.unit || from.zoned != to.zoned)
        return false;
    if (to.kind == WH_K_UTF8)
        return !d->cast && (d->base_oid == PG_TEXT_OID || d->base_oid == PG_VARCHAR_OID);
    if (to.kind == WH_K_DECTEXT) /* text that differs and is the same number: not at PostgreSQL */
        return wh_meta_get(source, WH_META_SYSTEM, &word) && wh_str_eqs(word, "postgresql");
    return true;
}

bool pg_keys_once(const struct pg_fl *fl, const struct wh_target *io)
{
    if (!sql_by_key(fl->mode))
        return true;
    for (int i = 0; i < fl->n_dest; i++)
        if (fl->dest[i].key &&
            !keeps_apart(&fl->dest[i], io->source->children[i], fl->accept.children[i]))
            return false;
    return sql_unique_at_source(io, fl->keys, fl->n_keys);
}

/* ---- delete-insert by key ----------------------------------------------------------------------
 */

/* The key need not be unique on either side. A NULL in it is a value like others, else a second run
 * would leave such rows twice; "=" knows no NULL, so there is one delete for each pattern of NULLs
 * that the stage has: none, nearly always. nulls: '1' for each delivered column of the key that is
 * NULL in both ("01"). */
static wh_status delete_like(const struct pg_fl *fl, const char *stage, const char *nulls,
                             struct wh_buf *b)
{
    struct wh_buf same WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    bool any = false;

    WH_TRY(sql_add(b, PG_DELETE "%s t where ", fl->name));
    for (int i = 0, k = 0; i < fl->n_dest; i++) {
        const struct pg_dest *d = &fl->dest[i];
        struct wh_str name = wh_str(d->name);

        if (!d->key)
            continue;
        if (nulls[k++] == '1') {
            WH_TRY(sql_add(b, any ? " and t.%i is null" : "t.%i is null", &name));
            any = true;
            WH_TRY(sql_add(&same, same.n ? " and r.%i is null" : "r.%i is null", &name));
            continue;
        }
        WH_TRY(sql_add(&same, same.n ? " and t.%i %s r.%i" : "t.%i %s r.%i", &name,
                       d->equal ? d->equal : "=", &name));
        if (d->collate)
            WH_TRY(sql_add(&same, " collate %s", d->collate));
    }
    return sql_add(b, "%sexists (select 1 from %s r where %s)", any ? " and " : "", stage, same.p);
}

/* As many as there are columns, and a NUL. */
static char *no_nulls(const struct pg_fl *fl)
{
    char *p = wh_calloc(fl->n_keys + 1, 1);

    if (p)
        memset(p, '0', fl->n_keys);
    return p;
}

wh_status pg_replaced_probe(struct pg_se *se, const struct pg_fl *fl, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    char *none WH_CLEANUP(wh_freep) = no_nulls(fl);

    /* Before there is a stage its columns are those of the table. */
    if (!none || wh_buf_adds(&b, "explain (costs off) ") != WH_OK ||
        delete_like(fl, fl->name, none, &b) != WH_OK)
        return no_memory(reterr);
    return pg_exec(se->c, b.p, reterr);
}

static wh_status patterns(const struct pg_fl *fl, struct wh_buf *b)
{
    bool any = false;

    WH_TRY(wh_buf_adds(b, "select distinct concat("));
    for (int i = 0; i < fl->n_dest; i++) {
        struct wh_str name = wh_str(fl->dest[i].name);

        if (!fl->dest[i].key)
            continue;
        WH_TRY(sql_add(b, any ? ", (r.%i is null)::int" : "(r.%i is null)::int", &name));
        any = true;
    }
    return sql_add(b, ") from %s r order by 1", fl->stage_name);
}

wh_status pg_replaced_script(struct pg_se *se, const struct pg_fl *fl, struct sql_script *s,
                             struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char *nulls WH_CLEANUP(wh_freep) = no_nulls(fl);

    if (!nulls || patterns(fl, &b) != WH_OK)
        return no_memory(reterr);
    if (se)
        WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    for (int i = 0; i < (se ? pg_n_rows(r) : 1); i++) {
        if (se)
            snprintf(nulls, fl->n_keys + 1, "%.*s", WH_STR_FMT(pg_cell(r, i, 0)));
        if (delete_like(fl, fl->stage_name, nulls, &s->b) != WH_OK || sql_script_end(s) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}

/* Rows of other tables that go with deleted ones do not come back with those that are inserted. */
wh_status pg_replaced_cascades(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char oid[16];
    const char *params[1] = {oid};

    if (fl->mode != WH_MODE_DELETE_INSERT || !fl->existed || fl->recreate || !fl->o->triggers)
        return WH_OK;
    snprintf(oid, sizeof oid, "%u", fl->now.oid);
    WH_TRY(pg_query(se->c,
                    "select string_agg(conrelid::regclass || ' (on delete ' || case confdeltype "
                    "when 'c' then 'cascade' when 'n' then 'set null' else 'set default' end || "
                    "')', ', ') from pg_catalog.pg_constraint where contype = 'f' and confrelid = "
                    "$1::oid and confdeltype in ('c', 'n', 'd')",
                    1, params, &r, reterr));
    struct wh_str who = pg_cell(r, 0, 0);

    if (!who.n)
        return WH_OK;
    if (!fl->replace_keys)
        return wh_buf_printf(&fl->warn, "deleting changes other tables: %.*s\n", WH_STR_FMT(who)) ==
                       WH_OK
                   ? WH_OK
                   : no_memory(reterr);
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1061",
                     "rows of %s cannot be replaced by key: deleting them changes other tables, "
                     "which inserting does not undo: %.*s",
                     fl->name, WH_STR_FMT(who));

    wh_error_hint(reterr,
                  "take --mode replace where the key is unique, --to triggers=false (foreign "
                  "keys do nothing then), or say it in full: --replace-where SQL");
    return st;
}

/* ---- all unique keys of a table ----------------------------------------------------------------
 */

enum {
    U_INDEX,
    U_NAME,
    U_NOT_NULL,
    U_NULLS_EQUAL,
    U_EQUAL,
    U_COLLATE
};

static const char unique_sql[] =
    "select i.indexrelid, a.attname, a.attnotnull, "
    "coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::bool, false), " EQUAL(
        "op", "np") ", case when co.oid <> a.attcollation then quote_ident(cn.nspname) || '.' || "
                    "quote_ident(co.collname) end "
                    "from pg_index i cross join unnest(i.indkey::int2[]) with ordinality k(n, o) "
                    "join pg_attribute a on a.attrelid = i.indrelid and a.attnum = k.n "
                    "join pg_opclass oc on oc.oid = i.indclass[k.o - 1] "
                    "left join pg_collation co on co.oid = i.indcollation[k.o - 1] "
                    "left join pg_namespace cn on cn.oid = co.collnamespace "
                    "join pg_amop ao on ao.amopfamily = oc.opcfamily and ao.amoplefttype = "
                    "oc.opcintype and ao.amoprighttype = oc.opcintype and ao.amopstrategy = 3 "
                    "join pg_operator op on op.oid = ao.amopopr "
                    "join pg_namespace np on np.oid = op.oprnamespace "
                    "where i.indrelid = to_regclass($1) and i.indisunique and i.indpred is null "
                    "and i.indexprs is null and k.o <= i.indnkeyatts order by i.indexrelid, k.o";

static int delivered(const struct pg_fl *fl, struct wh_str name)
{
    for (int i = 0; i < fl->n_dest; i++)
        if (!fl->dest[i].computed && wh_str_eqs(name, fl->dest[i].name))
            return i;
    return -1;
}

/* Rows [from, to) are the columns of one index; those that nobody delivers are not compared. */
static wh_status take_unique(struct pg_fl *fl, const struct pg_rows *r, int from, int to)
{
    struct pg_unique *u = &fl->uniques[fl->n_uniques];

    u->cols = wh_arena_alloc(fl->arena, (size_t)(to - from) * sizeof *u->cols);
    if (!u->cols)
        return WH_E_NOMEM;
    u->n = 0;
    u->nulls_equal = pg_cell_bool(r, from, U_NULLS_EQUAL);
    u->never_free = true;
    for (int i = from; i < to; i++) {
        struct pg_unique_col *c = &u->cols[u->n];

        c->dest = delivered(fl, pg_cell(r, i, U_NAME));
        if (c->dest < 0)
            continue;
        WH_TRY(keep_cell(fl, r, i, U_EQUAL, &c->equal));
        WH_TRY(keep_cell(fl, r, i, U_COLLATE, &c->collate));
        u->never_free &= pg_cell_bool(r, i, U_NOT_NULL);
        u->n++;
    }
    u->never_free |= u->nulls_equal;
    fl->n_uniques += u->n > 0;
    return WH_OK;
}

wh_status pg_keys_all(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {fl->name};
    int n;

    if (fl->mode != WH_MODE_INSERT_IGNORE || !fl->existed || fl->recreate)
        return WH_OK;
    WH_TRY(pg_query(se->c, unique_sql, 1, params, &r, reterr));
    n = pg_n_rows(r);
    fl->uniques = wh_arena_alloc(fl->arena, (size_t)(n + 1) * sizeof *fl->uniques);
    if (!fl->uniques)
        return no_memory(reterr);
    for (int from = 0, to; from < n; from = to) {
        for (to = from + 1;
             to < n && pg_cell_i64(r, to, U_INDEX, 0) == pg_cell_i64(r, from, U_INDEX, 0);)
            to++;
        if (take_unique(fl, r, from, to) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}
