/* SPDX-License-Identifier: Apache-2.0 */
/* A destination table: its shape, its mode, and the statements that follow from them. Read-only
 * after target_open. */
#ifndef WHERRY_CONNECTORS_SQL_SQLITE_TARGET_H
#define WHERRY_CONNECTORS_SQL_SQLITE_TARGET_H

#include "sqlite.h"

/* One delivered column at the destination. */
struct lite_dest {
    const char *name;     /* as the table spells it */
    char decl[LITE_DECL]; /* of a new column */
    enum lite_affinity affinity;
    bool added;         /* evolve: add */
    bool never_null;    /* the rowid itself: SQLite would make up a number for NULL */
    bool digits;        /* decimal text into NUMERIC: only 15 digits survive */
    bool no_minus_zero; /* a REAL column stores -0.0 as 0.0, and that was not accepted */
    bool lossy;         /* it was accepted */
    bool no_numbers;    /* text into NUMERIC: SQLite would turn '007' into 7 */
    bool computed;      /* generated at both ends: taken, but not inserted */
};

struct lite_fl {
    struct lite_ep *ep;
    const struct wh_ctx *ctx;
    const struct lite_to *o;
    struct wh_arena *arena;
    const char *run; /* fence.run, owned */
    struct wh_fence fence;
    const char *table; /* true name */
    const char *units; /* table of the markers */
    enum wh_mode mode;
    bool existed; /* when the plan was made */
    bool recreate, staged, marker_off, swaps;
    bool strict; /* columns that are made get the words of STRICT tables */
    char stage[SQL_STAGE_NAME];
    struct lite_table now; /* the table as it is, if it exists */
    struct lite_dest *dest;
    int n_dest;
    const char **keys;
    size_t n_keys;
    const char *replace_where;
    bool replace_keys; /* delete-insert by `keys`, which need not be unique */
    struct sql_statements statements;
    struct ArrowSchema accept;
    const char *create, *create_stage; /* DDL; NULL where nothing is made */
    const char *insert;                /* rows into the table, or into the stage */
    const char *settle;                /* stage into the table, NULL if it is swapped */
    bool does_nothing;                 /* rows whose key is there change nothing */
    char memo[8];
    struct wh_buf receipt; /* lookup lends from here */
};

/* sqlite_ddl.c */
wh_status lite_ddl_create(const struct lite_fl *, const char *table, bool keys, struct wh_buf *);
/* The CREATE text of an existing table or index under another name. */
wh_status lite_ddl_renamed(const char *sql, const char *name, struct wh_buf *);
wh_status lite_ddl_index_on(const char *sql, const char *index, const char *table, struct wh_buf *);
/* INSERT of all delivered columns from `from` (columns c0.. or the same names) in this mode. */
wh_status lite_ddl_insert(const struct lite_fl *, const char *into, const char *from, bool numbered,
                          enum wh_mode, struct wh_buf *);

/* "t"."k" = fed.c0 and .. */
wh_status lite_ddl_same_key(const struct lite_fl *, const char *t, bool numbered, struct wh_buf *);

/* sqlite_keys.c: delete-insert by key. `look`: every column of the key is delivered and stored. */
wh_status lite_keys_look(struct lite_fl *, struct wh_error *reterr);
/* One delete of the rows that meet rows of the stage. nulls: '1' for each column of the key that is
 * NULL in both ("01"); NULL: before there is a stage, as SQLite would read it. */
wh_status lite_keys_delete(const struct lite_fl *, const char *nulls, struct wh_buf *);
/* All of them, for the patterns of NULLs that the stage has (se NULL: the one without). */
wh_status lite_keys_script(struct lite_se *, const struct lite_fl *, struct sql_script *,
                           struct wh_error *reterr);

/* sqlite_prove.c: what a statement left undone */
#define LITE_DELETE "delete from "
wh_status lite_has_triggers(struct lite_se *, const char *table, bool *ret,
                            struct wh_error *reterr);
/* Runs a delete of the target's rows, which begins with LITE_DELETE; E5005 if rows stay. */
wh_status lite_prove_delete(struct lite_se *, const struct lite_fl *, const char *sql,
                            struct wh_error *reterr);
/* Runs fl->settle; E5005 if the table does not take a row. */
wh_status lite_prove_settle(struct lite_se *, const struct lite_fl *, const char *sql,
                            struct wh_error *reterr);

/* sqlite_steps.c */
wh_status lite_steps(void *fl, void *se, enum wh_phase, struct wh_receipts *, struct wh_step_sink *,
                     struct wh_error *reterr);
wh_status lite_apply(void *fl, void *se, const struct wh_step *, const struct wh_fence *,
                     struct wh_receipts *, bool maybe_done, struct wh_bytes *ret_receipt,
                     struct wh_error *reterr);

/* sqlite_units.c: fl->units, from what write.marker says. */
wh_status lite_units_look(struct lite_fl *, struct lite_se *, const struct wh_target *,
                          struct wh_error *reterr);

/* sqlite_marker.c: the first and last statements of every transaction that writes */
wh_status lite_marker_open(struct lite_se *, const char *units, const struct wh_fence *,
                           int64_t unit, int32_t attempt, struct wh_bytes seed,
                           struct wh_error *reterr); /* inside BEGIN IMMEDIATE; TWIN, FENCED */
wh_status lite_marker_fill(struct lite_se *, const char *units, const struct wh_fence *,
                           int64_t unit, const struct wh_marker *, struct wh_error *reterr);
wh_status lite_commit(struct lite_se *, struct wh_error *reterr); /* OK, BLOCKED, UNKNOWN, <0;
                                                                     no transaction is left open */
wh_status lite_lookup(void *fl, void *se, const struct wh_unit *, struct wh_fate *ret,
                      struct wh_error *reterr);
wh_status lite_verify(void *fl, void *se, struct wh_receipts *, const struct wh_fence *,
                      struct wh_error *reterr);

/* sqlite_write.c */
enum {
    LITE_WRITER_SIZE = 512
};
wh_status lite_writer_open(void *wr, void *fl, void *se, const struct wh_ctx *,
                           const struct wh_unit *, const struct wh_fence *,
                           struct wh_error *reterr);
wh_status lite_writer_write(void *wr, const struct wh_batch *, int64_t send, const int32_t *rows,
                            int64_t first, int64_t n, struct wh_acks *, struct wh_error *reterr);
wh_status lite_writer_flush(void *wr, int64_t deadline_ns, struct wh_acks *,
                            struct wh_error *reterr);
wh_status lite_writer_seal(void *wr, struct wh_tally *, struct wh_error *reterr);
wh_status lite_writer_commit(void *wr, const struct wh_marker *, struct wh_bytes *receipt,
                             struct wh_error *reterr);
void lite_writer_close(void *wr);

#endif
