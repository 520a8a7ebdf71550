/* SPDX-License-Identifier: Apache-2.0 */
/* Lets csv_oracle.py drive the reader and the writer; all columns are text, or one is a double.
 *
 *     csv_tool read DELIMITER QUOTE ESCAPE SIMD BUFFER STEP N_FIELDS    stdin: a CSV file
 *         stdout: per row N_FIELDS cells and what else oracle_tool.h says
 *     csv_tool write DELIMITER QUOTE ESCAPE N_COLUMNS                   stdin: cells as above
 *         stdout: the CSV file
 *     csv_tool floats                                                   stdin: 8 bytes each
 *
 * QUOTE and ESCAPE are a character or "none". */
#include "oracle_tool.h"

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
    must(wh_schema_init(&s, n), NULL);
    for (int64_t i = 0; i < n; i++) {
        char name[24];
        snprintf(name, sizeof name, "c%lld", (long long)i);
        must(wh_schema_set(&s, i, name, &t, NULL), NULL);
    }
    return s;
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
                                .reject = note_reject,
                                .arg = &rejects};
    struct wh_text_rows rows = {NULL, NULL};
    struct wh_error err = {0};
    must(wh_csv_reader_new(&cfg, &rows.csv, &err), &err);
    return read_and_show(rows, &s, &rejects, strtoul(arg[5], NULL, 10));
}

/* Takes the schema and the batch. */
static int write_rows(struct ArrowSchema *s, struct wh_batch *b, const struct wh_csv_dialect *d)
{
    struct wh_csv_format f = {.dialect = *d};
    struct wh_buf out = WH_BUF(1 << 30);
    struct wh_view *v = views_of(s, b);
    struct wh_csv_writer *w;
    struct wh_error err = {0};
    must(wh_csv_writer_new(&f, s, &w, &err), &err);
    must(wh_csv_write(w, v, NULL, 0, b->n_rows, &out, &err), &err);
    fwrite(out.p ? out.p : "", 1, out.n, stdout);
    wh_csv_writer_free(w);
    wh_buf_free(&out);
    wh_batch_release(b);
    wh_schema_release(s);
    wh_free(v);
    return 0;
}

static wh_status put_text(struct wh_column *c, const char *s, size_t n)
{
    return wh_col_bytes(c, s, n);
}

static int write_csv(char **arg)
{
    struct wh_csv_dialect d = dialect(arg);
    struct ArrowSchema s = columns(strtol(arg[3], NULL, 10), WH_K_UTF8);
    struct wh_batch b = take_cells(&s, put_text);
    return write_rows(&s, &b, &d);
}

static int write_floats(void)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    struct ArrowSchema s = columns(1, WH_K_F64);
    struct wh_builder *builder;
    struct wh_batch b = {0};
    struct wh_error err = {0};
    size_t n;
    char *text = slurp(&n);
    must(wh_builder_new(&s, &builder, &err), &err);
    for (size_t at = 0; at + 8 <= n; at += 8) {
        double v;
        memcpy(&v, text + at, 8);
        must(wh_col_f64(wh_builder_column(builder, 0), v), NULL);
    }
    must(wh_builder_finish(builder, &b), NULL);
    wh_builder_free(builder);
    wh_free(text);
    return write_rows(&s, &b, &d);
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
