/* SPDX-License-Identifier: Apache-2.0 */
/* Integers as text. */
#include "data/number.h"
#include "data/digits.h"

const uint64_t wh_pow10_u64[20] = {
    UINT64_C(1),
    UINT64_C(10),
    UINT64_C(100),
    UINT64_C(1000),
    UINT64_C(10000),
    UINT64_C(100000),
    UINT64_C(1000000),
    UINT64_C(10000000),
    UINT64_C(100000000),
    UINT64_C(1000000000),
    UINT64_C(10000000000),
    UINT64_C(100000000000),
    UINT64_C(1000000000000),
    UINT64_C(10000000000000),
    UINT64_C(100000000000000),
    UINT64_C(1000000000000000),
    UINT64_C(10000000000000000),
    UINT64_C(100000000000000000),
    UINT64_C(1000000000000000000),
    WH_E19,
};

const char wh_two_digits[200] = {"0001020304050607080910111213141516171819"
                                 "2021222324252627282930313233343536373839"
                                 "4041424344454647484950515253545556575859"
                                 "6061626364656667686970717273747576777879"
                                 "8081828384858687888990919293949596979899"};

/* Magnitude of at least one digit, leading zeros allowed. */
static bool magnitude(const char *s, size_t n, uint64_t *ret)
{
    uint64_t head, low;

    if (n == 0)
        return false;
    if (n <= 19)
        return wh_digits_u64(s, n, ret);
    for (; n > 20; s++, n--)
        if (*s != '0')
            return false;
    return wh_digits_u64(s, 19, &head) && wh_digits_u64(s + 19, 1, &low) &&
           !__builtin_mul_overflow(head, 10, &head) && !__builtin_add_overflow(head, low, ret);
}

bool wh_read_u64(const char *s, size_t n, uint64_t *ret)
{
    if (n && *s == '+')
        return magnitude(s + 1, n - 1, ret);
    if (n && *s == '-') /* only zero may carry a minus */
        return magnitude(s + 1, n - 1, ret) && *ret == 0;
    return magnitude(s, n, ret);
}

bool wh_read_i64(const char *s, size_t n, int64_t *ret)
{
    bool negative = n && *s == '-';
    uint64_t v;

    if (n && (negative || *s == '+')) {
        s++;
        n--;
    }
    if (!magnitude(s, n, &v) || v > (uint64_t)INT64_MAX + negative)
        return false;
    *ret = negative ? (int64_t)(0 - v) : (int64_t)v;
    return true;
}

size_t wh_print_u64(uint64_t v, char out[20])
{
    return wh_put_u64(out, v);
}

size_t wh_print_i64(int64_t v, char out[20])
{
    if (v >= 0)
        return wh_put_u64(out, (uint64_t)v);
    *out = '-';
    return 1 + wh_put_u64(out + 1, 0 - (uint64_t)v);
}
