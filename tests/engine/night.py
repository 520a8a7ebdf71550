# SPDX-License-Identifier: Apache-2.0
"""What an operator does at night, on files and SQLite: stops what waits, loses the state, restores a
backup, gives up, closes a pipe."""
import signal
import sqlite3
import time

import harness


def rows_csv(place, name, n):
    with open(place.path(name), 'w', encoding='ascii') as f:
        f.write('id,name\n')
        f.writelines('%d,n%d\n' % (i, i) for i in range(n))


def stopped_while_it_waits(t):
    """Red when Ctrl-C or SIGTERM does not end a run within 2 s while another process holds a lock on
    the destination (or the source): in the plan, the claim, a step, a unit."""
    place = harness.Place('waits')
    try:
        rows_csv(place, 'in.csv', 100)
        locks = {'claim': ['begin immediate'], 'plan': ['begin exclusive'], 'commit': ['begin', 'select * from z']}
        for what, statements in locks.items():
            for number in (signal.SIGINT, signal.SIGTERM):
                waiting(t, place, what, statements, number)
        # The lock comes when the run is under way: it is touched, and resumable.
        for point in ('claim-recorded', 'prepare-step-intended', 'writer-opened', 'commit-before'):
            under_way(t, place, point)
    finally:
        place.remove()


def locked(place, statements):
    db = sqlite3.connect(place.path('out.db'), isolation_level=None)
    db.execute('create table if not exists z(a)')
    for s in statements:
        db.execute(s).fetchall()
    return db


def stop(t, p, number, what):
    start = time.monotonic()
    p.send_signal(number)
    code, out, err = harness.finish(p, 15)
    took = time.monotonic() - start
    t.check(code == 128 + number and took < 2, '%s: ends within 2 s' % what, 'exit %s after %.1f s\n%s' % (code, took, err))
    return out, err


def waiting(t, place, what, statements, number):
    db = locked(place, statements)
    p = place.start('copy', 'in.csv', 'out.db#a')
    time.sleep(0.7)
    stop(t, p, number, 'signal %d while the %s waits' % (number, what))
    db.close()
    code, _, err = place.run('copy', 'in.csv', 'out.db#a', '--mode', 'overwrite')
    t.check(code == 0, 'the target is free after a stop in the %s' % what, err)


def under_way(t, place, point):
    p = place.start('copy', 'in.csv', 'out.db#b', '--mode', 'truncate', WH_TEST_STOP=point + ':1')
    if not t.check(harness.wait_stopped(p, 20), 'stopped at ' + point):
        harness.end(p)
        return
    what = 'signal at %s' % point
    db = sqlite3.connect(place.path('out.db'), isolation_level=None, timeout=0.2)
    try:   # inside its own transaction nobody else gets in, and it need not wait
        db.execute('begin')
        db.execute('select * from z').fetchall()
    except sqlite3.OperationalError:
        pass
    p.send_signal(signal.SIGCONT)
    time.sleep(0.5)
    ended = p.poll() is not None
    if not ended:
        stop(t, p, signal.SIGINT, what)
    else:
        harness.finish(p, 5)
    db.close()
    if not ended:
        code, _, err = place.run('resume')
        n = sqlite3.connect(place.path('out.db')).execute('select count(*), count(distinct id) from b').fetchone()
        t.check(code == 0 and n == (100, 100), what + ', resumed: every row once', '%s %s\n%s' % (code, n, err))
