/* SPDX-License-Identifier: Apache-2.0 */
/* tar: blocks of 512 bytes, a header before each member (POSIX.1 pax, ustar; GNU's long names). */
#include "formats/archive/archive.h"

#include <libdeflate.h>
#include <string.h>

#include "core/alloc.h"

enum {
    BLOCK = 512,
    BODY_MAX = 1 << 20, /* a long name, the records of one pax header */
    NAME_MAX_BYTES = 16 << 10,
};

#define SIZE_MAX_TOLD (INT64_MAX / 4)

enum stage {
    AT_HEADER,
    AT_BODY, /* of a header that tells about the next one */
    AT_CONTENT,
    AT_PADDING,
    AT_END, /* nothing but zeros */
};

struct wh_tar {
    wh_archived_fn each;
    void *arg;
    enum stage stage;
    uint8_t block[BLOCK];
    size_t block_n;
    int64_t at; /* of the next byte */
    int64_t left, padding;
    char body_kind;
    bool began;
    struct wh_buf body, name;
    bool named, sparse; /* the next member's name was told; it has holes */
    int64_t size;       /* -1, or told for the next member */
    struct wh_archived member;
};

struct wh_tar *wh_tar_new(wh_archived_fn each, void *arg)
{
    struct wh_tar *t = wh_calloc(1, sizeof *t);
    if (!t)
        return NULL;
    t->each = each;
    t->arg = arg;
    t->body = WH_BUF(BODY_MAX + 16);
    t->name = WH_BUF(BODY_MAX + 16);
    t->size = -1;
    return t;
}

void wh_tar_free(struct wh_tar *t)
{
    if (!t)
        return;
    wh_buf_free(&t->body);
    wh_buf_free(&t->name);
    wh_free(t);
}

static wh_status damaged(const struct wh_tar *t, const char *why, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_DATA, "E4005", "the tar archive is damaged near byte %lld: %s",
                   (long long)t->at, why);
}

static wh_status refused(const struct wh_tar *t, const char *why, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014",
                     "the tar archive cannot be read (byte %lld): %s", (long long)t->at, why);
    wh_error_hint(reterr, "unpack it, and read the folder");
    return st;
}

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a tar archive");
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

/* Octal digits between blanks, or (GNU) a binary number behind a first bit. -1: neither. */
static int64_t number(const uint8_t *p, size_t n)
{
    int64_t v = 0;
    size_t i = 0;
    if (p[0] & 0x80) {
        for (v = p[0] & 0x7f, i = 1; i < n; i++) {
            if (v > SIZE_MAX_TOLD >> 8)
                return -1;
            v = v << 8 | p[i];
        }
        return v;
    }
    while (i < n && p[i] == ' ')
        i++;
    for (; i < n && p[i] >= '0' && p[i] <= '7'; i++) {
        if (v > SIZE_MAX_TOLD >> 3)
            return -1;
        v = v << 3 | (p[i] - '0');
    }
    while (i < n && (p[i] == ' ' || !p[i]))
        i++;
    return i == n ? v : -1;
}

/* Some old programs added signed bytes. */
static bool sum_fits(const uint8_t *h)
{
    int64_t told = number(h + 148, 8), plain = 0, with_sign = 0;
    for (int i = 0; i < BLOCK; i++) {
        uint8_t c = i >= 148 && i < 156 ? ' ' : h[i];
        plain += c;
        with_sign += (int8_t)c;
    }
    return told >= 0 && (told == plain || told == with_sign);
}

static bool is_zero(const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && !p[i])
        i++;
    return i == n;
}

/* ---- headers ----------------------------------------------------------------------------------
 */

static wh_status add_field(struct wh_tar *t, const uint8_t *p, size_t n)
{
    return wh_buf_add(&t->name, p, strnlen((const char *)p, n));
}

static wh_status take_name(struct wh_tar *t, struct wh_error *reterr)
{
    const uint8_t *h = t->block;
    int st = WH_OK;
    if (!t->named) {
        wh_buf_clear(&t->name);
        if (memcmp(h + 257, "ustar\0", 6) == 0 && h[345]) {
            st = add_field(t, h + 345, 155);
            if (st == WH_OK)
                st = wh_buf_addc(&t->name, '/');
        }
        if (st == WH_OK)
            st = add_field(t, h, 100);
    }
    if (st != WH_OK)
        return no_memory(reterr);
    if (t->name.n > NAME_MAX_BYTES)
        return refused(t, "a name of more than 16 KiB", reterr);
    return t->name.n ? WH_OK : damaged(t, "a member has no name", reterr);
}

static void content(struct wh_tar *t, enum stage stage, int64_t n)
{
    t->stage = stage;
    t->left = n;
    t->padding = (BLOCK - n % BLOCK) % BLOCK;
}

static wh_status end_of_content(struct wh_tar *t, struct wh_error *reterr)
{
    struct wh_archived m = t->member;
    m.name = (struct wh_str){t->name.p, t->name.n};
    t->stage = t->padding ? AT_PADDING : AT_HEADER;
    t->left = t->padding;
    t->named = t->sparse = false;
    t->size = -1;
    return t->each(t->arg, &m, reterr);
}

/* A member: its kind decides whether content follows. */
static wh_status member(struct wh_tar *t, char kind, int64_t size, struct wh_error *reterr)
{
    struct wh_archived *m = &t->member;
    WH_TRY(take_name(t, reterr));
    *m = (struct wh_archived){.offset = t->at, .has_crc = true};
    if (t->size >= 0)
        size = t->size;
    if (strchr("123456", kind)) {
        m->is_folder = kind == '5';
        m->is_other = kind != '5' && kind != '1';
        m->refused = kind == '1' ? "it is a hard link to another member" : NULL;
        size = 0; /* whatever the field says, nothing follows */
    } else if (kind == 'D') {
        m->is_folder = true;
    } else if (kind == 'V') {
        m->is_other = true;
    } else if (kind == 'S' || t->sparse) {
        m->refused = "it is a sparse file";
    } else if (kind == 'M') {
        return refused(t, "it is one of several volumes", reterr);
    } else if (kind != '0' && kind != '7') {
        return refused(t, "a member is of a kind that is not known", reterr);
    }
    if (t->name.p[t->name.n - 1] == '/' && kind != 'S') {
        if (size && kind != 'D')
            return damaged(t, "a folder has content", reterr);
        m->is_folder = true; /* of programs older than kinds */
    }
    if (kind == 'S' && t->block[482])
        return refused(t, "a sparse file with a long map", reterr);
    m->size = m->packed = size;
    content(t, AT_CONTENT, size);
    return size ? WH_OK : end_of_content(t, reterr);
}

static wh_status header(struct wh_tar *t, struct wh_error *reterr)
{
    const uint8_t *h = t->block;
    char kind = h[156] ? (char)h[156] : '0'; /* of programs older than kinds */
    if (is_zero(h, BLOCK)) {
        if (t->named || t->size >= 0 || t->sparse)
            return damaged(t, "a long name without its member", reterr);
        t->stage = AT_END;
        t->began = true;
        return WH_OK;
    }
    if (!sum_fits(h) && !t->began) {
        return wh_fail(reterr, WH_E_DATA, "E4011",
                       "this is no tar archive, whatever the file's name says");
    }
    if (!sum_fits(h))
        return damaged(t, "the checksum of a header does not fit", reterr);
    t->began = true;
    int64_t size = number(h + 124, 12);
    if (size < 0)
        return damaged(t, "a size that is no number", reterr);
    if (!strchr("LKxgX", kind))
        return member(t, kind, size, reterr);
    if (size > BODY_MAX)
        return refused(t, "a name or header of more than 1 MiB", reterr);
    wh_buf_clear(&t->body);
    t->body_kind = kind;
    content(t, AT_BODY, size);
    return size ? WH_OK : damaged(t, "an empty long header", reterr);
}

/* ---- what stands before a member --------------------------------------------------------------
 */

static wh_status tell(struct wh_tar *t, struct wh_str key, struct wh_str value,
                      struct wh_error *reterr)
{
    bool name = wh_str_eqs(key, "path"), size = wh_str_eqs(key, "size");
    if (wh_str_starts(key, "GNU.sparse.") || wh_str_eqs(key, "SCHILY.realsize")) {
        t->sparse = true;
        return WH_OK;
    }
    if (t->body_kind == 'g' && (name || size))
        return refused(t, "a name or size for all members", reterr);
    if (size) {
        int64_t v = 0;
        for (size_t i = 0; i < value.n; i++) {
            if (value.s[i] < '0' || value.s[i] > '9' || v > SIZE_MAX_TOLD / 10)
                return damaged(t, "a size that is no number", reterr);
            v = v * 10 + (value.s[i] - '0');
        }
        t->size = value.n ? v : -1;
    }
    if (name && memchr(value.s, 0, value.n))
        return damaged(t, "a name holds a zero byte", reterr);
    if (name && value.n) {
        wh_buf_clear(&t->name);
        t->named = true;
        if (wh_buf_add(&t->name, value.s, value.n) != WH_OK)
            return no_memory(reterr);
    }
    return WH_OK;
}

/* Records "LENGTH key=value\n"; LENGTH counts the whole record. */
static wh_status records(struct wh_tar *t, struct wh_error *reterr)
{
    const char *p = t->body.p;
    size_t n = t->body.n;
    while (n) {
        size_t told = 0, i = 0;
        while (i < n && i < 8 && p[i] >= '0' && p[i] <= '9')
            told = told * 10 + (size_t)(p[i++] - '0');
        const char *eq = i < n && p[i] == ' ' ? memchr(p + i, '=', n - i) : NULL;
        if (!i || !eq || told > n || told < i + 2 || eq >= p + told || p[told - 1] != '\n')
            return damaged(t, "a record of a pax header is not understood", reterr);
        struct wh_str key = {p + i + 1, (size_t)(eq - p) - i - 1};
        WH_TRY(tell(t, key, (struct wh_str){eq + 1, (size_t)(p + told - 1 - (eq + 1))}, reterr));
        p += told;
        n -= told;
    }
    return WH_OK;
}

static wh_status end_of_body(struct wh_tar *t, struct wh_error *reterr)
{
    t->stage = t->padding ? AT_PADDING : AT_HEADER;
    t->left = t->padding;
    if (t->body_kind == 'K')
        return WH_OK; /* where a link leads to */
    if (t->body_kind != 'L')
        return records(t, reterr);
    size_t n = strnlen(t->body.p, t->body.n);
    wh_buf_clear(&t->name);
    t->named = true;
    if (!n)
        return damaged(t, "an empty long name", reterr);
    return wh_buf_add(&t->name, t->body.p, n) == WH_OK ? WH_OK : no_memory(reterr);
}

/* ---- bytes ------------------------------------------------------------------------------------
 */

static size_t least(size_t n, int64_t left)
{
    return left < (int64_t)n ? (size_t)left : n;
}

static wh_status add_header(struct wh_tar *t, const uint8_t *p, size_t n, size_t *ret_took,
                            struct wh_error *reterr)
{
    size_t k = least(n, BLOCK - (int64_t)t->block_n);
    memcpy(t->block + t->block_n, p, k);
    t->block_n += k;
    t->at += (int64_t)k;
    *ret_took = k;
    if (t->block_n < BLOCK)
        return WH_OK;
    t->block_n = 0;
    return header(t, reterr);
}

static wh_status add_left(struct wh_tar *t, const uint8_t *p, size_t n, size_t *ret_took,
                          struct wh_error *reterr)
{
    size_t k = least(n, t->left);
    *ret_took = k;
    t->at += (int64_t)k;
    t->left -= (int64_t)k;
    if (t->stage == AT_BODY && wh_buf_add(&t->body, p, k) != WH_OK)
        return no_memory(reterr);
    if (t->stage == AT_CONTENT)
        t->member.crc = libdeflate_crc32(t->member.crc, p, k);
    if (t->left)
        return WH_OK;
    if (t->stage == AT_CONTENT)
        return end_of_content(t, reterr);
    if (t->stage == AT_BODY)
        return end_of_body(t, reterr);
    t->stage = AT_HEADER;
    return WH_OK;
}

wh_status wh_tar_add(struct wh_tar *t, const void *data, size_t n, struct wh_error *reterr)
{
    const uint8_t *p = data;
    while (n) {
        size_t took = n;
        if (t->stage == AT_HEADER) {
            WH_TRY(add_header(t, p, n, &took, reterr));
        } else if (t->stage != AT_END) {
            WH_TRY(add_left(t, p, n, &took, reterr));
        } else {
            if (!is_zero(p, n))
                return damaged(t, "something else follows its end", reterr);
            t->at += (int64_t)n;
        }
        p += took;
        n -= took;
    }
    return WH_OK;
}

int64_t wh_tar_ahead(const struct wh_tar *t)
{
    return t->stage == AT_CONTENT || t->stage == AT_PADDING ? t->left : 0;
}

wh_status wh_tar_pass(struct wh_tar *t, int64_t n, struct wh_error *reterr)
{
    if (n > 0 && t->stage == AT_CONTENT)
        t->member.has_crc = false;
    t->at += n;
    t->left -= n;
    if (t->left)
        return WH_OK;
    if (t->stage == AT_CONTENT)
        return end_of_content(t, reterr);
    t->stage = AT_HEADER;
    return WH_OK;
}

bool wh_tar_ended(const struct wh_tar *t)
{
    return t->stage == AT_END;
}

wh_status wh_tar_end(struct wh_tar *t, struct wh_error *reterr)
{
    if (t->stage == AT_END)
        return WH_OK;
    return wh_fail(reterr, WH_E_DATA, "E4004",
                   "the tar archive ends too early, at byte %lld: its end mark is missing",
                   (long long)t->at);
}
