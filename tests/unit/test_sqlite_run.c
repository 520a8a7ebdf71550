/* SPDX-License-Identifier: Apache-2.0 */
/* The marker protocol on SQLite: claim, epoch, twins, fences, zombies, kills. Other processes are
 * forked before this one opens any database, so that they share no locks. */
#include "sqlite_side.h"

#include <signal.h>
#include <pthread.h>
#include <sqlite3.h>
#include <sys/wait.h>

static const char *const ddl = "create table t(k int, v text);";

static void kv_schema(struct ArrowSchema *ret)
{
    const struct wh_type k = {.kind = WH_K_I64, .nullable = true};
    const struct wh_type v = {.kind = WH_K_UTF8, .nullable = true};

    assert_ok(wh_schema_init(ret, 2));
    assert_ok(wh_schema_set(ret, 0, "k", &k, NULL));
    assert_ok(wh_schema_set(ret, 1, "v", &v, NULL));
}

/* Rows from..from+n-1 */
static void kv_rows(const struct ArrowSchema *schema, int64_t from, int n, struct wh_batch *ret)
{
    struct wh_builder *b;
    struct wh_error err;

    assert_ok(wh_builder_new(schema, &b, &err));
    for (int i = 0; i < n; i++) {
        assert_ok(wh_col_i64(wh_builder_column(b, 0), from + i));
        assert_ok(wh_col_bytes(wh_builder_column(b, 1), "value", 5));
    }
    assert_ok(wh_builder_finish(b, ret));
    wh_builder_free(b);
}

/* ---- twins, fences, fates ---- */

/* Fails if a unit can be committed twice, or lookup does not tell what the marker holds. */
static void twin_and_lookup(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct wh_fate fate;
    struct pen p;
    const char *db = in_scratch("twin.db");

    new_db(db, ddl);
    kv_schema(&schema);
    kv_rows(&schema, 1, 3, &batch);
    side_open(&s, db, "lock_timeout=200ms", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(pen_try(&s, &g, &p, 5));
    assert_ok(LITE->sink->writer_write(p.wr, &batch, 1, NULL, 0, 3, &p.acks, &s.err));
    assert_ok(LITE->sink->lookup(g.fl, s.se, &p.unit, &fate, &s.err));
    assert_int_equal(fate.kind, WH_FATE_ABSENT);
    assert_ok(LITE->sink->writer_seal(p.wr, &p.tally, &s.err));
    assert_true(p.tally.has_hash);
    assert_ok(pen_commit(&s, &p, "the rest of it"));
    assert_ok(LITE->sink->lookup(g.fl, s.se, &p.unit, &fate, &s.err));
    assert_int_equal(fate.kind, WH_FATE_COMMITTED);
    assert_int_equal(fate.marker.rows, 3);
    assert_int_equal(fate.marker.dirty, 1);
    assert_int_equal(fate.marker.filtered, 2);
    assert_int_equal(fate.marker.skipped, 3);
    assert_int_equal(fate.attempt, 1);
    assert_true(fate.marker.hash[0] == p.tally.hash[0] && fate.marker.hash[1] == p.tally.hash[1]);
    assert_int_equal(fate.marker.rest.n, 14);
    assert_memory_equal(fate.marker.rest.p, "the rest of it", 14);
    pen_end(&p);
    assert_int_equal(pen_try(&s, &g, &p, 5), WH_TWIN);
    pen_end(&p);
    /* Other generation, other flow: other units. */
    g.fence.generation = 2;
    assert_ok(pen_try(&s, &g, &p, 5));
    pen_end(&p);
    assert_string_equal(shell(db, "select count(*) from t"), "3");
    wh_batch_release(&batch);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if a closed writer leaves rows or a marker behind. */
static void close_without_commit(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct pen p;
    const char *db = in_scratch("nocommit.db");

    new_db(db, ddl);
    kv_schema(&schema);
    kv_rows(&schema, 1, 1000, &batch);
    side_open(&s, db, NULL, NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(pen_try(&s, &g, &p, 1));
    assert_ok(LITE->sink->writer_write(p.wr, &batch, 1, NULL, 0, 1000, &p.acks, &s.err));
    pen_end(&p);
    assert_string_equal(shell(db, "select count(*) from t; select count(*) from wherry_unit"),
                        "0\n0");
    assert_ok(pen_try(&s, &g, &p, 1));
    pen_end(&p);
    wh_batch_release(&batch);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if an older epoch, or a run that is closed, can still write or apply a step. */
static void fences(void **state)
{
    struct side s;
    struct goal g = {.io = {.mode = WH_MODE_TRUNCATE}};
    struct ArrowSchema schema;
    struct pen p;
    const char *db = in_scratch("fence.db");

    new_db(db, "create table t(k int, v text); insert into t values(1, 'stays');");
    kv_schema(&schema);
    side_open(&s, db, "lock_timeout=200ms", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    /* Not claimed at all. */
    assert_int_equal(pen_try(&s, &g, &p, 1), WH_E_STATE);
    pen_end(&p);
    claim(&s, &g);
    g.fence.epoch = 2;
    claim(&s, &g);
    g.fence.epoch = 1; /* the process of before wakes up */
    assert_int_equal(pen_try(&s, &g, &p, 1), WH_FENCED);
    assert_string_equal(s.err.code, "E7010");
    pen_end(&p);
    assert_int_equal(goal_phase(&s, &g, WH_PREPARE), WH_FENCED);
    assert_int_equal(LITE->endpoint->claim(s.ep, s.se, &g.fence, NULL, &s.err), WH_FENCED);
    assert_int_equal(LITE->endpoint->run_close(s.ep, s.se, &g.fence, &s.err), WH_FENCED);
    assert_string_equal(shell(db, "select v from t"), "stays");
    g.fence.epoch = 2;
    assert_ok(pen_try(&s, &g, &p, 1));
    pen_end(&p);
    assert_ok(LITE->endpoint->run_close(s.ep, s.se, &g.fence, &s.err));
    assert_ok(LITE->endpoint->run_close(s.ep, s.se, &g.fence, &s.err)); /* repeatable */
    assert_int_equal(pen_try(&s, &g, &p, 2), WH_FENCED);
    pen_end(&p);
    assert_string_equal(shell(db, "select count(*) from wherry_unit; select count(*) from "
                                  "wherry_target; select state from wherry_run"),
                        "0\n0\nclosed");
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if two runs can hold one table, or the second does not learn whose it is. */
static void one_run_per_target(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_fence other = {.run = WH_STR("r-20260101-ffffffffffff"), .epoch = 1};
    struct wh_objects targets;
    const char *db = in_scratch("held.db");

    new_db(db, ddl);
    kv_schema(&schema);
    side_open(&s, db, "lock_timeout=200ms", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    claim(&s, &g); /* again by the same run */
    targets = (struct wh_objects){&g.object, 1};
    assert_int_equal(LITE->endpoint->claim(s.ep, s.se, &other, &targets, &s.err), WH_HELD_BY);
    assert_string_equal(s.err.code, "E7005");
    assert_non_null(strstr(s.err.message, RUN));
    assert_non_null(strstr(s.err.hint, "wherry resume " RUN));
    assert_ok(LITE->endpoint->run_close(s.ep, s.se, &g.fence, &s.err));
    assert_ok(LITE->endpoint->claim(s.ep, s.se, &other, &targets, &s.err));
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if lost markers or lost rows go unnoticed at resume. */
struct two {
    struct wh_receipts r;
    int at;
};

static int next_receipt(struct wh_receipts *r, struct wh_receipt *ret)
{
    struct two *t = r->self;

    if (t->at == 2)
        return WH_END;
    *ret = (struct wh_receipt){.unit = ++t->at, .rows = 3, .attempt = 1};
    return WH_OK;
}

static void rewind_receipts(struct wh_receipts *r)
{
    ((struct two *)r->self)->at = 0;
}

static void verifies(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct two two = {.at = 0};
    const char *db = in_scratch("verify.db");

    new_db(db, ddl);
    kv_schema(&schema);
    kv_rows(&schema, 1, 3, &batch);
    two.r = (struct wh_receipts){&two, next_receipt, rewind_receipts, 2};
    side_open(&s, db, NULL, NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    write_unit(&s, &g, 1, &batch, NULL, NULL);
    assert_int_equal(LITE->sink->verify(g.fl, s.se, &two.r, &g.fence, &s.err), WH_E_STATE);
    assert_string_equal(s.err.code, "E7009");
    write_unit(&s, &g, 2, &batch, NULL, NULL);
    assert_ok(LITE->sink->verify(g.fl, s.se, &two.r, &g.fence, &s.err));
    assert_string_equal(shell(db, "delete from t"), "");
    assert_int_equal(LITE->sink->verify(g.fl, s.se, &two.r, &g.fence, &s.err), WH_E_STATE);
    assert_non_null(strstr(s.err.message, "6 rows"));
    wh_batch_release(&batch);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* ---- other processes ---- */

/* Writes unit 1 of 1,000 rows in a process of its own and reports by a pipe: 'b' when the rows are
 * in and the transaction is open. Then commits when told by a byte, and reports the status. */
struct other {
    pid_t pid;
    int from, to;
};

static void other_main(const char *db, int from, int to)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct pen p;
    char c = 'b';
    int st;

    kv_schema(&schema);
    kv_rows(&schema, 1, 1000, &batch);
    side_open(&s, db, NULL, NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(pen_try(&s, &g, &p, 1));
    assert_ok(LITE->sink->writer_write(p.wr, &batch, 1, NULL, 0, 1000, &p.acks, &s.err));
    assert_ok(LITE->sink->writer_seal(p.wr, &p.tally, &s.err));
    assert_int_equal(write(to, &c, 1), 1);
    while (read(from, &c, 1) == 1) {
        st = c == 'c' ? pen_commit(&s, &p, NULL) : pen_try(&s, &g, &p, 2);
        c = (char)st;
        if (write(to, &c, 1) != 1)
            break;
    }
    _exit(0);
}

static struct other start_other(const char *db)
{
    struct other o;
    int there[2], back[2];
    char c;

    assert_int_equal(pipe(there), 0);
    assert_int_equal(pipe(back), 0);
    o.pid = fork();
    assert_true(o.pid >= 0);
    if (o.pid == 0) {
        close(there[1]);
        close(back[0]);
        other_main(db, there[0], back[1]);
    }
    close(there[0]);
    close(back[1]);
    o.to = there[1];
    o.from = back[0];
    assert_int_equal(read(o.from, &c, 1), 1);
    assert_int_equal(c, 'b');
    return o;
}

static int tell(struct other *o, char c)
{
    assert_int_equal(write(o->to, &c, 1), 1);
    assert_int_equal(read(o->from, &c, 1), 1);
    return c;
}

static void end_other(struct other *o, int sig)
{
    int status;

    if (sig)
        kill(o->pid, sig);
    close(o->to);
    close(o->from);
    waitpid(o->pid, &status, 0);
}

/* Fails if kill -9 inside a unit leaves rows, or the next claim and unit do not work at once. */
static void killed_in_a_unit(const char *db, const char *prepare)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct wh_fate fate;
    struct wh_unit unit = {.id = 1, .flow = 1, .generation = 1};
    struct other o;

    new_db(db, prepare);
    o = start_other(db);
    end_other(&o, SIGKILL);
    kv_schema(&schema);
    kv_rows(&schema, 1, 1000, &batch);
    side_open(&s, db, "lock_timeout=2s", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    g.fence.epoch = 2;
    claim(&s, &g);
    assert_ok(LITE->sink->lookup(g.fl, s.se, &unit, &fate, &s.err));
    assert_int_equal(fate.kind, WH_FATE_ABSENT);
    write_unit(&s, &g, 1, &batch, NULL, NULL);
    assert_string_equal(shell(db, "select count(*), count(distinct k) from t; pragma "
                                  "integrity_check"),
                        "1000|1000\nok");
    wh_batch_release(&batch);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

static void kills(void **state)
{
    killed_in_a_unit(in_scratch("kill1.db"), ddl);
    killed_in_a_unit(in_scratch("kill2.db"),
                     ".output /dev/null\npragma journal_mode=wal; create table t(k int, v text);");
}

/* Fails if a stopped process that holds the write lock is not named, or one that wakes up with an
 * old epoch can write. Its open unit may commit: nobody could claim before. */
static void zombies(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_objects targets;
    struct other o;
    struct wh_fate fate;
    struct wh_unit unit = {.id = 1, .flow = 1, .generation = 1};
    char pid[32];
    const char *db = in_scratch("zombie.db");

    new_db(db, ddl);
    o = start_other(db);
    kill(o.pid, SIGSTOP);
    kv_schema(&schema);
    side_open(&s, db, "lock_timeout=300ms", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    g.fence.epoch = 2;
    targets = (struct wh_objects){&g.object, 1};
    assert_int_equal(LITE->endpoint->claim(s.ep, s.se, &g.fence, &targets, &s.err), WH_BLOCKED);
    snprintf(pid, sizeof pid, "pid %d (", (int)o.pid);
    print_message("%s %s\n", s.err.code, s.err.message);
    assert_string_equal(s.err.code, "E5010");
    assert_non_null(strstr(s.err.message, pid));
    assert_non_null(strstr(s.err.message, "stopped"));
    assert_true(s.err.retriable);
    assert_int_equal(LITE->endpoint->evict(s.ep, s.se, &g.fence, NULL, &s.err), WH_BLOCKED);
    kill(o.pid, SIGCONT);
    assert_int_equal(tell(&o, 'c'), WH_OK);
    claim(&s, &g);
    assert_ok(LITE->endpoint->evict(s.ep, s.se, &g.fence, NULL, &s.err));
    assert_ok(LITE->sink->lookup(g.fl, s.se, &unit, &fate, &s.err));
    assert_int_equal(fate.kind, WH_FATE_COMMITTED);
    assert_int_equal(tell(&o, 'n'), WH_FENCED); /* its next unit */
    end_other(&o, 0);
    assert_string_equal(shell(db, "select count(*) from t"), "1000");
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if a commit that waits for a reader is reported as done or unknown, or rows stay. */
static void commit_behind_a_reader(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct pen p;
    FILE *reader;
    char line[64];
    char cmd[300];
    const char *db = in_scratch("reader.db");

    new_db(db, "create table t(k int, v text); insert into t values(0, 'x');");
    kv_schema(&schema);
    kv_rows(&schema, 1, 10, &batch);
    side_open(&s, db, "lock_timeout=300ms", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(pen_try(&s, &g, &p, 1));
    assert_ok(LITE->sink->writer_write(p.wr, &batch, 1, NULL, 0, 10, &p.acks, &s.err));
    assert_ok(LITE->sink->writer_seal(p.wr, &p.tally, &s.err));
    snprintf(cmd, sizeof cmd,
             "timeout 20 python3 -c \"import sqlite3,sys,time; c=sqlite3.connect('%s'); "
             "c.execute('begin'); print(c.execute('select count(*) from t').fetchone()[0], "
             "flush=True); time.sleep(1.5)\"",
             db);
    reader = popen(cmd, "r");
    assert_non_null(reader);
    assert_non_null(fgets(line, sizeof line, reader));
    assert_int_equal(pen_commit(&s, &p, NULL), WH_BLOCKED);
    print_message("%s\n", s.err.message);
    assert_non_null(strstr(s.err.message, "python"));
    pen_end(&p);
    pclose(reader);
    assert_string_equal(shell(db, "select count(*) from t; select count(*) from wherry_unit"),
                        "1\n0");
    assert_ok(pen_try(&s, &g, &p, 1));
    pen_end(&p);
    wh_batch_release(&batch);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if a full disk is taken for a commit, or leaves a broken file. */
static void disk_full(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_batch batch;
    struct pen p;
    int st = WH_OK;
    const char *db = in_scratch("full.db");

    new_db(db, ddl);
    kv_schema(&schema);
    kv_rows(&schema, 1, 16000, &batch);
    side_open(&s, db, "cache=64KiB", NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(pen_try(&s, &g, &p, 1));
    {
        /* max_page_count makes SQLite say "full" as a disk would. The session's third field is its
         * connection. */
        struct {
            void *ep, *ctx;
            sqlite3 *db;
        } *peek = p.se;

        assert_int_equal(sqlite3_exec(peek->db, "pragma max_page_count = 40", NULL, NULL, NULL), 0);
    }
    for (int64_t i = 1; st == WH_OK && i < 100; i++)
        st = LITE->sink->writer_write(p.wr, &batch, i, NULL, 0, 16000, &p.acks, &s.err);
    assert_int_equal(st, WH_E_IO);
    assert_string_equal(s.err.code, "E5004");
    assert_int_not_equal(pen_commit(&s, &p, NULL), WH_OK);
    pen_end(&p);
    assert_string_equal(shell(db,
                              "select count(*) from t; select count(*) from wherry_unit; pragma "
                              "integrity_check"),
                        "0\n0\nok");
    wh_batch_release(&batch);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if interrupt does not free a writer that waits for a lock, or the session goes on. */
static void *interrupt_soon(void *se)
{
    usleep(200000);
    LITE->endpoint->interrupt(se);
    return NULL;
}

static void interrupt_a_waiting_writer(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct pen p, q;
    pthread_t t;
    int64_t began;
    const char *db = in_scratch("intw.db");

    new_db(db, ddl);
    kv_schema(&schema);
    side_open(&s, db, "lock_timeout=20s", NULL, NULL);
    s.fake.limit_ms = 20000;
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(pen_try(&s, &g, &p, 1));
    q = (struct pen){.se = side_session(&s, WH_WRITE), .wr = wh_calloc(1, LITE->sink->wr_size)};
    q.unit = (struct wh_unit){.id = 2, .flow = 1, .generation = 1, .attempt = 1};
    assert_int_equal(pthread_create(&t, NULL, interrupt_soon, q.se), 0);
    began = wh_now_ns();
    assert_int_equal(
        LITE->sink->writer_open(q.wr, g.fl, q.se, &s.fake.ctx, &q.unit, &g.fence, &s.err), WH_LOST);
    assert_true(wh_now_ns() - began < 2000000000);
    pthread_join(t, NULL);
    pen_end(&q);
    pen_end(&p);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if one file as source and destination hangs until a timeout, or WAL does not allow it. */
static void same_file(void **state)
{
    struct side s;
    struct goal g = {0};
    struct ArrowSchema schema;
    struct wh_snapshot snap;
    struct pen p;
    const char *db = in_scratch("same.db");

    new_db(db, "create table src(k int); create table t(k int, v text);");
    kv_schema(&schema);
    side_open(&s, db, NULL, NULL, NULL);
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(LITE->endpoint->snapshot(s.ep, s.se, NULL, 1, &snap, &s.err));
    assert_int_equal(pen_try(&s, &g, &p, 1), WH_E_UNSUPPORTED);
    assert_non_null(strstr(s.err.hint, "journal_mode=wal"));
    pen_end(&p);
    LITE->endpoint->release(s.ep, &snap);
    goal_end(&g);
    side_close(&s);
    side_open(&s, db, "journal_mode=wal", NULL, NULL);
    g = (struct goal){0};
    goal_begin(&s, &g, "t", &schema);
    claim(&s, &g);
    assert_ok(LITE->endpoint->snapshot(s.ep, s.se, NULL, 1, &snap, &s.err));
    assert_ok(pen_try(&s, &g, &p, 1));
    assert_ok(LITE->sink->writer_seal(p.wr, &p.tally, &s.err));
    assert_ok(pen_commit(&s, &p, NULL));
    pen_end(&p);
    goal_end(&g);
    side_close(&s);
    wh_schema_release(&schema);
}

/* Fails if giving up a run touches the stages of another one, or counts rows that never showed:
 * the run's id begins like the letter before a flow's number. */
static void gives_up_its_own_stages(void **state)
{
    struct side s;
    struct goal dead = {0}, ours = {0};
    struct wh_objects targets;
    struct wh_disowned d = {0};
    struct ArrowSchema schema;
    const char *db = in_scratch("given_up.db");

    new_db(db, ddl);
    kv_schema(&schema);
    side_open(&s, db, "lock_timeout=200ms", NULL, NULL);
    dead.fence = (struct wh_fence){
        .run = WH_STR("r-20260101-f735740f0bcb"), .epoch = 1, .flow = 1, .generation = 1};
    goal_begin(&s, &dead, "t", &schema);
    claim(&s, &dead);
    shell(db, "create table wherry_stage_f735740f0bcb_f1_g1(k);"
              "create table wherry_stage_fa35740f0bcb_f1_g1(k);"
              "insert into wherry_unit(run, flow, generation, unit, attempt, epoch, rows) "
              "values('r-20260101-f735740f0bcb', 1, 1, 1, 1, 1, 100)");
    ours.fence = (struct wh_fence){
        .run = WH_STR("r-20260101-0735740f0bcb"), .epoch = 1, .flow = 1, .generation = 1};
    goal_begin(&s, &ours, "t", &schema);
    targets = (struct wh_objects){&ours.object, 1};
    assert_int_equal(LITE->endpoint->claim(s.ep, s.se, &ours.fence, &targets, &s.err), WH_HELD_BY);
    assert_ok(LITE->endpoint->disown(s.ep, s.se, &ours.fence, &targets, false, &d, &s.err));
    assert_int_equal(d.runs, 1);
    assert_int_equal(d.rows, 0);
    assert_ok(LITE->endpoint->disown(s.ep, s.se, &ours.fence, &targets, true, &d, &s.err));
    assert_string_equal(
        shell(db, "select name from sqlite_schema where name like 'wherry_stage_%'"),
        "wherry_stage_fa35740f0bcb_f1_g1");
    goal_end(&ours);
    goal_end(&dead);
    wh_schema_release(&schema);
    side_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(kills),           cmocka_unit_test(zombies),
        cmocka_unit_test(twin_and_lookup), cmocka_unit_test(close_without_commit),
        cmocka_unit_test(fences),          cmocka_unit_test(one_run_per_target),
        cmocka_unit_test(verifies),        cmocka_unit_test(commit_behind_a_reader),
        cmocka_unit_test(disk_full),       cmocka_unit_test(interrupt_a_waiting_writer),
        cmocka_unit_test(same_file),       cmocka_unit_test(gives_up_its_own_stages),
    };

    return scratch_end(cmocka_run_group_tests(tests, NULL, NULL));
}
