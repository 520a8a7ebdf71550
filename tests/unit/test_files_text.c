/* SPDX-License-Identifier: Apache-2.0 */
/* Text files in other charsets, written and read back. Each test fails if its sentence stops being
 * true. */
#include "files_rig.h"

#define KV(...) ((const char *const[]){__VA_ARGS__, NULL})

static int write_as(struct rig *r, struct rig_scan *s, const char *path, const char *const *kv,
                    struct wh_error *reterr)
{
    struct rig_target t;
    struct rig_scan again = *s;
    again.text = WH_BUF(1 << 26);
    rig_target_open(&t, r, path, kv, &s->schema, WH_MODE_OVERWRITE);
    if (t.status == WH_OK)
        must(rig_phase(&t, WH_PREPARE, false), t.err);
    struct wh_buf cursor = WH_BUF(1 << 16);
    int64_t id = 0;
    for (int st = t.status; st == WH_OK && t.status == WH_OK;) {
        struct wh_split split;
        struct wh_bytes at = {cursor.p, cursor.n}, after;
        st = FILE_CONNECTOR->source->split_next(s->sc, r->se, cursor.n ? &at : NULL, &split, &after,
                                                &t.err);
        if (st != WH_OK)
            break;
        struct wh_buf token = WH_BUF(1 << 16), next = WH_BUF(1 << 16);
        assert_ok(wh_buf_add(&token, split.token.p, split.token.n));
        assert_ok(wh_buf_add(&next, after.p, after.n));
        wh_buf_free(&cursor);
        cursor = next;
        split.token = (struct wh_bytes){token.p, token.n};
        t.status = rig_write_unit(&t, &again, &split, ++id, 1, true);
        wh_buf_free(&token);
    }
    wh_buf_free(&cursor);
    wh_buf_free(&again.text);
    if (t.status == WH_OK) {
        must(rig_phase(&t, WH_PUBLISH, false), t.err);
        must(rig_phase(&t, WH_FINISH, false), t.err);
    }
    int st = t.status;
    *reterr = t.err;
    rig_target_close(&t);
    return st;
}

static void make_rows(struct wh_buf *b, int rows, const char *more)
{
    assert_ok(wh_buf_adds(b, "id,n\xc3\xa4me,v\n"));
    for (int i = 0; i < rows; i++)
        assert_ok(wh_buf_printf(b, "%d,\"\xc3\xa9t\xc3\xa9 %d, \"\"%s\"\"\n\",%s\n", i, i * 7, more,
                                i % 3 ? "0.5" : ""));
}

/* Fails if rows that were written in a charset, in one file or in many units, packed or not, read
 * back as others; a mark tells UTF-16 and UTF-8 without a word. */
static void test_round_trip(void **state)
{
    static const struct {
        const char *to, *from, *more;
    } charsets[] = {
        {"gb18030", "gb18030", "\xe4\xb8\xad\xf0\x9f\x98\x80"},
        {"utf-16", NULL, "\xe4\xb8\xad\xf0\x9f\x98\x80"},
        {"UTF-16BE", "utf-16be", "\xe4\xb8\xad\xf0\x9f\x98\x80"},
        {"latin1", "iso-8859-1", "x"},
        {"utf-8-bom", NULL, "\xe4\xb8\xad\xf0\x9f\x98\x80"},
        {"utf-8", "utf-8", "\xe4\xb8\xad"},
        {"cp1252", "cp1252", "\xe2\x82\xac"},
    };
    static const char *const names[] = {"o.csv", "o.csv.gz", "o.jsonl", "o.json", "o.json.zst"};
    for (size_t i = 0; i < sizeof charsets / sizeof *charsets; i++) {
        struct rig r;
        struct rig_scan whole, s, back;
        struct wh_buf text = WH_BUF(1 << 26);
        struct wh_error err = {0};
        rig_open(&r);
        make_rows(&text, 2000, charsets[i].more);
        rig_put(&r, "a.csv", text.p, text.n);
        rig_scan_open(&whole, &r, rig_path(&r, "a.csv"), NULL, 1 << 30);
        must(rig_read(&whole, 0), whole.err);
        assert_int_equal(whole.rows, 2000);
        const char *to = wh_arena_printf(r.arena, "encoding=%s", charsets[i].to);
        const char *from =
            charsets[i].from ? wh_arena_printf(r.arena, "encoding=%s", charsets[i].from) : NULL;
        for (size_t k = 0; k < sizeof names / sizeof *names; k++) {
            rig_scan_open(&s, &r, rig_path(&r, "a.csv"), NULL, (int64_t)text.n / 5);
            must(write_as(&r, &s, rig_path(&r, names[k]), KV(to), &err), err);
            rig_scan_close(&s);
            rig_scan_open(&back, &r, rig_path(&r, names[k]), from ? KV(from) : NULL, 0);
            must(rig_read(&back, 0), back.err);
            assert_string_equal(back.schema.children[1]->name, "n\xc3\xa4me");
            assert_string_equal(back.text.p, whole.text.p);
            rig_scan_close(&back);
        }
        rig_scan_close(&whole);
        wh_buf_free(&text);
        rig_close(&r);
    }
}

/* Fails if the bytes are not those of the charset. */
static void test_bytes(void **state)
{
    static const struct {
        const char *kv, *bytes;
        size_t n;
    } cases[] = {
        {"encoding=gb18030", "a\n\xd6\xd0\n", 5},
        {"encoding=utf-16", "\xff\xfe\x61\0\n\0\x2d\x4e\n\0", 10},
        {"encoding=utf-8-bom", "\xef\xbb\xbf\x61\n\xe4\xb8\xad\n", 9},
    };
    struct rig r;
    struct rig_scan s;
    struct wh_error err = {0};
    rig_open(&r);
    rig_puts(&r, "a.csv", "a\n\xe4\xb8\xad\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        size_t n = 0;
        rig_scan_open(&s, &r, rig_path(&r, "a.csv"), NULL, 0);
        must(write_as(&r, &s, rig_path(&r, "o.csv"), KV(cases[i].kv), &err), err);
        rig_scan_close(&s);
        char *got = rig_get(&r, "o.csv", &n);
        assert_int_equal(n, cases[i].n);
        assert_memory_equal(got, cases[i].bytes, n);
        wh_free(got);
    }
    rig_close(&r);
}

/* Fails if a character that the charset lacks is written as something else, or an unknown charset
 * is taken for UTF-8. */
static void test_refusals(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct wh_error err = {0};
    rig_open(&r);
    rig_puts(&r, "a.csv", "a\nx\xe4\xb8\xady\n");
    rig_scan_open(&s, &r, rig_path(&r, "a.csv"), NULL, 0);
    assert_int_equal(write_as(&r, &s, rig_path(&r, "o.csv"), KV("encoding=latin1"), &err),
                     WH_E_DATA);
    assert_string_equal(err.code, "E6005");
    assert_non_null(strstr(err.message, "'latin1' has no character for what begins '\xe4\xb8\xad"));
    assert_false(rig_exists(&r, "o.csv"));
    assert_int_equal(write_as(&r, &s, rig_path(&r, "o.csv"), KV("encoding=klingon"), &err),
                     WH_E_USAGE);
    assert_string_equal(err.code, "E1002");
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if a packed file without a row is not one that other programs can unpack. */
static void test_empty_packed(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct wh_error err = {0};
    char command[200];
    rig_open(&r);
    rig_puts(&r, "a.csv", "a,b\n");
    rig_scan_open(&s, &r, rig_path(&r, "a.csv"), NULL, 0);
    must(write_as(&r, &s, rig_path(&r, "o.jsonl.gz"), NULL, &err), err);
    must(write_as(&r, &s, rig_path(&r, "o.json.zst"), NULL, &err), err);
    rig_scan_close(&s);
    snprintf(command, sizeof command, "cd %s && gzip -t o.jsonl.gz && zstd -qt o.json.zst",
             r.folder);
    FILE *f = popen(command, "r");
    assert_int_equal(pclose(f), 0);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_empty_packed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
