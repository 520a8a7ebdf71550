/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/codec/seal.h"

#include <dlfcn.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

enum {
    SALT = 32,
    PREFIX = 7,
    NONCE = 12,
    DIGEST = 32,
};

/* ---- libcrypto --------------------------------------------------------------------------------
 * Few jobs encrypt, and loading it takes longer than the rest of a small copy: it is opened by its
 * name when it is wanted. */

#define FUNCTIONS(X)                                                                               \
    X(EVP_CIPHER_CTX_new)                                                                          \
    X(EVP_CIPHER_CTX_free)                                                                         \
    X(EVP_CIPHER_CTX_ctrl)                                                                         \
    X(EVP_aes_256_gcm)                                                                             \
    X(EVP_EncryptInit_ex)                                                                          \
    X(EVP_EncryptUpdate)                                                                           \
    X(EVP_EncryptFinal_ex)                                                                         \
    X(EVP_DecryptInit_ex)                                                                          \
    X(EVP_DecryptUpdate)                                                                           \
    X(EVP_DecryptFinal_ex)                                                                         \
    X(EVP_sha256)                                                                                  \
    X(HMAC)

static struct {
#define X(name) __typeof__(name) *name;
    FUNCTIONS(X)
#undef X
    bool there;
} crypto;

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
#define X(name) {#name, offsetof(__typeof__(crypto), name)},
    FUNCTIONS(X)
#undef X
};

static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load(void)
{
    void *lib = dlopen("libcrypto.so.3", RTLD_NOW | RTLD_LOCAL);
    bool all = lib;
    for (size_t i = 0; all && i < sizeof symbols / sizeof *symbols; i++) {
        void *found = dlsym(lib, symbols[i].name);
        memcpy((char *)&crypto + symbols[i].offset, &found, sizeof found);
        all = found;
    }
    crypto.there = all;
}

static wh_status need_crypto(struct wh_error *reterr)
{
    pthread_once(&once, load);
    if (crypto.there)
        return WH_OK;
    int st = wh_fail(reterr, WH_E_UNSUPPORTED, "E1004",
                     "files cannot be encrypted here: the library libcrypto.so.3 is not there");
    wh_error_hint(reterr, "apt install libssl3");
    return st;
}

static wh_status no_memory(struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory to encrypt a file");
}

/* ---- keys -------------------------------------------------------------------------------------
 */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

static bool from_hex(const char *s, uint8_t *out)
{
    bool ok = true;
    for (size_t i = 0; ok && i < WH_SEAL_KEY; i++) {
        int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);
        ok = high >= 0 && low >= 0;
        out[i] = (uint8_t)(high * 16 + low);
    }
    return ok;
}

static bool from_base64(const char *s, uint8_t *out)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    uint32_t bits = 0;
    size_t have = 0, n = 0, i = 0;
    for (; n < WH_SEAL_KEY && s[i] && s[i] != '='; i++) {
        const char *at = strchr(digits, s[i]);
        if (!at)
            return false;
        bits = bits << 6 | (uint32_t)(at - digits);
        have += 6;
        if (have < 8)
            continue;
        have -= 8;
        out[n++] = (uint8_t)(bits >> have);
    }
    return n == WH_SEAL_KEY && !(bits & ((1u << have) - 1)) && !strcmp(s + i, "=");
}

wh_status wh_seal_key_parse(const char *text, struct wh_seal_key *ret, struct wh_error *reterr)
{
    size_t n = strlen(text);
    if ((n == 2 * WH_SEAL_KEY && from_hex(text, ret->bytes)) ||
        (n == 44 && from_base64(text, ret->bytes)))
        return WH_OK;
    wh_wipe(ret, sizeof *ret);
    int st = wh_fail(reterr, WH_E_USAGE, "E1002",
                     "encrypt: what it leads to is no key of 256 bits (64 hexadecimal digits, or "
                     "44 characters of base64)");
    wh_error_hint(reterr, "make one: openssl rand -hex 32 > a.key; chmod 600 a.key");
    return st;
}

static bool mac(const void *key, size_t key_n, const void *p, size_t n, uint8_t out[DIGEST])
{
    unsigned got = 0;
    return crypto.HMAC(crypto.EVP_sha256(), key, (int)key_n, p, n, out, &got) && got == DIGEST;
}

/* HKDF (RFC 5869) with SHA-256, and as much as one block gives. */
static bool derive(const struct wh_seal_key *key, const uint8_t *salt, const char *info,
                   uint8_t out[DIGEST])
{
    uint8_t extracted[DIGEST], text[64];
    size_t n = strlen(info);
    memcpy(text, info, n);
    text[n] = 1;
    bool ok = mac(salt, SALT, key->bytes, WH_SEAL_KEY, extracted) &&
              mac(extracted, DIGEST, text, n + 1, out);
    wh_wipe(extracted, sizeof extracted);
    return ok;
}

wh_status wh_seal_key_check(const struct wh_seal_key *key, char ret[WH_SEAL_CHECK + 1],
                            struct wh_error *reterr)
{
    static const uint8_t salt[SALT];
    uint8_t out[DIGEST];
    WH_TRY(need_crypto(reterr));
    if (!derive(key, salt, "wherry: which key is it", out))
        return no_memory(reterr);
    for (int i = 0; i < WH_SEAL_CHECK / 2; i++)
        snprintf(ret + 2 * i, 3, "%02x", out[i]);
    return WH_OK;
}

/* ---- sizes ------------------------------------------------------------------------------------
 */

enum {
    FIRST = WH_SEAL_SEGMENT - WH_SEAL_HEADER - WH_SEAL_TAG,
    OTHER = WH_SEAL_SEGMENT - WH_SEAL_TAG,
};

int64_t wh_seal_stored(int64_t text)
{
    int64_t n = 1 + (text > FIRST ? (text - FIRST + OTHER - 1) / OTHER : 0);
    return text + WH_SEAL_HEADER + n * WH_SEAL_TAG;
}

int64_t wh_seal_segments(int64_t stored)
{
    int64_t n = stored / WH_SEAL_SEGMENT + (stored % WH_SEAL_SEGMENT != 0);
    int64_t last = stored - (n - 1) * WH_SEAL_SEGMENT;
    int64_t least = WH_SEAL_TAG + (n == 1 ? WH_SEAL_HEADER : 0);
    return stored > 0 && n <= UINT32_MAX && last >= least ? n : 0;
}

int64_t wh_seal_text(int64_t stored)
{
    int64_t n = wh_seal_segments(stored);
    return n ? stored - WH_SEAL_HEADER - n * WH_SEAL_TAG : 0;
}

size_t wh_seal_room(int64_t segment)
{
    return segment ? OTHER : FIRST;
}

int64_t wh_seal_begin(int64_t segment)
{
    return segment ? FIRST + (segment - 1) * OTHER : 0;
}

int64_t wh_seal_segment_of(int64_t text_offset)
{
    return text_offset < FIRST ? 0 : 1 + (text_offset - FIRST) / OTHER;
}

/* ---- one file ---------------------------------------------------------------------------------
 */

struct wh_seal {
    EVP_CIPHER_CTX *ctx;
    uint8_t header[WH_SEAL_HEADER], key[DIGEST];
};

wh_status wh_seal_new(const struct wh_seal_key *key, const uint8_t *header, struct wh_seal **ret,
                      struct wh_error *reterr)
{
    WH_TRY(need_crypto(reterr));
    if (header && header[0] != WH_SEAL_HEADER)
        return WH_E_DATA;
    struct wh_seal *s = wh_calloc(1, sizeof *s);
    if (!s || !(s->ctx = crypto.EVP_CIPHER_CTX_new())) {
        wh_free(s);
        return no_memory(reterr);
    }
    int st = WH_OK;
    if (header) {
        memcpy(s->header, header, WH_SEAL_HEADER);
    } else {
        s->header[0] = WH_SEAL_HEADER;
        if (getrandom(s->header + 1, SALT + PREFIX, 0) != SALT + PREFIX)
            st = wh_fail(reterr, WH_E_IO, "E8005", "the system gives no random bytes");
    }
    if (st == WH_OK && !derive(key, s->header + 1, "", s->key))
        st = no_memory(reterr);
    if (st != WH_OK) {
        wh_seal_free(s);
        return st;
    }
    *ret = s;
    return WH_OK;
}

void wh_seal_free(struct wh_seal *s)
{
    if (!s)
        return;
    crypto.EVP_CIPHER_CTX_free(s->ctx);
    wh_wipe(s, sizeof *s);
    wh_free(s);
}

const uint8_t *wh_seal_header(const struct wh_seal *s)
{
    return s->header;
}

static void nonce_of(const struct wh_seal *s, int64_t segment, bool last, uint8_t out[NONCE])
{
    memcpy(out, s->header + 1 + SALT, PREFIX);
    for (int i = 0; i < 4; i++)
        out[PREFIX + i] = (uint8_t)((uint64_t)segment >> (24 - 8 * i));
    out[NONCE - 1] = last;
}

wh_status wh_seal_close(struct wh_seal *s, int64_t segment, bool last, uint8_t *p, size_t n,
                        struct wh_error *reterr)
{
    uint8_t nonce[NONCE];
    int got = 0, more = 0;
    if (segment > UINT32_MAX)
        return wh_fail(reterr, WH_E_LIMIT, "E8006", "an encrypted file cannot be larger");
    nonce_of(s, segment, last, nonce);
    bool ok = crypto.EVP_EncryptInit_ex(s->ctx, crypto.EVP_aes_256_gcm(), NULL, s->key, nonce) &&
              crypto.EVP_EncryptUpdate(s->ctx, p, &got, p, (int)n) &&
              crypto.EVP_EncryptFinal_ex(s->ctx, p + got, &more) &&
              (size_t)got + (size_t)more == n &&
              crypto.EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_GET_TAG, WH_SEAL_TAG, p + n);
    return ok ? WH_OK : wh_fail(reterr, WH_E_BUG, "E9001", "libcrypto cannot encrypt");
}

wh_status wh_seal_open(struct wh_seal *s, int64_t segment, bool last, uint8_t *p, size_t n,
                       struct wh_error *reterr)
{
    uint8_t nonce[NONCE];
    int got = 0, more = 0;
    if (n < WH_SEAL_TAG || segment > UINT32_MAX)
        return WH_E_DATA;
    n -= WH_SEAL_TAG;
    nonce_of(s, segment, last, nonce);
    if (!crypto.EVP_DecryptInit_ex(s->ctx, crypto.EVP_aes_256_gcm(), NULL, s->key, nonce) ||
        !crypto.EVP_DecryptUpdate(s->ctx, p, &got, p, (int)n) ||
        !crypto.EVP_CIPHER_CTX_ctrl(s->ctx, EVP_CTRL_GCM_SET_TAG, WH_SEAL_TAG, p + n))
        return wh_fail(reterr, WH_E_BUG, "E9001", "libcrypto cannot decrypt");
    if (crypto.EVP_DecryptFinal_ex(s->ctx, p + got, &more) > 0)
        return WH_OK;
    wh_wipe(p, n);
    return WH_E_DATA;
}
