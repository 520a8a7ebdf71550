/* SPDX-License-Identifier: Apache-2.0 */
/* Mapping: which source column becomes which destination column (flow->columns, flow->mapped). */
#include "engine/made.h"
#include "engine/plan_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- projection -------------------------------------------------------------------------------
 */

static bool has_line(const struct wh_stream *s, int kind)
{
    for (size_t i = 0; i < s->n_columns; i++)
        if ((int)s->columns[i].kind == kind)
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

bool wh_plan_is_extra(const struct ArrowSchema *field)
{
    struct wh_str any;

    return wh_meta_get(field, WH_META_PLACE, &any) || wh_meta_get(field, WH_META_COMPUTED, &any);
}

static bool asks_place(const struct wh_mapping *m)
{
    return m->kind == WH_MAP_PROVENANCE &&
           (strcmp(m->value, "line") == 0 || strcmp(m->value, "offset") == 0);
}

const char *const *wh_plan_places(const struct wh_planner *p, const struct wh_stream *s)
{
    const char **out = NULL;
    size_t n = 0;

    for (size_t i = 0; i < s->n_columns; i++) {
        bool twice = false;

        if (!asks_place(&s->columns[i]))
            continue;
        if (!out)
            out = wh_arena_alloc(p->arena, (s->n_columns + 1) * sizeof *out);
        for (size_t j = 0; out && j < n; j++)
            twice |= strcmp(out[j], s->columns[i].value) == 0;
        if (out && !twice)
            out[n++] = s->columns[i].value;
    }
    return out;
}

wh_status wh_plan_computed(const struct wh_planner *p, const struct wh_stream *s,
                           struct wh_scan *io)
{
    struct wh_computed *v;

    if (!has_line(s, WH_MAP_COMPUTED))
        return WH_OK;
    v = wh_arena_alloc(p->arena, s->n_columns * sizeof *v);
    if (!v)
        return WH_E_NOMEM;
    for (size_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].kind == WH_MAP_COMPUTED)
            v[io->n_computed++] = (struct wh_computed){s->columns[i].to, s->columns[i].value};
    io->computed = v;
    return WH_OK;
}

const char *wh_plan_computed_where(const struct wh_stream *s, size_t number)
{
    for (size_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].kind == WH_MAP_COMPUTED && --number == 0)
            return s->columns[i].where;
    return s->where_place;
}

/* The names of the schema that the plan fixed, in its order: the same request gives it again. */
static int frozen_projection(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct ArrowSchema *schema = &f->frozen->source;

    f->projection = wh_arena_alloc(p->arena, ((size_t)schema->n_children + 1) * sizeof(char *));
    for (int64_t i = 0; f->projection && i < schema->n_children; i++)
        if (!wh_plan_is_extra(schema->children[i]) &&
            add_name(f, p->arena, schema->children[i]->name) != WH_OK)
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
    if (has_line(s, WH_MAP_REST) || has_line(s, WH_MAP_PACKED))
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

    if (at >= 0 && !wh_plan_is_extra(schema->children[at]))
        return at;
    for (int64_t i = 0; i < schema->n_children; i++)
        if (!wh_plan_is_extra(schema->children[i]) &&
            wh_str_ieqs(wh_str(schema->children[i]->name), name)) {
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

/* Source columns that some line names: `*` leaves them out, and those that it excepts. */
static int mark_used(const struct wh_flow *f, bool *used, bool *excepted, struct wh_error *reterr)
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
            excepted[at] = true;
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

        wh_error_hint(reterr, "leave the column out, or write 'value: TEXT' in its place");

        wh_error_where(reterr, "%s", m->where);
        return st;
    }
    *ret = wh_arena_strndup(p->arena, value.s, value.n);
    return *ret ? WH_OK : wh_plan_no_memory(reterr);
}

/* The scan's column that tells where rows stand. */
static int place_column(const struct wh_flow *f, const struct wh_mapping *m, int64_t *ret,
                        struct wh_error *reterr)
{
    struct wh_str place;
    bool files = f->from->connector->storage;

    for (int64_t i = 0; i < f->source_schema.n_children; i++)
        if (wh_meta_get(f->source_schema.children[i], WH_META_PLACE, &place) &&
            wh_str_eqs(place, m->value)) {
            *ret = i;
            return WH_OK;
        }
    int st =
        files
            ? wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                      "'source: %s': rows of %s do not stand so in their file, which is packed, in "
                      "another encoding, or copied as it is",
                      m->value, f->table)
            : wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                      "'source: %s': rows of %s stand in no file", m->value,
                      f->from->connector->name);

    wh_error_where(reterr, "%s", m->where);
    wh_error_hint(reterr,
                  files ? "'source: file' is told of them, and of texts 'line'" : "leave it out");
    return st;
}

/* The scan's column for this line: those that are computed are told in the order of the lines. */
static int computed_column(const struct wh_flow *f, const struct wh_mapping *m,
                           struct wh_plan_column *c, struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;
    struct wh_str how;
    size_t number = 0;

    for (const struct wh_mapping *l = s->columns; l < m; l++)
        number += l->kind == WH_MAP_COMPUTED;
    for (int64_t i = 0; i < f->source_schema.n_children; i++)
        if (wh_meta_get(f->source_schema.children[i], WH_META_COMPUTED, &how) && number-- == 0) {
            c->source = i;
            c->computed = m->value;
            c->varies = !wh_str_eqs(how, "same");
            return WH_OK;
        }
    int st =
        wh_fail(reterr, WH_E_UNSUPPORTED, "E1014", "%s computes no columns: source_expr of '%s'",
                f->from->connector->name, m->to);

    wh_error_where(reterr, "%s", m->where);
    wh_error_hint(reterr,
                  "databases do (postgresql, sqlite); here 'convert:' changes a column, and "
                  "'value:' gives every row the same");
    return st;
}

static struct wh_plan_column *next_column(struct wh_flow *f)
{
    struct wh_plan_column *c = &f->columns[f->n_columns++];

    *c = (struct wh_plan_column){.source = -1};
    return c;
}

static int add_rest(struct wh_flow *f, const bool *used, const bool *excepted)
{
    for (int64_t i = 0; i < f->source_schema.n_children; i++) {
        if (used[i] || excepted[i] || wh_plan_is_extra(f->source_schema.children[i]))
            continue;
        struct wh_plan_column *c = next_column(f);

        c->source = i;
        c->name = f->source_schema.children[i]->name;
    }
    return WH_OK;
}

/* What no other line uses; beside a `*` that is what it excepts. */
static int pack_rest(struct wh_planner *p, struct wh_flow *f, struct wh_made *made,
                     const bool *used, const bool *excepted, struct wh_error *reterr)
{
    int64_t n = f->source_schema.n_children;
    bool taken = has_line(f->stream, WH_MAP_REST);
    int64_t *members = wh_arena_alloc(p->arena, ((size_t)n + 1) * sizeof *members);

    if (!members)
        return wh_plan_no_memory(reterr);
    *made = (struct wh_made){.source = -1, .members = members};
    for (int64_t i = 0; i < n; i++)
        if (!used[i] && (!taken || excepted[i]) && !wh_plan_is_extra(f->source_schema.children[i]))
            members[made->n_members++] = i;
    return WH_OK;
}

static int add_line(struct wh_planner *p, struct wh_flow *f, const struct wh_mapping *m,
                    const bool *used, const bool *excepted, struct wh_error *reterr)
{
    if (m->kind == WH_MAP_REST)
        return add_rest(f, used, excepted);
    struct wh_plan_column *c = next_column(f);

    c->name = m->to;
    c->declared = m->type;
    c->where = m->where;
    if (m->kind == WH_MAP_PACKED) {
        c->made = ++f->n_made;
        return pack_rest(p, f, &f->made[c->made - 1], used, excepted, reterr);
    }
    if (m->kind == WH_MAP_COLUMN) {
        c->source = find_column(&f->source_schema, m->from);
        if (m->convert.n == 0)
            return WH_OK;
        c->made = ++f->n_made;
        f->made[c->made - 1] = (struct wh_made){.chain = &m->convert, .source = c->source};
        c->source = -1;
        return WH_OK;
    }
    if (asks_place(m))
        return place_column(f, m, &c->source, reterr);
    if (m->kind == WH_MAP_COMPUTED)
        return computed_column(f, m, c, reterr);
    c->value = m->value;
    c->origin = m->kind == WH_MAP_PROVENANCE && strcmp(m->value, "file") == 0;
    return m->kind == WH_MAP_PROVENANCE ? provenance(p, f, m, &c->value, reterr) : WH_OK;
}

static int list_columns(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_stream *s = f->stream;
    size_t n = (size_t)f->source_schema.n_children;
    bool *used = wh_arena_alloc(p->arena, n + 1), *excepted = wh_arena_alloc(p->arena, n + 1);

    f->columns = wh_arena_alloc(p->arena, (n + s->n_columns) * sizeof *f->columns);
    f->n_columns = f->n_made = 0;
    if (!used || !excepted || !f->columns)
        return wh_plan_no_memory(reterr);
    if (s->n_columns == 0)
        return add_rest(f, used, excepted);
    f->made = wh_arena_alloc(p->arena, s->n_columns * sizeof *f->made);
    if (!f->made)
        return wh_plan_no_memory(reterr);
    WH_TRY(mark_used(f, used, excepted, reterr));
    for (size_t i = 0; i < s->n_columns; i++)
        WH_TRY(add_line(p, f, &s->columns[i], used, excepted, reterr));
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

static bool takes_all(const struct wh_stream *s)
{
    for (size_t i = 0; i < s->n_columns; i++)
        if (s->columns[i].kind == WH_MAP_REST)
            return true;
    return s->n_columns == 0;
}

/* Only what is selected was asked of the source: whether it has the others is not known. */
static int not_selected(const struct wh_flow *f, const char *name, struct wh_error *reterr)
{
    int st =
        wh_fail(reterr, WH_E_USAGE, "E3002",
                "'%s' of %s is given a type, but 'columns' does not select it", name, f->table);

    wh_error_where(reterr, "%s", f->stream->where_place);
    wh_error_hint(reterr, "add it to the columns, or leave its type away");
    return st;
}

/* `types:` and the source's own names; a name that fits no column is an error. */
static int declare_types(struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_map *types = &f->stream->types;

    for (size_t i = 0; i < types->n; i++) {
        int64_t at = find_column(&f->source_schema, types->v[i].key);
        bool named = false;

        for (int64_t j = 0; j < f->n_columns; j++) {
            struct wh_plan_column *c = &f->columns[j];

            if (c->made && f->made[c->made - 1].chain) { /* what its first function gets */
                named = named || f->made[c->made - 1].source == at;
                continue;
            }
            if (c->source >= 0 ? c->source == at : strcmp(c->name, types->v[i].key) == 0) {
                c->declared = c->declared ? c->declared : types->v[i].value;
                named = true;
            }
        }
        if (!named && at < 0 && !takes_all(f->stream))
            return not_selected(f, types->v[i].key, reterr);
        if (!named && at < 0)
            return no_column(f, types->v[i].key, f->stream->where_place, at, reterr);
    }
    return WH_OK;
}

static bool among(const struct wh_map *map, size_t n, const char *key)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(map->v[i].key, key) == 0)
            return true;
    return false;
}

/* All columns that are made of m's, as they are, in m's type: then that is how it is read. */
static bool one_type(const struct wh_stream *s, const struct wh_mapping *m)
{
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct wh_mapping *other = &s->columns[i];

        if (other->kind == WH_MAP_COLUMN && strcmp(other->from, m->from) == 0 &&
            (other->convert.n > 0 || !other->type || strcmp(other->type, m->type) != 0))
            return false;
    }
    return true;
}

const struct wh_map *wh_plan_read_types(const struct wh_planner *p, const struct wh_flow *f)
{
    const struct wh_stream *s = f->stream;
    const struct wh_map *said = s->types.n ? &s->types : NULL;

    if (!f->from->connector->storage)
        return said;
    struct wh_map *map = wh_arena_alloc(p->arena, sizeof *map);
    struct wh_pair *v =
        wh_arena_alloc(p->arena, (s->types.n + s->n_columns + 1) * sizeof(struct wh_pair));

    if (!map || !v)
        return said;
    *map = (struct wh_map){v, s->types.n};
    for (size_t i = 0; i < s->types.n; i++)
        v[i] = s->types.v[i];
    for (size_t i = 0; i < s->n_columns; i++) {
        const struct wh_mapping *m = &s->columns[i];

        if (m->kind == WH_MAP_COLUMN && m->type && one_type(s, m) && !among(map, map->n, m->from))
            v[map->n++] = (struct wh_pair){m->from, m->type};
    }
    return map->n > 0 ? map : NULL;
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
    wh_ignore(wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                      "%s reads '%s' by its own guess and cannot take the declared type %s",
                      f->from->connector->name, from->name, c->declared));
    wh_error_hint(reterr, "declare it for all columns that are made of it: types: { %s: %s }",
                  from->name, c->declared);
    return WH_E_UNSUPPORTED;
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
    const struct ArrowSchema *from = wh_flow_field(f, c);

    if (c->source >= 0 && c->declared)
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
    const struct ArrowSchema *from = wh_flow_field(f, c);

    if (!from || c->declared)
        return declared_field(f, c, ret, reterr);

    WH_TRY(wh_schema_copy(from, ret));
    WH_TRY(wh_meta_set(ret, WH_META_PLACE, NULL));
    WH_TRY(wh_meta_set(ret, WH_META_COMPUTED, NULL));
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
    WH_TRY(wh_plan_made(f, reterr));
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
