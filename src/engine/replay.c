/* SPDX-License-Identifier: Apache-2.0 */
/* Refused rows as the source of another run: the rows of a table become a CSV file of canonical
 * texts, the stream of the job that refused them reads that file with the same mapping. The run's
 * identity is made of the first run's, so a second replay finds it finished. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/tree.h"
#include "data/type.h"
#include "engine/object.h"
#include "engine/plan.h"
#include "engine/refused.h"

enum {
    FLUSH_AT = 256 << 10,
    CELL_MOST = 128 << 20,
};

static const char NULL_WORD[] = "\\N";

/* One file being written: a table's rows of one shape. */
struct part {
    bool used, there; /* there: the file was made by an earlier call and is left alone */
    int fd;
    char path[4400], partial[4420];
    struct wh_buf out;
    int64_t rows;
    struct ArrowSchema schema;
};

struct making {
    struct wh_state *state;
    struct wh_arena *arena;
    struct wh_run_record run;
    struct wh_job *job; /* as it was stored */
    struct wh_node *tree;
    struct wh_flow_record *flows;
    size_t n_flows;
    int flow; /* whose parts are open; -1: none */
    struct part part[2];
    struct wh_replays *ret;
    struct wh_error *reterr;
};

static int no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for refused rows");
}

/* ---- the file ---- */

static int make_folder(char *path, struct wh_error *reterr)
{
    if (mkdir(path, 0700) == 0 || errno == EEXIST)
        return WH_OK;
    return wh_fail_errno(reterr, errno, "E6015", "cannot make %s", path);
}

/* The file is named as the table: where a destination takes its source's name it takes the same. */
static const char *file_stem(struct wh_arena *a, const char *table)
{
    static const char fine[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    const char *dot = strrchr(table, '.'), *slash = strrchr(table, '/');
    const char *last = dot && dot > slash ? dot + 1 : slash ? slash + 1 : table;

    return *last && last[strspn(last, fine)] == 0 ? wh_arena_strdup(a, last) : "rows";
}

static int part_paths(struct making *m, int flow, bool mapped, struct part *p)
{
    char folder[4300];
    const char *stem = file_stem(m->arena, m->flows[flow].table);

    if (!stem)
        return no_memory(m->reterr);
    snprintf(folder, sizeof folder, "%s/replay", wh_state_dir(m->state));
    WH_TRY(make_folder(folder, m->reterr));
    snprintf(folder, sizeof folder, "%s/replay/%s", wh_state_dir(m->state), m->run.run);
    WH_TRY(make_folder(folder, m->reterr));
    snprintf(folder, sizeof folder, "%s/replay/%s/f%d.%s", wh_state_dir(m->state), m->run.run, flow,
             mapped ? "to" : "from");
    WH_TRY(make_folder(folder, m->reterr));
    snprintf(p->path, sizeof p->path, "%s/%s.csv", folder, stem);
    snprintf(p->partial, sizeof p->partial, "%s.new", p->path);
    return WH_OK;
}

static int part_flush(struct part *p, struct wh_error *reterr)
{
    for (size_t at = 0; at < p->out.n;) {
        ssize_t n = write(p->fd, p->out.p + at, p->out.n - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return wh_fail_errno(reterr, errno, "E6015", "cannot write %s", p->partial);
        at += (size_t)n;
    }
    wh_buf_clear(&p->out);
    return WH_OK;
}

/* Every value in quotes, so that what stands for NULL without them is nothing else. */
static int quoted(struct wh_buf *b, const char *text)
{
    WH_TRY(wh_buf_addc(b, '"'));
    for (const char *q; (q = strchr(text, '"')) != NULL; text = q + 1) {
        WH_TRY(wh_buf_add(b, text, (size_t)(q - text + 1)));
        WH_TRY(wh_buf_addc(b, '"'));
    }
    WH_TRY(wh_buf_adds(b, text));
    return wh_buf_addc(b, '"');
}

static int part_open(struct making *m, int flow, bool mapped, struct part *p)
{
    const struct wh_flow_record *f = &m->flows[flow];
    const char *json = mapped ? f->accept_schema : f->source_schema;

    *p = (struct part){.used = true, .fd = -1, .out = WH_BUF(CELL_MOST)};
    if (!json)
        return wh_fail(m->reterr, WH_E_STATE, "E7003", "the columns of %s are not known", f->table);
    WH_TRY(wh_schema_from_json(json, strlen(json), &p->schema, m->reterr));
    WH_TRY(part_paths(m, flow, mapped, p));
    p->there = access(p->path, F_OK) == 0;
    if (p->there)
        return WH_OK;
    p->fd = open(p->partial, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (p->fd < 0)
        return wh_fail_errno(m->reterr, errno, "E6015", "cannot make %s", p->partial);
    for (int64_t i = 0; i < p->schema.n_children; i++)
        if ((i && wh_buf_addc(&p->out, ',') != WH_OK) ||
            quoted(&p->out, p->schema.children[i]->name) != WH_OK)
            return no_memory(m->reterr);
    return wh_buf_addc(&p->out, '\n') == WH_OK ? WH_OK : no_memory(m->reterr);
}

static int part_row(struct making *m, struct part *p, const struct wh_node *row)
{
    int st = WH_OK;

    p->rows++;
    if (p->there)
        return WH_OK;
    for (int64_t i = 0; st == WH_OK && i < p->schema.n_children; i++) {
        const struct wh_node *v = wh_node_get(row, p->schema.children[i]->name);

        st = i ? wh_buf_addc(&p->out, ',') : WH_OK;
        if (st == WH_OK)
            st = v && v->kind == WH_NODE_SCALAR ? quoted(&p->out, v->text)
                                                : wh_buf_adds(&p->out, NULL_WORD);
    }
    if (st == WH_OK)
        st = wh_buf_addc(&p->out, '\n');
    if (st != WH_OK)
        return no_memory(m->reterr);
    return p->out.n >= FLUSH_AT ? part_flush(p, m->reterr) : WH_OK;
}

static int part_durable(struct part *p, struct wh_error *reterr)
{
    if (p->fd < 0)
        return WH_OK;
    WH_TRY(part_flush(p, reterr));
    if (fsync(p->fd) || rename(p->partial, p->path))
        return wh_fail_errno(reterr, errno, "E6015", "cannot keep %s", p->path);
    return WH_OK;
}

static void part_close(struct part *p)
{
    if (!p->used)
        return;
    if (p->fd >= 0)
        close(p->fd);
    if (p->partial[0])
        unlink(p->partial); /* gone already when it is durable */
    wh_schema_release(&p->schema);
    wh_buf_free(&p->out);
    *p = (struct part){.fd = -1};
}

/* ---- the job ---- */

/* The tree of a stored job is shared with nobody: keys that meant the first source go. */
static void without(struct wh_node *map, const char *const *keys)
{
    size_t n = 0;

    for (size_t i = 0; i < map->n; i++) {
        bool goes = false;

        for (const char *const *k = keys; *k; k++)
            goes = goes || strcmp(map->keys[i]->text, *k) == 0;
        if (goes)
            continue;
        map->keys[n] = map->keys[i];
        map->items[n++] = map->items[i];
    }
    map->n = n;
}

static bool put(struct wh_arena *a, struct wh_node *map, const char *key, struct wh_node *value)
{
    return value && wh_node_put(a, map, key, value) == WH_OK;
}

static bool put_text(struct wh_arena *a, struct wh_node *map, const char *key, const char *text)
{
    struct wh_node *v = text ? wh_node_scalar(a, text) : NULL;

    if (v)
        v->quoted = true;
    return put(a, map, key, v);
}

/* A copy one level deep: what is changed in it does not change the stored job. */
static struct wh_node *copy_map(struct wh_arena *a, const struct wh_node *map)
{
    struct wh_node *copy = wh_node_map(a);

    for (size_t i = 0; copy && map && map->kind == WH_NODE_MAP && i < map->n; i++)
        if (wh_node_put(a, copy, map->keys[i]->text, map->items[i]) != WH_OK)
            return NULL;
    return copy;
}

static struct wh_node *types_of(struct wh_arena *a, const struct ArrowSchema *schema)
{
    struct wh_node *types = wh_node_map(a);

    for (int64_t i = 0; types && i < schema->n_children; i++) {
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
        struct wh_type t;
        struct wh_error ignored;

        if (wh_type_of(schema->children[i], &t, &ignored) != WH_OK ||
            wh_type_print(&t, &b) != WH_OK || !put_text(a, types, schema->children[i]->name, b.p))
            return NULL;
    }
    return types;
}

/* Rows are added, whatever replaced the table before: they were never written. Keys stay keys.
 * Of a table that was replaced by key a refused row deleted nothing: what its key had before stands
 * there still, and the row takes its place. Where the key is not unique nobody knows whether that
 * came with the run or before it: such a replay is refused, as mode replace is there. */
static struct wh_node *write_of(struct wh_arena *a, const struct wh_stream *s,
                                const struct wh_node *stream)
{
    static const char *const gone[] = {"replace", NULL};
    struct wh_node *write = copy_map(a, wh_node_get(stream, "write"));
    bool replaces = s->write.mode == WH_MODE_OVERWRITE || s->write.mode == WH_MODE_TRUNCATE ||
                    s->write.mode == WH_MODE_DELETE_INSERT;

    if (write)
        without(write, gone);
    if (write && replaces &&
        !put_text(a, write, "mode", s->write.replace_keys ? "replace" : "append"))
        return NULL;
    return write;
}

/* A table that is made anew would lose the rows that were not refused. */
static struct wh_node *table_of(struct wh_arena *a, const struct wh_stream *s,
                                const struct wh_node *stream)
{
    struct wh_node *table = copy_map(a, wh_node_get(stream, "table"));

    if (table && s->create == WH_CREATE_RECREATE && !put_text(a, table, "create", "never"))
        return NULL;
    return table;
}

static struct wh_node *from_of(struct wh_arena *a, const char *path)
{
    struct wh_node *from = wh_node_map(a), *nulls = wh_node_list(a);
    struct wh_node *null = wh_node_scalar(a, NULL_WORD);
    bool ok = from && nulls && null && wh_node_push(a, nulls, null) == WH_OK &&
              put(a, from, "null_text", nulls) && put_text(a, from, "object", path) &&
              put_text(a, from, "format", "csv") && put_text(a, from, "header", "yes") &&
              put_text(a, from, "delimiter", ",");

    return ok ? from : NULL;
}

/* Maps key by key, everything else as a whole. */
static struct wh_node *laid_on(struct wh_arena *a, const struct wh_node *under,
                               const struct wh_node *over)
{
    struct wh_node *copy = copy_map(a, under);

    for (size_t i = 0; copy && over && over->kind == WH_NODE_MAP && i < over->n; i++) {
        const struct wh_node *was = wh_node_get(copy, over->keys[i]->text);
        struct wh_node *is = over->items[i];

        if (was && was->kind == WH_NODE_MAP && is->kind == WH_NODE_MAP)
            is = laid_on(a, was, is);
        if (!put(a, copy, over->keys[i]->text, is))
            return NULL;
    }
    return copy;
}

/* The name of computed column `number` (from 0) in the archive. */
static const char *computed_name(const struct ArrowSchema *s, size_t number)
{
    struct wh_str how;

    for (int64_t i = 0; i < s->n_children; i++)
        if (wh_meta_get(s->children[i], WH_META_COMPUTED, &how) && number-- == 0)
            return s->children[i]->name;
    return NULL;
}

/* What the source computed for a refused row stands in the archive, as a column of it. */
static bool computed_from(struct wh_arena *a, const struct ArrowSchema *schema,
                          struct wh_node *stream)
{
    const struct wh_node *said = wh_node_get(stream, "columns");
    struct wh_node *list = wh_node_list(a);
    size_t number = 0;

    if (!said || said->kind != WH_NODE_LIST)
        return true;
    for (size_t i = 0; list && i < said->n; i++) {
        static const char *const gone[] = {"source_expr", NULL};
        struct wh_node *item = said->items[i];
        const char *name;

        if (item->kind == WH_NODE_MAP && wh_node_get(item, "source_expr")) {
            name = computed_name(schema, number++);
            item = copy_map(a, item);
            if (!item || !name)
                return false;
            without(item, gone);
            if (!put_text(a, item, "from", name))
                return false;
        }
        if (wh_node_push(a, list, item) != WH_OK)
            return false;
    }
    return list && put(a, stream, "columns", list);
}

static struct wh_node *stream_of(struct making *m, const struct wh_replay *r, const struct part *p,
                                 size_t at, size_t own)
{
    static const char *const gone[] = {"from",    "where",    "query", "filter",   "incremental",
                                       "limit",   "split",    "guard", "validate", "override",
                                       "deletes", "parallel", "merge", "types",    NULL};
    static const char *const mapping[] = {"columns", NULL};
    struct wh_arena *a = m->arena;
    const struct wh_stream *base = &m->job->streams[at];
    bool overridden = own < base->n_overrides && base->overrides[own].stream;
    const struct wh_stream *s = overridden ? base->overrides[own].stream : base;
    const struct wh_node *said = wh_node_get(m->tree, "streams")->items[at];
    /* Of this tree: what the job says goes with the job. */
    const struct wh_node *body =
        overridden ? wh_node_get(wh_node_get(said, "override"), base->overrides[own].pattern)
                   : NULL;
    struct wh_node *stream = laid_on(a, said, body);
    const struct wh_node *place =
        stream ? wh_node_get(wh_node_get(stream, "dirty"), "archive") : NULL;
    struct wh_node *dirty = wh_node_map(a), *write = stream ? write_of(a, s, stream) : NULL;
    const char *rows = wh_arena_printf(a, "%lld", (long long)r->rows);

    struct wh_node *table = stream ? table_of(a, s, stream) : NULL;

    if (!stream || !dirty || !write || !table)
        return NULL;
    without(stream, gone);
    if (r->mapped)
        without(stream, mapping);
    else if (!computed_from(a, &p->schema, stream))
        return NULL;
    bool ok =
        put(a, stream, "from", from_of(a, p->path)) &&
        put(a, stream, "types", types_of(a, &p->schema)) && put_text(a, dirty, "rows", rows) &&
        (!place || place->kind != WH_NODE_SCALAR || put_text(a, dirty, "archive", place->text)) &&
        put(a, stream, "dirty", dirty) && (write->n == 0 || put(a, stream, "write", write)) &&
        (table->n == 0 || put(a, stream, "table", table));

    return ok ? stream : NULL;
}

/* --strict: rows that are refused again end with 3, and are in that run's archive. */
static struct wh_node *job_of(struct making *m, const struct wh_replay *r, struct wh_node *stream)
{
    static const char *const gone[] = {"x-wherry", "streams", "schedule", "notify", NULL};
    struct wh_arena *a = m->arena;
    struct wh_node *job = copy_map(a, m->tree), *streams = wh_node_list(a);
    struct wh_node *run = copy_map(a, wh_node_get(m->tree, "run"));
    const char *name = wh_arena_printf(a, "replay-%s", m->run.run);

    if (!job || !streams || !run || !stream || wh_node_push(a, streams, stream) != WH_OK)
        return NULL;
    without(job, gone);
    bool ok = put_text(a, run, "strict", "true") && put(a, job, "run", run) &&
              put_text(a, job, "name", name) && put(a, job, "streams", streams);

    return ok ? job : NULL;
}

static int index_of(const struct making *m, const char *stream, size_t *ret)
{
    for (size_t i = 0; i < m->job->n_streams; i++)
        if (strcmp(m->job->streams[i].name, stream) == 0) {
            *ret = i;
            return WH_OK;
        }
    return wh_fail(m->reterr, WH_E_STATE, "E7003", "the kept job has no stream '%s'", stream);
}

/* The settings that a table has for itself, found again by its name; *ret = n_overrides: none. */
static int override_of(const struct making *m, const struct wh_stream *s, const char *table,
                       size_t *ret)
{
    struct wh_problems problems = {.arena = m->arena};
    struct wh_objref name = {.text = NULL};

    *ret = s->n_overrides;
    for (size_t i = 0; i < s->n_overrides; i++)
        if (strchr(s->overrides[i].pattern, '.') && !strchr(table, '.')) {
            int st = wh_fail(m->reterr, WH_E_UNSUPPORTED, "E1014",
                             "rows of %s are not replayed by this build: override '%s' wants a "
                             "name that the run did not keep",
                             table, s->overrides[i].pattern);

            wh_error_hint(m->reterr, "wherry dirty export, and copy the file");
            return st;
        }
    if (s->n_overrides == 0)
        return WH_OK;
    if (!wh_name_parse(m->arena, table, "table", &name, &problems) || name.name.n == 0)
        return wh_fail(m->reterr, WH_E_STATE, "E7003", "'%s' is no name of a table", table);
    return wh_override_find(s, &name.name, table, ret, m->reterr);
}

static int add_replay(struct making *m, bool mapped, struct part *p)
{
    const struct wh_flow_record *f = &m->flows[m->flow];
    struct wh_replay *v = wh_arena_alloc(m->arena, (m->ret->n + 1) * sizeof *v), *r;
    struct wh_node *stream;
    size_t at = 0, own = 0;

    WH_TRY(part_durable(p, m->reterr));
    WH_TRY(index_of(m, f->stream, &at));
    WH_TRY(override_of(m, &m->job->streams[at], f->table, &own));
    if (!v)
        return no_memory(m->reterr);
    if (m->ret->n)
        memcpy(v, m->ret->v, m->ret->n * sizeof *v);
    r = &v[m->ret->n];
    *r = (struct wh_replay){.flow = f->flow,
                            .mapped = mapped,
                            .table = f->table,
                            .target = f->target,
                            .rows = p->rows,
                            .id = wh_arena_printf(m->arena, "replay of %s, table %d, %s",
                                                  m->run.run, f->flow, mapped ? "to" : "from")};
    stream = stream_of(m, r, p, at, own);
    r->job = stream ? job_of(m, r, stream) : NULL;
    if (!r->job || !r->id)
        return no_memory(m->reterr);
    m->ret->v = v;
    m->ret->n++;
    m->ret->rows += p->rows;
    return WH_OK;
}

static int parts_done(struct making *m)
{
    int st = WH_OK;

    for (int i = 0; i < 2; i++) {
        if (m->part[i].used && st == WH_OK)
            st = add_replay(m, i == 1, &m->part[i]);
        part_close(&m->part[i]);
    }
    m->flow = -1;
    return st;
}

/* ---- rows ---- */

static bool has_names(const struct wh_node *row, const char *json)
{
    struct ArrowSchema s = {0};
    struct wh_error ignored;
    bool ok = json && wh_schema_from_json(json, strlen(json), &s, &ignored) == WH_OK &&
              (size_t)s.n_children == row->n;

    for (size_t i = 0; ok && i < row->n; i++)
        ok = strcmp(row->keys[i]->text, s.children[i]->name) == 0;
    if (s.release)
        wh_schema_release(&s);
    return ok;
}

static wh_status one_row(void *arg, const struct wh_refused *row)
{
    struct making *m = arg;

    if (!row->committed)
        return WH_OK;
    if (row->raw.n || (!row->row && row->position[0] != '?')) {
        m->ret->raw++;
        return WH_OK;
    }
    if (!row->row || row->row->kind != WH_NODE_MAP || (size_t)row->flow >= m->n_flows) {
        m->ret->unreadable++;
        return WH_OK;
    }
    bool mapped = row->mapped;
    if (!row->side_said) /* written by an earlier version */
        mapped = !has_names(row->row, m->flows[row->flow].source_schema);
    if (m->flow != row->flow) {
        WH_TRY(parts_done(m));
        m->flow = row->flow;
    }
    if (!m->part[mapped].used)
        WH_TRY(part_open(m, row->flow, mapped, &m->part[mapped]));
    return part_row(m, &m->part[mapped], row->row);
}

/* ---- all of it ---- */

static int finished(const struct making *m)
{
    const struct wh_run_record *r = &m->run;

    if (r->finished && r->state == WH_RUN_CLOSED)
        return WH_OK;
    int st = wh_fail(m->reterr, WH_E_USAGE, "E6030", "run %s is %s: its refused rows are not final",
                     r->run, r->state == WH_RUN_DISCARDED ? "given up" : "unfinished");
    if (r->state != WH_RUN_DISCARDED)
        wh_error_hint(m->reterr, "wherry resume %s --dirty rows=N ends it, and reads them again",
                      r->run);
    return st;
}

static int stored(struct making *m)
{
    struct wh_problems p = {.arena = m->arena};
    const char *json = m->run.job_json;

    if (!json || wh_job_read(m->run.run, json, strlen(json), NULL, NULL, &m->job, &p) != WH_OK ||
        wh_json_parse(m->arena, m->run.run, json, strlen(json), &m->tree, &p) != WH_OK ||
        !wh_node_get(m->tree, "streams") || wh_node_get(m->tree, "streams")->n != m->job->n_streams)
        return wh_fail(m->reterr, WH_E_STATE, "E7003", "the kept job of run %s cannot be read",
                       m->run.run);
    return WH_OK;
}

static int all_rows(struct making *m)
{
    int64_t missing = 0;

    WH_TRY(wh_refused_each(m->state, m->run.run, NULL, one_row, m, &missing, m->reterr));
    WH_TRY(parts_done(m));
    if (missing == 0)
        return WH_OK;
    return wh_fail(m->reterr, WH_E_USAGE, "E6031",
                   "%lld refused rows of run %s are not in the archive any more: all or none",
                   (long long)missing, m->run.run);
}

int wh_replay_make(struct wh_state *state, const char *run, struct wh_arena *arena,
                   struct wh_replays *ret, struct wh_error *reterr)
{
    struct making m = {.state = state, .arena = arena, .flow = -1, .ret = ret, .reterr = reterr};

    *ret = (struct wh_replays){.arena = arena};
    int st = wh_state_run_get(state, run, arena, &m.run, reterr);
    if (st == WH_OK)
        st = finished(&m);
    if (st == WH_OK)
        st = stored(&m);
    if (st == WH_OK)
        st = wh_state_flows(state, m.run.run, arena, &m.flows, &m.n_flows, reterr);
    if (st == WH_OK)
        st = all_rows(&m);
    part_close(&m.part[0]);
    part_close(&m.part[1]);
    wh_job_free(m.job);
    return st;
}

/* ---- starting ---- */

static int node_json(const struct wh_node *v, struct wh_buf *b)
{
    bool map = v->kind == WH_NODE_MAP;

    if (v->kind == WH_NODE_NULL)
        return wh_buf_adds(b, "null");
    if (v->kind == WH_NODE_SCALAR)
        return wh_buf_json(b, v->text, strlen(v->text));
    WH_TRY(wh_buf_addc(b, map ? '{' : '['));
    for (size_t i = 0; i < v->n; i++) {
        WH_TRY(i ? wh_buf_addc(b, ',') : WH_OK);
        if (map) {
            WH_TRY(wh_buf_json(b, v->keys[i]->text, strlen(v->keys[i]->text)));
            WH_TRY(wh_buf_addc(b, ':'));
        }
        WH_TRY(node_json(v->items[i], b));
    }
    return wh_buf_addc(b, map ? '}' : ']');
}

static int read_job(const struct wh_replay *r, struct wh_job **ret, struct wh_error *reterr)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_problems p = {.arena = a};

    if (!a || node_json(r->job, &b) != WH_OK)
        return no_memory(reterr);
    int st = wh_job_read(r->id, b.p, b.n, NULL, NULL, ret, &p);
    if (st != WH_OK && p.n) {
        st = wh_fail(reterr, WH_E_USAGE, "E6030", "rows of %s cannot be written again: %s %s",
                     r->table, p.v[0].code, p.v[0].message);
        wh_error_where(reterr, "%s", p.v[0].where ? p.v[0].where : r->id);
    }
    return st;
}

/* The rows must go where they should have gone, and nowhere else. */
static int same_target(const struct wh_replay *r, const struct wh_job *job,
                       struct wh_services *services, struct wh_error *reterr)
{
    struct wh_plan *plan = NULL;
    int st = wh_plan_make(job, services, NULL, &plan, reterr);

    if (st == WH_OK && (plan->n_flows != 1 || !plan->flows[0]->tgt.identity ||
                        strcmp(plan->flows[0]->tgt.identity, r->target) != 0)) {
        st = wh_fail(reterr, WH_E_USAGE, "E6030", "rows of %s would be written to %s instead of %s",
                     r->table, plan->n_flows ? plan->flows[0]->tgt.identity : "nothing", r->target);
        wh_error_hint(reterr, "wherry dirty export -o rows.csv, then copy that file");
    }
    wh_plan_free(plan);
    return st;
}

int wh_replay_start(const struct wh_replay *r, struct wh_services *services, struct wh_state *state,
                    const struct wh_start *start, struct wh_outcome *ret, struct wh_error *reterr)
{
    struct wh_start how = *start;
    struct wh_job *job = NULL;

    *ret = (struct wh_outcome){.exit_code = 2};
    how.run_id = r->id;
    WH_TRY(read_job(r, &job, reterr));
    int st = same_target(r, job, services, reterr);
    if (st == WH_OK)
        return wh_start_job(job, services, state, &how, ret, reterr);
    ret->exit_code = wh_exit_code(reterr);
    wh_job_free(job);
    return st;
}
