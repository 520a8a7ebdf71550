/* SPDX-License-Identifier: Apache-2.0 */
/* Objects as people write them: NAME:OBJECT, URL#OBJECT, PATH (INTERFACE 1). */
#include "engine/object.h"

#include "engine/registry.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum {
    MASKS_MAX = 8,
    OBJECT_MAX = 32 << 10 /* bytes of its text */
};

/* One reading: where it goes, what was found secret on the way. */
struct reading {
    struct wh_arena *arena;
    const char *where;
    enum wh_side side;
    const struct wh_node *connections;
    struct wh_objref *ret;
    struct wh_problems *problems;
    struct wh_str masks[MASKS_MAX]; /* spans of the text that are secret */
    size_t n_masks;
};

static bool no_memory(struct reading *r)
{
    wh_problem_add(r->problems, "E8002", r->where, NULL, "out of memory");
    return false;
}

/* A reference is no secret; it is needed to find the secret again. */
static void mask(struct reading *r, struct wh_str span)
{
    if (r->n_masks < MASKS_MAX && !wh_str_starts(span, "${"))
        r->masks[r->n_masks++] = span;
}

/* The text with secret spans replaced, for people. A password that is said again elsewhere in the
 * text is hidden there too, unless it is so short that it hides nothing but the rest. */
static const char *masked(struct reading *r, const char *text)
{
    char *out = wh_arena_alloc(r->arena, strlen(text) + 4 * r->n_masks + 1);
    size_t n = 0;

    for (const char *p = text; out && *p;) {
        size_t skip = 0;

        for (size_t i = 0; i < r->n_masks; i++)
            if (p == r->masks[i].s ||
                (r->masks[i].n >= 8 && strncmp(p, r->masks[i].s, r->masks[i].n) == 0))
                skip = r->masks[i].n;
        if (skip) {
            memcpy(out + n, "***", 3);
            n += 3;
            p += skip;
        } else {
            out[n++] = *p++;
        }
    }
    return out;
}

/* Position of the first of `chars` in text, not inside ${...}; text.n if there is none. */
static size_t find_any(struct wh_str text, const char *chars)
{
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] == '$' && i + 1 < text.n && text.s[i + 1] == '{') {
            const char *close = memchr(text.s + i, '}', text.n - i);

            if (close) {
                i = (size_t)(close - text.s);
                continue;
            }
        }
        if (strchr(chars, text.s[i]))
            return i;
    }
    return text.n;
}

static int hex(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Percent-decoded copy; NULL (with a problem) if it is malformed. */
static const char *decode(struct reading *r, struct wh_str text, const char *what)
{
    char *out = wh_arena_alloc(r->arena, text.n + 1);
    size_t n = 0;

    if (!out)
        return no_memory(r), NULL;
    for (size_t i = 0; i < text.n; i++) {
        if (text.s[i] != '%') {
            out[n++] = text.s[i];
            continue;
        }
        int hi = i + 2 < text.n ? hex(text.s[i + 1]) : -1;
        int lo = i + 2 < text.n ? hex(text.s[i + 2]) : -1;

        if (hi < 0 || lo < 0 || (hi | lo) == 0) {
            wh_problem_add(r->problems, "E1023", r->where, "write %25 for a percent sign",
                           "the %s has '%%' without two hexadecimal digits%s", what,
                           (hi | lo) == 0 ? " of a character" : "");
            return NULL;
        }
        out[n++] = (char)(hi << 4 | lo);
        i += 2;
    }
    if (!wh_utf8_valid(out, n)) {
        wh_problem_add(r->problems, "E1023", r->where, NULL, "the %s is not valid UTF-8", what);
        return NULL;
    }
    return out;
}

/* ---- options ----------------------------------------------------------------------------------
 */

static const struct wh_option *in_table(const struct wh_options *table, const char *key)
{
    return table ? wh_options_find(table, wh_str(key)) : NULL;
}

static size_t add_words(const struct wh_options *table, const char **words, size_t n, size_t cap)
{
    for (const struct wh_option *o = table ? table->rows : NULL; o && o->name && n < cap; o++)
        words[n++] = o->name;
    return n;
}

static bool unknown_option(struct wh_objref *ref, enum wh_side side, const char *key,
                           const char *where, struct wh_problems *problems)
{
    const struct wh_connector *c = ref->connector;
    const char *words[129];
    char hint[160];
    const struct wh_options *other = side == WH_SIDE_FROM ? c->to
                                     : side == WH_SIDE_TO ? c->from
                                                          : NULL;

    if (in_table(other, key)) {
        wh_problem_add(problems, "E1001", where, NULL, "'%s' is a setting of %s %s, not of %s", key,
                       c->name, side == WH_SIDE_FROM ? "destinations" : "sources",
                       side == WH_SIDE_FROM ? "sources" : "destinations");
        return false;
    }
    size_t n = add_words(c->connection, words, 0, 128);

    if (side != WH_SIDE_TO)
        n = add_words(c->from, words, n, 128);
    if (side != WH_SIDE_FROM)
        n = add_words(c->to, words, n, 128);
    words[n] = NULL;
    const char *near = wh_did_you_mean(wh_str(key), words);

    snprintf(hint, sizeof hint, near ? "did you mean '%s'?" : "see 'wherry connectors %s'",
             near ? near : c->name);
    wh_problem_add(problems, "E1001", where, hint, "unknown setting '%s' of %s", key, c->name);
    return false;
}

/* Same value again (as an alias, or in URL and map) is fine, another one is not. */
static bool put_option(struct wh_arena *arena, struct wh_node **map, const char *name,
                       struct wh_node *value, const char *where, struct wh_problems *problems)
{
    if (!*map)
        *map = wh_node_map(arena);
    struct wh_node *old = *map ? wh_node_get(*map, name) : NULL;

    if (old && (old->kind != WH_NODE_SCALAR || value->kind != WH_NODE_SCALAR ||
                strcmp(old->text, value->text) != 0)) {
        wh_problem_add(problems, "E1006", where, "remove one of the two", "'%s' is given twice",
                       name);
        return false;
    }
    if (!*map || wh_node_put(arena, *map, name, value) != WH_OK) {
        wh_problem_add(problems, "E8002", where, NULL, "out of memory");
        return false;
    }
    return true;
}

/* A bare number where the system's own clients take one (libpq's connect_timeout=2), with its unit.
 */
static struct wh_node *with_unit(struct wh_arena *arena, const struct wh_option *row,
                                 const char *key, struct wh_node *value)
{
    bool seconds = row->flags & WH_OPT_SECONDS;
    bool ms = row->flags & WH_OPT_ALIAS_MS && !wh_key_eq(wh_str(key), row->name);
    size_t n = value->kind == WH_NODE_SCALAR ? strlen(value->text) : 0;

    if ((!seconds && !ms) || n == 0 || strspn(value->text, "0123456789") != n)
        return value;
    struct wh_node *copy = wh_arena_alloc(arena, sizeof *copy);
    char *text = wh_arena_printf(arena, "%s%s", value->text, seconds ? "s" : "ms");

    if (!copy || !text)
        return NULL;
    *copy = *value;
    copy->text = text;
    return copy;
}

bool wh_objref_option(struct wh_arena *arena, struct wh_objref *ref, enum wh_side side,
                      const char *key, struct wh_node *value, const char *where,
                      struct wh_problems *problems)
{
    const struct wh_option *row = in_table(ref->connector->connection, key);

    if (row && !(value = with_unit(arena, row, key, value)))
        wh_problem_add(problems, "E8002", where, NULL, "out of memory while reading a connection");
    if (row && !value)
        return false;
    if (row)
        return put_option(arena, &ref->connection, row->name, value, where, problems);
    if (side != WH_SIDE_TO)
        row = in_table(ref->connector->from, key);
    if (!row && side != WH_SIDE_FROM)
        row = in_table(ref->connector->to, key);
    if (row)
        return put_option(arena, &ref->options, row->name, value, where, problems);
    return unknown_option(ref, side, key, where, problems);
}

static bool set_text(struct reading *r, const char *key, const char *text)
{
    struct wh_node *value = wh_node_scalar(r->arena, text);

    if (!value)
        return no_memory(r);
    value->quoted = true;
    return wh_objref_option(r->arena, r->ret, r->side, key, value, r->where, r->problems);
}

static bool is_secret(const struct wh_connector *c, const char *key)
{
    const struct wh_options *tables[] = {c->connection, c->from, c->to};

    for (size_t i = 0; i < 3; i++) {
        const struct wh_option *row = in_table(tables[i], key);

        if (row && row->type == WH_T_SECRET)
            return true;
    }
    return false;
}

/* "a=1&b=2" or "a=1,b=2". */
static bool read_parameters(struct reading *r, struct wh_str text)
{
    bool ok = true;

    while (text.n > 0) {
        size_t n = find_any(text, "&,");
        struct wh_str item = {text.s, n};
        size_t eq = find_any(item, "=");

        text = n < text.n ? (struct wh_str){text.s + n + 1, text.n - n - 1} : WH_STR("");
        if (item.n == 0)
            continue;
        if (eq == item.n || eq == 0) {
            wh_problem_add(r->problems, "E1023", r->where,
                           "write %2C for a comma and %26 for & inside a value",
                           "'%.*s' after '?' is no KEY=VALUE", WH_STR_FMT(item));
            ok = false;
            continue;
        }
        struct wh_str raw = {item.s + eq + 1, item.n - eq - 1};
        const char *key = decode(r, (struct wh_str){item.s, eq}, "parameter");
        const char *value = decode(r, raw, "parameter");

        if (!key || !value)
            return false;
        if (is_secret(r->ret->connector, key) && raw.n)
            mask(r, raw);
        ok = set_text(r, key, value) && ok;
    }
    return ok;
}

/* ---- objects ----------------------------------------------------------------------------------
 */

/* One part that is not split: a path of a storage. */
static bool path_object(struct reading *r, const char *path)
{
    struct wh_part *part = wh_arena_alloc(r->arena, sizeof *part);

    if (!part)
        return no_memory(r);
    *part = (struct wh_part){.kind = WH_PART_NAME, .text = path};
    r->ret->parts = part;
    r->ret->name = (struct wh_name){.part = {wh_str(path)}, .n = 1};
    return true;
}

static bool refuse_spreadsheet(struct reading *r, const char *path)
{
    struct wh_str p = wh_str(path);
    static const char *const endings[] = {".xlsx", ".xls", ".ods"};

    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(endings[i]);

        if (p.n > n && wh_str_ieqs((struct wh_str){p.s + p.n - n, n}, endings[i])) {
            wh_problem_add(r->problems, "E1024", r->where, "open it and choose 'save as CSV'",
                           "'%s' is a spreadsheet, which cannot be read; save as CSV", path);
            return true;
        }
    }
    return false;
}

/* The object of a connector: a path for files, dotted parts for the others. */
static bool read_object(struct reading *r, const char *text)
{
    const struct wh_connector *c = r->ret->connector;
    bool source = r->side != WH_SIDE_TO;

    if (!*text) {
        r->ret->name = (struct wh_name){.n = 0};
        r->ret->whole = source && (c->caps->flags & WH_CAP_WHOLE_DATABASE);
        r->ret->pattern |= r->ret->whole;
        return true;
    }
    if (c->storage || c->caps->flags & WH_CAP_PATHS)
        return !refuse_spreadsheet(r, text) && path_object(r, text);
    if (*text == '@') {
        r->ret->query_file = text + 1;
        return true;
    }
    return wh_name_parse(r->arena, text, r->where, r->ret, r->problems);
}

/* ---- URLs -------------------------------------------------------------------------------------
 */

static bool read_user(struct reading *r, struct wh_str info)
{
    size_t colon = find_any(info, ":");
    const char *user = decode(r, (struct wh_str){info.s, colon}, "user"), *password;

    if (!user || (*user && !set_text(r, "user", user)))
        return false;
    if (colon == info.n)
        return true;
    struct wh_str raw = {info.s + colon + 1, info.n - colon - 1};

    if (raw.n)
        mask(r, raw);
    password = decode(r, raw, "password");
    return password && set_text(r, "password", password);
}

static bool read_port(struct reading *r, struct wh_str port)
{
    long n = 0;

    for (size_t i = 0; i < port.n; i++)
        n = isdigit((unsigned char)port.s[i]) && n < 100000 ? n * 10 + (port.s[i] - '0') : 100000;
    if (port.n == 0 || n < 1 || n > 65535) {
        wh_problem_add(r->problems, "E1023", r->where, NULL, "'%.*s' is no port (1 to 65535)",
                       WH_STR_FMT(port));
        return false;
    }
    const char *text = wh_arena_strndup(r->arena, port.s, port.n);

    return text ? set_text(r, "port", text) : no_memory(r);
}

static bool read_host(struct reading *r, struct wh_str host)
{
    struct wh_str port = {NULL, 0};

    if (host.n && host.s[0] == '[') {
        const char *close = memchr(host.s, ']', host.n);

        if (!close) {
            wh_problem_add(r->problems, "E1023", r->where, "write [::1]:5432",
                           "the bracket of the address is not closed");
            return false;
        }
        size_t n = (size_t)(close - host.s);

        if (n + 1 < host.n && host.s[n + 1] == ':')
            port = (struct wh_str){host.s + n + 2, host.n - n - 2};
        host = (struct wh_str){host.s + 1, n - 1};
    } else {
        size_t colon = find_any(host, ":");

        if (colon < host.n && !memchr(host.s, ',', host.n)) {
            port = (struct wh_str){host.s + colon + 1, host.n - colon - 1};
            host.n = colon;
        }
    }
    const char *text = decode(r, host, "host");

    if (!text || (*text && !set_text(r, "host", text)))
        return false;
    return !port.s || read_port(r, port);
}

/* //user:password@host:port/database */
static bool read_server(struct reading *r, struct wh_str rest)
{
    if (!wh_str_starts(rest, "//")) {
        wh_problem_add(r->problems, "E1023", r->where, NULL, "write %s://host/database#object",
                       r->ret->connector->name);
        return false;
    }
    rest = (struct wh_str){rest.s + 2, rest.n - 2};
    size_t slash = find_any(rest, "/");
    struct wh_str authority = {rest.s, slash};
    size_t at = find_any(authority, "@");

    if (at < authority.n) {
        struct wh_str host = {authority.s + at + 1, authority.n - at - 1};

        if (find_any(host, "@") < host.n) {
            mask(r, authority);
            wh_problem_add(r->problems, "E1023", r->where,
                           "write %40 for the @ of a user or password",
                           "the URL has two '@': which one ends the password is not certain");
            return false;
        }
        if (!read_user(r, (struct wh_str){authority.s, at}))
            return false;
        authority = host;
    }
    if (!read_host(r, authority))
        return false;
    if (slash + 1 >= rest.n)
        return true;
    const char *database =
        decode(r, (struct wh_str){rest.s + slash + 1, rest.n - slash - 1}, "path");

    return database && set_text(r, "database", database);
}

/* scheme:path and scheme:///path name the same file. */
static struct wh_str strip_slashes(struct wh_str path)
{
    if (wh_str_starts(path, "///"))
        return (struct wh_str){path.s + 2, path.n - 2};
    return path;
}

static bool read_url(struct reading *r, struct wh_str rest)
{
    const struct wh_connector *c = r->ret->connector;
    size_t hash = find_any(rest, "#");
    struct wh_str fragment = hash < rest.n ? (struct wh_str){rest.s + hash + 1, rest.n - hash - 1}
                                           : (struct wh_str){NULL, 0};

    rest.n = hash;
    size_t question = find_any(rest, "?");
    struct wh_str parameters = question < rest.n
                                   ? (struct wh_str){rest.s + question + 1, rest.n - question - 1}
                                   : WH_STR("");

    rest.n = question;
    const char *object = decode(r, fragment.s ? fragment : WH_STR(""), "object");
    bool ok = object;

    if (!ok)
        return false;
    if (c->url == WH_URL_SERVER) {
        ok = read_server(r, rest);
    } else {
        const char *path = decode(r, strip_slashes(rest), "path");

        if (!path)
            return false;
        if (c->url == WH_URL_PATH)
            ok = !*path || set_text(r, "path", path);
        else if (!fragment.s)
            object = path;
        else if (*path) {
            wh_problem_add(r->problems, "E1023", r->where, "write %23 for a # in a name",
                           "%s: takes its object before '#', not behind it", c->name);
            ok = false;
        }
    }
    ok = read_parameters(r, parameters) && ok;
    return ok && read_object(r, object);
}

/* ---- NAME:, PATH ------------------------------------------------------------------------------
 */

/* Bytes of the word before the first ':', 0 if the text does not begin with one. */
static size_t word_before_colon(const char *text)
{
    size_t n = 0;

    if (!isalpha((unsigned char)text[0]) && text[0] != '_')
        return 0;
    while (isalnum((unsigned char)text[n]) || (text[n] && strchr("+._-", text[n])))
        n++;
    return text[n] == ':' ? n : 0;
}

static bool find_connector(struct reading *r, struct wh_str scheme)
{
    struct wh_error err;
    int st = wh_registry_find(scheme, &r->ret->connector, &err);

    if (st != WH_OK)
        wh_problem_add(r->problems, err.code, r->where, err.hint[0] ? err.hint : NULL, "%s",
                       err.message);
    return st == WH_OK;
}

/* A key of a connection that says nothing about it is never passed over: "encrypt" there would
 * leave files in clear, "delimeter" would be what it is not. */
static bool foreign_key(struct reading *r, const char *key)
{
    const struct wh_connector *c = r->ret->connector;
    const char *words[129], *near;
    char hint[160];

    if (in_table(c->from, key) || in_table(c->to, key)) {
        snprintf(hint, sizeof hint, "write '%s: ...' beside 'conn: %s' in from or to", key,
                 r->ret->conn);
        wh_problem_add(r->problems, "E1001", r->where, hint,
                       "'%s' of connection %s is a setting of %s %s, not of a connection", key,
                       r->ret->conn, c->name,
                       !in_table(c->to, key)     ? "sources"
                       : !in_table(c->from, key) ? "destinations"
                                                 : "sources and destinations");
        return false;
    }
    words[add_words(c->connection, words, 0, 128)] = NULL;
    near = wh_did_you_mean(wh_str(key), words);
    snprintf(hint, sizeof hint, near ? "did you mean '%s'?" : "see 'wherry connectors %s'",
             near ? near : c->name);
    wh_problem_add(r->problems, "E1001", r->where, hint, "unknown setting '%s' of connection %s",
                   key, r->ret->conn);
    return false;
}

/* Options of a named connection, all but its type. */
static bool use_connection(struct reading *r, struct wh_str name, const struct wh_node *conn)
{
    const char *type = wh_node_text(wh_node_get(conn, "type"), NULL);

    r->ret->conn = wh_arena_strndup(r->arena, name.s, name.n);
    if (!r->ret->conn)
        return no_memory(r);
    if (!type) {
        wh_problem_add(r->problems, "E1005", r->where, NULL, "connection '%s' has no type",
                       r->ret->conn);
        return false;
    }
    if (!find_connector(r, wh_str(type)))
        return false;
    bool ok = true;

    for (size_t i = 0; i < conn->n; i++) {
        const char *key = conn->keys[i]->text;

        if (strcmp(key, "type") == 0 || strncmp(key, "x-", 2) == 0)
            continue;
        ok = (in_table(r->ret->connector->connection, key)
                  ? wh_objref_option(r->arena, r->ret, r->side, key, conn->items[i], r->where,
                                     r->problems)
                  : foreign_key(r, key)) &&
             ok;
    }
    return ok;
}

static bool ends_like_database(struct wh_str path)
{
    static const char *const endings[] = {".db", ".sqlite", ".sqlite3"};

    for (size_t i = 0; i < 3; i++) {
        size_t n = strlen(endings[i]);

        if (path.n > n && wh_str_ieqs((struct wh_str){path.s + path.n - n, n}, endings[i]))
            return true;
    }
    return false;
}

/* A file. out.db and out.db#planes are SQLite; in all other names '#' is an ordinary character. */
static bool read_path(struct reading *r, const char *text)
{
    struct wh_str whole = wh_str(text);
    const char *hash = strrchr(text, '#');
    struct wh_str base = hash ? (struct wh_str){text, (size_t)(hash - text)} : whole;

    if (hash && !ends_like_database(base)) {
        hash = NULL;
        base = whole;
    }
    if (ends_like_database(base)) {
        const char *path = wh_arena_strndup(r->arena, base.s, base.n);

        if (!path)
            return no_memory(r);
        return find_connector(r, WH_STR("sqlite")) && set_text(r, "path", path) &&
               read_object(r, hash ? hash + 1 : "");
    }
    return find_connector(r, WH_STR("file")) && read_object(r, text);
}

static void unknown_word(struct reading *r, struct wh_str word, bool url)
{
    const char *words[66] = {"gen", "null", "file", "sqlite", "postgresql", "mysql"};
    size_t n = 6;
    char hint[200];

    for (size_t i = 0; r->connections && i < r->connections->n && n < 65; i++)
        words[n++] = r->connections->keys[i]->text;
    words[n] = NULL;
    if (url) {
        struct wh_error err;
        const struct wh_connector *unused;

        wh_ignore(wh_registry_find(word, &unused, &err));
        wh_problem_add(r->problems, "E1021", r->where, err.hint[0] ? err.hint : NULL,
                       "unknown scheme '%.*s'", WH_STR_FMT(word));
        return;
    }
    const char *near = wh_did_you_mean(word, words);

    if (near)
        snprintf(hint, sizeof hint, "did you mean '%s:'?", near);
    else
        snprintf(hint, sizeof hint, "write ./%.*s:... for a file of this name", WH_STR_FMT(word));
    wh_problem_add(r->problems, "E1022", r->where, hint,
                   "'%.*s' is no connection, no scheme, and no file has this name",
                   WH_STR_FMT(word));
}

static bool is_path(const char *text, size_t word)
{
    /* ./a:b and /a:b begin with no word; C:\x does, with one letter. */
    return word == 0 || (word == 1 && (text[2] == '\\' || text[2] == '/'));
}

static bool read_any(struct reading *r, const char *text)
{
    size_t n = word_before_colon(text);

    if (n == 4 && strncmp(text, "jdbc", 4) == 0) {
        text += 5;
        n = word_before_colon(text);
    }
    struct wh_str word = {text, n};
    const char *rest = text + n + 1;

    if (is_path(text, n))
        return read_path(r, text);
    if (n > 1 && wh_registry_is_scheme(word))
        return find_connector(r, word) && read_url(r, wh_str(rest));
    char *name = wh_arena_strndup(r->arena, word.s, word.n);
    const struct wh_node *conn = name && r->connections ? wh_node_get(r->connections, name) : NULL;

    if (!name)
        return no_memory(r);
    if (conn)
        return use_connection(r, word, conn) && read_object(r, rest);
    bool url = strncmp(rest, "//", 2) == 0;

    if (!url && access(text, F_OK) == 0)
        return read_path(r, text);
    unknown_word(r, word, url);
    return false;
}

bool wh_object_read(struct wh_arena *arena, const char *text, const char *where, enum wh_side side,
                    const struct wh_node *connections, struct wh_objref *ret,
                    struct wh_problems *problems)
{
    struct reading r = {.arena = arena,
                        .where = where,
                        .side = side,
                        .connections = connections,
                        .ret = ret,
                        .problems = problems};

    *ret = (struct wh_objref){.where = where, .text = text};
    if (!*text) {
        wh_problem_add(problems, "E1008", where, NULL, "the object is empty");
        return false;
    }
    if (strlen(text) > OBJECT_MAX) {
        wh_problem_add(problems, "E1020", where, "a list of paths stands in a file: list=FILE",
                       "the object has %zu bytes, at most %d are taken: '%.40s...'", strlen(text),
                       (int)OBJECT_MAX, text);
        ret->text = "";
        return false;
    }
    if (!wh_utf8_valid(text, strlen(text))) {
        wh_problem_add(problems, "E1020", where, "give the file another name, or link to it",
                       "the object is not valid UTF-8");
        return false;
    }
    bool ok = read_any(&r, text);

    ret->text = masked(&r, text);
    if (!ret->text)
        return no_memory(&r);
    if (!ret->connection && !(ret->connection = wh_node_map(arena)))
        return no_memory(&r);
    if (!ret->options && !(ret->options = wh_node_map(arena)))
        return no_memory(&r);
    return ok;
}

bool wh_objref_parse(struct wh_arena *arena, const char *text, const char *where,
                     const struct wh_node *connections, struct wh_objref *ret,
                     struct wh_problems *problems)
{
    return wh_object_read(arena, text, where, WH_SIDE_ANY, connections, ret, problems);
}
