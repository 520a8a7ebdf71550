/* SPDX-License-Identifier: Apache-2.0 */
/* wherry history, status, units: what the state knows of runs. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "engine/service.h"

/* One word for people: how a run is or ended. */
const char *wh_cli_condition(struct wh_cli *c, const struct wh_run_record *r)
{
    if (r->state == WH_RUN_DISCARDED) /* also a start that was refused, or one into a pipe */
        return r->exit_code == 1 ? "discarded" : r->exit_code == 2 ? "refused" : "failed";
    /* One that goes on has the end of before in its record. */
    bool ended = r->exit_code >= 0 && r->ended_us >= r->started_us;
    if (!ended && !r->finished && wh_state_run_alive(c->store, r, 30000) != 0)
        return "running";
    if (r->exit_code < 0)
        return "unfinished";
    if (!r->finished)
        return r->exit_code == 129 || r->exit_code == 130 || r->exit_code == 143 ? "interrupted"
                                                                                 : "failed";
    return r->exit_code == 0 ? "done" : r->exit_code == 2 ? "refused" : "done";
}

static void run_json(const struct wh_run_record *r, const char *word, struct wh_buf *b)
{
    char created[32], ended[32];
    wh_format_utc(r->created_us, created);
    wh_ignore(wh_buf_printf(b, "{\"v\":1,\"run\":\"%s\",\"job\":", r->run));
    wh_ignore(wh_buf_json(b, r->job, strlen(r->job)));
    wh_ignore(wh_buf_printf(b, ",\"status\":\"%s\",\"state\":\"%s\",\"exit\":", word,
                            wh_run_state_name(r->state)));
    wh_ignore(r->exit_code < 0 ? wh_buf_adds(b, "null") : wh_buf_printf(b, "%d", r->exit_code));
    wh_ignore(wh_buf_printf(b, ",\"created\":\"%s\",\"ended\":", created));
    if (r->ended_us) {
        wh_format_utc(r->ended_us, ended);
        wh_ignore(wh_buf_printf(b, "\"%s\"", ended));
    } else {
        wh_ignore(wh_buf_adds(b, "null"));
    }
    wh_ignore(wh_buf_printf(
        b, ",\"rows_read\":%" PRId64 ",\"rows_written\":%" PRId64 ",\"rows_dirty\":%" PRId64 "}\n",
        r->rows_read, r->rows_written, r->rows_dirty));
}

/* ---- which run, and what when there is none ---- */

struct names {
    struct wh_cli *c;
    const char *v[101];
    size_t n;
};

static wh_status one_name(void *arg, const struct wh_run_record *r)
{
    struct names *l = arg;
    l->v[l->n] = wh_arena_strdup(l->c->arena, r->run);
    l->n += l->v[l->n] != NULL;
    return l->n < 100 ? WH_OK : WH_END;
}

wh_status wh_cli_run(struct wh_cli *c, const char *word, struct wh_run_record *ret,
                     struct wh_error *reterr)
{
    struct names l = {.c = c};
    struct wh_error ignored;
    int st = wh_state_run_get(c->store, word, c->arena, ret, reterr);
    if (st == WH_OK || strcmp(reterr->code, "E7007") != 0 ||
        wh_state_runs(c->store, NULL, NULL, false, one_name, &l, &ignored) != WH_OK)
        return st;
    const char *near = wh_did_you_mean(wh_str(word), l.v);
    if (near)
        wh_error_hint(reterr, "did you mean %s? wherry history lists all", near);
    return st;
}

void wh_cli_nothing(struct wh_cli *c, const char *fmt, ...)
{
    char text[256];
    va_list ap;
    if (c->json || c->quiet)
        return;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    wh_text_tame(text, true);
    wh_cli_write(STDERR_FILENO, text, strlen(text));
}

/* A word that filters and is none would show an empty list. */
static bool good_filter(struct wh_cli *c, const char *const *words)
{
    const char *near;
    if (!c->status_filter)
        return true;
    for (const char *const *w = words; *w; w++)
        if (strcmp(*w, c->status_filter) == 0)
            return true;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(512);
    near = wh_did_you_mean(wh_str(c->status_filter), words);
    if (near)
        wh_ignore(wh_buf_printf(&b, "did you mean %s?", near));
    for (const char *const *w = words; !near && *w; w++)
        wh_ignore(wh_buf_printf(&b, "%s%s", w == words ? "" : ", ", *w));
    wh_cli_usage(c, "E1002", b.n ? b.p : NULL, "--status does not know '%s'", c->status_filter);
    return false;
}

/* "7d" ago, or a day, or a time of day in UTC. */
static bool since_of(struct wh_cli *c, int64_t *ret_us)
{
    static const char *const forms[] = {"%Y-%m-%d", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                        "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M"};
    int64_t ms;
    *ret_us = 0;
    if (!c->since)
        return true;
    if (wh_parse_duration(c->since, &ms)) {
        *ret_us = wh_wall_us() - ms * 1000;
        return true;
    }
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
        struct tm tm = {0};
        const char *end = strptime(c->since, forms[i], &tm);
        if (!end || *end)
            continue;
        *ret_us = (int64_t)timegm(&tm) * 1000000;
        return true;
    }
    wh_cli_usage(c, "E1002", "write 7d, 12h, 2026-11-01 or 2026-11-01T02:00:00 (UTC)",
                 "--since '%s' is no time", c->since);
    return false;
}

struct listing {
    struct wh_cli *c;
    struct wh_grid *grid;
    struct wh_buf *b;
    int64_t left, since_us, shown;
};

static wh_status history_line(void *arg, const struct wh_run_record *r)
{
    struct listing *l = arg;
    const char *word = wh_cli_condition(l->c, r), *want = l->c->status_filter;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256);
    if (r->created_us < l->since_us)
        return WH_END; /* newest first */
    if (want && strcmp(want, word) != 0)
        return WH_OK;
    if (l->left-- <= 0)
        return WH_END;
    l->shown++;
    if (l->c->json) {
        run_json(r, word, l->b);
        return WH_OK;
    }
    wh_grid_cell(l->grid, r->run);
    wh_grid_cell(l->grid, r->job);
    wh_grid_cell(l->grid, word);
    wh_text_time(&b, r->created_us);
    wh_grid_cell(l->grid, b.p);
    wh_buf_clear(&b);
    if (r->ended_us && r->started_us)
        wh_text_seconds(&b, (double)(r->ended_us - r->started_us) / 1e6);
    wh_grid_cell(l->grid, b.n ? b.p : "");
    wh_buf_clear(&b);
    wh_text_count(&b, r->rows_written);
    wh_ignore(wh_buf_adds(&b, " written"));
    wh_grid_cell(l->grid, b.p);
    wh_buf_clear(&b);
    if (r->exit_code >= 0)
        wh_ignore(wh_buf_printf(&b, "exit %d", r->exit_code));
    wh_grid_cell(l->grid, b.n ? b.p : "");
    return WH_OK;
}

int wh_cmd_history(struct wh_cli *c)
{
    struct wh_state *state;
    struct wh_error e = {0};
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    static const char *const words[] = {"running",     "done",    "failed",    "unfinished",
                                        "interrupted", "refused", "discarded", NULL};
    struct listing l = {c, wh_grid_new(c->arena, 7, "llllrrl"), &b, 20, 0, 0};
    if (c->lines && (!wh_parse_i64(c->lines, &l.left) || l.left < 1))
        return wh_cli_usage(c, "E1002", NULL, "-n wants a number of lines, not '%s'", c->lines);
    if (!good_filter(c, words) || !since_of(c, &l.since_us))
        return 2;
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_state_runs(state, c->args.n ? c->args.v[0] : NULL, NULL, false, history_line, &l,
                           &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    if (!c->json)
        wh_grid_print(l.grid, &b);
    if (l.shown == 0 && (c->status_filter || c->since))
        wh_cli_nothing(c, "no such run%s%s\n", c->args.n ? " of job " : "",
                       c->args.n ? c->args.v[0] : "");
    else if (l.shown == 0)
        wh_cli_nothing(c, c->args.n ? "no run of job '%s' is known%s\n" : "no run is known%s%s\n",
                       c->args.n ? c->args.v[0] : ": wherry copy and wherry run make some", "");
    return wh_cli_print(&b) ? 0 : 1;
}

/* ---- status ---- */

static void flow_line(struct wh_cli *c, const char *run, const struct wh_flow_record *f,
                      struct wh_grid *g)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256);
    struct wh_unit_sums s = {0};
    struct wh_error e;
    if (wh_state_unit_sums(c->store, run, f->flow, &s, &e) != WH_OK)
        return;
    wh_grid_cell(g, f->table);
    wh_grid_cell(g, wh_flow_state_name(f->state));
    wh_ignore(wh_buf_printf(&b, "%" PRId64 " of %" PRId64 "%s units", s.recorded,
                            s.recorded + s.drawn + s.leased + s.failed, f->drawn ? "" : "+"));
    wh_grid_cell(g, b.p);
    wh_buf_clear(&b);
    wh_text_count(&b, s.rows_written);
    wh_ignore(wh_buf_adds(&b, " written"));
    wh_grid_cell(g, b.p);
    wh_buf_clear(&b);
    wh_text_count(&b, s.rows_dirty);
    wh_ignore(wh_buf_adds(&b, " dirty"));
    wh_grid_cell(g, b.p);
}

/* What is held costs the server something: who holds it, and since when. */
static void held_words(struct wh_cli *c, const struct wh_run_record *r, int endpoint,
                       struct wh_buf *b)
{
    int64_t pid = wh_holder_find(wh_state_dir(c->store), r->run, endpoint);

    if (pid)
        wh_ignore(wh_buf_printf(b, ", held by process %" PRId64, pid));
    else
        wh_ignore(wh_buf_adds(b, ", no longer held"));
}

/* A run that has ended holds nothing. */
static void snapshot_lines(struct wh_cli *c, const struct wh_run_record *r, struct wh_buf *b)
{
    const char *run = r->run;
    struct wh_snapshot_record *v;
    struct wh_error e;
    size_t n;
    if (r->finished || wh_state_snapshots(c->store, run, c->arena, &v, &n, &e) != WH_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        wh_ignore(
            wh_buf_printf(b, "snapshot: %s, age ", v[i].what && *v[i].what ? v[i].what : "-"));
        wh_text_seconds(b, (double)(wh_wall_us() - v[i].taken_us) / 1e6);
        if (v[i].kind == WH_SNAP_HELD)
            held_words(c, r, v[i].endpoint, b);
        wh_ignore(wh_buf_adds(b, v[i].instants > 1 ? ", mixed\n" : "\n"));
    }
}

void wh_cli_run_json(struct wh_cli *c, const struct wh_run_record *r, struct wh_buf *b)
{
    run_json(r, wh_cli_condition(c, r), b);
}

/* What `limit` said last: "limited to rate 20MB/s, parallel 2". */
static void limits_line(struct wh_cli *c, const char *json, struct wh_buf *b)
{
    struct wh_problems ignored = {.arena = c->arena};
    struct wh_node *map = NULL;
    if (!json || wh_json_parse(c->arena, "limits", json, strlen(json), &map, &ignored) != WH_OK ||
        map->kind != WH_NODE_MAP)
        return;
    for (size_t i = 0; i < map->n; i++) {
        wh_ignore(wh_buf_printf(b, "%s%s ", i ? ", " : "limited to ", map->keys[i]->text));
        wh_text_line(b, wh_node_text(map->items[i], ""));
    }
    wh_ignore(wh_buf_adds(b, map->n ? "\n" : ""));
}

wh_status wh_cli_run_text(struct wh_cli *c, const struct wh_run_record *r, struct wh_buf *out)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_flow_record *flows;
    struct wh_error e = {0};
    size_t n;
    const char *word = wh_cli_condition(c, r);
    wh_ignore(wh_buf_printf(&b, "run %s of %s: %s (%s)", r->run, r->job, word,
                            wh_run_state_name(r->state)));
    wh_text_tame(b.p, false);
    if (r->pid && strcmp(word, "running") == 0)
        wh_ignore(wh_buf_printf(&b, ", process %" PRId64 " on %s", r->pid, r->host));
    wh_ignore(wh_buf_adds(&b, ", since "));
    wh_text_time(&b, r->created_us);
    wh_ignore(wh_buf_addc(&b, '\n'));
    if (wh_state_flows(c->store, r->run, c->arena, &flows, &n, &e) != WH_OK)
        return e.status;
    struct wh_grid *g = wh_grid_new(c->arena, 5, "llrrr");
    for (size_t i = 0; i < n; i++)
        flow_line(c, r->run, &flows[i], g);
    wh_grid_print(g, &b);
    snapshot_lines(c, r, &b);
    if (!r->finished)
        limits_line(c, r->limits, &b);
    if (!r->finished && r->state < WH_RUN_CLOSED && strcmp(word, "running") != 0)
        wh_ignore(wh_buf_printf(&b, "to go on: wherry resume %s\n", r->run));
    return wh_buf_add(out, b.p, b.n);
}

static int show_run(struct wh_cli *c, const struct wh_run_record *r)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    if (c->json)
        wh_cli_run_json(c, r, &b);
    else if (wh_cli_run_text(c, r, &b) != WH_OK)
        return wh_cli_usage(c, "E7003", NULL, "the tables of run %s cannot be read", r->run);
    return wh_cli_print(&b) ? 0 : 1;
}

struct newest {
    struct wh_cli *c;
    const char *run;
};

static wh_status first_run(void *arg, const struct wh_run_record *r)
{
    struct newest *n = arg;
    n->run = wh_arena_strdup(n->c->arena, r->run);
    return WH_END;
}

const char *wh_cli_newest(struct wh_cli *c, bool unfinished, struct wh_error *e)
{
    struct newest n = {c, NULL};
    wh_ignore(wh_state_runs(c->store, NULL, NULL, unfinished, first_run, &n, e));
    return n.run;
}

struct latest {
    struct wh_cli *c;
    const char *run;
    int n;
};

static wh_status unfinished(void *arg, const struct wh_run_record *r)
{
    struct latest *l = arg;
    l->run = wh_arena_strdup(l->c->arena, r->run);
    l->n++;
    return l->n < 50 && l->run ? show_run(l->c, r) == 0 ? WH_OK : WH_END : WH_END;
}

int wh_cmd_status(struct wh_cli *c)
{
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error e = {0};
    struct latest l = {c, NULL, 0};
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK && c->args.n) {
        st = wh_cli_run(c, c->args.v[0], &r, &e);
        return st == WH_OK ? show_run(c, &r) : wh_cli_fail(c, &e);
    }
    if (st == WH_OK)
        st = wh_state_runs(state, NULL, NULL, true, unfinished, &l, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    if (l.n == 0 && !c->json)
        wh_cli_write(1, "nothing runs and nothing is unfinished\n", 39);
    return 0;
}

/* ---- units ---- */

static void unit_line(const struct wh_flow_record *f, const struct wh_unit_record *u,
                      struct wh_grid *g)
{
    char n[32];
    snprintf(n, sizeof(n), "%" PRId64, u->unit);
    wh_grid_cell(g, f->table);
    wh_grid_cell(g, n);
    wh_grid_cell(g, wh_unit_state_name(u->state));
    snprintf(n, sizeof(n), "attempt %d", u->attempt);
    wh_grid_cell(g, n);
    snprintf(n, sizeof(n), "%" PRId64 " rows", u->rows_written);
    wh_grid_cell(g, u->state == WH_UNIT_RECORDED ? n : "");
    wh_grid_cell(g, u->label);
}

static void unit_json(const char *run, const struct wh_flow_record *f,
                      const struct wh_unit_record *u, struct wh_buf *b)
{
    wh_ignore(wh_buf_printf(b, "{\"v\":1,\"run\":\"%s\",\"table\":", run));
    wh_ignore(wh_buf_json(b, f->table, strlen(f->table)));
    wh_ignore(wh_buf_printf(b,
                            ",\"unit\":%" PRId64 ",\"status\":\"%s\",\"attempt\":%d,"
                            "\"rows_read\":%" PRId64 ",\"rows_written\":%" PRId64
                            ",\"rows_dirty\":%" PRId64 ",\"label\":",
                            u->unit, wh_unit_state_name(u->state), u->attempt, u->rows_read,
                            u->rows_written, u->rows_dirty));
    wh_ignore(wh_buf_json(b, u->label ? u->label : "", u->label ? strlen(u->label) : 0));
    wh_ignore(wh_buf_adds(b, "}\n"));
}

static int list_units(struct wh_cli *c, const char *run, const struct wh_flow_record *f,
                      struct wh_error *e)
{
    struct wh_unit_record *v;
    size_t n = 1;
    for (int64_t after = 0; n > 0;) {
        struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
        if (!a)
            return wh_fail(e, WH_E_NOMEM, "E8002", "no memory for units");
        WH_TRY(wh_state_units(c->store, run, f->flow, 0, after, 500, a, &v, &n, e));
        struct wh_grid *g = wh_grid_new(a, 6, "lrllrl");
        for (size_t i = 0; i < n; i++) {
            after = v[i].unit;
            if (c->status_filter && strcmp(c->status_filter, wh_unit_state_name(v[i].state)) != 0)
                continue;
            if (c->json)
                unit_json(run, f, &v[i], &b);
            else
                unit_line(f, &v[i], g);
        }
        if (!c->json)
            wh_grid_print(g, &b);
        if (!wh_cli_print(&b))
            return WH_OK;
    }
    return WH_OK;
}

int wh_cmd_units(struct wh_cli *c)
{
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_flow_record *flows;
    struct wh_error e = {0};
    size_t n = 0;
    static const char *const words[] = {"drawn", "leased", "recorded", "failed", NULL};
    if (!good_filter(c, words))
        return 2;
    int st = wh_cli_state(c, &state, &e);
    const char *run = st != WH_OK ? NULL : c->args.n ? c->args.v[0] : wh_cli_newest(c, false, &e);
    if (st == WH_OK && !run)
        return wh_cli_usage(c, "E7007", NULL, "the state knows no run yet");
    if (st == WH_OK)
        st = wh_cli_run(c, run, &r, &e);
    if (st == WH_OK)
        st = wh_state_flows(state, r.run, c->arena, &flows, &n, &e);
    for (size_t i = 0; i < n && st == WH_OK; i++)
        st = list_units(c, r.run, &flows[i], &e);
    return st == WH_OK ? 0 : wh_cli_fail(c, &e);
}
