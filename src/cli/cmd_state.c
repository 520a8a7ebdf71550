/* SPDX-License-Identifier: Apache-2.0 */
/* wherry state show: where the state lies and what it holds. set, reset and move belong to the
 * marks of incremental streams, which this build does not have. */
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

struct sums {
    struct wh_cli *c;
    const char *job;
    int64_t runs, unfinished;
};

static wh_status count(void *arg, const struct wh_run_record *r)
{
    struct sums *s = arg;
    s->runs++;
    s->unfinished += !r->finished && r->state < WH_RUN_CLOSED;
    return WH_OK;
}

static void targets(struct wh_cli *c, const char *job, const struct wh_target_record *v, size_t n,
                    struct wh_buf *b)
{
    struct wh_grid *g = wh_grid_new(c->arena, 4, "llll");
    for (size_t i = 0; i < n; i++) {
        struct wh_run_record r;
        struct wh_error e;
        if (wh_state_run_get(c->store, v[i].run, c->arena, &r, &e) != WH_OK ||
            (job && strcmp(r.job, job) != 0))
            continue;
        wh_grid_cell(g, "held");
        wh_grid_cell(g, v[i].identity);
        wh_grid_cell(g, v[i].run);
        wh_grid_cell(g, wh_state_run_alive(c->store, &r, 30000) != 0 ? "living" : "gone");
    }
    wh_grid_print(g, b);
}

static int show(struct wh_cli *c, const char *job)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct sums s = {.c = c, .job = job};
    struct wh_target_record *v = NULL;
    struct wh_state *state;
    struct wh_error e = {0};
    size_t n = 0;
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_state_runs(state, job, NULL, false, count, &s, &e);
    if (st == WH_OK)
        st = wh_state_targets(state, c->arena, &v, &n, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    if (job && !s.runs)
        return wh_cli_usage(c, "E7007", "wherry history lists runs", "no run of job '%s' is known",
                            job);
    if (c->json) {
        wh_ignore(wh_buf_adds(&b, "{\"v\":1,\"folder\":"));
        wh_ignore(wh_buf_json(&b, wh_state_dir(state), strlen(wh_state_dir(state))));
        wh_ignore(wh_buf_printf(&b,
                                ",\"runs\":%" PRId64 ",\"unfinished\":%" PRId64 ",\"held\":%zu}\n",
                                s.runs, s.unfinished, n));
        return wh_cli_print(&b) ? 0 : 1;
    }
    wh_ignore(wh_buf_printf(&b, "folder %s\nruns %" PRId64 ", unfinished %" PRId64 "\n",
                            wh_state_dir(state), s.runs, s.unfinished));
    targets(c, job, v, n, &b);
    return wh_cli_print(&b) ? 0 : 1;
}

int wh_cmd_state(struct wh_cli *c)
{
    static const char *const later[] = {"set", "reset", "move"};
    const char *verb = c->args.n ? c->args.v[0] : "show";
    if (strcmp(verb, "show") == 0)
        return show(c, c->args.n > 1 ? c->args.v[1] : NULL);
    for (size_t i = 0; i < 3; i++)
        if (strcmp(verb, later[i]) == 0)
            return wh_cli_usage(
                c, "E1014", "no stream remembers where it was: 'incremental' is not offered yet",
                "'wherry state %s' is not part of this version", verb);
    return wh_cli_usage(c, "E1011", "wherry state show [JOB]", "state does not understand '%s'",
                        verb);
}
