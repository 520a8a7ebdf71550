# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every named point that a case reaches, then resume without help. Controls: markers off
and the snapshot not entered again must go red, else the kills did not hit the window."""
import signal
import time

import cases
import hardctl
import harness


def trial(t, bench, phase_of, name, nth, again):
    """One run that dies at name:nth, perhaps once more while it is resumed, and then ends."""
    case = bench.case
    args = bench.copy()
    bench.fresh()
    code, out, err = bench.place.run(*args, WH_TEST_KILL='%s:%d' % (name, nth))
    killed, said = code == -signal.SIGKILL, err
    if killed:
        t.kills[phase_of[name]] += 1
    # Lanes race: which unit comes last, and whether a point is passed as often, is not fixed.
    if not t.check(killed or (code == 0 and nth > 1), '%s: nobody was killed at %s:%d' % (case.name, name, nth),
                   '%s\n%s' % (code, err)):
        return
    if killed and again:
        code, out, err = bench.place.run('resume', '--json', WH_TEST_KILL=again)
        said += err
        if code == -signal.SIGKILL:
            t.kills[phase_of[again.split(':')[0]]] += 1
    what = '%s, %d rows: killed at %s:%d%s' % (case.name, bench.rows, name, nth, ', then at ' + again if again else '')
    event = harness.finished(out)
    if killed:
        code, event, more = cases.to_the_end(bench, args)
        said += more
    # Rows that were committed before the kill are of one instant, the others of another: said so.
    mixed = not case.re_enter and 'mixed' in (event.get('snapshot') or '')
    ended = code is None  # before it was killed, or by the resume that was killed
    why = 'exit %s' % code if code else bench.judge(total=False if mixed else None, ended=ended)
    if why is None and not ended:
        why = cases.went_well(event, bench.rows)
    t.check(why is None, what, '%s\n%s' % (why, said))
    t.notes['mixed' if mixed else 'one instant'] += 1


def every_point(t, name, size, first):
    """first: the first hit of each point, else a later one. With a writer on the source."""
    phase_of = dict(harness.kill_points())
    with cases.Bench(cases.BY_NAME[name], size) as bench:
        seen = harness.reached(bench.place, bench.copy(), bench.place.path('points.log'))
        t.check(bench.judge() is None, '%s: the undisturbed run' % name, bench.judge())
        t.notes.update({'reached ' + p: 1 for p in seen})
        bench.busy()
        points = [p for p in phase_of if seen[p] > (0 if first else 1)]
        for point in points[::1 if first else harness.depth('WH_TEST_LATER_STEP', 2)]:
            nth = 1 if first else t.rng.randint(2, seen[point])
            again = None
            if t.rng.random() < 0.25:
                again = '%s:%d' % (t.rng.choice(points), t.rng.randint(1, 2))
            trial(t, bench, phase_of, point, nth, again)


def control_markers(t, name):
    """Without markers a kill between commit and record must double rows (class T). Class P has its
    marker in the staged file: forgotten, it is staged twice, and only the record keeps it single."""
    case = cases.BY_NAME[name]
    with cases.Bench(case, cases.SMALL) as bench:
        args = bench.copy(dst={'marker': 'off'})
        code, _, err = bench.place.run(*args, WH_TEST_KILL='commit-after:2')
        if not t.check(code == -signal.SIGKILL, '%s control: killed' % name, '%s\n%s' % (code, err)):
            return
        if case.klass == 'P':
            code, _, err = bench.place.run('resume', WH_TEST_KILL='published:1')
            t.check(code == -signal.SIGKILL, '%s control: killed after publishing' % name, '%s\n%s' % (code, err))
            problems = []
            staged = sum(1 for _ in staged_rows(bench.dst))
            t.check(staged > bench.rows, '%s: control without markers: nothing was staged twice' % name, staged)
            shown = len(hardctl.table_rows(bench.dst, 'copy', problems))
            t.check(shown == bench.rows, '%s: only what was recorded is published' % name, (shown, problems))
            return
        code, event, said = cases.resume(bench.place)
        why = bench.judge()
        red = code != 0 or (why is not None and ('doubled' in why or 'sum' in why))
        t.check(red, '%s: control without markers must go red' % name, '%s\n%s\n%s' % (code, why, said))
        print('control markers off, %s: %s' % (name, why if code == 0 else 'exit %s, %s' % (code, why)))


def staged_rows(dst):
    import glob
    import os
    for path in glob.glob(os.path.join(dst, 'files', 'copy', 'part-*.part')):
        if '-k' in os.path.basename(path) or not glob.glob(path[:-5] + '-k*.part'):
            yield from (line for line in hardctl.json_lines(path))


def control_snapshot(t, name):
    """The snapshot is not entered again after the kill while money moves: the sum must be wrong (or
    rows missing, where splits are places), and no word of two instants is said."""
    case = cases.BY_NAME[name]
    red, words = 0, []
    for attempt in range(3):
        with cases.Bench(case, cases.SMALL) as bench:
            bench.busy(pause_ms=0)
            args = bench.copy(src={'snapshot': 'off'})
            code, _, err = bench.place.run(*args, WH_TEST_KILL='record-after:3')
            if not t.check(code == -signal.SIGKILL, '%s control: killed' % name, '%s\n%s' % (code, err)):
                return
            time.sleep(0.3)
            code, event, said = cases.resume(bench.place)
            bench.quiet()
            why = bench.judge(state=False, allow=('copies', 'holders'))
            words.append('%s, %s' % (code, why))
            if code == 0 and why and ('sum' in why or 'doubled' in why or 'missing' in why):
                red += 1
                break
    t.check(red, '%s: control without entering the snapshot again must go red' % name, words)
    print('control snapshot not entered, %s: %s' % (name, words[-1]))
