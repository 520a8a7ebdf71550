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

static int run_one(struct wh_cli *c, const char *file)
{
    struct wh_job *job = wh_cli_job(c, file);
    return job ? wh_cli_carry_out(c, job) : 2;
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
    if (c->args.n == 0)
        return wh_cli_usage(c, "E1011", "wherry run nightly.yaml", "run needs a job file");
    if (c->plan_file)
        return wh_cli_usage(c, "E1014", NULL, "run --plan is not part of this version");
    for (size_t i = 0; i < c->args.n && !interrupted(code); i++) {
        struct stat st;
        bool folder = stat(c->args.v[i], &st) == 0 && S_ISDIR(st.st_mode);
        code = wh_cli_worse(code, folder ? run_folder(c, c->args.v[i]) : run_one(c, c->args.v[i]));
    }
    return code;
}
