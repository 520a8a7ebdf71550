# SPDX-License-Identifier: Apache-2.0
"""schema, completion, config: what is made out of the tables of settings and commands."""
import glob
import json
import os
import re

import jsonschema
import yaml

import harness
from terminal import Terminal


class Yaml12(yaml.SafeLoader):
    """As editors read it: `off` and `no` are texts."""


Yaml12.yaml_implicit_resolvers = {
    k: [(tag, rx) for tag, rx in v if tag in ('tag:yaml.org,2002:null', 'tag:yaml.org,2002:int',
                                              'tag:yaml.org,2002:float')]
    for k, v in yaml.SafeLoader.yaml_implicit_resolvers.items()}
Yaml12.add_implicit_resolver('tag:yaml.org,2002:bool', re.compile(r'^(true|false)$'), list('tf'))


def validator(place):
    code, out, err = place.run('schema')
    assert code == 0, err
    schema = json.loads(out)
    jsonschema.Draft7Validator.check_schema(schema)
    return jsonschema.Draft7Validator(schema), schema


def complaints(v, text):
    found = []
    for loader in (Yaml12, yaml.BaseLoader):
        found += ['%s: %s' % ('/'.join(map(str, e.absolute_path)), e.message[:200])
                  for e in v.iter_errors(yaml.load(text, Loader=loader))]
    return found


def documented():
    """The job files of all documents: those that are right, and those that are wrong on purpose."""
    good, bad = [], []
    for path in sorted(glob.glob(os.path.join(harness.ROOT, 'docs', '**', '*.md'), recursive=True)) + [os.path.join(harness.ROOT, 'README.md')]:
        with open(path, encoding='utf-8') as f:
            for block in re.findall(r'^```yaml\n(.*?)^```', f.read(), re.M | re.S):
                if re.search(r'^streams:', block, re.M):
                    where = os.path.relpath(path, harness.ROOT) + ' ' + block.split('\n')[0]
                    (bad if block.startswith('# wrong') else good).append((where, block))
    return good, bad


def schema(t):
    """Red when the schema is no JSON Schema, an example is not valid by it, a default or help is lost on
    the way from the option tables, or a file cannot be written."""
    place = harness.Place('schema')
    v, s = validator(place)
    examples = sorted(glob.glob(os.path.join(harness.ROOT, 'examples', '**', '*.yaml'), recursive=True))
    t.check(len(examples) >= 4, 'examples are there', examples)
    for path in examples:
        with open(path, encoding='utf-8') as f:
            found = complaints(v, f.read())
        t.check(not found, '%s is valid by the schema' % os.path.relpath(path, harness.ROOT), '\n'.join(found))
    good, bad = documented()
    t.check(len(good) >= 10 and len(bad) >= 1, 'documents have jobs', '%d, %d' % (len(good), len(bad)))
    for where, text in good:
        found = complaints(v, text)
        t.check(not found, '%s is valid by the schema' % where, '%s\n%s' % (text, found))
    for where, text in bad:
        t.check(complaints(v, text), '%s is not valid by the schema' % where, text)
    write = s['definitions']['write']['properties']
    t.check(write['mode'].get('default') == 'append' and 'upsert' in write['mode']['anyOf'][0]['enum'], 'modes', write)
    t.check('incremental' not in s['definitions']['stream']['properties'], 'refused keys are not offered')
    cases = s['definitions']['connection']['allOf']
    names = {n for c in cases for n in c['if']['properties']['type']['enum']}
    t.check({'sqlite', 'postgresql', 'pg', 'file', 'gen', 'null'} <= names, 'connectors and their aliases', names)
    code, _, err = place.run('schema', '-o', 'x/y.json')
    t.check(code != 0 and 'x/y.json' in err, 'a file that cannot be written', err)
    code, _, _ = place.run('schema', '-o', 'y.json')
    with open(place.path('y.json'), encoding='utf-8') as f:
        t.check(code == 0 and json.load(f) == s, 'schema -o')
    place.remove()


HEAD = 'version: 1\nconnections: { c: { type: sqlite, path: a.db } }\n'
AGREE = [   # (good, job)
    (True, 'version: 1\nstreams: [{ from: a.csv, to: out.db }]\n'),
    (True, 'version: 1\nx-note: [1, 2]\nstreams: [{ from: a.csv, to: out.db, x-why: { a: b } }]\n'),
    (True, HEAD + "streams: [{ from: { conn: c, table: ['a', 'b*'], exclude: x }, to: 'null:' }]\n"),
    (True, HEAD + 'streams: [{ from: { type: file, path: [a.csv, b.csv], delimiter: tab, header: true }, to: "c:t" }]\n'),
    (True, HEAD + 'streams: [{ from: a.csv, to: { conn: c, table: t }, columns: [id, { from: a, to: b, type: text },'
     ' { to: k, value: 5 }, { to: s, source: table }, "*"], types: { id: int64 } }]\n'),
    (True, HEAD + "streams: [{ from: { conn: c, table: '*' }, to: 'null:', override: { t: { limit: 1 }, 'a*': { skip: true } } }]\n"),
    (False, HEAD + "streams: [{ from: { conn: c, table: '*' }, to: 'null:', override: { t: { limt: 1 } } }]\n"),
    (False, HEAD + "streams: [{ from: { conn: c, table: '*' }, to: 'null:', override: { t: { from: x } } }]\n"),
    (True, HEAD + "streams: [{ from: a.csv, to: 'c:t', write: { before: delete from t, after: [analyze t], on_resume: repeat } }]\n"),
    (False, HEAD + "streams: [{ from: a.csv, to: 'c:t', write: { before: { a: b } } }]\n"),
    (True, 'version: 1\nstreams: [{ from: a.csv, to: out.db, write: { mode: upsert, keys: [id] }, dirty: "rows=5" }]\n'),
    (True, 'version: 1\nstreams: [{ from: a.csv, to: out.db, write: { mode: upsert, key: id }, validate: off }]\n'),
    (True, 'version: 1\nstreams: [{ from: a.csv, to: out.db, split: none, guard: { empty: allow, min_rows: 2 } }]\n'),
    (True, 'version: 1\nstreams: [{ from: a.csv, to: out.db, write: { mode: delete-insert, replace: { where: "a=1" } } }]\n'),
    (True, 'version: 1\nparams: { d: { type: date, default: 2024-01-01 }, n: 5 }\ndefaults: { validate: checksum,'
     ' dirty: { rows: 3, ratio: 0.1% } }\nstreams: [{ from: a.csv, to: out.db, limit: "${n}" }]\n'),
    (True, 'version: 1\nname: 2024\ntimezone: UTC\nlabels: { a: b }\ndescription: x\nstreams: [{ from: a.csv, to: out.db }]'
     '\nrun: { parallel: 2, tables: 3, consistent: off, strict: no, limits: { rate: 20MB/s, memory: 1e8,'
     ' max_duration: 1h }, retry: { times: 2, wait: 5s }, timeouts: { lock: 3s, statement: 0 } }\n'),
    (False, 'version: 2\nstreams: [{ from: a.csv, to: out.db }]\n'),
    (False, 'streams: [{ from: a.csv, to: out.db }]\n'),
    (False, 'version: 1\nstreams: []\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv }]\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db, mode: upsert }]\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db, write: { mode: merge } }]\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db, write: { modus: append } }]\n'),
    (False, 'version: 1\nstreams: [{ from: { type: file, path: a.csv, delimitter: tab }, to: out.db }]\n'),
    (False, 'version: 1\nstreams: [{ from: { delimiter: tab }, to: out.db }]\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db }]\nrun: { paralel: 2 }\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db }]\nrun: { limits: { speed: 2 } }\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db }]\nrun: { parallel: 0 }\n'),
    (False, 'version: 1\nconnections: { c: { path: a.db } }\nstreams: [{ from: a.csv, to: out.db }]\n'),
    (False, 'version: 1\nstreams: [{ from: a.csv, to: out.db, columns: [{ form: a, to: b }] }]\n'),
    (False, 'version: 1\ndefaults: { from: a.csv }\nstreams: [{ from: a.csv, to: out.db }]\n'),
    (False, 'version: 1\nschedule: { cron: "1 2 * * *" }\nstreams: [{ from: a.csv, to: out.db }]\n'),
]


def schema_and_reader_agree(t):
    """Red when the schema takes a job that the program refuses, or the reverse (a table: add a line)."""
    place = harness.Place('agree')
    v, _ = validator(place)
    for i, (good, text) in enumerate(AGREE):
        with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
            f.write(text)
        code, _, err = place.run('config', 'j.yaml')
        t.check((code == 0) == good, 'job %d: the program' % i, '%s\nexit %d %s' % (text, code, err))
        found = [c for loader in (Yaml12,) for c in v.iter_errors(yaml.load(text, Loader=loader))]
        t.check((not found) == good, 'job %d: the schema' % i, '%s\n%s' % (text, found[:2]))
    place.remove()


SHELLS = [('bash', 'bash --norc --noprofile', 'eval "$(wherry completion bash)"'),
          ('zsh', 'zsh -f', 'autoload -U compinit; compinit -u -D; eval "$(wherry completion zsh)"'),
          ('fish', 'fish -N', 'wherry completion fish | source')]


def tab(term, typed, wanted):
    """Types words on an empty line and asks for what follows; on a busy machine perhaps twice."""
    for _ in range(3):
        term.key('C-c')
        term.key('C-l')
        term.wait(lambda s: len(s.strip().splitlines()) <= 1, 3)
        term.type(typed)
        term.wait(lambda s: typed in s, 20)
        for _ in range(2):      # the second one lists
            term.key('Tab')
            text, ok = term.wait(lambda s: wanted in s, 10)
            if ok:
                return text, ok
    return text, ok


def completion(t):
    """Red when Tab in a real bash, zsh or fish does not end a word that only one thing can be, or does
    not offer files where files are meant."""
    for shell, command, load in SHELLS:
        place = harness.Place('tab-' + shell)
        with open(place.path('nightly_orders.yaml'), 'w', encoding='utf-8') as f:
            f.write('version: 1\n')
        term = Terminal(place, command)
        # The prompt first: what is typed before a shell reads its terminal, some of them lose.
        term.wait(lambda s: s.strip(), 60)
        term.type(load + '; echo rea""dy')
        term.key('Enter')
        text, ok = term.wait(lambda s: re.search(r'^ready', s, re.M), 60)
        t.check(ok, shell + ': the script is taken', text)
        for typed, wanted in (('wherry connec', 'wherry connectors'), ('wherry copy a b --mode ups', '--mode upsert'),
                              ('wherry copy a b --mode=ups', '--mode=upsert'), ('wherry run nightly_o', 'nightly_orders.yaml'),
                              ('wherry plan --no-prog', '--no-progress'), ('wherry explain E701', 'E7010')):
            text, ok = tab(term, typed, wanted)
            t.check(ok, '%s: %s<Tab> gives %s' % (shell, typed, wanted), text)
        term.close()
        place.remove()


def complete_words(t):
    """Red when the candidates are not those of the tables: every command, every flag of a command, every
    mode that this build can do."""
    place = harness.Place('words')

    def ask(*words):
        code, out, err = place.run('complete', *words)
        assert code == 0, err
        return [line.split('\t')[0] for line in out.splitlines()]
    _, out, _ = place.run('help')
    listed = re.findall(r'^  ([a-z]+)\b', out, re.M)
    t.check(ask('') == listed, 'all commands', ask(''))
    _, out, _ = place.run('copy', '--help')
    flags = re.findall(r'^ .{5}(--[a-z-]+)', out, re.M)
    t.check(sorted(ask('copy', '-')) == sorted(set(flags)), 'all flags of copy', set(flags) ^ set(ask('copy', '-')))
    t.check(ask('-C', '.', 'copy', 'a', '--mode', 'd') == ['delete-insert'], 'flags before the command')
    t.check(ask('copy', '--validate', '') == ['off', 'count', 'stats', 'checksum'], 'what this build cannot is not offered',
            ask('copy', '--validate', ''))
    t.check(ask('copy', '--summary', '') == [':files'] and ask('run', '-C', '') == [':folders'], 'files and folders')
    t.check(ask('connectors', 'sq') == ['sqlite'], 'connectors')
    t.check(ask('nonsense', '') == [], 'an unknown command', ask('nonsense', ''))
    code, _, err = place.run('completion', 'tcsh')
    t.check(code == 2 and 'fish' in err, 'unknown shell', err)
    place.remove()


def origin(t):
    """Red when `config` names another value or another place than the one that is in force."""
    place = harness.Place('origin')
    with open(place.path('j.yaml'), 'w', encoding='utf-8') as f:
        f.write('version: 1\ndefaults: { validate: count }\nstreams:\n  - name: one\n    from: { path: a.csv, delimiter: tab }\n'
                '    to: out.db\n    write: { mode: upsert, key: [id, x] }\n  - { name: two, from: b.csv, to: out.db, validate: off }\n'
                'run: { limits: { memory: 300MB } }\n')

    def config(*words, **env):
        code, out, err = place.run('config', '--json', '--origin', *words, **env)
        assert code == 0, err
        return {(e.get('stream'), e['key']): (e['value'], e['origin']) for e in harness.events(out)}
    c = config('j.yaml', '-j', '3', WHERRY_RATE='20MB/s', WHERRY_STATS='5s')
    for key, want in {(None, 'run.parallel'): ('3', '--parallel'), (None, 'run.limits.rate'): ('20MB', 'WHERRY_RATE'),
                      (None, 'run.limits.memory'): ('300MB', 'j.yaml:9:26'), (None, 'run.tables'): ('4', 'default'),
                      (None, 'stats'): ('5s', 'WHERRY_STATS'), (None, 'json'): ('true', '--json'),
                      ('one', 'write.mode'): ('upsert', 'j.yaml:7:20'), ('one', 'write.keys'): ('id,x', 'j.yaml:7:33'),
                      ('one', 'validate'): ('count', 'j.yaml:2:23'), ('two', 'validate'): ('off', 'j.yaml:8:53'),
                      ('one', 'from.delimiter'): ('tab', 'j.yaml:5:37'), ('one', 'to.path'): ('out.db', 'the object'),
                      ('two', 'write.mode'): ('append', 'default')}.items():
        t.check(c.get(key) == want, 'config %s' % (key,), '%s, not %s' % (c.get(key), want))
    c = config('a.csv', 'out.db', '--mode', 'truncate', '--from', 'null-text=NA', WHERRY_MODE='upsert')
    stream = [s for s, k in c if k == 'write.mode'][0]
    t.check(c[stream, 'write.mode'] == ('truncate', '--mode'), 'a flag is above the environment', c[stream, 'write.mode'])
    t.check(c[stream, 'from.null_text'] == ('NA', '--from'), 'an option of the source', c.get((stream, 'from.null_text')))
    secret = 'postgresql://etl:geheim99@db1/shop#t'
    code, out, err = place.run('config', secret, 'null:', '--origin')
    t.check(code == 0 and 'geheim99' not in out + err and '***' in out, 'secrets are masked', out)
    code, _, err = place.run('config', 'j.yaml', WHERRY_MOOD='x')
    t.check('WHERRY_MOOD is no setting' in err, 'an unknown variable is a warning', err)
    place.remove()
