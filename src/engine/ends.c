/* SPDX-License-Identifier: Apache-2.0 */
/* Where a job reads and writes, told without asking anybody. */
#include "engine/ends.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine/plan_internal.h"

enum {
    ENDS_ARENA = 64 << 20,
    ENDS_MAX = 32 << 20,
    WORDS_MAX = 2048
};

struct ends {
    struct wh_arena *arena;
    struct wh_buf *out;
    const char *prefix; /* "streams.orders.to" */
    const struct wh_objref *ref;
    bool rooted; /* a path of the connection says where the objects are */
};

/* One line, whatever the value holds. */
static int line(struct ends *e, const char *key, const char *value)
{
    WH_TRY(wh_buf_printf(e->out, "%s.%s=", e->prefix, key));
    for (; *value; value++)
        WH_TRY(*value == '\n' ? wh_buf_adds(e->out, "\\n") : wh_buf_addc(e->out, *value));
    return wh_buf_addc(e->out, '\n');
}

/* The folder that a relative path is taken from, with all links of it followed. */
static int path_line(struct ends *e, const char *key, const char *value)
{
    const char *slash = strrchr(value, '/');
    char folder[PATH_MAX], real[PATH_MAX];

    snprintf(folder, sizeof folder, "%.*s", slash ? (int)(slash - value) + (slash == value) : 1,
             slash ? value : ".");
    if (!realpath(folder, real))
        return line(e, key, value);
    const char *text = wh_arena_printf(e->arena, "%s/%s", strcmp(real, "/") ? real : "",
                                       slash ? slash + 1 : value);

    return text ? line(e, key, text) : WH_E_NOMEM;
}

/* "name=value" of an option that is set: those that may change while running say no place. */
static int option_line(struct ends *e, const struct wh_options *table, char *text)
{
    char *value = strchr(text, '=');
    bool local = e->ref->connector->caps && e->ref->connector->caps->flags & WH_CAP_LOCAL;

    if (!value)
        return line(e, text, "");
    *value++ = '\0';
    const struct wh_option *row = wh_options_find(table, wh_str(text));

    if (row && row->flags & WH_OPT_RUNTIME)
        return WH_OK;
    if (!local || !row || !(row->flags & WH_OPT_PATH))
        return line(e, text, value);
    e->rooted = true;
    return path_line(e, text, value);
}

static int connection_lines(struct ends *e, const void *opts)
{
    const struct wh_options *table = e->ref->connector->connection;
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(1 << 20);

    WH_TRY(wh_options_fingerprint(table, opts, &text));
    for (char *p = text.p, *end; p && *p; p = end + 1) {
        end = strchr(p, '\n');
        if (!end)
            break;
        *end = '\0';
        WH_TRY(option_line(e, table, p));
    }
    return WH_OK;
}

static bool relative(struct wh_str path)
{
    return path.n && path.s[0] != '/' && !wh_str_eqs(path, "-");
}

/* Objects that are paths: is the present folder part of what they mean? */
static bool in_folder(const struct ends *e)
{
    const struct wh_objref *ref = e->ref;
    static const char *const paths[] = {"path", "list"};
    bool any = ref->name.n && relative(ref->name.part[0]);

    if (!ref->connector->storage || e->rooted)
        return false;
    for (size_t i = 0; i < ref->more.n; i++)
        any = any || relative(wh_str(ref->more.v[i]));
    for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
        const struct wh_node *n = wh_node_get(ref->options, paths[i]);

        any = any || (n && (n->kind != WH_NODE_SCALAR || relative(wh_str(n->text))));
    }
    return any;
}

static int one_end(struct ends *e, const struct wh_objref *ref, struct wh_error *reterr)
{
    const struct wh_connector *c = ref->connector;
    char words[WORDS_MAX] = "", folder[PATH_MAX];
    void *opts = NULL;

    e->ref = ref;
    e->rooted = false;
    WH_TRY(wh_plan_options(e->arena, c->connection, ref->connection, ref->where, &opts, reterr));
    int st = c->connection ? connection_lines(e, opts) : WH_OK;

    if (st == WH_OK && c->endpoint && c->endpoint->place)
        c->endpoint->place(opts, words, sizeof words);
    if (c->connection)
        wh_options_wipe(c->connection, opts);
    if (st == WH_OK && *words)
        st = line(e, "server", words);
    if (st == WH_OK && in_folder(e) && getcwd(folder, sizeof folder))
        st = line(e, "folder", folder);
    return st == WH_OK ? WH_OK : wh_plan_no_memory(reterr);
}

static int stream_ends(struct ends *e, const char *name, const struct wh_stream *s,
                       struct wh_error *reterr)
{
    e->prefix = wh_arena_printf(e->arena, "%s.from", name);
    if (!e->prefix)
        return wh_plan_no_memory(reterr);
    WH_TRY(one_end(e, &s->from, reterr));
    e->prefix = wh_arena_printf(e->arena, "%s.to", name);
    if (!e->prefix)
        return wh_plan_no_memory(reterr);
    return one_end(e, &s->to, reterr);
}

int wh_ends_of(const struct wh_job *job, struct wh_buf *ret, struct wh_error *reterr)
{
    WH_CLEANUP(wh_arena_freep) struct wh_arena *arena = wh_arena_new(ENDS_ARENA);
    struct ends e = {.arena = arena, .out = ret};

    if (!arena || wh_buf_adds(ret, "") != WH_OK)
        return wh_plan_no_memory(reterr);
    for (size_t i = 0; i < job->n_streams; i++) {
        const struct wh_stream *s = &job->streams[i];
        const char *name = wh_arena_printf(arena, "streams.%s", s->name);

        if (!name)
            return wh_plan_no_memory(reterr);
        WH_TRY(stream_ends(&e, name, s, reterr));
        for (size_t j = 0; j < s->n_overrides; j++) {
            const struct wh_override *o = &s->overrides[j];
            const char *over = wh_arena_printf(arena, "%s.override.%s", name, o->pattern);

            if (!over)
                return wh_plan_no_memory(reterr);
            if (!o->skip && o->stream)
                WH_TRY(stream_ends(&e, over, o->stream, reterr));
        }
    }
    return WH_OK;
}

/* ---- difference --------------------------------------------------------------------------------
 */

static struct wh_str next_line(const char **p)
{
    size_t n = strcspn(*p, "\n");
    struct wh_str out = {*p, n};

    *p += n + ((*p)[n] == '\n');
    return out;
}

static struct wh_str key_of(struct wh_str text)
{
    const char *eq = memchr(text.s, '=', text.n);

    return (struct wh_str){text.s, eq ? (size_t)(eq - text.s) : text.n};
}

static struct wh_str value_of(struct wh_str text)
{
    struct wh_str key = key_of(text);
    size_t skip = key.n + (key.n < text.n);

    return wh_str_clip((struct wh_str){text.s + skip, text.n - skip}, 200);
}

/* The line of that key; n = 0: none. */
static struct wh_str line_of(const char *lines, struct wh_str key)
{
    while (*lines) {
        struct wh_str one = next_line(&lines);

        if (wh_str_eq(key_of(one), key))
            return one;
    }
    return (struct wh_str){lines, 0};
}

bool wh_ends_difference(const char *was, const char *is, struct wh_str *ret_key,
                        struct wh_str *ret_was, struct wh_str *ret_is)
{
    if (!was || !is || strcmp(was, is) == 0)
        return false;
    for (int back = 0; back < 2; back++)
        for (const char *p = back ? is : was; *p;) {
            struct wh_str one = next_line(&p), other = line_of(back ? was : is, key_of(one));

            if (wh_str_eq(one, other))
                continue;
            *ret_key = key_of(one);
            *ret_was = value_of(back ? other : one);
            *ret_is = value_of(back ? one : other);
            return true;
        }
    return false;
}

bool wh_ends_differ(const char *was, const char *is, struct wh_buf *ret)
{
    struct wh_str key, a, b;

    if (!wh_ends_difference(was, is, &key, &a, &b))
        return false;
    wh_ignore(wh_buf_printf(ret, "%.*s ", WH_STR_FMT(key)));
    wh_ignore(a.n ? wh_buf_printf(ret, "was '%.*s', ", WH_STR_FMT(a))
                  : wh_buf_adds(ret, "was not set, "));
    wh_ignore(b.n ? wh_buf_printf(ret, "is '%.*s'", WH_STR_FMT(b))
                  : wh_buf_adds(ret, "is not set"));
    return true;
}
