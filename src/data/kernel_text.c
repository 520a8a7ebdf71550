/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions to text, between texts, and of bytes. */
#include "data/decimal.h"
#include "data/internal.h"
#include "data/kernel.h"
#include "data/number.h"

#include <string.h>

/* More characters than the column takes? Bytes bound characters, so most texts need no count. */
static inline bool too_long(const struct wh_type *to, struct wh_bytes cell)
{
    if (to->length == 0 || (int64_t)cell.n <= to->length)
        return false;
    return to->kind == WH_K_BINARY || wh_utf8_chars(cell.p, cell.n) > to->length;
}

/* ---------------------------------------------------------- anything to text */

static inline enum wh_cause put_text(struct wh_job *j, struct wh_bytes cell, int *st)
{
    if (too_long(&j->to, cell))
        return WH_BAD_LENGTH;
    *st = wh_put_bytes(j->out, cell.p, cell.n);
    return WH_FINE;
}

static inline enum wh_cause to_text(struct wh_job *j, int64_t i, int *st)
{
    struct wh_buf *b = &j->scratch;

    wh_buf_clear(b);
    *st = j->to.logical == WH_L_JSON ? wh_view_json(j->in, i, b) : wh_view_text(j->in, i, b);
    if (*st != WH_OK)
        return WH_FINE;
    return put_text(j, (struct wh_bytes){b->p, b->n}, st);
}

static inline enum wh_cause int_text(struct wh_job *j, int64_t i, int *st)
{
    char text[20];
    size_t n = j->from.kind == WH_K_U64 ? wh_print_u64(wh_view_u64(j->in, i), text)
                                        : wh_print_i64(wh_view_i64(j->in, i), text);

    return put_text(j, (struct wh_bytes){text, n}, st);
}

static inline enum wh_cause float_text(struct wh_job *j, int64_t i, int *st)
{
    double d = wh_view_f64(j->in, i);
    enum wh_cause cause = wh_float_policy(&j->policy, d, true);
    char text[32];

    if (cause != WH_FINE)
        return cause;
    size_t n = j->from.kind == WH_K_F32 ? wh_print_f32((float)d, text) : wh_print_f64(d, text);

    return put_text(j, (struct wh_bytes){text, n}, st);
}

static inline enum wh_cause dec128_text(struct wh_job *j, int64_t i, int *st)
{
    char text[80];
    size_t n = wh_print_dec128(wh_view_dec128(j->in, i), j->from.scale, text);

    return put_text(j, (struct wh_bytes){text, n}, st);
}

static inline enum wh_cause stamp_text(struct wh_job *j, int64_t i, int *st)
{
    char text[40];
    int64_t v = ((const int64_t *)j->in->data)[i + j->in->offset];
    size_t n = wh_print_timestamp(v, (int)j->from.unit, j->from.zoned, text);

    return put_text(j, (struct wh_bytes){text, n}, st);
}

wh_status wh_k_text(struct wh_job *j)
{
    bool json = j->to.logical == WH_L_JSON;
    enum wh_class c = wh_class_of(j->from.kind);

    if (c == WH_C_INT || (c == WH_C_BOOL && j->to.kind == WH_K_DECTEXT))
        return wh_cells(j, int_text);
    if (c == WH_C_FLOAT && !json)
        return wh_cells(j, float_text);
    if (j->from.kind == WH_K_DEC128)
        return wh_cells(j, dec128_text);
    if (c == WH_C_STAMP && !json)
        return wh_cells(j, stamp_text);
    return wh_cells(j, to_text);
}

/* --------------------------------------------------------------- text to text */

static inline enum wh_cause text_text(struct wh_job *j, int64_t i, int *st)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    const char *s = cell.p;

    wh_text_policy(&j->policy, &cell);
    if (cell.n == 0 && j->policy.empty_text_null)
        return WH_MAKE_NULL;
    if (j->to.logical == WH_L_JSON && j->from.logical != WH_L_JSON && !wh_json_valid(s, cell.n))
        return WH_BAD_SYNTAX;
    return put_text(j, cell, st);
}

wh_status wh_k_text_text(struct wh_job *j)
{
    return wh_cells(j, text_text);
}

/* Words for true and false, in any case. */
static const struct {
    const char *word;
    bool value;
} bools[] = {
    {"true", true}, {"false", false}, {"t", true}, {"f", false}, {"1", true},  {"0", false},
    {"yes", true},  {"no", false},    {"y", true}, {"n", false}, {"on", true}, {"off", false},
};

static inline enum wh_cause text_bool(struct wh_job *j, int64_t i, uint8_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);

    for (size_t k = 0; k < sizeof bools / sizeof bools[0]; k++)
        if (wh_str_ieqs((struct wh_str){cell.p, cell.n}, bools[k].word)) {
            *ret = bools[k].value;
            return WH_FINE;
        }
    return WH_BAD_SYNTAX;
}
WH_CELL_BLOCK(wh_k_text_bool, uint8_t, text_bool)

/* ---------------------------------------------------------------------- bytes */

static int nibble(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Pairs of hexadecimal digits into out; false for anything else. */
static bool unhex(const char *s, size_t n, uint8_t *out)
{
    if (n % 2)
        return false;
    for (size_t i = 0; i < n; i += 2) {
        int high = nibble(s[i]), low = nibble(s[i + 1]);

        if ((high | low) < 0)
            return false;
        *out++ = (uint8_t)(high << 4 | low);
    }
    return true;
}

/* 8-4-4-4-12 */
static bool read_uuid(const char *s, size_t n, uint8_t out[16])
{
    char digits[32];
    int k = 0;

    if (n != 36)
        return false;
    for (int i = 0; i < 36; i++) {
        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (s[i] != '-')
                return false;
        } else {
            digits[k++] = s[i];
        }
    }
    return unhex(digits, 32, out);
}

/* The canonical text of bytes, \x6869, and of a uuid. */
static inline enum wh_cause text_bytes(struct wh_job *j, int64_t i, int *st)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    struct wh_buf *b = &j->scratch;
    const char *s = cell.p;
    uint8_t uuid[16];

    if (j->to.kind == WH_K_FIXED && j->to.length == 16 && read_uuid(s, cell.n, uuid)) {
        *st = wh_col_bytes(j->out, uuid, 16);
        return WH_FINE;
    }
    if (cell.n < 2 || s[0] != '\\' || s[1] != 'x')
        return WH_BAD_SYNTAX;
    size_t n = cell.n / 2 - 1;

    wh_buf_clear(b);
    *st = wh_buf_reserve(b, n);
    if (*st != WH_OK)
        return WH_FINE;
    if (!unhex(s + 2, cell.n - 2, (uint8_t *)b->p))
        return WH_BAD_SYNTAX;
    if (j->to.kind == WH_K_FIXED ? (int64_t)n != j->to.length
                                 : j->to.length && (int64_t)n > j->to.length)
        return WH_BAD_LENGTH;
    *st = wh_col_bytes(j->out, b->p, n);
    return WH_FINE;
}

wh_status wh_k_text_bytes(struct wh_job *j)
{
    return wh_cells(j, text_bytes);
}

static inline enum wh_cause bytes_bytes(struct wh_job *j, int64_t i, int *st)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);

    if (j->to.kind == WH_K_FIXED ? (int64_t)cell.n != j->to.length
                                 : j->to.length && (int64_t)cell.n > j->to.length)
        return WH_BAD_LENGTH;
    *st = wh_col_bytes(j->out, cell.p, cell.n);
    return WH_FINE;
}

wh_status wh_k_bytes_bytes(struct wh_job *j)
{
    return wh_cells(j, bytes_bytes);
}
