/* SPDX-License-Identifier: Apache-2.0 */
/* The holder of a snapshot (`wherry hold`): what the engine hands over to it, and its own process,
 * which locks the tables that will be read, exports, and keeps the transaction open while somebody
 * lives who needs it. */
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

enum {
    PING_MS = 10000,  /* how soon it sees that its server is gone */
    LOCK_CHUNK = 100, /* tables per LOCK TABLE */
    PINS_TEXT = 256 << 10,
    LEAST_VERSION = 100000, /* pg_export_snapshot on a standby */
};

/* ---- the configuration of the holder -----------------------------------------------------------
 */

/* The holder's folder is "/": files are named from there. */
static wh_status add_text(const struct wh_option *row, const char *text, struct wh_buf *out)
{
    char here[4096];

    if (text && (row->flags & WH_OPT_PATH) && *text && *text != '/' && *text != '~' &&
        getcwd(here, sizeof here)) {
        WH_TRY(wh_buf_addc(out, '+'));
        WH_TRY(wh_buf_printf(out, "%s/%s", here, text));
        return wh_buf_addc(out, 0);
    }
    WH_TRY(wh_buf_addc(out, text ? '+' : '-'));
    return wh_buf_add(out, text ? text : "", (text ? strlen(text) : 0) + 1);
}

/* The filled option table, field by field in the order of its rows: secrets too, so this goes
 * through a pipe and is wiped. */
static wh_status add_options(const struct pg_connection *o, struct wh_buf *out)
{
    for (const struct wh_option *row = pg_connection_table.rows; row->name; row++) {
        const char *at = (const char *)o + row->offset;

        switch (row->type) {
        case WH_T_STRING:
            WH_TRY(add_text(row, *(const char *const *)at, out));
            break;
        case WH_T_SECRET:
            WH_TRY(add_text(row, ((const struct wh_secret *)at)->text, out));
            break;
        case WH_T_I64:
        case WH_T_SIZE:
        case WH_T_DURATION:
            WH_TRY(wh_buf_add(out, at, sizeof(int64_t)));
            break;
        case WH_T_BOOL:
            WH_TRY(wh_buf_add(out, at, sizeof(bool)));
            break;
        case WH_T_ENUM:
        case WH_T_CHAR:
            WH_TRY(wh_buf_add(out, at, sizeof(int)));
            break;
        default:
            return WH_E_BUG; /* no such row in this table */
        }
    }
    return WH_OK;
}

struct reading {
    char *p, *end;
};

static bool take(struct reading *r, void *to, size_t n)
{
    if ((size_t)(r->end - r->p) < n)
        return false;
    memcpy(to, r->p, n);
    r->p += n;
    return true;
}

static char *take_text(struct reading *r)
{
    char *text = r->p, *nul = memchr(r->p, 0, (size_t)(r->end - r->p));

    if (!nul)
        return NULL;
    r->p = nul + 1;
    return text;
}

static bool take_options(struct reading *r, struct pg_connection *o)
{
    for (const struct wh_option *row = pg_connection_table.rows; row->name; row++) {
        char *at = (char *)o + row->offset, *text;
        bool ok = true;

        switch (row->type) {
        case WH_T_STRING:
        case WH_T_SECRET:
            text = take_text(r);
            ok = text != NULL;
            text = ok && *text == '+' ? text + 1 : NULL;
            if (row->type == WH_T_STRING)
                memcpy(at, &text, sizeof text);
            else
                ((struct wh_secret *)at)->text = text;
            break;
        case WH_T_BOOL:
            ok = take(r, at, sizeof(bool));
            break;
        case WH_T_ENUM:
        case WH_T_CHAR:
            ok = take(r, at, sizeof(int));
            break;
        default:
            ok = take(r, at, sizeof(int64_t));
        }
        if (!ok)
            return false;
    }
    return true;
}

/* "wherry/<12 of run>/hold<endpoint>": the endpoint's tag without its epoch. */
void pg_hold_tag(const struct wh_ctx *ctx, char *out, size_t size)
{
    const char *first = strchr(ctx->tag, '/'), *second = first ? strchr(first + 1, '/') : NULL;
    const char *digits = ctx->tag + strlen(ctx->tag);

    while (digits > ctx->tag && digits[-1] >= '0' && digits[-1] <= '9')
        digits--;
    snprintf(out, size, "%.*s/hold%s", second ? (int)(second - ctx->tag) : (int)strlen(ctx->tag),
             ctx->tag, digits);
}

wh_status pg_hold_config(struct pg_ep *ep, const struct wh_objects *pin, struct wh_buf *out)
{
    char tag[64];
    int st;

    pg_hold_tag(ep->ctx, tag, sizeof tag);
    WH_TRY(wh_buf_add(out, tag, strlen(tag) + 1));
    WH_TRY(add_options(ep->o, out));
    pthread_mutex_lock(&ep->lock);
    st = pg_pins(ep, pin, out);
    pthread_mutex_unlock(&ep->lock);
    return st;
}

/* ---- the holder's own process ------------------------------------------------------------------
 */

/* Services enough for one connection. */
static void *own_alloc(const struct wh_ctx *ctx, size_t n)
{
    return wh_arena_alloc(ctx->self, n);
}

static void own_log(const struct wh_ctx *ctx, int level, const char *fmt, ...) WH_PRINTF(3, 4);
static void own_log(const struct wh_ctx *ctx, int level, const char *fmt, ...)
{
}

static bool own_cancelled(const struct wh_ctx *ctx)
{
    return false;
}

static int64_t own_deadline(const struct wh_ctx *ctx)
{
    return INT64_MAX;
}

static wh_status own_wait(const struct wh_ctx *ctx, int fd, short events, int64_t deadline_ns,
                          struct wh_error *reterr)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = deadline_ns == INT64_MAX ? -1 : (deadline_ns - wh_now_ns()) / 1000000;
        int n;

        if (deadline_ns != INT64_MAX && left < 0)
            left = 0;
        n = poll(&p, fd >= 0, left > 1000000 ? 1000000 : (int)left);
        if (n > 0)
            return WH_OK;
        if (n < 0 && errno != EINTR)
            return wh_fail_errno(reterr, errno, "E9001", "poll");
        if (deadline_ns != INT64_MAX && wh_now_ns() >= deadline_ns)
            break;
    }
    if (fd < 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_IO, "E2002", "no answer in time");
}

static int64_t own_grant(const struct wh_ctx *ctx, int64_t want)
{
    return want;
}

static const struct wh_ctx own_ctx = {
    .size = sizeof(struct wh_ctx),
    .run = "",
    .connection = "the holder",
    .timezone = "UTC",
    .alloc = own_alloc,
    .log = own_log,
    .cancelled = own_cancelled,
    .deadline = own_deadline,
    .wait = own_wait,
    .grant = own_grant,
};

/* LOCK TABLE takes no snapshot, so what it waited for is seen by the export that comes behind it.
 */
static wh_status lock_tables(struct pg_conn *c, struct reading pins, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(PINS_TEXT);
    int n = 0, st = WH_OK;
    char *pin;

    while (st == WH_OK && pins.p < pins.end && (pin = take_text(&pins))) {
        if (*pin != 't')
            continue;
        st = wh_buf_printf(&sql, "%s%s", n ? ", " : "lock table ", pin + 1);
        if (st == WH_OK && ++n == LOCK_CHUNK) {
            st = wh_buf_adds(&sql, " in access share mode");
            if (st == WH_OK)
                WH_TRY(pg_exec(c, sql.p, reterr));
            wh_buf_clear(&sql);
            n = 0;
        }
    }
    if (st == WH_OK && n) {
        st = wh_buf_adds(&sql, " in access share mode");
        if (st == WH_OK)
            WH_TRY(pg_exec(c, sql.p, reterr));
    }
    return st == WH_OK ? WH_OK : wh_fail(reterr, st, "E8002", "too many tables to lock");
}

/* Preparing a query locks what it reads; for what LOCK TABLE does not take. */
static wh_status lock_queries(struct pg_conn *c, struct reading pins, struct wh_error *reterr)
{
    struct wh_buf sql WH_CLEANUP(wh_buf_free) = WH_BUF(PG_HOLD_CONFIG + 200);
    char *pin;
    int n = 0;

    while (pins.p < pins.end && (pin = take_text(&pins))) {
        if (*pin != 'q')
            continue;
        wh_buf_clear(&sql);
        if (wh_buf_printf(&sql, "set local search_path to default; prepare wherry_pin_%d as %s",
                          n++, pin + 1) != WH_OK)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a statement");
        WH_TRY(pg_exec(c, sql.p, reterr));
    }
    return WH_OK;
}

bool pg_old_names(const struct pg_conn *c)
{
    return pg_server_version(c) < 130000;
}

/* "<name> <pid> <start> <content> <xmin> <locks>" */
static wh_status export(struct pg_conn *c, struct reading pins, char *out, size_t size,
                        struct wh_error *reterr)
{
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    struct pg_rows *locks WH_CLEANUP(pg_rows_freep) = NULL;
    struct wh_str text;

    WH_TRY(pg_query(c,
                    pg_old_names(c)
                        ? "select pg_export_snapshot(), txid_current_snapshot(), "
                          "txid_snapshot_xmin(txid_current_snapshot()), pg_backend_pid(), "
                          "(select (extract(epoch from backend_start) * 1000000)::bigint from "
                          "pg_stat_activity where pid = pg_backend_pid())"
                        : "select pg_export_snapshot(), pg_current_snapshot(), "
                          "pg_snapshot_xmin(pg_current_snapshot()), pg_backend_pid(), "
                          "(select (extract(epoch from backend_start) * 1000000)::bigint from "
                          "pg_stat_activity where pid = pg_backend_pid())",
                    0, NULL, &r, reterr));
    WH_TRY(lock_tables(c, pins, reterr)); /* partitions that came in between */
    WH_TRY(lock_queries(c, pins, reterr));
    WH_TRY(pg_query(c,
                    "select count(*) from pg_locks where pid = pg_backend_pid() and locktype = "
                    "'relation' and mode = 'AccessShareLock' and relation >= 16384",
                    0, NULL, &locks, reterr));
    text = pg_cell(r, 0, 1);
    snprintf(out, size, "%.*s %lld %lld %016llx %lld %lld", WH_STR_FMT(pg_cell(r, 0, 0)),
             (long long)pg_cell_i64(r, 0, 3, 0), (long long)pg_cell_i64(r, 0, 4, 0),
             (unsigned long long)wh_hash64(text.s, text.n, 0), (long long)pg_cell_i64(r, 0, 2, 0),
             (long long)pg_cell_i64(locks, 0, 0, 0));
    return WH_OK;
}

static wh_status hold_begin(struct pg_conn *c, const char *tag, const struct pg_connection *o,
                            struct reading pins, char *ready, size_t size, struct wh_error *reterr)
{
    char sql[300];

    if (pg_server_version(c) < LEAST_VERSION)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2009",
                       "this server is too old to share a snapshot between sessions");
    snprintf(sql, sizeof sql,
             "set application_name = '%s'; set lock_timeout = %lld; set statement_timeout = 0; set "
             "idle_in_transaction_session_timeout = 0",
             tag, (long long)(o->lock_timeout > 0 ? o->lock_timeout : 30000));
    WH_TRY(pg_exec(c, sql, reterr));
    WH_TRY(pg_exec(c, "begin isolation level repeatable read read only", reterr));
    WH_TRY(lock_tables(c, pins, reterr));
    return export(c, pins, ready, size, reterr);
}

static bool tell(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t done = write(fd, text, n);

        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        text += done;
        n -= (size_t)done;
    }
    return true;
}

/* Until nobody wants it any more, or the server is gone. */
static void keep(struct pg_conn *c, bool (*alive)(void *), void *arg)
{
    int64_t next = wh_now_ns() + (int64_t)PING_MS * 1000000;

    while (alive(arg)) {
        poll(NULL, 0, 200);
        if (wh_now_ns() < next)
            continue;
        if (pg_exec(c, "select 1", NULL) != WH_OK || pg_transaction(c) != 'T')
            return;
        next = wh_now_ns() + (int64_t)PING_MS * 1000000;
    }
}

static wh_status hold(struct reading r, int ready_fd, bool (*alive)(void *), void *alive_arg,
                      struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(4 << 20);
    struct wh_ctx ctx = own_ctx;
    struct pg_connection o = {0};
    struct pg_ep ep = {.ctx = &ctx, .o = &o};
    struct pg_conn *c = NULL;
    const char *tag = take_text(&r);
    char ready[256];
    int st;

    if (!arena || !tag || !take_options(&r, &o))
        return wh_fail(reterr, WH_E_BUG, "E9001", "a configuration that cannot be read");
    ctx.self = arena;
    ctx.tag = tag;
    /* libpq 15 has no keyword for it, and what we inherited may be relative. */
    if (o.service_file && *o.service_file && setenv("PGSERVICEFILE", o.service_file, 1) != 0)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "the service file");
    pthread_mutex_init(&ep.lock, NULL);
    st = pg_dial(&ep, &o, &ctx, "hold", &c, reterr);
    if (st == WH_OK)
        st = hold_begin(c, tag, &o, r, ready, sizeof ready, reterr);
    if (st == WH_OK && !tell(ready_fd, ready, strlen(ready)))
        st = wh_fail_errno(reterr, errno, "E9001", "nobody waits for the snapshot");
    close(ready_fd);
    if (st == WH_OK)
        keep(c, alive, alive_arg);
    pg_free(c);
    return st;
}

wh_status pg_hold(struct wh_bytes config, int ready_fd, bool (*alive)(void *), void *alive_arg,
                  struct wh_error *reterr)
{
    char *own = wh_alloc(config.n + 1); /* texts are pointed to */
    int st;

    if (!own)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the holder");
    memcpy(own, config.p, config.n);
    st = hold((struct reading){own, own + config.n}, ready_fd, alive, alive_arg, reterr);
    wh_wipe(own, config.n);
    wh_free(own);
    return st;
}
