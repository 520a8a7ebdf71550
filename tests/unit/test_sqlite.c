/* SPDX-License-Identifier: Apache-2.0 */
/* Reading SQLite files: types, cells that do not fit, names, splits, snapshots. The sqlite3 shell
 * makes the files and judges. */
#include "sqlite_side.h"

/* ---- types ---- */

/* Fails if a declared type is read as another column type than documented, or a value changes. */
static void declared_types(void **state)
{
    struct side s;
    char types[2000], *text;
    const char *db = in_scratch("types.db");

    new_db(db,
           "create table t(i integer primary key, b bigint, o boolean, r real, d decimal(10,2), "
           "n numeric, v varchar(5), x text, y blob, da date, ts timestamp, dt datetime, "
           "tz timestamptz, ti time, j json, u uuid, du duration, iv interval);"
           "insert into t values(-9223372036854775808, 9223372036854775807, 1, 1.5, 12.34, "
           "1.25, 'abcde', 'héllo', x'00ff', '2024-02-29', '2024-01-02 03:04:05.678901', "
           "'2024-01-02', '2024-01-02T03:04:05+02:00', '23:59:59.5', '{\"a\":1}', "
           "'01234567-89ab-cdef-0123-456789abcdef', 1500000, 'P1Y2M3DT4H');"
           "insert into t(i) values(9223372036854775807);");
    side_open(&s, db, NULL, NULL, NULL);
    text = table_text(&s, "T", types, sizeof types);
    assert_string_equal(
        types,
        "i int64, b int64, o bool, r float64, d decimal(10,2), n decimal, v utf8(5), x utf8, "
        "y binary, da date, ts timestamp(us), dt timestamp(us), tz timestamp(us, utc), "
        "ti time(us), j json, u uuid, du duration(us), iv interval");
    assert_string_equal(
        text,
        "-9223372036854775808|9223372036854775807|true|1.5|12.34|1.25|abcde|héllo|\\x00ff|2024-02-"
        "29|"
        "2024-01-02 03:04:05.678901|2024-01-02 00:00:00|2024-01-02 01:04:05Z|23:59:59.5|{\"a\":1}|"
        "01234567-89ab-cdef-0123-456789abcdef|PT1.5S|P1Y2M3DT4H\n"
        "9223372036854775807|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|NULL|"
        "NULL|NULL|NULL\n");
    assert_int_equal(s.fake.n_rejects, 0);
    wh_free(text);
    side_close(&s);
}

/* Fails if a sample does not overrule a declared type that the cells contradict, or says nothing.
 */
static void sample_overrules(void **state)
{
    struct side s;
    struct scan n = {.object = name1("t")};
    struct wh_buf out = WH_BUF(1 << 20);
    int64_t rows = 0;
    const char *db = in_scratch("sample.db");

    new_db(db, "create table t(da date, ju date, de decimal(4,1), vc varchar(3), bo boolean, mix, "
               "ints, ts0 timestamp(0), st string);"
               "insert into t values(1700000000, 2460000.5, 0.1+0.2, 'four', 7, 1, 1, "
               "'2024-01-01 00:00:00.25', 'x');"
               "insert into t values(1700000001, 2460001.5, 1, 'x', 0, 'two', 2, "
               "'2024-01-01 00:00:01', 'y');");
    side_open(&s, db, NULL, NULL, NULL);
    scan_begin(&s, &n);
    assert_string_equal(
        types_of(&n.schema),
        "da int64, ju float64, de float64, vc utf8, bo int64, mix utf8, ints int64, "
        "ts0 timestamp(us), st utf8");
    assert_int_equal(n.io.sampled_rows, 2);
    assert_non_null(strstr(n.io.note, "da date is read as int64: 2 integer"));
    read_scan(&s, &n, &out, &rows);
    assert_string_equal(out.p, "1700000000|2460000.5|0.30000000000000004|four|7|1|1|2024-01-01 "
                               "00:00:00.25|x\n"
                               "1700000001|2460001.5|1.0|x|0|two|2|2024-01-01 00:00:01|y\n");
    assert_int_equal(s.fake.n_rejects, 0);
    wh_buf_free(&out);
    scan_end(&n);
    side_close(&s);
}

/* Fails if a stray cell becomes 0, NULL or another value instead of a dirty row with its rowid. */
static void strays_are_rejected(void **state)
{
    struct side s;
    char *text;
    const char *db = in_scratch("stray.db");

    new_db(db,
           "create table t(k integer primary key, q integer, d date, x text not null);"
           "insert into t values(1, 10, '2024-01-01', 'a'), (2, '', '2024-01-02', 'b'), "
           "(3, 1.5, '2024-01-03', 'c'), (4, 13, 'n/a', 'd'), (5, 14, '2024-01-05', "
           "cast(x'ff41' as text)), (6, x'00', '2024-01-06', 'e'), (7, 15, '2024-01-07', 'f');");
    side_open(&s, db, NULL, NULL, NULL);
    text = table_text(&s, "t", NULL, 0);
    assert_string_equal(text, "1|10|2024-01-01|a\n7|15|2024-01-07|f\n");
    assert_int_equal(s.fake.n_rejects, 5);
    assert_string_equal(s.fake.rejects[0].position, "t, rowid 2");
    assert_int_equal(s.fake.rejects[0].column, 1);
    assert_string_equal(s.fake.rejects[0].code, "E6006");
    assert_string_equal(s.fake.rejects[0].text,
                        "column \"q\" INTEGER: text '' where int64 is promised");
    assert_string_equal(s.fake.rejects[1].raw, "{\"k\": 3, \"q\": 1.5, \"d\": \"2024-01-03\", "
                                               "\"x\": \"c\"}");
    assert_non_null(strstr(s.fake.rejects[2].text, "text 'n/a' where date is promised"));
    assert_string_equal(s.fake.rejects[3].code, "E6005");
    assert_non_null(strstr(s.fake.rejects[3].raw, "{\"hex\": \"ff41\"}"));
    assert_non_null(strstr(s.fake.rejects[4].text, "blob "));
    wh_free(text);
    side_close(&s);
}

/* Fails if `mismatch=null` touches other cells, or read_as does not overrule. */
static void options_for_strays(void **state)
{
    struct side s;
    char types[200], *text;
    const char *db = in_scratch("stray2.db");

    new_db(db, "create table t(q integer, r integer); insert into t values(1, 2), ('x', 3), "
               "(4, 'y');");
    side_open(&s, db, NULL, "mismatch=null&read_as.r=text", NULL);
    text = table_text(&s, "t", types, sizeof types);
    assert_string_equal(types, "q int64, r utf8");
    assert_string_equal(text, "1|2\nNULL|3\n4|y\n");
    wh_free(text);
    side_close(&s);
}

/* Fails if a decimal that went through a double is not the decimal that was stored. */
static void decimals_of_doubles(void **state)
{
    struct side s;
    struct wh_buf sql = WH_BUF(1 << 20);
    struct wh_buf want = WH_BUF(1 << 20);
    char *text;
    unsigned seed = 12345;
    const char *db = in_scratch("dec.db");

    print_message("seed %u\n", seed);
    assert_ok(wh_buf_adds(&sql, "create table t(d decimal(15,6)); begin;"));
    for (int i = 0; i < 2000; i++) {
        long long v = ((long long)rand_r(&seed) << 31 | rand_r(&seed)) % 1000000000000000LL;
        char one[64];

        snprintf(one, sizeof one, "%s%lld.%06lld", i % 2 ? "-" : "", v / 1000000, v % 1000000);
        if (v == 0)
            continue;
        assert_ok(wh_buf_printf(&sql, "insert into t values('%s');\n", one));
        assert_ok(wh_buf_printf(&want, "%s\n", one));
    }
    assert_ok(wh_buf_adds(&sql, "commit;"));
    new_db(db, sql.p);
    assert_string_equal(shell(db, "select count(*) > 1900 from t where typeof(d) = 'real'"), "1");
    side_open(&s, db, NULL, NULL, NULL);
    text = table_text(&s, "t", NULL, 0);
    assert_string_equal(text, want.p);
    wh_free(text);
    wh_buf_free(&sql);
    wh_buf_free(&want);
    side_close(&s);
}

/* ---- shapes and names ---- */

/* Fails if an odd name is not found, or reaches SQL unquoted. */
static void odd_names(void **state)
{
    static const char *const names[] = {"a.b",  "we\"ird",   "sp ace", "select", "日本",
                                        "🚀 go", "semi;drop", "it's",   "[x]"};
    struct side s;
    const char *db = in_scratch("names.db");
    struct wh_buf sql = WH_BUF(1 << 16);

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char quoted[64];
        size_t n = 0;

        for (const char *p = names[i]; *p; p++) {
            if (*p == '"')
                quoted[n++] = '"';
            quoted[n++] = *p;
        }
        quoted[n] = 0;
        assert_ok(wh_buf_printf(&sql,
                                "create table \"%s\"(\"%s\" text, \"rowid\" int); insert into "
                                "\"%s\" values('v%zu', 1);",
                                quoted, quoted, quoted, i));
    }
    new_db(db, sql.p);
    side_open(&s, db, NULL, NULL, NULL);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char types[200], want[200], *text = table_text(&s, names[i], types, sizeof types);

        snprintf(want, sizeof want, "%s utf8, rowid int64", names[i]);
        assert_string_equal(types, want);
        snprintf(want, sizeof want, "v%zu|1\n", i);
        assert_string_equal(text, want);
        wh_free(text);
    }
    {
        struct wh_name two = {.part = {WH_STR("a"), WH_STR("b")}, .n = 2};
        struct scan n = {.object = two};

        scan_begin(&s, &n); /* unquoted a.b is the table "a.b" */
        assert_int_equal(n.schema.n_children, 2);
        scan_end(&n);
    }
    wh_buf_free(&sql);
    side_close(&s);
}

/* Fails if a table without rowid, a view, a generated column, a strict or an empty table is not
 * read as it is. */
static void shapes(void **state)
{
    struct side s;
    char types[200], *text;
    const char *db = in_scratch("shapes.db");

    new_db(db,
           "create table wr(a text, b int, primary key(a, b)) without rowid;"
           "insert into wr values('b', 1), ('a', 2), ('a', 1);"
           "create table g(x int, y int generated always as (x * 2) virtual, z text as (x || '!') "
           "stored); insert into g values(3), (4);"
           "create view v as select a, b, a || b as ab from wr where b = 1;"
           "create table st(i int, t text, a any, n int not null) strict;"
           "insert into st values(1, 't', 2, 5);"
           "create table e(a int, b date, c);"
           "create table big(a text, b blob); insert into big values(printf('%.*c', 1000000, 'x'), "
           "zeroblob(1000000));"
           "create table nul(a text); insert into nul values('a' || char(0) || 'b');"
           "create virtual table f using fts5(body); insert into f values('hello');");
    side_open(&s, db, NULL, NULL, NULL);
    text = table_text(&s, "wr", types, sizeof types);
    assert_string_equal(text, "a|1\na|2\nb|1\n");
    wh_free(text);
    text = table_text(&s, "g", types, sizeof types);
    assert_string_equal(types, "x int64, y int64, z utf8");
    assert_string_equal(text, "3|6|3!\n4|8|4!\n");
    wh_free(text);
    text = table_text(&s, "v", types, sizeof types);
    assert_string_equal(types, "a utf8, b int64, ab utf8");
    assert_string_equal(text, "a|1|a1\nb|1|b1\n");
    wh_free(text);
    text = table_text(&s, "st", types, sizeof types);
    assert_string_equal(types, "i int64, t utf8, a int64, n int64");
    wh_free(text);
    text = table_text(&s, "e", types, sizeof types);
    assert_string_equal(types, "a int64, b date, c utf8");
    assert_string_equal(text, "");
    wh_free(text);
    text = table_text(&s, "big", NULL, 0);
    assert_int_equal(strlen(text), 1000000 + 1 + 2 + 2000000 + 1);
    wh_free(text);
    text = table_text(&s, "nul", NULL, 0);
    assert_memory_equal(text, "a\0b\n", 4);
    wh_free(text);
    text = table_text(&s, "f", types, sizeof types);
    assert_string_equal(types, "body utf8");
    assert_string_equal(text, "hello\n");
    wh_free(text);
    side_close(&s);
}

struct seen {
    char text[2000];
};

static int see(void *arg, const struct wh_object *o)
{
    struct seen *s = arg;
    size_t n = strlen(s->text);

    snprintf(s->text + n, sizeof s->text - n, "%.*s/%d/%lld/%lld ", WH_STR_FMT(o->name.part[0]),
             o->kind, o->columns ? (long long)o->columns->n_children : -1, (long long)o->est_rows);
    return WH_OK;
}

/* Fails if our own or SQLite's own tables are listed, another's of such a name is not, or one
 * broken view hides the others. */
static void catalog_lists(void **state)
{
    struct side s;
    struct seen seen = {""};
    struct wh_str key;
    struct scan n = {.object = name1("b")};
    const char *db = in_scratch("cat.db");

    new_db(db, "create table b(k integer primary key autoincrement, v text, w text, "
               "unique(v)); insert into b(v) values('x'), ('y'); create table a(x, y);"
               "create view bad as select * from gone; create table wherry_run(x);"
               "create table wherry_target(object text primary key, run text);"
               "create table wherry_stage_notes(x);"
               "create table wherry_stage_0123456789ab_f1_g1(x); create virtual table f using "
               "fts5(body); create table p(c text, d text, primary key(d, c));");
    side_open(&s, db, NULL, NULL, NULL);
    assert_ok(LITE->endpoint->catalog(s.ep, s.se, NULL, see, &seen, &s.err));
    assert_string_equal(seen.text, "a/0/2/0 b/0/3/2 bad/1/-1/-1 f/3/1/-1 p/0/2/0 wherry_run/0/1/0 "
                                   "wherry_stage_notes/0/1/0 ");
    scan_begin(&s, &n);
    assert_non_null(wh_meta_get(n.schema.children[0], WH_META_KEY, &key));
    assert_true(wh_str_eqs(key, "1"));
    assert_null(wh_meta_get(n.schema.children[1], WH_META_KEY, &key));
    assert_non_null(wh_meta_get(n.schema.children[0], WH_META_TYPE, &key));
    assert_true(wh_str_ieqs(key, "integer"));
    assert_false(n.schema.children[0]->flags & ARROW_FLAG_NULLABLE);
    scan_end(&n);
    n = (struct scan){.object = name1("bad")};
    assert_int_not_equal(scan_try(&s, &n), WH_OK);
    assert_non_null(strstr(s.err.message, "gone"));
    scan_end(&n);
    side_close(&s);
}

/* ---- projection, where, query, limit ---- */

static void asks(void **state)
{
    static const char *const cols[] = {"C", "a"};
    struct side s;
    struct wh_buf out = WH_BUF(1 << 20);
    int64_t rows = 0;
    struct scan n = {.object = name1("t")};
    const char *db = in_scratch("asks.db");

    new_db(db, "create table t(a int, b text, c date); insert into t values(1, 'x', '2024-01-01'), "
               "(2, 'y', '2024-01-02'), (3, 'z', '2024-01-03');");
    side_open(&s, db, NULL, NULL, NULL);
    n.io.columns = cols;
    n.io.n_columns = 2;
    n.io.where = "a >= 2 -- the rest";
    n.io.limit = 1;
    scan_begin(&s, &n);
    assert_true(n.io.limit_done);
    read_scan(&s, &n, &out, &rows);
    assert_string_equal(out.p, "2024-01-02|2\n");
    scan_end(&n);
    wh_buf_clear(&out);
    n = (struct scan){0};
    n.io.query = "select c, count(*) as n from t group by c order by c desc -- all";
    scan_begin(&s, &n);
    assert_string_equal(types_of(&n.schema), "c date, n int64");
    read_scan(&s, &n, &out, &rows);
    assert_string_equal(out.p, "2024-01-03|1\n2024-01-02|1\n2024-01-01|1\n");
    scan_end(&n);
    /* A query that writes, two statements, an unknown column: refused with SQLite's own words. */
    n = (struct scan){0};
    n.io.query = "select 1); drop table t; select (2";
    assert_int_equal(scan_try(&s, &n), WH_E_USAGE);
    scan_end(&n);
    n = (struct scan){.object = name1("t")};
    n.io.where = "nix = 1";
    assert_int_equal(scan_try(&s, &n), WH_E_REMOTE);
    assert_string_equal(s.err.code, "E4009");
    assert_non_null(strstr(s.err.message, "no such column: nix"));
    scan_end(&n);
    n = (struct scan){.object = name1("tt")};
    assert_int_equal(scan_try(&s, &n), WH_E_NOT_FOUND);
    assert_string_equal(s.err.code, "E3001");
    scan_end(&n);
    assert_string_equal(shell(db, "select count(*) from t"), "3");
    wh_buf_free(&out);
    side_close(&s);
}

/* ---- splits ---- */

static void split_and_count(const char *db, const char *why, int least, int64_t want, double most)
{
    struct side s;
    struct scan n = {.object = name1("t")};
    struct wh_bytes cursor = {0}, next;
    struct wh_split split;
    uint8_t keep[64], token[64];
    int64_t total = 0, biggest = 0;
    int count = 0;

    side_open(&s, db, NULL, NULL, NULL);
    n.io.parallel = 4;
    n.io.unit_bytes = 4 << 20;
    scan_begin(&s, &n);
    while (LITE->source->split_next(n.sc, s.se, &cursor, &split, &next, &s.err) == WH_OK) {
        int64_t rows = 0;

        memcpy(token, split.token.p, split.token.n);
        split.token.p = token;
        memcpy(keep, next.p, next.n);
        cursor = (struct wh_bytes){keep, next.n};
        assert_ok(read_split(&s, &n, s.se, &split, NULL, &rows));
        total += rows;
        biggest = rows > biggest ? rows : biggest;
        count++;
    }
    print_message("%s: %d splits (%s), biggest %.2f of the mean\n", why, count, n.io.method,
                  (double)biggest * count / (double)total);
    assert_int_equal(total, want);
    assert_true(count >= least);
    assert_true((double)biggest * count / (double)total < most);
    scan_end(&n);
    side_close(&s);
}

/* Fails if splits lose or repeat rows, or one split gets most of them, with rowids that are dense,
 * spread over 2^60, or in far clusters. */
static void splits_of_rowids(void **state)
{
    const char *db = in_scratch("split.db");
    const char *pad = "printf('%.*c', 80, 'x')";
    char sql[2000];

    snprintf(
        sql, sizeof sql,
        "pragma synchronous=off; create table t(x text); with recursive c(i) as (select 1 union "
        "all select i+1 from c where i<200000) insert into t select %s from c;",
        pad);
    new_db(db, sql);
    split_and_count(db, "dense", 4, 200000, 1.6);
    snprintf(
        sql, sizeof sql,
        "pragma synchronous=off; create table t(k integer primary key, x text); with recursive "
        "c(i) as (select 1 union all select i+1 from c where i<200000) insert into t select "
        "i * 5764607523034 - 576460752303400000, %s from c;",
        pad);
    new_db(db, sql);
    split_and_count(db, "spread", 4, 200000, 1.6);
    snprintf(
        sql, sizeof sql,
        "pragma synchronous=off; create table t(k integer primary key, x text); with recursive "
        "c(i) as (select 1 union all select i+1 from c where i<200000) insert into t select "
        "i %% 50000 + (i / 50000) * 1000000000000 + case when i > 199990 then 1 << 61 else 0 end, "
        "%s from c;",
        pad);
    new_db(db, sql);
    split_and_count(db, "clusters", 4, 200000, 1.8);
}

static int64_t cut_again_and_again(const char *db, const char *table, struct wh_buf *out)
{
    struct side s;
    struct scan n = {.object = name1(table)};
    struct wh_bytes next;
    struct wh_split split, rest = {0};
    struct ArrowSchema actual = {0};
    static uint8_t token[1 << 16];
    int64_t rows = 0;
    int st = WH_OK;

    side_open(&s, db, NULL, NULL, NULL);
    scan_begin(&s, &n);
    assert_true(n.io.resumable);
    assert_ok(LITE->source->split_next(n.sc, s.se, NULL, &split, &next, &s.err));
    while (st == WH_OK) {
        void *rd = wh_calloc(1, LITE->source->rd_size);
        struct wh_batch b = {0};

        assert_ok(LITE->source->reader_open(rd, n.sc, s.se, &s.fake.ctx, &split, &actual, &s.err));
        st = LITE->source->reader_next(rd, &b, &s.err);
        if (st == WH_OK) {
            rows += b.n_rows;
            add_rows(&n.schema, &b, out);
            wh_batch_release(&b);
            st = LITE->source->reader_cut(rd, &rest, NULL, &s.err);
        }
        if (st == WH_OK) {
            memcpy(token, rest.token.p, rest.token.n);
            split = (struct wh_split){.token = {token, rest.token.n}};
        }
        LITE->source->reader_close(rd);
        wh_free(rd);
    }
    assert_int_equal(st, WH_END);
    scan_end(&n);
    side_close(&s);
    return rows;
}

/* Fails if the rest of a cut reader repeats or loses a row: by rowid, by a key of several columns
 * with odd values and a collation. */
static void cut_and_go_on(void **state)
{
    struct side s;
    struct wh_buf out = WH_BUF(64 << 20);
    char *whole;
    const char *db = in_scratch("cut.db");

    new_db(
        db,
        "create table t(x text); with recursive c(i) as (select 1 union all select i+1 from c "
        "where "
        "i<50000) insert into t select i from c;"
        "create table w(a text collate nocase, b real, c blob, d int, primary key(a, b, c)) "
        "without "
        "rowid; with recursive c(i) as (select 1 union all select i+1 from c where i<50000) insert "
        "into w select char(65 + i % 2 * 32 + i % 13) || char(0) || (i % 7), i / 3.0, "
        "cast(char(0) || i as blob), i from c; create table e(k int primary key) without rowid; "
        "create table dd(k int, v, "
        "primary "
        "key(k desc)) without rowid;");
    assert_int_equal(cut_again_and_again(db, "t", &out), 50000);
    wh_buf_clear(&out);
    assert_int_equal(cut_again_and_again(db, "w", &out), 50000);
    side_open(&s, db, NULL, NULL, NULL);
    whole = table_text(&s, "w", NULL, 0);
    assert_memory_equal(whole, out.p, out.n + 1);
    wh_free(whole);
    assert_string_equal(s.fake.n_rejects ? s.fake.rejects[0].text : "", "");
    {
        struct scan n = {.object = name1("dd")};

        scan_begin(&s, &n);
        assert_false(n.io.resumable);
        scan_end(&n);
    }
    side_close(&s);
    assert_int_equal(cut_again_and_again(db, "e", &out), 0);
    wh_buf_free(&out);
}

/* ---- snapshot ---- */

static void snapshot_in(const char *db, const char *mode)
{
    struct side s;
    struct wh_snapshot snap;
    struct scan n = {.object = name1("t")};
    struct wh_split split;
    struct wh_bytes next;
    void *a, *b, *late = wh_calloc(1, LITE->se_size);
    struct wh_str ident;
    uint8_t token[256], first[64];
    struct wh_snapshot again = {.token = {token, 0}};
    int64_t rows = 0;
    bool wal = strcmp(mode, "wal") == 0;
    char sql[200];

    snprintf(sql, sizeof sql,
             ".output /dev/null\npragma journal_mode=%s; create table t(x int); "
             "insert into t values(1), (2);",
             mode);
    new_db(db, sql);
    side_open(&s, db, "lock_timeout=200ms", NULL, NULL);
    scan_begin(&s, &n);
    assert_ok(LITE->source->split_next(n.sc, s.se, NULL, &split, &next, &s.err));
    memcpy(first, split.token.p, split.token.n);
    split.token.p = first;
    assert_ok(LITE->endpoint->snapshot(s.ep, s.se, NULL, 2, &snap, &s.err));
    assert_int_equal(snap.kind, WH_SNAP_SESSIONS);
    assert_true(snap.unchanged_provable);
    memcpy(token, snap.token.p, snap.token.n);
    again.token.n = snap.token.n;
    a = side_session(&s, WH_READ);
    b = side_session(&s, WH_READ);
    if (wal) {
        assert_string_equal(shell(db, "insert into t values(3);"), "");
    } else {
        assert_non_null(strstr(shell(db, ".timeout 100\ninsert into t values(3);"), "locked"));
    }
    assert_ok(read_split(&s, &n, a, &split, NULL, &rows));
    assert_ok(read_split(&s, &n, b, &split, NULL, &rows));
    assert_int_equal(rows, 4); /* two readers, two rows each */
    if (wal) {                 /* a third session finds another file */
        assert_int_equal(LITE->endpoint->session_open(late, s.ep, WH_READ, &ident, &s.err),
                         WH_GONE);
        assert_string_equal(s.err.code, "E4008");
    } else {
        assert_ok(LITE->endpoint->session_open(late, s.ep, WH_READ, &ident, &s.err));
    }
    LITE->endpoint->session_close(late);
    side_session_end(a); /* goes back to the pool: the instant lives on */
    a = side_session(&s, WH_READ);
    rows = 0;
    assert_ok(read_split(&s, &n, a, &split, NULL, &rows));
    assert_int_equal(rows, 2);
    side_session_end(a);
    side_session_end(b);
    LITE->endpoint->release(s.ep, &snap);
    if (!wal) {
        /* As a resumed process: unchanged is proved, then a change is noticed. */
        assert_ok(LITE->endpoint->join(s.ep, &again, &s.err));
        LITE->endpoint->release(s.ep, &again);
        assert_string_equal(shell(db, "insert into t values(3);"), "");
    }
    assert_int_equal(LITE->endpoint->join(s.ep, &again, &s.err), WH_GONE);
    scan_end(&n);
    side_close(&s);
    wh_free(late);
}

/* Fails if readers of one snapshot see different rows, or a changed file is joined again. */
static void snapshots(void **state)
{
    snapshot_in(in_scratch("snap1.db"), "delete");
    snapshot_in(in_scratch("snap2.db"), "wal");
}

/* Fails if reading changes the file: its bytes, its journal, files beside it. */
static void reading_leaves_no_trace(void **state)
{
    struct side s;
    char *text;
    struct stat before, after;
    const char *db = in_scratch("trace.db");

    new_db(db, "create table t(x); insert into t values(1);");
    assert_int_equal(stat(db, &before), 0);
    side_open(&s, db, NULL, NULL, NULL);
    text = table_text(&s, "t", NULL, 0);
    wh_free(text);
    side_close(&s);
    assert_int_equal(stat(db, &after), 0);
    assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
    assert_int_equal(before.st_size, after.st_size);
    assert_int_equal(access(in_scratch("trace.db-wal"), F_OK), -1);
    assert_int_equal(access(in_scratch("trace.db-journal"), F_OK), -1);
    /* A missing file is no new file. */
    side_open(&s, in_scratch("none.db"), NULL, NULL, NULL);
    {
        struct scan n = {.object = name1("t")};

        assert_int_equal(scan_try(&s, &n), WH_E_NOT_FOUND);
        assert_string_equal(s.err.code, "E2012");
        scan_end(&n);
    }
    side_close(&s);
    assert_int_equal(access(in_scratch("none.db"), F_OK), -1);
}

/* Fails if interrupt does not end a running statement, or the session pretends to live on. */
static void interrupt_is_the_end(void **state)
{
    struct side s;
    struct scan n = {0};
    struct wh_split split;
    struct wh_bytes next;
    struct wh_batch b = {0};
    struct ArrowSchema actual = {0};
    void *se, *rd = wh_calloc(1, LITE->source->rd_size);
    const char *db = in_scratch("int.db");

    new_db(db, "create table t(x); insert into t values(1);");
    side_open(&s, db, NULL, NULL, NULL);
    n.io.query = "with recursive c(i) as (select 1 union all select i+1 from c) select i from c";
    scan_begin(&s, &n);
    assert_ok(LITE->source->split_next(n.sc, s.se, NULL, &split, &next, &s.err));
    se = side_session(&s, WH_READ);
    assert_ok(LITE->source->reader_open(rd, n.sc, se, &s.fake.ctx, &split, &actual, &s.err));
    assert_ok(LITE->source->reader_next(rd, &b, &s.err));
    wh_batch_release(&b);
    LITE->endpoint->interrupt(se);
    assert_int_equal(LITE->source->reader_next(rd, &b, &s.err), WH_LOST);
    assert_int_equal(LITE->source->reader_next(rd, &b, &s.err), WH_LOST);
    LITE->source->reader_close(rd);
    wh_free(rd);
    side_session_end(se);
    scan_end(&n);
    side_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(declared_types),
        cmocka_unit_test(sample_overrules),
        cmocka_unit_test(strays_are_rejected),
        cmocka_unit_test(options_for_strays),
        cmocka_unit_test(decimals_of_doubles),
        cmocka_unit_test(odd_names),
        cmocka_unit_test(shapes),
        cmocka_unit_test(catalog_lists),
        cmocka_unit_test(asks),
        cmocka_unit_test(splits_of_rowids),
        cmocka_unit_test(cut_and_go_on),
        cmocka_unit_test(snapshots),
        cmocka_unit_test(reading_leaves_no_trace),
        cmocka_unit_test(interrupt_is_the_end),
    };

    return scratch_end(cmocka_run_group_tests(tests, NULL, NULL));
}
