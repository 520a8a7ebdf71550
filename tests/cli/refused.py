# SPDX-License-Identifier: Apache-2.0
"""wherry dirty: the rows that a run refused are listed, exported, dropped, and written again, once."""
import csv
import json
import os
import sqlite3
import stat

import harness


def sql(place, base, *statements):
    db = sqlite3.connect(place.path(base))
    rows = []
    for s in statements:
        rows = db.execute(s).fetchall()
    db.commit()
    db.close()
    return rows


def last_run(place):
    _, out, _ = place.run('history', '--json', '-n', '1')
    return json.loads(out)['run']


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


BAD = 'id,n,t\n1,10,a\n2,twenty,b\n3,30\n4,40,"x ""y"", z"\n'


def from_csv(place):
    with open(place.path('m.csv'), 'w', encoding='utf-8') as f:
        f.write(BAD)
    code, _, err = place.run('copy', 'm.csv', 'out.db', '--types', 'n=int64', '--dirty', 'rows=9')
    assert code == 0, err
    return last_run(place)


def listed(t):
    """Red when a refused row is not listed with its place, column, code and reason, or one that a resume
    will read again is called final."""
    place = harness.Place('dirty-list')
    code, out, _ = place.run('dirty', 'list')
    t.check(code == 0 and out == 'no run refused a row\n', 'no runs at all', out)
    run = from_csv(place)
    code, out, err = place.run('dirty', 'list', run, '--json')
    rows = {r['position'].split(',')[0]: r for r in lines(out)}
    t.check(code == 0 and sorted(rows) == ['m.csv line 3', 'm.csv line 4'], 'both rows', out)
    r = rows.get('m.csv line 3', {})
    t.check((r.get('column'), r.get('code'), r.get('unit'), r.get('table'), r.get('final')) ==
            ('n', 'E6006', 1, 'm', True) and 'twenty' in r.get('reason', ''), 'why', r)
    code, out, err = place.run('dirty', 'list', run)
    t.check(code == 0 and out.count('\n') == 2 and 'E6011' in out and err == '', 'for people', out + err)
    code, out, err = place.run('dirty', 'list', run, '-n', '1')
    t.check(out.count('\n') == 1 and '-n N' in err, 'the first one', out + err)
    code, out, _ = place.run('dirty', 'list', run, 'other')
    t.check(code == 0 and out == '', 'another table', out)
    code, out, _ = place.run('dirty')
    t.check(code == 0 and run in out and '2 refused' in out, 'which runs', out)
    # A limit that is passed: its row is no part of what is final.
    code, _, err = place.run('copy', 'm.csv', 'two.db', '--types', 'n=int64')
    t.check(code == 6 and 'dirty' in err, 'limit 0', err)
    code, out, err = place.run('dirty', 'list', last_run(place), '--json')
    t.check([r['final'] for r in lines(out)] == [False], 'not final', out)
    code, out, err = place.run('dirty', 'list', last_run(place))
    t.check('--dirty rows=N' in err, 'what to do', err)
    for words, code_wanted, what in ((['lst', run], 'E1011', "did you mean 'dirty list'"), (['export'], 'E1011', 'run'),
                                     (['list', 'r-nothing'], 'E7007', ''), (['drop', run, 'x'], 'E1011', ''),
                                     (['list', run, '-o', 'x'], 'E1010', ''), (['list', run, '-n', '0'], 'E1002', '')):
        code, out, err = place.run('dirty', *words)
        t.check(code == 2 and code_wanted in err and what in err, words, err)
    place.remove()


def exported(t):
    """Red when an exported row is not the row that was refused: a byte, a NULL, an empty text."""
    place = harness.Place('dirty-export')
    run = from_csv(place)
    code, out, _ = place.run('dirty', 'export', run)
    t.check(code == 0 and sorted(r['raw'] for r in lines(out)) == ['2,twenty,b', '3,30'], 'JSON lines', out)
    code, _, err = place.run('dirty', 'export', run, '-o', 'bad.csv')
    with open(place.path('bad.csv'), encoding='utf-8') as f:
        text = f.read()
    t.check(code == 0 and sorted(text.splitlines()) == ['2,twenty,b', '3,30', 'id,n,t'] and text.startswith('id,n,t'),
            'CSV', text + err)
    t.check(stat.S_IMODE(os.stat(place.path('bad.csv')).st_mode) == 0o600, 'for the owner only')
    code, _, err = place.run('dirty', 'export', run, '-o', 'bad.csv')
    t.check(code == 2 and 'E1012' in err, 'never over a file', err)
    sql(place, 's.db', 'create table a(id integer primary key, v text, b blob)',
        "insert into a values(1, 'x \"q\"\n,', x'00ff'), (2, '', x''), (3, null, null)")
    sql(place, 'd.db', 'create table a(id integer primary key, v text, b blob, check (id > 9))')
    code, _, err = place.run('copy', 'sqlite:s.db#a', 'sqlite:d.db#a', '--dirty', 'rows=9')
    run = last_run(place)
    place.run('dirty', 'export', run, '-o', 'rows.csv')
    with open(place.path('rows.csv'), encoding='utf-8', newline='') as f:
        rows = sorted(csv.reader(f))
    t.check(rows == [['1', 'x "q"\n,', '\\x00ff'], ['2', '', '\\x'], ['3', '', ''], ['id', 'v', 'b']], 'values', rows)
    code, _, err = place.run('copy', 'rows.csv', 'again.db#a', '--types', 'id=int64,v=text,b=binary')
    t.check(code == 0 and sql(place, 'again.db', 'select * from a order by id') ==
            sql(place, 's.db', 'select * from a order by id'), 'and the copy of that file is the rows', err)
    code, _, err = place.run('dirty', 'export', run, '-o', 'rows.jsonl')
    with open(place.path('rows.jsonl'), encoding='utf-8') as f:
        rows = {r['row']['id']: r['row'] for r in lines(f.read())}
    t.check(rows.get('3') == {'id': '3', 'v': None, 'b': None} and rows.get('2', {}).get('v') == '', 'NULL and empty', rows)
    place.remove()


def beginnings(t):
    """Red when a row that is kept only in its beginning passes for a whole one, or the place of a row for a
    column of it."""
    place = harness.Place('dirty-large')
    with open(place.path('m.csv'), 'w', encoding='utf-8') as f:
        f.write('id,n\n1,1\n2,two\n3,%s\n' % ('z' * (1 << 20)))
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write("""version: 1
streams:
  - { from: m.csv, to: out.db, dirty: { rows: 9 }, values: { max_row_bytes: 64kB }, types: { n: int64 }, columns: ['*', { to: at, source: line }] }
""")
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 0 and sql(place, 'out.db', 'select id, n, at from m') == [(1, 1, 2)], 'copied', err + str(sql(place, 'out.db', 'select * from m')))
    run = last_run(place)
    code, out, err = place.run('dirty', 'export', run)
    cut = {r['position'].split(',')[0]: (len(r['raw']), r.get('raw_cut_from')) for r in lines(out)}
    large = cut.get('m.csv line 4', (0, None))
    t.check(code == 0 and cut.get('m.csv line 3') == (5, None) and (large[1] or 0) > large[0] >= 4096, 'one is a beginning', cut)
    code, _, err = place.run('dirty', 'export', run, '-o', 'bad.csv')
    with open(place.path('bad.csv'), encoding='utf-8') as f:
        text = f.read()
    t.check(code == 3 and text == 'id,n\n2,two\n' and '1 more is left out' in err and 'm.csv line 4' in err, 'CSV: whole rows, as they were',
            '%d %s\n%s' % (code, text[:200], err))
    place.remove()


def commands(err):
    """What a message says to type."""
    return [w.strip() for line in err.splitlines() for w in line.partition(': ')[2].split(';') if w.strip().startswith('wherry dirty export')]


def both_ends(t):
    """Red when rows of one table that were refused at the source and at the destination cannot be mended by what the
    message says, a line stands under names that are not its own, or separators are mixed in one file."""
    place = harness.Place('dirty-both')
    with open(place.path('m.csv'), 'w', encoding='utf-8') as f:
        f.write('id;n;t\n1;10;a\n2;twenty;b\n3;30\n4;40;c\n5;5;e\n')
    args = ('m.csv', 'o.db#m', '--columns', 't,key=n', '--types', 'n=int64')
    sql(place, 'o.db', 'create table m(t text, key integer, check (key <> 5))')
    code, _, err = place.run('copy', *args, '--dirty', 'rows=9')
    run = last_run(place)
    code, out, err = place.run('dirty', 'export', run, 'm', '-o', 'x.csv')
    words = commands(err)
    t.check(code == 2 and 'E6032' in err and '2 as they lay in the source, 1 as they were mapped' in err and not os.path.exists(place.path('x.csv')) and
            words == ['wherry dirty export %s m --side %s -o x.%s.csv' % (run, s, s) for s in ('raw', 'to')], 'says exactly what to do', err)
    said = ''
    for w in words:
        code, _, err = place.run(*w.split()[1:])
        said += err
        t.check(code == 0, w, err)
    with open(place.path('x.raw.csv'), encoding='utf-8') as f, open(place.path('x.to.csv'), encoding='utf-8') as g:
        raw, to = f.read(), g.read()
    t.check((raw, to) == ('3;30\n2;twenty;b\n', 't,key\ne,5\n') and 'without a header' in said and "without 'columns'" in said, 'a file each', raw + to + said)
    with open(place.path('x.raw.csv'), 'w', encoding='utf-8') as f:
        f.write('id;n;t\n' + raw.replace('3;30', '3;30;x').replace('twenty', '20'))
    sql(place, 'o.db', 'create table b as select * from m', 'drop table m', 'create table m(t text, key integer)', 'insert into m select * from b')
    for words in (('x.raw.csv', *args[1:]), ('x.to.csv', 'o.db#m')):
        code, _, err = place.run('copy', *words)
        t.check(code == 0, ' '.join(words), err)
    t.check(sql(place, 'o.db', 'select * from m order by key') == [('e', 5), ('a', 10), ('b', 20), ('x', 30), ('c', 40)], 'every row, once',
            sql(place, 'o.db', 'select * from m'))
    code, out, _ = place.run('dirty', 'export', run, '--side', 'raw')
    t.check([r['raw'] for r in lines(out)] == ['3;30', '2;twenty;b'], 'JSON lines of one side', out)
    # Only lines, and only some columns were read: their names are not known.
    sql(place, 'o.db', 'drop table m')
    place.run('copy', *args, '--dirty', 'rows=9')
    code, _, err = place.run('dirty', 'export', last_run(place), '-o', 'y.csv')
    t.check(code == 2 and 'E6032' in err and 'names of their columns' in err and '--side raw' in err, 'no false names', err)
    # Nothing is mapped: one file, one separator, whichever came first.
    sql(place, 'o.db', 'create table p(id integer, n integer, t text, check (id <> 1 and id <> 4))')
    place.run('copy', 'm.csv', 'o.db#p', '--types', 'n=int64', '--dirty', 'rows=9')
    code, _, err = place.run('dirty', 'export', last_run(place), '-o', 'p.csv')
    with open(place.path('p.csv'), encoding='utf-8') as f:
        text = f.read().splitlines()
    t.check(code == 0 and text[0] == 'id;n;t' and sorted(text[1:]) == ['1;10;a', '2;twenty;b', '3;30', '4;40;c'], 'one file', '%s %s' % (text, err))
    # Several tables.
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\ndefaults: { dirty: { rows: 9 }, types: { n: int64 } }\nstreams:\n' +
                ''.join("  - { name: %s, from: m.csv, to: 'q.db#%s' }\n" % (x, x) for x in 'ab'))
    code, _, err = place.run('run', 'j.yaml')
    code, _, err = place.run('dirty', 'export', last_run(place), '-o', 'z.csv')
    t.check(code == 2 and 'E6032' in err and 'several tables' in err and len(commands(err)) == 2, 'several tables', err)
    for w in commands(err):
        t.check(place.run(*w.split()[1:])[0] == 0, w)
    for words, code_wanted in ((['export', run, '--side', 'x'], 'E1002'), (['list', run, '--side', 'to'], 'E1010')):
        code, _, err = place.run('dirty', *words)
        t.check(code == 2 and code_wanted in err, words, err)
    place.remove()


def dropped(t):
    """Red when refused rows go without consent, or are said to be there when they are gone."""
    place = harness.Place('dirty-drop')
    run = from_csv(place)
    code, _, err = place.run('dirty', 'drop', run)
    t.check(code == 2 and 'E1012' in err, 'asks', err)
    code, out, _ = place.run('dirty', 'list', run)
    t.check(out.count('\n') == 2, 'all there', out)
    code, out, _ = place.run('dirty', 'drop', run, '--yes', '--json')
    t.check(code == 0 and json.loads(out)['files'] == 1, 'dropped', out)
    t.check(not os.path.exists(place.state('dirty', run)), 'the folder has gone')
    code, out, err = place.run('dirty', 'list', run)
    t.check(code == 0 and out == '' and '2 more refused rows are not kept' in err, 'said', out + err)
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 2 and 'E6031' in err, 'no replay of what is not there', err)
    code, out, _ = place.run('dirty')
    t.check('not kept any more' in out, 'the overview', out)
    place.remove()


HARD = [(1, 'x "q",\n\r', b'\x00\xff', 0.1), (2, '', b'', -1e300), (3, None, None, None), (4, 'NULL', b'N', 5e-324),
        (5, '\\N', b'\\N', 2.0), (6, ' lead', None, 1e16), (7, '\U0001f600\u00e4', b'\n', 3.0)]


def refuse_all(place, extra=(), columns='id integer primary key, v text, b blob, f real, check (id > 99)'):
    sql(place, 's.db', 'create table if not exists a(id integer primary key, v text, b blob, f real)')
    db = sqlite3.connect(place.path('s.db'))
    db.executemany('insert or replace into a values(?, ?, ?, ?)', HARD)
    db.commit()
    db.close()
    sql(place, 'd.db', 'drop table if exists a', 'create table a(%s)' % columns)
    code, _, err = place.run('copy', 'sqlite:s.db#a', 'sqlite:d.db', '--dirty', 'rows=99', *extra)
    assert code == 0 and sql(place, 'd.db', 'select count(*) from a') == [(0,)], err
    return last_run(place)


def replayed(t):
    """Red when a replayed row is not the one that was refused, is written twice, or is lost."""
    place = harness.Place('dirty-replay')
    run = refuse_all(place)
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 3 and '7 refused again' in err, 'the cause is still there', err)
    again = last_run(place)
    for which in (run, again, run):
        code, _, err = place.run('dirty', 'replay', which)
        t.check(code == 3 and '7 refused again' in err and sql(place, 'd.db', 'select count(*) from a') == [(0,)],
                'as long as the cause is there it ends with 3', '%d %s' % (code, err))
        t.check(which == again or 'run %s wrote the others; 7 are tried again' % again in err, 'what was refused again is tried again', err)
    sql(place, 'd.db', 'drop table a', 'create table a(id integer primary key, v text, b blob, f real, x int, check (id < 4))')
    code, out, _ = place.run('dirty', 'replay', run, '--json')
    ends = [e for e in harness.events(out) if e['type'] == 'run_finished']
    t.check(code == 3 and len(ends) == 1 and (ends[0]['exit'], ends[0]['rows_written'], ends[0]['rows_dirty']) == (3, 3, 4) and
            harness.events(out)[-1] == ends[0], 'some of them', out)
    sql(place, 'd.db', 'create table b as select * from a', 'drop table a',
        'create table a(id integer primary key, v text, b blob, f real, x int)', 'insert into a select * from b')
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 0 and sql(place, 'd.db', 'select id, v, b, f from a order by id') == HARD, 'every value', err +
            str(sql(place, 'd.db', 'select * from a order by id')))
    for which in (run, again):
        code, _, err = place.run('dirty', 'replay', which)
        t.check(code == 0 and 'nothing was moved' in err and sql(place, 'd.db', 'select count(*) from a') == [(7,)], 'once', err)
    # Mapped columns, with a constant, refused before and after the mapping; rows that were there stay.
    run = refuse_all(place, ('--columns', 'key=id,v,f', '--mode', 'overwrite', '--guard', 'empty=allow'),
                     'key integer primary key, v text not null, f real, more text default \'m\', check (key > 99)')
    _, out, _ = place.run('dirty', 'export', run)
    sides = sorted(r['side'] for r in lines(out))
    t.check(sides == ['from'] + ['to'] * 6, 'both sides', sides)
    sql(place, 'd.db', 'drop table a', 'create table a(key integer primary key, v text, f real, more text default \'m\')',
        "insert into a values(50, 'stays', 0, 'there')")
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 0 and sql(place, 'd.db', 'select key, v, f, more from a order by key') ==
            [(i, v, f, 'm') for i, v, _, f in HARD] + [(50, 'stays', 0, 'there')], 'mapped, and added',
            err + str(sql(place, 'd.db', 'select * from a')))
    # Upsert stays an upsert.
    run = refuse_all(place, ('--mode', 'upsert', '--key', 'id'))
    sql(place, 'd.db', 'drop table a', 'create table a(id integer primary key, v text, b blob, f real)',
        "insert into a values(1, 'older', x'01', 9)")
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 0 and sql(place, 'd.db', 'select * from a order by id') == HARD, 'keys', err)
    os.makedirs(place.state('holders'), exist_ok=True)   # of a holder that could not take it away
    with open(place.state('holders', run.rsplit('-', 1)[1] + '.0'), 'w', encoding='ascii') as f:
        f.write('1\n')
    code, out, err = place.run('gc', '--all', '--yes', '--json')
    left = place.leftovers()
    t.check(code == 0 and left == [] and not os.path.isdir(place.state('replay', run)), 'gc takes all of it', '%s %s' % (out, left))
    place.remove()


def replay_refused(t):
    """Red when a replay moves rows that are not final, that it cannot read, or to another place."""
    place = harness.Place('dirty-refused')
    run = from_csv(place)
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 2 and 'E6030' in err and 'dirty export' in err, 'rows that were none', err)
    # Some that can be written, one that cannot: never 0, however often.
    sql(place, 'some.db', 'create table m(id integer, n integer, t text, check (id <> 4))')
    code, _, err = place.run('copy', 'm.csv', 'some.db', '--types', 'n=int64', '--dirty', 'rows=9')
    some = last_run(place)
    sql(place, 'some.db', 'drop table m', 'create table m(id integer, n integer, t text)')
    for _ in range(2):
        code, _, err = place.run('dirty', 'replay', some)
        t.check(code == 3 and '2 refused rows could not be read' in err and
                sql(place, 'some.db', 'select * from m') == [(4, 40, 'x "y", z')], 'rows that were none stay: 3', '%d %s' % (code, err))
    code, out, _ = place.run('dirty', 'replay', some, '--json')
    kinds = [(e['type'], 'could not be read' in e.get('text', '')) for e in harness.events(out)]
    t.check(code == 3 and kinds[0] == ('warning', True) and kinds[-1][0] == 'run_finished', 'for programs', out)
    code, _, _ = place.run('copy', 'm.csv', 'two.db', '--types', 'n=int64')
    code, _, err = place.run('dirty', 'replay', last_run(place))
    t.check(code == 2 and 'E6030' in err and 'resume' in err, 'unfinished', err)
    code, _, err = place.run('cancel', last_run(place), '--discard', '--yes')
    code, _, err = place.run('dirty', 'replay', last_run(place))
    t.check(code == 2 and 'given up' in err, 'given up', err)
    place.remove()


def replay_killed(t):
    """Red when a replay that is killed at any point and begun again loses or doubles a row."""
    place = harness.Place('dirty-killed')

    def ready():
        place.forget()
        for f in ('s.db', 'd.db'):
            if os.path.exists(place.path(f)):
                os.remove(place.path(f))
        run = refuse_all(place)
        sql(place, 'd.db', 'drop table a', 'create table a(id integer, v text, b blob, f real)')
        return run
    run = ready()
    seen = harness.reached(place, ['dirty', 'replay', run], place.path('points'))
    points = dict(harness.kill_points())
    chosen = harness.sample(t.rng, points, sorted(seen), 6 if harness.fast() else 14)
    for name in chosen:
        run = ready()
        code, _, _ = place.run('dirty', 'replay', run, WH_TEST_KILL='%s:1' % name)
        t.check(code == -9, 'killed at ' + name, code)
        code, _, err = place.run('dirty', 'replay', run)
        t.check(code == 0, 'again after ' + name, err)
        code, _, _ = place.run('dirty', 'replay', run)
        t.check(code == 0 and sql(place, 'd.db', 'select * from a order by id') == HARD, 'each row once after ' + name,
                sql(place, 'd.db', 'select id, count(*) from a group by id'))
    place.remove()
