/* SPDX-License-Identifier: Apache-2.0 */
/* A sling replication file: source, target, defaults, streams by name. */
#include <stdio.h>
#include <string.h>

#include "cli/import.h"

static const struct wh_node *setting(const struct wh_node *stream, const struct wh_node *defaults,
                                     const char *key)
{
    const struct wh_node *v = stream ? wh_node_get(stream, key) : NULL;
    if (!v || v->kind == WH_NODE_NULL)
        v = defaults ? wh_node_get(defaults, key) : NULL;
    return v && v->kind != WH_NODE_NULL ? v : NULL;
}

/* {stream_table} and the like, as our name templates say it. */
static const char *name_template(struct wh_import *imp, const char *text)
{
    static const char *const words[][2] = {{"{stream_table}", "{source.table}"},
                                           {"{stream_schema}", "{source.schema}"},
                                           {"{stream_name}", "{source.table}"},
                                           {"{stream_file_name}", "{source.table}"},
                                           {"{stream_table_lower}", "{source.table|lower}"},
                                           {"{stream_schema_lower}", "{source.schema|lower}"}};
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    for (const char *p = text; *p;) {
        size_t i = 0, n = sizeof(words) / sizeof(words[0]);
        while (i < n && strncmp(p, words[i][0], strlen(words[i][0])) != 0)
            i++;
        wh_ignore(i < n ? wh_buf_adds(&b, words[i][1]) : wh_buf_addc(&b, *p));
        if (i == n && *p == '{')
            wh_import_note(imp, "the variable in '%s'", text);
        p += i < n ? strlen(words[i][0]) : 1;
    }
    return wh_arena_strndup(imp->arena, b.n ? b.p : "", b.n);
}

/* Files are paths of ours; everything else is an object of a connection. */
static const char *object(struct wh_import *imp, const char *conn, const char *name)
{
    if (strncmp(name, "file://", 7) == 0)
        return wh_arena_strdup(imp->arena, name + 7);
    return wh_arena_printf(imp->arena, "%s:%s", conn, name);
}

static bool mode_of(struct wh_import *imp, const char *name, const char *mode,
                    const struct wh_node *keys, bool watermark, struct wh_node *write)
{
    static const char *const modes[][2] = {
        {"full-refresh", "overwrite"}, {"truncate", "truncate"}, {"snapshot", "append"}};
    for (size_t i = 0; i < 3; i++)
        if (strcmp(mode, modes[i][0]) == 0) {
            wh_import_text(imp, write, "mode", modes[i][1]);
            if (i == 2)
                wh_import_note(imp, "%s: the load time that a snapshot adds", name);
            return true;
        }
    if (strcmp(mode, "incremental") != 0 || (!keys && watermark)) {
        wh_import_note(imp, "%s: mode %s", name, mode);
        return false;
    }
    wh_import_text(imp, write, "mode", keys ? "upsert" : "append");
    if (watermark)
        wh_import_hint(imp, "%s: every run reads all rows, the update_key is not used yet", name);
    return true;
}

static void keys_of(struct wh_import *imp, const struct wh_node *keys, struct wh_node *write)
{
    struct wh_node *list = wh_import_list(imp);
    for (size_t i = 0; i < wh_import_count(keys); i++)
        wh_import_push(imp, list, wh_import_at(keys, i));
    if (list && list->n)
        wh_import_put(imp, write, "keys", list);
}

static void columns_of(struct wh_import *imp, const char *name, const struct wh_node *select,
                       struct wh_node *stream)
{
    for (size_t i = 0; i < wh_import_count(select); i++)
        if (wh_import_at(select, i) && !wh_import_name(imp, wh_import_at(select, i))) {
            wh_import_note(imp, "%s: select: %s", name, wh_import_at(select, i));
            return;
        }
    if (select)
        wh_import_columns(imp, stream, select, NULL);
}

static void others(struct wh_import *imp, const char *name, const struct wh_node *map)
{
    static const char known[] = " object mode primary_key update_key select where sql disabled ";
    for (size_t i = 0; map && map->kind == WH_NODE_MAP && i < map->n; i++) {
        char key[80];
        snprintf(key, sizeof(key), " %.70s ", map->keys[i]->text);
        if (!strstr(known, key))
            wh_import_note(imp, "%s: %s", name, map->keys[i]->text);
    }
}

static void stream_of(struct wh_import *imp, const char *name, const struct wh_node *given,
                      const struct wh_node *defaults, const char *source, const char *target)
{
    struct wh_node *stream = wh_import_map(imp), *write = wh_import_map(imp);
    const struct wh_node *keys = setting(given, defaults, "primary_key");
    const char *into = wh_node_text(setting(given, defaults, "object"), NULL);
    const char *mode = wh_node_text(setting(given, defaults, "mode"), "full-refresh");
    const char *where = wh_node_text(setting(given, defaults, "where"), NULL);
    const char *sql = wh_node_text(setting(given, defaults, "sql"), NULL);
    others(imp, name, given);
    if (strcmp(wh_node_text(setting(given, defaults, "disabled"), "false"), "true") == 0) {
        wh_import_hint(imp, "%s was disabled", name);
        return;
    }
    if (!into) {
        wh_import_note(imp, "%s: it has no object to go to", name);
        return;
    }
    if (!mode_of(imp, name, mode, keys, setting(given, defaults, "update_key") != NULL, write))
        return;
    wh_import_text(imp, stream, "from", sql ? object(imp, source, "") : object(imp, source, name));
    wh_import_text(imp, stream, "to", object(imp, target, name_template(imp, into)));
    if (sql)
        wh_import_text(imp, stream, "query", sql);
    if (where)
        wh_import_text(imp, stream, "where", where);
    columns_of(imp, name, setting(given, defaults, "select"), stream);
    if (keys && strcmp(mode, "incremental") == 0)
        keys_of(imp, keys, write);
    wh_import_put(imp, stream, "write", write);
    wh_import_add(imp, imp->streams, stream);
}

bool wh_import_sling(struct wh_import *imp)
{
    const char *source = wh_node_text(wh_node_get(imp->doc, "source"), NULL);
    const char *target = wh_node_text(wh_node_get(imp->doc, "target"), NULL);
    const struct wh_node *streams = wh_node_get(imp->doc, "streams");
    const struct wh_node *defaults = wh_node_get(imp->doc, "defaults");
    if (!source || !target || !streams || streams->kind != WH_NODE_MAP) {
        wh_import_note(imp, "a replication has source, target and streams");
        return false;
    }
    for (size_t i = 0; i < imp->doc->n; i++)
        if (!strstr(" source target streams defaults ", imp->doc->keys[i]->text))
            wh_import_note(imp, "%s", imp->doc->keys[i]->text);
    others(imp, "defaults", defaults);
    for (size_t i = 0; i < streams->n && !imp->failed; i++)
        stream_of(imp, streams->keys[i]->text,
                  streams->items[i]->kind == WH_NODE_MAP ? streams->items[i] : NULL, defaults,
                  source, target);
    wh_import_hint(imp, "Connections: wherry conn add %s URL; wherry conn add %s URL", source,
                   target);
    return imp->streams->n > 0;
}
