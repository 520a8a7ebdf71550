/* SPDX-License-Identifier: Apache-2.0 */
#include "formats/json/scan.h"

#include <string.h>

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

/* ---- strings ----------------------------------------------------------------------------------
 */

/* The next quote, backslash or control character at or behind p; may be behind `end`. */
static inline const uint8_t *special(const uint8_t *p, const uint8_t *end)
{
#if defined(__x86_64__)
    const __m128i quote = _mm_set1_epi8('"'), slash = _mm_set1_epi8('\\'),
                  control = _mm_set1_epi8(0x1f);
    for (; p < end; p += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)p);
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, slash));
        hit = _mm_or_si128(hit, _mm_cmpeq_epi8(_mm_min_epu8(v, control), v));
        int mask = _mm_movemask_epi8(hit);
        if (mask)
            return p + __builtin_ctz((unsigned)mask);
    }
#else
    while (p < end && *p != '"' && *p != '\\' && *p >= 0x20)
        p++;
#endif
    return p;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c |= 0x20;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* p behind \u; -1 if no four digits stand there. */
static int hex4(const uint8_t *p)
{
    int v = 0;
    for (int i = 0; i < 4; i++) {
        int d = hex_digit(p[i]);
        if (d < 0)
            return -1;
        v = v << 4 | d;
    }
    return v;
}

const uint8_t *json_string(const uint8_t *p, const uint8_t *end, bool *ret_escapes)
{
    for (;;) {
        p = special(p, end);
        if (p >= end)
            return NULL;
        if (*p == '"')
            return p;
        if (*p != '\\')
            return NULL;
        *ret_escapes = true;
        if (end - p < 2)
            return NULL;
        if (p[1] == 'u') {
            if (end - p < 6 || hex4(p + 2) < 0)
                return NULL;
            p += 6;
        } else if (memchr("\"\\/bfnrt", p[1], 8)) {
            p += 2;
        } else {
            return NULL;
        }
    }
}

static size_t put_utf8(uint32_t c, uint8_t *out)
{
    if (c < 0x80) {
        out[0] = (uint8_t)c;
        return 1;
    }
    if (c < 0x800) {
        out[0] = (uint8_t)(0xc0 | c >> 6);
        out[1] = (uint8_t)(0x80 | (c & 63));
        return 2;
    }
    if (c < 0x10000) {
        out[0] = (uint8_t)(0xe0 | c >> 12);
        out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
        out[2] = (uint8_t)(0x80 | (c & 63));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | c >> 18);
    out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
    out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[3] = (uint8_t)(0x80 | (c & 63));
    return 4;
}

/* s at the digits of \uXXXX; *io_at moves behind it, and behind the second half of a pair. False
 * for half of a pair alone. */
static bool take_escaped(const uint8_t *s, size_t n, size_t *io_at, uint32_t *ret)
{
    uint32_t c = (uint32_t)hex4(s + *io_at);
    *io_at += 4;
    *ret = c;
    if (c < 0xd800 || c > 0xdfff)
        return true;
    if (c > 0xdbff || n - *io_at < 6 || s[*io_at] != '\\' || s[*io_at + 1] != 'u')
        return false;
    uint32_t low = (uint32_t)hex4(s + *io_at + 2);
    if (low < 0xdc00 || low > 0xdfff)
        return false;
    *ret = 0x10000 + ((c - 0xd800) << 10) + (low - 0xdc00);
    *io_at += 6;
    return true;
}

size_t json_unescape(const uint8_t *s, size_t n, uint8_t *out)
{
    static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
    size_t k = 0;
    for (size_t i = 0; i < n;) {
        const uint8_t *slash = memchr(s + i, '\\', n - i);
        size_t plain = slash ? (size_t)(slash - s) - i : n - i;
        memmove(out + k, s + i, plain);
        k += plain;
        i += plain;
        if (i == n)
            break;
        uint8_t c = s[i + 1];
        i += 2;
        if (c == 'u') {
            uint32_t point;
            if (!take_escaped(s, n, &i, &point))
                return SIZE_MAX;
            k += put_utf8(point, out + k);
            continue;
        }
        const char *known = memchr(from, c, 5);
        out[k++] = known ? (uint8_t)to[known - from] : c;
    }
    return k;
}

/* ---- other values -----------------------------------------------------------------------------
 */

static inline bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static const uint8_t *digits(const uint8_t *p, const uint8_t *end)
{
    const uint8_t *from = p;
    while (p < end && is_digit(*p))
        p++;
    return p > from ? p : NULL;
}

const uint8_t *json_number(const uint8_t *p, const uint8_t *end, bool *ret_integer)
{
    *ret_integer = true;
    p += p < end && *p == '-';
    if (p < end && *p == '0')
        p++;
    else if (!(p = digits(p, end)))
        return NULL;
    if (p < end && *p == '.') {
        *ret_integer = false;
        if (!(p = digits(p + 1, end)))
            return NULL;
    }
    if (p < end && (*p | 0x20) == 'e') {
        *ret_integer = false;
        p++;
        p += p < end && (*p == '-' || *p == '+');
        p = digits(p, end);
    }
    return p;
}

static const uint8_t *word(const uint8_t *p, const uint8_t *end, const char *text, size_t n)
{
    return (size_t)(end - p) >= n && !memcmp(p, text, n) ? p + n : NULL;
}

static const uint8_t *scalar(const uint8_t *p, const uint8_t *end)
{
    bool ignored = false;
    if (p >= end)
        return NULL;
    switch (*p) {
    case '"':
        p = json_string(p + 1, end, &ignored);
        return p ? p + 1 : NULL;
    case 't':
        return word(p, end, "true", 4);
    case 'f':
        return word(p, end, "false", 5);
    case 'n':
        return word(p, end, "null", 4);
    default:
        return json_number(p, end, &ignored);
    }
}

/* `"key" :` and blanks, up to the value. */
static const uint8_t *key(const uint8_t *p, const uint8_t *end)
{
    bool ignored = false;
    if (p >= end || *p != '"' || !(p = json_string(p + 1, end, &ignored)))
        return NULL;
    p = json_blanks(p + 1, end);
    return p < end && *p == ':' ? json_blanks(p + 1, end) : NULL;
}

struct stack {
    uint64_t objects[WH_JSON_DEPTH_MAX / 64]; /* a bit for each open bracket: it is a { */
    int depth;
};

static bool push(struct stack *s, bool object)
{
    if (s->depth == WH_JSON_DEPTH_MAX)
        return false;
    uint64_t bit = (uint64_t)1 << (s->depth & 63), *w = &s->objects[s->depth >> 6];
    *w = object ? *w | bit : *w & ~bit;
    s->depth++;
    return true;
}

static bool in_object(const struct stack *s)
{
    int top = s->depth - 1;
    return s->objects[top >> 6] >> (top & 63) & 1;
}

/* Opens brackets until a value that is none, or an empty pair, was passed. */
static const uint8_t *descend(const uint8_t *p, const uint8_t *end, struct stack *s)
{
    while (p < end && (*p == '{' || *p == '[')) {
        bool object = *p == '{';
        p = json_blanks(p + 1, end);
        if (p < end && *p == (object ? '}' : ']'))
            return p + 1;
        if (!push(s, object) || (object && !(p = key(p, end))))
            return NULL;
    }
    return scalar(p, end);
}

const uint8_t *json_value(const uint8_t *p, const uint8_t *end)
{
    struct stack s = {.depth = 0};
    for (;;) {
        if (!(p = descend(p, end, &s)))
            return NULL;
        for (;;) { /* a value has ended */
            if (!s.depth)
                return p;
            p = json_blanks(p, end);
            if (p >= end)
                return NULL;
            if (*p != (in_object(&s) ? '}' : ']'))
                break;
            s.depth--;
            p++;
        }
        if (*p != ',')
            return NULL;
        p = json_blanks(p + 1, end);
        if (in_object(&s) && !(p = key(p, end)))
            return NULL;
    }
}

/* ---- borders of rows --------------------------------------------------------------------------
 */

/* The next quote or bracket at or behind p; p + n if there is none. */
static size_t next_bracket(const uint8_t *p, size_t at, size_t n)
{
#if defined(__x86_64__)
    const __m128i quote = _mm_set1_epi8('"'), open = _mm_set1_epi8('{'), close = _mm_set1_epi8('}'),
                  bit = _mm_set1_epi8(0x20);
    for (; at < n; at += 16) {
        __m128i v = _mm_loadu_si128((const __m128i *)(const void *)(p + at));
        __m128i folded = _mm_or_si128(v, bit); /* [ and ] are { and } without this bit */
        __m128i hit = _mm_or_si128(_mm_cmpeq_epi8(folded, open), _mm_cmpeq_epi8(folded, close));
        int mask = _mm_movemask_epi8(_mm_or_si128(hit, _mm_cmpeq_epi8(v, quote)));
        if (mask) {
            at += (size_t)__builtin_ctz((unsigned)mask);
            return at < n ? at : n;
        }
    }
    return n;
#else
    while (at < n && !memchr("\"{}[]", p[at], 5))
        at++;
    return at;
#endif
}

/* Past the rest of a string; false if it goes on behind the text. */
static bool pass_string(struct json_frame *f, const uint8_t *p, size_t n, size_t *io_at)
{
    size_t at = *io_at;
    if (f->escaped && at < n) {
        f->escaped = false;
        at++;
    }
    for (; at < n; at++) {
        at = (size_t)(special(p + at, p + n) - p);
        if (at >= n)
            break;
        if (p[at] == '"') {
            f->string = false;
            *io_at = at + 1;
            return true;
        }
        if (p[at] == '\\') {
            f->escaped = at + 1 >= n;
            at++;
        }
    }
    *io_at = n;
    return false;
}

static bool ends_bare(uint8_t c)
{
    return json_is_blank(c) || memchr(",]}[{\"", c, 6);
}

bool json_frame_run(struct json_frame *f, const uint8_t *p, size_t n, size_t *ret_used)
{
    size_t at = 0;
    if (f->state == FRAME_START && n) {
        bool open = p[0] == '{' || p[0] == '[';
        f->string = p[0] == '"';
        f->state = open || f->string ? FRAME_OPEN : FRAME_BARE;
        f->depth = open;
        at = 1;
    }
    if (f->state == FRAME_BARE) {
        while (at < n && !ends_bare(p[at]))
            at++;
        *ret_used = at;
        return at < n;
    }
    while (at < n) {
        if (f->string) {
            if (!pass_string(f, p, n, &at))
                break;
            if (!f->depth) {
                *ret_used = at;
                return true;
            }
        }
        at = next_bracket(p, at, n);
        if (at >= n)
            break;
        f->string = p[at] == '"';
        if (!f->string)
            f->depth += (p[at] | 0x20) == '{' ? 1 : -1;
        at++;
        if (!f->depth) {
            *ret_used = at;
            return true;
        }
    }
    *ret_used = n;
    return false;
}

/* ---- places -----------------------------------------------------------------------------------
 */

void json_path_free(struct json_path *p)
{
    wh_free(p->text);
    *p = (struct json_path){0};
}

static wh_status no_place(const char *place, const char *why, struct wh_error *reterr)
{
    return wh_fail(reterr, WH_E_USAGE, "E1002", "'%s' is no place in a JSON object: %s", place,
                   why);
}

/* ~1 and ~0 of one step, in place. */
static bool plain_step(struct wh_str *s, char *p)
{
    size_t k = 0;
    for (size_t i = 0; i < s->n; i++) {
        if (p[i] == '~' && (i + 1 == s->n || (p[i + 1] != '0' && p[i + 1] != '1')))
            return false;
        p[k++] = p[i] == '~' ? (p[++i] == '1' ? '/' : '~') : p[i];
    }
    s->n = k;
    return true;
}

wh_status json_path_parse(const char *place, struct json_path *ret, struct wh_error *reterr)
{
    bool pointer = place[0] == '/';
    char sign = pointer ? '/' : '.';
    *ret = (struct json_path){.text = wh_strdup(place + pointer)};
    if (!ret->text)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no memory for a place");
    for (char *p = ret->text; p;) {
        char *end = strchr(p, sign);
        struct wh_str s = {p, end ? (size_t)(end - p) : strlen(p)};
        const char *why = ret->n == WH_JSON_STEPS_MAX     ? "too many steps"
                          : !s.n && !pointer              ? "an empty step"
                          : pointer && !plain_step(&s, p) ? "~ needs 0 or 1 behind it"
                                                          : NULL;
        if (why) {
            json_path_free(ret);
            return no_place(place, why, reterr);
        }
        ret->step[ret->n++] = s;
        p = end ? end + 1 : NULL;
    }
    return WH_OK;
}

int64_t json_path_index(struct wh_str s)
{
    int64_t v = 0;
    if (!s.n || s.n > 9 || (s.n > 1 && s.s[0] == '0'))
        return -1;
    for (size_t i = 0; i < s.n; i++) {
        if (!is_digit((uint8_t)s.s[i]))
            return -1;
        v = v * 10 + (s.s[i] - '0');
    }
    return v;
}
