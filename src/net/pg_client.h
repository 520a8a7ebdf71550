/* SPDX-License-Identifier: Apache-2.0 */
/* One connection to a PostgreSQL server. The only place that knows libpq: nothing of it is seen
 * above, so that a log-in libpq lacks (DWS) or a wire of our own can take its place.
 *
 * Every call waits on the socket itself, bounded in time and cancellable (wh_ctx.wait), never
 * inside libpq. A connection is used by one thread at a time; pg_interrupt may come from any.
 *
 * Answers: WH_OK; WH_LOST when the connection is gone (server died, network, interrupted, time
 * over), with outcome_unknown set if a commit was under way; WH_BLOCKED for a lock that did not
 * come in time (55P03); otherwise the server's error, its SQLSTATE in reterr->sqlstate and mapped
 * by class: rights and log-in WH_E_AUTH, missing objects WH_E_NOT_FOUND, serialization, deadlock
 * and resources WH_E_REMOTE with retriable, all else WH_E_REMOTE. Messages carry the server's own
 * words (primary, detail, hint) and never a password.
 */
#ifndef WHERRY_NET_PG_CLIENT_H
#define WHERRY_NET_PG_CLIENT_H

#include <wherry/connector.h>

struct pg_conn;

/* How long may what take, in ms. */
struct pg_times {
    int64_t connect; /* the whole of opening, all hosts together */
    int64_t network; /* no byte moves though we wait for one: TCP keepalive and user timeout */
};

/* Not connected yet; NULL when memory is out. ctx: services of whoever uses it now (pg_use). */
struct pg_conn *pg_new(const struct wh_ctx *ctx);
void pg_use(struct pg_conn *, const struct wh_ctx *ctx);
/* libpq keywords and values, both ended by NULL ("host", "port", "user", "password", "dbname",
 * "sslmode", "sslrootcert", "service", "passfile", ...); copied. Sets application_name from
 * ctx->tag, client_encoding UTF8, keepalives, tcp_user_timeout. */
wh_status pg_connect(struct pg_conn *, const char *const *keys, const char *const *values,
                     const struct pg_times *, struct wh_error *reterr);
/* Cancels what runs at the server (bounded), closes. NULL is fine. */
void pg_free(struct pg_conn *);
/* Any thread, at any time after pg_new: the connection's end. Whatever runs returns WH_LOST. */
void pg_interrupt(struct pg_conn *);

bool pg_dead(const struct pg_conn *);          /* only pg_free is left */
int pg_server_version(const struct pg_conn *); /* 150018 */
int pg_backend_pid(const struct pg_conn *);
const char *pg_parameter(const struct pg_conn *, const char *name); /* "server_encoding"; NULL */
char pg_transaction(const struct pg_conn *); /* 'I' idle, 'T' inside, 'E' failed, 'A' under way */
bool pg_uses_tls(const struct pg_conn *);
const char *pg_database(const struct pg_conn *);
const char *pg_who(const struct pg_conn *); /* "db1:5432/shop as etl", for messages */
/* The value that a libpq keyword will have, with service files and the environment looked at. */
bool pg_effective(const char *const *keys, const char *const *values, const char *want, char *out,
                  size_t size);
/* Where these keywords lead, with service files and the environment looked at, and nobody asked:
 * "host=/tmp port=5433 dbname=prod user=etl". */
void pg_place(const char *const *keys, const char *const *values, char *out, size_t size);
/* The server's notices and warnings never go to stderr: the `back`-th last one (0 = the last), or
 * NULL. */
const char *pg_notice(const struct pg_conn *, int back);
/* What the last refusal of the server said beside its message, by libpq's letters: 'W' context
 * ("COPY t, line 17"), 'n' constraint, 's' schema, 't' table, 'c' column. Kept until the next one;
 * s NULL: nothing. */
struct wh_str pg_said(const struct pg_conn *, char field);

/* ---- statements --------------------------------------------------------------------------------
 */

struct pg_rows; /* all rows of one statement, as text */

/* One or several statements in one packet; results are dropped. */
wh_status pg_exec(struct pg_conn *, const char *sql, struct wh_error *reterr);
/* The result of the LAST statement that ran. params == NULL: as pg_exec; else one statement with
 * $1.. $n as text (NULL = NULL), types left to the server. */
wh_status pg_query(struct pg_conn *, const char *sql, int n, const char *const *params,
                   struct pg_rows **ret, struct wh_error *reterr);
/* One packet and one round trip: `first` (one or a few statements without parameters, cut at their
 * semicolons; results dropped), then as pg_query. The first failure is the answer, and nothing
 * behind it ran. */
wh_status pg_query_after(struct pg_conn *, const char *first, const char *sql, int n,
                         const char *const *params, struct pg_rows **ret, struct wh_error *reterr);
/* `sql` with parameters and COMMIT in one packet. ret_rows: rows that sql touched. OK only if the
 * server answered COMMIT; an answer of ROLLBACK is WH_E_REMOTE; a connection lost before the answer
 * is WH_UNKNOWN. require: commit only if sql touched exactly that many rows, else the transaction
 * is rolled back and the answer is WH_FENCED (-1 = any number); then sql is an insert, update or
 * delete without `returning`. Any other failure rolls back as well. Asked to stop, it still waits
 * 5 s for the answer. */
wh_status pg_query_commit(struct pg_conn *, const char *sql, int n, const char *const *params,
                          int64_t require, int64_t *ret_rows, struct wh_error *reterr);
/* rollback if a transaction is open; best effort, bounded (also when asked to stop); a failure
 * leaves the connection dead. Ends a COPY that is under way, too. */
void pg_rollback(struct pg_conn *);

int pg_n_rows(const struct pg_rows *);
int pg_n_columns(const struct pg_rows *);
struct wh_str pg_cell(const struct pg_rows *, int row, int column); /* s == NULL: NULL */
int64_t pg_cell_i64(const struct pg_rows *, int row, int column, int64_t otherwise);
bool pg_cell_bool(const struct pg_rows *, int row, int column);
int64_t pg_touched(const struct pg_rows *); /* rows by the command tag; 0 where it has none */
uint32_t pg_column_type(const struct pg_rows *, int column, int32_t *ret_typmod); /* oid */
const char *pg_column_name(const struct pg_rows *, int column);
void pg_rows_free(struct pg_rows *);   /* NULL is fine */
void pg_rows_freep(struct pg_rows **); /* cleanup attribute */

/* ---- COPY --------------------------------------------------------------------------------------
 */

/* "copy (...) to stdout (format binary)": then rows. Statements in front of it in the same text go
 * in the same packet; their results are dropped. */
wh_status pg_copy_out(struct pg_conn *, const char *sql, struct wh_error *reterr);
/* One CopyData message: for COPY TO a whole row (the first one with the file's header in front).
 * Borrowed until the next call. OK, END (the server's row count is then in pg_copy_rows). */
wh_status pg_copy_get(struct pg_conn *, struct wh_bytes *ret, struct wh_error *reterr);
/* "copy t (...) from stdin (format binary)"; statements may stand in front of it as above. */
wh_status pg_copy_in(struct pg_conn *, const char *sql, struct wh_error *reterr);
/* Any piece of the stream; returns when it is buffered or sent, never with more than about
 * 1 MiB unsent. An error of the server that has already come back is answered here. */
wh_status pg_copy_put(struct pg_conn *, const void *p, size_t n, struct wh_error *reterr);
/* Ends the stream and waits for the answer. With `why`: makes the server fail the COPY, which is
 * then OK, and leaves the transaction failed. After a failed put: the same failure again. */
wh_status pg_copy_end(struct pg_conn *, const char *why, int64_t *ret_rows,
                      struct wh_error *reterr);
int64_t pg_copy_rows(const struct pg_conn *); /* rows of the last COPY by its command tag */

int pg_library_version(void); /* of libpq as it is loaded: 150013 is 15.13 */

#endif
