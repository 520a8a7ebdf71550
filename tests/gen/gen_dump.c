/* SPDX-License-Identifier: Apache-2.0 */
/* gen_dump SHAPE FIRST END [OPTION=VALUE...]: rows [FIRST, END) of a gen table as the connector's
 * reader gives them, one JSON array a line, straight from the Arrow buffers, so that gen_ref.py can
 * compare every bit. Last line: {"rows": n, "hash": "..."}, the row hash of all of them.
 *
 * Numbers, dates and times are their stored integers; floats are the hex digits of their bits
 * (every NaN "nan"); decimals the hex digits of their two's complement; bytes "hex:..."; intervals
 * [months, days, ns]; structs arrays; maps arrays of pairs.
 *
 * gen_dump SHAPE schema [OPTION=VALUE...]: the columns, one JSON array [name, type, nullable, key]
 * a line. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <wherry/connector.h>
#include "core/options.h"
#include "data/rowhash.h"
#include "data/view.h"

extern const struct wh_connector wh_connector_gen;

static const struct wh_source_ops *gen;

/* A stop with words: this is a test's tool. */
static void check(int st, const struct wh_error *err)
{
    if (st == WH_OK)
        return;
    fprintf(stderr, "gen_dump: %s %s: %s\n", wh_status_name(st), err->code, err->message);
    exit(1);
}

static int add_value(struct wh_buf *, const struct wh_view *, int64_t row);

static int add_float(struct wh_buf *b, const struct wh_view *v, int64_t i)
{
    if (v->type.kind == WH_K_F32) {
        float f = ((const float *)v->data)[v->offset + i];
        uint32_t bits;

        memcpy(&bits, &f, 4);
        return isnan(f) ? wh_buf_adds(b, "\"nan\"") : wh_buf_printf(b, "\"%08x\"", bits);
    }
    double d = ((const double *)v->data)[v->offset + i];
    uint64_t bits;

    memcpy(&bits, &d, 8);
    return isnan(d) ? wh_buf_adds(b, "\"nan\"")
                    : wh_buf_printf(b, "\"%016llx\"", (unsigned long long)bits);
}

static int add_words(struct wh_buf *b, const struct wh_view *v, int64_t i, int words)
{
    const uint64_t *p = (const uint64_t *)v->data + (v->offset + i) * words;

    WH_TRY(wh_buf_addc(b, '"'));
    for (int k = words; k-- > 0;)
        WH_TRY(wh_buf_printf(b, "%016llx", (unsigned long long)p[k]));
    return wh_buf_addc(b, '"');
}

static int add_bytes(struct wh_buf *b, struct wh_bytes v)
{
    WH_TRY(wh_buf_adds(b, "\"hex:"));
    for (size_t i = 0; i < v.n; i++)
        WH_TRY(wh_buf_printf(b, "%02x", ((const uint8_t *)v.p)[i]));
    return wh_buf_addc(b, '"');
}

static int add_interval(struct wh_buf *b, const struct wh_view *v, int64_t i)
{
    const uint8_t *p = (const uint8_t *)v->data + (v->offset + i) * 16;
    int32_t md[2];
    int64_t ns;

    memcpy(md, p, 8);
    memcpy(&ns, p + 8, 8);
    return wh_buf_printf(b, "[%d,%d,%lld]", md[0], md[1], (long long)ns);
}

static int add_list(struct wh_buf *b, const struct wh_view *v, int64_t i)
{
    struct wh_view items;
    int32_t from = v->offsets[v->offset + i], to = v->offsets[v->offset + i + 1];

    WH_TRY(wh_view_child(v, 0, &items, NULL));
    WH_TRY(wh_buf_addc(b, '['));
    for (int32_t k = from; k < to; k++) {
        if (k > from)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(add_value(b, &items, k));
    }
    return wh_buf_addc(b, ']');
}

static int add_struct(struct wh_buf *b, const struct wh_view *v, int64_t i)
{
    WH_TRY(wh_buf_addc(b, '['));
    for (int64_t k = 0; k < v->field->n_children; k++) {
        struct wh_view child;

        WH_TRY(wh_view_child(v, k, &child, NULL));
        if (k)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(add_value(b, &child, i));
    }
    return wh_buf_addc(b, ']');
}

static int add_dict(struct wh_buf *b, const struct wh_view *v, int64_t i)
{
    struct wh_view values;

    WH_TRY(wh_view_child(v, 0, &values, NULL));
    return add_value(b, &values, ((const int32_t *)v->data)[v->offset + i]);
}

static int add_value(struct wh_buf *b, const struct wh_view *v, int64_t i)
{
    struct wh_bytes bytes;

    if (wh_view_null(v, i))
        return wh_buf_adds(b, "null");
    switch (v->type.kind) {
    case WH_K_BOOL:
        return wh_buf_adds(b, wh_view_i64(v, i) ? "true" : "false");
    case WH_K_U64:
        return wh_buf_printf(b, "%llu", (unsigned long long)wh_view_u64(v, i));
    case WH_K_F32:
    case WH_K_F64:
        return add_float(b, v, i);
    case WH_K_DEC128:
        return add_words(b, v, i, 2);
    case WH_K_DEC256:
        return add_words(b, v, i, 4);
    case WH_K_UTF8:
    case WH_K_DECTEXT:
        bytes = wh_view_bytes(v, i);
        return wh_buf_json(b, bytes.p, bytes.n);
    case WH_K_BINARY:
    case WH_K_FIXED:
        return add_bytes(b, wh_view_bytes(v, i));
    case WH_K_INTERVAL:
        return add_interval(b, v, i);
    case WH_K_LIST:
    case WH_K_MAP:
        return add_list(b, v, i);
    case WH_K_STRUCT:
        return add_struct(b, v, i);
    case WH_K_DICT:
        return add_dict(b, v, i);
    default:
        return wh_buf_printf(b, "%lld", (long long)wh_view_i64(v, i));
    }
}

static void print_batch(const struct ArrowSchema *schema, struct wh_batch *batch,
                        struct wh_rowsum *sum)
{
    struct wh_error err = {0};
    struct wh_buf line WH_CLEANUP(wh_buf_free) = WH_BUF((size_t)1 << 30);
    struct wh_view *views = wh_calloc((size_t)schema->n_children, sizeof *views);

    check(views ? WH_OK : WH_E_NOMEM, &err);
    check(wh_views_init(schema, &batch->rows, views, &err), &err);
    check(wh_rowhash_add(sum, views, schema->n_children, NULL, 0, batch->n_rows), &err);
    for (int64_t row = 0; row < batch->n_rows; row++) {
        wh_buf_clear(&line);
        for (int64_t i = 0; i < schema->n_children; i++) {
            check(wh_buf_addc(&line, i ? ',' : '['), &err);
            check(add_value(&line, &views[i], row), &err);
        }
        printf("%s]\n", line.p);
    }
    wh_free(views);
}

static void dump(void *sc, const struct ArrowSchema *schema, int64_t first, int64_t end)
{
    struct wh_error err = {0};
    struct wh_rowsum sum = {0};
    struct wh_batch batch;
    struct ArrowSchema actual = {0};
    uint8_t token[16];
    struct wh_split split = {.token = {token, 16}};
    void *rd = wh_calloc(1, gen->rd_size), *se = wh_calloc(1, wh_connector_gen.se_size);
    char hex[33];
    int st;

    memcpy(token, &first, 8);
    memcpy(token + 8, &end, 8);
    check(gen->reader_open(rd, sc, se, NULL, &split, &actual, &err), &err);
    while ((st = gen->reader_next(rd, &batch, &err)) == WH_OK) {
        print_batch(schema, &batch, &sum);
        wh_batch_release(&batch);
    }
    check(st == WH_END ? WH_OK : st, &err);
    gen->reader_close(rd);
    wh_u128_hex(sum.sum, hex);
    printf("{\"rows\": %lld, \"hash\": \"%s\"}\n", (long long)sum.rows, hex);
    wh_free(rd);
    wh_free(se);
}

static void print_schema(const struct ArrowSchema *schema)
{
    struct wh_error err = {0};

    for (int64_t i = 0; i < schema->n_children; i++) {
        const struct ArrowSchema *f = schema->children[i];
        struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF(4096);
        struct wh_type type;
        struct wh_str key = {0};

        check(wh_type_of(f, &type, &err), &err);
        check(wh_buf_addc(&b, '['), &err);
        check(wh_buf_json(&b, f->name, strlen(f->name)), &err);
        check(wh_buf_adds(&b, ", \""), &err);
        check(wh_type_print(&type, &b), &err);
        wh_meta_get(f, WH_META_KEY, &key);
        printf("%s\", %s, \"%.*s\"]\n", b.p, f->flags & ARROW_FLAG_NULLABLE ? "true" : "false",
               WH_STR_FMT(key));
    }
}

int main(int argc, char **argv)
{
    struct wh_error err = {0};
    bool schema_only = argc > 2 && strcmp(argv[2], "schema") == 0;
    int rest = schema_only ? 3 : 4;

    if (argc < rest) {
        fprintf(stderr, "usage: gen_dump SHAPE FIRST END|schema [OPTION=VALUE...]\n");
        return 2;
    }
    gen = wh_connector_gen.source;
    struct wh_arena *arena = wh_arena_new(1 << 20);
    struct wh_problems problems = {.arena = arena};
    void *opts = wh_calloc(1, wh_connector_gen.from->size), *sc = wh_calloc(1, gen->sc_size);
    struct ArrowSchema schema = {0};
    struct wh_name object = {.part = {wh_str(argv[1])}, .n = 1};
    struct wh_scan io = {.object = &object, .opts = opts};

    check(wh_options_init(wh_connector_gen.from, opts, arena), &err);
    for (int i = rest; i < argc; i++) {
        char *eq = strchr(argv[i], '=');

        if (eq)
            *eq = 0;
        if (!eq || !wh_options_set_text(wh_connector_gen.from, opts, arena, argv[i], eq + 1,
                                        "argument", &problems)) {
            fprintf(stderr, "gen_dump: '%s' is no option\n", argv[i]);
            return 2;
        }
    }
    check(gen->scan_open(sc, NULL, NULL, &io, &schema, &err), &err);
    if (schema_only)
        print_schema(&schema);
    else
        dump(sc, &schema, strtoll(argv[2], NULL, 10), strtoll(argv[3], NULL, 10));
    gen->scan_close(sc);
    wh_schema_release(&schema);
    wh_free(opts);
    wh_free(sc);
    wh_arena_free(arena);
    return 0;
}
