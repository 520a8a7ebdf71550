# SPDX-License-Identifier: Apache-2.0
"""Files that are not there, not what they seem, cut off, damaged, or not text."""
import gzip
import os
import shutil
import subprocess

from table import bad

ROWS = 'id,name\n' + ''.join('%d,n%d\n' % (i, i) for i in range(1, 5001))
GZ = gzip.compress(ROWS.encode(), mtime=0)
ZST = subprocess.run(['zstd', '-q', '-c'], input=ROWS.encode(), stdout=subprocess.PIPE, check=False).stdout \
    if shutil.which('zstd') else b''
DB = ('out.db',)


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
