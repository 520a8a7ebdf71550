#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The jobs of examples/postgresql run as their comments say, twice, judged by psql and Python.

Fails if an example does not run, if a value of the real tables is lost or changed, or if running a job
again leaves anything but the same rows."""
import csv
import gzip
import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
sys.path.insert(0, os.path.join(ROOT, 'tests', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402


def flights():
    """Rows, departures known, sum of distances, sum of air time: from the file itself."""
    with gzip.open(os.path.join(ROOT, 'examples/nycflights/flights-2013-01.csv.gz'), 'rt', encoding='utf-8') as f:
        rows = list(csv.DictReader(f))
    known = [r for r in rows if r['dep_delay'] != 'NA']
    return '%d|%d|%d|%d' % (len(rows), len(known), sum(int(r['distance']) for r in rows),
                            sum(int(r['air_time']) for r in rows if r['air_time'] != 'NA'))


QUESTION = 'select count(*), count(dep_delay), sum(distance), sum(air_time) from %s'


def main():
    t = harness.Tally('example jobs on PostgreSQL', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    place = harness.Place('pg-jobs')
    server = servers.Postgres(place.path('server'))
    try:
        os.symlink(os.path.join(ROOT, 'examples'), place.path('examples'))
        place.env.update(PGHOST='127.0.0.1', PGPORT=str(server.port), PGUSER='postgres', PGDATABASE='dw')
        server.sql('create database dw')
        server.sql('create database archive')
        server.sql('create schema nyc', 'dw')
        for again in (False, True):
            code, out, err = place.run('run', 'examples/postgresql/load.yaml', '--json')
            t.check(code == 0 and not harness.unbalanced(harness.finished(out)), 'load.yaml runs', out + err)
            got = server.sql(QUESTION % 'nyc.flights', 'dw').strip()
            t.check(got == flights(), 'the flights are those of the file', got)
            code, out, err = place.run('plan', 'examples/postgresql/database.yaml')
            t.check(code == 0 and out.count('pass through as bytes') == 3, 'every table passes as bytes', out + err)
            code, out, err = place.run('run', 'examples/postgresql/database.yaml', '--json')
            t.check(code == 0 and not harness.unbalanced(harness.finished(out)), 'database.yaml runs', out + err)
            for table in ('airlines', 'planes', 'flights'):
                a = server.sql('select md5(string_agg(x::text, chr(10) order by x::text)) from nyc.%s x' % table, 'dw')
                b = server.sql('select md5(string_agg(x::text, chr(10) order by x::text)) from nyc_%s x' % table, 'archive')
                t.check(a == b and a.strip(), '%s arrived unchanged' % table, '%s %s' % (a, b))
            left = server.sql("select count(*) from pg_class where relname like 'wherry_stage%'", 'archive').strip()
            t.check(left == '0', 'no stage stays', left)
    finally:
        server.stop()
        place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
