# SPDX-License-Identifier: Apache-2.0
"""Stopped from outside: Ctrl-C, SIGTERM, SIGHUP, kill -9, a reader that goes away, two runs on one target."""
import os
import signal
import sqlite3
import subprocess
import time

import harness
import table
from table import bad

N = 40000
ROWS = {'a.csv': 'id,name\n' + ''.join('%d,n%d\n' % (i, i) for i in range(1, N + 1))}
SLOW = {'WH_TEST_UNIT_BYTES': '30000'}     # many units


def committed(w, least, seconds=20):
    """Until so many units are recorded."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            db = sqlite3.connect('file:%s?mode=ro' % w.place.state('state.db'), uri=True, timeout=5)
            n = db.execute('select count(*) from unit where state = 2').fetchone()[0]
            db.close()
            if n >= least:
                return True
        except sqlite3.Error:
            pass
        time.sleep(0.01)
    return False


def stopped_by(*signals, least=2, pause=0.0):
    """The run is slowed down (--rate in its command) and gets the signals under way; out within 10 s."""
    def act(w):
        p = w.start()
        under_way = committed(w, least)
        for number in signals:
            p.send_signal(number)
            time.sleep(pause)
        took = table.ends(p, 11)
        code, out, err = w.finish(p)
        if not under_way or took > 10:
            err += '\n(test: under way %s, %.1f s)' % (under_way, took)
            code = 124
        return code, out, err
    return act


def hung_up(w):
    """nohup: SIGHUP is ignored from the beginning."""
    p = subprocess.Popen(['nohup', harness.program()] + w.words(w.row.command), cwd=w.place.dir, env={**w.place.env, **SLOW},
                         stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    committed(w, 1)
    p.send_signal(signal.SIGHUP)
    return w.finish(p)


def reader_gone(w):
    """A pipe whose reader takes a little and leaves."""
    p = w.start()
    p.stdout.read(100)
    p.stdout.close()
    p.stdout = None
    return w.finish(p)


for kind, dst, shows in (('a database', 'out.db#t', {}), ('a file', 'out.csv', {'out.csv': None})):
    left = ('out.db', 'out.db-journal') if kind == 'a database' else ()
    common = dict(files=ROWS, env=SLOW, seconds=30, left=left, shows=shows, whole={dst: N}, way='resume --rate none')
    command = 'copy a.csv %s --rate 100kB/s -j 2' % dst
    bad('Ctrl-C, into ' + kind, command, 130, None, 'wherry resume', act=stopped_by(signal.SIGINT), **common)
    bad('SIGTERM, into ' + kind, command, 143, None, 'wherry resume', act=stopped_by(signal.SIGTERM), **common)
    bad('SIGHUP, into ' + kind, command, 129, None, 'wherry resume', act=stopped_by(signal.SIGHUP), **common)
    bad('Ctrl-C twice, into ' + kind, command, 130, None, act=stopped_by(signal.SIGINT, signal.SIGINT, pause=0.1), **common)
    bad('kill -9, into ' + kind, command, -9, None, act=stopped_by(signal.SIGKILL), open=True, **common)
bad('SIGHUP under nohup', 'copy a.csv out.db#t --rate 400kB/s', 0, None, files=ROWS, seconds=30, act=hung_up, left=('out.db',), shows={'out.db#t': N})


# ---- pipes ----
bad('stdout closed by its reader, rows', 'copy a.csv -', 141, None, files=ROWS, act=reader_gone)
bad('stdout closed by its reader, rows looked at', 'preview a.csv --limit 40000', 141, None, files=ROWS, act=reader_gone)
bad('stdout closed by its reader, events', 'copy a.csv out.db#t --json --rate 400kB/s', 141, None, files=ROWS, env=SLOW, act=reader_gone, seconds=30, left=('out.db',),
    open=None)
bad('stdin cut off', 'copy - out.db#t --from format=csv --types id=int64,name=text', 6, 'E6011', 'standard input', stdin=b'id,name\n1,x\n2', left=('out.db',), open=None)
bad('stdin empty', 'copy - out.db#t --from format=csv', 2, 'E3007', stdin=b'')
bad('stdin without a format is CSV', 'copy - out.db#t', 0, None, stdin=b'id\n1\n', left=('out.db',), shows={'out.db#t': 1})


# ---- two at once ----
BOTH = ('out.db', 'out.db-journal')


def held_by_another(w):
    """A run is under way; the row's command meets its target."""
    other = w.start('copy a.csv out.db#t --rate 100kB/s', plain=True, **SLOW)
    w.undo.append(lambda: (other.kill(), other.communicate()))
    committed(w, 1)
    return w.run()


def held_by_dead(w):
    p = w.start('copy a.csv out.db#t --rate 100kB/s', plain=True, **SLOW)
    committed(w, 2)
    p.kill()
    p.communicate()


bad('target of a living run', 'copy few.csv out.db#t', 10, 'E7006', 'out.db', 'process', 'since', files={**ROWS, 'few.csv': 'id,name\n0,x\n'}, left=BOTH,
    act=held_by_another, open=None, hint=True)
bad('target of a living run, another state', 'copy few.csv out.db#t --state other/state.db', 10, 'E7006', 't', 'since', files={**ROWS, 'few.csv': 'id,name\n0,x\n'},
    left=BOTH + ('other',), act=held_by_another)
bad('target of a dead run', 'copy few.csv out.db#t', 2, 'E7005', 'wherry resume r-', '--discard', files={**ROWS, 'few.csv': 'id,name\n0,x\n'}, left=('out.db',),
    make=held_by_dead, open=True, way='resume --rate none', whole={'out.db#t': N})
bad('the same copy, killed before', 'copy a.csv out.db#t --rate 100kB/s', 2, 'E7012', 'wherry resume r-', '--fresh', files=ROWS, left=('out.db',),
    make=held_by_dead, open=True, way='resume --rate none', whole={'out.db#t': N})
bad('resume of a living run', 'resume', 10, 'E7006', 'process', files=ROWS, act=held_by_another, left=BOTH)
bad('resume without any run', 'resume', 2, 'E7007', 'no run is unfinished')
bad('cancel of an unknown run', 'cancel r-20200101-0000 --discard', 2, 'E7007', 'r-20200101-0000')


def locked_database(w):
    db = sqlite3.connect(w.path('out.db'), isolation_level=None)
    db.execute('create table x(a)')
    db.execute('begin immediate')
    w.undo.append(db.close)


bad('database locked by a writer', "copy a.csv 'sqlite:out.db?lock_timeout=1s#t'", 5, 'E5010', 'out.db', files=ROWS, make=locked_database, left=('out.db',), seconds=60, open=False,
    env={'WH_TEST_OUTAGE_MS': '200'})
