/* SPDX-License-Identifier: Apache-2.0 */
/* Floats as text and back.
 *
 * Reading: the first 19 digits times a 128-bit power of ten decide almost always (D. Lemire,
 * "Number parsing at a gigabyte per second", 2021; N. Mushtak, D. Lemire, "Fast number parsing
 * without fallback", 2023). Longer numbers whose first 19 digits leave two candidates are compared
 * exactly with the midpoint of both.
 * Printing: the shortest digits inside the rounding interval, of those the nearest (R. Giulietti,
 * "The Schubfach way to render doubles", 2020). */
#include "data/number.h"
#include "data/digits.h"

#include "pow10_table.h"

struct format {
    int mantissa_bits; /* stored */
    int bias;
    int exponent_max;     /* of infinity */
    int even_lo, even_hi; /* decimal exponents where a product can lie exactly between two */
};

static const struct format binary64 = {52, 1023, 0x7FF, -4, 23};
static const struct format binary32 = {23, 127, 0xFF, -17, 10};

/* floor(log2(10^e)) */
static inline int log2_pow10(int e)
{
    return (e * 1741647) >> 19;
}

/* ------------------------------------------------------------------- reading */

/* w * 10^q, w > 0, correctly rounded to the bits of a float (sign 0, infinity when too great). */
static uint64_t round_product(uint64_t w, int64_t q, const struct format *f)
{
    if (q < POW10_LO)
        return 0;
    if (q > 308)
        return (uint64_t)f->exponent_max << f->mantissa_bits;
    const uint64_t *power = pow10_128[q - POW10_LO];
    int zeros = __builtin_clzll(w), keep = f->mantissa_bits + 3;
    /* From -27 to -1 the table is rounded up: there a division may be exact. */
    uint64_t low_power = power[1] + (q < 0 && q >= -27);
    unsigned __int128 product = (unsigned __int128)(w << zeros) * power[0];
    uint64_t high = (uint64_t)(product >> 64), low = (uint64_t)product;
    uint64_t mask = UINT64_MAX >> keep;

    if ((high & mask) == mask) {
        uint64_t more = (uint64_t)((unsigned __int128)(w << zeros) * low_power >> 64);

        low += more;
        high += low < more;
    }
    int upper = (int)(high >> 63), drop = upper + 64 - keep;
    uint64_t m = high >> drop; /* mantissa with its leading one and one more bit */
    int e = log2_pow10((int)q) + 63 + upper - zeros + f->bias;

    if (e <= 0) { /* below the normal range */
        if (1 - e >= 64)
            return 0;
        m >>= 1 - e;
        m = (m + (m & 1)) >> 1;
        return m; /* a carry into the exponent's place is the least normal number */
    }
    if (low <= 1 && q >= f->even_lo && q <= f->even_hi && (m & 3) == 1 && m << drop == high)
        m &= ~UINT64_C(1); /* exactly between two: to the even one */
    m = (m + (m & 1)) >> 1;
    if (m >> (f->mantissa_bits + 1)) {
        m >>= 1;
        e++;
    }
    if (e >= f->exponent_max)
        return (uint64_t)f->exponent_max << f->mantissa_bits;
    return (uint64_t)e << f->mantissa_bits | (m & ((UINT64_C(1) << f->mantissa_bits) - 1));
}

/* Natural numbers up to 6144 bits: enough for 801 digits times 5^1144. */
#define LIMBS 96

struct big {
    int n;
    uint64_t limb[LIMBS];
};

static void big_mul_add(struct big *b, uint64_t m, uint64_t add)
{
    for (int i = 0; i < b->n; i++) {
        unsigned __int128 p = (unsigned __int128)b->limb[i] * m + add;

        b->limb[i] = (uint64_t)p;
        add = (uint64_t)(p >> 64);
    }
    if (add && b->n < LIMBS)
        b->limb[b->n++] = add;
}

static void big_mul_pow5(struct big *b, int64_t e)
{
    for (; e >= 27; e -= 27)
        big_mul_add(b, UINT64_C(7450580596923828125), 0); /* 5^27 */
    for (; e > 0; e--)
        big_mul_add(b, 5, 0);
}

static void big_shift(struct big *b, int64_t bits)
{
    int64_t words = bits / 64;

    if (bits % 64)
        big_mul_add(b, UINT64_C(1) << (bits % 64), 0);
    if (words > LIMBS - b->n)
        words = LIMBS - b->n; /* cannot be: see LIMBS */
    memmove(b->limb + words, b->limb, (size_t)b->n * 8);
    memset(b->limb, 0, (size_t)words * 8);
    b->n += (int)words;
}

static int big_compare(const struct big *a, const struct big *b)
{
    if (a->n != b->n)
        return a->n < b->n ? -1 : 1;
    for (int i = a->n - 1; i >= 0; i--)
        if (a->limb[i] != b->limb[i])
            return a->limb[i] < b->limb[i] ? -1 : 1;
    return 0;
}

/* D of the text, at most 800 digits and a 1 for all that follows: no midpoint has as many. Returns
 * how many digits were left out. */
static int64_t big_digits(const struct wh_decimal_text *t, struct big *ret)
{
    const size_t max = 800;
    size_t total = t->a_n + t->b_n, used = total < max ? total : max;

    *ret = (struct big){.n = 0};
    for (size_t i = 0; i < used; i++) {
        char c = i < t->a_n ? t->a[i] : t->b[i - t->a_n];

        big_mul_add(ret, 10, (uint64_t)(c - '0'));
        if (ret->n == 0 && c != '0') {
            ret->limb[0] = (uint64_t)(c - '0');
            ret->n = 1;
        }
    }
    if (used == total)
        return 0;
    big_mul_add(ret, 10, 1);
    return (int64_t)(total - used) - 1;
}

/* Compares the text's magnitude with m * 2^two. */
static int compare_exactly(const struct wh_decimal_text *t, uint64_t m, int64_t two)
{
    struct big left, right = {.n = m != 0, .limb = {m}};
    int64_t ten = t->exponent + big_digits(t, &left);

    big_mul_pow5(ten >= 0 ? &left : &right, ten >= 0 ? ten : -ten);
    two -= ten; /* left * 2^ten against right * 2^two */
    big_shift(two < 0 ? &left : &right, two < 0 ? -two : two);
    return big_compare(&left, &right);
}

/* A float's magnitude as m * 2^two. */
static uint64_t take_apart(uint64_t bits, const struct format *f, int *ret_two)
{
    int e = (int)(bits >> f->mantissa_bits);
    uint64_t m = bits & ((UINT64_C(1) << f->mantissa_bits) - 1);

    *ret_two = (e ? e : 1) - f->bias - f->mantissa_bits;
    return e ? m | UINT64_C(1) << f->mantissa_bits : m;
}

/* Compares with the midpoint above the float with these bits. */
static int compare_midpoint(const struct wh_decimal_text *t, uint64_t bits, const struct format *f)
{
    int two;
    uint64_t m = take_apart(bits, f, &two);

    return compare_exactly(t, 2 * m + 1, two - 1);
}

bool wh_decimal_is_float(const struct wh_decimal_text *t, double d)
{
    uint64_t bits;
    int two;

    memcpy(&bits, &d, 8);
    if (t->a_n + t->b_n == 0 || t->negative != bits >> 63)
        return t->a_n + t->b_n == 0 && d == 0;
    /* Far from any float, where the naturals above would be too long. */
    int64_t size = (int64_t)(t->a_n + t->b_n) + t->exponent;

    if (size > 310 || size < -330)
        return false;
    uint64_t m = take_apart(bits & INT64_MAX, &binary64, &two);

    return compare_exactly(t, m, two) == 0;
}

/* More than 19 digits: the first 19 decide unless the next number would round elsewhere. */
static uint64_t round_long(const struct wh_decimal_text *t, const struct format *f)
{
    size_t total = t->a_n + t->b_n;
    uint64_t w, low, high;
    int64_t q;

    if (total == 0)
        return 0;
    int n = wh_decimal_head(t, 19, &w);

    q = t->exponent + (int64_t)total - n;
    low = round_product(w, q, f);
    if ((size_t)n == total)
        return low;
    high = round_product(w + 1, q, f);
    if (low == high)
        return low;
    int order = compare_midpoint(t, low, f);

    if (order == 0)
        return low & 1 ? high : low;
    return order < 0 ? low : high;
}

static const double exact_pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

/* The usual number: up to 19 digits, short exponent. False: look closer. */
static bool scan_short(const char *s, const char *end, uint64_t *ret_w, int *ret_q)
{
    const char *first = s, *point;
    uint64_t w = 0;
    int q = 0, digits;

    for (; s < end && wh_is_digit(*s); s++)
        w = w * 10 + (uint64_t)(*s - '0');
    digits = (int)(s - first);
    if (s < end && *s == '.') {
        point = ++s;
        for (; s < end && wh_is_digit(*s); s++)
            w = w * 10 + (uint64_t)(*s - '0');
        q = (int)(point - s);
        digits -= q;
    }
    if (digits == 0 || digits > 19)
        return false;
    if (s < end && (*s == 'e' || *s == 'E')) {
        bool negative = ++s < end && *s == '-';
        int e = 0;

        if (s < end && (negative || *s == '+'))
            s++;
        for (first = s; s < end && wh_is_digit(*s) && e < 10000; s++)
            e = e * 10 + (*s - '0');
        if (s == first)
            return false;
        q += negative ? -e : e;
    }
    *ret_w = w;
    *ret_q = q;
    return s == end;
}

static bool word(const char *s, size_t n, const char *want)
{
    for (; n && *want; s++, n--, want++)
        if ((*s | 0x20) != *want)
            return false;
    return n == 0 && !*want;
}

/* Bits of the magnitude. *ret_word: it was inf or nan. */
static bool read_bits(const char *s, size_t n, const struct format *f, uint64_t *ret)
{
    uint64_t infinity = (uint64_t)f->exponent_max << f->mantissa_bits, w;
    struct wh_decimal_text t;
    bool zero;
    int q;

    if (n && scan_short(s, s + n, &w, &q)) {
        zero = w == 0;
        *ret = zero ? 0 : round_product(w, q, f);
    } else if (n && (wh_is_digit(*s) || *s == '.')) {
        if (!wh_scan_decimal(s, n, &t))
            return false;
        zero = t.a_n + t.b_n == 0;
        *ret = round_long(&t, f);
    } else if (word(s, n, "inf") || word(s, n, "infinity")) {
        *ret = infinity;
        return true;
    } else if (word(s, n, "nan")) {
        *ret = infinity | UINT64_C(1) << (f->mantissa_bits - 1);
        return true;
    } else {
        return false;
    }
    return *ret != infinity && (*ret != 0 || zero);
}

static bool sign(const char **s, size_t *n)
{
    bool negative = *n && **s == '-';

    if (*n && (negative || **s == '+')) {
        ++*s;
        --*n;
    }
    return negative;
}

bool wh_read_f64(const char *s, size_t n, double *ret)
{
    bool negative = sign(&s, &n);
    uint64_t bits, w;
    int q;

    /* Both parts exact in a double: one operation rounds once. */
    if (n && n <= 17 && scan_short(s, s + n, &w, &q) && w <= UINT64_C(1) << 53 && q >= -22 &&
        q <= 22) {
        double v = q < 0 ? (double)w / exact_pow10[-q] : (double)w * exact_pow10[q];

        *ret = negative ? -v : v;
        return true;
    }
    if (!read_bits(s, n, &binary64, &bits))
        return false;
    bits |= (uint64_t)negative << 63;
    memcpy(ret, &bits, 8);
    return true;
}

bool wh_read_f32(const char *s, size_t n, float *ret)
{
    bool negative = sign(&s, &n);
    uint64_t bits;

    if (!read_bits(s, n, &binary32, &bits))
        return false;
    uint32_t single = (uint32_t)bits | (uint32_t)negative << 31;

    memcpy(ret, &single, 4);
    return true;
}

/* ------------------------------------------------------------------ printing */

/* g * c / 2^128 rounded to odd: the last bit is set when anything was cut off. */
static inline uint64_t scale_to_odd(unsigned __int128 g, uint64_t c)
{
    unsigned __int128 low = (unsigned __int128)(uint64_t)g * c;
    unsigned __int128 high = (unsigned __int128)(uint64_t)(g >> 64) * c + (uint64_t)(low >> 64);

    return (uint64_t)(high >> 64) | ((uint64_t)high > 1);
}

/* Shortest decimal inside the rounding interval of c * 2^q: digits and *ret_e, value = d * 10^e.
 * `lopsided`: the neighbour below is only half as far away (c is a power of two). */
static uint64_t shortest(uint64_t c, int q, bool lopsided, int *ret_e)
{
    int k = (q * 1262611 - (lopsided ? 524031 : 0)) >> 22; /* floor(log10(2^q [* 3/4])) */
    int h = q + log2_pow10(-k) + 1;
    const uint64_t *power = pow10_128[-k - POW10_LO];
    unsigned __int128 g = (unsigned __int128)power[0] << 64 | power[1];

    g += k > 0 || -k > 55; /* rounded up where not exact */
    uint64_t odd = c & 1;
    uint64_t lower = scale_to_odd(g, (4 * c - 2 + lopsided) << h) + odd;
    uint64_t v = scale_to_odd(g, (4 * c) << h);
    uint64_t upper = scale_to_odd(g, (4 * c + 2) << h) - odd;
    uint64_t s = v / 4;

    if (s >= 10) { /* one digit less? */
        uint64_t t = s / 10;
        bool down = lower <= 40 * t, up = 40 * t + 40 <= upper;

        if (down != up) {
            *ret_e = k + 1;
            return t + up;
        }
    }
    bool down = lower <= 4 * s, up = 4 * s + 4 <= upper;

    *ret_e = k;
    if (down != up)
        return s + up;
    uint64_t middle = 4 * s + 2;

    return s + (v > middle || (v == middle && (s & 1)));
}

static char *put_zeros(char *p, int n)
{
    while (n-- > 0)
        *p++ = '0';
    return p;
}

/* d * 10^e, d > 0, as people and Python write floats. */
static size_t write_float(uint64_t d, int e, char *out)
{
    char *p = out;
    int n, point;

    while (d % 10 == 0) {
        d /= 10;
        e++;
    }
    n = wh_count_digits(d);
    point = n + e; /* digits before the point */
    if (point > 16 || point < -3) {
        uint64_t unit = wh_pow10_u64[n - 1];
        int x = point - 1;

        *p++ = (char)('0' + d / unit);
        if (n > 1) {
            *p++ = '.';
            wh_put_digits(p, d % unit, n - 1);
            p += n - 1;
        }
        *p++ = 'e';
        *p++ = x < 0 ? '-' : '+';
        x = x < 0 ? -x : x;
        n = x >= 100 ? 3 : 2;
        wh_put_digits(p, (uint64_t)x, n);
        return (size_t)(p + n - out);
    }
    if (point <= 0) {
        *p++ = '0';
        *p++ = '.';
        p = put_zeros(p, -point);
        wh_put_digits(p, d, n);
        return (size_t)(p + n - out);
    }
    if (point >= n) {
        wh_put_digits(p, d, n);
        p = put_zeros(p + n, point - n);
        memcpy(p, ".0", 2);
        return (size_t)point + 2;
    }
    uint64_t unit = wh_pow10_u64[n - point], whole = d / unit;

    wh_put_digits(p, whole, point);
    p[point] = '.';
    wh_put_digits(p + point + 1, d - whole * unit, n - point);
    return (size_t)n + 1;
}

/* Prices and the like: at most 15 digits, of them 2 or 4 behind the point. No two decimals of 15
 * digits are the same double, so one that reads back is the shortest. False: look closer. */
static bool short_decimal(double v, uint64_t *ret_d, int *ret_e)
{
    static const struct {
        double factor, limit;
        int e;
    } tries[] = {{1e2, 1e13, -2}, {1e4, 1e11, -4}};

    for (int i = 0; i < 2; i++) {
        if (!(v < tries[i].limit)) /* NaN, too */
            return false;
        uint64_t d = (uint64_t)(v * tries[i].factor + 0.5);

        if (d && (double)d / tries[i].factor == v) {
            *ret_d = d;
            *ret_e = tries[i].e;
            return true;
        }
    }
    return false;
}

static size_t print_bits(uint64_t m, int e, const struct format *f, char *out)
{
    bool normal = e != 0;
    int q = (normal ? e : 1) - f->bias - f->mantissa_bits, ten;
    uint64_t c = normal ? m | UINT64_C(1) << f->mantissa_bits : m;

    if (e == f->exponent_max) {
        memcpy(out, m ? "nan" : "inf", 3);
        return 3;
    }
    if (c == 0) {
        memcpy(out, "0.0", 3);
        return 3;
    }
    if (q <= 0 && q > -f->mantissa_bits - 1 && (c & ((UINT64_C(1) << -q) - 1)) == 0)
        return write_float(c >> -q, 0, out); /* an integer in the exact range is its own shortest */
    uint64_t d = shortest(c, q, m == 0 && e > 1, &ten);

    return write_float(d, ten, out);
}

size_t wh_print_f64(double v, char out[32])
{
    uint64_t bits, d;
    size_t minus;
    int e;

    memcpy(&bits, &v, 8);
    minus = bits >> 63 && v == v;
    if (minus)
        *out = '-';
    if (short_decimal(minus ? -v : v, &d, &e))
        return minus + write_float(d, e, out + minus);
    return minus + print_bits(bits & ((UINT64_C(1) << 52) - 1), (int)(bits >> 52 & 0x7FF),
                              &binary64, out + minus);
}

size_t wh_print_f32(float v, char out[32])
{
    uint32_t bits;
    size_t minus;

    memcpy(&bits, &v, 4);
    minus = bits >> 31 && v == v;
    if (minus)
        *out = '-';
    return minus +
           print_bits(bits & ((1u << 23) - 1), (int)(bits >> 23 & 0xFF), &binary32, out + minus);
}
