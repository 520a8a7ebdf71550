# SPDX-License-Identifier: Apache-2.0
"""A plan touches nothing, and what it says is what then happens."""
import json
import os
import sqlite3

import cases
import harness


def picture(folder):
    """What a server holds, but for its own list of sessions: tables with their rows, and files."""
    out = {}
    db = sqlite3.connect(os.path.join(folder, 'server.db')) if os.path.exists(os.path.join(folder, 'server.db')) else None
    for (name,) in db.execute("select name from sqlite_schema where type = 'table'").fetchall() if db else []:
        # wherry_run, ... : an empty table of ours is made by the fake server itself
        rows = db.execute('select * from "%s"' % name).fetchall()
        if rows:
            out[name] = sorted(rows, key=repr)
    if db:
        db.close()
    for base, _, names in os.walk(os.path.join(folder, 'files')):
        out.update({os.path.join(base, n): os.path.getsize(os.path.join(base, n)) for n in names})
    return out


def touches_nothing(t, name):
    case = cases.BY_NAME[name]
    with cases.Bench(case, cases.LARGE) as bench:
        before = picture(bench.src), picture(bench.dst)
        command = bench.copy()[1:-1]
        code, out, err = bench.place.run('plan', *command)
        t.check(code == 0, '%s: plan' % name, err)
        t.check((picture(bench.src), picture(bench.dst)) == before, '%s: plan touched a server' % name,
                '%s\n%s' % (before, (picture(bench.src), picture(bench.dst))))
        code, runs, _ = bench.place.run('history', '--json')
        t.check(code == 0 and runs == '', '%s: plan is no run' % name, runs)
        t.check(bench.place.leftovers() == [], '%s: plan leaves nothing in the state' % name, bench.place.leftovers())
        for words in case.plan:
            t.check(words in out, '%s: the plan says "%s"' % (name, words), out)
        code, dry, _ = bench.place.run(*bench.copy('--dry-run'))
        t.check(code == 0 and out.split('\n')[1:] == dry.split('\n')[1:], '%s: --dry-run is the plan' % name, dry)
        as_planned(t, bench, out)


def as_planned(t, bench, plan):
    """Delivery, units, lanes: the run does what the plan said."""
    name = bench.case.name
    code, out, err = bench.place.run(*bench.copy('--json'))
    event = harness.finished(out)
    why = 'exit %s' % code if code else bench.judge() or cases.went_well(event, bench.rows)
    if not t.check(why is None, '%s: the planned run' % name, '%s\n%s' % (why, err)):
        return
    table = event['tables'][0]
    t.check(table['delivery'] in plan, '%s: delivery as planned' % name, table)
    t.check(event['snapshot'] == table['snapshot'] == 'one instant', '%s: one instant, said of run and table' % name,
            (event['snapshot'], table['snapshot']))
    t.check(table['hash'] == 'rows', '%s: both ends hashed every row' % name, table)
    planned = [e for e in harness.events(out) if e['type'] == 'plan']
    t.check(len(planned) == 1 and json.dumps(planned[0]).count(bench.dst) > 0, '%s: the plan is an event' % name)
    _, units, _ = bench.place.run('units', event['run'], '--json')
    rows = [u['rows_read'] for u in harness.events(units)]
    t.check(sum(rows) == bench.rows and len(rows) == table['units'], '%s: its units hold all rows' % name, units)
    if '9 units' in plan and name != 'ordered':
        t.check(len(rows) == 9, '%s: 9 units were planned' % name, units)


def held_words(t):
    """What the plan of a snapshot that dies with its holder says depends on what resume will do."""
    with cases.Bench(cases.BY_NAME['held']) as bench:
        _, out, _ = bench.place.run('plan', *bench.copy()[1:-1])
        t.check('resume stops' in out and '--accept-mixed' in out, 'held: a lost holder stops an unstaged table', out)
        staged = bench.copy()[1:-1]
        staged[1] = 'hard-manifest:%s#copy' % bench.dst
        _, out, _ = bench.place.run('plan', *staged)
        t.check('the table starts again' in out, 'held: a lost holder makes a staged table start again', out)


def job_dict(bench, mode='append', **stream):
    return {'version': 1, 'name': 'hard', 'streams': [dict({'name': 'one', 'from': bench.source(), 'to': bench.sink(),
                                                            'write': {'mode': mode}}, **stream)]}


def refused_plan(t):
    """What cannot be is refused with 2, and nothing was touched."""
    with cases.Bench(cases.BY_NAME['late']) as bench:
        before = picture(bench.src), picture(bench.dst)
        for flags, word in ((('--mode', 'overwrite'), 'overwrite'), (('--consistent', 'sometimes'), 'consistent'),
                            (('--columns', 'id,nosuch'), 'nosuch')):
            code, out, err = bench.place.run(*bench.copy(*flags))
            t.check(code == 2 and word in err, 'refused: %s' % (flags,), '%s\n%s' % (code, err))
        code, _, err = bench.place.run('copy', 'hard-plain:%s#nosuch' % bench.src, bench.sink())
        t.check(code == 2 and 'nosuch' in err, 'refused: no such table', '%s\n%s' % (code, err))
        t.check((picture(bench.src), picture(bench.dst)) == before, 'a refused plan touched a server')
        _, out, _ = bench.place.run('status')
        t.check('nothing is unfinished' in out, 'a refused plan leaves nothing to resume', out)
