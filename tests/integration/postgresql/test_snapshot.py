#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The run's snapshot of PostgreSQL: one instant while others write, its holder, its death.

A writer moves money between rows, deletes rows and inserts them anew, all the time. Fails if what was
copied is not one instant where the summary says so, if it is not said where it is mixed, if a resume
after the holder's or the server's death does anything but what was promised (INTERFACE 5), if another
session's snapshot is taken for ours, or if the holder outlives its run."""
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

ROWS = harness.depth('WH_TEST_KILL_ROWS', 50000)
TOTAL = ROWS * 1000
UNIT = '131072'
ARGS = ('-j', '2', '--no-progress', '--json')


class Writer(threading.Thread):
    """Moves money, and deletes and inserts rows anew, until stopped. Every commit keeps the sum of the
    balances, the number of rows and their ids."""

    def __init__(self, pg, seed):
        threading.Thread.__init__(self, daemon=True)
        self.pg, self.seed, self.stop_it = pg, seed, threading.Event()

    def run(self):
        n = self.seed
        while not self.stop_it.is_set():
            n += 1
            a, b = n * 7919 % ROWS + 1, n * 104729 % ROWS + 1
            if a == b:
                continue
            self.pg.sql('begin; update account set balance = balance - 5 where id = %d; '
                        'update account set balance = balance + 5 where id = %d; commit;' % (a, b) * 20 +
                        'begin; create temp table m on commit drop as select * from account where id between %d and %d; '
                        'delete from account where id in (select id from m); insert into account select * from m; commit;'
                        % (a, a + 50), check=False)

    def end(self):
        self.stop_it.set()
        self.join(60)


def judge_sqlite(path):
    db = sqlite3.connect(path)
    try:
        return db.execute('select count(*), count(distinct id), sum(balance) from account').fetchone()
    finally:
        db.close()


def judge_csv(path):
    with open(path, encoding='ascii') as f:
        rows = [line.split(',') for line in f.read().splitlines()[1:]]
    return len(rows), len({r[0] for r in rows}), sum(int(r[1]) for r in rows)


def make(pg):
    pg.sql('drop table if exists account; create table account (id int primary key, balance bigint, pad text)')
    pg.sql("insert into account select g, 1000, repeat('p', 20) from generate_series(1, %d) g" % ROWS)


def start(place, pg, target, *more, **env):
    return place.start('copy', pg.url('account'), target, *ARGS, *more, WH_TEST_UNIT_BYTES=UNIT, **env)


def holder(pg):
    return [int(pid) for pid, name, _ in pg.sessions() if '/hold' in name]


def last_run(place):
    return json.loads(place.run('history', '--json')[1].splitlines()[0])['run']


def no_holder(pg, seconds=5):
    end = time.time() + seconds
    while holder(pg) and time.time() < end:
        time.sleep(0.05)
    return not holder(pg)


def table_of(end):
    return end.get('tables', [{}])[0]


def one_instant(t, what, got, end):
    t.check(got == (ROWS, ROWS, TOTAL), what + ': rows, ids, sum', '%s, expected %s' % (got, (ROWS, ROWS, TOTAL)))
    t.check(table_of(end).get('snapshot') == 'one instant', what + ': said to be one instant', table_of(end))


def undisturbed(t, pg, place):
    code, out, err = harness.finish(start(place, pg, 'out.csv'))
    t.check(code == 0, 'a busy table is copied', err)
    one_instant(t, 'undisturbed', judge_csv(place.path('out.csv')), harness.finished(out))
    t.check(no_holder(pg), 'the holder is gone at the end', pg.sessions())
    t.check(not place.leftovers(), 'nothing is left', place.leftovers())


def control(t, pg, place):
    """Without a snapshot the writer must be seen, else these tests see nothing."""
    seen = False
    for i in range(25):  # a busy machine may give the writer no turn
        code, _, err = harness.finish(start(place, pg, 'control%d.csv' % i, '--consistent', 'off'))
        if not t.check(code == 0, 'copied without a snapshot', err):
            return
        seen = seen or judge_csv(place.path('control%d.csv' % i)) != (ROWS, ROWS, TOTAL)
        if seen:
            break
    t.check(seen, 'the control is red: without a snapshot the writer is seen')


def killed(t, pg, place, target, judge, point, name):
    """kill -9 of the engine; its holder lives, and the rest is read at the same instant."""
    p = start(place, pg, target, WH_TEST_KILL=point)
    code, _, _ = harness.finish(p)
    t.check(code == -9, '%s: killed at %s' % (name, point), code)
    t.check(len(holder(pg)) == (0 if point.startswith('snapshot-released') else 1), name + ': the holder outlives the engine',
            pg.sessions())
    code, out, err = place.run('status')
    t.check(point.startswith(('snapshot-released', 'snapshot-taken')) or ('pins xmin' in out and 'held by process' in out and ', age ' in out),
            name + ': status tells the snapshot, its age and its holder', out)
    time.sleep(0.3)  # the writer goes on
    code, out, err = place.run('resume', '--json', WH_TEST_UNIT_BYTES=UNIT)
    t.check(code == 0, name + ': resumed', err + out[-1500:])
    one_instant(t, name, judge(place.path(target.split('#')[0].split(':')[-1])), harness.finished(out))
    t.check(no_holder(pg), name + ': the holder is gone at the end', pg.sessions())


def kill_holder(t, pg, place, how):
    if how == 'server':
        pg.restart(immediate=True)
    elif how == 'backend':
        t.check(pg.sql("select count(pg_terminate_backend(pid)) from pg_stat_activity where application_name like '%/hold%'") == '1',
                'the holder had a session')
    else:
        run = last_run(place).split('-')[-1]
        for name in os.listdir(place.state('holders')):
            if name.startswith(run):
                with open(place.state('holders', name), encoding='ascii') as f:
                    os.kill(int(f.read()), signal.SIGKILL)
    t.check(no_holder(pg), 'the holder is dead', pg.sessions())


def staged_again(t, pg, place, how):
    """A staged table (a file is published at the end) starts again, by itself, at a new instant."""
    name = 'staged, %s dies' % how
    place.forget()
    code, _, _ = harness.finish(start(place, pg, 'staged.csv', WH_TEST_KILL='record-after:3'))
    t.check(code == -9, name + ': killed', code)
    kill_holder(t, pg, place, how)
    code, out, err = place.run('resume', '--json', WH_TEST_UNIT_BYTES=UNIT)
    t.check(code == 0, name + ': resumed', err + out[-1500:])
    t.check('starts again' in out, name + ': said', out[-1500:])
    one_instant(t, name, judge_csv(place.path('staged.csv')), harness.finished(out))
    t.check(no_holder(pg), name + ': no holder is left', pg.sessions())
    os.unlink(place.path('staged.csv'))


def unstaged_stops(t, pg, place, how):
    """Committed units of an append cannot be taken back: stop, name both ways out; then mixed, and said."""
    name = 'unstaged, %s dies' % how
    place.forget()
    target = 'mixed-%s.db' % how
    db = sqlite3.connect(place.path(target))  # no key: a row that moved meanwhile may be there twice
    db.execute('create table account (id int, balance int, pad text)')
    db.close()
    code, _, _ = harness.finish(start(place, pg, 'sqlite:%s#account' % target, WH_TEST_KILL='record-after:3'))
    t.check(code == -9, name + ': killed', code)
    kill_holder(t, pg, place, how)
    before = judge_sqlite(place.path(target))
    code, out, err = place.run('resume', WH_TEST_UNIT_BYTES=UNIT)
    t.check(code == 1 and '--accept-mixed' in out + err and '--fresh' in out + err, name + ': stops and names both ways',
            '%d\n%s%s' % (code, out, err))
    t.check(judge_sqlite(place.path(target)) == before and before[0] > 0, name + ': nothing was written')
    code, out, err = place.run('resume', '--accept-mixed', '--json', WH_TEST_UNIT_BYTES=UNIT)
    end = harness.finished(out)
    t.check(code == 0 and table_of(end).get('snapshot') == 'mixed (2 instants)' and end.get('snapshot') == 'mixed (2 instants)',
            name + ': goes on when told, and says mixed', err + out[-1500:])
    t.check(no_holder(pg), name + ': no holder is left', pg.sessions())


def export(p):
    """A snapshot of a psql session's new transaction: its name."""
    p.stdin.write(b'begin isolation level repeatable read; select pg_export_snapshot();\n')
    return p.stdout.readline().decode().strip()


def name_again(t, pg, place):
    """After a restart somebody else's snapshot gets our snapshot's name: it must not be entered."""
    place.forget()
    code, _, _ = harness.finish(start(place, pg, 'again.csv', WH_TEST_KILL='record-after:3'))
    db = sqlite3.connect(place.state('state.db'))
    ours = db.execute('select token from snapshot').fetchone()[0].decode().split()[0]
    db.close()
    kill_holder(t, pg, place, 'server')
    twins, name = [], ''
    for _ in range(30):  # the first number is the session's place, the second counts its transactions
        p = subprocess.Popen(pg.psql(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        twins.append(p)
        name = export(p)
        while name[:9] == ours[:9] and name < ours:
            p.stdin.write(b'rollback;\n')
            name = export(p)
        if name == ours:
            break
    if name == ours:
        code, out, err = place.run('resume', '--json', WH_TEST_UNIT_BYTES=UNIT)
        t.check(code == 0 and 'starts again' in out, 'another snapshot of the same name is not entered', err + out[-1500:])
        one_instant(t, 'another snapshot of the same name', judge_csv(place.path('again.csv')), harness.finished(out))
    else:
        t.skip('the name %s did not come again (%s)' % (ours, name))
        place.run('cancel', last_run(place), '--discard', '--yes')
    for p in twins:
        p.stdin.close()
        p.wait(20)


def locks(t, pg, place):
    """While the snapshot is held nobody may empty or rewrite the table; the plan tells the number of locks."""
    place.forget()
    code, out, err = place.run('plan', pg.url('account'), 'x.csv')
    t.check('; 1 lock in the source' in out + err, 'the plan tells the locks', out + err)
    p = start(place, pg, 'locked.csv', WH_TEST_STOP='snapshot-recorded:1')
    t.check(harness.wait_stopped(p, 20), 'stopped with a snapshot')
    said = pg.sql("set lock_timeout = '200ms'; truncate account", check=False)
    t.check(said is None and pg.sql('select count(*) from account') == str(ROWS), 'no truncate meanwhile')
    p.send_signal(signal.SIGCONT)
    code, out, err = harness.finish(p)
    t.check(code == 0, 'went on', err)
    one_instant(t, 'stopped and continued', judge_csv(place.path('locked.csv')), harness.finished(out))
    t.check(pg.sql("set lock_timeout = '5s'; begin; truncate account; rollback; select 1") == '1', 'the lock is gone')


def stop_and_go(t, pg, place):
    """SIGTERM cuts units behind a batch; the rest is read at the same instant, no row twice."""
    for i, point in enumerate(('first-batch:2', 'batch-written:2', 'batch-written:4')):
        place.forget()
        target = 'stop%d.db' % i
        p = place.start('copy', pg.url('account'), 'sqlite:%s#account' % target, *ARGS, WH_TEST_STOP=point,
                        WH_TEST_UNIT_BYTES='1000000')
        stopped = harness.wait_stopped(p, 20)
        if stopped:
            p.send_signal(signal.SIGTERM)
            p.send_signal(signal.SIGCONT)
        code, out, err = harness.finish(p)
        if not stopped:
            t.skip('so few rows that %s was not reached' % point)
            continue
        t.check(code == 143, 'stopped at ' + point, '%d\n%s' % (code, err))
        code, out, err = place.run('resume', '--json', WH_TEST_UNIT_BYTES='1000000')
        t.check(code == 0, 'resumed after ' + point, err + out[-1500:])
        one_instant(t, 'cut at ' + point, judge_sqlite(place.path(target)), harness.finished(out))


def main():
    t = harness.Tally('postgresql snapshot', harness.seed_of())
    with servers.Postgres() as pg:
        place = harness.Place('pg-snapshot')
        writer = None
        try:
            make(pg)
            writer = Writer(pg, t.seed % 1000)
            writer.start()
            undisturbed(t, pg, place)
            control(t, pg, place)
            for i, point in enumerate(('snapshot-taken:1', 'snapshot-recorded:1', 'reader-opened:2', 'commit-after:2', 'record-after:3')):
                killed(t, pg, place, 'sqlite:kill%d.db#account' % i, judge_sqlite, point, 'append killed at ' + point)
            for i, point in enumerate(('first-batch:3', 'record-after:4', 'snapshot-released:1')):
                killed(t, pg, place, 'kill%d.csv' % i, judge_csv, point, 'file killed at ' + point)
            for how in ('process', 'backend', 'server'):
                staged_again(t, pg, place, how)
                unstaged_stops(t, pg, place, how)
            stop_and_go(t, pg, place)
            writer.end()
            name_again(t, pg, place)
            locks(t, pg, place)
            t.check(not pg.sessions(), 'no session is left', pg.sessions())
        finally:
            if writer:
                writer.end()
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
