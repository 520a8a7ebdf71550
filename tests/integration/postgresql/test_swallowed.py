#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tables that do not take what they are given: triggers, rules, constraints, columns.

Fails if a row that a trigger swallows is counted as written, if a key that comes twice is taken for such a
row, if a mode starts that the table's constraints cannot serve, or if a value is left out without a word."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402
from pgsite import Site, went  # noqa: E402


ROWS = "create table t(k int, v text); insert into t select g % 100, 'v' || g from generate_series(0, 999) g;"
TABLE = "create table t(k int primary key, v text); insert into t values(5, 'old'), (5000, 'old');"
SWALLOWS = ("create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger g before insert or update "
            'on t for each row when (new.k = 5) execute function f();')
PARTS = ("create table t(k int primary key, v text) partition by range (k); create table t1 partition of t for values from (0) to (9999); "
         "insert into t values(5, 'old'), (5000, 'old');")
WANT = {'upsert': ('v999', 101), 'replace': ('v999', 101), 'update': ('v905', 2), 'delete-insert': ('v999', 1001)}


def swallowed(t, server):
    """Every mode, rows that show per unit and per table: nothing of the unit stays, or all that is due."""
    shapes = [(mode, atomic, TABLE) for mode in ('upsert', 'replace', 'update') for atomic in ('unit', 'table')]
    shapes += [('upsert', 'unit', PARTS), ('delete-insert', 'table', TABLE.replace(' primary key', ''))]
    for i, (mode, atomic, table) in enumerate(shapes):
        what = '%s, %s%s' % (mode, atomic, ', partitions' if table is PARTS else '')
        flags = ['--mode', mode, '--atomic', atomic]
        flags += ['--replace-where', 'k = 5'] if mode == 'delete-insert' else ['--key', 'k']
        with Site(server, 'swallowed_%d' % i) as s:
            s.src(ROWS)
            s.dst(table + SWALLOWS)
            before = s.dst('select * from t order by k')
            code, out, err = s.copy(*flags)
            t.check(code == 1 and 'E5005' in out and 'trigger' in out, 'swallowed rows are an error: ' + what, went(code, out, err))
            t.check(s.dst('select * from t order by k') == before, 'nothing was written: ' + what)
            s.dst('drop trigger g on t')
            code, out, err = s.place.run('resume', '--no-progress', '--json')
            t.check(code == 0, 'without the trigger the run goes on: ' + what, went(code, out, err))
            last, count = WANT[mode]
            t.check(s.dst("select max(v) filter (where v <> 'old'), count(*) from t") == '%s|%d' % (last, count),
                    'and all rows are there: ' + what, s.dst("select max(v) filter (where v <> 'old'), count(*) from t"))
            t.check(not s.place.leftovers(), 'nothing is left behind: ' + what)


def keys_alone(t, server):
    """A table of keys: nothing changes in rows that are there, and nobody misses them."""
    for i, mode in enumerate(('upsert', 'replace', 'update', 'insert-ignore')):
        with Site(server, 'keys_%d' % i) as s:
            s.src('create table t(k int); insert into t select g from generate_series(1, 10) g')
            s.dst('create table t(k int primary key); insert into t values(3)')
            code, out, err = s.copy('--mode', mode, '--key', 'k')
            t.check(code == 0, 'keys alone: ' + mode, went(code, out, err))
            t.check(s.dst('select count(*) from t') == ('1' if mode == 'update' else '10'), 'as many as there should be: ' + mode)


def deferrable(t, server):
    """ON CONFLICT cannot use such a constraint: said before anything is touched."""
    with Site(server, 'deferrable') as s:
        s.src(ROWS)
        s.dst('create table t(k int, v text, w int unique deferrable, constraint "by k" unique (k) deferrable initially deferred)')
        for mode in ('upsert', 'replace', 'insert-ignore'):
            code, out, err = s.run('plan', '--mode', mode, '--key', 'k')
            t.check(code == 2 and 'E1062' in out + err and 'deferrable' in out + err, 'refused in the plan: ' + mode, went(code, out, err))
        s.dst('alter table t drop constraint "by k", add unique (k)')
        code, out, err = s.copy('--mode', 'upsert', '--key', 'k')
        t.check(code == 0 and s.dst('select count(*) from t') == '100', 'one on other columns is in nobody\'s way', went(code, out, err))


def always(t, server):
    """generated always as identity: an update cannot set it, and the plan says so."""
    with Site(server, 'always') as s:
        s.src("create table t(k int primary key, i int, v text); insert into t select g, g + 100, 'n' from generate_series(1, 10) g")
        s.dst("create table t(k int primary key, i int generated always as identity, v text); insert into t(k, v) values (1, 'o')")
        for mode, warned in (('upsert', True), ('update', True), ('append', False), ('insert-ignore', False)):
            words = [] if mode == 'append' else ['--key', 'k']
            code, out, err = s.run('plan', '--mode', mode, *words)
            t.check(code == 0 and ('"i" is generated always' in out + err) == warned, 'warned where it matters: ' + mode, went(code, out, err))
        code, out, err = s.copy('--mode', 'upsert', '--key', 'k')
        t.check(code == 0 and s.dst('select i, v from t where k = 1') == '1|n' and s.dst('select i from t where k = 2') == '102',
                'new rows take the value, old ones keep theirs', went(code, out, err))


def generated(t, server):
    """Columns that both ends compute are left to the table; one that only the table computes takes no value."""
    right = "select count(*), count(*) filter (where b = k * 3 and s = v || '?') from t"
    for i, mode in enumerate(('append', 'overwrite', 'upsert', 'replace', 'update', 'insert-ignore', 'delete-insert')):
        with Site(server, 'generated_%d' % i) as s:
            s.src("create table t(s text generated always as (v || '!') stored not null, k int primary key, "
                  "b int generated always as (k * 2) stored, v text); insert into t(k, v) select g, 'n' || g from generate_series(1, 500) g")
            s.dst("create table t(k int primary key, v text, b int generated always as (k * 3) stored, "
                  "s text generated always as (v || '?') stored not null); insert into t(k, v) values(5000, 'old')")
            flags = ['--replace-where', 'k < 1000'] if mode == 'delete-insert' else [] if mode in ('append', 'overwrite') else ['--key', 'k']
            code, out, err = s.copy('--mode', mode, *flags)
            rows = {'overwrite': 500, 'update': 1}.get(mode, 501)
            t.check(code == 0 and s.dst(right) == '%d|%d' % (rows, rows), 'the table computes its own: ' + mode, went(code, out, err))
    with Site(server, 'generated') as s:
        s.src('create table t(k int, b int)')
        s.dst('create table t(k int, b int generated always as (k) stored)')
        code, out, err = s.run('plan')
        t.check(code == 2 and 'E3005' in out + err and "* except (b)" in out + err, 'a value for it is refused', went(code, out, err))
        code, out, err = s.copy('--columns', '* except (b)')
        t.check(code == 0, 'and the hint works', went(code, out, err))


def altered(t, server):
    """The table gets other types while the run lies: bytes of the old one would be other values."""
    for i, (there, change) in enumerate((('', 'alter id type real'), ('', 'drop column v'), ('', 'alter v type bytea using v::bytea'),
                                         ('create table t(id int, v text, n numeric(9, 4))', 'alter n type numeric(9, 1)'))):
        with Site(server, 'altered_%d' % i) as s:
            s.src("create table t(id int, v text, n numeric(9, 4)); insert into t select g, repeat('v', 90), g / 7.0 from "
                  "generate_series(1, 40000) g; analyze t")
            s.dst(there)
            p = s.place.start('copy', server.url('t', s.a), server.url('t', s.b), '--no-progress', '--json', '-j', '1', '--from',
                              'split_bytes=256KiB', WH_TEST_KILL='commit-after:2')
            code, out, err = harness.finish(p)
            if code != -9:
                t.check(False, 'killed between two units: ' + change, went(code, out, err))
                continue
            had = s.dst('select count(*) from t')
            s.dst('alter table t ' + change)
            code, out, err = s.place.run('resume', '--no-progress', '--json')
            t.check(code in (1, 2) and re.search('E700[89]|E3002', out + err), 'another type is seen: ' + change, went(code, out, err))
            t.check(s.dst('select count(*) from t') == had, 'and nothing is written: ' + change)


TESTS = [swallowed, keys_alone, deferrable, always, generated, altered]


def main():
    if not servers.binaries():
        print('SKIPPED no PostgreSQL server is installed')
        return 1 if os.environ.get('CI') == 'true' else 0
    wanted = sys.argv[1:]
    t = harness.Tally('postgresql, swallowed', harness.seed_of())
    with servers.Postgres() as server:
        for test in TESTS:
            if not wanted or test.__name__ in wanted:
                test(t, server)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
