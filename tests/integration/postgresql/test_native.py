#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Types that somebody made, in a database that has them, has others under their names, or has none; and
values from text that a server would pad, cut or round without a word.

Fails if a new column has not the source's type where it is there, if a missing type is not named in the
plan, if a value or an amount changes on the way, or if text that is no value of its column is no dirty row."""
import json
import os
import shutil
import sqlite3
import subprocess
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


WORDS = """create type mood as enum ('sad'); create table words (id int, m mood, mo money, n inet, a int[], r int4range, j jsonb, x xml);
create table many (id int, a inet, b cidr, c int[], d text[], e int4range, f tsvector, g "char", h bit(3), i timetz);
create table known (id int, m mood, t text, n numeric, d date, j json, u uuid, v interval, c "char", o oid)"""
SAID = {'words': '"n" (inet), "a" (integer[]), "r" (int4range), "x" (xml) arrive as postgresql\'s text, exact, but of no type of its own',
        'many': '"a" (inet), "b" (cidr), "c" (integer[]), "d" (text[]), "e" (int4range), "f" (tsvector) and 2 more arrive as postgresql\'s text, '
                'exact, but of no type of its own', 'known': None}


def words(t, pg):
    """The plan says which columns arrive as the server's text where the destination is another system."""
    place = harness.Place('pgwords')
    pg.database('words')
    pg.sql(WORDS, database='words')
    try:
        for table, said in SAID.items():
            for there in ('out.db#t', 'out.csv', 'out.jsonl', 'null:', pg.url('public.%s2' % table, database='words')):
                plan = place.run('plan', pg.url('public.' + table, database='words'), there, '--json')
                lines = [w['message'] for w in json.loads(plan[1].splitlines()[-1])['tables'][0]['warnings']] if plan[0] == 0 else plan
                want = [said] if said and 'postgresql://' not in there else []
                t.check(lines == want, 'warnings of %s to %s' % (table, there.partition(':')[0]), '%s\n%s' % (lines, went(*plan)))
                if want:
                    plan = place.run('plan', pg.url('public.' + table, database='words'), there)
                    t.check('  warning: %s\n' % said in plan[1], 'for people, too', plan[1])
    finally:
        place.remove()


def locales(folder):
    """LOCPATH with es_CL, whose money has $ as C has and a point between thousands, and ja_JP, which has
    no decimals."""
    os.mkdir(folder)
    os.chmod(folder, 0o755)
    for name in ('es_CL', 'ja_JP'):
        subprocess.run(['localedef', '-i', name, '-f', 'UTF-8', os.path.join(folder, name + '.UTF-8')], stdout=subprocess.DEVNULL,
                       stderr=subprocess.DEVNULL, check=False)
    for name in ('C.utf8', 'C.UTF-8'):
        if os.path.isdir('/usr/lib/locale/' + name):
            shutil.copytree('/usr/lib/locale/' + name, os.path.join(folder, name))
    return all(os.path.isdir(os.path.join(folder, name + '.UTF-8')) for name in ('es_CL', 'ja_JP'))


def money(t):
    """Amounts between databases of different lc_monetary: $1.50 as es_CL reads it is 150. Never
    silently: a number where it is a column's own, else refused, or kept as text with a warning."""
    folder = harness.scratch('locales')
    os.chmod(folder, 0o755)
    if not shutil.which('localedef') or not locales(os.path.join(folder, 'all')):
        t.skip('no locale can be made here (localedef; es_CL, ja_JP)')
        shutil.rmtree(folder)
        return
    os.environ['LOCPATH'] = os.path.join(folder, 'all')
    place = harness.Place('pgmoney')
    try:
        with servers.Postgres() as pg:
            for name in ('us', 'us2', 'chile', 'japan'):
                pg.database(name)
                pg.sql('create schema s; create type s.purse as (owner text, spare money); create domain s.price as money', database=name)
            pg.sql("alter database chile set lc_monetary = 'es_CL.UTF-8'; alter database japan set lc_monetary = 'ja_JP.UTF-8'")
            looks = [pg.sql("select '$1.50'::money::numeric", database='chile'), pg.sql("select scale(1::money::numeric)", database='japan')]
            t.check(looks == ['150.00', '0'], 'the locales are there', looks)
            pg.sql("create table whole (id int, v money); insert into whole values (1, 1234), (2, -7), (3, null); "
                   "create table cents (id int, v money, w s.price); insert into cents values (1, 1.50, 2), (2, 3, 0.01), (3, 5, 6); "
                   "create table deep (id int, v money[], p s.purse); insert into deep values (1, '{1.50,-1234}', '(a,1.50)')", database='us')

            def copy(table, there, *words):
                urls = pg.url('public.' + table, database='us'), pg.url('public.' + table, database=there)
                return place.run('copy', *urls, '--no-progress', '--json', *words)

            for there in ('us2', 'chile', 'japan'):
                said = copy('whole', there)
                rows = pg.sql("select string_agg(id || ' ' || coalesce(v::numeric::int::text, '-'), ', ' order by id) from whole", database=there)
                t.check(said[0] == 0 and rows == '1 1234, 2 -7, 3 -', 'whole amounts to ' + there, '%s %s' % (rows, went(*said)))
            for there, dirty, want in (('chile', 0, '1 1.50 2.00, 2 3.00 0.01, 3 5.00 6.00'), ('japan', 2, '3 5 6')):
                said = copy('cents', there, '--dirty', 'rows=5')
                rows = pg.sql("select string_agg(concat(id, ' ', v::numeric, ' ', w::numeric), ', ' order by id) from cents", database=there)
                t.check(said[0] == 0 and harness.finished(said[1]).get('rows_dirty') == dirty and rows == want,
                        'cents to %s: dirty where there are none' % there, '%s %s' % (rows, went(*said)))
            said = copy('deep', 'us2')
            t.check(said[0] == 0 and pg.sql('select * from deep', database='us2') == pg.sql('select * from deep', database='us'),
                    'money in arrays and composites, written alike', went(*said))
            plan = place.run('plan', pg.url('public.deep', database='us'), pg.url('public.deep', database='chile'))
            t.check(plan[0] == 0 and plan[1].count('lc_monetary') == 2, 'the plan warns', went(*plan))
            said = copy('deep', 'chile')
            t.check(said[0] == 0 and pg.sql('select v, p, pg_typeof(v), pg_typeof(p) from deep', database='chile')
                    == '{$1.50,"-$1,234.00"}|(a,$1.50)|text|text', 'kept as text', went(*said))
            pg.sql('drop table deep; create table deep (id int, v money[], p s.purse)', database='chile')
            said = copy('deep', 'chile')
            t.check(said[0] == 2 and 'E3004' in said[1] and 'lc_monetary' in said[1] and pg.sql('select count(*) from deep', database='chile') == '0',
                    'a table that is there: refused', went(*said))
    finally:
        del os.environ['LOCPATH']
        place.remove()
        shutil.rmtree(folder)


def main():
    t = harness.Tally('postgresql, types of its own', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        for test in (places, strict, words):
            test(t, pg)
    money(t)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
