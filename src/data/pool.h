/* SPDX-License-Identifier: Apache-2.0 */
/* Spare buffers between a builder and its released batches: sizes come in classes, a list per
 * class. Thread-safe; lives until builder and last batch are gone. */
#ifndef WHERRY_DATA_POOL_H
#define WHERRY_DATA_POOL_H

#include <wherry/status.h>

struct wh_pool;

struct wh_pool *wh_pool_new(void); /* one reference; NULL = no memory */
struct wh_pool *wh_pool_ref(struct wh_pool *);
void wh_pool_unref(struct wh_pool *); /* NULL is fine */

/* At least n bytes, 64-byte aligned, content undefined; *ret_cap = what it holds. */
void *wh_pool_get(struct wh_pool *, size_t n, size_t *ret_cap);
/* `n` as it was asked for, or the cap that came back. p == NULL is fine. */
void wh_pool_put(struct wh_pool *, void *p, size_t n);

#endif
