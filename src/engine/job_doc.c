/* SPDX-License-Identifier: Apache-2.0 */
/* From a document to the resolved tree: parameters and macros replaced, defaults merged into every
 * stream. The tree is what the state keeps; references to secrets stay in it as text. */
#include "engine/job_internal.h"

#include "core/clock.h"

#include <stdlib.h>
#include <string.h>

const struct wh_job_key wh_job_top_keys[] = {
    {"version"},
    {"name"},
    {"description"},
    {"labels"},
    {"timezone"},
    {"params"},
    {"connections"},
    {"defaults"},
    {"streams"},
    {"run"},
    {"schedule", true, "start it by cron: 15 2 * * * wherry run FILE"},
    {"notify", true, "look at the exit code, or give --json to a program of yours"},
    {"lineage", true, NULL},
    {NULL}};

static bool ignored(const struct wh_node *key)
{
    return strncmp(key->text, "x-", 2) == 0;
}

/* ---- macros in trees --------------------------------------------------------------------------
 */

/* How a scalar below this key is expanded. `flags` is what stood above. */
static unsigned key_flags(const char *key, unsigned flags)
{
    static const struct {
        const char *key;
        unsigned flags;
    } table[] = {
        {"where", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"filter", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"query", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"expr", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"source_expr", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"before", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"after", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
        {"path", WH_MACRO_NONEMPTY},
        {"object", WH_MACRO_NONEMPTY},
        {"table", WH_MACRO_NONEMPTY},
        {"schema", WH_MACRO_NONEMPTY},
        {"replace", WH_MACRO_SQL | WH_MACRO_NONEMPTY},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(key, table[i].key) == 0)
            return flags | table[i].flags;
    return flags;
}

/* A URL with a user may hold a password: its references stay. Options beside an object do, too. */
static unsigned text_flags(const char *text, unsigned flags)
{
    const char *url = strstr(text, "://");

    return url && strchr(url, '@') ? flags | WH_MACRO_KEEP : flags;
}

static struct wh_node *copy_node(struct wh_job_reading *r, const struct wh_node *node)
{
    struct wh_node *copy = wh_arena_alloc(r->arena, sizeof *copy);

    if (!copy) {
        wh_job_no_memory(r);
        return NULL;
    }
    *copy = (struct wh_node){.kind = node->kind,
                             .quoted = node->quoted,
                             .line = node->line,
                             .column = node->column,
                             .text = node->text};
    return copy;
}

static struct wh_node *expand(struct wh_job_reading *r, const struct wh_node *node, unsigned flags);

static bool expand_map(struct wh_job_reading *r, const struct wh_node *node, unsigned flags,
                       struct wh_node *copy)
{
    bool ok = true;

    for (size_t i = 0; i < node->n; i++) {
        const struct wh_node *key = node->keys[i];

        if (ignored(key))
            continue;
        struct wh_node *value = expand(r, node->items[i], key_flags(key->text, flags));

        ok = value && ok;
        if (!value)
            continue;
        if (wh_node_put(r->arena, copy, key->text, value) != WH_OK)
            return wh_job_no_memory(r);
        copy->keys[copy->n - 1]->line = key->line;
        copy->keys[copy->n - 1]->column = key->column;
    }
    return ok;
}

static struct wh_node *expand(struct wh_job_reading *r, const struct wh_node *node, unsigned flags)
{
    struct wh_node *copy = copy_node(r, node);
    bool ok = copy;

    if (!copy)
        return NULL;
    if (node->kind == WH_NODE_SCALAR) {
        copy->text =
            wh_macro_expand(&r->macros, node->text, text_flags(node->text, flags) | WH_MACRO_ESCAPE,
                            wh_job_where(r, node));
        ok = copy->text;
    } else if (node->kind == WH_NODE_LIST) {
        for (size_t i = 0; i < node->n; i++) {
            struct wh_node *item = expand(r, node->items[i], flags);

            ok = item && wh_node_push(r->arena, copy, item) == WH_OK && ok;
        }
    } else if (node->kind == WH_NODE_MAP) {
        ok = expand_map(r, node, flags, copy);
    }
    return ok ? copy : NULL;
}

/* Options beside an object keep their references (a password may be among them); names do not. */
static struct wh_node *expand_side(struct wh_job_reading *r, const struct wh_node *side)
{
    static const char *const names[] = {"conn",  "type", "database", "schema",
                                        "table", "path", "object",   "exclude"};
    struct wh_node *copy;

    if (side->kind != WH_NODE_MAP)
        return expand(r, side, WH_MACRO_NONEMPTY);
    copy = copy_node(r, side);
    for (size_t i = 0; copy && i < side->n; i++) {
        const struct wh_node *key = side->keys[i];
        unsigned flags = WH_MACRO_KEEP;

        if (ignored(key))
            continue;
        for (size_t j = 0; j < sizeof names / sizeof names[0]; j++)
            if (strcmp(key->text, names[j]) == 0)
                flags = WH_MACRO_NONEMPTY;
        struct wh_node *value = expand(r, side->items[i], flags);

        if (!value)
            return NULL;
        if (wh_node_put(r->arena, copy, key->text, value) != WH_OK) {
            wh_job_no_memory(r);
            return NULL;
        }
        copy->keys[copy->n - 1]->line = key->line;
        copy->keys[copy->n - 1]->column = key->column;
    }
    return copy;
}

struct wh_node *wh_job_merge(struct wh_job_reading *r, const struct wh_node *under,
                             const struct wh_node *over)
{
    struct wh_node *out = copy_node(r, over ? over : under);
    const struct wh_node *both[] = {under, over};

    if (!out || !under || !over || under->kind != WH_NODE_MAP || over->kind != WH_NODE_MAP) {
        if (out && (over || under)) {
            const struct wh_node *from = over ? over : under;

            out->items = from->items;
            out->keys = from->keys;
            out->n = from->n;
        }
        return out;
    }
    for (size_t b = 0; b < 2; b++)
        for (size_t i = 0; i < both[b]->n; i++) {
            const struct wh_node *key = both[b]->keys[i];
            struct wh_node *value = both[b]->items[i], *below = wh_node_get(out, key->text);

            if (below)
                value = wh_job_merge(r, below, value);
            if (!value || wh_node_put(r->arena, out, key->text, value) != WH_OK)
                return NULL;
            if (!below) {
                out->keys[out->n - 1]->line = key->line;
                out->keys[out->n - 1]->column = key->column;
            }
        }
    return out;
}

/* ---- parameters -------------------------------------------------------------------------------
 */

static bool param_type(struct wh_job_reading *r, const struct wh_node *type, struct wh_param *p)
{
    static const struct {
        const char *name;
        enum wh_param_type type;
    } types[] = {{"text", WH_PARAM_TEXT},       {"string", WH_PARAM_TEXT},
                 {"integer", WH_PARAM_INTEGER}, {"int", WH_PARAM_INTEGER},
                 {"decimal", WH_PARAM_DECIMAL}, {"bool", WH_PARAM_BOOL},
                 {"date", WH_PARAM_DATE},       {"timestamp", WH_PARAM_TIMESTAMP}};
    const char *text = wh_node_text(type, type ? "" : "text");

    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++)
        if (strcmp(text, types[i].name) == 0) {
            p->type = types[i].type;
            return true;
        }
    wh_problem_add(r->problems, "E1002", wh_job_where(r, type),
                   "one of text integer decimal bool date timestamp",
                   "parameter %s: '%s' is no type", p->name, text);
    return false;
}

static bool param_name(struct wh_job_reading *r, const struct wh_node *key)
{
    static const char *const taken[] = {"env", "file", "cmd",    "cred",  "secret",
                                        "run", "job",  "stream", "window"};

    for (size_t i = 0; i < sizeof taken / sizeof taken[0]; i++)
        if (strcmp(key->text, taken[i]) == 0) {
            wh_problem_add(r->problems, "E1042", wh_job_where(r, key), NULL,
                           "'%s' has a meaning of its own and cannot name a parameter", taken[i]);
            return false;
        }
    for (const char *p = key->text; *p; p++)
        if (!strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-", *p)) {
            wh_problem_add(r->problems, "E1002", wh_job_where(r, key), NULL,
                           "'%s' cannot name a parameter: letters, digits, _ and - only",
                           key->text);
            return false;
        }
    return *key->text;
}

static const char *set_value(const struct wh_map *set, const char *name)
{
    for (size_t i = set ? set->n : 0; i > 0; i--)
        if (strcmp(set->v[i - 1].key, name) == 0)
            return set->v[i - 1].value;
    return NULL;
}

/* { type, default, raw }, or just the default's text. */
static bool read_param(struct wh_job_reading *r, const struct wh_node *key,
                       const struct wh_node *node, const struct wh_map *set, struct wh_param *p)
{
    static const struct wh_job_key keys[] = {
        {"type"}, {"default"}, {"raw"}, {"description"}, {NULL}};
    const struct wh_node *def = node;
    const char *given = set_value(set, key->text), *where = wh_job_where(r, key);
    bool ok = param_name(r, key);

    p->name = key->text;
    if (node->kind == WH_NODE_MAP) {
        for (size_t i = 0; i < node->n; i++)
            if (!ignored(node->keys[i]))
                ok = wh_job_key_allowed(r, keys, node->keys[i], "a parameter") && ok;
        ok = param_type(r, wh_node_get(node, "type"), p) && ok;
        def = wh_node_get(node, "default");
        p->raw = strcmp(wh_node_text(wh_node_get(node, "raw"), "false"), "true") == 0;
    }
    if (!ok)
        return false;
    const char *text = given ? given : wh_node_text(def, NULL);

    if (!given && text)
        text = wh_macro_expand(&r->macros, text, 0, wh_job_where(r, def));
    else if (given)
        where = wh_arena_printf(r->arena, "--set %s", key->text);
    if (!text)
        return given == NULL && (!def || def->kind == WH_NODE_NULL);
    if (given && r->like && !(text = wh_arena_strdup(r->arena, text)))
        return wh_job_no_memory(r);
    p->value = wh_param_value(&r->macros, p, text, where);
    return p->value;
}

static bool check_set(struct wh_job_reading *r, const struct wh_map *set)
{
    const char *names[65];
    size_t n = 0;
    bool ok = true;

    for (; n < r->macros.n_params && n < 64; n++)
        names[n] = r->macros.params[n].name;
    names[n] = NULL;
    for (size_t i = 0; set && i < set->n; i++) {
        bool known = false;

        for (size_t j = 0; j < r->macros.n_params; j++)
            known |= strcmp(r->macros.params[j].name, set->v[i].key) == 0;
        if (known)
            continue;
        const char *near = wh_did_you_mean(wh_str(set->v[i].key), names);
        const char *hint = near ? wh_arena_printf(r->arena, "did you mean '%s'?", near)
                                : "declare it under params:";

        wh_problem_add(r->problems, "E1050", "--set", hint, "the job has no parameter '%s'",
                       set->v[i].key);
        ok = false;
    }
    return ok;
}

/* In the order of the file; a default may use the ones above it. */
static bool read_params(struct wh_job_reading *r, const struct wh_node *params,
                        const struct wh_map *set)
{
    size_t n = params && params->kind == WH_NODE_MAP ? params->n : 0;
    bool ok = true;

    if (params && params->kind != WH_NODE_MAP && params->kind != WH_NODE_NULL) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, params), NULL,
                       "params: wants a map of names");
        return false;
    }
    r->macros.params = wh_arena_alloc(r->arena, (n + 1) * sizeof *r->macros.params);
    r->job->params.v = wh_arena_alloc(r->arena, (n + 1) * sizeof *r->job->params.v);
    if (!r->macros.params || !r->job->params.v)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < n; i++) {
        struct wh_param *p = &r->macros.params[r->macros.n_params];

        if (ignored(params->keys[i]))
            continue;
        *p = (struct wh_param){0};
        if (!read_param(r, params->keys[i], params->items[i], set, p)) {
            ok = false;
            continue;
        }
        r->macros.n_params++;
        if (p->value)
            r->job->params.v[r->job->params.n++] = (struct wh_pair){p->name, p->value};
    }
    /* A parameter that could not be read is known all the same. */
    return ok && (r->like || check_set(r, set));
}

/* A literal ${ is written $${ in the tree. */
static struct wh_node *escaped(struct wh_job_reading *r, const char *text)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 20);

    for (const char *open = strstr(text, "${"); open; open = strstr(text, "${")) {
        if (wh_buf_add(&out, text, (size_t)(open - text)) != WH_OK ||
            wh_buf_adds(&out, "$${") != WH_OK)
            return NULL;
        text = open + 2;
    }
    if (wh_buf_adds(&out, text) != WH_OK)
        return NULL;
    return wh_node_scalar(r->arena, out.p);
}

/* What the state keeps: resolved values as defaults. */
static struct wh_node *params_node(struct wh_job_reading *r)
{
    static const char *const names[] = {"text", "integer", "decimal", "bool", "date", "timestamp"};
    struct wh_node *out = wh_node_map(r->arena);

    for (size_t i = 0; out && i < r->macros.n_params; i++) {
        const struct wh_param *p = &r->macros.params[i];
        struct wh_node *one = wh_node_map(r->arena);

        if (!one ||
            wh_node_put(r->arena, one, "type", wh_node_scalar(r->arena, names[p->type])) != WH_OK ||
            (p->raw &&
             wh_node_put(r->arena, one, "raw", wh_node_scalar(r->arena, "true")) != WH_OK))
            return NULL;
        if (p->value && wh_node_put(r->arena, one, "default", escaped(r, p->value)) != WH_OK)
            return NULL;
        if (wh_node_put(r->arena, out, p->name, one) != WH_OK)
            return NULL;
    }
    return out;
}

/* ---- time and identity ------------------------------------------------------------------------
 */

static bool parse_scheduled(struct wh_job_reading *r, const char *text)
{
    struct wh_param as_time = {.name = "--scheduled", .type = WH_PARAM_TIMESTAMP};
    const char *value = wh_param_value(&r->macros, &as_time, text, "--scheduled");
    struct wh_civil c;

    if (!value || (!wh_date_parse("yyyy-MM-dd HH:mm:ss.SSS", 23, value, &c) &&
                   !wh_date_parse("yyyy-MM-dd HH:mm:ss", 19, value, &c)))
        return false;
    r->job->scheduled = value;
    r->job->planned_us = wh_zone_instant(r->macros.zone, &c);
    return true;
}

/* Our own notes in a stored job: run id, planned time, kind. */
static void read_stored(struct wh_job_reading *r, const struct wh_node *doc)
{
    const struct wh_node *own = wh_node_get(doc, "x-wherry");
    const char *planned = wh_node_text(wh_node_get(own, "planned_us"), NULL);

    r->job->run_id = wh_node_text(wh_node_get(own, "run"), NULL);
    if (planned)
        r->job->planned_us = strtoll(planned, NULL, 10);
    r->job->scheduled = wh_node_text(wh_node_get(own, "scheduled"), NULL);
    if (own)
        r->job->is_copy = strcmp(wh_node_text(wh_node_get(own, "copy"), "false"), "true") == 0;
}

static bool read_time(struct wh_job_reading *r, const struct wh_node *doc, const char *scheduled)
{
    const struct wh_node *node = wh_node_get(doc, "timezone");
    struct wh_zone *zone;
    struct wh_error err;

    if (wh_zone_open(r->arena, wh_node_text(node, NULL), &zone, &err) != WH_OK) {
        wh_problem_add(r->problems, err.code, wh_job_where(r, node), err.hint, "%s", err.message);
        return false;
    }
    r->macros.zone = zone;
    r->job->timezone = wh_zone_name(zone);
    r->job->timezone_said = node;
    read_stored(r, doc);
    if (r->like) {
        r->job->run_id = wh_arena_strdup(r->arena, r->like->run_id);
        r->job->planned_us = r->like->planned_us;
        r->job->scheduled = wh_arena_strdup(r->arena, r->like->scheduled);
    }
    if (scheduled && !parse_scheduled(r, scheduled))
        return false;
    r->macros.planned_us = r->job->planned_us;
    if (!r->job->run_id) {
        char *id = wh_arena_alloc(r->arena, 32);

        if (!id)
            return wh_job_no_memory(r);
        wh_run_id(id);
        r->job->run_id = id;
    }
    r->macros.run = r->job->run_id;
    return true;
}

/* shop_to_lake.yaml -> shop_to_lake */
static const char *name_of_file(struct wh_job_reading *r)
{
    const char *base = strrchr(r->file, '/'), *dot;

    base = base ? base + 1 : r->file;
    dot = strrchr(base, '.');
    if (strcmp(base, "-") == 0)
        return "job";
    return wh_arena_strndup(r->arena, base,
                            dot && dot > base ? (size_t)(dot - base) : strlen(base));
}

static bool read_name(struct wh_job_reading *r, const struct wh_node *doc)
{
    const struct wh_node *node = wh_node_get(doc, "name");
    const char *text = wh_node_text(node, NULL);

    r->job->name =
        text ? wh_macro_expand(&r->macros, text, 0, wh_job_where(r, node)) : name_of_file(r);
    r->job->description = wh_node_text(wh_node_get(doc, "description"), NULL);
    if (r->job->name && !*r->job->name) {
        wh_problem_add(r->problems, "E1008", wh_job_where(r, node), NULL,
                       "the job's name is empty");
        return false;
    }
    r->macros.job = r->job->name;
    return r->job->name;
}

static void check_version(struct wh_job_reading *r, const struct wh_node *doc)
{
    const struct wh_node *node = wh_node_get(doc, "version");

    if (!node)
        wh_problem_add(r->problems, "E1043", r->file, "write 'version: 1'",
                       "the version is missing");
    else if (strcmp(wh_node_text(node, ""), "1") != 0)
        wh_problem_add(r->problems, "E1043", wh_job_where(r, node), "write 'version: 1'",
                       "version '%s' is not known to this program", wh_node_text(node, ""));
}

/* ---- streams ----------------------------------------------------------------------------------
 */

static struct wh_node *expand_settings(struct wh_job_reading *r, const struct wh_node *stream);

/* Each entry is settings of a stream. */
static struct wh_node *expand_override(struct wh_job_reading *r, const struct wh_node *override)
{
    struct wh_node *out = copy_node(r, override);
    bool ok = out;

    for (size_t i = 0; ok && i < override->n; i++) {
        const struct wh_node *key = override->keys[i], *body = override->items[i];
        struct wh_node *value;

        if (ignored(key))
            continue;
        value = body->kind == WH_NODE_MAP ? expand_settings(r, body) : expand(r, body, 0);
        ok = value;
        if (ok && wh_node_put(r->arena, out, key->text, value) != WH_OK)
            return wh_job_no_memory(r), NULL;
        if (ok) {
            out->keys[out->n - 1]->line = key->line;
            out->keys[out->n - 1]->column = key->column;
        }
    }
    return ok ? out : NULL;
}

static struct wh_node *expand_settings(struct wh_job_reading *r, const struct wh_node *stream)
{
    struct wh_node *out = copy_node(r, stream);
    bool ok = out;

    for (size_t i = 0; out && i < stream->n; i++) {
        const struct wh_node *key = stream->keys[i], *item = stream->items[i];
        struct wh_node *value;

        if (ignored(key))
            continue;
        if (strcmp(key->text, "from") == 0 || strcmp(key->text, "to") == 0)
            value = expand_side(r, item);
        else if (strcmp(key->text, "override") == 0 && item->kind == WH_NODE_MAP)
            value = expand_override(r, item);
        else /* `table:` here is a group of settings */
            value = expand(r, item, strcmp(key->text, "table") == 0 ? 0 : key_flags(key->text, 0));
        ok = value && ok;
        if (!value)
            continue;
        if (wh_node_put(r->arena, out, key->text, value) != WH_OK)
            return wh_job_no_memory(r), NULL;
        out->keys[out->n - 1]->line = key->line;
        out->keys[out->n - 1]->column = key->column;
    }
    return ok ? out : NULL;
}

static struct wh_node *expand_stream(struct wh_job_reading *r, const struct wh_node *stream)
{
    r->macros.stream = wh_node_text(wh_node_get(stream, "name"), NULL);
    return expand_settings(r, stream);
}

static struct wh_node *read_defaults(struct wh_job_reading *r, const struct wh_node *defaults)
{
    static const char *const own[] = {"name", "from", "to", "override"};

    if (!defaults || defaults->kind == WH_NODE_NULL)
        return wh_node_map(r->arena);
    if (defaults->kind != WH_NODE_MAP) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, defaults), NULL,
                       "defaults: wants a map of stream settings");
        return NULL;
    }
    for (size_t i = 0; i < defaults->n; i++)
        for (size_t j = 0; j < 4; j++)
            if (strcmp(defaults->keys[i]->text, own[j]) == 0) {
                wh_problem_add(r->problems, "E1001", wh_job_where(r, defaults->keys[i]), NULL,
                               "'%s' cannot have a default", own[j]);
                return NULL;
            }
    return expand_stream(r, defaults);
}

static struct wh_node *read_streams(struct wh_job_reading *r, const struct wh_node *doc)
{
    const struct wh_node *streams = wh_node_get(doc, "streams");
    struct wh_node *defaults = read_defaults(r, wh_node_get(doc, "defaults"));
    struct wh_node *out = wh_node_list(r->arena);
    bool ok = defaults && out;

    if (!streams || streams->kind != WH_NODE_LIST || streams->n == 0) {
        wh_problem_add(r->problems, streams ? "E1041" : "E1005",
                       wh_job_where(r, streams ? streams : doc),
                       "write 'streams:' and below it '  - { from: ..., to: ... }'",
                       "a job needs a list of streams");
        return NULL;
    }
    for (size_t i = 0; i < streams->n; i++) {
        if (streams->items[i]->kind != WH_NODE_MAP) {
            wh_problem_add(r->problems, "E1041", wh_job_where(r, streams->items[i]),
                           "write '- { from: ..., to: ... }'", "a stream is a map");
            ok = false;
            continue;
        }
        struct wh_node *stream = expand_stream(r, streams->items[i]);

        stream = stream && defaults ? wh_job_merge(r, defaults, stream) : NULL;
        ok = stream && out && wh_node_push(r->arena, out, stream) == WH_OK && ok;
    }
    return ok ? out : NULL;
}

/* Its settings are judged by the connector where it is used. */
static bool check_connection(struct wh_job_reading *r, const struct wh_node *key,
                             const struct wh_node *conn)
{
    if (conn->kind != WH_NODE_MAP) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, conn), NULL,
                       "connection '%s' wants a map: { type: ..., ... }", key->text);
        return false;
    }
    if (!wh_node_get(conn, "type")) {
        wh_problem_add(r->problems, "E1005", wh_job_where(r, key),
                       "write 'type: sqlite' or another", "connection '%s' has no type", key->text);
        return false;
    }
    return true;
}

/* Does any text below begin with NAME: or, at a key `conn`, equal NAME? */
static bool names_it(const struct wh_node *node, const char *key, const char *name)
{
    size_t n = strlen(name);

    if (node->kind == WH_NODE_SCALAR)
        return strncmp(node->text, name, n) == 0 &&
               (node->text[n] == ':' || (!node->text[n] && strcmp(key, "conn") == 0));
    for (size_t i = 0; i < node->n; i++)
        if (names_it(node->items[i], node->keys ? node->keys[i]->text : key, name))
            return true;
    return false;
}

/* The user's own connections that the job needs: it can be resumed when they have changed. */
static bool add_outside(struct wh_job_reading *r, const struct wh_node *doc, struct wh_node *out)
{
    const struct wh_node *streams = wh_node_get(doc, "streams");
    const struct wh_node *defaults = wh_node_get(doc, "defaults");

    for (size_t i = 0; out && streams && r->outside && i < r->outside->n; i++) {
        const char *name = r->outside->keys[i]->text;

        if (wh_node_get(out, name) ||
            (!names_it(streams, "", name) && !(defaults && names_it(defaults, "", name))))
            continue;
        struct wh_node *conn = expand(r, r->outside->items[i], WH_MACRO_KEEP);

        if (!conn || wh_node_put(r->arena, out, name, conn) != WH_OK)
            return false;
    }
    return out;
}

static struct wh_node *read_connections(struct wh_job_reading *r, const struct wh_node *conns)
{
    struct wh_node *out;
    bool ok = true;

    if (!conns || conns->kind == WH_NODE_NULL)
        return wh_node_map(r->arena);
    if (conns->kind != WH_NODE_MAP) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, conns), NULL,
                       "connections: wants a map of names");
        return NULL;
    }
    out = expand(r, conns, WH_MACRO_KEEP);
    for (size_t i = 0; out && i < out->n; i++)
        ok = check_connection(r, out->keys[i], out->items[i]) && ok;
    return ok ? out : NULL;
}

static bool put(struct wh_job_reading *r, struct wh_node *map, const char *key,
                struct wh_node *value)
{
    return (value && wh_node_put(r->arena, map, key, value) == WH_OK) || wh_job_no_memory(r);
}

static struct wh_node *stored_notes(struct wh_job_reading *r, const struct wh_node *doc)
{
    struct wh_node *select = wh_node_get(wh_node_get(doc, "x-wherry"), "select");
    struct wh_node *own = wh_node_map(r->arena);
    const char *planned = wh_arena_printf(r->arena, "%lld", (long long)r->job->planned_us);

    if (!own || !planned || !put(r, own, "run", wh_node_scalar(r->arena, r->job->run_id)) ||
        !put(r, own, "planned_us", wh_node_scalar(r->arena, planned)) ||
        !put(r, own, "copy", wh_node_scalar(r->arena, r->job->is_copy ? "true" : "false")))
        return NULL;
    if (r->job->scheduled && !put(r, own, "scheduled", wh_node_scalar(r->arena, r->job->scheduled)))
        return NULL;
    if (select && select->kind == WH_NODE_LIST && !put(r, own, "select", select))
        return NULL;
    return own;
}

static bool build_tree(struct wh_job_reading *r, const struct wh_node *doc)
{
    struct wh_node *tree = wh_node_map(r->arena), *run = wh_node_get(doc, "run");
    struct wh_node *connections = read_connections(r, wh_node_get(doc, "connections"));
    struct wh_node *streams = read_streams(r, doc);
    bool ok = tree && add_outside(r, doc, connections) && streams;

    if (run)
        run = expand(r, run, 0);
    ok = ok && (run || !wh_node_get(doc, "run"));
    if (!ok)
        return false;
    r->job->tree = tree;
    r->job->connections = connections;
    return put(r, tree, "version", wh_node_scalar(r->arena, "1")) &&
           put(r, tree, "name", escaped(r, r->job->name)) &&
           put(r, tree, "timezone", wh_node_scalar(r->arena, r->job->timezone)) &&
           (!r->job->description || put(r, tree, "description", escaped(r, r->job->description))) &&
           put(r, tree, "params", params_node(r)) && put(r, tree, "connections", connections) &&
           put(r, tree, "streams", streams) && (!run || put(r, tree, "run", run)) &&
           put(r, tree, "x-wherry", stored_notes(r, doc));
}

bool wh_job_resolve(struct wh_job_reading *r, const struct wh_node *doc, const struct wh_map *set,
                    const char *scheduled)
{
    if (!doc || doc->kind != WH_NODE_MAP) {
        wh_problem_add(r->problems, "E1041", r->file, "a job begins with 'version: 1'",
                       doc && doc->kind != WH_NODE_NULL ? "a job is a map of settings"
                                                        : "the job file is empty");
        return false;
    }
    for (size_t i = 0; i < doc->n; i++)
        if (!ignored(doc->keys[i]))
            wh_job_key_allowed(r, wh_job_top_keys, doc->keys[i], "a job");
    check_version(r, doc);
    if (!read_time(r, doc, scheduled) || !read_params(r, wh_node_get(doc, "params"), set) ||
        !read_name(r, doc))
        return false; /* nothing else can be resolved */
    return build_tree(r, doc);
}
