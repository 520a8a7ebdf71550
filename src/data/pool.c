/* SPDX-License-Identifier: Apache-2.0 */
#include "data/pool.h"

#include "core/alloc.h"

#include <pthread.h>
#include <stdatomic.h>

/* Four sizes per power of two: 256, 320, 384, 448, 512, ... 2 GiB; all multiples of 64. */
#define LEAST_BITS 8
#define CLASSES    ((31 - LEAST_BITS) * 4 + 1)
#define KEPT_BYTES (4 << 20) /* spare memory of one builder */

#if defined(__SANITIZE_ADDRESS__)
#define RECYCLE 0 /* a recycled buffer would hide a use after release */
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RECYCLE 0
#endif
#endif
#ifndef RECYCLE
#define RECYCLE 1
#endif

struct spare {
    struct spare *next;
};

struct wh_pool {
    _Atomic int refs;
    pthread_mutex_t lock;
    size_t bytes;
    struct spare *lists[CLASSES];
};

struct wh_pool *wh_pool_new(void)
{
    struct wh_pool *pool = wh_calloc(1, sizeof *pool);

    if (pool) {
        atomic_init(&pool->refs, 1);
        pthread_mutex_init(&pool->lock, NULL);
    }
    return pool;
}

struct wh_pool *wh_pool_ref(struct wh_pool *pool)
{
    atomic_fetch_add_explicit(&pool->refs, 1, memory_order_relaxed);
    return pool;
}

void wh_pool_unref(struct wh_pool *pool)
{
    if (!pool || atomic_fetch_sub_explicit(&pool->refs, 1, memory_order_acq_rel) != 1)
        return;
    for (int i = 0; i < CLASSES; i++)
        while (pool->lists[i]) {
            struct spare *first = pool->lists[i];

            pool->lists[i] = first->next;
            wh_free(first);
        }
    pthread_mutex_destroy(&pool->lock);
    wh_free(pool);
}

static size_t class_size(int c)
{
    return (size_t)(4 + c % 4) << (LEAST_BITS - 2 + c / 4);
}

/* The smallest class that holds n bytes; CLASSES when none does. */
static int class_of(size_t n)
{
    if (n <= (1u << LEAST_BITS))
        return 0;
    int power = 63 - __builtin_clzll((unsigned long long)n - 1); /* 2^power < n <= 2^(power+1) */
    int step = (int)((n - 1) >> (power - 2)) - 3;                /* quarters above 2^power, 1..4 */

    if (power >= 31)
        return CLASSES;
    return (power - LEAST_BITS) * 4 + step;
}

void *wh_pool_get(struct wh_pool *pool, size_t n, size_t *ret_cap)
{
    int c = class_of(n);
    struct spare *found;

    if (c == CLASSES)
        return NULL;
    size_t cap = class_size(c);

    pthread_mutex_lock(&pool->lock);
    found = pool->lists[c];
    if (found) {
        pool->lists[c] = found->next;
        pool->bytes -= cap;
    }
    pthread_mutex_unlock(&pool->lock);
    *ret_cap = cap;
    return found ? found : wh_alloc_aligned(cap);
}

void wh_pool_put(struct wh_pool *pool, void *p, size_t cap)
{
    int c = class_of(cap);

    if (!p)
        return;
    cap = c < CLASSES ? class_size(c) : cap;
    if (RECYCLE && c < CLASSES) {
        pthread_mutex_lock(&pool->lock);
        if (pool->bytes + cap <= KEPT_BYTES) {
            struct spare *s = p;

            s->next = pool->lists[c];
            pool->lists[c] = s;
            pool->bytes += cap;
            p = NULL;
        }
        pthread_mutex_unlock(&pool->lock);
    }
    wh_free(p);
}
