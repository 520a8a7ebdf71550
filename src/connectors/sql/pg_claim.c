/* SPDX-License-Identifier: Apache-2.0 */
/* Run row, epoch, targets, and the end of old sessions (CONTRACT 4).
 *
 * Our tables stand beside the targets (or in to.marker_schema): one run row in each schema that has
 * a target. A claim takes the row exclusively, in a transaction that touches nothing else; waiting
 * for it means that a transaction of an older epoch lives. Targets are held in a transaction of
 * their own, which locks the run row for share first, as all others do. */
#include <unistd.h>

#include "core/clock.h"
#include "core/hash.h"
#include "pg_claim.h"

enum {
    GONE_MS = 5000, /* longest wait for a session that was told to end */
    GONE_STEP_MS = 50,
    RECALL_PAGE = 500,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a claim");
}

/* ---- which schemas -----------------------------------------------------------------------------
 */

struct pg_noted {
    struct pg_noted *next; /* of all */
    struct pg_noted *same; /* of its bucket */
    uint64_t hash;
    const char *schema, *table;
    const char *markers; /* NULL: none */
};

enum {
    BUCKETS = 1024 /* there may be 20,000 targets */
};

struct pg_notes {
    struct pg_noted *all, *bucket[BUCKETS];
};

static const char *kept(struct pg_ep *ep, const char *text)
{
    size_t n = strlen(text) + 1;
    char *p = ep->ctx->alloc(ep->ctx, n);

    return p ? memcpy(p, text, n) : NULL;
}

static uint64_t note_hash(struct wh_str schema, struct wh_str table)
{
    return wh_hash64(table.s, table.n, wh_hash64(schema.s, schema.n, 0));
}

static struct pg_noted *find_note(struct pg_ep *ep, struct wh_str schema, struct wh_str table)
{
    uint64_t hash = note_hash(schema, table);
    struct pg_noted *n = ep->notes ? ep->notes->bucket[hash % BUCKETS] : NULL;

    while (n && !(n->hash == hash && wh_str_eqs(schema, n->schema) && wh_str_eqs(table, n->table)))
        n = n->same;
    return n;
}

static struct pg_noted *add_note(struct pg_ep *ep, const char *schema, const char *table)
{
    struct pg_noted *n = ep->ctx->alloc(ep->ctx, sizeof *n), **at;

    if (!ep->notes) {
        ep->notes = ep->ctx->alloc(ep->ctx, sizeof *ep->notes);
        if (ep->notes)
            *ep->notes = (struct pg_notes){0};
    }
    if (!n || !ep->notes)
        return NULL;
    *n = (struct pg_noted){.hash = note_hash(wh_str(schema), wh_str(table)),
                           .schema = kept(ep, schema),
                           .table = kept(ep, table),
                           .next = ep->notes->all};
    if (!n->schema || !n->table)
        return NULL;
    at = &ep->notes->bucket[n->hash % BUCKETS];
    n->same = *at;
    ep->notes->all = *at = n;
    return n;
}

wh_status pg_claim_note(struct pg_ep *ep, const char *schema, const char *table,
                        const char *markers, struct wh_error *reterr)
{
    struct pg_noted *n;
    int st = WH_OK;

    pthread_mutex_lock(&ep->lock);
    n = find_note(ep, wh_str(schema), wh_str(table));
    if (!n)
        n = add_note(ep, schema, table);
    if (!n || (markers && !(n->markers = kept(ep, markers))))
        st = no_memory(reterr);
    else if (!markers)
        n->markers = NULL;
    pthread_mutex_unlock(&ep->lock);
    return st;
}

/* A target's name, and where it keeps its markers. */
struct held {
    struct wh_str schema, table;
    const char *markers;
};

static wh_status where_kept(struct pg_ep *ep, const struct wh_name *name, struct wh_arena *a,
                            struct held *ret, struct wh_error *reterr)
{
    struct pg_noted *n;

    *ret = (struct held){.table = name->part[name->n - 1]};
    ret->schema = name->n > 1 ? name->part[name->n - 2] : WH_STR("public");
    pthread_mutex_lock(&ep->lock);
    n = find_note(ep, ret->schema, ret->table);
    ret->markers = n ? n->markers : wh_arena_strndup(a, ret->schema.s, ret->schema.n);
    pthread_mutex_unlock(&ep->lock);
    return n || ret->markers ? WH_OK : no_memory(reterr);
}

/* ---- our tables --------------------------------------------------------------------------------
 */

bool pg_made_meanwhile(const struct wh_error *err)
{
    return !strcmp(err->sqlstate, "42P07") || !strcmp(err->sqlstate, "42710") ||
           !strcmp(err->sqlstate, "23505");
}

static const char *const make_tables[] = {
    "create table if not exists %i.wherry_run(run text primary key, epoch bigint not null, "
    "state text not null, pid int, host text, since text, closed_at timestamptz, memo bytea)",
    "create table if not exists %i.wherry_unit" PG_MARKER_TABLE,
    "create table if not exists %i.wherry_target(object text primary key, run text not null)",
};

static wh_status cannot_make(const char *schema, int st, struct wh_error *err)
{
    char why[300];

    if (st == WH_LOST || st == WH_BLOCKED || st == WH_E_CANCELLED || err->retriable)
        return st; /* a network that says nothing (E4010), a full server: no fault of the schema */
    if (strcmp(err->code, "E5014") == 0) /* no grant would help */
        return st;
    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, err->message);
    st = wh_fail(err, st, st == WH_E_AUTH ? "E2006" : "E5013",
                 "our tables cannot be made in schema \"%s\": %s", schema, why);
    wh_error_hint(err,
                  "grant create on schema \"%s\" ('wherry grants' prints all that is needed), or "
                  "--marker off (at least once)",
                  schema);
    return st;
}

static wh_status make(struct pg_se *se, const char *schema, struct wh_error *err)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str s = wh_str(schema);

    for (size_t i = 0; i < sizeof make_tables / sizeof *make_tables; i++) {
        int st;

        wh_buf_clear(&b);
        if (sql_add(&b, make_tables[i], &s) != WH_OK)
            return no_memory(err);
        st = pg_exec(se->c, b.p, err);
        if (st < 0 && pg_made_meanwhile(err))
            st = pg_exec(se->c, b.p, err);
        if (st != WH_OK)
            return cannot_make(schema, st, err);
    }
    return WH_OK;
}

static wh_status have(struct pg_se *se, const char *schema, bool *ret, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {schema};

    WH_TRY(pg_query(se->c,
                    "select count(*) = 3 from pg_class c join pg_namespace n on "
                    "n.oid = c.relnamespace where n.nspname = $1 and c.relkind = 'r' and "
                    "c.relname in ('wherry_run', 'wherry_unit', 'wherry_target')",
                    1, params, &r, reterr));
    *ret = pg_cell_bool(r, 0, 0);
    return WH_OK;
}

/* ---- the run's row -----------------------------------------------------------------------------
 */

/* Our state calls it open: it is older than what happened, or we were stopped for long. */
static wh_status closed_there(struct wh_error *reterr)
{
    wh_ignore(wh_fail(reterr, WH_FENCED, "E7017", "this run was finished or given up elsewhere"));
    wh_error_hint(reterr, "wherry history shows whether by this state; 'wherry cancel RUN "
                          "--discard' ends it here and touches no row");
    return WH_FENCED;
}

static wh_status why_not_ours(struct pg_se *se, const char *schema, const char *run, uint32_t epoch,
                              struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str s = wh_str(schema);
    const char *params[] = {run};

    if (sql_add(&b, "select epoch, state from %i.wherry_run where run = $1::text", &s) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 1, params, &r, reterr));
    if (pg_n_rows(r) && !wh_str_eqs(pg_cell(r, 0, 1), "open"))
        return closed_there(reterr);
    return wh_fail(reterr, WH_FENCED, "E7010", "epoch %lld owns this run, we are %u",
                   pg_n_rows(r) ? (long long)pg_cell_i64(r, 0, 0, 0) : 0, epoch);
}

/* One statement that must touch one row and waits for whoever holds the run's row; a second wait is
 * watched, so that the answer names who. */
static wh_status alone(struct pg_se *se, const char *sql, int n, const char *const *params,
                       int64_t *ret_touched, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_watch *watch = NULL;
    struct wh_error err = {0};
    int st;

    WH_TRY(pg_brisk(se, reterr));
    if (se->blocked)
        watch = pg_watch_begin(se);
    st = pg_query(se->c, sql, n, params, &r, &err);
    se->blocked = st == WH_BLOCKED;
    if (st == WH_BLOCKED)
        wh_ignore(wh_fail(&err, WH_BLOCKED, "E5010", "the run's row is locked by another session"));
    pg_watch_end(watch, st == WH_BLOCKED ? &err : NULL);
    if (st == WH_OK)
        *ret_touched = pg_touched(r);
    else if (reterr)
        *reterr = err;
    return st;
}

static wh_status take_run(struct pg_se *se, const char *schema, const char *run,
                          const struct wh_fence *f, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    memo WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    char epoch[24], pid[24], host[64] = "", since[32];
    struct wh_str s = wh_str(schema);
    int64_t touched = 0;

    if (sql_add(&b,
                "insert into %i.wherry_run as w(run, epoch, state, pid, host, since, memo) "
                "values($1::text, $2::bigint, 'open', $3::int, $4::text, $5::text, $6::bytea) "
                "on conflict (run) do update set epoch = excluded.epoch, pid = excluded.pid, "
                "host = excluded.host, since = excluded.since, "
                "memo = coalesce(excluded.memo, w.memo) "
                "where w.state = 'open' and w.epoch <= excluded.epoch",
                &s) != WH_OK ||
        (f->memo.n && pg_hex_add(&memo, f->memo) != WH_OK))
        return no_memory(reterr);
    snprintf(epoch, sizeof epoch, "%u", f->epoch);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    wh_ignore(gethostname(host, sizeof host - 1));
    wh_format_utc(wh_wall_us(), since);
    const char *params[] = {run, epoch, pid, host, since, memo.p};

    WH_TRY(alone(se, b.p, 6, params, &touched, reterr));
    return touched == 1 ? WH_OK : why_not_ours(se, schema, run, f->epoch, reterr);
}

/* ---- targets -----------------------------------------------------------------------------------
 */

/* ["s.t", ..] of those kept in this schema. */
static wh_status list_of(const struct held *v, size_t n, const char *markers, struct wh_buf *b)
{
    struct wh_buf name WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    bool any = false;

    WH_TRY(wh_buf_addc(b, '['));
    for (size_t i = 0; i < n; i++) {
        if (!v[i].markers || strcmp(v[i].markers, markers) != 0)
            continue;
        wh_buf_clear(&name);
        WH_TRY(sql_add(&name, "%i.%i", &v[i].schema, &v[i].table));
        WH_TRY(wh_buf_adds(b, any ? "," : ""));
        WH_TRY(wh_buf_json(b, name.p, name.n));
        any = true;
    }
    return wh_buf_addc(b, ']');
}

/* The run's row is locked for share first, in the same statement; sorted, so that two runs with
 * many targets do not deadlock. */
static wh_status hold(struct pg_se *se, const char *schema, const char *run, uint32_t epoch,
                      const char *list, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str s = wh_str(schema);
    char number[24];
    int64_t touched = 0;

    snprintf(number, sizeof number, "%u", epoch);
    const char *params[] = {run, list, number};

    if (sql_add(&b,
                "with mine as materialized (select 1 from %i.wherry_run where run = $1::text and "
                "state = 'open' and epoch = $3::bigint for share) "
                "insert into %i.wherry_target as t(object, run) select o, $1::text from mine, "
                "(select distinct json_array_elements_text($2::json) as o order by 1) l "
                "on conflict (object) do update set run = excluded.run where t.run = excluded.run "
                "or not exists (select 1 from %i.wherry_run r where r.run = t.run and "
                "r.state = 'open')",
                &s, &s, &s) != WH_OK)
        return no_memory(reterr);
    WH_TRY(alone(se, b.p, 3, params, &touched, reterr));
    if (touched == 0)
        WH_TRY(pg_is_held(se, schema, run, list, reterr));
    if (touched == 0)
        return why_not_ours(se, schema, run, epoch, reterr);
    return pg_is_held(se, schema, run, list, reterr);
}

/* ---- claim -------------------------------------------------------------------------------------
 */

/* A closed run's row stays a while, so that a zombie of it finds itself fenced. */
static void forget_old(struct pg_se *se, const char *schema)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct wh_str s = wh_str(schema);
    struct wh_error ignored = {0};

    if (sql_add(&b,
                "delete from %i.wherry_run where state = 'closed' and "
                "closed_at < now() - interval '30 days'",
                &s) == WH_OK)
        wh_ignore(pg_exec(se->c, b.p, &ignored));
}

static wh_status claim_schema(struct pg_se *se, const char *schema, const char *run,
                              const struct wh_fence *f, const char *list, struct wh_error *reterr)
{
    bool there = false;

    WH_TRY(have(se, schema, &there, reterr));
    if (!there)
        WH_TRY(make(se, schema, reterr));
    /* A target of another run is refused before our run leaves a trace. */
    WH_TRY(pg_is_held(se, schema, run, list, reterr));
    WH_TRY(take_run(se, schema, run, f, reterr));
    WH_TRY(hold(se, schema, run, f->epoch, list, reterr));
    forget_old(se, schema);
    return WH_OK;
}

/* The session was opened before its process had an epoch. */
static wh_status retag(struct pg_se *se, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    struct wh_str tag = wh_str(se->ep->ctx->tag ? se->ep->ctx->tag : "wherry");

    if (sql_add(&b, "set application_name to %l", &tag) != WH_OK)
        return no_memory(reterr);
    return pg_exec(se->c, b.p, reterr);
}

wh_status pg_each_markers(struct pg_ep *ep, const struct wh_objects *targets, pg_markers_fn each,
                          void *arg, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_buf list WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    size_t n = targets ? targets->n : 0;
    struct held *v = a ? wh_arena_alloc(a, (n + 1) * sizeof *v) : NULL;

    if (!v)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++)
        WH_TRY(where_kept(ep, &targets->v[i], a, &v[i], reterr));
    for (size_t i = 0; i < n; i++) {
        bool before = !v[i].markers;

        for (size_t j = 0; j < i && !before; j++)
            before = v[j].markers && strcmp(v[j].markers, v[i].markers) == 0;
        if (before)
            continue;
        wh_buf_clear(&list);
        if (list_of(v, n, v[i].markers, &list) != WH_OK)
            return no_memory(reterr);
        WH_TRY(each(arg, v[i].markers, list.p, reterr));
    }
    return WH_OK;
}

struct claiming {
    struct pg_se *se;
    const char *run;
    const struct wh_fence *fence;
};

static wh_status claim_one(void *arg, const char *schema, const char *list, struct wh_error *reterr)
{
    struct claiming *c = arg;
    int st = claim_schema(c->se, schema, c->run, c->fence, list, reterr);

    if (st == WH_E_AUTH && reterr && !strcmp(reterr->sqlstate, "42501") && !reterr->hint[0])
        wh_error_hint(reterr,
                      "grant select, insert, update, delete on wherry_run, wherry_unit, "
                      "wherry_target in schema \"%s\"; or write.marker: off (at least once)",
                      schema);
    return st;
}

/* A run that is refused before anything of it is recorded leaves no row behind: nobody would ever
 * close it. Best effort. */
static wh_status withdraw_one(void *arg, const char *schema, const char *list,
                              struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct claiming *c = arg;
    struct wh_str s = wh_str(schema);
    int64_t touched = 0;

    if (sql_add(&b,
                "with gone as (delete from %i.wherry_run r where r.run = $1::text and r.epoch = 1 "
                "and r.state = 'open' and not exists (select from %i.wherry_unit u where u.run = "
                "r.run) returning r.run) delete from %i.wherry_target t using gone where t.run = "
                "gone.run",
                &s, &s, &s) != WH_OK)
        return no_memory(reterr);
    if (alone(c->se, b.p, 1, &c->run, &touched, NULL) != WH_OK) {
        b.n = 0; /* without the right to look at all three, the row alone */
        if (sql_add(&b,
                    "delete from %i.wherry_run where run = $1::text and epoch = 1 and "
                    "state = 'open'",
                    &s) != WH_OK)
            return no_memory(reterr);
        wh_ignore(alone(c->se, b.p, 1, &c->run, &touched, NULL));
    }
    return WH_OK;
}

wh_status pg_claim(void *endpoint, void *session, const struct wh_fence *f,
                   const struct wh_objects *targets, struct wh_error *reterr)
{
    char *run WH_CLEANUP(wh_freep) = wh_strndup(f->run.s ? f->run.s : "", f->run.n);
    struct claiming c = {.se = session, .run = run, .fence = f};
    int st;

    if (!run)
        return no_memory(reterr);
    WH_TRY(retag(session, reterr));
    st = pg_each_markers(endpoint, targets, claim_one, &c, reterr);
    if (st == WH_OK)
        st = pg_units_make(endpoint, session, reterr);
    if (st < 0 && f->epoch == 1 && !pg_dead(c.se->c))
        wh_ignore(pg_each_markers(endpoint, targets, withdraw_one, &c, NULL));
    return st;
}

/* ---- evict -------------------------------------------------------------------------------------
 */

void pg_run_tag(struct wh_str run, char out[64])
{
    size_t from = run.n;

    while (from > 0 && run.s[from - 1] != '-')
        from--;
    snprintf(out, 64, "wherry/%.*s/", run.n - from > 12 ? 12 : (int)(run.n - from), run.s + from);
}

/* The epoch in a tag; kind hold belongs to none. Epoch 0 has not claimed yet: it writes nothing,
 * and may be a session of this very process. */
static bool older(struct wh_str tag, size_t prefix, uint32_t epoch)
{
    uint64_t e = 0;
    size_t i = prefix;

    if (i >= tag.n || tag.s[i++] != 'e')
        return false;
    while (i < tag.n && tag.s[i] >= '0' && tag.s[i] <= '9' && e < UINT32_MAX)
        e = e * 10 + (uint64_t)(tag.s[i++] - '0');
    if (i < tag.n && tag.s[i] == '/')
        i++;
    return e > 0 && e < epoch && !wh_str_starts((struct wh_str){tag.s + i, tag.n - i}, "hold");
}

static wh_status no_right(const struct pg_rows *r, int i, struct wh_error *err)
{
    char why[200];

    snprintf(why, sizeof why, "%.*s", (int)sizeof why - 1, err->message);
    wh_ignore(
        wh_fail(err, WH_BLOCKED, "E7006",
                "a session of an older process of this run is still open and may not be ended "
                "by this role: pid %.*s, role %.*s, %.*s, since %.*s (%s)",
                WH_STR_FMT(pg_cell(r, i, 0)), WH_STR_FMT(pg_cell(r, i, 3)),
                WH_STR_FMT(pg_cell(r, i, 1)), WH_STR_FMT(pg_cell(r, i, 4)), why));
    wh_error_hint(err,
                  "as its role or a superuser: select pg_terminate_backend(%.*s); or grant "
                  "\"%.*s\" (or pg_signal_backend) to this role",
                  WH_STR_FMT(pg_cell(r, i, 0)), WH_STR_FMT(pg_cell(r, i, 3)));
    return WH_BLOCKED;
}

/* Until the backend that was told to end is gone: its locks are. */
static wh_status wait_gone(struct pg_se *se, const char *pid, const char *start,
                           struct wh_error *reterr)
{
    int64_t end = wh_now_ns() + (int64_t)GONE_MS * 1000000;
    const char *params[] = {pid, start};

    for (;;) {
        struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
        struct wh_error ignored = {0};
        int64_t next = wh_now_ns() + (int64_t)GONE_STEP_MS * 1000000;

        WH_TRY(pg_query(se->c,
                        "select 1 from pg_stat_activity where pid = $1::int and "
                        "backend_start::text = $2::text",
                        2, params, &r, reterr));
        if (pg_n_rows(r) == 0)
            return WH_OK;
        if (wh_now_ns() > end)
            return wh_fail(reterr, WH_LOST, "E5010",
                           "session %s was told to end, but is still there after %d s", pid,
                           GONE_MS / 1000);
        if (se->ctx->wait(se->ctx, -1, 0, next, &ignored) == WH_E_CANCELLED)
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    }
}

static wh_status terminate(struct pg_se *se, const struct pg_rows *r, int i, struct wh_error *err)
{
    struct pg_rows *done WH_CLEANUP(pg_rows_freep) = NULL;
    char pid[24], start[64];
    const char *params[] = {pid};
    int st;

    snprintf(pid, sizeof pid, "%.*s", WH_STR_FMT(pg_cell(r, i, 0)));
    snprintf(start, sizeof start, "%.*s", WH_STR_FMT(pg_cell(r, i, 2)));
    st = pg_query(se->c, "select pg_terminate_backend($1::int)", 1, params, &done, err);
    if (st < 0 && strcmp(err->sqlstate, "42501") == 0)
        return no_right(r, i, err);
    if (st != WH_OK)
        return st;
    return wait_gone(se, pid, start, err);
}

wh_status pg_evict(void *endpoint, void *session, const struct wh_fence *f,
                   const struct wh_str *ident, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_se *se = session;
    struct wh_error err = {0};
    char tag[64];
    const char *params[] = {tag};
    int st = WH_OK;

    if (f->run.n == 0)
        return WH_OK;
    pg_run_tag(f->run, tag);
    WH_TRY(pg_query(se->c,
                    "select pid, application_name, backend_start::text, coalesce(usename, '?'), "
                    "to_char(coalesce(xact_start, backend_start) at time zone 'UTC', "
                    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
                    "pid || '/' || (extract(epoch from backend_start) * 1000000)::bigint "
                    "from pg_stat_activity where starts_with(application_name, $1::text) and "
                    "datname = current_database() and pid <> pg_backend_pid()",
                    1, params, &r, reterr));
    for (int i = 0; st == WH_OK && i < pg_n_rows(r); i++)
        if (ident ? wh_str_eq(pg_cell(r, i, 5), *ident)
                  : older(pg_cell(r, i, 1), strlen(tag), f->epoch))
            st = terminate(se, r, i, &err);
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

/* ---- close -------------------------------------------------------------------------------------
 */

wh_status pg_our_schemas(struct pg_se *se, struct pg_rows **ret, struct wh_error *reterr)
{
    return pg_query(se->c,
                    "select n.nspname from pg_class c join pg_namespace n on n.oid = "
                    "c.relnamespace where c.relname = 'wherry_run' and c.relkind = 'r' and "
                    "has_schema_privilege(n.oid, 'USAGE') and has_table_privilege(c.oid, 'SELECT') "
                    "order by 1",
                    0, NULL, ret, reterr);
}

static bool went_away(struct pg_se *se, int st, const struct wh_error *why)
{
    return st < 0 && pg_transaction(se->c) == 'I' &&
           (strcmp(why->sqlstate, "42P01") == 0 || strcmp(why->sqlstate, "3F000") == 0);
}

wh_status pg_of_many(struct pg_se *se, int st, const struct wh_error *why, struct wh_error *reterr)
{
    if (st == WH_OK || went_away(se, st, why))
        return WH_OK;
    if (reterr)
        *reterr = *why;
    return st;
}

static wh_status close_schema(struct pg_se *se, struct wh_str schema, const char *run,
                              uint32_t epoch, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char number[24];
    const char *params[] = {run, number};
    int64_t touched = 0;

    snprintf(number, sizeof number, "%u", epoch);
    if (sql_add(&b, "select state, epoch from %i.wherry_run where run = $1::text", &schema) !=
        WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 1, params, &r, reterr));
    if (pg_n_rows(r) == 0) /* closed long ago, or never claimed */
        return WH_OK;
    if (pg_cell_i64(r, 0, 1, 0) > epoch)
        return wh_fail(reterr, WH_FENCED, "E7010", "epoch %lld owns this run, we are %u",
                       (long long)pg_cell_i64(r, 0, 1, 0), epoch);
    wh_buf_clear(&b);
    if (sql_add(&b,
                "update %i.wherry_run set state = 'closed', closed_at = "
                "coalesce(closed_at, now()) where run = $1::text and epoch <= $2::bigint",
                &schema) != WH_OK)
        return no_memory(reterr);
    WH_TRY(alone(se, b.p, 2, params, &touched, reterr));
    if (touched != 1)
        return wh_fail(reterr, WH_FENCED, "E7010", "another process owns this run");
    wh_buf_clear(&b);
    pg_rows_freep(&r);
    if (sql_add(&b, "delete from %i.wherry_target where run = $1::text", &schema) != WH_OK)
        return no_memory(reterr);
    return pg_query(se->c, b.p, 1, params, &r, reterr);
}

wh_status pg_run_close(void *endpoint, void *session, const struct wh_fence *f,
                       struct wh_error *reterr)
{
    struct pg_rows *schemas WH_CLEANUP(pg_rows_freep) = NULL;
    char *run WH_CLEANUP(wh_freep) = wh_strndup(f->run.s ? f->run.s : "", f->run.n);
    struct pg_se *se = session;

    if (!run)
        return no_memory(reterr);
    WH_TRY(pg_our_schemas(se, &schemas, reterr));
    for (int i = 0; i < pg_n_rows(schemas); i++) {
        struct wh_error err = {0};
        int st = close_schema(se, pg_cell(schemas, i, 0), run, f->epoch, &err);

        WH_TRY(pg_of_many(se, st, &err, reterr));
    }
    return pg_units_forget(se, run, reterr);
}

/* ---- what rebuilds a lost state ----------------------------------------------------------------
 */

wh_status pg_remember(void *endpoint, void *session, const struct wh_fence *f, struct wh_bytes memo,
                      struct wh_error *reterr)
{
    struct pg_rows *schemas WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    hex WH_CLEANUP(wh_buf_free) = WH_BUF(128 << 20);
    char *run WH_CLEANUP(wh_freep) = wh_strndup(f->run.s ? f->run.s : "", f->run.n);
    struct pg_se *se = session;
    int64_t found = 0, touched = 0;
    char epoch[24];

    if (!run || pg_hex_add(&hex, memo) != WH_OK)
        return no_memory(reterr);
    snprintf(epoch, sizeof epoch, "%u", f->epoch);
    const char *params[] = {run, epoch, hex.p};

    WH_TRY(pg_our_schemas(se, &schemas, reterr));
    for (int i = 0; i < pg_n_rows(schemas); i++) {
        struct wh_str s = pg_cell(schemas, i, 0);
        struct wh_error err = {0};

        wh_buf_clear(&b);
        if (sql_add(&b,
                    "update %i.wherry_run set memo = $3::bytea where run = $1::text and "
                    "epoch = $2::bigint and state = 'open'",
                    &s) != WH_OK)
            return no_memory(reterr);
        touched = 0;
        WH_TRY(pg_of_many(se, alone(se, b.p, 3, params, &touched, &err), &err, reterr));
        found += touched;
    }
    /* Without markers there is no row, and nothing to rebuild from. */
    if (found == 0 && pg_n_rows(schemas) > 0 && ((struct pg_ep *)endpoint)->notes) {
        for (struct pg_noted *n = ((struct pg_ep *)endpoint)->notes->all; n; n = n->next)
            if (n->markers)
                return wh_fail(reterr, WH_FENCED, "E7010",
                               "this run is closed, or another process's");
    }
    return WH_OK;
}

static wh_status open_runs(struct pg_se *se, struct wh_str schema, wh_recall_fn each, void *arg,
                           struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    memo WH_CLEANUP(wh_buf_free) = WH_BUF(128 << 20);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

    if (sql_add(&b,
                "select run, epoch, coalesce(pid, 0), coalesce(host, '?'), coalesce(since, '?'), "
                "encode(memo, 'hex'), " PG_RUN_LIVES " from %i.wherry_run r where state = 'open'",
                &schema) != WH_OK)
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    for (int i = 0; i < pg_n_rows(r); i++) {
        struct wh_recalled w = {.run = pg_cell(r, i, 0)};
        char owner[240];

        wh_buf_clear(&memo);
        if (pg_hex_read(pg_cell(r, i, 5), &memo) != WH_OK)
            return no_memory(reterr);
        snprintf(owner, sizeof owner, "pid %.*s on %.*s since %.*s", WH_STR_FMT(pg_cell(r, i, 2)),
                 WH_STR_FMT(pg_cell(r, i, 3)), WH_STR_FMT(pg_cell(r, i, 4)));
        w.epoch = (uint32_t)pg_cell_i64(r, i, 1, 0);
        w.owner = wh_str(owner);
        w.alive = pg_cell_bool(r, i, 6);
        w.memo = (struct wh_bytes){memo.p, memo.n};
        WH_TRY(each(arg, &w));
    }
    return WH_OK;
}

static wh_status lend_marker(const struct pg_rows *r, int i, struct wh_str run, struct wh_buf *keep,
                             wh_recall_fn each, void *arg, struct wh_error *reterr)
{
    struct wh_recalled w = {.run = run,
                            .flow = (uint32_t)pg_cell_i64(r, i, 0, 0),
                            .generation = (uint32_t)pg_cell_i64(r, i, 1, 0),
                            .unit = pg_cell_i64(r, i, 2, 0),
                            .attempt = (int32_t)pg_cell_i64(r, i, 3, 0)};
    size_t rest;

    wh_buf_clear(keep);
    if (wh_buf_reserve(keep, pg_cell(r, i, 4).n + pg_cell(r, i, 5).n) != WH_OK ||
        pg_hex_read(pg_cell(r, i, 4), keep) != WH_OK)
        return no_memory(reterr);
    rest = keep->n;
    if (pg_hex_read(pg_cell(r, i, 5), keep) != WH_OK)
        return no_memory(reterr);
    w.rest = (struct wh_bytes){keep->p, rest};
    w.seed = (struct wh_bytes){keep->p + rest, keep->n - rest};
    return each(arg, &w);
}

static wh_status markers_of(struct pg_se *se, struct wh_str units, const char *run,
                            wh_recall_fn each, void *arg, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX),
                    keep WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    char flow[24] = "-1", generation[24] = "-1", unit[24] = "0";
    char *table WH_CLEANUP(wh_freep) = wh_strndup(units.s, units.n);
    const char *params[] = {run, flow, generation, unit};
    int n;

    if (!table)
        return no_memory(reterr);
    if (sql_add(&b,
                "select flow, generation, unit, attempt, encode(rest, 'hex'), encode(seed, 'hex') "
                "from %s where run = $1::text and unit > 0 and "
                "(flow, generation, unit) > ($2::bigint, $3::bigint, $4::bigint) "
                "order by flow, generation, unit limit %d",
                table, (int64_t)RECALL_PAGE) != WH_OK)
        return no_memory(reterr);
    do {
        struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;

        WH_TRY(pg_query(se->c, b.p, 4, params, &r, reterr));
        n = pg_n_rows(r);
        for (int i = 0; i < n; i++)
            WH_TRY(lend_marker(r, i, wh_str(run), &keep, each, arg, reterr));
        if (n) {
            snprintf(flow, sizeof flow, "%.*s", WH_STR_FMT(pg_cell(r, n - 1, 0)));
            snprintf(generation, sizeof generation, "%.*s", WH_STR_FMT(pg_cell(r, n - 1, 1)));
            snprintf(unit, sizeof unit, "%.*s", WH_STR_FMT(pg_cell(r, n - 1, 2)));
        }
    } while (n == RECALL_PAGE);
    return WH_OK;
}

wh_status pg_recall(void *endpoint, void *session, const struct wh_str *run, wh_recall_fn each,
                    void *arg, struct wh_error *reterr)
{
    struct pg_rows *where WH_CLEANUP(pg_rows_freep) = NULL;
    char *name WH_CLEANUP(wh_freep) = run ? wh_strndup(run->s, run->n) : NULL;
    struct pg_se *se = session;

    if (run && !name)
        return no_memory(reterr);
    WH_TRY(run ? pg_units_list(se, &where, reterr) : pg_our_schemas(se, &where, reterr));
    for (int i = 0; i < pg_n_rows(where); i++) {
        struct wh_error err = {0};
        int st = run ? markers_of(se, pg_cell(where, i, 0), name, each, arg, &err)
                     : open_runs(se, pg_cell(where, i, 0), each, arg, &err);

        WH_TRY(pg_of_many(se, st, &err, reterr));
    }
    return WH_OK;
}
