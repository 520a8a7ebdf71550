/* SPDX-License-Identifier: Apache-2.0 */
/* Steps: which ones a target needs, in which phase and order. What each one runs is the dialect's.
 */
#include "sql.h"

#include <stdio.h>
#include <string.h>

wh_status sql_script_end(struct sql_script *s)
{
    return wh_buf_addc(&s->b, '\0');
}

wh_status sql_script_text(struct sql_script *s, const char *sql)
{
    WH_TRY(wh_buf_adds(&s->b, sql));
    return sql_script_end(s);
}

wh_status sql_script_one(struct sql_script *s, const char *fmt, struct wh_str a)
{
    WH_TRY(sql_add(&s->b, fmt, &a));
    return sql_script_end(s);
}

struct wh_str sql_script_say(struct sql_script *s)
{
    for (size_t i = 0; i + 1 < s->b.n; i++)
        if (!s->b.p[i])
            s->b.p[i] = ';';
    return (struct wh_str){s->b.p ? s->b.p : "", s->b.n ? s->b.n - 1 : 0};
}

wh_status sql_step_add(enum wh_phase phase, uint32_t *id, struct wh_bytes token, uint32_t flags,
                       sql_script_fn fill, void *self, struct wh_step_sink *out,
                       struct wh_error *reterr)
{
    struct sql_script s = SQL_SCRIPT;
    struct wh_step step = {.id = *id + 1,
                           .after = *id,
                           .phase = phase,
                           .flags = flags | WH_STEP_TRANSACTIONAL,
                           .token = token};
    int st = fill(self, token, &s, reterr);

    if (st == WH_OK) {
        step.say = sql_script_say(&s);
        st = out->add(out, &step);
        (*id)++;
    }
    wh_buf_free(&s.b);
    return st;
}

void sql_loses(struct wh_target *io, const char *column)
{
    size_t n = strlen(io->loses), room = sizeof io->loses - n;

    if (n + strlen(column) + 8 < sizeof io->loses)
        snprintf(io->loses + n, room, "%s%s", n ? ", " : "columns ", column);
    else if (n < 4 || strcmp(io->loses + n - 3, "...") != 0)
        snprintf(io->loses + n, room, n ? ", ..." : "columns ...");
}

struct adding {
    enum wh_phase phase;
    uint32_t *id;
    sql_script_fn fill;
    void *self;
    struct wh_step_sink *out;
};

static wh_status add(const struct adding *a, char kind, uint32_t flags, struct wh_error *reterr)
{
    return sql_step_add(a->phase, a->id, (struct wh_bytes){&kind, 1}, flags, a->fill, a->self,
                        a->out, reterr);
}

static wh_status prepare(const struct sql_shape *t, const struct adding *a, struct wh_error *reterr)
{
    if (t->creates && t->existed)
        WH_TRY(add(a, SQL_STEP_RECREATE, WH_STEP_DESTRUCTIVE, reterr));
    else if (t->creates)
        WH_TRY(add(a, SQL_STEP_CREATE, 0, reterr));
    else if (t->clears)
        WH_TRY(add(a, SQL_STEP_CLEAR, WH_STEP_DESTRUCTIVE, reterr));
    if (t->adds)
        WH_TRY(add(a, SQL_STEP_ADD, 0, reterr));
    if (t->staged)
        WH_TRY(add(a, SQL_STEP_STAGE, 0, reterr));
    return WH_OK;
}

wh_status sql_steps_of(const struct sql_shape *t, enum wh_phase phase, uint32_t *id,
                       sql_script_fn fill, void *self, struct wh_step_sink *out,
                       struct wh_error *reterr)
{
    struct adding a = {phase, id, fill, self, out};

    if (phase == WH_PREPARE)
        return prepare(t, &a, reterr);
    if (phase == WH_PUBLISH && t->staged)
        return add(&a, t->swaps ? SQL_STEP_SWAP : SQL_STEP_POUR, WH_STEP_DESTRUCTIVE, reterr);
    if (phase == WH_DROP && t->staged)
        return add(&a, SQL_STEP_DROP, WH_STEP_DESTRUCTIVE, reterr);
    return WH_OK;
}

/* ---- statements of the job ---------------------------------------------------------------------
 */

struct sql_statements sql_statements_of(const struct wh_target *io, const char *target)
{
    return (struct sql_statements){.before = io->before,
                                   .after = io->after,
                                   .n_before = io->n_before,
                                   .n_after = io->n_after,
                                   .repeat = io->repeat_before,
                                   .target = target};
}

bool sql_is_statement(struct wh_bytes token)
{
    const char *t = token.p;

    return token.n > 1 && (*t == SQL_STEP_BEFORE || *t == SQL_STEP_AFTER);
}

static wh_status fill_target(const char *text, const char *target, struct wh_buf *out)
{
    static const char mark[] = "{target}";

    for (const char *at = strstr(text, mark); at; at = strstr(text, mark)) {
        WH_TRY(wh_buf_add(out, text, (size_t)(at - text)));
        WH_TRY(wh_buf_adds(out, target));
        text = at + sizeof mark - 1;
    }
    return wh_buf_adds(out, text);
}

wh_status sql_statement_text(const struct sql_statements *s, struct wh_bytes token,
                             struct wh_buf *out, struct wh_error *reterr)
{
    const char *t = token.p;
    bool before = token.n > 1 && *t == SQL_STEP_BEFORE;
    size_t n = before ? s->n_before : s->n_after, at = 0;

    for (size_t i = 1; i < token.n && t[i] >= '0' && t[i] <= '9' && at <= n; i++)
        at = at * 10 + (size_t)(t[i] - '0');
    if (!sql_is_statement(token) || at >= n)
        return wh_fail(reterr, WH_E_STATE, "E7016", "the stored step is of another version");
    if (fill_target((before ? s->before : s->after)[at], s->target, out) != WH_OK)
        return wh_fail(reterr, WH_E_LIMIT, "E8001", "a statement of write.%s is too long",
                       before ? "before" : "after");
    return WH_OK;
}

wh_status sql_statement_steps(const struct sql_statements *s, enum wh_phase phase, uint32_t *id,
                              struct wh_step_sink *out, struct wh_error *reterr)
{
    size_t n = phase == WH_PREPARE ? s->n_before : phase == WH_FINISH ? s->n_after : 0;
    int st = WH_OK;

    for (size_t i = 0; i < n && st == WH_OK; i++) {
        struct wh_buf text = WH_BUF(SQL_TEXT_MAX);
        char token[16];
        int len = snprintf(token, sizeof token, "%c%zu",
                           phase == WH_PREPARE ? SQL_STEP_BEFORE : SQL_STEP_AFTER, i);
        struct wh_step step = {.id = *id + 1,
                               .after = *id,
                               .phase = phase,
                               .flags = WH_STEP_TRANSACTIONAL | WH_STEP_STATEMENT,
                               .token = {token, (size_t)len}};

        if (phase == WH_PREPARE && s->repeat)
            step.flags |= WH_STEP_REPEAT;
        st = sql_statement_text(s, step.token, &text, reterr);
        step.say = (struct wh_str){text.p ? text.p : "", text.n};
        if (st == WH_OK)
            st = out->add(out, &step);
        (*id)++;
        wh_buf_free(&text);
    }
    return st;
}
