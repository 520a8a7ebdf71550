/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that are wrong: each gets its code, its place and a hint that helps. */
#include "test.h"

#include "core/alloc.h"
#include "core/buf.h"
#include "core/tree.h"

struct trap {
    const char *text, *code, *where;
    const char *message, *hint; /* parts of them */
};

typedef int parse_fn(struct wh_arena *, const char *, const char *, size_t, struct wh_node **,
                     struct wh_problems *);

/* The first problem is the one that is meant; nothing may pass. */
static void spring(parse_fn *fn, const struct trap *trap)
{
    struct wh_arena *arena = wh_arena_new(8 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *root = NULL;
    int st = fn(arena, "j", trap->text, strlen(trap->text), &root, &problems);
    const struct wh_problem *p = problems.v;

    if (st != WH_E_USAGE || problems.n == 0)
        fail_msg("passes: %s", trap->text);
    if (strcmp(p->code, trap->code) != 0 || strcmp(p->where, trap->where) != 0 ||
        !strstr(p->message, trap->message) || !strstr(p->hint ? p->hint : "", trap->hint))
        fail_msg("%s\n  %s %s: %s\n  hint: %s", trap->text, p->code, p->where, p->message,
                 p->hint ? p->hint : "-");
    assert_null(root);
    wh_arena_free(arena);
}

/* Red when YAML that means something else than it looks like passes silently (INTERFACE 8). */
static void yaml_that_parses(void **state)
{
    static const struct trap traps[] = {
        {"where: a = 1 # and b", "E1036", "j:1:8", "'# and b'", "quotes"},
        {"s:\n  filter: x > 1   # y\n", "E1036", "j:2:11", "'filter'", "quotes"},
        {"expr: a #b", "E1036", "j:1:7", "comment", "quotes"},
        {"from: db:x #y", "E1036", "j:1:7", "'#y'", "quotes"},
        {"where: !x", "E1034", "j:1:8", "'!x'", "single quotes"},
        {"a: !!str 1", "E1034", "j:1:4", "'!!str'", "single quotes"},
        {"a: !m {}", "E1034", "j:1:4", "'!m'", "single quotes"},
        {"a: !l []", "E1034", "j:1:4", "'!l'", "single quotes"},
        {"%TAG ! tag:x,2000:\n---\na: 1\n", "E1034", "j:1:1", "%TAG", ""},
        {"delimiter: |\nb: 1\n", "E1037", "j:1:12", "'|' begins a block", "'|'"},
        {"delimiter: >\n", "E1037", "j:1:12", "'>' begins a block", "'>'"},
        {"{ delimiter: , }", "E1037", "j:1:3", "no value", "','"},
        {"to: {source.table}", "E1037", "j:1:6", "{source.table}", "'{source.table}'"},
        {"to: {source.table|lower}", "E1037", "j:1:6", "map", "'{source.table|lower}'"},
        {"a: { b, c: 1 }", "E1037", "j:1:6", "'b' has no value", "comma"},
        {"convert: [mask(3,4)]", "E1037", "j:1:11", "'mask(3'", "'mask(3,4)'"},
        {"types: {c: decimal(18,2)}", "E1037", "j:1:12", "comma", "'decimal(18,2)'"},
        {"to: null", "E1037", "j:1:5", "nothing", "'null:'"},
        {"exclude: [*_bak]", "E1035", "j:1:11", "alias", "'*_bak'"},
        {"a: &x [1, *x]", "E1035", "j:1:11", "alias", "'*x'"},
        {"mode\xEF\xBC\x9A append", "E1038", "j:1:1", "full-width", "':'"},
        {"write:\n  mode\xEF\xBC\x9A append\n", "E1038", "j:2:3", "full-width", "':'"},
        {"- name\xEF\xBC\x9A x\n", "E1038", "j:1:3", "full-width", "':'"},
        {"where: \xE2\x80\x9C"
         "a = 1\xE2\x80\x9D",
         "E1038", "j:1:8", "curly", "\""},
        {"\xE2\x80\x98"
         "a\xE2\x80\x99: 1",
         "E1038", "j:1:1", "curly", "'"},
        {"a: 1\na: 2\n", "E1033", "j:2:1", "'a' is given twice, first in line 1", "remove"},
        {"a: {b: 1, b: 2}", "E1033", "j:1:11", "'b'", "remove"},
        {"a: &a {}\nb: {<<: *a, <<: *a}", "E1033", "j:2:13", "'<<'", "[*a, *b]"},
        {"a: 1\nb: {<<: x}", "E1041", "j:2:9", "'<<'", "*name"},
        {"a: 1\n---\nb: 1\n", "E1039", "j:2:1", "second document", ""},
        {"a: 1\n...\n---\nb: 1\n", "E1039", "j:3:1", "second document", ""},
        {"a: \"x\\0y\"", "E1031", "j:1:4", "NUL", ""},
        {"'': 1", "E1031", "j:1:1", "empty", ""},
        {"? [a]\n: b\n", "E1031", "j:1:3", "key", ""},
        {"a: &x b\n*x : c\n", "E1035", "j:2:1", "key", ""},
    };

    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
        spring(wh_yaml_parse, &traps[i]);
}

/* Red when YAML that does not parse gets only libyaml's words, which do not say what to do. */
static void yaml_that_does_not_parse(void **state)
{
    static const struct trap traps[] = {
        {"to: { password: ${env:X} }", "E1037", "j:1:18", "", "macro must be quoted"},
        {"x: { tables: /^a_\\d{2}$/ }", "E1037", "j:1:20", "", "single quotes"},
        {"x: { m: [db[01-08].x] }", "E1037", "j:1:12", "", "single quotes"},
        {"cron: */5 * * * *", "E1035", "j:1:8", "alias", "'*/5 * * * *'"},
        {"columns:\n  - * except (a)\n", "E1035", "j:2:6", "alias", "'* except (a)'"},
        {"columns: [*, {to: a}]\n", "E1035", "j:1:12", "alias", "'*'"},
        {"t: \"/^order_\\d+$/\"", "E1031", "j:1:13", "escape", "single quotes"},
        {"t: \"C:\\data\"", "E1031", "j:1:7", "escape", "single quotes"},
        {"to: pg2:", "E1037", "j:1:8", "mapping values", "'pg2:'"},
        {"a: b: c", "E1037", "j:1:5", "mapping values", "'b: c'"},
        {"query: @q.sql", "E1037", "j:1:8", "cannot start", "'@q.sql'"},
        {"query: `x`", "E1037", "j:1:8", "cannot start", "'`x`'"},
        {"where: %x\n", "E1037", "j:1:8", "cannot start", "'%x'"},
        {"where: \"Status\" <> 1", "E1037", "j:1:17", "", "all of it in single quotes"},
        {"to: {a: 1}.x", "E1037", "j:1:11", "", "all of it in single quotes"},
        {"a: 1\n\tb: 2\n", "E1031", "j:2:1", "tab", "spaces"},
        {"a:\n\t- b\n", "E1031", "j:2:1", "", "spaces"},
        {"a: 'x", "E1031", "j:1:6", "", "line 1 never closes"},
        {"a: [1, 2\nb: 3\n", "E1031", "j:2:2", "", "bracket that opens in line 1"},
        {"- a\nb: 1", "E1031", "j:2:1", "", "indentation"},
        {"a: 1\n  b: 2\n", "E1031", "j:2:4", "", "indentation"},
        {"a: !a!b c", "E1034", "j:1:4", "", "single quotes"},
        {"a: \x01", "E1031", "j:1:4", "a control character", "UTF-8"},
        {"a: \xFF", "E1031", "j:1:4", "UTF-8 (byte 0xff)", "UTF-8"},
        {"a: \xC3\xA9\nb: x\xC3", "E1031", "j:2:5", "UTF-8 (byte 0xc3)", "UTF-8"},
        {"\xFF\xFE"
         "a",
         "E1031", "j:1:1", "UTF-16", "UTF-8"},
    };

    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
        spring(wh_yaml_parse, &traps[i]);
}

/* Red when JSON that RFC 8259 forbids passes. */
static void json_that_is_wrong(void **state)
{
    static const struct trap traps[] = {
        {"{\"a\":1,}", "E1032", "j:1:8", "'}'", "comma"},
        {"[1,]", "E1032", "j:1:4", "']'", "comma"},
        {"{'a':1}", "E1032", "j:1:2", "key", "double quotes"},
        {"['a']", "E1032", "j:1:2", "value", "double quotes"},
        {"{\"a\" 1}", "E1032", "j:1:6", "':'", ""},
        {"{\"a\":1 \"b\":2}", "E1032", "j:1:8", "','", ""},
        {"[1 2]", "E1032", "j:1:4", "','", ""},
        {"[01]", "E1032", "j:1:3", "leading zero", "quote"},
        {"[-01]", "E1032", "j:1:4", "leading zero", "quote"},
        {"[-]", "E1032", "j:1:3", "digit", ""},
        {"[1.]", "E1032", "j:1:4", "after the point", ""},
        {"[.5]", "E1032", "j:1:2", "a value", ""},
        {"[+5]", "E1032", "j:1:2", "a value", ""},
        {"[1e]", "E1032", "j:1:4", "exponent", ""},
        {"[NaN]", "E1032", "j:1:2", "a value", ""},
        {"nul", "E1032", "j:1:1", "a value", ""},
        {"// x\n{}", "E1032", "j:1:1", "'/'", ""},
        {"{} x", "E1032", "j:1:4", "nothing after", ""},
        {"{\"a\":1,\"a\":2}", "E1033", "j:1:8", "twice, first in line 1", "remove"},
        {"\"abc", "E1032", "j:1:1", "never ends", ""},
        {"\"abc\\\"", "E1032", "j:1:1", "never ends", ""},
        {"[\"a\nb\"]", "E1032", "j:1:4", "control", "\\n"},
        {"[\"\\x\"]", "E1032", "j:1:4", "backslash", "\\\\"},
        {"[\"\\u12g4\"]", "E1032", "j:1:7", "hexadecimal", ""},
        {"[\"\\u0000\"]", "E1032", "j:1:9", "NUL", ""},
        {"[\"\\ud800\"]", "E1032", "j:1:9", "surrogate", ""},
        {"[\"\\ud800\\u0041\"]", "E1032", "j:1:15", "surrogate", ""},
        {"[\"\\udc00\"]", "E1032", "j:1:9", "surrogate", ""},
        {"[\"\xFF\"]", "E1032", "j:1:3", "UTF-8", "UTF-8"},
        {"[", "E1032", "j:1:2", "the end", ""},
        {"{", "E1032", "j:1:2", "the end", ""},
    };

    for (size_t i = 0; i < sizeof traps / sizeof traps[0]; i++)
        spring(wh_json_parse, &traps[i]);
}

/* Red when only the first of several independent mistakes is named. */
static void all_at_once(void **state)
{
    static const char text[] = "where: a # b\nexclude: [*_bak, c]\nto: null\nto: x\nx: !t y\n"
                               "c: [f(1,2)]\nlast: {a}\n";
    static const char *const codes[] = {"E1036", "E1035", "E1037", "E1033",
                                        "E1034", "E1037", "E1037"};
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *root;

    assert_int_equal(wh_yaml_parse(arena, "j", text, strlen(text), &root, &problems), WH_E_USAGE);
    assert_int_equal(problems.n, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(problems.v[i].code, codes[i]);
    wh_arena_free(arena);
}

static void assert_refused(parse_fn *fn, const char *text, size_t n, const char *code)
{
    struct wh_arena *arena = wh_arena_new(64 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *root;

    assert_int_equal(fn(arena, "j", text, n, &root, &problems), WH_E_USAGE);
    assert_string_equal(problems.v[0].code, code);
    wh_arena_free(arena);
}

/* Red when a document can exhaust memory or the stack: by depth, anchors, aliases of aliases, or
 * size. */
static void caps(void **state)
{
    struct wh_buf text = WH_BUF(64 << 20);
    parse_fn *const parsers[] = {wh_yaml_parse, wh_json_parse};

    for (int k = 0; k < 2; k++) {
        for (int depth = 64; depth <= 65; depth++) {
            struct wh_arena *arena = wh_arena_new(1 << 20);
            struct wh_problems problems = {.arena = arena};
            struct wh_node *root;

            wh_buf_clear(&text);
            for (int i = 0; i < depth; i++)
                assert_ok(wh_buf_addc(&text, '['));
            for (int i = 0; i < depth; i++)
                assert_ok(wh_buf_addc(&text, ']'));
            int st = parsers[k](arena, "j", text.p, text.n, &root, &problems);

            assert_int_equal(st, depth == 64 ? WH_OK : WH_E_USAGE);
            wh_arena_free(arena);
        }
    }
    wh_buf_clear(&text);
    for (int i = 0; i < 1000000; i++)
        assert_ok(wh_buf_addc(&text, '['));
    assert_refused(wh_json_parse, text.p, text.n, "E1040");
    wh_buf_clear(&text);
    assert_ok(wh_buf_adds(&text, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"));
    for (int i = 1; i < 30; i++)
        assert_ok(
            wh_buf_printf(&text, "a%d: &a%d [*a%d, *a%d, *a%d]\n", i, i, i - 1, i - 1, i - 1));
    assert_refused(wh_yaml_parse, text.p, text.n, "E1035");
    wh_buf_clear(&text);
    for (int i = 0; i <= 100; i++)
        assert_ok(wh_buf_printf(&text, "- &a%d x\n", i));
    assert_refused(wh_yaml_parse, text.p, text.n, "E1035");
    wh_buf_clear(&text);
    for (int i = 0; i <= (16 << 20) / 16; i++)
        assert_ok(wh_buf_adds(&text, "# 3456789 12345\n"));
    assert_refused(wh_yaml_parse, text.p, text.n, "E1040");
    wh_buf_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_that_parses),
        cmocka_unit_test(yaml_that_does_not_parse),
        cmocka_unit_test(json_that_is_wrong),
        cmocka_unit_test(all_at_once),
        cmocka_unit_test(caps),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
