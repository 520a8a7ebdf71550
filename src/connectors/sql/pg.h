/* SPDX-License-Identifier: Apache-2.0 */
/* Insides of the postgresql connector: options, endpoint, session, types, table description, and
 * who does what.
 *
 *   pg.c            options, capabilities, the connector itself
 *   pg_endpoint.c   open, check, sessions, interrupt, footprint
 *   pg_snapshot.c   snapshot, join, release, tick      pg_holder.c  the holder's body (wherry hold)
 *   pg_claim.c      run row, epoch, targets, evict, close (CONTRACT 4)
 *   pg_held.c       targets of other runs; runs of the dead are given up
 *   pg_types.c      server's types <-> column types, DDL type names
 *   pg_catalog.c    tables, columns, keys, estimates in a handful of queries
 *   pg_named.c      tables by name, one or many at once
 *   pg_scan.c       negotiation       pg_split.c  ctid ranges, key quantiles, partitions
 *   pg_read.c       COPY to batches or frames          pg_decode.c  one COPY BINARY row -> builders
 *   pg_target.c     mode of a destination              pg_shape.c   its columns and keys
 *   pg_ddl.c        create table, staging, statements  pg_prove.c   what a statement left undone
 *   pg_steps.c      create, stage, settle, swap, drop  pg_marker.c  marker, lookup, verify
 *   pg_write.c      units                              pg_encode.c  batches -> COPY BINARY
 *   pg_numeric.c    base 10000 <-> integers and text (pg_codec.h)
 *   pg_frame.c      pass-through: its whitelist, its name, its walker
 */
#ifndef WHERRY_CONNECTORS_SQL_PG_H
#define WHERRY_CONNECTORS_SQL_PG_H

#include <pthread.h>
#include <stdatomic.h>

#include "core/alloc.h"
#include "core/buf.h"
#include "data/builder.h"
#include "data/type.h"
#include "data/view.h"
#include "net/pg_client.h"
#include "sql.h"

/* ---- options (rows in pg.c; native libpq names are aliases) ------------------------------------
 */

enum pg_tls {
    PG_TLS_VERIFY_FULL, /* default over TCP: certificate and name */
    PG_TLS_VERIFY_CA,
    PG_TLS_REQUIRE, /* encrypted, not verified: said in the plan */
    PG_TLS_PREFER,
    PG_TLS_OFF,
    PG_TLS_AUTO, /* verify-full, but as the server offers where nothing leaves this machine */
};

struct pg_connection {
    const char *host; /* one or several "a,b"; a path = folder of a unix socket */
    int64_t port;
    const char *database, *user;
    struct wh_secret password;
    const char *service, *service_file, *passfile;
    const char *target_session_attrs;
    int tls; /* enum pg_tls */
    const char *tls_ca, *tls_cert, *tls_key;
    const char *options; /* server settings: "-c work_mem=64MB" */
    int64_t connect_timeout, network_timeout, lock_timeout, statement_timeout; /* ms; 0 = none */
    const char *role;  /* set role after log-in */
    bool row_security; /* false: a table whose policies hide rows from us is refused */
};

struct pg_from {
    const char *schema;  /* where an unqualified table is looked for; NULL: search_path */
    int64_t split_bytes; /* wanted size of a unit; 0 = engine's */
    bool frames;         /* may be passed through as raw bytes */
};

struct pg_to {
    const char *schema;
    const char *tablespace;
    bool unlogged;  /* create the table UNLOGGED */
    bool sequences; /* of delivered columns go on behind the loaded values */
    bool triggers;  /* false: session_replication_role=replica where rights allow (later) */
    const char
        *marker_schema; /* schema of wherry_run, wherry_unit, wherry_target; NULL: of the target */
};

extern const struct wh_options pg_connection_table, pg_from_table, pg_to_table;

/* ---- endpoint and session ----------------------------------------------------------------------
 */

/* The name of a snapshot may come again after a restart of the server: these do not. */
struct pg_held {
    int64_t pid, started_us; /* of the holder's backend */
    uint64_t content;        /* hash of pg_current_snapshot() */
    uint64_t number;         /* of the snapshot in this endpoint, from 1; 0 = none */
};
struct pg_pin;

struct pg_ep {
    const struct wh_ctx *ctx;
    const struct pg_connection *o;
    enum wh_role role;
    pthread_mutex_t lock;
    bool snapped;          /* READ sessions enter `snapshot` */
    char snapshot[80];     /* pg_export_snapshot's name */
    char system[96];       /* "system identifier/database oid": identity of the database */
    atomic_int session_no; /* n of the next session's tag */
    struct pg_held held;   /* what proves that it is that snapshot (pg_snapshot.c) */
    struct pg_pin *pins;   /* what scans want to be locked; memory of ctx->alloc */
    size_t n_pins;
    struct sql_named *units;     /* marker tables of other names that its targets have */
    struct pg_notes *notes;      /* where targets keep their markers (pg_claim.c); of ctx->alloc */
    struct pg_heirs *heirs;      /* of the present snapshot (pg_snapshot.c); owned */
    struct pg_page *expected[2]; /* sources, targets that are asked for next (pg_named.c) */
};

struct pg_se {
    struct pg_ep *ep;
    struct pg_conn *c;
    _Atomic(struct pg_conn *) live; /* c, for interrupt */
    atomic_bool stopped;
    const struct wh_ctx *ctx; /* services of whoever uses the session now */
    enum wh_use use;
    bool in_snapshot; /* READ: the transaction entered the run's snapshot */
    char ident[96];   /* "pid/backend_start in us since 1970" */
    bool brisk;       /* its own lock timeout is short (pg_brisk) */
    bool blocked;     /* its last marker had to give up waiting */
    char *path;       /* WRITE: the role's own search_path; owned, NULL = none */
};

/* pg_endpoint.c */
extern const struct wh_endpoint_ops pg_endpoint;
/* Opens a connection as `use` needs it: tag, timeouts (idle ones off), UTC, ISO dates, extra_float
 * digits, search_path '' (the user's own SQL wants `set search_path to default` first). ctx: of the
 * one who waits. kind: "c" control, "r", "w", "s", "hold". ep may be NULL. */
wh_status pg_dial(struct pg_ep *, const struct pg_connection *, const struct wh_ctx *,
                  const char *kind, struct pg_conn **ret, struct wh_error *reterr);
/* The same on a connection that pg_new has made, so that it can be interrupted meanwhile. */
wh_status pg_dial_on(struct pg_conn *, struct pg_ep *, const struct pg_connection *,
                     const struct wh_ctx *, const char *kind, struct wh_error *reterr);

/* pg_blocked.c */
wh_status pg_working(void *ep, void *se, const struct wh_str *ident, char *ret_words, size_t n,
                     struct wh_error *reterr);

/* pg_grants.c */
wh_status pg_grants(void *ep, void *se, const struct wh_name *, wh_grant_fn, void *arg,
                    struct wh_error *reterr);

/* pg_snapshot.c, pg_holder.c */
wh_status pg_snapshot(void *ep, void *se, const struct wh_objects *pin, int sessions,
                      struct wh_snapshot *ret, struct wh_error *reterr);
wh_status pg_join(void *ep, const struct wh_snapshot *, struct wh_error *reterr);
void pg_release(void *ep, const struct wh_snapshot *);
wh_status pg_tick(void *ep, void *se, struct wh_error *reterr);
wh_status pg_hold(struct wh_bytes config, int ready_fd, bool (*alive)(void *), void *alive_arg,
                  struct wh_error *reterr);
/* begin isolation level repeatable read read only; set transaction snapshot. GONE. */
wh_status pg_enter(struct pg_se *, struct wh_error *reterr);

/* pg_claim.c */
wh_status pg_claim(void *ep, void *se, const struct wh_fence *, const struct wh_objects *,
                   struct wh_error *reterr);
wh_status pg_evict(void *ep, void *se, const struct wh_fence *, const struct wh_str *ident,
                   struct wh_error *reterr);
wh_status pg_run_close(void *ep, void *se, const struct wh_fence *, struct wh_error *reterr);
wh_status pg_remember(void *ep, void *se, const struct wh_fence *, struct wh_bytes memo,
                      struct wh_error *reterr);
wh_status pg_recall(void *ep, void *se, const struct wh_str *run, wh_recall_fn, void *arg,
                    struct wh_error *reterr);
/* pg_held.c */
wh_status pg_disown(void *ep, void *se, const struct wh_fence *, const struct wh_objects *,
                    bool act, struct wh_disowned *ret, struct wh_error *reterr);

/* ---- types -------------------------------------------------------------------------------------
 */

/* How a column's cells travel in COPY BINARY. */
enum pg_wire {
    PG_W_TEXT, /* text, varchar, bpchar, name, json, xml..: the text's bytes; also every other type,
                  which is then cast ::text in the statement (pg_col.cast) */
    PG_W_BOOL,
    PG_W_I16,
    PG_W_I32,
    PG_W_I64,
    PG_W_OID, /* uint32 */
    PG_W_F32,
    PG_W_F64,
    PG_W_NUMERIC,
    PG_W_BYTEA,
    PG_W_DATE,      /* days since 2000-01-01; infinities */
    PG_W_TIME,      /* us */
    PG_W_TIMESTAMP, /* us since 2000-01-01; infinities */
    PG_W_TIMESTAMPTZ,
    PG_W_INTERVAL, /* us, days, months */
    PG_W_UUID,
    PG_W_JSONB, /* version byte 1, then text */
    PG_W_CHAR,  /* "char": one byte; none is 0, one above 127 is the text \ooo as in version 16 */
};

struct pg_col {
    const char *name;       /* arena text */
    const char *type_text;  /* format_type(): "numeric(10,2)", "public.mood" */
    uint32_t oid, base_oid; /* base_oid: of the domain's base type, else = oid */
    int32_t typmod;
    char typtype, typcategory; /* pg_type */
    enum pg_wire wire;
    bool cast; /* read as "name"::text, written through a cast of the statement or as text COPY */
    struct wh_type type;
    uint32_t elem_oid;        /* of an array's elements, 0 = no array */
    const char *plain;        /* the base type without modifiers: what text is cast to */
    const char *shape, *make; /* of a type that somebody made (WH_META_SHAPE, _MAKE), else NULL */
    const char *dflt, *comment, *collation;
    int pk;     /* 1-based position in the primary key, 0 = none */
    int number; /* pg_attribute.attnum; 0: of a query */
    bool not_null, generated, identity_always, identity, has_default;
    bool rounds;      /* its text: the server rounds what is inside (numeric(10,2)[], timetz(0)) */
    const char *expr; /* no column: what the server computes, in brackets; NULL */
    bool varies;      /* it may be another value the next time */
};

struct pg_table {
    struct wh_arena *arena;
    uint32_t oid;
    const char *schema, *name, *comment;
    char kind;        /* pg_class.relkind: r p v m f */
    char persistence; /* p u t */
    struct pg_col *cols;
    int n_cols;
    int64_t pages, est_rows, est_bytes; /* -1 unknown */
    bool has_pk, has_rls, has_subclass, can_read;
    bool granted, hides;   /* SELECT on the table itself; row security hides rows from us */
    int64_t tuples, bytes; /* as the last analyze counted (-1: none); with TOAST, 0 unknown */
};

/* pg_types.c */
/* Fills wire, cast, type of a column from oid, typmod, typtype (already in it). */
void pg_type_of(struct pg_col *);
enum {
    PG_DECL = 256
};
/* Type name for a new column, and in *io the type in which the writer wants its cells; `native`:
 * the source's own type text, kept where the source is PostgreSQL and the words mean the same.
 * Fills *ret_wire. */
void pg_decl_for(struct wh_type *io, struct wh_str native, char decl[PG_DECL],
                 enum pg_wire *ret_wire);
/* Can the encoder send cells of this type on that wire (after the engine's conversion to the type
 * that it writes into *ret_accept)? */
void pg_accept_type(const struct pg_col *, struct wh_type *ret_accept);
/* The column's modifier makes the server round what it is given, without a word: time(3), interval
 * day to hour, numeric(5,-2), numeric(90,10). numeric(p,s) with p <= 76 is checked by us instead.
 */
bool pg_rounds(const struct pg_col *);
void pg_numeric_shape(int32_t typmod, int *ret_precision, int *ret_scale);

/* pg_catalog.c */
wh_status pg_catalog(void *ep, void *se, const struct wh_pattern *, wh_catalog_fn, void *arg,
                     struct wh_error *reterr);
/* By name (exact, else case-insensitively if only one fits; unqualified: opts' schema, else
 * search_path of the user; database.schema.table if it is this database). WH_E_NOT_FOUND E3001.
 * Columns that are dropped are not in it; generated ones are. */
/* Of a table, the same through whatever address: wh_target.identity. A session was opened. */
void pg_identity(const struct pg_ep *, const char *schema, const char *table, char *out,
                 size_t size);
wh_status pg_describe(struct pg_se *, const struct wh_name *, const char *schema,
                      struct pg_table *ret, struct wh_error *reterr);
/* endpoint.expect: descriptions of many tables, kept until the next call. */
wh_status pg_expect(void *ep, void *se, const struct wh_objects *, const void *opts, bool targets,
                    struct wh_error *reterr);
void pg_expect_nothing(struct pg_ep *);
/* Is there such a schema? What is expected remembers it. */
wh_status pg_schema_there(struct pg_se *, const char *schema, bool *ret, struct wh_error *reterr);
/* Columns of a query. */
wh_status pg_describe_query(struct pg_se *, const char *query, struct pg_table *ret,
                            struct wh_error *reterr);
void pg_table_free(struct pg_table *);
wh_status pg_table_schema(const struct pg_table *, struct ArrowSchema *ret);
wh_status pg_qualified(struct wh_buf *, const char *schema, const char *name); /* "s"."t" */

/* ---- COPY BINARY -------------------------------------------------------------------------------
 */

/* pg_decode.c: header, rows, trailer, as they come (a message holds whole rows; the header comes
 * with the first). sans-I/O. */
struct pg_decoder;
/* cols: of the statement, in order, borrowed while the decoder lives; their types are those of the
 * builder's columns. check_text: the server does not vouch for UTF-8 (server_encoding SQL_ASCII);
 * then each text is looked at. WH_E_BUG: a column's type cannot take its wire. Taken together:
 *
 *   TEXT JSONB: UTF8   BOOL: BOOL   I16 I32 I64: the same or a wider integer   OID: U32 I64
 *   F32 F64: the same   NUMERIC: DEC128 DEC256 DECTEXT   BYTEA: BINARY   DATE: DATE32
 *   TIME: TIME64 us   TIMESTAMP, TIMESTAMPTZ: TIMESTAMP us   INTERVAL: INTERVAL   UUID: FIXED(16)
 *   CHAR: UTF8
 */
wh_status pg_decoder_new(const struct pg_col *cols, int n, struct wh_builder *, bool check_text,
                         struct pg_decoder **ret, struct wh_error *reterr);
/* Per column of the statement; borrowed for the call. */
void pg_decoder_infinite(struct pg_decoder *, const enum wh_infinite *how);
void pg_decoder_free(struct pg_decoder *); /* NULL is fine */
/* Appends all rows of one message. WH_E_DATA: not what the format promises (whole rows before it
 * stay). A cell that is no value of its column's type (infinity, year out of range, NaN under a
 * decimal, larger than max_cell) makes its row bad: the builder is cut back, *ret_bad is 1 and
 * pg_decoder_bad says why. The call then ends behind that row, and pg_decoder_rest is what is left
 * of the message (empty where a message is a row, as PostgreSQL sends them): decode it next. */
wh_status pg_decode(struct pg_decoder *, struct wh_bytes message, int64_t *ret_rows, int *ret_bad,
                    struct wh_error *reterr);
void pg_decoder_bad(const struct pg_decoder *, int *ret_column, const char **ret_code,
                    const char **ret_text);
/* The bad row's own bytes, for the archive; borrowed from the message. */
struct wh_bytes pg_decoder_bad_row(const struct pg_decoder *);
struct wh_bytes pg_decoder_rest(const struct pg_decoder *);
bool pg_decoder_ended(const struct pg_decoder *); /* the trailer was seen */

/* pg_encode.c */
struct pg_encoder;
/* schema: what target_open accepted; wires in its order: the pairs of pg_decoder_new, and a
 * narrower integer on a wider wire, I8 U8 U16, DICT as TEXT or JSONB, FIXED as BYTEA, integers and
 * DECTEXT as NUMERIC. WH_E_BUG for any other pair. */
wh_status pg_encoder_new(const struct ArrowSchema *, const enum pg_wire *wires, int n,
                         struct pg_encoder **ret, struct wh_error *reterr);
/* Per column, those whose least and greatest value are infinities; borrowed for the call. */
void pg_encoder_infinite(struct pg_encoder *, const bool *);
void pg_encoder_free(struct pg_encoder *);    /* NULL is fine */
wh_status pg_encode_header(struct wh_buf *);  /* 19 bytes */
wh_status pg_encode_trailer(struct wh_buf *); /* ff ff */
/* Binds a batch's columns; then rows [first, first + n) or rows[0..n) are appended to the buffer
 * until it holds `most` bytes; *ret_done = rows appended (one at least). Room: the buffer's max
 * must be above `most` by the largest row, else WH_E_LIMIT.
 * WH_REFUSED: row *ret_done of those asked for is a value that PostgreSQL cannot hold (a NUL in a
 * text, a year out of its range); pg_encoder_bad says why, nothing of it is in the buffer, those
 * before it are; go on behind it or end. *ret_done is written then too. */
wh_status pg_encoder_bind(struct pg_encoder *, const struct wh_batch *, struct wh_error *reterr);
wh_status pg_encode(struct pg_encoder *, const int32_t *rows, int64_t first, int64_t n, size_t most,
                    struct wh_buf *out, int64_t *ret_done, struct wh_error *reterr);
void pg_encoder_bad(const struct pg_encoder *, int *ret_column, const char **ret_code,
                    const char **ret_text);

/* pg_frame.c: encoding "pgcopy-binary/<n>": the rows alone, without header and trailer. */
#define PG_FRAME "pgcopy-binary"
/* What a column is, in the words of format_type() and of WH_META_SHAPE ("": a built-in type). */
struct pg_passes {
    struct wh_str type, shape;
};
/* May column `from` be passed to `to` as raw bytes? Why not, for the plan (static text). */
bool pg_frame_fits(const struct pg_passes *from, const struct pg_passes *to, const char **ret_why);
/* The same by format_type() alone: for types that are built in. */
bool pg_frame_types(struct wh_str from, struct wh_str to, const char **ret_why);
/* An enum, whose bytes are its label whatever its number: by format_type() and WH_META_SHAPE. */
bool pg_frame_label(struct wh_str type, struct wh_str shape);
/* Counts whole rows; WH_E_DATA if the bytes are not n_cols cells a row or do not end at a row
 * border. */
wh_status pg_frame_rows(struct wh_bytes, int n_cols, int64_t *ret_rows, struct wh_error *reterr);

/* ---- source and destination
 * ----------------------------------------------------------------------
 */

extern const struct wh_source_ops pg_source; /* pg_scan.c; private structs in pg_scan.h */
extern const struct wh_sink_ops pg_sink;     /* pg_target.c; private structs in pg_target.h */

#endif
