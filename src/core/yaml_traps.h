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

/* Starts of all lines, as libyaml counts them. */
struct yaml_lines {
    const char *text;
    size_t n, n_lines, cap;
    size_t *starts;
};

wh_status yaml_lines_init(struct yaml_lines *, const char *text, size_t n);
void yaml_lines_done(struct yaml_lines *);
struct wh_str yaml_line(const struct yaml_lines *, size_t line); /* from 0; without its end */
/* The rest of a line from a mark on. */
struct wh_str yaml_rest(const struct yaml_lines *, const yaml_mark_t *);

/* Where a scalar stands. */
struct yaml_place {
    const struct wh_node *key; /* the key it is the value of, or NULL */
    bool flow;                 /* inside [...] or {...} */
    bool is_key;
};

/* False if the scalar is a trap; then a problem was added. */
bool yaml_check_scalar(struct doc *, const struct yaml_lines *, const yaml_event_t *,
                       const struct yaml_place *);
/* A flow map's key without a value: {source.table}, or { delimiter: , } with a colon. */
void yaml_refuse_lone_key(struct doc *, const struct wh_node *key, bool colon, size_t entries);
void yaml_refuse_tag(struct doc *, const yaml_event_t *, const char *tag);
void yaml_refuse_alias(struct doc *, const struct yaml_lines *, const yaml_event_t *);
/* Adds the problem for a parser that stopped. */
void yaml_explain(struct doc *, const struct yaml_lines *, const yaml_parser_t *);

#endif
