/* SPDX-License-Identifier: Apache-2.0 */
/* What is made from option tables (see wherry/option.h). */
#ifndef WHERRY_CORE_OPTIONS_H
#define WHERRY_CORE_OPTIONS_H

#include <wherry/option.h>
#include "core/buf.h"
#include "core/tree.h"

/* Fills `out` (table->size bytes, zeroed by the caller) with the defaults. */
WH_EXPORT wh_status wh_options_init(const struct wh_options *, void *out, struct wh_arena *);
/* Sets one option from text, list or map; `key` may use - or _ and aliases. Problems carry `where`
 * ("job.yaml:4:7", "--from", "URL"). Unknown keys get "did you mean". False if a problem was added.
 */
WH_EXPORT bool wh_options_set(const struct wh_options *, void *out, struct wh_arena *,
                              const char *key, const struct wh_node *value, const char *where,
                              struct wh_problems *);
WH_EXPORT bool wh_options_set_text(const struct wh_options *, void *out, struct wh_arena *,
                                   const char *key, const char *text, const char *where,
                                   struct wh_problems *);
/* Required options that are unset become problems. Call after all were set. `given` may be NULL. */
WH_EXPORT void wh_options_finish(const struct wh_options *, const void *out, const char *where,
                                 struct wh_problems *);
WH_EXPORT const struct wh_option *wh_options_find(const struct wh_options *, struct wh_str key);
/* Value of a row as text, secrets as "***"; for plans, `config --origin`, fingerprints. */
WH_EXPORT wh_status wh_options_show(const struct wh_option *, const void *out, struct wh_buf *);
/* All rows that differ from their default, sorted, "key=value\n"; secrets left out. */
WH_EXPORT wh_status wh_options_fingerprint(const struct wh_options *, const void *out,
                                           struct wh_buf *);
WH_EXPORT void wh_options_wipe(const struct wh_options *, void *out); /* secrets */
/* People's table (name, type, default, help) and JSON Schema of one table. */
WH_EXPORT wh_status wh_options_help(const struct wh_options *, struct wh_buf *);
WH_EXPORT wh_status wh_options_schema(const struct wh_options *, struct wh_buf *);

/* The scalar parsers behind the rows, for settings that stand alone. */
WH_EXPORT bool wh_parse_size(const char *text, int64_t *ret); /* bytes */
WH_EXPORT bool wh_parse_duration(const char *text, int64_t *ret_ms);
WH_EXPORT bool wh_parse_bool(const char *text, bool *ret);
WH_EXPORT bool wh_parse_i64(const char *text, int64_t *ret); /* also 2e6 when exact */
WH_EXPORT bool wh_parse_char(const char *text, int *ret);    /* see WH_T_CHAR */

#endif
