/* SPDX-License-Identifier: Apache-2.0 */
/* --summary FILE: the last event of a run; of one that never began, what refused it. Whoever looks
 * there never finds the summary of another run, or nothing. The same event ends what --json and
 * --events tell. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/log.h"

enum {
    ERRORS_MAX = 50
};

int wh_cli_summary_open(struct wh_cli *c)
{
    int fd = c->summary
                 ? openat(c->folder, c->summary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666)
                 : -1;
    if (c->summary && fd < 0)
        wh_log(WH_LOG_WARN, "cli", "summary file %s cannot be written", c->summary);
    c->summarised = true;
    return fd;
}

void wh_cli_summary_close(const struct wh_cli *c, int fd, bool written)
{
    if (fd < 0)
        return;
    if (!written)
        wh_log(WH_LOG_WARN, "cli", "summary file %s cannot be written", c->summary);
    close(fd);
}

void wh_cli_summary_begin(struct wh_cli *c)
{
    c->summarised = false;
    c->job_name = c->run_name = c->resume = NULL;
    c->n_errors = 0;
}

void wh_cli_summary_note(struct wh_cli *c, const struct wh_error *e)
{
    if (!c->starts || c->summarised || c->n_errors >= ERRORS_MAX)
        return;
    if (!c->errors)
        c->errors = wh_arena_alloc(c->arena, ERRORS_MAX * sizeof(*c->errors));
    if (c->errors)
        c->errors[c->n_errors++] = *e;
}

static void text(struct wh_buf *b, const char *key, const char *value)
{
    wh_ignore(wh_buf_printf(b, "%s\"%s\":", b->p[b->n - 1] == '{' ? "" : ",", key));
    wh_ignore(wh_buf_json(b, value, strlen(value)));
}

static void one_error(struct wh_buf *b, const struct wh_error *e)
{
    wh_ignore(wh_buf_addc(b, '{'));
    text(b, "code", e->code[0] ? e->code : "E9001");
    text(b, "message", e->message);
    if (e->where[0])
        text(b, "where", e->where);
    if (e->hint[0])
        text(b, "hint", e->hint);
    wh_ignore(wh_buf_printf(b, ",\"retryable\":%s}", e->retriable ? "true" : "false"));
}

void wh_cli_event(struct wh_cli *c, struct wh_buf *line)
{
    if (!line->n)
        return;
    wh_log_mask(line->p);
    line->n = strlen(line->p);
    if (c->json && c->data_in_stdout)
        wh_cli_write(STDERR_FILENO, line->p, line->n);
    else if (c->json)
        wh_cli_write(STDOUT_FILENO, line->p, line->n);
    if (!c->events || !c->starts || c->summarised || (c->dir && !c->in_dir))
        return;
    int64_t number;
    bool open_there = wh_parse_i64(c->events, &number) && number >= 0 && number < 1 << 20;
    int fd =
        open_there ? (int)number : open(c->events, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
    if (fd >= 0)
        wh_cli_write(fd, line->p, line->n);
    if (fd >= 0 && !open_there)
        close(fd);
}

/* What was only planned has no end. */
static void tell_end(struct wh_cli *c, struct wh_buf *line)
{
    if (!c->dry_run)
        wh_cli_event(c, line);
    if (!c->summary || (c->dir && !c->in_dir))
        return;
    int fd = wh_cli_summary_open(c);
    wh_cli_summary_close(c, fd, fd >= 0 && wh_cli_write(fd, line->p, line->n));
}

void wh_cli_summary_end(struct wh_cli *c, int code)
{
    if (c->summarised || code == 0)
        return;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_run_result result = {.run = c->run_name,
                                   .job = c->job_name,
                                   .resume = c->resume,
                                   .status = code == 2 ? "refused" : "failed",
                                   .exit_code = code,
                                   .retryable = code == 5 || code == 7 || code == 10};
    struct wh_event e = {
        .type = WH_EV_RUN_FINISHED, .run = c->run_name, .job = c->job_name, .result = &result};
    if (wh_event_json(&e, &b) != WH_OK || b.n < 2)
        return;
    b.n -= 2; /* "}\n": the object goes on */
    wh_ignore(wh_buf_adds(&b, ",\"errors\":["));
    for (size_t i = 0; i < c->n_errors; i++) {
        wh_ignore(i ? wh_buf_addc(&b, ',') : WH_OK);
        one_error(&b, &c->errors[i]);
    }
    wh_ignore(wh_buf_adds(&b, "]}\n"));
    tell_end(c, &b);
    c->summarised = true;
}
