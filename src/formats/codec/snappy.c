/* SPDX-License-Identifier: Apache-2.0 */
/* Snappy in its framing format (framing_format.txt of its project): chunks of at most 64 KiB of
 * text, each with a CRC-32C. Streams may stand behind one another. Read besides: Hadoop's framing
 * (lengths with the high byte first, no checksum), which is told apart by its first byte: a stream
 * begins with 0xff, a length of Hadoop's would be over 4 GB then.
 *
 * Neither has an end mark: what is cut off between two chunks is not missed by anybody. The kind of
 * a chunk stands under no checksum; a reader may pass over kinds from 0x80 on that it does not
 * know, but nobody writes any, and text whose kind has one bit flipped would be passed over with
 * them: they are refused. */
#include <isa-l/crc.h>
#include <string.h>

#include "formats/codec/internal.h"
#include "formats/codec/snappy_block.h"

enum {
    HEAD = 4,
    SUM = 4,
    CHUNK_PACKED = 0,
    CHUNK_PLAIN = 1,
    CHUNK_PADDING = 0xfe,
    CHUNK_BEGIN = 0xff,
    HADOOP_MAX = 1 << 22, /* of a block, packed or not: its own are 256 KiB */
};

#define MARK "sNaPpY"

static const char BEGIN[] = "\xff\x06\0\0" MARK;

/* The sum is turned and moved, so that sums of sums are no special values. */
static uint32_t sum_of(const void *p, size_t n)
{
    uint32_t crc = ~crc32_iscsi((unsigned char *)(uintptr_t)p, (int)n, ~0u);

    return (crc >> 15 | crc << 17) + 0xa282ead8u;
}

static uint32_t get_le(const uint8_t *p, int n)
{
    uint32_t v = 0;

    for (int i = 0; i < n; i++)
        v |= (uint32_t)p[i] << (8 * i);
    return v;
}

static uint32_t get_be(const uint8_t *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void put_le(uint8_t *p, uint32_t v, int n)
{
    for (int i = 0; i < n; i++)
        p[i] = (uint8_t)(v >> (8 * i));
}

/* ---- reading --------------------------------------------------------------------------------- */

enum kind {
    UNKNOWN,
    FRAMED,
    HADOOP,
};

struct unsnappy {
    enum kind kind;
    uint8_t *in, *out; /* of one chunk; in_cap, out_cap */
    size_t in_cap, out_cap;
    size_t in_n, want; /* bytes there; needed to go on */
    bool in_body;      /* `in` has a head already */
    size_t out_n, out_at;
    int64_t skip;  /* bytes of a chunk that is passed over */
    uint32_t left; /* Hadoop: text of the current block that is still to come */
};

static void unsnappy_free(void *self)
{
    struct unsnappy *u = self;

    if (u) {
        wh_free(u->in);
        wh_free(u->out);
    }
    wh_free(u);
}

static int room(uint8_t **p, size_t *cap, size_t want)
{
    if (want <= *cap)
        return WH_OK;
    uint8_t *more = wh_realloc(*p, want);

    if (!more)
        return WH_E_NOMEM;
    *p = more;
    *cap = want;
    return WH_OK;
}

static void *unsnappy_new(void)
{
    struct unsnappy *u = wh_calloc(1, sizeof *u);

    if (!u || room(&u->in, &u->in_cap, HEAD + SUM + SNAPPY_PACKED_MAX) != WH_OK ||
        room(&u->out, &u->out_cap, SNAPPY_BLOCK) != WH_OK) {
        unsnappy_free(u);
        return NULL;
    }
    u->want = HEAD;
    return u;
}

static int bad(const char **why, const char *text)
{
    *why = text;
    return WH_E_DATA;
}

/* The head of a chunk is there: how much of it is wanted. */
static int framed_head(struct unsnappy *u, const char **why)
{
    uint32_t type = u->in[0], n = get_le(u->in + 1, 3);

    if (type == CHUNK_BEGIN)
        u->want = HEAD + n;
    if (type == CHUNK_BEGIN && n != sizeof MARK - 1)
        return bad(why, "the mark at its begin is wrong");
    if (type == CHUNK_PACKED || type == CHUNK_PLAIN) {
        size_t most = type == CHUNK_PLAIN ? SNAPPY_BLOCK : SNAPPY_PACKED_MAX;

        if (n < SUM || n - SUM > most)
            return bad(why, "a chunk has an impossible length");
        u->want = HEAD + n;
    } else if (type == CHUNK_PADDING) {
        u->skip = n;
        u->in_n = 0;
        return WH_OK;
    } else if (type != CHUNK_BEGIN) {
        return bad(why, "a chunk is of an unknown kind");
    }
    u->in_body = true;
    return WH_OK;
}

static int framed_body(struct unsnappy *u, const char **why)
{
    const uint8_t *p = u->in + HEAD + SUM;
    size_t n = u->in_n - HEAD, head;

    if (u->in[0] == CHUNK_BEGIN)
        return memcmp(u->in + HEAD, MARK, n) == 0 ? WH_OK
                                                  : bad(why, "the mark at its begin is wrong");
    n -= SUM;
    if (u->in[0] == CHUNK_PLAIN) {
        memcpy(u->out, p, n);
        u->out_n = n;
    } else if (!snappy_length(p, n, &u->out_n, &head) || u->out_n > SNAPPY_BLOCK ||
               !snappy_unpack(p, n, u->out, u->out_n)) {
        u->out_n = 0;
        return bad(why, "a chunk does not unpack");
    }
    u->out_at = 0;
    if (sum_of(u->out, u->out_n) == get_le(u->in + HEAD, 4))
        return WH_OK;
    u->out_n = 0;
    return bad(why, "a checksum does not fit");
}

/* A block: the length of its text, then pieces: packed length, a block of Snappy. */
static int hadoop_head(struct unsnappy *u, const char **why)
{
    uint32_t n = get_be(u->in);

    if (n > HADOOP_MAX)
        return bad(why, "a block has an impossible length");
    if (u->left) {
        u->want = HEAD + n;
        u->in_body = true;
        return n ? room(&u->in, &u->in_cap, u->want) : bad(why, "a piece is empty");
    }
    u->left = n;
    u->in_n = 0;
    return WH_OK;
}

static int hadoop_body(struct unsnappy *u, const char **why)
{
    const uint8_t *p = u->in + HEAD;
    size_t n = u->in_n - HEAD, length, head;

    if (!snappy_length(p, n, &length, &head) || !length || length > u->left)
        return bad(why, "a piece has an impossible length");
    WH_TRY(room(&u->out, &u->out_cap, length));
    if (!snappy_unpack(p, n, u->out, length))
        return bad(why, "a piece does not unpack");
    u->left -= (uint32_t)length;
    u->out_n = length;
    u->out_at = 0;
    return WH_OK;
}

/* As many bytes are there as were wanted. */
static int step(struct unsnappy *u, const char **why)
{
    if (u->kind == UNKNOWN) {
        u->kind = !memcmp(u->in, BEGIN, HEAD) ? FRAMED : HADOOP;
        if (u->kind == HADOOP && (get_be(u->in) > HADOOP_MAX || !get_be(u->in)))
            return bad(why, CODEC_NOT_MINE);
    }
    if (!u->in_body)
        return u->kind == FRAMED ? framed_head(u, why) : hadoop_head(u, why);
    int st = u->kind == FRAMED ? framed_body(u, why) : hadoop_body(u, why);

    u->in_body = false;
    u->in_n = 0;
    u->want = HEAD;
    return st;
}

/* Whether the text may end here. */
static bool between(const struct unsnappy *u)
{
    return u->kind != UNKNOWN && !u->in_n && !u->skip && !u->left;
}

static int unsnappy_run(void *self, const void *in, size_t *io_n, bool last, void *out,
                        size_t out_n, size_t *ret_n, const char **why)
{
    struct unsnappy *u = self;
    const uint8_t *p = in;
    size_t n = *io_n, taken = 0, given = 0;
    int st = WH_OK;

    while (st == WH_OK) {
        size_t k = u->out_n - u->out_at;

        k = k < out_n - given ? k : out_n - given;
        if (k)
            memcpy((uint8_t *)out + given, u->out + u->out_at, k);
        u->out_at += k;
        given += k;
        if (u->out_at < u->out_n || taken == n)
            break;
        k = n - taken;
        if (u->skip) {
            k = (int64_t)k < u->skip ? k : (size_t)u->skip;
            u->skip -= (int64_t)k;
        } else {
            k = k < u->want - u->in_n ? k : u->want - u->in_n;
            memcpy(u->in + u->in_n, p + taken, k);
            u->in_n += k;
        }
        taken += k;
        if (u->in_n == u->want)
            st = step(u, why);
    }
    *io_n = taken;
    *ret_n = given;
    if (st != WH_OK || !last || taken < n || u->out_at < u->out_n)
        return st;
    return between(u) ? WH_END : WH_E_LIMIT;
}

/* ---- writing --------------------------------------------------------------------------------- */

struct snappy {
    uint8_t pending[SNAPPY_BLOCK];
    size_t n;
    bool open, any; /* the stream has its mark; one was written */
    uint16_t table[SNAPPY_TABLE];
};

static void *snappy_new(int level)
{
    (void)level; /* it has none */
    return wh_calloc(1, sizeof(struct snappy));
}

/* Text that does not pack goes as it is, so that a chunk is never longer than its text. */
static int chunk(struct snappy *z, const uint8_t *p, size_t n, struct wh_buf *out)
{
    uint8_t head[HEAD + SUM] = {CHUNK_PACKED};
    size_t start = out->n;

    WH_TRY(wh_buf_add(out, head, sizeof head));
    WH_TRY(snappy_pack(p, n, z->table, out));
    if (out->n - start - sizeof head >= n) {
        out->n = start + sizeof head;
        head[0] = CHUNK_PLAIN;
        WH_TRY(wh_buf_add(out, p, n));
    }
    put_le(head + 1, (uint32_t)(out->n - start - HEAD), 3);
    put_le(head + HEAD, sum_of(p, n), 4);
    memcpy(out->p + start, head, sizeof head);
    return WH_OK;
}

static int begin(struct snappy *z, struct wh_buf *out)
{
    if (z->open)
        return WH_OK;
    z->open = z->any = true;
    return wh_buf_add(out, BEGIN, sizeof BEGIN - 1);
}

static int snappy_run(void *self, const void *in, size_t n, struct wh_buf *out)
{
    struct snappy *z = self;
    const uint8_t *p = in;

    for (size_t k; n; p += k, n -= k) {
        k = n < SNAPPY_BLOCK - z->n ? n : SNAPPY_BLOCK - z->n;
        memcpy(z->pending + z->n, p, k);
        z->n += k;
        if (z->n < SNAPPY_BLOCK)
            continue;
        WH_TRY(begin(z, out));
        WH_TRY(chunk(z, z->pending, z->n, out));
        z->n = 0;
    }
    return WH_OK;
}

/* An empty text becomes the mark alone. */
static int snappy_end(void *self, struct wh_buf *out)
{
    struct snappy *z = self;

    if (z->n || !z->any)
        WH_TRY(begin(z, out));
    if (z->n)
        WH_TRY(chunk(z, z->pending, z->n, out));
    z->n = 0;
    z->open = false;
    return WH_OK;
}

const struct codec_ops codec_snappy = {
    .name = "snappy",
    .suffix = ".sz",
    .decoder_new = unsnappy_new,
    .decoder_free = unsnappy_free,
    .decode = unsnappy_run,
    .encoder_new = snappy_new,
    .encoder_free = wh_free,
    .encode = snappy_run,
    .encode_end = snappy_end,
};
