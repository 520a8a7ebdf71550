/* SPDX-License-Identifier: Apache-2.0 */
/* ${...} macros of job files (INTERFACE 4): parameters, times, references. Resolved once, when the
 * job is read; references to secrets stay as they are until options are filled. */
#ifndef WHERRY_ENGINE_MACRO_H
#define WHERRY_ENGINE_MACRO_H

#include "core/buf.h"
#include "core/tree.h"
#include "engine/zone.h"

enum wh_param_type {
    WH_PARAM_TEXT,
    WH_PARAM_INTEGER,
    WH_PARAM_DECIMAL,
    WH_PARAM_BOOL,
    WH_PARAM_DATE,
    WH_PARAM_TIMESTAMP, /* wall time of the job's zone */
};

struct wh_param {
    const char *name;
    enum wh_param_type type;
    bool raw;          /* text that may stand in SQL as it is */
    const char *value; /* canonical text; NULL = not set and without a default */
};

/* What macros of one job mean. */
struct wh_macros {
    struct wh_arena *arena;
    const struct wh_zone *zone;
    int64_t planned_us;             /* "now" */
    const char *job, *stream, *run; /* NULL where there is none */
    struct wh_param *params;
    size_t n_params;
    struct wh_problems *problems;
};

/* What stands around the macro. */
enum {
    WH_MACRO_SQL = 1,      /* parameters are pasted by type, text needs :sql or :ident */
    WH_MACRO_NONEMPTY = 2, /* where, replace, paths: an empty result is an error */
    WH_MACRO_KEEP = 4,     /* references stay as text: connections, URLs with a user */
    WH_MACRO_ESCAPE = 8,   /* a literal ${ is written $${, so that the result can be read again */
};

/* The text with its macros replaced (arena); the same pointer if it has none; NULL after a problem.
 */
const char *wh_macro_expand(const struct wh_macros *, const char *text, unsigned flags,
                            const char *where);
/* Checks a value against a parameter's type and makes it canonical; NULL after a problem. */
const char *wh_param_value(const struct wh_macros *, const struct wh_param *, const char *text,
                           const char *where);

/* ${env:} ${file:} ${cred:} in a text that was kept: replaced by what they refer to; every value is
 * registered with the log as a secret when `secret`. NULL after a problem. Other ${ stay. */
const char *wh_reference_resolve(struct wh_arena *, const char *text, bool secret,
                                 const char *where, struct wh_problems *);
bool wh_reference_in(const char *text); /* is there any? */
/* ${cmd:[program, argument]}: what it prints, without its last newline; no shell, no input, 10 s
 * and 64 kB at most. Refused until the process allows it. NULL after a problem. */
void wh_commands_allow(bool);
const char *wh_command_output(struct wh_arena *, const char *text, const char *where,
                              struct wh_problems *);

/* Java date patterns (yyyy MM dd HH mm ss SSS ...). False for letters that mean nothing here. */
bool wh_date_format(const char *pattern, size_t n, const struct wh_civil *, struct wh_buf *);
/* Reads back what the pattern wrote; fields that it lacks are those of 1970-01-01 00:00. */
bool wh_date_parse(const char *pattern, size_t n, const char *text, struct wh_civil *ret);
/* UNIT = SECOND MINUTE HOUR DAY WEEK MONTH YEAR; months and years clamp to the month's last day. */
bool wh_date_shift(const struct wh_zone *, struct wh_civil *, int64_t n, const char *unit);

#endif
