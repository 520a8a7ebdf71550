/* SPDX-License-Identifier: Apache-2.0 */
#include "core/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ALIGNMENT 64

/* Counters are relaxed: they are sums for reports and a budget that may be missed by what a few
 * threads ask for at the same moment, never a lock. */
static _Atomic int64_t in_use, peak, calls, budget;

/* Failing on purpose. `arm` is -1 until the environment was read, 0 = off, 1 = on. */
static _Atomic int arm = -1;
static _Atomic int64_t fail_left; /* the call that brings it to 0 fails */
static _Atomic bool fail_forever;

static void read_environment(void)
{
    const char *text = getenv("WH_TEST_FAIL_ALLOC");
    int64_t nth = text ? strtoll(text, NULL, 10) : 0;
    int unread = -1;

    if (nth > 0)
        atomic_store(&fail_left, nth);
    atomic_compare_exchange_strong(&arm, &unread, nth > 0);
}

/* Lets a test know that the failure it asked for was due (WH_TEST_FAIL_LOG=FILE grows by a byte).
 */
static void log_failure(void)
{
    const char *path = getenv("WH_TEST_FAIL_LOG");
    int fd WH_CLEANUP(wh_closep) =
        path ? open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600) : -1;
    ssize_t done = fd < 0 ? 0 : write(fd, "!", 1);

    (void)done; /* without it the test sees a failure that was not due */
}

static bool fails_on_purpose(void)
{
    int armed = atomic_load_explicit(&arm, memory_order_relaxed);

    if (armed == 0)
        return false;
    if (armed < 0) {
        read_environment();
        return fails_on_purpose();
    }
    int64_t left = atomic_fetch_sub(&fail_left, 1) - 1;

    if (left == 0)
        log_failure();
    return left == 0 || (left < 0 && atomic_load(&fail_forever));
}

/* May `more` bytes be taken? Counts the call. */
static bool admit(size_t more)
{
    atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed);
    if (more > PTRDIFF_MAX || fails_on_purpose())
        return false;
    int64_t cap = atomic_load_explicit(&budget, memory_order_relaxed);

    return cap == 0 || atomic_load_explicit(&in_use, memory_order_relaxed) + (int64_t)more <= cap;
}

static void count(int64_t delta)
{
    int64_t now = atomic_fetch_add_explicit(&in_use, delta, memory_order_relaxed) + delta;
    int64_t top = atomic_load_explicit(&peak, memory_order_relaxed);

    while (now > top && !atomic_compare_exchange_weak_explicit(
                            &peak, &top, now, memory_order_relaxed, memory_order_relaxed))
        ;
}

static void *counted(void *p)
{
    if (p)
        count((int64_t)malloc_usable_size(p));
    return p;
}

void *wh_alloc(size_t n)
{
    return admit(n) ? counted(malloc(n ? n : 1)) : NULL;
}

void *wh_calloc(size_t n, size_t size)
{
    size_t total;

    if (__builtin_mul_overflow(n, size, &total) || !admit(total))
        return NULL;
    return counted(calloc(1, total ? total : 1));
}

void *wh_realloc(void *p, size_t n)
{
    int64_t old = p ? (int64_t)malloc_usable_size(p) : 0;

    if (!admit(n > (size_t)old ? n - (size_t)old : 0))
        return NULL;
    void *grown = realloc(p, n ? n : 1);

    if (grown)
        count((int64_t)malloc_usable_size(grown) - old);
    return grown;
}

void *wh_alloc_aligned(size_t n)
{
    if (n > PTRDIFF_MAX || !admit(n))
        return NULL;
    size_t padded = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;

    return counted(aligned_alloc(ALIGNMENT, padded ? padded : ALIGNMENT));
}

void wh_free(void *p)
{
    if (!p)
        return;
    count(-(int64_t)malloc_usable_size(p));
    free(p);
}

char *wh_strdup(const char *s)
{
    return s ? wh_strndup(s, strlen(s)) : NULL;
}

char *wh_strndup(const char *s, size_t n)
{
    if (!s || n == SIZE_MAX)
        return NULL;
    char *copy = wh_alloc(n + 1);

    if (copy) {
        memcpy(copy, s, n);
        copy[n] = 0;
    }
    return copy;
}

void wh_wipe(void *p, size_t n)
{
    if (p)
        explicit_bzero(p, n);
}

struct wh_mem_stats wh_mem_stats(void)
{
    return (struct wh_mem_stats){.bytes = atomic_load(&in_use),
                                 .peak_bytes = atomic_load(&peak),
                                 .calls = atomic_load(&calls)};
}

void wh_mem_budget(int64_t bytes)
{
    atomic_store(&budget, bytes > 0 ? bytes : 0);
}

void wh_mem_fail_at(int64_t nth, bool forever)
{
    atomic_store(&arm, 0);
    atomic_store(&fail_left, nth);
    atomic_store(&fail_forever, forever);
    atomic_store(&arm, nth > 0);
}

/* A whole file of /proc in one read; 0 bytes when it cannot be read. */
static size_t read_proc(const char *path, char *out, size_t cap)
{
    int fd WH_CLEANUP(wh_closep) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, out, cap - 1);

    out[n > 0 ? n : 0] = 0;
    return n > 0 ? (size_t)n : 0;
}

int64_t wh_mem_rss(void)
{
    char text[256];
    char *end;

    if (!read_proc("/proc/self/statm", text, sizeof text))
        return -1;
    strtoll(text, &end, 10); /* total size; resident pages come second */
    int64_t pages = strtoll(end, NULL, 10);

    return pages > 0 ? pages * sysconf(_SC_PAGESIZE) : -1;
}

int64_t wh_mem_peak_rss(void)
{
    char text[4096];
    struct rusage usage;

    /* VmHWM first: ru_maxrss remembers what the parent had before exec. */
    if (read_proc("/proc/self/status", text, sizeof text)) {
        const char *line = strstr(text, "\nVmHWM:");

        if (line)
            return strtoll(line + sizeof "\nVmHWM:" - 1, NULL, 10) * 1024;
    }
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (int64_t)usage.ru_maxrss * 1024 : -1;
}

void wh_freep(void *pp)
{
    void **p = pp;

    wh_free(*p);
    *p = NULL;
}

void wh_closep(int *fd)
{
    int saved = errno; /* cleanup must not hide why the function fails */

    if (*fd >= 0)
        close(*fd);
    *fd = -1;
    errno = saved;
}

void wh_arena_freep(struct wh_arena **arena)
{
    wh_arena_free(*arena);
    *arena = NULL;
}
