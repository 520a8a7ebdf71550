/* SPDX-License-Identifier: Apache-2.0 */
/* The files of `plan -o`: writing them, and `run --plan`, which does what one says or nothing. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"

#define PLAN_HEAD "{\"v\":1,\"run\":" /* what all of them begin with */

enum {
    PLAN_MAX = 64 << 20, /* what the reader of JSON takes */
    JOB_MAX = 16 << 20,
};

/* ---- writing ---- */

static bool written_out(const struct wh_objref *ref)
{
    return ref->text && strstr(ref->text, "***");
}

/* A literal secret is nowhere in the file, so whoever carries the plan out must have it. */
static void warn_of_secrets(struct wh_cli *c, const struct wh_job *job)
{
    for (size_t i = 0; i < job->n_streams && job->is_copy; i++)
        if (written_out(&job->streams[i].from) || written_out(&job->streams[i].to)) {
            wh_problem_warn(&c->problems, "E1069", "command line",
                            "keep it apart: wherry conn add NAME URL, then NAME:OBJECT here; or "
                            "write ${env:NAME} in its place",
                            "the password is not written into the plan, so run --plan will not "
                            "have it");
            wh_cli_problems(c);
            return;
        }
}

int wh_cli_plan_write(struct wh_cli *c, const struct wh_plan *plan, const char *path)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(PLAN_MAX);
    const struct wh_plan_origin none = {0};

    if (wh_plan_file_print(plan, c->came_from ? c->came_from : &none, &b) != WH_OK)
        return wh_cli_usage(c, "E8001", NULL, "the plan is too big to write");
    warn_of_secrets(c, plan->job);
    /* For the owner only, like the state: it names systems, tables and filters. */
    return wh_cli_put_whole(c, "plan", path, &b, 0600, sizeof PLAN_HEAD - 1);
}

/* ---- reading ---- */

bool wh_cli_is_plan(struct wh_str text)
{
    return wh_str_starts(text, PLAN_HEAD);
}

static int read_file(const char *path, struct wh_buf *b)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    int err = fd < 0 ? errno : wh_cli_read(fd, b);

    if (fd >= 0)
        close(fd);
    return err;
}

int wh_cli_plan_read(struct wh_cli *c, const char *path, struct wh_plan_file *ret)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(PLAN_MAX);
    struct wh_error e = {0};
    int err = read_file(path, &b);

    if (err == EFBIG)
        wh_ignore(wh_fail(&e, WH_E_USAGE, "E1072", "%s has more than 64 MiB: it is no plan", path));
    else if (err)
        wh_ignore(wh_fail_errno(&e, err, "E1072", "cannot read the plan %s", path));
    else
        wh_ignore(wh_plan_file_read(path, b.p ? b.p : "", b.n, ret, &e));
    if (!e.status)
        return 0;
    wh_cli_fail(c, &e);
    return 2;
}

static int changed(struct wh_cli *c, const struct wh_plan_file *f, const char *file,
                   const char *how)
{
    struct wh_error e;

    wh_ignore(
        wh_fail(&e, WH_E_USAGE, "E1066", "job file %s has changed since the plan: %s", file, how));
    wh_error_where(&e, "%s", f->name);
    wh_error_hint(&e, "nothing was touched; undo that, or make a new plan and read it");
    return wh_cli_fail(c, &e);
}

/* The job file as it is now, read as it was then. */
static int read_given(struct wh_cli *c, const struct wh_plan_file *f, const char *file,
                      const struct wh_buf *text, const struct wh_job *planned, struct wh_job **ret)
{
    struct wh_buf said WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    struct wh_problems problems = {.arena = c->arena};
    int st = wh_job_read_like(file, text->p ? text->p : "", text->n, planned, wh_cli_connections(c),
                              ret, &problems);

    if (st == WH_OK && f->settings)
        st = wh_job_override(*ret, f->settings, false, &problems);
    if (st == WH_OK)
        return 0;
    for (size_t i = 0; i < problems.n && i < 4; i++)
        wh_ignore(wh_buf_printf(&said, "%s%s", i ? "; " : "", problems.v[i].message));
    return changed(c, f, file, said.p ? said.p : "it cannot be read");
}

static int compare_jobs(struct wh_cli *c, const struct wh_plan_file *f, const char *file,
                        const struct wh_job *planned, const struct wh_job *given)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);

    wh_ignore(wh_job_difference(planned, given, 3, &b));
    if (b.n == 0 && !wh_start_jobs_differ(planned, given, &b))
        return 0;
    while (b.n && b.p[b.n - 1] == '\n')
        b.p[--b.n] = '\0';
    for (size_t i = 0; i < b.n; i++)
        if (b.p[i] == '\n')
            b.p[i] = ';';
    return changed(c, f, file, b.p ? b.p : "");
}

/* job_file NULL: the one that the plan came from. That is read where it was changed, or where it
 * has a password that the plan has not; a plan may be carried out where it is not. */
static int check_job(struct wh_cli *c, const struct wh_plan_file *f, const char *job_file,
                     struct wh_job *planned, struct wh_job **ret_given)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(JOB_MAX);
    const char *file = job_file ? job_file : f->job_file;
    int err = file ? read_file(file, &text) : 0;

    if (err && job_file) {
        struct wh_error e;

        wh_ignore(wh_fail_errno(&e, err, "E1030", "cannot read job file %s", file));
        return wh_cli_fail(c, &e);
    }
    if (!file || err || (!f->masked && wh_plan_file_same_job(f, text.p ? text.p : "", text.n)))
        return 0;
    int code = read_given(c, f, file, &text, planned, ret_given);

    if (code == 0)
        code = compare_jobs(c, f, file, planned, *ret_given);
    if (code == 0)
        wh_start_lend_secrets(planned, *ret_given);
    return code;
}

int wh_cli_plan_job(struct wh_cli *c, const struct wh_plan_file *f, const char *job_file,
                    struct wh_job **ret, struct wh_job **ret_given)
{
    struct wh_error e = {0};

    *ret_given = NULL;
    if (wh_plan_file_job(f, ret, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    int code = check_job(c, f, job_file, *ret, ret_given);

    if (code == 0)
        return 0;
    wh_job_free(*ret_given);
    wh_job_free(*ret);
    *ret = *ret_given = NULL;
    return code;
}

struct wh_job *wh_cli_planned_job(struct wh_cli *c, const struct wh_plan_file *f, const char *file)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(JOB_MAX);
    struct wh_job *planned = NULL, *job = NULL;
    struct wh_error e = {0};

    if (c->set.n || c->scheduled || strcmp(file, "-") == 0 || read_file(file, &text))
        return wh_cli_job(c, file); /* which says why it cannot be read */
    if (wh_plan_file_job(f, &planned, &e) != WH_OK) {
        wh_cli_fail(c, &e);
        return NULL;
    }
    int st = wh_job_read_like(file, text.p ? text.p : "", text.n, planned, wh_cli_connections(c),
                              &job, &c->problems);

    if (st == WH_OK && f->settings)
        st = wh_job_override(job, f->settings, false, &c->problems);
    if (st == WH_OK && c->settings->n)
        st = wh_job_override(job, c->settings, false, &c->problems);
    wh_job_free(planned);
    if (wh_cli_problems(c) == 0 && st == WH_OK)
        return job;
    wh_job_free(job);
    return NULL;
}

/* ---- run --plan ---- */

static int plan_decides(struct wh_cli *c, const char *what)
{
    return wh_cli_usage(c, "E1007",
                        "make the plan with it: wherry plan JOB ... -o FILE. Beside a plan go "
                        "--dirty --rate -j --memory --max-duration --lock-wait --accept-mixed",
                        "%s cannot be given beside --plan: the plan decides", what);
}

/* What may be changed of a run under way may be given here, too. */
static int lay_over(struct wh_cli *c, struct wh_job *job)
{
    struct wh_node *may = NULL, *others = NULL;

    if (c->set.n || c->scheduled || c->run_id) /* a plan is its run's identity */
        return plan_decides(c, c->run_id ? "--run-id" : c->scheduled ? "--scheduled" : "--set");
    if (wh_job_resumable(c->arena, c->settings, &may, &others) != WH_OK)
        return wh_cli_usage(c, "E8002", NULL, "no memory for the settings");
    if (others->n) {
        const struct wh_node *one = others->items[0];
        const char *key = others->keys[0]->text;

        if (strcmp(key, "run") == 0 && one->n)
            key = wh_arena_printf(c->arena, "run.%s", one->keys[0]->text);
        return plan_decides(c, key ? key : "that");
    }
    wh_ignore(wh_job_override(job, may, false, &c->problems));
    return wh_cli_problems(c);
}

int wh_cli_run_plan(struct wh_cli *c)
{
    struct wh_plan_file f = {0};
    struct wh_job *job = NULL, *given = NULL;
    int code = c->args.n > 1
                   ? wh_cli_usage(c, "E1011", "wherry run --plan FILE [JOB]", "a plan has one job")
                   : wh_cli_plan_read(c, c->plan_file, &f);

    if (code)
        return code;
    code = wh_cli_plan_job(c, &f, c->args.n ? c->args.v[0] : NULL, &job, &given);
    if (code == 0 && (code = lay_over(c, job)) != 0)
        wh_job_free(job);
    if (code == 0)
        code = wh_cli_carry_out_plan(c, job, &f);
    wh_job_free(given);
    wh_plan_file_free(&f);
    return code;
}
