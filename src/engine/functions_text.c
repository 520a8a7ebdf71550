/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels of functions on text. Loops over a column; what happens to a cell is inlined. */
#include "engine/functions.h"

#include "core/digest.h"
#include "core/hash.h"

#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <wctype.h>

/* ---- parts of a text --------------------------------------------------------------------------
 */

/* A part of each cell, cut by a function that is inlined. */
#define EACH_PART(job, cut)                                                                        \
    do {                                                                                           \
        const struct wh_view *v_ = (job)->in;                                                      \
        for (int64_t row_ = 0; row_ < v_->n; row_++) {                                             \
            struct wh_bytes b_;                                                                    \
            if (wh_view_null(v_, row_)) {                                                          \
                WH_TRY(wh_put_null((job)->out));                                                   \
                continue;                                                                          \
            }                                                                                      \
            b_ = wh_view_bytes(v_, row_);                                                          \
            cut(&b_);                                                                              \
            WH_TRY(wh_fn_put((job), row_, b_.p, b_.n));                                            \
        }                                                                                          \
    } while (0)

static inline bool is_blank(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static inline void cut_left(struct wh_bytes *b)
{
    const uint8_t *p = b->p;
    size_t i = 0;

    while (i < b->n && is_blank(p[i]))
        i++;
    b->p = p + i;
    b->n -= i;
}

static inline void cut_right(struct wh_bytes *b)
{
    const uint8_t *p = b->p;

    while (b->n && is_blank(p[b->n - 1]))
        b->n--;
}

static inline void cut_both(struct wh_bytes *b)
{
    cut_left(b);
    cut_right(b);
}

wh_status wh_fn_run_trim(struct wh_fn_job *job)
{
    EACH_PART(job, cut_both);
    return WH_OK;
}

wh_status wh_fn_run_ltrim(struct wh_fn_job *job)
{
    EACH_PART(job, cut_left);
    return WH_OK;
}

wh_status wh_fn_run_rtrim(struct wh_fn_job *job)
{
    EACH_PART(job, cut_right);
    return WH_OK;
}

wh_status wh_fn_run_empty_to_null(struct wh_fn_job *job)
{
    const struct wh_view *v = job->in;

    for (int64_t row = 0; row < v->n; row++) {
        struct wh_bytes b = {NULL, 0};

        if (!wh_view_null(v, row))
            b = wh_view_bytes(v, row);
        WH_TRY(b.n ? wh_fn_put(job, row, b.p, b.n) : wh_put_null(job->out));
    }
    return WH_OK;
}

wh_status wh_fn_run_null_to(struct wh_fn_job *job)
{
    const struct wh_fn_null_to *args = job->args;
    const struct wh_view *v = job->in;
    size_t n = strlen(args->value);

    for (int64_t row = 0; row < v->n; row++) {
        struct wh_bytes b = {args->value, n};

        if (!wh_view_null(v, row))
            b = wh_view_bytes(v, row);
        WH_TRY(wh_fn_put(job, row, b.p, b.n));
    }
    return WH_OK;
}

/* ---- characters -------------------------------------------------------------------------------
 */

/* Bytes of the character that begins with c, in valid UTF-8. */
static inline size_t char_bytes(uint8_t c)
{
    return c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
}

/* Bytes of the first n characters, at most all. */
static size_t first_chars(const uint8_t *p, size_t bytes, int64_t n)
{
    size_t i = 0;

    for (; n > 0 && i < bytes; n--)
        i += char_bytes(p[i]);
    return i;
}

static bool plain_ascii(const uint8_t *p, size_t n)
{
    uint8_t all = 0;

    for (size_t i = 0; i < n; i++)
        all |= p[i];
    return all < 0x80;
}

/* Texts of a language that knows no country: "C" with all characters. */
static locale_t every_char;

static void open_locale(void)
{
    every_char = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0);
}

static locale_t char_locale(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, open_locale);
    return every_char;
}

bool wh_fn_case_check(const void *args, const char **ret_why)
{
    *ret_why = "this system has no locale C.UTF-8 to look letters up in";
    return char_locale() != (locale_t)0;
}

static uint32_t decode(const uint8_t *p, size_t n)
{
    if (n == 1)
        return p[0];
    if (n == 2)
        return (p[0] & 0x1fu) << 6 | (p[1] & 0x3fu);
    if (n == 3)
        return (p[0] & 0x0fu) << 12 | (p[1] & 0x3fu) << 6 | (p[2] & 0x3fu);
    return (p[0] & 0x07u) << 18 | (p[1] & 0x3fu) << 12 | (p[2] & 0x3fu) << 6 | (p[3] & 0x3fu);
}

static size_t encode(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 0x3f));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (c & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (c & 0x3f));
    return 4;
}

static size_t other_case(const uint8_t *p, size_t n, bool upper, uint8_t *out)
{
    size_t to = 0;

    if (plain_ascii(p, n)) {
        uint8_t first = upper ? 'a' : 'A';

        for (size_t i = 0; i < n; i++)
            out[i] = (uint8_t)(p[i] ^ ((uint8_t)(p[i] - first) < 26 ? 0x20 : 0));
        return n;
    }
    for (size_t i = 0; i < n;) {
        size_t len = char_bytes(p[i]);
        wint_t c = (wint_t)decode(p + i, len);

        c = upper ? towupper_l(c, char_locale()) : towlower_l(c, char_locale());
        to += encode((uint32_t)c, out + to);
        i += len;
    }
    return to;
}

static wh_status change_case(struct wh_fn_job *job, bool upper)
{
    const struct wh_view *v = job->in;

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);

        wh_buf_clear(job->scratch); /* a character has 4 bytes at most, and never less than one */
        WH_TRY(wh_buf_reserve(job->scratch, 4 * b.n + 1));
        uint8_t *out = (uint8_t *)job->scratch->p;

        WH_TRY(wh_fn_put(job, row, out, other_case(b.p, b.n, upper, out)));
    }
    return WH_OK;
}

wh_status wh_fn_run_lower(struct wh_fn_job *job)
{
    return change_case(job, false);
}

wh_status wh_fn_run_upper(struct wh_fn_job *job)
{
    return change_case(job, true);
}

wh_status wh_fn_run_reverse(struct wh_fn_job *job)
{
    const struct wh_view *v = job->in;

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);
        const uint8_t *p = b.p;

        wh_buf_clear(job->scratch);
        WH_TRY(wh_buf_reserve(job->scratch, b.n + 1));
        for (size_t i = 0; i < b.n;) {
            size_t len = char_bytes(p[i]);

            memcpy(job->scratch->p + b.n - i - len, p + i, len);
            i += len;
        }
        WH_TRY(wh_fn_put(job, row, job->scratch->p, b.n));
    }
    return WH_OK;
}

wh_status wh_fn_run_strip_newlines(struct wh_fn_job *job)
{
    const struct wh_view *v = job->in;

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);
        const uint8_t *p = b.p;
        size_t to = 0;

        wh_buf_clear(job->scratch);
        WH_TRY(wh_buf_reserve(job->scratch, b.n + 1));
        for (size_t i = 0; i < b.n; i++) {
            job->scratch->p[to] = (char)p[i];
            to += p[i] != '\n' && p[i] != '\r';
        }
        WH_TRY(wh_fn_put(job, row, job->scratch->p, to));
    }
    return WH_OK;
}

/* ---- with arguments ---------------------------------------------------------------------------
 */

bool wh_fn_replace_check(const void *args, const char **ret_why)
{
    const struct wh_fn_replace *a = args;

    *ret_why = "'find' is empty: there is nothing to look for";
    return a->find && a->find[0];
}

wh_status wh_fn_run_replace(struct wh_fn_job *job)
{
    const struct wh_fn_replace *a = job->args;
    const struct wh_view *v = job->in;
    size_t find_n = strlen(a->find), with_n = strlen(a->with);

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);
        const uint8_t *p = b.p, *end = p + b.n, *hit;
        int st = WH_OK;

        wh_buf_clear(job->scratch);
        while (st == WH_OK && p < end && (hit = memmem(p, (size_t)(end - p), a->find, find_n))) {
            st = wh_buf_add(job->scratch, p, (size_t)(hit - p));
            if (st == WH_OK && with_n)
                st = wh_buf_add(job->scratch, a->with, with_n);
            p = hit + find_n;
        }
        if (st == WH_OK && p < end)
            st = wh_buf_add(job->scratch, p, (size_t)(end - p));
        if (st == WH_E_LIMIT)
            WH_TRY(wh_fn_reject(job, row, "E6010", "replace: the text becomes too large"));
        else
            WH_TRY(st == WH_OK ? wh_fn_put(job, row, job->scratch->p, job->scratch->n) : st);
    }
    return WH_OK;
}

bool wh_fn_substr_check(const void *args, const char **ret_why)
{
    const struct wh_fn_substr *a = args;

    *ret_why = "'from' counts characters from 1, or from the end below 0: there is no 0";
    return a->from != 0;
}

wh_status wh_fn_run_substr(struct wh_fn_job *job)
{
    const struct wh_fn_substr *a = job->args;
    const struct wh_view *v = job->in;

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);
        int64_t skip = a->from - 1;

        if (a->from < 0) {
            skip = wh_utf8_chars(b.p, b.n) + a->from;
            skip = skip < 0 ? 0 : skip;
        }
        size_t from = first_chars(b.p, b.n, skip), n = b.n - from;

        if (a->length >= 0)
            n = first_chars((const uint8_t *)b.p + from, n, a->length);
        WH_TRY(wh_fn_put(job, row, (const uint8_t *)b.p + from, n));
    }
    return WH_OK;
}

bool wh_fn_mask_check(const void *args, const char **ret_why)
{
    const struct wh_fn_mask *a = args;

    *ret_why = "'with' is one character, which stands for each that is hidden";
    return wh_utf8_chars(a->with, strlen(a->with)) == 1;
}

/* A text that has no more characters than are to be kept is hidden wholly: what is short would be
 * told by what is kept. */
wh_status wh_fn_run_mask(struct wh_fn_job *job)
{
    const struct wh_fn_mask *a = job->args;
    const struct wh_view *v = job->in;
    size_t with_n = strlen(a->with);

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        struct wh_bytes b = wh_view_bytes(v, row);
        const uint8_t *p = b.p;
        int64_t chars = wh_utf8_chars(b.p, b.n);
        bool whole = chars <= a->keep_first + a->keep_last;
        int64_t hidden = whole ? chars : chars - a->keep_first - a->keep_last;
        size_t head = whole ? 0 : first_chars(p, b.n, a->keep_first);
        size_t tail = whole ? b.n : head + first_chars(p + head, b.n - head, hidden);

        wh_buf_clear(job->scratch);
        WH_TRY(wh_buf_reserve(job->scratch, b.n + (size_t)hidden * with_n + 1));
        char *out = job->scratch->p;

        memcpy(out, p, head);
        out += head;
        for (int64_t i = 0; i < hidden; i++, out += with_n)
            memcpy(out, a->with, with_n);
        memcpy(out, p + tail, b.n - tail);
        out += b.n - tail;
        WH_TRY(wh_fn_put(job, row, job->scratch->p, (size_t)(out - job->scratch->p)));
    }
    return WH_OK;
}

/* Lower-case hex. */
static size_t digest_text(int algorithm, struct wh_bytes b, char out[WH_DIGEST_HEX])
{
    struct wh_digest d;

    if (algorithm == WH_FN_XXH128) {
        wh_u128_hex(wh_hash128(b.p, b.n, 0), out);
        return 32;
    }
    wh_digest_init(&d, algorithm == WH_FN_MD5 ? WH_MD5 : WH_SHA256);
    wh_digest_add(&d, b.p, b.n);
    wh_digest_hex(&d, out);
    return strlen(out);
}

wh_status wh_fn_run_hash(struct wh_fn_job *job)
{
    const struct wh_fn_hash *a = job->args;
    const struct wh_view *v = job->in;
    char hex[WH_DIGEST_HEX];

    for (int64_t row = 0; row < v->n; row++) {
        if (wh_view_null(v, row)) {
            WH_TRY(wh_put_null(job->out));
            continue;
        }
        size_t n = digest_text(a->algorithm, wh_view_bytes(v, row), hex);

        WH_TRY(wh_fn_put(job, row, hex, n));
    }
    return WH_OK;
}
