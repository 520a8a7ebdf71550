# SPDX-License-Identifier: Apache-2.0
"""conn, secret, init, --save: what a user keeps outside of jobs, and jobs out of commands."""
import json
import os
import re
import sqlite3
import stat

import harness
from terminal import Terminal

PLANES = os.path.join(harness.ROOT, 'examples', 'nycflights', 'planes.csv')


def pipe(place, text, *words, **env):
    p = harness.subprocess.Popen([harness.program()] + list(words), cwd=place.dir, env=dict(place.env, **env),
                                 stdin=harness.subprocess.PIPE, stdout=harness.subprocess.PIPE,
                                 stderr=harness.subprocess.PIPE)
    out, err = p.communicate(text, timeout=60)
    return p.returncode, out.decode(), err.decode('utf-8', 'replace')


def everything(place):
    """All bytes of all files below the place: where no secret may lie, but in its own file."""
    for base, _, names in os.walk(place.dir):
        for n in names:
            path = os.path.join(base, n)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, 'rb') as f:
                    yield os.path.relpath(path, place.dir), f.read()


def connections(t):
    """Red when a named connection is not known to copy, job, plan or look, lies where others can read
    it, keeps a password in clear, or goes without consent."""
    place = harness.Place('conn')
    config = place.path('home', '.config', 'wherry')
    code, out, err = place.run('conn', 'list')
    t.check((code, out) == (0, '') and 'conn add' in err, 'none at first', out + err)
    code, _, err = place.run('conn', 'add', 'shop', 'sqlite:shop.db')
    t.check(code == 0 and 'conn test shop' in err, 'added', err)
    path = os.path.join(config, 'connections', 'shop.yaml')
    t.check(stat.S_IMODE(os.stat(path).st_mode) == 0o600 and stat.S_IMODE(os.stat(config).st_mode) == 0o700, 'modes')
    with open(path, encoding='utf-8') as f:
        t.check(place.path('shop.db') in f.read(), 'a path means the same from everywhere')
    code, _, err = place.run('conn', 'add', 'shop', 'sqlite:other.db')
    t.check(code == 2 and 'E1012' in err, 'not written over', err)
    code, _, err = place.run('copy', PLANES, 'shop:planes', '-q')
    t.check(code == 0, 'copy to a named connection', err)
    rows = sqlite3.connect(place.path('shop.db')).execute('select count(*) from planes').fetchone()[0]
    t.check(rows == 3322, 'rows are there', rows)
    for words in (('describe', 'shop:planes'), ('preview', 'shop:planes', '--limit', '2'), ('discover', 'shop:'),
                  ('check', 'shop:'), ('conn', 'test', 'shop'), ('plan', 'shop:planes', 'x.csv'),
                  ('validate', PLANES, 'shop:planes')):
        code, _, err = place.run(*words)
        t.check(code == 0, 'wherry %s' % ' '.join(words[:2]), err)
    for words, said in ((('check', 'shop'), 'ok   shop'), (('discover', 'shop'), 'planes'), (('grants', 'shop'), 'shop has no')):
        _, out, err = place.run(*words)
        t.check(said in out + err, 'the bare name is no file: %s' % ' '.join(words), out + err)
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nstreams:\n  - { from: { conn: shop, table: planes }, to: out.csv }\n'
                '  - { from: "shop:planes", to: two.csv, where: "seats > 300" }\n')
    code, _, err = place.run('run', 'j.yaml', '-q')
    t.check(code == 0 and os.path.exists(place.path('two.csv')), 'a job takes it', err)
    with open(place.path('own.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\nconnections: { shop: { type: sqlite, path: nowhere.db } }\n'
                'streams: [{ from: "shop:planes", to: three.csv }]\n')
    code, _, err = place.run('run', 'own.yaml')
    t.check(code == 2 and 'nowhere.db' in err, "the job's own goes before", err)
    for name, why in (('sqlite', 'system'), ('a b', 'name'), ('../x', 'name'), ('x', 'drive'), ('-x', '')):
        code, _, err = place.run('conn', 'add', '--', name, 'sqlite:shop.db')
        t.check(code == 2 and why in err, 'name %s' % name, err)
    code, _, err = place.run('conn', 'add', 'tab', 'sqlite:shop.db#planes')
    t.check(code == 2 and 'one object' in err, 'an object is no connection', err)
    code, out, _ = place.run('conn', 'list', '--json')
    t.check(json.loads(out)['name'] == 'shop' and json.loads(out)['type'] == 'sqlite', 'list --json', out)
    os.chmod(path, 0o666)
    code, _, err = place.run('copy', 'shop:planes', 'null:')
    t.check(code == 2 and 'others may change' in err, 'a file that others may change is not read', err)
    os.chmod(path, 0o600)
    with open(os.path.join(config, 'connections', 'bad.yaml'), 'w', encoding='utf-8') as f:
        f.write('type: sqlite\npaht: x.db\n')
    code, _, err = place.run('copy', 'shop:planes', 'null:', '-q')
    t.check(code == 0 and 'paht' in err and 'bad.yaml:2' in err, 'a bad one is said, others go on', err)
    code, _, err = place.run('conn', 'rm', 'shop')
    t.check(code == 2 and 'E1012' in err and os.path.exists(path), 'nobody is asked: nothing goes', err)
    t.check(place.run('conn', 'rm', 'shop', '--yes')[0] == 0 and not os.path.exists(path), 'removed')
    code, _, err = place.run('copy', 'shop:planes', 'null:')
    t.check(code == 2 and 'E1022' in err, 'unknown again', err)
    place.remove()


def passwords(t):
    """Red when a password of a URL or a secret stands anywhere but in its own file, is printed, or a job
    that names it does not get it."""
    place = harness.Place('secret')
    code, out, err = place.run('conn', 'add', 'dw', 'postgresql://etl:geheim%4099@127.0.0.1:9/shop')
    t.check(code == 0 and 'geheim' not in out + err, 'added with a password', err)
    for words in (('conn', 'show', 'dw'), ('conn', 'list'), ('conn', 'show', 'dw', '--json'), ('secret', 'list')):
        code, out, err = place.run(*words)
        t.check(code == 0 and 'geheim' not in out + err and 'dw' in out + err, ' '.join(words), out + err)
    found = [p for p, data in everything(place) if b'geheim' in data]
    t.check(found == [os.path.join('home', '.config', 'wherry', 'secrets', 'dw.password')], 'only in its own file', found)
    path = place.path(found[0])
    t.check(stat.S_IMODE(os.stat(path).st_mode) == 0o600, 'for the owner only')
    code, out, err = place.run('conn', 'test', 'dw')
    t.check(code == 5 and 'geheim' not in out + err, 'a server that is not there', err)
    code, out, err = place.run('copy', 'dw:public.t', 'null:', '--json')
    t.check(code == 5 and 'geheim' not in out + err, 'copy from it', err)
    os.chmod(path, 0o644)
    code, _, err = place.run('conn', 'test', 'dw')
    t.check(code == 2 and 'others may read' in err, 'a secret that others may read is none', err)
    os.chmod(path, 0o600)
    code, out, err = pipe(place, b'tiger!!\n', 'secret', 'set', 'pw')
    t.check(code == 0, 'set from a pipe', err)
    with open(place.path('home', '.config', 'wherry', 'secrets', 'pw'), 'rb') as f:
        t.check(f.read() == b'tiger!!', 'as it was given, without the newline')
    t.check(pipe(place, b'', 'secret', 'set', 'pw')[0] == 2, 'empty')
    t.check(pipe(place, b'\xff\xfe', 'secret', 'set', 'pw')[0] == 2, 'no text')
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write("version: 1\nconnections: { p: { type: sqlite, path: '${secret:pw}' } }\n"
                "streams: [{ from: '%s', to: 'p:planes' }]\n" % PLANES)
    code, _, err = place.run('run', 'j.yaml', '-q')
    t.check(code == 0 and os.path.exists(place.path('tiger!!')), 'the value of ${secret:pw} is used', err)
    code, _, err = place.run('secret', 'rm', 'pw')
    t.check(code == 2 and 'E1012' in err and '--yes' in err and place.run('secret', 'list')[1].startswith('dw.password\npw'),
            'nobody is asked: no secret goes', err)
    t.check(place.run('secret', 'rm', 'pw', '--yes')[0] == 0 and place.run('secret', 'rm', 'pw', '--yes')[0] == 2, 'removed once')
    code, _, err = place.run('plan', 'j.yaml')
    t.check(code == 2 and 'wherry secret set pw' in err, 'a missing one says how to set it', err)
    t.check(place.run('conn', 'rm', 'dw', '-y')[0] == 0 and place.run('secret', 'list')[1] == '', 'its password goes too')
    term = Terminal(place, 'sh')
    term.type('wherry secret set typed')
    term.key('Enter')
    text, ok = term.wait(lambda s: 'value of typed:' in s)
    term.type('leise-bitte')
    term.key('Enter')
    term.type('echo do""ne; wherry secret list')
    term.key('Enter')
    text, ok = term.wait(lambda s: re.search(r'^typed', s, re.M))
    t.check(ok and 'leise' not in text, 'typed without an echo', text)
    with open(place.path('home', '.config', 'wherry', 'secrets', 'typed'), encoding='utf-8') as f:
        t.check(f.read() == 'leise-bitte', 'and kept')
    term.close()
    place.remove()


SAVED = [  # (sources and destination, flags)
    ([PLANES, 'out.db'], []),
    ([PLANES, 'out.db'], ['--mode', 'upsert', '--key', 'tailnum', '--dirty', 'rows=5,ratio=1%', '--limit', '100']),
    ([PLANES, 'out.db'], ['--from', 'null-text=NA', '--from', 'delimiter=comma', '--validate', 'checksum', '-j', '2',
                          '--rate', '20MB/s', '--strict']),
    ([PLANES, 'sqlite:out.db#"my ""own"" t"'], ['--columns', 'tailnum,plane_year=year', '--types', 'year=int64']),
    (['gen:lineitem?rows=10,seed=2', "null:"], ['--memory', '300MB', '--consistent', 'off']),
    ([PLANES, "it's.db#a b"], ['--mode', 'delete-insert', '--replace-where', "tailnum like 'N1%'", '--types',
                               'year=decimal(10,2)']),
    ([PLANES, 'out.db'], ['--to', 'foreign-keys=true', '--split', 'none', '--guard', 'empty=allow', '--accept-lossy', 'year,seats']),
    (['a.csv', 'a.csv', 'ab.db#x'], ['--columns', '"a ""q"""'])]


def saved(t):
    """Red when the job file of `init` or `--save` is not read, or does not plan what the copy would do (a
    table: add a line)."""
    place = harness.Place('save')
    with open(place.path('a.csv'), 'w', encoding='utf-8') as f:
        f.write('"a ""q"""\n1\n2\n')

    def settings(*words):
        code, out, err = place.run('config', '--json', *words)
        assert code == 0, err
        return [{k: v for k, v in e.items() if k != 'origin'} for e in harness.events(out)]
    for i, (words, flags) in enumerate(SAVED):
        name = 'job%d.yaml' % i
        code, out, err = place.run('copy', *words, *flags, '--save', name)
        with_job = os.path.exists(place.path(name)) and settings(name)
        if not t.check(code == 0 and with_job and 'nothing was moved' in err, 'saved %d' % i, err):
            continue
        with_copy = settings(*words, *flags)
        differ = [p for p in zip(with_job, with_copy) if p[0] != p[1]] + [len(with_job) - len(with_copy)][:with_job.__len__() != len(with_copy)]
        t.check(not differ, 'the same settings %d' % i, differ[:3])
        _, printed, _ = place.run('init', *words, *flags)
        with open(place.path(name), encoding='utf-8') as f:
            t.check(printed == f.read().replace(name, 'FILE'), 'init prints the same %d' % i, printed)
        plans = []
        for job in ([name], words + flags):
            code, out, err = place.run('plan', *job)
            plans.append(re.sub(r'job%d|copy|r-[0-9a-f-]+|stage_[0-9a-f]+|\bname: \S+' % i, '', re.sub(r'^.*(took|plan of).*\n', '', out + err, flags=re.M)))
        t.check(plans[0] == plans[1], 'the same plan %d' % i, '\n--- copy\n'.join(plans))
    t.check(not os.path.exists(place.path('out.db')), 'nothing was moved')
    code, _, err = place.run('run', 'job0.yaml', '-q')
    rows = sqlite3.connect(place.path('out.db')).execute('select count(*) from planes').fetchone()[0]
    t.check(code == 0 and rows == 3322, 'run does what copy would', err)
    code, _, err = place.run('init', PLANES, 'out.db', '-o', 'job0.yaml')
    t.check(code == 2 and 'there already' in err, 'no file is written over', err)
    t.check(place.run('init', PLANES, 'out.db', '-o', 'job0.yaml', '--yes')[0] == 0, 'but with --yes')
    code, out, err = place.run('init', 'postgresql://u:geheim99@h/d#t', 'out.db')
    t.check(code == 2 and 'conn add' in err and 'geheim99' not in out + err, 'no password in a job file', err)
    code, out, err = place.run('init', 'postgresql://u:${env:PW}@h/d#t', 'out.db', PW='geheim99')
    t.check(code == 0 and '${env:PW}' in out and 'geheim99' not in out + err, 'a reference stays one', err)
    place.run('conn', 'add', 'shop', 'sqlite:shop.db')
    code, out, err = place.run('init', PLANES, 'shop:planes')
    t.check(code == 0 and 'connections' not in out and "to: 'shop:planes'" in out, 'a named connection stays a name', out)
    place.remove()
