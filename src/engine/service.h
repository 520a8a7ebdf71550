/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the engine's services: what struct wh_ctx's `self` points to. */
#ifndef WHERRY_ENGINE_SERVICE_H
#define WHERRY_ENGINE_SERVICE_H

#include "engine/ctx.h"

#include <pthread.h>
#include <stdatomic.h>

enum {
    WH_HELPERS_MAX = 8,
};

/* Bounded pool of helper threads, started when first asked for. */
struct wh_pool {
    pthread_mutex_t mutex;
    pthread_cond_t work, done;
    struct wh_task *head, **tail;
    int max, threads, idle, queued;
    bool stopping;
    pthread_t thread[WH_HELPERS_MAX];
};

struct wh_services {
    char *state_dir, *program;
    struct wh_pool pool;
    _Atomic int stop;  /* 2 = every wait ends at once */
    int stop_fd;       /* eventfd, readable from then on */
    int64_t verb_ms;   /* what `deadline` allows a verb */
    int64_t grant_max; /* bytes a session may buffer */
    /* Longest silence of a server while a run plans, claims, looks up or closes; 0 = none. Attempts
     * are watched by the keeper, and a step (an index is built) takes as long as it takes. */
    _Atomic int64_t quiet_ms;
    _Atomic int steps; /* under way */
    _Atomic int64_t relocations;
    const struct wh_node *connections; /* MAP of named connections, for ctx->storage; NULL */
};

/* What an attempt adds: its own cancel flag, and where rows go that never became a batch. */
struct wh_attempt_hooks {
    void *attempt;
    _Atomic bool cancelled;
    int wake_fd; /* eventfd, readable while cancelled */
    wh_status (*reject_raw)(void *attempt, struct wh_bytes raw, int64_t raw_of,
                            const char *position, int32_t column, const char *code,
                            const char *text);
    wh_status (*skipped)(void *attempt, const char *reason, int64_t rows);
};

struct wh_opened_storage {
    const struct wh_storage_ops *ops;
    void *st;
    struct wh_opened_storage *next;
};

/* `self` of an endpoint's context; an attempt's context has a copy with hooks. */
struct wh_ctx_self {
    int64_t planned_us; /* base only: the planned time of the run, and (ctx) its zone's name */
    struct wh_services *services;
    struct wh_endpoint *endpoint;
    struct wh_ctx_self *base; /* the endpoint's own; memory and storages live there */
    struct wh_attempt_hooks *hooks;
    pthread_mutex_t mutex; /* arena, storages; base only */
    struct wh_arena *arena;
    struct wh_opened_storage *storages;
    char tag[64], run[64];
    char hold_file[512];
};

/* A context of one attempt on top of the endpoint's: `self` and `ctx` are the caller's memory. */
void wh_ctx_attempt(const struct wh_endpoint *, struct wh_attempt_hooks *, struct wh_ctx_self *self,
                    struct wh_ctx *ctx);
/* The session tag changes with the epoch: "wherry/<12 hex of run>/e<epoch>/<kind>". */
void wh_ctx_tag(struct wh_endpoint *, uint32_t epoch, const char *kind);
/* Level 2: every wait ends. Async-signal-safe. */
void wh_services_stop(struct wh_services *);

wh_status wh_pool_start(struct wh_pool *, int max);
void wh_pool_stop(struct wh_pool *);
wh_status wh_pool_task(struct wh_pool *, void (*fn)(void *), void *arg, struct wh_task **ret);
void wh_pool_join(struct wh_pool *, struct wh_task *);

/* holder.c */
wh_status wh_ctx_holder(const struct wh_ctx *, struct wh_bytes config, int64_t ttl_ms,
                        struct wh_bytes *ret_ready, struct wh_error *reterr);
void wh_ctx_holder_touch(const struct wh_ctx *);
void wh_ctx_holder_release(const struct wh_ctx *);
/* The process on this host that holds a run's snapshot of endpoint `endpoint`; 0 = none. */
int64_t wh_holder_find(const char *state_dir, const char *run, int endpoint);
/* Lets all holders of a run that is given up go, whose endpoints nobody opens any more. */
void wh_holders_end(const char *state_dir, const char *run);

#endif
