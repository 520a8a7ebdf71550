/* SPDX-License-Identifier: Apache-2.0 */
/* wherry cancel RUN [--discard] */
#include <inttypes.h>
#include <stdio.h>

#include "cli/cli.h"
#include "core/clock.h"

static int discard(struct wh_cli *c, const struct wh_run_record *r)
{
    struct wh_services *services;
    struct wh_error e = {0};
    struct wh_start start = {.yes = c->yes, .here = c->dir != NULL};
    int64_t staying = 0;
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK)
        st = wh_start_discard(r->run, services, c->store, &start, &staying, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    wh_ignore(wh_buf_printf(&b, "run %s is given up", r->run));
    if (staying)
        wh_ignore(wh_buf_printf(&b, "; %" PRId64 " rows of its committed units stay", staying));
    wh_ignore(wh_buf_addc(&b, '\n'));
    wh_cli_write(2, b.p, b.n);
    return 0;
}

/* Waits until the owner has seen it: it beats every 5 s and then leaves within 10 s. */
static int wait_for_end(struct wh_cli *c, const char *run)
{
    for (int64_t end = wh_now_ns() + 20000000000; wh_now_ns() < end; wh_sleep_ms(100)) {
        struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(16 << 20);
        struct wh_run_record r;
        struct wh_error e;
        if (!a || wh_state_run_get(c->store, run, a, &r, &e) != WH_OK)
            return 1;
        if (wh_state_run_alive(c->store, &r, 30000) == 0)
            return 0;
    }
    return 5;
}

int wh_cmd_cancel(struct wh_cli *c)
{
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error e = {0};
    if (c->args.n != 1)
        return wh_cli_usage(c, "E1011", "wherry cancel RUN", "cancel needs a run");
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_cli_run(c, c->args.v[0], &r, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    if (r.state >= WH_RUN_CLOSED)
        return wh_cli_usage(c, "E7013", NULL, "run %s is %s: there is nothing to cancel", r.run,
                            wh_run_state_name(r.state));
    if (wh_state_run_alive(state, &r, 30000) != 0) {
        st = wh_state_run_cancel(state, r.run, c->discard, &e);
        if (st != WH_OK)
            return wh_cli_fail(c, &e);
        int code = wait_for_end(c, r.run);
        if (code)
            return wh_cli_usage(c, "E7006", "wherry status shows what it does",
                                "process %" PRId64 " on %s was asked to stop and has not yet",
                                r.pid, r.host ? r.host : "?"),
                   code;
    } else if (!c->discard) {
        return wh_cli_usage(c, "E7013",
                            "wherry resume goes on with it, cancel --discard gives it up",
                            "run %s is not running: nobody to stop", r.run);
    }
    return c->discard ? discard(c, &r) : 0;
}
