#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Tables that do not take what they are given: triggers, rules, constraints, columns.

Fails if a row that a trigger swallows is counted as written, if a key that comes twice is taken for such a
row, if a mode starts that the table's constraints cannot serve, or if a value is left out without a word."""
import itertools
import os
import re
import signal
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
    """The table gets other types while the run lies: bytes of the old one would be other values, or none."""
    made = 'create table t(id int, v text, n numeric(9, 4))'
    for i, (there, change, said) in enumerate((
            ('', 'alter id type real', 'was integer .*now it is real'), ('', 'alter id type bigint', 'was integer .*now it is bigint'),
            (made, 'alter id type bigint', 'was integer, now it is bigint'), ('', 'drop column v', 'was text .*now it is gone'),
            ('', 'alter v type bytea using v::bytea', 'was text .*now it is bytea'),
            (made, 'alter n type numeric(9, 1)', r'was numeric\(9,4\), now it is numeric\(9,1\)'))):
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
            t.check(code == 2 and 'E7008' in out + err and re.search(said, out + err), 'the difference is told: %s%s' % (change, there and ', there before'),
                    went(code, out, err))
            t.check(s.dst('select count(*) from t') == had, 'and nothing is written: ' + change)


def altered_meanwhile(t, server):
    """The same between two units of a run that goes on: the next unit ends it, at once and by name."""
    for i, engine in enumerate(((), ('--dirty', 'rows=5'))):
        with Site(server, 'meanwhile_%d' % i) as s:
            s.src("create table t(id int, v text); insert into t select g, repeat('v', 90) from generate_series(1, 40000) g; analyze t")
            p = s.place.start('copy', server.url('t', s.a), server.url('t', s.b), '--no-progress', '--json', '-j', '1', '--from',
                              'split_bytes=256KiB', *engine, WH_TEST_STOP='record-after:1')
            stopped = harness.wait_stopped(p, 20)
            had = s.dst('select count(*) from t')
            s.dst('alter table t alter id type bigint')
            p.send_signal(signal.SIGCONT)
            code, out, err = harness.finish(p)
            t.check(stopped and code == 1 and 'E7009' in out and 'it was integer, it is bigint' in out,
                    'the next unit sees it: ' + ' '.join(engine), went(code, out, err))
            t.check(s.dst('select count(*) from t') == had, 'and writes nothing: ' + ' '.join(engine))


KEEPS = ("create function keep() returns trigger language plpgsql as 'begin return %s; end'; create trigger g before delete on %s "
         'for each row when (old.k = 7) execute function keep();')
OLD = "create table t(k int, v text); insert into t select g, 'old' from generate_series(0, 9) g;"


def kept(t, server):
    """delete-insert: an old row that a trigger, a rule or row security keeps is an error; a condition that looks at the
    table itself, a trigger that only looks on and a writer beside are none."""
    parts = OLD.replace('v text)', 'v text) partition by range (k); create table t1 partition of t for values from (0) to (9999)')
    shapes = [('a trigger', OLD + KEEPS % ('null', 't'), 'k >= 5', 1), ('a trigger of a partition', parts + KEEPS % ('null', 't1'), 'k >= 5', 1),
              ('a rule', OLD + 'create rule g as on delete to t where old.k = 7 do instead nothing;', 'k >= 5', 1),
              ('a trigger that looks on', OLD + KEEPS % ('old', 't'), 'k >= 5', 0),
              ('a trigger, another row', OLD + KEEPS % ('null', 't'), 'k < 5', 0),
              ('a condition on the table, and a trigger', OLD + KEEPS % ('old', 't'), 'k = (select max(k) from public.t)', 0),
              ('nobody', OLD, 'k >= 5', 0)]
    for i, (who, table, where, expected) in enumerate(shapes):
        with Site(server, 'kept_%d' % i) as s:
            s.src("create table t(k int, v text); insert into t select g, 'new' from generate_series(5, 9) g")
            s.dst(table)
            before = s.dst('select * from t order by k, v')
            code, out, err = s.copy('--mode', 'delete-insert', '--replace-where', where)
            if expected:
                t.check(code == 1 and 'E5005' in out and 'keeps 1 of 5' in out, 'kept rows are an error: ' + who, went(code, out, err))
                t.check(s.dst('select * from t order by k, v') == before, 'nothing was written: ' + who)
                s.dst('drop rule if exists g on t; drop function if exists keep() cascade')
                code, out, err = s.place.run('resume', '--no-progress', '--json')
                t.check(code == 0 and s.dst("select count(*), count(*) filter (where v = 'new') from t") == '10|5',
                        'and without it the run goes on: ' + who, went(code, out, err))
            else:
                gone = s.server.sql('select count(*) from generate_series(0, 9) k where ' + where.replace('(select max(k) from public.t)', '9'))
                t.check(code == 0 and s.dst('select count(*) from t') == str(15 - int(gone)), 'none is: ' + who, went(code, out, err))
            t.check(not s.place.leftovers(), 'nothing is left behind: ' + who)


def kept_by_policy(t, server):
    """Row security that lets a row be seen and not deleted: refused before, as wherever row security applies."""
    with Site(server, 'kept_policy') as s:
        s.src("create table t(k int, v text); insert into t select g, 'new' from generate_series(5, 9) g")
        s.dst(OLD + "alter table t owner to plain; alter table t enable row level security, force row level security; create policy a on t for "
              "select using (true); create policy b on t for insert with check (true); create policy c on t for delete using (k <> 7);"
              'grant all on schema public to plain')
        code, out, err = s.place.run('copy', s.server.url('t', s.a), s.server.url('t', s.b, user='plain', password=servers.PASSWORD, row_security='on'),
                                     '--no-progress', '--json', '--mode', 'delete-insert', '--replace-where', 'k >= 5')
        t.check(code == 9 and 'E2006' in out and 'row security' in out, 'kept by a policy', went(code, out, err))
        t.check(s.dst("select count(*) from t where v = 'old'") == '10', 'and nothing was written')


def truncated(t, server):
    """A trigger that puts rows into a table that was just emptied."""
    for i, mode in enumerate(('truncate', 'overwrite')):
        with Site(server, 'truncated_%d' % i) as s:
            s.src("create table t(k int, v text); insert into t select g, 'new' from generate_series(5, 9) g")
            s.dst(OLD + "create view w as select * from t; alter table t owner to trusted; grant all on t to plain; create function f() returns trigger "
                  "language plpgsql as 'begin insert into public.t values (1, ''again''); return null; end'; create trigger g after truncate "
                  'on t execute function f(); grant all on schema public to plain')
            code, out, err = s.copy('--mode', mode)
            if mode == 'truncate':
                t.check(code == 1 and 'E5005' in out and 'not empty' in out, 'rows behind a truncate: ' + mode, went(code, out, err))
                t.check(s.dst("select count(*) filter (where v = 'old'), count(*) from t") == '10|10', 'the table is as it was: ' + mode)
            else:
                t.check(code == 0 and s.dst("select count(*) from t where v = 'new'") == s.dst('select count(*) from t'),
                        'no trigger of a table that is exchanged fires', went(code, out, err))


def ignored(t, server):
    """insert-ignore: rows that are left out must be there, by any key of the table."""
    rows = ("create table t(k int, e text, v text); insert into t select g, 'e' || g, 'new' from generate_series(0, 9) g; "
            "insert into t values (3, 'twice', 'new'), (20, 'e2', 'new')")
    swallow = ("create function f() returns trigger language plpgsql as 'begin return null; end'; create trigger g before insert on t for each "
               'row when (new.k = 5 or new.e = \'e5\') execute function f();')
    stamp = "create function f() returns trigger language plpgsql as 'begin new.v = ''stamped''; return new; end'; create trigger g before insert on t for each row execute function f();"
    table = "create table t(k int primary key, e text unique, v text); insert into t values (1, 'e1', 'old'), (100, 'e7', 'old');"
    nulls = "create table t(k int unique, e text, v text); insert into t values (null, 'x', 'old'), (1, 'e1', 'old');"
    behind = "create table t(id serial primary key, k int, e text, v text); insert into t(id, k) select g, g + 1000 from generate_series(1, 3) g;"
    none = 'create table t(k int, e text, v text);'
    cases = [('a trigger swallows one', table + swallow, rows, '1 rows', 0), ('a trigger looks on', table + stamp, rows, '', 10),
             ('nobody', table, rows, '', 10), ('a trigger, no key at all', none + swallow, rows, '1 rows', 0), ('no key at all', none + stamp, rows, '', 12),
             ('a trigger, rows without a key', nulls + swallow, rows.replace('select g,', 'select nullif(g, 5),'), '1 rows', 0),
             ('rows without a key', nulls + stamp, rows.replace('select g,', 'select nullif(g, 5),'), '', 12),
             ('a sequence that is behind', behind, rows, '3 rows', 0)]
    for i, (who, there, source, lost, count) in enumerate(cases):
        for atomic in ('unit', 'table') if i in (0, 4, 5) else ('unit',):
            with Site(server, 'ignored_%d_%s' % (i, atomic)) as s:
                s.src(source)
                s.dst(there)
                before = s.dst('select count(*) from t')
                code, out, err = s.copy('--mode', 'insert-ignore', '--atomic', atomic, '--key', 'k')
                if lost:
                    t.check(code == 1 and 'E5005' in out and lost in out, 'lost rows are an error: %s, %s' % (who, atomic), went(code, out, err))
                    t.check(s.dst('select count(*) from t') == before, 'nothing was written: %s, %s' % (who, atomic))
                else:
                    t.check(code == 0 and s.dst('select count(*) from t') == str(count), 'none is lost: %s, %s' % (who, atomic),
                            went(code, out, err) + s.dst('select * from t order by k'))


FOLDS = [('citext', 'create extension citext;', 'citext'), ('nondeterministic', "create collation nd(provider = icu, locale = 'und-u-ks-level2', "
         'deterministic = false);', 'text collate nd'), ('char(4)', '', 'char(4)'), ('text', '', 'text'),
         ('domain over citext', 'create extension citext; create domain d as citext;', 'd')]


def folded(t, server):
    """Which keys are the same is the server's word: of two rows of the source that are equal there the last one wins."""
    with Site(server, 'folded') as s:
        s.dst("create extension citext; create domain d as citext; create collation nd(provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
        for kind, mode, atomic in itertools.product(('citext', 'text collate nd', 'char(4)', 'text', 'd'),
                                                    ('upsert', 'replace', 'update', 'insert-ignore'), ('unit', 'table')):
            if atomic == 'table' and kind not in ('citext', 'text collate nd'):
                continue
            second = 'a ' if kind in ('text', 'char(4)') else 'A'  # char(4) pads: there both are one; as text they are two
            s.src("drop table if exists t; create table t(k text primary key, v text); insert into t values ('a', '1'), ('b', '2'), "
                  "('%s', '3'), ('c', '4')" % second)
            s.dst("drop table if exists t; create table t(k %s primary key, v text); insert into t values ('%s', 'old'), ('z', 'old')" % (kind, second))
            code, out, err = s.copy('--mode', mode, '--key', 'k', '--atomic', atomic)
            got = s.dst("select string_agg(v, ',' order by v) from t")
            two = '1,' if kind == 'text' else ''
            want = {'update': '3,old', 'insert-ignore': two + '2,4,old,old'}.get(mode, two + '2,3,4,old')
            what = '%s, %s, %s' % (kind, mode, atomic)
            t.check(code == 0 and got == want, 'the last of the same wins: ' + what, '%s\ngot %s, want %s' % (went(code, out, err), got, want))
            done = re.search(r'"type":"run_finished".*?"rows_read":(\d+),"rows_written":(\d+),"rows_dirty":0,"rows_filtered":(\d+)', out)
            t.check(code != 0 or (done and int(done.group(1)) == 4 == int(done.group(2)) + int(done.group(3))), 'each is counted once: ' + what, went(code, out, err))


TESTS = [swallowed, keys_alone, deferrable, always, generated, altered, altered_meanwhile, kept, kept_by_policy, truncated, ignored, folded]


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
