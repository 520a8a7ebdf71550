#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Columns that SQLite computes (source_expr), judged by Python's sqlite3.

Fails if a computed value is another one than SQLite's own, in any lane or unit or after a kill; if the name of a
computed column changes which rows are read, or their order; if text that is not one value of each row gets into the
statement; if a refused or replayed row has another value; or if validate compares what it cannot."""
import json
import os
import sqlite3
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402

TABLES = {'t': 'create table t(id integer primary key, a int, b text, price decimal(8,2))',
          'r': 'create table r(id int, a int, b text, price decimal(8,2))',
          'w': 'create table w(id int primary key, a int, b text, price decimal(8,2)) without rowid'}
COLUMNS = [('n', 'a * 2'), ('txt', "b || '-' || coalesce(a, 0) -- not the end"), ('nothing', 'null'), ('f', 'a / 7.0'), ('p', 'price'),
           ('u', 'upper(b)'), ('h', "cast(b as blob)"), ('sub', '(select max(x.a) from t x where x.id <= 10)'), ('rowid', '7 - a'),
           ('a2', "case when a in (1, 2) then ')' else '((' end")]


class Files:
    def __init__(self, n):
        self.place = harness.Place('source-expr')
        con = sqlite3.connect(self.place.path('s.db'))
        for name, sql in TABLES.items():
            con.execute(sql)
            con.executemany('insert into %s values(?, ?, ?, ?)' % name, [(i, i % 7 if i % 5 else None, 'x%d' % i + 'y' * (1500 if name == 't' else 1), i / 4) for i in range(1, n + 1)])
        con.commit()
        con.close()

    def job(self, columns, table='t', extra='', to='o.db'):
        lines = ['version: 1', 'streams:', '  - name: one', '    from: "s.db#%s"' % table, '    to: "%s#t"' % to]
        lines += ['    ' + line for line in extra.splitlines()] + ['    columns:']
        lines += ['      - ' + (c if isinstance(c, str) else json.dumps(c)) for c in columns]
        with open(self.place.path('job.yaml'), 'w', encoding='utf-8') as f:
            f.write('\n'.join(lines) + '\n')

    def run(self, *args, **env):
        return self.place.run(*args, **env)

    def rows(self, db, sql):
        con = sqlite3.connect(self.place.path(db))
        try:
            return con.execute(sql).fetchall()
        finally:
            con.close()

    def forget(self):
        for n in ('o.db', 'o.db-wal', 'o.db-shm', 'o.db-journal'):
            if os.path.exists(self.place.path(n)):
                os.unlink(self.place.path(n))
        self.place.forget()


def asked(names=None):
    return [{'to': k, 'source_expr': v} for k, v in COLUMNS if not names or k in names]


def values(t, f):
    """Red when a value, a lane, a unit or a kill makes a difference."""
    want_sql = 'select id, %s from %%s order by id' % ', '.join('(%s\n)' % v for _, v in COLUMNS)
    for table in TABLES:
        for lanes, unit, kill in ((1, None, None), (4, '1000000', None), (2, '1000000', 'commit-after:2'), (2, '1000000', 'batch-written:1')):
            f.forget()
            f.job(['id'] + asked(), table)
            what = '%s, %d lanes, units of %s, killed %s' % (table, lanes, unit, kill)
            code, out, err = f.run('run', 'job.yaml', '-j', str(lanes), WH_TEST_UNIT_BYTES=unit, WH_TEST_KILL=kill)
            if kill and (table == 't' or 'batch' in kill): # the others are one unit
                t.check(code == -9, what + ': was killed', err)
                code, out, err = f.run('resume', WH_TEST_UNIT_BYTES=unit)
            got = f.rows('o.db', 'select id, %s from t order by id' % ', '.join('"%s"' % k for k, _ in COLUMNS)) if code == 0 else []
            want = f.rows('s.db', want_sql % table)
            t.check(code == 0 and got == want, what, '%s %s' % (err, [p for p in zip(got, want) if p[0] != p[1]][:2] or (len(got), len(want))))
        code, out, err = f.run('validate', 'job.yaml')
        t.check(code == 0 and out.startswith('=') and 'not compared: sub (' in out, table + ': validate', out + err)


REFUSED = ('a, b', 'count(*)', 'row_number() over ()', 'a from t union select 1', 'a) from t union all select (1', 'a)), ((b',
           '1); drop table t; select (2', '1; drop table t', 'nosuch', '"nosuch"', 't2.a', 'a +', '1 /*', '?1', ':x', '$x', "'a", '(a', 'a)', 'a as x', 'a;',
           "' || (1", '*', 't.*', "a) is null union select 1 where (1", 'random(')


def refused(t, f):
    """Red when text that is not one value of each row is carried out, or refused without its place."""
    f.forget()
    for text in REFUSED:
        f.job(['id', {'to': 'fine', 'source_expr': 'a'}, {'to': 'n', 'source_expr': text}])
        code, out, err = f.run('run', 'job.yaml')
        t.check(code == 2 and 'E4009' in err and 'job.yaml:9:' in err and "'n'" in err, 'refused: ' + text, 'exit %s %s%s' % (code, out, err))
    t.check(not os.path.exists(f.place.path('o.db')) or not f.rows('o.db', "select 1 from sqlite_master where name = 't'"), 'nothing was made')
    t.check(f.rows('s.db', 'select count(*) from t')[0][0] > 0, 'the table is as it was')
    with open(f.place.path('in.csv'), 'w', encoding='utf-8') as out:
        out.write('a\n1\n')
    with open(f.place.path('job.yaml'), 'w', encoding='utf-8') as out:
        out.write('version: 1\nstreams:\n  - from: in.csv\n    to: "o.db#t"\n    columns: [a, { to: n, source_expr: "a" }]\n')
    code, _, err = f.run('plan', 'job.yaml')
    t.check(code == 2 and 'E1014' in err and 'computes no columns' in err and 'convert:' in err and 'job.yaml:5:' in err, 'of a file', err)


def others(t, f):
    """Red when names meet, an expression changes, or what varies is compared."""
    f.forget()
    f.job(['id', {'from': 'a', 'to': 'old'}, {'to': 'a', 'source_expr': 'a * 100'}, 'b'])
    code, _, err = f.run('run', 'job.yaml')
    t.check(code == 0 and f.rows('o.db', 'select id, old, a, b from t order by id') == f.rows('s.db', 'select id, a, a * 100, b from t order by id'),
            'a column of the same name', err)
    f.forget()
    for clock in ("datetime('now')", 'random()', 'current_timestamp', 'unixepoch()', '(select count(*) from r)'):
        f.job(['id', {'to': 'loaded', 'source_expr': clock}, {'to': 'n', 'source_expr': 'abs(a)'}], extra='validate: checksum\nwrite: { mode: overwrite }')
        code, out, err = f.run('run', 'job.yaml', '--json')
        t.check(code == 0 and 'without loaded' in out and 'E3021' in out, 'validated without ' + clock, out[-900:] + err)
    code, out, err = f.run('validate', 'job.yaml')
    t.check(code == 0 and 'not compared: loaded (' in out, 'and again', out + err)
    f.forget()
    f.job(['id', {'to': 'n', 'source_expr': 'a'}])
    code, _, err = f.run('run', 'job.yaml', WH_TEST_UNIT_BYTES='20000', WH_TEST_KILL='lease-after:1')
    t.check(code == -9, 'was killed', err)
    f.job(['id', {'to': 'n', 'source_expr': 'a + 1'}])
    code, _, err = f.run('run', 'job.yaml')
    t.check(code == 2 and 'E7008' in err and 'source_expr' in err, 'another expression is another run', err)


def dirty(t, f):
    """Red when a computed value that does not fit is written or lost, or a replay computes it again."""
    for at in ('source', 'destination'):
        f.forget()
        con = sqlite3.connect(f.place.path('o.db'))
        con.execute('create table t(id integer primary key, n int %s)' % ('check (n <> 7000)' if at == 'destination' else ''))
        con.close()
        # Beyond the sample the cell is a text among numbers.
        expr = "case when id = 1500 then 'seven' else id end" if at == 'source' else 'case when id = 1500 then 7000 else id end'
        f.job(['id', {'to': 'n', 'source_expr': expr}], extra='dirty: { rows: 5 }')
        code, out, err = f.run('run', 'job.yaml', '--json')
        n = f.rows('s.db', 'select count(*) from t')[0][0]
        t.check(code == 0 and f.rows('o.db', 'select count(*) from t')[0][0] == n - 1, at + ': the others are there', out[-900:] + err)
        run = [e['run'] for e in map(json.loads, out.splitlines()) if e.get('run')][0]
        code, out, err = f.run('dirty', 'export', run)
        t.check(('seven' in out or '7000' in out) and '1500' in out, at + ': the archive has it', out + err)
        if at == 'destination':
            con = sqlite3.connect(f.place.path('o.db'))
            con.executescript('create table k as select * from t; drop table t; create table t(id integer primary key, n int); insert into t select * from k;')
            con.close()
            code, out, err = f.run('dirty', 'replay', run)
            t.check(code == 0 and f.rows('o.db', 'select n from t where id = 1500') == [(7000,)], at + ': replayed', out + err)


def main():
    t = harness.Tally('sqlite source_expr', harness.seed_of())
    f = Files(6000)
    try:
        for part in (values, refused, others, dirty):
            part(t, f)
    finally:
        f.place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
