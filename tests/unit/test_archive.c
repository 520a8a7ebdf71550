/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of what tar archives hold, by bytes that no library writes; what Python's tarfile and
 * zipfile write is in tests/engine/archives.py. Each test fails if its
 * sentence stops being true. */
#include "test.h"

#include "formats/archive/archive.h"

struct list {
    struct wh_buf text;
    const char *p;
    size_t n;
};

static wh_status each(void *arg, const struct wh_archived *m, struct wh_error *reterr)
{
    struct list *l = arg;
    return wh_buf_printf(&l->text, "%.*s%s %lld %lld%s\n", WH_STR_FMT(m->name),
                         m->is_folder  ? " folder"
                         : m->is_other ? " other"
                         : m->refused  ? " refused"
                                       : "",
                         (long long)m->offset, (long long)m->size, m->has_crc ? "" : " passed");
}

/* ---- tar ------------------------------------------------------------------------------------- */

/* size: octal digits, or "=" and a byte for a binary number. */
static void block(struct wh_buf *b, const char *name, char kind, const char *size, bool gnu)
{
    uint8_t h[512] = {0};
    unsigned sum = 0;
    char told[9];
    memcpy(h, name, strlen(name));
    if (size[0] == '=') {
        h[124] = 0x80;
        h[135] = (uint8_t)size[1];
    } else {
        memcpy(h + 124, size, strlen(size) < 12 ? strlen(size) : 12);
    }
    h[156] = (uint8_t)kind;
    memcpy(h + 257, gnu ? "ustar  " : "ustar\00000", 8);
    memset(h + 148, ' ', 8);
    for (int i = 0; i < 512; i++)
        sum += h[i];
    snprintf(told, sizeof told, "%06o", sum);
    memcpy(h + 148, told, 7);
    assert_ok(wh_buf_add(b, h, 512));
}

static void body(struct wh_buf *b, const char *text)
{
    static const char zeros[512];
    size_t n = strlen(text);
    assert_ok(wh_buf_add(b, text, n));
    assert_ok(wh_buf_add(b, zeros, (512 - n % 512) % 512));
}

static void end(struct wh_buf *b)
{
    static const char zeros[1024];
    assert_ok(wh_buf_add(b, zeros, sizeof zeros));
}

static int tar_list(const struct wh_buf *b, size_t step, struct list *l, struct wh_error *err)
{
    struct wh_tar *t = wh_tar_new(each, l);
    int st = WH_OK;
    wh_buf_clear(&l->text);
    *err = (struct wh_error){0};
    assert_non_null(t);
    for (size_t at = 0; st == WH_OK && at < b->n; at += step)
        st = wh_tar_add(t, b->p + at, b->n - at < step ? b->n - at : step, err);
    if (st == WH_OK)
        st = wh_tar_end(t, err);
    wh_tar_free(t);
    return st;
}

/* Fails if a name, size or place is another one because of how it is told, or how the bytes come.
 */
static void test_tar(void **state)
{
    struct wh_buf b = WH_BUF(1 << 20);
    struct list l = {.text = WH_BUF(1 << 20)};
    struct wh_error err;
    static const size_t steps[] = {1, 511, 513, 1 << 20};
    block(&b, "plain.csv", '0', "00000000003", false);
    body(&b, "a\n1");
    block(&b, "x", 'x', "00000000032", false);
    body(&b, "17 path=long.csv\n9 size=2\n");
    block(&b, "short.csv", '0', "00000000000", false);
    body(&b, "b\n");
    block(&b, "././@LongLink", 'L', "00000000010", true);
    body(&b, "gnu.csv");
    block(&b, "cut.csv", 0, " 2 ", true);
    body(&b, "c\n");
    block(&b, "folder/", 0, "0", false);
    block(&b, "link", '2', "00000000777", false); /* a size that nothing follows */
    block(&b, "hard", '1', "00000000777", false);
    block(&b, "sparse", 'S', "00000000001", true);
    body(&b, "s");
    block(&b, "binary", '7', "=\4", false);
    body(&b, "four");
    end(&b);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        assert_ok(tar_list(&b, steps[i], &l, &err));
        assert_string_equal(l.text.p,
                            "plain.csv 512 3\nlong.csv 2560 2\ngnu.csv 4608 2\n"
                            "folder/ folder 5632 0\nlink other 6144 0\n"
                            "hard refused 6656 0\nsparse refused 7168 1\nbinary 8192 4\n");
    }
    wh_buf_free(&b);
    wh_buf_free(&l.text);
}

/* Fails if an archive that is cut, damaged, or told in a way that is not understood ends well. */
static void test_tar_broken(void **state)
{
    static const struct {
        char kind;
        const char *size, *body, *code, *words;
    } cases[] = {
        {'x', "00000000011", "9 pat=xy\n", NULL, NULL}, /* of no meaning to us */
        {'x', "00000000004", "4 x\n", "E4005", "a record of a pax header"},
        {'x', "00000000011", "99 path=x\n", "E4005", "a record of a pax header"},
        {'x', "00000000014", "12 size=12a\n", "E4005", "no number"},
        {'x', "00000000000", "", "E4005", "empty long header"},
        {'x', "00077777777", "", "E1014", "more than 1 MiB"},
        {'g', "00000000012", "10 path=x\n", "E1014", "for all members"},
        {'0', "00000000z00", "", "E4005", "no number"},
        {'0', "00000100000", "", "E4004", "end mark"},
        {'/', "00000000004", "rows", "E4005", "a folder has content"},
        {'M', "00000000000", "", "E1014", "volumes"},
        {'Q', "00000000000", "", "E1014", "not known"},
    };
    struct wh_buf b = WH_BUF(1 << 20);
    struct list l = {.text = WH_BUF(1 << 20)};
    struct wh_error err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        wh_buf_clear(&b);
        bool folder = cases[i].kind == '/';
        block(&b, folder ? "name/" : "name", folder ? '0' : cases[i].kind, cases[i].size, false);
        if (cases[i].body[0])
            body(&b, cases[i].body);
        if (!cases[i].code)
            block(&b, "a", '0', "0", false);
        end(&b);
        int st = tar_list(&b, 512, &l, &err);
        if (!cases[i].code && st == WH_OK)
            continue;
        if (st == WH_OK || strcmp(err.code, cases[i].code) != 0 ||
            !strstr(err.message, cases[i].words))
            fail_msg("case %zu: %s", i, err.message);
    }
    wh_buf_clear(&b);
    block(&b, "a", '0', "0", false);
    end(&b);
    b.p[3] = 'x';
    assert_int_equal(tar_list(&b, 512, &l, &err), WH_E_DATA);
    assert_string_equal(err.code, "E4011");
    wh_buf_clear(&b);
    end(&b);
    assert_ok(wh_buf_adds(&b, "more"));
    assert_int_equal(tar_list(&b, 512, &l, &err), WH_E_DATA);
    assert_non_null(strstr(err.message, "follows its end"));
    wh_buf_free(&b);
    wh_buf_free(&l.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_tar),
                                       cmocka_unit_test(test_tar_broken)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
