/* SPDX-License-Identifier: Apache-2.0 */
/* wherry conn list | show | test | add | rm: named connections outside of jobs. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "core/errors.h"
#include "engine/look.h"
#include "engine/object.h"
#include "engine/own.h"
#include "engine/registry.h"

/* ---- list, show ---- */

static bool is_secret(const char *type, const char *key)
{
    const struct wh_connector *k;
    struct wh_error e;
    if (wh_registry_find(wh_str(type), &k, &e) != WH_OK)
        return strstr(key, "pass") || strstr(key, "secret") || strstr(key, "key");
    const struct wh_option *row =
        k->connection ? wh_options_find(k->connection, wh_str(key)) : NULL;
    return row && row->type == WH_T_SECRET;
}

/* Where it leads, in a word: host or path. */
static const char *leads_to(const struct wh_node *conn)
{
    static const char *const keys[] = {"host", "path", "root", "endpoint"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (wh_node_get(conn, keys[i]))
            return wh_node_text(wh_node_get(conn, keys[i]), "...");
    return "";
}

static int list(struct wh_cli *c, const struct wh_node *all)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4 << 20);
    struct wh_grid *g = wh_grid_new(c->arena, 4, "llll");
    for (size_t i = 0; i < all->n; i++) {
        const char *words[] = {
            all->keys[i]->text, wh_node_text(wh_node_get(all->items[i], "type"), ""),
            leads_to(all->items[i]), wh_connection_file(c->arena, all->keys[i]->text)};
        static const char *const keys[] = {"name", "type", "to", "file"};
        for (size_t j = 0; j < 4; j++) {
            const char *word = words[j] ? words[j] : "";
            if (!c->json) {
                wh_grid_cell(g, word);
                continue;
            }
            wh_ignore(wh_buf_printf(&b, "%s\"%s\":", j ? "," : "{\"v\":1,", keys[j]));
            wh_ignore(wh_buf_json(&b, word, strlen(word)));
        }
        if (c->json)
            wh_ignore(wh_buf_adds(&b, "}\n"));
    }
    if (!c->json)
        wh_grid_print(g, &b);
    if (all->n == 0)
        wh_cli_nothing(c, "no connection has a name yet: wherry conn add NAME URL\n");
    return wh_cli_print(&b) ? 0 : 1;
}

static int show(struct wh_cli *c, const char *name, const struct wh_node *conn)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    const char *type = wh_node_text(wh_node_get(conn, "type"), ""),
               *file = wh_connection_file(c->arena, name);
    if (!c->json)
        wh_ignore(wh_buf_printf(&b, "# %s\n", file ? file : ""));
    for (size_t i = 0; i < conn->n; i++) {
        const char *key = conn->keys[i]->text;
        const struct wh_node *value = conn->items[i];
        const char *text = wh_node_text(value, "...");
        bool hidden = is_secret(type, key) && strncmp(text, "${", 2) != 0;
        if (c->json) {
            wh_ignore(wh_buf_adds(&b, i ? "," : "{\"v\":1,"));
            wh_ignore(wh_buf_json(&b, key, strlen(key)));
            wh_ignore(wh_buf_addc(&b, ':'));
            wh_ignore(wh_buf_json(&b, hidden ? "***" : text, strlen(hidden ? "***" : text)));
        } else if (hidden) {
            wh_ignore(wh_buf_printf(&b, "%s: '***'\n", key));
        } else {
            wh_ignore(wh_yaml_member(key, value, 0, &b));
        }
    }
    if (c->json)
        wh_ignore(wh_buf_adds(&b, "}\n"));
    return wh_cli_print(&b) ? 0 : 1;
}

/* ---- test ---- */

static int test(struct wh_cli *c, const char *name)
{
    struct wh_services *services;
    struct wh_look *look = NULL;
    struct wh_error e = {0};
    const char *object = wh_arena_printf(c->arena, "%s:", name);
    int st = wh_cli_services(c, &services, &e);
    if (st == WH_OK)
        st = wh_look_open(object, wh_cli_connections(c), NULL, services, &look, &e);
    if (st == WH_OK)
        st = wh_look_check(look, &e);
    wh_look_close(look);
    if (st != WH_OK) {
        int code = wh_cli_fail(c, &e);
        return code == 1 ? wh_error_exit(e.code, false) : code;
    }
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
    wh_ignore(c->json ? wh_buf_printf(&b, "{\"v\":1,\"connection\":\"%s\",\"ok\":true}\n", name)
                      : wh_buf_printf(&b, "ok   %s\n", name));
    return wh_cli_print(&b) ? 0 : 1;
}

/* ---- add ---- */

/* A path that means the same from every folder. */
static const char *from_here(struct wh_cli *c, const char *path)
{
    char here[4096];
    if (path[0] == '/' || strstr(path, "${") || !getcwd(here, sizeof(here)))
        return path;
    return wh_arena_printf(c->arena, "%s/%s", here, path);
}

static int as_file(struct wh_cli *c, const char *name, const struct wh_objref *ref,
                   struct wh_buf *b, const char **ret_password)
{
    struct wh_node *type = wh_node_scalar(c->arena, ref->connector->name);
    if (!type)
        return WH_E_NOMEM;
    WH_TRY(wh_yaml_member("type", type, 0, b));
    for (size_t i = 0; ref->connection && i < ref->connection->n; i++) {
        const char *key = ref->connection->keys[i]->text;
        const struct wh_node *value = ref->connection->items[i];
        const char *text = wh_node_text(value, NULL);
        const struct wh_option *row = wh_options_find(ref->connector->connection, wh_str(key));
        if (row && text && row->type == WH_T_SECRET && strncmp(text, "${", 2) != 0) {
            if (strcmp(key, "password") != 0 || *ret_password)
                return WH_E_UNSUPPORTED;
            *ret_password = text;
            value =
                wh_node_scalar(c->arena, wh_arena_printf(c->arena, "${secret:%s.password}", name));
        } else if (row && text && (row->flags & WH_OPT_PATH)) {
            value = wh_node_scalar(c->arena, from_here(c, text));
        }
        if (!value)
            return WH_E_NOMEM;
        WH_TRY(wh_yaml_member(key, value, 0, b));
    }
    return WH_OK;
}

static int add(struct wh_cli *c, const char *name, const char *url)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    const char *password = NULL, *secret = wh_arena_printf(c->arena, "%s.password", name);
    struct wh_objref ref = {0};
    struct wh_error e = {0};
    if (!wh_own_name(name, &e))
        return wh_cli_fail(c, &e);
    if (!wh_object_read(c->arena, url, "URL", WH_SIDE_ANY, NULL, &ref, &c->problems))
        return wh_cli_problems(c);
    if ((ref.name.n && !ref.whole) || ref.query_file || (ref.options && ref.options->n))
        return wh_cli_usage(c, "E1011", "wherry conn add shop postgresql://etl@db1.example/shop",
                            "a connection leads to a server, database or folder, not to one object "
                            "of it; options of objects belong to the copy");
    int st = as_file(c, name, &ref, &b, &password);
    if (st == WH_E_UNSUPPORTED)
        return wh_cli_usage(c, "E1069", "wherry secret set NAME, then ${secret:NAME} in the URL",
                            "a secret stands in the URL");
    if (st != WH_OK || !secret)
        return wh_cli_usage(c, "E8002", NULL, "no memory for a connection");
    if (!c->yes && wh_connection_file(c->arena, name))
        return wh_cli_usage(c, "E1012", "--yes writes over it", "there is a connection '%s'", name);
    st = password ? wh_secret_save(secret, password, strlen(password), &e) : WH_OK;
    if (st == WH_OK)
        st = wh_connection_save(name, b.p, b.n, c->yes, &e);
    if (st != WH_OK)
        return wh_cli_fail(c, &e);
    wh_buf_clear(&b);
    wh_ignore(wh_buf_printf(&b, "added %s%s; wherry conn test %s tries it\n", name,
                            password ? ", its password as a secret" : "", name));
    if (!c->quiet)
        wh_cli_write(STDERR_FILENO, b.p, b.n);
    return 0;
}

static int forget(struct wh_cli *c, const char *name)
{
    struct wh_error e = {0}, unused;
    char question[300];
    snprintf(question, sizeof(question),
             "Connection '%.100s' and its password are removed; jobs that name it fail.", name);
    if (wh_connection_file(c->arena, name) && !wh_cli_consent(c, question))
        return 2;
    if (wh_connection_remove(name, &e) != WH_OK)
        return wh_cli_fail(c, &e);
    const char *secret = wh_arena_printf(c->arena, "%s.password", name);
    wh_ignore(secret ? wh_secret_remove(secret, &unused) : WH_OK); /* there may be none */
    return 0;
}

int wh_cmd_conn(struct wh_cli *c)
{
    const char *verb = c->args.n ? c->args.v[0] : "list";
    const char *name = c->args.n > 1 ? c->args.v[1] : NULL;
    if (strcmp(verb, "add") == 0 && c->args.n == 3)
        return add(c, name, c->args.v[2]);
    if (strcmp(verb, "rm") == 0 && c->args.n == 2)
        return forget(c, name);
    const struct wh_node *all = wh_cli_connections(c);
    wh_cli_problems(c);
    if (!all)
        return wh_cli_usage(c, "E8002", NULL, "no memory for named connections");
    if (strcmp(verb, "list") == 0 && c->args.n < 2)
        return list(c, all);
    bool look = strcmp(verb, "show") == 0, try = strcmp(verb, "test") == 0;
    if ((!look && !try) || c->args.n != 2)
        return wh_cli_usage(c, "E1011",
                            "wherry conn list, show NAME, test NAME, add NAME URL, rm NAME",
                            "conn does not understand '%s'", verb);
    const struct wh_node *conn = wh_node_get(all, name);
    if (!conn)
        return wh_cli_usage(c, "E1022", "wherry conn list shows all", "there is no connection '%s'",
                            name);
    return look ? show(c, name, conn) : test(c, name);
}
