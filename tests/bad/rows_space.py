# SPDX-License-Identifier: Apache-2.0
"""No space: a small file system (as root), a limit on the size of files, /dev/full; full descriptors."""
import os
import subprocess

from table import bad

N = 30000
ROWS = {'a.csv': 'id,name\n' + ''.join('%d,name of the row %d\n' % (i, i) for i in range(1, N + 1)),
        'few.csv': 'id,name\n' + ''.join('%d,n\n' % i for i in range(10))}
FAST = {'WH_TEST_OUTAGE_MS': '200'}   # how long it waits for a disk that is full


def small(name, kib):
    """A file system of so many KiB."""
    def make(w):
        os.makedirs(w.path(name), exist_ok=True)
        subprocess.run(['mount', '-t', 'tmpfs', '-o', 'size=%dk' % kib, 'tmpfs', w.path(name)], check=True)
        w.undo.append(lambda: subprocess.run(['umount', '-l', w.path(name)], check=False))
    return make


def larger(name):
    return lambda w: subprocess.run(['mount', '-o', 'remount,size=64m', w.path(name)], check=True)


ROOT = dict(needs=('root', 'mount'), env=FAST, seconds=60)

bad('no space for the database', 'copy a.csv d/out.db#t', 5, 'E5004', 'd/out.db', files=ROWS, make=small('d', 256), left=('d',), mend=larger('d'),
    whole={'d/out.db#t': N}, **ROOT)
bad('no space for the database, overwrite', 'copy a.csv d/out.db#t --mode overwrite', 5, 'E5004', 'd/out.db', files=ROWS, left=('d',), mend=larger('d'),
    make=lambda w: (small('d', 256)(w), w.run('copy few.csv d/out.db#t', plain=True)), shows={'d/out.db#t': 10}, whole={'d/out.db#t': N}, **ROOT)
bad('no space for the file', 'copy a.csv d/out.csv', 5, 'E5004', 'd', files=ROWS, make=small('d', 256), left=('d',), shows={'d/out.csv': None}, mend=larger('d'),
    whole={'d/out.csv': N}, **ROOT)
bad('no space for the file, overwrite', 'copy a.csv d/out.csv --mode overwrite', 5, 'E5004', 'd', files=ROWS, left=('d',), mend=larger('d'),
    make=lambda w: (small('d', 256)(w), w.run('copy few.csv d/out.csv', plain=True)), shows={'d/out.csv': 10}, whole={'d/out.csv': N}, **ROOT)
bad('no space for a packed file', 'copy a.csv d/out.csv.gz', 5, 'E5004', 'd', files=ROWS, make=small('d', 32), left=('d',), shows={'d/out.csv.gz': None}, mend=larger('d'),
    whole={}, **ROOT)
bad('no space for files of a folder', 'copy a.csv d/out/ --to part_rows=5000', 5, 'E5004', 'd', files=ROWS, make=small('d', 256), left=('d',), mend=larger('d'),
    whole={}, **ROOT)
bad('no space for the state', 'copy a.csv out.db', 5, 'E7014', 'state.db', files=ROWS, make=small('home', 16), left=('out.db',), open=False, mend=larger('home'),
    way='copy a.csv out.db', whole={'out.db#a': N}, **ROOT)

bad('files may not grow: database', 'copy a.csv out.db', 5, 'E5004', 'out.db', files=ROWS, file_size=200000, env=FAST, left=('out.db',), seconds=60, whole={'out.db#a': N})
bad('files may not grow: file', 'copy a.csv out.csv', 5, 'E5004', 'File too large', files=ROWS, file_size=200000, env=FAST, seconds=60, shows={'out.csv': None},
    whole={'out.csv': N})
bad('files may not grow: state', 'copy a.csv out.db', 5, 'E7014', 'state.db', files=ROWS, file_size=20000, env=FAST, seconds=60, left=('out.db',), open=False)

bad('stdout is full', 'copy a.csv - -q', 5, 'E5004', 'standard output', 'No space', files=ROWS, out='/dev/full', open=False)
bad('stdout is full, rows looked at', 'preview a.csv', 5, 'E5004', 'standard output', files=ROWS, out='/dev/full', open=False)
bad('stdout is full, a command', 'version', 5, 'E5004', 'standard output', out='/dev/full', open=False)
bad('destination is /dev/full', 'copy a.csv /dev/full --to format=csv', 2, 'E2014', '/dev/full', 'no file', files=ROWS)
bad('summary into /dev/full', 'copy a.csv out.db --summary /dev/full', 0, None, '/dev/full', files=ROWS, left=('out.db',), shows={'out.db#a': N})
bad('log into /dev/full', 'copy a.csv out.db --log-file /dev/full', 0, None, files=ROWS, left=('out.db',), shows={'out.db#a': N})
bad('few descriptors', 'copy a.csv out.db', 5, 'E8003', files=ROWS, files_open=12, env=FAST, seconds=60, left=('out.db',), open=False)
