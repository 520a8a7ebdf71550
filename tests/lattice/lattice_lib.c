/* SPDX-License-Identifier: Apache-2.0 */
/* The data layer as a shared library for judges in Python (ctypes): Arrow arrays come and go
 * through the C data interface, everything else as text and numbers. */
#include "core/buf.h"
#include "data/builder.h"
#include "data/lattice.h"
#include "data/number.h"
#include "data/rowhash.h"

#include <stdio.h>
#include <string.h>

/* Bits of `policy` below. */
enum {
    ZERO_DATE_NULL = 1,
    INFINITY_NULL = 2,
    NAN_NULL = 4,
    EMPTY_TEXT_NULL = 8,
    CHAR_PADDING_TRIM = 16,
    ACCEPT_LOSSY = 32,
    NAN_REFUSE = 64,
    INFINITY_REFUSE = 128,
};

static struct wh_value_policy policy_of(int bits)
{
    return (struct wh_value_policy){
        .zero_date_null = bits & ZERO_DATE_NULL,
        .infinity_null = bits & INFINITY_NULL,
        .nan_null = bits & NAN_NULL,
        .empty_text_null = bits & EMPTY_TEXT_NULL,
        .char_padding_trim = bits & CHAR_PADDING_TRIM,
        .accept_lossy = bits & ACCEPT_LOSSY,
        .nan_refuse = bits & NAN_REFUSE,
        .infinity_refuse = bits & INFINITY_REFUSE,
    };
}

WH_EXPORT int lattice_field(const char *text, struct ArrowSchema *ret, char message[640]);
WH_EXPORT int lattice_decide(const struct ArrowSchema *from, const struct ArrowSchema *to,
                             char why[200]);
WH_EXPORT int lattice_type_text(const struct ArrowSchema *field, char *out, int64_t cap);
WH_EXPORT int lattice_convert(const struct ArrowSchema *from, struct ArrowArray *take,
                              const struct ArrowSchema *to, int policy, struct ArrowArray *ret,
                              struct wh_cell_reject *rejects, int64_t cap, int64_t *ret_n,
                              int *ret_identity, char message[640]);
WH_EXPORT int lattice_text(const struct ArrowSchema *field, const struct ArrowArray *array,
                           int64_t row, char *out, int64_t cap);
WH_EXPORT int lattice_hash(const struct ArrowSchema *schema, const struct ArrowArray *rows,
                           char out[33], char message[640]);
WH_EXPORT int lattice_hash_texts(const char *const *types, int64_t n_columns,
                                 const char *const *cells, int64_t n_rows, char *out,
                                 char message[640]);
WH_EXPORT int lattice_read_f64(const char *s, int64_t n, double *ret);
WH_EXPORT int lattice_print_f64(double v, char out[33]);
WH_EXPORT int lattice_read_f32(const char *s, int64_t n, float *ret);
WH_EXPORT int lattice_print_f32(float v, char out[33]);

int lattice_field(const char *text, struct ArrowSchema *ret, char message[640])
{
    struct wh_error err = {0};
    int st = wh_field_parse(text, "c", ret, &err);

    snprintf(message, 640, "%s", err.message);
    return st;
}

int lattice_decide(const struct ArrowSchema *from, const struct ArrowSchema *to, char why[200])
{
    struct wh_type a, b;
    struct wh_error err = {0};
    const char *text = NULL;
    int fit;

    if (wh_type_of(from, &a, &err) != WH_OK || wh_type_of(to, &b, &err) != WH_OK) {
        snprintf(why, 200, "%.199s", err.message);
        return -1;
    }
    fit = (int)wh_lattice(&a, &b, &text);
    snprintf(why, 200, "%s", text ? text : "");
    return fit;
}

int lattice_type_text(const struct ArrowSchema *field, char *out, int64_t cap)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF((size_t)cap - 1);
    struct wh_type t;
    int st = wh_type_of(field, &t, NULL);

    if (st == WH_OK)
        st = wh_type_print(&t, &b);
    if (st == WH_OK)
        memcpy(out, b.p, b.n + 1);
    return st;
}

/* One column of type `to` behind a struct; the child is what the caller wants. */
static int builder_for(const struct ArrowSchema *to, struct ArrowSchema *schema,
                       struct wh_builder **ret, struct wh_error *err)
{
    int st = wh_schema_init(schema, 1);

    if (st == WH_OK)
        st = wh_schema_copy(to, schema->children[0]);
    return st == WH_OK ? wh_builder_new(schema, ret, err) : st;
}

int lattice_convert(const struct ArrowSchema *from, struct ArrowArray *take,
                    const struct ArrowSchema *to, int policy, struct ArrowArray *ret,
                    struct wh_cell_reject *rejects, int64_t cap, int64_t *ret_n, int *ret_identity,
                    char message[640])
{
    struct wh_value_policy values = policy_of(policy);
    struct ArrowSchema schema = {0};
    struct wh_builder *b = NULL;
    struct wh_convert *cv = NULL;
    struct wh_batch batch = {0};
    struct wh_error err = {0};
    struct wh_view view;
    size_t n = 0;
    int st = wh_convert_new(from, to, &values, &cv, &err);

    if (st == WH_OK)
        st = builder_for(to, &schema, &b, &err);
    if (st == WH_OK)
        st = wh_view_init(from, take, &view, &err);
    if (st == WH_OK)
        st = wh_convert_run(cv, &view, 7, wh_builder_column(b, 0), rejects, (size_t)cap, &n, &err);
    if (st == WH_OK)
        st = wh_builder_finish(b, &batch);
    if (st == WH_OK) {
        /* The child is moved out, the rest of the batch released before it. */
        *ret = *batch.rows.children[0];
        batch.rows.children[0]->release = NULL;
        wh_batch_release(&batch);
        *ret_n = (int64_t)n;
        *ret_identity = wh_convert_is_identity(cv);
    }
    wh_builder_free(b);
    wh_convert_free(cv);
    wh_schema_release(&schema);
    take->release(take);
    snprintf(message, 640, "%s %.600s", err.code, err.message);
    return st;
}

int lattice_text(const struct ArrowSchema *field, const struct ArrowArray *array, int64_t row,
                 char *out, int64_t cap)
{
    struct wh_buf b WH_CLEANUP(wh_buf_free) = WH_BUF((size_t)cap - 1);
    struct wh_view view;
    int st = wh_view_init(field, array, &view, NULL);

    if (st == WH_OK)
        st = wh_view_text(&view, row, &b);
    if (st != WH_OK)
        return -1;
    memcpy(out, b.p ? b.p : "", b.n + 1);
    return (int)b.n;
}

int lattice_hash(const struct ArrowSchema *schema, const struct ArrowArray *rows, char out[33],
                 char message[640])
{
    struct wh_view views[64];
    struct wh_rowsum sum = {0};
    struct wh_error err = {0};
    int st = schema->n_children > 64 ? WH_E_LIMIT : wh_views_init(schema, rows, views, &err);

    if (st == WH_OK)
        st = wh_rowhash_add(&sum, views, schema->n_children, NULL, 0, rows->length);
    wh_u128_hex(sum.sum, out);
    snprintf(message, 640, "%s", err.message);
    return st;
}

/* One column from texts (NULL = null) by way of the conversion from utf8. */
static int column_of(const char *type, const char *const *cells, int64_t stride, int64_t n_rows,
                     struct ArrowSchema *ret_field, struct wh_batch *ret, struct wh_error *err)
{
    struct ArrowSchema text = {0}, schema = {0};
    struct wh_builder *tb = NULL, *b = NULL;
    struct wh_value_policy strict = {0};
    struct wh_batch texts = {0};
    struct wh_convert *cv = NULL;
    struct wh_cell_reject reject;
    struct wh_view view;
    size_t n = 0;
    int st = wh_field_parse("utf8", "c", &text, err);

    if (st == WH_OK)
        st = wh_field_parse(type, "c", ret_field, err);
    if (st == WH_OK)
        st = builder_for(&text, &schema, &tb, err);
    wh_schema_release(&schema);
    for (int64_t i = 0; st == WH_OK && i < n_rows; i++) {
        const char *cell = cells[i * stride];

        st = cell ? wh_col_bytes(wh_builder_column(tb, 0), cell, strlen(cell))
                  : wh_col_null(wh_builder_column(tb, 0));
    }
    if (st == WH_OK)
        st = wh_builder_finish(tb, &texts);
    if (st == WH_OK)
        st = wh_convert_new(&text, ret_field, &strict, &cv, err);
    if (st == WH_OK)
        st = builder_for(ret_field, &schema, &b, err);
    if (st == WH_OK)
        st = wh_view_init(&text, texts.rows.children[0], &view, err);
    if (st == WH_OK)
        st = wh_convert_run(cv, &view, 0, wh_builder_column(b, 0), &reject, 1, &n, err);
    if (st == WH_OK && n)
        st = wh_fail(err, WH_E_DATA, reject.code, "%s", reject.text);
    if (st == WH_OK)
        st = wh_builder_finish(b, ret);
    wh_batch_release(&texts);
    wh_builder_free(tb);
    wh_builder_free(b);
    wh_convert_free(cv);
    wh_schema_release(&text);
    wh_schema_release(&schema);
    return st;
}

/* Hash of every row, 32 hexadecimal digits and a line feed each; cells row by row. */
int lattice_hash_texts(const char *const *types, int64_t n_columns, const char *const *cells,
                       int64_t n_rows, char *out, char message[640])
{
    struct ArrowSchema fields[16] = {0};
    struct wh_batch columns[16] = {0};
    struct wh_view views[16];
    struct wh_error err = {0};
    struct wh_u128 hash;
    int st = n_columns > 16 ? WH_E_LIMIT : WH_OK;

    for (int64_t c = 0; st == WH_OK && c < n_columns; c++) {
        st = column_of(types[c], cells + c, n_columns, n_rows, &fields[c], &columns[c], &err);
        if (st == WH_OK)
            st = wh_view_init(&fields[c], columns[c].rows.children[0], &views[c], &err);
    }
    for (int64_t i = 0; st == WH_OK && i < n_rows; i++) {
        st = wh_rowhash_each(views, n_columns, NULL, i, 1, &hash);
        wh_u128_hex(hash, out + 33 * i);
        out[33 * i + 32] = '\n';
    }
    for (int c = 0; c < 16; c++) {
        wh_batch_release(&columns[c]);
        wh_schema_release(&fields[c]);
    }
    snprintf(message, 640, "%s %.600s", err.code, err.message);
    return st;
}

int lattice_read_f64(const char *s, int64_t n, double *ret)
{
    return wh_read_f64(s, (size_t)n, ret);
}

int lattice_print_f64(double v, char out[33])
{
    size_t n = wh_print_f64(v, out);

    out[n] = 0;
    return (int)n;
}

int lattice_read_f32(const char *s, int64_t n, float *ret)
{
    return wh_read_f32(s, (size_t)n, ret);
}

int lattice_print_f32(float v, char out[33])
{
    size_t n = wh_print_f32(v, out);

    out[n] = 0;
    return (int)n;
}
