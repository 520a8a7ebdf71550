#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Refused rows and comparisons between files, SQLite and PostgreSQL: written again once, found with few
statements, compared in both directions; and what stands in the way is told by name.

Fails if a replayed row is lost, doubled or changed, if one bad row costs a statement per row, if an option of
validate means another thing for another pair, or if a refused publish counts rows as staying."""
import json
import os
import re
import signal
import sqlite3
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import pgsite  # noqa: E402
import servers  # noqa: E402


def log_of(server):
    return os.path.join(server.dir, 'log')


def write(place, name, text):
    with open(place.path(name), 'w', encoding='utf-8') as f:
        f.write(text)


def lite(place, base, *statements):
    db = sqlite3.connect(place.path(base))
    rows = []
    for s in statements:
        rows = db.execute(s).fetchall()
    db.commit()
    db.close()
    return rows


def last(text):
    return json.loads(text.splitlines()[-1]) if text.strip() else {}


def run_id(place):
    return last(place.run('history', '--json', '-n', '1')[1])['run']


# ---- validate between any two -------------------------------------------------------------------

ROWS = [(i, 'n%d' % i, None if i % 7 == 0 else i * 1.5, '2026-01-%02d' % (i % 28 + 1)) for i in range(1, 60)]
VALUES = ', '.join("(%d, '%s', %s, '%s')" % (i, n, 'null' if x is None else x, d) for i, n, x, d in ROWS)
DDL = 'create table t (id bigint primary key, n varchar(20), x double precision, d date)'


def ends(s, place):
    """One table of the same rows in three systems: {name: (object, statement runner)}."""
    lite(place, 'l.db', DDL, 'insert into t values ' + VALUES)
    s.dst(DDL + '; insert into t values ' + VALUES)
    write(place, 'f.csv', 'id,n,x,d\n' + ''.join('%d,%s,%s,%s\n' % (i, n, '' if x is None else x, d) for i, n, x, d in ROWS))
    return {'file': 'f.csv', 'sqlite': 'sqlite:l.db#t', 'postgresql': s.server.url('t', s.b)}


def pairs(t, s, place):
    both = ends(s, place)
    for a in both:
        for b in both:
            if a == b:
                continue
            what, src, dst = '%s -> %s' % (a, b), both[a], both[b]
            code, out, err = place.run('validate', src, dst, '--level', 'rows', '--key', 'id', '--json')
            t.check(code == 0 and last(out).get('keys') == 'id' and last(out)['rows_target'] == 59, what + ': equal', out + err)
            code, out, err = place.run('validate', src, dst, '--columns', 'id,n', '--types', 'id=int64', '--json', '--level', 'stats')
            t.check(code == 0 and [c['column'] for c in last(out)['columns']] == ['id', 'n'], what + ': --columns, --types', out + err)
            code, out, err = place.run('validate', src, dst, '--ignore', 'x,d', '--level', 'stats', '--json')
            t.check(code == 0 and [c['column'] for c in last(out)['columns']] == ['id', 'n'], what + ': --ignore', out + err)
            code, out, err = place.run('validate', src, dst, '--where', 'id <= 10', '--level', 'rows', '--json', '-n', '1')
            if a == 'file':
                t.check(code == 2 and "no language for 'where'" in out, what + ': a file has no --where', out + err)
            else:
                t.check(code == 4 and (last(out)['rows_source'], last(out)['extra']) == (10, 49), what + ': --where', out + err)
            code, out, err = place.run('validate', src, dst, '--sample', '50%', '--key', 'id', '--json')
            t.check(code == 0 and 10 < last(out)['compared_source'] < 50 and last(out)['compared_source'] == last(out)['compared_target'],
                    what + ': --sample', out + err)
    lite(place, 'l.db', "update t set n = 'other' where id = 5", 'delete from t where id = 6')
    for a, b, missing, extra in (('file', 'sqlite', 1, 0), ('sqlite', 'file', 0, 1), ('postgresql', 'sqlite', 1, 0), ('sqlite', 'postgresql', 0, 1)):
        code, out, err = place.run('validate', both[a], both[b], '--level', 'rows', '--key', 'id', '--json')
        d = last(out)
        t.check(code == 4 and (d['missing'], d['extra'], d['changed']) == (missing, extra, 1) and "id='5'" in str(d['rows']) and
                "id='6'" in str(d['rows']), '%s -> %s: two rows differ' % (a, b), out + err)
        code, out, err = place.run('validate', both[a], both[b], '--ignore', 'n', '--where', 'id <> 6', '--level', 'checksum') \
            if a == 'postgresql' else (0, '', '')
        t.check(code == 0, '%s -> %s: without the column and the row that differ' % (a, b), out + err)
    s.dst('drop table t')


def names(t, s, place):
    """A table of somebody else that is called like ours is copied; ours are not."""
    s.src('create table wherry_notes (a int); insert into wherry_notes values (1); create table wherry_unit (note text); '
          "insert into wherry_unit values ('mine'); create table wherry_target (object text primary key, run text not null)")
    url = s.server.url('wherry_*', s.a)
    code, out, err = place.run('copy', url, 'sqlite:n.db')
    t.check(code == 2 and 'E3013' in err and 'wherry_unit' in err, 'a name that is ours there is refused, not passed over', out + err)
    code, out, err = place.run('copy', url, 'sqlite:n.db#n_{source.table}', '-q')
    t.check(code == 0 and lite(place, 'n.db', 'select * from n_wherry_notes') == [(1,)] and
            lite(place, 'n.db', 'select * from n_wherry_unit') == [('mine',)] and
            lite(place, 'n.db', "select count(*) from sqlite_schema where name = 'n_wherry_target'") == [(0,)], 'copied', out + err)
    s.src('drop table wherry_notes, wherry_unit, wherry_target')


# ---- replay --------------------------------------------------------------------------------------

GOOD = [(1, 'ä"b', '1.50'), (2, 'x', '2.25'), (3, 'too', '3.00')]


def replays(t, place, what, target, rows_of, mend):
    """Killed in the middle and said again: every archived row once."""
    run = run_id(place)
    code, _, err = place.run('dirty', 'replay', run, WH_TEST_KILL='commit-after:1')
    if not t.check(code == -signal.SIGKILL or mend is None, what + ': killed', '%s %s' % (code, err)):
        return
    for _ in range(2):
        code, _, err = place.run('dirty', 'replay', run)
        t.check(code == 0, what + ': replayed', err)
    t.check(rows_of() == GOOD, what + ': each row once', rows_of())


def replay(t, s, place):
    def pg_rows(table='t'):
        return [tuple(json.loads(x)) for x in s.dst('select json_build_array(id, n, x::text) from %s order by id' % table).splitlines()]
    made = 'create table %s (id int, n text, x numeric(6,2)%s)'
    text = 'id,n,x\n' + ''.join('%d,"%s",%s\n' % (i, n.replace('"', '""'), x) for i, n, x in GOOD)
    # CSV -> PostgreSQL
    write(place, 'in.csv', text)
    s.dst(made % ('t', ', constraint c check (id <> 2 and id <> 3)'))
    code, _, err = place.run('copy', 'in.csv', s.server.url('t', s.b), '--dirty', 'rows=9')
    t.check(code == 0 and len(pg_rows()) == 1, 'CSV -> PostgreSQL: two refused', err)
    s.dst('alter table t drop constraint c')
    replays(t, place, 'CSV -> PostgreSQL', 't', pg_rows, True)
    # PostgreSQL -> PostgreSQL, with settings of its own for the table
    s.src(made % ('p', '') + '; ' + made % ('q', '') + "; insert into p values (1, 'ä\"b', 1.5), (2, 'x', 2.25), (3, 'too', 3)")
    s.dst(made % ('moved', ', constraint c check (id <> 2)'))
    conn = '{ type: postgresql, host: 127.0.0.1, port: %d, user: postgres, database: %s }'
    write(place, 'j.yaml', 'version: 1\nconnections:\n  a: %s\n  b: %s\nstreams:\n  - from: { conn: a, table: "[pq]" }\n    to: { conn: b }\n'
          '    dirty: { rows: 9 }\n    override: { p: { to: { conn: b, table: moved } } }\n' % (conn % (s.server.port, s.a), conn % (s.server.port, s.b)))
    code, _, err = place.run('run', 'j.yaml')
    t.check(code == 0 and len(pg_rows('moved')) == 2, 'PostgreSQL -> PostgreSQL: one refused', err)
    s.dst('alter table moved drop constraint c')
    replays(t, place, 'PostgreSQL -> PostgreSQL, override', 'moved', lambda: pg_rows('moved'), True)
    # JSON lines -> SQLite
    write(place, 'in.jsonl', ''.join(json.dumps({'id': i, 'n': n, 'x': x}) + '\n' for i, n, x in GOOD))
    lite(place, 'r.db', 'create table t(id integer, n text, x text, check (id <> 2))')
    code, _, err = place.run('copy', 'in.jsonl', 'sqlite:r.db#t', '--dirty', 'rows=9')
    t.check(code == 0, 'JSON lines -> SQLite: one refused', err)
    lite(place, 'r.db', 'alter table t rename to was', 'create table t(id integer, n text, x text)', 'insert into t select * from was', 'drop table was')
    replays(t, place, 'JSON lines -> SQLite', 't', lambda: lite(place, 'r.db', 'select id, n, x from t order by id'), True)
    # CSV -> a folder of CSV: what a file refuses was refused on the way; said in words.
    write(place, 'in.csv', text.replace('2.25', 'two'))
    code, _, err = place.run('copy', 'in.csv', 'out/', '--types', 'x=decimal(6,2)', '--dirty', 'rows=9')
    t.check(code == 0, 'CSV -> CSV: one refused', err)
    code, out, err = place.run('dirty', 'list', run_id(place), '--json')
    t.check(last(out).get('position', '').startswith('in.csv line 3') and last(out)['column'] == 'x', 'named by line', out + err)
    code, _, err = place.run('dirty', 'replay', run_id(place))
    t.check(code == 2 and 'dirty export' in err, 'CSV -> CSV: nothing that a replay could mend', err)
    # JSON that does not convert is named by its line, and exported as CSV.
    write(place, 'bad.jsonl', '{"id": 1, "x": 1}\n{"id": 2, "x": "two"}\n{"id": 3, "x": 3}\n')
    code, _, err = place.run('copy', 'bad.jsonl', 'sqlite:r.db#b', '--types', 'x=int64', '--dirty', 'rows=9')
    code, out, err = place.run('dirty', 'list', run_id(place), '--json')
    t.check(code == 0 and 'bad.jsonl line 2' in last(out).get('position', ''), 'JSON: its line', out + err)
    code, _, err = place.run('dirty', 'export', run_id(place), '-o', 'x.csv')
    with open(place.path('x.csv'), encoding='utf-8') as f:
        text = f.read()
    t.check(code == 0 and text == 'id,x\n2,two\n', 'JSON: exported as CSV', text + err)


# ---- one bad row among many ------------------------------------------------------------------------

def calls(s):
    """Statements that wherry's sessions sent, by the server's log."""
    with open(log_of(s.server), encoding='utf-8', errors='replace') as f:
        return len(re.findall(r'wherry/\S+ LOG:  (?:statement|execute)', f.read()))


def statements(t, s, place):
    """What only the server refuses is found in a number of statements that grows with the logarithm."""
    rows = 20000 if harness.fast() else 100000
    write(place, 'big.csv', 'id,v\n' + ''.join('%d,v%d\n' % (i, i) for i in range(rows)))
    s.server.sql("alter system set log_statement = 'all'")
    s.server.sql('select pg_reload_conf()')
    time.sleep(0.5)
    s.dst('create table par (id int primary key); insert into par select generate_series(0, %d); delete from par where id = %d' %
          (rows, rows // 3))
    s.dst('create table par2 (id int primary key); insert into par2 select generate_series(0, %d)' % rows)
    # The first makes our tables. A check is told with its line; a foreign key at the end of the statement, without.
    for what, clean, refusing in (('a check', 'check (id <> -1)', 'check (id <> %d)' % (rows // 3)),
                                  ('a foreign key', 'foreign key (id) references par2', 'foreign key (id) references par')):
        seen = {}
        for bad, constraint in ((0, clean), (0, clean), (1, refusing)):
            place.forget()
            s.dst('drop table if exists big; create table big (id int, v text, constraint c %s)' % constraint)
            before = calls(s)
            code, _, err = place.run('copy', 'big.csv', s.server.url('big', s.b), '--dirty', 'rows=5', '-j', '1')
            t.check(code == 0, 'copied', err)
            seen[bad] = calls(s) - before
            n = int(s.dst('select count(*) from big').strip())
            t.check(n == rows - bad, '%s: %d rows' % (what, rows - bad), n)
        print('one row in %d that %s refuses: %d statements, without it %d' % (rows, what, seen[1], seen[0]))
        t.check(0 < seen[0] and 0 < seen[1] - seen[0] < 8 * rows.bit_length(), what + ': log n statements more', seen)
    s.server.sql('alter system reset log_statement')
    s.server.sql('select pg_reload_conf()')


# ---- a lock at the end ------------------------------------------------------------------------------

def locked(t, s, place):
    """A publish that a lock refuses left nothing: giving the run up asks nothing and counts no row."""
    s.dst("create table t (id int); insert into t values (1)")
    write(place, 'in.csv', 'id\n' + ''.join('%d\n' % i for i in range(50)))
    write(place, 'j.yaml', 'version: 1\nconnections: { b: { type: postgresql, host: 127.0.0.1, port: %d, user: postgres, database: %s } }\n'
          'streams: [{ from: in.csv, to: { conn: b, table: t }, write: { mode: overwrite } }]\nrun: { timeouts: { lock: 1s } }\n' % (s.server.port, s.b))
    p = place.start('run', 'j.yaml', WH_TEST_STOP='publish-step-before:1')
    t.check(harness.wait_stopped(p, 30), 'before the publish')
    other = subprocess.Popen(['psql', '-q', '-h', '127.0.0.1', '-p', str(s.server.port), '-U', 'postgres', s.b], stdin=subprocess.PIPE)
    other.stdin.write(b'\\o /dev/null\nbegin; select * from t;\n')
    other.stdin.flush()
    end = time.monotonic() + 10
    while time.monotonic() < end and s.dst("select count(*) from pg_locks where relation = 't'::regclass and mode = 'AccessShareLock' and "
                                           "pid <> pg_backend_pid()").strip() == '0':
        time.sleep(0.05)
    p.send_signal(signal.SIGCONT)
    code, out, err = harness.finish(p, 60)
    t.check(code == 5 and 'E5010' in err, 'refused by a lock', '%s %s' % (code, err))
    code, out, err = place.run('cancel', run_id(place), '--discard')
    t.check(code == 0 and 'rows' not in err.replace('0 rows', ''), 'given up without a question', '%s %s' % (code, out + err))
    t.check(s.dst('select count(*) from t').strip() == '1', 'the table is as it was')
    other.stdin.close()
    other.wait(10)


def main():
    t = harness.Tally('refused rows and comparisons', harness.seed_of())
    if not servers.binaries():
        t.skip('no PostgreSQL server is installed')
        return t.finish()
    with servers.Postgres() as server:
        for job in (pairs, names, replay, statements, locked):
            with pgsite.Site(server, job.__name__) as s:
                job(t, s, s.place)
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
