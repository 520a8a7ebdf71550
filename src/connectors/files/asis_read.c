/* SPDX-License-Identifier: Apache-2.0 */
/* Files as they are (format=binary): each piece of a file is a row. The columns say where it
 * belongs (path below the folder that was asked for, offset, size of the file) and what the file is
 * like (rights, time of the last change). An empty file is one empty piece. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/builder.h"
#include "scan.h"

enum field {
    PATH,
    OFFSET,
    DATA,
    SIZE,
    MODE,
    MTIME,
    FIELDS
};

static const char *const NAMES[FIELDS] = {"path", "offset", "data", "size", "mode", "mtime"};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read files");
}

static const char *path_of(const struct files_entry *e)
{
    return e->shown + e->said_n;
}

/* ---- what is found ----------------------------------------------------------------------------
 */

static int by_path(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static wh_status met(const char *path, const char *what, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E1028", "'%s' %s", path, what);
    wh_error_hint(reterr, "copy the folders one by one, each into a folder of its own");
    return st;
}

/* Files of several folders may not meet under one path, nor one lie in another. */
static wh_status check_paths(const struct files_scan *sc, struct wh_error *reterr)
{
    size_t n = sc->list.n;
    WH_CLEANUP(wh_freep) const char **v = wh_calloc(n + 1, sizeof *v);
    WH_CLEANUP(wh_buf_free) struct wh_buf above = WH_BUF(1 << 16);
    if (!v)
        return no_memory(reterr);
    for (size_t i = 0; i < n; i++) {
        v[i] = path_of(&sc->list.v[i]);
        if (wh_utf8_valid(v[i], strlen(v[i])))
            continue;
        int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E4006", "the name of a file is not UTF-8: '%s'",
                         sc->list.v[i].shown);
        wh_error_hint(reterr, "rename it, or leave it out (--from exclude=...)");
        return st;
    }
    qsort(v, n, sizeof *v, by_path);
    for (size_t i = 0; i < n; i++) {
        if (i && !strcmp(v[i - 1], v[i]))
            return met(v[i], "is the path of two of the files", reterr);
        for (const char *p = strchr(v[i], '/'); p; p = strchr(p + 1, '/')) {
            wh_buf_clear(&above);
            if (wh_buf_add(&above, v[i], (size_t)(p - v[i])) != WH_OK)
                return no_memory(reterr);
            const char *key = above.p;
            if (bsearch(&key, v, n, sizeof *v, by_path))
                return met(key, "is the path of a file, and a folder of others", reterr);
        }
    }
    return WH_OK;
}

wh_status files_discover_as_is(struct files_scan *sc, struct wh_scan *io,
                               struct ArrowSchema *ret_all, struct wh_error *reterr)
{
    static const struct wh_type types[FIELDS] = {
        [PATH] = {.kind = WH_K_UTF8},
        [OFFSET] = {.kind = WH_K_I64},
        [DATA] = {.kind = WH_K_BINARY},
        [SIZE] = {.kind = WH_K_I64},
        [MODE] = {.kind = WH_K_I32, .nullable = true},
        [MTIME] = {.kind = WH_K_TIMESTAMP, .unit = WH_MICRO, .zoned = true, .nullable = true},
    };
    static const char *const meta[] = {WH_META_AS_IS, "1", NULL};
    WH_TRY(files_check_as_is_from(io->opts, reterr));
    if (sc->limit > 0)
        return wh_fail(reterr, WH_E_USAGE, "E1007",
                       "limit is for rows; format=binary copies whole files");
    WH_TRY(check_paths(sc, reterr));
    /* Ranges begin where pieces begin. */
    sc->unit_bytes = (sc->unit_bytes + FILES_PIECE - 1) / FILES_PIECE * FILES_PIECE;
    sc->names = wh_calloc(FIELDS, sizeof *sc->names);
    if (!sc->names)
        return no_memory(reterr);
    for (; sc->n_names < FIELDS; sc->n_names++)
        if (!(sc->names[sc->n_names] = wh_strdup(NAMES[sc->n_names])))
            return no_memory(reterr);
    sc->n_fields = FIELDS;
    sc->dialect = wh_csv_dialect_default(); /* not used, but frozen */
    WH_TRY(wh_schema_init(ret_all, FIELDS));
    for (int64_t i = 0; i < FIELDS; i++)
        WH_TRY(wh_schema_set(ret_all, i, NAMES[i], &types[i], i == DATA ? meta : NULL));
    char text[80];
    snprintf(text, sizeof text, "%zu files, as they are", sc->list.n);
    files_note(io, text);
    return WH_OK;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

struct files_as_is {
    struct wh_builder *builder;
    void *in; /* storage's */
    bool opened;
    uint8_t *piece;
    int64_t at, end, rows, size, mtime_us;
    uint32_t mode;
};

wh_status files_as_is_open(struct files_reader *rd, struct wh_error *reterr)
{
    const struct files_entry *e = &rd->sc->list.v[rd->token.file];
    const struct wh_storage_ops *ops = rd->storage->ops;
    struct files_as_is *r = rd->as_is = wh_calloc(1, sizeof *r);
    struct wh_file_info info;
    if (!r || !(r->piece = wh_alloc(FILES_PIECE)) || !(r->in = wh_calloc(1, ops->in_size)))
        return no_memory(reterr);
    WH_TRY(ops->stat(rd->storage->st, e->name, &info, reterr));
    r->size = e->size;
    r->mode = info.mode;
    r->mtime_us = info.mtime_us;
    r->at = rd->begin = rd->token.start;
    r->end = rd->token.end < e->size ? rd->token.end : e->size;
    rd->proven = true;
    r->opened = true;
    WH_TRY(ops->read_open(r->in, rd->storage->st, e->name, reterr));
    return wh_builder_new(&rd->sc->schema, &r->builder, reterr);
}

void files_as_is_close(struct files_reader *rd)
{
    struct files_as_is *r = rd->as_is;
    if (!r)
        return;
    if (r->opened)
        rd->storage->ops->read_close(r->in);
    wh_builder_free(r->builder);
    wh_free(r->in);
    wh_free(r->piece);
    wh_free(r);
    rd->as_is = NULL;
}

bool files_as_is_place(const struct files_reader *rd, int64_t *ret_at, int64_t *ret_rows)
{
    *ret_at = rd->as_is->at;
    *ret_rows = rd->as_is->rows;
    return rd->as_is->at < rd->as_is->end || !rd->as_is->rows;
}

static wh_status put(struct files_reader *rd, int32_t field, struct wh_column *c, size_t n)
{
    const struct files_as_is *r = rd->as_is;
    const char *path = path_of(&rd->sc->list.v[rd->token.file]);
    switch (field) {
    case PATH:
        return wh_put_bytes(c, path, strlen(path));
    case OFFSET:
        return wh_put_i64(c, r->at);
    case DATA:
        return wh_put_bytes(c, r->piece, n);
    case SIZE:
        return wh_put_i64(c, r->size);
    case MODE:
        return r->mode ? wh_put_i32(c, (int32_t)r->mode) : wh_put_null(c);
    default:
        return r->mtime_us ? wh_put_i64(c, r->mtime_us) : wh_put_null(c);
    }
}

wh_status files_as_is_next(struct files_reader *rd, struct wh_batch *ret, struct wh_error *reterr)
{
    struct files_as_is *r = rd->as_is;
    const struct files_scan *sc = rd->sc;
    size_t want, n = 0, got = 1;
    if (atomic_load(&rd->se->interrupted))
        return WH_LOST;
    if (rd->ctx && rd->ctx->cancelled && rd->ctx->cancelled(rd->ctx))
        return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    if (r->at >= r->end && (r->size || r->rows))
        return WH_END;
    want = (size_t)(FILES_PIECE - r->at % FILES_PIECE);
    want = r->end - r->at < (int64_t)want ? (size_t)(r->end - r->at) : want;
    for (; n < want && got; n += got)
        WH_TRY(rd->storage->ops->pread(r->in, r->piece + n, want - n, r->at + (int64_t)n, &got,
                                       reterr));
    if (n < want)
        return wh_fail(reterr, WH_E_DATA, "E4007",
                       "'%s' has become shorter: byte %lld is not there",
                       sc->list.v[rd->token.file].name, (long long)(r->at + (int64_t)n));
    for (int64_t c = 0; c < sc->schema.n_children; c++)
        if (put(rd, sc->fields[c], wh_builder_column(r->builder, c), n) != WH_OK)
            return no_memory(reterr);
    if (wh_builder_finish(r->builder, ret) != WH_OK)
        return no_memory(reterr);
    ret->source_bytes = (int64_t)n;
    ret->first = r->rows++;
    r->at += (int64_t)n;
    return WH_OK;
}
