/* SPDX-License-Identifier: Apache-2.0 */
/* A plan in a file and the same plan made now: each difference of what decides the result. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/ends.h"
#include "engine/plan_file.h"
#include "engine/plan_internal.h"

enum {
    NOW_MAX = 256 << 20,
    NOW_ARENA = 1 << 30,
    SHOWN = 3, /* of a refusal */
};

struct compare {
    const struct wh_plan_file *file;
    const struct wh_plan *now;
    struct wh_arena *arena;
    const char *was_tail, *is_tail; /* of the runs' ids: what differs in names of stages */
    const char *table;
    wh_plan_difference_fn each;
    void *arg;
    int64_t told; /* of this table */
};

/* ---- values ------------------------------------------------------------------------------------
 */

/* The run's own name, in whatever it stands, means the same in both. */
static const char *without_run(struct compare *c, const char *text, const char *run,
                               const char *tail)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(64 << 20);

    if (!text || !*tail || !strstr(text, tail))
        return text;
    for (size_t n; *text; text += n) {
        const char *put = NULL;

        n = 1;
        if (strncmp(text, run, strlen(run)) == 0) {
            n = strlen(run);
            put = "${run.id}";
        } else if (strncmp(text, tail, strlen(tail)) == 0) {
            n = strlen(tail);
            put = "${run}";
        }
        if ((put ? wh_buf_adds(&out, put) : wh_buf_addc(&out, *text)) != WH_OK)
            return text;
    }
    return wh_arena_strdup(c->arena, out.p ? out.p : "");
}

static int differ(struct compare *c, const char *what, const char *was, const char *is)
{
    const struct wh_plan_difference d = {c->table, what, was, is};

    if (!what)
        return WH_E_NOMEM;
    was = without_run(c, was, c->file->run, c->was_tail);
    is = without_run(c, is, c->now->run, c->is_tail);
    if (was == is || (was && is && strcmp(was, is) == 0))
        return WH_OK;
    c->told++;
    return c->each(c->arg, &d);
}

/* Booleans and numbers have kept their text. */
static const char *value(const struct wh_node *map, const char *key)
{
    const struct wh_node *n = wh_node_get(map, key);

    return n && n->kind == WH_NODE_SCALAR ? n->text : NULL;
}

static int field(struct compare *c, const struct wh_node *was, const struct wh_node *is,
                 const char *key, const char *what)
{
    return differ(c, what, value(was, key), value(is, key));
}

/* ---- lists -------------------------------------------------------------------------------------
 */

static size_t size_of(const struct wh_node *list)
{
    return list && list->kind == WH_NODE_LIST ? list->n : 0;
}

static const char *joined(struct compare *c, const struct wh_node *list)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 20);

    for (size_t i = 0; i < size_of(list); i++)
        wh_ignore(wh_buf_printf(&out, "%s%s", i ? ", " : "", list->items[i]->text));
    return out.n ? wh_arena_strdup(c->arena, out.p) : "none";
}

static const struct wh_node *by_name(const struct wh_node *list, const char *key, const char *name)
{
    for (size_t i = 0; i < size_of(list); i++) {
        const char *text = value(list->items[i], key);

        if (text && strcmp(text, name) == 0)
            return list->items[i];
    }
    return NULL;
}

/* "price decimal(9,2) -> decimal(10,2) not null, checked" */
static const char *column_text(struct compare *c, const struct wh_node *n)
{
    const char *from = value(n, "from"), *constant = value(n, "value"), *fit = value(n, "fit");
    bool exact = !fit || strcmp(fit, "exact") == 0;

    if (!n)
        return NULL;
    return wh_arena_printf(c->arena, "%s%s %s -> %s%s%s", constant ? "constant " : "",
                           constant ? constant
                           : from   ? from
                                    : "(of the file)",
                           value(n, "source_type"), value(n, "type"), exact ? "" : ", ",
                           exact ? "" : fit);
}

static int columns(struct compare *c, const struct wh_node *was, const struct wh_node *is)
{
    const struct wh_node *a = wh_node_get(was, "columns"), *b = wh_node_get(is, "columns");
    int64_t before = c->told;

    for (size_t i = 0; i < size_of(a); i++) {
        const char *name = value(a->items[i], "name");
        const char *what = wh_arena_printf(c->arena, "column %s", name);

        WH_TRY(
            differ(c, what, column_text(c, a->items[i]), column_text(c, by_name(b, "name", name))));
    }
    for (size_t i = 0; i < size_of(b); i++) {
        const char *name = value(b->items[i], "name");

        if (!by_name(a, "name", name))
            WH_TRY(differ(c, wh_arena_printf(c->arena, "column %s", name), NULL,
                          column_text(c, b->items[i])));
    }
    for (size_t i = 0; i < size_of(a) && c->told == before; i++) {
        const char *x = value(a->items[i], "name"), *y = value(b->items[i], "name");

        if (strcmp(x, y) != 0)
            return differ(c, wh_arena_printf(c->arena, "column %zu", i + 1), x, y);
    }
    return WH_OK;
}

static const char *step_text(struct compare *c, const struct wh_node *list, size_t i)
{
    const struct wh_node *n = i < size_of(list) ? list->items[i] : NULL;

    return n ? wh_arena_printf(c->arena, "%s: %s", value(n, "phase"), value(n, "say")) : NULL;
}

static int steps(struct compare *c, const struct wh_node *was, const struct wh_node *is)
{
    const struct wh_node *a = wh_node_get(was, "steps"), *b = wh_node_get(is, "steps");

    for (size_t i = 0; i < size_of(a) || i < size_of(b); i++)
        WH_TRY(differ(c, wh_arena_printf(c->arena, "step %zu", i + 1), step_text(c, a, i),
                      step_text(c, b, i)));
    return WH_OK;
}

/* ---- schemas -----------------------------------------------------------------------------------
 */

/* What the type is to us and to the system: varchar(20) and varchar(10) are both text. */
static const char *field_text(struct compare *c, const struct ArrowSchema *f)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 16);
    struct wh_type type;
    struct wh_str native = {0};
    bool known = wh_type_of(f, &type, NULL) == WH_OK && wh_type_print(&type, &out) == WH_OK;

    if (wh_meta_get(f, WH_META_TYPE, &native) && native.n)
        wh_ignore(wh_buf_printf(&out, " (%.*s)", WH_STR_FMT(native)));
    if (known && !type.nullable && !strstr(out.p, " not null"))
        wh_ignore(wh_buf_adds(&out, " not null"));
    return wh_arena_strdup(c->arena, out.p ? out.p : f->format);
}

static int fields(struct compare *c, const char *side, const struct ArrowSchema *was,
                  const struct ArrowSchema *is)
{
    for (int64_t i = 0; i < was->n_children; i++) {
        const struct ArrowSchema *a = was->children[i];
        int64_t at = wh_schema_find(is, wh_str(a->name), false);
        const char *what = wh_arena_printf(c->arena, "column %s of the %s", a->name, side);

        WH_TRY(differ(c, what, field_text(c, a), at < 0 ? NULL : field_text(c, is->children[at])));
    }
    for (int64_t i = 0; i < is->n_children; i++) {
        const struct ArrowSchema *b = is->children[i];

        if (wh_schema_find(was, wh_str(b->name), false) < 0)
            WH_TRY(differ(c, wh_arena_printf(c->arena, "column %s of the %s", b->name, side), NULL,
                          field_text(c, b)));
    }
    return WH_OK;
}

static int schema(struct compare *c, const struct wh_node *was, const char *key, const char *side,
                  const struct ArrowSchema *is)
{
    const char *text = value(was, key);
    struct ArrowSchema old = {0};
    struct wh_error err;

    if (!text || !is->release || wh_schema_from_json(text, strlen(text), &old, &err) != WH_OK)
        return WH_OK; /* one of them was refused: that is told */
    int st = fields(c, side, &old, is);

    wh_schema_release(&old);
    return st;
}

/* ---- tables ------------------------------------------------------------------------------------
 */

/* Members of a table in the order in which they are told. */
static const struct {
    const char *key, *what;
} table_fields[] = {
    {"stream", "stream"},      {"source", "source"},
    {"target", "destination"}, {"where", "where"},
    {"query", "query"},        {"limit", "limit"},
    {"mode", "mode"},          {"exists", "the destination exists"},
    {"class", "commit class"}, {"atomic", "atomic"},
    {"visible", "rows show"},  {"delivery", "delivery"},
    {"guard", "guard"},
};

static bool into_stdout(const struct wh_node *t)
{
    const char *target = value(t, "target");

    return target && strcmp(target, "-") == 0;
}

static int files(struct compare *c, const struct wh_node *was, const struct wh_node *is,
                 const struct wh_node *own_was, const struct wh_node *own_is)
{
    const char *a = value(own_was, "reads"), *b = value(own_is, "reads");

    if (!a || !b || strcmp(a, b) == 0)
        return WH_OK;
    return differ(
        c, "files to read", wh_arena_printf(c->arena, "%s bytes", value(was, "bytes")),
        wh_arena_printf(c->arena, "%s bytes, or other files or times", value(is, "bytes")));
}

/* What is in no other words: told alone. */
static int hidden(struct compare *c, const struct wh_node *was, const struct wh_node *is,
                  const struct wh_node *own_was, const struct wh_node *own_is)
{
    bool same_run = strcmp(c->file->run, c->now->run) == 0;

    WH_TRY(field(c, own_was, own_is, "source_identity", "identity of the source"));
    if (!into_stdout(was))
        WH_TRY(field(c, was, is, "target_identity", "identity of the destination"));
    if (c->told || !same_run)
        return WH_OK;
    if (value(own_was, "writes") && value(own_is, "writes") &&
        strcmp(value(own_was, "writes"), value(own_is, "writes")) != 0)
        return differ(c, "the destination", "one object", "another one of the same name and shape");
    return WH_OK;
}

static const char *refusal(struct compare *c, const struct wh_node *t)
{
    const struct wh_node *e = wh_node_get(t, "error");

    return e ? wh_arena_printf(c->arena, "refused: %s %s", value(e, "code"), value(e, "message"))
             : "possible";
}

static int one_table(struct compare *c, const struct wh_node *was, const struct wh_node *is,
                     const struct wh_node *own_was, const struct wh_node *own_is,
                     const struct wh_flow *f)
{
    c->told = 0;
    if (wh_node_get(was, "error") || wh_node_get(is, "error")) {
        WH_TRY(schema(c, own_was, "source_schema", "source", &f->source_schema));
        return differ(c, "table", refusal(c, was), refusal(c, is));
    }
    WH_TRY(schema(c, own_was, "source_schema", "source", &f->source_schema));
    WH_TRY(files(c, was, is, own_was, own_is));
    for (size_t i = 0; i < sizeof table_fields / sizeof *table_fields; i++)
        WH_TRY(field(c, was, is, table_fields[i].key, table_fields[i].what));
    WH_TRY(
        differ(c, "keys", joined(c, wh_node_get(was, "keys")), joined(c, wh_node_get(is, "keys"))));
    WH_TRY(schema(c, own_was, "accept_schema", "destination", &f->tgt.accept));
    WH_TRY(columns(c, was, is));
    WH_TRY(steps(c, was, is));
    return hidden(c, was, is, own_was, own_is);
}

static int tables(struct compare *c, const struct wh_node *now)
{
    const struct wh_node *was = wh_node_get(c->file->doc, "tables"),
                         *is = wh_node_get(now, "tables");
    const struct wh_node *own_was = wh_node_get(wh_node_get(c->file->doc, "file"), "tables"),
                         *own_is = wh_node_get(wh_node_get(now, "file"), "tables");

    for (size_t i = 0; i < size_of(was); i++) {
        c->table = value(was->items[i], "table");
        if (!by_name(is, "table", c->table))
            WH_TRY(differ(c, "table", "planned", NULL));
    }
    for (size_t i = 0; i < size_of(is); i++) {
        c->table = value(is->items[i], "table");
        const struct wh_node *old = by_name(was, "table", c->table);

        if (!old)
            WH_TRY(differ(c, "table", NULL, "planned"));
        else
            WH_TRY(one_table(c, old, is->items[i], by_name(own_was, "table", c->table),
                             by_name(own_is, "table", c->table), c->now->flows[i]));
    }
    c->table = NULL;
    return WH_OK;
}

/* ---- entries -----------------------------------------------------------------------------------
 */

static const char *tail_of(const char *run)
{
    const char *dash = strrchr(run, '-');

    return dash ? dash + 1 : run;
}

/* Servers, databases, folders: what references and the environment make of the job. */
static int ends(struct compare *c, const struct wh_node *now)
{
    const char *was = value(wh_node_get(c->file->doc, "file"), "ends"),
               *is = value(wh_node_get(now, "file"), "ends");
    struct wh_str key, a, b;

    if (!wh_ends_difference(was, is, &key, &a, &b))
        return WH_OK;
    return differ(c, wh_arena_printf(c->arena, "%.*s", WH_STR_FMT(key)),
                  a.n ? wh_arena_printf(c->arena, "%.*s", WH_STR_FMT(a)) : NULL,
                  b.n ? wh_arena_printf(c->arena, "%.*s", WH_STR_FMT(b)) : NULL);
}

int wh_plan_file_compare(const struct wh_plan_file *file, const struct wh_plan *now,
                         wh_plan_difference_fn each, void *arg, struct wh_error *reterr)
{
    const struct wh_plan_origin nowhere = {NULL, NULL, 0, NULL};
    WH_CLEANUP(wh_arena_freep) struct wh_arena *arena = wh_arena_new(NOW_ARENA);
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(NOW_MAX);
    struct wh_problems problems = {.arena = arena};
    struct wh_node *doc = NULL;
    struct compare c = {.file = file,
                        .now = now,
                        .arena = arena,
                        .was_tail = tail_of(file->run),
                        .is_tail = tail_of(now->run),
                        .each = each,
                        .arg = arg};

    if (!arena || wh_plan_file_print(now, &nowhere, &text) != WH_OK ||
        wh_json_parse(arena, "plan", text.p, text.n, &doc, &problems) != WH_OK)
        return wh_plan_no_memory(reterr);
    wh_buf_free(&text);
    int st = differ(&c, "timezone", value(file->doc, "timezone"), value(doc, "timezone"));

    if (st == WH_OK)
        st = ends(&c, doc);
    if (st == WH_OK)
        st = tables(&c, doc);
    if (st == WH_E_NOMEM)
        return wh_plan_no_memory(reterr);
    return st == WH_END ? WH_OK : st;
}

/* Statements have several lines: here they are one. */
static int clipped(struct wh_buf *out, const char *text)
{
    struct wh_str s = wh_str_clip(wh_str(text), 160);
    bool blank = false;

    for (size_t i = 0; i < s.n; i++) {
        if (s.s[i] != ' ' && s.s[i] != '\n')
            WH_TRY(wh_buf_addc(out, s.s[i]));
        else if (!blank)
            WH_TRY(wh_buf_addc(out, ' '));
        blank = s.s[i] == ' ' || s.s[i] == '\n';
    }
    return wh_buf_adds(out, s.n < strlen(text) ? "..." : "");
}

int wh_plan_difference_text(const struct wh_plan_difference *d, struct wh_buf *out)
{
    if (d->table)
        WH_TRY(wh_buf_printf(out, "%s: ", d->table));
    WH_TRY(wh_buf_adds(out, d->what));
    WH_TRY(wh_buf_adds(out, d->was ? " was " : " was not there"));
    if (d->was)
        WH_TRY(clipped(out, d->was));
    WH_TRY(wh_buf_adds(out, d->is ? ", is " : ", is not there"));
    return d->is ? clipped(out, d->is) : WH_OK;
}

struct refusal {
    struct wh_buf text;
    int64_t n;
};

static wh_status add_difference(void *arg, const struct wh_plan_difference *d)
{
    struct refusal *r = arg;

    if (r->n++ >= SHOWN)
        return WH_OK;
    if (r->n > 1)
        WH_TRY(wh_buf_adds(&r->text, "; "));
    return wh_plan_difference_text(d, &r->text);
}

int wh_plan_file_fits(const struct wh_plan_file *file, const struct wh_plan *now,
                      struct wh_error *reterr)
{
    struct refusal r = {.text = WH_BUF(1 << 20)};
    int st = wh_plan_file_compare(file, now, add_difference, &r, reterr);

    if (st == WH_OK && r.n > SHOWN)
        wh_ignore(wh_buf_printf(&r.text, "; and %lld more", (long long)(r.n - SHOWN)));
    if (st == WH_OK && r.n) {
        st = wh_fail(reterr, WH_E_USAGE, "E1066", "this is not what the plan says any more: %s",
                     r.text.p);
        wh_error_where(reterr, "%s", file->name);
        wh_error_hint(reterr,
                      "nothing was touched; 'wherry plan --diff %s' shows all, a new plan "
                      "may be made and read",
                      file->name);
    }
    wh_buf_free(&r.text);
    return st;
}
