/* SPDX-License-Identifier: Apache-2.0 */
/* The connector `file`: local disk and standard streams. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "files.h"

wh_status files_worded(int st, struct wh_error *reterr)
{
    bool silent = !reterr || !reterr->code[0];
    if (st == WH_E_NOMEM && silent)
        return wh_fail(reterr, st, "E8002", "no memory for files");
    if (st == WH_E_LIMIT && silent)
        return wh_fail(reterr, st, "E8006", "more than can be held");
    return st;
}

/* ---- endpoint ---------------------------------------------------------------------------------
 */

static wh_status endpoint_open(void *self, const struct wh_ctx *ctx, enum wh_role role,
                               const void *opts, struct wh_error *reterr)
{
    struct files_endpoint *ep = self;
    *ep = (struct files_endpoint){.ctx = ctx, .storage = &wh_storage_local};
    if (opts)
        ep->where = *(const struct wh_local_options *)opts;
    return WH_OK;
}

/* The folder can be opened and listed; a path is judged when it is known. */
static wh_status check(void *self, void *se, struct wh_error *reterr)
{
    const struct files_endpoint *ep = self;
    struct files_storage s = {0};
    struct wh_file_info info;
    int st = files_storage_open(&s, ep->storage, ep->where.root ? ep->where.root : ".", reterr);
    if (st == WH_OK)
        st = s.ops->stat(s.st, "", &info, reterr);
    files_storage_close(&s);
    return st;
}

static wh_status session_open(void *se, void *ep, enum wh_use use, struct wh_str *ret_ident,
                              struct wh_error *reterr)
{
    atomic_store(&((struct files_session *)se)->interrupted, false);
    *ret_ident = WH_STR("local");
    return WH_OK;
}

static void interrupt(void *se)
{
    atomic_store(&((struct files_session *)se)->interrupted, true);
}

/* The instant of a scan is its list of files with inode, time and size, frozen in its bounds. */
static wh_status snapshot(void *ep, void *se, const struct wh_objects *pin, int sessions,
                          struct wh_snapshot *ret, struct wh_error *reterr)
{
    *ret = (struct wh_snapshot){
        .kind = WH_SNAP_POINT, .token = {"files", 5}, .unchanged_provable = true};
    snprintf(ret->what, sizeof ret->what, "list of files with inode, time and size");
    return WH_OK;
}

static wh_status join(void *ep, const struct wh_snapshot *snap, struct wh_error *reterr)
{
    return WH_OK; /* each reader compares its file with the list */
}

static void release(void *ep, const struct wh_snapshot *snap)
{
}

/* ---- catalogue --------------------------------------------------------------------------------
 */

struct listing {
    const struct wh_pattern *pattern;
    wh_catalog_fn each;
    void *arg;
};

static wh_status list_one(void *arg, const struct wh_file_info *f)
{
    const struct listing *l = arg;
    if (f->is_folder || f->is_special || f->name.s[0] == '.' || f->name.s[0] == '_' ||
        !files_known_name(f->name))
        return WH_OK;
    struct wh_object o = {.name = {.part = {f->name}, .n = 1},
                          .kind = WH_OBJ_FILE,
                          .est_rows = -1,
                          .est_bytes = f->size};
    if (l->pattern && l->pattern->match && !l->pattern->match(l->pattern, &o.name))
        return WH_OK;
    return l->each(l->arg, &o);
}

/* Asked for one object: the files that a path, glob or folder names. Else the folder's files. */
static wh_status catalog(void *self, void *se, const struct wh_pattern *pattern, wh_catalog_fn each,
                         void *arg, struct wh_error *reterr)
{
    const struct files_endpoint *ep = self;
    struct listing l = {pattern, each, arg};
    if (pattern && pattern->exact && pattern->exact->n) {
        struct files_list found;
        int st = files_find(ep, pattern->exact, NULL, &found, reterr);
        for (size_t i = 0; st == WH_OK && i < found.n; i++) {
            struct wh_object o = {.name = {.part = {wh_str(found.v[i].name)}, .n = 1},
                                  .kind = WH_OBJ_FILE,
                                  .est_rows = -1,
                                  .est_bytes = found.v[i].size};
            st = each(arg, &o);
        }
        files_list_free(&found);
        return st;
    }
    struct files_storage s = {0};
    int st = files_storage_open(&s, ep->storage, ep->where.root ? ep->where.root : ".", reterr);
    if (st == WH_OK)
        st = s.ops->list(s.st, "", false, list_one, &l, reterr);
    files_storage_close(&s);
    return st;
}

static void session_close(void *se)
{
}

static void endpoint_close(void *ep)
{
}

const struct wh_endpoint_ops files_endpoint_ops = {
    .size = sizeof(struct wh_endpoint_ops),
    .open = endpoint_open,
    .check = check,
    .session_open = session_open,
    .interrupt = interrupt,
    .snapshot = snapshot,
    .join = join,
    .release = release,
    .catalog = catalog,
    .session_close = session_close,
    .close = endpoint_close,
};

/* ---- connector --------------------------------------------------------------------------------
 */

static const struct wh_capabilities caps = {
    .flags = WH_CAP_PROJECTION | WH_CAP_LIMIT | WH_CAP_STDIO | WH_CAP_LOCAL | WH_CAP_AS_IS |
             WH_CAP_PARTS,
    .modes = 1u << WH_MODE_APPEND | 1u << WH_MODE_OVERWRITE,
    .commit_class = WH_CLASS_P,
    .atomics = 1u << WH_ATOMIC_TABLE,
    .snapshot = WH_SNAP_POINT,
    .grade = "G1",
    .limits = "csv, tsv, json and jsonl, plain, gzip, zstd, bzip2, lz4 or snappy; files as they "
              "are; a file on standard "
              "streams cannot be "
              "resumed",
};

static const char *const schemes[] = {"file", NULL};

WH_CONNECTOR(file);
const struct wh_connector wh_connector_file = {
    .abi = WH_ABI,
    .size = sizeof(struct wh_connector),
    .name = "file",
    .title = "Files on local disk and standard streams",
    .schemes = schemes,
    .url = WH_URL_OBJECT,
    .connection = &files_connection_table,
    .from = &files_from_table,
    .to = &files_to_table,
    .caps = &caps,
    .ep_size = sizeof(struct files_endpoint),
    .se_size = sizeof(struct files_session),
    .endpoint = &files_endpoint_ops,
    .source = &files_source_ops,
    .sink = &files_sink_ops,
    .storage = &wh_storage_local,
    .validate = files_validate,
    .libraries = wh_codec_libraries,
};
