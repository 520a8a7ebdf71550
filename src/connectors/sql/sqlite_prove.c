/* SPDX-License-Identifier: Apache-2.0 */
/* What a statement left undone without a word: a trigger that says RAISE(IGNORE) drops a row, and
 * SQLite calls that success. Inside our transaction nobody else writes, so counts are exact. */
#include "sqlite_target.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
}

wh_status lite_has_triggers(struct lite_se *se, const char *name, bool *ret,
                            struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(name);
    int64_t n = 0;

    if (sql_add(&b,
                "select exists(select 1 from sqlite_schema where type = 'trigger' and tbl_name = "
                "%l collate nocase)",
                &table) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_number(se, b.p, 0, &n, reterr));
    *ret = n != 0;
    return WH_OK;
}

/* A condition that looks at the table itself may be true of other rows afterwards: as many as there
 * were have gone, and that is all. */
wh_status lite_prove_delete(struct lite_se *se, const struct lite_fl *fl, const char *sql,
                            struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int64_t due, gone, left;
    bool triggers;

    WH_TRY(lite_has_triggers(se, fl->table, &triggers, reterr));
    if (!triggers)
        return lite_exec(se, sql, reterr);
    if (sql_add(&b, "select count(*) from %s", sql + strlen(LITE_DELETE)) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_number(se, b.p, 0, &due, reterr));
    WH_TRY(lite_exec(se, sql, reterr));
    gone = sqlite3_changes64(se->db);
    if (gone >= due)
        return WH_OK;
    WH_TRY(lite_number(se, b.p, 0, &left, reterr));
    if (left == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5005",
                   "\"%s\" keeps %lld of %lld rows that were to be deleted (does a trigger keep "
                   "them?)",
                   fl->table, (long long)(due - gone), (long long)due);
}

/* How many changes the rows of a stage must make. */
static wh_status settle_due(const struct lite_fl *fl, struct lite_se *se, int64_t *ret,
                            struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str stage = wh_str(fl->stage), table = wh_str(fl->table);
    int st;

    if (fl->mode == WH_MODE_UPDATE) {
        st = sql_add(&b, "select count(*) from %i where exists (select 1 from %i as fed where ",
                     &table, &stage);
        if (st == WH_OK)
            st = lite_ddl_same_key(fl, fl->table, false, &b);
        if (st == WH_OK)
            st = wh_buf_addc(&b, ')');
    } else {
        st = sql_add(&b, "select count(*) from %i", &stage);
    }
    if (st != WH_OK)
        return no_memory(reterr);
    return lite_number(se, b.p, 0, ret, reterr);
}

static bool delivered(const struct lite_fl *fl, struct wh_str name)
{
    for (int i = 0; i < fl->n_dest; i++)
        if (!fl->dest[i].computed && wh_str_ieqs(name, fl->dest[i].name))
            return true;
    return false;
}

/* "and not exists (..)" for each unique index, by those of its columns that are delivered. */
static wh_status by_indexes(const struct lite_fl *fl, struct lite_se *se, struct wh_buf *b,
                            struct wh_error *reterr)
{
    static const char sql[] =
        "select l.name, c.name from pragma_index_list(?1) l join pragma_index_xinfo(l.name) c "
        "where "
        "l.\"unique\" and not l.partial and c.key and not exists (select 1 from "
        "pragma_index_xinfo(l.name) x where x.key and x.name is null) order by l.seq, c.seqno";
    sqlite3_stmt *s WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_str table = wh_str(fl->table), column;
    char *last WH_CLEANUP(wh_freep) = NULL;
    int rc, st = WH_OK;

    WH_TRY(lite_prepare(se, sql, &s, reterr));
    lite_bind_str(s, 1, table);
    while (st == WH_OK && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        bool same = last && wh_str_eqs(lite_text_at(s, 0), last);

        column = lite_text_at(s, 1);
        if (!delivered(fl, column))
            continue;
        if (!same) {
            if (last)
                st = wh_buf_addc(b, ')');
            wh_free(last);
            last = wh_strndup(lite_text_at(s, 0).s, lite_text_at(s, 0).n);
            if (st == WH_OK && last)
                st = sql_add(b, " and not exists (select 1 from %i where true", &table);
        }
        if (st == WH_OK)
            st = last ? sql_add(b, " and %i.%i = fed.%i", &table, &column, &column) : WH_E_NOMEM;
    }
    if (st == WH_OK && last)
        st = wh_buf_addc(b, ')');
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* Rows of the stage that went nowhere: none of their keys is there. */
static wh_status settle_lost(const struct lite_fl *fl, struct lite_se *se, int64_t missing,
                             int64_t *ret, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str stage = wh_str(fl->stage), table = wh_str(fl->table);
    int st;

    *ret = missing;
    if (!fl->does_nothing)
        return WH_OK;
    st = sql_add(&b, "select count(*) from %i as fed where true", &stage);
    if (st == WH_OK && fl->n_keys) {
        st = sql_add(&b, " and not exists (select 1 from %i where ", &table);
        if (st == WH_OK)
            st = lite_ddl_same_key(fl, fl->table, false, &b);
        if (st == WH_OK)
            st = wh_buf_addc(&b, ')');
    }
    if (st != WH_OK)
        return no_memory(reterr);
    WH_TRY(by_indexes(fl, se, &b, reterr));
    return lite_number(se, b.p, 0, ret, reterr);
}

wh_status lite_prove_settle(struct lite_se *se, const struct lite_fl *fl, const char *sql,
                            struct wh_error *reterr)
{
    int64_t due, done, lost;
    bool triggers;

    WH_TRY(lite_has_triggers(se, fl->table, &triggers, reterr));
    if (!triggers)
        return lite_exec(se, sql, reterr);
    WH_TRY(settle_due(fl, se, &due, reterr));
    WH_TRY(lite_exec(se, sql, reterr));
    done = sqlite3_changes64(se->db);
    if (done >= due)
        return WH_OK;
    WH_TRY(settle_lost(fl, se, due - done, &lost, reterr));
    if (lost == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5005",
                   "\"%s\" did not take %lld of %lld rows (does a trigger drop rows?)", fl->table,
                   (long long)lost, (long long)due);
}
