/* SPDX-License-Identifier: Apache-2.0 */
/* wherry version: of the program, its modules, and the libraries behind both. */
#include <dlfcn.h>
#include <sqlite3.h>
#include <string.h>

#include "cli/cli.h"
#include "core/libraries.h"
#include "engine/registry.h"

struct listing {
    struct wh_buf *b;
    int n, libraries;
    bool json;
};

static wh_status name_of(void *arg, const struct wh_connector *k)
{
    struct listing *l = arg;
    return wh_buf_printf(l->b, "%s\"%s\"", l->n++ ? "," : "", k->name);
}

static void text(struct wh_buf *b, const char *name, const char *value)
{
    wh_ignore(wh_buf_printf(b, "\"%s\":", name));
    wh_ignore(wh_buf_json(b, value, strlen(value)));
}

static void library(void *arg, const char *name, const char *version)
{
    struct listing *l = arg;
    if (l->json) {
        wh_ignore(wh_buf_adds(l->b, l->libraries++ ? "," : ""));
        text(l->b, name, version);
    } else {
        wh_ignore(wh_buf_printf(l->b, "%s%s %s", l->libraries++ ? ", " : "", name, version));
    }
}

/* Of the program itself; they are the same for every module. */
static void own_libraries(struct listing *l)
{
    l->libraries = 0;
    wh_core_libraries(library, l);
    library(l, "sqlite", sqlite3_libversion());
}

/* The file that a connector came from; of a connector that is linked in, the program. */
static const char *file_of(const struct wh_connector *k)
{
    Dl_info info;
    return dladdr(k, &info) && info.dli_fname ? info.dli_fname : "";
}

static wh_status module_json(void *arg, const struct wh_connector *k)
{
    struct listing *l = arg;
    l->libraries = 0;
    wh_ignore(wh_buf_adds(l->b, l->n++ ? ",{" : "{"));
    text(l->b, "name", k->name);
    wh_ignore(wh_buf_printf(l->b, ",\"abi\":%u,", k->abi));
    text(l->b, "file", file_of(k));
    wh_ignore(wh_buf_adds(l->b, ",\"libraries\":{"));
    if (k->libraries)
        k->libraries(library, l);
    return wh_buf_adds(l->b, "}}");
}

static wh_status broken_json(void *arg, const char *name, const struct wh_error *e)
{
    struct listing *l = arg;
    wh_ignore(wh_buf_adds(l->b, l->n++ ? ",{" : "{"));
    text(l->b, "name", name);
    wh_ignore(wh_buf_adds(l->b, ","));
    text(l->b, "code", e->code);
    wh_ignore(wh_buf_adds(l->b, ","));
    text(l->b, "message", e->message);
    return wh_buf_addc(l->b, '}');
}

static wh_status module_text(void *arg, const struct wh_connector *k)
{
    struct listing *l = arg;
    l->libraries = 0;
    wh_ignore(wh_buf_printf(l->b, "  %-12s ", k->name));
    if (k->libraries)
        k->libraries(library, l);
    return wh_buf_addc(l->b, '\n');
}

static wh_status broken_text(void *arg, const char *name, const struct wh_error *e)
{
    struct listing *l = arg;
    return wh_buf_printf(l->b, "  %-12s cannot be loaded: %s\n", name, e->message);
}

static void as_json(struct listing *l)
{
    struct wh_buf *b = l->b;
    wh_ignore(wh_buf_adds(b, "{\"v\":1,"));
    text(b, "version", WHERRY_VERSION);
    wh_ignore(wh_buf_printf(b, ",\"abi\":%d,", WH_ABI));
    text(b, "sqlite", sqlite3_libversion());
    wh_ignore(wh_buf_adds(b, ",\"connectors\":["));
    wh_ignore(wh_registry_each(name_of, l, NULL));
    wh_ignore(wh_buf_adds(b, "],\"libraries\":{"));
    own_libraries(l);
    wh_ignore(wh_buf_adds(b, "},\"modules\":["));
    l->n = 0;
    wh_ignore(wh_registry_each(module_json, l, broken_json));
    wh_ignore(wh_buf_adds(b, "]}\n"));
}

static void as_text(struct listing *l, bool more)
{
    struct wh_buf *b = l->b;
    wh_ignore(wh_buf_printf(b, "wherry %s (connector ABI %d, exact version only)\n", WHERRY_VERSION,
                            WH_ABI));
    if (!more)
        return;
    own_libraries(l);
    wh_ignore(wh_buf_adds(b, "\nconnectors:\n"));
    wh_ignore(wh_registry_each(module_text, l, broken_text));
}

int wh_cmd_version(struct wh_cli *c)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 16);
    struct listing l = {.b = &b, .json = c->json};
    if (c->json)
        as_json(&l);
    else
        as_text(&l, c->verbose);
    return wh_cli_print(&b) ? 0 : 1;
}
