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
#include "formats/digits_simd.h"
#include "formats/textin.h"

enum {
    ROWS_AT_ONCE = 128, /* between looks at how full the batch is */
};

struct wh_json_reader {
    struct wh_json_config cfg;
    struct textin in;
    struct json_row row;
    bool ascii, inside, closed;
    bool skipping; /* the row at in.pos is too large and passed over */
    struct json_frame frame;
};

/* ---- making ---------------------------------------------------------------------------------- */

static bool can_read(const struct wh_type *t)
{
    return t->kind == WH_K_UTF8 || (t->kind != WH_K_NULL && wh_csv_can_read(t));
}

static wh_status add_column(struct wh_json_reader *r, int32_t i, struct wh_error *reterr)
{
    const struct ArrowSchema *field = r->in.schema.children[i];
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
                              .to = wh_builder_column(r->in.builder, i)};
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
                       r->in.schema.children[node->column]->name, field->name);
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

static wh_status make_columns(struct wh_json_reader *r, struct wh_error *reterr)
{
    size_t n = (size_t)r->in.schema.n_children;
    WH_TRY(json_tree_new(&r->row.tree));
    while (n && textin_place_of(r->in.schema.children[n - 1]) != TEXTIN_CELL)
        n--; /* places of rows stand behind all others, and in no row */
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
    return WH_OK;
}

static wh_status scratch_for(struct wh_json_reader *r)
{
    WH_TRY(textin_scratch(&r->in));
    r->row.cells.scratch = r->in.scratch;
    return WH_OK;
}

static wh_status start(struct wh_json_reader *r, struct wh_error *reterr)
{
    struct wh_json_config *c = &r->cfg;
    struct textin_config in = {.what = "JSON",
                               .schema = c->schema,
                               .offset = c->offset,
                               .line = c->line,
                               .stop_at = c->stop_at,
                               .max_rows = c->max_rows,
                               .buffer = c->buffer,
                               .max_row = c->max_row,
                               .reject = c->reject,
                               .arg = c->arg};
    WH_TRY(textin_start(&r->in, &in, reterr));
    c->schema = &r->in.schema;
    r->inside = c->inside;
    r->row.fast = !c->plain && wh_has_avx2();
    WH_TRY(make_columns(r, reterr));
    return scratch_for(r);
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
    st = textin_worded(&r->in, st, reterr);
    wh_json_reader_free(r);
    return st;
}

void wh_json_reader_free(struct wh_json_reader *r)
{
    if (!r)
        return;
    textin_free(&r->in);
    json_tree_free(&r->row.tree);
    wh_free(r->row.cells.columns);
    wh_free(r->row.seen);
    wh_free(r);
}

void wh_json_adopt(struct wh_json_reader *r, void *arg, int64_t max_rows)
{
    textin_adopt(&r->in, arg, max_rows);
}

/* ---- the window ------------------------------------------------------------------------------ */

wh_status wh_json_space(struct wh_json_reader *r, void **ret_p, size_t *ret_n,
                        struct wh_error *reterr)
{
    WH_TRY(textin_space(&r->in, ret_p, ret_n, reterr));
    return textin_worded(&r->in, scratch_for(r), reterr);
}

void wh_json_filled(struct wh_json_reader *r, size_t n, bool last)
{
    struct textin *t = &r->in;
    textin_filled(t, n, last);
    if (last && t->fill > t->pos && t->buf[t->fill - 1] == 0x1a)
        t->buf[t->fill - 1] = ' '; /* the closing mark of old systems */
    r->ascii = textin_is_ascii(t->buf + t->pos, t->fill - t->pos, r->cfg.plain);
}

/* ---- rejects --------------------------------------------------------------------------------- */

static wh_status reject_row(struct wh_json_reader *r, size_t from, size_t n)
{
    const struct json_fault *f = &r->row.cells.fault;
    char text[220];
    if (!f->code) {
        size_t at = (size_t)(r->row.stopped - (r->in.buf + from));
        snprintf(text, sizeof text, "not valid JSON from its byte %zu on", at < n ? at : n);
        return textin_reject(&r->in, from, n, -1, "E6014", text);
    }
    if (f->column >= 0) {
        struct wh_str shown = {(const char *)f->at, f->n};
        textin_word_cell(&r->in, f->column, shown, f->text, text, sizeof text);
    } else {
        struct wh_str shown = wh_str_clip((struct wh_str){(const char *)f->at, f->n}, 60);
        snprintf(text, sizeof text, "%s: %.*s", f->text, WH_STR_FMT(shown));
    }
    return textin_reject(&r->in, from, n, f->column, f->code, text);
}

/* ---- one row ----------------------------------------------------------------------------------
 */

static wh_status put_places(struct wh_json_reader *r, size_t from)
{
    for (int64_t i = r->row.n_columns; i < r->in.schema.n_children; i++)
        WH_TRY(textin_put_place(&r->in, textin_place_of(r->in.schema.children[i]), from,
                                wh_builder_column(r->in.builder, i)));
    return WH_OK;
}

static wh_status take_row(struct wh_json_reader *r, size_t from, size_t n)
{
    const uint8_t *p = r->in.buf + from;
    if (n > r->cfg.max_row)
        return textin_too_long(&r->in, from, n);
    if (!r->ascii && !wh_utf8_valid((const char *)p, n))
        return textin_reject(&r->in, from, n, -1, "E6005", "the row is not valid UTF-8");
    if (json_row_put(&r->row, p, p + n)) {
        WH_TRY(put_places(r, from));
        r->in.pending++;
        return WH_OK;
    }
    wh_builder_truncate(r->in.builder, r->in.pending);
    if (r->row.cells.status == WH_E_LIMIT)
        return textin_too_long(&r->in, from, n);
    return r->row.cells.status != WH_OK ? r->row.cells.status : reject_row(r, from, n);
}

/* ---- where rows stand -------------------------------------------------------------------------
 */

/* A row in the window: [from, from + n), and `behind` it. */
struct found {
    size_t from, n, behind;
};

static wh_status malformed(const struct wh_json_reader *r, size_t at, const char *what,
                           const char *hint, struct wh_error *reterr)
{
    int64_t line = textin_line_at(&r->in, at), byte = r->in.base + (int64_t)at;
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
        size_t left = r->in.fill - r->in.pos;
        const uint8_t *p = r->in.buf + r->in.pos, *end = left ? memchr(p, '\n', left) : NULL;
        if ((!left && r->in.last) || textin_enough(&r->in, 0))
            return WH_END;
        if (!end && !r->in.last)
            return WH_REFUSED;
        size_t n = end ? (size_t)(end - p) : left, behind = r->in.pos + n + (end != NULL);
        if (json_blanks(p, p + n) < p + n) {
            *ret = (struct found){r->in.pos, n - (n && p[n - 1] == '\r'), behind};
            return WH_OK;
        }
        r->in.pos = behind; /* an empty line */
    }
}

/* Behind the closed array: blanks up to the end. The bracket is left where it is until all rows are
 * out, so that a reading which goes on from here finds it. */
static wh_status at_close(struct wh_json_reader *r, size_t at, struct wh_error *reterr)
{
    size_t behind = at + 1;
    while (behind < r->in.fill && json_is_blank(r->in.buf[behind]))
        behind++;
    if (behind < r->in.fill)
        return malformed(r, behind, "text behind the closed array",
                         "one file holds one array, or objects without one", reterr);
    if (!r->in.last)
        return behind - r->in.pos > r->cfg.max_row
                   ? malformed(r, at, "nothing but blanks", "look at the file", reterr)
                   : WH_REFUSED;
    if (!r->in.pending)
        r->in.pos = r->in.fill;
    r->closed = true;
    return WH_END;
}

/* What stands before the next item of an array. */
static wh_status at_item(struct wh_json_reader *r, size_t *io_at, struct wh_error *reterr)
{
    size_t at = *io_at;
    bool comma = r->in.buf[at] == ',';
    if (r->in.buf[at] == ']')
        return at_close(r, at, reterr);
    for (at += comma; at < r->in.fill && comma && json_is_blank(r->in.buf[at]); at++)
        ;
    *io_at = at;
    if (at == r->in.fill && !r->in.last)
        return at - r->in.pos > r->cfg.max_row
                   ? malformed(r, at, "nothing but blanks", "look at the file", reterr)
                   : WH_REFUSED;
    if (at < r->in.fill && comma == r->inside && !memchr(",]}", r->in.buf[at], 3))
        return WH_OK;
    return malformed(r, comma && !r->inside ? r->in.pos : at,
                     "a comma or ] is missing, or one too many", "look at the file there", reterr);
}

/* From the end of a row to the next one: blanks, in an array a comma or the closing bracket. */
static wh_status find_start(struct wh_json_reader *r, size_t *ret, struct wh_error *reterr)
{
    bool array = r->cfg.layout == WH_JSON_ARRAY;
    while (r->in.pos < r->in.fill &&
           (json_is_blank(r->in.buf[r->in.pos]) || (!array && r->in.buf[r->in.pos] == 0x1e)))
        r->in.pos++;
    *ret = r->in.pos;
    if (r->in.pos < r->in.fill)
        return array ? at_item(r, ret, reterr) : WH_OK;
    if (!r->in.last)
        return WH_REFUSED;
    if (!array || r->closed)
        return WH_END;
    return malformed(r, r->in.pos, "the file ends before its array is closed",
                     "fetch the file again: it is cut off", reterr);
}

/* The row at `from` goes on to the end of the text. What was read before goes out first: a reading
 * that goes on from there comes here again. */
static wh_status never_ends(struct wh_json_reader *r, size_t from, struct wh_error *reterr)
{
    size_t n = r->in.fill - from;
    if (r->in.pending)
        return WH_END;
    if (n > r->cfg.max_row) {
        textin_note_large(&r->in, from);
        WH_TRY(textin_too_long(&r->in, from, n));
        return textin_lost(&r->in, "E4012", reterr);
    }
    WH_TRY(textin_never_ends(&r->in, from, n, "the row that begins here"));
    r->in.pos = r->in.fill;
    r->closed = true; /* the bracket, if there is one, is in that row */
    return WH_END;
}

static wh_status find_value(struct wh_json_reader *r, struct found *ret, struct wh_error *reterr)
{
    struct json_frame f = {.depth = 0};
    size_t from, used;
    int st = find_start(r, &from, reterr);
    if (st != WH_OK)
        return st;
    bool ended = json_frame_run(&f, r->in.buf + from, r->in.fill - from, &used);
    if (!ended && r->in.last && f.state == FRAME_BARE && r->cfg.layout == WH_JSON_VALUES)
        ended = true;
    if (!ended && r->in.last)
        return never_ends(r, from, reterr);
    *ret = (struct found){from, used, from + used};
    return ended ? WH_OK : WH_REFUSED;
}

/* ---- rows too large to be held ----------------------------------------------------------------
 */

static wh_status begin_skipping(struct wh_json_reader *r, struct wh_error *reterr)
{
    size_t from = r->in.pos;
    if (r->cfg.layout != WH_JSON_LINES)
        WH_TRY(find_start(r, &from, reterr));
    WH_TRY(textin_too_long(&r->in, from, r->in.fill - from));
    textin_note_large(&r->in, from);
    r->in.pos = from;
    r->skipping = true;
    r->frame = (struct json_frame){.depth = 0};
    return WH_OK;
}

/* Drops what is buffered of it. */
static wh_status skip_on(struct wh_json_reader *r, struct wh_error *reterr)
{
    const uint8_t *p = r->in.buf + r->in.pos;
    size_t n = r->in.fill - r->in.pos, used = n;
    bool ended;
    if (r->cfg.layout == WH_JSON_LINES) {
        const uint8_t *end = n ? memchr(p, '\n', n) : NULL;
        ended = end || r->in.last;
        used = end ? (size_t)(end - p) + 1 : n;
    } else {
        ended = json_frame_run(&r->frame, p, n, &used);
        if (!ended && r->in.last)
            return textin_lost(&r->in, "E4012", reterr);
    }
    r->in.pos += used;
    r->skipping = !ended;
    r->inside |= ended;
    return WH_OK;
}

/* ---- batches ----------------------------------------------------------------------------------
 */

/* Up to ROWS_AT_ONCE rows. WH_OK, WH_END, WH_REFUSED when the window has no more. */
static wh_status some_rows(struct wh_json_reader *r, struct wh_error *reterr)
{
    for (int i = 0; i < ROWS_AT_ONCE; i++) {
        struct found f = {0};
        if (textin_enough(&r->in, 0))
            return WH_END;
        int st = r->cfg.layout == WH_JSON_LINES ? find_line(r, &f) : find_value(r, &f, reterr);
        if (st != WH_OK)
            return st;
        r->inside = true;
        WH_TRY(take_row(r, f.from, f.n));
        r->in.pos = f.behind;
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
            return r->in.pending ? textin_finish(&r->in, wh_json_offset(r), ret, reterr) : WH_END;
        if (r->in.pending && wh_builder_full(r->in.builder))
            return textin_finish(&r->in, wh_json_offset(r), ret, reterr);
        if (st != WH_REFUSED)
            continue;
        if (!r->skipping && r->in.fill - r->in.pos > r->cfg.max_row + 2) {
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
    return textin_worded(&r->in, st, reterr);
}

int64_t wh_json_offset(const struct wh_json_reader *r)
{
    return r->in.base + (int64_t)r->in.pos;
}

int64_t wh_json_line(const struct wh_json_reader *r)
{
    return textin_line_at(&r->in, r->in.pos);
}

int64_t wh_json_rows(const struct wh_json_reader *r)
{
    return r->in.delivered;
}
