/* SPDX-License-Identifier: Apache-2.0 */
/* Settings of streams and of the run: one row each (INTERFACE 2.1 and 3). */
#include "engine/job_internal.h"

#include <math.h>
#include <string.h>

/* Rows that fill a nested field under a name of its own. */
#define ROW(T, NAME, f, kind, ctype, ...)                                                          \
    {                                                                                              \
        .name = NAME, .type = (kind), .offset = WH_OPT_OFF_(T, f, ctype), __VA_ARGS__              \
    }
#define S struct wh_stream
#define R struct wh_run_options

/* ---- words ------------------------------------------------------------------------------------
 */

static const struct wh_enum modes[] = {
    {WH_MODE_APPEND, "append", "rows are added"},
    {WH_MODE_OVERWRITE, "overwrite", "the whole object is replaced at one instant"},
    {WH_MODE_TRUNCATE, "truncate", "emptied first, in place"},
    {WH_MODE_UPSERT, "upsert", "same key: mapped columns change"},
    {WH_MODE_REPLACE, "replace", "same key: the whole row is replaced"},
    {WH_MODE_UPDATE, "update", "only rows whose key exists"},
    {WH_MODE_INSERT_IGNORE, "insert-ignore", "only rows whose key does not exist"},
    {WH_MODE_DELETE_INSERT, "delete-insert", "what write.replace names is replaced"},
    {0, NULL}};
static const struct wh_enum atomics[] = {
    {WH_ATOMIC_UNIT, "unit"}, {WH_ATOMIC_TABLE, "table"}, {WH_ATOMIC_RUN, "run"}, {0, NULL}};
static const struct wh_enum creates[] = {{WH_CREATE_IF_MISSING, "if-missing"},
                                         {WH_CREATE_NEVER, "never"},
                                         {WH_CREATE_RECREATE, "recreate"},
                                         {0, NULL}};
static const struct wh_enum evolves[] = {
    {WH_EVOLVE_NONE, "none"}, {WH_EVOLVE_ADD, "add"}, {WH_EVOLVE_WIDEN, "widen"}, {0, NULL}};
static const struct wh_enum merges[] = {
    {1, "same"},
    {2, "union", NULL, "not in this build; tables of one shape go together with 'same'"},
    {3, "common", NULL, "not in this build; tables of one shape go together with 'same'"},
    {0, NULL}};
static const struct wh_enum validates[] = {{0, "off"},
                                           {1, "count"},
                                           {2, "stats", "checksum, and each column by itself"},
                                           {3, "checksum"},
                                           {0, NULL}};
static const struct wh_enum keep_or_drop[] = {{0, "keep"}, {1, "drop"}, {0, NULL}};
static const struct wh_enum lengths[] = {
    {WH_LENGTH_KEEP, "keep", "characters, as the source has them"},
    {WH_LENGTH_X3, "x3", "three times as long"},
    {WH_LENGTH_X4, "x4", "four times as long"},
    {WH_LENGTH_DROP, "drop", "no length"},
    {WH_LENGTH_KEEP, "fit", "what the destination needs for it: characters here, so as keep"},
    {0, NULL}};
static const struct wh_enum on_resumes[] = {
    {0, "skip", "write.before that was done is not done again"},
    {1, "repeat", "write.before runs again with every resume"},
    {0, NULL}};
static const struct wh_enum reject_or_null[] = {{0, "reject"}, {1, "null"}, {0, NULL}};
static const struct wh_enum reject_null_keep[] = {
    {0, "reject"}, {1, "null"}, {2, "keep"}, {0, NULL}};
static const struct wh_enum reject_or_replace[] = {{0, "reject"}, {1, "replace"}, {0, NULL}};
static const struct wh_enum keep_or_null[] = {{0, "keep"}, {1, "null"}, {0, NULL}};
static const struct wh_enum keep_or_trim[] = {{0, "keep"}, {1, "trim"}, {0, NULL}};
static const struct wh_enum refuse_or_allow[] = {{0, "refuse"}, {1, "allow"}, {0, NULL}};
static const struct wh_enum consistents[] = {{0, "try"}, {1, "require"}, {2, "off"}, {0, NULL}};
static const struct wh_enum on_failures[] = {{0, "continue"}, {1, "stop"}, {0, NULL}};
static const struct wh_enum checksums[] = {{0, "rows"}, {1, "bytes"}, {2, "off"}, {0, NULL}};

/* ---- groups of a stream ------------------------------------------------------------------------
 */

/* Settings whose form in the table is not the form in struct wh_stream. */
struct extra {
    int zero_date, infinity, nan, invalid_text, empty_text, char_padding;
    int guard_empty;
};

static const struct wh_option stream_rows[] = {
    ROW(S, "where", where, WH_T_STRING, const char *),
    ROW(S, "query", query, WH_T_STRING, const char *),
    ROW(S, "limit", limit, WH_T_I64, int64_t, .min = 1, .max = INT64_MAX),
    ROW(S, "merge", merge, WH_T_ENUM, int, .values = merges),
    ROW(S, "validate", validate, WH_T_ENUM, int, .values = validates, .def = "off"),
    ROW(S, "accept_lossy", accept_lossy, WH_T_COLUMNS, struct wh_list),
    WH_OPT_END};
static const struct wh_options stream_table = {stream_rows, sizeof(S), "a stream"};

static const struct wh_option write_rows[] = {
    ROW(S, "mode", write.mode, WH_T_ENUM, int, .values = modes, .def = "append"),
    ROW(S, "keys", write.keys, WH_T_COLUMNS, struct wh_list, .aliases = "key"),
    ROW(S, "atomic", write.atomic, WH_T_ENUM, int, .values = atomics),
    ROW(S, "on_resume", write.on_resume, WH_T_ENUM, int, .values = on_resumes, .def = "skip"),
    WH_OPT_END};
static const struct wh_options write_table = {write_rows, sizeof(S), "write"};
static const struct wh_option statement_rows[] = {
    ROW(S, "before", write.before, WH_T_LIST, struct wh_list),
    ROW(S, "after", write.after, WH_T_LIST, struct wh_list), WH_OPT_END};
static const struct wh_options statement_table = {statement_rows, sizeof(S), "write"};
static const struct wh_option replace_rows[] = {ROW(S, "keys", write.replace_keys, WH_T_BOOL, bool),
                                                WH_OPT_END};
static const struct wh_options replace_table = {replace_rows, sizeof(S), "write.replace"};
static const struct wh_job_key write_keys[] = {{"mode"},      {"keys"},    {"key"},    {"atomic"},
                                               {"marker"},    {"replace"}, {"before"}, {"after"},
                                               {"on_resume"}, {NULL}};

static const struct wh_option table_rows[] = {
    ROW(S, "create", create, WH_T_ENUM, int, .values = creates, .def = "if-missing"),
    ROW(S, "evolve", evolve, WH_T_ENUM, int, .values = evolves, .def = "none"),
    ROW(S, "keys", drop.keys, WH_T_ENUM, int, .values = keep_or_drop, .def = "keep"),
    ROW(S, "not_null", drop.not_null, WH_T_ENUM, int, .values = keep_or_drop, .def = "keep"),
    ROW(S, "comments", drop.comments, WH_T_ENUM, int, .values = keep_or_drop, .def = "keep"),
    ROW(S, "sequences", drop.sequences, WH_T_ENUM, int, .values = keep_or_drop, .def = "keep"),
    ROW(S, "text_length", drop.text_length, WH_T_ENUM, int, .values = lengths, .def = "keep"),
    WH_OPT_END};
static const struct wh_options table_table = {table_rows, sizeof(S), "table"};
#define AFTERWARDS                                                                                 \
    "it comes with a later version; make them afterwards: write: { after: [create index ...] }"
static const struct wh_job_key table_keys[] = {
    {"create"},
    {"evolve"},
    {"keys"},
    {"not_null"},
    {"comments"},
    {"sequences"},
    {"text_length"},
    {"indexes", true, AFTERWARDS},
    {"foreign_keys", true, AFTERWARDS},
    {"ddl", true, "make the table yourself first, then 'create: never'"},
    {NULL}};

static const struct wh_option dirty_rows_[] = {
    ROW(S, "rows", dirty_rows, WH_T_I64, int64_t, .min = 0, .max = INT64_MAX, .def = "0"),
    ROW(S, "ratio", dirty_ratio, WH_T_DOUBLE, double, .fmin = 0, .fmax = 1, .def = "0"),
    ROW(S, "archive", dirty_archive_said, WH_T_STRING, const char *), WH_OPT_END};
static const struct wh_options dirty_table = {dirty_rows_, sizeof(S), "dirty"};
static const struct wh_job_key dirty_keys[] = {{"rows"}, {"ratio"}, {"archive"}, {NULL}};

static const struct wh_option guard_rows[] = {
    ROW(S, "min_rows", guard_min_rows, WH_T_I64, int64_t, .min = 0, .max = INT64_MAX, .def = "0"),
    ROW(S, "max_shrink", guard_max_shrink, WH_T_DOUBLE, double, .fmin = 0, .fmax = 1, .def = "0"),
    WH_OPT_END};
static const struct wh_options guard_table = {guard_rows, sizeof(S), "guard"};

#define X struct extra
static const struct wh_option values_rows[] = {
    WH_OPT_ENUM(X, zero_date, reject_or_null, .def = "reject"),
    WH_OPT_ENUM(X, infinity, reject_null_keep, .def = "reject"),
    WH_OPT_ENUM(X, nan, reject_null_keep, .def = "reject"),
    WH_OPT_ENUM(X, invalid_text, reject_or_replace, .def = "reject"),
    WH_OPT_ENUM(X, empty_text, keep_or_null, .def = "keep"),
    WH_OPT_ENUM(X, char_padding, keep_or_trim, .def = "keep"),
    WH_OPT_END};
static const struct wh_options values_table = {values_rows, sizeof(X), "values"};
static const struct wh_option row_bytes_rows[] = {ROW(S, "max_row_bytes", max_row_bytes, WH_T_SIZE,
                                                      int64_t, .min = 1024, .max = 1 << 30,
                                                      .def = "4MiB"),
                                                  WH_OPT_END};
static const struct wh_options row_bytes_table = {row_bytes_rows, sizeof(S), "values"};
static const struct wh_option guard_empty_rows[] = {
    ROW(X, "empty", guard_empty, WH_T_ENUM, int, .values = refuse_or_allow, .def = "refuse"),
    WH_OPT_END};
static const struct wh_options guard_empty_table = {guard_empty_rows, sizeof(X), "guard"};

/* ---- setting ----------------------------------------------------------------------------------
 */

/* The text as it is meant: $${ is ${, references are what they refer to. */
static const struct wh_node *plain(struct wh_job_reading *r, const struct wh_node *node)
{
    struct wh_node *copy;

    if (node->kind == WH_NODE_SCALAR) {
        const char *text =
            wh_reference_resolve(r->arena, node->text, false, wh_job_where(r, node), r->problems);

        if (!text || text == node->text)
            return text ? node : NULL;
        copy = wh_arena_alloc(r->arena, sizeof *copy);
        if (copy) {
            *copy = *node;
            copy->text = text;
        }
        return copy;
    }
    return node;
}

/* "rows=5,ratio=1%" (a flag) as the map that it means. */
const struct wh_node *wh_job_as_map(struct wh_job_reading *r, const struct wh_node *node)
{
    struct wh_node *map;
    const char *text = wh_node_text(node, NULL);

    if (!text || !strchr(text, '='))
        return node;
    map = wh_node_map(r->arena);
    while (map && *text) {
        size_t n = strcspn(text, ","), eq = strcspn(text, "=");
        const char *key = eq < n ? wh_arena_strndup(r->arena, text, eq) : NULL;
        const char *value = key ? wh_arena_strndup(r->arena, text + eq + 1, n - eq - 1) : NULL;

        if (!value || wh_node_put(r->arena, map, key, wh_node_scalar(r->arena, value)) != WH_OK) {
            wh_problem_add(r->problems, "E1002", wh_job_where(r, node), NULL,
                           "'%s' is no list of KEY=VALUE", node->text);
            return NULL;
        }
        map->line = node->line;
        map->column = node->column;
        text += n + (text[n] == ',');
    }
    return map;
}

static bool set_one(struct wh_job_reading *r, const struct wh_options *table, void *out,
                    const struct wh_node *key, const struct wh_node *value)
{
    value = plain(r, value);
    return value && wh_options_set(table, out, r->arena, key->text, value, wh_job_where(r, value),
                                   r->problems);
}

static bool wants_map(struct wh_job_reading *r, const struct wh_node *node, const char *name)
{
    if (node->kind == WH_NODE_MAP)
        return true;
    wh_problem_add(r->problems, "E1041", wh_job_where(r, node), NULL,
                   "'%s' wants a map: { key: value }", name);
    return false;
}

/* A group: rows of one table, other known keys refused. */
static bool set_group(struct wh_job_reading *r, const struct wh_node *node, const char *name,
                      const struct wh_job_key *keys, const struct wh_options *table, void *out)
{
    bool ok = true;

    if (!wants_map(r, node, name))
        return false;
    for (size_t i = 0; i < node->n; i++) {
        const struct wh_node *key = node->keys[i];

        if (keys && !wh_job_key_allowed(r, keys, key, name))
            ok = false;
        else if (!keys || wh_options_find(table, wh_str(key->text)))
            ok = set_one(r, table, out, key, node->items[i]) && ok;
    }
    return ok;
}

bool wh_job_one(struct wh_job_reading *r, const struct wh_options *table, void *out,
                const struct wh_node *key, const struct wh_node *value)
{
    return set_one(r, table, out, key, value);
}

bool wh_job_group(struct wh_job_reading *r, const struct wh_node *node, const char *name,
                  const struct wh_options *table, void *out)
{
    return set_group(r, node, name, NULL, table, out);
}

static bool set_replace(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    static const struct wh_job_key keys[] = {
        {"where"}, {"keys"}, {"partitions", true, "name the rows: { where: SQL }"}, {NULL}};
    const struct wh_node *where, *by_key;
    bool ok = true;

    if (!wants_map(r, node, "write.replace"))
        return false;
    for (size_t i = 0; i < node->n; i++)
        ok = wh_job_key_allowed(r, keys, node->keys[i], "write.replace") && ok;
    where = wh_node_get(node, "where");
    by_key = wh_node_get(node, "keys");
    if (ok && by_key)
        ok = wh_options_set(&replace_table, s, r->arena, "keys", by_key, wh_job_where(r, by_key),
                            r->problems);
    if (!ok || !where)
        return ok;
    if (s->write.replace_keys) {
        wh_problem_add(r->problems, "E1007", wh_job_where(r, by_key), "take one of them",
                       "'where' and 'keys' of write.replace exclude each other");
        return false;
    }
    where = plain(r, where);
    s->write.replace_where = where ? wh_node_text(where, NULL) : NULL;
    if (s->write.replace_where && s->write.replace_where[strspn(s->write.replace_where, " \t\n")])
        return true;
    wh_problem_add(r->problems, "E1063", wh_job_where(r, node), "name the rows that are replaced",
                   "write.replace.where is empty; it never means all rows");
    return false;
}

static bool set_marker(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    if (strcmp(wh_node_text(node, ""), "off") == 0) {
        s->write.marker_off = true;
        return true;
    }
    struct wh_objref name = {0};
    const char *where = wh_job_where(r, node);

    node = plain(r, node);
    if (!node || !wh_name_parse(r->arena, wh_node_text(node, ""), where, &name, r->problems))
        return false;
    s->write.marker = wh_node_text(node, "");
    s->write.marker_name = name.name;
    if (!name.name.n || name.pattern)
        wh_problem_add(r->problems, "E1003", where, "a table, or 'off'",
                       "marker: '%s' is no name of one table", s->write.marker);
    return name.name.n && !name.pattern;
}

/* What would end our transaction, or stay behind it in the session. */
static const char *const own_words[] = {"begin",  "start",   "commit",    "end",        "rollback",
                                        "abort",  "release", "savepoint", "prepare",    "set",
                                        "reset",  "discard", "pragma",    "attach",     "detach",
                                        "vacuum", "listen",  "unlisten",  "checkpoint", NULL};

/* The first word of a statement, behind blanks and comments. */
static struct wh_str first_word(const char *sql)
{
    size_t n = 0;

    for (;;) {
        sql += strspn(sql, " \t\r\n(;");
        if (strncmp(sql, "--", 2) == 0)
            sql += strcspn(sql, "\n");
        else if (strncmp(sql, "/*", 2) == 0)
            sql = strstr(sql, "*/") ? strstr(sql, "*/") + 2 : "";
        else
            break;
    }
    while ((sql[n] | 0x20) >= 'a' && (sql[n] | 0x20) <= 'z')
        n++;
    return (struct wh_str){sql, n};
}

static bool check_statement(struct wh_job_reading *r, const char *sql, const struct wh_node *node)
{
    struct wh_str word = first_word(sql);

    if (!word.n) {
        wh_problem_add(r->problems, "E1068", wh_job_where(r, node), "leave it out",
                       "the statement is empty");
        return false;
    }
    for (size_t i = 0; own_words[i]; i++)
        if (wh_str_ieqs(word, own_words[i])) {
            wh_problem_add(r->problems, "E1068", wh_job_where(r, node),
                           "run it with the server's own client",
                           "each statement runs in a transaction of its own, with the record that "
                           "it was done: '%s' cannot stand there",
                           own_words[i]);
            return false;
        }
    return true;
}

/* before: or after: SQL, or a list of it. */
static bool set_statements(struct wh_job_reading *r, const struct wh_node *node, const char *key,
                           struct wh_list *list, struct wh_stream *s)
{
    const struct wh_node *value = wh_node_get(node, key);

    if (!value || value->kind == WH_NODE_NULL)
        return true;
    list->n = 0;
    if (!wh_options_set(&statement_table, s, r->arena, key, value, wh_job_where(r, value),
                        r->problems))
        return false;
    for (size_t i = 0; i < list->n; i++) {
        const struct wh_node *item = value->kind == WH_NODE_LIST ? value->items[i] : value;
        const struct wh_node *text = plain(r, item);

        if (!text || !check_statement(r, text->text, item))
            return false;
        list->v[i] = text->text;
    }
    return true;
}

static bool set_write(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    const struct wh_node *marker = wh_node_get(node, "marker"), *replace;
    bool ok = set_group(r, node, "write", write_keys, &write_table, s);

    ok = ok && set_statements(r, node, "before", &s->write.before, s) &&
         set_statements(r, node, "after", &s->write.after, s);

    if (marker)
        ok = set_marker(r, marker, s) && ok;
    replace = wh_node_get(node, "replace");
    if (replace)
        ok = set_replace(r, replace, s) && ok;
    return ok;
}

static bool set_table(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    return set_group(r, node, "table", table_keys, &table_table, s);
}

static bool set_dirty(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    const struct wh_node *said = node;
    struct wh_node *archive;

    node = wh_job_as_map(r, node);
    if (!node || !set_group(r, node, "dirty", dirty_keys, &dirty_table, s))
        return false;
    archive = wh_node_get(node, "archive");
    if (archive && node != said) {
        wh_problem_add(r->problems, "E1002", wh_job_where(r, said), NULL,
                       "write dirty: { rows: N, archive: OBJECT }");
        return false;
    }
    return !archive || archive->kind == WH_NODE_NULL || wh_job_archive(r, archive, s);
}

static bool set_values(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    struct extra e = {0};
    bool ok = true;

    if (!wants_map(r, node, "values"))
        return false;
    for (size_t i = 0; i < node->n; i++) {
        const struct wh_node *key = node->keys[i];
        bool bytes = wh_options_find(&row_bytes_table, wh_str(key->text));

        ok = set_one(r, bytes ? &row_bytes_table : &values_table, bytes ? (void *)s : (void *)&e,
                     key, node->items[i]) &&
             ok;
    }
    s->values = (struct wh_value_policy){.zero_date_null = e.zero_date == 1,
                                         .infinity_null = e.infinity == 1,
                                         .infinity_keep = e.infinity == 2,
                                         .nan_null = e.nan == 1,
                                         .nan_keep = e.nan == 2,
                                         .invalid_text_replace = e.invalid_text == 1,
                                         .empty_text_null = e.empty_text == 1,
                                         .char_padding_trim = e.char_padding == 1};
    return ok;
}

static bool set_guard(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    struct extra e = {.guard_empty = s->guard_empty_allow};
    bool ok = true;

    node = wh_job_as_map(r, node);
    if (!node || !wants_map(r, node, "guard"))
        return false;
    for (size_t i = 0; i < node->n; i++) {
        const struct wh_node *key = node->keys[i];
        bool empty = strcmp(key->text, "empty") == 0;

        ok = set_one(r, empty ? &guard_empty_table : &guard_table, empty ? (void *)&e : (void *)s,
                     key, node->items[i]) &&
             ok;
    }
    s->guard_empty_allow = e.guard_empty;
    return ok;
}

/* ---- a stream ---------------------------------------------------------------------------------
 */

static const struct wh_job_key stream_keys[] = {
    {"name"},
    {"description"},
    {"from"},
    {"to"},
    {"where"},
    {"query"},
    {"limit"},
    {"columns"},
    {"types"},
    {"write"},
    {"table"},
    {"merge"},
    {"split"},
    {"parallel"},
    {"values"},
    {"dirty"},
    {"validate"},
    {"guard"},
    {"accept_lossy"},
    {"override"},
    {"limits"},
    {"retry"},
    {"filter", true, "use 'where' (the source's own language), or a query", WH_NO_EXPRESSIONS},
    {"incremental", true, "use 'where' with a parameter for the bound"},
    {"lookup", true, NULL},
    {"distinct_on", true, NULL},
    {"deletes", true, NULL},
    {NULL}};

static const struct {
    const char *key;
    bool (*set)(struct wh_job_reading *, const struct wh_node *, struct wh_stream *);
} stream_groups[] = {{"write", set_write},          {"table", set_table},
                     {"dirty", set_dirty},          {"split", wh_job_split},
                     {"parallel", wh_job_parallel}, {"values", set_values},
                     {"guard", set_guard},          {"columns", wh_job_columns},
                     {"types", wh_job_types},       {"limits", wh_job_stream_limits},
                     {"retry", wh_job_stream_retry}};
#define N_GROUPS (sizeof stream_groups / sizeof stream_groups[0])

/* A setting that stands one level too high: `mode:` instead of `write: { mode: }`. */
static bool belongs_deeper(struct wh_job_reading *r, const struct wh_node *key)
{
    static const struct {
        const char *group;
        const struct wh_options *table;
    } groups[] = {{"write", &write_table},   {"table", &table_table}, {"dirty", &dirty_table},
                  {"values", &values_table}, {"guard", &guard_table}, {"run", NULL}};

    for (size_t i = 0; groups[i].table; i++) {
        if (!wh_options_find(groups[i].table, wh_str(key->text)))
            continue;
        const char *hint = wh_arena_printf(r->problems->arena, "write '%s: { %s: ... }'",
                                           groups[i].group, key->text);

        wh_problem_add(r->problems, "E1001", wh_job_where(r, key), hint, "'%s' belongs below '%s'",
                       key->text, groups[i].group);
        return true;
    }
    return false;
}

static bool set_stream_key(struct wh_job_reading *r, const struct wh_node *key,
                           const struct wh_node *value, struct wh_stream *s)
{
    for (size_t i = 0; i < N_GROUPS; i++)
        if (strcmp(key->text, stream_groups[i].key) == 0)
            return stream_groups[i].set(r, value, s);
    return !wh_options_find(&stream_table, wh_str(key->text)) ||
           set_one(r, &stream_table, s, key, value);
}

static int init_stream(struct wh_job_reading *r, struct wh_stream *s)
{
    static const struct wh_options *const tables[] = {
        &stream_table,    &write_table, &statement_table, &table_table,        &dirty_table,
        &wh_stream_split, &guard_table, &row_bytes_table, &wh_stream_parallel, &wh_stream_sides};

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        WH_TRY(wh_options_init(tables[i], s, r->arena));
    s->write.atomic = -1;
    s->merge = 0;
    s->pace = (struct wh_pace){0};
    s->paced = s;
    s->retry.times = s->retry.wait_ms = s->retry.outage_ms = -1;
    return WH_OK;
}

static bool check_together(struct wh_job_reading *r, const struct wh_node *stream,
                           const struct wh_stream *s)
{
    const char *where = wh_job_where(r, stream);

    if (s->where && s->query) {
        wh_problem_add(r->problems, "E1007", where, "put the condition into the query",
                       "'where' and 'query' exclude each other");
        return false;
    }
    bool told = s->write.replace_where || s->write.replace_keys;

    if (s->write.mode == WH_MODE_DELETE_INSERT && !told) {
        wh_problem_add(r->problems, "E1063", where,
                       "--replace-where SQL or --replace-keys; in a job file write: { replace: { "
                       "where: SQL } } or { replace: { keys: true } }",
                       "mode delete-insert needs to be told which rows to replace");
        return false;
    }
    if (s->write.mode != WH_MODE_DELETE_INSERT && told) {
        wh_problem_add(r->problems, "E1007", where, "use mode delete-insert, or leave replace out",
                       "write.replace belongs to mode delete-insert only");
        return false;
    }
    return true;
}

bool wh_job_stream_settings(struct wh_job_reading *r, const struct wh_node *stream,
                            struct wh_stream *s)
{
    bool ok = true;

    if (init_stream(r, s) != WH_OK)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < stream->n; i++) {
        const struct wh_node *key = stream->keys[i];

        if (belongs_deeper(r, key) || !wh_job_key_allowed(r, stream_keys, key, "a stream"))
            ok = false;
        else
            ok = set_stream_key(r, key, stream->items[i], s) && ok;
    }
    return ok && check_together(r, stream, s);
}

/* ---- run --------------------------------------------------------------------------------------
 */

static const struct wh_option run_rows[] = {
    ROW(R, "parallel", parallel, WH_T_I64, int64_t, .min = 1, .max = 1024),
    ROW(R, "tables", tables, WH_T_I64, int64_t, .min = 1, .max = 1024, .def = "4"),
    ROW(R, "consistent", consistent, WH_T_ENUM, int, .values = consistents, .def = "try"),
    ROW(R, "checksum", checksum, WH_T_ENUM, int, .values = checksums, .def = "rows"),
    ROW(R, "strict", strict, WH_T_BOOL, bool),
    ROW(R, "error_on_empty", error_on_empty, WH_T_BOOL, bool),
    ROW(R, "accept_mixed", accept_mixed, WH_T_BOOL, bool),
    ROW(R, "lock_wait", lock_wait_ms, WH_T_DURATION, int64_t, .min = 0, .max = INT64_MAX,
        .def = "0s"),
    WH_OPT_END};
static const struct wh_options run_table = {run_rows, sizeof(R), "run"};
static const struct wh_job_key run_keys[] = {
    {"parallel"},
    {"tables"},
    {"consistent"},
    {"checksum"},
    {"strict"},
    {"error_on_empty"},
    {"accept_mixed"},
    {"lock_wait"},
    {"on_stream_failure"},
    {"limits"},
    {"retry"},
    {"timeouts"},
    {"priority", true, "tables run in the order of the file"},
    {NULL}};
static const struct wh_option rate_rows[] = {
    ROW(R, "rate", rate_bytes, WH_T_SIZE, int64_t, .min = 0, .max = INT64_MAX), WH_OPT_END};
static const struct wh_options rate_table = {rate_rows, sizeof(R), "run.limits"};
static const struct wh_job_key rate_keys[] = {{"rate"}, {NULL}};
static const struct wh_option limits_rows[] = {
    ROW(R, "rows_per_second", rate_rows, WH_T_I64, int64_t, .min = 0, .max = INT64_MAX),
    ROW(R, "memory", memory, WH_T_SIZE, int64_t, .min = 16 << 20, .max = INT64_C(1) << 46,
        .def = "256MB"),
    ROW(R, "max_duration", max_duration_ms, WH_T_DURATION, int64_t, .min = 0, .max = INT64_MAX),
    WH_OPT_END};
static const struct wh_options limits_table = {limits_rows, sizeof(R), "run.limits"};
static const struct wh_option retry_rows[] = {
    ROW(R, "times", retry_times, WH_T_I64, int64_t, .min = 0, .max = 1000, .def = "3"),
    ROW(R, "wait", retry_wait_ms, WH_T_DURATION, int64_t, .min = 0, .max = 86400000, .def = "1s"),
    ROW(R, "outage", retry_outage_ms, WH_T_DURATION, int64_t, .min = 0, .max = 86400000,
        .def = "30s"),
    WH_OPT_END};
static const struct wh_options retry_table = {retry_rows, sizeof(R), "run.retry"};
static const struct wh_option timeout_rows[] = {
    ROW(R, "connect", timeouts.connect, WH_T_DURATION, int64_t, .min = 0, .max = 86400000,
        .def = "10s"),
    ROW(R, "user", timeouts.user, WH_T_DURATION, int64_t, .min = 0, .max = 86400000, .def = "30s"),
    ROW(R, "statement", timeouts.statement, WH_T_DURATION, int64_t, .min = 0, .max = INT64_MAX),
    ROW(R, "lock", timeouts.lock, WH_T_DURATION, int64_t, .min = 0, .max = 86400000, .def = "30s"),
    ROW(R, "no_progress", timeouts.no_progress, WH_T_DURATION, int64_t, .min = 0, .max = INT64_MAX,
        .def = "10m"),
    ROW(R, "state", timeouts.state, WH_T_DURATION, int64_t, .min = 0, .max = 86400000, .def = "5m"),
    WH_OPT_END};
static const struct wh_options timeout_table = {timeout_rows, sizeof(R), "run.timeouts"};
struct failure {
    int on_stream_failure;
};
static const struct wh_option failure_rows[] = {
    WH_OPT_ENUM(struct failure, on_stream_failure, on_failures, .def = "continue"), WH_OPT_END};
static const struct wh_options failure_table = {failure_rows, sizeof(struct failure), "run"};

static bool set_limits(struct wh_job_reading *r, const struct wh_node *node,
                       struct wh_run_options *run)
{
    bool ok = true;

    if (!wants_map(r, node, "run.limits"))
        return false;
    for (size_t i = 0; i < node->n; i++) {
        const struct wh_node *key = node->keys[i], *value = node->items[i];

        if (strcmp(key->text, "rate") != 0)
            ok = set_one(r, &limits_table, run, key, value) && ok;
        else if (value->kind == WH_NODE_MAP)
            ok = wh_job_rate(r, value, run) && ok;
        else
            ok = wh_job_rate_meant(r, value) && set_one(r, &rate_table, run, key, value) && ok;
    }
    return ok;
}

static bool set_run_key(struct wh_job_reading *r, const struct wh_node *key,
                        const struct wh_node *value, struct wh_run_options *run)
{
    if (strcmp(key->text, "limits") == 0)
        return set_limits(r, value, run);
    if (strcmp(key->text, "retry") == 0)
        return set_group(r, value, "run.retry", NULL, &retry_table, run);
    if (strcmp(key->text, "timeouts") == 0)
        return set_group(r, value, "run.timeouts", NULL, &timeout_table, run);
    if (strcmp(key->text, "on_stream_failure") == 0) {
        struct failure f = {0};

        if (!set_one(r, &failure_table, &f, key, value))
            return false;
        run->stop_on_failure = f.on_stream_failure;
        return true;
    }
    return set_one(r, &run_table, run, key, value);
}

bool wh_job_run_settings(struct wh_job_reading *r, const struct wh_node *node,
                         struct wh_run_options *run)
{
    static const struct wh_options *const tables[] = {&run_table, &rate_table, &limits_table,
                                                      &retry_table, &timeout_table};
    bool ok = true;

    *run = (struct wh_run_options){0};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
        if (wh_options_init(tables[i], run, r->arena) != WH_OK)
            return wh_job_no_memory(r);
    if (!node || node->kind == WH_NODE_NULL)
        return true;
    if (!wants_map(r, node, "run"))
        return false;
    for (size_t i = 0; i < node->n; i++) {
        if (!wh_job_key_allowed(r, run_keys, node->keys[i], "run"))
            ok = false;
        else
            ok = set_run_key(r, node->keys[i], node->items[i], run) && ok;
    }
    return ok;
}

/* ---- the tables, for those who describe them ----------------------------------------------------
 */

const struct wh_job_group wh_job_groups[] = {
    {"", stream_keys, {&stream_table, &wh_stream_parallel}, NULL},
    {"write", write_keys, {&write_table, &statement_table}, NULL},
    {"table", table_keys, {&table_table}, NULL},
    {"split", NULL, {&wh_stream_split}, "auto, none"},
    {"values", NULL, {&values_table, &row_bytes_table}, NULL},
    {"dirty", dirty_keys, {&dirty_table}, "rows=N,ratio=R"},
    {"guard", NULL, {&guard_empty_table, &guard_table}, "empty=allow,..."},
    {"limits", NULL, {&wh_stream_limits}, NULL},
    {"retry", NULL, {&wh_stream_retry}, NULL},
    {"run", run_keys, {&run_table, &failure_table}, NULL},
    {"run.limits", rate_keys, {&rate_table, &limits_table}, NULL, true},
    {"run.retry", NULL, {&retry_table}, NULL},
    {"run.timeouts", NULL, {&timeout_table}, NULL},
    {NULL, NULL, {NULL}, NULL}};

const struct wh_option *wh_job_option(const char *path)
{
    const char *dot = strrchr(path, '.');
    size_t n = dot ? (size_t)(dot - path) : 0;

    for (const struct wh_job_group *g = wh_job_groups; g->name; g++)
        for (size_t i = 0; strlen(g->name) == n && strncmp(g->name, path, n) == 0 && i < 2; i++) {
            const struct wh_option *row =
                g->tables[i] ? wh_options_find(g->tables[i], wh_str(dot ? dot + 1 : path)) : NULL;

            if (row)
                return row;
        }
    return NULL;
}
