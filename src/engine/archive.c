/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/archive.h"

#include <stdio.h>
#include <string.h>

#include "engine/plan_internal.h"

enum {
    ARENA = 4 << 20,
    PATH_CAP = 4096,
};

struct wh_archive {
    const struct wh_storage_ops *ops;
    const struct wh_options *table;
    struct wh_arena *arena;
    void *opts, *st, *out, *in;
    bool open, putting;
    char folder[PATH_CAP]; /* "" or with a slash at its end */
    char name[WH_ARCHIVE_NAME_MAX];
    const char *shown;
    bool rooted; /* the storage begins at /, and its names without it */
};

void wh_archive_name(const char *run, const char *file, char out[WH_ARCHIVE_NAME_MAX])
{
    snprintf(out, WH_ARCHIVE_NAME_MAX, "_dirty.%s.%s", run, file);
}

/* Readers skip names that begin with a dot, too. */
static void temporary_of(const struct wh_archive *a, const char *name, char out[PATH_CAP + 256])
{
    snprintf(out, PATH_CAP + 256, "%s.%s.new", a->folder, name);
}

static void path_of(const struct wh_archive *a, const char *name, char out[PATH_CAP + 256])
{
    snprintf(out, PATH_CAP + 256, "%s%s", a->folder, name);
}

/* Whatever the storage answered: the unit was not committed, and may be tried again. */
static int trouble(const struct wh_archive *a, int st, const char *what, const struct wh_error *why,
                   struct wh_error *reterr)
{
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory for the archive of refused rows");
    const char *text = why->message, *name = NULL;
    size_t n = strlen(a->folder);
    char whole[sizeof why->message];

    if (a->rooted && n > 1) {
        char folder[PATH_CAP];

        snprintf(folder, sizeof folder, "'%.*s", (int)n - 1, a->folder);
        name = strstr(text, folder);
    }
    if (name) {
        snprintf(whole, sizeof whole, "%.*s'/%s", (int)(name - text), text, name + 1);
        text = whole;
    }
    return wh_fail(reterr, WH_E_IO, "E6015", "cannot %s the archive of refused rows in %s: %s %s",
                   what, a->shown, why->code, text);
}

/* ---- opening ----------------------------------------------------------------------------------
 */

/* The connection's options, its root the server's where the path begins there. */
static const struct wh_node *rooted(struct wh_arena *arena, const struct wh_node *map)
{
    struct wh_node *out = wh_node_map(arena), *root = wh_node_scalar(arena, "/");

    for (size_t i = 0; out && map && i < map->n; i++)
        if (strcmp(map->keys[i]->text, "root") != 0 &&
            wh_node_put(arena, out, map->keys[i]->text, map->items[i]) != WH_OK)
            return NULL;
    return out && root && wh_node_put(arena, out, "root", root) == WH_OK ? out : NULL;
}

static int folder_of(struct wh_archive *a, const char *path, struct wh_error *reterr)
{
    size_t n;

    path += strspn(path, "/");
    while (strncmp(path, "./", 2) == 0)
        path += 2;
    n = strlen(path);
    if (n + 2 > sizeof a->folder)
        return wh_fail(reterr, WH_E_USAGE, "E1020", "the path '%.60s...' is too long", path);
    snprintf(a->folder, sizeof a->folder, "%s%s", strcmp(path, ".") == 0 ? "" : path,
             n && strcmp(path, ".") != 0 && path[n - 1] != '/' ? "/" : "");
    return WH_OK;
}

static int open_at(struct wh_archive *a, const struct wh_objref *ref, struct wh_error *reterr)
{
    const char *path =
        ref->name.n ? wh_arena_strndup(a->arena, ref->name.part[0].s, ref->name.part[0].n) : "";
    const struct wh_node *map = ref->connection;
    struct wh_error why = {0};
    int st;

    a->table = ref->connector->connection;
    if (path && path[0] == '/' && a->table && wh_options_find(a->table, wh_str("root")))
        map = rooted(a->arena, map);
    a->rooted = map != ref->connection;
    a->st = wh_calloc(1, a->ops->st_size ? a->ops->st_size : 1);
    a->out = wh_calloc(1, a->ops->out_size ? a->ops->out_size : 1);
    a->in = wh_calloc(1, a->ops->in_size ? a->ops->in_size : 1);
    if (!path || (!map && ref->connection) || !a->st || !a->out || !a->in)
        return wh_plan_no_memory(reterr);
    WH_TRY(folder_of(a, path, reterr));
    WH_TRY(wh_plan_options(a->arena, a->table, map, ref->where, &a->opts, reterr));
    st = a->ops->open(a->st, a->opts, &why);
    a->open = true;
    return st == WH_OK ? WH_OK : trouble(a, st, "open", &why, reterr);
}

int wh_archive_open(const struct wh_objref *ref, struct wh_archive **ret, struct wh_error *reterr)
{
    struct wh_archive *a = wh_calloc(1, sizeof *a);
    int st;

    *ret = NULL;
    if (!a || !(a->arena = wh_arena_new(ARENA))) {
        wh_free(a);
        return wh_plan_no_memory(reterr);
    }
    a->ops = ref->connector->storage;
    a->shown = ref->text;
    st = open_at(a, ref, reterr);
    if (st != WH_OK) {
        wh_archive_close(a);
        return st;
    }
    *ret = a;
    return WH_OK;
}

void wh_archive_close(struct wh_archive *a)
{
    if (!a)
        return;
    wh_archive_put_close(a);
    if (a->open && a->ops->close)
        a->ops->close(a->st);
    if (a->table && a->opts)
        wh_options_wipe(a->table, a->opts);
    wh_free(a->st);
    wh_free(a->out);
    wh_free(a->in);
    wh_arena_free(a->arena);
    wh_free(a);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static bool can_set_rights(const struct wh_storage_ops *ops)
{
    return ops->size > offsetof(struct wh_storage_ops, attributes) && ops->attributes;
}

/* What is there already keeps its rights. */
static int make_folders(struct wh_archive *a, struct wh_error *reterr)
{
    char path[PATH_CAP];
    struct wh_file_info info;
    struct wh_error why = {0};

    for (char *slash = strchr(a->folder, '/'); slash && a->ops->make_folder;
         slash = strchr(slash + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(slash - a->folder), a->folder);
        if (a->ops->stat(a->st, path, &info, NULL) == WH_OK && info.is_folder)
            continue;
        int st = a->ops->make_folder(a->st, path, &why);
        if (st == WH_OK && can_set_rights(a->ops))
            st = a->ops->attributes(a->st, path, 0700, 0, &why);
        if (st != WH_OK)
            return trouble(a, st, "make the folder of", &why, reterr);
    }
    return WH_OK;
}

int wh_archive_put_open(struct wh_archive *a, const char *name, struct wh_error *reterr)
{
    char path[PATH_CAP + 256];
    struct wh_error why = {0};

    WH_TRY(make_folders(a, reterr));
    snprintf(a->name, sizeof a->name, "%s", name);
    temporary_of(a, name, path);
    memset(a->out, 0, a->ops->out_size);
    a->putting = true;
    int st = a->ops->put_open(a->out, a->st, path, &why);
    if (st == WH_OK && can_set_rights(a->ops)) /* before there is anything in it */
        st = a->ops->attributes(a->st, path, 0600, 0, &why);
    if (st == WH_OK)
        return WH_OK;
    wh_archive_put_close(a);
    return trouble(a, st, "make", &why, reterr);
}

int wh_archive_put(struct wh_archive *a, const void *p, size_t n, struct wh_error *reterr)
{
    struct wh_error why = {0};
    int st = n ? a->ops->put(a->out, p, n, &why) : WH_OK;

    return st == WH_OK ? WH_OK : trouble(a, st, "write", &why, reterr);
}

int wh_archive_put_finish(struct wh_archive *a, struct wh_error *reterr)
{
    char path[PATH_CAP + 256], name[PATH_CAP + 256];
    struct wh_error why = {0};
    int st = a->ops->put_finish(a->out, &why);

    temporary_of(a, a->name, path);
    path_of(a, a->name, name);
    if (st == WH_OK)
        st = a->ops->publish(a->st, path, name, false, &why);
    if (st != WH_OK)
        return trouble(a, st, "finish", &why, reterr);
    wh_archive_put_close(a);
    return WH_OK;
}

void wh_archive_put_close(struct wh_archive *a)
{
    if (a->putting)
        a->ops->put_close(a->out);
    a->putting = false;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

struct listing {
    const char *run;
    wh_archive_fn each;
    void *arg;
};

static wh_status list_one(void *arg, const struct wh_file_info *f)
{
    struct listing *l = arg;
    char name[WH_ARCHIVE_NAME_MAX + 8], begin[WH_ARCHIVE_NAME_MAX];
    const char *slash = memrchr(f->name.s, '/', f->name.n);
    struct wh_str base = f->name;
    bool temporary;

    if (slash)
        base = (struct wh_str){slash + 1, f->name.n - (size_t)(slash + 1 - f->name.s)};
    temporary = base.n > 5 && base.s[0] == '.' && memcmp(base.s + base.n - 4, ".new", 4) == 0;
    if (temporary)
        base = (struct wh_str){base.s + 1, base.n - 5};
    if (f->is_folder || f->is_special || base.n >= sizeof name)
        return WH_OK;
    snprintf(name, sizeof name, "%.*s", WH_STR_FMT(base));
    wh_archive_name(l->run, "", begin);
    return strncmp(name, begin, strlen(begin)) == 0 ? l->each(l->arg, name, temporary, f->size)
                                                    : WH_OK;
}

int wh_archive_list(struct wh_archive *a, const char *run, wh_archive_fn each, void *arg,
                    struct wh_error *reterr)
{
    struct listing l = {run, each, arg};
    struct wh_error why = {0};
    char path[PATH_CAP];
    size_t n = strlen(a->folder);

    snprintf(path, sizeof path, "%.*s", (int)(n ? n - 1 : 0), a->folder);
    int st = a->ops->list(a->st, path, false, list_one, &l, &why);
    if (st == WH_OK || st == WH_END || st == WH_E_NOT_FOUND)
        return WH_OK;
    if (!why.code[0]) /* of the callback */
        return wh_fail(reterr, st, "E8002", "no memory for the archive's files");
    return trouble(a, st, "look into", &why, reterr);
}

int wh_archive_read_open(struct wh_archive *a, const char *name, struct wh_error *reterr)
{
    char path[PATH_CAP + 256];
    struct wh_error why = {0};

    path_of(a, name, path);
    memset(a->in, 0, a->ops->in_size);
    int st = a->ops->read_open(a->in, a->st, path, &why);
    if (st == WH_OK)
        return WH_OK;
    a->ops->read_close(a->in);
    return st == WH_E_NOT_FOUND ? st : trouble(a, st, "read", &why, reterr);
}

int wh_archive_read(struct wh_archive *a, void *p, size_t n, int64_t from, size_t *ret_n,
                    struct wh_error *reterr)
{
    struct wh_error why = {0};
    int st = a->ops->pread(a->in, p, n, from, ret_n, &why);

    return st == WH_OK ? WH_OK : trouble(a, st, "read", &why, reterr);
}

void wh_archive_read_close(struct wh_archive *a)
{
    a->ops->read_close(a->in);
}

/* ---- removing ---------------------------------------------------------------------------------
 */

int wh_archive_remove(struct wh_archive *a, const char *name, struct wh_error *reterr)
{
    char path[PATH_CAP + 256];
    struct wh_error why = {0};
    int st;

    temporary_of(a, name, path);
    st = a->ops->remove(a->st, path, &why);
    path_of(a, name, path);
    if (st == WH_OK || st == WH_E_NOT_FOUND)
        st = a->ops->remove(a->st, path, &why);
    return st == WH_OK || st == WH_E_NOT_FOUND ? WH_OK : trouble(a, st, "clear", &why, reterr);
}

void wh_archive_leave(struct wh_archive *a, const char *run)
{
    char path[PATH_CAP];
    size_t n = strlen(a->folder);

    snprintf(path, sizeof path, "%.*s", (int)(n ? n - 1 : 0), a->folder);
    const char *last = strrchr(path, '/');
    if (strstr(last ? last : path, run) && a->ops->remove_folder)
        wh_ignore(a->ops->remove_folder(a->st, path, NULL));
}
