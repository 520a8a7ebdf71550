/* SPDX-License-Identifier: Apache-2.0 */
/* wherry gc: finished runs older than an age go, with their units, logs and archives of dirty rows.
 * Unfinished runs never go: cancel --discard gives one up. */
#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "engine/refused.h"

struct gc {
    struct wh_cli *c;
    const char *dir;
    int64_t before_us, runs, files, bytes;
    struct wh_grid *grid;
    struct wh_list gone; /* run ids */
    size_t cap;
};

static const int64_t DAY_MS = INT64_C(86400000);

/* Counts, and unless it is only to be said, removes. */
static void file(struct gc *g, const char *path)
{
    struct stat st;
    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return;
    g->files++;
    g->bytes += st.st_size;
    if (!g->c->dry_run)
        unlink(path);
}

/* A folder of ours with its files, and its folders to that depth. */
static void folder(struct gc *g, const char *path, int depth)
{
    char inner[4500];
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        snprintf(inner, sizeof(inner), "%s/%s", path, e->d_name);
        file(g, inner);
        if (depth > 0)
            folder(g, inner, depth - 1);
    }
    if (d)
        closedir(d);
    if (d && !g->c->dry_run)
        rmdir(path);
}

static wh_status replays(void *arg, const struct wh_run_record *r)
{
    bool *unfinished = arg;
    *unfinished = true;
    return WH_END;
}

/* What a replay still reads stays. */
static void replayed(struct gc *g, const char *run)
{
    char path[4200], job[128];
    struct wh_error ignored;
    bool unfinished = false;
    snprintf(job, sizeof(job), "replay-%s", run);
    if (wh_state_runs(g->c->store, job, NULL, true, replays, &unfinished, &ignored) != WH_OK ||
        unfinished)
        return;
    snprintf(path, sizeof(path), "%s/replay/%s", g->dir, run);
    folder(g, path, 1);
}

/* What a holder of a snapshot left that could not take its file away. */
static void hold_files(struct gc *g, const char *run)
{
    char path[4500];
    const char *dash = strrchr(run, '-'), *id = dash ? dash + 1 : run;
    size_t n = strlen(id);
    snprintf(path, sizeof(path), "%s/holders", g->dir);
    DIR *d = opendir(path);
    for (struct dirent *e; d && (e = readdir(d)) != NULL;)
        if (strncmp(e->d_name, id, n) == 0 && e->d_name[n] == '.') {
            snprintf(path, sizeof(path), "%s/holders/%s", g->dir, e->d_name);
            file(g, path);
        }
    if (d)
        closedir(d);
}

static void leftovers(struct gc *g, const char *run)
{
    char path[4500];
    hold_files(g, run);
    snprintf(path, sizeof(path), "%s/dirty/%s", g->dir, run);
    folder(g, path, 0);
    replayed(g, run);
    snprintf(path, sizeof(path), "%s/logs/%s.jsonl", g->dir, run);
    file(g, path);
}

/* Refused rows kept elsewhere; the run's record, which goes next, knows where. */
static void outside(struct gc *g, const char *run)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    int64_t files = 0, bytes = 0;
    struct wh_error e = {0};
    int st = wh_refused_outside(g->c->store, run, !g->c->dry_run, &files, &bytes, &e);
    g->files += files;
    g->bytes += bytes;
    if (st == WH_OK || g->c->quiet)
        return;
    wh_ignore(wh_buf_printf(&b, "wherry: the refused rows of run %s stay: %s %s\n", run, e.code,
                            e.message));
    if (b.n)
        wh_cli_write(STDERR_FILENO, b.p, b.n);
}

static wh_status old_run(void *arg, const struct wh_run_record *r)
{
    struct gc *g = arg;
    char run[80];
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256);
    if (!r->finished || r->state < WH_RUN_CLOSED || r->ended_us >= g->before_us)
        return WH_OK;
    if (g->gone.n == g->cap) {
        const char **more = wh_arena_alloc(g->c->arena, (2 * g->cap + 256) * sizeof(*more));
        if (!more)
            return WH_E_NOMEM;
        if (g->gone.n)
            memcpy(more, g->gone.v, g->gone.n * sizeof(*more));
        g->gone.v = more;
        g->cap = 2 * g->cap + 256;
    }
    snprintf(run, sizeof(run), "%s", r->run);
    g->gone.v[g->gone.n] = wh_arena_strdup(g->c->arena, run);
    if (!g->gone.v[g->gone.n++])
        return WH_E_NOMEM;
    if (!g->c->dry_run || g->c->json)
        return WH_OK;
    wh_grid_cell(g->grid, run);
    wh_grid_cell(g->grid, r->job);
    wh_text_time(&b, r->ended_us);
    wh_grid_cell(g->grid, b.p);
    return WH_OK;
}

static int report(struct gc *g)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    if (g->c->json) {
        wh_ignore(wh_buf_printf(&b,
                                "{\"v\":1,\"dry_run\":%s,\"runs\":%" PRId64 ",\"files\":%" PRId64
                                ",\"bytes\":%" PRId64 "}\n",
                                g->c->dry_run ? "true" : "false", g->runs, g->files, g->bytes));
        return wh_cli_print(&b) ? 0 : 1;
    }
    wh_grid_print(g->grid, &b);
    wh_ignore(wh_buf_printf(&b, "%" PRId64 " run%s and %" PRId64 " file%s (", g->runs,
                            g->runs == 1 ? "" : "s", g->files, g->files == 1 ? "" : "s"));
    wh_text_size(&b, g->bytes);
    wh_ignore(wh_buf_adds(&b, g->c->dry_run ? ") would be removed\n" : ") removed\n"));
    return wh_cli_print(&b) ? 0 : 1;
}

int wh_cmd_gc(struct wh_cli *c)
{
    struct gc g = {.c = c, .grid = wh_grid_new(c->arena, 3, "lll")};
    struct wh_state *state;
    struct wh_error e = {0};
    int64_t age_ms = 30 * DAY_MS;
    if (c->older && !wh_parse_duration(c->older, &age_ms))
        return wh_cli_usage(c, "E1002", "write 30d or 12h", "--older '%s' is no duration",
                            c->older);
    if (c->all && !c->dry_run &&
        !wh_cli_consent(c, "All finished runs go, with the refused rows that were kept of them."))
        return 2;
    g.before_us = wh_wall_us() - (c->all ? 0 : age_ms * 1000);
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK) {
        g.dir = wh_state_dir(state);
        st = wh_state_runs(state, NULL, NULL, false, old_run, &g, &e);
    }
    for (size_t i = 0; st == WH_OK && i < g.gone.n; i++)
        outside(&g, g.gone.v[i]);
    if (st == WH_OK)
        st = wh_state_gc(state, g.before_us, c->dry_run, &g.runs, &e);
    for (size_t i = 0; st == WH_OK && i < g.gone.n; i++) {
        struct wh_run_record r;
        struct wh_error gone;
        /* What somebody began anew meanwhile stays. */
        if (c->dry_run || wh_state_run_get(state, g.gone.v[i], c->arena, &r, &gone) != WH_OK)
            leftovers(&g, g.gone.v[i]);
    }
    return st == WH_OK ? report(&g) : wh_cli_fail(c, &e);
}
