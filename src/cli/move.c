/* SPDX-License-Identifier: Apache-2.0 */
/* What copy, run, plan and resume share: from words to a job, from a job to an exit code. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
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
        if (wh_buf_add(b, chunk, (size_t)n) != WH_OK)
            return EFBIG;
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
    if (st == WH_OK)
        wh_job_free(job);
    return NULL;
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
    if (c->set.n && !set_params(c, &set))
        return NULL;
    int st = wh_job_read_with(standard ? "stdin" : file, text.p ? text.p : "", text.n, &set,
                              c->scheduled, wh_cli_connections(c), &job, &c->problems);
    if (st == WH_OK && c->settings->n)
        st = wh_job_override(job, c->settings, false, &c->problems);
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

/* What the run told when it ended, on standard error and where --summary says. */
static void tell_again(struct wh_cli *c, const char *run)
{
    struct old text = {c, STDERR_FILENO, true}, json = {c, wh_cli_summary_open(c), true};
    struct wh_error e = {0};
    int st = wh_state_report(c->store, run, WH_REPORT_TEXT, copy_out, &text, &e);
    if (st == WH_OK && json.fd >= 0)
        st = wh_state_report(c->store, run, WH_REPORT_JSON, copy_out, &json, &e);
    if (st != WH_OK)
        wh_log(WH_LOG_WARN, "cli", "what run %s told cannot be read: %s", run, e.message);
    wh_cli_summary_close(c, json.fd, st == WH_OK && json.written);
}

int wh_cli_started(struct wh_cli *c, int st, const struct wh_outcome *o, const struct wh_error *e)
{
    if (st != WH_OK) {
        wh_cli_fail(c, e);
        return o->exit_code ? o->exit_code : wh_exit_code(e);
    }
    if (o->how == WH_STARTED_DONE_BEFORE) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
        tell_again(c, o->run);
        wh_ignore(wh_buf_printf(&b,
                                "run %s was finished before; nothing was moved (--again runs "
                                "it anew)\n",
                                o->run));
        if (b.n)
            wh_cli_write(STDERR_FILENO, b.p, b.n);
    }
    return o->exit_code;
}

int wh_cli_carry_out(struct wh_cli *c, struct wh_job *job)
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
    struct wh_render *r = wh_render_new(c, writes_stdout(job));
    if (!r) {
        wh_job_free(job);
        return 1;
    }
    struct wh_start start = start_of(c, r);
    st = wh_start_job(job, services, state, &start, &o, &e);
    int code = wh_cli_started(c, st, &o, &e);
    wh_render_free(r);
    return code;
}

static bool names_a_job(const char *text)
{
    struct wh_str s = wh_str(text);
    return wh_str_ends(s, ".yaml") || wh_str_ends(s, ".yml") || wh_str_ends(s, ".json");
}

int wh_cmd_resume(struct wh_cli *c)
{
    struct wh_state *state;
    struct wh_services *services;
    struct wh_error e = {0};
    struct wh_outcome o = {0};
    struct wh_job *job = NULL;
    if (c->args.n > 1)
        return wh_cli_usage(c, "E1011", "wherry resume [RUN]", "resume takes one run");
    if (c->rebuild && names_a_job(c->rebuild) && !(job = wh_cli_job(c, c->rebuild)))
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
        return 1;
    }
    struct wh_start start = start_of(c, r);
    const char *run = c->args.n ? c->args.v[0] : NULL;
    st = c->rebuild ? wh_start_rebuild(c->rebuild, job, run, services, state, &start, &o, &e)
                    : wh_start_resume(run, services, state, &start, &o, &e);
    int code = wh_cli_started(c, st, &o, &e);
    wh_render_free(r);
    return code;
}
