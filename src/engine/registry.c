/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/registry.h"

#include "core/alloc.h"

#include <ctype.h>
#include <dirent.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#ifndef WHERRY_MODULE_DIR
#define WHERRY_MODULE_DIR "/usr/lib/wherry"
#endif

enum {
    PATH_CAP = 1024,
    NAME_CAP = 40,
    MODULES_MAX = 128
};

/* Linked-in connectors (-Dmodules=builtin), NULL-terminated; the build generates the table. Absent
 * in the ordinary build, hence weak. */
extern const struct wh_connector *const wh_builtin_connectors[] __attribute__((weak));

/* Words that mean a system, whether or not this build can speak to it (INTERFACE 1). */
static const struct word {
    const char *word, *module;
} words[] = {
    {"clickhouse", "clickhouse"},
    {"dli", "dli"},
    {"doris", "doris"},
    {"dws", "dws"},
    {"elasticsearch", "elasticsearch"},
    {"es", "elasticsearch"},
    {"file", "file"},
    {"ftp", "ftp"},
    {"ftps", "ftp"},
    {"gbase", "gbase"},
    {"gen", "gen"},
    {"hana", "hana"},
    {"hbase", "hbase"},
    {"hdfs", "hdfs"},
    {"hive", "hive"},
    {"http", "http"},
    {"https", "http"},
    {"hudi", "hudi"},
    {"kafka", "kafka"},
    {"lts", "lts"},
    {"mariadb", "mysql"},
    {"mongo", "mongodb"},
    {"mongodb", "mongodb"},
    {"mysql", "mysql"},
    {"null", "null"},
    {"obs", "obs"},
    {"opensearch", "elasticsearch"},
    {"oracle", "oracle"},
    {"pg", "postgresql"},
    {"postgres", "postgresql"},
    {"postgresql", "postgresql"},
    {"redis", "redis"},
    {"rest", "rest"},
    {"rocketmq", "rocketmq"},
    {"s3", "obs"},
    {"sftp", "sftp"},
    {"sqlite", "sqlite"},
    {"sqlserver", "sqlserver"},
};
#define N_WORDS (sizeof words / sizeof words[0])

static const char *known_module(struct wh_str word)
{
    for (size_t i = 0; i < N_WORDS; i++)
        if (wh_str_ieqs(word, words[i].word))
            return words[i].module;
    return NULL;
}

const char *wh_registry_word(const char *name, size_t i)
{
    for (size_t w = 0; w < N_WORDS; w++)
        if (strcmp(words[w].module, name) == 0 && strcmp(words[w].word, name) != 0 && i-- == 0)
            return words[w].word;
    return NULL;
}

/* A word that may be part of a file name: letters, digits, '-', at least two. */
static bool module_name(struct wh_str word, char out[NAME_CAP])
{
    if (word.n < 2 || word.n >= NAME_CAP || !isalpha((unsigned char)word.s[0]))
        return false;
    for (size_t i = 0; i < word.n; i++) {
        unsigned char c = (unsigned char)word.s[i];

        if (!isalnum(c) && c != '-' && c != '_')
            return false;
        out[i] = (char)tolower(c);
    }
    out[word.n] = 0;
    return true;
}

/* ---- folders --------------------------------------------------------------------------------- */

typedef bool (*folder_fn)(void *arg, const char *folder); /* true: stop */

static bool each_subfolder(const char *folder, folder_fn fn, void *arg)
{
    char path[PATH_CAP];
    DIR *dir = opendir(folder);
    bool stop = false;

    if (!dir)
        return false;
    for (struct dirent *e = readdir(dir); e && !stop; e = readdir(dir)) {
        if (e->d_name[0] == '.' || (e->d_type != DT_DIR && e->d_type != DT_UNKNOWN))
            continue;
        if (snprintf(path, sizeof path, "%s/%s", folder, e->d_name) < (int)sizeof path)
            stop = fn(arg, path);
    }
    closedir(dir);
    return stop;
}

/* The folder of the program. */
static bool program_folder(char out[PATH_CAP])
{
    ssize_t n = readlink("/proc/self/exe", out, PATH_CAP - 1);

    if (n <= 0)
        return false;
    out[n] = 0;
    char *slash = strrchr(out, '/');

    if (slash)
        *slash = 0;
    return slash;
}

/* In a build tree the program or a test lies in a subfolder: cuts `folder` to the tree's root. */
static bool build_root(char *folder)
{
    static const char *const inner[] = {"/src/cli", "/tests"};

    for (size_t i = 0; i < sizeof inner / sizeof inner[0]; i++) {
        char *last = NULL;

        for (char *p = strstr(folder, inner[i]); p; p = strstr(p + 1, inner[i]))
            last = p;
        size_t n = strlen(inner[i]);

        if (last && (last[n] == '/' || !last[n])) {
            *last = 0;
            return true;
        }
    }
    return false;
}

static bool each_listed(const char *list, folder_fn fn, void *arg)
{
    char path[PATH_CAP];

    while (*list) {
        size_t n = strcspn(list, ":");

        if (n > 0 && n < sizeof path) {
            memcpy(path, list, n);
            path[n] = 0;
            if (fn(arg, path))
                return true;
        }
        list += n + (list[n] == ':');
    }
    return false;
}

static bool each_beside(const char *root, folder_fn fn, void *arg)
{
    static const char *const below[] = {"", "/modules", "/src/connectors"};
    char path[PATH_CAP + 32];

    for (size_t i = 0; i < sizeof below / sizeof below[0]; i++) {
        snprintf(path, sizeof path, "%s%s", root, below[i]);
        if (fn(arg, path))
            return true;
    }
    return each_subfolder(path, fn, arg);
}

static bool each_folder(folder_fn fn, void *arg)
{
    const char *list = getenv("WHERRY_MODULES");
    char folder[PATH_CAP];

    if (list && each_listed(list, fn, arg))
        return true;
    if (program_folder(folder)) {
        if (each_beside(folder, fn, arg))
            return true;
        if (build_root(folder) && each_beside(folder, fn, arg))
            return true;
    }
    return fn(arg, WHERRY_MODULE_DIR);
}

struct search {
    const char *name;
    char path[PATH_CAP]; /* "" = not found */
};

static bool look_in(void *arg, const char *folder)
{
    struct search *s = arg;
    int n = snprintf(s->path, sizeof s->path, "%s/wherry-%s.so", folder, s->name);

    if (n < (int)sizeof s->path && access(s->path, R_OK) == 0)
        return true;
    s->path[0] = 0;
    return false;
}

static bool find_module(const char *name, char path[PATH_CAP])
{
    struct search s = {.name = name};
    bool found = each_folder(look_in, &s);

    memcpy(path, s.path, PATH_CAP);
    return found;
}

/* ---- names of all modules ---------------------------------------------------------------------
 */

struct names {
    size_t n;
    char v[MODULES_MAX][NAME_CAP];
};

static void add_name(struct names *names, const char *name, size_t n)
{
    size_t at = 0;

    if (n == 0 || n >= NAME_CAP || names->n == MODULES_MAX)
        return;
    while (at < names->n) {
        int order = strncmp(names->v[at], name, n);

        if (order == 0 && !names->v[at][n])
            return; /* the first folder wins */
        if (order >= 0)
            break;
        at++;
    }
    memmove(names->v[at + 1], names->v[at], (names->n - at) * NAME_CAP);
    memcpy(names->v[at], name, n);
    names->v[at][n] = 0;
    names->n++;
}

static bool collect(void *arg, const char *folder)
{
    struct names *names = arg;
    DIR *dir = opendir(folder);

    for (struct dirent *e = dir ? readdir(dir) : NULL; e; e = readdir(dir)) {
        size_t n = strlen(e->d_name);

        if (n > 10 && strncmp(e->d_name, "wherry-", 7) == 0 &&
            strcmp(e->d_name + n - 3, ".so") == 0)
            add_name(names, e->d_name + 7, n - 10);
    }
    if (dir)
        closedir(dir);
    return false;
}

static void all_names(struct names *names)
{
    names->n = 0;
    if (wh_builtin_connectors)
        for (size_t i = 0; wh_builtin_connectors[i]; i++)
            add_name(names, wh_builtin_connectors[i]->name, strlen(wh_builtin_connectors[i]->name));
    each_folder(collect, names);
}

static void name_list(char out[256])
{
    struct names *names = wh_calloc(1, sizeof *names);
    size_t used = 0;

    out[0] = 0;
    if (!names)
        return;
    all_names(names);
    for (size_t i = 0; i < names->n && used < 200; i++)
        used += (size_t)snprintf(out + used, 256 - used, "%s%s", i ? ", " : "", names->v[i]);
    wh_free(names);
}

/* ---- loading ----------------------------------------------------------------------------------
 */

static const struct wh_connector *builtin(struct wh_str word)
{
    if (!wh_builtin_connectors)
        return NULL;
    for (size_t i = 0; wh_builtin_connectors[i]; i++) {
        const struct wh_connector *c = wh_builtin_connectors[i];

        for (const char *const *s = c->schemes; s && *s; s++)
            if (wh_str_ieqs(word, *s))
                return c;
        if (wh_str_ieqs(word, c->name))
            return c;
    }
    return NULL;
}

/* ---- is it whole? -----------------------------------------------------------------------------
 */

/* Verbs that the engine calls without asking; at least those of a side that is offered must be
 * there.
 */
#define VERB(ops, v)                                                                               \
    {                                                                                              \
#v, offsetof(struct ops, v)                                                                \
    }
struct verb {
    const char *name;
    size_t at;
};
static const struct verb source_verbs[] = {
    VERB(wh_source_ops, scan_open), VERB(wh_source_ops, split_next),
    VERB(wh_source_ops, reader_open), VERB(wh_source_ops, reader_next),
    VERB(wh_source_ops, reader_close)};
static const struct verb sink_verbs[] = {
    VERB(wh_sink_ops, target_open),  VERB(wh_sink_ops, writer_open),
    VERB(wh_sink_ops, writer_write), VERB(wh_sink_ops, writer_flush),
    VERB(wh_sink_ops, writer_seal),  VERB(wh_sink_ops, writer_commit)};
static const struct verb lookup_verb[] = {VERB(wh_sink_ops, lookup)};
static const struct verb publish_verbs[] = {VERB(wh_sink_ops, steps), VERB(wh_sink_ops, apply)};
static const struct verb marker_verbs[] = {VERB(wh_endpoint_ops, claim),
                                           VERB(wh_endpoint_ops, run_close)};
static const struct verb snapshot_verbs[] = {VERB(wh_endpoint_ops, snapshot)};
static const struct verb list_verbs[] = {VERB(wh_endpoint_ops, catalog)};
#undef VERB
#define COUNT(a) (sizeof(a) / sizeof *(a))

/* A verb is a function pointer; all of them have one size and one NULL. */
static const char *first_missing(const void *ops, const struct verb *v, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        void (*verb)(void);

        memcpy(&verb, (const char *)ops + v[i].at, sizeof verb);
        if (!verb)
            return v[i].name;
    }
    return NULL;
}

/* What a connector with these capabilities must have and has not; NULL: it is whole. */
static const char *missing_part(const struct wh_connector *c)
{
    const struct wh_capabilities *caps = c->caps;
    const char *name = NULL;

    if (!c->title || !caps->grade || !c->schemes || !c->schemes[0])
        return !c->title ? "title" : !caps->grade ? "caps->grade" : "schemes";
    if (!c->source && !c->sink && !c->storage)
        return "source, sink and storage";
    if (c->source)
        name = first_missing(c->source, source_verbs, COUNT(source_verbs));
    if (!name && c->source && caps->snapshot != WH_SNAP_NONE)
        name = first_missing(c->endpoint, snapshot_verbs, COUNT(snapshot_verbs));
    if (!name && caps->flags & WH_CAP_WHOLE_DATABASE)
        name = first_missing(c->endpoint, list_verbs, COUNT(list_verbs));
    if (!name && c->sink)
        name = first_missing(c->sink, sink_verbs, COUNT(sink_verbs));
    if (!name && c->sink && caps->commit_class != WH_CLASS_A)
        name = first_missing(c->sink, lookup_verb, COUNT(lookup_verb));
    if (!name && c->sink && caps->commit_class == WH_CLASS_P)
        name = first_missing(c->sink, publish_verbs, COUNT(publish_verbs));
    if (!name && c->sink && caps->commit_class == WH_CLASS_T)
        name = first_missing(c->endpoint, marker_verbs, COUNT(marker_verbs));
    return name;
}

static int check_connector(const struct wh_connector *c, const char *name, const char *path,
                           struct wh_error *reterr)
{
    if (c->abi != WH_ABI || c->size != sizeof *c)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2011",
                       "%s was built for another version (abi %u size %u, this program has abi %u "
                       "size %zu)",
                       path, c->abi, c->size, (unsigned)WH_ABI, sizeof *c);
    if (!c->name || !c->caps || !c->endpoint || c->endpoint->size != sizeof *c->endpoint ||
        (c->source && c->source->size != sizeof *c->source) ||
        (c->sink && c->sink->size != sizeof *c->sink) ||
        (c->storage && c->storage->size != sizeof *c->storage))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2011",
                       "%s has tables of verbs that do not fit this program", path);
    if (strcmp(c->name, name) != 0)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2017",
                       "%s calls its connector '%.60s', not '%s'", path, c->name, name);
    const char *missing = missing_part(c);

    if (missing)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2017", "%s has no %s", path, missing);
    return WH_OK;
}

/* dlopen counts references and modules are never closed: the loader is the cache. */
static int load(const char *name, const char *path, const struct wh_connector **ret,
                struct wh_error *reterr)
{
    char symbol[NAME_CAP + 24];

    void *module = dlopen(path, RTLD_NOW | RTLD_LOCAL);

    if (!module)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2010", "connector '%s' cannot be loaded: %s",
                       name, dlerror());
    snprintf(symbol, sizeof symbol, "wh_connector_%s", name);
    for (char *p = symbol; *p; p++)
        *p = *p == '-' ? '_' : *p;
    const struct wh_connector *c = dlsym(module, symbol);

    if (!c)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E2010",
                       "%s is no module of Wherry: it has no '%s'", path, symbol);
    WH_TRY(check_connector(c, name, path, reterr));
    *ret = c;
    return WH_OK;
}

static int unknown(struct wh_str word, struct wh_error *reterr)
{
    const char *near_words[N_WORDS + 1] = {NULL};
    char available[256];

    for (size_t i = 0; i < N_WORDS; i++)
        near_words[i] = words[i].word;
    const char *near = wh_did_you_mean(word, near_words);
    int st = wh_fail(reterr, WH_E_USAGE, "E1021", "unknown scheme '%.*s'", WH_STR_FMT(word));

    name_list(available);
    if (near)
        wh_error_hint(reterr, "did you mean '%s'?", near);
    else
        wh_error_hint(reterr, "available: %s; write ./%.*s:... for a file", available,
                      WH_STR_FMT(word));
    return st;
}

int wh_registry_find(struct wh_str scheme, const struct wh_connector **ret, struct wh_error *reterr)
{
    char path[PATH_CAP], name[NAME_CAP], available[256];
    const struct wh_connector *c = builtin(scheme);

    if (c) {
        WH_TRY(check_connector(c, c->name, c->name, reterr));
        *ret = c;
        return WH_OK;
    }
    const char *known = known_module(scheme);

    if (!known && !module_name(scheme, name))
        return unknown(scheme, reterr);
    if (!known)
        known = name;
    if (find_module(known, path))
        return load(known, path, ret, reterr);
    if (known == name)
        return unknown(scheme, reterr);
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1004", "connector '%s' is not part of this build",
                     known);

    name_list(available);
    wh_error_hint(reterr, "available: %s", available);
    return st;
}

bool wh_registry_is_scheme(struct wh_str word)
{
    char path[PATH_CAP], name[NAME_CAP];

    return known_module(word) || builtin(word) ||
           (module_name(word, name) && find_module(name, path));
}

int wh_registry_each(wh_status (*each)(void *, const struct wh_connector *), void *arg,
                     wh_status (*broken)(void *, const char *name, const struct wh_error *))
{
    WH_CLEANUP(wh_freep) struct names *names = wh_calloc(1, sizeof *names);

    if (!names)
        return WH_E_NOMEM;
    all_names(names);
    for (size_t i = 0; i < names->n; i++) {
        const struct wh_connector *c;
        struct wh_error err = {0};

        if (wh_registry_find(wh_str(names->v[i]), &c, &err) == WH_OK)
            WH_TRY(each(arg, c));
        else if (broken)
            WH_TRY(broken(arg, names->v[i], &err));
    }
    return WH_OK;
}
