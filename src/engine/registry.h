/* SPDX-License-Identifier: Apache-2.0 */
/* Connectors: found by scheme, loaded on demand, never unloaded.
 *
 * Search order of modules: $WHERRY_MODULES (a list of folders), folders beside the program
 * (build tree), the installed module folder. -Dmodules=builtin links all of them in instead.
 */
#ifndef WHERRY_ENGINE_REGISTRY_H
#define WHERRY_ENGINE_REGISTRY_H

#include <wherry/connector.h>
#include "core/buf.h"

/* The connector for a scheme or alias ("postgres", "pg"). E1xxx with "did you mean" for an unknown
 * word, E2xxx when the module exists but cannot be loaded (its library is missing: says which). */
wh_status wh_registry_find(struct wh_str scheme, const struct wh_connector **ret,
                           struct wh_error *reterr);
/* True if the word is a scheme Wherry knows, whether or not this build has its module. */
bool wh_registry_is_scheme(struct wh_str word);
/* The other words that mean connector `name`, i from 0 ("pg" for postgresql); NULL after the last.
 */
const char *wh_registry_word(const char *name, size_t i);
/* Every connector that can be loaded here; broken modules go to `broken` (NULL allowed). */
wh_status wh_registry_each(wh_status (*each)(void *, const struct wh_connector *), void *arg,
                           wh_status (*broken)(void *, const char *name, const struct wh_error *));

#endif
