/* SPDX-License-Identifier: Apache-2.0 */
/* Zip archives of one file, made by Python's zipfile. Each test fails if its sentence stops being
 * true. */
#include "test.h"

#include <stdlib.h>
#include <unistd.h>

#include "formats/codec/codec.h"

/* Text in, archive out: `how` fills zipfile z with text t. */
static void archive(const char *how, const char *text, size_t n, struct wh_buf *out)
{
    char path[] = "/tmp/wherry-zip-XXXXXX", line[1500];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, n), n);
    close(fd);
    snprintf(line, sizeof line,
             "python3 -c 'import io,sys,zipfile\nt=open(\"%s\",\"rb\").read()\nb=io.BytesIO()\n"
             "D=zipfile.ZIP_DEFLATED\nz=zipfile.ZipFile(b,\"w\",D)\n%s\nz.close()\n"
             "sys.stdout.buffer.write(b.getvalue())'",
             path, how);
    FILE *f = popen(line, "r");
    wh_buf_clear(out);
    for (size_t k = 1; k; out->n += k) {
        assert_ok(wh_buf_reserve(out, 65536));
        k = fread(out->p + out->n, 1, 65536, f);
    }
    assert_int_equal(pclose(f), 0);
    unlink(path);
}

static int unpack(const void *p, size_t n, size_t in_step, size_t out_step, struct wh_buf *out,
                  struct wh_error *err)
{
    struct wh_decoder *d;
    size_t at = 0;
    int st = WH_OK;
    wh_buf_clear(out);
    *err = (struct wh_error){0};
    assert_ok(wh_decoder_new(WH_CODEC_ZIP, &d, err));
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

static void make(struct wh_buf *b, size_t n)
{
    for (size_t i = 0; b->n < n; i++)
        assert_ok(wh_buf_printf(b, "%zu,name %zu,2013-01-01\n", i, i * 7919 % 1000));
}

static const char *const forms[] = {
    "z.writestr(\"a.csv\",t)",
    "z.writestr(\"a.csv\",t,zipfile.ZIP_STORED)",
    "z.writestr(zipfile.ZipInfo(\"d/\"),b\"\")\nz.writestr(\"d/a.csv\",t)",
    /* sums and sizes behind the data, of 4 and of 8 bytes */
    "class W(io.RawIOBase):\n def writable(s): return True\n def write(s,d): return b.write(d)\n"
    "z=None\nb.seek(0)\nb.truncate()\nz=zipfile.ZipFile(W(),\"w\",D)\nz.writestr(\"a.csv\",t)",
    "with z.open(\"a.csv\",\"w\",force_zip64=True) as f: f.write(t)",
    "z.comment=b\"a comment\"\nz.writestr(\"a.csv\",t)",
};

/* Fails if a file is read as another text, with buffers of any size. */
static void test_forms(void **state)
{
    struct wh_buf text = WH_BUF(1 << 22), zip = WH_BUF(1 << 22), got = WH_BUF(1 << 22);
    struct wh_error err;
    static const size_t sizes[] = {0, 300000};
    for (size_t s = 0; s < 2; s++) {
        wh_buf_clear(&text);
        make(&text, sizes[s]);
        for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
            archive(forms[i], text.p ? text.p : "", text.n, &zip);
            for (size_t step = 1; step < 100000; step = step * 10 + 3) {
                if (unpack(zip.p, zip.n, step, step * 2, &got, &err) != WH_END)
                    fail_msg("form %zu, %zu bytes: %s", i, text.n, err.message);
                assert_int_equal(got.n, text.n);
                if (text.n)
                    assert_memory_equal(got.p, text.p, text.n);
            }
            if (i != 3)
                assert_int_equal(wh_codec_of_bytes(zip.p, zip.n), WH_CODEC_ZIP);
        }
    }
    wh_buf_free(&text);
    wh_buf_free(&zip);
    wh_buf_free(&got);
}

/* Fails if a cut archive ends well, wherever it is cut, or a flipped bit gives another text. */
static void test_cut_and_flipped(void **state)
{
    struct wh_buf text = WH_BUF(1 << 20), zip = WH_BUF(1 << 20), got = WH_BUF(1 << 20);
    struct wh_error err;
    make(&text, 400);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        archive(forms[i], text.p, text.n, &zip);
        for (size_t n = 0; n < zip.n; n++) {
            assert_int_equal(unpack(zip.p, n, 50, 100, &got, &err), WH_E_DATA);
            assert_string_equal(err.code, "E4004");
        }
        for (size_t at = 0; at < zip.n * 8; at++) {
            zip.p[at / 8] ^= (char)(1 << at % 8);
            int st = unpack(zip.p, zip.n, 64, 1000, &got, &err);
            zip.p[at / 8] ^= (char)(1 << at % 8);
            assert_true(st == WH_END || st == WH_E_DATA || st == WH_E_UNSUPPORTED);
            if (st == WH_END && (got.n != text.n || memcmp(got.p, text.p, text.n) != 0))
                fail_msg("form %zu, bit %zu: another text", i, at);
        }
        assert_ok(wh_buf_adds(&zip, "x"));
        assert_int_equal(unpack(zip.p, zip.n, 64, 1000, &got, &err), WH_E_DATA);
        assert_string_equal(err.code, "E4005");
    }
    wh_buf_free(&text);
    wh_buf_free(&zip);
    wh_buf_free(&got);
}

/* Fails if an archive that is not read here is not refused with its reason. */
static void test_refused(void **state)
{
    static const struct {
        const char *how, *why;
    } cases[] = {
        {"z.writestr(\"a.csv\",t)\nz.writestr(\"b.csv\",t)", "more than one file"},
        {"z.writestr(\"a.csv\",t,zipfile.ZIP_BZIP2)", "another method"},
        {"pass", "no file"},
        {"z.writestr(zipfile.ZipInfo(\"d/\"),b\"\")", "no file"},
    };
    struct wh_buf zip = WH_BUF(1 << 20), got = WH_BUF(1 << 20);
    struct wh_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        archive(cases[i].how, "id\n1\n", 5, &zip);
        assert_int_equal(unpack(zip.p, zip.n, 64, 1000, &got, &err), WH_E_UNSUPPORTED);
        assert_string_equal(err.code, "E1014");
        assert_non_null(strstr(err.message, cases[i].why));
    }
    archive("z.writestr(\"a.csv\",t)", "id\n1\n", 5, &zip);
    zip.p[6] |= 1; /* as encrypted ones are marked */
    assert_int_equal(unpack(zip.p, zip.n, 64, 1000, &got, &err), WH_E_UNSUPPORTED);
    assert_non_null(strstr(err.message, "encrypted"));
    assert_int_equal(unpack("id,name\n1,x\n", 12, 12, 100, &got, &err), WH_E_DATA);
    assert_string_equal(err.code, "E4011");
    wh_buf_free(&zip);
    wh_buf_free(&got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_cut_and_flipped),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
