/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/zone.h"

#include "core/buf.h"
#include "core/clock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
    FILE_MAX = 256 << 10,
    DAY = 86400
};

/* When a rule of the footer changes the clock: Mm.w.d, Jn or n, at `time` seconds of that day. */
struct rule {
    char kind; /* 'M' 'J' '0' */
    int month, week, day, time;
};

struct wh_zone {
    const char *name;
    int32_t fixed; /* offset where there are no transitions */
    size_t n;      /* transitions */
    int64_t *at;
    int32_t *offset; /* from at[i] on */
    /* After the last transition (RFC 8536, 3.3). */
    bool footer, footer_dst;
    int32_t std, dst;
    struct rule to_dst, to_std;
};

/* ---- reading ----------------------------------------------------------------------------------
 */

static int64_t big_endian(const unsigned char *p, size_t n)
{
    uint64_t v = p[0] & 0x80 ? UINT64_MAX : 0;

    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return (int64_t)v;
}

static bool read_number(const char **p, int max, int *ret)
{
    int v = 0;

    if (!isdigit((unsigned char)**p))
        return false;
    while (isdigit((unsigned char)**p) && v <= max)
        v = v * 10 + (*(*p)++ - '0');
    *ret = v;
    return v <= max;
}

/* [+-]hh[:mm[:ss]] */
static bool read_hms(const char **p, int *ret)
{
    int sign = 1, h, m = 0, s = 0;

    if (**p == '+' || **p == '-')
        sign = *(*p)++ == '-' ? -1 : 1;
    if (!read_number(p, 167, &h))
        return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &m)))
        return false;
    if (**p == ':' && (++*p, !read_number(p, 59, &s)))
        return false;
    *ret = sign * (h * 3600 + m * 60 + s);
    return true;
}

static bool skip_name(const char **p)
{
    const char *start = *p;

    if (**p == '<') {
        while (**p && **p != '>')
            ++*p;
        return *(*p) == '>' && ++*p;
    }
    while (isalpha((unsigned char)**p))
        ++*p;
    return *p - start >= 3;
}

static bool read_rule(const char **p, struct rule *ret)
{
    *ret = (struct rule){.kind = '0', .time = 2 * 3600};
    if (*(*p)++ != ',')
        return false;
    if (**p == 'M') {
        ret->kind = 'M';
        ++*p;
        if (!read_number(p, 12, &ret->month) || *(*p)++ != '.' || !read_number(p, 5, &ret->week) ||
            *(*p)++ != '.' || !read_number(p, 6, &ret->day))
            return false;
    } else {
        if (**p == 'J')
            ret->kind = *(*p)++;
        if (!read_number(p, 366, &ret->day))
            return false;
    }
    return **p != '/' || (++*p, read_hms(p, &ret->time));
}

/* "CET-1CEST,M3.5.0,M10.5.0/3" */
static bool read_footer(struct wh_zone *z, const char *p)
{
    int std, dst;

    if (!skip_name(&p) || !read_hms(&p, &std))
        return false;
    z->std = -std;
    if (!*p)
        return z->footer = true;
    dst = std - 3600;
    if (!skip_name(&p) || (*p != ',' && !read_hms(&p, &dst)))
        return false;
    z->dst = -dst;
    z->footer_dst = read_rule(&p, &z->to_dst) && read_rule(&p, &z->to_std) && !*p;
    return z->footer = z->footer_dst;
}

struct header {
    size_t isutc, isstd, leap, time, type, chars;
};

static bool read_header(const unsigned char *p, size_t n, struct header *ret)
{
    size_t *fields = &ret->isutc;

    if (n < 44 || memcmp(p, "TZif", 4) != 0)
        return false;
    for (size_t i = 0; i < 6; i++) {
        int64_t v = big_endian(p + 20 + 4 * i, 4);

        if (v < 0 || v > FILE_MAX)
            return false;
        fields[i] = (size_t)v;
    }
    return true;
}

static size_t block_size(const struct header *h, size_t time_size)
{
    return h->time * (time_size + 1) + h->type * 6 + h->chars + h->leap * (time_size + 4) +
           h->isstd + h->isutc;
}

static bool read_block(struct wh_arena *arena, struct wh_zone *z, const unsigned char *p,
                       const struct header *h)
{
    const unsigned char *index = p + 8 * h->time, *types = index + h->time;

    if (h->type == 0)
        return false;
    z->n = h->time;
    z->fixed = (int32_t)big_endian(types, 4);
    z->at = wh_arena_alloc(arena, (h->time + 1) * sizeof *z->at);
    z->offset = wh_arena_alloc(arena, (h->time + 1) * sizeof *z->offset);
    if (!z->at || !z->offset)
        return false;
    for (size_t i = 0; i < h->time; i++) {
        if (index[i] >= h->type)
            return false;
        z->at[i] = big_endian(p + 8 * i, 8);
        z->offset[i] = (int32_t)big_endian(types + 6 * (size_t)index[i], 4);
    }
    return true;
}

static bool read_zone(struct wh_arena *arena, struct wh_zone *z, const unsigned char *p, size_t n)
{
    struct header h;
    char footer[128];

    if (!read_header(p, n, &h) || p[4] < '2')
        return false;
    size_t skip = 44 + block_size(&h, 4);

    if (skip > n || !read_header(p + skip, n - skip, &h))
        return false;
    p += skip + 44;
    n -= skip + 44;
    size_t size = block_size(&h, 8);

    if (size > n || !read_block(arena, z, p, &h))
        return false;
    const unsigned char *line = p + size,
                        *end = memchr(line + 1, '\n', n > size ? n - size - 1 : 0);

    if (size + 1 < n && *line == '\n' && end && (size_t)(end - line) < sizeof footer) {
        memcpy(footer, line + 1, (size_t)(end - line - 1));
        footer[end - line - 1] = 0;
        read_footer(z, footer);
    }
    return true;
}

static bool safe_name(const char *name)
{
    if (!*name || *name == '/' || strstr(name, ".."))
        return false;
    for (const char *p = name; *p; p++)
        if (!isalnum((unsigned char)*p) && !strchr("_+-/", *p))
            return false;
    return true;
}

static bool load(struct wh_arena *arena, struct wh_zone *z, const char *path)
{
    struct stat info;
    size_t n = 0;
    WH_CLEANUP(wh_closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0 || fstat(fd, &info) != 0 || !S_ISREG(info.st_mode) || info.st_size > FILE_MAX)
        return false;
    size_t size = (size_t)info.st_size;
    WH_CLEANUP(wh_freep) unsigned char *text = wh_alloc(size);

    while (text && n < size) {
        ssize_t got = read(fd, text + n, size - n);

        if (got < 0 && errno == EINTR)
            continue;
        if (got <= 0)
            break;
        n += (size_t)got;
    }
    return text && read_zone(arena, z, text, n);
}

static const char *system_name(struct wh_arena *arena)
{
    char target[512];
    const char *tz = getenv("TZ");

    if (tz && *tz)
        return *tz == ':' ? tz + 1 : tz;
    ssize_t n = readlink("/etc/localtime", target, sizeof target - 1);

    if (n > 0) {
        target[n] = 0;
        const char *at = strstr(target, "zoneinfo/");

        if (at)
            return wh_arena_strdup(arena, at + strlen("zoneinfo/"));
    }
    return access("/etc/localtime", R_OK) == 0 ? "local" : "UTC";
}

int wh_zone_open(struct wh_arena *arena, const char *name, struct wh_zone **ret,
                 struct wh_error *reterr)
{
    struct wh_zone *z = wh_arena_alloc(arena, sizeof *z);
    bool from_system = !name;
    int offset;

    name = name ? name : system_name(arena);
    if (!z || !name)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "out of memory");
    z->name = name;
    *ret = z;
    if (wh_str_ieqs(wh_str(name), "utc") || strcmp(name, "Z") == 0)
        return WH_OK;
    const char *p = name;

    if ((*p == '+' || *p == '-') && read_hms(&p, &offset) && !*p && abs(offset) <= 18 * 3600) {
        z->fixed = offset;
        return WH_OK;
    }
    const char *path = from_system && strcmp(name, "local") == 0
                           ? "/etc/localtime"
                           : wh_arena_printf(arena, "/usr/share/zoneinfo/%s", name);

    if (path && safe_name(name) && load(arena, z, path))
        return WH_OK;
    if (from_system) { /* a container without zone files keeps UTC */
        *z = (struct wh_zone){.name = "UTC"};
        return WH_OK;
    }
    int st = wh_fail(reterr, WH_E_USAGE, "E1002", "unknown time zone '%s'", name);

    wh_error_hint(reterr, "write a name such as Europe/Berlin, UTC or +08:00");
    return st;
}

const char *wh_zone_name(const struct wh_zone *z)
{
    return z->name;
}

/* ---- time -------------------------------------------------------------------------------------
 */

static bool leap_year(int64_t y)
{
    return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Seconds of local standard time at which a rule fires in a year. */
static int64_t fires(const struct rule *r, int64_t year)
{
    int64_t first = wh_days_from_civil(year, 1, 1), day;

    if (r->kind == 'M') {
        int64_t month = wh_days_from_civil(year, (unsigned)r->month, 1);
        int64_t next = r->month == 12 ? wh_days_from_civil(year + 1, 1, 1)
                                      : wh_days_from_civil(year, (unsigned)r->month + 1, 1);
        int64_t weekday = ((month + 4) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */

        day = month + (r->day - weekday + 7) % 7 + 7 * (r->week - 1);
        while (day >= next)
            day -= 7;
    } else {
        day = first + r->day - (r->kind == 'J');
        if (r->kind == 'J' && leap_year(year) && r->day >= 60)
            day++;
    }
    return day * DAY + r->time;
}

static int32_t footer_offset(const struct wh_zone *z, int64_t utc_s)
{
    int64_t year, local = utc_s + z->std;
    unsigned month, day;

    if (!z->footer_dst)
        return z->std;
    wh_civil_from_days(local >= 0 ? local / DAY : -((-local + DAY - 1) / DAY), &year, &month, &day);
    int64_t to_dst = fires(&z->to_dst, year) - z->std, to_std = fires(&z->to_std, year) - z->dst;
    bool in_dst =
        to_dst < to_std ? utc_s >= to_dst && utc_s < to_std : utc_s >= to_dst || utc_s < to_std;

    return in_dst ? z->dst : z->std;
}

int32_t wh_zone_offset(const struct wh_zone *z, int64_t utc_s)
{
    size_t lo = 0, hi = z->n;

    if (z->n == 0 || utc_s < z->at[0])
        return z->footer && z->n == 0 ? footer_offset(z, utc_s) : z->fixed;
    if (utc_s >= z->at[z->n - 1] && z->footer)
        return footer_offset(z, utc_s);
    while (hi - lo > 1) {
        size_t mid = lo + (hi - lo) / 2;

        if (z->at[mid] <= utc_s)
            lo = mid;
        else
            hi = mid;
    }
    return z->offset[lo];
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b != 0 && (a < 0) != (b < 0));
}

struct wh_civil wh_zone_civil(const struct wh_zone *z, int64_t utc_us)
{
    struct wh_civil c = {0};
    int64_t utc_s = floor_div(utc_us, 1000000);

    c.micro = utc_us - utc_s * 1000000;
    int64_t local = utc_s + wh_zone_offset(z, utc_s), days = floor_div(local, DAY);
    int rest = (int)(local - days * DAY);

    wh_civil_from_days(days, &c.year, &c.month, &c.day);
    c.hour = rest / 3600;
    c.minute = rest / 60 % 60;
    c.second = rest % 60;
    return c;
}

int64_t wh_zone_instant(const struct wh_zone *z, const struct wh_civil *c)
{
    int64_t local = wh_days_from_civil(c->year, c->month, c->day) * DAY + c->hour * 3600 +
                    c->minute * 60 + c->second;
    /* Offsets before and after any change nearby; the earlier instant that reads back wins. */
    int32_t before = wh_zone_offset(z, local - DAY), after = wh_zone_offset(z, local + DAY);
    int64_t utc = local - before;

    if (wh_zone_offset(z, utc) != before && wh_zone_offset(z, local - after) == after)
        utc = local - after;
    return utc * 1000000 + c->micro;
}
