/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers by counter: the value at (stream, index) is a pure function, so any row can be made
 * alone.
 *
 * The mixing function is the finaliser of splitmix64 (Steele, Lea, Flood: Fast splittable
 * pseudorandom number generators, 2014). All of it is unsigned 64-bit arithmetic that wraps;
 * tests/gen/gen_ref.py does the same in Python.
 */
#ifndef WHERRY_BUILTIN_GEN_RAND_H
#define WHERRY_BUILTIN_GEN_RAND_H

#include <stdint.h>

#define GEN_GOLDEN 0x9E3779B97F4A7C15ull

static inline uint64_t gen_mix(uint64_t x)
{
    x ^= x >> 30;
    x *= 0xBF58476D1CE4E5B9ull;
    x ^= x >> 27;
    x *= 0x94D049BB133111EBull;
    return x ^ x >> 31;
}

/* The 64 random bits at place `index` of a stream. */
static inline uint64_t gen_at(uint64_t stream, uint64_t index)
{
    return gen_mix(stream + index * GEN_GOLDEN);
}

/* Stream number `n` below a key: gen_sub(gen_sub(seed, shape), column). */
static inline uint64_t gen_sub(uint64_t key, uint64_t n)
{
    return gen_mix(key + (n + 1) * GEN_GOLDEN);
}

/* 64 more bits for the same place. */
static inline uint64_t gen_again(uint64_t h)
{
    return gen_mix(h + GEN_GOLDEN);
}

/* h spread over 0 .. n-1 (floor(h * n / 2^64)). */
static inline uint64_t gen_below(uint64_t h, uint64_t n)
{
    return (uint64_t)((unsigned __int128)h * n >> 64);
}

/* 16 bits of h, from bit `shift`, spread over 0 .. n-1, n <= 65536. */
static inline uint32_t gen_field(uint64_t h, int shift, uint32_t n)
{
    return ((uint32_t)(h >> shift) & 0xFFFF) * n >> 16;
}

#endif
