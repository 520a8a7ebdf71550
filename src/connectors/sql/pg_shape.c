/* SPDX-License-Identifier: Apache-2.0 */
/* Columns and keys of a destination: which of the table's column takes which of the source's, in
 * what type, and by which of them rows meet. */
#include "pg_target.h"

enum {
    COLUMNS_MOST = 1600
};

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a destination");
}

/* ---- columns -----------------------------------------------------------------------------------
 */

/* The column's number, for a resume to compare. What a swap put there since has others: then it is
 * what the plan fixed, and so it is of a column that was not there. */
static bool number_text(const struct pg_fl *fl, const struct wh_target *io, int64_t i, char out[16])
{
    struct wh_str was = {"", 0};
    bool frozen = io->frozen && i < io->frozen->n_children;

    if (frozen)
        wh_ignore(wh_meta_get(io->frozen->children[i], WH_META_NUMBER, &was) != NULL);
    if (frozen && (fl->another || !was.n))
        snprintf(out, 16, "%.*s", WH_STR_FMT(wh_str_clip(was, 15)));
    else
        snprintf(out, 16, "%.0d", fl->dest[i].number);
    return *out;
}

/* at: 1-based position in the key of the table, 0 = none. */
static wh_status set_accept(struct pg_fl *fl, const struct wh_target *io, int64_t i, int at,
                            struct wh_type *t, struct wh_error *reterr)
{
    const struct ArrowSchema *source = io->source->children[i];
    const struct pg_dest *d = &fl->dest[i];
    const char *meta[9] = {WH_META_TYPE, d->decl};
    char *comment WH_CLEANUP(wh_freep) = NULL;
    struct wh_str text = {0};
    char key[16], number[16];
    int n = 2;

    if (at > 0) {
        snprintf(key, sizeof key, "%d", at);
        meta[n++] = WH_META_KEY;
        meta[n++] = key;
    }
    if (wh_meta_get(source, WH_META_COMMENT, &text) && text.n) {
        comment = wh_strndup(text.s, text.n);
        if (!comment)
            return no_memory(reterr);
        meta[n++] = WH_META_COMMENT;
        meta[n++] = comment;
    }
    if (number_text(fl, io, i, number)) {
        meta[n++] = WH_META_NUMBER;
        meta[n++] = number;
    }
    meta[n] = NULL;
    sql_as_frozen(io, i, t);
    if (wh_schema_set(&fl->accept, i, d->name, t, meta) != WH_OK)
        return no_memory(reterr);
    return WH_OK;
}

static wh_status new_column(struct pg_fl *fl, const struct wh_target *io, int64_t i,
                            struct wh_error *reterr)
{
    const struct ArrowSchema *f = io->source->children[i];
    struct pg_dest *d = &fl->dest[i];
    struct wh_str native = {"", 0};
    char decl[PG_DECL];
    struct wh_type t;

    WH_TRY(wh_type_of(f, &t, reterr));
    wh_ignore(wh_meta_get(f, WH_META_TYPE, &native) != NULL);
    if (strlen(f->name) > 63)
        return wh_fail(reterr, WH_E_TYPE, "E3013",
                       "column \"%s\" has more than 63 bytes in its name", f->name);
    d->scale = -1;
    d->name = wh_arena_strdup(fl->arena, f->name);
    if (!d->name)
        return no_memory(reterr);
    pg_decl_for(&t, native, decl, &d->wire);
    d->decl = wh_arena_strdup(fl->arena, decl);
    if (!d->decl)
        return no_memory(reterr);
    return set_accept(fl, io, i, fl->existed && !fl->recreate ? 0 : sql_key_position(f), &t,
                      reterr);
}

/* The source's column is of the same type, and of the same making. */
static bool same_type(const struct ArrowSchema *source, const struct pg_col *c)
{
    struct wh_str system = {"", 0}, native = {"", 0}, shape = {"", 0};

    wh_ignore(wh_meta_get(source, WH_META_SYSTEM, &system) != NULL);
    wh_ignore(wh_meta_get(source, WH_META_TYPE, &native) != NULL);
    wh_ignore(wh_meta_get(source, WH_META_SHAPE, &shape) != NULL);
    return wh_str_eqs(system, "postgresql") && wh_str_eqs(native, c->type_text) &&
           wh_str_eqs(shape, c->shape ? c->shape : "");
}

static wh_status would_round(const struct pg_fl *fl, const struct pg_col *c,
                             struct wh_error *reterr)
{
    const char *amounts = c->shape ? strstr(c->shape, "amounts as ") : NULL;

    if (amounts)
        wh_ignore(wh_fail(reterr, WH_E_TYPE, "E3004",
                          "column \"%s\" of %s is %s: the server reads money in it as its "
                          "lc_monetary says (%s); what the source wrote would be another amount, "
                          "or none",
                          c->name, fl->name, c->type_text, amounts + strlen("amounts as ")));
    else
        wh_ignore(wh_fail(reterr, WH_E_TYPE, "E3004",
                          "column \"%s\" of %s is %s: the server would round values to that",
                          c->name, fl->name, c->type_text));
    if (reterr)
        wh_error_hint(reterr, "--accept-lossy %s, or another type for the column", c->name);
    return WH_E_TYPE;
}

/* The server rounds to this column's modifier: which values are not meant? None where the source
 * has the same type, or the column was named in accept_lossy. */
static wh_status rounding(const struct pg_fl *fl, const struct ArrowSchema *source,
                          const struct pg_col *c, const struct wh_type *t, struct pg_dest *d,
                          struct wh_error *reterr)
{
    struct wh_str word;
    int precision = 0;

    d->scale = -1;
    if (!pg_rounds(c) || same_type(source, c) || wh_meta_get(source, WH_META_LOSSY, &word))
        return WH_OK;
    if (t->kind == WH_K_TIME64 || t->kind == WH_K_TIMESTAMP) {
        d->grain = 1;
        for (int p = c->typmod; p < 6; p++)
            d->grain *= 10;
        return WH_OK;
    }
    if (t->kind == WH_K_DECTEXT) {
        pg_numeric_shape(c->typmod, &precision, &d->scale);
        if (d->scale >= 0)
            return WH_OK;
    }
    return would_round(fl, c, reterr);
}

static struct wh_str generated_at_source(const struct ArrowSchema *source)
{
    struct wh_str how = {"", 0};

    wh_ignore(wh_meta_get(source, WH_META_GENERATED, &how) != NULL);
    return how;
}

static wh_status old_column(struct pg_fl *fl, const struct wh_target *io, int64_t i,
                            const struct pg_col *c, struct wh_error *reterr)
{
    struct pg_dest *d = &fl->dest[i];
    struct wh_type t;

    d->computed = c->generated;
    if (c->generated && !wh_str_eqs(generated_at_source(io->source->children[i]), "always")) {
        wh_ignore(wh_fail(reterr, WH_E_TYPE, "E3005",
                          "column \"%s\" of %s is generated: it takes no value from a source",
                          c->name, fl->name));
        if (reterr)
            wh_error_hint(reterr, "leave it out: --columns '* except (%s)'", c->name);
        return WH_E_TYPE;
    }
    d->name = c->name;
    d->decl = c->type_text;
    if (strlen(d->decl) >= PG_DECL)
        return wh_fail(reterr, WH_E_UNSUPPORTED, "E3013", "the type of column \"%s\" is too long",
                       c->name);
    d->wire = c->wire;
    d->cast = c->cast;
    d->plain = c->plain;
    d->base_oid = c->base_oid;
    d->oid = c->oid;
    d->typmod = c->oid == c->base_oid ? c->typmod : -1; /* a domain's own */
    d->number = c->number;
    d->shape = c->shape;
    d->always = c->identity_always;
    pg_accept_type(c, &t);
    d->scale = -1;
    if (d->computed) {
        t.nullable = true;
        return set_accept(fl, io, i, 0, &t, reterr);
    }
    WH_TRY(rounding(fl, io->source->children[i], c, &t, d, reterr));
    fl->checks |= d->grain || d->scale >= 0;
    t.nullable = !c->not_null;
    return set_accept(fl, io, i, c->pk, &t, reterr);
}

static const struct pg_col *find_old(const struct pg_fl *fl, const char *name)
{
    int at = sql_find_column(SQL_NAMES(fl->now.cols, fl->now.n_cols), name);

    return at < 0 ? NULL : &fl->now.cols[at];
}

static wh_status missing_here(const struct pg_fl *fl, const char *name, struct wh_error *reterr)
{
    wh_ignore(wh_fail(reterr, WH_E_TYPE, "E3005", "table %s has no column \"%s\"", fl->name, name));
    if (reterr)
        wh_error_hint(reterr, "leave it out of columns, or add it: --evolve add");
    return WH_E_TYPE;
}

/* Columns that nobody delivers must be able to stay empty. */
static wh_status missing_there(const struct pg_fl *fl, struct wh_error *reterr)
{
    for (int i = 0; i < fl->now.n_cols; i++) {
        const struct pg_col *c = &fl->now.cols[i];
        bool delivered = c->generated || c->identity || !c->not_null || c->has_default;

        for (int j = 0; j < fl->n_dest && !delivered; j++)
            delivered = strcmp(fl->dest[j].name, c->name) == 0;
        if (!delivered && fl->mode != WH_MODE_UPDATE)
            return wh_fail(reterr, WH_E_TYPE, "E3005",
                           "column \"%s\" of %s is NOT NULL without a default, and the source "
                           "delivers no such column",
                           c->name, fl->name);
    }
    return WH_OK;
}

static wh_status twice(const struct pg_fl *fl, int i, struct wh_error *reterr)
{
    for (int j = 0; j < i; j++)
        if (strcmp(fl->dest[j].name, fl->dest[i].name) == 0)
            return wh_fail(reterr, WH_E_TYPE, "E3008", "column \"%s\" of %s is delivered twice",
                           fl->dest[i].name, fl->name);
    return WH_OK;
}

wh_status pg_shape_columns(struct pg_fl *fl, const struct wh_target *io, struct wh_error *reterr)
{
    bool fresh = !fl->existed || fl->recreate;

    if (io->source->n_children < 1 || io->source->n_children > COLUMNS_MOST)
        return wh_fail(reterr, WH_E_TYPE, "E3014",
                       "a PostgreSQL table has 1 to %d columns, not %lld", COLUMNS_MOST,
                       (long long)io->source->n_children);
    fl->n_dest = (int)io->source->n_children;
    fl->dest = wh_arena_alloc(fl->arena, (size_t)fl->n_dest * sizeof *fl->dest);
    if (!fl->dest || wh_schema_init(&fl->accept, fl->n_dest) != WH_OK)
        return no_memory(reterr);
    for (int i = 0; i < fl->n_dest; i++) {
        const char *name = io->source->children[i]->name;
        const struct pg_col *c = fresh ? NULL : find_old(fl, name);

        if (c) {
            WH_TRY(old_column(fl, io, i, c, reterr));
        } else {
            if (!fresh && io->evolve == WH_EVOLVE_NONE)
                return missing_here(fl, name, reterr);
            WH_TRY(new_column(fl, io, i, reterr));
            fl->dest[i].added = !fresh;
            if (fl->dest[i].added) /* existing rows have nothing there */
                fl->accept.children[i]->flags |= ARROW_FLAG_NULLABLE;
        }
        WH_TRY(twice(fl, i, reterr));
    }
    return fresh ? WH_OK : missing_there(fl, reterr);
}

wh_status pg_shape_same(const struct pg_fl *fl, struct pg_se *se, const struct wh_target *io,
                        struct wh_error *reterr)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(SQL_TEXT_MAX);
    struct pg_rows *r WH_CLEANUP(pg_rows_freep) = NULL;
    bool same = true;
    int st;

    if (io->memo.n == 0 || fl->existed || fl->recreate || fl->staged || fl->now.n_cols == 0)
        return WH_OK;
    for (int i = 0; i < fl->n_dest && same; i++) {
        const struct pg_col *c = find_old(fl, fl->dest[i].name);

        same =
            c && strcmp(c->type_text, fl->dest[i].decl) == 0 && c->number == pg_ddl_number(fl, i);
    }
    if (same)
        return WH_OK;
    if (pg_ddl_alike(fl, &b) != WH_OK) /* the same type may have two names */
        return no_memory(reterr);
    WH_TRY(pg_query(se->c, b.p, 0, NULL, &r, reterr));
    if (pg_n_rows(r) == 0)
        return WH_OK;
    st = wh_fail(reterr, WH_E_USAGE, "E7008",
                 "column \"%.*s\" of %s was %.*s when the run made it, now it is %.*s",
                 WH_STR_FMT(pg_cell(r, 0, 0)), fl->name, WH_STR_FMT(pg_cell(r, 0, 1)),
                 WH_STR_FMT(pg_cell(r, 0, 2)));
    wh_error_hint(reterr, "undo the change and resume, or give the run up with --fresh");
    return st;
}

/* ---- keys --------------------------------------------------------------------------------------
 */

size_t pg_shape_primary(const struct pg_fl *fl, const char **pk)
{
    size_t n = 0;

    for (int at = 1; at <= fl->now.n_cols; at++)
        for (int i = 0; i < fl->now.n_cols; i++)
            if (fl->now.cols[i].pk == at)
                pk[n++] = fl->now.cols[i].name;
    return n;
}

wh_status pg_shape_keys(struct pg_fl *fl, const struct wh_target *io, struct wh_error *reterr)
{
    bool there = fl->existed && !fl->recreate;
    const char **pk = wh_arena_alloc(fl->arena, (size_t)(fl->now.n_cols + 1) * sizeof *pk);
    size_t n;

    if (!pk)
        return no_memory(reterr);
    n = there ? pg_shape_primary(fl, pk) : 0;
    return sql_keys(fl->arena, io, fl->name, there ? pk : NULL, n, &fl->keys, &fl->n_keys, reterr);
}

/* The delivered columns that are the key, and the key as the table spells it. */
wh_status pg_shape_mark(struct pg_fl *fl, struct wh_error *reterr)
{
    for (size_t k = 0; k < fl->n_keys; k++) {
        struct pg_dest *found = NULL;

        for (int i = 0; i < fl->n_dest; i++)
            if (strcmp(fl->dest[i].name, fl->keys[k]) == 0)
                found = &fl->dest[i];
        for (int i = 0; i < fl->n_dest && !found; i++)
            if (wh_str_ieqs(wh_str(fl->dest[i].name), fl->keys[k]))
                found = &fl->dest[i];
        if (!found)
            return wh_fail(reterr, WH_E_NOT_FOUND, "E3002",
                           "the key column \"%s\" of %s is not delivered", fl->keys[k], fl->name);
        if (found->computed && fl->publish == PG_PUB_POUR)
            return wh_fail(reterr, WH_E_TYPE, "E3005",
                           "the key column \"%s\" of %s is generated: a stage has no value of it",
                           found->name, fl->name);
        found->key = true;
        fl->keys[k] = found->name;
    }
    return WH_OK;
}
