/* SPDX-License-Identifier: Apache-2.0 */
/* wherry grants: what an administrator has to grant, and what is there already. */
#include "engine/look.h"

#include <stdio.h>
#include <string.h>

#include "cli/cli.h"

struct grants {
    struct wh_cli *c;
    char purpose[80];
    struct wh_buf b;
    int missing;
};

static wh_status granted(void *arg, const struct wh_grant *g)
{
    struct grants *k = arg;

    k->missing += !g->held;
    if (k->c->json) {
        wh_ignore(wh_buf_adds(&k->b, "{\"v\":1,\"purpose\":"));
        wh_ignore(wh_buf_json(&k->b, g->purpose, strlen(g->purpose)));
        wh_ignore(wh_buf_adds(&k->b, ",\"sql\":"));
        wh_ignore(wh_buf_json(&k->b, g->sql.s, g->sql.n));
        wh_ignore(wh_buf_printf(&k->b, ",\"held\":%s}\n", g->held ? "true" : "false"));
        return wh_cli_print(&k->b) ? WH_OK : WH_END;
    }
    if (strcmp(k->purpose, g->purpose) != 0) {
        wh_ignore(wh_buf_printf(&k->b, "%s-- %s\n", k->purpose[0] ? "\n" : "", g->purpose));
        snprintf(k->purpose, sizeof k->purpose, "%s", g->purpose);
    }
    wh_ignore(wh_buf_printf(&k->b, "%s%.*s\n", g->held ? "-- has: " : "", WH_STR_FMT(g->sql)));
    return wh_cli_print(&k->b) ? WH_OK : WH_END;
}

int wh_cmd_grants(struct wh_cli *c)
{
    struct grants k = {.c = c, .b = WH_BUF(1 << 20)};
    struct wh_services *services;
    struct wh_look *look = NULL;
    struct wh_error e = {0};

    if (c->args.n != 1)
        return wh_cli_usage(c, "E1011", "wherry grants postgresql://etl@db1/shop",
                            "grants needs a connection, or one table of it");
    int st = wh_cli_services(c, &services, &e);

    if (st == WH_OK)
        st = wh_look_open(wh_cli_conn_word(c, c->args.v[0]), wh_cli_connections(c),
                          wh_node_get(c->settings, "from"), services, &look, &e);
    if (st == WH_OK)
        st = wh_look_grants(look, granted, &k, &e);
    wh_look_close(look);
    wh_buf_free(&k.b);
    return st == WH_OK ? 0 : wh_cli_fail(c, &e);
}
