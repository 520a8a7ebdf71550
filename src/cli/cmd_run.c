/* SPDX-License-Identifier: Apache-2.0 */
/* wherry run JOB...: job files one after the other; the worst exit code counts. */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

/* Of several exit codes, the first of these. */
int wh_cli_worse(int a, int b)
{
    static const int order[] = {130, 143, 129, 2, 10, 5, 7, 9, 1, 6, 4, 3, 0};
    for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
        if (a == order[i] || b == order[i])
            return order[i];
    return a; /* 8 and 8 */
}

static bool interrupted(int code)
{
    return code == 129 || code == 130 || code == 143;
}

/* --dry-run: what `plan` says of it. */
static int plan_one(struct wh_cli *c, const char *file)
{
    const struct wh_list all = c->args;
    c->args = (struct wh_list){&file, 1};
    int code = wh_cmd_plan(c);
    c->args = all;
    return code;
}

/* ---- --resume-first ---- */

enum {
    UNFINISHED_MAX = 1000
};

struct earlier {
    struct wh_cli *c;
    char identity[80]; /* of the run that is to be begun */
    struct {
        const char *run, *scheduled;
    } v[UNFINISHED_MAX]; /* newest first */
    size_t n;
};

/* The one that is to be begun goes on by itself; one that is alive is another process's. */
static wh_status note_earlier(void *arg, const struct wh_run_record *r)
{
    struct earlier *e = arg;

    if (r->is_copy || strcmp(r->identity, e->identity) == 0 ||
        wh_state_run_alive(e->c->store, r, 30000) != 0)
        return WH_OK;
    e->v[e->n].run = wh_arena_strdup(e->c->arena, r->run);
    e->v[e->n].scheduled = r->scheduled ? wh_arena_strdup(e->c->arena, r->scheduled) : "";
    if (!e->v[e->n].run || !e->v[e->n].scheduled)
        return WH_E_NOMEM;
    return ++e->n < UNFINISHED_MAX ? WH_OK : WH_END;
}

static bool over(int code)
{
    return code == 0 || code == 3 || code == 4 || code == 8;
}

/* Runs of this job that are unfinished go on, the oldest first. *ret_go: the job itself may be
 * begun: nothing holds its tables any more. */
static int resume_first(struct wh_cli *c, const struct wh_job *job, bool *ret_go)
{
    struct earlier *all = wh_arena_alloc(c->arena, sizeof(*all));
    struct wh_state *state;
    struct wh_error e = {0};
    int code = 8, st = wh_cli_state(c, &state, &e);

    *ret_go = false;
    if (st == WH_OK && (!all || wh_start_identity(job, c->run_id, NULL, all->identity) != WH_OK))
        st = wh_fail(&e, WH_E_NOMEM, "E8002", "no memory for the runs of %s", job->name);
    if (st == WH_OK) {
        all->c = c;
        all->n = 0;
        st = wh_state_runs(state, job->name, NULL, true, note_earlier, all, &e);
    }
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    while (all->n > 0 && (code == 8 || over(code))) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
        const char *when = all->v[--all->n].scheduled;

        wh_ignore(wh_buf_printf(&b, "run %s%s%s is unfinished: it goes on first\n",
                                all->v[all->n].run, *when ? " of " : "", when));
        if (!c->json)
            wh_cli_write(2, b.p, b.n);
        wh_cli_summary_begin(c);
        int one = wh_cli_resume_run(c, all->v[all->n].run, job);
        wh_cli_summary_end(c, one);
        code = wh_cli_worse(code, one);
    }
    *ret_go = over(code);
    return code;
}

static int run_one(struct wh_cli *c, const char *file)
{
    if (c->dry_run)
        return plan_one(c, file);
    wh_cli_summary_begin(c);
    struct wh_job *job = wh_cli_job(c, file);
    bool go = job != NULL;
    int earlier = job && c->resume_first ? resume_first(c, job, &go) : 8, code = job ? 8 : 2;
    if (go) {
        wh_cli_summary_begin(c);
        code = wh_cli_carry_out(c, job);
    } else {
        wh_job_free(job);
    }
    wh_cli_summary_end(c, job && !go ? earlier : code);
    return wh_cli_worse(earlier, code);
}

static bool is_job_name(const char *name)
{
    struct wh_str n = wh_str(name);
    return name[0] != '.' &&
           (wh_str_ends(n, ".yaml") || wh_str_ends(n, ".yml") || wh_str_ends(n, ".json"));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int run_folder(struct wh_cli *c, const char *folder)
{
    enum {
        MOST = 10000
    };
    const char **names = wh_arena_alloc(c->arena, MOST * sizeof(*names));
    DIR *d = opendir(folder);
    size_t n = 0;
    int code = 8;
    for (struct dirent *e; d && names && (e = readdir(d)) != NULL && n < MOST;)
        if (is_job_name(e->d_name)) {
            names[n] = wh_arena_printf(c->arena, "%s/%s", folder, e->d_name);
            n += names[n] != NULL;
        }
    if (d)
        closedir(d);
    if (n == 0)
        return wh_cli_usage(c, "E1030", NULL, "folder %s holds no .yaml or .json job", folder);
    qsort(names, n, sizeof(*names), by_name);
    for (size_t i = 0; i < n && !interrupted(code); i++)
        code = wh_cli_worse(code, run_one(c, names[i]));
    return code;
}

int wh_cmd_run(struct wh_cli *c)
{
    int code = 8;
    if (c->select.n && (c->plan_file || c->resume_first))
        return wh_cli_usage(c, "E1007", "leave it out",
                            "--select is not for --plan or --resume-first");
    if (c->plan_file && c->resume_first)
        return wh_cli_usage(c, "E1007", "wherry resume goes on with what is unfinished",
                            "--resume-first is not for a plan, which has a run of its own");
    if (c->plan_file)
        return c->dry_run ? wh_cli_plan_against(c, c->plan_file) : wh_cli_run_plan(c);
    if (c->args.n == 0)
        return wh_cli_usage(c, "E1011", "wherry run nightly.yaml", "run needs a job file");
    for (size_t i = 0; i < c->args.n && !interrupted(code); i++) {
        struct stat st;
        bool folder = stat(c->args.v[i], &st) == 0 && S_ISDIR(st.st_mode);
        code = wh_cli_worse(code, folder ? run_folder(c, c->args.v[i]) : run_one(c, c->args.v[i]));
    }
    return code;
}
