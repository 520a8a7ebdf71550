#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CSV -> SQLite -> CSV under kill -9 at named points spread over all phases, and under SIGSTOP and
SIGCONT (zombies), resumed without help. Judged by Python's sqlite3 and csv: this fails if one row is
lost, doubled or changed, if a resume does not end, or if anything of ours is left behind. The
control runs with markers off and must go red, else the kills did not hit the window.

The target has no unique key. Depth: WH_TEST_KILLS per direction, WH_TEST_KILL_ROWS; WH_TEST_SEED.
"""
import csv
import hashlib
import os
import shutil
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import harness  # noqa: E402

ROWS = harness.depth('WH_TEST_KILL_ROWS', 50000)
KILLS = harness.depth('WH_TEST_KILLS', 5)
# Small units, so that a run has many commits: 50,000 rows are about 3 MB.
UNIT = str(max(65536, ROWS * 60 // 12))
COPY = ['--create', 'if-missing', '-j', '2', '--no-progress']


def row(i):
    text = ['plain %d' % i, 'comma, "quote" %d' % i, 'two\nlines %d' % i, '', 'naïve 😀 %d' % i][i % 5]
    return [str(i), str(i * 7919 % 1000), '%d.%02d' % (i * 31 % 1000, i % 100), text, '' if i % 11 == 0 else 'x%d' % (i % 3)]


def make_source(path):
    with open(path, 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, quoting=csv.QUOTE_MINIMAL)
        w.writerow(['id', 'account', 'amount', 'note', 'kind'])
        for i in range(1, ROWS + 1):
            w.writerow(row(i))


def digest(rows):
    """Order-free: number of rows, and the sum of their hashes."""
    n = total = 0
    for r in rows:
        h = hashlib.blake2b('\x1f'.join(r).encode('utf-8', 'surrogateescape'), digest_size=12).digest()
        total = (total + int.from_bytes(h, 'big')) % (1 << 96)
        n += 1
    return n, total


def text_of(v):
    return '' if v is None else repr(v) if isinstance(v, float) else str(v)


def normal(r):
    """Numbers by value, so that 1.50 and 1.5 are one; texts as they are."""
    return [str(int(r[0])), str(int(r[1])), repr(float(r[2])), r[3], r[4]]


def judge_sqlite(path, want):
    """None if the database holds exactly the source's rows and nothing of ours; else why not."""
    db = sqlite3.connect('file:%s?mode=ro' % path, uri=True)
    try:
        tables = sorted(t for (t,) in db.execute("select name from sqlite_master where type = 'table'"))
        foreign = [t for t in tables if t != 't' and not t.startswith('wherry_') and not t.startswith('sqlite_')]
        if foreign:
            return 'tables left behind: %s' % foreign
        n, distinct = db.execute('select count(*), count(distinct id) from t').fetchone()
        if (n, distinct) != (ROWS, ROWS):
            return '%d rows, %d distinct ids, wanted %d' % (n, distinct, ROWS)
        got = digest(normal([text_of(v) for v in r]) for r in db.execute('select id, account, amount, note, kind from t'))
        if got != want:
            return 'values differ: %s, wanted %s' % (got, want)
        if 'wherry_unit' in tables and db.execute('select count(*) from wherry_unit').fetchone()[0]:
            return 'markers left behind'
        if db.execute('pragma integrity_check').fetchone()[0] != 'ok':
            return 'database damaged'
    finally:
        db.close()
    return None


def judge_csv(path, want):
    if not os.path.exists(path):
        return 'no file %s' % path
    with open(path, newline='', encoding='utf-8') as f:
        rows = csv.reader(f)
        if next(rows) != ['id', 'account', 'amount', 'note', 'kind']:
            return 'header differs'
        got = digest(normal(r) for r in rows)
    if got != want:
        return 'rows or values differ: %s, wanted %s' % (got, want)
    left = [n for n in os.listdir(os.path.dirname(path)) if n.startswith('.wherry')]
    return 'left behind: %s' % left if left else None


class Direction:
    """One pair: how to start it, what stands at its end."""

    def __init__(self, name, args, target, judge):
        self.name, self.args, self.target, self.judge = name, args, target, judge

    def clean(self):
        folder = os.path.dirname(self.target)
        for n in os.listdir(folder):
            p = os.path.join(folder, n)
            if os.path.isdir(p):
                shutil.rmtree(p)
            else:
                os.remove(p)


def resume_until_done(place, first_code, limit=8):
    """Resumes as an operator would; returns the last code and what was said."""
    code, said = first_code, ''
    for _ in range(limit):
        if code == 0:
            return 0, said
        code, _, err = place.run('resume', '--no-progress')
        said += err
        if 'no run is unfinished' in err:
            return 0, said
    return code, said


def killed_run(place, d, name, nth, rng, again):
    """Starts, is killed at the point, is (perhaps) killed again while resuming, then ends."""
    code, _, err = place.run(*d.args, WH_TEST_KILL='%s:%d' % (name, nth))
    kills = 1 if code == -signal.SIGKILL else 0
    if again and code:
        code, _, e2 = place.run('resume', '--no-progress', WH_TEST_KILL='%s:%d' % (again, rng.randint(1, 3)))
        kills += code == -signal.SIGKILL
        err += e2
        if code == 2 and ('E7007' in e2):  # killed before the run was recorded: nothing to resume
            code = None
    if code == 0:
        return kills, 0, err
    # Killed before the state knew of the run: the operator types the same command again.
    if 'nothing is unfinished' in place.run('status')[1]:
        code, _, e3 = place.run(*d.args)
        return kills, code, err + e3
    code, said = resume_until_done(place, 1)
    return kills, code, err + said


def fresh_place(place):
    shutil.rmtree(place.path('home'), ignore_errors=True)
    os.mkdir(place.path('home'))


def kill_trials(t, place, d, want, rng):
    log = place.path('points.log')
    d.clean()
    seen = harness.reached(place, d.args, log)
    t.check(d.judge(d.target, want) is None, '%s: the undisturbed run' % d.name, d.judge(d.target, want))
    plan, phases = harness.spread(rng, seen, harness.kill_points(), max(KILLS, 6))
    for i, (name, phase, nth) in enumerate(plan):
        d.clean()
        fresh_place(place)
        again = rng.choice([None, None, plan[rng.randrange(len(plan))][0]])
        kills, code, said = killed_run(place, d, name, nth, rng, again)
        t.kills[phase] += kills
        ok = code == 0
        why = d.judge(d.target, want) if ok else 'did not end: exit %s\n%s' % (code, said)
        t.check(ok and why is None, '%s: killed at %s:%d (then %s)' % (d.name, name, nth, again), why)
    return phases


def zombie_trials(t, place, d, want, rng, n):
    """A stopped process wakes after another one has gone on with its run, or after that has ended."""
    points = ['lease-after', 'batch-written', 'commit-before', 'commit-after', 'publish-step-intended', 'closing-recorded']
    for i in range(n):
        d.clean()
        fresh_place(place)
        name = points[i % len(points)]
        p = place.start(*d.args, WH_TEST_STOP='%s:1' % name)
        stopped = harness.wait_stopped(p, 60)
        if not stopped:  # this direction does not pass that point
            harness.end(p)
            continue
        time.sleep(2.0)  # longer than WH_TEST_STALE_MS: it is stale
        code, _, said = place.run('resume', '--no-progress', '--lock-wait', '1s')
        # SQLite: a stopped process may hold the database's write lock. Then resume says so (5, 10).
        told = code in (0, 5, 10)
        p.send_signal(signal.SIGCONT)
        try:
            out, err = p.communicate(timeout=60)
            zombie = p.returncode
        except Exception:
            out, err = harness.end(p)
            zombie = 'did not end'
        t.check(told, '%s: resume beside a zombie at %s' % (d.name, name), 'exit %s\n%s' % (code, said))
        t.check(zombie in (0, 10, 1, 5, 2) if code == 0 else zombie != 'did not end',
                '%s: the zombie of %s ends' % (d.name, name), '%s\n%s' % (zombie, err.decode('utf-8', 'replace')))
        if code != 0:
            code, more = resume_until_done(place, 1)
            said += more
        why = d.judge(d.target, want) if code == 0 else 'exit %s\n%s' % (code, said)
        t.check(why is None, '%s: zombie at %s' % (d.name, name), '%s\nzombie ended with %s: %s' % (
            why, zombie, err.decode('utf-8', 'replace')[-600:]))


def control(t, place, source, want):
    """Markers off: a kill between commit and record must double rows, else this test proves nothing."""
    target = place.path('out', 'c.db')
    args = ['copy', source, 'sqlite:%s#t' % target, '--split', 'auto', '--marker', 'off'] + COPY
    d = Direction('control', args, target, judge_sqlite)
    d.clean()
    fresh_place(place)
    code, _, err = place.run(*args, WH_TEST_KILL='commit-after:2')
    if not t.check(code == -signal.SIGKILL, 'control: killed', '%s\n%s' % (code, err)):
        return
    resume_until_done(place, 1)
    why = judge_sqlite(target, want)
    t.check(why is not None and 'rows' in why, 'control without markers must go red', why)


def main():
    rng, seed = harness.rng_for('kill')
    t = harness.Tally('kill csv -> sqlite -> csv, %d rows' % ROWS, seed)
    place = harness.Place('kill')
    place.env['WH_TEST_UNIT_BYTES'] = UNIT
    try:
        os.mkdir(place.path('out'))
        source = place.path('source.csv')
        make_source(source)
        with open(source, newline='', encoding='utf-8') as f:
            rows = csv.reader(f)
            next(rows)
            want = digest(normal(r) for r in rows)
        base = place.path('base.db')
        code, _, err = place.run('copy', source, 'sqlite:%s#t' % base, *COPY)
        if t.check(code == 0, 'the first copy', err):
            fresh_place(place)
            there = Direction('csv -> sqlite', ['copy', source, 'sqlite:%s#t' % place.path('out', 'd.db')] + COPY,
                              place.path('out', 'd.db'), judge_sqlite)
            back = Direction('sqlite -> csv', ['copy', 'sqlite:%s#t' % base, place.path('out', 'd.csv')] + COPY,
                             place.path('out', 'd.csv'), judge_csv)
            phases = kill_trials(t, place, there, want, rng)
            phases = sorted(set(phases) | set(kill_trials(t, place, back, want, rng)))
            zombie_trials(t, place, there, want, rng, max(3, KILLS // 3))
            zombie_trials(t, place, back, want, rng, max(3, KILLS // 3))
            control(t, place, source, want)
            t.histogram(phases)
    finally:
        if not os.environ.get('WH_TEST_KEEP'):
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
