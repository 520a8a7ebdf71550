#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demo's jobs, judged by Python's csv and sqlite3 modules alone.

    tests/demo/test_demo.py --wherry PROGRAM

examples/nycflights/to-sqlite.yaml, then to-csv.yaml, then `validate` of both, in a scratch folder.
Red when a column gets another type, a value changes (NA is NULL), a row is lost, doubled or made up,
the exported files differ from the originals, or a second run adds rows twice unannounced."""
import argparse
import collections
import csv
import datetime
import gzip
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLES = os.path.join(ROOT, 'examples', 'nycflights')
FILES = {'airlines': 'airlines.csv', 'airports': 'airports.csv', 'planes': 'planes.csv',
         'weather': 'weather.csv.gz', 'flights': 'flights-2013-01.csv.gz'}
ROWS = {'airlines': 16, 'airports': 1458, 'planes': 3322, 'weather': 26115, 'flights': 27004}
I, R, T, Z = 'integer', 'real', 'text', 'zoned'
TYPES = {
    'airlines': dict(carrier=T, name=T),
    'airports': dict(faa=T, name=T, lat=R, lon=R, alt=I, tz=I, dst=T, tzone=T),
    'planes': dict(tailnum=T, year=I, type=T, manufacturer=T, model=T, engines=I, seats=I, speed=I, engine=T),
    'weather': dict(origin=T, year=I, month=I, day=I, hour=I, temp=R, dewp=R, humid=R, wind_dir=I,
                    wind_speed=R, wind_gust=R, precip=R, pressure=R, visib=R, time_hour=Z),
    'flights': dict(year=I, month=I, day=I, dep_time=I, sched_dep_time=I, dep_delay=I, arr_time=I,
                    sched_arr_time=I, arr_delay=I, carrier=T, flight=I, tailnum=T, origin=T, dest=T,
                    air_time=I, distance=I, hour=I, minute=I, time_hour=Z),
}
# Declared types as SQLite's PRAGMA table_info shows them.
DECLARED = {I: r'INTEGER|BIGINT', R: r'REAL|DOUBLE', T: r'TEXT', Z: r'TIMESTAMPTZ(\(\d\))?'}


class Report:
    def __init__(self):
        self.passed = self.failed = 0

    def check(self, good, what, why=''):
        self.passed += bool(good)
        self.failed += not good
        if not good:
            print('FAILED %s%s' % (what, ': ' + why if why else ''), flush=True)
        return good


def rows_of(path):
    opener = gzip.open if path.endswith('.gz') else open
    with opener(path, 'rt', encoding='utf-8', newline='') as f:
        reader = csv.reader(f)
        return next(reader), list(reader)


def instant(text):
    """A zoned time as an instant; the fraction may be written or not."""
    text = re.sub(r'\.0+(?=$|[Z+-])', '', text.replace(' ', 'T', 1).replace('Z', '+00:00'))
    moment = datetime.datetime.fromisoformat(text)
    assert moment.tzinfo is not None, text
    return moment.astimezone(datetime.timezone.utc)


def typed(text, kind):
    """What Python makes of a cell of the original file."""
    if text == 'NA':
        return None
    return {I: int, R: float, T: str, Z: instant}[kind](text)


def stored(value, kind):
    """What a value read from SQLite means; a wrong storage class is a wrong value."""
    if value is None:
        return None
    if kind == Z:
        return instant(value)
    want = {I: int, R: float, T: str}[kind]
    return value if type(value) is want else 'stored as %s: %r' % (type(value).__name__, value)


def same(report, what, want, got):
    want, got = collections.Counter(map(tuple, want)), collections.Counter(map(tuple, got))
    lost, extra = want - got, got - want
    why = ''
    if lost or extra:
        why = '%d rows missing, for instance %r; %d rows too many, for instance %r' % (
            sum(lost.values()), next(iter(lost), None), sum(extra.values()), next(iter(extra), None))
    report.check(not lost and not extra, what, why)


def check_database(report, path):
    db = sqlite3.connect(path)
    names = {r[0] for r in db.execute("select name from sqlite_master where type = 'table'")}
    report.check(set(FILES) <= names, 'the five tables are there', str(sorted(names)))
    ours = {n for n in names - set(FILES) if n.startswith('wherry_') or n.startswith('sqlite_')}
    report.check(names == set(FILES) | ours, 'no other table was made', str(sorted(names)))
    for table, kinds in TYPES.items():
        header, rows = rows_of(os.path.join(EXAMPLES, FILES[table]))
        assert header == list(kinds) and len(rows) == ROWS[table], 'the example files changed'
        columns = db.execute('pragma table_info("%s")' % table).fetchall()
        report.check([c[1] for c in columns] == header, '%s: columns in order' % table, str([c[1] for c in columns]))
        for c in columns:
            kind = kinds.get(c[1], T)
            report.check(re.fullmatch(DECLARED[kind], c[2].upper()), '%s.%s is %s' % (table, c[1], kind), c[2])
        got = db.execute('select * from "%s"' % table).fetchall()
        report.check(len(got) == ROWS[table], '%s: %d rows' % (table, ROWS[table]), str(len(got)))
        want = [[typed(v, k) for v, k in zip(row, kinds.values())] for row in rows]
        have = [[stored(v, k) for v, k in zip(row, kinds.values())] for row in got]
        same(report, '%s: every value' % table, want, have)
    db.close()


def check_export(report, folder):
    made = sorted(f for f in os.listdir(folder) if f.endswith(('.csv', '.csv.gz'))) if os.path.isdir(folder) else []
    report.check(made == sorted(t + '.csv' for t in FILES), 'one file per table and no other', str(made))
    for table, kinds in TYPES.items():
        path = os.path.join(folder, table + '.csv')
        if not os.path.exists(path):
            report.check(False, '%s was exported' % path)
            continue
        header, rows = rows_of(os.path.join(EXAMPLES, FILES[table]))
        out_header, out_rows = rows_of(path)
        report.check(out_header == header, '%s.csv: header' % table, str(out_header))
        same(report, '%s.csv: every value' % table,
             [[typed(v, k) for v, k in zip(row, kinds.values())] for row in rows],
             [[typed(v, k) for v, k in zip(row, kinds.values())] for row in out_rows])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument('--wherry', required=True)
    ap.add_argument('--keep', action='store_true')
    args = ap.parse_args()
    program = os.path.abspath(args.wherry)
    work = tempfile.mkdtemp(prefix='wherry-demo-')
    os.symlink(os.path.join(ROOT, 'examples'), os.path.join(work, 'examples'))
    env = {k: v for k, v in os.environ.items() if not k.startswith(('XDG_', 'WHERRY_'))}
    env.update(HOME=work, XDG_STATE_HOME=os.path.join(work, 'state'))
    report = Report()

    def wherry(*words, want=0):
        p = subprocess.run([program, *words], cwd=work, env=env, stdin=subprocess.DEVNULL, timeout=120,
                           stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        text = p.stdout.decode('utf-8', 'replace')
        print('$ wherry %s\n%s' % (' '.join(words), text), flush=True)
        report.check(p.returncode == want, 'wherry %s: exit %d' % (' '.join(words), want), 'exit %d' % p.returncode)
        return text

    wherry('plan', 'examples/nycflights/to-sqlite.yaml')
    report.check(not os.path.exists(os.path.join(work, 'nycflights.db')), 'plan touches nothing')
    text = wherry('run', 'examples/nycflights/to-sqlite.yaml')
    for table, n in ROWS.items():
        shown = FILES[table].split('.')[0]   # a table is shown by the name of its source
        report.check(re.search(r'^%s +done +%s read +%s written +0 dirty' % (shown, f'{n:,}', f'{n:,}'), text, re.M),
                     'the summary accounts for %s' % table)
    check_database(report, os.path.join(work, 'nycflights.db'))
    wherry('validate', 'examples/nycflights/to-sqlite.yaml', '--level', 'checksum')
    wherry('run', 'examples/nycflights/to-csv.yaml')
    check_export(report, os.path.join(work, 'nycflights-out'))
    wherry('validate', 'examples/nycflights/to-csv.yaml', '--level', 'checksum')
    # One changed value must be found, or validate proves nothing.
    db = sqlite3.connect(os.path.join(work, 'nycflights.db'))
    db.execute("update flights set distance = distance + 1 where rowid = 12345")
    db.commit()
    db.close()
    wherry('validate', 'examples/nycflights/to-csv.yaml', '--level', 'checksum', want=4)
    if not args.keep:
        shutil.rmtree(work, ignore_errors=True)
    print('%d passed, %d failed, 0 skipped' % (report.passed, report.failed))
    return 1 if report.failed else 0


if __name__ == '__main__':
    sys.exit(main())
