/* SPDX-License-Identifier: Apache-2.0 */
/* A scan: what is read of a table, view or query, and how it is divided. Read-only after scan_open.
 */
#ifndef WHERRY_CONNECTORS_SQL_SQLITE_SCAN_H
#define WHERRY_CONNECTORS_SQL_SQLITE_SCAN_H

#include "sqlite.h"

enum {
    LITE_SAMPLE_ROWS = 1000,     /* from the beginning; as many from the end of a table */
    LITE_SAMPLE_BYTES = 4 << 20, /* a sample stops here */
    LITE_SAMPLE_MS = 2000,       /* and after that time (views, queries) */
    LITE_CUTS = 4096,            /* most splits of a table */
    LITE_SMALL_TABLE = 8 << 20,  /* bytes below which a table is one split */
};

/* Upper ends of all splits but the last; sorted. */
struct lite_cuts {
    int64_t *v;
    size_t n;
    int64_t rows_each;
};

struct lite_sc {
    struct lite_ep *ep;
    const struct wh_ctx *ctx;
    const struct lite_from *o;
    struct lite_table t; /* of a query: its columns, name "query" */
    int *sel, n_sel;     /* columns that are read, in their order; from t.n_cols on: computed */
    int n_computed;
    const char *from;   /* what follows FROM: "t" or (query) */
    const char *where;  /* or NULL */
    int64_t limit;      /* 0 = none */
    bool ranges;        /* rowid ranges; else one stream */
    bool holds_up;      /* rollback journal: our readers hold up the commits of others */
    bool rowid_first;   /* statements select the rowid before the columns */
    const char **first; /* columns selected before them, which order the rows */
    int n_first;
    int64_t parts, unit_rows; /* as asked; 0 = not */
    bool has_range;           /* only rowids from range_lo to range_hi */
    int64_t range_lo, range_hi;
    struct ArrowSchema schema;
    struct lite_cuts cuts;
    int64_t schema_version; /* of the database when the scan was opened */
    int64_t sampled, row_bytes;
    struct wh_buf note;
    struct wh_buf token; /* what split_next lends */
};

/* sqlite_computed.c: columns that are asked for, behind those that are selected. */
wh_status lite_computed(struct lite_sc *, struct lite_se *, struct wh_scan *,
                        struct wh_error *reterr);
/* "a", or an expression: as it is selected. */
wh_status lite_selected(const struct lite_col *, struct wh_buf *sql);

/* sqlite_range.c: a split as bytes. Rows with lo < rowid <= hi, each end may be open; in tables
 * without rowid the rows behind a key; at most `limit` of them. */
struct lite_range {
    bool has_lo, has_hi;
    int64_t lo, hi, limit;  /* limit 0 = none */
    struct wh_bytes behind; /* encoded key values; borrowed from the token */
};
enum {
    LITE_TOKEN_MAX = 64 << 10
};
/* What rows are ordered by, selected before the columns: rowid, primary key, or nothing. */
wh_status lite_order(struct lite_sc *, struct lite_se *, struct wh_error *reterr);
wh_status lite_range_put(const struct lite_range *, struct wh_buf *); /* WH_E_LIMIT: too long */
bool lite_range_get(struct wh_bytes, struct lite_range *ret);
void lite_range_label(const struct lite_sc *, const struct lite_range *, char *out, size_t size);
/* The first columns of the current row as a key. */
wh_status lite_range_key(const struct lite_sc *, sqlite3_stmt *, struct wh_buf *);

/* The SELECT of a split, prepared and bound; the range outlives it. */
wh_status lite_select(const struct lite_sc *, struct lite_se *, const struct lite_range *,
                      sqlite3_stmt **ret, struct wh_error *reterr);

/* sqlite_sample.c: reads a sample and settles the type of every selected column whose declared type
 * leaves room. Adds what it decided against a declared type to sc->note. */
wh_status lite_sample(struct lite_sc *, struct lite_se *, struct wh_error *reterr);

/* sqlite_cut.c: ranges of equal numbers of rows, about `unit` bytes each and at least `parallel`;
 * none for a small table. Sets est_rows. */
wh_status lite_cut(struct lite_sc *, struct lite_se *, int64_t unit, int parallel,
                   struct wh_error *reterr);

/* sqlite_read.c */
enum {
    LITE_READER_SIZE = 512
};
wh_status lite_reader_open(void *rd, void *sc, void *se, const struct wh_ctx *,
                           const struct wh_split *, struct ArrowSchema *, struct wh_error *reterr);
wh_status lite_reader_next(void *rd, struct wh_batch *, struct wh_error *reterr);
wh_status lite_reader_cut(void *rd, struct wh_split *rest, struct wh_split *done,
                          struct wh_error *reterr);
void lite_reader_close(void *rd);

#endif
