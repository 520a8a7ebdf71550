# SPDX-License-Identifier: Apache-2.0
"""What an operator does at night, on files and SQLite: stops what waits, loses the state, restores a
backup, gives up, closes a pipe."""
import os
import signal
import sqlite3
import subprocess
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
        for point in ('claim-recorded', 'prepare-step-intended', 'writer-opened', 'commit-before', 'record-after',
                      'run-close-before'):
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


def lost_state(t):
    """Red when a target whose run is in nobody's state is held for ever, or given up without consent,
    silently, or while its owner lives."""
    place = harness.Place('lost')
    try:
        rows_csv(place, 'in.csv', 100)
        for mode, stay in (('append', 100), ('overwrite', 0)):
            table = 'out.db#' + mode
            sqlite3.connect(place.path('out.db')).execute('create table if not exists "%s"(id integer, name text)' % mode)
            code, _, err = place.run('copy', 'in.csv', table, '--mode', mode, WH_TEST_KILL='record-after:1')
            t.check(code == -9, mode + ': killed', err)
            place.forget()
            given_up(t, place, table, mode, stay)
        other_host(t, place)
    finally:
        place.remove()


def given_up(t, place, table, mode, stay):
    code, _, err = place.run('copy', 'in.csv', table, '--mode', mode)
    t.check(code == 2 and 'E7005' in err and 'gone' in err and '--fresh --yes' in err,
            mode + ': refused, and names the way out', '%s\n%s' % (code, err))
    code, _, err = place.run('copy', 'in.csv', table, '--mode', mode, '--fresh')
    t.check(code == 2 and 'E1012' in err and ' %d rows' % stay in err, mode + ': --fresh alone asks, with the count',
            '%s\n%s' % (code, err))
    code, out, err = place.run('copy', 'in.csv', table, '--mode', mode, '--fresh', '--yes', '--json')
    event = harness.finished(out)
    t.check(code == 0 and event.get('rows_staying', 0) == stay and 'given up' in out, mode + ': taken over',
            '%s %s\n%s' % (code, event, err))
    db = sqlite3.connect(place.path('out.db'))
    n = db.execute('select count(*), count(distinct id) from "%s"' % mode).fetchone()
    t.check(n == (100 + stay, 100), mode + ': what stays is what was said', n)
    names = [r[0] for r in db.execute("select name from sqlite_schema where name like 'wherry_stage%'")]
    t.check(names == [], mode + ': no stage is left', names)
    t.check(db.execute("select count(*) from wherry_run where state = 'open'").fetchone() == (0,), mode + ': nothing is open')
    t.check(place.leftovers() == [], mode + ': nothing is left in the state', place.leftovers())


def other_host(t, place):
    """What cannot be seen from here is not taken over, whatever the flags."""
    place.run('copy', 'in.csv', 'far.db#t', WH_TEST_KILL='record-after:1')
    place.forget()
    db = sqlite3.connect(place.path('far.db'))
    db.execute("update wherry_run set host = 'elsewhere.example'")
    db.commit()
    code, _, err = place.run('copy', 'in.csv', 'far.db#t', '--fresh', '--yes')
    t.check(code == 2 and 'E7005' in err and 'elsewhere.example' in err, 'a run of another host stays its owner\'s',
            '%s\n%s' % (code, err))


def owner_elsewhere(t):
    """Red when a living owner whose state is in another folder is not told as one (exit 10: host, pid,
    since), is taken over, or is not waited for."""
    place = harness.Place('elsewhere')
    try:
        rows_csv(place, 'in.csv', 100)
        p = place.start('copy', 'in.csv', 'out.db#t', WH_TEST_STOP='lease-after:1')
        if not t.check(harness.wait_stopped(p, 20), 'the owner is under way'):
            harness.end(p)
            return
        other = dict(HOME=place.path('home2'))
        for flags in ((), ('--fresh', '--yes')):
            code, _, err = place.run('copy', 'in.csv', 'out.db#t', *flags, **other)
            t.check(code == 10 and 'E7006' in err and 'process %d on ' % p.pid in err and ' since 2' in err,
                    'a living owner in another state %s' % (flags,), '%s\n%s' % (code, err))
        waits = place.start('copy', 'in.csv', 'out.db#t', '--lock-wait', '20s', **other)
        time.sleep(0.7)
        p.send_signal(signal.SIGCONT)
        code, _, err = harness.finish(p, 20)
        t.check(code == 0, 'the owner ends well', err)
        code, _, err = harness.finish(waits, 20)
        n = sqlite3.connect(place.path('out.db')).execute('select count(*) from t').fetchone()
        t.check(code == 0 and n == (200,), 'the other one waited for it', '%s %s\n%s' % (code, n, err))
    finally:
        place.remove()


def restored(t):
    """Red when a destination that was restored from a backup is held for ever: by a run that our state
    has ended, or that goes on there."""
    place = harness.Place('restored')
    try:
        rows_csv(place, 'in.csv', 100)
        place.run('copy', 'in.csv', 'out.db#t', WH_TEST_KILL='record-after:1')
        with open(place.path('out.db'), 'rb') as f:
            backup = f.read()
        code, _, err = place.run('resume')
        t.check(code == 0, 'resumed', err)
        with open(place.path('out.db'), 'wb') as f:   # from the middle of a run that has ended since
            f.write(backup)
        code, _, err = place.run('copy', 'in.csv', 'out.db#t')
        t.check(code == 2 and '--fresh --yes' in err, 'restored: refused, and names the way out', '%s\n%s' % (code, err))
        code, _, err = place.run('copy', 'in.csv', 'out.db#t', '--fresh', '--yes')
        t.check(code == 0 and '100 rows' in err, 'restored: taken over', '%s\n%s' % (code, err))
        # And from before the run: the run goes on here, and there nothing is known of it.
        place.run('copy', 'in.csv', 'new.db#t', WH_TEST_KILL='record-after:1')
        sqlite3.connect(place.path('empty.db')).execute('create table other(a)')
        with open(place.path('empty.db'), 'rb') as f, open(place.path('new.db'), 'wb') as g:
            g.write(f.read())
        code, _, err = place.run('resume')
        t.check(code in (1, 2) and '--fresh' in err, 'rows are gone: resume refuses, and names --fresh', '%s\n%s' % (code, err))
        code, _, err = place.run('copy', 'in.csv', 'new.db#t', '--fresh', '--yes')
        n = sqlite3.connect(place.path('new.db')).execute('select count(*) from t').fetchone()
        t.check(code == 0 and n == (100,), 'rows are gone: --fresh starts again', '%s %s\n%s' % (code, n, err))
        t.check(place.leftovers() == [], 'nothing is left in the state', place.leftovers())
    finally:
        place.remove()


def what_was_committed(t):
    """Red when history and status do not show the rows that a killed or discarded run committed, or a
    failed run does not say how to give it up."""
    place = harness.Place('committed')
    try:
        rows_csv(place, 'in.csv', 100)
        place.run('copy', 'in.csv', 'out.db#t', WH_TEST_KILL='record-after:1')
        run = harness.events(place.run('history', '--json')[1])[0]
        t.check(run['rows_written'] == 100 and run['rows_read'] == 100, 'history of a killed run', run)
        said = place.run('status', run['run'])[1] + place.run('history')[1]
        t.check(said.count('100 written') == 2, 'status and history in words', said)
        code, _, err = place.run('cancel', run['run'], '--discard', '--yes')
        run = harness.events(place.run('history', '--json')[1])[0]
        t.check(code == 0 and run['rows_written'] == 100 and run['status'] == 'discarded', 'history of a discarded run',
                '%s\n%s' % (run, err))
        with open(place.path('bad.csv'), 'w', encoding='ascii') as f:
            f.write('id,name\nx,1\n')
        code, _, err = place.run('copy', 'bad.csv', 'out.db#b', '--types', 'id=int64')
        t.check(code == 6 and 'wherry cancel r-' in err and '--discard' in err, 'a failed run says how to give it up', err)
    finally:
        place.remove()


def closed_pipe(t):
    """Red when the end of a pipe's reader is an error with words, leaves a run to be resumed, or stops
    the same copy from being made again."""
    place = harness.Place('pipe')
    try:
        rows_csv(place, 'in.csv', 200000)
        for command in (('copy', 'in.csv', '-', '-q'), ('connectors', 'file')):
            reader, writer = os.pipe()
            os.close(reader)
            p = subprocess.run([harness.program()] + list(command), cwd=place.dir, env=place.env, stdout=writer,
                               stderr=subprocess.PIPE, timeout=30, check=False)
            os.close(writer)
            t.check(p.returncode == 141 and p.stderr == b'', '%s: quietly' % command[0],
                    'exit %s\n%s' % (p.returncode, p.stderr.decode()))
        t.check(place.run('resume')[0] == 2 and place.leftovers() == [], 'nothing is to be resumed', place.leftovers())
        run = harness.events(place.run('history', '--json')[1])[0]
        t.check(run['exit'] == 141, 'the state knows why it ended', run)
        place.run('copy', 'in.csv', '-', WH_TEST_KILL='record-after:1')
        code, out, err = place.run('copy', 'in.csv', '-')
        t.check(code == 0 and out.count('\n') == 200001, 'the same copy again, also after a kill', '%s\n%s' % (code, err))
        t.check(place.leftovers() == [], 'the killed one is given up', place.leftovers())
        for command, want in ((('copy', 'in.csv', '-', '-q'), 5), (('preview', 'in.csv'), 5), (('version',), 5),
                              (('copy', 'in.csv', 'null:', '--json'), 0)):
            with open('/dev/full', 'wb') as full:
                p = subprocess.run([harness.program()] + list(command), cwd=place.dir, env=place.env, stdout=full,
                                           stderr=subprocess.PIPE, timeout=30, check=False)
            err = p.stderr.decode()
            t.check(p.returncode == want and 'E5004' in err and 'resume' not in err, '%s: a full disk is said' % (command,),
                    'exit %s\n%s' % (p.returncode, err))
    finally:
        place.remove()
