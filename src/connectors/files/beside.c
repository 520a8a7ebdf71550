/* SPDX-License-Identifier: Apache-2.0 */
/* What a target writes beside its files once they have their names: sums, a list of them. Done
 * again it writes the same. */
#include <stdio.h>
#include <string.h>

#include "find.h"
#include "sink.h"

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for what lies beside files");
}

const char *sink_sum_suffix(const struct sink_target *fl)
{
    return fl->md5 == FILES_MD5_MD5 ? ".md5" : fl->md5 == FILES_MD5_SHA256 ? ".sha256" : "";
}

struct beside {
    const struct sink_target *fl;
    const char *stage;
    const struct wh_fence *fence;
    struct wh_buf *text;
};

static wh_status place(const struct beside *b, const char *name, struct wh_error *reterr)
{
    const struct files_storage *s = &b->fl->storage;
    char temporary[SINK_NAME];
    snprintf(temporary, sizeof temporary, "%.400s/f%u.beside", b->stage, b->fence->flow);
    WH_TRY(
        sink_put_small(b->fl, temporary, b->text->p ? b->text->p : "", b->text->n, true, reterr));
    return s->ops->publish(s->st, temporary, name, false, reterr);
}

static wh_status sum_of(void *arg, const char *name, struct wh_error *reterr)
{
    struct beside *b = arg;
    char sum[WH_DIGEST_HEX], beside[SINK_NAME];
    enum wh_digest_kind kind = b->fl->md5 == FILES_MD5_SHA256 ? WH_SHA256 : WH_MD5;
    struct wh_str base = files_base_name(wh_str(name));
    struct files_storage bare = files_storage_bare(&b->fl->storage);
    WH_TRY(files_digest(&bare, name, kind, b->fl->ctx, sum, reterr));
    wh_buf_clear(b->text);
    if (wh_buf_printf(b->text, "%s  %.*s\n", sum, WH_STR_FMT(base)) != WH_OK)
        return no_memory(reterr);
    snprintf(beside, sizeof beside, "%.500s%s", name, sink_sum_suffix(b->fl));
    return place(b, beside, reterr);
}

wh_status sink_write_sums(const struct sink_target *fl, const struct wh_fence *fence,
                          struct wh_receipts *receipts, const char *stage, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(1 << 16);
    struct beside b = {fl, stage, fence, &text};
    return sink_each_file(fl, fence, receipts, sum_of, &b, reterr);
}

static wh_status name_of(void *arg, const char *name, struct wh_error *reterr)
{
    struct beside *b = arg;
    int st = wh_buf_printf(b->text, "%s\n", name + strlen(b->fl->folder));
    return st == WH_OK ? WH_OK : no_memory(reterr);
}

/* In the form that the source's `list` reads. */
wh_status sink_write_list(const struct sink_target *fl, const struct wh_fence *fence,
                          struct wh_receipts *receipts, const char *stage, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(256 << 20);
    struct beside b = {fl, stage, fence, &text};
    char name[SINK_NAME];
    WH_TRY(sink_each_file(fl, fence, receipts, name_of, &b, reterr));
    const char *at = strstr(fl->list, "{name}");
    snprintf(name, sizeof name, "%.200s%.*s%.200s%.100s", fl->folder, at ? (int)(at - fl->list) : 0,
             fl->list, fl->stem, at ? at + 6 : "");
    return place(&b, name, reterr);
}
