/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as JSON. Field names and types are stable: they may be added to, never changed. */
#include "engine/plan_internal.h"

#include <string.h>

enum {
    PIECE = 64 << 10
};

static int name(struct wh_buf *out, const char *field)
{
    if (out->n && out->p[out->n - 1] != '{' && out->p[out->n - 1] != '[')
        WH_TRY(wh_buf_addc(out, ','));
    return wh_buf_printf(out, "\"%s\":", field);
}

static int text(struct wh_buf *out, const char *field, const char *value)
{
    WH_TRY(name(out, field));
    return value ? wh_buf_json(out, value, strlen(value)) : wh_buf_adds(out, "null");
}

static int number(struct wh_buf *out, const char *field, int64_t value)
{
    WH_TRY(name(out, field));
    return wh_buf_printf(out, "%lld", (long long)value);
}

static int flag(struct wh_buf *out, const char *field, bool value)
{
    WH_TRY(name(out, field));
    return wh_buf_adds(out, value ? "true" : "false");
}

/* -1 stands for "not known" inside, null outside. */
static int estimate(struct wh_buf *out, const char *field, int64_t value)
{
    WH_TRY(name(out, field));
    return value < 0 ? wh_buf_adds(out, "null") : wh_buf_printf(out, "%lld", (long long)value);
}

static int type(struct wh_buf *out, const char *field, const struct wh_type *t)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf words = WH_BUF(1 << 16);

    WH_TRY(wh_type_print(t, &words));
    return text(out, field, words.p);
}

static int open_item(struct wh_buf *out)
{
    if (out->p[out->n - 1] == '}')
        WH_TRY(wh_buf_addc(out, ','));
    return wh_buf_addc(out, '{');
}

/* "from" and "convert": "trim, ..."; or "rest": "json of a, b" */
static int made(struct wh_buf *out, const struct wh_flow *f, const struct wh_plan_column *c)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf how = WH_BUF(1 << 24);
    bool chain = f->made[c->made - 1].chain;

    WH_TRY(wh_plan_made_text(f, c, &how));
    return text(out, chain ? "convert" : "rest", how.p);
}

static const char *source_name(const struct wh_flow *f, const struct wh_plan_column *c)
{
    if (c->computed)
        return NULL;
    int64_t at = c->made && f->made[c->made - 1].chain ? f->made[c->made - 1].source : c->source;

    return at >= 0 ? f->source_schema.children[at]->name : NULL;
}

static int columns(struct wh_buf *out, const struct wh_flow *f)
{
    WH_TRY(name(out, "columns"));
    WH_TRY(wh_buf_addc(out, '['));
    for (int64_t i = 0; i < f->n_columns; i++) {
        const struct wh_plan_column *c = &f->columns[i];

        WH_TRY(open_item(out));
        WH_TRY(text(out, "name", c->name));
        WH_TRY(text(out, "from", source_name(f, c)));
        WH_TRY(text(out, "value", c->origin ? NULL : c->value));
        if (c->origin)
            WH_TRY(text(out, "source", "file"));
        if (c->computed) {
            WH_TRY(text(out, "source_expr", c->computed));
            WH_TRY(flag(out, "varies", c->varies));
        }
        if (c->made)
            WH_TRY(made(out, f, c));
        WH_TRY(type(out, "source_type", &c->from));
        WH_TRY(type(out, "type", &c->to));
        WH_TRY(flag(out, "nullable", c->to.nullable));
        WH_TRY(text(out, "fit", wh_fit_name(c->fit)));
        WH_TRY(text(out, "why", c->why));
        WH_TRY(wh_buf_addc(out, '}'));
    }
    return wh_buf_addc(out, ']');
}

static int steps(struct wh_buf *out, const struct wh_flow *f)
{
    static const char *const phases[] = {"prepare", "settle", "publish", "finish", "drop"};

    WH_TRY(name(out, "steps"));
    WH_TRY(wh_buf_addc(out, '['));
    for (size_t i = 0; i < f->n_steps; i++) {
        const struct wh_step *s = &f->steps[i].step;

        WH_TRY(open_item(out));
        WH_TRY(text(out, "phase", phases[s->phase]));
        WH_TRY(number(out, "id", s->id));
        WH_TRY(number(out, "after", s->after));
        WH_TRY(text(out, "say", s->say.s));
        WH_TRY(flag(out, "destructive", s->flags & WH_STEP_DESTRUCTIVE));
        WH_TRY(flag(out, "transactional", s->flags & WH_STEP_TRANSACTIONAL));
        WH_TRY(flag(out, "parallel", s->flags & WH_STEP_PARALLEL));
        WH_TRY(flag(out, "optional", s->flags & WH_STEP_OPTIONAL));
        if (s->flags & WH_STEP_STATEMENT)
            WH_TRY(flag(out, "statement", true));
        if (s->flags & WH_STEP_REPEAT)
            WH_TRY(flag(out, "repeat", true));
        WH_TRY(wh_buf_addc(out, '}'));
    }
    return wh_buf_addc(out, ']');
}

static int warnings(struct wh_buf *out, const struct wh_problems *problems)
{
    WH_TRY(name(out, "warnings"));
    WH_TRY(wh_buf_addc(out, '['));
    for (size_t i = 0; i < problems->n; i++) {
        const struct wh_problem *p = &problems->v[i];

        WH_TRY(open_item(out));
        WH_TRY(text(out, "code", p->code));
        WH_TRY(text(out, "where", p->where));
        WH_TRY(text(out, "message", p->message));
        WH_TRY(text(out, "hint", p->hint));
        WH_TRY(wh_buf_addc(out, '}'));
    }
    return wh_buf_addc(out, ']');
}

static int refusal(struct wh_buf *out, const struct wh_error *e)
{
    WH_TRY(name(out, "error"));
    WH_TRY(wh_buf_addc(out, '{'));
    WH_TRY(text(out, "code", e->code));
    WH_TRY(text(out, "message", e->message));
    WH_TRY(text(out, "where", e->where));
    WH_TRY(text(out, "hint", e->hint));
    WH_TRY(flag(out, "retryable", e->retriable));
    return wh_buf_addc(out, '}');
}

static int keys(struct wh_buf *out, const struct wh_flow *f)
{
    WH_TRY(name(out, "keys"));
    WH_TRY(wh_buf_addc(out, '['));
    for (size_t i = 0; i < f->n_keys; i++) {
        WH_TRY(i ? wh_buf_addc(out, ',') : WH_OK);
        WH_TRY(wh_buf_json(out, f->keys[i], strlen(f->keys[i])));
    }
    return wh_buf_addc(out, ']');
}

static int source_side(struct wh_buf *out, const struct wh_plan *plan, const struct wh_flow *f)
{
    WH_TRY(text(out, "where", f->stream->where));
    if (f->stream->split_range.n) {
        WH_TRY(text(out, "range_from", f->stream->split_range.v[0]));
        WH_TRY(text(out, "range_to", f->stream->split_range.v[1]));
    }
    WH_TRY(text(out, "query", f->stream->query));
    WH_TRY(number(out, "limit", f->stream->limit));
    WH_TRY(text(out, "method", f->scan.method));
    WH_TRY(flag(out, "splittable", f->scan.splittable));
    WH_TRY(flag(out, "chained", f->scan.chained));
    WH_TRY(flag(out, "resumable", f->scan.resumable));
    WH_TRY(estimate(out, "units", f->est_units));
    WH_TRY(estimate(out, "rows", f->scan.est_rows));
    WH_TRY(estimate(out, "bytes", f->scan.est_bytes));
    WH_TRY(number(out, "sampled_rows", f->scan.sampled_rows));
    WH_TRY(text(out, "source_note", f->scan.note));
    if (f->scan.pins > 0)
        WH_TRY(number(out, "source_locks", f->scan.pins));
    return text(out, "snapshot", wh_plan_snapshot_words(plan, f));
}

static int target_side(struct wh_buf *out, const struct wh_flow *f)
{
    WH_TRY(text(out, "mode", wh_mode_name(f->stream->write.mode)));
    WH_TRY(keys(out, f));
    WH_TRY(text(out, "target_identity", f->tgt.identity));
    WH_TRY(flag(out, "exists", f->tgt.exists));
    WH_TRY(estimate(out, "existing_rows", f->tgt.existing_rows));
    if (f->tgt.loses[0])
        WH_TRY(text(out, "loses", f->tgt.loses));
    WH_TRY(text(out, "create", f->tgt.say_create.n ? f->tgt.say_create.s : NULL));
    WH_TRY(text(out, "class", wh_class_letter(f->tgt.commit_class)));
    WH_TRY(text(out, "atomic", wh_atomic_name(f->tgt.atomic_given)));
    WH_TRY(text(out, "visible", f->tgt.instant));
    WH_TRY(text(out, "delivery", f->delivery));
    WH_TRY(text(out, "on_kill", f->on_kill));
    WH_TRY(text(out, "guard", f->guard));
    if (f->stream->dirty_archive.connector)
        WH_TRY(text(out, "dirty_archive", f->stream->dirty_archive.text));
    WH_TRY(text(out, "target_note", f->tgt.note));
    WH_TRY(number(out, "lanes", f->lanes));
    WH_TRY(number(out, "write_lanes", f->tgt.max_writers));
    if (f->readers || f->writers) {
        WH_TRY(number(out, "readers", f->readers ? f->readers : f->lanes));
        WH_TRY(number(out, "writers", f->writers ? f->writers : f->lanes));
    }
    WH_TRY(flag(out, "fused", f->fused));
    WH_TRY(text(out, "frame", f->frame));
    WH_TRY(text(out, "frame_why", f->frame_why && f->frame_why[0] ? f->frame_why : NULL));
    return WH_OK;
}

static int one_flow(struct wh_buf *out, const struct wh_plan *plan, const struct wh_flow *f)
{
    WH_CLEANUP(wh_buf_free) struct wh_buf source = WH_BUF(1 << 16);
    char hex[33];

    WH_TRY(wh_name_print(&f->source, &source));
    WH_TRY(open_item(out));
    WH_TRY(number(out, "flow", f->index));
    WH_TRY(text(out, "stream", f->stream->name));
    WH_TRY(text(out, "table", f->table));
    WH_TRY(text(out, "from", f->from ? f->from->name : f->stream->from.text));
    WH_TRY(text(out, "source", source.p ? source.p : ""));
    WH_TRY(text(out, "to", f->to ? f->to->name : f->stream->to.text));
    WH_TRY(text(out, "target", wh_plan_target_text(f)));
    WH_TRY(flag(out, "refused", f->refused));
    if (f->refused) {
        WH_TRY(refusal(out, f->error));
        return wh_buf_addc(out, '}');
    }
    WH_TRY(source_side(out, plan, f));
    WH_TRY(target_side(out, f));
    WH_TRY(columns(out, f));
    WH_TRY(steps(out, f));
    WH_TRY(warnings(out, &f->notes));
    wh_u128_hex(f->fingerprint, hex);
    WH_TRY(text(out, "fingerprint", hex));
    return wh_buf_addc(out, '}');
}

int wh_plan_to_json(const struct wh_plan *plan, struct wh_buf *out)
{
    return wh_plan_drain_json(plan, out, NULL, NULL);
}

int wh_plan_drain_json(const struct wh_plan *plan, struct wh_buf *out, wh_drain_fn drain, void *arg)
{
    char shape[33];

    wh_u128_hex(plan->job->shape, shape);
    WH_TRY(wh_buf_adds(out, "{\"v\":1"));
    WH_TRY(text(out, "run", plan->run));
    WH_TRY(text(out, "job", plan->job->name));
    WH_TRY(text(out, "timezone", plan->job->timezone));
    WH_TRY(text(out, "scheduled", plan->job->scheduled));
    WH_TRY(text(out, "shape", shape));
    WH_TRY(number(out, "parallel", plan->parallel));
    WH_TRY(number(out, "memory", plan->memory));
    WH_TRY(warnings(out, &plan->problems));
    WH_TRY(name(out, "tables"));
    WH_TRY(wh_buf_addc(out, '['));
    for (size_t i = 0; i < plan->n_flows; i++) {
        WH_TRY(one_flow(out, plan, plan->flows[i]));
        if (drain && out->n > PIECE)
            drain(arg, out);
    }
    return wh_buf_adds(out, "]}");
}
