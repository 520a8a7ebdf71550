/* SPDX-License-Identifier: Apache-2.0 */
/* wherry connectors [NAME]: what can be read and written; every setting of one. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "engine/registry.h"

static const char *const class_words[] = {"T", "P", "D", "K", "X", "A"};
static const char *const snapshot_words[] = {"none", "point", "held", "sessions"};
static const char *const mode_words[] = {"append",  "overwrite", "truncate",      "upsert",
                                         "replace", "update",    "insert-ignore", "delete-insert"};

struct listing {
    struct wh_cli *c;
    struct wh_grid *grid;
    struct wh_buf *json;
    int n;
};

static void modes(uint32_t bits, struct wh_buf *b)
{
    for (int i = 0; i < WH_MODE_COUNT; i++)
        if (bits & (1u << i))
            wh_ignore(wh_buf_printf(b, "%s%s", b->n ? " " : "", mode_words[i]));
}

static wh_status line(void *arg, const struct wh_connector *k)
{
    struct listing *l = arg;
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
    if (k->sink)
        modes(k->caps->modes, &b);
    if (l->json) {
        return wh_buf_printf(
            l->json,
            "{\"v\":1,\"name\":\"%s\",\"title\":\"%s\",\"read\":%s,\"write\":%s,"
            "\"class\":\"%s\",\"snapshot\":\"%s\",\"grade\":\"%s\",\"modes\":\"%s\"}\n",
            k->name, k->title, k->source ? "true" : "false", k->sink ? "true" : "false",
            k->sink ? class_words[k->caps->commit_class] : "", snapshot_words[k->caps->snapshot],
            k->caps->grade, b.p ? b.p : "");
    }
    wh_grid_cell(l->grid, k->name);
    wh_grid_cell(l->grid, k->title);
    wh_grid_cell(l->grid, k->source ? "read" : "");
    wh_grid_cell(l->grid, k->sink ? "write" : "");
    wh_grid_cell(l->grid, k->sink ? class_words[k->caps->commit_class] : "");
    wh_grid_cell(l->grid, k->source ? snapshot_words[k->caps->snapshot] : "");
    wh_grid_cell(l->grid, k->caps->grade);
    wh_grid_cell(l->grid, b.p ? b.p : "");
    return WH_OK;
}

static wh_status broken(void *arg, const char *name, const struct wh_error *e)
{
    struct listing *l = arg;
    char text[256];
    snprintf(text, sizeof(text), "cannot be loaded: %.200s", e->message);
    if (l->json)
        return WH_OK;
    wh_grid_cell(l->grid, name);
    wh_grid_cell(l->grid, text);
    for (int i = 0; i < 6; i++)
        wh_grid_cell(l->grid, "");
    return WH_OK;
}

static int all(struct wh_cli *c)
{
    static const char *const head[] = {"name",   "what",     "",      "",
                                       "commit", "snapshot", "grade", "modes"};
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct listing l = {c, wh_grid_new(c->arena, 8, "llllllll"), c->json ? &b : NULL, 0};
    for (int i = 0; i < 8; i++)
        wh_grid_cell(l.grid, head[i]);
    if (wh_registry_each(line, &l, broken) != WH_OK)
        return 1;
    if (!c->json) {
        wh_grid_print(l.grid, &b);
        wh_ignore(wh_buf_adds(&b, "\nwherry connectors NAME lists the settings of one.\n"));
    }
    return wh_cli_print(&b) ? 0 : 1;
}

static void settings(const struct wh_options *t, const char *where, struct wh_buf *b)
{
    if (!t || !t->rows || !t->rows[0].name)
        return;
    wh_ignore(wh_buf_printf(b, "\n%s\n", where));
    wh_ignore(wh_options_help(t, b));
}

static int one(struct wh_cli *c, const char *name)
{
    const struct wh_connector *k;
    struct wh_error e = {0};
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (wh_registry_find(wh_str(name), &k, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    wh_ignore(wh_buf_printf(&b, "%s: %s\n", k->name, k->title));
    wh_ignore(wh_buf_printf(&b, "%s%s%s, grade %s\n", k->source ? "reads" : "",
                            k->source && k->sink ? " and " : "", k->sink ? "writes" : "",
                            k->caps->grade));
    if (k->sink) {
        wh_ignore(wh_buf_adds(&b, "modes: "));
        struct wh_buf m WH_CLEANUP(wh_buf_free) = WH_BUF(1024);
        modes(k->caps->modes, &m);
        wh_ignore(wh_buf_printf(&b, "%s; commit class %s\n", m.p ? m.p : "none",
                                class_words[k->caps->commit_class]));
    }
    if (k->caps->limits)
        wh_ignore(wh_buf_printf(&b, "%s\n", k->caps->limits));
    settings(k->connection, "Connection (URL parameter, job key):", &b);
    settings(k->from, "As a source (--from KEY=VALUE):", &b);
    settings(k->to, "As a destination (--to KEY=VALUE):", &b);
    return wh_cli_print(&b) ? 0 : 1;
}

int wh_cmd_connectors(struct wh_cli *c)
{
    return c->args.n ? one(c, c->args.v[0]) : all(c);
}
