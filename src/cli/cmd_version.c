/* SPDX-License-Identifier: Apache-2.0 */
/* wherry version */
#include <sqlite3.h>
#include <string.h>

#include "cli/cli.h"
#include "engine/registry.h"

struct listing {
    struct wh_buf *b;
    int n;
    bool json;
};

static wh_status one(void *arg, const struct wh_connector *k)
{
    struct listing *l = arg;
    return wh_buf_printf(l->b, l->json ? "%s\"%s\"" : "%s%s", l->n++ ? l->json ? "," : " " : "",
                         k->name);
}

int wh_cmd_version(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    struct listing l = {&b, 0, c->json};
    if (c->json) {
        wh_ignore(wh_buf_printf(&b,
                                "{\"v\":1,\"version\":\"%s\",\"abi\":%d,\"sqlite\":\"%s\","
                                "\"connectors\":[",
                                WHERRY_VERSION, WH_ABI, sqlite3_libversion()));
        wh_ignore(wh_registry_each(one, &l, NULL));
        wh_ignore(wh_buf_adds(&b, "]}\n"));
    } else {
        wh_ignore(wh_buf_printf(&b, "wherry %s (connector ABI %d, exact version only)\n",
                                WHERRY_VERSION, WH_ABI));
        if (c->verbose) {
            wh_ignore(wh_buf_printf(&b, "sqlite %s\nconnectors: ", sqlite3_libversion()));
            wh_ignore(wh_registry_each(one, &l, NULL));
            wh_ignore(wh_buf_addc(&b, '\n'));
        }
    }
    return wh_cli_print(&b) ? 0 : 1;
}
