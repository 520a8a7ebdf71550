/* SPDX-License-Identifier: Apache-2.0 */
/* How two ends differ, beyond a sum: statistics per column, and the rows themselves. Each end feeds
 * its own object from its own thread; comparing is one thread's, when both have ended. */
#ifndef WHERRY_ENGINE_DIFFER_H
#define WHERRY_ENGINE_DIFFER_H

#include "data/rowhash.h"
#include "engine/validate.h"

/* ---- statistics (differ_stats.c) ----------------------------------------------------------------
 */

struct wh_stats; /* of one end */

wh_status wh_stats_new(int64_t n_columns, struct wh_stats **ret, struct wh_error *reterr);
void wh_stats_free(struct wh_stats *); /* NULL is fine */
/* The n rows listed, or (rows NULL) the first n. */
wh_status wh_stats_add(struct wh_stats *, const struct wh_view *, const int32_t *rows, int64_t n,
                       struct wh_error *reterr);
/* Texts are the stats' own. */
void wh_stats_of(const struct wh_stats *, int64_t column, struct wh_column_stats *ret);

/* ---- rows (differ_rows.c) -----------------------------------------------------------------------
 *
 * Three readings, the last two only where the first finds a difference. First, both ends fall into
 * buckets by the hash of their key: sums of row hashes say which buckets differ. Then the hashes of
 * the rows of these buckets are kept, as many as the cap allows, and paired. Last, the values of
 * the rows that are listed are fetched. So memory does not grow with the tables, no index and no
 * order is needed, and any source will do.
 */

enum wh_pass {
    WH_PASS_SUM,
    WH_PASS_HASH,
    WH_PASS_FETCH,
};

struct wh_differ; /* of one end */

/* keys: columns of the key, by their place; 0 of them: a row is its own key. */
wh_status wh_differ_new(int64_t n_columns, const int64_t *keys, int64_t n_keys,
                        struct wh_differ **ret, struct wh_error *reterr);
void wh_differ_free(struct wh_differ *); /* NULL is fine */
/* The n rows listed, or (rows NULL) the first n. */
wh_status wh_differ_add(struct wh_differ *, enum wh_pass, const struct wh_view *,
                        const int32_t *rows, int64_t n, struct wh_error *reterr);
/* After WH_PASS_SUM: whether any bucket differs, and which are read again. */
bool wh_differ_choose(struct wh_differ *source, struct wh_differ *target);
/* After WH_PASS_HASH: counts, and at most `most` rows to be fetched. */
wh_status wh_differ_pair(struct wh_differ *source, struct wh_differ *target, size_t most,
                         struct wh_arena *, struct wh_differences *ret, struct wh_error *reterr);
/* After WH_PASS_FETCH: their texts, in the arena. names: of the columns. */
wh_status wh_differ_texts(struct wh_differ *source, struct wh_differ *target,
                          const char *const *names, struct wh_arena *, struct wh_differences *ret,
                          struct wh_error *reterr);

#endif
