/* SPDX-License-Identifier: Apache-2.0 */
/* Is a text JSON? One pass, no memory, no numbers made: for columns whose values stay text. */
#include "data/internal.h"
#include "data/digits.h"

#define DEPTH_MAX 512

static const char *digits(const char *s, const char *end)
{
    while (s < end && wh_is_digit(*s))
        s++;
    return s;
}

/* Past the number, or NULL. RFC 8259: -? (0 | [1-9]d*) (. d+)? ([eE] [+-]? d+)? */
static const char *number(const char *s, const char *end)
{
    const char *from;

    if (s < end && *s == '-')
        s++;
    if (s == end || !wh_is_digit(*s))
        return NULL;
    s = *s == '0' ? s + 1 : digits(s, end);
    if (s < end && *s == '.') {
        from = ++s;
        s = digits(s, end);
        if (s == from)
            return NULL;
    }
    if (s < end && (*s == 'e' || *s == 'E')) {
        s++;
        if (s < end && (*s == '+' || *s == '-'))
            s++;
        from = s;
        s = digits(s, end);
        if (s == from)
            return NULL;
    }
    return s;
}

bool wh_json_number(const char *s, size_t n)
{
    return number(s, s + n) == s + n && n > 0;
}

static bool is_hex(char c)
{
    return wh_is_digit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f');
}

/* s behind the opening quote; past the closing one, or NULL */
static const char *string(const char *s, const char *end)
{
    for (; s < end; s++) {
        if (*s == '"')
            return s + 1;
        if ((unsigned char)*s < 0x20)
            return NULL;
        if (*s != '\\')
            continue;
        if (++s == end)
            return NULL;
        if (*s == 'u') {
            if (end - s < 5 || !is_hex(s[1]) || !is_hex(s[2]) || !is_hex(s[3]) || !is_hex(s[4]))
                return NULL;
            s += 4;
        } else if (!memchr("\"\\/bfnrt", *s, 8)) {
            return NULL;
        }
    }
    return NULL;
}

static const char *blanks(const char *s, const char *end)
{
    while (s < end && (*s == ' ' || *s == '\t' || *s == '\n' || *s == '\r'))
        s++;
    return s;
}

static const char *scalar(const char *s, const char *end)
{
    static const struct wh_str words[] = {{"true", 4}, {"false", 5}, {"null", 4}};

    if (s < end && *s == '"')
        return string(s + 1, end);
    for (int i = 0; i < 3; i++)
        if ((size_t)(end - s) >= words[i].n && memcmp(s, words[i].s, words[i].n) == 0)
            return s + words[i].n;
    return number(s, end);
}

/* `"key" :` up to the value, or NULL */
static const char *key(const char *s, const char *end)
{
    if (s == end || *s != '"' || !(s = string(s + 1, end)))
        return NULL;
    s = blanks(s, end);
    return s < end && *s == ':' ? blanks(s + 1, end) : NULL;
}

bool wh_json_valid(const char *s, size_t n)
{
    const char *end = s + n;
    char stack[DEPTH_MAX];
    int depth = 0;

    s = blanks(s, end);
    for (;;) {
        /* a value starts here */
        if (s < end && (*s == '{' || *s == '[')) {
            char close = *s == '{' ? '}' : ']';

            s = blanks(s + 1, end);
            if (s == end || *s != close) {
                if (depth == DEPTH_MAX)
                    return false;
                stack[depth++] = close;
                if (close == '}' && !(s = key(s, end)))
                    return false;
                continue;
            }
            s++;
        } else if (!(s = scalar(s, end))) {
            return false;
        }
        /* a value has ended */
        for (s = blanks(s, end); depth && s < end && *s == stack[depth - 1]; s = blanks(s, end)) {
            depth--;
            s++;
        }
        if (!depth)
            return s == end;
        if (s == end || *s != ',')
            return false;
        s = blanks(s + 1, end);
        if (stack[depth - 1] == '}' && !(s = key(s, end)))
            return false;
    }
}
