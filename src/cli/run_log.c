/* SPDX-License-Identifier: Apache-2.0 */
/* The events of a run, one JSON object a line, in logs/RUN.jsonl of the state's folder: for the
 * owner only, secrets masked, without progress. What cannot be written is not missed by the run. */
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/log.h"

enum {
    BYTES_MAX = 64 << 20 /* of one process: then only what went wrong, and the end */
};

const char *wh_run_log_path(struct wh_arena *a, const char *state_dir, const char *run)
{
    return wh_arena_printf(a, "%s/logs/%s.jsonl", state_dir, run);
}

bool wh_run_log_wants(const struct wh_run_log *l, const struct wh_event *e)
{
    switch (e->type) {
    case WH_EV_PLAN: /* in the state */
    case WH_EV_PROGRESS:
    case WH_EV_UNIT_STARTED:
        return false;
    case WH_EV_UNIT_DONE:
    case WH_EV_DIRTY:
        return !l->failed && l->bytes < BYTES_MAX && e->run;
    default:
        return !l->failed && e->run;
    }
}

static bool open_log(struct wh_run_log *l, const char *state_dir, const char *run)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(1 << 16);
    const char *folder = a ? wh_arena_printf(a, "%s/logs", state_dir) : NULL;
    const char *path = folder ? wh_run_log_path(a, state_dir, run) : NULL;
    if (!path)
        return false;
    mkdir(folder, 0700); /* there already, or the next line says why not */
    l->fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    return l->fd >= 0;
}

static void failed(struct wh_run_log *l)
{
    if (!l->failed)
        wh_log(WH_LOG_WARN, "cli", "the log of run %s cannot be kept in %s/logs", l->run,
               l->state_dir);
    l->failed = true;
}

void wh_run_log_begin(struct wh_run_log *l, const char *state_dir, const char *run)
{
    l->state_dir = state_dir;
    l->run = run;
    if (l->fd < 0 && !open_log(l, state_dir, run))
        failed(l);
}

void wh_run_log_add(struct wh_run_log *l, const char *text, size_t n)
{
    if (l->fd >= 0 && !l->failed && wh_cli_write(l->fd, text, n))
        l->bytes += (int64_t)n;
    else
        failed(l);
}
