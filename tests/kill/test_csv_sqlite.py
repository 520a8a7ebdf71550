#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""CSV -> SQLite -> CSV under kill -9 at named points spread over all phases, and under SIGSTOP and
SIGCONT (zombies), resumed without help. Judged by Python's sqlite3 and csv: this fails if one row is
lost, doubled or changed, if a resume does not end, or if anything of ours is left behind. Controls
(markers off; a source file that is changed; a source that moves and is not read at one instant) must
go red, else the kills did not hit the window.

    tests/kill/test_csv_sqlite.py [WORD...]     only jobs whose name holds one of the words

The target has no unique key. Depth: WH_TEST_KILLS per direction (at least one per phase),
WH_TEST_KILL_ROWS; WH_TEST_SEED repeats a run."""
import csv
import hashlib
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import harness  # noqa: E402

ROWS = harness.depth('WH_TEST_KILL_ROWS', 50000)
KILLS = harness.depth('WH_TEST_KILLS', 5)
ZOMBIES = max(4, KILLS // 4)
# A dozen units, so that a run has many commits; a row has about 35 bytes.
UNIT = str(max(65536, ROWS * 35 // 12))
COPY = ['-j', '2', '--no-progress']
COLUMNS = ['id', 'account', 'amount', 'note', 'kind']
BALANCE = 1000  # of every row of the busy source


def row(i):
    text = ['plain %d' % i, 'comma, "quote" %d' % i, 'two\nlines %d' % i, '', 'naïve 😀 %d' % i][i % 5]
    return [str(i), str(i * 7919 % 1000), '%d.%02d' % (i * 31 % 1000, i % 100), text, '' if i % 11 == 0 else 'x%d' % (i % 3)]


def make_source(path):
    with open(path, 'w', newline='', encoding='utf-8') as f:
        w = csv.writer(f, quoting=csv.QUOTE_MINIMAL)
        w.writerow(COLUMNS)
        for i in range(1, ROWS + 1):
            w.writerow(row(i))


# ---- judges --------------------------------------------------------------------------------------


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


def source_digest(path):
    with open(path, newline='', encoding='utf-8') as f:
        rows = csv.reader(f)
        next(rows)
        return digest(normal(r) for r in rows)


def judge_sqlite(path, want):
    """None if the database holds exactly the source's rows and nothing of ours; else why not."""
    if not os.path.exists(path):
        return 'no file %s' % path
    db = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=20)
    try:
        tables = sorted(t for (t,) in db.execute("select name from sqlite_master where type = 'table'"))
        foreign = [t for t in tables if t != 't' and not t.startswith('sqlite_') and
                   t not in ('wherry_run', 'wherry_unit', 'wherry_target')]
        if foreign:
            return 'tables left behind: %s' % foreign
        n, distinct = db.execute('select count(*), count(distinct id) from t').fetchone()
        if (n, distinct) != (ROWS, ROWS):
            return '%d rows, %d distinct ids, wanted %d' % (n, distinct, ROWS)
        got = digest(normal([text_of(v) for v in r]) for r in db.execute('select id, account, amount, note, kind from t'))
        if got != want:
            return 'values differ: %s, wanted %s' % (got, want)
        for what, sql in (('markers', 'select count(*) from wherry_unit'), ('targets', 'select count(*) from wherry_target'),
                          ('open runs', "select count(*) from wherry_run where state <> 'closed'")):
            left = db.execute(sql).fetchone()[0] if 'wherry_unit' in tables else 0
            if left:
                return '%d %s left behind' % (left, what)
        if db.execute('pragma integrity_check').fetchone()[0] != 'ok':
            return 'database damaged'
    finally:
        db.close()
    return None


def left_beside(path):
    left = [n for n in os.listdir(os.path.dirname(path)) if n.startswith('.wherry') or n.endswith('.part')]
    return 'left behind: %s' % left if left else None


def judge_csv(path, want):
    if not os.path.exists(path):
        return 'no file %s' % path
    with open(path, newline='', encoding='utf-8') as f:
        rows = csv.reader(f)
        if next(rows) != COLUMNS:
            return 'header differs'
        got = digest(normal(r) for r in rows)
    if got != want:
        return 'rows or values differ: %s, wanted %s' % (got, want)
    return left_beside(path)


def judge_busy(path, _):
    """Every id once, and the sum of one instant."""
    if not os.path.exists(path):
        return 'no file %s' % path
    with open(path, newline='', encoding='utf-8') as f:
        rows = csv.reader(f)
        next(rows)
        ids, total = set(), 0
        n = 0
        for r in rows:
            ids.add(int(r[0]))
            total += int(r[1])
            n += 1
    if (n, len(ids), total) != (ROWS, ROWS, ROWS * BALANCE):
        return '%d rows, %d ids, sum %d; wanted %d, %d, %d' % (n, len(ids), total, ROWS, ROWS, ROWS * BALANCE)
    return left_beside(path)


# ---- a direction -----------------------------------------------------------------------------------


class Direction:
    """One pair in a place of its own: how to start it, what stands at its end."""

    def __init__(self, name, source, target, judge, want, *flags, before=None):
        self.name, self.judge_of, self.want = name, judge, want
        self.before = before  # makes what was there before the run
        self.place = harness.Place('kill')
        self.place.env['WH_TEST_UNIT_BYTES'] = UNIT
        self.out = self.place.path('out')
        os.mkdir(self.out)
        self.target = os.path.join(self.out, target)
        # A stopped process may hold the write lock; it is not waited for as long as by default.
        to = 'sqlite:%s?lock_timeout=2s#t' % self.target if target.endswith('.db') else self.target
        self.args = ['copy', source, to] + COPY + list(flags)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not os.environ.get('WH_TEST_KEEP'):
            self.place.remove()

    def clean(self):
        shutil.rmtree(self.out)
        os.mkdir(self.out)
        self.place.forget()
        if self.before:
            self.before(self.target)

    def judge(self, ended=False):
        left = self.place.leftovers(ended)
        return self.judge_of(self.target, self.want) or ('state: %s' % left if left else None)

    def to_the_end(self, limit=8):
        """As an operator: resume until it has ended, or the command again if no run is known. The code
        (None: it had ended before), the last event, what was said."""
        said = ''
        for _ in range(limit):
            code, out, err = self.place.run('resume', '--json')
            said += 'resume: exit %d\n%s%s' % (code, err, ''.join(l for l in out.splitlines(True) if '"error"' in l))
            if code == 2 and 'no run is unfinished' in out + err:
                if '"done"' in self.place.run('history', '--json')[1]:
                    return None, {}, said
                code, out, err = self.place.run(*self.args, '--json')
                return code, harness.finished(out), said + err
            if code == 0 or code not in (5, 7, 10):
                break
        return code, harness.finished(out), said


def true_words(event):
    if (event.get('status'), event.get('rows_read'), event.get('rows_written')) != ('done', ROWS, ROWS):
        return 'it says %s, %s read, %s written' % (event.get('status'), event.get('rows_read'), event.get('rows_written'))
    return harness.unbalanced(event)


def kill_trial(t, d, phase_of, name, nth, again):
    d.clean()
    code, out, err = d.place.run(*d.args, '--json', WH_TEST_KILL='%s:%d' % (name, nth))
    said = err
    if code == -signal.SIGKILL:
        t.kills[phase_of[name]] += 1
        if d.before:
            t.check(old_or_new(d.target) is None, '%s: what shows after a kill at %s:%d' % (d.name, name, nth),
                    old_or_new(d.target))
    elif nth == 1:
        t.check(False, '%s: nobody was killed at %s:%d' % (d.name, name, nth), '%s\n%s' % (code, err))
    if code and again:
        code, out, err = d.place.run('resume', '--json', WH_TEST_KILL=again)
        said += err
        if code == -signal.SIGKILL:
            t.kills[phase_of[again.split(':')[0]]] += 1
    event = harness.finished(out)
    if code:
        code, event, more = d.to_the_end()
        said += more
    why = 'exit %s' % code if code else d.judge(ended=code is None) or (true_words(event) if code == 0 else None)
    t.check(why is None, '%s: killed at %s:%d%s' % (d.name, name, nth, ', then at ' + again if again else ''),
            '%s\n%s' % (why, said))


def kills(t, d, share=1.0):
    """share: the part of the points at which to kill; with many rows a smaller one still, but in the soak
    (every point is struck with few rows)."""
    points = harness.kill_points()
    d.clean()
    seen = harness.reached(d.place, d.args, d.place.path('points.log'))
    t.check(d.judge() is None, '%s: the undisturbed run' % d.name, d.judge())
    t.notes.update({'reached ' + p: 1 for p in seen})
    # Every point that is passed, once; then more until there are enough.
    plan = [(name, phase, t.rng.randint(1, seen[name])) for name, phase in points if seen[name]]
    if 20 <= KILLS < 50:
        share *= 0.4
    elif KILLS >= 50:
        share = 1
    if share < 1:
        plan = t.rng.sample(plan, int(len(plan) * share))
    more, phases = harness.spread(t.rng, seen, points, max(KILLS - len(plan), 1))
    plan += more
    names = [name for name, _, _ in plan]
    for name, _, nth in plan:
        again = '%s:%d' % (t.rng.choice(names), t.rng.randint(1, 3)) if t.rng.random() < 0.33 else None
        kill_trial(t, d, dict(points), name, nth, again)
    t.notes.update({'phase ' + p: 1 for p in phases})


def zombies(t, d):
    """A stopped process wakes after another one has gone on with its run, or has ended it."""
    points = ['lease-after', 'batch-written', 'commit-before', 'commit-after', 'record-after', 'publish-step-intended',
              'publish-step-applied', 'closing-recorded', 'run-close-after']
    t.rng.shuffle(points)
    done = 0
    for name in points:
        if done == ZOMBIES:
            break
        d.clean()
        p = d.place.start(*d.args, WH_TEST_STOP='%s:1' % name)
        if not harness.wait_stopped(p, 120):  # this direction does not pass that point
            harness.end(p)
            continue
        done += 1
        time.sleep(harness.STALE_MS / 1000 + 0.3)
        start = time.monotonic()
        code, _, said = d.place.run('resume')
        # SQLite: a stopped process may hold the write lock of the state or of the target. Then resume
        # ends with 5 or 10 and names it, and goes on when it lets go.
        t.check(code in (0, 5, 10) and (code == 0 or str(p.pid) in said), '%s: resume beside a zombie at %s' % (d.name, name),
                'exit %s after %.1f s, the zombie is %d\n%s' % (code, time.monotonic() - start, p.pid, said))
        p.send_signal(signal.SIGCONT)
        ended, _, err = harness.finish(p, 120)
        t.check(ended in ((0, 1, 2, 5, 10) if code == 0 else (0, 5, 10)), '%s: the zombie of %s ends' % (d.name, name),
                '%s\n%s' % (ended, err))
        t.notes['zombies'] += 1
        if code:
            code, _, more = d.to_the_end()
            said += more
        why = 'exit %s' % code if code else d.judge(ended=True)
        t.check(why is None, '%s: zombie at %s' % (d.name, name), '%s\n%s\nzombie: exit %s: %s' % (why, said, ended, err[-600:]))
    t.check(done >= 3, '%s: too few zombies' % d.name, done)


# ---- overwrite -------------------------------------------------------------------------------------

OLD = 100


def old_rows():
    return [[str(-i), '7', '0.25', 'old %d' % i, 'o'] for i in range(1, OLD + 1)]


def old_table(path):
    """A table with an index and a view on it, which must still be there afterwards."""
    db = sqlite3.connect(path)
    db.execute('create table t(id integer, account integer, amount real, note text, kind text)')
    db.execute('create index by_account on t(account)')
    db.execute('create view accounts as select distinct account from t')
    db.executemany('insert into t values(?, ?, ?, ?, ?)', old_rows())
    db.commit()
    db.close()


def old_file(path):
    with open(path, 'w', newline='', encoding='utf-8') as f:
        csv.writer(f).writerows([COLUMNS] + old_rows())


def old_or_new(path):
    """overwrite: the whole of the old rows or the whole of the new ones, at any time."""
    if path.endswith('.db'):
        db = sqlite3.connect(path, timeout=20)
        ids = [i for (i,) in db.execute('select id from t')]
        kept = [n for (n,) in db.execute("select name from sqlite_master where name in ('by_account', 'accounts') order by 1")]
        db.close()
        if kept != ['accounts', 'by_account']:
            return 'of index and view there is %s' % kept
    else:
        with open(path, newline='', encoding='utf-8') as f:
            ids = [int(r[0]) for r in list(csv.reader(f))[1:]]
    old, new = sorted(ids) == list(range(-OLD, 0)), sorted(ids) == list(range(1, ROWS + 1))
    return None if old or new else '%d rows, from %s to %s' % (len(ids), min(ids, default=None), max(ids, default=None))


def judge_replaced(path, want):
    return old_or_new(path) or judge_sqlite(path, want)


def over_table(t, job, source, base):
    with Direction('csv -> sqlite, overwrite', source, 'd.db', judge_replaced, source_digest(source), '--mode', 'overwrite',
                   before=old_table) as d:
        job(t, d)


def over_file(t, job, source, base):
    with Direction('sqlite -> csv, overwrite', 'sqlite:%s#t' % base, 'd.csv', judge_csv, source_digest(source), '--mode',
                   'overwrite', before=old_file) as d:
        job(t, d)


# ---- jobs ------------------------------------------------------------------------------------------


def there(t, job, source, base):
    want = source_digest(source)
    with Direction('csv -> sqlite', source, 'd.db', judge_sqlite, want) as d:
        job(t, d)


def back(t, job, source, base):
    want = source_digest(source)
    with Direction('sqlite -> csv', 'sqlite:%s#t' % base, 'd.csv', judge_csv, want) as d:
        job(t, d)


def make_busy(path):
    db = sqlite3.connect(path)
    db.execute('pragma journal_mode = wal')
    db.execute('create table t(id integer, balance integer, note text)')
    db.executemany('insert into t values(?, ?, ?)', ((i, BALANCE, 'note %d ' % i * 2) for i in range(1, ROWS + 1)))
    db.commit()
    db.close()


def mover(path):
    """Moves money between rows until its parent is gone or it is killed."""
    db, rng, parent = sqlite3.connect(path, timeout=60, isolation_level=None), random.Random(1), os.getppid()
    while os.getppid() == parent:
        a, b, n = rng.randint(1, ROWS), rng.randint(1, ROWS), rng.randint(1, 50)
        db.execute('begin immediate')
        db.execute('update t set balance = balance - ? where rowid = ?', (n, a))
        db.execute('update t set balance = balance + ? where rowid = ?', (n, b))
        db.execute('commit')
        time.sleep(0.003)


def busy(t, job):
    """The source changes all the time: what arrives is of one instant all the same."""
    folder = harness.scratch('busy')
    path = os.path.join(folder, 'bank.db')
    make_busy(path)
    p = subprocess.Popen([sys.executable, os.path.abspath(__file__), '--mover', path])
    try:
        with Direction('busy sqlite -> csv', 'sqlite:%s#t' % path, 'd.csv', judge_busy, None) as d:
            job(t, d)
    finally:
        p.kill()
        p.wait()
        shutil.rmtree(folder, ignore_errors=True)


def begun_anew(t, d):
    """A resume that starts again, its instant being gone, is killed at each moment of dropping what was staged: the next
    one goes on from there. Red when it takes what is gone for what somebody removed (E7009)."""
    for point in ('before', 'intended', 'applied', 'recorded'):
        d.clean()
        codes = [d.place.run(*args, WH_TEST_KILL=at)[0] for args, at in
                 ((d.args, 'commit-before:3'), (('resume', '--json'), 'drop-step-%s:1' % point))]
        t.check(codes == [-signal.SIGKILL] * 2, 'begun anew: killed twice, at %s' % point, codes)
        code, _, said = d.to_the_end()
        why = d.judge(ended=True)
        t.check(code == 0 and why is None, 'begun anew: killed at %s' % point, 'exit %s, %s\n%s' % (code, why, said))


def control_markers(t, source):
    """Markers off: a kill between commit and record must double rows, else this test proves nothing."""
    want = source_digest(source)
    with Direction('control', source, 'c.db', judge_sqlite, want, '--marker', 'off') as d:
        code, _, err = d.place.run(*d.args, WH_TEST_KILL='commit-after:2')
        if not t.check(code == -signal.SIGKILL, 'control: killed', '%s\n%s' % (code, err)):
            return
        code, _, said = d.to_the_end()
        why = d.judge()
        t.check(code == 0 and why is not None and 'rows' in why, 'control without markers must go red', '%s\n%s' % (why, said))
        print('control markers off: %s' % why)


def control_instant(t):
    """Without one instant (consistent: off) the sum of what arrives must be wrong."""
    words = []

    def job(t, d):
        for _ in range(6):
            d.clean()
            p = d.place.start(*d.args, WH_TEST_STOP='record-after:2')
            harness.wait_stopped(p, 60)
            time.sleep(0.3)
            p.send_signal(signal.SIGCONT)
            code, _, err = harness.finish(p, 60)
            if code in (5, 10):
                code, _, _ = d.to_the_end()
            words.append('exit %s, %s' % (code, d.judge()))
            if 'sum' in words[-1]:
                return
    folder = harness.scratch('busy')
    path = os.path.join(folder, 'bank.db')
    make_busy(path)
    p = subprocess.Popen([sys.executable, os.path.abspath(__file__), '--mover', path])
    try:
        with Direction('control', 'sqlite:%s#t' % path, 'd.csv', judge_busy, None, '--consistent', 'off') as d:
            job(t, d)
    finally:
        p.kill()
        p.wait()
        shutil.rmtree(folder, ignore_errors=True)
    t.check(words and 'sum' in words[-1], 'control without one instant must go red', words)
    print('control consistent off: %s' % (words[-1] if words else None))


def changed_file(t, source):
    """The source file is another one at resume: said, and never mixed with what was read before."""
    with Direction('changed file', None, 'c.db', judge_sqlite, None) as d:
        own = d.place.path('own.csv')
        d.args[1] = own
        for change in ('longer', 'same size'):
            d.clean()
            shutil.copyfile(source, own)
            code, _, err = d.place.run(*d.args, WH_TEST_KILL='record-after:3')
            t.check(code == -signal.SIGKILL, 'changed file: killed', '%s\n%s' % (code, err))
            with open(own, 'r+b') as f:
                f.seek(-2 if change == 'same size' else 0, os.SEEK_END)
                f.write(b'8\n' if change == 'same size' else b'999999,1,1.5,new,x\n')
            db = sqlite3.connect(d.target)
            before = db.execute('select count(*) from t').fetchone()[0]
            code, out, err = d.place.run('resume', '--json')
            after = db.execute('select count(*) from t').fetchone()[0]
            db.close()
            said = err + out
            t.check(code in (1, 2) and after == before and '--fresh' in said, 'changed file (%s): refused, nothing is written' % change,
                    'exit %s, %d rows before, %d after\n%s' % (code, before, after, said[-1500:]))


def starts_again(t):
    """Killed before anything was committed, the source changes: read anew, into the table made before."""
    with Direction('starts again', None, 'c.db', None, None) as d:
        path = d.place.path('bank.db')
        make_busy(path)
        d.args[1] = 'sqlite:%s#t' % path
        for point in ('lease-after:1', 'commit-before:1'):
            d.clean()
            code, _, err = d.place.run(*d.args, WH_TEST_KILL=point)
            t.check(code == -signal.SIGKILL, 'starts again: killed', '%s\n%s' % (code, err))
            db = sqlite3.connect(path)
            db.execute('update t set balance = balance + 1 where id = 1')
            db.commit()
            want = db.execute('select count(*), sum(balance) from t').fetchone()
            db.close()
            code, out, err = d.place.run('resume', '--json')
            db = sqlite3.connect(d.target)
            got = db.execute('select count(*), sum(balance) from t').fetchone()
            db.close()
            t.check(code == 0 and got == want, 'starts again after %s' % point, '%s, %s, wanted %s\n%s%s' % (code, got, want, err, out))


def jobs(source, base):
    return [('kill csv -> sqlite', there, (kills, source, base)),
            ('kill sqlite -> csv', back, (kills, source, base)),
            ('kill busy sqlite -> csv', busy, (kills,)),
            ('kill begun anew', busy, (begun_anew,)),
            ('kill over a table', over_table, (lambda t, d: kills(t, d, 0.4), source, base)),
            ('kill over a file', over_file, (lambda t, d: kills(t, d, 0.4), source, base)),
            ('zombies csv -> sqlite', there, (zombies, source, base)),
            ('zombies sqlite -> csv', back, (zombies, source, base)),
            ('control markers', control_markers, (source,)),
            ('control instant', control_instant, ()),
            ('changed file', changed_file, (source,)),
            ('starts again', starts_again, ())]


def main():
    if sys.argv[1:2] == ['--mover']:
        return mover(sys.argv[2])
    t = harness.Tally('kill csv -> sqlite -> csv, %d rows' % ROWS, harness.seed_of())
    words = sys.argv[1:]
    folder = harness.scratch('kill-data')
    place = harness.Place('first')
    try:
        source, base = os.path.join(folder, 'source.csv'), os.path.join(folder, 'base.db')
        make_source(source)
        code, _, err = place.run('copy', source, 'sqlite:%s#t' % base, *COPY, WH_TEST_UNIT_BYTES=UNIT)
        why = 'exit %s' % code if code else judge_sqlite(base, source_digest(source))
        if t.check(why is None, 'the first copy', '%s\n%s' % (why, err)):
            harness.run_jobs(t, [j for j in jobs(source, base) if not words or any(w in j[0] for w in words)])
            if not words:
                t.histogram([p for p in harness.PHASES if t.notes['phase ' + p]])
    finally:
        place.remove()
        shutil.rmtree(folder, ignore_errors=True)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
