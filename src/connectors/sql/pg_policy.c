/* SPDX-License-Identifier: Apache-2.0 */
/* Row security of a destination. A role that policies apply to sees some of the rows only, and
 * truncate knows no policies at all: what a mode would do to rows that it does not see is decided
 * before anything is touched. */
#include "pg_target.h"

/* Modes that look at rows that are there: by key, by a condition, or to take their place. */
static const char *looks_at_rows(const struct pg_fl *fl)
{
    switch (fl->mode) {
    case WH_MODE_DELETE_INSERT:
        return "delete-insert deletes only the rows that it sees";
    case WH_MODE_UPDATE:
    case WH_MODE_UPSERT:
    case WH_MODE_REPLACE:
    case WH_MODE_INSERT_IGNORE:
        return "rows meet only those that it sees";
    default:
        return fl->publish == PG_PUB_MERGE ? "overwrite by key deletes only the rows that it sees"
                                           : NULL;
    }
}

/* pg_who: "host:port/database as role" */
static const char *role(const struct pg_se *se)
{
    const char *as = strstr(pg_who(se->c), " as ");

    return as ? as + 4 : "this role";
}

static wh_status refused(const struct pg_fl *fl, const struct pg_se *se, const char *why,
                         struct wh_error *reterr)
{
    wh_ignore(wh_fail(reterr, WH_E_AUTH, "E2006", "row security of %s applies to %s: %s", fl->name,
                      role(se), why));
    if (reterr)
        wh_error_hint(reterr,
                      "write as a role that it does not apply to (alter role .. bypassrls; the "
                      "owner, without force row level security)%s",
                      fl->ep->o->row_security || looks_at_rows(fl)
                          ? ""
                          : "; or row_security=true: the policies judge each row");
    return WH_E_AUTH;
}

wh_status pg_policy_judge(struct pg_fl *fl, const struct pg_se *se, const struct wh_target *io,
                          struct wh_error *reterr)
{
    const char *why = looks_at_rows(fl);
    bool stays = fl->publish == PG_PUB_SWAP || fl->publish == PG_PUB_RENAME;

    if (!fl->existed || fl->recreate || !fl->now.hides || stays)
        return WH_OK;
    fl->pours |= !fl->staged; /* COPY into such a table is not to be had */
    if (io->memo.n)           /* judged when the run was planned: it can still be given up */
        return WH_OK;
    if (why)
        return refused(fl, se, why, reterr);
    if (!fl->ep->o->row_security)
        return refused(fl, se, "the server lets none of its rows in or out (row_security=false)",
                       reterr);
    if (wh_buf_printf(&fl->warn,
                      "row security of %s applies to %s: its policies judge each row%s\n", fl->name,
                      role(se),
                      fl->mode == WH_MODE_APPEND
                          ? ""
                          : ", and the table is emptied of the rows that are hidden, too") != WH_OK)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a destination");
    return WH_OK;
}
