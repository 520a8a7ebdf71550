#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The state folder is lost after a kill -9 or a stop: `resume --rebuild-state` makes it again from what
the destination keeps, and the run ends with every row once.

    tests/kill/test_rebuild.py [WORD...]

Red when a row is lost, doubled or changed, when a run that lives is taken over, when something of ours
stays at the destination. Depth: WH_TEST_KILLS; WH_TEST_SEED repeats a run."""
import os
import signal
import sqlite3
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
import harness  # noqa: E402

KILLS = max(4, harness.depth('WH_TEST_KILLS', 5))
ROWS = 30000
MODES = {'append': [], 'overwrite': ['--mode', 'overwrite'], 'truncate': ['--mode', 'truncate'],
         'upsert': ['--mode', 'upsert', '--key', 'l_orderkey,l_linenumber']}


def source(place):
    code, _, err = place.run('copy', 'gen:lineitem?rows=%d,seed=11' % ROWS, 'src.csv')
    assert code == 0, err
    code, _, err = place.run('copy', 'src.csv', 'src.db', '--mode', 'overwrite')
    assert code == 0, err
    place.forget()


def rows(path):
    db = sqlite3.connect(path, timeout=20)
    got = db.execute('select * from src order by l_orderkey, l_linenumber').fetchall()
    ours = db.execute("select name from sqlite_schema where name like 'wherry_stage%'").fetchall()
    marks = db.execute('select count(*) from wherry_unit').fetchone()[0]
    db.close()
    return got, ours, marks


def prepared(place, mode):
    """What is there before: nothing, or rows of its own that the mode replaces."""
    for end in ('', '-wal', '-shm', '-journal'):
        if os.path.exists(place.path('dst.db' + end)):
            os.unlink(place.path('dst.db' + end))
    if mode in ('overwrite', 'truncate'):
        code, _, err = place.run('copy', 'gen:lineitem?rows=50,seed=2', 'dst.db#src')
        assert code == 0, err
    place.forget()


def copy_words(mode, origin):
    return ['copy', origin, 'dst.db#src', '-j', '2', '--no-progress'] + MODES[mode]


def judge(t, place, what, said):
    want, _, _ = rows(place.path('src.db'))
    got, stages, marks = rows(place.path('dst.db'))
    t.check(got == want, '%s: every row once' % what, '%d rows of %d\n%s' % (len(got), len(want), said))
    t.check(not stages and not marks, '%s: nothing of ours stays' % what, '%s %s' % (stages, marks))


def rebuilt(place, words, said, extra=None):
    """Rebuilds until the run has ended. Nothing there means: it never began there, or it is over."""
    for _ in range(4):
        place.forget()
        code, out, err = place.run('resume', '--rebuild-state', 'dst.db', '--no-progress', **(extra or {}))
        extra = None
        said.append('rebuild: exit %d\n%s%s' % (code, out, err))
        if code == 0:
            return True
        if code == 2 and 'has no unfinished run' in err:
            return False
    return False


def at_points(t, mode, origin, points):
    """Killed at these points, the state thrown away, rebuilt (and killed once more meanwhile)."""
    place = harness.Place('rebuild')
    place.env['WH_TEST_UNIT_BYTES'] = '150000'
    try:
        source(place)
        phases = dict(harness.kill_points())
        for name, nth, second in points:
            prepared(place, mode)
            said = []
            words = copy_words(mode, origin)
            code, _, err = place.run(*words, WH_TEST_KILL='%s:%d' % (name, nth))
            said.append('%s:%d: exit %d\n%s' % (name, nth, code, err))
            t.kills[phases[name]] += code == -signal.SIGKILL
            if not rebuilt(place, words, said, {'WH_TEST_KILL': second} if second else None):
                done = os.path.exists(place.path('dst.db')) and any('written' in s for s in said)
                if phases[name] == 'prepare' and not done:
                    code, _, err = place.run(*words)
                    said.append('again: exit %d\n%s' % (code, err))
            judge(t, place, '%s %s after %s:%d' % (origin, mode, name, nth), '\n'.join(said))
    finally:
        place.remove()


def cuts(t):
    """Stopped gracefully again and again: rests of rests, and never a state from one start to the next."""
    place = harness.Place('rebuild-cut')
    try:
        source(place)
        prepared(place, 'append')
        words = ['copy', 'src.db#src', 'dst.db#src', '-j', '1', '--no-progress', '--rows-per-second', '9000']
        said, stops = [], 0
        p = place.start(*words)
        for _ in range(8):
            time.sleep(0.9)
            p.send_signal(signal.SIGTERM)
            code, out, err = harness.finish(p)
            stops += code != 0
            said.append('exit %d\n%s%s' % (code, out, err))
            if code == 0:
                break
            place.forget()
            p = place.start('resume', '--rebuild-state', 'dst.db', '--no-progress')
        code, out, err = harness.finish(p)
        said.append('exit %d\n%s%s' % (code, out, err))
        t.check(stops > 1, 'stopped more than once', '\n'.join(said))
        judge(t, place, 'rests of rests', '\n'.join(said))
    finally:
        place.remove()


def alive(t):
    """A stopped owner is no lost state."""
    place = harness.Place('rebuild-alive')
    place.env['WH_TEST_UNIT_BYTES'] = '150000'
    try:
        source(place)
        prepared(place, 'append')
        p = place.start(*copy_words('append', 'src.csv'), WH_TEST_STOP='record-after:3')
        t.check(harness.wait_stopped(p, 20), 'the owner stops')
        other = place.path('other')
        os.mkdir(other)
        code, _, err = place.run('resume', '--rebuild-state', 'dst.db', HOME=other)
        t.check(code == 10 and 'is alive' in err, 'a living owner is not taken over', '%d %s' % (code, err))
        p.send_signal(signal.SIGCONT)
        code, _, err = harness.finish(p)
        t.check(code == 0, 'the owner ends', err)
        judge(t, place, 'alive', err)
        code, _, err = place.run('resume', '--rebuild-state', 'dst.db', HOME=other)
        t.check(code == 2 and 'has no unfinished run' in err, 'nothing to rebuild after the end', err)
    finally:
        place.remove()


def known(t):
    """A run that the state knows is resumed, not rebuilt; a source divided otherwise is refused."""
    place = harness.Place('rebuild-known')
    place.env['WH_TEST_UNIT_BYTES'] = '150000'
    try:
        source(place)
        prepared(place, 'append')
        place.run(*copy_words('append', 'src.csv'), WH_TEST_KILL='record-after:4')
        code, _, err = place.run('resume', '--rebuild-state', 'dst.db')
        t.check(code == 2 and 'nothing is lost' in err, 'a known run is not rebuilt', err)
        place.forget()
        code, _, err = place.run('resume', '--rebuild-state', 'nothing.db')
        t.check(code not in (0, 1), 'a destination that is not there', '%d %s' % (code, err))
        with open(place.path('src.csv'), 'a', encoding='utf-8') as f:
            f.write(open(place.path('src.csv'), encoding='utf-8').readlines()[-1])
        code, _, err = place.run('resume', '--rebuild-state', 'dst.db')
        t.check(code in (1, 2), 'a changed source is refused', '%d %s' % (code, err))
        code, out, _ = place.run('history')
        t.check('unfinished' not in out and 'r-' not in out, 'a refused rebuilding leaves no run behind', out)
    finally:
        place.remove()


def main():
    t = harness.Tally('rebuilding a lost state', harness.seed_of())
    words = sys.argv[1:]
    rng = harness.random.Random(str(t.seed))
    points = harness.kill_points()
    jobs = [('alive', alive, ()), ('known', known, ()), ('cuts', cuts, ())]
    chosen = {m: [] for m in MODES}
    passes = {'append': 'prepare move commit close', 'upsert': 'prepare move commit publish close',
              'overwrite': 'prepare move commit publish close', 'truncate': 'prepare move commit close'}
    for mode in MODES:
        for phase in passes[mode].split():
            names = [n for n, p in points if p == phase]
            for _ in range(max(2, KILLS // 4)):
                name = rng.choice(names)
                nth = rng.randint(1, 9) if phase in ('move', 'commit') else 1
                second = rng.choice(['', 'commit-after:2', 'record-after:3', 'claim-after:1', 'writer-opened:2'])
                chosen[mode].append((name, nth, second))
    for mode, v in chosen.items():
        for i, origin in enumerate(('src.csv', 'src.db#src')):
            jobs.append(('%s %s' % (origin, mode), at_points, (mode, origin, v[i::2])))
    harness.run_jobs(t, [j for j in jobs if not words or any(w in j[0] for w in words)])
    print('kills by phase: ' + ', '.join('%s %d' % (p, t.kills[p]) for p in harness.PHASES))
    if not words:
        t.check(sum(t.kills.values()) >= KILLS, 'too few kills hit', dict(t.kills))
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
