/* SPDX-License-Identifier: Apache-2.0 */
/* JSON files as a source: what a scan finds out of its files. */
#include <string.h>

#include "scan.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan of JSON files");
}

static wh_status look(const struct files_scan *sc, const struct files_sample *s, bool any_text,
                      struct wh_json_shape *ret, struct wh_error *reterr)
{
    struct wh_json_ask ask = {.lines = sc->kind.format == FILES_FORMAT_JSONL, .any_text = any_text};
    return wh_json_look(&ask, s->p, s->n, s->whole, ret, reterr);
}

/* Values of a further file; one that cannot be looked at says so when it is read. */
static wh_status guess_more(struct files_scan *sc, size_t file, struct wh_json_guess *g,
                            struct wh_error *reterr)
{
    struct files_sample s = {0};
    struct wh_json_shape shape;
    int st = files_sample_read(sc, file, FILES_SAMPLE_BYTES / FILES_SAMPLE_FILES, &s, reterr);
    if (st == WH_OK && s.n && look(sc, &s, true, &shape, NULL) == WH_OK)
        st = wh_json_guess_add(g, shape.layout, s.p + shape.data_at, s.n - shape.data_at, s.whole,
                               FILES_SAMPLE_ROWS);
    wh_free(s.p);
    return st;
}

/* Lines from a place in the middle of a plain file. */
static wh_status guess_at(struct files_scan *sc, size_t file, int64_t from, struct wh_json_guess *g,
                          struct wh_error *reterr)
{
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(FILES_PIECE_BYTES);
    size_t n;
    bool last;
    if (!p)
        return no_memory(reterr);
    WH_TRY(files_sample_piece(sc, file, from, p, FILES_PIECE_BYTES, &n, &last, reterr));
    const uint8_t *end = n ? memchr(p, '\n', n) : NULL;
    return end ? wh_json_guess_add(g, WH_JSON_LINES, end + 1, n - (size_t)(end + 1 - p), last,
                                   FILES_SAMPLE_ROWS)
               : WH_OK;
}

/* A big file changes its mind late: its middle and its end are asked too. */
static wh_status guess_rest(struct files_scan *sc, size_t file, struct wh_json_guess *g,
                            struct wh_error *reterr)
{
    if (sc->layout != WH_JSON_LINES || !files_sample_more(sc, file))
        return WH_OK;
    int64_t size = sc->list.v[file].size;
    WH_TRY(guess_at(sc, file, size / 2, g, reterr));
    return guess_at(sc, file, size - FILES_PIECE_BYTES, g, reterr);
}

/* What is asked for may be places; a name that is neither a key nor a place is no column, and
 * project() says so. */
static wh_status ask_places(const struct wh_scan *io, struct wh_json_guess *g,
                            struct wh_error *reterr)
{
    for (size_t i = 0; i < io->n_columns && io->columns; i++) {
        int st = wh_json_guess_place(g, io->columns[i], NULL);
        if (st == WH_E_NOMEM)
            return no_memory(reterr);
    }
    return WH_OK;
}

static wh_status take_names(struct files_scan *sc, const struct ArrowSchema *all, int64_t keys)
{
    sc->names = wh_calloc((size_t)keys + 1, sizeof *sc->names);
    if (!sc->names)
        return WH_E_NOMEM;
    for (; sc->n_names < keys; sc->n_names++) {
        sc->names[sc->n_names] = wh_strdup(all->children[sc->n_names]->name);
        if (!sc->names[sc->n_names])
            return WH_E_NOMEM;
    }
    return WH_OK;
}

static wh_status guess(struct files_scan *sc, struct wh_scan *io, const struct wh_json_shape *shape,
                       const struct files_sample *s, size_t file, struct wh_json_guess *g,
                       struct ArrowSchema *ret, struct wh_error *reterr)
{
    size_t n = s->n - shape->data_at;
    int64_t keys;
    WH_TRY(ask_places(io, g, reterr));
    WH_TRY(wh_json_guess_add(g, shape->layout, s->p + shape->data_at, n, s->whole,
                             s->whole ? INT64_MAX : FILES_SAMPLE_ROWS));
    int64_t rows = wh_json_guess_rows(g);
    if (!s->whole)
        WH_TRY(guess_rest(sc, file, g, reterr));
    for (size_t i = file + 1; i < sc->list.n && i < file + FILES_SAMPLE_FILES; i++)
        if (wh_json_guess_rows(g) < FILES_SAMPLE_ROWS)
            WH_TRY(guess_more(sc, i, g, reterr));
    WH_TRY(wh_json_guess_schema(g, ret, &keys, reterr));
    io->sampled_rows = wh_json_guess_rows(g);
    io->est_rows = s->whole && sc->list.n <= 1 ? rows : -1;
    sc->row_bytes = s->whole && rows ? (int64_t)n / rows + 1 : 0;
    if (!keys) {
        int st = wh_fail(reterr, WH_E_TYPE, "E3007",
                         "the sample holds no object with a key: columns cannot be told");
        wh_error_hint(reterr, "rows are JSON objects: {\"name\": value, ...}");
        return st;
    }
    return take_names(sc, ret, keys);
}

static int64_t line_bytes(const struct files_sample *s)
{
    size_t lines = 0, at = 0;
    for (const uint8_t *p; at < s->n && (p = memchr(s->p + at, '\n', s->n - at)); lines++)
        at = (size_t)(p - s->p) + 1;
    return lines ? (int64_t)(at / lines) + 1 : 0;
}

wh_status files_discover_json(struct files_scan *sc, struct wh_scan *io,
                              struct ArrowSchema *ret_all, struct wh_error *reterr)
{
    const struct files_from *o = io->opts;
    struct files_sample s = {0};
    struct wh_json_shape shape;
    struct wh_json_guess *g = NULL;
    size_t file = 0;
    sc->dialect = wh_csv_dialect_default();
    if (io->max_row_bytes > 0)
        sc->dialect.max_row = (size_t)io->max_row_bytes;
    /* Who names columns has said what becomes of the others. */
    sc->refuse_unknown = !io->columns && !(o && o->unknown_fields == FILES_UNKNOWN_DROP);
    WH_TRY(files_check_json_from(o, reterr));
    int st = files_sample_first(sc, &s, &file, reterr);
    if (st == WH_END)
        st = files_nothing_to_see(reterr);
    if (st == WH_OK) {
        st = look(sc, &s, false, &shape, reterr);
        if (st == WH_E_DATA && reterr && !strcmp(reterr->code, "E4006"))
            st = files_explain_text(sc, file, &s, reterr);
        else if (st == WH_E_DATA)
            wh_error_where(reterr, "%s",
                           sc->list.is_stdin ? "standard input" : sc->list.v[file].name);
    }
    if (st == WH_OK) {
        sc->layout = shape.layout;
        files_note(io, shape.note);
        st = wh_json_guess_new(&g);
    }
    if (st == WH_OK)
        st = guess(sc, io, &shape, &s, file, g, ret_all, reterr);
    if (st == WH_OK && !sc->row_bytes && sc->layout == WH_JSON_LINES)
        sc->row_bytes = line_bytes(&s);
    wh_json_guess_free(g);
    wh_free(s.p);
    return st == WH_E_NOMEM ? no_memory(reterr) : st;
}

wh_status files_find_places(struct files_scan *sc, struct wh_error *reterr)
{
    sc->places = wh_calloc((size_t)sc->schema.n_children + 1, sizeof *sc->places);
    if (!sc->places)
        return no_memory(reterr);
    for (int64_t i = 0; i < sc->schema.n_children; i++) {
        sc->places[i] = true;
        for (int64_t k = 0; k < sc->n_names && sc->places[i]; k++)
            sc->places[i] = strcmp(sc->names[k], sc->schema.children[i]->name) != 0;
    }
    return WH_OK;
}
