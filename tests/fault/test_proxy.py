#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A bad network between the engine and PostgreSQL, as source and as destination (proxy.py): slow, sliced into
single bytes, cut, reset, a black hole, a flipped byte; at places spread over all that is sent, and at each
COMMIT, before it arrives and after.

    tests/fault/test_proxy.py [WORD...]     only jobs whose name holds one of the words

Red when a slow network is more than slow, when a hole is waited for longer than the watchdog says, when the
outcome of a commit whose answer got lost is guessed, when a flipped byte crashes the program or, under TLS,
becomes a row."""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402
from proxy import Fault, Proxy  # noqa: E402

LIMIT = 200 if kit.SOAK else max(2, kit.FAULTS // 2)
COMMIT = rb'(?i)\bcommit\b'
STILL = '3s'   # no_progress of the runs that meet a hole


class Line:
    """A job whose one end, or both, is behind a proxy."""

    def __init__(self, server, name, side, tls=False):
        self.proxy = Proxy(server.port)
        options = {'port': self.proxy.port, 'sslmode': 'require' if tls else 'disable', 'connect_timeout': '5s'}
        self.bench = kit.Bench(name, server, source_options=options if side in ('source', 'both') else None,
                               target_options=options if side in ('target', 'both') else None)
        self.side, self.tls = side, tls

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.bench.__exit__()
        self.proxy.__exit__()

    def run(self, fault, **env):
        self.proxy.heal(drop=True)
        self.proxy.fault = fault
        return self.bench.run(**env)

    def sizes(self, t):
        """Bytes of an undisturbed run, each way."""
        self.bench.clean()
        code, out, err = self.run(Fault())
        t.check(code == 0, '%s: through the proxy' % self.bench.name, out + err)
        return dict(self.proxy.bytes)

    def trial(self, t, what, fault, **more):
        kit.trial(t, self.bench, '%s by TLS %s: %s' % (self.side, self.tls, what), lambda: self.run(fault),
                  mend=self.proxy.heal, **more)
        t.notes['on ' + fault.kind] += 1


def places(t, n):
    return kit.chosen(t.rng, n, LIMIT) if n <= LIMIT or not kit.SOAK else sorted(t.rng.sample(range(n), LIMIT))


def slow(t, server, name, side):
    with Line(server, name, side) as line:
        for fault in (Fault('delay', ms=15), Fault('throttle', rate=400000), Fault('slice')):
            line.trial(t, fault.kind, fault, allowed=(0,))


def cuts(t, server, name, side, tls=False):
    with Line(server, name, side, tls) as line:
        for way, n in line.sizes(t).items():
            for after in places(t, n):
                kind = t.rng.choice(('cut', 'reset'))
                line.trial(t, '%s after %d of %d bytes %s' % (kind, after, n, way), Fault(kind, way, after=after), allowed=(0, 5))


def commits(t, server, name, side):
    with Line(server, name, side) as line:
        line.bench.clean()
        line.run(Fault('cut', 'up', at=COMMIT, nth=10 ** 9))
        n = line.proxy.fault.seen
        t.check(n > 0, '%s: no commit went by' % name)
        for nth in kit.chosen(t.rng, n, 10 ** 6 if kit.SOAK else 6):
            for before in (True, False):
                line.trial(t, 'commit %d of %d, cut %s it arrives' % (nth, n, 'before' if before else 'after'),
                           Fault('cut', 'up', at=COMMIT, nth=nth, before=before), allowed=(0, 5))


def as_job(line, timeouts, more=''):
    """The same copy from a job, with these timeouts; more: of `write`."""
    b = line.bench
    job = b.place.path('in', 'copy.yaml')
    b.args = ['run', job]
    with open(job, 'w', encoding='utf-8') as f:
        f.write("version: 1\nname: copy\nstreams:\n  - from: '%s'\n    to: '%s'\n    write: { mode: %s%s%s }\n"
                "run: { parallel: 2, timeouts: { %s } }\n"
                % (b.source_text(**line_options(line, 'source')), b.target_text(**line_options(line, 'target')), b.mode,
                   ', keys: [id]' if b.mode in kit.KEYED else '', more, timeouts))


def watched(line):
    """With a watchdog that does not take minutes."""
    as_job(line, 'no_progress: %s, user: 3s' % STILL)


def holes(t, server, name, side):
    with Line(server, name, side) as line:
        b = line.bench
        sizes = line.sizes(t)
        watched(line)
        # A step has no limit of its own (an index takes what it takes): holes strike the plan and the rows.
        parts = [('down', 0.05), ('up', 0.1), ('down', 0.5), ('down', 0.9)] if side == 'source' else [('up', 0.03), ('up', 0.5), ('up', 0.75)]
        for way, part in parts:
            after = int(sizes[way] * (part + t.rng.random() * 0.05))
            line.trial(t, 'hole after %d of %d bytes %s' % (after, sizes[way], way), Fault('hole', way, after=after), allowed=(0, 5))


def step_hole(t, server, name, side):
    """A statement that the server has done, whose answer never comes: only timeouts.statement ends that wait. Resume
    looks whether it was done."""
    with Line(server, name, side) as line:
        b = line.bench
        as_job(line, 'statement: 3s, no_progress: 1s, user: 3s', ', after: ["insert into once select 1 from pg_sleep(1)"]')

        def run():
            line.proxy.heal(drop=True)
            server.sql('create table once(n int)', b.databases[-1])
            p = b.place.start(*b.args, '--json')
            end = kit.time.monotonic() + 30
            while kit.time.monotonic() < end and server.sql(
                    "select count(*) from pg_stat_activity where wait_event = 'PgSleep' and datname = '%s'" % b.databases[-1]) == '0':
                kit.time.sleep(0.02)
            line.proxy.fault = Fault('hole', 'both')
            return kit.harness.finish(p, kit.SECONDS)
        kit.trial(t, b, 'a hole while a statement is at work', run, mend=line.proxy.heal, allowed=lambda code, said: code == 5
                  and 'timeouts.statement' in said)
        n = server.sql('select count(*) from once', b.databases[-1])
        t.check(n == '1', '%s: the statement was carried out once' % name, n)


def compared(t, server, name, side):
    """`validate` reads once: a connection lost in the middle ends it with 5, and nothing of it stays. In a run (`--validate`)
    it is the resume that compares again."""
    with Line(server, name, side) as line:
        b = line.bench
        copied = line.sizes(t)
        words = ['validate', b.args[1], b.args[2], '--level', 'checksum', '--json']
        line.proxy.heal(drop=True)
        code, out, err = b.go(words)
        t.check(code == 0, '%s: compared through the proxy' % name, out + err)
        n = line.proxy.bytes['down']
        for after in kit.chosen(t.rng, n, 4):
            line.proxy.heal(drop=True)
            line.proxy.fault = Fault('cut', 'down', after=after)
            code, out, err = b.go(words)
            line.proxy.heal()
            t.check(code in (0, 5) and kit.wrong_end(code, out, err) is None and not b.left(), 'validate, cut after %d of %d bytes' % (after, n),
                    'exit %s, %s\n%s%s' % (code, b.left(), err, out[-1500:]))
        b.args += ['--validate', 'checksum']
        for after in kit.chosen(t.rng, n, 4):
            line.trial(t, 'its comparison cut after %d of %d bytes' % (after, n), Fault('cut', 'down', after=copied['down'] + after),
                       allowed=(0, 5))


def line_options(line, side):
    options = {'port': line.proxy.port, 'sslmode': 'disable', 'connect_timeout': '3s', 'network_timeout': '3s'}
    return options if line.side in (side, 'both') else {}


def corrupt_tls(t, server, name, side):
    """Under TLS a flipped byte ends the session and never becomes a row."""
    with Line(server, name, side, tls=True) as line:
        for way, n in line.sizes(t).items():
            for after in places(t, n):
                line.trial(t, 'byte %d of %d %s is another one' % (after, n, way), Fault('corrupt', way, after=after), allowed=(0, 2, 5))


def corrupt_plain(t, server, name, side):
    """Without TLS a row may be another one; but the program neither crashes nor hangs. A length that became another one
    may leave each waiting for the other: the watchdog ends that."""
    with Line(server, name, side) as line:
        b = line.bench
        watched(line)
        for way, n in line.sizes(t).items():
            for after in places(t, n):
                b.clean()
                code, out, err = line.run(Fault('corrupt', way, after=after))
                why = kit.wrong_end(code, out, err)
                t.check(why is None, '%s, %s: byte %d of %d %s is another one' % (name, side, after, n, way),
                        '%s\nexit %s\n%s%s' % (why, code, err[-1500:], out[-1500:]))
                t.notes['faults'] += 1
                t.notes['on corrupt'] += 1
                line.proxy.heal()


BOTH = 'pg > pg as bytes'
JOBS = [('pg cuts, source', cuts, (BOTH, 'source')),
        ('pg cuts, target', cuts, (BOTH, 'target')),
        ('pg cuts, decoded', cuts, ('pg > pg decoded', 'both')),
        ('pg cuts, overwrite', cuts, ('pg > pg, overwrite', 'target')),
        ('pg cuts, upsert', cuts, ('sqlite > pg, upsert', 'target')),
        ('pg cuts, TLS', cuts, (BOTH, 'both', True)),
        ('pg cuts, files', cuts, ('pg > csv', 'source')),
        ('pg commits', commits, ('sqlite > pg', 'target')),
        ('pg commits, bytes', commits, (BOTH, 'target')),
        ('pg commits, overwrite', commits, ('pg > pg, overwrite', 'target')),
        ('pg slow', slow, (BOTH, 'both')),
        ('pg slow, decoded', slow, ('pg > pg decoded', 'both')),
        ('pg hole, source', holes, (BOTH, 'source')),
        ('pg hole, target', holes, ('sqlite > pg', 'target')),
        ('pg hole, step', step_hole, ('sqlite > pg', 'target')),
        ('pg cuts, compared', compared, (BOTH, 'both')),
        ('pg corrupt, TLS', corrupt_tls, (BOTH, 'both')),
        ('pg corrupt, plain', corrupt_plain, (BOTH, 'both')),
        ('pg corrupt, plain, decoded', corrupt_plain, ('pg > pg decoded', 'both'))]

if __name__ == '__main__':
    sys.exit(kit.main('a bad network', JOBS, sys.argv[1:], workers=2, tls=True))
