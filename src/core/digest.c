/* SPDX-License-Identifier: Apache-2.0 */
#include "core/digest.h"

#include <string.h>

static inline uint32_t left(uint32_t x, unsigned n)
{
    return x << n | x >> (32 - n);
}

static inline uint32_t right(uint32_t x, unsigned n)
{
    return x >> n | x << (32 - n);
}

/* ---- MD5 ------------------------------------------------------------------------------------- */

/* floor(2^32 * |sin(i + 1)|) */
static const uint32_t SINES[64] = {
    0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501,
    0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821,
    0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8,
    0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a,
    0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
    0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665,
    0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1,
    0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
};

static const uint8_t TURNS[4][4] = {
    {7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};

static void md5_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[16], a = h[0], b = h[1], c = h[2], d = h[3];
    memcpy(w, p, sizeof w);
    for (unsigned i = 0; i < 64; i++) {
        unsigned round = i / 16, at;
        uint32_t f;
        if (round == 0) {
            f = (b & c) | (~b & d);
            at = i;
        } else if (round == 1) {
            f = (d & b) | (~d & c);
            at = 5 * i + 1;
        } else if (round == 2) {
            f = b ^ c ^ d;
            at = 3 * i + 5;
        } else {
            f = c ^ (b | ~d);
            at = 7 * i;
        }
        f += a + SINES[i] + w[at % 16];
        a = d;
        d = c;
        c = b;
        b += left(f, TURNS[round][i % 4]);
    }
    h[0] += a;
    h[1] += b;
    h[2] += c;
    h[3] += d;
}

/* ---- SHA-256 --------------------------------------------------------------------------------- */

/* First 32 bits of the fractional parts of the cube roots of the first 64 primes. */
static const uint32_t ROOTS[64] = {
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2,
};

static void sha256_block(uint32_t h[8], const uint8_t *p)
{
    uint32_t w[64], s[8];
    for (unsigned i = 0; i < 16; i++) {
        memcpy(&w[i], p + 4 * i, 4);
        w[i] = __builtin_bswap32(w[i]);
    }
    for (unsigned i = 16; i < 64; i++) {
        uint32_t x = w[i - 15], y = w[i - 2];
        w[i] = w[i - 16] + (right(x, 7) ^ right(x, 18) ^ x >> 3) + w[i - 7] +
               (right(y, 17) ^ right(y, 19) ^ y >> 10);
    }
    memcpy(s, h, sizeof s);
    for (unsigned i = 0; i < 64; i++) {
        uint32_t e = s[4], a = s[0];
        uint32_t t = s[7] + (right(e, 6) ^ right(e, 11) ^ right(e, 25)) +
                     ((e & s[5]) ^ (~e & s[6])) + ROOTS[i] + w[i];
        uint32_t u =
            (right(a, 2) ^ right(a, 13) ^ right(a, 22)) + ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));
        memmove(s + 1, s, 7 * sizeof *s);
        s[4] += t;
        s[0] = t + u;
    }
    for (unsigned i = 0; i < 8; i++)
        h[i] += s[i];
}

/* ---- both ------------------------------------------------------------------------------------ */

void wh_digest_init(struct wh_digest *d, enum wh_digest_kind kind)
{
    static const uint32_t md5[8] = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476};
    static const uint32_t sha[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                    0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    *d = (struct wh_digest){.kind = kind};
    memcpy(d->h, kind == WH_MD5 ? md5 : sha, sizeof d->h);
}

static void block(struct wh_digest *d, const uint8_t *p)
{
    if (d->kind == WH_MD5)
        md5_block(d->h, p);
    else
        sha256_block(d->h, p);
}

void wh_digest_add(struct wh_digest *d, const void *p, size_t n)
{
    const uint8_t *s = p;
    size_t at = d->bytes % 64;
    d->bytes += n;
    if (at && n) {
        size_t k = n < 64 - at ? n : 64 - at;
        memcpy(d->block + at, s, k);
        s += k;
        n -= k;
        if (at + k < 64)
            return;
        block(d, d->block);
    }
    for (; n >= 64; s += 64, n -= 64)
        block(d, s);
    if (n)
        memcpy(d->block, s, n);
}

void wh_digest_hex(struct wh_digest *d, char out[WH_DIGEST_HEX])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t bits = d->bytes * 8;
    uint8_t tail[8];
    bool big = d->kind == WH_SHA256;
    wh_digest_add(d, "\x80", 1);
    while (d->bytes % 64 != 56)
        wh_digest_add(d, "", 1);
    for (unsigned i = 0; i < 8; i++)
        tail[i] = (uint8_t)(bits >> 8 * (big ? 7 - i : i));
    wh_digest_add(d, tail, 8);
    size_t words = big ? 8 : 4;
    for (size_t i = 0; i < words * 4; i++) {
        unsigned shift = 8 * (unsigned)(big ? 3 - i % 4 : i % 4);
        uint8_t b = (uint8_t)(d->h[i / 4] >> shift);
        out[2 * i] = digits[b >> 4];
        out[2 * i + 1] = digits[b & 15];
    }
    out[8 * words] = 0;
}
