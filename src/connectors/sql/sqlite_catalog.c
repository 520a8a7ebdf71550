/* SPDX-License-Identifier: Apache-2.0 */
/* What a database holds: tables and views with their columns, keys and estimates.
 *
 * All of it comes from sqlite_schema and the table-valued pragmas; no table is counted. Our own
 * tables, SQLite's (sqlite_...) and the shadow tables of virtual tables are never shown. */
#include "sqlite.h"

#include <stdlib.h>
#include <string.h>

enum {
    TABLE_ARENA = 64 << 20
};

/* NULL is kept as "". */
static char *keep(struct wh_arena *a, struct wh_str v)
{
    return wh_arena_strndup(a, v.s ? v.s : "", v.n);
}

/* ---- names -------------------------------------------------------------------------------------
 */

/* "main"."t", or a table whose name itself holds the dot. */
static wh_status name_text(const struct wh_name *n, struct wh_arena *a, struct wh_str *ret,
                           struct wh_error *reterr)
{
    char *joined;

    if (n->n == 1) {
        *ret = n->part[0];
        return WH_OK;
    }
    if (n->n == 2 && wh_str_ieqs(n->part[0], "main")) {
        *ret = n->part[1];
        return WH_OK;
    }
    if (n->n != 2)
        return wh_fail(reterr, WH_E_USAGE, "E1020",
                       "a table of a SQLite file has one name (or main and a name)");
    joined = wh_arena_printf(a, "%.*s.%.*s", WH_STR_FMT(n->part[0]), WH_STR_FMT(n->part[1]));
    if (!joined)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a name");
    *ret = wh_str(joined);
    return WH_OK;
}

wh_status lite_resolve(struct lite_se *se, const struct wh_name *name, struct wh_arena *a,
                       const char **ret, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_str text, found;
    int rc;

    *ret = NULL;
    WH_TRY(name_text(name, a, &text, reterr));
    if (!se->db)
        return WH_OK;
    WH_TRY(lite_prepare(se,
                        "select name from sqlite_schema where type in ('table', 'view') and "
                        "name = ?1 collate nocase order by name <> ?1",
                        &s, reterr));
    lite_bind_str(s, 1, text);
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return WH_OK;
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the schema");
    found = lite_text_at(s, 0);
    *ret = keep(a, found);
    if (!*ret)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a name");
    return WH_OK;
}

/* ---- columns -----------------------------------------------------------------------------------
 */

/* Columns of one statement's rows: name, type, notnull, dflt_value, pk, hidden from `at` on. */
static wh_status add_column(struct lite_table *t, int *cap, sqlite3_stmt *s, int at)
{
    struct lite_col *c;
    struct wh_str name = lite_text_at(s, at), decl = lite_text_at(s, at + 1);
    struct wh_str dflt = lite_text_at(s, at + 3);
    int hidden = sqlite3_column_int(s, at + 5);

    if (hidden == 1) /* hidden columns of virtual tables are arguments */
        return WH_OK;
    if (t->n_cols == *cap) {
        int more = *cap ? *cap * 2 : 16;
        struct lite_col *grown = wh_arena_alloc(t->arena, (size_t)more * sizeof *grown);

        if (!grown)
            return WH_E_NOMEM;
        if (t->n_cols)
            memcpy(grown, t->cols, (size_t)t->n_cols * sizeof *grown);
        t->cols = grown;
        *cap = more;
    }
    c = &t->cols[t->n_cols];
    c->name = keep(t->arena, name);
    c->decl = keep(t->arena, decl);
    if (sqlite3_column_type(s, at + 3) != SQLITE_NULL)
        c->dflt = keep(t->arena, dflt);
    if (!c->name || !c->decl)
        return WH_E_NOMEM;
    c->not_null = sqlite3_column_int(s, at + 2) != 0;
    c->pk = sqlite3_column_int(s, at + 4);
    c->generated = hidden >= 2;
    c->affinity = lite_affinity_of(c->decl);
    c->promise = lite_type_of(c->decl, &c->type);
    c->any = !*c->decl || (t->strict && wh_str_ieqs(wh_str(c->decl), "any"));
    if (c->any) /* elsewhere ANY is a word like others, and means NUMERIC */
        c->affinity = LITE_A_BLOB;
    /* Of a primary key only the rowid itself and tables without one promise a value. */
    c->type.nullable = !c->not_null && !(c->pk && (t->without_rowid || t->strict));
    t->n_cols++;
    return WH_OK;
}

/* The rowid is reached by any of three names, unless a column has taken it. */
static void find_rowid(struct lite_table *t)
{
    static const char *const names[] = {"rowid", "_rowid_", "oid"};
    int pks = 0, pk = -1;

    t->alias = -1;
    for (int i = 0; i < t->n_cols; i++)
        if (t->cols[i].pk) {
            pks++;
            pk = i;
        }
    if (t->kind != WH_OBJ_TABLE || t->is_virtual || t->without_rowid)
        return;
    /* Only the very word INTEGER makes the column the rowid (and a quirk: not "primary key desc",
     * which has an index of its own; see pk_is_alias). */
    if (pks == 1 && wh_str_ieqs(wh_str(t->cols[pk].decl), "integer"))
        t->alias = pk;
    for (int n = 0; n < 3 && !t->rowid; n++) {
        bool taken = false;

        for (int i = 0; i < t->n_cols && !taken; i++)
            taken = wh_str_ieqs(wh_str(t->cols[i].name), names[n]);
        if (!taken)
            t->rowid = names[n];
    }
    if (t->alias >= 0) {
        t->rowid = t->cols[t->alias].name;
        t->cols[t->alias].type.nullable = false;
    }
}

/* An INTEGER PRIMARY KEY that is no alias has an automatic index. */
static wh_status pk_is_alias(struct lite_se *se, struct lite_table *t, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    if (t->alias < 0)
        return WH_OK;
    WH_TRY(lite_prepare(se, "select 1 from pragma_index_list(?1) where origin = 'pk'", &s, reterr));
    lite_bind_str(s, 1, wh_str(t->name));
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return WH_OK;
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the indexes");
    t->cols[t->alias].type.nullable = !t->cols[t->alias].not_null;
    t->alias = -1;
    t->rowid = NULL;
    for (int i = 0; i < t->n_cols; i++)
        t->cols[i].pk = -t->cols[i].pk; /* find_rowid must not take it again */
    find_rowid(t);
    for (int i = 0; i < t->n_cols; i++)
        t->cols[i].pk = -t->cols[i].pk;
    return WH_OK;
}

static void set_kind(struct lite_table *t, struct wh_str type, bool wr, bool strict)
{
    t->kind = wh_str_eqs(type, "view") ? WH_OBJ_VIEW : WH_OBJ_TABLE;
    t->is_virtual = wh_str_eqs(type, "virtual");
    t->without_rowid = wr;
    t->strict = strict;
}

/* ---- one table ---------------------------------------------------------------------------------
 */

static wh_status describe_head(struct lite_se *se, struct wh_str name, struct lite_table *t,
                               struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_str text;
    int rc;

    WH_TRY(lite_prepare(se,
                        /* The pragma's own argument: without it every table is a row, and a
                         * database of thousands of tables costs the square of them. */
                        "select l.type, l.wr, l.strict, (select m.sql from sqlite_schema m "
                        "where m.name = l.name and m.type in ('table', 'view')), l.name "
                        "from pragma_table_list(?1) l where l.schema = 'main' and l.name = ?1",
                        &s, reterr));
    lite_bind_str(s, 1, name);
    rc = sqlite3_step(s);
    if (rc == SQLITE_DONE)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E3001", "there is no table or view \"%.*s\"",
                       WH_STR_FMT(name));
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the schema");
    set_kind(t, lite_text_at(s, 0), sqlite3_column_int(s, 1), sqlite3_column_int(s, 2));
    text = lite_text_at(s, 3);
    t->sql = keep(t->arena, text);
    text = lite_text_at(s, 4);
    t->name = keep(t->arena, text);
    return t->sql && t->name ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory");
}

static wh_status describe_columns(struct lite_se *se, struct lite_table *t, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc, cap = 0;

    WH_TRY(lite_prepare(se,
                        "select name, type, \"notnull\", dflt_value, pk, hidden "
                        "from pragma_table_xinfo(?1) order by cid",
                        &s, reterr));
    lite_bind_str(s, 1, wh_str(t->name));
    while ((rc = sqlite3_step(s)) == SQLITE_ROW)
        if (add_column(t, &cap, s, 0) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for columns");
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the columns of %s",
                         t->name);
    find_rowid(t);
    return pk_is_alias(se, t, reterr);
}

/* Rows: ANALYZE's count if there is one, else the span of rowids (an upper bound). Both ends of the
 * rowids cost two descents of the tree. */
wh_status lite_estimate(struct lite_se *se, struct lite_table *t, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_str name = wh_str(t->name), rowid = wh_str(t->rowid);
    int64_t has_stat;
    int rc;

    t->est_rows = t->est_bytes = -1;
    WH_TRY(lite_number(se, "select 1 from sqlite_schema where name = 'sqlite_stat1'", 0, &has_stat,
                       reterr));
    if (has_stat) {
        sqlite3_stmt *st WH_CLEANUP(lite_finalizep) = NULL;

        WH_TRY(lite_prepare(
            se, "select max(cast(stat as integer)) from sqlite_stat1 where tbl = ?1", &st, reterr));
        lite_bind_str(st, 1, name);
        if (sqlite3_step(st) == SQLITE_ROW && sqlite3_column_type(st, 0) != SQLITE_NULL)
            t->est_rows = sqlite3_column_int64(st, 0);
    }
    if (!t->rowid)
        return WH_OK;
    if (sql_add(&sql, "select (select min(%i) from %i), (select max(%i) from %i)", &rowid, &name,
                &rowid, &name) != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
    WH_TRY(lite_prepare(se, sql.p, &s, reterr));
    rc = sqlite3_step(s);
    if (rc != SQLITE_ROW)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot look at %s", t->name);
    t->empty = sqlite3_column_type(s, 0) == SQLITE_NULL;
    t->lo = sqlite3_column_int64(s, 0);
    t->hi = sqlite3_column_int64(s, 1);
    if (t->empty)
        t->est_rows = 0;
    else if (t->est_rows < 0 && (uint64_t)t->hi - (uint64_t)t->lo < INT64_MAX)
        t->est_rows = (int64_t)((uint64_t)t->hi - (uint64_t)t->lo) + 1;
    return WH_OK;
}

wh_status lite_describe(struct lite_se *se, struct wh_str name, struct lite_table *ret,
                        struct wh_error *reterr)
{
    memset(ret, 0, sizeof *ret);
    ret->alias = -1;
    if (!se->db)
        return wh_fail(reterr, WH_E_NOT_FOUND, "E2012", "there is no database %s", se->ep->path);
    ret->arena = wh_arena_new(TABLE_ARENA);
    if (!ret->arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a table's description");
    WH_TRY(describe_head(se, name, ret, reterr));
    ret->autoincrement = strstr(ret->sql, "AUTOINCREMENT") || strstr(ret->sql, "autoincrement");
    return describe_columns(se, ret, reterr);
}

void lite_table_free(struct lite_table *t)
{
    wh_arena_free(TAKE_PTR(t->arena));
}

/* ---- schemas -----------------------------------------------------------------------------------
 */

static wh_status column_schema(const struct lite_col *c, int64_t i, struct ArrowSchema *ret)
{
    const char *meta[16];
    char key[16];
    int n = 0;

    if (*c->decl) {
        meta[n++] = WH_META_TYPE;
        meta[n++] = c->decl;
    }
    if (c->pk > 0) {
        snprintf(key, sizeof key, "%d", c->pk);
        meta[n++] = WH_META_KEY;
        meta[n++] = key;
    }
    if (c->dflt && !c->generated) {
        meta[n++] = WH_META_DEFAULT;
        meta[n++] = c->dflt;
    }
    if (c->generated) {
        meta[n++] = WH_META_GENERATED;
        meta[n++] = "always";
    }
    if (c->guessed) {
        meta[n++] = WH_META_GUESSED;
        meta[n++] = "1";
    }
    if (c->expr) {
        meta[n++] = WH_META_COMPUTED;
        meta[n++] = c->varies ? "varies" : "same";
    }
    meta[n] = NULL;
    return wh_schema_set(ret, i, c->name, &c->type, meta);
}

wh_status lite_table_schema(const struct lite_table *t, struct ArrowSchema *ret)
{
    int st = wh_schema_init(ret, t->n_cols);

    for (int i = 0; i < t->n_cols && st == WH_OK; i++)
        st = column_schema(&t->cols[i], i, ret);
    if (st != WH_OK)
        wh_schema_release(ret);
    return st;
}

/* ---- all of them -------------------------------------------------------------------------------
 */

struct listing {
    struct wh_arena *arena;
    struct wh_str *names;
    size_t n, cap;
};

static wh_status list_add(struct listing *l, struct wh_str name)
{
    if (l->n == l->cap) {
        size_t more = l->cap ? l->cap * 2 : 64;
        struct wh_str *grown = wh_arena_alloc(l->arena, more * sizeof *grown);

        if (!grown)
            return WH_E_NOMEM;
        if (l->n)
            memcpy(grown, l->names, l->n * sizeof *grown);
        l->names = grown;
        l->cap = more;
    }
    l->names[l->n].s = keep(l->arena, name);
    l->names[l->n].n = name.n;
    return l->names[l->n++].s ? WH_OK : WH_E_NOMEM;
}

static bool wanted(const struct wh_pattern *p, struct wh_str table)
{
    struct wh_name name = {.part = {table}, .n = 1};

    if (wh_str_starts(table, "sqlite_"))
        return false;
    if (!p)
        return true;
    if (p->prefix.n && (table.n < p->prefix.n || memcmp(table.s, p->prefix.s, p->prefix.n) != 0))
        return false;
    return !p->match || p->match(p, &name);
}

static wh_status list_tables(struct lite_se *se, const struct wh_pattern *p, struct listing *l,
                             struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc, st = WH_OK;

    if (p && p->exact) {
        const char *name = NULL;

        WH_TRY(lite_resolve(se, p->exact, l->arena, &name, reterr));
        if (name)
            st = list_add(l, wh_str(name));
        return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "no memory for a list of tables");
    }
    WH_TRY(lite_prepare(se,
                        "select name from pragma_table_list where schema = 'main' "
                        "and type in ('table', 'view', 'virtual') order by name",
                        &s, reterr));
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && st == WH_OK)
        if (wanted(p, lite_text_at(s, 0)))
            st = list_add(l, lite_text_at(s, 0));
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a list of tables");
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot list the tables");
    return WH_OK;
}

static wh_status list_one(struct lite_se *se, struct wh_str name, wh_catalog_fn each, void *arg,
                          struct wh_error *reterr)
{
    struct lite_table t WH_CLEANUP(lite_table_free) = {0};
    struct wh_error why = {0};
    struct ArrowSchema schema = {0};
    struct wh_object o = {.name = {.part = {name}, .n = 1}, .est_rows = -1, .est_bytes = -1};
    int st = lite_describe(se, name, &t, &why);

    if (st != WH_OK && st != WH_E_REMOTE) {
        if (reterr)
            *reterr = why;
        return st;
    }
    o.kind = t.is_virtual ? WH_OBJ_OTHER : t.kind;
    if (st == WH_OK) { /* else: a view over something that is gone; its scan will say so */
        WH_TRY(lite_estimate(se, &t, reterr));
        st = lite_table_schema(&t, &schema);
        if (st != WH_OK)
            return wh_fail(reterr, st, "E8002", "no memory for the columns of %s", t.name);
        o.columns = &schema;
        o.est_rows = t.est_rows;
    }
    st = sql_is_ours(name, o.columns) ? WH_OK : each(arg, &o);
    wh_schema_release(&schema);
    return st;
}

wh_status lite_catalog(void *ep, void *session, const struct wh_pattern *p, wh_catalog_fn each,
                       void *arg, struct wh_error *reterr)
{
    struct lite_se *se = session;
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(TABLE_ARENA);
    struct listing l = {.arena = a};

    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a list of tables");
    if (!se->db) /* a destination that does not exist yet holds nothing */
        return WH_OK;
    WH_TRY(list_tables(se, p, &l, reterr));
    for (size_t i = 0; i < l.n; i++)
        WH_TRY(list_one(se, l.names[i], each, arg, reterr));
    return WH_OK;
}
