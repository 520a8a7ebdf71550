#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A run that a killed process left in PostgreSQL and that is in nobody's state: refused, and given up with
`--fresh --yes` where its owner is provably dead.

Red when such a target is held for ever, or given up without consent, silently, while its owner lives or
cannot be seen; when rows that stay are miscounted; when a stage of it stays, or one of another run goes."""
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

ROWS = 100
OPEN = "select count(*) from %s.wherry_run where state = 'open'"
STAGES = "select coalesce(string_agg(relname, ',' order by 1), '') from pg_class where relname like 'wherry\\_stage%' and relkind = 'r'"


def sessions_end(pg):
    """The server notices within a second that a client is gone."""
    until = time.time() + 20
    while pg.sessions('wherry/%/e%') and time.time() < until:
        time.sleep(0.05)


def copy(place, table, mode, *words, **env):
    code, out, err = place.run('copy', 'in.csv', table, '--mode', mode, '--no-progress', *words, **env)
    return code, out, err


def lost(t, pg, place, table, mode, point):
    """A copy that was killed there, and its state gone."""
    code, _, err = copy(place, table, mode, WH_TEST_KILL=point)
    t.check(code == -9, '%s: killed at %s' % (mode, point), err)
    place.forget(holders=True)
    sessions_end(pg)


def taken(t, pg, place, schema, mode, point, stay):
    """stay: rows of the dead run that show, or None where it did not get that far."""
    name = '%s.%s_%s' % (schema, mode, point.partition(':')[0].replace('-', '_'))
    what, table = '%s after %s' % (mode, point), pg.url(name)
    if mode != 'create':
        pg.sql('create table %s(id int, name text); insert into %s values (-1, null)' % (name, name))
    verb = 'append' if mode == 'create' else mode
    lost(t, pg, place, table, verb, point)
    others = 'wherry_stage_000000000000_f1_g1'
    pg.sql('create table %s.%s(a int)' % (schema, others))
    code, _, err = copy(place, table, verb)
    t.check(code == 2 and 'E7005' in err and ', gone)' in err and '--fresh --yes' in err and '--rebuild-state' in err,
            what + ': refused, and names the ways out', '%s\n%s' % (code, err))
    code, _, err = copy(place, table, verb, '--fresh')
    t.check(code == 2 and 'E1012' in err and ' %d rows' % stay in err, what + ': --fresh alone asks, with the count',
            '%s\n%s' % (code, err))
    t.check(pg.sql(OPEN % schema) == '1', what + ': asking touches nothing')
    code, out, err = copy(place, table, verb, '--fresh', '--yes', '--json')
    event = harness.finished(out)
    t.check(code == 0 and event.get('rows_staying', 0) == stay and 'given up' in out, what + ': taken over',
            '%s %s\n%s%s' % (code, event, out, err))
    # An overwrite replaces them, of course.
    want = {'append': (ROWS + stay + 1, ROWS + 1), 'create': (ROWS + stay, ROWS), 'overwrite': (ROWS, ROWS)}[mode]
    t.check(pg.sql('select count(*), count(distinct id) from ' + name) == '%d|%d' % want, what + ': what stays is what was said')
    t.check(pg.sql(STAGES) == others, what + ': its stages are gone, those of others stay', pg.sql(STAGES))
    pg.sql('drop table %s.%s' % (schema, others))
    left = pg.sql('select (%s), (select count(*) from %s.wherry_unit), (select count(*) from %s.wherry_target)' % (
        OPEN % schema, schema, schema))
    t.check(left == '0|0|0', what + ': nothing is open', left)
    t.check(place.leftovers() == [], what + ': nothing is left in the state', place.leftovers())


def not_dead(t, pg, place):
    """What lives, or cannot be seen from here, is not taken over, whatever the flags."""
    table = pg.url('public.far')
    lost(t, pg, place, table, 'append', 'record-after:1')
    pg.sql("update wherry_run set host = 'elsewhere.example' where state = 'open'")
    code, _, err = copy(place, table, 'append', '--fresh', '--yes')
    t.check(code == 2 and 'E7005' in err and 'elsewhere.example' in err and 'not to be seen' in err and 'wherry_run set' in err,
            "a run of another host stays its owner's", '%s\n%s' % (code, err))
    t.check(pg.sql('select count(*) from far') == str(ROWS), 'its rows are as they were')
    pg.sql("update wherry_run set state = 'closed' where state = 'open'")  # as the hint says
    code, _, err = copy(place, table, 'append')
    t.check(code == 0, 'and what the hint says helps', err)
    other = place.path('other')
    os.mkdir(other)
    p = place.start('copy', 'in.csv', pg.url('public.living'), WH_TEST_STOP='commit-before:1')
    t.check(harness.wait_stopped(p, 30), 'a run stops before its commit')
    code, _, err = copy(place, pg.url('public.living'), 'append', '--fresh', '--yes', HOME=other)
    t.check(code == 10 and 'E7006' in err, 'a living run is waited for', '%s\n%s' % (code, err))
    # Its sessions are ended, its process is there: stopped, it may come back.
    pg.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry/%'")
    sessions_end(pg)
    code, _, err = copy(place, pg.url('public.living'), 'append', '--fresh', '--yes', HOME=other)
    t.check(code == 10 and 'E7006' in err, 'so is a stopped one without sessions', '%s\n%s' % (code, err))
    harness.end(p)


def several(t, pg, place):
    """One dead run with targets in two schemas is given up as one, in both."""
    pg.sql('create schema here; create schema there')
    with open(place.path('two.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nconnections:\n  dw: { type: postgresql, host: 127.0.0.1, port: %d, user: postgres, database: postgres }\nstreams:\n' % pg.port)
        for schema in ('here', 'there'):
            f.write('  - { name: %s, from: in.csv, to: { conn: dw, schema: %s, table: t } }\n' % (schema, schema))
    code, _, err = place.run('run', 'two.yaml', WH_TEST_KILL='record-after:2')
    t.check(code == -9, 'two schemas: killed', '%s %s' % (code, err))
    place.forget(holders=True)
    sessions_end(pg)
    code, out, err = place.run('run', 'two.yaml', '--fresh', '--yes', '--json')
    t.check(code == 0 and out.count('given up') == 1 and harness.finished(out).get('rows_staying') == 2 * ROWS,
            'two schemas: given up once', '%s %s%s' % (code, out, err))
    left = pg.sql("select (%s) + (%s)" % (OPEN % 'here', OPEN % 'there'))
    rows = pg.sql('select (select count(*) from here.t), (select count(*) from there.t)')
    t.check(left == '0' and rows == '%d|%d' % (2 * ROWS, 2 * ROWS), 'two schemas: closed in both', left + ' ' + rows)


def refused(t, pg, place):
    """A claim that lacks a right leaves no open run, which nobody would ever close."""
    pg.sql('create schema half; create table half.t(id int, name text); create table half.u(id int, name text)')
    code, _, err = copy(place, pg.url('half.u'), 'append')
    pg.sql("""alter role plain nosuperuser; grant usage, create on schema half to plain; grant all on half.t, half.wherry_run, half.wherry_unit to plain;
              grant select on half.wherry_target to plain""")
    t.check(code == 0, 'our tables are there', err)
    code, _, err = copy(place, pg.url('half.t', user='plain', password=servers.PASSWORD), 'append')
    t.check(code == 9 and 'E2006' in err, 'a right is missing', '%s\n%s' % (code, err))
    t.check(pg.sql(OPEN % 'half') == '0', 'and no open run is left', pg.sql('select run, state, epoch from half.wherry_run'))
    pg.sql('grant all on half.wherry_target to plain')
    code, _, err = copy(place, pg.url('half.t', user='plain', password=servers.PASSWORD), 'append')
    t.check(code == 0 and pg.sql(OPEN % 'half') == '0' and pg.sql('select count(*) from half.t') == '%d' % ROWS, 'with it all is well', '%s\n%s' % (code, err))


def main():
    t = harness.Tally('postgresql: runs of the dead are given up', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        place = harness.Place('pg-given-up')
        try:
            with open(place.path('in.csv'), 'w', encoding='utf-8') as f:
                f.write('id,name\n' + ''.join('%d,name %d\n' % (i, i) for i in range(1, ROWS + 1)))
            pg.sql('create schema s')
            for mode, point, stay in (('append', 'record-after:1', ROWS), ('append', 'claim-after', 0), ('create', 'commit-after:1', ROWS),
                                      ('overwrite', 'record-after:1', 0), ('overwrite', 'publish-step-applied', ROWS),
                                      ('overwrite', 'prepare-step-applied', 0)):
                taken(t, pg, place, 's', mode, point, stay)
            not_dead(t, pg, place)
            several(t, pg, place)
            refused(t, pg, place)
        finally:
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
