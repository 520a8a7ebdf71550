/* SPDX-License-Identifier: Apache-2.0 */
/* The writer: rows of views into text. Quotes only where needed; NULL is nothing (or nulls[0]), the
 * empty text is "". */
#include <string.h>

#include "data/digits.h"
#include "data/number.h"
#include "formats/csv/csv.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* How a column's cells become text. */
enum how {
    HOW_NULL,
    HOW_I64,
    HOW_I32,
    HOW_INT,
    HOW_UINT,
    HOW_F64,
    HOW_DEC128,
    HOW_DATE,
    HOW_TIMESTAMP,
    HOW_TEXT,  /* may need quotes */
    HOW_OTHER, /* canonical text of view.h; may need quotes */
};

enum {
    CELL_MAX = 96, /* longest text of a cell that is not text (or null text), with a delimiter */
};

/* A column of the batch that is being written. */
struct cells {
    enum how how;
    int scale;
    const struct wh_view *view;
    const uint8_t *validity, *data;
    const int32_t *offsets;
    int64_t offset; /* of row 0 in the buffers */
    int32_t safe;   /* behind a text that ends here, 16 bytes can be read */
};

struct wh_csv_writer {
    struct wh_csv_format f;
    int64_t n_columns;
    enum how *how;
    struct cells *cells;
    char **names;
    bool special[256];      /* bytes that force quotes */
    bool one_byte, written; /* written: something stands in the file already */
    struct wh_buf cell;
    size_t row_room; /* bytes that a row's delimiters and cells that are not text need at most */
};

static bool has_point(enum wh_kind kind)
{
    return kind == WH_K_F32 || kind == WH_K_F64 || kind == WH_K_DEC128 || kind == WH_K_DEC256 ||
           kind == WH_K_DECTEXT;
}

static enum how how_of(const struct wh_type *t)
{
    static const enum how by_kind[WH_K_COUNT] = {
        [WH_K_NULL] = HOW_NULL,      [WH_K_BOOL] = HOW_OTHER,     [WH_K_I8] = HOW_INT,
        [WH_K_I16] = HOW_INT,        [WH_K_I32] = HOW_I32,        [WH_K_I64] = HOW_I64,
        [WH_K_U8] = HOW_UINT,        [WH_K_U16] = HOW_UINT,       [WH_K_U32] = HOW_UINT,
        [WH_K_U64] = HOW_UINT,       [WH_K_F32] = HOW_OTHER,      [WH_K_F64] = HOW_F64,
        [WH_K_DEC128] = HOW_DEC128,  [WH_K_DEC256] = HOW_OTHER,   [WH_K_DECTEXT] = HOW_TEXT,
        [WH_K_UTF8] = HOW_TEXT,      [WH_K_BINARY] = HOW_OTHER,   [WH_K_FIXED] = HOW_OTHER,
        [WH_K_DATE32] = HOW_DATE,    [WH_K_TIME64] = HOW_OTHER,   [WH_K_TIMESTAMP] = HOW_TIMESTAMP,
        [WH_K_DURATION] = HOW_OTHER, [WH_K_INTERVAL] = HOW_OTHER, [WH_K_LIST] = HOW_OTHER,
        [WH_K_STRUCT] = HOW_OTHER,   [WH_K_MAP] = HOW_OTHER,      [WH_K_DICT] = HOW_OTHER,
    };
    return by_kind[t->kind];
}

static void mark_special(struct wh_csv_writer *w)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    w->special['\n'] = w->special['\r'] = true;
    if (d->quote >= 0)
        w->special[d->quote] = true;
    if (d->escape >= 0)
        w->special[d->escape] = true;
    /* One byte of a longer delimiter is enough to quote: never wrong, seldom unneeded. */
    w->special[(uint8_t)d->delimiter[0]] = true;
    w->one_byte = d->delimiter_n == 1 && d->escape < 0 && d->quote >= 0;
}

static wh_status fill(struct wh_csv_writer *w, const struct ArrowSchema *schema,
                      struct wh_error *reterr)
{
    w->n_columns = schema->n_children;
    w->row_room = (size_t)w->n_columns * CELL_MAX + 2;
    w->how = wh_calloc((size_t)w->n_columns + 1, sizeof *w->how);
    w->cells = wh_calloc((size_t)w->n_columns + 1, sizeof *w->cells);
    w->names = wh_calloc((size_t)w->n_columns + 1, sizeof *w->names);
    if (!w->how || !w->names || !w->cells)
        return WH_E_NOMEM;
    for (int64_t i = 0; i < w->n_columns; i++) {
        struct wh_type t;
        WH_TRY(wh_type_of(schema->children[i], &t, reterr));
        /* A decimal comma may be the delimiter: then numbers are texts that may need quotes. */
        w->how[i] = w->f.dialect.decimal != '.' && has_point(t.kind) ? HOW_OTHER : how_of(&t);
        w->names[i] = wh_strdup(schema->children[i]->name);
        if (!w->names[i])
            return WH_E_NOMEM;
    }
    return WH_OK;
}

wh_status wh_csv_writer_new(const struct wh_csv_format *f, const struct ArrowSchema *schema,
                            struct wh_csv_writer **ret, struct wh_error *reterr)
{
    struct wh_csv_writer *w = wh_calloc(1, sizeof *w);
    int st = w ? WH_OK : WH_E_NOMEM;
    if (w) {
        w->f = *f;
        w->cell = WH_BUF((size_t)1 << 30);
        mark_special(w);
        st = fill(w, schema, reterr);
    }
    if (st == WH_OK) {
        *ret = w;
        return WH_OK;
    }
    wh_csv_writer_free(w);
    return st == WH_E_NOMEM ? wh_fail(reterr, st, "E8002", "no memory for a CSV writer") : st;
}

void wh_csv_writer_free(struct wh_csv_writer *w)
{
    if (!w)
        return;
    for (int64_t i = 0; w->names && i < w->n_columns; i++)
        wh_free(w->names[i]);
    wh_free(w->names);
    wh_free(w->how);
    wh_free(w->cells);
    wh_buf_free(&w->cell);
    wh_free(w);
}

/* ---- text ------------------------------------------------------------------------------------ */

/* Texts that a reader's guess may take for NULL, or a file's first bytes that have a meaning. */
static bool looks_null(const struct wh_csv_dialect *d, const char *s, size_t n)
{
    static const char *const words[] = {"NA", "N/A", "n/a", "NULL", "null", "\\N", "#N/A"};
    for (int i = 0; i < d->n_nulls; i++)
        if (d->nulls[i].n == n && !memcmp(d->nulls[i].text, s, n))
            return true;
    if (n < 2 || n > 4 || (*s != 'N' && *s != 'n' && *s != '\\' && *s != '#'))
        return false;
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wh_str_eqs((struct wh_str){s, n}, words[i]))
            return true;
    return false;
}

#if defined(__x86_64__)
/* Which of 16 bytes force quotes, as bits; for dialects of one byte each. */
static inline unsigned special16(const struct wh_csv_writer *w, __m128i v)
{
    __m128i line = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8('\n')),
                                _mm_cmpeq_epi8(v, _mm_set1_epi8('\r')));
    __m128i mark = _mm_or_si128(_mm_cmpeq_epi8(v, _mm_set1_epi8(w->f.dialect.delimiter[0])),
                                _mm_cmpeq_epi8(v, _mm_set1_epi8((char)w->f.dialect.quote)));
    return (unsigned)_mm_movemask_epi8(_mm_or_si128(line, mark));
}

/* Copies a text of n > 0 bytes while it looks for bytes that force quotes; true if there are none.
 * 16 bytes behind the text are readable, and 16 behind its copy writable. */
static inline bool copy_plain(const struct wh_csv_writer *w, const uint8_t *s, size_t n, char *out)
{
    for (; n > 16; s += 16, out += 16, n -= 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
        _mm_storeu_si128((__m128i *)(void *)out, v);
        if (special16(w, v))
            return false;
    }
    __m128i v = _mm_loadu_si128((const __m128i *)(const void *)s);
    _mm_storeu_si128((__m128i *)(void *)out, v);
    return !(special16(w, v) & ((1u << n) - 1));
}
#endif

static bool has_special(const struct wh_csv_writer *w, const uint8_t *s, size_t n)
{
    size_t i = 0;
#if defined(__x86_64__)
    for (; w->one_byte && i + 16 <= n; i += 16)
        if (special16(w, _mm_loadu_si128((const __m128i *)(const void *)(s + i))))
            return true;
#endif
    for (; i < n; i++)
        if (w->special[s[i]])
            return true;
    return false;
}

/* The first cell of a file could be taken for a byte order mark, `sep=` or a UTF-16 text. */
static bool looks_like_start(const struct wh_csv_writer *w, const char *s, size_t n)
{
    return !w->written && ((uint8_t)s[0] >= 0xef || (n >= 4 && !memcmp(s, "sep=", 4)));
}

/* Every row starts with room for all its cells that are not text (row_room); a text makes room for
 * itself and keeps that. */
static inline wh_status room(const struct wh_csv_writer *w, struct wh_buf *out, size_t n)
{
    n += w->row_room;
    return __builtin_expect(out->cap - out->n > n, 1) ? WH_OK : wh_buf_reserve(out, n);
}

static wh_status quoted(struct wh_csv_writer *w, const char *s, size_t n, struct wh_buf *out)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    char quote = (char)d->quote;
    bool escapes = d->escape >= 0 && d->escape != d->quote;
    WH_TRY(room(w, out, 2 * n + 2));
    char *p = out->p + out->n;
    *p++ = quote;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == quote || (escapes && s[i] == (char)d->escape))
            *p++ = escapes ? (char)d->escape : quote;
        *p++ = s[i];
    }
    *p++ = quote;
    out->n = (size_t)(p - out->p);
    return WH_OK;
}

/* Without a quote byte some texts cannot be written: the caller's dialect decided so. */
static wh_status bare(struct wh_csv_writer *w, const char *s, size_t n, struct wh_buf *out,
                      struct wh_error *reterr)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    if (d->escape < 0) {
        int st = wh_fail(reterr, WH_E_DATA, "E6014",
                         "a text with a delimiter, line end or null text in it cannot be written "
                         "with quote=none");
        wh_error_hint(reterr, "set quote or escape");
        return st;
    }
    WH_TRY(room(w, out, 2 * n));
    for (size_t i = 0; i < n; i++) {
        if (w->special[(uint8_t)s[i]])
            out->p[out->n++] = (char)d->escape;
        out->p[out->n++] = s[i];
    }
    return WH_OK;
}

/* Without a special byte, is there still something that asks for quotes? */
static inline bool plain(const struct wh_csv_writer *w, const char *s, size_t n, bool first)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    return !looks_null(d, s, n) &&
           !(first && (looks_like_start(w, s, n) || (uint8_t)s[0] == (uint8_t)d->comment));
}

static wh_status put_text(struct wh_csv_writer *w, const char *s, size_t n, bool first,
                          struct wh_buf *out, struct wh_error *reterr)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    if (n && !has_special(w, (const uint8_t *)s, n) && plain(w, s, n, first)) {
        WH_TRY(room(w, out, n));
        memcpy(out->p + out->n, s, n);
        out->n += n;
        return WH_OK;
    }
    if (d->quote >= 0)
        return quoted(w, s, n, out);
    if (!n)
        return WH_OK; /* empty and NULL are one without quotes; the plan says so */
    return bare(w, s, n, out, reterr);
}

/* The text in row k of the buffers. */
static inline wh_status put_text_cell(struct wh_csv_writer *w, const struct cells *c, int64_t k,
                                      bool first, struct wh_buf *out, struct wh_error *reterr)
{
    const uint8_t *s = c->data + c->offsets[k];
    size_t n = (size_t)(c->offsets[k + 1] - c->offsets[k]);
#if defined(__x86_64__)
    if (n && c->offsets[k + 1] <= c->safe) {
        WH_TRY(room(w, out, n));
        if (copy_plain(w, s, n, out->p + out->n) && plain(w, (const char *)s, n, first)) {
            out->n += n;
            return WH_OK;
        }
    }
#endif
    return put_text(w, (const char *)s, n, first, out, reterr);
}

/* ---- cells ----------------------------------------------------------------------------------- */

static wh_status put_other(struct wh_csv_writer *w, const struct wh_view *v, int64_t i, bool first,
                           struct wh_buf *out, struct wh_error *reterr)
{
    wh_buf_clear(&w->cell);
    WH_TRY(wh_view_text(v, i, &w->cell));
    if (w->f.dialect.decimal != '.' && has_point(v->type.kind)) {
        char *point = w->cell.n ? memchr(w->cell.p, '.', w->cell.n) : NULL;
        if (point)
            *point = w->f.dialect.decimal;
    }
    return put_text(w, w->cell.p, w->cell.n, first, out, reterr);
}

static void put_null(const struct wh_csv_writer *w, struct wh_buf *out)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    if (!d->n_nulls)
        return;
    memcpy(out->p + out->n, d->nulls[0].text, d->nulls[0].n);
    out->n += d->nulls[0].n;
}

/* Most numbers have two decimals or fewer. If m / 100 is the number, its digits (fewer than 16) are
 * the shortest that read back: two decimals of at most 15 digits are never the same double. */
static inline bool put_cents(double x, struct wh_buf *out)
{
    double size = x < 0 ? -x : x;
    if (!(size >= 0.01 && size < 1e12))
        return false;
    uint64_t m = (uint64_t)(size * 100 + 0.5);
    if ((double)m / 100 != size)
        return false;
    char *p = out->p + out->n;
    unsigned cents = (unsigned)(m % 100);
    if (x < 0)
        *p++ = '-';
    p += wh_print_u64(m / 100, p);
    *p++ = '.';
    *p++ = (char)('0' + cents / 10);
    if (cents % 10)
        *p++ = (char)('0' + cents % 10);
    out->n = (size_t)(p - out->p);
    return true;
}

#define VALUE(ctype) (((const ctype *)(const void *)c->data)[k])

/* Row k of the buffers, which is row i of the view. */
static inline wh_status put_cell(struct wh_csv_writer *w, const struct cells *c, int64_t k,
                                 int64_t i, struct wh_buf *out, struct wh_error *reterr)
{
    bool first = c == w->cells;
    char *p = out->p + out->n;
    __int128 decimal;
    switch (c->how) {
    case HOW_NULL:
        put_null(w, out);
        return WH_OK;
    case HOW_I64:
        out->n += wh_print_i64(VALUE(int64_t), p);
        return WH_OK;
    case HOW_I32:
        out->n += wh_print_i64(VALUE(int32_t), p);
        return WH_OK;
    case HOW_INT:
        out->n += wh_print_i64(wh_view_i64(c->view, i), p);
        return WH_OK;
    case HOW_UINT:
        out->n += wh_print_u64(wh_view_u64(c->view, i), p);
        return WH_OK;
    case HOW_F64:
        if (!put_cents(VALUE(double), out))
            out->n += wh_print_f64(VALUE(double), p);
        return WH_OK;
    case HOW_DEC128:
        memcpy(&decimal, c->data + 16 * k, sizeof decimal);
        out->n += wh_print_dec128(decimal, c->scale, p);
        return WH_OK;
    case HOW_DATE:
        out->n += wh_print_date(VALUE(int32_t), p);
        return WH_OK;
    case HOW_TIMESTAMP:
        out->n +=
            wh_print_timestamp(VALUE(int64_t), (int)c->view->type.unit, c->view->type.zoned, p);
        return WH_OK;
    case HOW_TEXT:
        return put_text_cell(w, c, k, first, out, reterr);
    default:
        return put_other(w, c->view, i, first, out, reterr);
    }
}

static inline void put_delimiter(const struct wh_csv_writer *w, struct wh_buf *out)
{
    const struct wh_csv_dialect *d = &w->f.dialect;
    out->p[out->n++] = d->delimiter[0];
    for (int i = 1; i < d->delimiter_n; i++)
        out->p[out->n++] = d->delimiter[i];
}

static void end_line(const struct wh_csv_writer *w, struct wh_buf *out)
{
    if (w->f.crlf)
        out->p[out->n++] = '\r';
    out->p[out->n++] = '\n';
}

wh_status wh_csv_write_header(struct wh_csv_writer *w, struct wh_buf *out)
{
    WH_TRY(room(w, out, 0));
    for (int64_t c = 0; c < w->n_columns; c++) {
        if (c)
            put_delimiter(w, out);
        WH_TRY(put_text(w, w->names[c], strlen(w->names[c]), c == 0, out, NULL));
        w->written = true;
    }
    end_line(w, out);
    return WH_OK;
}

static wh_status write_row(struct wh_csv_writer *w, int64_t i, struct wh_buf *out,
                           struct wh_error *reterr)
{
    const struct cells *end = w->cells + w->n_columns;
    WH_TRY(room(w, out, 0));
    for (const struct cells *c = w->cells; c < end; c++) {
        int64_t k = i + c->offset;
        if (c != w->cells)
            put_delimiter(w, out);
        if (c->validity && !(c->validity[k >> 3] >> (k & 7) & 1))
            put_null(w, out);
        else
            WH_TRY(put_cell(w, c, k, i, out, reterr));
    }
    end_line(w, out);
    w->written = true;
    return WH_OK;
}

static void take_views(struct wh_csv_writer *w, const struct wh_view *views)
{
    for (int64_t i = 0; i < w->n_columns; i++) {
        const struct wh_view *v = &views[i];
        struct cells *c = &w->cells[i];
        *c = (struct cells){.how = w->how[i],
                            .scale = v->type.scale,
                            .view = v,
                            .validity = v->validity,
                            .data = v->data,
                            .offsets = v->offsets,
                            .offset = v->offset};
        if (c->how == HOW_TEXT && w->one_byte && v->n > 0)
            c->safe = v->offsets[v->offset + v->n] - 16;
    }
}

wh_status wh_csv_write(struct wh_csv_writer *w, const struct wh_view *views, const int32_t *rows,
                       int64_t first, int64_t n, struct wh_buf *out, struct wh_error *reterr)
{
    take_views(w, views);
    for (int64_t k = 0; k < n; k++) {
        int st = write_row(w, rows ? rows[k] : first + k, out, reterr);
        if (st == WH_E_NOMEM || st == WH_E_LIMIT)
            return wh_fail(reterr, st, "E8002", "no memory for a row of text");
        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}
