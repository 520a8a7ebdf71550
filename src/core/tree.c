/* SPDX-License-Identifier: Apache-2.0 */
#include "core/tree.h"

#include "core/doc.h"
#include "core/hash.h"

#include <stdio.h>
#include <string.h>

/* More than anybody reads; the rest is counted. */
#define PROBLEMS_MAX 200

/* ---- problems ------------------------------------------------------------------------------ */

static bool room_for_problem(struct wh_problems *list)
{
    if (list->n < list->cap)
        return true;
    if (list->n >= PROBLEMS_MAX || !list->arena)
        return false;
    size_t cap = list->cap ? list->cap * 2 : 8;
    struct wh_problem *grown = wh_arena_alloc(list->arena, cap * sizeof *grown);

    if (!grown)
        return false;
    if (list->n)
        memcpy(grown, list->v, list->n * sizeof *grown);
    list->v = grown;
    list->cap = cap;
    return true;
}

__attribute__((format(printf, 6, 0))) static void add_problem(struct wh_problems *list,
                                                              bool warning, const char *code,
                                                              const char *where, const char *hint,
                                                              const char *fmt, va_list ap)
{
    char text[1024];

    if (!list)
        return;
    list->errors += !warning;
    if (!room_for_problem(list))
        return;
    struct wh_problem *p = &list->v[list->n];
    int n = vsnprintf(text, sizeof text, fmt, ap);

    *p = (struct wh_problem){.warning = warning};
    snprintf(p->code, sizeof p->code, "%s", code);
    if (n >= (int)sizeof text) { /* not inside a character */
        size_t end = sizeof text - 1;

        while (end > 0 && ((unsigned char)text[end] & 0xC0) == 0x80)
            end--;
        text[end] = 0;
    }
    p->message = wh_arena_strdup(list->arena, text);
    p->where = wh_arena_strdup(list->arena, where ? where : "");
    p->hint = wh_arena_strdup(list->arena, hint);
    if (p->message && p->where && (p->hint || !hint))
        list->n++;
}

void wh_problem_add(struct wh_problems *list, const char *code, const char *where, const char *hint,
                    const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_problem(list, false, code, where, hint, fmt, ap);
    va_end(ap);
}

void wh_problem_warn(struct wh_problems *list, const char *code, const char *where,
                     const char *hint, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    add_problem(list, true, code, where, hint, fmt, ap);
    va_end(ap);
}

/* ---- nodes --------------------------------------------------------------------------------- */

struct wh_node *wh_node_get(const struct wh_node *map, const char *key)
{
    if (!map || map->kind != WH_NODE_MAP)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->keys[i]->text, key) == 0)
            return map->items[i];
    return NULL;
}

const char *wh_node_text(const struct wh_node *node, const char *otherwise)
{
    return node && node->kind == WH_NODE_SCALAR ? node->text : otherwise;
}

const char *wh_node_where(struct wh_arena *arena, const char *file, const struct wh_node *node)
{
    const char *where = NULL;

    if (node && node->line > 0)
        where = wh_arena_printf(arena, "%s:%d:%d", file, node->line, node->column);
    return where ? where : file;
}

static struct wh_node *new_node(struct wh_arena *arena, enum wh_node_kind kind)
{
    struct wh_node *node = wh_arena_alloc(arena, sizeof *node);

    if (node) {
        node->kind = kind;
        node->text = "";
    }
    return node;
}

struct wh_node *wh_node_map(struct wh_arena *arena)
{
    return new_node(arena, WH_NODE_MAP);
}

struct wh_node *wh_node_list(struct wh_arena *arena)
{
    return new_node(arena, WH_NODE_LIST);
}

struct wh_node *wh_node_scalar(struct wh_arena *arena, const char *text)
{
    struct wh_node *node = new_node(arena, WH_NODE_SCALAR);

    if (!node)
        return NULL;
    node->text = wh_arena_strdup(arena, text);
    return node->text ? node : NULL;
}

/* Arrays have room for 4, 8, 16... entries, so the room follows from n and needs no field. */
static int grow(struct wh_arena *arena, struct wh_node ***array, size_t n)
{
    if (n > 0 && (n < 4 || (n & (n - 1)) != 0))
        return WH_OK;
    size_t cap = n ? n * 2 : 4;
    struct wh_node **grown = wh_arena_alloc(arena, cap * sizeof(struct wh_node *));

    if (!grown)
        return WH_E_NOMEM;
    if (n)
        memcpy(grown, *array, n * sizeof *grown);
    *array = grown;
    return WH_OK;
}

int wh_node_push(struct wh_arena *arena, struct wh_node *list, struct wh_node *value)
{
    if (!value)
        return WH_E_NOMEM;
    WH_TRY(grow(arena, &list->items, list->n));
    list->items[list->n++] = value;
    return WH_OK;
}

static int put_pair(struct wh_arena *arena, struct wh_node *map, struct wh_node *key,
                    struct wh_node *value)
{
    WH_TRY(grow(arena, &map->keys, map->n));
    WH_TRY(grow(arena, &map->items, map->n));
    map->keys[map->n] = key;
    map->items[map->n++] = value;
    return WH_OK;
}

int wh_node_put(struct wh_arena *arena, struct wh_node *map, const char *key, struct wh_node *value)
{
    if (!value)
        return WH_E_NOMEM;
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->keys[i]->text, key) == 0) {
            map->items[i] = value;
            return WH_OK;
        }
    }
    struct wh_node *name = wh_node_scalar(arena, key);

    return name ? put_pair(arena, map, name, value) : WH_E_NOMEM;
}

/* ---- building from a text ------------------------------------------------------------------ */

void doc_done(struct doc *doc)
{
    wh_free(doc->slots);
    doc->slots = NULL;
}

void doc_problem(struct doc *doc, const char *code, int line, int column, const char *hint,
                 const char *fmt, ...)
{
    const struct wh_node place = {.line = line, .column = column};
    va_list ap;

    va_start(ap, fmt);
    add_problem(doc->problems, false, code, wh_node_where(doc->arena, doc->file, &place), hint, fmt,
                ap);
    va_end(ap);
}

static bool is_control(char c)
{
    return (unsigned char)c < 32 && c != '\t' && c != '\n' && c != '\r';
}

/* Bytes that no text has: libyaml would tell of them without their place. */
static int check_controls(struct doc *doc, const char *p, size_t n, const char *code)
{
    int line = 1, column = 1;
    size_t i = 0;

    for (; i < n && !is_control(p[i]); i++) {
        column = p[i] == '\n' ? 1 : column + 1;
        line += p[i] == '\n';
    }
    if (i == n)
        return WH_OK;
    bool utf16 = i < 2 && !p[i];

    doc_problem(doc, code, line, column, "save the file as UTF-8",
                utf16 ? "the text is UTF-16" : "a control character, byte 0x%02x, is no text",
                (unsigned char)p[i]);
    return WH_E_USAGE;
}

int doc_check_text(struct doc *doc, const char **text, size_t *n, size_t max, const char *code)
{
    const char *p = *text;
    int line = 1, column = 1;

    if (*n > max) {
        doc_problem(doc, "E1040", 1, 1, "is this the right file?",
                    "the document has %zu bytes; at most %zu are read", *n, max);
        return WH_E_USAGE;
    }
    if (*n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) {
        *text += 3;
        *n -= 3;
    }
    if (wh_utf8_valid(*text, *n))
        return strcmp(code, "E1031") == 0 ? check_controls(doc, *text, *n, code) : WH_OK;
    p = *text;
    for (size_t left = *n, len; (len = wh_utf8_len(p, left)) > 0; p += len, left -= len) {
        column = *p == '\n' ? 1 : column + 1;
        line += *p == '\n';
    }
    bool utf16 = p == *text && ((unsigned char)*p == 0xFF || (unsigned char)*p == 0xFE);

    doc_problem(doc, code, line, column, "save the file as UTF-8",
                utf16 ? "the text is UTF-16" : "the text is not valid UTF-8 (byte 0x%02x)",
                (unsigned char)*p);
    return WH_E_USAGE;
}

int doc_node(struct doc *doc, enum wh_node_kind kind, int line, int column, struct wh_node **ret)
{
    struct wh_node *node = new_node(doc->arena, kind);

    if (!node)
        return WH_E_NOMEM;
    node->line = line;
    node->column = column;
    *ret = node;
    return WH_OK;
}

/* The slot of this key: its own or a free one. */
static struct doc_key *find_slot(struct doc_key *slots, size_t n_slots, const struct wh_node *map,
                                 const struct wh_node *key)
{
    uint64_t at = wh_hash64(key->text, strlen(key->text), (uintptr_t)map);

    for (;; at++) {
        struct doc_key *slot = &slots[at & (n_slots - 1)];

        if (!slot->map || (slot->map == map && strcmp(slot->key->text, key->text) == 0))
            return slot;
    }
}

static int grow_slots(struct doc *doc)
{
    if (doc->n_keys < doc->n_slots / 2)
        return WH_OK;
    size_t n = doc->n_slots ? doc->n_slots * 2 : 64;
    struct doc_key *slots = wh_calloc(n, sizeof *slots);

    if (!slots)
        return WH_E_NOMEM;
    for (size_t i = 0; i < doc->n_slots; i++)
        if (doc->slots[i].map)
            *find_slot(slots, n, doc->slots[i].map, doc->slots[i].key) = doc->slots[i];
    wh_free(doc->slots);
    doc->slots = slots;
    doc->n_slots = n;
    return WH_OK;
}

int doc_put_absent(struct doc *doc, struct wh_node *map, struct wh_node *key, struct wh_node *value,
                   const struct wh_node **ret_twin)
{
    WH_TRY(grow_slots(doc));
    struct doc_key *slot = find_slot(doc->slots, doc->n_slots, map, key);

    *ret_twin = slot->map ? slot->key : NULL;
    if (slot->map)
        return WH_OK;
    *slot = (struct doc_key){map, key};
    doc->n_keys++;
    return put_pair(doc->arena, map, key, value);
}

int doc_put(struct doc *doc, struct wh_node *map, struct wh_node *key, struct wh_node *value)
{
    const struct wh_node *twin;

    WH_TRY(doc_put_absent(doc, map, key, value, &twin));
    if (twin)
        doc_problem(doc, "E1033", key->line, key->column, "remove one of them",
                    "the key '%s' is given twice, first in line %d", key->text, twin->line);
    return WH_OK;
}
