/* SPDX-License-Identifier: Apache-2.0 */
/* What shapes the result of a job, as sorted lines; its hash; what differs; the stored form. */
#include "engine/job_internal.h"

#include "engine/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHAPE_MAX = 32 << 20,
    LINE_MAX_SHAPE = 4096
};

/* ---- lines ------------------------------------------------------------------------------------
 */

struct lines {
    struct wh_job_reading *r;
    const char *prefix;
    struct wh_buf *out;
};

/* "prefix.key=value"; newlines of values are escaped, our run id reads ${run.id}. */
static int line(struct lines *l, const char *key, const char *value)
{
    const char *id = l->r->job->run_id;
    size_t n = strlen(id);

    if (!value)
        return WH_OK;
    WH_TRY(wh_buf_printf(l->out, "%s.%s=", l->prefix, key));
    while (*value) {
        if (strncmp(value, id, n) == 0) {
            WH_TRY(wh_buf_adds(l->out, "${run.id}"));
            value += n;
        } else if (*value == '\n') {
            WH_TRY(wh_buf_adds(l->out, "\\n"));
            value++;
        } else {
            WH_TRY(wh_buf_addc(l->out, *value++));
        }
    }
    return wh_buf_addc(l->out, '\n');
}

static int line_i64(struct lines *l, const char *key, int64_t v)
{
    char text[24];

    snprintf(text, sizeof text, "%lld", (long long)v);
    return line(l, key, text);
}

static int line_list(struct lines *l, const char *key, struct wh_list list)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(SHAPE_MAX);

    if (list.n == 0)
        return WH_OK;
    for (size_t i = 0; i < list.n; i++)
        WH_TRY(wh_buf_printf(&text, "%s%s", i ? ", " : "", list.v[i]));
    return line(l, key, text.p);
}

static int flat(const struct wh_node *node, struct wh_buf *out)
{
    if (node->kind == WH_NODE_LIST || node->kind == WH_NODE_MAP) {
        for (size_t i = 0; i < node->n; i++) {
            WH_TRY(wh_buf_printf(out, "%s%s%s", i ? ", " : "[",
                                 node->kind == WH_NODE_MAP ? node->keys[i]->text : "",
                                 node->kind == WH_NODE_MAP ? ": " : ""));
            WH_TRY(flat(node->items[i], out));
        }
        return wh_buf_adds(out, node->n ? "]" : "[]");
    }
    return wh_buf_adds(out, node->text);
}

/* Options of one table; secrets and what only concerns the way (timeouts...) stay out. */
static int line_options(struct lines *l, const char *side, const struct wh_options *table,
                        const struct wh_node *map)
{
    for (size_t i = 0; map && i < map->n; i++) {
        WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(SHAPE_MAX), key = WH_BUF(512);
        const struct wh_option *row =
            table ? wh_options_find(table, wh_str(map->keys[i]->text)) : NULL;

        if (!row || row->type == WH_T_SECRET || (row->flags & WH_OPT_RUNTIME))
            continue;
        WH_TRY(wh_buf_printf(&key, "%s.%s", side, row->name));
        WH_TRY(flat(map->items[i], &text));
        WH_TRY(line(l, key.p, text.p));
    }
    return WH_OK;
}

static int line_side(struct lines *l, const char *side, const struct wh_objref *ref,
                     const struct wh_options *table)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf name = WH_BUF(SHAPE_MAX), key = WH_BUF(64);

    WH_TRY(wh_buf_printf(&key, "%s.type", side));
    WH_TRY(line(l, key.p, ref->connector->name));
    WH_TRY(wh_name_print(&ref->name, &name));
    for (size_t i = 0; i < ref->more.n; i++)
        WH_TRY(wh_buf_printf(&name, ", %s", ref->more.v[i]));
    wh_buf_clear(&key);
    WH_TRY(wh_buf_printf(&key, "%s.object", side));
    WH_TRY(line(l, key.p, name.p ? name.p : ""));
    wh_buf_clear(&key);
    WH_TRY(wh_buf_printf(&key, "%s.exclude", side));
    WH_TRY(line_list(l, key.p, ref->exclude));
    WH_TRY(line_options(l, side, ref->connector->connection, ref->connection));
    return line_options(l, side, table, ref->options);
}

static int line_columns(struct lines *l, const struct wh_stream *s)
{
    for (size_t i = 0; i < s->n_columns; i++) {
        WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(SHAPE_MAX);
        const struct wh_mapping *m = &s->columns[i];
        char key[40];

        snprintf(key, sizeof key, "columns.%04zu", i + 1);
        if (m->kind == WH_MAP_REST) {
            WH_TRY(wh_buf_adds(&text, "*"));
            for (size_t j = 0; j < m->except.n; j++)
                WH_TRY(wh_buf_printf(&text, "%s%s", j ? ", " : " except ", m->except.v[j]));
        } else {
            static const char *const words[] = {"from",   "",     "value",
                                                "source", "rest", "source_expr"};

            WH_TRY(wh_buf_printf(&text, "%s %s %s%s%s", m->to, words[m->kind],
                                 m->kind == WH_MAP_COLUMN ? m->from : m->value,
                                 m->type ? " type " : "", m->type ? m->type : ""));
            if (m->convert.n)
                WH_TRY(wh_buf_adds(&text, " convert "));
            WH_TRY(wh_fn_chain_print(&m->convert, &text));
        }
        WH_TRY(line(l, key, text.p));
    }
    for (size_t i = 0; i < s->types.n; i++) {
        WH_CLEANUP(wh_buf_free) struct wh_buf key = WH_BUF(SHAPE_MAX);

        WH_TRY(wh_buf_printf(&key, "types.%s", s->types.v[i].key));
        WH_TRY(line(l, key.p, s->types.v[i].value));
    }
    return WH_OK;
}

static int line_values(struct lines *l, const struct wh_stream *s)
{
    const struct wh_value_policy *v = &s->values;
    char text[16];

    snprintf(text, sizeof text, "%d%d%d%d%d%d%d%d", v->zero_date_null, v->infinity_null,
             v->infinity_keep, v->nan_null, v->nan_keep, v->invalid_text_replace,
             v->empty_text_null, v->char_padding_trim);
    WH_TRY(line(l, "values", text));
    return line_i64(l, "values.max_row_bytes", s->max_row_bytes);
}

/* Each in a line of its own: a comma may stand in any of them. */
static int line_statements(struct lines *l, const char *key, struct wh_list list)
{
    for (size_t i = 0; i < list.n; i++) {
        char numbered[40];

        snprintf(numbered, sizeof numbered, "%s.%04zu", key, i + 1);
        WH_TRY(line(l, numbered, list.v[i]));
    }
    return WH_OK;
}

static int line_stream(struct lines *l, const struct wh_stream *s)
{
    static const char *const merges[] = {NULL, "same", "union", "common"};
    static const char *const lengths[] = {NULL, "x3", "x4", "drop"};

    WH_TRY(line_side(l, "from", &s->from, s->from.connector->from));
    WH_TRY(line_side(l, "to", &s->to, s->to.connector->to));
    WH_TRY(line(l, "where", s->where));
    WH_TRY(line(l, "query", s->query));
    WH_TRY(line_i64(l, "limit", s->limit));
    WH_TRY(line_columns(l, s));
    WH_TRY(line_i64(l, "write.mode", s->write.mode));
    WH_TRY(line_list(l, "write.keys", s->write.keys));
    WH_TRY(line_i64(l, "write.atomic", s->write.atomic));
    WH_TRY(line(l, "write.replace.where", s->write.replace_where));
    WH_TRY(line(l, "write.replace.keys", s->write.replace_keys ? "true" : NULL));
    WH_TRY(line_statements(l, "write.before", s->write.before));
    WH_TRY(line_statements(l, "write.after", s->write.after));
    WH_TRY(line(l, "write.on_resume", s->write.on_resume ? "repeat" : NULL));
    WH_TRY(line(l, "write.marker", s->write.marker_off ? "off" : s->write.marker));
    WH_TRY(line_i64(l, "table.create", s->create));
    WH_TRY(line_i64(l, "table.evolve", s->evolve));
    WH_TRY(line(l, "table.keys", s->drop.keys ? "drop" : NULL));
    WH_TRY(line(l, "table.not_null", s->drop.not_null ? "drop" : NULL));
    WH_TRY(line(l, "table.comments", s->drop.comments ? "drop" : NULL));
    WH_TRY(line(l, "table.sequences", s->drop.sequences ? "drop" : NULL));
    WH_TRY(line(l, "table.text_length", lengths[s->drop.text_length]));
    WH_TRY(line(l, "merge", merges[s->merge]));
    WH_TRY(line(l, "split", s->split_none ? "none" : NULL));
    WH_TRY(line_i64(l, "split.target_bytes", s->split_bytes));
    WH_TRY(line(l, "split.by", s->split_by));
    WH_TRY(line_i64(l, "split.parts", s->split_parts));
    WH_TRY(line_i64(l, "split.target_rows", s->split_rows));
    WH_TRY(line_list(l, "split.range", s->split_range));
    WH_TRY(line_list(l, "accept_lossy", s->accept_lossy));
    return line_values(l, s);
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The order of keys in the file does not shape anything. */
static int sort_lines(struct wh_buf *text)
{
    size_t n = 0, i = 0;
    WH_CLEANUP(wh_buf_free) struct wh_buf sorted = WH_BUF(SHAPE_MAX);

    for (size_t j = 0; j < text->n; j++)
        n += text->p[j] == '\n';
    WH_CLEANUP(wh_freep) const char **lines = wh_calloc(n + 1, sizeof *lines);

    if (!lines)
        return WH_E_NOMEM;
    for (char *p = text->p; p && *p && i < n; i++) {
        lines[i] = p;
        p = strchr(p, '\n');
        *p++ = 0;
    }
    qsort(lines, n, sizeof *lines, by_text);
    for (i = 0; i < n; i++)
        WH_TRY(wh_buf_printf(&sorted, "%s\n", lines[i]));
    struct wh_buf old = *text;

    *text = sorted;
    sorted = old;
    return WH_OK;
}

static int line_overrides(struct lines *l, const struct wh_stream *s)
{
    const char *stream = l->prefix;

    for (size_t i = 0; i < s->n_overrides; i++) {
        const struct wh_override *o = &s->overrides[i];

        l->prefix = wh_arena_printf(l->r->arena, "%s.override.%s", stream, o->pattern);
        if (!l->prefix)
            return WH_E_NOMEM;
        WH_TRY(o->skip ? line(l, "skip", "true") : line_stream(l, o->stream));
    }
    return WH_OK;
}

static int shape_text(struct wh_job_reading *r, struct wh_buf *out)
{
    struct lines l = {.r = r, .prefix = "job", .out = out};

    WH_TRY(line(&l, "name", r->job->name));
    WH_TRY(line(&l, "timezone", r->job->timezone));
    WH_TRY(line(&l, "select", r->job->select));
    for (size_t i = 0; i < r->job->n_streams; i++) {
        l.prefix = wh_arena_printf(r->arena, "streams.%s", r->job->streams[i].name);
        if (!l.prefix)
            return WH_E_NOMEM;
        WH_TRY(line_stream(&l, &r->job->streams[i]));
        WH_TRY(line_overrides(&l, &r->job->streams[i]));
    }
    return sort_lines(out);
}

bool wh_job_shape(struct wh_job_reading *r)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(SHAPE_MAX);

    if (shape_text(r, &out) != WH_OK || !(r->job->shape_text = wh_arena_strdup(r->arena, out.p)))
        return wh_job_no_memory(r);
    r->job->shape = wh_hash128(out.p, out.n, 0);
    return true;
}

/* ---- difference --------------------------------------------------------------------------------
 */

static struct wh_str next_line(const char **p)
{
    const char *end = strchr(*p, '\n');
    struct wh_str out = {*p, end ? (size_t)(end - *p) : strlen(*p)};

    *p += out.n + (end != NULL);
    return out;
}

static struct wh_str key_of(struct wh_str text)
{
    const char *eq = memchr(text.s, '=', text.n);

    return (struct wh_str){text.s, eq ? (size_t)(eq - text.s) : text.n};
}

/* Shapes keep numbers of some settings; people see words. */
static const char *word_of(struct wh_str key, const char *value, size_t n)
{
    static const struct {
        const char *key, *words[8];
    } settings[] = {
        {".write.mode",
         {[WH_MODE_APPEND] = "append",
          [WH_MODE_OVERWRITE] = "overwrite",
          [WH_MODE_TRUNCATE] = "truncate",
          [WH_MODE_UPSERT] = "upsert",
          [WH_MODE_REPLACE] = "replace",
          [WH_MODE_UPDATE] = "update",
          [WH_MODE_INSERT_IGNORE] = "insert-ignore",
          [WH_MODE_DELETE_INSERT] = "delete-insert"}},
        {".write.atomic",
         {[WH_ATOMIC_UNIT] = "unit", [WH_ATOMIC_TABLE] = "table", [WH_ATOMIC_RUN] = "run"}},
        {".table.create",
         {[WH_CREATE_IF_MISSING] = "if-missing",
          [WH_CREATE_NEVER] = "never",
          [WH_CREATE_RECREATE] = "recreate"}},
        {".table.evolve",
         {[WH_EVOLVE_NONE] = "none", [WH_EVOLVE_ADD] = "add", [WH_EVOLVE_WIDEN] = "widen"}},
    };

    if (n != 1 || *value < '0' || *value > '7')
        return NULL;
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        if (wh_str_ends(key, settings[i].key))
            return settings[i].words[*value - '0'];
    return NULL;
}

static int print_value(struct wh_buf *out, struct wh_str text, const char *word)
{
    struct wh_str key = key_of(text);
    size_t n = text.n - key.n - (text.n > key.n);
    const char *name = word_of(key, text.s + key.n + 1, n);

    if (name)
        return wh_buf_printf(out, "'%s' %s", name, word);
    return wh_buf_printf(out, "'%.*s%s' %s", (int)(n > 200 ? 200 : n), text.s + key.n + 1,
                         n > 200 ? "..." : "", word);
}

int wh_job_difference(const struct wh_job *before, const struct wh_job *now, size_t most,
                      struct wh_buf *out)
{
    const char *a = before->shape_text, *b = now->shape_text;

    while ((*a || *b) && most) {
        const char *pa = a, *pb = b;
        struct wh_str la = next_line(&pa), lb = next_line(&pb), ka = key_of(la), kb = key_of(lb);
        size_t shorter = ka.n < kb.n ? ka.n : kb.n;
        int order = !*a ? 1 : !*b ? -1 : memcmp(ka.s, kb.s, shorter);

        if (order == 0 && *a && *b)
            order = ka.n < kb.n ? -1 : ka.n > kb.n;
        if (order <= 0)
            a = pa;
        if (order >= 0)
            b = pb;
        if (order == 0 && wh_str_eq(la, lb))
            continue;
        struct wh_str key = order <= 0 ? ka : kb;

        WH_TRY(wh_buf_printf(out, "%.*s: ", WH_STR_FMT(key)));
        if (order <= 0)
            WH_TRY(print_value(out, la, "before"));
        if (order == 0)
            WH_TRY(wh_buf_adds(out, ", "));
        if (order >= 0)
            WH_TRY(print_value(out, lb, "now"));
        WH_TRY(wh_buf_adds(out, order < 0   ? ", not there now\n"
                                : order > 0 ? ", not there before\n"
                                            : "\n"));
        most--;
    }
    return WH_OK;
}

/* ---- the stored form ---------------------------------------------------------------------------
 */

static bool secret_key(const struct wh_connector *c, const char *key)
{
    const struct wh_options *tables[] = {c->connection, c->from, c->to};

    for (size_t i = 0; i < 3; i++) {
        const struct wh_option *row = tables[i] ? wh_options_find(tables[i], wh_str(key)) : NULL;

        if (row && row->type == WH_T_SECRET)
            return true;
    }
    return false;
}

/* What hides secrets: the connector of a map of options, the masked text of an object. */
struct veil {
    const struct wh_connector *connector;
    const char *object;
};

static int json(const struct wh_node *node, const struct veil *veil, struct wh_buf *out);

static int json_map(const struct wh_node *node, const struct veil *veil, struct wh_buf *out)
{
    WH_TRY(wh_buf_addc(out, '{'));
    for (size_t i = 0; i < node->n; i++) {
        const char *key = node->keys[i]->text;
        const struct wh_node *value = node->items[i];

        if (i)
            WH_TRY(wh_buf_addc(out, ','));
        WH_TRY(wh_buf_json(out, key, strlen(key)));
        WH_TRY(wh_buf_addc(out, ':'));
        if (veil && veil->connector && secret_key(veil->connector, key) &&
            !wh_reference_in(value->text))
            WH_TRY(wh_buf_adds(out, "\"***\""));
        else if (veil && veil->object && strcmp(key, "object") == 0 &&
                 value->kind == WH_NODE_SCALAR)
            WH_TRY(wh_buf_json(out, veil->object, strlen(veil->object)));
        else
            WH_TRY(json(value, NULL, out));
    }
    return wh_buf_addc(out, '}');
}

static int json(const struct wh_node *node, const struct veil *veil, struct wh_buf *out)
{
    switch (node->kind) {
    case WH_NODE_NULL:
        return wh_buf_adds(out, "null");
    case WH_NODE_SCALAR:
        if (veil && veil->object)
            return wh_buf_json(out, veil->object, strlen(veil->object));
        return wh_buf_json(out, node->text, strlen(node->text));
    case WH_NODE_LIST:
        WH_TRY(wh_buf_addc(out, '['));
        for (size_t i = 0; i < node->n; i++) {
            if (i)
                WH_TRY(wh_buf_addc(out, ','));
            WH_TRY(json(node->items[i], NULL, out));
        }
        return wh_buf_addc(out, ']');
    case WH_NODE_MAP:
        return json_map(node, veil, out);
    }
    return WH_E_BUG;
}

/* The text of a URL with a password, masked; NULL where nothing is hidden. */
static const char *masked_object(const struct wh_objref *ref)
{
    return ref->text && strstr(ref->text, "***") ? ref->text : NULL;
}

static int json_settings(const struct wh_node *node, const struct wh_stream *s, struct wh_buf *out);

static int json_overrides(const struct wh_node *node, const struct wh_stream *s, struct wh_buf *out)
{
    if (node->kind != WH_NODE_MAP || node->n != s->n_overrides)
        return json(node, NULL, out);
    WH_TRY(wh_buf_addc(out, '{'));
    for (size_t i = 0; i < node->n; i++) {
        const struct wh_override *o = &s->overrides[i];

        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        WH_TRY(wh_buf_json(out, o->pattern, strlen(o->pattern)));
        WH_TRY(wh_buf_addc(out, ':'));
        WH_TRY(o->stream ? json_settings(node->items[i], o->stream, out)
                         : wh_buf_adds(out, "{\"skip\":\"true\"}"));
    }
    return wh_buf_addc(out, '}');
}

/* Of a stream, or of an entry of its `override`. */
static int json_settings(const struct wh_node *node, const struct wh_stream *s, struct wh_buf *out)
{
    WH_TRY(wh_buf_addc(out, '{'));
    for (size_t i = 0; i < node->n; i++) {
        const char *key = node->keys[i]->text;
        bool from = strcmp(key, "from") == 0, to = strcmp(key, "to") == 0;
        const struct wh_objref *ref = from ? &s->from : &s->to;
        struct veil veil = {ref->connector, masked_object(ref)};

        if (i)
            WH_TRY(wh_buf_addc(out, ','));
        WH_TRY(wh_buf_json(out, key, strlen(key)));
        WH_TRY(wh_buf_addc(out, ':'));
        if (strcmp(key, "override") == 0)
            WH_TRY(json_overrides(node->items[i], s, out));
        else
            WH_TRY(json(node->items[i], from || to ? &veil : NULL, out));
    }
    return wh_buf_addc(out, '}');
}

/* Literal secrets of connections that this build cannot name stay out as well: without their
 * connector's table nobody knows which keys are secret. */
static int json_connection(const struct wh_node *node, struct wh_buf *out)
{
    const struct wh_connector *c = NULL;
    struct wh_error err;
    const char *type = wh_node_text(wh_node_get(node, "type"), "");

    if (wh_registry_find(wh_str(type), &c, &err) == WH_OK) {
        struct veil veil = {c, NULL};

        return json(node, &veil, out);
    }
    WH_TRY(wh_buf_adds(out, "{\"type\":"));
    WH_TRY(wh_buf_json(out, type, strlen(type)));
    return wh_buf_addc(out, '}');
}

static int json_connections(const struct wh_node *node, struct wh_buf *out)
{
    WH_TRY(wh_buf_addc(out, '{'));
    for (size_t i = 0; i < node->n; i++) {
        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        WH_TRY(wh_buf_json(out, node->keys[i]->text, strlen(node->keys[i]->text)));
        WH_TRY(wh_buf_addc(out, ':'));
        WH_TRY(json_connection(node->items[i], out));
    }
    return wh_buf_addc(out, '}');
}

static int json_streams(const struct wh_job *job, const struct wh_node *node, struct wh_buf *out)
{
    WH_TRY(wh_buf_addc(out, '['));
    for (size_t i = 0; i < node->n; i++) {
        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        WH_TRY(json_settings(node->items[i], &job->streams[i], out));
    }
    return wh_buf_addc(out, ']');
}

int wh_job_to_json(const struct wh_job *job, struct wh_buf *out)
{
    const struct wh_node *tree = job->tree;

    WH_TRY(wh_buf_addc(out, '{'));
    for (size_t i = 0; i < tree->n; i++) {
        const char *key = tree->keys[i]->text;

        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        WH_TRY(wh_buf_json(out, key, strlen(key)));
        WH_TRY(wh_buf_addc(out, ':'));
        if (strcmp(key, "connections") == 0)
            WH_TRY(json_connections(tree->items[i], out));
        else if (strcmp(key, "streams") == 0)
            WH_TRY(json_streams(job, tree->items[i], out));
        else
            WH_TRY(json(tree->items[i], NULL, out));
    }
    return wh_buf_addc(out, '}');
}
