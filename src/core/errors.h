/* SPDX-License-Identifier: Apache-2.0 */
/* The table of stable error codes (errors.def): title, default policy bits, page for `explain`. */
#ifndef WHERRY_CORE_ERRORS_H
#define WHERRY_CORE_ERRORS_H

#include <wherry/status.h>

struct wh_error_page {
    const char *code, *title;
    bool retriable;
    enum wh_scope scope;
    int exit_code;    /* INTERFACE 6: what a run that ends by this code exits with */
    const char *page; /* what it means, why it happens, what to do */
};

WH_EXPORT const struct wh_error_page *wh_error_page(const char *code); /* NULL if unknown */
WH_EXPORT const struct wh_error_page *wh_error_pages(size_t *ret_n);
/* What to do next, as the page of the code says it (its "Do: ", one line, in `text`): for a message
 * whose author had no better hint. Empty if the code is not known. */
WH_EXPORT const char *wh_error_next(const char *code, char *text, size_t size);
/* Exit code of a run that ends by this code. Before anything was touched "failed" (1) is "refused"
 * (2), and afterwards "refused" is "failed", but for E7xxx: a resume that is refused touches
 * nothing. The others keep their meaning. An unknown code is our own bug: 1. */
WH_EXPORT int wh_error_exit(const char *code, bool touched);

#endif
