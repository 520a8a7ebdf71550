/* SPDX-License-Identifier: Apache-2.0 */
/* Steps of a target: make folders, publish, tidy; and what is found of earlier attempts.
 *
 * Every step looks at what is there, so doing it twice is harmless: a file that exists under its
 * final name is compared with the receipts (size, then hash), never trusted. */
#include <stdio.h>
#include <string.h>

#include "core/tree.h"
#include "pack.h"
#include "sink.h"

enum {
    SIDE_MAX = 64 << 20,
    MANIFEST_MAX = 256 << 20,
    STEP_FOLDERS = 1,
    STEP_PUBLISH,
    STEP_MANIFEST,
    STEP_SUCCESS,
    STEP_TIDY,
    STEP_HEADER,
    STEP_SUMS,
    STEP_LIST,
    STEP_LOOK,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to publish files");
}

/* *ret_there false: there is no such file. *reterr is filled for real trouble only. */
static wh_status look_for(const struct sink_target *fl, const char *name, struct wh_file_info *ret,
                          bool *ret_there, struct wh_error *reterr)
{
    struct wh_error err = {0};
    int st = fl->storage.ops->stat(fl->storage.st, name, ret, &err);
    *ret_there = st == WH_OK;
    if (st == WH_OK || st == WH_E_NOT_FOUND)
        return WH_OK;
    if (reterr)
        *reterr = err;
    return st;
}

/* ---- walking over all parts -------------------------------------------------------------------
 */

wh_status sink_each_part(struct wh_receipts *receipts, sink_part_fn fn, void *arg, int64_t *ret_n,
                         struct wh_error *reterr)
{
    struct wh_receipt r;
    int64_t number = 0;
    int st = WH_OK;
    if (receipts)
        receipts->rewind(receipts);
    while (receipts && st == WH_OK && (st = receipts->next(receipts, &r)) == WH_OK) {
        struct sink_receipt parts = {0};
        if (!r.receipt.n)
            continue;
        st = sink_receipt_read(r.receipt, &parts, reterr);
        for (size_t i = 0; st == WH_OK && i < parts.n; i++)
            st = fn(arg, &parts.v[i], ++number, reterr);
        sink_receipt_free(&parts);
    }
    if (ret_n)
        *ret_n = number;
    return st == WH_END ? WH_OK : st;
}

static wh_status each_part(struct wh_receipts *receipts, sink_part_fn fn, void *arg,
                           struct wh_error *reterr)
{
    return sink_each_part(receipts, fn, arg, NULL, reterr);
}

/* What the joined file must be. */
struct whole {
    const struct sink_target *fl;
    int64_t parts, size, rows;
    struct sink_part first;
};

static wh_status add_up(void *arg, const struct sink_part *p, int64_t number,
                        struct wh_error *reterr)
{
    struct whole *w = arg;
    if (!w->parts++)
        w->first = *p;
    w->size += w->parts > 1 ? (int64_t)w->fl->comma.n + sink_body(w->fl, p) : p->size;
    w->rows += p->rows;
    return WH_OK;
}

struct job {
    const struct sink_target *fl;
    const struct wh_fence *fence;
    char stage[SINK_NAME];
    char file[SINK_NAME]; /* the file that is compared or written */
    int64_t at;           /* in it */
    bool same;
    struct wh_buf *text;
    int64_t rows, bytes;
};

static void staged_name(const struct job *j, const char *part, char out[SINK_NAME])
{
    snprintf(out, SINK_NAME, "%.400s/%.100s", j->stage, part);
}

/* ---- comparing --------------------------------------------------------------------------------
 */

static wh_status compare_part(void *arg, const struct sink_part *p, int64_t number,
                              struct wh_error *reterr)
{
    struct job *j = arg;
    int64_t skip = number == 1 ? p->header_n : (int64_t)j->fl->comma.n, body = sink_body(j->fl, p);
    uint64_t hash;
    j->at += skip;
    WH_TRY(sink_hash_file(j->fl, j->file, j->at, body, &hash, reterr));
    j->at += body;
    j->same = j->same && hash == p->hash;
    return WH_OK;
}

/* A table without rows: the file is the header, or empty. */
static wh_status is_header(const struct job *j, int64_t size, bool *ret, struct wh_error *reterr)
{
    struct wh_buf header = WH_BUF(64 << 20);
    uint64_t hash = 0;
    int st = sink_no_rows(j->fl, &header, reterr);
    *ret = st == WH_OK && size == (int64_t)header.n;
    if (*ret) {
        st = sink_hash_file(j->fl, j->file, 0, size, &hash, reterr);
        *ret = !size || hash == sink_hash(0, header.p, header.n);
    }
    wh_buf_free(&header);
    return st;
}

/* Is the final file already what the receipts say? */
static wh_status already(struct job *j, struct wh_receipts *receipts, const struct whole *w,
                         bool *ret, struct wh_error *reterr)
{
    struct wh_file_info info;
    bool there;
    *ret = false;
    WH_TRY(look_for(j->fl, j->file, &info, &there, reterr));
    if (there && !w->parts)
        return is_header(j, info.size, ret, reterr);
    if (!there || info.size != w->size)
        return WH_OK;
    j->at = 0;
    j->same = true;
    WH_TRY(each_part(receipts, compare_part, j, reterr));
    *ret = j->same;
    return WH_OK;
}

static wh_status is_part(const struct job *j, const char *name, const struct sink_part *p,
                         bool *ret, struct wh_error *reterr)
{
    struct wh_file_info info;
    uint64_t hash;
    bool there;
    *ret = false;
    WH_TRY(look_for(j->fl, name, &info, &there, reterr));
    if (!there || info.size != p->size)
        return WH_OK;
    WH_TRY(sink_hash_file(j->fl, name, p->header_n, sink_body(j->fl, p), &hash, reterr));
    *ret = hash == p->hash;
    return WH_OK;
}

wh_status sink_part_lost(const char *name, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_STATE, "E7009",
                     "the part '%s' of a committed unit is gone or was changed", name);
    wh_error_hint(reterr, "--fresh starts again");
    return st;
}

static wh_status in_the_way(const struct job *j, const char *name, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_STATE, "E5012", "'%s/%s' was made by somebody else meanwhile",
                     j->fl->root, name);
    wh_error_hint(reterr,
                  "remove it, then 'wherry resume'; or give this run up (cancel) and begin again "
                  "with --mode overwrite");
    return st;
}

/* ---- one file ---------------------------------------------------------------------------------
 */

static wh_status exists(const struct job *j, const char *name, bool *ret, struct wh_error *reterr)
{
    struct wh_file_info info;
    return look_for(j->fl, name, &info, ret, reterr);
}

static wh_status publish_file(struct job *j, struct wh_receipts *receipts, bool maybe_done,
                              struct wh_error *reterr)
{
    const struct sink_target *fl = j->fl;
    const struct wh_storage_ops *ops = fl->storage.ops;
    struct whole w = {.fl = fl};
    char temporary[SINK_NAME];
    bool done = false, there = false;
    WH_TRY(each_part(receipts, add_up, &w, reterr));
    sink_final_name(fl, j->fence, 1, j->file);
    if (w.parts == 1) {
        staged_name(j, w.first.name, temporary);
        WH_TRY(exists(j, temporary, &there, reterr));
    }
    if (maybe_done || (w.parts == 1 && !there))
        WH_TRY(already(j, receipts, &w, &done, reterr));
    if (done)
        return WH_OK;
    if (w.parts == 1 && !there)
        return sink_part_lost(temporary, reterr);
    if (w.parts != 1)
        WH_TRY(sink_join_all(fl, j->fence, receipts, temporary, reterr));
    int st = ops->publish(fl->storage.st, temporary, j->file, fl->append, reterr);
    if (st != WH_REFUSED)
        return st;
    WH_TRY(already(j, receipts, &w, &done, reterr));
    return done ? WH_OK : in_the_way(j, j->file, reterr);
}

/* ---- several files ----------------------------------------------------------------------------
 */

static wh_status publish_part(void *arg, const struct sink_part *p, int64_t number,
                              struct wh_error *reterr)
{
    struct job *j = arg;
    const struct sink_target *fl = j->fl;
    char temporary[SINK_NAME], name[SINK_NAME];
    bool there, same;
    staged_name(j, p->name, temporary);
    sink_final_name(fl, j->fence, number, name);
    WH_TRY(exists(j, temporary, &there, reterr));
    if (!there) {
        WH_TRY(is_part(j, name, p, &same, reterr));
        return same ? WH_OK : sink_part_lost(temporary, reterr);
    }
    int st = fl->storage.ops->publish(fl->storage.st, temporary, name, fl->append, reterr);
    if (st != WH_REFUSED)
        return st;
    WH_TRY(is_part(j, name, p, &same, reterr));
    return same ? WH_OK : in_the_way(j, name, reterr);
}

struct each_file {
    const struct sink_target *fl;
    const struct wh_fence *fence;
    sink_file_fn fn;
    void *arg;
};

static wh_status file_of_part(void *arg, const struct sink_part *p, int64_t number,
                              struct wh_error *reterr)
{
    const struct each_file *e = arg;
    char name[SINK_NAME];
    sink_final_name(e->fl, e->fence, number, name);
    return e->fn(e->arg, name, reterr);
}

wh_status sink_each_file(const struct sink_target *fl, const struct wh_fence *fence,
                         struct wh_receipts *receipts, sink_file_fn fn, void *arg,
                         struct wh_error *reterr)
{
    struct each_file e = {fl, fence, fn, arg};
    char name[SINK_NAME];
    if (fl->shape == FILES_FORMAT_BINARY)
        return sink_as_is_each(fl, receipts, fn, arg, reterr);
    if (fl->parts)
        return each_part(receipts, file_of_part, &e, reterr);
    sink_final_name(fl, fence, 1, name);
    return fn(arg, name, reterr);
}

/* ---- the manifest -----------------------------------------------------------------------------
 */

static void manifest_name(const struct sink_target *fl, char out[SINK_NAME])
{
    snprintf(out, SINK_NAME, "%s_wherry_manifest.%s.json", fl->folder, fl->stem);
}

static wh_status manifest_line(void *arg, const struct sink_part *p, int64_t number,
                               struct wh_error *reterr)
{
    struct job *j = arg;
    char name[SINK_NAME];
    sink_final_name(j->fl, j->fence, number, name);
    const char *base = name + strlen(j->fl->folder);
    int64_t bytes = j->fl->key ? wh_seal_stored(p->size) : p->size;
    int st = wh_buf_adds(j->text, number > 1 ? ",\n  {\"name\": " : "\n  {\"name\": ");
    if (st == WH_OK)
        st = wh_buf_json(j->text, base, strlen(base));
    if (st == WH_OK)
        st = wh_buf_printf(j->text, ", \"rows\": %lld, \"bytes\": %lld", (long long)p->rows,
                           (long long)bytes);
    if (st == WH_OK &&
        !j->fl->key) /* the hash of a text tells who knows the text that it is there */
        st = wh_buf_printf(j->text, ", \"hash\": \"%016llx\"", (unsigned long long)p->hash);
    if (st == WH_OK)
        st = wh_buf_adds(j->text, "}");
    j->rows += p->rows;
    j->bytes += bytes;
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

static wh_status manifest_text(struct job *j, struct wh_receipts *receipts, struct wh_error *reterr)
{
    struct wh_buf *b = j->text;
    int st = wh_buf_adds(b, "{\"wherry_manifest\": 1, \"run\": ");
    if (st == WH_OK)
        st = wh_buf_json(b, j->fence->run.s, j->fence->run.n);
    bool as_is = j->fl->shape == FILES_FORMAT_BINARY;
    if (st == WH_OK)
        st = wh_buf_printf(b, "%s, \"files\": [", as_is ? ", \"format\": \"binary\"" : "");
    if (st != WH_OK)
        return no_memory(reterr);
    WH_TRY(as_is ? sink_as_is_manifest(j->fl, receipts, b, &j->rows, &j->bytes, reterr)
                 : each_part(receipts, manifest_line, j, reterr));
    st = wh_buf_printf(b, "\n ], \"rows\": %lld, \"bytes\": %lld}\n", (long long)j->rows,
                       (long long)j->bytes);
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* Files of the manifest before, unless the new one has them too. */
static wh_status remove_old(struct job *j, const char *manifest, struct wh_error *reterr)
{
    const struct sink_target *fl = j->fl;
    struct wh_buf old = WH_BUF(MANIFEST_MAX);
    WH_CLEANUP(wh_arena_freep) struct wh_arena *arena = wh_arena_new((size_t)1 << 30);
    struct wh_node *doc = NULL;
    bool there;
    if (!arena)
        return no_memory(reterr);
    WH_TRY(exists(j, manifest, &there, reterr));
    if (!there)
        return WH_OK;
    int st = sink_get_small(fl, manifest, MANIFEST_MAX, &old, reterr);
    struct wh_problems problems = {.arena = arena};
    int read = st == WH_OK ? wh_json_parse(arena, manifest, old.p, old.n, &doc, &problems) : st;
    if (read == WH_E_NOMEM)
        st = no_memory(reterr);
    if (read != WH_OK)
        doc = NULL; /* not ours after all: its files are left alone */
    struct wh_node *files = doc ? wh_node_get(doc, "files") : NULL;
    for (size_t i = 0; st == WH_OK && files && i < files->n; i++) {
        const char *name = wh_node_text(wh_node_get(files->items[i], "name"), "");
        char full[SINK_NAME], quoted[SINK_NAME];
        snprintf(quoted, sizeof quoted, "{\"name\": \"%.400s\"", name);
        if (!*name || strchr(name, '/') || memmem(j->text->p, j->text->n, quoted, strlen(quoted)))
            continue;
        snprintf(full, sizeof full, "%.200s%.300s", fl->folder, name);
        st = fl->storage.ops->remove(fl->storage.st, full, reterr);
        snprintf(full, sizeof full, "%.200s%.280s%s", fl->folder, name, sink_sum_suffix(fl));
        if (st == WH_OK && fl->md5 != FILES_MD5_OFF)
            st = fl->storage.ops->remove(fl->storage.st, full, reterr);
    }
    wh_buf_free(&old);
    return st;
}

/* An appended manifest keeps the files of the ones before: it is made per run. Of files as they are
 * it names those that the last run brought, whatever the mode; others are nobody's to remove. */
static wh_status publish_manifest(struct job *j, struct wh_receipts *receipts,
                                  struct wh_error *reterr)
{
    const struct sink_target *fl = j->fl;
    struct wh_buf text = WH_BUF(MANIFEST_MAX);
    char name[SINK_NAME], temporary[SINK_NAME], tag[13];
    j->text = &text;
    int st = manifest_text(j, receipts, reterr);
    manifest_name(fl, name);
    if (fl->shape == FILES_FORMAT_BINARY) {
        ;
    } else if (fl->append) {
        sink_run_tag(j->fence, tag);
        snprintf(name, sizeof name, "%.200s_wherry_manifest.%.200s.%s.json", fl->folder, fl->stem,
                 tag);
    } else if (st == WH_OK) {
        st = remove_old(j, name, reterr);
    }
    snprintf(temporary, sizeof temporary, "%.400s/f%u.manifest", j->stage, j->fence->flow);
    if (st == WH_OK)
        st = sink_put_small(fl, temporary, text.p, text.n, true, reterr);
    if (st == WH_OK)
        st = fl->storage.ops->publish(fl->storage.st, temporary, name, false, reterr);
    wh_buf_free(&text);
    return st;
}

static wh_status publish_success(struct job *j, struct wh_error *reterr)
{
    char name[SINK_NAME], temporary[SINK_NAME];
    snprintf(name, sizeof name, "%s_SUCCESS", j->fl->folder);
    snprintf(temporary, sizeof temporary, "%.400s/f%u.success", j->stage, j->fence->flow);
    WH_TRY(sink_put_small(j->fl, temporary, "", 0, true, reterr));
    return j->fl->storage.ops->publish(j->fl->storage.st, temporary, name, false, reterr);
}

/* ---- folders ----------------------------------------------------------------------------------
 */

static wh_status make_folders(struct job *j, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = j->fl->storage.ops;
    char path[SINK_NAME];
    for (const char *p = strchr(j->fl->folder, '/'); p; p = strchr(p + 1, '/')) {
        snprintf(path, sizeof path, "%.*s", (int)(p - j->fl->folder), j->fl->folder);
        WH_TRY(ops->make_folder(j->fl->storage.st, path, reterr));
    }
    return ops->make_folder(j->fl->storage.st, j->stage, reterr);
}

struct tidy {
    struct job *j;
    struct wh_buf names;
    bool all; /* of this flow; else only of its generations up to the fence's */
};

static wh_status pick(void *arg, const struct wh_file_info *f)
{
    struct tidy *t = arg;
    const struct wh_fence *fence = t->j->fence;
    char prefix[32];
    int n = snprintf(prefix, sizeof prefix, "f%u.", fence->flow);
    const char *base = memrchr(f->name.s, '/', f->name.n);
    struct wh_str name = f->name;
    if (base)
        name = (struct wh_str){base + 1, f->name.n - (size_t)(base + 1 - f->name.s)};
    if (f->is_folder || f->is_special || name.n < (size_t)n ||
        memcmp(name.s, prefix, (size_t)n) != 0)
        return WH_OK;
    const char *g = memmem(name.s, name.n, ".g", 2);
    if (!t->all && g) {
        uint64_t generation = 0;
        const char *end = name.s + name.n;
        for (g += 2; g < end && *g >= '0' && *g <= '9'; g++)
            generation = generation * 10 + (uint64_t)(*g - '0');
        if (generation > fence->generation)
            return WH_OK;
    }
    WH_TRY(wh_buf_add(&t->names, f->name.s, f->name.n));
    return wh_buf_addc(&t->names, '\0');
}

/* Removes what the flow left in the run's folder, and the folder when it is empty. */
static wh_status tidy_up(struct job *j, bool all, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = j->fl->storage.ops;
    struct tidy t = {.j = j, .names = WH_BUF(1 << 30), .all = all};
    bool there;
    WH_TRY(exists(j, j->stage, &there, reterr));
    if (!there)
        return WH_OK;
    int st = ops->list(j->fl->storage.st, j->stage, false, pick, &t, reterr);
    for (size_t at = 0; st == WH_OK && at < t.names.n; at += strlen(t.names.p + at) + 1)
        st = ops->remove(j->fl->storage.st, t.names.p + at, reterr);
    wh_buf_free(&t.names);
    if (st == WH_OK)
        st = ops->remove_folder(j->fl->storage.st, j->stage, reterr);
    return st;
}

/* ---- steps and apply --------------------------------------------------------------------------
 */

struct adding {
    struct wh_step_sink *out;
    enum wh_phase phase;
    uint32_t id;
};

static wh_status add(struct adding *a, uint8_t what, uint32_t flags, const char *say)
{
    struct wh_step s = {.id = a->id + 1,
                        .after = a->id,
                        .phase = a->phase,
                        .flags = flags,
                        .say = wh_str(say),
                        .token = {&what, 1}};
    a->id++;
    return a->out->add(a->out, &s);
}

/* What lies beside the files comes before what says that all are there. */
static wh_status beside_steps(const struct sink_target *fl, struct adding *a)
{
    char say[1200];
    snprintf(say, sizeof say, "write sums of the files beside them (*%s)", sink_sum_suffix(fl));
    if (fl->md5 != FILES_MD5_OFF)
        WH_TRY(add(a, STEP_SUMS, 0, say));
    snprintf(say, sizeof say, "write the names of the files to %s/%s%.300s", fl->root, fl->folder,
             fl->list ? fl->list : "");
    return fl->list ? add(a, STEP_LIST, 0, say) : WH_OK;
}

static wh_status publish_steps(const struct sink_target *fl, struct adding *a)
{
    char say[1200], name[SINK_NAME];
    sink_final_name(fl, NULL, 1, name);
    if (!fl->parts) {
        snprintf(say, sizeof say, "%s parts to %s/%s", fl->append ? "link" : "rename", fl->root,
                 name);
        WH_TRY(add(a, STEP_PUBLISH, fl->append ? 0 : WH_STEP_DESTRUCTIVE, say));
        return beside_steps(fl, a);
    }
    /* Apart, so that a name that is taken is met while nothing shows. */
    snprintf(say, sizeof say, "look whether the names in %s/%s are free", fl->root, fl->folder);
    if (fl->shape == FILES_FORMAT_BINARY)
        WH_TRY(add(a, STEP_LOOK, WH_STEP_LOOKS, say));
    if (fl->shape == FILES_FORMAT_BINARY)
        snprintf(say, sizeof say, "%s files into %s/%s, each under its path",
                 fl->append ? "link" : "rename", fl->root, fl->folder);
    else
        snprintf(say, sizeof say, "%s parts to %s/%s%s-*%s", fl->append ? "link" : "rename",
                 fl->root, fl->folder, fl->stem, fl->suffix);
    WH_TRY(add(a, STEP_PUBLISH, fl->append ? 0 : WH_STEP_DESTRUCTIVE, say));
    WH_TRY(beside_steps(fl, a));
    manifest_name(fl, name);
    snprintf(say, sizeof say, "write %s/%s%s", fl->root, name,
             fl->append || fl->shape == FILES_FORMAT_BINARY ? ""
                                                            : ", remove files of the one before");
    WH_TRY(add(a, STEP_MANIFEST, fl->append ? 0 : WH_STEP_DESTRUCTIVE, say));
    if (!fl->success_file)
        return WH_OK;
    snprintf(say, sizeof say, "make %s/%s_SUCCESS", fl->root, fl->folder);
    return add(a, STEP_SUCCESS, 0, say);
}

wh_status sink_steps(void *self, void *se, enum wh_phase phase, struct wh_receipts *receipts,
                     struct wh_step_sink *out, struct wh_error *reterr)
{
    const struct sink_target *fl = self;
    struct adding a = {.out = out, .phase = phase};
    char say[1200];
    if (fl->is_stdout)
        return phase == WH_PUBLISH && (fl->header || *fl->mark)
                   ? add(&a, STEP_HEADER, 0,
                         fl->shape == FILES_FORMAT_JSON ? "close the array"
                                                        : "write the header, if no row was")
                   : WH_OK;
    switch (phase) {
    case WH_PREPARE:
        snprintf(say, sizeof say, "make folder %s/%s.wherry-<run>", fl->root, fl->folder);
        return add(&a, STEP_FOLDERS, 0, say);
    case WH_PUBLISH:
        return publish_steps(fl, &a);
    case WH_FINISH:
    case WH_DROP:
        snprintf(say, sizeof say, "remove parts in %s/%s.wherry-<run>", fl->root, fl->folder);
        return add(&a, STEP_TIDY, 0, say);
    default:
        return WH_OK;
    }
}

static wh_status late_header(struct sink_target *fl, struct wh_error *reterr)
{
    struct wh_buf header = WH_BUF(64 << 20);
    int st = WH_OK;
    if (!atomic_flag_test_and_set(&fl->header_written))
        st = sink_header(fl, &header, reterr);
    if (st == WH_OK && header.n)
        st = sink_put_stdout(header.p, header.n, reterr);
    if (st == WH_OK && fl->footer.n)
        st = sink_put_stdout(fl->footer.p, fl->footer.n, reterr);
    wh_buf_free(&header);
    return st;
}

static wh_status apply(struct sink_target *fl, const struct wh_step *step,
                       const struct wh_fence *fence, struct wh_receipts *receipts, bool maybe_done,
                       struct wh_error *reterr)
{
    struct job j = {.fl = fl, .fence = fence};
    int what = step->token.n == 1 ? *(const uint8_t *)step->token.p : 0;
    if (!fl->is_stdout)
        sink_stage_folder(fl, fence, j.stage);
    switch (what) {
    case STEP_FOLDERS:
        return make_folders(&j, reterr);
    case STEP_LOOK:
        return sink_as_is_look(fl, fence, receipts, j.stage, reterr);
    case STEP_PUBLISH:
        if (fl->shape == FILES_FORMAT_BINARY)
            return sink_as_is_publish(fl, fence, receipts, j.stage, reterr);
        return fl->parts ? each_part(receipts, publish_part, &j, reterr)
                         : publish_file(&j, receipts, maybe_done, reterr);
    case STEP_MANIFEST:
        return publish_manifest(&j, receipts, reterr);
    case STEP_SUCCESS:
        return publish_success(&j, reterr);
    case STEP_TIDY:
        return tidy_up(&j, step->phase == WH_FINISH, reterr);
    case STEP_SUMS:
        return sink_write_sums(fl, fence, receipts, j.stage, reterr);
    case STEP_LIST:
        return sink_write_list(fl, fence, receipts, j.stage, reterr);
    case STEP_HEADER:
        return late_header(fl, reterr);
    default:
        return wh_fail(reterr, WH_E_BUG, "E9003", "no step %u here", step->id);
    }
}

wh_status sink_apply(void *fl, void *se, const struct wh_step *step, const struct wh_fence *fence,
                     struct wh_receipts *receipts, bool maybe_done, struct wh_bytes *ret_receipt,
                     struct wh_error *reterr)
{
    if (ret_receipt)
        *ret_receipt = (struct wh_bytes){NULL, 0};
    return files_worded(apply(fl, step, fence, receipts, maybe_done, reterr), reterr);
}

/* ---- what earlier attempts left ---------------------------------------------------------------
 */

static wh_status still_there(void *arg, const struct sink_part *p, int64_t number,
                             struct wh_error *reterr)
{
    struct job *j = arg;
    char name[SINK_NAME];
    struct wh_file_info info;
    bool there;
    staged_name(j, p->name, name);
    WH_TRY(look_for(j->fl, name, &info, &there, reterr));
    if (there && info.size == p->size)
        return WH_OK;
    if (j->fl->shape == FILES_FORMAT_BINARY && sink_as_is_published(j->fl, p))
        return WH_OK;
    if (j->fl->parts) { /* published already? */
        sink_final_name(j->fl, j->fence, number, name);
        WH_TRY(look_for(j->fl, name, &info, &there, reterr));
        if (there && info.size == p->size)
            return WH_OK;
    }
    j->same = false;
    return WH_OK;
}

wh_status sink_verify(void *self, void *se, struct wh_receipts *committed,
                      const struct wh_fence *fence, struct wh_error *reterr)
{
    const struct sink_target *fl = self;
    struct job j = {.fl = fl, .fence = fence, .same = true};
    struct whole w = {.fl = fl};
    bool done = false;
    if (fl->is_stdout)
        return WH_OK;
    sink_stage_folder(fl, fence, j.stage);
    WH_TRY(each_part(committed, still_there, &j, reterr));
    if (j.same)
        return WH_OK;
    if (!fl->parts) { /* the whole file may have its name already */
        WH_TRY(each_part(committed, add_up, &w, reterr));
        sink_final_name(fl, fence, 1, j.file);
        WH_TRY(already(&j, committed, &w, &done, reterr));
    }
    return done ? WH_OK : sink_part_lost(j.stage, reterr);
}

static bool parts_complete(const struct job *j, struct wh_bytes receipt)
{
    struct sink_receipt parts;
    struct job check = *j;
    check.same = sink_receipt_read(receipt, &parts, NULL) == WH_OK;
    if (!check.same)
        return false;
    for (size_t i = 0; i < parts.n; i++) {
        char name[SINK_NAME];
        struct wh_file_info info;
        staged_name(j, parts.v[i].name, name);
        check.same = check.same &&
                     j->fl->storage.ops->stat(j->fl->storage.st, name, &info, NULL) == WH_OK &&
                     info.size == parts.v[i].size;
    }
    sink_receipt_free(&parts);
    return check.same;
}

/* The latest attempt whose side file is whole and whose parts are there. The bytes of the answer
 * live in fl->text until the next call. */
wh_status sink_lookup(void *self, void *se, const struct wh_unit *unit, struct wh_fate *ret,
                      struct wh_error *reterr)
{
    struct sink_target *fl = self;
    struct job j = {.fl = fl};
    char base[64], name[SINK_NAME];
    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    if (fl->is_stdout)
        return WH_OK;
    struct wh_fence fence = {.run = wh_str(fl->ctx && fl->ctx->run ? fl->ctx->run : "")};
    sink_stage_folder(fl, &fence, j.stage);
    for (int32_t attempt = unit->attempt; attempt >= 1; attempt--) {
        sink_attempt_name(unit, attempt, base, sizeof base);
        snprintf(name, sizeof name, "%.400s/%s.receipt", j.stage, base);
        wh_buf_clear(&fl->text);
        struct wh_error err = {0};
        int st = sink_get_small(fl, name, SIDE_MAX, &fl->text, &err);
        if (st == WH_E_NOT_FOUND)
            continue;
        if (st != WH_OK && reterr)
            *reterr = err;
        WH_TRY(st);
        if (!sink_side_read((struct wh_bytes){fl->text.p, fl->text.n}, &ret->marker,
                            &ret->receipt) ||
            !parts_complete(&j, ret->receipt))
            continue;
        ret->kind = WH_FATE_STAGED;
        ret->attempt = attempt;
        return WH_OK;
    }
    *ret = (struct wh_fate){.kind = WH_FATE_ABSENT};
    return WH_OK;
}
