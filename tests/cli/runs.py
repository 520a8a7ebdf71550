# SPDX-License-Identifier: Apache-2.0
"""A run, again, and its exit code (INTERFACE 5 and 6): what counts as finished, what may change when a run goes on, what
needs consent, and which code wins of several."""
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time

import harness
from steer import run_of

# Jobs by the exit code with which they end, each alone in a folder of its own.
CSV = {'good.csv': 'id\n1\n2\n', 'bad.csv': 'id,v\n1,2\n2,x\n', 'none.csv': 'id\n', 'full.csv': 'id\n9\n'}
JOBS = {
    0: "{ from: good.csv, to: 'null:' }\n",
    1: "{ from: none.csv, to: 'keep.db#k', write: { mode: overwrite } }\n",
    2: "{ from: good.csv, to: 'null:', columns: [nix] }\n",
    3: "{ from: bad.csv, to: 'null:', types: { v: int64 }, dirty: { rows: 5 } }\nrun: { strict: true }\n",
    4: "{ from: good.csv, to: 'keep.db#more', write: { mode: overwrite, after: update more set id = 7 }, validate: checksum }\n",
    5: "{ from: 'postgresql://u:p@127.0.0.1:1/d#t', to: 'null:' }\n",
    6: "{ from: bad.csv, to: 'null:', types: { v: int64 } }\n",
    7: "{ from: 'gen:lineitem?rows=100000,seed=3', to: 'null:' }\nrun: { limits: { rate: 100kB/s, max_duration: 300ms } }\n",
    8: "{ from: none.csv, to: 'null:' }\nrun: { error_on_empty: true }\n",
}
ORDER = [130, 143, 2, 10, 5, 7, 9, 1, 6, 4, 3, 0]     # of several, the first of these; 8 only if all are


def folder(name):
    place = harness.Place(name)
    for path, text in CSV.items():
        with open(place.path(path), 'w', encoding='utf-8') as f:
            f.write(text)
    for code, text in JOBS.items():
        with open(place.path('j%d.yaml' % code), 'w', encoding='utf-8') as f:
            f.write('version: 1\nstreams:\n  - ' + text)
    place.run('copy', 'full.csv', 'keep.db#k', '-q')
    place.run('copy', 'full.csv', 'keep.db#more', '-q')
    return place


def expected(codes):
    return next((c for c in ORDER if c in codes), 8)


def several(t):
    """Red when of several jobs or tables another code than the first of INTERFACE 6 wins, or a table does not tell its
    own."""
    place = folder('several')
    for code in JOBS:
        got, _, err = place.run('run', 'j%d.yaml' % code, '-q')
        t.check(got == code, 'job %d alone' % code, err)
        if got != code:
            place.remove()
            return
        discard(place)
    codes = sorted(JOBS)
    pairs = [(a, b) for a in codes for b in codes if a != b and 7 not in (a, b)] + [(7, 0), (6, 7), (7, 5), (1, 7)]
    for a, b in pairs:
        got, _, err = place.run('run', 'j%d.yaml' % a, 'j%d.yaml' % b, '-q')
        t.check(got == expected({a, b}), '%d and %d' % (a, b), '%d, not %d\n%s' % (got, expected({a, b}), err))
        discard(place)
    place.remove()
    tables(t)


def discard(place):
    """No run stays unfinished: the next one is a new one."""
    for e in harness.events(place.run('history', '--json')[1]):
        if e.get('status') not in ('done', 'discarded'):
            place.run('cancel', e['run'], '--discard', '--yes')


def tables(t):
    """Tables of one run: each has its own code, the worst is the run's."""
    rows = {0: "{ name: s0, from: good.csv, to: 'null:' }", 6: "{ name: s6, from: bad.csv, to: 'null:', types: { v: int64 } }",
            1: "{ name: s1, from: none.csv, to: 'keep.db#k', write: { mode: overwrite } }",
            3: "{ name: s3, from: bad.csv, to: 'null:', types: { v: int64 }, dirty: { rows: 9 } }"}
    for chosen in ((0, 3), (0, 6), (3, 6), (1, 6), (0, 1, 3, 6)):
        place = folder('tables')
        with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write('version: 1\nstreams:\n' + ''.join('  - %s\n' % rows[c] for c in chosen) + 'run: { strict: true }\n')
        code, out, err = place.run('run', 'j.yaml', '--json')
        last = harness.finished(out)
        own = {x['stream']: x['exit'] for x in last.get('tables', [])}
        t.check(code == expected(set(chosen)) == last.get('exit'), 'tables %s: the run' % (chosen,), '%s %s' % (code, err))
        t.check(own == {'s%d' % c: c for c in chosen}, 'tables %s: their own' % (chosen,), own)
        place.remove()
    for empties, want in ((2, 8), (1, 0)):
        place = folder('empties')
        with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write('version: 1\nstreams:\n  - { name: a, from: none.csv, to: "null:" }\n  - { name: b, from: %s, to: "null:" }\n'
                    'run: { error_on_empty: true }\n' % ('none.csv' if empties == 2 else 'good.csv'))
        code, _, err = place.run('run', 'j.yaml')
        t.check(code == want, '%d of 2 tables are empty: %d' % (empties, want), '%d %s' % (code, err))
        place.remove()


def finished(t):
    """Red when a run that ended with 0, 3, 4 or 8 is done again under its name, or one that was refused is not."""
    for code in (0, 3, 4, 8):
        place = folder('finished')
        words = ['run', 'j%d.yaml' % code, '--scheduled', '2024-02-03']
        got, out, err = place.run(*words, '--json')
        first = harness.finished(out)
        t.check(got == code, 'first: %d' % code, err)
        got, out, err = place.run(*words)
        t.check(got == 0 and 'nothing was moved' in err and 'exit %d' % code in err, '%d: finished; again: 0, and the old words' % code,
                '%d %s' % (got, err))
        t.check(place.run('resume', first.get('run', ''))[0] == 2, '%d: not to be resumed' % code)
        got, out, _ = place.run('run', 'j%d.yaml' % code, '--scheduled', '2024-02-04', '--json')
        t.check(got == code and harness.finished(out).get('run') not in (None, first.get('run')), '%d: another time is another run' % code)
        got, out, _ = place.run(*words, '--again', '--json')
        t.check(got == code and harness.finished(out).get('run') not in (None, first.get('run')), '%d: --again' % code)
        place.remove()
    place = folder('refused')
    words = ['run', 'j2.yaml', '--scheduled', '2024-02-03']
    t.check([place.run(*words)[0] for _ in range(2)] == [2, 2], 'refused twice: refused twice')
    with open(place.path('j2.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{ from: good.csv, to: 'out.db' }]\n")
    code, out, err = place.run(*words, '--json')
    t.check(code == 0 and harness.finished(out).get('rows_written') == 2, 'mended: it runs', err)
    place.remove()
    parameters(t)


def parameters(t):
    """Parameters are part of a run's name."""
    place = harness.Place('params')
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('id\n1\n')
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nparams: { day: { type: date, default: '2024-01-01' } }\nstreams: [{ from: a.csv, to: 'out.db#t', columns: [id, "
                "{ to: day, value: '${day}' }] }]\n")
    for words in ([], ['--set', 'day=2024-01-02'], [], ['--set', 'day=2024-01-02'], ['--set', 'day=2024-01-01']):
        place.run('run', 'j.yaml', '--scheduled', '2024-05-05', *words)
    db = sqlite3.connect(place.path('out.db'))
    got = db.execute('select day, count(*) from t group by 1 order by 1').fetchall()
    t.check(got == [('2024-01-01', 1), ('2024-01-02', 1)], 'one run for each day, however it is said', got)
    db.close()
    place.remove()


MAY = [['--dirty', 'rows=2'], ['--rate', '1GB/s'], ['-j', '1'], ['--memory', '300MB'], ['--max-duration', '1h'],
       ['--lock-wait', '1s'], ['--accept-mixed'], ['--rows-per-second', '1000000']]
MAY_NOT = [['--strict'], ['--error-on-empty'], ['--checksum', 'bytes'], ['--mode', 'overwrite'], ['--where', 'id > 1'], ['--key', 'id'],
           ['--validate', 'count'], ['--columns', 'id'], ['--atomic', 'table'], ['--from', 'header=false'], ['--set', 'a=b'],
           ['--dry-run'], ['--fresh'], ['--again'], ['--run-id', 'x'], ['--scheduled', '2024-01-01']]


def goes_on(t):
    """Red when resume refuses what it may change, or takes what it may not."""
    for words in MAY:
        place = harness.Place('goes-on')
        place.run('copy', 'gen:lineitem?rows=2000', 'out.db', WH_TEST_KILL='commit-after:1')
        code, _, err = place.run('resume', *words)
        t.check(code == 0, 'resume %s' % words, err)
        place.remove()
    place = harness.Place('goes-on')
    place.run('copy', 'gen:lineitem?rows=2000', 'out.db', WH_TEST_KILL='commit-after:1')
    for words in MAY_NOT:
        code, _, err = place.run('resume', *words)
        t.check(code == 2 and (words[0] in err or 'cannot be changed' in err), 'resume %s is refused' % words, '%d %s' % (code, err))
    t.check(place.run('resume')[0] == 0, 'and goes on as it began')
    place.remove()


def consent(t):
    """Red when something that needs --yes goes without it where nobody can be asked, or anything else asks for it."""
    place = folder('consent')

    def both(what, words, before=None, done=None):
        if before:
            before()
        code, _, err = place.run(*words)
        t.check(code == 2 and '--yes' in err, what + ': refused without --yes', '%d %s' % (code, err))
        code, _, err = place.run(*words, '--no-input')
        t.check(code == 2 and '--yes' in err, what + ': and with --no-input', '%d %s' % (code, err))
        code, _, err = place.run(*words, '--yes')
        t.check(code == 0 and (done is None or done()), what + ': --yes', '%d %s' % (code, err))

    def rows(table):
        db = sqlite3.connect(place.path('keep.db'))
        got = db.execute('select * from "%s"' % table).fetchall()
        db.close()
        return got
    both('recreate of a table with other columns', ['copy', 'good.csv', 'keep.db#v', '--mode', 'overwrite', '--create', 'recreate'],
         lambda: place.run('copy', 'bad.csv', 'keep.db#v', '-q'), lambda: rows('v') == [(1,), (2,)])
    code, _, err = place.run('copy', 'bad.csv', 'keep.db#v', '--mode', 'overwrite', '--create', 'recreate')
    t.check(code == 0 and len(rows('v')[0]) == 2, 'nothing goes with it: no consent is needed', err)
    code, out, _ = place.run('plan', 'good.csv', 'keep.db#v', '--mode', 'overwrite', '--create', 'recreate')
    t.check(code == 0 and '--yes' in out and 'columns v' in out, 'the plan says it before', out)
    big = ['copy', 'gen:lineitem?rows=500000', 'keep.db#l', '--columns', 'l_tax']
    place.run(*big, WH_TEST_KILL='commit-after:1')
    _, _, err = place.run(*big, '--fresh')
    t.check('wrote into keep.db#l' in err and 'twice' in err and '--mode overwrite' in err and 'resume' in err,
            'what becomes of rows that are there', err)
    both('--fresh where rows stay', big + ['--fresh'])
    place.run('copy', 'gen:lineitem?rows=500000', 'keep.db#m', WH_TEST_KILL='commit-after:1')
    run = next(e['run'] for e in harness.events(place.run('history', '--json')[1]) if e.get('status') not in ('done', 'discarded'))
    both('cancel --discard', ['cancel', run, '--discard'])
    place.run('conn', 'add', 'shop', 'sqlite:keep.db')
    both('conn rm', ['conn', 'rm', 'shop'], done=lambda: place.run('conn', 'show', 'shop')[0] == 2)
    both('gc --all', ['gc', '--all'])
    code, _, err = place.run('state', 'reset', 'x')
    t.check(code == 2 and 'E1014' in err, 'state reset is not offered, and says so', err)
    for words in (['copy', 'good.csv', 'keep.db#more', '--mode', 'truncate'], ['copy', 'good.csv', 'keep.db#more', '--mode', 'overwrite'],
                  ['copy', 'good.csv', 'keep.db#more', '--mode', 'delete-insert', '--replace-where', 'id = 1'], ['gc']):
        code, _, err = place.run(*words)
        t.check(code == 0, 'what is written is consent: %s' % words, err)
    place.remove()


def dry(t):
    """Red when --dry-run moves or makes anything, or says something else than plan."""
    place = folder('dry')
    for words, same in ((['run', 'j0.yaml'], ['plan', 'j0.yaml']), (['copy', 'good.csv', 'new.db'], ['plan', 'good.csv', 'new.db'])):
        before = sorted(os.listdir(place.dir))
        code, out, err = place.run(*words, '--dry-run')
        _, planned, _ = place.run(*same)
        t.check(code == 0 and out == planned and err == '', ' '.join(words) + ': as plan', out + err)
        code, out, _ = place.run(*words, '--dry-run', WHERRY_DRY_RUN='1')
        t.check(code == 0 and out == planned and sorted(os.listdir(place.dir)) == before, 'nothing is made')
    code, out, _ = place.run('run', 'j0.yaml', 'j2.yaml', 'j3.yaml', '--dry-run')
    t.check(code == 2 and out.count('plan of ') == 3, 'several jobs: each, and the worst code', out)
    code, out, _ = place.run('run', 'j0.yaml', '--json', WHERRY_DRY_RUN='1')
    t.check(code == 0 and 'run_started' not in out, 'by variable', out)
    t.check(all(e['job'] == 'copy' for e in harness.events(place.run('history', '--json')[1])), 'and no run is known of it')
    place.remove()


def stopped(t):
    """Red when a run does not end in order within 10 s by SIGTERM, SIGINT or SIGHUP, with 128 + the signal."""
    from steer import SLOW, run_of
    signal.signal(signal.SIGHUP, signal.SIG_DFL)  # who runs the tests may ignore it (nohup)
    for sig, want in ((signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)):
        place = harness.Place('stops')
        p = place.start('copy', *SLOW, '--summary', 's.json')
        run_of(place, p)
        p.send_signal(sig)
        t.check(harness.gone(p, 10), 'signal %d: out within 10 s' % sig)
        code, _, err = harness.finish(p)
        with open(place.path('s.json'), encoding='utf-8') as f:
            last = json.loads(f.read() or '{}')
        t.check(code == want == last.get('exit') and 'wherry resume' in err, 'signal %d: %d, and how to go on' % (sig, want), '%d %s' % (code, err))
        t.check(place.run('resume', '--rate', '1GB/s')[0] == 0, 'and it goes on')
        place.remove()


def csv(place, name, rows):
    with open(place.path(name), 'w', encoding='utf-8') as f:
        f.write('id,v\n' + ''.join('%s\n' % r for r in rows))


def waited(t):
    """Red when a run that waited for its target (--lock-wait) carries out what it planned before the wait: rows and columns
    that the other one made meanwhile would be told wrong, or refused in the middle."""
    for elsewhere in (False, True):
        what = 'another state' if elsewhere else 'one state'
        place = harness.Place('waited')
        csv(place, 'a.csv', ['%d,x%d' % (i, i) for i in range(100)])
        csv(place, 'b.csv', ['%d,%d' % (i, i) for i in range(200, 250)])   # numbers, where a's v is text
        other = dict(WH_TEST_STALE_MS='60000', **({'HOME': place.path('home2')} if elsewhere else {}))
        for words, want in ((['--validate', 'count'], [150, 50]), (['--mode', 'overwrite', '--guard', 'max_shrink=10%'], None)):
            if os.path.exists(place.path('out.db')):
                os.remove(place.path('out.db'))
            p = place.start('copy', 'a.csv', 'out.db#t', WH_TEST_STOP='lease-after:1', WH_TEST_STALE_MS='60000')
            t.check(harness.wait_stopped(p, 20), '%s: the first one is under way' % what)
            q = place.start('copy', 'b.csv', 'out.db#t', '--lock-wait', '60s', *words, **other)
            time.sleep(1)
            t.check(q.poll() is None, '%s: the second one waits' % what)
            p.send_signal(signal.SIGCONT)
            t.check(harness.finish(p)[0] == 0, '%s: the first one ends' % what)
            code, _, err = harness.finish(q)
            db = sqlite3.connect(place.path('out.db'))
            got = [n for n in db.execute("select count(*), sum(v between '2' and '3' and typeof(v) = 'text') from t").fetchone()]
            stays = db.execute("select count(*) from wherry_run where state = 'open'").fetchone()[0]
            db.close()
            if want:
                t.check(code == 0 and got[0] == want[0] and 'planned anew' in err, '%s: planned anew, %s' % (what, words),
                        '%d %s %s' % (code, got, err))
            else:
                t.check(code == 1 and got[0] == 100 and 'E5' in err, '%s: the guard sees the new rows' % what,
                        '%d %s %s' % (code, got, err))
            t.check(stays == 0 and place.leftovers() == [] or want is None, '%s: nothing is left' % what, (stays, place.leftovers()))
        place.remove()
    place = harness.Place('waitplan')
    csv(place, 'a.csv', ['%d,x%d' % (i, i) for i in range(100)])
    csv(place, 'b.csv', ['%d,%d' % (i, i) for i in range(200, 250)])
    with open(place.path('b.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{ from: b.csv, to: 'out.db#t' }]\n")
    place.run('plan', 'b.yaml', '-o', 'b.plan')
    p = place.start('copy', 'a.csv', 'out.db#t', WH_TEST_STOP='lease-after:1', WH_TEST_STALE_MS='60000')
    harness.wait_stopped(p, 20)
    q = place.start('run', '--plan', 'b.plan', '--lock-wait', '60s', WH_TEST_STALE_MS='60000')
    time.sleep(1)
    p.send_signal(signal.SIGCONT)
    harness.finish(p)
    code, _, err = harness.finish(q)
    t.check(code == 2 and 'E1066' in err, 'a plan in a file: the table that is there now differs', '%d %s' % (code, err))
    t.check(place.leftovers() == [], 'and nothing is left', place.leftovers())
    place.remove()


def elsewhere(t):
    """Red when a run that is resumed, run again or given up from another folder takes its relative paths as of that folder,
    when what the command itself names (--summary, --state) goes into the run's, or when a folder that is gone is not said."""
    place = harness.Place('folder')
    for name in ('was', 'now'):
        os.makedirs(place.path(name), exist_ok=True)
    csv(place, 'was/in.csv', ['%d,%d' % (i, i) for i in range(100)])
    csv(place, 'now/in.csv', ['%d,%d' % (i, i) for i in range(7)])     # of the same name: not what was begun
    with open(place.path('was', 'job.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{ from: in.csv, to: 'out.db#t' }]\n")
    shutil.copy(place.path('was', 'job.yaml'), place.path('now', 'job.yaml'))
    was, now = ['-C', place.path('was')], place.path('now')

    def here(*words):
        p = subprocess.Popen([harness.program()] + list(words), cwd=now, env=place.env, stdin=subprocess.DEVNULL,
                             stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        return harness.finish(p)

    def began(*words):
        code, _, err = place.run(*was, *words, WH_TEST_KILL='lease-after:1')
        t.check(code == -signal.SIGKILL, 'begun %s' % (words,), err)

    def whole(what, code, err):
        n = -1
        if os.path.exists(place.path('was', 'out.db')):
            db = sqlite3.connect(place.path('was', 'out.db'))
            n = db.execute('select count(*) from t').fetchone()[0]
            db.close()
            os.remove(place.path('was', 'out.db'))
        t.check(code == 0 and n == 100 and sorted(os.listdir(now)) == ['in.csv', 'job.yaml'], what,
                '%d %d %s %s' % (code, n, os.listdir(now), err))

    began('copy', 'in.csv', 'out.db#t')
    code, _, err = here('resume', '--summary', 's.json', '--events', 'e.jsonl')
    t.check({'s.json', 'e.jsonl'} <= set(os.listdir(now)), 'what the command names is in its folder', os.listdir(now))
    for name in ('s.json', 'e.jsonl'):
        if os.path.exists(place.path('now', name)):
            os.remove(place.path('now', name))
    whole('resumed from another folder', code, err)
    began('run', 'job.yaml')
    code, _, err = here('run', 'job.yaml')
    t.check(code == 2 and 'E7008' in err and 'folder was' in err and 'wherry resume r-' in err and sorted(os.listdir(now)) == ['in.csv', 'job.yaml'],
            'a job of that name in another folder is another one', '%d %s' % (code, err))
    code, _, err = here('resume')
    whole('resumed from there', code, err)
    began('run', 'job.yaml', '--scheduled', '2026-11-01')
    code, _, err = here('run', '../was/job.yaml', '--resume-first', '-C', '../was')
    t.check(code == 0, 'with -C, in that folder', err)
    os.remove(place.path('was', 'out.db'))
    began('copy', 'in.csv', 'out.db#t')
    code, _, err = here('cancel', harness.events(place.run('history', '--json')[1])[0]['run'], '--discard', '--yes')
    t.check(code == 0 and sorted(os.listdir(now)) == ['in.csv', 'job.yaml'], 'given up from another folder', err)
    db = sqlite3.connect(place.path('was', 'out.db'))
    t.check(db.execute("select count(*) from wherry_run where state = 'open'").fetchone() == (0,), 'there, too')
    db.close()
    began('copy', 'in.csv', 'out.db#t', '--state', 'own.db')
    p = subprocess.Popen([harness.program(), 'resume', '--state', 'was/own.db'], cwd=place.dir, env=place.env,
                         stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    code, _, err = harness.finish(p)
    t.check(code == 0 and not os.path.exists(place.path('was', 'was')), 'a state with a relative name', err)
    began('copy', 'in.csv', 'out.db#u')
    os.rename(place.path('was'), place.path('moved'))
    code, _, err = here('resume')
    t.check(code == 2 and 'E7020' in err and place.path('was') in err and 'wherry -C' in err, 'the folder is gone', err)
    for words in (('-C', place.path('moved'), 'resume'), ('-C', place.path('moved'), 'copy', 'in.csv', 'out.db#u', '--run-id', 'x')):
        code, _, err = place.run(*words)
        if words[2] == 'resume':
            t.check(code == 2 and 'E7020' in err and 'Move it back' in err and '--discard' in err, 'what to do with a folder that was moved', err)
        else:
            t.check(code == 2 and 'E7005' in err, 'its table there is still its own', err)
    os.rename(place.path('moved'), place.path('was'))
    code, _, err = here('resume')
    t.check(code == 0, 'and back', err)
    began('run', 'job.yaml')
    os.rename(place.path('was'), place.path('moved'))
    code, _, err = place.run('-C', place.path('moved'), 'run', 'job.yaml')
    run = re.search(r'run (r-\S+) was begun', err)
    t.check(code == 2 and 'E7020' in err and run, 'a job that was moved with its folder', err)
    code, _, err = place.run('-C', place.path('moved'), 'cancel', run.group(1), '--discard', '--yes')
    t.check(code == 0, 'is given up there', err)
    code, _, err = place.run('-C', place.path('moved'), 'run', 'job.yaml')
    t.check(code == 0, 'and begins anew', err)
    os.rename(place.path('moved'), place.path('was'))
    os.mkdir(place.path('gone'))
    with open(place.path('gone', 'whole.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{ from: %s, to: 'sqlite:%s#t' }]\n" % (place.path('now', 'in.csv'), place.path('whole.db')))
    code, _, err = place.run('-C', place.path('gone'), 'run', 'whole.yaml', WH_TEST_KILL='lease-after:1')
    t.check(code == -signal.SIGKILL, 'a job with whole paths', err)
    os.rename(place.path('gone'), place.path('gone2'))
    code, _, err = place.run('run', 'gone2/whole.yaml')
    db = sqlite3.connect(place.path('whole.db'))
    t.check(code == 0 and db.execute('select count(*) from t').fetchone() == (7,), 'goes on from anywhere', err)
    db.close()
    t.check(place.leftovers() == [], 'nothing is left', place.leftovers())
    place.remove()


def other_ends(t):
    """Red when a job that reads or writes elsewhere than its finished run did (another folder, another value of a reference)
    is told that it was finished before; when the same one is not told so from another folder or after --again there; or when
    a copy in another folder is taken for the one that is unfinished."""
    place = harness.Place('ends')
    for name, n in (('a', 3), ('b', 5)):
        os.makedirs(place.path(name), exist_ok=True)
        csv(place, name + '/in.csv', ['%d,%d' % (i, i) for i in range(n)])
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nconnections: { o: { type: sqlite, path: '${env:WH_END}' } }\nstreams: [{ from: in.csv, to: 'o:t' }]\n")
    job = [place.path('job.yaml'), '--scheduled', '2026-11-01']
    one, two = place.path('one.db'), place.path('two.db')

    def run(folder, end, *words):
        code, out, err = place.run('-C', place.path(folder), 'run', *job, *words, WH_END=end)
        return code, out + err

    def rows(name):
        db = sqlite3.connect(name)
        n = db.execute('select count(*) from t').fetchone()[0]
        db.close()
        return n

    code, err = run('a', one)
    t.check(code == 0 and rows(one) == 3, 'done', err)
    code, err = run('a', one)
    t.check(code == 0 and 'was finished before' in err, 'and done before', err)
    code, err = run('a', two)
    t.check(code == 2 and 'E7008' in err and "streams.t.to.path was '%s', is '%s'" % (one, two) in err and '--again' in err
            and not os.path.exists(two), 'another destination by a reference', err)
    code, err = run('b', one)
    t.check(code == 2 and 'E7008' in err and place.path('b') in err and rows(one) == 3, 'another source by the folder', err)
    code, err = run('b', two, '--again')
    t.check(code == 0 and rows(two) == 5, 'which --again carries out', err)
    for folder, end in (('a', one), ('b', two)):
        code, err = run(folder, end)
        t.check(code == 0 and 'was finished before' in err, 'then both were done', err)
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{ from: %s, to: 'sqlite:%s#t' }]\n" % (place.path('a', 'in.csv'), place.path('abs.db')))
    job[2] = '2026-11-02'
    t.check(run('a', one)[0] == 0, 'whole paths')
    code, err = run('b', one)
    t.check(code == 0 and 'was finished before' in err and rows(place.path('abs.db')) == 3, 'mean the same from anywhere', err)
    code, _, err = place.run('-C', place.path('a'), 'copy', 'in.csv', 'out.db#t', WH_TEST_KILL='lease-after:1')
    t.check(code == -signal.SIGKILL, 'a copy that is killed', err)
    code, _, err = place.run('-C', place.path('b'), 'copy', 'in.csv', 'out.db#t')
    t.check(code == 0 and rows(place.path('b', 'out.db')) == 5, 'the same words in another folder are another copy', err)
    code, _, err = place.run('-C', place.path('a'), 'copy', 'in.csv', 'out.db#t')
    t.check(code == 2 and 'E7012' in err, 'in its own it is unfinished', err)
    place.remove()


def damaged_state(t):
    """Red when the words for a damaged state lead back to it, or when following them loses or doubles a row."""
    place = harness.Place('damaged')
    csv(place, 'in.csv', ['%d,%d' % (i, i) for i in range(20000)])
    with open(place.path('job.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nstreams: [{ from: in.csv, to: 'out.db#t' }]\n")
    code, _, err = place.run('run', 'job.yaml', WH_TEST_KILL='record-after:1', WH_TEST_UNIT_BYTES='50000')
    t.check(code == -signal.SIGKILL, 'begun', err)
    state = place.state('state.db')
    for end in ('-wal', '-shm'):
        if os.path.exists(state + end):
            os.remove(state + end)
    with open(state, 'r+b') as f:
        f.write(b'damaged ' * 512)
    for words in (('run', 'job.yaml'), ('resume', '--rebuild-state', 'out.db'), ('status',)):
        code, _, err = place.run(*words)
        t.check(code == 1 and 'E7003' in err and state in err and 'rename that file' in err and '--rebuild-state DESTINATION' in err,
                'what to do, by ' + words[0], '%d %s' % (code, err))
    os.rename(state, state + '.bad')
    code, _, err = place.run('resume', '--rebuild-state', 'out.db')
    db = sqlite3.connect(place.path('out.db'))
    got = db.execute('select count(*), count(distinct id) from t').fetchone()
    db.close()
    t.check(code == 0 and got == (20000, 20000), 'and done', '%d %s %s' % (code, got, err))
    place.remove()


def guarded(t):
    """Red when a guard that was edited or given after a run was stopped by it, or before it was, is not the one that holds."""
    place = harness.Place('guarded')

    def rows():
        db = sqlite3.connect(place.path('o.db'))
        n = db.execute('select count(*) from t').fetchone()[0]
        db.close()
        return n

    def source(n):
        with open(place.path('s.csv'), 'w', encoding='ascii') as f:
            f.write('id\n' + ''.join('%d\n' % i for i in range(n)))

    def job(guard=''):
        with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write('version: 1\nstreams:\n  - { from: s.csv, to: "o.db#t", write: { mode: overwrite }%s }\n' % guard)
    source(100)
    t.check(place.run('copy', 's.csv', 'o.db#t')[0] == 0 and rows() == 100, 'a hundred rows')
    source(0)
    code, _, err = place.run('copy', 's.csv', 'o.db#t', '--mode', 'overwrite')
    words = re.search(r'wherry (resume \S+ --guard empty=allow)', err)
    t.check(code == 1 and words and rows() == 100, 'no rows for a hundred', err)
    code, _, err = place.run(*words.group(1).split())
    t.check(code == 0 and rows() == 0, 'the command that the hint names', err)
    source(100)
    job()
    t.check(place.run('run', 'j.yaml')[0] == 0 and rows() == 100, 'a hundred again')
    source(20)
    code, _, err = place.run('run', 'j.yaml', WH_TEST_KILL='publish-step-before:1')
    t.check(code == -9 and rows() == 100, 'killed before the swap', err)
    job(', guard: { max_shrink: 10% }')
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 1 and 'E5009' in err and rows() == 100, 'a guard that was written down meanwhile', err)
    job(', guard: { max_shrink: 90% }')
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 0 and rows() == 20, 'and let go of', err)
    place.remove()


def edited(t):
    """Red when what was edited in a job file is ignored by the start that goes on with its unfinished run: a limit that may
    change must hold, anything else must be refused with the difference, what is gone must be told to stay."""
    place = harness.Place('edited')

    def job(run, more=''):
        with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write("version: 1\nstreams:\n  - { from: 'gen:lineitem?rows=100000,seed=3', to: 'out.db#l'%s }\nrun: { %s }\n" % (more, run))

    slow = 'retry: { times: 1 }, limits: { rate: 500kB/s }'
    job(slow)
    p = place.start('run', 'j.yaml')
    run = run_of(place, p)
    time.sleep(1)
    p.kill()
    harness.finish(p)
    for words, more, want in (('retry: { times: 5 }, limits: { rate: 900MB/s }', '', 'run.retry.times (was 1, is 5)'),
                              (slow + ', strict: true', '', 'run.strict'), (slow, ', validate: count', 'streams.1.validate')):
        job(words, more)
        code, _, err = place.run('run', 'j.yaml')
        t.check(code == 2 and 'E7008' in err and want in err and run in err, 'refused: %s' % want, '%d %s' % (code, err))
    job('limits: { rate: 900MB/s }', ', dirty: { rows: 3 }')
    began = time.monotonic()
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 0 and run in err and time.monotonic() - began < 60, 'the new pace holds', '%d %.0f s %s' % (
        code, time.monotonic() - began, err))
    t.check('run.retry is not set any more' in err, 'what is gone is told to stay', err)
    os.remove(place.path('out.db'))
    job(slow)
    p = place.start('run', 'j.yaml', '--scheduled', '2026-11-01')
    run_of(place, p)
    time.sleep(0.5)
    p.kill()
    harness.finish(p)
    job('retry: { times: 1 }')
    p = place.start('run', 'j.yaml', '--scheduled', '2026-11-01')
    run = run_of(place, p)
    place.run('limit', run, '--rate', 'none')
    code, _, err = harness.finish(p)
    t.check(code == 0 and 'run.limits is not set any more' in err, 'a limit that is gone is told to stay', err)
    t.check(place.leftovers() == [], 'nothing is left', place.leftovers())
    place.remove()


def twice(t):
    """Red when a copy that is started while the same one runs is told as unfinished (exit 2) instead of as held (10), or
    --lock-wait does not wait for it."""
    place = harness.Place('twice')
    copy = ['copy', 'a.csv', 'out.db#l', '--rows-per-second', '10000']
    csv(place, 'a.csv', ['%d,%d' % (i, i) for i in range(30000)])
    p = place.start(*copy)
    run = run_of(place, p)
    code, _, err = place.run(*copy)
    t.check(code == 10 and 'E7006' in err and run in err and 'process %d' % p.pid in err, 'held by a living run', '%d %s' % (code, err))
    code, _, err = place.run(*copy, '--lock-wait', '60s')
    first = harness.finish(p)[0]
    db = sqlite3.connect(place.path('out.db'))
    n = db.execute('select count(*) from l').fetchone()[0]
    db.close()
    t.check((first, code, n) == (0, 0, 60000), 'waited for, then copied once more', '%d %d %d %s' % (first, code, n, err))
    p = place.start(*copy)
    run_of(place, p)
    p.kill()
    harness.finish(p)
    code, _, err = place.run(*copy)
    t.check(code == 2 and 'E7012' in err and 'resume' in err, 'one that was killed: exit 2', '%d %s' % (code, err))
    place.remove()


def selected(t):
    """Red when a type for a column that the source has and `columns` leaves out is told as missing in the source."""
    place = harness.Place('selected')
    csv(place, 'a.csv', ['1,2'])
    code, _, err = place.run('plan', 'a.csv', 'o.db', '--columns', 'id', '--types', 'v=int64')
    t.check(code == 2 and "'columns' does not select it" in err and 'no column' not in err, 'said as it is', err)
    code, _, err = place.run('plan', 'a.csv', 'o.db', '--types', 'w=int64')
    t.check(code == 2 and "no column 'w'" in err, 'one that is not there', err)
    place.remove()
