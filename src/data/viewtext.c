/* SPDX-License-Identifier: Apache-2.0 */
/* The one canonical text of every value, plain and as JSON. */
#include "data/view.h"
#include "data/number.h"
#include "data/internal.h"

#include <string.h>

static const char hex[] = "0123456789abcdef";

/* Text of a value that needs at most 160 bytes; 0 = not such a kind. */
static size_t short_text(const struct wh_view *v, int64_t i, char out[160])
{
    const struct wh_type *t = &v->type;
    int32_t months, days;
    uint64_t words[4];
    int64_t ns;

    switch (t->kind) {
    case WH_K_BOOL:
        if (wh_view_i64(v, i)) {
            memcpy(out, "true", 4);
            return 4;
        }
        memcpy(out, "false", 5);
        return 5;
    case WH_K_I8 ... WH_K_I64:
        return wh_print_i64(wh_view_i64(v, i), out);
    case WH_K_U8 ... WH_K_U64:
        return wh_print_u64(wh_view_u64(v, i), out);
    case WH_K_F32:
        return wh_print_f32((float)wh_view_f64(v, i), out);
    case WH_K_F64:
        return wh_print_f64(wh_view_f64(v, i), out);
    case WH_K_DEC128:
        return wh_print_dec128(wh_view_dec128(v, i), t->scale, out);
    case WH_K_DEC256:
        wh_view_dec256(v, i, words);
        return wh_print_dec256(words, t->scale, out);
    case WH_K_DATE32:
        return wh_print_date((int32_t)wh_view_i64(v, i), out);
    case WH_K_TIME64:
        return wh_print_time(wh_view_i64(v, i), t->unit, out);
    case WH_K_TIMESTAMP:
        return wh_print_timestamp(wh_view_i64(v, i), t->unit, t->zoned, out);
    case WH_K_DURATION:
        return wh_print_duration(wh_view_i64(v, i), t->unit, out);
    case WH_K_INTERVAL:
        wh_view_interval(v, i, &months, &days, &ns);
        return wh_print_interval(months, days, ns, out);
    default:
        return 0;
    }
}

static wh_status bytes_text(struct wh_bytes cell, struct wh_buf *b)
{
    const uint8_t *p = cell.p;

    WH_TRY(wh_buf_reserve(b, 2 + 2 * cell.n));
    char *out = b->p + b->n;

    *out++ = '\\';
    *out++ = 'x';
    for (size_t i = 0; i < cell.n; i++) {
        *out++ = hex[p[i] >> 4];
        *out++ = hex[p[i] & 15];
    }
    *out = 0;
    b->n += 2 + 2 * cell.n;
    return WH_OK;
}

size_t wh_print_uuid(const uint8_t p[16], char out[36])
{
    char *o = out;

    for (int i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *o++ = '-';
        *o++ = hex[p[i] >> 4];
        *o++ = hex[p[i] & 15];
    }
    return 36;
}

wh_status wh_view_text(const struct wh_view *v, int64_t i, struct wh_buf *b)
{
    struct wh_bytes cell;
    char text[160];

    if (wh_view_null(v, i))
        return WH_OK;
    switch (v->type.kind) {
    case WH_K_UTF8:
    case WH_K_DECTEXT:
    case WH_K_DICT:
        cell = wh_view_bytes(v, i);
        return wh_buf_add(b, cell.p, cell.n);
    case WH_K_FIXED:
    case WH_K_BINARY:
        cell = wh_view_bytes(v, i);
        if (v->type.logical == WH_L_UUID && cell.n == 16)
            return wh_buf_add(b, text, wh_print_uuid(cell.p, text));
        return bytes_text(cell, b);
    case WH_K_LIST:
    case WH_K_STRUCT:
    case WH_K_MAP:
        return wh_view_json(v, i, b);
    default:
        return wh_buf_add(b, text, short_text(v, i, text));
    }
}

/* ---------------------------------------------------------------------- JSON */

/* Rows [from, to) of a child as "[a,b]". */
static wh_status json_list(const struct wh_view *v, int64_t i, struct wh_buf *b)
{
    struct wh_view items;
    int64_t from, to;

    WH_TRY(wh_view_child(v, 0, &items, NULL));
    wh_view_span(v, i, &from, &to);
    WH_TRY(wh_buf_addc(b, '['));
    for (int64_t k = from; k < to; k++) {
        if (k > from)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(wh_view_json(&items, k, b));
    }
    return wh_buf_addc(b, ']');
}

static wh_status json_struct(const struct wh_view *v, int64_t i, struct wh_buf *b)
{
    struct wh_view member;

    WH_TRY(wh_buf_addc(b, '{'));
    for (int64_t k = 0; k < v->field->n_children; k++) {
        struct wh_str name = wh_str(v->field->children[k]->name);

        if (k)
            WH_TRY(wh_buf_addc(b, ','));
        WH_TRY(wh_buf_json(b, name.s ? name.s : "", name.n));
        WH_TRY(wh_buf_addc(b, ':'));
        WH_TRY(wh_view_child(v, k, &member, NULL));
        WH_TRY(wh_view_json(&member, i, b));
    }
    return wh_buf_addc(b, '}');
}

static wh_status json_map(const struct wh_view *v, int64_t i, struct wh_buf *b)
{
    struct wh_view entries, key, value;
    int64_t from, to;

    WH_TRY(wh_view_child(v, 0, &entries, NULL));
    WH_TRY(wh_view_child(&entries, 0, &key, NULL));
    WH_TRY(wh_view_child(&entries, 1, &value, NULL));
    wh_view_span(v, i, &from, &to);
    bool object = key.type.kind == WH_K_UTF8;

    WH_TRY(wh_buf_addc(b, object ? '{' : '['));
    for (int64_t k = from; k < to; k++) {
        if (k > from)
            WH_TRY(wh_buf_addc(b, ','));
        if (!object)
            WH_TRY(wh_buf_addc(b, '['));
        WH_TRY(wh_view_json(&key, k, b));
        WH_TRY(wh_buf_addc(b, object ? ':' : ','));
        WH_TRY(wh_view_json(&value, k, b));
        if (!object)
            WH_TRY(wh_buf_addc(b, ']'));
    }
    return wh_buf_addc(b, object ? '}' : ']');
}

static bool is_number(const struct wh_view *v, int64_t i)
{
    enum wh_kind k = v->type.kind;

    if (k == WH_K_F32 || k == WH_K_F64) {
        double x = wh_view_f64(v, i);

        return x - x == 0; /* neither infinite nor NaN */
    }
    if (k == WH_K_DECTEXT) { /* "NaN" or "Infinity" is no JSON number, nor is "1." or "+1" */
        struct wh_bytes cell = wh_view_bytes(v, i);

        return wh_json_number(cell.p, cell.n);
    }
    return k >= WH_K_I8 && k <= WH_K_DEC256;
}

wh_status wh_view_json(const struct wh_view *v, int64_t i, struct wh_buf *b)
{
    struct wh_bytes cell;
    char text[160];

    if (wh_view_null(v, i))
        return wh_buf_add(b, "null", 4);
    switch (v->type.kind) {
    case WH_K_LIST:
        return json_list(v, i, b);
    case WH_K_STRUCT:
        return json_struct(v, i, b);
    case WH_K_MAP:
        return json_map(v, i, b);
    case WH_K_UTF8:
        cell = wh_view_bytes(v, i);
        if (v->type.logical == WH_L_JSON && wh_json_valid(cell.p, cell.n))
            return wh_buf_add(b, cell.p, cell.n);
        return wh_buf_json(b, cell.p, cell.n);
    case WH_K_DICT:
        cell = wh_view_bytes(v, i);
        return wh_buf_json(b, cell.p, cell.n);
    case WH_K_BINARY:
    case WH_K_FIXED: {
        struct wh_buf plain WH_CLEANUP(wh_buf_free) = WH_BUF(b->max);

        WH_TRY(wh_view_text(v, i, &plain));
        return wh_buf_json(b, plain.p, plain.n);
    }
    default:
        break;
    }
    if (v->type.kind == WH_K_BOOL || is_number(v, i))
        return wh_view_text(v, i, b);
    if (v->type.kind == WH_K_DECTEXT) {
        cell = wh_view_bytes(v, i);
        return wh_buf_json(b, cell.p, cell.n);
    }
    return wh_buf_json(b, text, short_text(v, i, text));
}
