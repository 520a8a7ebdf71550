/* SPDX-License-Identifier: Apache-2.0 */
/* What copy, run, plan and resume share: from words to a job, from a job to an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/log.h"
#include "engine/registry.h"

enum {
    SOURCES_MAX = 4096 /* words of a command line */
};

int wh_cli_read(int fd, struct wh_buf *b)
{
    char chunk[65536];
    for (;;) {
        ssize_t n = read(fd, chunk, sizeof(chunk));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return errno;
        if (n == 0)
            return 0;
        int st = wh_buf_add(b, chunk, (size_t)n);
        if (st != WH_OK)
            return st == WH_E_LIMIT ? EFBIG : ENOMEM;
    }
}

static bool set_params(struct wh_cli *c, struct wh_map *ret)
{
    struct wh_pair *v = wh_arena_alloc(c->arena, (c->set.n + 1) * sizeof(*v));
    for (size_t i = 0; v && i < c->set.n; i++) {
        const char *eq = strchr(c->set.v[i], '=');
        if (!eq || eq == c->set.v[i]) {
            wh_cli_usage(c, "E1002", "write --set NAME=VALUE", "--set %s has no '='", c->set.v[i]);
            return false;
        }
        v[i].key = wh_arena_strndup(c->arena, c->set.v[i], (size_t)(eq - c->set.v[i]));
        v[i].value = eq + 1;
    }
    *ret = (struct wh_map){v, c->set.n};
    return v != NULL;
}

static struct wh_job *finish_job(struct wh_cli *c, int st, struct wh_job *job)
{
    int code = wh_cli_problems(c);
    if (st == WH_OK && code == 0)
        return job;
    if (st != WH_OK && code == 0) {
        struct wh_error e;
        wh_ignore(wh_fail(&e, st, "E8002", "the job cannot be kept in memory"));
        wh_cli_fail(c, &e);
    }
    wh_job_free(job);
    return NULL;
}

/* What the plan of this job says about where it came from. */
static bool keep_origin(struct wh_cli *c, const char *file, const struct wh_buf *text)
{
    char path[PATH_MAX], *bytes = wh_arena_alloc(c->arena, text->n + 1);

    if (realpath(file, path)) /* else the plan does not know its job file */
        c->came_from->job_file = wh_arena_strdup(c->arena, path);
    if (bytes && text->n)
        memcpy(bytes, text->p, text->n);
    c->came_from->text = bytes;
    c->came_from->n = text->n;
    c->came_from->settings = c->settings;
    return bytes != NULL;
}

/* ---- --select ---- */

struct last_run {
    struct wh_cli *c;
    const char *run;
};

static wh_status note_last(void *arg, const struct wh_run_record *r)
{
    struct last_run *last = arg;

    /* One that was refused has touched nothing: it does not hide the one that failed before it. */
    if (r->is_copy || (r->exit_code == 2 && (r->finished || r->state == WH_RUN_DISCARDED)))
        return WH_OK;
    last->run = wh_arena_strdup(last->c->arena, r->run);
    return last->run ? WH_END : WH_E_NOMEM;
}

static const struct wh_stream *stream_of(const struct wh_job *job, const struct wh_flow_record *f)
{
    for (size_t i = 0; i < job->n_streams; i++)
        if (strcmp(job->streams[i].name, f->stream) == 0)
            return &job->streams[i];
    return NULL;
}

/* Rows that all arrived are not sent once more: neither those of a table beside which some were
 * refused (exit 3), nor what was added and then differed (exit 4), which another mode would mend.
 */
static bool has_failed(const struct wh_stream *s, const struct wh_flow_record *f)
{
    if (f->state < WH_FLOW_PUBLISHED || f->state == WH_FLOW_FAILED)
        return true;
    return f->exit_code == 4 && !(s && s->write.mode == WH_MODE_APPEND);
}

/* "STREAM", or "STREAM/TABLE" where the stream means many tables. s NULL: the job has it no more,
 * and that is told. */
static const char *flow_item(struct wh_cli *c, const struct wh_stream *s,
                             const struct wh_flow_record *f)
{
    size_t n = strlen(f->stream);
    const char *table = f->table;

    if (strncmp(table, f->stream, n) == 0 && table[n] == '/')
        table += n + 1;
    return s && s->from.pattern ? wh_arena_printf(c->arena, "%s/%s", f->stream, table)
                                : wh_arena_strdup(c->arena, f->stream);
}

/* What failed in the last run of the job, as items. */
static int failed_items(struct wh_cli *c, const struct wh_job *job, struct wh_list *ret,
                        struct wh_error *reterr)
{
    struct last_run last = {.c = c};
    struct wh_flow_record *flows = NULL;
    struct wh_state *state;
    size_t n = 0, kept = 0;

    WH_TRY(wh_cli_state(c, &state, reterr));
    WH_TRY(wh_state_runs(state, job->name, NULL, false, note_last, &last, reterr));
    if (last.run)
        WH_TRY(wh_state_flows(state, last.run, c->arena, &flows, &n, reterr));
    const char **items = wh_arena_alloc(c->arena, (n + 1) * sizeof *items);

    for (size_t i = 0; items && i < n; i++) {
        const struct wh_stream *s = stream_of(job, &flows[i]);

        if (has_failed(s, &flows[i]) && !(items[kept++] = flow_item(c, s, &flows[i])))
            items = NULL;
    }
    if (!items)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the tables of a run");
    *ret = (struct wh_list){items, kept};
    if (kept)
        return WH_OK;
    int st = last.run ? wh_fail(reterr, WH_E_USAGE, "E1028",
                                "--select failed: no table of the last run, %s, failed", last.run)
                      : wh_fail(reterr, WH_E_USAGE, "E1028",
                                "--select failed: job %s has not been run", job->name);

    wh_error_hint(reterr, "wherry history %s lists its runs", job->name);
    return st;
}

static int select_part(struct wh_cli *c, struct wh_job *job)
{
    struct wh_list items = c->select;
    struct wh_error e = {0};

    if (items.n == 1 && strcmp(items.v[0], "failed") == 0 &&
        failed_items(c, job, &items, &e) != WH_OK) {
        wh_problem_add(&c->problems, e.code, "--select", e.hint[0] ? e.hint : NULL, "%s",
                       e.message);
        return e.status;
    }
    return wh_job_select(job, items, &c->problems);
}

struct wh_job *wh_cli_job(struct wh_cli *c, const char *file)
{
    struct wh_buf text WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_job *job = NULL;
    struct wh_map set = {0};
    bool standard = strcmp(file, "-") == 0;
    int fd = standard ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
    int e = fd < 0 ? errno : wh_cli_read(fd, &text);
    if (fd > STDIN_FILENO)
        close(fd);
    if (e) {
        struct wh_error err;
        if (e == EFBIG)
            wh_ignore(wh_fail(&err, WH_E_USAGE, "E1040", "job file %s has more than 16 MiB", file));
        else
            wh_ignore(wh_fail_errno(&err, e, "E1030", "cannot read job file %s", file));
        wh_cli_fail(c, &err);
        return NULL;
    }
    wh_log(WH_LOG_DEBUG, "cli", "job file %s, %zu bytes", file, text.n);
    if (text.n && wh_cli_is_plan((struct wh_str){text.p, text.n})) {
        wh_cli_usage(c, "E1072", wh_arena_printf(c->arena, "wherry run --plan %s", file),
                     "%s is a plan (of 'wherry plan -o'), no job file", file);
        return NULL;
    }
    if (c->set.n && !set_params(c, &set))
        return NULL;
    if (c->came_from && !standard && !keep_origin(c, file, &text))
        return finish_job(c, WH_E_NOMEM, NULL);
    int st = wh_job_read_with(standard ? "stdin" : file, text.p ? text.p : "", text.n, &set,
                              c->scheduled, wh_cli_connections(c), &job, &c->problems);
    if (st == WH_OK && c->settings->n)
        st = wh_job_override(job, c->settings, false, &c->problems);
    if (st == WH_OK && c->select.n)
        st = select_part(c, job);
    return finish_job(c, st, job);
}

/* The connection that a word begins with, or, if there is none, the one that was perhaps meant: it
 * goes into the job to be suggested. */
static const char *meant(const struct wh_node *all, const char *word)
{
    const char *colon = strchr(word, ':'), *names[65];
    struct wh_str said = {word, colon ? (size_t)(colon - word) : 0};
    size_t n = 0;
    if (!said.n || wh_registry_is_scheme(said))
        return NULL;
    for (size_t i = 0; i < all->n; i++) {
        if (wh_str_eqs(said, all->keys[i]->text))
            return all->keys[i]->text;
        if (n < 64)
            names[n++] = all->keys[i]->text;
    }
    names[n] = NULL;
    return wh_did_you_mean(said, names);
}

/* Named connections that these words begin with go into the settings, so into the job. */
static bool take_connections(struct wh_cli *c, size_t first)
{
    const struct wh_node *all = wh_cli_connections(c);
    struct wh_node *used = wh_node_map(c->arena);
    if (!all || !used)
        return false;
    for (size_t j = first; j < c->args.n; j++) {
        const char *name = meant(all, c->args.v[j]);
        if (name && wh_node_put(c->arena, used, name, wh_node_get(all, name)) != WH_OK)
            return false;
    }
    return !used->n || wh_node_put(c->arena, c->settings, "connections", used) == WH_OK;
}

struct wh_job *wh_cli_copy_job(struct wh_cli *c, size_t first)
{
    struct wh_job *job = NULL;
    struct wh_list sources = {c->args.v + first, c->args.n - first - 1};
    if (sources.n > SOURCES_MAX) {
        wh_cli_usage(c, "E1011", "quote the pattern, so that it is read here: 'in/*.csv'",
                     "%zu sources are named, from %.200s on; at most %d are taken", sources.n,
                     sources.v[0], (int)SOURCES_MAX);
        return NULL;
    }
    if (!take_connections(c, first))
        return finish_job(c, WH_E_NOMEM, NULL);
    struct wh_map set = {0};
    if (c->set.n && !set_params(c, &set))
        return NULL;
    int st = wh_job_copy_with(sources, c->args.v[c->args.n - 1], c->settings, &set, c->scheduled,
                              &job, &c->problems);
    return finish_job(c, st, job);
}

static bool writes_stdout(const struct wh_job *job)
{
    for (size_t i = 0; i < job->n_streams; i++) {
        const struct wh_name *n = &job->streams[i].to.name;
        if (n->n == 1 && wh_str_eqs(n->part[0], "-"))
            return true;
    }
    return false;
}

static struct wh_start start_of(struct wh_cli *c, struct wh_render *r)
{
    return (struct wh_start){.run_id = c->run_id,
                             .fresh = c->fresh,
                             .again = c->again,
                             .yes = c->yes,
                             .here = c->dir != NULL,
                             .override = c->settings->n ? c->settings : NULL,
                             .listener = wh_render_listener(r)};
}

struct old {
    struct wh_cli *c;
    int fd;
    bool written;
};

static wh_status copy_out(void *arg, struct wh_str piece)
{
    struct old *o = arg;
    char *masked WH_CLEANUP(wh_freep) = wh_strndup(piece.s, piece.n);
    if (masked)
        wh_log_mask(masked);
    o->written = masked && wh_cli_write(o->fd, masked, strlen(masked)) && o->written;
    return WH_OK;
}

/* Nothing was moved, as an event; so that a program does not take the old end for a new one. */
static wh_status told_before(const char *run, const char *text, struct wh_buf *b)
{
    struct wh_event e = {.type = WH_EV_WARNING, .run = run, .text = text};
    return wh_event_json(&e, b);
}

/* What the run told when it ended: to people on standard error, to programs where their events go,
 * and where --summary says. */
static void tell_again(struct wh_cli *c, const char *run, struct wh_render *r)
{
    const char *nothing = c->plan_file
                              ? "was finished before; nothing was moved (a plan is carried out "
                                "once: make a new one)"
                              : "was finished before; nothing was moved (--again runs it anew)";
    int fd[3] = {-1, -1, wh_cli_summary_open(c)};
    struct wh_buf event WH_CLEANUP(wh_buf_free) = WH_BUF(4096),
                        line WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    struct old old = {c, STDERR_FILENO, true};
    struct wh_error e = {0};
    int st = c->json ? WH_OK : wh_state_report(c->store, run, WH_REPORT_TEXT, copy_out, &old, &e);
    wh_render_events(r, fd);
    wh_ignore(told_before(run, nothing, &event));
    for (int i = 0; i < 3 && st == WH_OK; i++) {
        old = (struct old){c, fd[i], true};
        if (fd[i] >= 0 && i < 2)
            wh_cli_write(fd[i], event.p, event.n);
        if (fd[i] >= 0)
            st = wh_state_report(c->store, run, WH_REPORT_JSON, copy_out, &old, &e);
    }
    if (st != WH_OK)
        wh_log(WH_LOG_WARN, "cli", "what run %s told cannot be read: %s", run, e.message);
    wh_cli_summary_close(c, fd[2], st == WH_OK && old.written);
    wh_ignore(wh_buf_printf(&line, "run %s %s\n", run, nothing));
    if (!c->json)
        wh_cli_write(STDERR_FILENO, line.p, line.n);
}

int wh_cli_started(struct wh_cli *c, int st, const struct wh_outcome *o, struct wh_render *r,
                   const struct wh_error *e)
{
    if (st != WH_OK) {
        if (o->run[0])
            c->run_name = wh_arena_strdup(c->arena, o->run);
        if (o->run[0] && o->how == WH_STARTED_RESUMED)
            c->resume = wh_arena_printf(c->arena, "wherry resume %s", o->run);
        wh_cli_fail(c, e);
        return o->exit_code ? o->exit_code : wh_exit_code(e);
    }
    if (o->how == WH_STARTED_DONE_BEFORE)
        tell_again(c, o->run, r);
    return o->exit_code;
}

int wh_cli_carry_out(struct wh_cli *c, struct wh_job *job)
{
    return wh_cli_carry_out_plan(c, job, NULL);
}

int wh_cli_carry_out_plan(struct wh_cli *c, struct wh_job *job, const struct wh_plan_file *plan)
{
    struct wh_state *state;
    struct wh_services *services;
    struct wh_error e = {0};
    struct wh_outcome o = {0};
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_cli_services(c, &services, &e);
    if (st != WH_OK) {
        wh_job_free(job);
        return wh_cli_fail(c, &e);
    }
    c->moved = true;
    c->job_name = wh_arena_strdup(c->arena, job->name);
    struct wh_render *r = wh_render_new(c, writes_stdout(job));
    if (!r) {
        wh_job_free(job);
        wh_ignore(wh_fail(&e, WH_E_NOMEM, "E8002", "no memory for what is shown of a run"));
        return wh_cli_fail(c, &e);
    }
    struct wh_start start = start_of(c, r);
    start.plan = plan;
    st = wh_start_job(job, services, state, &start, &o, &e);
    int code = wh_cli_started(c, st, &o, r, &e);
    wh_render_free(r);
    return code;
}

bool wh_cli_names_a_job(const char *text)
{
    struct wh_str s = wh_str(text);
    return wh_str_ends(s, ".yaml") || wh_str_ends(s, ".yml") || wh_str_ends(s, ".json");
}

/* What `resume` shares with `run` and cannot do: nothing of it is taken without a word. */
static const char *not_of_resume(const struct wh_cli *c)
{
    return c->dry_run                    ? "dry-run"
           : c->fresh                    ? "fresh"
           : c->again                    ? "again"
           : c->run_id                   ? "run-id"
           : c->plan_file                ? "plan"
           : c->set.n && !c->rebuild     ? "set"
           : c->scheduled && !c->rebuild ? "scheduled"
                                         : NULL;
}

int wh_cli_resume_run(struct wh_cli *c, const char *run, const struct wh_job *job)
{
    struct wh_services *services;
    struct wh_error e = {0};
    struct wh_outcome o = {0};
    struct wh_node *may, *others;
    struct wh_render *r = NULL;
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK && (wh_job_resumable(c->arena, c->settings, &may, &others) != WH_OK ||
                        !(r = wh_render_new(c, false))))
        st = wh_fail(&e, WH_E_NOMEM, "E8002", "no memory to go on with run %s", run);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    c->moved = true;
    struct wh_start start = {.override = may->n ? may : NULL,
                             .here = c->dir != NULL,
                             .given = job,
                             .listener = wh_render_listener(r)};
    st = wh_start_resume(run, services, c->store, &start, &o, &e);
    int code = wh_cli_started(c, st, &o, r, &e);
    wh_render_free(r);
    return code;
}

int wh_cmd_resume(struct wh_cli *c)
{
    const char *flag = not_of_resume(c);
    struct wh_state *state;
    struct wh_services *services;
    struct wh_error e = {0};
    struct wh_outcome o = {0};
    struct wh_job *job = NULL;
    if (c->args.n > 1)
        return wh_cli_usage(c, "E1011", "wherry resume [RUN]", "resume takes one run");
    if (flag)
        return wh_cli_usage(c, "E1007",
                            "a run goes on as it began; 'wherry status' shows what is unfinished, "
                            "--fresh of the job or copy gives it up",
                            "--%s is not for resume", flag);
    if (c->rebuild && wh_cli_names_a_job(c->rebuild) && !(job = wh_cli_job(c, c->rebuild)))
        return 2;
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_cli_services(c, &services, &e);
    if (st != WH_OK) {
        wh_job_free(job);
        return wh_cli_fail(c, &e);
    }
    c->moved = true;
    struct wh_render *r = wh_render_new(c, false);
    if (!r) {
        wh_job_free(job);
        wh_ignore(wh_fail(&e, WH_E_NOMEM, "E8002", "no memory for what is shown of a run"));
        return wh_cli_fail(c, &e);
    }
    struct wh_start start = start_of(c, r);
    const char *run = c->args.n ? c->args.v[0] : NULL;
    st = c->rebuild ? wh_start_rebuild(c->rebuild, job, run, services, state, &start, &o, &e)
                    : wh_start_resume(run, services, state, &start, &o, &e);
    int code = wh_cli_started(c, st, &o, r, &e);
    wh_render_free(r);
    return code;
}
