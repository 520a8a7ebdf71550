/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/textin.h"
#include "formats/digits_simd.h"

#include <stdio.h>
#include <string.h>

enum {
    SHOWN = 4096,          /* of a record that is too large */
    SCRATCH_PADDING = 256, /* behind a text: another one, and what may be read over */
};

/* ---- making ---------------------------------------------------------------------------------- */

wh_status textin_start(struct textin *t, const struct textin_config *cfg, struct wh_error *reterr)
{
    *t = (struct textin){.cfg = *cfg};
    t->cap = cfg->buffer ? cfg->buffer : TEXTIN_WINDOW;
    t->base = t->batch_bytes = cfg->offset;
    t->line = cfg->line;
    WH_TRY(wh_schema_copy(cfg->schema, &t->schema));
    t->cfg.schema = &t->schema;
    WH_TRY(wh_builder_new(&t->schema, &t->builder, reterr));
    wh_builder_max_cell(t->builder, cfg->max_row + 1);
    /* A byte more than the padding: where the last line has no end, one is put there. */
    t->buf = wh_alloc_aligned(t->cap + TEXTIN_PADDING + 1);
    if (!t->buf)
        return WH_E_NOMEM;
    memset(t->buf, 0, t->cap + TEXTIN_PADDING + 1);
    return WH_OK;
}

void textin_free(struct textin *t)
{
    wh_builder_free(t->builder);
    wh_schema_release(&t->schema);
    wh_free(t->buf);
    wh_free(t->scratch);
}

void textin_adopt(struct textin *t, void *arg, int64_t max_rows)
{
    t->cfg.arg = arg;
    t->cfg.max_rows = max_rows;
    t->delivered = 0;
}

/* ---- lines ----------------------------------------------------------------------------------- */

/* Bytes are looked at in vectors of this size; where the machine has them smaller, the compiler
 * makes two of one. */
typedef uint8_t vec __attribute__((vector_size(32)));

/* By pointers: how a vector is passed to a function depends on the machine. */
static inline __attribute__((always_inline)) void load(vec *ret, const uint8_t *p)
{
    memcpy(ret, p, sizeof *ret);
}

static inline int64_t sum_of(const vec *v)
{
    int64_t sum = 0;
    for (size_t i = 0; i < sizeof *v; i++)
        sum += (*v)[i];
    return sum;
}

/* LF, and with `cr` a CR without one behind it. Reads p[n]. *ret_done bytes were looked at. */
static inline __attribute__((always_inline)) int64_t count_vectors(const uint8_t *p, size_t n,
                                                                   bool cr, size_t *ret_done)
{
    int64_t lines = 0;
    size_t i = 0;
    while (n - i >= sizeof(vec)) {
        size_t end =
            n - i > 255 * sizeof(vec) ? i + 255 * sizeof(vec) : n; /* a byte counts so far */
        vec sum = {0};
        for (; end - i >= sizeof(vec); i += sizeof(vec)) {
            vec v, next;
            load(&v, p + i);
            sum -= (vec)(v == '\n');
            if (cr) {
                load(&next, p + i + 1);
                sum -= (vec)((v == '\r') & (next != '\n'));
            }
        }
        lines += sum_of(&sum);
    }
    *ret_done = i;
    return lines;
}

static int64_t count_plain(const uint8_t *p, size_t n, bool cr, size_t *ret_done)
{
    return cr ? count_vectors(p, n, true, ret_done) : count_vectors(p, n, false, ret_done);
}

#if defined(__x86_64__)
static WH_AVX2 int64_t count_avx2(const uint8_t *p, size_t n, bool cr, size_t *ret_done)
{
    return cr ? count_vectors(p, n, true, ret_done) : count_vectors(p, n, false, ret_done);
}
#endif

/* Line ends, wherever they stand. Asked once per window and for rejects. */
int64_t textin_count_lines(const uint8_t *p, size_t n, bool cr_ends, bool plain)
{
    bool cr = cr_ends && n && memchr(p, '\r', n);
    int64_t (*count)(const uint8_t *, size_t, bool, size_t *) = count_plain;
    size_t i;
#if defined(__x86_64__)
    if (!plain && wh_has_avx2())
        count = count_avx2;
#endif
    int64_t lines = count(p, n, cr, &i);
    for (; i < n; i++)
        lines += p[i] == '\n' || (cr && p[i] == '\r' && p[i + 1] != '\n');
    return lines;
}

static inline __attribute__((always_inline)) bool ascii_vectors(const uint8_t *p, size_t n)
{
    vec all = {0}, v;
    uint8_t high = 0;
    size_t i = 0;
    for (; n - i >= sizeof v; i += sizeof v) {
        load(&v, p + i);
        all |= v;
    }
    for (size_t k = 0; k < sizeof all; k++)
        high |= (uint8_t)all[k];
    for (; i < n; i++)
        high |= p[i];
    return high < 0x80;
}

#if defined(__x86_64__)
static WH_AVX2 bool ascii_avx2(const uint8_t *p, size_t n)
{
    return ascii_vectors(p, n);
}
#endif

wh_status textin_check_utf8(const char *p, size_t n, bool whole, struct wh_error *reterr)
{
    size_t at = 0, step;
    int64_t line = 1;
    if (!whole)
        n = wh_utf8_whole(p, n);
    if (wh_utf8_valid(p, n))
        return WH_OK;
    while (at < n && (step = wh_utf8_len(p + at, n - at)) > 0) {
        line += p[at] == '\n';
        at += step;
    }
    return wh_fail(reterr, WH_E_DATA, "E4006", "line %lld, byte %zu is not valid UTF-8",
                   (long long)line, at);
}

bool textin_is_ascii(const uint8_t *p, size_t n, bool plain)
{
#if defined(__x86_64__)
    if (!plain && wh_has_avx2())
        return ascii_avx2(p, n);
#endif
    return ascii_vectors(p, n);
}

int64_t textin_line_at(const struct textin *t, size_t pos)
{
    const uint8_t *from = t->buf + t->line_pos;
    return t->line ? t->line + textin_count_lines(from, pos - t->line_pos, t->cfg.cr_ends, false)
                   : 0;
}

int64_t textin_line_on(struct textin *t, size_t pos)
{
    size_t from = t->line_pos;
    int64_t line = t->line;

    if (!line)
        return 0;
    if (t->mark_line && t->mark_at >= t->base + (int64_t)from &&
        t->mark_at <= t->base + (int64_t)pos) {
        from = (size_t)(t->mark_at - t->base);
        line = t->mark_line;
    }
    line += textin_count_lines(t->buf + from, pos - from, t->cfg.cr_ends, false);
    t->mark_at = t->base + (int64_t)pos;
    t->mark_line = line;
    return line;
}

void textin_lines_add(struct textin_lines *l, const uint8_t *p, size_t n)
{
    if (!n)
        return;
    l->n += l->cr && p[0] != '\n';
    l->n += textin_count_lines(p, n - 1, l->cr_ends, false) + (p[n - 1] == '\n');
    l->cr = l->cr_ends && p[n - 1] == '\r';
}

int64_t textin_lines_end(const struct textin_lines *l)
{
    return l->n + l->cr;
}

/* ---- places of records ------------------------------------------------------------------------
 */

enum textin_place textin_place_of(const struct ArrowSchema *field)
{
    struct wh_str place;

    if (!wh_meta_get(field, WH_META_PLACE, &place))
        return TEXTIN_CELL;
    return wh_str_eqs(place, "line") ? TEXTIN_LINE : TEXTIN_OFFSET;
}

wh_status textin_put_place(struct textin *t, enum textin_place place, size_t pos,
                           struct wh_column *to)
{
    int64_t v = place == TEXTIN_LINE ? textin_line_on(t, pos) : t->base + (int64_t)pos;

    return place == TEXTIN_LINE && v <= 0 ? WH_E_BUG : wh_put_i64(to, v);
}

/* ---- the window ------------------------------------------------------------------------------ */

/* The undelivered rest to the front of the buffer. */
static void shift(struct textin *t)
{
    if (!t->pos)
        return;
    t->line = textin_line_at(t, t->pos);
    t->line_pos = 0;
    memmove(t->buf, t->buf + t->pos, t->fill - t->pos);
    t->base += (int64_t)t->pos;
    t->fill -= t->pos;
    t->pos = 0;
}

static wh_status enlarge(struct textin *t, struct wh_error *reterr)
{
    size_t want = t->cap * 2, all = want + TEXTIN_PADDING + 1;
    uint8_t *p = wh_alloc_aligned(all);
    if (!p)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a row of %zu bytes", t->fill);
    memcpy(p, t->buf, t->fill);
    memset(p + t->fill, 0, all - t->fill);
    wh_free(t->buf);
    t->buf = p;
    t->cap = want;
    return WH_OK;
}

wh_status textin_space(struct textin *t, void **ret_p, size_t *ret_n, struct wh_error *reterr)
{
    shift(t);
    if (t->fill > t->cap / 2)
        WH_TRY(enlarge(t, reterr));
    *ret_p = t->buf + t->fill;
    *ret_n = t->cap - t->fill;
    return WH_OK;
}

void textin_filled(struct textin *t, size_t n, bool last)
{
    t->fill += n;
    t->last = last;
    memset(t->buf + t->fill, 0, TEXTIN_PADDING);
}

wh_status textin_scratch(struct textin *t)
{
    if (t->scratch_cap > t->cap)
        return WH_OK;
    wh_free(t->scratch);
    t->scratch_cap = 0;
    t->scratch = wh_alloc(t->cap + SCRATCH_PADDING);
    if (!t->scratch)
        return WH_E_NOMEM;
    t->scratch_cap = t->cap + SCRATCH_PADDING;
    return WH_OK;
}

/* ---- rejects --------------------------------------------------------------------------------- */

/* `shown` of the record's n bytes are handed over. */
static wh_status reject(struct textin *t, size_t from, size_t shown, size_t n, int32_t column,
                        const char *code, const char *text)
{
    struct wh_text_reject rj = {.raw = {t->buf + from, shown},
                                .raw_of = shown < n ? (int64_t)n : 0,
                                .offset = t->base + (int64_t)from,
                                .line = textin_line_at(t, from),
                                .column = column,
                                .code = code,
                                .text = text};
    return t->cfg.reject ? t->cfg.reject(t->cfg.arg, &rj) : WH_E_LIMIT;
}

wh_status textin_reject(struct textin *t, size_t from, size_t n, int32_t column, const char *code,
                        const char *text)
{
    return reject(t, from, n, n, column, code, text);
}

wh_status textin_too_long(struct textin *t, size_t from, size_t n)
{
    size_t most = t->cfg.max_row < SHOWN ? t->cfg.max_row : SHOWN;
    return reject(t, from, n < most ? n : most, n, -1, "E6010",
                  "the row is larger than max_row_bytes");
}

wh_status textin_never_ends(struct textin *t, size_t from, size_t n, const char *what)
{
    const uint8_t *p = t->buf + from;
    bool whole = n && (p[n - 1] == '\n' || (t->cfg.cr_ends && p[n - 1] == '\r'));
    int64_t lines = textin_count_lines(p, n, t->cfg.cr_ends, false) + !whole;
    char text[220];
    snprintf(text, sizeof text,
             "%s never ends: the rest of the file, %zu bytes on %lld line%s, is in this row", what,
             n, (long long)lines, lines == 1 ? "" : "s");
    return textin_reject(t, from, n, -1, "E6022", text);
}

void textin_note_large(struct textin *t, size_t from)
{
    t->large_at = t->base + (int64_t)from;
    t->large_line = textin_line_at(t, from);
}

wh_status textin_lost(const struct textin *t, const char *code, struct wh_error *reterr)
{
    char line[40] = "";
    if (t->large_line)
        snprintf(line, sizeof line, "line %lld, ", (long long)t->large_line);
    int st = wh_fail(reterr, WH_E_DATA, code,
                     "%sbyte %lld: the row that begins here is larger than max_row_bytes and never "
                     "ends; which rows stand behind it cannot be told",
                     line, (long long)t->large_at);
    wh_error_hint(reterr,
                  "a quote or bracket is not closed, or the file is cut off: mend it there");
    return st;
}

void textin_word_cell(const struct textin *t, int32_t column, struct wh_str cell, const char *why,
                      char *out, size_t cap)
{
    const struct ArrowSchema *field = t->schema.children[column];
    struct wh_str shown = wh_str_clip(cell, 60);
    struct wh_buf type = WH_BUF(256);
    struct wh_type of;
    bool typed = why[strlen(why) - 1] == ' ';
    if (typed && (wh_type_of(field, &of, NULL) != WH_OK || wh_type_print(&of, &type) != WH_OK))
        wh_buf_clear(&type);
    snprintf(out, cap, "column '%.40s': '%.*s' %s%s", field->name, WH_STR_FMT(shown), why,
             typed ? (type.n ? type.p : "its column") : "");
    wh_buf_free(&type);
}

/* ---- batches --------------------------------------------------------------------------------- */

wh_status textin_finish(struct textin *t, int64_t offset, struct wh_batch *ret,
                        struct wh_error *reterr)
{
    int st = wh_builder_finish(t->builder, ret);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "a batch cannot be finished");
    ret->source_bytes = offset - t->batch_bytes;
    ret->first = t->delivered;
    t->batch_bytes = offset;
    t->delivered += t->pending;
    t->pending = 0;
    return WH_OK;
}

wh_status textin_worded(const struct textin *t, int st, struct wh_error *reterr)
{
    if (st == WH_E_NOMEM && (!reterr || !reterr->code[0]))
        return wh_fail(reterr, st, "E8002", "no memory to read rows of %s", t->cfg.what);
    return st;
}
