# SPDX-License-Identifier: Apache-2.0
"""A job that runs every night, played as docs/guide/nightly.md says: the very commands of its systemd unit and of its
crontab, with a `date` of our own, and a kill in the first night."""
import os
import re
import signal
import sqlite3
import subprocess

import harness

PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))), 'docs', 'guide', 'nightly.md')
ROOT = os.path.dirname(os.path.dirname(os.path.dirname(PAGE)))


def page():
    with open(PAGE, encoding='utf-8') as f:
        return f.read()


def found(pattern, text):
    m = re.search(pattern, text, re.M | re.S)
    if not m:
        raise AssertionError('docs/guide/nightly.md: nothing is like %s' % pattern)
    return m.group(1)


def folder(name):
    """The folder of the page, with its job, our program and a date that $NIGHT says."""
    place = harness.Place(name)
    os.symlink(os.path.join(ROOT, 'examples'), place.path('examples'))
    with open(place.path('fleet.yaml'), 'w', encoding='utf-8') as f:
        f.write(found(r'```yaml\n(# fleet\.yaml.*?)```', page()))
    place.env['WH_TEST_STALE_MS'] = '60000'
    os.mkdir(place.path('bin'))
    with open(place.path('bin', 'date'), 'w', encoding='ascii') as f:
        f.write('#!/bin/sh\n[ "$1" = +%F ] && echo "$NIGHT"\n')
    os.chmod(place.path('bin', 'date'), 0o755)
    os.symlink(os.path.abspath(harness.program()), place.path('bin', 'wherry'))
    return place


def night(place, words, date, **extra):
    """What the scheduler does on one date; as it would be told: exit code (negative: signal), words."""
    env = dict(place.env, NIGHT=date, PATH=place.path('bin') + ':' + os.environ['PATH'], **extra)
    p = subprocess.Popen(words, cwd=place.dir, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE)
    code, out, err = harness.finish(p)
    return code, out + err


def whole(place):
    db = sqlite3.connect(place.path('fleet.db'))
    try:
        return [db.execute('select count(*) from ' + t).fetchone()[0] for t in ('planes', 'airlines')] == [3322, 16]
    except sqlite3.Error:
        return False
    finally:
        db.close()


def days(place):
    """Planned times of finished runs, oldest first."""
    db = sqlite3.connect('file:%s?mode=ro' % place.state('state.db'), uri=True)
    got = [r[0] for r in db.execute('select scheduled from run where finished = 1 and state = 6 order by created_us')]
    db.close()
    return [str(d)[:10] for d in got]


def three_nights(t, place, words, again, what):
    """again: whether the scheduler starts what was killed once more in the same night."""
    code, err = night(place, words, '2026-11-01', WH_TEST_KILL='record-after:1')
    t.check(code in (-signal.SIGKILL, 137), what + ': the first night is killed', '%d %s' % (code, err))
    if again:
        code, err = night(place, words, '2026-11-01', WH_TEST_KILL='record-after:1')
        t.check(code == -signal.SIGKILL, what + ': and once more', '%d %s' % (code, err))
    code, err = night(place, words, '2026-11-02')
    t.check(code == 0 and whole(place), what + ': the second night is done', '%d %s' % (code, err))
    t.check(days(place) == ['2026-11-01', '2026-11-02'], what + ': and the first one, before it', days(place))
    code, err = night(place, words, '2026-11-03')
    t.check(code == 0 and whole(place) and days(place)[2:] == ['2026-11-03'], what + ': the third night', '%d %s' % (code, err))
    code, err = night(place, words, '2026-11-03')
    t.check(code == 0 and len(days(place)) == 3, what + ': started twice, the night is done once', '%d %s' % (code, err))
    t.check(place.leftovers() == [], what + ': nothing is left', place.leftovers())


def systemd(t):
    """Red when the unit of the page does not outlive a night that was killed, or does not start again what the page's
    table of exit codes says."""
    place = folder('systemd')
    unit = found(r'```ini\n(# ~/\.config/systemd/user/wherry@\.service.*?)```', page())
    line = found(r"^ExecStart=/bin/sh -c '([^']*)'$", unit).replace('%%', '\0').replace('%i', 'fleet').replace('\0', '%')
    three_nights(t, place, ['/bin/sh', '-c', line], True, 'systemd')
    t.check(os.path.exists(place.path('fleet.summary.json')), 'systemd: a summary')
    forced = found(r'^RestartForceExitStatus=(.*?)$', unit).split()
    t.check(forced == ['5', '7', '10', '143', 'SIGKILL'], 'systemd: what is started again', forced)
    place.remove()


def cron(t):
    """Red when the crontab of the page does not outlive a night that was killed."""
    place = folder('cron')
    line = found(r'^15,35,55 2-4 \* \* \*  (.*?)$', page()).replace('\\%', '%').replace('~/nightly', place.dir)
    three_nights(t, place, ['/bin/sh', '-c', line], False, 'cron')
    place.remove()


def first(t):
    """Red when --resume-first begins a night over an unfinished one that fails, forgets the code of that one, touches one
    that is alive, or tells a program of two runs as if they were one."""
    place = folder('first')
    run = ['wherry', 'run', 'fleet.yaml', '--scheduled']
    for date in ('2026-11-01', '2026-11-02'):
        night(place, run + [date], date, WH_TEST_KILL='record-after:1')
    code, err = night(place, run + ['2026-11-02'], '')
    t.check(code == 2 and 'E7005' in err, 'without it the tables are held', err)
    os.rename(place.path('fleet.db'), place.path('away.db'))
    os.mkdir(place.path('fleet.db'))
    code, err = night(place, run + ['2026-11-02', '--resume-first', '--summary', 's.json'], '')
    t.check(code not in (0, 3, 4, 8) and days(place) == [], 'one that fails again: nothing is begun', '%d %s' % (code, err))
    os.rmdir(place.path('fleet.db'))
    os.rename(place.path('away.db'), place.path('fleet.db'))
    code, err = night(place, run + ['2026-11-03', '--resume-first', '--json'], '')
    ends = [e for e in harness.events(err) if e.get('type') == 'run_finished']
    t.check(code == 0 and len(ends) == 2 and len({e['run'] for e in ends}) == 2 and days(place) == ['2026-11-01', '2026-11-03'],
            'one after the other, each with its end', '%d %s %s' % (code, days(place), err))
    code, err = night(place, ['wherry', 'run', '--plan', 'x.json', '--resume-first'], '')
    t.check(code == 2 and 'not for a plan' in err, 'a plan has its own run', err)
    p = place.start('run', 'fleet.yaml', '--scheduled', '2026-11-04', WH_TEST_STOP='lease-after:1')
    t.check(harness.wait_stopped(p, 20), 'one is alive')
    code, err = night(place, run + ['2026-11-05', '--resume-first'], '')
    t.check(code == 10 and 'E7006' in err, 'it is left alone', '%d %s' % (code, err))
    p.send_signal(signal.SIGCONT)
    t.check(harness.finish(p)[0] == 0, 'and ends well')
    place.remove()
