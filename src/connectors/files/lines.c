/* SPDX-License-Identifier: Apache-2.0 */
/* Which line a range begins at (`source: line`). Ranges are cut at bytes, so line ends before them
 * are counted; what is known of a file is kept, so that each range counts from the one before. */
#include <stdio.h>

#include "files.h"
#include "formats/textin.h"

enum {
    BLOCK = 256 * 1024,
    KNOWN_MOST = 65536, /* places; then ranges count from further away */
};

static void lock(struct files_scan *sc)
{
    while (atomic_flag_test_and_set(&sc->lock))
        ;
}

void files_note_line(struct files_scan *sc, uint32_t file, int64_t at, int64_t line)
{
    if (!sc->tells_lines || line <= 0)
        return;
    lock(sc);
    if (sc->n_lines < KNOWN_MOST && (sc->n_lines & (sc->n_lines - 1)) == 0) {
        struct files_known_line *more =
            wh_realloc(sc->lines, (sc->n_lines ? 2 * sc->n_lines : 1) * sizeof *more);
        if (!more) {
            atomic_flag_clear(&sc->lock);
            return; /* counted again */
        }
        sc->lines = more;
    }
    if (sc->n_lines < KNOWN_MOST)
        sc->lines[sc->n_lines++] = (struct files_known_line){file, at, line};
    atomic_flag_clear(&sc->lock);
}

bool files_line_before(struct files_scan *sc, uint32_t file, int64_t at,
                       struct files_known_line *ret)
{
    bool found = false;
    lock(sc);
    for (size_t i = 0; i < sc->n_lines; i++) {
        const struct files_known_line *k = &sc->lines[i];
        if (k->file != file || k->at > at || (found && k->at <= ret->at))
            continue;
        *ret = *k;
        found = true;
    }
    atomic_flag_clear(&sc->lock);
    return found;
}

static wh_status count(struct files_reader *rd, struct files_input *in, int64_t left, uint8_t *p,
                       int64_t *ret, struct wh_error *reterr)
{
    struct textin_lines lines = {.cr_ends = !files_is_json(rd->sc->kind.format)};
    bool last = false;
    while (left > 0 && !last) {
        size_t want = left < BLOCK ? (size_t)left : BLOCK, got;
        if (rd->ctx && rd->ctx->cancelled && rd->ctx->cancelled(rd->ctx))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
        if (atomic_load(&rd->se->interrupted))
            return WH_LOST;
        WH_TRY(files_input_read(in, p, want, &got, &last, reterr));
        textin_lines_add(&lines, p, got);
        left -= (int64_t)got;
    }
    *ret = textin_lines_end(&lines);
    return WH_OK;
}

wh_status files_count_lines(struct files_reader *rd, int64_t first_line, int64_t *ret,
                            struct wh_error *reterr)
{
    struct files_known_line from = {rd->token.file, rd->data_at, first_line};
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc(BLOCK);
    struct files_input *in = NULL;
    int64_t lines = 0;
    if (!p)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to count lines");
    wh_ignore(files_line_before(rd->sc, rd->token.file, rd->begin, &from));
    struct files_input_config cfg;
    WH_TRY(files_input_of(rd->sc, rd->token.file, rd->storage, &cfg, reterr));
    cfg.offset = from.at;
    cfg.ctx = rd->ctx;
    int st = files_input_open(&cfg, &in, reterr);
    if (st == WH_OK)
        st = count(rd, in, rd->begin - from.at, p, &lines, reterr);
    files_input_close(in);
    if (st != WH_OK)
        return st;
    *ret = from.line + lines;
    files_note_line(rd->sc, rd->token.file, rd->begin, *ret);
    return WH_OK;
}

/* ---- columns ----------------------------------------------------------------------------------
 */

/* A place in bytes is one of the file itself only if its text is the file's bytes. */
static bool plain_bytes(const struct files_scan *sc)
{
    enum wh_codec codec = sc->kind.codec;
    bool plain = !sc->encoding && (!sc->list.is_stdin || codec == WH_CODEC_NONE);
    for (size_t i = 0; plain && !sc->list.is_stdin && i < sc->list.n; i++)
        plain = files_codec_of(sc, i, &codec, NULL) == WH_OK && codec == WH_CODEC_NONE;
    return plain;
}

static wh_status add_place(struct ArrowSchema *schema, int64_t i, const char *place)
{
    const char *const meta[] = {WH_META_PLACE, place, NULL};
    const struct wh_type t = {.kind = WH_K_I64};
    char name[40];
    snprintf(name, sizeof name, "(%s)", place);
    while (wh_schema_find(schema, wh_str(name), false) >= 0 && strlen(name) + 3 < sizeof name)
        snprintf(name + strlen(name) - 1, sizeof name - strlen(name) + 1, "_)");
    return wh_schema_set(schema, i, name, &t, meta);
}

wh_status files_add_places(struct files_scan *sc, const struct wh_scan *io, struct wh_error *reterr)
{
    const char *wanted[8];
    struct ArrowSchema more = {0};
    int64_t n = 0, had = sc->schema.n_children;
    if (sc->kind.format == FILES_FORMAT_BINARY)
        return WH_OK; /* pieces of files are no records */
    for (size_t i = 0; io->places && io->places[i] && n < 8; i++)
        if (strcmp(io->places[i], "line") == 0 ||
            (strcmp(io->places[i], "offset") == 0 && plain_bytes(sc)))
            wanted[n++] = io->places[i];
    if (n == 0)
        return WH_OK;
    int st = wh_schema_init(&more, had + n);
    for (int64_t i = 0; st == WH_OK && i < had; i++)
        st = wh_schema_copy(sc->schema.children[i], more.children[i]);
    for (int64_t i = 0; st == WH_OK && i < n; i++)
        st = add_place(&more, had + i, wanted[i]);
    if (st != WH_OK) {
        wh_schema_release(&more);
        return wh_fail(reterr, st, "E8002", "no memory for a scan of files");
    }
    wh_schema_release(&sc->schema);
    sc->schema = more;
    return WH_OK;
}
