/* SPDX-License-Identifier: Apache-2.0 */
/* A small document tree with places: what YAML and JSON job files are read into.
 *
 * Scalars stay text; the option tables type them. YAML is scanned by libyaml and read strictly:
 * what parses but means something else than it looks like is an error with words of its own (see
 * yaml_traps.h). JSON is read by a strict reader of our own, because numbers must keep their exact
 * text and every value its place. Anchors, aliases and `<<` are followed (an aliased node is
 * shared, so do not change nodes that were read).
 *
 * Not thread-safe; different trees in different arenas are independent.
 */
#ifndef WHERRY_CORE_TREE_H
#define WHERRY_CORE_TREE_H

#include "core/alloc.h"

enum wh_node_kind {
    WH_NODE_NULL, /* text: "" if nothing was written, else the word ("null", "~") */
    WH_NODE_SCALAR,
    WH_NODE_LIST,
    WH_NODE_MAP
};

struct wh_node {
    enum wh_node_kind kind;
    bool quoted;            /* a scalar in quotes or a block scalar */
    int line, column;       /* from 1; 0 = not from a file */
    const char *text;       /* SCALAR: terminated UTF-8, no NUL inside; else "", never NULL */
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
    size_t n, cap, errors; /* errors counts also those that were not kept (more than 200) */
};

WH_EXPORT void wh_problem_add(struct wh_problems *, const char *code, const char *where,
                              const char *hint, const char *fmt, ...) WH_PRINTF(5, 6);
WH_EXPORT void wh_problem_warn(struct wh_problems *, const char *code, const char *where,
                               const char *hint, const char *fmt, ...) WH_PRINTF(5, 6);

/* Parse a document; `file` is used in places. All nodes live in the arena (cap 64 MiB advised).
 * Problems go to `problems`, as many as can be found in one pass; returns WH_E_USAGE if there was
 * any error, WH_E_NOMEM if memory or the arena's cap is used up. An empty document is a NULL node.
 * Caps: 64 levels, YAML 16 MiB, JSON 64 MiB, 100 anchors, aliases expanding to 1 MB. */
WH_EXPORT wh_status wh_yaml_parse(struct wh_arena *, const char *file, const char *text, size_t n,
                                  struct wh_node **ret, struct wh_problems *problems);
WH_EXPORT wh_status wh_json_parse(struct wh_arena *, const char *file, const char *text, size_t n,
                                  struct wh_node **ret, struct wh_problems *problems);

WH_EXPORT struct wh_node *wh_node_get(const struct wh_node *map, const char *key); /* or NULL */
WH_EXPORT const char *wh_node_text(const struct wh_node *, const char *otherwise);
/* "job.yaml:4:7" in the arena; just `file` when the node has no place or memory is short. */
WH_EXPORT const char *wh_node_where(struct wh_arena *, const char *file, const struct wh_node *);
WH_EXPORT struct wh_node *wh_node_map(struct wh_arena *); /* builders; NULL = no memory */
WH_EXPORT struct wh_node *wh_node_list(struct wh_arena *);
WH_EXPORT struct wh_node *wh_node_scalar(struct wh_arena *, const char *text);
WH_EXPORT wh_status wh_node_put(struct wh_arena *, struct wh_node *map, const char *key,
                                struct wh_node *value); /* replaces an equal key */
WH_EXPORT wh_status wh_node_push(struct wh_arena *, struct wh_node *list, struct wh_node *value);

#endif
