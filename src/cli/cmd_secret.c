/* SPDX-License-Identifier: Apache-2.0 */
/* wherry secret list | set NAME | rm NAME. The value never stands in the command. */
#include <errno.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "engine/own.h"

/* A line from the terminal that is not shown, or all of standard input without its last newline. */
static int value(struct wh_cli *c, const char *name, struct wh_buf *b)
{
    struct termios was, now;
    bool person = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &was) == 0;
    int e;
    if (person && c->no_input)
        return wh_cli_usage(c, "E1012", "wherry secret set NAME < FILE",
                            "the value is read from standard input");
    if (person) {
        wh_ignore(wh_buf_printf(b, "value of %s: ", name));
        wh_cli_write(STDERR_FILENO, b->p, b->n);
        wh_buf_clear(b);
        now = was;
        now.c_lflag &= ~(tcflag_t)ECHO;
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &now);
        char line[4096];
        ssize_t n = read(STDIN_FILENO, line, sizeof(line));
        tcsetattr(STDIN_FILENO, TCSAFLUSH, &was);
        wh_cli_write(STDERR_FILENO, "\n", 1);
        e = n < 0 ? errno : wh_buf_add(b, line, n > 0 ? (size_t)n : 0) == WH_OK ? 0 : EFBIG;
        explicit_bzero(line, sizeof(line));
    } else {
        e = wh_cli_read(STDIN_FILENO, b);
    }
    if (b->n && b->p[b->n - 1] == '\n')
        b->n -= 1 + (b->n > 1 && b->p[b->n - 2] == '\r');
    if (e)
        return wh_cli_usage(c, "E1070", e == EFBIG ? "64 kB are the most" : NULL,
                            "the value cannot be read");
    if (!b->n || memchr(b->p, 0, b->n) || !wh_utf8_valid(b->p, b->n))
        return wh_cli_usage(c, "E1008", "wherry secret set NAME < FILE",
                            b->n ? "the value is no text (UTF-8)" : "the value is empty");
    return 0;
}

static int set(struct wh_cli *c, const char *name)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF((64 << 10) - 1);
    struct wh_error e = {0};
    if (!wh_own_name(name, &e))
        return wh_cli_fail(c, &e);
    int code = value(c, name, &b);
    int st = code ? WH_OK : wh_secret_save(name, b.p, b.n, &e);
    if (b.p)
        explicit_bzero(b.p, b.n);
    return st == WH_OK ? code : wh_cli_fail(c, &e);
}

static wh_status line(void *arg, const char *name)
{
    struct wh_cli *c = arg;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    if (c->json) {
        wh_ignore(wh_buf_adds(&b, "{\"v\":1,\"name\":"));
        wh_ignore(wh_buf_json(&b, name, strlen(name)));
        wh_ignore(wh_buf_adds(&b, "}\n"));
    } else {
        wh_ignore(wh_buf_printf(&b, "%s\n", name));
    }
    return wh_cli_print(&b) ? WH_OK : WH_END;
}

int wh_cmd_secret(struct wh_cli *c)
{
    static const char usage[] = "wherry secret list, set NAME or rm NAME";
    const char *verb = c->args.n ? c->args.v[0] : "list";
    const char *name = c->args.n > 1 ? c->args.v[1] : NULL;
    struct wh_error e = {0};
    int st;
    if (strcmp(verb, "list") == 0 && !name)
        st = wh_secrets_each(line, c, &e);
    else if (strcmp(verb, "set") == 0 && name)
        return set(c, name);
    else if (strcmp(verb, "rm") == 0 && name)
        st = wh_secret_remove(name, &e);
    else
        return wh_cli_usage(c, "E1011", usage, "secret does not understand '%s'", verb);
    return st == WH_OK ? 0 : wh_cli_fail(c, &e);
}
