/* SPDX-License-Identifier: Apache-2.0 */
/* What people see of a run: plan in short, progress, one line per table, the last line. All of it
 * on stderr; events for programs on stdout (--json) or where --events says. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/clock.h"
#include "core/log.h"

enum {
    PIPE_CLOSED = 128 + SIGPIPE
};

struct wh_render {
    struct wh_cli *c;
    struct wh_run_listener listener;
    struct wh_buf out;
    int events[2]; /* --json and --events; -1 = none */
    struct wh_run_log log;
    bool close_events;
    struct wh_screen screen;
    bool counted;      /* first_part is known, started_ns the time of it */
    double first_part; /* done before the first progress line */
    int64_t started_ns, last_ns, last_rows, last_bytes, last_written; /* rows: not found ones */
    int64_t plain_every_ns, plain_last_ns;
};

static void flush(struct wh_render *r)
{
    if (r->out.n) {
        wh_log_mask(r->out.p);
        wh_cli_write(STDERR_FILENO, r->out.p, r->out.n);
    }
    wh_buf_clear(&r->out);
}

static void erase(struct wh_render *r)
{
    wh_screen_erase(&r->screen, &r->out);
}

/* ---- the summary ---- */

static void table_line(const struct wh_table_result *t, struct wh_grid *g, struct wh_arena *a)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    const struct {
        int64_t n;
        const char *word;
    } cells[] = {{t->counts.rows_read, " read"},
                 {t->counts.rows_written, " written"},
                 {t->counts.rows_dirty, " dirty"},
                 {t->counts.rows_filtered, " filtered"},
                 {t->counts.rows_skipped, " skipped"}};
    wh_grid_cell(g, t->table);
    wh_grid_cell(g, t->status);
    for (size_t i = 0; i < 5; i++) {
        wh_text_count(&b, cells[i].n);
        wh_ignore(wh_buf_adds(&b, cells[i].word));
        wh_grid_cell(g, b.p);
        wh_buf_clear(&b);
    }
    wh_text_size(&b, t->counts.bytes_read > t->counts.bytes_written ? t->counts.bytes_read
                                                                    : t->counts.bytes_written);
    wh_grid_cell(g, b.p);
    wh_buf_clear(&b);
    wh_text_seconds(&b, t->seconds);
    wh_grid_cell(g, b.p);
    wh_buf_clear(&b);
    wh_text_rate(&b, t->counts.rows_written, t->seconds);
    wh_grid_cell(g, b.p);
    wh_buf_clear(&b);
    wh_ignore(wh_buf_adds(&b, t->delivery ? t->delivery : ""));
    if (t->ranges)
        wh_ignore(wh_buf_printf(&b, "%sranges: %s", b.n ? ", " : "", t->ranges));
    if (t->hash && strcmp(t->hash, "rows") != 0)
        wh_ignore(wh_buf_printf(&b, "%shash: %s", b.n ? ", " : "", t->hash));
    wh_grid_cell(g, b.p);
}

/* "CODE where: message", a line; the hint is another one. */
static void error_lines(const struct wh_error *e, const char *table, bool hint, struct wh_buf *b)
{
    wh_ignore(wh_buf_printf(b, "%s ", e->code));
    if (e->where[0] && (!table || strcmp(e->where, table) != 0)) {
        wh_text_line(b, e->where);
        wh_ignore(wh_buf_adds(b, ": "));
    }
    wh_text_line(b, e->message);
    if (hint)
        wh_cli_next(e->hint, e->code, b);
    wh_ignore(wh_buf_addc(b, '\n'));
}

static void table_error(const struct wh_table_result *t, struct wh_buf *b)
{
    wh_text_line(b, t->table);
    wh_ignore(wh_buf_adds(b, ": "));
    error_lines(t->error, t->table, true, b);
    wh_ignore(wh_buf_printf(b, "  (wherry explain %s)\n", t->error->code));
}

wh_status wh_result_text(const struct wh_run_result *r, struct wh_buf *b)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_grid *g = a ? wh_grid_new(a, 11, "llrrrrrrrrl") : NULL;
    if (!g)
        return WH_E_NOMEM;
    for (size_t i = 0; i < r->n_tables; i++)
        table_line(&r->tables[i], g, a);
    wh_grid_print(g, b);
    for (size_t i = 0; i < r->n_tables; i++) {
        const struct wh_table_result *t = &r->tables[i];
        if (!t->error)
            continue;
        table_error(t, b);
    }
    if (r->snapshot && strncmp(r->snapshot, "mixed", 5) == 0)
        wh_ignore(wh_buf_printf(b, "snapshot: %s\n", r->snapshot));
    if (r->rows_staying) {
        wh_text_count(b, r->rows_staying);
        wh_ignore(wh_buf_adds(b, " rows of the given-up run stay\n"));
    }
    if (r->exit_code == 8) /* asked for; no table failed */
        wh_ignore(wh_buf_adds(b, "E6017 no rows were read\n  check the source; leave "
                                 "--error-on-empty out if that is fine\n"));
    wh_ignore(wh_buf_printf(b, "run %s %s  exit %d  peak ", r->run, r->status, r->exit_code));
    wh_text_size(b, r->peak_rss);
    wh_ignore(wh_buf_adds(b, "  cpu "));
    wh_text_seconds(b, r->cpu_seconds);
    if (r->resume)
        wh_ignore(wh_buf_printf(b, "\nto go on: %s; to give up: wherry cancel %s --discard",
                                r->resume, r->run));
    return wh_buf_addc(b, '\n');
}

/* ---- progress ---- */

static void waits(struct wh_buf *b, const struct wh_counts *t)
{
    int64_t r = t->read_wait_ns, w = t->write_wait_ns;
    if (r + w < 100000000)
        return;
    /* read_wait: the reader waited for the writer. */
    if (r > w)
        wh_ignore(wh_buf_printf(b, "  destination-bound %d %%", (int)(100 * r / (r + w))));
    else
        wh_ignore(wh_buf_printf(b, "  source-bound %d %%", (int)(100 * w / (r + w))));
}

/* By rows where the source has an idea of their number, else by units; below 0: nobody knows. An
 * estimate that was too low leaves it at 99 % until the last unit is in. */
static double part_done(const struct wh_counts *t)
{
    double part = -1;
    if (t->rows_expected > 0)
        part = (double)t->rows_read / (double)t->rows_expected;
    else if (t->units_total > 0)
        part = (double)t->units_done / (double)t->units_total;
    return part > 0.99 && t->units_done != t->units_total ? 0.99 : part;
}

/* From what this process did: a resumed run began with more than nothing. */
static void time_left(struct wh_render *r, double part, int64_t now)
{
    double past = (double)(now - r->started_ns) / 1e9;
    if (part <= r->first_part || r->first_part < 0 || part >= 0.99 || past <= 0)
        return;
    wh_ignore(wh_buf_adds(&r->out, "  left "));
    wh_text_seconds(&r->out, past * (1 - part) / (part - r->first_part));
}

/* What an attempt read that is made again is taken off. */
static int64_t gained(int64_t now, int64_t before)
{
    return now > before ? now - before : 0;
}

static void speed(struct wh_buf *b, int64_t bytes, double s, const char *what)
{
    wh_text_size(b, s > 0 ? (int64_t)((double)bytes / s) : 0);
    wh_ignore(wh_buf_printf(b, "/s %s", what));
}

/* How far, then how fast: two lines on a terminal, one elsewhere. */
static void progress_text(struct wh_render *r, const struct wh_counts *t)
{
    int64_t now = wh_now_ns();
    double s = (double)(now - r->last_ns) / 1e9;
    double part = part_done(t);
    if (part >= 0)
        wh_ignore(wh_buf_printf(&r->out, "%3d %%  ", (int)(100 * part)));
    wh_text_count(&r->out, t->rows_read);
    wh_ignore(wh_buf_adds(&r->out, " read  "));
    wh_text_count(&r->out, t->rows_written);
    wh_ignore(wh_buf_printf(&r->out, " written  %" PRId64 " dirty  units %" PRId64, t->rows_dirty,
                            t->units_done));
    if (t->units_total >= 0)
        wh_ignore(wh_buf_printf(&r->out, "/%" PRId64, t->units_total));
    time_left(r, part, now);
    wh_ignore(wh_buf_adds(&r->out, r->screen.terminal ? "\n" : "  "));
    wh_text_rate(&r->out, gained(t->rows_read - t->rows_found, r->last_rows), s);
    wh_ignore(wh_buf_adds(&r->out, "  "));
    speed(&r->out, gained(t->bytes_read, r->last_bytes), s, "read");
    wh_ignore(wh_buf_adds(&r->out, "  "));
    speed(&r->out, gained(t->bytes_written, r->last_written), s, "written");
    waits(&r->out, t);
    r->last_ns = now;
    r->last_rows = t->rows_read - t->rows_found;
    r->last_bytes = t->bytes_read;
    r->last_written = t->bytes_written;
}

/* What earlier attempts of a run did is no speed of this one. */
static void begin_speed(struct wh_render *r, const struct wh_counts *t)
{
    r->last_ns = wh_now_ns();
    r->last_rows = t->rows_read - t->rows_found;
    r->last_bytes = t->bytes_read;
    r->last_written = t->bytes_written;
}

static void progress(struct wh_render *r, const struct wh_event *e)
{
    if (r->c->quiet || r->c->no_progress || !e->total)
        return;
    if (!r->counted) {
        r->counted = true;
        r->first_part = part_done(e->total);
        r->started_ns = wh_now_ns();
    }
    if (r->screen.terminal) {
        if (!wh_screen_ours(&r->screen))
            return;
        erase(r);
        size_t from = r->out.n;
        progress_text(r, e->total);
        wh_ignore(wh_buf_addc(&r->out, '\n'));
        wh_screen_draw(&r->screen, from, &r->out);
    } else {
        int64_t now = wh_now_ns();
        if (now - r->plain_last_ns < r->plain_every_ns)
            return;
        r->plain_last_ns = now;
        progress_text(r, e->total);
        wh_ignore(wh_buf_addc(&r->out, '\n'));
    }
}

static void problem_line(struct wh_render *r, const struct wh_event *e)
{
    const char *word = e->type == WH_EV_UNIT_RETRY ? "again: "
                       : e->type == WH_EV_WARNING  ? "note: "
                                                   : "";
    erase(r);
    if (e->table) {
        wh_text_line(&r->out, e->table);
        wh_ignore(wh_buf_adds(&r->out, ": "));
    }
    if (e->unit)
        wh_ignore(wh_buf_printf(&r->out, "unit %" PRId64 ": ", e->unit));
    wh_ignore(wh_buf_adds(&r->out, word));
    if (e->error && e->error->status) {
        error_lines(e->error, e->table, e->type == WH_EV_ERROR, &r->out);
    } else {
        wh_text_line(&r->out, e->text ? e->text : "");
        wh_ignore(wh_buf_addc(&r->out, '\n'));
    }
}

static void validated_line(struct wh_render *r, const char *text)
{
    wh_ignore(wh_buf_adds(&r->out, "validated: "));
    wh_text_line(&r->out, text);
    wh_ignore(wh_buf_addc(&r->out, '\n'));
}

/* Whoever read our standard output has what it wanted: no words, as other programs do. */
static bool pipe_closed(const struct wh_error *e)
{
    return e && strcmp(e->code, "E5015") == 0;
}

static void people(struct wh_render *r, const struct wh_event *e)
{
    switch (e->type) {
    case WH_EV_PLAN:
        if (!r->c->quiet && e->plan)
            wh_ignore(wh_plan_print(e->plan, false, &r->out));
        break;
    case WH_EV_RUN_STARTED:
        if (e->total)
            begin_speed(r, e->total);
        break;
    case WH_EV_PROGRESS:
        progress(r, e);
        break;
    case WH_EV_VALIDATE:
        if (!r->c->quiet || e->text[0] != '=') /* a difference is no small talk */
            validated_line(r, e->text);
        break;
    case WH_EV_WARNING:
    case WH_EV_UNIT_RETRY:
        if (!r->c->quiet)
            problem_line(r, e);
        break;
    case WH_EV_ERROR:
        if (!pipe_closed(e->error))
            problem_line(r, e);
        break;
    case WH_EV_RUN_FINISHED:
        erase(r);
        if (e->result->exit_code != PIPE_CLOSED || r->c->verbose)
            wh_ignore(wh_result_text(e->result, &r->out));
        break;
    default:
        break;
    }
    flush(r);
}

/* Lines are written where they are wanted, piece by piece. */
struct line {
    struct wh_render *r;
    bool logged, summary_written;
    int summary;
};

static void write_out(struct line *l, struct wh_buf *b, size_t n)
{
    wh_log_mask(b->p);
    for (int i = 0; i < 2; i++)
        if (l->r->events[i] >= 0)
            wh_cli_write(l->r->events[i], b->p, n);
    if (l->logged)
        wh_run_log_add(&l->r->log, b->p, n);
    if (l->summary >= 0)
        l->summary_written = wh_cli_write(l->summary, b->p, n) && l->summary_written;
}

/* What comes next looks at the last byte. */
static void drain(void *self, struct wh_buf *line)
{
    char last = line->p[line->n - 1];

    write_out(self, line, line->n - 1);
    wh_buf_clear(line);
    wh_ignore(wh_buf_addc(line, last));
}

static void programs(struct wh_render *r, const struct wh_event *e)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(256 << 20);
    struct line line = {.r = r,
                        .logged = wh_run_log_wants(&r->log, e),
                        .summary_written = true,
                        .summary = e->type == WH_EV_RUN_FINISHED ? wh_cli_summary_open(r->c) : -1};
    if (!line.logged && line.summary < 0 && r->events[0] < 0 && r->events[1] < 0)
        return;
    if (line.logged)
        wh_run_log_begin(&r->log, wh_state_dir(r->c->store), e->run);
    wh_ignore(wh_event_drain_json(e, &b, drain, &line));
    write_out(&line, &b, b.n);
    wh_cli_summary_close(r->c, line.summary, line.summary_written);
}

static void on_event(void *self, const struct wh_event *e)
{
    struct wh_render *r = self;
    programs(r, e);
    if (!r->c->json)
        people(r, e);
}

static int event_descriptor(const char *where, bool *ret_close)
{
    int64_t fd;
    *ret_close = false;
    if (wh_parse_i64(where, &fd) && fd >= 0 && fd < 1 << 20)
        return (int)fd;
    *ret_close = true;
    return open(where, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
}

struct wh_render *wh_render_new(struct wh_cli *c, bool stdout_is_data)
{
    struct wh_render *r = wh_arena_alloc(c->arena, sizeof(*r));
    int64_t every_ms = 60000;
    if (!r)
        return NULL;
    if (c->stats)
        wh_parse_duration(c->stats, &every_ms); /* judged before */
    *r = (struct wh_render){.c = c, .out = WH_BUF(16 << 20), .events = {-1, -1}, .log = {.fd = -1}};
    c->data_in_stdout = stdout_is_data;
    if (c->json)
        r->events[0] = stdout_is_data ? STDERR_FILENO : STDOUT_FILENO;
    if (c->events)
        r->events[1] = event_descriptor(c->events, &r->close_events);
    wh_screen_init(&r->screen, STDERR_FILENO);
    r->started_ns = r->last_ns = r->plain_last_ns = wh_now_ns();
    r->plain_every_ns = every_ms * 1000000;
    r->listener = (struct wh_run_listener){
        .self = r,
        .event = on_event,
        .progress_ms = c->no_progress && !c->json ? 0
                       : r->screen.terminal       ? 200
                                                  : 1000,
    };
    return r;
}

void wh_render_events(const struct wh_render *r, int ret_fd[2])
{
    ret_fd[0] = r ? r->events[0] : -1;
    ret_fd[1] = r ? r->events[1] : -1;
}

const struct wh_run_listener *wh_render_listener(struct wh_render *r)
{
    return &r->listener;
}

void wh_render_free(struct wh_render *r)
{
    if (!r)
        return;
    if (r->log.fd >= 0)
        close(r->log.fd);
    if (r->close_events && r->events[1] >= 0)
        close(r->events[1]);
    wh_buf_free(&r->out);
}
