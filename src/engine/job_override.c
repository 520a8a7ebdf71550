/* SPDX-License-Identifier: Apache-2.0 */
/* `override:` of a stream: other settings for some of its tables, or none of their rows. Each entry
 * is a stream of its own, typed from the stream's tree with the entry laid over it. */
#include "engine/job_internal.h"

#include <string.h>

static const char *const not_here[] = {"name", "from", "override", NULL};

struct skipping {
    bool skip;
};
static const struct wh_option skip_rows[] = {WH_OPT_BOOL(struct skipping, skip), WH_OPT_END};
static const struct wh_options skip_table = {skip_rows, sizeof(struct skipping), "override"};

/* The stream's tree without what only it has, and without `key`. */
static struct wh_node *without(struct wh_job_reading *r, const struct wh_node *map, const char *key)
{
    struct wh_node *out = wh_node_map(r->arena);

    for (size_t i = 0; out && i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) == 0)
            continue;
        if (wh_node_put(r->arena, out, map->keys[i]->text, map->items[i]) != WH_OK)
            return NULL;
        out->keys[out->n - 1]->line = map->keys[i]->line;
        out->keys[out->n - 1]->column = map->keys[i]->column;
    }
    if (out) {
        out->line = map->line;
        out->column = map->column;
    }
    return out;
}

static bool check_body(struct wh_job_reading *r, const struct wh_node *key,
                       const struct wh_node *body)
{
    bool ok = true;

    if (body->kind != WH_NODE_MAP) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, body), "write { skip: true }",
                       "the override of '%s' wants a map of settings", key->text);
        return false;
    }
    for (size_t i = 0; i < body->n; i++)
        for (size_t j = 0; not_here[j]; j++)
            if (strcmp(body->keys[i]->text, not_here[j]) == 0) {
                wh_problem_add(r->problems, "E1001", wh_job_where(r, body->keys[i]),
                               "write a stream of its own for the table, and exclude it here",
                               "'%s' cannot be overridden for one table", not_here[j]);
                ok = false;
            }
    return ok;
}

static bool read_skip(struct wh_job_reading *r, const struct wh_node *body, bool *ret)
{
    const struct wh_node *node = wh_node_get(body, "skip");
    struct skipping s = {false};

    if (node && !wh_options_set(&skip_table, &s, r->arena, "skip", node, wh_job_where(r, node),
                                r->problems))
        return false;
    *ret = s.skip;
    return true;
}

/* What the stream was told already is not told again for each of its tables. */
static void drop_repeated(struct wh_problems *p, size_t from)
{
    size_t n = from;

    for (size_t i = from; i < p->n; i++) {
        bool seen = false;

        for (size_t j = 0; j < n && !seen; j++)
            seen = strcmp(p->v[i].where, p->v[j].where) == 0 &&
                   strcmp(p->v[i].message, p->v[j].message) == 0;
        if (!seen)
            p->v[n++] = p->v[i];
    }
    p->n = n;
}

/* What reads the archive knows the stream of a table. */
static bool same_archive(const struct wh_stream *a, const struct wh_stream *b)
{
    const char *x = a->dirty_archive.connector ? a->dirty_archive.text : "";
    const char *y = b->dirty_archive.connector ? b->dirty_archive.text : "";

    return strcmp(x, y) == 0;
}

static bool read_one(struct wh_job_reading *r, const struct wh_node *stream,
                     const struct wh_node *key, const struct wh_node *body,
                     const struct wh_stream *base, struct wh_override *o)
{
    size_t before = r->problems->n;
    struct wh_node *plain;

    *o = (struct wh_override){.pattern = key->text, .where = wh_job_where(r, key), .body = body};
    o->part = wh_arena_alloc(r->arena, sizeof *o->part);
    if (!o->part)
        return wh_job_no_memory(r);
    if (!wh_part_parse(r->arena, wh_str(key->text), o->where, o->part, r->problems) ||
        !check_body(r, key, body) || !read_skip(r, body, &o->skip))
        return false;
    if (o->skip)
        return true;
    plain = without(r, stream, "override");
    body = without(r, body, "skip");
    plain = plain && body ? wh_job_merge(r, plain, body) : NULL;
    o->stream = plain ? wh_arena_alloc(r->arena, sizeof *o->stream) : NULL;
    if (!o->stream)
        return wh_job_no_memory(r);
    bool ok = wh_job_type_one(r, plain, o->stream);

    drop_repeated(r->problems, before);
    if (ok && !same_archive(base, o->stream)) {
        wh_problem_add(r->problems, "E1001", o->where, "say it for the stream",
                       "'dirty.archive' cannot be overridden for one table");
        ok = false;
    }
    o->stream->name = base->name;
    o->stream->where_place = o->where;
    if (!wh_node_get(body, "limits"))
        o->stream->paced = base;
    return ok;
}

bool wh_job_overrides(struct wh_job_reading *r, const struct wh_node *stream, struct wh_stream *s)
{
    const struct wh_node *node = wh_node_get(stream, "override");
    bool ok = true;

    s->overrides = NULL;
    s->n_overrides = 0;
    if (!node || node->kind == WH_NODE_NULL)
        return true;
    if (node->kind != WH_NODE_MAP) {
        wh_problem_add(
            r->problems, "E1041", wh_job_where(r, node),
            "write override: { big_table: { split: { by: id } }, 'tmp_*': { skip: true } }",
            "override: wants a map of table names");
        return false;
    }
    s->overrides = wh_arena_alloc(r->arena, (node->n + 1) * sizeof *s->overrides);
    if (!s->overrides)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < node->n; i++)
        ok = read_one(r, stream, node->keys[i], node->items[i], s,
                      &s->overrides[s->n_overrides++]) &&
             ok;
    return ok;
}

/* ---- which one --------------------------------------------------------------------------------
 */

static wh_status fits(const char *pattern, const struct wh_part *part, const struct wh_name *name,
                      const char *full, bool *ret, struct wh_error *reterr)
{
    struct wh_matcher *m;
    bool dotted = strchr(pattern, '.') && part->kind != WH_PART_REGEX && name->n > 1;

    WH_TRY(wh_matcher_new(part, &m, reterr));
    *ret = wh_matcher_match(m, dotted ? wh_str(full) : name->part[name->n - 1], false);
    wh_matcher_free(m);
    return WH_OK;
}

wh_status wh_override_find(const struct wh_stream *s, const struct wh_name *name, const char *full,
                           size_t *ret, struct wh_error *reterr)
{
    *ret = s->n_overrides;
    if (name->n == 0)
        return WH_OK;
    for (int patterns = 0; patterns < 2; patterns++)
        for (size_t i = 0; i < s->n_overrides; i++) {
            bool yes = false;

            if (wh_part_is_pattern(s->overrides[i].part) != (patterns == 1))
                continue;
            WH_TRY(fits(s->overrides[i].pattern, s->overrides[i].part, name, full, &yes, reterr));
            if (yes) {
                *ret = i;
                return WH_OK;
            }
        }
    return WH_OK;
}

wh_status wh_selected_find(const struct wh_stream *s, const struct wh_name *name, const char *full,
                           size_t *ret, struct wh_error *reterr)
{
    *ret = s->n_only;
    for (size_t i = 0; i < s->n_only && name->n > 0 && *ret == s->n_only; i++) {
        bool yes = false;

        WH_TRY(fits(s->only[i].text, s->only[i].part, name, full, &yes, reterr));
        if (yes)
            *ret = i;
    }
    return WH_OK;
}
