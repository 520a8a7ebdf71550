/* SPDX-License-Identifier: Apache-2.0 */
/* What is made from option tables (see wherry/option.h): parsing and checking, defaults, help,
 * JSON Schema, a fingerprint, masking.
 *
 * Problems are collected, never only the first. Text, lists and maps live in the arena; a secret
 * lives on the heap until wh_options_wipe, and is made known to the log, which masks it. Not
 * thread-safe for one `out`; tables are read-only and shared.
 */
#ifndef WHERRY_CORE_OPTIONS_H
#define WHERRY_CORE_OPTIONS_H

#include <wherry/option.h>
#include "core/buf.h"
#include "core/tree.h"

/* Fills `out` (table->size bytes, zeroed by the caller) with the defaults. WH_E_BUG: the table's
 * own default is not a value of its row. */
WH_EXPORT wh_status wh_options_init(const struct wh_options *, void *out, struct wh_arena *);
/* Sets one option from text, list or map; `key` may use - or _ and aliases. Problems carry `where`
 * ("job.yaml:4:7", "--from", "URL"). Unknown keys get "did you mean". False if a problem was added.
 * A text for LIST is one item, for COLUMNS it is split at commas outside of brackets and quotes.
 */
WH_EXPORT bool wh_options_set(const struct wh_options *, void *out, struct wh_arena *,
                              const char *key, const struct wh_node *value, const char *where,
                              struct wh_problems *);
/* The same from a flag or URL parameter: a LIST grows by repeating, a MAP takes "k=v,k2=v2" or
 * `key` = "page.size"; an empty text is refused. */
WH_EXPORT bool wh_options_set_text(const struct wh_options *, void *out, struct wh_arena *,
                                   const char *key, const char *text, const char *where,
                                   struct wh_problems *);
/* Sets every key of a MAP node except those that begin with "x-"; places are file:line:column.
 * NULL is an empty map. False if a problem was added. */
WH_EXPORT bool wh_options_set_map(const struct wh_options *, void *out, struct wh_arena *,
                                  const struct wh_node *map, const char *file,
                                  struct wh_problems *);
/* Required options that are unset become problems. Call after all were set. */
WH_EXPORT void wh_options_finish(const struct wh_options *, const void *out, const char *where,
                                 struct wh_problems *);
WH_EXPORT const struct wh_option *wh_options_find(const struct wh_options *, struct wh_str key);
WH_EXPORT bool wh_key_eq(struct wh_str a, const char *b); /* _ and - are the same */
/* Value of a row as text, as a user would type it, secrets as "***"; nothing when unset. */
WH_EXPORT wh_status wh_options_show(const struct wh_option *, const void *out, struct wh_buf *);
/* All rows that differ from their default, sorted, "key=value\n"; secrets left out. */
WH_EXPORT wh_status wh_options_fingerprint(const struct wh_options *, const void *out,
                                           struct wh_buf *);
WH_EXPORT void wh_options_wipe(const struct wh_options *, void *out); /* secrets; repeatable */
/* People's table (name, type, default, help) and JSON Schema of one table. */
WH_EXPORT wh_status wh_options_help(const struct wh_options *, struct wh_buf *);
WH_EXPORT wh_status wh_options_schema(const struct wh_options *, struct wh_buf *);
/* The rows as members of "properties" of a JSON Schema for job files, aliases too: any scalar where
 * text is wanted, macros everywhere. *first: no comma before the next member. */
WH_EXPORT wh_status wh_options_schema_rows(const struct wh_options *, bool *first, struct wh_buf *);
WH_EXPORT const char *wh_option_type_name(enum wh_option_type);

/* The scalar parsers behind the rows, for settings that stand alone. Whole text or false. */
WH_EXPORT bool wh_parse_size(const char *text, int64_t *ret); /* bytes; rates end in /s */
WH_EXPORT bool wh_parse_duration(const char *text,
                                 int64_t *ret_ms); /* also 1h30m; 0 needs no unit */
WH_EXPORT bool wh_parse_bool(const char *text, bool *ret);
WH_EXPORT bool wh_parse_i64(const char *text, int64_t *ret);   /* also 2e6 when exact */
WH_EXPORT bool wh_parse_double(const char *text, double *ret); /* finite; 0.1% is 0.001 */
WH_EXPORT bool wh_parse_char(const char *text, int *ret);      /* see WH_T_CHAR */
WH_EXPORT bool wh_cron_valid(const char *text);                /* five fields, or @daily ... */

struct wh_char_name {
    const char *name;
    int value;
};
WH_EXPORT extern const struct wh_char_name wh_char_names[]; /* ends with a NULL name */

#endif
