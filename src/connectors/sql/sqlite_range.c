/* SPDX-License-Identifier: Apache-2.0 */
/* Splits as bytes, and the SELECT that reads one. Rows come in the order of the rowid or, in tables
 * without one, of the primary key, so that the rest behind any row can be named. */
#include "sqlite_scan.h"

enum {
    HEAD = 26, /* version, flags, lo, hi, limit */
    HAS_LO = 1,
    HAS_HI = 2,
    BEHIND = 4, /* key values follow: storage class, length, bytes each */
    FIRST_BIND = 3
};

static void put64(uint8_t *p, int64_t v)
{
    for (int i = 0; i < 8; i++)
        p[i] = (uint8_t)((uint64_t)v >> (8 * i));
}

static int64_t get64(const uint8_t *p)
{
    uint64_t v = 0;

    for (int i = 0; i < 8; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return (int64_t)v;
}

/* ---- tokens ------------------------------------------------------------------------------------
 */

wh_status lite_range_put(const struct lite_range *r, struct wh_buf *out)
{
    uint8_t head[HEAD] = {1};

    head[1] =
        (uint8_t)((r->has_lo ? HAS_LO : 0) | (r->has_hi ? HAS_HI : 0) | (r->behind.n ? BEHIND : 0));
    put64(head + 2, r->lo);
    put64(head + 10, r->hi);
    put64(head + 18, r->limit);
    wh_buf_clear(out);
    WH_TRY(wh_buf_add(out, head, sizeof head));
    return r->behind.n ? wh_buf_add(out, r->behind.p, r->behind.n) : WH_OK;
}

bool lite_range_get(struct wh_bytes b, struct lite_range *ret)
{
    const uint8_t *p = b.p;

    if (b.n < HEAD || p[0] != 1 || (b.n > HEAD) != ((p[1] & BEHIND) != 0))
        return false;
    *ret = (struct lite_range){.has_lo = p[1] & HAS_LO,
                               .has_hi = p[1] & HAS_HI,
                               .lo = get64(p + 2),
                               .hi = get64(p + 10),
                               .limit = get64(p + 18),
                               .behind = {p + HEAD, b.n - HEAD}};
    return true;
}

void lite_range_label(const struct lite_sc *sc, const struct lite_range *r, char *out, size_t size)
{
    const char *id = sc->t.rowid ? sc->t.rowid : "row";

    if (r->behind.n)
        snprintf(out, size, "the rest, by %.60s", sc->first[0]);
    else if (r->has_lo && r->has_hi)
        snprintf(out, size, "%.40s %lld..%lld", id, (long long)r->lo + 1, (long long)r->hi);
    else if (r->has_lo)
        snprintf(out, size, "%.40s > %lld", id, (long long)r->lo);
    else if (r->has_hi)
        snprintf(out, size, "%.40s <= %lld", id, (long long)r->hi);
    else
        snprintf(out, size, "all rows");
}

/* ---- keys --------------------------------------------------------------------------------------
 */

wh_status lite_range_key(const struct lite_sc *sc, sqlite3_stmt *s, struct wh_buf *out)
{
    for (int i = 0; i < sc->n_first; i++) {
        uint8_t head[9] = {(uint8_t)sqlite3_column_type(s, i)};
        double f;

        switch (head[0]) {
        case SQLITE_INTEGER:
            put64(head + 1, sqlite3_column_int64(s, i));
            WH_TRY(wh_buf_add(out, head, 9));
            break;
        case SQLITE_FLOAT:
            f = sqlite3_column_double(s, i);
            memcpy(head + 1, &f, 8);
            WH_TRY(wh_buf_add(out, head, 9));
            break;
        case SQLITE_NULL:
            return WH_E_LIMIT; /* no order behind a NULL; such keys cannot be */
        default: {
            const void *p = head[0] == SQLITE_TEXT ? (const void *)sqlite3_column_text(s, i)
                                                   : sqlite3_column_blob(s, i);
            int n = sqlite3_column_bytes(s, i);

            if (!p && n)
                return WH_E_NOMEM;
            put64(head + 1, n);
            WH_TRY(wh_buf_add(out, head, 9));
            WH_TRY(wh_buf_add(out, n ? p : "", (size_t)n));
        }
        }
    }
    return WH_OK;
}

/* Binds what lite_range_key wrote. False: it is not that. */
static bool bind_key(const struct lite_sc *sc, sqlite3_stmt *s, struct wh_bytes b)
{
    const uint8_t *p = b.p, *end = p + b.n;
    double f;

    for (int i = 0; i < sc->n_first; i++) {
        int64_t v;
        int type;

        if (end - p < 9)
            return false;
        type = *p;
        v = get64(p + 1);
        memcpy(&f, p + 1, 8);
        p += 9;
        if (type == SQLITE_INTEGER) {
            sqlite3_bind_int64(s, FIRST_BIND + i, v);
        } else if (type == SQLITE_FLOAT) {
            sqlite3_bind_double(s, FIRST_BIND + i, f);
        } else {
            if (v < 0 || v > end - p)
                return false;
            if (type == SQLITE_TEXT)
                sqlite3_bind_text64(s, FIRST_BIND + i, (const char *)p, (uint64_t)v, SQLITE_STATIC,
                                    SQLITE_UTF8);
            else
                sqlite3_bind_blob64(s, FIRST_BIND + i, p, (uint64_t)v, SQLITE_STATIC);
            p += v;
        }
    }
    return p == end;
}

/* The primary key of a table without rowid; not if a part of it descends. */
static wh_status key_order(struct lite_sc *sc, struct lite_se *se, struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    bool descends = false;
    int rc;

    sc->first = wh_arena_alloc(sc->t.arena, (size_t)(sc->t.n_cols + 1) * sizeof *sc->first);
    if (!sc->first)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
    WH_TRY(lite_prepare(se,
                        "select x.name, x.\"desc\" from pragma_index_list(?1) l, "
                        "pragma_index_xinfo(l.name) x where l.origin = 'pk' and x.key order by "
                        "x.seqno",
                        &s, reterr));
    lite_bind_str(s, 1, wh_str(sc->t.name));
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && sc->n_first < sc->t.n_cols) {
        struct wh_str name = lite_text_at(s, 0);

        descends |= sqlite3_column_int(s, 1) != 0;
        sc->first[sc->n_first] = name.s ? wh_arena_strndup(sc->t.arena, name.s, name.n) : NULL;
        if (!sc->first[sc->n_first++])
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
    }
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the key of %s",
                         sc->t.name);
    if (descends || sc->n_first + sc->n_sel > 2000)
        sc->n_first = 0;
    return WH_OK;
}

wh_status lite_order(struct lite_sc *sc, struct lite_se *se, struct wh_error *reterr)
{
    if (sc->rowid_first) {
        sc->first = &sc->t.rowid;
        sc->n_first = 1;
        return WH_OK;
    }
    return sc->t.without_rowid ? key_order(sc, se, reterr) : WH_OK;
}

/* ---- the SELECT --------------------------------------------------------------------------------
 */

static wh_status first_columns(const struct lite_sc *sc, struct wh_buf *sql)
{
    for (int i = 0; i < sc->n_first; i++) {
        struct wh_str name = wh_str(sc->first[i]);

        WH_TRY(sql_add(sql, i ? ", %i" : "%i", &name));
    }
    return WH_OK;
}

/* `order by` would take the name of a computed column for its value. */
static wh_status first_numbers(const struct lite_sc *sc, struct wh_buf *sql)
{
    for (int i = 0; i < sc->n_first; i++)
        WH_TRY(wh_buf_printf(sql, "%s%d", i ? ", " : "", i + 1));
    return WH_OK;
}

static wh_status behind_key(const struct lite_sc *sc, const char *glue, struct wh_buf *sql)
{
    WH_TRY(sql_add(sql, "%s(", glue));
    WH_TRY(first_columns(sc, sql));
    for (int i = 0; i < sc->n_first; i++)
        WH_TRY(wh_buf_printf(sql, i ? ", ?%d" : ") > (?%d", FIRST_BIND + i));
    return wh_buf_addc(sql, ')');
}

static wh_status conditions(const struct lite_sc *sc, const struct lite_range *r,
                            struct wh_buf *sql)
{
    const char *glue = " where ";
    struct wh_str rowid = wh_str(sc->t.rowid);

    if (sc->where) { /* a newline ends a comment that the user's text may end with */
        WH_TRY(sql_add(sql, "%s(%s\n)", glue, sc->where));
        glue = " and ";
    }
    if (sc->has_range) {
        WH_TRY(sql_add(sql, "%s%i between %d and %d", glue, &rowid, sc->range_lo, sc->range_hi));
        glue = " and ";
    }
    if (r->behind.n) {
        WH_TRY(behind_key(sc, glue, sql));
        glue = " and ";
    }
    if (r->has_lo) {
        WH_TRY(sql_add(sql, "%s%i > ?1", glue, &rowid));
        glue = " and ";
    }
    return r->has_hi ? sql_add(sql, "%s%i <= ?2", glue, &rowid) : WH_OK;
}

static wh_status select_text(const struct lite_sc *sc, const struct lite_range *r,
                             struct wh_buf *sql)
{
    WH_TRY(wh_buf_adds(sql, "select "));
    WH_TRY(first_columns(sc, sql));
    for (int i = 0; i < sc->n_sel; i++) {
        WH_TRY(i + sc->n_first ? wh_buf_adds(sql, ", ") : WH_OK);
        WH_TRY(lite_selected(&sc->t.cols[sc->sel[i]], sql));
    }
    WH_TRY(sql_add(sql, " from %s", sc->from));
    WH_TRY(conditions(sc, r, sql));
    if (sc->n_first) {
        WH_TRY(wh_buf_adds(sql, " order by "));
        WH_TRY(sc->n_computed ? first_numbers(sc, sql) : first_columns(sc, sql));
    }
    return r->limit ? sql_add(sql, " limit %d", r->limit) : WH_OK;
}

wh_status lite_select(const struct lite_sc *sc, struct lite_se *se, const struct lite_range *r,
                      sqlite3_stmt **ret, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int st = select_text(sc, r, &sql);

    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for a statement");
    WH_TRY(lite_prepare(se, sql.p, ret, reterr));
    if (!sqlite3_stmt_readonly(*ret)) {
        lite_finalizep(ret);
        return wh_fail(reterr, WH_E_USAGE, "E4009", "a source's SQL must only read");
    }
    if (r->has_lo)
        sqlite3_bind_int64(*ret, 1, r->lo);
    if (r->has_hi)
        sqlite3_bind_int64(*ret, 2, r->hi);
    if (r->behind.n && !bind_key(sc, *ret, r->behind))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored split does not fit the key of %s",
                       sc->t.name);
    return WH_OK;
}
