/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_tree.h"

static void print(const struct wh_node *node, struct wh_buf *out)
{
    bool map = node->kind == WH_NODE_MAP;
    int st = WH_OK;

    if (node->kind == WH_NODE_NULL)
        st = wh_buf_adds(out, "null");
    else if (node->kind == WH_NODE_SCALAR)
        st = node->quoted ? wh_buf_json(out, node->text, strlen(node->text))
                          : wh_buf_adds(out, node->text);
    else
        st = wh_buf_addc(out, map ? '{' : '[');
    FUZZ_CHECK(st == WH_OK);
    for (size_t i = 0; i < node->n; i++) {
        if (i)
            FUZZ_CHECK(wh_buf_addc(out, ',') == WH_OK);
        if (map) {
            print(node->keys[i], out);
            FUZZ_CHECK(wh_buf_addc(out, ':') == WH_OK);
        }
        print(node->items[i], out);
    }
    if (map || node->kind == WH_NODE_LIST)
        FUZZ_CHECK(wh_buf_addc(out, map ? '}' : ']') == WH_OK);
}

/* Red when the JSON reader reads outside of its input, or when what it read, printed and read
 * again, is not the same: something was lost or changed. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wh_arena *arena = wh_arena_new(64 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_buf first = WH_BUF(64 << 20), second = WH_BUF(64 << 20);
    struct wh_node *root;

    FUZZ_CHECK(arena);
    int st = wh_json_parse(arena, "fuzz", (const char *)data, n, &root, &problems);

    check_problems(&problems, st);
    if (st == WH_OK && root->text && !(root->kind == WH_NODE_NULL && !*root->text)) {
        FUZZ_CHECK(check_tree(root, 0) <= n + 1);
        print(root, &first);
        FUZZ_CHECK(wh_json_parse(arena, "fuzz", first.p, first.n, &root, &problems) == WH_OK);
        print(root, &second);
        FUZZ_CHECK(first.n == second.n && memcmp(first.p, second.p, first.n) == 0);
    }
    wh_buf_free(&first);
    wh_buf_free(&second);
    wh_arena_free(arena);
    return 0;
}
