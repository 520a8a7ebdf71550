# SPDX-License-Identifier: Apache-2.0
"""How a table is cut, and how many pieces are under way: `parallel: { read, write }`,
`split: { parts, target_rows, range }`."""
import os
import re
import sqlite3

import harness


def job(place, settings, source='gen:lineitem?rows=30000,seed=3', to='o.db#t', run='parallel: 4'):
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nname: pieces\nstreams:\n  - { name: t, from: "%s", to: "%s", %s }\nrun: { %s }\n' %
                (source, to, settings, run))
    return place.path('job.yaml')


def sessions(err, use):
    return len(re.findall('opened to %s: ok' % use, err, re.I))


def held(place):
    con = sqlite3.connect(place.path('o.db'))
    found = con.execute('select count(*), count(distinct l_orderkey * 10 + l_linenumber), sum(l_quantity) from t').fetchone()
    con.close()
    return found


def sides(t):
    """Red when a side has more sessions than the stream allows it, when the wider side is held back by the narrower
    one, when rows get lost by it, or when a run that was killed like this does not end."""
    place = harness.Place('sides')
    whole = None
    # SQLite takes one writer, whatever is asked for; files take as many as there are.
    for words, to, most_read, most_write, says in (
            ('parallel: 2', 'out/', 2, 2, 'lanes      2\n'),
            ('parallel: { read: 1, write: 3 }', 'out/', 1, 3, 'lanes      3; 1 reads at once'),
            ('parallel: { write: 1 }', 'out/', 4, 1, 'lanes      4; 1 writes at once'),
            ('parallel: { read: 9, write: 2 }', 'out/', 4, 2, 'lanes      4; 2 write at once'),
            ('parallel: { read: 3 }', 'o.db#t', 3, 1, 'lanes      3; 1 writes at once')):
        place.forget()
        path = job(place, 'write: { mode: overwrite }, split: { target_bytes: 1MiB }, ' + words, to=to)
        code, out, err = place.run('plan', path)
        t.check(code == 0 and says in out + err, '%s: the plan says it' % words, out + err)
        code, out, err = place.run('run', path, '--json', '--debug', 'engine')
        event = harness.finished(out)
        t.check(code == 0 and event.get('rows_written') == 30000 and harness.unbalanced(event) is None,
                '%s, %s: every row' % (words, to), (code, err[-2000:]))
        read, write = sessions(err, 'read'), sessions(err, 'write')
        t.check(0 < read <= most_read and 0 < write <= most_write, '%s, %s: no more sessions than that' % (words, to), (read, write))
        if 'write: 1' in words or 'read: 3' in words:
            t.check(read > 1, '%s: more than one reads' % words, read)
    whole = held(place)
    t.check(whole[0] == whole[1] == 30000, 'each once', whole)
    path = job(place, 'split: { target_bytes: 1MiB }, parallel: { read: 3, write: 1 }', to='k.db#t')
    for at in ('writer-opened:2', 'reader-opened:3', 'commit-before:2', 'record-after:2'):
        place.forget()
        place.run('run', path, '--json', WH_TEST_KILL=at)
        code, out, err = place.run('resume', '--json')
        t.check(code == 0 and harness.finished(out).get('rows_written') == 30000, 'killed at %s, it goes on' % at, (code, err[-2000:]))
        place.run('copy', 'k.db#t', 'o.db#t', '--mode', 'overwrite')
        t.check(held(place) == whole, 'killed at %s, the rows' % at, held(place))
        con = sqlite3.connect(place.path('k.db'))
        con.execute('drop table t')
        con.commit()
        con.close()
    place.remove()


def numbers(place, name, n, rowid='integer primary key', gaps=1):
    con = sqlite3.connect(place.path(name))
    con.execute('create table t(id %s, v text)' % rowid)
    con.executemany('insert into t values (?, ?)', ((i * gaps, 'v%d' % i) for i in range(1, n + 1)))
    con.commit()
    con.close()


def sizes(t):
    """Red when `parts` or `target_rows` come to other numbers of units than were asked for (about), when they are passed
    over without a word, or when a row gets lost between units."""
    place = harness.Place('sizes')
    numbers(place, 's.db', 30000)
    with open(place.path('s.csv'), 'w', encoding='utf-8') as f:
        f.write('id,v\n' + ''.join('%d,v%d\n' % (i, i) for i in range(1, 30001)))
    for source in ('s.db#t', 's.csv', 'gen:lineitem?rows=30000'):
        for words, least, most in (('parts: 1', 1, 1), ('parts: 7', 6, 8), ('parts: 40', 36, 44), ('target_rows: 10000', 2, 4),
                                   ('target_rows: 1000', 25, 35), ('target_rows: 9e12', 1, 1)):
            place.forget()
            path = job(place, 'write: { mode: overwrite }, split: { %s }' % words, source=source, to='out/')
            code, out, err = place.run('run', path, '--json')
            event = harness.finished(out)
            units = [e for e in harness.events(out) if e['type'] == 'unit_done']
            t.check(code == 0 and event.get('rows_written') == 30000 and harness.unbalanced(event) is None,
                    '%s, %s: every row' % (source, words), (code, err[-1500:]))
            t.check(least <= len(units) <= most, '%s, %s: so many units' % (source, words), len(units))
    # Killed in between, the rest is cut alike; what differs in the job is refused.
    for source in ('s.db#t', 's.csv'):
        place.forget()
        path = job(place, 'split: { parts: 20 }', source=source, to='k.db#t%d' % len(source))
        code, out, err = place.run('run', path, '--json', WH_TEST_KILL='record-after:5')
        code, out, err = place.run('run', job(place, 'split: { parts: 5 }', source=source, to='k.db#t%d' % len(source)))
        t.check(code == 2 and 'split.parts' in err, '%s: edited meanwhile' % source, (code, err))
        code, out, err = place.run('resume', '--json')
        con = sqlite3.connect(place.path('k.db'))
        found = con.execute('select count(*), count(distinct id), sum(id) from t%d' % len(source)).fetchone()
        con.close()
        t.check(code == 0 and found == (30000, 30000, 450015000), '%s: killed and resumed' % source, (code, found, err))
    con = sqlite3.connect(place.path('s.db'))
    con.execute('create view w as select * from t')
    con.commit()
    con.close()
    code, out, err = place.run('plan', job(place, 'split: { parts: 5 }', source='s.db#w', to='out/'))
    t.check(code == 0 and re.search('split.parts: w is read as one stream', out + err), 'what cannot be divided is told', out + err)
    place.remove()


def ranges(t):
    """Red when rows outside of `split.range` are read, rows inside are not, or what has no such column is not refused."""
    place = harness.Place('ranges')
    numbers(place, 's.db', 2000, gaps=5)
    numbers(place, 'n.db', 10, rowid='int')
    for words, want in (('range: [1000, 2000]', range(1000, 2001, 5)), ('range: 1003..1999', range(1005, 2000, 5)),
                        ('range: [-5, 5], parts: 3', [5]), ('range: [9996, 99999999], target_rows: 1', [10000]),
                        ('range: [1000, 8000], parts: 9', range(1000, 8001, 5)), ('range: [7, 6]', [])):
        place.forget()
        path = job(place, 'write: { mode: overwrite }, guard: { empty: allow }, split: { by: id, %s }' % words, source='s.db#t')
        code, out, err = place.run('run', path, '--json')
        con = sqlite3.connect(place.path('o.db'))
        found = [r[0] for r in con.execute('select id from t order by id')]
        con.close()
        t.check(code == 0 and found == list(want), 'SQLite, %s' % words, (code, found[:3], found[-3:], err[-800:]))
    code, out, err = place.run('plan', path)
    t.check('id from 7 to 6, both included' in out + err, 'the plan says it', out + err)
    code, out, err = place.run('validate', job(place, 'split: { by: id, range: [1000, 2000] }', source='s.db#t'))
    t.check(code == 4, 'validate looks at that range', (code, out, err))
    for settings, source, says in (
            ('split: { by: v, range: [a, b] }', 's.db#t', 'E1060.*rowid'), ('split: { by: id }', 'n.db#t', 'E1060.*rowid'),
            ('split: { by: id, range: [1, x] }', 's.db#t', "E1002.*'x'"), ('split: { by: l_orderkey, range: [1, 2] }', 'gen:lineitem', 'E1060'),
            ('split: { range: [1, 2] }', 's.db#t', 'E1005.*needs split.by'), ('split: { by: id, range: [1] }', 's.db#t', 'E1002.*two ends'),
            ('split: { parts: 2, target_rows: 5 }', 's.db#t', 'E1007.*exclude'), ('split: { parts: 0 }', 's.db#t', 'E1003'),
            ("query: 'select 1 as a', split: { by: a, range: [1, 2] }", 's.db', 'E1007.*query')):
        code, out, err = place.run('plan', job(place, settings, source=source, to='out/'))
        t.check(code == 2 and re.search(says, err), settings, (code, err))
    place.remove()


def rows_of(place, name='o.db'):
    con = sqlite3.connect(place.path(name))
    tables = [r[0] for r in con.execute("select name from sqlite_master where type = 'table' and name not like 'wherry%' order by 1")]
    found = {n: con.execute('select count(*) from "%s"' % n).fetchone()[0] for n in tables}
    con.close()
    return found


def fresh(place):
    place.forget()
    for n in ('o.db', 'o.db-wal', 'o.db-shm', 'o.db-journal'):
        if os.path.exists(place.path(n)):
            os.unlink(place.path(n))


def selected(t):
    """Red when --select runs another stream or table than it names, when such a run is taken for the whole one or the
    whole for it, when a resume forgets what was selected, or when `failed` is not what failed last."""
    place = harness.Place('selected')
    con = sqlite3.connect(place.path('s.db'))
    for n, name in enumerate(('x1', 'x2', 'y'), 1):
        con.execute('create table %s(id integer primary key, v int)' % name)
        con.executemany('insert into %s values (?, ?)' % name, ((i, i) for i in range(1000 * n)))
    con.commit()
    con.close()
    path = place.path('j.yaml')
    with open(path, 'w', encoding='utf-8') as f:
        f.write("version: 1\nname: part\nparams: { day: '1' }\nstreams:\n"
                "  - { name: one, from: 's.db#y', to: 'o.db#one', write: { mode: overwrite } }\n"
                "  - { name: many, from: 's.db#*', to: 'o.db#m_{source.table}', write: { mode: overwrite }, override: { x2: { parallel: 1 } } }\n")
    whole = {'one': 3000, 'm_x1': 1000, 'm_x2': 2000, 'm_y': 3000}
    for words, want in ((['one'], {'one'}), (['many/x1'], {'m_x1'}), (['many/x*'], {'m_x1', 'm_x2'}), (['many'], {'m_x1', 'm_x2', 'm_y'}),
                        (['many/y', 'one'], {'m_y', 'one'}), (['many/x1', 'many'], {'m_x1', 'm_x2', 'm_y'})):
        fresh(place)
        code, out, err = place.run('run', path, *[x for w in words for x in ('--select', w)])
        t.check(code == 0 and rows_of(place) == {n: whole[n] for n in want}, 'selected %s' % words, (code, rows_of(place), err))
    for word, says in (('on', "E1028.*no stream 'on'(.|\\n)*did you mean 'one'"), ('many/z', 'E1028.*many/z.*fits no table'),
                       ('one/x1', 'E1028.*one/x1'), ('failed', 'E1028.*no table of the last run')):
        code, out, err = place.run('run', path, '--select', word)
        t.check(code == 2 and re.search(says, err), '%s is refused' % word, (code, err))
    code, out, err = place.run('plan', path, '--select', 'many/x2')
    t.check(code == 0 and 'x2' in out and 'x1' not in out and 'one:' not in out, 'the plan of a part', out + err)
    # Runs of parts and of the whole are each their own.
    fresh(place)
    at = ('--scheduled', '2026-01-01T00:00:00')
    for words, want in ((['--select', 'one'], {'one'}), ([], set(whole)), (['--select', 'many/x1'], set(whole))):
        code, out, err = place.run('run', path, *at, *words, '--json')
        moved = harness.finished(out).get('rows_written', 0)
        t.check(code == 0 and set(rows_of(place)) == want and moved == (9000 if not words else 3000 if 'one' in words else 1000),
                'planned for the same time: %s' % (words or 'all'), (code, moved, rows_of(place), err))
    code, out, err = place.run('run', path, *at, '--select', 'one', '--json')
    t.check(code == 0 and not any(e['type'] == 'unit_done' for e in harness.events(out)), 'the same part, done before', (code, out[-500:]))
    # Killed, it goes on as the part that it is; the whole does not go on with it, and does not run over it.
    fresh(place)
    place.run('run', path, '--select', 'many/x1', '--select', 'many/y', WH_TEST_KILL='record-after:1')
    code, out, err = place.run('run', path)
    t.check(code == 2 and 'E7005' in err, 'the whole beside an unfinished part', (code, err))
    code, out, err = place.run('resume', '--json')
    t.check(code == 0 and rows_of(place) == {'m_x1': 1000, 'm_y': 3000} and len(harness.finished(out)['tables']) == 2, 'resumed, it is the part',
            (code, rows_of(place), err))
    place.run('run', path, '--select', 'one', WH_TEST_KILL='record-after:1')
    code, out, err = place.run('run', path, '--select', 'one', '--json')
    t.check(code == 0 and harness.finished(out).get('rows_written') == 3000, 'the same part again goes on', (code, err))
    # What failed: its rows are refused, the run is given up, the cause is removed.
    fresh(place)
    con = sqlite3.connect(place.path('o.db'))
    con.execute('create table m_x2(id integer primary key, v int check (v <> 77))')
    con.commit()
    code, out, err = place.run('run', path)
    t.check(code == 6, 'one table fails', (code, err))
    run = re.search('r-[0-9a-f-]+', err).group()
    code, out, err = place.run('run', path, '--select', 'failed')
    t.check(code == 2 and 'E7005' in err, 'an unfinished run holds its table', (code, err))
    code, out, err = place.run('cancel', run, '--discard', '--yes')
    t.check(code == 0, 'given up', (code, err))
    con.execute('drop table m_x2')
    con.commit()
    con.close()
    code, out, err = place.run('run', path, '--select', 'failed', '--json')
    t.check(code == 0 and [x['table'].split('/')[-1] for x in harness.finished(out)['tables']] == ['x2'] and rows_of(place)['m_x2'] == 2000,
            'what failed runs alone', (code, harness.finished(out).get('tables'), err))
    for words in (['run', path, '--select', 'one', '--resume-first'], ['plan', path, '--select', 'one', '-o', place.path('p.json')]):
        code, out, err = place.run(*words)
        t.check(code == 2 and 'E1007' in err, ' '.join(words[2:]), (code, err))
    place.remove()


def arrived(t):
    """Red when `--select failed` adds rows once more that all arrived: of a table beside which one was refused (exit 3),
    of one that differs (exit 4, append); or when it leaves out what the run did not begin."""
    place = harness.Place('arrived')
    con = sqlite3.connect(place.path('s.db'))
    out = sqlite3.connect(place.path('o.db'))
    for name in ('a', 'b'):
        con.execute('create table %s(id integer primary key, v int)' % name)
        con.executemany('insert into %s values (?, ?)' % name, ((i, i) for i in range(100)))
        out.execute('create table %s(id int, v int check (v <> 7))' % name)
    con.commit()
    con.close()
    path = place.path('j.yaml')

    def job(name, more, key=''):
        with open(path, 'w', encoding='utf-8') as f:
            f.write("version: 1\nname: %s\nstreams:\n  - { name: s, from: 's.db#*', to: 'o.db#{source.table}'%s }\n%s" % (name, key, more))

    job('strict', 'run: { strict: true }\n', ', dirty: { rows: 9 }')
    code, _, err = place.run('run', path)
    t.check(code == 3, 'refused rows, strict', (code, err))
    code, _, err = place.run('run', path, '--select', 'failed')
    t.check(code == 2 and 'E1028' in err and rows_of(place) == {'a': 99, 'b': 99}, 'what arrived is not sent again', (code, rows_of(place), err))
    for name in ('a', 'b'):
        out.executescript('delete from %s; create trigger t_%s after insert on %s when new.id = 3 begin update %s set v = 4 where id = 3; end'
                          % (name, name, name, name))
    job('differs', '', ', dirty: { rows: 9 }, validate: checksum')
    code, _, err = place.run('run', path)
    t.check(code == 4, 'it differs: a trigger changes a row', (code, err))
    code, _, err = place.run('run', path, '--select', 'failed')
    t.check(code == 2 and 'E1028' in err and rows_of(place) == {'a': 99, 'b': 99}, 'what was added is not added again', (code, rows_of(place), err))
    out.executescript('delete from a; delete from b')
    job('stopped', 'run: { tables: 1, on_stream_failure: stop }\n')
    code, _, err = place.run('run', path)
    t.check(code == 6 and rows_of(place) == {'a': 0, 'b': 0}, 'the second was not begun', (code, rows_of(place), err))
    place.run('cancel', re.search('r-[0-9a-f-]+', err).group(), '--discard', '--yes')
    out.executescript('drop table a; create table a(id int, v int); drop table b; create table b(id int, v int)')
    out.close()
    code, _, err = place.run('run', path, '--select', 'failed')
    t.check(code == 0 and rows_of(place) == {'a': 100, 'b': 100}, 'what was not begun runs, too', (code, rows_of(place), err))
    place.remove()


ALL = [sides, sizes, ranges, selected, arrived]
