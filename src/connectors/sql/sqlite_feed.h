/* SPDX-License-Identifier: Apache-2.0 */
/* Batches as a table that SQLite reads: INSERT .. SELECT from it takes half the time of a bound
 * INSERT per row (no statement restart, cursors stay open). One per session. */
#ifndef WHERRY_CONNECTORS_SQL_SQLITE_FEED_H
#define WHERRY_CONNECTORS_SQL_SQLITE_FEED_H

#include "data/view.h"
#include "sqlite.h"

/* The name statements use; it is no table of the file. */
#define LITE_FEED "wherry_rows"

struct lite_feed_col {
    struct wh_view view;
    bool as_number; /* DEC128 of few digits as integer or double, else text */
    char buf[168];  /* text of the current row's cell */
};

struct lite_feed {
    int n_cols;
    struct lite_feed_col *cols;
    struct wh_view *views; /* scratch of n_cols for wh_views_init */
    const int32_t *rows;   /* rows to feed, or NULL: first, first + 1, .. */
    int64_t first, n;
    int64_t at; /* the row being fed, 0..n; n = all were fed */
};

/* Makes the session's feed for n columns c0..; statements on an older one must be finalized. */
wh_status lite_feed_open(struct lite_se *, int n_cols, struct wh_error *reterr);
void lite_feed_free(struct lite_feed *); /* after the connection is closed; NULL is fine */
/* Binds the columns of a batch. */
wh_status lite_feed_batch(struct lite_feed *, const struct ArrowSchema *, const struct wh_batch *,
                          struct wh_error *reterr);

#endif
