# SPDX-License-Identifier: Apache-2.0
"""Servers: not there, silent, gone in the middle, of a wrong password, without rights; tables of another shape."""
import socket
import sqlite3
import threading

import rows_stops
import servers
from table import bad

N = 20000
CSV = {'a.csv': 'id,name\n' + ''.join('%d,n%d\n' % (i, i) for i in range(1, N + 1))}
SHORT = {'WH_TEST_OUTAGE_MS': '1000'}
SRC = 'create table t(id int primary key, name text); insert into t select i, \'n\' || i from generate_series(1, %d) i' % N


def sql(text):
    return lambda w: w.sql(text)


def to(user='postgres', password=None, host='127.0.0.1', port=None, database=None, table='t', options=''):
    """a.csv into a table at a URL that is not the row's own."""
    def act(w):
        url = 'postgresql://%s%s@%s:%s/%s%s#%s' % (user, ':' + password if password else '', host,
                                                   port(w) if callable(port) else port or w.pg.port if w.pg else port,
                                                   database or w.database or 'x', options, table)
        return w.run(['copy', 'a.csv', url])
    return act


def closed_port(w):
    return servers.free_port()


def silent(w):
    """Takes connections, says nothing."""
    s = socket.socket()
    s.bind(('127.0.0.1', 0))
    s.listen(8)
    w.undo.append(s.close)
    return s.getsockname()[1]


def babbler(text):
    """Answers with what no PostgreSQL says."""
    def port(w):
        s = socket.socket()
        s.bind(('127.0.0.1', 0))
        s.listen(8)

        def serve():
            try:
                while True:
                    c, _ = s.accept()
                    c.recv(4096)
                    c.sendall(text)
                    c.close()
            except OSError:
                pass
        threading.Thread(target=serve, daemon=True).start()
        w.undo.append(s.close)
        return s.getsockname()[1]
    return port


PG = dict(files=CSV, needs=('pg',), seconds=60)
PASS = servers.PASSWORD

# ---- not to be reached ----
bad('server: nobody listens', '', 5, 'E2001', '127.0.0.1', 'refused', files=CSV, env=SHORT, act=to(port=closed_port), open=False, seconds=60)
bad('server: silent', '', 5, None, '127.0.0.1', files=CSV, env=SHORT, act=to(port=silent, options='?connect_timeout=2s'), open=False, seconds=60)
bad('server: no such host', '', 5, 'E2003', 'nix.invalid', files=CSV, env=SHORT, act=to(host='nix.invalid', port=5432), open=False, seconds=60)
bad('server: speaks HTTP', '', 5, None, '127.0.0.1', files=CSV, env=SHORT, act=to(port=babbler(b'HTTP/1.1 400 Bad Request\r\n\r\n')), open=False, seconds=60)
bad('server: a folder for its socket that is not there', 'copy a.csv postgresql:///x?host=/nowhere#t', 5, 'E2001', '/nowhere', files=CSV, env=SHORT, open=False, seconds=60)

# ---- login and rights ----
bad('server: wrong password', '', 9, 'E2005', 'wherry', 'password authentication failed', act=to('wherry', 'not-this-one'), never=('not-this-one',), open=False, **PG)
bad('server: no password', '', 9, 'E2005', 'wherry', 'password', act=to('wherry'), open=False, **PG)
bad('server: no such user', '', 9, 'E2005', 'nix', act=to('nix', PASS), never=(PASS,), open=False, **PG)
bad('server: refused by its list', '', 9, 'E2005', 'nobody', act=to('nobody', PASS), never=(PASS,), open=False, **PG)
bad('server: no such database', '', 2, 'E2012', 'nix', act=to(database='nix'), open=False, **PG)
bad('server: no TLS there', '', 9, 'E2004', 'SSL', act=to(options='?sslmode=require'), open=False, **PG)
bad('server: no right to make a table', '', 9, 'E2006', 'permission denied', act=to('reader', PASS), never=(PASS,), shows={'pg#t': None}, open=False, **PG)
bad('server: no right to insert', '', 9, 'E2006', 'permission denied', act=to('reader', PASS), never=(PASS,), shows={'pg#t': 0}, open=False,
    make=sql('create table t(id bigint, name text)'), **PG)
bad('server: no right to read', '', 9, 'E2006', 'no right to read public.t', 'wherry grants', never=(PASS,), open=False, make=sql(SRC), needs=('pg',), seconds=60,
    act=lambda w: w.run(['copy', w.pg.url('t', database=w.database, user='reader', password=PASS), 'out.csv']))

# ---- tables ----
bad('table: not there', "copy '$PG#nix' out.csv", 2, 'E3001', 'nix', needs=('pg',))
bad('table: misspelt', "copy '$PG#order' out.csv", 2, 'E3001', 'order', "orders", needs=('pg',), make=sql('create table orders(a int)'))
bad('table: schema not there', "copy '$PG#nix.t' out.csv", 2, 'E3001', 'nix', needs=('pg',))
bad('table: schema of the destination not there', "copy a.csv '$PG#nix.t'", 2, None, 'nix', **PG)
bad('table: not there, never made', "copy a.csv '$PG#t' --create never", 2, 'E3001', 't', **PG)
bad('table: column is missing', "copy a.csv '$PG#t'", 2, 'E3005', "name", 'evolve', shows={'pg#t': 0}, make=sql('create table t(id int)'), **PG)
bad('table: column must have a value', "copy a.csv '$PG#t'", 2, 'E3005', '"must"', 'NOT NULL', make=sql('create table t(id int, name text, must int not null)'), **PG)
bad('table: column of another type', "copy a.csv '$PG#t'", 6, 'E6006', 'point', '"n1"', make=sql('create table t(id int, name point)'), shows={'pg#t': 0}, **PG)
bad('table: column too narrow', "copy a.csv '$PG#t'", 6, 'E6003', 'id', make=sql('create table t(id smallint, name text)'), shows={'pg#t': 0},
    files={'a.csv': 'id,name\n1,x\n70000,y\n'}, needs=('pg',), way='resume --dirty rows=1', whole={'pg#t': 1})
bad('table: duplicate key', "copy a.csv '$PG#t'", 6, 'E6008', 't', make=sql('create table t(id int primary key, name text); insert into t values (5, \'x\')'), shows={'pg#t': 1},
    way='resume --dirty rows=1', whole={'pg#t': N}, **PG)
bad('table: constraint', "copy a.csv '$PG#t'", 6, 'E6009', 'small', make=sql('create table t(id int constraint small check (id < 1000000 and id <> 7), name text)'), shows={'pg#t': 0},
    way='resume --dirty rows=1', whole={'pg#t': N - 1}, **PG)
bad('table: a NUL character', "copy a.csv '$PG#t'", 6, 'E6005', 'row 1', 'NUL', files={'a.csv': b'id,name\n1,x\0y\n2,z\n'}, needs=('pg',), way='resume --dirty rows=1', whole={'pg#t': 1})
bad('table: a view', "copy a.csv '$PG#v'", 2, None, 'v', make=sql("create view v as select 1 id, 'x'::text as name union select 2, 'y'"), **PG)
bad('table: database read-only', "copy a.csv '$PG#t'", 9, 'E5014', 'read-only', make=lambda w: w.sql('alter database %s set default_transaction_read_only = on' % w.database), open=False, **PG)
bad('query with an error', "copy '$PG' out.csv --query 'selec 1'", 2, 'E4009', 'syntax error', needs=('pg',))
bad('where with an error', "copy '$PG#t' out.csv --where 'nix > 1'", 2, None, 'nix', needs=('pg',), make=sql(SRC))
bad('where with an error, SQLite', "copy 'a.db#t' out.csv --where 'nix > 1'", 2, None, 'nix',
    make=lambda w: w.run('copy a.csv a.db#t', plain=True), files=CSV)
bad('table: not there, SQLite', "copy 'a.db#nix' out.csv", 2, 'E3001', "nix", make=lambda w: w.run('copy a.csv a.db#t', plain=True), files=CSV)
bad('table: misspelt, SQLite', "copy 'a.db#plane' out.csv", 2, 'E3001', "did you mean 'planes'?", make=lambda w: w.run('copy a.csv a.db#planes', plain=True), files=CSV)
bad('table: column is missing, SQLite', "copy a.csv a.db#t", 2, 'E3005', '"name"', 'evolve', shows={'a.db#t': 1}, make=lambda w: w.run('copy b.csv a.db#t', plain=True),
    files={**CSV, 'b.csv': 'id\n1\n'})
bad('table: duplicate key, SQLite', 'copy a.csv a.db#t', 6, 'E6008', 't', files=CSV, shows={'a.db#t': 1}, way='resume --dirty rows=1', whole={'a.db#t': N},
    make=lambda w: sqlite3.connect(w.path('a.db'), isolation_level=None).executescript("create table t(id integer primary key, name text); insert into t values(5,'x')").connection.close())


# ---- gone in the middle ----
def gone(act):
    def run(w):
        p = w.start()
        if not rows_stops.committed(w, 1):
            code, out, err = w.finish(p)
            return 124, out, err + '\n(test: not under way)'
        act(w)
        return w.finish(p)
    return run


def end_sessions(w):
    w.pg.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry%%' and datname = '%s'" % w.database)


SLOWLY = {'WH_TEST_UNIT_BYTES': '20000'}
bad('server: sessions ended, comes back by itself', "copy a.csv '$PG#t' --rate 200kB/s", 0, None, act=gone(end_sessions), env=SLOWLY, shows={'pg#t': N}, **PG)
bad('server: sessions of the source ended', "copy '$PG#t' out.csv --rate 200kB/s", 5, 'E4008', 'snapshot', act=gone(end_sessions), env=SLOWLY, shows={'out.csv': None}, make=sql(SRC),
    needs=('pg',), seconds=60, way='resume --rate none', whole={'out.csv': N})
bad('server: crashed and back again', "copy a.csv '$PG#t' --rate 200kB/s", 0, None, act=gone(lambda w: w.pg.restart(immediate=True, pause=1)), env=SLOWLY, shows={'pg#t': N}, **PG)
bad('server: gone for good, then back', "copy a.csv '$PG#t' --rate 200kB/s", 5, None, '127.0.0.1', act=gone(lambda w: w.pg.stop()), env={**SLOWLY, **SHORT},
    mend=lambda w: w.pg.start(), way='resume --rate none', whole={'pg#t': N}, **PG)
