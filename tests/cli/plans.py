# SPDX-License-Identifier: Apache-2.0
"""plan -o, run --plan, plan --diff: a plan that is kept, carried out as it says or not at all."""
import json
import os
import sqlite3
import stat
import time

import harness

JOB = """version: 1
name: j
params: { d: { type: date, default: '${dateformat(yyyy-MM-dd)}' } }
streams:
  - from: a.csv
    to: out.db
    columns: ['*', { to: day, value: '${d}' }, { to: at, value: '${timestamp()}' }, { to: run, value: '${run.id}' }]
"""
ROWS = 'id,v\n1,10\n2,20\n'


def write(place, name, text):
    with open(place.path(name), 'w', encoding='utf-8') as f:
        f.write(text)


def read(place, name):
    with open(place.path(name), encoding='utf-8') as f:
        return f.read()


def scene(name, job=JOB):
    place = harness.Place(name)
    write(place, 'a.csv', ROWS)
    write(place, 'j.yaml', job)
    return place


def table(place, sql):
    db = sqlite3.connect(place.path('out.db'))
    try:
        return db.execute(sql).fetchall()
    finally:
        db.close()


def runs_of(place):
    db = sqlite3.connect('file:%s?mode=ro' % place.state('state.db'), uri=True)
    try:
        return db.execute('select run from run').fetchall()
    finally:
        db.close()


def another(t):
    """Red when a job is taken for another of the same name that was run at the planned time."""
    place = scene('plan-another')
    words = ['--scheduled', '2024-01-01']
    t.check(place.run('run', 'j.yaml', *words)[0] == 0, 'the first')
    write(place, 'k.yaml', JOB.replace('to: out.db', 'to: other.db'))
    code, _, err = place.run('run', 'k.yaml', *words)
    t.check(code == 2 and 'E7008' in err and 'other.db' in err and '--again' in err and not os.path.exists(place.path('other.db')),
            'another job by the same name', err)
    code, _, err = place.run('run', 'j.yaml', *words)
    t.check(code == 0 and 'nothing was moved' in err, 'the same one was run', err)
    code, _, err = place.run('run', 'k.yaml', *words, '--again')
    t.check(code == 0 and os.path.exists(place.path('other.db')), '--again', err)
    place.remove()


def kept_files(t):
    """Red when plan -o writes over a file that is no plan: the source, of a slip of the hand."""
    place = scene('plan-over')
    code, _, err = place.run('plan', 'j.yaml', '-o', 'a.csv')
    t.check(code == 2 and 'E1012' in err and read(place, 'a.csv') == ROWS, 'the source', err)
    write(place, 'p.json', '')
    for what in ('an empty file', 'a plan'):
        code, _, err = place.run('plan', 'j.yaml', '-o', 'p.json')
        t.check(code == 0 and len(read(place, 'p.json')) > 100, what, err)
    place.remove()


def carried_out(t):
    """Red when a plan is carried out with other macros, another run or another way than its file says,
    twice, or is kept where others read it."""
    place = scene('plan-run')
    write(place, 'p.json', '')
    os.chmod(place.path('p.json'), 0o666)
    code, out, err = place.run('plan', 'j.yaml', '-o', 'p.json')
    t.check((code, out) == (0, '') and not os.path.exists(place.path('out.db')), 'written, nothing made', out + err)
    t.check(stat.S_IMODE(os.stat(place.path('p.json')).st_mode) == 0o600 and not os.path.exists(place.path('p.json.part')),
            'for the owner only')
    plan = json.loads(read(place, 'p.json'))
    shown = [c['value'] for c in plan['tables'][0]['columns'][2:]]
    t.check(plan['file']['format'] == 'wherry-plan' and shown[2] == plan['run'], 'the plan and its file in one', plan)
    time.sleep(0.02)
    code, out, err = place.run('run', '--plan', 'p.json', '--dry-run')
    t.check((code, out) == (0, 'no difference\n') and not os.path.exists(place.path('out.db')), '--dry-run only looks', out + err)
    code, _, err = place.run('run', '--plan', 'p.json', '--summary', 's.json')
    t.check(code == 0 and plan['run'] in err and harness.finished(read(place, 's.json'))['run'] == plan['run'],
            'carried out by the run it names', err)
    t.check(table(place, 'select * from a') == [(1, 10, *shown), (2, 20, *shown)], 'macros are those of the plan',
            table(place, 'select * from a'))
    code, _, err = place.run('run', '--plan', 'p.json')
    t.check('--again' not in err and 'a plan is carried out once' in err, 'a plan cannot be done again', err)
    t.check(code == 0 and 'was finished before' in err and len(table(place, 'select * from a')) == 2, 'once', err)
    code, _, err = place.run('run', '--plan', 'p.json', '--again')
    t.check(code == 2 and 'E1066' in err and len(table(place, 'select * from a')) == 2, 'not again', err)
    t.check(not place.leftovers(), 'nothing is left', place.leftovers())
    place.remove()
    place = scene('plan-copy')
    code, _, err = place.run('plan', 'a.csv', 'out.db', '--types', 'v=text', '-o', 'p.json')
    t.check(code == 0, 'of a copy', err)
    os.unlink(place.path('j.yaml'))
    code, _, err = place.run('run', '--plan', 'p.json', '-j', '1', '-q')
    t.check(code == 0 and table(place, 'select v from a') == [('10',), ('20',)], 'carried out', err)
    code, _, err = place.run('run', 'x.yaml', 'y.yaml', '--plan', 'p.json')
    t.check(code == 2 and 'E1011' in err, 'one job', err)
    for words in (['copy', 'a.csv', 'out.db'], ['resume'], ['plan', 'j.yaml']):
        code, _, err = place.run(*words, '--plan', 'p.json')
        t.check(code == 2 and 'E1010' in err, '%s has no --plan' % words[0], err)
    place.remove()


def renamed(place):
    db = sqlite3.connect(place.path('out.db'))
    db.execute('alter table a rename column v to w')
    db.commit()
    db.close()


def made(place):
    place.run('run', 'j.yaml', '-q')


def job(old, new):
    def change(place):
        text = read(place, 'j.yaml')
        assert old in text
        write(place, 'j.yaml', text.replace(old, new))
    return change


def rows(text):
    return lambda place: write(place, 'a.csv', text)


# What happens between plan and run; whether the table is there before; what must be said.
REFUSED = [
    (rows('id,v\n1,10\n2,x\n'), False, ['column v of the source was int64, is utf8', 'files to read']),
    (rows('id,v,w\n1,10,1\n'), False, ['column w of the source was not there, is int64']),
    (rows('id,w\n1,10\n2,20\n'), True, ['column v of the source was int64, is not there', 'refused: E3005']),
    (rows(ROWS + '3,30\n'), False, ['files to read was 15 bytes, is 20 bytes']),
    (lambda place: os.utime(place.path('a.csv'), (1, 1)), False, ['files to read']),
    (lambda place: os.unlink(place.path('a.csv')), False, ['table was possible, is refused', 'E4001']),
    (made, False, ['the destination exists was false, is true', 'step 1 was prepare: create table']),
    (renamed, True, ['refused: E3005']),
    (job("to: out.db", "to: out.db\n    write: { mode: overwrite }"), False, ["write.mode: 'append' before, 'overwrite' now"]),
    (job("to: out.db", "to: other.db"), False, ['j.yaml has changed since the plan', "'out.db'"]),
    (job("value: '${d}'", "value: '${d:yyyy}'"), False, ["j.yaml has changed", "columns.0002"]),
    (job('name: j', 'name: k'), False, ['j.yaml has changed', "job.name: 'j' before, 'k' now"]),
    (job('    to: out.db', '    to: out.db\n    dirty: { rows: 5 }'), False, ['j.yaml has changed', 'dirty']),
    (job('version: 1', 'version: 1\nrun: { parallel: 3 }'), False, ['j.yaml has changed', 'run']),
    (job('from: a.csv', 'form: a.csv'), False, ['j.yaml has changed', "has no 'from'"]),
]


def refused(t):
    """Red when a plan is carried out although source, destination, types or job give another one now, or the
    refusal does not name what differs (a table: add a line)."""
    for change, there, said in REFUSED:
        place = scene('plan-refused')
        if there:
            place.run('copy', 'a.csv', 'out.db', '--columns', 'id,v', '-q')
            write(place, 'j.yaml', JOB.replace(JOB[JOB.index('    columns'):], ''))
        code, _, err = place.run('plan', 'j.yaml', '-o', 'p.json')
        t.check(code == 0, 'planned', err)
        change(place)
        size = os.path.exists(place.path('out.db')) and os.path.getsize(place.path('out.db'))
        code, out, err = place.run('run', '--plan', 'p.json', '--summary', 's.json')
        t.check(code == 2 and 'E1066' in err and all(w in err for w in said), 'refused: %s' % said[0], out + err)
        t.check((os.path.exists(place.path('out.db')) and os.path.getsize(place.path('out.db'))) == size and
                not place.leftovers(), 'nothing was touched', said)
        place.remove()


def still_fits(t):
    """Red when a change that decides nothing stops a plan: words of the job file, another place to start
    from, a job file that is gone, what a run may change under way."""
    for change, flags in ((job('version: 1', '# a word\nversion: 1'), []),
                          (lambda place: os.unlink(place.path('j.yaml')), []),
                          (lambda place: None, ['j.yaml', '-j', '1', '--memory', '200MB', '--dirty', 'rows=2', '--rate', '5MB/s'])):
        place = scene('plan-fits')
        t.check(place.run('plan', 'j.yaml', '-o', 'p.json', '--set', 'd=2020-01-02', '--scheduled', '2021-01-01')[0] == 0, 'planned')
        change(place)
        code, _, err = place.run('run', '--plan', 'p.json', '-q', *flags)
        t.check(code == 0 and table(place, 'select day, count(*) from a') == [('2020-01-02', 2)], 'carried out', err)
        if os.path.exists(place.path('j.yaml')):
            code, _, err = place.run('run', 'j.yaml', '--set', 'd=2020-01-02', '--scheduled', '2021-01-01')
            t.check(code == 0 and 'was finished before' in err, 'its identity is that of the job', err)
        place.remove()
    place = scene('plan-decides')
    place.run('plan', 'j.yaml', '-o', 'p.json')
    for flags in (['--set', 'd=2020-01-01'], ['--scheduled', '2020-01-01'], ['--strict'], ['--checksum', 'off']):
        code, _, err = place.run('run', '--plan', 'p.json', *flags)
        t.check(code == 2 and 'E1007' in err and flags[0].strip('-') in err, 'the plan decides: %s' % flags[0], err)
    code, _, err = place.run('run', 'none.yaml', '--plan', 'p.json')
    t.check(code == 2 and 'E1030' in err, 'a job that is named must be there', err)
    place.remove()


def stopped(t):
    """Red when the run of a plan that was stopped in the middle is begun anew, or another run of the job is
    passed over."""
    place = scene('plan-stopped', JOB.replace('    columns', '    types: { v: int64 }\n    columns'))
    rows('id,v\n1,10\n2,x\n')(place)
    place.run('plan', 'j.yaml', '-o', 'p.json')
    code, _, err = place.run('run', '--plan', 'p.json')
    run = json.loads(read(place, 'p.json'))['run']
    t.check(code == 6 and run in err, 'a dirty row', err)
    for flags, code_, said in ((['--fresh', '--yes'], 2, 'a plan is carried out once'), ([], 6, 'E6001'),
                               (['--dirty', 'rows=1'], 0, '1 dirty')):
        code, _, err = place.run('run', '--plan', 'p.json', *flags)
        t.check(code == code_ and said in err and run in err, 'goes on as a run does: %s' % said, err)
    t.check(table(place, 'select id from a') == [(1,)] and runs_of(place) == [(run,)], 'one run', runs_of(place))
    place.forget()
    os.unlink(place.path('out.db'))
    place.run('plan', 'j.yaml', '-o', 'p.json')
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 6, 'a run of the job itself', err)
    code, _, err = place.run('run', '--plan', 'p.json')
    t.check(code == 2 and 'E1066' in err and "it is not the plan's" in err and 'wherry resume' in err, "not the plan's", err)
    place.remove()
    place = scene('plan-discarded', JOB.replace('    columns', '    types: { v: int64 }\n    columns'))
    rows('id,v\n1,10\n2,x\n')(place)
    place.run('plan', 'j.yaml', '-o', 'p.json')
    place.run('run', '--plan', 'p.json')
    code, _, err = place.run('cancel', json.loads(read(place, 'p.json'))['run'], '--discard', '--yes')
    t.check(code == 0, 'given up', err)
    code, _, err = place.run('run', '--plan', 'p.json')
    t.check(code == 2 and 'was carried out' in err, 'a plan whose run was given up', err)
    place.remove()


def side_by_side(t):
    """Red when two processes that carry one plan out at once write its rows twice."""
    place = scene('plan-twice')
    write(place, 'a.csv', 'id,v\n' + ''.join('%d,%d\n' % (i, i) for i in range(20000)))
    place.run('plan', 'j.yaml', '-o', 'p.json')
    place.run('history')  # the state is there
    both = [place.start('run', '--plan', 'p.json', '-q') for _ in range(3)]
    ends = [harness.finish(p) for p in both]
    n = table(place, 'select count(*), count(distinct id) from a')
    t.check(n == [(20000, 20000)] and sum(e[0] == 0 for e in ends) >= 1 and all(e[0] in (0, 2, 10) for e in ends), 'once', (n, ends))
    place.remove()


def damaged(t):
    """Red when a file that is no plan, or not whole, is taken for one, or two reasons have one message."""
    place = scene('plan-damaged')
    place.run('plan', 'j.yaml', '-o', 'p.json')
    good = read(place, 'p.json')
    _, printed, _ = place.run('plan', 'j.yaml', '--json')
    for text, said in ((good[:len(good) // 2], 'cut off'), (good[:-2], 'cut off'), (good[:-50], 'cut off'), ('', 'no plan file'),
                       ('{}', 'no plan file'), (ROWS, 'no plan file'), ('\0\0', 'no plan file'), (printed, "'plan --json' prints"),
                       (good.replace('"version":1,"wherry"', '"version":2,"wherry"'), 'another version'),
                       (good.replace('append', 'upsert'), 'changed after'), (good.replace('out.db', 'tmp.db'), 'changed after'),
                       (good.replace('"hash":"', '"hash":"0')[:-4] + '"}\n', 'changed after')):
        write(place, 'd.json', text)
        for words in [['run', '--plan', 'd.json']] + [['plan', '--diff', 'd.json']] * text.startswith('{"v":1,"run":"'):
            code, _, err = place.run(*words)
            t.check(code == 2 and 'E1072' in err and said in err and 'd.json' in err, '%s: %s' % (words[0], said), err)
    code, _, err = place.run('run', '--plan', 'none.json')
    t.check(code == 2 and 'E1072' in err and 'No such file' in err, 'no file', err)
    code, _, err = place.run('run', '--plan', '.')
    t.check(code == 2 and 'E1072' in err, 'a folder', err)
    code, _, err = place.run('plan', 'j.yaml', '-o', '/dev/full')
    t.check(code in (1, 5) and '/dev/full' in err, 'no space', (code, err))
    code, _, err = place.run('plan', 'j.yaml', '-o', 'none/p.json')
    t.check(code != 0 and 'none/p.json' in err, 'no folder', (code, err))
    t.check(not os.path.exists(place.path('out.db')) and not place.leftovers(), 'nothing was touched')
    place.remove()


def output_files(t):
    """Red when -o writes over what is no plan, or no schema of ours, without consent, or leaves half of one."""
    place = scene('output-files')
    for words, kind in ((['plan', 'j.yaml'], 'plan'), (['schema'], 'schema of Wherry')):
        for name, text in (('j.yaml', JOB), ('a.csv', ROWS), ('other.json', '{"$schema":"http://json-schema.org/draft-07/schema#","title":"another"}')):
            write(place, name, text)
            code, out, err = place.run(*words, '-o', name)
            t.check(code == 2 and 'E1012' in err and "'%s' is there already and is no %s" % (name, kind) in err and '--yes' in err and read(place, name) == text,
                    '%s -o over %s' % (words[0], name), out + err)
        code, _, err = place.run(*words, '-o', 'other.json', '--yes')
        t.check(code == 0 and read(place, 'other.json').endswith('}\n'), '%s -o with --yes' % words[0], err)
        first = read(place, 'other.json')
        write(place, 'empty', '')
        for name in ('other.json', 'empty', 'new'):
            code, _, err = place.run(*words, '-o', name)
            t.check(code == 0 and read(place, name)[:12] == first[:12] and len(read(place, name)) > 100, '%s -o over its own kind: %s' % (words[0], name), err)
            os.unlink(place.path(name))
    code, out, err = place.run('schema', '-o', '-')
    t.check(code == 0 and out.startswith('{') and sorted(n for n in os.listdir(place.dir) if n.endswith('.part') or n == '-') == [], 'to standard output', err)
    place.remove()


def secrets(t):
    """Red when a password stands in a plan file, or the run of it does not get one that it may have."""
    place = scene('plan-secret', 'version: 1\nconnections: { dw: { type: postgresql, host: 127.0.0.1, port: 9, user: u, '
                  'password: geheim123 } }\nstreams: [{ from: a.csv, to: "dw:t" }]\n')
    place.run('plan', 'j.yaml', '-o', 'p.json')
    text = read(place, 'p.json')
    t.check('geheim123' not in text and '"password":"***"' in text, 'it is left out', text)
    code, _, err = place.run('run', '--plan', 'p.json')
    t.check(code == 5 and 'geheim123' not in err, 'the job file has it: the server is asked', (code, err))
    os.unlink(place.path('j.yaml'))
    code, _, err = place.run('run', '--plan', 'p.json')
    t.check(code == 5, 'else it is looked for elsewhere, as for a resume', (code, err))
    write(place, 'j.yaml', 'version: 1\nconnections: { dw: { type: postgresql, host: 127.0.0.1, port: 9, user: u, '
          "password: '${env:PW}' } }\nstreams: [{ from: a.csv, to: \"dw:t\" }]\n")
    place.run('plan', 'j.yaml', '-o', 'p.json', PW='geheim123')
    t.check('geheim123' not in read(place, 'p.json') and '${env:PW}' in read(place, 'p.json'), 'a reference stays one')
    code, _, err = place.run('plan', 'a.csv', 'postgresql://u:geheim123@127.0.0.1:9/d#t', '-o', 'p.json')
    t.check('geheim123' not in read(place, 'p.json') + err and 'not written into the plan' in err, 'of a URL', err)
    place.remove()


def shapes(t):
    """Red when --diff misses what the destination has otherwise, finds a difference where there is none, touches
    anything, or ends with another code than 4."""
    place = harness.Place('plan-diff')

    def sql(text, name='out.db'):
        db = sqlite3.connect(place.path(name))
        db.executescript(text)
        db.close()

    def diff(*words):
        code, out, err = place.run('plan', 'sqlite:in.db#t', *words, '--diff', '--json')
        return code, [(d['kind'], d['column'], d['source'], d['destination']) for d in json.loads(out.splitlines()[0])['tables'][0]['differences']], err + ''.join(out.splitlines()[1:])
    sql('create table t (id integer primary key, name text not null, price decimal(9,2), day date);'
        "insert into t values (1, 'a', 1.5, '2020-01-01')", 'in.db')
    t.check(diff('out.db') == (4, [('table', None, 'planned', None)], ''), 'not there', diff('out.db'))
    t.check(not os.path.exists(place.path('out.db')), 'and not made')
    place.run('copy', 'sqlite:in.db#t', 'out.db', '-q')
    t.check(diff('out.db') == (0, [], ''), 'what was made does not differ', diff('out.db'))
    code, out, _ = place.run('plan', 'sqlite:in.db#t', 'out.db', '--diff')
    t.check((code, out) == (0, 'no difference\n'), 'for people', out)
    sql('drop table t; create table t (id integer, name varchar(10), price real, must text not null, more int)')
    code, seen, err = diff('out.db')
    t.check(code == 4 and 'E3005' in err and seen == [
        ('nullable', 'id', 'not null', 'nullable'), ('type', 'name', 'utf8', 'utf8(10)'), ('nullable', 'name', 'not null', 'nullable'),
        ('type', 'price', 'decimal(9,2)', 'float64'), ('missing', 'day', 'date', None), ('extra', 'must', None, 'utf8 not null'),
        ('extra', 'more', None, 'int64'), ('key', None, 'id', None)], 'each difference, and why it is refused', (seen, err))
    code, seen, err = diff('out.db', '--columns', 'id,name,dear=price', '--types', 'price=text')
    t.check(code == 4 and ('missing', 'dear', 'utf8', None) in seen and ('extra', 'price', None, 'float64') in seen and
            not [v for v in seen if v[1] == 'day'], 'as it is mapped', seen)
    write(place, 'o.csv', 'id,nick\n1,x\n')
    code, seen, err = diff('o.csv', '--mode', 'overwrite', '--columns', 'id,name')
    t.check(code == 4 and seen == [('missing', 'name', 'utf8 not null', None), ('extra', 'nick', None, 'utf8')], 'a file has names', (code, seen, err))
    code, out, err = place.run('plan', 'o.csv', 'null:', '--diff')
    t.check(code == 0 and 'not compared' in out, 'a destination that keeps nothing', out)
    code, out, err = place.run('plan', 'o.csv', 'postgresql://u@127.0.0.1:9/d', '--diff')
    t.check(code == 5 and out == '' and 'E2001' in err, 'a server that is not there', (code, out, err))
    code, _, err = place.run('plan', 'none.yaml', '--diff')
    t.check(code == 2 and 'E1030' in err, 'no such job', err)
    t.check(not place.leftovers(), 'nothing is kept')
    place.remove()


def changes(t):
    """Red when `plan --diff FILE` does not tell all that differs from a plan that was kept, or tells of times
    and names that belong to a run."""
    place = scene('plan-changes')
    place.run('plan', 'j.yaml', '-o', 'p.json')
    time.sleep(0.02)
    for words in (['--diff', 'p.json'], ['j.yaml', '--diff', 'p.json']):
        code, out, err = place.run('plan', *words)
        t.check((code, out) == (0, 'no difference\n'), 'nothing changed: %s' % words[0], out + err)
    write(place, 'a.csv', 'id,v,w\n1,x,1\n')
    job('to: day', 'to: date')(place)
    code, out, err = place.run('plan', 'j.yaml', '--diff', 'p.json')
    t.check(code == 4 and all(w in out for w in ('column v of the source was int64, is utf8', 'column w of the source was not there',
                                                 'column day was', 'column date was not there', 'step 1 was')), 'each', out)
    code, out, err = place.run('plan', 'j.yaml', '--diff', 'p.json', '--json')
    seen = json.loads(out)
    t.check(code == 4 and seen['against'] == 'p.json' and seen['differences'] == len(seen['changes']) and
            {'table': 'a', 'what': 'column v of the source', 'was': 'int64', 'is': 'utf8'} in seen['changes'], '--json', out)
    code, out, err = place.run('plan', '--diff', 'p.json')
    t.check(code == 2 and 'E1066' in err and 'j.yaml has changed' in err, 'a plan alone is that of its job file', err)
    code, out, err = place.run('plan', 'j.yaml', '--diff', 'p.json', '--set', 'd=2001-01-01')
    t.check(code == 4 and '2001-01-01' in out, 'other parameters are others', out + err)
    place.run('plan', 'a.csv', 'b.db', '-o', 'c.json')
    code, out, err = place.run('plan', 'a.csv', 'b.db', '--diff', 'c.json')
    t.check((code, out) == (0, 'no difference\n'), 'of a copy', out + err)
    code, out, err = place.run('plan', 'a.csv', 'b.db', '--mode', 'upsert', '--key', 'id', '--diff', 'c.json')
    t.check(code == 4 and 'mode was append, is upsert' in out and 'keys was none, is id' in out, 'of another copy', out + err)
    place.remove()
