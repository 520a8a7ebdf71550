#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every write mode into SQLite and PostgreSQL while the engine is killed with -9 at named points of all phases,
some of the resumes too; then `wherry resume` and nothing else. The target holds rows of keys that come again, rows
of keys that do not, and a column that is not mapped.

    tests/kill/test_modes.py [WORD...]     only jobs whose name holds one of the words

Judged by sqlite3 and psql: red when a row is lost, doubled, old where it must be new or new where it must be old, when
a column that is not mapped is not what the mode says, when half of what must show at one instant can be seen, or when
anything of ours is left. Depth: WH_TEST_KILLS; WH_TEST_SEED repeats a run."""
import csv
import os
import re
import signal
import sqlite3
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

ROWS = 2000
KILLS = max(6, min(40, harness.depth('WH_TEST_KILLS', 5)))   # every phase once
UNIT = '8192'   # about five units
NEW = {i: ('new %d %s' % (i, 'x' * 10), None) for i in range(1, ROWS + 1)}
OLD = {i: ('old', 'keep') for i in [*range(-5, 0), *range(2, ROWS + 1, 2)]}
ALONE = {i: r for i, r in OLD.items() if i < 0}   # keys that do not come again
CREATE = 'create table t(id bigint primary key, a text, b text)'


def mapped():
    """Only the mapped column of rows that were there changes."""
    return {i: (r[0], OLD[i][1] if i in OLD else None) for i, r in NEW.items()}


# name: flags, rows before, rows at the end, whether all shows at one instant
MODES = {
    'append': (['--mode', 'append'], ALONE, {**ALONE, **NEW}, False),
    'append, marker': (['--mode', 'append', '--marker', 'm_units'], ALONE, {**ALONE, **NEW}, False),
    'append, table': (['--mode', 'append', '--atomic', 'table'], ALONE, {**ALONE, **NEW}, True),
    'truncate': (['--mode', 'truncate'], OLD, NEW, False),
    'overwrite': (['--mode', 'overwrite'], OLD, NEW, True),
    'upsert': (['--mode', 'upsert'], OLD, {**ALONE, **mapped()}, False),
    'upsert, table': (['--mode', 'upsert', '--atomic', 'table'], OLD, {**ALONE, **mapped()}, True),
    'replace': (['--mode', 'replace'], OLD, {**ALONE, **NEW}, False),
    'update': (['--mode', 'update'], OLD, {**OLD, **{i: r for i, r in mapped().items() if i in OLD}}, False),
    'insert-ignore': (['--mode', 'insert-ignore'], OLD, {**NEW, **OLD}, False),
    'delete-insert': (['--mode', 'delete-insert', '--replace-where', 'id > 0'], OLD, {**ALONE, **NEW}, True),
    'delete-insert, keys': (['--mode', 'delete-insert', '--replace-keys'], OLD, {**ALONE, **NEW}, True),
}


class Rig:
    """One mode into one destination, in a place of its own."""

    def __init__(self, mode, server):
        self.flags, self.old, self.want, self.at_once = MODES[mode]
        self.server, self.place = server, harness.Place('modes')
        self.place.env['WH_TEST_UNIT_BYTES'] = UNIT
        self.source, self.file = self.place.path('s.csv'), self.place.path('t.db')
        self.database = 'm' + re.sub(r'\W', '_', os.path.basename(self.place.dir)).lower()
        with open(self.source, 'w', newline='', encoding='ascii') as f:
            csv.writer(f).writerows([('id', 'a')] + [(i, r[0]) for i, r in NEW.items()])
        if server:
            server.sql('create database ' + self.database)
        to = server.url('t', self.database, lock_timeout='2s') if server else 'sqlite:%s?lock_timeout=2s#t' % self.file
        self.args = ['copy', self.source, to, *self.flags, '-j', '2', '--no-progress']

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.remove()
        if self.server:
            self.server.sql('drop database if exists %s with (force)' % self.database)

    def fresh(self):
        """The old rows, and nobody knows of a run."""
        self.place.forget()
        if self.server:
            lines = ''.join('%d\t%s\t%s\n' % (i, *r) for i, r in self.old.items())
            self.server.sql('set client_min_messages = warning; drop schema public cascade; create schema public; %s;\n'
                            'copy t from stdin;\n%s\\.\n' % (CREATE, lines), self.database)
            return
        if os.path.exists(self.file):
            os.remove(self.file)
        db = sqlite3.connect(self.file)
        db.execute(CREATE)
        db.executemany('insert into t values(?, ?, ?)', [(i, *r) for i, r in self.old.items()])
        db.commit()
        db.close()

    def ask(self, sql):
        """Rows, as texts or None."""
        if self.server:
            text = self.server.sql('copy (%s) to stdout' % sql, self.database)
            return [tuple(None if v == '\\N' else v for v in line.split('\t')) for line in text.splitlines()]
        db = sqlite3.connect(self.file, timeout=20)   # rolls back what a killed process left, as any reader
        try:
            return [tuple(None if v is None else str(v) for v in r) for r in db.execute(sql)]
        finally:
            db.close()

    def rows(self):
        got = self.ask('select id, a, b from t')
        found = {int(i): (a, b) for i, a, b in got}
        return found if len(found) == len(got) else 'doubled keys'

    def wrong(self):
        """Why the target is not what it must be at the end, or None."""
        got = self.rows()
        if got != self.want:
            return got if isinstance(got, str) else '%d lost, %d more, %d other; %s' % (
                len(self.want.keys() - got.keys()), len(got.keys() - self.want.keys()),
                sum(got[i] != self.want[i] for i in got.keys() & self.want.keys()),
                [(i, got.get(i), self.want.get(i)) for i in sorted(got.keys() | self.want.keys()) if got.get(i) != self.want.get(i)][:2])
        own = (('markers of its own table', 'select count(*) from m_units'),) if '--marker' in self.flags else ()
        for what, sql in own + (('markers', 'select count(*) from wherry_unit'), ('targets', 'select count(*) from wherry_target'),
                          ('open runs', "select count(*) from wherry_run where cast(state as text) <> 'closed'")):
            if self.ask(sql) != [('0',)]:
                return what + ' are left'
        return None

    def halfway(self):
        """What can be seen of an unfinished run: old rows and new ones; where all shows at one instant, one of both."""
        got = self.rows()
        if self.at_once:
            return None if got in (self.old, self.want) else 'half of it can be seen'
        odd = [i for i, r in got.items() if r not in (self.old.get(i), self.want.get(i))]
        return 'rows that nobody wrote: %s' % [(i, got[i]) for i in odd[:3]] if odd else None

    def to_the_end(self, code, said):
        for _ in range(6):
            if code in (0, None):
                break
            code, out, err = self.place.run('resume', '--json')
            said += 'resume: exit %d\n%s%s' % (code, err, ''.join(l for l in out.splitlines(True) if '"error"' in l))
            if code == 2 and 'no run is unfinished' in out + err:
                if '"done"' in self.place.run('history', '--json')[1]:
                    return None, said
                code, out, err = self.place.run(*self.args)
                said += 'again: exit %d\n%s' % (code, err)
        return code, said


def killed(t, rig, name, points):
    """Every phase, then any point; a third of the resumes is killed as well."""
    rig.fresh()
    seen = harness.reached(rig.place, rig.args, rig.place.path('points.log'))
    if not t.check(rig.wrong() is None, name + ': the undisturbed run', rig.wrong()):
        return
    phases = dict(points)
    plan, _ = harness.spread(t.rng, seen, points, KILLS)
    for point, phase, nth in plan:
        rig.fresh()
        again = '%s:%d' % (t.rng.choice(plan)[0], t.rng.randint(1, 2)) if t.rng.random() < 0.33 else None
        code, _, err = rig.place.run(*rig.args, WH_TEST_KILL='%s:%d' % (point, nth))
        t.kills[phase] += code == -signal.SIGKILL
        said = 'exit %d\n%s' % (code, err)
        why = rig.halfway()
        if code and again:
            code, _, err = rig.place.run('resume', WH_TEST_KILL=again)
            t.kills[phases[again.split(':')[0]]] += code == -signal.SIGKILL
            said += 'exit %d\n%s' % (code, err)
            why = why or rig.halfway()
        code, said = rig.to_the_end(code, said)
        left = rig.place.leftovers(ended=code is None)
        why = why or ('exit %s' % code if code else None) or rig.wrong() or ('state: %s' % left if left else None)
        t.check(why is None, '%s: killed at %s:%d%s' % (name, point, nth, ', then at ' + again if again else ''), '%s\n%s' % (why, said))


def job(t, mode, server, name):
    with Rig(mode, server) as rig:
        killed(t, rig, name, harness.kill_points())


def early_zombie(t, server):
    """Stopped between its claim and its snapshot: it takes none when it wakes, neither behind the end of the one that went
    on nor beside it. A snapshot that nobody asks for would be held at the source for an hour."""
    place = harness.Place('early')
    server.sql('create database early')
    server.sql('create table t as select i as id, md5(i::text) as a from generate_series(1, %d) i' % ROWS, 'early')
    args = ['copy', server.url('t', 'early'), place.path('t.csv'), '-j', '2', '--no-progress']
    ask = "select count(*) from pg_stat_activity where datname = 'early' and application_name like 'wherry/%'"
    for point in ('claim-recorded', 'snapshot-before', 'snapshot-taken'):
        for beside in (False, True):
            what = 'a zombie at %s, wakes %s' % (point, 'beside' if beside else 'behind the end')
            place.forget()
            if os.path.exists(place.path('t.csv')):
                os.remove(place.path('t.csv'))
            p = place.start(*args, WH_TEST_STOP=point + ':1')
            t.check(harness.wait_stopped(p, 60), what + ': stopped')
            time.sleep(harness.STALE_MS / 1000 + 0.3)
            second = place.start('resume', '--json', WH_TEST_STOP='lease-after:1' if beside else None)
            if beside:
                harness.wait_stopped(second, 60)
                p.send_signal(signal.SIGCONT)
                harness.gone(p, 5)
                second.send_signal(signal.SIGCONT)
            code, out, err = harness.finish(second)
            p.send_signal(signal.SIGCONT)
            ended, _, words = harness.finish(p)
            event = harness.finished(out)
            t.check(code == 0 and event.get('snapshot') == 'one instant' and event.get('rows_written') == ROWS and ended == 10, what,
                    'exit %s, %s; the zombie: %s\n%s%s' % (code, event.get('snapshot'), ended, err, words))
            end = time.monotonic() + 5
            while server.sql(ask) != '0' and time.monotonic() < end:
                time.sleep(0.05)
            left = [server.sql(ask) + ' sessions'] * (server.sql(ask) != '0') + place.leftovers()
            t.check(not left, what + ': nothing is left', left)
    place.remove()


def main():
    t = harness.Tally('every write mode under kills', harness.seed_of())
    words, server = sys.argv[1:], None
    names = [(mode, 'sqlite') for mode in MODES]
    if servers.binaries():
        server = servers.Postgres()
        names += [(mode, 'postgresql') for mode in MODES]
    else:
        t.skip('no PostgreSQL server is installed (postgresql-15)')
    try:
        jobs = [('%s: %s' % (to, mode), job, (mode, server if to == 'postgresql' else None, '%s: %s' % (to, mode))) for mode, to in names]
        jobs += [('early zombies: postgresql', early_zombie, (server,))] * bool(server)
        harness.run_jobs(t, [j for j in jobs if not words or any(w in j[0] for w in words)], workers=2)
    finally:
        if server:
            server.remove()
    if not words:   # few of these runs settle anything
        t.histogram([p for p in harness.PHASES if p != 'settle' or KILLS >= 20])
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
