/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of document trees, for the targets of both readers. */
#ifndef WHERRY_TESTS_FUZZ_FUZZ_TREE_H
#define WHERRY_TESTS_FUZZ_FUZZ_TREE_H

#include "fuzz.h"

#include "core/buf.h"
#include "core/tree.h"

#include <string.h>

/* Every text is valid and has no NUL, every place is set, keys are unique; returns the number of
 * nodes, shared ones counted each time they are met. */
static size_t check_tree(const struct wh_node *node, int depth)
{
    size_t total = 1;

    FUZZ_CHECK(depth <= 64 + 1);
    FUZZ_CHECK(node->line > 0 && node->column > 0);
    FUZZ_CHECK(wh_utf8_valid(node->text, strlen(node->text)));
    FUZZ_CHECK(node->n == 0 || node->kind == WH_NODE_LIST || node->kind == WH_NODE_MAP);
    for (size_t i = 0; i < node->n; i++) {
        if (node->kind == WH_NODE_MAP) {
            FUZZ_CHECK(node->keys[i]->kind == WH_NODE_SCALAR);
            FUZZ_CHECK(node->n > 100 || wh_node_get(node, node->keys[i]->text) == node->items[i]);
        }
        total += check_tree(node->items[i], depth + 1);
    }
    return total;
}

static void check_problems(const struct wh_problems *problems, int status)
{
    FUZZ_CHECK((status == WH_OK) == (problems->errors == 0));
    FUZZ_CHECK(status == WH_OK || status == WH_E_USAGE);
    for (size_t i = 0; i < problems->n; i++) {
        const struct wh_problem *p = &problems->v[i];

        FUZZ_CHECK(wh_utf8_valid(p->message, strlen(p->message)));
        FUZZ_CHECK(!p->hint || wh_utf8_valid(p->hint, strlen(p->hint)));
        FUZZ_CHECK(strncmp(p->where, "fuzz:", 5) == 0);
    }
}

#endif
