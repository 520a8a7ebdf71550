/* SPDX-License-Identifier: Apache-2.0 */
/* A part of a job: some of its streams, some of their tables (--select). It stands in the tree's
 * own notes, so that the stored job is the same part, and the shape and the identity of its run are
 * others than those of the whole.
 */
#include "engine/job_internal.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct wh_node *selection(const struct wh_job *job)
{
    return wh_node_get(wh_node_get(job->tree, "x-wherry"), "select");
}

/* Does "STREAM" or "STREAM/TABLE" mean this stream? *ret_table: the table, or NULL. A name that
 * holds a slash is taken for the stream first. */
static bool means(const struct wh_job *job, const char *item, const char *stream,
                  const char **ret_table)
{
    size_t n = strlen(stream);

    *ret_table = NULL;
    if (strcmp(item, stream) == 0)
        return true;
    for (size_t i = 0; i < job->n_streams; i++)
        if (strcmp(item, job->streams[i].name) == 0)
            return false;
    if (strncmp(item, stream, n) != 0 || item[n] != '/' || !item[n + 1])
        return false;
    *ret_table = item + n + 1;
    return true;
}

static bool take_tables(struct wh_job_reading *r, const struct wh_node *items, struct wh_stream *s)
{
    bool whole = false;

    s->only = wh_arena_alloc(r->arena, (items->n + 1) * sizeof *s->only);
    if (!s->only)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < items->n; i++) {
        const char *table, *item = wh_node_text(items->items[i], "");

        if (!means(r->job, item, s->name, &table))
            continue;
        whole |= !table;
        if (!table)
            continue;
        struct wh_part *part = wh_arena_alloc(r->arena, sizeof *part);

        if (!part)
            return wh_job_no_memory(r);
        if (!wh_part_parse(r->arena, wh_str(table), "--select", part, r->problems))
            return false;
        s->only[s->n_only++] = (struct wh_only){table, part};
    }
    s->n_only = whole ? 0 : s->n_only;
    return true;
}

bool wh_job_take_selection(struct wh_job_reading *r)
{
    const struct wh_node *items = selection(r->job);
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(1 << 20);
    bool ok = true;

    r->job->select = NULL;
    for (size_t i = 0; items && i < items->n; i++)
        if (wh_buf_printf(&text, "%s%s", i ? ", " : "", wh_node_text(items->items[i], "")) != WH_OK)
            return wh_job_no_memory(r);
    if (!items || !text.n)
        return true;
    r->job->select = wh_arena_strdup(r->arena, text.p);
    for (size_t i = 0; ok && i < r->job->n_streams; i++)
        ok = take_tables(r, items, &r->job->streams[i]);
    return r->job->select ? ok : wh_job_no_memory(r);
}

static bool is_known(struct wh_job_reading *r, const char *item)
{
    const char **names = wh_arena_alloc(r->arena, (r->job->n_streams + 1) * sizeof *names);
    const char *table, *near;

    for (size_t i = 0; names && i < r->job->n_streams; i++) {
        if (means(r->job, item, r->job->streams[i].name, &table))
            return true;
        names[i] = r->job->streams[i].name;
    }
    near = names ? wh_did_you_mean((struct wh_str){item, strcspn(item, "/")}, names) : NULL;
    wh_problem_add(r->problems, "E1028", "--select",
                   near ? wh_arena_printf(r->arena, "did you mean '%s'?", near)
                        : "write STREAM, or STREAM/TABLE, as the summary names them",
                   "job %s has no stream '%s'", r->job->name, item);
    return false;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* In an order of its own, each once: what is asked for in another order is the same. */
static struct wh_node *sorted(struct wh_job_reading *r, const char *const *items, size_t n)
{
    const char **v = wh_arena_alloc(r->arena, (n + 1) * sizeof *v);
    struct wh_node *list = wh_node_list(r->arena);

    if (!v || !list)
        return NULL;
    memcpy(v, items, n * sizeof *v);
    qsort(v, n, sizeof *v, by_text);
    for (size_t i = 0; i < n; i++)
        if ((i == 0 || strcmp(v[i], v[i - 1]) != 0) &&
            wh_node_push(r->arena, list, wh_node_scalar(r->arena, v[i])) != WH_OK)
            return NULL;
    return list;
}

/* ---- what a part may not take away from the rest ---- */

static bool takes_away(const struct wh_stream *s)
{
    const char *how = wh_node_text(wh_node_get(s->from.options, "after_read"), "keep");

    return strcmp(how, "keep") != 0;
}

static bool below(struct wh_str folder, struct wh_str path)
{
    while (folder.n && folder.s[folder.n - 1] == '/')
        folder.n--;
    return path.n > folder.n && path.s[folder.n] == '/' && memcmp(path.s, folder.s, folder.n) == 0;
}

/* Without looking into folders: whether both may mean one file. Lists of files may. */
static bool may_share(const struct wh_objref *a, const struct wh_objref *b)
{
    char x[4096], y[4096];

    if (a->connector != b->connector || !a->connector->storage)
        return false;
    if (a->name.n != 1 || b->name.n != 1 || a->more.n || b->more.n ||
        wh_node_get(a->options, "path") || wh_node_get(b->options, "path") ||
        wh_node_get(a->options, "list") || wh_node_get(b->options, "list"))
        return true;
    snprintf(x, sizeof x, "%.*s", WH_STR_FMT(a->name.part[0]));
    snprintf(y, sizeof y, "%.*s", WH_STR_FMT(b->name.part[0]));
    return strcmp(x, y) == 0 || fnmatch(x, y, 0) == 0 || fnmatch(y, x, 0) == 0 ||
           below(wh_str(x), wh_str(y)) || below(wh_str(y), wh_str(x));
}

/* The rest of the job would look for its files in vain when its turn comes. */
static bool leaves_the_rest(struct wh_job_reading *r, const bool *wanted)
{
    const struct wh_job *job = r->job;

    for (size_t i = 0; i < job->n_streams; i++)
        for (size_t j = 0; wanted[i] && takes_away(&job->streams[i]) && j < job->n_streams; j++) {
            const struct wh_stream *s = &job->streams[i], *other = &job->streams[j];

            if (wanted[j] || !may_share(&s->from, &other->from))
                continue;
            wh_problem_add(r->problems, "E1007", "--select",
                           wh_arena_printf(r->arena, "--select %s --select %s, or the whole job",
                                           s->name, other->name),
                           "stream '%s' takes its files away (after_read), and stream '%s', which "
                           "is not selected, reads them too",
                           s->name, other->name);
            return false;
        }
    return true;
}

bool wh_job_keep_selected(struct wh_job_reading *r, const char *const *items, size_t n)
{
    struct wh_node *streams = wh_node_get(r->job->tree, "streams"),
                   *own = wh_node_get(r->job->tree, "x-wherry"), *list = sorted(r, items, n);
    const char *table;
    size_t kept = 0;
    bool ok = true;

    for (size_t i = 0; i < n; i++)
        ok = is_known(r, items[i]) && ok;
    if (!ok)
        return false;
    bool *wanted = wh_arena_alloc(r->arena, (r->job->n_streams + 1) * sizeof *wanted);

    if (!wanted)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < r->job->n_streams; i++) {
        for (size_t j = 0; j < n; j++)
            wanted[i] |= means(r->job, items[j], r->job->streams[i].name, &table);
        if (wanted[i])
            streams->items[kept++] = streams->items[i];
    }
    if (!leaves_the_rest(r, wanted))
        return false;
    streams->n = kept;
    return (list && own && wh_node_put(r->arena, own, "select", list) == WH_OK) ||
           wh_job_no_memory(r);
}
