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
#include "formats/digits_simd.h"
#include "formats/textin.h"

enum {
    BLOCK_ROWS = 512,        /* records converted together: their text stays in the nearest cache */
    BLOCK_BYTES = 64 * 1024, /* or as many as begin in so much text */
};

struct wh_csv_reader {
    struct wh_csv_config cfg;
    struct textin in;
    int32_t *fields;
    bool *strict; /* per column: the type was guessed */
    int32_t n_columns;
    enum csv_simd simd;
    bool fast; /* cells by the best that this machine has */

    bool indexed, ended;
    bool added;   /* the line end at in.fill - 1 is ours, not the file's */
    bool dropped; /* a 0x1a behind in.fill was taken away */
    bool skipping;
    struct csv_skip skip;

    struct csv_index ix;
    size_t index_at; /* where in the window the indexed part starts */
    size_t record;   /* next record in ix.rec */

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
    r->n_columns = (int32_t)r->in.schema.n_children;
    r->fields = wh_calloc((size_t)r->n_columns + 1, sizeof *r->fields);
    r->strict = wh_calloc((size_t)r->n_columns + 1, sizeof *r->strict);
    if (!r->fields || !r->strict)
        return WH_E_NOMEM;
    for (int32_t i = 0; i < r->n_columns; i++) {
        struct wh_str guessed;
        r->fields[i] = r->cfg.fields ? r->cfg.fields[i] : i;
        if (textin_place_of(r->in.schema.children[i]) != TEXTIN_CELL)
            r->fields[i] = -1;
        r->strict[i] = wh_meta_get(r->in.schema.children[i], WH_META_GUESSED, &guessed) != NULL;
    }
    r->cfg.fields = NULL;
    return WH_OK;
}

static wh_status start(struct wh_csv_reader *r, struct wh_error *reterr)
{
    struct wh_csv_config *c = &r->cfg;
    struct textin_config in = {.what = "CSV",
                               .schema = c->schema,
                               .offset = c->offset,
                               .line = c->line,
                               .stop_at = c->stop_at,
                               .max_rows = c->max_rows,
                               .buffer = c->buffer,
                               .max_row = c->dialect.max_row,
                               .cr_ends = true,
                               .reject = c->reject,
                               .arg = c->arg};
    WH_TRY(textin_start(&r->in, &in, reterr));
    c->schema = &r->in.schema;
    WH_TRY(take_fields(r));
    r->simd = csv_index_best(&c->dialect);
    if (c->simd >= 0 && (int)r->simd > c->simd)
        r->simd = (enum csv_simd)c->simd;
    r->fast = wh_has_avx2() && (c->simd < 0 || c->simd >= CSV_AVX2);
    r->null_lengths = csv_null_lengths(&c->dialect);
    r->nulls_look_like_numbers = like_number(&c->dialect);
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
    st = textin_worded(&r->in, st, reterr);
    wh_csv_reader_free(r);
    return st;
}

void wh_csv_reader_free(struct wh_csv_reader *r)
{
    if (!r)
        return;
    textin_free(&r->in);
    csv_index_free(&r->ix);
    wh_free(r->fields);
    wh_free(r->strict);
    wh_free(r);
}

void wh_csv_adopt(struct wh_csv_reader *r, void *arg, int64_t max_rows)
{
    textin_adopt(&r->in, arg, max_rows);
}

/* ---- the window ------------------------------------------------------------------------------ */

wh_status wh_csv_space(struct wh_csv_reader *r, void **ret_p, size_t *ret_n,
                       struct wh_error *reterr)
{
    r->indexed = false;
    return textin_space(&r->in, ret_p, ret_n, reterr);
}

void wh_csv_filled(struct wh_csv_reader *r, size_t n, bool last)
{
    r->indexed = false;
    textin_filled(&r->in, n, last);
}

/* Length of the record without its line end. */
static size_t record_length(const struct wh_csv_reader *r, size_t record, size_t from)
{
    return r->index_at + (r->ix.at[r->ix.rec[record]] & CSV_AT_MASK) - from;
}

/* ---- records --------------------------------------------------------------------------------- */

/* cap + 1 bytes are ours. */
static void add_line_end(struct wh_csv_reader *r)
{
    r->in.buf[r->in.fill++] = '\n';
    r->added = true;
}

/* At the end of the stream: a closing 0x1A of old systems goes, a missing line end is added. */
static void close_stream(struct wh_csv_reader *r)
{
    r->dropped = r->in.fill > r->in.pos && r->in.buf[r->in.fill - 1] == 0x1a;
    r->in.fill -= r->dropped;
    memset(r->in.buf + r->in.fill, 0, CSV_PADDING);
    if (r->in.fill > r->in.pos && !csv_is_end(r->in.buf[r->in.fill - 1]))
        add_line_end(r);
}

static wh_status index_window(struct wh_csv_reader *r, struct wh_error *reterr)
{
    if (r->indexed)
        return WH_OK;
    if (r->in.last && !r->ended) {
        close_stream(r);
        r->ended = true;
    }
    r->index_at = r->in.pos;
    r->record = 0;
    const uint8_t *p = r->in.buf + r->in.pos;
    size_t n = r->in.fill - r->in.pos;
    r->ix.closing = r->added;
    int st = csv_index_run(&r->ix, &r->cfg.dialect, r->simd, p, n);
    if (st == WH_OK && r->in.last && r->ix.open) /* the walk knows where it opened */
        st = csv_index_run(&r->ix, &r->cfg.dialect, CSV_SCALAR, p, n);
    if (st == WH_OK && r->in.last && !r->ix.open && !r->added && csv_index_end(&r->ix, p, n) < n) {
        add_line_end(r); /* the one that is there is escaped, and belongs to a cell */
        return index_window(r, reterr);
    }
    if (st != WH_OK)
        return wh_fail(reterr, st, "E8002", "no memory for an index of %zu bytes", n);
    /* A CR at the end may be half of a CRLF. */
    if (!r->in.last && r->ix.n_rec && n && p[n - 1] == '\r' &&
        (r->ix.at[r->ix.rec[r->ix.n_rec - 1]] & CSV_AT_MASK) == n - 1) {
        r->ix.n_rec--;
    }
    r->indexed = true;
    return WH_OK;
}

static void pass(struct wh_csv_reader *r, size_t record)
{
    size_t end = r->index_at + (r->ix.at[r->ix.rec[record]] & CSV_AT_MASK);
    r->in.pos = csv_after_end(r->in.buf, r->in.fill, end);
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
        return textin_too_long(&r->in, from, n);
    }
    for (size_t i = first; i <= last; i++) {
        if (ix->at[i] & CSV_AT_MALFORMED) {
            *ret = REJECTED;
            return textin_reject(&r->in, from, n, -1, "E6014", "text after a closing quote");
        }
    }
    if ((int64_t)n_fields == r->cfg.n_fields)
        return WH_OK;
    char text[96];
    *ret = REJECTED;
    snprintf(text, sizeof text, "%zu fields where %lld are expected", n_fields,
             (long long)r->cfg.n_fields);
    return textin_reject(&r->in, from, n, -1, "E6011", text);
}

/* Collects the next records into rows[]; stops before what ends the block or the reader's range.
 */
static wh_status collect(struct wh_csv_reader *r, int32_t *ret_n, bool *ret_stop)
{
    int32_t n = 0;
    size_t begin = r->in.pos;
    *ret_stop = false;
    while (r->record < r->ix.n_rec && n < BLOCK_ROWS && r->in.pos - begin < BLOCK_BYTES) {
        if (textin_enough(&r->in, n)) {
            *ret_stop = true;
            break;
        }
        enum verdict v;
        size_t record = r->record, from = r->in.pos;
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

/* A column of places instead of cells. */
static wh_status put_places(struct wh_csv_reader *r, const struct csv_block *b, int32_t column)
{
    enum textin_place place = textin_place_of(r->in.schema.children[column]);
    struct wh_column *to = wh_builder_column(r->in.builder, column);
    for (int32_t i = 0; i < b->n; i++)
        WH_TRY(textin_put_place(&r->in, place, r->index_at + b->rows[i].start, to));
    return WH_OK;
}

static wh_status convert(struct wh_csv_reader *r, struct csv_block *b)
{
    b->n_bad = 0;
    memset(r->bad, 0, (size_t)b->n);
    for (int32_t c = 0; c < r->n_columns; c++)
        WH_TRY(r->fields[c] < 0
                   ? put_places(r, b, c)
                   : csv_cells(b, r->fields[c], wh_builder_column(r->in.builder, c), c, r->faults));
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
    struct wh_str shown = {(const char *)r->in.buf + r->index_at + cell, cell_n};
    textin_word_cell(&r->in, f->column, shown, f->text, text, sizeof text);
    return textin_reject(&r->in, from, end - from, f->column, f->code, text);
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

/* No record between them was left out: each of those has entries of its own. */
static bool one_behind_the_other(const struct wh_csv_reader *r, const struct csv_block *b)
{
    return r->fast && !r->ix.flagged && b->n &&
           b->rows[b->n - 1].entry ==
               b->rows[0].entry + (uint64_t)(b->n - 1) * (uint64_t)b->n_fields;
}

static wh_status block(struct wh_csv_reader *r, int32_t n, size_t from)
{
    struct csv_block b = {.d = &r->cfg.dialect,
                          .p = r->in.buf + r->index_at,
                          .at = r->ix.at,
                          .rows = r->rows,
                          .strict = r->strict,
                          .n = n,
                          .n_fields = r->cfg.n_fields,
                          .bad = r->bad,
                          .null_lengths = r->null_lengths,
                          .nulls_look_like_numbers = r->nulls_look_like_numbers};
    b.fast = one_behind_the_other(r, &b);
    WH_TRY(textin_scratch(&r->in));
    b.scratch = r->in.scratch;
    b.valid_utf8 = r->ix.ascii || wh_utf8_valid((const char *)r->in.buf + from, r->in.pos - from);
    int64_t before = wh_builder_rows(r->in.builder);
    WH_TRY(convert(r, &b));
    if (b.n_bad) {
        wh_builder_truncate(r->in.builder, before);
        WH_TRY(drop_bad(r, &b));
        b.fast = one_behind_the_other(r, &b);
        WH_TRY(convert(r, &b));
    }
    r->in.pending += b.n;
    return WH_OK;
}

/* Drops what is buffered of a record that is too large; true when its end was found. */
static bool skip_on(struct wh_csv_reader *r)
{
    size_t used;
    r->skipping =
        !csv_skip_run(&r->skip, r->in.buf + r->in.pos, r->in.fill - r->in.pos, r->in.last, &used);
    r->in.pos += used;
    r->indexed = false;
    return !r->skipping;
}

static bool is_large(const struct wh_csv_reader *r, size_t n)
{
    return n > r->cfg.dialect.max_row;
}

/* Of a record that is too large to be held: it is passed over to its end. */
static void begin_skipping(struct wh_csv_reader *r, bool comment)
{
    textin_note_large(&r->in, r->in.pos);
    csv_skip_start(&r->skip, &r->cfg.dialect, comment);
    r->skipping = true;
}

static bool at_comment(const struct wh_csv_reader *r)
{
    return r->cfg.dialect.comment >= 0 && r->in.buf[r->in.pos] == r->cfg.dialect.comment;
}

/* The last record is open: all that is left belongs to it. */
static wh_status unterminated(struct wh_csv_reader *r, struct wh_error *reterr)
{
    struct textin *t = &r->in;
    size_t at = r->index_at + r->ix.opened_at, from = t->pos, n = t->fill - r->added - from;
    long long line = textin_line_at(t, at), byte = t->base + (int64_t)at;
    char what[80];
    if (is_large(r, n)) {
        textin_note_large(t, from);
        WH_TRY(textin_too_long(t, from, n));
        return textin_lost(t, "E4003", reterr);
    }
    if (line)
        snprintf(what, sizeof what, "the quote opened at line %lld, byte %lld", line, byte);
    else
        snprintf(what, sizeof what, "the quote opened at byte %lld", byte);
    WH_TRY(textin_never_ends(t, from, n, what));
    t->pos = t->fill;
    r->ix.open = false; /* asked again, there is nothing left */
    return WH_END;
}

/* Why no more records can come from this window. */
static wh_status exhausted(struct wh_csv_reader *r, bool *ret_hungry, struct wh_error *reterr)
{
    if (r->in.last && r->ix.open)
        return unterminated(r, reterr);
    if (r->in.last && r->in.pos < r->in.fill)
        return wh_fail(reterr, WH_E_BUG, "E9001",
                       "%zu bytes at the end of a CSV file are no record", r->in.fill - r->in.pos);
    if (r->in.last)
        return WH_END;
    if (r->in.fill - r->in.pos > r->cfg.dialect.max_row + 2) {
        bool comment = at_comment(r);
        if (!comment)
            WH_TRY(textin_too_long(&r->in, r->in.pos, r->in.fill - r->in.pos));
        begin_skipping(r, comment);
    }
    *ret_hungry = !r->skipping;
    return WH_OK;
}

/* The end of a record that is skipped, or hunger for more of it. */
static wh_status pass_large(struct wh_csv_reader *r, bool *ret_hungry, struct wh_error *reterr)
{
    if (skip_on(r))
        return WH_OK;
    if (r->in.last)
        return textin_lost(&r->in, "E4003", reterr);
    *ret_hungry = true;
    return WH_OK;
}

wh_status wh_csv_pass(struct wh_csv_reader *r, struct wh_error *reterr)
{
    struct textin *t = &r->in;
    bool hungry = false;
    for (;;) {
        if (r->skipping)
            WH_TRY(pass_large(r, &hungry, reterr));
        if (hungry)
            return WH_OK;
        WH_TRY(index_window(r, reterr));
        while (r->record < r->ix.n_rec && !textin_at_stop(t))
            pass(r, r->record);
        if (!textin_at_stop(t) && !t->last && t->fill - t->pos > r->cfg.dialect.max_row + 2) {
            begin_skipping(r, at_comment(r));
            continue;
        }
        if (!textin_at_stop(t) && !t->last)
            return WH_OK;
        if (t->last && r->ix.open && !textin_at_stop(t)) {
            if (is_large(r, t->fill - r->added - t->pos)) {
                textin_note_large(t, t->pos);
                return textin_lost(t, "E4003", reterr);
            }
            t->pos = t->fill; /* one record, and the last */
        }
        return WH_END;
    }
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
        while (r->record < r->ix.n_rec && !stop && !wh_builder_full(r->in.builder)) {
            int32_t n;
            size_t from = r->in.pos;
            WH_TRY(collect(r, &n, &stop));
            if (n)
                WH_TRY(block(r, n, from));
        }
        if (wh_builder_full(r->in.builder) && r->in.pending)
            return textin_finish(&r->in, wh_csv_offset(r), ret, reterr);
        stop |= textin_at_stop(&r->in);
        st = stop ? WH_END : exhausted(r, ret_hungry, reterr);
    }
    if (st == WH_END && r->in.pending)
        return textin_finish(&r->in, wh_csv_offset(r), ret, reterr);
    return st;
}

wh_status wh_csv_next(struct wh_csv_reader *r, struct wh_batch *ret, bool *ret_hungry,
                      struct wh_error *reterr)
{
    *ret_hungry = false;
    int st = next(r, ret, ret_hungry, reterr);
    return textin_worded(&r->in, st, reterr);
}

int64_t wh_csv_offset(const struct wh_csv_reader *r)
{
    int64_t at = r->in.base + (int64_t)r->in.pos;
    return r->in.pos == r->in.fill ? at - r->added + r->dropped : at;
}

int64_t wh_csv_line(const struct wh_csv_reader *r)
{
    return textin_line_at(&r->in, r->in.pos);
}

int64_t wh_csv_rows(const struct wh_csv_reader *r)
{
    return r->in.delivered;
}
