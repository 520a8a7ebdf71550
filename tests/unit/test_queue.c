/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/alloc.h"
#include "core/clock.h"
#include "engine/queue.h"

static _Atomic int released;

static void release(struct ArrowArray *a)
{
    released++;
    a->release = NULL;
}

static struct wh_item *item(int64_t n, int64_t bytes)
{
    struct wh_item *i = wh_calloc(1, sizeof *i);

    assert_non_null(i);
    i->n = n;
    i->bytes = bytes;
    i->batch.rows.release = release;
    return i;
}

struct pushing {
    struct wh_queue *q;
    int n, done;
    int64_t bytes;
    int status;
};

static void *push_many(void *arg)
{
    struct pushing *p = arg;

    p->status = WH_OK;
    for (p->done = 0; p->done < p->n && p->status == WH_OK; p->done++)
        p->status = wh_queue_push(p->q, item(p->done, p->bytes));
    wh_queue_finish(p->q, p->status == WH_OK ? WH_END : p->status);
    return NULL;
}

/* Red when items are lost, change their order, or more than the bound is held at once. */
static void in_order_and_bounded(void **state)
{
    struct wh_queue q;
    struct pushing p = {.q = &q, .n = 2000, .bytes = 100};
    struct wh_item *i;
    pthread_t t;
    int st, n = 0;

    wh_queue_init(&q, 1000);
    assert_int_equal(pthread_create(&t, NULL, push_many, &p), 0);
    while ((st = wh_queue_pop(&q, &i)) == WH_OK) {
        assert_int_equal(i->n, n++);
        pthread_mutex_lock(&q.mutex);
        assert_true(q.bytes <= 1000);
        pthread_mutex_unlock(&q.mutex);
        wh_item_free(i);
    }
    assert_int_equal(st, WH_END);
    assert_int_equal(wh_queue_pop(&q, &i), WH_END); /* again and again */
    assert_int_equal(n, 2000);
    pthread_join(t, NULL);
    assert_int_equal(p.status, WH_OK);
    wh_queue_destroy(&q);
}

/* Red when one batch larger than the bound can never pass. */
static void one_large(void **state)
{
    struct wh_queue q;
    struct pushing p = {.q = &q, .n = 3, .bytes = 5000};
    struct wh_item *i;
    pthread_t t;

    wh_queue_init(&q, 1000);
    assert_int_equal(pthread_create(&t, NULL, push_many, &p), 0);
    for (int n = 0; n < 3; n++) {
        assert_ok(wh_queue_pop(&q, &i));
        wh_item_free(i);
    }
    assert_int_equal(wh_queue_pop(&q, &i), WH_END);
    pthread_join(t, NULL);
    wh_queue_destroy(&q);
}

/* Red when a writer that gives up leaves its reader hanging, or queued batches unreleased. */
static void cancelled(void **state)
{
    struct wh_queue q;
    struct pushing p = {.q = &q, .n = 1000, .bytes = 500};
    struct wh_item *i;
    pthread_t t;
    int before = released;

    wh_queue_init(&q, 1000);
    assert_int_equal(pthread_create(&t, NULL, push_many, &p), 0);
    assert_ok(wh_queue_pop(&q, &i));
    wh_item_free(i);
    wh_queue_cancel(&q);
    wh_queue_join(&q);
    pthread_join(t, NULL);
    assert_int_equal(p.status, WH_E_CANCELLED);
    assert_int_equal(wh_queue_pop(&q, &i), WH_E_CANCELLED);
    assert_int_equal(released - before, p.done); /* every item that was made */
    wh_queue_reset(&q, 1000);                    /* and it serves the next attempt */
    assert_ok(wh_queue_push(&q, item(1, 1)));
    assert_ok(wh_queue_pop(&q, &i));
    wh_item_free(i);
    wh_queue_destroy(&q);
}

static void *finish_later(void *arg)
{
    wh_sleep_ms(50);
    wh_queue_finish(arg, WH_E_IO);
    return NULL;
}

/* Red when a reader's failure does not reach the writer, or the writer's wait is not counted. */
static void failure_passes(void **state)
{
    struct wh_queue q;
    struct wh_item *i;
    pthread_t t;

    wh_queue_init(&q, 1000);
    assert_int_equal(pthread_create(&t, NULL, finish_later, &q), 0);
    assert_int_equal(wh_queue_pop(&q, &i), WH_E_IO);
    assert_true(q.pop_wait_ns > 20000000);
    pthread_join(t, NULL);
    wh_queue_destroy(&q);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(in_order_and_bounded),
        cmocka_unit_test(one_large),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(failure_passes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
