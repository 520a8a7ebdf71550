# SPDX-License-Identifier: Apache-2.0
"""The state: a folder that cannot be written, a file that is not one, damaged, cut off."""
import os
import sqlite3

from table import bad

ROWS = {'a.csv': 'id,name\n' + ''.join('%d,n%d\n' % (i, i) for i in range(1, 2001))}
STATE = ('home', '.local', 'state', 'wherry')


def locked(*name, mode=0o500):
    def make(w):
        os.makedirs(w.path(*name), exist_ok=True)
        os.chmod(w.path(*name), mode)
        w.undo.append(lambda: os.chmod(w.path(*name), 0o700))
    return make


def is_file(w):
    os.makedirs(os.path.dirname(w.path(*STATE)))
    with open(w.path(*STATE), 'w') as f:
        f.write('x')


def killed(w):
    """A run that was killed with rows committed, and can be resumed."""
    code, _, err = w.run('copy a.csv out.db', plain=True, WH_TEST_KILL='record-after:1')
    assert code == -9, err


def spoil(change):
    def make(w):
        killed(w)
        path = w.place.state('state.db')
        db = sqlite3.connect(path)
        db.execute('pragma wal_checkpoint(truncate)')
        db.close()
        with open(path, 'rb') as f:
            data = f.read()
        with open(path, 'wb') as f:
            f.write(change(data))
    return make


def wal(change):
    """What is in the log only, spoiled."""
    def make(w):
        killed(w)
        path = w.place.state('state.db-wal')
        assert os.path.getsize(path) > 0
        with open(path, 'rb') as f:
            data = f.read()
        with open(path, 'wb') as f:
            f.write(change(data))
    return make


def gone(w):
    for name in ('state.db', 'state.db-wal', 'state.db-shm'):
        if os.path.exists(w.place.state(name)):
            os.remove(w.place.state(name))


def holes(data):
    """Every page but the first two, without its beginning."""
    size = int.from_bytes(data[16:18], 'big')
    return data[:2 * size] + b''.join(bytes(64) + data[i + 64:i + size] for i in range(2 * size, len(data), size))


REBUILD = dict(files=ROWS, mend=gone, way='resume --rebuild-state out.db', whole={'out.db#a': 2000})

bad('state folder may not be written', 'copy a.csv out.db', 2, 'E7001', '.local/state/wherry', '--state', files=ROWS, make=locked(*STATE), no_root=True,
    mend=lambda w: os.chmod(w.path(*STATE), 0o700), whole={'out.db#a': 2000})
bad('state folder cannot be made', 'copy a.csv out.db', 2, 'E7001', '.local', 'Permission denied', '--state', files=ROWS, make=locked('home'), no_root=True)
bad('state folder is a file', 'copy a.csv out.db', 2, 'E7001', '.local/state/wherry', '--state', files=ROWS, make=is_file)
bad('state in no folder', 'copy a.csv out.db --state /proc/nowhere/state.db', 2, 'E7001', '/proc/nowhere', '--state', files=ROWS)
bad('state is a folder', 'copy a.csv out.db --state d', 2, 'E7001', 'd: Is a directory', '--state', files={**ROWS, 'd/': ''})
bad('state is another database', 'copy a.csv out.db --state other.db', 2, 'E7001', 'other.db', 'no state of ours', '--state', files=ROWS,
    make=lambda w: sqlite3.connect(w.path('other.db')).execute('create table t(a)').connection.close())
bad('state of a newer version', 'copy a.csv out.db', 2, 'E7004', 'state.db', files=ROWS,
    make=lambda w: (w.run('copy a.csv null:', plain=True), sqlite3.connect(w.place.state('state.db')).execute('pragma user_version=9999').connection.close()))
bad('state may only be read', 'copy a.csv out.db', 2, 'E7001', 'state.db', files=ROWS,
    make=lambda w: (w.run('copy a.csv null:', plain=True), locked(*STATE, mode=0o500)(w), os.chmod(w.place.state('state.db'), 0o400)), no_root=True)
bad('state is locked by somebody', 'copy a.csv out.db', 5, 'E7002', 'state.db', files=ROWS, seconds=30, open=False, slow=True,
    make=lambda w: (w.run('copy a.csv null:', plain=True), w.undo.append(hold(w.place.state('state.db')).close)))

bad('state is no database', 'resume', 1, 'E7003', 'state.db', '--rebuild-state', make=spoil(lambda d: b'this is no database\n' * 1000), open=False, **REBUILD)
bad('state with a spoiled header', 'resume', 1, 'E7003', 'state.db', '--rebuild-state', make=spoil(lambda d: b'\xff' * 100 + d[100:]), open=False, **REBUILD)
bad('state with spoiled pages', 'resume', 1, 'E7003', 'state.db', '--rebuild-state', make=spoil(holes), **REBUILD)
bad('state of half its length', 'resume', 1, 'E7003', 'state.db', '--rebuild-state', make=spoil(lambda d: d[:len(d) // 2]), open=False, **REBUILD)
bad('state is empty', 'resume', 2, 'E7007', 'no run is unfinished', make=spoil(lambda d: b''), open=False, **REBUILD)
bad('state is lost', 'resume', 2, 'E7007', 'no run is unfinished', make=lambda w: (killed(w), gone(w)), open=False, **REBUILD)
bad('state is lost, copy again', 'copy a.csv out.db', 2, 'E7005', '--rebuild-state', make=lambda w: (killed(w), gone(w)), open=False, **REBUILD)


# SQLite takes a log up to its first bad frame: what was committed before it is there.
bad('state with half a log', 'resume', 0, None, files=ROWS, make=wal(lambda d: d[:len(d) * 3 // 4]), open=None, shows={'out.db#a': 2000})
bad('state with rubbish in its log', 'resume', 0, None, files=ROWS, make=wal(lambda d: d[:-2000] + b'\xaa' * 2000), open=None, shows={'out.db#a': 2000})


def hold(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute('begin immediate')
    return db
