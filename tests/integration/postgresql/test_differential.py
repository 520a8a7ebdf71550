#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same tables through every write mode and both engines (whole rows as bytes, and decoded): at the end the
destination is the source, by the hashes of `wherry validate` and by psql's own words.

Every kind of hard.sql is a table of its own; WH_TEST_EVERY_KIND takes all, else a part. Fails if a mode or an engine writes another value than the
others, loses one, or if the two judges differ."""
import os
import re
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402
from pgsite import went  # noqa: E402

HERE = os.path.dirname(os.path.abspath(__file__))
COLUMNS = "(select coalesce(string_agg(attname, ',' order by attnum), '') from pg_attribute where attrelid = c.oid and attnum > 0 and not attisdropped)"
TABLES = ("select quote_ident(relname) from pg_class c where relnamespace = 'hard'::regnamespace and relkind in ('r', 'p', 'v', 'm') and "
          '(relkind = \'r\' and ' + COLUMNS + " = 'id,what,v') order by 1")
DROP = """do $$declare r record; begin for r in select c.oid::regclass::text as name, relkind from pg_class c where relnamespace = 'hard'::regnamespace
    and relkind in ('r', 'p', 'v', 'm') and not quote_ident(relname) = any (array[%s]) loop
    if to_regclass(r.name) is not null then
        execute format('drop %%s %%s cascade', case r.relkind when 'v' then 'view' when 'm' then 'materialized view' else 'table' end, r.name);
    end if; end loop; end$$"""
OLD = {'append': 'truncate {t}', 'insert-ignore': 'delete from {t} where id % 2 = 0', 'upsert': "delete from {t} where id % 2 = 0; update {t} set what = 'old'",
       'replace': "delete from {t} where id % 2 = 0; update {t} set what = 'old'", 'update': "update {t} set what = 'old'",
       'truncate': "update {t} set what = 'old'", 'overwrite': "update {t} set what = 'old'", 'delete-insert': "update {t} set what = 'old'"}
FLAGS = {'delete-insert': ['--replace-where', 'id >= -5'], 'upsert': ['--key', 'id'], 'replace': ['--key', 'id'], 'update': ['--key', 'id'],
         'insert-ignore': ['--key', 'id']}


def quoted(text):
    return "'%s'" % text.replace("'", "''")


def contents(server, database, tables):
    """What psql prints of each table, in the order of its key."""
    text = "set extra_float_digits = 3; set timezone = 'UTC'; set intervalstyle = 'postgres';"
    return server.sql(text + ''.join("select %s; select * from hard.%s order by id;" % (quoted(n), n) for n in tables), database)


def main():
    t = harness.Tally('postgresql: every mode, both engines', harness.seed_of())
    if not servers.binaries():
        t.skip('missing: postgresql-15')
        return t.finish()
    with servers.Postgres() as server:
        place = harness.Place('pg-differential')
        server.sql('create database a')
        with open(os.path.join(HERE, 'hard.sql'), encoding='utf-8') as f:
            server.sql(f.read(), 'a')
        # Values that only bytes can carry (infinite numerics, far times) are refused by name where rows are decoded: test_types.py.
        tables = [n for n in server.sql(TABLES, 'a').splitlines() if not re.search('far|beyond', n)]
        t.check(len(tables) > 80, 'every kind is a table', str(len(tables)))
        if not os.environ.get('WH_TEST_EVERY_KIND'):  # a part of them takes the gate long enough
            tables = tables[3::16]
        server.sql(DROP % ','.join(quoted(n) for n in tables), 'a')
        server.sql('create database b0 template a')
        want = contents(server, 'a', tables)
        modes = sys.argv[1:] or list(OLD)
        for mode in modes if not harness.fast() else ['append', 'upsert', 'overwrite']:
            for engine in ('true', 'false'):
                sys.stdout.flush()
                what = '%s, %s' % (mode, 'as bytes' if engine == 'true' else 'decoded')
                server.sql('drop database if exists b')
                server.sql('create database b template b0')
                server.sql(';\n'.join(OLD[mode].replace('{t}', 'hard.' + n) for n in tables), 'b')
                ends = [server.url('hard.*', 'a'), server.url('hard.{source.table}', 'b')]
                code, out, err = place.run('copy', *ends, '--mode', mode, '--from', 'frames=' + engine, '--no-progress', '--json', *FLAGS.get(mode, []),
                                           timeout=300)
                t.check(code == 0, 'copied: ' + what, went(code, '\n'.join(l for l in out.splitlines() if '"type":"error"' in l), err))
                frames = len(re.findall('"frame":"pgcopy-binary"', out))
                t.check((frames > 0) == (engine == 'true'), 'by that engine: ' + what, str(frames))
                got = contents(server, 'b', tables)
                if got != want:
                    pairs = [(a, b) for a, b in zip(want.splitlines(), got.splitlines()) if a != b]
                    t.check(False, 'psql says the same: ' + what, '%d lines, %s' % (len(pairs), pairs[:5]))
                else:
                    t.check(True, 'psql says the same: ' + what)
                code, out, err = place.run('validate', *ends, '--level', 'checksum', '--json', *(['--key', 'id']), timeout=300)
                t.check(code == 0, 'the hashes are equal: ' + what, went(code, out[-1500:], err))
        place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
