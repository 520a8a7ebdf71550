/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json/cell.h"

#include <string.h>

#include "data/number.h"
#include "formats/csv/cell.h"

static const char *const NOT_THIS_TYPE = "is not a value of type ";
static const char *const OTHER_KIND = "is of another kind than the values of the sample, type ";
static const char *const WOULD_CHANGE = "would be changed by type ";

enum json_how json_how(const struct wh_type *t)
{
    if (t->kind == WH_K_UTF8)
        return t->logical == WH_L_JSON ? JSON_RAW : JSON_TEXT;
    if (t->kind == WH_K_I64)
        return JSON_I64;
    if (t->kind == WH_K_DATE32)
        return JSON_DATE;
    return t->kind == WH_K_F64 ? JSON_F64 : JSON_OTHER;
}

static const uint8_t *fault(struct json_cells *w, int32_t column, const char *code,
                            const char *text, const uint8_t *at, const uint8_t *end)
{
    w->fault = (struct json_fault){code, text, column, at, (size_t)(end - at)};
    return NULL;
}

static inline const uint8_t *done(struct json_cells *w, int st, const uint8_t *end)
{
    if (__builtin_expect(st == WH_OK, 1))
        return end;
    w->status = st;
    return NULL;
}

static inline bool is_null(const uint8_t *p, const uint8_t *end)
{
    return end - p >= 4 && !memcmp(p, "null", 4);
}

/* ---- texts ------------------------------------------------------------------------------------
 */

/* The text of a string, without escapes. NULL: not a string, or half a surrogate pair in it. */
static const uint8_t *string(struct json_cells *w, int32_t column, const uint8_t *p,
                             const uint8_t *end, struct wh_bytes *ret)
{
    bool escapes = false;
    const uint8_t *close = json_string(p + 1, end, &escapes);
    if (!close)
        return NULL;
    size_t n = (size_t)(close - p) - 1;
    *ret = (struct wh_bytes){p + 1, n};
    if (__builtin_expect(escapes, 0)) {
        n = json_unescape(p + 1, n, w->scratch);
        if (n == SIZE_MAX)
            return fault(w, column, "E6005", "holds half of a surrogate pair", p, close + 1);
        memset(w->scratch + n, 0, JSON_PADDING);
        *ret = (struct wh_bytes){w->scratch, n};
    }
    return close + 1;
}

static const uint8_t *text(struct json_cells *w, int32_t column, const uint8_t *p,
                           const uint8_t *end)
{
    struct json_column *c = &w->columns[column];
    struct wh_bytes s;
    const uint8_t *behind;
    if (__builtin_expect(*p == '"', 1)) {
        behind = string(w, column, p, end, &s);
        return behind ? done(w, wh_put_padded(c->to, s.p, s.n), behind) : NULL;
    }
    if (is_null(p, end))
        return done(w, wh_put_null(c->to), p + 4);
    if (!(behind = json_value(p, end)))
        return NULL;
    if (c->guessed)
        return fault(w, column, "E6006", OTHER_KIND, p, behind);
    return done(w, wh_put_bytes(c->to, p, (size_t)(behind - p)), behind);
}

static const uint8_t *raw(struct json_cells *w, int32_t column, const uint8_t *p,
                          const uint8_t *end)
{
    struct json_column *c = &w->columns[column];
    if (is_null(p, end))
        return done(w, wh_put_null(c->to), p + 4);
    const uint8_t *behind = json_value(p, end);
    return behind ? done(w, wh_put_bytes(c->to, p, (size_t)(behind - p)), behind) : NULL;
}

/* ---- numbers ----------------------------------------------------------------------------------
 */

static const double POWERS[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static inline bool is_digit(uint8_t c)
{
    return (uint8_t)(c - '0') < 10;
}

/* Up to 18 digits without a leading zero. NULL: something else, not judged. Digits end at a byte
 * behind `end` at the latest: nothing that follows a row is a digit. */
static inline const uint8_t *few_digits(const uint8_t *p, uint64_t *ret)
{
    const uint8_t *from = p;
    uint64_t v = 0;
    if (*p == '0') {
        *ret = 0;
        return p + 1;
    }
    while (is_digit(*p) && p - from < 18)
        v = v * 10 + (uint64_t)(*p++ - '0');
    *ret = v;
    return p > from && !is_digit(*p) ? p : NULL;
}

static inline bool goes_on(uint8_t c)
{
    return c == '.' || (c | 0x20) == 'e' || is_digit(c);
}

static const uint8_t *other(struct json_cells *w, int32_t column, const uint8_t *p,
                            const uint8_t *end);

static const uint8_t *integer(struct json_cells *w, int32_t column, const uint8_t *p,
                              const uint8_t *end)
{
    bool minus = *p == '-';
    uint64_t v;
    const uint8_t *behind = few_digits(p + minus, &v);
    if (__builtin_expect(!behind || goes_on(*behind) || behind > end || (minus && !v), 0))
        return other(w, column, p, end);
    return done(w, wh_put_i64(w->columns[column].to, minus ? -(int64_t)v : (int64_t)v), behind);
}

/* Digits with at most one point, 15 of them and no exponent: mantissa and power of ten are exact in
 * a double, so one division rounds once and correctly. The rest is number.h's. */
static const uint8_t *number(struct json_cells *w, int32_t column, const uint8_t *p,
                             const uint8_t *end)
{
    bool minus = *p == '-';
    uint64_t v;
    const uint8_t *front = p + minus, *at = few_digits(front, &v);
    size_t after = 0;
    if (__builtin_expect(at && *at == '.', 1)) {
        const uint8_t *point = at++;
        while (is_digit(*at) && at - point < 16)
            v = v * 10 + (uint64_t)(*at++ - '0');
        after = (size_t)(at - point) - 1;
        if (!after || at - front > 16)
            at = NULL;
    } else if (at && at - front > 15) {
        at = NULL;
    }
    if (__builtin_expect(!at || goes_on(*at) || at > end, 0))
        return other(w, column, p, end);
    double x = (double)v / POWERS[after];
    return done(w, wh_put_f64(w->columns[column].to, minus ? -x : x), at);
}

/* ---- all types --------------------------------------------------------------------------------
 */

/* A whole number, however it is written (1.0, 1e3), as plain digits into scratch; 0 = it is none.
 */
static size_t plain_integer(struct json_cells *w, const uint8_t *p, size_t n)
{
    __int128 v;
    if (!wh_read_dec128((const char *)p, n, 38, 0, &v))
        return 0;
    return wh_print_dec128(v, 0, (char *)w->scratch);
}

static bool is_integer_kind(enum wh_kind k)
{
    return k >= WH_K_I8 && k <= WH_K_U64;
}

/* The words of CSV for a text; numbers that are written another way than CSV reads them too. */
static bool put(struct json_cells *w, struct wh_column *to, const uint8_t *s, size_t n, bool digits)
{
    size_t k;
    if (!n)
        return false;                              /* the empty text is no value of these types */
    if (digits && to->type.kind == WH_K_DECTEXT) { /* of any size */
        w->status = wh_col_bytes(to, s, n);
        return w->status == WH_OK;
    }
    if (csv_put_cell(to, &w->dialect, s, n, w->scratch, &w->status))
        return true;
    if (w->status != WH_OK || !digits || !is_integer_kind(to->type.kind))
        return false;
    k = plain_integer(w, s, n);
    memset(w->scratch + k, 0, JSON_PADDING);
    return k && csv_put_cell(to, &w->dialect, w->scratch, k, w->scratch + 128, &w->status);
}

/* What the guess of a column would not have taken for one of its values. */
static const char *changes(const struct json_column *c, const uint8_t *p, size_t n, bool digits,
                           bool whole)
{
    enum wh_kind k = c->to->type.kind;
    if (!c->guessed)
        return NULL;
    bool numeric = k == WH_K_I64 || k == WH_K_F64 || k == WH_K_DECTEXT;
    if (numeric != digits)
        return OTHER_KIND;
    if (k == WH_K_I64 && (!whole || (n == 2 && p[0] == '-' && p[1] == '0')))
        return WOULD_CHANGE;
    return k == WH_K_F64 && n > 15 && !csv_same_as_double((const char *)p, n, '.') ? WOULD_CHANGE
                                                                                   : NULL;
}

static const uint8_t *other(struct json_cells *w, int32_t column, const uint8_t *p,
                            const uint8_t *end)
{
    struct json_column *c = &w->columns[column];
    bool whole = false, digits = *p == '-' || is_digit(*p), truth = *p == 't' || *p == 'f';
    struct wh_bytes s;
    const uint8_t *behind;
    if (*p == '"') {
        behind = string(w, column, p, end, &s);
    } else {
        behind = digits ? json_number(p, end, &whole) : json_value(p, end);
        s = (struct wh_bytes){p, behind ? (size_t)(behind - p) : 0};
    }
    if (!behind)
        return NULL;
    if (is_null(p, end))
        return done(w, wh_put_null(c->to), behind);
    enum wh_kind k = c->to->type.kind;
    const char *code = csv_put_code(k);
    const char *why = changes(c, s.p, s.n, digits, whole);
    if (!why && k == WH_K_BOOL && c->guessed && !truth)
        why = OTHER_KIND;
    if (!why && (*p == '{' || *p == '[' || !put(w, c->to, s.p, s.n, digits)))
        why = NOT_THIS_TYPE;
    if (w->status != WH_OK)
        return NULL;
    return why ? fault(w, column, code, why, p, behind) : behind;
}

const uint8_t *json_cell(struct json_cells *w, int32_t column, const uint8_t *p, const uint8_t *end)
{
    switch (w->columns[column].how) {
    case JSON_I64:
        return integer(w, column, p, end);
    case JSON_F64:
        return number(w, column, p, end);
    case JSON_TEXT:
        return text(w, column, p, end);
    case JSON_RAW:
        return raw(w, column, p, end);
    default:
        return other(w, column, p, end);
    }
}
