/* SPDX-License-Identifier: Apache-2.0 */
/* A growing byte buffer with a cap from birth, always terminated (p[n] == 0 once written to). */
#ifndef WHERRY_CORE_BUF_H
#define WHERRY_CORE_BUF_H

#include <wherry/status.h>

struct wh_buf {
    char *p;
    size_t n, cap, max; /* max: WH_E_LIMIT above it */
};

#define WH_BUF(max_bytes) ((struct wh_buf){.max = (max_bytes)})

/* Each returns WH_OK, WH_E_NOMEM or WH_E_LIMIT; on failure the buffer keeps what it had. */
WH_EXPORT wh_status wh_buf_reserve(struct wh_buf *, size_t more); /* room for more bytes + NUL */
WH_EXPORT wh_status wh_buf_add(struct wh_buf *, const void *p, size_t n);
WH_EXPORT wh_status wh_buf_adds(struct wh_buf *, const char *s);
WH_EXPORT wh_status wh_buf_addc(struct wh_buf *, char c);
WH_EXPORT wh_status wh_buf_printf(struct wh_buf *, const char *fmt, ...) WH_PRINTF(2, 3);
WH_EXPORT wh_status wh_buf_json(struct wh_buf *, const char *s, size_t n); /* quoted JSON string;
                                             invalid UTF-8 becomes U+FFFD */
WH_EXPORT void wh_buf_clear(struct wh_buf *);                              /* keeps the memory */
WH_EXPORT void wh_buf_free(struct wh_buf *);  /* also usable as WH_CLEANUP(wh_buf_free) */
WH_EXPORT char *wh_buf_take(struct wh_buf *); /* the caller owns the terminated text */

/* wh_str helpers. */
WH_EXPORT struct wh_str wh_str(const char *s); /* NULL gives {NULL, 0} */
WH_EXPORT bool wh_str_eq(struct wh_str a, struct wh_str b);
WH_EXPORT bool wh_str_eqs(struct wh_str a, const char *b);
WH_EXPORT bool wh_str_ieqs(struct wh_str a, const char *b); /* ASCII case-insensitive */
WH_EXPORT bool wh_str_starts(struct wh_str a, const char *prefix);
WH_EXPORT bool wh_str_ends(struct wh_str a, const char *suffix);
WH_EXPORT struct wh_str wh_str_clip(struct wh_str a, size_t max); /* at most max bytes, whole
                                                                    characters: for messages */
WH_EXPORT bool wh_utf8_valid(const char *s, size_t n);
/* Bytes of the character at s, 0 if it is not valid or cut off. */
WH_EXPORT size_t wh_utf8_len(const char *s, size_t n);
/* n less the bytes of a character that is cut off at the end: at most 3. */
WH_EXPORT size_t wh_utf8_whole(const char *s, size_t n);
WH_EXPORT int64_t wh_utf8_chars(const char *s, size_t n); /* code points of valid UTF-8 */
/* Nearest of a NULL-terminated list by edit distance, or NULL when none is near. */
WH_EXPORT const char *wh_did_you_mean(struct wh_str word, const char *const *words);
/* `*` any bytes, `?` one character, `[a-z]` `[!a]` one byte, `\\` takes the next one as it is. The
 * whole text must match. */
WH_EXPORT bool wh_glob_match(const char *pattern, struct wh_str text, bool ignore_case);

/* Names, comments and messages of servers come from elsewhere: no control character of theirs
 * reaches a terminal (C0, DEL, and C1 as UTF-8 become '?'). lines: newlines stay. */
WH_EXPORT void wh_text_tame(char *text, bool lines);

/* For texts that are written while they are made: takes what the buffer holds but for its last
 * byte, which it moves to the front. Never called with an empty buffer. */
typedef void (*wh_drain_fn)(void *arg, struct wh_buf *);

#endif
