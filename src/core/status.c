/* SPDX-License-Identifier: Apache-2.0 */
#include <wherry/status.h>

#include "core/buf.h"
#include "core/errors.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* Ends a text that did not fit at a character border, with a mark that something is missing. */
static void cut_mark(char *text, size_t cap)
{
    static const char mark[] = "...";
    size_t n = cap - sizeof mark;

    while (n > 0 && ((unsigned char)text[n] & 0xC0) == 0x80)
        n--;
    memcpy(text + n, mark, sizeof mark);
}

__attribute__((format(printf, 3, 0))) static void print(char *text, size_t cap, const char *fmt,
                                                        va_list ap)
{
    int n = vsnprintf(text, cap, fmt, ap);

    if (n < 0)
        text[0] = 0;
    else if ((size_t)n >= cap)
        cut_mark(text, cap);
}

int wh_failv(struct wh_error *reterr, int status, const char *code, const char *fmt, va_list ap)
{
    if (!reterr)
        return status;
    const struct wh_error_page *page = wh_error_page(code);
    char message[sizeof reterr->message]; /* fmt's arguments may point into *reterr */

    print(message, sizeof message, fmt, ap);
    *reterr = (struct wh_error){.status = status, .scope = WH_SCOPE_ATTEMPT};
    memcpy(reterr->message, message, sizeof message);
    snprintf(reterr->code, sizeof reterr->code, "%s", code);
    if (page) {
        reterr->scope = page->scope;
        reterr->retriable = page->retriable;
    }
    return status;
}

int wh_fail(struct wh_error *reterr, int status, const char *code, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    wh_failv(reterr, status, code, fmt, ap);
    va_end(ap);
    return status;
}

static bool errno_passes(int err)
{
    static const int passing[] = {EINTR,        EAGAIN,     ETIMEDOUT, ENOSPC, EDQUOT,
                                  EIO,          EBUSY,      ENOMEM,    EMFILE, ENFILE,
                                  ECONNREFUSED, ECONNRESET, EPIPE,     ESTALE, ECONNABORTED,
                                  EHOSTUNREACH, ENETUNREACH};

    for (size_t i = 0; i < sizeof passing / sizeof passing[0]; i++)
        if (passing[i] == err)
            return true;
    return false;
}

int wh_fail_errno(struct wh_error *reterr, int err, const char *code, const char *fmt, ...)
{
    char words[128];
    va_list ap;

    va_start(ap, fmt);
    wh_failv(reterr, WH_E_IO, code, fmt, ap);
    va_end(ap);
    if (!reterr)
        return WH_E_IO;
    const char *why = strerror_r(err, words, sizeof words); /* GNU: returns the text */
    size_t n = strlen(reterr->message);
    int more = snprintf(reterr->message + n, sizeof reterr->message - n, ": %s", why);

    if (more >= 0 && n + (size_t)more >= sizeof reterr->message)
        cut_mark(reterr->message, sizeof reterr->message);
    reterr->native = err;
    reterr->retriable |= errno_passes(err);
    return WH_E_IO;
}

void wh_error_where(struct wh_error *err, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return;
    va_start(ap, fmt);
    print(err->where, sizeof err->where, fmt, ap);
    va_end(ap);
}

void wh_error_hint(struct wh_error *err, const char *fmt, ...)
{
    va_list ap;

    if (!err)
        return;
    va_start(ap, fmt);
    print(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}

const char *wh_status_name(int status)
{
    static const char *const answers[] = {
        [WH_OK] = "OK",           [WH_END] = "END",         [WH_REFUSED] = "REFUSED",
        [WH_LOST] = "LOST",       [WH_UNKNOWN] = "UNKNOWN", [WH_GONE] = "GONE",
        [WH_TWIN] = "TWIN",       [WH_FENCED] = "FENCED",   [WH_BLOCKED] = "BLOCKED",
        [WH_HELD_BY] = "HELD_BY",
    };
    static const char *const failures[] = {
        [-WH_E_USAGE] = "E_USAGE",
        [-WH_E_AUTH] = "E_AUTH",
        [-WH_E_NOT_FOUND] = "E_NOT_FOUND",
        [-WH_E_UNSUPPORTED] = "E_UNSUPPORTED",
        [-WH_E_TYPE] = "E_TYPE",
        [-WH_E_DATA] = "E_DATA",
        [-WH_E_LIMIT] = "E_LIMIT",
        [-WH_E_IO] = "E_IO",
        [-WH_E_REMOTE] = "E_REMOTE",
        [-WH_E_CANCELLED] = "E_CANCELLED",
        [-WH_E_NOMEM] = "E_NOMEM",
        [-WH_E_STATE] = "E_STATE",
        [-WH_E_BUG] = "E_BUG",
    };

    if (status >= 0 && status < (int)(sizeof answers / sizeof answers[0]))
        return answers[status];
    if (status < 0 && status > -(int)(sizeof failures / sizeof failures[0]))
        return failures[-status];
    return "?";
}
