/* SPDX-License-Identifier: Apache-2.0 */
/* `columns:` and `types:`: lists and maps of a job file, or one text of a flag. */
#include "engine/job_internal.h"

#include <string.h>

static struct wh_str trim(struct wh_str s)
{
    while (s.n && strchr(" \t\n", s.s[0]))
        s = (struct wh_str){s.s + 1, s.n - 1};
    while (s.n && strchr(" \t\n", s.s[s.n - 1]))
        s.n--;
    return s;
}

/* Bytes up to the next `stop` outside of brackets and double quotes. */
static size_t up_to(struct wh_str s, char stop)
{
    int depth = 0;
    bool quoted = false;
    size_t i = 0;

    for (; i < s.n; i++) {
        char c = s.s[i];

        if (c == '"')
            quoted = !quoted;
        else if (!quoted && (c == '(' || c == '<'))
            depth++;
        else if (!quoted && (c == ')' || c == '>'))
            depth--;
        else if (!quoted && depth <= 0 && c == stop)
            break;
    }
    return i;
}

/* A name, out of its double quotes if it has some; NULL (told) if it is empty. */
static const char *column_name(struct wh_job_reading *r, struct wh_str s, const char *where)
{
    s = trim(s);
    if (s.n >= 2 && s.s[0] == '"' && s.s[s.n - 1] == '"') {
        char *out = wh_arena_alloc(r->arena, s.n);
        size_t n = 0;

        for (size_t i = 1; out && i + 1 < s.n; i++) {
            out[n++] = s.s[i];
            i += s.s[i] == '"';
        }
        return out;
    }
    if (s.n)
        return wh_arena_strndup(r->arena, s.s, s.n);
    wh_problem_add(r->problems, "E1067", where, "write 'id,new=old' (left is the destination)",
                   "a column name is empty");
    return NULL;
}

/* ---- columns ----------------------------------------------------------------------------------
 */

static struct wh_mapping *add_mapping(struct wh_job_reading *r, struct wh_stream *s,
                                      const char *where)
{
    if ((s->n_columns & (s->n_columns + 1)) == 0) { /* room for 1, 3, 7, 15... */
        size_t cap = s->n_columns * 2 + 2;
        struct wh_mapping *grown = wh_arena_alloc(r->arena, cap * sizeof *grown);

        if (!grown) {
            wh_job_no_memory(r);
            return NULL;
        }
        if (s->n_columns)
            memcpy(grown, s->columns, s->n_columns * sizeof *grown);
        s->columns = grown;
    }
    struct wh_mapping *m = &s->columns[s->n_columns++];

    *m = (struct wh_mapping){.where = where};
    return m;
}

/* "* except (a, b)" behind its star. */
static bool read_except(struct wh_job_reading *r, struct wh_str rest, const char *where,
                        struct wh_mapping *m)
{
    m->kind = WH_MAP_REST;
    rest = trim(rest);
    if (rest.n == 0)
        return true;
    if (wh_str_starts(rest, "except"))
        rest = trim((struct wh_str){rest.s + 6, rest.n - 6});
    else
        rest.n = 0;
    if (rest.n < 2 || rest.s[0] != '(' || rest.s[rest.n - 1] != ')') {
        wh_problem_add(r->problems, "E1067", where, "write '* except (a, b)'",
                       "after * only 'except (...)' may follow");
        return false;
    }
    rest = (struct wh_str){rest.s + 1, rest.n - 2};
    m->except.v = wh_arena_alloc(r->arena, (rest.n + 1) * sizeof *m->except.v);
    while (m->except.v && rest.n) {
        size_t n = up_to(rest, ',');
        const char *name = column_name(r, (struct wh_str){rest.s, n}, where);

        if (!name)
            return false;
        m->except.v[m->except.n++] = name;
        rest = n < rest.n ? (struct wh_str){rest.s + n + 1, rest.n - n - 1} : WH_STR("");
    }
    return m->except.v || wh_job_no_memory(r);
}

/* id, new=old, *, * except (a) */
static bool text_column(struct wh_job_reading *r, struct wh_str text, const char *where,
                        struct wh_stream *s)
{
    struct wh_mapping *m = add_mapping(r, s, where);

    text = trim(text);
    if (!m)
        return false;
    if (text.n && text.s[0] == '*')
        return read_except(r, (struct wh_str){text.s + 1, text.n - 1}, where, m);
    size_t eq = up_to(text, '=');

    m->kind = WH_MAP_COLUMN;
    m->to = column_name(r, (struct wh_str){text.s, eq}, where);
    m->from = m->to;
    if (m->to && eq < text.n)
        m->from = column_name(r, (struct wh_str){text.s + eq + 1, text.n - eq - 1}, where);
    return m->to && m->from;
}

static bool text_columns(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    struct wh_str rest = wh_str(node->text);
    bool ok = true;

    do {
        size_t n = up_to(rest, ',');

        ok = text_column(r, (struct wh_str){rest.s, n}, wh_job_where(r, node), s) && ok;
        rest = n < rest.n ? (struct wh_str){rest.s + n + 1, rest.n - n - 1} : WH_STR("");
    } while (rest.n);
    return ok;
}

const struct wh_job_key wh_job_column_keys[] = {
    {"from"},
    {"to"},
    {"type"},
    {"value"},
    {"source"},
    {"expr", true, "change a column by 'convert:', or let the source compute it: source_expr",
     WH_NO_EXPRESSIONS},
    {"source_expr"},
    {"convert"},
    {"rest"},
    {NULL}};

static bool read_source(struct wh_job_reading *r, const struct wh_node *node, struct wh_mapping *m)
{
    static const char *const known[] = {"connection", "host", "database", "schema", "table",
                                        "file",       "line", "offset",   NULL};
    static const struct {
        const char *word, *why, *hint;
    } refused[] = {
        {"partition", "it names a part of a message queue, and no source here is one",
         "file, line and offset tell where a row of a file stands"},
        {"key", "it is the key of a message, and no source here has messages",
         "name the column that is the key"},
        {"unit",
         "which rows travel together changes with the size of units and with a resume, so "
         "that it says nothing about a row",
         "file, line and offset stay the same"},
    };
    const char *text = wh_node_text(node, "");

    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        if (strcmp(text, refused[i].word) == 0) {
            wh_problem_add(r->problems, "E1014", wh_job_where(r, node), refused[i].hint,
                           "'source: %s' is not offered: %s", text, refused[i].why);
            return false;
        }
    for (size_t i = 0; known[i]; i++)
        if (strcmp(text, known[i]) == 0) {
            m->kind = WH_MAP_PROVENANCE;
            m->value = known[i];
            return true;
        }
    const char *near = wh_did_you_mean(wh_str(text), known);

    wh_problem_add(r->problems, "E1002", wh_job_where(r, node),
                   near ? near : "one of connection host database schema table file line offset",
                   "'source: %s' is not known", text);
    return false;
}

static const char *text_of(struct wh_job_reading *r, const struct wh_node *node)
{
    const char *text = wh_node_text(node, NULL);

    if (!node)
        return NULL;
    if (!text) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), NULL, "a text is wanted here");
        return NULL;
    }
    return wh_reference_resolve(r->arena, text, false, wh_job_where(r, node), r->problems);
}

static bool check_type(struct wh_job_reading *r, const char *text, const struct wh_node *node)
{
    struct wh_type type;

    if (wh_type_parse(text, &type))
        return true;
    wh_problem_add(r->problems, "E1002", wh_job_where(r, node),
                   "int32 int64 double decimal(18,2) text boolean date timestamp ...",
                   "'%s' is no type", text);
    return false;
}

/* SQL of the source: one value of each row. */
static bool read_computed(struct wh_job_reading *r, const struct wh_node *node,
                          struct wh_mapping *m)
{
    const char *text = text_of(r, node);

    m->kind = WH_MAP_COMPUTED;
    m->value = text;
    if (!text || text[strspn(text, " \t\r\n")])
        return text;
    wh_problem_add(r->problems, "E1067", wh_job_where(r, node),
                   "write { to: b, source_expr: 'a * 2' }", "source_expr is empty");
    return false;
}

/* What a column is made of beside from and value. */
static bool read_made(struct wh_job_reading *r, const struct wh_node *node, struct wh_mapping *m)
{
    const struct wh_node *convert = wh_node_get(node, "convert"), *rest = wh_node_get(node, "rest");

    if (convert && m->kind != WH_MAP_COLUMN) {
        wh_problem_add(r->problems, "E1067", wh_job_where(r, convert),
                       "write { from: a, convert: trim }",
                       "convert: changes a column of the source, and 'from' names it");
        return false;
    }
    if (rest && strcmp(wh_node_text(rest, ""), "json") != 0) {
        wh_problem_add(r->problems, "E1002", wh_job_where(r, rest), "write rest: json",
                       "'rest: %s' is not known", wh_node_text(rest, ""));
        return false;
    }
    return !convert || wh_job_convert(r, convert, &m->convert);
}

/* { from, to, type, convert } | { to, value, type } | { to, source } | { to, rest } |
 * { to, source_expr, type } */
static bool map_column(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    struct wh_mapping *m = add_mapping(r, s, wh_job_where(r, node));
    const struct wh_node *type = wh_node_get(node, "type"), *value = wh_node_get(node, "value"),
                         *source = wh_node_get(node, "source"), *from = wh_node_get(node, "from"),
                         *rest = wh_node_get(node, "rest"),
                         *computed = wh_node_get(node, "source_expr");
    bool ok = m;

    for (size_t i = 0; i < node->n; i++)
        ok = wh_job_key_allowed(r, wh_job_column_keys, node->keys[i], "a column") && ok;
    if (!ok)
        return false;
    m->kind = WH_MAP_COLUMN;
    m->from = text_of(r, from);
    m->to = text_of(r, wh_node_get(node, "to"));
    m->type = text_of(r, type);
    if (value) {
        m->kind = WH_MAP_VALUE;
        m->value = text_of(r, value);
        ok = m->value;
    } else if (source) {
        ok = read_source(r, source, m);
    } else if (computed) {
        ok = read_computed(r, computed, m);
    } else if (rest) {
        m->kind = WH_MAP_PACKED;
        m->value = "json";
    }
    ok = read_made(r, node, m) && ok;
    if (!m->to)
        m->to = m->from;
    if (m->type && !check_type(r, m->type, type))
        return false;
    if (!!from + !!value + !!source + !!rest + !!computed != 1 || !m->to) {
        wh_problem_add(r->problems, "E1067", m->where,
                       "write { from: a, to: b }, { to: b, value: x } or { to: b, source: table }",
                       !m->to
                           ? "the column has no name: 'to' is missing"
                           : "a column comes from exactly one of from, value, source, source_expr, "
                             "rest");
        return false;
    }
    return ok;
}

static bool check_doubles(struct wh_job_reading *r, const struct wh_stream *s)
{
    bool rest = false, packed = false, ok = true;

    for (size_t i = 0; i < s->n_columns; i++) {
        const struct wh_mapping *m = &s->columns[i];

        if (m->kind == WH_MAP_REST) {
            if (rest)
                wh_problem_add(r->problems, "E1067", m->where, NULL, "* stands twice");
            ok = !rest && ok;
            rest = true;
            continue;
        }
        if (m->kind == WH_MAP_PACKED && packed) {
            wh_problem_add(r->problems, "E1067", m->where, NULL, "'rest' stands twice");
            ok = false;
        }
        packed = packed || m->kind == WH_MAP_PACKED;
        for (size_t j = 0; j < i; j++)
            if (s->columns[j].kind != WH_MAP_REST && strcmp(s->columns[j].to, m->to) == 0) {
                wh_problem_add(r->problems, "E1067", m->where, NULL,
                               "the destination's column '%s' is named twice", m->to);
                ok = false;
            }
    }
    return ok;
}

bool wh_job_columns(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    bool ok = true;

    s->columns = NULL;
    s->n_columns = 0;
    if (node->kind == WH_NODE_SCALAR) {
        ok = text_columns(r, node, s);
    } else if (node->kind == WH_NODE_LIST && node->n) {
        for (size_t i = 0; i < node->n; i++) {
            const struct wh_node *item = node->items[i];
            const char *text = wh_node_text(item, NULL);

            if (item->kind == WH_NODE_MAP)
                ok = map_column(r, item, s) && ok;
            else if (text)
                ok = text_column(r, wh_str(text), wh_job_where(r, item), s) && ok;
            else {
                wh_problem_add(r->problems, "E1041", wh_job_where(r, item), NULL,
                               "a column is a name or a map");
                ok = false;
            }
        }
    } else {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), "leave it out for all columns",
                       "columns: wants a list");
        return false;
    }
    return ok && check_doubles(r, s);
}

/* ---- types ------------------------------------------------------------------------------------
 */

static bool add_type(struct wh_job_reading *r, struct wh_stream *s, const char *column,
                     const char *type, const struct wh_node *node)
{
    if (!column || !type || !check_type(r, type, node))
        return false;
    s->types.v[s->types.n++] = (struct wh_pair){column, type};
    return true;
}

static bool text_types(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    struct wh_str rest = wh_str(node->text);
    const char *where = wh_job_where(r, node);
    bool ok = true;

    while (rest.n) {
        size_t n = up_to(rest, ','), eq = up_to((struct wh_str){rest.s, n}, '=');

        if (eq >= n) {
            wh_problem_add(r->problems, "E1067", where, "write 'c=decimal(18,2),d=text'",
                           "'%.*s' is no COLUMN=TYPE", (int)n, rest.s);
            return false;
        }
        struct wh_str type = trim((struct wh_str){rest.s + eq + 1, n - eq - 1});

        ok = add_type(r, s, column_name(r, (struct wh_str){rest.s, eq}, where),
                      wh_arena_strndup(r->arena, type.s, type.n), node) &&
             ok;
        rest = n < rest.n ? (struct wh_str){rest.s + n + 1, rest.n - n - 1} : WH_STR("");
    }
    return ok;
}

bool wh_job_types(struct wh_job_reading *r, const struct wh_node *node, struct wh_stream *s)
{
    size_t most = node->kind == WH_NODE_SCALAR ? strlen(node->text) : node->n;
    bool ok = true;

    s->types = (struct wh_map){.v = wh_arena_alloc(r->arena, (most + 1) * sizeof *s->types.v)};
    if (!s->types.v)
        return wh_job_no_memory(r);
    if (node->kind == WH_NODE_SCALAR)
        return text_types(r, node, s);
    if (node->kind != WH_NODE_MAP) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), "types: { c: 'decimal(18,2)' }",
                       "types: wants a map of columns");
        return false;
    }
    for (size_t i = 0; i < node->n; i++)
        ok = add_type(r, s, node->keys[i]->text, text_of(r, node->items[i]), node->items[i]) && ok;
    return ok;
}
