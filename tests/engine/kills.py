# SPDX-License-Identifier: Apache-2.0
"""kill -9 at every named point that a case reaches, then resume without help. Controls: markers off
and the snapshot not entered again must go red, else the kills did not hit the window."""
import signal
import time

import cases
import hardctl
import harness


PUBLISHED = ['publish-step-applied', 'publish-step-recorded', 'published'] + [
    name for name, phase in harness.kill_points() if phase == 'close']


def what_shows(bench, point, nth):
    """The plan's words about a kill: class T "committed units stay; open ones leave nothing", class P
    "nothing is visible" before it is published, and all of it afterwards. None if they are true."""
    problems = []
    ids = [r[0] for r in hardctl.table_rows(bench.dst, 'copy', problems)]
    if problems or len(ids) != len(set(ids)):
        return '%d rows show, %d of them distinct; %s' % (len(ids), len(set(ids)), problems)
    published = point in PUBLISHED or (point, nth) == ('snapshot-released', 2)
    if bench.case.klass == 'P' and len(ids) != (bench.rows if published else 0):
        return '%d rows show' % len(ids)
    return None


def trial(t, bench, phase_of, name, nth, again):
    """One run that dies at name:nth, perhaps once more while it is resumed, and then ends."""
    case = bench.case
    args = bench.copy('--json')
    bench.fresh()
    code, out, err = bench.place.run(*args, WH_TEST_KILL='%s:%d' % (name, nth))
    killed, said = code == -signal.SIGKILL, err
    if killed:
        t.kills[phase_of[name]] += 1
    # Lanes race: which unit comes last, and whether a point is passed as often, is not fixed.
    if not t.check(killed or (code == 0 and nth > 1), '%s: nobody was killed at %s:%d' % (case.name, name, nth),
                   '%s\n%s' % (code, err)):
        return
    if killed:
        t.check(what_shows(bench, name, nth) is None, '%s: what shows after a kill at %s:%d' % (case.name, name, nth),
                what_shows(bench, name, nth))
    parted = killed and cases.partly(bench)
    if killed and again:
        code, out, err = bench.place.run('resume', '--json', WH_TEST_KILL=again)
        said += err
        if code == -signal.SIGKILL:
            t.kills[phase_of[again.split(':')[0]]] += 1
            parted = parted or cases.partly(bench)
    what = '%s, %d rows: killed at %s:%d%s' % (case.name, bench.rows, name, nth, ', then at ' + again if again else '')
    event = harness.finished(out)
    if code != 0:
        code, event, more = cases.to_the_end(bench, args)
        said += more
    # Rows that were committed before the kill are of one instant, the others of another: said so.
    ended = code is None  # before it was killed, or by the resume that was killed
    mixed = not case.re_enter and 'mixed' in (cases.recorded_snapshot(bench.place) if ended else event['snapshot'])
    why = 'exit %s' % code if code else bench.judge(total=False if mixed else None, ended=ended)
    if why is None and not ended:
        why = cases.went_well(event, bench.rows)
    if why is None and not case.re_enter and mixed != parted:
        why = 'it says %s, and rows of %s were there when it was killed' % (
            'mixed' if mixed else 'one instant', 'one part' if parted else 'none or all')
    if why is None and case.re_enter and 'mixed' in cases.recorded_snapshot(bench.place):
        why = 'it says that it was read at several instants'
    if why is None and not ended and event['tables'][0]['snapshot'] != event['snapshot']:
        why = 'run and table tell of other instants: %s, %s' % (event['snapshot'], event['tables'][0]['snapshot'])
    t.check(why is None, what, '%s\n%s' % (why, said))
    t.notes[bench.case.name + ': ' +'mixed' if mixed else 'one instant'] += 1


def every_point(t, name, size, first):
    """first: the first hit of each point, else a later one. With a writer on the source."""
    phase_of = dict(harness.kill_points())
    with cases.Bench(cases.BY_NAME[name], size) as bench:
        seen = harness.reached(bench.place, bench.copy(), bench.place.path('points.log'))
        t.check(bench.judge() is None, '%s: the undisturbed run' % name, bench.judge())
        t.notes.update({'reached ' + p: 1 for p in seen})
        bench.busy()
        points = [p for p in phase_of if seen[p] > (0 if first else 1)]
        points = points[::1 if first else harness.depth('WH_TEST_LATER_STEP', 2)]
        if harness.fast():  # two instants and a lookup are always among them
            points = harness.sample(t.rng, phase_of, points, 9 if first else 3,
                                    ('commit-after', 'record-after') if first else ())
        for point in points:
            nth = 1 if first else t.rng.randint(2, seen[point])
            again = None
            if t.rng.random() < 0.25:
                again = '%s:%d' % (t.rng.choice(points), t.rng.randint(1, 2))
            trial(t, bench, phase_of, point, nth, again)


def last_unit(t):
    """Killed with all but a few units committed, and again when the next one is, but not recorded: it was
    read at a second instant, which only its lease tells the third process."""
    phase_of = dict(harness.kill_points())
    with cases.Bench(cases.BY_NAME['sessions'], cases.SMALL) as bench:
        units = harness.reached(bench.place, bench.copy(), bench.place.path('points.log'))['commit-after']
        bench.busy()
        for nth in range(max(1, units - 3), units + 1):
            trial(t, bench, phase_of, 'commit-after', nth, 'commit-after:1')
    t.check(t.notes['sessions: mixed'] > 0, 'the last unit: no second instant was read')


def control_markers(t, name):
    """Without markers a kill between commit and record must double rows."""
    case = cases.BY_NAME[name]
    with cases.Bench(case, cases.SMALL) as bench:
        args = bench.copy(dst={'marker': 'off'})
        code, _, err = bench.place.run(*args, WH_TEST_KILL='commit-after:2')
        if not t.check(code == -signal.SIGKILL, '%s control: killed' % name, '%s\n%s' % (code, err)):
            return
        code, event, said = cases.resume(bench.place)
        why = bench.judge()
        # hard-ordered sees the second writing itself, and refuses it: such a run never ends.
        red = why is not None and 'doubled' in why if code == 0 else name == 'ordered' and 'E9003' in said
        t.check(red, '%s: control without markers must go red' % name, '%s\n%s\n%s' % (code, why, said))
        print('control markers off, %s: %s' % (name, why if code == 0 else 'exit %s, %s' % (code, why)))


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
