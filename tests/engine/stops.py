# SPDX-License-Identifier: Apache-2.0
"""Being stopped: signals, `cancel`, limits of ours; and being stopped and continued (zombies)."""
import signal
import time

import cases
import faults
import hardctl
import harness


def signals(t, name):
    """SIGINT and SIGTERM: state saved, out within 10 s with 130 or 143, and resume ends the run. Also
    when the server does not answer: then the session is interrupted."""
    case = cases.BY_NAME[name]
    with cases.Bench(case) as bench:
        bench.busy()
        for number, want, src in ((signal.SIGINT, 130, {'delay_ms': '20ms'}), (signal.SIGTERM, 143, {'delay_ms': '20ms'}),
                                  (signal.SIGTERM, 143, {'delay_ms': '20000ms'})):
            bench.fresh()
            what = '%s: signal %d, delay %s' % (name, number, src['delay_ms'])
            p = faults.after_first_commit(bench, bench.copy('--json', src=src)) if src['delay_ms'] == '20ms' \
                else hanging(bench, src)
            start = time.monotonic()
            p.send_signal(number)
            code, out, err = harness.finish(p, 15)
            took = time.monotonic() - start
            event = harness.finished(out)
            t.check(code == want and event.get('exit') == want and event.get('resume') and took < 10, what,
                    '%s after %.1f s %s\n%s' % (code, took, event, err))
            t.check(harness.unbalanced(event) is None, what + ': counts of what was done', harness.unbalanced(event))
            if src['delay_ms'] != '20ms':
                bench.place.run('cancel', event.get('run', '?'), '--discard', '--yes')
                continue
            resumed(t, bench, what)


def resumed(t, bench, what, *flags):
    parted = not bench.case.re_enter and cases.partly(bench)
    code, event, said = cases.resume(bench.place, *flags, limit=30)
    mixed = not bench.case.re_enter and 'mixed' in (event.get('snapshot') or '')
    t.check(mixed == parted, what + ', resumed: two instants are said where there are two', '%s %s' % (event, said))
    why = 'exit %s' % code if code else bench.judge(total=False if mixed else None) or cases.went_well(event, bench.rows)
    t.check(why is None, what + ', resumed', '%s\n%s' % (why, said))


def hanging(bench, src):
    p = bench.place.start(*bench.copy('--json', src=src))
    time.sleep(1.0)
    return p


def cancelled(t):
    """`wherry cancel RUN` from elsewhere; what was committed stays for resume, or is given up."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        p = faults.after_first_commit(bench, bench.copy('--json', src={'delay_ms': '20ms'}))
        run = harness.events(bench.place.run('history', '--json')[1])[0]
        t.check(run['status'] == 'running', 'cancel: it is running', run)
        start = time.monotonic()
        code, _, err = bench.place.run('cancel', run['run'])
        took = time.monotonic() - start
        t.check(code == 0 and took < 10, 'cancel: exit 0 when it has stopped', '%s after %.1f s\n%s' % (code, took, err))
        code, out, err = harness.finish(p, 5)
        t.check(code == 130, 'cancel: the run ends with 130', '%s\n%s' % (code, err))
        code, _, err = bench.place.run('cancel', run['run'])
        t.check(code == 2, 'cancel: nobody is there to stop', '%s\n%s' % (code, err))
        resumed(t, bench, 'cancel')
        # cancel --discard of what has committed rows asks first.
        bench.fresh()
        bench.place.run(*bench.copy(), WH_TEST_KILL='record-after:3')
        run = harness.events(bench.place.run('history', '--json')[1])[0]
        stay = len(hardctl.table_rows(bench.dst, 'copy', []))
        code, _, err = bench.place.run('cancel', run['run'], '--discard')
        t.check(code == 2 and '--yes' in err, 'cancel --discard: rows would stay: asks', '%s\n%s' % (code, err))
        code, _, err = bench.place.run('cancel', run['run'], '--discard', '--yes')
        t.check(code == 0 and '%d rows' % stay in err.replace(',', ''), 'cancel --discard --yes: counts what stays',
                '%s, %d stay\n%s' % (code, stay, err))
        code, _, err = bench.place.run('resume')
        t.check(code == 2 and 'no run is unfinished' in err, 'cancel --discard: nothing to resume', err)
        t.check(not bench.place.leftovers(), 'cancel --discard: nothing is left', bench.place.leftovers())
        t.check(bench.place.run(*bench.copy())[0] == 0, 'cancel --discard: the target is free')


def own_limits(t):
    """max_duration ends with 7 and is resumable; rates hold; memory stays under its ceiling."""
    with cases.Bench(cases.BY_NAME['again']) as bench:
        start = time.monotonic()
        code, out, err = bench.place.run(*bench.copy('--json', '--max-duration', '1s', src={'delay_ms': '100ms'}))
        took, event = time.monotonic() - start, harness.finished(out)
        t.check(code == 7 and event.get('exit') == 7 and event.get('retryable') is True and event.get('resume') and
                1 <= took < 8, 'max-duration: exit 7, resumable', '%s after %.1f s %s\n%s' % (code, took, event, err))
        resumed(t, bench, 'max-duration', '--max-duration', '60s')
    with cases.Bench(cases.BY_NAME['late'], cases.LARGE) as bench:
        for flags in (('--rows-per-second', '10000'), ('--rate', '200kB/s')):
            bench.fresh()
            code, out, err = bench.place.run(*bench.copy('--json', *flags))
            event = harness.finished(out)
            seconds = event.get('seconds', 0)
            most = event['rows_read'] / 10000 if flags[0] == '--rows-per-second' else event['bytes_read'] / 200e3
            t.check(code == 0 and seconds >= 0.6 * most and bench.judge() is None, 'limit %s' % (flags,),
                    '%s: %.2f s, at the limit %.2f s\n%s' % (code, seconds, most, err))
    memory(t)


def memory(t):
    """Resident memory stays under its ceiling. A sanitizer's own memory is over it from the start: there
    the run must end with 7 and say so, instead of a batch now and then, and go on with more."""
    place = harness.Place('memory')
    rows = 15000 if harness.sanitized() else 60000
    copy = ['copy', 'gen:posts?rows=%d' % rows, 'null:', '-j', '2', '--memory', '48MB', '--json']
    try:
        code, out, err = place.run(*copy, WH_TEST_MEMORY_MS='1000')
        event = harness.finished(out)
        if not harness.sanitized():
            t.check(code == 0 and event.get('rows_read') == rows and 0 < event.get('peak_rss', 0) < 48e6,
                    'memory: resident memory under its ceiling', '%s %s\n%s' % (code, event.get('peak_rss'), err))
            return
        t.check(code == 7 and event.get('rows_read', 0) > 0 and event.get('peak_rss', 0) > 48e6 and
                'E8001' in [e.get('code') for e in harness.events(out)] and harness.unbalanced(event) is None,
                'memory: over its ceiling: ends with 7 and says why', '%s %s\n%s' % (code, event, err))
        code, event, said = cases.resume(place, '--memory', '8GB')
        t.check(code == 0 and event.get('rows_read') == event.get('rows_written') == rows,
                'memory: over its ceiling: goes on with more', '%s %s\n%s' % (code, event, said))
    finally:
        place.remove()


# ---- zombies -------------------------------------------------------------------------------------

# Where a process is stopped; a case that does not pass a point skips it.
ZOMBIE_POINTS = ['claim-after', 'snapshot-taken', 'prepare-step-intended', 'lease-after', 'writer-opened', 'batch-written',
                 'commit-before', 'commit-after', 'record-after', 'settle-step-applied', 'publish-step-intended',
                 'publish-step-applied', 'closing-recorded', 'run-close-after', 'closed-recorded']


def zombie(t, bench, point, nth, wakes):
    """A process is stopped for longer than it may be silent; another one takes its run over. The first
    one wakes: after the second has ended, or in the middle of it (which is stopped itself meanwhile)."""
    case = bench.case
    what = '%s: zombie at %s:%d, wakes %s' % (case.name, point, nth, wakes)
    bench.fresh()
    # With one lane seldom, with two often, a process is stopped inside a transaction of the state or of
    # the server (SQLite both): then the other one waits for the lock as long as it may.
    lanes = t.rng.choice(['1', '1', '1', '2'])
    p = bench.place.start(*bench.copy('-j', lanes), WH_TEST_STOP='%s:%d' % (point, nth))
    if not harness.wait_stopped(p, 30):
        harness.end(p)
        return False
    time.sleep(harness.STALE_MS / 1000 + 0.25)
    second = None
    if wakes == 'in between':
        second = bench.place.start('resume', WH_TEST_STOP='%s:1' % t.rng.choice(
            ['claim-recorded', 'lease-after', 'commit-after', 'record-after', 'closing-before']))
        harness.wait_stopped(second, 30)
    code, event, said = (None, {}, '') if second else cases.resume(bench.place, '--lock-wait', '1s', limit=2)
    p.send_signal(signal.SIGCONT)
    # One that is stopped inside a transaction of SQLite makes the other wait until it goes on.
    harness.gone(p, 4 if second else 60)
    if second:
        second.send_signal(signal.SIGCONT)
        code2, _, more = harness.finish(second, 60)
        said += 'second: exit %s\n%s' % (code2, more)
    ended, _, err = harness.finish(p, 60)
    if code != 0:
        code, event, more = cases.to_the_end(bench, bench.copy())
        said += more
    said += '\nzombie: exit %s\n%s' % (ended, err)
    t.check(ended in (0, 1, 2, 5, 10), what + ' ends', said)
    t.notes['zombie exit %s' % ended] += 1
    mixed = not case.re_enter and 'mixed' in cases.recorded_snapshot(bench.place)
    # Stopped while it staged a file, and waking when all is over, it ends its write: no reader sees it.
    why = 'exit %s' % code if code else bench.judge(total=False if mixed else None, ended=True,
                                                    allow=('stages',) if case.klass == 'P' else ())
    t.check(why is None, what, '%s\n%s' % (why, said))
    return True


def zombies(t, name):
    with cases.Bench(cases.BY_NAME[name]) as bench:
        bench.busy()
        points = [p for p in ZOMBIE_POINTS]
        t.rng.shuffle(points)
        done, want = 0, harness.depth('WH_TEST_ZOMBIES', 2 if harness.fast() else 5)
        for i, point in enumerate(points):
            if done == want:
                break
            done += zombie(t, bench, point, t.rng.choice([1, 1, 2]), ('after the end', 'in between')[i % 2])
        t.check(done >= min(want, 3), '%s: too few zombies' % name, done)
