/* SPDX-License-Identifier: Apache-2.0 */
/* Types in both directions, and what the catalogue of a real server tells. */
#include "test.h"

#include <stdlib.h>

#include "fake_ctx.h"
#include "pg.h"

/* ---- types, without a server ---- */

struct shape {
    uint32_t oid;
    int32_t typmod;
    const char *type;
    enum pg_wire wire;
    bool cast;
};

static const char *print(const struct wh_type *t)
{
    static struct wh_buf b = {.max = 4096};

    wh_buf_clear(&b);
    assert_ok(wh_type_print(t, &b));
    return b.p;
}

/* Fails if a type of the server is read as another one of ours. */
static void to_ours(void **state)
{
    static const struct shape shapes[] = {
        {16, -1, "bool", PG_W_BOOL, false},
        {17, -1, "binary", PG_W_BYTEA, false},
        {18, -1, "utf8", PG_W_CHAR, false},
        {790, -1, "decimal", PG_W_NUMERIC, true},
        {20, -1, "int64", PG_W_I64, false},
        {21, -1, "int16", PG_W_I16, false},
        {23, -1, "int32", PG_W_I32, false},
        {26, -1, "uint32", PG_W_OID, false},
        {700, -1, "float32", PG_W_F32, false},
        {701, -1, "float64", PG_W_F64, false},
        {1042, 5 + 4, "utf8(5)", PG_W_TEXT, false},
        {1043, 20 + 4, "utf8(20)", PG_W_TEXT, false},
        {1043, -1, "utf8", PG_W_TEXT, false},
        {1082, -1, "date", PG_W_DATE, false},
        {1083, 3, "time(us)", PG_W_TIME, false},
        {1114, -1, "timestamp(us)", PG_W_TIMESTAMP, false},
        {1184, 0, "timestamp(us, utc)", PG_W_TIMESTAMPTZ, false},
        {1186, -1, "interval", PG_W_INTERVAL, false},
        {1700, -1, "decimal", PG_W_NUMERIC, false},
        {1700, (10 << 16 | 2) + 4, "decimal(10,2)", PG_W_NUMERIC, false},
        {1700, (38 << 16 | 38) + 4, "decimal(38,38)", PG_W_NUMERIC, false},
        {1700, (76 << 16 | 0) + 4, "decimal(76,0)", PG_W_NUMERIC, false},
        {1700, (77 << 16 | 0) + 4, "decimal", PG_W_NUMERIC, false},
        {1700, (5 << 16 | (-2 & 0x7ff)) + 4, "decimal", PG_W_NUMERIC, false},
        {1700, (3 << 16 | 5) + 4, "decimal", PG_W_NUMERIC, false},
        {2950, -1, "uuid", PG_W_UUID, false},
        {114, -1, "json", PG_W_TEXT, false},
        {3802, -1, "json", PG_W_JSONB, false},
        {869, -1, "utf8", PG_W_TEXT, true},  /* inet */
        {1266, -1, "utf8", PG_W_TEXT, true}, /* timetz */
        {142, -1, "utf8", PG_W_TEXT, true},  /* xml */
        {1007, -1, "utf8", PG_W_TEXT, true}, /* integer[] */
    };

    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        const struct shape *s = &shapes[i];
        struct pg_col c = {.oid = s->oid,
                           .base_oid = s->oid,
                           .typmod = s->typmod,
                           .typtype = 'b',
                           .not_null = true};

        pg_type_of(&c);
        if (strcmp(print(&c.type), s->type) != 0 || c.wire != s->wire || c.cast != s->cast ||
            c.type.nullable)
            fail_msg("oid %u typmod %d: %s wire %d cast %d", s->oid, s->typmod, print(&c.type),
                     c.wire, c.cast);
    }
}

struct made {
    const char *type, *native, *decl, *sent;
    enum pg_wire wire;
};

/* Fails if a new column would hold other values than its source, or loses the source's own words.
 */
static void to_theirs(void **state)
{
    static const struct made rows[] = {
        {"bool", "", "boolean", "bool", PG_W_BOOL},
        {"int8", "", "smallint", "int16", PG_W_I16},
        {"uint8", "", "smallint", "int16", PG_W_I16},
        {"uint16", "", "integer", "int32", PG_W_I32},
        {"uint32", "", "bigint", "int64", PG_W_I64},
        {"uint64", "", "numeric(20,0)", "uint64", PG_W_NUMERIC},
        {"int64", "INTEGER", "bigint", "int64", PG_W_I64},
        {"int64", "integer", "bigint", "int64", PG_W_I64},
        {"int32", "integer", "integer", "int32", PG_W_I32},
        {"float32", "", "real", "float32", PG_W_F32},
        {"float64", "", "double precision", "float64", PG_W_F64},
        {"decimal(10,2)", "numeric(10,2)", "numeric(10,2)", "decimal(10,2)", PG_W_NUMERIC},
        {"decimal(50,10)", "", "numeric(50,10)", "decimal(50,10)", PG_W_NUMERIC},
        {"decimal", "", "numeric", "decimal", PG_W_NUMERIC},
        {"decimal", "numeric(90,10)", "numeric(90,10)", "decimal", PG_W_NUMERIC},
        {"utf8", "", "text", "utf8", PG_W_TEXT},
        {"utf8(20)", "varchar(20)", "character varying(20)", "utf8(20)", PG_W_TEXT},
        {"utf8(5)", "character(5)", "character(5)", "utf8(5)", PG_W_TEXT},
        {"utf8(20000000)", "", "text", "utf8(20000000)", PG_W_TEXT},
        {"utf8", "inet", "text", "utf8", PG_W_TEXT},
        {"utf8", "name", "name", "utf8", PG_W_TEXT},
        {"json", "", "json", "json", PG_W_TEXT},
        {"json", "jsonb", "jsonb", "json", PG_W_JSONB},
        {"uuid", "", "uuid", "uuid", PG_W_UUID},
        {"binary", "", "bytea", "binary", PG_W_BYTEA},
        {"date", "", "date", "date", PG_W_DATE},
        {"time(ns)", "", "time without time zone", "time(us)", PG_W_TIME},
        {"timestamp(s)", "", "timestamp without time zone", "timestamp(us)", PG_W_TIMESTAMP},
        {"timestamp(ns, utc)", "", "timestamp with time zone", "timestamp(us, utc)",
         PG_W_TIMESTAMPTZ},
        {"timestamp(us)", "timestamp(3) without time zone", "timestamp(3) without time zone",
         "timestamp(us)", PG_W_TIMESTAMP},
        {"duration(us)", "", "interval", "interval", PG_W_INTERVAL},
        {"interval", "", "interval", "interval", PG_W_INTERVAL},
        {"uint32", "oid", "oid", "uint32", PG_W_OID},
        {"decimal(10,2)", "numeric(10,2", "numeric(10,2)", "decimal(10,2)", PG_W_NUMERIC},
        {"utf8(3)", "character(x)", "character varying(3)", "utf8(3)", PG_W_TEXT},
    };

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct wh_type t;
        char decl[PG_DECL];
        enum pg_wire wire;

        if (!wh_type_parse(rows[i].type, &t))
            fail_msg("'%s' is no type", rows[i].type);
        pg_decl_for(&t, wh_str(rows[i].native), decl, &wire);
        if (strcmp(decl, rows[i].decl) != 0 || strcmp(print(&t), rows[i].sent) != 0 ||
            wire != rows[i].wire)
            fail_msg("%s (%s): %s, sent as %s on wire %d", rows[i].type, rows[i].native, decl,
                     print(&t), wire);
    }
}

/* Fails if a kind is forgotten. */
static void every_kind(void **state)
{
    for (int k = 0; k < WH_K_COUNT; k++) {
        struct wh_type t = {
            .kind = (enum wh_kind)k, .nullable = true, .precision = 5, .scale = 2, .length = 3};
        char decl[PG_DECL] = "";
        enum pg_wire wire;

        pg_decl_for(&t, (struct wh_str){NULL, 0}, decl, &wire);
        assert_true(decl[0] != 0);
        assert_true(t.kind != WH_K_NULL && t.kind != WH_K_LIST && t.kind != WH_K_DICT);
    }
}

/* ---- the catalogue ---- */

struct rig {
    struct fake_ctx fake;
    struct pg_connection o;
    struct pg_ep ep;
    struct pg_se se;
};

static struct wh_error last;

static void open_rig(struct rig *r)
{
    struct wh_str ident;

    memset(r, 0, sizeof *r);
    fake_ctx_init(&r->fake);
    r->fake.limit_ms = 60000;
    r->o = (struct pg_connection){.host = "127.0.0.1",
                                  .port = strtol(getenv("WH_TEST_PG_PORT"), NULL, 10),
                                  .database = "postgres",
                                  .user = "postgres",
                                  .tls = PG_TLS_AUTO,
                                  .connect_timeout = 10000,
                                  .network_timeout = 30000};
    assert_ok(pg_endpoint.open(&r->ep, &r->fake.ctx, WH_COORDINATOR, &r->o, &last));
    if (pg_endpoint.session_open(&r->se, &r->ep, WH_CONTROL, &ident, &last) != WH_OK)
        fail_msg("%s", last.message);
}

static void close_rig(struct rig *r)
{
    pg_endpoint.session_close(&r->se);
    pg_endpoint.close(&r->ep);
    fake_ctx_free(&r->fake);
}

static void sql(struct rig *r, const char *text)
{
    if (pg_exec(r->se.c, text, &last) != WH_OK)
        fail_msg("%s: %s", text, last.message);
}

static int describe(struct rig *r, const char *schema, const char *table, struct pg_table *t)
{
    struct wh_name n = {.n = schema ? 2 : 1};

    n.part[0] = wh_str(schema ? schema : table);
    n.part[1] = wh_str(table);
    return pg_describe(&r->se, &n, NULL, t, &last);
}

static const struct pg_col *column(const struct pg_table *t, const char *name)
{
    for (int i = 0; i < t->n_cols; i++)
        if (strcmp(t->cols[i].name, name) == 0)
            return &t->cols[i];
    fail_msg("no column %s", name);
    return NULL;
}

static const char setup[] =
    "create schema \"S 1\"; create type \"S 1\".mood as enum ('a', 'b'); "
    "create domain \"S 1\".pos as numeric(8,3) not null check (value > 0); "
    "create domain \"S 1\".pos2 as \"S 1\".pos; "
    "create table \"S 1\".\"T \"\"x\"\"\" (a int generated always as identity, gone int, b text "
    "collate "
    "\"C\" not null default 'it''s', c \"S 1\".pos2, m \"S 1\".mood, g int generated always as (1 "
    "+ 2) "
    "stored, s serial, arr \"S 1\".mood[], primary key (b, a)); "
    "alter table \"S 1\".\"T \"\"x\"\"\" drop gone; "
    "comment on table \"S 1\".\"T \"\"x\"\"\" is 'a ''table'''; "
    "comment on column \"S 1\".\"T \"\"x\"\"\".b is 'name'; "
    "create table \"S 1\".t1 (a int); create table \"S 1\".\"T1\" (b int); create table \"S "
    "1\".\"Only\" "
    "(c int); create table public.only_here (d int); "
    "create table public.p (a int) partition by range (a); create table public.p1 partition of "
    "public.p "
    "for values from (0) to (10) partition by range (a); create table public.p11 partition of "
    "public.p1 "
    "for values from (0) to (10); insert into public.p select i % 10 from generate_series(1, 5000) "
    "i; "
    "create view public.v as select 1 as one; create table public.wherry_run (run text, "
    "epoch int, state text); "
    "create table public.big (a int, b text); insert into public.big select i, repeat('x', 100) "
    "from "
    "generate_series(1, 20000) i; create table public.none ();";

/* Fails if anything that a table's description promises is not what the server has. */
static void described(void **state)
{
    struct rig r;
    struct pg_table t;
    const struct pg_col *c;

    open_rig(&r);
    sql(&r, setup);
    assert_ok(describe(&r, "S 1", "T \"x\"", &t));
    assert_int_equal(t.n_cols, 7);
    assert_string_equal(t.comment, "a 'table'");
    assert_true(t.has_pk && t.can_read);
    assert_int_equal(t.kind, 'r');
    c = column(&t, "a");
    assert_true(c->identity && c->identity_always && c->not_null && !c->has_default);
    assert_int_equal(c->pk, 2);
    c = column(&t, "b");
    assert_int_equal(c->pk, 1);
    assert_string_equal(c->dflt, "'it''s'::text");
    assert_string_equal(c->comment, "name");
    assert_string_equal(c->collation, "pg_catalog.\"C\"");
    c = column(&t, "c");
    assert_string_equal(c->type_text, "\"S 1\".pos2");
    assert_string_equal(print(&c->type), "decimal(8,3)");
    c = column(&t, "m");
    assert_string_equal(c->type_text, "\"S 1\".mood");
    assert_false(c->cast); /* its binary form is its label */
    assert_true(strncmp(c->shape, "enum (", 6) == 0);
    assert_true(strncmp(c->make, "create type \"S 1\".mood as enum (", 32) == 0);
    assert_string_equal(column(&t, "arr")->shape, c->shape);
    assert_string_equal(column(&t, "arr")->plain, "\"S 1\".mood[]");
    assert_null(column(&t, "s")->shape);
    assert_string_equal(column(&t, "c")->plain, "numeric");
    assert_true(column(&t, "g")->generated);
    assert_string_equal(column(&t, "g")->dflt, "(1 + 2)");
    assert_string_equal(column(&t, "arr")->type_text, "\"S 1\".mood[]");
    pg_table_free(&t);
    sql(&r, "create schema other; create table other.t1 (x int)");
    close_rig(&r);
}

/* Fails if a name leads to another table than it says, or an unclear one is guessed. */
static void names(void **state)
{
    struct rig r;
    struct pg_table t;

    open_rig(&r);
    assert_ok(describe(&r, "S 1", "t1", &t));
    assert_string_equal(t.cols[0].name, "a");
    pg_table_free(&t);
    assert_ok(describe(&r, "S 1", "T1", &t));
    assert_string_equal(t.cols[0].name, "b");
    pg_table_free(&t);
    assert_ok(describe(&r, "s 1", "ONLY", &t));
    assert_string_equal(t.name, "Only");
    assert_string_equal(t.schema, "S 1");
    pg_table_free(&t);
    sql(&r, "create table \"S 1\".\"tEe\" (a int); create table \"S 1\".\"TeE\" (a int)");
    assert_int_equal(describe(&r, "S 1", "TEE", &t), WH_E_USAGE);
    assert_string_equal(last.code, "E3009");
    pg_table_free(&t);
    assert_ok(describe(&r, NULL, "only_here", &t));
    assert_string_equal(t.schema, "public");
    pg_table_free(&t);
    assert_int_equal(describe(&r, NULL, "t1", &t), WH_E_NOT_FOUND);
    assert_string_equal(last.code, "E3001");
    pg_table_free(&t);
    sql(&r, "alter role postgres set search_path = 'S 1', \"$user\", public");
    close_rig(&r);
    open_rig(&r);
    assert_ok(describe(&r, NULL, "t1", &t));
    assert_string_equal(t.schema, "S 1");
    pg_table_free(&t);
    sql(&r, "alter role postgres reset search_path");
    struct wh_name n = {.part = {wh_str("elsewhere"), wh_str("S 1"), wh_str("t1")}, .n = 3};

    assert_int_equal(pg_describe(&r.se, &n, NULL, &t, &last), WH_E_NOT_FOUND);
    pg_table_free(&t);
    n.part[0] = wh_str("postgres");
    assert_ok(pg_describe(&r.se, &n, NULL, &t, &last));
    pg_table_free(&t);
    close_rig(&r);
}

static struct wh_name two(const char *schema, const char *table)
{
    return (struct wh_name){.part = {wh_str(schema), wh_str(table)}, .n = schema[0] ? 2 : 1};
}

/* Fails if a table that was looked for among many is another one than when it is looked for alone,
 * or if each of many costs a statement. */
static void expected(void **state)
{
    static const char *const asked[][2] = {
        {"S 1", "t1"},
        {"S 1", "T1"},
        {"s 1", "ONLY"},
        {"S 1", "TEE"},
        {"S 1", "none at all"},
        {"public", "p"},
        {"", "big"},
        {"", "only_HERE"},
        {"S 1", "T \"x\""},
        {"S 1", "t1"},
        {"other", "t1"},
        {"", "\\{,}"},
        {"public", "none"},
        {"nowhere", "t1"},
        {"public",
         "a name that is longer than the sixty-three bytes that the server can keep of it"},
        {"postgres", ""}};
    enum {
        N = sizeof asked / sizeof *asked
    };
    struct wh_name v[N];
    struct wh_objects objects = {.v = v, .n = N};
    struct pg_from from = {0};
    struct rig r, alone;

    open_rig(&r);
    open_rig(&alone);
    for (size_t i = 0; i < N; i++) {
        v[i] = two(asked[i][0], asked[i][1]);
        if (!asked[i][0][0])
            v[i].part[0] = v[i].part[1];
    }
    if (pg_expect(&r.ep, &r.se, &objects, &from, false, &last) != WH_OK)
        fail_msg("%s", last.message);
    assert_int_equal(pg_transaction(r.se.c), 'I');
    for (size_t i = 0; i < N; i++) {
        struct wh_error one = {0}, other = {0};
        struct pg_table a, b;
        int st = pg_describe(&r.se, &v[i], NULL, &a, &one);

        if (pg_describe(&alone.se, &v[i], NULL, &b, &other) != st ||
            strcmp(one.message, other.message) != 0 || strcmp(one.hint, other.hint) != 0)
            fail_msg("%s.%s: %s; alone: %s", asked[i][0], asked[i][1], one.message, other.message);
        if (st == WH_OK) {
            assert_int_equal(a.oid, b.oid);
            assert_int_equal(a.n_cols, b.n_cols);
            assert_int_equal(a.est_rows, b.est_rows);
            assert_int_equal(a.bytes, b.bytes);
            for (int c = 0; c < a.n_cols; c++)
                assert_string_equal(a.cols[c].name, b.cols[c].name);
        }
        pg_table_free(&a);
        pg_table_free(&b);
    }
    /* What was looked up is kept: a table made since is not seen until it is let go of. */
    struct wh_name late = two("S 1", "none at all");
    struct pg_table t;

    sql(&alone, "create table \"S 1\".\"none at all\" (a int)");
    assert_int_equal(pg_describe(&r.se, &late, NULL, &t, &last), WH_E_NOT_FOUND);
    pg_table_free(&t);
    objects.n = 0;
    assert_ok(pg_expect(&r.ep, &r.se, &objects, NULL, false, &last));
    assert_ok(pg_describe(&r.se, &late, NULL, &t, &last));
    pg_table_free(&t);
    sql(&alone, "drop table \"S 1\".\"none at all\"");
    close_rig(&alone);
    close_rig(&r);
}

/* Fails if a locked table holds up all others, or leaves the session in a transaction. */
static void expected_locked(void **state)
{
    struct wh_name v[] = {two("public", "big"), two("public", "only_here")};
    struct wh_objects objects = {.v = v, .n = 2};
    struct rig r, other;
    struct pg_table t;

    open_rig(&r);
    open_rig(&other);
    sql(&other, "begin; lock table public.big in access exclusive mode");
    assert_int_equal(pg_expect(&r.ep, &r.se, &objects, NULL, false, &last), WH_BLOCKED);
    assert_int_equal(pg_transaction(r.se.c), 'I');
    assert_ok(pg_describe(&r.se, &v[1], NULL, &t, &last));
    pg_table_free(&t);
    sql(&other, "rollback");
    close_rig(&other);
    close_rig(&r);
}

/* Fails if an estimate is far from the truth, or made up where the server knows nothing. */
static void estimates(void **state)
{
    struct rig r;
    struct pg_table t;

    open_rig(&r);
    assert_ok(describe(&r, "public", "big", &t));
    assert_true(t.est_rows == -1 || t.est_rows > 15000); /* autovacuum may have been there */
    assert_true(t.est_bytes > 2000000 && t.pages > 200);
    pg_table_free(&t);
    sql(&r, "analyze public.big; insert into public.big select i, repeat('x', 100) from "
            "generate_series(1, 20000) i; analyze public.p");
    assert_ok(describe(&r, "public", "big", &t));
    assert_true(t.est_rows > 35000 && t.est_rows < 45000);
    pg_table_free(&t);
    assert_ok(describe(&r, "public", "p", &t));
    assert_int_equal(t.kind, 'p');
    assert_int_equal(t.est_rows, 5000);
    pg_table_free(&t);
    assert_ok(describe(&r, "public", "v", &t));
    assert_int_equal(t.est_rows, -1);
    pg_table_free(&t);
    assert_ok(describe(&r, "public", "none", &t));
    assert_int_equal(t.n_cols, 0);
    assert_int_equal(t.est_rows, 0);
    pg_table_free(&t);
    close_rig(&r);
}

struct seen {
    char names[2000];
    int n;
};

static int see(void *arg, const struct wh_object *o)
{
    struct seen *s = arg;

    assert_int_equal(o->name.n, 2);
    assert_non_null(o->columns);
    snprintf(s->names + strlen(s->names), sizeof s->names - strlen(s->names), "%.*s.%.*s/%d ",
             WH_STR_FMT(o->name.part[0]), WH_STR_FMT(o->name.part[1]), (int)o->columns->n_children);
    s->n++;
    return WH_OK;
}

/* Fails if a table is left out of the list, listed twice, or listed though it is ours, the system's
 * or a part of another one. */
static void listed(void **state)
{
    struct rig r;
    struct seen all = {.n = 0}, some = {.n = 0};
    struct wh_pattern p = {.prefix = wh_str("on")};

    open_rig(&r);
    assert_ok(pg_catalog(&r.ep, &r.se, NULL, see, &all, &last));
    assert_string_equal(all.names,
                        "S 1.Only/1 S 1.T \"x\"/7 S 1.T1/1 S 1.TeE/1 S 1.t1/1 S 1.tEe/1 "
                        "other.t1/1 public.big/2 public.none/0 public.only_here/1 public.p/1 "
                        "public.v/1 ");
    assert_ok(pg_catalog(&r.ep, &r.se, &p, see, &some, &last));
    assert_string_equal(some.names, "public.only_here/1 ");
    close_rig(&r);
}

/* Fails if thousands of tables need a query each, or one of a page is mixed up with another. */
static int count_columns(void *arg, const struct wh_object *o)
{
    struct seen *s = arg;
    struct wh_str t = o->name.part[1];

    if (wh_str_starts(t, "many_")) {
        assert_int_equal(o->columns->n_children, strtol(t.s + 5, NULL, 10) % 5 + 1);
        s->n++;
    }
    return WH_OK;
}

static void many(void **state)
{
    struct rig r;
    struct seen s = {.n = 0};
    int64_t before;

    open_rig(&r);
    sql(&r,
        "do $$ begin for i in 1 .. 2500 loop execute format('create table public.many_%s (%s)', i, "
        "(select string_agg('c' || k || ' int', ',') from generate_series(0, i % 5) k)); end loop; "
        "end $$");
    before = wh_now_ns();
    assert_ok(pg_catalog(&r.ep, &r.se, NULL, count_columns, &s, &last));
    assert_int_equal(s.n, 2500);
    printf("2500 tables in %lld ms\n", (long long)((wh_now_ns() - before) / 1000000));
    close_rig(&r);
}

/* Fails if a query's columns are not those that it gives, if it runs, or if it may be two. */
static void queries(void **state)
{
    struct rig r;
    struct pg_table t;
    const char *text =
        "select a, b as \"B b\", 1.5::numeric(5,2) n, now() at time zone 'x', 'q' u, a "
        "from only_here, big -- the end\n ; ";

    open_rig(&r);
    assert_int_equal(pg_describe_query(&r.se, "select d, x from only_here", &t, &last),
                     WH_E_NOT_FOUND);
    pg_table_free(&t);
    assert_int_equal(
        pg_describe_query(&r.se, "select 1) x; create table bad(a int); select * from (select 1",
                          &t, &last),
        WH_E_REMOTE);
    assert_string_equal(last.code, "E4009");
    pg_table_free(&t);
    if (pg_describe_query(&r.se, text, &t, &last) != WH_OK)
        fail_msg("%s", last.message);
    assert_int_equal(t.n_cols, 6);
    assert_string_equal(t.cols[1].name, "B b");
    assert_string_equal(print(&t.cols[2].type), "decimal(5,2)");
    assert_string_equal(t.cols[3].type_text, "timestamp without time zone");
    assert_string_equal(t.cols[4].type_text, "text");
    assert_true(t.cols[0].type.nullable);
    pg_table_free(&t);
    struct pg_rows *rows = NULL;

    assert_ok(pg_query(r.se.c, "show search_path", 0, NULL, &rows, &last));
    assert_string_equal(pg_cell(rows, 0, 0).s, "\"\"");
    pg_rows_free(rows);
    close_rig(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(to_ours),         cmocka_unit_test(to_theirs),
        cmocka_unit_test(every_kind),      cmocka_unit_test(described),
        cmocka_unit_test(names),           cmocka_unit_test(expected),
        cmocka_unit_test(expected_locked), cmocka_unit_test(estimates),
        cmocka_unit_test(listed),          cmocka_unit_test(many),
        cmocka_unit_test(queries),
    };

    if (!getenv("WH_TEST_PG_PORT")) {
        printf("skipped: no server; run by tests/servers/postgresql with\n");
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
