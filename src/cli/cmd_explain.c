/* SPDX-License-Identifier: Apache-2.0 */
/* wherry explain CODE: the page of an error code, offline. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/errors.h"

static int list(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    size_t n;
    const struct wh_error_page *p = wh_error_pages(&n);
    for (size_t i = 0; i < n; i++)
        wh_ignore(wh_buf_printf(&b, "%s  %s\n", p[i].code, p[i].title));
    return wh_cli_print(&b) ? 0 : 1;
}

int wh_cmd_explain(struct wh_cli *c)
{
    char code[8] = "";
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (c->args.n == 0)
        return list(c);
    const char *word = c->args.v[0];
    snprintf(code, sizeof(code), "%s%.5s", isdigit((unsigned char)word[0]) ? "E" : "", word);
    code[0] = (char)toupper((unsigned char)code[0]);
    const struct wh_error_page *p = strlen(word) <= 5 ? wh_error_page(code) : NULL;
    if (!p)
        return wh_cli_usage(c, "E1002", "wherry explain lists all codes", "no error code %s", word);
    if (c->json) {
        wh_ignore(wh_buf_printf(&b, "{\"v\":1,\"code\":\"%s\",\"title\":", p->code));
        wh_ignore(wh_buf_json(&b, p->title, strlen(p->title)));
        wh_ignore(wh_buf_printf(&b, ",\"retryable\":%s,\"exit\":%d,\"page\":",
                                p->retriable ? "true" : "false", p->exit_code));
        wh_ignore(wh_buf_json(&b, p->page, strlen(p->page)));
        wh_ignore(wh_buf_adds(&b, "}\n"));
    } else {
        wh_ignore(wh_buf_printf(&b, "%s  %s\n\n%s\n\nExit code %d; %s.\n", p->code, p->title,
                                p->page, p->exit_code,
                                p->retriable ? "the same command may succeed later"
                                             : "repeating it without a change will not help"));
    }
    return wh_cli_print(&b) ? 0 : 1;
}
