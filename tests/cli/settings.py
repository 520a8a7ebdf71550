# SPDX-License-Identifier: Apache-2.0
"""Settings of a copy (INTERFACE 2.1): the program's own table of flags, row by row. Each is set by flag, by variable, by
job key and by the key with a dash, and must lead to the same value in force and to the same plan; and without it the
default is the one that was promised."""
import json
import os
import sqlite3

import harness

# flag: (promised key, promised default as `config` prints it, value on the command line, the same in a job,
#        what goes with it: (flag, value) each, value that is in force)
R = 'refused by name'
ROWS = {
    'mode': ('write.mode', 'append', 'upsert', 'upsert', (), 'upsert'),
    'key': ('write.keys', None, 'id,name', ['id', 'name'], (), 'id,name'),
    'replace-where': ('write.replace.where', None, 'id > 1', 'id > 1', (('mode', 'delete-insert'),), 'id > 1'),
    'replace-keys': ('write.replace.keys', None, None, True, (('mode', 'delete-insert'), ('key', 'id')), 'true'),
    'where': ('where', None, 'id > 1', 'id > 1', (), 'id > 1'),
    'filter': ('filter', R, 'id > 1', 'id > 1', (), R),
    'query': ('query', None, 'select id, name from t', 'select id, name from t', (), 'select id, name from t'),
    'limit': ('limit', None, '2', 2, (), '2'),
    'columns': ('columns', '*', 'name,price=id', ['name', {'from': 'id', 'to': 'price'}], (), 'name,price=id'),
    'types': ('types', None, 'price=decimal(9,3),id=int64', {'price': 'decimal(9,3)', 'id': 'int64'}, (), {'types.price': 'decimal(9,3)', 'types.id': 'int64'}),
    'create': ('table.create', 'if-missing', 'never', 'never', (), 'never'),
    'evolve': ('table.evolve', 'none', 'none', 'none', (), 'none'),
    'merge': ('merge', None, 'same', 'same', (), 'same'),
    'split': ('split', 'auto', 'none', 'none', (), 'none'),
    'consistent': ('run.consistent', 'try', 'require', 'require', (), 'require'),
    'parallel': ('run.parallel', 'min(4, cores)', '3', 3, (), '3'),
    'rate': ('run.limits.rate', None, '20MB/s', '20MB/s', (), '20MB'),
    'rows-per-second': ('run.limits.rows_per_second', None, '1000', 1000, (), '1000'),
    'memory': ('run.limits.memory', '256MB', '300MB', '300MB', (), '300MB'),
    'max-duration': ('run.limits.max_duration', None, '1h', '1h', (), '1h'),
    'dirty': ('dirty', None, 'rows=3,ratio=0.1', {'rows': 3, 'ratio': 0.1}, (), {'dirty.rows': '3', 'dirty.ratio': '0.1'}),
    'dirty-archive': ('dirty.archive', None, '/kept/', '/kept/', (), '/kept/'),
    'atomic': ('write.atomic', None, 'table', 'table', (), 'table'),
    'validate': ('validate', 'off', 'count', 'count', (), 'count'),
    'guard': ('guard', None, 'empty=allow,min_rows=1', {'empty': 'allow', 'min_rows': 1}, (), {'guard.empty': 'allow', 'guard.min_rows': '1'}),
    'lock-wait': ('run.lock_wait', '0', '5s', '5s', (), '5s'),
    'strict': ('run.strict', 'false', None, True, (), 'true'),
    'error-on-empty': ('run.error_on_empty', 'false', None, True, (), 'true'),
    'accept-lossy': ('accept_lossy', None, 'price,name', ['price', 'name'], (), 'price,name'),
    'accept-mixed': ('run.accept_mixed', 'false', None, True, (), 'true'),
    'marker': ('write.marker', 'auto', 'off', 'off', (), 'off'),
    'checksum': ('run.checksum', 'rows', 'bytes', 'bytes', (), 'bytes'),
    'from': ('from', None, 'cache=2MiB', {'cache': '2MiB'}, (), {'from.cache': '2MiB'}),
    'to': ('to', None, 'journal_mode=wal', {'journal_mode': 'wal'}, (), {'to.journal_mode': 'wal'}),
}
DEFAULTS = {    # of what the table holds as a group, or has no flag
    'dirty.rows': '0', 'guard.empty': 'refuse', 'run.tables': '4', 'run.on_stream_failure': 'continue', 'run.retry.times': '3',
    'run.timeouts.connect': '10s', 'run.timeouts.user': '30s', 'run.timeouts.lock': '30s', 'run.timeouts.no_progress': '10m',
    'run.timeouts.state': '5m', 'run.timeouts.statement': None, 'table.create': 'if-missing', 'write.mode': 'append',
}
NOT_OFFERED = {'--since': '2024-01-01', '--until': '2024-01-01', '--replace-partitions': 'touched',
               '--server': 'http://h'}


def job(*settings):
    """A job file of a copy: [(key, value)] put in their places."""
    stream, run = {}, {}
    for key, value in settings:
        parts = key.split('.')
        at = run if parts[0] == 'run' else stream
        parts = parts[1:] if parts[0] == 'run' else parts
        for p in parts[:-1]:
            at = at.setdefault(p, {})
        at[parts[-1]] = value
    ends = {'from': dict({'type': 'sqlite', 'path': 'src.db', 'table': 't'}, **stream.pop('from', {})),
            'to': dict({'type': 'sqlite', 'path': 'out.db', 'table': 't'}, **stream.pop('to', {}))}
    if 'query' in stream:
        ends['from'].pop('table')
    return json.dumps({'version': 1, 'name': 'copy', 'streams': [dict(ends, **stream)], 'run': run})


def plan_of(place, words, env):
    """The plan as it must be the same: without the run's own name and the words for what was written."""
    code, out, err = place.run('plan', *words, '--json', **env)
    found = [e for e in harness.events(out) if 'tables' in e or e.get('type') == 'error']
    for e in found:
        for key in ('run', 'ts', 'where'):
            e.pop(key, None)
        for table in e.get('tables', []):
            for key in ('source', 'stream'):
                table.pop(key, None)
            if table['refused']:
                table.pop('target')
                table['error'].pop('where')
            for step in table.get('steps', []):
                step.pop('sql', None)
            table.pop('fingerprint', None)
        e.pop('shape', None)
        e['message'] = e.get('message', '')
    text = json.dumps(found, sort_keys=True)
    for run in {w for w in text.replace('"', ' ').replace('\\', ' ').split() if w.startswith('wherry_stage_')}:
        text = text.replace(run, 'STAGE')
    return code, text, err


def in_force(place, words, env):
    code, out, err = place.run('config', *words, '--json', **env)
    return code, {e['key']: e['value'] for e in harness.events(out) if 'key' in e}, err


def limit_of_none(t):
    """Red when a limit of no rows copies all of them."""
    place = harness.Place('limit-0')
    with open(place.path('a.csv'), 'w', encoding='ascii') as f:
        f.write('id\n1\n2\n')
    with open(place.path('j.yaml'), 'w', encoding='ascii') as f:
        f.write("version: 1\nstreams: [{ from: a.csv, to: 'o.db#a', limit: 0 }]\n")
    for words in (('copy', 'a.csv', 'o.db#a', '--limit', '0'), ('run', 'j.yaml'), ('plan', 'j.yaml'), ('preview', 'a.csv', '--limit', '0')):
        code, out, err = place.run(*words)
        t.check(code == 2 and ('E1003' in err or 'E1002' in err) and 'limit' in err and not os.path.exists(place.path('o.db')), 'refused: ' + words[0], out + err)
    place.remove()


def table(t):
    """Red when a setting means something else by flag, key or variable, when a default is not the promised one, or a flag
    was added that is not in the table above."""
    place = harness.Place('settings')
    code, out, _ = place.run('tables')
    flags = {f['name']: f for c in json.loads(out)['commands'] if c['name'] == 'copy' for f in c['flags'] if f['key']}
    t.check(set(flags) == set(ROWS), 'the flags of a copy are those of the table', set(flags) ^ set(ROWS))
    for name in ('src.db', 'out.db'):
        db = sqlite3.connect(place.path(name))
        db.execute('create table t (id integer primary key, name text not null, price numeric)')
        db.executemany('insert into t values (?, ?, ?)', [(i, 'n%d' % i, i / 4) for i in range(1, 6)] if name == 'src.db' else [])
        db.commit()
        db.close()
    base = ['src.db#t', 'out.db#t']
    _, defaults, err = in_force(place, base, {})
    for key, want in DEFAULTS.items():
        t.check(defaults.get(key) == want, 'default of ' + key, '%r, not %r %s' % (defaults.get(key), want, err))
    for name, row in ROWS.items():
        one(t, place, name, flags[name], row, defaults)
    for flag, value in NOT_OFFERED.items():
        code, _, err = place.run('copy', *base, flag, value)
        t.check(code == 2 and 'E1014' in err and flag in err and 'did you mean' not in err, flag + ' is refused by name', err)
    place.remove()


def one(t, place, name, flag, row, defaults):
    key, default, value, in_job, others, force = row
    t.check(flag['key'] == key and flag['help'], '--%s is %s' % (name, key), flag)
    if default != R:
        t.check(defaults.get(key) == default, 'default of --' + name, '%r, not %r' % (defaults.get(key), default))
    ends = ['src.db', 'out.db#t'] if name == 'query' else ['src.db#t', 'out.db#t']
    with_it = [w for f, v in others for w in ('--' + f, v)]
    words = {
        'flag': (ends + with_it + ['--' + name] + [value] * (value is not None), {}),
        'flag with _': (ends + with_it + ['--' + name.replace('-', '_') + ('=' + value if value is not None else '')], {}),
        'variable': (ends + with_it, {'WHERRY_' + name.upper().replace('-', '_'): value if value is not None else 'true'}),
    }
    settings = [(ROWS[f][0], v) for f, v in others]
    for way, at in (('key', key), ('key with -', key.replace('_', '-'))):
        with open(place.path(way.replace(' ', '') + '.json'), 'w', encoding='utf-8') as f:
            f.write(job(*settings, (at, in_job)))
        words[way] = ([way.replace(' ', '') + '.json'], {})
    seen = {}
    for way, (w, env) in words.items():
        code, values, err = in_force(place, w, env)
        if default == R:
            t.check(code == 2 and ('E1014' in err or err == ''), '--%s by %s is refused' % (name, way), err)
        else:
            wanted = force if isinstance(force, dict) else {key: force}
            got = {k: values.get(k) for k in wanted}
            t.check(code == 0 and got == wanted, '--%s by %s is in force' % (name, way), '%s %s' % (got, err))
        seen[way] = plan_of(place, w, env)
    first = seen['flag']
    t.check(first[0] == (2 if default == R else 0) and ('E1014' in first[1]) == (default == R), '--%s: a plan' % name, first)
    for way, got in seen.items():
        t.check(got[:2] == first[:2], '--%s by %s: the same plan as by flag' % (name, way), '%s\n%s\n%s' % (got[1], first[1], got[2]))
