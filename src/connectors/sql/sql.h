/* SPDX-License-Identifier: Apache-2.0 */
/* What every SQL dialect shares: quoting, lists of names, the names of our own tables and stages,
 * and the words of steps. A dialect adds its types, its catalogue and its transactions.
 *
 * Identifiers reach a statement only through sql_ident, values only through binds (or, where a
 * statement cannot bind, sql_literal). Buffers carry their own cap, so that a hostile name or a
 * table of thousands of columns ends in WH_E_LIMIT and not in memory.
 */
#ifndef WHERRY_CONNECTORS_SQL_SQL_H
#define WHERRY_CONNECTORS_SQL_SQL_H

#include <pthread.h>

#include <wherry/connector.h>
#include "core/alloc.h"
#include "core/buf.h"

struct wh_type;

enum {
    SQL_TEXT_MAX = 1 << 20, /* one statement that we make */
    SQL_STAGE_NAME = 64,
};

/* "na""me": standard quoting. A name with a NUL byte is WH_E_UNSUPPORTED. */
wh_status sql_ident(struct wh_buf *, struct wh_str name);
wh_status sql_literal(struct wh_buf *, struct wh_str text); /* 'it''s' */

/* Appends `fmt` where %i is an identifier (struct wh_str *), %l a literal (struct wh_str *), %s
 * plain text (const char *), %d an int64_t, %% a percent sign: statements read as they run. */
wh_status sql_add(struct wh_buf *, const char *fmt, ...);

/* "a", "b", "c" of a schema's children; before each name `prefix` (may be ""). */
wh_status sql_columns(struct wh_buf *, const struct ArrowSchema *, const char *prefix);

/* Names of our own tables (wherry_run, wherry_unit, wherry_target), of stages, and names that our
 * statements use: never written as a target. */
bool sql_is_own(struct wh_str table);
/* The same of a table that is there: one of that name with other columns is somebody's, and is
 * listed and copied like any other; a table of any name with columns and key of our markers is
 * ours (write.marker). columns: NULL where they are not known. */
bool sql_is_ours(struct wh_str table, const struct ArrowSchema *columns);

/* wherry_stage_<12 of the run>_f<flow>_g<generation>: nobody else's, and an older generation's
 * name differs. */
void sql_stage_name(const struct wh_fence *, char out[SQL_STAGE_NAME]);

/* What the names of all stages of a run begin with, "wherry_stage_<12 of the run>_f". Returns its
 * length. */
size_t sql_stage_prefix(const struct wh_fence *, char out[SQL_STAGE_NAME]);

/* Number of a step's marker in wherry_unit: negative, so that no unit has it. */
int64_t sql_step_unit(const struct wh_step *);
/* The same for a step about to be done: a statement of the job is done once in the run, whichever
 * generation its flow is at, or (WH_STEP_REPEAT) once in the epoch. *ret is the fence to mark with.
 */
int64_t sql_step_mark(const struct wh_step *, const struct wh_fence *, struct wh_fence *ret);

/* 1-based position of a column in its source's primary key (wherry.key), 0 = none. */
int sql_key_position(const struct ArrowSchema *field);

/* ---- columns of a table (sql_column.c) ----------------------------------------------------------
 */

/* Of wherry_unit, and of a table that write.marker names: the first four are its key. */
#define SQL_MARKER_COLUMNS                                                                         \
    "run", "flow", "generation", "unit", "attempt", "epoch", "rows", "bytes", "dirty", "filtered", \
        "skipped", "hash", "rest", "ends", "seed"
#define SQL_MARKER_LIST                                                                            \
    "run,flow,generation,unit,attempt,epoch,rows,bytes,dirty,filtered,skipped,hash,rest,ends,seed"
enum {
    SQL_MARKER_KEY = 4
};

/* n structs of `size` bytes, each beginning with its name (const char *). */
struct sql_names {
    const void *cols;
    size_t size;
    int n;
};
#define SQL_NAMES(cols_, n_) ((struct sql_names){(cols_), sizeof *(cols_), (n_)})

/* These are the columns of a marker table, in their order. */
bool sql_is_marker_table(struct sql_names);
/* Index of the column of this name, else of the first that differs in case alone, else -1. */
int sql_find_column(struct sql_names, const char *name);
/* E3002 with the nearest name, WH_E_NOT_FOUND. */
wh_status sql_no_column(struct wh_arena *, struct sql_names, const char *table, const char *name,
                        struct wh_error *reterr);
/* The type that the plan fixed for column i is delivered, whatever would be decided today. */
void sql_as_frozen(const struct wh_target *, int64_t i, struct wh_type *);

/* ---- columns that the source computes (sql_computed.c) ------------------------------------------
 */

/* Both compile only where the text is a whole expression of one row. The first: quotes and comments
 * that it opens it closes (nothing behind it could), the newline ends the last comment. The second:
 * brackets that it closes and does not open would be closed twice; and neither aggregates nor
 * window functions nor what makes rows may stand in `where`. As `select ((%s\n))` it is then one
 * value. Arguments: what is read, and the expression, twice in the second. */
#define SQL_COMPUTED_CLOSED "select 1 from %s where (%s\n) is null"
#define SQL_COMPUTED_PROBE  "select 1 from %s where (%s\n) is null and ((%s\n)) is null"
#define SQL_COMPUTED        "((%s\n))"

/* Names of the functions that an expression calls (and of types and words before a bracket), in
 * lower case, with commas. *ret_varies: it says itself that its value is another one another time.
 */
wh_status sql_computed_calls(const char *sql, struct wh_buf *calls, bool *ret_varies);
/* The name, or one like it that no column of the object has. NULL: no memory. */
const char *sql_computed_name(struct wh_arena *, struct sql_names, const char *wanted);

/* ---- names that an endpoint keeps (sql_named.c) -------------------------------------------------
 */

struct sql_named {
    struct sql_named *next;
    const char *name;
};

/* Once each, under the lock, in memory of the endpoint; from any thread. WH_E_NOMEM. */
wh_status sql_name_add(const struct wh_ctx *, pthread_mutex_t *, struct sql_named **, const char *);

/* ---- strategies (sql_mode.c): the same in every dialect
 * ------------------------------------------
 */

/* Rows meet what is there by key. */
bool sql_by_key(enum wh_mode);
/* Units fill a stage, and a step puts it in place. */
bool sql_is_staged(const struct wh_target *);
/* The key to go by (modes by key, and replace_keys): as asked; else the table's primary key (`pk`,
 * in its order; NULL: the table is made); else the source's. Empty only for insert-ignore. E3002:
 * not delivered, E1062: none. */
wh_status sql_keys(struct wh_arena *, const struct wh_target *, const char *table,
                   const char *const *pk, size_t n_pk, const char ***ret, size_t *ret_n,
                   struct wh_error *reterr);
/* No key comes twice from the source: these columns hold its whole primary key. */
bool sql_unique_at_source(const struct wh_target *, const char *const *keys, size_t n);

/* ---- verdicts (sql_verdict.c) -------------------------------------------------------------------
 */

enum {
    SQL_VERDICT_TEXT = 240
};

/* Of one send; n = 0 begins anew. */
struct sql_verdicts {
    struct wh_verdict *v;
    char (*text)[SQL_VERDICT_TEXT];
    size_t n, cap;
};
wh_status sql_judge(struct sql_verdicts *, int64_t send, int64_t row, int32_t column,
                    const char *code, const char *fmt, ...) WH_PRINTF(6, 7);
/* Into ret->bad, by row. */
void sql_verdicts_lend(struct sql_verdicts *, struct wh_acks *ret);
void sql_verdicts_free(struct sql_verdicts *);

/* ---- owners of runs (sql_owner.c) ---------------------------------------------------------------
 */

enum sql_owner {
    SQL_OWNER_DEAD,      /* provably: it was here, and it is not here any more */
    SQL_OWNER_LIVES,     /* or is stopped */
    SQL_OWNER_ELSEWHERE, /* another host: cannot be told */
};

/* Of a run row that was claimed at this second since 1970. */
enum sql_owner sql_owner_of(const char *host, int64_t pid, int64_t claimed_at_s);

/* ---- steps (sql_steps.c) ------------------------------------------------------------------------
 */

/* Statements of a step, each ended by a NUL, so that they can be run one by one. */
struct sql_script {
    struct wh_buf b;
};

enum {
    SQL_SCRIPT_MAX = 16 << 20
};
#define SQL_SCRIPT ((struct sql_script){.b = WH_BUF(SQL_SCRIPT_MAX)})
wh_status sql_script_end(struct sql_script *);                   /* of the statement so far */
wh_status sql_script_text(struct sql_script *, const char *sql); /* a whole one */
wh_status sql_script_one(struct sql_script *, const char *fmt, struct wh_str a); /* sql_add */
struct wh_str sql_script_say(struct sql_script *); /* joined by ";", for people; changes it */

/* A step's token is its kind, and what the dialect appends. */
enum sql_step_kind {
    SQL_STEP_CREATE = 'c',
    SQL_STEP_RECREATE = 'r',
    SQL_STEP_ADD = 'a',
    SQL_STEP_CLEAR = 't',
    SQL_STEP_STAGE = 's',
    SQL_STEP_INDEX = 'i',
    SQL_STEP_FOREIGN = 'f',
    SQL_STEP_ANALYZE = 'z',
    SQL_STEP_SWAP = 'w',
    SQL_STEP_POUR = 'p',
    SQL_STEP_DROP = 'd',
    SQL_STEP_SEQUENCES = 'q',
    SQL_STEP_BEFORE = 'B', /* with its number: statements of the job */
    SQL_STEP_AFTER = 'A',
};

/* What a target needs. */
struct sql_shape {
    bool existed, creates, clears, adds, staged, swaps;
};

/* Fills the script of one step. */
typedef int (*sql_script_fn)(void *self, struct wh_bytes token, struct sql_script *,
                             struct wh_error *reterr);
/* Adds one step behind *id. */
/* Recreate: a column that goes and does not come back, into target.loses. */
void sql_loses(struct wh_target *, const char *column);

wh_status sql_step_add(enum wh_phase, uint32_t *id, struct wh_bytes token, uint32_t flags,
                       sql_script_fn, void *self, struct wh_step_sink *out,
                       struct wh_error *reterr);
/* Statements of the job for one target. */
struct sql_statements {
    const char *const *before, *const *after;
    size_t n_before, n_after;
    bool repeat;
    const char *target; /* what {target} means: the quoted name */
};
struct sql_statements sql_statements_of(const struct wh_target *, const char *target);
/* Those of this phase as steps behind *id. */
wh_status sql_statement_steps(const struct sql_statements *, enum wh_phase, uint32_t *id,
                              struct wh_step_sink *out, struct wh_error *reterr);
bool sql_is_statement(struct wh_bytes token);
/* The text that the token means, its {target} filled in. */
wh_status sql_statement_text(const struct sql_statements *, struct wh_bytes token, struct wh_buf *,
                             struct wh_error *reterr);
/* The steps that every dialect has in this phase. */
wh_status sql_steps_of(const struct sql_shape *, enum wh_phase, uint32_t *id, sql_script_fn,
                       void *self, struct wh_step_sink *out, struct wh_error *reterr);

#endif
