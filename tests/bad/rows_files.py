# SPDX-License-Identifier: Apache-2.0
"""Files that are not there, not what they seem, cut off, damaged, or not text."""
import gzip
import io
import os
import shutil
import subprocess
import tarfile
import zipfile

from table import bad

ROWS = 'id,name\n' + ''.join('%d,n%d\n' % (i, i) for i in range(1, 5001))
GZ = gzip.compress(ROWS.encode(), mtime=0)
ZST = subprocess.run(['zstd', '-q', '-c'], input=ROWS.encode(), stdout=subprocess.PIPE, check=False).stdout \
    if shutil.which('zstd') else b''
DB = ('out.db',)


def zipped(*names, flags=0, method=zipfile.ZIP_DEFLATED):
    b = io.BytesIO()
    with zipfile.ZipFile(b, 'w', method) as z:
        for name in names:
            z.writestr(name, ROWS)
    data = bytearray(b.getvalue())
    data[6] |= flags if names else 0
    return bytes(data)


def encrypted(data):
    """By what its directory says of the first member."""
    return flipped(data, data.index(b'PK\1\2') + 8)


def overlapped(data):
    """The second member of the directory begins where the first one does."""
    at = data.index(b'PK\1\2', data.index(b'PK\1\2') + 4)
    return data[:at + 42] + b'\0\0\0\0' + data[at + 46:]


def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def tarred(*names, kind=b'0', end=True):
    b = io.BytesIO()
    with tarfile.open(fileobj=b, mode='w', format=tarfile.USTAR_FORMAT) as z:
        for name in names:
            info = tarfile.TarInfo(name)
            info.type = kind
            info.size = 0 if kind == b'2' else len(ROWS)
            z.addfile(info, io.BytesIO(ROWS.encode()))
        size = z.offset
    return b.getvalue() if end else b.getvalue()[:size]



def fifo(name):
    return lambda w: os.mkfifo(w.path(name))


def link(to, name):
    return lambda w: os.symlink(to, w.path(name))


def put(name, text):
    def write(w):
        with open(w.path(name), 'wb') as f:
            f.write(text if isinstance(text, bytes) else text.encode())
    return write


# ---- not there, or not a file ----
bad('file missing', 'copy a.csv out.db', 2, 'E4001', "'a.csv'", 'No such file', mend=put('a.csv', ROWS), whole={'out.db#a': 5000})
bad('file missing, a near one is there', 'copy planes.csv out.db', 2, 'E4001', "'planes.csv'", "did you mean 'plane.csv'?",
    files={'plane.csv': 'a\n1\n'})
bad('file missing, JSON', 'copy a.jsonl out.db', 2, 'E4001', "'a.jsonl'")
bad('database missing', "copy 'a.db#t' out.csv", 2, 'E2012', 'a.db')
bad('one file of two missing', 'copy a.csv b.csv out.db#t', 2, 'E4001', "'b.csv'", files={'a.csv': ROWS})
bad('folder missing', "copy in/ out.db#t", 2, None, 'in')
bad('folder of the destination missing', 'copy a.csv nowhere/out.csv', 0, None, files={'a.csv': ROWS}, left=('nowhere',), shows={'nowhere/out.csv': 5000})
bad('folder of the database missing', 'copy a.csv nowhere/out.db', 2, 'E2012', 'nowhere', files={'a.csv': ROWS})
bad('folder empty', 'copy in/ out.db#t', 2, 'E1028', 'in', files={'in/': ''})
bad('a folder for a file', 'copy a.csv out.db', 2, 'E1028', 'a.csv', files={'a.csv/': ''})
bad('a folder for a database', 'copy a.csv out.db', 2, 'E2014', 'out.db is not a file', files={'a.csv': ROWS, 'out.db/': ''})
bad('a folder for a source database', "copy 'a.db#t' out.csv", 2, 'E2014', 'a.db is not a file', files={'a.db/': ''})
bad('a folder for a destination file', 'copy a.csv b.csv --mode overwrite', 0, None, files={'a.csv': ROWS, 'b.csv/x': 'keep'},
    left=('b.csv/a.csv',), shows={'b.csv/x': 4, 'b.csv/a.csv': 5000})
bad('a file for a folder', 'copy a.csv/b.csv out.db', 2, 'E2012', 'a.csv/', 'Not a directory', files={'a.csv': ROWS})
bad('a pipe without a writer', 'copy a.csv out.db', 2, 'E2014', 'a.csv', 'no regular file', make=fifo('a.csv'), seconds=15)
bad('a device', 'copy /dev/zero out.db --from format=csv', 2, 'E2014', 'zero', 'no regular file', seconds=15)
bad('a link that leads nowhere', 'copy a.csv out.db', 2, 'E4001', 'a.csv', make=link('nowhere', 'a.csv'))
bad('a link to itself', 'copy a.csv out.db', 2, 'E2012', 'a.csv', 'symbolic links', make=link('a.csv', 'a.csv'))
bad('a text file for a database', "copy 'a.db#t' out.csv", 2, 'E2014', 'a.db', files={'a.db': 'id\n1\n'})
bad('a text file for a destination database', "copy a.csv out.db", 2, 'E2014', 'out.db', files={'a.csv': ROWS, 'out.db': ROWS}, shows={'out.db': len(ROWS)})

# ---- rights ----
def locked(name, mode=0):
    return lambda w: os.chmod(w.path(name), mode)


bad('file may not be read', 'copy a.csv out.db', 9, 'E2013', 'a.csv', 'Permission denied', files={'a.csv': ROWS}, make=locked('a.csv'), no_root=True, open=False,
    mend=locked('a.csv', 0o600), whole={'out.db#a': 5000})
bad('database may not be read', "copy 'a.db#t' out.csv", 9, 'E2013', 'a.db', files={'a.db': ''}, make=locked('a.db'), no_root=True, open=False)
bad('folder may not be read', "copy in/ out.db#t", 9, 'E2013', 'in', 'Permission denied', files={'in/a.csv': ROWS}, make=locked('in'), no_root=True, open=False)
bad('folder may not be written', 'copy a.csv out/b.csv', 9, 'E2013', 'out', files={'a.csv': ROWS, 'out/': ''}, make=locked('out', 0o500), no_root=True, open=False,
    mend=locked('out', 0o700), whole={'out/b.csv': 5000})
bad('folder of the database may not be written', 'copy a.csv out/b.db#t', 9, 'E2013', 'out', files={'a.csv': ROWS, 'out/': ''},
    make=locked('out', 0o500), no_root=True, open=False, mend=locked('out', 0o700), whole={'out/b.db#t': 5000})
bad('database may not be written', 'copy a.csv out.db', 9, 'E5014', 'out.db', files={'a.csv': ROWS, 'out.db': ''}, make=locked('out.db', 0o400), no_root=True, open=False)

# ---- empty ----
bad('file of no bytes', 'copy a.csv out.db', 2, 'E3007', 'a', files={'a.csv': ''})
bad('file of no bytes, JSON lines', 'copy a.jsonl out.db', 2, 'E3007', 'a', files={'a.jsonl': ''})
bad('file of no bytes, JSON array', 'copy a.json out.db', 2, 'E3007', 'a', files={'a.json': ''})
bad('file of no bytes, gzip', 'copy a.csv.gz out.db', 2, 'E3007', 'a', files={'a.csv.gz': gzip.compress(b'')})
bad('file of a BOM only', 'copy a.csv out.db', 2, 'E3007', 'a', files={'a.csv': b'\xef\xbb\xbf'})
bad('header only', 'copy a.csv out.db', 0, None, '0 read', files={'a.csv': 'id,name\n'}, left=DB, shows={'out.db#a': 0})
bad('header only, --error-on-empty', 'copy a.csv out.db --error-on-empty', 8, 'E6017', 'a', files={'a.csv': 'id,name\n'}, left=DB, shows={'out.db#a': 0})
bad('header only, overwrite', 'copy a.csv b.csv --mode overwrite', 1, 'E5009', 'empty=allow', files={'a.csv': 'id,name\n', 'b.csv': 'id,name\n1,x\n'},
    shows={'b.csv': 1})
bad('an array of nothing', 'copy a.json out.db', 2, 'E3007', 'a', files={'a.json': '[]'})

# ---- rows ----
bad('a row too short', 'copy a.csv out.db', 6, 'E6011', 'a.csv line 3', '1 fields where 2', '--dirty rows=', files={'a.csv': 'id,name\n1,x\n2\n3,z\n'},
    left=DB, shows={'out.db#a': 0}, way='resume --dirty rows=1', whole={'out.db#a': 2})
bad('a row too long', 'copy a.csv out.db', 6, 'E6011', 'a.csv line 3', '3 fields where 2', files={'a.csv': 'id,name\n1,x\n2,y,z\n3,z\n'}, left=DB,
    shows={'out.db#a': 0}, way='resume --dirty rows=1', whole={'out.db#a': 2})
bad('a quote that never ends', 'copy a.csv out.db --from header=yes --types id=int64,name=text', 6, 'E6022', 'a.csv line 3', 'never ends', files={'a.csv': 'id,name\n1,x\n2,"y\n3,z\n'}, left=DB,
    shows={'out.db#a': 0})
bad('a column name twice', 'copy a.csv out.db', 0, None, "second column 'id' is named 'id_2'", files={'a.csv': 'id,id\n1,2\n'}, left=DB, shows={'out.db#a': 1})
bad('text where a number is', 'copy a.csv out.db --types id=int64', 6, 'E6006', 'a.csv line 3', "'id'", files={'a.csv': 'id,name\n1,x\ny,y\n'}, left=DB,
    shows={'out.db#a': 0}, way='resume --dirty rows=1', whole={'out.db#a': 1})
bad('a number too large', 'copy a.csv out.db --types id=int32', 6, None, 'a.csv line 3', files={'a.csv': 'id,name\n1,x\n3000000000,y\n'}, left=DB, shows={'out.db#a': 0})
bad('a date that is none', 'copy a.csv out.db --types d=date', 6, 'E6006', 'a.csv line 3', '2023-02-30', files={'a.csv': 'd\n2023-02-28\n2023-02-30\n'}, left=DB, shows={'out.db#a': 0})
bad('bytes that are no UTF-8', 'copy a.csv out.db', 2, 'E4006', 'a.csv', 'encoding=', files={'a.csv': 'id,name\n1,名字\n'.encode('gb18030')})
bad('bytes that are no UTF-8, late', 'copy a.csv out.db', 6, None, 'a.csv line', files={'a.csv': b'id,name\n' + b'1,abcdefgh\n' * 400000 + b'2,\xff\xfe\n'},
    left=DB, open=True)
bad('bytes that are no UTF-8, JSON', 'copy a.jsonl out.db', 2, 'E4006', 'a.jsonl: line 2', 'encoding=', files={'a.jsonl': b'{"a":"x"}\n{"a":"\xff"}\n'})
bad('a NUL byte', 'copy a.csv out.db', 0, None, files={'a.csv': b'id,name\n1,x\n2,y\0z\n'}, left=DB, shows={'out.db#a': 2})
bad('a file of NUL bytes', 'copy a.csv out.db', 2, 'E3013', 'no name', files={'a.csv': b'\0' * 100000})
bad('random bytes', 'copy a.csv out.db', 2, 'E4006', 'a.csv', files={'a.csv': bytes((i * i * 7 + (i >> 3)) & 255 for i in range(100000))})
bad('UTF-16 without its mark', 'copy a.csv out.db', 2, 'E3013', 'no name', files={'a.csv': 'id,name\n1,x\n'.encode('utf-16-le')})
bad('an encoding that is none', 'copy a.csv out.db --from encoding=klingon', 2, 'E1002', 'klingon', 'iconv -l', files={'a.csv': ROWS})
bad('JSON that is cut off', 'copy a.jsonl out.db', 6, None, 'a.jsonl line 2', files={'a.jsonl': '{"a":1}\n{"a":'}, left=DB, shows={'out.db#a': 0})
bad('a JSON array that is cut off', 'copy a.json out.db', 1, 'E4012', 'a.json', files={'a.json': '[{"a":1},{"a":2}'}, left=DB, shows={'out.db#a': 0})
bad('JSON of another kind', 'copy a.json out.db', 2, 'E4012', 'a.json', "begins with '4'", files={'a.json': '42'})
bad('HTML for CSV', 'copy a.csv out.db', 6, None, 'a.csv', files={'a.csv': '<html>\n<body class="a,b">\n404, not found\n</body>\n'}, left=DB, open=True)
bad('deep JSON', 'copy a.jsonl out.db', 2, 'E3007', 'no object', files={'a.jsonl': '{"a":' * 100000 + '1' + '}' * 100000 + '\n'})
bad('100,000 columns', 'copy a.csv out.db', 2, 'E3014', '100000', files={'a.csv': ','.join('c%d' % i for i in range(100000)) + '\n'})

# ---- compressed ----
for kind, data in (('gzip', GZ), ('zstd', ZST)):
    f = 'a.csv.' + ('gz' if kind == 'gzip' else 'zst')
    needs = ('zstd',) if kind == 'zstd' else ()
    bad(kind + ' cut off', 'copy %s out.db' % f, 2, 'E4004', f, 'ends too early', files={f: data[:-20]}, needs=needs, mend=put(f, data), whole={'out.db#a': 5000})
    bad(kind + ' cut off at its beginning', 'copy %s out.db' % f, 2, 'E4004', f, files={f: data[:5]}, needs=needs)
    bad(kind + ' damaged', 'copy %s out.db' % f, 2, 'E4005', f, files={f: data[:-200] + bytes(255 - b for b in data[-200:-190]) + data[-190:]}, needs=needs)
    bad(kind + ' with rubbish behind it', 'copy %s out.db' % f, 2, 'E4005', f, 'something else follows', files={f: data + b'rubbish' * 10}, needs=needs)
    bad(kind + ' of two members', 'copy %s out.db' % f, 0, None, files={f: (gzip.compress(ROWS[:20000].encode()) + gzip.compress(ROWS[20000:].encode())) if kind == 'gzip'
        else (data + subprocess.run(['zstd', '-q', '-c'], input=b'5001,x\n5002,y\n', stdout=subprocess.PIPE, check=False).stdout if data else b'')}, left=DB,
        shows={'out.db#a': 5000 if kind == 'gzip' else 5002}, needs=needs)
    bad(kind + ' that is none', 'copy %s out.db' % f, 2, 'E4011', f, files={f: ROWS}, needs=needs)
for what, code, word, data in (('of no file', 'E1028', 'no file', zipped()),
                               ('encrypted', 'E1014', 'is encrypted', zipped('a.csv', flags=1)),
                               ('cut off', 'E4004', 'a.csv.zip', zipped('a.csv')[:-40]), ('cut before its directory', 'E4004', 'a.csv.zip', zipped('a.csv')[:9000])):
    bad('zip ' + what, 'copy a.csv.zip out.db', 2, code, 'a.csv.zip' if code == 'E4004' else 'archive', word, files={'a.csv.zip': data})
bad('zip of one file', 'copy a.csv.zip out.db', 0, None, files={'a.csv.zip': zipped('a.csv')}, left=DB, shows={'out.db#a': 5000})
bad('a zip to write', 'copy a.csv out.csv.zip', 2, 'E1014', 'zip can be read, not written', files={'a.csv': ROWS})
for what, status, code, words, data in (
        ('of no tar', 2, 'E4011', ('no tar archive',), ROWS.encode()), ('of no byte', 2, 'E4004', ('end mark',), b''), ('cut in a member', 2, 'E4004', ('at byte 9000',), tarred('a.csv', 'b.csv')[:9000]),
        ('cut before its end', 2, 'E4004', ('end mark',), tarred('a.csv', end=False)), ('of no table', 2, 'E1028', ('1 files', 'format=csv'), tarred('README')),
        ('with a header changed', 2, 'E4005', ('checksum of a header', 'near byte'), flipped(tarred('a.csv', 'b.csv'), tarred('a.csv', 'b.csv').index(b'b.csv'))),
        ('with a sparse file', 2, 'E1014', ("'a.csv'", 'sparse', 'members='), tarred('a.csv', kind=b'S')),
        ('of another kind', 2, 'E1014', ('kind that is not known',), tarred('a.csv', kind=b'Q')), ('of volumes', 2, 'E1014', ('volumes',), tarred('a.csv', kind=b'M'))):
    bad('tar ' + what, 'copy a.tar out.db', status, code, 'a.tar', *words, files={'a.tar': data})
    bad('tar.gz ' + what, 'copy a.tar.gz out.db', status, code, 'a.tar.gz', *words, files={'a.tar.gz': gzip.compress(data, mtime=0)})
bad('tar.gz cut off', 'copy a.tgz out.db', 2, 'E4004', 'a.tgz', files={'a.tgz': gzip.compress(tarred('a.csv'), mtime=0)[:-400]})
bad('tar with links', 'copy a.tar out.db', 0, None, '1 links and devices', files={'a.tar': tarred('b.csv', kind=b'2', end=False) + tarred('a.csv')}, left=DB, shows={'out.db#a': 5000})
bad('zip with a wrong sum', 'copy a.zip out.db', 2, 'E4005', 'a.csv', 'checksum', files={'a.zip': flipped(zipped('a.csv', method=0), 9000)})
bad('zip by another method', 'copy a.zip out.db', 2, 'E1014', "'a.csv'", 'another method', files={'a.zip': zipped('a.csv', method=zipfile.ZIP_BZIP2)})
bad('zip encrypted in its directory', 'copy a.zip out.db', 2, 'E1014', "'a.csv'", 'encrypted', 'members=', files={'a.zip': encrypted(zipped('a.csv', 'b.csv'))})
bad('zip of one file that is encrypted', 'copy a.csv.zip out.db', 2, 'E1014', "'data'", 'encrypted', files={'a.csv.zip': encrypted(zipped('data'))})
bad('zip with an encrypted file that nobody wants', 'copy a.csv.zip out.db', 0, None, files={'a.csv.zip': encrypted(zipped('README', 'a.csv'))}, left=DB, shows={'out.db#a': 5000})
bad('zip of two shapes', 'copy a.zip out.db', 2, 'E1024', 'a.csv', 'b.json', files={'a.zip': zipped('a.csv', 'b.json')})
bad('zip with members upon one another', 'copy a.zip out.db', 2, 'E4005', 'upon one another', files={'a.zip': overlapped(zipped('a.csv', 'b.csv'))})
bad('members of no archive', 'copy a.csv out.db --from members=b.csv', 2, 'E1007', 'members', files={'a.csv': ROWS})
bad('members that are not there', 'copy a.zip out.db --from members=c.csv', 2, 'E1028', 'a.zip', "'members'", files={'a.zip': zipped('a.csv', 'b.csv')})
bad('members that would be lost', 'copy a.zip out.db --from members=a.csv --from after_read=delete', 2, 'E1007', '1 members', 'rename', files={'a.zip': zipped('a.csv', 'b.csv')})
bad('members named twice', 'copy a.tar out.db --from duplicates=fail', 2, 'E1028', 'twice', files={'a.tar': tarred('a.csv', './a.csv')})
bad('tar to write', 'copy a.csv out.tar --to format=csv', 2, 'E1014', 'archives can be read, not written', files={'a.csv': ROWS})
bad('packed tar to write', 'copy a.csv out.tar.gz --to format=csv', 2, 'E1014', 'archives can be read, not written', files={'a.csv': ROWS})
bad('compression=tar to write', 'copy a.csv out.csv --to compression=tar', 2, 'E1014', 'tar can be read, not written', files={'a.csv': ROWS})
bad('files as they are into a table', "copy a.csv 'out.db#t' --from format=binary", 2, 'E1060', 'sqlite takes rows', files={'a.csv': ROWS})
bad('plain text that is gzip', 'copy a.csv out.db', 2, 'E4006', 'a.csv', 'it is gzip data', '--from compression=gzip', files={'a.csv': GZ})
bad('gzip cut off, not the sample', 'copy a.csv.gz out.db', 1, 'E4004', 'a.csv.gz', files={'a.csv.gz': gzip.compress(os.urandom(3000000).hex().encode().replace(b'0', b'\n'))[:-1000]},
    left=DB, open=True)

# ---- sizes ----
def wide(name, size):
    def make(w):
        with open(w.path(name), 'wb') as f:
            f.write(b'id,name\n1,')
            for _ in range(size >> 20):
                f.write(b'x' * (1 << 20))
            f.write(b'\n2,y\n')
    return make


bad('a line of 64 MB', 'copy a.csv out.db --types id=int64,name=text', 6, 'E6010', 'a.csv line 2', 'max_row_bytes', make=wide('a.csv', 64 << 20), left=DB, peak_mb=100,
    way='resume --dirty rows=1', whole={'out.db#a': 1})
bad('a line of 1 GB', 'copy a.csv out.db --types id=int64,name=text', 6, 'E6010', 'a.csv line 2', 'max_row_bytes', make=wide('a.csv', 1 << 30), left=DB, peak_mb=100, slow=True,
    seconds=120, way='resume --dirty rows=1', whole={'out.db#a': 1})
