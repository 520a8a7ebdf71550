# SPDX-License-Identifier: Apache-2.0
"""limit, watch, logs, unlock, gc, state: runs that go, have ended, or were killed."""
import json
import os
import re
import signal
import sqlite3
import time

import harness
from terminal import Terminal

SLOW = ['gen:lineitem?rows=400000,seed=3', 'out.db#l', '--rate', '2MB/s']


def run_of(place, p=None, seconds=20):
    """The id of the newest run that is under way. p: the process that was started for it: one that has ended begins
    nothing any more. What was seen instead is told."""
    end = time.time() + seconds
    code, out, err = None, '', ''
    while time.time() < end:
        ended = p is not None and p.poll() is not None
        code, out, err = place.run('status', '--json')
        found = [e['run'] for e in harness.events(out) if e.get('status') == 'running']
        if code == 0 and found:
            return found[0]
        if ended:
            break
        time.sleep(0.05)
    what = 'status: exit %s\n%s%s\nhistory:\n%s' % (code, out, err, place.run('history', '--json')[1])
    if p is not None and p.poll() is not None:
        what += '\nits process: exit %d\n%s%s' % harness.finish(p)
    raise AssertionError('no run is seen as running\n' + what)


def at_once(t):
    """Red when one of those that make the state at the same moment is told that it is locked."""
    place = harness.Place('at-once')
    with open(place.path('a.csv'), 'w', encoding='ascii') as f:
        f.write('id\n1\n')
    wrong = []
    for i in range(10 if harness.fast() else 40):
        place.forget()
        words = [['status'], ['history'], ['copy', 'a.csv', 'out.db#t%d' % i], ['status', '--json'], ['copy', 'a.csv', 'null:']]
        wrong += [r for r in [harness.finish(p, 60) for p in [place.start(*w) for w in words]] if r[0] != 0]
    t.check(not wrong, 'five commands on a state that is not there yet', wrong[:3])
    place.remove()


def rows(place, table='l'):
    db = sqlite3.connect(place.path('out.db'), timeout=20)
    n = db.execute('select count(*) from "%s"' % table).fetchone()[0]
    db.close()
    return n


def killed(place, *words, after=1.0):
    """A run that was killed in mid-copy; its id."""
    p = place.start('copy', *words)
    run = run_of(place, p)
    time.sleep(after)
    p.send_signal(signal.SIGKILL)
    harness.end(p)
    return run


def limit(t):
    """Red when a running run does not take a new pace, forgets it over a kill, or takes nonsense."""
    place = harness.Place('limit')
    p = place.start('copy', *SLOW)
    run = run_of(place, p)
    time.sleep(1)
    t.check(p.poll() is None, 'it goes at its pace')
    code, out, err = place.run('limit', run, '--rate', 'none', '-j', '1')
    t.check(code == 0 and 'sees that' in err, 'limit', err)
    t.check(harness.gone(p, 30), 'without a rate it ends soon')
    code, _, err = harness.finish(p)
    t.check(code == 0 and rows(place) == 400000, 'and whole', err)
    code, _, err = place.run('limit', run, '--rate', '1MB/s')
    t.check(code == 2 and 'is over' in err, 'a run that is over', err)
    for words, why in ((['--rate', '0'], 'rate'), (['-j', '0'], 'parallel'), (['--memory', '1MB'], 'memory'),
                       (['--rate', 'fast'], 'rate'), ([], 'missing'), (['--strict'], 'does not take')):
        code, _, err = place.run('limit', run, *words)
        t.check(code == 2 and (why in err or 'is over' in err), 'limit %s' % words, err)
    os.remove(place.path('out.db'))
    run = killed(place, *SLOW)
    code, out, err = place.run('limit', run, '--rate', '50kB/s', '--json')
    t.check(code == 0 and json.loads(out)['running'] is False, 'for a run that is not running', err)
    code, out, _ = place.run('limit', run, '--rows-per-second', '1e6', '--json')
    t.check(json.loads(out)['limits'] == {'rate': '50kB/s', 'rows_per_second': '1e6'}, 'one after the other', out)
    p = place.start('resume', run)
    run_of(place, p)
    time.sleep(4)
    t.check(p.poll() is None, 'its resume keeps to it')
    place.run('limit', run, '--rate', 'none')
    t.check(harness.gone(p, 60), 'until it is lifted')
    code, _, err = harness.finish(p)
    t.check(code == 0 and rows(place) == 400000, 'whole, once', '%s %d' % (err, rows(place)))
    os.remove(place.path('out.db'))
    run = killed(place, *SLOW)
    place.run('limit', run, '--rate', '1kB/s')
    code, _, err = place.run('resume', run, '--rate', '1GB/s')
    t.check(code == 0 and rows(place) == 400000, 'what resume says is newer', err)
    t.check(place.leftovers() == [], 'nothing is left', place.leftovers())
    place.remove()


def speed(t):
    """Red when a resumed run shows what an earlier attempt did as speed of its own, or a rate below zero."""
    place = harness.Place('speed')
    scale = {'k': 1e3, 'M': 1e6, 'G': 1e9, '': 1}
    for point in ('commit-after:1', 'record-after:1'):
        place.forget()
        code, _, err = place.run('copy', 'gen:lineitem?rows=600000', point[:6] + '.db', '-j', '1', '-q', WH_TEST_KILL=point)
        t.check(code == -9, 'killed with a unit in', '%d %s' % (code, err))
        code, _, err = place.run('resume', '--rate', '20MB/s', '--stats', '200ms')
        rates = [float(n) * scale[u] for n, u in re.findall(r'(-?[\d.]+) ([kMG]?)B/s written', err)]
        rows = [float(n) * scale[u] for n, u in re.findall(r'(-?[\d.]+)([kM]?) rows/s  [\d.]+ [kM]?B/s', err)]
        t.check(code == 0 and len(rates) > 1 and min(rates + rows) >= 0 and max(rates) < 60e6 and max(rows) < 1e6,
                'speed of this attempt alone, ' + point, '%d %s' % (code, err))
    place.remove()


def watch(t):
    """Red when watch does not show a run of another process, does not end with it and its code, or its
    block is not drawn over on a terminal."""
    place = harness.Place('watch')
    code, _, err = place.run('watch')
    t.check(code == 2 and 'nothing runs' in err, 'nothing to watch', err)
    p = place.start('copy', *SLOW)
    run = run_of(place, p)
    w = place.start('watch', '--stats', '300ms', '--json')
    term = Terminal(place, 'sh')
    term.type('wherry watch ' + run[:14] + '; echo code $?')
    term.key('Enter')
    text, ok = term.wait(lambda s: run in s and 'rows in committed units' in s)
    t.check(ok, 'on a terminal', text)
    time.sleep(2.5)
    text = term.screen()
    t.check(text.count('rows in committed units') == 1, 'one block, drawn over', text)
    place.run('limit', run, '--rate', 'none')
    text, ok = term.wait(lambda s: re.search(r'^code 0', s, re.M), 60)
    t.check(ok and 'exit 0' in text, 'ends with the run', text)
    term.close()
    harness.gone(p, 30)
    code, out, _ = harness.finish(w)
    seen = [e['status'] for e in harness.events(out)]
    t.check(code == 0 and len(seen) > 2 and seen[0] == 'running' and seen[-1] == 'done', 'as lines of JSON', seen[-3:])
    harness.finish(p)
    code, out, _ = place.run('watch', run)
    t.check(code == 0 and 'exit 0' in out, 'a run that is over', out)
    os.remove(place.path('out.db'))
    run = killed(place, *SLOW)
    code, out, err = place.run('watch', run)
    t.check(code == 5 and 'wherry resume' in out + err, 'a run whose process has gone', out + err)
    t.check(place.run('watch', 'r-nothing')[0] == 2 and place.run('watch', run, '--stats', 'x')[0] == 2, 'nonsense')
    place.remove()


def logs(t):
    """Red when what happened in a run is not kept, is kept for others to read, or is printed wrongly."""
    place = harness.Place('logs')
    code, _, err = place.run('logs')
    t.check(code == 2 and 'no run' in err, 'no run yet', err)
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('id\n' + ''.join('%d\n' % i for i in range(5)) + 'x\n')
    code, out, _ = place.run('copy', 'a.csv', 'out.db', '--types', 'id=int64', '--json')
    run = harness.finished(out)['run']
    t.check(code == 6, 'a dirty row too many', out)
    code, out, err = place.run('logs')
    t.check(code == 0 and 'run_started' in out and 'E6' in out and 'run_finished' in out and ' exit 6' in out, 'its log', out + err)
    code, js, _ = place.run('logs', run, '--json')
    kinds = [e['type'] for e in harness.events(js)]
    t.check(kinds[0] == 'run_started' and kinds[-1] == 'run_finished' and 'progress' not in kinds, 'as events', kinds)
    t.check(len(out.splitlines()) == len(kinds), 'a line each')
    code, last, _ = place.run('logs', run, '-n', '1')
    t.check(last.splitlines() == out.splitlines()[-1:], 'the last line', last)
    code, two, _ = place.run('logs', run, '-n', '2', '--json')
    t.check(two.splitlines() == js.splitlines()[-2:], 'the last two', two)
    path = place.state('logs', run + '.jsonl')
    t.check(os.stat(path).st_mode & 0o077 == 0, 'for the owner only')
    code, _, _ = place.run('resume', run, '--dirty', 'rows=1')
    code, js, _ = place.run('logs', run, '--json')
    t.check(len([e for e in harness.events(js) if e['type'] == 'run_finished']) == 2, 'its resume goes on in it', js)
    with open(path, 'ab') as f:
        f.write(b'{"type": "torn')
    code, out, _ = place.run('logs', run)
    t.check(code == 0 and 'torn' not in out, 'a line cut by a crash', out)
    os.remove(path)
    code, _, err = place.run('logs', run)
    t.check(code == 2 and 'no log' in err, 'a log that is gone', err)
    t.check(place.run('logs', '-n', '0')[0] == 2, '-n 0')
    os.rmdir(place.state('logs'))
    with open(place.state('logs'), 'w', encoding='ascii') as f:
        f.write('in the way')
    code, _, err = place.run('copy', 'gen:lineitem?rows=10', 'null:')
    t.check(code == 0 and 'cannot be kept' in err, 'a log that cannot be kept is said, no more', err)
    place.remove()


def unlock(t):
    """Red when a living owner is disturbed, a dead one's target goes without consent, or a run that was
    given up can still be resumed and write over its successor."""
    place = harness.Place('unlock')
    code, _, err = place.run('unlock', 'out.db')
    t.check(code == 2 and 'nothing is held' in err, 'nothing held', err)
    p = place.start('copy', *SLOW)
    run = run_of(place, p)
    end = time.time() + 10
    while place.run('unlock', 'out.db')[0] == 2 and time.time() < end:
        time.sleep(0.1)
    code, out, err = place.run('unlock', 'out.db', '--yes')
    t.check(code == 10 and run in out and 'living' in out and str(p.pid) in out, 'a living owner', out + err)
    p.send_signal(signal.SIGKILL)
    harness.end(p)
    code, out, err = place.run('copy', 'gen:lineitem?rows=10', 'out.db#l')
    t.check(code == 2 and run in err, 'the target of a dead run is refused', err)
    code, out, err = place.run('unlock', 'out.db')
    t.check(code == 2 and 'E1012' in err and 'resume ' + run in err and '--discard' in err, 'nobody is asked: nothing goes', err)
    t.check(place.run('resume', run, '--rate', '1kB/s', '--max-duration', '1s')[0] == 7, 'it can still be resumed')
    code, out, err = place.run('state', 'show')
    t.check(code == 0 and 'unfinished 1' in out and run in out and 'gone' in out, 'state show', out)
    code, out, err = place.run('unlock', 'out.db', '--yes')
    t.check(code == 0 and 'given up' in err, 'with consent', err)
    code, _, err = place.run('resume', run)
    t.check(code == 2 and 'E7013' in err, 'a run that was given up is not resumed', err)
    new = ['copy', 'gen:lineitem?rows=10', 'out.db#l', '--mode', 'overwrite', '-q']
    code, _, err = place.run(*new)
    t.check(code == 2 and '--fresh --yes' in err, "the destination's own hold is said", err)
    code, _, err = place.run(*new, '--fresh', '--yes')
    t.check(code == 0 and rows(place) == 10, 'its target is free', err)
    code, out, _ = place.run('state', 'show')
    t.check('unfinished 0' in out and 'held' not in out, 'and nothing is held', out)
    for verb, want in (('set', 'E1014'), ('reset', 'E1014'), ('move', 'E1014'), ('shwo', 'E1011')):
        code, _, err = place.run('state', verb)
        t.check(code == 2 and want in err, 'state %s' % verb, err)
    t.check(place.run('state', 'show', 'nojob')[0] == 2, 'an unknown job')
    place.remove()


def gc(t):
    """Red when an unfinished or a young run goes, files of an old one stay, or --dry-run removes."""
    place = harness.Place('gc')
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('id\n1\nx\n')
    code, out, err = place.run('copy', 'a.csv', 'out.db#old', '--types', 'id=int64', '--dirty', 'rows=1', '--json')
    old = harness.finished(out)['run']
    t.check(code == 0 and os.path.isdir(place.state('dirty', old)), 'an archive', err)
    place.run('copy', 'a.csv', 'null:', '-q')
    code, out, _ = place.run('gc', '--json')
    t.check(code == 0 and json.loads(out) == {'v': 1, 'dry_run': False, 'runs': 0, 'files': 0, 'bytes': 0}, 'young ones stay', out)
    db = sqlite3.connect(place.state('state.db'))
    db.execute('update run set ended_us = ended_us - 40 * 86400000000 where run = ?', (old,))
    db.commit()
    db.close()
    dead = killed(place, *SLOW)
    code, out, _ = place.run('gc', '--dry-run')
    t.check(code == 0 and old in out and dead not in out and '1 run and 2 files' in out and 'would' in out, 'dry', out)
    t.check(place.run('status', old)[0] == 0 and os.path.isdir(place.state('dirty', old)), 'nothing went')
    code, out, _ = place.run('gc')
    t.check(code == 0 and '1 run and 2 files' in out and 'removed' in out, 'gc', out)
    t.check(place.run('status', old)[0] == 2 and not os.path.exists(place.state('dirty', old)) and
            not os.path.exists(place.state('logs', old + '.jsonl')), 'all of it went')
    t.check(place.run('gc', '--all')[0] == 2, '--all wants consent')
    t.check(place.run('gc', '--older', 'x')[0] == 2, 'nonsense')
    code, out, _ = place.run('gc', '--all', '--yes', '--json')
    t.check(code == 0 and json.loads(out)['runs'] == 1, 'every finished one', out)
    code, _, err = place.run('resume', dead, '--rate', '1GB/s')
    t.check(code == 0 and rows(place) == 400000, 'the unfinished one goes on', err)
    place.remove()
