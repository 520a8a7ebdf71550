# SPDX-License-Identifier: Apache-2.0
"""What refused rows cost: one bad row in a thousand, beside the same copy of clean rows, in pairs."""
import os
import sqlite3
import statistics

import pg
from kit import WORK, finished, mb, spread

TABLE = 'id %s, n %s not null, k %s, v varchar(40)'
BAD = [lambda i: '%d,,1,text\n' % i,              # no value
       lambda i: '%d,%d,1,%s\n' % (i, i, 'x' * 60),  # too long
       lambda i: '%d,%d,70000,text\n' % (i, i),   # out of range
       lambda i: '%d,%d,1,a\xffb\n' % (i, i),     # not of the character set
       lambda i: '%d,x%d,1,text\n' % (i, i)]      # no number


def spoiled(i):
    kind = i // 1000 % len(BAD)
    return BAD[1 if kind == 3 and i < 500000 else kind](i)  # in the sample it would say that the encoding is another


def inputs(b):
    """(clean, own, server, rows, bad): the same rows, and one of a thousand bad by our rules, or by the server's alone."""
    rows = 20000 if b.quick else 1000000
    paths = [os.path.join(WORK, 'dirty-%s-%d.csv' % (kind, rows)) for kind in ('clean', 'own', 'server')]
    files = [open(p, 'w', encoding='latin-1') for p in paths]
    for f in files:
        f.write('id,n,k,v\n')
    for i in range(rows):
        good, bad = '%d,%d,%d,text of row %d\n' % (i, i * 7, i % 1000, i), i % 1000 == 500
        files[0].write(good)
        files[1].write(spoiled(i) if bad else good)
        files[2].write('%d,-1,1,refused\n' % i if bad else good)
    for f in files:
        f.close()
    return paths + [rows, rows // 1000]


def spoil(b, case, goal, limit, copy, check, bad_path, clean_path, bad):
    """CPU seconds of the copy with bad rows, over those without."""
    ratios, walls, cpu, cpu2, peak, good = [], [], [], [], [], True
    for pair in range(b.pairs):
        two = {}
        for path in (clean_path, bad_path) if pair % 2 else (bad_path, clean_path):
            r = two[path] = copy(path)
            done = finished(r.text)
            n = bad if path == bad_path else 0
            good = good and done.get('rows_dirty') == n and check(n)
        ratios.append(two[bad_path].cpu / two[clean_path].cpu)
        walls.append(two[bad_path].wall / two[clean_path].wall)
        cpu.append(two[bad_path].cpu)
        cpu2.append(two[clean_path].cpu)
        peak.append(two[bad_path].peak)
        print('    pair %d: %.2f s with, %.2f s without' % (pair + 1, two[bad_path].wall, two[clean_path].wall), flush=True)
    b.line(case, goal, '%s, wall %.2f' % (spread(ratios), statistics.median(walls)), '%.2f (%.2f)' % (
        statistics.median(cpu), statistics.median(cpu2)), mb(max(peak)), good, limit is None or statistics.median(ratios) <= limit)


def words(bad):
    return ['--dirty', 'rows=%d' % bad, '-j', '1', '--json', '--types', 'n=int64,k=int16']


def own(b):
    """Rows that we see ourselves are bad (no value, length, range, character set, number): CSV -> SQLite, CPU with over without."""
    clean, path, _, rows, bad = inputs(b)
    db = os.path.join(WORK, 'dirty.db')

    def copy(p):
        for tail in ('', '-wal', '-shm', '-journal'):
            if os.path.exists(db + tail):
                os.unlink(db + tail)
        with sqlite3.connect(db) as c:
            c.execute('create table t(%s)' % (TABLE % (('integer',) * 3)))
        c.close()
        return b.wherry('copy', p, 'sqlite:%s#t' % db, *words(bad))

    def check(n):
        c = sqlite3.connect(db)
        got = c.execute('select count(*), sum(id), sum(n) from t').fetchone()
        c.close()
        kept = [i for i in range(rows) if not n or i % 1000 != 500]
        return got == (len(kept), sum(kept), 7 * sum(kept))
    spoil(b, 'one bad row in 1,000 that we see', '<= 1.10', 1.10, copy, check, path, clean, bad)


def server(b):
    """Rows that only the server refuses (a check constraint): CSV -> PostgreSQL, CPU with over without."""
    clean, _, path, rows, bad = inputs(b)
    place = pg.server(b)
    place.sql('drop table if exists dst.dirty; create table dst.dirty(%s, check (n >= 0))' % (TABLE % ('bigint', 'bigint', 'smallint')))

    def copy(p):
        place.sql('truncate dst.dirty')
        return b.wherry('copy', p, place.url('dst.dirty'), *words(bad))

    def check(n):
        kept = [i for i in range(rows) if not n or i % 1000 != 500]
        return place.sql('select count(*), sum(id), sum(n) from dst.dirty').strip() == '%d|%d|%d' % (len(kept), sum(kept), 7 * sum(kept))
    spoil(b, 'one bad row in 1,000 that only the server refuses', 'printed', None, copy, check, path, clean, bad)


CASES = {'dirty-own': own, 'dirty-server': server}
