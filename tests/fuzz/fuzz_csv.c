/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_rows.h"

enum {
    MAX_INPUT = 1 << 16,
    STEPS = 24,
    RANGES = 7,
};

/* Reads [offset, n) as the configuration says, in steps. */
static void read_all(const struct wh_csv_config *given, const uint8_t *p, size_t n, size_t step,
                     struct story *s)
{
    struct wh_csv_config cfg = *given;
    struct wh_text_rows rows = {NULL, NULL};
    struct wh_error err = {0};
    cfg.reject = note_reject;
    cfg.arg = s;
    FUZZ_CHECK(wh_csv_reader_new(&cfg, &rows.csv, &err) == WH_OK);
    read_story(rows, cfg.schema, p, n, cfg.offset, step, cfg.stop_at >= 0, s);
}

static struct wh_csv_dialect dialect(unsigned how)
{
    struct wh_csv_dialect d = wh_csv_dialect_default();
    static const char *const delimiters[] = {",", ";", "\t", "||"};
    const char *text = delimiters[how & 3];
    d.delimiter_n = (uint8_t)strlen(text);
    memcpy(d.delimiter, text, d.delimiter_n);
    if ((how & 12) == 4)
        d.escape = '\\';
    if ((how & 12) == 8)
        d.quote = -1;
    if ((how & 12) == 12)
        d.comment = '#';
    d.max_row = how & 16 ? 200 : 4096;
    if (how & 32)
        (void)wh_csv_add_null(&d, WH_STR("NA"));
    return d;
}

static void make_schema(struct ArrowSchema *s, int64_t columns)
{
    static const enum wh_kind kinds[] = {WH_K_UTF8, WH_K_I64, WH_K_UTF8, WH_K_F64, WH_K_DATE32};
    FUZZ_CHECK(wh_schema_init(s, columns) == WH_OK);
    for (int64_t i = 0; i < columns; i++) {
        struct wh_type t = {.kind = kinds[i % 5], .nullable = true};
        FUZZ_CHECK(wh_schema_set(s, i, "c", &t, NULL) == WH_OK);
    }
}

/* All kernels, windows and steps tell one story. Each step indexes what is in the window again. */
static void check_kernels(struct wh_csv_config *cfg, const uint8_t *p, size_t n,
                          const struct story *rows, unsigned how)
{
    static const size_t steps[] = {1 << 20, 1, 13, 64};
    for (int simd = 0; simd <= 2; simd++) {
        struct story a = new_story();
        size_t step = steps[(how + (unsigned)simd) & 3];
        if (!fuzz_turn(how >> 3, 3, (unsigned)simd))
            continue;
        cfg->simd = simd;
        cfg->buffer = how & 64 ? 80 : 2048;
        read_all(cfg, p, n, step < n / STEPS ? n / STEPS : step, &a);
        FUZZ_CHECK(a.status == rows->status && !strcmp(a.code, rows->code));
        FUZZ_CHECK(a.status != WH_END || same(&a, rows));
        FUZZ_CHECK(a.status != WH_END || a.end == rows->end);
        forget(&a);
    }
    cfg->simd = -1;
    cfg->buffer = 2048;
}

/* A walk from the first record to `stop_at` that converts nothing. */
static void check_pass(const struct wh_csv_config *given, const uint8_t *p, size_t n, size_t step,
                       int64_t end)
{
    struct wh_csv_config cfg = *given;
    struct wh_text_rows rows = {NULL, NULL};
    struct wh_error err = {0};
    size_t at = 0;
    int st;
    cfg.offset = 0;
    FUZZ_CHECK(wh_csv_reader_new(&cfg, &rows.csv, &err) == WH_OK);
    while ((st = wh_csv_pass(rows.csv, &err)) == WH_OK) {
        void *room;
        size_t k;
        FUZZ_CHECK(wh_csv_space(rows.csv, &room, &k, &err) == WH_OK && at <= n);
        k = n - at < k ? n - at : k;
        k = step < k ? step : k;
        memcpy(room, p + at, k);
        at += k;
        wh_csv_filled(rows.csv, k, at == n);
    }
    /* Who stops before a closing 0x1A has not seen that it is the last byte: no record either way.
     */
    bool mark = end == (int64_t)n && p[n - 1] == 0x1a && wh_csv_offset(rows.csv) == end - 1;
    FUZZ_CHECK(st == WH_END && (mark || wh_csv_offset(rows.csv) == end));
    wh_text_rows_free(&rows);
}

/* Ranges that begin where the one before ended tell the same story as the whole, and a walk that
 * converts nothing ends at the same places. */
static void check_ranges(struct wh_csv_config *cfg, const uint8_t *p, size_t n,
                         const struct story *rows, unsigned how)
{
    struct story a = new_story();
    size_t unit = 1 + how % 61;
    int64_t begin = 0;
    if (n / unit > RANGES)
        unit = n / RANGES + 1;
    for (size_t start = 0; start < n; start += unit) {
        cfg->offset = begin;
        cfg->stop_at = start + unit < n ? (int64_t)(start + unit) : -1;
        read_all(cfg, p, n, 1 << 20, &a);
        FUZZ_CHECK(a.status == WH_END);
        FUZZ_CHECK(cfg->stop_at < 0 || a.end >= cfg->stop_at || a.end == (int64_t)n ||
                   a.end == begin);
        if (start / unit % 3 == how % 3)
            check_pass(cfg, p, n, n / 5 + 1, a.end);
        begin = a.end;
        int64_t at = start ? wh_csv_sync(&cfg->dialect, p + start - 1, n - start + 1,
                                         wh_csv_guess_place(&cfg->dialect, p + start - 1,
                                                            n - start + 1, cfg->n_fields))
                           : 0;
        FUZZ_CHECK(at >= -1 && at <= (int64_t)(n - start + 1));
    }
    FUZZ_CHECK(same(&a, rows));
    cfg->offset = 0;
    cfg->stop_at = -1;
    forget(&a);
}

static void check_look(const uint8_t *p, size_t n, unsigned how)
{
    struct wh_csv_ask ask = {.dialect = dialect(how),
                             .delimiter_auto = how & 1,
                             .header = (enum wh_csv_header)(how % 3),
                             .any_text = how & 2};
    struct wh_csv_shape shape;
    struct wh_csv_guess *g = NULL;
    struct ArrowSchema schema;
    struct wh_error err;
    char note[200] = "";
    bool whole = how & 4;
    if (wh_csv_look(&ask, p, n, whole, &shape, &err) != WH_OK)
        return;
    FUZZ_CHECK(shape.data_at <= n && shape.n_columns >= 1 && shape.n_columns <= shape.n_fields);
    FUZZ_CHECK(wh_csv_guess_new(shape.n_columns, &g) == WH_OK);
    FUZZ_CHECK(wh_csv_guess_add(g, &shape, p + shape.data_at, n - shape.data_at, whole, 100) ==
               WH_OK);
    if (wh_csv_guess_schema(g, shape.names, false, &shape.dialect, &schema, note, sizeof note) ==
        WH_OK)
        wh_schema_release(&schema);
    wh_csv_guess_free(g);
    wh_csv_shape_free(&shape);
}

/* Red when a kernel, a window, a way of feeding or a cut into ranges changes what a file means, or
 * when looking at it reads outside of it. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > MAX_INPUT || !n)
        return 0;
    unsigned how = data[n - 1] ^ (unsigned)n;
    struct story rows = new_story();
    struct ArrowSchema schema;
    make_schema(&schema, 1 + how % 5);
    struct wh_csv_config cfg = {.dialect = dialect(how),
                                .schema = &schema,
                                .n_fields = schema.n_children,
                                .stop_at = -1,
                                .max_rows = -1,
                                .buffer = 2048,
                                .simd = -1};
    unsigned choice = data[n / 2] + (unsigned)n;
    bool kernels = fuzz_turn(choice, 4, 0) || fuzz_turn(choice, 4, 1);
    bool ranges = fuzz_turn(choice, 4, 2);
    if (kernels || ranges)
        read_all(&cfg, data, n, 1 << 20, &rows);
    if (kernels)
        check_kernels(&cfg, data, n, &rows, how);
    if (ranges && rows.status == WH_END)
        check_ranges(&cfg, data, n, &rows, how);
    if (fuzz_turn(choice, 4, 3))
        check_look(data, n, how);
    forget(&rows);
    wh_schema_release(&schema);
    return 0;
}
