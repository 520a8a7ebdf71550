/* SPDX-License-Identifier: Apache-2.0 */
/* wherry schema: what an editor has to know of a job file. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "cli/cli.h"

int wh_cmd_schema(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_error e = {0};
    if (wh_job_schema(&b, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    if (!c->output)
        return wh_cli_print(&b) ? 0 : 1;
    int fd = open(c->output, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    bool ok = fd >= 0 && wh_cli_write(fd, b.p, b.n);
    if (!ok)
        wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot write the schema to %s", c->output));
    if (fd >= 0 && close(fd) != 0 && ok)
        wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot write the schema to %s", c->output));
    return e.status ? wh_cli_fail(c, &e) : 0;
}
