/* SPDX-License-Identifier: Apache-2.0 */
/* Cells of SQLite as values of column types. */
#include "sqlite_cell.h"

#include <ctype.h>
#include <math.h>

#include "data/number.h"

#define EXACT_DOUBLE (INT64_C(1) << 53) /* integers up to here are exact in a double */

/* s NULL: out of memory, which the caller asks for. */
static struct wh_str text_of(sqlite3_value *cell)
{
    const char *p = (const char *)sqlite3_value_text(cell);

    return (struct wh_str){p, p ? (size_t)sqlite3_value_bytes(cell) : 0};
}

/* ---- numbers -----------------------------------------------------------------------------------
 */

bool lite_is_decimal(const char *p, size_t n)
{
    const char *end = p + n;
    size_t digits = 0;

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    for (; p < end && isdigit((unsigned char)*p); p++)
        digits++;
    if (p < end && *p == '.')
        for (p++; p < end && isdigit((unsigned char)*p); p++)
            digits++;
    if (!digits)
        return false;
    if (p < end && (*p == 'e' || *p == 'E')) {
        p++;
        if (p < end && (*p == '-' || *p == '+'))
            p++;
        if (p == end)
            return false;
        while (p < end && isdigit((unsigned char)*p))
            p++;
    }
    return p == end;
}

static bool take_double(sqlite3_value *cell, int storage, struct lite_value *v)
{
    if (storage == SQLITE_FLOAT) {
        v->f = sqlite3_value_double(cell);
        return true;
    }
    if (storage != SQLITE_INTEGER)
        return false;
    v->i = sqlite3_value_int64(cell);
    v->f = (double)v->i;
    return v->i >= -EXACT_DOUBLE && v->i <= EXACT_DOUBLE;
}

/* A decimal that went through a double: the only one with these digits that the double can mean. */
static bool decimal_of_double(double f, const struct wh_type *t, __int128 *ret)
{
    static const double powers[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                    1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
    char text[32];

    if (!isfinite(f))
        return false;
    if (t->precision <= 15 && t->scale >= 0 && t->scale <= 15) {
        double scaled = nearbyint(f * powers[t->scale]);

        if (!(fabs(scaled) < powers[t->precision]) || scaled / powers[t->scale] != f)
            return false;
        *ret = (int64_t)scaled;
        return true;
    }
    return wh_read_dec128(text, wh_print_f64(f, text), t->precision, t->scale, ret);
}

static bool small_decimal(int64_t i, const struct wh_type *t, __int128 *ret)
{
    int64_t scale = 1, most = 1;

    for (int k = 0; k < t->scale; k++)
        scale *= 10;
    for (int k = 0; k < t->precision - t->scale; k++)
        most *= 10;
    *ret = (__int128)i * scale;
    return i < most && i > -most;
}

static bool take_dec128(sqlite3_value *cell, int storage, const struct wh_type *t,
                        struct lite_value *v)
{
    char text[32];

    switch (storage) {
    case SQLITE_INTEGER:
        v->i = sqlite3_value_int64(cell);
        if (t->precision <= 15 && t->scale >= 0) /* the common case without text */
            return small_decimal(v->i, t, &v->d);
        return wh_read_dec128(text, wh_print_i64(v->i, text), t->precision, t->scale, &v->d);
    case SQLITE_FLOAT:
        return decimal_of_double(sqlite3_value_double(cell), t, &v->d);
    case SQLITE_TEXT: {
        struct wh_str x = text_of(cell);

        return wh_read_dec128(x.s, x.n, t->precision, t->scale, &v->d);
    }
    default:
        return false;
    }
}

static bool take_dec256(sqlite3_value *cell, int storage, const struct wh_type *t,
                        struct lite_value *v)
{
    struct wh_str x = {v->buf, 0};

    if (storage == SQLITE_INTEGER)
        x.n = wh_print_i64(sqlite3_value_int64(cell), v->buf);
    else if (storage == SQLITE_FLOAT && isfinite(sqlite3_value_double(cell)))
        x.n = wh_print_f64(sqlite3_value_double(cell), v->buf);
    else if (storage == SQLITE_TEXT)
        x = text_of(cell);
    return x.n && wh_read_dec256(x.s, x.n, t->precision, t->scale, v->words);
}

static bool set_text(struct lite_value *v, const void *p, size_t n)
{
    v->p = p;
    v->n = n;
    return true;
}

/* What decimal text may be beside digits. */
static bool is_number_word(struct wh_str x)
{
    static const char *const words[] = {"nan", "infinity", "-infinity", "inf", "-inf"};

    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (wh_str_ieqs(x, words[i]))
            return true;
    return false;
}

static bool take_dectext(sqlite3_value *cell, int storage, struct lite_value *v)
{
    struct wh_str x;

    if (storage == SQLITE_INTEGER)
        return set_text(v, v->buf, wh_print_i64(sqlite3_value_int64(cell), v->buf));
    if (storage == SQLITE_FLOAT && isfinite(sqlite3_value_double(cell)))
        return set_text(v, v->buf, wh_print_f64(sqlite3_value_double(cell), v->buf));
    if (storage != SQLITE_TEXT)
        return false;
    x = text_of(cell);
    return (lite_is_decimal(x.s, x.n) || is_number_word(x)) && set_text(v, x.s, x.n);
}

/* ---- text and bytes ----------------------------------------------------------------------------
 */

static bool take_text(sqlite3_value *cell, int storage, const struct wh_type *t,
                      struct lite_value *v)
{
    struct wh_str x;

    if (storage == SQLITE_BLOB)
        return false;
    /* Numbers get here in columns without a type that hold text as well, and in JSON. */
    if (storage == SQLITE_INTEGER)
        return set_text(v, v->buf, wh_print_i64(sqlite3_value_int64(cell), v->buf));
    if (storage == SQLITE_FLOAT) {
        double f = sqlite3_value_double(cell);

        return (t->logical != WH_L_JSON || isfinite(f)) &&
               set_text(v, v->buf, wh_print_f64(f, v->buf));
    }
    x = text_of(cell);
    if (!x.s || !wh_utf8_valid(x.s, x.n)) /* no text: out of memory, which the caller asks */
        return false;
    if (t->length > 0 && x.n > (size_t)t->length && wh_utf8_chars(x.s, x.n) > t->length)
        return false;
    return set_text(v, x.s, x.n);
}

static bool take_bytes(sqlite3_value *cell, int storage, const struct wh_type *t,
                       struct lite_value *v)
{
    const void *p;
    size_t n;

    if (storage != SQLITE_BLOB)
        return false;
    p = sqlite3_value_blob(cell);
    n = (size_t)sqlite3_value_bytes(cell);
    if (t->kind == WH_K_FIXED ? n != (size_t)t->length : t->length > 0 && n > (size_t)t->length)
        return false;
    return set_text(v, p ? p : "", n);
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool take_uuid(sqlite3_value *cell, int storage, const struct wh_type *t,
                      struct lite_value *v)
{
    struct wh_str x;
    int n = 0;

    if (storage != SQLITE_TEXT)
        return take_bytes(cell, storage, t, v);
    x = text_of(cell);
    if (x.n != 36)
        return false;
    for (size_t i = 0; i < 36; i++) {
        int h = hex_digit(x.s[i]);

        if (i == 8 || i == 13 || i == 18 || i == 23) {
            if (x.s[i] != '-')
                return false;
            continue;
        }
        if (h < 0)
            return false;
        if (n % 2 == 0)
            v->buf[n / 2] = (char)(h << 4);
        else
            v->buf[n / 2] = (char)(v->buf[n / 2] | h);
        n++;
    }
    return set_text(v, v->buf, 16);
}

/* ---- time --------------------------------------------------------------------------------------
 */

static bool take_date(struct wh_str x, struct lite_value *v)
{
    int32_t days;

    if (!wh_read_date(x.s, x.n, &days))
        return false;
    v->i = days;
    return true;
}

static bool take_time(struct wh_str x, const struct wh_type *t, struct lite_value *v)
{
    int64_t ns;

    if (!wh_read_time_ns(x.s, x.n, &ns) || (t->unit == WH_MICRO && ns % 1000))
        return false;
    v->i = t->unit == WH_MICRO ? ns / 1000 : ns;
    return true;
}

/* A day alone is its midnight, as SQLite's own functions take it; only without a zone. */
static bool take_timestamp(struct wh_str x, const struct wh_type *t, struct lite_value *v)
{
    static const int64_t per_day[] = {86400, 86400000, INT64_C(86400000000),
                                      INT64_C(86400000000000)};
    bool zoned;

    if (wh_read_timestamp(x.s, x.n, t->unit, &v->i, &zoned))
        return zoned == t->zoned;
    return !t->zoned && x.n <= 12 && take_date(x, v) &&
           !__builtin_mul_overflow(v->i, per_day[t->unit & 3], &v->i);
}

static bool take_of_text(sqlite3_value *cell, int storage, const struct wh_type *t,
                         struct lite_value *v)
{
    struct wh_str x;

    if (storage == SQLITE_INTEGER && t->kind == WH_K_DURATION) {
        v->i = sqlite3_value_int64(cell);
        return true;
    }
    if (storage != SQLITE_TEXT)
        return false;
    x = text_of(cell);
    switch (t->kind) {
    case WH_K_DATE32:
        return take_date(x, v);
    case WH_K_TIME64:
        return take_time(x, t, v);
    case WH_K_TIMESTAMP:
        return take_timestamp(x, t, v);
    case WH_K_DURATION:
        return wh_read_duration(x.s, x.n, t->unit, &v->i);
    default:
        return wh_read_interval(x.s, x.n, &v->months, &v->days, &v->i);
    }
}

/* ---- all kinds ---------------------------------------------------------------------------------
 */

static bool take_integer(sqlite3_value *cell, int storage, const struct wh_type *t,
                         struct lite_value *v)
{
    static const int64_t most[WH_K_COUNT] = {
        [WH_K_BOOL] = 1,         [WH_K_I8] = INT8_MAX,    [WH_K_I16] = INT16_MAX,
        [WH_K_I32] = INT32_MAX,  [WH_K_I64] = INT64_MAX,  [WH_K_U8] = UINT8_MAX,
        [WH_K_U16] = UINT16_MAX, [WH_K_U32] = UINT32_MAX,
    };
    bool is_signed = t->kind >= WH_K_I8 && t->kind <= WH_K_I64;

    if (storage != SQLITE_INTEGER)
        return false;
    v->i = sqlite3_value_int64(cell);
    v->u = (uint64_t)v->i;
    return v->i <= most[t->kind] && v->i >= (is_signed ? -most[t->kind] - 1 : 0);
}

static bool take_u64(sqlite3_value *cell, int storage, struct lite_value *v)
{
    struct wh_str x;

    if (storage == SQLITE_INTEGER) {
        v->i = sqlite3_value_int64(cell);
        v->u = (uint64_t)v->i;
        return v->i >= 0;
    }
    x = text_of(cell);
    return storage == SQLITE_TEXT && wh_read_u64(x.s, x.n, &v->u);
}

bool lite_cell_take(sqlite3_value *cell, int storage, const struct wh_type *t, struct lite_value *v)
{
    switch (t->kind) {
    case WH_K_BOOL:
    case WH_K_I8:
    case WH_K_I16:
    case WH_K_I32:
    case WH_K_I64:
    case WH_K_U8:
    case WH_K_U16:
    case WH_K_U32:
        return take_integer(cell, storage, t, v);
    case WH_K_U64:
        return take_u64(cell, storage, v);
    case WH_K_F32:
        return take_double(cell, storage, v) && (isnan(v->f) || (double)(float)v->f == v->f);
    case WH_K_F64:
        return take_double(cell, storage, v);
    case WH_K_DEC128:
        return take_dec128(cell, storage, t, v);
    case WH_K_DEC256:
        return take_dec256(cell, storage, t, v);
    case WH_K_DECTEXT:
        return take_dectext(cell, storage, v);
    case WH_K_UTF8:
        return take_text(cell, storage, t, v);
    case WH_K_BINARY:
        return take_bytes(cell, storage, t, v);
    case WH_K_FIXED:
        return t->logical == WH_L_UUID ? take_uuid(cell, storage, t, v)
                                       : take_bytes(cell, storage, t, v);
    default:
        return take_of_text(cell, storage, t, v);
    }
}

wh_status lite_cell_put(struct wh_column *c, const struct lite_value *v)
{
    switch (c->type.kind) {
    case WH_K_U8:
    case WH_K_U16:
    case WH_K_U32:
    case WH_K_U64:
        return wh_col_u64(c, v->u);
    case WH_K_F32:
    case WH_K_F64:
        return wh_col_f64(c, v->f);
    case WH_K_DEC128:
        return wh_col_dec128(c, v->d);
    case WH_K_DEC256:
        return wh_col_dec256(c, v->words);
    case WH_K_DECTEXT:
    case WH_K_UTF8:
    case WH_K_BINARY:
    case WH_K_FIXED:
        return wh_put_bytes(c, v->p, v->n);
    case WH_K_INTERVAL:
        return wh_col_interval(c, v->months, v->days, v->i);
    default:
        return wh_col_i64(c, v->i);
    }
}

/* ---- what did not fit --------------------------------------------------------------------------
 */

const char *lite_cell_code(sqlite3_value *cell, const struct wh_type *t)
{
    struct wh_str x;

    if (sqlite3_value_type(cell) == SQLITE_TEXT) {
        x = text_of(cell);
        if (!wh_utf8_valid(x.s, x.n))
            return "E6005";
        if (t->kind == WH_K_UTF8)
            return "E6004";
    }
    if (t->kind == WH_K_DEC128 || t->kind == WH_K_DEC256)
        return "E6003";
    return "E6006";
}

void lite_cell_why(sqlite3_value *cell, const struct wh_type *t, char *out, size_t size)
{
    static const char *const classes[] = {"", "integer ", "real ", "text ", "blob ", "NULL"};
    struct wh_buf type WH_CLEANUP(wh_buf_free) = WH_BUF(512);
    struct wh_str x = {"", 0};
    int storage = sqlite3_value_type(cell);
    bool valid = true;
    size_t n;

    wh_ignore(wh_type_print(t, &type));
    if (storage == SQLITE_BLOB) {
        snprintf(out, size, "a blob of %d bytes where %s is promised", sqlite3_value_bytes(cell),
                 type.p ? type.p : "?");
        return;
    }
    if (storage != SQLITE_NULL) {
        x = text_of(cell);
        valid = wh_utf8_valid(x.s, x.n);
    }
    for (n = 0; valid && n < x.n;) { /* at most 80 bytes, whole characters */
        size_t one = wh_utf8_len(x.s + n, x.n - n);

        if (!one || n + one > 80)
            break;
        n += one;
    }
    if (!valid)
        snprintf(out, size, "text that is not valid UTF-8 where %s is promised",
                 type.p ? type.p : "?");
    else
        snprintf(out, size, "%s%s%.*s%s%s where %s is promised", classes[storage % 6],
                 storage == SQLITE_TEXT ? "'" : "", (int)n, x.s, n < x.n ? "..." : "",
                 storage == SQLITE_TEXT ? "'" : "", type.p ? type.p : "?");
}

static wh_status hex_json(const unsigned char *p, size_t n, struct wh_buf *b)
{
    static const char digits[] = "0123456789abcdef";

    WH_TRY(wh_buf_adds(b, "{\"hex\": \""));
    WH_TRY(wh_buf_reserve(b, n * 2));
    for (size_t i = 0; i < n; i++) {
        b->p[b->n++] = digits[p[i] >> 4];
        b->p[b->n++] = digits[p[i] & 15];
    }
    return wh_buf_adds(b, "\"}");
}

bool lite_cell_wide(sqlite3_value *cell)
{
    int n = sqlite3_value_bytes16(cell); /* before it becomes UTF-8: what is odd there is lost */
    const uint16_t *p = sqlite3_value_text16(cell);

    if (n % 2)
        return false;
    for (int i = 0; p && i < n / 2; i++) {
        bool high = p[i] >= 0xd800 && p[i] < 0xdc00, low = p[i] >= 0xdc00 && p[i] < 0xe000;

        if (low || (high && (i + 1 >= n / 2 || p[i + 1] < 0xdc00 || p[i + 1] >= 0xe000)))
            return false;
        i += high;
    }
    return true;
}

static wh_status cell_json(sqlite3_value *cell, bool utf16, struct wh_buf *b)
{
    char text[32];
    struct wh_str x;

    switch (sqlite3_value_type(cell)) {
    case SQLITE_INTEGER:
        return wh_buf_add(b, text, wh_print_i64(sqlite3_value_int64(cell), text));
    case SQLITE_FLOAT:
        if (!isfinite(sqlite3_value_double(cell)))
            return wh_buf_adds(b, sqlite3_value_double(cell) > 0 ? "\"inf\"" : "\"-inf\"");
        return wh_buf_add(b, text, wh_print_f64(sqlite3_value_double(cell), text));
    case SQLITE_TEXT:
        if (utf16 && !lite_cell_wide(cell)) {
            x.n = (size_t)sqlite3_value_bytes16(cell);
            return hex_json(sqlite3_value_text16(cell), x.n, b);
        }
        x = text_of(cell);
        return wh_utf8_valid(x.s, x.n) ? wh_buf_json(b, x.s, x.n)
                                       : hex_json((const unsigned char *)x.s, x.n, b);
    case SQLITE_BLOB:
        x.s = sqlite3_value_blob(cell);
        return hex_json((const unsigned char *)x.s, (size_t)sqlite3_value_bytes(cell), b);
    default:
        return wh_buf_adds(b, "null");
    }
}

wh_status lite_row_json(sqlite3_stmt *s, int first, bool utf16, struct wh_buf *b)
{
    int n = sqlite3_column_count(s);

    WH_TRY(wh_buf_addc(b, '{'));
    for (int i = first; i < n; i++) {
        const char *name = sqlite3_column_name(s, i);

        if (i > first)
            WH_TRY(wh_buf_adds(b, ", "));
        WH_TRY(wh_buf_json(b, name ? name : "", name ? strlen(name) : 0));
        WH_TRY(wh_buf_adds(b, ": "));
        WH_TRY(cell_json(sqlite3_column_value(s, i), utf16, b));
    }
    return wh_buf_addc(b, '}');
}
