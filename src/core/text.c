/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed text: comparing, UTF-8, nearest word, globs. */
#include "core/buf.h"

#include <string.h>

struct wh_str wh_str(const char *s)
{
    return (struct wh_str){s, s ? strlen(s) : 0};
}

bool wh_str_eq(struct wh_str a, struct wh_str b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.s, b.s, a.n) == 0);
}

bool wh_str_eqs(struct wh_str a, const char *b)
{
    return wh_str_eq(a, wh_str(b));
}

static unsigned char lower(char c)
{
    return (unsigned char)(c >= 'A' && c <= 'Z' ? c + 32 : c);
}

bool wh_str_ieqs(struct wh_str a, const char *b)
{
    struct wh_str other = wh_str(b);

    if (a.n != other.n)
        return false;
    for (size_t i = 0; i < a.n; i++)
        if (lower(a.s[i]) != lower(b[i]))
            return false;
    return true;
}

bool wh_str_starts(struct wh_str a, const char *prefix)
{
    size_t n = strlen(prefix);

    return a.n >= n && (n == 0 || memcmp(a.s, prefix, n) == 0);
}

bool wh_str_ends(struct wh_str a, const char *suffix)
{
    size_t n = strlen(suffix);

    return a.n >= n && (n == 0 || memcmp(a.s + a.n - n, suffix, n) == 0);
}

static bool tail_byte(unsigned char c)
{
    return (c & 0xC0) == 0x80;
}

/* Well-formed byte sequences, Unicode standard table 3-7: what the second byte may be after each
 * first byte keeps out overlong forms, surrogates and numbers beyond U+10FFFF. */
static bool second_byte(unsigned char first, unsigned char second)
{
    switch (first) {
    case 0xE0:
        return second >= 0xA0 && second <= 0xBF;
    case 0xED:
        return second >= 0x80 && second <= 0x9F;
    case 0xF0:
        return second >= 0x90 && second <= 0xBF;
    case 0xF4:
        return second >= 0x80 && second <= 0x8F;
    default:
        return tail_byte(second);
    }
}

size_t wh_utf8_len(const char *s, size_t n)
{
    const unsigned char *p = (const unsigned char *)s;

    if (n == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t len = p[0] < 0xC2 || p[0] > 0xF4 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 : 4;

    if (len == 0 || n < len || !second_byte(p[0], p[1]))
        return 0;
    for (size_t i = 2; i < len; i++)
        if (!tail_byte(p[i]))
            return 0;
    return len;
}

size_t wh_utf8_whole(const char *s, size_t n)
{
    for (size_t k = 1; k < 4 && k <= n; k++) {
        unsigned char c = (unsigned char)s[n - k];

        if (tail_byte(c))
            continue;
        size_t len = c < 0xC2 || c > 0xF4 ? 1 : c < 0xE0 ? 2 : c < 0xF0 ? 3 : 4;

        return len > k ? n - k : n;
    }
    return n;
}

struct wh_str wh_str_clip(struct wh_str a, size_t max)
{
    if (a.n <= max)
        return a;
    while (max > 0 && tail_byte((unsigned char)a.s[max]))
        max--;
    return (struct wh_str){a.s, max};
}

bool wh_utf8_valid(const char *s, size_t n)
{
    size_t i = 0;

    while (i < n) {
        uint64_t word;

        /* ASCII eight bytes at a time: almost all text is. */
        while (n - i >= sizeof word) {
            memcpy(&word, s + i, sizeof word);
            if (word & UINT64_C(0x8080808080808080))
                break;
            i += sizeof word;
        }
        if (i == n)
            break;
        size_t len = wh_utf8_len(s + i, n - i);

        if (len == 0)
            return false;
        i += len;
    }
    return true;
}

int64_t wh_utf8_chars(const char *s, size_t n)
{
    const uint64_t ones = UINT64_C(0x0101010101010101);
    int64_t chars = (int64_t)n; /* less the bytes that continue one: 10xxxxxx */
    uint64_t word;
    size_t i = 0;

    for (; n - i >= sizeof word; i += sizeof word) {
        memcpy(&word, s + i, sizeof word);
        chars -= (int64_t)(((word >> 7 & ~(word >> 6)) & ones) * ones >> 56);
    }
    for (; i < n; i++)
        chars -= tail_byte((unsigned char)s[i]);
    return chars;
}

/* Option and table names are short; longer words are never "nearly right". */
#define WORD_MAX 64

static unsigned char word_char(char c)
{
    return c == '-' ? '_' : lower(c);
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Optimal string alignment distance (insert, delete, change, swap of neighbours). */
static int distance(struct wh_str a, struct wh_str b)
{
    int rows[3][WORD_MAX + 1];
    int *before = rows[0], *above = rows[1], *row = rows[2];

    for (size_t j = 0; j <= b.n; j++)
        above[j] = (int)j;
    for (size_t i = 1; i <= a.n; i++) {
        row[0] = (int)i;
        for (size_t j = 1; j <= b.n; j++) {
            unsigned char x = word_char(a.s[i - 1]), y = word_char(b.s[j - 1]);

            row[j] = least(least(above[j] + 1, row[j - 1] + 1), above[j - 1] + (x != y));
            if (i > 1 && j > 1 && x == word_char(b.s[j - 2]) && y == word_char(a.s[i - 2]))
                row[j] = least(row[j], before[j - 2] + 1);
        }
        int *spare = before;

        before = above;
        above = row;
        row = spare;
    }
    return above[b.n];
}

static bool begins(struct wh_str whole, struct wh_str part)
{
    if (part.n < 3 || part.n >= whole.n)
        return false;
    for (size_t i = 0; i < part.n; i++)
        if (word_char(part.s[i]) != word_char(whole.s[i]))
            return false;
    return true;
}

const char *wh_did_you_mean(struct wh_str word, const char *const *words)
{
    const char *best = NULL;
    int best_distance = 0;

    if (word.n == 0 || word.n > WORD_MAX)
        return NULL;
    for (; *words; words++) {
        struct wh_str candidate = wh_str(*words);

        if (candidate.n == 0 || candidate.n > WORD_MAX)
            continue;
        size_t longer = candidate.n > word.n ? candidate.n : word.n;
        size_t shorter = candidate.n + word.n - longer;
        int allowed = longer <= 2 ? 0 : longer <= 4 ? 1 : longer <= 9 ? 2 : 3;
        /* No distance is below the difference in length. */
        int d = (int)(longer - shorter) > allowed ? WORD_MAX : distance(word, candidate);

        /* A word that was only begun ("skip" for skip_lines) is near, but any typo is nearer. */
        if (d > allowed && begins(candidate, word))
            d = allowed = WORD_MAX;
        if (d <= allowed && (!best || d < best_distance)) {
            best = *words;
            best_distance = d;
        }
    }
    return best;
}

/* One step of a character class: does `c` belong to "[...]" at p? *ret_end is past the bracket;
 * NULL when it never closes (then '[' is an ordinary character). */
static bool in_class(const char *p, unsigned char c, bool ignore_case, const char **ret_end)
{
    bool negated = p[1] == '!' || p[1] == '^', found = false;
    const char *q = p + 1 + negated;

    *ret_end = NULL;
    for (const char *first = q; *q && (*q != ']' || q == first); q++) {
        unsigned char lo = (unsigned char)*q, hi = lo;

        if (q[1] == '-' && q[2] && q[2] != ']') {
            hi = (unsigned char)q[2];
            q += 2;
        }
        found |= lo <= c && c <= hi;
        if (ignore_case && c < 0x80) {
            unsigned char other = (unsigned char)(c >= 'a' && c <= 'z' ? c - 32 : lower((char)c));

            found |= lo <= other && other <= hi;
        }
    }
    if (*q == ']')
        *ret_end = q + 1;
    return found != negated;
}

/* Does one pattern element at *p take the character at s? Moves both past it. */
static bool match_one(const char **p, const char **s, const char *end, bool ignore_case)
{
    const char *after;

    if (*s == end)
        return false;
    if (**p == '?') { /* a whole character, not a byte */
        size_t len = wh_utf8_len(*s, (size_t)(end - *s));

        *s += len ? len : 1;
        ++*p;
        return true;
    }
    if (**p == '[') {
        bool found = in_class(*p, (unsigned char)**s, ignore_case, &after);

        if (after) {
            *p = after;
            ++*s;
            return found;
        }
    }
    if (**p == '\\' && (*p)[1])
        ++*p;
    bool same = ignore_case ? lower(**p) == lower(**s) : **p == **s;

    ++*p;
    ++*s;
    return same;
}

bool wh_glob_match(const char *pattern, struct wh_str text, bool ignore_case)
{
    const char *s = text.s, *end = text.s ? text.s + text.n : NULL;
    const char *star = NULL, *star_s = NULL; /* where to go back to: linear space, no recursion */

    for (;;) {
        if (*pattern == '*') {
            star = ++pattern;
            star_s = s;
            continue;
        }
        if (!*pattern && s == end)
            return true;
        if (*pattern && match_one(&pattern, &s, end, ignore_case))
            continue;
        if (!star || star_s == end)
            return false;
        pattern = star;
        s = ++star_s;
    }
}

void wh_text_tame(char *text, bool lines)
{
    for (unsigned char *p = (unsigned char *)text; *p; p++) {
        if (p[0] == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f)
            p[0] = p[1] = '?';
        else if ((*p < 32 && !(lines && *p == '\n')) || *p == 127)
            *p = '?';
    }
}
