/* SPDX-License-Identifier: Apache-2.0 */
/* Lets csv_oracle.py drive the reader and the writer; all columns are text, or one is a double.
 *
 *     csv_tool read DELIMITER QUOTE ESCAPE SIMD BUFFER STEP N_FIELDS    stdin: a CSV file
 *         stdout: per row N_FIELDS cells: "N\n" for null, else "<bytes>\n<text>\n"; then the
 *         rejects on lines that begin with '!'
 *     csv_tool write DELIMITER QUOTE ESCAPE N_COLUMNS                   stdin: cells as above
 *         stdout: the CSV file
 *     csv_tool floats                                                   stdin: 8 bytes each
 *
 * QUOTE and ESCAPE are a character or "none". */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "formats/csv/csv.h"

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

static struct wh_csv_dialect dialect(char **arg)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    d.delimiter_n = (uint8_t)strlen(arg[0]);
    memcpy(d.delimiter, arg[0], d.delimiter_n);
    d.quote = strcmp(arg[1], "none") ? arg[1][0] : -1;
    d.escape = strcmp(arg[2], "none") ? arg[2][0] : -1;
    return d;
}

static struct ArrowSchema columns(int64_t n, enum wh_kind kind)
{
    struct ArrowSchema s;
    struct wh_type t = {.kind = kind, .nullable = true};
    if (wh_schema_init(&s, n) != WH_OK)
        exit(3);
    for (int64_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "c%lld", (long long)i);
        if (wh_schema_set(&s, i, name, &t, NULL) != WH_OK)
            exit(3);
    }
    return s;
}

static wh_status on_reject(void *arg, const struct wh_text_reject *r)
{
    struct wh_buf *b = arg;
    return wh_buf_printf(b, "!%s %lld %lld\n", r->code, (long long)r->line, (long long)r->offset);
}

static void show(const struct ArrowSchema *s, struct wh_batch *b)
{
    struct wh_view *v = wh_calloc((size_t)s->n_children + 1, sizeof *v);
    struct wh_error err;
    if (!v || wh_views_init(s, &b->rows, v, &err) != WH_OK)
        exit(3);
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < s->n_children; c++) {
            if (wh_view_null(&v[c], r)) {
                puts("N");
                continue;
            }
            struct wh_bytes cell = wh_view_bytes(&v[c], r);
            printf("%zu\n", cell.n);
            fwrite(cell.p, 1, cell.n, stdout);
            putchar('\n');
        }
    }
    wh_free(v);
    wh_batch_release(b);
}

static int read_csv(char **arg)
{
    struct wh_buf rejects = WH_BUF(1 << 26);
    struct ArrowSchema s = columns(strtol(arg[6], NULL, 10), WH_K_UTF8);
    struct wh_csv_config cfg = {.dialect = dialect(arg),
                                .schema = &s,
                                .n_fields = s.n_children,
                                .line = 1,
                                .stop_at = -1,
                                .max_rows = -1,
                                .simd = (int)strtol(arg[3], NULL, 10),
                                .buffer = strtoul(arg[4], NULL, 10),
                                .reject = on_reject,
                                .arg = &rejects};
    size_t n, at = 0, step = strtoul(arg[5], NULL, 10);
    char *text = slurp(&n);
    struct wh_csv_reader *r;
    struct wh_error err = {0};
    int st = wh_csv_reader_new(&cfg, &r, &err);
    while (st == WH_OK) {
        struct wh_batch b = {0};
        bool hungry;
        void *p;
        size_t space;
        st = wh_csv_next(r, &b, &hungry, &err);
        if (st == WH_OK && !hungry)
            show(&s, &b);
        if (st != WH_OK || !hungry)
            continue;
        st = wh_csv_space(r, &p, &space, &err);
        size_t k = n - at < step ? n - at : step;
        k = k < space ? k : space;
        memcpy(p, text + at, k);
        at += k;
        wh_csv_filled(r, k, at == n);
    }
    if (st != WH_END)
        printf("?%s %s\n", err.code, err.message);
    fwrite(rejects.p ? rejects.p : "", 1, rejects.n, stdout);
    wh_csv_reader_free(r);
    wh_schema_release(&s);
    wh_free(text);
    wh_buf_free(&rejects);
    return 0;
}

static void write_rows(struct wh_builder *builder, const struct ArrowSchema *s,
                       const struct wh_csv_dialect *d)
{
    struct wh_csv_format f = {.dialect = *d};
    struct wh_buf out = WH_BUF(1 << 30);
    struct wh_view *v = wh_calloc((size_t)s->n_children + 1, sizeof *v);
    struct wh_csv_writer *w;
    struct wh_batch b = {0};
    struct wh_error err = {0};
    if (!v || wh_csv_writer_new(&f, s, &w, &err) != WH_OK ||
        wh_builder_finish(builder, &b) != WH_OK || wh_views_init(s, &b.rows, v, &err) != WH_OK ||
        wh_csv_write(w, v, NULL, 0, b.n_rows, &out, &err) != WH_OK) {
        fprintf(stderr, "%s\n", err.message);
        exit(3);
    }
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    wh_csv_writer_free(w);
    wh_buf_free(&out);
    wh_batch_release(&b);
    wh_free(v);
}

static int write_csv(char **arg)
{
    struct wh_csv_dialect d = dialect(arg);
    struct ArrowSchema s = columns(strtol(arg[3], NULL, 10), WH_K_UTF8);
    struct wh_builder *builder;
    struct wh_error err;
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
        if (wh_col_bytes(col, end, k) != WH_OK)
            return 3;
        at = (size_t)(end - text) + k + 1;
    }
    write_rows(builder, &s, &d);
    wh_builder_free(builder);
    wh_schema_release(&s);
    wh_free(text);
    return 0;
}

static int write_floats(void)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    struct ArrowSchema s = columns(1, WH_K_F64);
    struct wh_builder *builder;
    struct wh_error err;
    size_t n;
    char *text = slurp(&n);
    if (wh_builder_new(&s, &builder, &err) != WH_OK)
        return 3;
    for (size_t at = 0; at + 8 <= n; at += 8) {
        double v;
        memcpy(&v, text + at, 8);
        if (wh_col_f64(wh_builder_column(builder, 0), v) != WH_OK)
            return 3;
    }
    write_rows(builder, &s, &d);
    wh_builder_free(builder);
    wh_schema_release(&s);
    wh_free(text);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 9 && !strcmp(argv[1], "read"))
        return read_csv(argv + 2);
    if (argc == 6 && !strcmp(argv[1], "write"))
        return write_csv(argv + 2);
    if (argc == 2 && !strcmp(argv[1], "floats"))
        return write_floats();
    return 2;
}
