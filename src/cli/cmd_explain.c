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

/* INTERFACE 6, for who looks up what a script or a timer reports. */
static const struct {
    int code;
    const char *title, *page, *next;
} exits[] = {
    {0, "Done", "All is where it was meant to be.", ""},
    {1, "Failed for good", "Something that time does not heal; what the plan says may be written.",
     "read the last lines of the output, or 'wherry logs RUN'; mend the cause, then 'wherry resume "
     "RUN'"},
    {2, "Refused", "By usage or by the plan; nothing was touched.",
     "what the message says, then start again"},
    {3, "Done with dirty rows", "All but refused rows was copied, and --strict was given.",
     "'wherry dirty list RUN' shows them"},
    {4, "Differences found", "validate found that both ends are not the same.",
     "look at once: the lines with * + - name what differs"},
    {5, "Temporary failure", "A server, a network, a lock or a disk; what is committed stays.",
     "'wherry resume RUN', or start the job again"},
    {6, "Too many dirty rows", "One refused row more than --dirty allows (default: none).",
     "'wherry dirty list RUN' shows them; 'wherry resume RUN --dirty rows=10' goes on without "
     "them"},
    {7, "Own limit reached", "--max-duration or --memory; what is committed stays.",
     "'wherry resume RUN', with another limit if need be"},
    {8, "Nothing to do", "No table had a row, and --error-on-empty was given.",
     "ask why the source is empty"},
    {9, "Login or rights", "The password, or a right.",
     "'wherry check CONN', then 'wherry grants CONN'"},
    {10, "Locked", "A living run or session holds the target; this run touched nothing.",
     "wait ('--lock-wait 10m'); 'wherry unlock TARGET' says who it is"},
    {130, "Interrupted (Ctrl-C)", "The state was saved, what is committed stays.",
     "'wherry resume RUN', or start the job again"},
    {143, "Interrupted (SIGTERM)", "The state was saved, what is committed stays.",
     "'wherry resume RUN', or start the job again"},
};

/* -1: that is no exit code. */
static int exit_page(struct wh_cli *c, const char *word)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    int64_t code;
    size_t i = 0, n = sizeof(exits) / sizeof(exits[0]);
    if (strlen(word) > 3 || !wh_parse_i64(word, &code))
        return -1;
    while (i < n && exits[i].code != code)
        i++;
    if (i == n)
        return wh_cli_usage(c, "E1002", "0 to 10, 130 and 143; from 128 on: killed by signal N-128",
                            "wherry does not end with %s", word);
    if (c->json)
        wh_ignore(wh_buf_printf(&b,
                                "{\"v\":1,\"exit\":%d,\"title\":\"%s\",\"page\":\"%s\","
                                "\"next\":\"%s\"}\n",
                                exits[i].code, exits[i].title, exits[i].page, exits[i].next));
    else
        wh_ignore(wh_buf_printf(&b, "Exit code %d  %s\n\n%s\n%s%s%s", exits[i].code, exits[i].title,
                                exits[i].page, *exits[i].next ? "Do: " : "", exits[i].next,
                                *exits[i].next ? ".\n" : ""));
    return wh_cli_print(&b) ? 0 : 1;
}

int wh_cmd_explain(struct wh_cli *c)
{
    char code[8] = "";
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (c->args.n == 0)
        return list(c);
    const char *word = c->args.v[0];
    int said = exit_page(c, word);
    if (said >= 0)
        return said;
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
