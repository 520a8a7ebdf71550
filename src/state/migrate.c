/* SPDX-License-Identifier: Apache-2.0 */
/* Numbered migrations: migration N takes a store of version N - 1 to N, in one transaction. A
 * released one is never edited; the version is `pragma user_version`. */
#include <stdio.h>

#include "state/db.h"

static const char *const migrations[] = {
    /* 1: runs, snapshots, targets, flows, units, steps. Times are microseconds of UTC. */
    "create table run("
    "  run text primary key, job text not null, file text, identity text not null,"
    "  is_copy integer not null, scheduled text, job_json text not null, shape text not null,"
    "  version text not null, state integer not null, epoch integer not null,"
    "  exit_code integer not null, finished integer not null, summary text, report text,"
    "  snapshot text, created_us integer not null, started_us integer, ended_us integer,"
    "  host text, pid integer, beat_us integer, limits text, cancel integer not null default 0,"
    "  rows_read integer not null default 0, rows_written integer not null default 0,"
    "  rows_dirty integer not null default 0, rows_filtered integer not null default 0,"
    "  rows_skipped integer not null default 0) without rowid;"
    "create index run_created on run(created_us desc);"
    "create index run_identity on run(identity, created_us desc);"
    "create table snapshot("
    "  run text not null, endpoint integer not null, kind integer not null,"
    "  instants integer not null, token blob, what text, provable integer not null,"
    "  taken_us integer not null, primary key(run, endpoint)) without rowid;"
    "create table target("
    "  identity text primary key, run text not null, since_us integer not null) without rowid;"
    "create index target_run on target(run);"
    "create table flow("
    "  run text not null, flow integer not null, generation integer not null,"
    "  stream text not null, tbl text not null, target text not null, state integer not null,"
    "  source_schema text, accept_schema text, bounds blob, memo blob, cursor blob,"
    "  drawn integer not null, next_unit integer not null, fingerprint text,"
    "  exit_code integer not null, error text,"
    "  rows_read integer not null default 0, rows_written integer not null default 0,"
    "  rows_dirty integer not null default 0, rows_filtered integer not null default 0,"
    "  rows_skipped integer not null default 0, bytes_read integer not null default 0,"
    "  bytes_written integer not null default 0, started_us integer, ended_us integer,"
    "  primary key(run, flow)) without rowid;"
    "create table unit("
    "  run text not null, flow integer not null, unit integer not null,"
    "  generation integer not null, state integer not null, attempt integer not null,"
    "  label text, splits blob, order_group integer not null, order_seq integer not null,"
    "  est_rows integer not null, est_bytes integer not null, ident text,"
    "  rows_read integer not null default 0, rows_written integer not null default 0,"
    "  rows_dirty integer not null default 0, rows_filtered integer not null default 0,"
    "  rows_skipped integer not null default 0, bytes_read integer not null default 0,"
    "  bytes_written integer not null default 0, hash blob, receipt blob, end blob,"
    "  skipped text, error text, changed_us integer not null, instant integer not null default 1,"
    "  primary key(run, flow, unit)) without rowid;"
    "create index unit_chain on unit(run, flow, order_group, order_seq) where order_group > 0;"
    "create table step("
    "  run text not null, flow integer not null, generation integer not null,"
    "  phase integer not null, id integer not null, after integer not null,"
    "  flags integer not null, say text, token blob, receipt blob, state integer not null,"
    "  error text, primary key(run, flow, generation, phase, id)) without rowid;"
    "create table phase(" /* which phases have their steps journalled, also those with none */
    "  run text not null, flow integer not null, generation integer not null,"
    "  phase integer not null, primary key(run, flow, generation, phase)) without rowid;",
    /* 2: where a unit was drawn, for the marker that can rebuild this store. */
    "alter table unit add column origin blob;",
    /* 3: what was told at the end of a run, in pieces; run.summary and run.report are of before. */
    "create table report("
    "  run text not null, kind integer not null, n integer not null, piece text not null,"
    "  primary key(run, kind, n)) without rowid;",
    /* 4: how many rows a destination held before a run, for the comparison behind it. */
    "alter table flow add column rows_before integer not null default -1;",
    /* 5: the folder in which a run was begun: its relative paths mean what they meant there. */
    "alter table run add column folder text;",
    /* 6: where a run reads and writes, so that one that did elsewhere is not taken for another. */
    "alter table run add column ends text;",
};

static int version_now(struct wh_state *s, int *ret, struct wh_error *reterr)
{
    sqlite3_stmt *q;
    int st = wh_db_query(s, &q, reterr, "pragma user_version", "");
    if (st == WH_OK)
        st = wh_db_step(s, q, reterr);
    if (st != WH_OK)
        return st;
    *ret = sqlite3_column_int(q, 0);
    sqlite3_reset(q);
    return WH_OK;
}

static int migrate_one(struct wh_state *s, int to, struct wh_error *reterr)
{
    char set[64];
    snprintf(set, sizeof(set), "pragma user_version=%d", to);
    WH_TRY(wh_db_begin(s, NULL, 0, reterr));
    int now = 0, st = version_now(s, &now, reterr); /* another process may have been faster */
    if (st == WH_OK && now < to &&
        (sqlite3_exec(s->db, migrations[to - 1], NULL, NULL, NULL) != SQLITE_OK ||
         sqlite3_exec(s->db, set, NULL, NULL, NULL) != SQLITE_OK))
        st = wh_fail(reterr, WH_E_STATE, "E7014", "cannot migrate state %s to version %d: %s",
                     s->path, to, sqlite3_errmsg(s->db));
    return wh_db_end(s, st, reterr);
}

int wh_db_migrate(struct wh_state *s, struct wh_error *reterr)
{
    const int newest = (int)(sizeof(migrations) / sizeof(migrations[0]));
    int now;
    WH_TRY(version_now(s, &now, reterr));
    if (now > newest)
        return wh_fail(reterr, WH_E_STATE, "E7004",
                       "state %s has schema version %d, this program knows up to %d", s->path, now,
                       newest);
    for (int v = now + 1; v <= newest; v++)
        WH_TRY(migrate_one(s, v, reterr));
    return WH_OK;
}
