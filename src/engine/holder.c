/* SPDX-License-Identifier: Apache-2.0 */
/* The holder: a process of its own that keeps a snapshot while the engine lives, dies and lives
 * again. It is `wherry hold CONNECTOR FILE TTL_MS`: own session, no inherited descriptors, its
 * configuration on stdin, its readiness on stdout. It lives until it is released or its hold file,
 * which `tick` touches, is older than the TTL.
 */
#include "engine/service.h"
#include "engine/registry.h"

#include "core/clock.h"
#include "core/log.h"
#include "data/number.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    CONFIG_MOST = 4 << 20,
    READY_MOST = 64 << 10,
    READY_WAIT_MS = 60000,
    RENAMED_MS = 1500,
};

static void path_of(const char *state_dir, const char *run, int endpoint, char *out, size_t n)
{
    const char *dash = strrchr(run, '-');

    snprintf(out, n, "%s/holders/%s.%d", state_dir, dash ? dash + 1 : run, endpoint);
}

static void hold_path(struct wh_ctx_self *base, char *out, size_t n)
{
    path_of(base->services->state_dir, base->run, base->endpoint->index, out, n);
}

static int write_all(int fd, const void *p, size_t n)
{
    const char *s = p;

    while (n) {
        ssize_t k = write(fd, s, n);

        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        s += k;
        n -= (size_t)k;
    }
    return 0;
}

/* Reads to the end of the descriptor, bounded in bytes and time. */
static int read_all(int fd, char *buf, size_t cap, size_t *ret_n, int64_t deadline_ns)
{
    size_t n = 0;

    for (;;) {
        struct pollfd p = {.fd = fd, .events = POLLIN};
        int64_t left = (deadline_ns - wh_now_ns()) / 1000000;
        int got = left > 0 ? poll(&p, 1, (int)left) : 0;
        ssize_t k;

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            return -1;
        k = read(fd, buf + n, cap - n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return -1;
        if (k == 0 || n + (size_t)k == cap)
            break;
        n += (size_t)k;
    }
    *ret_n = n;
    return 0;
}

/* In the grandchild: only async-signal-safe calls until exec. */
static void become_holder(char *const argv[], int in, int out, int err)
{
    if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
        _exit(127);
    close_range(3, ~0U, 0);
    if (chdir("/"))
        _exit(127);
    execv("/proc/self/exe", argv); /* this very program, wherever it lies */
    _exit(127);
}

/* Twice forked, so that the holder is nobody's child and leaves no zombie here. */
static int spawn(char *const argv[], int in, int out, int err)
{
    int status;
    pid_t pid = fork();

    if (pid < 0)
        return -1;
    if (pid == 0) {
        if (setsid() < 0)
            _exit(127);
        pid = fork();
        if (pid == 0)
            become_holder(argv, in, out, err);
        _exit(pid < 0 ? 127 : 0);
    }
    while (waitpid(pid, &status, 0) < 0)
        if (errno != EINTR)
            return -1;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? 0 : -1;
}

/* A hold file holds the number of the process at its beginning and, once it is released, a letter
 * further on: neither writer can undo the other's word. */
enum {
    RELEASED_AT = 31,
    RELEASED_MODE = 0700, /* the same, told by the file's mode (S_IXUSR) */
    ENDPOINTS_MOST = 256,
};

/* The process named in the hold file, if it is really a holder of ours; 0 otherwise. */
static pid_t holder_pid(const char *path)
{
    char text[32], proc[64], line[1024];
    int64_t pid = 0;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text);

    if (fd >= 0)
        close(fd);
    const char *end = n > 0 ? memchr(text, '\n', (size_t)n) : NULL;

    n = end ? end - text : 0;
    if (n <= 0 || !wh_read_i64(text, (size_t)n, &pid) || pid <= 1)
        return 0;
    snprintf(proc, sizeof proc, "/proc/%lld/cmdline", (long long)pid);
    fd = open(proc, O_RDONLY | O_CLOEXEC);
    n = fd < 0 ? 0 : read(fd, line, sizeof line);
    if (fd >= 0)
        close(fd);
    return n > 0 && memmem(line, (size_t)n, path, strlen(path)) ? (pid_t)pid : 0;
}

int64_t wh_holder_find(const char *state_dir, const char *run, int endpoint)
{
    char path[4096];

    path_of(state_dir, run, endpoint, path, sizeof path);
    return holder_pid(path);
}

/* A file that was made again, because the state was lost, is named by the holder within a second.
 */
static pid_t named_soon(const char *path, int64_t ms)
{
    int64_t end = wh_now_ns() + ms * 1000000;
    pid_t pid;

    while (!(pid = holder_pid(path)) && wh_now_ns() < end)
        poll(NULL, 0, 20);
    return pid;
}

/* The word that needs no descriptor comes first: a process that can open nothing any more (EMFILE)
 * still lets its holder go, which sees the mode within a second. */
static void release(const char *path, int64_t named_ms)
{
    pid_t pid;
    int fd;

    if (chmod(path, RELEASED_MODE))
        return; /* there is none */
    pid = named_soon(path, named_ms);
    fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd >= 0)
        wh_ignore(pwrite(fd, "R", 1, RELEASED_AT) == 1 ? WH_OK : WH_E_IO);
    wh_closep(&fd);
    unlink(path);
    if (pid > 1)
        kill(pid, SIGTERM);
}

void wh_ctx_holder_release(const struct wh_ctx *ctx)
{
    struct wh_ctx_self *base = ((struct wh_ctx_self *)ctx->self)->base;
    char path[sizeof base->hold_file];

    hold_path(base, path, sizeof path);
    release(path, base->endpoint->snapshot_joined ? RENAMED_MS : 0);
    base->hold_file[0] = 0;
}

void wh_holders_end(const char *state_dir, const char *run)
{
    char path[4096];

    for (int i = 0; i < ENDPOINTS_MOST; i++) {
        path_of(state_dir, run, i, path, sizeof path);
        release(path, 0);
    }
}

static int make_hold_file(struct wh_ctx_self *base, struct wh_error *reterr)
{
    char folder[sizeof base->hold_file];
    int fd;

    snprintf(folder, sizeof folder, "%s/holders", base->services->state_dir);
    if (mkdir(folder, 0700) && errno != EEXIST)
        return wh_fail_errno(reterr, errno, "E7014", "cannot make %s", folder);
    hold_path(base, base->hold_file, sizeof base->hold_file);
    fd = open(base->hold_file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0)
        return wh_fail_errno(reterr, errno, "E7014", "cannot make %s", base->hold_file);
    close(fd);
    return WH_OK;
}

void wh_ctx_holder_touch(const struct wh_ctx *ctx)
{
    struct wh_ctx_self *base = ((struct wh_ctx_self *)ctx->self)->base;
    char path[sizeof base->hold_file];

    hold_path(base, path, sizeof path);
    if (utimensat(AT_FDCWD, path, NULL, 0) != 0 && errno == ENOENT &&
        base->endpoint->snapshot_joined && base->endpoint->snapshot.kind == WH_SNAP_HELD)
        wh_ignore(make_hold_file(base, NULL));
}

/* What the holder said at its end is the reason: "E5010 8 1 words". */
static int did_not_start(char *words, struct wh_error *reterr)
{
    char *code = words, *status = strchr(words, ' '), *again = NULL, *text = NULL;
    int64_t st = 0;

    if (status)
        again = strchr(status + 1, ' ');
    if (again)
        text = strchr(again + 1, ' ');
    if (!text || status - code != 5 || *code != 'E' ||
        !wh_read_i64(status + 1, (size_t)(again - status - 1), &st) || st == WH_OK)
        return wh_fail(reterr, WH_E_REMOTE, "E4008",
                       "the process that holds the snapshot did not start: %s",
                       *words ? words : "no answer");
    *status = 0;
    wh_ignore(wh_fail(reterr, (int)st, code, "the snapshot could not be taken: %s", text + 1));
    if (reterr)
        reterr->retriable = again[1] == '1';
    return (int)st;
}

/* Hands the configuration over and takes the ready bytes; what it said on stderr is the reason. */
static int talk(struct wh_ctx_self *base, struct wh_bytes config, int in, int out, int err,
                struct wh_bytes *ret_ready, struct wh_error *reterr)
{
    char *ready = wh_arena_alloc(base->arena, READY_MOST);
    char words[800] = "";
    size_t n = 0, n_words = 0;
    int64_t deadline = wh_now_ns() + (int64_t)READY_WAIT_MS * 1000000;
    bool ok;

    if (!ready)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "holder");
    ok = write_all(in, config.p, config.n) == 0;
    close(in);
    ok = ok && read_all(out, ready, READY_MOST, &n, deadline) == 0 && n > 0;
    if (!ok) {
        if (read_all(err, words, sizeof words - 1, &n_words, wh_now_ns() + 1000000000))
            n_words = 0;
        words[n_words] = 0;
        return did_not_start(words, reterr);
    }
    *ret_ready = (struct wh_bytes){ready, n};
    return WH_OK;
}

int wh_ctx_holder(const struct wh_ctx *ctx, struct wh_bytes config, int64_t ttl_ms,
                  struct wh_bytes *ret_ready, struct wh_error *reterr)
{
    struct wh_ctx_self *base = ((struct wh_ctx_self *)ctx->self)->base;
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    char ttl[24], name[64];
    int st;

    wh_ctx_holder_release(ctx);
    WH_TRY(make_hold_file(base, reterr));
    snprintf(ttl, sizeof ttl, "%lld", (long long)ttl_ms);
    snprintf(name, sizeof name, "%s", base->endpoint->connector->name);
    char *argv[] = {base->services->program, (char[]){"hold"}, name, base->hold_file, ttl, NULL};
    if (pipe2(in, O_CLOEXEC) || pipe2(out, O_CLOEXEC) || pipe2(err, O_CLOEXEC) ||
        spawn(argv, in[0], out[1], err[1])) {
        st = wh_fail_errno(reterr, errno, "E8005",
                           "cannot start the process that holds the "
                           "snapshot");
    } else {
        wh_closep(&in[0]);
        wh_closep(&out[1]);
        wh_closep(&err[1]);
        in[0] = out[1] = err[1] = -1;
        st = talk(base, config, in[1], out[0], err[0], ret_ready, reterr);
        in[1] = -1;
    }
    wh_closep(&in[0]);
    wh_closep(&in[1]);
    wh_closep(&out[0]);
    wh_closep(&out[1]);
    wh_closep(&err[0]);
    wh_closep(&err[1]);
    if (st != WH_OK)
        wh_ctx_holder_release(ctx);
    return st;
}

/* ---- the other side ----------------------------------------------------------------------------
 */

struct hold_life {
    const char *path;
    int64_t ttl_ms;
    int fd; /* of the hold file; it may have been deleted with the whole state folder */
};

/* Opens the file and writes our number into it. */
static bool write_pid(struct hold_life *life)
{
    char text[24];
    int n = snprintf(text, sizeof text, "%lld\n", (long long)getpid());
    int fd = open(life->path, O_RDWR | O_CLOEXEC);

    if (fd < 0 || pwrite(fd, text, (size_t)n, 0) != n) {
        wh_closep(&fd);
        return false;
    }
    wh_closep(&life->fd);
    life->fd = fd;
    return true;
}

/* Only the release, the time limit and the server end it: a state folder that is lost does not, and
 * one that is made again finds us by the same path. */
static bool hold_alive(void *arg)
{
    struct hold_life *life = arg;
    struct stat now, ours;
    char released = 0;

    if (fstat(life->fd, &ours) || ours.st_mode & S_IXUSR)
        return false;
    if (stat(life->path, &now) == 0 && now.st_ino != ours.st_ino && write_pid(life))
        ours = now;
    if (pread(life->fd, &released, 1, RELEASED_AT) == 1 && released == 'R')
        return false;
    return wh_wall_us() / 1000 -
               ((int64_t)ours.st_mtim.tv_sec * 1000 + ours.st_mtim.tv_nsec / 1000000) <
           life->ttl_ms;
}

int wh_hold_main(int argc, char **argv)
{
    struct wh_error err = {0};
    const struct wh_connector *c = NULL;
    struct hold_life life = {.fd = -1};
    char *config = wh_alloc(CONFIG_MOST);
    size_t n = 0;
    int ready_fd, st = WH_E_USAGE;

    signal(SIGPIPE, SIG_IGN);
    if (argc == 5 && config && wh_read_i64(argv[4], strlen(argv[4]), &life.ttl_ms)) {
        life.path = argv[3];
        st = wh_registry_find((struct wh_str){argv[2], strlen(argv[2])}, &c, &err);
    }
    if (st == WH_OK && (!c->hold || !write_pid(&life)))
        st = wh_fail(&err, WH_E_UNSUPPORTED, "E9003", "%s cannot hold", argv[2]);
    if (st == WH_OK &&
        read_all(0, config, CONFIG_MOST, &n, wh_now_ns() + (int64_t)READY_WAIT_MS * 1000000))
        st = wh_fail(&err, WH_E_IO, "E9001", "no configuration");
    if (st == WH_OK) {
        ready_fd = dup(1);
        close(0);
        close(1);
        st = c->hold((struct wh_bytes){config, n}, ready_fd, hold_alive, &life, &err);
    }
    if (config)
        wh_wipe(config, n);
    wh_free(config);
    if (st != WH_OK) /* read by did_not_start */
        dprintf(2, "%s %d %d %s", err.code[0] ? err.code : "E4008", err.status, err.retriable,
                err.message);
    return st == WH_OK ? 0 : 1;
}
