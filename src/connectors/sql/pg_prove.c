/* SPDX-License-Identifier: Apache-2.0 */
/* What a statement left undone without a word: triggers and rules that drop a row are no error for
 * the server. Whoever deletes proves that the rows are gone, whoever truncates that the table is
 * empty, whoever leaves out rows that are there that they are. */
#include "pg_target.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
}

static wh_status number(struct pg_se *se, const char *sql, int64_t *ret, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(pg_query(se->c, sql, 0, NULL, &r, reterr));
    *ret = pg_cell_i64(r, 0, 0, 0);
    return WH_OK;
}

/* ---- who could drop rows -----------------------------------------------------------------------
 */

/* A table and all below it as x; %l is its name. */
#define FAMILY                                                                                     \
    "with recursive x(oid) as (select %l::regclass::oid union select i.inhrelid from x join "      \
    "pg_inherits i on i.inhparent = x.oid) select exists (select from x where "

/* A trigger for each row before an event (pg_trigger.tgtype: 1 row, 2 before), or a rule. */
#define DROPS(event, rule)                                                                         \
    "exists (select from pg_trigger g where g.tgrelid = x.oid and not g.tgisinternal and "         \
    "g.tgenabled <> 'D' and g.tgtype & " event " = " event ") or exists (select from "             \
    "pg_rewrite w where w.ev_class = x.oid and w.ev_enabled <> 'D' and w.ev_type = '" rule "')"

static wh_status asks(struct pg_se *se, const struct pg_fl *fl, const char *sql, bool *ret,
                      struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str table = wh_str(fl->name);

    if (sql_add(&b, sql, &table) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    *ret = pg_cell_bool(r, 0, 0);
    return WH_OK;
}

/* ---- rows that go ------------------------------------------------------------------------------
 */

/* Only where something can keep rows is the table held against other writers, so that the count
 * before is that of the rows to delete. A condition that looks at the table itself may be true of
 * other rows afterwards: as many as there were have gone, and that is all. */
wh_status pg_prove_delete(struct pg_se *se, const struct pg_fl *fl, const char *sql,
                          struct wh_error *reterr)
{
    static const char keeps[] = FAMILY DROPS("11", "4") " or row_security_active(x.oid))";
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *gone WH_CLEANUP(pg_rows_freep) = NULL;
    bool may_keep;
    int64_t due, left;

    WH_TRY(asks(se, fl, keeps, &may_keep, reterr));
    if (!may_keep)
        return pg_exec(se->c, sql, reterr);
    if (sql_add(&b, "lock table %s in share row exclusive mode", fl->name) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_exec(se->c, b.p, reterr));
    wh_buf_clear(&b);
    if (sql_add(&b, "select count(*) from %s", sql + strlen(PG_DELETE)) != WH_OK)
        return no_memory(reterr);
    WH_TRY(number(se, b.p, &due, reterr));
    WH_TRY(pg_query(se->c, sql, 0, NULL, &gone, reterr));
    if (pg_touched(gone) >= due)
        return WH_OK;
    WH_TRY(number(se, b.p, &left, reterr));
    if (left == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5005",
                   "%s keeps %lld of %lld rows that were to be deleted (does a trigger, a rule or "
                   "row security keep them?)",
                   fl->name, (long long)(due - pg_touched(gone)), (long long)due);
}

/* Behind a truncate of this transaction, which nobody else can look past. */
wh_status pg_prove_empty(struct pg_se *se, const struct pg_fl *fl, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int64_t left;

    if (sql_add(&b, "select count(*) from (select from %s limit 1) x", fl->name) != WH_OK)
        return no_memory(reterr);
    WH_TRY(number(se, b.p, &left, reterr));
    if (left == 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_REMOTE, "E5005",
                   "%s is not empty behind its truncate (does a trigger put rows into it?)",
                   fl->name);
}

/* ---- rows that are there already ---------------------------------------------------------------
 */

/* "not (a or b)" of rows `r` that no unique key can hold: in each key a column is NULL. Empty: each
 * row has a key. */
static wh_status free_rows(const struct pg_fl *fl, bool numbered, struct wh_buf *b)
{
    for (int i = 0; i < fl->n_uniques; i++)
        if (fl->uniques[i].never_free)
            return WH_OK;
    WH_TRY(wh_buf_adds(b, "(true"));
    for (int i = 0; i < fl->n_uniques; i++) {
        const struct pg_unique *u = &fl->uniques[i];

        WH_TRY(wh_buf_adds(b, " and ("));
        for (int k = 0; k < u->n; k++) {
            WH_TRY(wh_buf_adds(b, k ? " or " : ""));
            WH_TRY(pg_ddl_cell(fl, "r", u->cols[k].dest, numbered, b));
            WH_TRY(wh_buf_adds(b, " is null"));
        }
        WH_TRY(wh_buf_addc(b, ')'));
    }
    return wh_buf_addc(b, ')');
}

/* Counts rows that have a key and meet nothing by any of their keys. */
static wh_status lost_rows(const struct pg_fl *fl, const char *from, bool numbered,
                           const char *free_of_keys, struct wh_buf *b)
{
    WH_TRY(sql_add(b, "select count(*) from %s r where true", from));
    if (*free_of_keys)
        WH_TRY(sql_add(b, " and %s is not true", free_of_keys));
    for (int i = 0; i < fl->n_uniques; i++) {
        const struct pg_unique *u = &fl->uniques[i];

        WH_TRY(sql_add(b, " and not exists (select from %s t where ", fl->name));
        for (int k = 0; k < u->n; k++) {
            const struct pg_unique_col *c = &u->cols[k];
            struct wh_str name = wh_str(fl->dest[c->dest].name);

            WH_TRY(sql_add(b, k ? " and (t.%i %s " : "(t.%i %s ", &name, c->equal));
            WH_TRY(pg_ddl_cell(fl, "r", c->dest, numbered, b));
            if (c->collate)
                WH_TRY(sql_add(b, " collate %s", c->collate));
            if (u->nulls_equal) {
                WH_TRY(sql_add(b, " or t.%i is null and ", &name));
                WH_TRY(pg_ddl_cell(fl, "r", c->dest, numbered, b));
                WH_TRY(wh_buf_adds(b, " is null"));
            }
            WH_TRY(wh_buf_addc(b, ')'));
        }
        WH_TRY(wh_buf_addc(b, ')'));
    }
    return WH_OK;
}

static wh_status touched(struct pg_se *se, const char *sql, int64_t *ret, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(pg_query(se->c, sql, 0, NULL, &r, reterr));
    *ret = pg_touched(r);
    return WH_OK;
}

/* Fewer rows went in than came: each that did not must be there. */
static wh_status all_there(struct pg_se *se, const struct pg_fl *fl, const char *from,
                           bool numbered, const char *free_of_keys, int64_t free_in,
                           struct wh_error *reterr)
{
    static const char drops[] = FAMILY DROPS("7", "3") ")";
    static const char other_keys[] =
        FAMILY "exists (select from pg_index i where i.indrelid = x.oid and (i.indisexclusion or "
               "i.indisunique and (i.indpred is not null or i.indexprs is not null or x.oid <> "
               "%l::regclass and not exists (select from pg_inherits h where h.inhrelid = "
               "i.indexrelid)))))";
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str table = wh_str(fl->name);
    int64_t lost = 0, free_due = 0;
    bool may_drop, others;

    if (lost_rows(fl, from, numbered, free_of_keys, &b) != WH_OK)
        return no_memory(reterr);
    if (fl->n_uniques)
        WH_TRY(number(se, b.p, &lost, reterr));
    wh_buf_clear(&b);
    if (*free_of_keys) {
        if (sql_add(&b, "select count(*) from %s r where %s", from, free_of_keys) != WH_OK)
            return no_memory(reterr);
        WH_TRY(number(se, b.p, &free_due, reterr));
        wh_buf_clear(&b);
    }
    if (lost == 0 && free_in >= free_due)
        return WH_OK;
    WH_TRY(asks(se, fl, drops, &may_drop, reterr));
    if (may_drop)
        return wh_fail(reterr, WH_E_REMOTE, "E5005",
                       "%lld rows were not taken by %s, and no row with a key of theirs is there "
                       "(does a trigger drop rows or change their keys?)",
                       (long long)(lost + (free_due > free_in ? free_due - free_in : 0)), fl->name);
    if (free_in >= free_due) /* somebody deleted what they met, or a key that is not of columns */
        return WH_OK;
    if (sql_add(&b, other_keys, &table, &table) != WH_OK)
        return no_memory(reterr);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    others = pg_cell_bool(r, 0, 0);
    if (others)
        return WH_OK;
    wh_ignore(wh_fail(reterr, WH_E_REMOTE, "E5005",
                      "%lld rows were not taken by %s: a key that the table gives them itself is "
                      "there already",
                      (long long)(free_due - free_in), fl->name));
    if (reterr)
        wh_error_hint(reterr, "the sequence behind it is behind the rows: select setval(..)");
    return WH_E_REMOTE;
}

wh_status pg_prove_ignored(struct pg_se *se, const struct pg_fl *fl, const char *from,
                           bool numbered, int64_t rows, int64_t *ret_in, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    keyless WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    rest WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    const char *free_of_keys;
    int64_t free_in = 0, in = 0;

    if (fl->existed && !fl->recreate && free_rows(fl, numbered, &keyless) != WH_OK)
        return no_memory(reterr);
    free_of_keys = keyless.n ? keyless.p : "";
    if (*free_of_keys) {
        if (pg_ddl_put_some(fl, fl->name, from, numbered, free_of_keys, &b) != WH_OK ||
            sql_add(&rest, "%s is not true", free_of_keys) != WH_OK)
            return no_memory(reterr);
        WH_TRY(touched(se, b.p, &free_in, reterr));
        wh_buf_clear(&b);
    }
    if (pg_ddl_put_some(fl, fl->name, from, numbered, rest.n ? rest.p : NULL, &b) != WH_OK)
        return no_memory(reterr);
    WH_TRY(touched(se, b.p, &in, reterr));
    *ret_in = in + free_in;
    return *ret_in >= rows || !fl->existed || fl->recreate
               ? WH_OK /* what we make has no triggers */
               : all_there(se, fl, from, numbered, free_of_keys, free_in, reterr);
}
