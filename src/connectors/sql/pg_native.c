/* SPDX-License-Identifier: Apache-2.0 */
/* New columns whose source is PostgreSQL get the source's very type: always if it is built in, and
 * if somebody made it (enum, domain, composite, range, a type of an extension) where the
 * destination has one of the same name and shape. Else the values are kept as text, or in the type
 * below the domain, and the plan says which statement would make the type. */
#include "pg_catalog.h"
#include "pg_target.h"

enum {
    MONEY = 790,
    WARN_MOST = 480 /* bytes of one statement in a warning */
};

/* Types whose values name objects of their own database: elsewhere the name means something else,
 * or nothing. regproc, regoperator ... aclitem, pg_node_tree. */
static bool names_objects(uint32_t oid)
{
    static const uint32_t oids[] = {24,   194,  1033, 2202, 2203, 2204, 2205,
                                    2206, 3734, 3769, 4089, 4096, 4191};

    for (size_t i = 0; i < sizeof oids / sizeof *oids; i++)
        if (oids[i] == oid)
            return true;
    return false;
}

const char *pg_travels_as(const struct pg_dest *d)
{
    return d->wire == PG_W_NUMERIC ? "numeric" : "text";
}

/* ---- the type by its name ----------------------------------------------------------------------
 */

enum cell {
    N_NAME,
    N_BASE,
    N_TYPMOD,
    N_TYPTYPE,
    N_FACTS,
    N_ELEM = N_FACTS,
    N_PLAIN,
    N_SHAPE,
};

/* $1, $2: names as format_type() writes them, $3 an extension and $4 a name in its schema; the
 * first that is there. */
static const char find_sql[] = PG_DOMAINS
    "select w.name, coalesce(b.base, t.oid), coalesce(b.typmod, -1), coalesce(bt.typtype, "
    "t.typtype), " PG_TYPE_FACTS(
        "-1") "from (values ($1::text, 1), ($2::text, 2), ("
              "(select pg_catalog.quote_ident(n.nspname) || '.' || $4::text "
              "from pg_catalog.pg_extension x join pg_catalog.pg_namespace n "
              "on n.oid = x.extnamespace where x.extname = $3::text), 3)) "
              "w(name, n) join pg_catalog.pg_type t on t.oid = pg_catalog.to_regtype(w.name) "
              "left join base b on b.oid = t.oid left join pg_catalog.pg_type bt on bt.oid = "
              "b.base " PG_TYPE_JOINS "order by w.n";

/* What stands behind the schema of a name: mood[] of hard.mood[]; NULL if it has none. */
static const char *behind_schema(const char *name)
{
    bool inside = false;

    for (; *name && (inside || *name != '('); name++) {
        if (*name == '"')
            inside = !inside;
        else if (*name == '.' && !inside)
            return name + 1;
    }
    return NULL;
}

static const char *meta(const struct pg_fl *fl, const struct ArrowSchema *f, const char *key)
{
    struct wh_str v = {0};

    return wh_meta_get(f, key, &v) && v.n ? wh_arena_strndup(fl->arena, v.s, v.n) : NULL;
}

static bool same(const char *a, struct wh_str b)
{
    return a ? wh_str_eqs(b, a) : b.n == 0;
}

/* ---- warnings ----------------------------------------------------------------------------------
 */

static wh_status warn(struct pg_fl *fl, const struct pg_dest *d, const char *native,
                      const char *what, const char *make)
{
    size_t start = fl->warn.n;

    if (start > fl->warn.max / 2) /* thousands of columns: the rest is in the columns' types */
        return WH_OK;
    WH_TRY(wh_buf_printf(&fl->warn, "column \"%s\" becomes %s: %s %s%s%.*s", d->name, d->decl, what,
                         native, make ? ": " : "", WARN_MOST, make ? make : ""));
    for (size_t i = start; i < fl->warn.n; i++) /* a label may hold a line's end */
        if (fl->warn.p[i] == '\n')
            fl->warn.p[i] = ' ';
    return wh_buf_addc(&fl->warn, '\n');
}

/* ---- one column --------------------------------------------------------------------------------
 */

/* Does the type hold what the engine delivers? Then the column is of it. */
static bool take_type(const struct pg_fl *fl, const struct pg_rows *r, int row,
                      const struct ArrowSchema *accept, struct pg_dest *d)
{
    struct wh_str name = pg_cell(r, row, N_NAME), plain = pg_cell(r, row, N_PLAIN);
    struct wh_str shape = pg_cell(r, row, N_SHAPE);
    struct pg_col c = {.not_null = !(accept->flags & ARROW_FLAG_NULLABLE)};
    struct wh_type t;

    c.base_oid = c.oid = (uint32_t)pg_cell_i64(r, row, N_BASE, 0);
    c.typmod = (int32_t)pg_cell_i64(r, row, N_TYPMOD, -1);
    c.typtype = *pg_cell(r, row, N_TYPTYPE).s;
    pg_type_of(&c);
    const char *decl = wh_arena_strndup(fl->arena, name.s, name.n);

    if (wh_type_of(accept, &t, NULL) != WH_OK || !wh_type_equal(&c.type, &t) || name.n >= PG_DECL)
        return false;
    d->plain = wh_arena_strndup(fl->arena, plain.s, plain.n);
    if (!d->plain || !decl)
        return false;
    d->decl = decl;
    d->wire = c.wire;
    d->cast = c.cast;
    d->base_oid = c.base_oid;
    d->shape = shape.n ? wh_arena_strndup(fl->arena, shape.s, shape.n) : NULL;
    return true;
}

static wh_status find_type(struct pg_fl *fl, struct pg_se *se, const char *native,
                           const char *shape, struct pg_rows **ret, struct wh_error *reterr)
{
    static const char of[] = " of extension ";
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str schema = wh_str(fl->schema);
    const char *name = behind_schema(native), *params[] = {native, NULL, NULL, name};
    const char *extension = shape ? strstr(shape, of) : NULL;

    if (name) {
        if (sql_add(&b, "%i.%s", &schema, name) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a type's name");
        params[1] = b.p;
    }
    if (extension)
        params[2] = extension + strlen(of);
    return pg_query(se->c, find_sql, 4, params, ret, reterr);
}

static wh_status native_column(struct pg_fl *fl, struct pg_se *se, const struct ArrowSchema *source,
                               struct ArrowSchema *accept, struct pg_dest *d,
                               struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *native = meta(fl, source, WH_META_TYPE), *shape = meta(fl, source, WH_META_SHAPE);
    const char *make = meta(fl, source, WH_META_MAKE), *why = "the destination has no type";
    int st;

    WH_TRY(find_type(fl, se, native, shape, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        uint32_t oid = (uint32_t)pg_cell_i64(r, i, N_BASE, 0);

        if (names_objects(oid) || names_objects((uint32_t)pg_cell_i64(r, i, N_ELEM, 0))) {
            why = "its values name objects of their own database, as";
            break;
        }
        if (*pg_cell(r, i, N_TYPTYPE).s == 'p') {
            why = "no column can be of type";
            break;
        }
        if (!same(shape, pg_cell(r, i, N_SHAPE))) {
            why = shape && strstr(shape, "amounts as ")
                      ? "money is written in another way at the destination (lc_monetary), also in"
                      : "the destination has another type";
            continue;
        }
        if (take_type(fl, r, i, accept, d)) {
            st = wh_meta_set(accept, WH_META_TYPE, d->decl);
            return st == WH_OK ? st : wh_fail(reterr, st, "E8002", "no memory for a column");
        }
    }
    return warn(fl, d, native, why, make) == WH_OK
               ? WH_OK
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a warning");
}

wh_status pg_native_types(struct pg_fl *fl, struct pg_se *se, const struct wh_target *io,
                          struct wh_error *reterr)
{
    for (int i = 0; i < fl->n_dest; i++) {
        const struct ArrowSchema *source = io->source->children[i];
        struct wh_str system = {0}, native = {0};
        struct pg_dest *d = &fl->dest[i];

        if ((fl->existed && !fl->recreate && !d->added) ||
            !wh_meta_get(source, WH_META_SYSTEM, &system) || !wh_str_eqs(system, "postgresql") ||
            !wh_meta_get(source, WH_META_TYPE, &native) || wh_str_eqs(native, d->decl))
            continue;
        WH_TRY(native_column(fl, se, source, fl->accept.children[i], d, reterr));
    }
    return WH_OK;
}

/* ---- money -------------------------------------------------------------------------------------
 */

wh_status pg_native_money(struct pg_fl *fl, struct pg_se *se, struct wh_error *reterr)
{
    int64_t decimals = -1;

    for (int i = 0; i < fl->n_dest; i++) {
        struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

        if (fl->dest[i].base_oid != MONEY)
            continue;
        if (decimals < 0) {
            WH_TRY(pg_query(se->c, "select pg_catalog.scale('0'::money::numeric)", 0, NULL, &r,
                            reterr));
            decimals = pg_cell_i64(r, 0, 0, 0);
        }
        fl->dest[i].scale = (int)decimals;
        fl->checks = true;
    }
    return WH_OK;
}
