/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by pg_claim.c and pg_held.c: run rows and targets, ours and other runs'. */
#ifndef WHERRY_CONNECTORS_SQL_PG_CLAIM_H
#define WHERRY_CONNECTORS_SQL_PG_CLAIM_H

#include "pg_target.h"

/* For run row r, as SQL: a session of its newest epoch is there. The holder does not count, it
 * outlives its engine. Names of sessions are shown to every role. */
#define PG_RUN_LIVES                                                                               \
    "exists (select 1 from pg_stat_activity a where starts_with(a.application_name, 'wherry/' || " \
    "left(regexp_replace(r.run, '^.*-', ''), 12) || '/e' || r.epoch || '/') and "                  \
    "a.application_name not like '%%/hold%%')"

/* Each schema that keeps markers of these targets, with the names of its targets as JSON. */
typedef wh_status (*pg_markers_fn)(void *arg, const char *schema, const char *list,
                                   struct wh_error *reterr);
wh_status pg_each_markers(struct pg_ep *, const struct wh_objects *targets, pg_markers_fn,
                          void *arg, struct wh_error *reterr);
/* Schemas of this database that have our tables, whoever made them. */
wh_status pg_our_schemas(struct pg_se *, struct pg_rows **ret, struct wh_error *reterr);
/* What became of one of many schemas or tables: OK as well if it failed because that is not there
 * any more and no transaction is broken by it (who drops a schema of his own beside us is in
 * nobody's way); else *why goes to *reterr. */
wh_status pg_of_many(struct pg_se *, int st, const struct wh_error *why, struct wh_error *reterr);
/* "wherry/<12 hex of run>/": how its sessions are tagged. */
void pg_run_tag(struct wh_str run, char out[64]);

/* "create .. if not exists" raced with another session that makes it: the table is there (42P07),
 * its row type is (42710), or both came to pg_type at once (23505). Once more, then. */
bool pg_made_meanwhile(const struct wh_error *);

/* pg_units.c: the tables of markers of this database, whoever made them, as SQL; those of other
 * names that this process's targets have; and deleting the markers of a closed run. */
wh_status pg_units_list(struct pg_se *, struct pg_rows **ret, struct wh_error *reterr);
wh_status pg_units_make(struct pg_ep *, struct pg_se *, struct wh_error *reterr);
wh_status pg_units_forget(struct pg_se *, const char *run, struct wh_error *reterr);
#define PG_MARKER_TABLE                                                                            \
    "(run text, flow bigint, generation bigint, unit bigint, attempt int not null, epoch bigint "  \
    "not null, rows bigint, bytes bigint, dirty bigint, filtered bigint, skipped bigint, hash "    \
    "bytea, rest bytea, ends bytea, seed bytea, primary key(run, flow, generation, unit))"

/* pg_held.c: HELD_BY if another open run holds one of these targets: E7006 if it lives, else
 * E7005. */
wh_status pg_is_held(struct pg_se *, const char *schema, const char *run, const char *list,
                     struct wh_error *reterr);

#endif
