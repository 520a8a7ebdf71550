#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The N-th SQL statement fails, for N = 1, 2, ... of a run: PostgreSQL answers it with a serialization
failure, a full disk, a right that is missing; the connection is gone before it, or behind it; SQLite says
that it is busy, that the disk is full or broken. In the soak every N; else a few of each, evenly, from an
offset by chance.

    tests/fault/test_sql.py [WORD...]     only jobs whose name holds one of the words

tests/fault/sqlfault.c stands before libpq, where the program has no hook of its own. Red as
tests/fault/kit.py says: a row lost, doubled or changed, judged by psql or sqlite3."""
import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import kit  # noqa: E402
from kit import harness  # noqa: E402

LIMIT = max(3, kit.FAULTS // 4)   # statements of a job for each kind
PG = ('40001', 'lost', 'after', '53100', '42501')
LITE = ('5', '10', '13', '8')
WORDS = {'40001': 'is no more serializable', '53100': 'finds the disk full', '42501': 'lacks a right', 'lost': 'finds the connection gone',
         'after': 'is done, its answer lost', '5': 'finds the file locked', '10': 'cannot be read or written', '13': 'finds the disk full',
         '8': 'finds the file read-only'}
JOBS = [(name, PG) for name in ('pg > pg as bytes', 'pg > pg decoded', 'pg > pg, overwrite', 'pg > pg, upsert', 'pg > sqlite', 'sqlite > pg')]
JOBS += [(name, LITE) for name in ('csv > sqlite', 'csv > sqlite, upsert', 'csv > sqlite, overwrite', 'sqlite > csv')]


def built():
    """The library that stands before the others, made once for a run of this script."""
    folder = harness.scratch('sqlfault')
    path = os.path.join(folder, 'sqlfault.so')
    source = os.path.join(os.path.dirname(os.path.abspath(__file__)), 'sqlfault.c')
    subprocess.run(['cc', '-std=gnu11', '-Wall', '-Werror', '-O1', '-g', '-fPIC', '-shared', '-o', path, source, '-ldl', '-pthread'], check=True)
    return path


def environment(library, log, number, kind):
    """What makes a statement fail: before libpq, or in the connector of SQLite."""
    if kind in LITE:
        return {'WH_TEST_SQL_LOG': log, 'WH_TEST_FAIL_SQL': '%d:%s' % (number, kind)}
    return {'LD_PRELOAD': library, 'WH_SQLFAULT_LOG': log, 'WH_SQLFAULT': '%d:%s' % (number, kind)}


def lines_of(log):
    if not os.path.exists(log):
        return []
    with open(log, encoding='utf-8', errors='replace') as f:
        lines = f.read().splitlines()
    os.remove(log)
    return lines


def sweep(t, server, name, kinds, library):
    with kit.Bench(name, server) as b:
        log = b.place.path('home', 'statements')
        code, _, err = b.run(**environment(library, log, 0, kinds[0]))
        lines = lines_of(log)  # of an undisturbed run, in order; lanes make it vary
        why = '%s\n%s' % (code, err) if code else b.whole()
        t.check(why is None and len(lines) > 5, '%s: undisturbed, %d statements' % (name, len(lines)), why)
        due = 0
        for kind in kinds:
            for i in kit.chosen(t.rng, len(lines), LIMIT):
                what = 'statement %d of %d %s (%s)' % (i, len(lines), WORDS[kind], lines[i - 1].strip()[:60])
                kit.trial(t, b, what, lambda: b.run(**environment(library, log, i, kind)))
                due += any(line.startswith('!') for line in lines_of(log))
        print('%s: %d statements, %d failed' % (name, len(lines), due))
        t.check(due > len(kinds), '%s: statements were made to fail' % name, due)


def main():
    if harness.sanitized():
        t = harness.Tally('statements fail', harness.seed_of())
        t.skip('unsuitable: a sanitizer wants to be the first library')
        return t.finish()
    library = built()
    try:
        return kit.main('statements fail', [(name, sweep, (name, kinds, library)) for name, kinds in JOBS], sys.argv[1:], workers=2)
    finally:
        kit.shutil.rmtree(os.path.dirname(library), ignore_errors=True)


if __name__ == '__main__':
    sys.exit(main())
