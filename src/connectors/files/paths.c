/* SPDX-License-Identifier: Apache-2.0 */
/* From what people write (file, glob, folder, list) to a list of files of one root; what their
 * names say about format and codec. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "find.h"
#include "sealed.h"

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

struct wh_str files_base_name(struct wh_str name)
{
    for (size_t i = name.n; i > 0; i--)
        if (name.s[i - 1] == '/')
            return (struct wh_str){name.s + i, name.n - i};
    return name;
}

struct wh_str files_unsealed(struct wh_str name, bool sealed)
{
    if (sealed && name.n > 4 && wh_str_ieqs((struct wh_str){name.s + name.n - 4, 4}, ".enc"))
        name.n -= 4;
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
    name = without_codec(files_base_name(name));
    const struct suffix *s = suffix_of(name);
    if (s)
        name.n -= strlen(s->text);
    return name;
}

bool files_known_name(struct wh_str name)
{
    const struct suffix *s = suffix_of(without_codec(files_base_name(name)));
    return s && !s->refused;
}

wh_status files_kind_of(struct wh_str name, int format, int compression, struct files_kind *ret,
                        struct wh_error *reterr)
{
    bool known;
    struct wh_str codec_suffix, base = files_base_name(name);
    enum wh_codec codec = wh_codec_of_name(base, &known, &codec_suffix);
    if (format == FILES_FORMAT_BINARY) { /* whatever they are called */
        *ret = (struct files_kind){FILES_FORMAT_BINARY, WH_CODEC_NONE};
        return WH_OK;
    }
    /* Sources have been looked into by then, so this is a target, or an archive in an archive. */
    if (compression == FILES_COMPRESSION_TAR ||
        (!wh_str_ieqs(codec_suffix, ".zip") && files_is_archive(base, compression)))
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                       "'%.*s' is an archive of files: archives can be read, not written, and not "
                       "within one another",
                       WH_STR_FMT(name));
    if (compression != FILES_COMPRESSION_AUTO) {
        codec = (enum wh_codec)compression;
    } else if (!known) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014", "'%.*s': %.*s is not built yet",
                         WH_STR_FMT(name), WH_STR_FMT(codec_suffix));
        wh_error_hint(reterr,
                      "this build reads plain, .gz, .zst, .bz2, .lz4, .sz, .snappy and .deflate "
                      "files, and the archives .zip, .tar and packed .tar");
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
                      "this build reads and writes csv, tsv, json and jsonl, plain or packed");
        return st;
    }
    if (!s) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1024", "'%.*s': the name does not tell the format",
                         WH_STR_FMT(name));
        wh_error_hint(reterr,
                      files_unsealed(name, true).n < name.n
                          ? "if it is encrypted: encrypt='${file:/path/of.key}' (--from, --to)"
                      : wh_str_eqs(name, "null")
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

bool files_hides(const char *name)
{
    return name[0] == '.' || name[0] == '_';
}

bool files_any_hides(const char *path)
{
    bool any = false;
    for (const char *p = path; p && !any; p = strchr(p, '/')) {
        p += *p == '/';
        any = files_hides(p);
    }
    return any;
}

static bool match_segment(const char *pattern, size_t n, const char *name, size_t name_n,
                          bool hidden)
{
    char text[256];
    if (n >= sizeof text)
        return false;
    memcpy(text, pattern, n);
    text[n] = 0;
    /* Files that hide themselves, and our own, must be named. */
    if (!hidden && files_hides(name) && pattern[0] != name[0])
        return false;
    return wh_glob_match(text, (struct wh_str){name, name_n}, false);
}

bool files_match(const char *pattern, const char *name, bool hidden)
{
    bool shown = *name && (hidden || !files_hides(name));
    size_t p = segment(pattern), n = segment(name);
    if (!*pattern)
        return !*name;
    if (p == 2 && !strncmp(pattern, "**", 2)) {
        const char *rest = pattern + 2 + (pattern[2] == '/');
        if (!*rest) /* two stars at the end: every file below */
            return shown && (!name[n] || files_match(pattern, name + n + 1, hidden));
        if (files_match(rest, name, hidden))
            return true;
        return name[n] && shown && files_match(pattern, name + n + 1, hidden);
    }
    if (!*name || !match_segment(pattern, p, name, n, hidden))
        return false;
    if (!pattern[p] || !name[n])
        return !pattern[p] && !name[n];
    return files_match(pattern + p + 1, name + n + 1, hidden);
}

/* ---- folders ----------------------------------------------------------------------------------
 */

void files_list_free(struct files_list *l)
{
    for (size_t i = 0; i < l->n; i++)
        wh_free(l->v[i].name);
    for (size_t i = 0; i < l->n; i++)
        wh_free(l->v[i].shown);
    for (size_t i = 0; i < l->n; i++) {
        if (l->v[i].member)
            wh_free(l->v[i].member->archive);
        wh_free(l->v[i].member);
    }
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

wh_status files_storage_open_sealed(struct files_storage *s, const struct wh_storage_ops *ops,
                                    const char *root, const struct wh_seal_key *key,
                                    struct wh_error *reterr)
{
    struct files_sealed_options how = {{root}, ops, key};
    if (!key)
        return files_storage_open(s, ops, root, reterr);
    ops = &files_sealed_storage;
    *s = (struct files_storage){.ops = ops, .st = wh_calloc(1, ops->st_size), .key = key};
    if (!s->st)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a storage");
    return ops->open(s->st, &how, reterr);
}

struct files_storage files_storage_bare(const struct files_storage *s)
{
    struct files_storage bare = *s;
    if (s->key && s->st)
        files_sealed_under(s->st, &bare.ops, &bare.st);
    bare.key = NULL;
    return bare;
}

wh_status files_storage_again(struct files_storage *s, const struct files_storage *like,
                              const char *root, struct wh_error *reterr)
{
    return files_storage_open_sealed(s, files_storage_bare(like).ops, root, like->key, reterr);
}

wh_status files_key_of(const struct wh_secret *said, struct wh_seal_key *room,
                       const struct wh_seal_key **ret, struct wh_error *reterr)
{
    *ret = NULL;
    if (!said->text)
        return WH_OK;
    WH_TRY(wh_seal_key_parse(said->text, room, reterr));
    *ret = room;
    return WH_OK;
}

wh_status files_same_key(const struct wh_seal_key *key, struct wh_str then, struct wh_error *reterr)
{
    char now[WH_SEAL_CHECK + 1] = "";
    if (key)
        WH_TRY(wh_seal_key_check(key, now, reterr));
    if (wh_str_eqs(then, now))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_STATE, "E4022",
                     "'encrypt' leads to another key than when the run began");
    wh_error_hint(reterr, "bring the key back, then 'wherry resume'; --fresh starts again");
    return st;
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

static wh_status split_at(const struct files_endpoint *ep, const char *path, size_t cut,
                          char **ret_root, char **ret_rest, struct wh_error *reterr)
{
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
    return split_at(ep, path, cut, ret_root, ret_rest, reterr);
}

wh_status files_split_plain(const struct files_endpoint *ep, const char *path, char **ret_root,
                            char **ret_rest, struct wh_error *reterr)
{
    const char *slash = strrchr(path, '/');
    return split_at(ep, path, slash ? (size_t)(slash - path) + 1 : 0, ret_root, ret_rest, reterr);
}
