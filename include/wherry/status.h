/* SPDX-License-Identifier: Apache-2.0 */
/* Status, errors and borrowed text: what every verb of the contract answers.
 *
 * A verb returns a wh_status. Zero and positive values are answers the engine plans for, negative
 * values say what the engine (and in the end the user) should do. Details live in struct wh_error,
 * which the caller owns and the one who knows most fills; nobody below cli/ logs a failure.
 *
 * "ret_x" parameters are written on success only, "reterr" on failure only.
 */
#ifndef WHERRY_STATUS_H
#define WHERRY_STATUS_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define WH_EXPORT            __attribute__((visibility("default")))
#define WH_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#else
#define WH_EXPORT
#define WH_PRINTF(fmt, args)
#endif

/* Return type of every fallible function. Locals that hold one are plain int. */
#define wh_status __attribute__((warn_unused_result)) int

enum {
    /* Answers. */
    WH_OK = 0,
    WH_END = 1,     /* no more rows, splits, objects; asked again it answers END again */
    WH_REFUSED = 2, /* nothing since the last ack holds, the writer is usable */
    WH_LOST = 3,    /* the session is dead; close it, evict its ident, open another */
    WH_UNKNOWN = 4, /* outcome of a commit or step is not known: look it up, never guess */
    WH_GONE = 5,    /* the snapshot can no longer be entered */
    WH_TWIN = 6,    /* our own marker exists; only from writer_open and apply: look it up */
    WH_FENCED = 7,  /* a newer epoch owns this run: end this process, exit 10 */
    WH_BLOCKED = 8, /* a lock did not come in time; reterr names the holder */
    WH_HELD_BY = 9, /* the target belongs to another unfinished run; reterr names it */

    /* Failures: each says what to do. */
    WH_E_USAGE = -1,       /* a setting is wrong: refuse, exit 2 */
    WH_E_AUTH = -2,        /* login or rights: exit 9 */
    WH_E_NOT_FOUND = -3,   /* no such object, file, column */
    WH_E_UNSUPPORTED = -4, /* cannot be done here, ever: refuse, exit 2 */
    WH_E_TYPE = -5,        /* schema or type conflict */
    WH_E_DATA = -6,        /* the bytes are not what their format promises */
    WH_E_LIMIT = -7,       /* a cap of ours was reached */
    WH_E_IO = -8,          /* local system call failed */
    WH_E_REMOTE = -9,      /* the server says no; its words are in the message */
    WH_E_CANCELLED = -10,  /* asked to stop */
    WH_E_NOMEM = -11,      /* memory or its budget is used up */
    WH_E_STATE = -12,      /* our own state does not fit */
    WH_E_BUG = -13,        /* our mistake */
};

/* Borrowed text (UTF-8, not terminated) and borrowed bytes. */
struct wh_str {
    const char *s;
    size_t n;
};

struct wh_bytes {
    const void *p;
    size_t n;
};

#define WH_STR(lit)   ((struct wh_str){(lit), sizeof(lit) - 1})
#define WH_STR_FMT(x) (int)(x).n, (x).s /* for "%.*s" */

/* The smallest thing that the failure ruins. "session" means the session passed to that verb. */
enum wh_scope {
    WH_SCOPE_ROW,
    WH_SCOPE_BATCH,
    WH_SCOPE_ATTEMPT,
    WH_SCOPE_SESSION,
    WH_SCOPE_ENDPOINT,
    WH_SCOPE_RUN,
};

/* Filled by whoever fails; owned by the caller; filling it never allocates. */
struct wh_error {
    int status;   /* same value as returned */
    char code[6]; /* "E4102": stable, listed in src/core/errors.def, see `explain` */
    enum wh_scope scope;
    bool retriable;         /* the same call may succeed later */
    bool outcome_unknown;   /* the effect may have happened */
    int64_t retry_after_ms; /* 0 = engine's own back-off */
    int32_t native;         /* errno, SQLite code, HTTP status...; 0 = none */
    char sqlstate[6];
    char where[192];   /* file:line, connection, object, split, row, column */
    char message[640]; /* what, and why in the server's own words; never a secret */
    char hint[320];    /* the next command or the nearest legal choice */
};

/* Fills *reterr (NULL is allowed) and returns status. The code's row in errors.def gives the
 * default for retriable and scope. A message that does not fit is cut at a character border. */
WH_EXPORT int wh_fail(struct wh_error *reterr, int status, const char *code, const char *fmt, ...)
    WH_PRINTF(4, 5);
WH_EXPORT int wh_failv(struct wh_error *reterr, int status, const char *code, const char *fmt,
                       va_list ap) WH_PRINTF(4, 0);
/* Same, with the words of an errno. EINTR, EAGAIN, ETIMEDOUT, ENOSPC, EIO... set retriable. */
WH_EXPORT int wh_fail_errno(struct wh_error *reterr, int err, const char *code, const char *fmt,
                            ...) WH_PRINTF(4, 5);
WH_EXPORT void wh_error_where(struct wh_error *err, const char *fmt, ...) WH_PRINTF(2, 3);
WH_EXPORT void wh_error_hint(struct wh_error *err, const char *fmt, ...) WH_PRINTF(2, 3);
WH_EXPORT const char *wh_status_name(int status); /* "OK", "LOST", "E_IO"... */

/* A result that is ignored on purpose. */
static inline void wh_ignore(int status)
{
    (void)status;
}

/* Return early on anything but WH_OK. */
#define WH_TRY(expr)                                                                               \
    do {                                                                                           \
        int wh_try_st_ = (expr);                                                                   \
        if (wh_try_st_ != WH_OK)                                                                   \
            return wh_try_st_;                                                                     \
    } while (0)

#endif
