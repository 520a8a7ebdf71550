/* SPDX-License-Identifier: Apache-2.0 */
/* What csv_tool and json_tool share. Cells go in and out as "N\n" for NULL, else
 * "<bytes>\n<text>\n"; behind them come rejects, on lines that begin with '!', and what ended the
 * reading, on one with '?'. oracle.py is the other side. */
#ifndef WHERRY_TESTS_UNIT_ORACLE_TOOL_H
#define WHERRY_TESTS_UNIT_ORACLE_TOOL_H

#include <stdio.h>
#include <stdlib.h>

#include "../lib/read_rows.h"
#include "data/view.h"

static inline void must(int st, const struct wh_error *err)
{
    if (st == WH_OK)
        return;
    fprintf(stderr, "%s\n", err && err->message[0] ? err->message : wh_status_name(st));
    exit(3);
}

/* All of standard input. */
static inline char *slurp(size_t *ret_n)
{
    struct wh_buf b = WH_BUF(1 << 30);
    size_t k = 1;
    while (k) {
        must(wh_buf_reserve(&b, 65536), NULL);
        k = fread(b.p + b.n, 1, 65536, stdin);
        b.n += k;
    }
    *ret_n = b.n;
    return b.p;
}

/* arg: a struct wh_buf */
static inline wh_status note_reject(void *arg, const struct wh_text_reject *r)
{
    return wh_buf_printf(arg, "!%s %lld %lld %s\n", r->code, (long long)r->line,
                         (long long)r->offset, r->text);
}

static inline void show_cell(const struct wh_view *v, int64_t row)
{
    struct wh_buf cell = WH_BUF(1 << 28);
    if (wh_view_null(v, row)) {
        puts("N");
        return;
    }
    must(wh_view_text(v, row, &cell), NULL);
    printf("%zu\n", cell.n);
    fwrite(cell.n ? cell.p : "", 1, cell.n, stdout);
    putchar('\n');
    wh_buf_free(&cell);
}

/* arg: the schema */
static inline void show_batch(void *arg, struct wh_batch *b)
{
    const struct ArrowSchema *s = arg;
    struct wh_view *v = wh_calloc((size_t)s->n_children + 1, sizeof *v);
    struct wh_error err = {0};
    must(v ? wh_views_init(s, &b->rows, v, &err) : WH_E_NOMEM, &err);
    for (int64_t r = 0; r < b->n_rows; r++)
        for (int64_t c = 0; c < s->n_children; c++)
            show_cell(&v[c], r);
    wh_free(v);
    wh_batch_release(b);
}

/* Reads standard input with a reader that notes its rejects in `rejects`; takes all three. */
static inline int read_and_show(struct wh_text_rows rows, struct ArrowSchema *schema,
                                struct wh_buf *rejects, size_t step)
{
    size_t n;
    char *text = slurp(&n);
    struct wh_error err = {0};
    if (read_rows(&rows, text, n, 0, step, show_batch, schema, &err) != WH_END)
        printf("?%s %s\n", err.code, err.message);
    fwrite(rejects->p ? rejects->p : "", 1, rejects->n, stdout);
    wh_text_rows_free(&rows);
    wh_schema_release(schema);
    wh_free(text);
    wh_buf_free(rejects);
    return 0;
}

/* Cells from standard input as a batch; `put` takes the text of one. */
static inline struct wh_batch take_cells(const struct ArrowSchema *s,
                                         wh_status (*put)(struct wh_column *, const char *, size_t))
{
    struct wh_builder *builder;
    struct wh_error err = {0};
    struct wh_batch b = {0};
    size_t n, at = 0;
    char *text = slurp(&n);
    must(wh_builder_new(s, &builder, &err), &err);
    for (int64_t c = 0; at < n; c = (c + 1) % s->n_children) {
        struct wh_column *column = wh_builder_column(builder, c);
        char *end;
        if (text[at] == 'N') {
            at += 2;
            must(wh_col_null(column), NULL);
            continue;
        }
        size_t k = strtoul(text + at, &end, 10);
        must(put(column, end + 1, k), NULL);
        at = (size_t)(end + 1 - text) + k + 1;
    }
    must(wh_builder_finish(builder, &b), NULL);
    wh_builder_free(builder);
    wh_free(text);
    return b;
}

/* Views of a batch for a writer; wh_free. */
static inline struct wh_view *views_of(const struct ArrowSchema *s, const struct wh_batch *b)
{
    struct wh_view *v = wh_calloc((size_t)s->n_children + 1, sizeof *v);
    struct wh_error err = {0};
    must(v ? wh_views_init(s, &b->rows, v, &err) : WH_E_NOMEM, &err);
    return v;
}

#endif
