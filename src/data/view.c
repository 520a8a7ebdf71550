/* SPDX-License-Identifier: Apache-2.0 */
#include "data/view.h"
#include "data/builder.h"
#include "data/internal.h"

#include <string.h>

#define DEPTH_MAX 64 /* nested deeper than any data: an attack on the stack */

/* Buffers of each kind's array in the Arrow columnar format; for DICT those of the indexes. */
static const int8_t buffer_counts[WH_K_COUNT] = {
    [WH_K_NULL] = 0,   [WH_K_BOOL] = 2,      [WH_K_I8] = 2,       [WH_K_I16] = 2,
    [WH_K_I32] = 2,    [WH_K_I64] = 2,       [WH_K_U8] = 2,       [WH_K_U16] = 2,
    [WH_K_U32] = 2,    [WH_K_U64] = 2,       [WH_K_F32] = 2,      [WH_K_F64] = 2,
    [WH_K_DEC128] = 2, [WH_K_DEC256] = 2,    [WH_K_DECTEXT] = 3,  [WH_K_UTF8] = 3,
    [WH_K_BINARY] = 3, [WH_K_FIXED] = 2,     [WH_K_DATE32] = 2,   [WH_K_TIME64] = 2,
    [WH_K_DICT] = 2,   [WH_K_TIMESTAMP] = 2, [WH_K_DURATION] = 2, [WH_K_INTERVAL] = 2,
    [WH_K_LIST] = 2,   [WH_K_STRUCT] = 1,    [WH_K_MAP] = 2,
};

static wh_status bad(struct wh_error *reterr, const struct wh_view *v, const char *what)
{
    const char *name = v->field->name;

    return wh_fail(reterr, WH_E_DATA, "E3016", "column '%s': %s", name ? name : "", what);
}

typedef int32_t four __attribute__((vector_size(16)));

/* offsets[from .. from + n] never fall, start at 0 or above. No early exit, four at a time: the
 * compiler's own model of cost leaves such a loop as it is. */
static bool offsets_rise(const int32_t *offsets, int64_t from, int64_t n)
{
    const int32_t *o = offsets + from;
    int32_t fell = 0;
    four any = {0}, a, b;
    int64_t i = 0;

    for (; i + 4 <= n; i += 4) {
        memcpy(&a, o + i, sizeof a);
        memcpy(&b, o + i + 1, sizeof b);
        any |= b < a;
    }
    for (; i < n; i++)
        fell |= o[i + 1] < o[i];
    for (int k = 0; k < 4; k++)
        fell |= any[k];
    return !fell && o[0] >= 0;
}

int64_t wh_count_nulls(const uint8_t *validity, int64_t from, int64_t n)
{
    int64_t set = 0, i = from, end = from + n;

    if (!validity)
        return 0;
    for (; i < end && (i & 63); i++)
        set += validity[i >> 3] >> (i & 7) & 1;
    for (; end - i >= 64; i += 64) {
        uint64_t word;

        memcpy(&word, validity + (i >> 3), 8);
        set += __builtin_popcountll(word);
    }
    for (; i < end; i++)
        set += validity[i >> 3] >> (i & 7) & 1;
    return n - set;
}

/* Values of a dictionary: text without nulls; every index of a row that is not null names one. */
static wh_status view_dictionary(const struct ArrowArray *a, struct wh_view *v, bool check,
                                 struct wh_error *reterr)
{
    const struct ArrowArray *values = a->dictionary;
    const int32_t *index = v->data;

    if (!values || !values->release || values->n_buffers != 3 || values->length < 0 ||
        values->offset < 0)
        return bad(reterr, v, "its dictionary is missing or no text");
    v->offsets = values->buffers[1];
    v->dict_data = values->buffers[2] ? values->buffers[2] : "";
    if (values->length > 0) {
        if (check && (!v->offsets || !offsets_rise(v->offsets, values->offset, values->length)))
            return bad(reterr, v, "the offsets of its dictionary fall");
        v->offsets += values->offset;
        if (check && wh_count_nulls(values->buffers[0], values->offset, values->length) > 0)
            return bad(reterr, v, "its dictionary holds a null");
    }
    for (int64_t i = 0; check && i < v->n; i++) {
        int32_t k = index[i + v->offset];

        if ((k < 0 || k >= values->length) && !wh_view_null(v, i))
            return bad(reterr, v, "a dictionary index has no value");
    }
    return WH_OK;
}

/* Validity and null count; a bitmap without a zero is forgotten, so that loops need not look. */
static wh_status view_validity(const struct ArrowArray *a, struct wh_view *v, bool check,
                               struct wh_error *reterr)
{
    v->validity = a->null_count == 0 ? NULL : a->buffers[0];
    v->n_null = a->null_count;
    if (check || a->null_count < 0)
        v->n_null = wh_count_nulls(v->validity, v->offset, v->n);
    if (a->null_count >= 0 && a->null_count != v->n_null)
        return bad(reterr, v, "its null count is not that of its bitmap");
    if (v->n_null == 0)
        v->validity = NULL;
    return WH_OK;
}

static wh_status view_values(const struct ArrowArray *a, struct wh_view *v, bool with_offsets,
                             struct wh_error *reterr)
{
    int last = buffer_counts[v->type.kind] - 1;
    bool needed = v->n > 0 && last > 0;

    if (with_offsets)
        needed = v->n > 0 && v->offsets[v->offset + v->n] > 0;
    v->data = last > 0 ? a->buffers[last] : NULL;
    if (needed && !v->data)
        return bad(reterr, v, "its value buffer is missing");
    if (!v->data)
        v->data = ""; /* all cells are empty: pointers stay usable */
    return WH_OK;
}

static wh_status view_buffers(const struct ArrowArray *a, struct wh_view *v, bool check,
                              struct wh_error *reterr)
{
    enum wh_kind kind = v->type.kind;
    int buffers = buffer_counts[kind];
    bool nested = kind == WH_K_LIST || kind == WH_K_MAP, with_offsets = buffers == 3 || nested;

    if (buffers == 0)
        return WH_OK;
    WH_TRY(view_validity(a, v, check, reterr));
    if (with_offsets) {
        v->offsets = a->buffers[1];
        if (check && v->n > 0 && (!v->offsets || !offsets_rise(v->offsets, v->offset, v->n)))
            return bad(reterr, v, "its offsets fall");
    }
    if (!nested)
        WH_TRY(view_values(a, v, with_offsets, reterr));
    return kind == WH_K_DICT ? view_dictionary(a, v, check, reterr) : WH_OK;
}

/* Children are long enough for every row that points into them. */
static wh_status view_children(const struct ArrowArray *a, struct wh_view *v,
                               struct wh_error *reterr)
{
    int64_t want = v->field->n_children, need = v->offset + v->n;

    if (a->n_children != want || (want > 0 && !a->children))
        return bad(reterr, v, "it has not the child arrays of its type");
    if (v->type.kind != WH_K_STRUCT)
        need = v->n > 0 ? v->offsets[v->offset + v->n] : 0;
    for (int64_t i = 0; i < want; i++)
        if (!a->children[i] || !a->children[i]->release || a->children[i]->length < need)
            return bad(reterr, v, "a child array is shorter than it must be");
    return WH_OK;
}

/* Types, lengths and pointers alone: what wh_view_child needs of an array already checked. */
static wh_status view_shape(const struct ArrowSchema *field, const struct ArrowArray *a,
                            struct wh_view *v, struct wh_error *reterr)
{
    *v = (struct wh_view){.array = a, .field = field};
    WH_TRY(wh_type_of(field, &v->type, reterr));
    if (!a->release)
        return bad(reterr, v, "the array was released");
    if (a->length < 0 || a->offset < 0 || a->offset > INT64_MAX / 64 - a->length ||
        a->n_buffers != buffer_counts[v->type.kind] || (a->n_buffers > 0 && !a->buffers))
        return bad(reterr, v, "length, offset or buffers are not those of its type");
    v->n = a->length;
    v->offset = a->offset;
    v->n_null = v->type.kind == WH_K_NULL ? v->n : 0;
    return WH_OK;
}

static wh_status view_checked(const struct ArrowSchema *field, const struct ArrowArray *a,
                              int depth, struct wh_view *v, struct wh_error *reterr)
{
    struct wh_view child;

    WH_TRY(view_shape(field, a, v, reterr));
    WH_TRY(view_buffers(a, v, true, reterr));
    if (v->type.kind < WH_K_LIST || v->type.kind == WH_K_DICT)
        return WH_OK;
    if (depth >= DEPTH_MAX)
        return bad(reterr, v, "it is nested too deeply");
    WH_TRY(view_children(a, v, reterr));
    for (int64_t i = 0; i < field->n_children; i++)
        WH_TRY(view_checked(field->children[i], a->children[i], depth + 1, &child, reterr));
    return WH_OK;
}

wh_status wh_view_init(const struct ArrowSchema *field, const struct ArrowArray *a,
                       struct wh_view *ret, struct wh_error *reterr)
{
    struct wh_view v;

    WH_TRY(view_checked(field, a, 0, &v, reterr));
    *ret = v;
    return WH_OK;
}

wh_status wh_view_child(const struct wh_view *v, int64_t i, struct wh_view *ret,
                        struct wh_error *reterr)
{
    bool dictionary = v->type.kind == WH_K_DICT;
    struct wh_view child;

    if (i < 0 || i >= (dictionary ? 1 : v->field->n_children))
        return WH_E_BUG;
    const struct ArrowSchema *field = dictionary ? v->field->dictionary : v->field->children[i];
    const struct ArrowArray *array = dictionary ? v->array->dictionary : v->array->children[i];

    WH_TRY(view_shape(field, array, &child, reterr));
    WH_TRY(view_buffers(array, &child, false, reterr));
    if (v->type.kind == WH_K_STRUCT) { /* a struct's own offset counts for its members too */
        child.offset += v->offset;
        child.n = v->n;
    }
    *ret = child;
    return WH_OK;
}

wh_status wh_views_init(const struct ArrowSchema *schema, const struct ArrowArray *rows,
                        struct wh_view *views, struct wh_error *reterr)
{
    struct wh_view top = {.field = schema, .array = rows};

    if (!rows->release || rows->n_children != schema->n_children || rows->offset != 0)
        return bad(reterr, &top, "the batch has not the columns of its schema");
    for (int64_t i = 0; i < schema->n_children; i++) {
        WH_TRY(wh_view_init(schema->children[i], rows->children[i], &views[i], reterr));
        if (views[i].n != rows->length)
            return bad(reterr, &views[i], "its length is not that of the batch");
    }
    return WH_OK;
}

/* -------------------------------------------------------------------- values */

int64_t wh_view_i64(const struct wh_view *v, int64_t i)
{
    i += v->offset;
    switch (v->type.kind) {
    case WH_K_BOOL:
        return ((const uint8_t *)v->data)[i >> 3] >> (i & 7) & 1;
    case WH_K_I8:
        return ((const int8_t *)v->data)[i];
    case WH_K_I16:
        return ((const int16_t *)v->data)[i];
    case WH_K_I32:
    case WH_K_DATE32:
    case WH_K_DICT:
        return ((const int32_t *)v->data)[i];
    case WH_K_U8:
        return ((const uint8_t *)v->data)[i];
    case WH_K_U16:
        return ((const uint16_t *)v->data)[i];
    case WH_K_U32:
        return ((const uint32_t *)v->data)[i];
    default:
        return ((const int64_t *)v->data)[i];
    }
}

uint64_t wh_view_u64(const struct wh_view *v, int64_t i)
{
    if (v->type.kind == WH_K_U64)
        return ((const uint64_t *)v->data)[i + v->offset];
    return (uint64_t)wh_view_i64(v, i);
}

double wh_view_f64(const struct wh_view *v, int64_t i)
{
    if (v->type.kind == WH_K_F32)
        return (double)((const float *)v->data)[i + v->offset];
    return ((const double *)v->data)[i + v->offset];
}

__int128 wh_view_dec128(const struct wh_view *v, int64_t i)
{
    __int128 value;

    memcpy(&value, (const uint8_t *)v->data + (i + v->offset) * 16, 16);
    return value;
}

void wh_view_dec256(const struct wh_view *v, int64_t i, uint64_t ret_words_le[4])
{
    memcpy(ret_words_le, (const uint8_t *)v->data + (i + v->offset) * 32, 32);
}

void wh_view_interval(const struct wh_view *v, int64_t i, int32_t *ret_months, int32_t *ret_days,
                      int64_t *ret_ns)
{
    const uint8_t *p = (const uint8_t *)v->data + (i + v->offset) * 16;

    memcpy(ret_months, p, 4);
    memcpy(ret_days, p + 4, 4);
    memcpy(ret_ns, p + 8, 8);
}

wh_status wh_flatten(const struct wh_view *v, struct wh_column *out)
{
    for (int64_t i = 0; i < v->n; i++) {
        if (wh_view_null(v, i)) {
            WH_TRY(wh_put_null(out));
            continue;
        }
        struct wh_bytes cell = wh_view_bytes(v, i);

        WH_TRY(wh_put_bytes(out, cell.p, cell.n));
    }
    return WH_OK;
}
