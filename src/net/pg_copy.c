/* SPDX-License-Identifier: Apache-2.0 */
/* COPY in both directions. */
#include "net/pg_internal.h"

#include "core/log.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

enum {
    MESSAGE = 128 << 10, /* of one CopyData: fewer, bigger ones are cheaper at the server */
    BIGGEST = 256 << 10,
    BACKLOG = 56 << 10, /* waits in the socket: then larger reads pay */
    LOOKS = 64,         /* at the backlog */
    WIDER = 3,          /* doublings of libpq's buffer of 16 kB */
};

/* ---- beginning ---------------------------------------------------------------------------------
 */

/* Statements in front of the COPY in the same packet are allowed; their results are dropped. */
static int begin_copy(struct pg_conn *c, const char *sql, ExecStatusType wanted,
                      struct wh_error *reterr)
{
    int st;

    if (!pg_usable(c, &st, reterr))
        return st;
    c->running = true;
    c->copy_rows = 0;
    c->copy_ended = false;
    c->fault = (struct wh_error){0};
    wh_buf_clear(&c->out);
    if (!PQsendQuery(c->pg, sql))
        return pg_lost(c, reterr);
    for (;;) {
        PGresult *r = NULL;
        ExecStatusType got;

        WH_TRY(pg_next(c, &r, reterr));
        if (!r) {
            c->running = false;
            return PQstatus(c->pg) == CONNECTION_BAD ? pg_lost(c, reterr)
                                                     : pg_misused(c, "this was no COPY", reterr);
        }
        if (pg_is_error(r))
            return pg_drain(c, pg_refused(c, r, reterr), reterr);
        got = PQresultStatus(r);
        PQclear(r);
        if (got == wanted)
            return WH_OK;
        if (got != PGRES_COMMAND_OK && got != PGRES_TUPLES_OK)
            return pg_misused(c, "COPY in another direction", reterr);
    }
}

int pg_begin_copy(struct pg_conn *c, const char *sql, ExecStatusType wanted,
                  struct wh_error *reterr)
{
    int64_t begun = wh_log_statement_begins();

    return pg_logged(c, begun, sql, begin_copy(c, sql, wanted, reterr), reterr);
}

/* After the last row or CopyDone: the server's verdict. */
static int finish(struct pg_conn *c, struct wh_error *reterr)
{
    PGresult *r = NULL;
    int st;

    c->copying = PG_COPY_NONE;
    WH_TRY(pg_next(c, &r, reterr));
    if (!r)
        return pg_lost(c, reterr);
    if (pg_is_error(r)) {
        st = pg_refused(c, r, reterr);
    } else {
        c->copy_rows = pg_tag_rows(r);
        PQclear(r);
        st = WH_OK;
    }
    return pg_drain(c, st, reterr);
}

int64_t pg_copy_rows(const struct pg_conn *c)
{
    return c->copy_rows;
}

/* ---- out ---------------------------------------------------------------------------------------
 */

wh_status pg_copy_out(struct pg_conn *c, const char *sql, struct wh_error *reterr)
{
    WH_TRY(pg_begin_copy(c, sql, PGRES_COPY_OUT, reterr));
    c->copying = PG_COPY_OUT;
    return WH_OK;
}

static int copy_out_over(struct pg_conn *c, struct wh_error *reterr)
{
    int st = finish(c, &c->fault);

    c->copy_ended = st == WH_OK;
    if (st != WH_OK && reterr)
        *reterr = c->fault;
    return st == WH_OK ? WH_END : st;
}

/* libpq reads at most what its buffer of 16 kB has room for, and doubles that when it is full and
 * asked to read on. Where more waits, that is done once: a few reads of 100 kB in the place of many
 * small ones. With TLS a read brings one record at most. False: the connection is gone. */
static bool widen(struct pg_conn *c)
{
    int waiting = 0;

    if (c->looks == LOOKS || PQsslInUse(c->pg))
        return true;
    c->looks++;
    if (ioctl(PQsocket(c->pg), FIONREAD, &waiting) < 0 || waiting < BACKLOG)
        return true;
    c->looks = LOOKS;
    for (int i = 0; i < WIDER; i++)
        if (!PQconsumeInput(c->pg))
            return false;
    return true;
}

wh_status pg_copy_get(struct pg_conn *c, struct wh_bytes *ret, struct wh_error *reterr)
{
    if (c->copying != PG_COPY_OUT) {
        if (c->copy_ended)
            return WH_END;
        if (c->fault.status && reterr)
            *reterr = c->fault;
        return c->fault.status ? c->fault.status : pg_misused(c, "no COPY to read from", reterr);
    }
    if (atomic_load_explicit(&c->interrupted, memory_order_relaxed))
        return pg_lost(c, reterr);
    PQfreemem(TAKE_PTR(c->row));
    for (bool alive = true;;) {
        int n = PQgetCopyData(c->pg, &c->row, 1);

        if (n > 0) {
            *ret = (struct wh_bytes){c->row, (size_t)n};
            return WH_OK;
        }
        if (n < 0 || !alive)
            return copy_out_over(c, reterr);
        WH_TRY(pg_read_more(c, POLLIN, &alive, reterr));
        alive = alive && widen(c);
    }
}

/* ---- in ----------------------------------------------------------------------------------------
 */

wh_status pg_copy_in(struct pg_conn *c, const char *sql, struct wh_error *reterr)
{
    WH_TRY(pg_begin_copy(c, sql, PGRES_COPY_IN, reterr));
    c->copying = PG_COPY_IN;
    return WH_OK;
}

/* Ends a COPY that has failed; the reason stays for whoever asks later. */
static int copy_in_failed(struct pg_conn *c, int st, struct wh_error *reterr)
{
    c->copying = PG_COPY_NONE;
    c->fault.status = st;
    wh_buf_clear(&c->out);
    if (reterr)
        *reterr = c->fault;
    return st;
}

/* During COPY FROM the server says nothing but notices, unless it has failed: then 'E' is the next
 * byte. libpq does not look at it before the end, and whole units would be sent for nothing. Inside
 * of TLS it cannot be seen; there the end tells. */
static bool error_has_come(struct pg_conn *c)
{
    char kind = 0;

    if (PQsslInUse(c->pg))
        return false;
    return recv(PQsocket(c->pg), &kind, 1, MSG_PEEK | MSG_DONTWAIT) == 1 && kind == 'E';
}

static int put_end(struct pg_conn *c, const char *why, struct wh_error *reterr)
{
    int sent;

    while ((sent = PQputCopyEnd(c->pg, why)) == 0) {
        WH_TRY(pg_wait(c, POLLIN | POLLOUT, reterr));
        if (!PQconsumeInput(c->pg))
            return pg_lost(c, reterr);
    }
    if (sent < 0)
        return pg_lost(c, reterr);
    return finish(c, reterr);
}

static int take_error(struct pg_conn *c)
{
    int st = put_end(c, NULL, &c->fault);

    if (st == WH_OK)
        st = pg_misused(c, "an error that was none", &c->fault);
    return st;
}

/* Sends until libpq's buffer is empty. Input is read meanwhile, so that a server that is busy
 * telling us something cannot wait for us while we wait for it. */
static int push(struct pg_conn *c)
{
    for (;;) {
        int left;

        if (error_has_come(c))
            return take_error(c);
        left = PQflush(c->pg);
        if (left < 0)
            break;
        if (left == 0)
            return WH_OK;
        WH_TRY(pg_wait(c, POLLIN | POLLOUT, &c->fault));
        if (error_has_come(c))
            return take_error(c);
        if (!PQconsumeInput(c->pg))
            break;
    }
    /* The last words of a server that goes ("terminating connection ...") are still to be read. */
    return put_end(c, NULL, &c->fault) == WH_OK ? pg_lost(c, &c->fault) : c->fault.status;
}

static int send_message(struct pg_conn *c, const char *p, size_t n)
{
    int sent;

    while ((sent = PQputCopyData(c->pg, p, (int)n)) == 0)
        WH_TRY(push(c));
    if (sent < 0)
        return pg_lost(c, &c->fault);
    return push(c);
}

static int send_gathered(struct pg_conn *c)
{
    int st = c->out.n ? send_message(c, c->out.p, c->out.n) : WH_OK;

    wh_buf_clear(&c->out);
    return st;
}

static int put(struct pg_conn *c, const char *p, size_t n)
{
    if (c->out.n + n < MESSAGE) {
        if (wh_buf_add(&c->out, p, n) == WH_OK)
            return WH_OK;
        return wh_fail(&c->fault, WH_E_NOMEM, "E8002", "rows on their way to the server");
    }
    WH_TRY(send_gathered(c));
    while (n >= MESSAGE) {
        size_t piece = n < BIGGEST ? n : BIGGEST;

        WH_TRY(send_message(c, p, piece));
        p += piece;
        n -= piece;
    }
    if (n && wh_buf_add(&c->out, p, n) != WH_OK)
        return wh_fail(&c->fault, WH_E_NOMEM, "E8002", "rows on their way to the server");
    return WH_OK;
}

static bool copy_in_open(struct pg_conn *c, int *ret_status, struct wh_error *reterr)
{
    if (c->copying == PG_COPY_IN && !atomic_load_explicit(&c->interrupted, memory_order_relaxed))
        return true;
    if (c->copying == PG_COPY_IN)
        *ret_status = pg_lost(c, reterr);
    else if (!c->fault.status)
        *ret_status = pg_misused(c, "no COPY to write to", reterr);
    else
        *ret_status = copy_in_failed(c, c->fault.status, reterr);
    return false;
}

wh_status pg_copy_put(struct pg_conn *c, const void *p, size_t n, struct wh_error *reterr)
{
    int st;

    if (!copy_in_open(c, &st, reterr))
        return st;
    st = put(c, p, n);
    return st == WH_OK ? WH_OK : copy_in_failed(c, st, reterr);
}

wh_status pg_copy_end(struct pg_conn *c, const char *why, int64_t *ret_rows,
                      struct wh_error *reterr)
{
    int st;

    if (!copy_in_open(c, &st, reterr))
        return st;
    if (why)
        wh_buf_clear(&c->out);
    st = send_gathered(c);
    if (st == WH_OK)
        st = put_end(c, why, &c->fault);
    if (why && st == WH_E_REMOTE && strcmp(c->fault.sqlstate, "57014") == 0)
        st = WH_OK; /* it failed as it was asked to */
    if (st != WH_OK)
        return copy_in_failed(c, st, reterr);
    c->copying = PG_COPY_NONE;
    c->fault = (struct wh_error){0};
    if (ret_rows)
        *ret_rows = why ? 0 : c->copy_rows;
    return WH_OK;
}
