# SPDX-License-Identifier: Apache-2.0
"""docs/conformance.md, made of what the pairs wrote down."""
import json
import os

import ends
import harness
import trials

PATH = os.path.join(harness.ROOT, 'docs', 'conformance.md')
HEAD = """<!-- SPDX-License-Identifier: Apache-2.0 -->
# What becomes of which type

Made by `tests/conformance/test_conformance.py --write` from what was copied and read back; the stage
`conformance` of the gate copies it all again and compares. Every value was read at both ends by programs
that are not ours (Python's `sqlite3` and `json`, `psql`, a CSV parser of its own), and compared by meaning.

* **exact**: every value that is named in `tests/conformance/kinds.py` for this type, and NULL, arrived as
  the same value in a column of the type that stands before it.
* **exact, as text**: the same, but the destination's column is text: it says the value, and no longer what it is.
* **refused**: these values do not arrive. Their rows are dirty: named and archived with the code
  (`wherry explain CODE`), counted, all other rows arrive; without `--dirty` the copy ends with exit 6.

Nothing else was found: no value arrived as another one. `null` takes every row of every source and keeps none.
Without more words: no `--types`, new tables, every setting as it is. What files are guessed to hold can be
said instead (`--types 'price=decimal(18,2)'`).

"""
TEXT = {'csv': 'CSV has no types: what is read is guessed from the texts of the first rows.',
        'jsonl': 'JSON has numbers, strings, true and false, arrays and objects; times and numbers with many digits are guessed.',
        'sqlite': 'SQLite lets any cell hold anything: the declared type is a promise that a sample may overrule. See [sqlite](connectors/sqlite.md).',
        'postgresql': 'See [postgresql](connectors/postgresql.md).',
        'gen': '`gen:evil`: every type that columns have inside, and so what a connector that is not there yet could bring.'}


def load(out, name):
    path = os.path.join(out, name)
    if not os.path.exists(path):
        return None
    with open(path, encoding='utf-8') as f:
        return json.load(f)


def line(cells):
    return '| %s |\n' % ' | '.join(c.replace('\n', ' ') for c in cells)


def section(out, source):
    sinks = [e for e in ends.SINKS if e.name != 'null']
    text = '## From %s\n\n%s\n\n' % (source.title, TEXT.get(source.name, ''))
    if source.name == 'gen':
        found = {e.name: load(out, 'gen.' + e.name) for e in sinks}
        text += line(['type'] + [e.title for e in sinks]) + line(['---'] * (1 + len(sinks)))
        for typ in found[sinks[0].name]['types']:
            text += line(['`%s`' % typ] + [found[e.name]['cells'].get(typ, '?') for e in sinks])
        return text + '\n'
    found = load(out, source.name)
    text += line(['type', 'read as'] + [e.title for e in sinks]) + line(['---'] * (2 + len(sinks)))
    for i, typ in enumerate(found['types']):
        text += line([typ if source.name in ('csv', 'jsonl') else '`%s`' % typ, '`%s`' % found['read_as'].get(str(i), '?')] +
                     [found['cells'].get(e.name, {}).get(str(i), '?') for e in sinks])
    return text + '\n'


def cases():
    """What else is copied between every two of them."""
    names = lambda some, every: ', '.join(e.title for e in every if not some or e.name in some)
    text = '## What else is tried, from every source to every destination\n\n' + line(['case', 'from', 'to', 'not where']) + line(['---'] * 4)
    for case, (_, _, gen) in trials.VALUES.items():
        text += line([case, names(None if gen else [e.name for e in ends.SOURCES if e.name != 'gen'], ends.SOURCES), names(None, ends.SINKS),
                      '' if gen else 'gen: its types above are the same'])
    for case, (_, why, sources, sinks) in trials.EVENTS.items():
        text += line([case, names(sources, ends.SOURCES), names(sinks, ends.SINKS), why or ''])
    text += line([trials.RESTART, 'every one, or PostgreSQL', 'PostgreSQL, or every one', 'others have no server'])
    return text


def page(out):
    return HEAD + ''.join(section(out, e) for e in ends.SOURCES) + cases()


def check(t, out, write):
    text = page(out)
    if write:
        with open(PATH, 'w', encoding='utf-8') as f:
            f.write(text)
        return
    there = ''
    if os.path.exists(PATH):
        with open(PATH, encoding='utf-8') as f:
            there = f.read()
    differs = [a + '\n  now: ' + b for a, b in zip(there.split('\n'), text.split('\n')) if a != b]
    t.check(there == text, 'docs/conformance.md is not what came out: tests/conformance/test_conformance.py --write', '\n'.join(differs[:10]))
