# SPDX-License-Identifier: Apache-2.0
"""Members of archives as files of the source. Python's tarfile and zipfile are the other side."""
import bz2
import gzip
import hashlib
import io
import os
import sqlite3
import subprocess
import tarfile
import zipfile
import zlib

import harness
from files_packed import got, put


def rows(first, n):
    return ('id,name\n' + ''.join('%d,name %d\n' % (i, i * 7) for i in range(first, first + n))).encode()


def tarred(members, form=tarfile.PAX_FORMAT):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode='w', format=form) as z:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            z.addfile(info, io.BytesIO(data))
    return b.getvalue()


def zipped(members, method=zipfile.ZIP_DEFLATED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w', method) as z:
        for name, data in members:
            z.writestr(name, data)
    return b.getvalue()


def zst(data):
    return subprocess.run(['zstd', '-q', '-c'], input=data, stdout=subprocess.PIPE, check=True).stdout


# Each archive in each way it is packed.
KINDS = [('x.tar', tarred), ('x.tar.gz', lambda m: gzip.compress(tarred(m))), ('x.tgz', lambda m: gzip.compress(tarred(m, tarfile.GNU_FORMAT))),
         ('x.tar.bz2', lambda m: bz2.compress(tarred(m))), ('x.tar.zst', lambda m: zst(tarred(m))), ('x.tar.deflate', lambda m: zlib.compress(tarred(m))), ('x.zip', zipped),
         ('stored.zip', lambda m: zipped(m, zipfile.ZIP_STORED))]
JOB = 'version: 1\nstreams:\n  - {from: {%s}, to: "sqlite:o.db#t", columns: ["*", {to: f, source: file}, {to: l, source: line}, {to: o, source: offset}]}\n'
FILE = JOB.replace(', {to: o, source: offset}', '')


def clear(place):
    for n in ('o.db', 'o.db-wal', 'o.db-shm'):
        if os.path.exists(place.path(n)):
            os.unlink(place.path(n))
    place.forget()


def held(place, what='id, name, f, l, o', order='id'):
    con = sqlite3.connect(place.path('o.db'))
    try:
        return con.execute('select %s from t order by %s' % (what, order)).fetchall()
    finally:
        con.close()


def expected(archive, members):
    out = []
    for name, data in members:
        at = data.index(b'\n') + 1
        for n, line in enumerate(data[at:].splitlines(True)):
            a, b = line.decode().strip().split(',')
            out.append((int(a), b, archive + '/' + name, n + 2, at))
            at += len(line)
    return out


def read(t):
    """Red when a member's rows are lost, doubled or told to be of another file, line or byte, in whatever archive
    and whatever number of lanes, in units, or after a kill; or when an archive that was changed is read on."""
    place = harness.Place('archives')
    try:
        members = [('a.csv', rows(0, 900)), ('sub/b.csv', rows(900, 20000)), ('sub/deep/c.csv', rows(20900, 3)), ('d.csv', rows(20903, 5000))]
        for n, (name, make) in enumerate(KINDS):
            put(place, name, make(members + [('README.md', b'no table')]))
            put(place, 'job.yaml', JOB % ('path: ' + name))
            want = expected(name, members)
            for lanes, kill in (('1', None), ('3', None), ('2', 'commit-after:2'), ('1', 'commit-before:3')):
                clear(place)
                code, _, err = place.run('run', 'job.yaml', '-j', lanes, WH_TEST_KILL=kill, WH_TEST_UNIT_BYTES='60000', WH_TEST_PACK_BYTES='1')
                if kill:
                    t.check(code == -9, '%s: killed at %s' % (name, kill), '%s %s' % (code, err))
                    t.kills['commit'] += 1
                    if n == 1 and lanes == '2':
                        changed(t, place, name)
                    code, _, err = place.run('resume')
                t.check(code == 0 and held(place) == want, '%s, %s lanes, %s' % (name, lanes, kill), err)
    finally:
        place.remove()


def changed(t, place, name):
    """The archive is another one for a while: nothing of it is read."""
    times, data = os.stat(place.path(name)), got(place, name)
    before = held(place)
    os.rename(place.path(name), place.path('kept'))
    put(place, name, data)
    code, _, err = place.run('resume')
    t.check(code != 0 and 'E4007' in err and held(place) == before, 'a changed archive is not read on', err)
    os.rename(place.path('kept'), place.path(name))
    os.utime(place.path(name), ns=(times.st_atime_ns, times.st_mtime_ns))


def names(t):
    """Red when a member's name is understood otherwise than Python's, hides or matches otherwise than a file's,
    reaches a terminal raw, leads anywhere; or when the last one of a name does not count."""
    place = harness.Place('archive-names')
    try:
        long = '/'.join('n' * 90 for _ in range(4)) + '/long.csv'
        some = [('./dot.csv', rows(0, 1)), (long, rows(1, 1)), ('../../up.csv', rows(2, 1)), ('/abs.csv', rows(3, 1)),
                ('esc\x1b[31m.csv', rows(4, 1)), ('\u00e9.csv', rows(5, 1)), ('twice.csv', rows(6, 1)), ('.hidden.csv', rows(7, 1)),
                ('__MACOSX/._a.csv', rows(8, 1)), ('inner.csv.gz', gzip.compress(rows(9, 1))), ('twice.csv', rows(10, 1))]
        want = ['dot.csv', long, '../../up.csv', 'abs.csv', 'esc\\x1b[31m.csv', '\u00e9.csv', 'inner.csv.gz', 'twice.csv']
        kinds = [('pax.tar', tarred(some)), ('gnu.tar', tarred(some, tarfile.GNU_FORMAT)), ('gnu.tar.gz', gzip.compress(tarred(some, tarfile.GNU_FORMAT)))]
        import warnings
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')
            kinds.append(('z.zip', zipped(some)))
        for name, data in kinds:
            put(place, name, data)
            put(place, 'job.yaml', FILE % ('path: ' + name))
            clear(place)
            code, _, err = place.run('run', 'job.yaml')
            found = [f for f, in held(place, 'f')] if code == 0 else []
            t.check(found == [name + '/' + w for w in want], 'names in ' + name, '%s %s' % (found, err))
            t.check('\x1b[31m' not in err and '1 files named again are read once' in err, 'said of ' + name, err)
            for extra, ids in (('members: ["*.csv"]', [0, 1, 2, 3, 4, 5, 10]), ('members: [twice.csv, .hidden.csv]', [7, 10]), ('hidden: true', [0, 1, 2, 3, 4, 5, 7, 8, 9, 10]),
                               ('members: [twice.csv], duplicates: keep', [6, 10])):
                clear(place)
                put(place, 'job.yaml', FILE % ('path: %s, %s' % (name, extra)))
                code, _, err = place.run('run', 'job.yaml')
                t.check(code == 0 and [i for i, in held(place, 'id')] == ids, '%s: %s' % (name, extra), err)
        raw = tarred([('a?.csv', rows(0, 1)), ('b.csv', rows(1, 1))], tarfile.USTAR_FORMAT)
        at = raw.index(b'a?.csv')
        head = bytearray(raw[at:at + 512])
        head[1] = 0xff
        head[148:156] = b' ' * 8
        head[148:156] = b'%06o\0 ' % sum(head)
        put(place, 'raw.tar', bytes(head) + raw[512:])
        clear(place)
        put(place, 'job.yaml', JOB % 'path: raw.tar')
        code, _, err = place.run('run', 'job.yaml')
        t.check(code == 0 and held(place, 'f')[0][0] == 'raw.tar/a\\xff.csv', 'a name that is not UTF-8', err)
    finally:
        place.remove()


def options(t):
    """Red when an archive's sum is not compared, when it is put away with rows of it unread, when many archives,
    formats, or a member of many times its size are not read as files of a folder are."""
    place = harness.Place('archive-options')
    try:
        data = zipped([('a.csv', rows(0, 5)), ('b.csv', rows(5, 5))])
        put(place, 'in/x.zip', data)
        put(place, 'in/y.tar.gz', gzip.compress(tarred([('c.csv', rows(10, 5))])))
        put(place, 'in/z.csv', rows(15, 5))
        put(place, 'in/x.zip.md5', hashlib.md5(data).hexdigest() + '\n')
        code, _, err = place.run('copy', 'in/*', 'sqlite:o.db#t', '--from', 'md5=check', '--from', 'after_read=rename', '-j', '3')
        t.check(code == 0 and [i for i, in held(place, 'id')] == list(range(20)), 'archives and files together', err)
        t.check(sorted(os.listdir(place.path('in'))) == ['x.zip.done', 'x.zip.md5', 'y.tar.gz.done', 'z.csv.done'], 'put away once', os.listdir(place.path('in')))
        put(place, 'in/x.zip', data + b'')
        put(place, 'in/x.zip.md5', '0' * 32 + '\n')
        clear(place)
        code, _, err = place.run('copy', 'in/x.zip', 'sqlite:o.db#t', '--from', 'md5=check')
        t.check(code != 0 and 'E4016' in err, 'the sum of an archive', err)
        put(place, 'j.tgz', gzip.compress(tarred([('e/1.jsonl', b'{"id": 1}\n'), ('e/2.jsonl', b'{"id": 2}\n{"id": 3}\n'), ('f.csv', b'id\n9\n')])))
        clear(place)
        code, _, err = place.run('copy', 'j.tgz', 'sqlite:o.db#t', '--from', 'members=e/*')
        t.check(code == 0 and [i for i, in held(place, 'id')] == [1, 2, 3], 'JSON lines of an archive', err)
        code, _, err = place.run('copy', 'j.tgz', 'o2.csv')
        t.check(code == 2 and 'E1024' in err, 'two formats in one archive', err)
        put(place, 'plain', tarred([('a.csv', rows(0, 3))]))
        clear(place)
        code, _, err = place.run('copy', 'plain', 'sqlite:o.db#t', '--from', 'compression=tar')
        t.check(code == 0 and len(held(place, 'id')) == 3, 'told to be a tar', err)
        big = b'id,name\n' + b'7,%s\n' % (b'x' * 89) * 400000
        for name, bomb in (('bomb.zip', zipped([('a.csv', big)])), ('bomb.tgz', gzip.compress(tarred([('a.csv', big)])))):
            put(place, name, bomb)
            limit = [] if harness.sanitized() else ['--memory', '64MB']
            code, _, err = place.run('copy', name, 'null:', *limit)
            peak = float(err.split('peak ')[1].split()[0]) if 'peak ' in err else 0
            t.check(code == 0 and '400,000 read' in err and (harness.sanitized() or 0 < peak < 64), 'memory of %s, %d bytes' % (name, len(bomb)), err)
    finally:
        place.remove()


def links(t):
    """Red when a hard link, whose rows a folder would have, is passed over without a refusal, a symbolic one or a
    FIFO without a count; or when 65,535 members are taken for a zip with a long end."""
    place = harness.Place('archive-links')
    try:
        b = io.BytesIO()
        with tarfile.open(fileobj=b, mode='w') as z:
            for name, kind in (('a.csv', tarfile.REGTYPE), ('sym.csv', tarfile.SYMTYPE), ('fifo.csv', tarfile.FIFOTYPE), ('dir.csv', tarfile.DIRTYPE), ('hard.csv', tarfile.LNKTYPE)):
                info = tarfile.TarInfo(name)
                info.type, info.linkname, info.size = kind, 'a.csv' * (kind in (tarfile.SYMTYPE, tarfile.LNKTYPE)), 8 * (kind == tarfile.REGTYPE)
                z.addfile(info, io.BytesIO(b'id\n1\n22\n'))
        for name, data in (('l.tar', b.getvalue()), ('l.tgz', gzip.compress(b.getvalue()))):
            put(place, name, data)
            code, _, err = place.run('copy', name, 'sqlite:o.db#t')
            t.check(code == 2 and 'E1014' in err and "'hard.csv'" in err and 'hard link' in err and not os.path.exists(place.path('o.db')), 'a hard link in ' + name, err)
            code, _, err = place.run('copy', name, 'sqlite:o.db#t', '--from', 'members=[asf]*')
            t.check(code == 0 and [i for i, in held(place, 'id')] == [1, 22] and '2 links and devices in archives left out' in err, 'links in ' + name, err)
            clear(place)
        put(place, 'many.zip', zipped([('n%d.csv' % i if i < 3 else 'n%d' % i, b'id\n%d\n' % i) for i in range(65535)], zipfile.ZIP_STORED))
        code, _, err = place.run('copy', 'many.zip', 'sqlite:o.db#t')
        t.check(code == 0 and [i for i, in held(place, 'id')] == [0, 1, 2], '65,535 members', err)
    finally:
        place.remove()


def broken(t):
    """Red when a cut or flipped archive is read with fewer or other rows than it had, ends well and says nothing."""
    place = harness.Place('archive-broken')
    rng = harness.rng_for('archives')[0]
    try:
        members = [('a.csv', rows(0, 400)), ('b.csv', rows(400, 400))]
        want = [(i, 'name %d' % (i * 7)) for i in range(800)]
        for name, make in KINDS:
            whole = make(members)
            tries = [('cut at %d' % at, whole[:at]) for at in sorted(rng.sample(range(len(whole) - (10240 if name == 'x.tar' else 1)), 3))]
            for at in sorted(rng.sample(range(len(whole)), 4)) if name != 'x.tar' else []:
                tries.append(('bit at %d' % at, whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1:]))
            for what, data in tries:
                put(place, name, data)
                clear(place)
                code, _, err = place.run('copy', name, 'sqlite:o.db#t', WH_TEST_UNIT_BYTES='5000')
                same = code == 0 and held(place, 'id, name') == want
                # Names and kinds in a zip's directory have no checksum: what is left out for them is said.
                same |= name.endswith('.zip') and code == 0 and 'left out' in err and set(held(place, 'id, name')) < set(want)
                t.check(same and 'bit' in what or (code in (1, 2, 6, 7) and 'E' in err), '%s, %s' % (name, what), '%s %s' % (code, err))
    finally:
        place.remove()


ALL = [read, names, options, links, broken]
for job in ALL:
    job.__name__ = 'archives_' + job.__name__
