# SPDX-License-Identifier: Apache-2.0
"""A clock that jumps: during a run, between run and resume, between two processes. (libfaketime; the
monotonic clock goes on, as it does when somebody sets the time.)"""
import os

import harness
import rows_stops
from table import bad

FAKETIME = '/usr/lib/%s/faketime/libfaketimeMT.so.1'
LIBRARY = next((p for p in (FAKETIME % t for t in ('x86_64-linux-gnu', 'aarch64-linux-gnu')) if os.path.exists(p)), FAKETIME % 'x86_64-linux-gnu')
N = rows_stops.N
SLOW = {'WH_TEST_UNIT_BYTES': '30000'}
COMMAND = 'copy a.csv out.db#t --rate 200kB/s'


def clock(w, said):
    """What the clock of processes started with `fake` says from now on: "+0", "-1d", "+10y"."""
    path = w.path('home', 'clock')
    with open(path + '.new', 'w', encoding='ascii') as f:
        f.write(said + '\n')
    os.rename(path + '.new', path)


def fake(w):
    return {'LD_PRELOAD': LIBRARY, 'FAKETIME_TIMESTAMP_FILE': w.path('home', 'clock'), 'FAKETIME_NO_CACHE': '1', 'FAKETIME_DONT_FAKE_MONOTONIC': '1', **SLOW}


def jumps(*jumps_to):
    def act(w):
        clock(w, '+0')
        p = w.start(**fake(w))
        if not rows_stops.committed(w, 2):
            code, out, err = w.finish(p)
            return 124, out, err + '\n(test: not under way)'
        for said in jumps_to:
            clock(w, said)
            rows_stops.committed(w, 5)
        return w.finish(p)
    return act


def killed_then(said):
    """Killed under way; resumed with another clock."""
    def act(w):
        clock(w, '+0')
        p = w.start(**fake(w))
        rows_stops.committed(w, 2)
        p.kill()
        p.communicate()
        clock(w, said)
        return w.run('resume --rate none', **fake(w))
    return act


def beside_a_living_one(said):
    """Another process whose clock is wrong meets the target of a living run."""
    def act(w):
        clock(w, said)
        other = w.start(plain=True, **SLOW)
        w.undo.append(lambda: (other.kill(), other.communicate()))
        rows_stops.committed(w, 1)
        return w.run('copy few.csv out.db#t', **fake(w))
    return act


def taken_from_a_living_one(w):
    """Resumed by a process that takes the owner for dead: the owner is fenced, no row comes twice."""
    clock(w, '+1h')
    other = w.start(plain=True, **SLOW)
    w.undo.append(lambda: other.poll() is None and other.kill())
    rows_stops.committed(w, 2)
    code, out, err = w.run('resume --rate none', **fake(w))
    ended, _, more = harness.finish(other, 20)
    if ended not in (0, 10):
        return 124, out, err + '\n(test: the owner ended with %s)\n%s' % (ended, more)
    return (0 if code in (0, 10) else code), out, err


CLOCK = dict(files={**rows_stops.ROWS, 'few.csv': 'id,name\n0,x\n'}, seconds=40, left=('out.db', 'out.db-journal'), needs=(LIBRARY,))
for name, said in (('a day back', ('-1d',)), ('ten years ahead', ('+3650d',)), ('ahead and back', ('+1d', '-1d')), ('to the epoch', ('@1970-01-01 00:00:10',))):
    bad('clock jumps %s during a run' % name, COMMAND, 0, None, act=jumps(*said), shows={'out.db#t': N}, **CLOCK)
for name, said in (('a day back', '-1d'), ('ten years ahead', '+3650d')):
    bad('clock jumps %s before resume' % name, COMMAND, 0, None, act=killed_then(said), shows={'out.db#t': N}, **CLOCK)
bad('clock of another process is behind', COMMAND, 10, 'E7006', 'process', act=beside_a_living_one('-1h'), **CLOCK)
# By its clock the owner has not beaten for an hour, but its process is there.
bad('clock of another process is ahead', COMMAND, 10, 'E7006', 'process', act=beside_a_living_one('+1h'), **CLOCK)
bad('clock of a resume is ahead of the living run', COMMAND, 0, None, act=taken_from_a_living_one, shows={'out.db#t': N}, **CLOCK)
