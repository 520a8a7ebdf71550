/* SPDX-License-Identifier: Apache-2.0 */
/* Verdicts on rows: gathered while a send is judged, lent to the engine until the next call. */
#include "sql.h"

#include <stdio.h>
#include <stdlib.h>

static wh_status more(struct sql_verdicts *b)
{
    size_t cap = b->cap ? b->cap * 2 : 16;
    struct wh_verdict *v = wh_realloc(b->v, cap * sizeof *v);
    char(*text)[SQL_VERDICT_TEXT];

    if (!v)
        return WH_E_NOMEM;
    b->v = v;
    text = wh_realloc(b->text, cap * sizeof *text);
    if (!text)
        return WH_E_NOMEM;
    b->text = text;
    b->cap = cap;
    return WH_OK;
}

wh_status sql_judge(struct sql_verdicts *b, int64_t send, int64_t row, int32_t column,
                    const char *code, const char *fmt, ...)
{
    struct wh_verdict *v;
    va_list ap;

    if (b->n == b->cap && more(b) != WH_OK)
        return WH_E_NOMEM;
    va_start(ap, fmt);
    vsnprintf(b->text[b->n], SQL_VERDICT_TEXT, fmt, ap);
    va_end(ap);
    v = &b->v[b->n++];
    *v = (struct wh_verdict){.send = send, .row = row, .column = column};
    snprintf(v->code, sizeof v->code, "%s", code);
    return WH_OK;
}

static int by_row(const void *a, const void *b)
{
    const struct wh_verdict *p = a, *q = b;

    return p->row < q->row ? -1 : p->row > q->row;
}

/* Texts move with the array: they are tied in at the end. */
void sql_verdicts_lend(struct sql_verdicts *b, struct wh_acks *ret)
{
    for (size_t i = 0; i < b->n; i++)
        b->v[i].text = wh_str(b->text[i]);
    if (b->n > 1)
        qsort(b->v, b->n, sizeof *b->v, by_row);
    ret->bad = b->v;
    ret->n_bad = b->n;
}

void sql_verdicts_free(struct sql_verdicts *b)
{
    wh_free(b->v);
    wh_free(b->text);
    *b = (struct sql_verdicts){0};
}
