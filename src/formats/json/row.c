/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json/row.h"

#include <string.h>

static const uint8_t *stop(struct json_row *r, const uint8_t *at)
{
    r->stopped = at;
    return NULL;
}

static const uint8_t *refuse(struct json_row *r, const char *text, const uint8_t *at,
                             const uint8_t *end)
{
    r->cells.fault = (struct json_fault){"E6014", text, -1, at, (size_t)(end - at)};
    return NULL;
}

static const uint8_t *value(struct json_row *r, struct json_node *node, const uint8_t *p,
                            const uint8_t *end);

/* A value that is no column; checked all the same, so that a row is bad or good whichever columns
 * are asked for. */
static const uint8_t *pass(struct json_row *r, const uint8_t *p, const uint8_t *end)
{
    const uint8_t *behind = json_value(p, end);
    return behind ? behind : stop(r, p);
}

/* The key at p (a quote), looked up and remembered for the next row. *ret_child: NULL = no column
 * here. Answers the place of its value. */
static const uint8_t *look_up(struct json_row *r, struct json_node *node, int32_t place,
                              const uint8_t *p, const uint8_t *end, struct json_node **ret_child)
{
    bool escapes = false;
    const uint8_t *from = p,
                  *close = p < end && *p == '"' ? json_string(p + 1, end, &escapes) : NULL;
    if (!close)
        return stop(r, p);
    struct wh_str key = {(const char *)p + 1, (size_t)(close - p) - 1};
    if (escapes) {
        size_t n = json_unescape(p + 1, key.n, r->cells.scratch);
        if (n == SIZE_MAX)
            return refuse(r, "half of a surrogate pair in a key", p, close + 1);
        key = (struct wh_str){(const char *)r->cells.scratch, n};
    }
    *ret_child = json_child(node, key);
    if (!*ret_child && node == &r->tree.root && r->refuse_unknown)
        return refuse(r, "a key that no column was made for", p, close + 1);
    p = json_blanks(close + 1, end);
    if (p >= end || *p != ':')
        return stop(r, p);
    p = json_blanks(p + 1, end);
    if (p >= end)
        return stop(r, p);
    r->cells.status = json_remember(&r->tree, node, place, from, (size_t)(p - from), *ret_child);
    return r->cells.status == WH_OK ? p : NULL;
}

/* p behind {; the answer behind }. */
static const uint8_t *object(struct json_row *r, struct json_node *node, const uint8_t *p,
                             const uint8_t *end)
{
    p = json_blanks(p, end);
    if (p < end && *p == '}')
        return p + 1;
    for (int32_t place = 0;; place++) {
#if defined(__x86_64__)
        bool closed = false;
        if (r->fast)
            p = json_members_avx2(r, node, &place, p, end, &closed);
        if (closed)
            return p;
#endif
        const struct json_order *o = place < node->n_order ? &node->order[place] : NULL;
        struct json_node *child;
        if (__builtin_expect(o && o->n && json_same_text(o, p) && p + o->n < end, 1)) {
            p = json_blanks(p + o->n, end);
            child = o->child;
        } else if (!(p = look_up(r, node, place, p, end, &child))) {
            return NULL;
        }
        p = child ? value(r, child, p, end) : pass(r, p, end);
        if (!p)
            return NULL;
        p = json_blanks(p, end);
        if (p < end && *p == ',') {
            p = json_blanks(p + 1, end);
            continue;
        }
        return p < end && *p == '}' ? p + 1 : stop(r, p);
    }
}

/* p behind [; the answer behind ]. */
static const uint8_t *array(struct json_row *r, struct json_node *node, const uint8_t *p,
                            const uint8_t *end)
{
    p = json_blanks(p, end);
    if (p < end && *p == ']')
        return p + 1;
    for (int64_t i = 0;; i++) {
        struct json_node *child = NULL;
        for (int32_t k = 0; k < node->n_children && !child; k++)
            if (json_path_index(node->children[k]->key) == i)
                child = node->children[k];
        p = child ? value(r, child, p, end) : pass(r, p, end);
        if (!p)
            return NULL;
        p = json_blanks(p, end);
        if (p < end && *p == ',') {
            p = json_blanks(p + 1, end);
            continue;
        }
        return p < end && *p == ']' ? p + 1 : stop(r, p);
    }
}

static const uint8_t *cell(struct json_row *r, int32_t column, const uint8_t *p, const uint8_t *end)
{
    if (__builtin_expect(r->seen[column] == r->stamp, 0))
        return refuse(r, "a key stands twice", p, end);
    r->seen[column] = r->stamp;
    r->n_seen++;
    const uint8_t *behind = json_cell(&r->cells, column, p, end);
    return behind || r->cells.fault.code || r->cells.status != WH_OK ? behind : stop(r, p);
}

/* A place that leads into a value which is no object or array leads nowhere: NULL. */
static const uint8_t *value(struct json_row *r, struct json_node *node, const uint8_t *p,
                            const uint8_t *end)
{
    if (p >= end)
        return stop(r, p);
    if (__builtin_expect(!node->n_children, 1))
        return node->column >= 0 ? cell(r, node->column, p, end) : pass(r, p, end);
    if (node->seen == r->stamp)
        return refuse(r, "a key stands twice", p, end);
    node->seen = r->stamp;
    if (node->column >= 0 && !cell(r, node->column, p, end))
        return NULL;
    if (*p == '{')
        return object(r, node, p + 1, end);
    return *p == '[' ? array(r, node, p + 1, end) : pass(r, p, end);
}

static bool fill_up(struct json_row *r)
{
    for (int32_t i = 0; i < r->n_columns && r->n_seen < r->n_columns; i++) {
        if (__builtin_expect(r->seen[i] == r->stamp, 1))
            continue;
        r->cells.status = wh_put_null(r->cells.columns[i].to);
        if (r->cells.status != WH_OK)
            return false;
    }
    return true;
}

static void next_stamp(struct json_row *r)
{
    r->n_seen = 0;
    if (!++r->stamp) {
        memset(r->seen, 0, (size_t)r->n_columns * sizeof *r->seen);
        r->stamp = 1;
    }
}

bool json_row_put(struct json_row *r, const uint8_t *p, const uint8_t *end)
{
    r->cells.fault = (struct json_fault){NULL, NULL, -1, NULL, 0};
    r->cells.status = WH_OK;
    r->stopped = p;
    next_stamp(r);
    p = json_blanks(p, end);
    if (p >= end || *p != '{') {
        const uint8_t *behind = p < end ? json_value(p, end) : NULL;
        if (behind && json_blanks(behind, end) >= end)
            refuse(r, "the row is no object", p, end);
        else
            stop(r, p);
        return false;
    }
    if (!(p = object(r, &r->tree.root, p + 1, end)))
        return false;
    p = json_blanks(p, end);
    if (p < end) {
        refuse(r, "text behind the object", p, end);
        return false;
    }
    return fill_up(r);
}
