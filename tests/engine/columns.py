# SPDX-License-Identifier: Apache-2.0
"""Columns that are made on the way: `source: line` and `offset`, `convert`, `rest`. Judged by Python, which
counts lines and reads CSV and JSON by itself."""
import csv
import gzip
import hashlib
import json
import os
import random
import re
import sqlite3

import harness

ENDS = {'csv': rb'\r\n|\n|\r', 'jsonl': rb'\n'}


def records(rng, kind, n):
    """Bytes of a file, and (number, line, offset) of each record."""
    out = [b'\xef\xbb\xbfa,"b x",c\r\n'] if kind == 'csv' else []
    texts = ['x', 'line\nbreak', 'q""uote', 'cr\rin', 'crlf\r\nx', '日本', '']
    found, at, line = [], sum(map(len, out)), 1 + len(out)
    for i in range(n):
        if kind == 'csv':
            row = '%d,"%s",%s' % (i, rng.choice(texts), 'z' * rng.randrange(40))
        else:
            row = '{"a":%d,"b":"%s"}' % (i, '\\n' * rng.randrange(20))
        row = row.encode() + rng.choice([b'\n', b'\r\n', b'\n\n'])
        found.append((i, line, at))
        line += len(re.findall(ENDS[kind], row))
        at += len(row)
        out.append(row)
    return b''.join(out), found


def job(place, source, columns):
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nstreams:\n  - { name: t, from: %s, to: "o.db#t", columns: [%s] }\n' % (source, columns))


def fresh(place):
    for n in ('o.db', 'o.db-wal', 'o.db-shm'):
        if os.path.exists(place.path(n)):
            os.unlink(place.path(n))
    place.forget()


def held(place, what='a, l, o'):
    con = sqlite3.connect(place.path('o.db'))
    found = con.execute('select %s from t order by a' % what).fetchall()
    con.close()
    return found


def lines(t):
    """Red when a row is given another line or offset than it has in its file: in one piece, in many ranges, in
    several lanes, after a kill and a resume, in a packed file, in several files; or when validate sees no
    difference where there is one."""
    place = harness.Place('lines')
    rng = random.Random(11)
    n = 3000 if harness.fast() else 12000
    try:
        for kind in ('csv', 'jsonl'):
            data, want = records(rng, kind, n)
            with open(place.path('in.' + kind), 'wb') as f:
                f.write(data)
            for lanes, unit, kill in ((1, None, None), (8, '20000', None), (1, '20000', None), (3, '20000', 'commit-after:3'),
                                      (2, '30000', 'commit-before:2'), (2, '30000', 'lease-after:4')):
                fresh(place)
                job(place, 'in.' + kind, 'a, { to: l, source: line }, { to: o, source: offset }')
                code, _, err = place.run('run', 'job.yaml', '-j', str(lanes), WH_TEST_UNIT_BYTES=unit, WH_TEST_KILL=kill)
                what = '%s, %d lanes, units of %s, killed %s' % (kind, lanes, unit, kill)
                if kill:
                    t.check(code == -9, what + ': was killed', err)
                    code, _, err = place.run('resume', WH_TEST_UNIT_BYTES=unit)
                t.check(code == 0 and held(place) == want, what, '%s %s' % (err, [p for p in zip(held(place), want) if p[0] != p[1]][:3]))
            code, out, err = place.run('validate', 'job.yaml', WH_TEST_UNIT_BYTES='20000')
            t.check(code == 0 and out.startswith('='), kind + ': validate', out + err)
            con = sqlite3.connect(place.path('o.db'))
            con.execute('update t set l = l + 1 where a = 7')
            con.commit()
            con.close()
            code, out, err = place.run('validate', 'job.yaml')
            t.check(code == 4, kind + ': validate of another line', out + err)
            packed(t, place, kind, data, want)
        several(t, place)
    finally:
        place.remove()


def packed(t, place, kind, data, want):
    """Text that cannot be jumped in is read from its start again; its offsets are not the file's."""
    name = 'p.%s.gz' % kind
    with open(place.path(name), 'wb') as f:
        f.write(gzip.compress(data))
    for kill in (None, 'batch-written:1'):
        fresh(place)
        job(place, name, 'a, { to: l, source: line }')
        code, _, err = place.run('run', 'job.yaml', WH_TEST_KILL=kill)
        if code == -9:
            code, _, err = place.run('resume')
        t.check(code == 0 and held(place, 'a, l') == [w[:2] for w in want], '%s, killed %s' % (name, kill), err)
    job(place, name, 'a, { to: o, source: offset }')
    code, _, err = place.run('run', 'job.yaml')
    t.check(code == 2 and 'E1014' in err and 'packed' in err, 'offset in ' + name, err)


def several(t, place):
    """Lines begin anew in each file; rows before the first one count; a name of the file itself does not get in the way."""
    for i in range(3):
        with open(place.path('s%d.csv' % i), 'w', encoding='utf-8') as f:
            f.write('skipped\n\na,(line)\n' + ''.join('%d,%d\n' % (i * 10 + k, 100 + k) for k in range(4)))
    fresh(place)
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nstreams:\n  - { name: t, from: { path: "s*.csv", skip_lines: 2 }, to: "o.db#t",\n'
                '      columns: ["*", { to: f, source: file }, { to: l, source: line }] }\n')
    code, _, err = place.run('run', 'job.yaml')
    want = [(i * 10 + k, 100 + k, 's%d.csv' % i, 4 + k) for i in range(3) for k in range(4)]
    t.check(code == 0 and held(place, '*') == want, 'several files', '%s %s' % (err, held(place, '*') if code == 0 else ''))
    for word in ('unit', 'partition', 'key'):
        job(place, 's0.csv', '{ to: x, source: %s }' % word)
        code, _, err = place.run('plan', 'job.yaml')
        t.check(code == 2 and 'E1014' in err, 'source: ' + word, err)
    job(place, '"o.db#t"', '{ to: x, source: line }')
    code, _, err = place.run('plan', 'job.yaml')
    t.check(code == 2 and 'E1014' in err and 'sqlite' in err, 'lines of a table', err)


def converted(t):
    """Red when a function gives another value than Python's, a packed row is not what json reads as its row, or
    a resume goes on with other functions."""
    place = harness.Place('converted')
    rng = random.Random(5)
    n = 2000
    rows = [(i, rng.choice(['  Ärger ', 'straße', '', '日本語 ', 'x"y,z', 'two\nlines']), '%011d' % rng.randrange(10 ** 11),
             rng.choice(['1.50', '', '20.00']), rng.choice(['a', '', 'é\t'])) for i in range(n)]
    try:
        with open(place.path('in.csv'), 'w', encoding='utf-8', newline='') as f:
            w = csv.writer(f, lineterminator='\n')
            w.writerow(['a', 'name', 'phone', 'price', 'note'])
            w.writerows(rows)
        columns = ('a, { from: name, convert: [trim, upper, { null_to: none }] }, { from: name, to: r, convert: [strip_newlines, reverse] }, '
                   '{ from: phone, convert: { mask: { keep_first: 3, keep_last: 4 } } }, { from: phone, to: h, convert: hash }, { to: doc, rest: json }')
        job(place, 'in.csv', columns)
        with open(place.path('job.yaml'), 'a', encoding='utf-8') as f:
            f.write('    types: { phone: text, price: "decimal(8,2)" }\n')
        text = open(place.path('job.yaml'), encoding='utf-8').read().replace('] }\n    types', '],\n      types').rstrip() + ' }\n'
        with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
            f.write(text)
        code, _, err = place.run('run', 'job.yaml', WH_TEST_UNIT_BYTES='20000', WH_TEST_KILL='commit-after:2')
        t.check(code == -9, 'was killed', err)
        other = text.replace('keep_last: 4', 'keep_last: 3')
        with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
            f.write(other)
        code, _, err = place.run('run', 'job.yaml')
        t.check(code == 2 and 'E7008' in err and 'keep_last' in err, 'another function is another run', '%s %s' % (code, err))
        with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
            f.write(text)
        code, _, err = place.run('run', 'job.yaml', WH_TEST_UNIT_BYTES='20000')
        found = held(place, 'a, name, r, phone, h, doc') if code == 0 else []
        t.check(code == 0 and len(found) == n, 'resumed', err)
        wrong = [(f, r) for f, r in zip(found, rows) if f != made(f, r)]
        t.check(not wrong, 'every value', wrong[:3])
        code, out, err = place.run('validate', 'job.yaml')
        t.check(code == 0 and out.startswith('='), 'validate', out + err)
        code, _, err = place.run('copy', 'o.db#t', 'out.csv')
        with open(place.path('out.csv'), encoding='utf-8', newline='') as f:
            back = list(csv.reader(f))[1:]
        t.check(code == 0 and [[str(v) if v is not None else '' for v in r] for r in found] == back, 'and out to CSV again', err)
    finally:
        place.remove()


def made(found, row):
    """What the row should have become; of its JSON the value, and the digits of its decimal."""
    a, name, phone, price, note = row
    name = name if name else None
    doc = json.loads(found[5], parse_float=str)
    want = {'price': price or None, 'note': note or None}
    upper = 'none' if name is None else name.strip().replace('ß', '\0').upper().replace('\0', 'ß')
    return (a, upper, None if name is None else name.replace('\n', '')[::-1], phone[:3] + '****' + phone[7:],
            hashlib.sha256(phone.encode()).hexdigest(), found[5] if doc == want and list(doc) == list(want) else want)


DECLARED = """version: 1
streams:
  - from: a.csv
    to: o.db#t
    columns:
      - { from: price, to: shown, type: text }
      - { from: code, type: 'decimal(9,2)' }
      - { from: n, type: int64 }
  - from: a.jsonl
    to: o.db#j
    columns: [{ from: price, to: shown, type: text }, { from: n, type: text }]
"""
BOTH = """version: 1
streams:
  - from: a.csv
    to: o.db#u
    columns: [{ from: price, to: shown, type: text }, { from: price, to: price }]
"""


def declared(t):
    """Red when a column whose line of `columns` declares a type is read by a guess that changes it, or when two
    lines that want one column in two ways are not refused."""
    place = harness.Place('declared')
    try:
        with open(place.path('a.csv'), 'w') as f:
            f.write('price,code,n\n1.50,007,1\n2.00,8,\n')
        with open(place.path('a.jsonl'), 'w') as f:
            f.write('{"price": 1.50, "n": 10}\n{"price": 2.0, "n": 2e1}\n')
        with open(place.path('job.yaml'), 'w') as f:
            f.write(DECLARED)
        code, _, err = place.run('run', 'job.yaml')
        t.check(code == 0, 'copied', err)
        db = sqlite3.connect(place.path('o.db'))
        got = db.execute('select shown, code, n from t').fetchall()
        t.check(got == [('1.50', 7, 1), ('2.00', 8, None)], 'the declared types, not the guessed ones', got)
        got = db.execute('select shown, n from j').fetchall()
        t.check(got == [('1.50', '10'), ('2.0', '2e1')], 'of JSON too', got)
        db.close()
        with open(place.path('job.yaml'), 'w') as f:
            f.write(BOTH)
        place.forget()
        code, _, err = place.run('run', 'job.yaml')
        t.check(code == 2 and 'E1014' in err and 'types: { price: text }' in err, 'one column in two ways', err)
    finally:
        place.remove()
