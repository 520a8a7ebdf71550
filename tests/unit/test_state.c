/* SPDX-License-Identifier: Apache-2.0 */
/* The state store: what must survive, what must be refused. Each test fails if its sentence stops
 * being true. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "core/buf.h"
#include "state/state.h"

struct fixture {
    char dir[64], path[96];
    struct wh_state *s;
    struct wh_arena *a;
};

static int setup(void **state)
{
    struct fixture *f = test_calloc(1, sizeof(*f));
    snprintf(f->dir, sizeof(f->dir), "/tmp/wherry-state-XXXXXX");
    if (!mkdtemp(f->dir))
        return -1;
    snprintf(f->path, sizeof(f->path), "%s/deep/state.db", f->dir);
    struct wh_error e;
    f->a = wh_arena_new(16 << 20);
    assert_int_equal(wh_state_open(f->path, 500, &f->s, &e), WH_OK);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    wh_state_close(f->s);
    wh_arena_free(f->a);
    snprintf(command, sizeof(command), "%s", f->dir);
    pid_t pid = fork();
    if (pid == 0)
        execlp("rm", "rm", "-rf", command, (char *)NULL);
    waitpid(pid, NULL, 0);
    test_free(f);
    return 0;
}

static void new_run(struct fixture *f, const char *run)
{
    struct wh_error e;
    struct wh_run_record r = {.run = run,
                              .job = "nightly",
                              .identity = "id-1",
                              .job_json = "{}",
                              .shape = "00",
                              .version = "0"};
    assert_int_equal(wh_state_run_new(f->s, &r, &e), WH_OK);
}

static void test_files_are_private(void **state)
{
    struct fixture *f = *state;
    struct stat st;
    assert_int_equal(stat(f->path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_int_equal(stat(wh_state_dir(f->s), &st), 0);
    assert_int_equal(st.st_mode & 0777, 0700);
}

/* One of those that make a state at the same moment: 0 = it has it. */
static int opens(const char *path, const atomic_int *go)
{
    struct wh_state *s = NULL;
    struct wh_error e;

    while (!atomic_load(go))
        ;
    if (wh_state_open(path, 20000, &s, &e) != WH_OK) {
        fprintf(stderr, "%s %s\n", e.code, e.message);
        return 1;
    }
    wh_state_close(s);
    return 0;
}

/* Red when a process is refused because another one makes the state at the same moment. */
static void test_many_make_it_at_once(void **state)
{
    struct fixture *f = *state;
    atomic_int *go =
        mmap(NULL, sizeof *go, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int refused = 0;

    assert_true(go != MAP_FAILED);
    for (int round = 0; round < 60; round++) {
        char path[128];
        pid_t pid[4];

        snprintf(path, sizeof path, "%s/s%d.db", f->dir, round);
        atomic_store(go, 0);
        for (int i = 0; i < 4; i++) {
            pid[i] = fork();
            if (pid[i] == 0)
                _exit(opens(path, go));
        }
        atomic_store(go, 1);
        for (int i = 0; i < 4; i++) {
            int how = 0;

            waitpid(pid[i], &how, 0);
            refused += how != 0;
        }
    }
    munmap(go, sizeof *go);
    assert_int_equal(refused, 0);
}

static void test_run_is_kept_and_found_by_prefix(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    struct wh_run_record r;
    new_run(f, "r-20260101-aaaaaaaaaaaa");
    new_run(f, "r-20260101-bbbbbbbbbbbb");
    assert_int_equal(wh_state_run_get(f->s, "20260101-a", f->a, &r, &e), WH_OK);
    assert_string_equal(r.run, "r-20260101-aaaaaaaaaaaa");
    assert_string_equal(r.job, "nightly");
    assert_int_equal(r.state, WH_RUN_PLANNED);
    assert_int_equal(wh_state_run_get(f->s, "r-20260101", f->a, &r, &e), WH_E_NOT_FOUND);
    assert_string_equal(e.code, "E7007");
    assert_int_equal(wh_state_run_get(f->s, "r-2027", f->a, &r, &e), WH_E_NOT_FOUND);
}

/* Fails if an older epoch can still change a run, its flows or its units. */
static void test_older_epoch_is_fenced(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    uint32_t one, two;
    struct wh_state *other;
    new_run(f, "r-1");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &one, &e), WH_OK);
    assert_int_equal(one, 1);
    /* A second process: the first is alive and beats, then it is stale. */
    assert_int_equal(wh_state_open(f->path, 500, &other, &e), WH_OK);
    assert_int_equal(wh_state_run_claim(other, "r-1", 30000, &two, &e), WH_HELD_BY);
    assert_string_equal(e.code, "E7006");
    usleep(20000);
    assert_int_equal(wh_state_run_claim(other, "r-1", 1, &two, &e), WH_OK);
    assert_int_equal(two, 2);
    struct wh_flow_record flow = {.flow = 0, .stream = "s", .table = "t", .target = "x"};
    assert_int_equal(wh_state_run_beat(f->s, "r-1", one, NULL, NULL, NULL, &e), WH_FENCED);
    assert_int_equal(wh_state_run_set(f->s, "r-1", one, WH_RUN_MOVING, &e), WH_FENCED);
    assert_int_equal(wh_state_flow_put(f->s, "r-1", one, &flow, &e), WH_FENCED);
    assert_int_equal(wh_state_flow_put(other, "r-1", two, &flow, &e), WH_OK);
    wh_state_close(other);
}

/* Fails if a killed owner is still taken for a living one. */
static void test_killed_owner_is_known_at_once(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    uint32_t epoch;
    int ready[2];
    char c;
    new_run(f, "r-1");
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct wh_state *s;
        int ok = wh_state_open(f->path, 500, &s, NULL) == WH_OK &&
                 wh_state_run_claim(s, "r-1", 30000, &epoch, NULL) == WH_OK;
        c = ok ? 'y' : 'n';
        if (write(ready[1], &c, 1) == 1)
            pause();
        _exit(1);
    }
    assert_int_equal(read(ready[0], &c, 1), 1);
    assert_int_equal(c, 'y');
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_HELD_BY);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_OK);
    assert_int_equal(epoch, 2);
    close(ready[0]);
    close(ready[1]);
}

static bool lock_there(const struct fixture *f, const char *name)
{
    char path[160];

    snprintf(path, sizeof path, "%s/deep/locks/%s", f->dir, name);
    return access(path, F_OK) == 0;
}

/* Fails if lock files of owners that died behind the end of their runs pile up, or if that of a
 * living one goes with them. */
static void test_dead_locks_are_swept(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    char path[160];
    uint32_t one, two;

    new_run(f, "r-1");
    new_run(f, "r-2");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &one, &e), WH_OK);
    snprintf(path, sizeof path, "%s/deep/locks/r-dead.e7", f->dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(wh_state_run_claim(f->s, "r-2", 30000, &two, &e), WH_OK);
    assert_false(lock_there(f, "r-dead.e7"));
    assert_true(lock_there(f, "r-1.e1"));
    assert_true(lock_there(f, "r-2.e1"));
    wh_state_run_unclaim(f->s, "r-1", one);
    wh_state_run_unclaim(f->s, "r-2", two);
}

static int take(struct fixture *f, const char *run, uint32_t epoch, const char *a, const char *b,
                struct wh_error *e)
{
    const char *v[] = {a, b};

    return wh_state_targets_take(f->s, run, epoch, v, b ? 2 : 1, 30000, e);
}

/* Fails if two unfinished runs can hold one target, or if a closed run still holds it. */
static void test_target_outlives_its_owner(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    uint32_t one, two;
    struct wh_run_record owner;
    new_run(f, "r-1");
    new_run(f, "r-2");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &one, &e), WH_OK);
    assert_int_equal(wh_state_run_claim(f->s, "r-2", 30000, &two, &e), WH_OK);
    assert_int_equal(take(f, "r-1", one, "db#t", NULL, &e), WH_OK);
    assert_int_equal(take(f, "r-1", one, "db#t", NULL, &e), WH_OK);
    assert_int_equal(take(f, "r-2", two, "db#t", NULL, &e), WH_HELD_BY);
    assert_string_equal(e.code, "E7006");
    wh_state_run_unclaim(f->s, "r-1", one); /* its process ends, unfinished */
    assert_int_equal(take(f, "r-2", two, "db#t", NULL, &e), WH_HELD_BY);
    assert_string_equal(e.code, "E7005");
    assert_non_null(strstr(e.hint, "resume r-1"));
    assert_int_equal(wh_state_target_owner(f->s, "db#t", f->a, &owner, &e), WH_OK);
    assert_string_equal(owner.run, "r-1");
    /* All of them or none. */
    assert_int_equal(take(f, "r-2", two, "db#free", "db#t", &e), WH_HELD_BY);
    assert_int_equal(wh_state_target_owner(f->s, "db#free", f->a, &owner, &e), WH_E_NOT_FOUND);
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &one, &e), WH_OK);
    assert_int_equal(wh_state_run_set(f->s, "r-1", one, WH_RUN_CLOSED, &e), WH_OK);
    assert_int_equal(take(f, "r-2", two, "db#t", NULL, &e), WH_OK);
}

static int next_of_three(void *arg, struct wh_flow_record *ret, struct wh_error *reterr)
{
    int *left = arg;

    if (*left == 0)
        return WH_END;
    if (*left < 0 && ++*left == 0)
        return wh_fail(reterr, WH_E_NOMEM, "E8002", "no more");
    *ret = (struct wh_flow_record){.flow = *left < 0 ? 50 - *left : --*left,
                                   .stream = "s",
                                   .table = "t",
                                   .target = "x",
                                   .next_unit = 1};
    return WH_OK;
}

/* Fails if flows that are put together are put in part, or by an owner that is none any more. */
static void test_flows_are_put_together(void **state)
{
    struct fixture *f = *state;
    struct wh_flow_record *v;
    struct wh_error e;
    uint32_t epoch;
    int three = 3, broken = -3;
    size_t n;

    new_run(f, "r-1");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_OK);
    assert_int_equal(wh_state_flows_put(f->s, "r-1", epoch + 1, next_of_three, &three, &e),
                     WH_FENCED);
    assert_int_equal(wh_state_flows_put(f->s, "r-1", epoch, next_of_three, &broken, &e),
                     WH_E_NOMEM);
    assert_int_equal(wh_state_flows(f->s, "r-1", f->a, &v, &n, &e), WH_OK);
    assert_int_equal(n, 0);
    assert_int_equal(wh_state_flows_put(f->s, "r-1", epoch, next_of_three, &three, &e), WH_OK);
    assert_int_equal(wh_state_flows(f->s, "r-1", f->a, &v, &n, &e), WH_OK);
    assert_int_equal(n, 3);
    assert_int_equal(v[2].flow, 2);
}

static void test_units_keep_cursor_counts_and_rest(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    uint32_t epoch;
    new_run(f, "r-1");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_OK);
    struct wh_flow_record flow = {.stream = "s", .table = "t", .target = "x", .next_unit = 1};
    assert_int_equal(wh_state_flow_put(f->s, "r-1", epoch, &flow, &e), WH_OK);
    struct wh_unit_record u[2] = {
        {.unit = 1, .label = "a", .splits = {"s1", 2}, .order_group = 1, .order_seq = 0},
        {.unit = 2, .label = "b", .splits = {"s2", 2}, .order_group = 1, .order_seq = 1}};
    assert_int_equal(
        wh_state_units_draw(f->s, "r-1", epoch, 0, u, 2, (struct wh_bytes){"cur", 3}, false, &e),
        WH_OK);
    u[0].attempt = 1;
    u[0].ident = "pid 7";
    u[0].instant = 2; /* not the one at which it was drawn */
    assert_int_equal(wh_state_unit_lease(f->s, "r-1", epoch, &u[0], &e), WH_OK);
    struct wh_unit_record *l;
    size_t n_leased;
    assert_int_equal(
        wh_state_units(f->s, "r-1", 0, 1u << WH_UNIT_LEASED, 0, 10, f->a, &l, &n_leased, &e),
        WH_OK);
    assert_int_equal(n_leased, 1);
    assert_int_equal(l->instant, 2);
    u[0].rows_read = 10;
    u[0].rows_written = 9;
    u[0].rows_dirty = 1;
    u[0].hash = (struct wh_u128){~0ULL, 5};
    u[0].receipt = (struct wh_bytes){"rc", 2};
    u[0].end = (struct wh_bytes){"end1", 4};
    struct wh_unit_record rest = {.unit = 3, .label = "a rest", .splits = {"s1r", 3}};
    assert_int_equal(wh_state_unit_record(f->s, "r-1", epoch, &u[0], &rest, &e), WH_OK);
    assert_int_equal(wh_state_unit_record(f->s, "r-1", epoch, &u[0], NULL, &e), WH_E_BUG);
    assert_int_equal(wh_state_unit_lease(f->s, "r-1", epoch, &u[0], &e), WH_E_BUG);

    struct wh_unit_record *v;
    size_t n;
    assert_int_equal(wh_state_units(f->s, "r-1", 0, 1u << WH_UNIT_DRAWN, 0, 10, f->a, &v, &n, &e),
                     WH_OK);
    assert_int_equal(n, 2);
    assert_int_equal(v[0].unit, 2);
    assert_int_equal(v[1].unit, 3);
    assert_memory_equal(v[1].splits.p, "s1r", 3);
    assert_int_equal(wh_state_unit_get(f->s, "r-1", 0, 1, f->a, &v[0], &e), WH_OK);
    assert_int_equal(v[0].rows_dirty, 1);
    assert_int_equal(v[0].hash.hi, 5);
    assert_memory_equal(v[0].receipt.p, "rc", 2);
    struct wh_bytes end;
    assert_int_equal(wh_state_chain_end(f->s, "r-1", 0, 1, 0, f->a, &end, &e), WH_OK);
    assert_memory_equal(end.p, "end1", 4);
    assert_int_equal(wh_state_chain_end(f->s, "r-1", 0, 1, 1, f->a, &end, &e), WH_E_NOT_FOUND);

    struct wh_unit_sums sums;
    assert_int_equal(wh_state_unit_sums(f->s, "r-1", 0, &sums, &e), WH_OK);
    assert_int_equal(sums.recorded, 1);
    assert_int_equal(sums.drawn, 2);
    assert_int_equal(sums.rows_written, 9);

    struct wh_flow_record *flows;
    assert_int_equal(wh_state_flows(f->s, "r-1", f->a, &flows, &n, &e), WH_OK);
    assert_int_equal(n, 1);
    assert_memory_equal(flows[0].cursor.p, "cur", 3);
    assert_int_equal(flows[0].next_unit, 4);
    assert_false(flows[0].drawn);

    assert_int_equal(wh_state_flow_restart(f->s, "r-1", epoch, 0, &e), WH_OK);
    assert_int_equal(wh_state_flows(f->s, "r-1", f->a, &flows, &n, &e), WH_OK);
    assert_int_equal(flows[0].generation, 1);
    assert_int_equal(wh_state_units(f->s, "r-1", 0, 0, 0, 10, f->a, &v, &n, &e), WH_OK);
    assert_int_equal(n, 0);
}

static void test_steps_keep_intent_and_outcome(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    uint32_t epoch;
    new_run(f, "r-1");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_OK);
    struct wh_step_record *v;
    size_t n;
    bool journalled;
    assert_int_equal(wh_state_steps(f->s, "r-1", 0, 0, 2, f->a, &v, &n, &journalled, &e), WH_OK);
    assert_false(journalled);
    struct wh_step_record step = {.phase = 2, .id = 1, .say = "swap", .token = {"t", 1}};
    assert_int_equal(wh_state_steps_put(f->s, "r-1", epoch, &step, 1, &e), WH_OK);
    step.state = WH_STEP_INTENDED;
    assert_int_equal(wh_state_step_set(f->s, "r-1", epoch, &step, &e), WH_OK);
    assert_int_equal(wh_state_steps(f->s, "r-1", 0, 0, 2, f->a, &v, &n, &journalled, &e), WH_OK);
    assert_true(journalled);
    assert_int_equal(n, 1);
    assert_int_equal(v[0].state, WH_STEP_INTENDED);
    assert_string_equal(v[0].say, "swap");
    struct wh_step_record none = {.phase = 3, .id = 0};
    assert_int_equal(wh_state_steps_put(f->s, "r-1", epoch, &none, 1, &e), WH_OK);
    assert_int_equal(wh_state_steps(f->s, "r-1", 0, 0, 3, f->a, &v, &n, &journalled, &e), WH_OK);
    assert_true(journalled);
    assert_int_equal(n, 0);
}

static wh_status collect(void *arg, const struct wh_run_record *r)
{
    char *out = arg;
    snprintf(out + strlen(out), 256 - strlen(out), "%s ", r->run);
    return WH_OK;
}

/* As the summary of thousands of tables comes: 50 pieces of 3000 bytes, then a rest. */
static wh_status long_words(void *arg, struct wh_buf *b, wh_drain_fn drain, void *to)
{
    for (int i = 0; i < 50; i++) {
        for (int k = 0; k < 300; k++)
            assert_int_equal(wh_buf_printf(b, "%s%08d,", (const char *)arg, i * 300 + k), WH_OK);
        drain(to, b);
        assert_int_equal(b->n, 1);
    }
    return wh_buf_adds(b, "end");
}

static wh_status few_words(void *arg, struct wh_buf *b, wh_drain_fn drain, void *to)
{
    return wh_buf_adds(b, "done\n");
}

static wh_status gather(void *arg, struct wh_str piece)
{
    assert_true(piece.n > 0 && piece.n <= 3001);
    return wh_buf_add(arg, piece.s, piece.n);
}

/* Red when what a run tells at its end comes back changed, cut, twice after a second end, held in
 * one piece, or not at all where an older program wrote it. */
static void test_report(void **state)
{
    struct fixture *f = *state;
    struct wh_buf want WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_buf got WH_CLEANUP(wh_buf_free) = WH_BUF(1 << 20);
    struct wh_error e;
    uint32_t epoch;
    char name[2] = "a";
    struct wh_report report = {.arg = name, .json = long_words, .text = few_words};
    struct wh_run_record end = {.run = "r-1", .exit_code = 1, .report = &report};

    new_run(f, "r-1");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_OK);
    assert_int_equal(wh_state_report(f->s, "r-1", WH_REPORT_JSON, gather, &got, &e), WH_OK);
    assert_int_equal(got.n, 0);
    assert_int_equal(wh_state_run_end(f->s, &end, epoch, &e), WH_OK);
    name[0] = 'b';
    assert_int_equal(wh_state_run_end(f->s, &end, epoch, &e), WH_OK);
    for (int i = 0; i < 50 * 300; i++)
        assert_int_equal(wh_buf_printf(&want, "b%08d,", i), WH_OK);
    assert_int_equal(wh_buf_adds(&want, "end"), WH_OK);
    assert_int_equal(wh_state_report(f->s, "r-1", WH_REPORT_JSON, gather, &got, &e), WH_OK);
    assert_string_equal(got.p, want.p);
    wh_buf_clear(&got);
    assert_int_equal(wh_state_report(f->s, "r-1", WH_REPORT_TEXT, gather, &got, &e), WH_OK);
    assert_string_equal(got.p, "done\n");
    wh_buf_clear(&got);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
    assert_int_equal(
        sqlite3_exec(db, "delete from report; update run set summary = '{old}'", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(wh_state_report(f->s, "r-1", WH_REPORT_JSON, gather, &got, &e), WH_OK);
    assert_string_equal(got.p, "{old}");
}

static void test_listing_and_end(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    uint32_t epoch;
    char seen[256] = "";
    new_run(f, "r-1");
    new_run(f, "r-2");
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_OK);
    struct wh_run_record end = {.run = "r-1", .exit_code = 0, .finished = true, .rows_read = 7};
    assert_int_equal(wh_state_run_set(f->s, "r-1", epoch, WH_RUN_CLOSED, &e), WH_OK);
    assert_int_equal(wh_state_run_end(f->s, &end, epoch, &e), WH_OK);
    assert_int_equal(wh_state_runs(f->s, NULL, NULL, false, collect, seen, &e), WH_OK);
    assert_string_equal(seen, "r-2 r-1 ");
    seen[0] = 0;
    assert_int_equal(wh_state_runs(f->s, "nightly", "id-1", true, collect, seen, &e), WH_OK);
    assert_string_equal(seen, "r-2 ");
    struct wh_run_record r;
    assert_int_equal(wh_state_run_get(f->s, "r-1", f->a, &r, &e), WH_OK);
    assert_true(r.finished);
    assert_int_equal(r.rows_read, 7);
    assert_int_equal(wh_state_run_claim(f->s, "r-1", 30000, &epoch, &e), WH_E_STATE);
    int64_t n;
    assert_int_equal(wh_state_gc(f->s, INT64_MAX, false, &n, &e), WH_OK);
    assert_int_equal(n, 1);
}

/* Fails if a store of a newer schema is opened, or a damaged one is taken for empty. */
static void test_refuses_newer_and_damaged(void **state)
{
    struct fixture *f = *state;
    struct wh_error e;
    struct wh_state *s;
    char path[160];
    snprintf(path, sizeof(path), "%s/bad.db", f->dir);
    int fd = open(path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(
        write(fd, "this is no database, it only looks like a file of one hundred b", 63), 63);
    close(fd);
    assert_int_equal(wh_state_open(path, 500, &s, &e), WH_E_STATE);
    assert_string_equal(e.code, "E7003");
    assert_int_equal(wh_state_open("/proc/nowhere/state.db", 500, &s, &e), WH_E_IO);
    assert_string_equal(e.code, "E7001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_files_are_private, setup, teardown),
        cmocka_unit_test_setup_teardown(test_many_make_it_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_run_is_kept_and_found_by_prefix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_older_epoch_is_fenced, setup, teardown),
        cmocka_unit_test_setup_teardown(test_killed_owner_is_known_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_dead_locks_are_swept, setup, teardown),
        cmocka_unit_test_setup_teardown(test_target_outlives_its_owner, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flows_are_put_together, setup, teardown),
        cmocka_unit_test_setup_teardown(test_units_keep_cursor_counts_and_rest, setup, teardown),
        cmocka_unit_test_setup_teardown(test_steps_keep_intent_and_outcome, setup, teardown),
        cmocka_unit_test_setup_teardown(test_listing_and_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_report, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_newer_and_damaged, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
