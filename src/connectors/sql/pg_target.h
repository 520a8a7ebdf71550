/* SPDX-License-Identifier: Apache-2.0 */
/* A destination table: its shape, its mode, and the statements that follow from them. Read-only
 * after target_open.
 *
 * Rows of a unit reach their table in one of two ways. *Straight*: COPY into it. *Poured*: COPY
 * into a temporary table of the transaction (PG_ROWS), and from there by INSERT or UPDATE: where
 * rows meet others by key, where a cell must be cast from text, where row security forbids COPY.
 */
#ifndef WHERRY_CONNECTORS_SQL_PG_TARGET_H
#define WHERRY_CONNECTORS_SQL_PG_TARGET_H

#include <stdio.h>
#include <string.h>

#include "pg.h"

#define PG_ROWS "pg_temp.wherry_rows" /* columns n (order of arrival), c0, c1, .. */

/* How a filled stage gets into place. */
enum pg_publish {
    PG_PUB_NONE,
    PG_PUB_RENAME,   /* there is no table yet, or it is made anew */
    PG_PUB_SWAP,     /* the stage takes the table's name and everything that hangs on it */
    PG_PUB_EXCHANGE, /* truncate and insert in one transaction */
    PG_PUB_MERGE,    /* foreign keys of others point here: rows are deleted and upserted by key */
    PG_PUB_POUR,     /* rows are added as the mode says */
};

/* One delivered column at the destination. */
struct pg_dest {
    const char *name; /* as the table spells it */
    const char *decl; /* type, as in DDL */
    enum pg_wire wire;
    const char *shape; /* of a type that somebody made, or NULL */
    uint32_t base_oid; /* 0: as pg_decl_for said */
    uint32_t oid;      /* of a column that is there: pg_attribute's type, modifier, and number */
    int32_t typmod;
    int number;        /* 0: not known */
    bool cast;         /* travels as text (money: as numeric), cast by the statement */
    const char *plain; /* what it is cast to: without modifiers, which an explicit cast would obey
                          in silence (bit(8) pads, varchar(3)[] cuts); the insert refuses instead */
    bool added;        /* evolve: add */
    bool key;
    bool computed;     /* by the table, as by the source: its value is taken and counted, not put */
    bool always;       /* generated always as identity: an update must not name it */
    const char *equal; /* a key's "=", by its full name; NULL: "=" */
    const char *collate; /* a key's, where it is not that of its type */
    bool folds;          /* keys that differ as text may be the same here */
    /* What the server would round without a word is refused by us. */
    int64_t grain; /* times: microseconds that a value must be a multiple of; 0 = all */
    int scale;     /* decimal text: digits behind the point; -1 = all */
};

/* A unique key that is made of columns alone, and those of them that are delivered. */
struct pg_unique_col {
    int dest;
    const char *equal, *collate; /* of the index; collate NULL: the column's */
};

struct pg_unique {
    struct pg_unique_col *cols;
    int n;
    bool never_free;  /* no column of it can be NULL */
    bool nulls_equal; /* NULL meets NULL */
};

struct pg_fl {
    struct pg_ep *ep;
    const struct wh_ctx *ctx;
    const struct pg_to *o;
    struct wh_arena *arena;
    struct wh_fence fence; /* run is owned by the arena */
    const char *schema, *table;
    const char *markers; /* schema of our tables */
    const char *name;    /* "schema"."table" */
    enum wh_mode mode;
    enum wh_atomic atomic;
    bool existed; /* when the plan was made */
    bool another; /* a swap of this run has put a table in its place since */
    bool recreate, staged, marker_off, pours;
    bool checks; /* a column has a grain or a scale */
    bool no_sequences;
    bool once;     /* no key comes twice: it is the source's primary key */
    bool keyed;    /* a table that we make has a primary key */
    bool no_fresh; /* RETURNING cannot tell inserted from updated (partitions) */
    enum pg_publish publish;
    char why_publish[96]; /* why it is not swapped */
    char stage[SQL_STAGE_NAME];
    const char *stage_name; /* "schema"."wherry_stage_.." */
    struct pg_table now;    /* the table as it is, if it exists */
    struct pg_dest *dest;
    enum pg_wire *wires;
    bool *infinite; /* per column: its infinities come as WH_INFINITE_KEEP says */
    int n_dest;
    const char **keys;
    size_t n_keys;
    struct pg_unique *uniques; /* insert-ignore: of the table that is there */
    int n_uniques;
    /* Table of the markers: as SQL, and its names. Beside the run's row, or what write.marker says.
     */
    const char *units, *units_schema, *units_table;
    const char *replace_where;
    bool replace_keys; /* delete-insert by `keys`, which need not be unique */
    struct sql_statements statements;
    const char *comment; /* of a table that is made; NULL */
    struct ArrowSchema accept;
    const char *create, *create_stage; /* DDL; NULL where nothing is made */
    const char *into;                  /* where units write: table or stage, qualified */
    const char *copy;                  /* copy .. from stdin */
    const char *make_rows;             /* create temp table; NULL: straight */
    const char *missed;                /* update: counts rows that meet nothing */
    const char *put;                   /* PG_ROWS into the table; (fresh, touched) */
    const char *due;                   /* how many rows put has to touch; NULL: all, or any */
    bool put_counts;                   /* put answers one row of counts, else its tag counts */
    char memo[16];
    struct wh_buf warn;    /* lines for the plan */
    struct wh_buf receipt; /* lookup lends from here */
};

enum {
    PG_LOCK_MS = 2000,     /* of the first statement of every transaction of ours */
    PG_STEP_LOCK_MS = 400, /* of a step that needs its table alone: it must not stall readers */
};

/* pg_shape.c: columns and keys */
wh_status pg_shape_columns(struct pg_fl *, const struct wh_target *, struct wh_error *reterr);
/* At resume: a table that this run made is as it made it; E7008. */
wh_status pg_shape_same(const struct pg_fl *, struct pg_se *, const struct wh_target *,
                        struct wh_error *reterr);
/* The names of the table's primary key, in its order; pk has room for all columns. */
size_t pg_shape_primary(const struct pg_fl *, const char **pk);
wh_status pg_shape_keys(struct pg_fl *, const struct wh_target *, struct wh_error *reterr);
/* The delivered columns that are the key, and the key as the table spells it. */
wh_status pg_shape_mark(struct pg_fl *, struct wh_error *reterr);

/* pg_keys.c: which keys are the same, in the server's eyes */
/* equal, collate and folds of the key's columns. */
wh_status pg_keys_look(struct pg_fl *, struct pg_se *, struct wh_error *reterr);
/* No key comes twice from the source: its own primary key holds them apart, and so does ours. */
bool pg_keys_once(const struct pg_fl *, const struct wh_target *);
/* delete-insert by key: the server reads the statement; and the deletes of the rows that meet rows
 * of the full stage (se NULL: what they nearly always are). */
/* Before: does a delete reach other tables (on delete cascade, set null)? By key it is refused, of
 * rows that the job names it is a warning. */
wh_status pg_replaced_cascades(struct pg_fl *, struct pg_se *, struct wh_error *reterr);
wh_status pg_replaced_probe(struct pg_se *, const struct pg_fl *, struct wh_error *reterr);
wh_status pg_replaced_script(struct pg_se *, const struct pg_fl *, struct sql_script *,
                             struct wh_error *reterr);
/* fl->uniques. */
wh_status pg_keys_all(struct pg_fl *, struct pg_se *, struct wh_error *reterr);

/* pg_prove.c: what a statement left undone */
#define PG_DELETE "delete from "
/* Runs a delete of the target's rows, which begins with PG_DELETE; E5005 if rows stay. */
wh_status pg_prove_delete(struct pg_se *, const struct pg_fl *, const char *sql,
                          struct wh_error *reterr);
wh_status pg_prove_empty(struct pg_se *, const struct pg_fl *, struct wh_error *reterr);
/* Rows of `from` that are not there yet into the target: insert-ignore; E5005 if one is neither
 * taken nor there. rows: how many there are. */
wh_status pg_prove_ignored(struct pg_se *, const struct pg_fl *, const char *from, bool numbered,
                           int64_t rows, int64_t *ret_in, struct wh_error *reterr);

/* pg_policy.c: E2006 where row security hides rows that the mode has to see; else a warning, and
 * rows are poured. */
wh_status pg_policy_judge(struct pg_fl *, const struct pg_se *, const struct wh_target *,
                          struct wh_error *reterr);

/* pg_native.c: the source's own types at the destination */
/* Types of new columns that are not those of pg_decl_for: the source's very type where it is there
 * and is the same. What is not becomes a line of fl->warn. */
wh_status pg_native_types(struct pg_fl *, struct pg_se *, const struct wh_target *,
                          struct wh_error *reterr);
/* Money at this server has so many decimals: d->scale of such columns. */
wh_status pg_native_money(struct pg_fl *, struct pg_se *, struct wh_error *reterr);
const char *pg_travels_as(const struct pg_dest *);

/* pg_ddl.c */
/* A table that is made gets a key: as asked, or the source's. */
bool pg_ddl_keyed(const struct pg_fl *);
/* order: with a column that keeps the order of arrival. */
wh_status pg_ddl_create(const struct pg_fl *, const char *qualified, bool keys, bool order,
                        struct sql_script *);
wh_status pg_ddl_copy(const struct pg_fl *, struct wh_buf *);
wh_status pg_ddl_rows(const struct pg_fl *, struct wh_buf *);
wh_status pg_ddl_missed(const struct pg_fl *, struct wh_buf *);
/* Rows of `from` into `into` as the mode says. from: PG_ROWS (columns c0..) or a stage. */
wh_status pg_ddl_put(const struct pg_fl *, const char *into, const char *from, bool numbered,
                     enum wh_mode, bool counts, struct wh_buf *);
/* insert-ignore of the rows for which `where` holds; NULL: all. */
wh_status pg_ddl_put_some(const struct pg_fl *, const char *into, const char *from, bool numbered,
                          const char *where, struct wh_buf *);
/* Column i of the rows `r`: r.c3, r.c3::inet, r."name" */
wh_status pg_ddl_cell(const struct pg_fl *, const char *r, int i, bool numbered, struct wh_buf *);
/* t."k" = r.c0 and ..; `t` is a table (names) or other rows (numbered_t). */
wh_status pg_ddl_same_key(const struct pg_fl *, const char *t, bool numbered_t, const char *r,
                          bool numbered, struct wh_buf *);
/* How many rows pg_ddl_put has to touch, asked after it; empty where nobody can say. */
wh_status pg_ddl_due(const struct pg_fl *, const char *from, bool numbered, enum wh_mode,
                     struct wh_buf *);
/* The number that column i has in the table where units write (what the run makes has its columns
 * in their order); 0: nobody knows. */
int pg_ddl_number(const struct pg_fl *, int i);
/* Names a column that is another one or not of the type that our bytes are of; what it was; what it
 * is. */
wh_status pg_ddl_alike(const struct pg_fl *, struct wh_buf *);
/* A statement whose EXPLAIN tells whether the mode can work on the table as it is. */
wh_status pg_ddl_probe(const struct pg_fl *, struct wh_buf *);

/* pg_swap.c: what hangs on a table, as statements */
/* How the stage of an overwrite gets into place, and why so. */
wh_status pg_swap_judge(struct pg_se *, struct pg_fl *, struct wh_error *reterr);
wh_status pg_swap_stage(struct pg_se *, const struct pg_fl *, struct sql_script *,
                        struct wh_error *reterr);
/* Steps of SETTLE: an index (kind i) or a foreign key (f) by oid. */
typedef int (*pg_oid_fn)(void *arg, char kind, uint32_t oid, struct wh_error *reterr);
wh_status pg_swap_later(struct pg_se *, const struct pg_fl *, pg_oid_fn, void *arg,
                        struct wh_error *reterr);
wh_status pg_swap_one(struct pg_se *, const struct pg_fl *, char kind, const char *oid,
                      struct sql_script *, struct wh_error *reterr);
wh_status pg_swap_script(struct pg_se *, const struct pg_fl *, struct sql_script *,
                         struct wh_error *reterr);

/* pg_steps.c */
wh_status pg_steps(void *fl, void *se, enum wh_phase, struct wh_receipts *, struct wh_step_sink *,
                   struct wh_error *reterr);
wh_status pg_apply(void *fl, void *se, const struct wh_step *, const struct wh_fence *,
                   struct wh_receipts *, bool maybe_done, struct wh_bytes *ret_receipt,
                   struct wh_error *reterr);

/* pg_marker.c: the first and last statements of every transaction that writes */
struct pg_mark {
    const char *schema;                             /* of our tables */
    const char *units, *units_schema, *units_table; /* the markers' */
    struct wh_fence fence;
    int64_t unit;
    int32_t attempt;
    struct wh_bytes seed;
    int64_t lock_ms;  /* of what follows in the transaction */
    const char *path; /* search_path of what follows; NULL: none */
};
/* BEGIN and the marker in one packet. OK, TWIN, FENCED, BLOCKED, LOST: then no transaction is
 * open. */
wh_status pg_mark_open(struct pg_se *, const struct pg_mark *, struct wh_error *reterr);
/* BEGIN alone, for marker: off. */
wh_status pg_mark_none(struct pg_se *, const struct pg_mark *, struct wh_error *reterr);
/* to.triggers=false: no trigger fires in this transaction, foreign keys are not looked at either.
 */
wh_status pg_mute_triggers(struct pg_se *, const struct pg_to *, struct wh_error *reterr);
/* The marker's counts and COMMIT in one packet. m NULL: a step's. */
wh_status pg_mark_commit(struct pg_se *, const struct pg_mark *, const struct wh_marker *m,
                         struct wh_error *reterr);
/* COMMIT alone: OK only if it was one. */
wh_status pg_commit(struct pg_se *, struct wh_error *reterr);
wh_status pg_lookup(void *fl, void *se, const struct wh_unit *, struct wh_fate *ret,
                    struct wh_error *reterr);
wh_status pg_verify(void *fl, void *se, struct wh_receipts *, const struct wh_fence *,
                    struct wh_error *reterr);
wh_status pg_hex_add(struct wh_buf *, struct wh_bytes); /* \x6869: a bytea as a parameter */
wh_status pg_hex_read(struct wh_str, struct wh_buf *);  /* appends the bytes */
/* Short patience for our own locks, once per session. */
wh_status pg_brisk(struct pg_se *, struct wh_error *reterr);

/* pg_claim.c: where the markers of a target are; NULL: it has none (marker: off) */
wh_status pg_claim_note(struct pg_ep *, const char *schema, const char *table, const char *markers,
                        struct wh_error *reterr);

/* pg_units.c: fl->units.., from what write.marker says. */
wh_status pg_units_look(struct pg_fl *, struct pg_se *, const struct wh_target *,
                        struct wh_error *reterr);

/* pg_blocked.c: who holds what we wait for */
struct pg_watch;
/* Starts asking pg_blocking_pids for `waiting` on a connection of its own, on a helper. NULL: no
 * helper is free; all else then works, without the name. */
struct pg_watch *pg_watch_begin(struct pg_se *waiting);
/* Ends it; adds to a BLOCKED error who was in the way. Takes the watch; NULL is fine. */
void pg_watch_end(struct pg_watch *, struct wh_error *err);
/* Adds who holds a table, after a lock on it did not come. */
void pg_blocked_by_table(struct pg_se *, const char *qualified, struct wh_error *err);

/* pg_write.c */
enum {
    PG_WRITER_SIZE = 1280
};
wh_status pg_writer_open(void *wr, void *fl, void *se, const struct wh_ctx *,
                         const struct wh_unit *, const struct wh_fence *, struct wh_error *reterr);
wh_status pg_writer_write(void *wr, const struct wh_batch *, int64_t send, const int32_t *rows,
                          int64_t first, int64_t n, struct wh_acks *, struct wh_error *reterr);
wh_status pg_writer_flush(void *wr, int64_t deadline_ns, struct wh_acks *, struct wh_error *reterr);
wh_status pg_writer_seal(void *wr, struct wh_tally *, struct wh_error *reterr);
wh_status pg_writer_commit(void *wr, const struct wh_marker *, struct wh_bytes *receipt,
                           struct wh_error *reterr);
void pg_writer_close(void *wr);

#endif
