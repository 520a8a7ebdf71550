/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that are right: what is in the tree. Those that are wrong: test_traps.c. */
#include "sweep.h"

#include "core/buf.h"
#include "core/tree.h"

#include <stdlib.h>

static struct wh_arena *arena;

static int new_arena(void **state)
{
    arena = wh_arena_new(64 << 20);
    return arena == NULL;
}

static int free_arena(void **state)
{
    wh_arena_free(arena);
    return 0;
}

typedef int parse_fn(struct wh_arena *, const char *, const char *, size_t, struct wh_node **,
                     struct wh_problems *);

static struct wh_node *parse(parse_fn *fn, const char *text)
{
    struct wh_problems problems = {.arena = arena};
    struct wh_node *root = NULL;
    int st = fn(arena, "job", text, strlen(text), &root, &problems);

    if (st != WH_OK)
        fail_msg("%s: %s", text, problems.n ? problems.v[0].message : wh_status_name(st));
    return root;
}

/* A tree in one line: quoted texts in '', NULL as ~text, places left out. */
static void print(const struct wh_node *node, struct wh_buf *out)
{
    if (node->kind == WH_NODE_NULL)
        assert_ok(wh_buf_printf(out, "~%s", node->text));
    else if (node->kind == WH_NODE_SCALAR)
        assert_ok(wh_buf_printf(out, node->quoted ? "'%s'" : "%s", node->text));
    else
        assert_ok(wh_buf_addc(out, node->kind == WH_NODE_MAP ? '{' : '['));
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == WH_NODE_MAP)
            assert_ok(wh_buf_printf(out, "%s:", node->keys[i]->text));
        print(node->items[i], out);
        if (i + 1 < node->n)
            assert_ok(wh_buf_addc(out, ' '));
    }
    if (node->kind >= WH_NODE_LIST)
        assert_ok(wh_buf_addc(out, node->kind == WH_NODE_MAP ? '}' : ']'));
}

static void assert_tree(parse_fn *fn, const char *text, const char *expected)
{
    struct wh_buf out = WH_BUF(1 << 20);

    print(parse(fn, text), &out);
    assert_string_equal(out.p, expected);
    wh_buf_free(&out);
}

/* Red when a scalar loses or gains anything: YAML's own typing (0012, no, 12:30, 1e5) must not
 * happen, JSON's numbers keep every digit. */
static void scalars_stay_text(void **state)
{
    assert_tree(wh_yaml_parse, "a: 0012\nb: no\nc: 12:30\nd: 1e5\ne: +.5\nf: 2024-01-01\n",
                "{a:0012 b:no c:12:30 d:1e5 e:+.5 f:2024-01-01}");
    assert_tree(wh_yaml_parse, "a: '0'\nb: \"x\\ty\"\nc: ''\nd: |\n  l1\n  l2\ne: >-\n  f1\n  f2\n",
                "{a:'0' b:'x\ty' c:'' d:'l1\nl2\n' e:'f1 f2'}");
    assert_tree(wh_yaml_parse, "on: x\nyes: y\nnull: z\n~: w\n", "{on:x yes:y null:z ~:w}");
    assert_tree(wh_yaml_parse, "a:\nb: ~\nc: null\nd: 'null'\n", "{a:~ b:~~ c:~null d:'null'}");
    assert_tree(wh_yaml_parse, "query: >\n  select 1\n  from x # kept\n",
                "{query:'select 1 from x # kept\n'}");
    assert_tree(
        wh_json_parse,
        "{\"a\":1.5000000000000000000000000001e-400,\"b\":-0,\"c\":12345678901234567890123}",
        "{a:1.5000000000000000000000000001e-400 b:-0 c:12345678901234567890123}");
    assert_tree(wh_json_parse, " [true,false,null,\"null\",\"\",[],{}] ",
                "[true false ~null 'null' '' [] {}]");
    assert_tree(wh_json_parse, "\"\\u00e9\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"",
                "'\xC3\xA9\xF0\x9F\x98\x80\"\\/\b\f\n\r\tA'");
    assert_tree(wh_json_parse, "3", "3");
    assert_tree(wh_yaml_parse, "", "~");
    assert_tree(wh_yaml_parse, "# nothing\n", "~");
    assert_tree(wh_json_parse, " \n", "~");
    assert_tree(wh_yaml_parse,
                "\xEF\xBB\xBF"
                "a: 1\r\nb: 2\r\n",
                "{a:1 b:2}");
    assert_tree(wh_json_parse, "\xEF\xBB\xBF{}", "{}");
}

/* Red when anchors, aliases or merges give other values than YAML says: own keys win, the first of
 * a list of maps wins, the latest anchor of a name counts. */
static void follows_anchors(void **state)
{
    assert_tree(wh_yaml_parse, "x: &a {p: 1, q: 2}\ny: *a\nz: [*a, *a]\n",
                "{x:{p:1 q:2} y:{p:1 q:2} z:[{p:1 q:2} {p:1 q:2}]}");
    assert_tree(wh_yaml_parse, "x: &a {p: 1, q: 2}\ny:\n  <<: *a\n  q: 3\n  r: 4\n",
                "{x:{p:1 q:2} y:{q:3 r:4 p:1}}");
    assert_tree(wh_yaml_parse, "a: &a {p: 1}\nb: &b {p: 2, q: 2}\ny: {q: 9, <<: [*a, *b]}\n",
                "{a:{p:1} b:{p:2 q:2} y:{q:9 p:1}}");
    assert_tree(wh_yaml_parse, "a: &x 1\nb: &x 2\nc: *x\n", "{a:1 b:2 c:2}");
    assert_tree(wh_yaml_parse, "a: {'<<': 1}\n", "{a:{<<:1}}");
    assert_tree(wh_yaml_parse, "a: &e\nb: *e\n", "{a:~ b:~}");
}

/* Red when comments that were meant are taken for cut values. */
static void comments_that_are_meant(void **state)
{
    assert_tree(wh_yaml_parse,
                "# head\nname: orders   # a\nfrom: shop:x   # two blanks\nwhere: 'a # b' # c\n"
                "to: 'x'  # d\nlimit: 5 # e\nquery: \"#\"\n",
                "{name:orders from:shop:x where:'a # b' to:'x' limit:5 query:'#'}");
    assert_tree(wh_yaml_parse, "from: gen:x?rows=5#part\nwhere: a#b = 1\n",
                "{from:gen:x?rows=5#part where:a#b = 1}");
    assert_tree(wh_yaml_parse, "description: \xE5\xA4\x87\xE6\xB3\xA8\xEF\xBC\x9A\xE6\x97\xA5\n",
                "{description:\xE5\xA4\x87\xE6\xB3\xA8\xEF\xBC\x9A\xE6\x97\xA5}");
}

/* Red when a place is not where an editor shows it, counted in characters from 1. */
static void knows_places(void **state)
{
    struct wh_node *root = parse(wh_yaml_parse, "a: 1\n\xC3\xA9\xC3\xA9: {b: x,\n    c: y}\n");
    struct wh_node *map = root->items[1];

    assert_int_equal(root->items[0]->line, 1);
    assert_int_equal(root->items[0]->column, 4);
    assert_int_equal(root->keys[1]->line, 2);
    assert_int_equal(root->keys[1]->column, 1);
    assert_int_equal(map->line, 2);
    assert_int_equal(map->column, 5);
    assert_int_equal(map->items[1]->line, 3);
    assert_int_equal(map->items[1]->column, 8);
    assert_string_equal(wh_node_where(arena, "job.yaml", map->items[1]), "job.yaml:3:8");
    assert_string_equal(wh_node_where(arena, "job.yaml", NULL), "job.yaml");
    root = parse(wh_json_parse, "{\n \"\xC3\xA9\": 1, \"b\":\n[ 2]}");
    assert_int_equal(root->items[0]->line, 2);
    assert_int_equal(root->items[0]->column, 7);
    assert_int_equal(root->keys[1]->column, 10);
    assert_int_equal(root->items[1]->items[0]->line, 3);
    assert_int_equal(root->items[1]->items[0]->column, 3);
}

/* Red when a builder loses a pair while its array grows, or keeps two of one key. */
static void builds_by_hand(void **state)
{
    struct wh_node *map = wh_node_map(arena), *list = wh_node_list(arena);
    char key[16];

    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_ok(wh_node_put(arena, map, key, wh_node_scalar(arena, key)));
        assert_ok(wh_node_push(arena, list, map->items[i]));
    }
    assert_int_equal(map->n, 1000);
    assert_int_equal(list->n, 1000);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof key, "k%d", i);
        assert_string_equal(wh_node_text(wh_node_get(map, key), "?"), key);
        assert_ptr_equal(list->items[i], map->items[i]);
    }
    assert_ok(wh_node_put(arena, map, "k7", wh_node_scalar(arena, "new")));
    assert_int_equal(map->n, 1000);
    assert_string_equal(wh_node_text(wh_node_get(map, "k7"), "?"), "new");
    assert_null(wh_node_get(map, "k1000"));
    assert_null(wh_node_get(list, "k1"));
    assert_null(wh_node_get(NULL, "k1"));
    assert_string_equal(wh_node_text(NULL, "otherwise"), "otherwise");
    assert_string_equal(wh_node_text(list, "otherwise"), "otherwise");
    assert_int_equal(wh_node_push(arena, list, NULL), WH_E_NOMEM);
}

/* Red when the list of problems loses one before its cap, or its count after it. */
static void counts_problems(void **state)
{
    struct wh_problems problems = {.arena = arena};
    char big[3000];

    for (int i = 0; i < 150; i++)
        wh_problem_add(&problems, "E1001", "here", i % 2 ? "hint" : NULL, "number %d", i);
    wh_problem_warn(&problems, "E1014", NULL, NULL, "only a warning");
    assert_int_equal(problems.n, 151);
    assert_int_equal(problems.errors, 150);
    assert_string_equal(problems.v[149].message, "number 149");
    assert_string_equal(problems.v[149].hint, "hint");
    assert_string_equal(problems.v[149].code, "E1001");
    assert_null(problems.v[148].hint);
    assert_true(problems.v[150].warning);
    assert_string_equal(problems.v[150].where, "");
    for (int i = 0; i + 3 < 2999; i += 3)
        memcpy(big + i, "\xE8\xB4\xA7", 4);
    wh_problem_add(&problems, "E1001", "", NULL, "%s", big);
    assert_true(wh_utf8_valid(problems.v[151].message, strlen(problems.v[151].message)));
    for (int i = 0; i < 1000; i++)
        wh_problem_add(&problems, "E1001", "", NULL, "x");
    assert_int_equal(problems.errors, 1151);
    assert_true(problems.n >= 200 && problems.n < 300);
    wh_problem_add(NULL, "E1001", "", NULL, "nobody listens");
}

/* Red when big documents take more than linear time: this takes minutes if keys are compared one by
 * one or columns are counted from the start of the line. */
static void big_documents(void **state)
{
    struct wh_buf yaml = WH_BUF(64 << 20), json = WH_BUF(64 << 20);

    assert_ok(wh_buf_adds(&json, "{\"x\":["));
    for (int i = 0; i < 100000; i++) {
        assert_ok(wh_buf_printf(&yaml, "key%d: value\n", i));
        assert_ok(wh_buf_printf(&json, "%s{\"a\":%d}", i ? "," : "", i));
    }
    assert_ok(wh_buf_adds(&json, "]}"));
    assert_int_equal(parse(wh_yaml_parse, yaml.p)->n, 100000);
    assert_int_equal(parse(wh_json_parse, json.p)->items[0]->n, 100000);
    wh_buf_free(&yaml);
    wh_buf_free(&json);
}

static const char document[] =
    "version: 1\nparams: { a: &a {x: 1}, b: [1, 2, 3] }\nstreams:\n- from: a\n  to: 'b'\n"
    "  <<: *a\n- name: x\n- name: y\n- name: z\n- name: w\n";

struct input {
    parse_fn *fn;
    const char *text;
};

static int parse_once(void *arg)
{
    const struct input *input = arg;
    struct wh_arena *own = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = own};
    struct wh_node *root;

    if (!own)
        return WH_E_NOMEM;
    int st = input->fn(own, "job", input->text, strlen(input->text), &root, &problems);

    wh_arena_free(own);
    return st;
}

/* Red when running out of memory while reading leaks, crashes or passes for success. */
static void out_of_memory(void **state)
{
    struct wh_buf json = WH_BUF(1 << 20);

    sweep(parse_once, &(struct input){wh_yaml_parse, document}, WH_E_NOMEM);
    assert_ok(wh_buf_adds(&json, "{\"a\":[1,\"x\",{\"b\":null}]"));
    for (int i = 0; i < 100; i++)
        assert_ok(wh_buf_printf(&json, ",\"k%d\":\"\\u00e9\"", i));
    assert_ok(wh_buf_addc(&json, '}'));
    sweep(parse_once, &(struct input){wh_json_parse, json.p}, WH_E_NOMEM);
    wh_buf_free(&json);
}

/* Red when an arena that is full passes for success. */
static void arena_is_full(void **state)
{
    for (size_t size = 0; size < 6000; size += 100) {
        struct wh_arena *small = wh_arena_new(size);
        struct wh_problems problems = {.arena = small};
        struct wh_node *root = NULL;
        int st = wh_yaml_parse(small, "job", document, sizeof document - 1, &root, &problems);

        assert_int_equal(st == WH_OK, root != NULL);
        assert_true(st == WH_OK || st == WH_E_NOMEM);
        wh_arena_free(small);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalars_stay_text),       cmocka_unit_test(follows_anchors),
        cmocka_unit_test(comments_that_are_meant), cmocka_unit_test(knows_places),
        cmocka_unit_test(builds_by_hand),          cmocka_unit_test(counts_problems),
        cmocka_unit_test(big_documents),           cmocka_unit_test(out_of_memory),
        cmocka_unit_test(arena_is_full),
    };

    return cmocka_run_group_tests(tests, new_arena, free_arena);
}
