/* SPDX-License-Identifier: Apache-2.0 */
/* A connection's life: opening, waiting, interrupting, closing. */
#include "net/pg_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/clock.h"

enum {
    MAX_KEYS = 40,
    COPY_BUFFER_MAX = 1 << 20,
};

/* ---- notices -----------------------------------------------------------------------------------
 */

static void on_notice(void *arg, const PGresult *res)
{
    struct pg_conn *c = arg;
    const char *text = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);

    snprintf(c->notices[c->n_notices++ % PG_NOTICES], PG_NOTICE_LEN, "%s", text ? text : "");
}

const char *pg_notice(const struct pg_conn *c, int back)
{
    if (back < 0 || back >= PG_NOTICES || (unsigned)back >= c->n_notices)
        return NULL;
    return c->notices[(c->n_notices - 1 - (unsigned)back) % PG_NOTICES];
}

/* ---- new, facts --------------------------------------------------------------------------------
 */

struct pg_conn *pg_new(const struct wh_ctx *ctx)
{
    struct pg_conn *c = wh_calloc(1, sizeof *c);

    if (!c)
        return NULL;
    c->ctx = ctx;
    c->shut_fd = -1;
    c->out = WH_BUF(COPY_BUFFER_MAX);
    pthread_mutex_init(&c->lock, NULL);
    return c;
}

void pg_use(struct pg_conn *c, const struct wh_ctx *ctx)
{
    c->ctx = ctx;
}

bool pg_dead(const struct pg_conn *c)
{
    return c->dead || !c->pg || atomic_load(&c->interrupted);
}

int pg_server_version(const struct pg_conn *c)
{
    return PQserverVersion(c->pg);
}

int pg_backend_pid(const struct pg_conn *c)
{
    return PQbackendPID(c->pg);
}

const char *pg_parameter(const struct pg_conn *c, const char *name)
{
    return PQparameterStatus(c->pg, name);
}

char pg_transaction(const struct pg_conn *c)
{
    switch (PQtransactionStatus(c->pg)) {
    case PQTRANS_IDLE:
        return 'I';
    case PQTRANS_INTRANS:
        return 'T';
    case PQTRANS_INERROR:
        return 'E';
    case PQTRANS_ACTIVE:
        return 'A';
    default:
        return '?';
    }
}

bool pg_uses_tls(const struct pg_conn *c)
{
    return c->pg && PQsslInUse(c->pg);
}

const char *pg_database(const struct pg_conn *c)
{
    return PQdb(c->pg);
}

const char *pg_who(const struct pg_conn *c)
{
    return c->who;
}

/* ---- waiting -----------------------------------------------------------------------------------
 */

static int wait_plainly(int fd, short events, int64_t until_ns, struct wh_error *reterr)
{
    for (;;) {
        struct pollfd p = {.fd = fd, .events = events};
        int64_t left = (until_ns - wh_now_ns() + 999999) / 1000000;
        int n = poll(&p, 1, left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left);

        if (n > 0)
            return WH_OK;
        if (n < 0 && errno != EINTR)
            return wh_fail_errno(reterr, errno, "E9001", "poll");
        if (left <= 0)
            return wh_fail(reterr, WH_E_IO, "E2002", "no answer in time");
    }
}

static int wait_on(struct pg_conn *c, short events, int64_t deadline, struct wh_error *reterr)
{
    int fd = PQsocket(c->pg), st;

    if (c->until)
        return wait_plainly(fd, events, c->until, reterr);
    st = c->ctx->wait(c->ctx, fd, events, deadline, reterr);
    if (st == WH_E_CANCELLED && c->committing) {
        /* The answer to a COMMIT is worth a moment: without it the unit must be looked up. */
        c->until = wh_now_ns() + (int64_t)PG_CLEANUP_MS * 1000000;
        return wait_plainly(fd, events, c->until, reterr);
    }
    return st;
}

int pg_wait_until(struct pg_conn *c, short events, int64_t deadline, struct wh_error *reterr)
{
    int st;

    if (atomic_load(&c->interrupted))
        return pg_lost(c, reterr);
    st = wait_on(c, events, deadline, reterr);
    if (atomic_load(&c->interrupted))
        return pg_lost(c, reterr);
    return st;
}

/* Waiting for a statement has no end of its own: the server's timeouts, TCP's keepalive and user
 * timeout, and whoever asks to stop end it. After a failure the protocol is in the middle of
 * something, so the connection cannot be used again. */
int pg_wait(struct pg_conn *c, short events, struct wh_error *reterr)
{
    int st = pg_wait_until(c, events, INT64_MAX, reterr);

    if (st != WH_OK)
        c->dead = true;
    return st;
}

/* With TLS, bytes may wait inside of OpenSSL where poll does not see them: libpq takes at least 8
 * kB of a record of at most 16 kB at a time, so two more takes leave nothing behind. They come only
 * when what is there is no whole message: else libpq's buffer would grow and grow. */
int pg_read_more(struct pg_conn *c, short events, bool *ret_alive, struct wh_error *reterr)
{
    int most = PQsslInUse(c->pg) ? 2 : 0;

    if (c->peeks < most) {
        c->peeks++;
    } else {
        WH_TRY(pg_wait(c, events, reterr));
        c->peeks = 0;
    }
    *ret_alive = PQconsumeInput(c->pg) != 0;
    return WH_OK;
}

/* ---- connecting --------------------------------------------------------------------------------
 */

/* Makes the present socket the one that pg_interrupt shuts down. */
static void note_socket(struct pg_conn *c)
{
    int fd = PQsocket(c->pg), old;
    int copy = fd >= 0 ? fcntl(fd, F_DUPFD_CLOEXEC, 3) : -1;

    pthread_mutex_lock(&c->lock);
    old = c->shut_fd;
    c->shut_fd = copy;
    pthread_mutex_unlock(&c->lock);
    if (old >= 0)
        close(old);
}

static int hosts_of(const char *list)
{
    int n = 1;

    for (const char *p = list ? list : ""; *p; p++)
        n += *p == ',';
    return n;
}

static int connect_timed_out(struct pg_conn *c, struct wh_error *reterr)
{
    const char *host = PQhost(c->pg);

    return wh_fail(reterr, WH_E_IO, "E2002", "no answer from %s port %s within %lld ms",
                   host && *host ? host : "the server", PQport(c->pg), (long long)c->times.connect);
}

/* libpq's own machine for opening: it goes on with the next address when one fails; an address that
 * stays silent is made to fail when its time is over. libpq does not leave a host that it has
 * reached: one that accepts and then says nothing (*ret_mute) ends the search. */
static int connect_loop(struct pg_conn *c, int n_hosts, bool *ret_mute, struct wh_error *reterr)
{
    int64_t share = c->times.connect * 1000000;
    int64_t end = wh_now_ns() + share * n_hosts, turn = wh_now_ns() + share;
    PostgresPollingStatusType state = PGRES_POLLING_WRITING;
    int fd = -1;
    bool silenced = false; /* by us */

    while (state != PGRES_POLLING_OK) {
        struct wh_error err = {0};
        int st;

        note_socket(c);
        if (fd != PQsocket(c->pg))
            turn = wh_now_ns() + share;
        fd = PQsocket(c->pg);
        st = pg_wait_until(c, state == PGRES_POLLING_READING ? POLLIN : POLLOUT,
                           turn < end ? turn : end, &err);
        if (st == WH_E_IO && wh_now_ns() < end) {
            shutdown(fd, SHUT_RDWR);
            silenced = true;
            turn = wh_now_ns() + share;
        } else if (st == WH_E_IO) {
            return connect_timed_out(c, reterr);
        } else if (st != WH_OK) {
            if (reterr)
                *reterr = err;
            return st;
        }
        state = PQconnectPoll(c->pg);
        if (atomic_load(&c->interrupted))
            return pg_lost(c, reterr);
        *ret_mute = state == PGRES_POLLING_FAILED && silenced;
        if (*ret_mute)
            return connect_timed_out(c, reterr);
        if (state == PGRES_POLLING_FAILED)
            return pg_connect_error(c, reterr);
    }
    note_socket(c);
    return atomic_load(&c->interrupted) ? pg_lost(c, reterr) : WH_OK;
}

struct keywords {
    const char *k[MAX_KEYS + 1], *v[MAX_KEYS + 1];
    int n;
};

static bool has_key(const struct keywords *w, const char *key)
{
    for (int i = 0; i < w->n; i++)
        if (strcmp(w->k[i], key) == 0)
            return true;
    return false;
}

static void add_key(struct keywords *w, const char *key, const char *value)
{
    if (!has_key(w, key) && value && w->n < MAX_KEYS) {
        w->k[w->n] = key;
        w->v[w->n++] = value;
    }
}

/* A dead peer is noticed by the kernel: probes while we only listen, the user timeout while
 * something of ours is not taken. */
static void add_keepalives(struct keywords *w, int64_t network_ms, char number[4][24])
{
    int64_t seconds = network_ms / 1000;

    if (network_ms <= 0)
        return;
    snprintf(number[0], 24, "%lld", (long long)(seconds / 3 > 1 ? seconds / 3 : 1));
    snprintf(number[1], 24, "%lld", (long long)(seconds / 6 > 1 ? seconds / 6 : 1));
    snprintf(number[2], 24, "%lld", (long long)network_ms);
    add_key(w, "keepalives", "1");
    add_key(w, "keepalives_idle", number[0]);
    add_key(w, "keepalives_interval", number[1]);
    add_key(w, "keepalives_count", "4");
    add_key(w, "tcp_user_timeout", number[2]);
}

/* Hosts that are still to be tried, and their ports (one for all, or one each). */
struct hosts {
    char list[1024], ports[256];
    const char **host, **port; /* their places among the values; NULL: not given */
    int n;
};

static void take_hosts(struct keywords *w, struct hosts *h)
{
    if (!has_key(w, "service") && !getenv("PGSERVICE"))
        add_key(w, "port", getenv("PGPORT"));
    *h = (struct hosts){.n = 1};
    for (int i = 0; i < w->n; i++) {
        if (strcmp(w->k[i], "host") == 0)
            h->host = &w->v[i];
        else if (strcmp(w->k[i], "port") == 0)
            h->port = &w->v[i];
    }
    if (has_key(w, "hostaddr") || !h->host || strlen(*h->host) >= sizeof h->list ||
        (h->port && strlen(*h->port) >= sizeof h->ports)) {
        h->host = NULL;
        return;
    }
    h->n = hosts_of(*h->host);
    snprintf(h->list, sizeof h->list, "%s", *h->host);
    snprintf(h->ports, sizeof h->ports, "%s", h->port ? *h->port : "");
}

/* Item i of a list with commas: where it begins, and how long it is. */
static char *item(char *list, int i, size_t *ret_n)
{
    while (i-- > 0)
        list += strcspn(list, ",") + 1;
    *ret_n = strcspn(list, ",");
    return list;
}

static void drop_item(char *list, int i)
{
    size_t n;
    char *p = item(list, i, &n);

    if (p[n])
        memmove(p, p + n + 1, strlen(p + n + 1) + 1);
    else
        p[p > list ? -1 : 0] = 0;
}

static bool item_is(char *list, int i, const char *text)
{
    size_t n;
    char *p = item(list, i, &n);

    return text && strlen(text) == n && memcmp(p, text, n) == 0;
}

/* Leaves out the host at which libpq stands; false: none would be left. */
static bool next_host(struct pg_conn *c, struct hosts *h)
{
    bool each = hosts_of(h->ports) == h->n;

    if (!h->host || h->n < 2)
        return false;
    for (int i = 0; i < h->n; i++) {
        if (!item_is(h->list, i, PQhost(c->pg)) || (each && !item_is(h->ports, i, PQport(c->pg))))
            continue;
        drop_item(h->list, i);
        if (each)
            drop_item(h->ports, i);
        h->n--;
        *h->host = h->list;
        if (h->port)
            *h->port = h->ports;
        return true;
    }
    return false;
}

static void note_who(struct pg_conn *c)
{
    const char *host = PQhost(c->pg);

    snprintf(c->who, sizeof c->who, "%s:%s/%s as %s", host ? host : "", PQport(c->pg), PQdb(c->pg),
             PQuser(c->pg));
}

static int start(struct pg_conn *c, const struct keywords *w, struct wh_error *reterr)
{
    int st = WH_OK;

    c->pg = PQconnectStartParams(w->k, w->v, 0);
    if (!c->pg)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a connection");
    PQsetNoticeReceiver(c->pg, on_notice, c);
    /* The words of a refused log-in may be in any language; with this they carry the SQLSTATE. */
    PQsetErrorVerbosity(c->pg, PQERRORS_VERBOSE);
    if (PQstatus(c->pg) == CONNECTION_BAD)
        st = pg_connect_error(c, reterr);
    return st;
}

wh_status pg_connect(struct pg_conn *c, const char *const *keys, const char *const *values,
                     const struct pg_times *times, struct wh_error *reterr)
{
    struct keywords w = {.n = 0};
    char number[4][24];
    struct hosts hosts;
    bool mute;
    int st;

    if (c->pg)
        return pg_misused(c, "connected twice", reterr);
    c->times = *times;
    if (c->times.connect <= 0)
        c->times.connect = 10000;
    for (int i = 0; keys[i]; i++)
        add_key(&w, keys[i], values[i]);
    add_key(&w, "application_name", c->ctx->tag);
    add_key(&w, "client_encoding", "UTF8");
    if (!getenv("PGGSSENCMODE"))
        add_key(&w, "gssencmode", "disable"); /* looks for tickets on every connection */
    add_keepalives(&w, times->network, number);
    take_hosts(&w, &hosts);
    do {
        mute = false;
        PQfinish(TAKE_PTR(c->pg));
        st = start(c, &w, reterr);
        if (st == WH_OK)
            st = connect_loop(c, hosts.n, &mute, reterr);
    } while (mute && !atomic_load(&c->interrupted) && next_host(c, &hosts));
    if (st != WH_OK) {
        c->dead = true;
        return st;
    }
    PQsetErrorVerbosity(c->pg, PQERRORS_DEFAULT);
    PQsetnonblocking(c->pg, 1);
    c->cancel = PQgetCancel(c->pg);
    note_who(c);
    return WH_OK;
}

/* The value that a keyword will have, with service files and the environment looked at. */
bool pg_effective(const char *const *keys, const char *const *values, const char *want, char *out,
                  size_t size)
{
    PGconn *pg = PQconnectStartParams(keys, values, 0);
    PQconninfoOption *all = pg ? PQconninfo(pg) : NULL;
    bool found = false;

    for (PQconninfoOption *o = all; o && o->keyword && !found; o++)
        if (strcmp(o->keyword, want) == 0 && o->val && *o->val) {
            snprintf(out, size, "%s", o->val);
            found = true;
        }
    PQconninfoFree(all);
    PQfinish(pg);
    return found;
}

void pg_place(const char *const *keys, const char *const *values, char *out, size_t size)
{
    static const char *const wanted[] = {"host", "hostaddr", "port", "dbname", "user", "options"};
    struct keywords w = {.n = 0};
    size_t at = 0;

    for (size_t i = 0; keys[i] && w.n < MAX_KEYS - 1; i++)
        add_key(&w, keys[i], values[i]);
    /* No such mode: all is read and filled in, and then libpq goes no further. */
    add_key(&w, "sslmode", "not connecting");
    PGconn *pg = PQconnectStartParams(w.k, w.v, 0);
    PQconninfoOption *all = pg ? PQconninfo(pg) : NULL;

    *out = '\0';
    for (size_t i = 0; all && i < sizeof wanted / sizeof *wanted; i++)
        for (PQconninfoOption *o = all; o->keyword && at < size; o++)
            if (strcmp(o->keyword, wanted[i]) == 0 && o->val && *o->val) {
                int n = snprintf(out + at, size - at, "%s%s=%s", at ? " " : "", wanted[i], o->val);

                at += n > 0 ? (size_t)n : 0;
            }
    PQconninfoFree(all);
    PQfinish(pg);
}

/* ---- ending ------------------------------------------------------------------------------------
 */

void pg_interrupt(struct pg_conn *c)
{
    pthread_mutex_lock(&c->lock);
    atomic_store(&c->interrupted, true);
    if (c->shut_fd >= 0)
        shutdown(c->shut_fd, SHUT_RDWR);
    pthread_mutex_unlock(&c->lock);
}

void pg_free(struct pg_conn *c)
{
    if (!c)
        return;
    if (c->running)
        pg_cancel_running(c);
    if (c->shut_fd >= 0)
        close(c->shut_fd);
    PQfreemem(c->row);
    PQclear(c->error);
    PQfreeCancel(c->cancel);
    PQfinish(c->pg);
    wh_buf_free(&c->out);
    pg_prepared_free(c);
    pthread_mutex_destroy(&c->lock);
    wh_free(c);
}

int pg_library_version(void)
{
    return PQlibVersion();
}
