#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What bad input gets: the table of tests/bad, row by row.

    tests/bad/test_bad.py [--all] [--show] [NAME...]      --show prints what the program said

Red when a bad input ends with another exit code than INTERFACE section 6 has for it, its message lacks
what, where, why or what next, something half-written is seen, something is lost or doubled, or a file
or an open run stays behind."""
import importlib
import os
import shutil
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.join(os.path.dirname(HERE), 'lib')]
import harness  # noqa: E402
import servers  # noqa: E402
import table  # noqa: E402

# The longest first, so that they end together.
GROUPS = ['servers', 'stops', 'clock', 'space', 'files', 'words', 'jobs', 'state']


def lacks(row, pg):
    """What a row needs and this machine has not, or None."""
    for what in row.needs:
        if what == 'root' and os.getuid() != 0:
            return 'root'
        if what == 'pg' and not servers.binaries():
            return 'postgresql-15'
        if what not in ('root', 'pg') and not (os.path.exists(what) if '/' in what else shutil.which(what)):
            return what
    return None


def group(t, rows, show):
    pg = servers.Postgres() if any('pg' in r.needs for r in rows) and servers.binaries() else None
    try:
        for row in rows:
            missing = lacks(row, pg)
            if missing:
                t.skip('missing: %s needs %s' % (row.name, missing))
            else:
                table.check(t, row, pg, show)
    finally:
        if pg:
            pg.remove()


def chosen(row, words, everything):
    if words:
        return any(w in row.name for w in words)
    return everything or not row.slow


def main():
    flags = [a for a in sys.argv[1:] if a.startswith('--')]
    words = [a for a in sys.argv[1:] if not a.startswith('--')]
    everything = '--all' in flags or os.environ.get('WH_TEST_TIER', 'check') != 'check'
    t = harness.Tally('bad input', harness.seed_of())
    jobs = []
    for name in GROUPS:
        if not os.path.exists(os.path.join(HERE, 'rows_%s.py' % name)):
            continue
        before = len(table.ROWS)
        importlib.import_module('rows_' + name)
        rows = [r for r in table.ROWS[before:] if chosen(r, words, everything)]
        if rows:
            jobs.append((name, group, (rows, '--show' in flags)))
    print('%d rows, %d of them now' % (len(table.ROWS), sum(len(j[2][0]) for j in jobs)))
    harness.run_jobs(t, jobs, workers=2)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
