/* SPDX-License-Identifier: Apache-2.0 */
/* Conversions among bool, integers and floats, in blocks that vectorise. */
#include "data/kernel.h"
#include "data/decimal.h"

#include <math.h>
#include <string.h>

static const struct {
    int64_t lo, hi; /* U64 by itself */
} ranges[WH_K_COUNT] = {
    [WH_K_BOOL] = {0, 1},
    [WH_K_I8] = {INT8_MIN, INT8_MAX},
    [WH_K_I16] = {INT16_MIN, INT16_MAX},
    [WH_K_I32] = {INT32_MIN, INT32_MAX},
    [WH_K_I64] = {INT64_MIN, INT64_MAX},
    [WH_K_U8] = {0, UINT8_MAX},
    [WH_K_U16] = {0, UINT16_MAX},
    [WH_K_U32] = {0, UINT32_MAX},
    [WH_K_U64] = {0, INT64_MAX},
};

bool wh_int_in_range(enum wh_kind kind, int64_t v)
{
    return v >= ranges[kind].lo && v <= ranges[kind].hi;
}

/* ------------------------------------------------------------ load and store */

#define LOAD(ctype)                                                                                \
    for (int k = 0; k < m; k++)                                                                    \
    to[k] = (int64_t)((const ctype *)v->data)[at + k]
#define STORE(ctype)                                                                               \
    for (int k = 0; k < m; k++)                                                                    \
    ((ctype *)out)[k] = (ctype)from[k]

/* U64 keeps its bits: values above INT64_MAX look negative. */
static void load(const struct wh_view *v, int64_t i, int m, int64_t to[WH_BLOCK])
{
    int64_t at = i + v->offset;

    switch (v->type.kind) {
    case WH_K_I8:
        LOAD(int8_t);
        break;
    case WH_K_I16:
        LOAD(int16_t);
        break;
    case WH_K_I32:
        LOAD(int32_t);
        break;
    case WH_K_U8:
        LOAD(uint8_t);
        break;
    case WH_K_U16:
        LOAD(uint16_t);
        break;
    case WH_K_U32:
        LOAD(uint32_t);
        break;
    case WH_K_BOOL:
        for (int k = 0; k < m; k++)
            to[k] = wh_view_i64(v, i + k);
        break;
    default:
        LOAD(int64_t);
    }
}

static void store(enum wh_kind kind, const int64_t from[WH_BLOCK], int m, void *out)
{
    switch (kind) {
    case WH_K_BOOL: /* the driver packs bytes into bits */
    case WH_K_I8:
    case WH_K_U8:
        STORE(uint8_t);
        break;
    case WH_K_I16:
    case WH_K_U16:
        STORE(uint16_t);
        break;
    case WH_K_I32:
    case WH_K_U32:
        STORE(uint32_t);
        break;
    default:
        STORE(int64_t);
    }
}

/* Marks rows outside [lo, hi]; most blocks have none and pay one pass without branches. */
static uint64_t outside(struct wh_job *j, const int64_t *v, int m, int64_t lo, int64_t hi)
{
    int64_t any = 0;
    uint64_t bad = 0;

    for (int k = 0; k < m; k++)
        any |= (v[k] < lo) | (v[k] > hi);
    if (!any)
        return 0;
    for (int k = 0; k < m; k++)
        if (v[k] < lo || v[k] > hi) {
            j->cause[k] = WH_BAD_RANGE;
            bad |= UINT64_C(1) << k;
        }
    return bad;
}

static uint64_t int_int_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    bool from_u64 = j->from.kind == WH_K_U64, to_u64 = j->to.kind == WH_K_U64;
    int64_t v[WH_BLOCK], lo = ranges[j->to.kind].lo, hi = ranges[j->to.kind].hi;
    uint64_t bad = 0;

    load(j->in, i, m, v);
    if (from_u64) /* what looks negative is too great for all but itself */
        lo = 0;
    if (!(from_u64 && to_u64))
        bad = outside(j, v, m, lo, hi);
    store(j->to.kind, v, m, out);
    return bad;
}

wh_status wh_k_int_int(struct wh_job *j)
{
    return wh_blocks(j, int_int_block);
}

/* --------------------------------------------------------------- int to float */

/* Is the float exactly this integer? 2^63 and 2^64 round up to what no integer is. */
static bool exact(double d, int64_t v, bool is_u64)
{
    if (is_u64)
        return d < 18446744073709551616.0 && (uint64_t)d == (uint64_t)v;
    return d < 9223372036854775808.0 && (int64_t)d == v;
}

static uint64_t int_float_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    bool is_u64 = j->from.kind == WH_K_U64, single = j->to.kind == WH_K_F32;
    int64_t v[WH_BLOCK];
    uint64_t bad = 0;

    load(j->in, i, m, v);
    for (int k = 0; k < m; k++) {
        double d;

        if (single) {
            float f = is_u64 ? (float)(uint64_t)v[k] : (float)v[k];

            ((float *)out)[k] = f;
            d = (double)f;
        } else {
            d = is_u64 ? (double)(uint64_t)v[k] : (double)v[k];
            ((double *)out)[k] = d;
        }
        if (!exact(d, v[k], is_u64) && !j->policy.accept_lossy) {
            j->cause[k] = WH_BAD_DIGITS;
            bad |= UINT64_C(1) << k;
        }
    }
    return bad;
}

wh_status wh_k_int_float(struct wh_job *j)
{
    return wh_blocks(j, int_float_block);
}

/* ------------------------------------------------------------- int to decimal */

static uint64_t int_dec_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    bool is_u64 = j->from.kind == WH_K_U64;
    int64_t v[WH_BLOCK];
    uint64_t bad = 0;

    load(j->in, i, m, v);
    for (int k = 0; k < m; k++) {
        struct wh_i256 x = wh_i256_from(is_u64 ? (__int128)(uint64_t)v[k] : v[k]);
        enum wh_cause cause = WH_FINE;

        if (valid >> k & 1)
            cause = wh_i256_rescale(&x, 0, j->to.scale, j->to.precision, j->policy.accept_lossy);
        if (cause != WH_FINE) {
            j->cause[k] = (uint8_t)cause;
            bad |= UINT64_C(1) << k;
        }
        wh_i256_store(&x, j->to.kind, out, k);
    }
    return bad;
}

/* The usual case: scale not negative, 128 bits. */
static uint64_t int_dec128_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    bool is_u64 = j->from.kind == WH_K_U64;
    __int128 factor = wh_pow10_i128(j->to.scale);
    int whole = j->to.precision - j->to.scale;
    uint64_t limit = whole >= 20 ? UINT64_MAX : whole <= 0 ? 0 : wh_pow10_u64[whole] - 1, bad = 0;
    int64_t v[WH_BLOCK];

    load(j->in, i, m, v);
    for (int k = 0; k < m; k++) {
        bool negative = !is_u64 && v[k] < 0;
        uint64_t size = negative ? 0 - (uint64_t)v[k] : (uint64_t)v[k];
        __int128 x = 0;

        if (size > limit) {
            j->cause[k] = WH_BAD_RANGE;
            bad |= UINT64_C(1) << k;
        } else {
            x = (__int128)size * factor;
            x = negative ? -x : x;
        }
        memcpy((char *)out + 16 * k, &x, 16);
    }
    return bad;
}

wh_status wh_k_int_dec(struct wh_job *j)
{
    if (j->to.kind == WH_K_DEC128 && j->to.scale >= 0)
        return wh_blocks(j, int_dec128_block);
    return wh_blocks(j, int_dec_block);
}

/* ----------------------------------------------------------------- from float */

static enum wh_cause float_to_i64(double d, bool lossy, enum wh_kind kind, int64_t *ret)
{
    double whole = nearbyint(d); /* half to even */

    if (d - d != 0)
        return WH_BAD_NAN;
    if (whole != d && !lossy)
        return WH_BAD_DIGITS;
    if (kind == WH_K_U64) {
        if (whole < 0 || whole >= 18446744073709551616.0)
            return WH_BAD_RANGE;
        *ret = (int64_t)(uint64_t)whole;
        return WH_FINE;
    }
    if (whole < -9223372036854775808.0 || whole >= 9223372036854775808.0)
        return WH_BAD_RANGE;
    *ret = (int64_t)whole;
    return *ret < ranges[kind].lo || *ret > ranges[kind].hi ? WH_BAD_RANGE : WH_FINE;
}

enum wh_cause wh_float_policy(const struct wh_value_policy *p, double d, bool type_holds_it)
{
    bool nan = d != d;

    if (d - d == 0)
        return WH_FINE;
    if (nan ? p->nan_null : p->infinity_null)
        return WH_MAKE_NULL;
    if (!type_holds_it || (nan ? p->nan_refuse : p->infinity_refuse))
        return WH_BAD_NAN;
    return WH_FINE;
}

static uint64_t float_int_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    int64_t v[WH_BLOCK];
    uint64_t bad = 0;

    for (int k = 0; k < m; k++) {
        double d = wh_view_f64(j->in, i + k);
        enum wh_cause cause = wh_float_policy(&j->policy, d, false);

        v[k] = 0;
        if (cause == WH_FINE)
            cause = float_to_i64(d, j->policy.accept_lossy, j->to.kind, &v[k]);
        if (cause != WH_FINE) {
            j->cause[k] = (uint8_t)cause;
            bad |= UINT64_C(1) << k;
        }
    }
    store(j->to.kind, v, m, out);
    return bad;
}

wh_status wh_k_float_int(struct wh_job *j)
{
    return wh_blocks(j, float_int_block);
}

static uint64_t float_float_block(struct wh_job *j, int64_t i, int m, uint64_t valid, void *out)
{
    bool single = j->to.kind == WH_K_F32;
    uint64_t bad = 0;

    for (int k = 0; k < m; k++) {
        double d = wh_view_f64(j->in, i + k);
        enum wh_cause cause = wh_float_policy(&j->policy, d, true);
        float f = (float)d;

        if (cause == WH_FINE && single && d - d == 0) {
            if (f - f != 0)
                cause = WH_BAD_RANGE;
            else if ((double)f != d && !j->policy.accept_lossy)
                cause = WH_BAD_DIGITS;
        }
        if (single)
            ((float *)out)[k] = f;
        else
            ((double *)out)[k] = d;
        if (cause != WH_FINE) {
            j->cause[k] = (uint8_t)cause;
            bad |= UINT64_C(1) << k;
        }
    }
    return bad;
}

wh_status wh_k_float_float(struct wh_job *j)
{
    return wh_blocks(j, float_float_block);
}
