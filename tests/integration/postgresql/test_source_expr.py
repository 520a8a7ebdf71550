#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Columns that the source's server computes (source_expr), judged by psql.

Fails if a computed value is another one than the server's own, at one of the types, in any lane, unit or partition,
or after a kill; if rows come twice or not at all because of what an expression does; if text that is not one value
of each row gets into the statement; or if validate compares what it cannot."""
import json
import os
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402
from pgsite import Site, went  # noqa: E402

ROWS = ("create table t(id int primary key, a int, b text, at timestamptz, m money, ip inet);"
        "insert into t select g, case when g % 5 > 0 then g % 7 end, 'x' || g, '2024-01-01 00:00:00+00'::timestamptz + g * interval '1 minute',"
        " (g / 100.0)::numeric::money, ('10.0.0.' || g % 250)::inet from generate_series(1, {n}) g;")

# What is computed, and what psql says that it is.
VALUES = {
    'n': 'a * 2', 'd': '(a::numeric(12,3) / 3)::numeric(10,2)', 'txt': "b || '-' || coalesce(a, 0)", 'nothing': 'null::date',
    'day': "date_trunc('day', at)::date", 'j': "jsonb_build_object('k', a)", 'u': 'md5(b)::uuid', 'f': 'a::float8 / 7',
    'ok': 'a > 3', 'arr': 'array[id, a]', 'money2': 'm * 2', 'net': 'ip', 'iv': "at - '2024-01-01'::timestamptz",
    'by': "decode(md5(b), 'hex')", 'sub': '(select max(x.a) from t x where x.id <= 10)', 'com': 'a + 1 -- not the end',
    'par': "case when (a in (1, 2)) then ')' else '((' end", 'mine': 'twice(a)', 'qualified': 't.a + t.id',
}


def job(s, columns, extra='', table='t', **options):
    src, dst = s.urls(table, **options)
    lines = ['version: 1', 'streams:', '  - name: one', '    from: %s' % json.dumps(src), '    to: %s' % json.dumps(dst)]
    lines += ['    ' + line for line in extra.splitlines()] + ['    columns:']
    lines += ['      - ' + (c if isinstance(c, str) else json.dumps(c)) for c in columns]
    with open(s.place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write('\n'.join(lines) + '\n')


def computed(names=None):
    return [{'to': k, 'source_expr': VALUES[k]} for k in names or VALUES]


def same(s, names, table='t'):
    """All rows of both ends, as each server's text."""
    want = s.src('select id, %s from %s order by id' % (', '.join('(%s\n)' % VALUES[k] for k in names), table))
    got = s.dst('select id, %s from t order by id' % ', '.join(names))
    return want == got, [p for p in zip(want.splitlines(), got.splitlines()) if p[0] != p[1]][:2] or (len(want), len(got))


def values(t, server):
    """Red when a type, a NULL or a name is another one at the destination."""
    with Site(server, 'expr_values') as s:
        s.src(ROWS.format(n=700) + "create function twice(int) returns int immutable language sql as 'select $1 * 2'")
        job(s, ['id'] + computed())
        code, out, err = s.place.run('run', 'job.yaml', '--json', '--no-progress')
        names = [k for k in VALUES if k != 'money2']
        t.check(code == 0, 'all types', went(code, out, err))
        ok, detail = same(s, names)
        t.check(ok, 'their values', detail)
        t.check(s.dst('select sum(money2::numeric) from t') == s.src('select sum((m * 2)::numeric) from t'), 'money')
        types = s.dst("select string_agg(format_type(atttypid, atttypmod), ' ' order by attname) from pg_attribute where attrelid = 't'::regclass"
                      " and attname in ('n', 'd', 'j', 'u', 'day', 'arr', 'iv')")
        t.check(types == 'integer[] numeric(10,2) date interval jsonb integer uuid', 'their types', types)
        code, out, err = s.place.run('validate', 'job.yaml')
        t.check(code == 4 or out.startswith('='), 'validate says something', out + err)
        t.check('not compared: sub (' in out and out.startswith('='), 'validate compares all but what asks other rows', out + err)
        s.dst("update t set txt = txt || '!' where id = 9")
        code, out, err = s.place.run('validate', 'job.yaml')
        t.check(code == 4, 'validate sees another computed value', out + err)


def lanes(t, server):
    """Red when a unit, a lane, a partition or the other side of a kill computes something else."""
    n = 3000 if harness.fast() else 12000
    names = ['n', 'd', 'txt', 'qualified', 'ok']
    heirs = ("create table t(id int, a int, b text, at timestamptz, m money, ip inet) partition by range (id);"
             "create table t1 partition of t for values from (0) to (1500); create table t2 partition of t for values from (1500) to (99999);")
    for i, (lane, parts, extra, kill) in enumerate(((4, False, '', None), (2, True, '', None), (3, False, 'split: { by: id }', 'commit-after:3'),
                                                    (2, False, "where: 'a > 1'", 'commit-before:2'), (3, False, '', 'lease-after:4'))):
        with Site(server, 'expr_lanes_%d' % i) as s:
            rows = ROWS.format(n=n)
            s.src(heirs + rows[rows.index('insert'):] if parts else rows)
            s.src('analyze t')
            job(s, ['id'] + computed(names), extra)
            what = '%d lanes%s%s, killed %s' % (lane, ', partitions' if parts else '', ', ' + extra if extra else '', kill)
            code, out, err = s.place.run('run', 'job.yaml', '-j', str(lane), '--json', '--no-progress', WH_TEST_UNIT_BYTES='65536',
                                         WH_TEST_KILL=kill)
            if kill:
                t.check(code == -9, what + ': was killed', went(code, out, err))
                code, out, err = s.place.run('resume', '--json', '--no-progress', WH_TEST_UNIT_BYTES='65536')
            t.check(code == 0, what, went(code, out, err))
            ok, detail = same(s, names, "t where a > 1" if 'where' in extra else 't')
            t.check(ok, what + ': the rows', detail)
            t.check(not s.place.leftovers(), what + ': nothing is left behind')


REFUSED = ('a, b', 'count(*)', 'row_number() over ()', 'generate_series(1, 3)', 'unnest(array[1, 2])', 'a from t union select 1',
           'a) from t union all select (1', 'a)), ((b', '1); drop table t; select (2', '1; drop table t', 'nosuch', 't2.a', 'a +', '1 /*', '$1',
           "'a", "' || (1", '$$', '(a', 'a)', 'a as x', 'a;', '1/0', '*', 't.*', "a) is null union select 1 where (true", 'nextval(')


def refused(t, server):
    """Red when text that is not one value of each row is carried out, or refused without its place."""
    with Site(server, 'expr_refused') as s:
        s.src(ROWS.format(n=10))
        for text in REFUSED:
            job(s, ['id', {'to': 'fine', 'source_expr': 'a'}, {'to': 'n', 'source_expr': text}])
            code, out, err = s.place.run('run', 'job.yaml')
            t.check(code == 2 and 'E4009' in err and 'job.yaml:9:' in err and "'n'" in err, 'refused: ' + text, went(code, out, err))
        t.check(s.src('select count(*) from t') == '10', 'the table is as it was')
        t.check(s.dst("select count(*) from pg_class where relname = 't'") == '0', 'nothing was made')


def others(t, server):
    """Red when names that meet, another search path, a query, `*` or a changed expression go wrong."""
    with Site(server, 'expr_others') as s:
        s.src(ROWS.format(n=50))
        job(s, ['id', {'from': 'a', 'to': 'old'}, {'to': 'a', 'source_expr': 'a * 100'}, {'to': 'B', 'source_expr': 'upper(b)'}, {'from': 'b', 'to': 'b'}])
        code, out, err = s.place.run('run', 'job.yaml', '--yes', '--no-progress', '--json')
        want = s.src('select id, a, a * 100, upper(b), b from t order by id')
        got = s.dst('select id, old, a, "B", b from t order by id')
        t.check(code == 0 and want == got, 'a column of the same name', went(code, out, err))
        job(s, ["'* except (m, ip)'", {'to': 'z', 'source_expr': 'id % 3'}], 'write: { mode: overwrite }\ntable: { create: recreate }')
        code, out, err = s.place.run('run', 'job.yaml', '--yes', '--no-progress', '--json')
        t.check(code == 0 and s.dst('select * from t order by id') == s.src('select id, a, b, at, id % 3 from t order by id'), 'beside *',
                went(code, out, err))
        src, dst = s.urls('q')
        with open(s.place.path('q.yaml'), 'w', encoding='utf-8') as f:
            f.write("version: 1\nparams: { add: { type: integer, default: 5 }, word: { default: \"it's\" } }\nstreams:\n  - from: %s\n"
                    "    query: 'select id, a as q from t'\n    to: %s\n"
                    "    columns: [id, { to: w, source_expr: 'q + ${add}' }, { to: v, source_expr: '${word:sql}' }]\n" % (src.split('#')[0], dst))
        code, out, err = s.place.run('run', 'q.yaml', '--no-progress', '--json')
        t.check(code == 0 and s.dst('select * from q order by id') == s.src("select id, a + 5, 'it''s' from t order by id"), 'of a query, with macros',
                went(code, out, err))
        job(s, ['id', {'to': 'loaded', 'source_expr': 'now()'}, {'to': 'r', 'source_expr': 'random()'}, {'to': 'n', 'source_expr': 'a'}],
            'write: { mode: overwrite }\ntable: { create: recreate }\nvalidate: checksum')
        code, out, err = s.place.run('plan', 'job.yaml')
        t.check(code == 0 and "'loaded', 'r'" in out + err, 'what varies is said', out + err)
        code, out, err = s.place.run('run', 'job.yaml', '--yes', '--no-progress', '--json')
        t.check(code == 0 and 'without loaded, r' in out, 'validated without them', went(code, out, err))
        t.check(s.dst("select count(*) from t where loaded > now() - interval '1 hour'") == '50', 'now() is the source\'s')
        code, out, err = s.place.run('validate', 'job.yaml')
        t.check(code == 0 and 'not compared: loaded, r (' in out, 'and again', out + err)
        code, out, err = s.place.run('plan', 'job.yaml', '--json')
        cols = {c['name']: c for c in json.loads(out.splitlines()[0])['tables'][0]['columns']} if code == 0 else {}
        t.check(cols.get('loaded', {}).get('source_expr') == 'now()' and cols['loaded']['varies'] and not cols['n']['varies'], 'in JSON', out[:2000])


def frames(t, server):
    """Red when rows pass as bytes although a column is computed, or for no reason that is said."""
    with Site(server, 'expr_frames') as s:
        s.src('create table t(id int, v text); insert into t select g, g::text from generate_series(1, 100) g')
        job(s, ['id', 'v', {'to': 'n', 'source_expr': 'id + 1'}])
        code, out, err = s.place.run('plan', 'job.yaml', '--full')
        t.check(code == 0 and 'computed by the source' in out, 'the reason is said', out + err)
        code, out, err = s.place.run('run', 'job.yaml', '--no-progress', '--json')
        t.check(code == 0 and s.dst('select sum(n) from t') == '5150', 'and the column is there', went(code, out, err))


def changed(t, server):
    """Red when a resume goes on with another expression, or another type of the same one."""
    for how, code_want in (('expression', 2), ('type', 1), ('nothing', 0)):
        with Site(server, 'expr_changed_' + how) as s:
            s.src(ROWS.format(n=3000) + "create function f(int) returns int immutable language sql as 'select $1'; analyze t")
            job(s, ['id', {'to': 'n', 'source_expr': 'f(a)'}])
            code, out, err = s.place.run('run', 'job.yaml', '--no-progress', '--json', WH_TEST_UNIT_BYTES='65536', WH_TEST_KILL='commit-after:1')
            t.check(code == -9, how + ': was killed', went(code, out, err))
            if how == 'expression':
                job(s, ['id', {'to': 'n', 'source_expr': 'f(a) + 1'}])
            if how == 'type':
                s.src("drop function f(int); create function f(int) returns bigint immutable language sql as 'select $1::bigint'")
            code, out, err = s.place.run('run', 'job.yaml', '--no-progress', '--json', WH_TEST_UNIT_BYTES='65536')
            t.check(code == code_want, how + ': the run that goes on', went(code, out, err))
            if how == 'nothing':
                t.check(s.dst('select count(*), count(distinct id), sum(n) from t') == s.src('select count(*), count(*), sum(a) from t'), 'its rows')


def dirty(t, server):
    """Red when a computed value that does not fit is written, lost, or archived under another name, or when a replay
    computes it again."""
    with Site(server, 'expr_dirty') as s:
        s.src(ROWS.format(n=100))
        s.dst('create table t(id int primary key, n smallint not null, a int)')
        job(s, ['id', {'to': 'n', 'source_expr': 'case when id = 7 then 70000 when id = 8 then null else id end'}, 'a'], 'dirty: { rows: 10 }')
        code, out, err = s.place.run('run', 'job.yaml', '--no-progress', '--json')
        t.check(code == 0 and s.dst('select count(*) from t') == '98', 'the others are there', went(code, out, err))
        run = [e['run'] for e in map(json.loads, out.splitlines()) if e.get('run')][0]
        code, out, err = s.place.run('dirty', 'export', run)
        t.check('70000' in out, 'the archive has the value', out + err)
        s.dst('alter table t alter n type int, alter n drop not null')
        code, out, err = s.place.run('dirty', 'replay', run, '--no-progress')
        t.check(code == 0 and s.dst('select id, n, a from t where id in (7, 8) order by id') == s.src(
            'select id, case when id = 7 then 70000 end, a from t where id in (7, 8) order by id'), 'a replay writes what was computed', out + err)


def main():
    t = harness.Tally('postgresql source_expr', harness.seed_of())
    with servers.Postgres() as server:
        for part in (values, lanes, refused, others, frames, changed, dirty):
            part(t, server)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
