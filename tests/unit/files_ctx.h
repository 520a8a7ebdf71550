/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's services as a test gives them to a connector: rejects are kept, helpers are real
 * threads (or refused), everything else is plain. One per test; not for several threads at once. */
#ifndef WHERRY_TESTS_UNIT_FILES_CTX_H
#define WHERRY_TESTS_UNIT_FILES_CTX_H

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <wherry/connector.h>
#include "core/alloc.h"
#include "core/clock.h"

enum {
    FAKE_ALLOCS = 256
};

struct files_ctx {
    struct wh_ctx ctx;
    int64_t rejects, reject_limit; /* more than the limit: WH_E_LIMIT */
    char reject_code[8], reject_position[200], reject_text[300], reject_raw[300]; /* of the last */
    int64_t skipped;
    bool cancelled, helpers; /* helpers: task runs on a thread; else it is refused */
    int64_t tasks;
    void *allocs[FAKE_ALLOCS];
    int n_allocs;
};

struct files_ctx_task {
    pthread_t thread;
    void (*fn)(void *);
    void *arg;
};

static inline void *files_ctx_alloc(const struct wh_ctx *ctx, size_t n)
{
    struct files_ctx *f = ctx->self;
    return f->n_allocs < FAKE_ALLOCS ? f->allocs[f->n_allocs++] = wh_calloc(1, n) : NULL;
}

static inline void WH_PRINTF(3, 4)
    files_ctx_log(const struct wh_ctx *ctx, int level, const char *fmt, ...)
{
}

static inline bool files_ctx_cancelled(const struct wh_ctx *ctx)
{
    return ((struct files_ctx *)ctx->self)->cancelled;
}

static inline int64_t files_ctx_deadline(const struct wh_ctx *ctx)
{
    return wh_now_ns() + 20000000000; /* no test waits longer than 20 s */
}

static inline wh_status files_ctx_wait(const struct wh_ctx *ctx, int fd, short events,
                                       int64_t deadline, struct wh_error *reterr)
{
    struct pollfd p = {fd, events, 0};
    int64_t ms = (deadline - wh_now_ns()) / 1000000;
    int n = poll(&p, fd >= 0, ms < 0 ? 0 : ms > 20000 ? 20000 : (int)ms);
    if (n > 0)
        return WH_OK;
    return wh_fail_errno(reterr, n < 0 ? errno : ETIMEDOUT, "E4010", "waiting");
}

static inline int64_t files_ctx_grant(const struct wh_ctx *ctx, int64_t want)
{
    return want;
}

static inline wh_status files_ctx_reject(const struct wh_ctx *ctx, struct wh_bytes raw,
                                         int64_t raw_of, const char *position, int32_t column,
                                         const char *code, const char *text)
{
    struct files_ctx *f = ctx->self;
    snprintf(f->reject_code, sizeof f->reject_code, "%s", code);
    snprintf(f->reject_position, sizeof f->reject_position, "%s", position);
    snprintf(f->reject_text, sizeof f->reject_text, "%s", text);
    snprintf(f->reject_raw, sizeof f->reject_raw, "%.*s", (int)raw.n, (const char *)raw.p);
    return ++f->rejects > f->reject_limit ? WH_E_LIMIT : WH_OK;
}

static inline wh_status files_ctx_skipped(const struct wh_ctx *ctx, const char *reason,
                                          int64_t rows)
{
    ((struct files_ctx *)ctx->self)->skipped += rows;
    return WH_OK;
}

static inline void *files_ctx_thread(void *arg)
{
    struct files_ctx_task *t = arg;
    t->fn(t->arg);
    return NULL;
}

static inline wh_status files_ctx_task(const struct wh_ctx *ctx, void (*fn)(void *), void *arg,
                                       struct wh_task **ret)
{
    struct files_ctx *f = ctx->self;
    if (!f->helpers)
        return WH_REFUSED;
    struct files_ctx_task *t = wh_calloc(1, sizeof *t);
    if (!t)
        return WH_E_NOMEM;
    t->fn = fn;
    t->arg = arg;
    if (pthread_create(&t->thread, NULL, files_ctx_thread, t) != 0) {
        wh_free(t);
        return WH_REFUSED;
    }
    __atomic_add_fetch(&f->tasks, 1, __ATOMIC_RELAXED);
    *ret = (struct wh_task *)t;
    return WH_OK;
}

static inline void files_ctx_join(const struct wh_ctx *ctx, struct wh_task *task)
{
    struct files_ctx_task *t = (struct files_ctx_task *)task;
    pthread_join(t->thread, NULL);
    wh_free(t);
}

static inline void files_ctx_init(struct files_ctx *f, const char *run)
{
    *f = (struct files_ctx){.reject_limit = 0, .helpers = true};
    f->ctx = (struct wh_ctx){.size = sizeof(struct wh_ctx),
                             .self = f,
                             .run = run,
                             .connection = "test",
                             .tag = "wherry/test",
                             .timezone = "UTC",
                             .state_dir = "/tmp",
                             .alloc = files_ctx_alloc,
                             .log = files_ctx_log,
                             .cancelled = files_ctx_cancelled,
                             .deadline = files_ctx_deadline,
                             .wait = files_ctx_wait,
                             .grant = files_ctx_grant,
                             .reject_raw = files_ctx_reject,
                             .skipped = files_ctx_skipped,
                             .task = files_ctx_task,
                             .join = files_ctx_join};
}

static inline void files_ctx_free(struct files_ctx *f)
{
    for (int i = 0; i < f->n_allocs; i++)
        wh_free(f->allocs[i]);
    f->n_allocs = 0;
}

#endif
