/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "core/hash.h"

/* Red when the hash is another one than XXH3: stored checksums would change their meaning. The
 * values are those of the shared library, which
 * is another build of it. */
static void is_xxh3(void **state)
{
    char hex[33];

    assert_int_equal(wh_hash64("", 0, 0), UINT64_C(0x2d06800538d394c2));
    assert_int_equal(wh_hash64("wherry", 6, 0), UINT64_C(0xa4dce112f39dca45));
    wh_u128_hex(wh_hash128("", 0, 0), hex);
    assert_string_equal(hex, "99aa06d3014798d86001c324468d497f");
    wh_u128_hex(wh_hash128("wherry", 6, 0), hex);
    assert_string_equal(hex, "c97bd5a0f9a6cd612dadfebfd2292123");
    assert_true(wh_hash64("wherry", 6, 1) != wh_hash64("wherry", 6, 0));
}

/* Red when the sum loses its carry: then the order of rows would matter. */
static void adds_mod_2_128(void **state)
{
    struct wh_u128 one = {1, 0}, max = {UINT64_MAX, UINT64_MAX}, low = {UINT64_MAX, 5};
    struct wh_u128 sum = wh_u128_add(max, one);

    assert_true(sum.lo == 0 && sum.hi == 0);
    sum = wh_u128_add(low, one);
    assert_true(sum.lo == 0 && sum.hi == 6);
    sum = wh_u128_add(max, max);
    assert_true(sum.lo == UINT64_MAX - 1 && sum.hi == UINT64_MAX);
    assert_true(wh_u128_eq(wh_u128_add(low, max), wh_u128_add(max, low)));
    assert_false(wh_u128_eq(one, low));
}

static void hex_both_ways(void **state)
{
    struct wh_u128 v = {UINT64_C(0x0123456789abcdef), UINT64_C(0xfedcba9876543210)}, back;
    char hex[33];

    wh_u128_hex(v, hex);
    assert_string_equal(hex, "fedcba98765432100123456789abcdef");
    assert_true(wh_u128_parse(hex, &back));
    assert_true(wh_u128_eq(v, back));
    assert_false(wh_u128_parse("", &back));
    assert_false(wh_u128_parse("fedcba98765432100123456789abcde", &back));
    assert_false(wh_u128_parse("fedcba98765432100123456789abcdef0", &back));
    assert_false(wh_u128_parse("FEDCBA98765432100123456789abcdef", &back));
    assert_false(wh_u128_parse("fedcba9876543210 123456789abcdef", &back));
}

/* Red when numbers repeat: names of runs would collide. */
static void random_differs(void **state)
{
    uint64_t all = 0, last = 0;

    for (int i = 0; i < 100; i++) {
        uint64_t v = wh_random64();

        assert_true(v != last);
        all |= v;
        last = v;
    }
    assert_int_equal(all, UINT64_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_xxh3),
        cmocka_unit_test(adds_mod_2_128),
        cmocka_unit_test(hex_both_ways),
        cmocka_unit_test(random_differs),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
