/* SPDX-License-Identifier: Apache-2.0 */
/* Packed streams, judged by the gzip, zstd, bzip2 and lz4 tools. Each test fails if its sentence
 * stops being true. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "core/clock.h"
#include "formats/codec/codec.h"

static const enum wh_codec codecs[] = {WH_CODEC_GZIP, WH_CODEC_ZSTD, WH_CODEC_BZIP2, WH_CODEC_LZ4};
static const char *const tools[] = {[WH_CODEC_GZIP] = "gzip",
                                    [WH_CODEC_ZSTD] = "zstd -q",
                                    [WH_CODEC_BZIP2] = "bzip2",
                                    [WH_CODEC_LZ4] = "lz4 -q"};
enum {
    CODECS = sizeof codecs / sizeof *codecs
};

static uint64_t seed;

static uint32_t rnd(void)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33);
}

/* Half text, half noise: packs, but not to nothing. */
static void make(struct wh_buf *b, size_t n)
{
    assert_ok(wh_buf_reserve(b, n + 16));
    while (b->n < n) {
        if (rnd() & 1)
            assert_ok(wh_buf_adds(b, "2013,1,1,517,515,2,830,819,11,UA,"));
        else
            assert_ok(wh_buf_addc(b, (char)rnd()));
    }
}

/* Bytes through a command's stdin and stdout. */
static void through(const char *command, const struct wh_buf *in, struct wh_buf *out)
{
    char path[] = "/tmp/wherry-codec-XXXXXX", line[200];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, in->p ? in->p : "", in->n), in->n);
    close(fd);
    snprintf(line, sizeof line, "%s < %s 2>/dev/null", command, path);
    FILE *f = popen(line, "r");
    size_t k = 1;
    while (k) {
        assert_ok(wh_buf_reserve(out, 65536));
        k = fread(out->p + out->n, 1, 65536, f);
        out->n += k;
    }
    assert_int_equal(pclose(f), 0);
    unlink(path);
}

/* Unpacks in steps; answers the last status. */
static int unpack(enum wh_codec c, const struct wh_buf *in, size_t in_step, size_t out_step,
                  struct wh_buf *out, struct wh_error *err)
{
    struct wh_decoder *d;
    size_t at = 0;
    int st = WH_OK;
    assert_ok(wh_decoder_new(c, &d, err));
    for (int idle = 0; st == WH_OK && idle < 3;) {
        size_t n = in->n - at < in_step ? in->n - at : in_step, given;
        bool last = at + n == in->n;
        assert_ok(wh_buf_reserve(out, out_step));
        size_t taken = n;
        st = wh_decode(d, in->p ? in->p + at : "", &taken, last, out->p + out->n, out_step, &given,
                       err);
        at += taken;
        out->n += given;
        idle = taken || given ? 0 : idle + 1;
    }
    wh_decoder_free(d);
    return st;
}

static void pack(enum wh_codec c, const struct wh_buf *in, size_t step, struct wh_buf *out)
{
    struct wh_encoder *e;
    struct wh_error err;
    assert_ok(wh_encoder_new(c, 0, &e, &err));
    for (size_t at = 0; at < in->n; at += step)
        assert_ok(wh_encode(e, in->p + at, in->n - at < step ? in->n - at : step, out, &err));
    assert_ok(wh_encode_end(e, out, &err));
    wh_encoder_free(e);
}

static void same(const struct wh_buf *a, const struct wh_buf *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->p ? a->p : "", b->p ? b->p : "", a->n);
}

/* Fails if we read other bytes than the tool packed, or the tool reads other bytes than we packed,
 * with buffers of any size. */
static void test_both_ways(void **state)
{
    static const size_t sizes[] = {0, 1, 100, 70000, 3000000};
    static const size_t steps[] = {1, 7, 4096, 1 << 20};
    for (size_t k = 0; k < CODECS; k++) {
        enum wh_codec c = codecs[k];
        char command[40];
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            struct wh_buf plain = WH_BUF(1 << 26), packed = WH_BUF(1 << 26), got = WH_BUF(1 << 26);
            struct wh_error err;
            make(&plain, sizes[i]);
            through(tools[c], &plain, &packed);
            size_t in_step = sizes[i] > 100000 ? 65536 : steps[rnd() & 3], out_step = in_step;
            if (unpack(c, &packed, in_step, out_step, &got, &err) != WH_END)
                fail_msg("%s", err.message);
            same(&plain, &got);
            wh_buf_clear(&packed);
            wh_buf_clear(&got);
            pack(c, &plain, 1 + rnd() % 100000, &packed);
            snprintf(command, sizeof command, "%s -dc", tools[c]);
            through(command, &packed, &got);
            same(&plain, &got);
            wh_buf_free(&plain);
            wh_buf_free(&packed);
            wh_buf_free(&got);
        }
    }
}

/* Fails if members behind one another are not one text, or what is no member passes. */
static void test_members(void **state)
{
    for (size_t k = 0; k < CODECS; k++) {
        enum wh_codec c = codecs[k];
        struct wh_buf a = WH_BUF(1 << 20), b = WH_BUF(1 << 20), both = WH_BUF(1 << 20),
                      packed = WH_BUF(1 << 20), got = WH_BUF(1 << 20);
        struct wh_error err;
        make(&a, 5000);
        make(&b, 300);
        assert_ok(wh_buf_add(&both, a.p, a.n));
        assert_ok(wh_buf_add(&both, b.p, b.n));
        pack(c, &a, 1000, &packed);
        pack(c, &b, 1000, &packed);
        assert_int_equal(unpack(c, &packed, 13, 17, &got, &err), WH_END);
        same(&both, &got);
        wh_buf_clear(&got);
        size_t n = packed.n;
        if (c == WH_CODEC_GZIP) { /* zeros that pad a block of tape are no damage */
            assert_ok(wh_buf_add(&packed, "\0\0\0\0", 4));
            assert_int_equal(unpack(c, &packed, 13, 17, &got, &err), WH_END);
            same(&both, &got);
            wh_buf_clear(&got);
            packed.n = n;
        }
        assert_ok(wh_buf_adds(&packed, "garbage behind the last member"));
        assert_int_equal(unpack(c, &packed, 13, 17, &got, &err), WH_E_DATA);
        assert_string_equal(err.code, "E4005");
        wh_buf_free(&a);
        wh_buf_free(&b);
        wh_buf_free(&both);
        wh_buf_free(&packed);
        wh_buf_free(&got);
    }
}

/* Fails if a cut input ends well, wherever it is cut. */
static void test_cut(void **state)
{
    for (size_t k = 0; k < CODECS; k++) {
        enum wh_codec c = codecs[k];
        struct wh_buf plain = WH_BUF(1 << 20), packed = WH_BUF(1 << 20), got = WH_BUF(1 << 20);
        struct wh_error err;
        make(&plain, 700);
        pack(c, &plain, 1000, &packed);
        for (size_t whole = packed.n; packed.n-- > 0;) {
            wh_buf_clear(&got);
            err = (struct wh_error){0};
            assert_int_equal(unpack(c, &packed, 50, 100, &got, &err), WH_E_DATA);
            if (strcmp(err.code, "E4004") != 0)
                fail_msg("%s: %zu of %zu bytes: %s %s", wh_codec_name(c), packed.n, whole, err.code,
                         err.message);
        }
        wh_buf_free(&plain);
        wh_buf_free(&packed);
        wh_buf_free(&got);
    }
}

/* Fails if a flipped bit gives another text without a word. */
static void test_damage(void **state)
{
    for (size_t k = 0; k < CODECS; k++) {
        enum wh_codec c = codecs[k];
        /* A damaged block of bzip2 may grow to 46 MB before its checksum tells. */
        struct wh_buf plain = WH_BUF(1 << 20), packed = WH_BUF(1 << 20), got = WH_BUF(1 << 26);
        struct wh_error err;
        make(&plain, 3000);
        pack(c, &plain, 1000, &packed);
        for (int i = 0; i < 500; i++) {
            size_t at = rnd() % packed.n;
            char bit = (char)(1 << (rnd() & 7));
            packed.p[at] ^= bit;
            wh_buf_clear(&got);
            int st = unpack(c, &packed, 64, 1000, &got, &err);
            /* Some bits of a gzip header (time, system) mean nothing. */
            if (st == WH_END)
                same(&plain, &got);
            else
                assert_int_equal(st, WH_E_DATA);
            packed.p[at] ^= bit;
        }
        wh_buf_free(&plain);
        wh_buf_free(&packed);
        wh_buf_free(&got);
    }
}

/* Fails if a name or first bytes are taken for another codec. */
static void test_names(void **state)
{
    static const struct {
        const char *name, *suffix;
        enum wh_codec codec;
        bool known;
    } cases[] = {
        {"a.csv.gz", ".gz", WH_CODEC_GZIP, true},    {"a.CSV.GZ", ".GZ", WH_CODEC_GZIP, true},
        {"a.csv.zst", ".zst", WH_CODEC_ZSTD, true},  {"a.csv", "", WH_CODEC_NONE, true},
        {"a.csv.bz2", ".bz2", WH_CODEC_BZIP2, true}, {".gz", "", WH_CODEC_NONE, true},
        {"a.csv.lz4", ".lz4", WH_CODEC_LZ4, true},   {"a.csv.xz", ".xz", WH_CODEC_NONE, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bool known;
        struct wh_str suffix;
        assert_int_equal(wh_codec_of_name(wh_str(cases[i].name), &known, &suffix), cases[i].codec);
        assert_int_equal(known, cases[i].known);
        assert_true(wh_str_eqs(suffix, cases[i].suffix));
    }
    assert_int_equal(wh_codec_of_bytes("\x1f\x8b", 2), WH_CODEC_GZIP);
    assert_int_equal(wh_codec_of_bytes("\x28\xb5\x2f\xfd", 4), WH_CODEC_ZSTD);
    assert_int_equal(wh_codec_of_bytes("BZh9", 4), WH_CODEC_BZIP2);
    assert_int_equal(wh_codec_of_bytes("BZh,", 4), WH_CODEC_NONE);
    assert_int_equal(wh_codec_of_bytes("\x04\x22\x4d\x18", 4), WH_CODEC_LZ4);
    assert_int_equal(wh_codec_of_bytes("a,b", 3), WH_CODEC_NONE);
}

/* Fails if a zlib stream is read as another text, or a cut, damaged or foreign one passes. */
static void test_deflate(void **state)
{
    static const char zlib[] = "python3 -c 'import sys,zlib; "
                               "sys.stdout.buffer.write(zlib.compress(sys.stdin.buffer.read()))'";
    struct wh_buf plain = WH_BUF(1 << 22), packed = WH_BUF(1 << 22), got = WH_BUF(1 << 22);
    struct wh_error err;
    assert_false(wh_codec_writes(WH_CODEC_DEFLATE));
    make(&plain, 200000);
    through(zlib, &plain, &packed);
    assert_int_equal(unpack(WH_CODEC_DEFLATE, &packed, 4096, 777, &got, &err), WH_END);
    same(&plain, &got);
    size_t whole = packed.n;
    for (packed.n = 0; packed.n < whole; packed.n += 1 + packed.n / 7) {
        wh_buf_clear(&got);
        assert_int_equal(unpack(WH_CODEC_DEFLATE, &packed, 4096, 4096, &got, &err), WH_E_DATA);
        assert_string_equal(err.code, "E4004");
    }
    packed.n = whole;
    packed.p[whole / 2] ^= 8;
    wh_buf_clear(&got);
    assert_int_equal(unpack(WH_CODEC_DEFLATE, &packed, 4096, 4096, &got, &err), WH_E_DATA);
    assert_string_equal(err.code, "E4005");
    assert_int_equal(unpack(WH_CODEC_DEFLATE, &plain, 4096, 4096, &got, &err), WH_E_DATA);
    assert_string_equal(err.code, "E4011");
    wh_buf_free(&plain);
    wh_buf_free(&packed);
    wh_buf_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_ways), cmocka_unit_test(test_members),
        cmocka_unit_test(test_cut),       cmocka_unit_test(test_damage),
        cmocka_unit_test(test_names),     cmocka_unit_test(test_deflate),
    };
    const char *given = getenv("WH_TEST_SEED");
    seed = given ? strtoull(given, NULL, 10) : (uint64_t)wh_now_ns();
    printf("seed %llu\n", (unsigned long long)seed);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
