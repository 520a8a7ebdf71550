/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted files, as a storage. No byte is given out before the tag of its segment was found to
 * fit; the last segment is looked at when a file is opened, so that one that was cut off is refused
 * before anything of it is read. */
#include <stdio.h>
#include <string.h>

#include "sealed.h"

struct sealed {
    const struct wh_storage_ops *under;
    void *st;
    const struct wh_seal_key *key;
};

struct sealed_in {
    const struct sealed *sealed;
    void *in;
    bool opened;
    struct wh_seal *seal;
    int64_t stored, segments;
    uint8_t *buf;    /* of one segment: */
    int64_t segment; /* its number; -1 = none */
    size_t n;        /* bytes of its text */
    char name[256];
};

struct sealed_out {
    const struct sealed *sealed;
    void *out;
    struct wh_seal *seal;
    uint8_t *buf; /* text of the open segment */
    size_t n;
    int64_t segment;
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for an encrypted file");
}

/* ---- the storage ------------------------------------------------------------------------------
 */

static wh_status sealed_open(void *st, const void *opts, struct wh_error *reterr)
{
    struct sealed *s = st;
    const struct files_sealed_options *o = opts;
    s->under = o->under;
    s->key = o->key;
    s->st = wh_calloc(1, o->under->st_size);
    return s->st ? o->under->open(s->st, &o->where, reterr) : no_memory(reterr);
}

static void sealed_close(void *st)
{
    struct sealed *s = st;
    if (s->st)
        s->under->close(s->st);
    wh_free(s->st);
    s->st = NULL;
}

void files_sealed_under(void *st, const struct wh_storage_ops **ret_ops, void **ret_st)
{
    struct sealed *s = st;
    *ret_ops = s->under;
    *ret_st = s->st;
}

struct listing {
    wh_list_fn each;
    void *arg;
};

static wh_status list_one(void *arg, const struct wh_file_info *f)
{
    const struct listing *l = arg;
    struct wh_file_info info = *f;
    if (!info.is_folder && info.size >= 0)
        info.size = wh_seal_text(info.size);
    return l->each(l->arg, &info);
}

static wh_status sealed_list(void *st, const char *prefix, bool recursive, wh_list_fn each,
                             void *arg, struct wh_error *reterr)
{
    struct sealed *s = st;
    struct listing l = {each, arg};
    return s->under->list(s->st, prefix, recursive, list_one, &l, reterr);
}

static wh_status sealed_stat(void *st, const char *name, struct wh_file_info *ret,
                             struct wh_error *reterr)
{
    struct sealed *s = st;
    WH_TRY(s->under->stat(s->st, name, ret, reterr));
    if (!ret->is_folder && ret->size >= 0)
        ret->size = wh_seal_text(ret->size);
    return WH_OK;
}

/* ---- reading ----------------------------------------------------------------------------------
 */

/* n bytes of the file, or WH_E_DATA without words if it is shorter. */
static wh_status all_of(struct sealed_in *f, uint8_t *p, size_t n, int64_t offset,
                        struct wh_error *reterr)
{
    size_t got = 0, k = 1;
    for (; got < n && k; got += k)
        WH_TRY(f->sealed->under->pread(f->in, p + got, n - got, offset + (int64_t)got, &k, reterr));
    return got == n ? WH_OK : WH_E_DATA;
}

/* The text of a segment into buf. WH_E_DATA without words: its tag does not fit. */
static wh_status load(struct sealed_in *f, int64_t segment, struct wh_error *reterr)
{
    int64_t begin = segment * WH_SEAL_SEGMENT, end = begin + WH_SEAL_SEGMENT;
    bool last = segment == f->segments - 1;
    begin += segment ? 0 : WH_SEAL_HEADER;
    end = end < f->stored ? end : f->stored;
    size_t n = (size_t)(end - begin);
    f->segment = -1;
    WH_TRY(all_of(f, f->buf, n, begin, reterr));
    WH_TRY(wh_seal_open(f->seal, segment, last, f->buf, n, reterr));
    f->segment = segment;
    f->n = n - WH_SEAL_TAG;
    return WH_OK;
}

static wh_status refuse(const struct sealed_in *f, const char *why, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_DATA, "E4022", "'%s' cannot be decrypted: %s", f->name, why);
    wh_error_hint(reterr, "nothing of it was read; 'wherry explain E4022' tells what to look at");
    return st;
}

/* The last segment tells that the file is whole; where it does not, the first one tells why. */
static wh_status look(struct sealed_in *f, struct wh_error *reterr)
{
    uint8_t header[WH_SEAL_HEADER];
    struct wh_file_info info;
    const struct sealed *s = f->sealed;
    WH_TRY(s->under->stat(s->st, f->name, &info, reterr));
    f->stored = info.size;
    f->segments = wh_seal_segments(info.size);
    if (!f->segments)
        return refuse(f, "it is too short, or was cut off", reterr);
    int st = all_of(f, header, sizeof header, 0, reterr);
    if (st == WH_OK)
        st = wh_seal_new(s->key, header, &f->seal, reterr);
    if (st == WH_E_DATA)
        return refuse(f, "it does not begin as files that are encrypted so", reterr);
    WH_TRY(st);
    st = load(f, f->segments - 1, reterr);
    if (st != WH_E_DATA)
        return st;
    st = f->segments > 1 ? load(f, 0, reterr) : WH_E_DATA;
    if (st == WH_E_DATA)
        return refuse(f, "the key does not fit, or it was changed or cut off", reterr);
    WH_TRY(st);
    return refuse(f, "its end was changed or cut off", reterr);
}

static wh_status sealed_read_open(void *in, void *st, const char *name, struct wh_error *reterr)
{
    struct sealed_in *f = in;
    const struct sealed *s = st;
    f->sealed = s;
    f->segment = -1;
    snprintf(f->name, sizeof f->name, "%s", name);
    f->in = wh_calloc(1, s->under->in_size);
    f->buf = wh_alloc(WH_SEAL_SEGMENT);
    if (!f->in || !f->buf || strlen(name) >= sizeof f->name)
        return no_memory(reterr);
    f->opened = true;
    WH_TRY(s->under->read_open(f->in, s->st, name, reterr));
    return look(f, reterr);
}

static wh_status sealed_pread(void *in, void *buf, size_t n, int64_t offset, size_t *ret_n,
                              struct wh_error *reterr)
{
    struct sealed_in *f = in;
    int64_t segment = wh_seal_segment_of(offset);
    *ret_n = 0;
    if (segment >= f->segments)
        return WH_OK;
    if (segment != f->segment) {
        int st = load(f, segment, reterr);
        if (st == WH_E_DATA) {
            char why[96];
            snprintf(why, sizeof why, "it was changed, between its bytes %lld and %lld",
                     (long long)(segment * WH_SEAL_SEGMENT),
                     (long long)((segment + 1) * WH_SEAL_SEGMENT));
            return refuse(f, why, reterr);
        }
        WH_TRY(st);
    }
    size_t at = (size_t)(offset - wh_seal_begin(segment));
    if (at >= f->n)
        return WH_OK;
    *ret_n = f->n - at < n ? f->n - at : n;
    memcpy(buf, f->buf + at, *ret_n);
    return WH_OK;
}

static void sealed_forget(void *in)
{
    struct sealed_in *f = in;
    if (f->opened && f->sealed->under->forget)
        f->sealed->under->forget(f->in);
}

static void sealed_read_close(void *in)
{
    struct sealed_in *f = in;
    if (f->opened)
        f->sealed->under->read_close(f->in);
    if (f->buf)
        wh_wipe(f->buf, f->segment >= 0 ? f->n : 0);
    wh_seal_free(f->seal);
    wh_free(f->in);
    wh_free(f->buf);
    *f = (struct sealed_in){.segment = -1};
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static wh_status sealed_put_open(void *out, void *st, const char *temporary,
                                 struct wh_error *reterr)
{
    struct sealed_out *f = out;
    const struct sealed *s = st;
    f->sealed = s;
    f->buf = wh_alloc(WH_SEAL_SEGMENT);
    f->out = wh_calloc(1, s->under->out_size);
    if (!f->buf || !f->out)
        return no_memory(reterr);
    WH_TRY(wh_seal_new(s->key, NULL, &f->seal, reterr));
    WH_TRY(s->under->put_open(f->out, s->st, temporary, reterr));
    return s->under->put(f->out, wh_seal_header(f->seal), WH_SEAL_HEADER, reterr);
}

static wh_status flush(struct sealed_out *f, bool last, struct wh_error *reterr)
{
    WH_TRY(wh_seal_close(f->seal, f->segment, last, f->buf, f->n, reterr));
    WH_TRY(f->sealed->under->put(f->out, f->buf, f->n + WH_SEAL_TAG, reterr));
    f->segment++;
    f->n = 0;
    return WH_OK;
}

/* A full segment waits for the byte behind it: the last one is told from the others. */
static wh_status sealed_put(void *out, const void *p, size_t n, struct wh_error *reterr)
{
    struct sealed_out *f = out;
    const uint8_t *from = p;
    while (n) {
        size_t room = wh_seal_room(f->segment) - f->n, k = n < room ? n : room;
        if (!room) {
            WH_TRY(flush(f, false, reterr));
            continue;
        }
        memcpy(f->buf + f->n, from, k);
        f->n += k;
        from += k;
        n -= k;
    }
    return WH_OK;
}

static wh_status sealed_put_finish(void *out, struct wh_error *reterr)
{
    struct sealed_out *f = out;
    WH_TRY(flush(f, true, reterr));
    return f->sealed->under->put_finish(f->out, reterr);
}

static wh_status sealed_put_keep(void *out, struct wh_error *reterr)
{
    struct sealed_out *f = out;
    const struct wh_storage_ops *under = f->sealed->under;
    WH_TRY(flush(f, true, reterr));
    return (under->put_keep ? under->put_keep : under->put_finish)(f->out, reterr);
}

static void sealed_put_close(void *out)
{
    struct sealed_out *f = out;
    if (f->out)
        f->sealed->under->put_close(f->out);
    if (f->buf)
        wh_wipe(f->buf, f->n);
    wh_seal_free(f->seal);
    wh_free(f->out);
    wh_free(f->buf);
    *f = (struct sealed_out){0};
}

/* ---- what is the other one's ------------------------------------------------------------------
 */

static wh_status sealed_publish(void *st, const char *temporary, const char *name, bool exclusive,
                                struct wh_error *reterr)
{
    struct sealed *s = st;
    return s->under->publish(s->st, temporary, name, exclusive, reterr);
}

static wh_status sealed_remove(void *st, const char *name, struct wh_error *reterr)
{
    struct sealed *s = st;
    return s->under->remove(s->st, name, reterr);
}

static wh_status sealed_make_folder(void *st, const char *name, struct wh_error *reterr)
{
    struct sealed *s = st;
    return s->under->make_folder(s->st, name, reterr);
}

static wh_status sealed_remove_folder(void *st, const char *name, struct wh_error *reterr)
{
    struct sealed *s = st;
    return s->under->remove_folder(s->st, name, reterr);
}

static wh_status sealed_attributes(void *st, const char *name, uint32_t mode, int64_t mtime_us,
                                   struct wh_error *reterr)
{
    struct sealed *s = st;
    return s->under->attributes ? s->under->attributes(s->st, name, mode, mtime_us, reterr) : WH_OK;
}

const struct wh_storage_ops files_sealed_storage = {
    .size = sizeof(struct wh_storage_ops),
    .flags = WH_STORE_RENAME_ATOMIC | WH_STORE_EXCLUSIVE | WH_STORE_DURABLE | WH_STORE_PREAD,
    .st_size = sizeof(struct sealed),
    .in_size = sizeof(struct sealed_in),
    .out_size = sizeof(struct sealed_out),
    .open = sealed_open,
    .close = sealed_close,
    .list = sealed_list,
    .stat = sealed_stat,
    .read_open = sealed_read_open,
    .pread = sealed_pread,
    .read_close = sealed_read_close,
    .put_open = sealed_put_open,
    .put = sealed_put,
    .put_finish = sealed_put_finish,
    .put_close = sealed_put_close,
    .publish = sealed_publish,
    .remove = sealed_remove,
    .make_folder = sealed_make_folder,
    .remove_folder = sealed_remove_folder,
    .put_keep = sealed_put_keep,
    .forget = sealed_forget,
    .attributes = sealed_attributes,
};
