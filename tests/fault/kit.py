# SPDX-License-Identifier: Apache-2.0
"""What the fault suite shares: small jobs, one for each way a pair can work, a run of them under some
fault, then `wherry resume` (or the same command, where no run is known) without help until it ends, and
an oracle that knows nothing of Wherry (sqlite3, csv, psql).

    with Bench('csv > sqlite, upsert', server) as b:
        trial(t, b, 'what is done to it', lambda: b.start_and_wait(WH_TEST_FAIL_ALLOC='7'))

A trial is red when a row is lost, doubled or changed; when something half-written can be seen; when a run
ends by a signal that nobody sent, not at all, or with an exit code that INTERFACE section 6 has not; when a
failure has no code, or one of our own bugs (E9); when resume does not lead to the end; when a temporary
file, a lock, a marker, a session or a holder is left.

Depth: WH_TEST_FAULTS (trials per job), WH_TEST_FAULT_ROWS, WH_TEST_SEED repeats a run; WH_TEST_KEEP keeps
folders, WH_TEST_SHOW prints how each ended. WH_TEST_TIER=all (make check-all): the same faults every time, by
a seed of each script's own; soak: everything, one by one, in an order by chance."""
import collections
import csv
import io
import os
import re
import shutil
import signal
import sqlite3
import sys
import time
import zlib

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

ROWS = harness.depth('WH_TEST_FAULT_ROWS', 3000)
FAULTS = harness.depth('WH_TEST_FAULTS', 12)
SOAK = os.environ.get('WH_TEST_TIER') == 'soak'
UNIT = str(max(8192, ROWS * 60 // 5))   # about five units
OLD = 50                                # rows that stand in the target before, but for append
SECONDS = 60                            # nothing takes longer; what does, hangs
EXITS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 130, 143)
AGAIN = (1, 5, 6, 7, 9, 10, 130, 143)   # can be resumed

# name: source, target, mode, more flags. A target that is a folder takes no keys.
JOBS = {
    'csv > sqlite': ('csv', 'sqlite', 'append', ()),
    'csv > sqlite, upsert': ('csv', 'sqlite', 'upsert', ()),
    'csv > sqlite, overwrite': ('csv', 'sqlite', 'overwrite', ()),
    'csv > folder': ('csv', 'folder', 'append', ('--to', 'part_rows=700')),
    'sqlite > csv': ('sqlite', 'csv', 'append', ()),
    'sqlite > csv, overwrite': ('sqlite', 'csv', 'overwrite', ()),
    'pg > pg as bytes': ('pg', 'pg', 'append', ()),
    'pg > pg decoded': ('pg', 'pg', 'append', ('--dirty', 'rows=1')),
    'pg > pg, overwrite': ('pg', 'pg', 'overwrite', ()),
    'pg > pg, upsert': ('pg', 'pg', 'upsert', ()),
    'sqlite > pg': ('sqlite', 'pg', 'append', ()),
    'sqlite > pg, upsert': ('sqlite', 'pg', 'upsert', ()),
    'pg > csv': ('pg', 'csv', 'append', ()),
    'pg > sqlite': ('pg', 'sqlite', 'append', ()),
}


def row(i):
    return (i, i * 7919 % 1000, 'note %d, "%s"' % (i, ('plain', 'two\nlines', 'naïve 😀', "it's", 'x' * 40)[i % 5]))


WANT = [row(i) for i in range(1, ROWS + 1)]
KEYED = ('upsert',)


def old_rows(mode):
    """What stands in the target before: rows that the source lacks and, for upsert, others of its keys."""
    if mode == 'append':
        return []
    old = [(-i, 7, 'old') for i in range(1, OLD + 1)]
    return old + ([(i, 7, 'old') for i in range(2, ROWS + 1, 2)] if mode == 'upsert' else [])


def table_sql(mode):
    return 'create table t(id bigint%s, balance bigint, note text)' % (' primary key' if mode in KEYED else '')


class Bench:
    """One job in a place of its own. server: a servers.Postgres, where the job needs one."""

    def __init__(self, name, server=None, flags=(), source_options=None, target_options=None):
        self.name, self.server = name, server
        self.source, self.target, self.mode, more = JOBS[name]
        self.place = harness.Place('fault')
        self.place.env.update(WH_TEST_UNIT_BYTES=UNIT, TMPDIR=self.place.path('tmp'), WH_TEST_OUTAGE_MS='1500')
        self.base = 'f%d' % (time.monotonic_ns() % 10 ** 14)
        for folder in ('tmp', 'in', 'out'):
            os.mkdir(self.place.path(folder))
        self.databases = []
        self.make_source()
        self.args = ['copy', self.source_text(**(source_options or {})), self.target_text(**(target_options or {})),
                     '--mode', self.mode, '-j', '2', '--no-progress', *more, *flags]
        if self.mode in KEYED:
            self.args += ['--key', 'id']
        self.want = collections.Counter(WANT)
        self.old = collections.Counter(old_rows(self.mode))
        if self.mode in KEYED:
            self.want.update((i, b, n) for i, b, n in self.old if i < 0)
        self.clean()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if os.environ.get('WH_TEST_KEEP'):
            print('kept: %s' % self.place.dir)
            return
        self.place.remove()
        for name in self.databases:
            self.server.sql('drop database if exists %s with (force)' % name)

    # ---- the two ends ----

    def database(self, name):
        name = '%s_%s' % (self.base, name)
        self.server.sql('create database ' + name)
        self.databases.append(name)
        return name

    def make_source(self):
        path = self.place.path('in', 't.' + self.source)
        if self.source == 'csv':
            with open(path, 'w', newline='', encoding='utf-8') as f:
                csv.writer(f).writerows([('id', 'balance', 'note')] + WANT)
        elif self.source == 'sqlite':
            fill_sqlite(path, 'append', WANT)
        else:
            self.fill_pg(self.database('a'), 'append', WANT)
            self.server.sql('vacuum analyze t', self.databases[0])
        if self.target == 'pg':
            self.database('b')

    def fill_pg(self, database, mode, rows):
        text = io.StringIO()
        csv.writer(text, lineterminator='\n').writerows(rows)
        self.server.sql('%s;\ncopy t from stdin (format csv);\n%s\\.\n' % (table_sql(mode), text.getvalue()), database)

    def source_text(self, **options):
        if self.source == 'pg':
            return self.server.url('t', self.databases[0], **{'lock_timeout': '2s', **options})
        return self.place.path('in', 't.csv') if self.source == 'csv' else 'sqlite:%s#t' % self.place.path('in', 't.sqlite')

    def target_text(self, **options):
        if self.target == 'pg':
            return self.server.url('t', self.databases[-1], **{'lock_timeout': '2s', **options})
        return {'sqlite': 'sqlite:%s?lock_timeout=2s#t' % self.out('t.db'), 'csv': self.out('t.csv'),
                'folder': self.out('t') + '/'}[self.target]

    def out(self, name=''):
        return self.place.path('out', name)

    def clean(self):
        """The target as it was before any run, of which nobody knows."""
        self.place.forget()
        self.forget()
        for name in os.listdir(self.out()):
            path = self.out(name)
            shutil.rmtree(path) if os.path.isdir(path) else os.remove(path)
        empty(self.place.path('tmp'))
        old = sorted(self.old)
        if self.target == 'pg':
            self.server.sql("""select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'wherry/%%'
                and datname like '%s%%'; set client_min_messages = warning; drop schema public cascade; create schema public;"""
                            % self.base, self.databases[-1])
        if not old:
            return
        if self.target == 'pg':
            self.fill_pg(self.databases[-1], self.mode, old)
        elif self.target == 'sqlite':
            fill_sqlite(self.out('t.db'), self.mode, old)
        else:
            with open(self.out('t.csv'), 'w', newline='', encoding='utf-8') as f:
                csv.writer(f).writerows([('id', 'balance', 'note')] + old)

    def forget(self):
        """More that a test keeps of a run."""

    # ---- the oracle ----

    def rows(self):
        """What a reader of the target sees: a Counter of rows; None: nothing is there."""
        if self.target == 'pg':
            text = self.server.sql("copy (select id, balance, note from t) to stdout (format csv)", self.databases[-1], check=False)
            return None if text is None else counted(csv.reader(io.StringIO(text, newline='')))
        if self.target == 'sqlite':
            return rows_of_sqlite(self.out('t.db'))
        files = [self.out('t.csv')] if self.target == 'csv' else seen_in(self.out('t'))
        files = [f for f in files if os.path.exists(f)]
        found = collections.Counter()
        for name in files:
            with open(name, newline='', encoding='utf-8') as f:
                lines = csv.reader(f)
                if next(lines, None) != ['id', 'balance', 'note']:
                    return collections.Counter({'no header in %s' % name: 1})
                found.update(counted(lines))
        return found if files else None

    def whole(self):
        """Why the target is not what it must be at the end, or None."""
        got = self.rows()
        if got is None:
            return 'there is no target'
        lost, more = self.want - got, got - self.want
        if lost or more:
            return '%d rows, %d lost, %d doubled or wrong; lost %s, more %s' % (
                sum(got.values()), sum(lost.values()), sum(more.values()), list(lost)[:2], list(more)[:2])
        return None

    def halfway(self):
        """Why what is seen of an unfinished run is not what the plan promises, or None. A reader sees the
        old rows or the new ones where the whole is put in place at once, else only rows of the source, once."""
        got = self.rows()
        if got is None:
            return None if not self.old else 'what stood there is gone'
        if self.mode == 'overwrite' or self.target in ('csv', 'folder'):
            if got in (self.old, self.want) or (not self.old and not got):
                return None
            return 'half of it can be seen: %d rows' % sum(got.values())
        more = got - (self.want | self.old)
        if more:
            return '%d rows doubled or wrong can be seen: %s' % (sum(more.values()), list(more)[:2])
        gone = {r[0] for r in self.old} - {r[0] for r in got}
        return '%d old rows are gone' % len(gone) if gone else None

    def left(self, ended=False):
        """What is left behind after the end, or None. Holders and sessions get a moment."""
        end = time.monotonic() + 10
        while True:
            found = self.processes() + self.sessions()
            if not found or time.monotonic() > end:
                break
            time.sleep(0.05)
        found += self.place.leftovers(ended)
        found += ['out/' + n for n in os.listdir(self.out()) if n not in ('t.db', 't.csv', 't')]
        found += ['tmp/' + n for n in os.listdir(self.place.path('tmp'))]
        if self.target == 'folder' and os.path.isdir(self.out('t')):
            found += ['out/t/' + n for n in os.listdir(self.out('t')) if n.startswith('.') or not n.endswith(('.csv', '.json'))]
        return 'left behind: %s' % (found + self.marks()) if found + self.marks() else None

    def marks(self):
        """Rows of our tables in the destination that a finished run does not leave."""
        asked = (('markers', 'select count(*) from wherry_unit'), ('targets held', 'select count(*) from wherry_target'),
                 ('open runs', "select count(*) from wherry_run where state <> 'closed'"))
        found = []
        for what, text in asked:
            if self.target == 'pg':
                n = int(self.server.sql(text.replace('state <>', 'state::text <>'), self.databases[-1], check=False) or 0)
            elif self.target == 'sqlite':
                n = ask_sqlite(self.out('t.db'), text)
            else:
                n = 0
            found += ['%d %s' % (n, what)] * bool(n)
        return found

    def processes(self):
        """Processes of ours that live below this place: engines and holders of snapshots."""
        mine, found = os.fsencode(self.place.dir), []
        for pid in (p for p in os.listdir('/proc') if p.isdigit()):
            try:
                with open('/proc/%s/cmdline' % pid, 'rb') as f:
                    words = f.read()
                if mine in words and os.readlink('/proc/%s/exe' % pid) == os.path.realpath(harness.program()):
                    found.append('process %s (%s)' % (pid, words.split(b'\0')[1].decode()))
            except OSError:
                pass
        return found

    def sessions(self):
        if not self.databases:
            return []
        text = self.server.sql("""select application_name || ' ' || coalesce(state, '') from pg_stat_activity
            where application_name like 'wherry/%%' and datname like '%s%%'""" % self.base, check=False)
        return ['session ' + s for s in (text or '').splitlines()]

    # ---- runs ----

    def run(self, *before, **env):
        """The job, once. before: words in front of the command (strace ...)."""
        return self.go([*self.args, '--json'], before, **env)

    def go(self, words, before=(), **env):
        if not before:
            return self.place.run(*words, timeout=SECONDS, **env)
        import subprocess
        p = subprocess.Popen([*before, harness.program(), *words], cwd=self.place.dir, env={**self.place.env, **env},
                             stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return harness.finish(p, SECONDS)

    def to_the_end(self, limit=6):
        """As an operator: resume until it has ended, or the command again if no run is known. The code
        (None: it had ended before), and what was said."""
        said, code = '', 1
        for n in range(limit):
            # A snapshot that went with its server or network: said, and gone on with as the message says.
            mixed = ['--accept-mixed'] if '"E7011"' in said else []
            code, out, err = self.place.run('resume', '--json', *mixed, timeout=SECONDS)
            said += 'resume: exit %d\n%s%s\n' % (code, err, ''.join(l for l in out.splitlines(True) if '"error"' in l))
            if code == 2 and 'no run is unfinished' in out + err:
                if n == 0 and '"done"' in self.place.run('history', '--json')[1]:
                    return None, said
                code, out, err = self.run()
                said += 'again: exit %d\n%s%s\n' % (code, err, ''.join(l for l in out.splitlines(True) if '"error"' in l))
            if code == 0 or code not in AGAIN or (code == 1 and mixed):
                break
            time.sleep(0.1)
        return code, said


# ---- small things ------------------------------------------------------------------------------------


def empty(folder):
    for name in os.listdir(folder):
        path = os.path.join(folder, name)
        shutil.rmtree(path, ignore_errors=True) if os.path.isdir(path) else os.remove(path)


def fill_sqlite(path, mode, rows):
    db = sqlite3.connect(path)
    db.execute(table_sql(mode))
    db.executemany('insert into t values(?, ?, ?)', rows)
    db.commit()
    db.close()


def counted(lines):
    return collections.Counter((int(a), int(b), c) for a, b, c in lines)


def rows_of_sqlite(path):
    if not os.path.exists(path):
        return None
    # As any reader would: one that comes after a kill rolls a half transaction back, so it must be let write.
    db = sqlite3.connect('file:%s?mode=rw' % path, uri=True, timeout=20)
    try:
        if not db.execute("select 1 from sqlite_master where name = 't'").fetchone():
            return None
        return counted(db.execute('select id, balance, note from t'))
    finally:
        db.close()


def ask_sqlite(path, text):
    if not os.path.exists(path):
        return 0
    db = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=20)
    try:
        return db.execute(text).fetchone()[0]
    except sqlite3.OperationalError as e:
        if 'no such table' not in str(e):
            raise
        return 0
    finally:
        db.close()


def seen_in(folder):
    """The files that a reader of a folder sees."""
    found = []
    for base, dirs, names in os.walk(folder):
        dirs[:] = [d for d in dirs if not d.startswith(('.', '_'))]
        found += [os.path.join(base, n) for n in names if not n.startswith(('.', '_'))]
    return found


CODE = re.compile(r'\bE[1-9]\d{3}\b')


def wrong_end(code, out, err, killed=False):
    """Why a run did not end as one may, or None."""
    if killed and code in (-signal.SIGKILL, 137):
        return None
    if code == 124:
        return 'it hangs'
    if code < 0:
        return 'it ended by signal %d' % -code
    if code not in EXITS:
        return 'exit %d is none of INTERFACE' % code
    said = out + err
    if 'AddressSanitizer' in said or 'LeakSanitizer' in said or 'runtime error:' in said:
        return 'a sanitizer has found something'
    if code not in (0, 130, 143) and not CODE.search(said):   # who is asked to end before the run begins just ends
        return 'exit %d without an error code' % code
    bugs = [c for c in CODE.findall(said) if c.startswith('E9')]
    return 'it calls it a bug of its own: %s' % bugs[0] if bugs else None


def trial(t, b, what, act, killed=False, allowed=None, mend=None, clean=True):
    """One fault. act() starts the job under the fault and gives (exit, stdout, stderr). killed: the fault may
    end the process. allowed: the exit codes that are right for this fault,
    or a function (code, what was said). mend(): the cause goes away.
    Returns the exit code of the run under the fault."""
    if clean:
        b.clean()
    code, out, err = act()
    said = 'exit %s\n%s%s\n' % (code, err[-2500:], ''.join(l for l in out.splitlines(True) if '"error"' in l)[-1500:])
    why = wrong_end(code, out, err, killed)
    if not why and allowed is not None and not (killed and code in (-signal.SIGKILL, 137)):
        if not (allowed(code, out + err) if callable(allowed) else code in allowed):
            why = 'exit %s is none that is right here' % code
    if not why and code:
        why = b.halfway()
    if mend:
        mend()
    ended = None
    if code:
        last, more = b.to_the_end()
        said += more
        ended = last is None
        if not why and last:
            why = 'resume does not lead to the end: exit %s' % last
        why = why or ('resume: it calls it a bug of its own' if re.search(r'\bE9\d{3}\b', more) else None)
    why = why or b.whole() or b.left(ended)
    if os.environ.get('WH_TEST_SHOW'):
        print('%s: %s: exit %s %s' % (b.name, what, code, ' '.join(CODE.findall(out + err)[:1])))
    t.notes['faults'] += 1
    t.notes['exit %s' % code] += 1
    t.check(why is None, '%s: %s' % (b.name, what), '%s\n%s' % (why, said))
    return code


def seed_of(title):
    """WH_TEST_SEED; in the gate one that stands for the suite, so that it repeats itself; else a new one."""
    if 'WH_TEST_SEED' not in os.environ and os.environ.get('WH_TEST_TIER') == 'all':
        return zlib.crc32(title.encode())
    return harness.seed_of()


def chosen(rng, n, limit):
    """Which of the faults 1..n are tried: all of them in the soak, else about `limit`, evenly, from an
    offset by chance."""
    if SOAK or n <= limit:
        return list(range(1, n + 1))
    step = n / limit
    return sorted({min(n, int(rng.random() * step + i * step) + 1) for i in range(limit)})


def summary(t):
    """One line of what was tried and how it ended."""
    exits = ', '.join('%s: %d' % (k[5:], v) for k, v in sorted(t.notes.items()) if k.startswith('exit '))
    print('faults: %d; exits %s' % (t.notes['faults'], exits))


def main(title, jobs, words, workers=1, needs_server=True, **settings):
    """Runs jobs [(name, function(t, server, *args), args)] whose name holds one of the words."""
    t = harness.Tally(title, seed_of(title))
    server = None
    if needs_server:
        if not servers.binaries():
            t.skip('missing: postgresql-15')
            jobs = [j for j in jobs if 'pg' not in j[0]]
        else:
            server = servers.Postgres(**settings)
    try:
        wanted = [(n, f, (server, *a)) for n, f, a in jobs if not words or any(w in n for w in words)]
        harness.run_jobs(t, wanted, workers=workers)
    finally:
        if server:
            server.remove()
    summary(t)
    return t.finish()
