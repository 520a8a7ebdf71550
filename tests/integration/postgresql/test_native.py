#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Types that somebody made, in a database that has them, has others under their names, or has none; and
values from text that a server would pad, cut or round without a word.

Fails if a new column has not the source's type where it is there, if a missing type is not named in the
plan, if a value changes on the way, or if text that is no value of its column is no dirty row."""
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

MADE = """create schema s;
create type s.mood as enum ('sad', 'it''s ok', '');
create type s.pair as (a int, b text);
create domain s.cents as numeric(12,2) check (value < 1000);
create domain s.words as varchar(3)[];
create type s.span as range (subtype = float8);
"""
ROWS = """create table t (id int primary key, m s.mood, ms s.mood[], p s.pair, c s.cents, w s.words, r s.span, a int[], n inet, g regtype);
insert into t values (1, 'it''s ok', '{sad,NULL,""}', '(1,"a,""b")', 12.34, '{abc,NULL}', '[0.1,inf)', '[-1:0]={1,NULL}', '10.0.0.1/8', 'int4'),
  (2, '', '{}', '(,)', -0.01, '{}', 'empty', '{{1,2},{3,4}}', '::1', '"char"'), (3, null, null, null, null, null, null, null, null, null);
"""
KEPT = ['integer', 's.mood', 's.mood[]', 's.pair', 's.cents', 's.words', 's.span', 'integer[]', 'inet', 'text']
BASE = ['integer', 'text', 'text', 'text', 'numeric(12,2)', 'text', 'text', 'integer[]', 'inet', 'text']
TYPES = ("select string_agg(format_type(atttypid, atttypmod), ' | ' order by attnum) from pg_attribute where attrelid = 't'::regclass "
         'and attnum > 0')
ROW = "select string_agg(t::text, e'\\n' order by id) from t"


def went(code, out, err):
    return 'exit %s\n%s\n%s' % (code, out[-2500:], err[-1500:])


def places(t, pg):
    """A new table in three databases: types that are there, others of the same names, none."""
    place = harness.Place('pgnative')
    other = MADE.replace("'sad', ", "'sad', 'new', ").replace('a int, b', 'a bigint, b').replace('12,2', '14,2')
    pg.database('source')
    pg.sql(MADE + ROWS, database='source')
    try:
        for name, made, want in (('has', MADE, KEPT), ('moved', MADE.replace('s.', 'public.').replace('create schema s;', ''),
                                                      [w.replace('s.', '') for w in KEPT]),
                                 ('others', other, BASE[:5] + ['s.words', 's.span'] + BASE[7:]), ('none', '', BASE)):
            pg.database(name)
            pg.sql(made, database=name)
            urls = pg.url('public.t', database='source'), pg.url('public.t', database=name)
            plan = place.run('plan', *urls)[1]
            said = place.run('copy', *urls, '--no-progress', '--json')
            t.check(said[0] == 0, 'copied to a database that %s' % name, went(*said))
            t.check(pg.sql(TYPES, database=name) == ' | '.join(want), 'types where it %s' % name, pg.sql(TYPES, database=name))
            t.check(pg.sql(ROW, database=name) == pg.sql(ROW, database='source'), 'rows where it %s' % name, pg.sql(ROW, database=name))
            missing = want[1] == 'text'
            t.check(('create type s.mood as enum' in plan) == missing and ('create domain s.cents' in plan) == missing,
                    'the plan names what would make the types where it %s' % name, plan)
    finally:
        place.remove()


# type, values that it has, values that it must refuse
STRICT = [('bit(8)', ['10110001'], ['101', '101100011']), ('varbit(3)', ['101', ''], ['1011']), ('varchar(3)[]', ['{abc}'], ['{abcd}']),
          ('words', ['{abc}'], ['{abcd}']), ('"char"', ['a', '\\377'], ['ab', 'ż']), ('money', ['1.25', '-7'], ['0.001', 'much']),
          ('mood', ['b'], ['B', 'c']), ('inet', ['::1'], ['1.2.3']), ('int4range', ['[1,5)'], ['[5,1]']), ('timetz', ['12:00:00+02'], ['25:00+01'])]


def strict(t, pg):
    """Text into columns of such types: refused values are dirty rows, nothing is padded, cut or rounded."""
    place = harness.Place('pgstrict')
    pg.database('strict')
    pg.sql("create type mood as enum ('a', 'b'); create domain words as varchar(3)[]", database='strict')
    try:
        for i, (kind, good, bad) in enumerate(STRICT):
            with sqlite3.connect(place.path('in.db')) as db:
                db.execute('create table k%d (id integer primary key, v text)' % i)
                db.executemany('insert into k%d (v) values (?)' % i, [(v,) for v in good + bad])
            pg.sql('create table k%d (id int, v %s)' % (i, kind), database='strict')
            said = place.run('copy', 'in.db#k%d' % i, pg.url('public.k%d' % i, database='strict'), '--dirty', 'rows=10', '--no-progress', '--json')
            event = harness.finished(said[1])
            t.check(said[0] == 0 and event.get('rows_dirty') == len(bad) and not harness.unbalanced(event), 'dirty rows of ' + kind, went(*said))
            ids = pg.sql("select string_agg(id::text, ',' order by id) from k%d" % i, database='strict')
            t.check(ids == ','.join(str(n + 1) for n in range(len(good))), 'the others of ' + kind, ids)
        for kind in ('numeric(10,2)[]', 'timetz(0)', 'timestamp(3)[]'):
            pg.sql('drop table if exists r; create table r (id int, v %s)' % kind, database='strict')
            said = place.run('copy', 'in.db#k0', pg.url('public.r', database='strict'), '--json')
            t.check(said[0] == 2 and 'E3004' in said[1] + said[2], 'rounding needs consent: ' + kind, went(*said))
    finally:
        place.remove()


def main():
    t = harness.Tally('postgresql, types of its own', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        for test in (places, strict):
            test(t, pg)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
