/* SPDX-License-Identifier: Apache-2.0 */
/* What the YAML and the JSON reader share while they build a tree (inside core only). */
#ifndef WHERRY_CORE_DOC_H
#define WHERRY_CORE_DOC_H

#include "core/buf.h"
#include "core/tree.h"

#define DOC_MAX_DEPTH 64
#define DOC_MAX_YAML  ((size_t)16 << 20)
#define DOC_MAX_JSON  ((size_t)64 << 20)

struct doc_key {
    const struct wh_node *map, *key;
};

struct doc {
    struct wh_arena *arena;
    const char *file;
    struct wh_problems *problems;
    struct doc_key *slots; /* hash set of all keys of all maps: finds doubles in O(1) */
    size_t n_slots, n_keys;
};

void doc_done(struct doc *); /* frees the set of keys; the tree stays in the arena */

/* A place in the document; lines and columns from 1, columns in characters. */
__attribute__((format(printf, 6, 7))) void doc_problem(struct doc *, const char *code, int line,
                                                       int column, const char *hint,
                                                       const char *fmt, ...);

/* Refuses what is too big or not UTF-8; skips a byte order mark. */
wh_status doc_check_text(struct doc *, const char **text, size_t *n, size_t max, const char *code);

wh_status doc_node(struct doc *, enum wh_node_kind, int line, int column, struct wh_node **ret);

/* Adds a pair unless the key is there already, which becomes a problem (and the pair is left out).
 */
wh_status doc_put(struct doc *, struct wh_node *map, struct wh_node *key, struct wh_node *value);
/* Adds a pair if the key is new; else *ret_twin is the key that is there, which stays. */
wh_status doc_put_absent(struct doc *, struct wh_node *map, struct wh_node *key,
                         struct wh_node *value, const struct wh_node **ret_twin);

#endif
