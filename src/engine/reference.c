/* SPDX-License-Identifier: Apache-2.0 */
/* References to values that live elsewhere: ${env:X} ${file:/p} ${cred:x} ${secret:x}
 * ${cmd:[...]}. */
#include "engine/macro.h"

#include "core/buf.h"
#include "core/log.h"
#include "engine/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    VALUE_MAX = 64 << 10
};

struct lookup {
    struct wh_arena *arena;
    bool secret;
    const char *where;
    struct wh_problems *problems;
};

static const char *read_all(struct lookup *l, int fd, const char *path)
{
    char *text = wh_arena_alloc(l->arena, VALUE_MAX + 1);
    size_t n = 0;

    while (text && n < VALUE_MAX) {
        ssize_t got = read(fd, text + n, VALUE_MAX - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) { /* half of a secret is another secret */
            struct wh_error err;

            wh_ignore(wh_fail_errno(&err, errno, "E1055", "'%s' cannot be read", path));
            wh_problem_add(l->problems, "E1055", l->where, NULL, "%s", err.message);
            return NULL;
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (!text || n == VALUE_MAX) {
        wh_problem_add(l->problems, "E1055", l->where, NULL, "'%s' is larger than 64 kB", path);
        return NULL;
    }
    if (n && text[n - 1] == '\n')
        n -= 1 + (n > 1 && text[n - 2] == '\r');
    text[n] = 0;
    if (strlen(text) != n || !wh_utf8_valid(text, n)) {
        wh_problem_add(l->problems, "E1055", l->where, NULL, "'%s' holds no text (UTF-8)", path);
        return NULL;
    }
    return text;
}

/* A secret that others may read is none. A file of somebody else (a container's mounted secret)
 * cannot be made stricter by us; it must only not be writable by others. */
static bool private_file(struct lookup *l, int fd, const char *path)
{
    struct stat info;

    if (fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        wh_problem_add(l->problems, "E1055", l->where, NULL, "'%s' is no ordinary file", path);
        return false;
    }
    mode_t forbidden = info.st_uid == geteuid() ? 0077 : 0022;

    if (l->secret && (info.st_mode & forbidden)) {
        char hint[320];

        snprintf(hint, sizeof hint, "chmod 600 '%.280s'", path);
        wh_problem_add(l->problems, "E1055", l->where, hint,
                       "'%s' holds a secret but others may %s it (mode %04o)", path,
                       info.st_mode & 0022 ? "change" : "read", info.st_mode & 07777);
        return false;
    }
    return true;
}

static const char *from_file(struct lookup *l, const char *path)
{
    if (path[0] != '/') {
        wh_problem_add(l->problems, "E1055", l->where, NULL,
                       "${file:%s}: write the whole path, from / on", path);
        return NULL;
    }
    WH_CLEANUP(wh_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);

    if (fd < 0) {
        struct wh_error err;

        wh_ignore(wh_fail_errno(&err, errno, "E1055", "${file:%s} cannot be read", path));
        wh_problem_add(l->problems, "E1055", l->where, NULL, "%s", err.message);
        return NULL;
    }
    return private_file(l, fd, path) ? read_all(l, fd, path) : NULL;
}

static const char *from_environment(struct lookup *l, const char *name)
{
    const char *value = getenv(name);

    if (!value)
        wh_problem_add(l->problems, "E1055", l->where,
                       "set it where the run is started; a service has another environment than "
                       "your shell",
                       "the environment variable %s is not set", name);
    else if (!wh_utf8_valid(value, strlen(value))) {
        wh_problem_add(l->problems, "E1055", l->where, NULL,
                       "the environment variable %s is not valid UTF-8", name);
        value = NULL;
    }
    return value ? wh_arena_strdup(l->arena, value) : NULL;
}

static const char *from_credential(struct lookup *l, const char *name)
{
    const char *folder = getenv("CREDENTIALS_DIRECTORY");
    char path[1024];

    if (!folder || folder[0] != '/') {
        wh_problem_add(
            l->problems, "E1055", l->where,
            "start it by a systemd unit with LoadCredential=, or use ${env:} or ${file:}",
            "${cred:%s}: no credentials here ($CREDENTIALS_DIRECTORY is not set)", name);
        return NULL;
    }
    if (!*name || strchr(name, '/') || name[0] == '.' ||
        snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path) {
        wh_problem_add(l->problems, "E1055", l->where, NULL, "'%s' is no name of a credential",
                       name);
        return NULL;
    }
    return from_file(l, path);
}

static const char *from_own_store(struct lookup *l, const char *name)
{
    const char *path = wh_secret_path(l->arena, name);

    if (!path) {
        wh_problem_add(l->problems, "E1055", l->where, NULL, "'%s' is no name of a secret", name);
        return NULL;
    }
    if (access(path, F_OK) != 0) {
        char hint[200];

        snprintf(hint, sizeof hint, "wherry secret set %.150s", name);
        wh_problem_add(l->problems, "E1055", l->where, hint, "there is no secret '%s'", name);
        return NULL;
    }
    return from_file(l, path);
}

/* "env:X" -> its value. *ret_known tells whether it is a reference at all. */
static const char *resolve_one(struct lookup *l, const char *inner, bool *ret_known)
{
    *ret_known = true;
    if (strncmp(inner, "env:", 4) == 0)
        return from_environment(l, inner + 4);
    if (strncmp(inner, "file:", 5) == 0)
        return from_file(l, inner + 5);
    if (strncmp(inner, "cred:", 5) == 0)
        return from_credential(l, inner + 5);
    if (strncmp(inner, "cmd:", 4) == 0)
        return wh_command_output(l->arena, inner + 4, l->where, l->problems);
    if (strncmp(inner, "secret:", 7) == 0)
        return from_own_store(l, inner + 7);
    *ret_known = false;
    return NULL;
}

bool wh_reference_in(const char *text)
{
    static const char *const heads[] = {"${env:", "${file:", "${cred:", "${cmd:", "${secret:"};

    for (const char *p = strstr(text, "${"); p; p = strstr(p + 2, "${"))
        for (size_t i = 0; i < 5; i++)
            if (strncmp(p, heads[i], strlen(heads[i])) == 0 && (p == text || p[-1] != '$'))
                return true;
    return false;
}

static const char *add_value(struct lookup *l, const char *open, const char *close,
                             struct wh_buf *out, bool *ret_known)
{
    char *inner = wh_arena_strndup(l->arena, open + 2, (size_t)(close - open - 2));
    const char *value = inner ? resolve_one(l, inner, ret_known) : NULL;

    if (value && l->secret && strlen(value) >= 4)
        wh_log_secret(value);
    if (value && wh_buf_adds(out, value) != WH_OK)
        return NULL;
    return value;
}

const char *wh_reference_resolve(struct wh_arena *arena, const char *text, bool secret,
                                 const char *where, struct wh_problems *problems)
{
    struct lookup l = {.arena = arena, .secret = secret, .where = where, .problems = problems};
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(VALUE_MAX * 2);
    const char *p = text;

    if (!strstr(text, "${"))
        return text;
    for (const char *open = strstr(p, "${"); open; open = strstr(p, "${")) {
        bool escaped = open > p && open[-1] == '$', known = false;
        const char *close = escaped ? open + 1 : strchr(open, '}'); /* $${ is ${, nothing more */

        if (!close)
            break;
        if (wh_buf_add(&out, p, (size_t)(open - p) - escaped) != WH_OK)
            return NULL;
        if (!escaped && !add_value(&l, open, close, &out, &known) && known)
            return NULL;
        if (!known && wh_buf_add(&out, open, (size_t)(close + 1 - open)) != WH_OK)
            return NULL;
        p = close + 1;
    }
    if (wh_buf_adds(&out, p) != WH_OK)
        return NULL;
    return wh_arena_strdup(arena, out.p ? out.p : "");
}
