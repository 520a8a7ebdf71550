/* SPDX-License-Identifier: Apache-2.0 */
/* wherry plan JOB | SRC DST: everything a run would do, and nothing done. */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "core/errors.h"
#include "cli/cli.h"

static int write_file(struct wh_cli *c, const char *path, struct wh_buf *b)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    bool ok = fd >= 0 && wh_cli_write(fd, b->p, b->n);
    struct wh_error e;
    if (!ok)
        wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot write the plan to %s", path));
    if (fd >= 0)
        close(fd);
    return ok ? 0 : wh_cli_fail(c, &e);
}

static int show(struct wh_cli *c, const struct wh_plan *plan)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    if (c->json || c->output) {
        if (wh_plan_to_json(plan, &b) != WH_OK || wh_buf_addc(&b, '\n') != WH_OK)
            return wh_cli_usage(c, "E8001", NULL, "the plan is too big to print");
        if (c->output)
            return write_file(c, c->output, &b);
    } else if (wh_plan_print(plan, true, &b) != WH_OK) {
        return wh_cli_usage(c, "E8001", NULL, "the plan is too big to print");
    }
    return wh_cli_print(&b) ? 0 : 1;
}

int wh_cmd_plan(struct wh_cli *c)
{
    if (c->args.n == 0)
        return wh_cli_usage(c, "E1011", "wherry plan JOB, or wherry plan SRC DST",
                            "plan needs a job, or a source and a destination");
    struct wh_job *job = c->args.n == 1 ? wh_cli_job(c, c->args.v[0]) : wh_cli_copy_job(c, 0);
    struct wh_services *services;
    struct wh_plan *plan = NULL;
    struct wh_error e = {0};
    if (!job)
        return 2;
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK)
        st = wh_plan_make(job, services, NULL, &plan, &e);
    int code = plan ? show(c, plan) : 0;
    if (st != WH_OK) {
        code = wh_cli_fail(c, &e);
        if (code == 1)
            code = wh_error_exit(e.code, false);
    }
    wh_plan_free(plan);
    wh_job_free(job);
    return code;
}
