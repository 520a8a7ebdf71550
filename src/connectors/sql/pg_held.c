/* SPDX-License-Identifier: Apache-2.0 */
/* Targets that another run holds, and giving up the runs of the dead.
 *
 * A run lives while a session of it is at the server. Without one it is dead if its process was on
 * this host and is not any more; of a process on another host nothing can be proved (its link may
 * be cut, and it comes back). */
#include <stdlib.h>

#include "pg_claim.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the runs of others");
}

/* ---- who holds it ------------------------------------------------------------------------------
 */

/* What is selected of run row r. */
#define OWNER                                                                                      \
    "r.run, coalesce(r.pid, 0), coalesce(r.host, '?'), coalesce(r.since, '?'), r.epoch, "          \
    "case when r.since ~ '^\\d{4}-\\d\\d-\\d\\dT[\\d:.]+Z$' then "                                 \
    "extract(epoch from r.since::timestamptz)::bigint end, " PG_RUN_LIVES

struct owner {
    char run[64], host[64], since[32], epoch[24];
    int64_t pid;
    enum sql_owner is;
};

static void owner_at(const struct pg_rows *r, int i, struct owner *ret)
{
    snprintf(ret->run, sizeof ret->run, "%.*s", WH_STR_FMT(pg_cell(r, i, 0)));
    ret->pid = pg_cell_i64(r, i, 1, 0);
    snprintf(ret->host, sizeof ret->host, "%.*s", WH_STR_FMT(pg_cell(r, i, 2)));
    snprintf(ret->since, sizeof ret->since, "%.*s", WH_STR_FMT(pg_cell(r, i, 3)));
    snprintf(ret->epoch, sizeof ret->epoch, "%.*s", WH_STR_FMT(pg_cell(r, i, 4)));
    ret->is = pg_cell_bool(r, i, 6)
                  ? SQL_OWNER_LIVES
                  : sql_owner_of(ret->host, ret->pid, pg_cell_i64(r, i, 5, INT64_MAX - 10));
    /* Its process is there but has no session: it waits for the server, or has just begun. */
}

static wh_status held_by(const char *schema, struct wh_str object, const struct owner *o,
                         struct wh_error *reterr)
{
    bool lives = o->is == SQL_OWNER_LIVES;

    wh_ignore(wh_fail(reterr, WH_HELD_BY, lives ? "E7006" : "E7005",
                      "table %.*s %s run %s (process %lld on %s since %s%s)", WH_STR_FMT(object),
                      lives ? "is being written by" : "belongs to the unfinished", o->run,
                      (long long)o->pid, o->host, o->since,
                      lives                     ? ""
                      : o->is == SQL_OWNER_DEAD ? ", gone"
                                                : ", not to be seen from here"));
    if (lives)
        wh_error_hint(reterr, "wait for it with --lock-wait 10m; its state is in another folder "
                              "than ours");
    else if (o->is == SQL_OWNER_DEAD)
        wh_error_hint(reterr,
                      "wherry resume %s, where its state is; if that is lost: wherry resume "
                      "--rebuild-state with this destination, or --fresh --yes gives it up: rows "
                      "that it committed stay",
                      o->run);
    else
        wh_error_hint(reterr,
                      "wherry resume %s on %s; if that machine is lost for good: wherry resume "
                      "--rebuild-state with this destination, or update \"%s\".wherry_run set "
                      "state = 'closed' where run = '%s'",
                      o->run, o->host, schema, o->run);
    return WH_HELD_BY;
}

/* Open runs but ours that hold these targets: OWNER, object. */
static wh_status holders(struct pg_se *se, const char *schema, const char *run, const char *list,
                         struct pg_rows **ret, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str s = wh_str(schema);
    const char *params[] = {run, list};

    if (sql_add(&b,
                "select " OWNER ", t.object from %i.wherry_target t join %i.wherry_run r on "
                "r.run = t.run where r.state = 'open' and t.run <> $1::text and t.object in "
                "(select json_array_elements_text($2::json)) order by r.run, t.object",
                &s, &s) != WH_OK)
        return no_memory(reterr);
    return pg_query(se->c, b.p, 2, params, ret, reterr);
}

wh_status pg_is_held(struct pg_se *se, const char *schema, const char *run, const char *list,
                     struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct owner o;

    WH_TRY(holders(se, schema, run, list, &r, reterr));
    if (pg_n_rows(r) == 0)
        return WH_OK;
    owner_at(r, 0, &o);
    return held_by(schema, pg_cell(r, 0, 7), &o, reterr);
}

/* ---- giving up ---------------------------------------------------------------------------------
 */

struct giving {
    struct pg_ep *ep;
    struct pg_se *se;
    const char *run; /* ours */
    bool act;
    struct wh_disowned found;
    struct wh_buf seen;      /* runs, a line each */
    struct pg_rows *schemas; /* that have our tables */
    struct pg_rows *units;   /* tables of markers, as SQL */
};

/* One statement about a run in one schema; its first cell as a number. */
static wh_status in_schema(struct giving *g, const char *fmt, int i, int n,
                           const char *const *params, int64_t *ret, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str s = pg_cell(g->schemas, i, 0);

    if (sql_add(&b, fmt, &s, &s) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(g->se->c, b.p, n, params, &r, reterr));
    *ret = pg_n_rows(r) ? pg_cell_i64(r, 0, 0, 0) : pg_touched(r);
    return WH_OK;
}

/* Rows that show: those of flows without a stage, and of stages that were published. */
static wh_status rows_of(struct giving *g, const struct owner *o, const char *prefix,
                         struct wh_error *reterr)
{
    struct wh_step first = {.phase = WH_PUBLISH, .id = 0},
                   last = {.phase = WH_PUBLISH, .id = 999999};
    char from[24], to[24];
    const char *params[] = {o->run, prefix, from, to};

    snprintf(from, sizeof from, "%lld", (long long)sql_step_unit(&last));
    snprintf(to, sizeof to, "%lld", (long long)sql_step_unit(&first));
    for (int i = 0; i < pg_n_rows(g->units); i++) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
        struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
        struct wh_str units = pg_cell(g->units, i, 0);
        char *table WH_CLEANUP(wh_freep) = wh_strndup(units.s, units.n);

        if (!table ||
            sql_add(&b,
                    "select coalesce(sum(u.rows), 0) from %s u where "
                    "u.run = $1::text and u.unit > 0 and (not exists (select from pg_class c "
                    "where c.relkind in ('r', 'p') and c.relname = $2::text || u.flow || "
                    "'_g' || u.generation) or exists (select from %s p where "
                    "p.run = u.run and p.flow = u.flow and p.generation = u.generation and "
                    "p.unit between $3::bigint and $4::bigint))",
                    table, table) != WH_OK)
            return no_memory(reterr);
        WH_TRY(pg_query(g->se->c, b.p, 4, params, &r, reterr));
        g->found.rows += pg_cell_i64(r, 0, 0, 0);
    }
    return WH_OK;
}

/* Nobody will ever ask for them. */
static wh_status drop_stages(struct giving *g, const char *prefix, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {prefix};

    WH_TRY(pg_query(g->se->c,
                    "select n.nspname, c.relname from pg_class c join pg_namespace n on "
                    "n.oid = c.relnamespace where c.relkind in ('r', 'p') and "
                    "starts_with(c.relname, $1::text) order by 1, 2",
                    1, params, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct wh_str schema = pg_cell(r, i, 0), table = pg_cell(r, i, 1);

        wh_buf_clear(&b);
        if (sql_add(&b, "drop table %i.%i", &schema, &table) != WH_OK)
            return no_memory(reterr);
        WH_TRY(pg_exec(g->se->c, b.p, reterr));
    }
    return WH_OK;
}

/* Inside of a transaction, the run's rows first as everywhere: whoever may still believe in the run
 * is fenced by them. */
static wh_status close_inside(struct giving *g, const struct owner *o, const char *prefix,
                              struct wh_error *reterr)
{
    const char *params[] = {o->run, o->epoch};
    int64_t closed = 0, n = 0;

    for (int i = 0; i < pg_n_rows(g->schemas); i++) {
        WH_TRY(in_schema(g,
                         "update %i.wherry_run set state = 'closed', closed_at = now() where "
                         "run = $1::text and epoch = $2::bigint and state = 'open'",
                         i, 2, params, &n, reterr));
        closed += n;
    }
    if (closed == 0)
        return wh_fail(reterr, WH_HELD_BY, "E7006",
                       "run %s was taken up again while it was given up", o->run);
    WH_TRY(drop_stages(g, prefix, reterr));
    WH_TRY(pg_units_forget(g->se, o->run, reterr));
    for (int i = 0; i < pg_n_rows(g->schemas); i++) {
        WH_TRY(in_schema(g, "delete from %i.wherry_target where run = $1::text", i, 1, params, &n,
                         reterr));
    }
    return WH_OK;
}

/* The snapshot that it kept here is of use to nobody. */
static void end_holder(struct pg_se *se, const struct owner *o)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_error ignored = {0};
    char tag[64];
    const char *params[] = {tag};

    pg_run_tag(wh_str(o->run), tag);
    wh_ignore(pg_query(se->c,
                       "select pg_terminate_backend(pid) from pg_stat_activity where "
                       "starts_with(application_name, $1::text || 'hold')",
                       1, params, &r, &ignored));
}

static wh_status close_run(struct giving *g, const struct owner *o, const char *prefix,
                           struct wh_error *reterr)
{
    struct wh_fence old = {.run = wh_str(o->run), .epoch = (uint32_t)strtoul(o->epoch, NULL, 10)};
    int st;

    WH_TRY(pg_evict(g->ep, g->se, &old, NULL, reterr));
    WH_TRY(pg_brisk(g->se, reterr));
    WH_TRY(pg_exec(g->se->c, "begin isolation level read committed", reterr));
    st = close_inside(g, o, prefix, reterr);
    if (st == WH_OK)
        st = pg_commit(g->se, reterr);
    if (st != WH_OK)
        pg_rollback(g->se->c);
    else
        end_holder(g->se, o);
    return st;
}

static wh_status give_up(struct giving *g, const struct owner *o, struct wh_error *reterr)
{
    struct wh_fence f = {.run = wh_str(o->run)};
    size_t at = strlen(g->found.text);
    char prefix[SQL_STAGE_NAME];

    wh_ignore(sql_stage_prefix(&f, prefix) > 0 ? WH_OK : WH_END);
    WH_TRY(rows_of(g, o, prefix, reterr));
    g->found.runs++;
    snprintf(g->found.text + at, sizeof g->found.text - at,
             "%srun %s (process %lld on %s since %s)", at ? ", " : "", o->run, (long long)o->pid,
             o->host, o->since);
    return g->act ? close_run(g, o, prefix, reterr) : WH_OK;
}

static wh_status give_up_of(void *arg, const char *schema, const char *list,
                            struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct giving *g = arg;

    WH_TRY(holders(g->se, schema, g->run, list, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct owner o;
        char line[80];

        owner_at(r, i, &o);
        snprintf(line, sizeof line, "%s\n", o.run);
        if (g->seen.n && strstr(g->seen.p, line))
            continue;
        if (o.is != SQL_OWNER_DEAD)
            return held_by(schema, pg_cell(r, i, 7), &o, reterr);
        if (wh_buf_adds(&g->seen, line) != WH_OK)
            return no_memory(reterr);
        WH_TRY(give_up(g, &o, reterr));
    }
    return WH_OK;
}

wh_status pg_disown(void *endpoint, void *session, const struct wh_fence *f,
                    const struct wh_objects *targets, bool act, struct wh_disowned *ret,
                    struct wh_error *reterr)
{
    char *run WH_CLEANUP(wh_freep) = wh_strndup(f->run.s ? f->run.s : "", f->run.n);
    struct giving g = {
        .ep = endpoint, .se = session, .run = run, .act = act, .seen = WH_BUF(SQL_TEXT_MAX)};
    int st;

    if (!run)
        return no_memory(reterr);
    st = pg_our_schemas(g.se, &g.schemas, reterr);
    if (st == WH_OK)
        st = pg_units_list(g.se, &g.units, reterr);
    if (st == WH_OK)
        st = pg_each_markers(g.ep, targets, give_up_of, &g, reterr);
    pg_rows_free(g.schemas);
    pg_rows_free(g.units);
    wh_buf_free(&g.seen);
    if (st == WH_OK)
        *ret = g.found;
    return st;
}
