/* SPDX-License-Identifier: Apache-2.0 */
/* The client seam against a real server (tests/servers/postgresql with ...). */
#include "test.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <netinet/in.h>
#include <arpa/inet.h>
#include <unistd.h>

#include "fake_ctx.h"
#include "core/buf.h"
#include "net/pg_client.h"

struct rig {
    struct fake_ctx fake;
    struct pg_conn *c;
};

static const char *env(const char *name)
{
    const char *v = getenv(name);

    if (!v) {
        printf("skipped: no server (%s); run by tests/servers/postgresql with\n", name);
        exit(77);
    }
    return v;
}

static struct wh_error last;

static int dial(struct rig *r, const char *user, const char *password, int64_t connect_ms,
                const char *port)
{
    const char *k[] = {"host", "port", "user", "password", "dbname", "sslmode", NULL};
    const char *v[] = {"127.0.0.1", port, user, password, "postgres", "disable", NULL};
    struct pg_times t = {.connect = connect_ms, .network = 30000};

    fake_ctx_init(&r->fake);
    r->fake.limit_ms = 60000;
    r->c = pg_new(&r->fake.ctx);
    assert_non_null(r->c);
    return pg_connect(r->c, k, v, &t, &last);
}

static void open_rig(struct rig *r)
{
    int st = dial(r, "postgres", NULL, 10000, env("WH_TEST_PG_PORT"));

    if (st != WH_OK)
        fail_msg("cannot connect: %s", last.message);
}

static void close_rig(struct rig *r)
{
    pg_free(r->c);
    fake_ctx_free(&r->fake);
}

static void want(struct rig *r, const char *sql, const char *value)
{
    struct pg_rows *rows = NULL;
    struct wh_str v;

    if (pg_query(r->c, sql, 0, NULL, &rows, &last) != WH_OK)
        fail_msg("%s: %s", sql, last.message);
    v = pg_cell(rows, 0, 0);
    if (v.n != strlen(value) || memcmp(v.s, value, v.n) != 0)
        fail_msg("%s: %.*s, not %s", sql, WH_STR_FMT(v), value);
    pg_rows_free(rows);
}

/* Fails if a statement, its rows, NULL, parameters or the count of touched rows get lost. */
static void statements(void **state)
{
    struct rig r;
    struct pg_rows *rows = NULL;
    const char *params[] = {"41", NULL, "it's"};

    open_rig(&r);
    assert_int_equal(pg_transaction(r.c), 'I');
    assert_true(pg_server_version(r.c) >= 150000);
    assert_string_equal(pg_parameter(r.c, "server_encoding"), "UTF8");
    assert_ok(
        pg_exec(r.c, "create temp table t(a int, b text); insert into t values (1, 'x')", &last));
    want(&r, "select 1; select b from t", "x");
    assert_ok(pg_query(r.c, "insert into t values ($1, $2), (7, $3)", 3, params, &rows, &last));
    assert_int_equal(pg_touched(rows), 2);
    pg_rows_freep(&rows);
    assert_ok(
        pg_query(r.c, "select a, b, true from t where a > 1 order by a", 0, NULL, &rows, &last));
    assert_int_equal(pg_n_rows(rows), 2);
    assert_int_equal(pg_n_columns(rows), 3);
    assert_int_equal(pg_cell_i64(rows, 1, 0, -1), 41);
    assert_null(pg_cell(rows, 1, 1).s);
    assert_int_equal(pg_cell_i64(rows, 1, 1, -5), -5);
    assert_true(pg_cell_bool(rows, 0, 2));
    assert_string_equal(pg_cell(rows, 0, 1).s, "it's");
    pg_rows_freep(&rows);
    want(&r, "select application_name from pg_stat_activity where pid = pg_backend_pid()",
         "wherry/0123456789ab/e1/test1");
    close_rig(&r);
}

static void add_one(struct rig *r, const char *number, int want_status)
{
    struct pg_rows *rows = NULL;
    const char *params[] = {number};
    int st = pg_query(r->c, "insert into t values ($1::int)", 1, params, &rows, &last);

    if (st != want_status)
        fail_msg("%s: %s", number, last.message);
    pg_rows_free(rows);
}

static const char kept_by_server[] =
    "select count(*) from pg_prepared_statements where statement like 'insert%'";

/* Fails if a statement that comes again is not prepared, or its parameters, its effect or the
 * session suffer where the server forgets what was prepared. */
static void prepared(void **state)
{
    struct rig r;
    const char *params[] = {"9"};
    struct pg_rows *rows = NULL;

    open_rig(&r);
    add_one(&r, "1", WH_E_NOT_FOUND);
    add_one(&r, "1", WH_E_NOT_FOUND); /* cannot be prepared: the words of the statement itself */
    assert_string_equal(last.sqlstate, "42P01");
    assert_ok(pg_exec(r.c, "create temp table t(a int)", &last));
    for (int i = 0; i < 450; i++) { /* its plan is made anew meanwhile */
        char number[16];

        snprintf(number, sizeof number, "%d", i);
        add_one(&r, number, WH_OK);
    }
    want(&r, "select count(*) || ' ' || sum(a) from t", "450 101025");
    want(&r, kept_by_server, "1");
    assert_ok(
        pg_query_after(r.c, "begin", "insert into t values ($1::int)", 1, params, &rows, &last));
    pg_rows_freep(&rows);
    assert_ok(pg_query_commit(r.c, "insert into t values ($1::int)", 1, params, 1, NULL, &last));
    assert_ok(pg_exec(r.c, "deallocate all; begin", &last));
    add_one(&r, "1", WH_E_REMOTE);
    assert_true(last.retriable);
    pg_rollback(r.c);
    add_one(&r, "1000", WH_OK);
    want(&r, kept_by_server, "0");
    want(&r, "select count(*) || ' ' || sum(a) from t", "453 102043");
    close_rig(&r);
    open_rig(&r);
    assert_ok(pg_exec(r.c, "create temp table t(a int)", &last));
    for (int i = 0; i < 3; i++)
        add_one(&r, "1", WH_OK);
    assert_ok(pg_exec(r.c, "deallocate all", &last));
    add_one(&r, "1", WH_OK);
    want(&r, "select count(*) from t", "4");
    close_rig(&r);
}

/* Fails if a refusal takes the connection along, or its kind is not told. */
static void refusals(void **state)
{
    static const struct {
        const char *sql, *sqlstate, *code;
        int status;
    } cases[] = {
        {"select 1/0", "22012", "E2015", WH_E_REMOTE},
        {"select * from nowhere", "42P01", "E3001", WH_E_NOT_FOUND},
        {"select nothing from pg_class", "42703", "E3002", WH_E_NOT_FOUND},
        {"set role wherry; set role postgres; select pg_read_file('/etc/passwd')", "42501", "E2006",
         WH_E_AUTH},
        {"set statement_timeout to 50; select pg_sleep(10)", "57014", "E2016", WH_E_REMOTE},
        {"do $$ begin raise exception 'deadly' using errcode = '40P01'; end $$", "40P01", "E2016",
         WH_E_REMOTE},
        {"begin read only; create table x(a int)", "25006", "E5014", WH_E_AUTH},
        {"this is no sql", "42601", "E2015", WH_E_REMOTE},
    };
    struct rig r;

    open_rig(&r);
    assert_ok(pg_exec(r.c, "set session authorization reader", &last));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        last = (struct wh_error){0};
        if (pg_exec(r.c, cases[i].sql, &last) != cases[i].status ||
            strcmp(last.sqlstate, cases[i].sqlstate) != 0 || strcmp(last.code, cases[i].code) != 0)
            if (i != 3 || strcmp(last.sqlstate, "42501") != 0)
                fail_msg("%s: %s %s %s: %s", cases[i].sql, wh_status_name(last.status), last.code,
                         last.sqlstate, last.message);
        pg_rollback(r.c);
        assert_int_equal(pg_transaction(r.c), 'I');
        assert_ok(pg_exec(r.c, "set statement_timeout to 0", &last));
    }
    want(&r, "select 5", "5");
    close_rig(&r);
}

/* Fails if a wait for a lock is not told as BLOCKED. */
static void locks(void **state)
{
    struct rig a, b;

    open_rig(&a);
    open_rig(&b);
    assert_ok(pg_exec(a.c, "create table lk(a int)", &last));
    assert_ok(pg_exec(a.c, "begin; lock table lk", &last));
    assert_ok(pg_exec(b.c, "set lock_timeout to 50", &last));
    assert_int_equal(pg_exec(b.c, "select * from lk", &last), WH_BLOCKED);
    assert_string_equal(last.sqlstate, "55P03");
    pg_rollback(a.c);
    assert_ok(pg_exec(b.c, "drop table lk", &last));
    close_rig(&a);
    close_rig(&b);
}

/* Fails if two statements of one packet are not both done, or a failure of the first is ignored. */
static void one_packet(void **state)
{
    struct rig r;
    struct pg_rows *rows = NULL;
    const char *params[] = {"9"};

    open_rig(&r);
    assert_ok(
        pg_query_after(r.c, "begin isolation level repeatable read; set local work_mem to '3MB';",
                       "select $1::int + 1, current_setting('work_mem')", 1, params, &rows, &last));
    assert_int_equal(pg_cell_i64(rows, 0, 0, 0), 10);
    assert_string_equal(pg_cell(rows, 0, 1).s, "3MB");
    pg_rows_freep(&rows);
    assert_int_equal(pg_transaction(r.c), 'T');
    assert_ok(pg_exec(r.c, "commit", &last));
    assert_int_equal(
        pg_query_after(r.c, "select 1/0", "create table made(a int)", 0, NULL, &rows, &last),
        WH_E_REMOTE);
    assert_null(rows);
    want(&r, "select count(*) from pg_class where relname = 'made'", "0");
    assert_int_equal(pg_query_after(r.c, "begin", "select $1::int/0", 1, params, &rows, &last),
                     WH_E_REMOTE);
    assert_int_equal(pg_transaction(r.c), 'E');
    pg_rollback(r.c);
    want(&r, "select 6", "6");
    close_rig(&r);
}

/* Fails if a commit is told that did not happen, or happens though the count was wrong. */
static void commits(void **state)
{
    struct rig r;
    const char *params[] = {"1"};
    int64_t n = -1;

    open_rig(&r);
    assert_ok(pg_exec(r.c,
                      "drop table if exists cm; create table cm(a int, b int unique deferrable "
                      "initially deferred)",
                      &last));
    assert_ok(pg_exec(r.c, "begin; insert into cm values (1, 1)", &last));
    assert_ok(pg_query_commit(r.c, "update cm set b = 2 where a = $1", 1, params, 1, &n, &last));
    assert_int_equal(n, 1);
    want(&r, "select b from cm", "2");
    assert_ok(pg_exec(r.c, "begin; insert into cm values (2, 5)", &last));
    assert_int_equal(
        pg_query_commit(r.c, "update cm set b = 3 where a = $1 + 7", 1, params, 1, &n, &last),
        WH_FENCED);
    assert_int_equal(pg_transaction(r.c), 'I');
    want(&r, "select count(*) from cm", "1");
    assert_ok(pg_exec(r.c, "begin; insert into cm values (2, 2)", &last));
    assert_int_equal(pg_query_commit(r.c, "update cm set a = a", 0, params, -1, &n, &last),
                     WH_E_REMOTE);
    assert_string_equal(last.sqlstate, "23505");
    want(&r, "select count(*) from cm", "1");
    assert_ok(pg_exec(r.c, "begin", &last));
    assert_int_equal(pg_exec(r.c, "select 1/0", &last), WH_E_REMOTE);
    assert_int_equal(pg_query_commit(r.c, "update cm set a = a", 0, params, -1, &n, &last),
                     WH_E_REMOTE);
    assert_ok(pg_exec(r.c, "begin", &last));
    assert_ok(pg_query_commit(r.c, "insert into cm values (8,8), (9,9)", 0, params, -1, &n, &last));
    assert_int_equal(n, 2);
    assert_ok(pg_exec(r.c, "drop table cm", &last));
    close_rig(&r);
}

/* Fails if the end of a session in the middle of a commit is told as anything but UNKNOWN. */
static void *kill_later(void *pid)
{
    struct rig r;
    char sql[80];

    open_rig(&r);
    usleep(300000);
    snprintf(sql, sizeof sql, "select pg_terminate_backend(%d)", *(int *)pid);
    assert_ok(pg_exec(r.c, sql, &last));
    close_rig(&r);
    return NULL;
}

static void unknown_commit(void **state)
{
    struct rig r;
    pthread_t t;
    struct wh_error err = {0};
    int pid;

    open_rig(&r);
    pid = pg_backend_pid(r.c);
    assert_ok(
        pg_exec(r.c,
                "drop table if exists uc; create table uc(a int); create function slow() returns "
                "trigger language plpgsql as 'begin perform pg_sleep(30); return null; end'; "
                "create constraint trigger late after insert on uc deferrable initially "
                "deferred for each row execute function slow()",
                &last));
    assert_ok(pg_exec(r.c, "begin", &last));
    pthread_create(&t, NULL, kill_later, &pid);
    assert_int_equal(pg_query_commit(r.c, "insert into uc values (1)", 0, NULL, 1, NULL, &err),
                     WH_UNKNOWN);
    assert_true(err.outcome_unknown);
    assert_true(pg_dead(r.c));
    pthread_join(t, NULL);
    close_rig(&r);
    open_rig(&r);
    want(&r, "select count(*) from uc", "0");
    assert_ok(pg_exec(r.c, "drop table uc; drop function slow", &last));
    close_rig(&r);
}

/* Fails if rows of a COPY are lost or changed on their way out or in, at any size of the pieces. */
static void copy_both_ways(void **state)
{
    static const size_t sizes[] = {1, 17, 4096, 131071, 131072, 1000000, 5000000};
    struct rig a, b;
    struct wh_buf all = WH_BUF(64 << 20);
    struct wh_bytes row;
    int64_t n = 0;

    open_rig(&a);
    open_rig(&b);
    assert_ok(pg_exec(a.c, "create table cp(a int, b text)", &last));
    assert_ok(
        pg_copy_out(a.c,
                    "copy (select i, repeat('x', i % 200) from generate_series(1, 60000) i) to "
                    "stdout (format binary)",
                    &last));
    while (pg_copy_get(a.c, &row, &last) == WH_OK)
        assert_ok(wh_buf_add(&all, row.p, row.n));
    assert_int_equal(pg_copy_get(a.c, &row, &last), WH_END);
    assert_int_equal(pg_copy_rows(a.c), 60000);
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        if (sizes[s] == 1 && all.n > (16 << 20))
            continue;
        assert_ok(pg_copy_in(b.c, "truncate cp; copy cp from stdin (format binary)", &last));
        for (size_t at = 0; at < all.n; at += sizes[s])
            assert_ok(
                pg_copy_put(b.c, all.p + at, all.n - at < sizes[s] ? all.n - at : sizes[s], &last));
        assert_ok(pg_copy_end(b.c, NULL, &n, &last));
        assert_int_equal(n, 60000);
        want(&b, "select count(*) || '/' || sum(a) || '/' || sum(length(b)) from cp",
             "60000/1800030000/5970000");
    }
    assert_ok(pg_exec(b.c, "drop table cp", &last));
    wh_buf_free(&all);
    close_rig(&a);
    close_rig(&b);
}

/* Fails if an error during COPY is not noticed before the end, or ends the session. */
static void copy_refused(void **state)
{
    struct rig r;
    int64_t n = 0;
    int puts = 0, st = WH_OK;
    char junk[65536];

    open_rig(&r);
    memset(junk, 'x', sizeof junk);
    assert_ok(pg_exec(r.c, "create temp table j(a int)", &last));
    assert_ok(pg_copy_in(r.c, "begin; copy j from stdin (format binary)", &last));
    while (st == WH_OK && puts++ < 4000)
        st = pg_copy_put(r.c, junk, sizeof junk, &last);
    assert_int_equal(st, WH_E_REMOTE);
    assert_string_equal(last.sqlstate, "22P04");
    assert_true(puts < 2000);
    assert_int_equal(pg_copy_put(r.c, junk, 1, &last), WH_E_REMOTE);
    assert_int_equal(pg_copy_end(r.c, NULL, &n, &last), WH_E_REMOTE);
    pg_rollback(r.c);
    assert_int_equal(pg_transaction(r.c), 'I');
    /* Text: the context names line and column. */
    assert_ok(pg_copy_in(r.c, "copy j from stdin", &last));
    assert_ok(pg_copy_put(r.c, "1\n2\nzwei\n", 9, &last));
    assert_int_equal(pg_copy_end(r.c, NULL, &n, &last), WH_E_REMOTE);
    assert_non_null(strstr(last.message, "COPY j, line 3, column a"));
    assert_true(wh_str_starts(pg_said(r.c, 'W'), "COPY j, line 3"));
    /* Given up on purpose. */
    assert_ok(pg_copy_in(r.c, "begin; copy j from stdin", &last));
    assert_ok(pg_copy_put(r.c, "1\n2\n", 4, &last));
    assert_ok(pg_copy_end(r.c, "no more", &n, &last));
    assert_int_equal(pg_transaction(r.c), 'E');
    pg_rollback(r.c);
    want(&r, "select count(*) from j", "0");
    close_rig(&r);
}

/* Fails if a COPY that is left in the middle keeps the session from being used again. */
static void copy_left(void **state)
{
    struct rig r;
    struct wh_bytes row;

    open_rig(&r);
    assert_ok(
        pg_copy_out(r.c,
                    "begin; copy (select i, repeat('x', 500) from generate_series(1, 5000000) i) "
                    "to stdout (format binary)",
                    &last));
    assert_ok(pg_copy_get(r.c, &row, &last));
    pg_rollback(r.c);
    assert_false(pg_dead(r.c));
    assert_int_equal(pg_transaction(r.c), 'I');
    want(&r, "select 3", "3");
    assert_ok(pg_exec(r.c, "create temp table j(a int)", &last));
    assert_ok(pg_copy_in(r.c, "begin; copy j from stdin", &last));
    assert_ok(pg_copy_put(r.c, "1\n2\n", 4, &last));
    pg_rollback(r.c);
    want(&r, "select count(*) from j", "0");
    close_rig(&r);
}

/* Fails if notices of the server disturb a COPY, reach stderr or are not kept. */
static void notices(void **state)
{
    struct rig r;
    int64_t n = 0;

    open_rig(&r);
    assert_ok(
        pg_exec(r.c,
                "set client_min_messages to notice; create temp table nt(a int); create or replace "
                "function pg_temp.n() "
                "returns trigger language plpgsql as 'begin raise notice ''row %'', new.a; return "
                "new; end'; create trigger n before insert on nt for each row execute function "
                "pg_temp.n()",
                &last));
    assert_ok(pg_copy_in(r.c, "copy nt from stdin", &last));
    for (int i = 0; i < 50000; i++) {
        char line[32];
        int len = snprintf(line, sizeof line, "%d\n", i);

        assert_ok(pg_copy_put(r.c, line, (size_t)len, &last));
    }
    assert_ok(pg_copy_end(r.c, NULL, &n, &last));
    assert_int_equal(n, 50000);
    assert_string_equal(pg_notice(r.c, 0), "row 49999");
    assert_string_equal(pg_notice(r.c, 3), "row 49996");
    assert_null(pg_notice(r.c, 4));
    close_rig(&r);
}

static void *interrupt_later(void *c)
{
    usleep(200000);
    pg_interrupt(c);
    return NULL;
}

static int64_t backends(struct rig *r, int pid)
{
    struct pg_rows *rows = NULL;
    char sql[100];
    int64_t n;

    snprintf(sql, sizeof sql, "select count(*) from pg_stat_activity where pid = %d", pid);
    assert_ok(pg_query(r->c, sql, 0, NULL, &rows, &last));
    n = pg_cell_i64(rows, 0, 0, -1);
    pg_rows_free(rows);
    return n;
}

/* Fails if an interrupted statement goes on here or at the server. */
static void interrupts(void **state)
{
    static const char *const sql[] = {"select pg_sleep(60)",
                                      "copy (select pg_sleep(60)) to stdout (format binary)"};
    struct rig r, judge;

    open_rig(&judge);
    for (int i = 0; i < 2; i++) {
        int64_t before;
        pthread_t t;
        int pid, st;

        open_rig(&r);
        pid = pg_backend_pid(r.c);
        before = wh_now_ns();
        pthread_create(&t, NULL, interrupt_later, r.c);
        if (i == 0) {
            st = pg_exec(r.c, sql[i], &last);
        } else {
            struct wh_bytes row;

            st = pg_copy_out(r.c, sql[i], &last);
            while (st == WH_OK)
                st = pg_copy_get(r.c, &row, &last);
        }
        assert_int_equal(st, WH_LOST);
        assert_true(pg_dead(r.c));
        pthread_join(t, NULL);
        close_rig(&r);
        assert_true(wh_now_ns() - before < INT64_C(2000000000));
        for (int k = 0; k < 100 && backends(&judge, pid); k++)
            usleep(20000);
        assert_int_equal(backends(&judge, pid), 0);
    }
    close_rig(&judge);
}

/* Fails if being asked to stop leaves a statement running at the server. */
static void cancelled(void **state)
{
    struct rig r, judge;
    int pid;

    open_rig(&judge);
    open_rig(&r);
    pid = pg_backend_pid(r.c);
    r.fake.cancel = true;
    assert_int_equal(pg_exec(r.c, "select pg_sleep(60)", &last), WH_E_CANCELLED);
    close_rig(&r);
    for (int k = 0; k < 100 && backends(&judge, pid); k++)
        usleep(20000);
    assert_int_equal(backends(&judge, pid), 0);
    close_rig(&judge);
}

static void *go_on_later(void *pid)
{
    usleep(150000);
    kill(*(int *)pid, SIGCONT);
    return NULL;
}

/* Fails if a cancel request that comes before its statement, which the server then forgets, is the
 * only one: the backend sleeps while both are sent, and wakes up to the request first. */
static void cancel_comes_first(void **state)
{
    static const char *const sql[] = {"select pg_sleep(60)",
                                      "copy (select pg_sleep(60)) to stdout (format binary)"};
    struct rig r, judge;
    pthread_t t, u;

    open_rig(&judge);
    for (int i = 0; i < 4; i++) {
        int64_t before;
        int pid, st;

        open_rig(&r);
        pid = pg_backend_pid(r.c);
        assert_int_equal(kill(pid, SIGSTOP), 0);
        r.fake.cancel = i < 2;
        if (i >= 2)
            pthread_create(&u, NULL, interrupt_later, r.c);
        st = i % 2 ? pg_copy_out(r.c, sql[1], &last) : pg_exec(r.c, sql[0], &last);
        assert_int_equal(st, i < 2 ? WH_E_CANCELLED : WH_LOST);
        if (i >= 2)
            pthread_join(u, NULL);
        before = wh_now_ns();
        pthread_create(&t, NULL, go_on_later, &pid);
        close_rig(&r);
        assert_true(wh_now_ns() - before < INT64_C(2500000000));
        pthread_join(t, NULL);
        for (int k = 0; k < 100 && backends(&judge, pid); k++)
            usleep(20000);
        if (backends(&judge, pid) != 0)
            fail_msg("case %d: the statement goes on", i);
    }
    close_rig(&judge);
}

/* Fails if a statement that is rolled back while it runs, with rows on the way, costs the session.
 */
static void rolled_back_running(void **state)
{
    struct rig r;
    struct wh_bytes row;

    open_rig(&r);
    for (int i = 0; i < 20; i++) {
        assert_ok(pg_copy_out(r.c, "copy (select generate_series(1, 100000000)) to stdout", &last));
        for (int k = 0; k <= i * 50; k++)
            assert_ok(pg_copy_get(r.c, &row, &last));
        pg_rollback(r.c);
        assert_false(pg_dead(r.c));
        want(&r, "select 7", "7");
    }
    close_rig(&r);
}

/* Fails if a session that the server ended is told as anything but LOST. */
static void ended_by_server(void **state)
{
    struct rig r, judge;
    char sql[80];

    open_rig(&judge);
    open_rig(&r);
    snprintf(sql, sizeof sql, "select pg_terminate_backend(%d, 5000)", pg_backend_pid(r.c));
    assert_ok(pg_exec(judge.c, sql, &last));
    assert_int_equal(pg_exec(r.c, "select 1", &last), WH_LOST);
    assert_non_null(strstr(last.message, "terminating connection"));
    assert_int_equal(pg_exec(r.c, "select 1", &last), WH_LOST);
    pg_rollback(r.c);
    close_rig(&r);
    close_rig(&judge);
}

/* Fails if a refused log-in is not told as one. */
static void log_ins(void **state)
{
    struct rig r;
    const char *port = env("WH_TEST_PG_PORT");

    assert_int_equal(dial(&r, "reader", "wrong", 5000, port), WH_E_AUTH);
    assert_string_equal(last.code, "E2005");
    assert_string_equal(last.sqlstate, "28P01");
    assert_null(strstr(last.message, "LOCATION"));
    assert_null(strstr(last.message, "28P01"));
    close_rig(&r);
    assert_int_equal(dial(&r, "reader", NULL, 5000, port), WH_E_AUTH);
    assert_string_equal(last.code, "E2005");
    close_rig(&r);
    assert_int_equal(dial(&r, "postgres", NULL, 5000, "1"), WH_E_IO);
    assert_string_equal(last.code, "E2001");
    assert_true(last.retriable);
    close_rig(&r);
}

/* Fails if a port that accepts and says nothing is waited for longer than connect_timeout, or an
 * interrupt does not end the wait. */
static void silence(void **state)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof a;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    char port[16];
    struct rig r;
    int64_t before = wh_now_ns();

    assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(listen(fd, 5), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    snprintf(port, sizeof port, "%d", ntohs(a.sin_port));
    assert_int_equal(dial(&r, "postgres", NULL, 400, port), WH_E_IO);
    assert_string_equal(last.code, "E2002");
    assert_true(wh_now_ns() - before < INT64_C(1500000000));
    close_rig(&r);

    const char *k[] = {"host", "port", "user", "dbname", NULL};
    const char *v[] = {"127.0.0.1", port, "postgres", "postgres", NULL};
    struct pg_times t = {.connect = 30000};
    pthread_t th;

    fake_ctx_init(&r.fake);
    r.fake.limit_ms = 60000;
    r.c = pg_new(&r.fake.ctx);
    before = wh_now_ns();
    pthread_create(&th, NULL, interrupt_later, r.c);
    assert_int_equal(pg_connect(r.c, k, v, &t, &last), WH_LOST);
    assert_true(wh_now_ns() - before < INT64_C(1500000000));
    pthread_join(th, NULL);
    close_rig(&r);
    close(fd);
}

/* Fails if a protocol error of ours is not said as one. */
static void misuse(void **state)
{
    struct rig r;
    struct wh_bytes row;

    open_rig(&r);
    assert_int_equal(pg_copy_put(r.c, "x", 1, &last), WH_E_BUG);
    close_rig(&r);
    open_rig(&r);
    assert_int_equal(pg_copy_out(r.c, "select 1", &last), WH_E_BUG);
    close_rig(&r);
    open_rig(&r);
    assert_int_equal(pg_exec(r.c, "copy (select 1) to stdout", &last), WH_E_BUG);
    assert_true(pg_dead(r.c));
    close_rig(&r);
    open_rig(&r);
    assert_ok(pg_copy_out(r.c, "copy (select 1) to stdout", &last));
    assert_int_equal(pg_exec(r.c, "select 1", &last), WH_E_BUG);
    assert_int_equal(pg_copy_get(r.c, &row, &last), WH_OK);
    close_rig(&r);
}

/* With a word: only tests of that name (cmocka's pattern). */
int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statements),
        cmocka_unit_test(prepared),
        cmocka_unit_test(refusals),
        cmocka_unit_test(locks),
        cmocka_unit_test(one_packet),
        cmocka_unit_test(commits),
        cmocka_unit_test(unknown_commit),
        cmocka_unit_test(copy_both_ways),
        cmocka_unit_test(copy_refused),
        cmocka_unit_test(copy_left),
        cmocka_unit_test(notices),
        cmocka_unit_test(interrupts),
        cmocka_unit_test(cancelled),
        cmocka_unit_test(cancel_comes_first),
        cmocka_unit_test(rolled_back_running),
        cmocka_unit_test(ended_by_server),
        cmocka_unit_test(log_ins),
        cmocka_unit_test(silence),
        cmocka_unit_test(misuse),
    };

    if (argc > 1)
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
