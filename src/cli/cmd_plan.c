/* SPDX-License-Identifier: Apache-2.0 */
/* wherry plan JOB | SRC DST: everything a run would do, and nothing done. */
#include <string.h>

#include "core/errors.h"
#include "cli/cli.h"

static int show(struct wh_cli *c, const struct wh_plan *plan)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    if (c->output && strcmp(c->output, "-") != 0)
        return wh_cli_plan_write(c, plan, c->output);
    if (c->output) {
        const struct wh_plan_origin none = {0};
        if (wh_plan_file_print(plan, c->came_from ? c->came_from : &none, &b) != WH_OK)
            return wh_cli_usage(c, "E8001", NULL, "the plan is too big to print");
    } else if (c->json) {
        if (wh_plan_to_json(plan, &b) != WH_OK || wh_buf_addc(&b, '\n') != WH_OK)
            return wh_cli_usage(c, "E8001", NULL, "the plan is too big to print");
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
    if (c->select.n && (c->output || c->diff || c->args.n != 1))
        return wh_cli_usage(c, "E1007", "wherry plan JOB --select STREAM",
                            "--select is for a job file, without -o and --diff");
    if (c->diff)
        return wh_cmd_plan_diff(c);
    struct wh_plan_origin origin = {0};
    c->came_from = &origin;
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
    c->came_from = NULL;
    return code;
}
