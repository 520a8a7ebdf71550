# SPDX-License-Identifier: Apache-2.0
"""A run, again: identity, what is finished and what is not, who holds a target (INTERFACE 5)."""
import json
import signal
import time

import cases
import faults
import hardctl
import harness


def write_job(bench, name='job.json', **change):
    """A job file of the case; JSON, so that nothing has to be quoted."""
    stream = {'name': 'one', 'from': bench.source(), 'to': bench.sink()}
    job = {'version': 1, 'name': 'hard', 'streams': [stream], 'run': {'parallel': 2}}
    stream.update(change)
    path = bench.place.path(name)
    with open(path, 'w', encoding='utf-8') as f:
        json.dump(job, f)
    return path


def count(bench, table='copy'):
    return len(hardctl.table_rows(bench.dst, table, []))


def same_identity(t):
    with cases.Bench(cases.BY_NAME['late']) as bench:
        job = write_job(bench)
        run = ['run', job, '--run-id', 'nightly', '--no-progress']
        t.check(bench.place.run(*run)[0] == 0 and bench.judge() is None, 'run with an id', bench.judge())
        code, out, err = bench.place.run(*run)
        t.check(code == 0 and count(bench) == bench.rows and 'finished before' in err and '1500 read' in err.replace(',', ''),
                'the same id, finished: nothing moves, the old summary is printed, exit 0', '%s\n%s' % (code, err))
        code, _, err = bench.place.run(*run, '--again')
        t.check(code == 0 and count(bench) == 2 * bench.rows, '--again runs anew', '%s\n%s' % (code, err))
        # Without an id: finished is followed by a new one.
        bench.fresh()
        plain = ['run', job, '--no-progress']
        t.check([bench.place.run(*plain)[0] for _ in range(2)] == [0, 0] and count(bench) == 2 * bench.rows,
                'without an id a finished run is followed by a new one', count(bench))
        for words in (run, plain):
            bench.fresh()
            code, _, err = bench.place.run(*words, WH_TEST_KILL='commit-after:3')
            t.check(code == -signal.SIGKILL, 'killed', err)
            code, _, err = bench.place.run(*words)
            t.check(code == 0 and bench.judge() is None, 'unfinished, the same words: resumed (%s)' % words[2:4],
                    '%s %s\n%s' % (code, bench.judge(), err))


def job_changed(t):
    """The job is another one than the unfinished run's: refused with the exact difference."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        job = write_job(bench)
        bench.place.run('run', job, WH_TEST_KILL='record-after:2')
        before = count(bench)
        write_job(bench, columns=['id', 'amount'])
        code, _, err = bench.place.run('run', job)
        t.check(code == 2 and 'columns' in err and 'resume' in err and '--fresh' in err,
                'the job has changed: refused, with the difference and both ways', '%s\n%s' % (code, err))
        write_job(bench, to=bench.sink('other'))
        code, _, err = bench.place.run('run', job)
        t.check(code == 2 and 'copy' in err and 'other' in err, 'another destination: was and is', '%s\n%s' % (code, err))
        t.check(count(bench) == before and count(bench, 'other') == 0, 'and nothing was written')
        code, event, said = cases.resume(bench.place)
        t.check(code == 0 and bench.judge() is None, 'resume goes on with the old job', '%s\n%s' % (bench.judge(), said))


def copy_does_not_guess(t):
    with cases.Bench(cases.BY_NAME['late']) as bench:
        bench.place.run(*bench.copy(), WH_TEST_KILL='record-after:2')
        code, _, err = bench.place.run(*bench.copy())
        t.check(code == 2 and 'resume r-' in err and '--fresh' in err, 'an identical copy that is unfinished: stops',
                '%s\n%s' % (code, err))
        # Another one, onto another target: two are unfinished, resume wants a name.
        bench.place.run(*bench.copy(table='other'), WH_TEST_KILL='record-after:2')
        code, _, err = bench.place.run('resume')
        t.check(code == 2 and err.count('r-') >= 2, 'resume without a name lists the two', '%s\n%s' % (code, err))
        for run in [e['run'] for e in harness.events(bench.place.run('history', '--json')[1])]:
            code, _, err = bench.place.run('resume', run)
            t.check(code == 0, 'resume RUN', err)
        t.check(bench.judge() is None and bench.judge('other') is None, 'both are whole',
                (bench.judge(), bench.judge('other')))
        code, _, err = bench.place.run('resume', run)
        t.check(code == 2 and 'E7013' in err, 'resume of what is done', '%s\n%s' % (code, err))


def targets(t):
    """One run per target: 10 while its owner lives, 2 when it is dead, whatever the other's words."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        others = [('another source', ['copy', 'hard-plain:%s?batch_rows=77#account' % bench.src, bench.sink()]),
                  ('a job', ['run', write_job(bench)]),
                  ('--fresh of another', ['copy', 'hard-plain:%s?batch_rows=78#account' % bench.src, bench.sink(), '--fresh',
                                          '--yes'])]
        p = faults.after_first_commit(bench, bench.copy(src={'delay_ms': '250ms'}))
        for what, words in others:
            code, _, err = bench.place.run(*words)
            t.check(code == 10 and 'process %d ' % p.pid in err and 'since' in err,
                    'held by a living owner: 10, with pid: ' + what, '%s\n%s' % (code, err))
        code, out, err = bench.place.run(*others[0][1], '--json')
        t.check(code == 10 and any(e.get('retryable') for e in harness.events(out)), 'and it may be tried again', out)
        p.kill()
        p.communicate()
        for what, words in others:
            code, _, err = bench.place.run(*words)
            t.check(code == 2 and 'resume r-' in err and '--discard' in err, 'held by an unfinished run: 2, names both: ' + what,
                    '%s\n%s' % (code, err))
        code, event, said = cases.resume(bench.place)
        t.check(code == 0 and bench.judge() is None, 'the holder ends', '%s\n%s' % (bench.judge(), said))
        t.check(bench.place.run(*others[0][1])[0] == 0 and count(bench) == 2 * bench.rows, 'then the target is free')
        waiting(t, bench)
        elsewhere(t, bench)


def waiting(t, bench):
    """--lock-wait waits for a living owner."""
    bench.fresh()
    p = faults.after_first_commit(bench, bench.copy(src={'delay_ms': '20ms'}))
    code, _, err = bench.place.run('copy', 'hard-plain:%s?batch_rows=77#account' % bench.src, bench.sink(), '--lock-wait', '30s')
    first, _, _ = harness.finish(p, 30)
    t.check((first, code) == (0, 0) and count(bench) == 2 * bench.rows, '--lock-wait: waits, then runs',
            '%s %s %d\n%s' % (first, code, count(bench), err))


def elsewhere(t, bench):
    """Another machine's state knows nothing of the run: the destination does."""
    bench.fresh()
    bench.place.run(*bench.copy(), WH_TEST_KILL='record-after:2')
    before = count(bench)
    code, _, err = bench.place.run(*bench.copy(), '--state', bench.place.path('other.db'))
    t.check(code in (2, 10) and 'r-' in err and count(bench) == before, 'held in the destination for another machine as well',
            '%s\n%s' % (code, err))
    code, event, said = cases.resume(bench.place)
    t.check(code == 0 and bench.judge() is None, 'and its owner goes on', '%s\n%s' % (bench.judge(), said))


def fresh(t):
    """--fresh gives an unfinished run up: rows that stay need --yes and are counted; staged ones go."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        bench.place.run(*bench.copy(), WH_TEST_KILL='commit-after:3')
        stay = count(bench)
        code, _, err = bench.place.run(*bench.copy('--fresh'))
        t.check(code == 2 and '--yes' in err and str(stay) in err and count(bench) == stay, '--fresh asks before rows stay',
                '%s, %d stay\n%s' % (code, stay, err))
        code, out, err = bench.place.run(*bench.copy('--fresh', '--yes', '--json'))
        event = harness.finished(out)
        t.check(code == 0 and count(bench) == stay + bench.rows and event.get('rows_written') == bench.rows,
                '--fresh --yes', '%s %s\n%s' % (code, event, err))
        t.check(str(stay) in err + json.dumps([e for e in harness.events(out) if e['type'] != 'progress']),
                'the summary repeats how many stay', (stay, err))
        t.check(not bench.place.leftovers(), '--fresh leaves nothing of the old run', bench.place.leftovers())
    for name in ('manifest', 'settle'):
        with cases.Bench(cases.BY_NAME[name]) as bench:
            for point in ('commit-after:3', 'publish-step-before:1'):
                bench.fresh()
                bench.place.run(*bench.copy(), WH_TEST_KILL=point)
                code, _, err = bench.place.run(*bench.copy('--fresh'))
                t.check(code == 0 and bench.judge() is None, '%s: --fresh after %s: what was staged is gone' % (name, point),
                        '%s %s\n%s' % (code, bench.judge(), err))


def target_changed(t):
    """Somebody removed or emptied the target between kill and resume: refused, never papered over."""
    import os
    import sqlite3
    with cases.Bench(cases.BY_NAME['late']) as bench:
        # A unit that is committed and not recorded was promised as well.
        for sql, point in (('drop table copy', 'record-after:3'), ('delete from copy', 'record-after:3'),
                           ('drop table copy', 'commit-after:1'), ('delete from copy', 'commit-after:1')):
            bench.fresh()
            bench.place.run(*bench.copy(), WH_TEST_KILL=point)
            db = sqlite3.connect(os.path.join(bench.dst, 'server.db'))
            db.execute(sql)
            db.commit()
            db.close()
            code, event, said = cases.resume(bench.place)
            t.check(code == 1 and 'E7009' in said, '%s between kill at %s and resume: E7009' % (sql, point), '%s\n%s' % (code, said))
            code, _, err = bench.place.run(*bench.copy('--fresh', '--yes'))
            t.check(code == 0 and bench.judge() is None, '%s: --fresh makes it whole' % sql, '%s\n%s' % (bench.judge(), err))


def living_owner_stopped(t):
    """A stopped owner is stale after the agreed time and is taken over, not waited for forever."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        # One lane: the other one could be stopped inside a transaction, whose lock everybody waits for.
        p = bench.place.start(*bench.copy('-j', '1'), WH_TEST_STOP='lease-after:2')
        if not t.check(harness.wait_stopped(p, 60), 'the owner is stopped'):
            harness.end(p)
            return
        # The agreed time is the looker's own: with a long one the clock of a busy machine decides nothing.
        code, _, err = bench.place.run('resume', WH_TEST_STALE_MS='600000')
        t.check(code == 10 and str(p.pid) in err, 'stopped a moment ago: still an owner', '%s\n%s' % (code, err))
        time.sleep(harness.STALE_MS / 1000 + 0.3)
        code, event, said = cases.resume(bench.place)
        t.check(code == 0 and bench.judge() is None, 'silent for too long: taken over', '%s\n%s' % (bench.judge(), said))
        p.send_signal(signal.SIGCONT)
        code, _, err = harness.finish(p, 120)
        t.check(code == 10 and bench.judge() is None, 'the old owner wakes and ends with 10', '%s %s\n%s' % (
            code, bench.judge(), err))
