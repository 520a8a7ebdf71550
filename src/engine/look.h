/* SPDX-License-Identifier: Apache-2.0 */
/* Looking without moving: what `check`, `discover`, `describe` and `preview` do. No run, no state,
 * nothing is written. One thread; texts given to callbacks are borrowed for the call. A callback
 * that answers WH_END stops the listing, other answers than WH_OK are returned. */
#ifndef WHERRY_ENGINE_LOOK_H
#define WHERRY_ENGINE_LOOK_H

#include "engine/plan.h"

struct wh_look;

/* Opens the connection of an object ("shop:", "out.db", "out.db#planes", "in/a.csv"). connections:
 * MAP of named ones or NULL; options: MAP as of --from, or NULL. E1xxx when the text is not
 * understood, what the connector says when it cannot be opened. */
wh_status wh_look_open(const char *object, const struct wh_node *connections,
                       const struct wh_node *options, struct wh_services *, struct wh_look **ret,
                       struct wh_error *reterr);
void wh_look_close(struct wh_look *);             /* NULL is fine */
const char *wh_look_name(const struct wh_look *); /* the connection, for people */
struct wh_endpoint *wh_look_endpoint(struct wh_look *);

/* Reach, login, rights: a session is opened and the connector's own check is done. */
wh_status wh_look_check(struct wh_look *, struct wh_error *reterr);

/* The least rights for the object, or for the whole database, as statements. E1060: this system has
 * none to give. */
wh_status wh_look_grants(struct wh_look *, wh_grant_fn each, void *arg, struct wh_error *reterr);

struct wh_seen_object {
    const char *name;                       /* "public.orders", quoted where needed */
    const char *kind;                       /* "table" "view" "file" "other" */
    const char *table;                      /* its name alone, as it is */
    int64_t est_rows, est_bytes, n_columns; /* -1 unknown */
    const char *comment;                    /* or NULL */
};
/* Objects that match the object's name or pattern (all without one), sorted. */
wh_status wh_look_discover(struct wh_look *,
                           wh_status (*each)(void *, const struct wh_seen_object *), void *arg,
                           struct wh_error *reterr);

struct wh_seen_column {
    const char *name, *type;   /* our words: "decimal(18,2)" */
    const char *native;        /* the system's own type text, or NULL */
    const char *comment, *def; /* or NULL */
    bool nullable, guessed;
    int key; /* 1-based position in the primary key, 0 = none */
};
struct wh_seen_table {
    const char *name;
    const char *method, *note;   /* how it would be read: "rowid ranges" */
    int64_t est_rows, est_bytes; /* -1 unknown */
    int64_t sampled_rows;        /* types were guessed from so many; 0 = not guessed */
    int64_t n_columns;
    const struct wh_seen_column *columns;
};
/* The opened scan as a flow without a destination; lives as long as the look. */
wh_status wh_look_flow(struct wh_look *, const struct wh_flow **ret, struct wh_error *reterr);
/* *ret lives as long as the look. */
wh_status wh_look_describe(struct wh_look *, struct wh_seen_table *ret, struct wh_error *reterr);

/* The first rows as text; cells[i].s == NULL is NULL. `head` is called once, before any row. */
struct wh_preview {
    void *arg;
    wh_status (*head)(void *, const struct ArrowSchema *columns);
    wh_status (*row)(void *, const struct wh_str *cells, int64_t n);
    int64_t rows; /* at most; rows that cannot be parsed are left out */
};
wh_status wh_look_preview(struct wh_look *, const struct wh_preview *, struct wh_error *reterr);
/* The same after the mapping of a stream of a job (NULL: the first): the rows as the destination
 * would get them. The whole job is planned first, so its destination must be reachable. */
wh_status wh_preview_stream(const struct wh_job *, const char *stream, struct wh_services *,
                            const struct wh_preview *, struct wh_error *reterr);

/* Every connection of a job, each checked once: status WH_OK or its error. */
wh_status wh_check_job(const struct wh_job *, struct wh_services *,
                       wh_status (*each)(void *, const char *connection, const struct wh_error *),
                       void *arg, struct wh_error *reterr);

#endif
