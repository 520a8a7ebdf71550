/* SPDX-License-Identifier: Apache-2.0 */
/* A small document tree with places: what YAML and JSON job files are read into.
 *
 * Scalars stay text; the option tables type them. YAML is read strictly by libyaml (INTERFACE 8:
 * duplicate keys, tags, aliases in front of a pattern, a second document, empty plain values and
 * '#'-cut SQL are errors with words of their own), JSON by jansson (numbers keep their exact text).
 */
#ifndef WHERRY_CORE_TREE_H
#define WHERRY_CORE_TREE_H

#include "core/alloc.h"

enum wh_node_kind {
    WH_NODE_NULL,
    WH_NODE_SCALAR,
    WH_NODE_LIST,
    WH_NODE_MAP
};

struct wh_node {
    enum wh_node_kind kind;
    bool quoted;            /* a scalar in quotes or a block scalar */
    int line, column;       /* from 1; 0 = not from a file */
    const char *text;       /* SCALAR: terminated UTF-8, no NUL inside */
    struct wh_node **items; /* LIST: values; MAP: values, beside keys[] */
    struct wh_node **keys;  /* MAP: scalar nodes */
    size_t n;
};

/* One finding about a document or a setting; lists hold all of them, not the first. */
struct wh_problem {
    char code[6];
    bool warning;
    const char *where, *message, *hint; /* arena text; hint may be NULL */
};

struct wh_problems {
    struct wh_arena *arena; /* borrowed */
    struct wh_problem *v;
    size_t n, cap, errors;
};

WH_EXPORT void wh_problem_add(struct wh_problems *, const char *code, const char *where,
                              const char *hint, const char *fmt, ...) WH_PRINTF(5, 6);
WH_EXPORT void wh_problem_warn(struct wh_problems *, const char *code, const char *where,
                               const char *hint, const char *fmt, ...) WH_PRINTF(5, 6);

/* Parse a document; `file` is used in places. All nodes live in the arena (cap 64 MiB advised).
 * Syntax problems go to `problems`; returns WH_E_USAGE if there was any error. */
WH_EXPORT wh_status wh_yaml_parse(struct wh_arena *, const char *file, const char *text, size_t n,
                                  struct wh_node **ret, struct wh_problems *problems);
WH_EXPORT wh_status wh_json_parse(struct wh_arena *, const char *file, const char *text, size_t n,
                                  struct wh_node **ret, struct wh_problems *problems);

WH_EXPORT struct wh_node *wh_node_get(const struct wh_node *map, const char *key); /* or NULL */
WH_EXPORT const char *wh_node_text(const struct wh_node *, const char *otherwise);
WH_EXPORT struct wh_node *wh_node_map(struct wh_arena *); /* builders; NULL = no memory */
WH_EXPORT struct wh_node *wh_node_list(struct wh_arena *);
WH_EXPORT struct wh_node *wh_node_scalar(struct wh_arena *, const char *text);
WH_EXPORT wh_status wh_node_put(struct wh_arena *, struct wh_node *map, const char *key,
                                struct wh_node *value); /* replaces an equal key */
WH_EXPORT wh_status wh_node_push(struct wh_arena *, struct wh_node *list, struct wh_node *value);

#endif
