/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "../unit/fake_connectors.h"

#include "engine/object.h"

#include <string.h>

static void same_name(const struct wh_name *a, const struct wh_name *b)
{
    FUZZ_CHECK(a->n == b->n);
    for (int i = 0; i < a->n; i++)
        FUZZ_CHECK(a->part[i].n == b->part[i].n &&
                   memcmp(a->part[i].s, b->part[i].s, a->part[i].n) == 0);
}

/* What is printed of a plain dotted name reads back as the same name. */
static void check_printed(struct wh_arena *arena, const struct wh_objref *ref)
{
    struct wh_buf text = WH_BUF(1 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_objref again = {0};

    if (ref->pattern || ref->connector->storage || ref->name.n < 2)
        return;
    for (int i = 0; i < ref->name.n; i++)
        if (memchr(ref->name.part[i].s, '}', ref->name.part[i].n))
            return; /* templates are printed as they stand */
    FUZZ_CHECK(wh_name_print(&ref->name, &text) == WH_OK);
    FUZZ_CHECK(wh_name_parse(arena, text.p, "fuzz", &again, &problems));
    same_name(&ref->name, &again.name);
    wh_buf_free(&text);
}

/* Red when a text is understood and refused at once, a refusal has no words, a secret is shown, or
 * a name changes when it is printed. The first byte chooses the side. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wh_arena *arena = wh_arena_new(16 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_objref ref;
    struct wh_list list;

    FUZZ_CHECK(arena);
    if (data && n > 1 && !memchr(data, 0, n)) {
        char *text = wh_arena_strndup(arena, (const char *)data + 1, n - 1);
        bool ok =
            wh_object_read(arena, text, "fuzz", (enum wh_side)(data[0] % 3), NULL, &ref, &problems);

        FUZZ_CHECK(ok == (problems.errors == 0));
        if (!ok && wh_utf8_valid(text, n - 1))
            FUZZ_CHECK(problems.n > 0 && problems.v[0].message[0]);
        if (ok) {
            const char *secret = wh_node_text(wh_node_get(ref.connection, "password"), "");

            FUZZ_CHECK(ref.connector && ref.text && ref.connection && ref.options);
            /* A secret of stars can be read out of what stands around the mask. */
            FUZZ_CHECK(strlen(secret) < 12 || strchr(text, '%') || strstr(secret, "${") ||
                       strstr(secret, "***") || !strstr(ref.text, secret));
            FUZZ_CHECK(wh_source_name(arena, &ref.name)[0]);
            check_printed(arena, &ref);
        }
        if (wh_brace_expand(arena, text, 1000, &list))
            FUZZ_CHECK(list.n <= 1000);
    }
    wh_arena_free(arena);
    return 0;
}
