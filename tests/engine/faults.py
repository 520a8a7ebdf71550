# SPDX-License-Identifier: Apache-2.0
"""What servers do: calls that fail, sessions that are lost, commits without an answer, rows that are
refused, holders that die. Retried, asked, counted, archived; never guessed."""
import glob
import json
import os
import stat
import time
import urllib.parse

import cases
import hardctl
import harness

# What is injected, at the source and at the sink: every n-th call of one process.
KINDS = {
    'fail': ({'fail_every': 17}, {'fail_every': 19}),
    'lose': ({'lose_every': 27}, {'lose_every': 19}),
    'unknown': ({}, {'unknown_every': 2}),
    'all': ({'fail_every': 31, 'lose_every': 37}, {'fail_every': 41, 'lose_every': 43, 'unknown_every': 3}),
}


def injected(t, name):
    case = cases.BY_NAME[name]
    with cases.Bench(case) as bench:
        bench.busy()
        for kind, (src, dst) in KINDS.items():
            bench.fresh()
            what = '%s: %s' % (name, kind)
            args = bench.copy('--json', src=src, dst=dst)
            code, out, err = bench.place.run(*args)
            said, event = err, harness.finished(out)
            retries = [e for e in harness.events(out) if e['type'] == 'unit_retry']
            # Out of tries, or the last session of a snapshot is gone: temporary, and resumable.
            if code in (1, 5) and kind != 'unknown':
                t.notes['resumed after ' + kind] += 1
                code, event, more = cases.resume(bench.place, limit=20)
                said += more
            mixed = not case.re_enter and 'mixed' in (event.get('snapshot') or '')
            why = 'exit %s' % code if code else bench.judge(total=False if mixed else None) or \
                cases.went_well(event, bench.rows)
            t.check(why is None, what, '%s\n%s' % (why, said))
            if kind in ('fail', 'lose'):
                t.check(retries and all(e['code'] and 'retryable' in e for e in retries),
                        what + ': retries are told', retries)


def out_of_tries(t):
    """A server that always fails: tried again with growing pauses, then 5, and the run can go on."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        start = time.monotonic()
        code, out, err = bench.place.run(*bench.copy('--json', src={'fail_every': 1}))
        took, event = time.monotonic() - start, harness.finished(out)
        t.check(code == 5 and event.get('exit') == 5 and event.get('retryable') is True and event.get('resume'),
                'out of tries: temporary, resumable', '%s %s\n%s' % (code, event, err))
        t.check(event.get('tables', [{}])[0].get('error', {}).get('code') == 'E5001', 'the server\'s own words stay', event)
        times = {}
        for e in harness.events(out):
            if e['type'] == 'unit_retry':
                times.setdefault(e['unit'], []).append(stamp(e['ts']))
        gaps = [[b - a for a, b in zip(v, v[1:])] for v in times.values()]
        t.check(times and all(len(v) == 3 for v in times.values()), 'three times by default', times)
        t.check(gaps and all(sum(v) > 0.08 for v in gaps) and took > 0.3, 'with pauses that grow', (gaps, took))
        # A conversation: what it says next is what works.
        code, _, err = bench.place.run('cancel', event['run'], '--discard')
        t.check(code == 0, 'given up: nothing was committed, nothing stays', err)
        t.check(bench.judge(rows=0, total=False) is None, 'nothing is left of it', bench.judge(rows=0, total=False))


def stamp(ts):
    import datetime
    return datetime.datetime.strptime(ts, '%Y-%m-%dT%H:%M:%S.%fZ').timestamp()


# ---- dirty rows ----------------------------------------------------------------------------------

RULE = 'id % 100 = 7'


def archive(bench):
    """Rows of the archive of dirty rows, and what is wrong with its files."""
    rows, wrong = [], []
    for path in glob.glob(bench.place.state('dirty', '*', '*.jsonl')):
        if stat.S_IMODE(os.stat(path).st_mode) != 0o600:
            wrong.append('%s is not for its owner only' % path)
        with open(path, encoding='utf-8') as f:
            for line in f:
                rows.append(json.loads(line))
    return rows, wrong


def check_archive(t, what, bench, want):
    rows, wrong = archive(bench)
    ids = sorted(int(r['row']['id']) for r in rows if isinstance(r.get('row'), dict))
    t.check(ids == want and len(rows) == len(want) and not wrong, what + ': archived once each, durable',
            '%s %s\n%s' % (ids[:20], wrong, rows[:1]))
    t.check(all(r.get('code', '').startswith('E6') and r.get('run') and r.get('table') for r in rows) and
            all('rule' in json.dumps(r) for r in rows), what + ': with code, reason, run and table', rows[:1])


def dirty(t, name):
    case = cases.BY_NAME[name]
    rule = {'refuse': urllib.parse.quote(RULE)}
    with cases.Bench(case) as bench:
        bad = [i for i in range(1, bench.rows + 1) if i % 100 == 7]
        # The default: no dirty row is allowed.
        code, out, err = bench.place.run(*bench.copy('--json', dst=rule))
        event = harness.finished(out)
        t.check(code == 6 and event.get('exit') == 6 and event.get('resume'), '%s: dirty limit 0' % name,
                '%s %s\n%s' % (code, event, err))
        rows, wrong = archive(bench)
        t.check(rows and not wrong and all(int(r['row']['id']) in bad for r in rows if isinstance(r.get('row'), dict)),
                '%s: dirty limit 0: the row that ended it is archived' % name, rows[:2])
        shown = hardctl.table_rows(bench.dst, 'copy', [])
        t.check(not [r for r in shown if r[0] % 100 == 7], '%s: dirty limit 0: no refused row came in' % name)
        # `resume` may change the limit, and nothing is lost by having stopped.
        code, event, said = cases.resume(bench.place, '--dirty', 'rows=%d' % len(bad))
        why = 'exit %s' % code if code else judge_dirty(bench, bad) or cases.went_well(event, bench.rows, len(bad))
        t.check(why is None, '%s: resumed with a higher limit' % name, '%s\n%s' % (why, said))
        limits(t, bench, rule, bad)
        killed(t, bench, rule, bad)


def judge_dirty(bench, bad):
    total = bench.sum - sum(1000 + i * 31 % 977 for i in bad)
    found = bench.judge(total=total, refused=RULE, state=False)
    left = [x for x in bench.place.leftovers() if not x.startswith('dirty/')]
    return found or '; '.join(left) or None


def limits(t, bench, rule, bad):
    name = bench.case.name
    for flags, want in (((), 0), (('--strict',), 3)):
        bench.fresh()
        code, out, err = bench.place.run(*bench.copy('--json', '--dirty', 'rows=%d' % len(bad), *flags, dst=rule))
        event = harness.finished(out)
        good = code == want and event.get('rows_dirty') == len(bad) and \
            event.get('rows_written') == bench.rows - len(bad) and not harness.unbalanced(event)
        t.check(good and judge_dirty(bench, bad) is None, '%s: %d dirty rows allowed %s' % (name, len(bad), flags),
                '%s %s %s\n%s' % (code, event, judge_dirty(bench, bad), err))
    check_archive(t, '%s: within the limit' % name, bench, bad)
    bench.fresh()
    code, out, err = bench.place.run(*bench.copy('--json', '--dirty', 'rows=%d' % (len(bad) - 1), dst=rule))
    t.check(code == 6 and harness.finished(out).get('exit') == 6, '%s: one dirty row too many' % name, '%s\n%s' % (code, err))
    for ratio, want in (('0.5%', 6), ('2%', 0)):
        bench.fresh()
        code, out, err = bench.place.run(*bench.copy('--json', '--dirty', 'ratio=%s' % ratio, dst=rule))
        t.check(code == want, '%s: dirty ratio %s' % (name, ratio), '%s\n%s' % (code, err))


def killed(t, bench, rule, bad):
    """Dirty rows are counted when their attempt wins: once, whatever dies between archive and record."""
    # At the first archive no unit is recorded: some tables then begin anew.
    for point in ('archive-durable:1', 'archive-durable:2', 'commit-after:2', 'record-after:2'):
        bench.fresh()
        code, _, err = bench.place.run(*bench.copy('--dirty', 'rows=%d' % len(bad), dst=rule), WH_TEST_KILL=point)
        t.check(code == -9, '%s: dirty rows: killed at %s' % (bench.case.name, point), err)
        code, event, said = cases.resume(bench.place)
        why = 'exit %s' % code if code else judge_dirty(bench, bad) or cases.went_well(event, bench.rows, len(bad))
        t.check(why is None, '%s: dirty rows, killed at %s' % (bench.case.name, point), '%s\n%s' % (why, said))
        check_archive(t, '%s: killed at %s' % (bench.case.name, point), bench, bad)


def kept_elsewhere(t):
    """Red when a table that begins anew leaves what it refused before in the folder of the job."""
    case = cases.BY_NAME['sessions']
    with cases.Bench(case) as bench:
        bad = [i for i in range(1, bench.rows + 1) if i % 100 == 7]
        words = bench.copy(dst={'refuse': urllib.parse.quote(RULE)})
        bench.fresh()
        with open(bench.place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write("version: 1\nstreams:\n  - { from: '%s', to: '%s', dirty: { rows: 99, archive: 'kept/' } }\n" % (words[1], words[2]))
        code, _, err = bench.place.run('run', 'j.yaml', '-j', '2', '--no-progress', WH_TEST_KILL='archive-durable:1')
        left = glob.glob(bench.place.path('kept', '*'))
        t.check(code == -9 and left, 'killed with an archive', '%d %s\n%s' % (code, left, err))
        code, _, err = bench.place.run('resume', '--no-progress')
        ids = []
        for path in glob.glob(bench.place.path('kept', '*')):
            with open(path, encoding='utf-8') as f:
                ids += [int(json.loads(line)['row']['id']) for line in f]
        t.check(code == 0 and sorted(ids) == bad, 'each refused row once in the folder', '%d %s\n%s' % (code, sorted(ids), err))


# ---- the holder of a snapshot ----------------------------------------------------------------------


def kill_holders(bench):
    found = hardctl.holders(bench.src)
    for pid, _ in found:
        os.kill(pid, 9)
    end = time.monotonic() + 5
    while hardctl.holders(bench.src) and time.monotonic() < end:
        time.sleep(0.02)
    return len(found)


def after_first_commit(bench, args):
    """A run, slow enough, that has committed something."""
    p = bench.place.start(*args)
    end = time.monotonic() + 30
    while time.monotonic() < end and p.poll() is None:
        if commits(bench) >= 2:
            return p
        time.sleep(0.01)
    return p


def commits(bench):
    import sqlite3
    path = bench.place.state('state.db')
    if not os.path.exists(path):
        return 0
    try:
        db = sqlite3.connect('file:%s?mode=ro' % path, uri=True, timeout=5)
        n = db.execute('select count(*) from unit where state = 2').fetchone()[0]
        db.close()
        return n
    except sqlite3.Error:
        return 0


def holder_dies(t):
    """During the run living sessions go on; between kill and resume nobody can enter again."""
    with cases.Bench(cases.BY_NAME['held']) as bench:
        bench.busy()
        p = after_first_commit(bench, bench.copy('--json', src={'delay_ms': '15ms'}))
        t.check(kill_holders(bench) == 1, 'held: one holder lives during the run')
        code, out, err = harness.finish(p)
        why = 'exit %s' % code if code else bench.judge(allow=('copies',)) or cases.went_well(harness.finished(out), bench.rows)
        t.check(why is None, 'held: the holder dies during the run, sessions that entered go on', '%s\n%s' % (why, err))
        unstaged(t, bench)
        plain_beginning(t, bench)
    staged(t)


def unstaged(t, bench):
    bench.fresh()
    args = bench.copy()
    code, _, err = bench.place.run(*args, WH_TEST_KILL='record-after:3')
    t.check(code == -9 and kill_holders(bench) == 1, 'held: killed, its holder lives on', err)
    rows = len(hardctl.table_rows(bench.dst, 'copy', []))
    code, event, said = cases.resume(bench.place)
    t.check(code == 1 and '--accept-mixed' in said and '--fresh' in said and 'E7011' in said,
            'held: without its snapshot an unstaged table stops and names both ways', '%s\n%s' % (code, said))
    t.check(len(hardctl.table_rows(bench.dst, 'copy', [])) == rows, 'held: and nothing was written')
    code, _, err = bench.place.run(*bench.copy('--fresh'))
    t.check(code == 2 and '--yes' in err and str(rows) in err.replace(',', ''), 'held: --fresh asks, with the number of rows',
            '%s\n%s' % (code, err))
    code, out, err = bench.place.run(*bench.copy('--fresh', '--yes', '--json'))
    found = hardctl.table_rows(bench.dst, 'copy', [])
    ids = sorted(r[0] for r in found)
    t.check(code == 0 and len(found) == rows + bench.rows and sorted(set(ids)) == list(range(1, bench.rows + 1)),
            'held: --fresh --yes: what stays and all rows', '%s, %d rows, %d stay\n%s' % (code, len(found), rows, err))
    said = err + json.dumps(harness.finished(out))
    t.check(str(rows) in said.replace(',', ''), 'held: the summary counts the rows that stay', said)
    t.check(not bench.place.leftovers(), 'held: nothing is left of the old run', bench.place.leftovers())


def plain_beginning(t, bench):
    """Nothing was committed: a plain beginning at a new instant, no questions."""
    bench.fresh()
    code, _, err = bench.place.run(*bench.copy(), WH_TEST_KILL='commit-before:1')
    kill_holders(bench)
    code, event, said = cases.resume(bench.place)
    why = 'exit %s' % code if code else bench.judge() or cases.went_well(event, bench.rows)
    t.check(why is None, 'held: the holder died before anything was committed', '%s\n%s' % (why, said))


def staged(t):
    """A staged table restarts by itself: nothing of it shows yet."""
    case = cases.Case('held-manifest', 'hard-held', 'hard-manifest', [], klass='P')
    with cases.Bench(case) as bench:
        bench.busy()
        for point in ('record-after:3', 'commit-after:2', 'lease-after:4'):
            bench.fresh()
            code, _, err = bench.place.run(*bench.copy(), WH_TEST_KILL=point)
            t.check(code == -9 and kill_holders(bench) == 1, 'held, staged: killed at ' + point, err)
            code, event, said = cases.resume(bench.place)
            why = 'exit %s' % code if code else bench.judge() or cases.went_well(event, bench.rows)
            t.check(why is None, 'held, staged: restarts by itself after ' + point, '%s\n%s' % (why, said))
