# SPDX-License-Identifier: Apache-2.0
"""What tests that drive the program share: a private place per test, kills and stops at named
points, a histogram by phase, and the closing line."""
import collections
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def program():
    """The wherry to test: $WHERRY_PROGRAM, else build/wherry."""
    return os.path.abspath(os.environ.get('WHERRY_PROGRAM', os.path.join(ROOT, 'build', 'wherry')))


class Place:
    """A scratch folder with its own HOME and state. Everything a run leaves is below it."""

    def __init__(self, name):
        self.dir = tempfile.mkdtemp(prefix='wherry-%s-' % name)
        self.env = {'PATH': os.environ.get('PATH', '/usr/bin:/bin'), 'HOME': self.path('home'), 'LC_ALL': 'C.UTF-8',
                    'TZ': 'UTC', 'WH_TEST_BEAT_MS': '200', 'WH_TEST_STALE_MS': '1500'}
        for key in ('WHERRY_MODULES', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'TSAN_OPTIONS', 'LSAN_OPTIONS',
                    'WH_TEST_TRANSITIONS'):
            if key in os.environ:
                self.env[key] = os.environ[key]
        os.mkdir(self.env['HOME'])

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def remove(self):
        shutil.rmtree(self.dir, ignore_errors=True)

    def start(self, *args, **extra):
        env = dict(self.env, **{k: v for k, v in extra.items() if v is not None})
        return subprocess.Popen([program()] + list(args), cwd=self.dir, env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE)

    def run(self, *args, timeout=120, **extra):
        """Exit code (negative: the signal that ended it), stdout, stderr."""
        p = self.start(*args, **extra)
        try:
            out, err = p.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            p.kill()
            out, err = p.communicate()
            err += b'\n(test: no end within %d s)' % timeout
            return 124, out.decode('utf-8', 'replace'), err.decode('utf-8', 'replace')
        return p.returncode, out.decode('utf-8', 'replace'), err.decode('utf-8', 'replace')


def kill_points():
    """[(name, phase)] as the program knows them."""
    out = subprocess.run([program(), 'kill-points'], stdout=subprocess.PIPE, check=True).stdout.decode()
    return [tuple(line.split()) for line in out.splitlines() if line]


def reached(place, args, log):
    """Which points one undisturbed run passes, and how often: {name: times}."""
    code, _, err = place.run(*args, WH_TEST_KILL_LOG=log)
    if code != 0:
        raise AssertionError('the undisturbed run failed with %d:\n%s' % (code, err))
    with open(log) as f:
        return collections.Counter(line.strip() for line in f if line.strip())


class Tally:
    """Counts checks and kills; `finish` prints the line that the gate reads."""

    def __init__(self, title, seed):
        self.title, self.seed = title, seed
        self.passed = self.failed = self.skipped = 0
        self.kills = collections.Counter()
        print('%s: seed %d' % (title, seed))

    def check(self, ok, what, detail=''):
        if ok:
            self.passed += 1
        else:
            self.failed += 1
            print('FAILED %s\n  %s' % (what, str(detail).strip().replace('\n', '\n  ')[-3000:]))
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

    def finish(self):
        print('%d passed, %d failed, %d skipped' % (self.passed, self.failed, self.skipped))
        sys.stdout.flush()
        return 1 if self.failed else 0


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


def rng_for(title):
    seed = int(os.environ.get('WH_TEST_SEED', random.SystemRandom().randint(1, 10 ** 9)))
    return random.Random(seed), seed


def end(p):
    """Ends a process whatever its state; returns its output."""
    if p.poll() is None:
        p.send_signal(signal.SIGCONT)
        p.kill()
    return p.communicate()
