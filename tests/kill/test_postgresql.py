#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL -> PostgreSQL while one writer moves money between rows of the source and another one
deletes rows and puts them back: at every instant the sum of all balances and the set of ids are the
same. The engine is killed with -9 at named points of every phase and at random moments, stopped for
longer than every lock time and continued (zombies); the process that holds the snapshot is killed;
either server is crashed. Then `wherry resume`, and nothing else.

Judged by psql alone: this fails if a row is lost or doubled, if the sum is not that of one instant
though one instant is claimed, if `mixed` is said without a snapshot having been lost, or if anything
of ours is left behind. Controls (markers off; no snapshot; another snapshot put in place of the
run's own; a lost snapshot accepted) must go red, else the rest proves nothing.

    tests/kill/test_postgresql.py [WORD...]     only jobs whose name holds one of the words

The target has no unique key, but for upsert and where we make it. Depth: WH_TEST_KILLS (in all; every phase at least once), WH_TEST_PG_ROWS,
WH_TEST_SEED repeats a run, WH_TEST_KEEP keeps folders."""
import ctypes
import os
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

ROWS = harness.depth('WH_TEST_PG_ROWS', 100000)
KILLS = harness.depth('WH_TEST_KILLS', 5)
LONG = KILLS >= 20
SOAK = KILLS >= 50
BALANCE = 1000
# A dozen units, so that a run has many commits; a row takes about 85 bytes of its page.
UNIT = str(max(65536, ROWS * 85 // 12))
OLD = 100  # rows that are in the target before
# Where a process is stopped; a mode that does not pass a point skips it.
ZOMBIE_POINTS = ['claim-after', 'snapshot-taken', 'prepare-step-intended', 'lease-after', 'writer-opened', 'batch-written',
                 'seal-after', 'commit-before', 'commit-after', 'record-after', 'settle-step-intended', 'settle-step-applied',
                 'publish-step-intended', 'publish-step-applied', 'closing-recorded', 'run-close-after', 'closed-recorded']

WRITERS = """
create procedure move_money(pause double precision, most bigint) language plpgsql as $$
declare a bigint; b bigint; n bigint; k int;
begin
  loop
    a := 1 + floor(random() * most); b := 1 + floor(random() * most); n := 1 + floor(random() * 50);
    update account set balance = balance - n where id = a;
    get diagnostics k = row_count;
    if k = 1 then
      update account set balance = balance + n where id = b;
      get diagnostics k = row_count;
    end if;
    -- A row that is being put back cannot be paid.
    if k = 1 then commit; else rollback; end if;
    if pause > 0 then perform pg_sleep(pause); end if;
  end loop;
end $$;
create procedure put_back(pause double precision, most bigint) language plpgsql as $$
declare r account;
begin
  loop
    delete from account where id = 1 + (floor(random() * most))::bigint returning * into r;
    if found then insert into account values (r.*); end if;
    commit;
    if pause > 0 then perform pg_sleep(pause); end if;
  end loop;
end $$;
"""


class Source:
    """A server with the bank and two writers that never rest; they come back after a crash."""

    def __init__(self, folder):
        self.server = servers.Postgres(os.path.join(folder, 'source'), wal_level='minimal')
        self.server.sql("""create table account(id bigint primary key, balance bigint not null, note text) with (fillfactor = 95);
            insert into account select i, %d, 'note ' || i || ' ' || md5(i::text) from generate_series(1, %d) i;
            %s vacuum analyze account;""" % (BALANCE, ROWS, WRITERS))
        self.pause, self.running, self.writers, self.lock = 0.003, True, {}, threading.Lock()
        self.thread = threading.Thread(target=self.keep_writing, daemon=True)
        self.thread.start()

    def keep_writing(self):
        while self.running:
            with self.lock:
                for name in ('move_money', 'put_back'):
                    p = self.writers.get(name)
                    if self.pause is not None and (p is None or p.poll() is not None):
                        self.writers[name] = subprocess.Popen(
                            [*self.server.psql(), '-c', 'call %s(%g, %d)' % (name, self.pause, ROWS)],
                            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(0.2)

    def write(self, pause):
        """From here on with this pause between changes (None: nothing changes)."""
        with self.lock:
            self.pause = pause
            # A client that goes away does not end its call.
            self.server.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where query like 'call %'")
            for p in self.writers.values():
                p.kill()
                p.wait()
            self.writers = {}

    def close(self):
        self.running = False
        self.thread.join()
        for p in self.writers.values():
            p.kill()
            p.wait()
        self.server.remove()


# ---- modes ---------------------------------------------------------------------------------------


class Mode:
    """How a copy writes, what stands in the target before and must stand there afterwards."""
    flags, before, extra = (), 'create table t(id bigint, balance bigint, note text);', 0
    staged = keyed = False

    def __init__(self, name):
        self.name = name


class Append(Mode):
    flags = ('--mode', 'append')


class Create(Mode):
    """There is no table: it is made, with the source's key."""
    flags = ('--mode', 'append')
    before = ''
    keyed = True


class Overwrite(Mode):
    """Old rows, an index, a comment and a grant: the rows go at one instant, the rest stays."""
    flags = ('--mode', 'overwrite')
    staged = True
    before = """create table t(id bigint, balance bigint, note text);
        create index by_balance on t(balance);
        comment on table t is 'kept';
        grant select on t to reader;
        insert into t select -i, 7, 'old' from generate_series(1, %d) i;""" % OLD


class Upsert(Mode):
    """Half of the rows are there already with another balance, and some that the source lacks. By key
    needs a unique index."""
    flags = ('--mode', 'upsert', '--key', 'id')
    extra = OLD
    before = """create table t(id bigint, balance bigint, note text);
        insert into t select -i, 7, 'old' from generate_series(1, %d) i;
        insert into t select i * 2, 7, 'old' from generate_series(1, %d) i;
        create unique index by_id on t(id);""" % (OLD, ROWS // 2)


MODES = {'append': Append, 'new table': Create, 'overwrite': Overwrite, 'upsert': Upsert}


class Rig:
    """Two servers of their own and a place: one job."""

    def __init__(self, name, *flags):
        self.place = harness.Place('pg')
        self.place.env['WH_TEST_UNIT_BYTES'] = UNIT
        self.mode = MODES.get(name, Append)(name)
        self.name, self.flags, self.args = name, flags, None
        os.chmod(self.place.dir, 0o711)
        self.source, self.target = None, None
        try:
            self.source = Source(self.place.dir)
            # Commits that a crash may undo, for everybody who does not ask for more.
            self.target = servers.Postgres(self.place.path('target'), synchronous_commit='off', wal_writer_delay='10s')
            self.seconds = 1.0
            self.fresh()
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for pid in self.holders():
            os.kill(pid, signal.SIGKILL)
        if self.source:
            self.source.close()
        if self.target:
            self.target.remove()
        if os.environ.get('WH_TEST_KEEP'):
            print('kept: %s' % self.place.dir)
        else:
            self.place.remove()

    def fresh(self):
        """A new target, and nobody knows of a run."""
        for pid in self.holders():
            os.kill(pid, signal.SIGKILL)
        self.target.sql("""select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like 'wherry/%';
            set client_min_messages = warning;
            drop schema public cascade; create schema public; grant all on schema public to public;""" + self.mode.before)
        self.place.forget()
        self.args = ['copy', self.source.server.url('public.account', lock_timeout='1s'),
                     self.target.url('public.t', lock_timeout='1s'), '-j', '2', '--no-progress', *self.mode.flags, *self.flags]

    # ---- what is there ----

    def holders(self):
        """Processes of ours that hold a snapshot."""
        found = []
        for name in os.listdir('/proc'):
            if name.isdigit():
                try:
                    with open('/proc/%s/cmdline' % name, 'rb') as f:
                        words = f.read().split(b'\0')
                except OSError:
                    continue
                if len(words) > 3 and words[1] == b'hold' and self.place.dir.encode() in words[3]:
                    found.append(int(name))
        return found

    def committed(self):
        """Markers of units in the target, or 0 if there is no such table."""
        return int(self.target.sql('select count(*) from wherry_unit', check=False) or 0)

    def sessions(self):
        """Sessions of ours on both servers."""
        ask = "select count(*) from pg_stat_activity where application_name like 'wherry/%'"
        return int(self.source.server.sql(ask)) + int(self.target.sql(ask))

    def judge(self, instant=True, ended=False, state=True):
        """Why the target is not the source at one instant or something of ours is left; None if all
        is well. instant False: the sum may be of several (ids and notes may not)."""
        extra = self.mode.extra
        got = self.target.sql("""select count(*), count(distinct id), min(id), max(id), sum(balance),
            count(*) filter (where note is distinct from case when id < 0 then 'old' else 'note ' || id || ' ' || md5(id::text) end)
            from t""", check=False)
        if got is None:
            return 'no table t'
        n, ids, least, most, total, wrong = (int(x or 0) for x in got.split('|'))
        want = (ROWS + extra, ROWS + extra, -extra if extra else 1, ROWS)
        if (n, ids, least, most) != want:
            return '%d rows, %d ids from %d to %d: %d lost, %d doubled' % (
                n, ids, least, most, want[0] - ids, n - ids)
        if wrong:
            return '%d notes are not their own' % wrong
        if instant and total != ROWS * BALANCE + 7 * extra:
            return 'the sum is %+d off: not one instant' % (total - ROWS * BALANCE - 7 * extra)
        return self.kept() or (self.left(ended) if state else None)

    def kept(self):
        """What belongs to the table and must still be there."""
        if not isinstance(self.mode, Overwrite):
            return None
        got = self.target.sql("""select (select string_agg(indexname, ',') from pg_indexes where tablename = 't'),
            obj_description('t'::regclass), has_table_privilege('reader', 't', 'select')""")
        return None if got == 'by_balance|kept|t' else 'of index, comment and grant there is: ' + got

    def left(self, ended=False):
        tables = self.target.sql("""select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace
            where c.relkind in ('r', 'v', 'S') and n.nspname !~ '^pg_|^information' and c.relname not in
            ('t', 'wherry_run', 'wherry_unit', 'wherry_target') order by 1""")
        if tables:
            return 'left behind: ' + tables.replace('\n', ' ')
        for what, ask in (('markers', 'select count(*) from wherry_unit'), ('targets', 'select count(*) from wherry_target'),
                          ('open runs', "select count(*) from wherry_run where state::text <> 'closed'")):
            n = self.target.sql(ask, check=False)
            if n not in ('0', None):
                return '%s %s left behind' % (n, what)
        end = time.monotonic() + 5  # a holder that was told to go needs a moment
        while (self.holders() or self.sessions()) and time.monotonic() < end:
            time.sleep(0.05)
        if self.holders() or self.sessions():
            return '%d holders and %d sessions left behind' % (len(self.holders()), self.sessions())
        left = self.place.leftovers(ended)
        return 'state: %s' % left if left else None

    def old_or_new(self):
        """overwrite: all of the old rows or all of the new ones, at any time."""
        if not isinstance(self.mode, Overwrite):
            return None
        got = self.target.sql('select count(*), min(id), max(id) from t')
        return None if got in ('%d|-%d|-1' % (OLD, OLD), '%d|1|%d' % (ROWS, ROWS)) else 'it shows ' + got

    # ---- running ----

    def snapshot(self, event):
        """The words of the summary; of a run that had ended before, what the state recorded."""
        if event.get('snapshot'):
            return event['snapshot']
        db = sqlite3.connect('file:%s?mode=ro' % self.place.state('state.db'), uri=True, timeout=20)
        row = db.execute('select snapshot from run order by created_us desc limit 1').fetchone()
        db.close()
        return (row[0] if row else None) or ''

    def to_the_end(self, *flags, limit=8):
        """As an operator: resume until it has ended, or the command again if no run is known. The code
        (None: it had ended before), the last event, what was said."""
        said = ''
        for _ in range(limit):
            code, out, err = self.place.run('resume', '--json', *flags, timeout=600)
            said += 'resume: exit %d\n%s%s' % (code, err, ''.join(l for l in out.splitlines(True) if '"error"' in l))
            if code == 2 and 'no run is unfinished' in out + err:
                if '"done"' in self.place.run('history', '--json')[1]:
                    return None, {}, said
                code, out, err = self.place.run(*self.args, '--json', timeout=600)
                return code, harness.finished(out), said + 'again: exit %d\n%s' % (code, err)
            if code == 0 or code not in (5, 7, 10):
                break
            time.sleep(0.2)
        return code, harness.finished(out), said


def true_words(event):
    if (event.get('status'), event.get('rows_read'), event.get('rows_written')) != ('done', ROWS, ROWS):
        return 'it says %s, %s read, %s written' % (event.get('status'), event.get('rows_read'), event.get('rows_written'))
    return harness.unbalanced(event)


def verdict(t, rig, what, said, code=1, event=None, lost=False):
    """Brings a run to its end without help and judges it. code 0: it has ended already. lost: its
    snapshot may be gone; only then may more than one instant be said."""
    event = event or {}
    if code:
        code, event, more = rig.to_the_end()
        said += more
    if code == 1 and 'E7011' in said and lost and not rig.mode.staged:
        # An unstaged table of physical units does not go on by itself; it says what there is to do.
        t.check('--accept-mixed' in said and '--fresh' in said, what + ': the way out is named', said)
        t.notes['stopped, snapshot lost'] += 1
        code, event, more = rig.to_the_end('--accept-mixed')
        said += more
        words = rig.snapshot(event)
        if code in (1, 6) and rig.mode.keyed and 'duplicate key' in said:
            t.notes['mixed, refused by a key'] += 1  # a row that moved between the instants: said, not doubled
            code, _, err = rig.place.run('cancel', event.get('run', '?'), '--discard', '--yes')
            left = rig.left(ended=True)
            return t.check(code == 0 and left is None, what + ': given up', '%s %s\n%s%s' % (code, left, err, said))
        t.check(code in (0, None) and 'mixed' in words, what + ': mixed is said', 'exit %s, %s\n%s' % (code, words, said))
        t.notes['mixed'] += 1
        left = rig.left(ended=code is None)
        return t.check(left is None, what + ': nothing is left', '%s\n%s' % (left, said))
    why = None if code in (0, None) else 'exit %s' % code
    mixed = why is None and 'mixed' in rig.snapshot(event)
    if why is None and mixed and not lost:
        why = 'it says %s, and no snapshot was lost' % rig.snapshot(event)
    if why is None:
        why = rig.judge(instant=not mixed, ended=code is None) or (true_words(event) if code == 0 else None)
    t.notes['mixed' if mixed else 'one instant'] += 1
    return t.check(why is None, what, '%s\n%s' % (why, said))


def killed(t, rig, phase, what):
    t.kills[phase] += 1
    wrong = rig.old_or_new()
    t.check(wrong is None, '%s: what shows' % what, wrong)


def phase_at(rig, log):
    """The phase of the last point that a process passed."""
    phase_of, last = dict(harness.kill_points()), 'run-new'
    if os.path.exists(log):
        with open(log, encoding='ascii') as f:
            last = (f.read().split() or [last])[-1]
        os.unlink(log)
    return phase_of.get(last, 'prepare')


def kill_named(t, rig, phase_of, name, nth, again):
    rig.fresh()
    what = '%s: killed at %s:%d%s' % (rig.name, name, nth, ', then at ' + again if again else '')
    code, out, err = rig.place.run(*rig.args, '--json', WH_TEST_KILL='%s:%d' % (name, nth), timeout=600)
    said = 'first: exit %d\n%s' % (code, err)
    if code == -signal.SIGKILL:
        killed(t, rig, phase_of[name], what)
    elif not t.check(code == 0 and nth > 1, what + ': nobody was killed', said):
        return
    if code and again:
        code, out, err = rig.place.run('resume', '--json', WH_TEST_KILL=again, timeout=600)
        said += 'second: exit %d\n%s' % (code, err)
        if code == -signal.SIGKILL:
            killed(t, rig, phase_of[again.split(':')[0]], what)
    verdict(t, rig, what, said, code, harness.finished(out))


def kill_random(t, rig):
    """-9 at any moment, once or twice."""
    rig.fresh()
    log, said = rig.place.path('kill.log'), ''
    p, what = None, rig.name + ': killed'
    for attempt in range(1 + (t.rng.random() < 0.4)):
        after = t.rng.uniform(0.01, rig.seconds)
        what += ' after %.3f s' % after
        p = rig.place.start(*(rig.args if attempt == 0 else ['resume']), '--json', WH_TEST_KILL_LOG=log)
        harness.gone(p, after)
        p.kill()
        code, out, err = harness.finish(p)
        said += '%s: exit %d\n%s' % (what, code, err)
        phase = phase_at(rig, log)
        if code == -signal.SIGKILL:
            t.notes['random kills'] += 1
            killed(t, rig, phase, what)
        if code == 0:
            return verdict(t, rig, what, said, 0, harness.finished(out))
    return verdict(t, rig, what, said)


def zombie(t, rig, point, between):
    """Stopped for longer than any lock is waited for; somebody else goes on with the run; it wakes,
    after the other has ended, or in the middle of it."""
    rig.fresh()
    what = '%s: zombie at %s, wakes %s' % (rig.name, point or 'any moment', 'in between' if between else 'after the end')
    stop = {'WH_TEST_STOP': '%s:%d' % (point, t.rng.choice([1, 1, 2]))} if point else {}
    p = rig.place.start(*rig.args, **stop)
    if point:
        if not harness.wait_stopped(p, 120):
            harness.end(p)
            return False
    else:
        harness.gone(p, t.rng.uniform(0.05, rig.seconds))
        p.send_signal(signal.SIGSTOP)
        if not harness.wait_stopped(p, 5):
            harness.end(p)
            return False
    time.sleep(harness.STALE_MS / 1000 + 1.4)  # lock_timeout is 1 s
    said, second, code = '', None, 1
    if between:
        second = rig.place.start('resume', WH_TEST_STOP='%s:1' % t.rng.choice(
            ['claim-recorded', 'lease-after', 'commit-after', 'record-after', 'closing-before']))
        harness.wait_stopped(second, 120)
    else:
        code, out, err = rig.place.run('resume', '--json', timeout=600)
        said = 'beside it: exit %d\n%s%s' % (code, err, out if code else '')
        # It may have been stopped inside a transaction of the state, on this host: then it is named.
        t.check(code in (0, 5, 10) and (code == 0 or str(p.pid) in said) or 'no run is unfinished' in said,
                what + ': resume beside it', 'the zombie is %d\n%s' % (p.pid, said))
    p.send_signal(signal.SIGCONT)
    if second:
        harness.gone(p, 4)
        second.send_signal(signal.SIGCONT)
        code2, _, err = harness.finish(second, 300)
        said += 'second: exit %d\n%s' % (code2, err)
    ended, _, err = harness.finish(p, 300)
    said += 'zombie: exit %d\n%s' % (ended, err)
    t.check(ended in (0, 1, 2, 5, 10), what + ': it ends', said)
    t.notes['zombies'] += 1
    t.notes['zombie exit %d' % ended] += 1
    event = harness.finished(out) if not second and code == 0 else None
    if code == 2:
        code = 1
    verdict(t, rig, what, said, code, event)
    return True


def holder_killed(t, rig, alive):
    """The process that keeps the snapshot is gone: found at resume, or while the engine lives."""
    rig.fresh()
    what = '%s: holder killed, engine %s' % (rig.name, 'alive' if alive else 'dead')
    name, nth = ('lease-after', 2) if alive else t.rng.choice(
        [('snapshot-recorded', 1), ('record-after', 1), ('record-after', 4), ('commit-after', 3), ('published', 1)])
    p = rig.place.start(*rig.args, '--json', **{'WH_TEST_STOP' if alive else 'WH_TEST_KILL': '%s:%d' % (name, nth)})
    if alive:
        harness.wait_stopped(p, 120)
    else:
        harness.gone(p, 120)
    holders = rig.holders()
    for pid in holders:
        os.kill(pid, signal.SIGKILL)
    t.check(len(holders) == 1 or name == 'published', what + ': there was one', '%s at %s' % (holders, name))
    t.notes['holders killed'] += len(holders)
    if alive:
        p.send_signal(signal.SIGCONT)
    else:
        t.kills[dict(harness.kill_points())[name]] += p.returncode == -signal.SIGKILL
    code, out, err = harness.finish(p, 600)
    verdict(t, rig, '%s at %s:%d' % (what, name, nth), 'first: exit %d\n%s' % (code, err), code, harness.finished(out), lost=True)


def server_crashed(t, rig, which, alive):
    """-m immediate, in the middle of the run or between kill and resume."""
    rig.fresh()
    server = rig.source.server if which == 'source' else rig.target
    what = '%s: %s server crashed, engine %s' % (rig.name, which, 'alive' if alive else 'dead')
    name, nth = t.rng.choice([('record-after', 2), ('batch-written', 3), ('commit-before', 2), ('commit-after', 3),
                              ('publish-step-before', 1), ('closing-recorded', 1), ('snapshot-recorded', 1)])
    p = rig.place.start(*rig.args, '--json', **{'WH_TEST_STOP' if alive else 'WH_TEST_KILL': '%s:%d' % (name, nth)})
    if alive:
        harness.wait_stopped(p, 120)
        p.send_signal(signal.SIGCONT)
    else:
        harness.gone(p, 120)
        t.kills[dict(harness.kill_points())[name]] += p.returncode == -signal.SIGKILL
    server.restart(immediate=True, pause=t.rng.choice([0, 0.3]))
    t.notes['servers crashed'] += 1
    code, out, err = harness.finish(p, 600)
    verdict(t, rig, '%s at %s:%d' % (what, name, nth), 'first: exit %d\n%s' % (code, err), code, harness.finished(out),
            lost=which == 'source')


def trials(t, name, share):
    """All that can happen to one mode; share: its part of all kills."""
    points = harness.kill_points()
    with Rig(name) as rig:
        start = time.monotonic()
        seen = harness.reached(rig.place, rig.args, rig.place.path('points.log'))
        rig.seconds = time.monotonic() - start
        why = rig.judge()
        if not t.check(why is None, name + ': the undisturbed run', why):
            return
        t.notes.update({'reached ' + p: 1 for p in seen})
        n = max(1, round(KILLS * share))
        # Every phase at a named point (but in the soak: for two modes), then as many at any moment.
        most = len({ph for p, ph in points if seen[p]}) if SOAK or name == 'append' or (LONG and name == 'overwrite') else 3
        plan, phases = harness.spread(t.rng, seen, points, max(n, most))
        if len(plan) < len(phases):
            plan = t.rng.sample(harness.spread(t.rng, seen, points, len(phases))[0], most)
        t.notes.update({'phase ' + p: 1 for p in phases})
        names = [p for p, _, _ in plan]
        for point, _, nth in plan:
            again = '%s:%d' % (t.rng.choice(names), t.rng.randint(1, 3)) if t.rng.random() < 0.33 else None
            kill_named(t, rig, dict(points), point, nth, again)
        least = 2 if SOAK else 1
        for _ in range(max(least, n if SOAK or not LONG else n // 2)):
            kill_random(t, rig)
        zombies(t, rig, max(least, n // 2))
        for i in range(max(least, n // 4)):
            holder_killed(t, rig, alive=(i + t.rng.randint(0, 1)) % 2 == 1)
        for i in range(max(least, n // 3)):
            server_crashed(t, rig, ('target', 'source')[(i + (name in ('append', 'upsert'))) % 2], alive=t.rng.random() < 0.5)


def zombies(t, rig, n):
    points = ZOMBIE_POINTS + [None] * 3
    t.rng.shuffle(points)
    done = 0
    for i, point in enumerate(points):
        if done == n:
            break
        done += zombie(t, rig, point, between=i % 2 == 1)
    t.check(done >= min(n, 3), '%s: too few zombies' % rig.name, done)


def run_again(t):
    """A job file with a password in it, run again after a kill: it resumes; the state does not keep the
    password, the file has it. So does --fresh."""
    with Rig('new table') as rig:
        job = rig.place.path('job.yaml')
        with open(job, 'w', encoding='ascii') as f:
            f.write(''.join(['version: 1\nconnections:\n'] + [
                '  %s: { type: postgresql, host: 127.0.0.1, port: %d, user: postgres, database: postgres, password: secret }\n'
                % (name, server.port) for name, server in (('src', rig.source.server), ('dst', rig.target))] +
                ["streams:\n  - { from: 'src:public.account', to: 'dst:public.t' }\n"]))
        for flags in ((), ('--fresh', '--yes')):
            rig.fresh()
            code, _, err = rig.place.run('run', job, '-j', '2', WH_TEST_KILL='claim-recorded:1' if flags else 'commit-after:2')
            t.check(code == -signal.SIGKILL, 'run again: killed', '%s\n%s' % (code, err))
            kept = subprocess.run(['grep', '-rl', 'secret', rig.place.state()], stdout=subprocess.PIPE, check=False).stdout
            t.check(not kept, 'run again: the password is not kept', kept)
            code, out, err = rig.place.run('run', job, '-j', '2', *flags)
            why = rig.judge() if code == 0 else 'exit %s' % code
            t.check(why is None, 'run again %s' % ' '.join(flags), '%s\n%s%s' % (why, out, err))


# ---- controls --------------------------------------------------------------------------------------


def control_markers(t):
    """Markers off: a kill between commit and record must double rows."""
    with Rig('append', '--marker', 'off') as rig:
        code, _, err = rig.place.run(*rig.args, WH_TEST_KILL='commit-after:2', timeout=600)
        if not t.check(code == -signal.SIGKILL, 'control markers: killed', '%s\n%s' % (code, err)):
            return
        code, _, said = rig.to_the_end()
        why = rig.judge(state=False)
        t.check(code == 0 and why is not None and re.search(r' [1-9]\d* doubled', why), 'control without markers must go red',
                '%s, %s\n%s' % (code, why, said))
        print('control markers off: %s' % why)


def control_none(t):
    """Without any snapshot what arrives is of no instant."""
    with Rig('append', '--consistent', 'off') as rig:
        rig.source.write(0)
        words = []
        for _ in range(5):
            rig.fresh()
            p = rig.place.start(*rig.args, WH_TEST_STOP='record-after:2')
            harness.wait_stopped(p, 120)
            time.sleep(0.5)
            p.send_signal(signal.SIGCONT)
            code, _, err = harness.finish(p, 600)
            words.append('exit %s, %s' % (code, rig.judge(state=False)))
            if code == 0 and re.search('lost|doubled|instant', words[-1]):
                break
        t.check(re.search('lost|doubled|instant', words[-1]), 'control without snapshot must go red', words)
        print('control no snapshot: %s' % words[-1])


def hash64(text):
    """What the connector remembers of a snapshot's content."""
    lib = ctypes.CDLL('libxxhash.so.0')
    lib.XXH3_64bits_withSeed.restype = ctypes.c_uint64
    lib.XXH3_64bits_withSeed.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_uint64]
    return lib.XXH3_64bits_withSeed(text, len(text), 0)


def forge(rig, exporter, wholly):
    """The state's snapshot becomes the exporter's: its name alone, or all by which it is known again."""
    db = sqlite3.connect(rig.place.state('state.db'), timeout=20)
    (old,), = db.execute('select token from snapshot').fetchall()
    name, pid, start, content = exporter
    words = old.decode().split()
    words[0] = name
    if wholly:
        words[1:4] = [pid, start, '%016x' % hash64(content.encode())]
    db.execute('update snapshot set token = ?', (' '.join(words).encode(),))
    db.commit()
    db.close()


class Exporter:
    """A session of our own that exports a snapshot and keeps it."""

    def __init__(self, server):
        self.p = subprocess.Popen(server.psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.p.stdin.write(b"""begin isolation level repeatable read;
            select pg_export_snapshot(), pg_backend_pid(), (select (extract(epoch from backend_start) * 1000000)::bigint
            from pg_stat_activity where pid = pg_backend_pid()), pg_current_snapshot();\n""")
        self.p.stdin.flush()
        self.known = self.p.stdout.readline().strip().decode().split('|')

    def close(self):
        self.p.stdin.close()
        self.p.wait()


def control_entered(t):
    """The run's snapshot is not entered again, another one is in its place. Under its name alone that is
    noticed. When all by which it is known is forged, nobody can: then the judge must go red."""
    with Rig('append') as rig:
        words = []
        for wholly in (False, True, True, True, True, True):
            rig.source.write(0.001)
            rig.fresh()
            code, _, err = rig.place.run(*rig.args, WH_TEST_KILL='record-after:3', timeout=600)
            if not t.check(code == -signal.SIGKILL, 'control snapshot: killed', '%s\n%s' % (code, err)):
                return
            rig.source.write(0)
            time.sleep(0.7)
            other = Exporter(rig.source.server)
            try:
                forge(rig, other.known, wholly)
                code, event, said = rig.to_the_end()
            finally:
                other.close()
            if not wholly:
                t.check(code == 1 and 'E7011' in said, 'a snapshot that took the name of ours is noticed', '%s\n%s' % (code, said))
                continue
            words.append('exit %s, %s, %s' % (code, event.get('snapshot'), rig.judge(state=False)))
            if re.search('exit 0.*(lost|doubled|not one instant)', words[-1]):
                break
        t.check(re.search('exit 0, one instant.*(lost|doubled|not one instant)', words[-1]),
                'control of a snapshot not entered again must go red', words)
        print('control snapshot not entered: %s' % words[-1])


def control_accepted(t):
    """A lost snapshot that is accepted: `mixed` is said, and rightly so."""
    with Rig('append') as rig:
        words = []
        for _ in range(5):
            rig.source.write(0.001)
            rig.fresh()
            rig.place.run(*rig.args, WH_TEST_KILL='record-after:3', timeout=600)
            rig.source.write(0)
            time.sleep(0.7)
            for pid in rig.holders():
                os.kill(pid, signal.SIGKILL)
            code, event, said = rig.to_the_end('--accept-mixed')
            words.append('exit %s, %s, %s' % (code, event.get('snapshot'), rig.judge(state=False)))
            if re.search('exit 0, mixed.*(lost|doubled|not one instant)', words[-1]):
                break
        t.check(re.search('exit 0, mixed.*(lost|doubled|not one instant)', words[-1]), 'a mixed copy must be red', words)
        print('control mixed accepted: %s' % words[-1])


JOBS = [('kill append', trials, ('append', 0.4)), ('kill overwrite', trials, ('overwrite', 0.25)),
        ('kill upsert', trials, ('upsert', 0.2)), ('kill new table', trials, ('new table', 0.15)),
        ('run again', run_again, ()), ('control markers', control_markers, ()),
        ('control no snapshot', control_none, ()), ('control snapshot not entered', control_entered, ()),
        ('control mixed accepted', control_accepted, ())]


def main():
    t = harness.Tally('kill postgresql -> postgresql, %d rows' % ROWS, harness.seed_of())
    words = sys.argv[1:]
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed (postgresql-15)')
        return t.finish()
    harness.run_jobs(t, [j for j in JOBS if not words or any(w in j[0] for w in words)], workers=2)
    phases = [p for p in harness.PHASES if t.notes['phase ' + p]]
    print('kills by phase: ' + ', '.join('%s %d' % (p, t.kills[p]) for p in phases))
    print('%d kills, %d at random moments; %s' % (sum(t.kills.values()), t.notes['random kills'], ', '.join(
        '%s %d' % (k, n) for k, n in sorted(t.notes.items()) if not k.startswith(('reached', 'phase', 'random')))))
    if not words and LONG:
        for p in phases:
            t.check(t.kills[p] > 0, 'no kill fell into phase ' + p)
    if not words:
        outside = sum(t.kills[p] for p in ('prepare', 'settle', 'publish', 'close'))
        t.check(outside * 4 >= sum(t.kills.values()), 'a quarter of the kills outside move and commit', dict(t.kills))
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
