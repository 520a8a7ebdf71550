/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "fake_connectors.h"

#include "engine/job.h"

#include <fcntl.h>
#include <unistd.h>

static struct wh_arena *arena;

static int set_up(void **state)
{
    arena = wh_arena_new(64 << 20);
    return arena ? 0 : -1;
}

static int tear_down(void **state)
{
    wh_arena_free(arena);
    return 0;
}

static struct wh_job *must_read(const char *text)
{
    struct wh_problems p = {.arena = arena};
    struct wh_job *job = NULL;
    int st = wh_job_read("dir/t.yaml", text, strlen(text), NULL, NULL, &job, &p);

    for (size_t i = 0; i < p.n; i++)
        print_message("%s %s: %s\n", p.v[i].code, p.v[i].where, p.v[i].message);
    assert_int_equal(st, WH_OK);
    return job;
}

/* Red when a part of a job keeps other streams or tables than it names, has the shape of the whole,
 * or is the whole again when it was stored and read. */
static void selecting(void **state)
{
    static const char text[] = "version: 1\nstreams:\n"
                               "  - { name: a, from: 'gen:lineitem?rows=5', to: 'null:' }\n"
                               "  - { name: a/b, from: 'gen:lineitem?rows=5', to: 'null:' }\n"
                               "  - { name: c, from: 'gen:lineitem?rows=5', to: 'null:' }\n";
    static const char *two[] = {"c/t*", "a/b", "c/u"}, *none[] = {"d"};
    struct wh_problems p = {.arena = arena};
    WH_CLEANUP(wh_buf_free) struct wh_buf json = WH_BUF(1 << 20);
    struct wh_job *job = must_read(text), *again;
    struct wh_u128 whole = job->shape;

    assert_int_equal(wh_job_select(job, (struct wh_list){two, 3}, &p), WH_OK);
    assert_int_equal(job->n_streams, 2); /* a/b is a stream, not table b of a */
    assert_string_equal(job->select, "a/b, c/t*, c/u");
    assert_string_equal(job->streams[0].name, "a/b");
    assert_int_equal(job->streams[0].n_only, 0);
    assert_int_equal(job->streams[1].n_only, 2);
    assert_true(job->shape.lo != whole.lo);
    assert_int_equal(wh_job_to_json(job, &json), WH_OK);
    again = must_read(json.p);
    assert_string_equal(again->select, job->select);
    assert_int_equal(again->streams[1].n_only, 2);
    assert_true(again->shape.lo == job->shape.lo && again->shape.hi == job->shape.hi);
    wh_job_free(again);
    wh_job_free(job);
    job = must_read(text);
    assert_int_equal(wh_job_select(job, (struct wh_list){none, 1}, &p), WH_E_USAGE);
    assert_string_equal(p.v[0].code, "E1028");
    wh_job_free(job);
}

/* Red when a setting does not arrive where the engine looks for it. */
static void settings_arrive(void **state)
{
    struct wh_job *job = must_read(
        "version: 1\n"
        "timezone: Asia/Shanghai\n"
        "x-notes: { anything: [goes] }\n"
        "params:\n"
        "  day: { type: date, default: '2024-02-29' }\n"
        "  n: 7\n"
        "connections:\n"
        "  in: { type: file, root: /data, x-who: me }\n"
        "defaults: { dirty: { rows: 7 }, validate: checksum }\n"
        "streams:\n"
        "  - from: { conn: in, path: ['a_${day:yyyyMMdd}.csv', b.csv], delimiter: '|' }\n"
        "    to: 'sqlite:out.db#planes'\n"
        "    columns: [id, { from: l_tax, to: tax }, { to: d, value: '${day:yyyyMMdd}' },"
        " { to: t, source: table }, '* except (a, \"b c\")']\n"
        "    types: { id: 'decimal(18,2)' }\n"
        "    limit: 1e3\n"
        "    write: { mode: delete-insert, keys: [id], replace: { where: \"d = '${day}'\" },"
        " atomic: table, marker: off }\n"
        "    table: { create: never, evolve: add }\n"
        "    values: { zero_date: 'null', nan: keep, max_row_bytes: 8MiB }\n"
        "    dirty: { ratio: 1% }\n"
        "    split: none\n"
        "    guard: { empty: allow, min_rows: 5, max_shrink: 50% }\n"
        "    accept_lossy: [x, y]\n"
        "    parallel: 2\n"
        "  - { name: two, from: 'gen:lineitem?rows=5', to: 'null:', validate: off,"
        " parallel: { read: 3, write: 1 } }\n"
        "run: { parallel: 3, tables: 2, consistent: require, on_stream_failure: stop,"
        " strict: true, lock_wait: 10s, retry: { times: 1, wait: 2s },"
        " limits: { memory: 128MB, rate: 20MB/s, rows_per_second: 5, max_duration: 1h30m },"
        " timeouts: { lock: 3s } }\n");
    const struct wh_stream *s = &job->streams[0];

    assert_string_equal(job->name, "t");
    assert_string_equal(job->timezone, "Asia/Shanghai");
    assert_int_equal(job->n_streams, 2);
    assert_int_equal(job->params.n, 2);
    assert_string_equal(job->params.v[1].value, "7");
    assert_string_equal(s->name, "planes");
    assert_string_equal(s->from.conn, "in");
    assert_memory_equal(s->from.name.part[0].s, "a_20240229.csv", 15);
    assert_int_equal(s->from.more.n, 1);
    assert_string_equal(s->from.more.v[0], "b.csv");
    assert_string_equal(wh_node_text(wh_node_get(s->from.connection, "root"), ""), "/data");
    assert_string_equal(wh_node_text(wh_node_get(s->from.options, "delimiter"), ""), "|");
    assert_int_equal(s->n_columns, 5);
    assert_string_equal(s->columns[1].from, "l_tax");
    assert_string_equal(s->columns[2].value, "20240229");
    assert_int_equal(s->columns[3].kind, WH_MAP_PROVENANCE);
    assert_int_equal(s->columns[4].kind, WH_MAP_REST);
    assert_string_equal(s->columns[4].except.v[1], "b c");
    assert_string_equal(s->types.v[0].value, "decimal(18,2)");
    assert_int_equal(s->limit, 1000);
    assert_int_equal(s->write.mode, WH_MODE_DELETE_INSERT);
    assert_string_equal(s->write.replace_where, "d = '2024-02-29'");
    assert_int_equal(s->write.atomic, WH_ATOMIC_TABLE);
    assert_true(s->write.marker_off);
    assert_int_equal(s->create, WH_CREATE_NEVER);
    assert_int_equal(s->evolve, WH_EVOLVE_ADD);
    assert_true(s->values.zero_date_null && s->values.nan_keep && !s->values.infinity_null);
    assert_int_equal(s->max_row_bytes, 8 << 20);
    assert_int_equal(s->dirty_rows, 7);
    assert_true(s->dirty_ratio > 0.0099 && s->dirty_ratio < 0.0101);
    assert_true(s->split_none && s->guard_empty_allow);
    assert_int_equal(s->guard_min_rows, 5);
    assert_true(s->guard_max_shrink == 0.5);
    assert_string_equal(s->accept_lossy.v[1], "y");
    assert_int_equal(s->parallel, 2);
    assert_int_equal(s->parallel_read + s->parallel_write, 0);
    assert_int_equal(s[1].parallel, 0);
    assert_int_equal(s[1].parallel_read, 3);
    assert_int_equal(s[1].parallel_write, 1);
    assert_int_equal(s->validate, 3);
    assert_string_equal(job->streams[1].name, "two");
    assert_int_equal(job->streams[1].validate, 0);
    assert_int_equal(job->streams[1].dirty_rows, 7);
    assert_int_equal(job->streams[1].max_row_bytes, 4 << 20);
    assert_int_equal(job->run.parallel, 3);
    assert_int_equal(job->run.tables, 2);
    assert_int_equal(job->run.consistent, 1);
    assert_true(job->run.stop_on_failure && job->run.strict);
    assert_int_equal(job->run.lock_wait_ms, 10000);
    assert_int_equal(job->run.retry_times, 1);
    assert_int_equal(job->run.memory, 128000000);
    assert_int_equal(job->run.rate_bytes, 20000000);
    assert_int_equal(job->run.max_duration_ms, 5400000);
    assert_int_equal(job->run.timeouts.lock, 3000);
    assert_int_equal(job->run.timeouts.connect, 10000);
    wh_job_free(job);
}

/* Red when a default of INTERFACE 2.1 changes. */
static void defaults(void **state)
{
    struct wh_job *job = must_read("version: 1\nstreams: [{ from: a.csv, to: b.csv }]\n");
    const struct wh_stream *s = &job->streams[0];

    assert_string_equal(s->name, "b");
    assert_int_equal(s->write.mode, WH_MODE_APPEND);
    assert_int_equal(s->write.atomic, -1);
    assert_int_equal(s->create, WH_CREATE_IF_MISSING);
    assert_int_equal(s->merge, 0);
    assert_int_equal(s->dirty_rows, 0);
    assert_false(s->guard_empty_allow || s->split_none);
    assert_int_equal(job->run.tables, 4);
    assert_int_equal(job->run.memory, 256000000);
    assert_int_equal(job->run.consistent, 0);
    assert_int_equal(job->run.timeouts.user, 30000);
    assert_int_equal(job->run.timeouts.no_progress, 600000);
    assert_int_equal(job->run.timeouts.state, 300000);
    wh_job_free(job);
}

/* ---- refusals ----------------------------------------------------------------------------------
 */

#define HEAD "version: 1\nstreams:\n  - from: 'gen:a'\n    to: 'null:'\n"

/* Red when a mistake is accepted, or told at another place or without its hint. */
static void refusals(void **state)
{
    static const struct {
        const char *text, *want; /* "CODE where: message | hint" */
    } table[] = {
        {"", "E1041 t.yaml: the job file is empty | a job begins with 'version: 1'"},
        {"[1]", "E1041 t.yaml: a job is a map of settings | a job begins with 'version: 1'"},
        {"streams: [{ from: a, to: b }]", "E1043 t.yaml: the version is missing | write 'version: "
                                          "1'"},
        {"version: 2\nstreams: [{ from: a, to: b }]",
         "E1043 t.yaml:1:10: version '2' is not known to this program | write 'version: 1'"},
        {"version: 1", "E1005 t.yaml:1:1: a job needs a list of streams | write 'streams:' and "
                       "below it '  - { from: ..., to: ... }'"},
        {"version: 1\nstreams: [x]", "E1041 t.yaml:2:11: a stream is a map | write '- { from: ..., "
                                     "to: ... }'"},
        {"version: 1\nstreams: [{ from: a.csv }]",
         "E1005 t.yaml:2:11: the stream has no 'to' | write { from: ..., to: ... }"},
        {HEAD "    modee: append\n", "E1001 t.yaml:5:5: unknown key 'modee' of a stream | "},
        {HEAD "    wher: a\n",
         "E1001 t.yaml:5:5: unknown key 'wher' of a stream | did you mean 'where'?"},
        {HEAD "    mode: append\n",
         "E1001 t.yaml:5:5: 'mode' belongs below 'write' | write 'write: { mode: ... }'"},
        {HEAD "streems: []\n",
         "E1001 t.yaml:5:1: unknown key 'streems' of a job | did you mean 'streams'?"},
        {HEAD "    filter: a = 1\n",
         "E1014 t.yaml:5:5: 'filter' of a stream is not offered by this build yet: SQL expressions "
         "are not part of this version | use 'where' "
         "(the source's own language), or a query"},
        {HEAD "    incremental: { column: a }\n",
         "E1014 t.yaml:5:5: 'incremental' of a stream is not offered by this build yet | use "
         "'where' with a parameter for the bound"},
        {HEAD "schedule: { cron: '15 2 * * *' }\n",
         "E1014 t.yaml:5:1: 'schedule' of a job is not offered by this build yet | start it by "
         "cron: 15 2 * * * wherry run FILE"},
        {HEAD "    write: { mode: upsrt }\n",
         "E1002 t.yaml:5:20: mode: 'upsrt' is not known | did you mean 'upsert'? one of append, "
         "overwrite, truncate, upsert, replace, update, insert-ignore, delete-insert"},
        {HEAD "    write: { before: [delete from t, /* c */ Commit] }\n",
         "E1068 t.yaml:5:38: each statement runs in a transaction of its own, with the record that "
         "it was done: 'commit' cannot stand there | run it with the server's own client"},
        {HEAD "    write: { after: '-- nothing' }\n",
         "E1068 t.yaml:5:21: the statement is empty | leave it out"},
        {HEAD "    write: { mode: delete-insert }\n",
         "E1063 t.yaml:3:5: mode delete-insert needs to be told which rows to replace | "
         "--replace-where SQL or --replace-keys; in a job file write: { replace: { where: SQL } } "
         "or { replace: { keys: true } }"},
        {HEAD "    write: { mode: delete-insert, replace: { keys: true, where: a = 1 } }\n",
         "E1007 t.yaml:5:52: 'where' and 'keys' of write.replace exclude each other | take one of "
         "them"},
        {HEAD "    write: { replace: { keys: true } }\n",
         "E1007 t.yaml:3:5: write.replace belongs to mode delete-insert only | use mode "
         "delete-insert, or leave replace out"},
        {HEAD "    write: { mode: delete-insert, replace: { where: ' ' } }\n",
         "E1063 t.yaml:5:44: write.replace.where is empty; it never means all rows | name the rows "
         "that are replaced"},
        {HEAD "    write: { replace: { where: a = 1 } }\n",
         "E1007 t.yaml:3:5: write.replace belongs to mode delete-insert only | use mode "
         "delete-insert, or leave replace out"},
        {HEAD "    where: a = 1\n    query: select 1\n",
         "E1007 t.yaml:3:5: 'where' and 'query' exclude each other | put the condition into the "
         "query"},
        {HEAD "    merge: union\n",
         "E1004 t.yaml:5:12: merge: 'union' is not available: not in this build; tables of one "
         "shape go together with 'same' | one of same"},
        {HEAD "    dirty: { rows: many }\n",
         "E1002 t.yaml:5:20: rows: 'many' is not a whole number | "},
        {HEAD "    dirty: { ratio: 200% }\n", "E1003 t.yaml:5:21: ratio: 2 is outside of 0..1 | "},
        {HEAD "    write: append\n", "E1041 t.yaml:5:12: 'write' wants a map: { key: value } | "},
        {HEAD "    columns: []\n",
         "E1041 t.yaml:5:14: columns: wants a list | leave it out for all columns"},
        {HEAD "    columns: [a, a]\n",
         "E1067 t.yaml:5:18: the destination's column 'a' is named twice | "},
        {HEAD "    columns: ['*', '*']\n", "E1067 t.yaml:5:20: * stands twice | "},
        {HEAD "    columns: ['* but (a)']\n",
         "E1067 t.yaml:5:15: after * only 'except (...)' may follow | write '* except (a, b)'"},
        {HEAD "    columns: [{ from: a, expr: b }]\n",
         "E1014 t.yaml:5:26: 'expr' of a column is not offered by this build yet: SQL expressions "
         "are not part of this version | change a column by 'convert:', or let the source "
         "compute it: source_expr"},
        {HEAD "    columns: [{ to: a, source_expr: ' ' }]\n",
         "E1067 t.yaml:5:37: source_expr is empty | write { to: b, source_expr: 'a * 2' }"},
        {HEAD "    columns: [{ source_expr: b }]\n",
         "E1067 t.yaml:5:15: the column has no name: 'to' is missing | write { from: a, to: b }, { "
         "to: b, value: x } or { to: b, source: table }"},
        {HEAD "    columns: [{ from: a, to: a, source_expr: b }]\n",
         "E1067 t.yaml:5:15: a column comes from exactly one of from, value, source, source_expr, "
         "rest | write { from: a, to: b }, { to: b, value: x } or { to: b, source: table }"},
        {HEAD "    columns: [{ to: a, source_expr: b, convert: trim }]\n",
         "E1067 t.yaml:5:49: convert: changes a column of the source, and 'from' names it | write "
         "{ from: a, convert: trim }"},
        {HEAD "    columns: [{ to: a }]\n",
         "E1067 t.yaml:5:15: a column comes from exactly one of from, value, source, source_expr, "
         "rest | write { "
         "from: a, to: b }, { to: b, value: x } or { to: b, source: table }"},
        {HEAD "    columns: [{ to: a, source: key }]\n",
         "E1014 t.yaml:5:32: 'source: key' is not offered: it is the key of a message, and no "
         "source here has messages | name the column that is the key"},
        {HEAD "    types: { a: decimel }\n",
         "E1002 t.yaml:5:17: 'decimel' is no type | int32 int64 double decimal(18,2) text boolean "
         "date timestamp ..."},
        {HEAD "  - from: 'gen:a'\n    to: 'null:'\n",
         "E1042 t.yaml:5:5: the stream 'a' is there twice (also at t.yaml:3:5) | give one of them "
         "a 'name:' of its own"},
        {HEAD "params: { env: 1 }\n",
         "E1042 t.yaml:5:11: 'env' has a meaning of its own and cannot "
         "name a parameter | "},
        {HEAD "params: { d: { type: date, default: tomorrow } }\n",
         "E1053 t.yaml:5:11: parameter d: 'tomorrow' is no date | dates are yyyy-MM-dd, times "
         "yyyy-MM-dd HH:mm:ss, decimals have a point"},
        {HEAD "params: { d: { tipe: date } }\n",
         "E1001 t.yaml:5:16: unknown key 'tipe' of a parameter | did you mean 'type'?"},
        {HEAD "    where: \"a = '${who}'\"\nparams: { who: x }\n",
         "E1054 t.yaml:5:12: ${who} is text and stands in SQL | write ${x:sql} for a quoted "
         "literal, ${x:ident} for a quoted name"},
        {HEAD "timezone: Mars/X\n", "E1002 t.yaml:5:11: unknown time zone 'Mars/X' | write a name "
                                    "such as Europe/Berlin, UTC or +08:00"},
        {HEAD "connections: { c: { host: h } }\n",
         "E1005 t.yaml:5:16: connection 'c' has no type | write 'type: sqlite' or another"},
        {HEAD "run: { paralel: 3 }\n",
         "E1001 t.yaml:5:8: unknown key 'paralel' of run | did you mean 'parallel'?"},
        {HEAD "run: { limits: { rate: { a: b } } }\n",
         "E1002 t.yaml:5:26: 'a' is no part of a day | write { '08:00-20:00': 20MB/s, "
         "'20:00-08:00': none }"},
        {HEAD "run: { limits: { memory: 1MB } }\n",
         "E1003 t.yaml:5:26: memory: 1MB is outside of 16MiB..64TiB | "},
        {"version: 1\nstreams: [{ from: 'null:', to: 'null:' }]",
         "E1060 t.yaml:2:19: null can only be written, not read | "},
        {"version: 1\nstreams: [{ from: 'gen:a', to: 'gen:a' }]",
         "E1060 t.yaml:2:32: gen can only be read, not written | "},
        {"version: 1\nstreams: [{ from: 'gen:a', to: null }]",
         "E1037 t.yaml:2:32: this null is YAML's nothing, not the destination that counts and "
         "drops | "
         "write to: 'null:'"},
        {"version: 1\nstreams: [{ from: 'gen:a', to: 'out.db#x*' }]",
         "E1020 t.yaml:2:32: a destination cannot be a pattern | write {source.table} for the name "
         "of each source table"},
        {"version: 1\nstreams: [{ from: { table: x }, to: 'null:' }]",
         "E1005 t.yaml:2:19: 'from' names no connection | write conn: NAME (a connection), path: "
         "FILE, or type: CONNECTOR"},
        {"version: 1\nstreams: [{ from: { path: a.csv, delimter: x }, to: 'null:' }]",
         "E1001 t.yaml:2:34: unknown setting 'delimter' of file | did you mean 'delimiter'?"},
        {"version: 1\nstreams: [{ from: { path: a.csv, table: x }, to: 'null:' }]",
         "E1001 t.yaml:2:41: 'table' is no setting of file | name files by 'path:'"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wh_problems p = {.arena = arena};
        struct wh_job *job = NULL;
        int st = wh_job_read("t.yaml", table[i].text, strlen(table[i].text), NULL, NULL, &job, &p);
        const char *got;

        if (st == WH_OK)
            fail_msg("accepted:\n%s", table[i].text);
        assert_int_equal(st, WH_E_USAGE);
        got = wh_arena_printf(arena, "%s %s: %s | %s", p.v[0].code, p.v[0].where, p.v[0].message,
                              p.v[0].hint ? p.v[0].hint : "");
        if (strcmp(got, table[i].want) != 0)
            fail_msg("%s\n  gives '%s'\n wanted '%s'", table[i].text, got, table[i].want);
    }
}

/* Red when the second mistake is told only after the first was corrected. */
static void all_problems_at_once(void **state)
{
    static const char text[] =
        "version: 1\n"
        "streams:\n"
        "  - { from: 'gen:a?x=1', to: 'null:', limt: 3, dirty: { rows: y } }\n"
        "  - { from: 'gen:b', to: 'postgress://h/d#t', columns: [''] }\n"
        "run: { tables: 0 }\n"
        "nonsense: 1\n";
    static const char *const codes[] = {"E1001", "E1001", "E1001", "E1002",
                                        "E1021", "E1067", "E1003"};
    struct wh_problems p = {.arena = arena};
    struct wh_job *job = NULL;

    assert_int_equal(wh_job_read("t", text, sizeof text - 1, NULL, NULL, &job, &p), WH_E_USAGE);
    assert_int_equal(p.errors, 7);
    for (size_t i = 0; i < 7; i++)
        assert_string_equal(p.v[i].code, codes[i]);
}

/* ---- shape -------------------------------------------------------------------------------------
 */

#define SHAPED(params, stream, run)                                                                \
    "version: 1\nname: t\ntimezone: UTC\n" params "streams:\n  - { from: 'gen:a?rows=5,seed=2', "  \
    "to: 'out.db#t', dirty: { rows: 1 }" stream " }\nrun: { parallel: 2" run " }\n"

/* Red when what shapes the result is not part of the hash, or what does not shape it is. */
static void shape(void **state)
{
    static const struct {
        const char *text;
        bool same;
        const char *difference;
    } table[] = {
        {SHAPED("", "", ""), true, ""},
        {SHAPED("", ", parallel: 3, validate: count", ", limits: { memory: 1GB }"), true, ""},
        {"version: 1\nrun: { tables: 1 }\nstreams:\n  - dirty: { rows: 9, ratio: 1% }\n    to: "
         "{ path: out.db, table: t }\n    from: { type: gen, table: a, seed: 2, rows: 5 "
         "}\ntimezone: UTC\nname: t\n",
         true, ""},
        {SHAPED("", ", limit: 1", ""), false, "streams.t.limit: '0' before, '1' now\n"},
        {SHAPED("", ", where: a > 1", ""), false,
         "streams.t.where: 'a > 1' now, not there before\n"},
        {SHAPED("", ", write: { mode: upsert, keys: [a] }", ""), false,
         "streams.t.write.keys: 'a' now, not there before\nstreams.t.write.mode: 'append' before, "
         "'upsert' now\n"},
        {SHAPED("", ", columns: [a]", ""), false,
         "streams.t.columns.0001: 'a from a' now, not there before\n"},
        {SHAPED("", ", values: { nan: 'null' }", ""), false, "streams.t.values: "},
        {SHAPED("", ", accept_lossy: [a]", ""), false, "streams.t.accept_lossy: "},
        {SHAPED("", ", columns: [{ to: r, value: '${run.id}' }]", ""), false,
         "streams.t.columns.0001: 'r value ${run.id}' now, not there before\n"},
    };
    struct wh_job *first = must_read(table[0].text);

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct wh_job *job = must_read(table[i].text);
        WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 16);

        assert_ok(wh_job_difference(first, job, 5, &out));
        if (wh_u128_eq(first->shape, job->shape) != table[i].same ||
            strncmp(out.p ? out.p : "", table[i].difference, strlen(table[i].difference)) != 0)
            fail_msg("%s\n differs by '%s'", table[i].text, out.p ? out.p : "");
        wh_job_free(job);
    }
    wh_job_free(first);
    /* Two runs of one job have different ids and the same shape. */
    struct wh_job *a = must_read(table[9].text), *b = must_read(table[9].text);

    assert_string_not_equal(a->run_id, b->run_id);
    assert_true(wh_u128_eq(a->shape, b->shape));
    wh_job_free(a);
    wh_job_free(b);
}

/* Red when a stored job is not the job that was stored, or holds a secret. */
static void stored(void **state)
{
    static const char text[] =
        "version: 1\nname: 'a $${b}'\ntimezone: Asia/Shanghai\n"
        "params: { day: { type: date, default: '${dateformat(yyyy-MM-dd,-1,DAY)}' },"
        " t: { default: 'x$${y}', raw: true } }\n"
        "connections: { db: { type: postgresql, host: h, password: hunter2 },"
        " db2: { type: postgresql, host: '${env:HOME}', password: '${env:WH_TEST_PW}' } }\n"
        "defaults: { limit: 5 }\n"
        "streams:\n"
        "  - { name: s1, from: 'db:public.t', to: 'db2:x', where: 'a = ${t}',"
        " columns: [a, { to: d, value: '${day:yyyyMMdd} $${z} ${run.id}' }] }\n"
        "  - { from: 'pg://u:hunter2@h/d?sslmode=x#a', to: 'pg://u:${env:WH_TEST_PW}@h/d#b' }\n";
    struct wh_job *job = must_read(text), *again = NULL, *third = NULL;
    WH_CLEANUP(wh_buf_free) struct wh_buf a = WH_BUF(1 << 20), b = WH_BUF(1 << 20);
    struct wh_problems p = {.arena = arena};

    assert_string_equal(job->name, "a ${b}");
    assert_ok(wh_job_to_json(job, &a));
    assert_null(strstr(a.p, "hunter2"));
    assert_non_null(strstr(a.p, "\"password\":\"***\""));
    assert_non_null(strstr(a.p, "${env:WH_TEST_PW}"));
    assert_non_null(strstr(a.p, "pg://u:***@h/d?sslmode=x#a"));
    int st = wh_job_read(job->run_id, a.p, a.n, NULL, job->scheduled, &again, &p);

    for (size_t i = 0; i < p.n; i++)
        print_message("%s %s: %s\n", p.v[i].code, p.v[i].where, p.v[i].message);
    assert_int_equal(st, WH_OK);
    assert_string_equal(again->run_id, job->run_id);
    assert_int_equal(again->planned_us, job->planned_us);
    assert_string_equal(again->name, job->name);
    assert_string_equal(again->streams[0].where, "a = x${y}");
    assert_string_equal(again->streams[0].columns[1].value, job->streams[0].columns[1].value);
    assert_non_null(strstr(again->streams[0].columns[1].value, " ${z} r-"));
    assert_string_equal(again->params.v[0].value, job->params.v[0].value);
    assert_true(wh_u128_eq(again->shape, job->shape));
    assert_ok(wh_job_to_json(again, &b));
    assert_string_equal(a.p, b.p);
    /* And a third time, from the second. */
    assert_ok(wh_job_read("x", b.p, b.n, NULL, NULL, &third, &p));
    assert_true(wh_u128_eq(third->shape, job->shape));
    wh_job_free(job);
    wh_job_free(again);
    wh_job_free(third);
}

/* ---- parameters, scheduled, override, copy ------------------------------------------------------
 */

/* Red when --set or --scheduled do not reach the macros. */
static void from_outside(void **state)
{
    static const char text[] =
        "version: 1\ntimezone: Asia/Shanghai\n"
        "params: { day: { type: date, default: '${dateformat(yyyy-MM-dd,-1,DAY)}' } }\n"
        "streams: [{ from: 'gen:a', to: 'x_${day:yyyyMMdd}_${run.scheduled:HHmm}.csv' }]\n";
    struct wh_pair pair = {"day", "2020-01-02"}, unknown = {"dya", "2020-01-02"};
    struct wh_map set = {&pair, 1}, bad = {&unknown, 1};
    struct wh_problems p = {.arena = arena};
    struct wh_job *job = NULL;

    assert_ok(wh_job_read("t.yaml", text, sizeof text - 1, NULL, "2024-03-01 02:15:00", &job, &p));
    assert_string_equal(job->streams[0].name, "x_20240229_0215");
    assert_string_equal(job->scheduled, "2024-03-01 02:15:00");
    assert_int_equal(job->planned_us, INT64_C(1709230500000000));
    wh_job_free(job);
    assert_ok(wh_job_read("t.yaml", text, sizeof text - 1, &set, "2024-03-01", &job, &p));
    assert_string_equal(job->streams[0].name, "x_20200102_0000");
    wh_job_free(job);
    assert_int_equal(wh_job_read("t.yaml", text, sizeof text - 1, &bad, NULL, &job, &p),
                     WH_E_USAGE);
    assert_string_equal(p.v[0].hint, "did you mean 'day'?");
    p = (struct wh_problems){.arena = arena};
    assert_int_equal(wh_job_read("t.yaml", text, sizeof text - 1, NULL, "soon", &job, &p),
                     WH_E_USAGE);
    assert_string_equal(p.v[0].where, "--scheduled");
}

static struct wh_node *json(const char *text)
{
    struct wh_problems p = {.arena = arena};
    struct wh_node *ret = NULL;

    assert_ok(wh_json_parse(arena, "settings", text, strlen(text), &ret, &p));
    return ret;
}

/* Red when a flag does not win over the file, or resume may change what shapes the result. */
static void overriding(void **state)
{
    struct wh_job *job = must_read(SHAPED("", "", ""));
    struct wh_problems p = {.arena = arena};
    struct wh_u128 before = job->shape;

    assert_ok(wh_job_override(
        job, json("{\"run\":{\"parallel\":\"7\"},\"dirty\":\"rows=5,ratio=1%\"}"), true, &p));
    assert_int_equal(job->run.parallel, 7);
    assert_int_equal(job->streams[0].dirty_rows, 5);
    assert_true(job->streams[0].dirty_ratio > 0.009);
    assert_true(wh_u128_eq(before, job->shape));
    assert_int_equal(
        wh_job_override(job, json("{\"limit\":\"5\",\"run\":{\"tables\":\"1\"}}"), true, &p),
        WH_E_USAGE);
    assert_int_equal(p.errors, 2);
    p = (struct wh_problems){.arena = arena};
    assert_ok(wh_job_override(job, json("{\"limit\":\"5\",\"write\":{\"mode\":\"overwrite\"}}"),
                              false, &p));
    assert_int_equal(job->streams[0].limit, 5);
    assert_int_equal(job->streams[0].write.mode, WH_MODE_OVERWRITE);
    assert_int_equal(job->streams[0].dirty_rows, 5);
    assert_false(wh_u128_eq(before, job->shape));
    /* What was laid over is stored with the job. */
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 20);
    struct wh_job *again;

    assert_ok(wh_job_to_json(job, &out));
    assert_ok(wh_job_read("x", out.p, out.n, NULL, NULL, &again, &p));
    assert_true(wh_u128_eq(again->shape, job->shape));
    assert_int_equal(again->run.parallel, 7);
    wh_job_free(again);
    wh_job_free(job);
}

/* Red when the arguments of copy mean something else than the same words in a file. */
static void copying(void **state)
{
    struct wh_problems p = {.arena = arena};
    struct wh_job *job = NULL,
                  *file = must_read(
                      "version: 1\nname: copy\nstreams: [{ from: { path: [in/a.csv, in/b.csv], "
                      "delimiter: ';' },"
                      " to: { path: out.db, table: t }, columns: [id, { from: old, to: new }],"
                      " types: { id: 'decimal(9,2)', new: text }, limit: 5,"
                      " write: { mode: upsert, keys: [id] } }]\nrun: { parallel: 2 }\n");
    const char *sources[] = {"in/a.csv", "in/b.csv"}, *bad[] = {"in/a.csv", "gen:x"};
    const char *settings = "{\"from\":{\"delimiter\":\";\"},\"columns\":\"id,new=old\","
                           "\"types\":\"id=decimal(9,2),new=text\",\"limit\":\"5\","
                           "\"write\":{\"mode\":\"upsert\",\"keys\":\"id\"},"
                           "\"run\":{\"parallel\":\"2\"}}";

    assert_ok(wh_job_copy((struct wh_list){sources, 2}, "out.db#t", json(settings), &job, &p));
    assert_true(job->is_copy);
    assert_string_equal(job->streams[0].name, "t");
    assert_int_equal(job->run.parallel, 2);
    assert_string_equal(job->shape_text, file->shape_text);
    wh_job_free(file);
    /* Stored and read again it is still a copy. */
    WH_CLEANUP(wh_buf_free) struct wh_buf out = WH_BUF(1 << 20);
    struct wh_job *again;

    assert_ok(wh_job_to_json(job, &out));
    assert_ok(wh_job_read("x", out.p, out.n, NULL, NULL, &again, &p));
    assert_true(again->is_copy && wh_u128_eq(again->shape, job->shape));
    wh_job_free(again);
    wh_job_free(job);
    assert_int_equal(wh_job_copy((struct wh_list){bad, 2}, "out.db", NULL, &job, &p), WH_E_USAGE);
    assert_string_equal(p.v[0].code, "E1011");
    p = (struct wh_problems){.arena = arena};
    assert_int_equal(
        wh_job_copy((struct wh_list){sources, 1}, "out.db",
                    json("{\"from\":{\"delimeter\":\"x\"},\"write\":{\"mode\":\"x\"}}"), &job, &p),
        WH_E_USAGE);
    assert_int_equal(p.errors, 2);
}

/* Red when NAME:@FILE does not run the file's query. */
static void query_files(void **state)
{
    char path[] = "/tmp/wh_query_XXXXXX", text[400];
    int fd = mkstemp(path);

    assert_true(fd >= 0);
    assert_int_equal(write(fd, "select 1 -- ${x}\n", 17), 17);
    close(fd);
    snprintf(text, sizeof text,
             "version: 1\nconnections: { db: { type: pg, host: h } }\n"
             "streams: [{ from: 'db:@%s', to: 'null:', name: q }]\n",
             path);
    struct wh_job *job = must_read(text);

    assert_string_equal(job->streams[0].query, "select 1 -- ${x}\n");
    wh_job_free(job);
    unlink(path);
    struct wh_problems p = {.arena = arena};

    assert_int_equal(wh_job_read("t", text, strlen(text), NULL, NULL, &job, &p), WH_E_USAGE);
    assert_string_equal(p.v[0].code, "E1030");
}

/* Red when running out of memory anywhere while a job is read crashes or leaks. */
static void out_of_memory(void **state)
{
    static const char text[] =
        "version: 1\nparams: { d: { type: date, default: '2024-01-01' } }\n"
        "connections: { c: { type: pg, host: '${env:HOME}' } }\ndefaults: { dirty: { rows: 1 } }\n"
        "streams:\n  - { from: 'c:a.\"b\"', to: { path: 'x_${d:yyyy}.csv', format: csv },"
        " columns: [a, { from: b, to: c }, '* except (d)'], types: { a: text } }\n"
        "  - { from: 'in/*.csv', to: 'null:', where: a }\n";
    bool ended = false;

    for (int64_t nth = 1; !ended && nth < 20000; nth++) {
        struct wh_arena *a = wh_arena_new(1 << 20);
        struct wh_problems p = {.arena = a};
        struct wh_job *job = NULL;

        wh_mem_fail_at(nth, false);
        int st = wh_job_read("t", text, sizeof text - 1, NULL, NULL, &job, &p);

        ended = wh_mem_stats().calls >= 0 && st == WH_OK;
        wh_mem_fail_at(0, false);
        if (st == WH_OK)
            wh_job_free(job);
        wh_arena_free(a);
    }
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(settings_arrive), cmocka_unit_test(defaults),
        cmocka_unit_test(refusals),        cmocka_unit_test(all_problems_at_once),
        cmocka_unit_test(shape),           cmocka_unit_test(stored),
        cmocka_unit_test(from_outside),    cmocka_unit_test(overriding),
        cmocka_unit_test(selecting),       cmocka_unit_test(copying),
        cmocka_unit_test(query_files),     cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
