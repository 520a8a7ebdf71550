#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Every type and shape of table that PostgreSQL has, through Wherry and back into PostgreSQL, judged by
psql value by value: `except all` both ways between the rows of source and target as the server prints
them, and a digest over all of them. Red when one value, one NULL or one column's type differs from what
is declared below, and also when a declared exception did not happen.

    tests/integration/postgresql/test_types.py [KIND | PATH]...     only these

Paths: decoded (frames off), bytes (as the plan likes; without dirty rows), csv (to a file and back),
sqlite (to a database and back),
settings (as csv, in a database whose settings print and read values in other ways),
encodings. Values: tests/integration/postgresql/hard.sql."""
import json
import os
import re
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(HERE)), 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

PATHS = ['decoded', 'bytes', 'csv', 'sqlite', 'settings']

# ---- what does not arrive as it is, and why -----------------------------------------------------------

# No instant of any other system; outside of 64-bit microseconds since 1970; NaN under a decimal with a
# fixed scale; spans that 64-bit nanoseconds cannot count. Each is a dirty row with this code.
DIRTY = {
    'date_inf': {'inf': 'E6012', 'minus inf': 'E6012'},
    'ts_beyond': {'after it': 'E6007', 'last': 'E6007', 'inf': 'E6012', 'minus inf': 'E6012'},
    'tstz_beyond': {'last': 'E6007', 'inf': 'E6012', 'minus inf': 'E6012'},
    'num_15_2_far': {'nan': 'E6012'},
    'interval_beyond': {'over int64 of ns': 'E6003'},
    'interval_far': {'most': 'E6003', 'least': 'E6003'},
}
DIRTY_ROWS = {'too_large': (1, 'E6010', 'id <> 2')}   # tables without `what`: rows, code, those that arrive

# Infinite dates and times pass between two PostgreSQL, decoded or not.
PASSES = {'date_inf': ['inf', 'minus inf'], 'ts_beyond': ['inf', 'minus inf'], 'tstz_beyond': ['inf', 'minus inf']}

# What one path cannot carry at all: code and exit. (Bytes are not looked into, so that no row can be
# put aside.)
REFUSED = {('decoded', 'no_columns'): ('E3002', 2), ('bytes', 'no_columns'): ('E3002', 2), ('bytes', 'too_large'): ('E8006', 7)}
# SQLite has no minus zero in a REAL column and no NaN.
MORE_DIRTY = {
    ('decoded', 'ts_far'): {'last of int64 since 1970': 'E6007'},  # there it stands for infinity
    ('sqlite', 'float4'): {'minus zero': 'E6013'},
    ('sqlite', 'float8'): {'minus zero': 'E6013'},
    ('sqlite', 'float4_far'): {'nan': 'E6012'},
    ('sqlite', 'float8_far'): {'nan': 'E6012'},
}
# What has to be said on the way back. A file of text is guessed to hold doubles, and 0.1 is another
# number as a double than as a float. Into a column that the server would round to, only by consent;
# these values are whole there and arrive as they are.
WORDS_BACK = {(path, kind): ['--types', 'v=' + type_] for path in ('csv', 'settings')
              for kind, type_ in (('float4', 'float32'), ('varbit_5', 'text'))}
# Text into what the server would round inside (or reads as its lc_monetary says): only by consent.
ROUNDED = dict.fromkeys('''num_minus_scale interval_ym interval_ds interval_3 timetz_2 num_array a_pair pair_array a_nested nested_array
    a_deep deep_array a_checked_pair cents_array a_some_cents a_cents_range money_array a_purse'''.split(), ['--accept-lossy', 'v'])

# Columns whose type at a table of our making is another one than the source's: names of objects of one
# database are text elsewhere.
AS_TEXT = '''regclass regtype regproc regprocedure regoperator regrole regnamespace regconfig regcollation aclitem
    regclass_array'''.split()

# Tables that are decoded even where bytes could pass: their bytes hold numbers of types that somebody
# made, depend on a setting (money), or say more than the text (xml).
LOOKED_AT = AS_TEXT + """interval_ds xml_more jsonpath_more txid_snapshot cid refcursor float_range_more a_float_multirange a_text_range
    a_cents_range cents_array a_some_cents positive_array float_range_array xml_array money_array hstore_array a_deep deep_array
    nested_array a_none an_odd_type odd_type_array odd_enum_array an_odd_domain a_good_mood a_checked_pair a_half_open a_purse
    a_money_domain a_cube hstore_more money xml jsonpath interval_ym vectors mood_array a_pair a_nested pair_array a_float_range a_int_list a_hstore a_ltree
    a_citext a_cents a_over_domain a_short_text a_positive""".split()

# Each changes how the server prints or reads some type, unless a session says otherwise.
SETTINGS = {'datestyle': "'SQL, DMY'", 'intervalstyle': 'sql_standard', 'bytea_output': 'escape', 'extra_float_digits': '0',
            'timezone': "'Asia/Kolkata'", 'array_nulls': 'off', 'xmloption': 'document', 'xmlbinary': 'hex',
            'quote_all_identifiers': 'on', 'default_transaction_isolation': "'serializable'", 'search_path': 'hard, nowhere',
            'transform_null_equals': 'on', 'escape_string_warning': 'off', 'lc_messages': "'C'", 'default_tablespace': "''"}

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


# One look of psql: what differs (five rows of each), digests over all rows, types of the columns.
JUDGE = r"""
create function hard.judge(source text, target text, wanted text) returns json language plpgsql set extra_float_digits = 3 as $$
declare
  columns text := (select coalesce(string_agg(quote_ident(attname), ', ' order by attnum), '') from pg_attribute
    where attrelid = source::regclass and attnum > 0 and not attisdropped);
  theirs text := format('select t::text as r from (select %s from %s where %s) t', columns, source, wanted);
  ours text := format('select t::text as r from (select %s from %s) t', columns, target);
  types text := $t$select json_agg(format_type(atttypid, atttypmod) order by attnum) from pg_attribute
    where attrelid = $1::regclass and attnum > 0 and not attisdropped$t$;
  digest text := $d$select count(*) || ' ' || coalesce(md5(string_agg(r, e'\n' order by r collate "C")), '') from (%s) x$d$;
  few text := $f$select coalesce(json_agg(left(r, 200)), '[]') from (%s except all %s limit 5) x$f$;
  a json; b json; c text; d text; e json; f json;
begin
  execute format(few, theirs, ours) into a;
  execute format(few, ours, theirs) into b;
  execute format(digest, theirs) into c;
  execute format(digest, ours) into d;
  execute types into e using source;
  execute types into f using target;
  return json_build_array(a, b, c, d, e, f);
end $$;
"""


class Judge:
    """One kind on one path: copies, then compares."""

    def __init__(self, t, pg, place, path, kind):
        self.t, self.pg, self.place, self.path, self.kind = t, pg, place, path, kind
        self.target = 'd_%s.%s' % (path, quoted(kind))
        self.dirty = dict(DIRTY.get(kind, {}), **MORE_DIRTY.get((path, kind), {}))
        for what in PASSES.get(kind, []) if path == 'decoded' else []:
            del self.dirty[what]
        self.code = REFUSED.get((path, kind))
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
        return event

    def name(self):
        simple = self.kind.isidentifier() and self.kind.islower()
        return self.kind if simple else quoted(self.kind)

    def source(self):
        return self.pg.url('hard.' + self.name())

    def there(self):
        return self.pg.url('d_%s.%s' % (self.path, self.name()))

    def wanted(self):
        """Rows that arrive: a condition over the source."""
        if self.path != 'bytes' and self.kind in DIRTY_ROWS:
            return DIRTY_ROWS[self.kind][2]
        return 'what not in (%s)' % ', '.join(map(literal, self.dirty)) if self.dirty else 'true'

    def type_there(self, was):
        """Of a column in a table of our making."""
        if was in ('integer', 'text', 'numeric'):  # those of a table that are not its subject
            return was
        return 'text' if self.kind in AS_TEXT else was

    def arrived(self, types):
        """Rows, and where the table is of our making the types of its columns."""
        source = 'hard.' + quoted(self.kind)
        lost, more, theirs, ours, want, got = json.loads(self.pg.sql(
            'select hard.judge(%s, %s, %s)' % (literal(source), literal(self.target), literal(self.wanted()))))
        self.check(not lost and not more and theirs == ours, 'rows differ',
                   'lost or changed:\n%s\ncame instead:\n%s\n%s\n%s\n%s' % (lost, more, theirs, ours, self.log))
        if types:
            want = [self.type_there(w) for w in want]
            self.check(want == got, 'types differ', 'wanted: %s\nfound:  %s' % (str(want)[:500], str(got)[:500]))

    def counts(self, event, dirty):
        why = harness.unbalanced(event)
        self.check(event.get('rows_dirty') == dirty and why is None,
                   '%s dirty rows, %d are declared; %s' % (event.get('rows_dirty'), dirty, why))

    def run(self):
        dirty = DIRTY_ROWS[self.kind][0] if self.kind in DIRTY_ROWS else len(self.dirty)
        if self.path in ('decoded', 'bytes'):
            self.straight(dirty)
        else:
            self.there_and_back(dirty)

    def straight(self, dirty):
        words = ['--from', 'frames=false'] if self.path == 'decoded' else []
        if self.path == 'bytes':  # they carry what they carry, infinities too
            dirty, self.dirty = 0, {}
        event = self.copy(self.source(), self.there(), *words, dirty=dirty)
        if self.code:
            self.check(event['code'] == self.code[1] and self.code[0] in self.log, 'is to be refused with %s, exit %d' % self.code)
        elif self.check(event['code'] == 0, 'exit %s' % event['code']):
            self.counts(event, dirty)
            self.arrived(True)
            self.check((event['tables'][0]['hash'] == 'bytes') == (self.path == 'bytes' and self.kind not in LOOKED_AT),
                       'came as %s' % event['tables'][0]['hash'])

    def there_and_back(self, dirty):
        middle = 'sqlite:lite.db#' + self.kind if self.path == 'sqlite' else self.kind + '.csv'
        event = self.copy(self.source(), middle, dirty=dirty)
        if not self.check(event['code'] == 0, 'on the way there: exit %s' % event['code']):
            return
        self.counts(event, dirty)
        if self.kind in ROUNDED and self.path == 'csv':
            event = self.copy(middle, self.there())
            self.check(event['code'] == 2 and 'E3004' in self.log, 'without consent is refused')
        event = self.copy(middle, self.there(), *WORDS_BACK.get((self.path, self.kind), ROUNDED.get(self.kind, [])))
        if self.check(event['code'] == 0, 'on the way back: exit %s' % event['code']):
            self.counts(event, 0)
            self.arrived(False)


def walk(t, pg, path, kinds):
    place = harness.Place('pgtypes')
    try:
        for kind in kinds:
            Judge(t, pg, place, path, kind).run()
    finally:
        place.remove()


def encodings(t, pg):
    """Text of databases that are not UTF-8. Red when a text arrives as other characters, when invalid
    bytes come out of SQL_ASCII or end the run, or when a character that LATIN1 lacks is lost silently."""
    for name, encoding in (('ascii', 'SQL_ASCII'), ('latin', 'LATIN1')):
        pg.sql("create database %s encoding '%s' template template0 lc_collate 'C' lc_ctype 'C'" % (name, encoding))
    pg.database('utf')
    pg.sql(r"create table t (id int primary key, v text, j json); insert into t values (1, 'ok', null), (2, E'\303\274', '{}'), "
           r"(3, E'\377\376', null), (4, null, null), (5, 'ok', E'\"\303\"'::json)", database='ascii')
    pg.sql("set client_encoding = 'UTF8'; create table t (id int primary key, v text, n name); "
           "insert into t values (1, 'füß', 'ä'), (2, '', '')", database='latin')
    pg.sql("create table w (id int, v text); insert into w values (1, 'ok'), (2, 'żółw'), (3, 'ok')", database='utf')
    place = harness.Place('pgencodings')
    try:
        def copy(source, there, table, *words):
            code, out, err = place.run('copy', pg.url('public.' + table, database=source),
                                       pg.url('public.from_%s' % source, database=there), '--no-progress', '--json', *words)
            event = harness.finished(out)
            rows = pg.sql("select string_agg(id || ' ' || coalesce(encode(convert_to(v, 'UTF8'), 'hex'), '-'), ', ' order by id) "
                          'from from_' + source, database=there, check=False)
            return code, event.get('rows_dirty'), rows, err + out[-2000:]

        got = copy('ascii', 'utf', 't', '--dirty', 'rows=2')
        t.check(got[:3] == (0, 2, '1 6f6b, 2 c3bc, 4 -'), 'SQL_ASCII to UTF8', got)
        got = copy('latin', 'utf', 't')
        t.check(got[:3] == (0, 0, '1 66c3bcc39f, 2 '), 'LATIN1 to UTF8', got)
        got = copy('utf', 'latin', 'w', '--dirty', 'rows=1')
        t.check(got[:3] == (0, 1, '1 6f6b, 3 6f6b'), 'UTF8 to LATIN1', got)
        got = copy('latin', 'ascii', 't')
        t.check(got[:2] == (0, 0), 'LATIN1 to SQL_ASCII', got)
        hexes = pg.sql("select string_agg(encode(v::bytea, 'hex'), ',' order by id) from from_latin", database='ascii')
        t.check(hexes == '66c3bcc39f,', 'LATIN1 to SQL_ASCII is UTF-8', hexes)
    finally:
        place.remove()


def make_targets(pg, path, kinds):
    """Where types are lost on the way, the table at the end is there before."""
    made = ['create schema d_%s' % path]
    if path not in ('decoded', 'bytes'):
        made += ['create table d_%s.%s (like hard.%s)' % (path, quoted(k), quoted(k)) for k in kinds]
    pg.sql(';\n'.join(made))


def main(words):
    t = harness.Tally('types of PostgreSQL', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as pg:
        with open(os.path.join(HERE, 'hard.sql'), encoding='utf-8') as f:
            pg.sql(f.read() + JUDGE)
        if not words or 'encodings' in words:
            encodings(t, pg)
        if words == ['encodings']:
            return t.finish()
        paths = [p for p in PATHS if p in words] or PATHS
        every = kinds_of(pg)
        kinds = [k for k in every if k in words] or every
        jobs, late = [], []
        for path in paths:
            mine = [k for k in kinds if path in ('decoded', 'bytes') or k not in SHAPES]
            make_targets(pg, path, mine)
            (late if path == 'settings' else jobs).extend(
                ('%s %s...' % (path, mine[i]), walk, (pg, path, mine[i:i + 20])) for i in range(0, len(mine), 20))
        harness.run_jobs(t, jobs)
        if late:
            pg.sql(''.join('alter database postgres set %s to %s;\n' % s for s in SETTINGS.items()))
            harness.run_jobs(t, late)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
