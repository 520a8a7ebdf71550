# SPDX-License-Identifier: Apache-2.0
"""wherry validate --level stats and rows: which columns, which rows; judged by SQL over both ends."""
import json
import sqlite3

import harness


def script(place, base, text):
    db = sqlite3.connect(place.path(base))
    db.executescript(text)
    db.close()


def last(out):
    return json.loads(out.splitlines()[-1]) if out.strip() else {}


SOURCE = """create table a(id integer primary key, v text, f real, b blob);
insert into a values(1,'x',1.5,x'00'),(2,'y',2.5,null),(3,null,3.5,x''),(5,'same',0,x'ff');"""
TARGET = """create table a(id integer primary key, v text, f real, b blob);
insert into a values(1,'x',1.5,x'00'),(2,'Y',2.25,null),(4,'',3.5,x''),(5,'same',0,x'ff');"""


def two(place):
    script(place, 's.db', SOURCE)
    script(place, 't.db', TARGET)
    return 'sqlite:s.db#a', 'sqlite:t.db#a'


def stats(t):
    """Red when a column that differs is not named, an equal one is, or a number of it is wrong."""
    place = harness.Place('validate-stats')
    pair = two(place)
    code, out, err = place.run('validate', *pair, '--level', 'stats', '--json')
    c = {x['column']: x for x in last(out).get('columns', [])}
    t.check(code == 4 and sorted(c) == ['b', 'f', 'id', 'v'], 'every column', out + err)
    t.check([k for k in sorted(c) if c[k]['equal']] == ['b'], 'which are equal', c)
    v = c.get('v', {})
    t.check((v['nulls_source'], v['nulls_target'], v['bytes_source'], v['bytes_target']) == (1, 0, 6, 6), 'counts', v)
    t.check((v['least_source'], v['least_target'], v['most_source'], v['most_target']) == ('same', '', 'y', 'x'), 'extremes', v)
    t.check((c['f']['least_source'], c['f']['most_target'], c['id']['most_source']) == ('0.0', '3.5', '5'), 'numbers', c)
    code, out, err = place.run('validate', *pair, '--level', 'stats')
    t.check(code == 4 and "* v  nulls 1 against 0, least 'same' against '', greatest 'y' against 'x'" in out and '* b' not in out and
            '* id  other values between' in out, 'for people', out)
    code, out, _ = place.run('validate', *pair, '--level', 'stats', '--where', 'id in (1, 5)', '--ignore', 'v,f,id')
    t.check(code == 4 and '  *' in out, 'fewer rows', out)
    code, _, err = place.run('copy', pair[0], 'sqlite:u.db#a')
    code, out, err = place.run('validate', pair[0], 'sqlite:u.db#a', '--level', 'stats')
    t.check(code == 0 and out.startswith('= a') and out.count('\n') == 1, 'equal', out + err)
    code, out, err = place.run('copy', pair[0], 'sqlite:w.db#a', '--validate', 'stats', '--json')
    t.check(code == 0 and any(e['type'] == 'validate' for e in harness.events(out)), 'as a setting of a copy', out[-300:])
    # Other types than SQLite's own, against a file: the same statistics on both sides.
    code, _, err = place.run('copy', 'gen:lineitem?rows=500,seed=3', 'sqlite:e.db#e')
    code, _, err = place.run('copy', 'sqlite:e.db#e', 'e.csv')
    code, out, err = place.run('validate', 'sqlite:e.db#e', 'e.csv', '--level', 'stats', '--json')
    t.check(code == 0 and all(x['equal'] and x['least_source'] == x['least_target'] and x['most_source'] for x in last(out)['columns']),
            'against a file', out[-600:] + err)
    place.remove()


def rows(t):
    """Red when a row that differs is not named by its key, or its column with both values is not."""
    place = harness.Place('validate-rows')
    pair = two(place)
    code, out, err = place.run('validate', *pair, '--level', 'rows', '--json')
    d = last(out)
    found = {(r['sign'], r['key']): r['what'] for r in d.get('rows', [])}
    t.check(code == 4 and (d['keys'], d['missing'], d['extra'], d['changed'], d['more']) == ('id', 1, 1, 1, False), 'counts', d)
    t.check(found == {('-', "id='3'"): '', ('+', "id='4'"): '', ('*', "id='2'"): "v: 'y' against 'Y', f: '2.5' against '2.25'"},
            'each row', found)
    code, out, _ = place.run('validate', *pair, '--level', 'rows')
    t.check(code == 4 and "  - id='3'  only at the source" in out and "  + id='4'  only at the destination" in out and
            '1 missing, 1 extra, 1 changed, by id' in out, 'for people', out)
    code, out, _ = place.run('validate', *pair, '--level', 'rows', '--json', '--ignore', 'v,f')
    d = last(out)
    t.check((d['missing'], d['extra'], d['changed']) == (1, 1, 0), 'columns that are ignored', d)
    code, out, _ = place.run('validate', *pair, '--level', 'rows', '--json', '--key', 'b', '--ignore', 'id')
    t.check(last(out)['keys'] == 'b', 'a key of one\'s own', out)
    code, out, err = place.run('validate', *pair, '--level', 'rows', '--key', 'nix')
    t.check(code == 2 and 'E3002' in out, 'a key that is not there', out + err)
    # Without a key rows are compared whole, and twins count.
    script(place, 's.db', "create table n(v text, k int); insert into n values('a',1),('a',1),('b',2),(null,3);")
    script(place, 't.db', "create table n(v text, k int); insert into n values('a',1),('b',2),('b',2),(null,3);")
    code, out, _ = place.run('validate', 'sqlite:s.db#n', 'sqlite:t.db#n', '--level', 'rows', '--json')
    d = last(out)
    t.check(code == 4 and d['keys'] is None and sorted((r['sign'], r['key']) for r in d['rows']) == [
        ('+', "v='b', k='2'"), ('-', "v='a', k='1'")], 'twins', d)
    code, out, _ = place.run('validate', 'sqlite:s.db#*', 'sqlite:t.db', '--level', 'rows')
    t.check(code == 4 and out.count('missing') == 2, 'a pattern', out)
    code, out, _ = place.run('validate', 'sqlite:s.db#a', 'sqlite:t.db#nowhere', '--level', 'rows')
    t.check(code == 4 and out.startswith('- a'), 'no such table', out)
    place.remove()


def rows_many(t):
    """Red when, over many rows and two formats, the rows found are not those that SQL finds."""
    place = harness.Place('validate-many')
    n = 10000 if harness.fast() else 60000
    code, _, err = place.run('copy', 'gen:lineitem?rows=%d,seed=7' % n, 'sqlite:s.db#t')
    code, _, err = place.run('copy', 'sqlite:s.db#t', 'sqlite:t.db#t')
    db = sqlite3.connect(place.path('t.db'))
    names = [r[1] for r in db.execute('pragma table_info(t)')]
    for i in range(30):
        db.execute('update t set "%s" = \'changed\' where rowid = ?' % names[-1], (t.rng.randint(1, n),))
        db.execute('delete from t where rowid = ?', (t.rng.randint(1, n),))
    db.commit()
    db.execute('attach ? as s', (place.path('s.db'),))
    keys = [names[0], next(x for x in names if 'linenumber' in x)]
    on = ' and '.join('x."%s" = y."%s"' % (k, k) for k in keys)
    missing = db.execute('select count(*) from s.t x where not exists (select 1 from main.t y where %s)' % on).fetchone()[0]
    changed = db.execute('select count(*) from s.t x join main.t y on %s where x."%s" <> y."%s"' % (on, names[-1], names[-1])).fetchone()[0]
    db.close()
    code, out, err = place.run('validate', 'sqlite:s.db#t', 'sqlite:t.db#t', '--level', 'rows', '--key', ','.join(keys), '--json', '-n', '5')
    d = last(out)
    t.check(code == 4 and (d.get('missing'), d.get('extra'), d.get('changed'), len(d.get('rows', []))) == (missing, 0, changed, 5),
            'as SQL has it: %d missing, %d changed' % (missing, changed), '%s %s' % (d, err))
    code, _, err = place.run('copy', 'sqlite:t.db#t', 't.csv')
    code, out, err = place.run('validate', 'sqlite:s.db#t', 't.csv', '--level', 'rows', '--key', ','.join(keys), '--json')
    d = last(out)
    t.check(code == 4 and (d.get('missing'), d.get('extra'), d.get('changed')) == (missing, 0, changed), 'against a file', '%s %s' % (d, err))
    # Nothing in common: memory stays bounded, and the count says that there are more.
    code, _, err = place.run('copy', 'gen:lineitem?rows=%d,seed=8' % (n // 10), 'sqlite:o.db#t')
    code, out, err = place.run('validate', 'sqlite:s.db#t', 'sqlite:o.db#t', '--level', 'rows', '-n', '1', '--json')
    d = last(out)
    t.check(code == 4 and d['missing'] + d['changed'] == n and d['extra'] + d['changed'] == n // 10, 'two strangers', d)
    place.remove()


def words_of(t):
    """Red when a level that is not known is taken for another."""
    place = harness.Place('validate-words')
    pair = two(place)
    for words, want in ((['--level', 'row'], 'did you mean rows'), (['--level', 'deep'], 'E1002'), (['--level', 'rows', '-n', '0'], 'E1002')):
        code, out, err = place.run('validate', *pair, *words)
        t.check(code == 2 and want in err and out == '', words, err)
    place.remove()


def written(t):
    """Red when a file is read back with a setting that only says how it was written, parts are not found, a
    difference is not shown by -q, who starts a finished run again is told that nothing differed, or a run with
    the name of its file cannot be given up."""
    place = harness.Place('validate-written')
    for name, text in (('in_1.csv', 'id,n\n1,1\n2,2\n3,3\n'), ('in_2.csv', 'id,n\n4,4\n5,x\n')):
        with open(place.path(name), 'w', encoding='ascii') as f:
            f.write(text)
    for i, options in enumerate((['md5=sha256'], ['on_missing=make'], ['list={name}.list', 'md5=md5'], ['encoding=utf-8-bom'],
                                 ['part_rows=1'], ['part_rows=2', 'compression=gzip', 'md5=md5', 'list={name}.list'])):
        words = [w for o in options for w in ('--to', o)]
        code, _, err = place.run('copy', 'in_1.csv', 'o%d/' % i, *words, '--mode', 'overwrite', '--validate', 'checksum')
        t.check(code == 0 and 'validated: = ' in err and '3 and 3 rows' in err, ' '.join(options), err)
    with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nstreams:\n  - from: "in_*.csv"\n    to: "j.db#t"\n    types: { n: int64 }\n    validate: checksum\n'
                '    columns: ["*", { to: f, source: file }]\n    write: { mode: overwrite }\n')
    code, _, err = place.run('run', 'j.yaml', '-q')
    t.check(code == 6, 'a row too many', err)
    code, _, err = place.run('cancel', last(place.run('status', '--json')[1])['run'], '--discard', '--yes')
    t.check(code == 0 and 'given up' in err, 'given up', err)
    with open(place.path('j.yaml'), 'a', encoding='ascii') as f:
        f.write('    dirty: { rows: 1 }\n')
    code, _, err = place.run('run', 'j.yaml', '-q', '--scheduled', '2026-01-02', '--summary', 's.json')
    t.check(code == 4 and 'validated: * ' in err and '; 1 values of the source do not fit' in err, '-q shows a difference', err)
    code, _, err = place.run('run', 'j.yaml', '-q', '--scheduled', '2026-01-02', '--summary', 's.json')
    with open(place.path('s.json'), encoding='ascii') as f:
        said = json.load(f)
    t.check(code == 0 and ' different  exit 4' in err and (said['status'], said['exit']) == ('different', 4), 'asked again', err)
    with open(place.path('c.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nconnections: { j: { type: sqlite, path: j.db } }\nstreams: [{ from: { conn: j, object: t }, to: "null:" }]\n')
    code, _, err = place.run('plan', 'c.yaml')
    t.check(code == 2 and 'conn and object both say where' in err, 'conn beside object', err)
    place.remove()
