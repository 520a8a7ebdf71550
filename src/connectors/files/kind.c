/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of a scan hold, how they are packed, and so how they can be entered. */
#include <string.h>

#include "scan.h"

/* A member's own name tells how it is packed within its archive. */
static wh_status kind_of(const struct files_scan *sc, size_t file, int format,
                         struct files_kind *ret, struct wh_error *reterr)
{
    const struct files_entry *e = &sc->list.v[file];
    struct wh_str name = files_unsealed(wh_str(e->name), sc->key && !e->member);
    if (e->member && e->member->lone) {
        name = files_archive_stem(files_unsealed(wh_str(e->member->archive), sc->key));
        WH_TRY(files_kind_of(name, format, FILES_COMPRESSION_AUTO, ret, reterr));
        ret->codec = WH_CODEC_NONE;
        return WH_OK;
    }
    return files_kind_of(name, format, e->member ? FILES_COMPRESSION_AUTO : sc->compression, ret,
                         reterr);
}

wh_status files_codec_of(const struct files_scan *sc, size_t file, enum wh_codec *ret,
                         struct wh_error *reterr)
{
    struct files_kind kind;
    if (sc->list.is_stdin) {
        *ret = sc->kind.codec;
        return WH_OK;
    }
    WH_TRY(kind_of(sc, file, sc->kind.format, &kind, reterr));
    *ret = kind.codec;
    return WH_OK;
}

wh_status files_input_of(struct files_scan *sc, size_t file, const struct files_storage *storage,
                         struct files_input_config *ret, struct wh_error *reterr)
{
    *ret = (struct files_input_config){
        .storage = storage, .encoding = sc->encoding, .ctx = sc->ctx, .streams = &sc->streams};
    if (!sc->list.is_stdin) {
        const struct files_entry *e = &sc->list.v[file];
        ret->name = files_stored(e);
        ret->entry = e->member ? e : NULL;
        ret->root = sc->list.root;
    }
    return files_codec_of(sc, file, &ret->codec, reterr);
}

bool files_enters_anywhere(const struct files_scan *sc, size_t file)
{
    enum wh_codec codec;
    struct wh_error ignored;
    if (sc->list.is_stdin || sc->encoding)
        return false;
    const struct files_member *m = sc->list.v[file].member;
    return files_codec_of(sc, file, &codec, &ignored) == WH_OK && codec == WH_CODEC_NONE &&
           (!m || m->how == FILES_HOW_RANGE);
}

wh_status files_check_kinds(struct files_scan *sc, const struct files_from *o,
                            struct wh_error *reterr)
{
    sc->compression = o ? o->compression : FILES_COMPRESSION_AUTO;
    sc->kind.format = o ? (enum files_format)o->format : FILES_FORMAT_AUTO;
    if (sc->list.as_is && sc->kind.format == FILES_FORMAT_AUTO)
        sc->kind.format = FILES_FORMAT_BINARY;
    if (sc->list.is_stdin) {
        if (sc->kind.format == FILES_FORMAT_BINARY)
            return wh_fail(reterr, WH_E_USAGE, "E1060",
                           "format=binary copies files from a folder; standard input has no name");
        if (sc->kind.format == FILES_FORMAT_AUTO)
            sc->kind.format = FILES_FORMAT_CSV;
        if (sc->compression == FILES_COMPRESSION_TAR) {
            int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                             "standard input cannot be read as an archive");
            wh_error_hint(reterr, "tar -xOf - a.csv | wherry copy - ...");
            return st;
        }
        if (sc->compression != FILES_COMPRESSION_AUTO)
            sc->kind.codec = (enum wh_codec)sc->compression;
        return files_sniff_stdin(sc, reterr);
    }
    enum files_format asked = sc->kind.format;
    for (size_t i = 0; i < sc->list.n; i++) {
        struct files_kind kind;
        WH_TRY(kind_of(sc, i, asked, &kind, reterr));
        if (i && kind.format != sc->kind.format) {
            int st = wh_fail(reterr, WH_E_USAGE, "E1024",
                             "'%s' and '%s' are of different formats: one copy reads one format",
                             sc->list.v[0].name, sc->list.v[i].name);
            wh_error_hint(reterr, "name one kind ('%s/*.csv'), or set format", sc->list.root);
            return st;
        }
        sc->kind = kind;
    }
    return WH_OK;
}
