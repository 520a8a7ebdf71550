/* SPDX-License-Identifier: Apache-2.0 */
/* At resume: the flow as the plan fixed it, and what differs now. */
#include "engine/plan_internal.h"

#include <stdio.h>
#include <string.h>

static int schema_of(const char *json, struct ArrowSchema *ret, const char *what,
                     struct wh_error *reterr)
{
    struct wh_error err;
    int st = json ? wh_schema_from_json(json, strlen(json), ret, &err) : WH_OK;

    if (st == WH_OK)
        return WH_OK;
    if (st == WH_E_NOMEM) {
        *reterr = err;
        return st;
    }
    return wh_fail(reterr, WH_E_STATE, "E7003", "the kept schema of the %s cannot be read: %s",
                   what, err.message);
}

int wh_plan_thaw(struct wh_flow *f, const struct wh_frozen_flow *frozen, struct wh_error *reterr)
{
    f->generation = frozen->generation;
    WH_TRY(schema_of(frozen->source_schema, &f->frozen->source, "source", reterr));
    return schema_of(frozen->accept_schema, &f->frozen->accept, "destination", reterr);
}

/* ---- fingerprint ------------------------------------------------------------------------------
 */

static int add_schema(const struct ArrowSchema *schema, struct wh_buf *out)
{
    WH_TRY(wh_schema_to_json(schema, out));
    return wh_buf_addc(out, '\n');
}

static int add_bytes(struct wh_bytes bytes, struct wh_buf *out)
{
    char hex[33];

    wh_u128_hex(wh_hash128(bytes.p, bytes.n, 0), hex);
    return wh_buf_printf(out, "%zu %s\n", bytes.n, hex);
}

/* What decides which rows arrive and how: not estimates, not lanes. The method is part of it, the
 * bounds of live splits are not. */
static int fingerprint_text(const struct wh_flow *f, struct wh_buf *out)
{
    const struct wh_stream *s = f->stream;

    WH_TRY(add_schema(&f->source_schema, out));
    WH_TRY(add_schema(&f->tgt.accept, out));
    for (int64_t i = 0; i < f->n_columns; i++) {
        const struct wh_plan_column *c = &f->columns[i];

        WH_TRY(wh_buf_printf(out, "%s %lld %s", c->name, (long long)c->source,
                             c->value ? c->value : ""));
        if (c->made) {
            WH_TRY(wh_buf_printf(out, " %lld ", (long long)f->made[c->made - 1].source));
            WH_TRY(wh_plan_made_text(f, c, out));
        }
        if (c->computed)
            WH_TRY(wh_buf_printf(out, " by %s", c->computed));
        WH_TRY(wh_buf_addc(out, '\n'));
    }
    WH_TRY(wh_buf_printf(out, "%d %d %d %s\n", s->write.mode, f->tgt.commit_class,
                         f->tgt.atomic_given, f->tgt.identity));
    WH_TRY(wh_buf_printf(out, "%s\n%s\n%lld\n", s->where ? s->where : "", s->query ? s->query : "",
                         (long long)s->limit));
    WH_TRY(wh_buf_printf(out, "%s\n", f->scan.identity ? f->scan.identity : ""));
    WH_TRY(add_bytes(f->scan.ret_bounds, out));
    return add_bytes(f->tgt.ret_memo, out);
}

/* The identity of a target that throws rows away names the run; it shapes nothing. */
int wh_plan_fingerprint(struct wh_planner *p, struct wh_flow *f, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(256 << 20);

    if (fingerprint_text(f, &out) != WH_OK)
        return wh_plan_no_memory(reterr);
    f->fingerprint = wh_hash128(out.p, out.n, 0);
    return WH_OK;
}

/* ---- differences ------------------------------------------------------------------------------
 */

static int type_text(const struct ArrowSchema *field, struct wh_buf *out)
{
    struct wh_type type;

    if (wh_type_of(field, &type, NULL) != WH_OK)
        return wh_buf_adds(out, field->format ? field->format : "?");
    WH_TRY(wh_type_print(&type, out));
    return wh_buf_adds(out, type.nullable ? "" : " not null");
}

/* The types are the same, so something that is told of the column beside them is not. */
static int notes_text(const struct ArrowSchema *a, const struct ArrowSchema *b, struct wh_buf *out)
{
    static const struct {
        const char *key, *word;
    } notes[] = {{WH_META_KEY, "place in the key"},      {WH_META_DEFAULT, "default"},
                 {WH_META_GENERATED, "being generated"}, {WH_META_COLLATION, "collation"},
                 {WH_META_COMMENT, "comment"},           {WH_META_LENGTH, "length"},
                 {WH_META_LOGICAL, "meaning"},           {WH_META_SHAPE, "definition"},
                 {WH_META_MAKE, "definition"},           {WH_META_WORDS, "text form"},
                 {WH_META_GUESSED, "being guessed"},     {WH_META_NUMBER, "number in the table"}};

    for (size_t i = 0; i < sizeof notes / sizeof *notes; i++) {
        struct wh_str was = {"", 0}, is = {"", 0};

        wh_ignore(wh_meta_get(a, notes[i].key, &was) != NULL);
        wh_ignore(wh_meta_get(b, notes[i].key, &is) != NULL);
        if (!wh_str_eq(was, is))
            return wh_buf_printf(out, "another: its %s was '%.*s', now it is '%.*s'", notes[i].word,
                                 WH_STR_FMT(wh_str_clip(was, 80)), WH_STR_FMT(wh_str_clip(is, 80)));
    }
    return wh_buf_adds(out, "another: what the system tells of it beside the type has changed");
}

/* Types that are the same to us and are two at their system are told in its own words. */
static int types_text(const struct ArrowSchema *a, const struct ArrowSchema *b, struct wh_buf *out)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf was = WH_BUF(1 << 20), is = WH_BUF(1 << 20);
    struct wh_str from = {"", 0}, to = {"", 0};

    WH_TRY(type_text(a, &was));
    WH_TRY(type_text(b, &is));
    wh_ignore(wh_meta_get(a, WH_META_TYPE, &from) != NULL);
    wh_ignore(wh_meta_get(b, WH_META_TYPE, &to) != NULL);
    if (was.n != is.n || memcmp(was.p, is.p, is.n) != 0)
        return wh_buf_printf(out, "%s, now it is %s", was.p, is.p);
    if (wh_str_eq(from, to))
        return notes_text(a, b, out);
    return wh_buf_printf(out, "%.*s, now it is %.*s", (int)from.n, from.s, (int)to.n, to.s);
}

static int changed(const struct wh_flow *f, struct wh_error *reterr, const char *what)
{
    int st = wh_fail(reterr, WH_E_USAGE, "E7008", "%s: %s", f->table, what);

    wh_error_where(reterr, "%s", f->stream->where_place);
    wh_error_hint(reterr, "undo the change and resume; or 'wherry cancel RUN --discard' gives the "
                          "run up, and the job begins anew (--fresh does both)");
    return st;
}

/* The first column that is gone, new, moved or of another type. */
static int describe_schemas(const struct ArrowSchema *was, const struct ArrowSchema *is,
                            const char *side, struct wh_buf *out)
{
    for (int64_t i = 0; i < was->n_children || i < is->n_children; i++) {
        const struct ArrowSchema *a = i < was->n_children ? was->children[i] : NULL;
        const struct ArrowSchema *b = i < is->n_children ? is->children[i] : NULL;
        bool a_stays = a && wh_schema_find(is, wh_str(a->name), false) >= 0;
        bool b_was = b && wh_schema_find(was, wh_str(b->name), false) >= 0;

        if (a && !a_stays)
            return wh_buf_printf(out, "column '%s' of the %s is gone", a->name, side);
        if (b && !b_was)
            return wh_buf_printf(out, "the %s has a new column '%s'", side, b->name);
        if (!a || !b || strcmp(a->name, b->name) != 0)
            return wh_buf_printf(out, "the columns of the %s are in another order (from '%s' on)",
                                 side, b ? b->name : a->name);
        if (wh_schema_equal(a, b))
            continue;
        WH_TRY(wh_buf_printf(out, "column '%s' of the %s was ", a->name, side));
        return types_text(a, b, out);
    }
    return WH_OK;
}

static int compare_schemas(const struct wh_flow *f, const struct ArrowSchema *was,
                           const struct ArrowSchema *is, const char *side, struct wh_error *reterr)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf text = WH_BUF(1 << 20);

    if (!was->release || wh_schema_equal(was, is))
        return WH_OK;
    if (describe_schemas(was, is, side, &text) != WH_OK)
        return wh_plan_no_memory(reterr);
    if (!text.n)
        return WH_OK; /* only notes that carry no meaning for rows */
    return changed(f, reterr, text.p);
}

static bool same_bytes(struct wh_bytes a, struct wh_bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static bool printable(struct wh_bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        if (((const unsigned char *)b.p)[i] < 0x20)
            return false;
    return b.n > 0 && b.n < 200 && wh_utf8_valid(b.p, b.n);
}

static int compare_bounds(const struct wh_flow *f, const struct wh_frozen_flow *frozen,
                          struct wh_error *reterr)
{
    char text[600];
    struct wh_bytes was = frozen->bounds, is = f->scan.ret_bounds;

    if (same_bytes(was, is))
        return WH_OK;
    if (!printable(was) || !printable(is))
        return changed(f, reterr,
                       "what there is to read (files, bounds) is not what the plan fixed");
    snprintf(text, sizeof text, "the plan fixed '%.*s' to be read, now it is '%.*s'", (int)was.n,
             (const char *)was.p, (int)is.n, (const char *)is.p);
    return changed(f, reterr, text);
}

int wh_plan_unchanged(struct wh_planner *p, struct wh_flow *f, const struct wh_frozen_flow *frozen,
                      struct wh_error *reterr)
{
    WH_TRY(compare_schemas(f, &f->frozen->source, &f->source_schema, "source", reterr));
    WH_TRY(compare_schemas(f, &f->frozen->accept, &f->tgt.accept, "destination", reterr));
    WH_TRY(compare_bounds(f, frozen, reterr));
    if (!same_bytes(frozen->memo, f->tgt.ret_memo) && f->tgt.ret_memo.n)
        return changed(f, reterr, "the destination is not what the plan fixed");
    if (frozen->fingerprint.lo == 0 && frozen->fingerprint.hi == 0)
        return WH_OK;
    if (wh_u128_eq(frozen->fingerprint, f->fingerprint))
        return WH_OK;
    return changed(f, reterr, "mapping, mode, filter, source or destination differ from the plan");
}
