/* SPDX-License-Identifier: Apache-2.0 */
/* Huawei CDM job JSON (jobs[] of links, and of config values by name). Links become connections of
 * the same name, which the user keeps with `wherry conn add`. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/import.h"

/* One block of a job: which of its values were used. */
struct block {
    const struct wh_node *configs;
    const char *used[48];
    size_t n;
};

static struct block block_of(const struct wh_node *job, const char *key)
{
    const struct wh_node *b = wh_node_get(job, key);
    return (struct block){.configs = b ? wh_node_get(b, "configs") : NULL};
}

static bool ends_with(const char *name, const char *key)
{
    const char *dot = strchr(name, '.');
    return strcmp(dot ? dot + 1 : name, key) == 0;
}

/* The value of "fromJobConfig.KEY"; empty ones are none. */
static const char *value(struct block *b, const char *key)
{
    if (b->n < sizeof(b->used) / sizeof(*b->used))
        b->used[b->n++] = key;
    for (size_t i = 0; i < wh_import_count(b->configs) && b->configs->kind == WH_NODE_LIST; i++) {
        const struct wh_node *inputs = wh_node_get(b->configs->items[i], "inputs");
        for (size_t k = 0; inputs && inputs->kind == WH_NODE_LIST && k < inputs->n; k++) {
            const char *name = wh_node_text(wh_node_get(inputs->items[k], "name"), "");
            const char *text = wh_node_text(wh_node_get(inputs->items[k], "value"), "");
            if (ends_with(name, key))
                return *text ? text : NULL;
        }
    }
    return NULL;
}

static bool is(struct block *b, const char *key, const char *word)
{
    const char *v = value(b, key);
    return v && strcasecmp(v, word) == 0;
}

/* What nobody asked for, unless it says no. */
static void others(struct wh_import *imp, const struct block *b, const char *side)
{
    static const char *const nothing[] = {"false", "NONE", "none", "0", "DEFAULT", "ROW", NULL};
    for (size_t i = 0; i < wh_import_count(b->configs) && b->configs->kind == WH_NODE_LIST; i++) {
        const struct wh_node *inputs = wh_node_get(b->configs->items[i], "inputs");
        for (size_t k = 0; inputs && inputs->kind == WH_NODE_LIST && k < inputs->n; k++) {
            const char *name = wh_node_text(wh_node_get(inputs->items[k], "name"), "");
            const char *text = wh_node_text(wh_node_get(inputs->items[k], "value"), "");
            bool known = !*text;
            for (size_t u = 0; u < b->n; u++)
                known = known || ends_with(name, b->used[u]);
            for (const char *const *w = nothing; *w; w++)
                known = known || strcmp(text, *w) == 0;
            if (!known)
                wh_import_note(imp, "%s: %s = %s", side, name, text);
        }
    }
}

/* "a&b&c" */
static struct wh_node *columns_of(struct wh_import *imp, const char *text)
{
    struct wh_node *list = wh_import_list(imp);
    while (text && *text) {
        size_t n = strcspn(text, "&");
        const char *one = wh_arena_strndup(imp->arena, text, n);
        const char *name = one ? wh_import_name(imp, one) : NULL;
        if (n)
            wh_import_push(imp, list, name ? name : one);
        text += n + (text[n] == '&');
    }
    return list;
}

/* In SQL a macro of theirs is pasted as it is. */
static void put_sql(struct wh_import *imp, struct wh_node *map, const char *key, const char *text)
{
    if (text) {
        wh_import_text(imp, map, key, text);
        wh_import_params(imp, text);
    }
}

static void csv_options(struct wh_import *imp, struct block *b, struct wh_node *side, bool from)
{
    const char *delimiter = value(b, "fieldSeparator"), *quote = value(b, "quoteChar"),
               *encoding = value(b, "encodeType"), *header = value(b, "firstRowAsHeader"),
               *pack = value(b, "fromCompression");
    wh_import_text(imp, side, "format", "csv");
    if (delimiter)
        wh_import_text(imp, side, "delimiter", delimiter);
    if (encoding && strcasecmp(encoding, "utf-8") != 0)
        wh_import_text(imp, side, "encoding", encoding);
    if (quote && strcmp(quote, "false") == 0)
        wh_import_text(imp, side, "quote", "none");
    bool yes = header && strcmp(header, "true") == 0;
    wh_import_text(imp, side, "header", from ? yes ? "yes" : "no" : yes ? "true" : "false");
    if (from && pack && strcasecmp(pack, "GZIP") == 0)
        wh_import_text(imp, side, "compression", "gzip");
    else if (from && pack && strcasecmp(pack, "NONE") != 0)
        wh_import_note(imp, "compression %s", pack);
}

/* A folder of files: an object of a storage. */
static void files(struct wh_import *imp, struct block *b, struct wh_node *side, bool from)
{
    const char *folder = value(b, from ? "inputDirectory" : "outputDirectory");
    const char *format = value(b, from ? "inputFormat" : "outputFormat");
    if (value(b, "bucketName"))
        wh_import_text(imp, side, "bucket", value(b, "bucketName"));
    wh_import_text(imp, side, "path", folder ? folder : "/");
    wh_import_params(imp, folder);
    if (format && strcasecmp(format, "JSON_FILE") == 0)
        wh_import_text(imp, side, "format", "jsonl");
    else if (format && strcasecmp(format, "BINARY_FILE") == 0)
        wh_import_text(imp, side, "format", "binary");
    else if (!format || strcasecmp(format, "CSV_FILE") == 0)
        csv_options(imp, b, side, from);
    else
        wh_import_note(imp, "the format %s", format);
    if (from && value(b, "pathFilter"))
        wh_import_note(imp, "pathFilter %s", value(b, "pathFilter"));
    if (from && value(b, "fileFilter"))
        wh_import_text(imp, side, "include", value(b, "fileFilter"));
}

static void table(struct wh_import *imp, struct block *b, struct wh_node *side)
{
    if (value(b, "schemaName"))
        wh_import_text(imp, side, "schema", value(b, "schemaName"));
    wh_import_text(imp, side, "table", value(b, "tableName"));
    wh_import_params(imp, value(b, "tableName"));
}

static bool source(struct wh_import *imp, struct block *b, const char *link, struct wh_node *stream)
{
    struct wh_node *from = wh_import_map(imp), *split = wh_import_map(imp);
    wh_import_text(imp, from, "conn", link);
    wh_import_put(imp, stream, "from", from);
    if (is(b, "useSql", "true") && value(b, "sql")) {
        put_sql(imp, stream, "query", value(b, "sql"));
    } else if (value(b, "tableName")) {
        table(imp, b, from);
        put_sql(imp, stream, "where", value(b, "whereClause"));
        if (value(b, "partitionColumn")) {
            wh_import_text(imp, split, "by", value(b, "partitionColumn"));
            wh_import_put(imp, stream, "split", split);
        }
    } else if (value(b, "inputDirectory")) {
        files(imp, b, from, true);
    } else {
        wh_import_note(imp, "a source that is neither a table, a statement nor a folder");
        return false;
    }
    return true;
}

static void write_of(struct wh_import *imp, struct block *b, struct wh_node *stream)
{
    struct wh_node *write = wh_import_map(imp), *replace = wh_import_map(imp),
                   *create = wh_import_map(imp);
    const char *preparation = value(b, "tablePreparation"), *where = value(b, "whereClause");
    if (is(b, "beforeImportType", "shouldClearTable"))
        wh_import_text(imp, write, "mode",
                       is(b, "useStageTable", "true") ? "overwrite" : "truncate");
    if (is(b, "beforeImportType", "whereClause") && where) {
        wh_import_text(imp, write, "mode", "delete-insert");
        put_sql(imp, replace, "where", where);
        wh_import_put(imp, write, "replace", replace);
    }
    if (preparation && strcasecmp(preparation, "CREATE_WHEN_NOT_EXIST") != 0) {
        wh_import_text(imp, create, "create",
                       strcasecmp(preparation, "DROP_AND_CREATE") == 0 ? "recreate" : "never");
        wh_import_put(imp, stream, "table", create);
    }
    if (write->n)
        wh_import_put(imp, stream, "write", write);
}

static bool destination(struct wh_import *imp, struct block *b, const char *link,
                        struct wh_node *stream)
{
    struct wh_node *to = wh_import_map(imp);
    wh_import_text(imp, to, "conn", link);
    wh_import_put(imp, stream, "to", to);
    if (value(b, "tableName")) {
        table(imp, b, to);
        write_of(imp, b, stream);
        return true;
    }
    if (value(b, "outputDirectory")) {
        files(imp, b, to, false);
        return true;
    }
    wh_import_note(imp, "a destination that is neither a table nor a folder");
    return false;
}

static void driver(struct wh_import *imp, struct block *b, struct wh_node *stream)
{
    struct wh_node *dirty = wh_import_map(imp);
    const char *rows = value(b, "maxErrorRecords"), *lanes = value(b, "numExtractors");
    if (rows && strcmp(rows, "0") != 0) {
        wh_import_text(imp, dirty, "rows", rows);
        wh_import_put(imp, stream, "dirty", dirty);
    }
    if (lanes && !wh_node_get(imp->run, "parallel"))
        wh_import_text(imp, imp->run, "parallel", lanes);
    value(b, "numLoaders");
    value(b, "recordDirtyData");
    value(b, "groupName");
    if (is(b, "isSchedulerJob", "true"))
        wh_import_hint(imp, "It was scheduled: %s %s from %s at %s",
                       value(b, "cycle") ? value(b, "cycle") : "1",
                       value(b, "cycleType") ? value(b, "cycleType") : "?",
                       value(b, "startDate") ? value(b, "startDate") : "?",
                       value(b, "runAt") ? value(b, "runAt") : "0");
    others(imp, b, "driver");
}

static void one_job(struct wh_import *imp, const struct wh_node *job)
{
    struct wh_node *stream = wh_import_map(imp);
    const char *in = wh_node_text(wh_node_get(job, "from-link-name"), "source");
    const char *out = wh_node_text(wh_node_get(job, "to-link-name"), "destination");
    struct block from = block_of(job, "from-config-values"), to = block_of(job, "to-config-values"),
                 run = block_of(job, "driver-config-values");
    wh_import_text(imp, stream, "name", wh_node_text(wh_node_get(job, "name"), "job"));
    if (!source(imp, &from, in, stream) || !destination(imp, &to, out, stream))
        return;
    struct wh_node *a = columns_of(imp, value(&from, "columnList")),
                   *b = columns_of(imp, value(&to, "columnList"));
    if (imp->failed)
        return;
    if (a->n && b->n && a->n != b->n)
        wh_import_note(imp, "columns: %zu are read, %zu written", a->n, b->n);
    if (a->n)
        wh_import_columns(imp, stream, a, a->n == b->n ? b : NULL);
    driver(imp, &run, stream);
    others(imp, &from, "source");
    others(imp, &to, "destination");
    wh_import_add(imp, imp->streams, stream);
    wh_import_hint(imp, "Links '%s' and '%s' are connections: wherry conn add %s URL", in, out, in);
}

bool wh_import_cdm(struct wh_import *imp)
{
    const struct wh_node *jobs = wh_node_get(imp->doc, "jobs");
    if (!jobs || jobs->kind != WH_NODE_LIST) {
        wh_import_note(imp, "there is no list of jobs");
        return false;
    }
    for (size_t i = 0; i < jobs->n && !imp->failed; i++)
        one_job(imp, jobs->items[i]);
    return imp->streams->n > 0;
}
