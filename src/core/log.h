/* SPDX-License-Identifier: Apache-2.0 */
/* The log sink: the only mutable global of Wherry. Text for people or JSON lines, to a descriptor.
 * Secrets registered with wh_log_secret are masked in every line. Thread-safe. */
#ifndef WHERRY_CORE_LOG_H
#define WHERRY_CORE_LOG_H

#include <wherry/status.h>

enum wh_level {
    WH_LOG_ERROR,
    WH_LOG_WARN,
    WH_LOG_INFO,
    WH_LOG_DEBUG
};

WH_EXPORT void wh_log_open(int fd, bool json, enum wh_level level, const char *components);
WH_EXPORT void wh_log(enum wh_level, const char *component, const char *fmt, ...) WH_PRINTF(3, 4);
WH_EXPORT bool wh_log_on(enum wh_level, const char *component);
/* DEBUG of "sql": what was sent, how long the answer took, what went wrong (NULL: nothing). White
 * space is one blank each, a long text is cut; parameters and rows are never in it. */
WH_EXPORT void wh_log_statement(const char *who, const char *sql, int64_t ns, const char *wrong);
/* Now, if that is wanted; else 0. */
WH_EXPORT int64_t wh_log_statement_begins(void);
WH_EXPORT void wh_log_secret(const char *secret); /* at least 4 bytes long to be masked */
WH_EXPORT void wh_log_mask(char *text);           /* masks registered secrets in place */

#endif
