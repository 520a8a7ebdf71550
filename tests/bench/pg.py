# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL cases of the bench: beside psql's COPY and DuckDB, on one scratch server for all of them.
README.md here says how it stays fair."""
import glob
import os
import shutil
import statistics
import sys

from kit import HERE, WORK, Run, duck_python, finished, mb, spread

sys.path.insert(0, os.path.join(os.path.dirname(HERE), 'lib'))
import servers  # noqa: E402

COLUMNS = """l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber integer, l_quantity numeric(15,2),
    l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag varchar(1), l_linestatus varchar(1),
    l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct varchar(25), l_shipmode varchar(10),
    l_comment varchar(44)"""
DUCK_CSV = {'l_orderkey': 'BIGINT', 'l_partkey': 'BIGINT', 'l_suppkey': 'BIGINT', 'l_linenumber': 'INTEGER',
            **{c: 'DECIMAL(15,2)' for c in ('l_quantity', 'l_extendedprice', 'l_discount', 'l_tax')},
            'l_returnflag': 'VARCHAR', 'l_linestatus': 'VARCHAR',
            **{c: 'DATE' for c in ('l_shipdate', 'l_commitdate', 'l_receiptdate')},
            **{c: 'VARCHAR' for c in ('l_shipinstruct', 'l_shipmode', 'l_comment')}}
TINY = 5000


def server(b):
    """The one server, with schema src (lineitem, loaded by psql) and dst."""
    if not hasattr(b, 'pg'):
        if not servers.binaries():
            raise SystemExit('bench: no PostgreSQL server is installed (postgresql-15)')
        folder = os.path.join(WORK, 'pg')
        shutil.rmtree(folder, ignore_errors=True)
        b.pg = servers.Postgres(folder, shared_buffers='1GB', max_wal_size='8GB', checkpoint_timeout='30min', autovacuum='off',
                               max_locks_per_transaction='512')
        b.at_end.append(b.pg.remove)
        path, _ = b.lineitem()
        b.pg.sql("create schema src; create schema dst; create table src.lineitem(%s);\n\\copy src.lineitem from '%s' csv header\n"
                 'vacuum analyze src.lineitem;' % (COLUMNS, path))
        b.want = digest(b.pg, 'src.lineitem')
    return b.pg


def digest(pg, table):
    """'rows|sum of the hashes of all rows as text', by the server."""
    return pg.sql('select count(*), sum(hashtextextended(t::text, 0)::numeric) from %s t' % table)


class Timed:
    """One side of the pairs: what every run took, at the client and at the server."""

    def __init__(self):
        self.wall, self.cpu, self.server, self.peak = [], [], [], []

    def run(self, pg, act, fresh):
        """act() gives a Run, after fresh() and a checkpoint, so that no side pays for the other."""
        fresh()
        pg.sql('checkpoint')
        before = pg.cpu()
        r = act()
        if r.code:
            raise SystemExit('bench: exit %d\n%s' % (r.code, r.text))
        self.wall.append(r.wall)
        self.cpu.append(r.cpu)
        self.server.append(pg.cpu() - before)
        self.peak.append(r.peak)
        return r


def pairs(b, case, goal, ours, theirs, fresh, check, cpu_goal=None, passes=None):
    """Ours and the rival's run alternate; check(side) is true if what came out is the source."""
    pg, a, r, good = server(b), Timed(), Timed(), True
    for pair in range(b.pairs):
        for side, timed, act in (('ours', a, ours), ('theirs', r, theirs)) if pair % 2 == 0 else (
                ('theirs', r, theirs), ('ours', a, ours)):
            done = timed.run(pg, act, lambda side=side: fresh(side))
            good = check(side) and good
            if side == 'ours' and passes is not None:
                good = passes(done) and good
        print('    pair %d: wherry %.2f s, rival %.2f s' % (pair + 1, a.wall[-1], r.wall[-1]), flush=True)
    ratios = [y / x for x, y in zip(a.wall, r.wall)]
    cpu = [x / y for x, y in zip(a.cpu, r.cpu)]
    met = statistics.median(ratios) >= goal and (cpu_goal is None or statistics.median(cpu) <= cpu_goal)
    b.line(case, '>= %s%s' % (goal, ', CPU <= %sx' % cpu_goal if cpu_goal else ''),
           '%s; CPU %.2fx; server CPU %.1f s (%.1f)' % (spread(ratios), statistics.median(cpu), statistics.median(a.server),
                                                       statistics.median(r.server)),
           '%.2f (%.2f)' % (statistics.median(a.cpu), statistics.median(r.cpu)), '%s (%s)' % (mb(max(a.peak)), mb(max(r.peak))),
           good, met)


def psql(pg):
    return ' '.join("'%s'" % w for w in pg.psql())


def tables(b):
    """fresh and check of cases whose destination is a table of the source's shape without keys."""
    pg = server(b)

    def fresh(side):
        pg.sql('set client_min_messages = warning; drop table if exists dst.ours, dst.theirs; create table dst.%s(%s)' % (side, COLUMNS))

    def check(side):
        got = digest(pg, 'dst.' + side)
        if got != b.want:
            print('    %s: %s, wanted %s' % (side, got, b.want))
        return got == b.want
    return fresh, check


def pipe(b):
    """psql's COPY out of one table into another, binary."""
    p = psql(server(b))
    return Run(['sh', '-c', "%s -c 'copy src.lineitem to stdout (format binary)' | %s -c 'copy dst.theirs from stdin (format binary)'"
                % (p, p)])


def hash_is(word):
    def passes(run):
        found = [t.get('hash') for t in finished(run.text).get('tables', [])]
        if found != [word]:
            print('    hash: %s, wanted %s' % (found, word))
        return found == [word]
    return passes


def pg_pg(b):
    """PostgreSQL -> PostgreSQL, bytes passed through, beside psql | psql in binary."""
    pg = server(b)
    pairs(b, 'PG -> PG passed through, beside psql to psql', 0.95,
          lambda: b.wherry('copy', pg.url('src.lineitem'), pg.url('dst.ours'), '--json', '--no-progress', fine=False),
          lambda: pipe(b), *tables(b), cpu_goal=1.1, passes=hash_is('bytes'))


def pg_pg_decoded(b):
    """The same, every value decoded, hashed and encoded."""
    pg = server(b)
    pairs(b, 'PG -> PG decoded, beside psql to psql', 0.8,
          lambda: b.wherry('copy', pg.url('src.lineitem'), pg.url('dst.ours'), '--from', 'frames=false', '--json', '--no-progress',
                           fine=False),
          lambda: pipe(b), *tables(b), passes=hash_is('rows'))


def csv_pg(b):
    """CSV -> PostgreSQL beside psql's \\copy."""
    pg, (path, _) = server(b), b.lineitem()
    pairs(b, 'CSV -> PG beside \\copy', 1.2,
          lambda: b.wherry('copy', path, pg.url('dst.ours'), '--json', '--no-progress', fine=False),
          lambda: Run(['sh', '-c', "%s -c \"\\copy dst.theirs from '%s' csv header\"" % (psql(pg), path)]), *tables(b))


def duckdb():
    """A Python that has DuckDB and its PostgreSQL extension, and the extension's file; or None."""
    python = duck_python()
    if not python:
        return None
    found = glob.glob(os.path.join(os.path.dirname(os.path.dirname(python)), 'lib', 'python3*', 'site-packages',
                                   'duckdb_extension_postgres_scanner', 'extensions', '*', 'postgres_scanner.duckdb_extension'))
    return (python, found[0]) if found else None


def csv_pg_duckdb(b):
    """CSV -> PostgreSQL beside DuckDB's postgres writer (two threads)."""
    pg, (path, _) = server(b), b.lineitem()
    duck = duckdb()
    if not duck:
        print('  skipped: no DuckDB; python3 -m venv %s/venv-duckdb && %s/venv-duckdb/bin/pip install duckdb==1.5.5 '
              'duckdb-extension-postgres-scanner==1.5.5' % (WORK, WORK))
        return
    script = os.path.join(WORK, 'duck.py')
    with open(script, 'w', encoding='utf-8') as f:
        f.write("import duckdb\nc = duckdb.connect(config={'threads': 2})\nc.execute(\"load '%s'\")\n"
                "c.execute(\"attach 'host=127.0.0.1 port=%d user=postgres dbname=postgres' as p (type postgres)\")\n"
                "c.execute(\"insert into p.dst.theirs from read_csv('%s', header=true, columns=%s)\")\n" % (
                    duck[1], pg.port, path, '{' + ', '.join("'%s': '%s'" % c for c in DUCK_CSV.items()) + '}'))
    pairs(b, 'CSV -> PG beside DuckDB', 1.0,
          lambda: b.wherry('copy', path, pg.url('dst.ours'), '--json', '--no-progress', fine=False),
          lambda: Run([duck[0], script]), *tables(b))


def pg_csv(b):
    """PostgreSQL -> CSV beside psql's \\copy."""
    pg = server(b)
    out = {side: os.path.join(WORK, 'pg-%s.csv' % side) for side in ('ours', 'theirs')}

    def fresh(_):
        for path in out.values():
            if os.path.exists(path):
                os.unlink(path)

    def check(side):
        """Back into a table by psql: the same rows, and no line more."""
        pg.sql("set client_min_messages = warning; drop table if exists dst.back; create unlogged table dst.back(%s);\n"
               "\\copy dst.back from '%s' csv header\n" % (COLUMNS, out[side]))
        got = digest(pg, 'dst.back')
        if got != b.want:
            print('    %s: %s, wanted %s' % (side, got, b.want))
        return got == b.want
    pairs(b, 'PG -> CSV beside \\copy', 1.0,
          lambda: b.wherry('copy', pg.url('src.lineitem'), out['ours'], '--json', '--no-progress', fine=False),
          lambda: Run(['sh', '-c', "%s -c \"\\copy src.lineitem to '%s' csv header\"" % (psql(pg), out['theirs'])]), fresh, check)


def pg_tiny(b):
    """5,000 tables of ten rows, PostgreSQL -> PostgreSQL."""
    pg, n = server(b), 50 if b.quick else TINY
    pg.sql("""do $$ begin execute 'create schema many'; execute 'create schema copies'; end $$;
        create procedure make_many(n int) language plpgsql as $$ begin
          for i in 1 .. n loop
            execute format('create table many.t%s(id bigint primary key, name text, price numeric(12,2), made timestamptz)', i);
            execute format('insert into many.t%s select i * 10 + %s, ''name '' || i, i * 1.25, timestamptz ''2024-02-03 04:05:06+00'' + i * interval ''1 hour'' from generate_series(1, 10) i', i, i);
            if i % 500 = 0 then commit; end if;
          end loop; end $$;
        create function sum_of(s text, n int) returns text language plpgsql as $$ declare total numeric := 0; one numeric; rows bigint := 0; k bigint; begin
          for i in 1 .. n loop
            execute format('select count(*), sum(hashtextextended(t::text, 0)::numeric) from %I.%I t', s, 't' || i) into k, one;
            rows := rows + k; total := total + one;
          end loop; return rows || ' ' || total; end $$;
        """)
    pg.sql('call make_many(%d)' % n)
    pg.sql('analyze; checkpoint')
    before = pg.cpu()
    r = b.wherry('copy', pg.url('many.*'), pg.url('copies.{source.table}'), '--json', '--no-progress')
    used = pg.cpu() - before
    want, got = (pg.sql("select sum_of('%s', %d)" % (s, n)) for s in ('many', 'copies'))
    b.line('PG -> PG, %s tables of 10 rows' % f'{n:,}', '< 30 s, < 64 MB',
           '%.1f s, %.1f ms a table; server CPU %.1f s' % (r.wall, r.wall / n * 1e3, used), '%.2f' % r.cpu, mb(r.peak),
           want == got, r.wall < 30 and r.peak < 64e6)


CASES = {'pg-pg': pg_pg, 'pg-pg-decoded': pg_pg_decoded, 'csv-pg': csv_pg, 'csv-pg-duckdb': csv_pg_duckdb, 'pg-csv': pg_csv,
         'pg-tiny': pg_tiny}
