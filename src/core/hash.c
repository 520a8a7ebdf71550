/* SPDX-License-Identifier: Apache-2.0 */
#include "core/hash.h"

#include "core/alloc.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

/* Inlined: rows are short, and nothing has to be linked. */
#define XXH_INLINE_ALL
#include <xxhash.h>

uint64_t wh_hash64(const void *p, size_t n, uint64_t seed)
{
    return XXH3_64bits_withSeed(p, n, seed);
}

struct wh_u128 wh_hash128(const void *p, size_t n, uint64_t seed)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(p, n, seed);

    return (struct wh_u128){.lo = hash.low64, .hi = hash.high64};
}

struct wh_u128 wh_u128_add(struct wh_u128 a, struct wh_u128 b)
{
    struct wh_u128 sum = {.lo = a.lo + b.lo, .hi = a.hi + b.hi};

    sum.hi += sum.lo < a.lo;
    return sum;
}

void wh_framehash_add(struct wh_u128 *sum, int64_t *count, const void *p, size_t n)
{
    *sum = wh_u128_add(*sum, wh_hash128(p, n, (uint64_t)++ * count));
}

bool wh_u128_eq(struct wh_u128 a, struct wh_u128 b)
{
    return a.lo == b.lo && a.hi == b.hi;
}

void wh_u128_hex(struct wh_u128 v, char out[33])
{
    static const char hex[] = "0123456789abcdef";

    for (int i = 0; i < 16; i++) {
        out[i] = hex[v.hi >> (60 - 4 * i) & 15];
        out[16 + i] = hex[v.lo >> (60 - 4 * i) & 15];
    }
    out[32] = 0;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return -1;
}

bool wh_u128_parse(const char *hex32, struct wh_u128 *ret)
{
    uint64_t half[2] = {0, 0};

    for (int i = 0; i < 32; i++) {
        int v = hex_value(hex32[i]); /* stops at a NUL, too */

        if (v < 0)
            return false;
        half[i / 16] = half[i / 16] << 4 | (uint64_t)v;
    }
    if (hex32[32])
        return false;
    *ret = (struct wh_u128){.hi = half[0], .lo = half[1]};
    return true;
}

static bool random_from_file(void *p, size_t n)
{
    int fd WH_CLEANUP(wh_closep) = open("/dev/urandom", O_RDONLY | O_CLOEXEC);

    return fd >= 0 && read(fd, p, n) == (ssize_t)n;
}

uint64_t wh_random64(void)
{
    uint64_t v = 0;

    for (;;) {
        if (getrandom(&v, sizeof v, 0) == (ssize_t)sizeof v)
            return v;
        if (errno != EINTR)
            break;
    }
    if (random_from_file(&v, sizeof v))
        return v;
    /* No kernel without either is known; still better than a constant. */
    struct timespec seed[3] = {0};

    clock_gettime(CLOCK_REALTIME, &seed[0]);
    clock_gettime(CLOCK_MONOTONIC, &seed[1]);
    seed[2].tv_sec = getpid();
    return wh_hash64(seed, sizeof seed, (uintptr_t)&v);
}
