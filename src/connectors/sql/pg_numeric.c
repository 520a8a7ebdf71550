/* SPDX-License-Identifier: Apache-2.0 */
/* PostgreSQL's numeric, base 10000 in 16-bit digits, as integers of 128 and 256 bits and as text.
 * Never through a float. */
#include "pg_codec.h"

#include "data/digits.h"
#include "data/number.h"

enum {
    SIGN_PLUS = 0,
    SIGN_MINUS = 0x4000,
    SIGN_NAN = 0xC000,
    SIGN_INF = 0xD000,
    SIGN_MINUS_INF = 0xF000,
    DSCALE_MASK = 0x3FFF,
    GROUP = 10000,
};

#define E16 UINT64_C(10000000000000000)

void pg_decimal_init(struct pg_decimal *d, int precision, int scale)
{
    *d = (struct pg_decimal){.precision = precision, .scale = scale, .limit = 1};
    d->limit256[0] = 1;
    for (int i = 0; i < precision; i++) {
        (void)wh_256_mul_add(d->limit256, 10, 0); /* 10^76 fits */
        if (precision <= 38)
            d->limit *= 10;
    }
    d->fast = scale >= 0 && scale <= 16;
    d->groups = scale > 0 ? (scale + 3) / 4 : 0;
    d->cut = 4 * d->groups - (scale > 0 ? scale : 0);
}

/* ------------------------------------------------------------------- reading */

struct number {
    int n, weight, dscale;
    unsigned sign;
    const uint8_t *digits;
};

static enum pg_fit open_number(const uint8_t *p, size_t n, struct number *ret)
{
    if (n < PG_NUMERIC_HEAD)
        return PG_FIT_MALFORMED;
    *ret = (struct number){.n = pg_be16(p),
                           .weight = (int16_t)pg_be16(p + 2),
                           .sign = pg_be16(p + 4),
                           .dscale = pg_be16(p + 6),
                           .digits = p + PG_NUMERIC_HEAD};
    if (n != PG_NUMERIC_HEAD + 2 * (size_t)ret->n)
        return PG_FIT_MALFORMED;
    switch (ret->sign) {
    case SIGN_PLUS:
    case SIGN_MINUS:
        return ret->dscale <= DSCALE_MASK ? PG_FIT_OK : PG_FIT_MALFORMED;
    case SIGN_NAN:
        return PG_FIT_NAN;
    case SIGN_INF:
    case SIGN_MINUS_INF:
        return PG_FIT_INFINITY;
    default:
        return PG_FIT_MALFORMED;
    }
}

static inline unsigned digit(const struct number *x, int i)
{
    return pg_be16(x->digits + 2 * i);
}

/* Without leading and trailing zeros; false if a digit is none. */
static bool trim(struct number *x)
{
    for (int i = 0; i < x->n; i++)
        if (digit(x, i) >= GROUP)
            return false;
    while (x->n && digit(x, 0) == 0) {
        x->digits += 2;
        x->n--;
        x->weight--;
    }
    while (x->n && digit(x, x->n - 1) == 0)
        x->n--;
    return true;
}

static bool less(const uint64_t a[4], const uint64_t b[4])
{
    for (int i = 3; i >= 0; i--)
        if (a[i] != b[i])
            return a[i] < b[i];
    return false;
}

/* The magnitude at the column's scale. Digits are added from the front, so that a number too big
 * is found after some twenty of them, however many there are. */
static enum pg_fit magnitude(const struct pg_decimal *d, struct number *x, uint64_t w[4])
{
    int i;

    memset(w, 0, 4 * sizeof *w);
    if (!trim(x))
        return PG_FIT_MALFORMED;
    for (i = 0; i < x->n; i++) {
        int below = 4 * (x->weight - i) + d->scale; /* decimal places under this digit */

        if (below <= -4)
            return PG_FIT_SCALE;
        if (below < 0) {
            unsigned cut = (unsigned)wh_pow10_u64[-below], v = digit(x, i);

            if (v % cut || i + 1 < x->n)
                return PG_FIT_SCALE;
            if (!wh_256_mul_add(w, GROUP / cut, v / cut))
                return PG_FIT_RANGE;
        } else if (!wh_256_mul_add(w, GROUP, digit(x, i))) {
            return PG_FIT_RANGE;
        }
    }
    for (int zeros = 4 * (x->weight - x->n + 1) + d->scale; x->n && zeros > 0; zeros -= 19)
        if (!wh_256_mul_add(w, wh_pow10_u64[zeros < 19 ? zeros : 19], 0))
            return PG_FIT_RANGE;
    return less(w, d->limit256) ? PG_FIT_OK : PG_FIT_RANGE;
}

enum pg_fit pg_numeric_get256(const struct pg_decimal *d, const uint8_t *p, size_t n,
                              uint64_t ret[4])
{
    struct number x;
    enum pg_fit fit = open_number(p, n, &x);

    if (fit != PG_FIT_OK)
        return fit;
    fit = magnitude(d, &x, ret);
    if (fit == PG_FIT_OK && x.sign == SIGN_MINUS)
        wh_256_negate(ret);
    return fit;
}

static inline uint64_t cut_off(uint64_t v, int cut)
{
    switch (cut) { /* constants: a division would cost more than all the rest */
    case 1:
        return v / 10;
    case 2:
        return v / 100;
    case 3:
        return v / 1000;
    default:
        return v;
    }
}

#define LANES(v) ((uint64_t)(v)*UINT64_C(0x0001000100010001)) /* in each of four */

/* Up to four digits of base 10000 in all, read as one word and put together side by side. False:
 * not that small, or not well-formed; the general way tells. n >= 8. */
static inline bool small(const struct pg_decimal *d, const uint8_t *p, size_t n, uint64_t *ret)
{
    uint64_t head = pg_be64(p),
             digits = pg_be64(p + n - 8); /* the last four, or part of the head */
    unsigned count = (unsigned)(head >> 48), sign = (unsigned)(head >> 16) & 0xffff;
    int places = (int16_t)(head >> 32) + 1 + d->groups; /* digits down to the last of the scale */

    if (!d->fast || (unsigned)places > 4 || count > (unsigned)places ||
        n != PG_NUMERIC_HEAD + 2 * (size_t)count || (sign & ~(unsigned)SIGN_MINUS) ||
        (head & 0xffff) > DSCALE_MASK)
        return false;
    if (count < 4)
        digits &= (UINT64_C(1) << 16 * count) - 1;
    if ((digits | (digits + LANES(0x8000 - GROUP))) & LANES(0x8000))
        return false; /* one is no digit */
    if (places < 4 || count)
        digits <<= 16 * ((unsigned)places - count);
    uint64_t pairs = (digits & UINT64_C(0x0000ffff0000ffff)) +
                     (digits >> 16 & UINT64_C(0x0000ffff0000ffff)) * GROUP;
    uint64_t whole = (uint32_t)pairs + (pairs >> 32) * (GROUP * GROUP),
             kept = cut_off(whole, d->cut);

    *ret = kept;
    return kept * wh_pow10_u64[d->cut] == whole;
}

enum pg_fit pg_numeric_get128(const struct pg_decimal *d, const uint8_t *p, size_t n, __int128 *ret)
{
    struct number x;
    enum pg_fit fit;
    unsigned __int128 v;
    uint64_t w[4], few;
    bool negative;

    if (n >= PG_NUMERIC_HEAD && small(d, p, n, &few)) {
        negative = p[4] & 0x40;
        v = few;
    } else {
        fit = open_number(p, n, &x);
        if (fit == PG_FIT_OK)
            fit = magnitude(d, &x, w);
        if (fit != PG_FIT_OK)
            return fit;
        negative = x.sign == SIGN_MINUS;
        v = (unsigned __int128)w[1] << 64 | w[0]; /* below 10^38 */
    }
    if (v >= d->limit)
        return PG_FIT_RANGE;
    *ret = negative ? -(__int128)v : (__int128)v;
    return PG_FIT_OK;
}

/* ---------------------------------------------------------------------- text */

size_t pg_numeric_size(const uint8_t *p, size_t n)
{
    struct number x;

    switch (open_number(p, n, &x)) {
    case PG_FIT_OK:
        return 3 + 4 * (size_t)(x.weight >= 0 ? x.weight + 1 : 0) + (size_t)x.dscale;
    case PG_FIT_NAN:
    case PG_FIT_INFINITY:
        return sizeof "-Infinity";
    default:
        return 0;
    }
}

static size_t word(unsigned sign, char *out)
{
    const char *text = sign == SIGN_NAN ? "NaN" : sign == SIGN_INF ? "Infinity" : "-Infinity";
    size_t n = strlen(text);

    memcpy(out, text, n);
    return n;
}

static inline unsigned digit_at(const struct number *x, int weight)
{
    int i = x->weight - weight;

    return i >= 0 && i < x->n ? digit(x, i) : 0;
}

static char *put_group(char *out, unsigned v)
{
    wh_put2(out, v / 100);
    wh_put2(out + 2, v % 100);
    return out + 4;
}

static char *put_whole(const struct number *x, char *out)
{
    unsigned first = digit_at(x, x->weight);
    int digits = first >= 1000 ? 4 : first >= 100 ? 3 : first >= 10 ? 2 : 1;

    if (x->n == 0 || x->weight < 0) {
        *out = '0';
        return out + 1;
    }
    wh_put_digits(out, first, digits);
    out += digits;
    for (int w = x->weight - 1; w >= 0; w--)
        out = put_group(out, digit_at(x, w));
    return out;
}

/* dscale digits behind the point. False: the number has more than it shows. */
static bool put_behind(const struct number *x, char **io)
{
    int left = x->dscale, w = -1;
    char *out = *io, group[4];

    if (left)
        *out++ = '.';
    for (; left >= 4; left -= 4, w--)
        out = put_group(out, digit_at(x, w));
    if (left) {
        put_group(group, digit_at(x, w--));
        memcpy(out, group, (size_t)left);
        out += left;
        for (int i = left; i < 4; i++)
            if (group[i] != '0')
                return false;
    }
    *io = out;
    return x->n == 0 || x->weight - x->n + 1 > w; /* the last digit was printed */
}

size_t pg_numeric_text(const uint8_t *p, size_t n, char *out)
{
    struct number x;
    enum pg_fit fit = open_number(p, n, &x);
    char *end = out;

    if (fit == PG_FIT_MALFORMED)
        return 0;
    if (fit != PG_FIT_OK)
        return word(x.sign, out);
    if (!trim(&x))
        return 0;
    if (x.sign == SIGN_MINUS && x.n)
        *end++ = '-';
    end = put_whole(&x, end);
    return put_behind(&x, &end) ? (size_t)(end - out) : 0;
}

/* ------------------------------------------------------------------- writing */

static size_t put_head(uint8_t *out, int n, int weight, unsigned sign, int dscale)
{
    pg_put16(out, (uint16_t)n);
    pg_put16(out + 2, (uint16_t)weight);
    pg_put16(out + 4, (uint16_t)sign);
    pg_put16(out + 6, (uint16_t)dscale);
    return PG_NUMERIC_HEAD + 2 * (size_t)n;
}

/* groups[0] is the lowest digit, of the given weight; zeros at both ends are left out. */
static size_t put_groups(const uint16_t *groups, int n, int low, bool negative, int dscale,
                         uint8_t *out)
{
    int from = 0;

    while (n && groups[n - 1] == 0)
        n--;
    while (from < n && groups[from] == 0)
        from++;
    if (from == n)
        return put_head(out, 0, 0, SIGN_PLUS, dscale);
    for (int i = n - 1, k = 0; i >= from; i--, k++)
        pg_put16(out + PG_NUMERIC_HEAD + 2 * k, groups[i]);
    return put_head(out, n - from, low + n - 1, negative ? SIGN_MINUS : SIGN_PLUS, dscale);
}

/* value = v * 10^-scale = (v * 10^shift) * 10000^low */
static inline int align(int scale, int *ret_shift)
{
    int low = scale > 0 ? -((scale + 3) / 4) : -scale / 4;

    *ret_shift = -scale - 4 * low;
    return low;
}

size_t pg_numeric_put256(const struct pg_decimal *d, const uint64_t words[4], uint8_t *out)
{
    uint64_t w[4];
    uint16_t groups[32];
    bool negative = words[3] >> 63;
    int shift, low = align(d->scale, &shift), n = 0;

    memcpy(w, words, sizeof w);
    if (negative)
        wh_256_negate(w);
    groups[n++] = (uint16_t)(wh_256_div(w, wh_pow10_u64[4 - shift]) * wh_pow10_u64[shift]);
    while (w[0] | w[1] | w[2] | w[3]) { /* below 2^256 < 10^78: twenty rounds of four */
        uint64_t four = wh_256_div(w, E16);

        for (int i = 0; i < 4; i++, four /= GROUP)
            groups[n++] = (uint16_t)(four % GROUP);
    }
    return put_groups(groups, n, low, negative, d->scale > 0 ? d->scale : 0, out);
}

size_t pg_numeric_put128(const struct pg_decimal *d, __int128 value, uint8_t *out)
{
    bool negative = value < 0;
    unsigned __int128 v = negative ? -(unsigned __int128)value : (unsigned __int128)value;
    uint64_t words[4] = {(uint64_t)value, (uint64_t)(value >> 64), negative ? UINT64_MAX : 0,
                         negative ? UINT64_MAX : 0};
    uint16_t groups[6];
    int shift, low = align(d->scale, &shift), n = 0;

    if (v >= UINT64_MAX / 1000)
        return pg_numeric_put256(d, words, out);
    for (uint64_t s = (uint64_t)v * wh_pow10_u64[shift]; s; s /= GROUP)
        groups[n++] = (uint16_t)(s % GROUP);
    return put_groups(groups, n, low, negative, d->scale > 0 ? d->scale : 0, out);
}

static enum pg_fit put_word(const char *s, size_t n, uint8_t *out, size_t *ret_n)
{
    double v;

    if (!wh_read_f64(s, n, &v) || (v == v && v - v == 0))
        return PG_FIT_SYNTAX;
    /* The server shows 32 as the display scale of an infinity. */
    *ret_n = v != v ? put_head(out, 0, 0, SIGN_NAN, 0)
                    : put_head(out, 0, 0, v > 0 ? SIGN_INF : SIGN_MINUS_INF, 32);
    return PG_FIT_OK;
}

/* Digits shown behind the point: as written, less the exponent; -1 if no server holds so many. */
static int written_scale(const char *s, size_t n)
{
    const char *e = memchr(s, 'e', n), *point = memchr(s, '.', n);
    int64_t exponent = 0, behind;

    if (!e)
        e = memchr(s, 'E', n);
    if (e && !wh_read_i64(e + 1, (size_t)(s + n - e - 1), &exponent))
        return -1;
    if (exponent > INT32_MAX || exponent < INT32_MIN)
        return -1;
    behind = point ? (e ? e : s + n) - point - 1 : 0;
    behind -= exponent;
    return behind > PG_NUMERIC_BEHIND ? -1 : behind < 0 ? 0 : (int)behind;
}

static inline unsigned char_at(const struct wh_decimal_text *t, size_t i)
{
    return i < t->a_n            ? (unsigned)(t->a[i] - '0')
           : i < t->a_n + t->b_n ? (unsigned)(t->b[i - t->a_n] - '0')
                                 : 0;
}

enum pg_fit pg_numeric_put_text(const char *s, size_t n, uint8_t *out, size_t *ret_n)
{
    struct wh_decimal_text t;
    int dscale, shift;
    size_t digits, groups, at = 0;

    if (!wh_scan_decimal(s, n, &t))
        return put_word(s, n, out, ret_n);
    dscale = written_scale(s, n);
    digits = t.a_n + t.b_n;
    if (dscale < 0 || (int64_t)digits + t.exponent > PG_NUMERIC_BEFORE)
        return PG_FIT_RANGE;
    if (!digits) {
        *ret_n = put_head(out, 0, 0, SIGN_PLUS, dscale);
        return PG_FIT_OK;
    }
    int low = align((int)-t.exponent, &shift);

    digits += (size_t)shift;
    groups = (digits + 3) / 4;
    for (size_t g = 0; g < groups; g++) {
        unsigned v = 0;

        for (size_t k = g ? 4 : digits - 4 * (groups - 1); k; k--)
            v = v * 10 + char_at(&t, at++);
        pg_put16(out + PG_NUMERIC_HEAD + 2 * g, (uint16_t)v);
    }
    *ret_n = put_head(out, (int)groups, low + (int)groups - 1, t.negative ? SIGN_MINUS : SIGN_PLUS,
                      dscale);
    return PG_FIT_OK;
}
