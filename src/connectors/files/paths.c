/* SPDX-License-Identifier: Apache-2.0 */
/* From what people write (file, glob, folder, list) to a list of files of one root; what their
 * names say about format and codec. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

/* ---- what names say ---------------------------------------------------------------------------
 */

static const struct suffix {
    const char *text;
    enum files_format format;
    const char *refused; /* why not, or NULL */
} SUFFIXES[] = {
    {".csv", FILES_FORMAT_CSV, NULL},
    {".tsv", FILES_FORMAT_TSV, NULL},
    {".tab", FILES_FORMAT_TSV, NULL},
    {".jsonl", FILES_FORMAT_JSONL, NULL},
    {".ndjson", FILES_FORMAT_JSONL, NULL},
    {".json", FILES_FORMAT_JSON, NULL},
    {".parquet", FILES_FORMAT_AUTO, "Parquet is not built yet"},
    {".orc", FILES_FORMAT_AUTO, "ORC is not built yet"},
    {".avro", FILES_FORMAT_AUTO, "Avro is not built yet"},
    {".arrow", FILES_FORMAT_AUTO, "Arrow IPC is not built yet"},
    {".xlsx", FILES_FORMAT_AUTO, "spreadsheets cannot be read: save as CSV"},
    {".xls", FILES_FORMAT_AUTO, "spreadsheets cannot be read: save as CSV"},
    {".ods", FILES_FORMAT_AUTO, "spreadsheets cannot be read: save as CSV"},
};

static const struct suffix *suffix_of(struct wh_str name)
{
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof *SUFFIXES; i++) {
        size_t n = strlen(SUFFIXES[i].text);
        if (name.n > n && wh_str_ieqs((struct wh_str){name.s + name.n - n, n}, SUFFIXES[i].text))
            return &SUFFIXES[i];
    }
    return NULL;
}

static struct wh_str base_name(struct wh_str name)
{
    for (size_t i = name.n; i > 0; i--)
        if (name.s[i - 1] == '/')
            return (struct wh_str){name.s + i, name.n - i};
    return name;
}

static struct wh_str without_codec(struct wh_str name)
{
    bool known;
    struct wh_str suffix;
    wh_codec_of_name(name, &known, &suffix);
    name.n -= suffix.n;
    return name;
}

struct wh_str files_stem(struct wh_str name)
{
    name = without_codec(base_name(name));
    const struct suffix *s = suffix_of(name);
    if (s)
        name.n -= strlen(s->text);
    return name;
}

bool files_known_name(struct wh_str name)
{
    const struct suffix *s = suffix_of(without_codec(base_name(name)));
    return s && !s->refused;
}

wh_status files_kind_of(struct wh_str name, int format, int compression, struct files_kind *ret,
                        struct wh_error *reterr)
{
    bool known;
    struct wh_str codec_suffix, base = base_name(name);
    enum wh_codec codec = wh_codec_of_name(base, &known, &codec_suffix);
    if (compression != FILES_COMPRESSION_AUTO) {
        codec = (enum wh_codec)compression;
    } else if (!known) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014", "'%.*s': %.*s is not built yet",
                         WH_STR_FMT(name), WH_STR_FMT(codec_suffix));
        wh_error_hint(reterr, "this build reads and writes plain, .gz and .zst files");
        return st;
    }
    ret->codec = codec;
    ret->format = (enum files_format)format;
    if (format != FILES_FORMAT_AUTO)
        return WH_OK;
    const struct suffix *s = suffix_of(without_codec(base));
    if (s && s->refused) {
        int st =
            wh_fail(reterr, WH_E_UNSUPPORTED, "E1024", "'%.*s': %s", WH_STR_FMT(name), s->refused);
        wh_error_hint(reterr,
                      "this build reads and writes csv, tsv, json and jsonl, plain, .gz or .zst");
        return st;
    }
    if (!s) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1024", "'%.*s': the name does not tell the format",
                         WH_STR_FMT(name));
        wh_error_hint(reterr,
                      wh_str_eqs(name, "null")
                          ? "write 'null:' for rows that are counted and thrown away"
                          : "add format=csv (--from format=csv, --to format=csv), or json, jsonl");
        return st;
    }
    ret->format = s->format;
    return WH_OK;
}

/* ---- patterns ---------------------------------------------------------------------------------
 */

static size_t segment(const char *s)
{
    return strcspn(s, "/");
}

static bool match_segment(const char *pattern, size_t n, const char *name, size_t name_n)
{
    char text[256];
    if (n >= sizeof text)
        return false;
    memcpy(text, pattern, n);
    text[n] = 0;
    /* Files that hide themselves, and our own, must be named. */
    if ((name[0] == '.' || name[0] == '_') && pattern[0] != name[0])
        return false;
    return wh_glob_match(text, (struct wh_str){name, name_n}, false);
}

bool files_match(const char *pattern, const char *name)
{
    size_t p = segment(pattern), n = segment(name);
    if (!*pattern)
        return !*name;
    if (p == 2 && !strncmp(pattern, "**", 2)) {
        const char *rest = pattern + 2 + (pattern[2] == '/');
        if (!*rest) /* two stars at the end: every file below */
            return *name && *name != '.' && *name != '_' &&
                   (!name[n] || files_match(pattern, name + n + 1));
        if (files_match(rest, name))
            return true;
        return name[n] && *name != '.' && *name != '_' && files_match(pattern, name + n + 1);
    }
    if (!*name || !match_segment(pattern, p, name, n))
        return false;
    if (!pattern[p] || !name[n])
        return !pattern[p] && !name[n];
    return files_match(pattern + p + 1, name + n + 1);
}

static bool is_pattern(const char *s)
{
    return strpbrk(s, "*?[") != NULL;
}

/* ---- folders ----------------------------------------------------------------------------------
 */

void files_list_free(struct files_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        wh_free(l->v[i].name);
    wh_free(l->v);
    wh_free(l->root);
    *l = (struct files_list){0};
}

wh_status files_storage_open(struct files_storage *s, const struct wh_storage_ops *ops,
                             const char *root, struct wh_error *reterr)
{
    struct wh_local_options where = {root};
    *s = (struct files_storage){.ops = ops, .st = wh_calloc(1, ops->st_size)};
    if (!s->st)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a storage");
    return ops->open(s->st, &where, reterr);
}

void files_storage_close(struct files_storage *s)
{
    if (s->st)
        s->ops->close(s->st);
    wh_free(s->st);
    s->st = NULL;
}

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a list of files");
}

/* Folder part before the first pattern (or the last name), and the rest. */
wh_status files_split_path(const struct files_endpoint *ep, const char *path, char **ret_root,
                           char **ret_rest, struct wh_error *reterr)
{
    size_t cut = 0;
    for (size_t i = 0; path[i]; i++) {
        if (path[i] == '/')
            cut = i + 1;
        if (strchr("*?[", path[i]))
            break;
    }
    struct wh_buf folder = WH_BUF(1 << 16);
    int st = WH_OK;
    if (path[0] != '/' && ep->where.root)
        st = wh_buf_printf(&folder, "%s/", ep->where.root);
    if (st == WH_OK)
        st = cut ? wh_buf_add(&folder, path, cut) : wh_buf_adds(&folder, "./");
    char real[PATH_MAX];
    bool found = st == WH_OK && realpath(folder.p, real);
    int err = errno;
    *ret_rest = wh_strdup(path + cut);
    *ret_root = found ? wh_strdup(real) : NULL;
    if (st == WH_OK && !found) {
        st = wh_fail_errno(reterr, err, err == EACCES ? "E2013" : "E2012", "folder '%s'", folder.p);
        st = err == EACCES ? WH_E_AUTH : WH_E_NOT_FOUND;
        if (reterr)
            reterr->status = st;
    }
    wh_buf_free(&folder);
    if (st == WH_OK && (!*ret_root || !*ret_rest))
        st = no_memory(reterr);
    if (st != WH_OK) {
        wh_free(*ret_rest);
        *ret_rest = NULL;
    }
    return st;
}

/* ---- finding ----------------------------------------------------------------------------------
 */

struct finding {
    struct files_list *list;
    const struct files_from *opts;
    const char *pattern; /* NULL: a folder's files */
    const char *prefix;  /* of names below the list's root: "" or "sub/" */
    bool explicit_format;
    int st;
};

static bool any_match(const struct wh_list *globs, const char *name)
{
    struct wh_str base = base_name(wh_str(name));
    for (size_t i = 0; i < globs->n; i++)
        if (files_match(globs->v[i], name) || wh_glob_match(globs->v[i], base, false))
            return true;
    return false;
}

static wh_status add(struct files_list *l, const char *prefix, const struct wh_file_info *f)
{
    if (l->n == l->cap) {
        size_t cap = l->cap ? l->cap * 2 : 16;
        struct files_entry *v = wh_realloc(l->v, cap * sizeof *v);
        if (!v)
            return WH_E_NOMEM;
        l->v = v;
        l->cap = cap;
    }
    struct wh_buf name = WH_BUF(1 << 16);
    WH_TRY(wh_buf_adds(&name, prefix));
    WH_TRY(wh_buf_add(&name, f->name.s, f->name.n));
    struct files_entry *e = &l->v[l->n++];
    *e = (struct files_entry){.name = wh_buf_take(&name), .size = f->size};
    memcpy(e->etag, f->etag, sizeof e->etag);
    return WH_OK;
}

static wh_status consider(void *arg, const struct wh_file_info *f)
{
    struct finding *g = arg;
    char *name = wh_strndup(f->name.s, f->name.n);
    bool take = name && !f->is_folder;
    if (!name)
        return WH_E_NOMEM;
    if (take && g->pattern)
        take = files_match(g->pattern, name);
    else if (take)
        take = name[0] != '.' && name[0] != '_';
    if (take && g->opts && g->opts->include.n)
        take = any_match(&g->opts->include, name);
    if (take && g->opts)
        take = !any_match(&g->opts->exclude, name);
    /* A folder may hold a README: only names of a known format are data, unless format= is set. */
    if (take && !g->pattern && !g->explicit_format && !files_known_name(f->name)) {
        g->list->others++;
        take = false;
    }
    int st = take ? add(g->list, g->prefix, f) : WH_OK;
    wh_free(name);
    return st;
}

static wh_status nothing(const char *path, const struct files_list *l, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_NOT_FOUND, "E1028", "no file matches '%s'", path);
    if (l->others)
        wh_error_hint(reterr,
                      "%lld files there have names of no known format; format=csv takes them",
                      (long long)l->others);
    else
        wh_error_hint(reterr, "look with 'ls %s'", path);
    return st;
}

static wh_status find_all(const struct files_storage *s, const char *pattern, struct finding *g,
                          struct wh_error *reterr)
{
    bool deep = pattern && (strchr(pattern, '/') || strstr(pattern, "**"));
    g->pattern = pattern;
    int st = s->ops->list(s->st, "", deep, consider, g, reterr);
    return st == WH_E_NOMEM ? no_memory(reterr) : st;
}

/* One path below an opened root: a file, a glob, or (rest empty) the folder itself. */
static wh_status find_below(const struct files_storage *s, const char *path, const char *rest,
                            struct finding *g, struct wh_error *reterr)
{
    struct wh_file_info info;
    size_t before = g->list->n;
    if (*rest) {
        struct wh_error err = {0};
        int st = s->ops->stat(s->st, rest, &info, &err);
        if (st == WH_OK && !info.is_folder) {
            st = add(g->list, g->prefix, &info);
            return st == WH_OK ? WH_OK : no_memory(reterr);
        }
        if (st != WH_OK && !is_pattern(rest)) {
            if (reterr)
                *reterr = err;
            return st;
        }
        if (!is_pattern(rest))
            return wh_fail(reterr, WH_E_NOT_FOUND, "E2014", "'%s' is a folder", path);
    }
    WH_TRY(find_all(s, *rest ? rest : NULL, g, reterr));
    return g->list->n > before ? WH_OK : nothing(path, g->list, reterr);
}

static wh_status is_folder(const struct files_endpoint *ep, const char *path, bool *ret,
                           struct wh_error *reterr)
{
    struct files_storage s = {0};
    struct wh_buf where = WH_BUF(1 << 16);
    const char *root = path[0] != '/' && ep->where.root ? ep->where.root : NULL;
    int st = wh_buf_printf(&where, "%s%s%s", root ? root : "", root ? "/" : "", path);
    if (st == WH_OK)
        st = files_storage_open(&s, ep->storage, where.p, NULL);
    *ret = st == WH_OK;
    files_storage_close(&s);
    wh_buf_free(&where);
    return st == WH_E_NOMEM ? no_memory(reterr) : WH_OK;
}

/* Names of another root become relative to the list's: both are absolute, so a common "/" is
 * always there; the simple way is to make the list's root "/" then. */
static wh_status widen_root(struct files_list *l, struct wh_error *reterr)
{
    if (!strcmp(l->root, "/"))
        return WH_OK;
    for (size_t i = 0; i < l->n; i++) {
        struct wh_buf name = WH_BUF(1 << 16);
        if (wh_buf_printf(&name, "%s/%s", l->root + 1, l->v[i].name) != WH_OK)
            return no_memory(reterr);
        wh_free(l->v[i].name);
        l->v[i].name = wh_buf_take(&name);
    }
    wh_free(l->root);
    l->root = wh_strdup("/");
    return l->root ? WH_OK : no_memory(reterr);
}

static wh_status find_path(const struct files_endpoint *ep, const char *path,
                           const struct files_from *opts, struct files_list *l,
                           struct wh_error *reterr)
{
    char *root = NULL, *rest = NULL;
    struct wh_buf full = WH_BUF(1 << 16), prefix = WH_BUF(1 << 16);
    struct files_storage s = {0};
    struct finding g = {.list = l,
                        .opts = opts,
                        .prefix = "",
                        .explicit_format = opts && opts->format != FILES_FORMAT_AUTO};
    bool folder = false;
    int st = is_folder(ep, path, &folder, reterr);
    if (st == WH_OK)
        st = wh_buf_printf(&full, "%s%s", path, folder ? "/" : "");
    if (st == WH_OK)
        st = files_split_path(ep, full.p, &root, &rest, reterr);
    if (st == WH_OK && !l->root) {
        l->root = TAKE_PTR(root);
        root = wh_strdup(l->root);
        st = root ? WH_OK : no_memory(reterr);
    } else if (st == WH_OK && strcmp(root, l->root) != 0) {
        st = widen_root(l, reterr);
        if (st == WH_OK && root[1])
            st = wh_buf_printf(&prefix, "%s/", root + 1);
        g.prefix = prefix.n ? prefix.p : "";
    }
    if (st == WH_OK)
        st = files_storage_open(&s, ep->storage, root, reterr);
    if (st == WH_OK)
        st = find_below(&s, path, rest, &g, reterr);
    files_storage_close(&s);
    wh_buf_free(&full);
    wh_buf_free(&prefix);
    wh_free(root);
    wh_free(rest);
    return st;
}

wh_status files_find(const struct files_endpoint *ep, const struct wh_name *object,
                     const struct files_from *opts, struct files_list *ret, struct wh_error *reterr)
{
    size_t more = opts ? opts->path.n : 0;
    bool named = object && object->n && object->part[0].n;
    int st = WH_OK;
    *ret = (struct files_list){0};
    if (!named && !more)
        return wh_fail(reterr, WH_E_USAGE, "E1005", "no path is given");
    if (named && wh_str_eqs(object->part[0], "-")) {
        ret->is_stdin = true;
        return more ? wh_fail(reterr, WH_E_USAGE, "E1007",
                              "standard input cannot be read together with files")
                    : WH_OK;
    }
    if (named) {
        char *path = wh_strndup(object->part[0].s, object->part[0].n);
        st = path ? find_path(ep, path, opts, ret, reterr) : no_memory(reterr);
        wh_free(path);
    }
    for (size_t i = 0; st == WH_OK && i < more; i++)
        if (!named || !wh_str_eqs(object->part[0], opts->path.v[i]))
            st = find_path(ep, opts->path.v[i], opts, ret, reterr);
    if (st != WH_OK)
        files_list_free(ret);
    return st;
}
