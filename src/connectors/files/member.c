/* SPDX-License-Identifier: Apache-2.0 */
/* The content of one member of an archive, as if it were a file of its own. Its size, and its
 * checksum where the archive has one, are checked at its end. */
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "files.h"
#include "formats/archive/archive.h"

enum {
    RAW = 256 * 1024,
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read an archive");
}

/* ---- a packed archive -------------------------------------------------------------------------
 */

struct files_stream {
    struct files_storage storage; /* its own: it outlives its reader */
    char *archive;
    void *in;
    bool opened, raw_end;
    struct wh_decoder *decoder;
    uint8_t *raw;
    size_t raw_n, raw_at;
    int64_t offset, at; /* of the next raw byte; of the next byte of text */
};

void files_stream_close(struct files_stream *s)
{
    if (!s)
        return;
    if (s->opened)
        s->storage.ops->read_close(s->in);
    if (s->storage.ops)
        files_storage_close(&s->storage);
    wh_decoder_free(s->decoder);
    wh_free(s->archive);
    wh_free(s->in);
    wh_free(s->raw);
    wh_free(s);
}

wh_status files_stream_open(const struct files_storage *storage, const char *root,
                            const char *archive, enum wh_codec codec, struct files_stream **ret,
                            struct wh_error *reterr)
{
    struct files_stream *s = wh_calloc(1, sizeof *s);
    if (!s)
        return no_memory(reterr);
    s->archive = wh_strdup(archive);
    s->raw = wh_alloc(RAW);
    s->in = wh_calloc(1, storage->ops->in_size);
    int st = s->archive && s->raw && s->in ? WH_OK : no_memory(reterr);
    if (st == WH_OK)
        st = files_storage_again(&s->storage, storage, root, reterr);
    if (st == WH_OK) {
        s->opened = true;
        st = storage->ops->read_open(s->in, s->storage.st, archive, reterr);
    }
    if (st == WH_OK)
        st = wh_decoder_new(codec, &s->decoder, reterr);
    if (st != WH_OK) {
        files_stream_close(s);
        return st;
    }
    *ret = s;
    return WH_OK;
}

wh_status files_stream_read(struct files_stream *s, void *buf, size_t n, size_t *ret_n,
                            struct wh_error *reterr)
{
    int st = WH_OK;
    *ret_n = 0;
    while (st == WH_OK && !*ret_n) {
        if (s->raw_at == s->raw_n && !s->raw_end) {
            s->raw_at = s->raw_n = 0;
            WH_TRY(s->storage.ops->pread(s->in, s->raw, RAW, s->offset, &s->raw_n, reterr));
            s->offset += (int64_t)s->raw_n;
            s->raw_end = !s->raw_n;
        }
        size_t took = s->raw_n - s->raw_at;
        st = wh_decode(s->decoder, s->raw + s->raw_at, &took, s->raw_end, buf, n, ret_n, reterr);
        s->raw_at += took;
        s->at += (int64_t)*ret_n;
    }
    return st == WH_END ? WH_OK : st;
}

static void lock(struct files_streams *all)
{
    while (atomic_flag_test_and_set(&all->lock))
        ;
}

void files_streams_free(struct files_streams *all)
{
    for (size_t i = 0; i < sizeof all->v / sizeof *all->v; i++) {
        files_stream_close(all->v[i]);
        all->v[i] = NULL;
    }
}

static void leave(struct files_streams *all, struct files_stream *s)
{
    lock(all);
    struct files_stream **place = &all->v[all->next++ % (sizeof all->v / sizeof *all->v)];
    struct files_stream *old = *place;
    *place = s;
    atomic_flag_clear(&all->lock);
    files_stream_close(old);
}

/* The one that stands nearest before a place. */
static struct files_stream *take(struct files_streams *all, const char *archive, int64_t at)
{
    struct files_stream **best = NULL, *s = NULL;
    lock(all);
    for (size_t i = 0; i < sizeof all->v / sizeof *all->v; i++) {
        struct files_stream **p = &all->v[i];
        if (*p && (*p)->at <= at && !strcmp((*p)->archive, archive) &&
            (!best || (*p)->at > (*best)->at))
            best = p;
    }
    if (best) {
        s = *best;
        *best = NULL;
    }
    atomic_flag_clear(&all->lock);
    return s;
}

/* ---- one member -------------------------------------------------------------------------------
 */

struct files_content {
    const struct files_storage *storage;
    const struct files_member *m;
    int64_t size;
    void *in;
    bool opened, failed, ended;
    int64_t begin, took, given; /* where the content begins; bytes of it, of the text */
    uint32_t crc;
    uint8_t *raw;
    z_stream z;
    bool made; /* of the library */
    struct files_streams *streams;
    struct files_stream *stream;
};

static wh_status damaged(const struct files_content *c, const char *why, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_DATA, "E4005",
                   "a member of the archive, at byte %lld, is damaged: %s", (long long)c->m->offset,
                   why);
}

static wh_status read_at(void *arg, int64_t offset, void *p, size_t n, struct wh_error *reterr)
{
    const struct files_content *c = arg;
    size_t got = 1, all = 0;
    while (all < n && got) {
        WH_TRY(c->storage->ops->pread(c->in, (uint8_t *)p + all, n - all, offset + (int64_t)all,
                                      &got, reterr));
        all += got;
    }
    return all == n ? WH_OK : wh_fail(reterr, WH_E_DATA, "E4007", "the archive has become shorter");
}

/* To where the member begins; an archive without a stream of its own is begun again. */
static wh_status open_stream(struct files_content *c, const struct files_input_config *cfg,
                             struct wh_error *reterr)
{
    WH_CLEANUP(wh_freep) uint8_t *waste = wh_alloc(RAW);
    if (!waste)
        return no_memory(reterr);
    c->stream = take(c->streams, c->m->archive, c->m->offset);
    if (!c->stream)
        WH_TRY(files_stream_open(c->storage, cfg->root, c->m->archive, c->m->codec, &c->stream,
                                 reterr));
    while (c->stream->at < c->m->offset) {
        int64_t left = c->m->offset - c->stream->at;
        size_t got;
        if (cfg->ctx && cfg->ctx->cancelled && cfg->ctx->cancelled(cfg->ctx))
            return wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
        WH_TRY(files_stream_read(c->stream, waste, left < RAW ? (size_t)left : RAW, &got, reterr));
        if (!got)
            return wh_fail(reterr, WH_E_DATA, "E4007", "the archive has become shorter");
    }
    return WH_OK;
}

static wh_status open_in(struct files_content *c, struct wh_error *reterr)
{
    const struct wh_storage_ops *ops = c->storage->ops;
    c->in = wh_calloc(1, ops->in_size);
    if (!c->in)
        return no_memory(reterr);
    c->opened = true;
    WH_TRY(ops->read_open(c->in, c->storage->st, c->m->archive, reterr));
    c->begin = c->m->offset;
    if (c->m->how == FILES_HOW_RANGE)
        return WH_OK;
    bool deflated = c->m->how == FILES_HOW_DEFLATED;
    WH_TRY(wh_zip_content(read_at, c, c->m->offset, deflated, &c->begin, reterr));
    if (!deflated)
        return WH_OK;
    c->raw = wh_alloc(RAW);
    c->made = c->raw && inflateInit2(&c->z, -MAX_WBITS) == Z_OK;
    return c->made ? WH_OK : no_memory(reterr);
}

wh_status files_content_open(const struct files_input_config *cfg, struct files_content **ret,
                             struct wh_error *reterr)
{
    struct files_content *c = wh_calloc(1, sizeof *c);
    if (!c)
        return no_memory(reterr);
    c->storage = cfg->storage;
    c->m = cfg->entry->member;
    c->size = cfg->entry->size;
    c->streams = cfg->streams;
    int st = c->m->how == FILES_HOW_STREAM ? open_stream(c, cfg, reterr) : open_in(c, reterr);
    if (st != WH_OK) {
        c->failed = true;
        files_content_close(c);
        return st;
    }
    *ret = c;
    return WH_OK;
}

void files_content_close(struct files_content *c)
{
    if (!c)
        return;
    if (c->stream && !c->failed)
        leave(c->streams, c->stream);
    else
        files_stream_close(c->stream);
    if (c->opened)
        c->storage->ops->read_close(c->in);
    if (c->made)
        inflateEnd(&c->z);
    wh_free(c->in);
    wh_free(c->raw);
    wh_free(c);
}

static wh_status inflate_some(struct files_content *c, void *buf, size_t n, size_t *ret_n,
                              struct wh_error *reterr)
{
    int code = Z_OK;
    *ret_n = 0;
    while (!*ret_n && !c->ended) {
        int64_t left = c->m->packed - c->took;
        if (!c->z.avail_in && left) {
            size_t want = left < RAW ? (size_t)left : RAW;
            WH_TRY(read_at(c, c->begin + c->took, c->raw, want, reterr));
            c->z.next_in = c->raw;
            c->z.avail_in = (unsigned)want;
            c->took += (int64_t)want;
        }
        c->z.next_out = buf;
        c->z.avail_out = (unsigned)n;
        code = inflate(&c->z, Z_NO_FLUSH);
        *ret_n = n - c->z.avail_out;
        if (code == Z_MEM_ERROR)
            return no_memory(reterr);
        if (code != Z_OK && code != Z_STREAM_END && code != Z_BUF_ERROR)
            return damaged(c, "its blocks are wrong", reterr);
        c->ended = code == Z_STREAM_END;
        if (code == Z_BUF_ERROR && !*ret_n)
            return damaged(c, "its blocks end too early", reterr);
    }
    if (c->ended && (c->z.avail_in || c->took < c->m->packed))
        return damaged(c, "its size does not fit", reterr);
    return WH_OK;
}

static wh_status some(struct files_content *c, void *buf, size_t n, size_t *ret_n,
                      struct wh_error *reterr)
{
    int64_t left = c->size - c->given;
    if (c->m->how == FILES_HOW_DEFLATED)
        return inflate_some(c, buf, n, ret_n, reterr);
    n = left < (int64_t)n ? (size_t)left : n;
    *ret_n = 0;
    if (n && c->stream)
        WH_TRY(files_stream_read(c->stream, buf, n, ret_n, reterr));
    else if (n)
        WH_TRY(c->storage->ops->pread(c->in, buf, n, c->begin + c->given, ret_n, reterr));
    if (n && !*ret_n)
        return wh_fail(reterr, WH_E_DATA, "E4007", "the archive has become shorter");
    c->ended = (int64_t)*ret_n == left;
    return WH_OK;
}

static wh_status range(struct files_content *c, void *buf, size_t n, int64_t offset, size_t *ret_n,
                       struct wh_error *reterr)
{
    int64_t left = offset < c->size ? c->size - offset : 0;
    n = left < (int64_t)n ? (size_t)left : n;
    *ret_n = 0;
    if (n)
        WH_TRY(c->storage->ops->pread(c->in, buf, n, c->begin + offset, ret_n, reterr));
    return !n || *ret_n ? WH_OK
                        : wh_fail(reterr, WH_E_DATA, "E4007", "the archive has become shorter");
}

wh_status files_content_read(struct files_content *c, void *buf, size_t n, int64_t offset,
                             size_t *ret_n, struct wh_error *reterr)
{
    *ret_n = 0;
    if (c->m->how == FILES_HOW_RANGE)
        return range(c, buf, n, offset, ret_n, reterr);
    if (c->ended || !n)
        return WH_OK;
    int st = some(c, buf, n, ret_n, reterr);
    if (st == WH_OK) {
        c->given += (int64_t)*ret_n;
        c->crc = libdeflate_crc32(c->crc, buf, *ret_n);
        if (c->given > c->size || (c->ended && c->given < c->size))
            st = damaged(c, "its size does not fit", reterr);
        else if (c->ended && c->m->has_crc && c->crc != c->m->crc)
            st = damaged(c, "its checksum does not fit", reterr);
    }
    c->failed |= st != WH_OK;
    return st;
}
