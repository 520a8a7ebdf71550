/* SPDX-License-Identifier: Apache-2.0 */
/* The helper pool behind ctx->task: a few threads for work that cannot be split otherwise. */
#include "engine/service.h"

#include "core/alloc.h"

#include <unistd.h>

struct wh_task {
    void (*fn)(void *);
    void *arg;
    bool done;
    struct wh_task *next;
};

int wh_pool_start(struct wh_pool *pool, int max)
{
    *pool = (struct wh_pool){.max = max > WH_HELPERS_MAX ? WH_HELPERS_MAX : max};
    pool->tail = &pool->head;
    pthread_mutex_init(&pool->mutex, NULL);
    pthread_cond_init(&pool->work, NULL);
    pthread_cond_init(&pool->done, NULL);
    return WH_OK;
}

static void *helper_main(void *arg)
{
    struct wh_pool *pool = arg;

    pthread_mutex_lock(&pool->mutex);
    for (;;) {
        struct wh_task *task = pool->head;

        if (!task) {
            if (pool->stopping)
                break;
            pool->idle++;
            pthread_cond_wait(&pool->work, &pool->mutex);
            pool->idle--;
            continue;
        }
        pool->head = task->next;
        if (!pool->head)
            pool->tail = &pool->head;
        pool->queued--;
        pthread_mutex_unlock(&pool->mutex);
        task->fn(task->arg);
        pthread_mutex_lock(&pool->mutex);
        task->done = true;
        pthread_cond_broadcast(&pool->done);
    }
    pthread_mutex_unlock(&pool->mutex);
    return NULL;
}

/* One more helper if the pool allows it; the mutex is held. */
static bool add_helper(struct wh_pool *pool)
{
    pthread_attr_t attr;
    bool made;

    if (pool->threads >= pool->max || pool->stopping)
        return false;
    pthread_attr_init(&attr);
    pthread_attr_setstacksize(&attr, 256 * 1024);
    made = pthread_create(&pool->thread[pool->threads], &attr, helper_main, pool) == 0;
    pthread_attr_destroy(&attr);
    if (made)
        pool->threads++;
    return made;
}

int wh_pool_task(struct wh_pool *pool, void (*fn)(void *), void *arg, struct wh_task **ret)
{
    struct wh_task *task;
    int st = WH_OK;

    pthread_mutex_lock(&pool->mutex);
    if (pool->queued >= pool->idle && !add_helper(pool)) {
        pthread_mutex_unlock(&pool->mutex);
        return WH_REFUSED;
    }
    task = wh_calloc(1, sizeof *task);
    if (task) {
        task->fn = fn;
        task->arg = arg;
        *pool->tail = task;
        pool->tail = &task->next;
        pool->queued++;
        *ret = task;
        pthread_cond_signal(&pool->work);
    } else {
        st = WH_REFUSED;
    }
    pthread_mutex_unlock(&pool->mutex);
    return st;
}

void wh_pool_join(struct wh_pool *pool, struct wh_task *task)
{
    if (!task)
        return;
    pthread_mutex_lock(&pool->mutex);
    while (!task->done)
        pthread_cond_wait(&pool->done, &pool->mutex);
    pthread_mutex_unlock(&pool->mutex);
    wh_free(task);
}

void wh_pool_stop(struct wh_pool *pool)
{
    int n;

    pthread_mutex_lock(&pool->mutex);
    pool->stopping = true;
    n = pool->threads;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->mutex);
    for (int i = 0; i < n; i++)
        pthread_join(pool->thread[i], NULL);
    pthread_cond_destroy(&pool->work);
    pthread_cond_destroy(&pool->done);
    pthread_mutex_destroy(&pool->mutex);
}
