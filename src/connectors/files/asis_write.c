/* SPDX-License-Identifier: Apache-2.0 */
/* Files as they are, on their way into a folder: pieces become parts, parts become files.
 *
 * A part is a run of pieces of one file, so a file that was read in ranges, or whose unit was cut,
 * has several. They are put together by path and offset, in whatever order their units come. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sink.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for files as they are");
}

/* ---- the plan ---------------------------------------------------------------------------------
 */

static const struct {
    const char *name;
    enum wh_kind kind;
    bool needed;
} COLUMNS[SINK_AS_IS_COLUMNS] = {
    [SINK_PATH] = {"path", WH_K_UTF8, true},   [SINK_OFFSET] = {"offset", WH_K_I64, true},
    [SINK_DATA] = {"data", WH_K_BINARY, true}, [SINK_SIZE] = {"size", WH_K_I64, true},
    [SINK_MODE] = {"mode", WH_K_I32, false},   [SINK_MTIME] = {"mtime", WH_K_TIMESTAMP, false},
};

bool sink_is_as_is(const struct ArrowSchema *source)
{
    struct wh_str any;
    for (int64_t i = 0; i < source->n_children; i++)
        if (wh_meta_get(source->children[i], WH_META_AS_IS, &any))
            return true;
    return false;
}

static wh_status find_columns(struct sink_target *fl, struct wh_error *reterr)
{
    for (int i = 0; i < SINK_AS_IS_COLUMNS; i++) {
        struct wh_type t = {0};
        int64_t at = wh_schema_find(&fl->schema, wh_str(COLUMNS[i].name), false);
        fl->as_is[i] = at;
        if (at >= 0)
            WH_TRY(wh_type_of(fl->schema.children[at], &t, reterr));
        if (at < 0 ? !COLUMNS[i].needed : t.kind == COLUMNS[i].kind)
            continue;
        int st = wh_fail(reterr, WH_E_USAGE, "E1060",
                         "format=binary needs column '%s' as the source gives it", COLUMNS[i].name);
        wh_error_hint(reterr, "of its columns only mode and mtime may be left out");
        return st;
    }
    for (int64_t i = 0; i < fl->schema.n_children; i++) {
        bool known = false;
        for (int k = 0; k < SINK_AS_IS_COLUMNS; k++)
            known |= fl->as_is[k] == i;
        if (!known)
            return wh_fail(reterr, WH_E_USAGE, "E1060",
                           "format=binary has no place for column '%s'",
                           fl->schema.children[i]->name);
    }
    return WH_OK;
}

wh_status sink_as_is_choose(struct sink_target *fl, const struct files_to *o, const char *path,
                            bool folder, struct wh_error *reterr)
{
    bool source = sink_is_as_is(&fl->schema);
    if (o->format == FILES_FORMAT_BINARY && !source) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                         "format=binary copies files as they are, and the source gives rows");
        wh_error_hint(reterr, "the source must be files too: --from format=binary");
        return st;
    }
    if (!source)
        return WH_OK;
    if (o->format != FILES_FORMAT_AUTO && o->format != FILES_FORMAT_BINARY) {
        int st =
            wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                    "files as they are (--from format=binary) are not written in another format");
        wh_error_hint(reterr, "leave format out on one side");
        return st;
    }
    WH_TRY(files_check_as_is_to(o, reterr));
    if (!folder) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1060",
                         "'%s' is no folder: files as they are keep their names in one", path);
        wh_error_hint(reterr, strcmp(path, "-") ? "write '%s/'" : "name a folder", path);
        return st;
    }
    fl->shape = FILES_FORMAT_BINARY;
    fl->header = false;
    fl->comma = fl->footer = WH_BUF(64);
    fl->parts = true;
    return find_columns(fl, reterr);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Folder and path below it. Paths come from another machine's listing: they stay below. */
static wh_status final_name(const struct sink_target *fl, const char *path, char out[SINK_NAME],
                            struct wh_error *reterr)
{
    bool bad = !*path || strlen(fl->folder) + strlen(path) > SINK_NAME - 80;
    for (const char *p = path; !bad && p; p = strchr(p, '/')) {
        p += p > path;
        size_t n = strcspn(p, "/");
        bad = !n || (n == 1 && p[0] == '.') || (n == 2 && !memcmp(p, "..", 2)) ||
              !strncmp(p, ".wherry-", 8) || !strncmp(p, "_wherry_manifest.", 17);
    }
    if (bad) {
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1020",
                         "'%.300s' cannot be the path of a file here: it is too long, leaves its "
                         "folder, or is a name of our own",
                         path);
        wh_error_hint(reterr, "rename it, or leave it out (--from exclude=...)");
        return st;
    }
    size_t n = strlen(fl->folder); /* together shorter than a name may be */
    memcpy(out, fl->folder, n);
    memcpy(out + n, path, strlen(path) + 1);
    return WH_OK;
}

static int64_t number(const struct sink_writer *w, int column, int64_t row)
{
    int64_t at = w->fl->as_is[column];
    return at < 0 || wh_view_null(&w->views[at], row) ? 0 : wh_view_i64(&w->views[at], row);
}

static wh_status take_piece(struct sink_writer *w, int64_t row, struct wh_error *reterr)
{
    const struct sink_target *fl = w->fl;
    struct wh_bytes path = wh_view_bytes(&w->views[fl->as_is[SINK_PATH]], row);
    struct wh_bytes data = wh_view_bytes(&w->views[fl->as_is[SINK_DATA]], row);
    int64_t offset = number(w, SINK_OFFSET, row);
    struct sink_part *p = &w->part;
    bool goes_on = w->out && p->path && strlen(p->path) == path.n && path.n &&
                   !memcmp(p->path, path.p, path.n) && offset == p->offset + w->part_text;
    if (!goes_on) {
        char name[SINK_NAME];
        WH_TRY(sink_part_end(w, reterr));
        char *text = wh_strndup(path.p, path.n);
        if (!text)
            return no_memory(reterr);
        int st = strlen(text) == path.n
                     ? final_name(fl, text, name, reterr)
                     : wh_fail(reterr, WH_E_USAGE, "E1020", "the path of a file has a NUL in it");
        if (st == WH_OK)
            st = sink_part_begin(w, reterr);
        wh_free(p->path);
        p->path = text; /* the writer's; frees it */
        WH_TRY(st);
        p->offset = offset;
        p->total = number(w, SINK_SIZE, row);
        p->mode = (uint32_t)number(w, SINK_MODE, row);
        p->mtime_us = number(w, SINK_MTIME, row);
    }
    if (data.n && wh_buf_add(&w->text, data.p, data.n) != WH_OK)
        return no_memory(reterr);
    p->rows++;
    w->part_text += (int64_t)data.n;
    w->bytes += (int64_t)data.n;
    return sink_part_drain(w, reterr);
}

wh_status sink_as_is_write(struct sink_writer *w, const int32_t *rows, int64_t first, int64_t n,
                           struct wh_error *reterr)
{
    for (int64_t i = 0; i < n; i++)
        WH_TRY(take_piece(w, rows ? rows[i] : first + i, reterr));
    return WH_OK;
}

/* ---- putting files together -------------------------------------------------------------------
 */

/* One file of which some parts have come. */
struct whole {
    struct sink_part *v; /* path: v[0] owns it, others have NULL */
    size_t n, cap;
    int64_t bytes;
};

struct gathering {
    struct whole *open; /* files that are not complete yet: a few at any time */
    size_t n, cap;
    sink_whole_fn fn;
    void *arg;
};

static void whole_free(struct whole *w)
{
    if (w->n)
        wh_free(w->v[0].path);
    wh_free(w->v);
    *w = (struct whole){0};
}

static wh_status grow(void *pp, size_t *cap, size_t n, size_t size)
{
    void **p = pp;
    if (n < *cap)
        return WH_OK;
    size_t more = *cap ? *cap * 2 : 4;
    void *v = wh_realloc(*p, more * size);
    if (!v)
        return WH_E_NOMEM;
    *p = v;
    *cap = more;
    return WH_OK;
}

static int by_offset(const void *a, const void *b)
{
    const struct sink_part *x = a, *y = b;
    return (x->offset > y->offset) - (x->offset < y->offset);
}

static wh_status unfit(const char *path, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_STATE, "E7009", "the parts of '%s' are not the whole file", path);
    wh_error_hint(reterr, "--fresh starts again");
    return st;
}

static wh_status give(struct gathering *g, struct whole *w, struct wh_error *reterr)
{
    char *path = w->v[0].path;
    int64_t at = 0;
    qsort(w->v, w->n, sizeof *w->v, by_offset);
    for (size_t i = 0; i < w->n; i++) {
        if (w->v[i].offset != at)
            return unfit(path, reterr);
        at += w->v[i].size;
        w->v[i].path = i ? NULL : path;
    }
    struct sink_whole file = {path, w->v, w->n, w->v[0].total, w->v[0].mode, w->v[0].mtime_us};
    return g->fn(g->arg, &file, reterr);
}

static wh_status gather(void *arg, const struct sink_part *p, int64_t number,
                        struct wh_error *reterr)
{
    struct gathering *g = arg;
    size_t i = 0;
    if (!p->path)
        return wh_fail(reterr, WH_E_STATE, "E7016", "the receipt of a unit names no file");
    while (i < g->n && strcmp(g->open[i].v[0].path, p->path) != 0)
        i++;
    if (i == g->n) {
        if (grow(&g->open, &g->cap, g->n, sizeof *g->open) != WH_OK)
            return no_memory(reterr);
        g->open[g->n++] = (struct whole){0};
    }
    struct whole *w = &g->open[i];
    if (grow(&w->v, &w->cap, w->n, sizeof *w->v) != WH_OK)
        return no_memory(reterr);
    w->v[w->n] = *p;
    w->v[w->n].path = w->n ? NULL : wh_strdup(p->path);
    if (!w->n++ && !w->v[0].path) {
        w->n = 0;
        return no_memory(reterr);
    }
    w->bytes += p->size;
    if (w->bytes < p->total)
        return WH_OK;
    if (w->bytes > p->total)
        return unfit(p->path, reterr);
    int st = give(g, w, reterr);
    whole_free(w);
    *w = g->open[--g->n];
    return st;
}

wh_status sink_each_whole(struct wh_receipts *receipts, sink_whole_fn fn, void *arg,
                          struct wh_error *reterr)
{
    struct gathering g = {.fn = fn, .arg = arg};
    int st = sink_each_part(receipts, gather, &g, NULL, reterr);
    if (st == WH_OK && g.n)
        st = unfit(g.open[0].v[0].path, reterr);
    for (size_t i = 0; i < g.n; i++)
        whole_free(&g.open[i]);
    wh_free(g.open);
    return st;
}

/* ---- publishing -------------------------------------------------------------------------------
 */

struct publishing {
    const struct sink_target *fl;
    const struct wh_fence *fence;
    const char *stage;
};

static void staged_name(const struct publishing *j, const char *part, char out[SINK_NAME])
{
    snprintf(out, SINK_NAME, "%.400s/%.100s", j->stage, part);
}

static bool there(const struct sink_target *fl, const char *name, int64_t *ret_size)
{
    struct wh_file_info info;
    *ret_size = -1;
    if (fl->storage.ops->stat(fl->storage.st, name, &info, NULL) != WH_OK)
        return false;
    *ret_size = info.is_folder ? -1 : info.size;
    return true;
}

/* Is what has the file's name already what the parts say? */
static wh_status is_it(const struct sink_target *fl, const char *name, const struct sink_whole *f,
                       bool *ret, struct wh_error *reterr)
{
    int64_t size;
    *ret = there(fl, name, &size) && size == f->total;
    for (size_t i = 0; *ret && i < f->n; i++) {
        uint64_t hash;
        WH_TRY(sink_hash_file(fl, name, f->v[i].offset, f->v[i].size, &hash, reterr));
        *ret = hash == f->v[i].hash;
    }
    return WH_OK;
}

static wh_status in_the_way(const struct sink_target *fl, const char *name, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_STATE, "E5012",
                     "'%s/%s' is there already, and append never "
                     "changes a file",
                     fl->root, name);
    wh_error_hint(reterr,
                  "remove it, then 'wherry resume'; or give this run up (cancel) and begin again "
                  "with --mode overwrite");
    return st;
}

static wh_status wrong_kind(const struct sink_target *fl, const char *name, bool is_folder,
                            struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_STATE, "E5012",
                     is_folder ? "'%s/%s' is a folder, and a file is to have the name"
                               : "'%s/%s' is no folder, and files are to lie in it",
                     fl->root, name);
    wh_error_hint(reterr, "move it away, then 'wherry resume'");
    return st;
}

/* Before anything shows: files lie in folders, and none has the name of one. */
static wh_status check_kind(const struct sink_target *fl, const char *name, struct wh_error *reterr)
{
    char path[SINK_NAME];
    struct wh_file_info info;
    for (size_t n = strcspn(name, "/");; n += 1 + strcspn(name + n + 1, "/")) {
        bool last = !name[n];
        snprintf(path, sizeof path, "%.*s", (int)n, name);
        if (fl->storage.ops->stat(fl->storage.st, path, &info, NULL) != WH_OK)
            return WH_OK;
        if (last ? info.is_folder || info.is_special : !info.is_folder)
            return wrong_kind(fl, path, info.is_folder, reterr);
        if (last)
            return WH_OK;
    }
}

/* Before anything shows: nobody else's file has one of the names. */
static wh_status check_free(void *arg, const struct sink_whole *f, struct wh_error *reterr)
{
    const struct publishing *j = arg;
    char name[SINK_NAME];
    int64_t size;
    bool same = false;
    WH_TRY(final_name(j->fl, f->path, name, reterr));
    WH_TRY(check_kind(j->fl, name, reterr));
    if (!j->fl->append || !there(j->fl, name, &size))
        return WH_OK;
    WH_TRY(is_it(j->fl, name, f, &same, reterr));
    return same ? WH_OK : in_the_way(j->fl, name, reterr);
}

static wh_status make_folders(const struct sink_target *fl, const char *name,
                              struct wh_error *reterr)
{
    char path[SINK_NAME];
    int64_t size;
    for (const char *p = strchr(name, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(p - name), name);
        if (!there(fl, path, &size) || size >= 0)
            WH_TRY(fl->storage.ops->make_folder(fl->storage.st, path, reterr));
    }
    return WH_OK;
}

static wh_status append_part(const struct publishing *j, const struct sink_part *p, void *in,
                             void *out, uint8_t *block, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = j->fl->storage.ops;
    char name[SINK_NAME];
    uint64_t hash = 0;
    staged_name(j, p->name, name);
    int st = ops->read_open(in, j->fl->storage.st, name, reterr);
    for (int64_t at = 0; st == WH_OK && at < p->size;) {
        size_t want = p->size - at < SINK_BLOCK ? (size_t)(p->size - at) : SINK_BLOCK, n = 0, k = 1;
        for (; st == WH_OK && n < want && k; n += st == WH_OK ? k : 0)
            st = ops->pread(in, block + n, want - n, at + (int64_t)n, &k, reterr);
        if (st == WH_OK && n < want)
            st = sink_part_lost(name, reterr);
        hash = sink_hash(hash, block, n);
        if (st == WH_OK)
            st = ops->put(out, block, n, reterr);
        at += (int64_t)n;
    }
    ops->read_close(in);
    return st != WH_OK || hash == p->hash ? st : sink_part_lost(name, reterr);
}

static wh_status join(const struct publishing *j, const struct sink_whole *f,
                      char temporary[SINK_NAME], struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = j->fl->storage.ops;
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, ops->in_size);
    WH_CLEANUP(wh_freep) void *out = wh_calloc(1, ops->out_size);
    WH_CLEANUP(wh_freep) uint8_t *block = wh_alloc(SINK_BLOCK);
    if (!in || !out || !block)
        return no_memory(reterr);
    snprintf(temporary, SINK_NAME, "%.400s/f%u.g%u.e%u.publish", j->stage, j->fence->flow,
             j->fence->generation, j->fence->epoch);
    int st = ops->put_open(out, j->fl->storage.st, temporary, reterr);
    for (size_t i = 0; st == WH_OK && i < f->n; i++)
        st = append_part(j, &f->v[i], in, out, block, reterr);
    if (st == WH_OK)
        st = ops->put_finish(out, reterr);
    ops->put_close(out);
    return st;
}

/* Rights and time, on the file before it shows. */
static wh_status dress(const struct sink_target *fl, const char *name, const struct sink_whole *f,
                       struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = fl->storage.ops;
    return ops->attributes ? ops->attributes(fl->storage.st, name, f->mode, f->mtime_us, reterr)
                           : WH_OK;
}

/* A file that took another's place was given that one's rights. */
static wh_status redress(const struct sink_target *fl, const char *name, const struct sink_whole *f,
                         struct wh_error *reterr)
{
    return fl->append ? WH_OK : dress(fl, name, f, reterr);
}

static wh_status publish_one(void *arg, const struct sink_whole *f, struct wh_error *reterr)
{
    const struct publishing *j = arg;
    const struct sink_target *fl = j->fl;
    const struct wh_storage_ops *ops = fl->storage.ops;
    char name[SINK_NAME], temporary[SINK_NAME];
    bool staged = true, same = false;
    int64_t size;
    WH_TRY(final_name(fl, f->path, name, reterr));
    for (size_t i = 0; i < f->n && staged; i++) {
        staged_name(j, f->v[i].name, temporary);
        staged = there(fl, temporary, &size) && size == f->v[i].size;
    }
    if (!staged) { /* it has its name already */
        WH_TRY(is_it(fl, name, f, &same, reterr));
        return same ? redress(fl, name, f, reterr) : sink_part_lost(temporary, reterr);
    }
    WH_TRY(make_folders(fl, name, reterr));
    if (f->n > 1)
        WH_TRY(join(j, f, temporary, reterr));
    WH_TRY(dress(fl, temporary, f, reterr));
    int st = ops->publish(fl->storage.st, temporary, name, fl->append, reterr);
    if (st == WH_REFUSED) {
        WH_TRY(is_it(fl, name, f, &same, reterr));
        st = same ? WH_OK : in_the_way(fl, name, reterr);
    }
    WH_TRY(st);
    WH_TRY(redress(fl, name, f, reterr));
    for (size_t i = 0; f->n > 1 && i < f->n; i++) {
        staged_name(j, f->v[i].name, temporary);
        WH_TRY(ops->remove(fl->storage.st, temporary, reterr));
    }
    return WH_OK;
}

wh_status sink_as_is_look(const struct sink_target *fl, const struct wh_fence *fence,
                          struct wh_receipts *receipts, const char *stage, struct wh_error *reterr)
{
    struct publishing j = {fl, fence, stage};
    return sink_each_whole(receipts, check_free, &j, reterr);
}

wh_status sink_as_is_publish(const struct sink_target *fl, const struct wh_fence *fence,
                             struct wh_receipts *receipts, const char *stage,
                             struct wh_error *reterr)
{
    struct publishing j = {fl, fence, stage};
    /* Again: a name may have been taken since. */
    WH_TRY(sink_each_whole(receipts, check_free, &j, reterr));
    return sink_each_whole(receipts, publish_one, &j, reterr);
}

bool sink_as_is_published(const struct sink_target *fl, const struct sink_part *p)
{
    char name[SINK_NAME];
    int64_t size;
    return p->path && final_name(fl, p->path, name, NULL) == WH_OK && there(fl, name, &size) &&
           size == p->total;
}

/* ---- what is said of them ---------------------------------------------------------------------
 */

struct naming {
    const struct sink_target *fl;
    sink_file_fn fn;
    void *arg;
};

static wh_status name_one(void *arg, const struct sink_whole *f, struct wh_error *reterr)
{
    const struct naming *e = arg;
    char name[SINK_NAME];
    WH_TRY(final_name(e->fl, f->path, name, reterr));
    return e->fn(e->arg, name, reterr);
}

wh_status sink_as_is_each(const struct sink_target *fl, struct wh_receipts *receipts,
                          sink_file_fn fn, void *arg, struct wh_error *reterr)
{
    struct naming e = {fl, fn, arg};
    return sink_each_whole(receipts, name_one, &e, reterr);
}

struct listing {
    const struct sink_target *fl;
    struct wh_buf *text;
    int64_t files, rows, bytes;
};

static wh_status list_one(void *arg, const struct sink_whole *f, struct wh_error *reterr)
{
    struct listing *l = arg;
    int64_t rows = 0, bytes = l->fl->key ? wh_seal_stored(f->total) : f->total;
    for (size_t i = 0; i < f->n; i++)
        rows += f->v[i].rows;
    int st = wh_buf_adds(l->text, l->files++ ? ",\n  {\"name\": " : "\n  {\"name\": ");
    if (st == WH_OK)
        st = wh_buf_json(l->text, f->path, strlen(f->path));
    if (st == WH_OK)
        st = wh_buf_printf(l->text, ", \"rows\": %lld, \"bytes\": %lld}", (long long)rows,
                           (long long)bytes);
    l->rows += rows;
    l->bytes += bytes;
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

wh_status sink_as_is_manifest(const struct sink_target *fl, struct wh_receipts *receipts,
                              struct wh_buf *text, int64_t *ret_rows, int64_t *ret_bytes,
                              struct wh_error *reterr)
{
    struct listing l = {.fl = fl, .text = text};
    WH_TRY(sink_each_whole(receipts, list_one, &l, reterr));
    *ret_rows = l.rows;
    *ret_bytes = l.bytes;
    return WH_OK;
}
