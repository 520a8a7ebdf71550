# SPDX-License-Identifier: Apache-2.0
"""Every type of every source into every destination. The values of a source lie on a diagonal: one row per
value, all other columns NULL, so that a refused value takes no other with it. What arrives is read by the
destination's witness and compared with what the source's witness reads: a value that arrives as another
one is a failure; one that is refused must be named, and is written into the page as refused."""
import json
import os
import re
import sys

import ends
import harness
import kinds
import values

sys.path.insert(0, os.path.join(harness.ROOT, 'tests', 'gen'))
import gen_copies  # noqa: E402
import gen_ref  # noqa: E402

GEN_ROWS = 60
DIRTY = ['--dirty', 'rows=100000']


def refused_rows(place):
    """{row number: (code, column)} of the archive; rows are known by their id."""
    found = {}
    for base, _, names in os.walk(place.state('dirty')):
        for n in names:
            with open(os.path.join(base, n), encoding='utf-8') as f:
                for line in f:
                    if line.startswith('{'):
                        e = json.loads(line)
                        found[row_id(e)] = e['code']
    return found


def row_id(e):
    """Of a dirty row: from its values, or from the text of what was rejected before it was a row."""
    if 'row' in e:
        return int(e['row']['id'])
    import base64
    raw = base64.b64decode(e.get('raw') or '').decode('utf-8', 'replace')
    m = re.match(r'\{"id": ?"?(\d+)|(\d+)', raw)
    return int(m[1] or m[2]) if m else e['position']


def label(v):
    """A value as the page names it."""
    v = v if isinstance(v, str) else ends.shown(v)
    v = v if v.strip() and v.isprintable() else json.dumps(v)
    return '`%s`' % (v if len(v) <= 40 else v[:20] + '…').replace('`', "'").replace('|', '\\|')


def diagonal(types):
    columns = [('id', 'int')] + [('c%d' % i, t) for i, t in enumerate(types)]
    rows, at = [(1,) + (None,) * len(types)], []
    for i, (_, kind, vals) in enumerate(types):
        for v in vals:
            at.append((i, kind, v))
            rows.append((len(rows) + 1,) + (None,) * i + (v,) + (None,) * (len(types) - i - 1))
    return columns, rows, at


def make(end):
    """The diagonal at its source; what its own witness reads: {id: (column, kind, value, meaning)}."""
    columns, rows, at = diagonal(end.kinds)
    name = 'types'
    if end.name == 'sqlite':
        decls = [(n, 'integer primary key' if n == 'id' else re.sub('^no type.*', '', t[0])) for n, t in columns]
        end.table(name, decls, rows)
        _, back = end.read(name, end.file)
    elif end.name == 'postgresql':
        decls = []
        end.ready()
        for n, t in columns:
            made = kinds.POSTGRESQL_MADE.get(t[0]) if n != 'id' else None
            if made:
                end.pg.sql(made[1] % ('"%s".%s' % (end.schema, made[0])))
            decls.append((n, 'int8 primary key' if n == 'id' else '"%s".%s' % (end.schema, made[0]) if made else t[0]))
        end.table(name, decls, rows)
        _, back = end.read(name, '')
    else:
        end.make(name, [(n, 'int' if n == 'id' else 'raw') for n, t in columns], rows)
        _, back = end.read(name)
    found = {}
    for r in back:
        i = int(r['id'])
        if i > 1:
            column, kind, v = at[i - 2]
            raw = r['c%d' % column]
            found[i] = (column, kind, v, values.meaning(kind, raw if end.name != 'csv' or v != '' else ''))
    return name, found


class Verdict:
    """What one type becomes at one destination."""

    def __init__(self):
        self.type, self.good, self.refused, self.plan, self.as_text = '', 0, [], None, False

    def words(self):
        if self.plan:
            return 'refused in the plan (%s)' % self.plan
        if not self.good:
            return 'refused (%s)' % ', '.join(sorted({c for _, c in self.refused}))
        how = 'exact, as text' if self.as_text else 'exact'
        if self.refused:
            by = {}
            for v, c in self.refused:
                by.setdefault(c, []).append(v)
            how += '; refused: ' + '; '.join('%s (%s)' % (', '.join(vs[:4]) + (' and %d more' % (len(vs) - 4) if len(vs) > 4 else ''), c)
                                              for c, vs in sorted(by.items()))
        return ('`%s`: ' % self.type if self.type else '') + how


def textual(sink, kind, typ):
    """Whether a column of this type keeps a value of that kind as mere text."""
    if kind == 'text' or sink.name == 'csv':
        return False
    if sink.name == 'jsonl':
        return typ == 'string' and kind in sink.keeps + ('own',)
    if sink.name == 'sqlite':
        return typ.upper() == 'TEXT'
    return typ.startswith(('text', 'character'))


def judge(t, what, sink, found, read, refused, name_of=lambda column: 'c%d' % column):
    """Compares; {column: Verdict}."""
    types, rows = read
    there = {int(r['id']): r for r in rows}
    verdicts = {}
    for i, (column, kind, v, wanted) in found.items():
        verdict = verdicts.setdefault(column, Verdict())
        name = name_of(column)
        verdict.type = '' if sink.name == 'csv' else types.get(name, '').replace(getattr(sink, 'schema', '?') + '.', '')
        if sink.name == 'jsonl' and verdict.type == 'null':
            verdict.type = ''
        verdict.as_text = textual(sink, kind, verdict.type)
        if i in there and i not in refused:
            raw = there[i].get(name)
            good = values.same(kind, wanted, raw)
            t.check(good, '%s: %s %s arrives as another value' % (what, kind, label(v)), 'wanted %r\nfound %r' % (str(wanted)[:300], str(raw)[:300]))
            verdict.good += good
        elif t.check(i in refused and i not in there, '%s: %s %s is neither there nor refused' % (what, kind, label(v))):
            verdict.refused.append((label(v), refused[i]))
    return verdicts


def columns_of_plan(place, words):
    code, out, err = place.run('plan', *words, '--json')
    event = (harness.events(out) or [{}])[0]
    return code, {c['name']: c['source_type'] for table in event.get('tables', []) for c in table['columns']}, err


def pair(t, source_name, pg, out):
    """One source into every destination. out: a file for the page's rows."""
    source_class = next(e for e in ends.SOURCES if e.name == source_name)
    page = {'read_as': {}, 'cells': {}}
    place = harness.Place('pairs')
    source = source_class(place, pg)
    try:
        name, found = make(source)
        for sink_class in ends.SINKS:
            sink = source if sink_class is source_class and source_name == 'postgresql' else sink_class(place, pg)
            to = 'types_' + sink.name
            what = '%s to %s' % (source.title, sink.title)
            words = [source.address(name), sink.target(to)]
            code, types, err = columns_of_plan(place, words)
            page['read_as'] = page['read_as'] or {int(n[1:]): typ for n, typ in types.items() if n != 'id'}
            place.forget()
            code, text, err = place.run('copy', *words, *DIRTY, '--no-progress', '--json')
            event = harness.finished(text)
            if not t.check(code == 0 and harness.unbalanced(event) is None, what + ': exit %d' % code, err + text[-1500:]):
                continue
            refused = refused_rows(place)
            t.check(len(refused) == event['rows_dirty'], what + ': every dirty row is in the archive', (len(refused), event['rows_dirty']))
            if sink.name == 'null':
                t.check(event['rows_written'] == len(found) + 1 - len(refused), what + ': rows counted', event['rows_written'])
                continue
            verdicts = judge(t, what, sink, found, sink.read(to), refused)
            page['cells'][sink.name] = {c: v.words() for c, v in verdicts.items()}
            if sink is not source:
                sink.remove()
    finally:
        source.remove()
        place.remove()
    with open(os.path.join(out, source_name), 'w', encoding='utf-8') as f:
        json.dump({'types': [k[0] for k in source.kinds], **page}, f)


# ---- gen ---------------------------------------------------------------------------------------------------


def gen_kind(typ):
    return 'instant' if 'utc' in typ else next(k for begin, k in kinds.GEN.items() if typ.startswith(begin))


def gen_meaning(typ, kind, v):
    """What the formula says (gen_ref), in the shape of values.meaning."""
    if v is None:
        return None
    if isinstance(v, gen_ref.Bits):
        return values.meaning(kind, gen_copies.float_of(v))
    if kind == 'json' and typ != 'json':
        return values.plain(gen_tree(typ, v))
    return values.meaning(kind, gen_copies.text_of(typ, v) if not isinstance(v, bytes) or kind == 'uuid' else v)


def gen_tree(typ, v):
    if v is None:
        return None
    if typ.startswith('list'):
        return [gen_tree(gen_ref.children(typ)[0], x) for x in v]
    if typ.startswith('struct'):
        names = [p.split(':')[0].strip() for p in typ[typ.index('<') + 1:-1].split(',')]
        return values.Pairs(zip(names, [gen_tree(k, x) for k, x in zip(gen_ref.children(typ), v)]))
    if typ.startswith('map'):
        return values.Pairs((k, x) for k, x in v)
    return v


def gen_pair(t, sink_name, pg, out):
    """Each column of gen:evil alone, as rows are bad in many columns at once."""
    sink_class = next(e for e in ends.SINKS if e.name == sink_name)
    table = gen_ref.table('evil', nested='true', rows=GEN_ROWS, big=100000)
    rows = [table.row(i) for i in range(GEN_ROWS)]
    cells, order = {}, []
    place = harness.Place('gen')
    sink = sink_class(place, pg)
    try:
        for at, (name, typ, _, _) in enumerate(table.columns[1:], 1):
            if typ in order:
                continue
            order.append(typ)
            kind, what, to = gen_kind(typ), 'gen %s to %s' % (typ, sink.title), 'g%d' % at
            quoted = '"%s"' % name.replace('"', '""') if ',' in name else name
            words = ['gen:evil?rows=%d,nested=true,big=100000' % GEN_ROWS, sink.target(to), '--columns', 'id,' + quoted]
            code, text, err = place.run('copy', *words, *DIRTY, '--no-progress', '--json')
            event = harness.finished(text)
            if code == 2 and 'errors' in event:  # nothing was begun
                verdict = Verdict()
                verdict.plan = re.search(r'E\d{4}', err + text)[0]
                cells[typ] = verdict.words()
                t.check(True, what)
                continue
            refused = refused_rows(place)
            place.forget()
            if not t.check(code == 0 and harness.unbalanced(event) is None, what + ': exit %d' % code, err + text[-2500:]):
                continue
            if sink.name == 'null':
                t.check(event['rows_written'] == GEN_ROWS - len(refused), what + ': rows counted', event)
                continue
            found = {r[0]: (at, kind, short(r[at], typ), gen_meaning(typ, kind, r[at])) for r in rows}
            verdict = judge(t, what, sink, found, sink.read(to), refused, lambda _, n=name: n)[at]
            verdict.refused = sorted(set(verdict.refused))
            cells[typ] = verdict.words()
    finally:
        sink.remove()
        place.remove()
    with open(os.path.join(out, 'gen.' + sink_name), 'w', encoding='utf-8') as f:
        json.dump({'types': order, 'cells': cells}, f)


def short(v, typ):
    if isinstance(v, gen_ref.Bits):
        return repr(gen_copies.float_of(v))
    return 'NULL' if v is None else gen_copies.text_of(typ, v) if not isinstance(v, (list, tuple)) or typ == 'interval' else json.dumps(gen_ref.to_json(v))
