/* SPDX-License-Identifier: Apache-2.0 */
/* The snapshot of a run: taken and kept by the holder, a process of its own with a connection of
 * its own (`wherry hold`), entered by every READ session, and again after a kill.
 *
 * The holder locks the tables that will be read (ACCESS SHARE: no truncate, no rewrite) before it
 * exports, because neither respects snapshots. Its session is tagged with the run and no epoch
 * ("wherry/<12 of run>/hold<endpoint>"), so that it can be found and is never evicted as a zombie.
 *
 * The name of an exported snapshot is made of small numbers and comes again after a restart of the
 * server, maybe for somebody else's snapshot. So whoever enters compares what it sees with what was
 * recorded: the transactions of the snapshot, and that its exporter is the session it was. */
#include "pg_scan.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"
#include "core/hash.h"
#include "core/options.h"
#include "data/number.h"

enum {
    TTL_MS = 3600000 /* without a sign of life (tick) the holder ends */
};

struct pg_pin {
    uint64_t object; /* hash of the name by which it is asked */
    const char *what;
    bool query;
};

/* ---- what is locked ----------------------------------------------------------------------------
 */

static uint64_t name_hash(const struct wh_name *name)
{
    uint64_t h = (uint64_t)name->n;

    for (int i = 0; i < name->n; i++)
        h = wh_hash64(name->part[i].s ? name->part[i].s : "", name->part[i].n, h);
    return h;
}

static int by_object(const void *a, const void *b)
{
    const struct pg_pin *p = a, *q = b;

    if (p->object != q->object)
        return p->object < q->object ? -1 : 1;
    return strcmp(p->what, q->what);
}

wh_status pg_pin(struct pg_ep *ep, const struct wh_name *object, const char *what, bool query,
                 struct wh_error *reterr)
{
    struct pg_pin pin = {.object = name_hash(object), .query = query};
    size_t n = strlen(what) + 1;
    char *own = ep->ctx->alloc(ep->ctx, n);
    struct pg_pin *more = ep->pins;
    int st = WH_OK;

    if (!own)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
    memcpy(own, what, n);
    pin.what = own;
    pthread_mutex_lock(&ep->lock);
    if ((ep->n_pins & (ep->n_pins - 1)) == 0) { /* grows in powers of two */
        more = ep->ctx->alloc(ep->ctx, (ep->n_pins ? 2 * ep->n_pins : 1) * sizeof *more);
        if (more && ep->n_pins)
            memcpy(more, ep->pins, ep->n_pins * sizeof *more);
    }
    if (more) {
        ep->pins = more;
        ep->pins[ep->n_pins++] = pin;
    } else {
        st = WH_E_NOMEM;
    }
    pthread_mutex_unlock(&ep->lock);
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "no memory for a scan");
}

static bool wanted(const struct wh_objects *pin, const uint64_t *sorted, uint64_t object)
{
    size_t lo = 0, hi = pin->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (sorted[mid] < object)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < pin->n && sorted[lo] == object;
}

static int by_number(const void *a, const void *b)
{
    uint64_t p = *(const uint64_t *)a, q = *(const uint64_t *)b;

    return p < q ? -1 : p > q;
}

/* One line per lock: 't' or 'q', then the SQL with its newlines made blanks ... which a comment in
 * a query would not survive, so lines end with NUL. */
wh_status pg_pins(struct pg_ep *ep, const struct wh_objects *pin, struct wh_buf *out)
{
    uint64_t *hashes WH_CLEANUP(wh_freep) = wh_alloc((pin->n + 1) * sizeof *hashes);

    if (!hashes)
        return WH_E_NOMEM;
    for (size_t i = 0; i < pin->n; i++)
        hashes[i] = name_hash(&pin->v[i]);
    qsort(hashes, pin->n, sizeof *hashes, by_number);
    qsort(ep->pins, ep->n_pins, sizeof *ep->pins, by_object);
    for (size_t i = 0; i < ep->n_pins; i++) {
        const struct pg_pin *p = &ep->pins[i];

        if (!wanted(pin, hashes, p->object) || (i && by_object(p, p - 1) == 0))
            continue;
        WH_TRY(wh_buf_addc(out, p->query ? 'q' : 't'));
        WH_TRY(wh_buf_add(out, p->what, strlen(p->what) + 1));
    }
    return WH_OK;
}

/* ---- the engine's side -------------------------------------------------------------------------
 */

struct ready {
    char name[80];
    struct pg_held held;
    int64_t xmin, locks;
};

/* Reads what the holder said; also the token in the state. */
static bool read_ready(struct wh_bytes b, struct ready *ret)
{
    char text[256], *save = NULL, *word;
    int i = 0;

    if (b.n == 0 || b.n >= sizeof text)
        return false;
    memcpy(text, b.p, b.n);
    text[b.n] = 0;
    *ret = (struct ready){0};
    for (word = strtok_r(text, " ", &save); word; word = strtok_r(NULL, " ", &save), i++) {
        char *end = NULL;
        bool ok = true;

        if (i == 0)
            ok = snprintf(ret->name, sizeof ret->name, "%s", word) < (int)sizeof ret->name;
        else if (i == 3)
            ret->held.content = strtoull(word, &end, 16);
        else
            ok = wh_read_i64(word, strlen(word),
                             i == 1   ? &ret->held.pid
                             : i == 2 ? &ret->held.started_us
                             : i == 4 ? &ret->xmin
                                      : &ret->locks);
        if (!ok || i > 5 || (end && *end))
            return false;
    }
    for (const char *p = ret->name; *p; p++)
        if (!((*p >= '0' && *p <= '9') || (*p >= 'A' && *p <= 'F') || *p == '-'))
            return false;
    return i == 6;
}

static void use_snapshot(struct pg_ep *ep, const struct ready *r)
{
    pthread_mutex_lock(&ep->lock);
    snprintf(ep->snapshot, sizeof ep->snapshot, "%s", r->name);
    uint64_t number = ep->held.number + 1;
    ep->held = r->held;
    ep->held.number = number;
    ep->snapped = true;
    pthread_mutex_unlock(&ep->lock);
}

uint64_t pg_instant(struct pg_ep *ep)
{
    uint64_t n;

    pthread_mutex_lock(&ep->lock);
    n = ep->snapped ? ep->held.number : 0;
    pthread_mutex_unlock(&ep->lock);
    return n;
}

/* ---- heirs -------------------------------------------------------------------------------------
 */

/* All tables that others inherit from, in the snapshot of that number. */
struct pg_heirs {
    uint64_t instant;
    size_t n;
    uint32_t parents[]; /* sorted */
};

static wh_status list_parents(struct pg_se *se, uint64_t instant, struct pg_heirs **ret,
                              struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    bool visit = !se->in_snapshot;
    struct pg_heirs *h;
    int st;

    if (visit)
        WH_TRY(pg_enter(se, reterr));
    st = pg_query(se->c, "select distinct inhparent from pg_catalog.pg_inherits order by 1", 0,
                  NULL, &r, reterr);
    if (visit) {
        pg_rollback(se->c);
        se->in_snapshot = false;
    }
    WH_TRY(st);
    h = wh_alloc(sizeof *h + (size_t)pg_n_rows(r) * sizeof h->parents[0]);
    if (!h)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for partitions");
    *h = (struct pg_heirs){.instant = instant, .n = (size_t)pg_n_rows(r)};
    for (size_t i = 0; i < h->n; i++)
        h->parents[i] = (uint32_t)pg_cell_i64(r, (int)i, 0, 0);
    *ret = h;
    return WH_OK;
}

static bool is_parent(const struct pg_heirs *h, uint32_t oid)
{
    size_t lo = 0, hi = h->n;

    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;

        if (h->parents[mid] < oid)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < h->n && h->parents[lo] == oid;
}

wh_status pg_has_heirs(struct pg_se *se, uint64_t instant, uint32_t oid, bool *ret,
                       struct wh_error *reterr)
{
    struct pg_heirs *made = NULL, *old = NULL;
    struct pg_ep *ep = se->ep;
    bool known;

    pthread_mutex_lock(&ep->lock);
    known = ep->heirs && ep->heirs->instant == instant;
    if (known)
        *ret = is_parent(ep->heirs, oid);
    pthread_mutex_unlock(&ep->lock);
    if (known)
        return WH_OK;
    WH_TRY(list_parents(se, instant, &made, reterr));
    *ret = is_parent(made, oid);
    pthread_mutex_lock(&ep->lock);
    old = ep->heirs;
    ep->heirs = made;
    pthread_mutex_unlock(&ep->lock);
    wh_free(old);
    return WH_OK;
}

/* ---- taking it ---------------------------------------------------------------------------------
 */

/* A holder of this run that an engine left behind before it could write its token down. */
static wh_status end_holders(struct pg_ep *ep, struct pg_se *se, struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char tag[64];
    const char *params[1] = {tag};

    pg_hold_tag(ep->ctx, tag, sizeof tag);
    ep->ctx->holder_release(ep->ctx);
    return pg_query(se->c,
                    "select pg_terminate_backend(pid) from pg_stat_activity where "
                    "application_name = $1 and datname = current_database() and pid <> "
                    "pg_backend_pid()",
                    1, params, &r, reterr);
}

wh_status pg_snapshot(void *self, void *session, const struct wh_objects *pin, int sessions,
                      struct wh_snapshot *ret, struct wh_error *reterr)
{
    struct wh_buf config WH_CLEANUP(wh_buf_free) = WH_BUF(PG_HOLD_CONFIG);
    struct pg_ep *ep = self;
    struct pg_se *se = session;
    struct wh_bytes ready = {0};
    struct ready r;
    int st;

    if (!ep->ctx->holder)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E4008", "there is no holder service here");
    pg_use(se->c, ep->ctx);
    WH_TRY(end_holders(ep, se, reterr));
    st = pg_hold_config(ep, pin, &config);
    if (st == WH_OK)
        st =
            ep->ctx->holder(ep->ctx, (struct wh_bytes){config.p, config.n}, TTL_MS, &ready, reterr);
    else
        st = wh_fail(reterr, st, st == WH_E_LIMIT ? "E4008" : "E8002",
                     "too many tables for one snapshot");
    if (config.p)
        wh_wipe(config.p, config.n);
    if (st != WH_OK)
        return st;
    if (!read_ready(ready, &r))
        return wh_fail(reterr, WH_E_BUG, "E4008", "the holder said '%.*s'",
                       ready.n > 100 ? 100 : (int)ready.n, (const char *)ready.p);
    use_snapshot(ep, &r);
    *ret = (struct wh_snapshot){.kind = WH_SNAP_HELD, .token = ready};
    snprintf(ret->what, sizeof ret->what, "%s, pins xmin %lld, %lld lock%s", r.name,
             (long long)r.xmin, (long long)r.locks, r.locks == 1 ? "" : "s");
    return WH_OK;
}

static wh_status gone(const char *name, const char *why, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_GONE, "E4008", "snapshot %s can no longer be entered: %s", name, why);
}

/* Are we where the holder is? */
static wh_status prove(struct pg_conn *c, const char *name, const struct pg_held *held,
                       struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    char pid[24];
    const char *params[1] = {pid};
    struct wh_str text;

    snprintf(pid, sizeof pid, "%lld", (long long)held->pid);
    WH_TRY(pg_query(c,
                    pg_old_names(c)
                        ? "select txid_current_snapshot(), (select (extract(epoch from "
                          "backend_start) * 1000000)::bigint from pg_stat_activity where pid = $1)"
                        : "select pg_current_snapshot(), (select (extract(epoch from "
                          "backend_start) * 1000000)::bigint from pg_stat_activity where pid = $1)",
                    1, params, &r, reterr));
    text = pg_cell(r, 0, 0);
    if (wh_hash64(text.s, text.n, 0) != held->content ||
        pg_cell_i64(r, 0, 1, -1) != held->started_us)
        return gone(name, "another snapshot has its name now", reterr);
    return WH_OK;
}

/* 22023, 42704: no such snapshot; 55000: its exporter is gone. */
static bool is_gone(const struct wh_error *err)
{
    return strcmp(err->sqlstate, "22023") == 0 || strcmp(err->sqlstate, "42704") == 0 ||
           strcmp(err->sqlstate, "55000") == 0 || strcmp(err->sqlstate, "58P01") == 0;
}

static wh_status enter(struct pg_conn *c, const char *name, const struct pg_held *held,
                       struct wh_error *reterr)
{
    struct wh_error err = {0};
    char sql[300];
    int st;

    /* The order of rows by place is relied upon where a unit is cut. */
    snprintf(sql, sizeof sql,
             "begin isolation level repeatable read read only; set transaction snapshot '%s'; set "
             "local max_parallel_workers_per_gather = 0; set local synchronize_seqscans = off",
             name);
    st = pg_exec(c, sql, &err);
    if (st == WH_OK)
        st = prove(c, name, held, &err);
    if (st != WH_OK && !pg_dead(c))
        pg_rollback(c);
    if (st != WH_OK && st != WH_GONE && is_gone(&err))
        return gone(name, err.message, reterr);
    if (st != WH_OK && reterr)
        *reterr = err;
    return st;
}

wh_status pg_enter(struct pg_se *se, struct wh_error *reterr)
{
    struct pg_ep *ep = se->ep;
    char name[sizeof ep->snapshot];
    struct pg_held held;
    bool snapped;

    pthread_mutex_lock(&ep->lock);
    snapped = ep->snapped;
    held = ep->held;
    memcpy(name, ep->snapshot, sizeof name);
    pthread_mutex_unlock(&ep->lock);
    se->in_snapshot = false;
    if (!snapped)
        return WH_OK;
    WH_TRY(enter(se->c, name, &held, reterr));
    se->in_snapshot = true;
    return WH_OK;
}

wh_status pg_join(void *self, const struct wh_snapshot *s, struct wh_error *reterr)
{
    struct pg_ep *ep = self;
    struct pg_conn *c = NULL;
    struct ready r;
    int st;

    if (!read_ready(s->token, &r))
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored snapshot is none of ours");
    WH_TRY(pg_dial(ep, ep->o, ep->ctx, "c", &c, reterr));
    st = enter(c, r.name, &r.held, reterr);
    pg_free(c);
    if (st == WH_OK)
        use_snapshot(ep, &r);
    return st;
}

void pg_release(void *self, const struct wh_snapshot *s)
{
    struct pg_ep *ep = self;

    if (!ep->ctx)
        return;
    if (ep->ctx->holder_release)
        ep->ctx->holder_release(ep->ctx);
    pthread_mutex_lock(&ep->lock);
    ep->snapped = false;
    pthread_mutex_unlock(&ep->lock);
}

wh_status pg_tick(void *self, void *session, struct wh_error *reterr)
{
    struct pg_ep *ep = self;

    if (ep->ctx->holder_touch)
        ep->ctx->holder_touch(ep->ctx);
    return WH_OK;
}
