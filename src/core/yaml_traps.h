/* SPDX-License-Identifier: Apache-2.0 */
/* YAML that means something else than it looks like (INTERFACE 8), inside core only.
 *
 * Two kinds: text that parses into the wrong thing (checked per scalar, while the tree is built)
 * and text that does not parse, where libyaml's words do not help (explained once, at the end).
 */
#ifndef WHERRY_CORE_YAML_TRAPS_H
#define WHERRY_CORE_YAML_TRAPS_H

#include "core/doc.h"

#include <yaml.h>

/* The document's text, and the last position that was asked for: libyaml counts characters, and
 * asks roughly from front to back, so that stepping from the last one costs O(n) in all. */
struct yaml_source {
    const char *text;
    size_t n;
    size_t at_char, at_byte;
};

/* The rest of a line from a mark on, and the line around a mark; both without the line's end, and
 * not more than a window of it: a document may be a single line of megabytes. */
struct wh_str yaml_rest(struct yaml_source *, const yaml_mark_t *);
struct wh_str yaml_line(struct yaml_source *, const yaml_mark_t *);

/* Where a scalar stands. */
struct yaml_place {
    const struct wh_node *key; /* the key it is the value of, or NULL */
    bool flow;                 /* inside [...] or {...} */
    bool is_key;
};

/* False if the scalar is a trap; then a problem was added. */
bool yaml_check_scalar(struct doc *, struct yaml_source *, const yaml_event_t *,
                       const struct yaml_place *);
/* A flow map's key without a value: {source.table}, or { delimiter: , } with a colon. */
void yaml_refuse_lone_key(struct doc *, const struct wh_node *key, bool colon, size_t entries);
void yaml_refuse_tag(struct doc *, const yaml_event_t *, const char *tag);
void yaml_refuse_alias(struct doc *, struct yaml_source *, const yaml_event_t *);
/* Adds the problem for a parser that stopped. */
void yaml_explain(struct doc *, struct yaml_source *, const yaml_parser_t *);

#endif
