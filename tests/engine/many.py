# SPDX-License-Identifier: Apache-2.0
"""Several tables in one run: one instant for all of them, one that fails while others go on; several
processes at one run; upserts that are repeated; giving a run up when its source is gone."""
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time

import cases
import faults
import hardctl
import harness

TABLES = ['alpha', 'beta', 'gamma']


def fill(bench):
    """Three tables with ids 1..rows; the sum over all of them is what stays."""
    return sum(hardctl.fill(bench.src, name, bench.size['rows'])[1] for name in TABLES)


def mover(path):
    """Moves money from one table to another until its parent is gone."""
    db, rng, parent = hardctl.connect(path), random.Random(1), os.getppid()
    high = db.execute('select max(id) from alpha').fetchone()[0]
    while os.getppid() == parent:
        (a, b), n = rng.sample(TABLES, 2), rng.randint(1, 50)
        db.execute('begin immediate')
        db.execute('update %s set amount = amount - ? where id = ?' % a, (n, rng.randint(1, high)))
        db.execute('update %s set amount = amount + ? where id = ?' % b, (n, rng.randint(1, high)))
        db.execute('commit')
        time.sleep(0.002)


def busy(bench):
    bench.writers.append(subprocess.Popen([sys.executable, os.path.abspath(__file__), bench.src]))


def judge(bench, total, ended=False):
    """Every table whole, and the sum over all of one instant (total None: not looked at)."""
    problems, found = [], 0
    for name in TABLES:
        why = bench.judge('to_' + name, total=False, ended=ended)
        problems += ['%s: %s' % (name, why)] * bool(why)
        rows = hardctl.table_rows(bench.dst, 'to_' + name, [])
        found += sum(int(r[2]) for r in rows)
    if total is not None and found != total:
        problems.append('sum %d over all tables, not %d' % (found, total))
    return '; '.join(problems) or None


def command(bench, *flags, **options):
    source = bench.source(**options).split('#')[0]
    return ['copy', source + '#*', bench.sink('to_{source.table}'), '-j', '2', '--no-progress', '--json'] + list(flags)


def tables(t, name):
    """A whole database under kills, while money moves between its tables."""
    phase_of = dict(harness.kill_points())
    with cases.Bench(cases.BY_NAME[name]) as bench:
        db = hardctl.connect(bench.src)
        db.execute('drop table account')
        db.close()
        total = fill(bench)
        seen = harness.reached(bench.place, command(bench), bench.place.path('points.log'))
        t.check(judge(bench, total) is None, '%s, three tables: the undisturbed run' % name, judge(bench, total))
        busy(bench)
        points = [p for p in phase_of if seen[p]]
        for point in t.rng.sample(points, min(len(points), harness.depth('WH_TEST_TABLE_KILLS', 3 if harness.fast() else 12))):
            bench.fresh()
            nth = t.rng.randint(1, seen[point])
            code, out, err = bench.place.run(*command(bench), WH_TEST_KILL='%s:%d' % (point, nth))
            t.kills[phase_of[point]] += code == -signal.SIGKILL
            event, said = harness.finished(out), err
            if code:
                code, event, more = cases.to_the_end(bench, command(bench))
                said += more
            mixed = 'mixed' in cases.recorded_snapshot(bench.place)
            why = 'exit %s' % code if code else judge(bench, None if mixed else total, ended=code is None)
            if mixed and bench.case.re_enter:
                why = 'mixed instants'
            if why is None and code == 0:
                why = cases.went_well(event, 3 * bench.rows)
            t.check(why is None, '%s, three tables: killed at %s:%d' % (name, point, nth), '%s\n%s' % (why, said))


def one_fails(t):
    """A table that the destination refuses ends; the others are complete, the report too; resume does
    only what is missing."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        fill(bench)
        stream = [{'name': n, 'from': 'hard-plain:%s#%s' % (bench.src, n),
                   'to': 'hard-plain:%s%s#to_%s' % (bench.dst, '?refuse=id%20%3D%207' if n == 'beta' else '', n)}
                  for n in TABLES]
        path = bench.place.path('job.json')
        with open(path, 'w', encoding='utf-8') as f:
            json.dump({'version': 1, 'name': 'three', 'streams': stream, 'run': {'parallel': 2}}, f)
        code, out, err = bench.place.run('run', path, '--json')
        event = harness.finished(out)
        state = {x['table']: (x['status'], x['exit']) for x in event.get('tables', [])}
        t.check(code == 6 and event.get('exit') == 6 and state.get('beta', ('', 0))[1] == 6 and
                state.get('alpha') == state.get('gamma') == ('done', 0), 'one table fails, the others are done', (code, state, err))
        t.check(harness.unbalanced(event) is None, 'counts of a run that failed', harness.unbalanced(event))
        count = {n: len(hardctl.table_rows(bench.dst, 'to_' + n, [])) for n in TABLES}
        t.check(count['alpha'] == count['gamma'] == bench.rows, 'the others are whole', count)
        code, out, err = bench.place.run('resume', '--json', '--dirty', 'rows=1')
        event = harness.finished(out)
        count = {n: len(hardctl.table_rows(bench.dst, 'to_' + n, [])) for n in TABLES}
        t.check(code == 0 and count == {'alpha': bench.rows, 'beta': bench.rows - 1, 'gamma': bench.rows},
                'resume does what is missing, once', '%s %s\n%s' % (code, count, err))
        t.check((event.get('rows_read'), event.get('rows_dirty')) == (3 * bench.rows, 1) and harness.unbalanced(event) is None,
                'and the summary is of the whole run', event)


def two_resumes(t):
    """Two at once, and one beside a living run: one works, the other gets 10."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        for _ in range(4):
            bench.fresh()
            bench.place.run(*bench.copy(src={'delay_ms': '3ms'}), WH_TEST_KILL='record-after:2')
            both = [bench.place.start('resume', '--json') for _ in range(2)]
            ends = [harness.finish(p, 60) for p in both]
            codes = sorted(e[0] for e in ends)
            said = '\n'.join(e[2] + e[1][-600:] for e in ends)
            # The later one may also come when all is done.
            t.check(codes in ([0, 10], [0, 2]) and (codes[1] == 10 or 'E7007' in said or 'E7013' in said),
                    'two resumes at once', '%s\n%s' % (codes, said))
            t.check(bench.judge() is None, 'two resumes at once: the destination', '%s\n%s' % (bench.judge(), said))
        bench.fresh()
        p = faults.after_first_commit(bench, bench.copy(src={'delay_ms': '10ms'}))
        code, _, err = bench.place.run('resume')
        t.check(code == 10 and str(p.pid) in err, 'resume beside a living run', '%s\n%s' % (code, err))
        code, _, err = harness.finish(p, 60)
        t.check(code == 0 and bench.judge() is None, 'and it does no harm', '%s\n%s' % (bench.judge(), err))


def discard_living(t):
    """cancel --discard of a run that works: it stops first."""
    with cases.Bench(cases.BY_NAME['manifest']) as bench:
        p = faults.after_first_commit(bench, bench.copy(src={'delay_ms': '20ms'}))
        run = harness.events(bench.place.run('history', '--json')[1])[0]['run']
        code, _, err = bench.place.run('cancel', run, '--discard')
        ended, _, more = harness.finish(p, 30)
        t.check(code == 0 and ended == 130, 'cancel --discard of a living run', '%s %s\n%s%s' % (code, ended, err, more))
        why = bench.judge(rows=0, total=False)
        t.check(why is None, 'nothing of it stays', why)
        t.check(bench.place.run('resume')[0] == 2, 'nor is it to be resumed')


def source_gone(t):
    """The source is away: resume says so, and the run can be given up all the same."""
    with cases.Bench(cases.BY_NAME['manifest']) as bench:
        for how in ('table', 'server'):
            bench.fresh()
            bench.place.run(*bench.copy(), WH_TEST_KILL='record-after:3')
            run = harness.events(bench.place.run('history', '--json')[1])[0]['run']
            if how == 'table':
                db = hardctl.connect(bench.src)
                db.execute('alter table account rename to elsewhere')
                db.close()
            else:
                os.rename(bench.src, bench.src + '.away')
            code, _, err = bench.place.run('resume')
            t.check(code not in (0, 10) and err, 'source gone (%s): resume says so' % how, '%s\n%s' % (code, err))
            code, _, err = bench.place.run('cancel', run, '--discard')
            left = bench.place.leftovers()
            t.check(code == 0 and not left, 'source gone (%s): given up' % how, '%s %s\n%s' % (code, left, err))
            if how == 'table':
                db = hardctl.connect(bench.src)
                db.execute('alter table elsewhere rename to account')
                db.close()
            else:
                os.rename(bench.src + '.away', bench.src)
            code, _, err = bench.place.run(*bench.copy())
            t.check(code == 0 and bench.judge() is None, 'source gone (%s), and back: the target is free' % how,
                    '%s\n%s' % (bench.judge(), err))


def upserts(t):
    """Settling reads the destination: an upsert on top of what is there, killed anywhere, merges once."""
    phase_of = dict(harness.kill_points())
    with cases.Bench(cases.BY_NAME['settle']) as bench:
        args = bench.copy('--json', '--mode', 'upsert', '--key', 'id')
        code, out, err = bench.place.run(*args)
        if not t.check(code == 0 and bench.judge() is None, 'upsert into nothing', '%s %s\n%s' % (code, bench.judge(), err)):
            return
        bench.busy(pause_ms=1)
        time.sleep(0.2)
        points = [p for p in phase_of if phase_of[p] in ('commit', 'settle', 'publish', 'close')]
        for point in t.rng.sample(points, 10):
            bench.place.forget()
            code, out, err = bench.place.run(*args, WH_TEST_KILL=point + ':1')
            t.kills[phase_of[point]] += code == -signal.SIGKILL
            event, said = harness.finished(out), err
            if code:
                code, event, more = cases.to_the_end(bench, args)
                said += more
            why = 'exit %s' % code if code else bench.judge(ended=True)
            t.check(why is None, 'upsert, killed at %s' % point, '%s\n%s' % (why, said))


if __name__ == '__main__':
    mover(sys.argv[1])
