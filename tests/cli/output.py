# SPDX-License-Identifier: Apache-2.0
"""What people and programs see of a run (INTERFACE 6), and traps that get words of their own (8)."""
import json
import os
import re
import subprocess

import harness
from terminal import Terminal

SHORT = ['gen:lineitem?rows=60000,seed=3', 'null:', '--rate', '5MB/s']
SLOW = ['gen:lineitem?rows=300000,seed=3', 'null:', '--rate', '8MB/s']


def terminal(t):
    """Red when progress on a terminal is not one block drawn over, wider than the terminal, lacks what a
    person waits for, or colour comes where it was refused."""
    place = harness.Place('tty')
    term = Terminal(place, 'sh', width=64)
    term.type("wherry copy '%s' null: --rate 8MB/s; echo co''de $?" % SLOW[0])
    term.key('Enter')
    text, ok = term.wait(lambda s: 'MB/s written' in s or re.search(r'\d /s|B/s read', s), 30)
    t.check(ok, 'a block', text)
    seen = []
    for _ in range(8):
        text = term.screen()
        seen.append(text.count(' read  '))
        term.wait(lambda s: False, 0.4)
    t.check(max(seen) <= 2, 'drawn over, not one below the other', '%s\n%s' % (seen, text))
    t.check('dirty' in text and 'units' in text and 'rows/s' in text, 'rows, dirty rows, units, pace', text)
    text, ok = term.wait(lambda s: re.search(r'^code 0', s, re.M), 90)
    t.check(ok and 'exit 0' in text and 'B/s read' not in text, 'the end leaves the summary alone', text)
    term.close()
    for words, red in ((['--color', 'always'], True), ([], False), (['--color', 'never'], False)):
        _, _, err = place.run('describe', 'nothing.csv', *words)
        t.check(('\033[' in err) == red, 'colour %s' % words, repr(err))
    place.remove()


def for_programs(t):
    """Red when events, summary, log or progress do not go where they are told to, or a place that is none
    is not refused before anything moves."""
    place = harness.Place('events')
    code, out, err = place.run('copy', *SHORT, '--stats', '300ms')
    lines = [l for l in err.splitlines() if ' read  ' in l and '/s written' in l]
    t.check(code == 0 and len(lines) >= 2 and '\r' not in err, 'a line now and then in a pipe', err)
    code, out, err = place.run('copy', *SHORT)
    t.check(code == 0 and not [l for l in err.splitlines() if '/s written' in l], 'every 60 s by itself', err)
    for words in (['--no-progress'], ['-q']):
        code, out, err = place.run('copy', *SHORT, '--stats', '200ms', *words)
        t.check('/s written' not in err and 'exit 0' in err, 'no progress: %s' % words, err)
    small = ['gen:lineitem?rows=100', 'null:']
    code, out, err = place.run('copy', *small, '--events', 'e.jsonl', '--summary', 's.json')
    with open(place.path('e.jsonl'), encoding='utf-8') as f:
        seen = harness.events(f.read())
    with open(place.path('s.json'), encoding='utf-8') as f:
        last = json.load(f)
    t.check(seen[-1] == last and last['type'] == 'run_finished' and out == '' and 'exit 0' in err, '--events FILE, --summary', err)
    t.check([e['type'] for e in seen][:2] == ['plan', 'run_started'] and all(e['v'] == 1 and re.match(
        r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$', e['ts']) for e in seen), 'version and time in each')
    r, w = os.pipe()
    p = subprocess.Popen([harness.program(), 'copy'] + small + ['--events', str(w)], cwd=place.dir, env=place.env,
                         pass_fds=[w], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(w)
    with os.fdopen(r, encoding='utf-8') as f:
        seen = harness.events(f.read())
    t.check(harness.finish(p)[0] == 0 and seen[-1]['type'] == 'run_finished', '--events FD')
    code, out, err = place.run('copy', 'gen:lineitem?rows=5', '-', '--json')
    t.check(code == 0 and len(out.splitlines()) == 6 and harness.finished(err), 'with - the events go to stderr', err)
    for words in (['--events', '77'], ['--events', '/nowhere/e'], ['--log-file', '/nowhere/l'], ['--color', 'red'],
                  ['--log-format', 'xml'], ['--stats', 'soon']):
        code, out, err = place.run('copy', 'gen:lineitem?rows=5', 'x%d.csv' % len(words), *words)
        t.check(code == 2 and words[0] in err and not os.path.exists(place.path('x2.csv')), 'refused: %s' % words, err)
    code, _, err = place.run('copy', *small, '-v', '--log-file', 'l.txt', '--log-format', 'json', '--debug', 'all')
    with open(place.path('l.txt'), encoding='utf-8') as f:
        lines = f.read().splitlines()
    t.check(code == 0 and all(json.loads(l) for l in lines), '--log-file, --log-format', lines[:2])
    code, _, err = place.run('copy', *small, '-q', WHERRY_SUMMARY='v.json', WHERRY_SUMARY='x')
    t.check(code == 0 and os.path.exists(place.path('v.json')) and 'WHERRY_SUMARY is no setting' in err,
            'variables, and a warning for an unknown one', err)
    place.remove()


def empty(t):
    """Red when a command with nothing to show is silent for people, or prints anything for programs."""
    place = harness.Place('empty')
    for words, want, says in ((['history'], 0, 'no run is known'), (['history', 'nightly'], 0, "no run of job 'nightly'"),
                              (['history', '--status', 'failed'], 0, 'no such run'), (['status'], 0, 'nothing runs'),
                              (['dirty'], 0, 'no run refused'), (['conn', 'list'], 0, 'conn add'), (['units'], 2, 'no run yet'),
                              (['logs'], 2, 'no run yet'), (['watch'], 2, 'nothing runs'), (['gc', '--dry-run'], 0, '0 runs')):
        code, out, err = place.run(*words)
        t.check(code == want and says in out + err, words, '%d %s%s' % (code, out, err))
        code, out, err = place.run(*words, '--json')
        lines = [json.loads(x) for x in out.splitlines()]
        t.check(code == want and err == '' and (want == 2) == any(x.get('type') == 'error' for x in lines), words + ['--json'], out + err)
    # A state that is damaged, or cannot be made: each says so, none goes on.
    for suffix in ('-wal', '-shm'):
        if os.path.exists(place.state('state.db' + suffix)):
            os.remove(place.state('state.db' + suffix))
    with open(place.state('state.db'), 'w', encoding='ascii') as f:
        f.write('garbage' * 100)
    for words in (['history'], ['status'], ['units'], ['logs'], ['watch'], ['dirty'], ['gc'], ['state', 'show'], ['limit', 'r-1', '--rate', '1MB/s'],
                  ['unlock', 'x.db'], ['cancel', 'r-1'], ['dirty', 'list', 'r-1']):
        code, out, err = place.run(*words)
        t.check(code == 1 and 'E7003' in err and out == '', words, '%d %s%s' % (code, out, err))
    code, out, err = place.run('doctor')
    t.check(code == 1 and 'BAD  state' in out, 'doctor', out)
    place.remove()


def which(t):
    """Red when a run that is not known gets no help, or a filter that is none an empty list."""
    place = harness.Place('which')
    place.run('copy', 'gen:lineitem?rows=5', 'null:')
    _, out, _ = place.run('history', '--json')
    run = json.loads(out)['run']
    wrong = run[:-1] + ('0' if run[-1] != '0' else '1')
    for words in (['status'], ['units'], ['logs'], ['watch'], ['cancel'], ['dirty', 'list'], ['limit', '--rate', '1MB/s']):
        at = 2 if words[0] == 'dirty' else 1
        code, _, err = place.run(*words[:at], wrong, *words[at:])
        t.check(code == 2 and 'E7007' in err and 'did you mean %s?' % run in err, words, err)
    for words, want in ((['history', '--status', 'dnoe'], 'did you mean done'), (['units', run, '--status', 'x'], 'drawn, leased'),
                        (['history', '--since', 'soon'], 'E1002')):
        code, out, err = place.run(*words)
        t.check(code == 2 and want in err and out == '', words, err)
    for words, n in ((['--since', '1h'], 1), (['--since', '2020-01-01'], 1), (['--since', '2999-01-01T00:00:00'], 0),
                     (['--status', 'done'], 1), (['--status', 'failed'], 0), (['copy'], 1), (['other'], 0), (['-n', '1'], 1)):
        code, out, err = place.run('history', *words)
        t.check(code == 0 and out.count(run) == n and (n == 1) == (err == ''), ['history'] + words, out + err)
    code, out, err = place.run('units')
    t.check(code == 0 and 'recorded' in out, 'units of the newest run', out + err)
    for code in ('E6001', 'e6001', '6001'):
        _, out, _ = place.run('explain', code)
        t.check(out.startswith('E6001  '), 'explain ' + code, out)
    _, out, _ = place.run('explain')
    codes = [line.split()[0] for line in out.splitlines()]
    bad = [c for c in codes if place.run('explain', c)[0] != 0]
    t.check(len(codes) > 150 and bad == [], 'every code has its page', bad)
    place.remove()


def quiet(t):
    """Red when -q, -v, --debug, --no-input or a variable does not do what it says."""
    place = harness.Place('quiet')
    small = ['gen:lineitem?rows=100', 'null:']
    _, _, plain = place.run('copy', *small)
    _, _, q = place.run('copy', *small, '-q')
    t.check(len(q.splitlines()) < len(plain.splitlines()) and 'exit 0' in q, '-q', '%s\n--\n%s' % (q, plain))
    code, _, err = place.run('gc', '--all', '--no-input')
    t.check(code == 2 and 'E1012' in err, '--no-input never asks', err)
    code, _, err = place.run('gc', '--all', WHERRY_YES='true')
    t.check(code == 0, 'WHERRY_YES', err)
    code, out, err = place.run('history', WHERRY_JSON='1')
    t.check(code == 0 and err == '', 'WHERRY_JSON', err)
    code, out, err = place.run('config', '--origin', WHERRY_LOG_FORMAT='json', WHERRY_STATS='3s', WHERRY_COLOR='never', WHERRY_NO_PROGRESS='on')
    t.check(code == 0 and all(w in out for w in ('WHERRY_LOG_FORMAT', 'WHERRY_STATS', 'WHERRY_COLOR', 'WHERRY_NO_PROGRESS')), 'and says so', out)
    code, out, err = place.run('copy', *small, WHERRY_MODE='overwrite', WHERRY_STATUS='x', WHERRY_NONSENSE='1')
    t.check(code == 0 and 'overwrite' in err and 'WHERRY_NONSENSE is no setting' in err and 'WHERRY_STATUS' not in err,
            'flags of a copy, of another command, of none', err)
    code, out, err = place.run('copy', *small, WHERRY_MODE='sideways')
    t.check(code == 2 and 'sideways' in err, 'a value that is none', err)
    place.remove()


# (files, words of the command, exit code, what the message says): add a line
TRAPS = [
    ({'j.yaml': 'version: 1\nstreams:\n  - { from: a.csv, to: out.db, where: "x > ${n}" }\n'}, 'plan j.yaml', 2, 'E1050'),
    ({'j.yaml': 'version: 1\nparams: { n: "" }\nstreams:\n  - { from: "${n}", to: out.db }\n'}, 'plan j.yaml', 2, 'is empty'),
    ({'j.yaml': 'version: 1\nparams: { n: a b }\nstreams:\n  - { from: a.csv, to: out.db, where: "x = ${n}" }\n'},
     'plan j.yaml', 2, 'E1054'),
    ({'j.yaml': 'version: 1\nstreams: [{ from: a.csv, to: out.db }]\nschedule: { cron: "30 2 * * *" }\n'}, 'plan j.yaml', 2,
     'E1014'),
    ({'a.csv': 'x\n1\n', 'b.csv': 'x\n2\n'}, 'copy a.csv b.csv', 2, 'shell expand'),
    ({'a.csv': 'x\n1\n'}, 'copy a.csv out.db --where ', 2, 'empty value'),
    ({'a.csv': 'x\n1\n'}, 'copy a.csv out.db --from delimiter=', 2, 'delimiter'),
    ({'a.csv': 'x\n1\n'}, 'copy a.csv mysqll://h/d#t', 2, 'E1021'),
    ({'a.csv': 'x\n1\n'}, 'copy a.csv shop:orders', 2, 'E1022'),
    ({'a.csv': 'x\n1\n'}, 'copy a.xlsx out.db', 2, 'save as CSV'),
    ({'a.csv': 'x\n1\n'}, 'copy postgresql://u@x:p@h/d#t out.db', 2, '%40'),
    ({'a.csv': 'x\n1\n'}, 'copy a.csv out.db --mode delete-insert', 2, 'E1063'),
    ({'a.csv': 'x\n1\n'}, 'copy a.csv out.db --limitt 5', 2, 'did you mean --limit'),
    ({}, 'cpoy a b', 2, "did you mean 'wherry copy'"),
]


def traps(t):
    """Red when a trap of INTERFACE 8 and of the command line has no words of its own, or moves something
    (a table: add a line)."""
    for files, words, want, says in TRAPS:
        place = harness.Place('trap')
        for name, text in files.items():
            with open(place.path(name), 'w', encoding='utf-8') as f:
                f.write(text)
        code, _, err = place.run(*words.split(' '))
        t.check(code == want and says in err, 'wherry ' + words, 'exit %d\n%s' % (code, err))
        t.check(not os.path.exists(place.path('out.db')), 'nothing moved: ' + words)
        place.remove()


def summary_of_refused(t):
    """Red when --summary of what was refused is empty, is that of another run, or does not say why."""
    place = harness.Place('summary')
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('id\n1\n')
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nname: night\nstreams: [{ from: none.csv, to: out.db }]\n')
    with open(place.path('bad.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nlineage: x\nstreams: [{ from: a.csv, too: out.db }]\n')
    os.mkdir(place.path('jobs'))
    with open(place.path('jobs', 'one.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nstreams: [{ from: a.csv, to: "null:" }]\n')
    os.link(place.path('j.yaml'), place.path('jobs', 'two.yaml'))
    for words, code, status, codes, name in (
            (['run', 'j.yaml'], 2, 'refused', ['E4001'], 'night'), (['run', 'bad.yaml'], 2, 'refused', ['E1005', 'E1014'], None),
            (['run', 'none.yaml'], 2, 'refused', ['E1030'], None), (['copy', 'a.csv', 'b.csv', '--bogus'], 2, 'refused', ['E1010'], None),
            (['copy', 'a.csv', 'postgresql://u@127.0.0.1:9/d'], 5, 'failed', ['E2001'], 'copy'), (['resume', 'r-none'], 2, 'refused', ['E7007'], None),
            (['run', '--plan', 'a.csv'], 2, 'refused', ['E1072'], None), (['run', 'jobs'], 2, 'refused', ['E4001'], 'night'),
            (['-C', 'jobs', 'run', '../j.yaml'], 2, 'refused', ['E4001'], 'night')):
        path = place.path('jobs' if '-C' in words else '', 's.json')
        place.run('copy', 'a.csv', 'null:', '-q', '--summary', 's.json')
        got, _, err = place.run(*words, '--summary', 's.json')
        with open(path, encoding='utf-8') as f:
            seen = json.load(f)
        t.check(got == code and (seen['type'], seen['status'], seen['exit'], seen.get('job')) == ('run_finished', status, code, name) and
                all(c in [e['code'] for e in seen['errors']] for c in codes) and all(e['message'] for e in seen['errors']) and
                seen['retryable'] == (code == 5), 'of %s' % ' '.join(words), (got, seen))
    code, _, err = place.run('run', 'bad.yaml')
    t.check('leave it out' in err, 'what is not offered has a hint', err)
    place.remove()
