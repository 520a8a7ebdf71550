# SPDX-License-Identifier: Apache-2.0
"""Events for programs (INTERFACE 6): one table of all fields with their types, held against what runs of every end
really say: done, dirty, failed, refused, interrupted, killed, resumed, nothing to do, done before."""
import json
import os
import re
import signal
import time

import harness
from steer import run_of

INT, NUM, TEXT, BOOL, MAP, LIST, NONE = int, (int, float), str, bool, dict, list, type(None)
COUNTS = {k: INT for k in ('rows_read', 'rows_written', 'rows_dirty', 'rows_filtered', 'rows_skipped', 'bytes_read',
                           'bytes_written')}
# Fields may be added, never changed: what is required is always there, what is allowed has this type if it is.
HEAD = {'v': INT, 'ts': TEXT, 'type': TEXT}
ABOUT = {'run': TEXT, 'job': TEXT}
WHERE = {'stream': TEXT, 'table': TEXT, 'unit': INT, 'attempt': INT, 'code': TEXT, 'retryable': BOOL, 'hint': TEXT, 'message': TEXT,
         'where': TEXT, 'text': TEXT, 'units_done': INT, 'units_total': INT, **COUNTS}
UNIT = {**ABOUT, 'stream': TEXT, 'table': TEXT, 'unit': INT, 'attempt': INT}
ERROR = {'code': TEXT, 'retryable': BOOL, 'message': TEXT}
TYPES = {   # type: (required beside HEAD, allowed beside WHERE and ABOUT)
    'run_started': (ABOUT, {}),
    'plan': ({**ABOUT, 'plan': MAP}, {}),
    'schema_change': (ABOUT, {}),
    'unit_started': (UNIT, {}),
    'progress': ({**ABOUT, **COUNTS, 'units_done': INT}, {}),
    'unit_done': ({**UNIT, **COUNTS}, {}),
    'unit_retry': ({**UNIT, **ERROR}, {}),
    'dirty': ({**UNIT, **ERROR}, {}),
    'warning': ({}, {}),
    'validate': ({**ABOUT, 'text': TEXT}, {}),
    'error': (ERROR, {}),
    'run_finished': ({**ABOUT, **COUNTS, 'status': TEXT, 'exit': INT, 'retryable': BOOL, 'seconds': NUM, 'cpu_seconds': NUM,
                      'peak_rss': INT, 'tables': LIST, 'resume': (str, NONE)}, {'snapshot': TEXT, 'rows_staying': INT}),
}
TABLE = ({'stream': TEXT, 'table': TEXT, 'status': TEXT, 'exit': INT, 'units': INT, 'retries': INT, 'seconds': NUM, **COUNTS},
         {'delivery': TEXT, 'hash': TEXT, 'snapshot': TEXT, 'ranges': TEXT, 'error': MAP})


def typed(value, want):
    """bool is no number here."""
    if isinstance(value, bool):
        return want is BOOL
    return isinstance(value, want)


def fields(what, e, required, allowed):
    for key, want in required.items():
        if key not in e:
            yield '%s has no %s' % (what, key)
    for key, value in e.items():
        want = required.get(key, allowed.get(key))
        if want is None:
            yield '%s: the table does not know %s (add it: fields may be added)' % (what, key)
        elif not typed(value, want):
            yield '%s: %s is %r' % (what, key, value)


def problems(events):
    for e in events:
        kind = e.get('type')
        if kind not in TYPES:
            yield 'no type of the table: %s' % e
            continue
        required, allowed = TYPES[kind]
        if kind == 'run_finished' and 'errors' in e:  # a start that was refused: there may be no run, no job
            required = {k: v for k, v in required.items() if k not in ABOUT}
            allowed = {**allowed, 'errors': LIST}
            for x in e['errors']:
                yield from fields('errors[]', x, ERROR, {'where': TEXT, 'hint': TEXT})
        yield from fields(kind, e, {**HEAD, **required}, {**ABOUT, **WHERE, **allowed})
        if not re.match(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$', e.get('ts', '')) or e.get('v') != 1:
            yield 'time or version: %s' % e
        if kind != 'run_finished':
            continue
        for table in e['tables']:
            yield from fields('tables[]', table, *TABLE)
            if 'error' in table:
                yield from fields('tables[].error', table['error'], {'v': INT, **ERROR}, {'where': TEXT, 'hint': TEXT})
        bad = harness.unbalanced(e)
        if bad:
            yield bad


def ordered(events, resumed=False):
    """The order that a reader may rely on."""
    kinds = [e['type'] for e in events]
    if kinds[-1] != 'run_finished' or kinds.count('run_finished') != 1:
        yield 'run_finished is not once and last: %s' % kinds
    if 'run_started' in kinds and kinds.index('run_started') > min([kinds.index(k) for k in kinds if k.startswith('unit_')] or [10 ** 6]):
        yield 'a unit before run_started: %s' % kinds
    if len({e['run'] for e in events if 'run' in e}) > 1:
        yield 'more than one run'
    stamps = [e['ts'] for e in events]
    if stamps != sorted(stamps):
        yield 'time goes back: %s' % stamps


def held(t, what, out, want_exit, want_kinds=(), status=None):
    """All of it for one run's standard output; the last event."""
    lines = out.splitlines()
    events = harness.events(out)
    t.check(len(lines) == len(events) and events, what + ': every line is an object', out[-500:])
    if not events:
        return {}
    t.check(not list(problems(events)), what + ': fields and types', '\n'.join(list(problems(events))[:20]))
    t.check(not list(ordered(events)), what + ': order', '\n'.join(ordered(events)))
    last = events[-1]
    t.check(last.get('exit') == want_exit and (status is None or last.get('status') == status), what + ': the end',
            '%s %s' % (last.get('exit'), last.get('status')))
    missing = set(want_kinds) - {e['type'] for e in events}
    t.check(not missing, what + ': has its events', '%s missing of %s' % (missing, [e['type'] for e in events]))
    return last


BASE = ('plan', 'run_started', 'unit_started', 'unit_done', 'run_finished')
BAD = 'id,v\n' + ''.join('%d,%s\n' % (i, 'x' if i in (3, 7) else i) for i in range(20))
# (what, files, words, exit, kinds, status)
RUNS = [
    ('done', {}, 'copy gen:lineitem?rows=1000 out.db', 0, BASE, 'done'),
    ('two tables', {'a.csv': 'id\n1\n', 'b.csv': 'id\n2\n', 'j.yaml': 'version: 1\nstreams: [{ from: a.csv, to: out.db },'
     ' { from: b.csv, to: out.db }]\n'}, 'run j.yaml', 0, BASE, 'done'),
    ('checked afterwards', {'a.csv': 'id\n1\n'}, 'copy a.csv out.db --validate checksum', 0, BASE + ('validate',), 'done'),
    ('dirty rows', {'a.csv': BAD}, 'copy a.csv out.db --types v=int64 --dirty rows=5', 0, BASE + ('dirty',), 'done'),
    ('dirty rows and --strict', {'a.csv': BAD}, 'copy a.csv out.db --types v=int64 --dirty rows=5 --strict', 3, BASE + ('dirty',), 'done'),
    ('dirty limit', {'a.csv': BAD}, 'copy a.csv out.db --types v=int64', 6, ('dirty', 'error', 'run_finished'), 'failed'),
    ('one of two fails', {'a.csv': BAD, 'b.csv': 'id\n2\n', 'j.yaml': 'version: 1\nstreams: [{ from: a.csv, to: out.db, types: { v: int64 } },'
     ' { from: b.csv, to: out.db }]\n'}, 'run j.yaml', 6, ('dirty', 'error', 'unit_done', 'run_finished'), None),
    ('no rows', {'a.csv': 'id\n'}, 'copy a.csv out.db --error-on-empty', 8, ('plan', 'run_started', 'run_finished'), None),
    ('guard', {'a.csv': 'id\n'}, 'copy a.csv out.db --mode overwrite', 1, ('plan', 'run_started', 'error', 'run_finished'), 'failed'),
    ('own limit', {}, 'copy gen:lineitem?rows=200000 null: --rate 1MB/s --max-duration 1s', 7, ('run_started', 'run_finished'), None),
]


def ends(t):
    """Red when an event lacks a promised field, has it in another type, comes in another order, or is missing,
    whatever the end of the run is."""
    seen = set()
    for what, files, words, want, kinds, status in RUNS:
        place = harness.Place('events')
        for name, text in files.items():
            with open(place.path(name), 'w', encoding='utf-8') as f:
                f.write(text)
        if what == 'guard':
            with open(place.path('full.csv'), 'w', encoding='utf-8') as f:
                f.write('id\n1\n')
            place.run('copy', 'full.csv', 'out.db#a')
        code, out, err = place.run(*words.split(), '--json', '--events', 'e.jsonl', '--summary', 's.json')
        t.check(code == want and err == '', what + ': exit code, silence for people', '%d %s' % (code, err))
        last = held(t, what, out, want, kinds, status)
        seen |= {e['type'] for e in harness.events(out)}
        with open(place.path('e.jsonl'), encoding='utf-8') as f:
            t.check(f.read() == out, what + ': --events has the same lines')
        with open(place.path('s.json'), encoding='utf-8') as f:
            t.check(json.loads(f.read() or 'null') == last, what + ': --summary is the last one')
        if want == 0:
            t.check(last['resume'] is None and not last['retryable'], what + ': nothing to go on with')
        place.remove()
    t.check(seen >= {'plan', 'run_started', 'unit_started', 'unit_done', 'dirty', 'validate', 'error', 'run_finished', 'progress'}, 'types seen', seen)


# Starts that end before a run began: (what, words, exit, codes of errors, run named, status).
NOT_BEGUN = [
    ('no source', 'copy none.csv out.db', 2, ['E4001'], False, 'refused'),
    ('a flag that is none', 'copy a.csv out.db --bogus', 2, ['E1010'], False, 'refused'),
    ('no such column', 'copy a.csv out.db --types nope=int64', 2, ['E3002'], False, 'refused'),
    ('no job file', 'run none.yaml', 2, ['E1030'], False, 'refused'),
    ('a job with two mistakes', 'run bad.yaml', 2, ['E1014', 'E1005'], False, 'refused'),
    ('no such run', 'resume r-none', 2, ['E7007'], False, 'refused'),
    ('no server', 'copy postgresql://u@127.0.0.1:1/d#t out.db', 5, ['E2001'], False, 'failed'),
    ('a target that another run holds', 'copy a.csv held.db#x', 2, ['E7005'], True, 'refused'),
    ('rows that belong to nobody', 'dirty replay r-none', 2, ['E7007'], False, 'refused'),
    ('two jobs', 'run none.yaml bad.yaml', 2, ['E1014', 'E1005'], False, 'refused'),
]


def not_begun(t):
    """Red when what a program reads of a start that was refused does not end with run_finished, or that does not
    say why; or when a plan that was only asked for ends like a run."""
    place = harness.Place('not-begun')
    for name, text in (('a.csv', 'id\n1\nx\n'), ('bad.yaml', 'version: 1\nlineage: x\nstreams: [{ from: a.csv, too: out.db }]\n')):
        with open(place.path(name), 'w', encoding='utf-8') as f:
            f.write(text)
    code, _, err = place.run('copy', 'a.csv', 'held.db#x', '--types', 'id=int64', '-q')
    t.check(code == 6, 'a run that is unfinished', err)
    for what, words, want, codes, named, status in NOT_BEGUN:
        code, out, err = place.run(*words.split(), '--json', '--events', 'e.jsonl', '--summary', 's.json')
        t.check(code == want and err == '', what + ': exit code, silence for people', '%d %s' % (code, err))
        if what == 'two jobs':  # each has its end
            t.check([e.get('code', e['type']) for e in harness.events(out)] == ['E1030', 'run_finished', *codes, 'run_finished'], what, out)
        else:
            last = held(t, what, out, want, ('error',), status)
            t.check([e['code'] for e in last['errors']] == codes and ('run' in last) == named and last['retryable'] == (want == 5) and
                    last['resume'] is None and last['tables'] == [], what + ': why', last)
        with open(place.path('e.jsonl'), encoding='utf-8') as f, open(place.path('s.json'), encoding='utf-8') as g:
            t.check(f.read() == out and g.read() == out.splitlines(True)[-1], what + ': --events and --summary as well')
        os.remove(place.path('e.jsonl'))
        os.remove(place.path('s.json'))
        code, out, err = place.run(*words.split(), '--events', 'e.jsonl')
        t.check(code == want and out == '' and all(c in err for c in codes), what + ': for people', out + err)
        with open(place.path('e.jsonl'), encoding='utf-8') as f:
            t.check(not list(problems(harness.events(f.read()))), what + ': for people, and events')
        os.remove(place.path('e.jsonl'))
    code, out, err = place.run('copy', 'none.csv', '-', '--json')
    t.check(code == 2 and out == '' and [e['type'] for e in harness.events(err)] == ['error', 'run_finished'], 'data goes to -: events do not', out + err)
    code, out, err = place.run('copy', 'none.csv', 'out.db', '--dry-run', '--json')
    t.check(code == 2 and 'run_finished' not in out, 'a plan is no run', out)
    seen = harness.events(place.run('history', '--json', '--status', 'refused')[1])
    t.check(len(seen) == 2 and {(e['exit'], e['rows_written']) for e in seen} == {(2, 0)}, 'history calls them refused', seen)
    run = harness.events(place.run('history', '--json')[1])[-1]['run']
    os.remove(place.path('held.db'))
    code, out, err = place.run('resume', run, '--json')
    if code == 2 and 'errors' in harness.events(out)[-1]:
        t.check(harness.events(out)[-1]['resume'] == 'wherry resume ' + run, 'a resume that was refused can be said again', out)
    place.remove()


def interrupted(t):
    """Red when run_finished is not the last event of a run that was ended from outside, its exit code is another than
    the process's, or it does not say how to go on."""
    for sig, want in ((signal.SIGTERM, 143), (signal.SIGINT, 130)):
        place = harness.Place('stopped')
        p = place.start('copy', 'gen:lineitem?rows=400000,seed=3', 'out.db#l', '--rate', '2MB/s', '--json')
        run = run_of(place, p)
        time.sleep(0.7)
        begun = time.monotonic()
        p.send_signal(sig)
        code, out, err = harness.finish(p, 30)
        t.check(code == want and time.monotonic() - begun < 10, 'out within 10 s, %d' % want, '%d %s' % (code, err))
        last = held(t, 'by signal %d' % sig, out, want, ('run_started', 'run_finished'), 'interrupted')
        t.check(last.get('resume') == 'wherry resume ' + run, 'says how to go on', last.get('resume'))
        p = place.start('resume', run, '--rate', '2MB/s', '--json')
        t.check(run_of(place, p) == run, 'one that goes on after an end is running')
        place.run('limit', run, '--rate', 'none')
        code, out, err = harness.finish(p)
        t.check(code == 0, 'resumed', err)
        last = held(t, 'resumed', out, 0, BASE, 'done')
        t.check(last['rows_written'] == 400000, 'counts of the whole run', last['rows_written'])
        place.remove()


def again(t):
    """Red when a finished run that is asked for again is silent for programs, moves rows, or tells another end."""
    place = harness.Place('before')
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('id\n1\n')
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nstreams: [{ from: a.csv, to: out.db }]\n')
    words = ['run', 'j.yaml', '--scheduled', '2024-01-01', '--json']
    _, out, _ = place.run(*words)
    first = harness.finished(out)
    code, out, err = place.run(*words, '--events', 'e.jsonl', '--summary', 's.json')
    events = harness.events(out)
    t.check(code == 0 and err == '' and [e['type'] for e in events] == ['warning', 'run_finished'], 'a warning, and the old end', out + err)
    t.check(events[-1] == first and 'nothing was moved' in events[0]['text'], 'the old end', events)
    t.check(not list(problems(events)), 'fields and types', list(problems(events)))
    with open(place.path('e.jsonl'), encoding='utf-8') as f, open(place.path('s.json'), encoding='utf-8') as g:
        t.check(f.read() == out and json.loads(g.read()) == first, '--events and --summary as well')
    code, out, err = place.run(*words[:-1])
    t.check(code == 0 and out == '' and 'nothing was moved' in err and 'exit 0' in err, 'for people', err)
    code, out, err = place.run(*words, '--again')
    t.check(code == 0 and harness.finished(out)['run'] != first['run'], '--again', err)
    place.remove()


def masked(t):
    """Red when a secret stands in an event, a log or a summary."""
    place = harness.Place('masked')
    env = {'PGPASSWORD': None}
    code, out, err = place.run('copy', 'postgresql://u:geheim77@127.0.0.1:1/d#t', 'out.db', '--json', '--events', 'e', '--summary', 's',
                               '--log-file', 'l', '--log-format', 'json', '-v', **env)
    t.check(code in (2, 5, 9), 'no server', code)
    text = out + err
    for name in os.listdir(place.dir):
        if os.path.isfile(place.path(name)):
            with open(place.path(name), encoding='utf-8', errors='replace') as f:
                text += f.read()
    t.check('geheim77' not in text and 'E2' in text, 'the password is nowhere', text)
    place.remove()
