/* SPDX-License-Identifier: Apache-2.0 */
/* wherry logs [RUN]: the kept events of a run, for people or as they are (--json). */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

enum {
    LOG_MAX = 1 << 30
};

/* Where the last n lines begin. */
static size_t last_lines(const struct wh_buf *b, int64_t n)
{
    size_t at = b->n;
    while (at > 0 && n >= 0) {
        at--;
        if (b->p[at] == '\n' && at + 1 < b->n && --n == 0)
            return at + 1;
    }
    return 0;
}

static void said(const struct wh_node *map, const char *key, const char *before, const char *after,
                 struct wh_buf *b)
{
    const char *text = wh_node_text(wh_node_get(map, key), NULL);
    if (!text || !*text)
        return;
    wh_ignore(wh_buf_adds(b, before));
    wh_text_line(b, text);
    wh_ignore(wh_buf_adds(b, after));
}

/* "2026-11-22T01:02:03.004Z unit_done orders: unit 3 attempt 1, 1000 read, 998 written, 2 dirty" */
static void for_people(const struct wh_node *e, struct wh_buf *b)
{
    const char *type = wh_node_text(wh_node_get(e, "type"), "?");
    bool end = strcmp(type, "run_finished") == 0, unit = strcmp(type, "unit_done") == 0;
    wh_ignore(wh_buf_printf(b, "%s %s", wh_node_text(wh_node_get(e, "ts"), "-"), type));
    said(e, "table", " ", ":", b);
    said(e, "unit", " unit ", "", b);
    said(e, "attempt", " attempt ", "", b);
    said(e, "status", " ", "", b);
    said(e, "exit", " exit ", "", b);
    said(e, "code", " ", "", b);
    said(e, "where", " ", ":", b);
    said(e, "message", " ", "", b);
    said(e, "hint", " (", ")", b);
    if (!unit && !wh_node_get(e, "message"))
        said(e, "text", " ", "", b);
    if (end || unit) {
        said(e, "rows_read", ", ", " read", b);
        said(e, "rows_written", ", ", " written", b);
        said(e, "rows_dirty", ", ", " dirty", b);
    }
    if (end)
        said(e, "resume", "; to go on: ", "", b);
    wh_ignore(wh_buf_addc(b, '\n'));
}

static int print_lines(struct wh_cli *c, const char *file, char *text, char *end)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(64 << 20);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_problems problems = {.arena = a};
    for (char *p = text; a && p < end;) {
        char *nl = memchr(p, '\n', (size_t)(end - p));
        size_t n = nl ? (size_t)(nl - p) : (size_t)(end - p);
        struct wh_node *event = NULL;
        if (c->json)
            wh_ignore(wh_buf_add(&b, p, n + (nl != NULL)));
        else if (nl && wh_json_parse(a, file, p, n, &event, &problems) == WH_OK && event &&
                 event->kind == WH_NODE_MAP)
            for_people(event, &b);
        if (!wh_cli_print(&b))
            return 1;
        wh_arena_reset(a);
        problems.n = problems.errors = 0;
        problems.v = NULL;
        problems.cap = 0;
        p += n + 1;
    }
    return 0;
}

int wh_cmd_logs(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(LOG_MAX);
    struct wh_state *state;
    struct wh_run_record r;
    struct wh_error e = {0};
    int64_t most = INT64_MAX;
    if (c->lines && (!wh_parse_i64(c->lines, &most) || most < 1))
        return wh_cli_usage(c, "E1002", NULL, "-n wants a number of lines, not '%s'", c->lines);
    int st = wh_cli_state(c, &state, &e);
    const char *run = st != WH_OK ? NULL : c->args.n ? c->args.v[0] : wh_cli_newest(c, false, &e);
    if (st == WH_OK && !run)
        return wh_cli_usage(c, "E7007", NULL, "the state knows no run yet");
    if (st == WH_OK)
        st = wh_cli_run(c, run, &r, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    const char *path = wh_run_log_path(c->arena, wh_state_dir(state), r.run);
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return wh_cli_usage(c, "E7007", "wherry status RUN and wherry units RUN tell what is known",
                            "run %s has no log: it began elsewhere, or nothing happened in it",
                            r.run);
    int failed = wh_cli_read(fd, &b);
    close(fd);
    if (failed) {
        wh_ignore(wh_fail_errno(&e, failed, "E7001", "cannot read %s", path));
        return wh_cli_fail(c, &e);
    }
    return b.n ? print_lines(c, path, b.p + last_lines(&b, most), b.p + b.n) : 0;
}
