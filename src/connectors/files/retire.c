/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of files that were read, once all rows are final (after_read): they stay, are
 * removed, renamed or moved. Only files that are still those of the plan: one that was changed or
 * replaced meanwhile holds rows that nobody read, and is left alone. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "find.h"
#include "scan.h"
#include "sink.h"

#define DONE ".done"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to put files away");
}

wh_status files_after_parse(const char *text, enum files_after *ret, const char **ret_folder,
                            struct wh_error *reterr)
{
    *ret_folder = NULL;
    *ret = FILES_AFTER_KEEP;
    if (!text || !strcmp(text, "keep"))
        return WH_OK;
    *ret = FILES_AFTER_DELETE;
    if (!strcmp(text, "delete"))
        return WH_OK;
    *ret = FILES_AFTER_RENAME;
    if (!strcmp(text, "rename"))
        return WH_OK;
    *ret = FILES_AFTER_MOVE;
    *ret_folder = text + 5;
    if (!strncmp(text, "move:", 5) && text[5])
        return WH_OK;
    return wh_fail(reterr, WH_E_USAGE, "E1002",
                   "after_read '%s': keep, delete, rename or move:FOLDER", text);
}

/* ---- in the plan ------------------------------------------------------------------------------
 */

/* The folder that exists at or above one that may have to be made. */
static bool device_of(const char *folder, dev_t *ret)
{
    char path[PATH_MAX];
    struct stat s;
    snprintf(path, sizeof path, "%s", folder);
    for (;;) {
        if (stat(path, &s) == 0) {
            *ret = s.st_dev;
            return S_ISDIR(s.st_mode);
        }
        char *slash = strrchr(path, '/');
        if (errno != ENOENT || !slash)
            return false;
        slash[slash == path] = 0;
    }
}

static wh_status may_change(const struct files_scan *sc, const struct files_entry *e,
                            const dev_t *device, struct wh_error *reterr)
{
    char path[PATH_MAX];
    struct stat s;
    int n = snprintf(path, sizeof path, "%s/%s", sc->list.root, files_stored(e));
    if (n < 0 || (size_t)n >= sizeof path)
        return wh_fail(reterr, WH_E_LIMIT, "E8006", "the path of '%s' is too long", e->name);
    if (device && (stat(path, &s) < 0 || s.st_dev != *device)) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1007",
                         "'%s' cannot be moved to '%s' in one step: that is another disk", path,
                         sc->after_folder);
        wh_error_hint(reterr, "name a folder of the same disk, or after_read=rename");
        return st;
    }
    *strrchr(path, '/') = 0;
    if (access(path[0] ? path : "/", W_OK | X_OK) == 0)
        return WH_OK;
    int st =
        wh_fail_errno(reterr, errno, "E2013", "after_read: folder '%s' may not be changed", path);
    if (reterr)
        reterr->status = st = WH_E_AUTH;
    return st;
}

/* The folder of move: as an absolute path. */
static wh_status absolute(const struct files_endpoint *ep, const char *folder, char **ret,
                          struct wh_error *reterr)
{
    struct wh_buf b = WH_BUF(1 << 16);
    char here[PATH_MAX] = "";
    const char *root = ep->where.root;
    int st = WH_OK;
    if (folder[0] != '/' && !(root && root[0] == '/') && !getcwd(here, sizeof here))
        return wh_fail_errno(reterr, errno, "E2012", "the current folder");
    if (folder[0] != '/')
        st =
            wh_buf_printf(&b, "%s%s%s/", here, root && root[0] != '/' ? "/" : "", root ? root : "");
    if (st == WH_OK)
        st = wh_buf_adds(&b, folder);
    while (st == WH_OK && b.n > 1 && b.p[b.n - 1] == '/')
        b.p[--b.n] = 0;
    if (st == WH_OK && strstr(b.p, "/../"))
        st = wh_fail(reterr, WH_E_USAGE, "E1002", "after_read: '%s' must not hold '..'", folder);
    else if (st != WH_OK)
        st = no_memory(reterr);
    if (st == WH_OK)
        *ret = wh_buf_take(&b);
    wh_buf_free(&b);
    return st;
}

wh_status files_after_choose(struct files_scan *sc, const struct files_from *o, struct wh_scan *io,
                             struct wh_error *reterr)
{
    const char *folder;
    dev_t device = 0;
    WH_TRY(files_after_parse(o ? o->after_read : NULL, &sc->after, &folder, reterr));
    if (sc->after == FILES_AFTER_KEEP)
        return WH_OK;
    if (sc->limit > 0)
        return wh_fail(reterr, WH_E_USAGE, "E1007",
                       "after_read and limit: the files would not be read to their end");
    if (sc->after == FILES_AFTER_DELETE && sc->list.unread) {
        int st = wh_fail(reterr, WH_E_USAGE, "E1007",
                         "after_read=delete: %lld members of archives are not read and would be "
                         "lost",
                         (long long)sc->list.unread);
        wh_error_hint(reterr, "after_read=rename, or move:FOLDER");
        return st;
    }
    if (folder)
        WH_TRY(absolute(sc->ep, folder, &sc->after_folder, reterr));
    if (folder && !device_of(sc->after_folder, &device))
        return wh_fail(reterr, WH_E_USAGE, "E2014", "after_read: '%s' is no folder",
                       sc->after_folder);
    for (size_t i = 0; i < sc->list.n; i++)
        WH_TRY(may_change(sc, &sc->list.v[i], folder ? &device : NULL, reterr));
    io->retires = true;
    io->destroys = sc->after == FILES_AFTER_DELETE;
    return WH_OK;
}

/* ---- at the end -------------------------------------------------------------------------------
 */

struct away {
    const struct files_scan *sc;
    const struct files_endpoint *ep;
    struct files_storage all; /* opened at / */
    const struct wh_fence *fence;
    bool tell;
};

/* Folders above a name below /. */
static wh_status make_folders(const struct away *a, char *name, struct wh_error *reterr)
{
    for (char *p = strchr(name, '/'); p; p = strchr(p + 1, '/')) {
        struct wh_file_info info;
        *p = 0;
        int st = a->all.ops->stat(a->all.st, name, &info, NULL) == WH_OK && info.is_folder
                     ? WH_OK
                     : a->all.ops->make_folder(a->all.st, name, reterr);
        *p = '/';
        WH_TRY(st);
    }
    return WH_OK;
}

/* Where a file of the list goes; both names are below /. `again` > 0: its first name is taken by
 * another file. */
static wh_status new_name(const struct away *a, const struct files_entry *e, int again,
                          struct wh_buf *out)
{
    const struct files_scan *sc = a->sc;
    char tag[13];
    if (sc->after == FILES_AFTER_RENAME)
        WH_TRY(wh_buf_printf(out, "%s%s%s" DONE, sc->list.root + 1, sc->list.root[1] ? "/" : "",
                             e->name));
    else
        WH_TRY(wh_buf_printf(out, "%s/%s", sc->after_folder + 1, e->name));
    sink_run_tag(a->fence, tag);
    return again ? wh_buf_printf(out, ".%s", tag) : WH_OK;
}

static bool is_same(const struct away *a, const char *name, const struct files_entry *e)
{
    struct wh_file_info info;
    return a->all.ops->stat(a->all.st, name, &info, NULL) == WH_OK && !strcmp(info.etag, e->etag);
}

static wh_status put_aside(const struct away *a, const char *name, const struct files_entry *e,
                           struct wh_error *reterr)
{
    for (int again = 0; again < 2; again++) {
        WH_CLEANUP(wh_buf_free) struct wh_buf to = WH_BUF(1 << 16);
        if (new_name(a, e, again, &to) != WH_OK)
            return no_memory(reterr);
        if (a->sc->after == FILES_AFTER_MOVE)
            WH_TRY(make_folders(a, to.p, reterr));
        int st = a->all.ops->move(a->all.st, name, to.p, reterr);
        if (st != WH_REFUSED)
            return st;
    }
    int st = wh_fail(reterr, WH_E_IO, "E5012", "'/%s' cannot be put away: its new names are taken",
                     name);
    wh_error_hint(reterr, "all rows are written; make room there, then 'wherry resume'");
    return st;
}

static wh_status retire_one(const struct away *a, const struct files_entry *e,
                            struct wh_error *reterr)
{
    const struct files_scan *sc = a->sc;
    struct wh_file_info info;
    struct wh_error err = {0};
    WH_CLEANUP(wh_buf_free) struct wh_buf name = WH_BUF(1 << 16);
    if (wh_buf_printf(&name, "%s%s%s", sc->list.root + 1, sc->list.root[1] ? "/" : "", e->name) !=
        WH_OK)
        return no_memory(reterr);
    int st = a->all.ops->stat(a->all.st, name.p, &info, &err);
    if (st == WH_E_NOT_FOUND)
        return WH_OK; /* done before */
    if (st == WH_OK && !is_same(a, name.p, e)) {
        a->ep->ctx->log(a->ep->ctx, 1, "'/%s' was changed after it was read: it is left there",
                        name.p);
        return WH_OK;
    }
    if (st == WH_OK && sc->after == FILES_AFTER_DELETE)
        st = a->all.ops->remove(a->all.st, name.p, &err);
    else if (st == WH_OK)
        st = put_aside(a, name.p, e, &err);
    if (st == WH_OK)
        return WH_OK;
    if (!err.hint[0])
        wh_error_hint(&err, "all rows are written; mend it, then 'wherry resume' does the rest");
    if (reterr)
        *reterr = err;
    return st;
}

wh_status files_retire(void *self, const struct wh_fence *fence, struct wh_bytes bounds,
                       int64_t rows_away, struct wh_error *reterr)
{
    const struct files_endpoint *ep = self;
    struct files_scan sc = {.ep = ep, .bounds = WH_BUF(512 << 20)};
    struct away a = {.sc = &sc, .ep = ep, .fence = fence};
    int st = files_thaw(&sc, bounds, reterr);
    if (st == WH_OK && sc.after == FILES_AFTER_DELETE && rows_away > 0) {
        /* Nobody else has them: the archive of refused rows holds what is needed to look at one,
         * and not for ever. */
        sc.after = FILES_AFTER_RENAME;
        ep->ctx->log(
            ep->ctx, 1,
            "rows were read and not written (%lld refused, filtered or skipped): files are "
            "renamed to *" DONE ", not deleted",
            (long long)rows_away);
    }
    if (st == WH_OK && sc.after != FILES_AFTER_KEEP) {
        st = files_storage_open(&a.all, ep->storage, "/", reterr);
        for (size_t i = 0; st == WH_OK && i < sc.list.n; i++) {
            struct files_entry e = sc.list.v[i]; /* of an archive's members the last one is it */
            bool more = i + 1 < sc.list.n && e.member && sc.list.v[i + 1].member &&
                        !strcmp(e.member->archive, sc.list.v[i + 1].member->archive);
            if (e.member)
                e.name = e.member->archive;
            st = more ? WH_OK : retire_one(&a, &e, reterr);
        }
        files_storage_close(&a.all);
    }
    files_scan_free(&sc);
    return files_worded(st, reterr);
}
