# SPDX-License-Identifier: Apache-2.0
"""--debug: what a night's failure is looked for with."""
import os
import re
import sqlite3

import harness

LINE = re.compile(r'^\d{4}-\d\d-\d\dT[\d:.]+Z (?:ERROR|WARN |INFO |DEBUG) ([a-z]+): (.*)$')


def lines(text):
    return [m.groups() for m in map(LINE.match, text.splitlines()) if m]


def components(t):
    """Red when a component says nothing, another one speaks that was not asked, a statement is told once for
    every row, or an unknown name is taken."""
    place = harness.Place('debug')
    db = sqlite3.connect(place.path('in.db'))
    db.execute('create table t (id integer primary key, v text)')
    db.executemany('insert into t values (?, ?)', [(i, 'v%d' % i) for i in range(5000)])
    db.commit()
    db.close()
    wanted = {'cli': ['the state is in', 'ends with 0'], 'plan': ['in.db (sqlite) opened', 't -> out.db#t: read by', 'class T'],
              'engine': ['at claim-after', 'step 1', 'unit 1 attempt 1: unit_done', 'opened to write'],
              'sql': ['ms: create table', 'in.db: ', 'the same, '], 'state': ['planned -> claimed', 'leased -> recorded'],
              'files': ['write ', ' becomes ']}
    for name, words in wanted.items():
        to = 'out.csv' if name == 'files' else 'out.db'
        code, out, err = place.run('copy', 'sqlite:in.db#t', to, '--debug', name, '-q')
        told = lines(err)
        text = '\n'.join(m for _, m in told)
        t.check(code == 0 and {c for c, _ in told} == {name}, '%s alone' % name, {c for c, _ in told})
        t.check(all(w in text for w in words), name, [w for w in words if w not in text] + [text[:2000]])
        t.check(len(told) < 400, '%s: not a line a row' % name, len(told))
        os.unlink(place.path(to))
    code, _, err = place.run('copy', 'sqlite:in.db#t', 'out.csv', '--debug', 'state,files', '--log-file', 'log')
    with open(place.path('log'), encoding='utf-8') as f:
        told = lines(f.read())
    t.check(code == 0 and {c for c, _ in told} == {'state', 'files'} and not lines(err), 'two, into a file', err)
    code, _, err = place.run('copy', 'out.csv', 'two.csv', '--debug', 'all', WHERRY_LOG_FORMAT='json')
    told = [e for e in harness.events(err) if e['type'] == 'log']
    t.check(code == 0 and {'cli', 'plan', 'engine', 'files', 'state'} <= {e['component'] for e in told}, 'all, as JSON',
            {e['component'] for e in told})
    code, _, err = place.run('copy', 'out.csv', 'three.csv')
    t.check(code == 0 and not lines(err), 'silence otherwise', err)
    for word, said in (('engin', "did you mean 'engine'?"), ('sql,stat', "'state'"), ('xyzzy', 'cli, plan, engine, sql, files, state')):
        code, _, err = place.run('copy', 'out.csv', 'four.csv', '--debug', word)
        t.check(code == 2 and 'E1002' in err and said in err, 'no component: %s' % word, err)
    t.check(place.run('version', '--debug', 'file')[0] == 0, 'a connector may be named')
    place.remove()


def erased(t):
    """Red when a secret is told by --debug."""
    place = harness.Place('debug-secret')
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('id\n1\n')
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nconnections: { dw: { type: postgresql, host: 127.0.0.1, port: 9, user: u, password: "${env:PW}" } }\n'
                'streams: [{ from: a.csv, to: "dw:t", write: { before: ["delete from t where v = \'geheim123\'"] } }]\n')
    code, out, err = place.run('run', 'j.yaml', '--debug', 'all', PW='geheim123')
    t.check(code == 5 and lines(err) and 'geheim123' not in out + err, 'of a connection', err)
    place.remove()
