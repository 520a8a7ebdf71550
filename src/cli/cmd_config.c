/* SPDX-License-Identifier: Apache-2.0 */
/* wherry config [JOB | SRC DST] [--origin]: every setting, its value, who said so. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

struct config {
    struct wh_cli *c;
    struct wh_grid *grid;
    struct wh_buf b;
    const struct wh_job *job; /* NULL: only what holds without one */
    const char *stream;
};

static void member(struct wh_buf *b, const char *key, const char *text)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":", key));
    wh_ignore(text ? wh_buf_json(b, text, strlen(text)) : wh_buf_adds(b, "null"));
}

static void line(struct config *f, const char *stream, const char *key, const char *value,
                 const char *origin)
{
    if (f->c->json) {
        wh_ignore(wh_buf_adds(&f->b, "{\"v\":1"));
        if (stream)
            member(&f->b, "stream", stream);
        member(&f->b, "key", key);
        member(&f->b, "value", value && *value ? value : NULL);
        member(&f->b, "origin", origin);
        wh_ignore(wh_buf_adds(&f->b, "}\n"));
        return;
    }
    wh_grid_cell(f->grid, key);
    wh_grid_cell(f->grid, value && *value ? value : "-");
    if (f->c->origin)
        wh_grid_cell(f->grid, origin);
}

static const char *origin_of(struct config *f, const struct wh_setting *s, char out[300])
{
    const char *flag = wh_flag_origin(f->c, s->key);
    if (!s->node)
        return "default";
    if (s->node->line > 0) {
        snprintf(out, 300, "%.250s:%d:%d", f->job->file, s->node->line, s->node->column);
        return out;
    }
    return flag ? flag : s->side ? "the object" : "command line";
}

static void flush(struct config *f)
{
    if (!f->c->json)
        wh_grid_print(f->grid, &f->b);
    f->grid = wh_grid_new(f->c->arena, f->c->origin ? 3 : 2, f->c->origin ? "lll" : "ll");
}

static wh_status setting(void *arg, const struct wh_setting *s)
{
    struct config *f = arg;
    char place[300];
    if (s->stream && (!f->stream || strcmp(f->stream, s->stream) != 0) && !f->c->json) {
        flush(f);
        wh_ignore(f->c->args.n ? wh_buf_printf(&f->b, "\nstream %s\n", s->stream)
                               : wh_buf_adds(&f->b, "\nevery stream\n"));
    }
    f->stream = s->stream;
    bool lanes = !*s->value && strcmp(s->key, "run.parallel") == 0;
    line(f, f->c->args.n ? s->stream : NULL, s->key, lanes ? "min(4, cores)" : s->value,
         origin_of(f, s, place));
    return WH_OK;
}

static void program(struct config *f)
{
    struct wh_flag_seen s;
    for (size_t i = 0; wh_flag_at(f->c, i, WH_G_GLOBAL, &s); i++) {
        char key[64];
        if (strcmp(s.name, "help") == 0)
            continue;
        snprintf(key, sizeof(key), "--%s", s.name);
        const char *by = wh_flag_origin(f->c, key), *value = s.value;
        if (!value && strcmp(s.name, "state") == 0)
            value = wh_state_default_path(f->c->arena);
        else if (!value)
            value = s.takes_value ? NULL : "false";
        line(f, NULL, s.name, value, by ? by : "default");
    }
}

/* Without a job: a copy that names nothing has the settings of all. */
static struct wh_job *any_job(struct wh_cli *c)
{
    static const char *words[] = {"gen:people?rows=1", "null:"};
    struct wh_list saved = c->args;
    c->args = (struct wh_list){words, 2};
    struct wh_job *job = wh_cli_copy_job(c, 0);
    c->args = saved;
    return job;
}

static wh_status without_sides(void *arg, const struct wh_setting *s)
{
    return s->side ? WH_OK : setting(arg, s);
}

int wh_cmd_config(struct wh_cli *c)
{
    struct config f = {.c = c, .b = WH_BUF(16 << 20)};
    struct wh_job *job = c->args.n == 0   ? any_job(c)
                         : c->args.n == 1 ? wh_cli_job(c, c->args.v[0])
                                          : wh_cli_copy_job(c, 0);
    if (!job)
        return 2;
    f.job = job;
    flush(&f);
    program(&f);
    line(&f, NULL, "timezone", job->timezone, job->timezone_said ? job->file : "default");
    int st = wh_job_settings(job, c->args.n ? setting : without_sides, &f);
    if (!c->json)
        wh_grid_print(f.grid, &f.b);
    int code = st == WH_OK && wh_cli_print(&f.b) ? 0 : 1;
    wh_buf_free(&f.b);
    wh_job_free(job);
    return code;
}
