/* SPDX-License-Identifier: Apache-2.0 */
/* The reader: a window of the stream, its index, and blocks of records into builders.
 *
 * The window always starts at a record. When no complete record is left in it, the rest moves to
 * the front, more is read behind it and the whole is indexed again: cheap as long as records are
 * small beside the window, and the window doubles when they are not.
 */
#include <stdio.h>
#include <string.h>

#include "formats/csv/cell.h"
#include "formats/csv/skip.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

enum {
    BLOCK_ROWS = 512,        /* records converted together: their text stays in the nearest cache */
    BLOCK_BYTES = 64 * 1024, /* or as many as begin in so much text */
    WINDOW = 256 * 1024,
    WINDOW_MIN = 4096,
};

struct wh_csv_reader {
    struct wh_csv_config cfg;
    struct wh_builder *builder;
    struct ArrowSchema schema; /* our copy, for messages */
    int32_t *fields;
    bool *strict; /* per column: the type was guessed */
    int32_t n_columns;
    enum csv_simd simd;

    uint8_t *buf;
    size_t cap, fill; /* bytes in buf; CSV_PADDING more are readable */
    size_t pos;       /* first record not delivered yet */
    bool last, indexed, ended;
    bool added;   /* the line end at fill - 1 is ours, not the file's */
    bool dropped; /* a 0x1a behind fill was taken away */
    bool skipping;
    struct csv_skip skip;
    int64_t base; /* stream offset of buf[0] */

    struct csv_index ix;
    size_t index_at; /* where in buf the indexed window starts */
    size_t record;   /* next record in ix.rec */
    uint8_t *scratch;
    size_t scratch_cap;

    int64_t line; /* of buf[line_pos]; 0 = not known */
    size_t line_pos;
    int64_t delivered, batch_first, batch_bytes;
    int64_t pending_rows;

    struct csv_row rows[BLOCK_ROWS];
    uint8_t bad[BLOCK_ROWS];
    struct csv_fault faults[BLOCK_ROWS];
    uint32_t null_lengths;
    bool nulls_look_like_numbers;
};

/* ---- making ---------------------------------------------------------------------------------- */

static bool like_number(const struct wh_csv_dialect *d)
{
    for (int i = 0; i < d->n_nulls; i++) {
        char c = d->nulls[i].text[0];
        if ((c >= '0' && c <= '9') || memchr("+-.,iInNtTfF", c, 12))
            return true;
    }
    return false;
}

static wh_status check_types(const struct ArrowSchema *schema, struct wh_error *reterr)
{
    for (int64_t i = 0; i < schema->n_children; i++) {
        struct wh_type t;
        WH_TRY(wh_type_of(schema->children[i], &t, reterr));
        if (!wh_csv_can_read(&t))
            return wh_fail(reterr, WH_E_TYPE, "E3003",
                           "column '%s': a CSV file cannot be read as this type",
                           schema->children[i]->name);
    }
    return WH_OK;
}

static wh_status take_fields(struct wh_csv_reader *r)
{
    r->n_columns = (int32_t)r->cfg.schema->n_children;
    r->fields = wh_calloc((size_t)r->n_columns + 1, sizeof *r->fields);
    r->strict = wh_calloc((size_t)r->n_columns + 1, sizeof *r->strict);
    if (!r->fields || !r->strict)
        return WH_E_NOMEM;
    for (int32_t i = 0; i < r->n_columns; i++) {
        struct wh_str guessed;
        r->fields[i] = r->cfg.fields ? r->cfg.fields[i] : i;
        r->strict[i] = wh_meta_get(r->cfg.schema->children[i], WH_META_GUESSED, &guessed) != NULL;
    }
    r->cfg.fields = NULL;
    WH_TRY(wh_schema_copy(r->cfg.schema, &r->schema));
    r->cfg.schema = &r->schema;
    return WH_OK;
}

static wh_status start(struct wh_csv_reader *r, struct wh_error *reterr)
{
    size_t window = r->cfg.buffer ? r->cfg.buffer : WINDOW;
    if (window < WINDOW_MIN && !r->cfg.buffer)
        window = WINDOW_MIN;
    WH_TRY(wh_builder_new(r->cfg.schema, &r->builder, reterr));
    wh_builder_max_cell(r->builder, r->cfg.dialect.max_row + 1);
    WH_TRY(take_fields(r));
    r->buf = wh_alloc_aligned(window + CSV_PADDING + 1);
    if (!r->buf)
        return WH_E_NOMEM;
    memset(r->buf, 0, window + CSV_PADDING + 1);
    r->cap = window;
    r->base = r->batch_bytes = r->cfg.offset;
    r->line = r->cfg.line;
    r->simd = csv_index_best(&r->cfg.dialect);
    if (r->cfg.simd >= 0 && (int)r->simd > r->cfg.simd)
        r->simd = (enum csv_simd)r->cfg.simd;
    r->null_lengths = csv_null_lengths(&r->cfg.dialect);
    r->nulls_look_like_numbers = like_number(&r->cfg.dialect);
    return WH_OK;
}

wh_status wh_csv_reader_new(const struct wh_csv_config *cfg, struct wh_csv_reader **ret,
                            struct wh_error *reterr)
{
    WH_TRY(check_types(cfg->schema, reterr));
    struct wh_csv_reader *r = wh_calloc(1, sizeof *r);
    if (!r)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a CSV reader");
    r->cfg = *cfg;
    int st = start(r, reterr);
    if (st == WH_OK) {
        *ret = r;
        return WH_OK;
    }
    wh_csv_reader_free(r);
    return st == WH_E_NOMEM ? wh_fail(reterr, st, "E8002", "no memory for a CSV reader") : st;
}

void wh_csv_reader_free(struct wh_csv_reader *r)
{
    if (!r)
        return;
    wh_builder_free(r->builder);
    wh_schema_release(&r->schema);
    csv_index_free(&r->ix);
    wh_free(r->fields);
    wh_free(r->strict);
    wh_free(r->buf);
    wh_free(r->scratch);
    wh_free(r);
}

void wh_csv_adopt(struct wh_csv_reader *r, void *arg, int64_t max_rows)
{
    r->cfg.arg = arg;
    r->cfg.max_rows = max_rows;
    r->delivered = 0;
}

/* ---- the window ------------------------------------------------------------------------------ */

static int64_t count_lines_slowly(const uint8_t *p, size_t n)
{
    int64_t lines = 0;
    for (size_t i = 0; i < n; i++)
        lines += p[i] == '\n' || (p[i] == '\r' && p[i + 1] != '\n');
    return lines;
}

/* Line ends, wherever they stand. Asked once per window and for rejects. */
static int64_t count_lines(const uint8_t *p, size_t n)
{
    int64_t lines = 0;
    size_t i = 0;
#if defined(__x86_64__)
    enum {
        STRIDE = 16 * 128
    }; /* a byte of `sum` counts to 128 */
    const __m128i lf = _mm_set1_epi8('\n'), cr = _mm_set1_epi8('\r'), zero = _mm_setzero_si128();
    for (; i + STRIDE <= n; i += STRIDE) {
        __m128i sum = zero, crs = zero;
        for (size_t k = 0; k < STRIDE; k += 16) {
            __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + i + k));
            sum = _mm_sub_epi8(sum, _mm_cmpeq_epi8(v, lf));
            crs = _mm_or_si128(crs, _mm_cmpeq_epi8(v, cr));
        }
        if (_mm_movemask_epi8(crs)) {
            lines += count_lines_slowly(p + i, STRIDE);
            continue;
        }
        __m128i two = _mm_sad_epu8(sum, zero);
        lines += _mm_cvtsi128_si64(two) + _mm_cvtsi128_si64(_mm_srli_si128(two, 8));
    }
#endif
    return lines + count_lines_slowly(p + i, n - i);
}

static int64_t line_at(const struct wh_csv_reader *r, size_t pos)
{
    return r->line ? r->line + count_lines(r->buf + r->line_pos, pos - r->line_pos) : 0;
}

/* The undelivered rest to the front of the buffer. */
static void shift(struct wh_csv_reader *r)
{
    if (!r->pos)
        return;
    r->line = line_at(r, r->pos);
    r->line_pos = 0;
    memmove(r->buf, r->buf + r->pos, r->fill - r->pos);
    r->base += (int64_t)r->pos;
    r->fill -= r->pos;
    r->pos = 0;
    r->indexed = false;
}

static wh_status enlarge(struct wh_csv_reader *r, struct wh_error *reterr)
{
    size_t want = r->cap * 2;
    uint8_t *p = wh_alloc_aligned(want + CSV_PADDING + 1);
    if (!p)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a row of %zu bytes", r->fill);
    memcpy(p, r->buf, r->fill);
    memset(p + r->fill, 0, want + CSV_PADDING + 1 - r->fill);
    wh_free(r->buf);
    r->buf = p;
    r->cap = want;
    return WH_OK;
}

wh_status wh_csv_space(struct wh_csv_reader *r, void **ret_p, size_t *ret_n,
                       struct wh_error *reterr)
{
    shift(r);
    if (r->fill > r->cap / 2)
        WH_TRY(enlarge(r, reterr));
    *ret_p = r->buf + r->fill;
    *ret_n = r->cap - r->fill;
    return WH_OK;
}

void wh_csv_filled(struct wh_csv_reader *r, size_t n, bool last)
{
    r->fill += n;
    r->last = last;
    r->indexed = false;
    memset(r->buf + r->fill, 0, CSV_PADDING);
}

/* ---- rejects --------------------------------------------------------------------------------- */

/* Length of the record without its line end. */
static size_t record_length(const struct wh_csv_reader *r, size_t record, size_t from)
{
    return r->index_at + (r->ix.at[r->ix.rec[record]] & CSV_AT_MASK) - from;
}

static wh_status reject(struct wh_csv_reader *r, size_t from, size_t n, int32_t column,
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

/* ---- records --------------------------------------------------------------------------------- */

static wh_status unterminated(struct wh_csv_reader *r, struct wh_error *reterr)
{
    size_t at = r->index_at + r->ix.opened_at;
    int st =
        wh_fail(reterr, WH_E_DATA, "E4003", "the quote opened at line %lld, byte %lld never ends",
                (long long)line_at(r, at), (long long)(r->base + (int64_t)at));
    wh_error_hint(reterr, "close it in the file, or read with quote=none");
    return st;
}

/* cap + 1 bytes are ours. */
static void add_line_end(struct wh_csv_reader *r)
{
    r->buf[r->fill++] = '\n';
    r->added = true;
}

/* At the end of the stream: a closing 0x1A of old systems goes, a missing line end is added. */
static void close_stream(struct wh_csv_reader *r)
{
    r->dropped = r->fill > r->pos && r->buf[r->fill - 1] == 0x1a;
    r->fill -= r->dropped;
    memset(r->buf + r->fill, 0, CSV_PADDING);
    if (r->fill > r->pos && !csv_is_end(r->buf[r->fill - 1]))
        add_line_end(r);
}

static wh_status index_window(struct wh_csv_reader *r, struct wh_error *reterr)
{
    if (r->indexed)
        return WH_OK;
    if (r->last && !r->ended) {
        close_stream(r);
        r->ended = true;
    }
    r->index_at = r->pos;
    r->record = 0;
    const uint8_t *p = r->buf + r->pos;
    size_t n = r->fill - r->pos;
    r->ix.closing = r->added;
    int st = csv_index_run(&r->ix, &r->cfg.dialect, r->simd, p, n);
    if (st == WH_OK && r->last && r->ix.open) /* the walk knows where it opened */
        st = csv_index_run(&r->ix, &r->cfg.dialect, CSV_SCALAR, p, n);
    if (st == WH_OK && r->last && !r->ix.open && !r->added && csv_index_end(&r->ix, p, n) < n) {
        add_line_end(r); /* the one that is there is escaped, and belongs to a cell */
        return index_window(r, reterr);
    }
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for an index of %zu bytes", n);
    /* A CR at the end may be half of a CRLF. */
    if (!r->last && r->ix.n_rec && n && p[n - 1] == '\r' &&
        (r->ix.at[r->ix.rec[r->ix.n_rec - 1]] & CSV_AT_MASK) == n - 1) {
        r->ix.n_rec--;
    }
    r->indexed = true;
    return WH_OK;
}

/* A record that is larger than max_row is rejected with its beginning. */
static wh_status too_long(struct wh_csv_reader *r, size_t from, size_t n)
{
    size_t most = r->cfg.dialect.max_row < 4096 ? r->cfg.dialect.max_row : 4096;
    size_t shown = n < most ? n : most;
    return reject(r, from, shown, -1, "E6010", "the row is larger than max_row_bytes");
}

static void pass(struct wh_csv_reader *r, size_t record)
{
    size_t end = r->index_at + (r->ix.at[r->ix.rec[record]] & CSV_AT_MASK);
    r->pos = csv_after_end(r->buf, r->fill, end);
    r->record = record + 1;
}

/* What a record is before its cells are looked at. */
enum verdict {
    ROW,
    NOTHING, /* empty line, comment */
    REJECTED
};

static wh_status judge(struct wh_csv_reader *r, size_t record, size_t from, enum verdict *ret)
{
    const struct csv_index *ix = &r->ix;
    size_t first = record ? ix->rec[record - 1] + 1 : 0, last = ix->rec[record];
    size_t n_fields = last - first + 1, n = record_length(r, record, from);
    *ret = ROW;
    if (ix->at[last] & CSV_AT_COMMENT || (!n && r->cfg.n_fields > 1)) {
        *ret = NOTHING;
        return WH_OK;
    }
    if ((int64_t)n_fields == r->cfg.n_fields && n <= r->cfg.dialect.max_row && !ix->flagged)
        return WH_OK;
    if (n > r->cfg.dialect.max_row) {
        *ret = REJECTED;
        return too_long(r, from, n);
    }
    for (size_t i = first; i <= last; i++) {
        if (ix->at[i] & CSV_AT_MALFORMED) {
            *ret = REJECTED;
            return reject(r, from, n, -1, "E6014", "text after a closing quote");
        }
    }
    if ((int64_t)n_fields == r->cfg.n_fields)
        return WH_OK;
    char text[96];
    *ret = REJECTED;
    snprintf(text, sizeof text, "%zu fields where %lld are expected", n_fields,
             (long long)r->cfg.n_fields);
    return reject(r, from, n, -1, "E6011", text);
}

/* Collects the next records into rows[]; stops before what ends the block or the reader's range.
 */
static wh_status collect(struct wh_csv_reader *r, int32_t *ret_n, bool *ret_stop)
{
    int32_t n = 0;
    size_t begin = r->pos;
    *ret_stop = false;
    while (r->record < r->ix.n_rec && n < BLOCK_ROWS && r->pos - begin < BLOCK_BYTES) {
        int64_t at = r->base + (int64_t)r->pos;
        if ((r->cfg.stop_at >= 0 && at >= r->cfg.stop_at) ||
            (r->cfg.max_rows >= 0 && r->delivered + r->pending_rows + n >= r->cfg.max_rows)) {
            *ret_stop = true;
            break;
        }
        enum verdict v;
        size_t record = r->record, from = r->pos;
        WH_TRY(judge(r, record, from, &v));
        pass(r, record);
        if (v == ROW)
            r->rows[n++] = (struct csv_row){record ? r->ix.rec[record - 1] + 1 : 0,
                                            (uint32_t)(from - r->index_at)};
    }
    *ret_n = n;
    return WH_OK;
}

/* ---- blocks ---------------------------------------------------------------------------------- */

static wh_status scratch_for(struct wh_csv_reader *r)
{
    if (r->scratch_cap >= r->cap + CSV_PADDING)
        return WH_OK;
    wh_free(r->scratch);
    r->scratch_cap = 0;
    r->scratch = wh_alloc(r->cap + CSV_PADDING);
    if (!r->scratch)
        return WH_E_NOMEM;
    r->scratch_cap = r->cap + CSV_PADDING;
    return WH_OK;
}

static wh_status convert(struct wh_csv_reader *r, struct csv_block *b)
{
    b->n_bad = 0;
    memset(r->bad, 0, (size_t)b->n);
    for (int32_t c = 0; c < r->n_columns; c++)
        WH_TRY(csv_cells(b, r->fields[c], wh_builder_column(r->builder, c), c, r->faults));
    return WH_OK;
}

/* "column 'a': 'x1' is not a value of type int64". */
static wh_status reject_cell(struct wh_csv_reader *r, const struct csv_row *row,
                             const struct csv_fault *f)
{
    size_t entry = row->entry + (size_t)r->cfg.n_fields - 1, from = r->index_at + row->start;
    size_t end = r->index_at + (r->ix.at[entry] & CSV_AT_MASK);
    const uint32_t *at = r->ix.at + row->entry + r->fields[f->column];
    size_t cell =
        r->fields[f->column] ? (at[-1] & CSV_AT_MASK) + r->cfg.dialect.delimiter_n : row->start;
    size_t cell_n = (at[0] & CSV_AT_MASK) - cell;
    char text[200];
    struct wh_buf type = WH_BUF(256);
    struct wh_type t;
    if (wh_type_of(r->schema.children[f->column], &t, NULL) != WH_OK ||
        wh_type_print(&t, &type) != WH_OK)
        wh_buf_clear(&type);
    snprintf(text, sizeof text, "column '%.40s': '%.*s' %s%s", r->schema.children[f->column]->name,
             (int)(cell_n < 60 ? cell_n : 60), (const char *)r->buf + r->index_at + cell, f->text,
             strcmp(f->code, "E6005") ? (type.n ? type.p : "its column") : "");
    wh_buf_free(&type);
    return reject(r, from, end - from, f->column, f->code, text);
}

/* Rows with a bad cell are rejected in order and leave the block. */
static wh_status drop_bad(struct wh_csv_reader *r, struct csv_block *b)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < b->n; i++) {
        if (!r->bad[i]) {
            r->rows[kept++] = r->rows[i];
            continue;
        }
        WH_TRY(reject_cell(r, &r->rows[i], &r->faults[i]));
    }
    b->n = kept;
    return WH_OK;
}

static wh_status block(struct wh_csv_reader *r, int32_t n, size_t from)
{
    struct csv_block b = {.d = &r->cfg.dialect,
                          .p = r->buf + r->index_at,
                          .at = r->ix.at,
                          .rows = r->rows,
                          .strict = r->strict,
                          .n = n,
                          .bad = r->bad,
                          .null_lengths = r->null_lengths,
                          .nulls_look_like_numbers = r->nulls_look_like_numbers};
    WH_TRY(scratch_for(r));
    b.scratch = r->scratch;
    b.valid_utf8 = r->ix.ascii || wh_utf8_valid((const char *)r->buf + from, r->pos - from);
    int64_t before = wh_builder_rows(r->builder);
    WH_TRY(convert(r, &b));
    if (b.n_bad) {
        wh_builder_truncate(r->builder, before);
        WH_TRY(drop_bad(r, &b));
        WH_TRY(convert(r, &b));
    }
    r->pending_rows += b.n;
    return WH_OK;
}

static wh_status finish(struct wh_csv_reader *r, struct wh_batch *ret, struct wh_error *reterr)
{
    int64_t at = wh_csv_offset(r);
    int st = wh_builder_finish(r->builder, ret);
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "a batch cannot be finished");
    ret->source_bytes = at - r->batch_bytes;
    ret->first = r->delivered;
    r->batch_bytes = at;
    r->delivered += r->pending_rows;
    r->pending_rows = 0;
    return WH_OK;
}

/* Drops what is buffered of a record that is too large; true when its end was found. */
static bool skip_on(struct wh_csv_reader *r)
{
    size_t used;
    r->skipping = !csv_skip_run(&r->skip, r->buf + r->pos, r->fill - r->pos, r->last, &used);
    r->pos += used;
    r->indexed = false;
    return !r->skipping;
}

/* Why no more records can come from this window. */
static wh_status exhausted(struct wh_csv_reader *r, bool *ret_hungry, struct wh_error *reterr)
{
    if (r->last && r->ix.open)
        return unterminated(r, reterr);
    if (r->last && r->pos < r->fill)
        return wh_fail(reterr, WH_E_BUG, "E9001",
                       "%zu bytes at the end of a CSV file are no record", r->fill - r->pos);
    if (r->last)
        return WH_END;
    if (r->fill - r->pos > r->cfg.dialect.max_row + 2) {
        bool comment = r->cfg.dialect.comment >= 0 && r->buf[r->pos] == r->cfg.dialect.comment;
        if (!comment)
            WH_TRY(too_long(r, r->pos, r->fill - r->pos));
        csv_skip_start(&r->skip, &r->cfg.dialect, comment);
        r->skipping = true;
    }
    *ret_hungry = !r->skipping;
    return WH_OK;
}

/* The end of a record that is skipped, or hunger for more of it. */
static wh_status pass_large(struct wh_csv_reader *r, bool *ret_hungry, struct wh_error *reterr)
{
    if (skip_on(r))
        return WH_OK;
    if (r->last)
        return wh_fail(reterr, WH_E_DATA, "E4003",
                       "a quote in the row that ends the file never ends");
    *ret_hungry = true;
    return WH_OK;
}

/* The next record, wherever it ends, is not ours. */
static bool at_stop(const struct wh_csv_reader *r)
{
    return r->cfg.stop_at >= 0 && r->base + (int64_t)r->pos >= r->cfg.stop_at;
}

wh_status wh_csv_pass(struct wh_csv_reader *r, struct wh_error *reterr)
{
    WH_TRY(index_window(r, reterr));
    while (r->record < r->ix.n_rec && !at_stop(r))
        pass(r, r->record);
    if (at_stop(r) || (r->last && !r->ix.open))
        return WH_END;
    return r->last ? unterminated(r, reterr) : WH_OK;
}

static wh_status next(struct wh_csv_reader *r, struct wh_batch *ret, bool *ret_hungry,
                      struct wh_error *reterr)
{
    bool stop = false;
    int st = WH_OK;
    while (st == WH_OK && !*ret_hungry) {
        if (r->skipping)
            WH_TRY(pass_large(r, ret_hungry, reterr));
        if (r->skipping)
            return WH_OK;
        WH_TRY(index_window(r, reterr));
        while (r->record < r->ix.n_rec && !stop && !wh_builder_full(r->builder)) {
            int32_t n;
            size_t from = r->pos;
            WH_TRY(collect(r, &n, &stop));
            if (n)
                WH_TRY(block(r, n, from));
        }
        if (wh_builder_full(r->builder) && r->pending_rows)
            return finish(r, ret, reterr);
        stop |= at_stop(r);
        st = stop ? WH_END : exhausted(r, ret_hungry, reterr);
    }
    if (st == WH_END && r->pending_rows)
        return finish(r, ret, reterr);
    return st;
}

wh_status wh_csv_next(struct wh_csv_reader *r, struct wh_batch *ret, bool *ret_hungry,
                      struct wh_error *reterr)
{
    *ret_hungry = false;
    int st = next(r, ret, ret_hungry, reterr);
    if (st == WH_E_NOMEM && reterr && !reterr->code[0])
        return wh_fail(reterr, st, "E8002", "no memory for a batch of rows");
    return st;
}

int64_t wh_csv_offset(const struct wh_csv_reader *r)
{
    int64_t at = r->base + (int64_t)r->pos;
    return r->pos == r->fill ? at - r->added + r->dropped : at;
}

int64_t wh_csv_line(const struct wh_csv_reader *r)
{
    return line_at(r, r->pos);
}

int64_t wh_csv_rows(const struct wh_csv_reader *r)
{
    return r->delivered;
}
