/* SPDX-License-Identifier: Apache-2.0 */
/* wherry watch [RUN]: a run as it goes, from any terminal; ends with the run and its exit code. */
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"

struct watch {
    const char *run;
    struct wh_screen screen;
    int64_t every_ns, last_ns, rows, rows_ns;
};

static int64_t rows_written(struct wh_cli *c, const char *run)
{
    struct wh_flow_record *flows;
    struct wh_error e;
    size_t n;
    int64_t sum = 0;
    if (wh_state_flows(c->store, run, c->arena, &flows, &n, &e) != WH_OK)
        return 0;
    for (size_t i = 0; i < n; i++) {
        struct wh_unit_sums s = {0};
        if (wh_state_unit_sums(c->store, run, flows[i].flow, &s, &e) == WH_OK)
            sum += s.rows_written;
    }
    return sum;
}

static bool draw(struct wh_cli *c, struct watch *w, const struct wh_run_record *r)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    int64_t now = wh_now_ns();
    if (w->screen.terminal && !wh_screen_ours(&w->screen))
        return true; /* in the background */
    wh_screen_erase(&w->screen, &b);
    if (c->json) {
        wh_cli_run_json(c, r, &b);
        return wh_cli_print(&b);
    }
    size_t at = b.n;
    int64_t rows = rows_written(c, w->run);
    if (wh_cli_run_text(c, r, &b) != WH_OK)
        return false;
    wh_text_count(&b, rows);
    wh_ignore(wh_buf_adds(&b, " rows in committed units"));
    if (w->rows_ns) {
        wh_ignore(wh_buf_adds(&b, ", "));
        wh_text_rate(&b, rows - w->rows, (double)(now - w->rows_ns) / 1e9);
    }
    wh_ignore(wh_buf_addc(&b, '\n'));
    w->rows = rows;
    w->rows_ns = now;
    wh_screen_draw(&w->screen, at, &b);
    return wh_cli_print(&b);
}

static wh_status gather(void *arg, struct wh_str piece)
{
    return wh_buf_add(arg, piece.s, piece.n);
}

static int ended(struct wh_cli *c, struct watch *w, const struct wh_run_record *r)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    wh_screen_erase(&w->screen, &b);
    size_t erased = b.n;
    if (c->json)
        wh_cli_run_json(c, r, &b);
    else if (r->exit_code < 0 ||
             wh_state_report(c->store, r->run, WH_REPORT_TEXT, gather, &b, NULL) != WH_OK ||
             b.n == erased)
        wh_ignore(wh_cli_run_text(c, r, &b));
    if (!wh_cli_print(&b))
        return 1;
    if (r->exit_code >= 0)
        return r->exit_code;
    return wh_cli_usage(c, "E7013", "wherry resume goes on with it",
                        "nobody carries run %s out: its process has gone", r->run),
           5;
}

/* 1 = go on; else *ret is the exit code. Memory of one look is given back. */
static bool look(struct wh_cli *c, struct watch *w, int *ret)
{
    struct wh_arena *own WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20), *was = c->arena;
    struct wh_run_record r;
    struct wh_error e = {0};
    bool more = false;
    *ret = 1;
    if (!own)
        return false;
    c->arena = own;
    if (wh_state_run_get(c->store, w->run, own, &r, &e) != WH_OK) {
        *ret = wh_cli_fail(c, &e);
    } else if (wh_state_run_alive(c->store, &r, 30000) == 0 || r.state >= WH_RUN_CLOSED) {
        *ret = ended(c, w, &r);
    } else if (!w->last_ns || wh_now_ns() - w->last_ns >= w->every_ns) {
        w->last_ns = wh_now_ns();
        more = draw(c, w, &r);
    } else {
        more = true;
    }
    c->arena = was;
    return more;
}

int wh_cmd_watch(struct wh_cli *c)
{
    struct watch w = {.run = NULL};
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error e = {0};
    int64_t ms;
    int code;
    wh_screen_init(&w.screen, STDOUT_FILENO);
    w.screen.terminal = w.screen.terminal && !c->json;
    ms = w.screen.terminal ? 1000 : 60000;
    if (c->stats && (!wh_parse_duration(c->stats, &ms) || ms < 100))
        return wh_cli_usage(c, "E1002", "write 5s", "--stats '%s' is no duration of 100 ms or more",
                            c->stats);
    w.every_ns = ms * 1000000;
    int st = wh_cli_state(c, &state, &e);
    const char *run = c->args.n ? c->args.v[0] : st == WH_OK ? wh_cli_newest(c, true, &e) : NULL;
    if (st == WH_OK && !run)
        return wh_cli_usage(c, "E7007", "wherry history lists runs", "nothing runs");
    if (st == WH_OK)
        st = wh_cli_run(c, run, &r, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    w.run = r.run;
    while (look(c, &w, &code))
        wh_sleep_ms(ms < 500 ? ms : 500);
    return code;
}
