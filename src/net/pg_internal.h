/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of pg_client: the connection, waiting, and results of libpq. */
#ifndef WHERRY_NET_PG_INTERNAL_H
#define WHERRY_NET_PG_INTERNAL_H

#include <libpq-fe.h>
#include <pthread.h>
#include <stdatomic.h>

#include "core/alloc.h"
#include "core/buf.h"
#include "net/pg_client.h"

enum {
    PG_NOTICES = 4,
    PG_NOTICE_LEN = 256,
    PG_CLEANUP_MS = 5000, /* rollback and other cleaning may take so long */
    PG_CANCEL_MS = 2000,
    PG_PREPARED = 24, /* statements of one session */
    PG_SEEN = 48,
    PG_PREPARED_USES = 200, /* of one plan */
};

enum pg_copying {
    PG_COPY_NONE,
    PG_COPY_IN,
    PG_COPY_OUT
};

struct pg_prepared {
    uint64_t hash;
    char *sql; /* owned */
    char name[16];
    int uses;
};

struct pg_conn {
    const struct wh_ctx *ctx;
    PGconn *pg;
    PGcancel *cancel; /* made while the connection was well */
    PGresult *error;  /* the last error that the server sent */
    struct pg_times times;

    /* For pg_interrupt. The descriptor is a copy of our own: libpq may close its one at any time,
     * and its number may then belong to somebody else. */
    pthread_mutex_t lock;
    int shut_fd;
    atomic_bool interrupted;

    bool dead;
    bool running;    /* a statement is under way at the server */
    bool committing; /* a COMMIT may have been sent: asked to stop, still wait a little */
    bool gone;       /* the server said that it ends this session */
    int peeks;       /* reads since the last wait */
    int looks;       /* at how much waits, while libpq's buffer is small */
    int64_t until;   /* not 0: wait until then, asked to stop or not (cleaning up) */

    enum pg_copying copying;
    bool copy_ended;       /* COPY TO came to its end */
    char *row;             /* libpq's last COPY row */
    struct wh_buf out;     /* gathered COPY data */
    int64_t copy_rows;     /* by the command tag */
    struct wh_error fault; /* why a COPY failed before pg_copy_end; status 0 = it has not */

    char notices[PG_NOTICES][PG_NOTICE_LEN];
    unsigned n_notices; /* all that ever came */
    char who[160];

    struct pg_prepared prepared[PG_PREPARED];
    int n_prepared;
    uint64_t seen[PG_SEEN]; /* hashes of statements that came once */
    unsigned n_seen;
    bool unprepared; /* the server, or what stands before it, does not keep them */
};

/* pg_error.c */
/* The connection is of no use any more: WH_LOST (or the reason why waiting ended). */
int pg_lost(struct pg_conn *, struct wh_error *reterr);
/* Words and status of a result that is an error; keeps it for pg_said. */
int pg_refused(struct pg_conn *, PGresult *taken, struct wh_error *reterr);
/* Why a connection could not be made, from libpq's words. */
int pg_connect_error(struct pg_conn *, struct wh_error *reterr);
/* Our own mistake: the protocol is not where it should be. */
int pg_misused(struct pg_conn *, const char *what, struct wh_error *reterr);

/* pg_client.c */
int pg_wait(struct pg_conn *, short events, struct wh_error *reterr);
int pg_wait_until(struct pg_conn *, short events, int64_t deadline_ns, struct wh_error *reterr);
/* Waits and reads what has come; not alive: the connection is gone. */
int pg_read_more(struct pg_conn *, short events, bool *ret_alive, struct wh_error *reterr);

/* pg_cancel.c */
/* Asks the server to end what runs until it is over (then nothing runs, and no COPY), or for
 * PG_CANCEL_MS. Results that come meanwhile are thrown away. Not for a COPY to the server. */
void pg_cancel_running(struct pg_conn *);

/* pg_prepared.c */
/* The name under which the server keeps a statement with n parameters, prepared now if it comes the
 * second time; NULL: it goes as text. What fails to be prepared fails as it would when run. */
int pg_prepared(struct pg_conn *, const char *sql, int n, const char **ret,
                struct wh_error *reterr);
/* The failure is that of a name which the server does not know as we do: from now on all go as
 * text, and the error is one to try again. */
bool pg_prepared_gone(struct pg_conn *, int st, struct wh_error *err);
void pg_prepared_free(struct pg_conn *);

/* pg_statement.c */
bool pg_usable(struct pg_conn *, int *ret_status, struct wh_error *reterr);
/* The next result, NULL when the statement is over. Waits. */
int pg_next(struct pg_conn *, PGresult **ret, struct wh_error *reterr);
/* Sends what is left in libpq's buffer, reading meanwhile. */
int pg_flush_all(struct pg_conn *, struct wh_error *reterr);
/* Throws the rest of the results away until the connection is ready; keeps the first failure. */
int pg_drain(struct pg_conn *, int st, struct wh_error *reterr);
bool pg_is_error(const PGresult *);
int64_t pg_tag_rows(const PGresult *);
/* Sends sql and reads results until COPY begins (`wanted`). */
int pg_begin_copy(struct pg_conn *, const char *sql, ExecStatusType wanted,
                  struct wh_error *reterr);

/* --debug sql: begun is what wh_log_statement_begins said; returns st. */
int pg_logged(const struct pg_conn *, int64_t begun, const char *sql, int st,
              const struct wh_error *);

#endif
