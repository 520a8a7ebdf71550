/* SPDX-License-Identifier: Apache-2.0 */
/* A strict JSON reader (RFC 8259) for documents that people write: exact number texts, places,
 * doubled keys are errors. Data files have a reader of their own. */
#include "core/tree.h"

#include "core/doc.h"

#include <stdio.h>
#include <string.h>

struct reader {
    struct doc doc;
    const char *p, *end;
    const char *counted; /* line and column are those of this position */
    int line, column;
    int depth;
};

/* Moves the counters to where reading is; every byte is counted once. */
static void count_place(struct reader *r)
{
    for (; r->counted < r->p; r->counted++) {
        unsigned char c = (unsigned char)*r->counted;

        if (c == '\n') {
            r->line++;
            r->column = 1;
        } else {
            r->column += (c & 0xC0) != 0x80;
        }
    }
}

/* What stands at the place of an error, printable. */
static void name_here(const struct reader *r, char out[16])
{
    size_t len = wh_utf8_len(r->p, (size_t)(r->end - r->p));

    if (r->p == r->end)
        snprintf(out, 16, "the end");
    else if ((unsigned char)*r->p < 0x20)
        snprintf(out, 16, "0x%02x", (unsigned char)*r->p);
    else
        snprintf(out, 16, "'%.*s'", (int)len, r->p);
}

static int expected(struct reader *r, const char *what, const char *hint)
{
    char here[16];

    name_here(r, here);
    count_place(r);
    doc_problem(&r->doc, "E1032", r->line, r->column, hint, "expected %s, found %s", what, here);
    return WH_E_USAGE;
}

static void skip_blanks(struct reader *r)
{
    while (r->p < r->end && (*r->p == ' ' || *r->p == '\t' || *r->p == '\n' || *r->p == '\r'))
        r->p++;
}

static bool here_is(const struct reader *r, char c)
{
    return r->p < r->end && *r->p == c;
}

static bool take(struct reader *r, char c)
{
    if (!here_is(r, c))
        return false;
    r->p++;
    return true;
}

static int hex4(struct reader *r, uint32_t *ret)
{
    uint32_t v = 0;

    for (int i = 0; i < 4; i++, r->p++) {
        char c = r->p < r->end ? *r->p : 0;
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;

        if (digit < 0)
            return expected(r, "four hexadecimal digits after \\u", NULL);
        v = v << 4 | (uint32_t)digit;
    }
    *ret = v;
    return WH_OK;
}

static char *add_utf8(char *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (char)c;
    } else if (c < 0x800) {
        *out++ = (char)(0xC0 | c >> 6);
        *out++ = (char)(0x80 | (c & 63));
    } else if (c < 0x10000) {
        *out++ = (char)(0xE0 | c >> 12);
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    } else {
        *out++ = (char)(0xF0 | c >> 18);
        *out++ = (char)(0x80 | (c >> 12 & 63));
        *out++ = (char)(0x80 | (c >> 6 & 63));
        *out++ = (char)(0x80 | (c & 63));
    }
    return out;
}

/* \uXXXX, the u is taken; two of them for characters beyond the first plane. */
static int unicode_escape(struct reader *r, char **out)
{
    uint32_t c, low;

    WH_TRY(hex4(r, &c));
    if (c >= 0xD800 && c < 0xDC00) {
        if (r->end - r->p < 2 || r->p[0] != '\\' || r->p[1] != 'u')
            return expected(r, "the second half of a surrogate pair", NULL);
        r->p += 2;
        WH_TRY(hex4(r, &low));
        if (low < 0xDC00 || low > 0xDFFF)
            return expected(r, "the second half of a surrogate pair", NULL);
        c = 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00);
    } else if (c >= 0xDC00 && c <= 0xDFFF) {
        return expected(r, "the first half of a surrogate pair before its second", NULL);
    }
    if (c == 0)
        return expected(r, "a character other than NUL", NULL);
    *out = add_utf8(*out, c);
    return WH_OK;
}

static int escape(struct reader *r, char **out)
{
    static const char from[] = "\"\\/bfnrt", to[] = "\"\\/\b\f\n\r\t";
    const char *at = r->p < r->end && *r->p ? strchr(from, *r->p) : NULL;

    if (here_is(r, 'u')) {
        r->p++;
        return unicode_escape(r, out);
    }
    if (!at)
        return expected(r, "one of \" \\ / b f n r t u after a backslash",
                        "write \\\\ for a backslash");
    *(*out)++ = to[at - from];
    r->p++;
    return WH_OK;
}

/* Past the quote that ends the string which begins at p; NULL if none does. */
static const char *string_end(const struct reader *r)
{
    for (const char *q = r->p; q < r->end; q++) {
        if (*q == '"')
            return q;
        if (*q == '\\')
            q++;
    }
    return NULL;
}

static int parse_string(struct reader *r, struct wh_node **ret)
{
    count_place(r);
    struct wh_node *node;
    WH_TRY(doc_node(&r->doc, WH_NODE_SCALAR, r->line, r->column, &node));
    r->p++;
    const char *end = string_end(r);

    if (!end) {
        doc_problem(&r->doc, "E1032", r->line, r->column, NULL,
                    "the string that begins here never ends");
        return WH_E_USAGE;
    }
    /* No escape makes a text longer. */
    char *text = wh_arena_alloc(r->doc.arena, (size_t)(end - r->p) + 1), *out = text;

    if (!text)
        return WH_E_NOMEM;
    while (*r->p != '"') {
        if ((unsigned char)*r->p < 0x20)
            return expected(r, "no control character in a string", "write \\n or \\t");
        if (*r->p != '\\') {
            *out++ = *r->p++;
            continue;
        }
        r->p++;
        WH_TRY(escape(r, &out));
    }
    r->p++;
    node->text = text;
    node->quoted = true;
    *ret = node;
    return WH_OK;
}

static size_t digits(struct reader *r)
{
    const char *start = r->p;

    while (r->p < r->end && *r->p >= '0' && *r->p <= '9')
        r->p++;
    return (size_t)(r->p - start);
}

static int parse_number(struct reader *r, struct wh_node **ret)
{
    const char *start = r->p;
    struct wh_node *node;

    count_place(r);
    WH_TRY(doc_node(&r->doc, WH_NODE_SCALAR, r->line, r->column, &node));
    take(r, '-');
    if (!take(r, '0') && digits(r) == 0)
        return expected(r, "a digit", NULL);
    if (r->p[-1] == '0' && (r->p - start == 1 || r->p[-2] == '-') && r->p < r->end &&
        *r->p >= '0' && *r->p <= '9')
        return expected(r, "no digit after a leading zero", "quote it if the zero matters");
    if (take(r, '.') && digits(r) == 0)
        return expected(r, "a digit after the point", NULL);
    if (take(r, 'e') || take(r, 'E')) {
        if (!take(r, '+'))
            take(r, '-');
        if (digits(r) == 0)
            return expected(r, "a digit in the exponent", NULL);
    }
    node->text = wh_arena_strndup(r->doc.arena, start, (size_t)(r->p - start));
    *ret = node;
    return node->text ? WH_OK : WH_E_NOMEM;
}

static int parse_word(struct reader *r, struct wh_node **ret)
{
    static const char *const words[] = {"true", "false", "null"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        size_t n = strlen(words[i]);

        if ((size_t)(r->end - r->p) < n || memcmp(r->p, words[i], n) != 0)
            continue;
        count_place(r);
        WH_TRY(doc_node(&r->doc, i == 2 ? WH_NODE_NULL : WH_NODE_SCALAR, r->line, r->column, ret));
        (*ret)->text = words[i];
        r->p += n;
        return WH_OK;
    }
    return expected(r, "a value", here_is(r, '\'') ? "texts are in double quotes" : NULL);
}

static int parse_value(struct reader *r, struct wh_node **ret);

static int parse_list(struct reader *r, struct wh_node *list)
{
    struct wh_node *item;

    skip_blanks(r);
    if (take(r, ']'))
        return WH_OK;
    for (;;) {
        if (here_is(r, ']'))
            return expected(r, "a value after the comma", "remove the comma");
        WH_TRY(parse_value(r, &item));
        WH_TRY(wh_node_push(r->doc.arena, list, item));
        if (take(r, ']'))
            return WH_OK;
        if (!take(r, ','))
            return expected(r, "',' or ']'", NULL);
        skip_blanks(r);
    }
}

static int parse_map(struct reader *r, struct wh_node *map)
{
    struct wh_node *key, *value;

    skip_blanks(r);
    if (take(r, '}'))
        return WH_OK;
    for (;;) {
        if (!here_is(r, '"'))
            return expected(r, "a key in double quotes",
                            here_is(r, '}') ? "remove the comma"
                                            : "keys and texts are in double quotes");
        WH_TRY(parse_string(r, &key));
        skip_blanks(r);
        if (!take(r, ':'))
            return expected(r, "':'", NULL);
        WH_TRY(parse_value(r, &value));
        WH_TRY(doc_put(&r->doc, map, key, value));
        if (take(r, '}'))
            return WH_OK;
        if (!take(r, ','))
            return expected(r, "',' or '}'", NULL);
        skip_blanks(r);
    }
}

static int parse_collection(struct reader *r, struct wh_node **ret)
{
    bool map = *r->p == '{';

    count_place(r);
    if (++r->depth > DOC_MAX_DEPTH) {
        doc_problem(&r->doc, "E1040", r->line, r->column, NULL,
                    "lists and maps are nested deeper than %d levels", DOC_MAX_DEPTH);
        return WH_E_USAGE;
    }
    WH_TRY(doc_node(&r->doc, map ? WH_NODE_MAP : WH_NODE_LIST, r->line, r->column, ret));
    r->p++;
    WH_TRY(map ? parse_map(r, *ret) : parse_list(r, *ret));
    r->depth--;
    return WH_OK;
}

/* One value with the blanks around it. */
static int parse_value(struct reader *r, struct wh_node **ret)
{
    skip_blanks(r);
    char c = r->p < r->end ? *r->p : 0;
    int st;

    if (c == '{' || c == '[')
        st = parse_collection(r, ret);
    else if (c == '"')
        st = parse_string(r, ret);
    else if (c == '-' || (c >= '0' && c <= '9'))
        st = parse_number(r, ret);
    else
        st = parse_word(r, ret);
    skip_blanks(r);
    return st;
}

static int parse_document(struct reader *r, struct wh_node **ret)
{
    skip_blanks(r);
    if (r->p == r->end)
        return doc_node(&r->doc, WH_NODE_NULL, 1, 1, ret);
    WH_TRY(parse_value(r, ret));
    if (r->p < r->end)
        return expected(r, "nothing after the value", NULL);
    return WH_OK;
}

int wh_json_parse(struct wh_arena *arena, const char *file, const char *text, size_t n,
                  struct wh_node **ret, struct wh_problems *problems)
{
    struct reader r = {
        .doc = {.arena = arena, .file = file, .problems = problems}, .line = 1, .column = 1};
    size_t before = problems->errors;
    struct wh_node *root;
    int st = doc_check_text(&r.doc, &text, &n, DOC_MAX_JSON, "E1032");

    if (st == WH_OK) {
        r.p = r.counted = text;
        r.end = text + n;
        st = parse_document(&r, &root);
    }
    doc_done(&r.doc);
    if (st == WH_OK && problems->errors > before)
        st = WH_E_USAGE;
    if (st == WH_OK)
        *ret = root;
    return st;
}
