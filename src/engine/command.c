/* SPDX-License-Identifier: Apache-2.0 */
/* ${cmd:[program, argument]}: a value that a program of the user's prints. No shell, no input, a
 * bounded time and size; only where the process allowed it. */
#include "engine/macro.h"

#include "core/buf.h"
#include "core/clock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    ARGUMENTS = 64,
    COMMAND_MS = 10000,
    OUTPUT_MAX = 64 << 10,
    MS = 1000000
};

#define HINT "look at what it prints; it is started without a shell"

extern char **environ;
static bool allowed;

void wh_commands_allow(bool yes)
{
    allowed = yes;
}

static const char *fail(struct wh_problems *problems, const char *where, const char *what,
                        const char *why)
{
    wh_problem_add(problems, "E1055", where, HINT, "${cmd:%.100s}: %s", what, why);
    return NULL;
}

/* "[a, 'b c', "d"]" to words; NULL ends them. False: it is not written so. */
static bool split(char *text, char *words[ARGUMENTS + 1])
{
    size_t n = strlen(text), count = 0;
    char *p = text + 1;

    if (n < 3 || text[0] != '[' || text[n - 1] != ']')
        return false;
    text[n - 1] = 0;
    for (;;) {
        char *end;

        p += strspn(p, " \t");
        if (count == ARGUMENTS)
            return false;
        if (*p == '"' || *p == '\'') {
            end = strchr(p + 1, *p);
            if (!end)
                return false;
            words[count++] = p + 1;
            *end++ = 0;
            end += strspn(end, " \t");
            if (*end && *end != ',')
                return false;
        } else {
            end = p + strcspn(p, ",");
            words[count++] = p;
            for (char *last = end; last > p && (last[-1] == ' ' || last[-1] == '\t');)
                *--last = 0;
        }
        if (!*end)
            break;
        *end = 0;
        p = end + 1;
    }
    words[count] = NULL;
    return *words[0];
}

/* A group of its own, so that what it starts ends with it. */
static int start(char *const *words, int out, pid_t *ret)
{
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t none, usual;
    int err;

    sigemptyset(&none);
    sigemptyset(&usual);
    sigaddset(&usual, SIGPIPE);
    posix_spawn_file_actions_init(&files);
    posix_spawnattr_init(&attr);
    posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&files, out, 1);
    posix_spawnattr_setpgroup(&attr, 0);
    posix_spawnattr_setsigmask(&attr, &none);
    posix_spawnattr_setsigdefault(&attr, &usual);
    posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                        POSIX_SPAWN_SETSIGDEF);
    err = posix_spawnp(ret, words[0], &files, &attr, words, environ);
    posix_spawn_file_actions_destroy(&files);
    posix_spawnattr_destroy(&attr);
    return err;
}

/* What it prints, until it closes its output. NULL or why not. */
static const char *collect(int in, int64_t deadline, struct wh_buf *out)
{
    char piece[4096];

    for (;;) {
        int64_t left = (deadline - wh_now_ns()) / MS;
        struct pollfd p = {.fd = in, .events = POLLIN};
        ssize_t n;

        if (left <= 0 || poll(&p, 1, (int)left) == 0)
            return "no end within 10 s";
        n = read(in, piece, sizeof piece);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return n < 0 ? "its output cannot be read" : NULL;
        if (wh_buf_add(out, piece, (size_t)n) != WH_OK)
            return "it prints more than 64 kB";
    }
}

/* Its exit code; -1: it was ended by a signal, or (at the deadline) by us. */
static int ended(pid_t pid, bool now, int64_t deadline)
{
    int status = 0;

    while (!now && waitpid(pid, &status, WNOHANG) == 0) {
        struct pollfd none = {.fd = -1};

        now = wh_now_ns() > deadline;
        poll(&none, 1, 5);
        if (now)
            break;
    }
    if (now) {
        kill(-pid, SIGKILL);
        while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
            ;
        return -1;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

const char *wh_command_output(struct wh_arena *arena, const char *text, const char *where,
                              struct wh_problems *problems)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(OUTPUT_MAX);
    char *copy = wh_arena_strdup(arena, text), *words[ARGUMENTS + 1], why[120];
    int64_t deadline = wh_now_ns() + (int64_t)COMMAND_MS * MS;
    int pipes[2], err, code;
    const char *failed;
    pid_t pid;

    if (!allowed)
        return fail(problems, where, text, "commands are not run here");
    if (!copy || !split(copy, words))
        return fail(problems, where, text, "write ${cmd:[program, argument]}");
    if (pipe2(pipes, O_CLOEXEC) != 0)
        return fail(problems, where, words[0], "no pipe");
    err = start(words, pipes[1], &pid);
    close(pipes[1]);
    if (err) {
        close(pipes[0]);
        return fail(problems, where, words[0],
                    err == ENOENT ? "there is no such program" : "it cannot be started");
    }
    failed = collect(pipes[0], deadline, &out);
    close(pipes[0]);
    code = ended(pid, failed, deadline);
    if (!failed && code != 0) {
        snprintf(why, sizeof why, code < 0 ? "it was ended" : "it ended with exit code %d", code);
        failed = why;
    }
    if (failed)
        return fail(problems, where, words[0], failed);
    if (out.n && out.p[out.n - 1] == '\n')
        out.p[--out.n] = 0;
    if (!wh_utf8_valid(out.p ? out.p : "", out.n) || (out.n && strlen(out.p) != out.n))
        return fail(problems, where, words[0], "it prints no text (UTF-8)");
    return wh_arena_strdup(arena, out.p ? out.p : "");
}
