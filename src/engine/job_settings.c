/* SPDX-License-Identifier: Apache-2.0 */
/* Every setting of a job as it is in force, for `config`: the tables say which there are, the tree
 * who said so. */
#include "engine/job_internal.h"

#include <string.h>

struct telling {
    wh_status (*each)(void *, const struct wh_setting *);
    void *arg;
    struct wh_arena *arena;
    const char *stream;
};

/* The node that set a row: under its name, an alias, or with - instead of _. */
static const struct wh_node *node_of(const struct wh_node *map, const struct wh_options *table,
                                     const struct wh_option *row)
{
    const struct wh_node *found = NULL;

    for (size_t i = 0; map && map->kind == WH_NODE_MAP && i < map->n; i++)
        if (wh_options_find(table, wh_str(map->keys[i]->text)) == row)
            found = map->items[i];
    return found;
}

/* The value as the table reads it; a text that the table does not read (a macro that stays) as it
 * is. */
static int show(const struct wh_options *table, const struct wh_option *row,
                const struct wh_node *node, struct wh_arena *arena, struct wh_buf *out)
{
    void *room WH_CLEANUP(wh_freep) = wh_calloc(1, table->size);
    struct wh_problems problems = {.arena = arena};

    if (!room)
        return WH_E_NOMEM;
    if (node && row->type == WH_T_SECRET)
        return wh_buf_adds(out, "***");
    WH_TRY(wh_options_init(table, room, arena));
    for (size_t i = 0; node && node->kind == WH_NODE_MAP && i < node->n; i++)
        WH_TRY(wh_buf_printf(out, "%s%s: %s", i ? ", " : "", node->keys[i]->text,
                             wh_node_text(node->items[i], "")));
    if (node && node->kind == WH_NODE_MAP) /* another form than the row's own */
        return WH_OK;
    if (node && !wh_options_set(table, room, arena, row->name, node, "", &problems))
        return wh_buf_adds(out, wh_node_text(node, ""));
    if (!node && !row->def) /* nobody said anything */
        return row->type == WH_T_BOOL ? wh_buf_adds(out, "false") : WH_OK;
    return wh_options_show(row, room, out);
}

static int tell(struct telling *t, const char *key, const struct wh_options *table,
                const struct wh_option *row, const struct wh_node *node, bool side)
{
    struct wh_buf value WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_setting s = {.stream = t->stream, .key = key, .node = node, .side = side};

    WH_TRY(show(table, row, node, t->arena, &value));
    s.value = value.p ? value.p : "";
    return t->each(t->arg, &s);
}

static int tell_table(struct telling *t, const char *group, const struct wh_options *table,
                      const struct wh_node *map, bool side)
{
    for (const struct wh_option *row = table && table->rows ? table->rows : NULL; row && row->name;
         row++) {
        const char *key = *group ? wh_arena_printf(t->arena, "%s.%s", group, row->name) : row->name;

        if (!key)
            return WH_E_NOMEM;
        WH_TRY(tell(t, key, table, row, node_of(map, table, row), side));
    }
    return WH_OK;
}

static const struct wh_node *below(const struct wh_node *map, const char *path)
{
    const char *dot = strchr(path, '.'); /* run.limits: `map` is run */

    return *path ? wh_node_get(map, dot ? dot + 1 : path) : map;
}

static int tell_groups(struct telling *t, const struct wh_node *map, bool run)
{
    for (const struct wh_job_group *g = wh_job_groups; g->name; g++) {
        bool of_run = strncmp(g->name, "run", 3) == 0;
        const struct wh_node *group = strcmp(g->name, "run") == 0 ? map : below(map, g->name);

        for (size_t i = 0; of_run == run && i < 3 && g->tables[i]; i++)
            WH_TRY(tell_table(t, g->name, g->tables[i], group, false));
    }
    return WH_OK;
}

static int tell_side(struct telling *t, const char *side, const struct wh_objref *ref)
{
    const struct wh_connector *k = ref->connector;

    WH_TRY(tell_table(t, side, k->connection, ref->connection, true));
    return tell_table(t, side, strcmp(side, "from") == 0 ? k->from : k->to, ref->options, true);
}

static bool is_secret(const struct wh_connector *k, const char *key)
{
    const struct wh_options *tables[] = {k->connection, k->to};

    for (size_t i = 0; i < 2; i++) {
        const struct wh_option *row = tables[i] ? wh_options_find(tables[i], wh_str(key)) : NULL;

        if (row && row->type == WH_T_SECRET)
            return true;
    }
    return false;
}

/* What an override says, as it stands there; only that is in force for its tables alone. */
static int tell_body(struct telling *t, const char *path, const struct wh_node *node,
                     const struct wh_override *o, int depth)
{
    struct wh_buf value WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_setting s = {.stream = t->stream, .key = path, .node = node};
    bool to = strncmp(path, "to.", 3) == 0;

    for (size_t i = 0; node->kind == WH_NODE_MAP && i < node->n; i++) {
        const char *key = *path ? wh_arena_printf(t->arena, "%s.%s", path, node->keys[i]->text)
                                : node->keys[i]->text;

        if (!key)
            return WH_E_NOMEM;
        WH_TRY(depth < 8 ? tell_body(t, key, node->items[i], o, depth + 1) : WH_OK);
    }
    if (node->kind == WH_NODE_MAP)
        return WH_OK;
    for (size_t i = 0; node->kind == WH_NODE_LIST && i < node->n; i++)
        WH_TRY(wh_buf_printf(&value, "%s%s", i ? "," : "", wh_node_text(node->items[i], "{...}")));
    if (to && o->stream && is_secret(o->stream->to.connector, strrchr(path, '.') + 1))
        WH_TRY(wh_buf_adds(&value, "***"));
    else if (strcmp(path, "to") == 0 && o->stream)
        WH_TRY(wh_buf_adds(&value, o->stream->to.text));
    else if (node->kind == WH_NODE_SCALAR)
        WH_TRY(wh_buf_adds(&value, node->text));
    s.value = value.p ? value.p : "";
    s.side = to;
    return t->each(t->arg, &s);
}

static int tell_overrides(struct telling *t, const struct wh_stream *s)
{
    for (size_t i = 0; i < s->n_overrides; i++) {
        t->stream = wh_arena_printf(t->arena, "%s, table %s", s->name, s->overrides[i].pattern);
        if (!t->stream)
            return WH_E_NOMEM;
        WH_TRY(tell_body(t, "", s->overrides[i].body, &s->overrides[i], 0));
    }
    return WH_OK;
}

/* ---- settings that are no row of a table ---- */

static const struct {
    const char *path, *def;
} shapes[] = {{"columns", "*"},
              {"types", ""},
              {"split", "auto"},
              {"write.marker", "auto"},
              {"write.replace", ""}};

/* id,new=old: as --columns takes them; what has another form by its name alone. */
static int column_words(const struct wh_node *list, struct wh_buf *out)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct wh_node *item = list->items[i];
        const char *to = wh_node_text(wh_node_get(item, "to"), NULL),
                   *from = wh_node_text(wh_node_get(item, "from"), NULL);
        bool both = to && from && strcmp(to, from) != 0;

        if (item->kind == WH_NODE_SCALAR)
            to = item->text;
        WH_TRY(wh_buf_printf(out, "%s%s%s%s", i ? "," : "",
                             to     ? to
                             : from ? from
                                    : "{...}",
                             both ? "=" : "", both ? from : ""));
    }
    return WH_OK;
}

static int tell_shape(struct telling *t, const char *path, const char *def,
                      const struct wh_node *node)
{
    struct wh_buf value WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_setting s = {.stream = t->stream, .key = path, .node = node, .value = def};
    const struct wh_override none = {0};

    if (!node)
        return *def ? t->each(t->arg, &s) : WH_OK;
    if (strcmp(path, "columns") != 0 || node->kind != WH_NODE_LIST)
        return strcmp(path, "split") == 0 && node->kind == WH_NODE_MAP
                   ? WH_OK /* its table told it */
                   : tell_body(t, path, node, &none, 0);
    WH_TRY(column_words(node, &value));
    s.value = value.p ? value.p : "";
    return t->each(t->arg, &s);
}

static int tell_shapes(struct telling *t, const struct wh_node *stream)
{
    for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
        const char *dot = strchr(shapes[i].path, '.');
        const struct wh_node *map = dot ? wh_node_get(stream, "write") : stream;

        WH_TRY(tell_shape(t, shapes[i].path, shapes[i].def,
                          map ? wh_node_get(map, dot ? dot + 1 : shapes[i].path) : NULL));
    }
    return WH_OK;
}

static int tell_all(struct telling *t, const struct wh_job *job)
{
    const struct wh_node *streams = wh_node_get(job->tree, "streams");

    WH_TRY(tell_groups(t, wh_node_get(job->tree, "run"), true));
    for (size_t i = 0; i < job->n_streams; i++) {
        t->stream = job->streams[i].name;
        WH_TRY(tell_side(t, "from", &job->streams[i].from));
        WH_TRY(tell_side(t, "to", &job->streams[i].to));
        const struct wh_node *stream = streams && i < streams->n ? streams->items[i] : NULL;

        WH_TRY(tell_shapes(t, stream));
        WH_TRY(tell_groups(t, stream, false));
        WH_TRY(tell_overrides(t, &job->streams[i]));
    }
    return WH_OK;
}

int wh_job_settings(const struct wh_job *job, wh_status (*each)(void *, const struct wh_setting *),
                    void *arg)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct telling t = {.each = each, .arg = arg, .arena = arena};

    if (!arena)
        return WH_E_NOMEM;
    int st = tell_all(&t, job);

    return st == WH_END ? WH_OK : st;
}
