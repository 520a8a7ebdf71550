# SPDX-License-Identifier: Apache-2.0
"""The connectors as ends of a copy. A new connector is one class here, entered in ENDS:

    name, title          as the page calls it
    source               can be read:   make(table, columns, rows); address(table); words(columns)
    sink                 can be written: target(table); read(table) -> (types, rows)
    kinds                its own types with their hardest values (kinds.py)

make and read are the witness: they use what is not ours (Python's sqlite3 and json, psql, a CSV parser of
twenty lines) and never the program. columns: [(name, kind)], kinds as in values.py, with decimal(p,s);
rows: tuples of Python values (numbers, str, bytes, Decimal, None; dates and times as text). read gives the
type of each column as that system calls it, and the rows as dicts of raw values."""
import json
import os
import sqlite3

import kinds
import values

# The name of a type by kind, at systems that have names for them.
SQLITE_TYPES = {'int': 'integer', 'float': 'real', 'text': 'text', 'bytes': 'blob', 'bool': 'boolean', 'date': 'date', 'time': 'time',
                'naive': 'timestamp', 'instant': 'timestamptz', 'uuid': 'uuid', 'json': 'json', 'decimal': 'decimal_text'}
PG_TYPES = {'int': 'int8', 'float': 'float8', 'text': 'text', 'bytes': 'bytea', 'bool': 'bool', 'date': 'date', 'time': 'time', 'naive': 'timestamp',
            'instant': 'timestamptz', 'uuid': 'uuid', 'json': 'jsonb', 'decimal': 'numeric'}
OUR_TYPES = {'int': 'int64', 'float': 'float64', 'text': 'utf8', 'bytes': 'binary', 'bool': 'bool', 'date': 'date', 'time': 'time(us)',
             'naive': 'timestamp(us)', 'instant': 'timestamp(us, utc)', 'uuid': 'uuid', 'json': 'json', 'decimal': 'decimal'}


def named(kind, names):
    """decimal(38,10) -> numeric(38,10)"""
    return names[kind.split('(')[0]] + kind[len(kind.split('(')[0]):]


class End:
    source = sink = True
    kinds = {}
    prefix = ''

    def __init__(self, place, pg):
        self.place, self.pg = place, pg

    def words(self, columns):
        return []

    def address(self, table):
        return self.prefix + table

    target = address

    def remove(self):
        pass


class Gen(End):
    name, title, sink = 'gen', 'gen', False

    def address(self, table):
        return 'gen:' + table


class Null(End):
    name, title, source = 'null', 'null', False

    def target(self, table):
        return 'null:'


class Text(End):
    """Files of text: no types, so that what is read is said by --types where it matters."""

    def words(self, columns):
        return ['--types', ','.join('%s=%s' % (n, named(k, OUR_TYPES)) for n, k in columns)]

    def address(self, table):
        return table + self.suffix

    target = address

    def path(self, table):
        return self.place.path(table + self.suffix)


def shown(v):
    """A value as text: bytes in hexadecimal digits."""
    if isinstance(v, bytes):
        return '\\x' + v.hex()
    return {True: 'true', False: 'false'}[v] if isinstance(v, bool) else repr(v) if isinstance(v, float) else \
        format(v, 'f') if isinstance(v, values.Decimal) else str(v)


def csv_cell(v):
    if v is None:
        return ''
    v = shown(v)
    return '"%s"' % v.replace('"', '""') if v == '' or any(c in v for c in '",\r\n') or v.strip() != v or v in ('NULL', 'NA', '\\N') else v


def csv_records(text):
    """Fields of RFC 4180; an empty field without quotes is None."""
    record, at, n = [], 0, len(text)
    while at < n:
        if text[at] == '"':
            end = at
            while True:
                end = text.index('"', end + 1)
                if text[end + 1:end + 2] != '"':
                    break
                end += 1
            record.append(text[at + 1:end].replace('""', '"'))
            at = end + 1
        else:
            end = at
            while end < n and text[end] not in ',\r\n':
                end += 1
            record.append(text[at:end] or None)
            at = end
        if text[at:at + 1] == ',':
            at += 1
            if at == n or text[at] in '\r\n':
                record.append(None)
            else:
                continue
        at += 2 if text[at:at + 2] == '\r\n' else 1
        yield record
        record = []


class Csv(Text):
    name, title, suffix, kinds = 'csv', 'CSV', '.csv', kinds.CSV

    def make(self, table, columns, rows):
        with open(self.path(table), 'w', encoding='utf-8', newline='') as f:
            f.write(','.join(csv_cell(n) for n, _ in columns) + '\n')
            f.writelines(','.join(map(csv_cell, r)) + '\n' for r in rows)

    def read(self, table):
        with open(self.path(table), encoding='utf-8', newline='') as f:
            records = csv_records(f.read())
        names = [n or '' for n in next(records)]
        rows = [dict(zip(names, r)) for r in records]
        return dict.fromkeys(names, 'text'), rows


class JsonLines(Text):
    name, title, suffix, kinds = 'jsonl', 'JSON lines', '.jsonl', kinds.JSONL
    keeps = ('int', 'float', 'float32', 'decimal', 'bool', 'json')  # need not be strings
    WORDS = {int: 'number', float: 'number', values.Decimal: 'number', str: 'string', bool: 'boolean', list: 'array', values.Pairs: 'object'}

    def make(self, table, columns, rows):
        with open(self.path(table), 'w', encoding='utf-8') as f:
            for r in rows:
                f.write('{%s}\n' % ', '.join('%s: %s' % (json.dumps(n), self.cell(k, v)) for (n, k), v in zip(columns, r)))

    @staticmethod
    def cell(kind, v):
        if kind == 'raw':  # JSON as it is
            return 'null' if v is None else v
        if isinstance(v, values.Decimal):
            return format(v, 'f')
        return json.dumps(shown(v) if isinstance(v, bytes) else v, ensure_ascii=False)

    def read(self, table):
        with open(self.path(table), encoding='utf-8') as f:
            rows = [dict(values.load_json(line)) for line in f]
        types = {}
        for r in rows:
            for n, v in r.items():
                types.setdefault(n, set()).update(() if v is None else (self.WORDS[type(v)],))
        return {n: ' or '.join(sorted(t)) or 'null' for n, t in types.items()}, rows


class Sqlite(End):
    name, title, kinds = 'sqlite', 'SQLite', kinds.SQLITE
    file = 'here.db'

    def address(self, table):
        return 'sqlite:%s#%s' % (self.file, table)

    def target(self, table):
        return 'sqlite:there.db#%s' % table

    def open(self, name):
        return sqlite3.connect(self.place.path(name), timeout=30)

    def make(self, table, columns, rows):
        self.table(table, [(n, named(k, SQLITE_TYPES) if n != 'id' else 'integer primary key') for n, k in columns], rows)

    def table(self, table, columns, rows, file=None):
        db = self.open(file or self.file)
        db.execute('create table "%s"(%s)' % (table, ', '.join('"%s" %s' % c for c in columns)))
        db.executemany('insert into "%s" values (%s)' % (table, ', '.join('?' * len(columns))),
                       [[format(v, 'f') if isinstance(v, values.Decimal) else v for v in r] for r in rows])
        db.commit()
        db.close()

    def read(self, table, file='there.db'):
        db = self.open(file)
        try:
            types = {n: t for _, n, t, *_ in db.execute('pragma table_info("%s")' % table)}
            names = list(types)
            rows = [dict(zip(names, r)) for r in db.execute('select %s from "%s"' % (', '.join('"%s"' % n.replace('"', '""') for n in names), table))]
        finally:
            db.close()
        for n in [n for n, t in types.items() if t.upper().startswith('DURATION')]:  # units of its digits, default 6
            digits = int(types[n][9:-1] or 6)
            for r in rows:
                if isinstance(r[n], int):
                    r[n] = 'PT%sS' % (values.Decimal(r[n]) / 10 ** digits).__format__('f')
        return types, rows


def pg_text(v):
    """A field of COPY's text format."""
    if v is None:
        return '\\N'
    v = shown(v)
    for a, b in (('\\', '\\\\'), ('\t', '\\t'), ('\n', '\\n'), ('\r', '\\r')):
        v = v.replace(a, b)
    return v


ESCAPES = {'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t', 'v': '\v'}


def pg_value(field):
    if field == '\\N':
        return None
    if '\\' not in field:
        return field
    out, parts = '', iter(range(len(field)))
    for i in parts:
        if field[i] == '\\':
            next(parts)
            out += ESCAPES.get(field[i + 1], field[i + 1])
        else:
            out += field[i]
    return out


class Postgresql(End):
    """All tables of one place are in a schema of their own."""
    name, title, kinds = 'postgresql', 'PostgreSQL', kinds.POSTGRESQL
    SETTINGS = "set timezone = 'UTC'; set intervalstyle = iso_8601; set datestyle = 'ISO, YMD'; set client_min_messages = warning;\n"

    def __init__(self, place, pg):
        super().__init__(place, pg)
        self.schema = 's' + os.path.basename(place.dir).replace('-', '_').lower()
        self.made = False

    def ready(self):
        if not self.made:
            self.pg.sql('create schema if not exists "%s"; create schema if not exists "%s_to"' % (self.schema, self.schema))
            self.made = True

    def address(self, table):
        self.ready()
        return self.pg.url('"%s"."%s"' % (self.schema, table))

    def target(self, table):
        self.ready()
        return self.pg.url('"%s_to"."%s"' % (self.schema, table))

    def make(self, table, columns, rows):
        self.table(table, [(n, named(k, PG_TYPES) if n != 'id' else 'int8 primary key') for n, k in columns], rows)

    def table(self, table, columns, rows, to=''):
        self.ready()
        name = '"%s%s"."%s"' % (self.schema, to, table)
        data = ''.join('\t'.join(map(pg_text, r)) + '\n' for r in rows)
        self.pg.sql('%screate table %s(%s);\ncopy %s from stdin;\n%s\\.\n' % (
            self.SETTINGS, name, ', '.join('"%s" %s' % c for c in columns), name, data))

    def read(self, table, to='_to'):
        where = "'\"%s%s\".\"%s\"'::regclass" % (self.schema, to, table)
        types = dict(line.split('\t') for line in self.pg.sql(
            "copy (select attname, format_type(atttypid, atttypmod) from pg_attribute where attrelid = %s and attnum > 0 "
            'and not attisdropped order by attnum) to stdout' % where).split('\n'))
        types = {pg_value(n): t for n, t in types.items()}
        text = self.pg.sql('%scopy "%s%s"."%s" to stdout' % (self.SETTINGS, self.schema, to, table))
        return types, [dict(zip(types, map(pg_value, line.split('\t')))) for line in text.split('\n') if line]

    def remove(self):
        if self.made:
            self.pg.sql('set client_min_messages = warning; drop schema "%s" cascade; drop schema "%s_to" cascade' % (self.schema, self.schema))


ENDS = [Gen, Csv, JsonLines, Sqlite, Postgresql, Null]
SOURCES = [e for e in ENDS if e.source]
SINKS = [e for e in ENDS if e.sink]
