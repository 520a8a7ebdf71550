# SPDX-License-Identifier: Apache-2.0
"""write.before and write.after: each statement runs once, whatever is killed and resumed; with
on_resume: repeat the ones before run once more with every resume."""
import os
import signal
import sqlite3

import harness

JOB = """version: 1
name: said
streams:
  - from: src.csv
    to: 'dst.db#t'
    write:
      mode: %s
      before: ["insert into log select 'before', count(*) from {target}", "insert into log values('second', 0)"]
      after: "insert into log select 'after', count(*) from {target}"
      on_resume: %s
"""
ROWS = 3000


def made(place, mode, on_resume):
    """An empty destination and a job onto it."""
    place.forget()
    for end in ('', '-wal', '-shm', '-journal'):
        if os.path.exists(place.path('dst.db' + end)):
            os.unlink(place.path('dst.db' + end))
    db = sqlite3.connect(place.path('dst.db'))
    db.executescript('create table log(what text, n int); create table t(k int, v text)')
    db.close()
    with open(place.path('src.csv'), 'w', encoding='utf-8') as f:
        f.write('k,v\n' + ''.join('%d,v%d\n' % (i, i) for i in range(ROWS)))
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write(JOB % (mode, on_resume))


def found(place):
    db = sqlite3.connect(place.path('dst.db'), timeout=20)
    log = db.execute('select what, n from log order by rowid').fetchall()
    rows = db.execute('select count(*), count(distinct k), sum(k) from t').fetchone()
    ours = db.execute("select count(*) from wherry_unit").fetchone()[0]
    db.close()
    return log, rows, ours


ONCE = [('before', 0), ('second', 0), ('after', ROWS)]
WHOLE = (ROWS, ROWS, ROWS * (ROWS - 1) // 2)
RUN = ['run', 'job.yaml', '-j', '1', '--no-progress', '--json']
UNITS = {'WH_TEST_UNIT_BYTES': '8192'}


def statements(t):
    """Killed at every point of an append and of an overwrite: each statement was run once."""
    phase_of = dict(harness.kill_points())
    place = harness.Place('statements')
    for mode in ('append', 'overwrite'):
        made(place, mode, 'skip')
        log = place.path('points.log')
        if os.path.exists(log):
            os.unlink(log)
        code, out, err = place.run(*RUN, WH_TEST_KILL_LOG=log, **UNITS)
        seen = harness.points_in(log)
        t.check(code == 0 and found(place) == (ONCE, WHOLE, 0), '%s: undisturbed' % mode, '%s %s\n%s' % (code, found(place), err))
        points = [(p, n) for p in phase_of for n in range(1, seen[p] + 1) if n == 1 or '-step-' in p]
        points = [p for p in points if p[0] not in ('run-ended', 'targets-released')]  # then the next run is another one
        if harness.fast():
            points = [p for p in points if 'prepare-step' in p[0] or 'finish-step' in p[0]]
        for point, nth in points:
            made(place, mode, 'skip')
            code, out, err = place.run(*RUN, WH_TEST_KILL='%s:%d' % (point, nth), **UNITS)
            t.kills[phase_of[point]] += code == -signal.SIGKILL
            what = '%s, killed at %s:%d' % (mode, point, nth)
            t.check(code == -signal.SIGKILL, what, '%s\n%s' % (code, err))
            code, out, err = place.run(*RUN, **UNITS)
            t.check(code == 0 and found(place) == (ONCE, WHOLE, 0), what + ': once each', '%s %s\n%s' % (code, found(place), err))
    place.remove()


def statements_again(t):
    """on_resume: repeat runs `before` once more with each resume until its table is moved, never `after`."""
    place = harness.Place('statements-again')
    for point, times in (('prepare-step-recorded:2', 2), ('commit-after:2', 2), ('record-after:3', 2),
                         ('publish-step-applied', 1), ('closing-recorded', 1)):
        made(place, 'overwrite', 'repeat')
        code, out, err = place.run(*RUN, WH_TEST_KILL=point, **UNITS)
        t.check(code == -signal.SIGKILL, 'repeat: killed at ' + point, '%s\n%s' % (code, err))
        t.kills[dict(harness.kill_points())[point.split(':')[0]]] += 1
        code, out, err = place.run('resume', '--no-progress', **UNITS)
        log, rows, ours = found(place)
        said = [w for w, _ in log]
        t.check(code == 0 and rows == WHOLE and ours == 0 and said.count('before') == times and said.count('after') == 1,
                'repeat: killed at %s, before runs %d times' % (point, times), '%s %s\n%s' % (code, log, err))
    place.remove()


def statement_fails(t):
    """A statement that the destination refuses ends the table with its own error; resume goes on from there."""
    place = harness.Place('statements-fail')
    for which, mode, on_resume in (('before', 'append', 'skip'), ('after', 'append', 'skip'), ('after', 'overwrite', 'repeat')):
        made(place, mode, on_resume)
        text = open(place.path('job.yaml'), encoding='utf-8').read()
        old = "('second', 0)" if which == 'before' else "select 'after', count(*)"
        new = "('second', no_such())" if which == 'before' else "select 'after', no_such(count(*))"
        with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
            f.write(text.replace(old, new))
        code, out, err = place.run(*RUN, **UNITS)
        event = harness.finished(out)
        said = [e for e in event['tables'] if e['exit'] == 1]
        t.check(code == 1 and said and said[0]['error']['code'] == 'E5016' and
                'no such function: no_such' in said[0]['error']['message'],
                '%s that fails has its own error' % which, '%s\n%s\n%s' % (code, out, err))
        log, rows, _ = found(place)
        want = (['before'], 0) if which == 'before' else (['before', 'second'], ROWS)
        t.check(([w for w, _ in log], rows[0]) == want, '%s that fails: what is there' % which, '%s %s' % (log, rows))
        # The same statement again: nothing that was done is done again.
        code, out, err = place.run('resume', '--no-progress', **UNITS)
        log, rows, _ = found(place)
        t.check(code == 1 and ([w for w, _ in log], rows[0]) == want, '%s fails again at resume' % which, '%s %s' % (code, log))
        code, out, err = place.run('cancel', event['run'], '--discard', '--yes')
        t.check(code == 0, '%s that fails: given up' % which, '%s\n%s' % (code, err))
    place.remove()
