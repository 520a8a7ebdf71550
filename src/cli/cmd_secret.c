/* SPDX-License-Identifier: Apache-2.0 */
/* wherry secret list | set NAME | rm NAME. The value never stands in the command. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "cli/cli.h"
#include "engine/own.h"

static struct termios shown; /* of the terminal, for the handler */

/* Ctrl-C in the middle of a password: the terminal must show again what is typed. */
static void show_again(int sig)
{
    tcsetattr(STDIN_FILENO, TCSANOW, &shown);
    ssize_t n = write(STDERR_FILENO, "\n", 1);
    (void)n; /* nobody to tell */
    _exit(128 + sig);
}

/* It is asked for when nothing is shown any more: what is typed at once counts, unseen. */
static ssize_t unseen_line(const char *ask, char *line, size_t size)
{
    static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction sa = {.sa_handler = show_again}, was[3];
    struct termios now = shown;
    sigemptyset(&sa.sa_mask);
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &sa, &was[i]);
    now.c_lflag &= ~(tcflag_t)ECHO;
    now.c_cc[VSUSP] = _POSIX_VDISABLE; /* a shell would go on without an echo */
    tcsetattr(STDIN_FILENO, TCSAFLUSH, &now);
    wh_cli_write(STDERR_FILENO, ask, strlen(ask));
    ssize_t n = read(STDIN_FILENO, line, size);
    tcsetattr(STDIN_FILENO, TCSADRAIN, &shown); /* what was typed ahead stays */
    for (int i = 0; i < 3; i++)
        sigaction(signals[i], &was[i], NULL);
    return n;
}

/* A line from the terminal that is not shown, or all of standard input without its last newline. */
static int value(struct wh_cli *c, const char *name, struct wh_buf *b)
{
    bool person = isatty(STDIN_FILENO) && tcgetattr(STDIN_FILENO, &shown) == 0;
    int e;
    if (person && c->no_input)
        return wh_cli_usage(c, "E1012", "wherry secret set NAME < FILE",
                            "the value is read from standard input");
    if (person) {
        wh_ignore(wh_buf_printf(b, "value of %s: ", name));
        char line[4096];
        ssize_t n = unseen_line(b->p ? b->p : "", line, sizeof(line));
        wh_buf_clear(b);
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

static int forget(struct wh_cli *c, const char *name)
{
    struct wh_error e = {0};
    char question[300];
    snprintf(question, sizeof(question),
             "Secret '%.100s' is removed for good; connections and jobs that name it fail.", name);
    const char *path = wh_secret_path(c->arena, name);
    if (path && access(path, F_OK) == 0 && !wh_cli_consent(c, question))
        return 2;
    return wh_secret_remove(name, &e) == WH_OK ? 0 : wh_cli_fail(c, &e);
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
        return forget(c, name);
    else
        return wh_cli_usage(c, "E1011", usage, "secret does not understand '%s'", verb);
    return st == WH_OK ? 0 : wh_cli_fail(c, &e);
}
