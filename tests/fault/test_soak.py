#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Many small jobs with faults by chance, one after the other, and nothing may pile up.

    tests/fault/test_soak.py [WORD...]     family: processes in one HOME    folder: all jobs in one process

family: each job is a process of its own in one HOME, on one server: killed at a named point or at any moment,
stopped as a zombie, asked to end, without memory at its N-th allocation, its network cut, its session ended by
the server; then `wherry resume` until it has ended. Once in a while a job runs untouched and its peak of
resident memory is noted. folder: `wherry run FOLDER` carries out all of them in one process, whose network is
cut and whose sessions are ended in the meantime; at the end of each job its memory, descriptors and threads are
noted. What is left unfinished is resumed.

Red when a row is lost, doubled or changed; when a later run needs more memory, descriptors or threads than an
early one; when temporary files, locks, holders, sessions, locks at the server (advisory ones too), markers or
held targets are left. Depth: WH_TEST_SOAK_JOBS (20; in the soak 1000); WH_TEST_SEED repeats a run."""
import csv
import os
import re
import signal
import sqlite3
import statistics
import subprocess
import sys
import time

os.environ.setdefault('WH_TEST_FAULT_ROWS', '400')
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402
from kit import harness  # noqa: E402
from proxy import Fault, Proxy  # noqa: E402

JOBS = harness.depth('WH_TEST_SOAK_JOBS', 1000 if kit.SOAK else 20)
GROWTH = 1500          # kB that the resident memory of a late job may be above that of an early one
LOCKS = """select count(*) filter (where locktype = 'advisory') || ' advisory locks, ' || count(*) || ' locks' from pg_locks l
    join pg_stat_activity a using (pid) where a.application_name like 'wherry/%' or locktype = 'advisory'"""


class Shared(kit.Bench):
    """A job that shares HOME, state and server with its family and does not forget between runs."""

    family = None

    def __init__(self, name, server, proxy):
        options = {'port': proxy.port, 'sslmode': 'disable', 'connect_timeout': '5s'}
        self.ready, self.proxy, self.before = False, proxy, 0
        super().__init__(name, server, target_options=options, source_options=options)
        self.place.env['HOME'] = self.family.env['HOME']
        self.place.state = self.family.state
        self.ready = True

    def clean(self):
        """A target that no run has written to; of earlier runs everything is still known."""
        if not self.ready:
            return super().clean()
        self.before = self.done()
        if self.target == 'pg':
            self.server.sql('set client_min_messages = warning; drop table if exists t', self.databases[-1])
            if self.old:
                self.fill_pg(self.databases[-1], self.mode, sorted(self.old))
            return None
        for name in os.listdir(self.out()):
            path = self.out(name)
            kit.shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        if self.target == 'sqlite':
            kit.fill_sqlite(self.out('t.db'), self.mode, sorted(self.old))
        elif self.old:
            with open(self.out('t.csv'), 'w', newline='', encoding='utf-8') as f:
                csv.writer(f).writerows([('id', 'balance', 'note')] + sorted(self.old))
        return None

    def left(self, ended=False):
        # The lock file of an owner that died behind the end of its run goes with the next claim.
        found = super().left(True)           # waits for the end of sessions
        locks = self.server.sql(LOCKS)
        return found or (None if locks == '0 advisory locks, 0 locks' else 'at the server: ' + locks)

    def to_the_end(self, limit=6):
        """As an operator, who knows the last run from those before it."""
        if self.done() == self.before and not unfinished(self.place):
            code, out, err = self.run()
            return code, 'again: exit %d\n%s%s\n' % (code, err, out[-1500:] if code else '')
        return super().to_the_end(limit)

    def done(self):
        """How many runs the state knows that ended well."""
        if not os.path.exists(self.place.state('state.db')):
            return 0
        db = sqlite3.connect('file:%s?mode=ro' % self.place.state('state.db'), uri=True, timeout=20)
        n = db.execute('select count(*) from run where finished = 1 and exit_code = 0').fetchone()[0]
        db.close()
        return n

    def peak(self):
        """Peak of resident memory of an untouched run, in kB; and its exit code. What the kernel tells a parent
        (ru_maxrss) is no less than the parent's own."""
        self.clean()
        code, out, _ = self.run()
        return code, harness.finished(out).get('peak_rss', 0) // 1024


# ---- faults of a process -------------------------------------------------------------------------------


def at_point(rng, points, b):
    return b.run(WH_TEST_KILL='%s:%d' % (rng.choice(points), rng.randint(1, 3)))


def at_moment(rng, points, b, how=signal.SIGKILL):
    p = b.place.start(*b.args, '--json')
    time.sleep(rng.uniform(0.005, 0.25))
    p.send_signal(how)
    return harness.finish(p, kit.SECONDS)


def asked_to_end(rng, points, b):
    return at_moment(rng, points, b, signal.SIGTERM)


def zombie(rng, points, b):
    """Stopped somewhere, taken over by a resume, woken again."""
    p = b.place.start(*b.args, '--json', WH_TEST_STOP=rng.choice(points) + ':1')
    if not harness.wait_stopped(p, 20):
        return harness.finish(p, kit.SECONDS)
    time.sleep(harness.STALE_MS / 1000 + 0.3)
    code, out, err = b.go(['resume', '--json'])
    p.send_signal(signal.SIGCONT)
    ended, more, words = harness.finish(p, kit.SECONDS)
    if code == 2 and 'no run is unfinished' in out + err:   # it stood behind its end, or before its beginning
        return ended, more, words
    return (code, out, err) if code in kit.AGAIN else (ended and 1, more + out, err + words)


def no_memory(rng, points, b):
    return b.run(WH_TEST_FAIL_ALLOC=str(rng.randint(1, 1500)))


def network(rng, points, b):
    b.proxy.heal(drop=True)
    b.proxy.fault = Fault(rng.choice(('cut', 'reset')), rng.choice(('up', 'down')), after=rng.randint(0, 60000))
    return b.run()


def ended_by_server(rng, points, b):
    p = b.place.start(*b.args, '--json')
    time.sleep(rng.uniform(0.02, 0.2))
    b.server.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'wherry/%'")
    return harness.finish(p, kit.SECONDS)


ANY = (at_point, at_point, at_moment, asked_to_end, zombie, no_memory)
SERVER = ANY + (network, ended_by_server)


def family(t, server):
    """Processes in one HOME."""
    Shared.family = harness.Place('family')
    os.environ['WH_TEST_TMP'] = Shared.family.dir
    points = [p for p, _ in harness.kill_points()]
    with Proxy(server.port) as proxy:
        benches = [Shared(n, server, proxy) for n in (
            'csv > sqlite, upsert', 'pg > pg, overwrite', 'sqlite > csv, overwrite', 'sqlite > pg', 'csv > folder', 'pg > csv')]
        try:
            first = [peaks(t, b, 2) for b in benches]
            for i in range(JOBS):
                b = benches[i % len(benches)]
                fault = t.rng.choice(SERVER if 'pg' in b.name else ANY)
                proxy.heal()
                b.clean()
                kit.trial(t, b, 'job %d, %s' % (i, fault.__name__), lambda: fault(t.rng, points, b), killed=True,
                          mend=proxy.heal, clean=False)
                t.notes['fault ' + fault.__name__] += 1
            for b, before in zip(benches, first):
                after = peaks(t, b, 2)
                t.check(after <= before + GROWTH, '%s: memory of the last run is that of the first' % b.name,
                        '%d kB, then %d kB' % (before, after))
                print('%s: peak %d kB before %d jobs, %d kB after them' % (b.name, before, JOBS, after))
            nothing_left(t, Shared.family)
        finally:
            for b in benches:
                b.__exit__()
            del os.environ['WH_TEST_TMP']
            Shared.family.remove()


def peaks(t, b, n):
    found = []
    for _ in range(n):
        code, peak = b.peak()
        t.check(code == 0 and b.whole() is None, '%s: untouched' % b.name, 'exit %s, %s' % (code, b.whole()))
        found.append(peak)
    return min(found)


def nothing_left(t, place):
    """What the state's folder holds after all runs: the record of each, its log, and nothing else."""
    t.check(not place.leftovers(), 'nothing is left of them', place.leftovers())
    db = sqlite3.connect('file:%s?mode=ro' % place.state('state.db'), uri=True)
    runs = db.execute('select count(*) from run').fetchone()[0]
    units = db.execute('select count(*) from unit').fetchone()[0]
    db.close()
    size = os.path.getsize(place.state('state.db'))
    logs = sum(len(names) for _, _, names in os.walk(place.state('logs')))
    print('the state knows %d runs and %d units in %d kB, %d logs' % (runs, units, size // 1024, logs))


# ---- one process ---------------------------------------------------------------------------------------


class Folder:
    """Job files, a few rows each, every one into a target of its own."""

    KINDS = ('csv > sqlite', 'sqlite > csv', 'csv > pg', 'pg > csv', 'pg > pg', 'no source')

    def __init__(self, server, proxy):
        self.server, self.place = server, harness.Place('folder')
        self.place.env.update(WH_TEST_UNIT_BYTES=kit.UNIT, WH_TEST_OUTAGE_MS='1500', TMPDIR=self.place.path('tmp'))
        for name in ('in', 'out', 'jobs', 'tmp'):
            os.mkdir(self.place.path(name))
        self.csv, self.db = self.place.path('in', 't.csv'), self.place.path('in', 't.db')
        with open(self.csv, 'w', newline='', encoding='utf-8') as f:
            csv.writer(f).writerows([('id', 'balance', 'note')] + kit.WANT)
        kit.fill_sqlite(self.db, 'append', kit.WANT)
        server.sql('set client_min_messages = warning; drop schema if exists soak cascade; create schema soak; %s'
                   % kit.table_sql('append').replace(' t(', ' soak.t('))
        with open(self.csv, encoding='utf-8') as f:
            server.sql('copy soak.t from stdin (format csv, header);\n%s\\.\n' % f.read())
        # What a fault of the network strikes goes through the proxy; the oracle asks the server itself.
        self.url = lambda table: server.url('soak.' + table, port=proxy.port, sslmode='disable', connect_timeout='5s')
        for i in range(JOBS):
            self.write(i)

    def ends(self, i):
        out = self.place.path('out', 'o%04d' % i)
        return {'csv > sqlite': (self.csv, 'sqlite:%s.db#t' % out), 'sqlite > csv': ('sqlite:%s#t' % self.db, out + '.csv'),
                'csv > pg': (self.csv, self.url('o%04d' % i)), 'pg > csv': (self.url('t'), out + '.csv'),
                'pg > pg': (self.url('t'), self.url('o%04d' % i)), 'no source': (self.csv + '.none', out + '.csv')}[self.kind(i)]

    def kind(self, i):
        return self.KINDS[i % len(self.KINDS)]

    def write(self, i):
        with open(self.place.path('jobs', 'j%04d.yaml' % i), 'w', encoding='utf-8') as f:
            f.write("version: 1\nstreams:\n  - from: '%s'\n    to: '%s'\nrun: { parallel: 2, retry: { times: %d, wait: 10ms } }\n"
                    % (*self.ends(i), i // 2 % 3))

    def why_not(self, i):
        """Why the target of a job is not its source, or None."""
        kind, out = self.kind(i), self.place.path('out', 'o%04d' % i)
        if kind == 'no source':
            return 'it is there' if os.path.exists(out + '.csv') else None
        if kind.endswith('pg'):
            text = self.server.sql('copy (select id, balance, note from soak.o%04d) to stdout (format csv)' % i, check=False)
            got = None if text is None else kit.counted(csv.reader(kit.io.StringIO(text, newline='')))
        elif kind.endswith('sqlite'):
            got = kit.rows_of_sqlite(out + '.db')
        elif not os.path.exists(out + '.csv'):
            got = None
        else:
            with open(out + '.csv', newline='', encoding='utf-8') as f:
                got = kit.counted(list(csv.reader(f))[1:])
        want = kit.collections.Counter(kit.WANT)
        return None if got == want else 'no target' if got is None else '%d lost, %d more' % (
            sum((want - got).values()), sum((got - want).values()))


def looked_at(pid):
    """(resident kB, descriptors, threads) of a living process, or None."""
    try:
        with open('/proc/%d/status' % pid, encoding='ascii') as f:
            text = f.read()
        names = os.listdir('/proc/%d/fd' % pid)
    except OSError:
        return None
    found = [re.search(r'^%s:\s+(\d+)' % k, text, re.M) for k in ('VmRSS', 'Threads')]
    return (int(found[0].group(1)), len(names), int(found[1].group(1))) if all(found) else None


def strikes(t, server, proxy):
    """What befalls the next job."""
    what = t.rng.choice(('nothing', 'nothing', 'cut', 'reset', 'ended'))
    proxy.heal()
    if what in ('cut', 'reset'):
        proxy.fault = Fault(what, t.rng.choice(('up', 'down')), after=t.rng.randint(0, 60000))
    elif what == 'ended':
        server.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'wherry/%'")
    t.notes['in process ' + what] += 1


def folder(t, server):
    """All jobs in one process."""
    with Proxy(server.port) as proxy:
        f = Folder(server, proxy)
        try:
            errors = open(f.place.path('in', 'errors'), 'w+b')
            p = subprocess.Popen([harness.program(), 'run', f.place.path('jobs'), '--json'], cwd=f.place.dir, env=f.place.env,
                                 stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors)
            seen, codes = [], kit.collections.Counter()
            for line in p.stdout:
                if b'"type":"run_finished"' in line:
                    codes[harness.events(line.decode())[0].get('exit')] += 1
                    seen.append(looked_at(p.pid))
                    strikes(t, server, proxy)
            p.wait()
            proxy.heal()
            errors.seek(0)
            t.check(p.returncode in (0, 1, 2, 5), 'the folder ends', 'exit %d\n%s' % (p.returncode, errors.read().decode()[-2000:]))
            errors.close()
            print('one process: exit %d; jobs by exit: %s' % (p.returncode, dict(codes)))
            even(t, [s for s in seen if s])
            rest(t, f)
        finally:
            server.sql('set client_min_messages = warning; drop schema if exists soak cascade')
            if not os.environ.get('WH_TEST_KEEP'):
                f.place.remove()


def even(t, seen):
    """The last fifth of the jobs holds no more memory than the second fifth did, the second half no more descriptors and
    threads than the first: their least, since on a busy machine the look at a job may fall into the next one's course."""
    n, half = max(1, len(seen) // 5), len(seen) // 2
    t.check(len(seen) > JOBS // 2, 'jobs were looked at', len(seen))
    spans = (('kB resident', GROWTH, statistics.median, seen[n:2 * n], seen[-n:]),
             ('descriptors', 0, min, seen[:half], seen[half:]), ('threads', 0, min, seen[:half], seen[half:]))
    for k, (what, more, of, first, last) in enumerate(spans):
        early, late = of(s[k] for s in first), of(s[k] for s in last)
        t.check(late <= early + more, 'a late job holds no more %s' % what, 'from %g to %g' % (early, late))
        print('%s: %g early, %g late' % (what, early, late))


def rest(t, f):
    """What the faults left unfinished is resumed, once each, by name; then all rows are there, once."""
    for _ in range(4):
        runs = unfinished(f.place)
        for run in runs:
            f.place.run('resume', run, '--accept-mixed', '--json', timeout=kit.SECONDS)
        if not runs:
            break
    # A job that failed before it had a run is begun again.
    again = [f.place.path('jobs', 'j%04d.yaml' % i) for i in range(JOBS) if f.kind(i) != 'no source' and f.why_not(i) == 'no target']
    code, out, err = f.place.run('run', *again, timeout=600) if again else (0, '', '')
    t.check(code == 0, 'the rest ends', 'exit %d\n%s%s' % (code, err, out[-1500:]))
    for i in range(JOBS):
        t.check(f.why_not(i) is None, 'job %d, %s' % (i, f.kind(i)), f.why_not(i))
    nothing_left(t, f.place)
    found = [n for n in os.listdir(f.place.path('out')) if not re.fullmatch(r'o\d+\.(csv|db)', n)] + os.listdir(f.place.path('tmp'))
    t.check(not found, 'no temporary files', found)
    locks = f.server.sql(LOCKS)
    t.check(locks == '0 advisory locks, 0 locks', 'no locks at the server', locks)
    marks = f.server.sql("select (select count(*) from soak.wherry_unit) + (select count(*) from soak.wherry_target) + "
                         "(select count(*) from soak.wherry_run where state::text <> 'closed')")
    t.check(marks == '0', 'no markers, targets or open runs', marks)


def unfinished(place):
    db = sqlite3.connect('file:%s?mode=ro' % place.state('state.db'), uri=True, timeout=20)
    found = [r for (r,) in db.execute('select run from run where finished = 0 and state <> 7')]
    db.close()
    return found


if __name__ == '__main__':
    sys.exit(kit.main('soak, %d jobs' % JOBS, [('family', family, ()), ('folder', folder, ())], sys.argv[1:], workers=1))
