/* SPDX-License-Identifier: Apache-2.0 */
/* Targets: one run each, also while the run's owner is dead. */
#include <inttypes.h>
#include <string.h>

#include "core/clock.h"
#include "state/db.h"

static int held_by(struct wh_state *s, const char *identity, const struct wh_run_record *r,
                   int64_t stale_ms, struct wh_error *reterr)
{
    char since[32];
    wh_format_utc(r->started_us ? r->started_us : r->created_us, since);
    /* By a clock that was set meanwhile it may seem silent: its process tells. */
    if (wh_state_run_alive(s, r, stale_ms) != 0 || wh_state_run_there(s, r)) {
        int st = wh_fail(reterr, WH_HELD_BY, "E7006",
                         "%s is being written by run %s (process %" PRId64 " on %s since %s)",
                         identity, r->run, r->pid, r->host ? r->host : "?", since);
        wh_error_hint(reterr, "wait for it with --lock-wait 10m; wherry status %s shows it",
                      r->run);
        return st;
    }
    int st = wh_fail(reterr, WH_HELD_BY, "E7005",
                     "%s belongs to run %s of job '%s', which began %s and is unfinished", identity,
                     r->run, r->job, since);
    wh_error_hint(reterr, "finish it: wherry resume %s; or give it up: wherry cancel %s --discard",
                  r->run, r->run);
    return st;
}

/* The run that holds it: OK, END (nobody, or a run that is over). Inside the guard. */
static int owner(struct wh_state *s, const char *identity, struct wh_arena *a,
                 struct wh_run_record *ret, struct wh_error *reterr)
{
    sqlite3_stmt *q;
    const char **texts[] = {&ret->run, &ret->job, &ret->host};
    *ret = (struct wh_run_record){0};
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select r.run, r.job, r.host, r.pid, r.epoch, r.state, r.beat_us,"
                       " r.started_us, r.created_us, r.finished from target t"
                       " join run r on r.run = t.run where t.identity = ? and r.state < ?",
                       "sn", identity, (int)WH_RUN_CLOSED));
    WH_TRY(wh_db_step(s, q, reterr));
    ret->pid = sqlite3_column_int64(q, 3);
    ret->epoch = (uint32_t)sqlite3_column_int64(q, 4);
    ret->state = (enum wh_run_state)sqlite3_column_int(q, 5);
    ret->beat_us = sqlite3_column_int64(q, 6);
    ret->started_us = sqlite3_column_int64(q, 7);
    ret->created_us = sqlite3_column_int64(q, 8);
    ret->finished = sqlite3_column_int(q, 9);
    int st = WH_OK;
    for (int i = 0; i < 3 && st == WH_OK; i++)
        st = wh_db_text(a, q, i, texts[i]);
    sqlite3_reset(q);
    return st;
}

static int take_one(struct wh_state *s, const char *run, const char *identity, int64_t stale_ms,
                    struct wh_arena *a, struct wh_error *reterr)
{
    struct wh_run_record r;
    int st = owner(s, identity, a, &r, reterr);
    if (st == WH_OK && strcmp(r.run, run) == 0)
        return WH_OK;
    if (st == WH_OK)
        return held_by(s, identity, &r, stale_ms, reterr);
    if (st != WH_END)
        return st;
    return wh_db_run(s, NULL, reterr,
                     "insert or replace into target(identity, run, since_us) values (?,?,?)", "ssi",
                     identity, run, wh_wall_us());
}

int wh_state_targets_take(struct wh_state *s, const char *run, uint32_t epoch,
                          const char *const *identities, size_t n, int64_t stale_ms,
                          struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    int st = WH_OK;
    if (!a)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to take a target");
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    for (size_t i = 0; i < n && st == WH_OK; i++) {
        wh_arena_reset(a);
        st = take_one(s, run, identities[i], stale_ms, a, reterr);
    }
    return wh_db_end(s, st, reterr);
}

int wh_state_targets_release(struct wh_state *s, const char *run, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    WH_TRY(wh_db_begin(s, NULL, 0, reterr));
    return wh_db_end(s, wh_db_run(s, NULL, reterr, "delete from target where run = ?", "s", run),
                     reterr);
}

int wh_state_target_owner(struct wh_state *s, const char *identity, struct wh_arena *a,
                          struct wh_run_record *ret, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    int st = owner(s, identity, a, ret, reterr);
    return st == WH_END ? wh_fail(reterr, WH_E_NOT_FOUND, "E7007", "nobody holds %s", identity)
                        : st;
}

int wh_state_targets(struct wh_state *s, struct wh_arena *a, struct wh_target_record **ret,
                     size_t *ret_n, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    struct wh_target_record *v = NULL;
    size_t n = 0, cap = 0;
    sqlite3_stmt *q;
    int st;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select t.identity, t.run, t.since_us from target t"
                       " join run r on r.run = t.run where r.state < ? order by t.identity",
                       "n", (int)WH_RUN_CLOSED));
    while ((st = wh_db_step(s, q, reterr)) == WH_OK) {
        if (n == cap) {
            struct wh_target_record *more = wh_arena_alloc(a, (2 * cap + 64) * sizeof(*more));
            if (more && n)
                memcpy(more, v, n * sizeof(*v));
            v = more;
            cap = 2 * cap + 64;
        }
        if (!v || wh_db_text(a, q, 0, &v[n].identity) != WH_OK ||
            wh_db_text(a, q, 1, &v[n].run) != WH_OK) {
            sqlite3_reset(q);
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for targets");
        }
        v[n++].since_us = sqlite3_column_int64(q, 2);
    }
    *ret = v;
    *ret_n = n;
    return st == WH_END ? WH_OK : st;
}
