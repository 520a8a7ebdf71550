/* SPDX-License-Identifier: Apache-2.0 */
/* Storage on local disk. Every name is taken relative to the root's descriptor and may not climb.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "local.h"

enum {
    NAME_CAP = 4096,
    NEAR_MAX = 10000, /* names of a folder that are looked at for one that was meant */
    DEPTH_MAX = 64,
    FILES_MAX = 10 * 1000 * 1000,
    PUSH_BYTES = 8 << 20,
};

struct local {
    int root; /* descriptor + 1; 0 = none */
};

struct local_in {
    int fd; /* + 1 */
    char name[256];
};

struct local_out {
    int fd; /* + 1 */
    struct local *st;
    bool finished;
    int64_t written, pushed; /* bytes; of them, those that are on their way to the disk */
    char name[NAME_CAP];
};

/* ---- errors and names ------------------------------------------------------------------------ */

/* One code per kind of trouble; `code` is for the rest. */
static int trouble(struct wh_error *reterr, int err, const char *code, const char *what,
                   const char *name)
{
    int st = WH_E_IO;
    if (err == ENOENT || err == ENOTDIR) {
        st = WH_E_NOT_FOUND;
        code = "E4001";
    } else if (err == ELOOP || err == ENAMETOOLONG) {
        st = WH_E_NOT_FOUND;
        code = "E2012";
    } else if (err == EACCES || err == EPERM || err == EROFS) {
        st = WH_E_AUTH;
        code = "E2013";
    } else if (err == ENOSPC || err == EDQUOT || err == EFBIG) {
        code = "E5004";
    } else if (err == EMFILE || err == ENFILE) {
        code = "E8003";
    }
    wh_ignore(wh_fail_errno(reterr, err, code, "%s '%s'", what, name));
    if (reterr)
        reterr->status = st;
    return st;
}

static wh_status check_name(const char *name, struct wh_error *reterr)
{
    bool climbs = name[0] == '/' || strlen(name) >= NAME_CAP;
    for (const char *p = name; !climbs && p; p = strchr(p, '/')) {
        p += *p == '/';
        climbs = !strncmp(p, "..", 2) && (p[2] == '/' || !p[2]);
    }
    return climbs ? wh_fail(reterr, WH_E_USAGE, "E1020", "'%s' leaves its folder", name) : WH_OK;
}

static int root_of(const struct local *l)
{
    return l->root - 1;
}

static wh_status local_open(void *st, const void *opts, struct wh_error *reterr)
{
    struct local *l = st;
    const struct wh_local_options *o = opts;
    const char *root = o && o->root ? o->root : ".";
    int fd = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return trouble(reterr, errno, "E4002", "cannot open folder", root);
    l->root = fd + 1;
    wh_log(WH_LOG_DEBUG, "files", "folder %s", root);
    return WH_OK;
}

static void local_close(void *st)
{
    struct local *l = st;
    if (l->root)
        close(root_of(l));
    l->root = 0;
}

/* ---- looking --------------------------------------------------------------------------------- */

static void describe(const struct stat *s, struct wh_str name, struct wh_file_info *ret)
{
    *ret = (struct wh_file_info){.name = name,
                                 .size = (int64_t)s->st_size,
                                 .mtime_us = (int64_t)s->st_mtim.tv_sec * 1000000 +
                                             s->st_mtim.tv_nsec / 1000,
                                 .is_folder = S_ISDIR(s->st_mode),
                                 .mode = s->st_mode & (S_IFREG | 07777),
                                 .is_special = !S_ISDIR(s->st_mode) && !S_ISREG(s->st_mode)};
    snprintf(ret->etag, sizeof ret->etag, "%llu-%lld.%09ld-%lld", (unsigned long long)s->st_ino,
             (long long)s->st_mtim.tv_sec, s->st_mtim.tv_nsec, (long long)s->st_size);
}

/* The file of the same folder that was perhaps meant. */
static void suggest(const struct local *l, const char *name, struct wh_error *reterr)
{
    const char *slash = strrchr(name, '/'), *base = slash ? slash + 1 : name;
    char folder[NAME_CAP] = ".", best[256] = "";
    if (slash)
        snprintf(folder, sizeof folder, "%.*s", (int)(slash - name), name);
    int fd = openat(root_of(l), folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
    if (fd >= 0 && !d)
        close(fd);
    /* The nearest of the ones so far and the next one: no list is kept. */
    struct dirent *e;
    for (int n = 0; d && n < NEAR_MAX && (e = readdir(d)); n++) {
        const char *both[] = {*best ? best : e->d_name, *best ? e->d_name : NULL, NULL};
        const char *near = e->d_name[0] == '.' ? NULL : wh_did_you_mean(wh_str(base), both);
        if (near && near != best)
            snprintf(best, sizeof best, "%s", near);
    }
    if (d)
        closedir(d);
    if (*best)
        wh_error_hint(reterr, "did you mean '%.*s%s'?", slash ? (int)(slash + 1 - name) : 0, name,
                      best);
    else
        wh_error_hint(reterr, "check the path: ls -l '%s'", slash ? folder : name);
}

static wh_status local_stat(void *st, const char *name, struct wh_file_info *ret,
                            struct wh_error *reterr)
{
    struct stat s;
    WH_TRY(check_name(name, reterr));
    if (fstatat(root_of(st), *name ? name : ".", &s, 0) < 0) {
        int err = errno, bad = trouble(reterr, err, "E4002", "cannot look at", *name ? name : ".");
        if (err == ENOENT && reterr)
            suggest(st, name, reterr);
        return bad;
    }
    describe(&s, wh_str(name), ret);
    return WH_OK;
}

struct found {
    char **v;
    size_t n, cap;
};

static wh_status keep(struct found *f, const char *folder, const char *name)
{
    if (f->n == f->cap) {
        size_t cap = f->cap ? f->cap * 2 : 64;
        char **v = cap <= FILES_MAX ? wh_realloc(f->v, cap * sizeof *v) : NULL;
        if (!v)
            return WH_E_NOMEM;
        f->v = v;
        f->cap = cap;
    }
    size_t room = strlen(folder) + strlen(name) + 2;
    char *path = wh_alloc(room);
    if (!path)
        return WH_E_NOMEM;
    snprintf(path, room, "%s%s%s", folder, *folder ? "/" : "", name);
    f->v[f->n++] = path;
    return WH_OK;
}

static void drop(struct found *f)
{
    for (size_t i = 0; i < f->n; i++)
        wh_free(f->v[i]);
    wh_free(f->v);
    *f = (struct found){0};
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static wh_status read_folder(const struct local *l, const char *folder, struct found *f,
                             struct wh_error *reterr)
{
    int fd = openat(root_of(l), *folder ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    int st = WH_OK;
    if (!dir) {
        st = trouble(reterr, errno, "E4002", "cannot list folder", folder);
        wh_closep(&fd);
        return st;
    }
    for (struct dirent *e; st == WH_OK && (e = readdir(dir));)
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0)
            st = keep(f, folder, e->d_name);
    closedir(dir);
    if (st == WH_E_NOMEM)
        return wh_fail(reterr, st, "E8002", "no memory for the list of '%s'", folder);
    if (f->n)
        qsort(f->v, f->n, sizeof *f->v, by_name);
    return st;
}

/* The folders that a walk is in, from the innermost on. */
struct above {
    dev_t device;
    ino_t inode;
    const struct above *next;
};

/* A link to a folder that the walk is in leads round and round. */
static bool goes_round(const struct above *in, const struct stat *s)
{
    for (; in; in = in->next)
        if (in->device == s->st_dev && in->inode == s->st_ino)
            return true;
    return false;
}

static wh_status walk(struct local *l, const char *folder, int depth, bool recursive,
                      const struct above *in, wh_list_fn each, void *arg, struct wh_error *reterr)
{
    struct found f = {0};
    int st = depth > DEPTH_MAX ? wh_fail(reterr, WH_E_LIMIT, "E4002",
                                         "folders are nested too deep at '%s'", folder)
                               : read_folder(l, folder, &f, reterr);
    for (size_t i = 0; st == WH_OK && i < f.n; i++) {
        struct stat s;
        struct wh_file_info info;
        if (fstatat(root_of(l), f.v[i], &s, 0) < 0) {
            if (errno != ENOENT && errno != ELOOP) {
                st = trouble(reterr, errno, "E4002", "cannot look at", f.v[i]);
                break;
            }
            if (fstatat(root_of(l), f.v[i], &s, AT_SYMLINK_NOFOLLOW) < 0)
                continue; /* gone meanwhile; a link to nothing is told as such */
        }
        describe(&s, wh_str(f.v[i]), &info);
        if (info.is_folder && goes_round(in, &s))
            continue;
        st = each(arg, &info);
        const struct above here = {s.st_dev, s.st_ino, in};
        if (st == WH_OK && info.is_folder && recursive)
            st = walk(l, f.v[i], depth + 1, true, &here, each, arg, reterr);
    }
    drop(&f);
    return st;
}

static wh_status local_list(void *st, const char *prefix, bool recursive, wh_list_fn each,
                            void *arg, struct wh_error *reterr)
{
    struct wh_file_info info;
    struct stat s;
    WH_TRY(check_name(prefix, reterr));
    WH_TRY(local_stat(st, prefix, &info, reterr));
    if (!info.is_folder)
        return each(arg, &info);
    if (fstatat(root_of(st), *prefix ? prefix : ".", &s, 0) < 0)
        return trouble(reterr, errno, "E4002", "cannot look at", *prefix ? prefix : ".");
    const struct above here = {s.st_dev, s.st_ino, NULL};
    return walk(st, prefix, 0, recursive, &here, each, arg, reterr);
}

/* ---- reading --------------------------------------------------------------------------------- */

static wh_status local_read_open(void *in, void *st, const char *name, struct wh_error *reterr)
{
    struct local_in *i = in;
    WH_TRY(check_name(name, reterr));
    struct stat s;
    int fd = openat(root_of(st), name, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0)
        return trouble(reterr, errno, "E4002", "cannot open", name);
    i->fd = fd + 1;
    if (fstat(fd, &s) == 0 && !S_ISREG(s.st_mode)) {
        int bad = wh_fail(reterr, WH_E_UNSUPPORTED, "E2014", "'%s' is no regular file", name);
        wh_error_hint(reterr, "a pipe is read as '-': wherry copy - ... < %s", name);
        return bad;
    }
    wh_log(WH_LOG_DEBUG, "files", "read %s, %lld bytes", name, (long long)s.st_size);
    snprintf(i->name, sizeof i->name, "%s", name);
    wh_ignore(posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL));
    return WH_OK;
}

static wh_status local_pread(void *in, void *buf, size_t n, int64_t offset, size_t *ret_n,
                             struct wh_error *reterr)
{
    const struct local_in *i = in;
    ssize_t k;
    do
        k = pread(i->fd - 1, buf, n, (off_t)offset);
    while (k < 0 && errno == EINTR);
    if (k < 0)
        return trouble(reterr, errno, "E4002", "cannot read", i->name);
    *ret_n = (size_t)k;
    return WH_OK;
}

static void local_read_close(void *in)
{
    struct local_in *i = in;
    if (i->fd)
        close(i->fd - 1);
    i->fd = 0;
}

static void local_forget(void *in)
{
    const struct local_in *i = in;
    wh_ignore(posix_fadvise(i->fd - 1, 0, 0, POSIX_FADV_DONTNEED));
}

/* ---- writing --------------------------------------------------------------------------------- */

static void folder_of(const char *name, char out[NAME_CAP])
{
    const char *slash = strrchr(name, '/');
    if (slash)
        snprintf(out, NAME_CAP, "%.*s", (int)(slash - name), name);
    else
        snprintf(out, NAME_CAP, ".");
}

/* A new name is durable only when its folder is. */
static wh_status sync_folder(const struct local *l, const char *name, struct wh_error *reterr)
{
    char folder[NAME_CAP];
    folder_of(name, folder);
    WH_CLEANUP(wh_closep)
    int fd = openat(root_of(l), folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || (fsync(fd) < 0 && errno != EINVAL))
        return trouble(reterr, errno, "E5001", "cannot sync folder", folder);
    return WH_OK;
}

static wh_status local_put_open(void *out, void *st, const char *temporary, struct wh_error *reterr)
{
    struct local_out *o = out;
    WH_TRY(check_name(temporary, reterr));
    /* A new file, never the old one emptied: a stopped process may still write to that. */
    if (unlinkat(root_of(st), temporary, 0) < 0 && errno != ENOENT)
        return trouble(reterr, errno, "E5001", "cannot replace", temporary);
    int fd =
        openat(root_of(st), temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (fd < 0)
        return trouble(reterr, errno, "E5001", "cannot make", temporary);
    *o = (struct local_out){.fd = fd + 1, .st = st};
    wh_log(WH_LOG_DEBUG, "files", "write %s", temporary);
    snprintf(o->name, sizeof o->name, "%s", temporary);
    return WH_OK;
}

/* The disk begins to write while we go on, so that the sync at the end has little to wait for. */
static void push(struct local_out *o, size_t n)
{
    o->written += (int64_t)n;
    if (o->written - o->pushed < PUSH_BYTES)
        return;
    wh_ignore(sync_file_range(o->fd - 1, o->pushed, o->written - o->pushed, SYNC_FILE_RANGE_WRITE));
    o->pushed = o->written;
}

static wh_status local_put(void *out, const void *p, size_t n, struct wh_error *reterr)
{
    struct local_out *o = out;
    const char *s = p;
    size_t all = n;
    while (n) {
        ssize_t k = write(o->fd - 1, s, n);
        if (k < 0 && errno == EINTR)
            continue;
        if (k < 0)
            return trouble(reterr, errno, "E5001", "cannot write", o->name);
        s += k;
        n -= (size_t)k;
    }
    push(o, all);
    return WH_OK;
}

static wh_status local_put_finish(void *out, struct wh_error *reterr)
{
    struct local_out *o = out;
    int fd = o->fd - 1;
    if (fsync(fd) < 0 && errno != EINVAL)
        return trouble(reterr, errno, "E5001", "cannot sync", o->name);
    o->fd = 0;
    if (close(fd) < 0)
        return trouble(reterr, errno, "E5001", "cannot close", o->name);
    o->finished = true;
    return sync_folder(o->st, o->name, reterr);
}

static wh_status local_put_keep(void *out, struct wh_error *reterr)
{
    struct local_out *o = out;
    int fd = o->fd - 1;
    o->fd = 0;
    if (close(fd) < 0)
        return trouble(reterr, errno, "E5001", "cannot close", o->name);
    o->finished = true;
    return WH_OK;
}

static void local_put_close(void *out)
{
    struct local_out *o = out;
    if (o->fd)
        close(o->fd - 1);
    if (o->st && !o->finished && o->name[0])
        unlinkat(root_of(o->st), o->name, 0);
    *o = (struct local_out){0};
}

/* A file that takes another's place takes its rights too, as far as we may give them. */
static void inherit(int root, const char *temporary, const char *name)
{
    struct stat s;
    if (fstatat(root, name, &s, 0) < 0 || !S_ISREG(s.st_mode))
        return;
    bool owned = fchownat(root, temporary, s.st_uid, s.st_gid, 0) == 0;
    if (owned || s.st_uid == geteuid())
        wh_ignore(fchmodat(root, temporary, s.st_mode & 07777, 0));
}

static wh_status local_publish(void *st, const char *temporary, const char *name, bool exclusive,
                               struct wh_error *reterr)
{
    const struct local *l = st;
    int root = root_of(l);
    WH_TRY(check_name(temporary, reterr));
    WH_TRY(check_name(name, reterr));
    if (exclusive) {
        if (linkat(root, temporary, root, name, 0) < 0) {
            if (errno == EEXIST)
                return WH_REFUSED;
            return trouble(reterr, errno, "E5001", "cannot publish", name);
        }
        if (unlinkat(root, temporary, 0) < 0 && errno != ENOENT)
            return trouble(reterr, errno, "E5001", "cannot remove", temporary);
    } else {
        inherit(root, temporary, name);
        if (renameat(root, temporary, root, name) < 0)
            return trouble(reterr, errno, "E5001", "cannot publish", name);
    }
    wh_log(WH_LOG_DEBUG, "files", "%s becomes %s", temporary, name);
    return sync_folder(l, name, reterr);
}

static wh_status local_remove(void *st, const char *name, struct wh_error *reterr)
{
    WH_TRY(check_name(name, reterr));
    if (unlinkat(root_of(st), name, 0) < 0 && errno != ENOENT)
        return trouble(reterr, errno, "E5001", "cannot remove", name);
    wh_log(WH_LOG_DEBUG, "files", "remove %s", name);
    return WH_OK;
}

static wh_status local_move(void *st, const char *from, const char *to, struct wh_error *reterr)
{
    int root = root_of(st);
    WH_TRY(check_name(from, reterr));
    WH_TRY(check_name(to, reterr));
    if (renameat2(root, from, root, to, RENAME_NOREPLACE) < 0) {
        if (errno == EEXIST)
            return WH_REFUSED;
        return trouble(reterr, errno, "E5001", "cannot move", from);
    }
    wh_log(WH_LOG_DEBUG, "files", "move %s to %s", from, to);
    WH_TRY(sync_folder(st, to, reterr));
    return sync_folder(st, from, reterr);
}

static wh_status local_make_folder(void *st, const char *name, struct wh_error *reterr)
{
    WH_TRY(check_name(name, reterr));
    if (mkdirat(root_of(st), name, 0777) == 0)
        return sync_folder(st, name, reterr);
    if (errno != EEXIST)
        return trouble(reterr, errno, "E5001", "cannot make folder", name);
    struct wh_file_info info;
    WH_TRY(local_stat(st, name, &info, reterr));
    return info.is_folder ? WH_OK : trouble(reterr, EEXIST, "E5001", "cannot make folder", name);
}

static wh_status local_attributes(void *st, const char *name, uint32_t mode, int64_t mtime_us,
                                  struct wh_error *reterr)
{
    int64_t us = mtime_us % 1000000, s = mtime_us / 1000000;
    const struct timespec times[2] = {
        {.tv_nsec = UTIME_OMIT},
        {.tv_sec = (time_t)(us < 0 ? s - 1 : s), .tv_nsec = (us < 0 ? us + 1000000 : us) * 1000}};
    WH_TRY(check_name(name, reterr));
    if (mode && fchmodat(root_of(st), name, mode & 07777, 0) < 0)
        return trouble(reterr, errno, "E5001", "cannot set the rights of", name);
    if (mtime_us && utimensat(root_of(st), name, times, 0) < 0)
        return trouble(reterr, errno, "E5001", "cannot set the time of", name);
    return WH_OK;
}

static wh_status local_remove_folder(void *st, const char *name, struct wh_error *reterr)
{
    WH_TRY(check_name(name, reterr));
    if (unlinkat(root_of(st), name, AT_REMOVEDIR) < 0 && errno != ENOENT && errno != ENOTEMPTY &&
        errno != EEXIST)
        return trouble(reterr, errno, "E5001", "cannot remove folder", name);
    return WH_OK;
}

const struct wh_storage_ops wh_storage_local = {
    .size = sizeof(struct wh_storage_ops),
    .flags = WH_STORE_RENAME_ATOMIC | WH_STORE_EXCLUSIVE | WH_STORE_DURABLE | WH_STORE_PREAD,
    .st_size = sizeof(struct local),
    .in_size = sizeof(struct local_in),
    .out_size = sizeof(struct local_out),
    .open = local_open,
    .close = local_close,
    .list = local_list,
    .stat = local_stat,
    .read_open = local_read_open,
    .pread = local_pread,
    .read_close = local_read_close,
    .put_open = local_put_open,
    .put = local_put,
    .put_finish = local_put_finish,
    .put_close = local_put_close,
    .publish = local_publish,
    .remove = local_remove,
    .make_folder = local_make_folder,
    .remove_folder = local_remove_folder,
    .move = local_move,
    .put_keep = local_put_keep,
    .attributes = local_attributes,
    .forget = local_forget,
};
