# SPDX-License-Identifier: Apache-2.0
"""What tests that drive the program share: a private place per test, kills and stops at named
points, jobs side by side, a histogram by phase, and the closing line."""
import collections
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PHASES = ['prepare', 'move', 'commit', 'settle', 'publish', 'close']
STALE_MS = 700  # WH_TEST_STALE_MS of all runs: a stopped process is stale after that long


def program():
    """The wherry to test: $WHERRY_PROGRAM, else build/wherry."""
    return os.path.abspath(os.environ.get('WHERRY_PROGRAM', os.path.join(ROOT, 'build', 'wherry')))


def sanitized():
    """Whether the program carries AddressSanitizer or ThreadSanitizer, whose own memory is many times
    that of the program."""
    with open(program(), 'rb') as f:
        text = f.read()
    return b'__asan_init' in text or b'__tsan_init' in text


def scratch(name):
    """A new folder. In memory where there is room: what is killed here is processes, not machines, and
    a disk that other work keeps busy would only make the tests slow. WH_TEST_TMP chooses another."""
    base = os.environ.get('WH_TEST_TMP')
    if base is None and os.access('/dev/shm', os.W_OK | os.X_OK):
        room = os.statvfs('/dev/shm')
        base = '/dev/shm' if room.f_bavail * room.f_frsize > 1 << 30 else None
    return tempfile.mkdtemp(prefix='wherry-%s-' % name, dir=base)


class Place:
    """A scratch folder with its own HOME and state. Everything a run leaves is below it."""

    def __init__(self, name):
        self.dir = scratch(name)
        self.env = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'HOME': self.path('home'), 'LC_ALL': 'C.UTF-8',
                    'TZ': 'UTC', 'WH_TEST_BEAT_MS': '100', 'WH_TEST_STALE_MS': str(STALE_MS)}
        for key in ('WHERRY_MODULES', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS', 'LSAN_OPTIONS',
                    'WH_TEST_TRANSITIONS'):
            if key in os.environ:
                self.env[key] = os.environ[key]
        os.mkdir(self.env['HOME'])

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def remove(self):
        self.end_holders()
        shutil.rmtree(self.dir, ignore_errors=True)

    def end_holders(self):
        """Holders of snapshots outlive the loss of a state folder; nobody will come back for these."""
        living = []
        for pid in [p for p in os.listdir('/proc') if p.isdigit()]:
            try:
                with open('/proc/%s/cmdline' % pid, 'rb') as f:
                    words = f.read().split(b'\0')
                if len(words) > 3 and words[1] == b'hold' and words[3].startswith(os.fsencode(self.dir) + b'/'):
                    os.kill(int(pid), signal.SIGTERM)
                    living.append(pid)
            except OSError:
                pass
        end = time.time() + 5
        while living and time.time() < end:
            living = [p for p in living if os.path.exists('/proc/%s/stat' % p)]
            time.sleep(0.01)

    def state(self, *parts):
        return self.path('home', '.local', 'state', 'wherry', *parts)

    def forget(self, holders=False):
        """A new HOME: no run is known. holders: those of the old one live on, as they would."""
        if not holders:
            self.end_holders()
        shutil.rmtree(self.env['HOME'], ignore_errors=True)
        os.mkdir(self.env['HOME'])

    def start(self, *args, **extra):
        env = dict(self.env, **{k: v for k, v in extra.items() if v is not None})
        return subprocess.Popen([program()] + list(args), cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args, timeout=120, **extra):
        """Exit code (negative: the signal that ended it), stdout, stderr."""
        return finish(self.start(*args, **extra), timeout)

    def leftovers(self, ended=False):
        """What must not lie in the state's folder when every run has ended well. ended: the owner was
        killed after the end of its run was recorded, so nobody came after it."""
        found = []
        for base, _, names in os.walk(self.state()):
            found += [os.path.relpath(os.path.join(base, n), self.state()) for n in names]
        found = [n for n in found if n not in ('state.db', 'state.db-wal', 'state.db-shm') and not n.startswith('logs/')]
        if os.path.exists(self.state('state.db')):
            db = sqlite3.connect('file:%s?mode=ro' % self.state('state.db'), uri=True, timeout=20)
            # A closed run (6) holds nothing, whatever its rows are.
            held = db.execute('select count(*) from target t join run r on r.run = t.run where r.state < 6').fetchone()[0]
            # A discarded one (7) is not taken up again, whether its end could be recorded or not.
            open_runs = db.execute('select count(*) from run where finished = 0 and state <> 7').fetchone()[0]
            over = [r for (r,) in db.execute('select run from run where finished = 1')]
            db.close()
            # The lock file of an owner that died after it had recorded the end, with nothing to resume.
            if ended:
                found = [n for n in found if not any(n.startswith('locks/%s.e' % r) for r in over)]
            found += ['%d targets held' % held] * bool(held) + ['%d unfinished runs' % open_runs] * bool(open_runs)
        return found


def finish(p, timeout=120):
    try:
        out, err = p.communicate(timeout=timeout)
    except subprocess.TimeoutExpired:
        p.send_signal(signal.SIGCONT)
        p.kill()
        out, err = p.communicate()
        return 124, out.decode('utf-8', 'replace'), err.decode('utf-8', 'replace') + \
            '\n(test: no end within %d s)' % timeout
    return p.returncode, out.decode('utf-8', 'replace'), err.decode('utf-8', 'replace')


def events(text):
    """The objects of --json, in order; what is no object is left out."""
    found = []
    for line in text.splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass
    return [e for e in found if isinstance(e, dict)]


def finished(text):
    """The run_finished event of --json, or {}."""
    last = events(text)[-1:]
    return last[0] if last and last[0].get('type') == 'run_finished' else {}


def unbalanced(event):
    """Why the counts of a run_finished do not add up, or None: read = written + dirty + filtered +
    skipped for the run and for every table, and the run is the sum of its tables."""
    kinds = ('rows_written', 'rows_dirty', 'rows_filtered', 'rows_skipped')
    for who in [event] + event.get('tables', []):
        if who.get('rows_read') != sum(who.get(k, 0) for k in kinds):
            return 'rows read are not those accounted for: %s' % {k: who.get(k) for k in ('rows_read',) + kinds}
    for k in ('rows_read',) + kinds:
        if event.get(k) != sum(t.get(k, 0) for t in event.get('tables', [])):
            return '%s of the run is not the sum of its tables' % k
    return None


def kill_points():
    """[(name, phase)] as the program knows them."""
    out = subprocess.run([program(), 'kill-points'], stdout=subprocess.PIPE, check=True,
                         env={'PATH': os.environ.get('PATH', '')}).stdout.decode()
    return [tuple(line.split()) for line in out.splitlines() if line]


def reached(place, args, log):
    """Which points one undisturbed run passes, and how often: {name: times}."""
    code, _, err = place.run(*args, WH_TEST_KILL_LOG=log)
    if code != 0:
        raise AssertionError('the undisturbed run failed with %d:\n%s' % (code, err))
    return points_in(log)


def points_in(log):
    with open(log, encoding='ascii') as f:
        return collections.Counter(line.strip() for line in f if line.strip())


class Tally:
    """Counts checks and kills; `finish` prints the line that the gate reads."""

    def __init__(self, title, seed):
        self.title, self.seed = title, seed
        self.passed = self.failed = self.skipped = 0
        self.kills = collections.Counter()   # by phase
        self.notes = collections.Counter()   # whatever else a suite wants to sum up
        self.rng = random.Random(str(seed))
        if title:
            print('%s: seed %s' % (title, seed))

    def check(self, ok, what, detail=''):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            text = str(detail).strip().replace('\n', '\n  ')
            print('FAILED %s\n  %s' % (what, text if len(text) <= 4000 else text[:1000] + '\n  [...]\n  ' + text[-3000:]))
        return ok

    def skip(self, why):
        if os.environ.get('CI') == 'true':
            return self.check(False, 'skipped under CI: ' + why)
        self.skipped += 1
        print('SKIPPED ' + why)

    def histogram(self, phases):
        """A phase that some run reaches and where nobody was killed is a failure."""
        print('kills by phase: ' + ', '.join('%s %d' % (p, self.kills[p]) for p in phases))
        for p in phases:
            self.check(self.kills[p] > 0, 'no kill fell into phase ' + p)

    def add(self, other):
        """Takes over what a job of its own process counted (a dict of `as_dict`)."""
        self.passed += other['passed']
        self.failed += other['failed']
        self.skipped += other['skipped']
        self.kills.update(other['kills'])
        self.notes.update(other['notes'])

    def as_dict(self):
        return {'passed': self.passed, 'failed': self.failed, 'skipped': self.skipped,
                'kills': dict(self.kills), 'notes': dict(self.notes)}

    def finish(self):
        print('%d passed, %d failed, %d skipped' % (self.passed, self.failed, self.skipped))
        sys.stdout.flush()
        return 1 if self.failed else 0


# ---- jobs side by side -------------------------------------------------------------------------


def job_child(job, args, seed, out_path, result_path):
    """In a process of its own: what the job prints and counts goes into two files."""
    out = os.open(out_path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(out, 1)
    os.dup2(out, 2)
    t = Tally(None, seed)
    try:
        job(t, *args)
    except BaseException:
        t.check(False, 'the test itself failed', traceback.format_exc())
    sys.stdout.flush()
    with open(result_path, 'w', encoding='ascii') as f:
        json.dump(t.as_dict(), f)
    os._exit(0)


def run_jobs(tally, jobs, workers=3):
    """jobs: [(name, function(tally, *args), args)]; each in a process of its own, `workers` at once,
    longest first if they come so. What they print comes out whole, in the order in which they end."""
    waiting, running = list(jobs), {}
    folder = tempfile.mkdtemp(prefix='wherry-jobs-')
    while waiting or running:
        while waiting and len(running) < workers:
            name, job, args = waiting.pop(0)
            paths = [os.path.join(folder, '%d.%s' % (len(waiting), kind)) for kind in ('out', 'result')]
            sys.stdout.flush()
            pid = os.fork()
            if pid == 0:
                job_child(job, args, '%s/%s' % (tally.seed, name), *paths)
            running[pid] = (name, paths, time.monotonic())
        pid, _ = os.wait()
        if pid not in running:
            continue
        name, (out, result), start = running.pop(pid)
        with open(out, encoding='utf-8', errors='replace') as f:
            sys.stdout.write(f.read())
        if os.path.exists(result):
            with open(result, encoding='ascii') as f:
                counts = json.load(f)
            tally.add(counts)
            print('%-28s %4d passed %3d failed %6.1f s' % (name, counts['passed'], counts['failed'],
                                                         time.monotonic() - start))
        else:
            tally.check(False, '%s left no result' % name)
        sys.stdout.flush()
    shutil.rmtree(folder, ignore_errors=True)


def spread(rng, seen, points, n):
    """n kill points over all phases that a run reaches: every phase first, then at random."""
    by_phase = collections.defaultdict(list)
    for name, phase in points:
        if seen[name]:
            by_phase[phase].append(name)
    chosen = []
    phases = sorted(by_phase)
    while len(chosen) < n:
        phase = phases[len(chosen) % len(phases)]
        name = rng.choice(by_phase[phase])
        chosen.append((name, phase, rng.randint(1, max(1, seen[name]))))
    return chosen, phases


def wait_stopped(p, seconds):
    """Until a process is stopped (T) or gone; True if it is stopped."""
    end = time.time() + seconds
    while time.time() < end:
        if p.poll() is not None:
            return False
        try:
            with open('/proc/%d/stat' % p.pid) as f:
                if f.read().rsplit(')', 1)[1].split()[0] == 'T':
                    return True
        except OSError:
            return False
        time.sleep(0.01)
    return False


def depth(name, default):
    return int(os.environ.get(name, default))


def fast():
    """Less of everything, but something of each (WH_TEST_FAST): for sanitizers."""
    return bool(os.environ.get('WH_TEST_FAST'))


def sample(rng, phase_of, points, n, always=()):
    """n of these kill points: those that must be among them, one of each phase, the rest at random."""
    chosen = [p for p in always if p in points]
    for phase in PHASES:
        here = [p for p in points if phase_of[p] == phase and p not in chosen]
        chosen += [rng.choice(here)] if here and phase not in [phase_of[p] for p in chosen] else []
    left = [p for p in points if p not in chosen]
    chosen += rng.sample(left, max(0, min(len(left), n - len(chosen))))
    return [p for p in points if p in chosen]


def rng_for(title):
    seed = seed_of()
    return random.Random(seed), seed


def gone(p, seconds):
    """Waits until a process has ended; its output stays to be read by `finish`. True if it has."""
    end = time.time() + seconds
    while p.poll() is None and time.time() < end:
        time.sleep(0.01)
    return p.poll() is not None


def seed_of():
    """WH_TEST_SEED, or a new one; printed by the Tally."""
    return int(os.environ.get('WH_TEST_SEED', random.SystemRandom().randint(1, 10 ** 9)))


def end(p):
    """Ends a process whatever its state; returns its output."""
    if p.poll() is None:
        p.send_signal(signal.SIGCONT)
        p.kill()
    return p.communicate()
