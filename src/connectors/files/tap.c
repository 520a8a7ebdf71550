/* SPDX-License-Identifier: Apache-2.0 */
#include "tap.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <unistd.h>

#include "core/alloc.h"

enum {
    KEEP_MAX = 8 << 20
};

/* Rows would be lost if a plan's look at a pipe were forgotten before the run reads it. */
static struct {
    pthread_mutex_t lock;
    uint8_t *head; /* the first head_n bytes, until a reader passed them */
    size_t head_n, head_cap;
    int64_t offset; /* bytes read from the descriptor */
    bool taken, end;
} tap = {.lock = PTHREAD_MUTEX_INITIALIZER};

static wh_status read_some(const struct wh_ctx *ctx, void *buf, size_t n, size_t *ret_n,
                           struct wh_error *reterr)
{
    ssize_t k;
    *ret_n = 0;
    if (tap.end)
        return WH_OK;
    if (ctx && ctx->wait)
        WH_TRY(ctx->wait(ctx, STDIN_FILENO, POLLIN, ctx->deadline ? ctx->deadline(ctx) : INT64_MAX,
                         reterr));
    do
        k = read(STDIN_FILENO, buf, n);
    while (k < 0 && errno == EINTR);
    if (k < 0)
        return wh_fail_errno(reterr, errno, "E4002", "cannot read standard input");
    tap.end = !k;
    tap.offset += k;
    *ret_n = (size_t)k;
    return WH_OK;
}

static wh_status keep_more(const struct wh_ctx *ctx, size_t n, struct wh_error *reterr)
{
    size_t room = KEEP_MAX - tap.head_n, got;
    n = n < room ? n : room;
    if (!n)
        return WH_OK;
    if (tap.head_n + n > tap.head_cap) {
        size_t cap = tap.head_cap ? tap.head_cap * 2 : 1 << 18;
        while (cap < tap.head_n + n)
            cap *= 2;
        uint8_t *p = wh_realloc(tap.head, cap);
        if (!p)
            return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for standard input");
        tap.head = p;
        tap.head_cap = cap;
    }
    WH_TRY(read_some(ctx, tap.head + tap.head_n, n, &got, reterr));
    tap.head_n += got;
    return WH_OK;
}

static wh_status tap_read(const struct wh_ctx *ctx, int64_t offset, bool peek, void *buf, size_t n,
                          size_t *ret_n, struct wh_error *reterr)
{
    *ret_n = 0;
    if (tap.taken && (peek || offset < tap.offset - (int64_t)tap.head_n))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E4002",
                       "standard input can be read only once, and it was read already");
    if (peek && offset >= (int64_t)tap.head_n)
        WH_TRY(keep_more(ctx, n, reterr));
    if (offset < (int64_t)tap.head_n && (peek || tap.offset == (int64_t)tap.head_n)) {
        size_t k = tap.head_n - (size_t)offset;
        *ret_n = k < n ? k : n;
        memcpy(buf, tap.head + offset, *ret_n);
        return WH_OK;
    }
    if (peek)
        return WH_OK;
    if (!tap.taken) {
        tap.taken = true;
        wh_free(tap.head);
        tap.head = NULL;
        tap.head_n = tap.head_cap = 0;
    }
    if (offset != tap.offset)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E4002",
                       "standard input can be read only once, and it was read already");
    return read_some(ctx, buf, n, ret_n, reterr);
}

wh_status files_tap_read(const struct wh_ctx *ctx, int64_t offset, bool peek, void *buf, size_t n,
                         size_t *ret_n, struct wh_error *reterr)
{
    pthread_mutex_lock(&tap.lock);
    int st = tap_read(ctx, offset, peek, buf, n, ret_n, reterr);
    pthread_mutex_unlock(&tap.lock);
    return st;
}
