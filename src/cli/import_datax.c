/* SPDX-License-Identifier: Apache-2.0 */
/* DataX job JSON: job.setting and job.content[] of a reader, a writer and transformers. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/import.h"

static const struct wh_node *get(const struct wh_node *v, const char *key)
{
    const struct wh_node *found = v ? wh_node_get(v, key) : NULL;
    return found && found->kind != WH_NODE_NULL ? found : NULL;
}

static const char *word(const struct wh_node *v, const char *key)
{
    const char *text = wh_node_text(get(v, key), NULL);
    return text && *text ? text : NULL;
}

/* Keys that were looked at; others of the map are noted. Tuning of theirs has no use here. */
static void others(struct wh_import *imp, const struct wh_node *map, const char *where,
                   const char *known)
{
    static const char tuning[] =
        " fetchSize batchSize batchByteSize mandatoryEncoding haveKerberos "
        "byteSpeed emptyAsNull print ";
    for (size_t i = 0; map && map->kind == WH_NODE_MAP && i < map->n; i++) {
        char key[80];
        snprintf(key, sizeof(key), " %.70s ", map->keys[i]->text);
        if (!strstr(known, key) && !strstr(tuning, key) && wh_import_count(map->items[i]))
            wh_import_note(imp, "%s.%s", where, map->keys[i]->text);
    }
}

/* ---- connections ---- */

/* "jdbc:mysql://db1:3306/shop?useSSL=false" */
static bool jdbc(struct wh_import *imp, const char *url, struct wh_node *conn)
{
    size_t type = strlen(url) > 5 ? strcspn(url + 5, ":") : 0;
    const char *rest = url + 5 + type;
    char *name = wh_arena_strndup(imp->arena, url + 5, type);
    if (strncmp(url, "jdbc:", 5) != 0 || !type || *rest != ':' || !name)
        return false;
    wh_import_text(imp, conn, "type", strcmp(name, "mariadb") == 0 ? "mysql" : name);
    if (strcmp(name, "sqlite") == 0) {
        wh_import_text(imp, conn, "path", rest + 1);
        return true;
    }
    if (strncmp(rest, "://", 3) != 0)
        return false;
    const char *host = rest + 3, *slash = strchr(host, '/');
    size_t n = slash ? (size_t)(slash - host) : strlen(host);
    const char *colon = memchr(host, ':', n);
    if (memchr(host, ',', n) || memchr(host, ';', n))
        return false;
    wh_import_text(imp, conn, "host",
                   wh_arena_strndup(imp->arena, host, colon ? (size_t)(colon - host) : n));
    if (colon)
        wh_import_text(imp, conn, "port",
                       wh_arena_strndup(imp->arena, colon + 1, n - (size_t)(colon + 1 - host)));
    if (!slash)
        return true;
    size_t base = strcspn(slash + 1, "?;");
    if (base)
        wh_import_text(imp, conn, "database", wh_arena_strndup(imp->arena, slash + 1, base));
    if (slash[1 + base])
        wh_import_note(imp, "parameters of the JDBC URL: %s", slash + 2 + base);
    return true;
}

static const char *connection(struct wh_import *imp, const struct wh_node *p,
                              const struct wh_node *given, const char *side, size_t number)
{
    struct wh_node *conn = wh_import_map(imp);
    const char *url = wh_import_at(get(given, "jdbcUrl"), 0), *user = word(p, "username");
    char name[64], variable[96];
    snprintf(name, sizeof(name), number ? "%s%zu" : "%s", side, number + 1);
    snprintf(variable, sizeof(variable), "${env:%s_PASSWORD}", name);
    for (char *q = variable + 6; *q != '}'; q++)
        *q = (char)toupper((unsigned char)*q);
    if (!url || !jdbc(imp, url, conn)) {
        wh_import_note(imp, "%s.connection.jdbcUrl: %s", side, url ? url : "is missing");
        if (!word(conn, "type"))
            return NULL;
    }
    if (wh_import_count(get(given, "jdbcUrl")) > 1)
        wh_import_note(imp, "%s.connection.jdbcUrl: the others than the first", side);
    if (user)
        wh_import_text(imp, conn, "user", user);
    if (word(p, "password")) {
        wh_import_text(imp, conn, "password", variable);
        wh_import_hint(imp, "The password of %s was not copied: set %.*s, or write ${secret:NAME}",
                       name, (int)strlen(variable) - 7, variable + 6);
    }
    wh_import_put(imp, imp->connections, name, conn);
    return wh_arena_strdup(imp->arena, name);
}

/* ---- columns ---- */

static bool all_columns(const struct wh_node *v)
{
    const char *first = wh_import_at(v, 0);
    return !v || (wh_import_count(v) == 1 && first && strcmp(first, "*") == 0);
}

/* Names without quotes; NULL when one is an expression. */
static struct wh_node *names_of(struct wh_import *imp, const struct wh_node *v)
{
    struct wh_node *names = wh_import_list(imp);
    for (size_t i = 0; i < wh_import_count(v); i++) {
        const char *text = wh_import_at(v, i), *name = text ? wh_import_name(imp, text) : NULL;
        if (!name)
            return NULL;
        wh_import_push(imp, names, name);
    }
    return names;
}

/* Without a name of its own behind it: "'CN' as src" is 'CN'. */
static int without_alias(const char *text)
{
    size_t n = strlen(text), at = n;
    while (at && (isalnum((unsigned char)text[at - 1]) || strchr("_$\"`", text[at - 1])))
        at--;
    if (at == n || at < 4 || strncasecmp(text + at - 4, " as ", 4) != 0)
        return (int)n;
    return (int)at - 4;
}

/* Expressions among the columns: one statement with the destination's names says the same. */
static void as_query(struct wh_import *imp, struct wh_node *stream, const struct wh_node *from,
                     const struct wh_node *to, const char *table, const char *where)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    wh_ignore(wh_buf_adds(&b, "select "));
    for (size_t i = 0; i < wh_import_count(from); i++) {
        const char *text = wh_import_at(from, i);
        wh_ignore(wh_buf_printf(&b, "%s%.*s as %s", i ? ", " : "", without_alias(text), text,
                                wh_import_at(to, i)));
    }
    wh_ignore(wh_buf_printf(&b, " from %s%s%s", table, where ? " where " : "", where ? where : ""));
    wh_import_text(imp, stream, "query", wh_arena_strdup(imp->arena, b.n ? b.p : ""));
    if (where)
        wh_import_params(imp, where);
}

static bool mapping(struct wh_import *imp, struct wh_node *stream, const struct wh_node *reader,
                    const struct wh_node *writer, const char *table, const char *where)
{
    const struct wh_node *r = get(reader, "column"), *w = get(writer, "column");
    struct wh_node *from = all_columns(r) ? NULL : names_of(imp, r);
    struct wh_node *to = all_columns(w) ? NULL : names_of(imp, w);
    bool star = all_columns(r);
    if (star && to) {
        wh_import_hint(imp, "Columns are taken by name, not by place: the reader's were '*'");
        wh_import_columns(imp, stream, to, NULL);
    } else if (!star && from) {
        if (to && to->n != from->n)
            wh_import_note(imp, "columns: %zu are read, %zu written", from->n, to->n);
        if (!to && w)
            wh_import_hint(imp, "Columns are taken by name, not by place: the writer's were '*'");
        wh_import_columns(imp, stream, from, to && to->n == from->n ? to : NULL);
    } else if (!star && table && wh_import_count(w) == wh_import_count(r)) {
        as_query(imp, stream, r, w, table, where);
        return false;
    } else if (!star) {
        wh_import_note(imp, "reader.parameter.column: an expression without a name to go to");
    }
    return true;
}

/* ---- readers of databases ---- */

/* "t_[00-15]" */
static bool add_range(struct wh_import *imp, struct wh_node *list, const char *text)
{
    const char *open = strchr(text, '['), *dash = open ? strchr(open, '-') : NULL;
    const char *shut = dash ? strchr(dash, ']') : NULL;
    if (!shut || open == text || !isdigit((unsigned char)open[1]) ||
        !isdigit((unsigned char)dash[1]))
        return false;
    long a = strtol(open + 1, NULL, 10), z = strtol(dash + 1, NULL, 10);
    int width = open[1] == '0' ? (int)(dash - open - 1) : 0;
    if (z < a || z - a > 9999)
        return false;
    for (; a <= z; a++)
        wh_import_push(imp, list,
                       wh_arena_printf(imp->arena, "%.*s%0*ld%s", (int)(open - text), text, width,
                                       a, shut + 1));
    return true;
}

static struct wh_node *tables_of(struct wh_import *imp, const struct wh_node *given)
{
    struct wh_node *list = wh_import_list(imp);
    const struct wh_node *v = get(given, "table");
    for (size_t i = 0; i < wh_import_count(v); i++) {
        const char *text = wh_import_at(v, i);
        if (text && !add_range(imp, list, text))
            wh_import_push(imp, list, text);
    }
    return list;
}

static void many_tables(struct wh_import *imp, struct wh_node *stream, struct wh_node *from,
                        const struct wh_node *tables)
{
    struct wh_node *plain = wh_import_list(imp);
    wh_import_object(imp, from, wh_import_at(tables, 0));
    if (wh_import_count(tables) == 1)
        return;
    for (size_t i = 0; i < tables->n; i++) {
        const char *text = wh_import_at(tables, i), *dot = strrchr(text, '.');
        const char *name = wh_import_name(imp, dot ? dot + 1 : text);
        wh_import_push(imp, plain, name ? name : text);
    }
    wh_import_put(imp, from, "table", plain);
    wh_import_text(imp, stream, "merge", "same");
}

static struct wh_node *table_stream(struct wh_import *imp, const char *conn,
                                    const struct wh_node *reader, const struct wh_node *writer,
                                    const struct wh_node *given)
{
    struct wh_node *stream = wh_import_map(imp), *from = wh_import_map(imp);
    struct wh_node *tables = tables_of(imp, given), *split = wh_import_map(imp);
    const char *where = word(reader, "where"), *pk = word(reader, "splitPk");
    bool single = wh_import_count(tables) == 1;
    if (!wh_import_count(tables)) {
        wh_import_note(imp, "a reader without a table");
        return NULL;
    }
    wh_import_text(imp, from, "conn", conn);
    wh_import_put(imp, stream, "from", from);
    if (!mapping(imp, stream, reader, writer, single ? wh_import_at(tables, 0) : NULL, where))
        return stream;
    many_tables(imp, stream, from, tables);
    if (where) {
        wh_import_text(imp, stream, "where", where);
        wh_import_params(imp, where);
    }
    if (pk && wh_import_name(imp, pk)) {
        wh_import_text(imp, split, "by", wh_import_name(imp, pk));
        wh_import_put(imp, stream, "split", split);
    }
    return stream;
}

static struct wh_node *query_stream(struct wh_import *imp, const char *conn, const char *query)
{
    struct wh_node *stream = wh_import_map(imp), *from = wh_import_map(imp);
    wh_import_text(imp, from, "conn", conn);
    wh_import_put(imp, stream, "from", from);
    wh_import_text(imp, stream, "query", query);
    wh_import_params(imp, query);
    wh_import_hint(imp, "Columns of a query are taken by name, not by place");
    return stream;
}

static void database_reader(struct wh_import *imp, const struct wh_node *p,
                            const struct wh_node *writer, struct wh_node *ret)
{
    const struct wh_node *all = get(p, "connection");
    for (size_t i = 0; all && all->kind == WH_NODE_LIST && i < all->n; i++) {
        const struct wh_node *given = all->items[i], *queries = get(given, "querySql");
        const char *conn = connection(imp, p, given, "reader", imp->connections->n);
        if (!conn)
            continue;
        if (!queries) {
            struct wh_node *s = table_stream(imp, conn, p, writer, given);
            if (s)
                wh_import_add(imp, ret, s);
        }
        for (size_t k = 0; k < wh_import_count(queries); k++)
            wh_import_add(imp, ret, query_stream(imp, conn, wh_import_at(queries, k)));
    }
    others(imp, p, "reader.parameter",
           " username password column splitPk where connection querySql ");
}

/* ---- text files ---- */

static const char *file_type(const char *theirs)
{
    static const char *const types[][2] = {
        {"long", "int64"}, {"double", "float64"}, {"boolean", "bool"}, {"date", "timestamp"}};
    for (size_t i = 0; theirs && i < 4; i++)
        if (strcasecmp(theirs, types[i][0]) == 0)
            return types[i][1];
    return "text";
}

/* {"index": 0, "type": "long"} or {"type": "string", "value": "x"} */
static void file_columns(struct wh_import *imp, const struct wh_node *list,
                         const struct wh_node *writer, struct wh_node *stream)
{
    struct wh_node *columns = wh_import_list(imp), *types = wh_import_map(imp);
    const struct wh_node *w = get(writer, "column");
    for (size_t i = 0; i < list->n; i++) {
        const struct wh_node *v = list->items[i];
        const char *index = word(v, "index"), *value = word(v, "value");
        const char *to = all_columns(w) ? NULL : wh_import_at(w, i);
        const char *name = to ? wh_import_name(imp, to) : NULL;
        struct wh_node *pair = wh_import_map(imp);
        char from[32];
        snprintf(from, sizeof(from), "c%ld", index ? strtol(index, NULL, 10) + 1 : (long)i + 1);
        if (value)
            wh_import_text(imp, pair, "value", value);
        else
            wh_import_text(imp, pair, "from", wh_arena_strdup(imp->arena, from));
        wh_import_text(imp, pair, "to", name ? name : wh_arena_strdup(imp->arena, from));
        wh_import_add(imp, columns, pair);
        if (!value)
            wh_import_text(imp, types, wh_arena_strdup(imp->arena, from),
                           file_type(word(v, "type")));
        if (word(v, "format"))
            wh_import_note(imp,
                           "the date format '%s' of column %zu: dates are read as yyyy-MM-dd "
                           "HH:mm:ss",
                           word(v, "format"), i + 1);
    }
    wh_import_put(imp, stream, "columns", columns);
    wh_import_put(imp, stream, "types", types);
}

static const char *packing(struct wh_import *imp, const struct wh_node *p)
{
    const char *c = word(p, "compress");
    if (c && strcasecmp(c, "gzip") != 0)
        wh_import_note(imp, "compress: %s", c);
    return c && strcasecmp(c, "gzip") == 0 ? "gzip" : NULL;
}

static void file_reader(struct wh_import *imp, const struct wh_node *p,
                        const struct wh_node *writer, struct wh_node *ret)
{
    struct wh_node *stream = wh_import_map(imp), *from = wh_import_map(imp);
    struct wh_node *nulls = wh_import_list(imp), *more = wh_import_list(imp);
    const struct wh_node *columns = get(p, "column"), *paths = get(p, "path");
    const char *header = word(p, "skipHeader"), *pack = packing(imp, p),
               *null = word(p, "nullFormat");
    if (!wh_import_count(paths)) {
        wh_import_note(imp, "a reader without a path");
        return;
    }
    wh_import_text(imp, from, "object", wh_import_at(paths, 0));
    wh_import_params(imp, wh_import_at(paths, 0));
    for (size_t i = 1; i < wh_import_count(paths); i++)
        wh_import_push(imp, more, wh_import_at(paths, i));
    if (more && more->n)
        wh_import_put(imp, from, "path", more);
    wh_import_text(imp, from, "format", "csv");
    wh_import_text(imp, from, "header", "no");
    if (header && strcmp(header, "true") == 0)
        wh_import_text(imp, from, "skip_lines", "1");
    wh_import_text(imp, from, "delimiter",
                   word(p, "fieldDelimiter") ? word(p, "fieldDelimiter") : ",");
    if (word(p, "encoding") && strcasecmp(word(p, "encoding"), "utf-8") != 0)
        wh_import_text(imp, from, "encoding", word(p, "encoding"));
    if (pack)
        wh_import_text(imp, from, "compression", pack);
    wh_import_push(imp, nulls, null ? null : "\\N");
    wh_import_put(imp, from, "null_text", nulls);
    wh_import_put(imp, stream, "from", from);
    if (columns && columns->kind == WH_NODE_LIST && !all_columns(columns))
        file_columns(imp, columns, writer, stream);
    wh_import_add(imp, ret, stream);
    others(imp, p, "reader.parameter",
           " path column fieldDelimiter encoding compress skipHeader nullFormat ");
}

/* ---- writers ---- */

static bool begins(const char *text, const char *words)
{
    while (isspace((unsigned char)*text))
        text++;
    return strncasecmp(text, words, strlen(words)) == 0;
}

/* A statement before the rows that empties the table, or a part of it, is a mode of ours. */
static void before(struct wh_import *imp, const struct wh_node *p, struct wh_node *write)
{
    const struct wh_node *v = get(p, "preSql");
    for (size_t i = 0; i < wh_import_count(v); i++) {
        const char *text = wh_import_at(v, i), *where = text ? strcasestr(text, " where ") : NULL;
        bool clears = text && (begins(text, "truncate") || begins(text, "delete from"));
        if (clears && i == 0 && !wh_node_get(write, "mode")) {
            struct wh_node *replace = wh_import_map(imp);
            wh_import_text(imp, write, "mode", where ? "delete-insert" : "truncate");
            if (where) {
                size_t n = strlen(where + 7);
                while (n && (where[6 + n] == ';' || where[6 + n] == ' '))
                    n--;
                wh_import_text(imp, replace, "where", wh_arena_strndup(imp->arena, where + 7, n));
                wh_import_params(imp, where);
                wh_import_put(imp, write, "replace", replace);
            }
            continue;
        }
        wh_import_note(imp, "writer.parameter.preSql: %s", text ? text : "?");
    }
    v = get(p, "postSql");
    for (size_t i = 0; i < wh_import_count(v); i++)
        wh_import_note(imp, "writer.parameter.postSql: %s", wh_import_at(v, i));
}

static void write_mode(struct wh_import *imp, const struct wh_node *p, struct wh_node *write)
{
    const char *mode = word(p, "writeMode");
    if (!mode || begins(mode, "insert into") || strcasecmp(mode, "insert") == 0)
        return;
    if (begins(mode, "replace"))
        wh_import_text(imp, write, "mode", "replace");
    else if (begins(mode, "insert ignore"))
        wh_import_text(imp, write, "mode", "insert-ignore");
    else if (begins(mode, "update"))
        wh_import_text(imp, write, "mode", "upsert");
    else
        wh_import_note(imp, "writer.parameter.writeMode: %s", mode);
}

static bool database_writer(struct wh_import *imp, const struct wh_node *p, struct wh_node *to,
                            struct wh_node *write)
{
    const struct wh_node *all = get(p, "connection");
    const struct wh_node *given = all && all->kind == WH_NODE_LIST && all->n ? all->items[0] : all;
    const char *conn = given ? connection(imp, p, given, "writer", 0) : NULL;
    const char *table = wh_import_at(get(given, "table"), 0);
    if (!conn || !table) {
        wh_import_note(imp, "a writer without a table");
        return false;
    }
    if (wh_import_count(all) > 1 || wh_import_count(get(given, "table")) > 1)
        wh_import_note(imp, "writer.parameter.connection: the others than the first table");
    wh_import_text(imp, to, "conn", conn);
    wh_import_object(imp, to, table);
    write_mode(imp, p, write);
    before(imp, p, write);
    others(imp, p, "writer.parameter",
           " username password column connection writeMode preSql postSql ");
    return true;
}

static bool file_writer(struct wh_import *imp, const struct wh_node *p, struct wh_node *to,
                        struct wh_node *write)
{
    const char *path = word(p, "path"), *name = word(p, "fileName"), *mode = word(p, "writeMode");
    const char *pack = packing(imp, p);
    if (!path || !name) {
        wh_import_note(imp, "a writer without path or fileName");
        return false;
    }
    wh_import_text(imp, to, "object",
                   wh_arena_printf(imp->arena, "%s%s%s%s%s", path,
                                   path[strlen(path) - 1] == '/' ? "" : "/", name,
                                   strchr(name, '.') ? "" : ".csv", pack ? ".gz" : ""));
    wh_import_params(imp, path);
    wh_import_params(imp, name);
    wh_import_hint(imp, "One file of that name is written, not several %s__*", name);
    wh_import_text(imp, to, "format", "csv");
    wh_import_text(imp, to, "header", wh_import_count(get(p, "header")) ? "true" : "false");
    wh_import_text(imp, to, "delimiter",
                   word(p, "fieldDelimiter") ? word(p, "fieldDelimiter") : ",");
    wh_import_text(imp, to, "null_text", word(p, "nullFormat") ? word(p, "nullFormat") : "\\N");
    if (word(p, "encoding") && strcasecmp(word(p, "encoding"), "utf-8") != 0)
        wh_import_text(imp, to, "encoding", word(p, "encoding"));
    if (mode && strcasecmp(mode, "truncate") == 0)
        wh_import_text(imp, write, "mode", "overwrite");
    others(
        imp, p, "writer.parameter",
        " path fileName writeMode fieldDelimiter encoding compress nullFormat header fileFormat ");
    return true;
}

static bool writer_of(struct wh_import *imp, const struct wh_node *w, struct wh_node *to,
                      struct wh_node *write)
{
    const char *name = word(w, "name");
    const struct wh_node *p = get(w, "parameter");
    if (name && strcmp(name, "txtfilewriter") == 0)
        return file_writer(imp, p, to, write);
    if (name && strcmp(name, "streamwriter") == 0) {
        wh_import_text(imp, to, "object", "null:");
        return true;
    }
    if (get(p, "connection"))
        return database_writer(imp, p, to, write);
    wh_import_note(imp, "the writer '%s'", name ? name : "?");
    return false;
}

/* ---- the job ---- */

static void dirty_of(struct wh_import *imp, const struct wh_node *setting, struct wh_node *stream)
{
    const struct wh_node *limit = get(setting, "errorLimit");
    const char *rows = word(limit, "record"), *ratio = word(limit, "percentage");
    struct wh_node *dirty = wh_import_map(imp);
    if (rows && strcmp(rows, "0") != 0)
        wh_import_text(imp, dirty, "rows", rows);
    if (ratio && strcmp(ratio, "0") != 0)
        wh_import_text(imp, dirty, "ratio", ratio);
    if (dirty->n)
        wh_import_put(imp, stream, "dirty", dirty);
    else if (!rows && !ratio)
        wh_import_hint(imp, "Without errorLimit DataX drops every refused row; here the first one "
                            "stops its table (dirty: { rows: N } allows some)");
}

static void speed_of(struct wh_import *imp, const struct wh_node *setting)
{
    const struct wh_node *speed = get(setting, "speed");
    const char *channel = word(speed, "channel"), *byte = word(speed, "byte"),
               *record = word(speed, "record");
    struct wh_node *limits = wh_import_map(imp);
    if (channel)
        wh_import_text(imp, imp->run, "parallel", channel);
    if (byte && byte[0] != '-' && strcmp(byte, "0") != 0)
        wh_import_text(imp, limits, "rate", wh_arena_printf(imp->arena, "%sB/s", byte));
    if (record && record[0] != '-' && strcmp(record, "0") != 0)
        wh_import_text(imp, limits, "rows_per_second", record);
    if (limits->n)
        wh_import_put(imp, imp->run, "limits", limits);
}

static void content(struct wh_import *imp, const struct wh_node *v, const struct wh_node *setting)
{
    const struct wh_node *reader = get(v, "reader"), *writer = get(v, "writer");
    const struct wh_node *p = get(reader, "parameter"), *transformers = get(v, "transformer");
    const char *name = word(reader, "name");
    struct wh_node *streams = wh_import_list(imp), *to = wh_import_map(imp),
                   *write = wh_import_map(imp);
    if (name && strcmp(name, "txtfilereader") == 0)
        file_reader(imp, p, get(writer, "parameter"), streams);
    else if (get(p, "connection"))
        database_reader(imp, p, get(writer, "parameter"), streams);
    else
        wh_import_note(imp, "the reader '%s'", name ? name : "?");
    if (imp->failed || !streams->n || !writer_of(imp, writer, to, write))
        return;
    for (size_t i = 0; i < wh_import_count(transformers); i++)
        wh_import_note(imp, "transformer %s: its rows are copied as they are",
                       transformers->kind == WH_NODE_LIST && word(transformers->items[i], "name")
                           ? word(transformers->items[i], "name")
                           : "?");
    for (size_t i = 0; i < streams->n; i++) {
        struct wh_node *s = streams->items[i];
        wh_import_put(imp, s, "to", to);
        if (write->n)
            wh_import_put(imp, s, "write", write);
        if (streams->n > 1)
            wh_import_text(imp, s, "name",
                           wh_arena_printf(imp->arena, "part%zu", imp->streams->n + 1));
        dirty_of(imp, setting, s);
        wh_import_add(imp, imp->streams, s);
    }
    if (streams->n > 1)
        wh_import_hint(imp, "Several streams fill one table: wherry plan says whether they may");
}

bool wh_import_datax(struct wh_import *imp)
{
    const struct wh_node *job = get(imp->doc, "job"), *setting = get(job, "setting");
    const struct wh_node *all = get(job, "content");
    if (!job || wh_import_count(all) == 0) {
        wh_import_note(imp, "there is no job.content");
        return false;
    }
    for (size_t i = 0; i < wh_import_count(all) && !imp->failed; i++)
        content(imp, all->kind == WH_NODE_LIST ? all->items[i] : all, setting);
    speed_of(imp, setting);
    others(imp, setting, "setting", " speed errorLimit ");
    return imp->streams->n > 0;
}
