#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The table of types in docs/connectors/postgresql.md is what the program does.

    tests/integration/postgresql/test_page.py [--write]     --write writes the table anew

Each row is a type with one value: planned into new tables of PostgreSQL and SQLite, copied to CSV and to
JSON lines. Red when a type becomes another one, is written in another way, passes as bytes where the page
says it does not, or the page is older than the program."""
import csv
import json
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

PAGE = os.path.join(ROOT, 'docs', 'connectors', 'postgresql.md')
BEGIN, END = '<!-- types: written by tests/integration/postgresql/test_page.py --write -->\n', '<!-- end of types -->\n'
MADE = """create extension hstore; create type mood as enum ('sad', 'ok'); create domain cents as numeric(12,2);
create type pair as (a int, b text); create type span as range (subtype = float8); create domain words as text[];"""
GIS = "create extension postgis;"
# Types, in the order of the page, and a value of each.
TYPES = [('boolean', 't'), ('smallint', '-1'), ('integer', '-1'), ('bigint', '-1'), ('oid', '4294967295'), ('real', '0.1'), ('double precision', '1e300'),
         ('numeric(10,2)', '1.50'), ('numeric(50,2)', '1.50'), ('numeric', '1.50'), ('numeric(100,2)', '1.50'), ('money', '1234.50'), ('text', 'a "b"'), ('character varying(20)', 'a'),
         ('character(3)', 'a'), ('name', 'a'), ('"char"', 'a'), ('bytea', '\\x00ff'), ('uuid', '6ba7b810-9dad-11d1-80b4-00c04fd430c8'),
         ('json', '{"a":  1}'), ('jsonb', '{"a": 1}'), ('date', '2024-02-29'), ('time', '12:34:56.5'), ('timetz', '12:34:56+05:30'),
         ('timestamp', '2024-02-29 12:34:56.5'), ('timestamptz', '2024-02-29 12:34:56.5+01'), ('interval', '1 mon -2 days 00:00:03'), ('mood', 'ok'), ('cents', '1.50'),
         ('words', '{a,NULL}'), ('integer[]', '{{1,2},{3,NULL}}'), ('text[]', '{"a,b",NULL}'), ('mood[]', '{ok}'), ('pair', '(1,"a,b")'), ('pair[]', '{"(1,a)"}'),
         ('int4range', '[1,5)'), ('nummultirange', '{[1.0,2.5)}'), ('span', '[0.1,1)'), ('inet', '::1'), ('cidr', '10.0.0.0/8'), ('macaddr', '08:00:2b:01:02:03'),
         ('bit(3)', '101'), ('bit varying', '101'), ('tsvector', "'a':1A"), ('tsquery', "'a' & 'b'"), ('xml', '<a/>'), ('jsonpath', '$.a'), ('point', '(1,2)'), ('polygon', '((0,0),(1,1))'),
         ('pg_lsn', '16/B374D848'), ('xid8', '1'), ('regclass', 'pg_class'), ('hstore', '"a"=>NULL'), ('geometry(Point,4326)', 'SRID=4326;POINT(1 2)'), ('geography', 'POINT(1 2)')]


def columns_of(create):
    """The declared types of "c0", "c1".. in a CREATE TABLE, without NOT NULL."""
    return dict(re.findall(r'"(c\d+)" (.+?)(?: not null)?,?\n', create + '\n', re.I))


def plan(place, *words):
    code, out, err = place.run('plan', *words, '--json')
    if code:
        raise AssertionError('plan: %s%s' % (out, err))
    return json.loads(out.splitlines()[-1])['tables'][0]


def rows_of(pg, place, types):
    values = ', '.join("'%s'::%s" % (v.replace("'", "''"), k) for k, v in types)
    pg.sql('create table t (%s); insert into t values (%s)' % (', '.join('c%d %s' % (i, k) for i, (k, _) in enumerate(types)), values))
    here, there = pg.url('public.t'), plan(place, pg.url('public.t'), pg.url('public.t2'))
    made = columns_of(there['steps'][0]['say'])
    lite = columns_of(plan(place, here, 'lite.db#t')['steps'][0]['say'])
    for middle in ('t.csv', 't.jsonl'):
        code, out, err = place.run('copy', here, middle)
        if code:
            raise AssertionError(out + err)
    with open(place.path('t.csv'), encoding='utf-8', newline='') as f:
        text = list(csv.DictReader(f))[0]
    with open(place.path('t.jsonl'), encoding='utf-8') as f:
        line = f.read().strip()
    for i, (kind, _) in enumerate(types):
        name = 'c%d' % i
        alone = plan(place, here, pg.url('public.t3'), '--columns', name)
        value = re.search(r'"%s":(.*?)(?:,"c%d":|}$)' % (name, i + 1), line).group(1)
        native = pg.sql("select format_type(atttypid, atttypmod) from pg_attribute where attrelid = 't'::regclass and attname = '%s'" % name)
        yield [native, there['columns'][i]['source_type'], 'the same' if made[name].replace('public.', '') == native else made[name],
               'yes' if alone['frame'] else 'no', lite[name], code_of(text[name]), code_of(value)]


def code_of(text):
    return '`%s`' % text.replace('|', '\\|')


def table(rows):
    head = ['PostgreSQL', 'column type', 'new column in PostgreSQL', 'as bytes', 'in SQLite', 'a value in CSV', 'in JSON']
    lines = [head, ['---'] * len(head)] + rows
    return ''.join('| %s |\n' % ' | '.join(line) for line in lines)


def main(words):
    t = harness.Tally('the page of PostgreSQL types', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        if pg.sql("select count(*) from pg_available_extensions where name = 'postgis'") != '1':
            t.skip('PostGIS is not installed')
            return t.finish()
        place = harness.Place('pg-page')
        try:
            pg.sql(MADE + GIS)
            got = table(list(rows_of(pg, place, TYPES)))
        finally:
            place.remove()
    with open(PAGE, encoding='utf-8') as f:
        page = f.read()
    before, _, rest = page.partition(BEGIN)
    was, _, after = rest.partition(END)
    if '--write' in words:
        with open(PAGE, 'w', encoding='utf-8') as f:
            f.write(before + BEGIN + got + END + after)
        was = got
    lines, wanted = was.splitlines(), got.splitlines()
    t.check(len(lines) == len(wanted), 'as many types as the page has', '%d, not %d' % (len(wanted), len(lines)))
    for old, new in zip(lines, wanted):
        t.check(old == new, 'the page says', '%s\nit is   %s\n--write writes it anew' % (old, new))
    return t.finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
