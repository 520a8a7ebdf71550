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
    struct files_input_config cfg = {
        .storage = &sc->storage, .ctx = sc->ctx, .encoding = sc->encoding, .peek = true};
    struct files_input *in = NULL;
    if (!sc->list.is_stdin)
        cfg.name = sc->list.v[file].name;
    WH_TRY(files_codec_of(sc, file, &cfg.codec, reterr));
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
        wh_error_where(reterr, "%s", cfg.name ? cfg.name : "standard input");
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
    enum wh_codec codec;
    return !sc->list.is_stdin && !sc->encoding && files_codec_of(sc, file, &codec, NULL) == WH_OK &&
           codec == WH_CODEC_NONE && sc->list.v[file].size >= 2 * FILES_SAMPLE_BYTES;
}

wh_status files_sample_piece(struct files_scan *sc, size_t file, int64_t from, uint8_t *p,
                             size_t want, size_t *ret_n, bool *ret_last, struct wh_error *reterr)
{
    struct files_input_config cfg = {
        .storage = &sc->storage, .name = sc->list.v[file].name, .offset = from};
    struct files_input *in = NULL;
    *ret_n = 0;
    *ret_last = false;
    int st = files_input_open(&cfg, &in, reterr);
    while (st == WH_OK && *ret_n < want && !*ret_last) {
        size_t got = 0;
        st = files_input_read(in, p + *ret_n, want - *ret_n, &got, ret_last, reterr);
        *ret_n += got;
    }
    files_input_close(in);
    return st;
}
