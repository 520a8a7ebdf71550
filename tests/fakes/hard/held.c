/* SPDX-License-Identifier: Apache-2.0 */
/* hard-held: a snapshot that lives as long as its holder, as PostgreSQL's exported one does.
 *
 * A process of its own (ctx->holder, body `hold`) makes a copy of the pinned tables inside the
 * server and keeps it; while it lives anybody may enter (join), also an engine that was started
 * after a kill. When it dies nobody may any more: join, session_open and reader_open answer GONE,
 * sessions that had entered go on. Splits are places in the copy (as ctid is), and each copy has
 * its rows in another order: an engine that reads the splits of one snapshot in another loses and
 * doubles rows; one that never releases the holder leaves it behind (hardctl judge counts it).
 *
 * The holder keeps an exclusive lock on holder-<version>.lock in the server's folder: a lock that
 * can be had means that it is dead. Its pid is in that file. */
#include "hard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "data/number.h"

enum {
    TTL_MS = 3600000,
    CONFIG = 4096
};

struct held {
    char token[32], config[CONFIG];
    int64_t version;
    bool off;
};

/* ----------------------------------------------------------------------------------- the holder */

static void lock_path(const char *db_path, int64_t version, char out[HARD_PATH + 40])
{
    const char *slash = strrchr(db_path, '/');

    snprintf(out, HARD_PATH + 40, "%.*s/holder-%lld.lock", (int)(slash - db_path), db_path,
             (long long)version);
}

static wh_status take_lock(const char *db_path, int64_t version, int *ret, struct wh_error *reterr)
{
    char path[HARD_PATH + 40], pid[16];

    lock_path(db_path, version, path);
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E4008", "%s", path);
    int n = snprintf(pid, sizeof pid, "%d\n", (int)getpid());

    if (flock(fd, LOCK_EX | LOCK_NB) || write(fd, pid, (size_t)n) != n) {
        int st = wh_fail_errno(reterr, errno, "E4008", "%s", path);

        close(fd);
        return st;
    }
    *ret = fd;
    return WH_OK;
}

static bool holder_lives(const char *db_path, int64_t version)
{
    char path[HARD_PATH + 40];

    lock_path(db_path, version, path);
    int fd = open(path, O_RDWR | O_CLOEXEC);

    if (fd < 0)
        return false;
    bool lives = flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

    close(fd);
    return lives;
}

/* Copies without a living holder: left by one that was killed. */
static wh_status sweep(sqlite3 *db, const char *db_path, struct wh_error *reterr)
{
    int64_t seen = 0, version = 0;
    bool found = true;

    for (;;) {
        WH_TRY(hard_int(db, &version, &found, reterr,
                        "select version from hard_version where kind = 'held' and version > %lld"
                        " order by version limit 1",
                        (long long)seen));
        if (!found)
            return WH_OK;
        seen = version;
        if (!holder_lives(db_path, version)) {
            char path[HARD_PATH + 40];

            WH_TRY(hard_version_drop(db, version, reterr));
            lock_path(db_path, version, path);
            unlink(path);
        }
    }
}

/* Config: lines db_path, run, then one line per pinned table. */
static size_t split_lines(char *text, char *lines[], size_t most)
{
    size_t n = 0;

    while (text && *text && n < most) {
        char *line = strsep(&text, "\n");

        if (*line)
            lines[n++] = line;
    }
    return n;
}

static wh_status make_copy(sqlite3 *db, char *lines[], size_t n, int64_t *ret_version,
                           int *ret_lock, struct wh_error *reterr)
{
    struct wh_name names[64];
    struct wh_objects pin = {.v = names};

    for (size_t i = 2; i < n && pin.n < 64; i++)
        names[pin.n++] = (struct wh_name){.part = {wh_str(lines[i])}, .n = 1};
    WH_TRY(sweep(db, lines[0], reterr));
    WH_TRY(hard_version_make(db, lines[1], &pin, true, ret_version, reterr));
    return take_lock(lines[0], *ret_version, ret_lock, reterr);
}

static void keep(sqlite3 *db, const char *db_path, int64_t version, bool (*alive)(void *),
                 void *arg)
{
    char path[HARD_PATH + 40];

    while (alive(arg))
        poll(NULL, 0, 200);
    wh_ignore(hard_version_drop(db, version, NULL));
    lock_path(db_path, version, path);
    unlink(path);
}

static wh_status hold(struct wh_bytes config, int ready_fd, bool (*alive)(void *), void *arg,
                      struct wh_error *reterr)
{
    char text[CONFIG], *lines[66], ready[32];
    int64_t version = 0;
    int lock WH_CLEANUP(wh_closep) = -1;
    sqlite3 *db = NULL;

    if (config.n >= sizeof text)
        return wh_fail(reterr, WH_E_LIMIT, "E4008", "too many pinned tables");
    memcpy(text, config.p, config.n);
    text[config.n] = 0;
    size_t n = split_lines(text, lines, 66);

    if (n < 2)
        return wh_fail(reterr, WH_E_USAGE, "E4008", "no configuration");
    WH_TRY(hard_db_open(lines[0], &db, reterr));
    int st = make_copy(db, lines, n, &version, &lock, reterr);

    if (st == WH_OK) {
        int k = snprintf(ready, sizeof ready, "%lld", (long long)version);
        ssize_t wrote = write(ready_fd, ready, (size_t)k);

        close(ready_fd);
        if (wrote == k)
            keep(db, lines[0], version, alive, arg);
    }
    sqlite3_close(db);
    return st;
}

/* ------------------------------------------------------------------------------------- endpoint */

static wh_status endpoint_open(void *self, const struct wh_ctx *ctx, enum wh_role role,
                               const void *opts, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;

    WH_TRY(hard_open(ep, ctx, role, opts, reterr));
    ep->own = wh_calloc(1, sizeof(struct held));
    return ep->own ? WH_OK : WH_E_NOMEM;
}

static wh_status make_config(const struct hard_endpoint *ep, const struct wh_objects *pin,
                             struct held *h, size_t *ret_n, struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(CONFIG - 1);

    WH_TRY(wh_buf_printf(&b, "%s\n%s\n", ep->db_path, ep->ctx->run[0] ? ep->ctx->run : "-"));
    for (size_t i = 0; i < pin->n; i++)
        WH_TRY(wh_buf_printf(&b, "%.*s\n", WH_STR_FMT(pin->v[i].part[pin->v[i].n - 1])));
    memcpy(h->config, b.p, b.n);
    *ret_n = b.n;
    return WH_OK;
}

static wh_status snapshot(void *self, void *session, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct held *h = ep->own;
    struct wh_bytes ready = {0};
    size_t n = 0;

    if (!ep->ctx->holder)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E4008", "there is no holder service here");
    ep->ctx->holder_release(ep->ctx); /* of an engine that died before it stored the token */
    WH_TRY(make_config(ep, pin, h, &n, reterr));
    WH_TRY(ep->ctx->holder(ep->ctx, (struct wh_bytes){h->config, n}, TTL_MS, &ready, reterr));
    if (!wh_read_i64(ready.p, ready.n, &h->version))
        return wh_fail(reterr, WH_E_REMOTE, "E4008", "the holder said '%.*s'", (int)ready.n,
                       (const char *)ready.p);
    snprintf(h->token, sizeof h->token, "%lld", (long long)h->version);
    *ret = (struct wh_snapshot){.kind = WH_SNAP_HELD, .token = {h->token, strlen(h->token)}};
    snprintf(ret->what, sizeof ret->what, "copy %s kept by its holder", h->token);
    atomic_store(&ep->version, h->version);
    return WH_OK;
}

/* The control: looks like entering and takes the tables as they are now, in a new order. */
static wh_status enter_nothing(struct hard_endpoint *ep, struct wh_error *reterr)
{
    struct wh_name name = {.part = {WH_STR("account")}, .n = 1};
    struct wh_objects pin = {.v = &name, .n = 1};
    struct held *h = ep->own;
    int64_t version = 0;
    sqlite3 *db = NULL;

    WH_TRY(hard_db_open(ep->db_path, &db, reterr));
    int st = hard_version_make(db, "control", &pin, true, &version, reterr);

    sqlite3_close(db);
    if (st != WH_OK)
        return st;
    h->off = true;
    atomic_store(&ep->version, version);
    return WH_OK;
}

static wh_status gone(int64_t version, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_GONE, "E4008", "the holder of copy %lld is dead", (long long)version);
}

static wh_status join(void *self, const struct wh_snapshot *snap, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;
    struct held *h = ep->own;

    if (!ep->opts->snapshot)
        return enter_nothing(ep, reterr);
    if (!wh_read_i64(snap->token.p, snap->token.n, &h->version) ||
        !holder_lives(ep->db_path, h->version))
        return gone(h->version, reterr);
    atomic_store(&ep->version, h->version);
    return WH_OK;
}

static void release(void *self, const struct wh_snapshot *snap)
{
    struct hard_endpoint *ep = self;

    if (ep->ctx && ep->ctx->holder_release)
        ep->ctx->holder_release(ep->ctx);
}

static wh_status tick(void *self, void *session, struct wh_error *reterr)
{
    struct hard_endpoint *ep = self;

    if (ep->ctx && ep->ctx->holder_touch)
        ep->ctx->holder_touch(ep->ctx);
    return WH_OK;
}

static wh_status session_open(void *self, void *endpoint, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    struct hard_session *se = self;
    struct hard_endpoint *ep = endpoint;
    struct held *h = ep->own;

    if (use == WH_READ && h->version && !h->off && !holder_lives(ep->db_path, h->version))
        return gone(h->version, reterr);
    return hard_session_open(se, ep, use, ret_ident, reterr);
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
    .tick = tick,
    .catalog = hard_catalog,
    .claim = hard_claim,
    .evict = hard_evict,
    .run_close = hard_run_close,
    .session_close = hard_session_close,
    .close = hard_close,
};

/* --------------------------------------------------------------------------------------- source */

/* Splits are places in the copy. The copy is made after the plan, so the last one has no end. */
static wh_status scan_open(void *self, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct hard_scan *sc = self;

    snprintf(io->method, sizeof io->method, "physical ranges");
    io->splittable = true;
    io->physical = true;
    WH_TRY(hard_scan_open(sc, ep, se, io, ret, reterr));
    if (!io->frozen || !io->bounds.n) {
        sc->low = 1;
        sc->high = sc->rows + 1;
    }
    snprintf(sc->cursor, sizeof sc->cursor, "%lld:%lld", (long long)sc->low, (long long)sc->high);
    io->ret_bounds = (struct wh_bytes){sc->cursor, strlen(sc->cursor)};
    return WH_OK;
}

static wh_status split_next(void *self, void *se, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct hard_scan *sc = self;
    int64_t low = 0, high = 0;

    WH_TRY(hard_range_split(sc, se, cursor, ret, ret_cursor, reterr));
    if (hard_two(ret->token, &low, &high) && high == sc->high) {
        snprintf(sc->token, sizeof sc->token, "%lld:%lld", (long long)low,
                 (long long)(INT64_MAX / 2));
        ret->token.n = strlen(sc->token);
    }
    return WH_OK;
}

static wh_status reader_open(void *self, void *scan, void *se, const struct wh_ctx *ctx,
                             const struct wh_split *split, struct ArrowSchema *ret_actual,
                             struct wh_error *reterr)
{
    struct hard_reader *rd = self;

    if (!hard_two(split->token, &rd->low, &rd->high))
        return wh_fail(reterr, WH_E_STATE, "E7003", "a split that is none of ours");
    rd->position = rd->low - 1;
    int st = hard_reader_begin(rd, scan, se, ctx,
                               "select rowid, id, account, amount from \"%w\""
                               " where rowid >= ?1 and rowid < ?2 order by rowid",
                               reterr);

    if (st == WH_E_REMOTE) /* the copy was dropped: it went with its holder */
        return gone(((struct held *)rd->sc->ep->own)->version, reterr);
    if (st != WH_OK)
        return st;
    sqlite3_bind_int64(rd->stmt, 1, rd->low);
    sqlite3_bind_int64(rd->stmt, 2, rd->high);
    ret_actual->release = NULL;
    return WH_OK;
}

static const struct wh_source_ops source = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct hard_scan),
    .rd_size = sizeof(struct hard_reader),
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = reader_open,
    .reader_next = hard_reader_next,
    .reader_cut = hard_range_cut,
    .reader_close = hard_reader_close,
    .scan_close = hard_scan_close,
};

static const struct wh_capabilities caps = HARD_CAPS(WH_SNAP_HELD, WH_CLASS_T);
static const char *const schemes[] = {"hard-held", NULL};

WH_CONNECTOR(hard_held);
const struct wh_connector wh_connector_hard_held = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "hard-held",
    .title = "Fake: a snapshot that dies with its holder",
    .schemes = schemes,
    .url = WH_URL_PATH,
    .connection = &hard_connection,
    .caps = &caps,
    .ep_size = sizeof(struct hard_endpoint),
    .se_size = sizeof(struct hard_session),
    .endpoint = &endpoint_ops,
    .source = &source,
    .hold = hold,
};
