/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions of decimals and decimal text. */
#include "data/decimal.h"
#include "data/number.h"

#include <string.h>

/* ------------------------------------------------------------------- decimals */

/* DEC128 to DEC128 inside 128 bits; the others take the long way. */
static enum wh_cause rescale128(const struct wh_job *j, __int128 v, __int128 *ret)
{
    int shift = j->to.scale - j->from.scale, whole = j->to.precision - shift;
    unsigned __int128 size = v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v;

    *ret = 0;
    if (shift >= 0) {
        if (whole <= 38 && size >= (unsigned __int128)(whole > 0 ? wh_pow10_i128(whole) : 1))
            return WH_BAD_RANGE;
        *ret = v * wh_pow10_i128(shift);
        return WH_FINE;
    }
    unsigned __int128 unit = (unsigned __int128)wh_pow10_i128(-shift), rest;

    if (size >> 64 == 0 && unit >> 64 == 0) {
        rest = (uint64_t)size % (uint64_t)unit;
        size = (uint64_t)size / (uint64_t)unit;
    } else {
        rest = size % unit;
        size /= unit;
    }
    if (rest && !j->policy.accept_lossy)
        return WH_BAD_DIGITS;
    size += rest > unit / 2 || (rest == unit / 2 && (size & 1));
    if (size >= (unsigned __int128)wh_pow10_i128(j->to.precision))
        return WH_BAD_RANGE;
    *ret = v < 0 ? -(__int128)size : (__int128)size;
    return WH_FINE;
}

static uint64_t dec128_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    uint64_t bad = 0;

    for (int k = 0; k < m; k++) {
        __int128 v = 0;

        if (valid >> k & 1) {
            j->cause[k] = (uint8_t)rescale128(j, wh_view_dec128(j->in, i + k), &v);
            bad |= (uint64_t)(j->cause[k] != WH_FINE) << k;
        }
        memcpy((char *)out + 16 * k, &v, 16);
    }
    return bad;
}

static uint64_t dec_dec_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    uint64_t bad = 0;

    for (int k = 0; k < m; k++) {
        struct wh_i256 x = {0};

        if (valid >> k & 1) {
            x = wh_i256_load(j->in, i + k);
            j->cause[k] = (uint8_t)wh_i256_rescale(&x, j->from.scale, j->to.scale, j->to.precision,
                                                   j->policy.accept_lossy);
            bad |= (uint64_t)(j->cause[k] != WH_FINE) << k;
        }
        wh_i256_store(&x, j->to.kind, out, k);
    }
    return bad;
}

wh_status wh_k_dec_dec(struct wh_job *j)
{
    int shift = j->to.scale - j->from.scale;

    if (j->from.kind == WH_K_DEC128 && j->to.kind == WH_K_DEC128 && shift <= 38 && shift >= -38)
        return wh_blocks(j, dec128_block);
    return wh_blocks(j, dec_dec_block);
}

/* Results of computed integers go out through the widths here. */
static void store_int(enum wh_kind kind, int64_t v, void *out, int k)
{
    switch (kind) {
    case WH_K_I8:
    case WH_K_U8:
        ((uint8_t *)out)[k] = (uint8_t)v;
        break;
    case WH_K_I16:
    case WH_K_U16:
        ((uint16_t *)out)[k] = (uint16_t)v;
        break;
    case WH_K_I32:
    case WH_K_U32:
        ((uint32_t *)out)[k] = (uint32_t)v;
        break;
    default:
        ((int64_t *)out)[k] = v;
    }
}

/* One loop for all kernels whose cells are computed one by one. */
#define CELLS(name, call, save)                                                                    \
    static uint64_t name##_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)    \
    {                                                                                              \
        uint64_t bad = 0;                                                                          \
                                                                                                   \
        for (int k = 0; k < m; k++) {                                                              \
            enum wh_cause cause = WH_FINE;                                                         \
            int64_t whole = 0;                                                                     \
            double real = 0;                                                                       \
                                                                                                   \
            (void)whole;                                                                           \
            (void)real;                                                                            \
            if (valid >> k & 1)                                                                    \
                cause = call;                                                                      \
            save;                                                                                  \
            if (cause != WH_FINE) {                                                                \
                j->cause[k] = (uint8_t)cause;                                                      \
                bad |= UINT64_C(1) << k;                                                           \
            }                                                                                      \
        }                                                                                          \
        return bad;                                                                                \
    }                                                                                              \
    wh_status name(struct wh_job *j)                                                               \
    {                                                                                              \
        return wh_blocks(j, name##_block);                                                         \
    }
#define SAVE_INT store_int(j->to.kind, whole, out, k)
#define SAVE_FLOAT                                                                                 \
    do {                                                                                           \
        if (j->to.kind == WH_K_F32)                                                                \
            ((float *)out)[k] = (float)real;                                                       \
        else                                                                                       \
            ((double *)out)[k] = real;                                                             \
    } while (0)
/* Decimal cells are written by the call; a null or bad one becomes 0. */
#define SAVE_DEC                                                                                   \
    do {                                                                                           \
        if (!(valid >> k & 1) || cause != WH_FINE)                                                 \
            memset((char *)out + j->out->width * k, 0, (size_t)j->out->width);                     \
    } while (0)

static enum wh_cause dec_int(const struct wh_job *j, int64_t i, int64_t *ret)
{
    struct wh_i256 x = wh_i256_load(j->in, i);
    enum wh_cause cause = wh_i256_rescale(&x, j->from.scale, 0, 76, j->policy.accept_lossy);

    return cause == WH_FINE ? wh_i256_to_int(&x, j->to.kind, ret) : cause;
}
CELLS(wh_k_dec_int, dec_int(j, i + k, &whole), SAVE_INT)

static const double exact_pow10[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                     1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                     1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static enum wh_cause dec_float(const struct wh_job *j, int64_t i, double *ret)
{
    struct wh_decimal_text t;
    uint64_t words[4];
    char text[160];
    size_t n;

    /* 15 digits over an exact power of ten: one division rounds once, and reads back. */
    if (j->from.precision <= 15 && j->from.scale >= 0 && j->from.scale <= 22 &&
        j->from.kind == WH_K_DEC128 && j->to.kind == WH_K_F64) {
        *ret = (double)(int64_t)wh_view_dec128(j->in, i) / exact_pow10[j->from.scale];
        return WH_FINE;
    }
    if (j->from.kind == WH_K_DEC128) {
        n = wh_print_dec128(wh_view_dec128(j->in, i), j->from.scale, text);
    } else {
        wh_view_dec256(j->in, i, words);
        n = wh_print_dec256(words, j->from.scale, text);
    }
    if (!wh_scan_decimal(text, n, &t))
        return WH_BAD_SYNTAX;
    return wh_decimal_to_float(text, n, &t, j->to.kind == WH_K_F32, j->policy.accept_lossy, ret);
}
CELLS(wh_k_dec_float, dec_float(j, i + k, &real), SAVE_FLOAT)

/* At most 15 digits at the scale that read back as the float: then they are its shortest. */
static bool short_float_dec(const struct wh_job *j, double d, void *out, int k)
{
    if (j->from.kind != WH_K_F64 || j->to.kind != WH_K_DEC128 || j->to.scale < 0 ||
        j->to.scale > 22 || j->to.precision < 15)
        return false;
    double scaled = d * exact_pow10[j->to.scale];

    if (!(scaled < 1e15 && scaled > -1e15))
        return false;
    int64_t v = (int64_t)(scaled + (scaled < 0 ? -0.5 : 0.5));
    __int128 wide = v;

    if ((double)v / exact_pow10[j->to.scale] != d || v >= 1000000000000000 ||
        v <= -1000000000000000)
        return false;
    memcpy((char *)out + 16 * k, &wide, 16);
    return true;
}

static enum wh_cause float_dec(const struct wh_job *j, int64_t i, void *out, int k)
{
    double d = wh_view_f64(j->in, i);
    enum wh_cause cause = wh_float_policy(&j->policy, d, false);
    struct wh_decimal_text t;
    char text[32];

    if (short_float_dec(j, d, out, k))
        return WH_FINE;
    if (cause != WH_FINE)
        return cause;
    if (!wh_float_digits(d, j->from.kind == WH_K_F32, text, &t))
        return WH_BAD_NAN;
    return wh_text_to_dec(&t, &j->to, j->policy.accept_lossy, out, k);
}
CELLS(wh_k_float_dec, float_dec(j, i + k, out, k), SAVE_DEC)

/* --------------------------------------------------------------- decimal text */

enum wh_cause wh_scan_dectext(const struct wh_value_policy *p, const char *s, size_t n,
                              bool type_holds_it, struct wh_decimal_text *ret)
{
    double word;

    if (wh_scan_decimal(s, n, ret))
        return WH_FINE;
    *ret = (struct wh_decimal_text){0};
    if (!wh_read_f64(s, n, &word)) /* NaN, Infinity and their kin */
        return WH_BAD_SYNTAX;
    return wh_float_policy(p, word, type_holds_it);
}

static enum wh_cause dectext_int(const struct wh_job *j, int64_t i, int64_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    struct wh_decimal_text t;
    enum wh_cause cause = wh_scan_dectext(&j->policy, cell.p, cell.n, false, &t);

    if (cause != WH_FINE)
        return cause;
    return wh_text_to_int(&t, j->to.kind, j->policy.accept_lossy, ret);
}
CELLS(wh_k_dectext_int, dectext_int(j, i + k, &whole), SAVE_INT)

static enum wh_cause dectext_float(const struct wh_job *j, int64_t i, double *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    struct wh_decimal_text t;
    enum wh_cause cause = wh_scan_dectext(&j->policy, cell.p, cell.n, true, &t);

    if (cause != WH_FINE)
        return cause;
    if (!wh_scan_decimal(cell.p, cell.n, &t)) { /* a word that a float can hold */
        (void)wh_read_f64(cell.p, cell.n, ret);
        return WH_FINE;
    }
    return wh_decimal_to_float(cell.p, cell.n, &t, j->to.kind == WH_K_F32, j->policy.accept_lossy,
                               ret);
}
CELLS(wh_k_dectext_float, dectext_float(j, i + k, &real), SAVE_FLOAT)

static enum wh_cause dectext_dec(const struct wh_job *j, int64_t i, void *out, int k)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    struct wh_decimal_text t;
    enum wh_cause cause;
    __int128 v;

    if (j->to.kind == WH_K_DEC128 &&
        wh_read_dec128(cell.p, cell.n, j->to.precision, j->to.scale, &v)) {
        memcpy((char *)out + 16 * k, &v, 16);
        return WH_FINE;
    }
    cause = wh_scan_dectext(&j->policy, cell.p, cell.n, false, &t); /* why not? */
    if (cause != WH_FINE)
        return cause;
    return wh_text_to_dec(&t, &j->to, j->policy.accept_lossy, out, k);
}
CELLS(wh_k_dectext_dec, dectext_dec(j, i + k, out, k), SAVE_DEC)
/* Text is read as decimal text is; only the words for NaN differ by type, not by spelling. */
CELLS(wh_k_text_dec, dectext_dec(j, i + k, out, k), SAVE_DEC)

static enum wh_cause text_int(const struct wh_job *j, int64_t i, int64_t *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    struct wh_decimal_text t;
    uint64_t u;

    if (j->to.kind == WH_K_U64) {
        if (wh_read_u64(cell.p, cell.n, &u)) {
            *ret = (int64_t)u;
            return WH_FINE;
        }
    } else if (wh_read_i64(cell.p, cell.n, ret)) {
        return wh_int_in_range(j->to.kind, *ret) ? WH_FINE : WH_BAD_RANGE;
    }
    *ret = 0;
    /* A number all the same? Then it is its size or its fraction that does not fit. */
    if (!wh_scan_decimal(cell.p, cell.n, &t))
        return WH_BAD_SYNTAX;
    if (j->policy.accept_lossy)
        return wh_text_to_int(&t, j->to.kind, true, ret);
    return memchr(cell.p, '.', cell.n) || memchr(cell.p, 'e', cell.n) || memchr(cell.p, 'E', cell.n)
               ? WH_BAD_SYNTAX
               : WH_BAD_RANGE;
}
CELLS(wh_k_text_int, text_int(j, i + k, &whole), SAVE_INT)

static enum wh_cause text_float(const struct wh_job *j, int64_t i, double *ret)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    enum wh_cause cause =
        wh_text_to_float(cell.p, cell.n, j->to.kind == WH_K_F32, j->policy.accept_lossy, ret);

    return cause == WH_FINE ? wh_float_policy(&j->policy, *ret, true) : cause;
}
CELLS(wh_k_text_float, text_float(j, i + k, &real), SAVE_FLOAT)

/* ------------------------------------------------------------- to decimal text */

static inline enum wh_cause float_dectext(struct wh_job *j, int64_t i, int *st)
{
    double d = wh_view_f64(j->in, i);
    enum wh_cause cause = wh_float_policy(&j->policy, d, true);
    char text[32], digits[24], out[400];
    const char *word = d != d ? "NaN" : d > 0 ? "Infinity" : "-Infinity";
    struct wh_decimal_text t;

    if (cause != WH_FINE)
        return cause;
    if (!wh_float_digits(d, j->from.kind == WH_K_F32, text, &t)) {
        *st = wh_put_bytes(j->out, word, strlen(word));
        return WH_FINE;
    }
    size_t n = t.a_n + t.b_n;

    memcpy(digits, t.a, t.a_n);
    memcpy(digits + t.a_n, t.b, t.b_n);
    if (n == 0) /* decimals have no -0 */
        *st = wh_put_bytes(j->out, "0", 1);
    else
        *st =
            wh_put_bytes(j->out, out, wh_place_point(t.negative, digits, n, (int)-t.exponent, out));
    return WH_FINE;
}

wh_status wh_k_float_dectext(struct wh_job *j)
{
    return wh_cells(j, float_dectext);
}

static inline enum wh_cause text_dectext(struct wh_job *j, int64_t i, int *st)
{
    struct wh_bytes cell = wh_view_bytes(j->in, i);
    struct wh_decimal_text t;
    enum wh_cause cause = wh_scan_dectext(&j->policy, cell.p, cell.n, true, &t);

    if (cause == WH_FINE)
        *st = wh_put_bytes(j->out, cell.p, cell.n);
    return cause;
}

wh_status wh_k_text_dectext(struct wh_job *j)
{
    return wh_cells(j, text_dectext);
}
