/* SPDX-License-Identifier: Apache-2.0 */
/* The scalar parsers behind the rows of option tables: whole text or nothing, exact, no locale. */
#include "core/options.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* A decimal number as digits * 10^exponent; `*p` is moved behind it. */
struct decimal {
    bool negative;
    uint64_t digits;
    int exponent;
};

static bool add_digit(struct decimal *d, char c)
{
    return !__builtin_mul_overflow(d->digits, 10, &d->digits) &&
           !__builtin_add_overflow(d->digits, (uint64_t)(c - '0'), &d->digits);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* [eE][+-]?digits; what only begins like it ("1e", "1exa") is left to the caller. */
static bool read_exponent(const char **p, int *exponent)
{
    const char *q = *p;
    int v = 0;

    if (*q != 'e' && *q != 'E')
        return true;
    q++;
    bool negative = *q == '-';

    if (*q == '-' || *q == '+')
        q++;
    if (!is_digit(*q))
        return true;
    for (; is_digit(*q); q++)
        if ((v = v * 10 + (*q - '0')) > 100)
            return false;
    *exponent += negative ? -v : v;
    *p = q;
    return true;
}

static bool read_decimal(const char **p, struct decimal *ret)
{
    struct decimal d = {0};
    size_t n = 0;

    d.negative = **p == '-';
    if (**p == '-' || **p == '+')
        ++*p;
    for (; is_digit(**p); ++*p, n++)
        if (!add_digit(&d, **p))
            return false;
    if (**p == '.' && is_digit((*p)[1])) {
        for (++*p; is_digit(**p); ++*p, n++) {
            if (!add_digit(&d, **p))
                return false;
            d.exponent--;
        }
    }
    *ret = d;
    return n > 0 && read_exponent(p, &ret->exponent);
}

/* digits * 10^exponent * unit, rounded down; *ret_exact tells whether anything was cut off. */
static bool scale(struct decimal d, int64_t unit, int64_t *ret, bool *ret_exact)
{
    unsigned __int128 v = d.digits;

    *ret_exact = true;
    v *= (uint64_t)unit; /* < 2^128: both are below 2^64 */
    for (; d.exponent > 0 && v > 0; d.exponent--)
        if (__builtin_mul_overflow(v, 10, &v))
            return false;
    for (; d.exponent < 0 && v > 0; d.exponent++) {
        *ret_exact &= v % 10 == 0;
        v /= 10;
    }
    if (v > (unsigned __int128)INT64_MAX)
        return false;
    *ret = d.negative ? -(int64_t)v : (int64_t)v;
    return true;
}

bool wh_parse_i64(const char *text, int64_t *ret)
{
    struct decimal d;
    int64_t v;
    bool exact;

    if (strcmp(text, "-9223372036854775808") == 0) { /* its digits alone do not fit */
        *ret = INT64_MIN;
        return true;
    }
    if (!read_decimal(&text, &d) || *text || !scale(d, 1, &v, &exact) || !exact)
        return false;
    *ret = v;
    return true;
}

struct unit {
    const char *name;
    int64_t factor;
};

static int64_t factor_of(const struct unit *units, const char *name, size_t n)
{
    for (; units->name; units++)
        if (wh_str_ieqs((struct wh_str){name, n}, units->name))
            return units->factor;
    return 0;
}

bool wh_parse_size(const char *text, int64_t *ret)
{
    /* k, M, G alone are not read: half of the world means 1000 by them and half 1024. */
    static const struct unit units[] = {
        {"", 1},
        {"B", 1},
        {"kB", 1000},
        {"MB", 1000000},
        {"GB", 1000000000},
        {"TB", 1000000000000},
        {"KiB", INT64_C(1) << 10},
        {"MiB", INT64_C(1) << 20},
        {"GiB", INT64_C(1) << 30},
        {"TiB", INT64_C(1) << 40},
        {NULL, 0},
    };
    struct decimal d;
    int64_t v;
    bool exact;

    if (!read_decimal(&text, &d) || d.negative)
        return false;
    if (*text == ' ')
        text++;
    size_t n = strlen(text);

    if (n >= 2 && strcmp(text + n - 2, "/s") == 0) /* rates are sizes per second */
        n -= 2;
    int64_t factor = factor_of(units, text, n);

    if (factor == 0 || !scale(d, factor, &v, &exact))
        return false;
    *ret = v;
    return true;
}

bool wh_parse_duration(const char *text, int64_t *ret_ms)
{
    static const struct unit units[] = {
        {"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {NULL, 0},
    };
    int64_t sum = 0, part, last = INT64_MAX;
    bool exact;

    if (strcmp(text, "0") == 0) {
        *ret_ms = 0;
        return true;
    }
    do { /* 1h30m: units grow smaller */
        struct decimal d;
        size_t n = 0;

        if (!read_decimal(&text, &d) || d.negative)
            return false;
        while (text[n] && !is_digit(text[n]))
            n++;
        int64_t factor = factor_of(units, text, n);

        if (factor == 0 || factor >= last || !scale(d, factor, &part, &exact) ||
            __builtin_add_overflow(sum, part, &sum))
            return false;
        last = factor;
        text += n;
    } while (*text);
    *ret_ms = sum;
    return true;
}

bool wh_parse_bool(const char *text, bool *ret)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (wh_str_ieqs(wh_str(text), words[i])) {
            *ret = i % 2 == 1;
            return true;
        }
    }
    return false;
}

static int hex_digit(char c)
{
    if (is_digit(c))
        return c - '0';
    c = (char)(c | 32);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool parse_backslash(const char *text, int *ret)
{
    static const char from[] = "tnr0\\", to[] = "\t\n\r\0\\";
    size_t n = strlen(text);

    if (n == 2 && strchr(from, text[1])) {
        *ret = (unsigned char)to[strchr(from, text[1]) - from];
        return true;
    }
    if (n != 4 || text[1] != 'x' || hex_digit(text[2]) < 0 || hex_digit(text[3]) < 0)
        return false;
    *ret = hex_digit(text[2]) * 16 + hex_digit(text[3]);
    return true;
}

const struct wh_char_name wh_char_names[] = {
    {"tab", '\t'},  {"comma", ','}, {"semicolon", ';'}, {"pipe", '|'},
    {"space", ' '}, {"colon", ':'}, {"none", -1},       {NULL, 0},
};

bool wh_parse_char(const char *text, int *ret)
{
    struct wh_str word = wh_str(text);

    if (word.n == 1 && (unsigned char)*text < 0x80) {
        *ret = (unsigned char)*text;
        return true;
    }
    for (const struct wh_char_name *c = wh_char_names; c->name; c++) {
        if (wh_str_ieqs(word, c->name)) {
            *ret = c->value;
            return true;
        }
    }
    if (word.n == 6 && (wh_str_ieqs((struct wh_str){text, 5}, "ctrl-") ||
                        wh_str_ieqs((struct wh_str){text, 5}, "ctrl_"))) {
        int letter = text[5] | 32;

        *ret = letter - 'a' + 1;
        return letter >= 'a' && letter <= 'z';
    }
    return text[0] == '\\' && parse_backslash(text, ret);
}

/* ---- cron ---------------------------------------------------------------------------------- */

struct cron_field {
    int min, max;
    const char *names; /* three letters each, from min on; NULL = numbers only */
};

static const struct cron_field cron_fields[5] = {
    {0, 59, NULL},
    {0, 23, NULL},
    {1, 31, NULL},
    {1, 12, "janfebmaraprmayjunjulaugsepoctnovdec"},
    {0, 7, "sunmontuewedthufrisat"}, /* 7 is Sunday, too */
};

/* A number or name; -1 if it is neither or out of range. */
static int cron_value(const char **p, const struct cron_field *field)
{
    int v = 0;

    if (is_digit(**p)) {
        for (int n = 0; is_digit(**p) && n < 3; n++)
            v = v * 10 + (*(*p)++ - '0');
        return v >= field->min && v <= field->max ? v : -1;
    }
    for (const char *name = field->names; name && *name; name += 3, v++) {
        if (strncasecmp(*p, name, 3) == 0) {
            *p += 3;
            return field->min + v;
        }
    }
    return -1;
}

/* One field: items of `*`, `a`, `a-b`, each with `/step`, separated by commas. */
static bool cron_field(const char **p, const struct cron_field *field)
{
    for (;; ++*p) {
        if (**p == '*') {
            ++*p;
        } else {
            int from = cron_value(p, field), to = from;

            if (**p == '-') {
                ++*p;
                to = cron_value(p, field);
            }
            if (from < 0 || to < from)
                return false;
        }
        if (**p == '/') {
            ++*p;
            const struct cron_field step = {1, field->max, NULL};

            if (cron_value(p, &step) < 0)
                return false;
        }
        if (**p != ',')
            return true;
    }
}

bool wh_cron_valid(const char *text)
{
    static const char *const words[] = {"@hourly", "@daily", "@weekly", "@monthly", "@yearly"};

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(text, words[i]) == 0)
            return true;
    for (size_t i = 0; i < 5; i++) {
        size_t blanks = strspn(text, " \t");

        if (i > 0 && blanks == 0)
            return false;
        text += blanks;
        if (!cron_field(&text, &cron_fields[i]))
            return false;
    }
    return text[strspn(text, " \t")] == 0;
}

bool wh_parse_double(const char *text, double *ret)
{
    char *end;
    double v = strtod(text, &end); /* no locale is ever set */

    /* strtod also takes hexadecimal, inf, nan and leading blanks. */
    if (end == text || !strchr("+-.0123456789", *text) || strpbrk(text, "xXnN"))
        return false;
    if (*end == '%') {
        v /= 100;
        end++;
    }
    if (*end || v > DBL_MAX || v < -DBL_MAX)
        return false;
    *ret = v;
    return true;
}
