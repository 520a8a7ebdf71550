/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "formats/csv/csv.h"

enum {
    MAX_INPUT = 1 << 16,
    COLUMNS_MAX = 5,
};

static struct wh_csv_format format(unsigned how)
{
    struct wh_csv_format f = {.dialect = wh_csv_dialect_default(), .crlf = how & 1};
    static const char *const delimiters[] = {",", "\t", "||", "ab"};
    const char *text = delimiters[how >> 1 & 3];
    f.dialect.delimiter_n = (uint8_t)strlen(text);
    memcpy(f.dialect.delimiter, text, f.dialect.delimiter_n);
    if (how & 8)
        f.dialect.escape = '\\';
    if (how & 16)
        f.dialect.quote = -1;
    if (how & 32)
        (void)wh_csv_add_null(&f.dialect, how & 64 ? WH_STR("NA") : WH_STR("\\N"));
    return f;
}

/* Cells end with 0xff; 0xfe ends a null; what is not UTF-8 is left out. */
static int64_t build(struct wh_builder *b, int64_t columns, const uint8_t *p, size_t n)
{
    int64_t cells = 0;
    size_t from = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < 0xfe)
            continue;
        struct wh_column *c = wh_builder_column(b, cells % columns);
        bool null = p[i] == 0xfe || !wh_utf8_valid((const char *)p + from, i - from);
        int st = null ? wh_col_null(c) : wh_col_bytes(c, p + from, i - from);
        FUZZ_CHECK(st == WH_OK);
        from = i + 1;
        cells++;
    }
    while (cells % columns)
        FUZZ_CHECK(wh_col_null(wh_builder_column(b, cells++ % columns)) == WH_OK);
    return cells / columns;
}

static wh_status no_reject(void *arg, const struct wh_text_reject *r)
{
    fprintf(stderr, "%s %s: %.*s\n", r->code, r->text, (int)r->raw.n, (const char *)r->raw.p);
    return WH_E_LIMIT;
}

/* Reads everything back; the batches' rows must be those of `views`. */
static void read_back(const struct wh_csv_format *f, const struct ArrowSchema *schema,
                      const struct wh_view *views, int64_t n_rows, const struct wh_buf *text,
                      int simd)
{
    struct wh_csv_config cfg = {.dialect = f->dialect,
                                .schema = schema,
                                .n_fields = schema->n_children,
                                .stop_at = -1,
                                .max_rows = -1,
                                .buffer = 2048,
                                .simd = simd,
                                .reject = no_reject};
    struct wh_csv_reader *r;
    struct wh_error err = {0};
    size_t at = 0;
    int64_t row = 0;
    FUZZ_CHECK(wh_csv_reader_new(&cfg, &r, &err) == WH_OK);
    for (int st = WH_OK; st != WH_END;) {
        struct wh_batch b = {0};
        struct wh_view got[COLUMNS_MAX];
        bool hungry;
        st = wh_csv_next(r, &b, &hungry, &err);
        FUZZ_CHECK(st == WH_OK || st == WH_END);
        if (st == WH_OK && hungry) {
            void *p;
            size_t room;
            FUZZ_CHECK(wh_csv_space(r, &p, &room, &err) == WH_OK);
            size_t k = text->n - at < room ? text->n - at : room;
            if (k)
                memcpy(p, text->p + at, k);
            at += k;
            wh_csv_filled(r, k, at == text->n);
        } else if (st == WH_OK) {
            FUZZ_CHECK(wh_views_init(schema, &b.rows, got, &err) == WH_OK);
            for (int64_t i = 0; i < b.n_rows; i++, row++) {
                FUZZ_CHECK(row < n_rows);
                for (int64_t c = 0; c < schema->n_children; c++) {
                    bool null = wh_view_null(&views[c], row), is = wh_view_null(&got[c], i);
                    FUZZ_CHECK(null == is);
                    if (null)
                        continue;
                    struct wh_bytes want = wh_view_bytes(&views[c], row),
                                    have = wh_view_bytes(&got[c], i);
                    FUZZ_CHECK(want.n == have.n && !memcmp(want.p, have.p, want.n));
                }
            }
            wh_batch_release(&b);
        }
    }
    FUZZ_CHECK(row == n_rows);
    wh_csv_reader_free(r);
}

/* Red when text that we write reads back as other cells, or NULL and empty are mixed up. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n < 2 || n > MAX_INPUT)
        return 0;
    int64_t columns = 1 + data[0] % COLUMNS_MAX;
    struct wh_csv_format f = format(data[1]);
    struct ArrowSchema schema;
    struct wh_builder *builder;
    struct wh_csv_writer *w;
    struct wh_view views[COLUMNS_MAX];
    struct wh_batch b = {0};
    struct wh_error err = {0};
    struct wh_buf text = WH_BUF(1 << 28);
    FUZZ_CHECK(wh_schema_init(&schema, columns) == WH_OK);
    for (int64_t c = 0; c < columns; c++) {
        struct wh_type t = {.kind = WH_K_UTF8, .nullable = true};
        FUZZ_CHECK(wh_schema_set(&schema, c, "c", &t, NULL) == WH_OK);
    }
    FUZZ_CHECK(wh_builder_new(&schema, &builder, &err) == WH_OK);
    int64_t rows = build(builder, columns, data + 2, n - 2);
    FUZZ_CHECK(wh_builder_finish(builder, &b) == WH_OK);
    FUZZ_CHECK(wh_views_init(&schema, &b.rows, views, &err) == WH_OK);
    FUZZ_CHECK(wh_csv_writer_new(&f, &schema, &w, &err) == WH_OK);
    int st = wh_csv_write(w, views, NULL, 0, rows, &text, &err);
    FUZZ_CHECK(st == WH_OK || (st == WH_E_DATA && f.dialect.quote < 0));
    if (st == WH_OK && f.dialect.quote >= 0)
        for (int simd = 0; simd <= 2; simd++)
            if (fuzz_turn(data[n - 1] + (unsigned)n, 3, (unsigned)simd))
                read_back(&f, &schema, views, rows, &text, simd);
    wh_csv_writer_free(w);
    wh_buf_free(&text);
    wh_batch_release(&b);
    wh_builder_free(builder);
    wh_schema_release(&schema);
    return 0;
}
