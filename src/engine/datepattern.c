/* SPDX-License-Identifier: Apache-2.0 */
/* Java date patterns and calendar arithmetic for macros. */
#include "engine/macro.h"

#include "core/buf.h"
#include "core/clock.h"

#include <ctype.h>
#include <string.h>

static const char *const months[] = {"January",   "February", "March",    "April",
                                     "May",       "June",     "July",     "August",
                                     "September", "October",  "November", "December"};
static const char *const days[] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                   "Thursday", "Friday", "Saturday"};

/* Next item of a pattern: a run of one letter, or literal text ('' is a quote). */
struct item {
    char letter; /* 0 = literal */
    size_t count;
    struct wh_str text;
};

/* The quote that ends a quoted text which begins at p; two of them inside are one quote. */
static const char *quote_end(const char *p, const char *end)
{
    for (p++; p < end; p++) {
        if (*p != '\'')
            continue;
        if (p + 1 == end || p[1] != '\'' || p[-1] == '\'')
            return p;
        p++;
    }
    return NULL;
}

static bool next_item(const char **p, const char *end, struct item *ret)
{
    *ret = (struct item){0};
    if (*p == end)
        return false;
    if (isalpha((unsigned char)**p)) {
        ret->letter = **p;
        while (*p < end && **p == ret->letter) {
            ret->count++;
            ++*p;
        }
        return true;
    }
    if (**p == '\'') {
        const char *close = quote_end(*p, end);

        ret->letter = close ? 0 : '\''; /* never closed: no pattern */
        ret->text = close ? (struct wh_str){*p + 1, (size_t)(close - *p - 1)} : WH_STR("");
        if (close && ret->text.n == 0)
            ret->text = WH_STR("''");
        *p = close ? close + 1 : end;
        return true;
    }
    ret->text = (struct wh_str){*p, 1};
    ++*p;
    return true;
}

/* Bytes of one literal character: a doubled quote counts once. */
static size_t literal_step(const struct item *item, size_t i)
{
    return item->text.s[i] == '\'' && i + 1 < item->text.n && item->text.s[i + 1] == '\'' ? 2 : 1;
}

static unsigned weekday(const struct wh_civil *c)
{
    int64_t d = wh_days_from_civil(c->year, c->month, c->day) + 4;

    return (unsigned)((d % 7 + 7) % 7);
}

static int64_t day_of_year(const struct wh_civil *c)
{
    return wh_days_from_civil(c->year, c->month, c->day) - wh_days_from_civil(c->year, 1, 1) + 1;
}

static int add_padded(struct wh_buf *out, int64_t v, size_t width)
{
    return wh_buf_printf(out, "%0*lld", (int)(width > 18 ? 18 : width), (long long)v);
}

static int add_text(struct wh_buf *out, const char *name, bool whole)
{
    return wh_buf_add(out, name, whole ? strlen(name) : 3);
}

/* The number a letter stands for; false for letters that are no numbers. */
static bool number_of(char letter, const struct wh_civil *c, int64_t *ret)
{
    switch (letter) {
    case 'y':
    case 'u':
        *ret = c->year;
        return true;
    case 'M':
    case 'L':
        *ret = c->month;
        return true;
    case 'd':
        *ret = c->day;
        return true;
    case 'D':
        *ret = day_of_year(c);
        return true;
    case 'H':
        *ret = c->hour;
        return true;
    case 'h':
        *ret = c->hour % 12 ? c->hour % 12 : 12;
        return true;
    case 'm':
        *ret = c->minute;
        return true;
    case 's':
        *ret = c->second;
        return true;
    case 'S':
        *ret = c->micro / 1000;
        return true;
    default:
        return false;
    }
}

static bool format_item(const struct item *item, const struct wh_civil *c, struct wh_buf *out)
{
    int64_t v;

    for (size_t i = 0; !item->letter && i < item->text.n; i += literal_step(item, i))
        if (wh_buf_addc(out, item->text.s[i]) != WH_OK)
            return false;
    if (!item->letter)
        return true;
    if (item->letter == 'E')
        return add_text(out, days[weekday(c)], item->count > 3) == WH_OK;
    if (item->letter == 'a')
        return wh_buf_adds(out, c->hour < 12 ? "AM" : "PM") == WH_OK;
    if ((item->letter == 'M' || item->letter == 'L') && item->count > 2)
        return add_text(out, months[c->month - 1], item->count > 3) == WH_OK;
    if (!number_of(item->letter, c, &v))
        return false;
    if (item->letter == 'y' && item->count == 2)
        v = (v % 100 + 100) % 100;
    return add_padded(out, v, item->count) == WH_OK;
}

bool wh_date_format(const char *pattern, size_t n, const struct wh_civil *c, struct wh_buf *out)
{
    const char *p = pattern, *end = pattern + n;
    struct item item;

    while (next_item(&p, end, &item))
        if (!format_item(&item, c, out))
            return false;
    return true;
}

/* ---- back -------------------------------------------------------------------------------------
 */

static bool read_digits(const char **p, size_t most, int64_t *ret)
{
    size_t n = 0;

    *ret = 0;
    while (n < most && n < 18 && isdigit((unsigned char)**p)) {
        *ret = *ret * 10 + (*(*p)++ - '0');
        n++;
    }
    return n > 0;
}

static bool read_word(const char **p, const char *const *words, size_t n, bool whole, int64_t *ret)
{
    for (size_t i = 0; i < n; i++) {
        size_t len = whole ? strlen(words[i]) : 3;

        if (strncmp(*p, words[i], len) == 0) {
            *p += len;
            *ret = (int64_t)i;
            return true;
        }
    }
    return false;
}

static void store(char letter, int64_t v, struct wh_civil *c)
{
    switch (letter) {
    case 'y':
    case 'u':
        c->year = v;
        break;
    case 'M':
    case 'L':
        c->month = (unsigned)v;
        break;
    case 'd':
        c->day = (unsigned)v;
        break;
    case 'H':
        c->hour = (int)v;
        break;
    case 'h':
        c->hour = (int)(v % 12);
        break;
    case 'm':
        c->minute = (int)v;
        break;
    case 's':
        c->second = (int)v;
        break;
    case 'S':
        c->micro = v * 1000;
        break;
    default:
        break;
    }
}

static bool parse_item(const struct item *item, bool adjacent, const char **p, struct wh_civil *c,
                       bool *ret_pm)
{
    static const char *const halves[] = {"AM ", "PM "};
    int64_t v;

    for (size_t i = 0; !item->letter && i < item->text.n; i += literal_step(item, i))
        if (*(*p)++ != item->text.s[i])
            return false;
    if (!item->letter)
        return true;
    if (item->letter == 'E')
        return read_word(p, days, 7, item->count > 3, &v);
    if (item->letter == 'a') {
        *ret_pm = strncmp(*p, halves[1], 2) == 0;
        *p += 2;
        return *ret_pm || strncmp(*p - 2, halves[0], 2) == 0;
    }
    if ((item->letter == 'M' || item->letter == 'L') && item->count > 2) {
        if (!read_word(p, months, 12, item->count > 3, &v))
            return false;
        c->month = (unsigned)v + 1;
        return true;
    }
    /* Digits that touch the next number have the pattern's width (yyyyMMdd). */
    if (!strchr("yuMLdDHhmsS", item->letter) || !read_digits(p, adjacent ? item->count : 18, &v))
        return false;
    if (v > (item->letter == 'y' || item->letter == 'u' ? 9999 : 999))
        return false;
    if (item->letter == 'y' && item->count == 2)
        v += v < 70 ? 2000 : 1900;
    store(item->letter, v, c);
    return true;
}

static unsigned month_days(int64_t year, unsigned month)
{
    int64_t next =
        month == 12 ? wh_days_from_civil(year + 1, 1, 1) : wh_days_from_civil(year, month + 1, 1);

    return (unsigned)(next - wh_days_from_civil(year, month, 1));
}

bool wh_date_parse(const char *pattern, size_t n, const char *text, struct wh_civil *ret)
{
    const char *p = pattern, *end = pattern + n;
    struct item item;
    bool pm = false;

    *ret = (struct wh_civil){.year = 1970, .month = 1, .day = 1};
    while (next_item(&p, end, &item)) {
        bool adjacent = p < end && isalpha((unsigned char)*p);

        if (!parse_item(&item, adjacent, &text, ret, &pm))
            return false;
    }
    if (pm && ret->hour < 12)
        ret->hour += 12;
    return !*text && ret->month >= 1 && ret->month <= 12 && ret->day >= 1 && ret->year >= 0 &&
           ret->year <= 9999 && ret->day <= month_days(ret->year, ret->month) && ret->hour < 24 &&
           ret->minute < 60 && ret->second < 60;
}

/* ---- arithmetic -------------------------------------------------------------------------------
 */

static bool shift_months(struct wh_civil *c, int64_t n)
{
    int64_t month = c->year * 12 + (int64_t)c->month - 1 + n;

    if (month < 12 || month >= 10000 * 12)
        return false;
    c->year = month / 12;
    c->month = (unsigned)(month % 12) + 1;
    if (c->day > month_days(c->year, c->month))
        c->day = month_days(c->year, c->month);
    return true;
}

bool wh_date_shift(const struct wh_zone *zone, struct wh_civil *c, int64_t n, const char *unit)
{
    static const struct {
        const char *name;
        int64_t seconds, days, months;
    } units[] = {{"SECOND", 1, 0, 0}, {"MINUTE", 60, 0, 0}, {"HOUR", 3600, 0, 0}, {"DAY", 0, 1, 0},
                 {"WEEK", 0, 7, 0},   {"MONTH", 0, 0, 1},   {"YEAR", 0, 0, 12}};

    if (n < -10000000000 || n > 10000000000)
        return false;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(unit, units[i].name) != 0)
            continue;
        if (units[i].months)
            return shift_months(c, n * units[i].months);
        if (units[i].days) {
            int64_t day = wh_days_from_civil(c->year, c->month, c->day) + n * units[i].days;

            if (day < -719162 || day > 2932896) /* years 1 to 9999 */
                return false;
            wh_civil_from_days(day, &c->year, &c->month, &c->day);
            return true;
        }
        int64_t us;

        if (__builtin_mul_overflow(n, units[i].seconds * 1000000, &us) ||
            __builtin_add_overflow(us, wh_zone_instant(zone, c), &us))
            return false;
        *c = wh_zone_civil(zone, us);
        return c->year >= 1 && c->year <= 9999;
    }
    return false;
}
