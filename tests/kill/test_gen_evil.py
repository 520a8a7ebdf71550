#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Values that are hard to carry, and real ones, through CSV and SQLite and back while the program is
killed with -9 on every hop and resumed: gen:evil (every type's extremes, judged cell by cell against
tests/gen/gen_ref.py) and the five tables of nycflights by the jobs of examples/ (judged against the
original files by Python's csv and sqlite3).

    tests/kill/test_gen_evil.py [WORD...]

Red when one cell of one hop differs, a row is lost or doubled, or something of ours is left behind.
Depth: WH_TEST_KILLS; WH_TEST_SEED repeats a run."""
import csv
import os
import signal
import sqlite3
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
for folder in ('lib', 'gen', 'demo'):
    sys.path.insert(0, os.path.join(os.path.dirname(HERE), folder))
import gen_copies  # noqa: E402
import gen_ref  # noqa: E402
import harness  # noqa: E402
import test_demo  # noqa: E402

KILLS = max(4, harness.depth('WH_TEST_KILLS', 5))
EVIL = {'big': '20000', 'nan': 'false'}
ROWS = 1500 if KILLS < 10 else 6000

# Every hop passes the first line; the second only what is staged.
POINTS = ['draw-after', 'lease-after', 'writer-opened', 'batch-written', 'seal-after', 'commit-before', 'commit-after',
          'record-after', 'claim-after', 'snapshot-taken', 'closing-recorded', 'run-close-after', 'closed-recorded',
          'publish-step-intended', 'publish-step-applied', 'finish-step-applied']


# ---- one hop ---------------------------------------------------------------------------------------


def hop(t, place, args, again, what):
    """Carries out one command, killed at some point, then finished as `again` says. True if it ended
    well. Nothing but the kill may end it: a run that was refused is not unfinished either."""
    name = t.rng.choice(POINTS)
    phase = dict(harness.kill_points())[name]
    nth = t.rng.randint(1, 3) if phase in ('move', 'commit') else 1
    code, _, err = place.run(*args, WH_TEST_KILL='%s:%d' % (name, nth))
    said = '%s:%d: exit %d\n%s' % (name, nth, code, err)
    t.kills[phase] += code == -signal.SIGKILL
    if code == -signal.SIGKILL:
        code, out, err = place.run(*again)
        said += '%s: exit %d\n%s' % (again[0], code, err)
        if 'no run is unfinished' in out + err:
            code = 0
    return t.check(code == 0, '%s ends (killed at %s:%d)' % (what, name, nth), said)


# ---- gen:evil --------------------------------------------------------------------------------------


def read_csv(path):
    with open(path, newline='', encoding='utf-8') as f:
        rows = csv.reader(f)
        return next(rows), list(rows)


def read_sqlite(path, order):
    db = sqlite3.connect(path)
    rows = db.execute('select * from t order by %s' % order).fetchall()
    left = [n for (n,) in db.execute("select name from sqlite_master where type = 'table' and name <> 't'")
            if not n.startswith('wherry_')]
    markers = db.execute('select count(*) from wherry_unit').fetchone()[0]
    db.close()
    return rows, left, markers


def same_text(want, got):
    """A cell of CSV that has been a number in between is the same value, perhaps in other digits."""
    if want == got:
        return True
    try:
        return float(want) == float(got)
    except ValueError:
        return want == '' and got == ''


def same_lossless(kind, want, got):
    """CSV out of a SQLite that was filled from gen: SQLite has no negative zero and keeps decimals
    that fit as numbers."""
    if want is not None and (isinstance(want, gen_ref.Bits) or kind.startswith('decimal') or kind == 'float64'):
        text = gen_copies.text_of(kind, want) if not isinstance(want, gen_ref.Bits) else repr(gen_copies.float_of(want))
        if isinstance(want, gen_ref.Bits) and got != '':
            return gen_copies.same_float(gen_copies.float_of(want), float(got), want.width)
        return same_text(text, got)
    return gen_copies.csv_cell(kind, want, got)


def clean(t, place, folder, what):
    left = [n for n in os.listdir(folder) if n.startswith('.wherry')] + place.leftovers(ended=True)
    t.check(not left, what + ': nothing is left behind', left)


def evil(t, seed):
    place = harness.Place('evil')
    place.env['WH_TEST_UNIT_BYTES'] = '200000'
    shape = dict(EVIL, seed=str(seed))
    table = gen_ref.table('evil', **shape)
    source = 'gen:evil?rows=%d,' % ROWS + ','.join('%s=%s' % kv for kv in shape.items())
    files = [place.path('out', n) for n in ('a.db', 'b.csv', 'a.csv', 'b.db', 'c.csv')]
    a_db, b_csv, a_csv, b_db, c_csv = files
    os.mkdir(place.path('out'))
    csv.field_size_limit(1 << 30)
    resume = ['resume', '--no-progress']
    # SQLite has no negative zero: a dirty row unless accepted.
    flags = ['-j', '2', '--no-progress', '--accept-lossy', 'f32,f64']
    try:
        # gen -> SQLite -> CSV: types are known all the way.
        if hop(t, place, ['copy', source, 'sqlite:%s#t' % a_db] + flags, resume, 'evil -> sqlite'):
            rows, left, markers = read_sqlite(a_db, 'id, 4')
            bad = gen_copies.judge(table, rows, gen_copies.sqlite_cell, ROWS)
            t.check(bad == 0 and not left and not markers, 'evil -> sqlite: every cell', (bad, left, markers))
        if hop(t, place, ['copy', 'sqlite:%s#t' % a_db, b_csv] + flags, resume, 'sqlite -> csv'):
            rows = sorted(read_csv(b_csv)[1], key=lambda r: int(r[0]))
            t.check(gen_copies.judge(table, rows, same_lossless, ROWS) == 0, 'evil -> sqlite -> csv: every cell')
        # gen -> CSV -> SQLite -> CSV: types are guessed from the text; what comes back is the same text,
        # or the same number.
        if hop(t, place, ['copy', source, a_csv] + flags, resume, 'evil -> csv'):
            rows = sorted(read_csv(a_csv)[1], key=lambda r: int(r[0]))
            t.check(gen_copies.judge(table, rows, gen_copies.csv_cell, ROWS) == 0, 'evil -> csv: every cell')
        if hop(t, place, ['copy', a_csv, 'sqlite:%s#t' % b_db] + flags, resume, 'csv -> sqlite') and \
                hop(t, place, ['copy', 'sqlite:%s#t' % b_db, c_csv] + flags, resume, 'sqlite -> csv'):
            compare_csv(t, a_csv, c_csv)
        clean(t, place, place.path('out'), 'evil')
    finally:
        if not os.environ.get('WH_TEST_KEEP'):
            place.remove()


def compare_csv(t, a, b):
    (head_a, rows_a), (head_b, rows_b) = read_csv(a), read_csv(b)
    t.check(head_a == head_b, 'evil: header after the round trip', (head_a, head_b))
    rows_a.sort(key=lambda r: int(r[0]))
    rows_b.sort(key=lambda r: int(r[0]))
    bad = ['row %s, %s: %.60r, was %.60r' % (ra[0], name, y, x) for ra, rb in zip(rows_a, rows_b)
           for name, x, y in zip(head_a, ra, rb) if not same_text(x, y)]
    t.check(len(rows_a) == len(rows_b) == ROWS and not bad, 'evil -> csv -> sqlite -> csv: every cell',
            '%d and %d rows, %d cells differ: %s' % (len(rows_a), len(rows_b), len(bad), '\n'.join(bad[:12])))


# ---- nycflights --------------------------------------------------------------------------------------


class Report:
    """What test_demo's judges report to."""

    def __init__(self, t):
        self.t, self.wrong = t, []

    def check(self, good, what, why=''):
        if not good:
            self.wrong.append('%s: %s' % (what, why))
        return good


def nycflights(t, i):
    """Both jobs of the demo, killed and started again with the same words."""
    place = harness.Place('nyc')
    place.env['WH_TEST_UNIT_BYTES'] = '400000'
    os.symlink(os.path.join(harness.ROOT, 'examples'), place.path('examples'))
    try:
        for job, check, target in (('to-sqlite', test_demo.check_database, 'nycflights.db'),
                                   ('to-csv', test_demo.check_export, 'nycflights-out')):
            words = ['run', 'examples/nycflights/%s.yaml' % job, '--run-id', job, '-j', '2', '--no-progress']
            if hop(t, place, words, words, 'nycflights %s' % job):
                report = Report(t)
                check(report, place.path(target))
                t.check(not report.wrong, 'nycflights %s: every value' % job, '\n'.join(report.wrong[:8]))
        clean(t, place, place.path('nycflights-out'), 'nycflights')
    finally:
        if not os.environ.get('WH_TEST_KEEP'):
            place.remove()


def main():
    t = harness.Tally('hard values and real ones under kills', harness.seed_of())
    words = sys.argv[1:]
    rng = harness.random.Random(str(t.seed))
    jobs = [('nycflights %d' % i, nycflights, (i,)) for i in range(max(2, KILLS // 2))]
    jobs += [('evil %d' % i, evil, (rng.randint(1, 10 ** 6),)) for i in range(max(2, KILLS // 4))]
    harness.run_jobs(t, [j for j in jobs if not words or any(w in j[0] for w in words)])
    print('kills by phase: ' + ', '.join('%s %d' % (p, t.kills[p]) for p in harness.PHASES))
    if not words:
        t.check(sum(t.kills.values()) >= KILLS, 'too few kills hit', dict(t.kills))
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
