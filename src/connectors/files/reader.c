/* SPDX-License-Identifier: Apache-2.0 */
/* Reading one split.
 *
 * A record belongs to the range in which its first byte lies, so a range reads past its end to the
 * end of its last record, and begins at the first record start at or behind its own start. Finding
 * that start needs to know whether the place is inside quotes. It is guessed from the records that
 * follow (wh_csv_guess_place) and proved later by the chain: this range's begin must be the end of
 * the range before. Trouble in a range with an unproved begin may be the guess's fault: then the
 * file is walked from its beginning (without converting anything) before a row is called dirty. */
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "files.h"
#include "formats/textin.h"
#include "pack.h"

enum {
    HEAD = 64 * 1024,
    HEAD_MAX = 16 << 20,
    GUESS = 64 * 1024,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a file");
}

static const char *file_name(const struct files_reader *rd)
{
    return rd->sc->list.is_stdin ? "standard input" : rd->sc->list.v[rd->token.file].name;
}

/* Text comes through codec, charset or pipe: places in it cannot be jumped to. */
static bool is_sequential(const struct files_reader *rd)
{
    return !files_enters_anywhere(rd->sc, rd->token.file);
}

static wh_status open_input(struct files_reader *rd, int64_t offset, struct files_input **ret,
                            struct wh_error *reterr)
{
    struct files_input_config cfg;
    WH_TRY(files_input_of(rd->sc, rd->token.file, rd->storage, &cfg, reterr));
    cfg.offset = offset;
    cfg.ctx = rd->ctx;
    return files_input_open(&cfg, ret, reterr);
}

/* ---- the beginning of the file ----------------------------------------------------------------
 */

static wh_status more_head(struct files_reader *rd, struct files_input *in, size_t want,
                           struct wh_error *reterr)
{
    uint8_t *p = wh_realloc(rd->head, want);
    if (!p)
        return no_memory(reterr);
    rd->head = p;
    while (rd->head_n < want && !rd->head_last) {
        size_t got;
        WH_TRY(files_input_read(in, rd->head + rd->head_n, want - rd->head_n, &got, &rd->head_last,
                                reterr));
        rd->head_n += got;
    }
    return WH_OK;
}

/* Where the rows begin, and in which layout: what the plan found, if it is about this file. */
static wh_status look_at_json(struct files_reader *rd, struct files_input *in, int64_t *ret_line,
                              struct wh_error *reterr)
{
    const struct files_scan *sc = rd->sc;
    struct wh_json_ask ask = {.lines = sc->kind.format == FILES_FORMAT_JSONL, .any_text = true};
    struct wh_json_shape shape;
    size_t want = HEAD;
    WH_TRY(more_head(rd, in, want, reterr));
    for (;;) {
        WH_TRY(wh_json_look(&ask, rd->head, rd->head_n, rd->head_last, &shape, reterr));
        if (rd->head_last || !shape.cut || want >= HEAD_MAX)
            break;
        WH_TRY(more_head(rd, in, want *= 2, reterr));
    }
    rd->layout = sc->list.n <= 1 && rd->head_n ? sc->layout : shape.layout;
    rd->data_at = (int64_t)shape.data_at;
    *ret_line = shape.first_line;
    return WH_OK;
}

/* Reads as much as it needs to see the header, and maps its fields. */
static wh_status look_at_head(struct files_reader *rd, struct files_input *in, int64_t *ret_line,
                              struct wh_error *reterr)
{
    struct wh_csv_shape shape = {0};
    size_t want = HEAD;
    if (files_is_json(rd->sc->kind.format))
        return look_at_json(rd, in, ret_line, reterr);
    WH_TRY(more_head(rd, in, want, reterr));
    for (;;) {
        WH_TRY(files_look(rd->sc, rd->head, rd->head_n, rd->head_last, &shape, reterr));
        if (rd->head_last || shape.data_at < rd->head_n || want >= HEAD_MAX)
            break;
        wh_csv_shape_free(&shape);
        WH_TRY(more_head(rd, in, want *= 2, reterr));
    }
    int st =
        rd->head_n ? files_map_fields(rd->sc, rd->token.file, &shape, rd->fields, reterr) : WH_OK;
    rd->data_at = (int64_t)shape.data_at;
    *ret_line = shape.first_line;
    wh_csv_shape_free(&shape);
    return st;
}

/* ---- where a range begins ---------------------------------------------------------------------
 */

/* A line begins behind each line end: no guess. */
static wh_status next_line(struct files_reader *rd, struct wh_error *reterr)
{
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(GUESS);
    struct files_input *in = NULL;
    const uint8_t *end = NULL;
    bool last = false;
    if (!p)
        return no_memory(reterr);
    rd->begin = rd->token.start - 1;
    int st = open_input(rd, rd->begin, &in, reterr);
    while (st == WH_OK && !end && !last) {
        size_t got;
        st = files_input_read(in, p, GUESS, &got, &last, reterr);
        if (st != WH_OK)
            break;
        end = got ? memchr(p, '\n', got) : NULL;
        rd->begin += end ? end + 1 - p : (int64_t)got;
    }
    files_input_close(in);
    if (rd->begin < rd->data_at)
        rd->begin = rd->data_at;
    rd->proven = true;
    return st;
}

/* First record start at or behind token.start, guessing whether that place is inside quotes. */
static wh_status guess_begin(struct files_reader *rd, struct wh_error *reterr)
{
    const struct files_scan *sc = rd->sc;
    int64_t from = rd->token.start - 1, size = sc->list.v[rd->token.file].size;
    int st = WH_OK;
    for (size_t want = GUESS; st == WH_OK; want *= 2) {
        WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(want);
        struct files_input *in = NULL;
        size_t n = 0;
        bool last = false;
        if (!p)
            return no_memory(reterr);
        st = open_input(rd, from, &in, reterr);
        while (st == WH_OK && n < want && !last) {
            size_t got;
            st = files_input_read(in, p + n, want - n, &got, &last, reterr);
            n += st == WH_OK ? got : 0;
        }
        files_input_close(in);
        if (st != WH_OK)
            return st;
        enum wh_csv_place place = wh_csv_guess_place(&sc->dialect, p, n, sc->n_fields);
        int64_t at = wh_csv_sync(&sc->dialect, p, n, place);
        if (at < 0 && !last && want < 2 * sc->dialect.max_row)
            continue; /* one long record: look further */
        rd->begin = at < 0 ? size : from + at;
        break;
    }
    if (rd->begin < rd->data_at)
        rd->begin = rd->data_at;
    return st;
}

/* Walks from the file's first record to the first one at or behind token.start. */
static wh_status true_begin(struct files_reader *rd, int64_t *ret, struct wh_error *reterr)
{
    struct wh_csv_config cfg = {.dialect = rd->sc->dialect,
                                .schema = &rd->sc->schema,
                                .n_fields = rd->sc->n_fields,
                                .offset = rd->data_at,
                                .stop_at = rd->token.start,
                                .max_rows = -1,
                                .simd = -1};
    struct files_input *in = NULL;
    struct wh_csv_reader *csv = NULL;
    int st = open_input(rd, rd->data_at, &in, reterr);
    if (st == WH_OK)
        st = wh_csv_reader_new(&cfg, &csv, reterr);
    while (st == WH_OK && (st = wh_csv_pass(csv, reterr)) == WH_OK) {
        void *p;
        size_t room, got;
        bool last;
        if (rd->ctx && rd->ctx->cancelled && rd->ctx->cancelled(rd->ctx))
            st = WH_E_CANCELLED;
        if (st == WH_OK)
            st = wh_csv_space(csv, &p, &room, reterr);
        if (st == WH_OK)
            st = files_input_read(in, p, room, &got, &last, reterr);
        if (st == WH_OK)
            wh_csv_filled(csv, got, last);
    }
    if (st == WH_END) {
        *ret = wh_csv_offset(csv);
        st = WH_OK;
    }
    wh_csv_reader_free(csv);
    files_input_close(in);
    return st;
}

/* Before trouble is believed: does this range begin where it should? OK: it does, and from now on
 * that is proved. REFUSED: it does not. */
static wh_status prove(struct files_reader *rd, struct wh_error *reterr)
{
    int64_t right = 0;
    if (rd->proven)
        return WH_OK;
    WH_TRY(true_begin(rd, &right, reterr));
    rd->right = right;
    rd->proven = right == rd->begin;
    rd->wrong = !rd->proven;
    if (!rd->wrong)
        return WH_OK;
    if (files_correct(rd->sc, rd->token.file, rd->token.start, right) != WH_OK)
        return no_memory(reterr);
    return WH_REFUSED;
}

static wh_status began_wrong(const struct files_reader *rd, struct wh_error *reterr)
{
    int st = wh_fail(
        reterr, WH_E_DATA, "E4013",
        "'%s': the range from byte %lld was begun at %lld, inside quotes; it begins at "
        "%lld",
        file_name(rd), (long long)rd->token.start, (long long)rd->begin, (long long)rd->right);
    if (reterr)
        reterr->retriable = true; /* the next attempt knows better */
    return st;
}

/* ---- dirty rows -------------------------------------------------------------------------------
 */

static wh_status on_reject(void *arg, const struct wh_text_reject *r)
{
    struct files_reader *rd = arg;
    char where[200];
    const char *name = file_name(rd);
    size_t n = strlen(name);
    if (!rd->proven) {
        int st = prove(rd, NULL);
        if (st != WH_OK)
            return st == WH_REFUSED ? WH_E_DATA : st;
    }
    if (r->line)
        snprintf(where, sizeof where, "%s line %lld, byte %lld", name + (n > 120 ? n - 120 : 0),
                 (long long)r->line, (long long)r->offset);
    else
        snprintf(where, sizeof where, "%s byte %lld", name + (n > 120 ? n - 120 : 0),
                 (long long)r->offset);
    if (!rd->ctx || !rd->ctx->reject_raw)
        return WH_E_LIMIT;
    return rd->ctx->reject_raw(rd->ctx, r->raw, r->raw_of, where, r->column, r->code, r->text);
}

/* ---- open -------------------------------------------------------------------------------------
 */

/* Text before `begin` is read and dropped: what cannot be jumped over. *io_line: from that of
 * data_at to that of `begin`. */
static wh_status discard(struct files_reader *rd, int64_t upto, int64_t *io_line,
                         struct wh_error *reterr)
{
    int64_t at = (int64_t)rd->head_n, seen = upto < at ? upto : at;
    struct textin_lines lines = {.n = *io_line, .cr_ends = !files_is_json(rd->sc->kind.format)};
    if (seen > rd->data_at)
        textin_lines_add(&lines, rd->head + rd->data_at, (size_t)(seen - rd->data_at));
    *io_line = textin_lines_end(&lines);
    if (upto <= at) {
        rd->head_at = (size_t)upto;
        return WH_OK;
    }
    rd->head_at = rd->head_n;
    while (at < upto) {
        uint8_t waste[16384];
        size_t want = upto - at < (int64_t)sizeof waste ? (size_t)(upto - at) : sizeof waste, got;
        bool last;
        WH_TRY(files_input_read(rd->input, waste, want, &got, &last, reterr));
        at += (int64_t)got;
        textin_lines_add(&lines, waste, got);
        if (last && at < upto)
            return wh_fail(reterr, WH_E_DATA, "E4007", "'%s' has become shorter", file_name(rd));
    }
    *io_line = textin_lines_end(&lines);
    return WH_OK;
}

static wh_status open_sequential(struct files_reader *rd, int64_t *ret_line,
                                 struct wh_error *reterr)
{
    WH_TRY(open_input(rd, 0, &rd->input, reterr));
    WH_TRY(look_at_head(rd, rd->input, ret_line, reterr));
    rd->proven = true;
    rd->begin = rd->token.start ? rd->token.start : rd->data_at;
    return discard(rd, rd->begin, ret_line, reterr);
}

static wh_status open_plain(struct files_reader *rd, int64_t *ret_line, struct wh_error *reterr)
{
    struct files_input *in = NULL;
    int64_t right;
    int st = open_input(rd, 0, &in, reterr);
    if (st == WH_OK)
        st = look_at_head(rd, in, ret_line, reterr);
    files_input_close(in);
    rd->head_n = rd->head_at = 0;
    rd->head_last = false;
    if (st != WH_OK)
        return st;
    rd->proven = true;
    if (!rd->token.start) {
        rd->begin = rd->data_at;
    } else if (rd->token.exact) {
        rd->begin = rd->token.start;
    } else if (files_corrected(rd->sc, rd->token.file, rd->token.start, &right)) {
        rd->begin = right;
    } else if (files_is_json(rd->sc->kind.format)) {
        WH_TRY(next_line(rd, reterr));
    } else {
        rd->proven = false;
        WH_TRY(guess_begin(rd, reterr));
    }
    if (rd->token.start && rd->sc->tells_lines)
        WH_TRY(files_count_lines(rd, *ret_line, ret_line, reterr));
    else if (rd->token.start)
        *ret_line = 0;
    return open_input(rd, rd->begin, &rd->input, reterr);
}

static wh_status open_json(struct files_reader *rd, int64_t line, struct wh_error *reterr)
{
    const struct files_scan *sc = rd->sc;
    struct wh_json_config cfg = {.schema = &sc->schema,
                                 .places = sc->places,
                                 .known = (const char *const *)sc->names,
                                 .n_known = sc->n_names,
                                 .refuse_unknown = sc->refuse_unknown,
                                 .layout = rd->layout,
                                 .inside = rd->begin > rd->data_at,
                                 .offset = rd->begin,
                                 .line = line,
                                 .stop_at = rd->token.end == INT64_MAX ? -1 : rd->token.end,
                                 .max_rows = rd->token.max_rows,
                                 .max_row = sc->dialect.max_row,
                                 .reject = on_reject,
                                 .arg = rd};
    return wh_json_reader_new(&cfg, &rd->rows.json, reterr);
}

static wh_status open_rows(struct files_reader *rd, int64_t line, struct wh_error *reterr)
{
    if (files_is_json(rd->sc->kind.format))
        return open_json(rd, line, reterr);
    struct wh_csv_config cfg = {.dialect = rd->sc->dialect,
                                .schema = &rd->sc->schema,
                                .fields = rd->fields,
                                .n_fields = rd->sc->n_fields,
                                .offset = rd->begin,
                                .line = line,
                                .stop_at = rd->token.end == INT64_MAX ? -1 : rd->token.end,
                                .max_rows = rd->token.max_rows,
                                .simd = -1,
                                .reject = on_reject,
                                .arg = rd};
    return wh_csv_reader_new(&cfg, &rd->rows.csv, reterr);
}

/* A reader of ours that was cut exactly here is still there. */
static bool go_on(struct files_reader *rd)
{
    struct files_parked p;
    if (!rd->sequential || !rd->token.start ||
        !files_unpark(rd->sc, rd->token.file, rd->token.start, &p))
        return false;
    rd->storage = p.storage;
    rd->input = p.input;
    rd->rows = p.rows;
    rd->head = p.head;
    rd->head_n = p.head_n;
    rd->head_at = p.head_at;
    rd->head_last = p.head_last;
    rd->data_at = p.data_at;
    rd->begin = rd->token.start;
    rd->proven = true;
    files_input_adopt(rd->input, rd->ctx);
    wh_text_rows_adopt(&rd->rows, rd, rd->token.max_rows);
    return true;
}

/* Leaves everything where it is for the reader of the rest. */
static void park(struct files_reader *rd)
{
    struct files_parked p = {.file = rd->token.file,
                             .at = wh_text_rows_offset(&rd->rows),
                             .input = rd->input,
                             .rows = rd->rows,
                             .storage = rd->storage,
                             .head = rd->head,
                             .head_n = rd->head_n,
                             .head_at = rd->head_at,
                             .head_last = rd->head_last,
                             .data_at = rd->data_at};
    files_input_rest(rd->input);
    files_input_adopt(rd->input, NULL);
    files_park(rd->sc, &p);
    rd->input = NULL;
    rd->rows = (struct wh_text_rows){NULL, NULL};
    rd->storage = NULL;
    rd->head = NULL;
}

wh_status files_reader_open(void *self, void *scan, void *se, const struct wh_ctx *attempt,
                            const struct wh_split *split, struct ArrowSchema *ret_actual,
                            struct wh_error *reterr)
{
    struct files_reader *rd = self;
    struct files_scan *sc = scan;
    int64_t line = 0;
    *rd = (struct files_reader){.sc = sc, .ctx = attempt, .se = se, .right = -1};
    rd->out = rd->end = WH_BUF(64 * 1024);
    if (!files_token_read(split->token, &rd->token) ||
        (!sc->list.is_stdin && rd->token.file >= sc->list.n))
        return wh_fail(reterr, WH_E_STATE, "E7003", "the token of a split cannot be read");
    rd->fields = wh_calloc((size_t)sc->schema.n_children + 1, sizeof *rd->fields);
    if (!rd->fields)
        return no_memory(reterr);
    if (sc->fields)
        memcpy(rd->fields, sc->fields, (size_t)sc->schema.n_children * sizeof *rd->fields);
    rd->sequential = is_sequential(rd);
    int st = WH_OK;
    if (!go_on(rd)) {
        rd->storage = wh_calloc(1, sizeof *rd->storage);
        if (!rd->storage)
            return no_memory(reterr);
        if (!sc->list.is_stdin)
            WH_TRY(files_storage_again(rd->storage, &sc->storage, sc->list.root, reterr));
        WH_TRY(files_unchanged(sc, rd->storage, rd->token.file, reterr));
        bool as_is = sc->kind.format == FILES_FORMAT_BINARY;
        st = as_is            ? files_as_is_open(rd, reterr)
             : rd->sequential ? open_sequential(rd, &line, reterr)
                              : open_plain(rd, &line, reterr);
        if (st == WH_OK && !as_is)
            st = open_rows(rd, line, reterr);
    }
    st = files_worded(st, reterr);
    if (st < 0 && reterr && !reterr->where[0])
        wh_error_where(reterr, "%s", file_name(rd));
    return st;
}

/* ---- next -------------------------------------------------------------------------------------
 */

static wh_status feed(struct files_reader *rd, struct wh_error *reterr)
{
    void *p;
    size_t room, got;
    bool last = false;
    WH_TRY(wh_text_rows_space(&rd->rows, &p, &room, reterr));
    if (rd->head_at < rd->head_n || rd->head_last) {
        got = rd->head_n - rd->head_at < room ? rd->head_n - rd->head_at : room;
        memcpy(p, rd->head + rd->head_at, got);
        rd->head_at += got;
        last = rd->head_last && rd->head_at == rd->head_n;
    } else {
        WH_TRY(files_input_read(rd->input, p, room, &got, &last, reterr));
    }
    wh_text_rows_filled(&rd->rows, got, last);
    return WH_OK;
}

static wh_status pump(struct files_reader *rd, struct wh_batch *ret, struct wh_error *reterr)
{
    for (;;) {
        bool hungry;
        if (atomic_load(&rd->se->interrupted))
            return WH_LOST;
        WH_TRY(wh_text_rows_next(&rd->rows, ret, &hungry, reterr));
        if (!hungry)
            return WH_OK;
        if (rd->ctx && rd->ctx->cancelled && rd->ctx->cancelled(rd->ctx))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
        WH_TRY(feed(rd, reterr));
    }
}

static wh_status failed(struct files_reader *rd, int st, struct wh_error *reterr)
{
    bool about_text = st == WH_E_DATA && reterr && !strcmp(reterr->code, "E4003");
    if (!rd->wrong && about_text && !rd->proven && prove(rd, NULL) == WH_OK)
        return st;
    if (rd->wrong)
        return began_wrong(rd, reterr);
    if (st == WH_E_LIMIT && reterr && !reterr->code[0])
        return wh_fail(reterr, st, "E6001", "'%s' has a row that cannot be read", file_name(rd));
    if (st < 0 && reterr && !reterr->where[0])
        wh_error_where(reterr, "%s", file_name(rd));
    return st;
}

wh_status files_reader_next(void *self, struct wh_batch *ret, struct wh_error *reterr)
{
    struct files_reader *rd = self;
    struct wh_error err = {0};
    rd->cut = false;
    if (rd->done)
        return WH_END;
    int st = rd->as_is ? files_as_is_next(rd, ret, &err) : pump(rd, ret, &err);
    if (st == WH_OK) {
        ret->origin = wh_str(rd->sc->list.is_stdin ? "-" : rd->sc->list.v[rd->token.file].shown);
        return WH_OK;
    }
    if (st == WH_END)
        st = files_unchanged(rd->sc, rd->storage, rd->token.file, &err);
    if (st == WH_OK) {
        rd->done = true;
        return WH_END;
    }
    st = failed(rd, files_worded(st, st == WH_E_LIMIT ? NULL : &err), &err);
    if (reterr && (st < 0 || err.code[0]))
        *reterr = err;
    return st;
}

/* ---- cutting and chaining ---------------------------------------------------------------------
 */

static wh_status split_of(struct files_reader *rd, const struct files_token *t,
                          struct wh_split *ret, struct wh_error *reterr)
{
    *ret = (struct wh_split){
        .est_rows = -1, .est_bytes = -1, .order_group = (uint64_t)t->file + 1, .order_seq = t->seq};
    if (files_token_write(t, &rd->out) != WH_OK)
        return no_memory(reterr);
    files_label(rd->sc, t, ret);
    ret->token = (struct wh_bytes){rd->out.p, rd->out.n};
    return WH_OK;
}

wh_status files_reader_cut(void *self, struct wh_split *ret_rest, struct wh_split *ret_done,
                           struct wh_error *reterr)
{
    struct files_reader *rd = self;
    struct files_token t = rd->token;
    if (rd->sc->list.is_stdin)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                       "standard input cannot be cut: it is read only once");
    if (rd->done)
        return WH_END;
    int64_t rows = 0;
    t.exact = true;
    if (!rd->as_is)
        t.start = wh_text_rows_offset(&rd->rows);
    else if (!files_as_is_place(rd, &t.start, &rows))
        return WH_END;
    if (t.max_rows >= 0)
        t.max_rows -= wh_text_rows_count(&rd->rows);
    if (t.start >= t.end || t.max_rows == 0)
        return WH_END;
    if (ret_done) {
        *ret_done = (struct wh_split){.est_rows = rd->as_is ? rows : wh_text_rows_count(&rd->rows),
                                      .est_bytes = t.start - rd->begin,
                                      .order_group = (uint64_t)t.file + 1,
                                      .order_seq = t.seq};
        struct files_token done = {.file = t.file, .start = rd->begin, .end = t.start};
        files_label(rd->sc, &done, ret_done);
    }
    rd->cut = true;
    if (wh_text_rows_there(&rd->rows))
        files_note_line(rd->sc, t.file, t.start, wh_text_rows_line(&rd->rows));
    return split_of(rd, &t, ret_rest, reterr);
}

wh_status files_reader_end(void *self, struct wh_bytes *ret_end, struct wh_error *reterr)
{
    struct files_reader *rd = self;
    struct pack k = {&rd->end, WH_OK};
    wh_buf_clear(&rd->end);
    pack_u64(&k, rd->token.file);
    pack_u64(&k, (uint64_t)wh_text_rows_offset(&rd->rows));
    if (k.st != WH_OK)
        return no_memory(reterr);
    *ret_end = (struct wh_bytes){rd->end.p, rd->end.n};
    return WH_OK;
}

wh_status files_reader_chain(void *self, const struct wh_bytes *prev_end,
                             struct wh_split *ret_right, struct wh_error *reterr)
{
    struct files_reader *rd = self;
    struct unpack u = unpack_of(*prev_end);
    uint64_t file = unpack_u64(&u);
    int64_t end = (int64_t)unpack_u64(&u);
    if (u.bad || file != rd->token.file)
        return wh_fail(reterr, WH_E_STATE, "E4013", "the end of the range before does not fit");
    /* An exact start was proved when it was made: by a cut, or by this very check. */
    if (rd->token.exact || !rd->token.start || end == rd->begin) {
        rd->proven = true;
        return WH_OK;
    }
    struct files_token right = rd->token;
    right.exact = true;
    right.start = end;
    WH_TRY(split_of(rd, &right, ret_right, reterr));
    return WH_REFUSED;
}

void files_reader_close(void *self)
{
    struct files_reader *rd = self;
    if (rd->cut && rd->sequential && wh_text_rows_there(&rd->rows))
        park(rd);
    files_as_is_close(rd);
    wh_text_rows_free(&rd->rows);
    files_input_close(rd->input);
    if (rd->storage)
        files_storage_close(rd->storage);
    wh_free(rd->storage);
    rd->storage = NULL;
    wh_free(rd->head);
    wh_free(rd->fields);
    wh_buf_free(&rd->out);
    wh_buf_free(&rd->end);
    rd->input = NULL;
    rd->head = NULL;
    rd->fields = NULL;
}
