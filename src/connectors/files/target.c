/* SPDX-License-Identifier: Apache-2.0 */
/* Where a flow's rows go: a named file, files in a folder, or standard output.
 *
 * In a folder each table has one file `<table>.csv`; with part_size or part_rows it has
 * `<table>-00001.csv` ... and a manifest. Appending adds files (their names carry the run) and
 * never touches a named file that exists. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pack.h"
#include "sink.h"

enum {
    MEMO_VERSION = 1,
    MEMO_MAX = 1 << 20,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a target");
}

/* ---- the path ---------------------------------------------------------------------------------
 */

/* Cuts the last name of `text` off and puts it in front of `made`. */
static wh_status up_one(struct wh_buf *text, struct wh_buf *made)
{
    struct wh_buf longer = WH_BUF(PATH_MAX);
    char *slash = strrchr(text->p, '/'), *last = slash ? slash + 1 : text->p;
    int st = wh_buf_printf(&longer, "%s/%s", last, made->n ? made->p : "");
    if (st != WH_OK)
        return st;
    wh_buf_free(made);
    *made = longer;
    text->n = (size_t)(last - text->p);
    text->p[text->n] = 0;
    return text->n ? WH_OK : wh_buf_adds(text, ".");
}

/* The longest folder above `path` that exists, resolved, and the folders still to be made. */
static wh_status existing_root(struct sink_target *fl, const char *folder, struct wh_error *reterr)
{
    char real[PATH_MAX];
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(PATH_MAX);
    WH_CLEANUP(wh_buf_free) struct wh_buf made = WH_BUF(PATH_MAX);
    if (folder[0] != '/' && fl->ep->where.root)
        WH_TRY(wh_buf_printf(&text, "%s/", fl->ep->where.root));
    WH_TRY(wh_buf_printf(&text, "%s", *folder ? folder : "."));
    for (;;) {
        while (text.n > 1 && text.p[text.n - 1] == '/')
            text.p[--text.n] = 0;
        if (realpath(text.p, real))
            break;
        if (errno != ENOENT) {
            wh_ignore(wh_fail_errno(reterr, errno, "E2013", "folder '%s'", text.p));
            return reterr ? reterr->status : WH_E_IO;
        }
        WH_TRY(up_one(&text, &made));
    }
    fl->root = wh_strdup(real);
    fl->folder = wh_strdup(made.n ? made.p : "");
    return fl->root && fl->folder ? WH_OK : no_memory(reterr);
}

static bool is_folder(const struct files_endpoint *ep, const char *path)
{
    char full[PATH_MAX];
    struct stat s;
    size_t n = strlen(path);
    if (n && path[n - 1] == '/')
        return true;
    snprintf(full, sizeof full, "%s%s%s", path[0] != '/' && ep->where.root ? ep->where.root : "",
             path[0] != '/' && ep->where.root ? "/" : "", path);
    return stat(full, &s) == 0 && S_ISDIR(s.st_mode);
}

static char *path_of(const struct wh_target *io, const struct files_to *o)
{
    if (io->object && io->object->n && io->object->part[0].n)
        return wh_strndup(io->object->part[0].s, io->object->part[0].n);
    if (o->path)
        return wh_strdup(o->path);
    return wh_strdup("./");
}

/* A table's name as a file's: no folders, nothing hidden. */
static char *stem_of(struct wh_str name)
{
    char *s = name.n ? wh_strndup(name.s, name.n) : wh_strdup("rows");
    for (char *p = s; p && *p; p++)
        if (*p == '/' || (unsigned char)*p < 32)
            *p = '_';
    if (s && (s[0] == '.' || s[0] == '_'))
        s[0] = '-';
    return s;
}

/* What the format asks of the writers; AUTO is CSV. */
static wh_status take_format(struct sink_target *fl, enum files_format format,
                             const struct files_to *o, struct wh_error *reterr)
{
    static const char *const suffixes[] = {".csv", ".csv", ".tsv", ".json", ".jsonl"};
    bool tab = !o->delimiter || !strcmp(o->delimiter, "auto");
    if (!wh_codec_writes(fl->codec)) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014", "%s can be read, not written",
                         wh_codec_name(fl->codec));
        wh_error_hint(reterr, "write gzip, zstd, bzip2, lz4 or snappy");
        return st;
    }
    if (files_is_json(format))
        WH_TRY(files_check_json_to(o, reterr));
    if (format == FILES_FORMAT_TSV && tab)
        fl->format.dialect.delimiter[0] = '\t';
    fl->shape = format == FILES_FORMAT_AUTO ? FILES_FORMAT_CSV : format;
    fl->header = fl->header && format != FILES_FORMAT_JSONL;
    fl->comma = fl->footer = WH_BUF(1 << 20);
    snprintf(fl->suffix, sizeof fl->suffix, "%s%s%s", suffixes[format], wh_codec_suffix(fl->codec),
             fl->key ? ".enc" : "");
    return sink_array_marks(fl, reterr);
}

static wh_status into_folder(struct sink_target *fl, const struct wh_target *io,
                             const struct files_to *o, const char *path, struct wh_error *reterr)
{
    struct wh_buf file = WH_BUF(SINK_NAME);
    fl->codec =
        o->compression == FILES_COMPRESSION_AUTO ? WH_CODEC_NONE : (enum wh_codec)o->compression;
    WH_TRY(take_format(fl, (enum files_format)o->format, o, reterr));
    WH_TRY(existing_root(fl, path, reterr));
    fl->stem = stem_of(io->source_name);
    fl->parts = fl->part_size || fl->part_rows;
    fl->template = wh_strdup(o->file_name ? o->file_name
                             : fl->append ? "{name}-{run}-{n}"
                                          : "{name}-{n}");
    if (!fl->stem || !fl->template || strlen(fl->stem) > 200)
        return no_memory(reterr);
    if (fl->parts && !strstr(fl->template, "{n}"))
        return wh_fail(reterr, WH_E_USAGE, "E1002",
                       "file_name '%s' needs {n}: several files are written", fl->template);
    if (o->file_name && !fl->parts) {
        fl->parts = true; /* the template makes the name */
        fl->file = wh_strdup("");
        char name[SINK_NAME];
        sink_final_name(fl, io->fence, 1, name);
        fl->parts = false;
        wh_free(fl->file);
        fl->file = wh_strdup(name + strlen(fl->folder));
        return fl->file ? WH_OK : no_memory(reterr);
    }
    WH_TRY(wh_buf_printf(&file, "%s%s", fl->stem, fl->suffix));
    fl->file = wh_buf_take(&file);
    return fl->file ? WH_OK : no_memory(reterr);
}

/* Files as they are: their own names below the folder. */
static wh_status into_folder_as_is(struct sink_target *fl, const struct wh_target *io,
                                   const char *path, struct wh_error *reterr)
{
    WH_TRY(existing_root(fl, path, reterr));
    fl->stem = stem_of(io->source_name);
    fl->template = wh_strdup("{name}-{n}");
    fl->file = wh_strdup("");
    return fl->stem && strlen(fl->stem) <= 200 && fl->template && fl->file ? WH_OK
                                                                           : no_memory(reterr);
}

static wh_status into_file(struct sink_target *fl, const struct files_to *o, const char *path,
                           struct wh_error *reterr)
{
    struct files_kind kind;
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    struct wh_str bare = files_unsealed(wh_str(name), fl->key);
    WH_TRY(files_kind_of(bare, o->format, o->compression, &kind, reterr));
    if (fl->part_size || fl->part_rows || o->file_name || o->success_file || o->list) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1007",
                         "'%s' is one file: part_size, part_rows, file_name, success_file and list "
                         "need a folder",
                         path);
        wh_error_hint(reterr, "name a folder with / at its end: '%s/'", path);
        return st;
    }
    fl->codec = kind.codec;
    WH_TRY(take_format(fl, kind.format, o, reterr));
    WH_CLEANUP(wh_buf_free) struct wh_buf folder = WH_BUF(PATH_MAX);
    WH_TRY(slash ? wh_buf_add(&folder, path, (size_t)(slash - path) + 1)
                 : wh_buf_adds(&folder, ""));
    int st = existing_root(fl, folder.p, reterr);
    fl->file = wh_strdup(name);
    fl->stem = wh_strndup(files_stem(bare).s, files_stem(bare).n);
    fl->template = wh_strdup("");
    WH_TRY(st);
    return fl->file && fl->stem && fl->template ? WH_OK : no_memory(reterr);
}

/* ---- options ----------------------------------------------------------------------------------
 */

static wh_status take_options(struct sink_target *fl, const struct files_to *o,
                              struct wh_error *reterr)
{
    struct wh_csv_dialect *d = &fl->format.dialect;
    bool any;
    *d = wh_csv_dialect_default();
    WH_TRY(files_delimiter(o->delimiter, d, &any, reterr));
    WH_TRY(files_decimal(o->decimal, d, reterr));
    d->quote = o->quote;
    d->escape = o->escape == o->quote ? -1 : o->escape;
    fl->format.crlf = o->line_end == 1;
    if (o->null_text && *o->null_text && strcmp(o->null_text, "none") != 0 &&
        !wh_csv_add_null(d, wh_str(o->null_text)))
        return wh_fail(reterr, WH_E_USAGE, "E1003", "null_text is too long");
    fl->header = o->header;
    fl->level = (int)o->level;
    fl->part_size = o->part_size;
    fl->part_rows = o->part_rows;
    fl->success_file = o->success_file;
    fl->md5 = o->md5;
    fl->list = o->list;
    WH_TRY(files_key_of(&o->encrypt, &fl->key_room, &fl->key, reterr));
    return sink_charset_choose(fl, o->encoding, reterr);
}

static const struct files_to defaults = {
    .format = FILES_FORMAT_AUTO,
    .compression = FILES_COMPRESSION_AUTO,
    .header = true,
    .quote = '"',
    .escape = -1,
};

/* ---- answers ----------------------------------------------------------------------------------
 */

/* The same columns; codes of dictionaries as the texts they stand for. */
static wh_status accept(struct sink_target *fl, struct wh_target *io, struct wh_error *reterr)
{
    WH_TRY(wh_schema_copy(io->source, &fl->schema));
    for (int64_t i = 0; i < fl->schema.n_children; i++) {
        struct wh_type t;
        WH_TRY(wh_type_of(fl->schema.children[i], &t, reterr));
        if (t.kind != WH_K_DICT)
            continue;
        char *name = wh_strdup(fl->schema.children[i]->name);
        struct wh_type text = {.kind = WH_K_UTF8, .nullable = t.nullable};
        wh_schema_release(fl->schema.children[i]);
        int st = name ? wh_schema_set(&fl->schema, i, name, &text, NULL) : WH_E_NOMEM;
        wh_free(name);
        WH_TRY(st);
    }
    return wh_schema_copy(&fl->schema, &io->accept);
}

static wh_status show_path(struct sink_target *fl, const char *name, struct wh_buf *out)
{
    return wh_buf_printf(out, "%s%s%s", fl->root, fl->root[1] ? "/" : "", name);
}

struct strangers {
    const struct sink_target *fl;
    int64_t n;
};

static wh_status count_stranger(void *arg, const struct wh_file_info *f)
{
    struct strangers *s = arg;
    s->n += !f->is_folder && !f->is_special && f->name.n &&
            !memmem(f->name.s, f->name.n, ".wherry-", 8) &&
            !memmem(f->name.s, f->name.n, "_wherry_manifest", 16);
    return WH_OK;
}

/* What stands at the target already. */
static wh_status look(struct sink_target *fl, struct wh_target *io, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = fl->storage.ops;
    struct wh_file_info info;
    char name[SINK_NAME];
    if (fl->parts) {
        struct strangers s = {fl, 0};
        int st = ops->list(fl->storage.st, fl->folder, false, count_stranger, &s, NULL);
        io->exists = st == WH_OK && s.n > 0;
        if (io->exists && fl->shape == FILES_FORMAT_BINARY)
            snprintf(io->note, sizeof io->note, "%lld files are in the folder; %s", (long long)s.n,
                     fl->append ? "none of them is changed"
                                : "those of the same path are replaced, the others stay");
        else if (io->exists)
            snprintf(
                io->note, sizeof io->note,
                "%lld files are in the folder; only those that our manifest names are replaced",
                (long long)s.n);
        return WH_OK;
    }
    sink_final_name(fl, io->fence, 1, name);
    int st = ops->stat(fl->storage.st, name, &info, NULL);
    if (st == WH_E_NOT_FOUND)
        return WH_OK;
    if (st != WH_OK) /* again, for its words */
        WH_TRY(ops->stat(fl->storage.st, name, &info, reterr));
    io->exists = true;
    if (info.is_folder)
        return wh_fail(reterr, WH_E_USAGE, "E2014", "'%s' is a folder", name);
    if (info.is_special) {
        st = wh_fail(reterr, WH_E_USAGE, "E2014", "'%s/%s' is a device or a pipe, no file",
                     fl->root, name);
        if (reterr)
            wh_error_hint(reterr, "let the shell write there: wherry copy ... - > %s", name);
        return st;
    }
    if (!fl->append || io->memo.n)
        return WH_OK;
    st = wh_fail(reterr, WH_E_USAGE, "E5007", "'%s/%s' exists, and append never changes a file",
                 fl->root, name);
    wh_error_hint(reterr, "--mode overwrite replaces it; a folder with part_rows takes more files");
    return st;
}

static void answer_words(struct sink_target *fl, struct wh_target *io, const char *path)
{
    char host[64] = "localhost";
    gethostname(host, sizeof host - 1);
    snprintf(io->identity, sizeof io->identity, "file:%s:%.230s", host, path);
    io->ret_object = (struct wh_name){.part = {wh_str(fl->text.p)}, .n = 1};
    io->say_create = wh_str(fl->text.p);
    if (fl->parts)
        snprintf(io->instant, sizeof io->instant,
                 "each file when it gets its name, after the last unit; the manifest comes last");
    else
        snprintf(io->instant, sizeof io->instant,
                 "at once, when the finished file gets its name after the last unit");
    snprintf(io->on_kill, sizeof io->on_kill,
             "nothing shows before the last unit; parts wait in .wherry-<run> for resume");
}

static wh_status answer_file(struct sink_target *fl, struct wh_target *io)
{
    char name[SINK_NAME];
    sink_final_name(fl, io->fence, 1, name);
    if (fl->parts) /* the folder and the table are the object */
        snprintf(name, sizeof name, "%s%s", fl->folder, fl->stem);
    wh_buf_clear(&fl->text);
    WH_TRY(show_path(fl, name, &fl->text));
    io->grain = WH_GRAIN_ATTEMPT;
    io->commit_class = WH_CLASS_P;
    io->atomic_given = WH_ATOMIC_TABLE;
    io->existing_rows = !io->exists ? 0
                        : fl->parts ? sink_manifest_rows(fl)
                                    : sink_standing_rows(fl, name);
    io->max_writers = 0;
    answer_words(fl, io, fl->text.p);
    if (fl->parts)
        WH_TRY(wh_buf_printf(&fl->text, "-*%s" FILES_PARTS_TAIL, fl->suffix));
    io->say_create = wh_str(fl->text.p);
    io->ret_object.part[0] = (struct wh_str){fl->text.p, fl->text.n};
    return WH_OK;
}

static void answer_stdout(struct sink_target *fl, struct wh_target *io)
{
    io->grain = WH_GRAIN_ATTEMPT;
    io->commit_class = WH_CLASS_A;
    io->atomic_given = WH_ATOMIC_UNIT;
    io->existing_rows = 0;
    io->max_writers = 1;
    io->needs_key_order = true; /* one after the other, in the order of the source */
    io->ret_object = (struct wh_name){.part = {WH_STR("-")}, .n = 1};
    snprintf(io->identity, sizeof io->identity, "file:stdout:%ld", (long)getpid());
    snprintf(io->instant, sizeof io->instant, "as it is written");
    snprintf(io->on_kill, sizeof io->on_kill, "what was written stays written");
    snprintf(io->note, sizeof io->note,
             "standard output: rows that were written cannot be taken "
             "back");
}

static wh_status remember(struct sink_target *fl, struct wh_target *io)
{
    struct pack k = {&fl->memo, WH_OK};
    pack_u64(&k, MEMO_VERSION);
    pack_u64(&k, fl->parts);
    pack_text(&k, fl->root);
    pack_text(&k, fl->folder);
    pack_text(&k, fl->file);
    if (fl->key) {
        char check[WH_SEAL_CHECK + 1];
        WH_TRY(wh_seal_key_check(fl->key, check, NULL));
        pack_text(&k, check);
    }
    io->ret_memo = (struct wh_bytes){fl->memo.p, fl->memo.n};
    return k.st;
}

/* At a run or resume the folder that the plan resolved is meant, wherever we are started. */
static wh_status recall(struct sink_target *fl, const struct wh_target *io, struct wh_error *reterr)
{
    struct unpack u = unpack_of(io->memo);
    uint64_t version = unpack_u64(&u);
    fl->parts = unpack_u64(&u) != 0;
    struct wh_str root = unpack_bytes(&u), folder = unpack_bytes(&u), file = unpack_bytes(&u);
    if (u.bad || version != MEMO_VERSION)
        return wh_fail(reterr, WH_E_STATE, "E7003", "the stored target cannot be read");
    WH_TRY(files_same_key(fl->key, u.n ? unpack_bytes(&u) : WH_STR(""), reterr));
    wh_free(fl->root);
    wh_free(fl->folder);
    wh_free(fl->file);
    fl->root = wh_strndup(root.s, root.n);
    fl->folder = wh_strndup(folder.s, folder.n);
    fl->file = wh_strndup(file.s, file.n);
    return fl->root && fl->folder && fl->file ? WH_OK : no_memory(reterr);
}

/* A link to a file is left alone: the file behind it is the target. A link to nothing is refused:
 * the file could only take the place of the link. */
static wh_status behind_link(const struct files_endpoint *ep, char **path, struct wh_error *reterr)
{
    char full[PATH_MAX], real[PATH_MAX];
    struct stat s;
    const char *root = **path != '/' && ep->where.root ? ep->where.root : NULL;
    snprintf(full, sizeof full, "%s%s%s", root ? root : "", root ? "/" : "", *path);
    if (lstat(full, &s) < 0 || !S_ISLNK(s.st_mode))
        return WH_OK;
    if (!realpath(full, real)) {
        int st = wh_fail_errno(reterr, errno, "E2014", "'%s' is a link to a file that is not there",
                               *path);
        if (reterr)
            reterr->status = st = WH_E_USAGE;
        wh_error_hint(reterr, "name the file itself, or remove the link");
        return st;
    }
    wh_free(*path);
    *path = wh_strdup(real);
    return *path ? WH_OK : no_memory(reterr);
}

/* Without quotes not every column can be named in a header. */
static wh_status may_name(const struct sink_target *fl, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf header = WH_BUF(64 << 20);
    struct wh_error err = {0};
    if (fl->format.dialect.quote >= 0 || files_is_json(fl->shape) || !fl->header ||
        fl->shape == FILES_FORMAT_BINARY)
        return WH_OK;
    int st = sink_header(fl, &header, &err);
    if (st == WH_E_DATA && !err.code[0]) {
        st = wh_fail(reterr, WH_E_USAGE, "E1007",
                     "a column's name has a delimiter or line end in it: with quote=none it cannot "
                     "stand in the header");
        wh_error_hint(reterr, "set escape, header=false, or another delimiter");
    } else if (st != WH_OK && reterr) {
        *reterr = err;
    }
    return st;
}

/* Better refused in the plan than after an hour of reading. */
static wh_status may_write(const struct sink_target *fl, struct wh_error *reterr)
{
    if (fl->ep->storage != &wh_storage_local || access(fl->root, W_OK | X_OK) == 0)
        return WH_OK;
    int st = wh_fail_errno(reterr, errno, "E2013", "folder '%s' may not be written to", fl->root);
    if (reterr)
        reterr->status = st = WH_E_AUTH;
    return st;
}

static wh_status open_path(struct sink_target *fl, struct wh_target *io, const struct files_to *o,
                           const char *path, struct wh_error *reterr)
{
    bool folder = is_folder(fl->ep, path);
    WH_TRY(sink_as_is_choose(fl, o, path, folder, reterr));
    WH_TRY(fl->shape == FILES_FORMAT_BINARY ? into_folder_as_is(fl, io, path, reterr)
           : folder                         ? into_folder(fl, io, o, path, reterr)
                                            : into_file(fl, o, path, reterr));
    if (io->memo.n)
        WH_TRY(recall(fl, io, reterr));
    if (*fl->folder && o->on_missing == FILES_MISSING_FAIL && !io->memo.n) {
        int st = wh_fail(reterr, WH_E_NOT_FOUND, "E2012", "there is no folder '%s/%s'", fl->root,
                         fl->folder);
        wh_error_hint(reterr, "make it, or leave on_missing=fail out");
        return st;
    }
    WH_TRY(files_storage_open_sealed(&fl->storage, fl->ep->storage, fl->root, fl->key, reterr));
    WH_TRY(may_write(fl, reterr));
    WH_TRY(look(fl, io, reterr));
    size_t said = strlen(io->note);
    if (fl->key)
        snprintf(io->note + said, sizeof io->note - said, "%sencrypted with AES-256-GCM",
                 said ? "; " : "");
    if (answer_file(fl, io) != WH_OK || remember(fl, io) != WH_OK ||
        (!fl->parts && sink_join_new(fl) != WH_OK))
        return no_memory(reterr);
    return WH_OK;
}

static wh_status open_target(struct sink_target *fl, void *ep, struct wh_target *io,
                             struct wh_error *reterr)
{
    const struct files_to *o = io->opts ? io->opts : &defaults;
    fl->ep = ep;
    fl->ctx = io->ctx;
    fl->memo = WH_BUF(MEMO_MAX);
    fl->text = WH_BUF(MEMO_MAX);
    fl->append = io->mode == WH_MODE_APPEND;
    fl->storage.ops = fl->ep->storage;
    if (io->mode != WH_MODE_APPEND && io->mode != WH_MODE_OVERWRITE)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1061", "files can be appended or overwritten");
    WH_TRY(take_options(fl, o, reterr));
    int st = accept(fl, io, reterr);
    if (st != WH_OK)
        return st == WH_E_NOMEM ? no_memory(reterr) : st;
    WH_CLEANUP(wh_freep) char *path = path_of(io, o);
    if (!path)
        return no_memory(reterr);
    WH_TRY(behind_link(fl->ep, &path, reterr));
    if (strcmp(path, "-") != 0) {
        WH_TRY(open_path(fl, io, o, path, reterr));
        return may_name(fl, reterr);
    }
    fl->is_stdout = true;
    WH_TRY(sink_as_is_choose(fl, o, path, false, reterr));
    if (fl->md5 != FILES_MD5_OFF || fl->list || fl->key)
        return wh_fail(reterr, WH_E_USAGE, "E1007",
                       "md5, list and encrypt are for files, not for standard output");
    fl->codec =
        o->compression == FILES_COMPRESSION_AUTO ? WH_CODEC_NONE : (enum wh_codec)o->compression;
    WH_TRY(take_format(fl, (enum files_format)o->format, o, reterr));
    WH_TRY(may_name(fl, reterr));
    answer_stdout(fl, io);
    return WH_OK;
}

static wh_status target_open(void *fl, void *ep, void *se, struct wh_target *io,
                             struct wh_error *reterr)
{
    return files_worded(open_target(fl, ep, io, reterr), reterr);
}

static void target_close(void *self)
{
    struct sink_target *fl = self;
    sink_join_free(fl);
    files_storage_close(&fl->storage);
    wh_wipe(&fl->key_room, sizeof fl->key_room);
    wh_free(fl->root);
    wh_free(fl->folder);
    wh_free(fl->stem);
    wh_free(fl->file);
    wh_free(fl->template);
    wh_schema_release(&fl->schema);
    wh_buf_free(&fl->memo);
    wh_buf_free(&fl->text);
    wh_buf_free(&fl->comma);
    wh_free((void *)(uintptr_t)fl->encoding);
    wh_buf_free(&fl->footer);
    fl->root = fl->folder = fl->stem = fl->file = fl->template = NULL;
    fl->encoding = NULL;
}

const struct wh_sink_ops files_sink_ops = {
    .size = sizeof(struct wh_sink_ops),
    .fl_size = sizeof(struct sink_target),
    .wr_size = sizeof(struct sink_writer),
    .target_open = target_open,
    .steps = sink_steps,
    .apply = sink_apply,
    .writer_open = sink_writer_open,
    .writer_write = sink_writer_write,
    .writer_flush = sink_writer_flush,
    .writer_seal = sink_writer_seal,
    .writer_commit = sink_writer_commit,
    .lookup = sink_lookup,
    .verify = sink_verify,
    .writer_close = sink_writer_close,
    .target_close = target_close,
};
