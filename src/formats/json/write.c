/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: rows of views into objects. */
#include <string.h>

#include "data/number.h"
#include "formats/json/scan.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum how {
    HOW_INT,
    HOW_UINT,
    HOW_F64,
    HOW_DEC128,
    HOW_BOOL,
    HOW_TEXT,
    HOW_JSON,
    HOW_OTHER, /* JSON of view.h */
};

enum {
    CELL_MAX = 96, /* longest text of a number or word */
};

struct column {
    enum how how;
    char *key; /* {"name": or ,"name": */
    size_t key_n;
};

struct wh_json_writer {
    int64_t n_columns;
    struct column *columns;
    bool array, written; /* written: a row stands in the file already */
    size_t row_room;     /* keys and all cells that are not texts */
    struct wh_buf cell;
};

static enum how how_of(const struct wh_type *t)
{
    switch (t->kind) {
    case WH_K_BOOL:
        return HOW_BOOL;
    case WH_K_I8 ... WH_K_I64:
        return HOW_INT;
    case WH_K_U8 ... WH_K_U64:
        return HOW_UINT;
    case WH_K_F64:
        return HOW_F64;
    case WH_K_DEC128:
        return HOW_DEC128;
    case WH_K_UTF8:
        return t->logical == WH_L_JSON ? HOW_JSON : HOW_TEXT;
    default:
        return HOW_OTHER;
    }
}

static wh_status make_key(struct column *c, const char *name, bool first)
{
    struct wh_buf b = WH_BUF(1 << 24);
    int st = wh_buf_addc(&b, first ? '{' : ',');
    if (st == WH_OK)
        st = wh_buf_json(&b, name, strlen(name));
    if (st == WH_OK)
        st = wh_buf_addc(&b, ':');
    c->key_n = b.n;
    c->key = st == WH_OK ? wh_buf_take(&b) : NULL;
    wh_buf_free(&b);
    return c->key ? WH_OK : WH_E_NOMEM;
}

static wh_status fill(struct wh_json_writer *w, const struct ArrowSchema *schema,
                      struct wh_error *reterr)
{
    w->n_columns = schema->n_children;
    w->columns = wh_calloc((size_t)w->n_columns + 1, sizeof *w->columns);
    w->row_room = 8;
    if (!w->columns)
        return WH_E_NOMEM;
    for (int64_t i = 0; i < w->n_columns; i++) {
        struct wh_type t;
        WH_TRY(wh_type_of(schema->children[i], &t, reterr));
        w->columns[i].how = how_of(&t);
        WH_TRY(make_key(&w->columns[i], schema->children[i]->name, !i));
        w->row_room += w->columns[i].key_n + CELL_MAX;
    }
    return WH_OK;
}

wh_status wh_json_writer_new(const struct ArrowSchema *schema, bool array,
                             struct wh_json_writer **ret, struct wh_error *reterr)
{
    struct wh_json_writer *w = wh_calloc(1, sizeof *w);
    int st = w ? WH_OK : WH_E_NOMEM;
    if (w) {
        w->array = array;
        w->cell = WH_BUF((size_t)1 << 30);
        st = fill(w, schema, reterr);
    }
    if (st == WH_OK) {
        *ret = w;
        return WH_OK;
    }
    wh_json_writer_free(w);
    return st == WH_E_NOMEM ? wh_fail(reterr, st, "E8002", "no memory for a JSON writer") : st;
}

void wh_json_writer_free(struct wh_json_writer *w)
{
    if (!w)
        return;
    for (int64_t i = 0; w->columns && i < w->n_columns; i++)
        wh_free(w->columns[i].key);
    wh_free(w->columns);
    wh_buf_free(&w->cell);
    wh_free(w);
}

void wh_json_writer_start(struct wh_json_writer *w)
{
    w->written = false;
}

/* ---- cells ------------------------------------------------------------------------------------
 */

/* Every row starts with room for all that is not text; a text makes room for itself and keeps that.
 */
static inline wh_status room(const struct wh_json_writer *w, struct wh_buf *out, size_t n)
{
    n += w->row_room;
    return __builtin_expect(out->cap - out->n > n, 1) ? WH_OK : wh_buf_reserve(out, n);
}

static inline void put(struct wh_buf *out, const char *s, size_t n)
{
    memcpy(out->p + out->n, s, n);
    out->n += n;
}

static char *escape(char *p, uint8_t c)
{
    static const char hex[] = "0123456789abcdef";
    static const char from[] = "\"\\\b\f\n\r\t", to[] = "\"\\bfnrt";
    const char *known = memchr(from, c, 7);
    *p++ = '\\';
    if (known) {
        *p++ = to[known - from];
        return p;
    }
    memcpy(p, "u00", 3);
    p[3] = hex[c >> 4];
    p[4] = hex[c & 15];
    return p + 5;
}

static wh_status put_text(struct wh_json_writer *w, const uint8_t *s, size_t n, struct wh_buf *out)
{
    size_t i = 0;
    WH_TRY(room(w, out, 6 * n + 2));
    char *p = out->p + out->n;
    *p++ = '"';
#if defined(__x86_64__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                  control = _mm_set1_epi8(0x1f);
    for (; i + 16 <= n; i += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(s + i));
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        if (_mm_movemask_epi8(hit))
            break;
        _mm_storeu_si128((__m128i *)(void *)p, v);
        p += 16;
    }
#endif
    for (; i < n; i++) {
        if (__builtin_expect(s[i] < 0x20 || s[i] == '"' || s[i] == '\\', 0))
            p = escape(p, s[i]);
        else
            *p++ = (char)s[i];
    }
    *p++ = '"';
    out->n = (size_t)(p - out->p);
    return WH_OK;
}

/* A line end between tokens of a json text would cut the row in two; within its strings there is
 * none, or the text is no JSON and stands in quotes. */
static wh_status put_other(struct wh_json_writer *w, const struct wh_view *v, int64_t i,
                           struct wh_buf *out)
{
    wh_buf_clear(&w->cell);
    WH_TRY(wh_view_json(v, i, &w->cell));
    WH_TRY(room(w, out, w->cell.n));
    for (char *p = w->cell.p, *end = p + w->cell.n; p < end; p++)
        if (*p == '\n' || *p == '\r')
            *p = ' ';
    put(out, w->cell.p, w->cell.n);
    return WH_OK;
}

static wh_status put_cell(struct wh_json_writer *w, enum how how, const struct wh_view *v,
                          int64_t i, struct wh_buf *out)
{
    struct wh_bytes b;
    char *p = out->p + out->n;
    switch (how) {
    case HOW_INT:
        out->n += wh_print_i64(wh_view_i64(v, i), p);
        return WH_OK;
    case HOW_UINT:
        out->n += wh_print_u64(wh_view_u64(v, i), p);
        return WH_OK;
    case HOW_BOOL:
        put(out, wh_view_i64(v, i) ? "true" : "false", wh_view_i64(v, i) ? 4 : 5);
        return WH_OK;
    case HOW_DEC128:
        out->n += wh_print_dec128(wh_view_dec128(v, i), v->type.scale, p);
        return WH_OK;
    case HOW_F64: {
        double x = wh_view_f64(v, i);
        if (x - x != 0) /* infinite or NaN */
            return put_other(w, v, i, out);
        out->n += wh_print_f64(x, p);
        return WH_OK;
    }
    case HOW_TEXT:
        b = wh_view_bytes(v, i);
        return put_text(w, b.p, b.n, out);
    default:
        return put_other(w, v, i, out);
    }
}

static wh_status write_row(struct wh_json_writer *w, const struct wh_view *views, int64_t i,
                           struct wh_buf *out)
{
    WH_TRY(room(w, out, 0));
    if (w->array && w->written)
        put(out, ",\n", 2);
    if (!w->n_columns)
        put(out, "{", 1);
    for (int64_t c = 0; c < w->n_columns; c++) {
        put(out, w->columns[c].key, w->columns[c].key_n);
        if (wh_view_null(&views[c], i))
            put(out, "null", 4);
        else
            WH_TRY(put_cell(w, w->columns[c].how, &views[c], i, out));
    }
    put(out, "}", 1);
    if (!w->array)
        put(out, "\n", 1);
    w->written = true;
    return WH_OK;
}

wh_status wh_json_write(struct wh_json_writer *w, const struct wh_view *views, const int32_t *rows,
                        int64_t first, int64_t n, struct wh_buf *out, struct wh_error *reterr)
{
    for (int64_t k = 0; k < n; k++) {
        int st = write_row(w, views, rows ? rows[k] : first + k, out);
        if (st == WH_E_NOMEM || st == WH_E_LIMIT)
            return wh_fail(reterr, st, "E8002", "no memory for a row of text");
        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}
