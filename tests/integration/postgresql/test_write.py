#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Writing into a real PostgreSQL, judged by psql.

Fails if a write mode has another result here than in SQLite; if overwrite loses anything that hangs on a
table; if a refused row is lost, written, or taken for a unit that was committed before; if a unit is doubled
after a kill, or a zombie can go on; if a target of another run is written to."""
import os
import re
import signal
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402


class Site:
    """A place for runs and a database of its own."""

    def __init__(self, server, name):
        self.server, self.database = server, re.sub(r'\W', '_', name)
        server.sql('create database %s' % self.database)
        self.place = harness.Place('pg-' + name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.place.remove()

    def sql(self, text, check=True):
        return self.server.sql(text, self.database, check)

    def url(self, table, **options):
        return self.server.url(table, self.database, **options)

    def csv(self, text, name='in.csv'):
        with open(self.place.path(name), 'w', encoding='utf-8') as f:
            f.write(text)
        return name

    def copy(self, source, table, *flags, **env):
        return self.place.run('copy', source, self.url(table), '--no-progress', '--json', *flags, **env)

    def ours(self):
        """What must not be left behind when all runs have ended."""
        return self.sql("""select 'stage ' || relname from pg_class where relname like 'wherry_stage%'
            union all select 'session ' || application_name from pg_stat_activity where application_name like 'wherry/%'
              and datname = current_database()""")

    def markers(self, schema='public'):
        return self.sql('select (select count(*) from {0}.wherry_unit), (select count(*) from {0}.wherry_target), '
                        "(select count(*) from {0}.wherry_run where state = 'open')".format(schema))


def went(code, out, err):
    """What a run said, for a failed check."""
    return 'exit %s\n%s\n%s' % (code, out[-1500:], err[-1500:])


# ---- modes ------------------------------------------------------------------------------------------

KEYED = "create table t(k int primary key, v text, w text default 'd');" \
        "insert into t values(1, 'old1', 'w1'), (2, 'old2', 'w2'), (3, 'old3', 'w3');"
NEW = 'k,v\n2,new2\n3,new3\n4,new4\n'
TWICE = 'k,v\n2,a\n4,b\n2,c\n4,d\n5,e\n'
MODES = [
    ('append', 'create table t(k int, v text); insert into t values(2, \'old\')', NEW, []),
    ('truncate', KEYED, NEW, []),
    ('overwrite', KEYED, NEW, []),
    ('upsert', KEYED, NEW, []),
    ('upsert', KEYED, TWICE, []),
    ('replace', KEYED, NEW, []),
    ('replace', KEYED, TWICE, []),
    ('insert-ignore', KEYED, NEW, []),
    ('insert-ignore', KEYED, TWICE, []),
    ('update', KEYED, NEW, []),
    ('update', KEYED, TWICE, []),
    ('delete-insert', KEYED, NEW, ['--replace-where', 'k >= 2']),
    ('delete-insert', KEYED, NEW, ['--replace-keys']),
    ('delete-insert', KEYED.replace(' primary key', ''), TWICE, ['--replace-keys', '--key', 'k']),
    ('upsert', KEYED, NEW, ['--atomic', 'table']),
    ('upsert', KEYED, TWICE, ['--atomic', 'table']),
    ('append', KEYED, 'k,v\n7,x\n', ['--atomic', 'table']),
]


def modes(t, server):
    """Each mode into SQLite and into PostgreSQL: the same table, the same counts."""
    for i, (mode, before, rows, flags) in enumerate(MODES):
        with Site(server, 'mode_%d' % i) as s:
            s.sql(before)
            src = s.csv(rows)
            subprocess.run(['sqlite3', s.place.path('t.db'), before], check=True)
            what = '%s of %r %s' % (mode, rows, flags)
            a = s.place.run('copy', src, 'sqlite:t.db#t', '--mode', mode, '--json', '--no-progress', *flags)
            b = s.copy(src, 't', '--mode', mode, *flags)
            t.check(a[0] == 0, 'sqlite: ' + what, went(*a))
            if not t.check(b[0] == 0, 'postgresql: ' + what, went(*b)):
                continue
            lite = subprocess.run(['sqlite3', '-separator', '|', s.place.path('t.db'), 'select * from t order by 1, 2'],
                                  stdout=subprocess.PIPE, check=True).stdout.decode().rstrip('\n')
            t.check(s.sql('select * from t order by 1, 2') == lite, what,
                    'sqlite: %s\npostgresql: %s' % (lite, s.sql('select * from t order by 1, 2')))
            count = lambda e: [e.get(k) for k in ('rows_read', 'rows_written', 'rows_filtered', 'rows_dirty')]
            ea, eb = harness.finished(a[1]), harness.finished(b[1])
            t.check(count(ea) == count(eb) and not harness.unbalanced(eb), 'counts of ' + what, '%s %s' % (count(ea), count(eb)))
            t.check(s.ours() == '', 'nothing is left of ' + what, s.ours())
            t.check(s.markers() == '0|0|0', 'markers of ' + what, s.markers())


REPLACED = 'k,g,v\n1,a,n1\n1,a,n2\n2,,n3\n,,n4\n3,b,n5\n'
OLD_KEYS = "create table t(k int, g text, v text); insert into t values(1, 'a', 'o1'), (1, 'a', 'o2'), (1, 'b', 'o3'), (2, null, 'o4'), " \
           "(2, 'x', 'o5'), (null, null, 'o6'), (null, 'a', 'o7'), (3, null, 'o8');"
LOOK = "select coalesce(k, 0), coalesce(g, '-'), v from t order by 1, 2, 3"
STAYS = ['1|b|o3', '2|x|o5', '0|a|o7', '3|-|o8']   # no row of the source has their key
COMES = ['1|a|n1', '1|a|n2', '2|-|n3', '0|-|n4', '3|b|n5']


def replaced(t, server):
    """delete-insert by key: rows whose key comes go, NULL is a value like others, a key that comes twice stays twice; again,
    and nothing changes. Into both, by what they hold."""
    with Site(server, 'replaced') as s:
        src, by = s.csv(REPLACED), ['--mode', 'delete-insert', '--replace-keys', '--key', 'k,g']
        s.sql(OLD_KEYS)
        subprocess.run(['sqlite3', s.place.path('t.db'), OLD_KEYS], check=True)
        lite = lambda: subprocess.run(['sqlite3', s.place.path('t.db'), LOOK], stdout=subprocess.PIPE, check=True).stdout.decode().split()
        for turn in ('once', 'twice'):
            for to, run, look in (('sqlite', lambda: s.place.run('copy', src, 'sqlite:t.db#t', '--no-progress', *by), lite),
                                  ('postgresql', lambda: s.copy(src, 't', *by), lambda: s.sql(LOOK).split())):
                got = run()
                t.check(got[0] == 0 and sorted(look()) == sorted(STAYS + COMES), 'replaced by key, %s: %s' % (turn, to), '%s\n%s' % (look(), went(*got)))
        none = s.csv('k,g,v\n', 'none.csv')
        got = s.copy(none, 't', *by)
        t.check(got[0] == 0 and sorted(s.sql(LOOK).split()) == sorted(STAYS + COMES), 'an empty source replaces nothing, and no guard is asked', went(*got))
        s.sql('drop table t')
        got = s.copy(src, 't', *by)
        t.check(got[0] == 0 and sorted(s.sql(LOOK).split()) == sorted(COMES), 'into a table that is made: the key is not made unique', went(*got))
        s.sql("create extension if not exists citext; drop table t; create table t(k citext, v text); insert into t values('Ab', 'old'), ('c', 'old')")
        got = s.copy(s.csv('k,v\naB,new\n', 'ci.csv'), 't', '--mode', 'delete-insert', '--replace-keys', '--key', 'k')
        t.check(got[0] == 0 and s.sql('select k, v from t order by 1') == 'aB|new\nc|old', 'keys are the same by the word of their type', went(*got))
        for words, code, key in ((('E3002',), 'create table t(k int, id serial primary key, v text)', []), (('E1062',), 'create table t(k int, v text)', []),
                                 (('E3005',), 'create table t(k int, v text, g int generated always as (k) stored)', ['--key', 'g'])):
            s.sql('drop table if exists t; ' + code)
            got = s.copy(s.csv('k,v\n1,a\n', 'r.csv') if key == [] else s.csv('k,v,g\n1,a,1\n', 'g.csv'), 't', '--mode', 'delete-insert', '--replace-keys', *key)
            t.check(got[0] == 2 and all(w in got[1] + got[2] for w in words), 'refused: %s' % words, went(*got))


CHILDREN = "select (select count(*) from t), (select count(*) from kid where k = 1)"


def replaced_parents(t, server):
    """Red when rows of another table go with the rows that are replaced by key, without a word."""
    with Site(server, 'parents') as s:
        src, by = s.csv('k,v\n1,new\n', 'r.csv'), ['--mode', 'delete-insert', '--replace-keys', '--key', 'k']
        for does in ('cascade', 'set null'):
            s.sql("drop table if exists kid, t; create table t(k int primary key, v text); insert into t values (1, 'old'), (2, 'old'); "
                  'create table kid(id int, k int references t on delete %s); insert into kid values (7, 1)' % does)
            got = s.copy(src, 't', *by)
            t.check(got[0] == 2 and 'E1061' in got[1] and 'kid (on delete %s)' % does in got[1] and s.sql(CHILDREN) == '2|1', 'refused: ' + does, went(*got))
        got = s.copy(src, 't', *by, '--to', 'triggers=false')
        t.check(got[0] == 0 and s.sql(CHILDREN) == '2|1' and s.sql('select v from t where k = 1') == 'new', 'not where foreign keys are not asked', went(*got))
        got = s.place.run('plan', src, s.url('t'), '--mode', 'delete-insert', '--replace-where', 'k = 1')
        t.check(got[0] == 0 and 'deleting changes other tables: public.kid (on delete set null)' in got[1], 'of rows that are named the plan warns', went(*got))
        s.sql('alter table kid drop constraint kid_k_fkey, add foreign key (k) references t')
        got = s.copy(src, 't', *by)
        t.check(got[0] == 1 and 'E5008' in got[1] and s.sql(CHILDREN) == '2|1', 'where the server forbids it, nothing is done', went(*got))


# ---- overwrite --------------------------------------------------------------------------------------

RICH = '''create role %(d)s_app; create role %(d)s_rd; create schema s; grant usage, create on schema s to %(d)s_app;
create table s.p(id int primary key); insert into s.p select generate_series(1, 9);
create table s."T x"(id int generated always as identity, k text not null, v numeric(10,2) default 3.5, s serial,
  g int generated always as (length(k)) stored, r int references s.p(id), constraint "pk it" primary key(id),
  constraint u1 unique(k) deferrable initially deferred, constraint c1 check (v > 0)) with (fillfactor=70);
create index "my ix" on s."T x"(v) where v > 5; create unique index uu on s."T x" (lower(k));
create table s.log(n int);
create function s.f() returns trigger language plpgsql as 'begin insert into s.log values(1); return new; end';
create trigger tr before insert on s."T x" for each row execute function s.f();
comment on table s."T x" is 'tab''le'; comment on column s."T x".k is 'col'; comment on index s."my ix" is 'ix';
comment on constraint "pk it" on s."T x" is 'pkc'; comment on trigger tr on s."T x" is 'trc';
grant select on s."T x" to %(d)s_rd; grant update(v) on s."T x" to %(d)s_rd; grant insert on s."T x" to public;
create statistics s.st on id, v from s."T x"; alter table s."T x" alter v set statistics 77, alter v set (n_distinct=5);
alter table s."T x" replica identity using index "pk it"; alter table s."T x" cluster on "pk it";
alter table s."T x" owner to %(d)s_app; insert into s."T x"(k, r) values('one', 1), ('two', 2), ('three', 3); delete from s.log;
'''
HANGING = {
    'nothing': '',
    'view': 'create view s.vw as select k, v from s."T x"; create materialized view s.mv as select count(*) from s."T x";',
    'foreign key': 'create table s.child(x int references s."T x"(id) on delete cascade);'
                   'insert into s.child values(1), (2), (3);',
    'policy': 'alter table s."T x" enable row level security; create policy pl on s."T x" using (id > 0);',
    'row type': 'create table s.other(x s."T x");',
}


def dump(s):
    """The schema as pg_dump tells it, without what has no meaning: order of grants, noise."""
    out = subprocess.run([os.path.join(s.server.bin, 'pg_dump'), '-s', '-h', '127.0.0.1', '-p', str(s.server.port), '-U',
                          'postgres', '-T', 'wherry_*', '-T', '*.wherry_*', s.database], stdout=subprocess.PIPE, check=True)
    lines = [x for x in out.stdout.decode().splitlines()
             if not re.match(r'\\(un)?restrict|--|\s*(NO )?MAXVALUE', x) and 'wherry_' not in x]
    return '\n'.join(sorted(x for x in lines if x.strip()))


def overwrite_keeps(t, server):
    """Whatever hangs on a table is there after an overwrite; nobody could tell."""
    for i, (what, more) in enumerate(sorted(HANGING.items())):
        with Site(server, 'keeps_%d' % i) as s:
            s.sql(RICH % {'d': s.database} + more)
            before = dump(s)
            rows = 'id,k,v,r\n1,eins,7.25,1\n3,drei,1,3\n2,zwei,9,2\n'
            code, out, err = s.copy(s.csv(rows), 's.T x', '--mode', 'overwrite')
            if not t.check(code == 0, 'overwrite with ' + what, went(code, out, err)):
                continue
            t.check(s.sql('select id, k, v, g, r from s."T x" order by id') ==
                    '1|eins|7.25|4|1\n2|zwei|9.00|4|2\n3|drei|1.00|4|3', 'rows of an overwrite with ' + what,
                    s.sql('select * from s."T x"'))
            after = dump(s)
            t.check(before == after, 'schema after an overwrite with ' + what,
                    '\n'.join(sorted(set(before.split('\n')) ^ set(after.split('\n')))))
            t.check(s.sql('select count(*) from s.log') == '0', 'triggers stay silent with ' + what)
            t.check(s.sql('insert into s."T x"(k) values(\'n\') returning id > 3, s > 3') == 't|t', 'sequences go on, ' + what)
            t.check(s.sql("select tgenabled from pg_trigger where tgname = 'tr'") == 'O', 'the trigger is on again, ' + what)
            if what == 'view':
                t.check(s.sql('select count(*) from s.vw') == '4', 'the view sees the new rows')
            if what == 'foreign key':
                t.check(s.sql('select count(*) from s.child') == '3', 'children of rows that stay are not cascaded away')
            t.check(s.ours() == '', 'nothing is left of an overwrite with ' + what, s.ours())


def overwrite_others(t, server):
    """Partitioned tables, tables of other owners, tables that are not there yet, recreate."""
    with Site(server, 'others') as s:
        s.sql('create table p(k int, v text) partition by range(k); create table p1 partition of p for values from (0) to (10);'
              "create table p2 partition of p for values from (10) to (20); insert into p values(1, 'a'), (11, 'b')")
        src = s.csv('k,v\n2,x\n12,y\n')
        for mode in ('overwrite', 'append', 'truncate'):
            code, out, err = s.copy(src, 'p', '--mode', mode)
            t.check(code == 0, 'partitioned, ' + mode, went(code, out, err))
        t.check(s.sql('select tableoid::regclass, k, v from p order by 2') == 'p1|2|x\np2|12|y', 'rows of a partitioned table',
                s.sql('select * from p'))
        s.sql('alter table p add primary key(k)')
        code, out, err = s.copy(s.csv('k,v\n2,z\n3,w\n'), 'p', '--mode', 'upsert')
        t.check(code == 0 and s.sql('select k, v from p order by 1') == '2|z\n3|w\n12|y', 'upsert into a partitioned table',
                went(code, out, err))
        for flags in ([], ['--create', 'recreate', '--yes'], ['--mode', 'append', '--create', 'recreate', '--yes']):
            code, out, err = s.copy(s.csv('k,v\n5,x\n'), 'fresh', *(['--mode', 'overwrite', '--key', 'k'] if '--mode' not in flags
                                                                   else []), *flags)
            t.check(code == 0 and s.sql('select * from fresh') == '5|x', 'a table that is made %s' % flags, went(code, out, err))
        s.sql("create role others_w login in role trusted; create table owned(k int primary key, v text); insert into owned values(1, 'a');"
              'grant all on all tables in schema public to others_w; grant all on schema public to others_w')
        url = s.url('owned').replace('postgres@', 'others_w@')
        code, out, err = s.place.run('copy', s.csv('k,v\n9,n\n'), url, '--mode', 'overwrite', '--json')
        t.check(code == 0 and s.sql('select * from owned') == '9|n', "another role's table is exchanged", went(code, out, err))
        t.check(s.sql("select pg_get_userbyid(relowner) from pg_class where relname = 'owned'") == 'postgres', 'the owner stays')


# ---- refused rows -----------------------------------------------------------------------------------


def refused(t, server):
    """What only the server knows: each refused row is named, all others are written."""
    with Site(server, 'refused') as s:
        s.sql('''create table par(k int primary key); insert into par select generate_series(0, 20000);
            create table t(k int primary key, p int references par(k), c int check (c <> 13), u text unique, n int);
            create function f() returns trigger language plpgsql as
              'begin if new.n = 666 then raise exception ''no such luck''; end if; return new; end';
            create trigger tr before insert on t for each row execute function f(); insert into t values(77, 1, 1, 'there', 1)''')
        rows = ['%d,%d,%d,u%d,%d' % (i, i, i % 12, i, i) for i in range(1000, 16000)]
        rows[100] = '77,1,1,x,1'            # primary key
        rows[5000] = '50000,1,13,y,1'       # check
        rows[5001] = '50001,1,1,there,1'    # unique
        rows[9000] = '50002,99999,1,z,1'    # foreign key
        rows[14000] = '50003,1,1,w,666'     # trigger
        src = s.csv('k,p,c,u,n\n' + '\n'.join(rows) + '\n')
        code, out, err = s.copy(src, 't', '--dirty', 'rows=10')
        e = harness.finished(out)
        t.check(code == 0 and e.get('rows_dirty') == 5 and e.get('rows_written') == 14995 and not harness.unbalanced(e),
                'five refused rows of 15,000', went(code, out, err))
        t.check(s.sql('select count(*), sum(k) from t where k >= 1000 and k < 16000') ==
                '14995|%d' % sum(k for k in range(1000, 16000) if k not in (1100, 6000, 6001, 10000, 15000)), 'the others are in')
        code, out, err = s.place.run('dirty', 'list', '--json')
        said = out + err
        code, text, _ = s.place.run('dirty', 'export', '-')
        s.sql('delete from t where k >= 1000')
        code, out, err = s.copy(src, 't')
        t.check(code == 6 and 'E6' in out + err and s.sql('select count(*) from t where k >= 1000') == '0',
                'without a limit the first one ends the table', went(code, out, err))
        s.place.forget()
        s.sql("update wherry_run set state = 'closed'; truncate t, wherry_unit, wherry_target")
        code, out, err = s.copy(s.csv('k,p,c,u,n\n1,1,1,a,1\n2,1,1,b,1\n1,1,1,c,1\n'), 't')
        t.check(code == 6 and 'duplicate key' in out + err and 'E7016' not in out + err,
                "a duplicate in the user's key is no twin", went(code, out, err))


def checked_before(t, server):
    """Lengths, NULLs and precision are refused by us, and nothing is rounded."""
    with Site(server, 'limits') as s:
        s.sql('create table t(k int primary key, a varchar(3), b numeric(5,2), c smallint, d text not null)')
        src = s.csv('k,a,b,c,d\n1,abc,1.25,7,x\n2,abcd,1.25,7,x\n3,abc,1.255,7,x\n4,abc,99999,7,x\n5,abc,1,70000,x\n6,abc,1,1,\n')
        code, out, err = s.copy(src, 't', '--dirty', 'rows=10')
        t.check(code == 0 and s.sql('select k from t order by 1') in ('1', '1\n6'), 'rows that do not fit are dirty',
                went(code, out, err) + s.sql('select * from t'))


# ---- zombies, twins, other runs ---------------------------------------------------------------------

ROWS = 'k,v\n' + ''.join('%d,v%d\n' % (i, i) for i in range(4000))
SUM = '4000|%d' % sum(range(4000))


def killed(t, server):
    """Killed at every point that a run passes; resumed, each row is there once."""
    with Site(server, 'killed') as s:
        src = s.csv(ROWS)
        for mode in ('append', 'overwrite'):
            s.sql('drop table if exists t')
            seen = harness.reached(s.place, ['copy', src, s.url('t'), '--mode', mode], s.place.path('points-' + mode))
            for name in sorted(seen):
                s.sql('drop table if exists t; create table t(k bigint, v text)')
                s.place.forget()
                s.sql("update wherry_run set state = 'closed'; truncate wherry_unit, wherry_target")
                code, out, err = s.copy(src, 't', '--mode', mode, WH_TEST_KILL=name + ':1')
                rounds = 0
                while code != 0 and rounds < 8:
                    code, out, err = s.place.run('resume', '--json')
                    rounds += 1
                    if code == 2 and 'no run is unfinished' in out + err:
                        ended = s.sql('select count(*) from t') == '4000'
                        code, out, err = (0, '', '') if ended else s.copy(src, 't', '--mode', mode)
                t.kills[mode] += 1
                t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM, '%s killed at %s' % (mode, name),
                        went(code, out, err) + s.sql('select count(*), sum(k) from t'))
            t.check(s.ours() == '', 'nothing is left of kills in ' + mode, s.ours())


def zombie(t, server):
    """Stopped in the middle of a unit's transaction: the next one ends its session, and it is fenced when it wakes."""
    for point in ('batch-written:1', 'commit-before:1', 'commit-after:1'):
        with Site(server, 'zombie_' + point.split(':')[0]) as s:
            s.sql('create table t(k bigint, v text)')
            old = s.place.start('copy', s.csv(ROWS), s.url('t'), '--no-progress', WH_TEST_STOP=point)
            if not t.check(harness.wait_stopped(old, 30), 'it stops at ' + point):
                harness.end(old)
                continue
            time.sleep(harness.STALE_MS / 1000 + 0.2)
            code, out, err = s.place.run('resume', '--json')
            if code == 5 and 'E7002' in out:  # stopped while its keeper wrote into the state: said with its pid, and all it is
                old.send_signal(signal.SIGCONT)
                t.check(harness.finish(old, 60)[0] == 0 and s.sql('select count(*), sum(k) from t') == SUM, 'it goes on itself')
                continue
            t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM, 'resumed beside a zombie at ' + point,
                    went(code, out, err))
            old.send_signal(signal.SIGCONT)
            zcode, zout, zerr = harness.finish(old, 60)
            t.check(zcode == 10, 'the zombie of %s ends with 10' % point, went(zcode, zout, zerr))
            t.check(s.sql('select count(*), sum(k) from t') == SUM, 'the zombie of %s adds nothing' % point)
            t.check(s.ours() == '', 'nothing is left of ' + point, s.ours())


def no_right(t, server):
    """The zombie's role may not be ended: exit 10, with its pid and what to grant."""
    with Site(server, 'no_right') as s:
        s.sql('create role weak login in role trusted; create table t(k bigint, v text); grant all on t to weak; grant all on schema public to weak;'
              'alter default privileges in schema public grant all on tables to public')
        url = s.url('t').replace('postgres@', '')
        old = s.place.start('copy', s.csv(ROWS), url, '--no-progress', WH_TEST_STOP='commit-before:1', PGUSER='postgres')
        if not t.check(harness.wait_stopped(old, 30), 'it stops'):
            harness.end(old)
            return
        time.sleep(harness.STALE_MS / 1000 + 0.2)
        code, out, err = s.place.run('resume', '--json', PGUSER='weak')
        t.check(code == 10 and 'pg_terminate_backend' in out + err and 'pid' in out + err, 'exit 10 with pid and grant',
                went(code, out, err))
        harness.end(old)
        for _ in range(50):
            if s.sql("select count(*) from pg_stat_activity where application_name like 'wherry/%' and datname = current_database()") == '0':
                break
            time.sleep(0.1)
        code, out, err = s.place.run('resume', '--json', PGUSER='weak')
        t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM, 'and when it is gone, resume goes on', went(code, out, err))


def two_states(t, server):
    """Another machine's run, which our state does not know, holds its target in the database."""
    with Site(server, 'two') as s:
        s.sql('create table t(k bigint, v text)')
        code, out, err = s.copy(s.csv(ROWS), 't', WH_TEST_KILL='commit-after:1')
        t.check(code == -signal.SIGKILL, 'the first is killed', went(code, out, err))
        home = s.place.env['HOME']
        s.place.env['HOME'] = s.place.path('home2')
        os.mkdir(s.place.env['HOME'])
        code, out, err = s.copy('in.csv', 't')
        t.check(code == 2 and 'E7005' in out + err and 'resume' in out + err, 'the second is refused', went(code, out, err))
        code, out, err = s.copy('in.csv', 't2')
        t.check(code == 0, 'another table may be written', went(code, out, err))
        s.place.env['HOME'] = home
        code, out, err = s.place.run('resume', '--json')
        t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM, 'the first is resumed', went(code, out, err))


def twin(t, server):
    """A marker that is there already is looked up: its unit is not written again."""
    with Site(server, 'twin') as s:
        s.sql('create table t(k bigint, v text)')
        p = s.place.start('copy', s.csv(ROWS), s.url('t'), '--no-progress', '--json', WH_TEST_STOP='lease-after:1')
        t.check(harness.wait_stopped(p, 30), 'it stops')
        run = s.sql('select run from wherry_run')
        s.sql("insert into wherry_unit(run, flow, generation, unit, attempt, epoch, rows, bytes, dirty, filtered, skipped) "
              "values('%s', 0, 1, 1, 1, 1, 3999, 7, 0, 1, 0)" % run)
        p.send_signal(signal.SIGCONT)
        code, out, err = harness.finish(p, 60)
        e = harness.finished(out)
        t.check(code == 0 and (e.get('rows_written'), e.get('rows_filtered')) == (3999, 1) and s.sql('select count(*) from t') == '0',
                'the marker is believed', went(code, out, err) + run)


def shapes(t, server):
    """Columns that are added, types of new tables, rights and schemas that are not there."""
    with Site(server, 'shapes') as s:
        s.sql("create table t(k int); insert into t values(0); create view vw as select 1 as k; create schema other")
        src = s.csv('k,v\n1,x\n')
        code, out, err = s.copy(src, 't')
        t.check(code == 2 and 'E3005' in out + err and 'evolve' in out + err, 'a column too many', went(code, out, err))
        code, out, err = s.copy(src, 't', '--evolve', 'add')
        t.check(code == 0 and s.sql('select * from t order by 1') == '0|\n1|x', 'a column is added', went(code, out, err))
        for table, word in (('vw', 'E3010'), ('nowhere.t', 'nowhere'), ('wherry_unit', 'E3013')):
            code, out, err = s.copy(src, table)
            t.check(code == 2 and word in out + err, 'refused: ' + table, went(code, out, err))
        code, out, err = s.copy(src, 'other.n', '--key', 'k')
        t.check(code == 0 and s.sql('select * from other.n') == '1|x', 'another schema', went(code, out, err))
        s.sql("create table tr(k int, v text); create function f() returns trigger language plpgsql as "
              "'begin raise exception ''no''; end'; create trigger a before insert on tr for each row execute function f()")
        code, out, err = s.place.run('copy', src, s.url('tr'), '--to', 'triggers=false', '--json')
        t.check(code == 0 and s.sql('select * from tr') == '1|x', 'triggers are silent', went(code, out, err))


def marker_off(t, server):
    """Without markers: at least once, said so, and none of our tables is made."""
    with Site(server, 'markerless') as s:
        s.sql('create table t(k bigint, v text)')
        src = s.csv(ROWS)
        code, out, err = s.place.run('plan', src, s.url('t'), '--marker', 'off')
        t.check(code == 0 and 'at least once' in out, 'the plan says it', went(code, out, err))
        code, out, err = s.copy(src, 't', '--marker', 'off')
        t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM, 'rows without markers', went(code, out, err))
        t.check(s.sql("select count(*) from pg_class where relname like 'wherry%'") == '0', 'no table of ours')
        s.sql('create schema m; truncate t')
        code, out, err = s.place.run('copy', src, s.url('t'), '--to', 'marker_schema=m', '--json')
        t.check(code == 0 and s.sql("select count(*) from pg_class where relname like 'wherry%' and relkind = 'r' and relnamespace = "
                                    "'m'::regnamespace") == '3', 'markers in a schema of their own', went(code, out, err))


def rebuilt(t, server):
    """The state folder is lost in the middle; what the database keeps is enough."""
    with Site(server, 'rebuilt') as s:
        s.sql('create table t(k bigint, v text)')
        code, out, err = s.copy(s.csv(ROWS), 't', WH_TEST_KILL='commit-after:1')
        t.check(code == -signal.SIGKILL, 'it is killed', went(code, out, err))
        s.place.forget()
        code, out, err = s.place.run('resume', '--rebuild-state', s.url('t'), '--json')
        t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM, 'resumed from what the database keeps',
                went(code, out, err) + s.sql('select count(*), sum(k) from t'))


def marker_table(t, server):
    """write.marker: units and steps leave their markers there and nowhere else; runs with other marker tables find each other;
    resume, a lost state, giving up and the end find the table; it may not change under way, and is never listed."""
    def count(s, table='meta.m'):
        return s.sql('select count(*) from ' + table)
    begun = lambda s, *flags, **env: s.copy('in.csv', 't', '-j', '1', *flags, WH_TEST_UNIT_BYTES='16384', **env)
    with Site(server, 'marker_table') as s:
        s.csv(ROWS)
        s.sql('create schema meta; create table t(k bigint, v text)')
        for how in ('resume', 'rebuild', 'give up', 'other'):
            s.sql('truncate t')
            code, out, err = begun(s, '--marker', 'meta.m', WH_TEST_KILL='commit-after:2')
            here = s.sql('select count(*) > 0 from t')
            t.check(code == -signal.SIGKILL and here == 't' and count(s) >= '2' and count(s, 'wherry_unit') == '0', how + ': killed, markers are in meta.m alone',
                    went(code, out, err) + count(s) + here)
            t.check(s.sql("select object from wherry_target") == 'public.t' or '"t"' in s.sql('select object from wherry_target'), how + ': the target is held beside it',
                    s.sql('select * from wherry_target'))
            home = s.place.env['HOME']
            if how == 'other':
                s.place.env['HOME'] = s.place.path('home3')
                os.makedirs(s.place.env['HOME'], exist_ok=True)
                for flags in ([], ['--marker', 'meta.n'], ['--marker', 'public.n']):
                    code, out, err = begun(s, *flags)
                    t.check(code == 2 and 'E7005' in out + err, 'a run with %s finds the one that holds the target' % flags, went(code, out, err))
                code, out, err = s.place.run('discover', s.url('').split('#')[0], '*')
                t.check('meta' not in out and ' m ' not in out, 'meta.m is not listed', went(code, out, err))
                s.place.env['HOME'] = home
            if how == 'rebuild':
                s.place.forget()
                code, out, err = s.place.run('resume', '--rebuild-state', s.url('t'), '--json')
            elif how == 'give up':
                s.place.forget()
                code, out, err = begun(s, '--fresh', '--yes')
                t.check(code == 0 and count(s) == '0' and s.markers() == '0|0|0', 'given up, and copied again without', went(code, out, err) + count(s))
                continue
            else:
                code, out, err = s.place.run('resume', '--json')
            t.check(code == 0 and s.sql('select count(*), sum(k) from t') == SUM and count(s) == '0' and s.markers() == '0|0|0', how + ': finished, each row once',
                    went(code, out, err) + s.sql('select count(*), sum(k) from t') + count(s))
        s.sql('create table meta.x(id int)')
        for flags, words in ((['--marker', 'meta.x'], 'E3013'), (['--marker', 't'], 'E3013'), (['--marker', 'nowhere.m'], 'E3013'), (['--marker', 'a*'], 'E1003')):
            code, out, err = s.copy('in.csv', 't', *flags)
            t.check(code == 2 and words in out + err, 'refused: %s' % flags, went(code, out, err))
        job = 'version: 1\nstreams: [{ name: j, from: in.csv, to: "%s", write: { marker: meta.%s } }]\n'
        name = s.csv(job % (s.url('t'), 'm'), 'job.yaml')
        code, out, err = s.place.run('run', name, '-j', '1', '--no-progress', WH_TEST_UNIT_BYTES='16384', WH_TEST_KILL='commit-after:1')
        s.csv(job % (s.url('t'), 'n'), name)
        code, out, err = s.place.run('run', name, '--no-progress')
        t.check(code == 2 and 'write.marker' in out + err, 'another name is not gone on with', went(code, out, err))


def rounded(t, server):
    """What the server would round without a word is a dirty row, or refused in the plan."""
    with Site(server, 'rounded') as s:
        s.sql("create table a(k int primary key, ts timestamp, tm time, n numeric, i interval);"
              "insert into a values (1, '2024-01-01 10:00:00.123', '10:00:00.5', 1.25, '1 day'), (2, '2024-01-01 10:00:00.1234', '10:00:00', 1, '1 s'),"
              "(3, '1969-12-31 23:59:59.9', '10:00:00.55', 1, null), (4, null, null, 1.255, null), (5, '1969-12-31 23:59:59.9999', '10:00:00', 1e3, null),"
              "(6, '2024-01-01', '10:00:00.5', -1.250, '1 y');"
              "create table b(k int primary key, ts timestamp(3), tm time(1), n numeric(100,2)); create table c(k int, i interval day)")
        code, out, err = s.place.run('copy', s.url('a'), s.url('b'), '--columns', 'k,ts,tm,n', '--dirty', 'rows=9', '--json')
        e = harness.finished(out)
        t.check(code == 0 and e.get('rows_dirty') == 4 and s.sql('select k from b order by 1') == '1\n6', 'four of six would be rounded',
                went(code, out, err) + s.sql('select * from b'))
        code, out, err = s.place.run('copy', s.url('a'), s.url('c'), '--columns', 'k,i', '--json')
        t.check(code == 2 and 'E3004' in out + err, 'interval day is refused', went(code, out, err))
        code, out, err = s.place.run('copy', s.url('b'), s.url('d'), '--json')
        t.check(code == 0 and s.sql('select count(*) from b join d using (k, ts, tm, n)') == '2', 'the same types need no check', went(code, out, err))


def odd_types(t, server):
    """Columns without a binary form of ours: cast from text, and a text that is none is the row's fault."""
    with Site(server, 'odd') as s:
        s.sql("create type mood as enum ('sad', 'ok'); create domain pos as int check (value > 0);"
              "create table a(k int primary key, i inet, m mood, arr int[], r int4range, b bit(3), p point, v tsvector, d pos, mo money);"
              "insert into a select g, '10.0.0.1/8', 'ok', array[g, null], int4range(1, g + 2), b'101', point(1, g), 'a b'::tsvector, g, g "
              'from generate_series(1, 500) g')
        for mode in ('append', 'overwrite', 'upsert'):
            code, out, err = s.place.run('copy', s.url('a'), s.url('b'), '--mode', mode, '--json', '--from', 'frames=false',
                                         *(['--key', 'k'] if mode != 'append' else []))
            if not t.check(code == 0, 'odd types, ' + mode, went(code, out, err)):
                continue
            t.check(s.sql('select count(*) from a x join b y on x.k = y.k and x::text = y::text') == '500', 'odd types come through, ' + mode,
                    s.sql('select x, y from a x join b y using (k) limit 1'))
            if mode == 'append':
                s.sql('truncate b; alter table b alter d type pos')
        src = s.csv('k,i,m\n1,10.0.0.1,ok\n2,nonsense,ok\n3,10.0.0.2,glad\n4,::1,sad\n')
        s.sql('create table c(k int primary key, i inet, m mood)')
        code, out, err = s.copy(src, 'c', '--dirty', 'rows=5')
        t.check(code == 0 and s.sql('select k from c order by 1') == '1\n4', 'texts that are no values are dirty', went(code, out, err))


def refused_by_key(t, server):
    """Refusals where rows meet others by key: found one by one, all others are in."""
    with Site(server, 'by_key') as s:
        s.sql("create table t(k int primary key, v int check (v <> 13)); insert into t select g, 0 from generate_series(1, 3000) g")
        rows = 'k,v\n' + ''.join('%d,%d\n' % (i, 13 if i in (7, 2000, 5999) else 1) for i in range(1, 6001))
        for mode, written, filtered, dirty in (('upsert', 5997, 0, 3), ('update', 5997, 1, 2), ('insert-ignore', 0, 5997, 3)):
            code, out, err = s.copy(s.csv(rows), 't', '--mode', mode, '--dirty', 'rows=5')
            e = harness.finished(out)
            t.check(code == 0 and [e.get(k) for k in ('rows_written', 'rows_filtered', 'rows_dirty')] == [written, filtered, dirty],
                    'refused rows of ' + mode, went(code, out, err))
            t.check(s.sql('select count(*), sum(v), sum(k) from t') == '5999|5997|%d' % (6000 * 6001 // 2 - 5999),
                    'all others are in, ' + mode, s.sql('select count(*), sum(v) from t'))


def verified(t, server):
    """At resume the table must be the one that it was, with its markers and rows."""
    spoil = {'truncated': 'truncate t', 'dropped': 'drop table t', 'made again': 'drop table t; create table t(k bigint, v text)',
             'markers gone': 'delete from wherry_unit', 'our tables gone': 'drop table wherry_run, wherry_unit, wherry_target'}
    for i, (what, sql) in enumerate(sorted(spoil.items())):
        with Site(server, 'verified_%d' % i) as s:
            s.sql('create table t(k bigint, v text)')
            # Recorded, then killed: the next one finds a unit that is done.
            code, out, err = s.copy(s.csv(ROWS), 't', WH_TEST_KILL='record-after:1')
            t.check(code == -signal.SIGKILL, 'it is killed', went(code, out, err))
            s.sql(sql)
            code, out, err = s.place.run('resume', '--json')
            t.check(code in (1, 2) and re.search('E7009|E3001|E7008', out + err), 'resume tells: ' + what, went(code, out, err))


def parallel(t, server):
    """Lanes side by side into one table, by key; each row once, no deadlock is the user's."""
    with Site(server, 'parallel') as s:
        s.sql('create table a(k int primary key, v text); insert into a select g, md5(g::text) from generate_series(1, 200000) g;'
              'vacuum analyze a; create table b(k int primary key, v text); insert into b select k, null from a where k % 3 = 0')
        for mode in ('upsert', 'overwrite', 'replace', 'insert-ignore', 'update'):
            code, out, err = s.place.run('copy', s.url('a'), s.url('b'), '--mode', mode, '-j', '4', '--json',
                                         WH_TEST_UNIT_BYTES=str(1 << 20))
            t.check(code == 0 and s.sql('select count(*) from a join b using (k, v)') == '200000', 'four lanes, ' + mode,
                    went(code, out, err))
            t.check(not harness.unbalanced(harness.finished(out)), 'its counts, ' + mode)


def tiny(t, server):
    """Many small tables, each with its own step, unit and marker; 5,000 of them take less than a minute."""
    n = harness.depth('WH_TEST_TABLES', 5000 if harness.depth('WH_TEST_KILLS', 5) >= 20 else 200)
    with Site(server, 'tiny') as s:
        s.sql('create schema a; create schema b; do $$ begin for i in 1..%d loop execute format('
              "'create table a.t%%s as select g as k, ''v''||g as v from generate_series(1, 10) g', i); end loop; end $$" % n)
        start = time.monotonic()
        code, out, err = s.place.run('copy', s.url('a.*'), s.url('b.{source.table}'), '--no-progress', '-q', timeout=600)
        seconds = time.monotonic() - start
        print('%d tables: %.1f s, %.1f ms each' % (n, seconds, 1000 * seconds / n))
        rows = s.sql("select count(*), sum((xpath('/row/c/text()', query_to_xml('select count(*) as c from b.'||relname, false, true, '')))[1]"
                     "::text::int) from pg_class where relnamespace = 'b'::regnamespace and relkind = 'r' and relname !~ '^wherry'")
        t.check(code == 0 and rows == '%d|%d' % (n, 10 * n), 'every table is there', went(code, out, err) + rows)
        t.check(s.markers('b') == '0|0|0' and s.ours() == '', 'nothing is left')
        t.check(n < 5000 or seconds < 60, '5,000 tables in a minute', '%.1f s' % seconds)


def locked_by_a_person(t, server):
    """A table that somebody locks: the message names who, and nothing hangs for ever."""
    with Site(server, 'person') as s:
        s.sql('create table t(k bigint, v text); create table o(k bigint, v text)')
        p = subprocess.Popen(s.server.psql(s.database), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        p.stdin.write(b"set application_name = 'somebody'; begin; lock table t; lock table o in access share mode;\n")
        p.stdin.flush()
        time.sleep(0.5)
        for table, mode in (('t', 'append'), ('o', 'overwrite')):
            url = s.url(table, lock_timeout='1s')
            code, out, err = s.place.run('copy', s.csv(ROWS), url, '--mode', mode, '--json', timeout=100)
            t.check(code in (5, 10) and 'somebody' in out + err, '%s into a locked table names who' % mode, went(code, out, err))
        p.stdin.close()
        p.wait(10)
        for _ in range(2):
            codes = [s.place.run('resume', r['run'], '--json')[0] for r in harness.events(s.place.run('status', '--json')[1]) if r.get('run')]
        t.check(s.sql('select count(*), sum(k) from o') == SUM, 'and when it is let go, resume goes on', codes)


def dropped_beside(t, server):
    """Red when somebody's schema with tables of ours, dropped between our listing and our look, fails a run that has nothing
    to do with it. The drop holds its locks until one of our sessions waits for them."""
    with Site(server, 'beside') as s:
        s.sql('create table t(k bigint, v text)')
        code, out, err = s.place.run('copy', s.csv(ROWS), s.url('t'))
        t.check(code == 0, 'a run', went(code, out, err))
        for i in range(6):
            s.sql('create schema other; ' + '; '.join('create table other.%s (like public.%s including all)' % (x, x)
                                                      for x in ('wherry_run', 'wherry_unit', 'wherry_target')))
            p = subprocess.Popen(s.server.psql(s.database), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            p.stdin.write(b'begin; drop schema other cascade;\n')
            p.stdin.flush()
            end = time.monotonic() + 20
            while s.sql("select count(*) from pg_locks l join pg_class c on c.oid = l.relation where c.relname = 'wherry_run' "
                        "and l.mode = 'AccessExclusiveLock'") == '0' and time.monotonic() < end:
                time.sleep(0.02)
            run = s.place.start('copy', s.csv(ROWS), s.url('t'), '--again', '--json')
            while run.poll() is None and s.sql('select count(*) from pg_locks where not granted') == '0' and time.monotonic() < end:
                time.sleep(0.02)
            p.stdin.write(b'commit;\n')
            p.stdin.close()
            p.wait(20)
            code, out, err = harness.finish(run, 60)
            t.check(code == 0, 'run %d beside a schema that goes away' % i, went(code, out, err))


TESTS = [modes, replaced, replaced_parents, overwrite_keeps, overwrite_others, odd_types, rounded, refused, refused_by_key, checked_before, verified, parallel,
         tiny, locked_by_a_person, killed, zombie, no_right, two_states, twin, shapes, marker_off,
         marker_table, rebuilt, dropped_beside]


def main():
    if not servers.binaries():
        print('SKIPPED no PostgreSQL server is installed')
        return 1 if os.environ.get('CI') == 'true' else 0
    wanted = sys.argv[1:]
    t = harness.Tally('postgresql, writing', harness.seed_of())
    folder = harness.scratch('postgresql')
    server = servers.Postgres(os.path.join(folder, 'data'))
    try:
        for test in TESTS:
            if not wanted or test.__name__ in wanted:
                start = time.monotonic()
                test(t, server)
                print('%-20s %5.1f s' % (test.__name__, time.monotonic() - start))
    finally:
        server.remove()
        subprocess.run(['rm', '-rf', folder], check=False)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
