#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The engine on the hard cases (tests/fakes/hard): kill -9 at every named point that a run reaches,
resumed without help, while a writer changes the source; zombies; dirty rows; injected failures;
controls that must go red. Judged by hardctl.py: red if one row is lost or doubled, if the sum of
one instant does not come out, or if anything of ours is left behind.

    tests/engine/test_hard.py [PAIR...]     WH_TEST_KILLS=N: N points per pair instead of all
"""
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, '..', 'lib'))
sys.path.insert(0, os.path.join(HERE, '..', 'fakes', 'hard'))
import harness  # noqa: E402
import hardctl  # noqa: E402

FAST = os.environ.get('WH_TEST_FAST')  # under sanitizers
ROWS = harness.depth('WH_TEST_HARD_ROWS', 3000 if FAST else 12000)
KILLS = 6 if FAST else harness.depth('WH_TEST_KILLS', 0)  # 0 = every point once
ZOMBIES = ['lease-after', 'writer-opened', 'commit-before', 'commit-after', 'publish-step-intended', 'closing-recorded']
MODULES = os.path.join(os.path.dirname(harness.program()), 'tests', 'fakes', 'hard')

# name: source options, destination, whether its snapshot outlives a kill (else: one instant or `mixed`)
PAIRS = {
    'plain-plain': ('hard-plain', '', 'hard-plain', '', True),
    'paged-plain': ('hard-paged', '', 'hard-plain', '', True),
    'sessions-plain': ('hard-sessions', '', 'hard-plain', '', False),
    'held-plain': ('hard-held', '', 'hard-plain', '', True),
    'plain-late': ('hard-plain', '', 'hard-late', '', True),
    'plain-again': ('hard-plain', '', 'hard-again', 'again_every=50', True),
    'plain-manifest': ('hard-plain', '', 'hard-manifest', '', True),
    'plain-settle': ('hard-plain', '', 'hard-settle', '', True),
    'ordered-ordered': ('hard-ordered', '', 'hard-ordered', '', True),
    'held-manifest': ('hard-held', '', 'hard-manifest', '', True),
}


class Pair:
    def __init__(self, name, place, tally):
        self.name, self.place, self.t = name, place, tally
        self.source, self.from_opts, self.sink, self.to_opts, self.enters = PAIRS[name]
        self.n = 0
        self.server = place.path('server-' + name)
        os.mkdir(self.server)
        _, self.total = hardctl.fill(self.server, 'account', ROWS)

    def command(self, table, from_opts='', to_opts='', *flags):
        split = 'split_rows=%d' % (ROWS // 8)
        options = '&'.join(o for o in (split, self.from_opts, from_opts) if o)
        into = '&'.join(o for o in (self.to_opts, to_opts) if o)
        return ['copy', '%s:%s?%s#account' % (self.source, self.server, options),
                '%s:%s%s#%s' % (self.sink, self.server, '?' + into if into else '', table),
                '-j', '3', '--no-progress'] + list(flags)

    def table(self):
        self.n += 1
        return 'd%d' % self.n

    def fresh(self):
        shutil.rmtree(self.place.path('home'), ignore_errors=True)
        os.mkdir(self.place.path('home'))
        hardctl.gc(self.server)

    def judge(self, table, said='', refused=None, allow=()):
        """Problems of a destination; at two instants (said so) only its sum may differ."""
        mixed = 'mixed (' in said
        r = hardctl.judge(self.server, table, ROWS, None if mixed or refused else self.total, refused,
                          ('dead_sessions',) + allow)
        return r['problems']


def ended_before(place):
    """The run got to its end although it was killed (then the copy must not be made again)."""
    return 'done' in place.run('history')[1]


def finish(place, command, limit=10):
    """What an operator does after a kill: the same command if nothing is known, else resume."""
    said = ''
    for _ in range(limit):
        _, status, _ = place.run('status')
        if ended_before(place):
            return 0, said
        if 'nothing is unfinished' in status or 'nothing runs' in status:
            code, _, err = place.run(*command)
        else:
            code, _, err = place.run('resume', '--no-progress')
        said += err
        if code == 0:
            return 0, said
    return code, said


class Writer:
    """Moves money in the source all the time."""

    def __init__(self, server):
        self.over = threading.Event()
        self.thread = threading.Thread(target=hardctl.writer, args=(server, 'account'),
                                       kwargs={'seconds': 600, 'pause_ms': 1, 'stop': self.over.is_set})

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *args):
        self.over.set()
        self.thread.join()


def kill_trial(p, name, nth, phase, rng):
    p.fresh()
    table = p.table()
    command = p.command(table)
    with Writer(p.server):
        code, _, said = p.place.run(*command, WH_TEST_KILL='%s:%d' % (name, nth))
        killed = code == -signal.SIGKILL
        p.t.kills[phase] += killed
        if killed and rng.random() < 0.3:  # and once more while it resumes
            code, _, more = p.place.run('resume', '--no-progress', WH_TEST_KILL='%s:1' % name)
            said += more
        if code != 0:
            code, more = finish(p.place, command)
            said += more
    problems = p.judge(table, said) if code == 0 else ['exit %s' % code]
    p.t.check(not problems, '%s: killed at %s:%d' % (p.name, name, nth), '%s\n%s' % (problems, said))


def kill_every_point(p, points, rng):
    p.fresh()
    table = p.table()
    log = p.place.path('points-%s.log' % p.name)
    seen = harness.reached(p.place, p.command(table), log)
    p.t.check(not p.judge(table), '%s: the undisturbed run' % p.name, p.judge(table))
    todo = [(name, phase) for name, phase in points if seen[name]]
    if KILLS:
        todo = [(n, ph) for n, ph, _ in harness.spread(rng, seen, points, KILLS)[0]]
    for name, phase in todo:
        kill_trial(p, name, rng.randint(1, seen[name]), phase, rng)
    return {phase for name, phase in points if seen[name]}


def zombie_trial(p, name):
    """A process is stopped at a point, another goes on with its run, then it wakes."""
    p.fresh()
    table = p.table()
    command = p.command(table)
    with Writer(p.server):
        z = p.place.start(*command, WH_TEST_STOP='%s:1' % name)
        if not harness.wait_stopped(z, 30):
            harness.end(z)
            return
        time.sleep(1.8)
        code, _, said = p.place.run('resume', '--no-progress')
        z.send_signal(signal.SIGCONT)
        try:
            _, err = z.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            _, err = harness.end(z)
            p.t.check(False, '%s: the zombie of %s does not end' % (p.name, name), err)
        if code != 0:
            code, more = finish(p.place, command)
            said += more
    # A zombie that wakes after the end may still stage a part: nobody sees it, gc removes it.
    problems = p.judge(table, said, allow=('stages',)) if code == 0 else ['exit %s' % code]
    p.t.check(not problems, '%s: zombie at %s' % (p.name, name),
              '%s\n%s\nzombie: exit %s %s' % (problems, said, z.returncode, err.decode('utf-8', 'replace')))


def faults(p):
    """Failures, lost sessions, unknown outcomes on both ends: retried, never guessed."""
    for from_opts, to_opts in (('fail_every=37', 'fail_every=41'), ('lose_every=37', 'lose_every=41'), ('', 'unknown_every=2')):
        p.fresh()
        table = p.table()
        command = p.command(table, from_opts, to_opts)
        code, _, said = p.place.run(*command)
        for _ in range(6):
            if code == 0:
                break
            code, _, more = p.place.run('resume', '--no-progress')
            said += more
        problems = p.judge(table, said) if code == 0 else ['exit %s' % code]
        p.t.check(not problems, '%s: %s %s' % (p.name, from_opts, to_opts), '%s\n%s' % (problems, said))


def dirty(p):
    """Rows that the server refuses: named, archived, counted, the others written."""
    refuse, n = 'id %% 1000 = 7'.replace('%%', '%'), len(range(7, ROWS + 1, 1000))
    p.fresh()
    table = p.table()
    option = 'refuse=id %25 1000 = 7'.replace(' ', '%20')
    code, _, said = p.place.run(*p.command(table, '', option))
    p.t.check(code == 6, '%s: the first refused row ends the table' % p.name, 'exit %s\n%s' % (code, said))
    p.fresh()
    table = p.table()
    code, _, said = p.place.run(*p.command(table, '', option), '--dirty', 'rows=%d' % n)
    problems = p.judge(table, said, refuse) if code == 0 else ['exit %s' % code]
    problems = [x for x in problems if not x.endswith(('open_runs left', 'targets left', 'markers left'))]  # of the first half
    p.t.check(not problems and '%d dirty' % n in said, '%s: %d rows refused' % (p.name, n), '%s\n%s' % (problems, said))


def stopping(p):
    """SIGTERM: saved and out within 10 s, exit 143; resume ends it."""
    p.fresh()
    table = p.table()
    slow = p.command(table, 'delay_ms=40ms')
    r = p.place.start(*slow)
    time.sleep(0.6)
    before = time.time()
    r.send_signal(signal.SIGTERM)
    try:
        _, err = r.communicate(timeout=15)
    except subprocess.TimeoutExpired:
        _, err = harness.end(r)
    took = time.time() - before
    p.t.check(r.returncode in (143, 0) and took < 10, '%s: SIGTERM' % p.name, 'exit %s after %.1f s\n%s' % (r.returncode, took, err))
    code, said = (0, '') if r.returncode == 0 else finish(p.place, slow)
    problems = p.judge(table, said) if code == 0 else ['exit %s\n%s' % (code, said)]
    p.t.check(not problems, '%s: resumed after SIGTERM' % p.name, problems)


def control_marker(p):
    """Without markers a kill between commit and record must show as doubled rows."""
    p.fresh()
    table = p.table()
    command = p.command(table, '', 'marker=off')
    p.place.run(*command, WH_TEST_KILL='commit-after:1')
    code, said = finish(p.place, command)
    p.t.check(code == 0 and p.judge(table), '%s: the control without markers stays green' % p.name, said)


def control_snapshot(p):
    """Without the snapshot entered again the sum of one instant must not come out."""
    red = 0
    for _ in range(4):
        p.fresh()
        table = p.table()
        command = p.command(table, 'snapshot=off&delay_ms=2ms')
        with Writer(p.server):
            p.place.run(*command, WH_TEST_KILL='record-after:2')
            code, said = finish(p.place, command)
        red += bool(p.judge(table))
    p.t.check(red > 0, '%s: the control without its snapshot stays green' % p.name, said)


def main():
    rng, seed = harness.rng_for('hard')
    t = harness.Tally('engine on the hard cases', seed)
    os.environ.setdefault('WHERRY_MODULES', MODULES)
    place = harness.Place('hard')
    place.env['WH_TEST_PACK_BYTES'] = '1000'  # one split a unit: many commits from few rows
    points = harness.kill_points()
    phases = set()
    chosen = sys.argv[1:] or list(PAIRS)
    for name in chosen:
        p = Pair(name, place, t)
        started = time.time()
        before = t.failed
        phases |= kill_every_point(p, points, rng)
        for point in rng.sample(ZOMBIES, 2) if KILLS else ZOMBIES:
            zombie_trial(p, point)
        faults(p)
        stopping(p)
        if name in ('plain-plain', 'plain-late', 'plain-again'):
            dirty(p)
        if name == 'plain-plain':
            control_marker(p)
        if name in ('plain-plain', 'held-plain'):
            control_snapshot(p)
        print('%-16s %3d s  %d failed' % (name, time.time() - started, t.failed - before))
        sys.stdout.flush()
    t.histogram(sorted(phases))
    place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
