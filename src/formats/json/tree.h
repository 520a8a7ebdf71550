/* SPDX-License-Identifier: Apache-2.0 */
/* Which keys of a row are columns: a tree of keys, with what stood where in the row before. */
#ifndef WHERRY_FORMATS_JSON_TREE_H
#define WHERRY_FORMATS_JSON_TREE_H

#include <string.h>

#include "formats/json/scan.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum {
    JSON_ORDER_MAX = 1024, /* keys of an object that are remembered in their order */
    JSON_ORDER_TEXT = 55,
};

struct json_node;

/* A key as it stood in the row before at the same place: from its opening quote to its value. */
struct json_order {
    struct json_node *child;
    uint8_t n; /* 0 = nothing */
    uint8_t text[JSON_ORDER_TEXT];
};

struct json_node {
    struct wh_str key;
    int32_t column;                /* -1 = none by itself */
    uint32_t seen;                 /* the stamp of the row that had it last */
    int32_t n_children, cap, mask; /* mask + 1 slots, 0 = no table */
    struct json_node **children, **slots;
    int32_t n_order;
    struct json_order *order;
};

struct json_tree {
    struct wh_arena *arena;
    struct json_node root;
};

wh_status json_tree_new(struct json_tree *);
void json_tree_free(struct json_tree *);
/* The node of a path, made if it is not there. WH_OK or WH_E_NOMEM. */
wh_status json_tree_add(struct json_tree *, const struct wh_str *steps, int n,
                        struct json_node **ret);
/* NULL if there is no such key. */
struct json_node *json_child(const struct json_node *, struct wh_str key);
/* Remembers what stood at a place. WH_OK or WH_E_NOMEM. */
wh_status json_remember(struct json_tree *, struct json_node *, int32_t place, const uint8_t *text,
                        size_t n, struct json_node *child);

static inline bool json_same_text(const struct json_order *o, const uint8_t *p)
{
#if defined(__x86_64__)
    __m128i a = _mm_loadu_si128((const __m128i *)(const void *)o->text),
            b = _mm_loadu_si128((const __m128i *)(const void *)p);
    unsigned same = (unsigned)_mm_movemask_epi8(_mm_cmpeq_epi8(a, b));
    if (__builtin_expect(o->n <= 16, 1))
        return !(~same & ((1u << o->n) - 1));
    return same == 0xffff && !memcmp(o->text + 16, p + 16, o->n - 16u);
#else
    return !memcmp(o->text, p, o->n);
#endif
}

#endif
