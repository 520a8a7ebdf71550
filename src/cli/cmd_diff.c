/* SPDX-License-Identifier: Apache-2.0 */
/* wherry plan --diff: source and destination, or a plan that was kept and the same one made now. */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/errors.h"
#include "core/log.h"
#include "engine/object.h"
#include "engine/plan_shape.h"

enum {
    DIFFERENT = 4
};

struct diff {
    struct wh_cli *c;
    struct wh_buf out; /* lines, or members of a list of JSON */
    int64_t n, unseen;
};

/* ---- words ---- */

static void text(struct wh_buf *b, const char *key, const char *value)
{
    char last = b->n ? b->p[b->n - 1] : '{';

    wh_ignore(wh_buf_printf(b, "%s\"%s\":", last == '{' ? "" : ",", key));
    wh_ignore(value ? wh_buf_json(b, value, strlen(value)) : wh_buf_adds(b, "null"));
}

static const char *source_text(struct wh_cli *c, const struct wh_flow *f)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);

    wh_ignore(wh_name_print(&f->source, &b));
    return b.n ? wh_arena_strdup(c->arena, b.p) : f->table;
}

static void shape_json(struct diff *d, const struct wh_shape *s)
{
    struct wh_buf *b = &d->out;
    const struct wh_flow *f = s->flow;

    wh_ignore(wh_buf_adds(b, b->n ? ",{" : "{"));
    text(b, "table", f->table);
    text(b, "source", source_text(d->c, f));
    text(b, "target", f->target_text ? f->target_text : f->stream->to.text);
    wh_ignore(wh_buf_printf(b, ",\"exists\":%s", s->exists ? "true" : "false"));
    text(b, "unseen", s->unseen);
    if (f->refused && f->error) {
        text(b, "refused", f->error->code);
        text(b, "message", f->error->message);
    }
    wh_ignore(wh_buf_adds(b, ",\"differences\":["));
    for (size_t i = 0; i < s->n; i++) {
        const struct wh_shape_difference *v = &s->v[i];

        wh_ignore(wh_buf_adds(b, i ? ",{" : "{"));
        text(b, "kind", wh_shape_kinds[v->kind]);
        text(b, "column", v->column);
        text(b, "source", v->source);
        text(b, "destination", v->destination);
        text(b, "note", v->note);
        wh_ignore(wh_buf_addc(b, '}'));
    }
    wh_ignore(wh_buf_adds(b, "]}"));
}

/* "+ price  decimal(9,2)": the source has it, the destination does not. "-": the other way round.
 */
static void shape_line(struct wh_grid *g, struct wh_arena *a, const struct wh_shape_difference *v)
{
    bool changed = v->source && v->destination;
    const char *what = v->column                 ? v->column
                       : v->kind == WH_SHAPE_KEY ? "primary key"
                                                 : "the table";

    wh_grid_cell(g, wh_arena_printf(a, "  %s %s", changed ? "~" : v->source ? "+" : "-", what));
    wh_grid_cell(g, changed ? wh_arena_printf(a, "%s -> %s", v->source, v->destination)
                    : v->kind == WH_SHAPE_TABLE ? "not there"
                    : v->source                 ? v->source
                                                : v->destination);
    wh_grid_cell(g, v->note);
}

static void shape_text(struct diff *d, const struct wh_shape *s)
{
    struct wh_grid *g = wh_grid_new(d->c->arena, 3, NULL);
    const struct wh_flow *f = s->flow;

    if (!s->n && !s->unseen)
        return;
    wh_text_line(&d->out, f->table);
    wh_ignore(wh_buf_adds(&d->out, ": "));
    wh_text_line(&d->out, source_text(d->c, f));
    wh_ignore(wh_buf_adds(&d->out, " -> "));
    wh_text_line(&d->out, f->target_text ? f->target_text : f->stream->to.text);
    wh_ignore(wh_buf_addc(&d->out, '\n'));
    for (size_t i = 0; i < s->n; i++)
        shape_line(g, d->c->arena, &s->v[i]);
    wh_grid_print(g, &d->out);
    if (s->unseen) {
        wh_ignore(wh_buf_adds(&d->out, "  not compared: "));
        wh_text_line(&d->out, s->unseen);
        wh_ignore(wh_buf_addc(&d->out, '\n'));
    }
}

static wh_status each_shape(void *arg, const struct wh_shape *s)
{
    struct diff *d = arg;

    d->n += (int64_t)s->n;
    d->unseen += s->unseen != NULL;
    if (d->c->json)
        shape_json(d, s);
    else
        shape_text(d, s);
    return WH_OK;
}

static wh_status each_change(void *arg, const struct wh_plan_difference *v)
{
    struct diff *d = arg;
    struct wh_buf line WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);

    d->n++;
    if (d->c->json) {
        wh_ignore(wh_buf_adds(&d->out, d->out.n ? ",{" : "{"));
        text(&d->out, "table", v->table);
        text(&d->out, "what", v->what);
        text(&d->out, "was", v->was);
        text(&d->out, "is", v->is);
        return wh_buf_addc(&d->out, '}');
    }
    WH_TRY(wh_plan_difference_text(v, &line));
    wh_text_line(&d->out, line.p);
    return wh_buf_addc(&d->out, '\n');
}

/* ---- the end ---- */

static int finish(struct diff *d, const struct wh_plan *plan, const char *against)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(128 << 20);

    if (d->c->json) {
        wh_ignore(wh_buf_adds(&b, "{\"v\":1"));
        text(&b, "job", plan->job->name);
        text(&b, "against", against ? against : "destination");
        wh_ignore(wh_buf_printf(&b, ",\"differences\":%lld,\"%s\":[", (long long)d->n,
                                against ? "changes" : "tables"));
        if (d->out.n)
            wh_ignore(wh_buf_add(&b, d->out.p, d->out.n));
        wh_ignore(wh_buf_adds(&b, "]}\n"));
    } else {
        if (d->out.n)
            wh_ignore(wh_buf_add(&b, d->out.p, d->out.n));
        if (d->n)
            wh_ignore(
                wh_buf_printf(&b, "%lld difference%s\n", (long long)d->n, d->n == 1 ? "" : "s"));
        else if (!d->c->quiet && !d->unseen)
            wh_ignore(wh_buf_adds(&b, "no difference\n"));
    }
    wh_buf_free(&d->out);
    if (b.n)
        wh_log_mask(b.p);
    b.n = b.p ? strlen(b.p) : 0;
    wh_cli_print(&b);
    return d->n ? DIFFERENT : 0;
}

/* st: what planning answered; plan may be NULL. A server that is not there counts more than what
 * was seen; a refusal that differences explain is one of them. */
static int compare(struct wh_cli *c, int st, struct wh_plan *plan, struct wh_services *services,
                   const struct wh_plan_file *old, struct wh_error *e)
{
    struct diff d = {.c = c, .out = WH_BUF(64 << 20)};
    int refusal = st != WH_OK ? wh_error_exit(e->code, false) : 0;

    if (!plan || (refusal && refusal != 2))
        return wh_cli_fail(c, e);
    struct wh_error err = {0};
    int seen = old ? wh_plan_file_compare(old, plan, each_change, &d, &err)
                   : wh_plan_shapes(plan, services, each_shape, &d, &err);

    if (seen != WH_OK) {
        wh_buf_free(&d.out);
        return wh_cli_fail(c, &err);
    }
    int code = finish(&d, plan, old ? old->name : NULL);

    if (refusal) {
        wh_cli_fail(c, e);
        code = code ? code : 2;
    }
    return code;
}

static int plan_and_compare(struct wh_cli *c, struct wh_job *job, const struct wh_plan_file *old)
{
    struct wh_services *services;
    struct wh_plan *plan = NULL;
    struct wh_error e = {0};
    int st = wh_cli_services(c, &services, &e);

    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    st = wh_plan_make(job, services, NULL, &plan, &e);
    int code = compare(c, st, plan, services, old, &e);

    wh_plan_free(plan);
    return code;
}

/* ---- which ---- */

static bool is_plan(const char *path)
{
    char begin[64];
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, begin, sizeof begin);

    if (fd >= 0)
        close(fd);
    return n > 0 && wh_plan_file_is(begin, (size_t)n);
}

/* JOB FILE, SRC DST FILE, or FILE alone: the last word, where it is a plan that was kept. */
static const char *kept_plan(struct wh_cli *c)
{
    const char *last = c->args.v[c->args.n - 1];
    bool beside_job = c->args.n == 2 && wh_cli_names_a_job(c->args.v[0]);

    if (!beside_job && !(c->args.n != 2 && is_plan(last)))
        return NULL;
    c->args.n--;
    return last;
}

int wh_cli_plan_against(struct wh_cli *c, const char *file)
{
    struct wh_plan_file old = {0};
    struct wh_job *job = NULL, *given = NULL;
    int code = wh_cli_plan_read(c, file, &old);

    if (code)
        return code;
    if (c->args.n > 1)
        job = wh_cli_copy_job(c, 0);
    else if (c->args.n == 1)
        job = wh_cli_planned_job(c, &old, c->args.v[0]);
    else
        code = wh_cli_plan_job(c, &old, NULL, &job, &given);
    if (code == 0)
        code = job ? plan_and_compare(c, job, &old) : 2;
    wh_job_free(job);
    wh_job_free(given);
    wh_plan_file_free(&old);
    return code;
}

int wh_cmd_plan_diff(struct wh_cli *c)
{
    const char *old = kept_plan(c);

    if (old)
        return wh_cli_plan_against(c, old);
    struct wh_job *job = c->args.n == 1 ? wh_cli_job(c, c->args.v[0]) : wh_cli_copy_job(c, 0);
    int code = job ? plan_and_compare(c, job, NULL) : 2;

    wh_job_free(job);
    return code;
}
