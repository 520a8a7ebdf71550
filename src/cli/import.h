/* SPDX-License-Identifier: Apache-2.0 */
/* Job files of other programs, translated into ours: what cannot be said is noted, never dropped.
 */
#ifndef WHERRY_CLI_IMPORT_H
#define WHERRY_CLI_IMPORT_H

#include "cli/cli.h"

struct wh_import {
    struct wh_cli *c;
    struct wh_arena *arena;
    const struct wh_node *doc; /* theirs */
    struct wh_node *job;       /* ours, a MAP with the keys of a job file */
    struct wh_node *params, *connections, *streams, *run; /* of it */
    struct wh_list notes, hints;                          /* not translated; worth knowing */
    bool failed;                                          /* out of memory */
};

/* Each fills imp->job and returns whether anything could be made of the document. */
bool wh_import_datax(struct wh_import *);
bool wh_import_cdm(struct wh_import *);
bool wh_import_sling(struct wh_import *);

/* What was left out, as "# not translated: ...", and on standard error. */
void wh_import_note(struct wh_import *, const char *fmt, ...) WH_PRINTF(2, 3);
void wh_import_hint(struct wh_import *, const char *fmt, ...) WH_PRINTF(2, 3);

/* Trees; memory that runs out is remembered in imp->failed. */
struct wh_node *wh_import_map(struct wh_import *);
struct wh_node *wh_import_list(struct wh_import *);
void wh_import_put(struct wh_import *, struct wh_node *map, const char *key, struct wh_node *);
void wh_import_text(struct wh_import *, struct wh_node *map, const char *key, const char *text);
void wh_import_push(struct wh_import *, struct wh_node *list, const char *text);
void wh_import_add(struct wh_import *, struct wh_node *list, struct wh_node *);
/* The i-th text of a list, or a scalar as a list of one; NULL behind the last. */
const char *wh_import_at(const struct wh_node *, size_t i);
size_t wh_import_count(const struct wh_node *);

/* A name without the quotes of SQL around it; NULL: an expression, no name. */
const char *wh_import_name(struct wh_import *, const char *text);
/* "schema.table" into a side. */
void wh_import_object(struct wh_import *, struct wh_node *side, const char *text);
/* Source columns onto destination columns by their place; both NULL-free lists of names. */
void wh_import_columns(struct wh_import *, struct wh_node *stream, const struct wh_node *from,
                       const struct wh_node *to);
/* ${name} in a text becomes a parameter of the job. */
void wh_import_params(struct wh_import *, const char *text);

#endif
