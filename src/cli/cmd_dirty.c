/* SPDX-License-Identifier: Apache-2.0 */
/* wherry dirty list | export | replay | drop: the rows that a run refused, and what becomes of
 * them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "engine/refused.h"

/* ---- which runs have some ---- */

struct overview {
    struct wh_cli *c;
    struct wh_grid *grid;
    struct wh_buf *b;
    int64_t runs;
};

static void overview_json(struct overview *o, const struct wh_run_record *r, int64_t bytes)
{
    wh_ignore(wh_buf_printf(o->b, "{\"v\":1,\"run\":\"%s\",\"job\":", r->run));
    wh_ignore(wh_buf_json(o->b, r->job, strlen(r->job)));
    wh_ignore(wh_buf_printf(
        o->b, ",\"status\":\"%s\",\"rows_dirty\":%" PRId64 ",\"bytes\":%" PRId64 "}\n",
        wh_cli_condition(o->c, r), r->rows_dirty, bytes));
}

static wh_status overview_line(void *arg, const struct wh_run_record *r)
{
    struct overview *o = arg;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256);
    int64_t files, bytes;
    wh_refused_size(o->c->store, r->run, &files, &bytes);
    if (files == 0 && r->rows_dirty == 0)
        return WH_OK;
    o->runs++;
    if (o->c->json) {
        overview_json(o, r, bytes);
        return WH_OK;
    }
    wh_grid_cell(o->grid, r->run);
    wh_grid_cell(o->grid, r->job);
    wh_grid_cell(o->grid, wh_cli_condition(o->c, r));
    wh_text_time(&b, r->created_us);
    wh_grid_cell(o->grid, b.p);
    wh_buf_clear(&b);
    wh_text_count(&b, r->rows_dirty);
    wh_ignore(wh_buf_adds(&b, " refused"));
    wh_grid_cell(o->grid, b.p);
    wh_buf_clear(&b);
    if (files)
        wh_text_size(&b, bytes);
    wh_grid_cell(o->grid, files ? b.p : "not kept any more");
    return WH_OK;
}

static int overview(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct overview o = {c, wh_grid_new(c->arena, 6, "llllrr"), &b, 0};
    struct wh_error e = {0};
    int st = wh_state_runs(c->store, NULL, NULL, false, overview_line, &o, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    wh_grid_print(o.grid, &b);
    if (o.runs == 0 && !c->json)
        wh_ignore(wh_buf_adds(&b, "no run refused a row\n"));
    return wh_cli_print(&b) ? 0 : 1;
}

/* ---- the rows of one ---- */

enum {
    PAGE = 500
};

struct listing {
    struct wh_cli *c;
    struct wh_arena *arena; /* of the page */
    struct wh_grid *grid;
    struct wh_buf b;
    int64_t rows, most, open; /* open: of tables that ended by them */
    bool broken;              /* nobody reads any more */
};

static void page_begin(struct listing *l)
{
    wh_arena_reset(l->arena);
    l->grid = wh_grid_new(l->arena, 6, "lrllll");
}

static void page_end(struct listing *l)
{
    wh_grid_print(l->grid, &l->b);
    l->broken = !wh_cli_print(&l->b);
    page_begin(l);
}

static void member(struct wh_buf *b, const char *key, const char *text)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":", key));
    wh_ignore(text ? wh_buf_json(b, text, strlen(text)) : wh_buf_adds(b, "null"));
}

static void row_json(struct listing *l, const struct wh_refused *r)
{
    wh_ignore(wh_buf_printf(&l->b, "{\"v\":1,\"type\":\"dirty\",\"unit\":%" PRId64, r->unit));
    member(&l->b, "stream", r->stream);
    member(&l->b, "table", r->table);
    member(&l->b, "position", r->position);
    member(&l->b, "column", r->column);
    member(&l->b, "code", r->code);
    member(&l->b, "reason", r->reason);
    wh_ignore(wh_buf_printf(&l->b, ",\"final\":%s}\n", r->committed ? "true" : "false"));
}

static wh_status list_row(void *arg, const struct wh_refused *r)
{
    struct listing *l = arg;
    char unit[32];
    if (l->rows++ >= l->most)
        return WH_END;
    l->open += !r->committed;
    if (l->c->json) {
        row_json(l, r);
        l->broken = l->b.n > 1 << 16 && !wh_cli_print(&l->b);
        return l->broken ? WH_END : WH_OK;
    }
    snprintf(unit, sizeof(unit), "unit %" PRId64, r->unit);
    wh_grid_cell(l->grid, r->table);
    wh_grid_cell(l->grid, unit);
    wh_grid_cell(l->grid, r->position);
    wh_grid_cell(l->grid, r->column ? r->column : "-");
    wh_grid_cell(l->grid, r->code);
    wh_grid_cell(l->grid, r->reason);
    if (l->rows % PAGE == 0)
        page_end(l);
    return l->broken ? WH_END : WH_OK;
}

static void say(struct wh_cli *c, struct wh_buf *b)
{
    if (b->n && !c->quiet)
        wh_cli_write(STDERR_FILENO, b->p, b->n);
}

/* What the list alone does not tell. */
static void list_notes(struct listing *l, const char *run, int64_t missing)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    if (l->rows == 0 && missing == 0)
        wh_ignore(wh_buf_printf(&b, "run %s refused no row\n", run));
    if (l->rows > l->most)
        wh_ignore(wh_buf_printf(&b, "... and more: -n N shows more of them\n"));
    else if (missing)
        wh_ignore(
            wh_buf_printf(&b, "%" PRId64 " more refused rows are not kept any more\n", missing));
    if (l->open)
        wh_ignore(wh_buf_printf(&b,
                                "%" PRId64 " of them ended their table: wherry resume %s "
                                "--dirty rows=N reads them again\n",
                                l->open, run));
    if (!l->c->json)
        say(l->c, &b);
}

static int list(struct wh_cli *c, const struct wh_run_record *r, const char *table)
{
    struct listing l = {.c = c, .b = WH_BUF(16 << 20), .most = INT64_MAX};
    struct wh_error e = {0};
    int64_t missing = 0;
    if (c->lines && (!wh_parse_i64(c->lines, &l.most) || l.most < 1))
        return wh_cli_usage(c, "E1002", NULL, "-n wants a number of rows, not '%s'", c->lines);
    l.arena = wh_arena_new(64 << 20);
    if (!l.arena)
        return 1;
    page_begin(&l);
    int st = wh_refused_each(c->store, r->run, table, list_row, &l, &missing, &e);
    if (!l.broken)
        page_end(&l);
    if (st == WH_OK && !l.broken)
        list_notes(&l, r->run, table || l.rows > l.most ? 0 : missing);
    wh_buf_free(&l.b);
    wh_arena_free(l.arena);
    return st == WH_OK ? 0 : wh_cli_fail(c, &e);
}

/* ---- replay ---- */

/* Rows that never were rows: what becomes of them is for people to decide. Until then not all that
 * was refused is written: 3. */
static int left_over(struct wh_cli *c, const char *run, const struct wh_replays *all)
{
    int64_t rows = all->raw + all->unreadable;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    if (rows == 0)
        return 0;
    wh_ignore(wh_buf_printf(&b,
                            "%" PRId64 " refused row%s could not be read and would be refused "
                            "again: wherry dirty export %s TABLE -o rows.csv, mend, copy",
                            rows, rows == 1 ? "" : "s", run));
    if (c->json && b.n) {
        struct wh_event e = {.type = WH_EV_WARNING, .run = run, .text = b.p};
        struct wh_buf line WH_CLEANUP(wh_buf_free) = WH_BUF(8192);
        wh_ignore(wh_event_json(&e, &line));
        wh_cli_event(c, &line);
        return 3;
    }
    wh_ignore(wh_buf_addc(&b, '\n'));
    say(c, &b);
    return 3;
}

static int replay(struct wh_cli *c, const struct wh_run_record *r);

/* Rows that the destination refused again belong to the run that wrote the others. */
static bool refused_again(struct wh_cli *c, const struct wh_outcome *o, struct wh_run_record *ret)
{
    struct wh_error e;
    return o->run[0] && wh_state_run_get(c->store, o->run, c->arena, ret, &e) == WH_OK &&
           ret->finished && ret->rows_dirty > 0;
}

static void tell_refused_again(struct wh_cli *c, const struct wh_run_record *r, bool before)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    if (before)
        wh_ignore(wh_buf_printf(&b, "run %s wrote the others; %" PRId64 " are tried again\n",
                                r->run, r->rows_dirty));
    else
        wh_ignore(wh_buf_printf(&b,
                                "%" PRId64 " refused again, see wherry dirty list %s; when the "
                                "cause is mended, say it again\n",
                                r->rows_dirty, r->run));
    if (!c->json)
        say(c, &b);
}

static int replay(struct wh_cli *c, const struct wh_run_record *r);

static int replay_one(struct wh_cli *c, const struct wh_replay *one, struct wh_services *services)
{
    struct wh_render *r = wh_render_new(c, false);
    struct wh_start start = {0};
    struct wh_run_record rest;
    struct wh_outcome o = {0};
    struct wh_error e = {0};
    if (!r)
        return 5;
    start.listener = wh_render_listener(r);
    c->moved = true;
    wh_cli_summary_begin(c);
    int st = wh_replay_start(one, services, c->store, &start, &o, &e);
    bool again = st == WH_OK && refused_again(c, &o, &rest);
    bool before = again && o.how == WH_STARTED_DONE_BEFORE;
    int code = before ? 0 : wh_cli_started(c, st, &o, r, &e);
    wh_cli_summary_end(c, code);
    wh_render_free(r);
    if (again)
        tell_refused_again(c, &rest, before);
    return before ? replay(c, &rest) : code;
}

static int replay_all(struct wh_cli *c, const struct wh_replays *all)
{
    struct wh_services *services;
    struct wh_error e = {0};
    int code = 0;
    if (wh_cli_services(c, &services, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    for (size_t i = 0; i < all->n && code != 130 && code != 143; i++) {
        int one = replay_one(c, &all->v[i], services);
        code = i ? wh_cli_worse(code, one) : one;
    }
    return code;
}

static int replay(struct wh_cli *c, const struct wh_run_record *r)
{
    struct wh_replays all;
    struct wh_error e = {0};
    if (wh_replay_make(c->store, r->run, c->arena, &all, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    if (all.n == 0 && all.raw + all.unreadable)
        return wh_cli_usage(c, "E6030",
                            "wherry dirty export RUN TABLE -o rows.csv; mend that file and copy it",
                            "the %" PRId64 " refused rows of run %s could not be read, so they "
                            "would be refused again",
                            all.raw + all.unreadable, r->run);
    if (all.n == 0) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256);
        wh_ignore(wh_buf_printf(&b, "run %s refused no row; nothing is to be done\n", r->run));
        say(c, &b);
        return 0;
    }
    int left = c->json ? left_over(c, r->run, &all) : 0; /* before the last event */
    int code = replay_all(c, &all);
    if (!c->json)
        left = left_over(c, r->run, &all);
    return wh_cli_worse(code, left);
}

/* ---- drop ---- */

static int drop(struct wh_cli *c, const struct wh_run_record *r)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    struct wh_error e = {0};
    int64_t files, bytes;
    if (strcmp(wh_cli_condition(c, r), "running") == 0)
        return wh_cli_usage(c, "E7006", "wherry watch follows it", "run %s is under way", r->run);
    wh_refused_size(c->store, r->run, &files, &bytes);
    const char *question =
        wh_arena_printf(c->arena, "The refused rows of run %s (%" PRId64 " file%s) go for good.",
                        r->run, files, files == 1 ? "" : "s");
    if (files && (!question || !wh_cli_consent(c, question)))
        return 2;
    if (wh_refused_drop(c->store, r->run, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    if (c->json) {
        wh_ignore(wh_buf_printf(
            &b, "{\"v\":1,\"run\":\"%s\",\"files\":%" PRId64 ",\"bytes\":%" PRId64 "}\n", r->run,
            files, bytes));
        return wh_cli_print(&b) ? 0 : 1;
    }
    wh_ignore(files ? wh_buf_printf(&b, "the refused rows of run %s are gone\n", r->run)
                    : wh_buf_printf(&b, "no refused rows of run %s are kept\n", r->run));
    say(c, &b);
    return 0;
}

/* ---- verbs ---- */

static int on_run(struct wh_cli *c, const char *verb, const struct wh_run_record *r)
{
    const char *table = c->args.n > 2 ? c->args.v[2] : NULL;
    if (strcmp(verb, "list") == 0)
        return list(c, r, table);
    if (strcmp(verb, "export") == 0)
        return wh_cli_dirty_export(c, r, table);
    if (table)
        return wh_cli_usage(c, "E1011", NULL, "'dirty %s' is for all tables of a run", verb);
    return strcmp(verb, "replay") == 0 ? replay(c, r) : drop(c, r);
}

int wh_cmd_dirty(struct wh_cli *c)
{
    static const char *const verbs[] = {"list", "export", "replay", "drop", NULL};
    const char *verb = c->args.n ? c->args.v[0] : "list", *near;
    struct wh_run_record r;
    struct wh_state *state;
    struct wh_error e = {0};
    size_t i = 0;
    while (verbs[i] && strcmp(verbs[i], verb) != 0)
        i++;
    if (!verbs[i]) {
        near = wh_did_you_mean(wh_str(verb), verbs);
        return wh_cli_usage(c, "E1011",
                            near ? wh_arena_printf(c->arena, "did you mean 'dirty %s'?", near)
                                 : "wherry dirty list, export, replay or drop RUN",
                            "dirty does not understand '%s'", verb);
    }
    if ((c->output || c->side) && strcmp(verb, "export") != 0)
        return wh_cli_usage(c, "E1010", "it belongs to 'dirty export'", "'dirty %s' takes no %s",
                            verb, c->output ? "-o" : "--side");
    c->starts = strcmp(verb, "replay") == 0;
    if (wh_cli_state(c, &state, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    if (c->args.n < 2)
        return i == 0 ? overview(c)
                      : wh_cli_usage(c, "E1011", "wherry dirty list tells which runs have some",
                                     "dirty %s needs a run", verb);
    if (wh_cli_run(c, c->args.v[1], &r, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    return on_run(c, verb, &r);
}
