/* SPDX-License-Identifier: Apache-2.0 */
/* wherry limit RUN --rate ... -j ...: kept in the state; the run sees it at its next beat. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

/* Keys of the settings tree, and as the engine reads them. */
static const struct {
    const char *group, *key, *name;
    bool size;
    int64_t min, max;
} rows[] = {{"limits", "rate", "rate", true, 1, INT64_MAX},
            {"limits", "rows_per_second", "rows_per_second", false, 1, INT64_MAX},
            {"limits", "memory", "memory", true, 16 << 20, INT64_C(1) << 46},
            {NULL, "parallel", "parallel", false, 1, 1024}};
#define N_ROWS (sizeof(rows) / sizeof(rows[0]))

static const struct wh_node *given(const struct wh_cli *c, size_t i)
{
    const struct wh_node *run = wh_node_get(c->settings, "run");
    const struct wh_node *group = run && rows[i].group ? wh_node_get(run, rows[i].group) : run;
    return group ? wh_node_get(group, rows[i].key) : NULL;
}

static bool good(struct wh_cli *c, size_t i, const char *text)
{
    int64_t v = 0;
    bool none = strcmp(text, "none") == 0 && (i < 2); /* a pace may be lifted */
    bool number = rows[i].size ? wh_parse_size(text, &v) : wh_parse_i64(text, &v);
    if (i == 0 && wh_rate_without_unit(text)) {
        wh_cli_usage(
            c, "E1002",
            wh_arena_printf(c->arena, "--rate %sMB/s, or %sB/s if that is meant", text, text),
            "rate: '%s' would be %s bytes a second", text, text);
        return false;
    }
    if (none || (number && v >= rows[i].min && v <= rows[i].max))
        return true;
    wh_cli_usage(c, number ? "E1003" : "E1002",
                 rows[i].size ? "as 20MB/s or 300MB; none lifts a rate" : "a whole number",
                 "%s: '%s' is not possible", rows[i].name, text);
    return false;
}

/* What was said before stays, unless it is said anew. */
static bool document(struct wh_cli *c, const char *before, struct wh_buf *b)
{
    struct wh_node *old = NULL;
    const char *comma = "{";
    if (before &&
        (wh_json_parse(c->arena, "limits", before, strlen(before), &old, &c->problems) != WH_OK ||
         old->kind != WH_NODE_MAP))
        old = NULL;
    for (size_t i = 0; i < N_ROWS; i++) {
        const struct wh_node *now = given(c, i);
        const char *text = wh_node_text(now   ? now
                                        : old ? wh_node_get(old, rows[i].name)
                                              : NULL,
                                        NULL);
        if (!text)
            continue;
        if (now && !good(c, i, text))
            return false;
        wh_ignore(wh_buf_printf(b, "%s\"%s\":", comma, rows[i].name));
        wh_ignore(wh_buf_json(b, text, strlen(text)));
        comma = ",";
    }
    return wh_buf_addc(b, '}') == WH_OK;
}

static void tell(struct wh_cli *c, const struct wh_run_record *r, const struct wh_buf *json)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    bool runs = wh_state_run_alive(c->store, r, 30000) != 0;
    if (c->json) {
        wh_ignore(wh_buf_printf(&b, "{\"v\":1,\"run\":\"%s\",\"running\":%s,\"limits\":%s}\n",
                                r->run, runs ? "true" : "false", json->p));
        wh_cli_print(&b);
    } else if (!c->quiet) {
        wh_ignore(wh_buf_printf(&b, "run %s: %s; %s\n", r->run, json->p,
                                runs ? "it sees that within 5 s" : "kept for its resume"));
        wh_cli_write(2, b.p, b.n);
    }
}

int wh_cmd_limit(struct wh_cli *c)
{
    struct wh_buf json WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error e = {0};
    bool any = false;
    for (size_t i = 0; i < N_ROWS; i++)
        any |= given(c, i) != NULL;
    if (c->args.n != 1 || !any)
        return wh_cli_usage(c, "E1011", "wherry limit RUN --rate 20MB/s -j 2",
                            c->args.n == 1 ? "nothing is limited: --rate, --rows-per-second, "
                                             "--memory or -j is missing"
                                           : "limit needs a run");
    int st = wh_cli_state(c, &state, &e);
    if (st == WH_OK)
        st = wh_cli_run(c, c->args.v[0], &r, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    if (r.finished || r.state >= WH_RUN_CLOSED)
        return wh_cli_usage(c, "E7013", NULL, "run %s is over", r.run);
    if (!document(c, r.limits, &json))
        return 2;
    st = wh_state_run_limit(state, r.run, json.p, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    tell(c, &r, &json);
    return 0;
}
