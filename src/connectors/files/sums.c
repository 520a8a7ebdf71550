/* SPDX-License-Identifier: Apache-2.0 */
/* Sums that lie beside files: `x.csv.md5`, `x.csv.sha256`, or one for the folder (`MD5SUMS`,
 * `SHA256SUMS`, `md5sum.txt`), in the forms of md5sum, of BSD's md5, or the bare sum. */
#include <stdio.h>
#include <string.h>

#include "find.h"

enum {
    BLOCK = 1 << 20,
    SUMS_MAX = 64 << 20,
};

static const struct beside {
    const char *text; /* end of the name, or name of the folder's file */
    bool of_folder;
    enum wh_digest_kind kind;
} BESIDE[] = {
    {".sha256", false, WH_SHA256},   {".md5", false, WH_MD5},
    {"SHA256SUMS", true, WH_SHA256}, {"sha256sum.txt", true, WH_SHA256},
    {"sha256sums", true, WH_SHA256}, {"MD5SUMS", true, WH_MD5},
    {"md5sum.txt", true, WH_MD5},    {"md5sums", true, WH_MD5},
    {"md5sums.txt", true, WH_MD5},   {"checksums.md5", true, WH_MD5},
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for the sum of a file");
}

bool files_is_sum(const char *name)
{
    struct wh_str base = files_base_name(wh_str(name));
    for (size_t i = 0; i < sizeof BESIDE / sizeof *BESIDE; i++)
        if (BESIDE[i].of_folder ? wh_str_eqs(base, BESIDE[i].text)
                                : wh_str_ends(base, BESIDE[i].text))
            return true;
    return false;
}

wh_status files_digest(const struct files_storage *s, const char *name, enum wh_digest_kind kind,
                       const struct wh_ctx *ctx, char ret[WH_DIGEST_HEX], struct wh_error *reterr)
{
    WH_CLEANUP(wh_freep) uint8_t *block = wh_alloc(BLOCK);
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, s->ops->in_size);
    struct wh_digest d;
    if (!block || !in)
        return no_memory(reterr);
    wh_digest_init(&d, kind);
    int st = s->ops->read_open(in, s->st, name, reterr);
    size_t got = 1;
    for (int64_t at = 0; st == WH_OK && got; at += (int64_t)got) {
        st = s->ops->pread(in, block, BLOCK, at, &got, reterr);
        if (st == WH_OK)
            wh_digest_add(&d, block, got);
        if (st == WH_OK && ctx && ctx->cancelled && ctx->cancelled(ctx))
            st = wh_fail(reterr, WH_E_CANCELLED, "E7015", "asked to stop");
    }
    s->ops->read_close(in);
    if (st == WH_OK)
        wh_digest_hex(&d, ret);
    return st;
}

/* ---- finding the sum --------------------------------------------------------------------------
 */

static bool is_hex(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!strchr("0123456789abcdefABCDEF", s[i]) || !s[i])
            return false;
    return true;
}

/* One line: "SUM  name", "SUM *name", "MD5 (name) = SUM", "SUM". Names may have folders. */
static bool line_says(struct wh_str line, size_t hex, struct wh_str base, bool alone,
                      char out[WH_DIGEST_HEX])
{
    struct wh_str name = {NULL, 0};
    const char *sum = line.s;
    if (!line.s || line.n < hex)
        return false;
    const char *bsd = memmem(line.s, line.n, ") = ", 4), *open = memchr(line.s, '(', line.n);
    if (bsd && open && open < bsd && (size_t)(line.s + line.n - bsd) == 4 + hex) {
        name = (struct wh_str){open + 1, (size_t)(bsd - open - 1)};
        sum = bsd + 4;
    } else if (line.n > hex + 2 && (line.s[hex] == ' ' || line.s[hex] == '\t')) {
        size_t at = hex + 1 + (line.s[hex + 1] == ' ' || line.s[hex + 1] == '*');
        name = (struct wh_str){line.s + at, line.n - at};
    } else if (line.n != hex || !alone) {
        return false;
    }
    if (!is_hex(sum, hex) || (name.n && !alone && !wh_str_eq(files_base_name(name), base)))
        return false;
    for (size_t i = 0; i < hex; i++)
        out[i] = (char)(sum[i] >= 'A' && sum[i] <= 'F' ? sum[i] + 32 : sum[i]);
    out[hex] = 0;
    return true;
}

static bool text_says(struct wh_str text, enum wh_digest_kind kind, struct wh_str base, bool alone,
                      char out[WH_DIGEST_HEX])
{
    size_t hex = kind == WH_MD5 ? 32 : 64;
    for (size_t at = 0; at < text.n;) {
        const char *end = memchr(text.s + at, '\n', text.n - at);
        struct wh_str line = {text.s + at, end ? (size_t)(end - text.s) - at : text.n - at};
        at += line.n + 1;
        while (line.n && (line.s[line.n - 1] == '\r' || line.s[line.n - 1] == ' '))
            line.n--;
        if (line_says(line, hex, base, alone, out))
            return true;
    }
    return false;
}

static wh_status read_sums(const struct files_storage *s, const char *name, struct wh_buf *out,
                           struct wh_error *reterr)
{
    WH_CLEANUP(wh_freep) void *in = wh_calloc(1, s->ops->in_size);
    size_t got = 1;
    if (!in)
        return no_memory(reterr);
    int st = s->ops->read_open(in, s->st, name, reterr);
    while (st == WH_OK && got) {
        if (wh_buf_reserve(out, 64 << 10) != WH_OK)
            st = wh_fail(reterr, WH_E_LIMIT, "E8006", "'%s' is too large", name);
        if (st == WH_OK)
            st = s->ops->pread(in, out->p + out->n, 64 << 10, (int64_t)out->n, &got, reterr);
        out->n += st == WH_OK ? got : 0;
    }
    s->ops->read_close(in);
    return st;
}

/* The sum that something beside a file tells; *ret_from stays empty where nothing does. */
static wh_status sum_beside(const struct files_storage *s, const char *name,
                            enum wh_digest_kind *ret_kind, char ret[WH_DIGEST_HEX],
                            struct wh_buf *ret_from, struct wh_error *reterr)
{
    struct wh_str base = files_base_name(wh_str(name));
    size_t folder = strlen(name) - base.n;
    for (size_t i = 0; i < sizeof BESIDE / sizeof *BESIDE; i++) {
        const struct beside *b = &BESIDE[i];
        WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(SUMS_MAX);
        struct wh_file_info info;
        wh_buf_clear(ret_from);
        if (wh_buf_printf(ret_from, "%.*s%s", b->of_folder ? (int)folder : (int)strlen(name), name,
                          b->text) != WH_OK)
            return no_memory(reterr);
        if (s->ops->stat(s->st, ret_from->p, &info, NULL) != WH_OK || info.is_folder)
            continue;
        WH_TRY(read_sums(s, ret_from->p, &text, reterr));
        *ret_kind = b->kind;
        if (text_says((struct wh_str){text.p ? text.p : "", text.n}, b->kind, base, !b->of_folder,
                      ret))
            return WH_OK;
        if (!b->of_folder)
            return wh_fail(reterr, WH_E_DATA, "E4017", "'%s' holds no sum of '%s'", ret_from->p,
                           name);
    }
    wh_buf_clear(ret_from);
    return WH_OK;
}

static wh_status verify_one(const struct files_storage *s, const struct files_list *l, size_t i,
                            bool require, const struct wh_ctx *ctx, struct wh_error *reterr)
{
    const char *name = files_stored(&l->v[i]);
    char told[WH_DIGEST_HEX], is[WH_DIGEST_HEX];
    enum wh_digest_kind kind = WH_MD5;
    WH_CLEANUP(wh_buf_free) struct wh_buf from = WH_BUF(1 << 16);
    WH_TRY(sum_beside(s, name, &kind, told, &from, reterr));
    if (!from.n && require) {
        int st =
            wh_fail(reterr, WH_E_DATA, "E4017", "nothing tells the sum of '%s/%s'", l->root, name);
        wh_error_hint(reterr, "md5=check reads files without one as they are");
        return st;
    }
    if (!from.n)
        return WH_OK;
    WH_TRY(files_digest(s, name, kind, ctx, is, reterr));
    if (!strcmp(is, told))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_DATA, "E4016", "'%s/%s' has the %s sum %s, and '%s' says %s",
                     l->root, name, kind == WH_MD5 ? "MD5" : "SHA-256", is, from.p, told);
    wh_error_hint(reterr, "fetch the file again; md5=off reads it as it is");
    return st;
}

wh_status files_verify_sums(const struct files_storage *s, const struct files_list *l, bool require,
                            const struct wh_ctx *ctx, struct wh_error *reterr)
{
    for (size_t i = 0; i < l->n; i++)
        if (!i || strcmp(files_stored(&l->v[i]), files_stored(&l->v[i - 1])) != 0)
            WH_TRY(verify_one(s, l, i, require, ctx, reterr));
    return WH_OK;
}
