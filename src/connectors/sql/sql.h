/* SPDX-License-Identifier: Apache-2.0 */
/* What every SQL dialect shares: quoting, lists of names, the names of our own tables and stages,
 * and the words of steps. A dialect adds its types, its catalogue and its transactions.
 *
 * Identifiers reach a statement only through sql_ident, values only through binds (or, where a
 * statement cannot bind, sql_literal). Buffers carry their own cap, so that a hostile name or a
 * table of thousands of columns ends in WH_E_LIMIT and not in memory.
 */
#ifndef WHERRY_CONNECTORS_SQL_SQL_H
#define WHERRY_CONNECTORS_SQL_SQL_H

#include <wherry/connector.h>
#include "core/buf.h"

enum {
    SQL_TEXT_MAX = 1 << 20, /* one statement that we make */
    SQL_STAGE_NAME = 64,
};

/* "na""me": standard quoting. A name with a NUL byte is WH_E_UNSUPPORTED. */
wh_status sql_ident(struct wh_buf *, struct wh_str name);
wh_status sql_literal(struct wh_buf *, struct wh_str text); /* 'it''s' */

/* Appends `fmt` where %i is an identifier (struct wh_str *), %l a literal (struct wh_str *), %s
 * plain text (const char *), %d an int64_t, %% a percent sign: statements read as they run. */
wh_status sql_add(struct wh_buf *, const char *fmt, ...);

/* "a", "b", "c" of a schema's children; before each name `prefix` (may be ""). */
wh_status sql_columns(struct wh_buf *, const struct ArrowSchema *, const char *prefix);

/* Our own tables (wherry_run, wherry_unit, wherry_target), stages, and names that our statements
 * use: never listed, copied or written. */
bool sql_is_own(struct wh_str table);

/* wherry_stage_<12 of the run>_f<flow>_g<generation>: nobody else's, and an older generation's
 * name differs. */
void sql_stage_name(const struct wh_fence *, char out[SQL_STAGE_NAME]);

/* Number of a step's marker in wherry_unit: negative, so that no unit has it. */
int64_t sql_step_unit(const struct wh_step *);

/* 1-based position of a column in its source's primary key (wherry.key), 0 = none. */
int sql_key_position(const struct ArrowSchema *field);

#endif
