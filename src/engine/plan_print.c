/* SPDX-License-Identifier: Apache-2.0 */
/* A plan as text for people. */
#include "engine/plan_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- small words ------------------------------------------------------------------------------
 */

static int add_count(struct wh_buf *out, int64_t v)
{
    char digits[24], text[32];
    int n = snprintf(digits, sizeof digits, "%lld", (long long)v), at = 0;

    for (int i = 0; i < n; i++) {
        if (i && (n - i) % 3 == 0 && digits[i - 1] != '-')
            text[at++] = ',';
        text[at++] = digits[i];
    }
    return wh_buf_add(out, text, (size_t)at);
}

static int add_bytes(struct wh_buf *out, int64_t v)
{
    static const char *const units[] = {"B", "kB", "MB", "GB", "TB"};
    double d = (double)v;
    int unit = 0;

    while (d >= 1000 && unit < 4) {
        d /= 1000;
        unit++;
    }
    return wh_buf_printf(out, unit && d < 10 ? "%.1f %s" : "%.0f %s", d, units[unit]);
}

/* Text of SQL and paths on one line, cut at a width that a terminal shows. */
static int add_line(struct wh_buf *out, struct wh_str text, size_t most)
{
    bool blank = false;
    size_t used = 0;

    for (size_t i = 0; i < text.n && used < most; i++) {
        bool space = (unsigned char)text.s[i] <= ' ';

        if (space && (blank || used == 0))
            continue;
        WH_TRY(wh_buf_addc(out, space ? ' ' : text.s[i]));
        blank = space;
        used++;
    }
    while (out->n && ((unsigned char)out->p[out->n - 1] & 0xC0) == 0x80 && used == most &&
           !wh_utf8_valid(out->p + out->n - 1, 1) && out->n > 4 &&
           !wh_utf8_valid(out->p + out->n - 4, 4))
        out->n--;
    return used == most && text.n > most ? wh_buf_adds(out, " ...") : WH_OK;
}

static const char *source_text(const struct wh_flow *f)
{
    return f->stream->from.text;
}

static const char *shown_mode(const struct wh_flow *f)
{
    return wh_mode_name(f->stream->write.mode);
}

/* ---- one flow ----------------------------------------------------------------------------------
 */

/* Every value stands in one column, its name before it. */
static int key(struct wh_buf *out, const char *name)
{
    return wh_buf_printf(out, "  %-10s ", name);
}

/* What was printed since `was` is one line, whatever names are in it. */
static void one_line(struct wh_buf *out, size_t was)
{
    if (out->n > was)
        wh_text_tame(out->p + was, false);
}

static int add_heading(const struct wh_plan *plan, const struct wh_flow *f, struct wh_buf *out)
{
    const struct wh_name *name = &f->source;
    WH_CLEANUP(wh_buf_free) struct wh_buf source = WH_BUF(1 << 16);

    size_t was = out->n;

    WH_TRY(wh_name_print(name, &source));
    WH_TRY(wh_buf_printf(out, "%s: ", f->table));
    if (f->stream->query)
        WH_TRY(wh_buf_printf(out, "query of %s", f->from ? f->from->name : source_text(f)));
    else if (f->stream->from.pattern && f->from && source.n)
        WH_TRY(wh_buf_printf(out, "%s%s%s", f->from->name, f->stream->from.conn ? ":" : "#",
                             source.p));
    else
        WH_TRY(wh_buf_adds(out, source_text(f)));
    if (!f->stream->query && !f->stream->from.pattern && source.n &&
        f->source.part[0].s != f->stream->from.name.part[0].s)
        WH_TRY(wh_buf_printf(out, " (%s)", source.p)); /* the true name */
    WH_TRY(wh_buf_printf(out, " -> %s", wh_plan_target_text(f)));
    one_line(out, was);
    return wh_buf_addc(out, '\n');
}

static int add_filters(const struct wh_flow *f, struct wh_buf *out)
{
    const struct wh_stream *s = f->stream;
    const char *const names[] = {"where", "query", "replace"};
    const char *const texts[] = {s->where, s->query, s->write.replace_where};

    for (size_t i = 0; i < 3; i++) {
        if (!texts[i])
            continue;
        WH_TRY(key(out, names[i]));
        WH_TRY(add_line(out, wh_str(texts[i]), 400));
        WH_TRY(wh_buf_addc(out, '\n'));
    }
    if (s->split_range.n) {
        WH_TRY(key(out, "range"));
        WH_TRY(wh_buf_printf(out, "%s from %s to %s, both included\n", s->split_by,
                             s->split_range.v[0], s->split_range.v[1]));
    }
    if (!s->limit)
        return WH_OK;
    WH_TRY(key(out, "limit"));
    WH_TRY(add_count(out, s->limit));
    return wh_buf_adds(out, " rows; the rest is left out\n");
}

static int add_keys(const struct wh_flow *f, struct wh_buf *out)
{
    int mode = f->stream->write.mode;

    if (!f->n_keys ||
        (!f->stream->write.replace_keys && (mode < WH_MODE_UPSERT || mode > WH_MODE_INSERT_IGNORE)))
        return WH_OK;
    WH_TRY(wh_buf_adds(out, " by "));
    for (size_t i = 0; i < f->n_keys; i++)
        WH_TRY(wh_buf_printf(out, "%s%s", i ? ", " : "", f->keys[i]));
    return wh_buf_printf(out, " (%s)", f->keys_from);
}

static int add_mode(const struct wh_flow *f, struct wh_buf *out)
{
    WH_TRY(key(out, "mode"));
    WH_TRY(wh_buf_adds(out, shown_mode(f)));
    WH_TRY(add_keys(f, out));
    if (f->leader) {
        WH_TRY(wh_buf_printf(out, ", together with %s", f->leader->table));
    } else if (f->tgt.exists) {
        WH_TRY(wh_buf_adds(out, " into what exists"));
        if (f->tgt.existing_rows > 0) {
            WH_TRY(wh_buf_adds(out, ", "));
            WH_TRY(add_count(out, f->tgt.existing_rows));
            WH_TRY(wh_buf_adds(out, " rows"));
        }
    } else {
        WH_TRY(wh_buf_adds(out, f->tgt.say_create.n ? ", made new" : ""));
    }
    if (f->tgt.instant[0])
        WH_TRY(wh_buf_printf(out, "; visible: %s", f->tgt.instant));
    WH_TRY(wh_buf_addc(out, '\n'));
    if (!f->tgt.loses[0])
        return WH_OK;
    WH_TRY(key(out, "needs"));
    return wh_buf_printf(out, "--yes: dropped and made anew; with it go %s\n", f->tgt.loses);
}

/* The statement stands among the steps where a step says the same. */
static int add_create(const struct wh_flow *f, struct wh_buf *out)
{
    bool told = f->tgt.say_create.n == 0;

    for (size_t i = 0; i < f->n_steps && !told; i++)
        told = wh_str_eq(f->steps[i].step.say, f->tgt.say_create);
    if (told)
        return WH_OK;
    WH_TRY(key(out, "create"));
    WH_TRY(add_line(out, f->tgt.say_create, 2000));
    return wh_buf_addc(out, '\n');
}

/* Places that a text takes on a terminal: wide East Asian characters take two. */
static size_t shown(const char *text)
{
    size_t width = 0, n = strlen(text);

    for (size_t i = 0; i < n;) {
        size_t len = wh_utf8_len(text + i, n - i);
        unsigned char c = (unsigned char)text[i];
        bool wide = len == 3 && (c == 0xE3 || (c >= 0xE4 && c <= 0xED) || c == 0xEF);

        width += 1 + (wide || len == 4);
        i += len ? len : 1;
    }
    return width;
}

static int padded(struct wh_buf *out, const char *text, size_t width)
{
    WH_TRY(wh_buf_adds(out, text));
    for (size_t n = shown(text); n < width; n++)
        WH_TRY(wh_buf_addc(out, ' '));
    return WH_OK;
}

/* "phone text, trim, mask(...)"; "json of a, b" */
static int made_text(const struct wh_flow *f, const struct wh_plan_column *c, struct wh_buf *out)
{
    const struct wh_made *m = &f->made[c->made - 1];

    if (m->chain) {
        const struct ArrowSchema *from = f->source_schema.children[m->source];
        struct wh_type t;

        if (strcmp(from->name, c->name) != 0)
            WH_TRY(wh_buf_printf(out, "%s ", from->name));
        WH_TRY(wh_type_of(from, &t, NULL));
        WH_TRY(wh_type_print(&t, out));
        WH_TRY(wh_buf_adds(out, ", "));
    }
    return wh_plan_made_text(f, c, out);
}

static int column_texts(const struct wh_flow *f, const struct wh_plan_column *c,
                        struct wh_buf *from, struct wh_buf *to, struct wh_buf *decision)
{
    wh_buf_clear(from);
    wh_buf_clear(to);
    wh_buf_clear(decision);
    if (c->made) {
        WH_TRY(made_text(f, c, from));
    } else if (c->source < 0) {
        WH_TRY(c->origin ? wh_buf_adds(from, "the file")
                         : wh_buf_printf(from, "'%.40s'", c->value ? c->value : ""));
    } else {
        const char *name = f->source_schema.children[c->source]->name;

        if (c->computed)
            WH_TRY(wh_buf_printf(from, "%.60s%s ", c->computed,
                                 strlen(c->computed) > 60 ? "..." : ""));
        else if (strcmp(name, c->name) != 0)
            WH_TRY(wh_buf_printf(from, "%s ", name));
        WH_TRY(wh_type_print(&c->from, from));
    }
    WH_TRY(wh_type_print(&c->to, to));
    if (!c->to.nullable)
        WH_TRY(wh_buf_adds(to, " not null"));
    if (c->source < 0 && !c->made)
        return wh_buf_adds(decision, "constant");
    if (c->computed)
        WH_TRY(wh_buf_adds(decision, "computed by the source"));
    if (c->fit != WH_FIT_EXACT)
        WH_TRY(wh_buf_printf(decision, "%s%s", decision->n ? ", " : "", wh_fit_name(c->fit)));
    if (c->why) /* the head of the columns says from how many rows */
        WH_TRY(wh_buf_printf(decision, "%s%s", decision->n ? ": " : "",
                             strncmp(c->why, "guessed", 7) == 0 ? "guessed" : c->why));
    return WH_OK;
}

static int add_columns(const struct wh_flow *f, struct wh_buf *out)
{
    WH_CLEANUP(wh_buf_free)
    struct wh_buf from = WH_BUF(1 << 16), to = WH_BUF(1 << 16), decision = WH_BUF(1 << 16);
    size_t widths[3] = {6, 6, 2};
    int64_t guessed = 0, changed = 0;

    for (int64_t i = 0; i < f->n_columns; i++) {
        const struct wh_plan_column *c = &f->columns[i];

        WH_TRY(column_texts(f, c, &from, &to, &decision));
        size_t sizes[3] = {shown(c->name), shown(from.p), shown(to.p)};

        for (int k = 0; k < 3; k++)
            widths[k] = sizes[k] > widths[k] ? (sizes[k] < 40 ? sizes[k] : 40) : widths[k];
        guessed += c->why && strncmp(c->why, "guessed", 7) == 0;
        changed += c->made || (c->source >= 0 && c->fit != WH_FIT_EXACT);
    }
    WH_TRY(key(out, "columns"));
    WH_TRY(wh_buf_printf(out, "%lld", (long long)f->n_columns));
    if (guessed) {
        WH_TRY(wh_buf_printf(out, ", %lld guessed from ", (long long)guessed));
        WH_TRY(add_count(out, f->scan.sampled_rows));
        WH_TRY(wh_buf_adds(out, " rows"));
    }
    if (changed)
        WH_TRY(wh_buf_printf(out, ", %lld converted", (long long)changed));
    WH_TRY(wh_buf_addc(out, '\n'));
    for (int64_t i = 0; i < f->n_columns; i++) {
        const struct wh_plan_column *c = &f->columns[i];

        size_t was = out->n;

        WH_TRY(column_texts(f, c, &from, &to, &decision));
        WH_TRY(wh_buf_adds(out, "    "));
        WH_TRY(padded(out, c->name, widths[0] + 2));
        WH_TRY(padded(out, from.p, widths[1]));
        WH_TRY(wh_buf_adds(out, " -> "));
        WH_TRY(padded(out, to.p, decision.n ? widths[2] + 2 : 0));
        WH_TRY(wh_buf_adds(out, decision.n ? decision.p : ""));
        one_line(out, was);
        WH_TRY(wh_buf_addc(out, '\n'));
    }
    return WH_OK;
}

static int add_read(const struct wh_flow *f, struct wh_buf *out)
{
    WH_TRY(key(out, "read"));
    WH_TRY(wh_buf_adds(out, f->scan.method[0] ? f->scan.method : "one stream"));
    if (f->est_units > 0) {
        WH_TRY(wh_buf_adds(out, ", about "));
        WH_TRY(add_count(out, f->est_units));
        WH_TRY(wh_buf_adds(out, f->est_units == 1 ? " unit" : " units"));
    }
    if (f->scan.est_rows >= 0) {
        WH_TRY(wh_buf_adds(out, f->est_units > 0 ? " of " : ", about "));
        WH_TRY(wh_buf_adds(out, f->est_units > 1 ? "together " : ""));
        WH_TRY(add_count(out, f->scan.est_rows));
        WH_TRY(wh_buf_adds(out, f->scan.est_rows == 1 ? " row" : " rows"));
    }
    if (f->scan.est_bytes >= 0) {
        WH_TRY(wh_buf_adds(out, ", "));
        WH_TRY(add_bytes(out, f->scan.est_bytes));
    }
    if (f->scan.chained)
        WH_TRY(wh_buf_adds(out, "; range ends are checked during the run"));
    if (!f->scan.resumable)
        WH_TRY(wh_buf_adds(out, "; not resumable inside a unit"));
    if (f->scan.note[0])
        WH_TRY(wh_buf_printf(out, "; %s", f->scan.note));
    return wh_buf_addc(out, '\n');
}

static int add_lanes(const struct wh_flow *f, struct wh_buf *out)
{
    WH_TRY(key(out, "lanes"));
    WH_TRY(wh_buf_printf(out, "%d", f->lanes));
    if (f->readers)
        WH_TRY(wh_buf_printf(out, "; %d read%s at once", f->readers, f->readers == 1 ? "s" : ""));
    if (f->writers)
        WH_TRY(wh_buf_printf(out, "; %d write%s at once", f->writers, f->writers == 1 ? "s" : ""));
    if (f->tgt.max_writers > 0 && !f->writers)
        WH_TRY(wh_buf_printf(out, "; write lanes: %d", f->tgt.max_writers));
    if (f->fused)
        WH_TRY(wh_buf_adds(out, f->frame ? "; rows pass through as bytes, one thread a lane"
                                         : "; small enough for one thread"));
    if (f->frame_why && f->frame_why[0])
        WH_TRY(wh_buf_printf(out, "; rows are decoded (%s)", f->frame_why));
    return wh_buf_addc(out, '\n');
}

static int add_steps(const struct wh_flow *f, struct wh_buf *out)
{
    static const char *const phases[] = {"prepare", "settle", "publish", "finish", "drop"};
    int before = -1;

    for (size_t i = 0; i < f->n_steps; i++) {
        const struct wh_step *s = &f->steps[i].step;

        if (s->phase == WH_DROP)
            continue; /* only when a flow starts again or is given up */
        bool own = s->flags & WH_STEP_STATEMENT;
        int word = own ? 10 + (int)s->phase : (int)s->phase;

        WH_TRY(key(out, word == before                 ? ""
                        : own && s->phase == WH_FINISH ? "after"
                        : own                          ? "before"
                                                       : phases[s->phase]));
        before = word;
        WH_TRY(add_line(out, s->say, 2000));
        if (s->flags & WH_STEP_REPEAT)
            WH_TRY(wh_buf_adds(out, "   [again with every resume]"));
        else if (own && f->stream->write.marker_off)
            WH_TRY(wh_buf_adds(out, "   [at least once]"));
        if (s->flags & WH_STEP_DESTRUCTIVE)
            WH_TRY(wh_buf_adds(out, "   [destructive]"));
        if (s->flags & WH_STEP_OPTIONAL)
            WH_TRY(wh_buf_adds(out, "   [optional]"));
        WH_TRY(wh_buf_addc(out, '\n'));
    }
    return WH_OK;
}

/* A snapshot that may be lost: what resume will do then (INTERFACE 5). */
static const char *held_words(const struct wh_plan *plan, const struct wh_flow *f)
{
    bool staged = f->tgt.commit_class == WH_CLASS_P || f->tgt.atomic_given != WH_ATOMIC_UNIT;

    if (!f->scan.physical && plan->job->run.consistent != 1)
        return "one instant, held by a process of its own that outlives a kill; if that is lost, "
               "resume reads the rest at a second instant";
    return staged ? "one instant, held by a process of its own that outlives a kill; if that is "
                    "lost, the table starts again"
                  : "one instant, held by a process of its own that outlives a kill; if that is "
                    "lost, resume stops and asks for --accept-mixed or --fresh";
}

/* What a kill means for the instant at which the source is read. */
const char *wh_plan_snapshot_words(const struct wh_plan *plan, const struct wh_flow *f)
{
    if (plan->job->run.consistent == 2)
        return "none (consistent: off)";
    switch (f->from->connector->caps->snapshot) {
    case WH_SNAP_POINT:
        return "one instant, entered again at resume";
    case WH_SNAP_HELD:
        return held_words(plan, f);
    case WH_SNAP_SESSIONS:
        return f->scan.physical ? "one instant, lost by a kill; resume goes on only if the source "
                                  "proves that nothing changed, else a staged table starts again"
                                : "one instant, lost by a kill; resume reads the rest at a second "
                                  "instant unless the source proves that nothing changed";
    case WH_SNAP_NONE:
        break;
    }
    return "none: the source gives no instant";
}

static int add_promises(const struct wh_plan *plan, const struct wh_flow *f, struct wh_buf *out)
{
    const char *marker = f->stream->write.marker;

    WH_TRY(key(out, "delivery"));
    WH_TRY(wh_buf_printf(out, "%s (class %s, atomic: %s%s%s)\n", f->delivery,
                         wh_class_letter(f->tgt.commit_class), wh_atomic_name(f->tgt.atomic_given),
                         marker ? "; markers in " : "", marker ? marker : ""));
    WH_TRY(key(out, "a kill"));
    WH_TRY(wh_buf_printf(out, "%s\n", f->on_kill));
    if (f->guard) {
        WH_TRY(key(out, "guard"));
        WH_TRY(wh_buf_printf(out, "%s\n", f->guard));
    }
    WH_TRY(key(out, "snapshot"));
    WH_TRY(wh_buf_adds(out, wh_plan_snapshot_words(plan, f)));
    if (f->scan.pins > 0)
        WH_TRY(wh_buf_printf(out, "; %d lock%s in the source", f->scan.pins,
                             f->scan.pins == 1 ? "" : "s"));
    WH_TRY(wh_buf_addc(out, '\n'));
    if (f->stream->dirty_rows || f->stream->dirty_ratio > 0) {
        WH_TRY(key(out, "dirty"));
        if (f->stream->dirty_rows)
            WH_TRY(wh_buf_printf(out, "up to %lld rows", (long long)f->stream->dirty_rows));
        if (f->stream->dirty_ratio > 0)
            WH_TRY(wh_buf_printf(out, "%sup to %g %%", f->stream->dirty_rows ? ", " : "",
                                 f->stream->dirty_ratio * 100));
        WH_TRY(wh_buf_adds(out, " are archived"));
    } else if (f->stream->dirty_archive.connector) {
        WH_TRY(key(out, "dirty"));
        WH_TRY(wh_buf_adds(out, "none; the first one ends the table and is archived"));
    } else {
        return WH_OK;
    }
    if (f->stream->dirty_archive.connector)
        WH_TRY(wh_buf_printf(out, " in %s", f->stream->dirty_archive.text));
    WH_TRY(wh_buf_addc(out, '\n'));
    return WH_OK;
}

static int add_problem(struct wh_buf *out, const char *indent, const struct wh_problem *n)
{
    return wh_buf_printf(out, "%s%s: %s%s%s%s\n", indent, n->warning ? "warning" : "error",
                         n->message, n->hint ? " (" : "", n->hint ? n->hint : "",
                         n->hint ? ")" : "");
}

static int add_refusal(const struct wh_flow *f, struct wh_buf *out)
{
    const struct wh_error *e = f->error;

    WH_TRY(wh_buf_printf(out, "  refused    %s %s\n", e->code, e->message));
    if (e->where[0])
        WH_TRY(wh_buf_printf(out, "  at         %s\n", e->where));
    return e->hint[0] ? wh_buf_printf(out, "  hint       %s\n", e->hint) : WH_OK;
}

static int add_flow(const struct wh_plan *plan, const struct wh_flow *f, struct wh_buf *out)
{
    WH_TRY(add_heading(plan, f, out));
    if (f->refused)
        return add_refusal(f, out);
    WH_TRY(add_filters(f, out));
    WH_TRY(add_mode(f, out));
    WH_TRY(add_create(f, out));
    WH_TRY(add_columns(f, out));
    WH_TRY(add_read(f, out));
    WH_TRY(add_lanes(f, out));
    WH_TRY(add_steps(f, out));
    WH_TRY(add_promises(plan, f, out));
    if (f->tgt.note[0]) {
        WH_TRY(key(out, "note"));
        WH_TRY(wh_buf_printf(out, "%s\n", f->tgt.note));
    }
    for (size_t i = 0; i < f->notes.n; i++)
        WH_TRY(add_problem(out, "  ", &f->notes.v[i]));
    return WH_OK;
}

/* ---- the short form ----------------------------------------------------------------------------
 */

/* What `copy` says before it starts: at most five lines for one table, one line each for more. */
static int add_short(const struct wh_flow *f, bool alone, struct wh_buf *out)
{
    int64_t guessed = 0;
    size_t was = out->n;

    WH_TRY(wh_buf_printf(out, "%s -> %s: %s%s, %lld column%s", f->table, wh_plan_target_text(f),
                         shown_mode(f), !f->tgt.exists && f->tgt.say_create.n ? " (made new)" : "",
                         (long long)f->n_columns, f->n_columns == 1 ? "" : "s"));
    for (int64_t i = 0; i < f->n_columns; i++)
        guessed += f->columns[i].why && strncmp(f->columns[i].why, "guessed", 7) == 0;
    if (guessed) {
        WH_TRY(wh_buf_printf(out, ", %lld guessed from ", (long long)guessed));
        WH_TRY(add_count(out, f->scan.sampled_rows));
        WH_TRY(wh_buf_adds(out, " rows"));
    }
    WH_TRY(wh_buf_printf(out, "; %s", f->delivery));
    one_line(out, was);
    WH_TRY(wh_buf_addc(out, '\n'));
    WH_TRY(add_filters(f, out));
    if (alone && f->scan.note[0])
        WH_TRY(wh_buf_printf(out, "  %s\n", f->scan.note));
    for (size_t i = 0; i < f->notes.n && (alone ? i < 2 : i < 1); i++)
        WH_TRY(add_problem(out, "  ", &f->notes.v[i]));
    return WH_OK;
}

static int print_short(const struct wh_plan *plan, struct wh_buf *out)
{
    const size_t most = 5;

    for (size_t i = 0; i < plan->n_flows && i < most; i++) {
        if (plan->flows[i]->refused) {
            WH_TRY(add_heading(plan, plan->flows[i], out));
            WH_TRY(add_refusal(plan->flows[i], out));
        } else {
            WH_TRY(add_short(plan->flows[i], plan->n_flows == 1, out));
        }
    }
    if (plan->n_flows > most)
        WH_TRY(wh_buf_printf(out, "... and %zu more tables\n", plan->n_flows - most));
    for (size_t i = 0; i < plan->problems.n; i++)
        WH_TRY(add_problem(out, "", &plan->problems.v[i]));
    return WH_OK;
}

/* ---- the whole --------------------------------------------------------------------------------
 */

static int add_head(const struct wh_plan *plan, struct wh_buf *out)
{
    size_t refused = 0;

    for (size_t i = 0; i < plan->n_flows; i++)
        refused += plan->flows[i]->refused;
    WH_TRY(wh_buf_printf(out, "plan of %s: %zu table%s", plan->job->name, plan->n_flows,
                         plan->n_flows == 1 ? "" : "s"));
    if (refused)
        WH_TRY(wh_buf_printf(out, ", %zu refused", refused));
    WH_TRY(wh_buf_printf(out, "; %d lane%s", plan->parallel, plan->parallel == 1 ? "" : "s"));
    if (plan->memory) {
        WH_TRY(wh_buf_adds(out, ", at most "));
        WH_TRY(add_bytes(out, plan->memory));
        WH_TRY(wh_buf_adds(out, " of memory"));
    }
    if (plan->job->scheduled)
        WH_TRY(wh_buf_printf(out, "; scheduled %s", plan->job->scheduled));
    WH_TRY(wh_buf_printf(out, "; times in %s\n", plan->job->timezone));
    for (size_t i = 0; i < plan->job->params.n; i++)
        WH_TRY(wh_buf_printf(out, "%s%s=%s%s", i ? "  " : "params: ", plan->job->params.v[i].key,
                             plan->job->params.v[i].value,
                             i + 1 == plan->job->params.n ? "\n" : ""));
    for (size_t i = 0; i < plan->problems.n; i++)
        WH_TRY(add_problem(out, "", &plan->problems.v[i]));
    return WH_OK;
}

static int print_all(const struct wh_plan *plan, bool full, struct wh_buf *out)
{
    if (!full)
        return print_short(plan, out);
    WH_TRY(add_head(plan, out));
    for (size_t i = 0; i < plan->n_flows; i++) {
        WH_TRY(wh_buf_addc(out, '\n'));
        WH_TRY(add_flow(plan, plan->flows[i], out));
    }
    return WH_OK;
}

int wh_plan_print(const struct wh_plan *plan, bool full, struct wh_buf *out)
{
    size_t was = out->n;
    int st = print_all(plan, full, out);

    if (out->n > was)
        wh_text_tame(out->p + was, true);
    return st;
}
