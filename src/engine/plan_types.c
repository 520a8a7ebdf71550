/* SPDX-License-Identifier: Apache-2.0 */
/* Type decisions per column, keys and constants: after the target said what it takes. */
#include "engine/made.h"
#include "engine/plan_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- decisions --------------------------------------------------------------------------------
 */

/* Columns that cannot be copied as they are, for one message about all of them. */
struct refusals {
    const char *code;
    size_t n;
    struct wh_buf text;
};

static bool lossy_accepted(const struct wh_stream *s, const char *name)
{
    for (size_t i = 0; i < s->accept_lossy.n; i++)
        if (strcmp(s->accept_lossy.v[i], name) == 0)
            return true;
    return false;
}

static int add_refusal(struct refusals *r, const char *code, const struct wh_plan_column *c)
{
    if (!r->code)
        r->code = code;
    if (r->n++ >= 6)
        return WH_OK;
    WH_TRY(wh_buf_printf(&r->text, "%s%s (", r->n > 1 ? "; " : "", c->name));
    WH_TRY(wh_type_print(&c->from, &r->text));
    WH_TRY(wh_buf_adds(&r->text, " -> "));
    WH_TRY(wh_type_print(&c->to, &r->text));
    return wh_buf_printf(&r->text, "%s%s)", c->why ? ": " : "", c->why ? c->why : "");
}

static bool zone_needed(const struct wh_plan_column *c)
{
    return c->from.kind == WH_K_TIMESTAMP && c->to.kind == WH_K_TIMESTAMP && !c->from.zoned &&
           c->to.zoned;
}

static const char *guessed_from(struct wh_arena *arena, int64_t rows)
{
    if (rows < 1000 || rows >= 1000000)
        return wh_arena_printf(arena, "guessed from %lld rows", (long long)rows);
    return wh_arena_printf(arena, "guessed from %lld,%03lld rows", (long long)rows / 1000,
                           (long long)rows % 1000);
}

/* Why a column needs attention, beside what the lattice says. */
static const char *reason(struct wh_planner *p, const struct wh_flow *f,
                          const struct wh_plan_column *c, const char *why)
{
    struct wh_str guessed;

    if (why || (c->source < 0 && !c->made))
        return why;
    if (c->from.nullable && !c->to.nullable)
        return "NULL would be a dirty row";
    if (c->source >= 0 && !c->declared && f->scan.sampled_rows &&
        wh_meta_get(f->source_schema.children[c->source], WH_META_GUESSED, &guessed))
        return guessed_from(p->arena, f->scan.sampled_rows);
    return NULL;
}

static int decide_column(struct wh_planner *p, struct wh_flow *f, int64_t i, struct refusals *r,
                         struct wh_error *reterr)
{
    struct wh_plan_column *c = &f->columns[i];
    const struct ArrowSchema *field = wh_flow_field(f, c);
    const struct wh_type text = WH_TYPE(WH_K_UTF8);
    const char *why = NULL;

    c->from = text;
    if (field)
        WH_TRY(wh_type_of(field, &c->from, reterr));
    WH_TRY(wh_type_of(f->tgt.accept.children[i], &c->to, reterr));
    c->fit = wh_lattice(&c->from, &c->to, &why);
    c->why = reason(p, f, c, why);
    if (!field)
        return WH_OK; /* the value itself is checked */
    if (zone_needed(c))
        return add_refusal(r, "E3011", c);
    if (c->fit == WH_FIT_IMPOSSIBLE)
        return add_refusal(r, "E3003", c);
    if (c->fit == WH_FIT_LOSSY && !lossy_accepted(f->stream, c->name))
        return add_refusal(r, "E3004", c);
    return WH_OK;
}

static int refuse(const struct wh_flow *f, const struct refusals *r, struct wh_error *reterr)
{
    int st = wh_fail(reterr, WH_E_USAGE, r->code,
                     "%s: %zu column%s cannot be copied unchanged: %s%s", f->table, r->n,
                     r->n == 1 ? "" : "s", r->text.p ? r->text.p : "", r->n > 6 ? "; ..." : "");

    wh_error_where(reterr, "%s", f->stream->where_place);
    if (strcmp(r->code, "E3004") == 0)
        wh_error_hint(reterr, "accept it by name (--accept-lossy COLUMN), or widen the "
                              "destination's column");
    else if (strcmp(r->code, "E3011") == 0)
        wh_error_hint(reterr, "a time without a zone names no instant: say 'timezone' in the "
                              "connection of its side, or map it to a timestamp without a zone");
    else
        wh_error_hint(reterr, "map another column, or leave it out with '* except (...)'");
    return st;
}

/* ---- constants --------------------------------------------------------------------------------
 */

/* A batch of one row and one text column. */
static int one_text(const char *text, struct ArrowSchema *schema, struct wh_batch *ret,
                    struct wh_error *reterr)
{
    const struct wh_type utf8 = WH_TYPE(WH_K_UTF8);
    struct wh_builder *b = NULL;
    int st = wh_schema_init(schema, 1);

    if (st == WH_OK)
        st = wh_schema_set(schema, 0, "value", &utf8, NULL);
    if (st == WH_OK)
        st = wh_builder_new(schema, &b, reterr);
    if (st == WH_OK)
        st = wh_col_bytes(wh_builder_column(b, 0), text, strlen(text));
    if (st == WH_OK)
        st = wh_builder_finish(b, ret);
    wh_builder_free(b);
    return st;
}

/* Does a constant fit its column? Told now, not for every row. */
static int try_convert(const struct wh_flow *f, int64_t i, const struct ArrowSchema *schema,
                       const struct wh_batch *batch, struct wh_error *reterr)
{
    struct wh_value_policy policy;
    struct wh_cell_reject reject;
    struct ArrowSchema one = {0};
    struct wh_builder *b = NULL;
    struct wh_convert *cv = NULL;
    struct wh_view view;
    size_t rejected = 0;
    int st = wh_schema_init(&one, 1);

    wh_plan_policy(f, i, &policy);
    if (st == WH_OK)
        st = wh_schema_copy(f->tgt.accept.children[i], one.children[0]);
    if (st == WH_OK)
        st = wh_builder_new(&one, &b, reterr);
    if (st == WH_OK)
        st = wh_convert_new(schema->children[0], f->tgt.accept.children[i], &policy, &cv, reterr);
    if (st == WH_OK)
        st = wh_view_init(schema->children[0], batch->rows.children[0], &view, reterr);
    if (st == WH_OK)
        st = wh_convert_run(cv, &view, (int32_t)i, wh_builder_column(b, 0), &reject, 1, &rejected,
                            reterr);
    wh_convert_free(cv);
    wh_builder_free(b);
    wh_schema_release(&one);
    if (st == WH_OK && rejected) {
        st = wh_fail(reterr, WH_E_USAGE, "E3003", "constant '%s' does not fit column '%s': %s",
                     f->columns[i].value, f->columns[i].name, reject.text);
        wh_error_where(reterr, "%s",
                       f->columns[i].where ? f->columns[i].where : f->stream->where_place);
    }
    return st;
}

static int check_constant(const struct wh_flow *f, int64_t i, struct wh_error *reterr)
{
    struct ArrowSchema schema = {0};
    struct wh_batch batch = {0};
    int st = one_text(f->columns[i].value, &schema, &batch, reterr);

    if (st == WH_OK)
        st = try_convert(f, i, &schema, &batch, reterr);
    wh_batch_release(&batch);
    wh_schema_release(&schema);
    return st == WH_E_NOMEM ? wh_plan_no_memory(reterr) : st;
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static bool mode_needs_key(int mode)
{
    return mode == WH_MODE_UPSERT || mode == WH_MODE_REPLACE || mode == WH_MODE_UPDATE ||
           mode == WH_MODE_INSERT_IGNORE;
}

static bool is_column(const struct wh_flow *f, const char *name)
{
    for (int64_t i = 0; i < f->n_columns; i++)
        if (strcmp(f->columns[i].name, name) == 0)
            return true;
    return false;
}

/* Columns with wherry.key, in the key's order. */
static size_t keys_of(const struct ArrowSchema *schema, const char **out, size_t most)
{
    size_t n = 0, before = SIZE_MAX;

    for (size_t position = 1; position <= most && n != before; position++) {
        before = n; /* a position without a column ends the key */
        for (int64_t i = 0; i < schema->n_children; i++) {
            struct wh_str text;

            if (wh_meta_get(schema->children[i], WH_META_KEY, &text) && text.n < 10 &&
                (size_t)strtol(text.s, NULL, 10) == position)
                out[n++] = schema->children[i]->name;
        }
    }
    return n;
}

static int asked_keys(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    const struct wh_list *keys = &f->stream->write.keys;

    for (size_t i = 0; i < keys->n; i++) {
        if (is_column(f, keys->v[i]))
            continue;
        int st = wh_fail(reterr, WH_E_USAGE, "E3002",
                         "%s: key column '%s' is not among the columns", f->table, keys->v[i]);

        wh_error_where(reterr, "%s", f->stream->where_place);
        return st;
    }
    f->keys = keys->v;
    f->n_keys = keys->n;
    f->keys_from = "write.keys";
    return WH_OK;
}

/* What the target answered in `accept`, else what the source has. */
static int find_keys(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    size_t most = (size_t)f->n_columns;

    if (f->stream->write.keys.n)
        return asked_keys(p, f, reterr);
    f->keys = wh_arena_alloc(p->arena, (most + 1) * sizeof(char *));
    if (!f->keys)
        return wh_plan_no_memory(reterr);
    f->n_keys = keys_of(&f->tgt.accept, f->keys, most);
    f->keys_from = f->tgt.exists ? "the destination's primary key" : "the source's primary key";
    if (f->n_keys == 0) {
        f->n_keys = keys_of(&f->mapped, f->keys, most);
        f->keys_from = "the source's primary key";
    }
    if (f->n_keys || (!mode_needs_key(f->stream->write.mode) && !f->stream->write.replace_keys))
        return WH_OK;
    int st = wh_fail(reterr, WH_E_USAGE, "E1062", "mode %s needs key columns, and %s has none",
                     wh_mode_name(f->stream->write.mode), f->table);

    wh_error_where(reterr, "%s", f->stream->where_place);
    wh_error_hint(reterr, "name them: --key a,b (write.keys)");
    return st;
}

int wh_plan_types(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    struct refusals r = {.text = WH_BUF(2048)};
    int st = WH_OK;

    if (f->tgt.accept.n_children != f->n_columns)
        return wh_fail(reterr, WH_E_BUG, "E9003",
                       "%s answered %lld columns where %lld were offered", f->to->name,
                       (long long)f->tgt.accept.n_children, (long long)f->n_columns);
    for (int64_t i = 0; st == WH_OK && i < f->n_columns; i++) {
        st = decide_column(p, f, i, &r, reterr);
        if (st == WH_E_LIMIT)
            st = WH_OK; /* the text of the message is long enough */
    }
    if (st == WH_OK && r.n)
        st = refuse(f, &r, reterr);
    for (int64_t i = 0; st == WH_OK && i < f->n_columns; i++)
        if (f->columns[i].source < 0 && f->columns[i].value)
            st = check_constant(f, i, reterr);
    if (st == WH_OK)
        st = find_keys(p, f, reterr);
    wh_buf_free(&r.text);
    return st == WH_E_NOMEM ? wh_plan_no_memory(reterr) : st;
}

void wh_plan_policy(const struct wh_flow *f, int64_t column, struct wh_value_policy *ret)
{
    *ret = f->stream->values;
    ret->accept_lossy = lossy_accepted(f->stream, f->columns[column].name);
}
