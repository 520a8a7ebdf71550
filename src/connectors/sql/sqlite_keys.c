/* SPDX-License-Identifier: Apache-2.0 */
/* delete-insert by key: the rows that go are those whose key a row of the stage has. The key need
 * not be unique on either side. A NULL in it is a value like others, else a second run would leave
 * such rows twice; "in" knows no NULL, so there is one delete for each pattern of NULLs that the
 * stage has: none, nearly always. */
#include "sqlite_target.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the keys of a table");
}

wh_status lite_keys_look(struct lite_fl *fl, struct wh_error *reterr)
{
    for (size_t k = 0; k < fl->n_keys && fl->replace_keys; k++) {
        int at = sql_find_column(SQL_NAMES(fl->dest, fl->n_dest), fl->keys[k]);

        if (at < 0)
            return wh_fail(reterr, WH_E_NOT_FOUND, "E3002",
                           "the key column \"%s\" of \"%s\" is not delivered", fl->keys[k],
                           fl->table);
        if (fl->dest[at].computed)
            return wh_fail(reterr, WH_E_TYPE, "E3005",
                           "the key column \"%s\" of \"%s\" is generated: a stage has no value "
                           "of it",
                           fl->dest[at].name, fl->table);
        fl->keys[k] = fl->dest[at].name;
    }
    return WH_OK;
}

static bool is_null(const char *nulls, size_t k)
{
    return nulls && nulls[k] == '1';
}

/* ("a", "b") of those that are not NULL. Returns how many there are. */
static size_t values(const struct lite_fl *fl, const char *nulls, struct wh_buf *b, int *st)
{
    size_t n = 0;

    for (size_t k = 0; k < fl->n_keys && *st == WH_OK; k++) {
        struct wh_str name = wh_str(fl->keys[k]);

        if (!is_null(nulls, k))
            *st = sql_add(b, n++ ? ", %i" : "%i", &name);
    }
    return n;
}

static wh_status nulls_alone(const struct lite_fl *fl, const char *nulls, const char *before,
                             struct wh_buf *b)
{
    for (size_t k = 0; k < fl->n_keys; k++) {
        struct wh_str name = wh_str(fl->keys[k]);

        if (!is_null(nulls, k))
            continue;
        WH_TRY(sql_add(b, "%s%i is null", before, &name));
        before = " and ";
    }
    return WH_OK;
}

wh_status lite_keys_delete(const struct lite_fl *fl, const char *nulls, struct wh_buf *b)
{
    /* Before there is a stage its columns are those of the table. */
    struct wh_str table = wh_str(fl->table), stage = nulls ? wh_str(fl->stage) : table;
    struct wh_buf row WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int st = WH_OK;
    size_t n = values(fl, nulls, &row, &st);

    WH_TRY(st);
    WH_TRY(sql_add(b, LITE_DELETE "%i where ", &table));
    if (n) {
        WH_TRY(sql_add(b, "(%s) in (select %s from %i", row.p, row.p, &stage));
        WH_TRY(nulls_alone(fl, nulls, " where ", b));
        WH_TRY(wh_buf_addc(b, ')'));
    }
    return nulls_alone(fl, nulls, n ? " and " : "", b);
}

/* "select distinct (a is null) || (b is null) from stage" */
static wh_status patterns(const struct lite_fl *fl, struct wh_buf *b)
{
    struct wh_str stage = wh_str(fl->stage);

    WH_TRY(wh_buf_adds(b, "select distinct ''"));
    for (size_t k = 0; k < fl->n_keys; k++) {
        struct wh_str name = wh_str(fl->keys[k]);

        WH_TRY(sql_add(b, " || (%i is null)", &name));
    }
    return sql_add(b, " from %i order by 1", &stage);
}

static wh_status add(const struct lite_fl *fl, const char *nulls, struct sql_script *s)
{
    WH_TRY(lite_keys_delete(fl, nulls, &s->b));
    return sql_script_end(s);
}

/* Before the stage is full: as it will nearly always be. */
static wh_status without_nulls(const struct lite_fl *fl, struct sql_script *s)
{
    char *none WH_CLEANUP(wh_freep) = wh_calloc(fl->n_keys + 1, 1);

    if (!none)
        return WH_E_NOMEM;
    memset(none, '0', fl->n_keys);
    return add(fl, none, s);
}

wh_status lite_keys_script(struct lite_se *se, const struct lite_fl *fl, struct sql_script *s,
                           struct wh_error *reterr)
{
    sqlite3_stmt *q WH_CLEANUP(lite_finalizep) = NULL;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    int rc, st = WH_OK;

    if (!se)
        return without_nulls(fl, s) == WH_OK ? WH_OK : no_memory(reterr);
    if (patterns(fl, &b) != WH_OK)
        return no_memory(reterr);
    WH_TRY(lite_prepare(se, b.p, &q, reterr));
    while (st == WH_OK && (rc = sqlite3_step(q)) == SQLITE_ROW)
        st = add(fl, (const char *)sqlite3_column_text(q, 0), s);
    if (st != WH_OK)
        return no_memory(reterr);
    if (rc != SQLITE_DONE)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot read the keys of the stage");
    return WH_OK;
}
