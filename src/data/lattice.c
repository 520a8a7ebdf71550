/* SPDX-License-Identifier: Apache-2.0 */
/* The table of all conversions: a judge and a kernel per pair of classes. */
#include "data/lattice.h"
#include "data/internal.h"
#include "data/kernel.h"

#include <string.h>

static const uint8_t classes[WH_K_COUNT] = {
    [WH_K_NULL] = WH_C_NULL,
    [WH_K_BOOL] = WH_C_BOOL,
    [WH_K_I8] = WH_C_INT,
    [WH_K_I16] = WH_C_INT,
    [WH_K_I32] = WH_C_INT,
    [WH_K_I64] = WH_C_INT,
    [WH_K_U8] = WH_C_INT,
    [WH_K_U16] = WH_C_INT,
    [WH_K_U32] = WH_C_INT,
    [WH_K_U64] = WH_C_INT,
    [WH_K_F32] = WH_C_FLOAT,
    [WH_K_F64] = WH_C_FLOAT,
    [WH_K_DEC128] = WH_C_DEC,
    [WH_K_DEC256] = WH_C_DEC,
    [WH_K_DECTEXT] = WH_C_DECTEXT,
    [WH_K_UTF8] = WH_C_TEXT,
    [WH_K_BINARY] = WH_C_BYTES,
    [WH_K_FIXED] = WH_C_BYTES,
    [WH_K_DATE32] = WH_C_DATE,
    [WH_K_TIME64] = WH_C_TIME,
    [WH_K_TIMESTAMP] = WH_C_STAMP,
    [WH_K_DURATION] = WH_C_DURATION,
    [WH_K_INTERVAL] = WH_C_INTERVAL,
    [WH_K_LIST] = WH_C_LIST,
    [WH_K_STRUCT] = WH_C_STRUCT,
    [WH_K_MAP] = WH_C_MAP,
    [WH_K_DICT] = WH_C_DICT,
};

enum wh_class wh_class_of(enum wh_kind k)
{
    return (enum wh_class)classes[k];
}

/* Integers by value bits and sign, and the decimal digits of the greatest. */
static const struct {
    int8_t bits; /* of the magnitude */
    bool is_signed;
    int8_t digits;
} ints[WH_K_COUNT] = {
    [WH_K_BOOL] = {1, false, 1}, [WH_K_I8] = {7, true, 3},     [WH_K_I16] = {15, true, 5},
    [WH_K_I32] = {31, true, 10}, [WH_K_I64] = {63, true, 19},  [WH_K_U8] = {8, false, 3},
    [WH_K_U16] = {16, false, 5}, [WH_K_U32] = {32, false, 10}, [WH_K_U64] = {64, false, 20},
};

/* -------------------------------------------------------------------- judges */

#define JUDGE(name)                                                                                \
    static enum wh_fit name(const struct wh_type *from, const struct wh_type *to, const char **why)

static enum wh_fit checked(const char **why, const char *text)
{
    *why = text;
    return WH_FIT_CHECKED;
}

static enum wh_fit widening(const char **why, const char *text)
{
    *why = text;
    return WH_FIT_WIDENING;
}

static enum wh_fit lossy(const char **why, const char *text)
{
    *why = text;
    return WH_FIT_LOSSY;
}

static enum wh_fit impossible(const char **why, const char *text)
{
    *why = text;
    return WH_FIT_IMPOSSIBLE;
}

JUDGE(from_null)
{
    return widening(why, "every value is null");
}

/* Same class, same storage: what differs is a name (json, year) that asks for nothing. */
JUDGE(same)
{
    return widening(why, "same values under another name");
}

JUDGE(int_int)
{
    bool fits = ints[from->kind].bits <= ints[to->kind].bits &&
                (!ints[from->kind].is_signed || ints[to->kind].is_signed);

    return fits ? widening(why, "every value fits") : checked(why, "a value may not fit");
}

JUDGE(int_bool)
{
    return checked(why, "only 0 and 1 have a meaning");
}

JUDGE(int_float)
{
    int mantissa = to->kind == WH_K_F32 ? 24 : 53;

    return ints[from->kind].bits <= mantissa ? widening(why, "every integer is exact")
                                             : checked(why, "great integers are not exact");
}

JUDGE(int_dec)
{
    bool fits = to->scale >= 0 && to->precision - to->scale >= ints[from->kind].digits;

    return fits ? widening(why, "every value fits") : checked(why, "a value may not fit");
}

JUDGE(float_int)
{
    return checked(why, "only whole numbers in range fit");
}

JUDGE(float_float)
{
    return from->kind == WH_K_F32 ? widening(why, "every value fits")
                                  : checked(why, "only values that float32 holds exactly fit");
}

JUDGE(float_dec)
{
    return checked(why, "only shortest digits that fit precision and scale");
}

JUDGE(dec_int)
{
    int digits = from->precision - from->scale;
    bool fits = from->scale <= 0 && ints[to->kind].is_signed && digits < ints[to->kind].digits;

    return fits ? widening(why, "every value fits")
                : checked(why, "only whole numbers in range fit");
}

/* So many digits always read back, if the exponent is an ordinary one. */
JUDGE(dec_float)
{
    int safe = to->kind == WH_K_F32 ? 6 : 15;

    if (from->precision <= safe && from->scale <= 30 && from->precision - from->scale <= 30)
        return widening(why, "every value reads back the same");
    return checked(why, "only values that read back the same");
}

JUDGE(dec_dec)
{
    bool fits =
        to->scale >= from->scale && to->precision - to->scale >= from->precision - from->scale;

    return fits ? widening(why, "every value fits")
                : checked(why, "digits may not fit precision and scale");
}

JUDGE(dectext_number)
{
    return checked(why, "a value may not fit");
}

JUDGE(text_any)
{
    return checked(why, "every text must be readable as the type");
}

/* Characters of the longest canonical text, 0 = no bound. */
static int64_t text_bound(const struct wh_type *t)
{
    switch (t->kind) {
    case WH_K_BOOL:
        return 5;
    case WH_K_I8 ... WH_K_U64:
        return ints[t->kind].digits + ints[t->kind].is_signed;
    case WH_K_F32: /* -1000000000000000.0 */
        return 19;
    case WH_K_F64: /* -2.2250738585072014e-308 */
        return 24;
    case WH_K_DEC128:
    case WH_K_DEC256: /* sign, point, zeros that the scale adds on either side */
        return 1 + t->precision + (t->scale > 0) - (t->scale < 0 ? t->scale : 0) +
               (t->scale > 0 && t->scale >= t->precision ? t->scale - t->precision + 1 : 0);
    case WH_K_UTF8:
    case WH_K_DICT:
        return t->length;
    case WH_K_BINARY:
    case WH_K_FIXED:
        if (t->logical == WH_L_UUID && t->length == 16)
            return 36;
        return t->length ? 2 + 2 * t->length : 0;
    case WH_K_DATE32: /* -5877641-06-23 */
        return 14;
    case WH_K_TIMESTAMP: /* -292275055-05-16 16:47:04.192Z */
        return 30;
    case WH_K_TIME64: /* 23:59:59.999999999 */
        return 18;
    case WH_K_DURATION: /* PT-2562047H-47M-16.854775808S */
        return 30;
    case WH_K_INTERVAL: /* P-178956970Y-8M-2147483648DT... */
        return 56;
    default:
        return 0;
    }
}

JUDGE(to_text)
{
    int64_t bound = text_bound(from);

    if (to->length && (!bound || bound > to->length))
        return checked(why, "the text may be longer than the column");
    return widening(why, "in its text form");
}

JUDGE(text_text)
{
    if (to->logical == WH_L_JSON && from->logical != WH_L_JSON)
        return checked(why, "every text must be JSON");
    if (to->length && (!from->length || from->length > to->length))
        return checked(why, "the text may be longer than the column");
    return widening(why, "every text fits");
}

JUDGE(bytes_bytes)
{
    bool fixed = to->kind == WH_K_FIXED;

    if (fixed && (from->kind != WH_K_FIXED || from->length != to->length))
        return from->kind == WH_K_FIXED ? impossible(why, "another width")
                                        : checked(why, "every value must have the width");
    if (!fixed && from->kind == WH_K_FIXED && to->length && from->length > to->length)
        return impossible(why, "every value is longer than the column");
    if (!fixed && to->length && (!from->length || from->length > to->length))
        return checked(why, "a value may be longer than the column");
    return widening(why, "every value fits");
}

JUDGE(date_stamp)
{
    if (to->zoned)
        return impossible(why, "a date becomes an instant only in a time zone; name one");
    return to->unit <= WH_MILLI
               ? widening(why, "midnight")
               : checked(why, "midnight; years beyond the unit's range do not fit");
}

JUDGE(stamp_date)
{
    return from->zoned ? lossy(why, "zone and time of day are lost")
                       : checked(why, "only midnight fits");
}

JUDGE(stamp_time)
{
    return lossy(why, from->zoned ? "zone and date are lost" : "the date is lost");
}

JUDGE(stamp_stamp)
{
    if (!from->zoned && to->zoned)
        return impossible(why, "wall time becomes an instant only in a time zone; name one");
    if (from->zoned && !to->zoned)
        return lossy(why, "the zone is lost; the result is wall time in UTC");
    if (from->unit == to->unit)
        return same(from, to, why);
    return checked(why, from->unit > to->unit ? "finer digits must be zero"
                                              : "the finer unit does not reach as far");
}

JUDGE(time_time)
{
    return from->unit <= to->unit ? widening(why, "every value fits")
                                  : checked(why, "finer digits must be zero");
}

JUDGE(duration_duration)
{
    if (from->unit == to->unit)
        return same(from, to, why);
    return checked(why, from->unit > to->unit ? "finer digits must be zero"
                                              : "the finer unit does not reach as far");
}

JUDGE(duration_time)
{
    return checked(why, "only from 0 to 24 hours");
}

JUDGE(duration_interval)
{
    return from->unit == WH_NANO ? widening(why, "every value fits")
                                 : checked(why, "nanoseconds do not reach as far");
}

JUDGE(interval_duration)
{
    return checked(why, "only without months and days");
}

/* wh_lattice has already seen that the types differ. */
JUDGE(nested)
{
    if (from->kind == WH_K_DICT)
        return same(from, to, why);
    return impossible(why, "nested columns convert to their own type or to text");
}

/* --------------------------------------------------------------------- table */

#define FROM_TEXT                                                                                  \
    {                                                                                              \
        [WH_C_BOOL] = {text_any, wh_k_text_bool}, [WH_C_INT] = {text_any, wh_k_text_int},          \
        [WH_C_FLOAT] = {text_any, wh_k_text_float}, [WH_C_DEC] = {text_any, wh_k_text_dec},        \
        [WH_C_DECTEXT] = {text_any, wh_k_text_dectext}, [WH_C_TEXT] = {text_text, wh_k_text_text}, \
        [WH_C_BYTES] = {text_any, wh_k_text_bytes}, [WH_C_DATE] = {text_any, wh_k_text_date},      \
        [WH_C_TIME] = {text_any, wh_k_text_time}, [WH_C_STAMP] = {text_any, wh_k_text_stamp},      \
        [WH_C_DURATION] = {text_any, wh_k_text_duration},                                          \
        [WH_C_INTERVAL] = {text_any, wh_k_text_interval}, [WH_C_DICT] = {                          \
            NULL,                                                                                  \
            NULL                                                                                   \
        }                                                                                          \
    }
#define FROM_NESTED(own)                                                                           \
    {                                                                                              \
        [WH_C_TEXT] = {to_text, wh_k_text}, [own] = { nested, wh_k_copy }                          \
    }
/* clang-format off */
#define ALL_NULL {from_null, wh_k_nulls}

static const struct wh_pairing pairs[WH_C_COUNT][WH_C_COUNT] = {
    [WH_C_NULL] = {
        ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL,
        ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL, ALL_NULL,
    },
    [WH_C_BOOL] = {
        [WH_C_BOOL]    = {same, wh_k_copy},
        [WH_C_INT]     = {int_int, wh_k_int_int},
        [WH_C_FLOAT]   = {int_float, wh_k_int_float},
        [WH_C_DEC]     = {int_dec, wh_k_int_dec},
        [WH_C_DECTEXT] = {to_text, wh_k_text},
        [WH_C_TEXT]    = {to_text, wh_k_text},
    },
    [WH_C_INT] = {
        [WH_C_BOOL]    = {int_bool, wh_k_int_int},
        [WH_C_INT]     = {int_int, wh_k_int_int},
        [WH_C_FLOAT]   = {int_float, wh_k_int_float},
        [WH_C_DEC]     = {int_dec, wh_k_int_dec},
        [WH_C_DECTEXT] = {to_text, wh_k_text},
        [WH_C_TEXT]    = {to_text, wh_k_text},
    },
    [WH_C_FLOAT] = {
        [WH_C_INT]     = {float_int, wh_k_float_int},
        [WH_C_FLOAT]   = {float_float, wh_k_float_float},
        [WH_C_DEC]     = {float_dec, wh_k_float_dec},
        [WH_C_DECTEXT] = {to_text, wh_k_float_dectext},
        [WH_C_TEXT]    = {to_text, wh_k_text},
    },
    [WH_C_DEC] = {
        [WH_C_INT]     = {dec_int, wh_k_dec_int},
        [WH_C_FLOAT]   = {dec_float, wh_k_dec_float},
        [WH_C_DEC]     = {dec_dec, wh_k_dec_dec},
        [WH_C_DECTEXT] = {to_text, wh_k_text},
        [WH_C_TEXT]    = {to_text, wh_k_text},
    },
    [WH_C_DECTEXT] = {
        [WH_C_INT]     = {dectext_number, wh_k_dectext_int},
        [WH_C_FLOAT]   = {dectext_number, wh_k_dectext_float},
        [WH_C_DEC]     = {dectext_number, wh_k_dectext_dec},
        [WH_C_DECTEXT] = {same, wh_k_copy},
        [WH_C_TEXT]    = {to_text, wh_k_text},
    },
    [WH_C_TEXT] = FROM_TEXT,
    [WH_C_BYTES] = {
        [WH_C_TEXT]    = {to_text, wh_k_text},
        [WH_C_BYTES]   = {bytes_bytes, wh_k_bytes_bytes},
    },
    [WH_C_DATE] = {
        [WH_C_TEXT]    = {to_text, wh_k_text},
        [WH_C_DATE]    = {same, wh_k_copy},
        [WH_C_STAMP]   = {date_stamp, wh_k_date_stamp},
    },
    [WH_C_TIME] = {
        [WH_C_TEXT]    = {to_text, wh_k_text},
        [WH_C_TIME]    = {time_time, wh_k_units},
        [WH_C_DURATION] = {time_time, wh_k_units},
    },
    [WH_C_STAMP] = {
        [WH_C_TEXT]    = {to_text, wh_k_text},
        [WH_C_DATE]    = {stamp_date, wh_k_stamp_date},
        [WH_C_TIME]    = {stamp_time, wh_k_stamp_time},
        [WH_C_STAMP]   = {stamp_stamp, wh_k_units},
    },
    [WH_C_DURATION] = {
        [WH_C_TEXT]    = {to_text, wh_k_text},
        [WH_C_TIME]    = {duration_time, wh_k_duration_time},
        [WH_C_DURATION] = {duration_duration, wh_k_units},
        [WH_C_INTERVAL] = {duration_interval, wh_k_duration_interval},
    },
    [WH_C_INTERVAL] = {
        [WH_C_TEXT]    = {to_text, wh_k_text},
        [WH_C_DURATION] = {interval_duration, wh_k_interval_duration},
        [WH_C_INTERVAL] = {same, wh_k_copy},
    },
    [WH_C_LIST] = FROM_NESTED(WH_C_LIST),
    [WH_C_STRUCT] = FROM_NESTED(WH_C_STRUCT),
    [WH_C_MAP] = FROM_NESTED(WH_C_MAP),
    [WH_C_DICT] = FROM_TEXT,
};
/* clang-format on */

const struct wh_pairing *wh_pairing(const struct wh_type *from, const struct wh_type *to)
{
    static const struct wh_pairing copy = {nested, wh_k_copy};

    if (from->kind == WH_K_DICT && to->kind == WH_K_DICT)
        return &copy;
    return &pairs[classes[from->kind]][classes[to->kind]];
}

enum wh_fit wh_lattice(const struct wh_type *from, const struct wh_type *to, const char **ret_why)
{
    const struct wh_pairing *p = wh_pairing(from, to);
    const char *why = NULL;
    enum wh_fit fit = WH_FIT_EXACT;

    if (!wh_type_equal(from, to))
        fit = p->judge ? p->judge(from, to, &why)
                       : impossible(&why, "the two types have nothing in common");
    if (ret_why)
        *ret_why = why;
    return fit;
}

const char *wh_fit_name(enum wh_fit f)
{
    static const char *const names[] = {"exact", "widening", "checked", "lossy", "impossible"};

    return names[f];
}

/* ---------------------------------------------------------------------- join */

static bool both(const struct wh_type *a, const struct wh_type *b, const struct wh_type *t)
{
    return wh_lattice(a, t, NULL) <= WH_FIT_WIDENING && wh_lattice(b, t, NULL) <= WH_FIT_WIDENING;
}

static bool is_number(const struct wh_type *t)
{
    return t->kind >= WH_K_I8 && t->kind <= WH_K_DECTEXT;
}

/* Whole digits and scale of an integer or decimal. */
static bool digits_of(const struct wh_type *t, int *whole, int *scale)
{
    bool is_int = t->kind >= WH_K_I8 && t->kind <= WH_K_U64;

    *whole = is_int ? ints[t->kind].digits : t->precision - t->scale;
    *scale = is_int ? 0 : t->scale;
    return is_int || t->kind == WH_K_DEC128 || t->kind == WH_K_DEC256;
}

static bool join_numbers(const struct wh_type *a, const struct wh_type *b, struct wh_type *ret)
{
    static const enum wh_kind candidates[] = {WH_K_I16, WH_K_I32, WH_K_I64, WH_K_U64, WH_K_F64};
    bool real = wh_class_of(a->kind) == WH_C_FLOAT || wh_class_of(b->kind) == WH_C_FLOAT;
    int wa, sa, wb, sb;

    for (size_t i = 0; i < sizeof candidates / sizeof candidates[0]; i++) {
        struct wh_type t = WH_TYPE(candidates[i]);

        if (both(a, b, &t) && (real || t.kind != WH_K_F64)) {
            *ret = t;
            return true;
        }
    }
    *ret = WH_TYPE(WH_K_DECTEXT);
    if (!digits_of(a, &wa, &sa) || !digits_of(b, &wb, &sb))
        return true;
    int whole = wa > wb ? wa : wb, scale = sa > sb ? sa : sb;
    struct wh_type t = WH_TYPE_DEC(whole + scale, scale);

    if (wh_decimal_fits(t.precision, t.scale, t.kind == WH_K_DEC128 ? 38 : 76))
        *ret = t;
    return true;
}

/* Kinds of time: the finer unit. Dates count as midnight. */
static bool join_times(const struct wh_type *a, const struct wh_type *b, struct wh_type *ret)
{
    bool dated = a->kind == WH_K_DATE32 || b->kind == WH_K_DATE32;
    const struct wh_type *t = a->kind == WH_K_DATE32 ? b : a;

    if (dated ? t->kind != WH_K_TIMESTAMP || t->zoned : a->kind != b->kind || a->zoned != b->zoned)
        return false;
    *ret = *t;
    if (!dated && b->unit > t->unit)
        ret->unit = b->unit;
    return true;
}

static bool join_sized(const struct wh_type *a, const struct wh_type *b, enum wh_kind kind,
                       struct wh_type *ret)
{
    *ret = WH_TYPE(kind);
    if (a->length && b->length)
        ret->length = a->length > b->length ? a->length : b->length;
    if (a->logical == b->logical)
        ret->logical = a->logical;
    return true;
}

static bool join_kinds(const struct wh_type *a, const struct wh_type *b, struct wh_type *ret)
{
    enum wh_class x = wh_class_of(a->kind), y = wh_class_of(b->kind);
    bool texts = (x == WH_C_TEXT || x == WH_C_DICT) && (y == WH_C_TEXT || y == WH_C_DICT);

    if (texts)
        return join_sized(a, b, WH_K_UTF8, ret);
    if (x == WH_C_BYTES && y == WH_C_BYTES)
        return join_sized(a, b, WH_K_BINARY, ret);
    if (x >= WH_C_DATE && x <= WH_C_DURATION && y >= WH_C_DATE && y <= WH_C_DURATION)
        return join_times(a, b, ret);
    if (!is_number(a) || !is_number(b))
        return false;
    if (both(a, b, a) || both(a, b, b)) {
        *ret = both(a, b, a) ? *a : *b;
        return true;
    }
    return join_numbers(a, b, ret);
}

bool wh_type_join(const struct wh_type *a, const struct wh_type *b, struct wh_type *ret)
{
    bool nullable = a->nullable || b->nullable, found = true;

    if (wh_type_equal(a, b) || b->kind == WH_K_NULL)
        *ret = *a;
    else if (a->kind == WH_K_NULL)
        *ret = *b;
    else
        found = join_kinds(a, b, ret);
    if (found)
        ret->nullable = nullable || a->kind == WH_K_NULL || b->kind == WH_K_NULL;
    return found;
}
