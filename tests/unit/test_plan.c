/* SPDX-License-Identifier: Apache-2.0 */
#include "test.h"

#include "fake_connectors.h"

#include "core/clock.h"
#include "engine/ctx.h"
#include "engine/plan.h"

static struct wh_services *services;

/* One job, planned: `streams` is the text below "streams:". */
struct planned {
    struct wh_arena *arena;
    struct wh_job *job;
    struct wh_plan *plan;
    struct wh_error error;
    struct wh_buf text;
    int status;
};

static void read_job(struct planned *p, const char *text)
{
    struct wh_problems problems = {.arena = p->arena};
    int st = wh_job_read("job.yaml", text, strlen(text), NULL, NULL, &p->job, &problems);

    for (size_t i = 0; i < problems.n; i++)
        print_message("%s %s: %s\n", problems.v[i].code, problems.v[i].where,
                      problems.v[i].message);
    assert_int_equal(st, WH_OK);
}

static void plan_frozen(struct planned *p, const char *text, const struct wh_frozen *frozen)
{
    memset(&lake_counts, 0, sizeof lake_counts);
    *p = (struct planned){.arena = wh_arena_new(64 << 20), .text = WH_BUF(1 << 20)};
    read_job(p, text);
    p->status = wh_plan_make(p->job, services, frozen, &p->plan, &p->error);
    assert_non_null(p->plan);
    assert_ok(wh_plan_print(p->plan, true, &p->text));
}

/* A whole job from its streams. */
static void plan_streams(struct planned *p, const char *streams)
{
    char text[8192];

    snprintf(text, sizeof text,
             "version: 1\nname: t\ntimezone: UTC\nconnections:\n"
             "  src: { type: lake, name: src, tables: 's.orders,s.items,s.tmp_x,v:s.recent' }\n"
             "  dst: { type: lake, name: dst }\n"
             "run: { parallel: 4 }\n"
             "streams:\n%s",
             streams);
    plan_frozen(p, text, NULL);
}

/* Every open has its close, also after refusals. */
static void done(struct planned *p)
{
    wh_plan_free(p->plan);
    wh_job_free(p->job);
    wh_buf_free(&p->text);
    wh_arena_free(p->arena);
    assert_int_equal(lake_counts.opened, lake_counts.closed);
    assert_int_equal(lake_counts.sessions, lake_counts.sessions_closed);
    assert_int_equal(lake_counts.scans, lake_counts.scans_closed);
    assert_int_equal(lake_counts.targets, lake_counts.targets_closed);
}

static void has(const struct planned *p, const char *words)
{
    if (!strstr(p->text.p, words))
        fail_msg("'%s' is not in:\n%s", words, p->text.p);
}

static int set_up(void **state)
{
    struct wh_error err;

    return wh_services_new("/tmp", NULL, &services, &err) == WH_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    wh_services_free(services);
    return 0;
}

/* ---- what a plan says --------------------------------------------------------------------------
 */

/* Red when the text of a plan changes: people and scripts read it. */
static void whole_text(void **state)
{
    struct planned p;
    static const char want[] =
        "plan of t: 1 table; 4 lanes, at most 64 MB of memory; times in UTC\n"
        "\n"
        "orders: src:s.orders -> dst:ods.orders\n"
        "  where      a > 1\n"
        "  mode       upsert by id (the source's primary key), made new\n"
        "  columns    3, 1 guessed from 10,000 rows\n"
        "    id      int64        -> int64 not null\n"
        "    buyer   name utf8    -> utf8            guessed\n"
        "    day     '2024-02-29' -> date not null   constant\n"
        "  read       key ranges, about 15 units of together 1,000,000 rows, 1.0 GB\n"
        "  lanes      3; write lanes: 3\n"
        "  prepare    create table t\n"
        "  publish    swap t   [destructive]\n"
        "  delivery   exactly once per unit (class T, atomic: unit)\n"
        "  a kill     committed units stay and are not read again; 'wherry resume' does the rest\n"
        "  snapshot   one instant, held by a process of its own that outlives a kill; if that is "
        "lost, resume reads the rest at a second instant\n"
        "  dirty      up to 5 rows are archived\n";

    plan_streams(&p, "  - from: { conn: src, schema: s, table: orders, guessed: name }\n"
                     "    to: { conn: dst, schema: ods, table: orders, max_writers: 3 }\n"
                     "    where: a > 1\n"
                     "    columns: [id, { from: name, to: buyer },"
                     " { to: day, value: '2024-02-29', type: date }]\n"
                     "    write: { mode: upsert }\n"
                     "    dirty: { rows: 5 }\n");
    assert_int_equal(p.status, WH_OK);
    assert_string_equal(p.text.p, want);
    /* Only what the mapping needs is asked of the source. */
    assert_int_equal(p.plan->flows[0]->n_projection, 2);
    done(&p);
}

/* Red when JSON is not JSON, or lacks what consoles draw. */
static void as_json(void **state)
{
    struct planned p;
    struct wh_buf out = WH_BUF(1 << 20);
    struct wh_problems problems;
    struct wh_node *doc;

    plan_streams(&p, "  - { from: 'src:s.orders', to: 'dst:o' }\n"
                     "  - { name: bad, from: 'src:s.none', to: 'dst:p' }\n");
    assert_int_equal(p.status, WH_E_NOT_FOUND);
    problems = (struct wh_problems){.arena = p.arena};
    assert_ok(wh_plan_to_json(p.plan, &out));
    assert_ok(wh_json_parse(p.arena, "plan", out.p, out.n, &doc, &problems));
    const struct wh_node *tables = wh_node_get(doc, "tables");

    assert_int_equal(tables->n, 2);
    assert_string_equal(wh_node_text(wh_node_get(tables->items[0], "delivery"), ""),
                        "exactly once per unit");
    const struct wh_node *columns = wh_node_get(tables->items[0], "columns");

    assert_int_equal(columns->n, 2);
    assert_string_equal(wh_node_text(wh_node_get(columns->items[0], "type"), ""), "int64");
    assert_string_equal(wh_node_text(wh_node_get(columns->items[0], "fit"), ""), "exact");
    assert_string_equal(wh_node_text(wh_node_get(tables->items[1], "refused"), ""), "true");
    assert_string_equal(
        wh_node_text(wh_node_get(wh_node_get(tables->items[1], "error"), "code"), ""), "E3001");
    wh_buf_free(&out);
    done(&p);
}

/* ---- refusals ----------------------------------------------------------------------------------
 */

/* Red when something impossible is planned, or refused with another code or without its words. */
static void refusals(void **state)
{
    static const struct {
        const char *streams, *code, *message;
    } table[] = {
        {"  - { from: 'src:s.orders', to: 'dst:o', write: { mode: replace } }", "E1061",
         "lake cannot be written with mode replace"},
        {"  - { from: 'src:s.orders', to: 'file:a.csv', write: { atomic: unit } }", "E1061",
         "file cannot publish with atomic: unit"},
        {"  - { from: 'file:a.csv', to: 'dst:o', where: a = 1 }", "E1064",
         "file has no language for 'where'"},
        {"  - { from: 'src:s.order', to: 'dst:o' }", "E3001", "src has no table 's.order'"},
        {"  - { from: 'src:zzz_*', to: 'dst:{source.table}' }", "E1028",
         "nothing of src matches 'src:zzz_*' (4 objects there)"},
        {"  - { from: 'src:s.*', to: 'dst:o' }", "E1027",
         "3 tables match 'src:s.*', but 'dst:o' is one destination"},
        {"  - { from: 'src:s.*', to: 'dst:{source.tabel}' }", "E1020",
         "{source.tabel} is not known in a name"},
        {"  - { from: 'src:s.*', to: 'dst:{source.table|lowr}' }", "E1020",
         "'lowr' is no filter of a name template"},
        {"  - { from: 'src:s.orders', to: 'dst:{row.id}' }", "E1014",
         "{row...} in a destination is not offered by this build yet"},
        {"  - { from: 'src:s.orders', to: 'dst:o', columns: [idd] }", "E3002", "no column 'idd'"},
        {"  - { from: 'src:s.orders', to: 'dst:o', columns: ['* except (idd)'] }", "E3002",
         "orders has no column 'idd'"},
        {"  - { from: 'src:s.orders', to: 'dst:o', columns: ['*', { to: id, value: 1 }] }", "E3008",
         "orders: two columns are named 'id'"},
        {"  - { from: 'src:s.orders', to: 'dst:o', types: { nme: text } }", "E3002",
         "orders has no column 'nme'"},
        {"  - { from: { conn: src, table: orders, columns: 'id int64;t timestamp(us)' },"
         " to: { conn: dst, table: o, accept: 't timestamp(us, utc)' } }",
         "E3011", "orders: 1 column cannot be copied unchanged: t (timestamp(us) -> "},
        {"  - { from: { conn: src, table: orders, columns: 'id int64;b binary' },"
         " to: { conn: dst, table: o, accept: 'b date' } }",
         "E3003", "orders: 1 column cannot be copied unchanged: b (binary -> date"},
        {"  - { from: { conn: src, table: orders, columns: 'a timestamp(us, utc);b timestamp(us, "
         "utc)' },"
         " to: { conn: dst, table: o, accept: 'a date;b timestamp(us)' } }",
         "E3004", "orders: 2 columns cannot be copied unchanged: a (timestamp(us, utc) -> date"},
        {"  - { from: { conn: src, table: orders, columns: 'a int64' }, to: 'dst:o',"
         " write: { mode: upsert } }",
         "E1062", "mode upsert needs key columns, and orders has none"},
        {"  - { from: 'src:s.orders', to: 'dst:o', write: { mode: upsert, keys: [nope] } }",
         "E3002", "orders: key column 'nope' is not among the columns"},
        {"  - { from: 'src:s.orders', to: 'dst:o', columns: ['*', { to: d, value: x,"
         " type: date }] }",
         "E3003", "constant 'x' does not fit column 'd'"},
        {"  - { from: 'src:s.orders', to: 'src:s.orders' }", "E1026",
         "orders would be read and written at once"},
        {"  - { from: 'src:s.orders', to: 'dst:o' }\n"
         "  - { name: b, from: 'src:s.items', to: 'dst:o' }",
         "E1042", "orders and items would both be written to dst:o"},
        {"  - { from: 'src:s.*', to: 'dst:o', merge: same, write: { mode: overwrite } }", "E1060",
         "many tables go into one only by append"},
        {"  - { from: { type: lake, name: x, fail: open, table: t }, to: 'dst:o' }", "E2001",
         "lake x does not answer"},
        {"  - { from: { type: lake, name: x, fail: session, table: t }, to: 'dst:o' }", "E2005",
         "lake refuses the login"},
        {"  - { from: 'src:s.orders', to: 'dst:o', columns: ['*', { to: f, source: file }] }",
         "E1014", "'source: file' has no single value for orders in this build"},
        {"  - { from: 'src:s.orders', to: 'dst:o', columns: ['*', { to: f, source_expr: 'id * 2' "
         "}] }",
         "E1014", "lake computes no columns: source_expr of 'f'"},
        {"  - { from: 'gen:lineitem?rows=1', to: 'dst:x*y' }", NULL, NULL},
    };

    for (size_t i = 0; table[i].code; i++) {
        struct planned p;

        plan_streams(&p, table[i].streams);
        if (p.status == WH_OK)
            fail_msg("not refused:\n%s\n%s", table[i].streams, p.text.p);
        if (strcmp(p.error.code, table[i].code) != 0 || !strstr(p.error.message, table[i].message))
            fail_msg("%s\n gives %s %s\nwanted %s %s", table[i].streams, p.error.code,
                     p.error.message, table[i].code, table[i].message);
        assert_true(p.error.where[0] != 0);
        done(&p);
    }
}

/* Red when what is lost before a run began is said to be resumed. */
static void lost_early(void **state)
{
    struct planned p;

    plan_streams(&p, "  - { from: { type: lake, name: x, fail: lost, table: t }, to: 'dst:o' }");
    assert_string_equal(p.error.code, "E2008");
    assert_string_equal(p.error.hint, "nothing had begun: start it again");
    done(&p);
}

/* Red when the first refusal hides the others, or an exit code of less weight is told. */
static void all_refusals(void **state)
{
    struct planned p;

    plan_streams(&p,
                 "  - { name: a, from: { type: lake, name: x, fail: session, table: t },"
                 " to: 'dst:a' }\n"
                 "  - { name: b, from: 'src:s.orders', to: 'dst:b' }\n"
                 "  - { name: c, from: 'src:s.orders', to: 'dst:c', write: { mode: replace } }\n"
                 "  - { name: d, from: 'src:s.none', to: 'dst:d' }\n");
    assert_int_equal(p.plan->n_flows, 4);
    assert_true(p.plan->flows[0]->refused && p.plan->flows[2]->refused &&
                p.plan->flows[3]->refused);
    assert_false(p.plan->flows[1]->refused);
    assert_string_equal(p.error.code, "E1061"); /* exit 2 before exit 9 */
    assert_non_null(strstr(p.error.message, "and 2 more tables are refused"));
    has(&p, "plan of t: 4 tables, 3 refused");
    has(&p, "E2005 lake refuses the login");
    done(&p);
}

/* ---- expansion ---------------------------------------------------------------------------------
 */

/* Red when tables are missing, doubled, or a view or excluded table is copied; when the catalogue
 * is asked once per stream; when equal connections are opened twice. */
static void expansion(void **state)
{
    struct planned p;

    plan_streams(&p,
                 "  - from: { conn: src, table: '*', exclude: ['tmp_*'] }\n"
                 "    to: 'dst:ods.{source.schema}_{source.table|upper|prefix(x_)}'\n"
                 "  - { name: again, from: 'src:/^s$/./IT.*/i', to: 'dst:more_{source.table}' }\n"
                 "  - { name: lit, from: { type: lake, name: src, table: orders,"
                 " tables: 's.orders,s.items,s.tmp_x,v:s.recent' }, to: 'dst:lit' }\n");
    assert_int_equal(p.status, WH_OK);
    assert_int_equal(p.plan->n_flows, 4);
    assert_string_equal(p.plan->flows[0]->table, "items");
    assert_string_equal(p.plan->flows[1]->table, "orders");
    assert_string_equal(p.plan->flows[0]->target_text, "dst:ods.s_x_ITEMS");
    assert_string_equal(p.plan->flows[2]->target_text, "dst:more_items");
    assert_string_equal(p.plan->flows[2]->table, "s.items");
    assert_string_equal(p.plan->flows[3]->table, "lit/orders");
    assert_int_equal(lake_counts.catalogs, 1);
    assert_int_equal(lake_counts.opened, 2);
    assert_int_equal(lake_counts.sessions, 2);
    /* Only where there are several: the name of one object says enough. */
    assert_string_equal(lake_counts.expected,
                        "from s.items s.orders;to ods.s_x_ITEMS ods.s_x_ORDERS;from;to;");
    has(&p, "warning: 1 view of src is left out");
    done(&p);
}

/* Red when a hint that fails, or that a connector does not take, keeps a table from being planned.
 */
static void nothing_expected(void **state)
{
    struct planned p;

    lake_counts.expected[0] = 0;
    plan_streams(&p, "  - { from: { type: lake, name: x, fail: expect, table: '*',"
                     " tables: 's.a,s.b' }, to: 'dst:{source.table}' }\n");
    assert_int_equal(p.status, WH_OK);
    assert_int_equal(p.plan->n_flows, 2);
    assert_string_equal(lake_counts.expected, "from s.a s.b;to a b;from;to;");
    done(&p);
}

/* Red when an unquoted name in another case is not found, or a quoted one is. */
static void case_of_names(void **state)
{
    struct planned p;

    plan_streams(&p, "  - { from: 'src:S.ORDERS', to: 'dst:o' }\n");
    assert_int_equal(p.status, WH_OK);
    has(&p, "src:S.ORDERS (s.orders) -> dst:o");
    assert_int_equal(p.plan->flows[0]->source.part[1].n, 6);
    assert_memory_equal(p.plan->flows[0]->source.part[1].s, "orders", 6);
    done(&p);
    plan_streams(&p, "  - { from: 'src:s.\"ORDERS\"', to: 'dst:o' }\n");
    assert_string_equal(p.error.code, "E3001");
    done(&p);
}

/* Red when tables of one shape cannot go together, or ones of different shapes do. */
static void merging(void **state)
{
    struct planned p;

    plan_streams(&p, "  - { from: 'src:s.*', to: 'dst:o', merge: same,"
                     " columns: ['*', { to: src, source: table }] }\n");
    assert_int_equal(p.status, WH_OK);
    assert_int_equal(p.plan->n_flows, 3);
    assert_string_equal(p.plan->flows[0]->columns[2].value, "items");
    assert_string_equal(p.plan->flows[1]->columns[2].value, "orders");
    /* What they share is made once, by the first. */
    assert_null(p.plan->flows[0]->leader);
    assert_ptr_equal(p.plan->flows[2]->leader, p.plan->flows[0]);
    assert_int_equal(p.plan->flows[0]->n_steps, 2);
    assert_int_equal(p.plan->flows[2]->n_steps, 1);
    has(&p, "append, together with items");
    done(&p);
}

/* ---- decisions ---------------------------------------------------------------------------------
 */

/* Red when the words about delivery are stronger than what the destination gives. */
static void promises(void **state)
{
    static const struct {
        const char *to, *words;
    } table[] = {
        {"commit_class: t", "exactly once per unit (class T, atomic: unit)"},
        {"commit_class: t, atomic: table", "exactly once per run (class T, atomic: table)"},
        {"commit_class: p", "exactly once per run (class P"},
        {"commit_class: k", "idempotent (class K"},
        {"commit_class: d", "idempotent (class D"},
        {"commit_class: x", "exactly once per unit (class X"},
        {"commit_class: a", "at least once (class A"},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct planned p;
        char text[400];

        snprintf(text, sizeof text,
                 "  - { from: 'src:s.orders', to: { conn: dst, table: o, %s } }\n", table[i].to);
        plan_streams(&p, text);
        assert_int_equal(p.status, WH_OK);
        has(&p, table[i].words);
        done(&p);
    }
    struct planned p;

    plan_streams(&p, "  - { from: 'src:s.orders', to: 'dst:o', write: { marker: off } }\n");
    has(&p, "at least once (class T");
    has(&p, "warning: marker: off gives up exactly once");
    has(&p, "rows may be there twice");
    done(&p);
}

/* Red when lanes exceed a cap of either side, or a flow under one batch gets threads. */
static void lanes(void **state)
{
    static const struct {
        const char *from, *to, *more;
        int lanes;
        bool fused;
    } table[] = {
        {"rows: 1000000", "max_writers: 0", "", 4, false},
        {"max_readers: 2", "max_writers: 3", "", 2, false},
        {"max_readers: 8", "max_writers: 1", "", 1, false},
        {"rows: 1000000", "max_writers: 0", ", parallel: 2", 2, false},
        {"unsplittable: true", "max_writers: 0", "", 1, false},
        {"rows: 1000000", "max_writers: 0", ", split: none", 1, false},
        {"rows: 100, bytes: 1000", "max_writers: 0", "", 1, true},
        {"rows: 20000, bytes: 1000", "max_writers: 0", "", 1, false},
        {"rows: -1, bytes: -1", "max_writers: 0", "", 4, false},
        {"rows: 1000000", "key_order: true", "", 1, false},
        {"rows: 1000000", "max_writers: 0", ", split: { target_bytes: 500MB }", 2, false},
    };

    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct planned p;
        char text[500];

        snprintf(text, sizeof text,
                 "  - { from: { conn: src, table: orders, %s }, to: { conn: dst, table: o, %s }%s "
                 "}\n",
                 table[i].from, table[i].to, table[i].more);
        plan_streams(&p, text);
        assert_int_equal(p.status, WH_OK);
        if (p.plan->flows[0]->lanes != table[i].lanes || p.plan->flows[0]->fused != table[i].fused)
            fail_msg("%s gives %d lanes, fused %d", text, p.plan->flows[0]->lanes,
                     p.plan->flows[0]->fused);
        done(&p);
    }
}

/* Red when the sum that the plan prints is above what --memory allows. */
static void memory(void **state)
{
    struct planned p;

    plan_frozen(&p,
                "version: 1\nconnections: { s: { type: lake, tables: t }, d: { type: lake, "
                "name: d } }\nrun: { parallel: 64, limits: { memory: 100MB } }\n"
                "streams: [{ from: 's:t', to: 'd:o' }]\n",
                NULL);
    assert_int_equal(p.status, WH_OK);
    assert_true(p.plan->memory <= 100000000 && p.plan->memory > 80000000);
    assert_true(p.plan->parallel > 1 && p.plan->parallel < 10);
    has(&p, "warning: --memory 100 MB holds");
    done(&p);
    plan_frozen(&p,
                "version: 1\nconnections: { s: { type: lake, tables: t }, d: { type: lake, "
                "name: d } }\nrun: { limits: { memory: 100MB } }\n"
                "streams: [{ from: 's:t', to: 'd:o', values: { max_row_bytes: 64MiB } }]\n",
                NULL);
    assert_string_equal(p.error.code, "E8001");
    done(&p);
}

/* Red when accepting a loss for one column accepts it for its neighbour. */
static void accepted_losses(void **state)
{
    struct planned p;
    struct wh_value_policy policy;

    plan_streams(&p, "  - { from: { conn: src, table: orders, columns: 'a timestamp(us,"
                     " utc);b date' }, to: { conn: dst, table: o, accept: 'a date' },"
                     " accept_lossy: [a] }\n");
    assert_int_equal(p.status, WH_OK);
    assert_int_equal(p.plan->flows[0]->columns[0].fit, WH_FIT_LOSSY);
    wh_plan_policy(p.plan->flows[0], 0, &policy);
    assert_true(policy.accept_lossy);
    wh_plan_policy(p.plan->flows[0], 1, &policy);
    assert_false(policy.accept_lossy);
    done(&p);
}

/* ---- resume ------------------------------------------------------------------------------------
 */

#define RESUME_HEAD                                                                                \
    "version: 1\nname: t\ntimezone: UTC\nconnections:\n"                                           \
    "  src: { type: lake, name: src, tables: 'orders,items' }\n"                                   \
    "  dst: { type: lake, name: dst }\n"                                                           \
    "streams:\n"

struct kept {
    struct wh_frozen frozen;
    struct wh_frozen_flow flows[8];
    struct wh_snapshot snapshots[4];
    struct wh_buf text[16];
};

/* What the state would keep of a plan. */
static void keep(struct planned *p, struct kept *k)
{
    *k = (struct kept){{0}};
    k->frozen = (struct wh_frozen){
        .run = "r-old", .flows = k->flows, .snapshots = k->snapshots, .n_snapshots = 2};
    k->snapshots[0] = (struct wh_snapshot){.kind = WH_SNAP_HELD, .token = {"tok", 3}};
    for (size_t i = 0; i < p->plan->n_flows; i++) {
        const struct wh_flow *f = p->plan->flows[i];

        k->text[2 * i] = k->text[2 * i + 1] = WH_BUF(1 << 20);
        assert_ok(wh_schema_to_json(&f->source_schema, &k->text[2 * i]));
        assert_ok(wh_schema_to_json(&f->tgt.accept, &k->text[2 * i + 1]));
        k->flows[i] = (struct wh_frozen_flow){.generation = 3,
                                              .table = f->table,
                                              .source_schema = k->text[2 * i].p,
                                              .accept_schema = k->text[2 * i + 1].p,
                                              .bounds = f->scan.ret_bounds,
                                              .memo = f->tgt.ret_memo,
                                              .fingerprint = f->fingerprint};
    }
    k->frozen.n_flows = p->plan->n_flows;
}

/* Red when a changed source, destination or bound is resumed, or the message does not name it. */
static void resuming(void **state)
{
    static const struct {
        const char *streams, *message; /* NULL: resumes */
    } table[] = {
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8', bounds: b1 }, to: "
         "'dst:o' }",
         NULL},
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8', bounds: b1, rows: 7,"
         " max_readers: 1 }, to: { conn: dst, table: o, max_writers: 1 }, dirty: { rows: 3 } }",
         NULL},
        {"{ from: { conn: src, table: orders, columns: 'id int64', bounds: b1 }, to: 'dst:o' }",
         "orders: column 'a' of the source is gone"},
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8;b date', bounds: b1 }, to: "
         "'dst:o' }",
         "orders: the source has a new column 'b'"},
        {"{ from: { conn: src, table: orders, columns: 'a utf8;id int64', bounds: b1 }, to: "
         "'dst:o' }",
         "orders: the columns of the source are in another order"},
        {"{ from: { conn: src, table: orders, columns: 'id int32;a utf8', bounds: b1 }, to: "
         "'dst:o' }",
         "orders: column 'id' of the source was int64, now it is int32"},
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8', bounds: b2 }, to: "
         "'dst:o' }",
         "orders: the plan fixed 'b1' to be read, now it is 'b2'"},
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8', bounds: b1 }, to: "
         "{ conn: dst, table: o, accept: 'a utf8(5)' } }",
         "orders: column 'a' of the destination was utf8, now it is utf8(5)"},
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8', bounds: b1 }, to: "
         "{ conn: dst, table: o, memo: m } }",
         "orders: the destination is not what the plan fixed"},
        {"{ from: { conn: src, table: orders, columns: 'id int64;a utf8', bounds: b1 }, to: "
         "'dst:o', where: a = 1 }",
         "orders: mapping, mode, filter, source or destination differ from the plan"},
        {"{ from: { conn: src, table: items, columns: 'id int64;a utf8', bounds: b1 }, to: 'dst:o' "
         "}",
         "table orders of the run is not there any more"},
    };
    struct planned first;
    struct kept k;
    char text[1000];

    snprintf(text, sizeof text, "%s  - %s\n", RESUME_HEAD, table[0].streams);
    plan_frozen(&first, text, NULL);
    assert_int_equal(first.status, WH_OK);
    keep(&first, &k);
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct planned p;

        snprintf(text, sizeof text, "%s  - %s\n", RESUME_HEAD, table[i].streams);
        plan_frozen(&p, text, &k.frozen);
        if (!table[i].message) {
            if (p.status != WH_OK)
                fail_msg("%s\n%s", table[i].streams, p.error.message);
            assert_string_equal(p.plan->run, "r-old");
            assert_int_equal(p.plan->flows[0]->generation, 3);
            assert_int_equal(p.plan->endpoints[0]->snapshot.kind, WH_SNAP_HELD);
            assert_memory_equal(p.plan->endpoints[0]->snapshot.token.p, "tok", 3);
        } else if (p.status == WH_OK || strcmp(p.error.code, "E7008") != 0 ||
                   !strstr(p.error.message, table[i].message)) {
            fail_msg("%s\n gives %s %s\nwanted E7008 %s", table[i].streams, p.error.code,
                     p.error.message, table[i].message);
        }
        done(&p);
    }
    memset(&lake_counts, 0, sizeof lake_counts);
    lake_counts.opened = lake_counts.sessions = 2;
    lake_counts.scans = lake_counts.targets = 1;
    done(&first);
    for (size_t i = 0; i < 2; i++)
        wh_buf_free(&k.text[i]);
}

/* Red when a table that came later joins a run that is resumed. */
static void later_tables(void **state)
{
    struct planned first, p;
    struct kept k;

    plan_frozen(&first,
                "version: 1\nname: t\nstreams:\n  - { from: { type: lake, table: '*', name: s, "
                "tables: 'b,c' }, to: { type: lake, name: d, table: '{source.table}' } }\n",
                NULL);
    assert_int_equal(first.status, WH_OK);
    keep(&first, &k);
    plan_frozen(&p,
                "version: 1\nname: t\nstreams:\n  - { from: { type: lake, table: '*', name: s, "
                "tables: 'a,b,c' }, to: { type: lake, name: d, table: '{source.table}' } }\n",
                &k.frozen);
    assert_int_equal(p.status, WH_OK);
    assert_int_equal(p.plan->n_flows, 2);
    assert_string_equal(p.plan->flows[0]->table, "b");
    has(&p, "warning: a came after the run began and is left out");
    done(&p);
    for (size_t i = 0; i < 4; i++)
        wh_buf_free(&k.text[i]);
    lake_counts = (struct lake_counts){.opened = 2, .sessions = 2, .scans = 2, .targets = 2};
    done(&first);
}

/* ---- cost --------------------------------------------------------------------------------------
 */

/* Red when planning costs time or memory that grows with the rows. */
static void cost(void **state)
{
    struct planned p;
    int64_t heap = wh_mem_stats().bytes, start = wh_now_ns();

    plan_streams(&p, "  - { from: { conn: src, table: orders, rows: 1000000000000,"
                     " bytes: 100000000000000 }, to: 'dst:o' }\n");
    assert_int_equal(p.status, WH_OK);
    assert_true(wh_mem_stats().bytes - heap < 5000000);
    assert_true(wh_now_ns() - start < 50000000);
    has(&p, "about 1,490,117 units");
    done(&p);
}

/* Red when running out of memory anywhere in a plan crashes, leaks, or is taken for success. */
static void out_of_memory(void **state)
{
    static const char text[] =
        "version: 1\nstreams:\n  - { from: { type: lake, table: '*', name: s, tables: 'b,c' },"
        " to: { type: lake, name: d, table: '{source.table}' }, columns: ['*', { to: x, value: 1,"
        " type: int32 }] }\n";
    bool ended = false;

    for (int64_t nth = 1; !ended && nth < 20000; nth++) {
        struct wh_arena *arena = wh_arena_new(1 << 20);
        struct wh_problems problems = {.arena = arena};
        struct wh_job *job = NULL;
        struct wh_plan *plan = NULL;
        struct wh_error err;

        memset(&lake_counts, 0, sizeof lake_counts);
        assert_ok(wh_job_read("t", text, sizeof text - 1, NULL, NULL, &job, &problems));
        wh_mem_fail_at(nth, false);
        int st = wh_plan_make(job, services, NULL, &plan, &err);

        ended = st == WH_OK;
        wh_mem_fail_at(0, false);
        wh_plan_free(plan);
        wh_job_free(job);
        wh_arena_free(arena);
        assert_int_equal(lake_counts.opened, lake_counts.closed);
        assert_int_equal(lake_counts.scans, lake_counts.scans_closed);
        assert_int_equal(lake_counts.targets, lake_counts.targets_closed);
    }
    assert_true(ended);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_text),
        cmocka_unit_test(as_json),
        cmocka_unit_test(refusals),
        cmocka_unit_test(all_refusals),
        cmocka_unit_test(lost_early),
        cmocka_unit_test(expansion),
        cmocka_unit_test(nothing_expected),
        cmocka_unit_test(case_of_names),
        cmocka_unit_test(merging),
        cmocka_unit_test(promises),
        cmocka_unit_test(lanes),
        cmocka_unit_test(memory),
        cmocka_unit_test(accepted_losses),
        cmocka_unit_test(resuming),
        cmocka_unit_test(later_tables),
        cmocka_unit_test(cost),
        cmocka_unit_test(out_of_memory),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
