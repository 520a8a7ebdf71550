/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include "core/options.h"

#include <string.h>

struct all {
    const char *text, *cron;
    struct wh_secret secret;
    int64_t number, size, duration;
    bool flag;
    double ratio;
    int mode, delimiter;
    struct wh_list paths, columns;
    struct wh_map page;
};

static const struct wh_enum modes[] = {
    {1, "append"}, {2, "delete-insert"}, {3, "swap", NULL, "not in this build"}, {0}};

static const struct wh_option rows[] = {
    WH_OPT_SECRET(struct all, secret), /* first, so that a table without it begins at rows + 1 */
    WH_OPT_STR(struct all, text, .def = "x"),
    WH_OPT_CRON(struct all, cron),
    WH_OPT_I64(struct all, number, -1000, 1000000, .def = "7", .aliases = "num,n"),
    WH_OPT_SIZE(struct all, size, 0, INT64_C(1) << 50, .def = "64MiB"),
    WH_OPT_DURATION(struct all, duration, 0, INT64_C(1) << 40, .def = "10s"),
    WH_OPT_BOOL(struct all, flag, .def = "no"),
    WH_OPT_DOUBLE(struct all, ratio, 0, 1, .def = "0.5"),
    WH_OPT_ENUM(struct all, mode, modes, .def = "append"),
    WH_OPT_CHAR(struct all, delimiter, .def = "comma"),
    WH_OPT_LIST(struct all, paths, .def = "*"),
    WH_OPT_COLUMNS(struct all, columns),
    WH_OPT_MAP(struct all, page),
    WH_OPT_END,
};
static const struct wh_options table = {rows, sizeof(struct all), "fuzz"};
/* Each new secret is kept for masking: thousands would only slow the target down. */
static const struct wh_options no_secret = {rows + 1, sizeof(struct all), "fuzz"};

/* What is shown of a value reads back as the same value; lists and maps are shown for people, with
 * quotes, so they are left out. */
static void check_shown(const struct all *all, struct wh_arena *arena, struct wh_problems *problems)
{
    struct wh_buf shown = WH_BUF(1 << 20), again = WH_BUF(1 << 20);

    for (const struct wh_option *row = rows; row->name; row++) {
        struct all copy = {0};

        wh_buf_clear(&shown);
        wh_buf_clear(&again);
        FUZZ_CHECK(wh_options_show(row, all, &shown) == WH_OK);
        bool scalar = row->type != WH_T_LIST && row->type != WH_T_COLUMNS &&
                      row->type != WH_T_MAP && row->type != WH_T_SECRET && shown.n > 0 &&
                      shown.p[0] != '"';

        if (!scalar)
            continue;
        FUZZ_CHECK(wh_options_set_text(&table, &copy, arena, row->name, shown.p, "", problems));
        FUZZ_CHECK(wh_options_show(row, &copy, &again) == WH_OK);
        FUZZ_CHECK(strcmp(shown.p, again.p) == 0);
    }
    wh_buf_free(&shown);
    wh_buf_free(&again);
}

/* The first byte chooses: lines of key=value as flags give them, or a YAML map. Red when a value is
 * taken without being checked, or changes on its way. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    struct wh_arena *arena = wh_arena_new(16 << 20);
    struct wh_problems problems = {.arena = arena};
    struct wh_buf print = WH_BUF(16 << 20);
    struct all all = {0};
    struct wh_node *root;

    FUZZ_CHECK(arena);
    FUZZ_CHECK(wh_options_init(&table, &all, arena) == WH_OK);
    if (n > 0 && data[0] == '-') {
        char *text = wh_arena_strndup(arena, (const char *)data + 1, n - 1);

        FUZZ_CHECK(text);
        for (char *line = text, *end; line; line = end) {
            end = strchr(line, '\n');
            if (end)
                *end++ = 0;
            char *equals = strchr(line, '=');

            if (equals)
                *equals++ = 0;
            if (strcmp(line, "secret") == 0 && equals && strcmp(equals, "hunter22") != 0)
                continue;
            wh_options_set_text(&table, &all, arena, line, equals ? equals : "", "fuzz", &problems);
        }
    } else if (wh_yaml_parse(arena, "fuzz", (const char *)data, n, &root, &problems) == WH_OK) {
        wh_options_set_map(&no_secret, &all, arena, root, "fuzz", &problems);
    }
    for (size_t i = 0; i < problems.n && wh_utf8_valid((const char *)data, n); i++)
        FUZZ_CHECK(wh_utf8_valid(problems.v[i].message, strlen(problems.v[i].message)));
    FUZZ_CHECK(all.number >= -1000 && all.number <= 1000000);
    FUZZ_CHECK(all.size >= 0 && all.size <= INT64_C(1) << 50);
    FUZZ_CHECK(all.ratio >= 0 && all.ratio <= 1);
    FUZZ_CHECK(all.mode == 1 || all.mode == 2);
    FUZZ_CHECK(all.delimiter >= -1 && all.delimiter <= 255);
    check_shown(&all, arena, &problems);
    FUZZ_CHECK(wh_options_fingerprint(&table, &all, &print) == WH_OK);
    wh_options_wipe(&table, &all);
    wh_buf_free(&print);
    wh_arena_free(arena);
    return 0;
}
