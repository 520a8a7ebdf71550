/* SPDX-License-Identifier: Apache-2.0 */
/* Allocation: counted, budgeted, and failing on purpose.
 *
 * Every allocation of Wherry goes through here (tools/check bans malloc elsewhere), so that it can
 * be counted, capped (wh_mem_budget) and made to fail at the N-th call (WH_TEST_FAIL_ALLOC=N or
 * wh_mem_fail_at; WH_TEST_FAIL_LOG=FILE tells whether that call came). All functions are
 * thread-safe unless they say otherwise.
 */
#ifndef WHERRY_CORE_ALLOC_H
#define WHERRY_CORE_ALLOC_H

#include <wherry/status.h>

/* NULL when out of memory, over budget, or failing on purpose. n = 0 gives a valid pointer. */
WH_EXPORT void *wh_alloc(size_t n);
WH_EXPORT void *wh_calloc(size_t n, size_t size); /* zeroed; checks n * size */
WH_EXPORT void *wh_realloc(void *p, size_t n);    /* p stays valid on failure */
WH_EXPORT void *wh_alloc_aligned(size_t n);       /* 64-byte aligned; free with wh_free */
WH_EXPORT void wh_free(void *p);
WH_EXPORT char *wh_strdup(const char *s);            /* NULL gives NULL */
WH_EXPORT char *wh_strndup(const char *s, size_t n); /* terminated copy */
WH_EXPORT void wh_wipe(void *p, size_t n);           /* not optimised away */

struct wh_mem_stats {
    int64_t bytes, peak_bytes, calls;
};
WH_EXPORT struct wh_mem_stats wh_mem_stats(void);
WH_EXPORT void wh_mem_budget(int64_t bytes);              /* 0 = none (default) */
WH_EXPORT void wh_mem_fail_at(int64_t nth, bool forever); /* 0 = never; counts from now */
WH_EXPORT int64_t wh_mem_rss(void); /* resident bytes of this process now, -1 unknown */
WH_EXPORT int64_t wh_mem_peak_rss(void);

/* Arena: many small things freed together. Not thread-safe. Capped in bytes from birth. */
struct wh_arena;
WH_EXPORT struct wh_arena *wh_arena_new(size_t max_bytes);   /* NULL when out of memory */
WH_EXPORT void wh_arena_free(struct wh_arena *);             /* NULL is fine */
WH_EXPORT void wh_arena_reset(struct wh_arena *);            /* keeps one block for reuse */
WH_EXPORT void *wh_arena_alloc(struct wh_arena *, size_t n); /* zeroed, 16-byte aligned; NULL */
WH_EXPORT char *wh_arena_strdup(struct wh_arena *, const char *s);
WH_EXPORT char *wh_arena_strndup(struct wh_arena *, const char *s, size_t n);
WH_EXPORT char *wh_arena_printf(struct wh_arena *, const char *fmt, ...) WH_PRINTF(2, 3);
WH_EXPORT size_t wh_arena_bytes(const struct wh_arena *);

/* Cleanup attribute for locals, and the visible transfer of ownership. */
#define WH_CLEANUP(fn) __attribute__((cleanup(fn)))
#define TAKE_PTR(p)                                                                                \
    ({                                                                                             \
        __typeof__(p) take_ = (p);                                                                 \
        (p) = NULL;                                                                                \
        take_;                                                                                     \
    })
#define TAKE_FD(fd)                                                                                \
    ({                                                                                             \
        int take_ = (fd);                                                                          \
        (fd) = -1;                                                                                 \
        take_;                                                                                     \
    })
WH_EXPORT void wh_freep(void *pp); /* cleanup for any wh_alloc pointer: WH_CLEANUP(wh_freep) */
WH_EXPORT void wh_closep(int *fd); /* cleanup for a file descriptor, -1 = none */
WH_EXPORT void wh_arena_freep(struct wh_arena **);

#endif
