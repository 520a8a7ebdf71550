/* SPDX-License-Identifier: Apache-2.0 */
#include "core/log.h"

#include "core/alloc.h"
#include "core/buf.h"
#include "core/clock.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* A line never allocates: it must come out also when memory is short. */
#define MESSAGE_MAX  3072
#define LINE_MAX_LOG (6 * MESSAGE_MAX + 512) /* every byte may become \u00xx; and the frame */

#define STATEMENT_MAX 1500

#define SECRET_MIN  4
#define SECRETS_MAX 4096
#define MASK        "***"

static struct {
    pthread_mutex_t lock;
    _Atomic int fd;
    _Atomic bool json;
    _Atomic int level;
    _Atomic bool debugs;  /* somebody is listed, or the level is DEBUG */
    char components[256]; /* ",engine,sqlite," or empty; written by wh_log_open only */
} sink = {.lock = PTHREAD_MUTEX_INITIALIZER, .fd = STDERR_FILENO, .level = WH_LOG_WARN};

/* Longest first, so that a secret which contains another one goes as a whole. */
static struct {
    pthread_mutex_t lock;
    char **v;
    size_t n, cap;
    bool lost; /* one could not be kept: nothing may be printed that might hold it */
} secrets = {.lock = PTHREAD_MUTEX_INITIALIZER};

void wh_log_open(int fd, bool json, enum wh_level level, const char *components)
{
    pthread_mutex_lock(&sink.lock);
    sink.components[0] = 0;
    if (components && *components)
        snprintf(sink.components, sizeof sink.components, ",%s,", components);
    pthread_mutex_unlock(&sink.lock);
    atomic_store(&sink.fd, fd);
    atomic_store(&sink.json, json);
    atomic_store(&sink.level, (int)level);
    atomic_store(&sink.debugs, level == WH_LOG_DEBUG || (components && *components));
}

static bool component_listed(const char *component)
{
    char word[64];

    snprintf(word, sizeof word, ",%s,", component);
    pthread_mutex_lock(&sink.lock);
    bool listed = strstr(sink.components, word) || strstr(sink.components, ",all,");
    bool any = sink.components[0] != 0;
    pthread_mutex_unlock(&sink.lock);
    return listed || (!any && atomic_load(&sink.level) == WH_LOG_DEBUG);
}

bool wh_log_on(enum wh_level level, const char *component)
{
    if (level < WH_LOG_DEBUG)
        return (int)level <= atomic_load_explicit(&sink.level, memory_order_relaxed);
    return atomic_load_explicit(&sink.debugs, memory_order_relaxed) && component_listed(component);
}

static bool keep_secret(const char *text, size_t n)
{
    for (size_t i = 0; i < secrets.n; i++)
        if (strlen(secrets.v[i]) == n && memcmp(secrets.v[i], text, n) == 0)
            return true;
    if (secrets.n == SECRETS_MAX)
        return false;
    if (secrets.n == secrets.cap) {
        size_t cap = secrets.cap ? secrets.cap * 2 : 8;
        char **grown = wh_realloc(secrets.v, cap * sizeof *grown);

        if (!grown)
            return false;
        secrets.v = grown;
        secrets.cap = cap;
    }
    char *copy = wh_strndup(text, n);

    if (!copy)
        return false;
    size_t at = 0;

    while (at < secrets.n && strlen(secrets.v[at]) >= n)
        at++;
    memmove(secrets.v + at + 1, secrets.v + at, (secrets.n - at) * sizeof *secrets.v);
    secrets.v[at] = copy;
    secrets.n++;
    return true;
}

static bool url_plain(unsigned char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-' ||
           c == '_' || c == '.' || c == '~';
}

/* The form that a secret has inside a URL. */
static int percent_encode(struct wh_buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        WH_TRY(url_plain(c) ? wh_buf_addc(out, *text) : wh_buf_printf(out, "%%%02X", c));
    }
    return WH_OK;
}

static bool keep_all_forms(const char *secret)
{
    struct wh_buf form WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    bool kept = keep_secret(secret, strlen(secret));

    if (wh_buf_json(&form, secret, strlen(secret)) != WH_OK)
        return false;
    kept &= keep_secret(form.p + 1, form.n - 2);
    wh_wipe(form.p, form.n);
    wh_buf_clear(&form);
    if (percent_encode(&form, secret) != WH_OK)
        return false;
    kept &= keep_secret(form.p, form.n);
    wh_wipe(form.p, form.n);
    return kept;
}

void wh_log_secret(const char *secret)
{
    if (!secret || strlen(secret) < SECRET_MIN)
        return;
    pthread_mutex_lock(&secrets.lock);
    if (!keep_all_forms(secret))
        secrets.lost = true;
    pthread_mutex_unlock(&secrets.lock);
}

static void mask_one(char *text, const char *secret)
{
    size_t n = strlen(secret);
    char *to = text;

    for (char *hit; (hit = strstr(text, secret)); text = hit + n) {
        memmove(to, text, (size_t)(hit - text));
        to += hit - text;
        memcpy(to, MASK, sizeof MASK - 1);
        to += sizeof MASK - 1;
    }
    if (to != text)
        memmove(to, text, strlen(text) + 1);
}

/* Where a text was cut at n, its end may be the beginning of a secret. Returns the new length. */
static size_t mask_end(char *text, size_t n)
{
    for (size_t i = 0; i < secrets.n; i++) {
        size_t len = strlen(secrets.v[i]) - 1;

        for (len = len < n ? len : n; len >= SECRET_MIN; len--) {
            if (memcmp(text + n - len, secrets.v[i], len) != 0)
                continue;
            memcpy(text + n - len, MASK, sizeof MASK - 1);
            return n - len + sizeof MASK - 1;
        }
    }
    return n;
}

/* Texts that were cut to fit end in "..." (wh_fail does so). */
static void mask_cut(char *text)
{
    size_t n = strlen(text);

    if (n < 3 || memcmp(text + n - 3, "...", 3) != 0)
        return;
    n = mask_end(text, n - 3);
    memcpy(text + n, "...", 4);
}

void wh_log_mask(char *text)
{
    pthread_mutex_lock(&secrets.lock);
    for (size_t i = 0; i < secrets.n; i++)
        mask_one(text, secrets.v[i]);
    mask_cut(text);
    if (secrets.lost && strlen(text) >= sizeof MASK - 1)
        memcpy(text, MASK, sizeof MASK);
    pthread_mutex_unlock(&secrets.lock);
}

/* Control characters would let a row's content forge lines or drive the terminal. */
static int add_visible(struct wh_buf *out, const char *text)
{
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;

        if (c == 0xc2 && (unsigned char)text[1] >= 0x80 && (unsigned char)text[1] <= 0x9f)
            WH_TRY(wh_buf_printf(out, "\\x%02x", (unsigned char)*++text)); /* C1, as UTF-8 */
        else if (c == '\n')
            WH_TRY(wh_buf_adds(out, "\\n"));
        else if (c == '\t')
            WH_TRY(wh_buf_addc(out, ' '));
        else if (c < 0x20 || c == 0x7f)
            WH_TRY(wh_buf_printf(out, "\\x%02x", c));
        else
            WH_TRY(wh_buf_addc(out, *text));
    }
    return WH_OK;
}

static int add_text_line(struct wh_buf *line, const char *ts, enum wh_level level,
                         const char *component, const char *message)
{
    static const char *const words[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};

    WH_TRY(wh_buf_printf(line, "%s %s %s: ", ts, words[level], component));
    return add_visible(line, message);
}

static int add_json_line(struct wh_buf *line, const char *ts, enum wh_level level,
                         const char *component, const char *message)
{
    static const char *const words[] = {"error", "warning", "info", "debug"};

    WH_TRY(wh_buf_printf(line, "{\"v\":1,\"ts\":\"%s\",\"type\":\"log\",\"level\":\"%s\",", ts,
                         words[level]));
    WH_TRY(wh_buf_adds(line, "\"component\":"));
    WH_TRY(wh_buf_json(line, component, strlen(component)));
    WH_TRY(wh_buf_adds(line, ",\"message\":"));
    WH_TRY(wh_buf_json(line, message, strlen(message)));
    return wh_buf_addc(line, '}');
}

/* One write per line, so that lines of several processes do not mix. A descriptor that is full and
 * does not block is waited for a moment; then the line is dropped rather than the run held up. */
static void write_line(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);

        if (done < 0 && errno == EAGAIN) {
            struct pollfd ready = {.fd = fd, .events = POLLOUT};

            if (poll(&ready, 1, 200) <= 0)
                return;
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        p += done;
        n -= (size_t)done;
    }
}

void wh_log(enum wh_level level, const char *component, const char *fmt, ...)
{
    char message[MESSAGE_MAX], text[LINE_MAX_LOG], ts[32];
    /* A buffer over the stack: its room is its cap, so it never grows. One byte more for '\n'. */
    struct wh_buf line = {.p = text, .cap = sizeof text - 1, .max = sizeof text - 2};
    int saved = errno;
    va_list ap;

    if (!wh_log_on(level, component))
        return;
    va_start(ap, fmt);
    int n = vsnprintf(message, sizeof message, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    if ((size_t)n >= sizeof message) {
        size_t cut = sizeof message - 4; /* before a character, not inside one */

        while (((unsigned char)message[cut] & 0xC0) == 0x80)
            cut--;
        memcpy(message + cut, "...", 4);
    }
    wh_log_mask(message);
    wh_format_utc(wh_wall_us(), ts);
    int st = (atomic_load(&sink.json) ? add_json_line : add_text_line)(&line, ts, level, component,
                                                                       message);
    if (st == WH_OK) {
        text[line.n] = '\n';
        write_line(atomic_load(&sink.fd), text, line.n + 1);
    }
    errno = saved;
}

int64_t wh_log_statement_begins(void)
{
    return wh_log_on(WH_LOG_DEBUG, "sql") ? wh_now_ns() : 0;
}

void wh_log_statement(const char *who, const char *sql, int64_t ns, const char *wrong)
{
    char text[STATEMENT_MAX + 4];
    size_t n = 0;

    if (!wh_log_on(WH_LOG_DEBUG, "sql"))
        return;
    for (; *sql && n < STATEMENT_MAX; sql++) {
        bool blank = *sql == ' ' || *sql == '\n' || *sql == '\t';

        if (!blank)
            text[n++] = *sql;
        else if (n && text[n - 1] != ' ')
            text[n++] = ' ';
    }
    while (*sql && n && ((unsigned char)*sql & 0xC0) == 0x80) /* not inside of a character */
        sql--, n--;
    memcpy(text + n, *sql ? "..." : "", *sql ? 4 : 1);
    wh_log(WH_LOG_DEBUG, "sql", "%s: %.1f ms: %s%s%s", who, (double)ns / 1e6, text,
           wrong ? " -- " : "", wrong ? wrong : "");
}
