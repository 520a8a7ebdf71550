/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_tree.h"

/* Red when the YAML reader reads outside of its input, leaks, expands aliases beyond their cap, or
 * says OK to a document that it complained about. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wh_arena *arena = wh_arena_new(64 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *root;

    FUZZ_CHECK(arena);
    int st = wh_yaml_parse(arena, "fuzz", (const char *)data, n, &root, &problems);

    check_problems(&problems, st);
    if (st == WH_OK)
        FUZZ_CHECK(check_tree(root, 0) <= n + (1 << 20) / 16 + 1);
    wh_arena_free(arena);
    return 0;
}
