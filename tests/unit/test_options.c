/* SPDX-License-Identifier: Apache-2.0 */
#include "sweep.h"

#include "core/buf.h"
#include "core/options.h"

#include <math.h>

struct all {
    const char *text, *cron;
    struct wh_secret password;
    int64_t skip_lines, batch_bytes, wait;
    bool header;
    double ratio;
    int on_conflict, delimiter;
    struct wh_list include, keys;
    struct wh_map page;
};

static const struct wh_enum conflicts[] = {
    {1, "fail", "Stop"},
    {2, "replace-all", "Overwrite"},
    {3, "append", "Append", "this build cannot"},
    {4, "null", "Nothing"},
    {0},
};

static const struct wh_option rows[] = {
    WH_OPT_STR(struct all, text, .group = "first", .max = 10, .help = "Some text"),
    WH_OPT_CRON(struct all, cron),
    WH_OPT_SECRET(struct all, password, .help = "Password"),
    WH_OPT_I64(struct all, skip_lines, 0, 1000, .def = "3", .aliases = "skip,skipLines",
               .help = "Lines to \"drop\""),
    WH_OPT_SIZE(struct all, batch_bytes, 64 << 10, 256 << 20, .def = "1MiB"),
    WH_OPT_DURATION(struct all, wait, 0, 3600000, .def = "10s", .flags = WH_OPT_ADVANCED),
    WH_OPT_BOOL(struct all, header, .def = "yes", .group = "first"),
    WH_OPT_DOUBLE(struct all, ratio, 0, 1, .def = "0"),
    WH_OPT_ENUM(struct all, on_conflict, conflicts, .def = "fail"),
    WH_OPT_CHAR(struct all, delimiter, .def = "comma"),
    WH_OPT_LIST(struct all, include, .def = "*"),
    WH_OPT_COLUMNS(struct all, keys),
    WH_OPT_MAP(struct all, page, .def = "size=100"),
    WH_OPT_END,
};
static const struct wh_options table = {rows, sizeof(struct all), "test source"};

/* One table's life in a test. */
static struct {
    struct wh_arena *arena;
    struct wh_problems problems;
    struct all v;
} t;

static int setup(void **state)
{
    memset(&t, 0, sizeof t);
    t.arena = wh_arena_new(1 << 20);
    t.problems.arena = t.arena;
    return wh_options_init(&table, &t.v, t.arena);
}

static int teardown(void **state)
{
    wh_options_wipe(&table, &t.v);
    wh_options_wipe(&table, &t.v);
    wh_arena_free(t.arena);
    return 0;
}

static bool set(const char *key, const char *text)
{
    return wh_options_set_text(&table, &t.v, t.arena, key, text, "--from", &t.problems);
}

static void assert_set(const char *key, const char *text)
{
    if (!set(key, text))
        fail_msg("%s=%s: %s", key, text, t.problems.v[t.problems.n - 1].message);
}

/* The setting is refused with this code, and message and hint hold these words. */
static void assert_refused(const char *key, const char *text, const char *code, const char *message,
                           const char *hint)
{
    size_t before = t.problems.n;

    if (set(key, text))
        fail_msg("%s=%s is taken", key, text);
    assert_int_equal(t.problems.n, before + 1);
    const struct wh_problem *p = &t.problems.v[before];

    if (strcmp(p->code, code) != 0 || !strstr(p->message, message) ||
        !strstr(p->hint ? p->hint : "", hint) || strcmp(p->where, "--from") != 0)
        fail_msg("%s=%s: %s %s (%s)", key, text, p->code, p->message, p->hint ? p->hint : "-");
}

/* Red when a default is not what its text says. */
static void defaults(void **state)
{
    assert_null(t.v.text);
    assert_null(t.v.password.text);
    assert_int_equal(t.v.skip_lines, 3);
    assert_int_equal(t.v.batch_bytes, 1 << 20);
    assert_int_equal(t.v.wait, 10000);
    assert_true(t.v.header);
    assert_int_equal(t.v.on_conflict, 1);
    assert_int_equal(t.v.delimiter, ',');
    assert_int_equal(t.v.include.n, 1);
    assert_string_equal(t.v.include.v[0], "*");
    assert_int_equal(t.v.page.n, 1);
    assert_string_equal(t.v.page.v[0].value, "100");
}

/* Red when a name is not found in one of its spellings. */
static void names(void **state)
{
    assert_set("skip-lines", "4");
    assert_int_equal(t.v.skip_lines, 4);
    assert_set("skipLines", "5");
    assert_int_equal(t.v.skip_lines, 5);
    assert_set("skip", "2e2");
    assert_int_equal(t.v.skip_lines, 200);
    assert_refused("skip_line", "4", "E1001", "'skip_line' of test source", "'skip_lines'");
    assert_refused("xyz", "4", "E1001", "'xyz'", "");
    assert_true(wh_key_eq(wh_str("a-b_c"), "a_b-c"));
    assert_false(wh_key_eq(wh_str("a-b"), "a-b-c"));
    assert_false(wh_key_eq(wh_str("a-b-c"), "a-b"));
}

/* Red when a value that does not fit is taken, or the old one is lost by a refusal. */
static void values_are_checked(void **state)
{
    assert_refused("skip_lines", "abc", "E1002", "'abc' is not a whole number", "");
    assert_refused("skip_lines", "1.5", "E1002", "whole", "");
    assert_refused("skip_lines", "1001", "E1003", "1001 is outside of 0..1000", "");
    assert_refused("skip_lines", "-1", "E1003", "outside", "");
    assert_int_equal(t.v.skip_lines, 3);
    assert_set("skip_lines", "none");
    assert_int_equal(t.v.skip_lines, 0);
    assert_refused("batch_bytes", "64M", "E1002", "size", "64MB (10^6");
    assert_refused("batch_bytes", "none", "E1002", "size", "");
    assert_refused("batch_bytes", "1024", "E1003", "1KiB is outside of 64KiB..256MiB", "");
    assert_set("batch_bytes", "8MB");
    assert_int_equal(t.v.batch_bytes, 8000000);
    assert_refused("wait", "10", "E1002", "duration", "10s");
    assert_refused("wait", "2h", "E1003", "2h is outside of 0..1h", "");
    assert_set("wait", "1m30s");
    assert_int_equal(t.v.wait, 90000);
    assert_refused("header", "maybe", "E1002", "true or false", "");
    assert_refused("ratio", "2", "E1003", "2 is outside of 0..1", "");
    assert_refused("ratio", "x", "E1002", "number", "");
    assert_set("ratio", "0.1%");
    assert_true(fabs(t.v.ratio - 0.001) < 1e-15);
    assert_refused("on_conflict", "repalce-all", "E1002", "not known",
                   "did you mean 'replace-all'? one of fail, replace-all, null");
    assert_refused("on_conflict", "append", "E1004", "this build cannot", "one of");
    assert_set("on_conflict", "replace_all");
    assert_int_equal(t.v.on_conflict, 2);
    assert_refused("delimiter", ";;", "E1002", "one character", "semicolon");
    assert_refused("delimiter", "", "E1008", "empty", "none");
    assert_refused("text", "12345678901", "E1003", "10 characters", "");
    assert_set("text", "\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9\xC3\xA9!");
    assert_refused("text", "", "E1008", "empty", "");
    assert_refused("cron", "61 * * * *", "E1002", "cron", "five fields");
    assert_set("cron", "*/15 2-6 1,15 * mon-fri");
    assert_int_equal(t.problems.errors, 19);
}

/* Red when a repeated flag loses an item or keeps the default beside it, or a comma inside of
 * brackets or quotes splits. */
static void lists_and_maps(void **state)
{
    assert_set("include", "a,b.csv");
    assert_set("include", "c");
    assert_int_equal(t.v.include.n, 2);
    assert_string_equal(t.v.include.v[0], "a,b.csv");
    assert_string_equal(t.v.include.v[1], "c");
    assert_set("keys", "id, new=old ,f(a,b),\"x,y\"");
    assert_set("keys", "last");
    assert_int_equal(t.v.keys.n, 5);
    assert_string_equal(t.v.keys.v[1], "new=old");
    assert_string_equal(t.v.keys.v[2], "f(a,b)");
    assert_string_equal(t.v.keys.v[3], "\"x,y\"");
    assert_string_equal(t.v.keys.v[4], "last");
    assert_refused("keys", "a,,b", "E1008", "item is empty", "");
    assert_refused("keys", ",", "E1008", "item is empty", "");
    assert_set("page.style", "number");
    assert_int_equal(t.v.page.n, 1); /* the default went when the user spoke */
    assert_set("page", "size=7,types=decimal(18,2)");
    assert_set("page.size", "8");
    assert_int_equal(t.v.page.n, 3);
    assert_string_equal(t.v.page.v[1].key, "size");
    assert_string_equal(t.v.page.v[1].value, "8");
    assert_string_equal(t.v.page.v[2].value, "decimal(18,2)");
    assert_refused("page", "size", "E1002", "key=value", "key=value");
    assert_refused("page", "=1", "E1002", "key=value", "");
    assert_refused("text.size", "1", "E1001", "'text.size'", "");
    assert_refused("page.", "1", "E1001", "'page.'", "");
}

static void read_yaml(const char *text)
{
    struct wh_node *root;

    assert_ok(wh_yaml_parse(t.arena, "job.yaml", text, strlen(text), &root, &t.problems));
    wh_options_set_map(&table, &t.v, t.arena, root, "job.yaml", &t.problems);
}

static void assert_problem(size_t i, const char *where, const char *code, const char *message)
{
    const struct wh_problem *p = &t.problems.v[i];

    assert_true(i < t.problems.n);
    if (strcmp(p->where, where) != 0 || strcmp(p->code, code) != 0 || !strstr(p->message, message))
        fail_msg("%s %s %s", p->where, p->code, p->message);
}

/* Red when a document's value is not typed by its row, or a mistake loses its place. */
static void from_yaml(void **state)
{
    read_yaml("text: 0012\nskip-lines: 7\nbatch_bytes: 2MiB\nheader: off\non_conflict: null\n"
              "delimiter: '|'\ninclude: [a, 'b c']\nkeys: id, x\npage: {size: 5, style: n}\n"
              "password: 'pa ss'\nx-note: anything\nratio: 10%\ncron: '@daily'\n");
    assert_int_equal(t.problems.n, 0);
    assert_string_equal(t.v.text, "0012");
    assert_int_equal(t.v.skip_lines, 7);
    assert_int_equal(t.v.batch_bytes, 2 << 20);
    assert_false(t.v.header);
    assert_int_equal(t.v.on_conflict, 4);
    assert_int_equal(t.v.delimiter, '|');
    assert_int_equal(t.v.include.n, 2);
    assert_string_equal(t.v.include.v[1], "b c");
    assert_int_equal(t.v.keys.n, 2);
    assert_int_equal(t.v.page.n, 2);
    assert_string_equal(t.v.password.text, "pa ss");
    assert_true(fabs(t.v.ratio - 0.1) < 1e-15);
}

/* Red when one mistake hides another, or a place is wrong. */
static void all_problems_with_places(void **state)
{
    read_yaml("text:\nskip_lines: [1]\nnumber: 1\ninclude: {a: 1}\nkeys: [a, ~]\n"
              "page: {a: [1]}\ndelimiter: ''\nheader: null\nratio: 7\n");
    assert_int_equal(t.problems.n, 9);
    assert_problem(0, "job.yaml:1:6", "E1008", "text: the value is empty");
    assert_problem(1, "job.yaml:2:13", "E1041", "skip_lines: expected number, found a list");
    assert_problem(2, "job.yaml:3:1", "E1001", "unknown setting 'number'");
    assert_problem(3, "job.yaml:4:10", "E1041", "include: expected list, found a map");
    assert_problem(4, "job.yaml:5:7", "E1008", "keys: ~ without quotes is no value");
    assert_problem(5, "job.yaml:6:7", "E1041", "page");
    assert_problem(6, "job.yaml:7:12", "E1008", "delimiter: the value is empty");
    assert_problem(7, "job.yaml:8:9", "E1008", "header: null without quotes is no value");
    assert_problem(8, "job.yaml:9:8", "E1003", "ratio");
    read_yaml("- a\n");
    assert_problem(9, "job.yaml:1:1", "E1041", "test source");
    read_yaml("text: ''\n");
    assert_string_equal(t.v.text, "");
    assert_int_equal(t.problems.n, 10);
    assert_true(wh_options_set_map(&table, &t.v, t.arena, NULL, "x", &t.problems));
}

struct needs {
    const char *path;
    int64_t n;
    int mode, quote;
    double d;
    struct wh_list list;
    struct wh_secret key;
    int64_t has_default;
};

static const struct wh_option needs_rows[] = {
    WH_OPT_STR(struct needs, path, .flags = WH_OPT_REQUIRED, .help = "A file"),
    WH_OPT_I64(struct needs, n, 0, 0, .flags = WH_OPT_REQUIRED),
    WH_OPT_ENUM(struct needs, mode, conflicts, .flags = WH_OPT_REQUIRED),
    WH_OPT_CHAR(struct needs, quote, .flags = WH_OPT_REQUIRED),
    WH_OPT_DOUBLE(struct needs, d, 0, 0, .flags = WH_OPT_REQUIRED),
    WH_OPT_LIST(struct needs, list, .flags = WH_OPT_REQUIRED),
    WH_OPT_SECRET(struct needs, key, .flags = WH_OPT_REQUIRED),
    WH_OPT_I64(struct needs, has_default, 0, 0, .flags = WH_OPT_REQUIRED, .def = "0"),
    WH_OPT_END,
};
static const struct wh_options needs_table = {needs_rows, sizeof(struct needs), "needs"};

/* Red when a required option that was not given passes, or one that was given as 0 or none fails.
 */
static void required(void **state)
{
    static const char *const values[][2] = {{"path", "x"},     {"n", "0"}, {"mode", "fail"},
                                            {"quote", "none"}, {"d", "0"}, {"list", "a"},
                                            {"key", "k"}};
    struct needs v = {0};

    assert_ok(wh_options_init(&needs_table, &v, t.arena));
    wh_options_finish(&needs_table, &v, "job.yaml:3", &t.problems);
    assert_int_equal(t.problems.n, 7);
    assert_problem(0, "job.yaml:3", "E1005", "path: required setting of needs");
    assert_string_equal(t.problems.v[0].hint, "A file");
    for (size_t i = 0; i < 7; i++) {
        size_t before = t.problems.n;

        assert_true(wh_options_set_text(&needs_table, &v, t.arena, values[i][0], values[i][1], "",
                                        &t.problems));
        wh_options_finish(&needs_table, &v, "x", &t.problems);
        assert_int_equal(t.problems.n - before, 6 - i);
    }
    wh_options_wipe(&needs_table, &v);
}

static void assert_shown(const char *key, const char *expected)
{
    struct wh_buf out = WH_BUF(10000);

    assert_ok(wh_options_show(wh_options_find(&table, wh_str(key)), &t.v, &out));
    assert_string_equal(out.p, expected);
    wh_buf_free(&out);
}

/* Red when what is shown is not what was set, or a secret is shown. */
static void shows(void **state)
{
    assert_shown("text", "");
    assert_shown("password", "");
    assert_set("password", "hunter22");
    assert_shown("password", "***");
    assert_shown("batch_bytes", "1MiB");
    assert_shown("wait", "10s");
    assert_shown("header", "true");
    assert_shown("ratio", "0");
    assert_shown("delimiter", "comma");
    assert_shown("on_conflict", "fail");
    assert_set("delimiter", "\\x01");
    assert_shown("delimiter", "\\x01");
    assert_set("delimiter", "none");
    assert_shown("delimiter", "none");
    assert_set("ratio", "0.1");
    assert_shown("ratio", "0.1");
    assert_set("keys", "a,f(b,c)");
    assert_shown("keys", "a,\"f(b,c)\"");
    assert_set("text", "a\nb");
    assert_shown("text", "\"a\\nb\"");
    assert_shown("page", "size=100");
}

/* Red when a change of meaning keeps the fingerprint, another spelling changes it, or a secret is
 * in it. */
static void fingerprints(void **state)
{
    struct wh_buf out = WH_BUF(10000);

    assert_set("batch_bytes", "1024KiB");
    assert_set("header", "1");
    assert_set("include", "*");
    assert_ok(wh_options_fingerprint(&table, &t.v, &out));
    assert_int_equal(out.n, 0);
    assert_set("password", "hunter22");
    assert_set("wait", "5m");
    assert_set("delimiter", "tab");
    assert_set("text", "x\ny=z");
    assert_ok(wh_options_fingerprint(&table, &t.v, &out));
    assert_string_equal(out.p, "delimiter=tab\ntext=\"x\\ny=z\"\nwait=5m\n");
    wh_buf_free(&out);
}

/* Red when help leaves a row out, or the schema is no JSON or lacks a row. */
static void help_and_schema(void **state)
{
    struct wh_buf help = WH_BUF(100000), schema = WH_BUF(100000);
    struct wh_node *root;

    assert_ok(wh_options_help(&table, &help));
    assert_ok(wh_options_schema(&table, &schema));
    if (wh_json_parse(t.arena, "schema", schema.p, schema.n, &root, &t.problems) != WH_OK)
        fail_msg("%s %s: %s", t.problems.v[0].where, t.problems.v[0].message, schema.p);
    struct wh_node *properties = wh_node_get(root, "properties");

    for (const struct wh_option *row = rows; row->name; row++) {
        if (!strstr(help.p, row->name))
            fail_msg("no help for %s", row->name);
        assert_non_null(wh_node_get(properties, row->name));
    }
    assert_true(wh_str_starts(wh_str(help.p), "first:\n  text "));
    assert_non_null(strstr(help.p, "64KiB..256MiB"));
    assert_non_null(strstr(help.p, "fail|replace-all|append|null"));
    assert_non_null(strstr(help.p, "append is not available: this build cannot"));
    assert_true(strstr(help.p, "header") < strstr(help.p, "skip_lines"));
    struct wh_node *choices = wh_node_get(wh_node_get(properties, "on_conflict"), "enum");

    assert_int_equal(choices->n, 3);
    assert_string_equal(
        wh_node_text(wh_node_get(wh_node_get(properties, "password"), "writeOnly"), ""), "true");
    assert_string_equal(
        wh_node_text(wh_node_get(wh_node_get(properties, "skip_lines"), "maximum"), ""), "1000");
    wh_buf_free(&help);
    wh_buf_free(&schema);
}

/* Red when a wrong default of a table goes unnoticed. */
static void wrong_default_is_a_bug(void **state)
{
    const struct wh_option bad[] = {WH_OPT_I64(struct needs, n, 0, 5, .def = "6"), WH_OPT_END};
    const struct wh_options bad_table = {bad, sizeof(struct needs), "bad"};
    struct needs v = {0};

    assert_int_equal(wh_options_init(&bad_table, &v, t.arena), WH_E_BUG);
}

static int live_once(void *arg)
{
    static const char *const flags[][2] = {
        {"text", "x"},   {"include", "a"},  {"include", "b"}, {"keys", "a,b,c"},   {"page", "a=1"},
        {"page.b", "2"}, {"password", "p"}, {"nope", "x"},    {"on_conflict", "x"}};
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_buf out = WH_BUF(100000);
    struct all v = {0};
    int st = WH_E_NOMEM;

    if (!arena)
        return st;
    st = wh_options_init(&table, &v, arena);
    for (size_t i = 0; i < sizeof flags / sizeof flags[0] && st == WH_OK; i++)
        wh_options_set_text(&table, &v, arena, flags[i][0], flags[i][1], "", &problems);
    if (st == WH_OK && problems.errors != 2) /* the two at the end are wrong */
        st = WH_E_NOMEM;
    if (st == WH_OK)
        st = wh_options_fingerprint(&table, &v, &out);
    if (st == WH_OK)
        st = wh_options_help(&table, &out);
    if (st == WH_OK)
        st = wh_options_schema(&table, &out);
    wh_options_wipe(&table, &v);
    wh_buf_free(&out);
    wh_arena_free(arena);
    return st;
}

/* Red when running out of memory leaks, crashes, or takes a setting half. */
static void out_of_memory(void **state)
{
    sweep(live_once, NULL, WH_E_NOMEM);
}

/* ---- the scalar parsers -------------------------------------------------------------------- */

struct number {
    const char *text;
    bool ok;
    int64_t value;
};

static void assert_numbers(bool (*parse)(const char *, int64_t *), const struct number *n,
                           size_t count)
{
    for (size_t i = 0; i < count; i++) {
        int64_t v = 0;
        bool ok = parse(n[i].text, &v);

        if (ok != n[i].ok || (ok && v != n[i].value))
            fail_msg("'%s': %d, %lld", n[i].text, ok, (long long)v);
    }
}

/* Red when a number is rounded, overflows, or is taken from half a text. */
static void parses_numbers(void **state)
{
    static const struct number n[] = {
        {"0", true, 0},
        {"-0", true, 0},
        {"+7", true, 7},
        {"0012", true, 12},
        {"2e6", true, 2000000},
        {"1.5e3", true, 1500},
        {"1.50", false, 0},
        {"2.0", true, 2},
        {"12000e-3", true, 12},
        {"1e-3", false, 0},
        {"9223372036854775807", true, INT64_MAX},
        {"-9223372036854775808", true, INT64_MIN},
        {"9223372036854775808", false, 0},
        {"99999999999999999999", false, 0},
        {"1e18", true, 1000000000000000000},
        {"1e19", false, 0},
        {"0e99", true, 0},
        {"1e999999999999", false, 0},
        {"", false, 0},
        {"-", false, 0},
        {"1x", false, 0},
        {" 1", false, 0},
        {"1 ", false, 0},
        {".5", false, 0},
        {"0x10", false, 0},
        {"1e", false, 0},
        {"1_000", false, 0},
    };

    assert_numbers(wh_parse_i64, n, sizeof n / sizeof n[0]);
}

/* Red when MB and MiB are confused or a unit is guessed. */
static void parses_sizes(void **state)
{
    static const struct number n[] = {
        {"0", true, 0},
        {"1024", true, 1024},
        {"1e6", true, 1000000},
        {"64MB", true, 64000000},
        {"64MiB", true, 64 << 20},
        {"64 mib", true, 64 << 20},
        {"1.5GiB", true, 1610612736},
        {"0.1KiB", true, 102},
        {"7B", true, 7},
        {"3kB", true, 3000},
        {"3TB", true, 3000000000000},
        {"2TiB", true, INT64_C(2) << 40},
        {"20MB/s", true, 20000000},
        {"64M", false, 0},
        {"64k", false, 0},
        {"64XB", false, 0},
        {"-1", false, 0},
        {"MB", false, 0},
        {"", false, 0},
        {"9000000TiB", false, 0},
        {"8388607TiB", true, INT64_C(8388607) << 40},
        {"1MB MB", false, 0},
    };

    assert_numbers(wh_parse_size, n, sizeof n / sizeof n[0]);
}

static void parses_durations(void **state)
{
    static const struct number n[] = {
        {"0", true, 0},          {"250ms", true, 250},     {"10s", true, 10000},
        {"5m", true, 300000},    {"2h", true, 7200000},    {"1d", true, 86400000},
        {"1.5h", true, 5400000}, {"1h30m", true, 5400000}, {"1d2h3m4s5ms", true, 93784005},
        {"10", false, 0},        {"30m1h", false, 0},      {"1m1m", false, 0},
        {"-1s", false, 0},       {"s", false, 0},          {"", false, 0},
        {"1w", false, 0},        {"1 s", false, 0},        {"99999999999999999d", false, 0},
    };

    assert_numbers(wh_parse_duration, n, sizeof n / sizeof n[0]);
}

static void parses_bools_and_doubles(void **state)
{
    static const char *const yes[] = {"true", "YES", "on", "1"}, *const no[] = {"false", "No",
                                                                                "off", "0"};
    static const char *const bad[] = {"",     "x",    "1x", "nan",   "inf",
                                      "-inf", "0x10", " 1", "1e999", "%"};
    bool b;
    double d;

    for (int i = 0; i < 4; i++) {
        assert_true(wh_parse_bool(yes[i], &b) && b);
        assert_true(wh_parse_bool(no[i], &b) && !b);
    }
    assert_false(wh_parse_bool("y", &b));
    assert_false(wh_parse_bool("", &b));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (wh_parse_double(bad[i], &d))
            fail_msg("'%s' is taken", bad[i]);
    assert_true(wh_parse_double("-1.5e3", &d) && d == -1500);
    assert_true(wh_parse_double(".5", &d) && d == 0.5);
    assert_true(wh_parse_double("50%", &d) && d == 0.5);
}

/* Red when a name of a character means another one. */
static void parses_characters(void **state)
{
    static const struct {
        const char *text;
        int value;
    } good[] = {{",", ','},     {"tab", '\t'},  {"\\t", '\t'}, {"comma", ','}, {"Semicolon", ';'},
                {"pipe", '|'},  {"space", ' '}, {" ", ' '},    {"none", -1},   {"ctrl-a", 1},
                {"Ctrl-Z", 26}, {"ctrl_b", 2},  {"\\x01", 1},  {"\\xFf", 255}, {"\\\\", '\\'},
                {"\\", '\\'},   {"\\0", 0},     {"\\x00", 0},  {"\"", '"'},    {"\t", '\t'}};
    static const char *const bad[] = {"",    ";;",    "\xC3\xA9", "\\x1",    "\\xgg",
                                      "\\q", "ctrl-", "ctrl-1",   "ctrl-ab", "tabs"};
    int c;

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!wh_parse_char(good[i].text, &c) || c != good[i].value)
            fail_msg("'%s'", good[i].text);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (wh_parse_char(bad[i], &c))
            fail_msg("'%s' is taken", bad[i]);
}

static void judges_cron(void **state)
{
    static const char *const good[] = {"15 2 * * *",        "*/5 * * * *",    "0 0 1,15 jan-mar *",
                                       "0 0 * * 7",         "0\t0  *  * Sun", "@daily",
                                       "0-30/10 0 31 12 6 "};
    static const char *const bad[] = {
        "",          "15 2 * *",       "15 2 * * * *", "60 * * * *",  "* 24 * * *",
        "* * 0 * *", "* * * 13 *",     "* * * * 8",    "5-1 * * * *", "*/0 * * * *",
        "a * * * *", "* * * * funday", "@never",       "1, * * * *",  "@daily x"};

    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++)
        if (!wh_cron_valid(good[i]))
            fail_msg("'%s'", good[i]);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (wh_cron_valid(bad[i]))
            fail_msg("'%s' is taken", bad[i]);
}

#define LIVE(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LIVE(defaults),
        LIVE(names),
        LIVE(values_are_checked),
        LIVE(lists_and_maps),
        LIVE(from_yaml),
        LIVE(all_problems_with_places),
        LIVE(required),
        LIVE(shows),
        LIVE(fingerprints),
        LIVE(help_and_schema),
        LIVE(wrong_default_is_a_bug),
        cmocka_unit_test(out_of_memory),
        cmocka_unit_test(parses_numbers),
        cmocka_unit_test(parses_sizes),
        cmocka_unit_test(parses_durations),
        cmocka_unit_test(parses_bools_and_doubles),
        cmocka_unit_test(parses_characters),
        cmocka_unit_test(judges_cron),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
