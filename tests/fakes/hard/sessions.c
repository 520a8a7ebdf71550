/* SPDX-License-Identifier: Apache-2.0 */
/* hard-sessions: a snapshot that lives in n sessions opened together, as MySQL's does.
 *
 * Under one short lock n connections begin their read transactions, so all see the same instant. A
 * READ session takes one of them; one that is closed or lost cannot be replaced (GONE), and in
 * another process the snapshot cannot be entered at all (join: GONE). An engine that opens another
 * session in place of a lost one, or that takes a new snapshot after a kill without saying so,
 * mixes two instants: sums of money no longer add up. One that gives up the splits of a lost
 * session instead of handing them to the living ones loses rows.
 *
 * The connections are the snapshot: real read transactions of the store. Option snapshot=off makes
 * join answer OK and sessions see whatever is there now: the control that must go red. */
#include "hard.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

enum {
    SLOTS = 64
};

enum slot_state {
    SLOT_FREE,  /* open, in the snapshot, nobody's yet */
    SLOT_TAKEN, /* a READ session's */
    SLOT_SPENT  /* closed: never again */
};

struct pool {
    char token[48];
    int n;
    bool taken; /* a snapshot was taken in this process */
    bool off;   /* joined without entering: the control */
    struct {
        sqlite3 *db;
        enum slot_state state;
    } slot[SLOTS];
};

static wh_status begin_read(sqlite3 *db, struct wh_error *reterr)
{
    int64_t n;

    WH_TRY(hard_exec(db, reterr, "begin"));
    return hard_int(db, &n, NULL, reterr, "select count(*) from sqlite_schema");
}

static wh_status open_all(struct hard_endpoint *ep, struct pool *p, int n, struct wh_error *reterr)
{
    for (int i = 0; i < n; i++) {
        WH_TRY(hard_db_open(ep->db_path, &p->slot[i].db, reterr));
        p->n = i + 1;
        WH_TRY(begin_read(p->slot[i].db, reterr));
    }
    return WH_OK;
}

static void close_all(struct pool *p)
{
    for (int i = 0; i < p->n; i++)
        if (p->slot[i].state != SLOT_SPENT) {
            hard_rollback(p->slot[i].db);
            sqlite3_close(p->slot[i].db);
            p->slot[i].state = SLOT_SPENT;
        }
}

static wh_status endpoint_open(void *self, const struct wh_ctx *ctx, enum wh_role role,
                               const void *opts, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;

    WH_TRY(hard_open(ep, ctx, role, opts, reterr));
    ep->own = wh_calloc(1, sizeof(struct pool));
    return ep->own ? WH_OK : WH_E_NOMEM;
}

/* All begin while the control session holds the write lock: no commit comes between two of them. */
static wh_status snapshot(void *self, void *session, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct hard_session *control = session;
    struct pool *p = ep->own;

    close_all(p);
    memset(p, 0, sizeof *p);
    WH_TRY(hard_exec(control->db, reterr, "begin immediate"));
    int st = open_all(ep, p, sessions < 1 ? 1 : sessions > SLOTS ? SLOTS : sessions, reterr);

    hard_rollback(control->db);
    if (st != WH_OK) {
        close_all(p);
        return st;
    }
    p->taken = true;
    snprintf(p->token, sizeof p->token, "%d:%lld", (int)getpid(), (long long)wh_now_ns());
    *ret = (struct wh_snapshot){.kind = WH_SNAP_SESSIONS, .token = {p->token, strlen(p->token)}};
    snprintf(ret->what, sizeof ret->what, "%d sessions of one instant", p->n);
    return WH_OK;
}

static wh_status join(void *self, const struct wh_snapshot *snap, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct pool *p = ep->own;

    if (p->taken && snap->token.n == strlen(p->token) &&
        memcmp(snap->token.p, p->token, snap->token.n) == 0)
        return WH_OK;
    if (!ep->opts->snapshot) {
        p->off = true;
        return WH_OK;
    }
    return wh_fail(reterr, WH_GONE, "E4008",
                   "the snapshot was in the sessions of a process that is gone");
}

static wh_status take_slot(struct hard_session *se, struct pool *p, struct wh_error *reterr)
{
    for (int i = 0; i < p->n; i++)
        if (p->slot[i].state == SLOT_FREE) {
            p->slot[i].state = SLOT_TAKEN;
            se->slot = i;
            se->db = p->slot[i].db;
            return WH_OK;
        }
    return wh_fail(reterr, WH_GONE, "E4008",
                   "all %d sessions of the snapshot are in use or were closed", p->n);
}

static wh_status session_open(void *self, void *endpoint, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    struct hard_session *se = self;
    struct hard_endpoint *ep = endpoint;
    struct pool *p = ep->own;

    if (use != WH_READ || !p->taken || p->off)
        return hard_session_open(se, ep, use, ret_ident, reterr);
    se->ep = ep;
    se->use = use;
    se->slot = -1;
    pthread_mutex_lock(&ep->mutex);
    int st = take_slot(se, p, reterr);

    pthread_mutex_unlock(&ep->mutex);
    if (st != WH_OK)
        return st;
    char ident[96];

    snprintf(ident, sizeof ident, "%s/%d", p->token, se->slot);
    memcpy(se->ident, ident, sizeof ident);
    *ret_ident = wh_str(se->ident);
    return WH_OK;
}

static void session_close(void *self)
{
    struct hard_session *se = self;
    struct pool *p = se->ep ? se->ep->own : NULL;

    if (!se->db || se->slot < 0 || !p) {
        hard_session_close(se);
        return;
    }
    pthread_mutex_lock(&se->ep->mutex);
    p->slot[se->slot].state = SLOT_SPENT;
    hard_rollback(se->db);
    sqlite3_close(se->db);
    se->db = NULL;
    pthread_mutex_unlock(&se->ep->mutex);
}

/* The free ones only: sessions that still live are closed by whoever has them. */
static void release(void *self, const struct wh_snapshot *snap)
{
    struct hard_endpoint *ep = self;
    struct pool *p = ep->own;

    pthread_mutex_lock(&ep->mutex);
    for (int i = 0; p && i < p->n; i++)
        if (p->slot[i].state == SLOT_FREE) {
            hard_rollback(p->slot[i].db);
            sqlite3_close(p->slot[i].db);
            p->slot[i].state = SLOT_SPENT;
        }
    pthread_mutex_unlock(&ep->mutex);
}

static void endpoint_close(void *self)
{
    struct hard_endpoint *ep = self;

    if (ep->open && ep->own)
        close_all(ep->own);
    hard_close(ep);
}

static const struct wh_endpoint_ops endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = endpoint_open,
    .check = hard_check,
    .session_open = session_open,
    .interrupt = hard_interrupt,
    .snapshot = snapshot,
    .join = join,
    .release = release,
    .catalog = hard_catalog,
    .claim = hard_claim,
    .evict = hard_evict,
    .run_close = hard_run_close,
    .session_close = session_close,
    .close = endpoint_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_SESSIONS, WH_CLASS_T);
static const char *const schemes[] = {"hard-sessions", NULL};

WH_CONNECTOR(hard_sessions);
const struct wh_connector wh_connector_hard_sessions = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-sessions",
    .title = "Fake: a snapshot in n sessions that cannot be replaced",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &endpoint_ops,
    .source = &hard_range_source,
};
