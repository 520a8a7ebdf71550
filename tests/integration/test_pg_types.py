#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every type and shape of table that PostgreSQL has, through Wherry and back into PostgreSQL, judged by
psql value by value: `except all` both ways between the rows of source and target as the server prints
them, and a digest over all of them. Red when one value, one NULL or one column's type differs from what
is declared below, and also when a declared exception did not happen.

    tests/integration/test_pg_types.py [KIND | PATH]...     only these

Paths: decoded (frames off), bytes (as the plan likes; without dirty rows), csv (to a file and back),
sqlite (to a database and back). Values: tests/integration/postgresql/hard.sql."""
import os
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
import harness  # noqa: E402
import pgbox    # noqa: E402
import servers  # noqa: E402

# ---- what does not arrive as it is, and why -----------------------------------------------------------

# No instant of any other system; outside of 64-bit microseconds since 1970; NaN under a decimal with a
# fixed scale; spans that 64-bit nanoseconds cannot count. Each is a dirty row with this code.
DIRTY = {
    'date_inf': {'inf': 'E6012', 'minus inf': 'E6012'},
    'ts_beyond': {'after it': 'E6007', 'last': 'E6007', 'inf': 'E6012', 'minus inf': 'E6012'},
    'tstz_beyond': {'last': 'E6007', 'inf': 'E6012', 'minus inf': 'E6012'},
    'num_15_2_far': {'nan': 'E6012'},
    'interval_beyond': {'over int64 of ns': 'E6003'},
}
DIRTY_ROWS = {'too_large': (1, 'E6010', 'id <> 2')}   # tables without `what`: rows, code, those that arrive

# What one path cannot carry, on top of that. A word: the run is refused with this code.
REFUSED = {
    'decoded': {'no_columns': 'E3014'},
    'bytes': {'no_columns': 'E3014'},
    'csv': {},
    'sqlite': {},
}
MORE_DIRTY = {'csv': {}, 'sqlite': {}}
CHANGED = {'decoded': {}, 'bytes': {}, 'csv': {}, 'sqlite': {}}   # kind: columns of the source as they arrive

# Columns whose type at a table of our making is another one than the source's.
TYPES = {}

# Only PostgreSQL to PostgreSQL: shapes of tables, not values.
SHAPES = ['no_columns', 'generated', 'identity_always', 'identity_default', 'serial_column', 'wide_1600', 'parent', 'child',
          'parted', 'parted_1', 'parted_2', 'parted_rest', 'a_view', 'a_matview', 'not_logged', 'toasted', 'dropped',
          'Odd "Name".with;all', 'too_large', 'no_rows']


def kinds_of(pg):
    text = pg.sql("select relname from pg_class where relnamespace = 'hard'::regnamespace and relkind in ('r', 'p', 'v', 'm') "
                  "order by oid")
    return text.split('\n')


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


def literal(text):
    return "'" + text.replace("'", "''") + "'"


class Judge:
    """One kind on one path: copies, then compares."""

    def __init__(self, t, pg, place, path, kind):
        self.t, self.pg, self.place, self.path, self.kind = t, pg, place, path, kind
        self.target = 'd_%s.%s' % (path, quoted(kind))
        self.dirty = dict(DIRTY.get(kind, {}), **MORE_DIRTY.get(path, {}).get(kind, {}))
        self.log = ''

    def check(self, ok, what, detail=''):
        return self.t.check(ok, '%s by %s: %s' % (self.kind, self.path, what), detail or self.log)

    def copy(self, *words, dirty=0):
        """One copy; its run_finished event."""
        extra = ['--dirty', 'rows=%d' % dirty] if dirty else []
        code, out, err = self.place.run('copy', *words, *extra, '-j', '1', '--no-progress', '--json')
        self.log = ' '.join(words) + '\n' + err + out[-1500:]
        event = harness.finished(out)
        event['code'] = code
        event['errors'] = [e.get('code') for e in harness.events(out) if e.get('type') == 'error']
        return event

    def source(self):
        return self.pg.url('hard.' + self.name())

    def name(self):
        simple = self.kind.isidentifier() and self.kind.islower()
        return self.kind if simple else quoted(self.kind).replace('%', '%25').replace('#', '%23').replace(' ', '%20')

    def wanted(self):
        """Rows that arrive: a condition over the source."""
        if self.kind in DIRTY_ROWS:
            return DIRTY_ROWS[self.kind][2]
        return 'what not in (%s)' % ', '.join(map(literal, self.dirty)) if self.dirty else 'true'

    def rows(self, table, where='true', columns='t.*'):
        return 'select t::text as r from (select %s from %s t where %s) t' % (columns, table, where)

    def same_rows(self):
        columns = CHANGED[self.path].get(self.kind, 't.*')
        ours, theirs = self.rows(self.target), self.rows('hard.' + quoted(self.kind), self.wanted(), columns)
        names = self.pg.sql("select string_agg(quote_ident(attname), ', ' order by attnum) from pg_attribute where attrelid = %s"
                            "::regclass and attnum > 0 and not attisdropped" % literal('hard.' + quoted(self.kind)))
        ours = ours.replace('t.*', names) if names else ours
        lost = self.pg.sql('select left(r, 200) from (%s except all %s) x limit 5' % (theirs, ours))
        more = self.pg.sql('select left(r, 200) from (%s except all %s) x limit 5' % (ours, theirs))
        self.check(not lost and not more, 'rows differ', 'lost or changed:\n%s\ncame instead:\n%s\n%s' % (lost, more, self.log))
        digest = "select count(*), md5(string_agg(r, e'\\n' order by r collate \"C\")) from (%s) x"
        self.check(self.pg.sql(digest % theirs) == self.pg.sql(digest % ours), 'the digests differ')

    def same_types(self):
        ask = ("select string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', ' order by attnum) from pg_attribute "
               "where attrelid = %s::regclass and attnum > 0 and not attisdropped")
        want, got = [self.pg.sql(ask % literal(n)) for n in ('hard.' + quoted(self.kind), self.target)]
        self.check(TYPES.get(self.kind, want) == got, 'types differ', 'source: %s\ntarget: %s' % (want[:500], got[:500]))

    def counts(self, event, dirty):
        self.check(event.get('rows_dirty') == dirty, '%s dirty rows, %d are declared' % (event.get('rows_dirty'), dirty))
        why = harness.unbalanced(event)
        self.check(why is None, why or '')

    def refused(self, event, code):
        return self.check(event['code'] != 0 and code in str(event['errors']) + self.log, 'is to be refused with %s' % code)

    def run(self):
        dirty = DIRTY_ROWS[self.kind][0] if self.kind in DIRTY_ROWS else len(self.dirty)
        if self.path == 'bytes' and dirty:
            return None  # frames carry what they carry: see `bytes_of_the_far`
        return getattr(self, 'by_' + self.path)(dirty)

    def straight(self, dirty, *words):
        event = self.copy(self.source(), self.pg.url('%s.%s' % (self.target.split('.')[0], self.name())), *words, dirty=dirty)
        code = REFUSED[self.path].get(self.kind)
        if code:
            return self.refused(event, code)
        if not self.check(event['code'] == 0, 'exit %s' % event['code']):
            return False
        self.counts(event, dirty)
        self.same_types()
        self.same_rows()
        return True

    def by_decoded(self, dirty):
        return self.straight(dirty, '--from', 'frames=false')

    def by_bytes(self, dirty):
        return self.straight(0)

    def there_and_back(self, middle, back, dirty):
        code = REFUSED[self.path].get(self.kind)
        event = self.copy(self.source(), middle, dirty=dirty)
        if code and event['code'] != 0:
            return self.refused(event, code)
        if not self.check(event['code'] == 0, 'on the way there: exit %s' % event['code']):
            return False
        self.counts(event, dirty)
        self.pg.sql('create table %s (like hard.%s)' % (self.target, quoted(self.kind)))
        event = self.copy(back, self.pg.url('%s.%s' % (self.target.split('.')[0], self.name())))
        if code:
            return self.refused(event, code)
        if not self.check(event['code'] == 0, 'on the way back: exit %s' % event['code']):
            return False
        self.counts(event, 0)
        self.same_rows()
        return True

    def by_csv(self, dirty):
        return self.there_and_back('%s.csv' % self.kind, '%s.csv' % self.kind, dirty)

    def by_sqlite(self, dirty):
        return self.there_and_back('sqlite:lite.db#' + self.kind, 'sqlite:lite.db#' + self.kind, dirty)


def walk(t, pg, path, kinds):
    place = harness.Place('pgtypes')
    try:
        for kind in kinds:
            Judge(t, pg, place, path, kind).run()
    finally:
        place.remove()


def main(words):
    t = harness.Tally('types of PostgreSQL', harness.seed_of())
    if not pgbox.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        with open(os.path.join(HERE, 'postgresql', 'hard.sql'), encoding='utf-8') as f:
            pg.sql(f.read())
        paths = [p for p in ('decoded', 'bytes', 'csv', 'sqlite') if p in words] or ['decoded', 'bytes', 'csv', 'sqlite']
        every = kinds_of(pg)
        kinds = [k for k in every if k in words] or every
        jobs = []
        for path in paths:
            pg.sql('create schema d_%s' % path)
            mine = [k for k in kinds if path in ('decoded', 'bytes') or k not in SHAPES]
            jobs += [('%s %s...' % (path, mine[i]), walk, (pg, path, mine[i:i + 30])) for i in range(0, len(mine), 30)]
        harness.run_jobs(t, jobs)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
