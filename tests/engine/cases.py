# SPDX-License-Identifier: Apache-2.0
"""The eight hard cases as the engine suite drives them: two servers each, a writer that moves money
on the source the whole time, and judges that never ask wherry."""
import os
import shutil
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'fakes', 'hard'))
import hardctl  # noqa: E402
import harness  # noqa: E402

# Two sizes. Up to one batch of 16,384 rows a flow is fused (one thread per lane); above it a reader,
# a queue and a writer work. Units of 250 rows, and of 2,000.
SMALL = {'rows': 1500, 'unit_bytes': 250 * 40, 'batch': 50}
LARGE = {'rows': 17000, 'unit_bytes': 2000 * 40, 'batch': 400}
if os.environ.get('WH_TEST_FAST'):
    LARGE = {'rows': 16500, 'unit_bytes': 4000 * 40, 'batch': 1000}


class Case:
    """One source and one sink. `re_enter`: a snapshot taken before a kill holds after it; `klass`: T
    or P; `plan`: words that its plan must have; `splits`: small splits, so that units have several."""

    def __init__(self, name, source, sink, plan, klass='T', re_enter=True, splits=False, lanes=2):
        self.name, self.source, self.sink, self.plan = name, source, sink, plan
        self.klass, self.re_enter, self.splits, self.lanes = klass, re_enter, splits, lanes


CASES = [
    Case('paged', 'hard-paged', 'hard-plain',
         ['page after page', 'exactly once per unit', 'one instant, entered again at resume', 'lanes      1'], lanes=1),
    Case('sessions', 'hard-sessions', 'hard-plain',
         ['id ranges', 'exactly once per unit', 'one instant, lost by a kill; resume reads the rest at a second instant',
          'lanes      2'], re_enter=False),
    Case('held', 'hard-held', 'hard-plain',
         ['physical ranges', 'exactly once per unit', 'held by a process of its own that outlives a kill']),
    Case('late', 'hard-plain', 'hard-late', ['exactly once per unit', 'each unit when it commits'], splits=True),
    Case('again', 'hard-plain', 'hard-again', ['exactly once per unit', 'each unit when it commits']),
    Case('manifest', 'hard-plain', 'hard-manifest',
         ['link the manifest of all units', 'exactly once per run', 'all rows at once, when the run publishes',
          'staged files stay, nothing is visible'], klass='P', splits=True),
    Case('settle', 'hard-plain', 'hard-settle',
         ['merge each touched file group', 'make the next commit file', 'exactly once per run',
          'nothing is visible'], klass='P'),
    Case('ordered', 'hard-ordered', 'hard-ordered',
         ['ranges of partitions', 'one lane: the destination needs the rows of one key in order', 'lanes      1'],
         lanes=1),
]
BY_NAME = {c.name: c for c in CASES}


def modules():
    """Where the built fakes are: beside the program that is tested."""
    build = os.path.dirname(harness.program())
    folder = os.path.join(build, 'tests', 'fakes', 'hard')
    return os.environ.get('WHERRY_MODULES', folder)


class Bench:
    """A place with a source server that is filled, and a fresh destination for every run."""

    def __init__(self, case, size=None):
        self.case, self.size = case, size or SMALL
        self.place = harness.Place('engine-' + case.name)
        self.place.env['WHERRY_MODULES'] = modules()
        self.place.env['WH_TEST_UNIT_BYTES'] = str(self.size['unit_bytes'])
        self.src = self.place.path('src')
        self.dst = self.place.path('dst')
        self.rows, self.sum = hardctl.fill(self.src, 'account', self.size['rows'])
        self.writers = []
        self.trials = 0
        self.fresh()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.quiet()
        if os.environ.get('WH_TEST_KEEP'):
            print('kept: %s' % self.place.dir)
        else:
            self.place.remove()

    def busy(self, pause_ms=4):
        """From here on somebody moves money on the source; the sum of all amounts stays."""
        self.writers.append(subprocess.Popen(
            [sys.executable, os.path.join(os.path.dirname(HERE), 'fakes', 'hard', 'hardctl.py'), 'writer', self.src,
             'account', '--seconds', '3000', '--pause', str(pause_ms)], stdout=subprocess.DEVNULL))
        db = hardctl.connect(self.src)  # not before it has moved something: a busy machine starts it late
        first, end = db.execute('pragma data_version').fetchone(), time.monotonic() + 20
        while db.execute('pragma data_version').fetchone() == first and time.monotonic() < end:
            time.sleep(0.01)
        db.close()

    def quiet(self):
        for p in self.writers:
            p.kill()
            p.wait()
        self.writers = []

    def fresh(self):
        """An empty destination, and nobody knows of a run."""
        shutil.rmtree(self.dst, ignore_errors=True)
        os.mkdir(self.dst)
        self.place.forget()
        self.trials += 1
        if self.trials % 40 == 0:
            hardctl.gc(self.src)  # versions of the source that no run needs any more

    def source(self, **options):
        words = dict({'batch_rows': self.size['batch']}, **options)
        if self.case.splits:
            words.setdefault('split_rows', self.size['unit_bytes'] // 200)
        return '%s:%s?%s#account' % (self.case.source, self.src, '&'.join('%s=%s' % w for w in words.items()))

    def sink(self, table='copy', **options):
        words = '&'.join('%s=%s' % w for w in options.items())
        return '%s:%s%s#%s' % (self.case.sink, self.dst, '?' + words if words else '', table)

    def copy(self, *flags, src=None, dst=None, table='copy'):
        """Arguments of a copy of the case."""
        return ['copy', self.source(**(src or {})), self.sink(table, **(dst or {})), '-j', '2', '--no-progress'] + \
            list(flags)

    def left_at_source(self):
        """A holder that was told to go needs a moment to clear up behind it."""
        end = time.monotonic() + 5
        while True:
            left = hardctl.leftovers(self.src, 'account')
            if not (left.get('copies') or left.get('holders')) or time.monotonic() > end:
                return left
            time.sleep(0.05)

    def judge(self, table='copy', rows=None, total=None, refused=None, state=True, ended=False, allow=()):
        """Why the destination is not the source at one instant, or something of ours is left; None
        if all is well. total False: the sum is not looked at."""
        rows = self.rows if rows is None else rows
        total = None if total is False else self.sum if total is None else total
        result = hardctl.judge(self.dst, table, rows=rows, total=total, refused=refused,
                               allow=('dead_sessions',) + tuple(allow))
        problems = list(result['problems'])
        left = self.left_at_source()
        problems += ['source: %d %s left' % (left[k], k) for k in ('copies', 'holders') if left.get(k) and k not in allow]
        if state:
            problems += ['state: ' + x for x in self.place.leftovers(ended)]
        return '; '.join(problems) or None


def went_well(event, rows, dirty=0):
    """Why a run_finished event does not tell what happened, or None. Every row that was read since
    the run began is in it, also those of processes that were killed."""
    if event.get('status') != 'done' or event.get('exit') != 0:
        return 'status %s, exit %s' % (event.get('status'), event.get('exit'))
    if (event.get('rows_read'), event.get('rows_written'), event.get('rows_dirty')) != (rows, rows - dirty, dirty):
        return 'it says %s read, %s written, %s dirty; true are %d, %d, %d' % (
            event.get('rows_read'), event.get('rows_written'), event.get('rows_dirty'), rows, rows - dirty, dirty)
    return harness.unbalanced(event)


def resume(place, *flags, limit=6, **extra):
    """As an operator would: resume until the run has ended. (exit code, its last event, what was
    said). Code None: no run is known, or the one there is had ended."""
    said = ''
    for _ in range(limit):
        code, out, err = place.run('resume', '--json', *flags, **extra)
        said += 'resume: exit %d\n%s%s' % (code, err, ''.join(l for l in out.splitlines(True) if '"error"' in l))
        if code == 2 and 'no run is unfinished' in err + out:
            return None, {}, said
        if code == 0:
            return 0, harness.finished(out), said
        if code not in (5, 7, 10):
            return code, harness.finished(out), said
        extra = {}
    return code, harness.finished(out), said


def to_the_end(bench, args, **extra):
    """Resumes; types the command again if no run was recorded yet. The exit code (None: the run had
    ended before), event, words."""
    code, event, said = resume(bench.place, **extra)
    if code is None and not ended_runs(bench.place):
        code, out, err = bench.place.run(*args, '--json')
        return code, harness.finished(out), said + err
    if code is None:
        return None, {}, said + '(the run had ended)'
    return code, event, said


def partly(bench):
    """Whether the destination holds some rows and not all: where a snapshot cannot be entered again,
    what is left will be read at another instant, and the run has to say so."""
    return 0 < len(hardctl.table_rows(bench.dst, 'copy', [])) < bench.rows


def recorded_snapshot(place):
    """What the state says of the last run's instant."""
    db = sqlite3.connect('file:%s?mode=ro' % place.state('state.db'), uri=True, timeout=20)
    row = db.execute('select snapshot from run order by created_us desc limit 1').fetchone()
    db.close()
    return (row[0] if row else None) or ''


def ended_runs(place):
    _, out, _ = place.run('history', '--json')
    return [e for e in harness.events(out) if e.get('status') == 'done']
