/* SPDX-License-Identifier: Apache-2.0 */
/* wherry init SRC... DST, and copy --save: the job file that does what the copy would do. */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"

/* What a reader may want to add; a line is left out where the key is set. */
static const struct {
    const char *key, *line;
} suggestions[] = {
    {"write", "write: { mode: append }          # MODES"},
    {"where", "where: 'id > 0'                  # rows, in the source's own language"},
    {"columns", "columns: [id, { from: a, to: b }] # all, by name, without it"},
    {"types", "types: { price: 'decimal(18,2)' } # instead of guessed or native ones"},
    {"dirty", "dirty: { rows: 0 }               # refused rows that are tolerated"},
    {"validate", "validate: checksum               # compare both ends afterwards"},
};

static bool is_top(const char *key)
{
    return strcmp(key, "run") == 0 || strcmp(key, "connections") == 0;
}

/* from: or to:, with the options that flags gave. */
static int side(struct wh_cli *c, const char *key, struct wh_list words, struct wh_buf *b)
{
    const struct wh_node *options = wh_node_get(c->settings, key);
    struct wh_node *list = wh_node_list(c->arena), *map = wh_node_map(c->arena), *object;
    if (!list || !map)
        return WH_E_NOMEM;
    for (size_t i = 0; i < words.n; i++)
        WH_TRY(wh_node_push(c->arena, list, wh_node_scalar(c->arena, words.v[i])));
    object = words.n == 1 ? list->items[0] : list;
    if (!options)
        return wh_yaml_member(key, object, 4, b);
    WH_TRY(wh_node_put(c->arena, map, "object", object));
    for (size_t i = 0; i < options->n; i++) {
        char *name = wh_arena_strdup(c->arena, options->keys[i]->text);
        for (char *p = name; p && *p; p++)
            *p = *p == '-' ? '_' : *p;
        if (!name)
            return WH_E_NOMEM;
        WH_TRY(wh_node_put(c->arena, map, name, options->items[i]));
    }
    return wh_yaml_member(key, map, 4, b);
}

static int modes(struct wh_buf *b)
{
    const struct wh_option *row = wh_job_option("write.mode");
    for (const struct wh_enum *e = row ? row->values : NULL; e && e->name; e++)
        WH_TRY(wh_buf_printf(b, "%s%s", e == row->values ? "" : ", ", e->name));
    return WH_OK;
}

static int suggest(struct wh_cli *c, struct wh_buf *b)
{
    for (size_t i = 0; i < sizeof(suggestions) / sizeof(suggestions[0]); i++) {
        const char *line = suggestions[i].line, *mark = strstr(line, "MODES");
        if (wh_node_get(c->settings, suggestions[i].key))
            continue;
        WH_TRY(wh_buf_adds(b, "    # "));
        if (mark) {
            WH_TRY(wh_buf_add(b, line, (size_t)(mark - line)));
            WH_TRY(modes(b));
        } else {
            WH_TRY(wh_buf_adds(b, line));
        }
        WH_TRY(wh_buf_addc(b, '\n'));
    }
    return WH_OK;
}

static int document(struct wh_cli *c, const char *file, struct wh_buf *b)
{
    const char *name = strcmp(file, "-") == 0 ? "FILE" : file;
    struct wh_list sources = {c->args.v, c->args.n - 1}, last = {c->args.v + c->args.n - 1, 1};
    const struct wh_node *run = wh_node_get(c->settings, "run");
    WH_TRY(wh_buf_printf(b,
                         "# Look before it moves: wherry plan %s; are both ends there: wherry "
                         "check %s; go: wherry run %s\n"
                         "# Every setting and its value: wherry config %s; editors: wherry schema\n"
                         "# Paths are relative to the folder in which wherry is started (or -C "
                         "DIR).\nversion: 1\nstreams:\n",
                         name, name, name, name));
    size_t at = b->n;
    WH_TRY(side(c, "from", sources, b));
    memcpy(b->p + at, "  - ", 4);
    WH_TRY(side(c, "to", last, b));
    for (size_t i = 0; i < c->settings->n; i++) {
        const char *key = c->settings->keys[i]->text;
        if (!is_top(key) && strcmp(key, "from") != 0 && strcmp(key, "to") != 0)
            WH_TRY(wh_yaml_member(key, c->settings->items[i], 4, b));
    }
    WH_TRY(suggest(c, b));
    if (run)
        return wh_yaml_member("run", run, 0, b);
    return wh_buf_adds(b, "# run: { parallel: 4, limits: { rate: 20MB/s, memory: 256MB } }\n");
}

/* A password in a file that is meant to be shown around and kept in a repository. */
static bool secret_in(const struct wh_options *table, const struct wh_node *values)
{
    for (size_t i = 0; table && values && i < values->n; i++) {
        const struct wh_option *row = wh_options_find(table, wh_str(values->keys[i]->text));
        const char *text = wh_node_text(values->items[i], "");
        if (row && row->type == WH_T_SECRET && *text && strncmp(text, "${", 2) != 0)
            return true;
    }
    return false;
}

static bool holds_secret(const struct wh_objref *ref)
{
    const struct wh_connector *k = ref->connector;
    return (!ref->conn && secret_in(k->connection, ref->connection)) ||
           secret_in(k->from, ref->options) || secret_in(k->to, ref->options);
}

int wh_cli_create(struct wh_cli *c, const char *file, unsigned mode, int *ret_code)
{
    int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (c->yes ? O_TRUNC : O_EXCL);
    int fd = open(file, flags, mode);
    if (fd >= 0)
        return fd;
    if (errno == EEXIST) {
        *ret_code = wh_cli_usage(c, "E1012", "--yes writes over it", "%s is there already", file);
        return -1;
    }
    *ret_code = wh_cli_cannot_write(c, "file", file, errno);
    return -1;
}

static int write_job(struct wh_cli *c, const char *file, struct wh_buf *b)
{
    struct wh_error e = {0};
    int code = 1;
    if (strcmp(file, "-") == 0)
        return wh_cli_print(b) ? 0 : 1;
    int fd = wh_cli_create(c, file, 0666, &code);
    if (fd < 0)
        return code;
    bool ok = wh_cli_write(fd, b->p, b->n);
    if (!ok)
        wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot write the job to %s", file));
    if (close(fd) != 0 && ok)
        wh_ignore(wh_fail_errno(&e, errno, "E5001", "cannot write the job to %s", file));
    if (e.status)
        return wh_cli_fail(c, &e);
    wh_buf_clear(b);
    wh_ignore(
        wh_buf_printf(b, "wrote %s; nothing was moved: wherry run %s does that\n", file, file));
    if (!c->quiet)
        wh_cli_write(STDERR_FILENO, b->p, b->n);
    return 0;
}

int wh_cli_save(struct wh_cli *c, const char *file)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_job *job = wh_cli_copy_job(c, 0);
    if (!job)
        return 2;
    bool secret = holds_secret(&job->streams[0].from) || holds_secret(&job->streams[0].to);
    wh_job_free(job);
    if (secret)
        return wh_cli_usage(c, "E1069",
                            "keep it apart: wherry conn add NAME URL, then NAME:OBJECT here; or "
                            "write ${env:NAME} in its place",
                            "the job file would hold a password");
    if (document(c, file, &b) != WH_OK)
        return wh_cli_usage(c, "E8001", NULL, "the job is too big to print");
    return write_job(c, file, &b);
}

int wh_cmd_init(struct wh_cli *c)
{
    if (c->args.n < 2)
        return wh_cli_usage(c, "E1011", "wherry init planes.csv.gz out.db -o planes.yaml",
                            "init needs a source and a destination");
    return wh_cli_save(c, c->output ? c->output : "-");
}
