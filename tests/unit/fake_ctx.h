/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's services for a connector under test: what it asks for is granted, what it reports is
 * kept. Waits are real but end at fake_ctx.limit_ms. */
#ifndef WHERRY_TESTS_UNIT_FAKE_CTX_H
#define WHERRY_TESTS_UNIT_FAKE_CTX_H

#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <wherry/connector.h>
#include "core/alloc.h"
#include "core/clock.h"

struct fake_reject {
    char position[128], code[8], text[400], raw[2000];
    int32_t column;
};

struct fake_ctx {
    struct wh_ctx ctx; /* hand out &fake.ctx */
    struct wh_arena *arena;
    bool cancel;
    int64_t limit_ms;    /* every verb should be over after so long */
    int64_t reject_most; /* WH_E_LIMIT beyond; 0 = none */
    struct fake_reject rejects[64];
    int64_t n_rejects, n_skipped;
    char last_log[512];
};

static inline void *fake_alloc(const struct wh_ctx *c, size_t n)
{
    return wh_arena_alloc(((struct fake_ctx *)c->self)->arena, n);
}

static inline void fake_log(const struct wh_ctx *c, int level, const char *fmt, ...)
    WH_PRINTF(3, 4);
static inline void fake_log(const struct wh_ctx *c, int level, const char *fmt, ...)
{
    struct fake_ctx *f = c->self;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(f->last_log, sizeof f->last_log, fmt, ap);
    va_end(ap);
}

static inline bool fake_cancelled(const struct wh_ctx *c)
{
    return ((struct fake_ctx *)c->self)->cancel;
}

static inline int64_t fake_deadline(const struct wh_ctx *c)
{
    return wh_now_ns() + ((struct fake_ctx *)c->self)->limit_ms * 1000000;
}

static inline int fake_wait(const struct wh_ctx *c, int fd, short events, int64_t deadline_ns,
                            struct wh_error *reterr)
{
    struct pollfd p = {.fd = fd, .events = events};
    int64_t ms = (deadline_ns - wh_now_ns() + 999999) / 1000000;

    if (((struct fake_ctx *)c->self)->cancel)
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    if (poll(&p, fd >= 0, ms < 0 ? 0 : (int)ms) > 0)
        return WH_OK;
    return wh_fail(reterr, WH_E_IO, "E2002", "the time is over");
}

static inline int64_t fake_grant(const struct wh_ctx *c, int64_t want)
{
    return want;
}

static inline int fake_reject_raw(const struct wh_ctx *c, struct wh_bytes raw, int64_t raw_of,
                                  const char *position, int32_t column, const char *code,
                                  const char *text)
{
    struct fake_ctx *f = c->self;
    struct fake_reject *r = &f->rejects[f->n_rejects % 64];

    f->n_rejects++;
    if (f->reject_most && f->n_rejects > f->reject_most)
        return WH_E_LIMIT;
    snprintf(r->position, sizeof r->position, "%s", position);
    snprintf(r->code, sizeof r->code, "%s", code);
    snprintf(r->text, sizeof r->text, "%s", text);
    snprintf(r->raw, sizeof r->raw, "%.*s", raw.n > 1999 ? 1999 : (int)raw.n, (const char *)raw.p);
    r->column = column;
    return WH_OK;
}

static inline int fake_skipped(const struct wh_ctx *c, const char *reason, int64_t rows)
{
    ((struct fake_ctx *)c->self)->n_skipped += rows;
    return WH_OK;
}

static inline void fake_relocated(const struct wh_ctx *c, const char *why)
{
}

static inline int fake_task(const struct wh_ctx *c, void (*fn)(void *), void *arg,
                            struct wh_task **ret)
{
    return WH_REFUSED; /* no helper is free */
}

static inline void fake_join(const struct wh_ctx *c, struct wh_task *t)
{
}

static inline void fake_ctx_init(struct fake_ctx *f)
{
    memset(f, 0, sizeof *f);
    f->arena = wh_arena_new(16 << 20);
    f->limit_ms = 10000;
    f->ctx = (struct wh_ctx){.size = sizeof(struct wh_ctx),
                             .self = f,
                             .run = "r-20260101-0123456789ab",
                             .connection = "test",
                             .tag = "wherry/0123456789ab/e1/test1",
                             .timezone = "UTC",
                             .state_dir = "/tmp",
                             .alloc = fake_alloc,
                             .log = fake_log,
                             .cancelled = fake_cancelled,
                             .deadline = fake_deadline,
                             .wait = fake_wait,
                             .grant = fake_grant,
                             .reject_raw = fake_reject_raw,
                             .skipped = fake_skipped,
                             .relocated = fake_relocated,
                             .task = fake_task,
                             .join = fake_join};
}

static inline void fake_ctx_free(struct fake_ctx *f)
{
    wh_arena_free(f->arena);
    f->arena = NULL;
}

#endif
