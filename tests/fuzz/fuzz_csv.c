/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz.h"

#include <string.h>

#include "core/hash.h"
#include "formats/csv/csv.h"

enum {
    MAX_INPUT = 1 << 16,
    STEPS = 24,
    RANGES = 7,
};

/* What a reading said: cells, rejects, end. */
struct story {
    struct wh_buf text;
    uint64_t rejects; /* sum of hashes: their order is not promised */
    int status;
    char code[6];
    int64_t end;
};

static wh_status on_reject(void *arg, const struct wh_text_reject *r)
{
    struct story *s = arg;
    char text[80];
    int n = snprintf(text, sizeof text, "%s@%lld+%zu", r->code, (long long)r->offset, r->raw.n);
    s->rejects += wh_hash64(text, (size_t)n, 1);
    return WH_OK;
}

static void tell(struct story *s, const struct ArrowSchema *schema, struct wh_batch *b)
{
    struct wh_view v[8];
    struct wh_error err;
    FUZZ_CHECK(wh_views_init(schema, &b->rows, v, &err) == WH_OK);
    for (int64_t r = 0; r < b->n_rows; r++) {
        for (int64_t c = 0; c < schema->n_children; c++) {
            if (wh_view_null(&v[c], r)) {
                FUZZ_CHECK(wh_buf_adds(&s->text, "N ") == WH_OK);
                continue;
            }
            struct wh_buf cell = WH_BUF(1 << 24);
            FUZZ_CHECK(wh_view_text(&v[c], r, &cell) == WH_OK);
            FUZZ_CHECK(v[c].type.kind != WH_K_UTF8 || !cell.n || wh_utf8_valid(cell.p, cell.n));
            FUZZ_CHECK(wh_buf_printf(&s->text, "%zu:", cell.n) == WH_OK);
            FUZZ_CHECK(wh_buf_add(&s->text, cell.p ? cell.p : "", cell.n) == WH_OK);
            wh_buf_free(&cell);
        }
        FUZZ_CHECK(wh_buf_addc(&s->text, '\n') == WH_OK);
    }
    wh_batch_release(b);
}

/* Reads [offset, n) as the configuration says, in steps. */
static void read_all(const struct wh_csv_config *given, const uint8_t *p, size_t n, size_t step,
                     struct story *rows)
{
    struct wh_csv_config cfg = *given;
    struct wh_csv_reader *r;
    struct wh_error err = {0};
    size_t at = (size_t)cfg.offset;
    cfg.reject = on_reject;
    cfg.arg = rows;
    FUZZ_CHECK(wh_csv_reader_new(&cfg, &r, &err) == WH_OK);
    int st = WH_OK;
    while (st == WH_OK) {
        struct wh_batch b = {0};
        bool hungry;
        void *space;
        size_t room;
        st = wh_csv_next(r, &b, &hungry, &err);
        if (st == WH_OK && !hungry)
            tell(rows, cfg.schema, &b);
        if (st != WH_OK || !hungry)
            continue;
        FUZZ_CHECK(wh_csv_space(r, &space, &room, &err) == WH_OK && room > 0);
        size_t k = n - at < step ? n - at : step;
        k = k < room ? k : room;
        memcpy(space, p + at, k);
        at += k;
        wh_csv_filled(r, k, at == n);
    }
    rows->status = st;
    memcpy(rows->code, err.code, sizeof rows->code);
    rows->end = wh_csv_offset(r);
    FUZZ_CHECK(rows->end >= cfg.offset && rows->end <= (int64_t)n);
    FUZZ_CHECK(st != WH_END || cfg.stop_at >= 0 || rows->end == (int64_t)n);
    wh_csv_reader_free(r);
}

static void forget(struct story *s)
{
    wh_buf_free(&s->text);
    *s = (struct story){.text = WH_BUF(1 << 28)};
}

static bool same(const struct story *a, const struct story *b)
{
    return a->text.n == b->text.n &&
           !memcmp(a->text.p ? a->text.p : "", b->text.p ? b->text.p : "", a->text.n);
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
        struct story a = {.text = WH_BUF(1 << 28)};
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

/* Ranges that begin where the one before ended tell the same story as the whole, and a walk that
 * converts nothing ends at the same places. */
static void check_ranges(struct wh_csv_config *cfg, const uint8_t *p, size_t n,
                         const struct story *rows, unsigned how)
{
    struct story a = {.text = WH_BUF(1 << 28)};
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
    struct story rows = {.text = WH_BUF(1 << 28)};
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
