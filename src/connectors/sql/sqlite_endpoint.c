/* SPDX-License-Identifier: Apache-2.0 */
/* Endpoint, sessions, and the snapshot: n connections that are inside one read instant.
 *
 * While a short BEGIN IMMEDIATE keeps writers away, n connections begin to read; all see the same
 * content, and go on seeing it for as long as they live. In WAL mode writers then go on freely, in
 * rollback mode their commits wait until the readers are gone. A connection that is opened later
 * joins only if the file's fingerprint is still the same. */
#include "sqlite_feed.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "core/clock.h"

#define POOL_MAX ((int)(sizeof((struct lite_ep *)0)->pool / sizeof(sqlite3 *)))

/* ---- endpoint ----------------------------------------------------------------------------------
 */

static wh_status ep_open(void *self, const struct wh_ctx *ctx, enum wh_role role, const void *opts,
                         struct wh_error *reterr)
{
    struct lite_ep *ep = self;
    const struct lite_connection *o = opts;

    ep->ctx = ctx;
    ep->role = role;
    ep->o = o;
    pthread_mutex_init(&ep->lock, NULL);
    if (!o->path || !*o->path)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "the path of the database is missing");
    if (strcmp(o->path, ":memory:") == 0)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1004",
                       "a database in memory dies with its connection: name a file");
    /* SQLite reads a leading "file:" as a URI; people mean a path. */
    ep->path = wh_alloc(strlen(o->path) + 3);
    if (!ep->path)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a path");
    snprintf(ep->path, strlen(o->path) + 3, "%s%s", strncmp(o->path, "file:", 5) ? "" : "./",
             o->path);
    return WH_OK;
}

static void ep_drop_pool(struct lite_ep *ep)
{
    pthread_mutex_lock(&ep->lock);
    ep->snapped = false;
    while (ep->n_pool > 0)
        lite_close(ep->pool[--ep->n_pool], false);
    pthread_mutex_unlock(&ep->lock);
}

static void ep_close(void *self)
{
    struct lite_ep *ep = self;

    ep_drop_pool(ep);
    wh_free(TAKE_PTR(ep->path));
}

static int64_t footprint(const void *opts)
{
    const struct lite_connection *o = opts;

    return o->cache + (256 << 10); /* pages, and what a connection and its schema take */
}

/* ---- sessions ----------------------------------------------------------------------------------
 */

/* Begins to read: from here on this connection sees one instant. */
static int begin_read(sqlite3 *db)
{
    int rc = sqlite3_exec(db, "begin", NULL, NULL, NULL);

    if (rc == SQLITE_OK)
        rc = sqlite3_exec(db, "select 1 from sqlite_schema limit 1", NULL, NULL, NULL);
    return rc;
}

static wh_status gone(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_GONE, "E4008",
                   "the database was changed since its snapshot was taken, or cannot be proved "
                   "unchanged");
}

/* A new connection at the instant of the snapshot, if the file still is what it was. */
static wh_status open_joined(struct lite_se *se, struct wh_error *reterr)
{
    struct lite_print now;
    int rc;

    lite_patience(se);
    rc = begin_read(se->db);
    if (rc != SQLITE_OK)
        return lite_fail(se, rc, reterr, WH_E_REMOTE, "E4002", "cannot begin to read");
    if (lite_print_take(se->db, se->ep->path, &now) != WH_OK ||
        !lite_print_equal(&now, &se->ep->print))
        return gone(reterr);
    return WH_OK;
}

static sqlite3 *pool_get(struct lite_ep *ep, bool *ret_snapped, unsigned *ret_instant)
{
    sqlite3 *db = NULL;

    pthread_mutex_lock(&ep->lock);
    *ret_snapped = ep->snapped;
    *ret_instant = ep->instant;
    if (ep->snapped) {
        ep->n_live++;
        if (ep->n_pool > 0)
            db = ep->pool[--ep->n_pool];
    }
    pthread_mutex_unlock(&ep->lock);
    return db;
}

static bool pool_put(struct lite_ep *ep, sqlite3 *db, unsigned instant, bool usable)
{
    bool kept = false;

    pthread_mutex_lock(&ep->lock);
    ep->n_live--;
    /* An error may have ended the transaction: such a connection sees today, not the snapshot. */
    if (db && usable && instant == ep->instant && !sqlite3_get_autocommit(db) && ep->snapped &&
        ep->n_pool < POOL_MAX) {
        ep->pool[ep->n_pool++] = db;
        kept = true;
    }
    pthread_mutex_unlock(&ep->lock);
    return kept;
}

void lite_identity(const struct lite_ep *ep, const char *table, char *out, size_t size)
{
    char real[PATH_MAX], folder[PATH_MAX];
    const char *slash = strrchr(ep->path, '/');

    if (realpath(ep->path, real)) {
        snprintf(out, size, "sqlite:%.200s#%.100s", real, table);
        return;
    }
    /* The file is not there yet: its folder is. */
    snprintf(folder, sizeof folder, "%.*s",
             slash ? (int)(slash - ep->path) + (slash == ep->path) : 1, slash ? ep->path : ".");
    if (!realpath(folder, real))
        snprintf(real, sizeof real, "%s", folder);
    snprintf(out, size, "sqlite:%.200s/%s#%.100s", strcmp(real, "/") ? real : "",
             slash ? slash + 1 : ep->path, table);
}

static wh_status session_open(void *self, void *endpoint, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    struct lite_se *se = self;
    struct lite_ep *ep = endpoint;
    sqlite3 *db = NULL;
    bool snapped = false, pooled;
    int st;

    se->ep = ep;
    se->ctx = ep->ctx;
    se->use = use;
    snprintf(se->ident, sizeof se->ident, "pid %ld", (long)getpid());
    *ret_ident = wh_str(se->ident);
    if (use == WH_READ)
        db = pool_get(ep, &snapped, &se->instant);
    se->in_snapshot = snapped;
    pooled = db != NULL;
    if (!db) {
        st = lite_open(ep, false, &db, reterr);
        /* A destination may not exist yet: claim and PREPARE make it. */
        if (st == WH_E_NOT_FOUND && use != WH_READ)
            return WH_OK;
        WH_TRY(st);
    }
    lite_se_take(se, db);
    if (use == WH_WRITE || use == WH_STEP)
        atomic_store(&ep->wrote, true);
    st = snapped && !pooled ? open_joined(se, reterr) : WH_OK;
    if (st != WH_OK)
        atomic_store(&se->stopped, true); /* must not reach the pool */
    return st;
}

static void interrupt(void *self)
{
    struct lite_se *se = self;

    atomic_store(&se->stopped, true);
    pthread_mutex_lock(&se->lock);
    if (se->db)
        sqlite3_interrupt(se->db);
    pthread_mutex_unlock(&se->lock);
}

static void session_close(void *self)
{
    struct lite_se *se = self;
    sqlite3 *db;

    if (!se->ep)
        return;
    pthread_mutex_lock(&se->lock);
    db = TAKE_PTR(se->db);
    pthread_mutex_unlock(&se->lock);
    if (se->in_snapshot && pool_put(se->ep, db, se->instant, !atomic_load(&se->stopped)))
        return;
    lite_close(db, atomic_load(&se->ep->wrote));
    lite_feed_free(TAKE_PTR(se->feed));
}

wh_status lite_may_be_made(const struct lite_ep *ep, struct wh_error *reterr)
{
    char folder[PATH_MAX];
    char *slash;
    int err;

    snprintf(folder, sizeof folder, "%s", ep->path);
    slash = strrchr(folder, '/');
    if (slash)
        slash[slash == folder] = 0;
    if (access(slash ? folder : ".", W_OK | X_OK) == 0)
        return WH_OK;
    err = errno;
    wh_ignore(wh_fail_errno(reterr, err, err == ENOENT || err == ENOTDIR ? "E2012" : "E2013",
                            "there is no database %s, and none can be made", ep->path));
    if (err == ENOENT && reterr)
        wh_error_hint(reterr, "make its folder first: mkdir -p '%s'", folder);
    return reterr ? reterr->status : WH_E_NOT_FOUND;
}

static wh_status check(void *self, void *session, struct wh_error *reterr)
{
    struct lite_ep *ep = self;
    struct lite_se *se = session;
    int64_t ignored;

    if (se->db)
        return lite_number(se, "select count(*) from sqlite_schema", 0, &ignored, reterr);
    return lite_may_be_made(ep, reterr);
}

static wh_status tick(void *ep, void *se, struct wh_error *reterr)
{
    return WH_OK; /* open connections need no care */
}

/* ---- snapshot ----------------------------------------------------------------------------------
 */

/* Opens the connections; all of them must find the same content. Without the right to lock the file
 * (read-only media) writers may slip in between: then it is tried again. */
static wh_status fill_pool(struct lite_se *se, int n, struct wh_error *reterr)
{
    struct lite_ep *ep = se->ep;

    for (int i = 0; i < n; i++) {
        struct lite_se one = {.ep = ep, .ctx = se->ctx, .use = WH_READ};
        struct lite_print now;
        sqlite3 *db = NULL;
        int rc;

        WH_TRY(lite_open(ep, false, &db, reterr));
        lite_se_take(&one, db);
        lite_patience(&one);
        rc = begin_read(db);
        sqlite3_busy_handler(db, NULL, NULL);
        ep->pool[ep->n_pool++] = db;
        if (rc != SQLITE_OK)
            return lite_fail(&one, rc, reterr, WH_E_REMOTE, "E4002", "cannot begin to read");
        if (lite_print_take(db, ep->path, &now) != WH_OK)
            return wh_fail(reterr, WH_E_IO, "E4002", "cannot read the header of %s", ep->path);
        if (i == 0)
            ep->print = now;
        else if (!lite_print_equal(&now, &ep->print))
            return WH_REFUSED;
    }
    return WH_OK;
}

static void empty_pool(struct lite_ep *ep)
{
    while (ep->n_pool > 0)
        lite_close(ep->pool[--ep->n_pool], false);
}

static wh_status take_instant(struct lite_se *se, int n, struct wh_error *reterr)
{
    struct wh_error first = {0};
    sqlite3 *guard = NULL;
    struct lite_se keeper = {.ep = se->ep, .ctx = se->ctx, .use = WH_CONTROL};
    int st = WH_REFUSED, locked = WH_OK;

    WH_TRY(lite_open(se->ep, false, &guard, reterr));
    lite_se_take(&keeper, guard);
    if (n > 1)
        locked = lite_exec(&keeper, "begin immediate", &first);
    if (locked != WH_OK && locked != WH_E_AUTH) { /* E_AUTH: read-only, go on without the lock */
        lite_close(guard, false);
        if (reterr)
            *reterr = first;
        return locked;
    }
    for (int times = 0; st == WH_REFUSED && times < 20; times++) {
        empty_pool(se->ep);
        st = fill_pool(se, n, reterr);
    }
    lite_close(guard, false); /* rolls back; nothing was written */
    if (st == WH_REFUSED)
        return wh_fail(reterr, WH_BLOCKED, "E5010",
                       "%s changes too often to open %d readers at one instant", se->ep->path, n);
    return st;
}

static void describe_snapshot(const struct lite_ep *ep, int n, struct wh_snapshot *ret)
{
    uint32_t counter = (uint32_t)ep->print.header[24] << 24 | (uint32_t)ep->print.header[25] << 16 |
                       (uint32_t)ep->print.header[26] << 8 | ep->print.header[27];

    *ret = (struct wh_snapshot){.kind = WH_SNAP_SESSIONS,
                                .token = {&ep->print, sizeof ep->print},
                                .unchanged_provable = true};
    snprintf(ret->what, sizeof ret->what, "%d reader%s at change %u; %s", n, n == 1 ? "" : "s",
             counter,
             ep->print.wal ? "writers go on (WAL)" : "commits of others wait (rollback journal)");
}

static wh_status snapshot(void *self, void *session, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    struct lite_ep *ep = self;
    int n = sessions < 1 ? 1 : sessions > POOL_MAX ? POOL_MAX : sessions;
    int st;

    ep_drop_pool(ep);
    pthread_mutex_lock(&ep->lock);
    st = take_instant(session, n, reterr);
    if (st == WH_OK) {
        ep->snapped = true;
        ep->instant++;
        describe_snapshot(ep, n, ret);
    } else {
        empty_pool(ep);
    }
    pthread_mutex_unlock(&ep->lock);
    return st;
}

static wh_status join(void *self, const struct wh_snapshot *s, struct wh_error *reterr)
{
    struct lite_ep *ep = self;
    struct lite_se one = {.ep = ep, .ctx = ep->ctx, .use = WH_READ};
    sqlite3 *db = NULL;
    int st;

    if (s->token.n != sizeof ep->print)
        return gone(reterr);
    st = lite_open(ep, false, &db, reterr);
    if (st == WH_E_NOT_FOUND)
        return gone(reterr);
    WH_TRY(st);
    memcpy(&ep->print, s->token.p, sizeof ep->print);
    lite_se_take(&one, db);
    st = open_joined(&one, reterr);
    sqlite3_busy_handler(db, NULL, NULL);
    if (st != WH_OK) {
        lite_close(db, false);
        return st;
    }
    pthread_mutex_lock(&ep->lock);
    empty_pool(ep);
    ep->pool[ep->n_pool++] = db;
    ep->snapped = true;
    ep->instant++;
    pthread_mutex_unlock(&ep->lock);
    return WH_OK;
}

static void release(void *self, const struct wh_snapshot *s)
{
    ep_drop_pool(self);
}

const struct wh_endpoint_ops lite_endpoint = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = ep_open,
    .check = check,
    .session_open = session_open,
    .interrupt = interrupt,
    .snapshot = snapshot,
    .join = join,
    .release = release,
    .tick = tick,
    .catalog = lite_catalog,
    .claim = lite_claim,
    .evict = lite_evict,
    .run_close = lite_run_close,
    .remember = lite_remember,
    .recall = lite_recall,
    .disown = lite_disown,
    .footprint = footprint,
    .session_close = session_close,
    .close = ep_close,
};
