/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: journalled when made, intent before the act, outcome after it. */
#include <stdio.h>

#include "core/clock.h"
#include "state/db.h"

static const char *const step_states[] = {"none", "intended", "done", "failed"};

int wh_state_steps_put(struct wh_state *s, const char *run, uint32_t epoch,
                       const struct wh_step_record *v, size_t n, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    if (n == 0)
        return wh_fail(reterr, WH_E_BUG, "E9001", "a phase is journalled with its key record");
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = wh_db_run(s, NULL, reterr,
                       "insert or ignore into phase(run, flow, generation, phase) values (?,?,?,?)",
                       "snun", run, v[0].flow, v[0].generation, v[0].phase);
    for (size_t i = 0; i < n && st == WH_OK; i++)
        if (v[i].id > 0) /* id 0 alone says: this phase has no steps */
            st = wh_db_run(s, NULL, reterr,
                           "insert into step(run, flow, generation, phase, id, after, flags, say,"
                           " token, state) values (?,?,?,?,?,?,?,?,?,?)",
                           "snunuuusbn", run, v[i].flow, v[i].generation, v[i].phase, v[i].id,
                           v[i].after, v[i].flags, v[i].say, v[i].token, (int)WH_STEP_NONE);
    return wh_db_end(s, st, reterr);
}

static int journalled(struct wh_state *s, const char *run, int flow, uint32_t generation, int phase,
                      bool *ret, size_t *ret_n, struct wh_error *reterr)
{
    sqlite3_stmt *q;
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select (select count(*) from phase where run = ?1 and flow = ?2 and"
                       " generation = ?3 and phase = ?4), (select count(*) from step where"
                       " run = ?1 and flow = ?2 and generation = ?3 and phase = ?4)",
                       "snun", run, flow, generation, phase));
    WH_TRY(wh_db_step(s, q, reterr));
    *ret = sqlite3_column_int(q, 0) > 0;
    *ret_n = (size_t)sqlite3_column_int64(q, 1);
    sqlite3_reset(q);
    return WH_OK;
}

int wh_state_steps(struct wh_state *s, const char *run, int flow, uint32_t generation, int phase,
                   struct wh_arena *a, struct wh_step_record **ret, size_t *ret_n,
                   bool *ret_journalled, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    size_t n = 0, most;
    sqlite3_stmt *q;
    bool was;
    WH_TRY(journalled(s, run, flow, generation, phase, &was, &most, reterr));
    struct wh_step_record *v = wh_arena_alloc(a, (most + 1) * sizeof(*v));
    if (!v)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for %zu steps", most);
    WH_TRY(wh_db_query(s, &q, reterr,
                       "select id, after, flags, state, say, token, receipt, error from step"
                       " where run = ? and flow = ? and generation = ? and phase = ? order by id",
                       "snun", run, flow, generation, phase));
    int st = WH_END;
    while (n < most && (st = wh_db_step(s, q, reterr)) == WH_OK) {
        struct wh_step_record *r = &v[n++];
        *r = (struct wh_step_record){.flow = flow,
                                     .generation = generation,
                                     .phase = phase,
                                     .id = (uint32_t)sqlite3_column_int64(q, 0),
                                     .after = (uint32_t)sqlite3_column_int64(q, 1),
                                     .flags = (uint32_t)sqlite3_column_int64(q, 2),
                                     .state = (enum wh_step_state)sqlite3_column_int(q, 3)};
        st = wh_db_text(a, q, 4, &r->say);
        if (st == WH_OK)
            st = wh_db_blob(a, q, 5, &r->token);
        if (st == WH_OK)
            st = wh_db_blob(a, q, 6, &r->receipt);
        if (st == WH_OK)
            st = wh_db_text(a, q, 7, &r->error);
        if (st != WH_OK) {
            sqlite3_reset(q);
            return wh_fail(reterr, st, "E8002", "no memory for step records");
        }
    }
    sqlite3_reset(q);
    if (st != WH_OK && st != WH_END)
        return st;
    *ret = v;
    *ret_n = n;
    *ret_journalled = was;
    return WH_OK;
}

int wh_state_step_set(struct wh_state *s, const char *run, uint32_t epoch,
                      const struct wh_step_record *r, struct wh_error *reterr)
{
    WH_DB_GUARD(s);
    sqlite3_stmt *q;
    int from = 0;
    WH_TRY(wh_db_begin(s, run, epoch, reterr));
    int st = wh_db_query(s, &q, reterr,
                         "select state from step where run = ? and flow = ? and generation = ?"
                         " and phase = ? and id = ?",
                         "snunu", run, r->flow, r->generation, r->phase, r->id);
    if (st == WH_OK)
        st = wh_db_step(s, q, reterr);
    if (st == WH_END)
        st = wh_fail(reterr, WH_E_BUG, "E9001", "step %u of phase %d is not journalled", r->id,
                     r->phase);
    if (st == WH_OK) {
        from = sqlite3_column_int(q, 0);
        sqlite3_reset(q);
        st = wh_db_run(s, NULL, reterr,
                       "update step set state = ?6, receipt = ?7, error = ?8 where run = ?1 and"
                       " flow = ?2 and generation = ?3 and phase = ?4 and id = ?5",
                       "snununbs", run, r->flow, r->generation, r->phase, r->id, (int)r->state,
                       r->receipt, r->error);
    }
    st = wh_db_end(s, st, reterr);
    if (st == WH_OK && from != (int)r->state) {
        char id[64];
        snprintf(id, sizeof(id), "%d.%u.%d.%u", r->flow, r->generation, r->phase, r->id);
        wh_transition("step", id, step_states[from & 3], step_states[r->state & 3]);
    }
    return st;
}
