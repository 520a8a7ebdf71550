/* SPDX-License-Identifier: Apache-2.0 */
/* A block of lines that is drawn over itself on a terminal: how wide text stands there, and how
 * many rows it takes when the window was made narrower meanwhile. */
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "cli/cli.h"

/* Code points that take two columns (East Asian Wide and Fullwidth, emoji), and none. */
struct range {
    uint32_t from, to;
};
static const struct range wide[] = {
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x23f0, 0x23f0},   {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267f, 0x267f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},
    {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},
    {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},
    {0x2728, 0x2728},   {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27b0, 0x27b0},   {0x27bf, 0x27bf},
    {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},   {0x2e80, 0x303e},
    {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x18dff},
    {0x1aff0, 0x1b2ff}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e},
    {0x1f191, 0x1f19a}, {0x1f200, 0x1f320}, {0x1f32d, 0x1f335}, {0x1f337, 0x1f37c},
    {0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3}, {0x1f3e0, 0x1f3f0},
    {0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440}, {0x1f442, 0x1f4fc},
    {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f54e}, {0x1f550, 0x1f567}, {0x1f57a, 0x1f57a},
    {0x1f595, 0x1f596}, {0x1f5a4, 0x1f5a4}, {0x1f5fb, 0x1f64f}, {0x1f680, 0x1f6c5},
    {0x1f6cc, 0x1f6cc}, {0x1f6d0, 0x1f6d2}, {0x1f6d5, 0x1f6d7}, {0x1f6dc, 0x1f6df},
    {0x1f6eb, 0x1f6ec}, {0x1f6f4, 0x1f6fc}, {0x1f7e0, 0x1f7eb}, {0x1f7f0, 0x1f7f0},
    {0x1f90c, 0x1f93a}, {0x1f93c, 0x1f945}, {0x1f947, 0x1f9ff}, {0x1fa70, 0x1faff},
    {0x20000, 0x2fffd}, {0x30000, 0x3fffd},
};
static const struct range none[] = {
    {0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},   {0x610, 0x61a},   {0x64b, 0x65f},
    {0x6d6, 0x6dc},   {0x900, 0x902},   {0x93c, 0x93c},   {0x941, 0x948},   {0x94d, 0x94d},
    {0xe31, 0xe31},   {0xe34, 0xe3a},   {0xe47, 0xe4e},   {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x200b, 0x200f}, {0x202a, 0x202e}, {0x2060, 0x2064}, {0x20d0, 0x20f0}, {0x302a, 0x302d},
    {0x3099, 0x309a}, {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0xe0100, 0xe01ef},
};
#define N(v) (sizeof(v) / sizeof((v)[0]))

static bool within(uint32_t c, const struct range *v, size_t n)
{
    size_t low = 0;
    while (low < n) {
        size_t mid = low + (n - low) / 2;
        if (c > v[mid].to)
            low = mid + 1;
        else if (c < v[mid].from)
            n = mid;
        else
            return true;
    }
    return false;
}

/* The code point at p and its bytes; of valid UTF-8. */
static uint32_t code_point(const char *p, size_t n, size_t *ret_bytes)
{
    const unsigned char *u = (const unsigned char *)p;
    size_t bytes = u[0] < 0xc0 ? 1 : u[0] < 0xe0 ? 2 : u[0] < 0xf0 ? 3 : 4;
    uint32_t c = bytes == 1 ? u[0] : u[0] & (0xffu >> (bytes + 1));
    bytes = bytes < n ? bytes : n;
    for (size_t i = 1; i < bytes; i++)
        c = c << 6 | (u[i] & 0x3fu);
    *ret_bytes = bytes;
    return c;
}

static size_t columns_of(uint32_t c)
{
    if (c < 0x300)
        return 1;
    return within(c, none, N(none)) ? 0 : within(c, wide, N(wide)) ? 2 : 1;
}

size_t wh_text_width(const char *s, size_t n)
{
    size_t columns = 0, bytes;
    for (size_t i = 0; i < n; i += bytes)
        columns += columns_of(code_point(s + i, n - i, &bytes));
    return columns;
}

size_t wh_text_fits(const char *s, size_t n, size_t columns)
{
    size_t i = 0, bytes;
    while (i < n) {
        size_t w = columns_of(code_point(s + i, n - i, &bytes));
        if (w > columns)
            break;
        columns -= w;
        i += bytes;
    }
    return i;
}

/* ---- the block ---- */

static volatile sig_atomic_t continued; /* by the shell: what stands on the terminal is not ours */

static void on_continue(int sig)
{
    (void)sig;
    continued = 1;
}

void wh_screen_init(struct wh_screen *s, int fd)
{
    struct sigaction sa = {.sa_handler = on_continue, .sa_flags = SA_RESTART};
    const char *term = getenv("TERM");
    *s = (struct wh_screen){.fd = fd, .terminal = isatty(fd) && term && strcmp(term, "dumb") != 0};
    if (s->terminal) {
        sigemptyset(&sa.sa_mask);
        sigaction(SIGCONT, &sa, NULL);
    }
}

static void window(const struct wh_screen *s, size_t *ret_columns, size_t *ret_rows)
{
    struct winsize w = {0};
    bool known = ioctl(s->fd, TIOCGWINSZ, &w) == 0;
    *ret_columns = known && w.ws_col > 0 ? w.ws_col : 80;
    *ret_rows = known && w.ws_row > 0 ? w.ws_row : 24;
}

bool wh_screen_ours(const struct wh_screen *s)
{
    pid_t front = s->terminal ? tcgetpgrp(s->fd) : -1;
    return s->terminal && (front < 0 || front == getpgrp());
}

void wh_screen_erase(struct wh_screen *s, struct wh_buf *out)
{
    size_t columns, rows, up = 0;
    if (continued)
        s->n = 0;
    continued = 0;
    if (!s->terminal || !s->n)
        return;
    window(s, &columns, &rows);
    for (size_t i = 0; i < s->n; i++) /* a terminal breaks lines that got too long */
        up += s->width[i] ? (s->width[i] + columns - 1) / columns : 1;
    s->n = 0;
    up = up < rows ? up : rows - 1;
    wh_ignore(wh_buf_printf(out, "\r\033[%zuA\033[J", up));
}

void wh_screen_draw(struct wh_screen *s, size_t from, struct wh_buf *out)
{
    size_t columns, rows, most, to = from;
    if (!s->terminal)
        return;
    window(s, &columns, &rows);
    most = rows > 2 ? rows - 1 : 1;
    most = most < N(s->width) ? most : N(s->width);
    s->n = 0;
    for (size_t i = from; i < out->n && s->n < most;) {
        const char *end = memchr(out->p + i, '\n', out->n - i);
        size_t n = (end ? (size_t)(end - out->p) : out->n) - i;
        size_t shown = wh_text_fits(out->p + i, n, columns - 1);
        s->width[s->n++] = (uint16_t)wh_text_width(out->p + i, shown);
        memmove(out->p + to, out->p + i, shown);
        to += shown;
        i += n + (end != NULL);
        if (end)
            out->p[to++] = '\n';
    }
    out->n = to;
}
