/* SPDX-License-Identifier: Apache-2.0 */
#include "core/alloc.h"

#include <stdio.h>
#include <string.h>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WH_ASAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(WH_ASAN)
#include <sanitizer/asan_interface.h>
#define HIDE(p, n) ASAN_POISON_MEMORY_REGION(p, n)
#define SHOW(p, n) ASAN_UNPOISON_MEMORY_REGION(p, n)
#else
#define HIDE(p, n) ((void)(p), (void)(n))
#define SHOW(p, n) ((void)(p), (void)(n))
#endif

/* Blocks grow with the arena: of thousands of small ones each wastes little, and a big document
 * needs few more than of the last size. */
#define FIRST_BLOCK ((size_t)512)
#define LAST_BLOCK  ((size_t)64 << 10)
#define ALIGNMENT   ((size_t)16)

struct block {
    struct block *next;
    size_t size, used; /* of data[] */
    _Alignas(16) char data[];
};

struct wh_arena {
    struct block *blocks; /* the first is being filled */
    struct block *large;  /* one thing each, too big for a block */
    size_t bytes, max, next_size;
};

struct wh_arena *wh_arena_new(size_t max_bytes)
{
    struct wh_arena *arena = wh_calloc(1, sizeof *arena);

    if (arena) {
        arena->max = max_bytes;
        arena->next_size = FIRST_BLOCK;
    }
    return arena;
}

static void free_blocks(struct block *block)
{
    while (block) {
        struct block *next = block->next;

        SHOW(block->data, block->size);
        wh_free(block);
        block = next;
    }
}

void wh_arena_free(struct wh_arena *arena)
{
    if (!arena)
        return;
    free_blocks(arena->blocks);
    free_blocks(arena->large);
    wh_free(arena);
}

void wh_arena_reset(struct wh_arena *arena)
{
    struct block *keep = arena->blocks;

    free_blocks(arena->large);
    arena->large = NULL;
    arena->bytes = 0;
    if (!keep)
        return;
    free_blocks(keep->next);
    keep->next = NULL;
    keep->used = 0;
    HIDE(keep->data, keep->size);
    arena->bytes = keep->size;
}

/* A new block in front of *list, counted against the cap; NULL when it does not fit. */
static struct block *add_block(struct wh_arena *arena, struct block **list, size_t size)
{
    if (size > arena->max - arena->bytes)
        return NULL;
    struct block *block = wh_alloc(sizeof *block + size);

    if (!block)
        return NULL;
    block->next = *list;
    block->size = size;
    block->used = 0;
    *list = block;
    arena->bytes += size;
    return block;
}

static struct block *block_for(struct wh_arena *arena, size_t need)
{
    struct block *block = arena->blocks;

    if (block && block->size - block->used >= need)
        return block;
    if (need > arena->next_size / 4)
        return add_block(arena, &arena->large, need);
    /* Near the cap a small block still serves. */
    size_t left = arena->max - arena->bytes;
    size_t size = arena->next_size < left ? arena->next_size : left;

    block = size >= need ? add_block(arena, &arena->blocks, size) : NULL;
    if (block) {
        HIDE(block->data, block->size);
        if (arena->next_size < LAST_BLOCK && arena->bytes >= 4 * arena->next_size)
            arena->next_size *= 2;
    }
    return block;
}

/* `n` bytes, not zeroed. */
static void *take(struct wh_arena *arena, size_t n)
{
    if (n > PTRDIFF_MAX)
        return NULL;
    size_t need = (n + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    struct block *block = block_for(arena, need ? need : ALIGNMENT);

    if (!block)
        return NULL;
    void *p = block->data + block->used;

    block->used += need ? need : ALIGNMENT;
    SHOW(p, n);
    return p;
}

void *wh_arena_alloc(struct wh_arena *arena, size_t n)
{
    void *p = take(arena, n);

    return p ? memset(p, 0, n) : NULL;
}

char *wh_arena_strdup(struct wh_arena *arena, const char *s)
{
    return s ? wh_arena_strndup(arena, s, strlen(s)) : NULL;
}

char *wh_arena_strndup(struct wh_arena *arena, const char *s, size_t n)
{
    char *copy = s && n < SIZE_MAX ? take(arena, n + 1) : NULL;

    if (copy) {
        memcpy(copy, s, n);
        copy[n] = 0;
    }
    return copy;
}

char *wh_arena_printf(struct wh_arena *arena, const char *fmt, ...)
{
    char small[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0)
        return NULL;
    if ((size_t)n < sizeof small)
        return wh_arena_strndup(arena, small, (size_t)n);
    char *text = take(arena, (size_t)n + 1);

    if (text) {
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return text;
}

size_t wh_arena_bytes(const struct wh_arena *arena)
{
    return arena->bytes;
}
