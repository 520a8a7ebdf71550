# SPDX-License-Identifier: Apache-2.0
"""Options of the files connector that say which files are read, when, and what becomes of them; and
what is written beside files. Judged by Python: hashlib, os, sqlite3."""
import gzip
import hashlib
import os
import sqlite3
import subprocess
import threading
import time
import zlib

import harness


def put(place, name, text=None, age=0):
    path = place.path(name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, 'w', encoding='utf-8') as f:
        f.write('a,b\n1,%s\n' % name if text is None else text)
    if age:
        then = time.time() - age
        os.utime(path, (then, then))
    return path


def rows(place, table='t', db='o.db'):
    con = sqlite3.connect(place.path(db))
    found = [r[0] for r in con.execute('select b from %s order by rowid' % table)]
    con.close()
    return found


def copied(place, *args):
    """Exit code, what is in the table afterwards ([] without one), and stderr."""
    for name in ('o.db', 'o.db-wal', 'o.db-shm'):
        if os.path.exists(place.path(name)):
            os.unlink(place.path(name))
    place.forget()
    code, _, err = place.run('copy', *args)
    try:
        return code, rows(place), err
    except sqlite3.OperationalError:
        return code, [], err


def options(*pairs):
    return [word for pair in pairs for word in ('--from', pair)]


def which_files(t):
    """Red when levels, hidden, list, min_size, the times or duplicates read other files than they say,
    or a file twice that was named twice."""
    place = harness.Place('which')
    try:
        for name in ('in/a.csv', 'in/b.csv', 'in/sub/c.csv', 'in/sub/deep/d.csv', 'in/.h.csv', 'in/_u.csv'):
            put(place, name)
        os.makedirs(place.path('in/.wherry-000000000000'))
        put(place, 'in/.wherry-000000000000/f0.csv')
        put(place, 'in/list.txt', '\ufeffsub/c.csv\r\n\n  \na.csv\nsub/*.csv\n')
        put(place, 'in/old.tsv', 'a\tb\n1\told\n', age=3 * 86400)
        put(place, 'in/copy.csv', 'a,b\n1,in/a.csv\n')
        a, b, c, d = 'in/a.csv', 'in/b.csv', 'in/sub/c.csv', 'in/sub/deep/d.csv'
        csv = ('exclude=*.tsv', 'exclude=copy.csv')
        cases = [
            ('a folder alone', ['in/'], csv, [a, b]),
            ('levels=1', ['in/'], csv + ('levels=1',), [a, b, c]),
            ('levels=64', ['in/'], csv + ('levels=64',), [a, b, c, d]),
            ('** to one level', ['in/**'], csv + ('levels=1', 'exclude=list.txt'), [a, b, c]),
            ('hidden, and never what is ours', ['in/'], csv + ('levels=9', 'hidden=true'),
             ['in/.h.csv', 'in/_u.csv', a, b, c, d]),
            ('a list, from its folder on, each once', ['file:'], ('list=in/list.txt',), [c, a]),
            ('a list, as often as named', ['file:'], ('list=in/list.txt', 'duplicates=keep'), [c, a, c]),
            ('named twice', ['in/*.csv', 'in/a.csv'], csv, [a, b]),
            ('named twice, kept', ['in/*.csv', 'in/a.csv'], csv + ('duplicates=keep',), [a, b, a]),
            ('the same bytes', ['in/*.csv'], ('duplicates=content',), [a, b]),
            ('young ones', ['in/'], ('modified_since=2d', 'exclude=*.csv', 'on_missing=skip'), []),
            ('old ones', ['in/'], ('modified_until=2d',), ['old']),
            ('until a day', ['in/'], ('modified_until=%s' % time.strftime('%Y-%m-%d', time.gmtime(time.time() - 86400)),), ['old']),
            ('since an instant', ['in/a.csv'], ('modified_since=2020-01-01T00:00:00+08:00',), [a]),
            ('large ones', ['in/*.csv'], ('min_size=17', 'exclude=copy.csv'), []),
            ('small enough', ['in/*.csv'], ('min_size=15', 'exclude=copy.csv'), [a, b]),
        ]
        for what, sources, asked, want in cases:
            code, got, err = copied(place, *sources, 'o.db#t', *options(*asked))
            if what == 'large ones':
                t.check(code == 2 and 'E1028' in err and 'too small' in err, what, err)
            else:
                t.check(code == 0 and got == want, what, '%s, not %s\n%s' % (got, want, err))
        code, _, err = copied(place, 'in/*.csv', 'in/a.csv', 'o.db#t', *options('duplicates=fail'))
        t.check(code == 2 and 'named twice' in err, 'named twice is refused', err)
        code, _, err = copied(place, 'in/', 'o.db#t', *options('modified_since=soon'))
        t.check(code == 2 and 'E1002' in err, 'no time', err)
        code, _, err = copied(place, 'in/', 'o.db#t', *options('modified_since=1d', 'modified_until=2d'))
        t.check(code == 2 and 'E1007' in err, 'an empty time', err)
    finally:
        place.remove()


def nothing_to_read(t):
    """Red when a glob that finds nothing is no refusal, or with on_missing=skip no quiet end that makes
    nothing; or when a later run is not served."""
    place = harness.Place('missing')
    try:
        os.mkdir(place.path('in'))
        for what in ('in/*.csv', 'in/no.csv', 'nowhere/x.csv'):
            code, _, err = copied(place, what, 'o.db#t')
            t.check(code == 2, '%s is refused' % what, err)
            code, _, err = copied(place, what, 'o.db#t', *options('on_missing=skip'))
            t.check(code == 0 and 'nothing to read' in err and not place.leftovers(), '%s is passed over' % what, err)
            code, _, err = copied(place, what, 'o.db#t', '--error-on-empty', *options('on_missing=skip'))
            t.check(code == 8, '%s: exit 8 where it is asked for' % what, err)
        put(place, 'in/a.csv')
        code, got, err = copied(place, 'in/no.csv', 'in/a.csv', 'o.db#t', *options('on_missing=skip'))
        t.check(code == 0 and got == ['in/a.csv'], 'one of two is there', err)
        put(place, 'job.yaml', 'version: 1\nstreams:\n'
                               '  - { name: none, from: { path: "in/x*.csv", on_missing: skip }, to: "sqlite:o.db#n" }\n'
                               '  - { name: some, from: { path: "in/*.csv" }, to: "sqlite:o.db#t" }\n')
        place.forget()
        os.unlink(place.path('o.db'))
        code, _, err = place.run('run', 'job.yaml')
        t.check(code == 0 and rows(place) == ['in/a.csv'], 'the others of a job go on', err)
    finally:
        place.remove()


def ready(t):
    """Red when a run begins before the file that says so is there, does not wait for it, waits longer
    than it was told, or ends with another exit than 5."""
    place = harness.Place('ready')
    try:
        put(place, 'in/a.csv')
        code, _, err = copied(place, 'in/', 'o.db#t', *options('ready_file=in/READY'))
        t.check(code == 5 and 'E4018' in err, 'not ready: exit 5', err)
        start = time.monotonic()
        code, _, err = copied(place, 'in/', 'o.db#t', *options('ready_file=in/READY', 'ready_wait=1s'))
        t.check(code == 5 and 0.9 < time.monotonic() - start < 10, 'waited a second', err)
        later = threading.Timer(0.7, put, (place, 'in/READY', ''))
        later.start()
        code, got, err = copied(place, 'in/', 'o.db#t', *options('ready_file=in/READY', 'ready_wait=30s'))
        later.join()
        t.check(code == 0 and got == ['in/a.csv'], 'it came', err)
        p = place.start('copy', 'in/', 'o.db#u', *options('ready_file=in/NEVER', 'ready_wait=60s'))
        time.sleep(0.5)
        p.terminate()
        code, _, err = harness.finish(p, 10)
        t.check(code == 143, 'a stop ends the waiting', '%s %s' % (code, err))
        code, _, err = copied(place, 'in/', 'o.db#t', *options('ready_wait=1s'))
        t.check(code == 2 and 'E1007' in err, 'waiting for nothing', err)
    finally:
        place.remove()


def sums(t):
    """Red when a file that does not fit its sum is read, one that fits is refused, a form of sums is not
    read, or rows moved before the last sum was compared."""
    place = harness.Place('sums')
    try:
        data = {n: open(put(place, n), 'rb').read() for n in ('in/a.csv', 'in/b.csv')}
        md5 = {n: hashlib.md5(d).hexdigest() for n, d in data.items()}
        sha = {n: hashlib.sha256(d).hexdigest() for n, d in data.items()}
        a, b = 'in/a.csv', 'in/b.csv'
        forms = [
            ('md5sum', {'in/MD5SUMS': '%s  a.csv\n%s *b.csv\n' % (md5[a], md5[b])}),
            ('bsd', {'in/MD5SUMS': 'MD5 (a.csv) = %s\nMD5 (./b.csv) = %s\n' % (md5[a], md5[b])}),
            ('bare and named', {'in/a.csv.md5': md5[a].upper(), 'in/b.csv.md5': md5[b] + '  b.csv\r\n'}),
            ('sha256', {'in/a.csv.sha256': sha[a] + '  a.csv\n', 'in/SHA256SUMS': sha[b] + '  b.csv\n'}),
        ]
        for what, files in forms:
            for name, text in files.items():
                put(place, name, text)
            for source in ('in/', 'in/*'):
                code, got, err = copied(place, source, 'o.db#t', *options('md5=require'))
                t.check(code == 0 and got == [a, b], '%s from %s' % (what, source), err)
            with open(place.path(b), 'ab') as f:   # one byte too many: 5 rows of a wait in vain
                f.write(b' ')
            code, got, err = copied(place, 'in/', 'o.db#t', *options('md5=check'))
            t.check(code == 1 and 'E4016' in err and not got, '%s: a file that does not fit' % what, '%s\n%s' % (got, err))
            with open(place.path(b), 'wb') as f:
                f.write(data[b])
            for name in files:
                os.unlink(place.path(name))
        code, _, err = copied(place, 'in/', 'o.db#t', *options('md5=require'))
        t.check(code == 1 and 'E4017' in err, 'no sum', err)
        code, got, err = copied(place, 'in/', 'o.db#t', *options('md5=check'))
        t.check(code == 0 and got == [a, b], 'no sum is no trouble where it is only compared', err)
        put(place, 'in/a.csv.md5', 'not a sum\n')
        code, _, err = copied(place, 'in/', 'o.db#t', *options('md5=check'))
        t.check(code == 1 and 'E4017' in err, 'a sum file that holds none', err)
    finally:
        place.remove()


def written_beside(t):
    """Red when a sum or list that we write is not that of the files, or files of the run before keep
    theirs, or on_missing=fail makes a folder."""
    place = harness.Place('beside')
    try:
        put(place, 'in.csv', 'a,b\n' + ''.join('%d,row %d\n' % (i, i) for i in range(1000)))
        for how, kind in (('md5', hashlib.md5), ('sha256', hashlib.sha256)):
            for extra in ([], ['--to', 'compression=gzip'], ['--to', 'part_rows=300', '--to', 'list={name}.list']):
                place.forget()
                code, _, err = place.run('copy', 'in.csv', 'out/', '--mode', 'overwrite', '--to', 'md5=' + how, *extra)
                found = sorted(os.listdir(place.path('out')))
                parts = [n for n in found if n.startswith('in') and '.csv' in n and not n.endswith('.' + how)]
                good = all(open(place.path('out', n + '.' + how)).read() ==
                           '%s  %s\n' % (kind(open(place.path('out', n), 'rb').read()).hexdigest(), n) for n in parts)
                t.check(code == 0 and good and len(parts) == (4 if len(extra) == 4 else 1), 'sums: %s %s' % (how, extra), '%s\n%s' % (found, err))
                if len(extra) == 4:
                    listed = open(place.path('out', 'in.list')).read().split()
                    t.check(listed == parts, 'the list', listed)
                    code, got, err = copied(place, 'file:', 'o.db#t', *options('list=out/in.list', 'md5=require'))
                    t.check(code == 0 and len(got) == 1000, 'read back by list and sums', err)
                    place.forget()
                    code, _, err = place.run('copy', 'in.csv', 'out/', '--mode', 'overwrite', '--to', 'md5=' + how,
                                             '--to', 'part_rows=600')
                    left = [n for n in os.listdir(place.path('out')) if n.startswith('in-')]
                    t.check(code == 0 and len(left) == 4, 'sums of files that went are gone', left)
                for n in os.listdir(place.path('out')):
                    os.unlink(place.path('out', n))
        place.forget()
        code, _, err = place.run('copy', 'in.csv', 'no/where/', '--to', 'on_missing=fail')
        t.check(code == 2 and not os.path.exists(place.path('no')), 'a folder that is not there', err)
        code, _, err = place.run('copy', 'in.csv', 'out/', '--to', 'on_missing=fail')
        t.check(code == 0, 'a folder that is there', err)
        put(place, 'evil.csv', '"a,b",c\n1,2\n')
        for words, good in (([], False), (['--to', 'header=false'], True), (['--to', 'escape=\\'], True)):
            for target in ('evil.tsv', '-'):
                place.forget()
                code, _, err = place.run('copy', 'evil.csv', target, '--mode', 'overwrite', '--to', 'quote=none', '--to', 'delimiter=comma', *words)
                t.check(code == 0 if good else code == 2 and 'E1007' in err, 'a name that needs quotes: %s %s' % (target, words), err)
        code, _, err = place.run('copy', 'in.csv', 'out/', '--to', 'list=x.txt')
        t.check(code == 2 and '{name}' in err, 'one list for all tables', err)
    finally:
        place.remove()


def provenance(t):
    """Red when `source: file` is another file than the row's, in ranges, packed files, lists, folders, several
    paths, at the rim of a batch, after a kill; or when a name that does not fit is cut."""
    place = harness.Place('origin')
    try:
        names = ['in/a.csv', 'in/b.csv.gz', 'in/sub/c.csv', 'x.csv']
        for i, n in enumerate(names):
            text = 'a,b\n' + ''.join('%d,%s\n' % (k, n) for k in range(20000 if i == 0 else 700))
            put(place, n, text)
            if n.endswith('.gz'):
                with open(place.path(n), 'wb') as f:
                    f.write(gzip.compress(text.encode()))
        put(place, 'in/l.txt', 'sub/c.csv\na.csv\n')
        files = 'streams:\n  - {from: {%s}, to: "sqlite:o.db#t", columns: ["*", {to: f, source: file%s}]}\n'
        cases = [('in/*.csv', ['in/a.csv']), ('in/**', names[:3]), ('./in/a.csv', ['in/a.csv'])]
        cases = [('path: "%s", include: ["*.csv*"]' % p, want) for p, want in cases]
        cases += [('path: ["x.csv", "in/*.csv"]', ['x.csv', 'in/a.csv']), ('type: file, list: in/l.txt', ['in/sub/c.csv', 'in/a.csv']),
                  ('path: "%s"' % place.path('in/sub/c.csv'), [place.path('in/sub/c.csv')])]
        for words, want in cases:
            for kill in (None, 'commit-after:2'):
                for n in ('o.db', 'o.db-wal', 'o.db-shm'):
                    if os.path.exists(place.path(n)):
                        os.unlink(place.path(n))
                place.forget()
                put(place, 'job.yaml', 'version: 1\n' + files % (words, ''))
                code, _, err = place.run('run', 'job.yaml', WH_TEST_KILL=kill, WH_TEST_UNIT_BYTES='20000')
                if code == -9:
                    code, _, err = place.run('resume')
                con = sqlite3.connect(place.path('o.db'))
                found = con.execute('select distinct f, b from t').fetchall() if code == 0 else []
                n = con.execute('select count(*) from t').fetchone()[0] if code == 0 else 0
                con.close()
                strip = len(place.dir) + 1 if words.startswith('path: "/') else 2 if './' in words else 0
                good = sorted(f[strip:] for f, _ in found) == sorted(b for _, b in found)
                rows_want = sum(20000 if w == 'in/a.csv' else 700 for w in want)
                t.check(good and sorted(b for _, b in found) == sorted(w[strip if w[0] == '/' else 0:] for w in want) and n == rows_want,
                        'files of rows: %s, killed %s' % (words, kill), '%s %d\n%s' % (found, n, err))
        place.forget()
        os.unlink(place.path('o.db'))
        con = sqlite3.connect(place.path('o.db'))
        con.execute('create table t(a int, b text, f integer)')
        con.close()
        put(place, 'job.yaml', 'version: 1\n' + files % ('path: x.csv', ''))
        code, _, err = place.run('run', 'job.yaml')
        t.check(code == 2 and ('E3003' in err or 'E3004' in err), 'a name that does not fit its column', '%s %s' % (code, err))
    finally:
        place.remove()


def codecs(t):
    """Red when a packed file is read or written as another text than its tool's, or a cut one ends well."""
    place = harness.Place('codecs')
    try:
        text = 'id,name\n' + ''.join('%d,name %d\n' % (i, i * 7) for i in range(20000))
        put(place, 'in.csv', text)
        for suffix, tool in (('bz2', 'bzip2'), ('lz4', 'lz4'), ('gz', 'gzip'), ('zst', 'zstd')):
            place.forget()
            code, _, err = place.run('copy', 'in.csv', 'x.csv.' + suffix, '--mode', 'overwrite')
            got = subprocess.run([tool, '-dc', place.path('x.csv.' + suffix)], stdout=subprocess.PIPE).stdout.decode()
            t.check(code == 0 and got == text, 'written: ' + suffix, err)
            with open(place.path('y.csv.' + suffix), 'wb') as f:
                f.write(subprocess.run([tool, '-c'], input=text.encode(), stdout=subprocess.PIPE).stdout)
            for name in ('x', 'y'):
                code, _, err = place.run('copy', '%s.csv.%s' % (name, suffix), 'z.csv', '--mode', 'overwrite')
                t.check(code == 0 and open(place.path('z.csv')).read() == text, 'read: %s by %s' % (suffix, name), err)
            whole = open(place.path('y.csv.' + suffix), 'rb').read()
            with open(place.path('y.csv.' + suffix), 'wb') as f:
                f.write(whole[:len(whole) - 3])
            place.forget()
            code, _, err = place.run('copy', 'y.csv.' + suffix, 'w.csv')
            t.check(code in (1, 2) and 'E4004' in err and not os.path.exists(place.path('w.csv')), 'cut: ' + suffix, err)
        with open(place.path('d.csv.deflate'), 'wb') as f:
            f.write(zlib.compress(text.encode()))
        code, _, err = place.run('copy', 'd.csv.deflate', 'z.csv', '--mode', 'overwrite')
        t.check(code == 0 and open(place.path('z.csv')).read() == text, 'read: deflate', err)
        code, _, err = place.run('copy', 'in.csv', 'd2.csv.deflate')
        t.check(code == 2 and 'E1014' in err, 'deflate is not written', err)
    finally:
        place.remove()


AFTER = {'delete': lambda n: None, 'rename': lambda n: n + '.done', 'move:done/x': lambda n: 'done/x/' + n[3:]}


def tree(place):
    found = {}
    for top in ('in', 'done'):
        for base, _, names in os.walk(place.path(top)):
            for n in names:
                path = os.path.join(base, n)
                found[os.path.relpath(path, place.dir)] = open(path, encoding='utf-8').read()
    return found


def many_files(place):
    names = ['in/a.csv', 'in/b.csv', 'in/sub/c.csv']
    for n in names:
        put(place, n, 'a,b\n' + ''.join('%d,%s\n' % (i, n) for i in range(50)))
    return names


def put_away(t):
    """Red when a file that was read is not put away, one that was not read (or changed) is, a file is
    overwritten by another one's new name, or files go before the run is closed."""
    place = harness.Place('away')
    try:
        for how, to in AFTER.items():
            names = many_files(place)
            before = tree(place)
            put(place, 'in/other.txt', 'stays')
            code, got, err = copied(place, 'in/**', 'o.db#t', *options('after_read=' + how, 'include=*.csv'))
            want = {to(n): before[n] for n in names if to(n)}
            want['in/other.txt'] = 'stays'
            t.check(code == 0 and len(got) == 150 and tree(place) == want, 'after_read=' + how, '%s\n%s' % (sorted(tree(place)), err))
            if how != 'delete':   # the same names again: the files there are not lost
                many_files(place)
                code, _, err = copied(place, 'in/**', 'o.db#t', *options('after_read=' + how, 'include=*.csv'))
                t.check(code == 0 and len(tree(place)) == 7, 'names that are taken: ' + how, '%s\n%s' % (sorted(tree(place)), err))
            for n in list(tree(place)):
                os.unlink(place.path(n))
        names = many_files(place)
        refusals = [(['--limit', '3'], 'limit'), (['--validate', 'count'], 'validate'), (['--from', 'after_read=burn'], 'burn')]
        for words, what in refusals:
            code, _, err = copied(place, 'in/**', 'o.db#t', '--from', 'after_read=delete', *words)
            t.check(code == 2 and sorted(tree(place)) == names, 'refused: ' + what, err)
        for target in ('null:', '-'):
            code, _, err = place.run('copy', 'in/**', target, '--from', 'after_read=delete')
            t.check(code == 2 and 'keeps no row' in err and sorted(tree(place)) == names, 'nobody keeps the rows: ' + target, err)
        put(place, 'in/b.csv', 'a,b\nx\n1,2,3\n')
        code, _, err = copied(place, 'in/**', 'o.db#t', *options('after_read=delete'))
        t.check(code != 0 and sorted(tree(place)) == names, 'a run that failed keeps them', err)
        put(place, 'in/b.csv', 'a,b\n1,2,3\n')
        code, got, err = copied(place, 'in/**', 'o.db#t', *options('after_read=delete'), '--dirty', 'rows=1')
        t.check(code == 0 and len(got) == 100 and sorted(tree(place)) == [n + '.done' for n in names] and 'not deleted' in err,
                'rows were refused: nothing is deleted', '%d %d %s\n%s' % (code, len(got), sorted(tree(place)), err))
        for n in list(tree(place)):
            os.unlink(place.path(n))
        filtered_and_selected(t, place)
        many_files(place)
        changed(t, place)
    finally:
        place.remove()


def odd_folders(t):
    """Red when a link that leads back into its own folder is followed for ever, a dangling one is an error,
    or rights and times of a file are not kept."""
    place = harness.Place('odd')
    try:
        put(place, 'in/sub/a.csv', 'a,b\n1,x\n')
        os.symlink('..', place.path('in/sub/up'))
        os.symlink('.', place.path('in/here'))
        os.symlink('nowhere', place.path('in/dangling.csv'))
        os.symlink('loop.csv', place.path('in/loop.csv'))
        code, got, err = copied(place, 'in/**', 'o.db#t')
        t.check(code == 0 and got == ['x'], 'links that go round', '%s %s' % (got, err))
        put(place, 'old/b', 'x')
        os.utime(place.path('old/b'), ns=(0, -86400 * 10 ** 9 - 500000000))
        os.chmod(place.path('old/b'), 0)
        code, _, err = place.run('copy', 'old/', 'new/', '--from', 'format=binary')
        s = os.stat(place.path('new/b')) if code == 0 else None
        t.check(s and s.st_mtime_ns == -86400 * 10 ** 9 - 500000000 and s.st_mode & 0o7777 == 0, 'before 1970, for nobody', '%s %s' % (s, err))
    finally:
        place.remove()


def filtered_and_selected(t, place):
    """Red when rows that the destination has no room for go with their file, or a part of a job takes files away that
    the rest of it reads."""
    put(place, 'in/k.csv', 'a,b\n1,x\n2,y\n')
    db = sqlite3.connect(place.path('k.db'))
    db.executescript("create table t(a integer primary key, b text); insert into t values (1, 'other')")
    db.close()
    for mode, left in (('insert-ignore', ['in/k.csv.done']), ('upsert', ['in/k.csv.done'])):
        code, _, err = place.run('copy', 'in/k.csv', 'k.db#t', '--mode', mode, '--types', 'a=int64', *options('after_read=delete'))
        t.check(code == 0 and sorted(tree(place)) == left and ('not deleted' in err) == (mode != 'upsert'),
                'rows that were filtered: ' + mode, '%d %s\n%s' % (code, sorted(tree(place)), err))
        put(place, 'in/k.csv', 'a,b\n1,x\n2,y\n')
    streams = ['{ name: first, from: { path: in/k.csv, after_read: %s }, to: k.db }', '{ name: second, from: "in/*.csv", to: two.db }',
               '{ name: third, from: { path: k2.csv, after_read: delete }, to: three.db }']
    put(place, 'k2.csv', 'a\n1\n')
    for how in ('delete', 'rename'):
        put(place, 'j.yaml', 'version: 1\nstreams:\n' + ''.join('  - %s\n' % s.replace('%s', how) for s in streams))
        code, _, err = place.run('run', 'j.yaml', '--select', 'first')
        t.check(code == 2 and "'second'" in err and 'in/k.csv' in tree(place), 'a part that takes away: ' + how, '%d %s' % (code, err))
    code, _, err = place.run('run', 'j.yaml', '--select', 'third')
    t.check(code == 0 and not os.path.exists(place.path('k2.csv')), 'its own files', '%d %s' % (code, err))
    for n in list(tree(place)) + ['j.yaml', 'k.db']:
        os.unlink(place.path(n))


def changed(t, place):
    """A file that grows between reading and the end is left where it is."""
    place.forget()
    os.unlink(place.path('o.db'))
    p = place.start('copy', 'in/**', 'o.db#t', *options('after_read=delete'), WH_TEST_STOP='closing-recorded:1')
    if t.check(harness.wait_stopped(p, 20), 'stopped while it closes'):
        with open(place.path('in/b.csv'), 'a', encoding='ascii') as f:
            f.write('51,late\n')
        p.send_signal(18)
    code, _, err = harness.finish(p, 30)
    t.check(code == 0 and list(tree(place)) == ['in/b.csv'] and 'left there' in err, 'a file that grew stays', '%s\n%s' % (sorted(tree(place)), err))


def put_away_killed(t):
    """Red when a kill at any point of a run with after_read loses a row or a file: before the run is
    closing every file is there; after the resume each was put away once, and all rows are in."""
    place = harness.Place('away-killed')
    points = ['commit-before', 'commit-after', 'record-after', 'finish-step-before', 'closing-before', 'closing-recorded',
              'retire-before', 'retire-after', 'closed-recorded', 'targets-released', 'run-ended']
    try:
        for target, how in (('o.db#t', 'move:done/x'), ('out.csv', 'delete'), ('o.db#t', 'rename')):
            for point in points:
                killed_at(t, place, target, how, point)
    finally:
        place.remove()


def killed_at(t, place, target, how, point):
    place.forget()
    for n in list(tree(place)) + [target.split('#')[0]]:
        if os.path.exists(place.path(n)):
            os.unlink(place.path(n))
    names = many_files(place)
    before = tree(place)
    what = '%s to %s, killed at %s' % (how, target, point)
    code, _, err = place.run('copy', 'in/**', target, *options('after_read=' + how), WH_TEST_KILL=point + ':1')
    if code == 0 and point.startswith('finish-step'):
        return   # this destination has no such step
    t.kills['close'] += 1
    if not t.check(code == -9, what + ': was killed', '%s %s' % (code, err)):
        return
    if point in points_before():
        t.check(tree(place) == before, what + ': no file went before the end', sorted(tree(place)))
    code, _, err = place.run('resume')
    ended = point in ('closed-recorded', 'targets-released', 'run-ended')
    t.check(code == 0 or (ended and 'E7007' in err), what + ': resumed', err)
    to = AFTER[how]
    t.check(tree(place) == {to(n): before[n] for n in names if to(n)}, what + ': each file once', sorted(tree(place)))
    if target.endswith('.csv'):
        n = len(open(place.path(target)).read().splitlines()) - 1
    else:
        n = len(rows(place))
    t.check(n == 150, what + ': all rows once', n)


def points_before():
    return ('commit-before', 'commit-after', 'record-after', 'finish-step-before', 'closing-before', 'closing-recorded', 'retire-before')
