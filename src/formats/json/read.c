/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: a window of the stream whose rows go into builders one after the other.
 *
 * The window always starts where the row before ended. When no complete row is left in it, the rest
 * moves to the front and more is read behind it; it doubles when a row is larger. Lines are cut
 * before they are looked at; in the other layouts brackets are counted first, so that a row that is
 * bad inside is one reject and the next row is found. */
#include <stdio.h>
#include <string.h>

#include "formats/json/row.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum {
    WINDOW = 256 * 1024,
    ROWS_AT_ONCE = 128, /* between looks at how full the batch is */
    SHOWN = 4096,       /* of a row that is too large */
};

struct wh_json_reader {
    struct wh_json_config cfg;
    struct wh_builder *builder;
    struct ArrowSchema schema; /* our copy, for messages */
    struct json_row row;

    uint8_t *buf;
    size_t cap, fill; /* bytes in buf; JSON_PADDING more are readable */
    size_t pos;       /* behind the last row */
    bool last, ascii, inside, closed;
    bool skipping; /* the row at pos is too large and passed over */
    struct json_frame frame;
    int64_t base; /* stream offset of buf[0] */
    int64_t line; /* of buf[line_pos]; 0 = not known */
    size_t line_pos;
    int64_t delivered, pending, batch_bytes;
};

/* ---- making ---------------------------------------------------------------------------------- */

static bool can_read(const struct wh_type *t)
{
    return t->kind == WH_K_UTF8 || (t->kind != WH_K_NULL && wh_csv_can_read(t));
}

static wh_status add_column(struct wh_json_reader *r, int32_t i, struct wh_error *reterr)
{
    const struct ArrowSchema *field = r->schema.children[i];
    struct json_column *c = &r->row.cells.columns[i];
    struct json_node *node = NULL;
    struct wh_type t;
    struct wh_str guessed;
    WH_TRY(wh_type_of(field, &t, reterr));
    if (!can_read(&t))
        return wh_fail(reterr, WH_E_TYPE, "E3003", "column '%s': JSON cannot be read as this type",
                       field->name);
    *c = (struct json_column){.how = json_how(&t),
                              .guessed = wh_meta_get(field, WH_META_GUESSED, &guessed) != NULL,
                              .to = wh_builder_column(r->builder, i)};
    if (r->cfg.places && r->cfg.places[i]) {
        struct json_path path;
        WH_TRY(json_path_parse(field->name, &path, reterr));
        int st = json_tree_add(&r->row.tree, path.step, path.n, &node);
        json_path_free(&path);
        WH_TRY(st);
    } else {
        struct wh_str key = wh_str(field->name);
        WH_TRY(json_tree_add(&r->row.tree, &key, 1, &node));
    }
    if (node->column >= 0)
        return wh_fail(reterr, WH_E_USAGE, "E3008", "'%s' and '%s' are one place of the JSON",
                       r->schema.children[node->column]->name, field->name);
    node->column = i;
    return WH_OK;
}

static wh_status add_known(struct wh_json_reader *r)
{
    for (int64_t i = 0; i < r->cfg.n_known; i++) {
        struct json_node *node;
        struct wh_str key = wh_str(r->cfg.known[i]);
        WH_TRY(json_tree_add(&r->row.tree, &key, 1, &node));
    }
    r->cfg.known = NULL;
    r->cfg.n_known = 0;
    return WH_OK;
}

static wh_status start(struct wh_json_reader *r, struct wh_error *reterr)
{
    size_t n = (size_t)r->cfg.schema->n_children;
    WH_TRY(wh_schema_copy(r->cfg.schema, &r->schema));
    WH_TRY(wh_builder_new(&r->schema, &r->builder, reterr));
    wh_builder_max_cell(r->builder, r->cfg.max_row + 1);
    WH_TRY(json_tree_new(&r->row.tree));
    r->row.n_columns = (int32_t)n;
    r->row.cells.columns = wh_calloc(n + 1, sizeof *r->row.cells.columns);
    r->row.cells.dialect = wh_csv_dialect_default();
    r->row.seen = wh_calloc(n + 1, sizeof *r->row.seen);
    r->row.refuse_unknown = r->cfg.refuse_unknown;
    if (!r->row.cells.columns || !r->row.seen)
        return WH_E_NOMEM;
    for (int32_t i = 0; i < (int32_t)n; i++)
        WH_TRY(add_column(r, i, reterr));
    WH_TRY(add_known(r));
    r->cfg.places = NULL;
    r->cfg.schema = &r->schema;
    r->cap = r->cfg.buffer ? r->cfg.buffer : WINDOW;
    r->buf = wh_alloc_aligned(r->cap + JSON_PADDING);
    r->row.cells.scratch = wh_alloc(r->cap + 4 * JSON_PADDING);
    if (!r->buf || !r->row.cells.scratch)
        return WH_E_NOMEM;
    memset(r->buf, 0, r->cap + JSON_PADDING);
    r->base = r->batch_bytes = r->cfg.offset;
    r->line = r->cfg.line;
    r->inside = r->cfg.inside;
    return WH_OK;
}

wh_status wh_json_reader_new(const struct wh_json_config *cfg, struct wh_json_reader **ret,
                             struct wh_error *reterr)
{
    struct wh_json_reader *r = wh_calloc(1, sizeof *r);
    if (!r)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a JSON reader");
    r->cfg = *cfg;
    if (!r->cfg.max_row)
        r->cfg.max_row = WH_CSV_MAX_ROW;
    int st = start(r, reterr);
    if (st == WH_OK) {
        *ret = r;
        return WH_OK;
    }
    wh_json_reader_free(r);
    return st == WH_E_NOMEM ? wh_fail(reterr, st, "E8002", "no memory for a JSON reader") : st;
}

void wh_json_reader_free(struct wh_json_reader *r)
{
    if (!r)
        return;
    wh_builder_free(r->builder);
    wh_schema_release(&r->schema);
    json_tree_free(&r->row.tree);
    wh_free(r->row.cells.columns);
    wh_free(r->row.cells.scratch);
    wh_free(r->row.seen);
    wh_free(r->buf);
    wh_free(r);
}

void wh_json_adopt(struct wh_json_reader *r, void *arg, int64_t max_rows)
{
    r->cfg.arg = arg;
    r->cfg.max_rows = max_rows;
    r->delivered = 0;
}

/* ---- the window ------------------------------------------------------------------------------ */

static int64_t line_at(const struct wh_json_reader *r, size_t pos)
{
    int64_t lines = r->line;
    const uint8_t *p = r->buf + r->line_pos, *end = r->buf + pos;
    while (r->line && p < end && (p = memchr(p, '\n', (size_t)(end - p)))) {
        lines++;
        p++;
    }
    return lines;
}

static void shift(struct wh_json_reader *r)
{
    if (!r->pos)
        return;
    r->line = line_at(r, r->pos);
    r->line_pos = 0;
    memmove(r->buf, r->buf + r->pos, r->fill - r->pos);
    r->base += (int64_t)r->pos;
    r->fill -= r->pos;
    r->pos = 0;
}

static wh_status enlarge(struct wh_json_reader *r, struct wh_error *reterr)
{
    size_t want = r->cap * 2;
    uint8_t *p = wh_alloc_aligned(want + JSON_PADDING), *scratch = NULL;
    if (p)
        scratch = wh_alloc(want + 4 * JSON_PADDING);
    if (!scratch) {
        wh_free(p);
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a row of %zu bytes", r->fill);
    }
    memcpy(p, r->buf, r->fill);
    memset(p + r->fill, 0, want + JSON_PADDING - r->fill);
    wh_free(r->buf);
    wh_free(r->row.cells.scratch);
    r->buf = p;
    r->row.cells.scratch = scratch;
    r->cap = want;
    return WH_OK;
}

wh_status wh_json_space(struct wh_json_reader *r, void **ret_p, size_t *ret_n,
                        struct wh_error *reterr)
{
    shift(r);
    if (r->fill > r->cap / 2)
        WH_TRY(enlarge(r, reterr));
    *ret_p = r->buf + r->fill;
    *ret_n = r->cap - r->fill;
    return WH_OK;
}

static bool is_ascii(const uint8_t *p, size_t n)
{
    size_t i = 0;
    unsigned high = 0;
#if defined(__x86_64__)
    __m128i all = _mm_setzero_si128();
    for (; i + 16 <= n; i += 16)
        all = _mm_or_si128(all, _mm_loadu_si128((const __m128i *)(const void *)(p + i)));
    high = (unsigned)_mm_movemask_epi8(all);
#endif
    for (; i < n; i++)
        high |= p[i] & 0x80;
    return !high;
}

void wh_json_filled(struct wh_json_reader *r, size_t n, bool last)
{
    r->fill += n;
    r->last = last;
    if (last && r->fill > r->pos && r->buf[r->fill - 1] == 0x1a)
        r->buf[r->fill - 1] = ' '; /* the closing mark of old systems */
    memset(r->buf + r->fill, 0, JSON_PADDING);
    r->ascii = is_ascii(r->buf + r->pos, r->fill - r->pos);
}

/* ---- rejects --------------------------------------------------------------------------------- */

static wh_status reject(struct wh_json_reader *r, size_t from, size_t n, int32_t column,
                        const char *code, const char *text)
{
    struct wh_csv_reject rj = {.raw = {r->buf + from, n},
                               .offset = r->base + (int64_t)from,
                               .line = line_at(r, from),
                               .column = column,
                               .code = code,
                               .text = text};
    return r->cfg.reject ? r->cfg.reject(r->cfg.arg, &rj) : WH_E_LIMIT;
}

static wh_status too_long(struct wh_json_reader *r, size_t from, size_t n)
{
    size_t most = r->cfg.max_row < SHOWN ? r->cfg.max_row : SHOWN;
    return reject(r, from, n < most ? n : most, -1, "E6010",
                  "the row is larger than max_row_bytes");
}

/* "column 'a': '"x1"' is not a value of type int64". */
static void word_cell(const struct wh_json_reader *r, char *out, size_t cap)
{
    const struct json_fault *f = &r->row.cells.fault;
    const struct ArrowSchema *field = r->schema.children[f->column];
    struct wh_str shown = wh_str_clip((struct wh_str){(const char *)f->at, f->n}, 60);
    struct wh_buf type = WH_BUF(256);
    struct wh_type t;
    bool typed = f->text[strlen(f->text) - 1] == ' ';
    if (typed && (wh_type_of(field, &t, NULL) != WH_OK || wh_type_print(&t, &type) != WH_OK))
        wh_buf_clear(&type);
    snprintf(out, cap, "column '%.40s': '%.*s' %s%s", field->name, WH_STR_FMT(shown), f->text,
             typed ? (type.n ? type.p : "its column") : "");
    wh_buf_free(&type);
}

static wh_status reject_row(struct wh_json_reader *r, size_t from, size_t n)
{
    const struct json_fault *f = &r->row.cells.fault;
    char text[220];
    if (!f->code) {
        size_t at = (size_t)(r->row.stopped - (r->buf + from));
        snprintf(text, sizeof text, "not valid JSON from its byte %zu on", at < n ? at : n);
        return reject(r, from, n, -1, "E6014", text);
    }
    if (f->column >= 0) {
        word_cell(r, text, sizeof text);
    } else {
        struct wh_str shown = wh_str_clip((struct wh_str){(const char *)f->at, f->n}, 60);
        snprintf(text, sizeof text, "%s: %.*s", f->text, WH_STR_FMT(shown));
    }
    return reject(r, from, n, f->column, f->code, text);
}

/* ---- one row ----------------------------------------------------------------------------------
 */

static wh_status take_row(struct wh_json_reader *r, size_t from, size_t n)
{
    const uint8_t *p = r->buf + from;
    if (n > r->cfg.max_row)
        return too_long(r, from, n);
    if (!r->ascii && !wh_utf8_valid((const char *)p, n))
        return reject(r, from, n, -1, "E6005", "the row is not valid UTF-8");
    if (json_row_put(&r->row, p, p + n)) {
        r->pending++;
        return WH_OK;
    }
    wh_builder_truncate(r->builder, r->pending);
    if (r->row.cells.status == WH_E_LIMIT)
        return too_long(r, from, n);
    return r->row.cells.status != WH_OK ? r->row.cells.status : reject_row(r, from, n);
}

/* ---- where rows stand -------------------------------------------------------------------------
 */

/* Whatever row is next, it is not ours. */
static bool enough(const struct wh_json_reader *r)
{
    return (r->cfg.stop_at >= 0 && r->base + (int64_t)r->pos >= r->cfg.stop_at) ||
           (r->cfg.max_rows >= 0 && r->delivered + r->pending >= r->cfg.max_rows);
}

/* A row in the window: [from, from + n), and `behind` it. */
struct found {
    size_t from, n, behind;
};

static wh_status malformed(const struct wh_json_reader *r, size_t at, const char *what,
                           const char *hint, struct wh_error *reterr)
{
    int64_t line = line_at(r, at), byte = r->base + (int64_t)at;
    int st = line ? wh_fail(reterr, WH_E_DATA, "E4012", "line %lld, byte %lld: %s", (long long)line,
                            (long long)byte, what)
                  : wh_fail(reterr, WH_E_DATA, "E4012", "byte %lld: %s", (long long)byte, what);
    wh_error_hint(reterr, "%s", hint);
    return st;
}

/* WH_OK found, WH_END no more, WH_REFUSED more text is needed. */
static wh_status find_line(struct wh_json_reader *r, struct found *ret)
{
    for (;;) {
        size_t left = r->fill - r->pos;
        const uint8_t *p = r->buf + r->pos, *end = left ? memchr(p, '\n', left) : NULL;
        if ((!left && r->last) || enough(r))
            return WH_END;
        if (!end && !r->last)
            return WH_REFUSED;
        size_t n = end ? (size_t)(end - p) : left, behind = r->pos + n + (end != NULL);
        if (json_blanks(p, p + n) < p + n) {
            *ret = (struct found){r->pos, n - (n && p[n - 1] == '\r'), behind};
            return WH_OK;
        }
        r->pos = behind; /* an empty line */
    }
}

/* Behind the closed array: blanks up to the end. The bracket is left where it is until all rows are
 * out, so that a reading which goes on from here finds it. */
static wh_status at_close(struct wh_json_reader *r, size_t at, struct wh_error *reterr)
{
    size_t behind = at + 1;
    while (behind < r->fill && json_is_blank(r->buf[behind]))
        behind++;
    if (behind < r->fill)
        return malformed(r, behind, "text behind the closed array",
                         "one file holds one array, or objects without one", reterr);
    if (!r->last)
        return behind - r->pos > r->cfg.max_row
                   ? malformed(r, at, "nothing but blanks", "look at the file", reterr)
                   : WH_REFUSED;
    if (!r->pending)
        r->pos = r->fill;
    r->closed = true;
    return WH_END;
}

/* What stands before the next item of an array. */
static wh_status at_item(struct wh_json_reader *r, size_t *io_at, struct wh_error *reterr)
{
    size_t at = *io_at;
    bool comma = r->buf[at] == ',';
    if (r->buf[at] == ']')
        return at_close(r, at, reterr);
    for (at += comma; at < r->fill && comma && json_is_blank(r->buf[at]); at++)
        ;
    *io_at = at;
    if (at == r->fill && !r->last)
        return at - r->pos > r->cfg.max_row
                   ? malformed(r, at, "nothing but blanks", "look at the file", reterr)
                   : WH_REFUSED;
    if (at < r->fill && comma == r->inside && !memchr(",]}", r->buf[at], 3))
        return WH_OK;
    return malformed(r, comma && !r->inside ? r->pos : at,
                     "a comma or ] is missing, or one too many", "look at the file there", reterr);
}

/* From the end of a row to the next one: blanks, in an array a comma or the closing bracket. */
static wh_status find_start(struct wh_json_reader *r, size_t *ret, struct wh_error *reterr)
{
    bool array = r->cfg.layout == WH_JSON_ARRAY;
    while (r->pos < r->fill &&
           (json_is_blank(r->buf[r->pos]) || (!array && r->buf[r->pos] == 0x1e)))
        r->pos++;
    *ret = r->pos;
    if (r->pos < r->fill)
        return array ? at_item(r, ret, reterr) : WH_OK;
    if (!r->last)
        return WH_REFUSED;
    if (!array || r->closed)
        return WH_END;
    return malformed(r, r->pos, "the file ends before its array is closed",
                     "fetch the file again: it is cut off", reterr);
}

static wh_status find_value(struct wh_json_reader *r, struct found *ret, struct wh_error *reterr)
{
    struct json_frame f = {.depth = 0};
    size_t from, used;
    int st = find_start(r, &from, reterr);
    if (st != WH_OK)
        return st;
    bool ended = json_frame_run(&f, r->buf + from, r->fill - from, &used);
    if (!ended && r->last && f.state == FRAME_BARE && r->cfg.layout == WH_JSON_VALUES)
        ended = true;
    if (!ended && r->last)
        return malformed(r, from, "the row that begins here never ends",
                         "a bracket or quote is missing, or the file is cut off", reterr);
    *ret = (struct found){from, used, from + used};
    return ended ? WH_OK : WH_REFUSED;
}

/* ---- rows too large to be held ----------------------------------------------------------------
 */

static wh_status begin_skipping(struct wh_json_reader *r, struct wh_error *reterr)
{
    size_t from = r->pos;
    if (r->cfg.layout != WH_JSON_LINES)
        WH_TRY(find_start(r, &from, reterr));
    WH_TRY(too_long(r, from, r->fill - from));
    r->pos = from;
    r->skipping = true;
    r->frame = (struct json_frame){.depth = 0};
    return WH_OK;
}

/* Drops what is buffered of it. */
static wh_status skip_on(struct wh_json_reader *r, struct wh_error *reterr)
{
    const uint8_t *p = r->buf + r->pos;
    size_t n = r->fill - r->pos, used = n;
    bool ended;
    if (r->cfg.layout == WH_JSON_LINES) {
        const uint8_t *end = n ? memchr(p, '\n', n) : NULL;
        ended = end || r->last;
        used = end ? (size_t)(end - p) + 1 : n;
    } else {
        ended = json_frame_run(&r->frame, p, n, &used);
        if (!ended && r->last)
            return malformed(r, r->pos + used, "a row never ends",
                             "a bracket or quote is missing, or the file is cut off", reterr);
    }
    r->pos += used;
    r->skipping = !ended;
    r->inside |= ended;
    return WH_OK;
}

/* ---- batches ----------------------------------------------------------------------------------
 */

static wh_status finish(struct wh_json_reader *r, struct wh_batch *ret, struct wh_error *reterr)
{
    int64_t at = wh_json_offset(r);
    int st = wh_builder_finish(r->builder, ret);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "a batch cannot be finished");
    ret->source_bytes = at - r->batch_bytes;
    ret->first = r->delivered;
    r->batch_bytes = at;
    r->delivered += r->pending;
    r->pending = 0;
    return WH_OK;
}

/* Up to ROWS_AT_ONCE rows. WH_OK, WH_END, WH_REFUSED when the window has no more. */
static wh_status some_rows(struct wh_json_reader *r, struct wh_error *reterr)
{
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
        struct found f = {0};
        if (enough(r))
            return WH_END;
        int st = r->cfg.layout == WH_JSON_LINES ? find_line(r, &f) : find_value(r, &f, reterr);
        if (st != WH_OK)
            return st;
        r->inside = true;
        WH_TRY(take_row(r, f.from, f.n));
        r->pos = f.behind;
    }
    return WH_OK;
}

static wh_status next(struct wh_json_reader *r, struct wh_batch *ret, bool *ret_hungry,
                      struct wh_error *reterr)
{
    for (;;) {
        if (r->skipping)
            WH_TRY(skip_on(r, reterr));
        int st = r->skipping ? WH_REFUSED : some_rows(r, reterr);
        if (st < 0)
            return st;
        if (st == WH_END)
            return r->pending ? finish(r, ret, reterr) : WH_END;
        if (r->pending && wh_builder_full(r->builder))
            return finish(r, ret, reterr);
        if (st != WH_REFUSED)
            continue;
        if (!r->skipping && r->fill - r->pos > r->cfg.max_row + 2) {
            st = begin_skipping(r, reterr);
            if (st == WH_OK)
                continue;
            if (st < 0)
                return st;
        }
        *ret_hungry = true;
        return WH_OK;
    }
}

wh_status wh_json_next(struct wh_json_reader *r, struct wh_batch *ret, bool *ret_hungry,
                       struct wh_error *reterr)
{
    *ret_hungry = false;
    int st = next(r, ret, ret_hungry, reterr);
    if (st == WH_E_NOMEM && reterr && !reterr->code[0])
        return wh_fail(reterr, st, "E8002", "no memory for a batch of rows");
    return st;
}

int64_t wh_json_offset(const struct wh_json_reader *r)
{
    return r->base + (int64_t)r->pos;
}

int64_t wh_json_rows(const struct wh_json_reader *r)
{
    return r->delivered;
}
