/* SPDX-License-Identifier: Apache-2.0 */
/* The first text of files, to find out what they are. */
#include <stdio.h>
#include <string.h>

#include "scan.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a sample of a file");
}

wh_status files_sniff_stdin(struct files_scan *sc, struct wh_error *reterr)
{
    uint8_t head[4];
    size_t n;
    bool last;
    struct files_input *in;
    struct files_input_config cfg = {.ctx = sc->ctx, .peek = true};
    WH_TRY(files_input_open(&cfg, &in, reterr));
    int st = files_input_read(in, head, sizeof head, &n, &last, reterr);
    files_input_close(in);
    if (st == WH_OK && sc->compression == FILES_COMPRESSION_AUTO)
        sc->kind.codec = wh_codec_of_bytes(head, n);
    return st;
}

wh_status files_sample_read(struct files_scan *sc, size_t file, size_t want,
                            struct files_sample *ret, struct wh_error *reterr)
{
    struct files_input_config cfg;
    struct files_input *in = NULL;
    WH_TRY(files_input_of(sc, file, &sc->storage, &cfg, reterr));
    cfg.peek = true;
    *ret = (struct files_sample){.p = wh_alloc(want)};
    if (!ret->p)
        return no_memory(reterr);
    int st = files_input_open(&cfg, &in, reterr);
    while (st == WH_OK && ret->n < want && !ret->whole) {
        size_t got;
        st = files_input_read(in, ret->p + ret->n, want - ret->n, &got, &ret->whole, reterr);
        if (st == WH_OK)
            ret->n += got;
    }
    files_input_close(in);
    if (st != WH_OK)
        wh_error_where(reterr, "%s", cfg.name ? sc->list.v[file].name : "standard input");
    return st;
}

/* The sample again, as the charset that its byte order mark tells. */
static wh_status heed_mark(struct files_scan *sc, size_t file, size_t want, struct files_sample *s,
                           struct wh_error *reterr)
{
    const char *mark = sc->encoding ? NULL : files_encoding_of_mark(s->p, s->n);
    if (!mark)
        return WH_OK;
    sc->encoding = mark;
    wh_free(s->p);
    return files_sample_read(sc, file, want, s, reterr);
}

wh_status files_explain_text(const struct files_scan *sc, size_t file, const struct files_sample *s,
                             struct wh_error *reterr)
{
    static const char *const others[] = {"gb18030", "big5", "euc-jp", "shift_jis"};
    const char *name = sc->list.is_stdin ? "standard input" : sc->list.v[file].name;
    wh_error_where(reterr, "%s", name);
    enum wh_codec packed = wh_codec_of_bytes(s->p, s->n);
    if (packed != WH_CODEC_NONE) {
        wh_error_hint(reterr, "it is %s data, whatever its name says: --from compression=%s",
                      wh_codec_name(packed), wh_codec_name(packed));
        return WH_E_DATA;
    }
    if (sc->encoding)
        return WH_E_DATA;
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (files_fits_encoding(others[i], s->p, s->n)) {
            wh_error_hint(reterr, "it could be %s: --from encoding=%s", others[i], others[i]);
            return WH_E_DATA;
        }
    }
    wh_error_hint(reterr, "give the encoding, for instance --from encoding=latin1");
    return WH_E_DATA;
}

wh_status files_sample_first(struct files_scan *sc, struct files_sample *s, size_t *ret_file,
                             struct wh_error *reterr)
{
    size_t files = sc->list.is_stdin ? 1 : sc->list.n;
    for (size_t i = 0; i < files; i++) {
        *ret_file = i;
        WH_TRY(files_sample_read(sc, i, FILES_SAMPLE_BYTES, s, reterr));
        WH_TRY(heed_mark(sc, i, FILES_SAMPLE_BYTES, s, reterr));
        if (s->n && !(s->whole && s->n == 3 && memcmp(s->p, "\xef\xbb\xbf", 3) == 0))
            return WH_OK;
        s->n = 0;
        wh_free(s->p);
        s->p = NULL;
    }
    return WH_END;
}

wh_status files_nothing_to_see(struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_TYPE, "E3007", "the files are empty: columns cannot be told");
    wh_error_hint(reterr, "a file needs at least a header line, or one object");
    return st;
}

void files_note(struct wh_scan *io, const char *text)
{
    size_t n = strlen(io->note);
    if (*text && n < sizeof io->note)
        snprintf(io->note + n, sizeof io->note - n, "%s%s", n ? "; " : "", text);
}

bool files_sample_more(const struct files_scan *sc, size_t file)
{
    return files_enters_anywhere(sc, file) && sc->list.v[file].size >= 2 * FILES_SAMPLE_BYTES;
}

wh_status files_sample_piece(struct files_scan *sc, size_t file, int64_t from, uint8_t *p,
                             size_t want, size_t *ret_n, bool *ret_last, struct wh_error *reterr)
{
    struct files_input_config cfg;
    struct files_input *in = NULL;
    *ret_n = 0;
    *ret_last = false;
    WH_TRY(files_input_of(sc, file, &sc->storage, &cfg, reterr));
    cfg.offset = from;
    int st = files_input_open(&cfg, &in, reterr);
    while (st == WH_OK && *ret_n < want && !*ret_last) {
        size_t got = 0;
        st = files_input_read(in, p + *ret_n, want - *ret_n, &got, ret_last, reterr);
        *ret_n += got;
    }
    files_input_close(in);
    return st;
}

bool files_closes_with_1a(struct files_scan *sc, size_t file, const struct files_sample *s)
{
    uint8_t byte = 0;
    size_t n = 0;
    bool last;
    struct wh_error ignored;
    if (s->whole)
        return s->n && s->p[s->n - 1] == 0x1a;
    if (!files_enters_anywhere(sc, file) ||
        files_sample_piece(sc, file, sc->list.v[file].size - 1, &byte, 1, &n, &last, &ignored) !=
            WH_OK)
        return false;
    return n == 1 && byte == 0x1a;
}

/* ---- header lines ------------------------------------------------------------------------------
 */

/* A run goes on with the files of its plan as they were: one that is mended wants a new run. */
static int other_shape(int st, struct wh_error *reterr)
{
    wh_error_hint(reterr, "files of one table have one header: copy these by themselves (include, "
                          "exclude), or mend the file; a run that has begun is given up first: "
                          "wherry cancel RUN --discard, then start anew");
    return st;
}

wh_status files_map_fields(const struct files_scan *sc, size_t file,
                           const struct wh_csv_shape *shape, int32_t *fields,
                           struct wh_error *reterr)
{
    const char *name = sc->list.is_stdin ? "standard input" : sc->list.v[file].name;
    for (int64_t c = 0; c < sc->schema.n_children; c++) {
        fields[c] = sc->fields[c];
        if (!shape->has_header || fields[c] < 0)
            continue;
        fields[c] = -1;
        for (int64_t f = 0; f < shape->n_columns && fields[c] < 0; f++)
            if (!strcmp(shape->names[f], sc->names[sc->fields[c]]))
                fields[c] = (int32_t)f;
        if (fields[c] < 0)
            return other_shape(wh_fail(reterr, WH_E_TYPE, "E3005",
                                       "'%s' has no column '%s' as the others have", name,
                                       sc->names[sc->fields[c]]),
                               reterr);
    }
    if (shape->has_header && shape->n_columns != sc->n_names)
        return other_shape(wh_fail(reterr, WH_E_TYPE, "E3005",
                                   "'%s' has %lld columns, the first file %lld", name,
                                   (long long)shape->n_columns, (long long)sc->n_names),
                           reterr);
    return WH_OK;
}

/* What cannot be looked at, or holds nothing, is the reader's to judge. */
static wh_status same_header(struct files_scan *sc, size_t file, int32_t *fields,
                             struct wh_error *reterr)
{
    struct files_sample s = {0};
    struct wh_csv_shape shape = {0};
    struct wh_error ignored = {0};
    int st = files_sample_read(sc, file, FILES_HEADER_BYTES, &s, &ignored);

    if (st == WH_OK && s.n && files_look(sc, s.p, s.n, s.whole, &shape, &ignored) == WH_OK)
        st = files_map_fields(sc, file, &shape, fields, reterr);
    else
        st = WH_OK;
    wh_csv_shape_free(&shape);
    wh_free(s.p);
    return st;
}

wh_status files_same_headers(struct files_scan *sc, struct wh_error *reterr)
{
    bool csv = !files_is_json(sc->kind.format) && sc->kind.format != FILES_FORMAT_BINARY;
    /* A packed archive is unpacked from its beginning for each. */
    size_t most = sc->list.n && sc->list.v[0].member ? FILES_SAMPLE_FILES : FILES_HEADERS;
    size_t n = sc->list.n < most ? sc->list.n : most;

    if (!csv || sc->list.is_stdin || !sc->has_header || n < 2 || !sc->schema.n_children)
        return WH_OK;
    WH_CLEANUP(wh_freep)
    int32_t *fields = wh_calloc((size_t)sc->schema.n_children, sizeof *fields);

    if (!fields)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++)
        WH_TRY(same_header(sc, i, fields, reterr));
    return WH_OK;
}
