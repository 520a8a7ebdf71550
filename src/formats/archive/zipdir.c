/* SPDX-License-Identifier: Apache-2.0 */
/* The directory of a zip archive, found from its end. */
#include "formats/archive/archive.h"

#include <stdlib.h>
#include <string.h>

#include "core/alloc.h"

enum {
    LOCAL = 30,
    CENTRAL = 46,
    END = 22,
    END64 = 56,
    LOCATOR = 20,
    TAIL = END + 65535 + LOCATOR,
    RECORD_MAX = CENTRAL + 3 * 65535,
    WINDOW = 256 << 10,
    FLAG_ENCRYPTED = 1,
    FLAG_STRONG = 1 << 6,
    EXTRA_SIZES = 1,
    MADE_BY_UNIX = 3,
    STORED = 0,
    DEFLATED = 8,
    MEMBERS_MAX = 1 << 20,
};

#define SMALL_MAX 0xffffffffu

static uint64_t get(const uint8_t *p, int n)
{
    uint64_t v = 0;
    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static wh_status damaged(int64_t at, const char *why, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_DATA, "E4005", "the zip archive is damaged near byte %lld: %s",
                   (long long)at, why);
}

static wh_status refused(const char *why, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1014", "the zip archive cannot be read: %s", why);
    wh_error_hint(reterr, "unpack it, and read the folder");
    return st;
}

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to read a zip archive");
}

/* ---- the end ----------------------------------------------------------------------------------
 */

struct span {
    int64_t from, to;
};

struct directory {
    wh_zip_read_fn read;
    wh_archived_fn each;
    void *arg;
    int64_t at, size, end; /* of the directory; where the record at its end begins */
    uint64_t n;
    struct span *spans; /* of the members, header and content */
    size_t n_spans, cap;
};

static wh_status wide_end(struct directory *d, int64_t at, struct wh_error *reterr)
{
    uint8_t p[END64], l[LOCATOR];
    if (at < LOCATOR)
        return damaged(at, "its long end is missing", reterr);
    WH_TRY(d->read(d->arg, at - LOCATOR, l, LOCATOR, reterr));
    uint64_t where = get(l + 8, 8);
    if (get(l, 4) != 0x07064b50 && d->size != SMALL_MAX && d->at != SMALL_MAX)
        return WH_OK; /* 65,535 members, and nothing that needs a long end */
    if (get(l, 4) != 0x07064b50 || where > (uint64_t)(at - LOCATOR) ||
        at - LOCATOR - (int64_t)where < END64)
        return damaged(at, "its long end is missing", reterr);
    WH_TRY(d->read(d->arg, (int64_t)where, p, END64, reterr));
    if (get(p, 4) != 0x06064b50)
        return damaged((int64_t)where, "its long end is missing", reterr);
    if (get(p + 16, 4) || get(p + 20, 4) || get(l + 16, 4) > 1)
        return refused("it is one of several volumes", reterr);
    d->n = get(p + 32, 8);
    d->size = (int64_t)get(p + 40, 8);
    d->at = (int64_t)get(p + 48, 8);
    d->end = (int64_t)where;
    return WH_OK;
}

static wh_status no_end(struct directory *d, int64_t size, struct wh_error *reterr)
{
    uint8_t head[4] = {0};
    if (size >= 4)
        WH_TRY(d->read(d->arg, 0, head, 4, reterr));
    uint32_t is = (uint32_t)get(head, 4);
    if (size && is != 0x04034b50 && is != 0x08074b50)
        return wh_fail(reterr, WH_E_DATA, "E4011",
                       "this is no zip data, whatever the file's name says");
    return wh_fail(reterr, WH_E_DATA, "E4004",
                   "the zip archive ends too early, at byte %lld: the directory at its end is "
                   "missing",
                   (long long)size);
}

static wh_status find_end(struct directory *d, int64_t size, struct wh_error *reterr)
{
    int64_t n = size < TAIL ? size : TAIL, i;
    WH_CLEANUP(wh_freep) uint8_t *p = wh_alloc((size_t)n + 1);
    if (!p)
        return no_memory(reterr);
    if (n)
        WH_TRY(d->read(d->arg, size - n, p, (size_t)n, reterr));
    for (i = n - END; i >= 0; i--)
        if (get(p + i, 4) == 0x06054b50 && i + END + (int64_t)get(p + i + 20, 2) == n)
            break;
    if (i < 0)
        return no_end(d, size, reterr);
    const uint8_t *e = p + i;
    d->end = size - n + i;
    d->n = get(e + 10, 2);
    d->size = (int64_t)get(e + 12, 4);
    d->at = (int64_t)get(e + 16, 4);
    if (get(e + 10, 2) == 0xffff || d->size == SMALL_MAX || d->at == SMALL_MAX)
        WH_TRY(wide_end(d, d->end, reterr));
    else if (get(e + 4, 2) || get(e + 6, 2) || get(e + 8, 2) != get(e + 10, 2))
        return refused("it is one of several volumes", reterr);
    if (d->at < 0 || d->size < 0 || d->at > d->end || d->end - d->at != d->size)
        return damaged(d->end, "its directory is not where its end says", reterr);
    if (d->n > MEMBERS_MAX)
        return wh_fail(reterr, WH_E_LIMIT, "E8006", "the zip archive has %llu members",
                       (unsigned long long)d->n);
    return WH_OK;
}

/* ---- members ----------------------------------------------------------------------------------
 */

/* Sizes and the place in eight bytes, those that do not fit into four. */
static bool wide_sizes(const uint8_t *p, size_t n, struct wh_archived *m)
{
    int64_t *wanted[] = {&m->size, &m->packed, &m->offset};
    for (; n >= 4; n -= get(p + 2, 2) + 4, p += get(p + 2, 2) + 4) {
        size_t k = get(p + 2, 2), at = 4;
        if (k + 4 > n)
            return false;
        for (int i = 0; get(p, 2) == EXTRA_SIZES && i < 3; i++) {
            if (*wanted[i] != SMALL_MAX)
                continue;
            if (at + 8 > k + 4 || get(p + at, 8) > INT64_MAX / 4)
                return false;
            *wanted[i] = (int64_t)get(p + at, 8);
            at += 8;
        }
    }
    return true;
}

static const char *why_not(uint32_t flags, uint32_t method)
{
    return flags & (FLAG_ENCRYPTED | FLAG_STRONG) || method == 99 ? "it is encrypted"
           : method != STORED && method != DEFLATED ? "it is packed by another method than deflate"
                                                    : NULL;
}

static wh_status keep_span(struct directory *d, const struct wh_archived *m, size_t name_n,
                           struct wh_error *reterr)
{
    if (d->n_spans == d->cap) {
        size_t cap = d->cap ? 2 * d->cap : 64;
        struct span *v = wh_realloc(d->spans, cap * sizeof *v);
        if (!v)
            return no_memory(reterr);
        d->spans = v;
        d->cap = cap;
    }
    int64_t head = LOCAL + (int64_t)name_n;
    if (m->offset > d->at - head || m->packed > d->at - head - m->offset)
        return damaged(d->at, "a member does not lie before the directory", reterr);
    d->spans[d->n_spans++] = (struct span){m->offset, m->offset + head + m->packed};
    return WH_OK;
}

static wh_status one(struct directory *d, const uint8_t *p, int64_t at, struct wh_error *reterr)
{
    size_t name = get(p + 28, 2), extra = get(p + 30, 2);
    uint32_t flags = (uint32_t)get(p + 8, 2), method = (uint32_t)get(p + 10, 2);
    uint32_t mode = (uint32_t)get(p + 40, 2) & 0170000;
    struct wh_archived m = {.name = {(const char *)p + CENTRAL, name},
                            .offset = (int64_t)get(p + 42, 4),
                            .packed = (int64_t)get(p + 20, 4),
                            .size = (int64_t)get(p + 24, 4),
                            .deflated = method == DEFLATED,
                            .has_crc = true,
                            .crc = (uint32_t)get(p + 16, 4)};
    if (!name || memchr(p + CENTRAL, 0, name))
        return damaged(at, "a member has no name", reterr);
    if (!wide_sizes(p + CENTRAL + name, extra, &m))
        return damaged(at, "the long sizes of a member are wrong", reterr);
    m.refused = why_not(flags, method);
    m.is_folder = m.name.s[name - 1] == '/';
    m.is_other = p[5] == MADE_BY_UNIX && mode && mode != 0100000 && mode != 0040000;
    WH_TRY(keep_span(d, &m, name, reterr));
    if (!m.refused && !m.deflated && m.size != m.packed)
        return damaged(at, "a stored member has two sizes", reterr);
    return d->each(d->arg, &m, reterr);
}

static int by_place(const void *a, const void *b)
{
    const struct span *x = a, *y = b;
    return (x->from > y->from) - (x->from < y->from);
}

/* One piece of content that is read as many members is a trap. */
static wh_status check_spans(struct directory *d, struct wh_error *reterr)
{
    if (d->n_spans > 1)
        qsort(d->spans, d->n_spans, sizeof *d->spans, by_place);
    for (size_t i = 1; i < d->n_spans; i++)
        if (d->spans[i].from < d->spans[i - 1].to)
            return damaged(d->spans[i].from, "two members lie upon one another", reterr);
    return WH_OK;
}

static wh_status walk(struct directory *d, uint8_t *p, struct wh_error *reterr)
{
    int64_t at = d->at, end = d->at + d->size;
    size_t n = 0, used = 0;
    uint64_t seen = 0;
    while (at < end) {
        int64_t behind = end - at;
        if (n - used < RECORD_MAX && (int64_t)(n - used) < behind) {
            n = behind < WINDOW ? (size_t)behind : WINDOW;
            used = 0;
            WH_TRY(d->read(d->arg, at, p, n, reterr));
        }
        const uint8_t *r = p + used;
        if (n - used < CENTRAL || get(r, 4) != 0x02014b50)
            return damaged(at, "no entry begins where one should", reterr);
        size_t k = CENTRAL + get(r + 28, 2) + get(r + 30, 2) + get(r + 32, 2);
        if (k > n - used)
            return damaged(at, "an entry is longer than the directory", reterr);
        if (++seen > d->n)
            break;
        WH_TRY(one(d, r, at, reterr));
        used += k;
        at += (int64_t)k;
    }
    if (seen != d->n)
        return damaged(d->end, "its directory lists another number of members", reterr);
    return check_spans(d, reterr);
}

wh_status wh_zip_list(wh_zip_read_fn read, int64_t size, wh_archived_fn each, void *arg,
                      struct wh_error *reterr)
{
    struct directory d = {.read = read, .each = each, .arg = arg};
    uint8_t *p = NULL;
    int st = find_end(&d, size, reterr);
    if (st == WH_OK && !(p = wh_alloc(WINDOW)))
        st = no_memory(reterr);
    if (st == WH_OK)
        st = walk(&d, p, reterr);
    wh_free(p);
    wh_free(d.spans);
    return st;
}

wh_status wh_zip_content(wh_zip_read_fn read, void *arg, int64_t offset, bool deflated,
                         int64_t *ret, struct wh_error *reterr)
{
    uint8_t p[LOCAL];
    WH_TRY(read(arg, offset, p, LOCAL, reterr));
    uint32_t flags = (uint32_t)get(p + 6, 2), method = (uint32_t)get(p + 8, 2);
    if (get(p, 4) == 0x04034b50 && flags & FLAG_ENCRYPTED)
        return refused("a member is encrypted", reterr);
    if (get(p, 4) != 0x04034b50 || method != (deflated ? DEFLATED : STORED))
        return damaged(offset, "a member's header does not fit the directory", reterr);
    *ret = offset + LOCAL + (int64_t)get(p + 26, 2) + (int64_t)get(p + 28, 2);
    return WH_OK;
}
