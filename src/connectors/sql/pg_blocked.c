/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds what we wait for.
 *
 * Row locks are seen by nobody but while somebody waits for them: pg_blocking_pids must be asked
 * during the wait, by another session. So a statement that had to give up is tried again under a
 * watch: a helper with a connection of its own that asks until it has an answer or the wait is
 * over. Table locks are in pg_locks also afterwards. */
#include "pg_target.h"

#include "core/clock.h"

enum {
    ASK_MS = 100,
};

struct pg_watch {
    struct pg_se *waiting; /* its backend's pid is read before; else only `ep` */
    const struct wh_ctx *ctx;
    struct wh_task *task;
    int pid;
    atomic_bool over;
    char who[240];
};

static const char describe[] =
    "a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), "
    "to_char(coalesce(a.xact_start, a.backend_start) at time zone 'UTC', "
    "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')";

static void write_down(const struct pg_rows *r, char *out, size_t size)
{
    if (pg_n_rows(r) == 0)
        return;
    snprintf(out, size, "pid %.*s, role %.*s, %.*s, since %.*s", WH_STR_FMT(pg_cell(r, 0, 0)),
             WH_STR_FMT(pg_cell(r, 0, 1)),
             WH_STR_FMT(pg_cell(r, 0, 2).n ? pg_cell(r, 0, 2) : wh_str("without a name")),
             WH_STR_FMT(pg_cell(r, 0, 3)));
}

static void ask_until(struct pg_watch *w, struct pg_conn *c)
{
    char sql[512], pid[24];
    const char *params[] = {pid};

    snprintf(pid, sizeof pid, "%d", w->pid);
    snprintf(sql, sizeof sql,
             "select %s from pg_stat_activity a where a.pid = any(pg_blocking_pids($1::int))",
             describe);
    while (!atomic_load(&w->over) && !w->who[0]) {
        struct pg_rows *r = NULL;
        struct wh_error ignored;

        if (pg_query(c, sql, 1, params, &r, &ignored) != WH_OK)
            return;
        write_down(r, w->who, sizeof w->who);
        pg_rows_free(r);
        if (!w->who[0])
            wh_ignore(
                w->ctx->wait(w->ctx, -1, 0, wh_now_ns() + (int64_t)ASK_MS * 1000000, &ignored));
    }
}

static void watch(void *arg)
{
    struct pg_watch *w = arg;
    struct pg_conn *c = NULL;
    struct wh_error ignored = {0};

    if (pg_dial(w->waiting->ep, w->waiting->ep->o, w->ctx, "c", &c, &ignored) == WH_OK)
        ask_until(w, c);
    pg_free(c);
}

struct pg_watch *pg_watch_begin(struct pg_se *waiting)
{
    const struct wh_ctx *ctx = waiting->ep->ctx;
    struct pg_watch *w;

    if (!ctx->task)
        return NULL;
    w = wh_calloc(1, sizeof *w);
    if (!w)
        return NULL;
    w->waiting = waiting;
    w->ctx = ctx;
    w->pid = pg_backend_pid(waiting->c);
    if (ctx->task(ctx, watch, w, &w->task) != WH_OK) {
        wh_free(w);
        return NULL;
    }
    return w;
}

/* "wherry/<12 of the run>/...": a session of ours, perhaps the holder of a failed run's snapshot.
 */
static void own_session(struct wh_error *err, const char *who)
{
    const char *tag = strstr(who, ", wherry/");

    if (tag)
        wh_error_hint(err,
                      "it is of the wherry run r-...-%.12s, which keeps its snapshot until it is "
                      "over: 'wherry resume' finishes it, 'wherry cancel RUN --discard' lets it go",
                      tag + 9);
}

static void add_words(struct wh_error *err, const char *who)
{
    size_t n = strlen(err->message);

    if (n < sizeof err->message - 1)
        snprintf(err->message + n, sizeof err->message - n, " (%s)", who);
    own_session(err, who);
}

void pg_watch_end(struct pg_watch *w, struct wh_error *err)
{
    if (!w)
        return;
    atomic_store(&w->over, true);
    w->ctx->join(w->ctx, w->task);
    if (err && w->who[0])
        add_words(err, w->who);
    wh_free(w);
}

/* wait_event_type Client: it is the server that waits, for our rows or for us to take some. */
wh_status pg_working(void *ep, void *session, const struct wh_str *ident, char *ret_words, size_t n,
                     struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_se *se = session;
    char text[96], sql[1200], who[240] = "";
    const char *params[] = {text};

    snprintf(text, sizeof text, "%.*s", WH_STR_FMT(*ident));
    snprintf(sql, sizeof sql,
             "select a.pid, coalesce(a.usename, '?'), coalesce(a.application_name, ''), "
             "coalesce(to_char(coalesce(a.xact_start, a.backend_start) at time zone 'UTC', "
             "'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), '?'), w.busy, w.doing, w.s from (select x.pid, "
             "coalesce(x.state = 'active' and x.wait_event_type is distinct from 'Client', false) "
             "as busy, coalesce(x.wait_event_type || ' ' || x.wait_event, 'at work') as doing, "
             "extract(epoch from clock_timestamp() - x.query_start)::bigint as s "
             "from pg_stat_activity x where x.pid || '/' || "
             "(extract(epoch from x.backend_start) * 1000000)::bigint = $1::text) w "
             "left join lateral (select * from pg_stat_activity b where b.pid = "
             "any(pg_blocking_pids(w.pid)) limit 1) a on true");
    WH_TRY(pg_query(se->c, sql, 1, params, &r, reterr));
    if (pg_n_rows(r) == 0 || !pg_cell_bool(r, 0, 4))
        return WH_END;
    if (pg_cell(r, 0, 0).n)
        write_down(r, who, sizeof who);
    snprintf(ret_words, n, "%.*s, its statement began %lld s ago%s%s", WH_STR_FMT(pg_cell(r, 0, 5)),
             (long long)pg_cell_i64(r, 0, 6, 0), who[0] ? "; in the way: " : "", who);
    return WH_OK;
}

void pg_blocked_by_table(struct pg_se *se, const char *qualified, struct wh_error *err)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    const char *params[] = {qualified};
    struct wh_error ignored = {0};
    char sql[640], who[240] = "";

    snprintf(sql, sizeof sql,
             "select %s from pg_locks l join pg_stat_activity a on a.pid = l.pid where "
             "l.relation = to_regclass($1) and l.granted and l.pid <> pg_backend_pid() "
             "order by a.xact_start limit 1",
             describe);
    if (pg_dead(se->c) || pg_query(se->c, sql, 1, params, &r, &ignored) != WH_OK)
        return;
    write_down(r, who, sizeof who);
    if (who[0])
        add_words(err, who);
}
