/* SPDX-License-Identifier: Apache-2.0 */
/* `from:` and `to:` of a stream: an object's text, or a map of parts and options. */
#include "engine/job_internal.h"

#include "engine/registry.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *plain_text(struct wh_job_reading *r, const struct wh_node *node)
{
    const char *text = wh_node_text(node, NULL);

    if (!text) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), NULL, "a text is wanted here");
        return NULL;
    }
    return wh_reference_resolve(r->arena, text, false, wh_job_where(r, node), r->problems);
}

/* An object text keeps its references until options are filled; other texts are plain. */
static bool read_text(struct wh_job_reading *r, const struct wh_node *node, enum wh_side side,
                      struct wh_objref *ret)
{
    const char *text = wh_node_text(node, NULL);

    if (node->kind == WH_NODE_NULL && strcmp(node->text, "null") == 0) {
        wh_problem_add(r->problems, "E1037", wh_job_where(r, node), "write 'null:' in quotes",
                       "null is no object");
        return false;
    }
    if (text && !wh_reference_in(text))
        text = plain_text(r, node);
    if (!text) {
        if (node->kind != WH_NODE_SCALAR)
            wh_problem_add(r->problems, "E1041", wh_job_where(r, node), NULL,
                           "an object is wanted here: NAME:OBJECT, a URL or a path");
        return false;
    }
    return wh_object_read(r->arena, text, wh_job_where(r, node), side, r->job->connections, ret,
                          r->problems);
}

static bool add_more(struct wh_job_reading *r, const struct wh_node *list, enum wh_side side,
                     struct wh_objref *ret)
{
    bool ok = true;

    ret->more.v = wh_arena_alloc(r->arena, list->n * sizeof *ret->more.v);
    if (!ret->more.v)
        return wh_job_no_memory(r);
    for (size_t i = 1; i < list->n; i++) {
        struct wh_objref one;

        if (!read_text(r, list->items[i], side, &one)) {
            ok = false;
            continue;
        }
        if (one.connector != ret->connector || !one.connector->storage || one.name.n != 1) {
            wh_problem_add(r->problems, "E1011", wh_job_where(r, list->items[i]),
                           "put a pattern in single quotes; copy other objects one by one",
                           "several sources are allowed only if they are files of one format");
            return false;
        }
        ret->more.v[ret->more.n++] = one.name.part[0].s;
    }
    return ok;
}

/* A list of files, or one object. */
static bool read_object(struct wh_job_reading *r, const struct wh_node *node, enum wh_side side,
                        struct wh_objref *ret)
{
    if (node->kind != WH_NODE_LIST)
        return read_text(r, node, side, ret);
    if (node->n == 0 || side == WH_SIDE_TO) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), NULL,
                       "one object is wanted here");
        return false;
    }
    return read_text(r, node->items[0], side, ret) &&
           (node->n == 1 || add_more(r, node, side, ret));
}

/* ---- maps --------------------------------------------------------------------------------------
 */

static bool start_connection(struct wh_job_reading *r, const struct wh_node *map, enum wh_side side,
                             struct wh_objref *ret)
{
    const struct wh_node *conn = wh_node_get(map, "conn"), *type = wh_node_get(map, "type");
    const struct wh_node *object = wh_node_get(map, "object"), *path = wh_node_get(map, "path");
    const char *text;
    struct wh_error err;

    if (object && conn) {
        wh_problem_add(r->problems, "E1011", wh_job_where(r, object),
                       "with conn say table: (and schema:) or path:; or object: 'NAME:TABLE' alone",
                       "conn and object both say where");
        return false;
    }
    if (object)
        return read_object(r, object, side, ret);
    if (conn) {
        text = plain_text(r, conn);
        text = text ? wh_arena_printf(r->arena, "%s:", text) : NULL;
        return text && wh_object_read(r->arena, text, wh_job_where(r, conn), side,
                                      r->job->connections, ret, r->problems);
    }
    if (type) {
        text = plain_text(r, type);
        *ret = (struct wh_objref){.where = wh_job_where(r, type), .text = text};
        ret->connection = wh_node_map(r->arena);
        ret->options = wh_node_map(r->arena);
        if (!text || !ret->connection || !ret->options)
            return false;
        if (wh_registry_find(wh_str(text), &ret->connector, &err) == WH_OK)
            return true;
        wh_problem_add(r->problems, err.code, wh_job_where(r, type), err.hint, "%s", err.message);
        return false;
    }
    if (path)
        return read_object(r, path, side, ret);
    wh_problem_add(r->problems, "E1005", wh_job_where(r, map),
                   "write conn: NAME (a connection), path: FILE, or type: CONNECTOR",
                   "'%s' names no connection", side == WH_SIDE_FROM ? "from" : "to");
    return false;
}

static bool list_part(struct wh_job_reading *r, const struct wh_node *node, struct wh_part *part)
{
    part->kind = WH_PART_LIST;
    part->items = wh_arena_alloc(r->arena, (node->n + 1) * sizeof *part->items);
    part->text = "";
    if (!part->items)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < node->n; i++) {
        const char *text = plain_text(r, node->items[i]);

        if (!text || !wh_part_parse(r->arena, wh_str(text), wh_job_where(r, node->items[i]),
                                    &part->items[i], r->problems))
            return false;
        part->n++;
        part->text = i ? wh_arena_printf(r->arena, "%s, %s", part->text, text) : text;
        if (!part->text)
            return wh_job_no_memory(r);
    }
    return part->n > 0;
}

/* schema: or table:, a name, a pattern or a list of them. */
static bool add_part(struct wh_job_reading *r, const struct wh_node *node, struct wh_objref *ret)
{
    struct wh_part *part;
    bool ok;

    if (!ret->parts)
        ret->parts = wh_arena_alloc(r->arena, 4 * sizeof *ret->parts);
    if (!ret->parts)
        return wh_job_no_memory(r);
    part = &ret->parts[ret->name.n];
    if (node->kind == WH_NODE_LIST) {
        ok = list_part(r, node, part);
    } else {
        const char *text = plain_text(r, node);

        ok =
            text && wh_part_parse(r->arena, wh_str(text), wh_job_where(r, node), part, r->problems);
        if (ok && !*part->text) {
            wh_problem_add(r->problems, "E1008", wh_job_where(r, node), NULL, "the name is empty");
            ok = false;
        }
    }
    if (!ok)
        return false;
    ret->pattern = (ret->pattern && !ret->whole) || wh_part_is_pattern(part);
    ret->whole = false;
    ret->name.part[ret->name.n++] = wh_str(part->text);
    return true;
}

static bool read_parts(struct wh_job_reading *r, const struct wh_node *map, struct wh_objref *ret)
{
    static const char *const keys[] = {"database", "schema", "table"};
    bool ok = true;

    for (size_t i = 0; i < 3; i++) {
        const struct wh_node *node = wh_node_get(map, keys[i]);

        if (!node || (i == 0 && ret->connector->connection &&
                      wh_options_find(ret->connector->connection, wh_str(keys[i]))))
            continue; /* a database that is chosen when connecting */
        if (ret->connector->storage) {
            wh_problem_add(r->problems, "E1001", wh_job_where(r, node), "name files by 'path:'",
                           "'%s' is no setting of %s", keys[i], ret->connector->name);
            ok = false;
        } else {
            ok = add_part(r, node, ret) && ok;
        }
    }
    return ok;
}

/* path: below a connection of files is the object; elsewhere it is an option. */
static bool read_path(struct wh_job_reading *r, const struct wh_node *map, enum wh_side side,
                      struct wh_objref *ret)
{
    const struct wh_node *node = wh_node_get(map, "path");
    const struct wh_node *first =
        node && node->kind == WH_NODE_LIST && node->n ? node->items[0] : node;
    const char *text;

    if (!node || ret->name.n || !ret->connector->storage)
        return true;
    text = plain_text(r, first);
    if (!text)
        return false;
    ret->parts = wh_arena_alloc(r->arena, sizeof *ret->parts);
    if (!ret->parts)
        return wh_job_no_memory(r);
    *ret->parts = (struct wh_part){.kind = WH_PART_NAME, .text = text};
    ret->name = (struct wh_name){.part = {wh_str(text)}, .n = 1};
    if (first == node || node->n == 1)
        return true;
    if (side == WH_SIDE_TO) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), NULL,
                       "one path is wanted here");
        return false;
    }
    ret->more.v = wh_arena_alloc(r->arena, node->n * sizeof *ret->more.v);
    for (size_t i = 1; ret->more.v && i < node->n; i++) {
        ret->more.v[i - 1] = plain_text(r, node->items[i]);
        if (!ret->more.v[i - 1])
            return false;
        ret->more.n++;
    }
    return ret->more.v || wh_job_no_memory(r);
}

static bool read_exclude(struct wh_job_reading *r, const struct wh_node *node,
                         struct wh_objref *ret)
{
    size_t n = node->kind == WH_NODE_LIST ? node->n : 1;
    bool ok = true;

    ret->exclude.v = wh_arena_alloc(r->arena, (n + 1) * sizeof *ret->exclude.v);
    for (size_t i = 0; ret->exclude.v && i < n; i++) {
        const struct wh_node *item = node->kind == WH_NODE_LIST ? node->items[i] : node;
        const char *text = plain_text(r, item);
        struct wh_part part;

        if (text &&
            wh_part_parse(r->arena, wh_str(text), wh_job_where(r, item), &part, r->problems))
            ret->exclude.v[ret->exclude.n++] = text;
        else
            ok = false;
    }
    return ok && ret->exclude.v;
}

/* Every other key is an option of the connector. */
static bool read_options(struct wh_job_reading *r, const struct wh_node *map, enum wh_side side,
                         struct wh_objref *ret)
{
    static const char *const own[] = {"conn", "type", "object", "schema", "table"};
    const struct wh_options *table =
        side == WH_SIDE_FROM ? ret->connector->from : ret->connector->to;
    bool path_is_object = ret->connector->storage || !wh_node_get(map, "type");
    bool ok = true;

    for (size_t i = 0; i < map->n; i++) {
        const char *key = map->keys[i]->text;
        bool taken = strcmp(key, "path") == 0 && path_is_object;

        for (size_t j = 0; j < sizeof own / sizeof own[0]; j++)
            taken |= strcmp(key, own[j]) == 0;
        taken |= strcmp(key, "database") == 0 && ret->name.n > 0 &&
                 !(ret->connector->connection &&
                   wh_options_find(ret->connector->connection, wh_str(key)));
        if (taken)
            continue;
        if (strcmp(key, "exclude") == 0 && side == WH_SIDE_FROM &&
            !(table && wh_options_find(table, wh_str(key))))
            ok = read_exclude(r, map->items[i], ret) && ok;
        else
            ok = wh_objref_option(r->arena, ret, side, key, map->items[i],
                                  wh_job_where(r, map->keys[i]), r->problems) &&
                 ok;
    }
    return ok;
}

static bool describe(struct wh_job_reading *r, struct wh_objref *ret)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(4096);
    const char *name = ret->conn ? ret->conn : ret->connector->storage ? NULL : ret->text;

    if (ret->text && strchr(ret->text, '#'))
        return true;
    if (name && name[0] && wh_buf_adds(&out, name) != WH_OK)
        return wh_job_no_memory(r);
    if (out.n && ret->name.n && out.p[out.n - 1] != ':' &&
        wh_buf_addc(&out, ret->conn ? ':' : '#') != WH_OK)
        return wh_job_no_memory(r);
    if (wh_name_print(&ret->name, &out) != WH_OK)
        return wh_job_no_memory(r);
    ret->text = wh_arena_strdup(r->arena, out.p ? out.p : "");
    return ret->text;
}

static bool read_map(struct wh_job_reading *r, const struct wh_node *map, enum wh_side side,
                     struct wh_objref *ret)
{
    bool had_object = wh_node_get(map, "object");
    bool ok;

    if (!start_connection(r, map, side, ret))
        return false;
    ok = read_parts(r, map, ret);
    ok = read_path(r, map, side, ret) && ok;
    ok = read_options(r, map, side, ret) && ok;
    ret->where = wh_job_where(r, map);
    return ok && (had_object || describe(r, ret));
}

bool wh_job_side(struct wh_job_reading *r, const struct wh_node *node, enum wh_side side,
                 struct wh_objref *ret)
{
    *ret = (struct wh_objref){0};
    if (node->kind == WH_NODE_MAP)
        return read_map(r, node, side, ret);
    return read_object(r, node, side, ret);
}
