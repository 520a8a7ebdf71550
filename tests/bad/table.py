# SPDX-License-Identifier: Apache-2.0
"""One row of the table of bad input, and what is checked of every row.

A row is a call of `bad(...)`; README.md says how to add one. Whatever its subject, of each row is checked
that the program ends with its exit code; that the message holds the error code, every word of `say`
(what, where, why), and below it a line that says what next; that nothing in it drives a terminal, and
that it is short; that no file appears but those of `left`; that what readers see is what `shows` says;
that a run is held open exactly if the exit code is one to be resumed, and that the message then names
`wherry resume`; and, where `mend` says how the cause is taken away, that the way out which the message
names leads to `whole`: every row once."""
import os
import re
import resource
import shlex
import signal
import sqlite3
import subprocess
import time

import harness

# INTERFACE section 6: resumable are all but these. 141 (a closed pipe) has nothing to go on with.
NOT_RESUMED = (0, 2, 3, 4, 8, 141)
LONGEST = 12000         # bytes of a message, whatever the input was
MINE = ('home',)        # of the place, no part of the user's folder
# Debian's root may read everything; without these it is anybody.
NO_ROOT = ['setpriv', '--bounding-set=-dac_override,-dac_read_search', '--']

ROWS = []


class Row:
    """See `bad`."""

    def __init__(self, name, command, exit_code, code, say, **more):
        self.name, self.command, self.exit, self.code, self.say = name, command, exit_code, code, say
        self.files = more.pop('files', {})       # name: text, bytes; a name that ends with / is a folder
        self.make = more.pop('make', None)       # function(world): what `files` cannot say
        self.act = more.pop('act', None)         # function(world) -> (exit, out, err), instead of the command alone
        self.env = more.pop('env', {})
        self.out = more.pop('out', None)         # where stdout goes
        self.stdin = more.pop('stdin', None)     # bytes
        self.file_size = more.pop('file_size', None)   # RLIMIT_FSIZE
        self.files_open = more.pop('files_open', None)  # RLIMIT_NOFILE
        self.no_root = more.pop('no_root', False)
        self.seconds = more.pop('seconds', 20)   # it must end within
        self.peak_mb = more.pop('peak_mb', None)  # most memory that it may have had
        self.left = more.pop('left', ())         # names that may be new in the folder
        self.shows = more.pop('shows', {})       # 'out.db#t': rows; None: it is not there. See World.count
        self.open = more.pop('open', None)       # whether a run stays open; by default what the exit code says
        self.hint = more.pop('hint', True)       # False only where nothing can be done next
        self.mend = more.pop('mend', None)       # function(world): the cause is gone
        self.way = more.pop('way', None)         # the command then; by default `resume`, or the same again
        self.whole = more.pop('whole', None)     # as shows, afterwards
        self.needs = more.pop('needs', ())       # 'root', 'pg', 'faketime', programs
        self.slow = more.pop('slow', False)      # only in --all
        self.never = more.pop('never', ())       # words that must not be said
        assert not more, '%s: unknown %s' % (name, more)


def bad(name, command, exit_code, code, *say, **more):
    """One row. command: words as for sh, with $DIR (the folder) and $PG (a server's URL up to the table).
    code: the error code, None for none. say: words that the message must hold."""
    assert name not in [r.name for r in ROWS], name
    ROWS.append(Row(name, command, exit_code, code, say, **more))


class World:
    """Where one row lives: a folder, a state, perhaps a database of its own."""

    def __init__(self, row, pg=None):
        self.row, self.pg, self.database = row, pg, None
        self.place = harness.Place('bad')
        self.path = self.place.path
        self.undo = []      # functions, called at the end
        self.peak = 0       # bytes
        if 'pg' in row.needs:
            self.database = pg.database('b%d' % (time.monotonic_ns() % 10 ** 12))
        for name, what in row.files.items():
            path = self.path(name)
            os.makedirs(os.path.dirname(path) if not name.endswith('/') else path, exist_ok=True)
            if not name.endswith('/'):
                with open(path, 'wb') as f:
                    f.write(what if isinstance(what, bytes) else what.encode())
        if row.make:
            row.make(self)

    def remove(self):
        for f in reversed(self.undo):
            f()
        self.place.remove()
        if self.database:
            self.pg.sql('drop database if exists %s with (force)' % self.database)

    def words(self, text):
        if not isinstance(text, str):
            return list(text)
        words = shlex.split(text)
        there = {'$DIR': self.place.dir, '$PG': self.pg.url(database=self.database) if self.database else '$PG'}
        for key, value in there.items():
            words = [w.replace(key, value) for w in words]
        return words

    def sql(self, text):
        return self.pg.sql(text, database=self.database)

    def lower(self):
        """Runs in the child, between fork and exec. Who runs the tests may ignore SIGHUP (nohup)."""
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        if self.row.file_size is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.row.file_size, self.row.file_size))
        if self.row.files_open is not None:
            resource.setrlimit(resource.RLIMIT_NOFILE, (self.row.files_open, self.row.files_open))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def start(self, command=None, plain=False, **env):
        """The command; plain: without the row's limits, environment and redirections."""
        row = self.row
        words = [harness.program()] + self.words(command if command is not None else row.command)
        out = open(row.out, 'wb') if row.out and not plain else subprocess.PIPE
        p = subprocess.Popen((NO_ROOT if row.no_root and os.getuid() == 0 and not plain else []) + words,
                             cwd=self.place.dir, env={**self.place.env, **({} if plain else row.env), **env},
                             stdin=subprocess.PIPE if row.stdin is not None and not plain else subprocess.DEVNULL,
                             stdout=out, stderr=subprocess.PIPE, preexec_fn=None if plain else self.lower)
        if out is not subprocess.PIPE:
            out.close()
        return p

    def run(self, command=None, plain=False, **env):
        p = self.start(command, plain, **env)
        if p.stdin:
            try:
                p.stdin.write(self.row.stdin)
                p.stdin.close()
            except OSError:
                pass
            p.stdin = None
        return self.finish(p)

    def finish(self, p):
        """Its end, and its peak: read before the process is collected."""
        if self.row.peak_mb:
            os.waitid(os.P_PID, p.pid, os.WEXITED | os.WNOWAIT) if self.wait(p) else None
        return harness.finish(p, self.row.seconds) if p.stdout else self.finish_err(p)

    def finish_err(self, p):
        try:
            _, err = p.communicate(timeout=self.row.seconds)
        except subprocess.TimeoutExpired:
            p.kill()
            _, err = p.communicate()
            return 124, '', err.decode('utf-8', 'replace') + '\n(test: no end within %d s)' % self.row.seconds
        return p.returncode, '', err.decode('utf-8', 'replace')

    def wait(self, p):
        """Watches VmHWM until the process ends; False if it does not."""
        end = time.monotonic() + self.row.seconds
        while time.monotonic() < end:
            try:
                with open('/proc/%d/status' % p.pid, encoding='ascii', errors='replace') as f:
                    found = re.search(r'VmHWM:\s+(\d+) kB', f.read())
            except OSError:
                found = None
            if not found:
                return True
            self.peak = max(self.peak, int(found.group(1)) << 10)
            time.sleep(0.005)
        return False

    # ---- what is there ----

    def count(self, what):
        """Rows of 'FILE.db#TABLE', of a CSV file (without its header), of 'pg#TABLE'; entries of a 'FOLDER/';
        bytes of any other file. None: it is not there."""
        name, _, table = what.partition('#')
        if name == 'pg':
            have = self.sql("select count(*) from pg_class where oid = to_regclass('%s')" % table)
            return int(self.sql('select count(*) from %s' % table)) if have == '1' else None
        path = self.path(name)
        if name.endswith('/'):
            return len(os.listdir(path)) if os.path.isdir(path) else None
        if not os.path.lexists(path):
            return None
        if table:
            db = sqlite3.connect('file:%s?mode=ro' % path.replace('?', '%3f').replace('#', '%23'), uri=True, timeout=10)
            try:
                if not db.execute('select 1 from sqlite_schema where name = ?', (table,)).fetchone():
                    return None
                n, once = db.execute('select count(*), (select count(*) from (select distinct * from %s)) from %s' %
                                     ((quoted(table),) * 2)).fetchone()
                return n if n == once else '%d rows, %d of them once' % (n, once)
            finally:
                db.close()
        if not name.endswith('.csv'):
            return os.path.getsize(path)
        with open(path, 'rb') as f:
            lines = f.read().splitlines()[1:]
        return len(lines) if len(lines) == len(set(lines)) else '%d rows, %d of them once' % (len(lines), len(set(lines)))

    def tree(self):
        found = set()
        for base, dirs, names in os.walk(self.place.dir):
            if base == self.place.dir:
                dirs[:] = [d for d in dirs if d not in MINE]
            for n in names + dirs:
                found.add(os.path.relpath(os.path.join(base, n), self.place.dir))
        return found

    def strays(self, before):
        """What is new in the folder and not in `left`."""
        def known(name):
            # What a run that can be resumed keeps beside its target, under a name of its own.
            staged = self.open_runs() and any(part.startswith('.wherry-') for part in name.split('/'))
            return staged or any(name == k or name.startswith(k + '/') for k in self.row.left)
        return sorted(n for n in self.tree() - before if not known(n))

    def open_runs(self):
        path = self.place.state('state.db')
        if not os.path.isfile(path):
            return 0
        try:
            db = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=10)
            n = db.execute('select count(*) from run where finished = 0').fetchone()[0]
            db.close()
        except sqlite3.Error:
            return 0
        return n


def wrong_message(row, err):
    """Why a message is not one that INTERFACE section 6 asks for, or None."""
    for word in (row.code,) if row.code else ():
        if word not in err:
            return 'no %s' % word
    for word in row.say:
        if word not in err:
            return 'does not say "%s"' % word
    for word in row.never:
        if word in err:
            return 'says "%s"' % word
    if re.search('[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]', err):
        return 'holds control characters'
    if len(err) > LONGEST:
        return 'is %d bytes long' % len(err)
    if row.exit == 0 or row.code is None or not row.hint:
        return None
    lines = err.splitlines()
    at = max(i for i, line in enumerate(lines) if row.code in line and 'wherry explain' not in line)
    below = [line for line in lines[at + 1:at + 4] if line.startswith('  ') and 'wherry explain' not in line]
    return None if below else 'does not say what next'


def check(t, row, pg=None, show=False):
    world = World(row, pg)
    try:
        before = world.tree()
        code, out, err = row.act(world) if row.act else world.run()
        if show:
            print('---- %s\n%s\n%s[exit %d]' % (row.name, row.command if isinstance(row.command, str) else '', err, code))
        whole = '%s\nexit %d\n%s%s' % (row.command if isinstance(row.command, str) and len(row.command) < 2000 else '', code,
                                       err[:3000], out[:500])
        t.check(code == row.exit, '%s: exit %d' % (row.name, row.exit), whole)
        why = wrong_message(row, err)
        t.check(why is None, '%s: its message' % row.name, '%s\n%s' % (why, whole))
        if row.peak_mb:
            t.check(world.peak < row.peak_mb << 20, '%s: memory' % row.name, '%d MB' % (world.peak >> 20))
        strays = world.strays(before)
        t.check(not strays, '%s: nothing is left lying about' % row.name, '%s\n%s' % (strays[:20], whole))
        for what, want in row.shows.items():
            have = world.count(what)
            t.check(have == want, '%s: %s shows %s' % (row.name, what, want), '%s\n%s' % (have, whole))
        is_open = world.open_runs() > 0
        want = row.exit not in NOT_RESUMED if row.open is None else row.open
        t.check(is_open == want and (not want or 'wherry resume' in err or row.exit in (10, -9)),
                '%s: %s' % (row.name, 'can be resumed, and says so' if want else 'no run stays open'), whole)
        if row.whole is not None:
            mended(t, row, world, want)
    finally:
        world.remove()


def mended(t, row, world, is_open):
    """The cause is gone: what the message names leads to the end."""
    if row.mend:
        row.mend(world)
    command = row.way or ('resume' if is_open else row.command)
    code, out, err = world.run(command, plain=True)
    t.check(code == 0, '%s: then %s' % (row.name, command if isinstance(command, str) else 'the same again'),
            'exit %d\n%s%s' % (code, err[:3000], out[:500]))
    for what, want in row.whole.items():
        have = world.count(what)
        t.check(have == want, '%s: afterwards %s holds %s' % (row.name, what, want), '%s\n%s' % (have, err))
    left = [x for x in world.place.leftovers() if not x.startswith('dirty/')]
    t.check(not left, '%s: afterwards the state is empty' % row.name, left)


def ends(p, seconds=10):
    """The seconds that a process still lived; more than `seconds` is for ever."""
    start = time.monotonic()
    harness.gone(p, seconds)
    return time.monotonic() - start


def signalled(number):
    return 128 + number if number != signal.SIGKILL else -9


def quoted(name):
    return '"%s"' % name.replace('"', '""')
