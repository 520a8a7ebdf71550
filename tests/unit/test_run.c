/* SPDX-License-Identifier: Apache-2.0 */
#include "core/clock.h"

#include "run_fake.h"

#include <signal.h>
#include <sys/wait.h>

static struct rig rig;

/* Why the first table failed; all empty if it did not. */
static const struct wh_error *table_error(void)
{
    static const struct wh_error none;

    return rig.result.n_tables && rig.result.tables[0].error ? rig.result.tables[0].error : &none;
}

#define RUN(expected_exit)                                                                         \
    do {                                                                                           \
        int st_ = rig_run(&rig, false);                                                            \
        if (!rig.result.run)                                                                       \
            fail_msg("no result: %s %s %s", wh_status_name(st_), rig.error.code,                   \
                     rig.error.message);                                                           \
        if (rig.result.exit_code != (expected_exit))                                               \
            fail_msg("exit %d: %s %s / %s %s", rig.result.exit_code, rig.error.code,               \
                     rig.error.message, table_error()->code, table_error()->message);              \
    } while (0)

static void end(void)
{
    rig_unplan(&rig);
    rig_free(&rig);
}

/* Red when a row of any of the units gets lost or doubled, or a record is left behind. */
static void moves_all(void **state)
{
    fake_reset(12345, 13);
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(rig.result.counts.rows_read, 12345);
    assert_int_equal(rig.result.counts.rows_written, 12345);
    assert_int_equal(rig.result.counts.units_done, 13);
    assert_string_equal(rig.result.tables[0].hash, "rows");
    assert_string_equal(rig.result.tables[0].status, "done");
    assert_int_equal(fake.claims, 1);
    assert_int_equal(fake.closes, 1);
    assert_int_equal(fake.acks, 13);
    assert_int_equal(fake.open_writers, 0);
    end();
}

/* Red when more units are read or written at once than the stream allows for each side, when the
 * wider side does not get ahead of the narrower one, or when a turn is lost on the way. */
static void turns(void **state)
{
    static const struct {
        int readers, writers; /* 0 = as many as lanes, which are four */
        bool fused, fails;
    } how[] = {{1, 0}, {0, 1}, {2, 3}, {3, 1, .fails = true}, {1, 0, .fails = true}, {1, 2, true}};
    struct wh_source_ops source = fk_source;
    struct wh_connector deaf = fk_connector;

    source.acknowledge = NULL; /* whoever is told of the end keeps its session till then */
    deaf.source = &source;
    for (size_t i = 0; i < sizeof how / sizeof how[0]; i++) {
        fake_reset(6000, 24);
        fake.fault = how[i].fails ? READ_RETRY : FAULT_NONE;
        fake.sleep_row_ns = how[i].writers == 1 ? 0 : 2000;
        fake.sleep_commit_ns = 4000000;
        rig_new(&rig);
        const struct wh_run_start start = {.identity = rig.run};
        rig_plan(&rig);
        rig.from.connector = &deaf;
        rig.flow.fused = how[i].fused;
        rig.flow.readers = how[i].readers;
        rig.flow.writers = how[i].writers;
        assert_ok(wh_run_execute(&rig.plan, rig.services, rig.state, &start, &rig.listener,
                                 &rig.result, &rig.error));
        assert_int_equal(rig.result.exit_code, 0);
        assert_all_once();
        assert_int_equal(rig.result.counts.units_done, 24);
        assert_int_equal(fake.open_readers, 0);
        print_message("readers %d: %d at once; writers %d: %d at once\n", how[i].readers,
                      fake.most_readers, how[i].writers, fake.most_writers);
        assert_in_range(fake.most_readers, 1, how[i].readers ? how[i].readers : 4);
        assert_in_range(fake.most_writers, 1, how[i].writers ? how[i].writers : 4);
        if (how[i].readers == 1) /* one is read while others are committed */
            assert_true(fake.most_writers > 1);
        if (how[i].writers == 1) /* and read ahead while one is written */
            assert_true(fake.most_readers > 1);
        assert_int_equal(rig.retries, how[i].fails ? 1 : 0);
        end();
    }
}

/* Red when whoever waits for a turn stands in the way of a stop, or counts as one that does not
 * move; or when a unit that was given back is lost. */
static void turns_stopped(void **state)
{
    fake_reset(900, 9);
    fake.sleep_commit_ns = 350000000;
    rig_new(&rig);
    rig.job.run.timeouts.no_progress =
        600; /* more than one commit, less than the wait for a turn */
    const struct wh_run_start start = {.identity = rig.run},
                              again = {.identity = rig.run, .resume = true};
    rig_plan(&rig);
    rig.flow.writers = 1;
    rig.stop_at_unit = 3;
    assert_ok(wh_run_execute(&rig.plan, rig.services, rig.state, &start, &rig.listener, &rig.result,
                             &rig.error));
    assert_int_equal(rig.result.exit_code, 130);
    assert_in_range(rig.result.counts.units_done, 3, 7);
    rig_unplan(&rig);
    rig.stop_at_unit = 0;
    rig_plan(&rig);
    rig.flow.readers = 1;
    assert_ok(wh_run_execute(&rig.plan, rig.services, rig.state, &again, &rig.listener, &rig.result,
                             &rig.error));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a fused flow takes another way to its end than one with two threads. */
static void fused(void **state)
{
    fake_reset(777, 3);
    rig_new(&rig);
    rig_plan(&rig);
    rig_unplan(&rig);
    const struct wh_run_start start = {.identity = rig.run};
    rig_plan(&rig);
    rig.flow.fused = true;
    assert_ok(wh_run_execute(&rig.plan, rig.services, rig.state, &start, &rig.listener, &rig.result,
                             &rig.error));
    assert_all_once();
    end();
}

/* Red when a unit without rows opens a writer, or is not recorded. */
static void nothing_to_write(void **state)
{
    fake_reset(0, 4);
    rig_new(&rig);
    RUN(0);
    assert_int_equal(fake.writers, 0);
    assert_int_equal(rig.result.counts.units_done, 4);
    end();
}

/* Red when a destination that counts other rows than were sent is believed. */
static void lying_count(void **state)
{
    fake_reset(1000, 2);
    fake.fault = LIE_COUNT;
    fake.faults = 1000; /* always */
    rig_new(&rig);
    RUN(1);
    assert_string_equal(table_error()->code, "E5005");
    assert_int_equal(fake.n_markers, 0);
    assert_int_equal(fake.writers, 4); /* once more each, not for ever */
    end();
}

/* Red when one wrong comparison is fatal at once, or not compared again. */
static void lying_once(void **state)
{
    fake_reset(1000, 1);
    fake.fault = LIE_COUNT;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(fake.writers, 2);
    end();
}

/* Red when a value that changed between decoder and encoder is committed. */
static void corrupting(void **state)
{
    fake_reset(1000, 1);
    fake.fault = CORRUPT;
    rig_new(&rig);
    RUN(0);
    assert_int_equal(fake.writers, 2); /* the first attempt was thrown away */
    assert_all_once();
    end();
}

/* Red when rows that do not add up at the source's end are committed. */
static void reader_does_not_add_up(void **state)
{
    fake_reset(1000, 1);
    fake.fault = READER_LIES;
    fake.batch_rows = 400;
    rig_new(&rig);
    /* Skipped rows are counted as read: that adds up, and must be accepted. */
    RUN(0);
    assert_int_equal(rig.result.counts.rows_skipped, 1);
    assert_int_equal(rig.result.counts.rows_read, 1001);
    end();
}

/* Red when an unknown outcome is guessed: once as done though it was not, once the reverse. */
static void unknown_outcomes(void **state)
{
    fake_reset(1000, 3);
    fake.fault = UNKNOWN_DONE;
    fake.fail_unit = 2;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(fake.writers, 3);
    end();
    fake_reset(1000, 3);
    fake.fault = UNKNOWN_UNDONE;
    fake.fail_unit = 2;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(fake.writers, 4);
    assert_true(fake.evicts > 0); /* the session that did not answer may still be at it */
    end();
}

/* Red when our own marker is taken for an error, or its rows are written again. */
static void twin(void **state)
{
    fake_reset(900, 3);
    fake.fault = TWIN_DONE;
    fake.fail_unit = 2;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(rig.result.counts.rows_written, 900);
    end();
}

/* Red when a lost session is used again, its ident is not evicted, or its rows are doubled. */
static void lost_session(void **state)
{
    fake_reset(2000, 2);
    fake.fault = LOST_ONCE;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(rig.result.counts.retries, 1);
    assert_true(fake.evicts > 0);
    assert_int_equal(rig.retries, 1);
    end();
}

/* Red when a retriable failure is not retried, or another one is. */
static void failing_reads(void **state)
{
    fake_reset(2000, 4);
    fake.fault = READ_RETRY;
    fake.fail_unit = 3;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    end();
    fake_reset(2000, 4);
    fake.fault = READ_FATAL;
    fake.fail_unit = 3;
    rig_new(&rig);
    RUN(1);
    assert_string_equal(table_error()->code, "E4003");
    assert_string_equal(rig.result.tables[0].status, "failed");
    assert_non_null(rig.result.resume);
    assert_int_equal(fake.closes, 0);
    /* The others were committed, and a resume does the rest. */
    rig_unplan(&rig);
    fake.fault = FAULT_NONE;
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    assert_int_equal(rig.result.counts.rows_read, 2000);
    end();
}

/* Red when a fenced process goes on, or says anything but 10. */
static void fenced(void **state)
{
    fake_reset(1000, 2);
    fake.fault = FENCE_COMMIT;
    rig_new(&rig);
    RUN(10);
    assert_int_equal(fake.closes, 0);
    end();
}

/* Red when the first refused row does not end the table, is not archived, or another row is lost
 * with it. */
static void first_refused_row_ends_it(void **state)
{
    fake_reset(400, 1);
    fake.bad_every = 1000;
    fake.rows = 1000;
    fake_reset(1000, 1);
    fake.bad_every = 1000; /* id 500 */
    rig_new(&rig);
    RUN(6);
    assert_string_equal(table_error()->code, "E6001");
    assert_int_equal(rig.dirty, 1);
    assert_int_equal(fake.n_markers, 0);
    end();
}

/* Red when finding one bad row in n takes more sends than halving would (2 log2 n, and the good
 * ones once), or a good row is blamed. */
static void narrowing(void **state)
{
    int64_t n = 8192;

    fake_reset(n, 1);
    fake.bad_every = n;
    rig_new(&rig);
    rig.stream.dirty_rows = 5;
    RUN(0);
    assert_all_once();
    assert_int_equal(rig.result.counts.rows_dirty, 1);
    assert_int_equal(rig.result.counts.rows_written, n - 1);
    assert_int_equal(rig.dirty, 1);
    /* 82 batches; the refused window is all of them (under 4 MiB). */
    print_message("%d sends, %d flushes for %d batches\n", fake.sends, fake.flushes, 82);
    assert_true(fake.flushes <= 3 + 2 * 13);
    assert_true(fake.sends <= 82 * 4);
    end();
}

/* Red when several bad rows of one window are not all found. */
static void many_bad_rows(void **state)
{
    for (int named = 0; named < 2; named++) {
        fake_reset(5000, 3);
        fake.bad_every = 97;
        fake.named = named;
        rig_new(&rig);
        rig.stream.dirty_rows = 100;
        RUN(0);
        assert_all_once();
        assert_int_equal(rig.result.counts.rows_dirty, 52);
        assert_int_equal(rig.result.counts.rows_written, 5000 - 52);
        print_message("named %d: %d sends, %d flushes\n", named, fake.sends, fake.flushes);
        end();
    }
    fake_reset(5000, 3);
    fake.bad_every = 97;
    fake.grain = WH_GRAIN_ROW;
    rig_new(&rig);
    rig.stream.dirty_rows = 51; /* one too few */
    RUN(6);
    end();
}

/* Red when a destination that takes all or nothing makes a table fail for one bad row, a good row
 * is blamed, or the search takes more attempts than it should. */
static void all_or_nothing(void **state)
{
    const struct {
        bool named, seal;
        int most_writers; /* per bad row, beside two per unit */
    } how[] = {{true, false, 1}, {false, false, 3}, {false, true, 12}};

    for (size_t i = 0; i < 3; i++) {
        fake_reset(6000, 3);
        fake.bad_every = 1500;
        fake.batch_rows = 500;
        fake.grain = WH_GRAIN_ATTEMPT;
        fake.named = how[i].named;
        fake.seal_refuses = how[i].seal;
        rig_new(&rig);
        rig.stream.dirty_rows = 4;
        RUN(0);
        assert_all_once();
        assert_int_equal(rig.result.counts.rows_dirty, 4);
        assert_int_equal(rig.result.counts.rows_written, 6000 - 4);
        assert_int_equal(rig.dirty, 4);
        print_message("named %d, seal %d: %d attempts for 4 bad rows in 3 units\n", how[i].named,
                      how[i].seal, fake.writers);
        assert_true(fake.writers <= 6 + 4 * how[i].most_writers);
        rig.stream.dirty_rows = 0;
        end();
    }
    fake_reset(6000, 3); /* no dirty row is allowed: the one that ends it is named */
    fake.bad_every = 6000;
    fake.grain = WH_GRAIN_ATTEMPT;
    rig_new(&rig);
    RUN(6);
    assert_string_equal(table_error()->code, "E6001");
    assert_int_equal(rig.dirty, 1);
    end();
}

/* Red when a row is blamed because a source delivers in another order each time. */
static void another_order(void **state)
{
    fake_reset(1000, 1);
    fake.bad_every = 1000;
    fake.grain = WH_GRAIN_ATTEMPT;
    fake.shuffles = true;
    rig_new(&rig);
    rig.stream.dirty_rows = 4;
    RUN(1);
    assert_string_equal(table_error()->code, "E5011");
    assert_int_equal(fake.n_markers, 0);
    end();
}

/* Red when rows that shall come again are lost, doubled, or taken for dirty ones. */
static void again_and_late(void **state)
{
    fake_reset(3000, 2);
    fake.grain = WH_GRAIN_ROW;
    fake.again = fake.late = true;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_int_equal(rig.result.counts.rows_dirty, 0);
    end();
}

/* Red when parts that began at a wrong place are committed as they were read. */
static void chained(void **state)
{
    fake_reset(8000, 8);
    fake.chained = true;
    fake.shift = 3;
    rig_new(&rig);
    RUN(0);
    assert_all_once();
    assert_string_equal(rig.result.tables[0].ranges, "8 (verified)");
    end();
}

/* Red when a source that corrects a range to another one makes the rows of its own be left out. */
static void chain_lies(void **state)
{
    fake_reset(8000, 8);
    fake.chained = true;
    fake.shift = 3;
    fake.fault = CHAIN_LIES;
    rig_new(&rig);
    RUN(1);
    assert_string_equal(table_error()->code, "E9003");
    end();
}

/* Red when what a cut leaves is lost or read twice, or a stop does not stop. */
static void cut_and_resume(void **state)
{
    fake_reset(20000, 2);
    fake.cuts = true;
    fake.sleep_row_ns = 100000;
    rig_new(&rig);
    rig.job.run.max_duration_ms = 300;
    int64_t from = wh_now_ns();
    RUN(7);
    assert_true(wh_now_ns() - from < 3000000000);
    assert_true(rig.result.counts.rows_written > 0);
    assert_true(rig.result.counts.rows_written < 20000);
    fake.sleep_row_ns = 0;
    rig.job.run.max_duration_ms = 0;
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    assert_int_equal(rig.result.counts.rows_read, 20000);
    assert_true(fake.acks > 2);
    assert_int_equal(fake.early, 0); /* also when a resume says it again */
    end();
}

/* Red when a source that cannot be split is committed as one unit however large it is. */
static void commit_interval(void **state)
{
    fake_reset(20000, 1);
    fake.cuts = true;
    rig_new(&rig);
    rig_plan(&rig);
    rig.flow.scan.unit_bytes = 50000;
    const struct wh_run_start start = {.identity = rig.run};
    assert_ok(wh_run_execute(&rig.plan, rig.services, rig.state, &start, &rig.listener, &rig.result,
                             &rig.error));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    assert_true(rig.result.counts.units_done > 3);
    end();
}

/* Red when a signal is not answered in time or its exit code is another. */
static void signalled(void **state)
{
    fake_reset(200000, 50);
    fake.sleep_row_ns = 10000;
    rig_new(&rig);
    rig.stop_at_unit = 3;
    int64_t from = wh_now_ns();
    RUN(130);
    assert_true(wh_now_ns() - from < 10000000000);
    assert_string_equal(rig.result.status, "interrupted");
    fake.sleep_row_ns = 0;
    rig.stop_at_unit = 0;
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a source that hangs is waited for for ever, or nobody is told who waits. */
static void no_progress(void **state)
{
    fake_reset(1000, 4);
    fake.fault = READ_HANGS;
    fake.fail_unit = 2;
    rig_new(&rig);
    rig.job.run.timeouts.no_progress = 400;
    int64_t from = wh_now_ns();
    RUN(5);
    assert_true(wh_now_ns() - from < 5000000000);
    assert_string_equal(rig.error.code[0] ? rig.error.code : rig.last_error.code, "E4010");
    assert_non_null(strstr(rig.last_error.message, "source 'source' reads; the queue is empty"));
    rig.job.run.timeouts.no_progress = 0;
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a destination that hangs is waited for for ever, or the source is blamed. */
static void no_progress_writing(void **state)
{
    fake_reset(1000, 4);
    fake.fault = WRITE_HANGS;
    fake.fail_unit = 2;
    rig_new(&rig);
    rig.job.run.timeouts.no_progress = 400;
    int64_t from = wh_now_ns();
    RUN(5);
    assert_true(wh_now_ns() - from < 5000000000);
    assert_string_equal(rig.last_error.code, "E4010");
    assert_non_null(strstr(rig.last_error.message, "destination 'destination' writes"));
    assert_non_null(strstr(rig.last_error.message, "source 'source' has given all its rows"));
    rig.job.run.timeouts.no_progress = 0;
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a claim that gets no answer (a lock that nobody lets go of) is waited for for ever. */
static void no_progress_claiming(void **state)
{
    fake_reset(1000, 4);
    fake.fault = CLAIM_HANGS;
    rig_new(&rig);
    rig.job.run.timeouts.no_progress = 400;
    int64_t from = wh_now_ns();
    wh_ignore(rig_run(&rig, false));
    assert_int_equal(rig.result.exit_code, 5);
    assert_true(wh_now_ns() - from < 5000000000);
    assert_string_equal(rig.error.code, "E4010");
    assert_non_null(strstr(rig.error.message, "claims 'destination'"));
    end();
}

/* In a process of its own, which must end by itself; its exit code. */
static int exit_of(enum fault fault)
{
    int how = 0;
    pid_t pid;

    fake_reset(1000, 4);
    fake.fault = fault;
    fake.fail_unit = 2;
    rig_new(&rig);
    rig.job.run.timeouts.no_progress = 300;
    setenv("WH_TEST_ABANDON_MS", "600", 1);
    pid = fork();
    if (pid == 0) {
        wh_ignore(rig_run(&rig, false));
        _exit(99); /* it came back after all */
    }
    unsetenv("WH_TEST_ABANDON_MS");
    for (int i = 0; i < 1500 && waitpid(pid, &how, WNOHANG) == 0; i++)
        usleep(10000);
    kill(pid, SIGKILL);
    return WIFEXITED(how) ? WEXITSTATUS(how) : -1;
}

/* Red when a connector that no interrupt brings back keeps the process from ending, or its rows
 * cannot be moved by a resume. */
static void never_comes_back(void **state)
{
    assert_int_equal(exit_of(NEVER_RETURNS), 5);
    struct wh_error err;
    struct wh_run_record r;

    assert_ok(wh_state_run_get(rig.state, rig.run, rig.job.arena, &r, &err));
    assert_int_equal(r.exit_code, 5);
    assert_false(r.finished);
    rig_free(&rig);
    assert_int_equal(exit_of(CLAIM_NEVER), 5);
    rig_free(&rig);
}

/* Red when a stop waits for a server that does not answer a log-in. */
static void connects_for_ever(void **state)
{
    fake_reset(2000, 20);
    fake.fault = OPEN_HANGS;
    rig_new(&rig);
    rig.stop_at_unit = 2;
    int64_t from = wh_now_ns();
    RUN(130);
    int64_t ms = (wh_now_ns() - from) / 1000000;
    print_message("stopped after %d ms\n", (int)ms);
    assert_true(ms < 6000);
    assert_true(fake.interrupts > 0);
    rig.stop_at_unit = 0;
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a run crawls for ever because pausing does not bring its memory under the ceiling, ends
 * without saying so, or loses what it had read. (The program alone is larger than 2 MiB.) */
static void memory_over(void **state)
{
    fake_reset(200000, 50);
    fake.cuts = true;
    fake.sleep_row_ns = 10000;
    rig_new(&rig);
    rig.job.run.memory = 2 << 20;
    setenv("WH_TEST_MEMORY_MS", "600", 1);
    int64_t from = wh_now_ns();
    RUN(7);
    unsetenv("WH_TEST_MEMORY_MS");
    assert_true(wh_now_ns() - from < 8000000000);
    assert_string_equal(rig.last_error.code, "E8001");
    assert_non_null(strstr(rig.last_error.message, "over --memory 2 MB"));
    assert_true(rig.result.counts.rows_read > 0);
    fake.sleep_row_ns = 0;
    rig.job.run.memory = 0;
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a rate limit is not kept. */
static void rate(void **state)
{
    fake_reset(3000, 2);
    rig_new(&rig);
    rig.job.run.rate_rows = 4000;
    int64_t from = wh_now_ns();
    RUN(0);
    int64_t ms = (wh_now_ns() - from) / 1000000;
    print_message("3000 rows at 4000/s took %d ms\n", (int)ms);
    assert_true(ms > 500 && ms < 3000);
    assert_all_once();
    end();
}

/* Red when writers of one transactional destination are not capped together. */
static void one_writer(void **state)
{
    fake_reset(5000, 10);
    rig_new(&rig);
    rig_plan(&rig);
    rig.flow.tgt.max_writers = 1;
    const struct wh_run_start start = {.identity = rig.run};
    assert_ok(wh_run_execute(&rig.plan, rig.services, rig.state, &start, &rig.listener, &rig.result,
                             &rig.error));
    assert_all_once();
    assert_int_equal(fake.most_writers, 1);
    end();
}

/* Red when a process that read the run's record, and then slept while another one carried the run
 * on, records all tables anew over what was moved. */
static void read_too_early(void **state)
{
    struct wh_run_start late = {.resume = true};
    const uint32_t read = 0; /* before anybody claimed it */

    fake_reset(1000, 4);
    fake.fault = READ_FATAL;
    fake.fail_unit = 3;
    rig_new(&rig);
    RUN(1);
    rig_unplan(&rig);
    fake.fault = FAULT_NONE;
    rig_plan(&rig);
    late.identity = rig.run;
    late.epoch = &read;
    assert_int_equal(wh_run_execute(&rig.plan, rig.services, rig.state, &late, &rig.listener,
                                    &rig.result, &rig.error),
                     WH_HELD_BY);
    assert_string_equal(rig.error.code, "E7018");
    assert_int_equal(rig.result.exit_code, 10);
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true)); /* and the run is as it was */
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when a run whose claim may have been made, its answer being lost, is taken back: its targets
 * would be held by a run that nobody knows. */
static void claim_answer_lost(void **state)
{
    fake_reset(1000, 4);
    fake.fault = CLAIM_LOST;
    rig_new(&rig);
    RUN(5);
    assert_non_null(rig.result.resume);
    rig_unplan(&rig);
    fake.fault = FAULT_NONE;
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_all_once();
    end();
}

/* Red when an ended run is carried out a second time. */
static void resume_of_nothing(void **state)
{
    fake_reset(100, 1);
    rig_new(&rig);
    RUN(0);
    rig_unplan(&rig);
    assert_ok(rig_run(&rig, true));
    assert_int_equal(rig.result.exit_code, 0);
    assert_int_equal(fake.writers, 1);
    assert_int_equal(fake.claims, 1);
    assert_int_equal(rig.result.counts.rows_written, 100);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(moves_all),
        cmocka_unit_test(fused),
        cmocka_unit_test(nothing_to_write),
        cmocka_unit_test(lying_count),
        cmocka_unit_test(lying_once),
        cmocka_unit_test(corrupting),
        cmocka_unit_test(reader_does_not_add_up),
        cmocka_unit_test(unknown_outcomes),
        cmocka_unit_test(twin),
        cmocka_unit_test(lost_session),
        cmocka_unit_test(failing_reads),
        cmocka_unit_test(fenced),
        cmocka_unit_test(first_refused_row_ends_it),
        cmocka_unit_test(narrowing),
        cmocka_unit_test(many_bad_rows),
        cmocka_unit_test(all_or_nothing),
        cmocka_unit_test(another_order),
        cmocka_unit_test(again_and_late),
        cmocka_unit_test(chained),
        cmocka_unit_test(chain_lies),
        cmocka_unit_test(cut_and_resume),
        cmocka_unit_test(commit_interval),
        cmocka_unit_test(signalled),
        cmocka_unit_test(no_progress),
        cmocka_unit_test(no_progress_writing),
        cmocka_unit_test(no_progress_claiming),
        cmocka_unit_test(never_comes_back),
        cmocka_unit_test(connects_for_ever),
        cmocka_unit_test(memory_over),
        cmocka_unit_test(rate),
        cmocka_unit_test(one_writer),
        cmocka_unit_test(turns),
        cmocka_unit_test(turns_stopped),
        cmocka_unit_test(resume_of_nothing),
        cmocka_unit_test(read_too_early),
        cmocka_unit_test(claim_answer_lost),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
