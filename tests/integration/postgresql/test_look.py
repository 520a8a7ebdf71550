#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""discover, describe, preview and stopping, on a real server.

Fails if what is shown is not what the server has, or if a statement goes on there after its client was
told to stop or was killed."""
import json
import os
import signal
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), '..', '..', 'lib'))
import harness  # noqa: E402
import servers  # noqa: E402

SETUP = '''
create schema s;
create type s.mood as enum ('sad', 'glad');
create domain s.price as numeric(8,2);
create table s."Odd ""one""" (id bigint generated always as identity primary key, "a b" text default 'x''y',
  p s.price not null, m s.mood, arr int[], j jsonb, big numeric, t timestamptz, u uuid, by bytea,
  twice numeric generated always as (big * 2) stored);
comment on table s."Odd ""one""" is 'one of a kind';
insert into s."Odd ""one""" ("a b", p, m, arr, j, big, t, u, by) values
  (E'tab\\there', 1.5, 'glad', '{1,NULL,3}', '{"k": [1, 2]}', 123456789012345678901234567890.5, '2024-02-29 12:00:00+02',
   '00112233-4455-6677-8899-aabbccddeeff', '\\x00ff'), (null, -0.01, 'sad', '{}', 'null', 'NaN', '0001-01-01 00:00:00+00', null, '');
create table s.parted (a int) partition by range (a);
create table s.part1 partition of s.parted for values from (0) to (10);
create view s.seen as select 1 as one;
create table s.wherry_unit (a int); -- another's, whatever its name
create table s.wherry_target (object text primary key, run text not null);
create table public.plain (a int, b text);
insert into public.plain select g, 'r' || g from generate_series(1, 50) g;
analyze;
'''


def looks(t, pg, place):
    code, out, err = place.run('discover', pg.url())
    names = [line.split('  ')[0].strip() for line in out.splitlines()]
    t.check(code == 0 and names == ['public.plain', 's."Odd ""one"""', 's.parted', 's.seen', 's.wherry_unit'], 'discover', out + err)
    code, out, _ = place.run('discover', pg.url(), '--json')
    rows = {e['name']: e for e in harness.events(out)}
    t.check(rows.get('public.plain', {}).get('est_rows') == 50 and rows.get('s.seen', {}).get('kind') == 'view' and
            rows.get('s."Odd ""one"""', {}).get('comment') == 'one of a kind', 'discover --json', out)
    odd = pg.url('s.%22Odd%20%22%22one%22%22%22')
    code, out, err = place.run('describe', odd)
    wanted = {'id': ['int64', 'not null', 'key 1', 'bigint'], 'a b': ['utf8', 'text'],
              'p': ['decimal(8,2)', 'not null', 's.price'], 'm': ['utf8', 's.mood'], 'arr': ['utf8', 'integer[]'],
              'j': ['json', 'jsonb'], 'big': ['decimal', 'numeric'], 't': ['timestamp(us, utc)'], 'u': ['uuid'],
              'by': ['binary', 'bytea']}
    for name, words in wanted.items():
        line = next((x for x in out.splitlines() if x.startswith(name + ' ') or x.startswith('"%s" ' % name)), '')
        t.check(code == 0 and all(w in line for w in words), 'describe tells of ' + name, line or out + err)
    code, out, err = place.run('preview', odd, '--json')
    rows = harness.events(out)
    text = json.dumps(rows)
    t.check(code == 0 and '123456789012345678901234567890.5' in text and 'NaN' in text and '{1,NULL,3}' in text and
            '00112233-4455-6677-8899-aabbccddeeff' in text, 'preview has the values', out + err)
    code, out, err = place.run('preview', pg.url('plain'), '--limit', '3')
    t.check(code == 0 and 'r3' in out and 'r4' not in out, 'preview stops at its limit', out + err)
    for what in ('describe', 'preview'):
        code, _, err = place.run(what, pg.url('s.nowhere'))
        t.check(code == 2 and 'E3001' in err and 'discover' in err, what + ' of what is not there', err)
    code, _, err = place.run('describe', pg.url('plan'))
    t.check(code == 2 and 'E3001' in err, 'a name that is nearly there', err)
    t.check(not pg.sessions(), 'no session is left', pg.sessions())


def until_gone(pg, seconds):
    end = time.monotonic() + seconds
    while pg.sessions() and time.monotonic() < end:
        time.sleep(0.05)
    return not pg.sessions()


def stops(t, pg, place):
    """A stop and a kill both end the statement at the server."""
    pg.sql("create function public.slow() returns int language plpgsql as 'begin perform pg_sleep(60); return 1; end'")
    for name, number, code, allowed in (('SIGTERM', signal.SIGTERM, 143, 2), ('SIGINT', signal.SIGINT, 130, 2),
                                        ('SIGKILL', signal.SIGKILL, -9, 4)):
        place.forget()
        p = place.start('copy', pg.url(), 'null:', '--query', 'select public.slow() from generate_series(1, 5)')
        end = time.monotonic() + 20
        while not any(s[2] == 'active' for s in pg.sessions()) and time.monotonic() < end and p.poll() is None:
            time.sleep(0.05)
        time.sleep(0.3)
        begin = time.monotonic()
        p.send_signal(number)
        got, _, err = harness.finish(p, 30)
        took = time.monotonic() - begin
        t.check(got == code and took < 10, name + ' ends the engine', '%d after %.1f s\n%s' % (got, took, err))
        # The holder of a snapshot outlives its engine on purpose; it has nothing active.
        active = lambda: [s for s in pg.sessions() if s[2] == 'active']
        end = begin + 10
        while active() and time.monotonic() < end:
            time.sleep(0.05)
        took = time.monotonic() - begin
        t.check(not active() and took < allowed + 2, '%s: the statement is gone at the server' % name, '%.1f s %s' % (took, pg.sessions()))
        pg.sql("select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'wherry/%'")
    t.check(until_gone(pg, 5), 'no session is left', pg.sessions())


def debugged(t, pg, place):
    """--debug sql: every statement with its time, and what the server said against it; no password, no row."""
    pg.sql("alter role postgres password 'geheim123'", check=False)
    code, out, err = place.run('copy', pg.url('plain', password='geheim123'), 'plain.csv', '--debug', 'sql', '-q')
    told = [line for line in err.splitlines() if ' DEBUG sql: ' in line]
    t.check(code == 0 and any(' ms: copy (' in x.lower() or ' ms: copy ' in x.lower() for x in told) and all(' ms: ' in x for x in told),
            'statements and times', err[-2000:])
    t.check('geheim123' not in err and 'r17' not in err and len(told) < 200, 'neither password nor rows', len(told))
    code, out, err = place.run('copy', 'plain.csv', pg.url('wrong'), '--to', 'tablespace=none', '--debug', 'sql', '-q')
    t.check(code != 0 and any(' -- ' in x and 'tablespace' in x for x in err.splitlines() if ' DEBUG sql: ' in x), 'what was refused', err[-2000:])


def main():
    t = harness.Tally('postgresql look', harness.seed_of())
    with servers.Postgres() as pg:
        place = harness.Place('pg-look')
        try:
            pg.sql(SETUP)
            looks(t, pg, place)
            debugged(t, pg, place)
            stops(t, pg, place)
        finally:
            place.remove()
    return t.finish()


if __name__ == '__main__':
    sys.exit(main())
