# SPDX-License-Identifier: Apache-2.0
"""The limits of refused rows, at their exact borders; what a replay into files does; words of E7008 and E5010."""
import json
import os
import sqlite3

import harness
from archive import files, last_run, lines, sql, write


def numbers(place, rows, bad, name='m.csv'):
    """rows lines; the last `bad` of them cannot be read as numbers (so that lanes and batches add up)."""
    write(place, name, 'id,n\n' + ''.join('%d,%s\n' % (i, 'x' if i > rows - bad else i) for i in range(1, rows + 1)))


def borders(t):
    """Red when one row too many passes a limit, or one that is allowed ends the table: rows alone, ratio alone,
    both; or when the destination is not as the plan promised."""
    place = harness.Place('dirty-borders')
    # rows, ratio, of how many, refused, exit code
    cases = [(None, None, 5, 1, 6), ('0', None, 5, 0, 0), ('0', None, 5, 1, 6), ('3', None, 5, 3, 0), ('3', None, 5, 4, 6),
             (None, '1%', 2000, 20, 0), (None, '1%', 2000, 21, 6), (None, '20%', 10, 2, 0), (None, '20%', 10, 3, 6),
             ('0', '1%', 2000, 20, 0), ('5', '1%', 2000, 5, 0), ('5', '1%', 2000, 6, 6), ('50', '1%', 2000, 20, 0), ('50', '1%', 2000, 21, 6),
             ('9', '20%', 10, 2, 0), ('9', '20%', 10, 3, 6), (None, '100%', 4, 4, 0), ('4', None, 4, 4, 0)]
    for n, (rows, ratio, of, bad, wanted) in enumerate(cases):
        numbers(place, of, bad)
        limit = ','.join('%s=%s' % x for x in (('rows', rows), ('ratio', ratio)) if x[1])
        out = 'o%d.db' % n
        code, text, err = place.run('copy', 'm.csv', out + '#m', '--types', 'n=int64', '--json', *(('--dirty', limit) if limit else ()))
        end = harness.finished(text)
        said = 'limit %s: %d of %d' % (limit or 'none', bad, of)
        t.check(code == wanted, said, err + text[-300:])
        t.check(wanted == 0 or ('E6001' in text and 'dirty' in text), said + ', said', text[-500:])
        there = sql(place, out, 'select count(*) from m')[0][0]
        # A ratio means nothing for the first 1000 rows: it is judged when all are known, and units stay.
        late = ratio and of < 1000 and not (rows and bad > int(rows))
        t.check(there == (of - bad if wanted == 0 or late else 0), said + ', exactly once per unit: rows there', there)
        t.check(wanted or (end.get('rows_dirty'), end.get('rows_written'), harness.unbalanced(end)) == (bad, of - bad, None),
                said + ', counted', end)
    place.remove()


def over_lanes(t):
    """Red when the units of a table, that several lanes move at once, each have a limit of their own; or when one
    table takes from the limit of another."""
    place = harness.Place('dirty-lanes')
    db = sqlite3.connect(place.path('s.db'))
    for table in 'ab':
        db.execute('create table %s(id integer primary key, v text)' % table)
        db.executemany('insert into %s values(?, ?)' % table, ((i, 'v' * 200) for i in range(1, 40001)))
    db.commit()
    db.close()
    job = ("version: 1\nconnections: { s: { type: sqlite, path: s.db } }\n"
           "defaults: { split: { target_bytes: 1MiB }, dirty: { %s } }\nrun: { parallel: 4, tables: 2 }\n"
           "streams:\n  - { from: 's:a', to: '%s/a' }\n  - { from: 's:b', to: '%s/b' }\n")
    # One row in 1000 is refused, in every unit of both tables: 40 of 40,000 in each.
    # A ratio is judged on the way as well, by what was read until then: its exact border is in `borders`.
    for n, (limit, wanted) in enumerate((('rows: 40', 0), ('rows: 39', 6), ('ratio: 1%', 0), ('ratio: 0.05%', 6),
                                         ('rows: 40, ratio: 1%', 0), ('rows: 39, ratio: 1%', 6), ('rows: 80, ratio: 0.05%', 6))):
        base = 'd%d.db' % n
        for table in 'ab':
            sql(place, base, 'create table %s(id integer primary key, v text, check (id %% 1000 <> 7))' % table)
        write(place, 'job.yaml', (job % (limit, 'x', 'x')).replace("'x/", "'sqlite:%s#" % base))
        code, text, err = place.run('run', 'job.yaml', '--json', '--run-id', 'n%d' % n)
        end = harness.finished(text)
        units = {(e['table'], e['unit']) for e in harness.events(text) if e['type'] == 'dirty'}
        t.check(code == wanted, 'limit ' + limit, '%s %s' % (code, err + text[-600:]))
        t.check(harness.unbalanced(end) is None, 'counts of ' + limit, harness.unbalanced(end))
        for table in end.get('tables', []):
            there = sql(place, base, 'select count(*) from %s' % table['table'])[0][0]
            t.check(there == table['rows_written'] and table['rows_dirty'] <= 40 and (wanted or there == 39960),
                    'rows of %s under %s' % (table['table'], limit), '%d %s' % (there, table))
        t.check(wanted or len(units) > 2, 'more than one unit had some', units)
        if wanted:
            run = end['run']
            said = {'rows: 39': '(39)', 'ratio: 0.05%': '(0.05 %)', 'rows: 80, ratio: 0.05%': '(80, 0.05 %)'}.get(limit, '(39, 1 %)')
            t.check('more dirty rows than allowed ' + said in text, 'which limit', text[-600:])
            code, text, err = place.run('resume', run, '--dirty', 'rows=40,ratio=1%', '--json')
            end = harness.finished(text)
            there = [sql(place, base, 'select count(*), count(distinct id) from %s' % x) for x in 'ab']
            t.check(code == 0 and end['rows_dirty'] == 80 and there == [[(39960, 39960)]] * 2, 'a higher limit ends it', err + text[-300:])
    place.remove()


FOLDER = """version: 1
streams:
  - from: m.csv
    to: out/m.csv
    columns: [id, { from: d, to: d, convert: { to_date: yyyy-MM-dd } }]
    dirty: { rows: 9 }
"""


def into_files(t):
    """Red when a replay into a folder of files changes what stands there, writes a row that was refused again, or
    the mended rows cannot be added."""
    place = harness.Place('dirty-files')
    write(place, 'm.csv', 'id,d\n1,2024-01-02\n2,nope\n3,2024-01-05\n')
    write(place, 'job.yaml', FOLDER)
    code, _, err = place.run('run', 'job.yaml')
    before = files(place.path('out'))
    run = last_run(place)
    t.check(code == 0 and before == {'m.csv': b'id,d\n1,2024-01-02\n3,2024-01-05\n'}, 'the good rows', '%s %s' % (before, err))
    code, out, _ = place.run('dirty', 'export', run)
    rows = lines(out)
    t.check([r['row'] for r in rows] == [{'id': '2', 'd': 'nope'}] and rows[0]['code'] == 'E6006' and rows[0]['column'] == 'd', 'the refused row', out)
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code != 0 and files(place.path('out')) == before, 'refused again, or the file is there: nothing changes', '%s %s' % (code, err))
    code, _, err = place.run('dirty', 'export', run, '-o', 'bad.csv')
    with open(place.path('bad.csv'), encoding='utf-8') as f:
        text = f.read()
    t.check(text == 'id,d\n2,nope\n', 'for the mending', text + err)
    write(place, 'bad.csv', text.replace('nope', '2024-01-03'))
    code, _, err = place.run('copy', 'bad.csv', 'out/')
    t.check(code == 0, 'added', err)
    code, _, err = place.run('copy', 'out/', 'all.db#t')
    t.check(code == 0 and sql(place, 'all.db', 'select id, d from t order by id') ==
            [(1, '2024-01-02'), (2, '2024-01-03'), (3, '2024-01-05')], 'each row once', err)
    place.remove()


def by_key(t):
    """Red when the replay of a table that was replaced by key leaves the old row of a key beside the new one, or deletes a
    row that came with the run."""
    place = harness.Place('dirty-by-key')
    flags = ('--mode', 'delete-insert', '--key', 'k', '--replace-keys', '--dirty', 'rows=9')
    write(place, 'k.csv', 'k,v\n1,new\n2,wide\n')
    for unique in (True, False):
        sql(place, 'd.db', 'drop table if exists t', "create table t(k integer%s, v varchar(3))" % (' primary key' if unique else ''),
            "insert into t values (1, 'old'), (2, 'old'), (3, 'old')")
        code, _, err = place.run('copy', 'k.csv', 'd.db#t', *flags)
        t.check(code == 0 and sql(place, 'd.db', 'select * from t order by k') == [(1, 'new'), (2, 'old'), (3, 'old')],
                'what was refused deletes nothing', err)
        sql(place, 'd.db', 'create table x(k integer%s, v text)' % (' primary key' if unique else ''), 'insert into x select * from t',
            'drop table t', 'alter table x rename to t')
        code, _, err = place.run('dirty', 'replay', last_run(place))
        there = sql(place, 'd.db', 'select * from t order by k')
        if unique:
            t.check(code == 0 and there == [(1, 'new'), (2, 'wide'), (3, 'old')], 'replayed, it takes the place of the old one', (there, err))
        else:
            t.check(code == 2 and 'E1062' in err and there == [(1, 'new'), (2, 'old'), (3, 'old')], 'not unique: refused', (code, there, err))
    place.remove()


def words_of_changed(t):
    """Red when E7008 does not say which run, what was and what is, and what to do; or when something was touched."""
    place = harness.Place('words-7008')
    db = sqlite3.connect(place.path('s.db'))
    db.execute('create table a(id integer primary key, v text)')
    db.executemany('insert into a values(?, ?)', ((i, 'v' * 200) for i in range(1, 20001)))
    db.commit()
    db.close()
    job = "version: 1\nname: night\nstreams:\n  - { from: 'sqlite:s.db#a', to: 'sqlite:d.db#a', split: { target_bytes: 1MiB }, write: { mode: %s } }\n"
    write(place, 'job.yaml', job % 'append')
    code, _, err = place.run('run', 'job.yaml', '-j', '1', WH_TEST_KILL='record-after:2')
    run = last_run(place)
    there = sql(place, 'd.db', 'select count(*) from a')
    t.check(code == -9 and 0 < there[0][0] < 20000, 'killed in the middle', there)
    write(place, 'job.yaml', job % 'overwrite')
    code, _, err = place.run('run', 'job.yaml')
    t.check(code == 2 and 'E7008' in err and run in err and 'write.mode (was append, is overwrite)' in err and
            'wherry resume ' + run in err and '--fresh' in err, 'the job changed', err)
    write(place, 'job.yaml', job % 'append')
    sql(place, 's.db', 'alter table a add column more text')
    code, _, err = place.run('run', 'job.yaml')
    t.check(code in (1, 2) and 'E3006' in err and '"more"' in err and 'since the plan' in err, 'the table changed', err)
    t.check(sql(place, 'd.db', 'select count(*) from a') == there, 'nothing was touched')
    sql(place, 's.db', 'alter table a drop column more')
    code, _, err = place.run('run', 'job.yaml')
    t.check(code == 0 and sql(place, 'd.db', 'select count(*), count(distinct id) from a') == [(20000, 20000)], 'undone, it goes on', err)
    code, out, _ = place.run('explain', 'E7008')
    t.check(code == 0 and 'undo the change' in out and 'cancel RUN --discard' in out, 'its page', out)
    place.remove()


def words_of_locked(t):
    """Red when E5010 does not say which file is locked and what to do, does not end with 5, or something was written."""
    place = harness.Place('words-5010')
    write(place, 'a.csv', 'id\n1\n2\n')
    sql(place, 'd.db', 'create table a(id integer)')
    db = sqlite3.connect(place.path('d.db'), isolation_level=None)
    db.execute('begin exclusive')
    code, _, err = place.run('copy', 'a.csv', 'sqlite:d.db?lock_timeout=300ms#a', timeout=100)
    t.check(code == 5 and 'E5010' in err and 'd.db' in err and 'locked' in err and 'explain E5010' in err, 'the words', '%s %s' % (code, err))
    db.execute('rollback')
    db.close()
    t.check(sql(place, 'd.db', 'select count(*) from a') == [(0,)], 'nothing was written')
    code, out, _ = place.run('explain', 'E5010')
    t.check(code == 0 and 'run again' in out, 'its page', out)
    _, out, _ = place.run('history', '--json')
    code, _, err = place.run('resume') if lines(out) else place.run('copy', 'a.csv', 'sqlite:d.db?lock_timeout=300ms#a')
    t.check(code == 0 and sql(place, 'd.db', 'select * from a order by id') == [(1,), (2,)], 'free again: each row once', err)
    place.remove()
