/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the option code know of one row (inside core only). */
#ifndef WHERRY_CORE_OPTIONS_ROW_H
#define WHERRY_CORE_OPTIONS_ROW_H

#include "core/options.h"

/* Nothing was given and there is no default. */
bool wh_option_is_unset(const struct wh_option *, const void *field);
/* The field holds what the row's `def` says. Out of memory counts as no. */
bool wh_option_is_default(const struct wh_option *, const void *field);
/* "64MiB", "10s", "42": as people type a number of this type. */
void wh_option_number(enum wh_option_type, int64_t v, char out[32]);

#endif
