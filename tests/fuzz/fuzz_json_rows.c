/* SPDX-License-Identifier: Apache-2.0 */
#include "fuzz_rows.h"

enum {
    MAX_INPUT = 1 << 16,
    STEPS = 12,
    RANGES = 7,
    GOES = 12,
};

/* Reads [offset, n) as the configuration says, in steps. */
static void read_all(const struct wh_json_config *given, const uint8_t *p, size_t n, size_t step,
                     struct story *s)
{
    struct wh_json_config cfg = *given;
    struct wh_text_rows rows = {NULL, NULL};
    struct wh_error err = {0};
    cfg.reject = note_reject;
    cfg.arg = s;
    FUZZ_CHECK(wh_json_reader_new(&cfg, &rows.json, &err) == WH_OK);
    read_story(rows, cfg.schema, p, n, cfg.offset, step, cfg.stop_at >= 0 || cfg.max_rows >= 0, s);
}

static void make_schema(struct ArrowSchema *s, bool *places)
{
    static const struct {
        const char *name;
        enum wh_kind kind;
        enum wh_logical logical;
    } columns[] = {{"a", WH_K_I64, WH_L_NONE},   {"b", WH_K_UTF8, WH_L_NONE},
                   {"c", WH_K_UTF8, WH_L_JSON},  {"d", WH_K_F64, WH_L_NONE},
                   {"e", WH_K_BOOL, WH_L_NONE},  {"f", WH_K_DECTEXT, WH_L_NONE},
                   {"c.x", WH_K_I64, WH_L_NONE}, {"/c/0/y", WH_K_UTF8, WH_L_JSON}};
    FUZZ_CHECK(wh_schema_init(s, 8) == WH_OK);
    for (int i = 0; i < 8; i++) {
        struct wh_type t = {
            .kind = columns[i].kind, .nullable = true, .logical = columns[i].logical};
        FUZZ_CHECK(wh_schema_set(s, i, columns[i].name, &t, NULL) == WH_OK);
        places[i] = i >= 6;
    }
}

/* All windows and steps tell one story. */
static void check_steps(struct wh_json_config *cfg, const uint8_t *p, size_t n,
                        const struct story *rows, unsigned how)
{
    static const size_t steps[] = {1, 13, 64, 1 << 20};
    for (unsigned i = 0; i < 4; i++) {
        struct story a = new_story();
        if (!fuzz_turn(how >> 3, 4, i))
            continue;
        cfg->buffer = how & 64 ? 80 : 2048;
        cfg->plain = i & 1 ? how & 128 : !(how & 128); /* of each piece size one, in a replay */
        read_all(cfg, p, n, steps[i] < n / STEPS ? n / STEPS : steps[i], &a);
        FUZZ_CHECK(a.status == rows->status && !strcmp(a.code, rows->code));
        FUZZ_CHECK(a.status != WH_END || (same(&a, rows) && a.end == rows->end));
        forget(&a);
    }
    cfg->buffer = 2048;
    cfg->plain = false;
}

/* Ranges of lines, and readings that go on after a number of rows, tell the story of the whole. */
static void check_ranges(struct wh_json_config *cfg, const uint8_t *p, size_t n,
                         const struct story *rows, unsigned how)
{
    struct story a = new_story();
    bool lines = cfg->layout == WH_JSON_LINES;
    size_t unit = 1 + how % 61, start = 0;
    int64_t begin = 0;
    if (n / unit > RANGES)
        unit = n / RANGES + 1;
    for (int i = 0; i < GOES && (start < n || !lines); i++, start += unit) {
        cfg->offset = begin;
        cfg->inside = begin > 0;
        cfg->stop_at = lines && start + unit < n ? (int64_t)(start + unit) : -1;
        cfg->max_rows = lines || i == GOES - 1 ? -1 : 1;
        int64_t before = (int64_t)a.text.n + a.n_rejects;
        read_all(cfg, p, n, 1 << 20, &a);
        FUZZ_CHECK(a.status == WH_END);
        FUZZ_CHECK(cfg->stop_at < 0 || a.end >= cfg->stop_at || a.end == (int64_t)n);
        if (!lines &&
            (a.end == (int64_t)n || (begin == a.end && before == (int64_t)a.text.n + a.n_rejects)))
            break;
        begin = a.end;
    }
    FUZZ_CHECK(same(&a, rows));
    cfg->offset = 0;
    cfg->inside = false;
    cfg->stop_at = cfg->max_rows = -1;
    forget(&a);
}

/* Types that were guessed from all rows fit all rows: what is refused then is no JSON, no UTF-8, or
 * has a key twice. And what the writer makes of the rows reads back as the same rows. */
static void check_guess(const uint8_t *p, size_t n, unsigned how)
{
    struct wh_json_ask ask = {.lines = how & 1, .any_text = true};
    struct wh_json_shape shape;
    struct wh_json_guess *g = NULL;
    struct ArrowSchema schema;
    struct wh_error err;
    int64_t keys;
    if (wh_json_look(&ask, p, n, true, &shape, &err) != WH_OK)
        return;
    FUZZ_CHECK(shape.data_at <= n && wh_json_guess_new(&g) == WH_OK);
    FUZZ_CHECK(wh_json_guess_place(g, "a.b", &err) == WH_OK);
    FUZZ_CHECK(wh_json_guess_add(g, shape.layout, p + shape.data_at, n - shape.data_at, true,
                                 INT64_MAX) == WH_OK);
    int st = wh_json_guess_schema(g, &schema, &keys, &err);
    wh_json_guess_free(g);
    FUZZ_CHECK(st == WH_OK && keys <= schema.n_children && schema.n_children <= keys + 1);
    if (schema.n_children > 0 && schema.n_children < COLUMNS_MAX) {
        bool places[COLUMNS_MAX] = {false};
        places[keys] = true;
        struct story rows = new_story();
        struct wh_json_config cfg = {.schema = &schema,
                                     .places = places,
                                     .refuse_unknown = true,
                                     .layout = shape.layout,
                                     .offset = (int64_t)shape.data_at,
                                     .buffer = 2048,
                                     .stop_at = -1,
                                     .max_rows = -1};
        struct ArrowSchema raw;
        struct wh_type json = {.kind = WH_K_UTF8, .nullable = true, .logical = WH_L_JSON};
        struct story as_json = new_story();
        FUZZ_CHECK(wh_schema_init(&raw, schema.n_children) == WH_OK);
        for (int64_t i = 0; i < schema.n_children; i++)
            FUZZ_CHECK(wh_schema_set(&raw, i, schema.children[i]->name, &json, NULL) == WH_OK);
        cfg.schema = &raw;
        read_all(&cfg, p, n, 1 << 20, &as_json);
        cfg.schema = &schema;
        rows.else_bad = &as_json;
        read_all(&cfg, p, n, 1 << 20, &rows);
        FUZZ_CHECK(rows.status == as_json.status && rows.end == as_json.end);
        forget(&rows);
        forget(&as_json);
        wh_schema_release(&raw);
    }
    wh_schema_release(&schema);
}

static void check_write(struct wh_json_config *cfg, const uint8_t *p, size_t n,
                        const struct story *rows, bool array)
{
    struct wh_json_reader *r;
    struct wh_json_writer *w;
    struct wh_error err = {0};
    struct wh_buf text = WH_BUF(1 << 28);
    struct story back = new_story(), thrown = new_story();
    struct wh_view v[COLUMNS_MAX];
    void *space;
    size_t room;
    cfg->buffer = n + 1;
    cfg->reject = note_reject;
    cfg->arg = &thrown;
    FUZZ_CHECK(wh_json_reader_new(cfg, &r, &err) == WH_OK);
    FUZZ_CHECK(wh_json_writer_new(cfg->schema, array, &w, &err) == WH_OK);
    FUZZ_CHECK(wh_json_space(r, &space, &room, &err) == WH_OK && room >= n);
    memcpy(space, p, n);
    wh_json_filled(r, n, true);
    for (;;) {
        struct wh_batch b = {0};
        bool hungry;
        int st = wh_json_next(r, &b, &hungry, &err);
        if (st == WH_END)
            break;
        FUZZ_CHECK(st == WH_OK && !hungry);
        FUZZ_CHECK(wh_views_init(cfg->schema, &b.rows, v, &err) == WH_OK);
        FUZZ_CHECK(wh_json_write(w, v, NULL, 0, b.n_rows, &text, &err) == WH_OK);
        wh_batch_release(&b);
    }
    wh_json_reader_free(r);
    wh_json_writer_free(w);
    if (array)
        FUZZ_CHECK(wh_buf_addc(&text, ']') == WH_OK);
    /* Places are columns of that name now, and line ends within json columns blanks. */
    struct wh_json_config again = *cfg;
    again.layout = array ? WH_JSON_ARRAY : WH_JSON_LINES;
    again.places = NULL;
    again.buffer = 2048;
    again.max_row = 1 << 24;
    again.refuse_unknown = true;
    read_all(&again, (const uint8_t *)(text.p ? text.p : ""), text.n, 1 << 20, &back);
    FUZZ_CHECK(back.status == WH_END && !back.n_rejects && back.text.n == rows->text.n);
    for (size_t i = 0; i < back.text.n; i++) {
        char a = back.text.p[i], b = rows->text.p[i];
        FUZZ_CHECK(a == b || (a == ' ' && (b == '\n' || b == '\r')));
    }
    wh_buf_free(&text);
    forget(&back);
    forget(&thrown);
}

/* Red when a window, a way of feeding, a cut into ranges or writing changes what a file means, or
 * when a guess does not fit what it was made from. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
    if (n > MAX_INPUT || !n)
        return 0;
    unsigned how = data[n - 1] ^ (unsigned)n, choice = data[n / 2] + (unsigned)n;
    struct story rows = new_story();
    struct ArrowSchema schema;
    bool places[8];
    make_schema(&schema, places);
    struct wh_json_config cfg = {.schema = &schema,
                                 .places = places,
                                 .layout = (enum wh_json_layout)(data[0] % 3),
                                 .stop_at = -1,
                                 .max_rows = -1,
                                 .max_row = how & 16 ? 200 : 4096,
                                 .buffer = 2048};
    if (fuzz_turn(choice, 4, 3))
        check_guess(data, n, how);
    if (fuzz_turn(choice, 4, 0) || fuzz_turn(choice, 4, 1) || fuzz_turn(choice, 4, 2))
        read_all(&cfg, data, n, 1 << 20, &rows);
    if (fuzz_turn(choice, 4, 0))
        check_steps(&cfg, data, n, &rows, how);
    if (fuzz_turn(choice, 4, 1) && rows.status == WH_END)
        check_ranges(&cfg, data, n, &rows, how);
    if (fuzz_turn(choice, 4, 2) && rows.status == WH_END)
        check_write(&cfg, data, n, &rows, how & 1);
    forget(&rows);
    wh_schema_release(&schema);
    return 0;
}
