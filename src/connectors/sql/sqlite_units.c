/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of markers. Ours is wherry_unit; write.marker may name another one, of the same columns.
 * Which there are is looked up, not remembered: closing a run, giving one up and rebuilding a state
 * begin with the file alone. wherry_run and wherry_target never move: by them runs find each other.
 */
#include "sqlite_target.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a table of markers");
}

/* Its columns as "run,flow,..", in their order; empty: there is no such table. */
static wh_status columns_of(struct lite_se *se, struct wh_str table, struct wh_buf *ret,
                            struct wh_error *reterr)
{
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(lite_prepare(se, "select name from pragma_table_info(?1) order by cid", &s, reterr));
    lite_bind_str(s, 1, table);
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct wh_str name = lite_text_at(s, 0);

        if ((ret->n && wh_buf_addc(ret, ',') != WH_OK) || wh_buf_add(ret, name.s, name.n) != WH_OK)
            return no_memory(reterr);
    }
    return rc == SQLITE_DONE ? WH_OK
                             : lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002",
                                         "cannot read the columns of the marker table");
}

static wh_status not_possible(struct wh_str name, const char *why, struct wh_error *reterr)
{
    wh_ignore(wh_fail(reterr, WH_E_USAGE, "E3013", "\"%.*s\" cannot hold the markers: %s",
                      WH_STR_FMT(name), why));
    if (reterr)
        wh_error_hint(reterr, "another name for --marker (write.marker), or none: ours beside the "
                              "target");
    return WH_E_USAGE;
}

wh_status lite_units_look(struct lite_fl *fl, struct lite_se *se, const struct wh_target *io,
                          struct wh_error *reterr)
{
    struct wh_buf there WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str name;

    if (fl->existed && sql_is_marker_table(SQL_NAMES(fl->now.cols, fl->now.n_cols)))
        return wh_fail(reterr, WH_E_USAGE, "E3013", "\"%s\" is a table of our markers", fl->table);
    fl->units = "wherry_unit";
    if (!io->marker || io->marker->n == 0 || fl->marker_off)
        return WH_OK;
    name = io->marker->part[io->marker->n - 1];
    if (io->marker->n > 1)
        return not_possible(name, "a SQLite file has no schemas", reterr);
    if (wh_str_ieqs(name, "wherry_unit"))
        return WH_OK;
    if (sql_is_own(name) || wh_str_ieqs(name, fl->table) ||
        (name.n >= 7 && wh_str_ieqs((struct wh_str){name.s, 7}, "sqlite_")))
        return not_possible(name, "it is the target, or a name of our own or of SQLite", reterr);
    if (!wh_utf8_valid(name.s, name.n) || memchr(name.s, 0, name.n))
        return not_possible(name, "it is no valid text", reterr);
    if (se->db)
        WH_TRY(columns_of(se, name, &there, reterr));
    if (there.n && strcmp(there.p, SQL_MARKER_LIST) != 0)
        return not_possible(name, "it is a table of other columns", reterr);
    fl->units = wh_arena_strndup(fl->arena, name.s, name.n);
    return fl->units && sql_name_add(fl->ep->ctx, &fl->ep->lock, &fl->ep->units, fl->units) == WH_OK
               ? WH_OK
               : no_memory(reterr);
}

wh_status lite_units_make(struct lite_se *se, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);

    for (const struct sql_named *u = se->ep->units; u; u = u->next) {
        struct wh_str name = wh_str(u->name);

        wh_buf_clear(&b);
        if (sql_add(&b, "create table if not exists %i" LITE_MARKER_TABLE, &name) != WH_OK)
            return no_memory(reterr);
        WH_TRY(lite_exec(se, b.p, reterr));
    }
    return WH_OK;
}

/* Names, each ended by a NUL: what is done with them may write. */
static wh_status list(struct lite_se *se, struct wh_buf *ret, struct wh_error *reterr)
{
    static const char sql[] =
        "select m.name from sqlite_schema m where m.type = 'table' and (m.name = 'wherry_unit' or "
        "m.sql like '%generation%attempt%epoch%seed%' and (select group_concat(c.name) from "
        "(select "
        "name from pragma_table_info(m.name) order by cid) c) = '" SQL_MARKER_LIST
        "' and (select group_concat(k.name) from (select name from pragma_table_info(m.name) where "
        "pk order by pk) k) = 'run,flow,generation,unit') order by m.name";
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    int rc;

    WH_TRY(lite_prepare(se, sql, &s, reterr));
    while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
        struct wh_str name = lite_text_at(s, 0);

        if (wh_buf_add(ret, name.s, name.n) != WH_OK || wh_buf_addc(ret, 0) != WH_OK)
            return no_memory(reterr);
    }
    return rc == SQLITE_DONE ? WH_OK
                             : lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002",
                                         "cannot list the tables of markers");
}

wh_status lite_units_each(struct lite_se *se, lite_units_fn each, void *arg,
                          struct wh_error *reterr)
{
    struct wh_buf names WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);

    WH_TRY(list(se, &names, reterr));
    for (size_t at = 0; at < names.n; at += strlen(names.p + at) + 1)
        WH_TRY(each(arg, se, names.p + at, reterr));
    return WH_OK;
}
