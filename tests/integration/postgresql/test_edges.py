#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The edges of PostgreSQL: what seldom happens, and must end as it is written.

Fails if a row that is refused inside of a frame is not named and archived, if an infinity changes on its
way, if a restart of a server ends a copy, if a sequence or a comment of a new table is left behind without
a word, or if a run cannot be given up without its source."""
import json
import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402
from pgsite import Site, went  # noqa: E402


def archive(place, run):
    """The archived dirty rows of a run."""
    for base, _, names in os.walk(place.state('dirty', run)):
        for name in names:
            with open(os.path.join(base, name), encoding='utf-8') as f:
                yield from f


# ---- refused rows of frames -------------------------------------------------------------------------

ROWS = "create table t(k int, v text); insert into t select g, 'v' || g from generate_series(1, 30000) g;"
TARGETS = {
    'check': 'create table t(k int, v text check (v <> \'v17017\'));',
    'unique': 'create table t(k int unique, v text); insert into t values(17017, \'there\');',
    'deferred': 'create table t(k int unique deferrable initially deferred, v text); insert into t values(17017, \'there\');',
    'not null': 'create table t(k int, v text not null);',
    'trigger': "create table t(k int, v text); create function f() returns trigger language plpgsql as 'begin if new.k = 17017 then "
               "raise exception ''no such luck''; end if; return new; end'; "
               'create trigger tr before insert on t for each row execute function f();',
    'encoding': 'create table t(k int, v text);',
}


def refused_in_frames(t, server):
    """A row that the server refuses out of a frame: the limit of dirty rows ends the table, and the row is known."""
    for i, (what, sql) in enumerate(sorted(TARGETS.items())):
        with Site(server, 'frames_%d' % i, 'LATIN1' if what == 'encoding' else None) as s:
            s.src(ROWS + {'not null': 'update t set v = null where k = 17017;', 'encoding': "update t set v = '\u6f22' where k = 17017;"}
                  .get(what, ''))
            s.dst(sql)
            plan = s.place.run('plan', *s.urls())[1]
            t.check('pass through as bytes' in plan, 'rows pass as bytes: ' + what, plan)
            before = s.dst('select count(*) from t')
            code, out, err = s.copy()
            e = harness.finished(out)
            t.check(code == 6 and 'E6001' in out and 'E5011' not in out + err, 'a refused row is a dirty row: ' + what, went(code, out, err))
            t.check(s.dst('select count(*) from t') == before, 'nothing of its unit is there: ' + what)
            text = ''.join(archive(s.place, e.get('run', '')))
            t.check('17017' in text and text.count('\n') == 1, 'the row is archived: ' + what, text)
            code, out, err = s.copy('--dirty', 'rows=2', '--fresh')
            e = harness.finished(out)
            t.check(code == 0 and e.get('rows_dirty') == 1 and not harness.unbalanced(e), 'with a limit it is put aside: ' + what,
                    went(code, out, err))
            t.check(s.dst('select count(*) from t where v <> \'there\'') == '29999', 'and all others are in: ' + what)


def frames_of_casts(t, server):
    """Types that have a binary form but travel as text at the destination: rows are what they were."""
    with Site(server, 'casts') as s:
        columns = '(k int, a inet, c cidr, m macaddr, b bit(3), w bit varying(9), x json, y jsonb, z timetz)'
        s.src("create table t%s; insert into t select g, '10.0.0.1/8', '10.0.0.0/8', '08:00:2b:01:02:03', b'101', b'1', '{\"a\": 1}', "
              "'[1]', '10:00+02' from generate_series(1, 500) g" % columns)
        s.dst('create table t%s' % columns)
        code, out, err = s.copy()
        select = 'select count(*), min(t::text), max(t::text), md5(string_agg(t::text, \'-\' order by k)) from t'
        t.check(code == 0 and s.src(select) == s.dst(select), 'rows are what they were', went(code, out, err))


# ---- a server that is away ------------------------------------------------------------------------------

CSV = 'k,v\n' + ''.join('%d,v%d\n' % (i, i) for i in range(3000))
SUM = '3000|%d' % sum(range(3000))
AWAY = [('append', p) for p in ('claim-before', 'prepare-step-before', 'prepare-step-intended', 'lease-after', 'writer-opened', 'seal-before',
                                'commit-before', 'commit-after', 'run-close-before')] + \
       [('overwrite', p) for p in ('prepare-step-recorded', 'settle-step-intended', 'publish-step-before', 'publish-step-applied',
                                   'drop-step-intended')]


def away(t, _):
    """The destination restarts under a run, and is away for longer than a few tries: the run lives through it."""
    points = AWAY if harness.depth('WH_TEST_KILLS', 5) >= 20 else AWAY[::3] + [a for a in AWAY if a[1] == 'commit-before']
    with servers.Postgres() as pg:
        for mode, point in points:
            pg.sql('drop table if exists t, wherry_run, wherry_unit, wherry_target; create table t(k int, v text)'
                   if not point.startswith('prepare-step') or mode != 'append' else 'drop table if exists t')
            place = harness.Place('pg-away')
            with open(place.path('in.csv'), 'w', encoding='ascii') as f:
                f.write(CSV)
            p = place.start('copy', 'in.csv', pg.url('t'), '--mode', mode, '--no-progress', '--json', WH_TEST_STOP=point + ':1')
            if t.check(harness.wait_stopped(p, 30), 'it stops at ' + point):
                pg.stop(signal.SIGQUIT)
                p.send_signal(signal.SIGCONT)
                time.sleep(3)
                pg.start()
            code, out, err = harness.finish(p, 90)
            t.check(code == 0 and pg.sql('select count(*), sum(k) from t') == SUM, '%s lives through a restart at %s' % (mode, point),
                    went(code, out, err))
            t.check(pg.sql('select (select count(*) from wherry_unit), (select count(*) from wherry_target)') == '0|0',
                    'and is closed: %s' % point)
            place.remove()


def away_for_long(t, _):
    """A server that does not come back: a temporary failure after the time that is allowed, or at once when asked to stop."""
    with servers.Postgres() as pg:
        pg.sql('create table t(k int, v text)')
        place = harness.Place('pg-away')
        with open(place.path('in.csv'), 'w', encoding='ascii') as f:
            f.write(CSV)
        for point, stop in (('lease-after', False), ('commit-before', False), ('lease-after', True), ('commit-before', True)):
            args = ('resume',) if point == 'commit-before' or stop else ('copy', 'in.csv', pg.url('t'))
            p = place.start(*args, '--no-progress', '--json', WH_TEST_STOP=point + ':1', WH_TEST_OUTAGE_MS='60000' if stop else '1500')
            t.check(harness.wait_stopped(p, 30), 'it stops at ' + point)
            pg.stop(signal.SIGQUIT)
            p.send_signal(signal.SIGCONT)
            start = time.monotonic()
            if stop:
                time.sleep(1.5)
                p.send_signal(signal.SIGTERM)
                start = time.monotonic()
            code, out, err = harness.finish(p, 90)
            took, e = time.monotonic() - start, harness.finished(out)
            if stop:
                t.check(code == 143 and took < 2.5, 'asked to stop at %s while it waits' % point, '%.1f s %s' % (took, went(code, out, err)))
            else:
                t.check(code == 5 and e.get('retryable') is True and e.get('resume') and 1 < took < 10 and 'E200' in out,
                        'given up at %s after the time that is allowed' % point, '%.1f s %s' % (took, went(code, out, err)))
            pg.start()
        code, out, err = place.run('resume', '--json')
        t.check(code == 0 and pg.sql('select count(*), sum(k) from t') == SUM, 'resume goes on', went(code, out, err))
        place.remove()


def source_restarts(t, server):
    """The snapshot ends with its server. What can be gone on with or begun again is temporary; what cannot, is not."""
    for name, mode, point, want in (('nothing in', 'append', 'lease-after:1', 5), ('some in', 'append', 'record-after:2', 1),
                                    ('staged', 'overwrite', 'record-after:2', 5)):
        with servers.Postgres() as pg, Site(server, 'restarts') as s:
            pg.sql("create table t(k int, v text); insert into t select g, repeat('v', 100) || g from generate_series(1, 60000) g; analyze t")
            s.dst('create table t(k int, v text)')
            p = s.place.start('copy', pg.url('t'), s.urls()[1], '--mode', mode, '--no-progress', '--json', '-j', '1', WH_TEST_STOP=point,
                              WH_TEST_UNIT_BYTES=str(1 << 20), WH_TEST_PACK_BYTES=str(1 << 20))
            t.check(harness.wait_stopped(p, 30), 'it stops: ' + name)
            pg.restart(immediate=True)
            p.send_signal(signal.SIGCONT)
            code, out, err = harness.finish(p, 90)
            e = harness.finished(out)
            t.check(code == want and ('E7011' in out) == (want == 1) and e.get('retryable') is (want == 5), 'the source restarts, ' + name,
                    went(code, out, err))
            t.check(want == 5 or ('--accept-mixed' in out and '--fresh' in out), 'what can be done is said, ' + name, out[-800:])
            code, out, err = s.place.run('resume', '--json', *(['--accept-mixed'] if want == 1 else []))
            t.check(code == 0 and s.dst('select count(*), sum(k) from t') == pg.sql('select count(*), sum(k) from t'),
                    'resume ends it, ' + name, went(code, out, err))


# ---- giving up ----------------------------------------------------------------------------------------

AT = {'record-after:2': '2 units in', 'claim-after:1': 'claimed, not recorded', 'run-new:1': 'not even owned'}


def discarded(t, server):
    """A run is given up whatever became of its source: nothing is left of it at the destination."""
    ways = {'changed': 'alter table s.a add column more int, alter column v type bytea using null', 'gone': 'drop schema s cascade',
            'more': 'create table s.c(k int)'}
    cases = [(w, src, mode, 'record-after:2') for w in ways for src, mode in (('s.a', 'overwrite'), ('s.*', 'overwrite'), ('s.*', 'append'))]
    cases += [('gone', 's.*', 'append', at) for at in AT if at != 'record-after:2'] + [('server gone', 's.*', 'overwrite', 'record-after:2')]
    for what, source, mode, at in cases:
        with Site(server, 'given_up') as s:
            other = servers.Postgres() if what == 'server gone' else None
            sql, url = (other.sql, other.url) if other else (s.src, lambda o: server.url(o, s.a))
            sql('create schema s; ' + ''.join("create table s.%s(k int, v text); insert into s.%s select g, 'v' from generate_series(1, 20000) "
                                              'g; analyze s.%s; ' % (n, n, n) for n in 'ab'))
            s.dst('create table a(k int, v text); create table b(k int, v text)')
            says = '%s of %s, %s, its source %s' % (mode, source, AT[at], what)
            code, out, err = s.place.run('copy', url(source), server.url('public.{source.table}', s.b), '--mode', mode, '--no-progress',
                                         '--json', '-j', '1', WH_TEST_KILL=at, WH_TEST_UNIT_BYTES='262144', WH_TEST_PACK_BYTES='262144')
            t.check(code == -signal.SIGKILL, 'it is killed: ' + says, went(code, out, err))
            if other:
                other.remove()
            else:
                s.place.end_holders()
                sql(ways[what])
            run = harness.events(s.place.run('history', '--json')[1])[0]['run']
            code, out, err = s.place.run('cancel', run, '--discard', '--yes')
            stays = mode == 'append' and at == 'record-after:2'
            t.check(code == 0 and ('stay' in err) == stays, 'given up: ' + says, went(code, out, err))
            left = '' if at == 'run-new:1' else s.dst("""select 'stage ' || relname from pg_class where relname like 'wherry_stage%' union all
                select 'marker' from wherry_unit union all select 'target' from wherry_target union all
                select 'open run' from wherry_run where state = 'open'""")
            t.check(not left and not s.place.leftovers(), 'and nothing is left: ' + says, '%s %s' % (left, s.place.leftovers()))


# ---- infinities ---------------------------------------------------------------------------------------

INFINITE = """create table t(k int primary key, d date, ts timestamp, tz timestamptz, p timestamp(0));
    insert into t values (1, 'infinity', 'infinity', 'infinity', 'infinity'), (2, '-infinity', '-infinity', '-infinity', '-infinity'),
    (3, '2024-02-29', '2024-02-29 12:00', '2024-02-29 12:00+00', '2024-02-29'), (4, null, null, null, null),
    (5, '5874897-12-31', '294247-01-10 04:00:54.775806', '294247-01-10 04:00:54.775806+00', null),
    (6, '4713-01-01 BC', '4713-01-01 BC', '4713-01-01 00:00+00 BC', null);"""
ROW = "select k, d, ts, tz, p from t order by k"


def infinities(t, server):
    """infinity and -infinity arrive as what they are, or the row is put aside, or they become NULL: never another value."""
    with Site(server, 'inf') as s:
        s.src(INFINITE)
        for name, table, flags in (('new', None, []), ('there', 'create table t(k int primary key, d date, ts timestamp, tz timestamptz, '
                                                       'p timestamp(0))', ['--mode', 'upsert']), ('replaced', '', ['--mode', 'overwrite'])):
            if table is None or table:
                s.dst('drop table if exists t; ' + (table or ''))
            code, out, err = s.copy('--from', 'frames=off', '--validate', 'checksum', *flags)
            t.check(code == 0 and s.src(ROW) == s.dst(ROW), 'decoded, into a table that is %s' % name,
                    went(code, out, err) + str(s.dst(ROW, check=False)))
        # A refused row beside them is archived as it is.
        s.dst('alter table t add check (k <> 1)', check=False)
        s.dst('truncate t; alter table t add check (k <> 1)')
        code, out, err = s.copy('--dirty', 'rows=1')
        t.check(code == 0 and harness.finished(out).get('rows_dirty') == 1, 'one row is put aside', went(code, out, err))
        line = json.loads(next(archive(s.place, harness.finished(out)['run']), '{}'))
        t.check(line.get('row', {}).get('ts') == 'infinity' and line['row'].get('d') == 'infinity', 'as it was', line)
        # Into types and systems that have none.
        s.dst('drop table t; create table t(k int primary key, d timestamp, ts timestamp, x text, tz timestamptz, p date)')
        for what, target, more in (('other types', s.urls()[1], ['--columns', 'k,d,tz,ts,x=ts']), ('CSV', 'out.csv', []), ('SQLite', 'out.db#t', [])):
            src = s.urls()[0]
            code, out, err = s.place.run('copy', src, target, '--json', *more)
            t.check(code == 6 and 'E6012' in out, 'refused by default: ' + what, went(code, out, err))
            run = harness.finished(out).get('run')
            s.place.run('cancel', run, '--discard', '--yes')
            n = 3 if more else 2  # a timestamp does not reach as far as a date
            code, out, err = s.place.run('copy', src, target, '--json', '--dirty', 'rows=%d' % n, *more)
            e = harness.finished(out)
            t.check(code == 0 and e.get('rows_dirty') == n and e.get('rows_written') == 6 - n, 'rows are put aside: ' + what,
                    went(code, out, err))
        rows = sqlite3.connect(s.place.path('out.db')).execute('select k, d, ts from t order by k').fetchall()
        t.check([r[0] for r in rows] == [3, 4, 5, 6] and 'inf' not in repr(rows), 'the others are in SQLite', rows)
        job = """version: 1
streams:
  - from: '%s'
    to: 'null.db#t'
    values: { infinity: 'null' }
""" % s.urls()[0]
        with open(s.place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write(job)
        code, out, err = s.place.run('run', 'j.yaml', '--json')
        t.check(code == 0, 'NULL by policy', went(code, out, err))
        rows = sqlite3.connect(s.place.path('null.db')).execute('select k, d, ts, tz, p from t where k < 3 order by k').fetchall()
        t.check(rows == [(1, None, None, None, None), (2, None, None, None, None)], 'NULL by policy', rows)


# ---- sequences, comments, names, hosts ----------------------------------------------------------------

def sequences(t, server):
    """Sequences of loaded columns go on behind what was loaded, never back; the plan shows the step."""
    table = 'create table t(id int generated by default as identity, s serial, n int generated always as identity, down int, v text);' \
            "create sequence d increment -1 minvalue -1000000 owned by t.down; alter table t alter down set default nextval('d');" \
            'create sequence strange; '
    with Site(server, 'sequences') as s:
        s.src("create table t(id int, s int, n int, down int, v text); insert into t select g, g * 2, g * 3, -g, 'v' from generate_series(1, 900) g")
        add = "insert into t(v) values ('next') returning id, s, n, down"
        for mode in ('append', 'overwrite', 'truncate', 'upsert'):
            s.dst('drop table if exists t; drop sequence if exists strange; ' + table + 'create unique index on t(id)')
            flags = ['--mode', mode] + (['--key', 'id'] if mode == 'upsert' else [])
            plan = s.place.run('plan', *s.urls(), *flags)[1]
            t.check('setval' in plan and 'finish' in plan, 'the plan shows it, ' + mode, plan)
            for point in (None, 'finish-step-applied:1'):
                s.dst('truncate t restart identity')
                code, out, err = s.copy(*flags, WH_TEST_KILL=point)
                if point:
                    t.check(code == -signal.SIGKILL, '%s is killed at %s' % (mode, point), went(code, out, err))
                    code, out, err = s.place.run('resume', '--json')
                t.check(code == 0, '%s, killed at %s' % (mode, point), went(code, out, err))
                t.check(s.dst(add) == '901|1801|2701|-901', 'they go on behind it, %s, killed at %s' % (mode, point), s.dst('select max(id) from t'))
        s.dst("select setval('t_id_seq', 5000), setval('d', -5000)")
        code, out, err = s.copy('--mode', 'truncate')
        t.check(code == 0 and s.dst(add) == '5001|1802|2702|-5001', 'never back', went(code, out, err) + str(s.dst('select * from t_id_seq')))
        s.dst('truncate t restart identity')
        code, out, err = s.place.run('copy', *s.urls(), '--to', 'sequences=false', '--json')
        t.check(code == 0 and s.dst("select nextval('t_id_seq'), nextval('d')") == '1|-1', 'unless that is not wanted', went(code, out, err))
        s.dst('create role seq_w login in role trusted; truncate t restart identity; grant all on t to seq_w; grant usage, create on schema public '
              'to seq_w; drop table wherry_run, wherry_unit, wherry_target')
        code, out, err = s.place.run('copy', s.urls()[0], s.urls()[1].replace('postgres@', 'seq_w@'), '--json')
        t.check(code == 0 and 'warning' in out and 'setval' in out, 'without the right to: a warning', went(code, out, err))


def killed_elsewhere(t, server):
    """Killed at the points that no hard case of the engine suite reaches (ELSEWHERE there): once each row, and closed."""
    with Site(server, 'elsewhere') as s:
        s.src("create table t(id int primary key, v text); insert into t select g, 'v' from generate_series(1, 900) g")
        for point in ['remember-before', 'remember-after'] + ['finish-step-' + p for p in ('before', 'intended', 'applied', 'recorded')]:
            s.dst('drop table if exists t; create table t(id int generated by default as identity, v text)')
            code, out, err = s.copy(WH_TEST_KILL=point + ':1')
            t.check(code == -signal.SIGKILL, 'it is killed at ' + point, went(code, out, err))
            code, out, err = s.place.run('resume', '--json')
            t.check(code == 0 and s.dst("select count(*), sum(id), nextval('t_id_seq') from t") == '900|%d|901' % (900 * 901 // 2),
                    'killed at ' + point, went(code, out, err))
            t.check(s.dst('select (select count(*) from wherry_unit), (select count(*) from wherry_target)') == '0|0', 'closed: ' + point)


STATEMENTS = """version: 1
name: said
streams:
  - from: '%s'
    to: '%s'
    write:
      mode: %s
      before: "insert into log select 'before', count(*) from {target}"
      after: ["insert into log select 'after', count(*) from t", 'analyze {target}']
      on_resume: %s
"""


def statements(t, server):
    """write.before and write.after run once each, whatever is killed; a refused one has the server's words."""
    with Site(server, 'statements') as s:
        s.src("create table t(k int primary key, v text); insert into t select g, 'v' from generate_series(1, 900) g")
        job = s.place.path('job.yaml')

        def run(mode, on_resume='skip', words=('', ''), **env):
            s.dst('drop table if exists t, log; create table t(k int primary key, v text); create table log(what text, n bigint)')
            with open(job, 'w', encoding='utf-8') as f:
                f.write((STATEMENTS % (*s.urls(), mode, on_resume)).replace(*words))
            return s.place.run('run', 'job.yaml', '--no-progress', '--json', **env)

        def log():
            return s.dst("select string_agg(what || ' ' || n, ', ' order by what desc, n) from log")
        for mode in ('append', 'overwrite', 'truncate'):
            for point in (None, 'prepare-step-intended:1', 'prepare-step-applied:1', 'prepare-step-applied:2', 'commit-after',
                          'finish-step-before', 'finish-step-applied:1', 'finish-step-recorded:1', 'finish-step-applied:2', 'closing-recorded'):
                if point == 'prepare-step-applied:2' and mode == 'append':
                    continue  # it has one step
                code, out, err = run(mode, WH_TEST_KILL=point)
                t.check(code == (-signal.SIGKILL if point else 0), '%s: killed at %s' % (mode, point), went(code, out, err))
                if point:
                    code, out, err = s.place.run('resume', '--json')
                t.check(code == 0 and log() == 'before 0, after 900', '%s, killed at %s: once each' % (mode, point),
                        log() + went(code, out, err))
        for point, times in (('prepare-step-recorded', 2), ('commit-before', 2), ('commit-after', 1), ('finish-step-before', 1)):
            code, out, err = run('overwrite', 'repeat', WH_TEST_KILL=point + (':2' if 'prepare' in point else ''))
            code, out, err = s.place.run('resume', '--json')
            t.check(code == 0 and log() == ', '.join(['before 0'] * times + ['after 900']), 'repeat, killed at ' + point, log() + went(code, out, err))
        for words, says in ((('{target}"', 'nowhere"'), 'relation "nowhere" does not exist'), (('{target}"', '{target}; select 1"'), 'multiple commands'),
                            (("'analyze", "'create index concurrently i on t(v)', 'analyze"), 'cannot run inside a transaction block')):
            code, out, err = run('append', words=words)
            event = harness.finished(out)
            t.check(code == 1 and event['tables'][0]['error']['code'] == 'E5016' and says in event['tables'][0]['error']['message'],
                    'a refused statement: ' + says, went(code, out, err))
            code, out, err = s.place.run('cancel', event['run'], '--discard', '--yes')
            t.check(code == 0, 'given up: ' + says, went(code, out, err))


def comments(t, server):
    """A table that is made has the comments of the table that it is made like."""
    with Site(server, 'comments') as s:
        s.src("create table t(k int primary key, v text); comment on table t is 'it''s a table'; comment on column t.v is 'a column'")
        for mode in ('append', 'overwrite'):
            code, out, err = s.copy('--mode', mode)
            t.check(code == 0 and s.dst("select obj_description('t'::regclass), col_description('t'::regclass, 2)") == "it's a table|a column",
                    'comments of a table that is made by ' + mode, went(code, out, err))
            s.dst('drop table t')


def schemas(t, server):
    """A name without a schema is looked for in the search path, and nowhere else."""
    with Site(server, 'schemas') as s:
        s.src('create schema app; create table app.orders(k int); insert into app.orders values(1); create table "Mixed"(k int)')
        code, out, err = s.place.run('copy', s.server.url('orders', s.a), 'x.csv')
        t.check(code == 2 and 'E3001' in err and 'app.orders' in err and not os.path.exists(s.place.path('x.csv')),
                'one in another schema is named, not taken', went(code, out, err))
        code, out, err = s.place.run('copy', s.server.url('mixed', s.a), 'm.csv')
        t.check(code == 0, 'the only one but for its case is taken', went(code, out, err))
        s.src('alter database %s set search_path = app' % s.a)
        code, out, err = s.place.run('copy', s.server.url('orders', s.a), 'x.csv')
        t.check(code == 0, 'in the search path it is', went(code, out, err))


def hosts(t, server):
    """Of several hosts the next one is tried when one is silent; each has its own time."""
    place = harness.Place('pg-hosts')
    with socket.socket() as mute, socket.socket() as other:
        for m in (mute, other):
            m.bind(('127.0.0.1', 0))
            m.listen(5)
        a, b = mute.getsockname()[1], other.getsockname()[1]
        url = 'postgresql:///postgres?host=%s&user=postgres&connect_timeout=1s'
        for ports in ((a, b, server.port), (a, server.port, b), (server.port, a, b)):
            start = time.monotonic()
            code, out, err = place.run('check', url % '127.0.0.1%2C127.0.0.1%2C127.0.0.1', PGPORT='%d,%d,%d' % ports)
            took, n = time.monotonic() - start, ports.index(server.port)
            t.check(code == 0 and n - 0.1 < took < n + 1.5, 'silent hosts before it: %d' % n, '%.1f s %s' % (took, went(code, out, err)))
        start = time.monotonic()
        code, out, err = place.run('check', url % '127.0.0.1%2Clocalhost', PGPORT='%d,%d' % (a, b))
        took = time.monotonic() - start
        t.check(code == 5 and 'E2002' in err and 1.8 < took < 4, 'silent ones alone', '%.1f s %s' % (took, went(code, out, err)))
    for name in 'ab':
        with open(place.path(name), 'w', encoding='ascii') as f:
            f.write('[shop]\nhost=127.0.0.1\nport=%d\nuser=postgres\ndbname=postgres\n' % server.port)
    one = lambda name: 'postgresql:///?service=shop&service_file=%s#' % place.path(name)
    server.sql('create table if not exists here(k int)')
    code, out, err = place.run('plan', one('a') + 'here', one('a') + 'there')
    t.check(code == 0, 'one service file for both sides', went(code, out, err))
    code, out, err = place.run('plan', one('a') + 'here', one('b') + 'there')
    t.check(code == 2 and 'E1007' in err + out and 'one file' in err + out, 'two service files are refused', went(code, out, err))
    place.remove()


# ---- first runs at once -----------------------------------------------------------------------------


def first_runs(t, server):
    """Runs that begin at once in a schema of none of our tables all make them: none fails by that."""
    place = harness.Place('first')
    try:
        with open(place.path('in.csv'), 'w', encoding='utf-8') as f:
            f.write('k\n1\n')
        for i in range(15):
            server.sql('create schema first%d' % i)
            runs = [place.start('copy', 'in.csv', server.url('first%d.t%d' % (i, k)), '--no-progress', '--state', 'state%d' % k)
                    for k in range(6)]
            ends = [harness.finish(p, 60) for p in runs]
            t.check(all(code == 0 for code, _, _ in ends), 'first runs at once', [e[-600:] for code, _, e in ends if code][:2])
    finally:
        place.remove()


TESTS = [first_runs, refused_in_frames, frames_of_casts, away, away_for_long, source_restarts, discarded, infinities, sequences, killed_elsewhere, statements, comments, schemas, hosts]


def main():
    if not servers.binaries():
        print('SKIPPED no PostgreSQL server is installed')
        return 1 if os.environ.get('CI') == 'true' else 0
    wanted = sys.argv[1:]
    t = harness.Tally('postgresql, edges', harness.seed_of())
    with servers.Postgres() as server:
        for test in TESTS:
            if not wanted or test.__name__ in wanted:
                start = time.monotonic()
                test(t, server)
                print('%-24s %5.1f s' % (test.__name__, time.monotonic() - start))
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
