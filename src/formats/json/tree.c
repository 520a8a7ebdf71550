/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json/tree.h"

#include "core/hash.h"

enum {
    TREE_BYTES = 256 << 20,
    FEW = 8, /* children that are compared one by one */
};

wh_status json_tree_new(struct json_tree *t)
{
    *t = (struct json_tree){.arena = wh_arena_new(TREE_BYTES)};
    t->root.column = -1;
    return t->arena ? WH_OK : WH_E_NOMEM;
}

void json_tree_free(struct json_tree *t)
{
    wh_arena_free(t->arena);
    *t = (struct json_tree){0};
}

static bool is_key(const struct json_node *node, struct wh_str key)
{
    return node->key.n == key.n && !memcmp(node->key.s, key.s, key.n);
}

static uint32_t slot_of(const struct json_node *node, struct wh_str key)
{
    return (uint32_t)wh_hash64(key.s, key.n, 0) & (uint32_t)node->mask;
}

struct json_node *json_child(const struct json_node *node, struct wh_str key)
{
    if (!node->slots) {
        for (int32_t i = 0; i < node->n_children; i++)
            if (is_key(node->children[i], key))
                return node->children[i];
        return NULL;
    }
    for (uint32_t i = slot_of(node, key); node->slots[i]; i = (i + 1) & (uint32_t)node->mask)
        if (is_key(node->slots[i], key))
            return node->slots[i];
    return NULL;
}

static void put_in_slot(struct json_node *node, struct json_node *child)
{
    uint32_t i = slot_of(node, child->key);
    while (node->slots[i])
        i = (i + 1) & (uint32_t)node->mask;
    node->slots[i] = child;
}

/* Slots for twice the children that there are. */
static wh_status make_slots(struct json_tree *t, struct json_node *node)
{
    int32_t want = 32;
    while (want < node->n_children * 4)
        want *= 2;
    struct json_node **slots = wh_arena_alloc(t->arena, (size_t)want * sizeof(struct json_node *));
    if (!slots)
        return WH_E_NOMEM;
    node->slots = slots;
    node->mask = want - 1;
    for (int32_t i = 0; i < node->n_children; i++)
        put_in_slot(node, node->children[i]);
    return WH_OK;
}

static wh_status add_child(struct json_tree *t, struct json_node *node, struct wh_str key,
                           struct json_node **ret)
{
    struct json_node *child = wh_arena_alloc(t->arena, sizeof *child);
    char *text = wh_arena_strndup(t->arena, key.s ? key.s : "", key.n);
    if (!child || !text)
        return WH_E_NOMEM;
    if (node->n_children == node->cap) {
        int32_t cap = node->cap ? node->cap * 2 : 8;
        struct json_node **v = wh_arena_alloc(t->arena, (size_t)cap * sizeof(struct json_node *));
        if (!v)
            return WH_E_NOMEM;
        for (int32_t i = 0; i < node->n_children; i++)
            v[i] = node->children[i];
        node->children = v;
        node->cap = cap;
    }
    *child = (struct json_node){.key = {text, key.n}, .column = -1};
    node->children[node->n_children++] = child;
    *ret = child;
    if (node->slots && node->n_children * 2 <= node->mask)
        put_in_slot(node, child);
    else if (node->n_children > FEW)
        return make_slots(t, node);
    return WH_OK;
}

wh_status json_tree_add(struct json_tree *t, const struct wh_str *steps, int n,
                        struct json_node **ret)
{
    struct json_node *node = &t->root;
    for (int i = 0; i < n; i++) {
        struct json_node *child = json_child(node, steps[i]);
        if (!child)
            WH_TRY(add_child(t, node, steps[i], &child));
        node = child;
    }
    *ret = node;
    return WH_OK;
}

wh_status json_remember(struct json_tree *t, struct json_node *node, int32_t place,
                        const uint8_t *text, size_t n, struct json_node *child)
{
    if (place >= JSON_ORDER_MAX)
        return WH_OK;
    if (place >= node->n_order) {
        int32_t cap = node->n_order ? node->n_order * 2 : 16;
        while (cap <= place)
            cap *= 2;
        struct json_order *v = wh_arena_alloc(t->arena, (size_t)cap * sizeof *v);
        if (!v)
            return WH_E_NOMEM;
        if (node->n_order)
            memcpy(v, node->order, (size_t)node->n_order * sizeof *v);
        node->order = v;
        node->n_order = cap;
    }
    struct json_order *o = &node->order[place];
    o->n = 0;
    if (n > JSON_ORDER_TEXT)
        return WH_OK;
    memcpy(o->text, text, n);
    o->child = child;
    o->n = (uint8_t)n;
    return WH_OK;
}
