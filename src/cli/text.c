/* SPDX-License-Identifier: Apache-2.0 */
/* Numbers, times and tables as people read them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "core/clock.h"

void wh_text_count(struct wh_buf *b, int64_t n)
{
    char digits[24], out[32];
    int len = snprintf(digits, sizeof(digits), "%" PRId64, n), o = 0;
    for (int i = 0; i < len; i++) {
        if (i && digits[i - 1] != '-' && (len - i) % 3 == 0)
            out[o++] = ',';
        out[o++] = digits[i];
    }
    wh_ignore(wh_buf_add(b, out, (size_t)o));
}

static void scaled(struct wh_buf *b, double v, const char *const *units, const char *after)
{
    int i = 0;
    for (; v >= 999.5 && units[i + 1]; i++)
        v /= 1000;
    wh_ignore(wh_buf_printf(b, v < 9.95 && i ? "%.1f%s%s" : "%.0f%s%s", v, units[i], after));
}

void wh_text_size(struct wh_buf *b, int64_t bytes)
{
    static const char *const units[] = {" B", " kB", " MB", " GB", " TB", " PB", NULL};
    scaled(b, (double)bytes, units, "");
}

void wh_text_seconds(struct wh_buf *b, double s)
{
    if (s < 10)
        wh_ignore(wh_buf_printf(b, s < 1 ? "%.2f s" : "%.1f s", s));
    else if (s < 120)
        wh_ignore(wh_buf_printf(b, "%.0f s", s));
    else if (s < 7200)
        wh_ignore(wh_buf_printf(b, "%d m %02d s", (int)s / 60, (int)s % 60));
    else
        wh_ignore(wh_buf_printf(b, "%d h %02d m", (int)(s / 3600), (int)s / 60 % 60));
}

void wh_text_rate(struct wh_buf *b, int64_t n, double s)
{
    static const char *const units[] = {"", "k", "M", "G", NULL};
    scaled(b, s > 0 ? (double)n / s : 0, units, " rows/s");
}

void wh_text_time(struct wh_buf *b, int64_t wall_us)
{
    char t[32];
    if (wall_us == 0) {
        wh_ignore(wh_buf_adds(b, "-"));
        return;
    }
    wh_format_utc(wall_us, t);
    t[10] = ' ';
    wh_ignore(wh_buf_printf(b, "%.19sZ", t));
}

void wh_text_line(struct wh_buf *b, const char *text)
{
    size_t was = b->n;

    if (wh_buf_adds(b, text) == WH_OK && b->n > was)
        wh_text_tame(b->p + was, false);
}

/* ---- grids ---- */

enum {
    GRID_CELLS = 65536
};

struct wh_grid {
    struct wh_arena *arena;
    const char *right;
    int columns, width[32];
    const char **cell;
    size_t n, cap;
};

struct wh_grid *wh_grid_new(struct wh_arena *a, int columns, const char *right)
{
    struct wh_grid *g = wh_arena_alloc(a, sizeof(*g));
    if (g)
        *g = (struct wh_grid){.arena = a, .columns = columns < 32 ? columns : 32, .right = right};
    return g;
}

void wh_grid_cell(struct wh_grid *g, const char *text)
{
    if (!g || g->n >= GRID_CELLS)
        return;
    if (g->n == g->cap) {
        size_t cap = g->cap ? g->cap * 2 : 64;
        const char **v = wh_arena_alloc(g->arena, cap * sizeof(*v));
        if (!v)
            return;
        if (g->n)
            memcpy(v, g->cell, g->n * sizeof(*v));
        g->cell = v;
        g->cap = cap;
    }
    char *copy = wh_arena_strdup(g->arena, text ? text : "");
    if (copy)
        wh_text_tame(copy, false);
    int column = (int)(g->n % (size_t)g->columns);
    int w = copy ? (int)wh_text_width(copy, strlen(copy)) : 0;
    if (w > g->width[column])
        g->width[column] = w;
    g->cell[g->n++] = copy ? copy : "";
}

static void spaces(struct wh_buf *b, int n)
{
    for (; n > 0; n--)
        wh_ignore(wh_buf_addc(b, ' '));
}

void wh_grid_print(struct wh_grid *g, struct wh_buf *b)
{
    for (size_t i = 0; g && i < g->n; i++) {
        int column = (int)(i % (size_t)g->columns);
        const char *t = g->cell[i];
        int pad = g->width[column] - (int)wh_text_width(t, strlen(t));
        bool last = column == g->columns - 1, right = g->right && g->right[column] == 'r';
        if (right)
            spaces(b, pad);
        wh_ignore(wh_buf_adds(b, t));
        if (!right && !last)
            spaces(b, pad);
        if (!last) {
            wh_ignore(wh_buf_adds(b, "  "));
            continue;
        }
        while (b->n && b->p[b->n - 1] == ' ')
            b->n--;
        wh_ignore(wh_buf_addc(b, '\n'));
    }
}
