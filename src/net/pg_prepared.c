/* SPDX-License-Identifier: Apache-2.0 */
/* Statements that come again are prepared: a server plans most of ours for longer than it runs
 * them. Known by their text; only such as have parameters, which are all our own and find the same
 * objects under any search path. A plan is made anew now and then: one that suits an empty table of
 * markers does not suit a full one. */
#include "net/pg_internal.h"

#include <stdio.h>
#include <string.h>

#include "core/hash.h"

/* When all places are taken, what comes then stays as it is: a session has a handful of statements
 * for each table, and those come first. */
static bool seen_before(struct pg_conn *c, uint64_t hash)
{
    for (unsigned i = 0; i < PG_SEEN; i++)
        if (c->seen[i] == hash)
            return true;
    c->seen[c->n_seen++ % PG_SEEN] = hash;
    return false;
}

static struct pg_prepared *find(struct pg_conn *c, const char *sql, uint64_t hash)
{
    for (int i = 0; i < c->n_prepared; i++)
        if (c->prepared[i].hash == hash && strcmp(c->prepared[i].sql, sql) == 0)
            return &c->prepared[i];
    return NULL;
}

static struct pg_prepared *add(struct pg_conn *c, const char *sql, uint64_t hash)
{
    struct pg_prepared *p = &c->prepared[c->n_prepared];

    *p = (struct pg_prepared){.hash = hash, .sql = wh_strdup(sql)};
    if (!p->sql)
        return NULL; /* then it goes as text */
    snprintf(p->name, sizeof p->name, "wherry_%d", c->n_prepared++);
    return p;
}

static int run_prepare(struct pg_conn *c, struct pg_prepared *p, int n, struct wh_error *reterr)
{
    char sql[40];

    if (p->uses) {
        snprintf(sql, sizeof sql, "deallocate %s", p->name);
        WH_TRY(pg_exec(c, sql, reterr));
    }
    p->uses = 0;
    c->running = true;
    if (!PQsendPrepare(c->pg, p->name, p->sql, n, NULL))
        return pg_lost(c, reterr);
    return pg_drain(c, WH_OK, reterr);
}

int pg_prepared(struct pg_conn *c, const char *sql, int n, const char **ret,
                struct wh_error *reterr)
{
    uint64_t hash = wh_hash64(sql, strlen(sql), (uint64_t)n);
    struct wh_error err = {0};
    struct pg_prepared *p;
    int st;

    *ret = NULL;
    if (n == 0 || c->unprepared)
        return WH_OK;
    p = find(c, sql, hash);
    if (!p && (!seen_before(c, hash) || c->n_prepared == PG_PREPARED || !(p = add(c, sql, hash))))
        return WH_OK;
    st = p->uses && p->uses < PG_PREPARED_USES ? WH_OK : run_prepare(c, p, n, &err);
    if (st == WH_OK) {
        p->uses++;
        *ret = p->name;
        return WH_OK;
    }
    p->hash = 0; /* not known any more; it keeps its place */
    p->sql[0] = 0;
    if (pg_prepared_gone(c, st, &err) && pg_transaction(c) != 'E')
        return WH_OK;
    if (reterr) /* as the statement itself would have failed */
        *reterr = err;
    return st;
}

/* 26000: unknown name, 42P05: known already (another server behind the same connection). */
bool pg_prepared_gone(struct pg_conn *c, int st, struct wh_error *err)
{
    if (st >= 0 || (strcmp(err->sqlstate, "26000") != 0 && strcmp(err->sqlstate, "42P05") != 0))
        return false;
    c->unprepared = true;
    err->retriable = true;
    return true;
}

void pg_prepared_free(struct pg_conn *c)
{
    for (int i = 0; i < c->n_prepared; i++)
        wh_free(c->prepared[i].sql);
    c->n_prepared = 0;
}
