/* SPDX-License-Identifier: Apache-2.0 */
/* JSON files through the contract. Each test fails if its sentence stops being true. */
#include "files_rig.h"

#define KV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void make_rows(struct wh_buf *b, int rows, const char *between)
{
    unsigned seed = 5;
    for (int i = 0; i < rows; i++) {
        seed = seed * 1103515245 + 12345;
        assert_ok(wh_buf_printf(b, "%s{\"id\":%d,\"t\":\"%*u ]}\\\"\",", i ? between : "", i,
                                (int)(seed >> 16 & 63), seed));
        assert_ok(wh_buf_printf(b, "\"d\":{\"x\":[%d,{\"y\":\"é%u\"}]},\"v\":%s}", i % 7, seed,
                                i % 5 ? "0.25" : "null"));
    }
}

static void read_whole(struct rig *r, const char *name, struct rig_scan *ret)
{
    rig_scan_open(ret, r, rig_path(r, name), NULL, 1 << 30);
    must(rig_read(ret, 0), ret->err);
}

/* Fails if ranges, cuts, another layout or a packed file give other rows than the plain lines. */
static void test_read_alike(void **state)
{
    static const struct {
        const char *name, *before, *between, *after;
    } files[] = {{"a.jsonl", "", "\n", "\n"},
                 {"b.json", "[", ",\n", "]"},
                 {"c.json", "\n ", " ", ""},
                 {"d.json", "", "\r\n", ""}};
    struct rig r;
    struct rig_scan whole, s;
    rig_open(&r);
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        struct wh_buf text = WH_BUF(1 << 26);
        assert_ok(wh_buf_adds(&text, files[i].before));
        make_rows(&text, 40000, files[i].between);
        assert_ok(wh_buf_adds(&text, files[i].after));
        rig_put(&r, files[i].name, text.p, text.n);
        wh_buf_free(&text);
    }
    char command[200];
    snprintf(command, sizeof command, "cd %s && gzip -k a.jsonl b.json", r.folder);
    FILE *f = popen(command, "r");
    assert_int_equal(pclose(f), 0);
    read_whole(&r, "a.jsonl", &whole);
    assert_int_equal(whole.rows, 40000);
    static const char *const names[] = {"a.jsonl", "b.json",     "c.json",
                                        "d.json",  "a.jsonl.gz", "b.json.gz"};
    for (int i = 0; i < 18; i++) {
        rig_scan_open(&s, &r, rig_path(&r, names[i % 6]), NULL, i % 3 ? 300007 : 1 << 30);
        rig_scan_reopen(&s);
        must(rig_read(&s, i / 6), s.err);
        assert_int_equal(s.rows, 40000);
        assert_string_equal(s.text.p, whole.text.p);
        assert_int_equal(s.corrected, 0);
        rig_scan_close(&s);
    }
    rig_scan_close(&whole);
    rig_close(&r);
}

/* Fails if a range of lines that begins anywhere loses or doubles one. */
static void test_ranges(void **state)
{
    static const char text[] = "{\"a\":1}\n\n{\"a\":22}\n\n\n{\"a\":333,\"b\":\"\\n\"}\n{\"a\":4}";
    struct rig r;
    rig_open(&r);
    rig_puts(&r, "a.ndjson", text);
    for (int64_t unit = 1; unit < (int64_t)sizeof text; unit++) {
        struct rig_scan s;
        rig_scan_open(&s, &r, rig_path(&r, "a.ndjson"), NULL, unit);
        must(rig_read(&s, 0), s.err);
        assert_string_equal(s.text.p, "1|NULL\n22|NULL\n333|\n\n4|NULL\n");
        rig_scan_close(&s);
    }
    rig_close(&r);
}

/* Fails if a place is no column, a type that is declared is not taken, or files of other keys are
 * read without a word. */
static void test_columns(void **state)
{
    static const char *const wanted[] = {"d.x.0", "id", "/d/x/1/y"};
    struct wh_map types = {0};
    struct wh_pair pair = {"id", "text"};
    struct rig r;
    struct rig_scan s;
    rig_open(&r);
    rig_puts(&r, "a.json", "[{\"id\":1.50,\"d\":{\"x\":[7,{\"y\":\"z\"}]}},{\"id\":\"a\"}]");
    rig_puts(&r, "b.jsonl", "{\"k\":1}\n");
    rig_puts(&r, "c.jsonl", "{\"k\":2}\n{\"l\":3}\n");
    rig_scan_prepare(&s, &r, rig_path(&r, "a.json"), NULL, 0);
    s.io.columns = wanted;
    s.io.n_columns = 3;
    types.v = &pair;
    types.n = 1;
    s.io.types = &types;
    rig_scan_run(&s);
    must(s.status, s.err);
    rig_scan_reopen(&s);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "7|1.50|z\nNULL|a|NULL\n");
    rig_scan_close(&s);
    rig_scan_open(&s, &r, rig_path(&r, "?.jsonl"), NULL, 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "1|NULL\n2|NULL\nNULL|3\n");
    rig_scan_close(&s);
    struct wh_buf text = WH_BUF(1 << 26);
    for (int i = 0; i < 500000; i++) /* too large to be looked at whole */
        assert_ok(wh_buf_adds(&text, i == 300001 ? "{\"k\":1,\"new\":2}\n" : "{\"k\":123456}\n"));
    rig_put(&r, "e.jsonl", text.p, text.n);
    wh_buf_free(&text);
    rig_scan_open(&s, &r, rig_path(&r, "e.jsonl"), NULL, 0);
    assert_int_equal(rig_read(&s, 0), WH_E_LIMIT);
    assert_string_equal(r.fake.reject_text, "a key that no column was made for: \"new\"");
    assert_string_equal(r.fake.reject_position, "e.jsonl line 300002, byte 3900013");
    rig_scan_close(&s);
    rig_scan_open(&s, &r, rig_path(&r, "e.jsonl"), KV("unknown_fields=drop"), 0);
    must(rig_read(&s, 0), s.err);
    assert_int_equal(s.rows, 500000);
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if a refusal has other words, or something is ignored instead. */
static void test_refusals(void **state)
{
    static const struct {
        const char *file, *text, *kv, *code, *words;
    } cases[] = {
        {"a.jsonl", "[{\"a\":1}]", NULL, "E4012", "begins with '['"},
        {"a.json", "id,name\n", NULL, "E4012", "begins with 'i', where an object or an array"},
        {"a.json", "", NULL, "E3007", "empty"},
        {"a.json", "[]", NULL, "E3007", "no object with a key"},
        {"a.json", "{\"a\":1}", "delimiter=;", "E1007", "delimiter is for csv"},
        {"a.json", "{\"a\":1}", "null_text=NA", "E1007", "null_text is for csv"},
        {"a.json", "{\"a\":\"\xd6\xd0\xce\xc4\"}", NULL, "E4006", "line 1, byte 6"},
    };
    struct rig r;
    rig_open(&r);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig_scan s;
        rig_puts(&r, cases[i].file, cases[i].text);
        rig_scan_open(&s, &r, rig_path(&r, cases[i].file), cases[i].kv ? KV(cases[i].kv) : NULL, 0);
        assert_true(s.status < 0);
        assert_string_equal(s.err.code, cases[i].code);
        if (!strstr(s.err.message, cases[i].words))
            fail_msg("%s: %s", cases[i].text, s.err.message);
        rig_scan_close(&s);
    }
    rig_close(&r);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

static void write_as(struct rig *r, struct rig_scan *s, const char *path, const char *const *kv)
{
    struct rig_target t;
    rig_target_open(&t, r, path, kv, &s->schema, WH_MODE_OVERWRITE);
    must(t.status, t.err);
    must(rig_phase(&t, WH_PREPARE, false), t.err);
    rig_write_all(&t, s);
    must(FILE_CONNECTOR->sink->verify(t.fl, r->se, &t.receipts, &t.fence, &t.err), t.err);
    must(rig_phase(&t, WH_PUBLISH, false), t.err);
    must(rig_phase(&t, WH_PUBLISH, true), t.err); /* done again it sees that it was done */
    must(FILE_CONNECTOR->sink->verify(t.fl, r->se, &t.receipts, &t.fence, &t.err), t.err);
    must(rig_phase(&t, WH_FINISH, false), t.err);
    rig_target_close(&t);
}

/* Fails if rows of many units, joined or in parts, packed or not, read back as others, or a part of
 * an array is no array. */
static void test_write(void **state)
{
    static const char *const outs[] = {"o.jsonl", "o.json", "o.json.gz", "o.json.zst",
                                       "o.jsonl.gz"};
    struct rig r;
    struct rig_scan whole, s, back;
    struct wh_buf text = WH_BUF(1 << 26);
    rig_open(&r);
    make_rows(&text, 5000, "\n");
    rig_put(&r, "a.jsonl", text.p, text.n);
    read_whole(&r, "a.jsonl", &whole);
    for (size_t i = 0; i < sizeof outs / sizeof *outs; i++) {
        rig_scan_open(&s, &r, rig_path(&r, "a.jsonl"), NULL, (int64_t)text.n / 7);
        write_as(&r, &s, rig_path(&r, outs[i]), NULL);
        rig_scan_close(&s);
        read_whole(&r, outs[i], &back);
        assert_string_equal(back.text.p, whole.text.p);
        rig_scan_close(&back);
    }
    rig_scan_open(&s, &r, rig_path(&r, "a.jsonl"), NULL, (int64_t)text.n / 3);
    write_as(&r, &s, rig_path(&r, "out/"),
             KV("format=json", "part_rows=1000", "success_file=true"));
    rig_scan_close(&s);
    size_t n = 0;
    char *part = rig_get(&r, "out/planes-00002.json", &n);
    assert_non_null(part);
    assert_memory_equal(part, "[\n{\"id\":1000,", 13);
    assert_memory_equal(part + n - 4, "}\n]\n", 4);
    wh_free(part);
    assert_true(rig_exists(&r, "out/_SUCCESS"));
    read_whole(&r, "out/planes-*.json", &back);
    assert_string_equal(back.text.p, whole.text.p);
    rig_scan_close(&back);
    rig_scan_close(&whole);
    wh_buf_free(&text);
    rig_close(&r);
}

/* Fails if a table without rows becomes no JSON, or options of CSV are ignored. */
static void test_write_empty(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct rig_target t;
    rig_open(&r);
    rig_puts(&r, "h.csv", "a,b\n");
    rig_scan_open(&s, &r, rig_path(&r, "h.csv"), NULL, 0);
    write_as(&r, &s, rig_path(&r, "e.json"), NULL);
    write_as(&r, &s, rig_path(&r, "e.jsonl"), NULL);
    char *text = rig_get(&r, "e.json", NULL);
    assert_string_equal(text, "[\n\n]\n");
    wh_free(text);
    text = rig_get(&r, "e.jsonl", NULL);
    assert_string_equal(text, "");
    wh_free(text);
    rig_target_open(&t, &r, rig_path(&r, "x.json"), KV("line_end=crlf"), &s.schema,
                    WH_MODE_OVERWRITE);
    assert_string_equal(t.err.code, "E1007");
    rig_target_close(&t);
    rig_scan_close(&s);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read_alike), cmocka_unit_test(test_ranges),
        cmocka_unit_test(test_columns),    cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_write),      cmocka_unit_test(test_write_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
