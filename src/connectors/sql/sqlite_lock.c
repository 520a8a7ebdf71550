/* SPDX-License-Identifier: Apache-2.0 */
/* Who holds a lock on the database file. SQLite locks bytes from 0x40000000 on (pending, reserved,
 * then 510 bytes shared) of the file itself and bytes 120.. of the -shm file in WAL mode (see
 * "Database File Locking", sqlite.org/lockingv3.html and walformat.html). POSIX locks tell their
 * owner's pid; /proc/locks tells it without opening the file, which would be dangerous: closing any
 * descriptor of a file drops all of the process's locks on it. */
#include "sqlite.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <time.h>
#include <unistd.h>

#include "core/clock.h"

enum {
    LOCKS_MAX = 1 << 20, /* bytes of /proc/locks that are read */
    HOLDERS = 3,
    FDS_MAX = 4096,
};

struct holder {
    long pid;
    bool write;
};

static wh_status read_file(const char *path, struct wh_buf *b)
{
    int fd WH_CLEANUP(wh_closep) = open(path, O_RDONLY | O_CLOEXEC);

    while (fd >= 0) {
        ssize_t n;

        WH_TRY(wh_buf_reserve(b, 8192));
        n = read(fd, b->p + b->n, 8192);
        if (n <= 0)
            break;
        b->n += (size_t)n;
        b->p[b->n] = 0;
    }
    return b->n ? WH_OK : WH_E_IO;
}

/* "3: POSIX  ADVISORY  WRITE 4711 fe:01:131 1073741825 1073741825": fields from the fourth on. */
static bool parse_line(const char *line, struct holder *h, unsigned long long *ret_dev,
                       unsigned long long *ret_ino)
{
    const char *p = strstr(line, "POSIX");
    char *end;
    unsigned long major_no, minor_no;

    if (!p || !(p = strstr(p, "ADVISORY")))
        return false;
    p += 8;
    p += strspn(p, " ");
    h->write = strncmp(p, "WRITE", 5) == 0;
    p += strcspn(p, " ");
    h->pid = strtol(p, &end, 10);
    major_no = strtoul(end, &end, 16);
    if (*end != ':')
        return false;
    minor_no = strtoul(end + 1, &end, 16);
    if (*end != ':')
        return false;
    *ret_ino = strtoull(end + 1, &end, 10);
    *ret_dev = makedev((unsigned)major_no, (unsigned)minor_no);
    return h->pid > 0;
}

static void add_holder(struct holder *all, int *n, struct holder h)
{
    for (int i = 0; i < *n; i++)
        if (all[i].pid == h.pid) {
            all[i].write |= h.write;
            return;
        }
    if (*n < HOLDERS)
        all[(*n)++] = h;
}

/* Some file systems (overlay, btrfs) show another device in stat than in /proc/locks, and numbers
 * of inodes repeat over devices: then the process must have the file open. No right to look = yes.
 */
static bool has_open(long pid, const struct stat *st)
{
    char path[64];
    bool found = false;
    int seen = 0;
    struct dirent *e;
    DIR *d;

    snprintf(path, sizeof path, "/proc/%ld/fd", pid);
    d = opendir(path);
    if (!d)
        return true;
    while (!found && seen++ < FDS_MAX && (e = readdir(d))) {
        struct stat fd;

        found = fstatat(dirfd(d), e->d_name, &fd, 0) == 0 && fd.st_ino == st->st_ino &&
                fd.st_dev == st->st_dev;
    }
    closedir(d);
    return found;
}

static void collect(char *text, const char *path, struct holder *all, int *n)
{
    struct stat st;
    char *next;

    if (stat(path, &st) != 0)
        return;
    for (char *line = text; *line; line = next) {
        unsigned long long dev = 0, ino = 0;
        char *nl = strchr(line, '\n');
        struct holder h;

        next = nl ? nl + 1 : line + strlen(line);
        if (nl)
            *nl = 0;
        if (parse_line(line, &h, &dev, &ino) && ino == (unsigned long long)st.st_ino &&
            h.pid != (long)getpid() && (dev == st.st_dev || has_open(h.pid, &st)))
            add_holder(all, n, h);
        if (nl)
            *nl = '\n';
    }
}

static void process_name(long pid, char out[32])
{
    char path[64];
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(65536);

    snprintf(path, sizeof path, "/proc/%ld/comm", pid);
    out[0] = 0;
    if (read_file(path, &b) == WH_OK)
        snprintf(out, 32, "%.*s", (int)strcspn(b.p, "\n"), b.p);
}

/* 'T' = stopped by a signal: the usual zombie. */
static bool process_stopped(long pid)
{
    char path[64];
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(65536);
    const char *p;

    snprintf(path, sizeof path, "/proc/%ld/stat", pid);
    if (read_file(path, &b) != WH_OK || !(p = strrchr(b.p, ')')))
        return false;
    return p[1] == ' ' && (p[2] == 'T' || p[2] == 't');
}

void lite_lock_holders(const struct lite_ep *ep, char *out, size_t size)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(LOCKS_MAX);
    struct wh_buf shm WH_CLEANUP(wh_buf_free) = WH_BUF(8192);
    struct holder all[HOLDERS];
    int n = 0;
    size_t at = 0;

    out[0] = 0;
    if (read_file("/proc/locks", &b) != WH_OK)
        return;
    collect(b.p, ep->path, all, &n);
    if (wh_buf_printf(&shm, "%s-shm", ep->path) == WH_OK)
        collect(b.p, shm.p, all, &n);
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < n; i++) {
            char name[32];

            if (all[i].write != (pass == 0) || at >= size)
                continue;
            process_name(all[i].pid, name);
            at += (size_t)snprintf(out + at, size - at, "%spid %ld (%s%s, %s)", at ? ", " : "",
                                   all[i].pid, name, process_stopped(all[i].pid) ? ", stopped" : "",
                                   all[i].write ? "writes" : "reads");
        }
}
