/* SPDX-License-Identifier: Apache-2.0 */
/* Lets json_oracle.py drive the reader and the writer.
 *
 *     json_tool read LAYOUT BUFFER STEP TYPES NAME...     stdin: a JSON text; LAYOUT lines, array,
 *         values; TYPES: a letter per name: j = json, t = text, d = decimal, i = int64, f = double
 *         stdout: per row a cell per name: "N\n" for null, else "<bytes>\n<text>\n"; then the
 * rejects on lines that begin with '!' json_tool write LAYOUT TYPES NAME...                stdin:
 * cells as above; stdout: the text */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/number.h"
#include "data/view.h"
#include "formats/json/json.h"

static char *slurp(size_t *ret_n)
{
    struct wh_buf b = WH_BUF(1 << 30);
    size_t k = 1;
    while (k) {
        if (wh_buf_reserve(&b, 65536) != WH_OK)
            exit(3);
        k = fread(b.p + b.n, 1, 65536, stdin);
        b.n += k;
    }
    *ret_n = b.n;
    return b.p;
}

static enum wh_json_layout layout(const char *word)
{
    return !strcmp(word, "lines")   ? WH_JSON_LINES
           : !strcmp(word, "array") ? WH_JSON_ARRAY
                                    : WH_JSON_VALUES;
}

static struct ArrowSchema columns(const char *types, char **names)
{
    struct ArrowSchema s;
    if (wh_schema_init(&s, (int64_t)strlen(types)) != WH_OK)
        exit(3);
    for (int64_t i = 0; types[i]; i++) {
        struct wh_type t = WH_TYPE(WH_K_UTF8);
        t.logical = types[i] == 'j' ? WH_L_JSON : WH_L_NONE;
        t.kind = types[i] == 'd'   ? WH_K_DECTEXT
                 : types[i] == 'i' ? WH_K_I64
                 : types[i] == 'f' ? WH_K_F64
                                   : WH_K_UTF8;
        if (wh_schema_set(&s, i, names[i], &t, NULL) != WH_OK)
            exit(3);
    }
    return s;
}

static wh_status on_reject(void *arg, const struct wh_text_reject *r)
{
    return wh_buf_printf(arg, "!%s %lld %lld %s\n", r->code, (long long)r->line,
                         (long long)r->offset, r->text);
}

static void show(const struct ArrowSchema *s, struct wh_batch *b)
{
    struct wh_view *v = wh_calloc((size_t)s->n_children + 1, sizeof *v);
    struct wh_error err;
    if (!v || wh_views_init(s, &b->rows, v, &err) != WH_OK)
        exit(3);
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < s->n_children; c++) {
            struct wh_buf cell = WH_BUF(1 << 28);
            if (wh_view_null(&v[c], r)) {
                puts("N");
                continue;
            }
            if (wh_view_text(&v[c], r, &cell) != WH_OK)
                exit(3);
            printf("%zu\n", cell.n);
            fwrite(cell.n ? cell.p : "", 1, cell.n, stdout);
            putchar('\n');
            wh_buf_free(&cell);
        }
    }
    wh_free(v);
    wh_batch_release(b);
}

static int read_json(char **arg)
{
    struct wh_buf rejects = WH_BUF(1 << 26);
    struct ArrowSchema s = columns(arg[3], arg + 4);
    bool *places = wh_calloc((size_t)s.n_children + 1, sizeof *places);
    struct wh_json_config cfg = {.schema = &s,
                                 .places = places,
                                 .layout = layout(arg[0]),
                                 .buffer = strtoul(arg[1], NULL, 10),
                                 .line = 1,
                                 .stop_at = -1,
                                 .max_rows = -1,
                                 .reject = on_reject,
                                 .arg = &rejects};
    size_t n, at = 0, step = strtoul(arg[2], NULL, 10);
    char *text = slurp(&n);
    struct wh_json_reader *r = NULL;
    struct wh_error err = {0};
    for (int64_t i = 0; i < s.n_children; i++)
        places[i] = arg[4 + i][0] == '/';
    int st = wh_json_reader_new(&cfg, &r, &err);
    while (st == WH_OK) {
        struct wh_batch b = {0};
        bool hungry;
        void *p;
        size_t space;
        st = wh_json_next(r, &b, &hungry, &err);
        if (st == WH_OK && !hungry)
            show(&s, &b);
        if (st != WH_OK || !hungry)
            continue;
        st = wh_json_space(r, &p, &space, &err);
        size_t k = n - at < step ? n - at : step;
        k = k < space ? k : space;
        memcpy(p, text + at, k);
        at += k;
        wh_json_filled(r, k, at == n);
    }
    if (st != WH_END)
        printf("?%s %s\n", err.code, err.message);
    fwrite(rejects.p ? rejects.p : "", 1, rejects.n, stdout);
    wh_json_reader_free(r);
    wh_schema_release(&s);
    wh_free(places);
    wh_free(text);
    wh_buf_free(&rejects);
    return 0;
}

static int put(struct wh_column *c, const char *s, size_t n)
{
    int64_t i;
    double f;
    if (c->type.kind == WH_K_I64)
        return wh_read_i64(s, n, &i) ? wh_col_i64(c, i) : WH_E_DATA;
    if (c->type.kind == WH_K_F64)
        return wh_read_f64(s, n, &f) ? wh_col_f64(c, f) : WH_E_DATA;
    return wh_col_bytes(c, s, n);
}

static int write_json(char **arg)
{
    struct ArrowSchema s = columns(arg[1], arg + 2);
    struct wh_builder *builder;
    struct wh_json_writer *w;
    struct wh_view *v = wh_calloc((size_t)s.n_children + 1, sizeof *v);
    struct wh_batch b = {0};
    struct wh_buf out = WH_BUF(1 << 30);
    struct wh_error err = {0};
    bool array = layout(arg[0]) == WH_JSON_ARRAY;
    size_t n, at = 0;
    char *text = slurp(&n);
    if (wh_builder_new(&s, &builder, &err) != WH_OK)
        return 3;
    for (int64_t c = 0; at < n; c = (c + 1) % s.n_children) {
        struct wh_column *col = wh_builder_column(builder, c);
        char *end;
        if (text[at] == 'N') {
            at += 2;
            if (wh_col_null(col) != WH_OK)
                return 3;
            continue;
        }
        size_t k = strtoul(text + at, &end, 10);
        end++;
        if (put(col, end, k) != WH_OK)
            return 3;
        at = (size_t)(end - text) + k + 1;
    }
    if (!v || wh_builder_finish(builder, &b) != WH_OK ||
        wh_views_init(&s, &b.rows, v, &err) != WH_OK ||
        wh_json_writer_new(&s, array, &w, &err) != WH_OK ||
        wh_json_write(w, v, NULL, 0, b.n_rows, &out, &err) != WH_OK)
        return 3;
    printf("%s", array ? "[\n" : "");
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    printf("%s", array ? "\n]\n" : "");
    wh_json_writer_free(w);
    wh_buf_free(&out);
    wh_batch_release(&b);
    wh_free(v);
    wh_builder_free(builder);
    wh_schema_release(&s);
    wh_free(text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc > 6 && !strcmp(argv[1], "read"))
        return read_json(argv + 2);
    if (argc > 4 && !strcmp(argv[1], "write"))
        return write_json(argv + 2);
    return 2;
}
