/* SPDX-License-Identifier: Apache-2.0 */
/* wherry import datax | cdm | sling FILE... -o DIR: job files of other programs as ours. */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/import.h"

/* ---- what the translators share ---- */

static void add_word(struct wh_import *imp, struct wh_list *l, const char *text)
{
    const char **v = wh_arena_alloc(imp->arena, (l->n + 1) * sizeof(*v));
    if (!v || !text) {
        imp->failed = true;
        return;
    }
    if (l->n)
        memcpy(v, l->v, l->n * sizeof(*v));
    v[l->n++] = text;
    l->v = v;
}

WH_PRINTF(3, 0)
static void say(struct wh_import *imp, struct wh_list *l, const char *fmt, va_list ap)
{
    char text[1024];
    vsnprintf(text, sizeof(text), fmt, ap);
    wh_text_tame(text, false);
    add_word(imp, l, wh_arena_strdup(imp->arena, text));
}

void wh_import_note(struct wh_import *imp, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(imp, &imp->notes, fmt, ap);
    va_end(ap);
}

void wh_import_hint(struct wh_import *imp, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(imp, &imp->hints, fmt, ap);
    va_end(ap);
}

struct wh_node *wh_import_map(struct wh_import *imp)
{
    struct wh_node *v = wh_node_map(imp->arena);
    imp->failed = imp->failed || !v;
    return v;
}

struct wh_node *wh_import_list(struct wh_import *imp)
{
    struct wh_node *v = wh_node_list(imp->arena);
    imp->failed = imp->failed || !v;
    return v;
}

void wh_import_put(struct wh_import *imp, struct wh_node *map, const char *key, struct wh_node *v)
{
    if (!map || !key || !v || wh_node_put(imp->arena, map, key, v) != WH_OK)
        imp->failed = true;
}

void wh_import_text(struct wh_import *imp, struct wh_node *map, const char *key, const char *text)
{
    wh_import_put(imp, map, key, text ? wh_node_scalar(imp->arena, text) : NULL);
}

void wh_import_add(struct wh_import *imp, struct wh_node *list, struct wh_node *v)
{
    if (!list || !v || wh_node_push(imp->arena, list, v) != WH_OK)
        imp->failed = true;
}

void wh_import_push(struct wh_import *imp, struct wh_node *list, const char *text)
{
    wh_import_add(imp, list, text ? wh_node_scalar(imp->arena, text) : NULL);
}

size_t wh_import_count(const struct wh_node *v)
{
    return !v || v->kind == WH_NODE_NULL ? 0 : v->kind == WH_NODE_LIST ? v->n : 1;
}

const char *wh_import_at(const struct wh_node *v, size_t i)
{
    if (i >= wh_import_count(v))
        return NULL;
    if (v->kind == WH_NODE_LIST)
        v = v->items[i];
    return v->kind == WH_NODE_SCALAR ? v->text : NULL;
}

const char *wh_import_name(struct wh_import *imp, const char *text)
{
    size_t n = strlen(text);
    char open = text[0], shut = open == '[' ? ']' : open;
    if (n > 2 && (open == '`' || open == '"' || open == '[') && text[n - 1] == shut &&
        !memchr(text + 1, shut, n - 2))
        return wh_arena_strndup(imp->arena, text + 1, n - 2);
    if (!n || (!isalpha((unsigned char)open) && open != '_' && !(open & 0x80)))
        return NULL;
    for (const char *p = text; *p; p++)
        if (!isalnum((unsigned char)*p) && *p != '_' && *p != '$' && !(*p & 0x80))
            return NULL;
    if (strcasecmp(text, "null") == 0)
        return NULL;
    return text;
}

void wh_import_object(struct wh_import *imp, struct wh_node *side, const char *text)
{
    const char *dot = strrchr(text, '.');
    char *schema = dot ? wh_arena_strndup(imp->arena, text, (size_t)(dot - text)) : NULL;
    const char *table = dot ? dot + 1 : text, *name = wh_import_name(imp, table);
    if (schema) {
        const char *plain = wh_import_name(imp, schema);
        wh_import_text(imp, side, "schema", plain ? plain : schema);
    }
    wh_import_text(imp, side, "table", name ? name : table);
}

void wh_import_columns(struct wh_import *imp, struct wh_node *stream, const struct wh_node *from,
                       const struct wh_node *to)
{
    struct wh_node *columns = wh_import_list(imp);
    for (size_t i = 0; i < wh_import_count(from); i++) {
        const char *a = wh_import_at(from, i), *b = wh_import_at(to, i);
        struct wh_node *pair = wh_import_map(imp);
        if (!b || strcmp(a, b) == 0) {
            wh_import_push(imp, columns, a);
            continue;
        }
        wh_import_text(imp, pair, "from", a);
        wh_import_text(imp, pair, "to", b);
        wh_import_add(imp, columns, pair);
    }
    if (columns && columns->n)
        wh_import_put(imp, stream, "columns", columns);
}

/* Calls of the product's own macros are ours as well: ${dateformat(...)}, ${timestamp()}. */
void wh_import_params(struct wh_import *imp, const char *text)
{
    for (const char *p = text; p && (p = strstr(p, "${")) != NULL; p += 2) {
        size_t n = strspn(p + 2, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_");
        char *name = wh_arena_strndup(imp->arena, p + 2, n);
        if (!n || p[2 + n] != '}' || !name || wh_node_get(imp->params, name))
            continue;
        struct wh_node *param = wh_import_map(imp);
        wh_import_text(imp, param, "type", "text");
        wh_import_text(imp, param, "raw", "true");
        wh_import_put(imp, imp->params, name, param);
    }
}

/* ---- the file ---- */

static void comments(const struct wh_list *l, const char *before, struct wh_buf *b)
{
    for (size_t i = 0; i < l->n; i++)
        wh_ignore(wh_buf_printf(b, "# %s%s\n", before, l->v[i]));
}

static int stream_text(const struct wh_node *stream, struct wh_buf *b)
{
    size_t at = b->n;
    for (size_t i = 0; i < stream->n; i++)
        WH_TRY(wh_yaml_member(stream->keys[i]->text, stream->items[i], 4, b));
    if (b->n > at)
        memcpy(b->p + at, "  - ", 4);
    return WH_OK;
}

static int job_text(struct wh_import *imp, const char *kind, const char *file, struct wh_buf *b)
{
    wh_ignore(wh_buf_printf(b, "# Made by wherry import %s of ", kind));
    wh_text_line(b, file);
    wh_ignore(wh_buf_adds(b, ". Look before it moves: wherry plan THIS_FILE\n"));
    comments(&imp->notes, "not translated: ", b);
    comments(&imp->hints, "", b);
    WH_TRY(wh_buf_adds(b, "version: 1\n"));
    for (size_t i = 0; i < imp->job->n; i++)
        WH_TRY(wh_yaml_member(imp->job->keys[i]->text, imp->job->items[i], 0, b));
    if (imp->params->n)
        WH_TRY(wh_yaml_member("params", imp->params, 0, b));
    if (imp->connections->n)
        WH_TRY(wh_yaml_member("connections", imp->connections, 0, b));
    WH_TRY(wh_buf_adds(b, "streams:\n"));
    for (size_t i = 0; i < imp->streams->n; i++)
        WH_TRY(stream_text(imp->streams->items[i], b));
    return imp->run->n ? wh_yaml_member("run", imp->run, 0, b) : WH_OK;
}

/* The reader of job files has the last word: what it refuses is not translated either. */
static void judge(struct wh_import *imp, const char *kind, const char *file)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_problems p = {.arena = imp->arena};
    struct wh_map set = {0};
    struct wh_job *job = NULL;
    struct wh_pair *v = wh_arena_alloc(imp->arena, (imp->params->n + 1) * sizeof(*v));
    for (size_t i = 0; v && i < imp->params->n; i++)
        v[set.n++] = (struct wh_pair){imp->params->keys[i]->text, "1"};
    set.v = v;
    if (!v || job_text(imp, kind, file, &b) != WH_OK)
        return;
    if (wh_job_read_with("job.yaml", b.p, b.n, &set, NULL, wh_cli_connections(imp->c), &job, &p) ==
        WH_OK)
        wh_job_free(job);
    for (size_t i = 0; i < p.n; i++)
        if (!p.v[i].warning)
            wh_import_note(imp, "this build refuses it: %s %s", p.v[i].code, p.v[i].message);
}

static const char *stem_of(struct wh_cli *c, const char *file)
{
    const char *slash = strrchr(file, '/'), *name = slash ? slash + 1 : file,
               *dot = strrchr(name, '.');
    return wh_arena_strndup(c->arena, name,
                            dot && dot > name ? (size_t)(dot - name) : strlen(name));
}

static int write_text(struct wh_cli *c, const char *path, struct wh_buf *b)
{
    struct wh_error e = {0};
    int code = 1;
    if (!path)
        return wh_cli_print(b) ? 0 : 1;
    int fd = wh_cli_create(c, path, 0666, &code);
    if (fd < 0)
        return code;
    bool ok = wh_cli_write(fd, b->p, b->n);
    if (close(fd) == 0 && ok)
        return 0;
    wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot write %s", path));
    return wh_cli_fail(c, &e);
}

static void report_json(const struct wh_import *imp, const char *file, const char *path,
                        struct wh_buf *b)
{
    wh_ignore(wh_buf_adds(b, "{\"v\":1,\"type\":\"import\",\"file\":"));
    wh_ignore(wh_buf_json(b, file, strlen(file)));
    wh_ignore(wh_buf_adds(b, ",\"job\":"));
    wh_ignore(path ? wh_buf_json(b, path, strlen(path)) : wh_buf_adds(b, "null"));
    wh_ignore(wh_buf_adds(b, ",\"not_translated\":["));
    for (size_t i = 0; i < imp->notes.n; i++) {
        wh_ignore(wh_buf_adds(b, i ? "," : ""));
        wh_ignore(wh_buf_json(b, imp->notes.v[i], strlen(imp->notes.v[i])));
    }
    wh_ignore(wh_buf_adds(b, "]}\n"));
}

static void report(const struct wh_import *imp, const char *file, const char *path)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    if (imp->c->json && path) { /* without -o standard output is the job */
        report_json(imp, file, path, &b);
        wh_cli_print(&b);
        return;
    }
    for (size_t i = 0; i < imp->notes.n; i++) {
        wh_text_line(&b, file);
        wh_ignore(wh_buf_printf(&b, ": not translated: %s\n", imp->notes.v[i]));
    }
    if (path && !imp->c->quiet)
        wh_ignore(wh_buf_printf(&b, "wrote %s; look at it: wherry plan %s\n", path, path));
    if (b.n)
        wh_cli_write(STDERR_FILENO, b.p, b.n);
}

/* ---- reading theirs ---- */

static const struct kind {
    const char *name;
    bool yaml;
    bool (*translate)(struct wh_import *);
} kinds[] = {
    {"datax", false, wh_import_datax},
    {"cdm", false, wh_import_cdm},
    {"sling", true, wh_import_sling},
};

static int parse(struct wh_import *imp, const struct kind *k, const char *file)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(64 << 20);
    struct wh_node *doc = NULL;
    struct wh_error e = {0};
    int fd = open(file, O_RDONLY | O_CLOEXEC);
    int failed = fd < 0 ? errno : wh_cli_read(fd, &b);
    if (fd >= 0)
        close(fd);
    if (failed) {
        wh_ignore(wh_fail_errno(&e, failed, "E1030", "cannot read %s", file));
        return wh_cli_fail(imp->c, &e);
    }
    int st = (k->yaml ? wh_yaml_parse : wh_json_parse)(imp->arena, file, b.p ? b.p : "", b.n, &doc,
                                                       &imp->c->problems);
    int code = wh_cli_problems(imp->c);
    imp->doc = doc;
    return st == WH_OK ? code : code ? code : 2;
}

static bool begin(struct wh_import *imp, const char *name)
{
    imp->job = wh_import_map(imp);
    imp->params = wh_import_map(imp);
    imp->connections = wh_import_map(imp);
    imp->streams = wh_import_list(imp);
    imp->run = wh_import_map(imp);
    wh_import_text(imp, imp->job, "name", name);
    return !imp->failed;
}

static int one(struct wh_cli *c, const struct kind *k, const char *file, const char *folder)
{
    struct wh_arena *a WH_CLEANUP(wh_arena_freep) = wh_arena_new(256 << 20);
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(16 << 20);
    struct wh_import imp = {.c = c, .arena = a};
    const char *stem = stem_of(c, file);
    const char *path =
        folder && stem ? wh_arena_printf(c->arena, "%s/%s.yaml", folder, stem) : NULL;
    if (!a || !stem || (folder && !path) || !begin(&imp, stem))
        return 1;
    int code = parse(&imp, k, file);
    if (code)
        return code;
    bool made = imp.doc && imp.doc->kind == WH_NODE_MAP && k->translate(&imp);
    if (imp.failed)
        return wh_cli_usage(c, "E8002", NULL, "no memory for %s", file);
    if (!made || imp.streams->n == 0) {
        report(&imp, file, NULL);
        return wh_cli_usage(c, "E1071", "wherry connectors lists what can be read and written",
                            "%s holds no %s job that could be translated", file, k->name);
    }
    judge(&imp, k->name, file);
    if (job_text(&imp, k->name, file, &b) != WH_OK)
        return wh_cli_usage(c, "E8001", NULL, "the job of %s is too big to print", file);
    code = write_text(c, path, &b);
    if (code == 0)
        report(&imp, file, path);
    return code;
}

int wh_cmd_import(struct wh_cli *c)
{
    static const char *const names[] = {"datax", "cdm", "sling", NULL};
    const char *kind = c->args.n ? c->args.v[0] : "";
    size_t k = 0;
    int code = 0;
    while (names[k] && strcmp(names[k], kind) != 0)
        k++;
    if (!names[k] || c->args.n < 2) {
        const char *near = *kind ? wh_did_you_mean(wh_str(kind), names) : NULL;
        return wh_cli_usage(c, "E1011",
                            near && !names[k]
                                ? wh_arena_printf(c->arena, "did you mean 'import %s'?", near)
                                : "wherry import datax job.json -o jobs",
                            names[k] ? "import %s needs a file"
                                     : "import knows datax, cdm and "
                                       "sling, not '%s'",
                            kind);
    }
    if (!c->output && c->args.n > 2)
        return wh_cli_usage(c, "E1011", "-o DIR", "several files need a folder to go to");
    if (c->output && mkdir(c->output, 0777) != 0 && errno != EEXIST) {
        struct wh_error e = {0};
        wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot make the folder %s", c->output));
        return wh_cli_fail(c, &e);
    }
    for (size_t i = 1; i < c->args.n; i++) {
        int now = one(c, &kinds[k], c->args.v[i], c->output);
        code = i > 1 ? wh_cli_worse(code, now) : now;
    }
    return code;
}
