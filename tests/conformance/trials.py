# SPDX-License-Identifier: Apache-2.0
"""What happens to a copy, from every source to every destination. A case is one line of VALUES (a table that
must arrive as it is) or of EVENTS (a function that disturbs the copy of a larger table); where a case says
nothing about a pair, `only` says why. Judged by the destination's witness, row by row; null keeps nothing,
there the counts of the summary are compared with what was sent."""
import collections
import os
import signal
import sqlite3
import subprocess
import sys
import time
from decimal import Decimal

import ends
import harness
import pairs
from pairs import gen_ref
import servers
import values

UNITS = {'WH_TEST_UNIT_BYTES': '700000'}  # several units of a small table
TABLE = [('id', 'int'), ('name', 'text'), ('n', 'int')]
ROWS = [(i, 'row %d, é😀, "%s"' % (i, 'x' * 290), i * i) for i in range(1, 9001)]
GEN = 'wide?rows=12000,columns=9,unit_rows=2000'

NINES = Decimal('9' * 28 + '.' + '9' * 10)
TEXTS = ['', ' ', 'é', 'e\u0301', '😀👩‍👩‍👧', '\ufeffx', 'שלום', 'a\tb\nc\r\nd', '"', "'", 'a,b', '\\N', 'NULL', '\u2028', '\U0010ffff']
WIDE = [('id', 'int')] + [('c%d' % i, ('int', 'text', 'float', 'bool', 'date')[i % 5]) for i in range(1, 500)]


def wide_row(r):
    return (r,) + tuple(None if (r + i) % 7 == 0 else (r * i, 't%d' % i, r / (i + 1), i % 2 == 0, '2024-02-%02d' % (i % 28 + 1))[i % 5]
                        for i in range(1, 500))


# name: (columns, rows, gen's table that shows the same or None, more words)
VALUES = {
    '500 columns': (WIDE, [wide_row(r) for r in range(1, 31)], 'wide?rows=30,columns=500'),
    'NULL and empty': ([('id', 'int'), ('t', 'text'), ('b', 'bytes'), ('n', 'int')],
                       [(1, '', b'', 0), (2, None, None, None), (3, 'NULL', b'\0', 1), (4, None, b'', None)], None),
    'unicode': ([('id', 'int'), ('t', 'text')], [(i, x) for i, x in enumerate(TEXTS, 1)], None),
    'decimals of 38 digits': ([('id', 'int'), ('a', 'decimal(38,10)'), ('b', 'decimal(38,0)'), ('c', 'decimal(38,38)'), ('d', 'decimal(12,2)')],
                              [(1, NINES, Decimal('9' * 38), Decimal('0.' + '9' * 38), Decimal('9999999999.99')),
                               (2, -NINES, -Decimal('9' * 38), Decimal('-1e-38').quantize(Decimal('1e-38')), Decimal('-0.01')), (3, None, None, None, None)], None),
    'instants and zones': ([('id', 'int'), ('z', 'instant'), ('w', 'naive')],
                           [(1, '2024-10-27 00:30:00Z', '2024-03-10 02:30:00'), (2, '2024-10-27 01:30:00Z', '2024-11-03 01:30:00'),
                            (3, '1969-12-31 23:59:59.999999Z', '1883-11-18 12:00:00'), (4, '9999-12-31 23:59:59.999999Z', '0001-01-01 00:00:00')], None),
}


def gen_rows(shape):
    """gen's columns and rows by gen_ref, as meanings."""
    name, _, options = shape.partition('?')
    table = gen_ref.table(name, **dict(o.split('=') for o in options.split(',')))
    n = int(dict(o.split('=') for o in options.split(','))['rows'])
    columns = [(c[0], pairs.gen_kind(c[1]), c[1]) for c in table.columns]
    return [(n, k) for n, k, _ in columns], [tuple(pairs.gen_meaning(t, k, v) for (_, k, t), v in zip(columns, table.row(i))) for i in range(n)]


class Pair:
    """One source, one destination, a place of their own."""

    def __init__(self, t, case, source, sink, pg):
        classes = {e.name: e for e in ends.ENDS}
        self.t, self.pg, self.place = t, pg, harness.Place('conf')
        self.source = classes[source](self.place, pg)
        self.sink = self.source if source == sink else classes[sink](self.place, pg)
        self.what = '%s, %s to %s' % (case, self.source.title, self.sink.title)
        self.log = ''

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.source.remove()
        if self.sink is not self.source:
            self.sink.remove()
        self.place.remove()

    def check(self, ok, what, detail=''):
        return self.t.check(ok, '%s: %s' % (self.what, what), '%s\n%s' % (detail, self.log))

    def make(self, columns=None, rows=None, gen=GEN):
        """The table at the source; what must arrive."""
        if self.source.name == 'gen':
            self.table, self.words = gen, []
            self.columns, self.wanted = KNOWN.get(gen) or gen_rows(gen)
        else:
            self.table, self.columns = 'src', columns or TABLE
            rows = rows or ROWS
            self.source.make(self.table, self.columns, rows)
            self.words = self.source.words(self.columns)
            self.wanted = [tuple(values.meaning(k.split('(')[0], v) for (_, k), v in zip(self.columns, r)) for r in rows]

    def args(self, *more):
        return ['copy', self.source.address(self.table), self.sink.target('out'), '--no-progress', '--json', *self.words, *more]

    def ended(self, code, out, err, want=0):
        self.log = err + out[-1200:]
        self.event = harness.finished(out)
        good = self.check(code == want, 'exit %s, not %s' % (code, want))
        why = harness.unbalanced(self.event) if self.event else 'no event'
        return self.check(why is None, 'counts: %s' % why) and good

    def run(self, *more, want=0, **env):
        return self.ended(*self.place.run(*self.args(*more), **env), want)

    def resume(self, *more, **env):
        return self.ended(*self.place.run('resume', '--no-progress', '--json', *more, **env))

    def arrived(self, missing=(), total=True):
        """Every row once, as it was. missing: ids that were refused. total: of a run that was not resumed."""
        if self.sink.name == 'null':
            self.check(self.event.get('rows_written') == len(self.wanted) - len(missing), 'rows counted', self.event)
            return
        _, rows = self.sink.read('out')
        kinds = [(n, k.split('(')[0]) for n, k in self.columns]
        key = lambda r: int(r[self.columns[0][0]])
        there = collections.Counter(map(key, rows))
        wanted = {r[0]: r for r in self.wanted if r[0] not in missing}
        self.check(there == collections.Counter(list(wanted)), 'every row once', 'missing %r, too many %r' % (
            sorted(set(wanted) - set(there))[:10], [(k, n) for k, n in there.items() if n > 1 or k not in wanted][:10]))
        wrong = [(key(r), n, r.get(n)) for r in rows if key(r) in wanted
                 for (n, k), w in zip(kinds, wanted[key(r)]) if not values.same(k, w, r.get(n))]
        self.check(not wrong, 'values', wrong[:3])


KNOWN = {}  # gen's tables: made once, before the jobs


def prepare():
    for shape in [GEN] + [v[2] for v in VALUES.values() if v[2]]:
        KNOWN[shape] = gen_rows(shape)


def value(t, case, source, sink, pg):
    columns, rows, gen = VALUES[case]
    if source == 'gen' and not gen:
        return  # its types do, one by one
    with Pair(t, case, source, sink, pg) as p:
        p.make(columns, rows, gen)
        p.run(TZ='America/New_York')
        p.arrived()


# ---- events -------------------------------------------------------------------------------------------------


def killed(t, case, source, sink, pg):
    """kill -9 at named points in the middle, resume, and nothing else."""
    for point in KILLS:
        with Pair(t, case + ' at ' + point, source, sink, pg) as p:
            p.make()
            code, out, err = p.place.run(*p.args(), WH_TEST_KILL=point, **UNITS)
            p.log = err + out[-800:]
            if not p.check(code == -signal.SIGKILL, 'was not killed: exit %d' % code):
                continue
            t.kills[point] += 1
            if p.resume(**UNITS):
                if sink == 'null':  # what was counted before the kill is in the history
                    p.check(0 < p.event['rows_written'] <= len(p.wanted), 'rows counted', p.event)
                else:
                    p.arrived()
                p.check(not p.place.leftovers(), 'something is left', p.place.leftovers())


KILLS = ['commit-after:2']
MORE_KILLS = ['batch-written:3', 'writer-opened:2', 'seal-after:2', 'commit-before:1', 'record-after:1', 'closing-before:1']


def stopped_at(p, point, *more, **env):
    """The copy, stopped at a named point of its way."""
    process = p.place.start(*p.args(*more), WH_TEST_STOP=point, **{**UNITS, **env})
    ok = harness.wait_stopped(process, 30)
    if not ok:
        p.log = '%s' % (harness.finish(process, 10),)
    return process if p.check(ok, 'was not stopped at ' + point) else None


def cancelled(t, case, source, sink, pg):
    """SIGINT after the first commit: exit 130, what was committed stays, resume ends it."""
    with Pair(t, case, source, sink, pg) as p:
        p.make()
        process = stopped_at(p, 'record-after:1')
        if not process:
            return
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGCONT)
        if p.ended(*harness.finish(process, 30), 130) and p.resume(**UNITS):
            if sink != 'null':
                p.arrived()
            p.check(not p.place.leftovers(), 'something is left', p.place.leftovers())


def dirty(t, case, source, sink, pg):
    """One row in 1,000 does not fit: it is named and archived, the others arrive; without a limit the copy
    ends with 6. The last row's id has four digits, the column three."""
    with Pair(t, case, source, sink, pg) as p:
        p.make([('id', 'int'), ('name', 'text')], [(i, 'row %d' % i) for i in range(1, 1001)], 'wide?rows=1000,columns=3')
        last = p.wanted[-1][0]
        types = 'id=decimal(3,0)' if last > 999 else 'id=decimal(2,0)'
        if last == 999:  # numbers from 0
            p.t.check(False, 'the last row fits')
        p.words = ['--types', types + ',name=utf8'] if source in ('csv', 'jsonl') else ['--types', types]
        if p.run('--dirty', 'rows=5'):
            found = pairs.refused_rows(p.place)
            p.check(p.event['rows_dirty'] == 1 and list(found.values()) == ['E6003'] and list(found) in ([last], [find_position(found)]), 'the row is named', found)
            p.arrived([last])
        p.place.forget()
    if sink in ('sqlite', 'postgresql'):
        refused_there(t, case, source, sink, pg)


def find_position(found):
    """Rows that were rejected before they were rows are known by their line."""
    return next((k for k in found if isinstance(k, str)), None)


def refused_there(t, case, source, sink, pg):
    """The same by a constraint that the destination alone knows."""
    with Pair(t, case + ' by a constraint', source, sink, pg) as p:
        p.make([('id', 'int'), ('name', 'text')], [(i, 'row %d' % i) for i in range(1, 1001)], 'wide?rows=1000,columns=3')
        bad = p.wanted[499][0]
        columns = [(n, ends.named(k, ends.SQLITE_TYPES if sink == 'sqlite' else ends.PG_TYPES)) for n, k in p.columns]
        columns[0] = ('id', '%s check (id <> %d)' % ('integer' if sink == 'sqlite' else 'int8', bad))
        if sink == 'sqlite':
            p.sink.table('out', columns, [], 'there.db')
        else:
            p.sink.table('out', columns, [], '_to')
        if p.run('--dirty', 'rows=5'):
            found = pairs.refused_rows(p.place)
            p.check(found == {bad: 'E6009'} and p.event['rows_dirty'] == 1, 'the row is named', found)
            p.arrived([bad])


MOVER = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
for i in range(1, 200):
    db.execute('begin immediate')
    db.execute('update src set n = n - 7 where id = ?', (i,))
    db.execute('update src set n = n + 7 where id = ?', (9001 - i,))
    db.execute('update src set id = -id where id = ?', (4000 + i,))
    db.execute('commit')
"""


def written_to(t, case, source, sink, pg):
    """Somebody moves money between rows and renumbers others while the copy is stopped after its first
    batch: all rows are of one instant."""
    with Pair(t, case, source, sink, pg) as p:
        p.make()
        if source == 'sqlite':
            db = sqlite3.connect(p.place.path(p.source.file))
            db.execute('pragma journal_mode = wal')
            db.close()
        process = stopped_at(p, 'first-batch:1')
        if not process:
            return
        if source == 'sqlite':
            subprocess.run([sys.executable, '-c', MOVER, p.place.path(p.source.file)], check=True, timeout=60)
        elif source == 'postgresql':
            at = '"%s".src' % p.source.schema
            pg.sql(''.join('begin; update %s set n = n - 7 where id = %d; update %s set n = n + 7 where id = %d; update %s set id = -id where id = %d; commit;\n'
                           % (at, i, at, 9001 - i, at, 4000 + i) for i in range(1, 200)))
        else:
            with open(p.source.path('src'), 'a', encoding='utf-8') as f:
                f.write('9001,new,1\n' if source == 'csv' else '{"id": 9001, "name": "new", "n": 1}\n')
        process.send_signal(signal.SIGCONT)
        code, out, err = harness.finish(process, 60)
        if source in ('csv', 'jsonl') and code:  # a file that changes while it is read is refused
            p.log = err + out[-800:]
            p.check('E4008' in p.log or 'E3006' in p.log or 'E4007' in p.log, 'a changed file: exit %d' % code)
        elif p.ended(code, out, err):
            p.arrived()


HOLD = """
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=30, isolation_level=None)
db.execute('begin exclusive')
print('held', flush=True)
sys.stdin.read()
"""


def locked(t, case, source, sink, pg):
    """Another program takes the destination's lock between two units: waited for, nothing to resume."""
    with Pair(t, case, source, sink, pg) as p:
        p.make()
        process = stopped_at(p, 'record-after:1')
        if not process:
            return
        holder = subprocess.Popen([sys.executable, '-c', HOLD, p.place.path('there.db')], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        try:
            p.check(holder.stdout.readline() == b'held\n', 'nobody holds the lock')
            process.send_signal(signal.SIGCONT)
            time.sleep(0.3)
            holder.stdin.close()
            if p.ended(*harness.finish(process, 60)):
                p.arrived()
        finally:
            holder.kill()
            holder.wait()


def restarted(t, case, sources, sinks):
    """The server crashes and comes back in the middle. A destination is waited for, and the run ends as if
    nothing had been; a source loses its instant: what is left is read at another one only by consent."""
    with servers.Postgres() as pg:
        for source in sources:
            for sink in sinks:
                if 'postgresql' not in (source, sink):
                    continue
                with Pair(t, case, source, sink, pg) as p:
                    p.make()
                    process = stopped_at(p, 'batch-written:3')
                    if not process:
                        continue
                    pg.restart(immediate=True)
                    process.send_signal(signal.SIGCONT)
                    code, out, err = harness.finish(process, 90)
                    if code and source == 'postgresql':
                        p.log = err + out
                        p.check((code, True) in ((1, 'E7011' in p.log), (5, 'E4008' in p.log)), 'says that the instant is lost: exit %d' % code)
                        p.resume('--accept-mixed', **UNITS)
                    else:
                        p.ended(code, out, err)
                    if sink != 'null' or not code:
                        p.arrived()


# name: (function, why not every pair, or None, which sources, which destinations)
ALL = None
FILES = ('csv', 'jsonl')
EVENTS = {
    'kill -9 and resume': (killed, None, ALL, ALL),
    'SIGINT and resume': (cancelled, None, ALL, ALL),
    'one bad row in 1,000': (dirty, None, ALL, ALL),
    'somebody writes to the source': (written_to, 'nobody can write to gen', ('csv', 'jsonl', 'sqlite', 'postgresql'), ALL),
    'a locked database': (locked, 'only SQLite has one lock for a file', ALL, ('sqlite',)),
}
RESTART = 'a server that crashes and comes back'


def jobs(pg):
    """[(name, function, args)]: one job per case and source."""
    out = []
    sources, sinks = [e.name for e in ends.SOURCES], [e.name for e in ends.SINKS]
    out.append((RESTART, restarted, (RESTART, sources, sinks)))
    for case, (fn, _, some_sources, some_sinks) in EVENTS.items():
        out += [('%s: %s' % (case, s), each, (fn, case, s, some_sinks or sinks, pg)) for s in some_sources or sources]
    out += [('values: ' + s, each_value, (s, sinks, pg)) for s in sources]
    return out


def each(t, fn, case, source, sinks, pg):
    for sink in sinks:
        fn(t, case, source, sink, pg)


def each_value(t, source, sinks, pg):
    for case in VALUES:
        for sink in sinks:
            value(t, case, source, sink, pg)
