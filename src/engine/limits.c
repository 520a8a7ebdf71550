/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/runtime.h"

#include "core/clock.h"
#include "core/options.h"
#include "core/tree.h"

#include <math.h>
#include <string.h>

/* A bucket holds one second's worth; it may go into debt, which is how long a reader pauses. A
 * batch is read whole before its size is known. */
static void bucket_set(struct wh_bucket *b, int64_t per_second)
{
    if (b->per_second == per_second)
        return;
    b->per_second = per_second;
    b->tokens = (double)per_second / 10; /* a short burst, then the pace */
    b->at_ns = wh_now_ns();
}

static int64_t bucket_take(struct wh_bucket *b, int64_t n, int64_t now_ns)
{
    if (b->per_second <= 0)
        return 0;
    b->tokens += (double)(now_ns - b->at_ns) * 1e-9 * (double)b->per_second;
    b->at_ns = now_ns;
    if (b->tokens > (double)b->per_second)
        b->tokens = (double)b->per_second;
    b->tokens -= (double)n;
    return b->tokens >= 0 ? 0 : (int64_t)(-b->tokens / (double)b->per_second * 1e9);
}

void wh_limits_init(struct wh_limits *l, const struct wh_run_options *o, int parallel,
                    int64_t memory)
{
    *l = (struct wh_limits){.memory = memory};
    pthread_mutex_init(&l->mutex, NULL);
    l->parallel = parallel;
    bucket_set(&l->bytes, o->rate_bytes);
    bucket_set(&l->rows, o->rate_rows);
    l->rate_on = o->rate_bytes > 0 || o->rate_rows > 0;
    l->windows = o->n_windows ? o->windows : NULL;
    l->n_windows = o->n_windows;
}

bool wh_limits_clock(struct wh_limits *l, int minute)
{
    const struct wh_rate_window *now = NULL;
    bool changed;

    pthread_mutex_lock(&l->mutex);
    for (size_t i = 0; l->windows && i < l->n_windows && !now; i++)
        if (wh_rate_window_holds(&l->windows[i], minute))
            now = &l->windows[i];
    changed = l->windows && now != l->window;
    l->window = now;
    if (changed) {
        bucket_set(&l->bytes, now && !now->pause ? now->bytes : 0);
        l->rate_on = l->bytes.per_second > 0 || l->rows.per_second > 0;
        l->closed = now && now->pause;
    }
    pthread_mutex_unlock(&l->mutex);
    return changed;
}

void wh_limits_destroy(struct wh_limits *l)
{
    pthread_mutex_destroy(&l->mutex);
}

int64_t wh_limits_take(struct wh_limits *l, int64_t bytes, int64_t rows, int64_t now_ns)
{
    int64_t a, b;

    if (!atomic_load_explicit(&l->rate_on, memory_order_relaxed))
        return 0;
    pthread_mutex_lock(&l->mutex);
    a = bucket_take(&l->bytes, bytes, now_ns);
    b = bucket_take(&l->rows, rows, now_ns);
    pthread_mutex_unlock(&l->mutex);
    return a > b ? a : b;
}

static int64_t size_or(const struct wh_node *map, const char *key, int64_t otherwise, bool *ok)
{
    const char *text = wh_node_text(wh_node_get(map, key), NULL);
    int64_t v;

    if (!text)
        return otherwise;
    if (strcmp(text, "none") == 0)
        return 0;
    if (!wh_parse_size(text, &v)) {
        *ok = false;
        return otherwise;
    }
    return v;
}

bool wh_limits_change(struct wh_limits *l, const char *json)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *map = NULL;
    bool ok = arena &&
              wh_json_parse(arena, "limits", json, strlen(json), &map, &problems) == WH_OK && map &&
              map->kind == WH_NODE_MAP;
    int64_t rate, rows, parallel, memory;

    if (!ok)
        return false;
    pthread_mutex_lock(&l->mutex);
    rate = size_or(map, "rate", l->bytes.per_second, &ok);
    rows = size_or(map, "rows_per_second", l->rows.per_second, &ok);
    parallel = size_or(map, "parallel", l->parallel, &ok);
    memory = size_or(map, "memory", l->memory, &ok);
    if (wh_node_get(map, "rate")) { /* what is said now holds all day */
        l->windows = l->window = NULL;
        l->closed = false;
    }
    bucket_set(&l->bytes, rate);
    bucket_set(&l->rows, rows);
    l->memory = memory;
    l->rate_on = rate > 0 || rows > 0;
    if (parallel >= 1 && parallel <= 1024)
        l->parallel = (int)parallel;
    pthread_mutex_unlock(&l->mutex);
    return ok;
}

enum wh_pressure wh_limits_pressure(struct wh_limits *l)
{
    int64_t now = atomic_load_explicit(&l->resident, memory_order_relaxed);
    int64_t most = atomic_load_explicit(&l->memory, memory_order_relaxed);

    if (most <= 0 || now <= 0)
        return WH_MEMORY_FINE;
    return now > most ? WH_MEMORY_OVER : now > most / 8 * 7 ? WH_MEMORY_NEAR : WH_MEMORY_FINE;
}
