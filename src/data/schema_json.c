/* SPDX-License-Identifier: Apache-2.0 */
/* Schemas as JSON, for the state store and fingerprints:
 *
 *   {"columns":[{"name":"id","type":"int64","nullable":false,"meta":{"wherry.key":"1"}},
 *               {"name":"tags","type":"list","nullable":true,
 *                "children":[{"name":"item","type":"utf8(20)","nullable":true}]}]}
 *
 * Lists, structs and maps have their children, dictionaries the type "dictionary<utf8>". Length and
 * logical are part of the type's words, so they are not repeated in "meta". */
#include "core/tree.h"
#include "data/type.h"
#include "data/internal.h"

#include <stdio.h>
#include <string.h>

#define DEPTH_MAX   32
#define COLUMNS_MAX 100000
#define ARENA_MAX   ((size_t)64 << 20)

/* ------------------------------------------------------------------- writing */

/* Do the type's words already say this pair? */
static bool in_words(const struct wh_type *t, struct wh_str key, struct wh_str value)
{
    char length[24];

    if (wh_str_eqs(key, WH_META_LOGICAL))
        return wh_str_eqs(value,
                          t->kind == WH_K_DECTEXT ? "decimal_text" : wh_logical_name(t->logical)) &&
               value.n > 0;
    if (!wh_str_eqs(key, WH_META_LENGTH) || (t->kind != WH_K_UTF8 && t->kind != WH_K_BINARY))
        return false;
    snprintf(length, sizeof length, "%lld", (long long)t->length);
    return t->length > 0 && wh_str_eqs(value, length);
}

static wh_status put_meta(const struct ArrowSchema *field, const struct wh_type *t,
                          struct wh_buf *b)
{
    struct wh_str key, value;
    bool any = false;

    for (int64_t i = 0; wh_meta_each(field, i, &key, &value); i++) {
        if (in_words(t, key, value))
            continue;
        WH_TRY(wh_buf_adds(b, any ? "," : ",\"meta\":{"));
        WH_TRY(wh_buf_json(b, key.s, key.n));
        WH_TRY(wh_buf_addc(b, ':'));
        WH_TRY(wh_buf_json(b, value.s, value.n));
        any = true;
    }
    return any ? wh_buf_addc(b, '}') : WH_OK;
}

static wh_status put_field(const struct ArrowSchema *field, int depth, struct wh_buf *b)
{
    struct wh_buf words WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_type t;
    const char *name = field->name ? field->name : "";

    if (depth > DEPTH_MAX)
        return WH_E_TYPE;
    WH_TRY(wh_type_of(field, &t, NULL));
    bool children = t.kind == WH_K_LIST || t.kind == WH_K_STRUCT || t.kind == WH_K_MAP;

    if (children) {
        WH_TRY(wh_buf_adds(&words, wh_kind_name(t.kind)));
        if (t.logical != WH_L_NONE)
            WH_TRY(wh_buf_printf(&words, " %s", wh_logical_name(t.logical)));
    } else {
        WH_TRY(wh_type_print(&t, &words));
    }
    WH_TRY(wh_buf_adds(b, "{\"name\":"));
    WH_TRY(wh_buf_json(b, name, strlen(name)));
    WH_TRY(wh_buf_printf(b, ",\"type\":\"%s\",\"nullable\":%s", words.p,
                         t.nullable ? "true" : "false"));
    WH_TRY(put_meta(field, &t, b));
    if (children) {
        WH_TRY(wh_buf_adds(b, ",\"children\":["));
        for (int64_t i = 0; i < field->n_children; i++) {
            if (i)
                WH_TRY(wh_buf_addc(b, ','));
            WH_TRY(put_field(field->children[i], depth + 1, b));
        }
        WH_TRY(wh_buf_addc(b, ']'));
    }
    return wh_buf_addc(b, '}');
}

wh_status wh_schema_to_json(const struct ArrowSchema *s, struct wh_buf *b)
{
    WH_TRY(wh_buf_adds(b, "{\"columns\":["));
    for (int64_t i = 0; i < s->n_children; i++) {
        if (i)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(put_field(s->children[i], 0, b));
    }
    return wh_buf_adds(b, "]}");
}

/* ------------------------------------------------------------------- reading */

static wh_status bad(struct wh_error *reterr, const char *what)
{
    return wh_fail(reterr, WH_E_TYPE, "E3017", "stored schema: %s", what);
}

static wh_status get_fields(const struct wh_node *list, struct ArrowSchema *parent, int depth,
                            struct wh_error *reterr);

/* "list", "struct json", "map": kind and logical; false for anything else */
static bool nested_words(const char *text, enum wh_kind *kind, enum wh_logical *logical)
{
    for (enum wh_kind k = WH_K_LIST; k <= WH_K_MAP; k++) {
        size_t n = strlen(wh_kind_name(k));

        if (strncmp(text, wh_kind_name(k), n) != 0)
            continue;
        *kind = k;
        *logical = WH_L_NONE;
        return text[n] == 0 || (text[n] == ' ' && wh_logical_parse(wh_str(text + n + 1), logical));
    }
    return false;
}

static wh_status get_nested(const struct wh_node *node, const char *name, enum wh_kind kind,
                            enum wh_logical logical, struct ArrowSchema *ret, int depth,
                            struct wh_error *reterr)
{
    const struct wh_node *children = wh_node_get(node, "children");
    const char *format = kind == WH_K_LIST ? "+l" : kind == WH_K_MAP ? "+m" : "+s";
    struct wh_type t;

    if (depth >= DEPTH_MAX)
        return bad(reterr, "too deep");
    if (!children || children->kind != WH_NODE_LIST || children->n > COLUMNS_MAX)
        return bad(reterr, "a nested type without its children");
    WH_TRY(wh_schema_own(ret, format, name, 0, (int64_t)children->n));
    WH_TRY(get_fields(children, ret, depth + 1, reterr));
    if (logical != WH_L_NONE)
        WH_TRY(wh_meta_set(ret, WH_META_LOGICAL, wh_logical_name(logical)));
    return wh_type_of(ret, &t, reterr); /* the right number of children */
}

static wh_status get_field(const struct wh_node *node, struct ArrowSchema *ret, int depth,
                           struct wh_error *reterr)
{
    const char *name = wh_node_text(wh_node_get(node, "name"), NULL);
    const char *type = wh_node_text(wh_node_get(node, "type"), NULL);
    const char *nullable = wh_node_text(wh_node_get(node, "nullable"), "true");
    const struct wh_node *meta = wh_node_get(node, "meta");
    enum wh_logical logical;
    enum wh_kind kind;

    if (!name || !type)
        return bad(reterr, "a column without name or type");
    if (nested_words(type, &kind, &logical))
        WH_TRY(get_nested(node, name, kind, logical, ret, depth, reterr));
    else
        WH_TRY(wh_field_parse(type, name, ret, reterr));
    ret->flags = strcmp(nullable, "true") == 0 ? ARROW_FLAG_NULLABLE : 0;
    for (size_t i = 0; meta && meta->kind == WH_NODE_MAP && i < meta->n; i++) {
        const char *value = wh_node_text(meta->items[i], NULL);

        if (!value)
            return bad(reterr, "metadata that is no text");
        WH_TRY(wh_meta_set(ret, meta->keys[i]->text, value));
    }
    return WH_OK;
}

static wh_status get_fields(const struct wh_node *list, struct ArrowSchema *parent, int depth,
                            struct wh_error *reterr)
{
    for (size_t i = 0; i < list->n; i++)
        WH_TRY(get_field(list->items[i], parent->children[i], depth, reterr));
    return WH_OK;
}

static wh_status build(const struct wh_node *root, struct ArrowSchema *ret, struct wh_error *reterr)
{
    const struct wh_node *columns = wh_node_get(root, "columns");

    if (!columns || columns->kind != WH_NODE_LIST || columns->n > COLUMNS_MAX)
        return bad(reterr, "no list of columns");
    WH_TRY(wh_schema_init(ret, (int64_t)columns->n));
    return get_fields(columns, ret, 0, reterr);
}

wh_status wh_schema_from_json(const char *text, size_t n, struct ArrowSchema *ret,
                              struct wh_error *reterr)
{
    struct wh_arena *arena WH_CLEANUP(wh_arena_freep) = wh_arena_new(ARENA_MAX);
    struct wh_problems problems = {.arena = arena};
    struct ArrowSchema s = {0};
    struct wh_node *root;
    int st;

    if (!arena)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a schema");
    st = wh_json_parse(arena, "schema", text, n, &root, &problems);
    if (st != WH_OK)
        return st == WH_E_NOMEM ? wh_fail(reterr, st, "E8002", "no memory for a schema")
                                : bad(reterr, problems.n ? problems.v[0].message : "no JSON");
    st = build(root, &s, reterr);
    if (st == WH_OK) {
        *ret = s;
        return WH_OK;
    }
    wh_schema_release(&s);
    return st == WH_E_NOMEM ? wh_fail(reterr, st, "E8002", "no memory for a schema") : st;
}
