/* SPDX-License-Identifier: Apache-2.0 */
/* A scan: what is read of a table, view or query, and how it is divided. Read-only after scan_open
 * but for the list of leaves and the cuts, which only split_next touches. */
#ifndef WHERRY_CONNECTORS_SQL_PG_SCAN_H
#define WHERRY_CONNECTORS_SQL_PG_SCAN_H

#include "pg.h"

enum {
    PG_TOKEN_MAX = 60 << 10,
    PG_SMALL_BYTES = 8 << 20, /* below which a table is one split */
    PG_LEAVES_MAX = 100000,   /* partitions of one table */
    PG_CUTS_MAX = 4096,
};

/* How rows are divided. */
enum pg_method {
    PG_BY_STREAM = 's', /* one stream: views, queries, limits, what cannot be divided */
    PG_BY_CTID =
        'c', /* block ranges of each table that holds rows (PostgreSQL 14: TID range scan) */
    PG_BY_KEY = 'k', /* ranges of one column with an index, in the server's own order */
};

/* A relation that holds rows: the table itself, a leaf partition, an inheriting table. */
struct pg_leaf {
    uint32_t oid;
    const char *schema, *name; /* arena text */
    char kind;                 /* relkind */
    int64_t blocks, bytes, rows;
};

struct pg_leaves {
    bool listed;
    bool alone;             /* the table itself, as its description says: no heirs */
    struct wh_arena *arena; /* NULL: in the table's own */
    struct pg_leaf *v;      /* by oid */
    size_t n;
    int64_t bytes, rows; /* of all; rows -1 unknown */
    bool granted;        /* SELECT on every one of them, not on columns only */
    bool may; /* SELECT is granted on every one of them, and no row security hides rows */
};

/* A split as bytes. Blocks [lo, hi) of one leaf; or rows with lo_text <= key < hi_text (either end
 * may be open, and the open upper end holds NULLs); `skip` rows of it were read before. */
struct pg_range {
    char method; /* enum pg_method */
    bool has_hi;
    uint32_t oid;
    int64_t lo, hi, skip;
    struct wh_str schema, name;     /* of the leaf */
    struct wh_str lo_text, hi_text; /* s == NULL: open */
};

struct pg_sc {
    struct pg_ep *ep;
    const struct wh_ctx *ctx;
    const struct pg_from *o;
    struct pg_table t;   /* of a query: its columns */
    struct pg_col *cols; /* those that are read, in their order; may be those of t */
    int n_cols;
    const char *select; /* "a", "b"::text */
    const char *from;   /* what follows FROM where all is read at once: "s"."t" or (query) q */
    const char *where, *query; /* or NULL */
    int64_t limit;
    const char *select_raw;     /* without casts; NULL: rows cannot pass as they are */
    bool frames;                /* rows are passed on as they come */
    enum wh_infinite *infinite; /* per column of cols; NULL: rejected */
    bool no_snapshot;           /* the run reads without one: physical places may move */
    bool tree;                  /* partitions or heirs hold (some of) the rows */
    enum pg_method method;
    int64_t step; /* blocks of a split */
    int64_t unit, max_row;
    int parallel;
    const struct pg_col *key; /* PG_BY_KEY */
    const char *key_collate;  /* ' collate "x"."y"' or '' */
    int64_t n_wanted;         /* ranges of the key */
    bool sized;               /* units, or rows in one, were asked for: `unit` is what that is */
    const struct pg_col *range_col; /* only from..to of it; NULL: all */
    const char *range_from, *range_to;
    /* split_next only */
    struct pg_leaves leaves;
    uint64_t leaves_at; /* snapshot (pg_instant) in which the leaves were listed */
    char *cuts;         /* the server's array text of cut values, '{1,2}' */
    bool cuts_made;
    int64_t n_cuts;
    struct wh_buf token, bounds;
    struct pg_table computed; /* what the types of computed columns are kept in; 0 columns: none */
    atomic_ullong checked;    /* snapshot in which the columns were found to be the plan's */
};

/* pg_scan.c: what is read, column by column; made when it is wanted, since thousands of scans may
 * be open at once */
wh_status pg_scan_schema(const struct pg_sc *, struct ArrowSchema *ret);

/* pg_computed.c */
/* Columns that are asked for behind sc->cols: E4009 for what is not one value of each row. */
wh_status pg_computed(struct pg_sc *, struct pg_se *, struct wh_scan *, struct wh_error *reterr);
/* They are still of the types that they were of. */
wh_status pg_computed_same(const struct pg_sc *, struct pg_se *, struct wh_error *reterr);

/* pg_split.c */
wh_status pg_range_put(const struct pg_range *, struct wh_buf *); /* replaces its contents */
bool pg_range_get(struct wh_bytes, struct pg_range *ret);         /* borrows from the bytes */
void pg_range_label(const struct pg_sc *, const struct pg_range *, char *out, size_t size);
/* The SELECT of a range, with WHERE, OFFSET and LIMIT. raw: without casts. */
wh_status pg_range_sql(const struct pg_sc *, const struct pg_range *, bool raw, struct wh_buf *);
/* All relations that hold rows of the table, with their sizes, in one query. */
wh_status pg_leaves_list(struct pg_conn *, uint32_t oid, struct pg_leaves *ret,
                         struct wh_error *reterr);
void pg_leaves_free(struct pg_leaves *);
/* The same of a table without heirs: nothing is asked. */
wh_status pg_leaves_alone(const struct pg_table *, struct pg_leaves *ret, struct wh_error *reterr);
/* sc->key: the column named, else the first of the primary key or of a unique index, NULL if there
 * is none. *ret_index: an index finds its ranges. */
const struct pg_col *pg_column_named(const struct pg_table *, struct wh_str name); /* NULL */
wh_status pg_split_key(struct pg_sc *, struct pg_conn *, const char *by, bool *ret_index,
                       struct wh_error *reterr);
wh_status pg_split_next(void *sc, void *se, const struct wh_bytes *cursor, struct wh_split *ret,
                        struct wh_bytes *ret_cursor, struct wh_error *reterr);

/* pg_read.c */
enum {
    PG_READER_SIZE = 768
};
/* Does the statement compile (`where`, `query`)? Nothing is read. */
wh_status pg_reader_probe(struct pg_sc *, struct pg_se *, struct wh_error *reterr);
wh_status pg_reader_open(void *rd, void *sc, void *se, const struct wh_ctx *,
                         const struct wh_split *, struct ArrowSchema *, struct wh_error *reterr);
wh_status pg_reader_next(void *rd, struct wh_batch *, struct wh_error *reterr);
wh_status pg_reader_cut(void *rd, struct wh_split *rest, struct wh_split *done,
                        struct wh_error *reterr);
void pg_reader_close(void *rd);

/* pg_rowtext.c: a row of COPY BINARY as JSON; where that were more than PG_ROWTEXT_MAX, long texts
 * are cut and *ret_cut_of tells (about) how many bytes it would have; else 0. WH_E_DATA: it is
 * none.
 */
enum {
    PG_ROWTEXT_MAX = 16 << 20
};
wh_status pg_row_json(const struct pg_col *, int n, struct wh_bytes row, struct wh_buf *,
                      int64_t *ret_cut_of);

/* pg_snapshot.c: what the snapshot locks. Objects are those of wh_scan.object; `what` is SQL: a
 * table "s"."t" for LOCK TABLE, or (prepared) any query. Repeatable. */
wh_status pg_pin(struct pg_ep *, const struct wh_name *object, const char *what, bool query,
                 struct wh_error *reterr);
/* What of these objects is to be locked, one line per lock: 't' or 'q', then the SQL, then NUL. */
wh_status pg_pins(struct pg_ep *, const struct wh_objects *, struct wh_buf *out);
/* The snapshot that READ sessions enter now: a number that differs from snapshot to snapshot, 0 =
 * none. */
uint64_t pg_instant(struct pg_ep *);
/* Has the table heirs (or partitions) in that snapshot? Asked once for all tables; se: any session
 * of the endpoint. */
wh_status pg_has_heirs(struct pg_se *, uint64_t instant, uint32_t oid, bool *ret,
                       struct wh_error *reterr);

/* pg_holder.c */
enum {
    PG_HOLD_CONFIG = 3 << 20 /* what the engine hands over */
};
/* "wherry/<12 of run>/hold<endpoint>": the endpoint's tag without its epoch. */
void pg_hold_tag(const struct wh_ctx *, char *out, size_t size);
wh_status pg_hold_config(struct pg_ep *, const struct wh_objects *pin, struct wh_buf *out);
bool pg_old_names(const struct pg_conn *); /* functions of snapshots begin with txid_ */

#endif
