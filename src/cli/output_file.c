/* SPDX-License-Identifier: Apache-2.0 */
/* -o FILE of what Wherry can make again at any time: whole or not at all, and in the place of
 * nothing but one of its kind. What people write on has wh_cli_create. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

enum {
    HEAD_MAX = 128,
};

/* A place that can never be written is a wrong word, and nothing was touched: 2. */
int wh_cli_cannot_write(struct wh_cli *c, const char *what, const char *path, int err)
{
    static const int places[] = {EISDIR, ENOENT, ENOTDIR, EACCES,       EPERM,
                                 EROFS,  ELOOP,  ENXIO,   ENAMETOOLONG, EINVAL};
    struct wh_error e = {0};

    wh_ignore(wh_fail_errno(&e, err, err == ENOSPC || err == EDQUOT ? "E5004" : "E5001",
                            "cannot write the %s to %s", what, path));
    wh_error_hint(&e, "run it again when the cause is gone; nothing was touched");
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (err == places[i]) {
            e.status = WH_E_USAGE;
            wh_error_hint(&e, "name a file in a folder that is there and may be written to");
        }
    return wh_cli_fail(c, &e);
}

/* Empty files are of any kind. */
static bool of_its_kind(const char *path, const struct wh_buf *b, size_t head_n)
{
    char head[HEAD_MAX];
    int fd WH_CLEANUP(wh_closep) = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, head, head_n);

    return n == 0 || (n == (ssize_t)head_n && b->n >= head_n && memcmp(head, b->p, head_n) == 0);
}

int wh_cli_put_whole(struct wh_cli *c, const char *what, const char *path, const struct wh_buf *b,
                     unsigned mode, size_t head_n)
{
    struct stat was;
    bool there = stat(path, &was) == 0, device = there && !S_ISREG(was.st_mode);
    const char *part = device ? path : wh_arena_printf(c->arena, "%s.part", path);

    if (there && !device && !c->yes && !of_its_kind(path, b, head_n < HEAD_MAX ? head_n : HEAD_MAX))
        return wh_cli_usage(c, "E1012", "name another file; --yes writes over this one",
                            "'%s' is there already and is no %s", path, what);
    int fd = part ? open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode) : -1;
    int err = fd < 0 ? errno : 0;

    if (fd >= 0 && !device && !(mode & 077) && fchmod(fd, mode) != 0)
        err = errno;
    if (fd >= 0 && !err && !wh_cli_write(fd, b->p, b->n))
        err = errno;
    if (fd >= 0 && close(fd) != 0 && !err)
        err = errno;
    if (!err && !device && rename(part, path) != 0)
        err = errno;
    if (err && fd >= 0 && !device)
        unlink(part);
    return err ? wh_cli_cannot_write(c, what, path, err) : 0;
}
