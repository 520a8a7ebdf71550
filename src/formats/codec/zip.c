/* SPDX-License-Identifier: Apache-2.0 */
/* A zip archive of one file (APPNOTE.TXT of PKWARE), read as a stream, as `orders.csv.zip` is made
 * by other programs. Folders beside the file are passed over; a second file, encryption, and
 * methods other than stored and deflated are refused by name. The directory at the end is read to
 * its last byte and must say what the file was, so that a cut archive does not pass. Read only. */
#include <libdeflate.h>
#include <string.h>
#include <zlib.h>

#include "formats/codec/internal.h"

enum {
    SIGNATURE = 4,
    LOCAL = 30,
    CENTRAL = 46,
    END64 = 56,
    LOCATOR = 20,
    END = 22,
    FLAG_ENCRYPTED = 1,
    FLAG_BEHIND = 8, /* sums and sizes follow the data */
    STORED = 0,
    DEFLATED = 8,
    EXTRA_SIZES = 1,                  /* sizes of eight bytes */
    RECORD_MAX = CENTRAL + 3 * 65535, /* the longest one, with name, extra fields and comment */
};

#define SMALL_MAX 0xffffffffu

enum stage {
    AT_SIGNATURE,
    AT_LOCAL,
    AT_LOCAL_MORE, /* name and extra fields */
    AT_DATA,
    AT_BEHIND,
    AT_CENTRAL,
    AT_CENTRAL_MORE,
    AT_END64,
    AT_LOCATOR,
    AT_END,
    AT_COMMENT,
    AT_ENDED,
};

struct unzip {
    enum stage stage;
    uint8_t *in; /* of a record */
    size_t in_n, want;
    z_stream s;
    bool made, wide, file; /* of the library; sizes of eight bytes; this entry is a file */
    uint32_t flags, method;
    uint32_t crc, told_crc;
    uint64_t took, gave, packed, size; /* bytes of the data; as the header tells them */
    uint64_t entries, listed;          /* before the directory; in it */
    bool any;                          /* the file was read */
    uint32_t file_crc;
    uint64_t file_size, file_packed;
    bool began; /* a signature was right */
};

static void unzip_free(void *self)
{
    struct unzip *u = self;

    if (u && u->made)
        inflateEnd(&u->s);
    if (u)
        wh_free(u->in);
    wh_free(u);
}

static void *unzip_new(void)
{
    struct unzip *u = wh_calloc(1, sizeof *u);

    if (u && (u->in = wh_alloc(RECORD_MAX))) {
        u->want = SIGNATURE;
        return u;
    }
    unzip_free(u);
    return NULL;
}

static uint64_t get(const uint8_t *p, int n)
{
    uint64_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint64_t)p[i] << (8 * i);
    return v;
}

static int bad(const char **why, const char *text)
{
    *why = text;
    return WH_E_DATA;
}

static int refuse(const char **why, const char *text)
{
    *why = text;
    return WH_E_UNSUPPORTED;
}

static void expect(struct unzip *u, enum stage stage, size_t want)
{
    u->stage = stage;
    u->want = want;
    u->in_n = 0;
}

/* The rest of a record whose signature was read. */
static int at_signature(struct unzip *u, const char **why)
{
    static const struct {
        uint32_t signature;
        enum stage stage;
        size_t n;
    } records[] = {{0x04034b50, AT_LOCAL, LOCAL},
                   {0x02014b50, AT_CENTRAL, CENTRAL},
                   {0x06064b50, AT_END64, END64},
                   {0x07064b50, AT_LOCATOR, LOCATOR},
                   {0x06054b50, AT_END, END}};
    uint32_t signature = (uint32_t)get(u->in, 4);

    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        if (records[i].signature != signature)
            continue;
        if (records[i].stage == AT_LOCAL && u->listed)
            return bad(why, "a file follows its directory");
        u->began = true;
        u->stage = records[i].stage;
        u->want = records[i].n;
        return WH_OK;
    }
    return bad(why, u->began ? "no record begins where one should" : CODEC_NOT_MINE);
}

static int at_local(struct unzip *u, const char **why)
{
    const uint8_t *p = u->in;

    u->flags = (uint32_t)get(p + 6, 2);
    u->method = (uint32_t)get(p + 8, 2);
    u->told_crc = (uint32_t)get(p + 14, 4);
    u->packed = get(p + 18, 4);
    u->size = get(p + 22, 4);
    u->want = LOCAL + get(p + 26, 2) + get(p + 28, 2);
    u->stage = AT_LOCAL_MORE;
    if (u->flags & FLAG_ENCRYPTED)
        return refuse(why, "its file is encrypted");
    if (u->method != STORED && u->method != DEFLATED)
        return refuse(why, "its file is packed by another method than deflate");
    return u->want > LOCAL ? WH_OK : bad(why, "its file has no name");
}

/* Sizes of eight bytes stand in an extra field. */
static int wide_sizes(struct unzip *u, const uint8_t *p, size_t n, const char **why)
{
    while (n >= 4) {
        size_t k = get(p + 2, 2);

        if (k + 4 > n)
            return bad(why, "an extra field is longer than there is room");
        if (get(p, 2) == EXTRA_SIZES) {
            if (u->wide || k < 16)
                return bad(why, "its long sizes are wrong");
            u->wide = true;
            if (u->size == SMALL_MAX)
                u->size = get(p + 4, 8);
            if (u->packed == SMALL_MAX)
                u->packed = get(p + 12, 8);
        }
        p += k + 4;
        n -= k + 4;
    }
    return WH_OK;
}

static int at_local_more(struct unzip *u, const char **why)
{
    size_t name = get(u->in + 26, 2);
    bool folder = name && u->in[LOCAL + name - 1] == '/';

    u->wide = false;
    WH_TRY(wide_sizes(u, u->in + LOCAL + name, u->want - LOCAL - name, why));
    if (!folder && u->any)
        return refuse(why, "it holds more than one file");
    if (folder && (u->size || u->flags & FLAG_BEHIND))
        return refuse(why, "one of its folders has content");
    if (u->method == STORED && u->flags & FLAG_BEHIND)
        return refuse(why, "its file is stored without its size in front");
    u->file = !folder;
    u->any |= u->file;
    u->entries++;
    u->took = u->gave = 0;
    u->crc = 0;
    expect(u, AT_DATA, 0);
    if (u->method == STORED)
        return u->size == u->packed ? WH_OK : bad(why, "a stored file has two sizes");
    int code = u->made ? inflateReset(&u->s) : inflateInit2(&u->s, -MAX_WBITS);

    u->made |= code == Z_OK;
    return code == Z_OK ? WH_OK : WH_E_NOMEM;
}

/* All data of an entry is there. */
static int check_data(struct unzip *u, const char **why)
{
    uint64_t mask = u->wide ? UINT64_MAX : SMALL_MAX;

    if ((u->took & mask) != (u->packed & mask) || (u->gave & mask) != (u->size & mask))
        return bad(why, "its size does not fit");
    if (u->crc != u->told_crc)
        return bad(why, "its checksum does not fit");
    if (u->file) {
        u->file_crc = u->crc;
        u->file_size = u->gave;
        u->file_packed = u->took;
    }
    expect(u, AT_SIGNATURE, SIGNATURE);
    return WH_OK;
}

static int end_of_data(struct unzip *u, const char **why)
{
    if (!(u->flags & FLAG_BEHIND))
        return check_data(u, why);
    expect(u, AT_BEHIND, 4 + (u->wide ? 16 : 8));
    return WH_OK;
}

/* Sum and sizes, with a signature in front or not. */
static int at_behind(struct unzip *u, const char **why)
{
    size_t n = 4 + (u->wide ? 16 : 8), head = u->want - n;

    if (!head && get(u->in, 4) == 0x08074b50) {
        u->want += 4;
        return WH_OK;
    }
    u->told_crc = (uint32_t)get(u->in + head, 4);
    u->packed = get(u->in + head + 4, u->wide ? 8 : 4);
    u->size = get(u->in + head + 4 + (u->wide ? 8 : 4), u->wide ? 8 : 4);
    return check_data(u, why);
}

static int at_central(struct unzip *u)
{
    u->want = CENTRAL + get(u->in + 28, 2) + get(u->in + 30, 2) + get(u->in + 32, 2);
    u->stage = AT_CENTRAL_MORE;
    u->listed++;
    return WH_OK;
}

static int at_central_more(struct unzip *u, const char **why)
{
    const uint8_t *p = u->in;
    size_t name = get(p + 28, 2);
    bool folder = name && p[CENTRAL + name - 1] == '/';
    uint64_t packed = get(p + 20, 4), size = get(p + 24, 4);

    if (!folder && (!u->any || get(p + 16, 4) != u->file_crc ||
                    (packed != SMALL_MAX && packed != u->file_packed) ||
                    (size != SMALL_MAX && size != u->file_size)))
        return bad(why, "its directory tells another file");
    expect(u, AT_SIGNATURE, SIGNATURE);
    return WH_OK;
}

static int at_end(struct unzip *u, const char **why)
{
    uint64_t n = get(u->in + 10, 2);

    if (u->listed != u->entries || (n != 0xffff && n != (u->entries & 0xffff)))
        return bad(why, "its directory lists another number of files");
    if (!u->any)
        return refuse(why, "it holds no file");
    u->want = get(u->in + 20, 2);
    u->in_n = 0;
    u->stage = u->want ? AT_COMMENT : AT_ENDED;
    return WH_OK;
}

/* As many bytes are there as were wanted. */
static int step(struct unzip *u, const char **why)
{
    switch (u->stage) {
    case AT_SIGNATURE:
        return at_signature(u, why);
    case AT_LOCAL:
        return at_local(u, why);
    case AT_LOCAL_MORE:
        return at_local_more(u, why);
    case AT_BEHIND:
        return at_behind(u, why);
    case AT_CENTRAL:
        return at_central(u);
    case AT_CENTRAL_MORE:
        return at_central_more(u, why);
    case AT_END64:
        if (get(u->in + 4, 8) != END64 - 12)
            return refuse(why, "its directory's end has fields of its own");
        expect(u, AT_SIGNATURE, SIGNATURE);
        return WH_OK;
    case AT_LOCATOR:
        expect(u, AT_SIGNATURE, SIGNATURE);
        return WH_OK;
    case AT_END:
        return at_end(u, why);
    default:
        expect(u, AT_ENDED, 0);
        return WH_OK;
    }
}

static int data(struct unzip *u, const uint8_t *in, size_t n, uint8_t *out, size_t out_n,
                size_t *ret_took, size_t *ret_gave, const char **why)
{
    bool ended = false;

    if (u->method == STORED) {
        uint64_t left = u->size - u->took;
        size_t k = n < out_n ? n : out_n;

        k = k < left ? k : (size_t)left;
        if (k)
            memcpy(out, in, k);
        *ret_took = *ret_gave = k;
        ended = k == left;
    } else {
        u->s.next_in = (uint8_t *)(uintptr_t)in;
        u->s.avail_in = (unsigned)n;
        u->s.next_out = out;
        u->s.avail_out = (unsigned)out_n;
        int code = inflate(&u->s, Z_NO_FLUSH);

        *ret_took = n - u->s.avail_in;
        *ret_gave = out_n - u->s.avail_out;
        if (code == Z_MEM_ERROR)
            return WH_E_NOMEM;
        if (code != Z_OK && code != Z_BUF_ERROR && code != Z_STREAM_END)
            return bad(why, "its blocks are wrong");
        ended = code == Z_STREAM_END;
    }
    u->crc = libdeflate_crc32(u->crc, out, *ret_gave);
    u->took += *ret_took;
    u->gave += *ret_gave;
    return ended ? end_of_data(u, why) : WH_OK;
}

static int unzip_run(void *self, const void *in, size_t *io_n, bool last, void *out, size_t out_n,
                     size_t *ret_n, const char **why)
{
    struct unzip *u = self;
    const uint8_t *p = in;
    size_t n = *io_n, taken = 0, given = 0;
    int st = WH_OK;

    while (st == WH_OK) {
        size_t took = 0, gave = 0;

        if (u->stage == AT_ENDED) {
            if (taken < n)
                st = bad(why, CODEC_TRAILING);
            break;
        }
        if (u->stage == AT_DATA) {
            if (given == out_n)
                break;
            enum stage before = u->stage;

            st = data(u, p + taken, n - taken, (uint8_t *)out + given, out_n - given, &took, &gave,
                      why);
            taken += took;
            given += gave;
            if (!took && !gave && u->stage == before)
                break;
            continue;
        }
        took = n - taken < u->want - u->in_n ? n - taken : u->want - u->in_n;
        if (u->stage != AT_COMMENT && took)
            memcpy(u->in + u->in_n, p + taken, took);
        u->in_n += took;
        taken += took;
        if (u->in_n < u->want)
            break;
        st = step(u, why);
    }
    *io_n = taken;
    *ret_n = given;
    if (st != WH_OK || !last || taken < n || given == out_n)
        return st;
    return u->stage == AT_ENDED ? WH_END : WH_E_LIMIT;
}

const struct codec_ops codec_zip = {
    .name = "zip",
    .suffix = ".zip",
    .decoder_new = unzip_new,
    .decoder_free = unzip_free,
    .decode = unzip_run,
};
