/* SPDX-License-Identifier: Apache-2.0 */
/* The source side of a flow: which files, what shape, which types; splits of them.
 *
 * The plan freezes the list of files with inode, time and size, the dialect that was found, and the
 * names of the fields (ret_bounds). A run checks each file against it before and after reading. */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pack.h"
#include "find.h"
#include "formats/textin.h"
#include "scan.h"

enum {
    BOUNDS_MAX = 512 << 20,
    TOKEN_MAX = 64 * 1024,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan of files");
}

/* ---- tokens -----------------------------------------------------------------------------------
 */

wh_status files_token_write(const struct files_token *t, struct wh_buf *out)
{
    struct pack k = {out, WH_OK};
    wh_buf_clear(out);
    pack_u64(&k, t->file);
    pack_u64(&k, t->exact);
    pack_u64(&k, (uint64_t)t->start);
    pack_u64(&k, (uint64_t)t->end);
    pack_u64(&k, t->seq);
    pack_u64(&k, (uint64_t)t->max_rows);
    return k.st;
}

bool files_token_read(struct wh_bytes b, struct files_token *ret)
{
    struct unpack u = unpack_of(b);
    uint64_t file = unpack_u64(&u);
    *ret = (struct files_token){.file = (uint32_t)file};
    ret->exact = unpack_u64(&u) != 0;
    ret->start = (int64_t)unpack_u64(&u);
    ret->end = (int64_t)unpack_u64(&u);
    ret->seq = unpack_u64(&u);
    ret->max_rows = (int64_t)unpack_u64(&u);
    return !u.bad && !u.n && file <= UINT32_MAX && ret->start >= 0 && ret->end >= 0;
}

void files_label(const struct files_scan *sc, const struct files_token *t, struct wh_split *ret)
{
    const char *name = sc->list.is_stdin ? "standard input" : sc->list.v[t->file].name;
    size_t n = strlen(name);
    const char *shown = n > 48 ? name + n - 48 : name;
    if (t->end == INT64_MAX && !t->start)
        snprintf(ret->label, sizeof ret->label, "%s", shown);
    else if (t->end == INT64_MAX)
        snprintf(ret->label, sizeof ret->label, "%s from %lld", shown, (long long)t->start);
    else
        snprintf(ret->label, sizeof ret->label, "%s %lld..%lld", shown, (long long)t->start,
                 (long long)t->end);
}

wh_status files_unchanged(const struct files_scan *sc, const struct files_storage *storage,
                          size_t file, struct wh_error *reterr)
{
    struct wh_file_info now;
    if (sc->list.is_stdin)
        return WH_OK;
    const struct files_entry *e = &sc->list.v[file];
    WH_TRY(storage->ops->stat(storage->st, files_stored(e), &now, reterr));
    if (!strcmp(now.etag, e->etag))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_DATA, "E4007",
                     "'%s/%s' changed since the plan (%lld bytes then, %lld now)", sc->list.root,
                     files_stored(e), (long long)(e->member ? e->member->archive_size : e->size),
                     (long long)now.size);
    wh_error_hint(reterr, "plan again when the file is complete: --fresh");
    return st;
}

/* ---- looking ----------------------------------------------------------------------------------
 */

wh_status files_look(const struct files_scan *sc, const void *head, size_t n, bool whole,
                     struct wh_csv_shape *ret, struct wh_error *reterr)
{
    struct wh_csv_ask ask = {.dialect = sc->dialect,
                             .header = sc->has_header ? WH_CSV_HEADER_YES : WH_CSV_HEADER_NO,
                             .skip_lines = sc->skip_lines,
                             .any_text = true};
    return wh_csv_look(&ask, head, n, whole, ret, reterr);
}

static wh_status ask_of(const struct files_from *o, struct wh_csv_ask *ask, struct wh_error *reterr)
{
    struct wh_csv_dialect *d = &ask->dialect;
    *d = wh_csv_dialect_default();
    ask->delimiter_auto = true;
    ask->header = WH_CSV_HEADER_AUTO;
    if (!o)
        return WH_OK;
    WH_TRY(files_delimiter(o->delimiter, d, &ask->delimiter_auto, reterr));
    WH_TRY(files_decimal(o->decimal, d, reterr));
    d->quote = o->quote;
    d->escape = o->escape == o->quote ? -1 : o->escape;
    d->comment = o->comment;
    ask->header = (enum wh_csv_header)o->header;
    ask->skip_lines = o->skip_lines;
    if (o->null_text.n)
        d->empty_null = false;
    for (size_t i = 0; i < o->null_text.n; i++)
        if (!wh_csv_add_null(d, strcmp(o->null_text.v[i], "none") ? wh_str(o->null_text.v[i])
                                                                  : wh_str("")))
            return wh_fail(reterr, WH_E_USAGE, "E1003", "null_text: too many or too long");
    return WH_OK;
}

static void take_shape(struct files_scan *sc, struct wh_csv_shape *shape)
{
    sc->dialect = shape->dialect;
    sc->has_header = shape->has_header;
    sc->n_fields = shape->n_fields;
    sc->names = TAKE_PTR(shape->names);
    sc->n_names = shape->n_columns;
}

/* Values of a further file for the guess; its header must have the same names in the same order to
 * take part. */
static wh_status guess_more(struct files_scan *sc, size_t file, struct wh_csv_guess *g,
                            struct wh_error *reterr)
{
    struct files_sample s = {0};
    struct wh_csv_shape shape = {0};
    int st = files_sample_read(sc, file, FILES_SAMPLE_BYTES / FILES_SAMPLE_FILES, &s, reterr);
    if (st == WH_OK && s.n)
        st = files_look(sc, s.p, s.n, s.whole, &shape, reterr);
    bool same = st == WH_OK && s.n && shape.n_columns == sc->n_names;
    for (int64_t i = 0; same && i < sc->n_names; i++)
        same = !strcmp(shape.names[i], sc->names[i]);
    if (same) {
        shape.n_fields = sc->n_fields;
        st = wh_csv_guess_add(g, &shape, s.p + shape.data_at, s.n - shape.data_at, s.whole,
                              FILES_SAMPLE_ROWS);
    }
    wh_csv_shape_free(&shape);
    wh_free(s.p);
    return st;
}

/* Rows from a place in the middle of a plain file. Without a quote in the piece there is no doubt
 * where they begin; with one the piece is passed over. */
static wh_status guess_at(struct files_scan *sc, size_t file, int64_t from, struct wh_csv_guess *g,
                          const struct wh_csv_shape *shape, struct wh_error *reterr)
{
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(FILES_PIECE_BYTES);
    const struct wh_csv_dialect *d = &sc->dialect;
    size_t n;
    bool last;
    if (!p)
        return no_memory(reterr);
    WH_TRY(files_sample_piece(sc, file, from, p, FILES_PIECE_BYTES, &n, &last, reterr));
    if (d->quote >= 0 && memchr(p, d->quote, n))
        return WH_OK;
    int64_t at = wh_csv_sync(d, p, n, WH_CSV_OUTSIDE);
    return at < 0 ? WH_OK
                  : wh_csv_guess_add(g, shape, p + at, n - (size_t)at, last, FILES_SAMPLE_ROWS);
}

/* A big file changes its mind late: its middle and its end are asked too. */
static wh_status guess_rest(struct files_scan *sc, size_t file, struct wh_csv_guess *g,
                            const struct wh_csv_shape *shape, struct wh_error *reterr)
{
    if (!files_sample_more(sc, file))
        return WH_OK;
    int64_t size = sc->list.v[file].size;
    WH_TRY(guess_at(sc, file, size / 2, g, shape, reterr));
    return guess_at(sc, file, size - FILES_PIECE_BYTES, g, shape, reterr);
}

/* ---- columns ----------------------------------------------------------------------------------
 */

static int32_t field_named(const struct files_scan *sc, const char *name)
{
    for (int64_t i = 0; i < sc->n_names; i++)
        if (!strcmp(sc->names[i], name))
            return (int32_t)i;
    return -1;
}

static wh_status no_column(const struct files_scan *sc, const char *name, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_NOT_FOUND, "E3002", "the files have no column '%s'", name);
    char list[240] = "";
    for (int64_t i = 0; i < sc->n_names && strlen(list) < 180; i++) {
        size_t n = strlen(list);
        snprintf(list + n, sizeof list - n, "%s%.60s", i ? ", " : "", sc->names[i]);
    }
    wh_error_hint(reterr, "columns: %s", list);
    return st;
}

static wh_status project(struct files_scan *sc, const struct wh_scan *io,
                         const struct ArrowSchema *all, struct wh_error *reterr)
{
    int64_t n = (int64_t)io->n_columns;
    WH_TRY(wh_schema_init(&sc->schema, n));
    for (int64_t i = 0; i < n; i++) {
        int64_t at = wh_schema_find(all, wh_str(io->columns[i]), false);
        struct wh_type t;
        static const char *const meta[] = {WH_META_GUESSED, "1", NULL};
        static const char *const as_is[] = {WH_META_AS_IS, "1", NULL};
        struct wh_str any;
        if (at < 0)
            return no_column(sc, io->columns[i], reterr);
        WH_TRY(wh_type_of(all->children[at], &t, reterr));
        WH_TRY(wh_schema_set(&sc->schema, i, io->columns[i], &t,
                             wh_meta_get(all->children[at], WH_META_GUESSED, &any) ? meta
                             : wh_meta_get(all->children[at], WH_META_AS_IS, &any) ? as_is
                                                                                   : NULL));
    }
    return WH_OK;
}

static wh_status find_fields(struct files_scan *sc, struct wh_error *reterr)
{
    if (files_is_json(sc->kind.format))
        return files_find_places(sc, reterr);
    sc->fields = wh_calloc((size_t)sc->schema.n_children + 1, sizeof *sc->fields);
    if (!sc->fields)
        return no_memory(reterr);
    for (int64_t i = 0; i < sc->schema.n_children; i++) {
        sc->fields[i] = -1;
        if (textin_place_of(sc->schema.children[i]) != TEXTIN_CELL)
            continue; /* no field of a record */
        sc->fields[i] = field_named(sc, sc->schema.children[i]->name);
        if (sc->fields[i] < 0)
            return no_column(sc, sc->schema.children[i]->name, reterr);
    }
    return WH_OK;
}

/* ---- the first time ---------------------------------------------------------------------------
 */

/* A null word in a column that is declared as something else than text is a NULL. */
static void declare_nulls(const struct files_scan *sc, const struct wh_map *types,
                          struct wh_csv_guess *g)
{
    for (size_t i = 0; types && i < types->n; i++) {
        struct wh_type t;
        int32_t at = field_named(sc, types->v[i].key);
        if (at >= 0 && wh_type_parse(types->v[i].value, &t) && t.kind != WH_K_UTF8)
            wh_csv_guess_declare(g, at);
    }
}

static wh_status guess(struct files_scan *sc, struct wh_scan *io, const struct wh_csv_shape *shape,
                       const struct files_sample *s, size_t file, bool nulls_given,
                       struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct wh_csv_guess *g = NULL;
    char said[200] = "";
    int st = wh_csv_guess_new(sc->n_names, &g);
    if (st == WH_OK)
        declare_nulls(sc, io->types, g);
    size_t data_n = s->n - shape->data_at;
    if (st == WH_OK)
        st = wh_csv_guess_add(g, shape, s->p + shape->data_at, data_n, s->whole,
                              s->whole ? INT64_MAX : FILES_SAMPLE_ROWS);
    int64_t rows = st == WH_OK ? wh_csv_guess_rows(g) : 0;
    bool all = s->whole && sc->list.n <= 1;
    if (st == WH_OK && !s->whole)
        st = guess_rest(sc, file, g, shape, reterr);
    for (size_t i = file + 1; st == WH_OK && i < sc->list.n && i < file + FILES_SAMPLE_FILES; i++)
        if (wh_csv_guess_rows(g) < FILES_SAMPLE_ROWS)
            st = guess_more(sc, i, g, reterr);
    if (st == WH_OK)
        st = wh_csv_guess_schema(g, sc->names, nulls_given, &sc->dialect, ret, said, sizeof said);
    if (st == WH_OK) {
        io->sampled_rows = wh_csv_guess_rows(g);
        io->est_rows = all ? rows : -1;
        int64_t counted = s->whole ? rows : 0;
        sc->row_bytes = counted ? (int64_t)data_n / counted + 1 : 0;
        files_note(io, said);
    }
    wh_csv_guess_free(g);
    return st == WH_E_NOMEM ? no_memory(reterr) : st;
}

/* Names over columns of nothing but text could be the first row: the plan says what was decided. */
static void say_names(const struct wh_csv_ask *ask, const struct files_scan *sc,
                      const struct ArrowSchema *all, struct wh_scan *io)
{
    bool text = io->sampled_rows > 0;
    for (int64_t i = 0; i < all->n_children; i++)
        text = text && !strcmp(all->children[i]->format, "u");
    if (ask->header == WH_CSV_HEADER_AUTO && sc->has_header && text)
        files_note(io, "the first line is taken as names (header=no if it is a row)");
}

static int64_t line_bytes(const struct files_sample *s, size_t from)
{
    size_t lines = 0, at = from;
    for (const uint8_t *p; at < s->n && (p = memchr(s->p + at, '\n', s->n - at)); lines++)
        at = (size_t)(p - s->p) + 1;
    return lines ? (int64_t)((at - from) / lines) + 1 : 0;
}

static wh_status discover(struct files_scan *sc, struct wh_scan *io, struct ArrowSchema *ret_all,
                          struct wh_error *reterr)
{
    const struct files_from *o = io->opts;
    struct files_sample s = {0};
    struct wh_csv_shape shape = {0};
    struct wh_csv_ask ask = {0};
    size_t file = 0;
    bool nulls_given = o && o->null_text.n;
    int st = ask_of(o, &ask, reterr);
    if (io->max_row_bytes > 0)
        ask.dialect.max_row = (size_t)io->max_row_bytes;
    if (st == WH_OK && sc->kind.format == FILES_FORMAT_TSV && ask.delimiter_auto) {
        ask.dialect.delimiter[0] = '\t';
        ask.delimiter_auto = false;
    }
    if (st == WH_OK)
        st = files_sample_first(sc, &s, &file, reterr);
    if (st == WH_OK) {
        st = wh_csv_look(&ask, s.p, s.n, s.whole, &shape, reterr);
        if (st == WH_E_DATA)
            st = files_explain_text(sc, file, &s, reterr);
    } else if (st == WH_END) {
        st = files_nothing_to_see(reterr);
    }
    if (st == WH_OK) {
        files_note(io, shape.note);
        if (files_closes_with_1a(sc, file, &s))
            files_note(io, "closing 0x1A dropped");
        sc->skip_lines = ask.skip_lines;
        take_shape(sc, &shape);
        st = guess(sc, io, &shape, &s, file, nulls_given, ret_all, reterr);
        if (st == WH_OK)
            say_names(&ask, sc, ret_all, io);
        if (!sc->row_bytes)
            sc->row_bytes = line_bytes(&s, shape.data_at);
    }
    wh_csv_shape_free(&shape);
    wh_free(s.p);
    return st;
}

/* ---- declared types ---------------------------------------------------------------------------
 */

/* The type a column is read in when the job declares one: what the reader knows by itself, else
 * text, which the engine converts. Limits of length are the engine's to check. */
static struct wh_type read_as(const struct wh_type *declared, bool json)
{
    static const bool direct[WH_K_COUNT] = {
        [WH_K_BOOL] = true,     [WH_K_I8] = true,      [WH_K_I16] = true,    [WH_K_I32] = true,
        [WH_K_I64] = true,      [WH_K_U8] = true,      [WH_K_U16] = true,    [WH_K_U32] = true,
        [WH_K_U64] = true,      [WH_K_F32] = true,     [WH_K_F64] = true,    [WH_K_DEC128] = true,
        [WH_K_DEC256] = true,   [WH_K_DECTEXT] = true, [WH_K_DATE32] = true, [WH_K_TIME64] = true,
        [WH_K_TIMESTAMP] = true};
    struct wh_type t = direct[declared->kind] ? *declared : WH_TYPE(WH_K_UTF8);

    bool keeps_json = json && declared->kind == WH_K_UTF8 && declared->logical == WH_L_JSON;

    t.logical = keeps_json ? WH_L_JSON : WH_L_NONE;
    t.nullable = true;
    return t;
}

/* A declared type takes the place of the guess: "1.50" declared as text stays "1.50". Names that
 * fit no column are the engine's to refuse. */
static wh_status declare_types(const struct wh_scan *io, bool json, struct ArrowSchema *all,
                               struct wh_error *reterr)
{
    for (size_t i = 0; io->types && i < io->types->n; i++) {
        const struct wh_pair *pair = &io->types->v[i];
        struct wh_type t;
        int64_t at = wh_schema_find(all, wh_str(pair->key), false);
        if (at < 0)
            at = wh_schema_find(all, wh_str(pair->key), true);
        if (at < 0 || !wh_type_parse(pair->value, &t))
            continue;
        struct ArrowSchema field = {0}, *child = all->children[at];
        t = read_as(&t, json);
        WH_TRY(wh_field_init(&field, child->name, &t, NULL));
        child->release(child);
        *child = field;
    }
    return WH_OK;
}

/* ---- open -------------------------------------------------------------------------------------
 */

static wh_status check_all_unchanged(const struct files_scan *sc, struct wh_error *reterr)
{
    for (size_t i = 0; i < sc->list.n; i++) {
        struct wh_error err = {0};
        int st = files_unchanged(sc, &sc->storage, i, &err);
        /* Put away by the end of this very run; a reader that wants it finds out by itself. */
        if (st != WH_OK && sc->after != FILES_AFTER_KEEP)
            continue;
        if (st != WH_OK && reterr)
            *reterr = err;
        WH_TRY(st);
    }
    return WH_OK;
}

/* Bytes of a unit where units, or rows in one, were asked for. A file is never read together with
 * another one; of a copy as it is the rows are pieces. */
static void size_units(struct files_scan *sc, const struct wh_scan *io)
{
    bool pieces = sc->kind.format == FILES_FORMAT_BINARY;
    int64_t total = 0, unit = 0, row = pieces ? FILES_PIECE : sc->row_bytes > 0 ? sc->row_bytes : 1;
    for (size_t i = 0; i < sc->list.n; i++)
        total += sc->list.v[i].size > 0 ? sc->list.v[i].size : 0;
    if (io->parts > 0)
        unit = total / io->parts + (total % io->parts != 0);
    else if (io->unit_rows > 0)
        unit = io->unit_rows > INT64_MAX / 4 / row ? INT64_MAX / 4 : io->unit_rows * row;
    if (pieces && unit > 0)
        unit = (unit + FILES_PIECE - 1) / FILES_PIECE * FILES_PIECE;
    if (unit > 0)
        sc->unit_bytes = unit;
}

/* From now on sizes are those of the text. */
static wh_status find_them(struct files_scan *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    WH_TRY(files_find(sc->ep, io->object, io->opts, &sc->list, reterr));
    if (!sc->key)
        return WH_OK;
    for (size_t i = 0; i < sc->list.n; i++)
        sc->list.v[i].size = wh_seal_text(sc->list.v[i].size);
    return wh_seal_key_check(sc->key, sc->key_check, reterr);
}

static wh_status open_files(struct files_scan *sc, struct wh_scan *io, struct ArrowSchema *ret_all,
                            struct wh_error *reterr)
{
    const struct files_from *said = io->opts;
    if (said)
        WH_TRY(files_key_of(&said->encrypt, &sc->key_room, &sc->key, reterr));
    if (io->bounds.n) {
        WH_TRY(files_thaw(sc, io->bounds, reterr));
        WH_TRY(files_same_key(sc->key, wh_str(sc->key_check), reterr));
        if (sc->list.is_stdin)
            WH_TRY(files_sniff_stdin(sc, reterr));
    } else {
        const struct files_from *o = io->opts;
        WH_TRY(find_them(sc, io, reterr));
        if (!sc->list.is_stdin && !sc->list.as_is && !(o && o->format == FILES_FORMAT_BINARY))
            WH_TRY(files_look_into(sc->ep, o, o ? o->compression : FILES_COMPRESSION_AUTO, sc->key,
                                   &sc->list, reterr));
        sc->md5 = o ? o->md5 : FILES_MD5_OFF;
        if (sc->list.is_stdin)
            WH_TRY(files_check_stdin(o, reterr));
        if (o && o->encoding && strcasecmp(o->encoding, "utf-8-bom") != 0) { /* a mark is dropped */
            snprintf(sc->encoding_text, sizeof sc->encoding_text, "%s", o->encoding);
            sc->encoding = sc->encoding_text;
        }
    }
    if (!sc->list.is_stdin)
        WH_TRY(files_storage_open_sealed(&sc->storage, sc->ep->storage, sc->list.root, sc->key,
                                         reterr));
    if (io->bounds.n)
        return check_all_unchanged(sc, reterr);
    WH_TRY(files_check_kinds(sc, io->opts, reterr));
    bool json = files_is_json(sc->kind.format);
    bool as_is = sc->kind.format == FILES_FORMAT_BINARY;
    WH_TRY((json    ? files_discover_json
            : as_is ? files_discover_as_is
                    : discover)(sc, io, ret_all, reterr));
    if (!as_is)
        WH_TRY(declare_types(io, json, ret_all, reterr));
    WH_TRY(files_after_choose(sc, io->opts, io, reterr));
    size_units(sc, io);
    return files_freeze(sc) == WH_OK ? WH_OK : no_memory(reterr);
}

static wh_status choose_schema(struct files_scan *sc, const struct wh_scan *io,
                               const struct ArrowSchema *all, struct wh_error *reterr)
{
    if (io->frozen && io->frozen->release)
        WH_TRY(wh_schema_copy(io->frozen, &sc->schema));
    else if (!all->release)
        return wh_fail(reterr, WH_E_BUG, "E9003", "bounds without a frozen schema");
    else if (io->columns)
        WH_TRY(project(sc, io, all, reterr));
    else
        WH_TRY(wh_schema_copy(all, &sc->schema));
    if (!io->frozen || !io->frozen->release)
        WH_TRY(files_add_places(sc, io, reterr));
    for (int64_t i = 0; i < sc->schema.n_children; i++)
        sc->tells_lines |= textin_place_of(sc->schema.children[i]) == TEXTIN_LINE;
    return find_fields(sc, reterr);
}

/* Rows that begin behind line ends, or where CSV says. */
static bool has_lines(const struct files_scan *sc)
{
    return sc->kind.format != FILES_FORMAT_JSON || (sc->list.n == 1 && sc->layout == WH_JSON_LINES);
}

static bool rangeable(const struct files_scan *sc, size_t file)
{
    return has_lines(sc) && sc->limit <= 0 && files_enters_anywhere(sc, file) &&
           sc->list.v[file].size > sc->unit_bytes + sc->unit_bytes / 4;
}

static const char HIDDEN[] = "hidden files left out (hidden=true)";
static const char SPECIAL[] = "pipes, devices and links to nothing left out";

static void say_left_out(const struct files_scan *sc, struct wh_scan *io)
{
    const struct {
        int64_t n;
        const char *what;
    } said[] = {{sc->list.others, "files of other kinds left out"},
                {sc->list.filtered, "files too small or of another time left out"},
                {sc->list.hidden, HIDDEN},
                {sc->list.special, SPECIAL},
                {sc->list.links, "links and devices in archives left out"},
                {sc->list.twice, "files named again are read once"},
                {sc->list.missing, "paths found nothing"}};
    for (size_t i = 0; i < sizeof said / sizeof *said; i++) {
        char text[80];
        snprintf(text, sizeof text, "%lld %s", (long long)said[i].n, said[i].what);
        bool warned = sc->kind.format == FILES_FORMAT_BINARY &&
                      (said[i].what == HIDDEN || said[i].what == SPECIAL);
        if (said[i].n && !warned)
            files_note(io, text);
    }
}

/* Of a copy of everything it is more than a note. */
static wh_status warn_left_out(struct files_scan *sc, struct wh_scan *io, struct wh_error *reterr)
{
    const struct files_list *l = &sc->list;
    int st = WH_OK;
    if (sc->kind.format != FILES_FORMAT_BINARY)
        return WH_OK;
    sc->warn = WH_BUF(4096);
    if (l->hidden)
        st = wh_buf_printf(&sc->warn, "%lld hidden files are not copied (hidden=true takes them)\n",
                           (long long)l->hidden);
    if (st == WH_OK && l->special)
        st = wh_buf_printf(&sc->warn,
                           "%lld pipes, sockets, devices or links to nothing are not copied\n",
                           (long long)l->special);
    io->say_warn = (struct wh_str){sc->warn.p, sc->warn.n ? sc->warn.n - 1 : 0};
    return st == WH_OK ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a scan");
}

static void answer_how(struct files_scan *sc, struct wh_scan *io)
{
    size_t packed = 0;
    bool in_order = false; /* the members of a packed tar */
    for (size_t i = 0; i < sc->list.n; i++) {
        const struct files_member *m = sc->list.v[i].member;
        sc->ranges |= rangeable(sc, i);
        packed += !files_enters_anywhere(sc, i);
        in_order |= m && m->how == FILES_HOW_STREAM;
    }
    io->splittable = sc->ranges || sc->list.n > 1;
    io->chained = sc->ranges && sc->kind.format != FILES_FORMAT_BINARY;
    io->physical = sc->ranges;
    io->resumable = !sc->list.is_stdin;
    io->max_readers = sc->list.is_stdin || in_order ? 1 : 0;
    if (sc->list.is_stdin)
        snprintf(io->method, sizeof io->method, "one stream");
    else if (sc->ranges)
        snprintf(io->method, sizeof io->method, "byte ranges of %lld MiB",
                 (long long)(sc->unit_bytes >> 20));
    else
        snprintf(io->method, sizeof io->method, "%s",
                 in_order         ? "members in order"
                 : sc->list.n > 1 ? "one file each"
                                  : "one file");
    if (sc->list.is_stdin)
        files_note(io, "standard input can be read only once: not resumable");
    else if (packed || sc->encoding)
        files_note(io, "after a kill a packed file is read again from its start");
    say_left_out(sc, io);
    files_note(io, sc->key ? "decrypted with AES-256-GCM" : "");
    static const char *const after[] = {"", "files are deleted when the run is closed",
                                        "files are renamed to *.done when the run is closed",
                                        "files are moved away when the run is closed"};
    files_note(io, after[sc->after]);
    io->retires = sc->after != FILES_AFTER_KEEP;
}

/* The longest: one that may be too long for its column is told in the plan. */
static const char *longest_name(const struct files_scan *sc)
{
    const char *longest = sc->list.is_stdin ? "-" : "";
    for (size_t i = 0; i < sc->list.n; i++)
        if (strlen(sc->list.v[i].shown) > strlen(longest))
            longest = sc->list.v[i].shown;
    return longest;
}

static void answer(struct files_scan *sc, struct wh_scan *io)
{
    bool exact = io->est_rows > 0;
    if (io->parts > 0 || io->unit_rows > 0)
        io->unit_bytes = sc->unit_bytes;
    io->origin = longest_name(sc);
    answer_how(sc, io);
    io->ret_bounds = (struct wh_bytes){sc->bounds.p, sc->bounds.n};
    io->limit_done = sc->limit > 0 && (sc->list.is_stdin || sc->list.n == 1);
    io->frame = NULL;
    io->est_bytes = sc->list.is_stdin ? -1 : 0;
    bool plain = !sc->list.is_stdin && !sc->encoding;
    for (size_t i = 0; i < sc->list.n; i++) {
        enum wh_codec codec; /* a member's size is that of its text */
        io->est_bytes += sc->list.v[i].size;
        plain &= files_codec_of(sc, i, &codec, NULL) == WH_OK && codec == WH_CODEC_NONE;
    }
    if (!exact)
        io->est_rows = plain && sc->row_bytes ? io->est_bytes / sc->row_bytes : -1;
    for (size_t i = 0; i < io->n_preds; i++)
        io->preds[i].pushed = WH_PUSH_NO;
}

static wh_status scan_open(void *self, void *ep, void *se, struct wh_scan *io,
                           struct ArrowSchema *ret, struct wh_error *reterr)
{
    struct files_scan *sc = self;
    struct ArrowSchema all = {0};
    sc->ep = ep;
    sc->ctx = io->ctx;
    sc->bounds = WH_BUF(BOUNDS_MAX);
    sc->token = WH_BUF(TOKEN_MAX);
    sc->cursor = WH_BUF(TOKEN_MAX);
    sc->limit = io->limit;
    sc->unit_bytes = io->unit_bytes > 0 ? io->unit_bytes : 64 << 20;
    sc->storage.ops = sc->ep->storage;
    if (io->where || io->query)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E1064", "files have no query language");
    io->est_rows = -1;
    int st = open_files(sc, io, &all, reterr);
    if (st == WH_OK)
        st = choose_schema(sc, io, &all, reterr);
    if (st == WH_OK && !io->bounds.n)
        st = files_same_headers(sc, reterr);
    wh_schema_release(&all);
    if (st == WH_OK)
        st = wh_schema_copy(&sc->schema, ret);
    if (st == WH_OK)
        st = warn_left_out(sc, io, reterr);
    if (st == WH_OK)
        answer(sc, io);
    return files_worded(st, reterr);
}

void files_scan_free(struct files_scan *sc)
{
    wh_free(sc->after_folder);
    files_storage_close(&sc->storage);
    wh_wipe(&sc->key_room, sizeof sc->key_room);
    for (int64_t i = 0; i < sc->n_names; i++)
        wh_free(sc->names[i]);
    wh_free(sc->names);
    wh_free(sc->fields);
    wh_free(sc->places);
    wh_free(sc->corrections);
    wh_free(sc->lines);
    for (int i = 0; i < FILES_PARKED; i++)
        files_parked_free(&sc->parked[i]); /* leaves its stream to the others */
    files_streams_free(&sc->streams);
    files_list_free(&sc->list);
    wh_schema_release(&sc->schema);
    wh_buf_free(&sc->bounds);
    wh_buf_free(&sc->warn);
    wh_buf_free(&sc->token);
    wh_buf_free(&sc->cursor);
}

static void scan_close(void *self)
{
    files_scan_free(self);
}

/* ---- splits -----------------------------------------------------------------------------------
 */

static wh_status give(struct files_scan *sc, const struct files_token *t, struct wh_split *ret)
{
    int64_t size = sc->list.is_stdin ? -1 : sc->list.v[t->file].size;
    *ret = (struct wh_split){.est_rows = -1, .est_bytes = size};
    WH_TRY(files_token_write(t, &sc->token));
    files_label(sc, t, ret);
    if (t->end != INT64_MAX)
        ret->est_bytes = (t->end < size ? t->end : size) - t->start;
    if (sc->row_bytes && rangeable(sc, t->file))
        ret->est_rows = ret->est_bytes / sc->row_bytes;
    ret->token = (struct wh_bytes){sc->token.p, sc->token.n};
    ret->order_group = (uint64_t)t->file + 1;
    ret->order_seq = t->seq;
    return WH_OK;
}

static wh_status split_next(void *self, void *se, const struct wh_bytes *cursor,
                            struct wh_split *ret, struct wh_bytes *ret_cursor,
                            struct wh_error *reterr)
{
    struct files_scan *sc = self;
    size_t files = sc->list.is_stdin ? 1 : sc->list.n;
    uint64_t file = 0, seq = 0;
    if (cursor && cursor->n) {
        struct unpack u = unpack_of(*cursor);
        file = unpack_u64(&u);
        seq = unpack_u64(&u);
        if (u.bad)
            return wh_fail(reterr, WH_E_STATE, "E7003", "the stored position cannot be read");
    } else if (sc->md5 != FILES_MD5_OFF) { /* before anything of them moves */
        struct files_storage bare = files_storage_bare(&sc->storage);
        WH_TRY(files_verify_sums(&bare, &sc->list, sc->md5 == FILES_MD5_REQUIRE, sc->ctx, reterr));
    }
    if (file >= files)
        return WH_END;
    struct files_token t = {.file = (uint32_t)file,
                            .seq = seq,
                            .end = INT64_MAX,
                            .max_rows = sc->limit > 0 ? sc->limit : -1};
    if (rangeable(sc, (size_t)file)) {
        int64_t size = sc->list.v[file].size;
        t.start = (int64_t)seq * sc->unit_bytes;
        t.end = t.start + sc->unit_bytes;
        /* A short tail joins the last range. */
        if (size - t.end < sc->unit_bytes / 4)
            t.end = INT64_MAX;
    }
    seq++;
    if (t.end == INT64_MAX) {
        file++;
        seq = 0;
    }
    struct pack k = {&sc->cursor, WH_OK};
    wh_buf_clear(&sc->cursor);
    pack_u64(&k, file);
    pack_u64(&k, seq);
    if (k.st != WH_OK || give(sc, &t, ret) != WH_OK)
        return no_memory(reterr);
    *ret_cursor = (struct wh_bytes){sc->cursor.p, sc->cursor.n};
    return WH_OK;
}

const struct wh_source_ops files_source_ops = {
    .size = sizeof(struct wh_source_ops),
    .sc_size = sizeof(struct files_scan),
    .rd_size = sizeof(struct files_reader),
    .scan_open = scan_open,
    .split_next = split_next,
    .reader_open = files_reader_open,
    .reader_next = files_reader_next,
    .reader_cut = files_reader_cut,
    .reader_end = files_reader_end,
    .reader_chain = files_reader_chain,
    .reader_close = files_reader_close,
    .scan_close = scan_close,
    .retire = files_retire,
};
