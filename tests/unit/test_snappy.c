/* SPDX-License-Identifier: Apache-2.0 */
/* Snappy: its framing and Hadoop's. What other programs write and read is in tests/engine
 * (files_packed.py, by libsnappy). Each test fails if its sentence stops being true. */
#include "test.h"

#include <stdlib.h>

#include "core/clock.h"
#include "formats/codec/codec.h"
#include "formats/codec/snappy_block.h"

static uint64_t seed;

static uint32_t rnd(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* Runs, texts and noise of any length. */
static void make(struct wh_buf *b, size_t n)
{
    assert_ok(wh_buf_reserve(b, n + 1));
    while (b->n < n) {
        size_t k = rnd() % 300, kind = rnd() % 4;
        for (size_t i = 0; i < k && b->n < n; i++) {
            char c = kind == 0   ? (char)rnd()
                     : kind == 1 ? 'x'
                     : kind == 2 ? "2013,1,1,517,UA,"[i % 16]
                     : b->n > k  ? b->p[b->n - k]
                                 : 0;
            b->p[b->n++] = c;
        }
    }
}

static int unpack(const void *p, size_t n, size_t in_step, size_t out_step, struct wh_buf *out,
                  struct wh_error *err)
{
    struct wh_decoder *d;
    size_t at = 0;
    int st = WH_OK;
    *err = (struct wh_error){0};
    assert_ok(wh_decoder_new(WH_CODEC_SNAPPY, &d, err));
    for (int idle = 0; st == WH_OK && idle < 3;) {
        size_t k = n - at < in_step ? n - at : in_step, took = k, gave;
        assert_ok(wh_buf_reserve(out, out_step));
        st = wh_decode(d, (const char *)p + at, &took, at + k == n, out->p + out->n, out_step,
                       &gave, err);
        at += took;
        out->n += gave;
        idle = took || gave ? 0 : idle + 1;
    }
    wh_decoder_free(d);
    return st;
}

static void pack(const struct wh_buf *in, struct wh_buf *out)
{
    struct wh_encoder *e;
    struct wh_error err;
    assert_ok(wh_encoder_new(WH_CODEC_SNAPPY, 0, &e, &err));
    for (size_t at = 0, step; at < in->n; at += step) {
        step = 1 + rnd() % 100000;
        step = step < in->n - at ? step : in->n - at;
        assert_ok(wh_encode(e, in->p + at, step, out, &err));
    }
    assert_ok(wh_encode_end(e, out, &err));
    wh_encoder_free(e);
}

static void expect(const struct wh_buf *got, const void *p, size_t n)
{
    assert_int_equal(got->n, n);
    assert_memory_equal(got->p ? got->p : "", p ? p : "", n);
}

/* Fails if what is packed unpacks to something else, in buffers of any size. */
static void test_both_ways(void **state)
{
    static const size_t sizes[] = {0, 1, 3, 4, 5, 64, 65535, 65536, 65537, 500000};
    for (size_t i = 0; i < 3 * sizeof sizes / sizeof *sizes; i++) {
        struct wh_buf plain = WH_BUF(1 << 24), packed = WH_BUF(1 << 24), got = WH_BUF(1 << 24);
        struct wh_error err;
        make(&plain, sizes[i / 3]);
        pack(&plain, &packed);
        assert_int_equal(unpack(packed.p, packed.n, 1 + rnd() % 5000, 1 + rnd() % 5000, &got, &err),
                         WH_END);
        expect(&got, plain.p, plain.n);
        assert_int_equal(wh_codec_of_bytes(packed.p, packed.n), WH_CODEC_SNAPPY);
        wh_buf_free(&plain);
        wh_buf_free(&packed);
        wh_buf_free(&got);
    }
}

/* Fails if streams of another program (cramjam 2.14) are read as another text: packed, plain, and
 * with a padding. */
static void test_foreign(void **state)
{
    static const char packed[] = "\xff\x06\0\0sNaPpY\0\x1d\0\0\xd2\x65\xe1\x4d\x8c\x01\x3c"
                                 "a line of text, \xfe\x10\0\xee\x10\0"
                                 "\xfe\x03\0\0\0\0\0"
                                 "\xff\x06\0\0sNaPpY\x01\x07\0\0\x6e\x57\xf1\x21"
                                 "abc";
    struct wh_buf got = WH_BUF(1 << 16), want = WH_BUF(1 << 16);
    struct wh_error err;
    for (int i = 0; i < 140; i++)
        assert_ok(wh_buf_addc(&want, "a line of text, "[i % 16]));
    assert_ok(wh_buf_adds(&want, "abc"));
    for (size_t step = 1; step < 40; step++) {
        wh_buf_clear(&got);
        assert_int_equal(unpack(packed, sizeof packed - 1, step, 1 + step * 7 % 50, &got, &err),
                         WH_END);
        expect(&got, want.p, want.n);
    }
    wh_buf_free(&got);
    wh_buf_free(&want);
}

/* Where chunks of a stream end. */
static bool is_border(const struct wh_buf *b, size_t at)
{
    size_t i = 0;
    while (i < at) {
        const uint8_t *p = (const uint8_t *)b->p + i;
        i += 4 + (p[1] | (size_t)p[2] << 8 | (size_t)p[3] << 16);
    }
    return at && i == at;
}

/* Fails if a cut stream ends well other than between two chunks, where the format has no end mark,
 * or gives anything but a beginning of its text. */
static void test_cut(void **state)
{
    struct wh_buf plain = WH_BUF(1 << 20), packed = WH_BUF(1 << 20), got = WH_BUF(1 << 20);
    struct wh_error err;
    for (int i = 0; i < 3; i++) {
        make(&plain, plain.n + 300);
        pack(&plain, &packed);
    }
    make(&plain, 0);
    size_t whole = packed.n;
    for (size_t n = 0; n < whole; n++) {
        wh_buf_clear(&got);
        int st = unpack(packed.p, n, 50, 100, &got, &err);
        if (is_border(&packed, n)) {
            assert_int_equal(st, WH_END);
        } else {
            assert_int_equal(st, WH_E_DATA);
            assert_string_equal(err.code, "E4004");
        }
    }
    wh_buf_free(&plain);
    wh_buf_free(&packed);
    wh_buf_free(&got);
}

/* Fails if any flipped bit gives another text, or none, without a word: also one in the kind of a
 * chunk, which no checksum covers. */
static void test_damage(void **state)
{
    struct wh_buf plain = WH_BUF(1 << 20), packed = WH_BUF(1 << 20), got = WH_BUF(1 << 20);
    struct wh_error err;
    make(&plain, 2000);
    pack(&plain, &packed);
    for (size_t at = 0; at < packed.n; at++) {
        for (int bit = 0; bit < 8; bit++) {
            packed.p[at] ^= (char)(1 << bit);
            wh_buf_clear(&got);
            int st = unpack(packed.p, packed.n, 64, 1000, &got, &err);
            if (st == WH_END) /* another copy of the same bytes */
                expect(&got, plain.p, plain.n);
            else
                assert_int_equal(st, WH_E_DATA);
            packed.p[at] ^= (char)(1 << bit);
        }
    }
    wh_buf_free(&plain);
    wh_buf_free(&packed);
    wh_buf_free(&got);
}

static void put_be(struct wh_buf *b, size_t v)
{
    for (int i = 3; i >= 0; i--)
        assert_ok(wh_buf_addc(b, (char)(v >> (8 * i))));
}

/* Fails if Hadoop's blocks are read as another text, a cut one ends well within a block, or what is
 * neither passes for one. */
static void test_hadoop(void **state)
{
    static uint16_t table[SNAPPY_TABLE];
    struct wh_buf plain = WH_BUF(1 << 20), packed = WH_BUF(1 << 20), block = WH_BUF(1 << 20),
                  got = WH_BUF(1 << 20);
    struct wh_error err;
    size_t border = 0;
    make(&plain, 150000);
    for (size_t at = 0; at < plain.n;) {
        size_t left = plain.n - at < 100000 ? plain.n - at : 100000;
        border = packed.n;
        put_be(&packed, left);
        while (left) {
            size_t k = left < 40000 ? left : 40000;
            wh_buf_clear(&block);
            assert_ok(snappy_pack((uint8_t *)plain.p + at, k, table, &block));
            put_be(&packed, block.n);
            assert_ok(wh_buf_add(&packed, block.p, block.n));
            at += k;
            left -= k;
        }
    }
    assert_int_equal(unpack(packed.p, packed.n, 1000, 777, &got, &err), WH_END);
    expect(&got, plain.p, plain.n);
    for (size_t n = 1; n < packed.n; n += 1 + rnd() % 997) {
        wh_buf_clear(&got);
        int st = unpack(packed.p, n, 1000, 7777, &got, &err);
        assert_true(st == WH_E_DATA || n == border);
        assert_true(n == border || !strcmp(err.code, "E4004"));
    }
    assert_int_equal(unpack("id,name\n1,x\n", 12, 12, 100, &got, &err), WH_E_DATA);
    assert_string_equal(err.code, "E4011");
    assert_int_equal(unpack("\0\0\0\0\0\0\0\0", 8, 8, 100, &got, &err), WH_E_DATA);
    assert_int_equal(unpack("", 0, 8, 100, &got, &err), WH_E_DATA);
    assert_string_equal(err.code, "E4004");
    wh_buf_free(&plain);
    wh_buf_free(&packed);
    wh_buf_free(&block);
    wh_buf_free(&got);
}

/* Fails if a block that reaches before its begin, behind its end, or tells a wrong length unpacks.
 */
static void test_blocks(void **state)
{
    static const struct {
        const char *p;
        size_t n, out;
        bool good;
    } cases[] = {
        {"\x05\x00"
         "a\x01\x01",
         5, 5, true}, /* a literal, a run of 4 */
        {"\x05\x00"
         "a\x01\x02",
         5, 5, false}, /* before the begin */
        {"\x05\x00"
         "a\x01\x00",
         5, 5, false}, /* no distance at all */
        {"\x04\x00"
         "a\x01\x01",
         5, 4, false}, /* longer than told */
        {"\x06\x00"
         "a\x01\x01",
         5, 6, false}, /* shorter */
        {"\x05\x00"
         "a\x01",
         4, 5, false}, /* cut */
        {"\x05\x10"
         "ab",
         4, 5, false},
        {"\x05\xf0", 2, 5, false},
        {"\x05\xfc\xff\xff\xff\xff", 6, 5, false},
        {"\x05\x00"
         "a\x0f\x01\0\0\0",
         8, 5, true}, /* four bytes of distance */
        {"\x00", 1, 0, true},
        {"\xff\xff\xff\xff\x7f", 5, 5, false},
        {"", 0, 0, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t out[16];
        if (snappy_unpack((const uint8_t *)cases[i].p, cases[i].n, out, cases[i].out) !=
            cases[i].good)
            fail_msg("case %zu", i);
        if (cases[i].good && cases[i].out)
            assert_memory_equal(out, "aaaaa", 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_foreign),
        cmocka_unit_test(test_cut),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_hadoop),    cmocka_unit_test(test_blocks),
    };
    const char *given = getenv("WH_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)wh_now_ns();
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
