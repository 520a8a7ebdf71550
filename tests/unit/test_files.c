/* SPDX-License-Identifier: Apache-2.0 */
/* The file connector through the contract. Each test fails if its sentence stops being true. */
#include "files_rig.h"

#define KV(...) ((const char *const[]){__VA_ARGS__, NULL})

static void expect_types(const struct rig_scan *s, const char *want)
{
    struct wh_buf got = WH_BUF(1 << 16);
    for (int64_t i = 0; i < s->schema.n_children; i++) {
        struct wh_type t;
        struct wh_error err;
        assert_ok(wh_type_of(s->schema.children[i], &t, &err));
        assert_ok(wh_buf_printf(&got, "%s%s ", i ? ", " : "", s->schema.children[i]->name));
        assert_ok(wh_type_print(&t, &got));
    }
    assert_string_equal(got.p, want);
    wh_buf_free(&got);
}

/* Fails if a plain file is read otherwise than it stands. */
static void test_read(void **state)
{
    struct rig r;
    struct rig_scan s;
    rig_open(&r);
    rig_puts(&r, "a.csv", "id,name,at\n1,x,2024-01-01\n2,NA,NA\n");
    rig_scan_open(&s, &r, rig_path(&r, "a.csv"), NULL, 0);
    must(s.status, s.err);
    expect_types(&s, "id int64, name utf8, at date");
    assert_string_equal(s.io.note, "NA = NULL");
    assert_int_equal(s.io.sampled_rows, 2);
    assert_true(s.io.resumable);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "1|x|2024-01-01\n2|NULL|NULL\n");
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if globs, folders, lists or packed files are taken otherwise than INTERFACE 1 says. */
static void test_many_files(void **state)
{
    struct rig r;
    struct rig_scan s;
    rig_open(&r);
    assert_int_equal(mkdir(rig_path(&r, "in"), 0777), 0);
    assert_int_equal(mkdir(rig_path(&r, "in/deep"), 0777), 0);
    rig_puts(&r, "in/b_2.csv", "a,b\n2,y\n");
    rig_puts(&r, "in/b_1.csv", "b,a\nx,1\n"); /* the header decides, not the place */
    rig_puts(&r, "in/deep/b_3.csv", "a,b\n3,z\n");
    rig_puts(&r, "in/_b_4.csv", "a,b\n4,w\n");
    rig_puts(&r, "in/README", "no data\n");
    rig_scan_open(&s, &r, rig_path(&r, "in/b_*.csv"), NULL, 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "x|1\ny|2\n");
    rig_scan_close(&s);
    rig_scan_open(&s, &r, rig_path(&r, "in"), NULL, 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "x|1\ny|2\n");
    assert_string_equal(s.io.note,
                        "1 files of other kinds left out; 1 hidden files left out (hidden=true)");
    rig_scan_close(&s);
    rig_scan_open(&s, &r, rig_path(&r, "in/**"), KV("exclude=README"), 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "x|1\ny|2\nz|3\n");
    rig_scan_close(&s);
    rig_scan_open(&s, &r, rig_path(&r, "in/deep/b_3.csv"),
                  KV(wh_arena_printf(r.arena, "path=%s", rig_path(&r, "in/b_2.csv"))), 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "3|z\n2|y\n");
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if a refusal has other words, or something is ignored instead. */
static void test_refusals(void **state)
{
    static const struct {
        const char *file, *kv, *code, *words;
    } cases[] = {
        {"x.xlsx", NULL, "E1024", "save as CSV"},
        {"x.parquet", NULL, "E1024", "Parquet is not built yet"},
        {"x.csv.xz", NULL, "E1014", ".xz is not built yet"},
        {"x.csv.tar", NULL, "E4004", "end mark is missing"},
        {"x.dat", NULL, "E1024", "does not tell the format"},
        {"x.csv", "encrypt=aes", "E1002", "no key of 256 bits"},
        {"x.csv.enc", NULL, "E1024", "does not tell the format"},
        {"x.csv", "delimiter=\"", "E1007", "must differ"},
        {"none.csv", NULL, "E4001", "none.csv"},
        {"no/none.csv", NULL, "E2012", "no/"},
        {"empty.csv", NULL, "E3007", "empty"},
        {"bad.csv", NULL, "E4006", "line 2, byte 4"},
    };
    struct rig r;
    rig_open(&r);
    rig_puts(&r, "x.xlsx", "x");
    rig_puts(&r, "x.parquet", "x");
    rig_puts(&r, "x.csv.xz", "x");
    rig_puts(&r, "x.csv.tar", "x");
    rig_puts(&r, "x.dat", "x");
    rig_puts(&r, "x.csv.enc", "x");
    rig_puts(&r, "x.csv", "a\n1\n");
    rig_puts(&r, "empty.csv", "");
    rig_puts(&r, "bad.csv", "a,b\n\xd6\xd0\xce\xc4,1\n");
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig_scan s;
        rig_scan_open(&s, &r, rig_path(&r, cases[i].file), cases[i].kv ? KV(cases[i].kv) : NULL, 0);
        assert_true(s.status < 0);
        assert_string_equal(s.err.code, cases[i].code);
        if (!strstr(s.err.message, cases[i].words))
            fail_msg("%s: %s", cases[i].file, s.err.message);
        if (!strcmp(cases[i].file, "bad.csv"))
            assert_string_equal(s.err.hint, "it could be gb18030: --from encoding=gb18030");
        rig_scan_close(&s);
    }
    rig_close(&r);
}

/* Fails if another charset's text arrives changed. */
static void test_encodings(void **state)
{
    struct rig r;
    struct rig_scan s;
    rig_open(&r);
    rig_puts(&r, "g.csv", "a,b\n\xd6\xd0\xce\xc4,1\n");
    rig_scan_open(&s, &r, rig_path(&r, "g.csv"), KV("encoding=gb18030"), 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "\xe4\xb8\xad\xe6\x96\x87|1\n");
    rig_scan_close(&s);
    rig_put(&r, "u.csv",
            "\xff\xfe"
            "a\0,\0b\0\r\0\n\0-N,\0"
            "1\0\r\0\n\0",
            22);
    rig_scan_open(&s, &r, rig_path(&r, "u.csv"), NULL, 0);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "\xe4\xb8\xad|1\n");
    assert_string_equal(s.schema.children[0]->name, "a");
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if a row that does not fit is lost, or its place is wrong. */
static void test_dirty(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct wh_buf text = WH_BUF(1 << 24);
    rig_open(&r);
    assert_ok(wh_buf_adds(&text, "a,b\n"));
    for (int i = 0; i < 20000; i++)
        assert_ok(wh_buf_printf(&text, "%d,v%d\n", i, i));
    size_t at = text.n;
    assert_ok(wh_buf_adds(&text, "x1,late\n7,end\n"));
    rig_put(&r, "d.csv", text.p, text.n);
    for (int i = 0; i < 600000; i++) /* now too large to be looked at whole */
        assert_ok(wh_buf_printf(&text, "%d,v\n", i));
    assert_ok(wh_buf_adds(&text, "007,v\n"));
    for (int i = 0; i < 50000; i++)
        assert_ok(wh_buf_printf(&text, "%d,v\n", i));
    rig_put(&r, "d.csv", text.p, text.n);
    r.fake.reject_limit = 2;
    rig_scan_open(&s, &r, rig_path(&r, "d.csv"), NULL, 0);
    expect_types(&s, "a int64, b utf8");
    must(rig_read(&s, 0), s.err);
    assert_int_equal(s.rows, 670001);
    assert_int_equal(r.fake.rejects, 2);
    assert_string_equal(r.fake.reject_raw, "007,v");
    assert_string_equal(r.fake.reject_text, "column 'a': '007' would be changed by type int64");
    rig_scan_close(&s);
    r.fake.rejects = 0;
    rig_scan_open(&s, &r, rig_path(&r, "d.csv"), NULL, 0);
    s.io.limit = 0;
    r.fake.reject_limit = 0;
    assert_int_equal(rig_read(&s, 0), WH_E_LIMIT);
    assert_string_equal(r.fake.reject_raw, "x1,late");
    assert_string_equal(r.fake.reject_position,
                        wh_arena_printf(r.arena, "d.csv line 20002, byte %zu", at));
    assert_string_equal(r.fake.reject_text, "column 'a': 'x1' is not a value of type int64");
    rig_scan_close(&s);
    r.fake.rejects = r.fake.reject_limit = 0;
    rig_scan_open(&s, &r, rig_path(&r, "d.csv"), NULL, 0);
    assert_int_equal(rig_read(&s, 0), WH_E_LIMIT);
    rig_scan_close(&s);
    wh_buf_free(&text);
    rig_close(&r);
}

/* Fails if a changed file is read as if it were the planned one. */
static void test_changed(void **state)
{
    struct rig r;
    struct rig_scan s;
    rig_open(&r);
    rig_puts(&r, "a.csv", "a\n1\n");
    rig_scan_open(&s, &r, rig_path(&r, "a.csv"), NULL, 0);
    rig_scan_reopen(&s);
    must(s.status, s.err);
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "1\n");
    rig_puts(&r, "a.csv", "a\n1\n2\n");
    assert_int_equal(rig_read(&s, 0), WH_E_DATA);
    assert_string_equal(s.err.code, "E4007");
    rig_scan_reopen(&s);
    assert_string_equal(s.err.code, "E4007");
    assert_non_null(strstr(s.err.message, "a.csv"));
    rig_scan_close(&s);
    rig_close(&r);
}

/* ---- ranges -----------------------------------------------------------------------------------
 */

/* Rows with newlines, delimiters and quotes inside quotes; evil 1: a text in quotes that looks like
 * many good records, longer than what a guess looks at; evil 2: like records with bad values. */
static void make_rows(struct wh_buf *b, int rows, unsigned seed, int evil)
{
    assert_ok(wh_buf_adds(b, "id,text,v\n"));
    for (int i = 0; i < rows; i++) {
        seed = seed * 1103515245 + 12345;
        unsigned kind = seed >> 16 & 7;
        if (evil && i == 1250) {
            assert_ok(wh_buf_printf(b, "%d,\"", i));
            for (int k = 0; k < 12000; k++)
                assert_ok(wh_buf_printf(b, evil == 1 ? "%d,fake,%d\n" : "x%d,fake,y%d\n", k, k));
            assert_ok(wh_buf_printf(b, "\",%d\n", i));
        } else if (kind == 0) {
            assert_ok(wh_buf_printf(b, "%d,\"line\n\nend, \"\"q\"\"\",%d\r\n", i, i * 2));
        } else if (kind == 1) {
            assert_ok(wh_buf_printf(b, "%d,12\" monitor,%d\n", i, i * 2));
        } else {
            assert_ok(wh_buf_printf(b, "%d,plain %u,%d\n", i, seed, i * 2));
        }
    }
}

static void compare_ranges(struct rig *r, const char *name, int64_t unit, int cut_after,
                           struct rig_scan *whole, int64_t *ret_corrected)
{
    struct rig_scan s;
    rig_scan_open(&s, r, rig_path(r, name), NULL, unit);
    must(s.status, s.err);
    assert_true(s.io.chained);
    must(rig_read(&s, cut_after), s.err);
    assert_true(s.splits > 1);
    assert_int_equal(s.rows, whole->rows);
    assert_true(s.sum.sum.lo == whole->sum.sum.lo && s.sum.sum.hi == whole->sum.sum.hi);
    assert_string_equal(s.text.p, whole->text.p);
    *ret_corrected += s.corrected + s.retried;
    rig_scan_close(&s);
}

/* Fails if cutting a file into ranges, or a range into rests, loses, doubles or splits a record. */
static void test_ranges(void **state)
{
    for (int evil = 0; evil <= 2; evil++) {
        struct rig r;
        struct rig_scan whole;
        struct wh_buf text = WH_BUF(1 << 26);
        int64_t corrected = 0;
        rig_open(&r);
        r.fake.reject_limit = 0;
        make_rows(&text, 3000, 7 + (unsigned)evil, evil);
        rig_put(&r, "f.csv", text.p, text.n);
        rig_scan_open(&whole, &r, rig_path(&r, "f.csv"), NULL, 1 << 30);
        must(rig_read(&whole, 0), whole.err);
        assert_int_equal(whole.rows, 3000);
        for (int64_t unit = 997; unit < 9000; unit += 1999)
            compare_ranges(&r, "f.csv", unit, 0, &whole, &corrected);
        compare_ranges(&r, "f.csv", 30011, 1, &whole, &corrected);
        if (evil ? !corrected : corrected != 0)
            fail_msg("%d corrected, evil %d", (int)corrected, evil);
        rig_scan_close(&whole);
        wh_buf_free(&text);
        rig_close(&r);
    }
}

/* Fails if a packed file that was cut is not gone on with where it was cut. */
static void test_cut_packed(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct wh_buf text = WH_BUF(1 << 26);
    char command[300];
    rig_open(&r);
    make_rows(&text, 60000, 3, 0);
    rig_put(&r, "p.csv", text.p, text.n);
    struct rig_scan whole;
    rig_scan_open(&whole, &r, rig_path(&r, "p.csv"), NULL, 0);
    must(rig_read(&whole, 0), whole.err);
    snprintf(command, sizeof command, "cd %s && gzip -k p.csv && zstd -q p.csv", r.folder);
    FILE *f = popen(command, "r");
    assert_int_equal(pclose(f), 0);
    static const char *const names[] = {"p.csv.gz", "p.csv.zst"};
    for (int i = 0; i < 4; i++) {
        r.fake.helpers = i < 2;
        rig_scan_open(&s, &r, rig_path(&r, names[i % 2]), NULL, 0);
        must(rig_read(&s, 1), s.err);
        assert_int_equal(s.rows, 60000);
        assert_string_equal(s.text.p, whole.text.p);
        rig_scan_close(&s);
    }
    rig_scan_close(&whole);
    wh_buf_free(&text);
    rig_close(&r);
}

/* Fails if another process does not find the place where a packed file was cut. */
static void test_cut_elsewhere(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct wh_buf text = WH_BUF(1 << 26), token = WH_BUF(1 << 16), end = WH_BUF(1 << 16);
    char command[300];
    const struct wh_source_ops *ops = FILE_CONNECTOR->source;
    rig_open(&r);
    make_rows(&text, 60000, 3, 0);
    rig_put(&r, "p.csv", text.p, text.n);
    snprintf(command, sizeof command, "cd %s && gzip p.csv", r.folder);
    FILE *f = popen(command, "r");
    assert_int_equal(pclose(f), 0);
    rig_scan_open(&s, &r, rig_path(&r, "p.csv.gz"), NULL, 0);
    must(s.status, s.err);
    struct wh_split split, rest;
    struct wh_bytes cursor;
    struct ArrowSchema actual = {0};
    struct wh_batch b = {0};
    void *rd = wh_calloc(1, ops->rd_size);
    must(ops->split_next(s.sc, r.se, NULL, &split, &cursor, &s.err), s.err);
    must(ops->reader_open(rd, s.sc, r.se, &r.fake.ctx, &split, &actual, &s.err), s.err);
    must(ops->reader_next(rd, &b, &s.err), s.err);
    int64_t first = b.n_rows;
    wh_batch_release(&b);
    must(ops->reader_cut(rd, &rest, NULL, &s.err), s.err);
    assert_ok(wh_buf_add(&token, rest.token.p, rest.token.n));
    ops->reader_close(rd);
    wh_free(rd);
    rig_scan_reopen(&s);
    must(s.status, s.err);
    rest.token = (struct wh_bytes){token.p, token.n};
    must(rig_read_split(&s, &rest, &end, 0), s.err);
    assert_int_equal(s.rows, 60000 - first);
    snprintf(command, sizeof command, "%d|", (int)first);
    assert_memory_equal(s.text.p, command, strlen(command));
    rig_scan_close(&s);
    wh_buf_free(&text);
    wh_buf_free(&token);
    wh_buf_free(&end);
    rig_close(&r);
}

/* Fails if a declared type is not taken, or null words beside it are not found. */
static void test_declared(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct wh_pair pairs[] = {{"a", "decimal(10,2)"}, {"b", "utf8"}, {"c", "timestamp(us)"}};
    struct wh_map types = {pairs, 3};
    rig_open(&r);
    rig_puts(&r, "t.csv", "a,b,c,d\n1.50,1,2024-01-01 10:00:00,1\nNA,2,NA,2\n");
    rig_scan_open(&s, &r, rig_path(&r, "t.csv"), NULL, 0);
    rig_scan_close(&s);
    rig_scan_prepare(&s, &r, rig_path(&r, "t.csv"), NULL, 0);
    s.io.types = &types;
    rig_scan_run(&s);
    must(s.status, s.err);
    expect_types(&s, "a decimal(10,2), b utf8, c timestamp(us), d int64");
    must(rig_read(&s, 0), s.err);
    assert_string_equal(s.text.p, "1.50|1|2024-01-01 10:00:00|1\nNULL|2|NULL|2\n");
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if cut or damaged packed data ends as if it were complete. */
static void test_damaged_packed(void **state)
{
    static const char *const names[] = {"p.csv.gz", "p.csv.zst"};
    struct rig r;
    struct wh_buf text = WH_BUF(1 << 26);
    char command[300];
    rig_open(&r);
    make_rows(&text, 300000, 3, 0);
    rig_put(&r, "p.csv", text.p, text.n);
    snprintf(command, sizeof command, "cd %s && gzip -k p.csv && zstd -q p.csv", r.folder);
    FILE *f = popen(command, "r");
    assert_int_equal(pclose(f), 0);
    for (int i = 0; i < 2; i++) {
        size_t n = 0;
        struct rig_scan s;
        char *p = rig_get(&r, names[i], &n);
        rig_put(&r, names[i], p, n - 5);
        rig_scan_open(&s, &r, rig_path(&r, names[i]), NULL, 0);
        assert_int_equal(rig_read(&s, 0), WH_E_DATA);
        assert_string_equal(s.err.code, "E4004");
        rig_scan_close(&s);
        p[n * 3 / 4] ^= 0x55;
        rig_put(&r, names[i], p, n);
        rig_scan_open(&s, &r, rig_path(&r, names[i]), NULL, 0);
        assert_true(rig_read(&s, 0) < 0);
        if (strcmp(s.err.code, "E4005") != 0 && strncmp(s.err.code, "E6", 2) != 0)
            fail_msg("%s: %s", s.err.code, s.err.message);
        rig_scan_close(&s);
        wh_free(p);
    }
    wh_buf_free(&text);
    rig_close(&r);
}

/* ---- writing ----------------------------------------------------------------------------------
 */

/* Fails if something shows before PUBLISH, a value changes, or a second PUBLISH harms. */
static void test_write_file(void **state)
{
    static const struct {
        const char *name;
        int64_t unit; /* small: several units are joined */
    } cases[] = {{"out.csv", 1 << 30},
                 {"out.csv", 20000},
                 {"sub/er/out.csv.gz", 20000},
                 {"out.csv.zst", 20000},
                 {"out.tsv", 1 << 30}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        struct rig_scan s, back;
        struct rig_target t;
        struct wh_buf text = WH_BUF(1 << 26);
        rig_open(&r);
        make_rows(&text, 3000, 5, 0);
        rig_put(&r, "f.csv", text.p, text.n);
        rig_scan_open(&s, &r, rig_path(&r, "f.csv"), NULL, cases[i].unit);
        must(s.status, s.err);
        rig_target_open(&t, &r, rig_path(&r, cases[i].name), NULL, &s.schema, WH_MODE_APPEND);
        must(t.status, t.err);
        assert_int_equal(t.io.commit_class, WH_CLASS_P);
        must(rig_phase(&t, WH_PREPARE, false), t.err);
        must(rig_phase(&t, WH_PREPARE, true), t.err);
        rig_write_all(&t, &s);
        assert_false(rig_exists(&r, cases[i].name));
        must(FILE_CONNECTOR->sink->verify(t.fl, r.se, &t.receipts, &t.fence, &t.err), t.err);
        must(rig_phase(&t, WH_PUBLISH, false), t.err);
        must(rig_phase(&t, WH_PUBLISH, true), t.err);
        must(FILE_CONNECTOR->sink->verify(t.fl, r.se, &t.receipts, &t.fence, &t.err), t.err);
        must(rig_phase(&t, WH_FINISH, false), t.err);
        must(rig_phase(&t, WH_FINISH, true), t.err);
        must(rig_phase(&t, WH_PUBLISH, true), t.err);
        assert_false(rig_exists(&r, ".wherry-0123456789ab"));
        assert_false(rig_exists(&r, "sub/er/.wherry-0123456789ab"));
        rig_scan_open(&back, &r, rig_path(&r, cases[i].name), NULL, 0);
        must(rig_read(&back, 0), back.err);
        assert_string_equal(back.text.p, s.text.p);
        assert_true(back.sum.sum.lo == s.sum.sum.lo && back.sum.sum.hi == s.sum.sum.hi);
        rig_target_close(&t);
        rig_target_open(&t, &r, rig_path(&r, cases[i].name), NULL, &s.schema, WH_MODE_APPEND);
        assert_string_equal(t.err.code, "E5007");
        rig_target_close(&t);
        rig_scan_close(&back);
        rig_scan_close(&s);
        wh_buf_free(&text);
        rig_close(&r);
    }
}

struct written {
    int unit;
    bool recorded; /* its receipt counts */
};

/* Writes the units of a scan in this order, a unit that is not recorded as an attempt before. */
static void write_units(struct rig_target *t, struct rig_scan *s, const struct written *v, int n)
{
    struct wh_buf tokens[RIG_UNITS], cursor = WH_BUF(1 << 16);
    struct wh_split split;
    struct wh_bytes after;
    int n_splits = 0;
    for (;; n_splits++) {
        struct wh_bytes at = {cursor.p, cursor.n};
        int st = FILE_CONNECTOR->source->split_next(s->sc, t->r->se, cursor.n ? &at : NULL, &split,
                                                    &after, &t->err);
        if (st == WH_END)
            break;
        must(st, t->err);
        struct wh_buf next = WH_BUF(1 << 16);
        tokens[n_splits] = WH_BUF(1 << 16);
        assert_ok(wh_buf_add(&tokens[n_splits], split.token.p, split.token.n));
        assert_ok(wh_buf_add(&next, after.p, after.n));
        wh_buf_free(&cursor);
        cursor = next;
    }
    assert_int_equal(n_splits, 5);
    for (int i = 0; i < n; i++) {
        const struct wh_buf *token = &tokens[v[i].unit - 1];
        split = (struct wh_split){.token = {token->p, token->n}};
        must(rig_write_unit(t, s, &split, v[i].unit, v[i].recorded ? 2 : 1, true), t->err);
        if (!v[i].recorded)
            wh_free((void *)(uintptr_t)t->got[--t->receipts.n].receipt.p);
    }
    for (int i = 0; i < n_splits; i++)
        wh_buf_free(&tokens[i]);
    wh_buf_free(&cursor);
    for (int64_t i = 1; i < t->receipts.n; i++) /* receipts come in the order of units */
        for (int64_t k = i; k && t->got[k].unit < t->got[k - 1].unit; k--) {
            struct wh_receipt higher = t->got[k - 1];
            t->got[k - 1] = t->got[k];
            t->got[k] = higher;
        }
}

/* Fails if a file that was joined while its units came in has other rows, or another order, than
 * the recorded receipts, or if it is not joined meanwhile. */
static void test_join(void **state)
{
    static const struct {
        struct written v[8];
        int n;
        bool begun; /* something was joined before PUBLISH */
    } cases[] = {
        {{{1, true}, {2, true}, {3, true}, {4, true}, {5, true}}, 5, true},
        {{{3, true}, {5, true}, {2, true}, {1, true}, {4, true}}, 5, true},
        {{{2, true}, {3, true}, {4, true}, {5, true}}, 4, false},
        {{{1, true}, {2, true}, {4, true}, {5, true}}, 4, true},
        {{{1, true}, {2, false}, {3, true}, {2, true}, {4, true}, {5, true}}, 6, true},
        {{{1, true}, {2, true}, {3, false}}, 3, true}, /* more was joined than counts */
        {{{1, false}, {2, false}, {1, true}, {2, true}}, 4, true},
        {{{1, true}}, 1, false}, /* the part is the file */
    };
    const char publish[] = ".wherry-0123456789ab/f1.g1.e1.publish";
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct rig r;
        struct rig_scan s, back, whole;
        struct rig_target t;
        struct wh_buf text = WH_BUF(1 << 26);
        rig_open(&r);
        make_rows(&text, 3000, 5, 0);
        rig_put(&r, "f.csv", text.p, text.n);
        rig_scan_open(&s, &r, rig_path(&r, "f.csv"), NULL, (int64_t)text.n / 5 + 1);
        must(s.status, s.err);
        rig_target_open(&t, &r, rig_path(&r, "out.csv"), NULL, &s.schema, WH_MODE_APPEND);
        must(t.status, t.err);
        must(rig_phase(&t, WH_PREPARE, false), t.err);
        write_units(&t, &s, cases[i].v, cases[i].n);
        assert_int_equal(rig_exists(&r, publish), cases[i].begun);
        must(FILE_CONNECTOR->sink->verify(t.fl, r.se, &t.receipts, &t.fence, &t.err), t.err);
        must(rig_phase(&t, WH_PUBLISH, false), t.err);
        must(rig_phase(&t, WH_PUBLISH, true), t.err);
        assert_false(rig_exists(&r, publish));
        rig_scan_open(&back, &r, rig_path(&r, "out.csv"), NULL, 0);
        must(rig_read(&back, 0), back.err);
        /* The same from a target that sees all units in order and joins nothing before. */
        struct rig_target again;
        rig_target_open(&again, &r, rig_path(&r, "again.csv"), NULL, &s.schema, WH_MODE_APPEND);
        again.receipts.n = t.receipts.n;
        for (int64_t k = 0; k < t.receipts.n; k++) {
            again.got[k] = t.got[k];
            again.got[k].receipt.p = wh_strndup(t.got[k].receipt.p, t.got[k].receipt.n);
        }
        if (again.receipts.n > 1) {
            must(rig_phase(&again, WH_PUBLISH, false), again.err);
            rig_scan_open(&whole, &r, rig_path(&r, "again.csv"), NULL, 0);
            must(rig_read(&whole, 0), whole.err);
            assert_string_equal(back.text.p, whole.text.p);
            rig_scan_close(&whole);
        }
        int64_t rows = 0;
        for (int64_t k = 0; k < t.receipts.n; k++)
            rows += t.got[k].rows;
        assert_int_equal(back.sum.rows, rows);
        rig_target_close(&again);
        must(rig_phase(&t, WH_FINISH, false), t.err);
        assert_false(rig_exists(&r, ".wherry-0123456789ab"));
        rig_target_close(&t);
        rig_scan_close(&back);
        rig_scan_close(&s);
        wh_buf_free(&text);
        rig_close(&r);
    }
}

/* Fails if a folder's files are named, counted or replaced otherwise than the manifest says. */
static void test_write_folder(void **state)
{
    struct rig r;
    struct rig_scan s, back;
    struct rig_target t;
    struct wh_buf text = WH_BUF(1 << 26);
    rig_open(&r);
    make_rows(&text, 3000, 5, 0);
    rig_put(&r, "f.csv", text.p, text.n);
    rig_scan_open(&s, &r, rig_path(&r, "f.csv"), NULL, 40000);
    for (int again = 0; again < 2; again++) {
        rig_target_open(&t, &r, rig_path(&r, "out/"),
                        again ? KV("part_rows=2000", "success_file=yes") : KV("part_rows=700"),
                        &s.schema, WH_MODE_OVERWRITE);
        must(t.status, t.err);
        must(rig_phase(&t, WH_PREPARE, false), t.err);
        wh_buf_clear(&s.text);
        s.sum = (struct wh_rowsum){0};
        rig_write_all(&t, &s);
        assert_false(!again && rig_exists(&r, "out/planes-00001.csv"));
        must(rig_phase(&t, WH_PUBLISH, false), t.err);
        must(rig_phase(&t, WH_PUBLISH, true), t.err);
        must(rig_phase(&t, WH_FINISH, false), t.err);
        assert_true(rig_exists(&r, "out/planes-00001.csv"));
        assert_int_equal(rig_exists(&r, "out/planes-00006.csv"), !again);
        assert_int_equal(rig_exists(&r, "out/_SUCCESS"), again);
        char *manifest = rig_get(&r, "out/_wherry_manifest.planes.json", NULL);
        assert_non_null(strstr(manifest, "\"rows\": 3000"));
        wh_free(manifest);
        rig_scan_open(&back, &r, rig_path(&r, "out"), NULL, 0);
        must(rig_read(&back, 0), back.err);
        assert_string_equal(back.text.p, s.text.p);
        rig_scan_close(&back);
        rig_target_close(&t);
        rig_puts(&r, "out/foreign.csv", "id,text,v\n");
    }
    assert_true(rig_exists(&r, "out/foreign.csv"));
    rig_target_open(&t, &r, rig_path(&r, "out/"), KV("part_rows=5000"), &s.schema, WH_MODE_APPEND);
    must(t.status, t.err);
    must(rig_phase(&t, WH_PREPARE, false), t.err);
    rig_write_all(&t, &s);
    must(rig_phase(&t, WH_PUBLISH, false), t.err);
    must(rig_phase(&t, WH_PUBLISH, true), t.err);
    assert_true(rig_exists(&r, "out/planes-0123456789ab-00001.csv"));
    rig_target_close(&t);
    rig_target_open(&t, &r, rig_path(&r, "out/"), NULL, &s.schema, WH_MODE_APPEND);
    must(rig_phase(&t, WH_PREPARE, false), t.err);
    must(rig_phase(&t, WH_PUBLISH, false), t.err); /* no unit had rows: a header all the same */
    must(rig_phase(&t, WH_PUBLISH, true), t.err);
    must(rig_phase(&t, WH_PUBLISH, false), t.err);
    char *empty = rig_get(&r, "out/planes.csv", NULL);
    assert_string_equal(empty, "id,text,v\n");
    wh_free(empty);
    rig_target_close(&t);
    rig_scan_close(&s);
    wh_buf_free(&text);
    rig_close(&r);
}

/* Fails if a commit whose record was lost is not found, or a torn one is. */
static void test_lookup(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct rig_target t;
    struct wh_fate fate;
    struct wh_unit unit = {.id = 1, .flow = 1, .generation = 1, .attempt = 3};
    struct wh_split split;
    struct wh_bytes cursor;
    const struct wh_sink_ops *to = FILE_CONNECTOR->sink;
    char part[] = ".wherry-0123456789ab/f1.u1.g1.a2.part",
         side[] = ".wherry-0123456789ab/f1.u1.g1.a2.receipt";
    rig_open(&r);
    rig_puts(&r, "f.csv", "a,b\n1,x\n2,y\n");
    rig_scan_open(&s, &r, rig_path(&r, "f.csv"), NULL, 0);
    rig_target_open(&t, &r, rig_path(&r, "out.csv"), NULL, &s.schema, WH_MODE_APPEND);
    must(rig_phase(&t, WH_PREPARE, false), t.err);
    must(FILE_CONNECTOR->source->split_next(s.sc, r.se, NULL, &split, &cursor, &s.err), s.err);
    must(to->lookup(t.fl, r.se, &unit, &fate, &t.err), t.err);
    assert_int_equal(fate.kind, WH_FATE_ABSENT);
    must(rig_write_unit(&t, &s, &split, 1, 1, false), t.err);
    must(to->lookup(t.fl, r.se, &unit, &fate, &t.err), t.err);
    assert_int_equal(fate.kind, WH_FATE_ABSENT);
    assert_false(rig_exists(&r, ".wherry-0123456789ab/f1.u1.g1.a1.part"));
    must(rig_write_unit(&t, &s, &split, 1, 2, true), t.err);
    must(to->lookup(t.fl, r.se, &unit, &fate, &t.err), t.err);
    assert_int_equal(fate.kind, WH_FATE_STAGED);
    assert_int_equal(fate.attempt, 2);
    assert_int_equal(fate.marker.rows, 2);
    assert_int_equal(fate.receipt.n, t.got[0].receipt.n);
    assert_memory_equal(fate.receipt.p, t.got[0].receipt.p, fate.receipt.n);
    size_t n = 0;
    char *bytes = rig_get(&r, side, &n);
    rig_put(&r, side, bytes, n - 1);
    must(to->lookup(t.fl, r.se, &unit, &fate, &t.err), t.err);
    assert_int_equal(fate.kind, WH_FATE_ABSENT);
    rig_put(&r, side, bytes, n);
    wh_free(bytes);
    assert_int_equal(unlink(rig_path(&r, part)), 0);
    must(to->lookup(t.fl, r.se, &unit, &fate, &t.err), t.err);
    assert_int_equal(fate.kind, WH_FATE_ABSENT);
    assert_int_equal(to->verify(t.fl, r.se, &t.receipts, &t.fence, &t.err), WH_E_STATE);
    assert_string_equal(t.err.code, "E7009");
    assert_int_equal(rig_phase(&t, WH_PUBLISH, false), WH_E_STATE);
    must(rig_phase(&t, WH_DROP, false), t.err);
    must(rig_phase(&t, WH_DROP, true), t.err);
    assert_false(rig_exists(&r, ".wherry-0123456789ab"));
    rig_target_close(&t);
    rig_scan_close(&s);
    rig_close(&r);
}

/* Fails if somebody else's file of the same name is replaced by an append. */
static void test_not_ours(void **state)
{
    struct rig r;
    struct rig_scan s;
    struct rig_target t;
    rig_open(&r);
    rig_puts(&r, "f.csv", "a,b\n1,x\n2,y\n");
    rig_scan_open(&s, &r, rig_path(&r, "f.csv"), NULL, 0);
    rig_target_open(&t, &r, rig_path(&r, "out.csv"), NULL, &s.schema, WH_MODE_APPEND);
    must(rig_phase(&t, WH_PREPARE, false), t.err);
    rig_write_all(&t, &s);
    rig_puts(&r, "out.csv", "theirs\n");
    assert_int_equal(rig_phase(&t, WH_PUBLISH, false), WH_E_STATE);
    assert_string_equal(t.err.code, "E5012");
    char *theirs = rig_get(&r, "out.csv", NULL);
    assert_string_equal(theirs, "theirs\n");
    wh_free(theirs);
    rig_target_close(&t);
    rig_scan_close(&s);
    rig_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),           cmocka_unit_test(test_many_files),
        cmocka_unit_test(test_refusals),       cmocka_unit_test(test_encodings),
        cmocka_unit_test(test_dirty),          cmocka_unit_test(test_changed),
        cmocka_unit_test(test_ranges),         cmocka_unit_test(test_cut_packed),
        cmocka_unit_test(test_cut_elsewhere),  cmocka_unit_test(test_declared),
        cmocka_unit_test(test_damaged_packed), cmocka_unit_test(test_write_file),
        cmocka_unit_test(test_join),           cmocka_unit_test(test_write_folder),
        cmocka_unit_test(test_lookup),         cmocka_unit_test(test_not_ours),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
