/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "engine/macro.h"

#include <string.h>

static struct wh_param params[] = {
    {"d", WH_PARAM_DATE, false, "2024-02-29"},
    {"t", WH_PARAM_TIMESTAMP, false, "2024-02-29 23:05:09"},
    {"n", WH_PARAM_DECIMAL, false, "7.12"},
    {"w", WH_PARAM_TEXT, false, "O'Hara $${x} ${d}"},
    {"e", WH_PARAM_TEXT, true, ""},
    {"u", WH_PARAM_TEXT, false, NULL},
    {"s", WH_PARAM_TEXT, true, "x$"},
    {"b", WH_PARAM_TEXT, true, "{d}$$"},
};

/* Red when a macro crashes, is refused without words, or when what is stored ($${ for ${) means
 * something else than what was used. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    static const char *const zones[] = {"UTC", "Europe/Berlin", "-03:30"};
    struct wh_arena *arena = wh_arena_new(64 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_zone *zone;

    FUZZ_CHECK(arena);
    if (!data || n < 2 || memchr(data, 0, n) || memmem(data, n, "file:", 5) ||
        memmem(data, n, "env:", 4))
        goto out;
    FUZZ_CHECK(wh_zone_open(arena, zones[data[0] % 3], &zone, NULL) == WH_OK);
    struct wh_macros m = {.arena = arena,
                          .zone = zone,
                          .planned_us = INT64_C(1711846800000000),
                          .job = "job",
                          .run = "r-1",
                          .params = params,
                          .n_params = sizeof params / sizeof params[0],
                          .problems = &problems};
    char *text = wh_arena_strndup(arena, (const char *)data + 1, n - 1);
    const char *used = wh_macro_expand(&m, text, 0, "fuzz");

    FUZZ_CHECK(!used == (problems.errors > 0));
    if (used) {
        const char *stored = wh_macro_expand(&m, text, WH_MACRO_ESCAPE, "fuzz");
        const char *back =
            stored ? wh_reference_resolve(arena, stored, false, "fuzz", &problems) : NULL;

        FUZZ_CHECK(back && strcmp(back, used) == 0);
        /* A stored text is read as a job's text again, and stays what it is. */
        const char *again = wh_macro_expand(&m, stored, WH_MACRO_ESCAPE, "fuzz");

        FUZZ_CHECK(again && strcmp(again, stored) == 0);
    }
    wh_macro_expand(&m, text, WH_MACRO_SQL | WH_MACRO_NONEMPTY, "fuzz");
    struct wh_civil c = wh_zone_civil(zone, m.planned_us), again;
    struct wh_buf out = WH_BUF(1 << 20);

    if (wh_date_format(text, n - 1, &c, &out) && out.n)
        wh_ignore(wh_date_parse(text, n - 1, out.p, &again) ? WH_OK : WH_END);
    wh_buf_free(&out);
out:
    wh_arena_free(arena);
    return 0;
}
