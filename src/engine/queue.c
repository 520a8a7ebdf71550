/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/queue.h"

#include "core/alloc.h"
#include "core/clock.h"

void wh_item_free(struct wh_item *item)
{
    if (!item)
        return;
    wh_batch_release(&item->batch);
    wh_free(item->rows);
    wh_free(item);
}

void wh_queue_init(struct wh_queue *q, int64_t max_bytes)
{
    *q = (struct wh_queue){.max_bytes = max_bytes};
    q->tail = &q->head;
    pthread_mutex_init(&q->mutex, NULL);
    pthread_cond_init(&q->change, NULL);
}

static void drop_items(struct wh_queue *q)
{
    struct wh_item *item = q->head;

    q->head = NULL;
    q->tail = &q->head;
    q->bytes = 0;
    while (item) {
        struct wh_item *next = item->next;

        wh_item_free(item);
        item = next;
    }
}

void wh_queue_destroy(struct wh_queue *q)
{
    drop_items(q);
    pthread_cond_destroy(&q->change);
    pthread_mutex_destroy(&q->mutex);
}

void wh_queue_reset(struct wh_queue *q, int64_t max_bytes)
{
    pthread_mutex_lock(&q->mutex);
    drop_items(q);
    q->max_bytes = max_bytes;
    q->finished = q->cancelled = false;
    q->end = WH_OK;
    q->push_wait_ns = q->pop_wait_ns = 0;
    pthread_mutex_unlock(&q->mutex);
}

static void wait_counted(struct wh_queue *q, int64_t *wait_ns)
{
    int64_t from = wh_now_ns();

    pthread_cond_wait(&q->change, &q->mutex);
    *wait_ns += wh_now_ns() - from;
}

int wh_queue_push(struct wh_queue *q, struct wh_item *take)
{
    pthread_mutex_lock(&q->mutex);
    /* An empty queue admits anything: one batch larger than the bound must still get through. */
    while (!q->cancelled && q->head && q->bytes + take->bytes > q->max_bytes)
        wait_counted(q, &q->push_wait_ns);
    if (q->cancelled) {
        pthread_mutex_unlock(&q->mutex);
        wh_item_free(take);
        return WH_E_CANCELLED;
    }
    take->next = NULL;
    *q->tail = take;
    q->tail = &take->next;
    q->bytes += take->bytes;
    pthread_cond_broadcast(&q->change);
    pthread_mutex_unlock(&q->mutex);
    return WH_OK;
}

int wh_queue_pop(struct wh_queue *q, struct wh_item **ret)
{
    int st = WH_OK;

    pthread_mutex_lock(&q->mutex);
    while (!q->cancelled && !q->head && !q->finished)
        wait_counted(q, &q->pop_wait_ns);
    if (q->cancelled) {
        st = WH_E_CANCELLED;
    } else if (q->head) {
        struct wh_item *item = q->head;

        q->head = item->next;
        if (!q->head)
            q->tail = &q->head;
        q->bytes -= item->bytes;
        item->next = NULL;
        *ret = item;
        pthread_cond_broadcast(&q->change);
    } else {
        st = q->end;
    }
    pthread_mutex_unlock(&q->mutex);
    return st;
}

void wh_queue_finish(struct wh_queue *q, int status)
{
    pthread_mutex_lock(&q->mutex);
    q->finished = true;
    q->end = status;
    pthread_cond_broadcast(&q->change);
    pthread_mutex_unlock(&q->mutex);
}

void wh_queue_cancel(struct wh_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    q->cancelled = true;
    drop_items(q);
    pthread_cond_broadcast(&q->change);
    pthread_mutex_unlock(&q->mutex);
}

void wh_queue_join(struct wh_queue *q)
{
    pthread_mutex_lock(&q->mutex);
    while (!q->finished)
        pthread_cond_wait(&q->change, &q->mutex);
    pthread_mutex_unlock(&q->mutex);
}
