#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What SQLite files can be, through Wherry, judged by Python's sqlite3: STRICT tables, generated
columns, tables without rowid, affinities that lie, texts that are none, UTF-16, triggers, constraints,
foreign keys, locks, rights. Red when a value arrives that is not the one that was stored, when a row is
missing that no verdict names, or when a refusal does not say what it is about.

    tests/integration/sqlite/test_shapes.py [WORD...]      only cases whose name holds one of the words

A new case is one entry of CASES. Keys, all optional but `want` or `exit`:

    source    SQL that makes src.db, or a list of rows (dicts) that become src.jsonl; `encoding` of src.db
    there     SQL that makes dst.db before; `there_encoding`
    what      source object, default src.db#t or src.jsonl;  to: destination, default dst.db#t
    words     more words of the command line
    exit      exit code, default 0;  says: pieces that the program must print
    dirty     codes of the dirty rows, sorted (what was not refused must all be there)
    named     pieces that the archive of dirty rows must hold
    want      (query, rows) or a list of them, at dst.db; texts come as they are, blobs as bytes
"""
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'lib'))
import harness  # noqa: E402

STRICT = 'create table t(id integer primary key, i int, r real, x text, b blob, a any) strict;'
GENERATED = ("create table t(id integer primary key, a int, v int generated always as (a*2) virtual, "
             "s text generated always as ('x'||a) stored);")
SEVEN = [{'a': n, 'u': 'k%d' % (3 if n == 5 else n)} for n in range(1, 8)]  # two rows are k3
UNICODE = ['', 'é', 'e\u0301', '😀', '\ufeffbom', 'a\0b', '\ufffd', '\U0010ffff', 'line\nbreak']
HALVES = {'UTF-16le': ('00d84100', '41d8', '00dc4100'), 'UTF-16be': ('d8000041', 'd841', 'dc000041')}

CASES = {
    # ---- STRICT ------------------------------------------------------------------------------------------
    'strict, read': dict(
        source=STRICT + "insert into t values (1, -9223372036854775808, 1.5, 'a'||char(0)||'b', x'00ff', '007'), "
        "(2, null, null, null, null, null), (3, 9223372036854775807, 9e999, '', x'', 12.5);",
        want=('select * from t order by id', [(1, -2**63, 1.5, 'a\0b', b'\0\xff', '007'), (2, None, None, None, None, None),
                                              (3, 2**63 - 1, float('inf'), '', b'', '12.5')])),
    'strict, written': dict(
        there=STRICT, source=[dict(id=1, i=5, r=1.5, x='2020-01-01', a='007'), dict(id=2, i=None, r=None, x=None, a=None)],
        want=('select id, i, r, x, b, typeof(a), a from t', [(1, 5, 1.5, '2020-01-01', None, 'text', '007'),
                                                              (2, None, None, None, None, 'null', None)])),
    'strict, blobs and any': dict(
        there='create table t(id integer primary key, b blob, a any) strict',
        source="create table t(id integer primary key, b blob, a blob); insert into t values (1, x'00ff', x'01'), (2, x'', x'')",
        want=('select id, b, typeof(b), a, typeof(a) from t', [(1, b'\0\xff', 'blob', b'\1', 'blob'), (2, b'', 'blob', b'', 'blob')])),
    'strict, a word is no number': dict(
        there='create table t(id integer primary key, i int) strict', source=[dict(id=1, i='5'), dict(id=2, i='abc')],
        words=['--dirty', 'rows=1'], dirty=['E6006'], named=['abc'], want=('select * from t', [(1, 5)])),
    'strict, made by us': dict(
        source="create table t(id integer primary key, b boolean, d date, n decimal(10,2), u uuid, r real, x varchar(9), y blob, z timestamp); "
        "insert into t values (1, 1, '2024-02-29', 12.5, '00112233-4455-6677-8899-aabbccddeeff', 1.5, 'x', x'01', '2024-02-29 01:02:03'), "
        "(2, null, null, null, null, null, null, null, null)",
        words=['--to', 'strict=true'],
        want=[("select strict from pragma_table_list('t')", [(1,)]),
              ("select group_concat(type) from pragma_table_info('t')", [('INTEGER,INTEGER,TEXT,TEXT,TEXT,REAL,TEXT,BLOB,TEXT',)]),
              ('select * from t', [(1, 1, '2024-02-29', '12.50', '00112233-4455-6677-8899-aabbccddeeff', 1.5, 'x', b'\1',
                                    '2024-02-29 01:02:03'), (2,) + (None,) * 8])]),
    'strict, a column added': dict(
        there='create table t(id integer primary key) strict; insert into t values (9)', words=['--evolve', 'add'],
        source="create table t(id integer primary key, d date); insert into t values (1, '2024-02-29')",
        want=[('select * from t order by id', [(1, '2024-02-29'), (9, None)])]),
    'strict, exchanged': dict(
        there=STRICT + "insert into t(id) values (7)", source=[dict(id=1, i=2)], words=['--mode', 'overwrite'],
        want=[('select id, i from t', [(1, 2)]), ("select strict from pragma_table_list('t')", [(1,)])]),
    # ---- generated columns -------------------------------------------------------------------------------
    'generated, read': dict(
        source=GENERATED + 'insert into t(id, a) values (1, 10), (2, null)',
        want=('select * from t', [(1, 10, 20, 'x10'), (2, None, None, None)])),
    'generated, at both ends': dict(
        there=GENERATED, source=GENERATED + 'insert into t(id, a) values (1, 10)', says=[],
        want=('select * from t', [(1, 10, 20, 'x10')])),
    'generated, exchanged': dict(
        there=GENERATED + 'insert into t(id, a) values (5, 5)', words=['--mode', 'overwrite'],
        source=GENERATED + 'insert into t(id, a) values (1, 10)', want=('select * from t', [(1, 10, 20, 'x10')])),
    'generated, upserted': dict(
        there=GENERATED + 'insert into t(id, a) values (1, 5)', words=['--mode', 'upsert'],
        source=GENERATED + 'insert into t(id, a) values (1, 10), (2, 3)', want=('select * from t', [(1, 10, 20, 'x10'), (2, 3, 6, 'x3')])),
    'generated, updated': dict(
        there=GENERATED + 'insert into t(id, a) values (1, 5)', words=['--mode', 'update'],
        source=GENERATED + 'insert into t(id, a) values (1, 10), (2, 3)', want=('select * from t', [(1, 10, 20, 'x10')])),
    'generated, poured': dict(
        there=GENERATED + 'insert into t(id, a) values (1, 5)', words=['--mode', 'append', '--atomic', 'table'],
        source=GENERATED + 'insert into t(id, a) values (2, 3)', want=('select * from t', [(1, 5, 10, 'x5'), (2, 3, 6, 'x3')])),
    'generated, mapped onto': dict(
        there=GENERATED, source='create table t(id integer primary key, a int); insert into t values (1, 1)',
        words=['--columns', 'id,s=a'], exit=2, says=['E3005', '"s" of "t" is generated', '* except (s)'],
        want=('select count(*) from t', [(0,)])),
    'generated, a foreign value': dict(
        there=GENERATED, source=[dict(id=1, a=1, v=77)], exit=2, says=['E3005', '"v" of "t" is generated'],
        want=('select count(*) from t', [(0,)])),
    # ---- keys and rowids ---------------------------------------------------------------------------------
    'all names of the rowid are taken': dict(
        source='create table t(rowid text, _rowid_ text, oid text); insert into t values (1, 2, 3)',
        want=('select "rowid", "_rowid_", "oid" from t', [('1', '2', '3')])),
    'a column called rowid': dict(
        source="create table t(rowid text, v int); insert into t values ('b', 2), ('a', 1)",
        want=('select "rowid", v from t order by v', [('a', 1), ('b', 2)])),
    'rowids at their ends': dict(
        source="create table t(id integer primary key, v text); insert into t values (-9223372036854775808, 'lo'), "
        "(9223372036854775807, 'hi'), (0, 'z'), (-1, 'm')",
        want=('select v from t order by id', [('lo',), ('m',), ('z',), ('hi',)])),
    'integer primary key desc is no rowid': dict(
        source='create table t(id integer primary key desc, v int); insert into t values (null, 1), (5, 2)', exit=0,
        words=['--dirty', 'rows=1'], dirty=['E6002'], want=('select * from t', [(5, 2)])),
    'autoincrement goes on': dict(
        there="create table t(id integer primary key AutoIncrement, x text); insert into t(x) values ('p'), ('q'); delete from t",
        source=[dict(x='new')], want=[('select * from t', [(3, 'new')])]),
    'autoincrement over an exchange': dict(
        there="create table t(id integer primary key autoincrement, x text); insert into t(x) values ('p'), ('q'), ('r')",
        source=[dict(x='new')], words=['--mode', 'overwrite'],
        want=[('select * from t', [(4, 'new')]), ("select seq from sqlite_sequence where name = 't'", [(4,)])]),
    'no number for NULL': dict(
        there='create table t(id integer primary key, v int)', source=[dict(id=None, v=1), dict(id=4, v=2)],
        words=['--dirty', 'rows=1'], dirty=['E6002'], want=('select * from t', [(4, 2)])),
    'without rowid, a row named by its key': dict(
        source="create table t(k text, n int, v int, primary key(k, n)) without rowid; "
        "insert into t values ('a', 1, 1), ('b', 2, 'bad'), ('é', 3, 3)",
        words=['--dirty', 'rows=1'], dirty=['E6006'], named=["key ('b', 2)"], want=('select k, v from t order by k', [('a', 1), ('é', 3)])),
    # ---- affinities that lie -----------------------------------------------------------------------------
    'text, reals and blobs where they are not promised': dict(
        source="create table t(id integer primary key, i integer, x text, b boolean); insert into t values (1, 'abc', 't', 1), "
        "(2, 5, x'6162', 0), (3, 8.5, 'z', 1), (4, 7, 'a'||char(0)||'b', 1), (5, 6, cast(x'ff41' as text), 1), (6, 1, 'ok', 7), (7, 2, '', 0)",
        words=['--dirty', 'rows=9'], dirty=['E6005', 'E6006', 'E6006', 'E6006', 'E6006'],
        named=["text 'abc' where int64", 'a blob of 2 bytes where utf8', 'real 8.5 where int64', 'integer 7 where bool', 'not valid UTF-8'],
        want=('select * from t order by id', [(4, 7, 'a\0b', 1), (7, 2, '', 0)])),
    'integers that no double holds': dict(
        there='create table t(id integer primary key, v real)',
        source='create table t(id integer primary key, v integer); insert into t values (1, 9007199254740993), (2, 9007199254740992), (3, -7)',
        words=['--dirty', 'rows=1'], dirty=['E6013'], want=('select * from t', [(2, 9007199254740992.0), (3, -7.0)])),
    'text for a number column': dict(
        there='create table t(id integer primary key, v numeric, w text)',
        source=[dict(id=1, v='007', w='007'), dict(id=2, v='x', w='1e5'), dict(id=3, v='1234567890.1234567', w='')],
        words=['--dirty', 'rows=2'], dirty=['E6006', 'E6013'], named=['SQLite would round'], want=('select * from t', [(1, 7, '007')])),
    'columns without a type': dict(
        there='create table t(id integer primary key, v)', source=[dict(id=1, v='007'), dict(id=2, v='x')],
        want=('select v, typeof(v) from t order by id', [('007', 'text'), ('x', 'text')])),
    # ---- text --------------------------------------------------------------------------------------------
    'unicode': dict(source=[dict(id=i, x=x) for i, x in enumerate(UNICODE)], want=('select x from t order by id', [(x,) for x in UNICODE])),
    # ---- names -------------------------------------------------------------------------------------------
    'names of tables and columns': dict(
        source='create table "a""b.c 😀 \'x\'"(id integer primary key, "q""c" text, "d.e" int, "select" text, "😀" text); '
        'insert into "a""b.c 😀 \'x\'" values (1, \'x\', 2, \'s\', \'e\')',
        what='sqlite:src.db#"a""b.c 😀 \'x\'"', to='sqlite:dst.db#"r"""', want=('select * from "r"""', [(1, 'x', 2, 's', 'e')])),
    'main is a prefix': dict(source='create table t(x int); insert into t values (1)', what='sqlite:src.db#main.t', want=('select * from t', [(1,)])),
    'a dot in a name': dict(source='create table "a.b"(x int); insert into "a.b" values (1)', what='sqlite:src.db#a.b', want=('select * from t', [(1,)])),
    'nothing is attached': dict(source='create table t(x int)', what='sqlite:src.db#other.t', exit=2, says=['E3001', 'other.t']),
    # ---- what is no plain table --------------------------------------------------------------------------
    'a view is read': dict(
        source='create table b(a int, x text); insert into b values (1, \'p\'), (2, \'q\'); create view t as select a * 2 as d, x from b where a > 1',
        want=('select * from t', [(4, 'q')])),
    'a view is not written': dict(there='create table b(a int); create view t as select * from b', source=[dict(a=1)], exit=2, says=['E3010', 'view']),
    'full text search': dict(source="create virtual table t using fts5(body); insert into t values ('hello')", want=('select * from t', [('hello',)])),
    # ---- indexes, views and triggers over an exchange ----------------------------------------------------
    'indexes over expressions, partial ones': dict(
        there="create table t(a int, b text); create index e on t(lower(b)); create unique index u on t(a + 1) where a > 0; "
        "create view v as select a * 2 as d from t",
        source=[dict(a=5, b='A'), dict(a=6, b='B'), dict(a=6, b='C')], words=['--mode', 'overwrite', '--dirty', 'rows=1'], dirty=['E6008'],
        want=[('select * from t', [(5, 'A'), (6, 'B')]), ('select * from v', [(10,), (12,)]),
              ("select name from sqlite_schema where type = 'index' and tbl_name = 't' order by 1", [('e',), ('u',)])]),
    'a definition that names itself': dict(
        there='create table t(a int check(t.a > 0)); insert into t values (1)', source=[dict(a=5)], words=['--mode', 'overwrite'], exit=2,
        says=['E3010', 'no such column: t.a', '--mode truncate'], want=('select * from t', [(1,)])),
    # ---- constraints -------------------------------------------------------------------------------------
    'check': dict(there="create table t(a int check(a > 0))", source=[dict(a=1), dict(a=-1), dict(a=2)], words=['--dirty', 'rows=1'], dirty=['E6009'],
                  named=['CHECK constraint failed: a > 0', 'row 2'], want=('select * from t', [(1,), (2,)])),
    'unique and not null': dict(
        there='create table t(id integer primary key, u text unique, m text not null)',
        source=[dict(id=1, u='a', m='x'), dict(id=2, u='a', m='y'), dict(id=3, u='b', m=None), dict(id=1, u='c', m='z'), dict(id=5, u=None, m='')],
        words=['--dirty', 'rows=3'], dirty=['E6002', 'E6008', 'E6008'], named=['UNIQUE constraint failed: t.u', 'UNIQUE constraint failed: t.id'],
        want=('select id, u, m from t', [(1, 'a', 'x'), (5, None, '')])),
    # ---- triggers ----------------------------------------------------------------------------------------
    'triggers fire once per row': dict(
        there='create table t(a int, u text unique); create table log(x); create trigger g after insert on t begin insert into log values (new.a); end',
        source=SEVEN, words=['--dirty', 'rows=1'], dirty=['E6008'],
        want=[('select a from t', [(1,), (2,), (3,), (4,), (6,), (7,)]), ('select x from log', [(1,), (2,), (3,), (4,), (6,), (7,)])]),
    'a trigger that changes the row': dict(
        there="create table t(a int, u text); create trigger g after insert on t begin update t set u = u || '!' where a = new.a; end",
        source=SEVEN[:2], want=('select * from t', [(1, 'k1!'), (2, 'k2!')])),
    # ---- foreign keys ------------------------------------------------------------------------------------
    'foreign keys are off': dict(
        there='create table p(id integer primary key); create table t(id int, p int references p)', source=[dict(id=1, p=5)],
        want=('select * from t', [(1, 5)])),
    'foreign keys on': dict(
        there='create table p(id integer primary key); insert into p values (1); create table t(id int, p int references p)',
        source=[dict(id=1, p=1), dict(id=2, p=5), dict(id=3, p=None)], words=['--to', 'foreign_keys=true', '--dirty', 'rows=1'], dirty=['E6009'],
        named=['FOREIGN KEY constraint failed', 'row 2'], want=('select * from t', [(1, 1), (3, None)])),
    'deferred foreign keys': dict(
        there='create table p(id integer primary key); create table t(id int, p int references p deferrable initially deferred)',
        source=[dict(id=1, p=5)], words=['--to', 'foreign_keys=true', '--dirty', 'rows=1'], exit=1, says=['E5011', 'rowid 1', '"p"'],
        want=('select count(*) from t', [(0,)])),
    'a later row answers a deferred key': dict(
        there='create table t(id integer primary key, p int references t deferrable initially deferred)',
        source=[dict(id=1, p=2), dict(id=2, p=1)], words=['--to', 'foreign_keys=true'], want=('select * from t', [(1, 2), (2, 1)])),
    # ---- files that are none -----------------------------------------------------------------------------
    'no database': dict(source=None, what='sqlite:junk.db#t', exit=2, says=['E2014', 'not a database']),
    'a folder': dict(source=None, what='sqlite:folder.db#t', exit=2, says=['E2014', 'not a file']),
    'no file': dict(source=None, what='sqlite:none.db#t', exit=2, says=['E2012', 'none.db']),
}
for how in ('abort', 'fail', 'ignore'):
    CASES['a trigger that says %s' % how] = dict(
        there="create table t(a int, u text); create trigger g before insert on t when new.u = 'k3' begin select raise(%s); end"
        % (how if how == 'ignore' else how + ", 'no k3'"), source=SEVEN, words=['--dirty', 'rows=2'], dirty=['E6009', 'E6009'],
        named=['skipped the row'] if how == 'ignore' else ['no k3'], want=('select a from t', [(1,), (2,), (4,), (6,), (7,)]))
CASES['a trigger that says rollback'] = dict(
    there="create table t(a int, u text); create trigger g before insert on t when new.u = 'k3' begin select raise(rollback, 'no k3'); end",
    source=SEVEN, words=['--dirty', 'rows=2'], exit=1, says=['E5011', 'no k3'], want=('select count(*) from t', [(0,)]))
for enc, halves in HALVES.items():
    CASES['%s, read' % enc] = dict(
        encoding=enc, source=[dict(id=i, x=x) for i, x in enumerate(UNICODE)], what='sqlite:src.db#t',
        want=('select x from t order by id', [(x,) for x in UNICODE]))
    CASES['%s, halves of characters' % enc] = dict(
        encoding=enc, words=['--dirty', 'rows=3'], dirty=['E6005'] * 3, named=['not valid UTF-16', 'rowid 2'],
        source="create table t(id integer primary key, x text); insert into t values (1, 'é'), %s, (9, '😀')"
        % ', '.join("(%d, cast(x'%s' as text))" % (i + 2, h) for i, h in enumerate(halves)), want=('select * from t', [(1, 'é'), (9, '😀')]))
    CASES['%s, written' % enc] = dict(
        there='create table t(id integer primary key, x text)', there_encoding=enc, words=['--dirty', 'rows=2'], dirty=['E6005'] * 2, named=['U+FFFE'],
        source=[dict(id=i, x=x) for i, x in enumerate(UNICODE + ['\uffff', 'a\ufffe', '\U0001fffe'])],
        want=('select x from t order by id', [(x,) for x in UNICODE + ['\U0001fffe']]))


def make(path, script, encoding=None):
    db = sqlite3.connect(path)
    if encoding:
        db.execute("pragma encoding = '%s'" % encoding)
    db.executescript(script)
    db.commit()
    db.close()


def look(path, query):
    """Rows as they are stored: text that is no text would raise."""
    db = sqlite3.connect('file:%s?mode=rw' % path, uri=True)
    try:
        return db.execute(query).fetchall()
    finally:
        db.close()


def rows_as_table(path, rows, encoding):
    make(path, 'create table t(id integer primary key, x text)', encoding)
    db = sqlite3.connect(path)
    db.executemany('insert into t values (:id, :x)', rows)
    db.commit()
    db.close()


def prepare(place, case):
    """The files of a case; the source's name."""
    source = case.get('source')
    if isinstance(source, str):
        make(place.path('src.db'), source, case.get('encoding'))
    elif source and case.get('encoding'):
        rows_as_table(place.path('src.db'), source, case['encoding'])
    elif source:
        with open(place.path('src.jsonl'), 'w', encoding='utf-8') as f:
            f.writelines(json.dumps(r) + '\n' for r in source)
        return case.get('what', 'src.jsonl')
    return case.get('what', 'sqlite:src.db#t')


def archived(place):
    """[(code, line)] of the dirty rows of all runs."""
    found = []
    for base, _, names in os.walk(place.state('dirty')):
        for n in names:
            with open(os.path.join(base, n), encoding='utf-8') as f:
                found += [(json.loads(line)['code'], line.replace('\\"', '"')) for line in f if line.startswith('{')]
    return found


def one(t, name):
    case, place = CASES[name], harness.Place('shapes')
    try:
        source = prepare(place, case)
        with open(place.path('junk.db'), 'w', encoding='ascii') as f:
            f.write('this is no database. ' * 500)
        os.mkdir(place.path('folder.db'))
        if 'there' in case:
            make(place.path('dst.db'), case['there'], case.get('there_encoding'))
        code, out, err = place.run('copy', source, case.get('to', 'sqlite:dst.db#t'), '--no-progress', '--json', *case.get('words', []))
        log = err + out[-1500:]
        good = t.check(code == case.get('exit', 0), '%s: exit %d, not %d' % (name, code, case.get('exit', 0)), log)
        for piece in case.get('says', []):
            t.check(piece in log.replace('\\"', '"'), '%s: does not say %s' % (name, piece), log)
        dirty = archived(place)
        if good and code == 0:
            event = harness.finished(out)
            t.check(harness.unbalanced(event) is None and event['rows_dirty'] == len(case.get('dirty', [])), name + ': counts', event)
            t.check(sorted(c for c, _ in dirty) == case.get('dirty', []), name + ': codes of dirty rows', dirty)
        for piece in case.get('named', []):
            t.check(any(piece in line for _, line in dirty), '%s: no dirty row says %s' % (name, piece), dirty)
        want = case.get('want', [])
        for query, rows in want if isinstance(want, list) else [want]:
            got = look(place.path('dst.db'), query)
            t.check(got == rows, '%s: %s' % (name, query), 'found %r\nwanted %r\n%s' % (got, rows, log))
    finally:
        place.remove()


# ---- what needs more than one copy -----------------------------------------------------------------------


LONG = 'x' * 500
KEYS = {'rowid': ('id integer primary key, v text', '', lambda i: (i * 7 - 1000, 'v%d' % i + LONG)),
        'composite key': ('k text, n integer, v text, primary key(k, n)', 'without rowid', lambda i: ('k%d é' % (i % 97), i, 'v' + LONG)),
        'text key': ('k text primary key, v text', 'without rowid', lambda i: ('%x\0%d' % (i * 2654435761 % 2**32, i), 'v' + LONG)),
        'blob key': ('k blob primary key, v text', 'without rowid', lambda i: (i.to_bytes(4, 'little'), 'v' + LONG)),
        'descending key': ('k text primary key desc, v text', 'without rowid', lambda i: ('%06d' % i, 'v' + LONG)),
        'strict key': ('k any primary key, v text', 'strict, without rowid', lambda i: ('x%d' % i, 'v' + LONG))}


def resumed(t, name):
    """Killed in the middle of a table of every kind of key, resumed, judged row by row. Red when the rest
    of a unit begins at another row than where it ended."""
    columns, options, row = KEYS[name]
    place, n = harness.Place('shapes'), 9000
    try:
        db = sqlite3.connect(place.path('src.db'))
        db.execute('create table t(%s) %s' % (columns, options))
        rows = [row(i) for i in range(n)]
        db.executemany('insert into t values (%s)' % ','.join('?' * len(rows[0])), rows)
        db.commit()
        db.close()
        words = ['copy', 'sqlite:src.db#t', 'sqlite:dst.db#t', '--no-progress', '--json', '-j', '1']
        small = {'WH_TEST_UNIT_BYTES': '1000000'}
        whole = name == 'descending key'  # such a table is one unit
        code, _, err = place.run(*words, WH_TEST_KILL='commit-before:1' if whole else 'commit-after:2', **small)
        t.check(code == -signal.SIGKILL, name + ': was not killed', '%s\n%s' % (code, err))
        there = look(place.path('dst.db'), 'select count(*) from t')[0][0]
        t.check(there == 0 if whole else 0 < there < n, name + ': the kill was not in the middle', there)
        code, out, err = place.run('resume', '--no-progress', '--json', **small)
        t.check(code == 0, name + ': resume', err + out[-800:])
        db = sqlite3.connect(place.path('dst.db'))
        t.check(sorted(db.execute('select * from t').fetchall()) == sorted(rows), name + ': rows after resume')
        db.close()
    finally:
        place.remove()


def locked(t):
    """Another program holds the lock: exit 5, its pid is named; it lets go in time: the copy goes on."""
    for side in ('source', 'destination'):
        place = harness.Place('shapes')
        try:
            make(place.path('src.db'), 'create table t(a int); insert into t values (1)')
            make(place.path('dst.db'), 'create table t(a int)')
            # A process of its own: SQLite's locks are the process's.
            holder = subprocess.Popen([sys.executable, '-c', "import sqlite3, sys\ndb = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
                                       "db.execute('begin exclusive'); print('held', flush=True); sys.stdin.read()",
                                       place.path('src.db' if side == 'source' else 'dst.db')], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            holder.stdout.readline()
            code, out, err = place.run('copy', 'sqlite:src.db?lock_timeout=300ms#t', 'sqlite:dst.db?lock_timeout=300ms#t', '--no-progress')
            t.check(code == 5 and 'E5010' in err and 'pid %d' % holder.pid in err, '%s locked: exit %d' % (side, code), err + out)
            p = place.start('copy', 'sqlite:src.db?lock_timeout=20s#t', 'sqlite:dst.db?lock_timeout=20s#t', '--no-progress', '--fresh', '--yes')
            time.sleep(0.4)
            waits = p.poll() is None
            holder.stdin.close()
            holder.wait(10)
            code, out, err = harness.finish(p)
            t.check(waits and code == 0 and look(place.path('dst.db'), 'select * from t') == [(1,)], '%s locked for a while: exit %d' % (side, code), err + out)
        finally:
            holder.kill()
            holder.wait()
            place.remove()


def journals(t):
    """A source in WAL mode whose rows are still in the log, one with a hot journal's mode, and rows that
    somebody adds while it is read."""
    for mode in ('wal', 'delete', 'truncate', 'persist'):
        place = harness.Place('shapes')
        try:
            db = sqlite3.connect(place.path('src.db'))
            db.execute('pragma journal_mode = ' + mode)
            db.execute('create table t(a int)')
            db.executemany('insert into t values (?)', [(i,) for i in range(100)])
            db.commit()
            before = sorted(os.listdir(place.dir))
            code, out, err = place.run('copy', 'sqlite:src.db#t', 'sqlite:dst.db#t', '--no-progress')
            t.check(code == 0 and look(place.path('dst.db'), 'select count(*), sum(a) from t') == [(100, 4950)], '%s source' % mode, err + out)
            t.check(sorted(n for n in os.listdir(place.dir) if n.startswith('src')) == [n for n in before if n.startswith('src')],
                    '%s source: reading left something' % mode, os.listdir(place.dir))
            db.close()
        finally:
            place.remove()


def rights(t):
    """Files without rights, by a user that is not root. Red when a readable file is not read, or when a
    refusal is no E2013 or E5014 with exit 9."""
    if os.getuid() != 0:
        t.skip('only root can become another user')
        return
    place = harness.Place('shapes')
    try:
        folder = place.path('theirs')
        os.mkdir(folder)
        for p in (place.dir, folder):
            os.chmod(p, 0o755)
        os.chmod(place.env['HOME'], 0o777)
        at = lambda name: os.path.join(folder, name)
        make(at('ro.db'), "create table t(k text); insert into t values ('x')")
        os.chmod(at('ro.db'), 0o444)
        make(at('none.db'), 'create table t(k text)')
        os.chmod(at('none.db'), 0)
        wal = sqlite3.connect(at('wal.db'))
        wal.execute('pragma journal_mode = wal')
        wal.execute('create table t(k text)')
        wal.execute("insert into t values ('in the log')")
        wal.commit()

        def copy(what, to):
            words = [*AS_NOBODY, harness.program(), 'copy', what, to, '--no-progress']
            done = subprocess.run(words, cwd=place.dir, env=place.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
            return done.returncode, done.stdout.decode(), done.stderr.decode()

        code, out, err = copy('sqlite:%s#t' % at('ro.db'), '-')
        t.check(code == 0 and out == 'k\nx\n', 'a read-only file is read', out + err)
        code, out, err = copy('sqlite:%s#t' % at('wal.db'), '-')
        t.check(code == 0 and out == 'k\nin the log\n', 'a log that may only be looked at is read', out + err)
        wal.close()
        code, out, err = copy('sqlite:%s#t' % at('wal.db'), '-')
        t.check(code == 9 and 'E5014' in err and '-shm' in err, 'WAL mode without a log, and no rights to make one', out + err)
        code, out, err = copy('sqlite:%s#t' % at('none.db'), '-')
        t.check(code == 9 and 'E2013' in err, 'no rights at all', out + err)
        code, out, err = copy('sqlite:%s#t' % at('ro.db'), 'sqlite:%s#t' % at('new.db'))
        t.check(code == 9 and 'E2013' in err, 'no rights to make a file', out + err)
        code, out, err = copy('sqlite:%s#t' % at('ro.db'), 'sqlite:%s#t' % at('ro.db'))
        t.check(code in (2, 9) and not os.path.exists(at('ro.db-journal')), 'no rights to write', out + err)
    finally:
        place.remove()


AS_NOBODY = ['setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups']


def all_of(t, names):
    for name in names:
        one(t, name)


def main(words):
    t = harness.Tally('shapes of SQLite', harness.seed_of())
    wanted = lambda name: not words or any(w in name for w in words)
    names = [n for n in CASES if wanted(n)]
    jobs = [('cases %d...' % i, all_of, (names[i:i + 12],)) for i in range(0, len(names), 12)]
    jobs += [('resume ' + k, resumed, (k,)) for k in KEYS if wanted('resume ' + k)]
    jobs += [(f.__name__, f, ()) for f in (locked, journals, rights) if wanted(f.__name__)]
    harness.run_jobs(t, jobs)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
