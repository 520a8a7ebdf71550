/* SPDX-License-Identifier: Apache-2.0 */
/* Made to stand before libpq and SQLite (LD_PRELOAD): the N-th statement that the program sends to
 * a server, or steps in a database file, fails. The program itself knows nothing of it.
 *
 *   WH_SQLFAULT=N:40001   the server answers the N-th with this SQLSTATE (any five letters)
 *   WH_SQLFAULT=N:lost    the connection is gone before it is sent
 *   WH_SQLFAULT=N:after   it is carried out, the connection is gone before the answer
 *   WH_SQLFAULT_LOG=FILE  a line for each statement that counts; the one that failed begins with
 * '!'
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct pg_conn PGconn;

static struct {
    pthread_once_t once;
    long nth;
    const char *kind;
    FILE *log;
    atomic_long seen;
    pthread_mutex_t lock;
} fault = {.once = PTHREAD_ONCE_INIT, .lock = PTHREAD_MUTEX_INITIALIZER};

/* The holder of a snapshot is a process of its own, with statements of its own: none of ours. */
static bool is_holder(void)
{
    char words[512] = "";
    FILE *f = fopen("/proc/self/cmdline", "r");
    size_t n = f ? fread(words, 1, sizeof words - 1, f) : 0;

    if (f)
        fclose(f);
    return n && strcmp(words + strlen(words) + 1, "hold") == 0;
}

static void read_environment(void)
{
    const char *what = getenv("WH_SQLFAULT"), *log = getenv("WH_SQLFAULT_LOG");

    if (is_holder())
        return;
    fault.kind = what ? strchr(what, ':') : NULL;
    fault.nth = fault.kind ? strtol(what, NULL, 10) : 0;
    fault.kind = fault.kind ? fault.kind + 1 : "";
    fault.log = log ? fopen(log, "ae") : NULL;
}

/* Counts a statement; is it the one? */
static bool counted(const char *text)
{
    bool it;

    pthread_once(&fault.once, read_environment);
    if (!fault.log)
        return false;
    it = atomic_fetch_add(&fault.seen, 1) + 1 == fault.nth;
    pthread_mutex_lock(&fault.lock);
    fprintf(fault.log, "%c ", it ? '!' : ' ');
    for (int i = 0; text && text[i] && i < 100; i++)
        fputc(text[i] < ' ' ? ' ' : text[i], fault.log);
    fputc('\n', fault.log);
    fflush(fault.log);
    pthread_mutex_unlock(&fault.lock);
    return it;
}

/* A module that was opened privately brings its libraries with it: they are asked by their names.
 */
static void *real(const char *name)
{
    void *l = dlopen("libpq.so.5", RTLD_NOW | RTLD_NOLOAD);
    void *p = l ? dlsym(l, name) : NULL;

    if (!p)
        abort();
    return p;
}

#define PG(name) real("libpq.so.5", name)

/* ---- libpq -------------------------------------------------------------------------------------
 */

static bool is_state(void)
{
    return strcmp(fault.kind, "lost") != 0 && strcmp(fault.kind, "after") != 0;
}

static const char *raises(char out[160])
{
    snprintf(out, 160, "do $$begin raise exception 'made to fail' using errcode = '%.5s'; end$$",
             fault.kind);
    return out;
}

static int socket_of(PGconn *c)
{
    int (*ask)(const PGconn *) = real("PQsocket");

    return ask(c);
}

static void cut(PGconn *c)
{
    shutdown(socket_of(c), SHUT_RDWR);
}

/* What was sent is carried out; its answer comes and is thrown away. */
static void cut_after(PGconn *c)
{
    int (*flush)(PGconn *) = real("PQflush");
    struct pollfd p = {socket_of(c), POLLIN, 0};
    char answer[65536];

    while (flush(c) == 1)
        usleep(1000);
    while (poll(&p, 1, 150) > 0 && recv(p.fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
        ;
    cut(c);
}

typedef int (*params_fn)(PGconn *, const char *, int, const unsigned *, const char *const *,
                         const int *, const int *, int);

int PQsendQuery(PGconn *c, const char *sql)
{
    int (*send)(PGconn *, const char *) = real("PQsendQuery");
    bool it = counted(sql);
    char text[160];
    int done;

    if (it && is_state())
        return send(c, raises(text));
    if (it && strcmp(fault.kind, "lost") == 0)
        cut(c);
    done = send(c, sql);
    if (it && strcmp(fault.kind, "after") == 0)
        cut_after(c);
    return done;
}

int PQsendQueryParams(PGconn *c, const char *sql, int n, const unsigned *types,
                      const char *const *values, const int *lengths, const int *formats, int format)
{
    params_fn send = (params_fn)real("PQsendQueryParams");
    bool it = counted(sql);
    char text[160];
    int done;

    if (it && is_state())
        return send(c, raises(text), 0, NULL, NULL, NULL, NULL, 0);
    if (it && strcmp(fault.kind, "lost") == 0)
        cut(c);
    done = send(c, sql, n, types, values, lengths, formats, format);
    if (it && strcmp(fault.kind, "after") == 0)
        cut_after(c);
    return done;
}

int PQsendQueryPrepared(PGconn *c, const char *name, int n, const char *const *values,
                        const int *lengths, const int *formats, int format)
{
    int (*send)(PGconn *, const char *, int, const char *const *, const int *, const int *, int) =
        real("PQsendQueryPrepared");
    bool it = counted(name);
    char text[160];
    int done;

    if (it && is_state())
        return ((params_fn)real("PQsendQueryParams"))(c, raises(text), 0, NULL, NULL, NULL, NULL,
                                                      0);
    if (it && strcmp(fault.kind, "lost") == 0)
        cut(c);
    done = send(c, name, n, values, lengths, formats, format);
    if (it && strcmp(fault.kind, "after") == 0)
        cut_after(c);
    return done;
}

/* The end of a COPY is where the server says what it thinks of the rows. */
int PQputCopyEnd(PGconn *c, const char *why)
{
    int (*send)(PGconn *, const char *) = real("PQputCopyEnd");
    bool it = counted(why ? why : "end of copy");
    int done;

    if (it && is_state() && !why)
        return send(c, "made to fail");
    if (it && strcmp(fault.kind, "lost") == 0)
        cut(c);
    done = send(c, why);
    if (it && strcmp(fault.kind, "after") == 0)
        cut_after(c);
    return done;
}
