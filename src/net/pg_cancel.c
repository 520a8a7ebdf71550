/* SPDX-License-Identifier: Apache-2.0 */
/* Ending what runs at the server.
 *
 * A cancel request travels on a connection of its own and names a backend, not a statement: the
 * server forgets one that comes while the backend still waits for its statement, which then runs
 * on. Nothing tells that it was forgotten, so it is repeated until the statement is over. */
#include "net/pg_internal.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

enum {
    FIRST_PAUSE_MS = 15, /* to the second request; then twice as long each time */
    LONGEST_PAUSE_MS = 240,
    UNSEEN = 4, /* requests for a session whose answer nobody can see */
    SLICE_MS = 10,
};

/* PQcancel waits without end for a server that accepts and says nothing, and it may be called from
 * a signal handler, so also from a child of a program with threads: that child can be killed. */
static bool request(struct pg_conn *c, int64_t end)
{
    struct timespec nap = {.tv_nsec = 1000000};
    pid_t child = fork();

    if (child == 0) {
        char words[256];

        PQcancel(c->cancel, words, sizeof words);
        _exit(0);
    }
    while (child > 0 && waitpid(child, NULL, WNOHANG) == 0) {
        if (wh_now_ns() > end) {
            kill(child, SIGKILL);
            while (waitpid(child, NULL, 0) < 0 && errno == EINTR)
                continue;
            return false;
        }
        nanosleep(&nap, NULL);
    }
    return child > 0;
}

/* ---- the answer --------------------------------------------------------------------------------
 */

enum heard {
    HEARD_END,  /* the statement is over, or the connection is */
    HEARD_MORE, /* there is more to take */
    HEARD_NONE,
};

/* Rows of a COPY that nobody wants any more. */
static enum heard take_rows(struct pg_conn *c, bool *copying)
{
    char *row = NULL;
    int n = PQgetCopyData(c->pg, &row, 1);

    PQfreemem(row);
    if (n < 0)
        *copying = false;
    return n == 0 ? HEARD_NONE : HEARD_MORE;
}

static enum heard take_result(struct pg_conn *c, bool *copying)
{
    bool pipeline = PQpipelineStatus(c->pg) != PQ_PIPELINE_OFF;
    PGresult *r;
    ExecStatusType status;

    if (PQisBusy(c->pg))
        return HEARD_NONE;
    r = PQgetResult(c->pg);
    status = PQresultStatus(r);
    PQclear(r);
    if (PQstatus(c->pg) == CONNECTION_BAD)
        return HEARD_END;
    if (!r)
        return pipeline ? HEARD_MORE : HEARD_END;
    if (status == PGRES_PIPELINE_SYNC) {
        wh_ignore(PQexitPipelineMode(c->pg) ? WH_OK : WH_END);
        return HEARD_END;
    }
    *copying = status == PGRES_COPY_OUT;
    /* Data of ours is waited for: ending it so ends the statement. */
    if (status == PGRES_COPY_IN)
        return PQputCopyEnd(c->pg, "given up") < 0 ? HEARD_END : HEARD_MORE;
    return HEARD_MORE;
}

/* What comes until then is thrown away. TLS may hold bytes that poll does not see: waits are
 * short. */
static bool over_by(struct pg_conn *c, bool *copying, int64_t until)
{
    for (;;) {
        enum heard h = *copying ? take_rows(c, copying) : take_result(c, copying);
        struct pollfd p = {.fd = PQsocket(c->pg), .events = POLLIN};

        if (h == HEARD_END)
            return true;
        if (wh_now_ns() > until)
            return false;
        if (h == HEARD_MORE)
            continue;
        wh_ignore(poll(&p, 1, SLICE_MS) < 0 ? WH_END : WH_OK);
        if (!PQconsumeInput(c->pg))
            return true;
    }
}

/* An interrupted session: its socket is shut, and what the server sends is refused by the kernel.
 * With TCP that shows: whatever came since, an answer or the end, has closed the connection. */
static enum heard closed_by(struct pg_conn *c, int64_t until)
{
    struct timespec nap = {.tv_nsec = 2000000};
    struct tcp_info info = {0};
    socklen_t n = sizeof info;
    bool seen = c->shut_fd >= 0;

    for (;;) {
        seen = seen && getsockopt(c->shut_fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0;
        if (seen && info.tcpi_state == TCP_CLOSE)
            return HEARD_END;
        if (wh_now_ns() > until)
            return seen ? HEARD_MORE : HEARD_NONE;
        nanosleep(&nap, NULL);
    }
}

/* One look for the answer to request i, until then. */
static bool answered(struct pg_conn *c, int i, bool *copying, int64_t until)
{
    enum heard h;

    if (!atomic_load(&c->interrupted)) {
        if (!over_by(c, copying, until))
            return false;
        c->running = false;
        return true;
    }
    h = closed_by(c, until);
    return h == HEARD_END || (h == HEARD_NONE && i == UNSEEN);
}

void pg_cancel_running(struct pg_conn *c)
{
    int64_t end = wh_now_ns() + (int64_t)PG_CANCEL_MS * 1000000;
    int64_t pause = (int64_t)FIRST_PAUSE_MS * 1000000;
    bool copying = c->copying == PG_COPY_OUT && !c->copy_ended;

    if (!c->cancel || c->gone)
        return;
    for (int i = 1; request(c, end) && wh_now_ns() < end; i++) {
        int64_t until = wh_now_ns() + pause < end ? wh_now_ns() + pause : end;

        if (c->copying == PG_COPY_IN) /* it waits for us, and notices that we go */
            return;
        if (answered(c, i, &copying, until))
            break;
        pause = pause * 2 < (int64_t)LONGEST_PAUSE_MS * 1000000
                    ? pause * 2
                    : (int64_t)LONGEST_PAUSE_MS * 1000000;
    }
    if (!c->running)
        c->copying = PG_COPY_NONE;
}
