/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-over between a reader and a writer thread: bounded in bytes, one batch always admitted.
 *
 * One reader pushes, one writer pops. The reader says when nothing more comes (finish, with the
 * status of its end); either side may cancel, after which every call answers at once and what is
 * still queued is released. Waits are counted, so that a run can say who waits for whom.
 */
#ifndef WHERRY_ENGINE_QUEUE_H
#define WHERRY_ENGINE_QUEUE_H

#include <wherry/batch.h>

#include <pthread.h>

/* A converted batch on its way. `rows` lists the good rows (NULL = all of the batch). */
struct wh_item {
    struct wh_item *next;
    struct wh_batch batch;
    int32_t *rows;  /* owned; NULL = rows 0 .. n - 1 */
    int64_t n;      /* rows to be sent */
    int64_t n_read; /* rows the source gave for it, bad ones included */
    int split;      /* index in the unit's list */
    int64_t bytes;  /* what it holds in memory */
    int refs;       /* writer's side only: sends that still point into it */
};

void wh_item_free(struct wh_item *); /* NULL is fine */

struct wh_queue {
    pthread_mutex_t mutex;
    pthread_cond_t change;
    struct wh_item *head, **tail;
    int64_t bytes, max_bytes;
    bool finished, cancelled;
    int end; /* status the reader finished with */
    int64_t push_wait_ns, pop_wait_ns;
};

void wh_queue_init(struct wh_queue *, int64_t max_bytes);
void wh_queue_destroy(struct wh_queue *);
/* Empty and open again, for the next attempt of a lane. */
void wh_queue_reset(struct wh_queue *, int64_t max_bytes);
/* Takes the item always. WH_E_CANCELLED when the other side gave up (the item is freed then). */
wh_status wh_queue_push(struct wh_queue *, struct wh_item *take);
/* OK with an item; after finish and the last item: WH_END, or the status given to finish.
 * WH_E_CANCELLED after cancel. */
wh_status wh_queue_pop(struct wh_queue *, struct wh_item **ret);
void wh_queue_finish(struct wh_queue *, int status); /* WH_END or what went wrong */
void wh_queue_cancel(struct wh_queue *);
/* Waits until `finish` was called (cancelled or not). */
void wh_queue_join(struct wh_queue *);

#endif
