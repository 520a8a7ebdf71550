/* SPDX-License-Identifier: Apache-2.0 */
/* Encrypted files: AES-256-GCM in segments of 1 MiB, the streaming format of Tink that is called
 * AES256_GCM_HKDF_1MB (developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming), with no
 * associated data. Every file has a key of its own, made of the user's key and a random salt:
 *
 *   header     1 byte 40 (its length), 32 bytes salt, 7 bytes prefix
 *   file key   HKDF-SHA256(key, salt, info = nothing), 32 bytes
 *   segments   each 1 MiB, the first with the header in it, the last as long as it needs; each
 *              AES-256-GCM(file key, nonce, text), the tag of 16 bytes behind the text
 *   nonce      prefix, number of the segment (4 bytes, big-endian, from 0), 1 byte: 1 for the last
 *              segment and 0 for others
 *
 * So no segment can be changed, left out, moved or taken from another file, nor the end be cut off,
 * without a tag that does not fit; and each can be read alone.
 *
 * libcrypto is loaded when the first key is used. One object serves one thread.
 */
#ifndef WHERRY_FORMATS_SEAL_H
#define WHERRY_FORMATS_SEAL_H

#include "core/alloc.h"

enum {
    WH_SEAL_KEY = 32,
    WH_SEAL_TAG = 16,
    WH_SEAL_HEADER = 40,
    WH_SEAL_SEGMENT = 1 << 20,
    WH_SEAL_CHECK = 16, /* hex digits */
};

struct wh_seal_key {
    uint8_t bytes[WH_SEAL_KEY];
};

/* 64 hexadecimal digits, or the base64 of 32 bytes. WH_E_USAGE (E1002) without the text. */
wh_status wh_seal_key_parse(const char *text, struct wh_seal_key *ret, struct wh_error *reterr);
/* Tells one key from another, and nothing of either. */
wh_status wh_seal_key_check(const struct wh_seal_key *, char ret[WH_SEAL_CHECK + 1],
                            struct wh_error *reterr);

/* ---- sizes: a file's from its text's, and back --------------------------------------------------
 */

int64_t wh_seal_stored(int64_t text);
int64_t wh_seal_text(int64_t stored); /* 0 also of what is too short to be such a file */
/* Segments of a file; 0: it is too short to be one. */
int64_t wh_seal_segments(int64_t stored);
/* Bytes of text that segment i holds at most, and where its text begins in that of the file. */
size_t wh_seal_room(int64_t segment);
int64_t wh_seal_begin(int64_t segment);
int64_t wh_seal_segment_of(int64_t text_offset);

/* ---- one file ----------------------------------------------------------------------------------
 */

struct wh_seal;
/* header: of the file that is read; NULL makes one. WH_E_DATA: it is no such header. */
wh_status wh_seal_new(const struct wh_seal_key *, const uint8_t *header, struct wh_seal **ret,
                      struct wh_error *reterr);
void wh_seal_free(struct wh_seal *);
const uint8_t *wh_seal_header(const struct wh_seal *);
/* n bytes of text at p become n + WH_SEAL_TAG bytes at p. */
wh_status wh_seal_close(struct wh_seal *, int64_t segment, bool last, uint8_t *p, size_t n,
                        struct wh_error *reterr);
/* n bytes at p, tag and all, become n - WH_SEAL_TAG bytes of text. WH_E_DATA, without words: the
 * tag does not fit, and p holds nothing that may be used. */
wh_status wh_seal_open(struct wh_seal *, int64_t segment, bool last, uint8_t *p, size_t n,
                       struct wh_error *reterr);

#endif
