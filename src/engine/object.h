/* SPDX-License-Identifier: Apache-2.0 */
/* Object names as people write them (INTERFACE 1): parts, quotes, globs, regular expressions,
 * lists; and whether a name that a catalogue lists is meant. Planner only; no server is asked. */
#ifndef WHERRY_ENGINE_OBJECT_H
#define WHERRY_ENGINE_OBJECT_H

#include "engine/job.h"

enum wh_part_kind {
    WH_PART_NAME,   /* matches exactly; planner falls back to case-insensitive */
    WH_PART_QUOTED, /* "..." : exactly, may hold anything */
    WH_PART_GLOB,
    WH_PART_REGEX, /* text without the slashes */
    WH_PART_LIST,  /* any of items */
};

/* One dotted part of an object name. Patterns match the whole name. */
struct wh_part {
    enum wh_part_kind kind;
    const char *text;
    bool ignore_case; /* REGEX with i */
    struct wh_part *items;
    size_t n;
};

/* Sides of a stream, for what a setting may mean. */
enum wh_side {
    WH_SIDE_ANY,
    WH_SIDE_FROM,
    WH_SIDE_TO
};

/* One part out of text without dots: "x", x*, /x/i. Problems carry `where`. */
bool wh_part_parse(struct wh_arena *, struct wh_str text, const char *where, struct wh_part *ret,
                   struct wh_problems *);
bool wh_part_is_pattern(const struct wh_part *);

/* May a POSIX pattern be compiled and matched without exponential memory or time? */
bool wh_regex_bounded(const char *pattern);
enum {
    WH_REGEX_MAX = 4096
};
/* POSIX extended syntax knows no \d and \D; people use them. false: too long. */
bool wh_regex_posix(const char *text, char out[WH_REGEX_MAX]);
/* Compiled part: regular expressions are compiled once. */
struct wh_matcher;
wh_status wh_matcher_new(const struct wh_part *, struct wh_matcher **ret, struct wh_error *reterr);
bool wh_matcher_match(const struct wh_matcher *, struct wh_str name, bool ignore_case);
void wh_matcher_free(struct wh_matcher *);

/* "a.b.c" with quotes and patterns to parts and name; at most 4 parts. */
bool wh_name_parse(struct wh_arena *, const char *text, const char *where, struct wh_objref *ret,
                   struct wh_problems *);
/* The text form of a name: parts joined by dots, quoted where needed. */
wh_status wh_name_print(const struct wh_name *, struct wh_buf *);

/* "a{01..12}b{x,y}" to all texts, at most `cap`; false: too many or malformed. */
bool wh_brace_expand(struct wh_arena *, const char *text, size_t cap, struct wh_list *ret);

/* wh_objref_parse with the side known: parameters of the other side are refused by name. */
bool wh_object_read(struct wh_arena *, const char *text, const char *where, enum wh_side,
                    const struct wh_node *connections, struct wh_objref *ret, struct wh_problems *);
/* Adds one option to the connection or to the side's options of a reference, wherever it belongs;
 * an unknown key is a problem with "did you mean" over both tables. */
bool wh_objref_option(struct wh_arena *, struct wh_objref *, enum wh_side, const char *key,
                      struct wh_node *value, const char *where, struct wh_problems *);
/* The name a destination takes from this source: last part, without folder and extensions. */
const char *wh_source_name(struct wh_arena *, const struct wh_name *);

#endif
