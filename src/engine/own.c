/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/own.h"

#include "core/options.h"
#include "engine/registry.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 1 << 20,
    NAMES_MAX = 4096
};

#define SYSTEM_CONNECTIONS "/etc/wherry/connections"

const char *wh_own_folder(struct wh_arena *arena)
{
    const char *x = getenv("XDG_CONFIG_HOME"), *h = getenv("HOME");

    if (x && *x == '/')
        return wh_arena_printf(arena, "%s/wherry", x);
    return h && *h == '/' ? wh_arena_printf(arena, "%s/.config/wherry", h) : NULL;
}

static bool plain_name(const char *name)
{
    size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-");

    return n && !name[n] && n < 128 && name[0] != '.' && name[0] != '-';
}

bool wh_own_name(const char *name, struct wh_error *reterr)
{
    if (!plain_name(name)) {
        wh_ignore(wh_fail(reterr, WH_E_USAGE, "E1002", "'%.100s' cannot be a name", name));
        wh_error_hint(reterr, "letters, digits, _ - and . only, and no . or - in front");
        return false;
    }
    if (!name[1] || wh_registry_is_scheme(wh_str(name))) {
        wh_ignore(wh_fail(reterr, WH_E_USAGE, "E1002",
                          name[1] ? "'%s' is the name of a system" : "'%s' would look like a drive",
                          name));
        wh_error_hint(reterr, "choose another name, as %s_1", name);
        return false;
    }
    return true;
}

/* ---- files ------------------------------------------------------------------------------------
 */

static int no_folder(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_USAGE, "E1070",
                   "neither HOME nor XDG_CONFIG_HOME is set: there is no place for your settings");
}

static int make_folders(const char *path, struct wh_error *reterr)
{
    char part[4096];
    size_t n = strlen(path);

    if (n >= sizeof part)
        return no_folder(reterr);
    for (size_t i = 1; i <= n; i++) {
        if (path[i] && path[i] != '/')
            continue;
        snprintf(part, sizeof part, "%.*s", (int)i, path);
        if (mkdir(part, 0700) != 0 && errno != EEXIST)
            return wh_fail_errno(reterr, errno, "E1070", "cannot make %s", part);
    }
    return WH_OK;
}

static int put_file(int fd, const char *text, size_t n)
{
    while (n) {
        ssize_t w = write(fd, text, n);

        if (w < 0 && errno == EINTR)
            continue;
        if (w <= 0)
            return w < 0 ? errno : EIO;
        text += w;
        n -= (size_t)w;
    }
    return fsync(fd) == 0 ? 0 : errno;
}

/* Whole or not at all: another name first. */
static int save(const char *kind, const char *name, const char *ending, const char *text, size_t n,
                bool replace, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 16);
    const char *folder = a ? wh_own_folder(a) : NULL, *path, *beside;
    int fd, e;

    if (!folder || !(folder = wh_arena_printf(a, "%s/%s", folder, kind)) ||
        !(path = wh_arena_printf(a, "%s/%s%s", folder, name, ending)) ||
        !(beside = wh_arena_printf(a, "%s/.%s.%d", folder, name, (int)getpid())))
        return no_folder(reterr);
    WH_TRY(make_folders(folder, reterr));
    if (!replace && access(path, F_OK) == 0) {
        e = wh_fail(reterr, WH_E_USAGE, "E1042", "%s is there already: %s", name, path);
        wh_error_hint(reterr, "--yes writes over it");
        return e;
    }
    unlink(beside);
    fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    e = fd < 0 ? errno : put_file(fd, text, n);
    if (fd >= 0 && close(fd) != 0 && !e)
        e = errno;
    if (!e && rename(beside, path) != 0)
        e = errno;
    if (!e)
        return WH_OK;
    unlink(beside);
    return wh_fail_errno(reterr, e, "E1070", "cannot write %s", path);
}

static int forget(const char *kind, const char *name, const char *ending, const char *what,
                  struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 16);
    const char *folder = a ? wh_own_folder(a) : NULL, *path;

    if (!folder || !(path = wh_arena_printf(a, "%s/%s/%s%s", folder, kind, name, ending)))
        return no_folder(reterr);
    if (unlink(path) == 0)
        return WH_OK;
    if (errno != ENOENT)
        return wh_fail_errno(reterr, errno, "E1070", "cannot remove %s", path);
    return wh_fail(reterr, WH_E_USAGE, "E1022", "there is no %s '%s' of yours", what, name);
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Names in a folder without their ending, sorted; a folder that is not there has none. */
static size_t names_in(struct wh_arena *a, const char *folder, const char *ending,
                       const char ***ret)
{
    const char **v = wh_arena_alloc(a, NAMES_MAX * sizeof *v);
    DIR *d = v ? opendir(folder) : NULL;
    size_t n = 0, end = strlen(ending);

    for (struct dirent *e; d && (e = readdir(d)) != NULL && n < NAMES_MAX;) {
        size_t len = strlen(e->d_name);

        if (len <= end || strcmp(e->d_name + len - end, ending) != 0)
            continue;
        v[n] = wh_arena_strndup(a, e->d_name, len - end);
        n += v[n] && plain_name(v[n]);
    }
    if (d)
        closedir(d);
    if (n)
        qsort(v, n, sizeof *v, by_name);
    *ret = v;
    return n;
}

/* ---- connections -------------------------------------------------------------------------------
 */

static const char *read_file(struct wh_arena *a, const char *path, size_t *ret_n,
                             struct wh_problems *problems)
{
    WH_CLEANUP(wh_closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK);
    struct stat info;
    struct wh_error err;
    char *text = NULL;
    size_t n = 0;

    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode)) {
        wh_ignore(wh_fail_errno(&err, fd < 0 ? errno : EINVAL, "E1070", "connection not read"));
        wh_problem_warn(problems, "E1070", path, NULL, "%s", err.message);
        return NULL;
    }
    if (info.st_mode & 0022) { /* who may change it chooses where your password is sent */
        wh_problem_warn(problems, "E1070", path, "chmod 600 it",
                        "connection not read: others may change the file (mode %04o)",
                        info.st_mode & 07777);
        return NULL;
    }
    text = info.st_size <= FILE_MAX ? wh_arena_alloc(a, FILE_MAX + 1) : NULL;
    while (text && n < FILE_MAX) {
        ssize_t got = read(fd, text + n, FILE_MAX - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) {
            wh_ignore(wh_fail_errno(&err, errno, "E1070", "connection not read"));
            wh_problem_warn(problems, "E1070", path, NULL, "%s", err.message);
            return NULL;
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    *ret_n = n;
    return text;
}

/* Places in the file mean nothing inside a job. */
static void without_places(struct wh_node *node)
{
    node->line = node->column = 0;
    for (size_t i = 0; i < node->n; i++) {
        without_places(node->items[i]);
        if (node->keys)
            node->keys[i]->line = node->keys[i]->column = 0;
    }
}

static bool known_keys(struct wh_arena *a, const char *file, const struct wh_node *map,
                       struct wh_problems *problems)
{
    const struct wh_connector *k;
    struct wh_error err;
    const char *type = wh_node_text(wh_node_get(map, "type"), "");
    bool ok = true;

    if (wh_registry_find(wh_str(type), &k, &err) != WH_OK)
        return true; /* told when it is used */
    for (size_t i = 0; i < map->n; i++) {
        const char *key = map->keys[i]->text;

        if (strcmp(key, "type") == 0 || strncmp(key, "x-", 2) == 0 ||
            (k->connection && wh_options_find(k->connection, wh_str(key))))
            continue;
        wh_problem_warn(problems, "E1001", wh_node_where(a, file, map->keys[i]), NULL,
                        "unknown setting '%s' of %s: the connection is not read", key, k->name);
        ok = false;
    }
    return ok;
}

static int load_one(struct wh_arena *a, const char *path, const char *name, struct wh_node *all,
                    struct wh_problems *problems)
{
    struct wh_problems own = {.arena = problems->arena};
    struct wh_node *map = NULL;
    size_t n = 0;
    const char *text = read_file(a, path, &n, problems);

    if (!text)
        return WH_OK;
    if (wh_yaml_parse(a, path, text, n, &map, &own) != WH_OK || !map || map->kind != WH_NODE_MAP ||
        !wh_node_get(map, "type")) {
        wh_problem_warn(problems, own.n ? own.v[0].code : "E1041", own.n ? own.v[0].where : path,
                        "a connection is a map: { type: ..., ... }", "connection not read: %s",
                        own.n ? own.v[0].message : "it is no map with a 'type'");
        return WH_OK;
    }
    if (!known_keys(a, path, map, problems))
        return WH_OK;
    without_places(map);
    return wh_node_put(a, all, name, map);
}

static int load_folder(struct wh_arena *a, const char *folder, struct wh_node *all,
                       struct wh_problems *problems)
{
    const char **names;
    size_t n = names_in(a, folder, ".yaml", &names);

    for (size_t i = 0; i < n; i++) {
        const char *path = wh_arena_printf(a, "%s/%s.yaml", folder, names[i]);

        if (!path)
            return WH_E_NOMEM;
        if (!wh_node_get(all, names[i]))
            WH_TRY(load_one(a, path, names[i], all, problems));
    }
    return WH_OK;
}

int wh_connections_load(struct wh_arena *a, struct wh_node **ret, struct wh_problems *problems)
{
    const char *own = wh_own_folder(a);
    struct wh_node *all = wh_node_map(a);

    if (!all)
        return WH_E_NOMEM;
    own = own ? wh_arena_printf(a, "%s/connections", own) : NULL;
    if (own)
        WH_TRY(load_folder(a, own, all, problems));
    WH_TRY(load_folder(a, SYSTEM_CONNECTIONS, all, problems));
    *ret = all;
    return WH_OK;
}

const char *wh_connection_file(struct wh_arena *a, const char *name)
{
    const char *own = wh_own_folder(a);
    const char *path = own ? wh_arena_printf(a, "%s/connections/%s.yaml", own, name) : NULL;

    if (path && access(path, F_OK) == 0)
        return path;
    path = wh_arena_printf(a, "%s/%s.yaml", SYSTEM_CONNECTIONS, name);
    return path && access(path, F_OK) == 0 ? path : NULL;
}

int wh_connection_save(const char *name, const char *yaml, size_t n, bool replace,
                       struct wh_error *reterr)
{
    return save("connections", name, ".yaml", yaml, n, replace, reterr);
}

int wh_connection_remove(const char *name, struct wh_error *reterr)
{
    if (!plain_name(name))
        return wh_fail(reterr, WH_E_USAGE, "E1022", "there is no connection '%.100s'", name);
    return forget("connections", name, ".yaml", "connection", reterr);
}

/* ---- secrets -----------------------------------------------------------------------------------
 */

const char *wh_secret_path(struct wh_arena *a, const char *name)
{
    const char *folder = plain_name(name) ? wh_own_folder(a) : NULL;

    return folder ? wh_arena_printf(a, "%s/secrets/%s", folder, name) : NULL;
}

int wh_secret_save(const char *name, const char *text, size_t n, struct wh_error *reterr)
{
    return save("secrets", name, "", text, n, true, reterr);
}

int wh_secret_remove(const char *name, struct wh_error *reterr)
{
    if (!plain_name(name))
        return wh_fail(reterr, WH_E_USAGE, "E1022", "there is no secret '%.100s'", name);
    return forget("secrets", name, "", "secret", reterr);
}

int wh_secrets_each(wh_status (*each)(void *, const char *), void *arg, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(4 << 20);
    const char *folder = a ? wh_own_folder(a) : NULL, **names;
    int st = WH_OK;

    if (!folder || !(folder = wh_arena_printf(a, "%s/secrets", folder)))
        return no_folder(reterr);
    size_t n = names_in(a, folder, "", &names);

    for (size_t i = 0; i < n && st == WH_OK; i++)
        st = each(arg, names[i]);
    return st == WH_END ? WH_OK : st;
}
