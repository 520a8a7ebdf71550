# SPDX-License-Identifier: Apache-2.0
"""Text files as people have them (INTERFACE 7), each sentence as a row: bytes, options, what a reader gets, what the plan
says; and the name templates and object words (INTERFACE 1 and 4) that lead to a destination."""
import gzip
import json
import os
import sqlite3

import harness

GB = '编号,城市\n1,北京\n'
# (what, bytes or text, options, rows as preview --json gives them, types of the columns or None, what the plan says)
READ = [
    ('a mark of UTF-8', b'\xef\xbb\xbfid,n\n1,\xc3\xa4\n', '', [{'id': '1', 'n': 'ä'}], None, 'byte order mark dropped'),
    ('a mark of UTF-16, little end', '\ufeffid,n\n1,ä\n'.encode('utf-16-le'), '', [{'id': '1', 'n': 'ä'}], None, ''),
    ('a mark of UTF-16, big end', '\ufeffid,n\n1,ä\n'.encode('utf-16-be'), '', [{'id': '1', 'n': 'ä'}], None, ''),
    ('lines ended by LF', 'a,b\n1,2\n3,4\n', '', [{'a': '1', 'b': '2'}, {'a': '3', 'b': '4'}], None, ''),
    ('lines ended by CRLF', 'a,b\r\n1,2\r\n3,4\r\n', '', [{'a': '1', 'b': '2'}, {'a': '3', 'b': '4'}], None, ''),
    ('lines ended by CR', 'a,b\r1,2\r3,4\r', '', [{'a': '1', 'b': '2'}, {'a': '3', 'b': '4'}], None, ''),
    ('all three in one file', 'a,b\r\n1,2\n3,4\r5,6', '', [{'a': '1', 'b': '2'}, {'a': '3', 'b': '4'}, {'a': '5', 'b': '6'}], None, ''),
    ('no end of the last line', 'a\n1\n2', '', [{'a': '1'}, {'a': '2'}], None, ''),
    ('a line sep=', 'sep=;\na;b\n1;2,5\n', '', [{'a': '1', 'b': '2,5'}], None, 'sep= line dropped'),
    ('a line sep= of a tab', 'sep=\t\na\tb\n1\t2\n', '', [{'a': '1', 'b': '2'}], None, 'sep= line dropped'),
    ('a closing 0x1A', 'a,b\n1,2\n\x1a', '', [{'a': '1', 'b': '2'}], None, 'closing 0x1A dropped'),
    ('a closing 0x1A without a line end', 'a,b\n1,2\x1a', '', [{'a': '1', 'b': '2'}], None, 'closing 0x1A dropped'),
    ('a closing 0x1A of a file larger than its sample', 'a,b\n' + '1,22222\n' * 600000 + '\x1a', '', None, None, 'closing 0x1A dropped'),
    ('0x1A within', 'a,b\n1,x\x1ay\n', '', [{'a': '1', 'b': 'x\x1ay'}], None, '!0x1A'),
    ('bytes of GB18030, told', GB.encode('gb18030'), 'encoding=gb18030', [{'编号': '1', '城市': '北京'}], None, ''),
    ('delimiter found: comma', 'a,b\n1,2\n', '', [{'a': '1', 'b': '2'}], None, ''),
    ('delimiter found: semicolon', 'a;b\n1;2,5\n2;3,5\n', '', [{'a': '1', 'b': '2,5'}, {'a': '2', 'b': '3,5'}], None, ''),
    ('delimiter found: tab', 'a\tb\n1\t2\n', '', [{'a': '1', 'b': '2'}], None, ''),
    ('delimiter found: bar', 'a|b\n1|2\n', '', [{'a': '1', 'b': '2'}], None, ''),
    ('delimiter of several characters', 'a||b\n1||2|3\n', 'delimiter=||', [{'a': '1', 'b': '2|3'}], None, ''),
    ('delimiter by name', 'a\x01b\n1\x012\n', 'delimiter=ctrl-a', [{'a': '1', 'b': '2'}], None, ''),
    ('delimiter by number', 'a\x02b\n1\x022\n', r'delimiter=\x02', [{'a': '1', 'b': '2'}], None, ''),
    ('a number', 'a\n1\n-20\n', '', [{'a': '1'}, {'a': '-20'}], ['int64'], ''),
    ('a leading zero stays text', 'a\n007\n10\n', '', [{'a': '007'}, {'a': '10'}], ['utf8'], ''),
    ('zero and zero point are numbers', 'a\n0\n0.5\n', '', [{'a': '0.0'}, {'a': '0.5'}], ['float64'], ''),
    ('a plus sign stays text', 'a\n+49\n1\n', '', [{'a': '+49'}, {'a': '1'}], ['utf8'], ''),
    ('16 digits beside shorter ones stay text', 'a\n1234567890123456\n7\n', '', [{'a': '1234567890123456'}, {'a': '7'}], ['utf8'], ''),
    ('16 digits alone are a number', 'a\n1234567890123456\n1234567890123457\n', '', [{'a': '1234567890123456'}, {'a': '1234567890123457'}], ['int64'], ''),
    ('more digits than a number holds', 'a\n99999999999999999999\n', '', [{'a': '99999999999999999999'}], ['utf8'], ''),
    ('a fraction of many digits is a number', 'a\n48.053808600000004\n', '', [{'a': '48.0538086'}], ['float64'], ''),
    ('an exponent is a number', 'a\n1e3\n', '', [{'a': '1000.0'}], ['float64'], ''),
    ('a fraction that a double has not stays text', 'a\n9007199254740993.5\n', '', [{'a': '9007199254740993.5'}], ['utf8'], ''),
    ('another quote', "a,b\n'x,y',2\n", "quote='", [{'a': 'x,y', 'b': '2'}], None, ''),
    ('no quote', 'a,b\n"x,2\n', 'quote=none', [{'a': '"x', 'b': '2'}], None, ''),
    ('an escape', 'a,b\nx\\,y,2\n', 'escape=\\', [{'a': 'x,y', 'b': '2'}], None, ''),
    ('a quoted line end', 'a,b\n"x\ny",2\n', '', [{'a': 'x\ny', 'b': '2'}], None, ''),
    ('null_text', 'a,b\nx,NA\n,2\n', 'null_text=NA', [{'a': 'x', 'b': None}, {'a': '', 'b': '2'}], None, ''),
    ('comment lines', '#c\na,b\n#d\n1,2\n', 'comment=#', [{'a': '1', 'b': '2'}], None, ''),
    ('skip_lines', 'x\ny\na,b\n1,2\n', 'skip_lines=2', [{'a': '1', 'b': '2'}], None, ''),
    ('header found', 'id,v\n1,2\n', '', [{'id': '1', 'v': '2'}], None, ''),
    ('no header found', '1,2\n3,4\n', '', [{'c1': '1', 'c2': '2'}, {'c1': '3', 'c2': '4'}], None, 'no header line'),
    ('header refused', 'id,v\nx,y\n', 'header=false', [{'c1': 'id', 'c2': 'v'}, {'c1': 'x', 'c2': 'y'}], None, ''),
    ('header wanted', '1,2\n3,4\n', 'header=true', [{'1': '3', '2': '4'}], None, ''),
]
# (what, bytes, options, exit, words)
REFUSED = [
    ('GB18030 that nobody told', GB.encode('gb18030'), '', 2, ['E4006', 'line 1', '--from encoding=gb18030']),
    ('bytes of no encoding', b'a,b\n1,\xff\xff\n', '', 2, ['E4006', 'line 2, byte 6', 'encoding=']),
    ('an empty delimiter', b'a,b\n', 'delimiter=', 2, ['E1008', 'none']),
    ('an encoding that is none', b'a\n1\n', 'encoding=utf-88', 2, ['utf-88']),
    ('a spreadsheet', b'PK\3\4', '', 2, ['E1024', 'save as CSV']),
]


def read(t):
    """Red when a sentence of INTERFACE 7 does not hold, packed or not."""
    place = harness.Place('textfiles')
    for what, text, option, rows, types, says in READ:
        data = text if isinstance(text, bytes) else text.encode()
        with open(place.path('x.csv'), 'wb') as f:
            f.write(data)
        with gzip.open(place.path('x.csv.gz'), 'wb') as f:
            f.write(data)
        words = ['--from', option] if option else []
        for name in ('x.csv', 'x.csv.gz') if rows is not None else ('x.csv',):
            code, out, err = place.run('preview', name, '--json', *words) if rows is not None else (0, '', '')
            t.check(code == 0 and (rows is None or harness.events(out) == rows), '%s (%s)' % (what, name), out + err)
            code, out, err = place.run('plan', name, 'null:', '--json', *words)
            table = (harness.events(out) or [{}])[-1].get('tables', [{}])[0]
            note = table.get('source_note', '')
            told = says[1:] not in note if says.startswith('!') else says in note
            t.check(code == 0 and told, '%s: the plan says so (%s)' % (what, name), '%s\n%s' % (note, err))
            if types:
                found = [c['type'] for c in table.get('columns', [])]
                t.check(found == types, '%s: types' % what, found)
    for what, data, option, want, says in REFUSED:
        name = 'x.xlsx' if 'spreadsheet' in what else 'x.csv'
        with open(place.path(name), 'wb') as f:
            f.write(data)
        code, _, err = place.run('copy', name, 'null:', *(['--from', option] if option else []))
        t.check(code == want and all(s in err for s in says), what, '%d %s' % (code, err))
    place.remove()


# (template, source table, the destination's table or an error code)
TEMPLATES = [
    ('{source.table}', 'Order Lines', 'Order Lines'), ('{source.table|lower}', 'Order Lines', 'order lines'),
    ('{source.table|upper}', 'straße', 'STRAßE'), ('{source.table|snake}', 'OrderLines', 'order_lines'),
    ('{source.table|snake}', 'HTTPServer2Log', 'http_server2_log'), ('{source.table|snake}', 'order lines', 'order_lines'),
    ('{source.table|replace(_,-)}', 'a_b_c', 'a-b-c'), ('{source.table|replace(t_,)}', 't_user', 'user'),
    ('{source.table|prefix(ods_)}', 'user', 'ods_user'), ('{source.table|suffix(_bak)}', 'user', 'user_bak'),
    (r'{source.table|regex(^t_(\w+)_\d+$,\1)}', 't_user_07', 'user'), (r'{source.table|regex(^x,y)}', 'user', 'user'),
    ('{source.table|lower|prefix(a_)|suffix(_z)}', 'USER', 'a_user_z'), ('x_{source.table}_{source.table|upper}', 'a', 'x_a_A'),
    (r'{source.table|regex(_\d+$,)}', 't_user_07', 't_user'), ('{source.schema}_{source.table}', 'a', 'E1'),
    ('{source.tabel}', 'a', 'E1'), ('{source.table|lowre}', 'a', 'E1'), ('{source.table|regex((,x)}', 'a', 'E1'),
    ('{source.table', 'a', 'E1'), ('{row.id}', 'a', 'E1'),
]


def headers(t):
    """Red when files of two shapes in one folder are begun as one table, or when the same columns in another order, an empty
    file or one that is only a header are refused for it."""
    place = harness.Place('headers')

    def put(name, text):
        with open(place.path('in', name), 'w', encoding='utf-8') as f:
            f.write(text)
    os.mkdir(place.path('in'))
    put('a.csv', 'a,b\n1,2\n')
    put('e.csv', '')
    put('h.csv', 'a,b\n')
    for other, said in (('a,c\n1,2\n', "'z.csv' has no column 'b'"), ('a,b,c\n1,2,3\n', "'z.csv' has 3 columns, the first file 2")):
        put('z.csv', other)
        for words in (('plan', 'in/', 'o.db#t'), ('copy', 'in/', 'o.db#t')):
            code, out, err = place.run(*words)
            t.check(code == 2 and 'E3005' in out + err and said in out + err and 'cancel RUN --discard' in out + err
                    and not os.path.exists(place.path('o.db')), '%s: %s' % (words[0], said), '%d %s %s' % (code, out, err))
    t.check(harness.events(place.run('history', '--json')[1]) == [], 'no run was begun')
    put('z.csv', 'b,a\n4,3\n')
    code, _, err = place.run('copy', 'in/', 'o.db#t')
    db = sqlite3.connect(place.path('o.db'))
    t.check(code == 0 and db.execute('select a, b from t order by a').fetchall() == [(1, 2), (3, 4)], 'another order is the same table', err)
    db.close()
    place.remove()


def templates(t):
    """Red when a filter of a name template makes another name, or a wrong one is taken as it stands."""
    import sqlite3
    for template, table, want in TEMPLATES:
        place = harness.Place('template')
        db = sqlite3.connect(place.path('src.db'))
        db.execute('create table "%s" (id integer)' % table)
        db.commit()
        db.close()
        job = {'version': 1, 'streams': [{'from': {'type': 'sqlite', 'path': 'src.db', 'table': '*'},
                                          'to': {'type': 'sqlite', 'path': 'out.db', 'table': template}}]}
        with open(place.path('j.json'), 'w', encoding='utf-8') as f:
            json.dump(job, f)
        code, out, err = place.run('plan', 'j.json', '--json')
        events = harness.events(out)
        if want == 'E1':
            found = [e.get('code', '') for e in events if e.get('type') == 'error']
            t.check(code == 2 and any(c.startswith('E1') for c in found), '%s is refused' % template, out + err)
        else:
            tables = (events or [{}])[-1].get('tables', [{}])
            got = tables[0].get('target', '')
            t.check(code == 0 and got == 'out.db#' + want, '%s of %s' % (template, table), '%s %s' % (got, err or out))
        t.check(not os.path.exists(place.path('out.db')), 'nothing is made')
        code, out, _ = place.run('discover', 'src.db', '/^[a-z].*$/i', '--json')
        t.check(code == 0 and [e['name'] for e in harness.events(out)] == [table], 'discover with a regular expression', out)
        place.remove()


# (words for SRC DST, what the plan's table holds, or an error code and words)
OBJECTS = [
    (['a.csv', 'out.db'], {'from': 'file', 'target': 'out.db#a'}),
    (['./a.csv', './out.db'], {'from': 'file', 'target': './out.db#a'}),
    (['in/', 'out.db'], {'target': 'out.db#in'}),
    (['in/*.csv', 'out.db'], None), (['in/**', 'out.db#t'], {'target': 'out.db#t'}),
    (['sqlite:src.db#main.Kunden', 'null:'], {'table': 'Kunden'}), (['a.csv', 'src.db#KUNDEN'], {'target': 'src.db#Kunden'}),
    (['src.db#"a.b c"', 'null:'], {'table': 'a.b c'}),
    (['src.db#K*', 'null:'], {'table': 'Kunden'}), (['src.db#/^k.*$/i', 'null:'], {'table': 'Kunden'}),
    (['src.db#/^k/', 'null:'], ('E1028', '')), (['src.db#Kund', 'null:'], ('E3001', '')),
    (['gen:lineitem?rows=5,seed=1', 'null:'], {'rows': 5}), (['gen:lineitem?rows=5&seed=1', 'null:'], {'rows': 5}),
    (['pg://u@h/d#t', 'null:'], None), (['postgres://u@h/d#t', 'null:'], None),
    (['mysql://u@h/d#t', 'null:'], ('E1', 'mysql')), (['kafka:x', 'null:'], ('E1', 'kafka')),
    (['mysqll://h/d#t', 'null:'], ('E1021', 'mysql')), (['nowhere:t', 'null:'], ('E1022', 'nowhere')),
    (['a.csv', 'x.xlsx'], ('E1024', 'save as CSV')), (['a.csv', 'out.sqlite3'], {'target': 'out.sqlite3#a'}),
    (['a.csv', './b:c.csv'], {'stream': 'b:c'}), (['a.csv', 'in/1.csv', 'out.db#t'], {'target': 'out.db#t'}),
    (['a.csv', 'src.db#Kunden', 'out.db'], ('E1', '')), (['a.csv', 'out.csv', '--to', 'format='], ('E1008', 'empty')),
]


def objects(t):
    """Red when a word of INTERFACE 1 leads to another object, or a wrong one to a new file."""
    import sqlite3
    place = harness.Place('objects')
    os.mkdir(place.path('in'))
    for name in ('a.csv', 'in/1.csv', 'in/2.csv'):
        with open(place.path(name), 'w', encoding='utf-8') as f:
            f.write('id\n1\n')
    db = sqlite3.connect(place.path('src.db'))
    db.executescript('create table Kunden (id); create table "a.b c" (id); create table zwei (id)')
    db.close()
    before = sorted(os.listdir(place.dir))
    for words, want in OBJECTS:
        code, out, err = place.run('plan', *words, '--json')
        events = harness.events(out)
        said = '%s\n%d %s%s' % (words, code, out, err)
        if isinstance(want, tuple):
            found = [(e.get('code', ''), json.dumps(e, ensure_ascii=False)) for e in events if e.get('type') == 'error']
            t.check(code == 2 and any(c.startswith(want[0]) and want[1] in m for c, m in found), 'refused: %s' % words, said)
        elif want:
            tables = (events or [{}])[-1].get('tables', [{}])
            t.check(code == 0 and len(tables) == 1 and {k: tables[0].get(k) for k in want} == want, 'read: %s' % words, said)
        else:
            t.check('E1021' not in out and 'E1022' not in out, 'understood: %s' % words, said)
    t.check(sorted(os.listdir(place.dir)) == before, 'no new file', os.listdir(place.dir))
    place.remove()
