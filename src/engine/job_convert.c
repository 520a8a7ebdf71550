/* SPDX-License-Identifier: Apache-2.0 */
/* `convert:` of a column: one function, or a list of them, by the table of functions.c. */
#include "engine/functions.h"
#include "engine/job_internal.h"

#include <string.h>

static bool unknown(struct wh_job_reading *r, const char *name, const char *where)
{
    const char *names[64], *near, *call = strchr(name, '(');
    char word[40];
    size_t n = 0;

    for (const struct wh_fn *f = wh_functions; f->name && n < 63; f++)
        names[n++] = f->name;
    names[n] = NULL;
    if (call && (size_t)(call - name) < sizeof word) {
        memcpy(word, name, (size_t)(call - name));
        word[call - name] = 0;
        if (wh_function_find(word)) {
            wh_problem_add(r->problems, "E1067", where,
                           "write { mask: { keep_first: 3, keep_last: 4 } }",
                           "'%s': arguments of '%s' are a map, not in brackets", name, word);
            return false;
        }
    }
    near = wh_did_you_mean(wh_str(name), names);
    wh_problem_add(r->problems, "E1002", where,
                   near ? wh_arena_printf(r->arena, "did you mean '%s'?", near)
                        : "the guide on jobs lists them",
                   "convert: there is no function '%s'", name);
    return false;
}

/* The arguments with ${env:...} and the like in place. */
static struct wh_node *resolved(struct wh_job_reading *r, const struct wh_node *node)
{
    struct wh_node *copy = wh_arena_alloc(r->arena, sizeof *copy);

    if (!copy)
        return NULL;
    *copy = *node;
    if (node->kind == WH_NODE_SCALAR)
        copy->text =
            wh_reference_resolve(r->arena, node->text, false, wh_job_where(r, node), r->problems);
    if (node->kind == WH_NODE_MAP) {
        copy->items = wh_arena_alloc(r->arena, (node->n + 1) * sizeof *copy->items);
        for (size_t i = 0; copy->items && i < node->n; i++) {
            copy->items[i] = resolved(r, node->items[i]);
            if (!copy->items[i])
                return NULL;
        }
    }
    return copy->text && (node->kind != WH_NODE_MAP || copy->items) ? copy : NULL;
}

static bool read_args(struct wh_job_reading *r, const struct wh_fn *fn, const struct wh_node *given,
                      void *out, const char *where)
{
    struct wh_node *node = given ? resolved(r, given) : NULL;
    bool ok = !given || node;

    if (ok && node && node->kind == WH_NODE_MAP) {
        ok = wh_options_set_map(fn->args, out, r->arena, node, r->file, r->problems);
    } else if (ok && node && node->kind == WH_NODE_SCALAR && fn->alone) {
        ok = wh_options_set(fn->args, out, r->arena, fn->alone, node, where, r->problems);
    } else if (node) {
        wh_problem_add(r->problems, "E1041", where,
                       wh_arena_printf(r->arena, "write { %s: { %s: ... } }", fn->name,
                                       fn->args->rows[0].name),
                       "'%s' wants its arguments as a map", fn->name);
        return false;
    }
    if (ok) {
        size_t before = r->problems->errors;

        wh_options_finish(fn->args, out, where, r->problems);
        ok = r->problems->errors == before;
    }
    return ok;
}

static bool read_call(struct wh_job_reading *r, const char *name, const struct wh_node *args,
                      const char *where, struct wh_fn_call *ret)
{
    const struct wh_fn *fn = wh_function_find(name);
    const char *why = NULL;
    void *out = NULL;

    if (!fn)
        return unknown(r, name, where);
    if (args && args->kind == WH_NODE_NULL)
        args = NULL;
    if (!fn->args && args) {
        wh_problem_add(r->problems, "E1067", where,
                       wh_arena_printf(r->arena, "write convert: %s", fn->name),
                       "'%s' takes no arguments", fn->name);
        return false;
    }
    if (fn->args) {
        out = wh_arena_alloc(r->arena, fn->args->size);
        if (!out || wh_options_init(fn->args, out, r->arena) != WH_OK)
            return wh_job_no_memory(r);
        if (!read_args(r, fn, args, out, where))
            return false;
    }
    if (fn->check && !fn->check(out, &why)) {
        wh_problem_add(r->problems, "E1003", where, fn->help, "%s: %s", fn->name, why);
        return false;
    }
    *ret = (struct wh_fn_call){fn, out};
    return true;
}

/* trim | { mask: { keep_first: 3 } } | { null_to: '-' } */
static bool read_item(struct wh_job_reading *r, const struct wh_node *node, struct wh_fn_call *ret)
{
    const char *where = wh_job_where(r, node), *text = wh_node_text(node, NULL);

    if (node->kind == WH_NODE_MAP && node->n == 1)
        return read_call(r, node->keys[0]->text, node->items[0], wh_job_where(r, node->keys[0]),
                         ret);
    if (node->kind == WH_NODE_SCALAR && text && *text)
        return read_call(r, text, NULL, where, ret);
    wh_problem_add(r->problems, "E1041", where, "[trim, { mask: { keep_first: 3, keep_last: 4 } }]",
                   "convert: a function is a name, or a map of one name and its arguments");
    return false;
}

bool wh_job_convert(struct wh_job_reading *r, const struct wh_node *node, struct wh_fn_chain *ret)
{
    bool list = node->kind == WH_NODE_LIST, ok = true;
    size_t n = list ? node->n : 1;

    if (n == 0) {
        wh_problem_add(r->problems, "E1041", wh_job_where(r, node), "leave 'convert' out",
                       "convert: the list is empty");
        return false;
    }
    *ret = (struct wh_fn_chain){.v = wh_arena_alloc(r->arena, n * sizeof *ret->v), .n = n};
    if (!ret->v)
        return wh_job_no_memory(r);
    for (size_t i = 0; i < n; i++)
        ok = read_item(r, list ? node->items[i] : node, &ret->v[i]) && ok;
    return ok;
}
