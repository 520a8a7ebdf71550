# SPDX-License-Identifier: Apache-2.0
"""dirty.archive: refused rows are kept in a folder of a files connection, whoever reads, kills or fills it."""
import json
import os
import sqlite3
import stat
import subprocess

import harness

JOB = """version: 1
name: keeps
connections: { bucket: { type: file, root: %(root)s }, shop: { type: sqlite, path: s.db }, dw: { type: sqlite, path: d.db } }
defaults: { dirty: { rows: 99, archive: 'bucket:dirty/${run.id}/' } }
streams:
  - { from: 'shop:a', to: 'dw:a' }
  - { from: 'shop:b', to: 'dw:b', dirty: { rows: 99, archive: other } }
"""
ROWS = 60


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


def files(folder):
    """Every file below: {name below the folder: its bytes}."""
    found = {}
    for base, _, names in os.walk(folder):
        for n in names:
            with open(os.path.join(base, n), 'rb') as f:
                found[os.path.relpath(os.path.join(base, n), folder)] = f.read()
    return found


def write(place, name, text):
    os.makedirs(os.path.dirname(place.path(name)), exist_ok=True)
    with open(place.path(name), 'w', encoding='utf-8') as f:
        f.write(text)


def mode_of(*parts):
    return stat.S_IMODE(os.stat(os.path.join(*parts)).st_mode)


def tables(place, rows=ROWS):
    """Each third row of a and b is refused by the destination, the others are taken."""
    for base in ('s.db', 'd.db'):
        if os.path.exists(place.path(base)):
            os.remove(place.path(base))
    for table in 'ab':
        sql(place, 's.db', 'create table %s(id integer primary key, v text)' % table,
            "with recursive n(i) as (select 1 union all select i + 1 from n where i < %d) "
            "insert into %s select i, '%s' || i from n" % (rows, table, table))
        sql(place, 'd.db', 'create table %s(id integer primary key, v text, check (id %% 3 > 0))' % table)


def refused_ids(rows=ROWS):
    return [i for i in range(1, rows + 1) if i % 3 == 0]


def mend(place):
    for table in 'ab':
        sql(place, 'd.db', 'create table x as select * from %s' % table, 'drop table %s' % table,
            'create table %s(id integer, v text)' % table, 'insert into %s select * from x' % table, 'drop table x')


def kept(t):
    """Red when a refused row is not in the folder that was named, others can read it, a field of its line is
    missing or wrong, the plan or the run's record does not say where, or a command does not read it from there."""
    place = harness.Place('archive')
    os.mkdir(place.path('store'))
    write(place, 'job.yaml', JOB % {'root': place.path('store')})
    tables(place)
    code, out, err = place.run('plan', 'job.yaml', '--json')
    said = [f['dirty_archive'] for f in json.loads(out.splitlines()[0])['tables']]
    t.check(code == 0 and said[0].startswith('bucket:dirty/r-') and said[1] == place.path('other'), 'the plan for programs', out)
    code, out, err = place.run('plan', 'job.yaml')
    t.check('up to 99 rows are archived in bucket:dirty/r-' in out and 'archived in %s\n' % place.path('other') in out, 'the plan', out)
    t.check(not os.path.exists(place.path('other')) and files(place.path('store')) == {}, 'a plan makes nothing')
    code, _, err = place.run('run', 'job.yaml')
    run = last_run(place)
    t.check(code == 0 and sql(place, 'd.db', 'select count(*) from a') == [(ROWS - ROWS // 3,)], 'the others are in', err)
    store, other = files(place.path('store')), files(place.path('other'))
    t.check(sorted(store) == ['dirty/%s/_dirty.%s.f0.g1.u1.a1.jsonl' % (run, run)] and
            sorted(other) == ['_dirty.%s.f1.g1.u1.a1.jsonl' % run], 'a file each, under its name', '%s %s' % (list(store), list(other)))
    t.check(not os.path.exists(place.state('dirty')), 'nothing of it in the state folder')
    name = sorted(store)[0]
    t.check(mode_of(place.path('store'), name) == 0o600 and mode_of(place.path('store'), os.path.dirname(name)) == 0o700 and
            mode_of(place.path('other')) == 0o700, 'for the owner only')
    rows = lines(store[name].decode())
    t.check([int(r['row']['id']) for r in rows] == refused_ids(), 'every refused row, once, in order', rows[:3])
    r = rows[0]
    t.check(set(r) == {'run', 'stream', 'table', 'unit', 'attempt', 'position', 'column', 'code', 'text', 'side', 'row'}, 'its fields', r)
    t.check((r['run'], r['stream'], r['table'], r['unit'], r['attempt'], r['code'], r['side'], r['row']) ==
            (run, 'a', 'a', 1, 1, 'E6009', 'to', {'id': '3', 'v': 'a3'}) and r['position'] and
            'CHECK' in r['text'], 'and what stands in them', r)
    db = sqlite3.connect(place.state('state.db'))
    stored = json.loads(db.execute('select job_json from run where run = ?', (run,)).fetchone()[0])
    db.close()
    t.check([s['dirty']['archive'] for s in stored['streams']] == ['bucket:dirty/%s/' % run, place.path('other')],
            "the run's record says where", stored['streams'])
    # From everywhere, and when the job file has gone.
    os.remove(place.path('job.yaml'))
    place.dir, home = place.path('home'), place.dir
    code, out, err = place.run('dirty', 'list', run, '--json')
    ids = sorted((r['table'], r['final']) for r in lines(out))
    t.check(code == 0 and ids == [('a', True)] * (ROWS // 3) + [('b', True)] * (ROWS // 3), 'listed from another folder', err)
    code, out, err = place.run('dirty', 'export', run, 'b')
    t.check(code == 0 and [int(r['row']['id']) for r in lines(out)] == refused_ids(), 'exported', err)
    code, out, err = place.run('dirty', '--json')
    t.check(lines(out)[0]['bytes'] == sum(map(len, list(store.values()) + list(other.values()))), 'what it takes', out)
    place.dir = home
    mend(place)
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 0 and [sql(place, 'd.db', 'select * from %s order by id' % x) for x in 'ab'] ==
            [sql(place, 's.db', 'select * from %s order by id' % x) for x in 'ab'], 'replayed', err)
    code, _, err = place.run('dirty', 'replay', run)
    t.check(code == 0 and sql(place, 'd.db', 'select count(*) from a') == [(ROWS,)], 'once', err)
    write(place, 'other/mine.csv', 'x\n1\n')
    code, out, err = place.run('dirty', 'drop', run, '--yes', '--json')
    t.check(code == 0 and json.loads(out)['files'] == 2, 'dropped', out + err)
    t.check(not os.path.exists(os.path.join(place.path('store'), os.path.dirname(name))) and
            files(place.path('other')) == {'mine.csv': b'x\n1\n'}, 'what is ours has gone, what is not stays')
    code, out, err = place.run('dirty', 'list', run)
    t.check(code == 0 and '%d more refused rows are not kept' % (2 * (ROWS // 3)) in err, 'and that is said', err)
    place.remove()


def shared(t):
    """Red when two runs, two tables or a folder of data cannot share a folder with an archive: a row of one is
    taken for the other's, or an archive for data."""
    place = harness.Place('archive-shared')
    write(place, 'in/m.csv', 'id,n\n1,10\n2,twenty\n3,30\n')
    args = ('copy', 'in/', 'out/m.csv', '--types', 'n=int64', '--dirty', 'rows=9', '--mode', 'overwrite')
    runs = []
    for where in ('in', 'out/', './out', 'out'):
        code, _, err = place.run(*args, '--dirty-archive', where)
        t.check(code == 0, 'into ' + where, err)
        runs.append(last_run(place))
        code, out, err = place.run('dirty', 'list', runs[-1], '--json')
        t.check(code == 0 and len(lines(out)) == 1, 'its own row', out + err)
        t.check(files(place.path('out'))['m.csv'] == b'id,n\n1,10\n3,30\n', 'the destination has the rows', err)
    t.check(len([n for n in files(place.path('out')) if n.startswith('_dirty.r-')]) == 3 and
            len([n for n in files(place.path('in')) if n.startswith('_dirty.r-')]) == 1, 'all archives stay')
    for what in ('out/', 'out/*'):
        code, _, err = place.run('copy', what, 'all.db#%s' % ('star' if '*' in what else 'folder'))
        t.check(code == 0, what, err)
    t.check(sql(place, 'all.db', 'select * from folder') == [(1, 10), (3, 30)] == sql(place, 'all.db', 'select * from star'),
            'no archive is data')
    code, _, err = place.run('dirty', 'drop', runs[1], '--yes')
    t.check(code == 0 and [len(lines(place.run('dirty', 'list', r, '--json')[1])) for r in runs] == [1, 0, 1, 1],
            'one goes, the others stay', err)
    place.remove()


def said_wrong(t):
    """Red when an archive that cannot be one is taken, or a run is resumed with another one."""
    place = harness.Place('archive-wrong')
    write(place, 'a.csv', 'id\n1\nx\n')
    for where, code_wanted, what in (('db.sqlite', 'E1060', 'holds no files'), ('-', 'E1020', 'one folder'), ('x*/', 'E1020', 'one folder'),
                                     ('nobody:x/', 'E1022', 'nobody')):
        code, _, err = place.run('copy', 'a.csv', 'out.db', '--dirty-archive', where)
        t.check(code == 2 and code_wanted in err and what in err, where, err)
    write(place, 'over.yaml', "version: 1\nstreams:\n  - from: a.csv\n    to: out.db\n    dirty: { archive: x/ }\n"
          "    override: { a: { dirty: { archive: y/ } } }\n")
    code, _, err = place.run('plan', 'over.yaml')
    t.check(code == 2 and 'E1001' in err and 'dirty.archive' in err and '6:' in err, 'for one table', err)
    code, _, err = place.run('copy', 'a.csv', 'out.db', '--types', 'id=int64', '--dirty-archive', 'x')
    run = last_run(place)
    t.check(code == 6, 'limit 0', err)
    code, out, _ = place.run('dirty', 'list', run, '--json')
    t.check([r['final'] for r in lines(out)] == [False] and len(files(place.path('x'))) == 1, 'the row that ended it is there', out)
    code, _, err = place.run('resume', run, '--dirty', 'rows=1,archive=y')
    t.check(code == 2 and 'E1007' in err and 'dirty.archive' in err and not os.path.exists(place.path('y')), 'a resume keeps it', err)
    code, _, err = place.run('resume', run, '--dirty', 'rows=1')
    code, out, _ = place.run('dirty', 'list', run, '--json')
    t.check([r['final'] for r in lines(out)] == [True] and len(files(place.path('x'))) == 1, 'and finds it again', out + err)
    place.remove()


def killed(t):
    """Red when a run that is killed around its archive and resumed loses a refused row, lists it twice, or leaves
    a file of an attempt that did not win."""
    place = harness.Place('archive-killed')
    args = ('copy', 'sqlite:s.db#a', 'sqlite:d.db#a', '--dirty', 'rows=99', '--dirty-archive', 'arch/${run.id}')

    def ready():
        place.forget()
        subprocess.run(['rm', '-rf', place.path('arch')], check=True)
        tables(place)
    ready()
    seen = harness.reached(place, args, place.path('points'))
    chosen = harness.sample(t.rng, dict(harness.kill_points()), sorted(seen), 5 if harness.fast() else 9, ('archive-durable', 'record-after'))
    t.check('archive-durable' in chosen, 'the archive was passed', chosen)
    for name in chosen:
        ready()
        code, _, _ = place.run(*args, WH_TEST_KILL='%s:1' % name)
        t.check(code == -9, 'killed at ' + name, code)
        run = last_run(place) if os.path.exists(place.state('state.db')) else None
        code, out, err = place.run('resume') if run else (1, '', '')
        if code == 2 and 'E7007' in err:  # killed before it was recorded, or after its end
            code, out, err = place.run(*args) if not sql(place, 'd.db', 'select * from a') else (0, '', '')
            run = last_run(place)
        t.check(code == 0, 'goes on after ' + name, err)
        code, out, err = place.run('dirty', 'export', run)
        t.check([int(r['row']['id']) for r in lines(out)] == refused_ids(), 'each row once after ' + name, out[:300] + err)
        found = files(place.path('arch'))
        t.check(len(found) == 1 and list(found)[0].startswith(run), 'one file after ' + name, list(found))
        t.check(sql(place, 'd.db', 'select count(*) from a') == [(ROWS - ROWS // 3,)], 'and the others after ' + name)
    place.remove()


def beside_the_job(t):
    """Red when refused rows in a folder whose root is relative are said to be lost, seen from another folder."""
    place = harness.Place('archive-beside')
    os.mkdir(place.path('store'))
    write(place, 'n.csv', 'n\n1\nx\n')
    for root, folder in (('store', 'd/'), ('./store/', './d'), ('store', '.')):
        write(place, 'j.yaml', "version: 1\nconnections: { arc: { type: file, root: %s } }\n"
              "streams: [{ from: n.csv, to: 'e.db#n', types: { n: int64 }, dirty: { rows: 9, archive: 'arc:%s' } }]\n" % (root, folder))
        code, _, err = place.run('run', 'j.yaml')
        place.dir, home = place.path('home'), place.dir
        gone, out, said = place.run('dirty', 'export', last_run(place))
        place.dir = home
        t.check(code == 0 and gone == 0 and len(lines(out)) == 1 and len(files(place.path('store'))) == 1, 'exported from another folder',
                '%s %s' % (err, said))
        code, _, err = place.run('dirty', 'drop', last_run(place), '--yes')
        t.check(code == 0 and files(place.path('store')) == {}, 'and dropped', err)
    write(place, 'j.yaml', "version: 1\nconnections: { arc: { type: file, root: store } }\n"
          "streams: [{ from: n.csv, to: 'e.db#m', types: { n: int64 }, dirty: { rows: 9, archive: 'arc:d/../../up/' } }]\n")
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 5 and 'E1020' in err and not os.path.exists(place.path('up')), 'it stays below its root', err)
    place.remove()


def cannot_be_written(t):
    """Red when a unit commits although its refused rows could not be archived."""
    place = harness.Place('archive-not')
    tables(place)
    write(place, 'arch', 'a file is no folder')
    args = ('--dirty', 'rows=99', '--dirty-archive', 'arch/')
    code, _, err = place.run('copy', 'sqlite:s.db#a', 'sqlite:d.db#a', *args, '--lock-wait', '0s')
    t.check(code == 5 and 'E6015' in err and 'arch' in err, 'E6015, exit 5', err)
    t.check(sql(place, 'd.db', 'select count(*) from a') == [(0,)], 'nothing was committed')
    os.remove(place.path('arch'))
    code, _, err = place.run('resume')
    code, out, _ = place.run('dirty', 'export', last_run(place))
    t.check(code == 0 and [int(r['row']['id']) for r in lines(out)] == refused_ids() and
            sql(place, 'd.db', 'select count(*) from a') == [(ROWS - ROWS // 3,)], 'goes on when it can be', err)
    # Where the source itself refuses the row, it has no words for what the archive lacks.
    write(place, 'n.csv', 'n\n1\nx\n')
    write(place, 'arch2', 'a file is no folder')
    code, _, err = place.run('copy', 'n.csv', 'n.db#n', '--types', 'n=int64', '--dirty', 'rows=9', '--dirty-archive', 'arch2/')
    t.check(code == 5 and 'E6015' in err and 'arch2' in err, 'a row that could not be read: E6015, exit 5', err)
    t.check(sql(place, 'n.db', 'select count(*) from n') == [(0,)], 'nothing was committed, either')
    # A connection encrypts nothing, and does not look as if it did.
    write(place, 'key', '00112233' * 8)
    os.chmod(place.path('key'), 0o600)
    write(place, 'j.yaml', "version: 1\nconnections: { arc: { type: file, root: ., encrypt: '${file:key}' } }\n"
          "streams: [{ from: n.csv, to: 'e.db#n', types: { n: int64 }, dirty: { rows: 9, archive: 'arc:d/' } }]\n")
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 2 and 'E1001' in err and 'encrypt' in err and not os.path.exists(place.path('d')), 'no folder that encrypts', err)
    place.remove()
    place = harness.Place('archive-files')   # rows that are refused as text, before they are a batch
    write(place, 'm.csv', 'id,v\n1,a\nx,b\n')
    write(place, 'arch', 'a file is no folder')
    code, _, err = place.run('copy', 'm.csv', 'd.db#m', '--types', 'id=int64', *args[:2], '--dirty-archive', 'arch/')
    t.check(code == 5 and 'E6015' in err and 'E9003' not in err and "'%s'" % place.path('arch') in err, 'of a file: E6015, exit 5, the whole path', err)
    os.remove(place.path('arch'))
    code, _, err = place.run('resume')
    t.check(code == 0 and sql(place, 'd.db', 'select count(*) from m') == [(1,)], 'of a file: goes on when it can be', err)
    place.remove()
    place = harness.Place('archive-full')
    os.mkdir(place.path('arch'))
    if os.getuid() != 0 or subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=64k', 'tmpfs', place.path('arch')], check=False,
                                          stderr=subprocess.DEVNULL).returncode:
        print('a full disk: nothing can be mounted here')
        place.remove()
        return
    try:
        tables(place, 3000)
        with open(place.path('arch', 'ballast'), 'wb') as f:
            os.posix_fallocate(f.fileno(), 0, 32 << 10)
        code, _, err = place.run('copy', 'sqlite:s.db#a', 'sqlite:d.db#a', '--dirty', 'rows=9999', '--dirty-archive', 'arch/')
        t.check(code == 5 and 'E6015' in err and 'E5004' in err, 'a full disk', err)
        t.check(sql(place, 'd.db', 'select count(*) from a') == [(0,)] and
                list(files(place.path('arch'))) == ['ballast'], 'nothing was committed, nothing stays')
    finally:
        subprocess.run(['umount', '-l', place.path('arch')], check=False)
    code, _, err = place.run('resume')
    code, out, _ = place.run('dirty', 'export', last_run(place))
    t.check(code == 0 and [int(r['row']['id']) for r in lines(out)] == refused_ids(3000), 'goes on where there is room', err)
    place.remove()


def thirty_days(t):
    """Red when refused rows go before 30 days are over, stay after them, or take with them what is not ours."""
    place = harness.Place('archive-old')
    write(place, 'm.csv', 'id\n1\nx\n')
    runs = []
    for name, where in (('a', ()), ('b', ('--dirty-archive', 'arch/')), ('c', ('--dirty-archive', 'by/${run.id}/'))):
        for age in (29.99, 30.01):
            code, _, err = place.run('copy', 'm.csv', 'o.db#%s%d' % (name, age), '--types', 'id=int64', '--dirty', 'rows=9', *where)
            t.check(code == 0, name, err)
            runs.append((last_run(place), age))
    write(place, 'arch/mine.txt', 'x')
    db = sqlite3.connect(place.state('state.db'))
    for run, age in runs:
        db.execute('update run set ended_us = ended_us - ? where run = ?', (int(age * 86400e6), run))
    db.commit()
    db.close()

    def there():
        return sorted([os.path.basename(n).split('.')[1] for w in ('arch', 'by') for n in files(place.path(w)) if '_dirty' in n] +
                      os.listdir(place.state('dirty')))
    code, out, err = place.run('gc', '--dry-run', '--json')
    t.check(code == 0 and json.loads(out)['runs'] == 3 and json.loads(out)['files'] == 6, 'what would go', out + err)
    t.check(there() == sorted(r for r, _ in runs), 'nothing went', there())
    code, out, err = place.run('gc', '--json')
    t.check(code == 0 and json.loads(out)['runs'] == 3 and json.loads(out)['files'] == 6, 'three runs, with archive and log', out + err)
    young = sorted(r for r, age in runs if age < 30)
    t.check(there() == young, 'those of 30 days went, the others stay', there())
    t.check(os.path.exists(place.path('arch', 'mine.txt')) and sorted(os.listdir(place.path('by'))) == [r for r in young if r == runs[4][0]],
            'what is not ours stays, an empty folder of ours does not', os.listdir(place.path('by')))
    t.check(all(len(lines(place.run('dirty', 'list', r, '--json')[1])) == 1 for r in young), 'and can be listed')
    write(place, 'gone', '')
    subprocess.run(['rm', '-rf', place.path('arch')], check=True)
    os.symlink('gone', place.path('arch'))
    code, out, err = place.run('gc', '--all', '--yes')
    t.check(code == 0 and 'by' in os.listdir(place.dir) and os.listdir(place.path('by')) == [], 'all of them', err)
    place.remove()
