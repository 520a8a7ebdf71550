/* SPDX-License-Identifier: Apache-2.0 */
/* wherry tables (internal): the tables of commands, flags, connectors, options and error codes as
 * one JSON object. Manual pages and the tables in documents are made from it (tools/gendocs), so
 * that they never say what the program does not do. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/errors.h"
#include "engine/functions.h"
#include "engine/registry.h"

static const char *const class_words[] = {"T", "P", "D", "K", "X", "A"};
static const char *const snapshot_words[] = {"none", "point", "held", "sessions"};
static const char *const mode_words[] = {"append",  "overwrite", "truncate",      "upsert",
                                         "replace", "update",    "insert-ignore", "delete-insert"};

static void text(struct wh_buf *b, const char *name, const char *value)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":", name));
    wh_ignore(value ? wh_buf_json(b, value, strlen(value)) : wh_buf_adds(b, "null"));
}

/* ---- commands ---- */

static void flags(const struct wh_cli *c, struct wh_buf *b, uint32_t groups)
{
    struct wh_flag_seen f;

    for (size_t i = 0; wh_flag_at(c, i, groups, &f); i++) {
        char letter[2] = {f.letter, 0};

        wh_ignore(wh_buf_printf(b, "%s{\"global\":%s", i ? "," : "", f.global ? "true" : "false"));
        text(b, "name", f.name);
        text(b, "letter", f.letter ? letter : NULL);
        text(b, "argument", f.argument);
        text(b, "key", f.key);
        text(b, "help", f.help);
        wh_ignore(wh_buf_addc(b, '}'));
    }
}

static void commands(const struct wh_cli *c, struct wh_buf *b)
{
    for (const struct wh_command *k = wh_commands; k->name; k++) {
        wh_ignore(wh_buf_printf(b, "%s{\"hidden\":%s", k == wh_commands ? "" : ",",
                                k->hidden ? "true" : "false"));
        text(b, "name", k->name);
        text(b, "usage", k->usage);
        text(b, "summary", k->summary);
        text(b, "examples", k->examples);
        wh_ignore(wh_buf_adds(b, ",\"flags\":["));
        flags(c, b, k->groups & ~(uint32_t)WH_G_GLOBAL);
        wh_ignore(wh_buf_adds(b, "]}"));
    }
}

/* ---- connectors ---- */

static void choices(struct wh_buf *b, const struct wh_enum *e)
{
    wh_ignore(wh_buf_adds(b, ",\"choices\":["));
    for (const struct wh_enum *first = e; e && e->name; e++) {
        wh_ignore(wh_buf_printf(b, "%s{\"available\":%s", e == first ? "" : ",",
                                e->unavailable ? "false" : "true"));
        text(b, "name", e->name);
        text(b, "help", e->help);
        wh_ignore(wh_buf_addc(b, '}'));
    }
    wh_ignore(wh_buf_addc(b, ']'));
}

static void option(struct wh_buf *b, const struct wh_option *o)
{
    wh_ignore(wh_buf_printf(b, "{\"required\":%s,\"advanced\":%s",
                            o->flags & WH_OPT_REQUIRED ? "true" : "false",
                            o->flags & WH_OPT_ADVANCED ? "true" : "false"));
    text(b, "name", o->name);
    text(b, "type", wh_option_type_name(o->type));
    text(b, "default", o->def);
    text(b, "aliases", o->aliases);
    text(b, "group", o->group);
    text(b, "help", o->help);
    choices(b, o->values);
    wh_ignore(wh_buf_addc(b, '}'));
}

static void options(struct wh_buf *b, const char *name, const struct wh_options *t)
{
    wh_ignore(wh_buf_printf(b, ",\"%s\":[", name));
    for (const struct wh_option *o = t ? t->rows : NULL; o && o->name; o++) {
        wh_ignore(wh_buf_adds(b, o == t->rows ? "" : ","));
        option(b, o);
    }
    wh_ignore(wh_buf_addc(b, ']'));
}

static void words(struct wh_buf *b, const char *name)
{
    const char *word;

    wh_ignore(wh_buf_adds(b, ",\"words\":["));
    for (size_t i = 0; (word = wh_registry_word(name, i)); i++)
        wh_ignore(wh_buf_printf(b, "%s\"%s\"", i ? "," : "", word));
    wh_ignore(wh_buf_adds(b, "],\"modes\":["));
}

struct listing {
    struct wh_buf *b;
    int n;
};

static wh_status connector(void *arg, const struct wh_connector *k)
{
    struct listing *l = arg;
    struct wh_buf *b = l->b;

    wh_ignore(wh_buf_printf(b, "%s{\"read\":%s,\"write\":%s", l->n++ ? "," : "",
                            k->source ? "true" : "false", k->sink ? "true" : "false"));
    text(b, "name", k->name);
    text(b, "title", k->title);
    text(b, "class", k->sink ? class_words[k->caps->commit_class] : NULL);
    text(b, "snapshot", k->source ? snapshot_words[k->caps->snapshot] : NULL);
    text(b, "grade", k->caps->grade);
    text(b, "limits", k->caps->limits);
    words(b, k->name);
    for (int i = 0, n = 0; k->sink && i < WH_MODE_COUNT; i++)
        if (k->caps->modes & (1u << i))
            wh_ignore(wh_buf_printf(b, "%s\"%s\"", n++ ? "," : "", mode_words[i]));
    wh_ignore(wh_buf_addc(b, ']'));
    options(b, "connection", k->connection);
    options(b, "from", k->from);
    options(b, "to", k->to);
    return wh_buf_addc(b, '}');
}

/* ---- functions of convert: ---- */

static void functions(struct wh_buf *b)
{
    static const char *const takes[] = {"text", "text, bytes", "date, timestamp"};

    for (const struct wh_fn *f = wh_functions; f->name; f++) {
        wh_ignore(wh_buf_printf(b, "%s{\"fills_null\":%s", f == wh_functions ? "" : ",",
                                f->flags & WH_FN_FILLS_NULL ? "true" : "false"));
        text(b, "name", f->name);
        text(b, "help", f->help);
        text(b, "takes", takes[f->in]);
        text(b, "gives", f->flags & WH_FN_OUT_TIME ? "date, timestamp" : "text");
        text(b, "alone", f->alone);
        options(b, "arguments", f->args);
        wh_ignore(wh_buf_addc(b, '}'));
    }
}

/* ---- all ---- */

static void errors(struct wh_buf *b)
{
    size_t n;
    const struct wh_error_page *p = wh_error_pages(&n);

    for (size_t i = 0; i < n; i++) {
        wh_ignore(wh_buf_printf(b, "%s{\"exit\":%d,\"retryable\":%s", i ? "," : "", p[i].exit_code,
                                p[i].retriable ? "true" : "false"));
        text(b, "code", p[i].code);
        text(b, "title", p[i].title);
        text(b, "page", p[i].page);
        wh_ignore(wh_buf_addc(b, '}'));
    }
}

int wh_cmd_tables(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct listing l = {&b, 0};

    wh_ignore(wh_buf_printf(&b, "{\"v\":1,\"version\":\"%s\",\"abi\":%d,\"flags\":[",
                            WHERRY_VERSION, WH_ABI));
    flags(c, &b, WH_G_GLOBAL);
    wh_ignore(wh_buf_adds(&b, "],\"commands\":["));
    commands(c, &b);
    wh_ignore(wh_buf_adds(&b, "],\"connectors\":["));
    wh_ignore(wh_registry_each(connector, &l, NULL));
    wh_ignore(wh_buf_adds(&b, "],\"functions\":["));
    functions(&b);
    wh_ignore(wh_buf_adds(&b, "],\"errors\":["));
    errors(&b);
    if (wh_buf_adds(&b, "]}\n") != WH_OK)
        return 1;
    return wh_cli_print(&b) ? 0 : 1;
}
