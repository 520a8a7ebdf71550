/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include <stdlib.h>

#include "core/digest.h"

static void hex_of(enum wh_digest_kind kind, const uint8_t *p, size_t n, size_t step,
                   char out[WH_DIGEST_HEX])
{
    struct wh_digest d;

    wh_digest_init(&d, kind);
    for (size_t at = 0; at < n; at += step)
        wh_digest_add(&d, p + at, n - at < step ? n - at : step);
    wh_digest_hex(&d, out);
}

/* Red when a sum is another one than Python's hashlib makes, at any length around a block and in
 * pieces of any size. */
static void as_others(void **state)
{
    static const struct {
        size_t n;
        const char *md5, *sha256;
    } cases[] = {
        {0, "d41d8cd98f00b204e9800998ecf8427e",
         "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {1, "55a54008ad1ba589aa210d2629c1df41",
         "4bf5122f344554c53bde2ebb8cd2b7e3d1600ad631c385a5d7cce23c7785459a"},
        {3, "36958084ded10e2b7e126a7a6521aeae",
         "d71caa65d53e400d34d3c867092f40b207b05bea2e06068409ff8fa5c5d3757f"},
        {55, "fa1ee565da064b26ecce74a83aa4bf8c",
         "0c74b286e2c8b409ed0fd89f5a8344aeb274bda5d9bfbe7b8e537cfc6142736d"},
        {56, "4816b1cca34a57a3a6e751d958dd9e9b",
         "8136496fb4867a08f8c0f1afaf000ef4093ecc2d544f4f808ef9d5945ca4c2fa"},
        {57, "81c05033ac5be9dfa2a7abf85753ebd0",
         "861c42dc0dc72b220fc6518be4a00fff6c981e2be9dc70f5cb090f14c3c11c57"},
        {63, "9fe8ad4ec318f2df2d53f22afb08bda7",
         "a7c6fa71b10f6f7bd8ce26f79db5693d265b2cde42e61955077e77c8764bc26f"},
        {64, "171f68812908fe2ccf0b1a3cfd345b03",
         "3ea97ec766b8247739939247b4d4cb362cf13c100deb0cc2ba5391f762023852"},
        {65, "61ee6a89fa80e9054ee19f3af13b52bd",
         "7fc8e770811fb1035a2279b782a7b04024fe6a2229e9bb11a99686d3ca65f4a7"},
        {119, "88093ab624b7b278c38b0c9dedbedfa8",
         "6cf3e40eee6bd154b923dbbe0b421de7934af82282113dd285bb895e4bb3f8f7"},
        {120, "8faf0c40fe4bd11fa2e4b5c08b76a006",
         "696e486e83239a511feef5f0b438da322fa51490489668162c6ed9a9c6ad8055"},
        {128, "7cde02ba23c3f372cdc11ad390fe99c0",
         "3b35116c160c0ffdaf1287960af39caf2760811b02a36e3bd5294bdd61eea9a9"},
        {1000, "ec212097c05d77e5c154e72cd3c154bb",
         "44a1b8c5e1f8849fc62fcbfadd4f4ab312021e40f8e16b2a4f9307493ca45102"},
        {100000, "f2a4832127b39d5d73d9732db260f576",
         "1c63a81ed4fd6c317761ca6178cc50dbb99f41ce4f230141145b6c4cd11c4bbd"},
    };
    static const size_t steps[] = {1, 7, 64, 63, 1000000};
    uint8_t *p = malloc(100000);
    char hex[WH_DIGEST_HEX];

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (size_t k = 0; k < cases[i].n; k++)
            p[k] = (uint8_t)(k * 31 + cases[i].n);
        for (size_t k = 0; k < sizeof steps / sizeof *steps; k++) {
            hex_of(WH_MD5, p, cases[i].n, steps[k], hex);
            assert_string_equal(hex, cases[i].md5);
            hex_of(WH_SHA256, p, cases[i].n, steps[k], hex);
            assert_string_equal(hex, cases[i].sha256);
        }
    }
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(as_others),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
