/* SPDX-License-Identifier: Apache-2.0 */
/* From the resolved tree to typed streams and run settings. */
#include "engine/job_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum {
    QUERY_MAX = 1 << 20
};

/* NAME:@report.sql: the query stands in a file. */
static bool read_query(struct wh_job_reading *r, struct wh_stream *s)
{
    const char *path = s->from.query_file;
    WH_CLEANUP(wh_closep) int fd = -1;
    struct wh_error err;
    size_t n = 0;

    if (!path)
        return true;
    if (s->query) {
        wh_problem_add(r->problems, "E1007", s->from.where, NULL,
                       "'query' and a query file exclude each other");
        return false;
    }
    fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe would be waited for */
    int failed = fd < 0 ? errno : 0;
    char *text = fd < 0 ? NULL : wh_arena_alloc(r->arena, QUERY_MAX + 1);

    while (text && n < QUERY_MAX) {
        ssize_t got = read(fd, text + n, QUERY_MAX - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0) { /* half of a query may be a query */
            failed = errno;
            break;
        }
        if (got == 0)
            break;
        n += (size_t)got;
    }
    if (failed || !text) {
        wh_ignore(wh_fail_errno(&err, failed ? failed : ENOMEM, "E1030", "cannot read '%s'", path));
        wh_problem_add(r->problems, "E1030", s->from.where, NULL, "%s", err.message);
        return false;
    }
    if (n == QUERY_MAX || memchr(text, 0, n) || !wh_utf8_valid(text, n)) {
        wh_problem_add(r->problems, "E1030", s->from.where, NULL,
                       "'%s' holds no query (UTF-8 text under 1 MiB)", path);
        return false;
    }
    s->query = text;
    return true;
}

/* The destination's object; without one, the source's. */
static const char *default_name(struct wh_job_reading *r, const struct wh_stream *s)
{
    const struct wh_name *to = &s->to.name, *from = &s->from.name;
    bool fixed = to->n && !memchr(to->part[to->n - 1].s, '{', to->part[to->n - 1].n);

    if (fixed && !wh_str_eqs(to->part[to->n - 1], "-"))
        return wh_source_name(r->arena, to);
    if (from->n && !s->from.pattern)
        return wh_source_name(r->arena, from);
    return s->from.text;
}

static bool stream_name(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    const struct wh_node *name = wh_node_get(node, "name");
    const char *text = wh_node_text(name, NULL);

    if (name && (!text || !*text)) {
        wh_problem_add(r->problems, "E1008", wh_job_where(r, name), NULL,
                       "the stream's name is empty");
        return false;
    }
    s->name = text ? wh_reference_resolve(r->arena, text, false, wh_job_where(r, name), r->problems)
                   : default_name(r, s);
    return s->name || wh_job_no_memory(r);
}

static bool check_sides(struct wh_job_reading *r, struct wh_stream *s)
{
    bool ok = true;

    if (!s->from.connector->source) {
        wh_problem_add(r->problems, "E1060", s->from.where, NULL,
                       "%s can only be written, not read", s->from.connector->name);
        ok = false;
    }
    if (!s->to.connector->sink) {
        wh_problem_add(r->problems, "E1060", s->to.where, NULL, "%s can only be read, not written",
                       s->to.connector->name);
        ok = false;
    }
    if (s->to.pattern) {
        wh_problem_add(r->problems, "E1020", s->to.where,
                       "write {source.table} for the name of each source table",
                       "a destination cannot be a pattern");
        ok = false;
    }
    if (s->to.query_file) {
        wh_problem_add(r->problems, "E1020", s->to.where, NULL, "a query file is no destination");
        ok = false;
    }
    return ok;
}

bool wh_job_type_one(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    const struct wh_node *from = wh_node_get(node, "from"), *to = wh_node_get(node, "to");
    bool ok;

    s->where_place = wh_job_where(r, node);
    if (!from || !to) {
        wh_problem_add(r->problems, "E1005", s->where_place, "write { from: ..., to: ... }",
                       "the stream has no '%s'", from ? "to" : "from");
        return false;
    }
    ok = wh_job_side(r, from, WH_SIDE_FROM, &s->from);
    ok = wh_job_side(r, to, WH_SIDE_TO, &s->to) && ok;
    ok = wh_job_stream_settings(r, node, s) && ok;
    return ok && check_sides(r, s) && read_query(r, s) && stream_name(r, node, s);
}

static bool names_unique(struct wh_job_reading *r)
{
    bool ok = true;

    for (size_t i = 0; i < r->job->n_streams; i++)
        for (size_t j = 0; j < i; j++)
            if (strcmp(r->job->streams[i].name, r->job->streams[j].name) == 0) {
                wh_problem_add(r->problems, "E1042", r->job->streams[i].where_place,
                               "give one of them a 'name:' of its own",
                               "the stream '%s' is there twice (also at %s)",
                               r->job->streams[i].name, r->job->streams[j].where_place);
                ok = false;
            }
    return ok;
}

bool wh_job_type(struct wh_job_reading *r)
{
    const struct wh_node *streams = wh_node_get(r->job->tree, "streams");
    size_t n = streams ? streams->n : 0;
    bool ok = true;

    r->job->streams = wh_arena_alloc(r->arena, (n + 1) * sizeof *r->job->streams);
    if (!r->job->streams)
        return wh_job_no_memory(r);
    r->job->n_streams = n;
    for (size_t i = 0; i < n; i++)
        ok = wh_job_type_one(r, streams->items[i], &r->job->streams[i]) &&
             wh_job_overrides(r, streams->items[i], &r->job->streams[i]) && ok;
    ok = wh_job_run_settings(r, wh_node_get(r->job->tree, "run"), &r->job->run) && ok;
    return ok && names_unique(r) && wh_job_take_selection(r) && wh_job_shape(r);
}
