/* SPDX-License-Identifier: Apache-2.0 */
/* MD5 (RFC 1321) and SHA-256 (FIPS 180-4): sums of files that other tools make and check. Nothing
 * that must resist an attacker rests on MD5. */
#ifndef WHERRY_CORE_DIGEST_H
#define WHERRY_CORE_DIGEST_H

#include <wherry/status.h>

enum wh_digest_kind {
    WH_MD5,
    WH_SHA256
};

enum {
    WH_DIGEST_HEX = 65 /* with NUL */
};

struct wh_digest {
    enum wh_digest_kind kind;
    uint32_t h[8];
    uint64_t bytes;
    uint8_t block[64];
};

WH_EXPORT void wh_digest_init(struct wh_digest *, enum wh_digest_kind);
WH_EXPORT void wh_digest_add(struct wh_digest *, const void *p, size_t n);
/* Lower-case hex. The digest is used up. */
WH_EXPORT void wh_digest_hex(struct wh_digest *, char out[WH_DIGEST_HEX]);

#endif
