/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "data/number.h"
#include "formats/csv/cell.h"

static const char *const NOT_THIS_TYPE = "is not a value of type ";
static const char *const WOULD_CHANGE = "would be changed by type ";

/* A cell on its way: text without quotes. */
struct cell {
    const uint8_t *s;
    size_t n;
    bool quoted;
};

uint32_t csv_null_lengths(const struct wh_csv_dialect *d)
{
    uint32_t bits = 0;
    for (int i = 0; i < d->n_nulls; i++)
        bits |= 1u << (d->nulls[i].n < 31 ? d->nulls[i].n : 31);
    return bits;
}

/* One field of the block's records. A copy that nothing points to: a store to a column might
 * otherwise change the block, as far as the compiler knows, and all of it be read for each cell. */
struct place {
    const uint32_t *at; /* of the field in the first record's entry */
    const struct csv_row *rows;
    const uint8_t *p;
    uint32_t delimiter_n;
    bool first, escapes;
    int quote;
};

static inline struct place place_of(const struct csv_block *b, int64_t field)
{
    return (struct place){.at = b->at + field,
                          .rows = b->rows,
                          .p = b->p,
                          .delimiter_n = b->d->delimiter_n,
                          .first = !field,
                          .escapes = b->d->escape >= 0,
                          .quote = b->d->quote};
}

static inline struct cell raw_cell(struct place l, int32_t r)
{
    const uint32_t *at = l.at + l.rows[r].entry;
    uint32_t start = l.first ? l.rows[r].start : (at[-1] & CSV_AT_MASK) + l.delimiter_n;
    return (struct cell){.s = l.p + start, .n = (at[0] & CSV_AT_MASK) - start};
}

/* Takes quotes and escapes off. The common case, a quoted field without doubled quotes, is not
 * copied. */
static void strip(const struct csv_block *b, struct cell *c)
{
    const struct wh_csv_dialect *d = b->d;
    c->quoted = csv_is_quoted(d, c->s, c->n);
    bool escapes = d->escape >= 0 && d->escape != d->quote;
    if (!c->quoted && !escapes)
        return;
    if (c->quoted && c->n >= 2 && !memchr(c->s + 1, d->quote, c->n - 2) &&
        !(escapes && memchr(c->s, d->escape, c->n))) {
        c->s++;
        c->n -= 2;
        return;
    }
    c->n = csv_unquote(d, c->s, c->n, b->scratch);
    c->s = b->scratch;
}

static inline bool needs_strip(struct place l, const struct cell *c)
{
    return c->n && (c->s[0] == l.quote || l.escapes);
}

static wh_status fault(struct csv_block *b, int32_t r, int32_t column, const char *code,
                       const char *text, struct wh_column *out, struct csv_fault *faults)
{
    if (!b->bad[r]) {
        b->bad[r] = 1;
        b->n_bad++;
        faults[r] = (struct csv_fault){column, code, text};
    }
    return wh_put_null(out);
}

/* ---- fast numbers ---------------------------------------------------------------------------- */

/* n (1..8) ASCII digits in the low bytes of v; what lies above them does not matter. */
static inline bool digits_of(uint64_t v, size_t n, uint64_t *ret)
{
    v <<= 64 - 8 * n;
    v |= n == 8 ? 0 : 0x3030303030303030u >> (8 * n);
    if (((v & 0xf0f0f0f0f0f0f0f0u) | (((v + 0x0606060606060606u) & 0xf0f0f0f0f0f0f0f0u) >> 4)) !=
        0x3333333333333333u)
        return false;
    v = (v & 0x0f0f0f0f0f0f0f0fu) * 2561 >> 8;
    v = (v & 0x00ff00ff00ff00ffu) * 6553601 >> 16;
    *ret = (v & 0x0000ffff0000ffffu) * 42949672960001u >> 32;
    return true;
}

static inline bool digits8(const uint8_t *s, size_t n, uint64_t *ret)
{
    uint64_t v;
    memcpy(&v, s, 8);
    return digits_of(v, n, ret);
}

/* The same with one point among them (n 2..8); *ret_after: digits behind it. */
static inline bool point8(const uint8_t *s, size_t n, uint64_t *ret, size_t *ret_after)
{
    uint64_t v;
    memcpy(&v, s, 8);
    uint64_t x = v ^ 0x2e2e2e2e2e2e2e2eu;
    uint64_t hit = (x - 0x0101010101010101u) & ~x & 0x8080808080808080u;
    if (!hit)
        return false;
    size_t at = (size_t)__builtin_ctzll(hit) >> 3;
    if (at + 1 >= n) /* "12." is number.h's */
        return false;
    uint64_t below = at ? ~(uint64_t)0 >> (64 - 8 * at) : 0;
    *ret_after = n - 1 - at;
    return digits_of((v & below) | (v >> 8 & ~below), n - 1, ret);
}

/* Plain integers of up to 16 digits; everything else is number.h's. The window is padded. */
static inline __attribute__((always_inline)) bool read_i64(const uint8_t *s, size_t n, int64_t *ret)
{
    bool minus = n && s[0] == '-';
    const uint8_t *t = s + minus;
    size_t k = n - minus;
    uint64_t hi = 0, lo = 0;
    if (k - 1 < 8) {
        if (!digits8(t, k, &lo))
            return wh_read_i64((const char *)s, n, ret);
    } else if (k - 1 < 16) {
        if (!digits8(t, k - 8, &hi) || !digits8(t + k - 8, 8, &lo))
            return wh_read_i64((const char *)s, n, ret);
    } else {
        return wh_read_i64((const char *)s, n, ret);
    }
    int64_t v = (int64_t)(hi * 100000000 + lo);
    *ret = minus ? -v : v;
    return true;
}

static const double POWERS[] = {1e0, 1e1, 1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

/* Digits with at most one point among the last eight, at most 15 of them: mantissa and power of ten
 * are exact in a double, so one division rounds once and correctly. All else is number.h's. */
static inline __attribute__((always_inline)) bool read_f64(const uint8_t *s, size_t n, double *ret)
{
    bool minus = n && s[0] == '-';
    const uint8_t *t = s + minus;
    size_t k = n - minus, after = 0;
    uint64_t hi = 0, v = 0;
    if (k - 1 >= 15 || t[0] == '.')
        return wh_read_f64((const char *)s, n, ret);
    size_t front = k > 8 ? k - 8 : 0, back = k - front;
    bool point = back > 1 && point8(t + front, back, &v, &after);
    if ((!point && !digits8(t + front, back, &v)) || (front && !digits8(t, front, &hi)))
        return wh_read_f64((const char *)s, n, ret);
    v += hi * (point ? 10000000 : 100000000);
    double x = (double)v / POWERS[after];
    *ret = minus ? -x : x;
    return true;
}

/* yyyy-MM-dd with an existing day; everything else is number.h's. */
static inline __attribute__((always_inline)) bool read_date(const uint8_t *s, size_t n,
                                                            int32_t *ret)
{
    static const uint8_t month_days[] = {0,  31, 28, 31, 30, 31, 30, 31,
                                         31, 30, 31, 30, 31, 0,  0,  0};
    uint64_t v;
    if (n != 10)
        return wh_read_date((const char *)s, n, ret);
    memcpy(&v, s, 8);
    v ^= 0x2d30302d30303030u; /* digits become their values, hyphens zero */
    unsigned d1 = s[8] - '0', d2 = s[9] - '0';
    if ((v & 0xfff0f0fff0f0f0f0u) || ((v + 0x0006060006060606u) & 0xf0f0f0f0f0f0f0f0u) || d1 > 3 ||
        d2 > 9)
        return wh_read_date((const char *)s, n, ret);
    unsigned y = (unsigned)(v & 15) * 1000 + (unsigned)(v >> 8 & 15) * 100 +
                 (unsigned)(v >> 16 & 15) * 10 + (unsigned)(v >> 24 & 15);
    unsigned m = (unsigned)(v >> 40 & 15) * 10 + (unsigned)(v >> 48 & 15), d = d1 * 10 + d2;
    if (m - 1 > 11 || d - 1 >= month_days[m] || !y)
        return wh_read_date((const char *)s, n, ret);
    /* Days from March of the year before, the leap day at the end (H. Hinnant's construction). */
    unsigned yy = y - (m <= 2), era_day = (153 * (m > 2 ? m - 3 : m + 9) + 2) / 5 + d - 1;
    *ret = (int32_t)(yy * 365 + yy / 4 - yy / 100 + yy / 400 + era_day) - 719468;
    return true;
}

/* ---- columns that are not text --------------------------------------------------------------- */

typedef bool (*put_fn)(struct wh_column *, const struct wh_csv_dialect *, const uint8_t *s,
                       size_t n, uint8_t *scratch, int *ret_status);

static bool int_fits(enum wh_kind kind, int64_t v)
{
    switch (kind) {
    case WH_K_I8:
        return v == (int8_t)v;
    case WH_K_I16:
        return v == (int16_t)v;
    case WH_K_I32:
        return v == (int32_t)v;
    default:
        return true;
    }
}

static bool put_int(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s, size_t n,
                    uint8_t *scratch, int *st)
{
    int64_t v;
    if (!read_i64(s, n, &v) || !int_fits(c->type.kind, v))
        return false;
    *st = wh_col_i64(c, v);
    return true;
}

static bool put_uint(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                     size_t n, uint8_t *scratch, int *st)
{
    uint64_t v;
    static const uint64_t top[] = {UINT8_MAX, UINT16_MAX, UINT32_MAX, UINT64_MAX};
    if (!wh_read_u64((const char *)s, n, &v) || v > top[c->type.kind - WH_K_U8])
        return false;
    *st = wh_col_u64(c, v);
    return true;
}

/* A decimal comma becomes a point; a point is then no number. */
static bool point_text(const struct wh_csv_dialect *d, const uint8_t **s, size_t n,
                       uint8_t *scratch)
{
    if (d->decimal == '.')
        return true;
    if (memchr(*s, '.', n))
        return false;
    memmove(scratch, *s, n);
    uint8_t *comma = memchr(scratch, d->decimal, n);
    if (comma)
        *comma = '.';
    *s = scratch;
    return true;
}

static bool put_float(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                      size_t n, uint8_t *scratch, int *st)
{
    double v;
    float f;
    if (!point_text(d, &s, n, scratch))
        return false;
    if (c->type.kind == WH_K_F32) {
        if (!wh_read_f32((const char *)s, n, &f))
            return false;
        *st = wh_col_f64(c, (double)f);
        return true;
    }
    if (!read_f64(s, n, &v))
        return false;
    *st = wh_col_f64(c, v);
    return true;
}

static bool put_decimal(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                        size_t n, uint8_t *scratch, int *st)
{
    const struct wh_type *t = &c->type;
    if (!point_text(d, &s, n, scratch))
        return false;
    if (t->kind == WH_K_DEC128) {
        __int128 v;
        if (!wh_read_dec128((const char *)s, n, t->precision, t->scale, &v))
            return false;
        *st = wh_col_dec128(c, v);
        return true;
    }
    uint64_t words[4];
    if (!wh_read_dec256((const char *)s, n, t->precision, t->scale, words))
        return false;
    *st = wh_col_dec256(c, words);
    return true;
}

/* Digits with sign, point and exponent, or NaN. */
static bool is_decimal_text(const uint8_t *s, size_t n)
{
    double ignored;
    return wh_read_f64((const char *)s, n, &ignored) &&
           (!memchr("iI", s[0], 2) && !(n > 1 && memchr("iI", s[1], 2)));
}

static bool put_decimal_text(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                             size_t n, uint8_t *scratch, int *st)
{
    if (!point_text(d, &s, n, scratch) || !is_decimal_text(s, n))
        return false;
    *st = wh_col_bytes(c, s, n);
    return true;
}

static bool put_bool(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                     size_t n, uint8_t *scratch, int *st)
{
    static const struct {
        const char *word;
        bool value;
    } words[] = {{"true", true}, {"false", false}, {"1", true},
                 {"0", false},   {"t", true},      {"f", false}};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        if (wh_str_ieqs((struct wh_str){(const char *)s, n}, words[i].word)) {
            *st = wh_col_i64(c, words[i].value);
            return true;
        }
    }
    return false;
}

static bool put_date(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                     size_t n, uint8_t *scratch, int *st)
{
    int32_t days;
    if (!read_date(s, n, &days))
        return false;
    *st = wh_put_i32(c, days);
    return true;
}

static bool put_time(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                     size_t n, uint8_t *scratch, int *st)
{
    static const int64_t per[] = {1000000000, 1000000, 1000, 1};
    int64_t ns;
    if (!wh_read_time_ns((const char *)s, n, &ns) || ns % per[c->type.unit])
        return false;
    *st = wh_col_i64(c, ns / per[c->type.unit]);
    return true;
}

static bool put_timestamp(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                          size_t n, uint8_t *scratch, int *st)
{
    int64_t v;
    bool zoned;
    if (!wh_read_timestamp((const char *)s, n, c->type.unit, &v, &zoned) || zoned != c->type.zoned)
        return false;
    *st = wh_put_i64(c, v);
    return true;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* \x and hexadecimal digits, as our writer writes bytes. */
static bool put_binary(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                       size_t n, uint8_t *scratch, int *st)
{
    if (n < 2 || n % 2 || s[0] != '\\' || s[1] != 'x')
        return false;
    size_t k = 0;
    for (size_t i = 2; i < n; i += 2) {
        int hi = hex_digit(s[i]), lo = hex_digit(s[i + 1]);
        if (hi < 0 || lo < 0)
            return false;
        scratch[k++] = (uint8_t)(hi << 4 | lo);
    }
    if (c->type.kind == WH_K_FIXED && (int64_t)k != c->type.length)
        return false;
    *st = wh_col_bytes(c, scratch, k);
    return true;
}

static bool put_interval(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                         size_t n, uint8_t *scratch, int *st)
{
    int32_t months, days;
    int64_t ns;
    if (!wh_read_interval((const char *)s, n, &months, &days, &ns))
        return false;
    *st = wh_col_interval(c, months, days, ns);
    return true;
}

static bool put_duration(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s,
                         size_t n, uint8_t *scratch, int *st)
{
    int64_t v;
    if (!wh_read_duration((const char *)s, n, (int)c->type.unit, &v))
        return false;
    *st = wh_col_i64(c, v);
    return true;
}

static const struct {
    put_fn put;
    const char *code; /* of a text that does not fit */
} PUTS[WH_K_COUNT] = {
    [WH_K_BOOL] = {put_bool, "E6006"},
    [WH_K_I8] = {put_int, "E6003"},
    [WH_K_I16] = {put_int, "E6003"},
    [WH_K_I32] = {put_int, "E6003"},
    [WH_K_I64] = {put_int, "E6006"},
    [WH_K_U8] = {put_uint, "E6003"},
    [WH_K_U16] = {put_uint, "E6003"},
    [WH_K_U32] = {put_uint, "E6003"},
    [WH_K_U64] = {put_uint, "E6003"},
    [WH_K_F32] = {put_float, "E6006"},
    [WH_K_F64] = {put_float, "E6006"},
    [WH_K_DEC128] = {put_decimal, "E6003"},
    [WH_K_DEC256] = {put_decimal, "E6003"},
    [WH_K_DECTEXT] = {put_decimal_text, "E6006"},
    [WH_K_BINARY] = {put_binary, "E6006"},
    [WH_K_FIXED] = {put_binary, "E6006"},
    [WH_K_DATE32] = {put_date, "E6006"},
    [WH_K_TIME64] = {put_time, "E6006"},
    [WH_K_TIMESTAMP] = {put_timestamp, "E6006"},
    [WH_K_DURATION] = {put_duration, "E6006"},
    [WH_K_INTERVAL] = {put_interval, "E6006"},
};

bool wh_csv_can_read(const struct wh_type *t)
{
    return t->kind == WH_K_UTF8 || t->kind == WH_K_NULL || PUTS[t->kind].put;
}

bool csv_put_cell(struct wh_column *c, const struct wh_csv_dialect *d, const uint8_t *s, size_t n,
                  uint8_t *scratch, int *ret_status)
{
    return PUTS[c->type.kind].put(c, d, s, n, scratch, ret_status) && *ret_status == WH_OK;
}

const char *csv_put_code(enum wh_kind kind)
{
    return PUTS[kind].code;
}

/* Leading zero or plus sign: a code that happens to be made of digits. Minus zero has no integer.
 */
static inline bool is_code(const uint8_t *s, size_t n, enum wh_kind kind)
{
    size_t minus = s[0] == '-';
    if (s[0] == '+')
        return true;
    if (n <= minus + 1 || s[minus] != '0')
        return minus && n == 2 && s[1] == '0' && kind == WH_K_I64;
    return s[minus + 1] >= '0' && s[minus + 1] <= '9';
}

/* What the guess of a column would not have taken for one of its values. */
static inline __attribute__((always_inline)) bool
changes(const struct wh_csv_dialect *d, enum wh_kind kind, const uint8_t *s, size_t n)
{
    if (kind == WH_K_BOOL)
        return n < 4; /* t, f, 1, 0: words that only a declared type knows */
    if (kind != WH_K_I64 && kind != WH_K_F64)
        return false;
    return is_code(s, n, kind) ||
           (kind == WH_K_F64 && n > 15 && !csv_same_as_double((const char *)s, n, d->decimal));
}

struct span {
    int32_t from, to;
};

/* One inlined copy of this loop per hot kind: `put` is a constant in each. */
static inline __attribute__((always_inline)) wh_status
values(struct csv_block *b, int64_t field, struct wh_column *out, int32_t column,
       struct csv_fault *faults, struct span rows, enum wh_kind kind, put_fn put, const char *code)
{
    const struct place l = place_of(b, field);
    const bool strict = b->strict[column], odd_nulls = b->nulls_look_like_numbers;
    for (int32_t r = rows.from; r < rows.to; r++) {
        struct cell c = raw_cell(l, r);
        if (needs_strip(l, &c))
            strip(b, &c);
        if (!c.n || (odd_nulls && csv_is_null_text(b->d, b->null_lengths, c.s, c.n))) {
            WH_TRY(wh_put_null(out));
            continue;
        }
        int st = WH_OK;
        if (strict && __builtin_expect(changes(b->d, kind, c.s, c.n), 0) &&
            !csv_is_null_text(b->d, b->null_lengths, c.s, c.n)) {
            WH_TRY(fault(b, r, column, code, WOULD_CHANGE, out, faults));
            continue;
        }
        if (!put(out, b->d, c.s, c.n, b->scratch, &st)) {
            if (csv_is_null_text(b->d, b->null_lengths, c.s, c.n))
                WH_TRY(wh_put_null(out));
            else
                WH_TRY(fault(b, r, column, code, NOT_THIS_TYPE, out, faults));
        }
        if (st != WH_OK)
            return st;
    }
    return WH_OK;
}

static inline __attribute__((always_inline)) bool hot_i64(struct wh_column *c,
                                                          const struct wh_csv_dialect *d,
                                                          const uint8_t *s, size_t n,
                                                          uint8_t *scratch, int *st)
{
    int64_t v;
    if (!read_i64(s, n, &v))
        return false;
    *st = wh_put_i64(c, v);
    return true;
}

static inline __attribute__((always_inline)) bool hot_date(struct wh_column *c,
                                                           const struct wh_csv_dialect *d,
                                                           const uint8_t *s, size_t n,
                                                           uint8_t *scratch, int *st)
{
    int32_t days;
    if (!read_date(s, n, &days))
        return false;
    *st = wh_put_i32(c, days);
    return true;
}

static inline __attribute__((always_inline)) bool hot_f64(struct wh_column *c,
                                                          const struct wh_csv_dialect *d,
                                                          const uint8_t *s, size_t n,
                                                          uint8_t *scratch, int *st)
{
    double v;
    if (!read_f64(s, n, &v))
        return false;
    *st = wh_put_f64(c, v);
    return true;
}

static wh_status text(struct csv_block *b, int64_t field, struct wh_column *out, int32_t column,
                      struct csv_fault *faults, struct span rows)
{
    const struct place l = place_of(b, field);
    const struct wh_csv_dialect *const d = b->d;
    const uint32_t null_lengths = b->null_lengths;
    const bool empty_null = d->empty_null, valid = b->valid_utf8;
    for (int32_t r = rows.from; r < rows.to; r++) {
        struct cell c = raw_cell(l, r);
        bool null = c.n ? csv_is_null_text(d, null_lengths, c.s, c.n) : empty_null;
        if (null) {
            WH_TRY(wh_put_null(out));
            continue;
        }
        if (needs_strip(l, &c))
            strip(b, &c);
        if (!valid && !wh_utf8_valid((const char *)c.s, c.n))
            WH_TRY(fault(b, r, column, "E6005", "is not valid UTF-8", out, faults));
        else
            WH_TRY(wh_put_padded(out, c.s, c.n));
    }
    return WH_OK;
}

static wh_status only_nulls(struct csv_block *b, int64_t field, struct wh_column *out,
                            int32_t column, struct csv_fault *faults, struct span rows)
{
    const struct place l = place_of(b, field);
    for (int32_t r = rows.from; r < rows.to; r++) {
        struct cell c = raw_cell(l, r);
        if (!c.n || csv_is_null_text(b->d, b->null_lengths, c.s, c.n))
            WH_TRY(wh_put_null(out));
        else
            WH_TRY(fault(b, r, column, "E6006", NOT_THIS_TYPE, out, faults));
    }
    return WH_OK;
}

wh_status csv_cells_slowly(struct csv_block *b, int64_t field, struct wh_column *out,
                           int32_t column, struct csv_fault *faults, int32_t from, int32_t to)
{
    const struct span rows = {from, to};
    enum wh_kind kind = out->type.kind;
    switch (kind) {
    case WH_K_UTF8:
        return text(b, field, out, column, faults, rows);
    case WH_K_NULL:
        return only_nulls(b, field, out, column, faults, rows);
    case WH_K_I64:
        return values(b, field, out, column, faults, rows, WH_K_I64, hot_i64, "E6006");
    case WH_K_F64:
        if (b->d->decimal == '.')
            return values(b, field, out, column, faults, rows, WH_K_F64, hot_f64, "E6006");
        break;
    case WH_K_DATE32:
        return values(b, field, out, column, faults, rows, WH_K_DATE32, hot_date, "E6006");
    case WH_K_TIMESTAMP:
        return values(b, field, out, column, faults, rows, WH_K_TIMESTAMP, put_timestamp, "E6006");
    default:
        break;
    }
    return values(b, field, out, column, faults, rows, kind, PUTS[kind].put, PUTS[kind].code);
}

wh_status csv_cells(struct csv_block *b, int64_t field, struct wh_column *out, int32_t column,
                    struct csv_fault *faults)
{
#if defined(__x86_64__)
    if (b->fast && b->n) {
        bool done;
        WH_TRY(csv_cells_avx2(b, field, out, column, faults, &done));
        if (done)
            return WH_OK;
    }
#endif
    return csv_cells_slowly(b, field, out, column, faults, 0, b->n);
}
