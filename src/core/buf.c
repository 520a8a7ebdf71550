/* SPDX-License-Identifier: Apache-2.0 */
#include "core/buf.h"

#include "core/alloc.h"

#include <stdio.h>
#include <string.h>

#define FIRST_CAP 64

int wh_buf_reserve(struct wh_buf *buf, size_t more)
{
    if (more > buf->max || buf->n > buf->max - more)
        return WH_E_LIMIT;
    size_t need = buf->n + more + 1;

    if (need <= buf->cap)
        return WH_OK;
    size_t cap = buf->cap ? buf->cap : FIRST_CAP;

    while (cap < need)
        cap = cap > SIZE_MAX / 2 ? need : cap * 2;
    if (cap > buf->max + 1) /* need <= max + 1 was checked above */
        cap = buf->max + 1;
    char *grown = wh_realloc(buf->p, cap);

    if (!grown)
        return WH_E_NOMEM;
    buf->p = grown;
    buf->cap = cap;
    return WH_OK;
}

int wh_buf_add(struct wh_buf *buf, const void *p, size_t n)
{
    WH_TRY(wh_buf_reserve(buf, n));
    if (n)
        memcpy(buf->p + buf->n, p, n);
    buf->n += n;
    buf->p[buf->n] = 0;
    return WH_OK;
}

int wh_buf_adds(struct wh_buf *buf, const char *s)
{
    return wh_buf_add(buf, s, strlen(s));
}

int wh_buf_addc(struct wh_buf *buf, char c)
{
    return wh_buf_add(buf, &c, 1);
}

int wh_buf_printf(struct wh_buf *buf, const char *fmt, ...)
{
    char small[256];
    va_list ap;

    va_start(ap, fmt);
    int n = vsnprintf(small, sizeof small, fmt, ap);
    va_end(ap);
    if (n < 0)
        return WH_E_BUG;
    if ((size_t)n < sizeof small)
        return wh_buf_add(buf, small, (size_t)n);
    WH_TRY(wh_buf_reserve(buf, (size_t)n));
    va_start(ap, fmt);
    vsnprintf(buf->p + buf->n, (size_t)n + 1, fmt, ap);
    va_end(ap);
    buf->n += (size_t)n;
    return WH_OK;
}

void wh_buf_clear(struct wh_buf *buf)
{
    buf->n = 0;
    if (buf->p)
        buf->p[0] = 0;
}

void wh_buf_free(struct wh_buf *buf)
{
    wh_free(buf->p);
    *buf = (struct wh_buf){.max = buf->max};
}

char *wh_buf_take(struct wh_buf *buf)
{
    if (!buf->p && wh_buf_add(buf, "", 0) != WH_OK)
        return NULL;
    char *text = buf->p;

    *buf = (struct wh_buf){.max = buf->max};
    return text;
}

/* The two-character escape of a byte in a JSON string, 0 if it has none. */
static char short_escape(unsigned char c)
{
    switch (c) {
    case '"':
    case '\\':
        return (char)c;
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    case '\b':
        return 'b';
    case '\f':
        return 'f';
    default:
        return 0;
    }
}

static int add_json_special(struct wh_buf *buf, unsigned char c)
{
    char letter = short_escape(c);

    if (letter)
        return wh_buf_add(buf, (char[]){'\\', letter}, 2);
    return wh_buf_printf(buf, "\\u%04x", c);
}

static int add_json_chars(struct wh_buf *buf, const char *s, size_t n)
{
    size_t start = 0;

    for (size_t i = 0; i < n;) {
        unsigned char c = (unsigned char)s[i];
        size_t len = c < 0x80 ? 1 : wh_utf8_len(s + i, n - i);

        if (len && c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) {
            i += len;
            continue;
        }
        WH_TRY(wh_buf_add(buf, s + start, i - start));
        if (!len)
            WH_TRY(wh_buf_adds(buf, "\xEF\xBF\xBD"));
        else
            WH_TRY(add_json_special(buf, c));
        start = ++i;
    }
    return wh_buf_add(buf, s + start, n - start);
}

int wh_buf_json(struct wh_buf *buf, const char *s, size_t n)
{
    size_t before = buf->n;
    int st = wh_buf_addc(buf, '"');

    if (st == WH_OK)
        st = add_json_chars(buf, s, n);
    if (st == WH_OK)
        st = wh_buf_addc(buf, '"');
    if (st != WH_OK && buf->p) { /* half a string is worse than none */
        buf->n = before;
        buf->p[before] = 0;
    }
    return st;
}
