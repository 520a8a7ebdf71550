/* SPDX-License-Identifier: Apache-2.0 */
/* Looking at the beginning of a file: its layout; names and types from a sample. */
#include <stdio.h>
#include <string.h>

#include "core/hash.h"
#include "data/number.h"
#include "formats/csv/cell.h"
#include "formats/json/tree.h"
#include "formats/textin.h"

/* ---- layout -----------------------------------------------------------------------------------
 */

/* Is the first value alone on its line? Lone CRs end no line here. */
static bool alone_on_line(const uint8_t *p, size_t n, bool *ret_cut)
{
    struct json_frame f = {.depth = 0};
    size_t used;
    *ret_cut = !json_frame_run(&f, p, n, &used);
    if (*ret_cut)
        return !memchr(p, '\n', n); /* so far */
    if (memchr(p, '\n', used))
        return false;
    while (used < n && (p[used] == ' ' || p[used] == '\t'))
        used++;
    return used == n || p[used] == '\n' || p[used] == 0x1a ||
           (p[used] == '\r' && used + 1 < n && p[used + 1] == '\n');
}

static wh_status neither(uint8_t c, int64_t line, bool lines, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_DATA, "E4012", "line %lld begins with '%c', where %s is expected",
                     (long long)line, c >= 0x20 && c < 0x7f ? c : '?',
                     lines ? "an object" : "an object or an array");
    if (lines && c == '[')
        wh_error_hint(reterr, "--from format=json reads an array of objects");
    else
        wh_error_hint(reterr, "rows are JSON objects: {\"name\": value, ...}");
    return st;
}

/* p has JSON_PADDING bytes more. */
static wh_status layout_of(const uint8_t *p, size_t n, bool lines, struct wh_json_shape *ret,
                           struct wh_error *reterr)
{
    size_t at = 0;
    ret->first_line = 1;
    ret->layout = lines ? WH_JSON_LINES : WH_JSON_VALUES;
    if (n >= 3 && !memcmp(p, "\xef\xbb\xbf", 3)) {
        at = 3;
        snprintf(ret->note, sizeof ret->note, "byte order mark dropped");
    }
    ret->data_at = at;
    while (at < n && (json_is_blank(p[at]) || p[at] == 0x1e)) {
        ret->first_line += p[at] == '\n';
        at++;
    }
    if (at == n || (at + 1 == n && p[at] == 0x1a)) {
        ret->first_line = 1;
        return WH_OK;
    }
    if (p[at] == '[' && !lines) {
        ret->layout = WH_JSON_ARRAY;
        ret->data_at = at + 1;
        return WH_OK;
    }
    if (p[at] != '{')
        return neither(p[at], ret->first_line, lines, reterr);
    ret->first_line = 1; /* of data_at */
    if (!lines)
        ret->layout = alone_on_line(p + at, n - at, &ret->cut) ? WH_JSON_LINES : WH_JSON_VALUES;
    return WH_OK;
}

wh_status wh_json_look(const struct wh_json_ask *ask, const void *sample, size_t n, bool whole,
                       struct wh_json_shape *ret, struct wh_error *reterr)
{
    *ret = (struct wh_json_shape){.layout = WH_JSON_VALUES};
    if (!ask->any_text)
        WH_TRY(textin_check_utf8(sample, n, whole, reterr));
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(n + JSON_PADDING);
    if (!p)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a sample of %zu bytes", n);
    memcpy(p, sample, n);
    memset(p + n, 0, JSON_PADDING);
    return layout_of(p, n, ask->lines, ret, reterr);
}

/* ---- what a column may be ---------------------------------------------------------------------
 */

enum {
    KIND_TEXT = 1,
    KIND_NUMBER = 2,
    KIND_TRUTH = 4,
    KIND_NESTED = 8,
    KIND_OTHER = 16, /* such as half a surrogate pair */
    MAY_INT = 1,
    MAY_DOUBLE = 2,
    MAY_DECIMAL = 4,
    MAY_DATE = 8,
    MAY_NAIVE = 16,
    MAY_ZONED = 32,
    MAY_ALL = 63,
};

struct seen {
    char *name;
    bool place; /* no key of the rows, but a place in them */
    struct json_path path;
    unsigned kinds, may;
    bool nanos, found; /* found: it stood in a row, be it as null */
};

struct wh_json_guess {
    struct json_tree tree; /* node->column = index in v */
    struct seen *v;
    size_t n, cap, n_places;
    int64_t rows;
    bool too_many;
};

wh_status wh_json_guess_new(struct wh_json_guess **ret)
{
    struct wh_json_guess *g = wh_calloc(1, sizeof *g);
    if (!g || json_tree_new(&g->tree) != WH_OK) {
        wh_free(g);
        return WH_E_NOMEM;
    }
    *ret = g;
    return WH_OK;
}

void wh_json_guess_free(struct wh_json_guess *g)
{
    if (!g)
        return;
    for (size_t i = 0; i < g->n; i++) {
        wh_free(g->v[i].name);
        json_path_free(&g->v[i].path);
    }
    wh_free(g->v);
    json_tree_free(&g->tree);
    wh_free(g);
}

int64_t wh_json_guess_rows(const struct wh_json_guess *g)
{
    return g->rows;
}

/* One more thing that may be a column; *ret is valid until the next call. */
static wh_status add_seen(struct wh_json_guess *g, struct wh_str name, struct seen **ret)
{
    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 32;
        struct seen *v = wh_realloc(g->v, cap * sizeof *v);
        if (!v)
            return WH_E_NOMEM;
        g->v = v;
        g->cap = cap;
    }
    g->v[g->n] = (struct seen){.name = wh_strndup(name.s, name.n), .may = MAY_ALL};
    if (!g->v[g->n].name)
        return WH_E_NOMEM;
    *ret = &g->v[g->n++];
    return WH_OK;
}

wh_status wh_json_guess_place(struct wh_json_guess *g, const char *place, struct wh_error *reterr)
{
    struct json_path path;
    struct seen *s;
    WH_TRY(json_path_parse(place, &path, reterr));
    if (add_seen(g, wh_str(place), &s) != WH_OK) {
        json_path_free(&path);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a place");
    }
    s->place = true;
    s->path = path;
    g->n_places++;
    return WH_OK;
}

static void look_at_number(struct seen *s, const uint8_t *p, size_t n, bool whole)
{
    int64_t v;
    double d;
    const char *text = (const char *)p;
    bool minus_zero = n == 2 && p[0] == '-' && p[1] == '0';
    bool exact = wh_read_f64(text, n, &d) && (n <= 15 || csv_same_as_double(text, n, '.'));
    s->kinds |= KIND_NUMBER;
    if (!whole || minus_zero || !wh_read_i64(text, n, &v))
        s->may &= ~(unsigned)MAY_INT;
    if (!exact)
        s->may &= ~(unsigned)MAY_DOUBLE;
    if (minus_zero)
        s->may &= ~(unsigned)MAY_DECIMAL; /* no decimal has a minus zero */
}

static void look_at_text(struct seen *s, const uint8_t *p, size_t n)
{
    int32_t days;
    int64_t at;
    bool zoned;
    const char *text = (const char *)p;
    unsigned may = 0;
    s->kinds |= KIND_TEXT;
    if (!(s->may & (MAY_DATE | MAY_NAIVE | MAY_ZONED)))
        return;
    if (n >= 10 && p[4] == '-' && wh_read_date(text, n, &days)) {
        may = MAY_DATE;
    } else if (n >= 10 && p[4] == '-' && wh_read_timestamp(text, n, WH_NANO, &at, &zoned)) {
        s->nanos |= !wh_read_timestamp(text, n, WH_MICRO, &at, &zoned);
        may = zoned ? MAY_ZONED : MAY_NAIVE;
    }
    s->may &= may | ~(unsigned)(MAY_DATE | MAY_NAIVE | MAY_ZONED);
}

/* A checked value. */
static void look_at(struct seen *s, const uint8_t *p, const uint8_t *end)
{
    bool whole, escapes = false;
    s->found = true;
    switch (*p) {
    case 'n':
        return;
    case '"':
        json_string(p + 1, end, &escapes);
        /* An escaped text may be anything, but no date that a program wrote. */
        look_at_text(s, p + 1, escapes ? 0 : (size_t)(end - p) - 2);
        return;
    case 't':
    case 'f':
        s->kinds |= KIND_TRUTH;
        return;
    case '{':
    case '[':
        s->kinds |= KIND_NESTED;
        return;
    default:
        json_number(p, end, &whole);
        look_at_number(s, p, (size_t)(end - p), whole);
    }
}

/* ---- rows of the sample -----------------------------------------------------------------------
 */

/* Behind `"key" :`; the key without escapes in *ret, borrowed from p or scratch. */
static const uint8_t *take_key(const uint8_t *p, const uint8_t *end, uint8_t *scratch,
                               struct wh_str *ret)
{
    bool escapes = false;
    const uint8_t *close = json_string(p + 1, end, &escapes);
    size_t n = (size_t)(close - p) - 1;
    *ret = (struct wh_str){(const char *)p + 1, n};
    if (escapes) {
        n = json_unescape(p + 1, n, scratch);
        *ret = (struct wh_str){n == SIZE_MAX ? NULL : (const char *)scratch, n};
    }
    return json_blanks(json_blanks(close + 1, end) + 1, end);
}

/* Where a place leads in the checked value at p; NULL = nowhere. */
static const uint8_t *follow(const struct json_path *path, const uint8_t *p, const uint8_t *end,
                             uint8_t *scratch)
{
    for (int i = 0; i < path->n; i++) {
        bool object = *p == '{', found = false;
        int64_t want = json_path_index(path->step[i]), at = 0;
        if (!object && *p != '[')
            return NULL;
        p = json_blanks(p + 1, end);
        for (; *p != '}' && *p != ']'; at++) {
            struct wh_str key;
            if (object) {
                p = take_key(p, end, scratch, &key);
                found = key.s && wh_str_eq(key, path->step[i]);
            } else {
                found = at == want;
            }
            if (found)
                break;
            p = json_blanks(json_value(p, end), end);
            p = *p == ',' ? json_blanks(p + 1, end) : p;
        }
        if (!found)
            return NULL;
    }
    return p;
}

static wh_status seen_of(struct wh_json_guess *g, struct wh_str key, struct seen **ret)
{
    struct json_node *node = json_child(&g->tree.root, key);
    *ret = NULL;
    if (node) {
        *ret = &g->v[node->column];
        return WH_OK;
    }
    g->too_many |= g->n - g->n_places >= WH_JSON_COLUMNS_MAX;
    if (g->too_many)
        return WH_OK;
    WH_TRY(json_tree_add(&g->tree, &key, 1, &node));
    node->column = (int32_t)g->n;
    return add_seen(g, key, ret);
}

/* A checked object. */
static wh_status look_at_row(struct wh_json_guess *g, const uint8_t *from, const uint8_t *end,
                             uint8_t *scratch)
{
    const uint8_t *p = json_blanks(from + 1, end);
    while (*p != '}') {
        struct wh_str key;
        struct seen *s = NULL;
        p = take_key(p, end, scratch, &key);
        const uint8_t *behind = json_value(p, end);
        if (key.s)
            WH_TRY(seen_of(g, key, &s));
        if (s)
            look_at(s, p, behind);
        p = json_blanks(behind, end);
        p = *p == ',' ? json_blanks(p + 1, end) : p;
    }
    for (size_t i = 0; i < g->n && g->n_places; i++) {
        const uint8_t *at = g->v[i].place ? follow(&g->v[i].path, from, end, scratch) : NULL;
        if (at)
            look_at(&g->v[i], at, json_value(at, end));
    }
    g->rows++;
    return WH_OK;
}

/* The next row of the text; false: no complete one is left. */
static bool next_row(enum wh_json_layout layout, const uint8_t *p, size_t n, bool whole,
                     size_t *io_at, size_t *ret_n)
{
    struct json_frame f = {.depth = 0};
    while (*io_at < n && (json_is_blank(p[*io_at]) || p[*io_at] == 0x1e ||
                          (layout == WH_JSON_ARRAY && p[*io_at] == ',')))
        ++*io_at;
    if (*io_at >= n || (layout == WH_JSON_ARRAY && p[*io_at] == ']'))
        return false;
    if (layout != WH_JSON_LINES)
        return json_frame_run(&f, p + *io_at, n - *io_at, ret_n);
    const uint8_t *end = memchr(p + *io_at, '\n', n - *io_at);
    *ret_n = end ? (size_t)(end - p) - *io_at : n - *io_at;
    return end || whole;
}

static wh_status add_rows(struct wh_json_guess *g, enum wh_json_layout layout, const uint8_t *p,
                          size_t n, bool whole, int64_t max_rows, uint8_t *scratch)
{
    int64_t before = g->rows;
    for (size_t at = 0, k; g->rows - before < max_rows && next_row(layout, p, n, whole, &at, &k);
         at += k) {
        const uint8_t *row = p + at, *end = row + k;
        const uint8_t *behind = *row == '{' ? json_value(row, end) : NULL;
        if (!behind || json_blanks(behind, end) < end || !wh_utf8_valid((const char *)row, k))
            continue; /* a reject, when it is read */
        WH_TRY(look_at_row(g, row, end, scratch));
    }
    return WH_OK;
}

wh_status wh_json_guess_add(struct wh_json_guess *g, enum wh_json_layout layout, const void *data,
                            size_t n, bool whole, int64_t max_rows)
{
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(n + JSON_PADDING);
    WH_CLEANUP(wh_freep) uint8_t *scratch = wh_alloc(n + JSON_PADDING);
    if (!p || !scratch)
        return WH_E_NOMEM;
    memcpy(p, data, n);
    memset(p + n, 0, JSON_PADDING);
    if (whole && n && p[n - 1] == 0x1a)
        p[n - 1] = ' '; /* as the reader does: the row before it counts */
    return add_rows(g, layout, p, n, whole, max_rows, scratch);
}

/* ---- the verdict ------------------------------------------------------------------------------
 */

static struct wh_type type_of(const struct seen *s)
{
    struct wh_type t = {.kind = WH_K_UTF8, .nullable = true, .logical = WH_L_JSON};
    struct wh_type text = {.kind = WH_K_UTF8, .nullable = true};
    unsigned may = s->may;
    if (s->kinds == KIND_TRUTH)
        return WH_TYPE(WH_K_BOOL);
    if (s->kinds == KIND_NUMBER)
        return may & MAY_INT       ? WH_TYPE(WH_K_I64)
               : may & MAY_DOUBLE  ? WH_TYPE(WH_K_F64)
               : may & MAY_DECIMAL ? WH_TYPE(WH_K_DECTEXT)
                                   : t;
    if (s->kinds != KIND_TEXT)
        return t;
    if (may & MAY_DATE)
        return WH_TYPE(WH_K_DATE32);
    return may & (MAY_NAIVE | MAY_ZONED)
               ? WH_TYPE_TS(s->nanos ? WH_NANO : WH_MICRO, may & MAY_ZONED)
               : text;
}

/* A key that is written as a place is, wins; a place that no row has is none. */
static bool is_column(const struct wh_json_guess *g, const struct seen *s)
{
    return !s->place || (s->found && !json_child(&g->tree.root, wh_str(s->name)));
}

static wh_status set_columns(const struct wh_json_guess *g, bool places, int64_t *io_at,
                             struct ArrowSchema *schema)
{
    static const char *const meta[] = {WH_META_GUESSED, "1", NULL};
    for (size_t i = 0; i < g->n; i++) {
        const struct seen *s = &g->v[i];
        struct wh_type t = type_of(s);
        if (s->place != places || !is_column(g, s))
            continue;
        WH_TRY(wh_schema_set(schema, (*io_at)++, s->name, &t, meta));
    }
    return WH_OK;
}

wh_status wh_json_guess_schema(const struct wh_json_guess *g, struct ArrowSchema *ret,
                               int64_t *ret_keys, struct wh_error *reterr)
{
    struct ArrowSchema schema = {0};
    int64_t n = 0;
    if (g->too_many)
        return wh_fail(reterr, WH_E_TYPE, "E3014", "the sample has more than %d keys",
                       WH_JSON_COLUMNS_MAX);
    for (size_t i = 0; i < g->n; i++)
        n += is_column(g, &g->v[i]);
    int st = wh_schema_init(&schema, n);
    n = 0;
    if (st == WH_OK)
        st = set_columns(g, false, &n, &schema);
    *ret_keys = n;
    if (st == WH_OK)
        st = set_columns(g, true, &n, &schema);
    if (st == WH_OK) {
        *ret = schema;
        return WH_OK;
    }
    wh_schema_release(&schema);
    return wh_fail(reterr, st, "E8002", "no memory for %lld columns", (long long)n);
}
