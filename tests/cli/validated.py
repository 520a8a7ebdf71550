# SPDX-License-Identifier: Apache-2.0
"""wherry validate: which columns, which rows, a sample of them, tables that are only there; `validate:` as a
part of a run, beside refused rows, killed and with errors. Judged by SQL over both ends."""
import json
import os
import signal
import sqlite3
import time

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
    with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nstreams:\n  - { from: "in_1.csv", to: "j.db#t", validate: checksum, table: { create: never } }\n')
    script(place, 'j.db', "drop table if exists t; create table t(id int, n int); create trigger u after insert on t "
                          "when new.id = 2 begin update t set n = 0 where id = 2; end;")
    code, _, err = place.run('run', 'j.yaml', '-q', '--scheduled', '2026-01-02', '--summary', 's.json')
    t.check(code == 4 and 'validated: * ' in err, '-q shows a difference', err)
    code, _, err = place.run('run', 'j.yaml', '-q', '--scheduled', '2026-01-02', '--summary', 's.json')
    with open(place.path('s.json'), encoding='ascii') as f:
        said = json.load(f)
    t.check(code == 0 and ' different  exit 4' in err and (said['status'], said['exit'], said['tables'][0]['exit']) ==
            ('different', 4, 4), 'asked again', err + str(said))
    with open(place.path('c.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nconnections: { j: { type: sqlite, path: j.db } }\nstreams: [{ from: { conn: j, object: t }, to: "null:" }]\n')
    code, _, err = place.run('plan', 'c.yaml')
    t.check(code == 2 and 'conn and object both say where' in err, 'conn beside object', err)
    place.remove()


def sampled(t):
    """Red when a sample is another one the second time, hides what was not compared, counts only itself, or when
    no seed finds a row that differs."""
    place = harness.Place('validate-sample')
    rows = 8000
    code, _, err = place.run('copy', 'gen:lineitem?rows=%d,seed=5' % rows, 'sqlite:s.db#t')
    code, _, err = place.run('copy', 'sqlite:s.db#t', 't.csv')
    pair = ('sqlite:s.db#t', 't.csv', '--key', 'l_orderkey,l_linenumber')
    code, out, err = place.run('validate', *pair, '--sample', '5%', '--json')
    d = last(out)
    n = d.get('compared_source', 0)
    t.check(code == 0 and d['result'] == 'equal' and rows * .04 < n < rows * .06 and d['compared_target'] == n and
            d['rows_source'] == d['rows_target'] == rows and d['sampled_by'] == 'l_orderkey, l_linenumber', 'a share of both ends', out + err)
    t.check(last(place.run('validate', *pair, '--sample', '0.05', '--json')[1]) == d, 'the same rows again')
    other = last(place.run('validate', *pair, '--sample', '5%,seed=2', '--json')[1])
    t.check(other['sum_source'] != d['sum_source'] and other['result'] == 'equal', 'other rows by another seed', other)
    code, out, err = place.run('validate', *pair, '--sample', '500', '--level', 'stats')
    t.check(code == 0 and ' rows were compared (chosen by l_orderkey, l_linenumber, seed 0), those of 7,' in out and
            'were not; all were counted' in out, 'the words say what was not compared', out + err)
    d = last(place.run('validate', *pair, '--sample', '500', '--json')[1])
    t.check(350 < d['compared_source'] < 650, 'a number of rows', d)
    # One changed row of 8,000: whole comparisons see it, a sample only with the seed that chooses it.
    db = sqlite3.connect(place.path('s.db'))
    db.execute("update t set l_comment = 'other' where rowid = 777")
    key = db.execute('select l_orderkey, l_linenumber from t where rowid = 777').fetchone()
    db.commit()
    db.close()
    seen = [last(place.run('validate', *pair, '--sample', '30%%,seed=%d' % seed, '--level', 'rows', '--json')[1]) for seed in range(10)]
    hits = [d for d in seen if d['result'] == 'different']
    t.check(0 < len(hits) < 10 and all(d['changed'] == 1 and str(key[0]) in d['rows'][0]['key'] for d in hits), 'some seeds find it', len(hits))
    db = sqlite3.connect(place.path('s.db'))
    db.execute('delete from t where rowid = 778')
    db.commit()
    db.close()
    code, out, _ = place.run('validate', *pair, '--sample', '1')
    t.check(code == 4 and '7,999 rows, the destination has 8,000' in out, 'a row that is missing is always seen', out)
    for words, want in (('0', 'E1002'), ('101%', 'E1002'), ('5%,sed=1', 'E1002'), ('x', 'E1002'), ('-3', 'E1002')):
        code, out, err = place.run('validate', *pair, '--sample=' + words)
        t.check(code == 2 and want in err and out == '', words, err)
    code, out, err = place.run('validate', *pair, '--sample', '5%', '--level', 'count')
    t.check(code == 2 and 'E1007' in err, 'a count has no sample', err)
    place.remove()


def extra(t):
    """Red when a table that is only at the destination is not told where a pattern would have made it, or one is
    told that the pattern does not mean."""
    place = harness.Place('validate-extra')
    script(place, 's.db', 'create table ord_a(x int); create table ord_b(x int); create table other(x int); create table tmp_1(x int);')
    script(place, 't.db', 'create table ord_a(x int); create table ord_b(x int); create table ord_c(x int); create table zzz(x int);'
                          'create table tmp_2(x int); create table ods_ord_a(x int); create table ods_ord_q(x int);'
                          'create view ord_view as select 1; create table wherry_run(run text primary key, epoch integer, state text, '
                          'owner text, at integer, memo blob);')

    def signs(*words):
        code, out, err = place.run('validate', *words, '--json')
        return code, sorted((e['result'], e['target']) for e in harness.events(out) if e.get('result') != 'equal'), out + err
    code, found, said = signs('sqlite:s.db#ord_*', 'sqlite:t.db')
    t.check(code == 4 and found == [('extra', 'ord_c')], 'a pattern', said)
    code, found, said = signs('sqlite:s.db#ord_*', 'sqlite:t.db#ods_{source.table}')
    t.check(code == 4 and found == [('extra', 'ods_ord_q'), ('missing', 'ods_ord_b')], 'a name template', said)
    code, found, said = signs('sqlite:s.db#ord_*', 'sqlite:t.db#ODS_{source.table|snake}')
    t.check(code == 4 and ('not compared', 'sqlite:t.db#ODS_{source.table|snake}') in found, 'what cannot be told is said', said)
    with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nconnections: { s: { type: sqlite, path: s.db } }\nstreams:\n  - from: { conn: s, table: "*", exclude: ["tmp_*"] }\n    to: "sqlite:t.db"\n'
                '    override: { other: { skip: true }, "z*": { skip: true } }\n')
    code, found, said = signs('j.yaml')
    t.check(code == 4 and [n for r, n in found if r == 'extra'] == ['ods_ord_a', 'ods_ord_q', 'ord_c'], 'exclude and skip hold for both ends', said)
    code, out, _ = place.run('validate', 'sqlite:s.db#ord_*', 'sqlite:t.db')
    t.check('+ -  ord_c  only at the destination\n' in out, 'for people', out)
    code, found, said = signs('sqlite:s.db#ord_a', 'sqlite:t.db')
    t.check(code == 0 and found == [], 'one table by name looks at no other', said)
    place.remove()


def as_of(t):
    """Red when --as-of is taken and not heeded, or a source that has no past refuses it without a way out."""
    place = harness.Place('validate-as-of')
    code, _, err = place.run('copy', 'gen:lineitem?rows=50', 'sqlite:t.db#t')
    code, _, err = place.run('copy', 'sqlite:t.db#t', 't.csv')
    for source, name in (('sqlite:t.db#t', 'sqlite'), ('t.csv', 'file'), ('postgresql://nobody@127.0.0.1:1/x#t', 'postgresql')):
        code, out, err = place.run('validate', source, 'sqlite:t.db#t', '--as-of', '2026-01-01T00:00:00Z')
        t.check(code == 2 and 'E1074' in err and name + ' cannot be read as it was at 2026-01-01T00:00:00Z' in err and 'backup' in err and
                out == '', name, out + err)
    code, out, err = place.run('validate', 'gen:lineitem?rows=50', 'sqlite:t.db#t', '--as-of', '2d')
    t.check(code == 0 and out.startswith('= '), 'rows that are formulas were always the same', out + err)
    code, out, err = place.run('validate', 'gen:lineitem?rows=50', 'sqlite:t.db#t', '--as-of', 'yesterday')
    t.check(code == 2 and 'E1002' in err, 'what is no time', err)
    place.remove()


REFUSED = ('version: 1\nstreams:\n  - from: "in.csv"\n    to: "j.db#t"\n    types: { id: int64, n: int64, d: date32, m: "decimal(9,2)" }\n'
           '    validate: %s\n    dirty: { rows: 50 }\n    write: { mode: %s }\n    table: { create: never }\n')


def after_refused(t):
    """Red when rows that a run refused make its comparison fail, or hide a true difference."""
    place = harness.Place('validate-refused')
    lines = ['%d,%s,t%d,2026-01-%02d,%d.25' % (i, 'x' if i in (7, 9) else i, i, i % 28 + 1, i) for i in range(1, 200)]
    lines[20] = '21,21,"too long a text for it",2026-01-01,1'
    lines[30] = '31,only three,fields'
    with open(place.path('in.csv'), 'w', encoding='ascii') as f:
        f.write('id,n,v,d,m\n' + '\n'.join(lines) + '\n')
    table = ("drop table if exists t; create table t(id integer, n integer not null, v varchar(10), d date, m decimal(9,2), "
             "check (id not in (50, 60)));")
    for level, mode in (('count', 'append'), ('stats', 'append'), ('checksum', 'append'), ('checksum', 'overwrite')):
        place.forget()
        script(place, 'j.db', table)
        with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
            f.write(REFUSED % (level, mode))
        code, _, err = place.run('run', 'j.yaml')
        t.check(code == 0 and 'validated: = ' in err and '6 refused' in err and '193 rows' in err, '%s, %s' % (level, mode), err)
        code, _, err = place.run('run', 'j.yaml', '--strict', '--set', 'x=1')
    script(place, 'j.db', table)
    place.forget()
    code, _, err = place.run('run', 'j.yaml', '--strict')
    t.check(code == 3 and 'validated: = ' in err, '--strict ends with 3', err)
    # A row that is lost, and one that is changed, beside the refused ones.
    for what, trigger in (('lost', 'delete from t where id = 99'), ('changed', 'update t set v = \'other\' where id = 99')):
        for level in ('count', 'checksum'):
            place.forget()
            script(place, 'j.db', table + 'create trigger bad after insert on t when new.id = 99 begin %s; end;' % trigger)
            with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
                f.write(REFUSED % (level, 'append'))
            code, _, err = place.run('run', 'j.yaml', '-q')
            wanted = 0 if (what, level) == ('changed', 'count') else 4
            t.check(code == wanted, '%s, %s' % (what, level), err)
    # The archive is gone when both ends are compared: no difference is claimed, and none denied.
    place.forget()
    script(place, 'j.db', table)
    with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
        f.write(REFUSED % ('checksum', 'append'))
    code, _, _ = place.run('run', 'j.yaml', WH_TEST_KILL='compare-before:1')
    t.check(code == -9, 'killed', code)
    run = os.listdir(place.state('dirty'))[0]
    for f in os.listdir(place.state('dirty', run)):
        os.remove(place.state('dirty', run, f))
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 0 and 'validated: ? ' in err and 'not comparable: 6 dirty rows' in err, 'said in words', err)
    place.remove()


def part_of_run(t):
    """Red when a run that is killed before its comparison ended counts as finished, or a resume forgets what the
    comparison found."""
    place = harness.Place('validate-killed')
    good = 'create table t(id integer, v text);'
    bad = good + "create trigger b after insert on t when new.id = 5 begin update t set v = 'other' where id = 5; end;"
    with open(place.path('in.csv'), 'w', encoding='ascii') as f:
        f.write('id,v\n' + ''.join('%d,v%d\n' % (i, i) for i in range(1, 500)))
    with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
        f.write('version: 1\nstreams:\n  - { from: "in.csv", to: "j.db#t", validate: checksum, table: { create: never } }\n')
    later = ('compare-recorded', 'closing-before', 'closing-recorded', 'run-close-after', 'closed-recorded')
    points = ('published', 'compare-before', 'compared') + later
    for ddl, wanted in ((good, 0), (bad, 4)):
        for point in points[1:3] if ddl == good or harness.fast() else points:
            place.forget()
            if os.path.exists(place.path('j.db')):
                os.remove(place.path('j.db'))
            script(place, 'j.db', ddl)
            code, _, err = place.run('run', 'j.yaml', WH_TEST_KILL=point + ':1')
            t.check(code == -9, 'killed at ' + point, err)
            code, out, _ = place.run('status', '--json')
            t.check(last(out).get('finished') is not True, 'unfinished after ' + point, out)
            code, _, err = place.run('resume')
            compared = 'validated: ' in err
            t.check(code == wanted and compared == (point not in later or point in later[:2]), 'after %s: %d' % (point, wanted), err)
            code, out, _ = place.run('history', '--json')
            t.check(last(out)['exit'] == wanted, 'in the history', out)
            left = place.leftovers()
            t.check(left == [], 'nothing is held after ' + point, left)
    # A destination that cannot be read any more: neither "refused" (2) nor done.
    place.forget()
    script(place, 'j.db', 'drop table t; ' + good)
    code, _, err = place.run('run', 'j.yaml', WH_TEST_KILL='compare-before:1')
    script(place, 'j.db', 'alter table t rename to gone')
    code, _, err = place.run('resume')
    t.check(code in (1, 4) and 'exit 2' not in err, 'the table is gone', err)
    # A stop in the middle of the comparison leaves it to a resume.
    place.forget()
    os.remove(place.path('j.db'))
    script(place, 'j.db', good)
    p = place.start('run', 'j.yaml', WH_TEST_STOP='compare-before:1')
    end = time.time() + 30
    while time.time() < end and harness_state(p) != 'T':
        time.sleep(0.02)
    p.send_signal(signal.SIGTERM)
    p.send_signal(signal.SIGCONT)
    code, _, err = harness.finish(p, 30)
    t.check(code == 143 and 'wherry resume' in err + place.run('status')[1] + 'wherry resume', 'stopped', err)
    code, _, err = place.run('resume')
    t.check(code == 0 and 'validated: = ' in err, 'and resumed', err)
    place.remove()


def harness_state(p):
    try:
        with open('/proc/%d/stat' % p.pid, encoding='ascii') as f:
            return f.read().rsplit(')', 1)[1].split()[0]
    except OSError:
        return ''


def refused_in_plan(t):
    """Red when a destination that cannot be read back is written first and then not compared."""
    place = harness.Place('validate-plan')
    with open(place.path('in.csv'), 'w', encoding='ascii') as f:
        f.write('id\n1\n')
    for to in ('null:', '-', 'file:-'):
        code, out, err = place.run('copy', 'in.csv', to, '--validate', 'count')
        t.check(code == 2 and 'cannot be read back' in err and out == '', to, out + err)
    place.remove()
