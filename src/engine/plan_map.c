/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping: which source column becomes which destination column (flow->columns, flow->mapped). */
#include "engine/plan_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- projection -------------------------------------------------------------------------------
 */

static bool has_rest(const struct wh_stream *s)
{
    for (size_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].kind == WH_MAP_REST)
            return true;
    return false;
}

static int add_name(struct wh_flow *f, struct wh_arena *arena, const char *name)
{
    for (size_t i = 0; i < f->n_projection; i++)
        if (strcmp(f->projection[i], name) == 0)
            return WH_OK;
    f->projection[f->n_projection] = wh_arena_strdup(arena, name);
    return f->projection[f->n_projection++] ? WH_OK : WH_E_NOMEM;
}

/* The names of the schema that the plan fixed, in its order: the same request gives it again. */
static int frozen_projection(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct ArrowSchema *schema = &f->frozen->source;

    f->projection = wh_arena_alloc(p->arena, ((size_t)schema->n_children + 1) * sizeof(char *));
    for (int64_t i = 0; f->projection && i < schema->n_children; i++)
        if (add_name(f, p->arena, schema->children[i]->name) != WH_OK)
            return wh_plan_no_memory(reterr);
    return f->projection ? WH_OK : wh_plan_no_memory(reterr);
}

int wh_plan_projection(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                       struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;

    f->projection = NULL;
    f->n_projection = 0;
    if (s->n_columns == 0 || !(f->from->connector->caps->flags & WH_CAP_PROJECTION))
        return WH_OK;
    if (frozen)
        return frozen_projection(p, f, reterr);
    if (has_rest(s))
        return WH_OK; /* known when the source has told its columns */
    f->projection = wh_arena_alloc(p->arena, (s->n_columns + 1) * sizeof(char *));
    for (size_t i = 0; f->projection && i < s->n_columns; i++)
        if (s->columns[i].kind == WH_MAP_COLUMN &&
            add_name(f, p->arena, s->columns[i].from) != WH_OK)
            return wh_plan_no_memory(reterr);
    if (!f->projection)
        return wh_plan_no_memory(reterr);
    if (f->n_projection == 0)
        f->projection = NULL; /* constants only: rows are still counted */
    return WH_OK;
}

/* ---- columns ----------------------------------------------------------------------------------
 */

/* Exactly, else without case if only one fits. -1: none, -2: several. */
static int64_t find_column(const struct ArrowSchema *schema, const char *name)
{
    int64_t at = wh_schema_find(schema, wh_str(name), false), found = -1;

    if (at >= 0)
        return at;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (wh_str_ieqs(wh_str(schema->children[i]->name), name)) {
            if (found >= 0)
                return -2;
            found = i;
        }
    return found;
}

static int no_column(const struct wh_flow *f, const char *name, const char *where, int64_t found,
                     struct wh_error *reterr)
{
    const struct ArrowSchema *schema = &f->source_schema;
    const char *names[257];
    size_t n = 0;

    for (; n < 256 && n < (size_t)schema->n_children; n++)
        names[n] = schema->children[n]->name;
    names[n] = NULL;
    int st = wh_fail(reterr, WH_E_USAGE, found == -2 ? "E3009" : "E3002",
                     found == -2 ? "column '%s' of %s fits several when case is ignored"
                                 : "%2$s has no column '%1$s'",
                     name, f->table);
    const char *near = wh_did_you_mean(wh_str(name), names);

    wh_error_where(reterr, "%s", where ? where : f->stream->where_place);
    if (near)
        wh_error_hint(reterr, "did you mean '%s'?", near);
    else
        wh_error_hint(reterr, "see its columns with 'wherry describe'");
    return st;
}

/* Source columns that some line names: `*` leaves them out. */
static int mark_used(const struct wh_flow *f, bool *used, struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;

    for (size_t i = 0; i < s->n_columns; i++) {
        const struct wh_mapping *m = &s->columns[i];

        for (size_t j = 0; m->kind == WH_MAP_REST && j < m->except.n; j++) {
            int64_t at = find_column(&f->source_schema, m->except.v[j]);

            if (at == -1 && f->projection)
                continue; /* the source was asked for the others only */
            if (at < 0)
                return no_column(f, m->except.v[j], m->where, at, reterr);
            used[at] = true;
        }
        if (m->kind != WH_MAP_COLUMN)
            continue;
        int64_t at = find_column(&f->source_schema, m->from);

        if (at < 0)
            return no_column(f, m->from, m->where, at, reterr);
        used[at] = true;
    }
    return WH_OK;
}

/* What `source: table` and its kind are for this flow. */
static int provenance(struct wh_planner *p, const struct wh_flow *f, const struct wh_mapping *m,
                      const char **ret, struct wh_error *reterr)
{
    const struct wh_name *name = &f->source;
    bool files = f->from->connector->storage;
    struct wh_str value = {NULL, 0};

    if (strcmp(m->value, "table") == 0)
        value = wh_str(files ? wh_source_name(p->arena, name)
                             : (name->n ? wh_arena_strndup(p->arena, name->part[name->n - 1].s,
                                                           name->part[name->n - 1].n)
                                        : NULL));
    else if (strcmp(m->value, "schema") == 0 && name->n > 1)
        value = name->part[name->n - 2];
    else if (strcmp(m->value, "connection") == 0)
        value = wh_str(f->from->name);
    else if (strcmp(m->value, "database") == 0 || strcmp(m->value, "host") == 0)
        value = wh_str(wh_node_text(wh_node_get(f->from->options, m->value), NULL));
    else if (strcmp(m->value, "file") == 0 && f->scan.origin)
        value = wh_str(f->scan.origin);
    else if (strcmp(m->value, "file") == 0 && p->plan->no_source)
        value = WH_STR("-"); /* a run that is given up reads nothing, so no row gets it */
    if (!value.s) {
        int st =
            wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                    "'source: %s' has no single value for %s in this build", m->value, f->table);

        wh_error_where(reterr, "%s", m->where);
        return st;
    }
    *ret = wh_arena_strndup(p->arena, value.s, value.n);
    return *ret ? WH_OK : wh_plan_no_memory(reterr);
}

static struct wh_plan_column *next_column(struct wh_flow *f)
{
    struct wh_plan_column *c = &f->columns[f->n_columns++];

    *c = (struct wh_plan_column){.source = -1};
    return c;
}

static int add_rest(struct wh_flow *f, const bool *used)
{
    for (int64_t i = 0; i < f->source_schema.n_children; i++) {
        if (used[i])
            continue;
        struct wh_plan_column *c = next_column(f);

        c->source = i;
        c->name = f->source_schema.children[i]->name;
    }
    return WH_OK;
}

static int add_line(struct wh_planner *p, struct wh_flow *f, const struct wh_mapping *m,
                    const bool *used, struct wh_error *reterr)
{
    if (m->kind == WH_MAP_REST)
        return add_rest(f, used);
    struct wh_plan_column *c = next_column(f);

    c->name = m->to;
    c->declared = m->type;
    c->where = m->where;
    if (m->kind == WH_MAP_COLUMN) {
        c->source = find_column(&f->source_schema, m->from);
        return WH_OK;
    }
    c->value = m->value;
    c->origin = m->kind == WH_MAP_PROVENANCE && strcmp(m->value, "file") == 0;
    return m->kind == WH_MAP_PROVENANCE ? provenance(p, f, m, &c->value, reterr) : WH_OK;
}

static int list_columns(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;
    size_t n = (size_t)f->source_schema.n_children;
    bool *used = wh_arena_alloc(p->arena, n + 1);

    f->columns = wh_arena_alloc(p->arena, (n + s->n_columns) * sizeof *f->columns);
    f->n_columns = 0;
    if (!used || !f->columns)
        return wh_plan_no_memory(reterr);
    if (s->n_columns == 0)
        return add_rest(f, used);
    WH_TRY(mark_used(f, used, reterr));
    for (size_t i = 0; i < s->n_columns; i++)
        WH_TRY(add_line(p, f, &s->columns[i], used, reterr));
    return WH_OK;
}

static int check_names(const struct wh_flow *f, struct wh_error *reterr)
{
    if (f->n_columns == 0)
        return wh_fail(reterr, WH_E_USAGE, "E1067", "%s: no column is left to copy", f->table);
    for (int64_t i = 0; i < f->n_columns; i++) {
        if (!f->columns[i].name || !*f->columns[i].name)
            return wh_fail(reterr, WH_E_USAGE, "E3013", "%s: column %lld has no name", f->table,
                           (long long)i + 1);
        for (int64_t j = 0; j < i; j++)
            if (strcmp(f->columns[i].name, f->columns[j].name) == 0)
                return wh_fail(reterr, WH_E_USAGE, "E3008", "%s: two columns are named '%s'",
                               f->table, f->columns[i].name);
    }
    return WH_OK;
}

/* ---- types that the job declares --------------------------------------------------------------
 */

/* `types:` and the source's own names; a name that fits no column is an error. */
static int declare_types(struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_map *types = &f->stream->types;

    for (size_t i = 0; i < types->n; i++) {
        int64_t at = find_column(&f->source_schema, types->v[i].key);
        bool named = false;

        for (int64_t j = 0; j < f->n_columns; j++) {
            struct wh_plan_column *c = &f->columns[j];

            if (c->source >= 0 ? c->source == at : strcmp(c->name, types->v[i].key) == 0) {
                c->declared = c->declared ? c->declared : types->v[i].value;
                named = true;
            }
        }
        if (!named && at < 0)
            return no_column(f, types->v[i].key, f->stream->where_place, at, reterr);
    }
    return WH_OK;
}

/* A text that was read as a number is not the text any more ("1.50"): a source of text must take
 * declared types itself. */
static int check_declared(const struct wh_flow *f, const struct wh_plan_column *c,
                          struct wh_error *reterr)
{
    const struct ArrowSchema *from = f->source_schema.children[c->source];
    struct wh_type read, declared;
    struct wh_str guessed;

    if (!f->from->connector->storage || !wh_meta_get(from, WH_META_GUESSED, &guessed))
        return WH_OK;
    WH_TRY(wh_type_of(from, &read, reterr));
    if (!wh_type_parse(c->declared, &declared) || read.kind == WH_K_UTF8 ||
        read.kind == declared.kind)
        return WH_OK;
    return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                   "%s reads '%s' by its own guess and cannot take the declared type %s",
                   f->from->connector->name, from->name, c->declared);
}

static int keep_meta(const struct ArrowSchema *from, const char *key, struct ArrowSchema *to)
{
    struct wh_str value;
    char text[512];

    if (!wh_meta_get(from, key, &value) || value.n >= sizeof text)
        return WH_OK;
    memcpy(text, value.s, value.n);
    text[value.n] = 0;
    return wh_meta_set(to, key, text);
}

static int declared_field(const struct wh_flow *f, const struct wh_plan_column *c,
                          struct ArrowSchema *ret, struct wh_error *reterr)
{
    const struct ArrowSchema *from = c->source >= 0 ? f->source_schema.children[c->source] : NULL;

    if (from && c->declared)
        WH_TRY(check_declared(f, c, reterr));
    WH_TRY(wh_field_parse(c->declared ? c->declared : "text", c->name, ret, reterr));
    if (!from) {
        if (c->value)
            ret->flags &= ~(int64_t)ARROW_FLAG_NULLABLE;
        return WH_OK;
    }
    if (!(from->flags & ARROW_FLAG_NULLABLE))
        ret->flags &= ~(int64_t)ARROW_FLAG_NULLABLE;
    WH_TRY(keep_meta(from, WH_META_KEY, ret));
    return keep_meta(from, WH_META_COMMENT, ret);
}

static int mapped_field(const struct wh_flow *f, const struct wh_plan_column *c,
                        struct ArrowSchema *ret, struct wh_error *reterr)
{
    if (c->source < 0 || c->declared)
        return declared_field(f, c, ret, reterr);
    const struct ArrowSchema *from = f->source_schema.children[c->source];

    WH_TRY(wh_schema_copy(from, ret));
    return strcmp(from->name, c->name) == 0 ? WH_OK : wh_field_rename(ret, c->name);
}

/* The destination may know of losses that no pair of types shows: it is told what was accepted. */
static int tell_accepted(const struct wh_stream *s, const char *name, struct ArrowSchema *field)
{
    for (size_t i = 0; i < s->accept_lossy.n; i++)
        if (strcmp(s->accept_lossy.v[i], name) == 0)
            return wh_meta_set(field, WH_META_LOSSY, "1");
    return WH_OK;
}

/* The declared length of a text, times `times` (0: none); the source's own type goes with it. */
static int stretch(struct ArrowSchema *field, int times)
{
    struct wh_type t;
    struct wh_error err;
    char text[24];

    if (wh_type_of(field, &t, &err) != WH_OK || t.kind != WH_K_UTF8 || t.length <= 0)
        return WH_OK;
    snprintf(text, sizeof text, "%lld", (long long)t.length * times);
    WH_TRY(wh_meta_set(field, WH_META_TYPE, NULL));
    return wh_meta_set(field, WH_META_LENGTH, times ? text : NULL);
}

/* What the job does not want of the source's table in one that is made. */
static int drop_what_is_said(const struct wh_stream *s, struct ArrowSchema *field)
{
    static const int times[] = {1, 3, 4, 0};
    struct wh_str key;

    if (s->drop.keys)
        WH_TRY(wh_meta_set(field, WH_META_KEY, NULL));
    if (s->drop.comments)
        WH_TRY(wh_meta_set(field, WH_META_COMMENT, NULL));
    if (s->drop.not_null && !wh_meta_get(field, WH_META_KEY, &key)) /* keys are never null */
        field->flags |= ARROW_FLAG_NULLABLE;
    return s->drop.text_length ? stretch(field, times[s->drop.text_length]) : WH_OK;
}

/* All columns as they are. */
static bool as_is(const struct wh_stream *s)
{
    return s->n_columns == 0 && s->types.n == 0 && s->accept_lossy.n == 0 && !s->drop.keys &&
           !s->drop.comments && !s->drop.not_null && !s->drop.text_length;
}

int wh_plan_mapping(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    WH_TRY(list_columns(p, f, reterr));
    WH_TRY(check_names(f, reterr));
    WH_TRY(declare_types(f, reterr));
    if (as_is(f->stream)) { /* with thousands of tables a copy of each would be felt */
        wh_schema_lend(&f->source_schema, &f->mapped);
        return WH_OK;
    }
    if (wh_schema_init(&f->mapped, f->n_columns) != WH_OK)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < f->n_columns; i++) {
        int st = mapped_field(f, &f->columns[i], f->mapped.children[i], reterr);

        if (st == WH_OK)
            st = tell_accepted(f->stream, f->columns[i].name, f->mapped.children[i]);
        if (st == WH_OK)
            st = drop_what_is_said(f->stream, f->mapped.children[i]);
        if (st == WH_E_NOMEM)
            return wh_plan_no_memory(reterr);
        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}
