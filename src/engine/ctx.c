/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/service.h"
#include "engine/registry.h"
#include "engine/run.h"
#include "engine/zone.h"

#include "core/clock.h"
#include "core/log.h"
#include "core/options.h"
#include "data/number.h"
#include "data/type.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum {
    ENDPOINT_ARENA = 64 << 20,
    GRANT_LEAST = 64 << 10,
};

static struct wh_ctx_self *self_of(const struct wh_ctx *ctx)
{
    return ctx->self;
}

/* ---- services of a context ---------------------------------------------------------------------
 */

static void *ctx_alloc(const struct wh_ctx *ctx, size_t n)
{
    struct wh_ctx_self *base = self_of(ctx)->base;
    void *p;

    pthread_mutex_lock(&base->mutex);
    p = wh_arena_alloc(base->arena, n);
    pthread_mutex_unlock(&base->mutex);
    return p;
}

WH_PRINTF(3, 4)
static void ctx_log(const struct wh_ctx *ctx, int level, const char *fmt, ...)
{
    const struct wh_endpoint *ep = self_of(ctx)->endpoint;
    char text[800];
    va_list ap;

    if (!wh_log_on((enum wh_level)level, ep->connector->name))
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    wh_log((enum wh_level)level, ep->connector->name, "%s: %s", ctx->connection, text);
}

static bool ctx_cancelled(const struct wh_ctx *ctx)
{
    struct wh_ctx_self *self = self_of(ctx);

    return atomic_load_explicit(&self->services->stop, memory_order_relaxed) ||
           (self->hooks && atomic_load_explicit(&self->hooks->cancelled, memory_order_relaxed));
}

static bool ctx_hurried(const struct wh_ctx *ctx)
{
    return wh_run_hurried();
}

static int64_t ctx_deadline(const struct wh_ctx *ctx)
{
    int64_t ms = self_of(ctx)->services->verb_ms;

    return ms ? wh_now_ns() + ms * 1000000 : INT64_MAX;
}

static int poll_ms(int64_t deadline_ns)
{
    int64_t left;

    if (deadline_ns == INT64_MAX)
        return -1;
    left = (deadline_ns - wh_now_ns() + 999999) / 1000000;
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

static int silent(const struct wh_ctx *ctx, int64_t ms, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_IO, "E4010", "'%s' has not answered for %" PRId64 " s",
                     ctx->connection, ms / 1000);

    wh_error_hint(reterr, "timeouts.no_progress says how long that is waited for");
    return st;
}

static int ctx_wait(const struct wh_ctx *ctx, int fd, short events, int64_t deadline_ns,
                    struct wh_error *reterr)
{
    struct wh_ctx_self *self = self_of(ctx);
    int64_t quiet =
        deadline_ns == INT64_MAX && fd >= 0 && !self->hooks ? self->services->quiet_ms : 0;

    if (quiet > 0)
        deadline_ns = wh_now_ns() + quiet * 1000000;
    for (;;) {
        struct pollfd fds[3] = {
            {.fd = fd, .events = events},
            {.fd = self->services->stop_fd, .events = POLLIN},
            {.fd = self->hooks ? self->hooks->wake_fd : -1, .events = POLLIN},
        };
        int n = poll(fds, 3, poll_ms(deadline_ns));

        if (n < 0 && errno != EINTR)
            return wh_fail_errno(reterr, errno, errno == ENOMEM ? "E8002" : "E9001", "poll");
        if (ctx_cancelled(ctx))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
        if (n > 0 && fd >= 0 && fds[0].revents)
            return WH_OK;
        if (n <= 0 && poll_ms(deadline_ns) == 0) {
            if (fd < 0)
                return WH_OK; /* only time was asked for */
            if (quiet > 0 && atomic_load(&self->services->steps) > 0) {
                deadline_ns = wh_now_ns() + quiet * 1000000;
                continue;
            }
            if (quiet > 0)
                return silent(ctx, quiet, reterr);
            wh_ignore(wh_fail(reterr, WH_E_IO, "E2002", "no answer in time"));
            if (reterr)
                reterr->retriable = true;
            return WH_E_IO;
        }
    }
}

static int64_t ctx_grant(const struct wh_ctx *ctx, int64_t want)
{
    int64_t most = self_of(ctx)->services->grant_max;

    if (most < GRANT_LEAST)
        most = GRANT_LEAST;
    return want < GRANT_LEAST ? GRANT_LEAST : want > most ? most : want;
}

static int ctx_reject_raw(const struct wh_ctx *ctx, struct wh_bytes raw, int64_t raw_of,
                          const char *position, int32_t column, const char *code, const char *text)
{
    struct wh_attempt_hooks *hooks = self_of(ctx)->hooks;

    /* Outside of an attempt (sampling for a plan) nothing is counted; the attempt will meet it. */
    return hooks ? hooks->reject_raw(hooks->attempt, raw, raw_of, position, column, code, text)
                 : WH_OK;
}

static int ctx_skipped(const struct wh_ctx *ctx, const char *reason, int64_t rows)
{
    struct wh_attempt_hooks *hooks = self_of(ctx)->hooks;

    return hooks ? hooks->skipped(hooks->attempt, reason, rows) : WH_OK;
}

static void ctx_relocated(const struct wh_ctx *ctx, const char *why)
{
    atomic_fetch_add(&self_of(ctx)->services->relocations, 1);
    ctx_log(ctx, WH_LOG_INFO, "moved on: %s", why);
}

static int ctx_task(const struct wh_ctx *ctx, void (*fn)(void *), void *arg, struct wh_task **ret)
{
    return wh_pool_task(&self_of(ctx)->services->pool, fn, arg, ret);
}

static void ctx_join(const struct wh_ctx *ctx, struct wh_task *task)
{
    wh_pool_join(&self_of(ctx)->services->pool, task);
}

/* ---- another connection's storage --------------------------------------------------------------
 */

static int storage_options(const struct wh_connector *c, struct wh_arena *arena,
                           const struct wh_node *map, const char *name, void **ret,
                           struct wh_error *reterr)
{
    struct wh_problems problems = {.arena = arena};
    void *opts = wh_arena_alloc(arena, c->connection ? c->connection->size : 1);

    if (!opts)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "connection '%s'", name);
    *ret = opts;
    if (!c->connection)
        return WH_OK;
    WH_TRY(wh_options_init(c->connection, opts, arena));
    bool ok = true;

    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, "type") != 0)
            ok &= wh_options_set(c->connection, opts, arena, map->keys[i]->text, map->items[i],
                                 name, &problems);
    wh_options_finish(c->connection, opts, name, &problems);
    if ((!ok || problems.errors) && !problems.n)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "connection '%s'", name);
    if (problems.errors)
        return wh_fail(reterr, WH_E_USAGE, problems.v[0].code, "connection '%s': %s", name,
                       problems.v[0].message);
    return WH_OK;
}

static int storage_open(struct wh_ctx_self *base, const char *name, struct wh_opened_storage **ret,
                        struct wh_error *reterr)
{
    const struct wh_node *map = wh_node_get(base->services->connections, name);
    const struct wh_connector *c = NULL;
    struct wh_opened_storage *s;
    const char *type;
    void *opts = NULL;

    if (!map || map->kind != WH_NODE_MAP)
        return wh_fail(reterr, WH_E_USAGE, "E1022", "no connection '%s'", name);
    type = wh_node_text(wh_node_get(map, "type"), "");
    WH_TRY(wh_registry_find((struct wh_str){type, strlen(type)}, &c, reterr));
    if (!c->storage)
        return wh_fail(reterr, WH_E_USAGE, "E1060", "connection '%s' (%s) holds no files", name,
                       c->name);
    WH_TRY(storage_options(c, base->arena, map, name, &opts, reterr));
    s = wh_arena_alloc(base->arena, sizeof *s);
    if (!s || !(s->st = wh_arena_alloc(base->arena, c->storage->st_size)))
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "connection '%s'", name);
    s->ops = c->storage;
    s->next = base->storages;
    base->storages = s;
    *ret = s;
    return s->ops->open(s->st, opts, reterr);
}

static int ctx_storage(const struct wh_ctx *ctx, const char *connection,
                       const struct wh_storage_ops **ret_ops, void **ret_st,
                       struct wh_error *reterr)
{
    struct wh_ctx_self *base = self_of(ctx)->base;
    struct wh_opened_storage *s = NULL;
    int st;

    pthread_mutex_lock(&base->mutex);
    st = storage_open(base, connection, &s, reterr);
    pthread_mutex_unlock(&base->mutex);
    if (st != WH_OK)
        return st;
    *ret_ops = s->ops;
    *ret_st = s->st;
    return WH_OK;
}

/* ---- instants ----------------------------------------------------------------------------------
 */

/* A wall time of the job's zone. */
static int in_zone(const struct wh_ctx *ctx, int64_t wall_us, int64_t *ret_us,
                   struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    struct wh_zone *utc = NULL, *zone = NULL;

    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a time zone");
    WH_TRY(wh_zone_open(arena, "UTC", &utc, reterr));
    WH_TRY(wh_zone_open(arena, ctx->timezone, &zone, reterr));
    struct wh_civil wall = wh_zone_civil(utc, wall_us);

    *ret_us = wh_zone_instant(zone, &wall);
    return WH_OK;
}

static int ctx_instant(const struct wh_ctx *ctx, const char *text, int64_t *ret_us,
                       struct wh_error *reterr)
{
    size_t n = strlen(text);
    bool zoned = false;
    int64_t ms, us;
    int32_t days;

    if (wh_parse_duration(text, &ms)) {
        *ret_us = self_of(ctx)->base->planned_us - ms * 1000;
        return WH_OK;
    }
    if (wh_read_date(text, n, &days))
        return in_zone(ctx, (int64_t)days * 86400 * 1000000, ret_us, reterr);
    if (!wh_read_timestamp(text, n, WH_MICRO, &us, &zoned))
        return wh_fail(reterr, WH_E_USAGE, "E1002",
                       "'%s' is no time: 2026-11-22, 2026-11-22T08:00:00Z, or a duration before "
                       "now (2d)",
                       text);
    if (!zoned)
        return in_zone(ctx, us, ret_us, reterr);
    *ret_us = us;
    return WH_OK;
}

/* ---- making contexts ---------------------------------------------------------------------------
 */

static const struct wh_ctx ctx_template = {
    .size = sizeof(struct wh_ctx),
    .alloc = ctx_alloc,
    .log = ctx_log,
    .cancelled = ctx_cancelled,
    .deadline = ctx_deadline,
    .wait = ctx_wait,
    .grant = ctx_grant,
    .reject_raw = ctx_reject_raw,
    .skipped = ctx_skipped,
    .relocated = ctx_relocated,
    .storage = ctx_storage,
    .task = ctx_task,
    .join = ctx_join,
    .holder = wh_ctx_holder,
    .holder_touch = wh_ctx_holder_touch,
    .holder_release = wh_ctx_holder_release,
    .hurried = ctx_hurried,
    .instant = ctx_instant,
};

int wh_services_new(const char *state_dir, const char *program, struct wh_services **ret,
                    struct wh_error *reterr)
{
    struct wh_services *sv = wh_calloc(1, sizeof *sv);
    long cores = sysconf(_SC_NPROCESSORS_ONLN);

    if (!sv)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "services");
    sv->verb_ms = 30000;
    sv->grant_max = 4 << 20;
    sv->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    sv->state_dir = wh_strdup(state_dir ? state_dir : "");
    sv->program = wh_strdup(program ? program : "/proc/self/exe");
    if (!sv->state_dir || !sv->program || sv->stop_fd < 0) {
        int err = errno;

        if (sv->stop_fd >= 0)
            close(sv->stop_fd);
        wh_free(sv->state_dir);
        wh_free(sv->program);
        wh_free(sv);
        return wh_fail_errno(reterr, err, "E8003", "services");
    }
    wh_ignore(wh_pool_start(&sv->pool, cores > 0 ? (int)cores : 1));
    *ret = sv;
    return WH_OK;
}

void wh_services_free(struct wh_services *sv)
{
    if (!sv)
        return;
    wh_pool_stop(&sv->pool);
    close(sv->stop_fd);
    wh_free(sv->state_dir);
    wh_free(sv->program);
    wh_free(sv);
}

void wh_services_stop(struct wh_services *sv)
{
    uint64_t one = 1;

    atomic_store(&sv->stop, 2);
    ssize_t n = write(sv->stop_fd, &one, sizeof one);
    (void)n; /* a full counter is readable as well */
}

int wh_ctx_endpoint(struct wh_services *sv, struct wh_endpoint *ep, const char *run,
                    const char *zone, struct wh_error *reterr)
{
    struct wh_ctx_self *self = wh_calloc(1, sizeof *self);

    if (!self || !(self->arena = wh_arena_new(ENDPOINT_ARENA))) {
        wh_free(self);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "connection '%s'", ep->name);
    }
    pthread_mutex_init(&self->mutex, NULL);
    self->services = sv;
    self->endpoint = ep;
    self->planned_us = wh_wall_us();
    self->base = self;
    snprintf(self->run, sizeof self->run, "%s", run ? run : "");
    ep->ctx = ctx_template;
    ep->ctx.self = self;
    ep->ctx.run = self->run;
    ep->ctx.connection = ep->name ? ep->name : ep->connector->name;
    ep->ctx.timezone = zone ? zone : "UTC";
    ep->ctx.state_dir = sv->state_dir;
    wh_ctx_tag(ep, 0, "c");
    return WH_OK;
}

void wh_ctx_planned(struct wh_endpoint *ep, int64_t planned_us)
{
    struct wh_ctx_self *self = ep->ctx.self;

    self->planned_us = planned_us;
}

void wh_ctx_endpoint_free(struct wh_endpoint *ep)
{
    struct wh_ctx_self *self = ep->ctx.self;

    if (!self)
        return;
    for (struct wh_opened_storage *s = self->storages; s; s = s->next)
        s->ops->close(s->st);
    wh_arena_free(self->arena);
    pthread_mutex_destroy(&self->mutex);
    wh_free(self);
    ep->ctx = (struct wh_ctx){0};
}

/* 12 hex digits of a run id "r-20261122-7f3a9c01d2e4": its last part. */
void wh_ctx_tag(struct wh_endpoint *ep, uint32_t epoch, const char *kind)
{
    struct wh_ctx_self *self = ep->ctx.self;
    const char *dash = strrchr(self->run, '-');

    snprintf(self->tag, sizeof self->tag, "wherry/%.12s/e%u/%s%d", dash ? dash + 1 : self->run,
             epoch, kind, ep->index);
    ep->ctx.tag = self->tag;
}

void wh_ctx_attempt(const struct wh_endpoint *ep, struct wh_attempt_hooks *hooks,
                    struct wh_ctx_self *self, struct wh_ctx *ctx)
{
    const struct wh_ctx_self *base = ep->ctx.self;

    *self = (struct wh_ctx_self){
        .services = base->services, .endpoint = base->endpoint, .base = base->base, .hooks = hooks};
    *ctx = ep->ctx;
    ctx->self = self;
}
