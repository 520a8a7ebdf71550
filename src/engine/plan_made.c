/* SPDX-License-Identifier: Apache-2.0 */
/* Columns that are made of others: their types, and what they need. */
#include "engine/functions.h"
#include "engine/made.h"
#include "engine/plan_internal.h"

#include <string.h>

static const char *declared_for(const struct wh_flow *f, const char *column)
{
    const struct wh_map *types = &f->stream->types;

    for (size_t i = 0; i < types->n; i++)
        if (wh_str_ieqs(wh_str(types->v[i].key), column))
            return types->v[i].value;
    return NULL;
}

/* A source that guesses was asked for the declared type; what it read otherwise is not the text. */
static int check_guess(const struct wh_flow *f, const struct ArrowSchema *from,
                       const struct wh_plan_column *c, struct wh_error *reterr)
{
    struct wh_str guessed;
    int st;

    if (!f->from->connector->storage || !wh_meta_get(from, WH_META_GUESSED, &guessed))
        return WH_OK;
    st = wh_fail(reterr, WH_E_USAGE, "E3020",
                 "%s: column '%s' is read as something else than text, by a guess", f->table,
                 from->name);
    wh_error_where(reterr, "%s", c->where);
    wh_error_hint(reterr, "declare it for the source: types: { %s: text }", from->name);
    return st;
}

/* The type that the first function gets: the source's, or a declared one. */
static int first_type(struct wh_flow *f, struct wh_made *made, const struct wh_plan_column *c,
                      struct wh_type *ret, struct wh_error *reterr)
{
    const struct ArrowSchema *from = f->source_schema.children[made->source];
    const char *declared = declared_for(f, from->name);
    struct wh_type as;

    WH_TRY(wh_type_of(from, ret, reterr));
    if (!declared && c->declared && ret->kind != WH_K_UTF8 && wh_type_parse(c->declared, &as) &&
        as.kind == WH_K_UTF8 && made->chain->v[0].fn->in == WH_FN_TEXT)
        declared = c->declared; /* a text comes out, so that a text is what goes in */
    if (!declared || !wh_type_parse(declared, &as) || as.kind == ret->kind)
        return WH_OK;
    WH_TRY(check_guess(f, from, c, reterr));
    as.nullable = ret->nullable;
    as.length = 0;
    made->convert_first = true;
    made->first = *ret = as;
    return WH_OK;
}

static int chain_type(struct wh_flow *f, struct wh_made *made, const struct wh_plan_column *c,
                      struct wh_type *ret, struct wh_error *reterr)
{
    const struct wh_fn_chain *chain = made->chain;
    const char *name = f->source_schema.children[made->source]->name, *why = NULL;
    struct wh_type t;

    WH_TRY(first_type(f, made, c, &t, reterr));
    for (size_t i = 0; i < chain->n; i++) {
        WH_CLEANUP(wh_buf_free) struct wh_buf is = WH_BUF(4096);

        if (wh_fn_result(&chain->v[i], &t, ret, &why)) {
            t = *ret;
            continue;
        }
        wh_ignore(wh_type_print(&t, &is));
        int st = wh_fail(reterr, WH_E_USAGE, "E3020",
                         "%s: '%s' cannot convert column '%s' of type %s: %s", f->table,
                         chain->v[i].fn->name, name, is.n ? is.p : "?", why);

        wh_error_where(reterr, "%s", c->where);
        if (chain->v[i].fn->in == WH_FN_TIME)
            wh_error_hint(reterr, "read it as a date first: { to_date: 'yyyy-MM-dd' }");
        else if (i)
            wh_error_hint(reterr, "write a date as text first: { format: 'yyyy-MM-dd' }");
        else
            wh_error_hint(reterr, "say that it is taken as text: types: { %s: text }", name);
        return st;
    }
    return WH_OK;
}

/* The key and what people say of the column stay with it. */
static int keep_words(const struct ArrowSchema *from, struct ArrowSchema *to)
{
    static const char *const kept[] = {WH_META_KEY, WH_META_COMMENT};
    struct wh_str value;
    char text[512];

    for (size_t i = 0; i < 2; i++) {
        if (!wh_meta_get(from, kept[i], &value) || value.n >= sizeof text)
            continue;
        memcpy(text, value.s, value.n);
        text[value.n] = 0;
        WH_TRY(wh_meta_set(to, kept[i], text));
    }
    return WH_OK;
}

static int made_field(struct wh_flow *f, const struct wh_plan_column *c, struct wh_error *reterr)
{
    struct wh_made *made = &f->made[c->made - 1];
    struct wh_type t = {.kind = WH_K_UTF8, .logical = WH_L_JSON};

    if (made->chain)
        WH_TRY(chain_type(f, made, c, &t, reterr));
    int st = wh_schema_set(&f->made_schema, c->made - 1, c->name, &t, NULL);

    if (st == WH_OK && made->chain)
        st = keep_words(f->source_schema.children[made->source],
                        f->made_schema.children[c->made - 1]);
    return st == WH_OK ? WH_OK : wh_plan_no_memory(reterr);
}

int wh_plan_made(struct wh_flow *f, struct wh_error *reterr)
{
    wh_schema_release(&f->made_schema);
    f->made_schema.release = NULL;
    if (f->n_made == 0)
        return WH_OK;
    if (wh_schema_init(&f->made_schema, f->n_made) != WH_OK)
        return wh_plan_no_memory(reterr);
    for (int64_t i = 0; i < f->n_columns; i++)
        if (f->columns[i].made)
            WH_TRY(made_field(f, &f->columns[i], reterr));
    return WH_OK;
}

void wh_plan_needed(const struct wh_flow *f, bool *need)
{
    for (int64_t i = 0; i < f->n_columns; i++)
        if (f->columns[i].source >= 0)
            need[f->columns[i].source] = true;
    for (int64_t i = 0; i < f->n_made; i++) {
        if (f->made[i].chain)
            need[f->made[i].source] = true;
        for (size_t j = 0; j < f->made[i].n_members; j++)
            need[f->made[i].members[j]] = true;
    }
}

int wh_plan_made_text(const struct wh_flow *f, const struct wh_plan_column *c, struct wh_buf *out)
{
    const struct wh_made *made = &f->made[c->made - 1];

    if (made->chain)
        return wh_fn_chain_print(made->chain, out);
    WH_TRY(wh_buf_adds(out, "json of "));
    for (size_t i = 0; i < made->n_members; i++)
        WH_TRY(wh_buf_printf(out, "%s%s", i ? ", " : "",
                             f->source_schema.children[made->members[i]]->name));
    return made->n_members ? WH_OK : wh_buf_adds(out, "no column");
}
