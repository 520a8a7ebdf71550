/* SPDX-License-Identifier: Apache-2.0 */
/* Tables that are only at the destination: those that a pattern would have led to, had the source
 * such a table. The name template is turned round: what stands around {source.table} is taken off,
 * and what is left must be a name that the pattern means. */
#include "engine/validate_end.h"

#include <string.h>

/* "ods_{source.table|lower}_h": what stands before and behind; fold: case is not kept. */
struct turned {
    struct wh_str before, behind;
    bool fold;
};

static struct wh_str piece(const char *s, const char *end)
{
    return (struct wh_str){s, (size_t)(end - s)};
}

/* False: the template says something that cannot be turned round. */
static bool turn(struct wh_str text, struct turned *ret)
{
    static const char open[] = "{source.table";
    const char *end = text.s + text.n;
    const char *at = text.n ? memmem(text.s, text.n, open, sizeof(open) - 1) : NULL;
    const char *close = at ? memchr(at, '}', (size_t)(end - at)) : NULL;

    *ret = (struct turned){.fold = false};
    if (!text.n)
        return true; /* the source's own name */
    if (!close)
        return false;
    struct wh_str filter = piece(at + sizeof(open) - 1, close);
    ret->before = piece(text.s, at);
    ret->behind = piece(close + 1, end);
    ret->fold = wh_str_eqs(filter, "|lower") || wh_str_eqs(filter, "|upper");
    return (filter.n == 0 || ret->fold) && !memchr(close + 1, '{', ret->behind.n) &&
           !memchr(text.s, '{', ret->before.n);
}

/* The source's name that would have become this one; n = 0: none. */
static struct wh_str source_of(const struct turned *t, struct wh_str name)
{
    size_t around = t->before.n + t->behind.n;

    if (name.n <= around || memcmp(name.s, t->before.n ? t->before.s : "", t->before.n) != 0 ||
        memcmp(name.s + name.n - t->behind.n, t->behind.n ? t->behind.s : "", t->behind.n) != 0)
        return (struct wh_str){NULL, 0};
    return (struct wh_str){name.s + t->before.n, name.n - around};
}

static struct wh_str last_of(const struct wh_name *n)
{
    return n->n ? n->part[n->n - 1] : (struct wh_str){NULL, 0};
}

/* The parts before the last one, as far as both names have them. */
static bool one_schema(const struct wh_name *a, const struct wh_name *b)
{
    for (int i = 2; i <= a->n && i <= b->n; i++)
        if (!wh_str_eq(a->part[a->n - i], b->part[b->n - i]))
            return false;
    return true;
}

static bool of_stream(const struct wh_flow *f, const struct wh_stream *s)
{
    if (f->stream == s)
        return true;
    for (size_t i = 0; i < s->n_overrides; i++)
        if (f->stream == s->overrides[i].stream)
            return true;
    return false;
}

struct looking {
    struct wh_planner *p;
    const struct wh_stream *s;
    struct wh_endpoint *to;
    struct turned turned;
    struct wh_matcher *match; /* NULL: every name */
};

/* Some flow of the stream leads into its schema, and none of the plan to it. */
static bool left_over(const struct looking *l, const struct wh_name *name)
{
    const struct wh_plan *plan = l->p->plan;
    bool beside = false;

    for (size_t i = 0; i < plan->n_flows; i++) {
        const struct wh_flow *f = plan->flows[i];
        const struct wh_name *to = f->tgt.ret_object.n ? &f->tgt.ret_object : &f->target;

        if (f->to != l->to || !one_schema(to, name))
            continue;
        if (wh_str_eq(last_of(to), last_of(name)))
            return false;
        beside = beside || of_stream(f, l->s);
    }
    return beside;
}

/* The pattern means a table of that name, and no exclude or skip takes it out. */
static int is_meant(const struct looking *l, struct wh_str source, bool *ret,
                    struct wh_error *reterr)
{
    struct wh_name name = {.part = {source}, .n = 1};
    struct wh_problems problems = {.arena = l->p->arena};
    struct wh_part part;
    size_t at = 0;

    *ret = source.n && (!l->match || wh_matcher_match(l->match, source, l->turned.fold));
    for (size_t i = 0; *ret && i < l->s->from.exclude.n; i++) {
        struct wh_matcher *m;

        if (!wh_part_parse(l->p->arena, wh_str(l->s->from.exclude.v[i]), NULL, &part, &problems))
            continue;
        WH_TRY(wh_matcher_new(&part, &m, reterr));
        *ret = !wh_matcher_match(m, source, l->turned.fold);
        wh_matcher_free(m);
    }
    const char *full = *ret ? wh_arena_strndup(l->p->arena, source.s, source.n) : NULL;
    if (!full)
        return WH_OK;
    WH_TRY(wh_override_find(l->s, &name, full, &at, reterr));
    *ret = at >= l->s->n_overrides || !l->s->overrides[at].skip;
    return WH_OK;
}

static int pick(const struct looking *l, const struct wh_listing *all, struct wh_name *out,
                size_t *ret_n, struct wh_error *reterr)
{
    for (size_t i = 0; i < all->n; i++) {
        const struct wh_listed *o = &all->v[i];
        bool meant = false;

        if (o->kind != WH_OBJ_TABLE || !left_over(l, &o->name))
            continue;
        WH_TRY(is_meant(l, source_of(&l->turned, last_of(&o->name)), &meant, reterr));
        if (meant)
            out[(*ret_n)++] = o->name;
    }
    return WH_OK;
}

int wh_validate_extra(struct wh_planner *p, const struct wh_stream *s, struct wh_name **ret,
                      size_t *ret_n, const char **ret_why, struct wh_error *reterr)
{
    struct looking l = {.p = p, .s = s};
    struct wh_listing *all;

    *ret = NULL;
    *ret_n = 0;
    *ret_why = NULL;
    for (size_t i = 0; i < p->plan->n_flows && !l.to; i++)
        if (p->plan->flows[i]->stream == s && !p->plan->flows[i]->leader)
            l.to = p->plan->flows[i]->to;
    if (!s->from.pattern || s->query || s->merge || !l.to)
        return WH_OK;
    if (!(l.to->connector->caps->flags & WH_CAP_WHOLE_DATABASE)) {
        *ret_why = wh_arena_printf(p->arena,
                                   "what is only at the destination is not looked for: "
                                   "%s has no list of tables",
                                   l.to->connector->name);
        return WH_OK;
    }
    if (!turn(last_of(&s->to.name), &l.turned)) {
        *ret_why = wh_arena_printf(p->arena,
                                   "what is only at the destination is not looked for: "
                                   "'%.*s' cannot be turned round",
                                   WH_STR_FMT(last_of(&s->to.name)));
        return WH_OK;
    }
    WH_TRY(wh_plan_listing(p, l.to, &all, reterr));
    if (!s->from.whole)
        WH_TRY(wh_matcher_new(&s->from.parts[s->from.name.n - 1], &l.match, reterr));
    *ret = wh_alloc((all->n + 1) * sizeof **ret);
    int st = *ret ? pick(&l, all, *ret, ret_n, reterr) : wh_plan_no_memory(reterr);
    wh_matcher_free(l.match);
    return st;
}
