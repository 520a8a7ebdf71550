/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of a file become text: read, unpack, convert. Unpacking runs one block ahead on a helper
 * where the engine has one free. */
#include <errno.h>
#include <iconv.h>
#include <poll.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "files.h"
#include "tap.h"

enum {
    RAW = 256 * 1024,
    BLOCK = 512 * 1024,
};

struct block {
    uint8_t *p;
    size_t n, at;
    bool last;
    int st;
    struct wh_error err;
};

struct files_input {
    struct files_input_config cfg;
    void *in;
    struct files_content *member; /* instead of in */
    bool opened, plain, packed;   /* packed: unpacking is worth a helper */
    int64_t offset;               /* of the next raw byte */

    uint8_t *raw;
    size_t raw_n, raw_at;
    bool raw_end;
    struct wh_decoder *decoder;
    iconv_t charset;
    bool converts;
    uint8_t *text; /* unpacked, not converted yet */
    size_t text_n;
    bool text_end;

    struct block blocks[2];
    int current;
    struct wh_task *task; /* fills the other block */
    bool ahead;           /* the other block is filled or being filled */
};

/* ---- charsets ---------------------------------------------------------------------------------
 */

const char *files_encoding_of_mark(const void *p, size_t n)
{
    const uint8_t *b = p;
    if (n >= 2 && b[0] == 0xff && b[1] == 0xfe)
        return "UTF-16LE";
    if (n >= 2 && b[0] == 0xfe && b[1] == 0xff)
        return "UTF-16BE";
    return NULL;
}

static bool is_utf8(const char *name)
{
    return !name || !strcasecmp(name, "utf-8") || !strcasecmp(name, "utf8") ||
           !strcasecmp(name, "ascii") || !strcasecmp(name, "us-ascii");
}

bool files_fits_encoding(const char *encoding, const void *p, size_t n)
{
    iconv_t cd = iconv_open("UTF-8", encoding);
    char out[4096], *in = (char *)(uintptr_t)p;
    bool ok = cd != (iconv_t)-1;
    size_t left = n;
    while (ok && left) {
        char *o = out;
        size_t room = sizeof out;
        if (iconv(cd, &in, &left, &o, &room) == (size_t)-1 && errno != E2BIG) {
            ok = errno == EINVAL; /* cut off in a character */
            break;
        }
    }
    if (cd != (iconv_t)-1)
        iconv_close(cd);
    return ok;
}

/* Converts text[0..text_n) into the block. A byte that is no character becomes 0xff, which is no
 * UTF-8 either: the reader rejects the row and names its place. */
static void convert(struct files_input *f, struct block *b)
{
    char *in = (char *)f->text, *out = (char *)b->p + b->n;
    size_t left = f->text_n, room = BLOCK - b->n;
    while (left && room > 8) {
        size_t k = iconv(f->charset, &in, &left, &out, &room);
        if (k != (size_t)-1 || errno == E2BIG)
            break;
        if (errno == EINVAL && !f->text_end)
            break; /* the rest of the character comes with more bytes */
        *out++ = (char)0xff;
        room--;
        in++;
        left--;
        iconv(f->charset, NULL, NULL, NULL, NULL);
    }
    memmove(f->text, in, left);
    f->text_n = left;
    b->n = BLOCK - room;
}

/* ---- raw bytes --------------------------------------------------------------------------------
 */

static wh_status pull(struct files_input *f, void *buf, size_t n, size_t *ret_n,
                      struct wh_error *reterr)
{
    if (f->member)
        WH_TRY(files_content_read(f->member, buf, n, f->offset, ret_n, reterr));
    else if (f->cfg.name)
        WH_TRY(f->cfg.storage->ops->pread(f->in, buf, n, f->offset, ret_n, reterr));
    else
        WH_TRY(files_tap_read(f->cfg.ctx, f->offset, f->cfg.peek, buf, n, ret_n, reterr));
    f->offset += (int64_t)*ret_n;
    return WH_OK;
}

static wh_status refill(struct files_input *f, struct wh_error *reterr)
{
    if (f->raw_at < f->raw_n || f->raw_end)
        return WH_OK;
    f->raw_at = f->raw_n = 0;
    WH_TRY(pull(f, f->raw, RAW, &f->raw_n, reterr));
    f->raw_end = !f->raw_n;
    return WH_OK;
}

/* Unpacked bytes into buf until it is full or the file is over. */
static wh_status unpack(struct files_input *f, uint8_t *buf, size_t n, size_t *ret_n, bool *ret_end,
                        struct wh_error *reterr)
{
    size_t got = 0;
    *ret_end = false;
    while (got < n && !*ret_end) {
        size_t took, gave;
        WH_TRY(refill(f, reterr));
        took = f->raw_n - f->raw_at;
        if (f->decoder) {
            int st = wh_decode(f->decoder, f->raw + f->raw_at, &took, f->raw_end, buf + got,
                               n - got, &gave, reterr);
            if (st < 0)
                return st;
            *ret_end = st == WH_END;
        } else {
            took = gave = took < n - got ? took : n - got;
            memcpy(buf + got, f->raw + f->raw_at, gave);
            *ret_end = f->raw_end;
        }
        f->raw_at += took;
        got += gave;
    }
    *ret_n = got;
    return WH_OK;
}

/* ---- blocks -----------------------------------------------------------------------------------
 */

static wh_status fill_converted(struct files_input *f, struct block *b)
{
    while (b->n < BLOCK - 8 && !b->last) {
        size_t got = 0;
        if (!f->text_end && f->text_n < RAW) {
            WH_TRY(unpack(f, f->text + f->text_n, RAW - f->text_n, &got, &f->text_end, &b->err));
            f->text_n += got;
        }
        size_t before = b->n;
        convert(f, b);
        b->last = f->text_end && !f->text_n;
        if (b->n == before && !got && !b->last)
            break;
    }
    return WH_OK;
}

/* On a helper's thread or ours; touches nothing that the other side uses meanwhile. */
static void fill(void *arg)
{
    struct files_input *f = arg;
    struct block *b = &f->blocks[!f->current];
    b->n = b->at = 0;
    b->last = false;
    b->st = f->converts ? fill_converted(f, b) : unpack(f, b->p, BLOCK, &b->n, &b->last, &b->err);
}

static void wait_for(struct files_input *f)
{
    if (f->task)
        f->cfg.ctx->join(f->cfg.ctx, f->task);
    f->task = NULL;
}

void files_input_rest(struct files_input *f)
{
    if (f)
        wait_for(f);
}

void files_input_adopt(struct files_input *f, const struct wh_ctx *ctx)
{
    f->cfg.ctx = ctx;
}

static wh_status next_block(struct files_input *f, struct wh_error *reterr)
{
    if (!f->ahead)
        fill(f);
    wait_for(f);
    f->ahead = false;
    f->current = !f->current;
    const struct block *b = &f->blocks[f->current];
    if (b->st != WH_OK) {
        if (reterr)
            *reterr = b->err;
        return b->st;
    }
    /* Only a helper is worth running ahead: by ourselves it would be no earlier. */
    if (!b->last && f->packed && f->cfg.ctx && f->cfg.ctx->task && !f->cfg.peek) {
        struct wh_task *task = NULL;
        if (f->cfg.ctx->task(f->cfg.ctx, fill, f, &task) == WH_OK) {
            f->task = task;
            f->ahead = true;
        }
    }
    return WH_OK;
}

wh_status files_input_read(struct files_input *f, void *buf, size_t n, size_t *ret_n,
                           bool *ret_last, struct wh_error *reterr)
{
    size_t got = 0;
    *ret_last = false;
    while (f->plain && got < n && !*ret_last) {
        size_t k = 0;
        WH_TRY(pull(f, (uint8_t *)buf + got, n - got, &k, reterr));
        got += k;
        *ret_last = !k;
    }
    while (!f->plain && got < n && !*ret_last) {
        struct block *b = &f->blocks[f->current];
        size_t k = b->n - b->at < n - got ? b->n - b->at : n - got;
        memcpy((uint8_t *)buf + got, b->p + b->at, k);
        b->at += k;
        got += k;
        if (b->at < b->n)
            break;
        *ret_last = b->last;
        if (!b->last)
            WH_TRY(next_block(f, reterr));
        else
            break;
    }
    *ret_n = got;
    return WH_OK;
}

/* ---- open and close ---------------------------------------------------------------------------
 */

static wh_status open_stages(struct files_input *f, struct wh_error *reterr)
{
    if (f->cfg.codec != WH_CODEC_NONE)
        WH_TRY(wh_decoder_new(f->cfg.codec, &f->decoder, reterr));
    if (!is_utf8(f->cfg.encoding)) {
        f->charset = iconv_open("UTF-8", f->cfg.encoding);
        if (f->charset == (iconv_t)-1) {
            int st =
                wh_fail(reterr, WH_E_USAGE, "E1002", "encoding '%s' is not known", f->cfg.encoding);
            wh_error_hint(reterr, "'iconv -l' lists the names");
            return st;
        }
        f->converts = true;
    }
    f->packed = f->decoder || (f->cfg.entry && (f->cfg.entry->member->how == FILES_HOW_DEFLATED ||
                                                f->cfg.entry->member->how == FILES_HOW_STREAM));
    f->plain = !f->packed && !f->converts;
    if (f->plain)
        return WH_OK;
    f->raw = wh_alloc(RAW);
    f->text = wh_alloc(RAW);
    f->blocks[0].p = wh_alloc(BLOCK);
    f->blocks[1].p = wh_alloc(BLOCK);
    return f->raw && f->text && f->blocks[0].p && f->blocks[1].p
               ? WH_OK
               : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a file");
}

wh_status files_input_open(const struct files_input_config *cfg, struct files_input **ret,
                           struct wh_error *reterr)
{
    struct files_input *f = wh_calloc(1, sizeof *f);
    int st = f ? WH_OK : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a file");
    if (f) {
        f->cfg = *cfg;
        f->offset = cfg->offset;
        st = open_stages(f, reterr);
    }
    if (st == WH_OK && cfg->entry) {
        st = files_content_open(cfg, &f->member, reterr);
    } else if (st == WH_OK && cfg->name) {
        const struct wh_storage_ops *ops = cfg->storage->ops;
        f->in = wh_calloc(1, ops->in_size);
        f->opened = f->in;
        st = f->in ? ops->read_open(f->in, cfg->storage->st, cfg->name, reterr)
                   : wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a file");
    }
    if (st == WH_OK) {
        *ret = f;
        return WH_OK;
    }
    files_input_close(f);
    return st;
}

void files_input_close(struct files_input *f)
{
    if (!f)
        return;
    wait_for(f);
    if (f->opened)
        f->cfg.storage->ops->read_close(f->in);
    wh_free(f->in);
    files_content_close(f->member);
    wh_decoder_free(f->decoder);
    if (f->converts)
        iconv_close(f->charset);
    wh_free(f->raw);
    wh_free(f->text);
    wh_free(f->blocks[0].p);
    wh_free(f->blocks[1].p);
    wh_free(f);
}
