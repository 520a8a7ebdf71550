/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks, their clock, and everything that the engine calls to wait. One thread: a task runs until
 * it waits or until chance takes its turn away. */
#include "sim.h"

#include "engine/killpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

enum {
    TASKS_MOST = 512,
    STACK = 512 << 10,
    EVENTS_MOST = 1024,
    EVENT_BASE = 1 << 20, /* descriptors of ours begin here */
};

enum waiting {
    RUNS,
    FOR_MUTEX,
    FOR_COND,
    FOR_POLL,
    FOR_TASK,
    FOR_READY, /* or only time */
    ENDED,
};

static const char *const state_names[] = {"runs",
                                          "waits for a lock",
                                          "waits for a condition",
                                          "polls",
                                          "joins",
                                          "waits for an answer",
                                          "has ended"};

struct task {
    ucontext_t at;
    int id;
    struct proc *proc;
    enum waiting state;
    void *on; /* mutex, condition, task, or the polled descriptors */
    nfds_t n_polled;
    int64_t deadline;
    bool (*ready)(void *);
    void *ready_arg;
    bool timed_out;
    void *(*fn)(void *);
    void (*body)(void *);
    void *arg;
};

struct proc procs[PROCS_MOST];
int n_procs;
int64_t sim_now = 1000 * S, sim_wall_off = 1767225600 * S, sim_switches;
bool sim_tracing;

static struct task *tasks[TASKS_MOST];
static int n_tasks;
static struct task *now;
static ucontext_t outside;
static struct proc *loaded; /* whose file-scope variables are in place */
static uint64_t events[EVENTS_MOST];
static int n_events;
static uint64_t random_state;

/* ---- chance ------------------------------------------------------------------------------------
 */

uint64_t sim_rand(void)
{
    uint64_t z = (random_state += 0x9E3779B97F4A7C15);

    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EB;
    return z ^ (z >> 31);
}

int64_t sim_below(int64_t n)
{
    return n <= 1 ? 0 : (int64_t)(sim_rand() % (uint64_t)n);
}

bool sim_chance(int in_1000)
{
    return sim_below(1000) < in_1000;
}

void sim_seed(uint64_t seed)
{
    random_state = seed * 0xD1342543DE82EF95 + 1;
}

void sim_trace(const char *fmt, ...)
{
    va_list ap;

    if (!sim_tracing)
        return;
    printf("%12.6f p%d t%02d ", (double)(sim_now - 1000 * S) * 1e-9, now ? now->proc->id : 0,
           now ? now->id : 0);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
}

void sim_trace_tasks(void)
{
    static const char *const procs_are[] = {"", "runs", "is stopped", "is dead", "has exited"};

    for (int i = 0; sim_tracing && i < n_procs; i++)
        sim_trace("process %d %s", procs[i].id, procs_are[procs[i].state]);
    for (int i = 0; sim_tracing && i < n_tasks; i++)
        if (tasks[i]->state != ENDED && tasks[i]->proc->state <= PROC_STOPPED)
            sim_trace("  p%d t%02d %s", tasks[i]->proc->id, i, state_names[tasks[i]->state]);
}

/* ---- tasks -------------------------------------------------------------------------------------
 */

struct proc *proc_now(void)
{
    return now ? now->proc : NULL;
}

static void task_main(unsigned hi, unsigned lo)
{
    struct task *t = (struct task *)((uintptr_t)hi << 32 | lo);

    if (t->fn)
        t->fn(t->arg);
    else
        t->body(t->arg);
    t->state = ENDED;
    swapcontext(&t->at, &outside);
}

static struct task *task_new(struct proc *p)
{
    struct task *t = calloc(1, sizeof *t);
    void *stack = mmap(NULL, STACK, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    if (!t || stack == MAP_FAILED || n_tasks == TASKS_MOST)
        sim_fail("no room for another task");
    getcontext(&t->at);
    t->at.uc_stack.ss_sp = stack;
    t->at.uc_stack.ss_size = STACK;
    t->at.uc_link = NULL;
    t->proc = p;
    t->id = n_tasks;
    tasks[n_tasks++] = t;
    makecontext(&t->at, (void (*)(void))(uintptr_t)task_main, 2, (unsigned)((uintptr_t)t >> 32),
                (unsigned)(uintptr_t)t);
    return t;
}

struct proc *proc_start(void (*body)(void *), void *arg)
{
    struct proc *p;
    struct task *t;

    if (n_procs == PROCS_MOST)
        sim_fail("no end: %d processes were not enough", PROCS_MOST);
    p = &procs[n_procs++];
    *p = (struct proc){.id = n_procs, .state = PROC_RUNS, .keeper = {.stop_fd = -1}};
    t = task_new(p);
    t->body = body;
    t->arg = arg;
    p->main = t;
    p->self = arg;
    return p;
}

static void leave(void)
{
    swapcontext(&now->at, &outside);
}

/* Its turn ends in state `w`; it comes back as RUNS. */
static void park(enum waiting w)
{
    now->state = w;
    leave();
    now->state = RUNS;
}

static void meet_end(struct proc *p)
{
    p->end_name = NULL;
    p->end_nth = 0;
    p->ended_at = sim_now;
    if (p->end_stops) {
        p->state = PROC_STOPPED;
        world.stops++;
        sim_trace("STOPPED");
        leave();
        sim_trace("CONTINUED");
        return;
    }
    p->state = PROC_DEAD;
    world.kills++;
    sim_trace("KILLED");
    leave();
    abort(); /* nobody comes back from there */
}

void sim_point(void)
{
    if (!now)
        return;
    sim_now += 1000 + (int64_t)(sim_rand() & 0x3fff);
    now->proc->points++;
    if (!now->proc->end_name && now->proc->end_nth && now->proc->points >= now->proc->end_nth)
        meet_end(now->proc);
    if (sim_rand() & 3)
        return;
    leave();
}

bool sim_wait(bool (*ready)(void *), void *arg, int64_t deadline)
{
    if (!now)
        return false;
    now->ready = ready;
    now->ready_arg = arg;
    now->deadline = deadline;
    now->timed_out = false;
    park(FOR_READY);
    return !now->timed_out;
}

void sim_sleep(int64_t ns)
{
    wh_ignore(sim_wait(NULL, NULL, sim_now + ns));
}

static struct task **owner_of(pthread_mutex_t *m)
{
    return (struct task **)(void *)m;
}

static bool polled(struct pollfd *p, nfds_t n, bool mark)
{
    bool any = false;

    for (nfds_t i = 0; i < n; i++) {
        bool is = p[i].fd >= EVENT_BASE && events[p[i].fd - EVENT_BASE] && (p[i].events & POLLIN);

        if (mark)
            p[i].revents = is ? POLLIN : 0;
        any = any || is;
    }
    return any;
}

static bool can_run(struct task *t)
{
    bool late = t->deadline <= sim_now;

    switch (t->state) {
    case RUNS:
        return true;
    case FOR_MUTEX:
        return !*owner_of(t->on);
    case FOR_COND:
        if (!late)
            return false;
        t->timed_out = true;
        return true;
    case FOR_POLL:
        return late || polled(t->on, t->n_polled, false);
    case FOR_TASK:
        return ((struct task *)t->on)->state == ENDED;
    case FOR_READY:
        if (t->ready && t->ready(t->ready_arg))
            return true;
        t->timed_out = late;
        return late;
    default:
        return false;
    }
}

static bool timed(const struct task *t)
{
    return t->state == FOR_COND || t->state == FOR_POLL || t->state == FOR_READY;
}

bool sim_turn(int64_t next)
{
    struct task *can[TASKS_MOST];
    int n = 0;
    int64_t first = next;

    for (int i = 0; i < n_tasks; i++) {
        struct task *t = tasks[i];

        if (t->proc->state != PROC_RUNS || t->state == ENDED)
            continue;
        if (can_run(t))
            can[n++] = t;
        else if (timed(t) && t->deadline < first)
            first = t->deadline;
    }
    if (n == 0) {
        if (first == INT64_MAX)
            return false;
        if (first > sim_now)
            sim_now = first;
        return true;
    }
    now = can[sim_below(n)];
    if (loaded != now->proc) {
        if (loaded)
            keeper_save(&loaded->keeper);
        keeper_load(&now->proc->keeper);
        loaded = now->proc;
    }
    sim_switches++;
    swapcontext(&outside, &now->at);
    now = NULL;
    return true;
}

/* ---- what the engine waits with ----------------------------------------------------------------
 */

#define WRAPPED(type, name, ...)                                                                   \
    type __wrap_##name(__VA_ARGS__);                                                               \
    type __wrap_##name(__VA_ARGS__)

WRAPPED(int, pthread_create, pthread_t *ret, const pthread_attr_t *attr, void *(*fn)(void *),
        void *arg)
{
    struct task *t = task_new(now->proc);

    t->fn = fn;
    t->arg = arg;
    *ret = (pthread_t)(uintptr_t)t;
    sim_point();
    return 0;
}

WRAPPED(int, pthread_join, pthread_t id, void **ret)
{
    now->on = (void *)(uintptr_t)id;
    park(FOR_TASK);
    return 0;
}

WRAPPED(int, pthread_mutex_init, pthread_mutex_t *m, const pthread_mutexattr_t *attr)
{
    memset(m, 0, sizeof *m);
    return 0;
}

WRAPPED(int, pthread_mutex_destroy, pthread_mutex_t *m)
{
    return 0;
}

WRAPPED(int, pthread_mutex_lock, pthread_mutex_t *m)
{
    if (!now)
        return 0;
    sim_point();
    while (*owner_of(m)) {
        if (*owner_of(m) == now)
            sim_fail("a task waits for a lock that it holds");
        now->on = m;
        park(FOR_MUTEX);
    }
    *owner_of(m) = now;
    return 0;
}

WRAPPED(int, pthread_mutex_unlock, pthread_mutex_t *m)
{
    if (!now)
        return 0;
    if (*owner_of(m) != now)
        sim_fail("a lock is let go of by another task");
    *owner_of(m) = NULL;
    return 0;
}

WRAPPED(int, pthread_cond_init, pthread_cond_t *c, const pthread_condattr_t *attr)
{
    return 0;
}

WRAPPED(int, pthread_cond_destroy, pthread_cond_t *c)
{
    return 0;
}

static int wait_cond(pthread_cond_t *c, pthread_mutex_t *m, int64_t deadline)
{
    bool late;

    *owner_of(m) = NULL;
    now->on = c;
    now->deadline = deadline;
    now->timed_out = false;
    if (sim_chance(995)) /* else it wakes for no reason, as it may */
        park(FOR_COND);
    late = now->timed_out;
    while (*owner_of(m)) {
        now->on = m;
        park(FOR_MUTEX);
    }
    *owner_of(m) = now;
    return late ? ETIMEDOUT : 0;
}

WRAPPED(int, pthread_cond_wait, pthread_cond_t *c, pthread_mutex_t *m)
{
    return wait_cond(c, m, INT64_MAX);
}

/* All timed waits of the engine are on the monotonic clock. */
WRAPPED(int, pthread_cond_timedwait, pthread_cond_t *c, pthread_mutex_t *m,
        const struct timespec *ts)
{
    return wait_cond(c, m, (int64_t)ts->tv_sec * S + ts->tv_nsec);
}

static void wake(pthread_cond_t *c, bool all)
{
    struct task *who[TASKS_MOST];
    int n = 0;

    for (int i = 0; i < n_tasks; i++)
        if (tasks[i]->state == FOR_COND && tasks[i]->on == c)
            who[n++] = tasks[i];
    if (n && !all) {
        who[0] = who[sim_below(n)];
        n = 1;
    }
    for (int i = 0; i < n; i++)
        who[i]->state = RUNS; /* it takes its mutex itself */
}

WRAPPED(int, pthread_cond_broadcast, pthread_cond_t *c)
{
    wake(c, true);
    return 0;
}

WRAPPED(int, pthread_cond_signal, pthread_cond_t *c)
{
    wake(c, false);
    return 0;
}

/* ---- descriptors -------------------------------------------------------------------------------
 */

int __real_poll(struct pollfd *, nfds_t, int);
ssize_t __real_read(int, void *, size_t);
ssize_t __real_write(int, const void *, size_t);
int __real_close(int);

WRAPPED(int, poll, struct pollfd *p, nfds_t n, int ms)
{
    int got = 0;

    if (!now)
        return __real_poll(p, n, ms);
    sim_point();
    now->on = p;
    now->n_polled = n;
    now->deadline = ms < 0 ? INT64_MAX : sim_now + ms * MS;
    if (!polled(p, n, false))
        park(FOR_POLL);
    polled(p, n, true);
    for (nfds_t i = 0; i < n; i++)
        got += p[i].revents != 0;
    return got;
}

WRAPPED(int, eventfd, unsigned from, int flags)
{
    if (n_events == EVENTS_MOST)
        sim_fail("no room for another eventfd");
    events[n_events] = from;
    return EVENT_BASE + n_events++;
}

WRAPPED(ssize_t, read, int fd, void *p, size_t n)
{
    if (fd < EVENT_BASE)
        return __real_read(fd, p, n);
    if (!events[fd - EVENT_BASE]) {
        errno = EAGAIN;
        return -1;
    }
    memcpy(p, &events[fd - EVENT_BASE], 8);
    events[fd - EVENT_BASE] = 0;
    return 8;
}

WRAPPED(ssize_t, write, int fd, const void *p, size_t n)
{
    uint64_t v;

    if (fd < EVENT_BASE)
        return __real_write(fd, p, n);
    memcpy(&v, p, 8);
    events[fd - EVENT_BASE] += v;
    return 8;
}

WRAPPED(int, close, int fd)
{
    return fd < EVENT_BASE ? __real_close(fd) : 0;
}

/* The store opens its file and closes it again, to make it with the right mode. Between two
 * processes of ours that would drop the locks of the other one, since POSIX locks are a process's:
 * not this file. */
int __real_open64(const char *, int, ...);

int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
    va_list ap;
    int mode;

    va_start(ap, flags);
    mode = flags & O_CREAT ? va_arg(ap, int) : 0;
    va_end(ap);
    if (now && !(flags & O_NOFOLLOW) && strcmp(path, world.state) == 0) /* not SQLite's own */
        return __wrap_eventfd(0, 0);
    return __real_open64(path, flags, mode);
}

WRAPPED(int, fsync, int fd)
{
    return 0;
}

/* ---- clocks, chance, memory, kill points -------------------------------------------------------
 */

void __real__exit(int) __attribute__((noreturn));

void sim_exit(int code)
{
    __real__exit(code);
}

/* An engine that leaves a thread behind: its process is gone, the world goes on. */
__attribute__((noreturn)) WRAPPED(void, _exit, int code)
{
    if (!now)
        __real__exit(code);
    if (code != 5 && code != 10 && code < 128)
        sim_fail("left with exit %d", code);
    sim_trace("process leaves: exit %d", code);
    now->proc->state = PROC_DEAD;
    now->proc->ended_at = sim_now;
    leave();
    abort();
}

WRAPPED(int64_t, wh_now_ns, void)
{
    return sim_now;
}

WRAPPED(int64_t, wh_wall_us, void)
{
    return (sim_now + sim_wall_off) / 1000;
}

WRAPPED(int64_t, wh_cpu_ns, void)
{
    return sim_now;
}

WRAPPED(void, wh_sleep_ms, int64_t ms)
{
    sim_sleep(ms * MS);
}

WRAPPED(uint64_t, wh_random64, void)
{
    return sim_rand();
}

WRAPPED(int64_t, wh_mem_rss, void)
{
    return 20 << 20;
}

/* Its locks are a process's, and here there is one for all. */
void __wrap_wh_log(int level, const char *part, const char *fmt, ...) WH_PRINTF(3, 4);
void __wrap_wh_log(int level, const char *part, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sim_trace("log: %s", text);
}

struct wh_dirty;
void __real_wh_dirty_close(struct wh_dirty *, bool);

WRAPPED(void, wh_dirty_close, struct wh_dirty *d, bool keep)
{
    __real_wh_dirty_close(d, keep && world.mutant != MUTANT_NO_ARCHIVE);
}

WRAPPED(void, wh_kill_point, const char *name)
{
    struct proc *p = proc_now();

    if (!p)
        return;
    sim_trace(". %s", name);
    if (p->end_name && strcmp(p->end_name, name) == 0 && --p->end_nth <= 0)
        meet_end(p);
    sim_point();
}

WRAPPED(void, wh_kill_step, int phase, int at)
{
    static const char *const phases[] = {"prepare", "settle", "publish", "finish", "drop"};
    static const char *const places[] = {"before", "intended", "applied", "recorded"};
    char name[64];

    snprintf(name, sizeof name, "%s-step-%s", phases[phase], places[at]);
    __wrap_wh_kill_point(name);
}
